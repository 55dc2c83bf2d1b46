// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One device to userpci and back. In order: the record, driver_override, the old driver's unbind,
 * userpci's bind. A driver's own "bind" file is used rather than drivers_probe, which turns what
 * the probe returned into EINVAL.
 *
 * Whatever step this process dies at, what was done so far can be undone from the record: each step
 * back first looks whether it is needed.
 */
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static bool has_driver(const struct bind_env *env, const char *address, const char *name)
{
	char driver[BIND_NAME_SIZE];

	return !sysfs_driver(env, address, driver) && !strcmp(driver, name);
}

void bind_device_read(const struct bind_env *env, struct bind_device *device)
{
	char override[BIND_NAME_SIZE];
	struct bind_state state;

	sysfs_driver(env, device->address, device->driver);
	sysfs_override(env, device->address, override);
	device->bound = !strcmp(device->driver, bind_driver(env));
	device->claimed = !strcmp(override, bind_driver(env));
	device->recorded = !state_load(env, device->address, &state) &&
			   state_holds(env, device->address, &state);
	state_free(&state);
}

/* --- Steps --- */

static int override_set(const struct bind_env *env, const char *address, const char *driver)
{
	char now[BIND_NAME_SIZE];
	int err = sysfs_override(env, address, now);

	if (err || !strcmp(now, driver))
		return err;
	return sysfs_write(env, SYSFS_DEVICES, address, "driver_override",
			   driver[0] ? driver : "\n");
}

static int driver_detach(const struct bind_env *env, const char *address)
{
	char driver[BIND_NAME_SIZE];
	int err = sysfs_driver(env, address, driver);

	if (err || !driver[0])
		return err;
	return sysfs_write(env, SYSFS_DRIVERS, driver, "unbind", address);
}

static int driver_attach(const struct bind_env *env, const char *address, const char *driver)
{
	char now[BIND_NAME_SIZE];
	int err = sysfs_driver(env, address, now);

	if (err || !strcmp(now, driver))
		return err;
	err = sysfs_write(env, SYSFS_DRIVERS, driver, "bind", address);
	if (!err)
		err = sysfs_driver(env, address, now);
	return !err && strcmp(now, driver) ? -ENODEV : err;
}

static bool is_loaded(const struct bind_env *env, const char *driver)
{
	char path[PATH_MAX];

	return !sysfs_resolve(env, SYSFS_DRIVERS, driver, path);
}

static bool module_load(const struct bind_env *env, const char *driver, const char *module)
{
	const char *const words[] = { "modprobe", "-q", "--", module[0] ? module : driver, NULL };
	pid_t pid;

	if (!env->modprobe ||
	    posix_spawn(&pid, env->modprobe, NULL, NULL, (char *const *)words, environ))
		return false;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return is_loaded(env, driver);
}

/*
 * Moves the device to @driver (empty: none) with @override. That comes before the driver: while it
 * says something else, no other driver matches.
 */
static int move_back(const struct bind_env *env, const char *address, const char *driver,
		     const char *module, const char *override, char *why)
{
	int err = 0;

	if (!has_driver(env, address, driver))
		err = driver_detach(env, address);
	if (err)
		return bind_why(why, err, "its driver does not let it go");
	err = override_set(env, address, override);
	if (err)
		return bind_why(why, err, "driver_override cannot be put back to '%s'", override);
	if (!driver[0])
		return 0;
	if (!is_loaded(env, driver) && !module_load(env, driver, module))
		return bind_why(why, -ENOPKG,
				"its former driver %s is not loaded; 'modprobe %s', then 'userpci "
				"restore %s' gives it back",
				driver, module[0] ? module : driver, address);
	err = driver_attach(env, address, driver);
	if (err)
		bind_why(why, err, "%s does not take it back, see the kernel log: dmesg", driver);
	return err;
}

/* To what it had before the first bind; the record goes last, and stays if that fails. */
static int put_back(const struct bind_env *env, const char *address, const struct bind_state *state,
		    char *why)
{
	int err = move_back(env, address, state->driver, state->module, state->override, why);

	if (!err && state->interfaces && state->interfaces[0])
		err = net_restore(env, address, state->interfaces, why);
	return err ? err : state_forget(env, address);
}

