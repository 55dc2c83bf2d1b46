/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What pci.ids calls a device that is not in the system. */
#ifndef TOOLS_PCI_NAME_H
#define TOOLS_PCI_NAME_H

#include <stddef.h>
#include <stdint.h>

/* "Class: Vendor Device" in @text. */
void pci_name(uint16_t class, uint16_t vendor, uint16_t device, char *text, size_t size);

#endif
