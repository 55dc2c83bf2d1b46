#!/bin/bash
# SPDX-License-Identifier: MIT
# Linux on our driver, by unic tap, against Linux on the host's side of the cable: boots a guest
# with an e1000, and is what runs in it (guest) and beside it (peer).
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

ip=10.99.0.2
limit=300

# measure OPTION...: 4 MB by iperf3, with a report in JSON. Its exit status is 0 also when there is
# no server yet.
# shellcheck disable=SC2317  # by within
measure() {
  iperf3 -c "$ip" -n 4M -J "$@" >"$work/report"
  grep -q sum_received "$work/report"
}

# shellcheck disable=SC2317  # by check
received() {
  python3 -c 'import json, sys; n = json.load(sys.stdin)["end"]["sum_received"]["bytes"]
print("received" if n else n)' <"$work/report"
}

# shellcheck disable=SC2317  # by within
send() {
  cat "$work/data" >"/dev/tcp/$ip/5000"
}

# shellcheck disable=SC2317  # by within
fetch() {
  cat <"/dev/tcp/$ip/5001" >"$work/fetched"
}

peer() {
  within ping -c 1 -W 1 "$ip"
  check tap_ping 0 "100 received" ping -q -c 100 -i 0.05 -w 60 "$ip" -s 1400
  check tap_ping_fragments 0 "10 received" ping -q -c 10 -i 0.05 -w 60 "$ip" -s 20000
  within send
  within fetch
  check tap_sends_intact 0 "" cmp "$work/data" "$work/fetched"
  within measure
  check tap_iperf3 0 received received
  within measure -R
  check tap_iperf3_back 0 received received
  # At its end the guest would end as well.
  within test -e "$work/done"
  finish
}

guest() {
  local address tap status
  address=$(address 8086:100e)
  userpci bind "$address" >/dev/null
  modprobe tun
  unic tap "$address" >"$work/said" 2>&1 &
  tap=$!
  within grep -q ready "$work/said"
  check tap_ready 0 "interface unic0, link up 1000" cat "$work/said"
  ip addr add "$ip/24" dev unic0 && ip link set unic0 up
  check tap_mac 0 52:54:00:12:34:56 cat /sys/class/net/unic0/address
  check tap_mtu 0 1500 cat /sys/class/net/unic0/mtu
  check tap_carrier 0 1 cat /sys/class/net/unic0/carrier
  busybox nc -l -p 5000 >/tmp/received
  check tap_receives_intact 0 "" cmp "$work/data" /tmp/received
  busybox nc -l -p 5001 <"$work/data" >/dev/null
  iperf3 -s -1 >/dev/null
  iperf3 -s -1 >/dev/null
  kill -INT "$tap"
  status=0
  wait "$tap" || status=$?
  check tap_ends 0 "status 0." echo "status $status."
  check tap_summary 0 " that Linux did not take, 0 of a kind that cannot be sent" cat "$work/said"
  check tap_is_gone 1 "" test -e /sys/class/net/unic0
  touch "$work/done"
  finish
}

case ${1:-} in
peer | guest)
  work=$2
  "$1"
  ;;
*)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  head -c 4000000 /dev/urandom >"$work/data"
  qemu/run --timeout "$limit" --device e1000 --net tap --share "$work" --env O="$O" \
    --peer "O='$O' tests/system/tap.sh peer '$work'" -- tests/system/tap.sh guest "$work"
  ;;
esac
