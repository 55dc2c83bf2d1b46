/* SPDX-License-Identifier: MIT */
/* Why an open failed and what to do, in one line. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <userpci/userpci.h>

#include "host.h"
#include "qtest.h"

#define NODE_SIZE 64

/* What userpci_open() was asked for, and what came of it. */
struct failure {
	const char *given; /* the address, with its prefix */
	char address[16];
	int error;
	char *text;
	size_t size;
};

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

/* A process that has a node open, as far as the caller may see: its pid, or 0. */
static long owner_of(const char *node)
{
	struct dirent *entry;
	long owner = 0;
	DIR *proc;

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

/* --- What the kernel's backends have in common --- */

/* Bound to another driver than `wanted`, or to none; `options` bind it. */
static void explain_unbound(const struct failure *f, const char *wanted, const char *options)
{
	char driver[64];

	userpci_sysfs_driver(f->address, driver, sizeof(driver));
	if (driver[0])
		snprintf(f->text, f->size, "%s: bound to %.48s, not to %s; run 'userpci bind %s%s'",
			 f->address, driver, wanted, options, f->address);
	else
		snprintf(f->text, f->size, "%s: not bound to %s; run 'userpci bind %s%s'",
			 f->address, wanted, options, f->address);
}

static void explain_busy(const struct failure *f, const char *node)
{
	long owner = owner_of(node);

	if (owner)
		snprintf(f->text, f->size, "%s: in use by process %ld; end it first, or wait",
			 f->address, owner);
	else
		snprintf(f->text, f->size, "%s: in use by another process; end it first, or wait",
			 f->address);
}

/* A node that is a group's does not take root. */
static void explain_access(const struct failure *f, const char *node)
{
	struct stat s;
	bool group = !stat(node, &s) && s.st_gid && (s.st_mode & 060) == 060;

	snprintf(f->text, f->size, "%s: no permission on %s; run as root%s", f->address, node,
		 group ? ", or join the group that 'ls -l' shows for it" : "");
}

static void explain_absent(const struct failure *f)
{
	snprintf(f->text, f->size, "%s: no such device; 'userpci list' shows what there is",
		 f->address);
}

static void explain_other(const struct failure *f)
{
	snprintf(f->text, f->size, "%s: %s", f->address, strerror(-f->error));
}

/* --- The stub --- */

/* The other function of the IOMMU group that has a driver of the kernel's, and not @ours. */
static bool group_has_kernels(const struct failure *f, const char *ours, char other[17],
			      char driver[33])
{
	char path[64];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), USERPCI_SYSFS_DEVICES "/%s/iommu_group/devices", f->address);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, f->address))
			continue;
		userpci_sysfs_driver(entry->d_name, driver, 33);
		found = driver[0] && strcmp(driver, ours) && strcmp(driver, "pcieport");
		snprintf(other, 17, "%.16s", entry->d_name);
	}
	closedir(dir);
	return found;
}

static void explain_unconfined(const struct failure *f)
{
	char other[17], driver[33];

	if (group_has_kernels(f, "userpci", other, driver))
		snprintf(f->text, f->size,
			 "%s: it shares its IOMMU group with %s, which is bound to %s, so it takes "
			 "CAP_SYS_RAWIO and no kernel lockdown; run as root, or 'userpci bind %s'",
			 f->address, other, driver, other);
	else
		snprintf(f->text, f->size,
			 "%s: no IOMMU protects memory from this device, so it takes CAP_SYS_RAWIO "
			 "and no kernel lockdown; run as root",
			 f->address);
}

static void explain_stub(const struct failure *f)
{
	char node[NODE_SIZE];

	snprintf(node, sizeof(node), "/dev/userpci/%s", f->address);
	switch (-f->error) {
	case ENODEV:
		explain_absent(f);
		break;
	case ENOENT:
		snprintf(f->text, f->size,
			 "%s: the kernel module userpci is not loaded; run 'modprobe userpci', or "
			 "'insmod build/kernel/userpci.ko'",
			 f->address);
		break;
	case ENXIO:
		explain_unbound(f, "userpci", "");
		break;
	case EBUSY:
		explain_busy(f, node);
		break;
	case EACCES:
		explain_access(f, node);
		break;
	case EPERM:
		explain_unconfined(f);
		break;
	case EPROTO:
		snprintf(
			f->text, f->size,
			"%s: library %s and the loaded module do not fit together; load the module "
			"of this version",
			f->address, userpci_version());
		break;
	default:
		explain_other(f);
	}
}

/* --- VFIO --- */

static void explain_group(const struct failure *f)
{
	char other[17], driver[33];

	if (group_has_kernels(f, "vfio-pci", other, driver))
		snprintf(f->text, f->size,
			 "%s: %s is in the same IOMMU group, and bound to %s; run "
			 "'userpci bind --driver vfio-pci %s'",
			 f->address, other, driver, other);
	else
		snprintf(f->text, f->size,
			 "%s: another device of its IOMMU group has a driver of the kernel's",
			 f->address);
}

static void explain_no_vfio(const struct failure *f)
{
	if (access(USERPCI_SYSFS_DRIVERS "/vfio-pci", F_OK))
		snprintf(f->text, f->size,
			 "%s: the kernel module vfio-pci is not loaded; run 'modprobe vfio-pci'",
			 f->address);
	else
		snprintf(f->text, f->size,
			 "%s: no container in /dev/vfio; run 'modprobe vfio_iommu_type1'",
			 f->address);
}

