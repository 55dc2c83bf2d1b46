// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The journal: a file for each device that was bound, named by its address, and a lock. In memory,
 * in /run: driver_override, names and addresses do not outlive a restart either. Only what a udev
 * rule binds again has a copy of its record on disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bind/bind.h"

static void join(char path[PATH_MAX], const char *directory, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s", directory, name);
}

int state_lock(const struct bind_env *env)
{
	char path[PATH_MAX];
	int err, fd;

	if (mkdir(env->state, 0755) && errno != EEXIST)
		return -errno;
	join(path, env->state, "lock");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (!flock(fd, LOCK_EX))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* --- The fields of a record --- */

static const struct field {
	const char *name;
	size_t offset, size; /* 0: a bool */
} fields[] = {
#define TEXT(name, member)                                       \
	{                                                        \
		name, offsetof(struct bind_state, member),       \
			sizeof(((struct bind_state *)0)->member) \
	}
#define FLAG(name, member)                                   \
	{                                                    \
		name, offsetof(struct bind_state, member), 0 \
	}
	TEXT("boot", boot),
	TEXT("device", ids),
	TEXT("bound_to", to),
	TEXT("driver", driver),
	TEXT("module", module),
	TEXT("driver_override", override),
	TEXT("call", call),
	TEXT("call_driver", call_driver),
	TEXT("call_driver_override", call_override),
	FLAG("fresh", fresh),
	FLAG("returning", returning),
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static void write_fields(FILE *file, const struct bind_state *state)
{
	for (size_t i = 0; i < FIELDS; i++) {
		const char *at = (const char *)state + fields[i].offset;

		if (fields[i].size)
			fprintf(file, "%s=%s\n", fields[i].name, at);
		else
			fprintf(file, "%s=%d\n", fields[i].name, *(const bool *)at);
	}
	if (state->interfaces)
		fputs(state->interfaces, file);
}

/* @line: "NAME=VALUE". False: it is none of the fields. */
static bool read_field(struct bind_state *state, char *line)
{
	for (size_t i = 0; i < FIELDS; i++) {
		size_t length = strlen(fields[i].name);
		char *to = (char *)state + fields[i].offset;

		if (strncmp(line, fields[i].name, length) || line[length] != '=')
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (fields[i].size)
			snprintf(to, fields[i].size, "%s", line + length + 1);
		else
			*(bool *)to = line[length + 1] == '1';
		return true;
	}
	return false;
}

/* --- Records --- */

void state_identify(const struct bind_env *env, const char *address, struct bind_state *state)
{
	static const char *const files[] = { "vendor", "device", "subsystem_vendor",
					     "subsystem_device" };
	const struct bind_env proc = { .sys = env->proc };
	unsigned long ids[4] = { 0 };
	char text[32];

	for (size_t i = 0; i < 4; i++)
		if (!sysfs_read(env, SYSFS_DEVICES, address, files[i], text, sizeof(text)))
			ids[i] = strtoul(text, NULL, 16) & 0xffff;
	snprintf(state->ids, sizeof(state->ids), "%04lx:%04lx:%04lx:%04lx", ids[0], ids[1], ids[2],
		 ids[3]);
	if (sysfs_read(&proc, "sys", "kernel", "random/boot_id", state->boot, sizeof(state->boot)))
		state->boot[0] = '\0';
}

static int load(const char *directory, const char *address, struct bind_state *state)
{
	char path[PATH_MAX], *line = NULL;
	size_t size = 0, length;
	FILE *file, *lines;
	int err = 0;

	join(path, directory, address);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	lines = open_memstream(&state->interfaces, &length);
	if (!lines)
		err = -ENOMEM;
	while (!err && getline(&line, &size, file) > 0)
		if (!read_field(state, line))
			fputs(line, lines);
	free(line);
	fclose(file);
	if (lines && fclose(lines))
		err = -ENOMEM;
	return err;
}

static bool is_held(const struct bind_env *env, const char *address, const struct bind_state *state)
{
	char driver[BIND_NAME_SIZE], override[BIND_NAME_SIZE];

	return state->to[0] &&
	       ((!sysfs_driver(env, address, driver) && !strcmp(driver, state->to)) ||
		(!sysfs_override(env, address, override) && !strcmp(override, state->to)));
}

bool state_holds(const struct bind_env *env, const char *address, const struct bind_state *state)
{
	return (state->returning && !state->old) || is_held(env, address, state);
}

/*
 * Of another device that is in the same slot by now: as if there were none. A record on disk counts
 * only while its rule has the device bound or claimed.
 */
int state_load(const struct bind_env *env, const char *address, struct bind_state *state)
{
	const char *const directories[] = { env->state, env->lib };
	struct bind_state now = { 0 };
	int err = -ENOENT;

	state_identify(env, address, &now);
	for (size_t i = 0; i < 2 && err == -ENOENT; i++) {
		*state = (struct bind_state){ 0 };
		if (directories[i])
			err = load(directories[i], address, state);
		state->old = strcmp(state->boot, now.boot) != 0;
		if (!err && (strcmp(state->ids, now.ids) || (i && !is_held(env, address, state)))) {
			state_free(state);
			err = -ENOENT;
		}
	}
	if (err)
		state_free(state);
	return err;
}

void state_free(struct bind_state *state)
{
	free(state->interfaces);
	*state = (struct bind_state){ 0 };
}

static int save(const char *directory, const char *address, const struct bind_state *state)
{
	char path[PATH_MAX], *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int err = -ENOMEM;

	if (!file)
		return err;
	write_fields(file, state);
	join(path, directory, address);
	if (!fclose(file))
		err = file_replace(path, text);
	free(text);
	return err;
}

int state_save(const struct bind_env *env, const char *address, const struct bind_state *state)
{
	return save(env->state, address, state);
}

static int forget(const char *directory, const char *address)
{
	char path[PATH_MAX];
	int err;

	join(path, directory, address);
	err = file_remove(path);
	return err == -ENOENT ? 0 : err;
}

int state_forget(const struct bind_env *env, const char *address)
{
	return forget(env->state, address);
}

int state_keep(const struct bind_env *env, const char *address)
{
	struct bind_state state;
	int err;

	if (mkdir(env->lib, 0755) && errno != EEXIST)
		return -errno;
	err = state_load(env, address, &state);
	if (!err)
		err = save(env->lib, address, &state);
	state_free(&state);
	return err == -ENOENT ? 0 : err;
}

int state_drop(const struct bind_env *env, const char *address)
{
	return forget(env->lib, address);
}

/* Other files have no colon in their names. */
char **state_list(const struct bind_env *env)
{
	const struct bind_env at = { .sys = env->state };
	char **names = sysfs_list(&at, "", "", ""), **kept = names;

	for (char **name = names; names && *name; name++)
		if (strchr(*name, ':') && !strstr(*name, ".new"))
			*kept++ = *name;
		else
			free(*name);
	if (kept)
		*kept = NULL;
	return names;
}
