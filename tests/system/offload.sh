#!/bin/bash
# SPDX-License-Identifier: MIT
# virtio-net with all that it can do: QEMU's has checksums, segmentation and several queues where
# its netdev is a tap device. So the other end is Linux, here in network namespaces of this test's
# own; neither guest nor module.
#
#   offload.sh            all of it
#   offload.sh suite M    tests/suite on the model M, in a new namespace
#   offload.sh tap M D    Linux over unic tap on QEMU's device D, against Linux on its tap device
#   offload.sh fwd        Linux against Linux through unic fwd, with two queues
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

here=$(readlink -f "$0")
far=10.99.0.2

# in_namespace ARGUMENT...: this script again, in a network namespace of its own.
in_namespace() {
  local -a unshare=(unshare --net)
  [ "$(id -u)" = 0 ] || unshare+=(--map-root-user)
  "${unshare[@]}" "$here" "$@"
}

# make_tap NAME MTU [multi_queue]: nothing goes over it that nobody asked for.
make_tap() {
  if ! ip tuntap add dev "$1" mode tap ${3:+"$3"} ||
    ! ip link set "$1" mtu "$2" addrgenmode none up; then
    echo "not ok tap: no tap device; be root, or allow user namespaces and /dev/net/tun"
    exit 1
  fi
}

# --- The suite ------------------------------------------------------------------------------------

run_suite() {
  make_tap tap0 9100 multi_queue # as long frames as the tests send
  SUITE_TAP=tap0 SUITE_NIC=$1 exec "$O/tests/suite/suite" "$1/"
}

# --- Linux at both ends ---------------------------------------------------------------------------

# A second namespace, and commands in it. It lasts as long as the process that holds it.
# shellcheck disable=SC2317  # by the trap
leave() {
  # shellcheck disable=SC2046  # words
  kill $(jobs -p) 2>/dev/null
  rm -rf "$work"
}

enter() {
  work=$(mktemp -d)
  trap leave EXIT
  ip link set lo up
  unshare --net sleep 300 &
  holder=$!
  within other_namespace
  across ip link set lo up
}

# shellcheck disable=SC2317  # by within
other_namespace() {
  [ "$(readlink /proc/"$holder"/ns/net)" != "$(readlink /proc/self/ns/net)" ]
}

across() {
  nsenter --net="/proc/$holder/ns/net" "$@"
}

# move NAME: to the other namespace, as its end of the way.
move() {
  ip link set "$1" netns "$holder"
  across ip link set "$1" addrgenmode none up
  across ip addr add "$far/24" dev "$1"
}

# shellcheck disable=SC2317  # by within
send_file() {
  cat "$work/data" >"/dev/tcp/$far/5000"
}

# shellcheck disable=SC2317  # by within
fetch_file() {
  cat <"/dev/tcp/$far/5001" >"$work/fetched" && [ -s "$work/fetched" ]
}

# What came from the device, as Linux counts it on its tap: bytes and frames.
counts() {
  awk '$1 == "tap0:" { print $2, $3 }' /proc/net/dev
}

# transfer NAME: a file each way, by servers at the other end. Sets $each to the average length of
# the frames in which it came from there.
transfer() {
  local servers=() bytes frames more_bytes more_frames
  head -c 20000000 /dev/urandom >"$work/data"
  across timeout 60 busybox nc -l -p 5000 >"$work/received" &
  servers+=($!)
  within send_file
  across timeout 60 busybox nc -l -p 5001 <"$work/data" >/dev/null &
  servers+=($!)
  read -r bytes frames < <(counts)
  within fetch_file
  read -r more_bytes more_frames < <(counts)
  each=$(((more_bytes - bytes) / (more_frames - frames)))
  wait "${servers[@]}"
  check "$1_receives_intact" 0 "" cmp "$work/data" "$work/received"
  check "$1_sends_intact" 0 "" cmp "$work/data" "$work/fetched"
}

# errors COMMAND...: segments of TCP with a wrong checksum, in the namespace that COMMAND is for.
# shellcheck disable=SC2016,SC2317  # awk's; by check
errors() {
  "$@" awk '/^Tcp:/ && !n { n = split($0, names) ; next }
    /^Tcp:/ { for (i = 1; i <= n; i++) if (names[i] == "InCsumErrors") print $i " errors" }' \
    /proc/net/snmp
}

# shape SIZE LENGTH
# shellcheck disable=SC2317  # by check
shape() {
  if [ "$2" -gt "$1" ]; then echo larger; else echo "$2 bytes each"; fi
}

# --- unic tap -------------------------------------------------------------------------------------

