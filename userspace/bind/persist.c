// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules for udev: a file each, named by the slot or by the kind of device that it is for.
 *
 * The rule sets driver_override, which udev does while it reads the rules; the modules that fit the
 * device are loaded when it has read them all, so their drivers find it claimed. Where a driver was
 * faster, built into the kernel or loaded for another device, this program is called, as from a
 * command line: it binds the device if it is not in use.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bind/bind.h"

/* Before 80-drivers.rules, by which modules are loaded. */
static void rule_path(char path[PATH_MAX], const struct bind_env *env, const char *address,
		      enum persist by)
{
	struct bind_state kind = { 0 };

	state_identify(env, address, &kind);
	snprintf(path, PATH_MAX, "%s/10-userpci-%s.rules", env->rules,
		 by == PERSIST_BY_SLOT ? address : kind.ids);
}

/* @ids: "vendor:device:subsystem vendor:subsystem device". */
static void print_rule(FILE *file, const struct bind_env *env, const char *address, const char *ids,
		       enum persist by)
{
	static const char *const files[] = { "vendor", "device", "subsystem_vendor",
					     "subsystem_device" };
	const char *driver = bind_driver(env);

	fprintf(file,
		"# Written by 'userpci bind --persist'; 'userpci unbind --forget %s' removes it.\n"
		"ACTION==\"add\", SUBSYSTEM==\"pci\"",
		address);
	if (by == PERSIST_BY_SLOT)
		fprintf(file, ", KERNEL==\"%s\"", address);
	for (size_t i = 0; i < 4; i++)
		fprintf(file, ", ATTR{%s}==\"0x%.4s\"", files[i], ids + 5 * i);
	fprintf(file, ", \\\n  ATTR{driver_override}=\"%s\", RUN{builtin}+=\"kmod load %s\"",
		driver, driver);
	if (env->program && !strpbrk(env->program, " \t\"'\\$%")) /* udev's own marks */
		fprintf(file, ", \\\n  RUN+=\"%s bind --driver %s $kernel\"", env->program, driver);
	fputc('\n', file);
}

static bool is_same(const char *path, const char *text)
{
	char now[4096] = "";
	FILE *file = fopen(path, "re");

	if (!file)
		return false;
	now[fread(now, 1, sizeof(now) - 1, file)] = '\0';
	fclose(file);
	return !strcmp(now, text);
}

int persist_add(const struct bind_env *env, const char *address, enum persist by)
{
	char path[PATH_MAX], text[2048];
	struct bind_state kind = { 0 };
	FILE *file = fmemopen(text, sizeof(text), "w");
	int err;

	if (!file)
		return -errno;
	state_identify(env, address, &kind);
	print_rule(file, env, address, kind.ids, by);
	if (fclose(file))
		return -ENAMETOOLONG;
	rule_path(path, env, address, by);
	if (!is_same(path, text) && !access(path, F_OK))
		return -EEXIST;
	if (mkdir(env->rules, 0755) && errno != EEXIST)
		return -errno;
	err = state_keep(env, address); /* first: without the rule it is of no use, and no harm */
	return err ? err : file_replace(path, text);
}

int persist_remove(const struct bind_env *env, const char *address, enum persist by,
		   unsigned int *removed)
{
	char path[PATH_MAX];
	int err;

	*removed = 0;
	for (enum persist one = PERSIST_BY_SLOT; one <= PERSIST_BY_ID; one++) {
		if (by != one && by != PERSIST_FORGET)
			continue;
		rule_path(path, env, address, one);
		err = file_remove(path);
		*removed += !err;
		if (err && err != -ENOENT && err != -ENOTDIR)
			return err;
	}
	if (persist_has(env, address, PERSIST_BY_SLOT) || persist_has(env, address, PERSIST_BY_ID))
		return 0;
	return state_drop(env, address);
}

bool persist_has(const struct bind_env *env, const char *address, enum persist by)
{
	char path[PATH_MAX];

	rule_path(path, env, address, by);
	return !access(path, F_OK);
}
