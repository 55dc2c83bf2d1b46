#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The Python module: whether it agrees with the headers, what it does on QEMU's devices, whether
# doc/python.md tells the truth, and whether it works as installed. Prints a line `ok NAME` or
# `not ok NAME: WHY` a case.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
O=$(readlink -f "${O:-build}")
export O

work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
export PYTHONPATH=userspace/python PYTHON_WORK=$work PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=error
failed=0

# check NAME TEXT COMMAND...: it ends with 0, and says TEXT.
check() {
  local name=$1 text=$2 status=0
  shift 2
  timeout 200 "$@" >"$work/said" 2>&1 || status=$?
  if [ "$status" = 0 ] && { [ -z "$text" ] || grep -qF -- "$text" "$work/said"; }; then
    echo "ok $name"
    return
  fi
  echo "not ok $name: status $status: $(tail -n 1 "$work/said")"
  cat "$work/said" >&2
  failed=1
}

make -s O="$O" lib >"$work/make" 2>&1 || {
  echo "not ok python: the library cannot be built: $(tail -n 1 "$work/make")"
  exit 1
}
check python_layout agree tests/python/layout.py "${CC:-gcc}"
check python_library_is_named "/none.so: cannot open" env USERPCI_LIBRARY=/none.so python3 -c '
try:
    import userpci
except OSError as error:
    print(error)'
if ! command -v "${USERPCI_QEMU:-qemu-system-x86_64}" >/dev/null; then
  echo "skip python: there is no QEMU; run scripts/setup guest"
  exit "$failed"
fi
timeout 300 tests/python/test.py qemu || failed=1
check python_page "" python3 -m doctest doc/python.md

# As installed, from another directory, for any user.
check python_installs "" make -s O="$O" DESTDIR="$work/root" prefix=/usr install
check python_installed "1234:11e8" env -C "$work" -u O PYTHONPATH= \
  LD_LIBRARY_PATH="$work/root/usr/lib" python3 -c "import sys
sys.path.insert(0, '$work/root/usr/lib/python3/dist-packages')
import userpci
print(userpci.open('qemu:edu'), userpci.__file__)"
exit "$failed"
