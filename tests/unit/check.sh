#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The checks can fail: a small tree passes them, and each case breaks one thing in a copy of it and
# wants the check in question to say so.
#
# shellcheck disable=SC2016 # the edits below are for sed: their $ is no variable
set -u
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." || exit 1

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
clean=$tmp/clean
cpus=$(nproc)

#
# The clean tree
#

mkdir -p "$clean"/{include/userpci,userspace/{lib,drivers/demo,python/demo},kernel,doc/man,scripts}
cp -r scripts/{check,style,includes,headers-alone,links,docs,cppcheck.*} "$clean/scripts/"
cp .clang-format "$clean/"

cat >"$clean/include/userpci/demo.h" <<'END'
/* SPDX-License-Identifier: MIT */
#ifndef USERPCI_DEMO_H
#define USERPCI_DEMO_H

#include <stdint.h>

#ifdef __CHECKER__
typedef uint32_t __attribute__((bitwise)) le32_t;
#else
typedef uint32_t le32_t;
#endif

int userpci_demo(le32_t word);

#endif
END

cat >"$clean/userspace/lib/demo.c" <<'END'
/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include <userpci/demo.h>

int userpci_demo(le32_t word)
{
	char *text = malloc(4);
	uint32_t set = word ? 1 : 0;

	free(text);
	return set;
}
END

cat >"$clean/userspace/drivers/demo/regs.h" <<'END'
/* SPDX-License-Identifier: MIT */
#define DEMO_CTRL 0x00
END

cat >"$clean/userspace/drivers/demo/demo.c" <<'END'
/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "regs.h"

uint32_t demo_start(void);

uint32_t demo_start(void)
{
	uint32_t value = DEMO_CTRL;

	return value;
}
END

cat >"$clean/kernel/demo.c" <<'END'
// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>

MODULE_LICENSE("GPL");
END

cat >"$clean/Makefile" <<'END'
# SPDX-License-Identifier: MIT
module:
	@:
END

cat >"$clean/userspace/python/demo/__init__.py" <<'END'
# SPDX-License-Identifier: MIT
def demo(word: int) -> int:
    return word
END

cat >"$clean/scripts/demo" <<'END'
#!/bin/sh
# SPDX-License-Identifier: MIT
echo "$1"
END

cat >"$clean/scripts/init" <<'END'
#!/bin/busybox sh
# SPDX-License-Identifier: MIT
echo "$1"
END

cat >"$clean/doc/man/demo.1" <<'END'
.\" SPDX-License-Identifier: MIT
.TH DEMO 1
.SH NAME
demo \- nothing
END

cat >"$clean/README.md" <<'END'
# The demo

