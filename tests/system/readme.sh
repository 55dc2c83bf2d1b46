#!/bin/bash
# SPDX-License-Identifier: MIT
# The driver in the README, compiled and run as it stands there. In a guest with edu.
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

# shellcheck disable=SC2016  # the backquotes are the README's
sed -n '/^```c my.c$/,/^```$/p' README.md | sed '1d;$d' >/tmp/my.c
check readme_compiles 0 "" cc -Wall -Wextra -Werror -Iinclude -o /tmp/my /tmp/my.c \
  "$O/lib/libuserpci.a"
check readme_length 0 "" test "$(wc -l </tmp/my.c)" -le 32
check edu_length 0 "" test "$(wc -l <userspace/examples/edu.c)" -lt 200
check readme_unbound 1 "userpci bind" /tmp/my "$(address 1234:11e8)"
userpci bind -d 1234:11e8 >/dev/null
check readme_identification 0 "edu: identification 0x010000ed" /tmp/my "$(address 1234:11e8)"
check readme_interrupt 0 "edu: interrupt received" /tmp/my "$(address 1234:11e8)"
check readme_no_argument 1 "not a PCI address" /tmp/my
finish
