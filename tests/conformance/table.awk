# SPDX-License-Identifier: MIT
# table.awk -v kernel=NAME [-v first=NAME] FILE...: the rows of the logs as tables.
# FILE is DIR/conformance-KERNEL-SUBJECT.log. With `first` only what is not as on that kernel.

FNR == 1 {
  name = FILENAME
  sub(/^.*\/conformance-/, "", name)
  sub(/\.log$/, "", name)
  subject = name
  sub(/^.*-/, "", subject)
  of = substr(name, 1, length(name) - length(subject) - 1)
}

$1 == "row" {
  if (!($3 in title)) {
    order[++count] = $3
    section[$3] = $2
    title[$3] = $4
  }
  outcome[of, subject, $3] = $5
}

function cell(on, who, row) {
  if (!((on, who, row) in outcome))
    return "no outcome"
  return outcome[on, who, row] == "not offered" ? "-" : outcome[on, who, row]
}

function line(on, row,  i, text) {
  text = "| `" row "` | " title[row] " |"
  for (i = 1; i <= 4; i++)
    text = text " " cell(on, subjects[i], row) " |"
  return text
}

function nobody(row,  i) {
  for (i = 1; i <= 4; i++)
    if (cell(kernel, subjects[i], row) != "-")
      return 0
  return 1
}

END {
  split("userpci uio vfio sysfs", subjects, " ")
  for (i = 1; i <= count; i++) {
    row = order[i]
    if (nobody(row) || (first != "" && line(kernel, row) == line(first, row)))
      continue
    if (section[row] != last) {
      printf "\n| %s | | userpci | UIO | VFIO | sysfs |\n|---|---|---|---|---|---|\n", section[row]
      last = section[row]
    }
    print line(kernel, row)
  }
}
