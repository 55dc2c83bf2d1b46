# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of userpci for bash. 'userpci --completion bash' prints it.

_userpci_devices() {
  local device
  for device in /sys/bus/pci/devices/*; do
    [ -e "$device" ] || continue
    device=${device##*/}
    # In the form that was begun.
    [[ $1 != [0-9a-f][0-9a-f]:* ]] || device=${device#0000:}
    printf '%s\n' "$device"
  done
}

_userpci_ids() {
  local device vendor id
  for device in /sys/bus/pci/devices/*; do
    if read -r vendor <"$device/vendor" && read -r id <"$device/device"; then
      printf '%s:%s\n' "${vendor#0x}" "${id#0x}"
    fi
  done 2>/dev/null
}

# The address on the command line, behind the command and its options.
_userpci_address() {
  local word
  for word in "${@:3}"; do
    if [[ $word == *:* && $word != -* ]]; then
      printf '%s\n' "$word"
      return
    fi
  done
}

_userpci() {
  # Words as they are divided by blanks: bash divides at ':' and '=' as well.
  local line=${COMP_LINE:0:COMP_POINT}
  local current='' previous words='' values='' operands='' address
  local private='qemu:edu qemu:e1000 qemu:e1000e qemu:igb qemu:rtl8139 qemu:virtio-net-pci'
  local -a typed
  read -ra typed <<<"$line"
  if [[ $line != *[[:space:]] ]]; then
    current=${typed[-1]}
    unset 'typed[-1]'
  fi
  previous=${typed[-1]}
  if [[ $current == --*=* ]]; then
    previous=${current%%=*}
    current=${current#*=}
  fi
  COMPREPLY=()
  if [ ${#typed[@]} = 1 ]; then
    words='list show bind unbind restore peek poke dump diff watch irq reset top trace '
    words+='--help --version --completion'
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi
  case $previous in
  -s) values=$(_userpci_devices "$current") ;;
  -d) values=$(_userpci_ids) ;;
  --driver) values='userpci vfio-pci uio_pci_generic' ;;
  --region) values='config 0 1 2 3 4 5' ;;
  --width) values='8 16 32 64' ;;
  --output) values='FILE' ;;
  --kind) values='best intx msi msix' ;;
  esac
  case ${typed[1]} in
  list)
    operands=devices
    words='-s -d --bound -k --details --json --help'
    ;;
  show)
    operands=devices
    words='-s -d --json --help'
    ;;
  bind)
    operands=devices
    words='-s -d --driver --force --persist --by-id --dry-run --json --help'
    ;;
  unbind)
    operands=devices
    words='-s -d --all --driver --force --forget --dry-run --json --help'
    ;;
  restore)
    operands=devices
    words='-s -d --force --dry-run --json --help'
    ;;
  peek)
    operands=registers
    words='--names --region --width --json --help'
    ;;
  poke)
    operands=registers
    words='--region --width --json --help'
    ;;
  dump)
    operands=address
    words='--region --offset --length --width --names --output --json --help'
    ;;
  diff)
    operands=files
    words='--region --offset --length --width --names --interval --json --help'
    ;;
  watch)
    operands=registers
    words='--mask --value --count --timeout --interval --region --width --json --help'
    ;;
  irq)
    operands=registers
    words='--kind --vectors --count --timeout --ack --region --width --json --help'
    ;;
  reset)
    operands=address
    words='--json --help'
    ;;
  top)
    operands=devices
    words='-s -d --interval --count --text --json --help'
    ;;
  trace)
    operands=files
    words='--record --replay --help'
    ;;
  --completion) values='bash zsh' ;;
  *) return ;;
  esac
  if [ "$values" = FILE ]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    return
  elif [ -n "$values" ]; then
    words=$values
  elif [[ $current != -* ]]; then
    words=''
    case $operands in
    address | registers)
      address=$(_userpci_address "${typed[@]}")
      if [ -n "$address" ] && [ $operands = address ]; then
        words=''
      elif [ -n "$address" ]; then
        words=$("${typed[0]}" --completion registers "$address" 2>/dev/null)
      else
        words="$(_userpci_devices "$current") $private"
      fi
      ;;
    *)
      words=$(_userpci_devices "$current")
      [ "$operands" = devices ] || words+=" $private"
      ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if [ "$operands" = files ] && [ -z "$values" ] && [[ $current != -* ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current")
  fi
  # Of a word that bash has divided it wants the last part.
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
  fi
}

complete -F _userpci userpci
