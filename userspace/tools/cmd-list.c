// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci list: gathers the devices, then prints them. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cmd.h"

static const struct option list_options[] = { CMD_OPTION_BOUND, CMD_OPTION_HELP, { 0 } };

static const char list_help[] =
	"show PCI devices, their drivers, and what could serve them\n"
	"\n"
	"usage: userpci list [--bound] [-s SLOT] [-d ID] [ADDRESS]...\n"
	"\n"
	"  -s SLOT   [[[domain]:]bus]:][slot][.function], as lspci -s\n"
	"  -d ID     [vendor]:[device][:class[:progif]], as lspci -d\n"
	"  ADDRESS   [DDDD:]BB:DD.F\n"
	"  --bound   only those that userpci has, or has claimed\n"
	"\n"
	"Prints ADDRESS [CLASS] VENDOR:DEVICE driver=NAME stub=WORD vfio=WORD uio=WORD\n"
	"Class: Vendor Device (userpci: ...). WORD tells whether that backend can serve it:\n"
	"  bound           serves it now\n"
	"  yes             could, once the device is bound: 'userpci bind', for vfio with\n"
	"                  '--driver vfio-pci', for uio with '--driver uio_pci_generic'\n"
	"  no-module       'modprobe' userpci, vfio-pci, or uio_pci_generic\n"
	"  no-iommu-group  the IOMMU is off: switch it on in firmware and kernel\n"
	"  group-in-use    a device that cannot be told from it has a driver of the kernel's\n"
	"  iommu           an IOMMU translates, which uio cannot use: take vfio\n"
	"  no-hugepages    'echo 64 >/proc/sys/vm/nr_hugepages'\n"
	"  no-intx         uio would serve it, but without interrupts\n"
	"  bridge          never\n";

/* --- Which backends could serve a device --- */

static bool driver_loaded(const struct bind_env *env, const char *driver)
{
	char path[PATH_MAX];

	return !sysfs_resolve(env, SYSFS_DRIVERS, driver, path);
}

static const char *stub_word(const struct bind_env *env, const struct bind_device *device)
{
	(void)device;
	return driver_loaded(env, "userpci") ? NULL : "no-module";
}

/* Whether another device of the group has a driver that keeps it to the kernel. */
static bool group_in_use(const struct bind_env *env, const struct bind_device *device)
{
	char path[PATH_MAX], driver[BIND_NAME_SIZE];
	struct dirent *entry;
	bool found = false;
	DIR *group;

	if (sysfs_resolve(env, SYSFS_DEVICES, device->address, path))
		return false;
	strncat(path, "/iommu_group/devices", sizeof(path) - strlen(path) - 1);
	group = opendir(path);
	if (!group)
		return false;
	while (!found && (entry = readdir(group)))
		found = entry->d_name[0] != '.' && strcmp(entry->d_name, device->address) &&
			!sysfs_link(env, SYSFS_DEVICES, entry->d_name, "driver", driver,
				    sizeof(driver)) &&
			strcmp(driver, "vfio-pci") && strcmp(driver, "pcieport");
	closedir(group);
	return found;
}

static const char *vfio_word(const struct bind_env *env, const struct bind_device *device)
{
	char group[BIND_NAME_SIZE];

	if (sysfs_link(env, SYSFS_DEVICES, device->address, "iommu_group", group, sizeof(group)))
		return "no-iommu-group";
	if (!driver_loaded(env, "vfio-pci"))
		return "no-module";
	return group_in_use(env, device) ? "group-in-use" : NULL;
}

static bool has_huge_pages(const struct bind_env *env)
{
	unsigned long total = 0;
	char path[PATH_MAX], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/meminfo", env->proc);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		sscanf(line, "HugePages_Total: %lu", &total);
	fclose(file);
	return total;
}

static const char *uio_word(const struct bind_env *env, const struct bind_device *device)
{
	char text[64];

	if (!driver_loaded(env, "uio_pci_generic"))
		return "no-module";
	if (!sysfs_read(env, SYSFS_DEVICES, device->address, "iommu_group/type", text,
			sizeof(text)) &&
	    !strncmp(text, "DMA", 3))
		return "iommu";
	if (!has_huge_pages(env))
		return "no-hugepages";
	if (sysfs_read(env, SYSFS_DEVICES, device->address, "irq", text, sizeof(text)) ||
	    strtol(text, NULL, 10) <= 0)
		return "no-intx";
	return NULL;
}

static const struct {
	const char *name, *driver;
	/* Why it cannot serve the device; NULL: it can. */
	const char *(*word)(const struct bind_env *env, const struct bind_device *device);
} backends[] = {
	{ "stub", "userpci", stub_word },
	{ "vfio", "vfio-pci", vfio_word },
	{ "uio", "uio_pci_generic", uio_word },
};

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

static const char *backend_word(const struct bind_env *env, const struct bind_device *device,
				size_t backend)
{
	const char *word = device->header_type ? "bridge" : backends[backend].word(env, device);

	if (word)
		return word;
	return strcmp(device->driver, backends[backend].driver) ? "yes" : "bound";
}

/* --- The list --- */

/* What userpci has to do with the device: empty for most. */
static void print_remark(const struct bind_env *env, const struct bind_device *device)
{
	char node[PATH_MAX];
	struct bind_state state;

	if (!device->bound && !device->claimed)
		return;
	if (!device->bound) {
		printf(" (userpci: not bound, but claimed; 'userpci unbind' clears that)");
		return;
	}
	snprintf(node, sizeof(node), "%s/%s", env->dev, device->address);
	printf(" (userpci: bound, %s%s", access(node, F_OK) ? "no " : "", node);
	if (!state_load(env, device->address, &state) && state.driver[0])
		printf(", was %s", state.driver);
	putchar(')');
}

struct widths {
	int address, driver, words[BACKENDS];
};

static void widen(int *width, const char *text)
{
	int length = (int)strlen(text);

	if (length > *width)
		*width = length;
}

static struct widths measure(const struct bind_env *env, const struct bind_list *list)
{
	struct widths widths = { .driver = 1 };

	for (size_t i = 0; i < list->count; i++) {
		const struct bind_device *device = &list->devices[i];

		widen(&widths.address, device->address);
		widen(&widths.driver, device->driver);
		for (size_t b = 0; b < BACKENDS; b++)
			widen(&widths.words[b], backend_word(env, device, b));
	}
	return widths;
}

static void print_list(const struct bind_env *env, const struct bind_list *list)
{
	struct widths widths = measure(env, list);

	for (size_t i = 0; i < list->count; i++) {
		const struct bind_device *device = &list->devices[i];

		printf("%-*s [%04x] %04x:%04x driver=%-*s", widths.address, device->address,
		       device->class, device->vendor, device->device, widths.driver,
		       device->driver[0] ? device->driver : "-");
		for (size_t b = 0; b < BACKENDS; b++)
			printf(" %s=%-*s", backends[b].name, widths.words[b],
			       backend_word(env, device, b));
		printf(" %s", device->name);
		print_remark(env, device);
		putchar('\n');
	}
}

static enum cmd_status list_run(const struct bind_env *env, const struct cmd_options *options)
{
	struct cmd_options with_names = *options;
	struct bind_list list;
	enum cmd_status status;

	with_names.query.names = true;
	status = cmd_gather(env, &with_names, "list", &list);
	if (status)
		return status;
	print_list(env, &list);
	bind_list_free(&list);
	return CMD_OK;
}

const struct cmd cmd_list = { "list", list_help, list_options, list_run };
