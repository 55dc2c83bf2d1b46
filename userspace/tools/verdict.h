/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What 'userpci bind' would say to a device. */
#ifndef TOOLS_VERDICT_H
#define TOOLS_VERDICT_H

#include <stddef.h>

#include "bind/bind.h"

struct verdict {
	const char *word; /* "yes", "bound", "busy": with --force, "no" */
	char why[BIND_WHY_SIZE];
};

void verdict_find(const struct bind_env *env, const struct bind_device *devices, size_t count,
		  struct verdict *verdicts);

#endif
