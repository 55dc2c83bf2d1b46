# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# qemu/kernel: the compiler of a kernel that is newer than this system. Sourced, never run.
#
# A module is built by its kernel's own compiler and tools, and these need a newer C library than
# this system has. So they are unpacked into tools/ of the kernel's directory, with every library
# that they need, and each program becomes a script that starts it by their own dynamic loader:
# neither root nor a container is needed, and all paths mean what they mean outside.
#
# Uses of qemu/kernel: work, private_apt, download.

# Where Debian keeps libraries and their loader, below tools/.
library_dir=usr/lib/x86_64-linux-gnu

# Prints the compiler that the headers of release $1 depend on: gcc-16-for-host.
compiler_package() {
  private_apt apt-cache show --no-all-versions "linux-headers-$1" 2>/dev/null |
    sed -nE 's/^Depends: (.*, )?(gcc-[0-9]+(-for-host)?)\b.*/\2/p'
}

# Prints the packages $@ and all that they depend on, but not the kernel's, which are there. apt
# thinks that nothing is installed, so nothing is left out.
packages_with_needs() {
  private_apt apt-get -s install --no-install-recommends "$@" >"$work/apt/log" 2>&1 || {
    cat "$work/apt/log" >&2
    return 1
  }
  sed -n 's/^Inst \([^ ]*\) .*/\1/p' "$work/apt/log" | grep -v '^linux-'
}

# Whether the executable file $1 is a program: not a script, and not a library.
is_program() {
  [[ ${1##*/} != *.so* ]] && [ "$(magic_of "$1")" = 7f454c46 ]
}

# wrap_programs TOOLS DIRECTORY: makes a script of each program below DIRECTORY; the program itself
# stands beside it. It is given the script's name, by which gcc and modpost find their parts.
wrap_programs() {
  local program libraries
  find "$2" -type f -perm -u+x ! -name '*.elf' -print0 | while IFS= read -r -d '' program; do
    is_program "$program" || continue
    libraries=$(realpath --relative-to="$(dirname "$program")" "$1/$library_dir")
    mv "$program" "$program.elf"
    cat >"$program" <<SCRIPT
#!/bin/sh
own=\$(readlink -f "\$0")
libraries=\${own%/*}/$libraries
exec "\$libraries/ld-linux-x86-64.so.2" --library-path "\$libraries" --argv0 "\$0" "\$own.elf" "\$@"
SCRIPT
    chmod 755 "$program"
  done
}

# The headers' Makefile puts the tools before the system's.
use_tools() {
  local makefile=$1/Makefile
  # shellcheck disable=SC2016  # make's variables
  local tools='$(realpath $(dir $(lastword $(MAKEFILE_LIST)))../../../tools/usr/bin)'
  sed -i "1i export PATH := $tools:\$(PATH)" "$makefile"
}

# Compiler and assembler, to the end: a host's kernel may be too old for their C library.
try_compiler() {
  echo 'int answer(void) { return 42; }' |
    "$1" -O2 -x c -c -o "$work/answer.o" - 2>"$work/answer.log" || {
    cat "$work/answer.log" >&2
    die "the compiler of this kernel, $(basename "$1"), does not run on this system"
  }
}

# Adds to the kernel's directory $1, as it was unpacked, the compiler of its release $2.
add_compiler() {
  local tools=$1/tools kbuild compiler
  local -a packages
  kbuild=$(echo "$1"/usr/lib/linux-kbuild-*)
  compiler=$(compiler_package "$2")
  [ -n "$compiler" ] || die "the headers of $2 do not name their compiler"
  mapfile -t packages < <(packages_with_needs "$compiler" "${kbuild##*/}")
  [ ${#packages[@]} -gt 0 ] || die "-$no_archive" "the archive has not all that $compiler needs"
  say "downloading $compiler and what it needs, ${#packages[@]} packages"
  download "$tools" "${packages[@]}"
  # Documents, character sets, and a third of the size: optimisation by the linker.
  rm -rf "${tools:?}"/{etc,usr/share,"$library_dir"/gconv} "$tools"/usr/bin/*lto-dump* \
    "$tools"/usr/libexec/gcc/*/*/lto1
  wrap_programs "$tools" "$tools/usr"
  wrap_programs "$tools" "$kbuild"
  # Where gcc looks before it takes the system's.
  mkdir -p "$tools/usr/x86_64-linux-gnu/bin"
  ln -s ../../bin/x86_64-linux-gnu-as "$tools/usr/x86_64-linux-gnu/bin/as"
  ln -s ../../bin/x86_64-linux-gnu-ld "$tools/usr/x86_64-linux-gnu/bin/ld"
  compiler=${compiler%-for-host}
  try_compiler "$tools/usr/bin/x86_64-linux-gnu-$compiler"
  use_tools "$1/usr/src/linux-headers-$2"
}
