#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Tests what `make bench` does with figures, on made-up ones: the gate, the page, the rows. Prints
# a line `ok NAME` or `not ok NAME: WHY` a case.
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
cd "$root/tests/bench" || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# report NAME REASONS: no reason means that the case has passed.
report() {
  if [ -z "$2" ]; then
    echo "ok $1"
  else
    echo "not ok $1: ${2//$'\n'/; }"
    failed=1
  fi
}

# results INSTRUCTIONS DOORBELLS: a file of one row.
results() {
  printf 'stack\tdevice\tworkload\tburst\tmetric\tvalue\tspread\tunit\n'
  printf 'userpci\te1000\ttx\t32\tinstructions\t%s\t0.00\tper packet\n' "$1"
  printf 'userpci\te1000\ttx\t32\tdoorbells\t%s\t0\tper burst\n' "$2"
}

# gate INSTRUCTIONS DOORBELLS: its words, then its exit status.
gate() {
  results "$1" "$2" >"$work/new"
  awk -v without=// -f check.awk "$work/old" "$work/new"
  echo $?
}

test_gate() {
  { echo "# comment: of a version" && results 100.00 1.00; } >"$work/old"
  report gate_same "$([[ $(gate 100.00 1.00) = ok*0 ]] || gate 100.00 1.00)"
  report gate_one_percent "$([[ $(gate 100.90 1.00) = ok*0 ]] || gate 100.90 1.00)"
  report gate_dearer "$([[ $(gate 101.20 1.00) = *'not ok'*'101.20, not 100.00'*1 ]] ||
    gate 101.20 1.00)"
  report gate_doorbell "$([[ $(gate 90.00 2.00) = 'not ok'*'doorbells: 2.00'*1 ]] ||
    gate 90.00 2.00)"
  report gate_cheaper "$([[ $(gate 90.00 1.00) = ok*'make bench-keep'*0 ]] || gate 90.00 1.00)"
  head -n 1 "$work/new" >"$work/none"
  awk -v without=// -f check.awk "$work/old" "$work/none" >"$work/said"
  report gate_missing "$(grep -q '^not ok .*not measured' "$work/said" || cat "$work/said")"
  cp expected.tsv "$work/stored"
  awk -v without=// -f check.awk expected.tsv "$work/stored" >"$work/said"
  report gate_stored "$(grep -q '^ok userpci/virtio-net/forward/32 ' "$work/said" ||
    cat "$work/said")"
}

# The lines of a machine's log and of the plugin's report, as one row.
test_merge() {
  {
    printf 'job\tuserpci\tedu\n'
    printf 'irq-msi-raise\t-\tinstructions\t600\t0.1\tper cycle\nreport\n'
    printf 'irq-msi-ack\t-\tinstructions\t4\t0.1\tper cycle\nreport\n'
  } >"$work/log"
  printf '1\t0\t10\t6000\t0\t10\t40\t0\t0\n2\t0\t10\t60\t0\t10\t20\t0\t0\n' >"$work/report"
  awk -F '\t' -v wanted='userpci/edu/irq-msi-raise userpci/edu/irq-msi-ack' -f merge.awk \
    "$work/report" "$work/log" >"$work/merged" 2>"$work/said"
  report merge_counts "$(cut -f 3,5,6 "$work/merged" | grep -qP '^irq-msi-raise\tlocked\t4.00$' ||
    cat "$work/merged")"
  report merge_two_witnesses "$(
    grep -q 'irq-msi-ack: 4 instructions by the TSC, 6.00 by' "$work/said" || cat "$work/said")"
  awk -F '\t' -v wanted=userpci/edu/irq-msi-ack -f merge.awk "$work/report" "$work/log" \
    >"$work/merged" 2>/dev/null
  report merge_wanted_only "$(! grep raise "$work/merged")"
}

