#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# unic cap and unic replay on a device of QEMU's, whose cable ends in sockets here: what was on the
# wire is in the file, as tcpdump reads it, and what is in the file comes to the wire. Prints a line
# `ok NAME`, `not ok NAME: WHY` or `skip NAME: WHY` a case.
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
O=$(readlink -f "${O:-$root/build}")
wire=$root/tests/unit/wire.py

for tool in "${USERPCI_QEMU:-qemu-system-x86_64}" tcpdump python3; do
  command -v "$tool" >/dev/null || {
    echo "skip unic-cap: there is no $tool; run scripts/setup check"
    exit 0
  }
done

# The shell that kills jobs has no trap: one that is killed before it became a program would run it,
# too, and take the folder away.
if [ "${1:-}" != inside ]; then
  work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  "$root/tests/unit/unic-cap.sh" inside "$work"
  exit
fi
work=$2
cd "$work" || exit 1
make -s -C "$root" O="$O" "$O/bin/unic" >made 2>&1 || {
  echo "not ok unic-cap: unic cannot be built: $(tail -n 1 made)"
  exit 1
}
unic=${UNIC:-$O/bin/unic}
nic=qemu:e1000,netdev=wire
failed=0 status='' run=0

# report NAME REASONS: no reason means that the case has passed.
report() {
  if [ -z "$2" ]; then
    echo "ok $1"
    return
  fi
  echo "not ok $1: ${2//$'\n'/; }"
  failed=1
  sed 's/^/# out: /' out >&2
  sed 's/^/# err: /' err >&2
}

# Names for the two ends of the next run's cable.
cable() {
  run=$((run + 1))
  export USERPCI_QEMU_ARGS="-netdev dgram,id=wire,local.type=unix,local.path=$work/nic$run"
  USERPCI_QEMU_ARGS+=",remote.type=unix,remote.path=$work/wire$run"
}

unic() {
  timeout 120 "$unic" "$@" >out 2>err </dev/null
  status=$?
}

# listening: waits until unic says so, or has ended.
listening() {
  local tries=0
  until grep -q listening err || ! kill -0 "$1" 2>/dev/null || [ $((tries += 1)) -gt 1200 ]; do
    sleep 0.05
  done
}

# cap FRAMES ARGUMENT...: unic cap, while the frames of a file come by the wire. Not before it
# listens: QEMU's e1000 loses what waits when bus mastering is switched on.
cap() {
  local frames=$1 pid sender
  shift
  cable
  : >err
  timeout 120 "$unic" cap "$nic" "$@" >out 2>err </dev/null &
  pid=$!
  listening "$pid"
  "$wire" send "$frames" "$work/wire$run" "$work/nic$run" 2>sender &
  sender=$!
  wait "$pid"
  status=$?
  # A command that ended before all frames came leaves the rest in the sender's hands.
  kill "$sender" 2>/dev/null
  wait "$sender" 2>/dev/null
}

# taking COUNT: takes so many frames from the next run's wire, into the file `taken`.
taking() {
  local tries=0
  cable
  "$wire" take taken "$1" "$work/wire$run" 2>taker &
  taker=$!
  until [ -S "wire$run" ] || [ $((tries += 1)) -gt 400 ]; do
    sleep 0.05
  done
}

# replay COUNT FILE OPTION...: of at most 10 frames, which the wire's socket holds. What is still in
# QEMU when the command ends is lost.
replay() {
  local count=$1
  shift
  taking "$count"
  unic replay "$nic" "$@"
  [ "$status" = 0 ] || kill "$taker" 2>/dev/null
  wait "$taker"
}

# replay_many COUNT FILE OPTION...: the file comes by a pipe, which ends when COUNT frames are here.
replay_many() {
  local count=$1 file=$2
  shift 2
  taking "$count"
  { cat "$file"; tail -s 0.05 --pid="$taker" -f /dev/null; } |
    timeout 120 "$unic" replay "$nic" - "$@" >out 2>err
  status=$?
  wait "$taker"
}

want_status() {
  [ "$status" = "$1" ] || printf 'exit status %s, not %s. ' "$status" "$1"
}
want_text() {
  grep -qF -- "$2" "$1" || printf "no '%s' in %s. " "$2" "$1"
}
# want COMMAND...: what it says when it fails.
want() {
  local said
  said=$("$@" 2>&1) || printf '%s: %s. ' "${*:1:3}" "$(tail -n 1 <<<"$said")"
}

