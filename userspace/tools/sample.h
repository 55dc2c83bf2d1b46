/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device does, looked at again and again, without owning it: by the module's statistics; of
 * another driver's device, by what the kernel counts for it.
 */
#ifndef TOOLS_SAMPLE_H
#define TOOLS_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include <userpci/userpci.h>

#include "bind/bind.h"
#include "owner.h"

struct sample {
	struct bind_device device;	 /* its address, ids and driver */
	const char *backend;		 /* NULL: a driver of the kernel's has it, or none */
	struct userpci_device *observer; /* NULL: the module's statistics are out of reach */
	const struct userpci_uapi_stats *stats;
	bool seen; /* in this look */
	bool anew; /* nothing was counted before it */

	struct owner owner;
	uint32_t state;	      /* USERPCI_STATE_* */
	bool has_memory;      /* the next two are known */
	uint64_t dma_bytes;   /* of all buffers */
	uint32_t maps;	      /* of registers and memory */
	const char *irq_kind; /* "INTx", "MSI", "MSI-X"; NULL: none is enabled */
	uint32_t irq_enabled; /* vectors */
	uint64_t storms;      /* of all vectors */
	uint32_t events;      /* since bind */
	size_t vectors;	      /* that the next two have */
	uint64_t *counts;     /* interrupts of each, in all */
	uint64_t *before;     /* at the look before */
	uint64_t total, total_before;
};

struct samples {
	const struct bind_env *env;
	const struct bind_list *chosen; /* NULL: all that are in the hands of user space */
	struct sample *samples;
	size_t count;
	int64_t time_us, before_us; /* of this look, and of the one before; 0: there was none */
};

/* Looks at all of them. -ENOMEM. */
int samples_look(struct samples *samples);
void samples_free(struct samples *samples);

/* A second, of all its vectors, and of one; 0 at the first look. */
double sample_rate(const struct samples *samples, const struct sample *sample);
double sample_vector_rate(const struct samples *samples, const struct sample *sample,
			  size_t vector);

/* "owned", "free", "asleep", "gone"; of a driver without statistics "owned", or "unknown". */
const char *sample_state(const struct sample *sample);

#endif
