/* SPDX-License-Identifier: MIT */
/*
 * What a process must not write in configuration space, for backends that have no kernel between:
 * the same list as the module's (USERPCI_CONFIG_WRITE of <userpci/uapi.h>).
 */
#include <linux/pci_regs.h>

#include "backend.h"

struct guarded {
	uint16_t id;
	uint16_t bytes;
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

static bool touches(unsigned int offset, unsigned int width, unsigned int start, unsigned int bytes)
{
	return offset < start + bytes && offset + width > start;
}

static bool in_capability(struct userpci_device *device, unsigned int offset, unsigned int width)
{
	unsigned int i, at = 0;

	for (i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		for (at = 0; !userpci_config_find(device, capabilities[i].id, &at);)
			if (touches(offset, width, at, capabilities[i].bytes))
				return true;
	return false;
}

/* The list begins at 100h (PCI Express Base 4.0, section 7.6). */
static bool in_extended(struct userpci_device *device, unsigned int offset, unsigned int width)
{
	unsigned int at = PCI_CFG_SPACE_SIZE, i, left;
	uint32_t header;

	for (left = (PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE) / 8; at && left; left--) {
		if (userpci_config_read(device, at, 4, &header) || !header || header == UINT32_MAX)
			return false;
		for (i = 0; i < sizeof(extended) / sizeof(extended[0]); i++)
			if (PCI_EXT_CAP_ID(header) == extended[i].id &&
			    touches(offset, width, at, extended[i].bytes))
				return true;
		at = PCI_EXT_CAP_NEXT(header);
	}
	return false;
}

/* A function level reset is a call of its own. */
static bool starts_flr(struct userpci_device *device, unsigned int offset, unsigned int width,
		       uint32_t value)
{
	unsigned int pcie = 0, upper;

	if (userpci_config_find(device, PCI_CAP_ID_EXP, &pcie))
		return false;
	upper = pcie + PCI_EXP_DEVCTL + 1;
	if (!touches(offset, width, upper, 1))
		return false;
	return value >> (8 * (upper - offset)) & (PCI_EXP_DEVCTL_BCR_FLR >> 8);
}

bool userpci_config_may_write(struct userpci_device *device, unsigned int offset,
			      unsigned int width, uint32_t value)
{
	if (offset < PCI_STD_HEADER_SIZEOF)
		return (offset == PCI_STATUS && width == 2) ||
		       (offset == PCI_CACHE_LINE_SIZE && width <= 2) ||
		       (offset == PCI_LATENCY_TIMER && width == 1);
	return !in_capability(device, offset, width) && !in_extended(device, offset, width) &&
	       !starts_flr(device, offset, width, value);
}