[The library](userspace/lib/demo.c), [above](#the-demo), `scripts/demo --all`.

```sh run
scripts/demo
```

Next: [Contributing](CONTRIBUTING.md)
END
echo '# Contributing' >"$clean/CONTRIBUTING.md"

#
# Running cases
#

verdict() {
  local name=$1 reason=$2
  if [ -z "$reason" ]; then
    echo "ok $name"
  else
    echo "not ok $name: $reason"
    echo "$name" >>"$tmp/failed"
  fi
}

# said TEXT CHECK STATUS OUTPUT: why this is not the failure of CHECK with TEXT; empty when it is.
said() {
  if [ "$3" -eq 0 ]; then
    echo "$2 passed"
  elif [[ $4 != *"not ok $2"*"$1"* ]]; then
    echo "$2 did not say '$1' but: ${4//$'\n'/ | }"
  fi
}

# breaks NAME CHECK TEXT FILE SED: with FILE edited so, CHECK fails and says TEXT. Cases run side by
# side; `wait` before what follows them.
breaks() {
  [ "$(jobs -rp | wc -l)" -lt "$cpus" ] || wait -n
  broken "$@" &
}

broken() {
  local name=$1 check=$2 text=$3 file=$4 edit=$5 tree
  tree=$(mktemp -d -p "$tmp") && cp -r "$clean/." "$tree" || exit 1
  sed -i "$edit" "$tree/$file"
  if cmp -s "$clean/$file" "$tree/$file"; then
    verdict "$name" "the edit changed nothing"
    return
  fi
  local output status
  output=$("$tree/scripts/check" "$check" 2>&1)
  status=$?
  verdict "$name" "$(said "$text" "$check" "$status" "$output")"
}

checks=$("$clean/scripts/check" --names)
# shellcheck disable=SC2086 # a list
output=$("$clean/scripts/check" $checks 2>&1) || true
verdict clean-tree-passes "$(grep -A9 '^not ok' <<<"$output")"
[ "$(grep -c '^ok ' <<<"$output")" -eq "$(wc -w <<<"$checks")" ] && reason='' || reason=$output
verdict every-check-ran "$reason"

lib=userspace/lib/demo.c
driver=userspace/drivers/demo/demo.c
header=include/userpci/demo.h
python=userspace/python/demo/__init__.py
long=$(printf 'value++;\\n\\t%.0s' {1..60})

breaks format clang-format "should be clang-formatted" $lib 's/= word/=word/'

breaks licence-missing style "no SPDX" $lib '1d'
breaks licence-of-folder style "GPL-2.0-only in this folder" kernel/demo.c '1s/GPL-2.0-only/MIT/'
breaks trailing-space style "demo.c:2: trailing white space" $lib '2s/$/ /'
breaks columns style "columns, 100 at most" $lib "2s|\$| /* $(printf '%080d' 0) */|"
breaks comment-form style "// comment" $lib '2s|$| // memory|'
breaks typedef style "typedef" $lib '4a typedef int word_t;'
breaks mixed-case style "mixed case: textLength" $lib 's/set/textLength/g'
breaks long-function style "demo_start() has 65 lines, 60 at most" $driver "s/return/${long}return/"
breaks prefix-function style "demo_call leaves this file" $lib 's/^int userpci_demo/int demo_call/'
breaks prefix-data style "count leaves this file" $lib '4a int count = 3;'
breaks kernel-version style "kernel/compat.h only" kernel/demo.c '$a int v = LINUX_VERSION_CODE;'
breaks library-prints style 'printf(): the library never' $lib 's/free(text)/printf("%s", text)/'
breaks library-exits style 'abort(): the library never' $lib 's/free(text)/abort()/'
breaks driver-opens style 'open(): a driver reaches' $driver 's/= DEMO/= open("x", 0) + DEMO/'
breaks unfinished style "unfinished work" $lib '2s|$| /* TO''DO: free */|'
breaks kernel-size style "under 2000" kernel/demo.c "\$s/\$/$(printf '\\n;%.0s' {1..2000})/"

breaks driver-stdio includes "includes stdio.h" $driver '2i #include <stdio.h>'
breaks driver-source includes "includes the source file" $driver '2i #include "other.c"'
breaks driver-library includes "includes userpci/demo.h" $driver '2i #include <userpci/demo.h>'
breaks kernel-libc includes "includes stdint.h" kernel/demo.c '2i #include <stdint.h>'
breaks header-upward includes "includes unic/unic.h" $header '5i #include <unic/unic.h>'

breaks header-alone headers-alone "alone with gcc" $header '/stdint/d'
breaks header-cplusplus headers-alone "alone with g++" $header 's/le32_t word)/le32_t class)/'
breaks header-pedantic headers-alone "with clang++" $header '/^int/i struct x {int n, list[];};'
breaks header-guard headers-alone redefinition $header '/^#ifndef/s/n.*/ 1/;/^int/i struct x {};'

breaks byte-order sparse "restricted le32_t" $lib 's/= word.*;/= word;/'
breaks undeclared sparse "Should it be static" $lib 's/^int userpci_demo/int userpci_other/'
breaks sparse-error sparse "error: " $lib 's/= word.*;/= word +;/'
breaks module-warning module "warning: cast" Makefile 's/@:/@echo "demo.c:1:1: warning: cast"/'
breaks module-broken module "Error 1" Makefile 's/@:/@false/'
breaks leak cppcheck "memleak" $lib 's/free(text);/text[0] = 0;/'
breaks python-type mypy "Incompatible return value" $python 's/-> int/-> str/'
breaks python-untyped mypy "missing a type annotation" $python 's/(word: int)/(word)/'
breaks shell shellcheck SC2086 scripts/demo 's/"\$1"/$1/'
breaks shell-busybox shellcheck SC2086 scripts/init 's/"\$1"/$1/'
breaks man-macro man BOGUS doc/man/demo.1 '$a .BOGUS x'
breaks dead-link links "dead link: gone.md" README.md '3s|userspace/lib/demo.c|gone.md|'
breaks dead-heading links "no such heading" README.md '3s|#the-demo|#the-end|'
breaks dead-path links 'no such path: `scripts/gone`' README.md '3s|scripts/demo|scripts/gone|'
breaks fence docs "'sh' is no fence" README.md '/^```sh/s/ run//'
breaks fence-of-no-test docs "no tests/gone" README.md '/^```sh/s|run|by tests/gone|'
breaks no-next-page docs "no page leads here" README.md '/^Next/d'
breaks page-circle docs "leads back" CONTRIBUTING.md '$a Next: [The demo](README.md)'
wait

# What the compiler exported counts too, where there is a build.
mkdir -p "$clean/build/obj/userspace/lib"
echo 'int hidden_by_macro;' | gcc -c -x c -o "$clean/build/obj/${lib%.c}.o" -
touch -d '+1 minute' "$clean/build/obj/${lib%.c}.o"
output=$("$clean/scripts/check" style 2>&1)
verdict prefix-object "$(said "hidden_by_macro leaves this file" style $? "$output")"
rm -r "$clean/build"

tree=$tmp/newline
cp -r "$clean" "$tree" && truncate -s -1 "$tree/$lib"
output=$("$tree/scripts/check" style 2>&1)
verdict last-newline "$(said "no newline" style $? "$output")"

# A check without files, and one without its tool, fail.
tree=$tmp/empty
cp -r "$clean" "$tree" && rm "$tree"/*.md
output=$("$tree/scripts/check" links 2>&1)
verdict no-files "$(said "found no file" links $? "$output")"

mkdir "$tmp/bin" && cp -s /usr/bin/* "$tmp/bin/" 2>/dev/null
rm -f "$tmp/bin/sparse"
output=$(PATH=$tmp/bin "$clean/scripts/check" sparse 2>&1)
verdict no-tool "$(said "apt-get install sparse" sparse $? "$output")"

# In a git tree, what git ignores is not looked at, and what is new is.
git init -q "$clean"
echo '/mine.c' >"$clean/.gitignore"
echo 'int  x;' | tee "$clean/mine.c" >"$clean/userspace/lib/new.c"
output=$("$clean/scripts/check" clang-format 2>&1)
verdict git-new "$(said "userspace/lib/new.c" clang-format $? "$output")"
verdict git-ignored "$(grep mine.c <<<"$output")"

[ ! -e "$tmp/failed" ]
