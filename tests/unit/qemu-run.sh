#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Tests qemu/run itself: what it promises to those who test their drivers with it. Prints a line
# `ok NAME` or `not ok NAME: WHY` a case; what a failed case printed goes to stderr.
#
# shellcheck disable=SC2016  # single quotes: the code is the guest's or the peer's
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)

if ! command -v "${QEMU:-qemu-system-x86_64}" >/dev/null; then
  echo "skip qemu_run: there is no QEMU; run scripts/setup guest"
  exit 0
fi

# The runs' own directories go below this one, so it stands in the command line of each of their
# QEMUs, and nobody else's.
work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work

failed=0
status=
seconds=

# run OPTION... -- COMMAND...: sets $status and $seconds; the output goes to $work/{out,err}.
run() {
  local start=$SECONDS
  "$root/qemu/run" --module none --timeout 300 "$@" >"$work/out" 2>"$work/err"
  status=$?
  seconds=$((SECONDS - start))
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

# Prints the numbers of this test's QEMUs.
machines() {
  local file
  for file in /proc/[0-9]*/cmdline; do
    if tr '\0' ' ' <"$file" 2>/dev/null | grep -q "^[^ ]*qemu-system[^ ]* .*$work/"; then
      file=${file%/cmdline}
      echo "${file#/proc/}"
    fi
  done 2>/dev/null
}

# Prints a reason if a QEMU, a run's directory or a tap of this test is still there.
want_nothing_left() {
  local left
  left=$(machines)
  [ -z "$left" ] || echo "QEMU is still running: $left"
  left=$(find "$work" -name 'userpci-run.*')
  [ -z "$left" ] || echo "still there: $left"
  [ ! -e /sys/class/net/tap0 ] || echo "tap0 is on the host"
}

# wait_for_text PID FILE TEXT: waits until $work/FILE has TEXT, at most a minute, while PID lives.
wait_for_text() {
  local tries=0
  until grep -qF -- "$3" "$work/$2" 2>/dev/null; do
    [ $((tries += 1)) -lt 600 ] && kill -0 "$1" 2>/dev/null || return 1
    sleep 0.1
  done
}

# --- Cases -------------------------------------------------------------------------------------

test_quoting() {
  local -a words=('a b' "it's" '"q"' '' '$HOME `x` \n *' $'two\nlines' '--' '-n' 'Ü')
  run -- printf '<%s>\n' "${words[@]}"
  printf '<%s>\n' "${words[@]}" >"$work/expected"
  report quoting "$(want_status 0)$(diff "$work/expected" "$work/out")"
}

test_status_and_streams() {
  run -- sh -c 'echo to-out; echo to-err >/dev/stderr; exit 7'
  report status_passed_on "$(want_status 7)"
  report streams_apart "$(diff <(echo to-out) "$work/out")$(diff <(echo to-err) "$work/err")"
}

test_signal() {
  run -- sh -c 'kill -SEGV $$'
  report signal_status "$(want_status 139)"
}

test_environment() {
  cd "$root/tests" || exit
  SECRET=x run --env 'A=1 2' --env B= --device edu -- \
    sh -c 'pwd; echo "A=$A B=${B-unset} SECRET=${SECRET-unset}"; id -u; lspci -nn'
  report environment \
    "$(want_status 0)$(want_text out "$root/tests")$(want_text out 'A=1 2 B= SECRET=unset')"
  report device_present "$(want_text out '00:01.0 Unclassified device [00ff]: Device [1234:11e8]')"
}

test_large_output() {
  run -- sh -c 'seq 300000; echo end >&2'
  report large_output "$(want_status 0)$(cmp <(seq 300000) "$work/out" 2>&1)$(want_text err end)"
}

test_time_limit() {
  run --timeout 20 -- sh -c 'echo begun; sleep 1000'
  report time_limit "$(want_status 124)$(want_text out begun)$(want_text err 'time limit of 20 s')$(
    [ "$seconds" -le 26 ] || echo "took $seconds s")"
}

test_panic() {
  run --dmesg "$work/dmesg" -- sh -c 'echo c >/proc/sysrq-trigger; sleep 1000'
  report panic "$(want_status 125)$(want_text err 'Kernel panic - not syncing')$(
    [ "$seconds" -le 45 ] || echo "noticed after $seconds s")$(
    grep -q 'Kernel panic' "$work/dmesg" || echo 'not saved by --dmesg')"
}

# A kernel that panics before anything of the run's own has begun is booted again, but not for ever.
test_panic_in_boot() {
  local qemu=${QEMU:-qemu-system-x86_64}
  run --append 'rdinit=/none root=/none' -- true
  report panic_in_boot "$(want_status 125)$(want_text err 'Kernel panic - not syncing')$(
    [ "$(grep -c 'booting again' "$work/err")" = 2 ] || echo 'not booted three times')"
  cat >"$work/qemu" <<QEMU
