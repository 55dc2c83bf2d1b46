// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What VFIO wants: an IOMMU, and the whole group of functions that it cannot tell apart. A process
 * gets a device only while no other of its group has a driver of the kernel's. It is no matter to
 * the other drivers: they ask for nothing, and protect from nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/use.h"

/* Those that the kernel lets stay; bridges' drivers do no DMA. Spec: Linux, vfio.rst. */
static bool is_harmless(const char *driver)
{
	static const char *const names[] = { "vfio-pci", "pci-stub", "pcieport" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(driver, names[i]))
			return true;
	return false;
}

static bool is_with(const struct use *use, const char *address)
{
	if (!strcmp(address, use->device->address))
		return true;
	for (size_t i = 0; use->with && i < use->with->count; i++)
		if (!strcmp(address, use->with->devices[i].address))
			return true;
	return false;
}

static void check_sibling(struct use *use, const char *address)
{
	char driver[BIND_NAME_SIZE];

	if (is_with(use, address) ||
	    sysfs_link(use->env, SYSFS_DEVICES, address, "driver", driver, sizeof(driver)))
		return;
	if (!is_harmless(driver))
		use_add(use, "group", -EBUSY, USE_FORCE,
			"%s of the same IOMMU group has the driver %s, so no process could open it "
			"by VFIO; bind that as well, or use --force",
			address, driver);
}

static bool is_without_iommu(const struct use *use)
{
	char text[8];

	return !sysfs_read(use->env, "module", "vfio/parameters", "enable_unsafe_noiommu_mode",
			   text, sizeof(text)) &&
	       text[0] == 'Y';
}

void use_group(struct use *use)
{
	char **siblings;

	if (strcmp(bind_driver(use->env), "vfio-pci") || !use->path[0])
		return;
	siblings = sysfs_list(use->env, SYSFS_DEVICES, use->device->address, "iommu_group/devices");
	if (!siblings && !is_without_iommu(use))
		use_add(use, "no-iommu", -EOPNOTSUPP, USE_NEVER,
			"it is in no IOMMU group, and vfio-pci takes only such devices: switch the "
			"IOMMU on in the firmware and the kernel, or bind to userpci");
	for (char **sibling = siblings; siblings && *sibling; sibling++)
		check_sibling(use, *sibling);
	sysfs_list_free(siblings);
}
