// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The records of what devices had before bind: a file a device, named by its address, and a lock.
 * A record outlives its tool, and not the machine's uptime: neither does driver_override.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bind/bind.h"

_Static_assert(BIND_NAME_SIZE == 128, "the widths in state_load() are 127");

static void join(char path[PATH_MAX], const struct bind_env *env, const char *name,
		 const char *suffix)
{
	snprintf(path, PATH_MAX, "%s/%s%s", env->state, name, suffix);
}

int state_lock(const struct bind_env *env)
{
	char path[PATH_MAX];
	int err, fd;

	if (mkdir(env->state, 0755) && errno != EEXIST)
		return -errno;
	join(path, env, "lock", "");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (!flock(fd, LOCK_EX))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int state_save(const struct bind_env *env, const char *address, const struct bind_state *state)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	int err = 0;
	FILE *file;

	join(path, env, address, "");
	join(fresh, env, address, ".new");
	file = fopen(fresh, "we");
	if (!file)
		return -errno;
	fprintf(file, "driver=%s\ndriver_override=%s\n", state->driver, state->driver_override);
	if (fflush(file) || fsync(fileno(file)) || rename(fresh, path))
		err = -errno;
	fclose(file);
	return err;
}

int state_load(const struct bind_env *env, const char *address, struct bind_state *state)
{
	char path[PATH_MAX], line[256];
	FILE *file;

	memset(state, 0, sizeof(*state));
	join(path, env, address, "");
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "driver=%127[^\n]", state->driver);
		sscanf(line, "driver_override=%127[^\n]", state->driver_override);
	}
	fclose(file);
	return 0;
}

int state_forget(const struct bind_env *env, const char *address)
{
	char path[PATH_MAX];

	join(path, env, address, "");
	return unlink(path) && errno != ENOENT ? -errno : 0;
}
