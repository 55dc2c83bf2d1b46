#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The subcommands of userpci on QEMU's device models, as an ordinary user: what they say, as text
# and as JSON, to wrong input, to a device that goes, and on a terminal. Prints a line `ok NAME`,
# `not ok NAME: WHY` or `skip NAME: WHY` a case.
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
O=$(readlink -f "${O:-$root/build}")
emulator=${USERPCI_QEMU:-qemu-system-x86_64}
failed=0 status=

command -v "$emulator" >/dev/null || {
  echo "skip userpci: there is no QEMU; run scripts/setup guest"
  exit 0
}
work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
pids=()
# shellcheck disable=SC2317  # by the trap
clean_up() {
  [ ${#pids[@]} = 0 ] || kill -KILL "${pids[@]}" 2>/dev/null
  rm -rf "$work"
}
# A job that is killed before it became a program would run the trap as well.
trap 'if [ "$BASHPID" = $$ ]; then clean_up; fi' EXIT

make -s -C "$root" O="$O" "$O/bin/userpci" >"$work/make" 2>&1 || {
  echo "not ok userpci: the tool cannot be built: $(tail -n 1 "$work/make")"
  exit 1
}
# The tree may be out of that user's reach.
cp "${TOOL:-$O/bin/userpci}" "$work/userpci"
chmod 755 "$work"
mkdir -m 777 "$work/dir"
cd "$work/dir" || exit 1
export PATH=$work:$PATH HOME=/nonexistent
user=()
[ "$(id -u)" != 0 ] || user=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# report NAME REASONS: no reason means that the case has passed.
report() {
  if [ -z "$2" ]; then
    echo "ok $1"
    return
  fi
  echo "not ok $1: ${2//$'\n'/; }"
  failed=1
  tail -n +1 "$work/out" "$work/err" 2>/dev/null | sed 's/^/# /' >&2
}

# run ARGUMENT...: into out and err.
run() {
  status=0
  timeout 120 "${user[@]}" userpci "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
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
# want_json EXPRESSION: of Python, true of the list `o` of the objects, a line each.
want_json() {
  python3 -c '
import json, sys
o = [json.loads(line) for line in open(sys.argv[1])]
if not eval("(" + sys.argv[2] + ")"):
    print("not so:", sys.argv[2], end=". ")' "$work/out" "$1" 2>&1 | tail -n 1
}

# says NAME STATUS TEXT... -- ARGUMENT...: on stdout; nothing on stderr.
says() {
  local name=$1 wanted=$2 texts=()
  shift 2
  while [ "$1" != -- ]; do
    texts+=("$1")
    shift
  done
  shift
  run "$@"
  report "userpci_$name" "$(want_status "$wanted")$(want out "${texts[@]}")$(want_lines err 0)"
}

# fails NAME STATUS TEXT ARGUMENT...: one line on stderr that begins as all do.
fails() {
  local name=$1 wanted=$2 text=$3
  shift 3
  run "$@"
  report "userpci_$name" "$(want_status "$wanted")$(want err "$text")$(want_lines err 1)$(
    grep -q '^userpci: ' "$work/err" || echo 'another beginning. ')"
}

# --- Wrong usage -------------------------------------------------------------------------------

# refuses NAME TEXT ARGUMENT...: says where help is, and prints nothing.
refuses() {
  local name=$1
  shift
  fails "$name" 2 "$@"
  report "userpci_${name}_helps" "$(want err "(see 'userpci ")$(want_lines out 0)"
}

test_usage() {
  local command
  refuses no_command 'a command is missing'
  refuses unknown_command 'unknown command frobnicate' frobnicate
  for command in peek poke dump watch irq reset; do
    refuses "${command}_no_address" "$command: ADDRESS is missing" "$command"
    refuses "${command}_unknown_option" "$command: unknown option --x" "$command" --x
    refuses "${command}_no_slot" "$command: unknown option -s" "$command" -s 0
  done
  refuses show_no_address 'show: say which devices' show
  refuses list_bad_filter 'zz' list -d zz
  refuses diff_no_address 'FILE or ADDRESS is missing' diff
  refuses diff_one_file 'a second FILE' diff file
  refuses diff_file_option 'only --json' diff --names a b
  refuses peek_no_register 'REGISTER is missing' peek qemu:edu
  refuses peek_bad_register 'no register of that name' peek qemu:edu NO
  refuses peek_value "it only reads; 'userpci poke' takes ID=1" peek qemu:edu ID=1
  refuses poke_large 'more bits' poke qemu:edu ID.b=256
  refuses bad_width '--width takes one of: 8 16 32 64; not 7' peek --width 7 qemu:edu 0
  refuses bad_region '--region takes one of: config 0 1 2 3 4 5; not 6' dump --region 6 qemu:edu
  refuses bad_number '--offset takes a number, as 12 or 0x1f, not 1f' dump --offset 1f qemu:edu
  refuses bad_time '--timeout takes a time, as 10, 0.5, 200ms or 2m, not 2x' irq --timeout 2x a:b
  refuses bad_count '--count takes a number from 1' top --count 0
  refuses bad_kind '--kind takes one of: best intx msi msix; not m' irq --kind m a:b
  refuses value_missing 'a value is missing after --count' top --count
  refuses given_twice 'given twice: --count' top --count 1 --count 2
  refuses dump_two 'one too many: more' dump qemu:edu more --names
  refuses watch_write 'first the register to watch' watch qemu:edu ID=1
  refuses watch_two 'one register is watched' watch qemu:edu ID LIVENESS
  refuses watch_value 'bits that the register, or --mask, has not' \
    watch qemu:edu ID --mask 1 --value 2
  refuses irq_read 'no value for ID' irq qemu:edu ID
  refuses irq_ack '--ack takes REGISTER=VALUE' irq qemu:edu --ack ID
  refuses dump_odd 'multiples of --width' dump qemu:edu --offset 2
  refuses top_both 'exclude each other' top --text --json
  refuses completion 'takes one of: bash zsh' --completion fish
}

test_help() {
  local command commands why=''
  run --help
  report userpci_help "$(want_status 0)$(want out watch completion '3 the answer is no')"
  mapfile -t commands < <(sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' "$work/out")
  for command in "${commands[@]}"; do
    run "$command" --help
    why+=$(want_status 0)$(want out "userpci $command: " "usage: userpci $command")
    grep -q '.\{90\}' "$work/out" && why+="$command: lines are long. "
  done
  report userpci_help_of_each "$why"
}

# --- Looking, and changing ---------------------------------------------------------------------

test_peek() {
  says peek_offset 0 'BAR0 ID (0x0000) = 0x010000ed' -- peek qemu:edu 0
  says peek_name 0 'BAR0 ID (0x0000) = 0x010000ed' -- peek qemu:edu id
  says peek_without_name 0 'BAR0 0x0010 = 0xffffffff' -- peek qemu:edu 0x10
  says peek_config 0 'config VENDOR_ID (0x000) = 0x1234' 'config REVISION_ID (0x008) = 0x10' -- \
    peek qemu:edu config:VENDOR_ID config:8.b
  says peek_64 0 'BAR0 DMA_SOURCE (0x0080) = 0x0000000000000000' -- peek qemu:edu DMA_SOURCE
  says peek_region 0 'config DEVICE_ID (0x002) = 0x11e8' -- \
    peek --region config --width 16 qemu:edu 2
  run peek --json qemu:edu ID config:0.w
  report userpci_peek_json "$(want_status 0)$(want_json 'o == [
    {"command": "peek", "address": "qemu:edu", "region": 0, "offset": "0x00000000", "width": 32,
     "name": "ID", "value": "0x010000ed"},
    {"command": "peek", "address": "qemu:edu", "region": "config", "offset": "0x0000",
     "width": 16, "name": "VENDOR_ID", "value": "0x1234"}]')"
  says peek_names 0 'BAR0 0x0000 32 CTRL' 'BAR0 0x5200 32 MTA[0..127] stride 4' -- \
    peek --names qemu:e1000
  run peek --names --json qemu:e1000
  report userpci_peek_names_json "$(want_json \
    '[r["count"] for r in o if r["name"] == "MTA"] == [128]')"
  says peek_element 0 'BAR0 RAL[0] (0x5400) = 0x12005452' -- peek qemu:e1000 'RAL[0]'
  says peek_io 0 'BAR1 0x0000 = 0x' -- peek qemu:e1000 1:0
  fails peek_beyond 1 'BAR0 0x100000: is beyond its end' peek qemu:edu 0x100000
  fails peek_beyond_config 1 'is beyond its end' peek qemu:edu config:0x10000
  fails peek_odd 1 'no access of 32 bits there' peek qemu:edu 0x2
  fails peek_no_bar 1 'there is no BAR 5' peek qemu:edu 5:0
  fails peek_no_names 1 'no driver here has names' peek --names qemu:pci-testdev
  fails peek_no_model 1 'QEMU refuses it' peek qemu:no-such-device 0
  fails peek_no_device 1 'there is no 0000:ff:1f.7' show 0000:ff:1f.7
  fails peek_not_there 1 'no such device' peek 0000:ff:1f.7 0
}

test_poke() {
  says poke_reads_back 0 'BAR0 LIVENESS (0x0004) = 0xedcba987' -- \
    poke qemu:edu LIVENESS=0x12345678 LIVENESS
  says poke_mask 0 'config CACHE_LINE_SIZE (0x00c) = 0x1d' -- \
    poke qemu:edu config:0xc.b=0xd config:0xc.b=0xff:0x10 config:0xc.b
  says poke_config 0 'config CACHE_LINE_SIZE (0x00c) = 0x08' -- \
    poke qemu:edu config:CACHE_LINE_SIZE=8 config:CACHE_LINE_SIZE
  fails poke_guarded 1 "is the kernel's to write" poke qemu:edu config:BASE_ADDRESS_0=0
  # A word that is wrong keeps all from being done.
  refuses poke_nothing_done 'no register' poke qemu:edu LIVENESS LIVENESS=1 NO=2
}

test_dump() {
  says dump_config 0 '# userpci dump qemu:edu 1234:11e8 config' '00000000: 11e81234' \
    '000000f0: ' -- dump qemu:edu
  says dump_part 0 '00000002: 11e8 ' -- dump --offset 2 --length 4 --width 16 qemu:edu
  says dump_names 0 '00000000 ID: 010000ed' '00000098 DMA_COMMAND: 0000000000000000' -- \
    dump --names --region 0 qemu:edu
  run dump --region 0 --length 0x30 --json qemu:edu
  report userpci_dump_json "$(want_status 0)$(want_json 'o[0]["region"] == 0 and
    o[0]["width"] == 32 and len(o[0]["values"]) == 12 and o[0]["values"][0] == "0x010000ed"'
  )$(want_lines out 1)"
  run dump --region 0 --names --json qemu:edu
  report userpci_dump_names_json "$(want_json 'o[0]["registers"][0]["name"] == "ID"')"
  fails dump_beyond 1 'has 1048576 bytes' dump --region 0 --offset 0x100000 qemu:edu
  fails dump_no_bar 1 'there is no BAR 1' dump --region 1 qemu:edu
  fails dump_no_names 1 'no registers with names' dump --region 0 --names qemu:pci-testdev
  fails dump_bad_file 1 'No such file' dump --output /nonexistent/file qemu:edu
  fails dump_full 1 'No space left' dump --output /dev/full qemu:edu
  says dump_file 0 -- dump --region 0 --names --output before qemu:edu
  report userpci_dump_file_is_there "$(grep -q 'ID: 010000ed' before || echo 'not written')"
  USERPCI_FAULT=gone-after=5 run dump --region 0 --output gone qemu:edu
  report userpci_dump_leaves_no_half "$(want_status 1)$(want err 'the device is gone'
  )$(want_lines err 1)$([ ! -e gone ] || echo 'it is there. ')"
}

test_diff() {
  "${user[@]}" sed 's/ID: 010000ed/ID: 010000ec/; s/LIVENESS: 0*/LIVENESS: 00000001/; /STATUS/d' \
    before >after
  says diff_equal 0 -- diff before before
  report userpci_diff_equal_says_nothing "$(want_lines out 0)"
  says diff_files 3 'BAR0 ID (0x0000): 0x010000ed -> 0x010000ec (0x00000001)' \
    'BAR0 IRQ_STATUS (0x0024): 0x00000000 -> nothing' -- diff before after
  run diff --json before after
  report userpci_diff_json "$(want_status 3)$(want_json 'o[0]["before"] == "0x010000ed" and
    o[0]["after"] == "0x010000ec" and o[0]["name"] == "ID" and o[-1]["after"] is None')"
  says diff_device_equal 0 -- diff before qemu:edu
  says diff_device 3 'BAR0 ID (0x0000): 0x010000ec -> 0x010000ed' -- diff after qemu:edu
  says diff_write 3 'BAR0 FACTORIAL (0x0008): 0x00000000 -> 0x00000006' -- \
    diff --region 0 --offset 8 --length 4 --interval 300ms qemu:edu FACTORIAL=3
  says diff_same 0 -- diff qemu:edu
  fails diff_other_device 1 'is 8086:100e, but before has 1234:11e8' diff before qemu:e1000
  fails diff_no_file 1 'No such file' diff before nothing
  fails diff_no_dump 1 "not what 'userpci dump' prints" diff before "$work/userpci"
  echo 'and more' | cat before - >damaged
  fails diff_damaged 1 'line 13 is not what' diff damaged before
}

test_watch() {
  says watch_value 0 'BAR0 STATUS (0x0020): 0x00000000 -> 0x00000000 after ' -- \
    watch qemu:edu STATUS --mask 1 --value 0 FACTORIAL=3
  says watch_change 0 'BAR0 FACTORIAL (0x0008): 0x00000000 -> 0x000000' -- \
    watch qemu:edu FACTORIAL FACTORIAL=5
  fails watch_timeout 3 'BAR0 ID (0x0000): still 0x010000ed after ' \
    watch qemu:edu ID --timeout 50ms
  run watch --json --timeout 50ms --interval 1ms qemu:edu ID
  report userpci_watch_json "$(want_status 3)$(want_lines err 1)$(want_json \
    'not o[0]["met"] and o[0]["value"] == "0x010000ed" and o[0]["seconds"] >= 0.05')"
}

test_irq() {
  says irq_msi 0 'vector 0: 1 (1 in all)' 'MSI: 1 interrupt in ' -- \
    irq qemu:edu --count 1 IRQ_RAISE=1
  says irq_intx 0 'INTx: 1 interrupt in ' 'masked since' -- \
    irq qemu:edu --kind intx --count 1 IRQ_RAISE=1
  run irq --json --kind intx --ack IRQ_ACK=1 --count 1 qemu:edu IRQ_RAISE=1
  report userpci_irq_json "$(want_status 0)$(want_json 'o[0]["event"] == "interrupt" and
    o[-1]["event"] == "summary" and o[-1]["kind"] == "INTx" and o[-1]["vectors"] == [1]')"
  # IVAR gives e1000e's other causes to vector 3, IMS lets them in, ICS is one.
  run irq --json --kind msix --vectors 4 --count 1 --timeout 20 qemu:e1000e \
    0xe4=0x000b0000 0xd0=0x01000000 0xc8=0x01000000
  report userpci_irq_msix "$(want_json 'o[-1]["kind"] == "MSI-X" and len(o[-1]["vectors"]) == 4'
  )$(want_status 0)"
  fails irq_fewer 3 '0 of 1 interrupts came' irq qemu:edu --count 1 --timeout 50ms
  says irq_timeout 0 'MSI: 0 interrupts in ' -- irq qemu:edu --timeout 50ms
  fails irq_no_msix 1 'INTx 1, MSI 1, MSI-X 0' irq qemu:edu --kind msix
  fails irq_too_many 1 '2 vectors of that kind cannot be had' irq qemu:edu --vectors 2
}

