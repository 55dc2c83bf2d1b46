// SPDX-License-Identifier: GPL-2.0-or-later
/* What pci.ids calls a device that is not in the system. */
#include <pci/pci.h>
#include <stdio.h>
#include <stdlib.h>

#include "pci-name.h"

static PCI_NONRET void lookup_error(char *message, ...)
{
	fprintf(stderr, "userpci: libpci: %s\n", message);
	exit(1);
}

static void lookup_warning(char *message, ...)
{
	(void)message;
}

void pci_name(uint16_t class, uint16_t vendor, uint16_t device, char *text, size_t size)
{
	struct pci_access *access = pci_alloc();
	char kind[128], model[128];

	/* No pci_init(): it would look for a bus, which is not needed. */
	access->error = lookup_error;
	access->warning = lookup_warning;
	access->debug = lookup_warning;
	snprintf(text, size, "%s: %s",
		 pci_lookup_name(access, kind, sizeof(kind), PCI_LOOKUP_CLASS | PCI_LOOKUP_NO_HWDB,
				 class),
		 pci_lookup_name(access, model, sizeof(model),
				 PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE | PCI_LOOKUP_NO_HWDB, vendor,
				 device));
	pci_cleanup(access);
}
