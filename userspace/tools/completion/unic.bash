# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Completion of unic for bash. What commands and options there are the tool's help says.

# Network interfaces, in the form that was begun; those of QEMU's that the drivers are for.
_unic_addresses() {
  local device class
  for device in /sys/bus/pci/devices/*; do
    read -r class 2>/dev/null <"$device/class" || continue
    [[ $class == 0x02* ]] || continue
    device=${device##*/}
    [[ $1 != [0-9a-f][0-9a-f]:* ]] || device=${device#0000:}
    printf '%s\n' "$device"
  done
  printf 'qemu:%s\n' e1000 e1000e igb rtl8139 virtio-net-pci
}

_unic() {
  # Words as they are divided by blanks: bash divides at ':' as well.
  local line=${COMP_LINE:0:COMP_POINT} current='' words
  local -a typed
  read -ra typed <<<"$line"
  if [[ $line != *[[:space:]] ]]; then
    current=${typed[-1]}
    unset 'typed[-1]'
  fi
  if [ ${#typed[@]} = 1 ]; then
    words="$("${typed[0]}" --help 2>/dev/null | sed -n 's/^  \([a-z]*\)  .*/\1/p') --help --version"
  elif [[ $current == -* ]]; then
    words="$("${typed[0]}" "${typed[1]}" --help 2>/dev/null |
      grep -o -- '--[a-z][a-z-]*' | sort -u) --help"
  else
    words=$(_unic_addresses "$current")
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
  fi
}

complete -o default -F _unic unic
