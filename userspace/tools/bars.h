/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The regions of a function: what the system says of them, and what the library does. */
#ifndef TOOLS_BARS_H
#define TOOLS_BARS_H

#include <userpci/userpci.h>

#include "bind/bind.h"

#define BARS	 7 /* six, and the ROM */
#define BARS_ROM 6

struct bar {
	uint64_t bytes; /* 0: there is none */
	uint64_t phys;	/* where it is; 0: not known */
	bool io, wide, prefetchable, msix;
	const char *access; /* how a process reaches it: "mapped", "calls"; NULL: not known */
};

/* From sysfs. */
void bars_of_system(const struct bind_env *env, const char *address, struct bar bars[BARS]);

/* Adds what the library says; without a system it is all that is known. */
void bars_of_device(struct userpci_device *device, struct bar bars[BARS]);

#endif
