#!/bin/bash
# SPDX-License-Identifier: MIT
# Bad input: one line that names the remedy, and the device stays usable. In a guest with edu and
# e1000.
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

edu=$(address 1234:11e8)
e1000=$(address 8086:100e)
sink=/tmp/stderr

# one_line COMMAND...: passes its status on; fails if it says more, or less, than a line on stderr.
one_line() {
  local status=0
  "$@" 2>"$sink" >/dev/null || status=$?
  cat "$sink"
  [ "$(wc -l <"$sink")" = 1 ] || return 99
  return "$status"
}

check edu_unbound 1 "userpci bind $edu" one_line edu "$edu"
check unic_unbound 1 "userpci bind $e1000" one_line unic info "$e1000"
check no_such_device 1 "userpci list" one_line edu 0000:00:13.0
check no_address 1 "DDDD:BB:DD.F" one_line edu nonsense
check bind_nothing_found 1 dead:beef one_line userpci bind -d dead:beef
check bind_bad_filter 2 "zz" userpci bind -d zz
check bind_no_filter 2 "" userpci bind
check unknown_command 2 "frobnicate" userpci frobnicate
check unbind_unbound 3 "$edu" one_line userpci unbind "$edu"

userpci bind "$edu" >/dev/null || echo "not ok bind"
userpci bind "$e1000" >/dev/null || echo "not ok bind"
check usable 0 "edu: DMA" edu "$edu"

# Owned by another process.
exec 7<>"/dev/userpci/$edu"
check edu_busy 1 "in use by process $$" one_line edu "$edu"
check unbind_busy 3 "$$" one_line userpci unbind "$edu"
exec 7>&-
check usable_after_busy 0 "edu: DMA" edu "$edu"

# Without permission.
nobody() {
  setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}
check edu_not_root 1 "run as root" one_line nobody edu "$edu"
check bind_not_root 1 "run as root" one_line nobody userpci unbind "$edu"
check edu_no_rawio 1 "CAP_SYS_RAWIO" one_line setpriv --bounding-set -sys_rawio edu "$edu"
check unic_not_a_nic 1 "no driver" one_line unic info "$edu"
check usable_after_refusals 0 "edu: DMA" edu "$edu"
check unic_usable 0 "52:54:00:12:34:56" unic info "$e1000"

# Without the module.
userpci unbind --all >/dev/null || echo "not ok unbind"
rmmod userpci || echo "not ok rmmod"
check edu_no_module 1 "modprobe userpci" one_line edu "$edu"
check bind_no_module 3 "modprobe userpci" one_line userpci bind "$edu"
finish
