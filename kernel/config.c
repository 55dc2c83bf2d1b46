// SPDX-License-Identifier: GPL-2.0-only
/* Configuration space, and the two bits of it that are calls: bus mastering and reset. */
#include "internal.h"

/*
 * What a process must not write: where the function's interrupts go and its registers are, whether
 * it has power, whom it may reach.
 */
struct guarded {
	u16 id;
	u16 bytes;
};

static const struct guarded capabilities[] = {
	{ PCI_CAP_ID_PM, PCI_PM_SIZEOF },	  { PCI_CAP_ID_MSI, 24 },
	{ PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF }, { PCI_CAP_ID_EA, 256 },
	{ PCI_CAP_ID_AF, PCI_CAP_AF_SIZEOF },
};

static const struct guarded extended[] = {
	{ PCI_EXT_CAP_ID_ACS, 8 },
	{ PCI_EXT_CAP_ID_ATS, 8 },
	{ PCI_EXT_CAP_ID_SRIOV, 64 },
	{ PCI_EXT_CAP_ID_PRI, 16 },
	{ PCI_EXT_CAP_ID_REBAR, 52 },
	{ PCI_EXT_CAP_ID_PASID, 8 },
	{ 0x24, 52 }, /* VF Resizable BAR */
};

static bool touches(const struct userpci_uapi_config *c, u32 start, u32 bytes)
{
	return start && c->offset < start + bytes && c->offset + c->width > start;
}

/* A function level reset is a call of its own, with all that belongs to it. */
static bool starts_flr(const struct pci_dev *pdev, const struct userpci_uapi_config *c)
{
	u32 control = pdev->pcie_cap + PCI_EXP_DEVCTL;

	if (!pdev->pcie_cap || !touches(c, control + 1, 1))
		return false;
	return (c->value >> (8 * (control + 1 - c->offset))) & (PCI_EXP_DEVCTL_BCR_FLR >> 8);
}

static bool may_write(struct pci_dev *pdev, const struct userpci_uapi_config *c)
{
	unsigned int i;

	if (c->offset < PCI_STD_HEADER_SIZEOF)
		return (c->offset == PCI_STATUS && c->width == 2) ||
		       (c->offset == PCI_CACHE_LINE_SIZE && c->width <= 2) ||
		       (c->offset == PCI_LATENCY_TIMER && c->width == 1);
	for (i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (touches(c, pci_find_capability(pdev, capabilities[i].id),
			    capabilities[i].bytes))
			return false;
	for (i = 0; i < ARRAY_SIZE(extended); i++)
		if (touches(c, pci_find_ext_capability(pdev, extended[i].id), extended[i].bytes))
			return false;
	return !starts_flr(pdev, c);
}

static int check(const struct pci_dev *pdev, const struct userpci_uapi_config *c)
{
	if ((c->width != 1 && c->width != 2 && c->width != 4) || c->offset % c->width)
		return -EINVAL;
	return c->offset < pdev->cfg_size ? 0 : -ERANGE;
}

/* The pci_user_ calls wait while the kernel resets the function. */
int userpci_config_read(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_config *c = arg;
	struct pci_dev *pdev = uf->u->pdev;
	u32 value;
	int err;

	err = check(pdev, c);
	if (err)
		return err;
	if (pci_user_read_config_dword(pdev, c->offset & ~3, &value))
		return -EIO;
	c->value = (value >> (8 * (c->offset & 3))) & GENMASK(8 * c->width - 1, 0);
	return 0;
}

int userpci_config_write(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_config *c = arg;
	struct pci_dev *pdev = uf->u->pdev;
	int err;

	err = check(pdev, c);
	if (err)
		return err;
	if (!may_write(pdev, c))
		return -EPERM;
	switch (c->width) {
	case 1:
		err = pci_user_write_config_byte(pdev, c->offset, c->value);
		break;
	case 2:
		err = pci_user_write_config_word(pdev, c->offset, c->value);
		break;
	default:
		err = pci_user_write_config_dword(pdev, c->offset, c->value);
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
