# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# qemu/kernel: the kernel named debug, compiled from Debian's sources with every detector that
# qemu/debug.config names. Sourced, never run.
#
# Uses of qemu/kernel: work, final, update_lists, download_and_unpack.

debug_config=$here/debug.config
debug_defaults=$here/debug.defaults

# What the kernel is kept under: another configuration is another kernel.
debug_key() {
  grep -v '^ *\(#\|$\)' "$debug_config" | sort | sha256sum | head -c 8
}

# Debian 12's compiler, where it goes by its number; modules are then built by the same one.
debug_compiler() {
  if command -v gcc-12 >/dev/null; then echo gcc-12; else echo gcc; fi
}

# make, in the sources, with nothing of the caller's environment: it may be a make's. The code that
# runs first, before there is a map of which memory is good, must not look at that map: the entry
# without firmware (PVH), and memcmp, which it calls.
debug_make() {
  env -i PATH="$PATH" LC_ALL=C make -C "$work/source" -j"$(nproc)" --no-print-directory \
    LOCALVERSION="$debug_version" KASAN_SANITIZE_enlighten.o=n KASAN_SANITIZE_string.o=n "$@"
}

debug_tools() {
  local tool
  for tool in bc bison flex make; do
    need "$tool" debug
  done
  need "$(debug_compiler)" debug
  if ! [ -e /usr/include/gelf.h ] || ! [ -e /usr/include/openssl/opensslv.h ]; then
    die "the headers of libelf and OpenSSL were not found; install them with: scripts/setup debug"
  fi
}

# Prints the version of the package that was unpacked: 6.1.192-2.
debug_package_version() {
  zcat "$work"/kernel/usr/share/doc/linux-source-*/changelog.Debian.gz |
    sed -n '1s/^[^(]*(\([^)]*\)).*/\1/p'
}

debug_unpack() {
  local archive version
  version=$(debug_package_version)
  debug_version=-${version#*-}-debug-$(debug_key)
  archive=$(echo "$work"/kernel/usr/src/linux-source-*.tar.xz)
  say "unpacking $(basename "$archive")"
  mkdir "$work/source"
  # The rest of it is 100 MB that nothing here reads.
  tar -C "$work/source" --strip-components=1 --exclude='*/sound/soc/*.[ch]' \
    --exclude='*/drivers/gpu/drm/*.[ch]' --exclude='*/arch/*/boot/dts/*' -xJf "$archive"
  rm -r "$work/kernel"
  sed -i "s/^CC\t\t= .*gcc\$/CC\t\t= $(debug_compiler)/" "$work/source/Makefile"
}

debug_configure() {
  local lost
  debug_make -s KCONFIG_ALLCONFIG="$debug_config" allnoconfig >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    die "the kernel could not be configured"
  }
  lost=$(grep '^CONFIG_' "$debug_config" | grep -vxFf "$work/source/.config") || return 0
  say "these options of debug.config are not in the kernel that would come out:"
  # shellcheck disable=SC2001  # a prefix on every line
  sed 's/^/  /' <<<"$lost" >&2
  die "debug.config does not fit these sources"
}

# The number of files is that of 6.1.192; it only serves to tell how far it is.
debug_compile() {
  say "compiling: about twelve minutes on two processors, once"
  debug_make vmlinux modules 2>&1 | tee "$work/log" | awk -v me="$me" '
    /^  (CC|AS) / && ++n % 200 == 0 { print me ": " n " files of about 1450"; fflush() }' >&2 || {
    grep -iE -B 2 -A 5 'error' "$work/log" | tail -n 40 >&2
    die "the kernel could not be compiled"
  }
}

# What modules are built against: as Debian's packages of headers, sources and products in one tree.
debug_headers() {
  local to=$1
  mkdir "$to"
  (
    cd "$work/source" || exit
    {
      echo .config
      echo Module.symvers
      find . arch/x86 -maxdepth 1 -name 'Makefile*'
      find include scripts arch/x86/include -type f -o -type l
      find arch/x86 -name Kbuild.platforms -o -name Platform
      [ ! -e tools/objtool/objtool ] || echo tools/objtool/objtool
    } | tar -cf - -T - | tar -xf - -C "$to"
  )
}

debug_arrange() {
  local dir=$work/new release
  release=$(<"$work/source/include/config/kernel.release")
  mkdir "$dir"
  mv "$work/source/vmlinux" "$dir/vmlinux"
  debug_make -s INSTALL_MOD_PATH="$dir" DEPMOD=true modules_install >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    die "the modules could not be installed"
  }
  ln -s "lib/modules/$release" "$dir/modules"
  debug_headers "$dir/build"
  rm -f "$dir/modules/build" "$dir/modules/source"
  ln -s "$final/build" "$dir/modules/build"
  PATH=$PATH:/usr/sbin:/sbin depmod -b "$dir" "$release"
  cp "$debug_defaults" "$dir/defaults"
  printf '%s\n' "$release" >"$dir/release"
}

# make_debug_kernel NAME SUITE PACKAGE
make_debug_kernel() {
  [ "$(uname -m)" = x86_64 ] || die "only x86-64 machines have these kernels"
  PATH=$PATH:/usr/sbin:/sbin need depmod debug
  need xz debug
  debug_tools
  update_lists "$2"
  download_and_unpack "$3"
  debug_unpack
  debug_configure
  debug_compile
  debug_arrange
  rm -rf "$final"
  mv -T "$work/new" "$final"
}

# The defaults are qemu/run's business, and may change without a new kernel.
refresh_debug_defaults() {
  cmp -s "$debug_defaults" "$final/defaults" || {
    cp "$debug_defaults" "$final/.defaults.$$"
    mv "$final/.defaults.$$" "$final/defaults"
  }
}
