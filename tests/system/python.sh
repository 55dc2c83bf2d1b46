#!/bin/bash
# SPDX-License-Identifier: MIT
# The Python module over the kernel module. In a guest with edu.
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

userpci bind -d 1234:11e8 >/dev/null
PYTHONPATH=userspace/python PYTHONDONTWRITEBYTECODE=1 \
  tests/python/test.py stub "$(address 1234:11e8)"
