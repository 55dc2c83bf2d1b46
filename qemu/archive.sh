# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# qemu/kernel and qemu/emulator: packages of the Debian archive, of any suite, downloaded and
# unpacked beside the system. Sourced, never run.
#
# Uses of its caller: work, a directory for what is in progress.
#
# shellcheck disable=SC2154  # work

# What die exits with when the archive is to blame.
no_archive=3

# Prints "URI SUITE" for each suite that this system's apt knows. From --print-uris, because
# indextargets says nothing before the first apt-get update.
system_suites() {
  apt-get update --print-uris 2>/dev/null |
    sed -n "s|^'\([^']*\)/dists/\([^']*\)/InRelease'.*|\1 \2|p"
}

# Prints the URI of a mirror of the whole Debian archive, which holds every suite but -security.
main_mirror() {
  local uri
  if [ -n "${USERPCI_MIRROR-}" ]; then
    printf '%s\n' "$USERPCI_MIRROR"
    return
  fi
  uri=$(system_suites | sed -nE \
    's/^(.*) (bookworm|trixie|forky|sid|(old)?stable|testing|unstable)$/\1/p' | head -n 1)
  [ -n "$uri" ] ||
    die "-$no_archive" "this system's apt names no Debian mirror; set USERPCI_MIRROR to one's URI"
  printf '%s\n' "$uri"
}

# Prints apt's source lines for suite $1: as this system has them, with its updates, or else from
# the main mirror.
source_lines() {
  local suite=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg lines="" options=""
  [ ! -r "$keyring" ] || options="signed-by=$keyring"
  # A mirror of sid that lags behind does no harm here.
  [ "$suite" != sid ] || options+=" check-valid-until=no"
  if [ -z "${USERPCI_MIRROR-}" ]; then
    lines=$(system_suites | awk -v suite="$suite" \
      '$2 == suite || $2 == suite "-updates" || $2 == suite "-security"')
  fi
  # The updates alone do not do: they hold only what changed.
  grep -q " $suite\$" <<<"$lines" || lines="$(main_mirror) $suite"
  sed "s|^|deb ${options:+[$options] }|; s|\$| main|" <<<"$lines"
}

# apt with its state under $work: it neither needs root nor sees or changes the system's state.
# Only the system's apt.conf holds, for the sake of its proxy settings.
private_apt() {
  local tool=$1
  shift
  "$tool" -q \
    -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::State="$work/apt/state" -o Dir::State::status="$work/apt/status" \
    -o Dir::Cache="$work/apt/cache" -o Dir::Cache::pkgcache="" -o Dir::Cache::srcpkgcache="" \
    -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=root \
    -o APT::Architecture=amd64 -o APT::Architectures=amd64 \
    "$@"
}

# update_lists SUITE...
update_lists() {
  local suite
  mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial"
  : >"$work/apt/status"
  for suite; do
    source_lines "$suite"
  done >"$work/apt/sources.list"
  say "reading the package lists of $*"
  private_apt apt-get update -o APT::Update::Error-Mode=any >"$work/apt/log" 2>&1 || {
    cat "$work/apt/log" >&2
    die "-$no_archive" \
      "could not read the package lists of $*: is there a network, and a working mirror?"
  }
}

# download DIRECTORY PACKAGE...: these packages, without what they depend on, unpacked there.
download() {
  local to=$1 deb
  shift
  mkdir -p "$work/debs"
  (cd "$work/debs" && private_apt apt-get download "$@") >"$work/apt/log" 2>&1 || {
    cat "$work/apt/log" >&2
    die "-$no_archive" "the download failed; nothing was kept, run it again"
  }
  for deb in "$work"/debs/*.deb; do
    dpkg-deb -x "$deb" "$to"
    rm "$deb"
  done
}
