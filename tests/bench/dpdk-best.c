// SPDX-License-Identifier: MIT
/* dpdk.c as DPDK's users tune it; and linked without shared libraries. */
#define BEST 1
#include "dpdk.c"
