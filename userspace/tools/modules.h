/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which kernel modules say that they can drive a device. */
#ifndef TOOLS_MODULES_H
#define TOOLS_MODULES_H

#include <stddef.h>

#include "bind/bind.h"

#define MODULES_SIZE 128

/*
 * For each of @count devices the modules' names, divided by blanks, or "".
 * @path: the file modules.alias; NULL: that of the running kernel.
 */
void modules_find(const struct bind_env *env, const char *path, const struct bind_device *devices,
		  size_t count, char (*names)[MODULES_SIZE]);

#endif
