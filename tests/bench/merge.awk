# SPDX-License-Identifier: MIT
# merge.awk -v wanted='ROW ROW...' REPORT LOG: the lines of results.tsv of one machine.
# LOG is what the programs printed, REPORT what QEMU's plugin has counted beside (qemu/icount.c).

BEGIN {
  OFS = "\t"
  n = split(wanted, rows, " ")
  for (i = 1; i <= n; i++)
    is_wanted[rows[i]] = 1
  split("registers doorbells locked fences syscalls", names, " ")
}

FILENAME == ARGV[1] {
  for (i = 3; i <= NF; i++)
    counted[$1, $2, i] = $i
  next
}

$1 == "job" {
  stack = $2
  device = $3
  next
}

# The mean of a column of the report; less that of the second window, if that is the empty one.
function mean(column) {
  return counted[reports, 0, column] / counted[reports, 0, 3] - \
    (empty ? counted[reports, 1, column] / counted[reports, 1, 3] : 0)
}

function put(metric, value, spread, unit) {
  row = stack "/" device "/" workload (burst == "-" ? "" : "/" burst)
  if (row in is_wanted)
    print stack, device, workload, burst, metric, value, spread, unit
}

$1 == "report" {
  reports++
  if (!counted[reports, 0, 3]) {
    printf "bench: %s: QEMU's plugin saw no window\n", row >"/dev/stderr"
    exit 1
  }
  each = burst == "-" ? 1 : burst
  if (empty) {
    put("instructions", sprintf("%.1f", mean(4) / each), "-", "per packet")
    put("instructions-app", sprintf("%.1f", mean(4) / each), "-", "per packet")
  }
  value[1] = mean(5) + mean(6)
  for (i = 2; i <= 5; i++)
    value[i] = mean(i + 4)
  for (i = 1; i <= 5; i++)
    put(names[i], sprintf("%.2f", value[i]), 0, burst == "-" ? "per cycle" : "per burst")
  # The same was counted in two ways: by the guest's TSC, and by the plugin.
  differs = mean(4) / each - tsc
  if (!empty && differs * differs > 0.26 && differs * differs > (tsc / 1000) ^ 2)
    printf "bench: %s: %s instructions by the TSC, %.2f by QEMU's plugin\n", row, tsc, \
      mean(4) / each >"/dev/stderr"
  empty = 0
  next
}

NF == 6 {
  workload = $1
  burst = $2
  empty = $4 == "plugin"
  if ($3 == "instructions")
    tsc = $4
  if (!empty)
    put($3, $4, $5, $6)
}