#!/bin/bash
arguments=("\$@")
if [[ "\$*" = *USERPCI_RUN=\"/* ]] && mkdir "$work/fell"; then
  arguments=("\${arguments[@]/#*USERPCI_RUN=*/console=ttyS0 panic=-1 rdinit=/none root=/none}")
fi
exec "$qemu" "\${arguments[@]}"
QEMU
  chmod +x "$work/qemu"
  QEMU=$work/qemu run --accel tcg -- echo came up
  report panic_in_one_boot "$(want_status 0)$(want_text out 'came up')$(
    [ "$(grep -c 'booting again' "$work/err")" = 1 ] || echo 'not booted twice')"
}

test_kernel_fault() {
  run --dmesg "$work/dmesg" -- sh -c 'echo "WARNING: planted" >/dev/kmsg; exit 3'
  report kernel_fault "$(want_status 126)$(want_text err 'WARNING: planted')$(
    grep -q 'WARNING: planted' "$work/dmesg" || echo 'not saved by --dmesg')"
  run --allow-log 'WARNING: pla.ted' -- sh -c 'echo "WARNING: planted" >/dev/kmsg; exit 3'
  report kernel_fault_allowed "$(want_status 3)"
}

test_host_files() {
  mkdir "$work/shared dir" "$work/other"
  run --share "$work/shared dir" -- sh -ec '
    cd "$1"
    echo guest >other/file; cat other/file
    echo guest >"shared dir/file"
    touch /usr/written-by-guest /etc/written-by-guest' sh "$work"
  report guest_may_write "$(want_status 0)$(want_text out guest)"
  report host_is_unchanged "$(find "$work/other" -type f)$(
    ls /usr/written-by-guest /etc/written-by-guest 2>/dev/null)"
  report share_is_kept "$([ "$(cat "$work/shared dir/file" 2>&1)" = guest ] || echo 'not written')"
}

test_modprobe() {
  run -- sh -c 'modprobe e1000 && grep -q ^e1000 /proc/modules && test -e /dev/vhost-net || exit 5'
  # No vhost-net: only what was asked for may be loaded.
  report modprobe "$(want_status 5)"
}

# Serves until it is told to end; says when it is ready.
server='trap "echo told to end; exit 0" INT; echo ready; while :; do sleep 0.1; done'

test_peer() {
  run --device e1000 --net tap:192.0.2.1/30 --peer '
    echo "peer: $USERPCI_TAP $USERPCI_TAP_ADDRESS $USERPCI_MAC"
    ip -br addr show tap0
    sleep 5; exit 9' -- sh -c "$server"
  report peer_environment "$(want_text out 'peer: tap0 192.0.2.1 52:54:00:12:34:56')"
  report peer_network "$(want_text out '192.0.2.1/30')"
  report peer_ends_command "$(want_text out 'told to end')"
  report peer_status "$(want_status 9)"
  report nothing_left_after_tap "$(want_nothing_left)"
}

test_command_ends_peer() {
  run --net tap --peer 'echo started; sleep 1000' -- true
  report command_ends_peer "$(want_status 143)$(want_text out started)$(want_nothing_left)"
}

# end_run_by SIGNAL: starts a run, ends it by SIGNAL when its peer has started; sets $status.
end_run_by() {
  local pid
  : >"$work/out"
  "$root/qemu/run" --module none --device e1000 --net tap \
    --peer 'echo peer ready; exec sleep 1000' -- sleep 1000 >"$work/out" 2>"$work/err" &
  pid=$!
  wait_for_text "$pid" out 'peer ready'
  kill "-$1" "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  status=$?
}

test_terminated() {
  end_run_by TERM
  report terminated "$(want_status 143)$(want_nothing_left)"
}

test_killed() {
  end_run_by KILL
  sleep 0.5
  # It could not remove its directory; all else the kernel must end.
  rm -rf "$work"/userpci-run.*
  report killed "$(want_status 137)$(want_nothing_left)"
}

test_usage() {
  run --nonsense -- true
  report usage_option "$(want_status 125)$(want_text err 'unknown option --nonsense')"
  run true
  report usage_command "$(want_status 125)$(want_text err 'after --')"
  run --device no-such-device -- true
  report usage_device "$(want_status 125)$(want_text err no-such-device)"
  "$root/qemu/run" --module "$work/none.ko" -- true >"$work/out" 2>"$work/err"
  status=$?
  report usage_module "$(want_status 125)$(want_text err none.ko)"
  O=$work/no-build "$root/qemu/run" -- true >"$work/out" 2>"$work/err"
  status=$?
  report missing_module "$(want_status 125)$(want_text err 'make module KERNEL=6.1')"
}

test_usage
test_quoting
test_status_and_streams
test_signal
test_environment
test_large_output
test_time_limit
test_panic
test_panic_in_boot
test_kernel_fault
test_host_files
test_modprobe
test_peer
test_command_ends_peer
test_terminated
test_killed
exit $failed
