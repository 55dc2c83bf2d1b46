#!/bin/bash
# SPDX-License-Identifier: MIT
# The tool is killed before each of the changes that it makes; 'userpci restore' then puts things
# right. With a real interface, all of whose settings must be as they were. In a guest with edu and
# e1000. tests/unit/bind-crash.c does the same in full, on a fake sysfs.
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

edu=$(address 1234:11e8)
e1000=$(address 8086:100e)
kill_at=$O/tests/system/kill-at
state() {
  local device
  for device in "$edu" "$e1000"; do
    echo "$device $(basename "$(readlink "/sys/bus/pci/devices/$device/driver" || echo none)")" \
      "$(cat "/sys/bus/pci/devices/$device/driver_override")"
  done
  ip -o link show lan7 2>/dev/null |
    sed 's/^[0-9]*: //; s/ state [A-Z]*//; s/NO-CARRIER,//; s/,LOWER_UP//'
  ip -o address show dev lan7 scope global 2>/dev/null | sed 's/^[0-9]*: //'
  ip route show dev lan7 2>/dev/null | sed 's/ linkdown//'
  find /run/userpci /etc/udev/rules.d /var/lib/userpci -type f ! -name lock 2>/dev/null
}

# kill_each NAME STRIDE COMMAND...: killed before change 1, 1 + STRIDE... Afterwards all must be as
# in $before, or, if it had got to its end, as in $done.
kill_each() {
  local name=$1 stride=$2 n status wrong=0 points=0 now
  shift 2
  for ((n = 1; n < 200; n += stride)); do
    status=0
    "$kill_at" "$n" "$@" >/dev/null 2>&1 || status=$?
    [ "$status" = 137 ] || break
    points=$((points + 1))
    userpci restore >/run/said 2>&1 || wrong=1
    now=$(state)
    if [ "$now" != "$before" ]; then
      [ "$now" = "$done" ] || wrong=1
      userpci unbind --force --all >/dev/null 2>&1
    fi
    if [ $wrong = 1 ]; then
      echo "not ok $name: killed before change $n: $(diff <(echo "$before") <(echo "$now") |
        tr '\n' '|') $(tr '\n' '|' </run/said)"
      failures=$((failures + 1))
      return
    fi
    [ "$name" = crash_bind ] || userpci bind --force "$edu" "$e1000" >/dev/null 2>&1
  done
  if [ "$points" -ge 5 ] && [ "$status" = 0 ]; then
    echo "ok $name"
  else
    echo "not ok $name: killed $points times, the end was $status"
    failures=$((failures + 1))
  fi
}

modprobe e1000
mount -t tmpfs rules /etc/udev
ip link set "$(basename /sys/bus/pci/devices/"$e1000"/net/*)" name lan7 mtu 1400
ip link set lan7 up
ip address add 10.1.2.3/24 dev lan7
ip route add default via 10.1.2.1 metric 7
before=$(state)
userpci bind --force "$edu" "$e1000" >/dev/null 2>&1
done=$(state 2>/dev/null)
userpci unbind "$edu" "$e1000" >/dev/null 2>&1
kill_each crash_bind 6 userpci bind --force "$edu" "$e1000"
userpci unbind --force --all >/dev/null 2>&1
userpci bind --force "$edu" "$e1000" >/dev/null 2>&1
kill_each crash_unbind 7 userpci unbind "$edu" "$e1000"
check crash_end 0 "" diff <(echo "$before") <(state)
check crash_nothing_left 0 "." sh -c 'userpci restore 2>&1; echo .'
finish
