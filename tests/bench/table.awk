# SPDX-License-Identifier: MIT
# table.awk RESULTS: results.tsv as a table, a line a row.

NR == 1 { next }

{
  row = $2 "\t" $3 "\t" $4 "\t" $1
  if (!(row in known)) {
    known[row] = 1
    order[++count] = row
  }
  value[row, $5] = $6
  if ($5 == "instructions")
    spread[row] = $7
}

function cell(row, metric) {
  return (row, metric) in value ? value[row, metric] : "-"
}

END {
  head = "%-18s %-8s %5s  %-10s %13s %7s %13s %10s %10s %7s %7s %9s\n"
  printf head, "", "", "", "", "instructions", "", "instructions", "register", "", "", "", "system"
  printf head, "device", "workload", "burst", "stack", "driver", "spread", "application", \
    "accesses", "doorbells", "locked", "fences", "calls"
  for (i = 1; i <= count; i++) {
    row = order[i]
    split(row, part, "\t")
    printf head, part[1], part[2], part[3], part[4], cell(row, "instructions"), spread[row] "%", \
      cell(row, "instructions-app"), cell(row, "registers"), cell(row, "doorbells"), \
      cell(row, "locked"), cell(row, "fences"), cell(row, "syscalls")
  }
  print "\nInstructions are per packet, all behind them per burst."
}
