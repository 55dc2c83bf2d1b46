// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading and writing sysfs attributes, below a root that a test may choose. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/bind.h"

/* None of the names comes near PATH_MAX; one that was cut short would not be found. */
static void join(char path[PATH_MAX], const struct bind_env *env, const char *directory,
		 const char *name, const char *attribute)
{
	snprintf(path, PATH_MAX, "%s/%s/%s/%s", env->sys, directory, name, attribute);
}

int sysfs_read(const struct bind_env *env, const char *directory, const char *name,
	       const char *attribute, char *value, size_t size)
{
	char path[PATH_MAX];
	ssize_t got;
	int err, fd;

	join(path, env, directory, name, attribute);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, value, size);
	err = got < 0 ? -errno : 0;
	close(fd);
	if (err)
		return err;
	if ((size_t)got == size)
		return -ENAMETOOLONG;
	value[got] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return 0;
}

/* In one write: that is how the kernel takes an attribute, and its answer is the errno. */
int sysfs_write(const struct bind_env *env, const char *directory, const char *name,
		const char *attribute, const char *value)
{
	char path[PATH_MAX];
	int err, fd;

	join(path, env, directory, name, attribute);
	if (env->write)
		return env->write(env, path, value);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

int sysfs_link(const struct bind_env *env, const char *directory, const char *name,
	       const char *attribute, char *target, size_t size)
{
	char path[PATH_MAX], link[PATH_MAX];
	const char *slash;
	ssize_t length;

	join(path, env, directory, name, attribute);
	length = readlink(path, link, sizeof(link) - 1);
	if (length < 0)
		return -errno;
	link[length] = '\0';
	slash = strrchr(link, '/');
	length = snprintf(target, size, "%s", slash ? slash + 1 : link);
	return (size_t)length < size ? 0 : -ENAMETOOLONG;
}

int sysfs_resolve(const struct bind_env *env, const char *directory, const char *name, char *path)
{
	char unresolved[PATH_MAX];

	join(unresolved, env, directory, name, "");
	return realpath(unresolved, path) ? 0 : -errno;
}

int sysfs_driver(const struct bind_env *env, const char *address, char name[BIND_NAME_SIZE])
{
	int err = sysfs_link(env, SYSFS_DEVICES, address, "driver", name, BIND_NAME_SIZE);

	if (err)
		name[0] = '\0';
	return err == -ENOENT ? 0 : err;
}

int sysfs_override(const struct bind_env *env, const char *address, char name[BIND_NAME_SIZE])
{
	int err = sysfs_read(env, SYSFS_DEVICES, address, "driver_override", name, BIND_NAME_SIZE);

	if (err || !strcmp(name, "(null)")) /* so the kernel shows that there is none */
		name[0] = '\0';
	return err;
}

char **sysfs_list(const struct bind_env *env, const char *directory, const char *name,
		  const char *attribute)
{
	struct dirent **entries;
	char path[PATH_MAX], **names;
	size_t kept = 0;
	int count;

	join(path, env, directory, name, attribute);
	count = scandir(path, &entries, NULL, versionsort);
	if (count < 0)
		return NULL;
	names = calloc((size_t)count + 1, sizeof(*names));
	for (int i = 0; i < count; i++) {
		if (names && entries[i]->d_name[0] != '.')
			names[kept] = strdup(entries[i]->d_name);
		kept += names && names[kept];
		free(entries[i]);
	}
	free(entries);
	return names;
}

char **sysfs_below(const struct bind_env *env, const char *path, const char *class)
{
	char **names = path[0] ? sysfs_list(env, class, "", "") : NULL, **kept = names;
	size_t length = strlen(path);
	char member[PATH_MAX];

	for (char **name = names; names && *name; name++) {
		if (!sysfs_resolve(env, class, *name, member) && !strncmp(member, path, length) &&
		    (member[length] == '/' || member[length] == '\0'))
			*kept++ = *name;
		else
			free(*name);
	}
	if (kept)
		*kept = NULL;
	return names;
}

void sysfs_list_free(char **names)
{
	for (char **name = names; names && *name; name++)
		free(*name);
	free(names);
}