# read_back FILE: as tcpdump reads it, into the pcap file FILE.pcap.
read_back() {
  tcpdump -r "$1" -w "$1.pcap" 2>/dev/null || echo "tcpdump cannot read $1. "
}

# --- cap ---------------------------------------------------------------------------------------

test_cap() {
  cap sent -w file --count 320
  report cap "$(want_status 0)$(read_back file)$(
    want_text err '320 frames captured, 320 received, 0 dropped')$(
    want "$wire" same sent file.pcap)"
  report cap_pcapng "$(want "$wire" pcapng file 0000:00:01.0 262144 320 320)"
}

# The reader of a pipe sees each frame soon, and the command ends with its reader.
test_cap_pipe() {
  local pid
  cable
  : >err
  { timeout 120 "$unic" cap "$nic" -w - 2>err || echo "exit status $?" >>err; } |
    timeout 120 tcpdump -r - -c 200 -w piped.pcap 2>/dev/null &
  pid=$!
  listening "$pid"
  "$wire" send sent "$work/wire$run" "$work/nic$run" 2>sender
  wait "$pid"
  tcpdump -r sent -c 200 -w first.pcap 2>/dev/null
  : >out
  report cap_pipe "$(want "$wire" same first.pcap piped.pcap)$(
    grep -q 'exit status\|Broken' err && echo 'it does not end well')"
}

test_cap_filter() {
  tcpdump -r sent -w wanted 'udp port 53 and greater 100' 2>/dev/null
  local count
  count=$(tcpdump -nr wanted 2>/dev/null | grep -c ' > ')
  cap sent -w filtered --filter 'udp port 53 and greater 100' --count "$count"
  report cap_filter "$(want_status 0)$(read_back filtered)$(
    want "$wire" same wanted filtered.pcap)$(
    [ "$count" -gt 50 ] || echo 'too few frames match')"
}

test_cap_snaplen() {
  cap sent -w short --snaplen 100 --count 320
  report cap_snaplen "$(want_status 0)$(want "$wire" pcapng short 0000:00:01.0 100 320 320)"
}

# 2,500 frames of 1,514 bytes are 3.9 million: the fourth file takes the place of the first.
test_cap_ring() {
  local part why=
  "$wire" make long 2500 1514
  cap long -w ring --size 1 --files 3 --count 2500
  why=$(want_status 0)
  for part in ring.1 ring.2 ring.3; do
    why+=$(read_back "$part")
    [ "$(stat -c %s "$part")" -le 1000200 ] || why+="$part is too long. "
  done
  [ ! -e ring ] && [ ! -e ring.4 ] || why+='there are other files. '
  [ "$(stat -c %s ring.2)" -gt 998000 ] || why+='ring.2 is short. '
  report cap_ring "$why$(want "$wire" same --tail long ring.1.pcap ring.2.pcap ring.3.pcap)"
}

test_cap_lines() {
  cap sent --count 4
  report cap_lines "$(want_status 0)$(
    want_text out '   60 02:00:00:00:00:01 > 52:54:00:12:34:56 0x88b5')$(
    want_text out '   97 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff 0x0800')$(
    want_text out '  171 02:00:00:00:00:01 > 02:00:00:00:00:99 0x88b5')$(
    [ "$(wc -l <out)" = 4 ] || echo 'not four lines')"
}

test_cap_not_promiscuous() {
  tcpdump -r sent -w wanted 'not ether dst 02:00:00:00:00:99' 2>/dev/null
  cap sent -p -w selected --count 240
  report cap_not_promiscuous "$(want_status 0)$(read_back selected)$(
    want "$wire" same wanted selected.pcap)"
}

test_cap_time() {
  cable
  unic cap "$nic" -w empty --time 0.2
  report cap_time "$(want_status 0)$(want "$wire" pcapng empty 0000:00:01.0 262144 0 0)"
}

test_cap_disk_full() {
  cap sent -w /dev/full
  report cap_disk_full "$(want_status 1)$(
    want_text err '/dev/full: write: No space left on device')"
}