test_reset() {
  fails reset_none 1 'this function has no reset of its own' reset qemu:edu
  USERPCI_QEMU_ARGS='-device pcie-root-port,id=rp' \
    says reset 0 'qemu:virtio-net-pci,bus=rp: reset' -- reset qemu:virtio-net-pci,bus=rp
  USERPCI_QEMU_ARGS='-device pcie-root-port,id=rp' run reset --json qemu:virtio-rng-pci,bus=rp
  report userpci_reset_json "$(want_status 0)$(want_json 'o[0]["command"] == "reset"')"
}

test_show() {
  says show_text 0 '8086:10d3 Ethernet controller: Intel' '0: 128 KiB, memory, 32-bit' \
    '2: 32 bytes, io' '[d0] MSI: enabled-, vectors 1,' '[a0] MSI-X: enabled-, masked-, vectors 5' \
    '[100] Advanced Error Reporting v2' 'Vectors: INTx 1, MSI 1, MSI-X 5' -- show qemu:e1000e
  run show --json qemu:e1000e
  report userpci_show_json "$(want_status 0)$(want_lines out 1)$(want_json '
    o[0]["regions"][0]["bytes"] == 131072 and o[0]["vectors"]["msix"] == 5 and
    o[0]["capabilities_complete"] and {c["name"]: c["fields"] for c in o[0]["capabilities"]}[
    "PCI Express"]["type"] == "integrated endpoint"')"
  USERPCI_QEMU_ARGS='-device pcie-root-port,id=rp' run show --json \
    qemu:virtio-net-pci,bus=rp,aer=on
  report userpci_show_express "$(want_json 'any(c["name"] == "PCI Express" and
    c["fields"]["flr"] and c["fields"]["speed"] == "2.5 GT/s" for c in o[0]["capabilities"])'
  )$(want_json '{"common", "isr", "notify", "device"} <=
    {c["fields"].get("virtio") for c in o[0]["capabilities"]}')"
}

