# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Sourced by the tests that run in a guest: commands, their exit status and what they say.
set -uo pipefail

O=${O:-build}
PATH=$(cd "$O/bin" && pwd):$PATH
failures=0

# check NAME STATUS TEXT COMMAND...: the command ends with STATUS, and a line of its output holds
# TEXT.
check() {
  local name=$1 wanted=$2 text=$3 output status=0
  shift 3
  output=$("$@" 2>&1) || status=$?
  if [ "$status" != "$wanted" ]; then
    echo "not ok $name: exit status $status, not $wanted: ${output//$'\n'/ | }"
  elif ! grep -qF -e "$text" <<<"$output"; then
    echo "not ok $name: no '$text' in: ${output//$'\n'/ | }"
  else
    echo "ok $name"
    return
  fi
  failures=$((failures + 1))
}

# address ID: the address of the first device with that vendor:device.
address() {
  lspci -D -d "$1" | sed -n '1s/ .*//p'
}

# within COMMAND...: it succeeds before a minute is over; it is tried again and again.
within() {
  local tries=0
  until "$@" >/dev/null 2>&1; do
    [ $((tries += 1)) -lt 600 ] || return 1
    sleep 0.1
  done
}

# finish: the exit status of the whole.
finish() {
  [ "$failures" = 0 ]
}
