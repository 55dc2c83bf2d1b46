#!/bin/bash
# SPDX-License-Identifier: MIT
# userspace/examples/http.c, TCP in user space down to the registers, against curl on the host's
# side of the cable: boots a guest with an e1000, and is what runs in it (guest) and beside it
# (peer).
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

ip=10.99.0.2
size=20000000

# The body that the server makes.
body() {
  seq -f %015.0f 0 $((size / 16)) | head -c "$size"
}

# fetch OPTION... PATH
fetch() {
  curl -sS --connect-timeout 2 --retry 30 --retry-delay 1 --retry-all-errors -m 200 \
    "${@:1:$#-1}" "http://$ip${*: -1}"
}

# shellcheck disable=SC2317  # by check
sum() {
  fetch "$@" | sha256sum
}

# shellcheck disable=SC2317  # by check
two_at_once() {
  fetch /1 | sha256sum >"$work/1" &
  fetch /2 | sha256sum >"$work/2"
  wait
  cat "$work/1"
  cmp "$work/1" "$work/2"
}

peer() {
  local wanted
  wanted=$(body | sha256sum)
  check http_20_MB 0 "$wanted" sum /
  check http_two_at_once 0 "$wanted" two_at_once
  check http_head 0 "Content-Length: $size" fetch -I /
  check http_ping 0 "20 received" ping -q -c 20 -i 0.05 -w 60 "$ip"
  check http_bad_request 0 400 fetch -X DELETE -o /dev/null -w '%{http_code}' /
  finish # which ends the server
}

# guest: with SIGINT, when the peer has ended, it has to end with 0.
guest() {
  local address
  address=$(address 8086:100e)
  userpci bind "$address" >/dev/null
  exec http "$address" --ip "$ip/24" --size "$size"
}

case ${1:-} in
peer | guest)
  work=$2
  "$1"
  ;;
*)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  qemu/run --timeout 400 --device e1000 --net tap --env O="$O" \
    --peer "O='$O' tests/system/http.sh peer '$work'" -- tests/system/http.sh guest "$work"
  ;;
esac
