#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Tests qemu/emulator, and qemu/run and the library on what it brings. Prints a line `ok NAME`,
# `not ok NAME: WHY` or `skip NAME: WHY` a case; what a failed case printed goes to stderr.
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
O=${O:-$root/build}
work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
trap 'rm -rf "$work"' EXIT

failed=0
status=

# run COMMAND...: sets $status; the output goes to $work/{out,err}.
run() {
  timeout 300 "$@" >"$work/out" 2>"$work/err" </dev/null
  status=$?
}

# report NAME REASONS: no reason means that the case has passed.
report() {
  if [ -z "$2" ]; then
    echo "ok $1"
    return
  fi
  echo "not ok $1: ${2//$'\n'/; }"
  failed=1
  sed 's/^/# out: /' "$work/out" >&2
  sed 's/^/# err: /' "$work/err" >&2
}

# Prints a reason unless the last run's status was $1.
want_status() {
  [ "$status" = "$1" ] || printf 'exit status %s, not %s. ' "$status" "$1"
}

# want_text FILE TEXT: prints a reason unless $work/FILE has a line with TEXT.
want_text() {
  grep -qF -- "$2" "$work/$1" || printf "no '%s' in std%s. " "$2" "$1"
}

# want_silence FILE: prints a reason if $work/FILE has anything.
want_silence() {
  [ ! -s "$work/$1" ] || printf 'there is something in std%s. ' "$1"
}

run "$root/qemu/emulator" no-such-name
report emulator_unknown "$(want_status 2)$(want_text err "no QEMU named 'no-such-name'")"

run env USERPCI_CACHE="$work/empty" "$root/qemu/emulator" --list
report emulator_list_empty "$(want_status 0)$(want_text out 'not cached')"

# Nobody listens there: it says so, tells it apart from other failures, and keeps nothing.
run env USERPCI_CACHE="$work/empty" USERPCI_MIRROR=http://127.0.0.1:9/debian \
  "$root/qemu/emulator" 10
left=$(find "$work/empty" -mindepth 2 ! -name '.lock-*')
report emulator_no_network \
  "$(want_status 3)$(want_text err 'package lists')$(want_silence out)${left:+left: $left}"

run "$root/qemu/emulator" 10
if [ "$status" = 3 ]; then
  for name in cached program library guest; do
    echo "skip emulator_$name: QEMU 10 is not in the cache, and the archive cannot be reached"
  done
  exit $failed
fi
report emulator_made "$(want_status 0)"

run "$root/qemu/emulator" 10
qemu=$(<"$work/out")
report emulator_cached "$(want_status 0)$(want_silence err)$([ -x "$qemu" ] || echo "no $qemu. ")"

# From elsewhere, by a link: it finds what is its own. The system's modules would be too old for it.
ln -s "$qemu" "$work/qemu"
run "$work/qemu" -device help
report emulator_program \
  "$(want_status 0)$(want_text out '"igb"')$(want_text out '"e1000e"')$(want_silence err)"

if [ -x "$O/bin/unic" ]; then
  run env USERPCI_QEMU="$qemu" "$O/bin/unic" info qemu:igb
  report emulator_library "$(want_status 0)$(want_text out igb)"
else
  echo "skip emulator_library: $O/bin/unic is missing; run: make tools"
fi

run "$root/qemu/run" --emulator 10 --module none --device igb -- \
  cat /sys/bus/pci/devices/0000:00:01.0/device
report emulator_guest "$(want_status 0)$(want_text out 0x10c9)"

exit $failed