tap() {
  local name=$1 unic status=0
  enter
  make_tap tap0 1500
  ip addr add 10.99.0.1/24 dev tap0
  export USERPCI_QEMU_ARGS="-netdev tap,id=lan,ifname=tap0,script=no,downscript=no"
  unic tap "qemu:$2,netdev=lan" >"$work/said" 2>&1 &
  unic=$!
  within grep -q ready "$work/said"
  check "$name"_ready 0 "interface unic0" cat "$work/said"
  move unic0
  within ping -c 1 -W 1 "$far"
  transfer "$name"
  check "$name"_leaves_frames_to_be_cut 0 larger shape 1514 "$each"
  check "$name"_ping_fragments 0 "10 received" ping -q -c 10 -i 0.05 -w 20 "$far" -s 20000
  check "$name"_checksums 0 "0 errors" errors
  check "$name"_checksums_across 0 "0 errors" errors across
  kill -INT "$unic"
  wait "$unic" || status=$?
  check "$name"_ends 0 "status 0." echo "status $status."
  check "$name"_summary 0 " that Linux did not take, 0 of a kind that cannot be sent" \
    cat "$work/said"
}

# --- unic fwd -------------------------------------------------------------------------------------

# Each device of one program needs a netdev of its own.
make_qemu() {
  cat >"$work/qemu" <<'QEMU'
#!/bin/bash
for word; do
  case $word in
  virtio-net*,netdev=tap*)
    name=${word#*netdev=} name=${name%%,*}
    set -- -netdev "tap,id=$name,ifname=$name,script=no,downscript=no,queues=2" "$@"
    ;;
  esac
done
exec "$EMULATOR" "$@"
QEMU
  chmod 755 "$work/qemu"
  export EMULATOR=${USERPCI_QEMU:-qemu-system-x86_64} USERPCI_QEMU=$work/qemu
}

# Sixteen connections at once, over both queues.
# shellcheck disable=SC2317  # by check
many_connections() {
  across timeout 60 iperf3 -s -1 >/dev/null &
  local server=$!
  within measure "$@"
  wait "$server"
  python3 -c 'import json, sys; end = json.load(sys.stdin)["end"]
print("received" if end["sum_received"]["bytes"] else "nothing came")' <"$work/report"
}

# Its exit status is 0 also when there is no server yet.
# shellcheck disable=SC2317  # by within
measure() {
  iperf3 -c "$far" -P 16 -n 20M -J "$@" >"$work/report" && grep -q sum_received "$work/report"
}

fwd() {
  local forwarder status=0 queues=mq=on,vectors=6
  enter
  make_qemu
  make_tap tap0 1500 multi_queue
  make_tap tap1 1500 multi_queue
  ip addr add 10.99.0.1/24 dev tap0
  unic fwd "qemu:virtio-net-pci,netdev=tap0,$queues" --queues 2 --json \
    "qemu:virtio-net-pci,packed=on,netdev=tap1,$queues" >"$work/said" 2>"$work/errors" &
  forwarder=$!
  within grep -q 'ready.*netdev=tap1' "$work/said"
  check fwd_ready 0 '"queues":2' cat "$work/said"
  move tap1
  within ping -c 1 -W 1 "$far"
  transfer fwd
  check fwd_many_connections 0 received many_connections
  check fwd_many_connections_back 0 received many_connections -R
  check fwd_checksums 0 "0 errors" errors
  check fwd_checksums_across 0 "0 errors" errors across
  kill -INT "$forwarder"
  wait "$forwarder" || status=$?
  check fwd_ends 0 "status 0." echo "status $status."
  check fwd_says_what_it_did 0 '"copied":true' cat "$work/said"
}

# --- All ------------------------------------------------------------------------------------------

# At once, for most of it is to wait.
all() {
  local out status=0 i
  local -a parts=("suite virtio-net-tap" "suite virtio-net-packed-tap" "tap tap virtio-net-pci"
    "tap tap_packed virtio-net-pci,packed=on" fwd) pids=()
  out=$(mktemp -d)
  for i in "${!parts[@]}"; do
    # shellcheck disable=SC2086  # words
    in_namespace ${parts[i]} >"$out/$i" 2>&1 &
    pids+=($!)
  done
  for i in "${!parts[@]}"; do
    wait "${pids[i]}" || status=1
    cat "$out/$i"
  done
  rm -r "$out"
  return $status
}

case ${1:-} in
suite) run_suite "$2" ;;
tap)
  tap "$2" "$3"
  finish
  ;;
fwd)
  fwd
  finish
  ;;
*) all ;;
esac
