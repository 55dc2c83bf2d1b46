// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which process has a device: the module tells it; of the kernel's drivers, and where the caller
 * may not ask the module, a process that has the node open for writing.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <userpci/userpci.h>

#include "owner.h"

void owner_name(const struct bind_env *env, long pid, struct owner *owner)
{
	char path[PATH_MAX];
	FILE *file;

	*owner = (struct owner){ .pid = pid, .command = "?" };
	snprintf(path, sizeof(path), "%s/%ld/comm", env->proc, pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (!fgets(owner->command, sizeof(owner->command), file))
		strcpy(owner->command, "?");
	fclose(file);
	owner->command[strcspn(owner->command, "\n")] = '\0';
	/* A process may call itself anything, a terminal's commands too. */
	for (char *c = owner->command; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

/* --- The node of a device --- */

/* The first entry of the directory @attribute of a device that begins with @prefix. */
static bool first_entry(const struct bind_env *env, const char *address, const char *attribute,
			const char *prefix, char name[BIND_NAME_SIZE])
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/" SYSFS_DEVICES "/%s/%s", env->sys, address, attribute);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		found = !strncmp(entry->d_name, prefix, strlen(prefix));
		if (found)
			snprintf(name, BIND_NAME_SIZE, "%.100s", entry->d_name);
	}
	closedir(dir);
	return found;
}

/* What its owner has open; 0: no driver of ours has it. */
static dev_t node_of(const struct bind_env *env, const struct bind_device *device)
{
	char path[PATH_MAX], name[BIND_NAME_SIZE];
	struct stat node;

	if (!strcmp(device->driver, BIND_DRIVER))
		snprintf(path, sizeof(path), "%s/%s", env->dev, device->address);
	else if (!strcmp(device->driver, "vfio-pci") &&
		 !sysfs_link(env, SYSFS_DEVICES, device->address, "iommu_group", name,
			     sizeof(name)))
		snprintf(path, sizeof(path), "/dev/vfio/%s", name);
	else if (!strcmp(device->driver, "uio_pci_generic") &&
		 first_entry(env, device->address, "uio", "uio", name))
		snprintf(path, sizeof(path), "/dev/%s", name);
	else
		return 0;
	return !stat(path, &node) && S_ISCHR(node.st_mode) ? node.st_rdev : 0;
}

/* --- The processes --- */

/* Observers have it open for reading. */
static bool is_writable(const char *pid_path, const char *fd)
{
	unsigned int flags = 0;
	char path[PATH_MAX], line[64];
	FILE *file;

	snprintf(path, sizeof(path), "%.64s/fdinfo/%.16s", pid_path, fd);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file) && sscanf(line, "flags: %o", &flags) != 1)
		;
	fclose(file);
	return (flags & O_ACCMODE) == O_RDWR;
}

static void look_into(const struct bind_env *env, const char *pid, const dev_t *nodes, size_t count,
		      struct owner *owners)
{
	char pid_path[128], path[160];
	struct dirent *entry;
	struct stat file;
	DIR *files;

	snprintf(pid_path, sizeof(pid_path), "%.64s/%.16s", env->proc, pid);
	snprintf(path, sizeof(path), "%s/fd", pid_path);
	files = opendir(path);
	if (!files) /* it ended, or is not ours to look into */
		return;
	while ((entry = readdir(files))) {
		if (fstatat(dirfd(files), entry->d_name, &file, 0) || !S_ISCHR(file.st_mode))
			continue;
		for (size_t i = 0; i < count; i++)
			if (nodes[i] == file.st_rdev && !owners[i].pid &&
			    is_writable(pid_path, entry->d_name))
				owner_name(env, strtol(pid, NULL, 10), &owners[i]);
	}
	closedir(files);
}

static void look_around(const struct bind_env *env, const dev_t *nodes, size_t count,
			struct owner *owners)
{
	struct dirent *entry;
	DIR *processes = opendir(env->proc);

	if (!processes)
		return;
	while ((entry = readdir(processes)))
		if (isdigit((unsigned char)entry->d_name[0]))
			look_into(env, entry->d_name, nodes, count, owners);
	closedir(processes);
}

/* False: the module could not be asked. */
static bool ask_module(const struct bind_env *env, const struct bind_device *device,
		       struct owner *owner)
{
	const struct userpci_uapi_stats *stats;
	struct userpci_device *observer;
	char address[40];
	bool known = false;

	if (strcmp(device->driver, BIND_DRIVER))
		return false;
	snprintf(address, sizeof(address), "stub:%s", device->address);
	if (userpci_open(address, USERPCI_OPEN_OBSERVE, &observer))
		return false;
	stats = userpci_stats(observer);
	if (stats) {
		known = true;
		if (stats->owner > 0)
			owner_name(env, stats->owner, owner);
	}
	userpci_close(observer);
	return known;
}

void owner_find(const struct bind_env *env, const struct bind_device *devices, size_t count,
		struct owner *owners)
{
	dev_t *nodes = calloc(count + 1, sizeof(*nodes));
	bool look = false;

	memset(owners, 0, count * sizeof(*owners));
	if (!nodes)
		return;
	for (size_t i = 0; i < count; i++) {
		if (!ask_module(env, &devices[i], &owners[i]))
			nodes[i] = node_of(env, &devices[i]);
		look |= nodes[i] != 0;
	}
	if (look)
		look_around(env, nodes, count, owners);
	free(nodes);
}
