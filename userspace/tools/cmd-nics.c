/* SPDX-License-Identifier: MIT */
/* unic list: the machine's interfaces that unic has a driver for. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <unic/driver.h>
#include <userpci/uapi.h>
#include <userpci/userpci.h>

#include "unic-cmd.h"
#include "unic-run.h"

#define DEVICES	  "/sys/bus/pci/devices"
#define NAME_SIZE 64

static const char list_help[] =
	"show the interfaces that unic has a driver for\n"
	"\n"
	"usage: unic list [--json]\n"
	"\n"
	"  --json  a line of JSON an interface\n"
	"\n"
	"A line each: address, vendor:device, the driver of unic, the driver that has it now,\n"
	"and whether unic can open it, as far as a look tells: 'yes', or why not and what to\n"
	"do. No device is touched.\n";

struct nic {
	char address[NAME_SIZE];
	uint16_t vendor, device;
	const struct unic_driver *driver;
	char bound[NAME_SIZE]; /* "": no driver has it */
	char why[256];	       /* it cannot be opened; "": it can */
};

/* --- sysfs --- */

static bool list_read_id(const char *address, const char *name, uint16_t *id)
{
	char path[PATH_MAX];
	unsigned int value;
	FILE *file;
	int n;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", address, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	n = fscanf(file, "%x", &value);
	fclose(file);
	*id = (uint16_t)value;
	return n == 1;
}

/* The last part of what a link points at; "": there is none. */
static void list_read_link(const char *address, const char *name, char target[NAME_SIZE])
{
	char path[PATH_MAX], link[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", address, name);
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = '\0';
	base = strrchr(link, '/');
	snprintf(target, NAME_SIZE, "%.63s", base ? base + 1 : link);
}

static const struct unic_driver *list_driver(uint16_t vendor, uint16_t device)
{
	const struct unic_driver *const *driver;
	const struct unic_id *id;

	for (driver = unic_drivers; *driver; driver++)
		for (id = (*driver)->ids; id->vendor; id++)
			if (id->vendor == vendor && id->device == device)
				return *driver;
	return NULL;
}

/* --- Whether it can be opened --- */

/* The first file "uioN" of the function; false: none. */
static bool list_uio_node(const char *address, char *node, size_t size)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), DEVICES "/%s/uio", address);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		found = !strncmp(entry->d_name, "uio", 3);
		if (found)
			snprintf(node, size, "/dev/%.32s", entry->d_name);
	}
	closedir(dir);
	return found;
}

static int list_try_access(const char *node)
{
	return faccessat(AT_FDCWD, node, R_OK | W_OK, AT_EACCESS) ? -errno : 0;
}

/* An observer gets in beside an owner, so it is asked who owns it. */
static int list_try_stub(const char *address)
{
	const struct userpci_uapi_stats *stats;
	struct userpci_device *device;
	char node[NAME_SIZE + 16];
	int err;

	snprintf(node, sizeof(node), "/dev/userpci/%s", address);
	err = userpci_open(address, USERPCI_OPEN_OBSERVE, &device);
	if (err)
		return err;
	stats = userpci_stats(device);
	if (stats && stats->owner)
		err = -EBUSY;
	else
		err = list_try_access(node);
	if (!err && !(userpci_info(device)->flags & USERPCI_INFO_IOMMU) && geteuid())
		err = -EPERM;
	userpci_close(device);
	return err;
}

/* To open a group that nobody has, and to close it again, leaves no trace. */
static int list_try_vfio(const char *node)
{
	int fd = open(node, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* 0, or what unic_open() would give. */
static int list_try(const struct nic *nic)
{
	char node[NAME_SIZE + 16], group[NAME_SIZE];

	if (!strcmp(nic->bound, "vfio-pci")) {
		list_read_link(nic->address, "iommu_group", group);
		snprintf(node, sizeof(node), "/dev/vfio/%s", group);
		return list_try_vfio(node);
	}
	if (!strcmp(nic->bound, "uio_pci_generic")) {
		if (!list_uio_node(nic->address, node, sizeof(node)))
			return -ENXIO;
		/* Its kernel driver ends bus mastering at each close, also beside an owner. */
		return list_try_access(node);
	}
	return list_try_stub(nic->address);
}

/* False: none of ours. */
static bool list_describe(const char *address, struct nic *nic)
{
	size_t skip = strlen(address);
	char text[sizeof(nic->why)];
	int err;

	*nic = (struct nic){ 0 };
	snprintf(nic->address, sizeof(nic->address), "%.63s", address);
	if (!list_read_id(address, "vendor", &nic->vendor) ||
	    !list_read_id(address, "device", &nic->device))
		return false;
	nic->driver = list_driver(nic->vendor, nic->device);
	if (!nic->driver)
		return false;
	list_read_link(address, "driver", nic->bound);
	err = list_try(nic);
	if (!err)
		return true;
	userpci_explain(address, err, text, sizeof(text));
	/* The address is in the line already. */
	if (strncmp(text, address, skip) || strncmp(text + skip, ": ", 2))
		skip = 0;
	else
		skip += 2;
	snprintf(nic->why, sizeof(nic->why), "%s", text + skip);
	return true;
}

/* --- The list --- */

static void list_print(const struct nic *nic, bool json)
{
	char id[16];
	struct run_line line;

	snprintf(id, sizeof(id), "%04x:%04x", nic->vendor, nic->device);
	if (!json) {
		printf("%s %s driver=%s bound=%s open=%s%s\n", nic->address, id, nic->driver->name,
		       nic->bound[0] ? nic->bound : "-", nic->why[0] ? "no: " : "yes", nic->why);
		return;
	}
	run_line_begin(&line, true, "interface", "list", nic->address);
	run_line_text(&line, "id", id);
	run_line_text(&line, "driver", nic->driver->name);
	run_line_text(&line, "bound", nic->bound);
	run_line_bool(&line, "open", !nic->why[0]);
	run_line_text(&line, "why", nic->why);
	run_line_end(&line);
}

static enum unic_status list_run(int argc, char **argv)
{
	bool json = false, found = false;
	const struct run_option options[] = { { "json", RUN_FLAG, &json, 0, 0, 0 }, { 0 } };
	enum unic_status status = run_parse(argc, argv, options, NULL, 0);
	struct dirent **entries;
	struct nic nic;
	int count, i;

	if (status)
		return status;
	count = scandir(DEVICES, &entries, NULL, alphasort);
	if (count < 0)
		return unic_cmd_error(DEVICES, "list", -errno);
	for (i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.' && list_describe(entries[i]->d_name, &nic)) {
			list_print(&nic, json);
			found = true;
		}
		free(entries[i]);
	}
	free(entries);
	if (!found)
		fputs("unic: list: no interface here that unic has a driver for; "
		      "'qemu:e1000' is an address that always works\n",
		      stderr);
	return UNIC_OK;
}

const struct unic_cmd unic_cmd_list = { "list", list_help, list_run };
