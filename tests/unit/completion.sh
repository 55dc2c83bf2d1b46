#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The shells' completion of userpci, whose files are what the tool prints from its table of
# commands, and of unic; bash and zsh complete with them. Prints a line `ok NAME` or `not ok NAME:
# WHY` a case.
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
O=$(readlink -f "${O:-$root/build}")
files=$root/userspace/tools/completion
failed=0

report() {
  if [ -z "$2" ]; then
    echo "ok $1"
  else
    echo "not ok $1: ${2//$'\n'/; }"
    failed=1
  fi
}

make -s -C "$root" O="$O" "$O/bin/userpci" "$O/bin/unic" >/dev/null 2>&1 || {
  echo "not ok completion: the tool cannot be built"
  exit 1
}
export PATH=$O/bin:$PATH

test_files() {
  report completion_bash_is_current "$(userpci --completion bash |
    diff -q - "$files/userpci.bash" ||
    echo "run 'userpci --completion bash >userspace/tools/completion/userpci.bash'")"
  report completion_zsh_is_current "$(userpci --completion zsh | diff -q - "$files/_userpci" ||
    echo "run 'userpci --completion zsh >userspace/tools/completion/_userpci'")"
  report completion_zsh_parses "$(zsh -fn "$files/_userpci" 2>&1)"
}

# What the help of each command says of its options, the completions offer.
test_options() {
  local command option missing=''
  for command in $(userpci --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p'); do
    for option in $(userpci "$command" --help | sed -n '/^usage/,/^$/p' |
      grep -o -- '--[a-z][a-z-]*' | sort -u); do
      complete_bash "userpci $command $option" | grep -qx -- "$option" ||
        missing+=" $command $option"
    done
  done
  report completion_has_all_options "$missing"
  missing=''
  for command in $(unic --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p'); do
    for option in $(unic "$command" --help | sed -n '/^usage/,/^$/p' |
      grep -o -- '--[a-z][a-z-]*' | sort -u); do
      complete_bash "unic $command $option" | grep -qx -- "$option" ||
        missing+=" $command $option"
    done
  done
  report completion_has_all_options_of_unic "$missing"
}

# complete_bash LINE: what TAB offers at its end, a line each.
complete_bash() {
  bash --norc -c '
    . "$1"
    COMP_LINE=$2 COMP_POINT=${#2} COMPREPLY=()
    COMP_WORDBREAKS=$'"' \\t\\n\"\\'><=;|&(:'"'
    "_$3"
    printf "%s\n" "${COMPREPLY[@]}"' bash "$files/${1%% *}.bash" "$1" "${1%% *}"
}

# offers NAME LINE WORD...: exactly these.
offers() {
  local name=$1 line=$2 offered
  shift 2
  offered=$(complete_bash "$line" | sed '/^$/d' | sort | tr '\n' ' ')
  [ "$offered" = "$(printf '%s\n' "$@" | sort | tr '\n' ' ')" ] && offered=''
  report "completion_bash_$name" "${offered:+after \"$line\" it offers: $offered}"
}

test_bash() {
  local device
  offers command 'userpci unb' unbind
  offers commands 'userpci p' peek poke
  offers long 'userpci --v' --version
  offers option 'userpci list --j' --json
  offers letter 'userpci top -' --count --help --interval --json --text -d -s
  offers value 'userpci bind --driver vf' vfio-pci
  offers value_of_equals 'userpci irq --kind=ms' msi msix
  offers region 'userpci dump --region c' config
  offers private 'userpci peek qemu:ed' edu
  offers register 'userpci peek qemu:edu FACT' FACTORIAL
  offers element 'userpci peek --width 32 qemu:e1000 RAL[1' 'RAL[1]' 'RAL[10]' 'RAL[11]' 'RAL[12]' \
    'RAL[13]' 'RAL[14]' 'RAL[15]'
  offers nothing_behind_an_address 'userpci reset qemu:edu q'
  offers nothing_unknown 'userpci frobnicate '
  offers unic_command 'unic st' stats
  offers unic_version 'unic --v' --version
  offers unic_option 'unic stats qemu:e1000 --c' --count --cycles
  offers unic_address 'unic stats qemu:igb' igb
  offers file "userpci diff $root/READ" "$root/README.md"
  for device in /sys/bus/pci/devices/*; do
    [ -e "$device" ] || return 0
  done
  # Of a word that bash divides at ':' the last part.
  offers address "userpci show ${device##*/}" "${device##*:}"
  device=${device##*/0000:}
  offers short_address "userpci show $device" "${device##*:}"
}

# In a terminal of its own: types LINE, TAB, and looks at what the line became.
test_zsh() {
  command -v zsh >/dev/null || {
    report completion_zsh "there is no zsh: run scripts/setup check"
    return
  }
  cat >"$work/zsh" <<'ZSH'
zmodload zsh/zpty zsh/system
zpty shell zsh -f -i
# Until PATTERN comes: at most 20 seconds.
await() {
  local end=$(( SECONDS + 20 )) piece
  said=
  while (( SECONDS < end )); do
    zpty -r -t shell piece && said+=$piece || sleep 0.05
    [[ $said == *$~1* ]] && return
  done
  return 1
}
zpty -w shell "fpath=($FILES \$fpath); autoload -Uz compinit; compinit -u -D; bindkey -e
PROMPT_EOL_MARK=; PS1='>'; bindkey '^I' complete-word; print -r SET''UP"
await SETUP || { print "not ok completion_zsh: no shell"; exit 1; }
tab() {
  zpty -w -n shell "$2"$'\t'
  if await "$3"; then
    print "ok completion_zsh_$1"
  else
    print "not ok completion_zsh_$1: after '$2': ${(V)said}"
  fi
  zpty -w shell $'\C-a\C-kprint -r DO''NE'
  await DONE
}
tab command 'userpci unb' 'unb*ind'
tab option 'userpci top --j' '--j*son'
tab value 'userpci bind --driver vf' 'vf*io-pci'
tab private 'userpci peek qemu:rtl' 'rtl*8139'
tab register 'userpci peek qemu:edu FACT' 'FACT*ORIAL'
tab unic_command 'unic stat' 'stat*s'
tab unic_option 'unic stats qemu:e1000 --cy' '--cy*cles'
tab unic_address 'unic gen qemu:rtl' 'rtl*8139'
ZSH
  FILES=$files TERM=xterm timeout 240 zsh -f "$work/zsh" || report completion_zsh_ends "status $?"
}

work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
test_files
test_options
test_bash
test_zsh | tee "$work/out"
! grep -q '^not ok' "$work/out" && exit $failed
exit 1