static void explain_vfio(const struct failure *f)
{
	char node[NODE_SIZE] = "/dev/vfio/", *number = node + strlen(node);
	bool group = !userpci_sysfs_link(f->address, "iommu_group", number, 32);

	if (!group && f->error != -ENODEV) {
		snprintf(f->text, f->size,
			 "%s: in no IOMMU group; switch the IOMMU on in the firmware and with "
			 "intel_iommu=on, or take another backend",
			 f->address);
		return;
	}
	switch (-f->error) {
	case ENODEV:
		explain_absent(f);
		break;
	case ENOENT:
		explain_no_vfio(f);
		break;
	case ENXIO:
		explain_unbound(f, "vfio-pci", "--driver vfio-pci ");
		break;
	case EBUSY:
		explain_busy(f, node);
		break;
	case EADDRINUSE:
		explain_group(f);
		break;
	case EACCES:
		explain_access(f, access(node, R_OK | W_OK) ? node : "/dev/vfio/vfio");
		break;
	case EPERM:
		snprintf(
			f->text, f->size,
			"%s: the IOMMU does not keep it from forging interrupts; to accept that, "
			"'echo Y >/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts'",
			f->address);
		break;
	case EOPNOTSUPP:
		snprintf(f->text, f->size, "%s: nobody can observe a device of vfio-pci",
			 f->address);
		break;
	case EPROTO:
		snprintf(f->text, f->size,
			 "%s: the kernel's VFIO has no IOMMU of type 1; run 'modprobe "
			 "vfio_iommu_type1'",
			 f->address);
		break;
	default:
		explain_other(f);
	}
}

/* --- UIO --- */

static void uio_node(const char *address, char node[NODE_SIZE])
{
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(node, NODE_SIZE, "/dev/uio");
	snprintf(path, sizeof(path), USERPCI_SYSFS_DEVICES "/%s/uio", address);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "uio", 3))
			snprintf(node, NODE_SIZE, "/dev/%.32s", entry->d_name);
	closedir(dir);
}

static void explain_no_uio_dma(const struct failure *f)
{
	if (userpci_sysfs_translated(f->address))
		snprintf(f->text, f->size,
			 "%s: an IOMMU translates its DMA, which UIO cannot tell; run 'userpci "
			 "bind --driver vfio-pci %s'",
			 f->address, f->address);
	else if (!userpci_huge_page())
		snprintf(f->text, f->size,
			 "%s: no huge pages for its DMA memory; run 'echo 64 "
			 ">/proc/sys/vm/nr_hugepages'",
			 f->address);
	else
		snprintf(f->text, f->size, "%s: nobody can observe a device of uio_pci_generic",
			 f->address);
}

static void explain_uio(const struct failure *f)
{
	char node[NODE_SIZE];

	uio_node(f->address, node);
	switch (-f->error) {
	case ENODEV:
		explain_absent(f);
		break;
	case ENOENT:
		snprintf(f->text, f->size,
			 "%s: the kernel module uio_pci_generic is not loaded; run 'modprobe "
			 "uio_pci_generic'",
			 f->address);
		break;
	case ENXIO:
		explain_unbound(f, "uio_pci_generic", "--driver uio_pci_generic ");
		break;
	case EBUSY:
		explain_busy(f, node);
		break;
	case EACCES:
		explain_access(f, node);
		break;
	case EPERM:
		snprintf(f->text, f->size,
			 "%s: it takes root's privileges and no kernel lockdown; run as root",
			 f->address);
		break;
	case EOPNOTSUPP:
		explain_no_uio_dma(f);
		break;
	default:
		explain_other(f);
	}
}

/* --- QEMU --- */

static void explain_qemu(const struct failure *f)
{
	const char *message = userpci_qtest_message();

	if (f->error == -ENOENT)
		snprintf(f->text, f->size,
			 "%s: QEMU cannot be run; install qemu-system-x86, or name the program in "
			 "USERPCI_QEMU",
			 f->given);
	else if (f->error == -EOPNOTSUPP)
		snprintf(f->text, f->size, "%s: nobody can observe a private device", f->given);
	else
		snprintf(f->text, f->size, "%s: %s", f->given,
			 *message ? message : strerror(-f->error));
}

/* --- Replay --- */

static void explain_replay(const struct failure *f)
{
	if (f->error == -EINVAL || f->error == -EIO || f->error == -EPROTO)
		snprintf(f->text, f->size, "%s: not a trace of this version; record one anew",
			 f->given);
	else
		snprintf(f->text, f->size, "%s: %s", f->given, strerror(-f->error));
}

static const struct {
	const struct userpci_backend *backend;
	bool by_address; /* of a PCI function */
	void (*explain)(const struct failure *failure);
} explainers[] = {
	{ &userpci_backend_stub, true, explain_stub },
	{ &userpci_backend_vfio, true, explain_vfio },
	{ &userpci_backend_uio, true, explain_uio },
	{ &userpci_backend_qtest, false, explain_qemu },
	{ &userpci_backend_replay, false, explain_replay },
};

const char *userpci_explain(const char *address, int error, char *text, size_t size)
{
	struct failure f = { .given = address ? address : "(none)", .error = error };
	const struct userpci_backend *backend;
	const char *rest = f.given;
	unsigned int i;

	f.text = text;
	f.size = size;
	backend = userpci_backend_choose(&rest);
	for (i = 0; i < sizeof(explainers) / sizeof(explainers[0]); i++) {
		if (explainers[i].backend != backend)
			continue;
		if (!explainers[i].by_address || !userpci_address_parse(rest, f.address))
			explainers[i].explain(&f);
		else
			snprintf(text, size,
				 "%s: not a PCI address; write DDDD:BB:DD.F, as lspci -D does",
				 f.given);
		return text;
	}
	snprintf(text, size, "%s: %s", f.given, strerror(-error));
	return text;
}
