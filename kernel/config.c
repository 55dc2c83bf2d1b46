// SPDX-License-Identifier: GPL-2.0-only
/* Configuration space, and the two bits of it that are calls: bus mastering and reset. */
#include "internal.h"

int userpci_config_read(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_config *c = arg;
	struct pci_dev *pdev = uf->u->pdev;
	u8 byte;
	u16 word;
	int err;

	if ((c->width != 1 && c->width != 2 && c->width != 4) || c->offset % c->width)
		return -EINVAL;
	if (c->offset >= pdev->cfg_size)
		return -ERANGE;
	/* The pci_user_ calls wait while the kernel resets the function. */
	switch (c->width) {
	case 1:
		err = pci_user_read_config_byte(pdev, c->offset, &byte);
		c->value = byte;
		break;
	case 2:
		err = pci_user_read_config_word(pdev, c->offset, &word);
		c->value = word;
		break;
	default:
		err = pci_user_read_config_dword(pdev, c->offset, &c->value);
	}
	return err ? -EIO : 0;
}

int userpci_bus_master(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_bus_master *b = arg;

	if (b->enable > 1)
		return -EINVAL;
	if (b->enable)
		pci_set_master(uf->u->pdev);
	else
		pci_clear_master(uf->u->pdev);
	return 0;
}

int userpci_reset_call(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_reset *r = arg;
	int err;

	if (r->flags)
		return -EINVAL;
	err = userpci_reset(uf->u);
	/* ENOTTY would read as "no such command". */
	return err == -ENOTTY ? -EOPNOTSUPP : err;
}