test_list() {
  run list --json
  report userpci_list_json "$(want_status 0)$(want_lines err 0)$(want_json 'all(
    d["bind"] in ("yes", "no", "busy", "bound") and len(d["class"]) == 4 for d in o)')"
  run top --json --count 2 --interval 10ms
  report userpci_top_json "$(want_status 0)$(want_json '[d["command"] for d in o] == ["top"] * 2')"
  run top --count 1
  report userpci_top_text "$(want_status 0)$(want_lines err 0)$(
    [ -s "$work/out" ] || echo 'it says nothing. ')"
}

# Each key of each object is in the man page; what a capability has in it is its own.
test_json() {
  local all=$work/dir/all man=$root/doc/man/userpci.1
  run list --json && cat "$work/out" >"$all"
  for command in 'show qemu:e1000e' 'peek qemu:edu ID' 'peek --names qemu:edu' 'dump qemu:edu' \
    'dump --names --region 0 qemu:edu' 'diff before after' 'watch qemu:edu ID --timeout 10ms' \
    'irq qemu:edu --count 1 IRQ_RAISE=1' 'top --count 1'; do
    # shellcheck disable=SC2086  # words
    run $command --json
    cat "$work/out" >>"$all"
  done
  report userpci_json_keys "$(python3 - "$all" "$man" <<'PYTHON'
import json, re, sys

def keys(value):
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(keys(v) for k, v in value.items() if k != "fields"))

