# SPDX-License-Identifier: MIT
# wall.awk REPORT LOG: runs of userpci and another stack by turns, by the clock: how many times as
# long the other takes, the mean of the pairs, the least and the most. The REPORT is empty.

$1 == "job" {
  stack = $2
  device = $3
  next
}

$3 == "instructions" { # of a clock here
  if (stack == "userpci") {
    ours = $4
    next
  }
  ratio = $4 / ours
  sum += ratio
  min = !count || ratio < min ? ratio : min
  max = ratio > max ? ratio : max
  count++
  other = stack
  workload = $1
  burst = $2
}

END {
  if (count)
    printf "%s\t%s\twall-%s\t%s\twall\t%.2f\t%.2f-%.2f\ttimes userpci\n", other, device, workload, \
      burst, sum / count, min, max
}
