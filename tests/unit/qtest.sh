#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What qtest.c cannot see from inside: that QEMU ends with its caller however that ends, that
# nothing is left, and that the tools run on QEMU's devices as an ordinary user, under valgrind,
# under the sanitizers and under gdb. Prints a line `ok NAME`, `not ok NAME: WHY` or
# `skip NAME: WHY` a case.
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
O=$(readlink -f "${O:-$root/build}")

if ! command -v "${USERPCI_QEMU:-qemu-system-x86_64}" >/dev/null; then
  echo "skip qtest: there is no QEMU; run scripts/setup guest"
  exit 0
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
chmod 755 "$work"
mkdir "$work/bin" "$work/empty"
trap 'rm -rf "$work"' EXIT
# The mark of this test's QEMUs.
name=userpci-$$
export USERPCI_QEMU_ARGS="-name $name"
failed=0 status=

make -s -C "$root" O="$O" "$O/bin/edu" "$O/bin/unic" >"$work/make" 2>&1 || {
  echo "not ok qtest: the tools cannot be built: $(tail -n 1 "$work/make")"
  exit 1
}
# Where an ordinary user can read them.
cp "$O/bin/edu" "$O/bin/unic" "$work/bin/"

# Prints the numbers of this test's QEMUs, and of the shells that watch them.
machines() {
  pgrep -f -- "^[^ ]*qemu-system.*-name $name( |$)"
}
watchers() {
  local pid
  for pid in $(machines); do
    ps -o ppid= -p "$pid"
  done
}

# wait_until COMMAND...: at most 20 seconds; prints a reason when it did not come true.
wait_until() {
  local tries=0
  until "$@"; do
    [ $((tries += 1)) -lt 400 ] || { echo "not within 20 s: $*. "; return 1; }
    sleep 0.05
  done
}

none() { [ -z "$(machines)" ]; }
# shellcheck disable=SC2317  # by wait_until
gone() { ! kill -0 "$1" 2>/dev/null; }
# shellcheck disable=SC2317  # by wait_until
holds() { grep -q 'ready at' "$work/out"; }

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

run() {
  timeout 120 "$@" >"$work/out" 2>"$work/err" </dev/null
  status=$?
}
want_status() {
  [ "$status" = "$1" ] || printf 'exit status %s, not %s. ' "$status" "$1"
}
want_text() {
  grep -qF -- "$2" "$work/$1" || printf "no '%s' in std%s. " "$2" "$1"
}
want_silence() {
  [ ! -s "$work/err" ] || printf 'it complains. '
}

# Starts a program that has a device open until it is told to end; sets $pid.
start_holder() {
  : >"$work/out" # of the one before, which said the same
  (cd "$work/empty" && exec setsid "$work/bin/unic" echo qemu:e1000 --ip 192.0.2.1 \
    >"$work/out" 2>"$work/err" </dev/null) &
  pid=$!
  wait_until holds
}

# --- Cases -------------------------------------------------------------------------------------

test_killed() {
  local why watching
  why=$(wait_until none)
  start_holder >"$work/why"
  why+=$(cat "$work/why")
  watching=$(watchers)
  [ -n "$watching" ] || why+='QEMU is not watched. '
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null
  why+=$(wait_until none)
  why+=$(wait_until gone "$watching")
  [ -z "$(ls -A "$work/empty")" ] || why+='a file was left. '
  report qemu_ends_when_caller_is_killed "$why"
}

# As a terminal does: to the whole group of the caller. The caller ends by itself, QEMU with it.
test_interrupted() {
  local why
  start_holder >"$work/why"
  why=$(cat "$work/why")
  kill -INT -- "-$pid"
  wait "$pid"
  status=$?
  report interrupt_reaches_the_caller_alone "$why$(want_status 0)$(want_silence)$(wait_until none)"
}

# The watcher is killed as well: by whom is short of memory.
test_watcher_killed() {
  local why
  start_holder >"$work/why"
  why=$(cat "$work/why")
  # shellcheck disable=SC2046  # one number
  kill -KILL $(watchers)
  why+=$(wait_until none)
  kill -KILL "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  report qemu_ends_when_its_watcher_is_killed "$why"
}

test_one_after_another() {
  local i why=
  for i in 1 2 3 4 5; do
    run "$work/bin/unic" info qemu:e1000
    why+=$(want_status 0)$(want_silence)
    none || why+="QEMU outlives run $i. "
  done
  report nothing_is_left_after_each_run "$why"
}

