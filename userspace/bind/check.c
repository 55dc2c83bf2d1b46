// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The checks before a device changes hands. All of them run, so that all that is wrong is told at
 * once; none changes anything.
 *
 * --force passes over a use that ends cleanly and that unbind puts back, such as an interface that
 * is up. It does not help where data would be lost, where the kernel would wait or break, or where
 * binding cannot work: there, what uses the device can be ended first.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/use.h"

void use_add(struct use *use, const char *word, int err, enum use_force force, const char *format,
	     ...)
{
	struct bind_reasons *reasons = use->reasons;
	struct bind_reason *reason;
	va_list args;

	reasons->never |= force == USE_NEVER;
	if (reasons->count < BIND_REASONS_MAX)
		reasons->count++;
	else if (force == USE_FORCE)
		return; /* of so many the most are told, and one that decides */
	reason = &reasons->items[reasons->count - 1];
	reason->word = word;
	reason->err = err;
	reason->can_force = force == USE_FORCE;
	va_start(args, format);
	vsnprintf(reason->text, sizeof(reason->text), format, args);
	va_end(args);
}

void use_each_below(struct use *use, const char *path, const char *class,
		    void (*found)(struct use *use, const char *name))
{
	char **names = sysfs_below(use->env, path, class);

	for (char **name = names; names && *name; name++)
		found(use, *name);
	sysfs_list_free(names);
}

bool bind_refused(const struct bind_reasons *reasons, bool force)
{
	return reasons->count && (!force || reasons->never);
}

/* What cannot work */

static void check_override(struct use *use)
{
	char override[BIND_NAME_SIZE];

	if (sysfs_read(use->env, SYSFS_DEVICES, use->device->address, "driver_override", override,
		       sizeof(override)) == -ENOENT)
		use_add(use, "no-override", -EOPNOTSUPP, USE_NEVER,
			"the kernel has no driver_override for it");
}

static void check_module(struct use *use)
{
	const char *driver = bind_driver(use->env);
	char path[PATH_MAX];

	if (!sysfs_resolve(use->env, SYSFS_DRIVERS, driver, path))
		return;
	if (strcmp(driver, BIND_DRIVER))
		use_add(use, "no-module", -ENOPKG, USE_NEVER,
			"the module %s is not loaded; load it: modprobe %s", driver, driver);
	else
		use_add(use, "no-module", -ENOPKG, USE_NEVER,
			"the module userpci is not loaded; load it: modprobe userpci, "
			"or insmod build/kernel/userpci.ko");
}

static void check_claimed(struct use *use)
{
	const struct bind_device *device = use->device;

	if (!device->bound && !device->claimed && !device->recorded)
		use_add(use, "not-bound", -EINVAL, USE_NEVER, "it is not bound to %s, but to %s",
			bind_driver(use->env), device->driver[0] ? device->driver : "no driver");
}

/* The tables */

static void (*const bind_checks[])(struct use *use) = {
	use_function, check_override, check_module, use_group,
	use_block,    use_display,    use_network,  use_process,
};

static void (*const unbind_checks[])(struct use *use) = { check_claimed, use_process };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct use use_of(const struct bind_facts *facts, const struct bind_device *device,
			 struct bind_reasons *reasons)
{
	struct use use = {
		.env = facts->env, .facts = facts, .device = device, .reasons = reasons
	};

	reasons->count = 0;
	reasons->never = false;
	if (sysfs_resolve(use.env, SYSFS_DEVICES, device->address, use.path))
		use.path[0] = '\0';
	return use;
}

void bind_check(const struct bind_facts *facts, const struct bind_device *device,
		const struct bind_list *with, struct bind_reasons *reasons)
{
	struct use use = use_of(facts, device, reasons);

	use.with = with;
	for (size_t i = 0; i < COUNT(bind_checks) && !device->bound; i++)
		bind_checks[i](&use);
}

void unbind_check(const struct bind_facts *facts, const struct bind_device *device,
		  const struct bind_list *with, struct bind_reasons *reasons)
{
	struct use use = use_of(facts, device, reasons);

	use.with = with;
	for (size_t i = 0; i < COUNT(unbind_checks); i++)
		unbind_checks[i](&use);
}
