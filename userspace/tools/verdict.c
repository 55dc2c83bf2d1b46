// SPDX-License-Identifier: GPL-2.0-or-later
/* What 'userpci bind' would say to a device. */
#include <errno.h>

#include "verdict.h"

static void verdict_one(const struct bind_env *env, const struct bind_device *device,
			struct verdict *verdict)
{
	int err;

	verdict->why[0] = '\0';
	if (device->bound) {
		verdict->word = "bound";
		return;
	}
	err = bind_check(env, device, false, verdict->why);
	if (!err)
		verdict->word = "yes";
	else
		verdict->word = err == -EBUSY ? "busy" : "no";
}

void verdict_find(const struct bind_env *env, const struct bind_device *devices, size_t count,
		  struct verdict *verdicts)
{
	for (size_t i = 0; i < count; i++)
		verdict_one(env, &devices[i], &verdicts[i]);
}
