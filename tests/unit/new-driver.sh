#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# doc/new-driver.md cannot rot: each listing is a piece of the source that its fence names, to the
# letter ("..." divides pieces); "sh run" is run, in a tree where asan/ is the sanitized build, and
# each line of a "text" after it must be in what that printed. One line a section: `ok NAME` or
# `not ok NAME: WHY`.
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
page=$root/doc/new-driver.md
O=$(readlink -f "${O:-$root/build}")
export O

work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
for entry in "$root"/*; do
  [ "$(basename "$entry")" = build ] || ln -s "$entry" "$work/"
done
ln -s "$O" "$work/build"
ln -s "$O/sanitized" "$work/asan"
make -s -C "$root" O="$O" sanitized >"$work/make" 2>&1
cd "$work" || exit 1
mkdir listings

# Each piece to a file NUMBER-KIND; NUMBER.title has the heading that it stands below.
awk '
  function begin() {
    file = sprintf("listings/%03d-%s", ++n, kind)
    print title >sprintf("listings/%03d.title", n)
  }
  /^# A network driver/ { part = "nic " }
  /^## / { title = part substr($0, 4) }
  /^```[a-z]/ { kind = substr($0, 4); gsub(/ /, "-", kind); begin(); next }
  /^```$/ { file = ""; next }
  file && kind ~ /^c/ && $0 == "..." { begin(); next }
  file { print >file }
' "$page"

# is_piece FILE SOURCE: whether the lines of FILE follow one another in SOURCE.
is_piece() {
  awk -v piece="$1" '
    BEGIN {
      RS = "\001"
      getline text <piece
      getline source <ARGV[1]
      exit !index("\n" source, "\n" text)
    }
  ' "$2"
}

failed=0 section='' why='' pieces=0 runs=0
finish_section() {
  local name
  name=$(tr -cs 'a-z0-9\n' _ <<<"${section,,}" | sed 's/^[0-9_]*//; s/_[0-9]*_/_/; s/_$//')
  [ -n "$section" ] || return 0
  if [ -z "$why" ]; then
    echo "ok new_driver_$name"
  else
    echo "not ok new_driver_$name: $why"
    failed=1
  fi
  why=''
}

# A listing that is a part of a C file.
check_piece() {
  local source
  source=$(find "$root/userspace" -name "$2")
  pieces=$((pieces + 1))
  is_piece "$1" "$source" || why+="not in $2: '$(head -n 1 "$1")'. "
}

for listing in listings/*-*; do
  title=$(cat "${listing%%-*}.title")
  if [ "$title" != "$section" ]; then
    finish_section
    section=$title
  fi
  case $listing in
  *-c-*.c) check_piece "$listing" "${listing##*-c-}" ;;
  *-sh-run)
    [ -n "$(command -v "${USERPCI_QEMU:-qemu-system-x86_64}")" ] || continue
    runs=$((runs + 1))
    # What `make` builds is there already.
    sed '/^make /d' "$listing" >commands
    timeout 200 bash -e commands >said 2>&1 || why+="$listing: exit status $?: $(tail -n 1 said). "
    ;;
  *-text)
    while IFS= read -r line; do
      [ "$runs" = 0 ] || grep -qF -- "$line" said || why+="no '$line' was printed. "
    done <"$listing"
    ;;
  *) why+="$listing: what is that? " ;;
  esac
done
finish_section
if [ "$pieces" -lt 25 ]; then
  echo "not ok new_driver: there are only $pieces listings"
  failed=1
fi
[ "$runs" -gt 0 ] || echo "skip new_driver_commands: there is no QEMU; run scripts/setup guest"
exit $failed
