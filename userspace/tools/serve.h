/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which backends could serve a device. */
#ifndef TOOLS_SERVE_H
#define TOOLS_SERVE_H

#include "bind/bind.h"

enum { SERVE_STUB, SERVE_VFIO, SERVE_UIO, SERVE_BACKENDS };

/* "stub", "vfio", "uio". */
const char *serve_name(unsigned int backend);

/* The kernel's driver that it needs. */
const char *serve_driver(unsigned int backend);

/* The backend whose driver has the device, by that name; NULL: none. */
const char *serve_bound(const struct bind_device *device);

/* "bound", "yes", or in a word why not: 'userpci list --help' has them. */
const char *serve_word(const struct bind_env *env, const struct bind_device *device,
		       unsigned int backend);

#endif
