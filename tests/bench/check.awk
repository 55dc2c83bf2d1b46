# SPDX-License-Identifier: MIT
# check.awk -v without=PART EXPECTED RESULTS: a line "ok" or "not ok" for each row of EXPECTED whose
# name has not that PART. Instructions and memory may be 1 % more, what else is counted may not be more.

BEGIN { FS = "\t" }

/^#/ || $1 == "stack" { next }

{ key = $1 "/" $2 "/" $3 "/" $4 }

key ~ without { next }

FILENAME == ARGV[1] {
  if (!(key in of)) {
    order[++count] = key
    of[key] = ""
  }
  of[key] = of[key] " " $5
  expected[key, $5] = $6
  next
}

{ measured[key, $5] = $6 }

# What is wrong with one figure of a row, or nothing.
function wrong(key, metric,  was, is) {
  if (!((key, metric) in measured))
    return "; " metric ": not measured"
  was = expected[key, metric]
  is = measured[key, metric]
  if (is > was * (metric ~ /^(instructions|dma|heap)/ ? 1.01 : 1) + 0.05)
    return sprintf("; %s: %s, not %s (%+.1f %%)", metric, is, was, \
      was > 0 ? 100 * (is - was) / was : 100)
  return ""
}

END {
  for (i = 1; i <= count; i++) {
    key = order[i]
    why = ""
    n = split(of[key], metrics, " ")
    for (m = 1; m <= n; m++)
      why = why wrong(key, metrics[m])
    was = expected[key, "instructions"]
    is = measured[key, "instructions"]
    if (why != "") {
      print "not ok " key ": " substr(why, 3)
      failed = 1
    } else if (is < was * 0.99) {
      print "ok " key " (" is " instructions, it was " was ": make bench-keep)"
    } else {
      print "ok " key " (" is " instructions)"
    }
  }
  exit failed
}