test_wall() {
  for other in 150 250; do
    printf 'job\tuserpci\te1000\nforward\t32\tinstructions\t100\t1\tper packet\n'
    printf 'job\tdpdk\te1000\nforward\t32\tinstructions\t%s\t1\tper packet\n' "$other"
  done >"$work/log"
  awk -F '\t' -f wall.awk /dev/null "$work/log" >"$work/merged"
  report merge_wall "$(
    grep -qP '^dpdk\te1000\twall-forward\t32\twall\t2.00\t1.50-2.50\t' "$work/merged" ||
      cat "$work/merged")"
}

# A row that is a program of its own, with the memory that it tells: merged, shown, and gated.
test_scale() {
  local queues text rows='userpci/igb/scale-queues-1/32 userpci/igb/scale-queues-4/32'
  for queues in 1 4; do
    printf 'job\tuserpci\tigb\n'
    printf 'scale-queues-%s\t32\tinstructions\t64.00\t0.04\tper packet\n' "$queues"
    printf 'scale-queues-%s\t32\tdma\t%s\t0\tbytes\nreport\n' "$queues" $((queues * 1000))
  done >"$work/log"
  printf '1\t0\t10\t20480\t0\t20\t0\t0\t0\n2\t0\t10\t20480\t0\t20\t40\t0\t0\n' >"$work/report"
  {
    results 1 1 | head -n 1
    awk -F '\t' -v wanted="$rows" -f merge.awk "$work/report" "$work/log"
  } >"$work/merged" 2>"$work/said"
  report scale_merged "$(cat "$work/said"
    for text in 'scale-queues-4\t32\tdma\t4000\t0\tbytes' 'scale-queues-4\t32\tlocked\t4.00\t' \
      'scale-queues-1\t32\tlocked\t0.00\t'; do
      grep -qP "^userpci\tigb\t$text" "$work/merged" || echo "no $text"
    done)"
  awk -f table.awk "$work/merged" >"$work/table"
  report scale_table "$(grep -qE '^igb +queues-4 +32 userpci +64.00 +0.04% +2.00 +4.00 +4000 ' \
    "$work/table" || cat "$work/table")"
  sed '/dma/s/4000/4100/' "$work/merged" >"$work/more"
  awk -v without=// -f check.awk "$work/merged" "$work/more" >"$work/said"
  report scale_gate "$(for text in '^not ok userpci/igb/scale-queues-4/32: dma: 4100, not 4000' \
    '^ok userpci/igb/scale-queues-1/32'; do
    grep -q "$text" "$work/said" || echo "no $text"
  done)"
  report scale_rows "$(for queues in 1 2 4; do
    ./run --list "userpci/*/scale-queues-$queues/" | grep -cE '/(igb|virtio-net)/' | grep -qx 2 ||
      echo "no rows with $queues queues"
  done)"
}

test_rows() {
  local one
  report rows_one "$([ "$(./run --list userpci/e1000/rx/32)" = userpci/e1000/rx/32 ] ||
    ./run --list userpci/e1000/rx/32)"
  report rows_pattern "$(! ./run --list 'dpdk/*/tx/8' | grep -v '^dpdk/.*/tx/8$')"
  one=$(./run no-such-row 2>&1)
  report rows_none "$([ $? = 2 ] && [[ $one = *'no row contains'* ]] || echo "said: $one")"
}

test_page() {
  if ! command -v gnuplot >/dev/null; then
    echo "skip page: there is no gnuplot; run scripts/setup bench"
    return
  fi
  ./page expected.tsv <(echo 'compiler: <made up>') >"$work/page" 2>"$work/said"
  report page "$([ ! -s "$work/said" ] || cat "$work/said"
    grep -q '&lt;made up>' "$work/page" || echo 'no versions'
    [ "$(grep -c '<svg' "$work/page")" -ge 8 ] || echo 'plots are missing'
    ! grep -nE '(src|href)="?https?:' "$work/page" || echo 'it needs a network')"
}

test_gate
test_merge
test_wall
test_scale
test_rows
test_page
exit $failed
