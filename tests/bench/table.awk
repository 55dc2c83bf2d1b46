# SPDX-License-Identifier: MIT
# table.awk [-v html=1] RESULTS: results.tsv as tables, a line a row: packets, packets where there is
# more of something, everything else, time.

BEGIN { FS = "\t" }

FNR == 1 { next }

# Of the columns each value in the order in which it came first.
function note(kind, name) {
  if (!((kind, name) in noted)) {
    noted[kind, name] = 1
    names[kind, ++count[kind]] = name
  }
}

{
  section = $5 == "wall" ? "time" : $4 == "-" ? "other" : $3 ~ /^scale-/ ? "scale" : "packet"
  note(section "1", $2)
  note(section "2", $3)
  note(section "3", $4)
  note(section "4", $1)
  row = $2 SUBSEP $3 SUBSEP $4 SUBSEP $1
  is[section, row] = 1
  value[row, $5] = $6
  spread[row, $5] = $7
  unit[row] = $8
}

function percent(row, metric) {
  return spread[row, metric] ~ /^[0-9.]+$/ ? spread[row, metric] "%" : spread[row, metric]
}

function cell(row, metric) {
  return (row, metric) in value ? value[row, metric] : "-"
}

# line(FORMAT, CELL...): the cells between | are those of the HTML table.
function line(tag, text) {
  if (!html) {
    gsub(/\|/, " ", text)
    sub(/ +$/, "", text)
    print text
    return
  }
  gsub(/ *\| */, "</" tag "><" tag ">", text)
  gsub(/^ +| +$/, "", text)
  print "<tr><" tag ">" text "</" tag "></tr>"
}

function head(title) {
  print html ? "<h2>" title "</h2>\n<table>" : title
}

function end() {
  print html ? "</table>" : ""
}

function packet_line(d, w, b, s, row) {
  line("td", sprintf("%-17s|%-7s|%5s|%-9s|%9s|%6s|%11s|%9s|%9s|%8s|%8s|%7s", d, w, b, s, \
    cell(row, "instructions"), percent(row, "instructions"), cell(row, "instructions-app"), \
    cell(row, "registers"), cell(row, "doorbells"), cell(row, "locked"), cell(row, "fences"), \
    cell(row, "syscalls")))
}

function scale_line(d, w, b, s, row) {
  line("td", sprintf("%-17s|%-16s|%5s|%-9s|%9s|%6s|%9s|%6s|%9s|%7s|%11s|%12s", d, substr(w, 7), \
    b, s, cell(row, "instructions"), percent(row, "instructions"), cell(row, "registers"), \
    cell(row, "locked"), cell(row, "dma"), cell(row, "heap"), cell(row, "dma-sharing"), \
    cell(row, "heap-sharing")))
}

function other_line(d, w, b, s, row) {
  line("td", sprintf("%-17s|%-27s|%-15s|%12s|%6s|%9s|%8s|%8s|%7s", d, w, s, \
    cell(row, "instructions"), percent(row, "instructions"), cell(row, "registers"), \
    cell(row, "locked"), cell(row, "fences"), cell(row, "syscalls")))
}

function time_line(d, w, b, s, row) {
  line("td", sprintf("%-17s|%-20s|%5s|%-9s|%9s|%12s|%s", d, w, b, s, cell(row, "wall"), \
    percent(row, "wall"), unit[row]))
}

function all(section,  d, w, b, s, row) {
  for (d = 1; d <= count[section "1"]; d++)
    for (w = 1; w <= count[section "2"]; w++)
      for (b = 1; b <= count[section "3"]; b++)
        for (s = 1; s <= count[section "4"]; s++) {
          row = names[section "1", d] SUBSEP names[section "2", w] SUBSEP \
            names[section "3", b] SUBSEP names[section "4", s]
          if (!((section, row) in is))
            continue
          split(row, part, SUBSEP)
          if (section == "packet")
            packet_line(part[1], part[2], part[3], part[4], row)
          else if (section == "scale")
            scale_line(part[1], part[2], part[3], part[4], row)
          else if (section == "other")
            other_line(part[1], part[2], part[3], part[4], row)
          else
            time_line(part[1], part[2], part[3], part[4], row)
        }
  end()
}

END {
  if (count["packet1"]) {
    head("Instructions per packet; all else per burst")
    line("th", sprintf("%-17s|%-7s|%5s|%-9s|%9s|%6s|%11s|%9s|%9s|%8s|%8s|%7s", "device", \
      "work", "burst", "stack", "driver", "spread", "application", "registers", "doorbells", \
      "locked", "fences", "calls"))
    all("packet")
  }
  if (count["scale1"]) {
    head("Forward with more of something: instructions per packet; bytes of memory")
    line("th", sprintf("%-17s|%-16s|%5s|%-9s|%9s|%6s|%9s|%6s|%9s|%7s|%11s|%12s", "device", \
      "with", "burst", "stack", "driver", "spread", "registers", "locked", "DMA", "heap", \
      "sharing-DMA", "sharing-heap"))
    all("scale")
  }
  if (count["other1"]) {
    head("Instructions, once")
    line("th", sprintf("%-17s|%-27s|%-15s|%12s|%6s|%9s|%8s|%8s|%7s", "device", "work", "stack", \
      "instructions", "spread", "registers", "locked", "fences", "calls"))
    all("other")
  }
  if (count["time1"]) {
    head("Time, for comparison only")
    line("th", sprintf("%-17s|%-20s|%5s|%-9s|%9s|%12s|%s", "device", "work", "burst", "stack", \
      "time", "least-most", "unit"))
    all("time")
  }
}
