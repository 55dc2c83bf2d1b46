// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Disks in use: mounted, swap, below LVM, RAID, a loop device, or claimed by whatever else. Never
 * forced: data would be lost, and all of these uses can be ended first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bind/use.h"

#define CLASS	  "class/block"
#define DEPTH_MAX 8 /* of what is built on what: partition, RAID, encryption, LVM... */

/* How a block device is used, by itself or through what is built on it. */
struct block_use {
	const char *word; /* NULL: it is not */
	const char *advice;
	char text[BIND_WHY_SIZE / 2];
};

__attribute__((format(printf, 2, 3))) static void append(struct block_use *found,
							 const char *format, ...)
{
	size_t length = strlen(found->text);
	va_list args;

	va_start(args, format);
	vsnprintf(found->text + length, sizeof(found->text) - length, format, args);
	va_end(args);
}

/* Whether @path, a device's as others name it, is block device @name. */
static bool is_path_of(const struct use *use, const char *path, const char *name)
{
	char here[PATH_MAX], real[PATH_MAX], number[32];
	struct stat node;

	if (strncmp(path, "/dev/", 5))
		return false;
	snprintf(here, sizeof(here), "%s/%s", use->env->devices, path + 5);
	if (!stat(here, &node) && S_ISBLK(node.st_mode)) {
		char wanted[32];

		snprintf(wanted, sizeof(wanted), "%u:%u", major(node.st_rdev), minor(node.st_rdev));
		return !sysfs_read(use->env, CLASS, name, "dev", number, sizeof(number)) &&
		       !strcmp(number, wanted);
	}
	return !strcmp(strrchr(realpath(here, real) ? real : path, '/') + 1, name);
}

static bool is_mounted(const struct use *use, const char *name, const struct fact_mount *mount)
{
	char number[32], wanted[32];

	if (mount->source[0] == '/' && is_path_of(use, mount->source, name))
		return true;
	snprintf(wanted, sizeof(wanted), "%u:%u", mount->major, mount->minor);
	return !sysfs_read(use->env, CLASS, name, "dev", number, sizeof(number)) &&
	       !strcmp(number, wanted);
}

static bool find_mount(const struct use *use, const char *name, struct block_use *found)
{
	const struct fact_mount *first = NULL;
	size_t more = 0;

	for (size_t i = 0; i < use->facts->mount_count; i++) {
		const struct fact_mount *mount = &use->facts->mounts[i];

		if (!is_mounted(use, name, mount))
			continue;
		more += !!first;
		/* Of several places the root is the one to tell. */
		if (!first || (!mount->pid && !strcmp(mount->point, "/")))
			first = mount;
	}
	if (!first)
		return false;
	found->word = "mounted";
	found->advice = "unmount it first";
	append(found, "is mounted at %s", first->point);
	if (first->pid)
		append(found, " in the mount namespace of pid %d", (int)first->pid);
	else if (!strcmp(first->point, "/"))
		found->advice = "the system runs from it";
	if (more)
		append(found, " and %zu more", more);
	return true;
}

/* Spec: proc(5), swaps: a line of headings, then the path first in each line. */
static bool find_swap(const struct use *use, const char *name, struct block_use *found)
{
	char path[PATH_MAX], line[PATH_MAX + 64];
	bool is_swap = false;
	FILE *swaps;

	snprintf(path, sizeof(path), "%s/swaps", use->env->proc);
	swaps = fopen(path, "re");
	while (swaps && !is_swap && fgets(line, sizeof(line), swaps)) {
		line[strcspn(line, " \t\n")] = '\0';
		is_swap = is_path_of(use, line, name);
	}
	if (swaps)
		fclose(swaps);
	if (!is_swap)
		return false;
	found->word = "swap";
	found->advice = "end that first with swapoff";
	append(found, "is swap space");
	return true;
}

/* What a loop device does to its file does not show as a holder. */
static bool find_loop(const struct use *use, const char *name, struct block_use *found)
{
	char **disks = sysfs_list(use->env, CLASS, "", "");
	char backing[PATH_MAX];

	for (char **disk = disks; disks && *disk && !found->word; disk++) {
		if (strncmp(*disk, "loop", 4) ||
		    sysfs_read(use->env, CLASS, *disk, "loop/backing_file", backing,
			       sizeof(backing)) ||
		    !is_path_of(use, backing, name))
			continue;
		found->word = "holder";
		found->advice = "detach that first with losetup -d";
		append(found, "is below %s", *disk);
	}
	sysfs_list_free(disks);
	return found->word;
}

/* The second and further disks of a btrfs are in no list of mounts. */
static bool find_btrfs(const struct use *use, const char *name, struct block_use *found)
{
	char **systems = sysfs_list(use->env, "fs/btrfs", "", ""), path[PATH_MAX], member[PATH_MAX];

	for (char **system = systems; systems && *system && !found->word; system++) {
		snprintf(member, sizeof(member), "%s/devices/%s", *system, name);
		if (sysfs_resolve(use->env, "fs/btrfs", member, path))
			continue;
		found->word = "mounted";
		found->advice = "unmount it first";
		append(found, "is part of a mounted btrfs");
	}
	sysfs_list_free(systems);
	return found->word;
}

/* What a disk is part of, and how that is taken apart. Spec: the prefixes of dm/uuid are those of
 * the programs that make the devices. */
