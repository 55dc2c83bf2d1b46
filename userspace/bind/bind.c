// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Binding to userpci and back. In order: the record, driver_override, the old driver's unbind,
 * userpci's bind, a look at who has the device. A driver's own "bind" file is used rather than
 * drivers_probe, which turns whatever the probe returned into EINVAL.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* Checks: what cannot work */

static int check_bridge(const struct bind_env *env, const struct bind_device *device, char *why)
{
	(void)env;
	if (device->header_type == 0x7f)
		return bind_why(why, -EIO, "its config space cannot be read");
	if (device->header_type)
		return bind_why(why, -EOPNOTSUPP, "it is a bridge, header type %u",
				device->header_type);
	return 0;
}

static int check_override(const struct bind_env *env, const struct bind_device *device, char *why)
{
	char override[BIND_NAME_SIZE];
	int err = override_get(env, device->address, override);

	if (err == -ENOENT)
		return bind_why(why, -EOPNOTSUPP, "the kernel has no driver_override for it");
	return err;
}

static int check_module(const struct bind_env *env, const struct bind_device *device, char *why)
{
	const char *driver = bind_driver(env);

	(void)device;
	if (is_loaded(env, driver))
		return 0;
	if (strcmp(driver, BIND_DRIVER))
		return bind_why(why, -ENOPKG, "the module %s is not loaded; load it: modprobe %s",
				driver, driver);
	return bind_why(why, -ENOPKG,
			"the module userpci is not loaded; load it: modprobe userpci, "
			"or insmod build/kernel/userpci.ko");
}

static int check_claimed(const struct bind_env *env, const struct bind_device *device, char *why)
{
	if (device->bound || device->claimed)
		return 0;
	return bind_why(why, -EINVAL, "it is not bound to %s, but to %s", bind_driver(env),
			device->driver[0] ? device->driver : "no driver");
}

/* Checks: a device in use */

/* An IPv4 address goes by its label: eth0, or eth0:1. */
static bool has_ip_address(const char *interface)
{
	size_t length = strlen(interface);
	struct ifaddrs *all, *one;
	bool found = false;

	if (getifaddrs(&all))
		return false;
	for (one = all; one && !found; one = one->ifa_next) {
		int family = one->ifa_addr ? one->ifa_addr->sa_family : AF_UNSPEC;

		found = (family == AF_INET || family == AF_INET6) &&
			!strncmp(one->ifa_name, interface, length) &&
			(one->ifa_name[length] == '\0' || one->ifa_name[length] == ':');
	}
	freeifaddrs(all);
	return found;
}

static int check_interface(const struct bind_env *env, const char *name, char *why)
{
	char flags[32];
	int err = sysfs_read(env, "class/net", name, "flags", flags, sizeof(flags));

	if (err)
		return err;
	if (strtoul(flags, NULL, 0) & IFF_UP)
		return bind_why(why, -EBUSY,
				"%s is up; take it down with 'ip link set %s down', or use --force",
				name, name);
	if (has_ip_address(name))
		return bind_why(why, -EBUSY,
				"%s has an IP address; drop it with 'ip address flush dev %s', "
				"or use --force",
				name, name);
	return 0;
}

/* Calls @check for each member of @class, such as class/net, that is a child of the device. */
static int for_each_child(const struct bind_env *env, const struct bind_device *device,
			  const char *class,
			  int (*check)(const struct bind_env *, const char *, char *), char *why)
{
	char parent[PATH_MAX + 1], path[PATH_MAX];
	struct dirent *entry;
	DIR *members;
	int err;

	err = sysfs_resolve(env, SYSFS_DEVICES, device->address, parent);
	if (err)
		return err;
	strcat(parent, "/");
	if (sysfs_resolve(env, class, "", path))
		return 0; /* nothing of that kind here */
	members = opendir(path);
	if (!members)
		return -errno;
	while (!err && (entry = readdir(members)))
		if (entry->d_name[0] != '.' && !sysfs_resolve(env, class, entry->d_name, path) &&
		    !strncmp(path, parent, strlen(parent)))
			err = check(env, entry->d_name, why);
	closedir(members);
	return err;
}

static int check_network(const struct bind_env *env, const struct bind_device *device, char *why)
{
	return for_each_child(env, device, "class/net", check_interface, why);
}

static bool is_same_node(const struct stat *a, const struct stat *b)
{
	if (S_ISCHR(a->st_mode)) /* a container may have a node of its own */
		return S_ISCHR(b->st_mode) && a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int check_process(const struct bind_env *env, const char *pid, const struct stat *node,
			 char *why)
{
	char path[PATH_MAX], command[32];
	struct dirent *entry;
	struct stat file;
	bool found = false;
	DIR *files;

	snprintf(path, sizeof(path), "%s/%s/fd", env->proc, pid);
	files = opendir(path);
	if (!files) /* it ended, or is not ours to look into */
		return 0;
	while (!found && (entry = readdir(files)))
		found = !fstatat(dirfd(files), entry->d_name, &file, 0) &&
			is_same_node(node, &file);
	closedir(files);
	if (!found)
		return 0;
	if (sysfs_read(&(struct bind_env){ .sys = env->proc }, pid, "", "comm", command,
		       sizeof(command)))
		strcpy(command, "?");
	return bind_why(why, -EBUSY, "pid %s (%s) has it open", pid, command);
}

static int check_users(const struct bind_env *env, const struct bind_device *device, char *why)
{
	char path[PATH_MAX];
	struct dirent *entry;
	struct stat node;
	DIR *processes;
	int err = 0;

	snprintf(path, sizeof(path), "%s/%s", env->dev, device->address);
	if (stat(path, &node))
		return errno == ENOENT ? 0 : -errno;
	processes = opendir(env->proc);
	if (!processes)
		return -errno;
	while ((entry = readdir(processes)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    check_process(env, entry->d_name, &node, why))
			err = -EBUSY;
	closedir(processes);
	return err ? bind_why(why, err, "end what uses it, or use --force") : 0;
}

static const struct check {
	const char *name;
	int (*run)(const struct bind_env *env, const struct bind_device *device, char *why);
	bool can_force;
} bind_checks[] = {
	{ "bridge", check_bridge, false },
	{ "driver_override", check_override, false },
	{ "module", check_module, false },
	{ "network", check_network, true },
	{ NULL, NULL, false },
}, unbind_checks[] = {
	{ "claimed", check_claimed, false },
	{ "users", check_users, true },
	{ NULL, NULL, false },
};

static int run_checks(const struct check *check, const struct bind_env *env,
		      const struct bind_device *device, bool force, char *why)
{
	int err = 0;

	for (; check->name && !err; check++) {
		if (force && check->can_force)
			continue;
		err = check->run(env, device, why);
		if (err && !why[0])
			bind_why(why, err, "in the check '%s'", check->name);
	}
	return err;
}

int bind_check(const struct bind_env *env, const struct bind_device *device, bool force, char *why)
{
	why[0] = '\0';
	return device->bound ? 0 : run_checks(bind_checks, env, device, force, why);
}

int unbind_check(const struct bind_env *env, const struct bind_device *device, bool force,
		 char *why)
{
	why[0] = '\0';
	return run_checks(unbind_checks, env, device, force, why);
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
