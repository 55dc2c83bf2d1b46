#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The subcommands of unic on QEMU's e1000: what they say to wrong input, how they end, and frames
# from gen to recv, also through fwd, over cables between QEMUs of their own. Prints a line
# `ok NAME`, `not ok NAME: WHY` or `skip NAME: WHY` a case.
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
O=$(readlink -f "${O:-$root/build}")
tool=$O/bin/unic
emulator=${USERPCI_QEMU:-qemu-system-x86_64}
failed=0 status=

command -v "$emulator" >/dev/null || {
  echo "skip unic: there is no QEMU; run scripts/setup guest"
  exit 0
}
work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
pids=()
# shellcheck disable=SC2317  # by the trap
clean_up() {
  [ ${#pids[@]} = 0 ] || kill -KILL "${pids[@]}" 2>/dev/null
  rm -rf "$work"
}
trap clean_up EXIT

make -s -C "$root" O="$O" "$tool" >"$work/make" 2>&1 || {
  echo "not ok unic: the tool cannot be built: $(tail -n 1 "$work/make")"
  exit 1
}

# A cable is two sockets. A device with netdev=AtoB has the end A, and B is the other's: each QEMU
# needs arguments of its own, which the environment cannot give to two of one program.
cat >"$work/qemu" <<'QEMU'
#!/usr/bin/env bash
for word; do
  case $word in
  e1000*,netdev=*to*)
    id=${word#*netdev=} id=${id%%,*}
    exec "$EMULATOR" -netdev "dgram,id=$id,local.type=unix,local.path=$CABLES/${id%to*},\
remote.type=unix,remote.path=$CABLES/${id#*to}" "$@"
    ;;
  esac
done
exec "$EMULATOR" "$@"
QEMU
chmod 755 "$work/qemu"
export EMULATOR=$emulator CABLES=$work USERPCI_QEMU=$work/qemu

# report NAME REASONS: no reason means that the case has passed.
report() {
  if [ -z "$2" ]; then
    echo "ok $1"
    return
  fi
  echo "not ok $1: ${2//$'\n'/; }"
  failed=1
  tail -n +1 "$work"/*.out "$work"/*.err 2>/dev/null | sed 's/^/# /' >&2
}

# run ARGUMENT...: into one.out and one.err.
run() {
  status=0
  timeout 120 "$tool" "$@" >"$work/one.out" 2>"$work/one.err" </dev/null || status=$?
}

# start NAME ARGUMENT...: into NAME.out and NAME.err, until it says that it is ready; sets $pid. No
# timeout between, for its signals are for unic.
start() {
  local name=$1
  shift
  : >"$work/$name.out"
  "$tool" "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
  pid=$!
  pids+=("$pid")
  wait_until ready_or_ended "$name" "$pid"
}
# shellcheck disable=SC2317  # by wait_until
ready_or_ended() { grep -q ready "$work/$1.out" || ended "$2"; }

# finish PID [SIGNAL]: sets $status.
finish() {
  [ $# = 1 ] || kill -s "$2" "$1" 2>/dev/null
  wait_until ended "$1"
  status=0
  wait "$1" || status=$?
}

# shellcheck disable=SC2317  # by wait_until
ended() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status"; }

# wait_until COMMAND...: at most a minute; prints a reason when it did not come true.
wait_until() {
  local tries=0
  until "$@" 2>/dev/null; do
    [ $((tries += 1)) -lt 1200 ] || { echo "not within a minute: $*. "; return 1; }
    sleep 0.05
  done
}

want_status() {
  [ "$status" = "$1" ] || printf 'exit status %s, not %s. ' "$status" "$1"
}
# want FILE TEXT...
want() {
  local file=$1 text
  shift
  for text; do
    grep -qF -- "$text" "$work/$file" || printf "no '%s' in %s. " "$text" "$file"
  done
}
want_lines() {
  local lines
  lines=$(wc -l <"$work/$1")
  [ "$lines" = "$2" ] || printf '%s lines in %s, not %s. ' "$lines" "$1" "$2"
}
want_json() {
  python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]' <"$work/$1" 2>/dev/null ||
    printf 'no JSON in %s. ' "$1"
}

# --- Wrong usage -------------------------------------------------------------------------------

# refuses NAME TEXT ARGUMENT...: one line that has TEXT and says where help is; nothing is opened.
refuses() {
  local name=$1 text=$2
  shift 2
  run "$@"
  report "unic_$name" "$(want_status 2)$(want one.err "$text" "see 'unic ")$(want_lines one.err 1
  )$(want_lines one.out 0)"
}

refuses no_command 'a command is missing'
refuses unknown_command 'unknown command frobnicate' frobnicate
for command in info stats gen recv echo; do
  refuses "${command}_no_address" "$command: ADDRESS is missing" "$command"
  refuses "${command}_two_addresses" "$command: one too many: b" "$command" a b
done
for command in list info stats gen recv fwd echo; do
  refuses "${command}_unknown_option" "unknown option --x" "$command" --x
done
refuses list_address 'one too many: a' list a
refuses fwd_no_address 'ADDRESS is missing' fwd
refuses fwd_one_address 'a second ADDRESS is missing' fwd a
refuses fwd_three_addresses 'one too many: c' fwd a b c
refuses fwd_queues '--queues takes a number from 1 to 16, as 500 or 10k, not 17' fwd --queues 17 a b
refuses gen_no_rate '--rate takes a number' gen a --rate 0
refuses gen_bad_rate '--rate takes a number' gen a --rate 10q
refuses gen_rate_missing 'a value is missing after --rate' gen a --rate
refuses gen_small '--size takes bytes from 60 to 1514' gen a --size 59
refuses gen_large '--sizes takes bytes from 60 to 1514' gen a --sizes 60-1515
refuses gen_sizes_reversed '--sizes takes bytes' gen a --sizes 100-60
refuses gen_bad_mac '--to takes a MAC address' gen a --to 02:00:00:00:00
refuses gen_few_flows '--flows must not be below --queues' gen a --flows 2 --queues 3
refuses gen_no_count '--count takes a number from 1, as' gen a --count 0
refuses gen_half_a_frame '--count takes a number' gen a --count 1.5
refuses gen_bad_time '--time takes a time, as 10, 0.5, 200ms or 2m, not 2x' gen a --time 2x
refuses recv_few '--count must not be below --expect' recv a --count 9 --expect 10
refuses stats_no_interval '--interval takes a time' stats a --interval 0
refuses echo_no_ip '--ip A.B.C.D is missing' echo a
refuses echo_bad_ip 'not an IPv4 address: 1.2.3' echo a --ip 1.2.3

test_queues() {
  run gen qemu:e1000 --queues 2
  report unic_more_queues_than_there_are "$(want_status 1)$(want one.err 'lower --queues'
  )$(want_lines one.err 1)"
}

test_list() {
  run list --json
  report unic_list "$(want_status 0)$(want_json one.out)$(
    # Either there are interfaces, or it says that there are none.
    [ -s "$work/one.out" ] || want one.err 'no interface here')"
}

# --- One device --------------------------------------------------------------------------------

test_gen_counts() {
  run gen qemu:e1000 --count 1k --json
  report unic_gen_count "$(want_status 0)$(want_lines one.err 0)$(want_json one.out)$(
    want one.out '"sent":1000,' '"bytes":60000,' '"dropped":0,')"
  # As fast as it goes: the ring is full now and then, and a frame is refused once.
  run gen qemu:e1000 --time 300ms --json
  report unic_gen_refused "$(want_status 0)$(tail -n 1 "$work/one.out" | python3 -c \
    'import json, sys; r = json.load(sys.stdin); assert 0 <= r["refused"] <= r["sent"] > 0' 2>&1)"
  run gen qemu:e1000 --count 200 --sizes 60-159 --flows 3 --burst 7
  report unic_gen_sizes "$(want_status 0)$(want one.out 'sent 200, bytes 21900,')"
  run gen qemu:e1000 --count 12 --size imix --rate 1M
  report unic_gen_imix "$(want_status 0)$(want one.out 'sent 12, bytes 4294,')"
}

test_times() {
  run gen qemu:e1000 --rate 100 --time 200ms
  report unic_gen_time "$(want_status 0)$(want one.out 'gen: sent ')"
  run recv qemu:e1000 --time 0.1
  report unic_recv_time "$(want_status 0)$(want one.out 'recv: received 0, ')$(
    want_lines one.err 0)"
  run recv qemu:e1000 --time 0.1 --expect 1 --json
  report unic_recv_expects "$(want_status 1)$(want one.out '"received":0,' '"expected":false'
  )$(want one.err 'not as expected')$(want_lines one.err 1)"
  run fwd qemu:e1000 qemu:e1000 --time 0.1 --json
  report unic_fwd_time "$(want_status 0)$(want one.out '"forwarded":0,' '"copied":true'
  )$(want_json one.out)$(want one.err 'frames are copied')$(want_lines one.err 1)"
}

# ends_by SIGNAL NAME ARGUMENT...
ends_by() {
  local signal=$1 name=$2 why
  shift 2
  start one "$@" >"$work/why"
  why=$(cat "$work/why")
  finish "$pid" "$signal" >"$work/why"
  report "unic_${name}_ends_by_$signal" "$why$(cat "$work/why")$(want_status 0)$(want one.out \
    '"event":"summary"')"
}

test_signals() {
  ends_by INT gen gen qemu:e1000 --rate 100 --json
  ends_by TERM recv recv qemu:e1000 --json
  ends_by INT stats stats qemu:e1000 --json
  ends_by TERM fwd fwd qemu:e1000 qemu:e1000 --json
}

# vanishes NAME ARGUMENT...: the device is gone some accesses to its registers after it was started.
vanishes() {
  local name=$1
  shift
  USERPCI_FAULT=gone-after=350 run "$@"
  report "unic_${name}_without_device" "$(want_status 1)$(want one.err 'the device is gone'
  )$(tail -n 1 "$work/one.err" | grep -q 'the device is gone' || echo 'not the last line. '
  )$(grep -c 'the device is gone' "$work/one.err" | grep -qx 1 || echo 'not once. '
  )$(want one.out ready)"
}

test_gone() {
  vanishes gen gen qemu:e1000
  vanishes recv recv qemu:e1000
  vanishes stats stats qemu:e1000 --json
  vanishes fwd fwd qemu:e1000 qemu:e1000
}

test_screen() {
  command -v script >/dev/null || {
    echo 'skip unic_stats_screen: there is no script(1)'
    return
  }
  status=0
  TERM=xterm timeout 60 script -qec "$tool stats qemu:e1000 --interval 0.1 --count 2" /dev/null \
    >"$work/one.out" 2>"$work/one.err" </dev/null || status=$?
  report unic_stats_screen "$(want_status 0)$(want one.out 'no descriptor was free' 'q ends' \
    'stats: rx_packets 0,')"
  status=0
  printf q | TERM=xterm timeout 60 script -qec "$tool stats qemu:e1000" \
    /dev/null >"$work/one.out" 2>"$work/one.err" || status=$?
  report unic_stats_key "$(want_status 0)$(want one.out 'stats: rx_packets 0,')"
}

# --- Cables ------------------------------------------------------------------------------------

# The sender lives longer than the receiver: what its QEMU still has would end with it. Names of the
# cable's ends: the sender's, the other.
send_until() {
  local receiver=$1 sender why
  shift
  start gen gen "$@" --rate 1k --json >"$work/why"
  sender=$pid
  why=$(cat "$work/why")
  finish "$receiver" >"$work/why"
  printf '%s' "$why$(cat "$work/why")$(want_status "${want_receiver:-0}")"
  finish "$sender" INT >"$work/why"
  printf '%s' "$(cat "$work/why")$(want_status 0)$(want_json gen.out)"
}

whole='"before":0,"lost":0,"doubled":0,"reordered":0,"corrupt":0,"foreign":0,"missed":0,'

test_cable() {
  local why
  start recv recv qemu:e1000,netdev=a2toa1 --expect 1000 --json >"$work/why"
  why=$(cat "$work/why")
  send_until "$pid" qemu:e1000,netdev=a1toa2 --size imix --flows 3 >"$work/said"
  report unic_gen_to_recv "$why$(cat "$work/said")$(want recv.out '"received":1000,' "$whole" \
    '"expected":true')$(want_json recv.out)"
}

# Each frame as it was, from the gen before to the recv behind.
test_fwd() {
  local why receiver forwarder
  start recv recv qemu:e1000,netdev=b4tob3 --expect 1000 --json >"$work/why"
  why=$(cat "$work/why") receiver=$pid
  start fwd fwd qemu:e1000,netdev=b2tob1 qemu:e1000,netdev=b3tob4 --json >"$work/why"
  why+=$(cat "$work/why") forwarder=$pid
  why+=$(wait_until both_ready)
  send_until "$receiver" qemu:e1000,netdev=b1tob2 --sizes 60-1514 --flows 5 >"$work/said"
  why+=$(cat "$work/said")
  finish "$forwarder" TERM >"$work/why"
  why+=$(cat "$work/why")$(want_status 0)
  report unic_fwd "$why$(want recv.out '"received":1000,' "$whole" '"expected":true')$(
    want fwd.out '"dropped":0,' '"forwarded_back":0,' '"copied":true')"
}
# shellcheck disable=SC2317  # by wait_until
both_ready() { [ "$(grep -c ready "$work/fwd.out")" = 2 ]; }

# Between the two, somebody who hits the 10th frame, keeps the 20th, sends the 30th twice, the 41st
# before the 40th, and one of his own.
test_bad_cable() {
  local why
  start recv recv qemu:e1000,netdev=c4toc3 --count 1000 --expect 1000 --json >"$work/why"
  why=$(cat "$work/why")
  python3 - "$work/c2" "$work/c4" <<'PYTHON' &
import socket
import sys

wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
wire.bind(sys.argv[1])
held = b""
for number in range(1, 10000):
    frame = wire.recv(2048)
    if number == 10:
        frame = frame[:50] + bytes([frame[50] ^ 1]) + frame[51:]
    if number == 40:
        held = frame
    if number in (20, 40):
        continue
    try:
        wire.sendto(frame, sys.argv[2])
        if number == 30:
            wire.sendto(frame, sys.argv[2])
        if number == 41:
            wire.sendto(held, sys.argv[2])
        if number == 50:
            wire.sendto(bytes(60), sys.argv[2])
    except OSError:  # the receiver has ended
        break
PYTHON
  pids+=("$!")
  why+=$(wait_until test -S "$work/c2")
  want_receiver=1 send_until "$pid" qemu:e1000,netdev=c1toc2 >"$work/said"
  report unic_recv_tells_what_is_wrong "$why$(cat "$work/said")$(want recv.out \
    '"received":1000,' '"before":0,"lost":2,"doubled":1,"reordered":1,"corrupt":1,"foreign":1,' \
    '"expected":false')"
}

# shellcheck disable=SC2317  # by wait_until
has_received() { grep -q '"rx_packets":[1-9]' "$work/stats.out"; }

test_stats() {
  local why watcher
  start stats stats qemu:e1000,netdev=d2tod1 --interval 0.1 >"$work/why"
  why=$(cat "$work/why") watcher=$pid
  start gen gen qemu:e1000,netdev=d1tod2 --rate 100 --json >"$work/why"
  why+=$(cat "$work/why")$(wait_until has_received)
  finish "$pid" INT >"$work/why"
  finish "$watcher" INT >>"$work/why"
  report unic_stats "$why$(cat "$work/why")$(want_status 0)$(want_json stats.out)$(
    want stats.out '"link":true' '"rx_no_buffer":0' '"tx_bad_offload":0' '"rx_pps":')"
}

# --- Cycles --------------------------------------------------------------------------------------

# Of this test alone: others run beside it.
counted=qemu:e1000,id=counted$$

# The pages that a process has open.
pages() { readlink "/proc/$1/fd/"* | grep -c '^/memfd:unic-cycles'; }

test_cycles() {
  local sender why
  UNIC_CYCLES=1 start gen gen "$counted" --rate 1k >"$work/why"
  sender=$pid
  why=$(cat "$work/why")
  run stats "$counted" --cycles --interval 0.3 --count 2
  report unic_cycles_of_a_running_port "$why$(want_status 0)$(want_lines one.out 3)$(
    want_json one.out)$(want one.out "\"pid\":$sender," '"event":"summary"')$(
    grep -q '"tx_pps":[1-9].*"tx_packets_per_burst":[1-9].*"tx_cycles_per_packet":[1-9]' \
      "$work/one.out" || echo 'no figures. ')$(want one.out '"rx_cycles_per_packet":0.000')"
  run stats "$counted" --cycles --pid $$
  report unic_cycles_of_another_process "$(want_status 1)$(want_lines one.err 1)$(
    want one.err "process $$ counts no cycles" UNIC_CYCLES=1)"
  screen_of_cycles
  start stats stats "$counted" --cycles --interval 0.1 >"$work/why"
  finish "$sender" INT >"$work/why"
  finish "$pid" >>"$work/why"
  report unic_cycles_end_with_the_port "$(cat "$work/why")$(want_status 0)$(want stats.out \
    '"event":"summary"')"
}

screen_of_cycles() {
  command -v script >/dev/null || {
    echo 'skip unic_cycles_screen: there is no script(1)'
    return
  }
  status=0
  TERM=xterm timeout 60 script -qec "$tool stats $counted --cycles --interval 0.3 --count 3" \
    /dev/null >"$work/one.out" 2>"$work/one.err" </dev/null || status=$?
  report unic_cycles_screen "$(want_status 0)$(want one.out 'a packet costs' 'of process' \
    'q ends' 'tx_cycles_per_packet ')"
}

# Where no program counts, the port is its own.
test_own_cycles() {
  local first second why
  run stats "$counted" --cycles --interval 0.1 --count 1
  report unic_cycles_of_its_own "$(want_status 0)$(want_json one.out)$(want one.out \
    '"event":"ready"' '"rx_no_buffer":0' '"rx_cycles_per_packet":0.000')"
  run stats "$counted" --pid 1
  report unic_cycles_pid_alone "$(want_status 2)$(want one.err '--pid is for --cycles')"
  start one gen "$counted" --rate 10 >"$work/why"
  report unic_cycles_are_off "$(cat "$work/why")$([ "$(pages "$pid")" = 0 ] || pages "$pid")"
  finish "$pid" INT
  export UNIC_CYCLES=1
  start one gen "$counted" --rate 10 >"$work/why"
  first=$pid why=$(cat "$work/why")
  start two gen "$counted" --rate 10 >"$work/why"
  second=$pid why+=$(cat "$work/why")
  unset UNIC_CYCLES
  why+=$([ "$(pages "$first")" = 1 ] || echo 'not one page. ')
  run stats "$counted" --cycles --count 1
  why+=$(want_status 1)$(want one.err --pid)
  run stats "$counted" --cycles --count 1 --interval 0.1 --pid "$second"
  report unic_cycles_of_one_of_two "$why$(want_status 0)$(want one.out "\"pid\":$second,")"
  finish "$first" INT
  finish "$second" INT
}

test_queues
test_list
test_gen_counts
test_times
test_signals
test_gone
test_screen
test_cable
test_fwd
test_bad_cable
test_stats
test_cycles
test_own_cycles
exit $failed
