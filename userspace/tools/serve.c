// SPDX-License-Identifier: GPL-2.0-or-later
/* Which backends could serve a device. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve.h"

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

_Static_assert(sizeof(backends) / sizeof(backends[0]) == SERVE_BACKENDS, "a line each");

const char *serve_name(unsigned int backend)
{
	return backends[backend].name;
}

const char *serve_driver(unsigned int backend)
{
	return backends[backend].driver;
}

const char *serve_bound(const struct bind_device *device)
{
	for (unsigned int i = 0; i < SERVE_BACKENDS; i++)
		if (!strcmp(device->driver, backends[i].driver))
			return backends[i].name;
	return NULL;
}

const char *serve_word(const struct bind_env *env, const struct bind_device *device,
		       unsigned int backend)
{
	const char *word = device->header_type ? "bridge" : backends[backend].word(env, device);

	if (word)
		return word;
	return strcmp(device->driver, backends[backend].driver) ? "yes" : "bound";
}
