# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What qemu/kernel, qemu/initramfs and qemu/run share. Sourced, never run.

# Messages begin with the name of the script that the user started.
me=${0##*/}

# What die exits with, unless told otherwise.
failure=1

say() {
  printf '%s: %s\n' "$me" "$*" >&2
}

# die [-STATUS] MESSAGE...
die() {
  local status=$failure
  case ${1-} in
  -[0-9]*)
    status=${1#-}
    shift
    ;;
  esac
  say "$*"
  exit "$status"
}

# need COMMAND PROFILE: a missing program is reported with the command that installs it. Also looks
# where an ordinary user's PATH does not: depmod and modprobe are there.
need() {
  PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ||
    die "$1 was not found; install it with: scripts/setup $2"
}

# Where everything lives that can be made again: kernels, guest images, the answer of the KVM probe.
cache_dir() {
  local home=${HOME-}
  [ -n "${USERPCI_CACHE-}${XDG_CACHE_HOME-}$home" ] ||
    die "neither USERPCI_CACHE nor HOME is set: there is no place for the cache"
  realpath -m "${USERPCI_CACHE:-${XDG_CACHE_HOME:-$home/.cache}/userpci}"
}

# Prints the number of microseconds since the epoch; the separator depends on the locale.
now_us() {
  printf '%s\n' "${EPOCHREALTIME//[!0-9]/}"
}
