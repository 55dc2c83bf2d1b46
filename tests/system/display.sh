#!/bin/bash
# SPDX-License-Identifier: MIT
# userspace/examples/bochs-display.c: what QEMU's display shows is, pixel by pixel, the picture that
# the program has drawn; on the device model without a guest, and on the module in a guest that
# this boots (and in which it runs: guest).
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

screen=tests/system/screen.py

# Ends when the picture was seen, or should have been: this is the program's input.
until_seen() {
  local tries=0
  until [ -e "$work/seen" ] || [ $((tries += 1)) = 900 ]; do
    sleep 0.1
  done
}

if [ "${1:-}" = guest ]; then
  work=$2
  userpci bind -d 1234:1111 >/dev/null
  until_seen | bochs-display "$(address 1234:1111)" "$work/own.ppm"
  exit
fi

# shellcheck disable=SC2317  # by check
until_drawn() {
  local tries=0
  until grep -q '^bochs-display: drawn' "$work/said"; do
    if [ $((tries += 1)) = 600 ] || ! kill -0 "$pid"; then break; fi
    sleep 0.1
  done
  cat "$work/said"
}

# see NAME: QEMU's picture, and its end.
see() {
  check "$1_draws" 0 "mode 640x360" until_drawn
  check "$1_dump" 0 "" "$screen" dump "$work/qmp" "$work/shown.ppm"
  check "$1_shows_what_was_drawn" 0 "" cmp "$work/shown.ppm" "$work/own.ppm"
  touch "$work/seen"
  wait "$pid"
  check "$1_ends" 0 "" test $? = 0
}

work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
qmp=unix:$work/qmp,server=on,wait=off

until_seen |
  USERPCI_QEMU_ARGS="-qmp $qmp" bochs-display qemu:bochs-display "$work/own.ppm" \
    >"$work/said" 2>&1 &
pid=$!
see display_qemu
check display_qemu_calls 0 "prefetchable, not mapped" cat "$work/said"
check readme_picture 0 "" "$screen" decode doc/bochs-display.png "$work/readme.ppm"
check readme_picture_is_that 0 "" cmp "$work/readme.ppm" "$work/own.ppm"

rm "$work/seen" "$work"/*.ppm
qemu/run --timeout 120 --device bochs-display --qemu -qmp --qemu "$qmp" --share "$work" \
  --env O="$O" -- tests/system/display.sh guest "$work" >"$work/said" 2>&1 </dev/null &
pid=$!
see display_stub
check display_stub_map 0 "prefetchable, mapped write-combining" cat "$work/said"

check display_usage 2 "usage:" bochs-display
check display_other_device 1 "No such" bochs-display qemu:edu
check display_no_file 1 "/nonexistent/file: No such file" bochs-display qemu:bochs-display \
  /nonexistent/file
finish
