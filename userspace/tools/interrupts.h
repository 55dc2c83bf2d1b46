/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel counts of a function's interrupts, whatever driver it has. */
#ifndef TOOLS_INTERRUPTS_H
#define TOOLS_INTERRUPTS_H

#include <stddef.h>
#include <stdint.h>

#include "bind/bind.h"

struct interrupts {
	const char *kind; /* "INTx", "MSI", "MSI-X", or NULL: none is enabled */
	size_t count;	  /* of vectors */
	uint64_t *totals; /* of each, by number of the interrupt; the caller frees them */
};

/* From /proc/interrupts. A line that several devices share is counted for each. */
void interrupts_read(const struct bind_env *env, const char *address, struct interrupts *found);

#endif
