// SPDX-License-Identifier: GPL-2.0-or-later
/* What the function is: a bridge, a console's way out, or one that others depend on. */
#include <errno.h>
#include <stdlib.h>

#include "bind/use.h"

#define CLASS_HOST_BRIDGE 0x0600
#define CLASS_ISA_BRIDGE  0x0601

static void check_bridge(struct use *use)
{
	const struct bind_device *device = use->device;

	if (device->header_type == 0x7f)
		use_add(use, "no-config", -EIO, USE_NEVER, "its config space cannot be read");
	else if (device->header_type)
		use_add(use, "bridge", -EOPNOTSUPP, USE_NEVER, "it is a bridge, header type %u",
			device->header_type);
	else if (device->class == CLASS_HOST_BRIDGE || device->class == CLASS_ISA_BRIDGE)
		use_add(use, "bridge", -EOPNOTSUPP, USE_NEVER,
			"it is the %s bridge, without which the machine does not run",
			device->class == CLASS_HOST_BRIDGE ? "host" : "ISA");
}

/* Its driver's end would be theirs: of those that virtual machines have, too. */
static void check_virtual_functions(struct use *use)
{
	const char *address = use->device->address;
	char text[16];
	long count;

	if (sysfs_read(use->env, SYSFS_DEVICES, address, "sriov_numvfs", text, sizeof(text)))
		return;
	count = strtol(text, NULL, 10);
	if (count > 0)
		use_add(use, "virtual-functions", -EBUSY, USE_NEVER,
			"it has %ld virtual functions; take them away first: "
			"echo 0 >/sys/bus/pci/devices/%s/sriov_numvfs",
			count, address);
}

void use_function(struct use *use)
{
	check_bridge(use);
	check_virtual_functions(use);
}
