#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# userpci trace from the command line, on the golden trace: no device, no QEMU. Prints a line
# `ok NAME` or `not ok NAME: WHY` a case.
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
O=$(readlink -f "${O:-$root/build}")
golden=$root/tests/golden/e1000-init.trace
tool=$O/bin/userpci
work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

make -s -C "$root" O="$O" "$tool" >"$work/make" 2>&1 || {
  echo "not ok trace: the tool cannot be built: $(tail -n 1 "$work/make")"
  exit 1
}

# check NAME STATUS TEXT ARGUMENT...: the tool ends with STATUS and says TEXT.
check() {
  local name=$1 wanted=$2 text=$3 status=0
  shift 3
  "$tool" trace "$@" >"$work/said" 2>&1 || status=$?
  if [ "$status" != "$wanted" ]; then
    echo "not ok $name: status $status, not $wanted: $(tail -n 1 "$work/said")"
    failed=1
  elif ! grep -qF -- "$text" "$work/said"; then
    echo "not ok $name: does not say '$text', but: $(tail -n 1 "$work/said")"
    failed=1
  else
    echo "ok $name"
  fi
}

check trace_tool_shows_names 0 'us  BAR0 RCTL (0x0100) w32 = 0x04008002' "$golden"
check trace_tool_replays 0 'e1000 does what is recorded' --replay "$golden"

# The value written to RCTL, as a varint, with another bit.
LC_ALL=C sed 's/\x82\x80\x82\x20/\x82\x80\x82\x21/' "$golden" >"$work/changed"
check trace_tool_tells_the_difference 1 \
  'expected BAR0 RCTL (0x0100) w32 = 0x04208002; got BAR0 RCTL (0x0100) w32 = 0x04008002' \
  --replay "$work/changed"
{ cat "$golden"; printf '\xff'; } >"$work/damaged"
check trace_tool_tells_damage 1 'the file is damaged here' "$work/damaged"
printf 'something else' >"$work/other"
check trace_tool_refuses_other_files 1 'not a trace' "$work/other"
check trace_tool_needs_the_file 1 'No such file or directory' --replay "$work/none"
check trace_tool_needs_a_file_to_write 1 'No such file or directory' \
  --record "$work/no/file" qemu:e1000

# The device's number in the header: 0x100e as a varint is 8e 20; 0x100f has no driver.
LC_ALL=C sed '1s/\x8e\x20/\x8f\x20/' "$golden" >"$work/unknown"
check trace_tool_names_its_drivers 1 'no driver to replay 8086:100f with; there are e1000' \
  --replay "$work/unknown"

check trace_tool_usage_none 2 'FILE is missing'
check trace_tool_usage_address 2 'ADDRESS is missing' --record "$work/x"
check trace_tool_usage_two 2 'one too many' "$golden" "$golden"
check trace_tool_usage_both 2 'exclude each other' --record --replay "$golden"
check trace_tool_usage_filter 2 'unknown option -s' -s 0 "$golden"
exit "$failed"
