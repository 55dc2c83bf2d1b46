# SPDX-License-Identifier: MIT
# merge.awk -v wanted='ROW ROW...' REPORT LOG: the lines of results.tsv of one machine.
# LOG is what the programs printed, REPORT what QEMU's plugin has counted beside (qemu/icount.c).

FILENAME == ARGV[1] {
  if ($2 == 0)
    for (i = 3; i <= NF; i++)
      counted[$1, i] = $i
  next
}

$1 == "job" {
  stack = $2
  device = $3
  next
}

function add(metric, value, unit) {
  printf "%s\t%s\t%s\t%s\t%s\t%s\t0\t%s\n", stack, device, workload, burst, metric, value, unit
}

$1 == "report" {
  kept = counted[++reports, 3]
  if (!kept) {
    printf "bench: %s/%s/%s: QEMU's plugin saw no window\n", stack, device, workload >"/dev/stderr"
    exit 1
  }
  per = burst == "-" ? "per cycle" : "per burst"
  add("registers", sprintf("%.2f", (counted[reports, 5] + counted[reports, 6]) / kept), per)
  add("doorbells", sprintf("%.2f", counted[reports, 6] / kept), per)
  add("locked", sprintf("%.2f", counted[reports, 7] / kept), per)
  add("fences", sprintf("%.2f", counted[reports, 8] / kept), per)
  add("syscalls", sprintf("%.2f", counted[reports, 9] / kept), per)
  # The same was counted in two ways: by the guest's TSC, and by the plugin.
  other = counted[reports, 4] / kept / (burst == "-" ? 1 : burst)
  if (instructions != "" && (other > instructions + 0.02 || other < instructions - 0.02))
    printf "bench: %s/%s/%s/%s: %s instructions by the TSC, %.2f by QEMU's plugin\n", stack, \
      device, workload, burst, instructions, other >"/dev/stderr"
  next
}

NF == 6 {
  workload = $1
  burst = $2
  if ($3 == "instructions")
    instructions = $4
  printf "%s\t%s\t%s\n", stack, device, $0
}