found = set().union(*(keys(json.loads(line)) for line in open(sys.argv[1])))
documented = set(re.findall(r"\w+", open(sys.argv[2]).read()))
if len(found) < 50 or found - documented:
    print(len(found), "keys, not documented:", sorted(found - documented))
PYTHON
  )"
}

# --- The end of things -------------------------------------------------------------------------

test_gone() {
  USERPCI_FAULT=gone-after=1 fails peek_gone 1 'the device is gone' peek qemu:edu ID LIVENESS
  USERPCI_FAULT=gone-after=1 fails poke_gone 1 'the device is gone' poke qemu:edu 4=1 4=2
  USERPCI_FAULT=gone-after=3 fails watch_gone 1 'the device is gone' watch qemu:edu ID
  USERPCI_FAULT=gone-after=1 fails irq_gone 1 'the device is gone' \
    irq qemu:edu IRQ_RAISE=0 IRQ_RAISE=0
  run peek qemu:edu ID >/dev/full
  report userpci_full "$(status=0; "${user[@]}" userpci peek qemu:edu ID >/dev/full \
    2>"$work/err" </dev/null || status=$?; want_status 1)$(want err 'No space left')"
}

# ends_by SIGNAL NAME STATUS TEXT ARGUMENT...: in the middle of it.
ends_by() {
  local signal=$1 name=$2 wanted=$3 text=$4 tries=0
  shift 4
  "${user[@]}" userpci "$@" >"$work/out" 2>"$work/err" </dev/null &
  pids+=($!)
  until catches $! 2>/dev/null || [ $((tries += 1)) -gt 1200 ]; do sleep 0.05; done
  kill -s "$signal" $!
  status=0
  wait $! || status=$?
  report "userpci_${name}_ends_by_$signal" "$(want_status "$wanted")$(
    cat "$work/out" "$work/err" | grep -qF -- "$text" || echo "no '$text'. ")"
}
# shellcheck disable=SC2317  # by ends_by
catches() {
  local mask
  # A shell that is not yet that program catches them, too.
  grep -qx userpci "/proc/$1/comm" || return 1
  mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status")
  [ $((0x${mask:-0} & 0x4002)) = $((0x4002)) ] # SIGINT and SIGTERM
}

