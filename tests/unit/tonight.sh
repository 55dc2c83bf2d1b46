#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# doc/tonight.md, as a reader follows it: types the listings into mine.c, runs the commands, and
# sees what they print. In a directory that looks like the source tree. Prints `ok NAME` or
# `not ok NAME: WHY` a section that has commands.
#
# A listing's fence says where it belongs: "c mine.c" is the file, "c above run()" and "c end of
# run()" go into it; "sh run" is run; each line of a "text" after that must be in what was printed.
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
O=$(readlink -f "${O:-$root/build}")
export O

if ! command -v "${USERPCI_QEMU:-qemu-system-x86_64}" >/dev/null; then
  echo "skip tonight: there is no QEMU; run scripts/setup guest"
  exit 0
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
for entry in "$root"/*; do
  [ "$(basename "$entry")" = build ] || ln -s "$entry" "$work/"
done
ln -s "$O" "$work/build"
cd "$work" || exit 1

# Each listing to a file NUMBER-KIND, NUMBER.title has the heading that it stands below.
awk '
  /^## / { title = substr($0, 4) }
  /^```[a-z]/ {
    kind = substr($0, 4)
    gsub(/[^a-z.]+/, "-", kind)
    file = sprintf("listings/%02d-%s", ++n, kind)
    print title >sprintf("listings/%02d.title", n)
    next
  }
  /^```$/ { file = ""; next }
  file { print >file }
' <(mkdir listings && cat "$root/doc/tonight.md")

# type_in FILE LINE: FILE into mine.c, before the last line that is LINE above main().
type_in() {
  awk -v file="$1" -v before="$2" '
    /^int main/ { done = 1 }
    { text[++n] = $0 }
    $0 == before && !done { at = n }
    END {
      if (!at) exit 1
      for (i = 1; i <= n; i++) {
        if (i == at) while ((getline line <file) > 0) print line
        print text[i]
      }
    }' mine.c >mine.new && mv mine.new mine.c
}

failed=0 section='' why=''
finish_section() {
  local name
  name=$(tr -cs 'a-z0-9\n' _ <<<"${section,,}" | sed 's/^[0-9_]*//; s/_$//')
  [ -n "$section" ] || return 0
  if [ -z "$why" ]; then
    echo "ok tonight_$name"
  else
    echo "not ok tonight_$name: $why"
    cat said >&2
    failed=1
  fi
  why=''
}

for listing in listings/*-*; do
  title=$(cat "listings/$(basename "${listing%%-*}").title")
  if [ "$title" != "$section" ]; then
    finish_section
    section=$title
  fi
  case $listing in
  *-c-mine.c) cp "$listing" mine.c ;;
  *-c-above-run-) type_in "$listing" "static int run(struct edu *edu)" || why+="no place. " ;;
  *-c-end-of-run-) type_in "$listing" "	return 0;" || why+="no place. " ;;
  *-sh-run) timeout 300 bash -e "$listing" >said 2>&1 || why+="$listing: exit status $?. " ;;
  *-text)
    while IFS= read -r line; do
      grep -qF -- "$line" said || why+="no '$line'. "
    done <"$listing"
    ;;
  *) why+="$listing: what is that? " ;;
  esac
  ! grep -q 'warning:' said 2>/dev/null || why+="the compiler warns. "
done
finish_section
listings=(listings/*-sh-run)
if [ ${#listings[@]} -lt 9 ]; then
  echo "not ok tonight: there are only ${#listings[@]} listings that are run"
  failed=1
fi
exit $failed
