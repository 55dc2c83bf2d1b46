// SPDX-License-Identifier: GPL-2.0-or-later
/* What the processes have open and mapped, read in one pass over procfs. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "bind/use.h"

void *fact_grow(void *items, size_t count, size_t size)
{
	if (count & (count - 1)) /* not a power of two: there is room */
		return items;
	return reallocarray(items, count ? 2 * count : 1, size);
}

static int add_open(struct bind_facts *facts, const struct statx *file, pid_t pid)
{
	struct fact_open *opens = fact_grow(facts->opens, facts->open_count, sizeof(*opens));
	bool is_node = S_ISCHR(file->stx_mode) || S_ISBLK(file->stx_mode);

	if (!opens)
		return -ENOMEM;
	facts->opens = opens;
	opens[facts->open_count++] = (struct fact_open){
		.dev = makedev(file->stx_dev_major, file->stx_dev_minor),
		.rdev = is_node ? makedev(file->stx_rdev_major, file->stx_rdev_minor) : 0,
		.ino = file->stx_ino,
		.block = S_ISBLK(file->stx_mode),
		.pid = pid,
	};
	return 0;
}

/* AT_STATX_DONT_SYNC: a file server that does not answer must not hold us up. */
static int add_path(struct bind_facts *facts, int directory, const char *path, pid_t pid)
{
	struct statx file;

	if (statx(directory, path, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &file))
		return 0; /* closed meanwhile, or deleted */
	return add_open(facts, &file, pid);
}

static int read_open(struct bind_facts *facts, const char *pid)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int err = 0;
	DIR *files;

	snprintf(path, sizeof(path), "%s/%s/fd", facts->env->proc, pid);
	files = opendir(path);
	if (!files) /* it ended, or is not ours to look into */
		return 0;
	while (!err && (entry = readdir(files)))
		if (entry->d_name[0] != '.')
			err = add_path(facts, dirfd(files), entry->d_name,
				       (pid_t)strtol(pid, NULL, 10));
	closedir(files);
	return err;
}

static bool is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return !strncmp(path, directory, length) && path[length] == '/';
}

/* A map lasts when its descriptor is closed. Of device nodes and of BARs in sysfs only. */
static int read_mapped(struct bind_facts *facts, const char *pid)
{
	char path[PATH_MAX], line[PATH_MAX + 128], last[PATH_MAX] = "";
	FILE *maps;
	int err = 0;

	snprintf(path, sizeof(path), "%s/%s/maps", facts->env->proc, pid);
	maps = fopen(path, "re");
	if (!maps)
		return 0;
	while (!err && fgets(line, sizeof(line), maps)) {
		char *file = strchr(line, '/');

		if (!file)
			continue;
		file[strcspn(file, "\n")] = '\0';
		if (!strcmp(file, last) ||
		    (!is_below(file, facts->env->devices) && !is_below(file, facts->env->sys)))
			continue;
		snprintf(last, sizeof(last), "%s", file);
		err = add_path(facts, AT_FDCWD, file, (pid_t)strtol(pid, NULL, 10));
	}
	fclose(maps);
	return err;
}

static int read_processes(struct bind_facts *facts)
{
	struct dirent *entry;
	DIR *processes = opendir(facts->env->proc);
	int err = 0;

	if (!processes)
		return -errno;
	while (!err && (entry = readdir(processes))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		err = read_open(facts, entry->d_name);
		if (!err)
			err = read_mapped(facts, entry->d_name);
		if (!err)
			err = facts_read_mounts(facts, entry->d_name);
	}
	closedir(processes);
	return err;
}

int bind_facts_get(const struct bind_env *env, bool probe, struct bind_facts **facts)
{
	struct bind_facts *new = calloc(1, sizeof(*new));
	int err;

	if (!new)
		return -ENOMEM;
	new->env = env;
	new->probe = probe;
	err = facts_read_mounts(new, "self");
	if (!err)
		err = read_processes(new);
	if (!err)
		err = facts_read_net(new);
	if (err)
		bind_facts_free(new);
	else
		*facts = new;
	return err;
}

void bind_facts_free(struct bind_facts *facts)
{
	facts_free_mounts(facts);
	free(facts->opens);
	free(facts->nets);
	free(facts);
}
