// SPDX-License-Identifier: GPL-2.0-or-later
/* The regions of a function: what the system says of them, and what the library does. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "bars.h"

/* Flags in the file "resource" of a function, which are the kernel's of <linux/ioport.h>. */
#define RESOURCE_IO	  0x00000100
#define RESOURCE_PREFETCH 0x00002000
#define RESOURCE_64	  0x00100000

void bars_of_system(const struct bind_env *env, const char *address, struct bar bars[BARS])
{
	uint64_t first, last, flags;
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/" SYSFS_DEVICES "/%s/resource", env->sys, address);
	file = fopen(path, "re");
	if (!file)
		return;
	for (int i = 0; i < BARS; i++) {
		if (fscanf(file, "%" SCNx64 " %" SCNx64 " %" SCNx64, &first, &last, &flags) != 3)
			break;
		if (!flags || last < first)
			continue;
		bars[i].bytes = last - first + 1;
		bars[i].phys = first;
		bars[i].io = flags & RESOURCE_IO;
		bars[i].wide = flags & RESOURCE_64;
		bars[i].prefetchable = flags & RESOURCE_PREFETCH;
	}
	fclose(file);
}

void bars_of_device(struct userpci_device *device, struct bar bars[BARS])
{
	struct userpci_region region;

	for (unsigned int i = 0; i < userpci_info(device)->num_regions && i < BARS_ROM; i++) {
		if (userpci_region_map(device, i, &region))
			continue;
		bars[i].bytes = region.size;
		bars[i].io = region.flags & USERPCI_REGION_IO;
		bars[i].wide = region.flags & USERPCI_REGION_64;
		bars[i].prefetchable = region.flags & USERPCI_REGION_PREFETCH;
		bars[i].msix = region.flags & USERPCI_REGION_MSIX;
		bars[i].access = region.va ? "mapped" : "calls";
		userpci_region_unmap(&region);
	}
}
