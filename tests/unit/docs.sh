#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# docs.sh [PAGE]...: the commands of all pages, as a reader types them, in a copy of the tree; what
# they print must hold each line of the "text" that follows. scripts/docs says what the fences mean,
# and that there is none which is neither run nor said to be run elsewhere. doc/tonight.md and
# doc/new-driver.md have tests of their own. Then all pages as HTML, with live links. Prints a line
# `ok NAME`, `not ok NAME: WHY` or `skip NAME: WHY` a section.
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
O=$(readlink -f "${O:-$root/build}")
export O
cd "$root" || exit 1

work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/pages"

report() {
  if [ -z "$2" ]; then
    echo "ok $1"
    return
  fi
  echo "not ok $1: $2"
  sed 's/^/# /' "$work/said" >&2
}

skip() {
  echo "skip $1: $2"
}

# The tree without its build, for what the commands write.
copy_tree() {
  local tree=$1
  mkdir -p "$tree"
  scripts/check --files | tar -c -T - | tar -x -C "$tree"
  ln -s "$O" "$tree/build"
  ln -s "$O/sanitized" "$tree/asan" # what a page builds with the sanitizers is there already
}

# run_block WORDS FILE: by the words of its fence; prints why it is wrong, or nothing.
run_block() {
  local words=$1 command=(bash -e "$2") status=0 options
  case $words in
  'run with QEMU 10')
    if [ -z "$(qemu/emulator --list | awk '$1 == 10 && $3 == "cached"')" ]; then
      echo "there is no QEMU 10; qemu/emulator 10 downloads one" >"$work/skipped"
      return
    fi
    ;;
  guest*)
    read -ra options <<<"${words#guest}"
    {
      echo "PATH=$PWD/build/bin:\$PATH"
      cat "$2"
    } >in-guest
    command=(qemu/run "${options[@]}" -- bash -e in-guest)
    ;;
  esac
  timeout 300 "${command[@]}" >"$work/said" 2>&1 </dev/null || status=$?
  [ "$status" = 0 ] || echo "exit status $status. "
}

# end_section NAME WHY: no name means that it had no commands.
end_section() {
  if [ -e "$work/skipped" ]; then
    skip "$1" "$(cat "$work/skipped")"
    rm "$work/skipped"
  elif [ -n "$1" ]; then
    report "$1" "$2"
  fi
}

# page PATH: its blocks, in order, in a directory of its own.
page() {
  local path=$1 why='' section='' name='' title words block stem list tree
  stem=docs_$(basename "${path,,}" .md | tr - _)
  work=$(mktemp -d "$work/XXXXXX")
  list=$work/blocks tree=$work/tree
  scripts/docs blocks "$path" "$list"
  grep -qsE '^sh (run|guest)|^pycon' "$list"/*.info || return 0
  copy_tree "$tree"
  cd "$tree" || exit 1
  : >"$work/said"
  for block in "$list"/*.info; do
    words=$(cat "$block")
    title=$(cat "${block%.info}.title")
    if [ "$title" != "$section" ]; then
      end_section "$name" "$why"
      section=$title why='' name=
    fi
    case $words in
    'sh run'* | 'sh guest'*)
      name=${stem}_$(tr -cs 'a-z0-9\n' _ <<<"${title,,}" | sed 's/_*$//')
      why+=$(run_block "${words#sh }" "${block%.info}.text")
      ;;
    text)
      while IFS= read -r line; do
        grep -qF -- "$line" "$work/said" || why+="no '$line'. "
      done <"${block%.info}.text"
      ;;
    'c '*.c) cp "${block%.info}.text" "${words#c }" ;;
    esac
  done
  end_section "$name" "$why"
  if grep -qs '^pycon' "$list"/*.info; then
    why=
    PYTHONPATH=userspace/python timeout 200 python3 -W error -m doctest "$path" \
      >"$work/said" 2>&1 || why="doctest: $(grep -A 9 '^Failed' "$work/said" | tr '\n' '|')"
    report "${stem}_doctest" "$why"
  fi
}

# print_page NAME: what a page has said, in one piece.
print_page() {
  cat "$work/pages/$1.err" >&2
  cat "$work/pages/$1"
}

export PYTHONDONTWRITEBYTECODE=1
if ! command -v "${USERPCI_QEMU:-qemu-system-x86_64}" >/dev/null; then
  skip docs "there is no QEMU; run scripts/setup guest"
  exit 0
fi
make -s O="$O" sanitized lib tools tests module KERNEL=6.1 >"$work/said" 2>&1 || {
  report docs "the tools cannot be built"
  exit 1
}
pages=("$@")
[ $# -gt 0 ] || mapfile -t pages < <(scripts/docs order)

# Several at once, but those that build something come one after another.
builders=()
for path in "${pages[@]}"; do
  name=${path//\//-}
  case $path in
  doc/tonight.md | doc/new-driver.md) continue ;;
  esac
  if grep -q '^make ' "$path"; then
    builders+=("$path")
    continue
  fi
  [ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n
  (page "$path") >"$work/pages/$name" 2>"$work/pages/$name.err" &
done
wait
for path in "${builders[@]}"; do
  name=${path//\//-}
  (page "$path") >"$work/pages/$name" 2>"$work/pages/$name.err"
done
for path in "${pages[@]}"; do
  name=${path//\//-}
  [ ! -e "$work/pages/$name" ] || print_page "$name"
done
if [ $# = 0 ]; then
  [ "$(cat "$work"/pages/* | grep -c '^ok')" -ge 20 ] || report docs "few sections have commands"
  why=''
  make -s O="$work/html" docs >"$work/said" 2>&1 || why=$(tail -n 1 "$work/said")
  report docs_html "$why" | tee "$work/pages/html"
fi
! cat "$work"/pages/* | grep -q '^not ok'
