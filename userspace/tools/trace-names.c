/* SPDX-License-Identifier: MIT */
/* The names of registers: those of the NIC drivers, and of the example's device. */
#include "trace-names.h"

/* Spec: QEMU, docs/specs/edu. */
static const struct userpci_register edu_registers[] = {
	{ .offset = 0x00, .width = 4, .name = "ID" },
	{ .offset = 0x04, .width = 4, .name = "LIVENESS" },
	{ .offset = 0x08, .width = 4, .name = "FACTORIAL" },
	{ .offset = 0x20, .width = 4, .name = "STATUS" },
	{ .offset = 0x24, .width = 4, .name = "IRQ_STATUS" },
	{ .offset = 0x60, .width = 4, .name = "IRQ_RAISE" },
	{ .offset = 0x64, .width = 4, .name = "IRQ_ACK" },
	{ .offset = 0x80, .width = 8, .name = "DMA_SOURCE" },
	{ .offset = 0x88, .width = 8, .name = "DMA_TARGET" },
	{ .offset = 0x90, .width = 8, .name = "DMA_COUNT" },
	{ .offset = 0x98, .width = 8, .name = "DMA_COMMAND" },
	{ .name = NULL },
};

const struct unic_driver *trace_driver(const struct userpci_info *info)
{
	const struct unic_driver *const *driver;
	const struct unic_id *id;

	for (driver = unic_drivers; *driver; driver++)
		for (id = (*driver)->ids; id->vendor; id++)
			if (id->vendor == info->vendor_id && id->device == info->device_id)
				return *driver;
	return NULL;
}

const struct userpci_register *trace_names(const struct userpci_info *info)
{
	const struct unic_driver *driver = trace_driver(info);

	if (driver)
		return driver->registers;
	if (info->vendor_id == 0x1234 && info->device_id == 0x11e8)
		return edu_registers;
	return NULL;
}
