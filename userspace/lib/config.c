/* SPDX-License-Identifier: MIT */
/* Configuration space. */
#include <errno.h>

#include <linux/pci_regs.h>

#include <userpci/userpci.h>

#include "backend.h"

int userpci_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			uint32_t *value)
{
	if ((width != 1 && width != 2 && width != 4) || offset % width)
		return -EINVAL;
	return device->backend->config_read(device, offset, width, value);
}

int userpci_config_write(struct userpci_device *device, unsigned int offset, unsigned int width,
			 uint32_t value)
{
	if ((width != 1 && width != 2 && width != 4) || offset % width)
		return -EINVAL;
	return device->backend->config_write(device, offset, width, value);
}

/* Spec: PCI Local Bus 3.0, section 6.7: a byte of ID, a byte that points at the next or is 0. */
int userpci_config_find(struct userpci_device *device, unsigned int id, unsigned int *offset)
{
	unsigned int at = *offset ? *offset + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST;
	unsigned int steps;
	uint32_t value;
	int err;

	err = userpci_config_read(device, PCI_STATUS, 2, &value);
	if (err)
		return err;
	if (!(value & PCI_STATUS_CAP_LIST))
		return -ENOENT;
	/* 192 bytes behind the header hold at most 48 entries. */
	for (steps = 0; steps <= 48; steps++) {
		err = userpci_config_read(device, at, 1, &value);
		if (err)
			return err;
		value &= ~3u;
		if (!value)
			return -ENOENT;
		at = value + PCI_CAP_LIST_NEXT;
		err = userpci_config_read(device, at - PCI_CAP_LIST_NEXT, 1, &value);
		if (err)
			return err;
		if (value == id) {
			*offset = at - PCI_CAP_LIST_NEXT;
			return 0;
		}
	}
	return -EIO;
}
