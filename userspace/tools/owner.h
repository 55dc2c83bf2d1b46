/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which process has a device, as far as the caller may see. */
#ifndef TOOLS_OWNER_H
#define TOOLS_OWNER_H

#include <stddef.h>

#include "bind/bind.h"

struct owner {
	long pid;	  /* 0: none that can be seen */
	char command[32]; /* printable; "?": not known */
};

/* The owner of each of @count devices, into @owners. */
void owner_find(const struct bind_env *env, const struct bind_device *devices, size_t count,
		struct owner *owners);

/* What the process is called. */
void owner_name(const struct bind_env *env, long pid, struct owner *owner);

#endif
