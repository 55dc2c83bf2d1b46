/* SPDX-License-Identifier: MIT */
/* Why an open failed and what to do, in one line. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <userpci/userpci.h>

#include "backend.h"

/* The driver that has the function, or "". */
static void driver_of(const char *address, char *name, size_t size)
{
	char path[64], target[PATH_MAX];
	const char *base;
	ssize_t n;

	name[0] = '\0';
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return;
	target[n] = '\0';
	base = strrchr(target, '/');
	snprintf(name, size, "%.48s", base ? base + 1 : target);
}

static int has_open(const char *pid, const char *node)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct dirent *entry;
	int found = 0;
	ssize_t n;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (!found && (entry = readdir(dir))) {
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		found = !strcmp(target, node);
	}
	closedir(dir);
	return found;
}

/* A process that has the function's node open, as far as the caller may see: its pid, or 0. */
static long owner_of(const char *address)
{
	char node[40];
	struct dirent *entry;
	long owner = 0;
	DIR *proc;

	snprintf(node, sizeof(node), "/dev/userpci/%s", address);
	proc = opendir("/proc");
	if (!proc)
		return 0;
	while (!owner && (entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    has_open(entry->d_name, node))
			owner = strtol(entry->d_name, NULL, 10);
	closedir(proc);
	return owner;
}

static void explain_unbound(const char *address, char *text, size_t size)
{
	char driver[64];

	driver_of(address, driver, sizeof(driver));
	if (driver[0])
		snprintf(text, size, "%s: bound to %s, not to userpci; run 'userpci bind %s'",
			 address, driver, address);
	else
		snprintf(text, size, "%s: not bound to userpci; run 'userpci bind %s'", address,
			 address);
}

static void explain_busy(const char *address, char *text, size_t size)
{
	long owner = owner_of(address);

	if (owner)
		snprintf(text, size, "%s: in use by process %ld; end it first, or wait", address,
			 owner);
	else
		snprintf(text, size, "%s: in use by another process; end it first, or wait",
			 address);
}

const char *userpci_explain(const char *address, int error, char *text, size_t size)
{
	char full[16];

	if (!address || userpci_address_parse(address, full)) {
		snprintf(text, size, "%s: not a PCI address; write DDDD:BB:DD.F, as lspci -D does",
			 address ? address : "(none)");
		return text;
	}
	switch (-error) {
	case ENODEV:
		snprintf(text, size, "%s: no such device; 'userpci list' shows what there is",
			 full);
		break;
	case ENOENT:
		snprintf(text, size,
			 "%s: the kernel module userpci is not loaded; run 'modprobe userpci', or "
			 "'insmod build/kernel/userpci.ko'",
			 full);
		break;
	case ENXIO:
		explain_unbound(full, text, size);
		break;
	case EBUSY:
		explain_busy(full, text, size);
		break;
	case EACCES:
		snprintf(text, size, "%s: no permission on /dev/userpci/%s; run as root", full,
			 full);
		break;
	case EPERM:
		snprintf(text, size,
			 "%s: no IOMMU protects memory from this device, so it takes CAP_SYS_RAWIO "
			 "and no kernel lockdown; run as root",
			 full);
		break;
	case EPROTO:
		snprintf(
			text, size,
			"%s: library %s and the loaded module do not fit together; load the module "
			"of this version",
			full, userpci_version());
		break;
	default:
		snprintf(text, size, "%s: %s", full, strerror(-error));
	}
	return text;
}
