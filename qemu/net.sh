# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# qemu/run: the network that the device under test is connected to. Sourced, never run.
#
# Reads and sets the settings of qemu/run: net, tap_cidr, devices, capture, mac.

default_mac=52:54:00:12:34:56
default_cidr=10.99.0.1/24
tap=tap0
tap_mac=52:54:00:99:00:01

# Sets $net and $tap_cidr from the option's value.
parse_net() {
  case $1 in
  none | user | tap) net=$1 ;;
  tap:*/*)
    net=tap
    tap_cidr=${1#tap:}
    ;;
  tap:*) die "--net $1: the address needs a prefix length, as in tap:$default_cidr" ;;
  *) die "--net $1: unknown; it is none, user, tap or tap:ADDRESS/LENGTH" ;;
  esac
}

# enter_namespace ARGUMENT...: starts this script again, with its arguments, in a network namespace
# of its own. The namespace has no name: it ends with the last of its processes, however they end.
# The mark holds the process's number, which exec keeps: so that of another run does not count.
enter_namespace() {
  local -a unshare=(unshare --net)
  [ "${USERPCI_NAMESPACE-}" != $$ ] || {
    unset USERPCI_NAMESPACE
    return 0
  }
  [ "$(id -u)" -eq 0 ] || unshare+=(--map-root-user)
  "${unshare[@]}" true ||
    die "--net tap needs a network namespace: be root, or allow user namespaces to users"
  USERPCI_NAMESPACE=$$ exec "${unshare[@]}" -- "$0" "$@"
}

make_tap() {
  need ip guest
  [ -w /dev/net/tun ] || die "--net tap: no access to /dev/net/tun: be root, or modprobe tun"
  {
    ip link set lo up &&
      ip tuntap add dev $tap mode tap &&
      # No address of its own making: only packets that somebody asked for reach the device.
      ip link set $tap addrgenmode none address $tap_mac &&
      ip addr add "$tap_cidr" dev $tap &&
      ip link set $tap up
  } || die "--net tap: could not make the tap device"
}

# Connects the first of $devices that can be, unless one of them says itself what to connect to.
# Sets $mac to its address.
connect_devices() {
  local i
  mac=$default_mac
  [ "$net" != none ] || return 0
  for i in "${!devices[@]}"; do
    case ${devices[i]} in
    *,netdev=*) ;;
    *)
      has_property "${devices[i]}" netdev || continue
      devices[i]+=,netdev=net0
      ;;
    esac
    case ${devices[i]} in
    *,mac=*)
      mac=${devices[i]#*,mac=}
      mac=${mac%%,*}
      ;;
    *) devices[i]+=,mac=$mac ;;
    esac
    return
  done
}

# Quirk: before QEMU 8, a filter-dump at a tap with offloads writes their header before each frame.
# So a captured tap has no offloads, and the file holds what would be on the wire.
add_netdev() {
  case $net in
  none) return ;;
  user)
    "$qemu" -netdev help 2>/dev/null | grep -qx user ||
      die "--net user: this QEMU was built without it (libslirp); use --net tap"
    arguments+=(-netdev user,id=net0)
    ;;
  tap)
    arguments+=(-netdev "tap,id=net0,ifname=$tap,script=no,downscript=no,vhost=off")
    [ -z "$capture" ] || arguments[-1]+=,vnet_hdr=off
    ;;
  esac
  [ -z "$capture" ] ||
    arguments+=(-object "filter-dump,id=capture,netdev=net0,file=$(escape "$capture")")
}