/* --- Bind --- */

/* What is to be put back later: of a device that was bound before, what it had before that. */
static int state_take(const struct bind_env *env, const char *address, struct bind_state *state)
{
	char driver[BIND_NAME_SIZE], override[BIND_NAME_SIZE];
	bool has_record = !state_load(env, address, state) && state_holds(env, address, state);
	int err = sysfs_driver(env, address, driver);

	if (!err)
		err = sysfs_override(env, address, override);
	if (!has_record || (state->returning && driver[0])) {
		state_free(state);
		has_record = false;
	}
	if (err)
		return err;
	strcpy(state->call_driver, driver);
	strcpy(state->call_override, override);
	job_id(env, state->call);
	state->returning = false;
	state->fresh = !has_record;
	if (!has_record) {
		strcpy(state->driver, state->call_driver);
		strcpy(state->override, state->call_override);
		/* A bind whose record is lost: better none than itself. */
		if (!strcmp(state->override, bind_driver(env)))
			state->override[0] = '\0';
		if (state->driver[0])
			sysfs_link(env, SYSFS_DRIVERS, state->driver, "module", state->module,
				   sizeof(state->module));
		err = net_save(env, address, &state->interfaces);
	}
	snprintf(state->to, sizeof(state->to), "%s", bind_driver(env));
	state_identify(env, address, state);
	return err;
}

static int undo(const struct bind_env *env, const char *address, struct bind_state *state,
		char *why)
{
	int err;

	if (state->fresh) {
		state->returning = true;
		err = state_save(env, address, state);
		return err ? err : put_back(env, address, state, why);
	}
	err = move_back(env, address, state->call_driver, "", state->call_override, why);
	if (err)
		return err;
	strcpy(state->to, state->call_driver[0] ? state->call_driver : state->call_override);
	state->returning = !state->to[0];
	return state_save(env, address, state);
}

int bind_undo(const struct bind_env *env, const char *address, char *why)
{
	struct bind_state state;
	char call[sizeof(state.call)];
	int err;

	why[0] = '\0';
	job_id(env, call);
	err = state_load(env, address, &state);
	if (!err && !strcmp(state.call, call))
		err = undo(env, address, &state, why);
	else if (err == -ENOENT) /* it came to no change, perhaps to half a record */
		err = state_forget(env, address);
	state_free(&state);
	return err;
}

static int take(const struct bind_env *env, const char *address, const struct bind_state *state,
		char *why)
{
	int err = state_save(env, address, state);

	if (err)
		return bind_why(why, err, "cannot record what it has now in %s", env->state);
	err = override_set(env, address, state->to);
	if (err)
		return bind_why(why, err, "cannot write driver_override");
	err = driver_detach(env, address);
	if (err)
		return bind_why(why, err, "%s does not let it go", state->call_driver);
	err = driver_attach(env, address, state->to);
	if (err)
		bind_why(why, err, "%s did not take it, see the kernel log: dmesg", state->to);
	return err;
}

int bind_device(const struct bind_env *env, const char *address, char *why)
{
	struct bind_state state;
	int err;

	why[0] = '\0';
	if (has_driver(env, address, bind_driver(env)))
		return 0;
	err = state_take(env, address, &state);
	if (err) {
		bind_why(why, err, "cannot see what it has now");
	} else {
		err = take(env, address, &state, why);
		if (err)
			undo(env, address, &state, why);
	}
	state_free(&state);
	return err;
}

/* --- Unbind --- */

/* Bound by other means: the bus chooses. */
static int release(const struct bind_env *env, const char *address, char *why)
{
	int err = move_back(env, address, "", "", "", why);

	if (!err)
		sysfs_write(env, "bus", "pci", "drivers_probe", address);
	return err;
}

int unbind_device(const struct bind_env *env, const char *address, char *why)
{
	struct bind_state state;
	int err;

	why[0] = '\0';
	if (state_load(env, address, &state) || !state_holds(env, address, &state)) {
		err = release(env, address, why);
	} else {
		state.returning = true;
		err = state_save(env, address, &state);
		if (err)
			bind_why(why, err, "cannot write the record in %s", env->state);
		else
			err = put_back(env, address, &state, why);
	}
	state_free(&state);
	return err;
}
