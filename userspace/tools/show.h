/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What 'userpci show' has gathered of a device, and how it is printed. */
#ifndef TOOLS_SHOW_H
#define TOOLS_SHOW_H

#include "bars.h"
#include "caps.h"
#include "entry.h"

#define SHOW_EVENTS 8 /* the last ones */

struct shown {
	const struct bind_env *env;
	const char *address;
	const struct entry *entry;     /* NULL: it is not in the system */
	struct userpci_device *device; /* NULL: not open */
	int config_fd;		       /* of sysfs; -1: none */
	struct config config;
	uint8_t *vpd;
	struct bar bars[BARS];
	const struct userpci_uapi_stats *stats; /* NULL: none */
};

void show_text(const struct shown *shown);
void show_json(const struct shown *shown);

/* Words for both; "?" for what is not known. */
const char *show_bar_kind(const struct shown *shown, unsigned int i);
const char *show_irq_kind(uint32_t kind);
const char *show_dma_kind(uint32_t kind);
const char *show_event_name(uint32_t type);
double show_seconds_since(uint64_t time_ns);

#endif