test_cap_wrong() {
  cable
  unic cap "$nic" --filter 'no such thing'
  report cap_wrong_filter "$(want_status 2)$(want_text err 'unic: cap: --filter: ')"
  unic cap "$nic" -w file --size 1
  report cap_wrong_ring "$(want_status 2)$(want_text err 'go together')"
  unic cap "$nic" -w /nonexistent/file
  report cap_wrong_file "$(want_status 1)$(want_text err '/nonexistent/file: write: No such file')"
}

# --- replay ------------------------------------------------------------------------------------

# A multiple of a burst: what does not fill one waits for the file's end.
test_replay() {
  replay_many 320 sent --speed max
  report replay "$(want_status 0)$(want_text out ' 320 frames sent, ')$(
    want "$wire" same sent taken)"
  replay_many 320 file --speed max
  report replay_pcapng "$(want_status 0)$(want "$wire" same sent taken)"
  replay_many 320 sent
  report replay_original "$(want_status 0)$(want "$wire" same sent taken)"
}

# took SECONDS: whether that, or more.
took() {
  awk -v least="$1" '/ frames sent/ { while (++i < NF) if ($(i + 1) == "s,") exit !($i >= least) }
    END { exit !NR }' out || echo "it took less than $1 s. "
}

# Of 6 frames 100 ms apart the last leaves 500 ms after the first, or later.
test_replay_pauses() {
  "$wire" make slow 6 60 100
  replay 6 slow
  report replay_pauses "$(want_status 0)$(want "$wire" same slow taken)$(took 0.5)"
  replay 6 slow --speed 5.0x
  report replay_pauses_faster "$(want_status 0)$(want "$wire" same slow taken)$(took 0.1)"
  replay 6 slow --speed 0.5x
  report replay_pauses_slower "$(want_status 0)$(want "$wire" same slow taken)$(took 1)"
}

test_replay_loop() {
  tcpdump -r sent -c 3 -w first.pcap 2>/dev/null
  replay 9 first.pcap --speed max --loop 3
  { cat first.pcap; tail -c +25 first.pcap; tail -c +25 first.pcap; } >thrice
  report replay_loop "$(want_status 0)$(want_text out ' 9 frames sent, ')$(
    want "$wire" same thrice taken)"
}

# Frames of 20 and 1,600 bytes, and one of which the capture has only the beginning.
test_replay_lengths() {
  "$wire" make tiny 3 20
  "$wire" make large 2 1600
  tcpdump -r sent -c 2 -w two.pcap 2>/dev/null
  tcpdump -r short -c 3 -w cut.pcap 2>/dev/null
  { cat tiny; tail -c +25 large; tail -c +25 cut.pcap; tail -c +25 tiny; } >mixed
  { cat tiny; tail -c +25 two.pcap; tail -c +25 tiny; } >wanted
  replay 8 mixed --speed max
  report replay_lengths "$(want_status 0)$(want "$wire" same --padded wanted taken)$(
    want_text out ' not sent: 2 too long, 1 cut short by the capture')"
}

test_replay_wrong() {
  unic replay "$nic" /nonexistent/file
  report replay_no_file "$(want_status 1)$(
    want_text err 'unic: /nonexistent/file: No such file or directory')"
  echo 'no capture, but long enough to be looked at' >text
  unic replay "$nic" text
  report replay_no_capture "$(want_status 1)$(want_text err 'unic: text: unknown file format')"
  { head -c 20 sent; printf '\0\0\0\0'; } >loopback
  unic replay "$nic" loopback
  report replay_no_ethernet "$(want_status 1)$(want_text err 'not of an Ethernet interface')"
  unic replay "$nic" sent --speed fast
  report replay_wrong_speed "$(want_status 2)$(want_text err 'original, max, or as 2.5x, not fast')"
  head -c 1000 sent >torn
  cable
  unic replay "$nic" torn --speed max
  report replay_torn_file "$(want_status 1)$(want_text err 'unic: torn: ')"
}

"$wire" make sent 320
test_cap
test_cap_pipe
test_cap_filter
test_cap_snaplen
test_cap_ring
test_cap_lines
test_cap_not_promiscuous
test_cap_time
test_cap_disk_full
test_cap_wrong
test_replay
test_replay_pauses
test_replay_loop
test_replay_lengths
test_replay_wrong
exit $failed
