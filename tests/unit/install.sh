#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# make install, into a folder: what is there, and whether a program outside of the sources is built
# with it, as pkg-config says.
set -uo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." || exit 1
O=${O:-$PWD/build}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
status=0

# check NAME COMMAND...: a line about whether it succeeds.
check() {
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then
    echo "ok $name"
  else
    echo "not ok $name: $(tail -n 3 <<<"$said" | tr '\n' ' ')"
    status=1
  fi
}

# Elsewhere than the defaults, so that what names a folder must have got it from here.
staged=$tmp/staged prefix=/opt/userpci libdir=/opt/userpci/lib64
into=(DESTDIR="$staged" prefix="$prefix" libdir="$libdir" O="$O")
export PKG_CONFIG_LIBDIR=$staged$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$staged
export LD_LIBRARY_PATH=$staged$libdir
# Of what Makefile and headers say.
version=$(sed -n 's/^What will be \(.*\)\.$/\1/p; s/^## \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md |
  head -n 1)

# shellcheck disable=SC2016  # the backquotes are the README's
sed -n '/^```c\b/,/^```$/p' README.md | sed '1d;$d' >"$tmp/my.c"

# builds COMPILER LIBRARY SOURCE OPTION...: a program in $tmp/program.
builds() {
  local compiler=$1 library=$2 source=$3 flags
  shift 3
  flags=$(pkg-config ${1:+--static} --cflags --libs "$library") || return
  # shellcheck disable=SC2086  # words
  (cd "$tmp" && "$compiler" -Wall -Wextra -Werror "$@" -o program "$source" $flags)
}

runs() {
  local said
  said=$(timeout 60 "$tmp/program" qemu:edu)
  echo "$said"
  [ "$said" = "edu: identification 0x010000ed
edu: interrupt received" ]
}

needs() {
  readelf -d "$tmp/program" | grep NEEDED | grep -F "[$1]"
}

# One version: of the changelog, the library, pkg-config, the files' names, the tools and DKMS.
versions() {
  [ -n "$version" ] || return
  echo "it is $version in CHANGELOG.md"
  [ "$(pkg-config --modversion userpci unic | sort -u)" = "$version" ] &&
    [ "$("$staged$prefix/bin/userpci" --version)" = "userpci $version" ] &&
    [ "$("$staged$prefix/bin/unic" --version)" = "unic $version" ] &&
    grep -qxF "PACKAGE_VERSION=\"$version\"" "$staged/usr/src/userpci-$version/dkms.conf"
}

# soname LIBRARY: the library's own name, and the links that lead to it.
soname() {
  local file=$staged$libdir/$1.so
  [ "$(readlink "$file")" = "$1.so.0" ] && [ "$(readlink "$file.0")" = "$1.so.$version" ] &&
    readelf -d "$file.$version" | grep -F "soname: [$1.so.0]" &&
    ! readelf -d "$file.$version" | grep -E 'RPATH|RUNPATH'
}

# Each function has its page, and each page is in order.
pages() {
  local name page found=0
  local -a names
  mapfile -t names < <(sed -n 's/^\t\([a-z_]*\);$/\1/p' userspace/lib/userpci.map \
    userspace/nic/unic.map)
  [ ${#names[@]} -gt 0 ] || return
  for name in "${names[@]}"; do
    [ -e "$staged$prefix/share/man/man3/$name.3" ] || { echo "no page of $name()"; return 1; }
    grep -q "^.Fo $name$" "$staged$prefix/share/man/man3/$name.3" ||
      { echo "$name.3 has no $name()"; return 1; }
  done
  for page in "$staged$prefix"/share/man/man3/*.3; do
    [ ! -L "$page" ] || continue
    found=$((found + 1))
    [ -z "$(MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null | tee -a \
      "$tmp/troff")" ] || { cat "$tmp/troff"; return 1; }
  done
  [ "$found" -ge 10 ]
}

# Each program has its page; all pages that are named are there.
tools_have_pages() {
  local program page
  for program in "$staged$prefix"/{s,}bin/*; do
    ls "$staged$prefix"/share/man/man[18]/"${program##*/}".[18] || return
  done
  cat "$staged$prefix"/share/man/man*/* |
    sed -n 's/^\.Xr \([a-z_\\-]*\) \([0-9]\).*/\1.\2/p' | sed 's/\\//' | sort -u |
    grep -E 'userpci|unic' | while read -r page; do
    [ -e "$staged$prefix/share/man/man${page##*.}/$page" ] || { echo "no page $page"; return 1; }
  done
}

check install make install install-dkms "${into[@]}"
check versions versions
check libuserpci_soname soname libuserpci
check libunic_soname soname libunic
check pages pages
check tools_have_pages tools_have_pages
check readme_builds builds cc userpci my.c
check readme_needs needs libuserpci.so.0
check readme_runs runs
check readme_builds_static builds cc userpci my.c -static
check readme_runs_static runs
check readme_builds_cplusplus builds g++ userpci my.c -x c++ -std=c++17 -pedantic
check readme_runs_cplusplus runs

cat >"$tmp/net.c" <<'END'
#include <stdio.h>
#include <unic/unic.h>

int main(void)
{
	struct unic_port *port = NULL;
	int err = unic_open("qemu:e1000", NULL, &port);

	if (!err)
		puts(unic_info(port)->driver);
	unic_close(port);
	return err ? 1 : 0;
}
END
check network_builds builds cc unic net.c
check network_needs needs libunic.so.0
check network_runs timeout 60 "$tmp/program"
check network_builds_static builds cc unic net.c -static
check network_runs_static timeout 60 "$tmp/program"

# Elsewhere nothing was written, and nothing is told of where it was built.
check nothing_beside sh -c "! ls -d '$staged'/* | grep -vE '/(opt|usr)$'"
check no_folder sh -c "! grep -rIF -e '$PWD' -e '$staged' '$staged'"

check uninstall make uninstall "${into[@]}"
check nothing_left sh -c "! find '$staged' ! -type d | grep ."
exit $status
