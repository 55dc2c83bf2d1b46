// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that have a file of the device open or mapped: a node of any kind that its driver made
 * (userpci, UIO, VFIO, disks, displays, sound...), or its BARs in sysfs, by which drivers in user
 * space reach a device that has no driver at all.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "bind/use.h"

#define DEPTH_MAX 16 /* of directories below a function's, USB hubs and all */

void use_command(const struct bind_env *env, pid_t pid, char command[32])
{
	const struct bind_env proc = { .sys = env->proc };
	char name[16];

	snprintf(name, sizeof(name), "%d", (int)pid);
	if (sysfs_read(&proc, name, "", "comm", command, 32))
		strcpy(command, "?");
}

/* A node by its number, any other file by its inode. */
static bool is_same_file(const struct fact_open *open, const struct stat *file)
{
	if (S_ISCHR(file->st_mode) || S_ISBLK(file->st_mode))
		return open->rdev == file->st_rdev && open->block == !!S_ISBLK(file->st_mode);
	return open->dev == file->st_dev && open->ino == file->st_ino;
}

/*
 * A process that loses its userpci device is told so by the module, and other kernel drivers see to
 * theirs. But: VFIO waits in the kernel until the process closes the device; a map of UIO or of
 * sysfs goes on writing to the device; displays' drivers are seldom made to lose one in use; and a
 * disk that is written to without a file system is some virtual machine's.
 */
static enum use_force force_of(const char *kind)
{
	static const char *const never[] = {
		"uio", "vfio", "vfio-dev", "drm", "block", "resource"
	};

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (!strcmp(kind, never[i]))
			return USE_NEVER;
	return USE_FORCE;
}

/* Adds a reason if a process has @file, of which @name is to be told, open. */
static void check_file(struct use *use, const struct stat *file, const char *kind, const char *name)
{
	const struct bind_facts *facts = use->facts;
	enum use_force force = force_of(kind);
	char who[BIND_WHY_SIZE / 2] = "", command[32];
	pid_t last = 0;
	size_t length = 0;

	for (size_t i = 0; i < facts->open_count && length < sizeof(who); i++) {
		const struct fact_open *open = &facts->opens[i];

		if (open->pid == last || !is_same_file(open, file))
			continue;
		last = open->pid;
		use_command(use->env, last, command);
		length += (size_t)snprintf(who + length, sizeof(who) - length, "%spid %d (%s)",
					   length ? ", " : "", (int)last, command);
	}
	if (length)
		use_add(use, "process", -EBUSY, force, "%s is open in %s; end what uses it%s", name,
			who, force == USE_FORCE ? ", or use --force" : "");
}

static void check_path(struct use *use, const char *path, const char *kind, const char *name)
{
	struct stat file;

	if (!stat(path, &file))
		check_file(use, &file, kind, name);
}

/* @directory: one in sysfs that may belong to a device node. */
static void check_node(struct use *use, const char *directory)
{
	char kind[64], text[32];
	const struct bind_env at = { .sys = directory };
	unsigned int major, minor;
	struct stat file = { 0 };

	if (sysfs_read(&at, "", "", "dev", text, sizeof(text)) ||
	    sscanf(text, "%u:%u", &major, &minor) != 2 ||
	    sysfs_link(&at, "", "", "subsystem", kind, sizeof(kind)))
		return;
	if (!strcmp(kind, BIND_DRIVER)) /* below, by its path */
		return;
	file.st_mode = strcmp(kind, "block") ? S_IFCHR : S_IFBLK;
	file.st_rdev = makedev(major, minor);
	check_file(use, &file, kind, strrchr(directory, '/') + 1);
}

static void check_tree(struct use *use, const char *directory, int depth)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *entries = opendir(directory);

	if (!entries)
		return;
	check_node(use, directory);
	while (depth < DEPTH_MAX && (entry = readdir(entries))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name) <
		    (int)sizeof(path))
			check_tree(use, path, depth + 1);
	}
	closedir(entries);
}

static void check_bars(struct use *use)
{
	static const char *const suffixes[] = { "", "_wc" };
	char path[PATH_MAX + 32], name[32];

	for (unsigned int bar = 0; bar < 6; bar++)
		for (size_t i = 0; i < 2; i++) {
			snprintf(name, sizeof(name), "resource%u%s", bar, suffixes[i]);
			snprintf(path, sizeof(path), "%s/%s", use->path, name);
			check_path(use, path, "resource", name);
		}
}

/* A process opens the group first and gets the device from it, as a file without a name. */
static void check_group(struct use *use)
{
	char path[PATH_MAX], group[BIND_NAME_SIZE], name[BIND_NAME_SIZE + 16];

	if (strcmp(use->device->driver, "vfio-pci") ||
	    sysfs_link(use->env, SYSFS_DEVICES, use->device->address, "iommu_group", group,
		       sizeof(group)))
		return;
	snprintf(name, sizeof(name), "vfio/%s", group);
	snprintf(path, sizeof(path), "%s/%s", use->env->devices, name);
	check_path(use, path, "vfio", name);
	snprintf(name, sizeof(name), "vfio/noiommu-%s", group);
	snprintf(path, sizeof(path), "%s/%s", use->env->devices, name);
	check_path(use, path, "vfio", name);
}

void use_process(struct use *use)
{
	char path[PATH_MAX];

	if (!use->path[0])
		return;
	snprintf(path, sizeof(path), "%s/%s", use->env->dev, use->device->address);
	check_path(use, path, BIND_DRIVER, "it");
	check_group(use);
	check_bars(use);
	check_tree(use, use->path, 0);
}