test_no_files() {
  local before after
  before=$(find /dev/shm /dev/hugepages "$work/empty" 2>/dev/null | sort)
  (cd "$work/empty" && TMPDIR=$work/empty HOME=$work/empty run "$work/bin/edu" qemu:edu)
  after=$(find /dev/shm /dev/hugepages "$work/empty" 2>/dev/null | sort)
  report no_file_is_left "$([ "$before" = "$after" ] || echo "before: $before; after: $after")"
}

# The driver of the README.
test_readme() {
  # shellcheck disable=SC2016  # the backquotes are the README's
  sed -n '/^```c my.c$/,/^```$/p' "$root/README.md" | sed '1d;$d' >"$work/my.c"
  run "${CC:-gcc}" -Wall -Wextra -Werror -I"$root/include" -o "$work/my" "$work/my.c" \
    "$O/lib/libuserpci.a"
  report readme_compiles "$(want_status 0)"
  run "$work/my" qemu:edu
  report readme "$(want_status 0)$(want_text out 'edu: identification 0x010000ed')$(
    want_text out 'edu: interrupt received')"
}

test_ordinary_user() {
  if [ "$(id -u)" != 0 ]; then
    run "$work/bin/edu" qemu:edu
  elif command -v setpriv >/dev/null; then
    run setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs \
      --bounding-set=-all "$work/bin/edu" qemu:edu
  else
    echo "skip ordinary_user: there is no setpriv; run scripts/setup guest"
    return
  fi
  report ordinary_user "$(want_status 0)$(want_silence)$(want_text out 'DMA 4096 bytes')"
}

test_streams_closed() {
  timeout 60 "$work/bin/edu" qemu:edu <&- >&- 2>&-
  status=$?
  : >"$work/out"
  : >"$work/err"
  report streams_closed "$(want_status 0)"
}

test_missing() {
  USERPCI_QEMU=/nonexistent/qemu run "$work/bin/edu" qemu:edu
  report missing_qemu "$(want_status 1)$([ "$(wc -l <"$work/err")" = 1 ] || echo 'not one line')"
  USERPCI_QEMU=/bin/false run "$work/bin/unic" info qemu:e1000
  report wrong_qemu "$([ "$status" != 0 ] || echo 'it succeeds')$(
    [ "$(wc -l <"$work/err")" = 1 ] || echo 'not one line')"
}

# The address's options go to QEMU.
test_options() {
  run "$work/bin/unic" info qemu:e1000,mac=02:00:00:00:00:42
  report device_options "$(want_status 0)$(want_text out 02:00:00:00:00:42)"
}

test_valgrind() {
  if ! command -v valgrind >/dev/null; then
    echo "skip valgrind: it is not installed"
    return
  fi
  local check=(valgrind -q --leak-check=full --track-fds=no --error-exitcode=9)
  run "${check[@]}" "$work/bin/edu" qemu:edu
  report valgrind_edu "$(want_status 0)$(want_silence)"
  run "${check[@]}" "$work/bin/unic" info qemu:e1000
  report valgrind_unic "$(want_status 0)$(want_silence)"
}

# What a driver's author does with his own driver.
test_sanitizers() {
  make -s -C "$root" O="$O" sanitized >"$work/out" 2>"$work/err"
  run "$O/sanitized/bin/edu" qemu:edu
  report sanitizers_edu "$(want_status 0)$(want_silence)"
  run "$O/sanitized/bin/unic" info qemu:e1000
  report sanitizers_unic "$(want_status 0)$(want_silence)"
}

test_gdb() {
  if ! command -v gdb >/dev/null; then
    echo "skip gdb: it is not installed"
    return
  fi
  run gdb -q -batch -ex 'set debuginfod enabled off' -ex 'break factorial_by_polling' -ex run \
    -ex continue --args "$work/bin/edu" qemu:edu
  report gdb "$(want_text out 'DMA 4096 bytes')$(want_text out 'exited normally')$(wait_until none)"
}

test_killed
test_interrupted
test_watcher_killed
test_one_after_another
test_no_files
test_readme
test_ordinary_user
test_streams_closed
test_missing
test_options
test_gdb
test_valgrind
test_sanitizers
report nothing_is_left "$(wait_until none)"
exit $failed
