// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Binding to userpci and back. In order: the record, driver_override, the old driver's unbind,
 * userpci's bind, a look at who has the device. A driver's own "bind" file is used rather than
 * drivers_probe, which turns whatever the probe returned into EINVAL.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"

int bind_why(char *why, int err, const char *format, ...)
{
	size_t length = strlen(why);
	va_list args;

	length += (size_t)snprintf(why + length, BIND_WHY_SIZE - length, length ? "; " : "");
	if (length >= BIND_WHY_SIZE)
		return err;
	va_start(args, format);
	vsnprintf(why + length, BIND_WHY_SIZE - length, format, args);
	va_end(args);
	return err;
}

const char *bind_driver(const struct bind_env *env)
{
	return env->driver ? env->driver : BIND_DRIVER;
}

/* What is so now */

static int driver_get(const struct bind_env *env, const char *address, char name[BIND_NAME_SIZE])
{
	int err = sysfs_link(env, SYSFS_DEVICES, address, "driver", name, BIND_NAME_SIZE);

	if (err)
		name[0] = '\0';
	return err == -ENOENT ? 0 : err;
}

static int override_get(const struct bind_env *env, const char *address, char name[BIND_NAME_SIZE])
{
	int err = sysfs_read(env, SYSFS_DEVICES, address, "driver_override", name, BIND_NAME_SIZE);

	if (err || !strcmp(name, "(null)")) /* so the kernel shows that there is none */
		name[0] = '\0';
	return err;
}

static bool is_bound(const struct bind_env *env, const char *address)
{
	char driver[BIND_NAME_SIZE];

	return !driver_get(env, address, driver) && !strcmp(driver, bind_driver(env));
}

void bind_device_read(const struct bind_env *env, struct bind_device *device)
{
	char override[BIND_NAME_SIZE];

	driver_get(env, device->address, device->driver);
	override_get(env, device->address, override);
	device->bound = !strcmp(device->driver, bind_driver(env));
	device->claimed = !strcmp(override, bind_driver(env));
}

static bool is_loaded(const struct bind_env *env, const char *driver)
{
	char path[PATH_MAX];

	return !sysfs_resolve(env, SYSFS_DRIVERS, driver, path);
}

/* Changes */

static int override_set(const struct bind_env *env, const char *address, const char *driver)
{
	return sysfs_write(env, SYSFS_DEVICES, address, "driver_override",
			   driver[0] ? driver : "\n");
}

static int driver_detach(const struct bind_env *env, const char *address)
{
	char driver[BIND_NAME_SIZE];
	int err = driver_get(env, address, driver);

	if (err || !driver[0])
		return err;
	return sysfs_write(env, SYSFS_DRIVERS, driver, "unbind", address);
}

static int driver_attach(const struct bind_env *env, const char *address, const char *driver)
{
	char now[BIND_NAME_SIZE];
	int err = driver_get(env, address, now);

	if (err || !strcmp(now, driver))
		return err;
	err = sysfs_write(env, SYSFS_DRIVERS, driver, "bind", address);
	if (!err)
		err = driver_get(env, address, now);
	return !err && strcmp(now, driver) ? -ENODEV : err;
}

/*
 * Gives the device back to what @state has. The override goes first: while it says ours, no
 * other driver matches. The record goes last, and stays when the override could not be written.
 */
static int put_back(const struct bind_env *env, const char *address, const struct bind_state *state,
		    char *why)
{
	const char *driver = state->driver;
	int err = override_set(env, address, state->driver_override);

	if (err)
		return bind_why(why, err, "driver_override still says %s", bind_driver(env));
	if (driver[0] && !is_loaded(env, driver)) {
		bind_why(why, 0, "its former driver %s is not loaded; 'modprobe %s' gives it back",
			 driver, driver);
	} else if (driver[0]) {
		err = driver_attach(env, address, driver);
		if (err)
			bind_why(why, err, "%s does not take it back, see the kernel log: dmesg",
				 driver);
	}
	state_forget(env, address);
	return err;
}

/* What to put back later. An override of ours is left from a bind cut short: trust its record. */
static int former_state(const struct bind_env *env, const char *address, struct bind_state *state)
{
	int err = override_get(env, address, state->driver_override);

	if (err)
		return err;
	if (!strcmp(state->driver_override, bind_driver(env)) && !state_load(env, address, state))
		return 0;
	return driver_get(env, address, state->driver);
}

int bind_device(const struct bind_env *env, const char *address, char *why)
{
	struct bind_state state;
	int err;

	why[0] = '\0';
	if (is_bound(env, address))
		return 0;
	err = former_state(env, address, &state);
	if (!err)
		err = state_save(env, address, &state);
	if (err)
		return bind_why(why, err, "cannot record what it has now in %s", env->state);

	err = override_set(env, address, bind_driver(env));
	if (err) {
		bind_why(why, err, "cannot write driver_override");
		goto put_back;
	}
	err = driver_detach(env, address);
	if (err) {
		bind_why(why, err, "%s does not let it go", state.driver);
		goto put_back;
	}
	err = driver_attach(env, address, bind_driver(env));
	if (err) {
		bind_why(why, err, "%s did not take it, see the kernel log: dmesg",
			 bind_driver(env));
		goto put_back;
	}
	return 0;

put_back:
	put_back(env, address, &state, why);
	return err;
}

int unbind_device(const struct bind_env *env, const char *address, char *why)
{
	struct bind_state state;
	bool recorded;
	int err;

	why[0] = '\0';
	recorded = !state_load(env, address, &state);
	if (is_bound(env, address)) {
		err = driver_detach(env, address);
		if (err)
			return err;
	}
	err = put_back(env, address, &state, why);
	if (!err && !recorded) /* bound by other means: let the bus choose */
		sysfs_write(env, "bus", "pci", "drivers_probe", address);
	return err;
}