test_signals() {
  ends_by INT irq 0 'MSI: 0 interrupts in' irq qemu:edu
  ends_by TERM watch 3 'still 0x010000ed' watch qemu:edu ID
  ends_by INT top 0 '"command":"top"' top --json
}

# on_terminal ARGUMENT...: into out, both streams, which are a terminal.
on_terminal() {
  status=0
  TERM=xterm timeout 60 script -qefc "${user[*]} userpci $*" /dev/null >"$work/out" 2>"$work/err" \
    </dev/null || status=$?
}

test_terminal() {
  local escape=$'\x1b['
  command -v script >/dev/null || {
    echo 'skip userpci_terminal: there is no script(1)'
    return
  }
  on_terminal diff before after
  report userpci_colours "$(want_status 3)$(want out "${escape}31m0x010000ed${escape}0m")"
  NO_COLOR=1 on_terminal diff before after
  report userpci_no_color "$(want_status 3)$(want out '0x010000ed -> 0x010000ec')$(
    grep -qF "${escape}3" "$work/out" && echo 'colours. ')"
  run diff before after
  report userpci_colours_not_to_files "$(grep -qF "$escape" "$work/out" && echo 'colours. ')"
  on_terminal watch qemu:edu ID --timeout 1.2
  report userpci_progress "$(want_status 3)$(want out 'watch: BAR0 ID (0x0000): 0x010000ed, ')"
  on_terminal dump qemu:e1000 --region 0 --length 0x10000 --width 8 --output /dev/null
  report userpci_progress_of_dump "$(want_status 0)$(want out 'dump: ' ' of 65536 bytes')"
  on_terminal top --count 2 --interval 0.1
  report userpci_screen "$(want_status 0)$(want out 'userpci top: ' 'q ends' ADDRESS)"
  status=0
  printf q | TERM=xterm timeout 60 script -qefc "${user[*]} userpci top" /dev/null >"$work/out" \
    2>"$work/err" || status=$?
  report userpci_screen_key "$(want_status 0)$(want out 'q ends')"
}

test_usage
test_help
test_peek
test_poke
test_dump
test_diff
test_watch
test_irq
test_reset
test_show
test_list
test_json
test_gone
test_signals
test_terminal
exit $failed