static void describe_holder(const struct use *use, const char *holder, struct block_use *found)
{
	char name[256], kind[256] = "";

	found->word = "holder";
	found->advice = "end that first";
	if (!sysfs_read(use->env, CLASS, holder, "dm/name", name, sizeof(name))) {
		sysfs_read(use->env, CLASS, holder, "dm/uuid", kind, sizeof(kind));
		append(found, "is part of %s (%s)", holder, name);
		found->advice = !strncmp(kind, "LVM-", 4) ? "deactivate it first with lvchange -an"
				: !strncmp(kind, "CRYPT-", 6)
					? "close it first with cryptsetup close"
					: "remove it first with dmsetup remove";
	} else if (!sysfs_read(use->env, CLASS, holder, "md/level", name, sizeof(name))) {
		append(found, "is part of %s (%s)", holder, name);
		found->advice = "stop it first with mdadm --stop";
	} else {
		append(found, "is part of %s", holder);
	}
}

static bool find_use(const struct use *use, const char *name, int depth, struct block_use *found)
{
	struct block_use above = { 0 };
	char **holders;

	if (find_mount(use, name, found) || find_swap(use, name, found) ||
	    find_loop(use, name, found) || find_btrfs(use, name, found))
		return true;
	holders = sysfs_list(use->env, CLASS, name, "holders");
	for (char **holder = holders; holders && *holder; holder++) {
		if (!found->word)
			describe_holder(use, *holder, found);
		if (!above.word && depth < DEPTH_MAX && find_use(use, *holder, depth + 1, &above)) {
			found->word = above.word;
			found->advice = above.advice;
			append(found, ", which %s", above.text);
		}
	}
	sysfs_list_free(holders);
	return found->word;
}

static void check_block(struct use *use, const char *name)
{
	struct block_use found = { 0 };
	char head[32], path[PATH_MAX];
	int subsystem, space;

	if (find_use(use, name, 0, &found))
		use_add(use, found.word, -EBUSY, USE_NEVER, "%s %s; %s", name, found.text,
			found.advice);
	/* A path to a namespace of NVMe that has several; the disk itself is elsewhere in sysfs. */
	if (sscanf(name, "nvme%dc%*dn%d", &subsystem, &space) != 2)
		return;
	snprintf(head, sizeof(head), "nvme%dn%d", subsystem, space);
	if (!sysfs_resolve(use->env, CLASS, head, path))
		use_each_below(use, path, CLASS, check_block);
}

/* Whether somebody has the disk for himself alone, as file systems (those in namespaces where no
 * process is left, too), ZFS and DRBD have. It is opened for reading, and closed at once. */
static void probe_disk(struct use *use, const char *name)
{
	char path[PATH_MAX], text[16], *mark;
	int fd;

	if (!sysfs_read(use->env, CLASS, name, "partition", text, sizeof(text)))
		return; /* the whole disk counts as claimed with it */
	snprintf(path, sizeof(path), "%s/%s", use->env->devices, name);
	for (mark = path; (mark = strchr(mark, '!'));)
		*mark = '/';
	fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	else if (errno == EBUSY)
		use_add(use, "claimed", -EBUSY, USE_NEVER,
			"%s is claimed by something that does not show, such as ZFS; "
			"end that first",
			name);
}

/* A mount that is a part of another, or was lazily undone, keeps the file system's module. */
static bool has_hidden_mount(const struct bind_env *env, const char *type, long shown)
{
	char text[16];

	return !sysfs_read(env, "module", type, "refcnt", text, sizeof(text)) &&
	       strtol(text, NULL, 10) > shown;
}

/* A directory of the host's that a virtual machine has mounted. @tag: empty if it is not known. */
static void check_shared(struct use *use, const char *type, const char *tag)
{
	long shown = 0;

	for (size_t i = 0; i < use->facts->mount_count; i++) {
		const struct fact_mount *mount = &use->facts->mounts[i];

		if (strcmp(mount->type, type))
			continue;
		shown++;
		if (tag[0] && strcmp(mount->source, tag))
			continue;
		use_add(use, "mounted", -EBUSY, USE_NEVER, "%s is mounted at %s; unmount it first",
			mount->source, mount->point);
		return;
	}
	if (has_hidden_mount(use->env, type, shown))
		use_add(use, "claimed", -EBUSY, USE_NEVER,
			"%s may be mounted where that does not show, such as below an overlay; "
			"end that first",
			tag[0] ? tag : type);
}

/* The drivers of 9p and virtiofs. Only later kernels show the latter's tag. */
static void check_tag(struct use *use, const char *name)
{
	char tag[256] = "", driver[BIND_NAME_SIZE];

	if (sysfs_link(use->env, "bus/virtio/devices", name, "driver", driver, sizeof(driver)))
		return;
	if (!sysfs_read(use->env, "bus/virtio/devices", name, "mount_tag", tag, sizeof(tag)))
		check_shared(use, "9p", tag);
	else if (!strcmp(driver, "virtiofs"))
		check_shared(use, "virtiofs", tag);
}

void use_block(struct use *use)
{
	size_t before = use->reasons->count;

	use_each_below(use, use->path, CLASS, check_block);
	if (use->facts->probe && use->reasons->count == before)
		use_each_below(use, use->path, CLASS, probe_disk);
	use_each_below(use, use->path, "bus/virtio/devices", check_tag);
}
