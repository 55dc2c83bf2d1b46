/* SPDX-License-Identifier: MIT */
/* Opening and closing, and the maps that a close takes back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <userpci/userpci.h>

#include "backend.h"
#include "host.h"

#define STRING(x)  #x
#define VERSION(x) STRING(x)

const char *userpci_version(void)
{
	return VERSION(USERPCI_VERSION_MAJOR) "." VERSION(USERPCI_VERSION_MINOR) "." VERSION(
		USERPCI_VERSION_PATCH);
}

int userpci_address_parse(const char *text, char *address)
{
	unsigned int domain = 0, bus, slot, function;
	int end = 0;

	/* What sscanf would take besides: blanks, signs, 0x. */
	if (text[strspn(text, "0123456789abcdefABCDEF:.")])
		return -EINVAL;
	if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4 ||
	    text[end]) {
		domain = 0;
		end = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) != 3 || text[end])
			return -EINVAL;
	}
	if (slot > 31 || function > 7)
		return -EINVAL;
	/* The masks say to the compiler what the widths above say. */
	snprintf(address, 16, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff, slot & 0x1f,
		 function & 7);
	return 0;
}

static const struct {
	const char *prefix;
	const char *driver; /* a function that it has is this backend's; NULL: none is */
	const struct userpci_backend *backend;
} backends[] = {
	{ "stub:", "userpci", &userpci_backend_stub },
	{ "vfio:", "vfio-pci", &userpci_backend_vfio },
	{ "uio:", "uio_pci_generic", &userpci_backend_uio },
	{ "qemu:", NULL, &userpci_backend_qtest },
	{ "replay:", NULL, &userpci_backend_replay },
};

static const struct userpci_backend *backend_bound(const char *address)
{
	char full[16], driver[64];
	unsigned int i;

	if (userpci_address_parse(address, full))
		return &userpci_backend_stub; /* which refuses it */
	userpci_sysfs_driver(full, driver, sizeof(driver));
	for (i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (backends[i].driver && !strcmp(backends[i].driver, driver))
			return backends[i].backend;
	return &userpci_backend_stub;
}

const struct userpci_backend *userpci_backend_choose(const char **address)
{
	unsigned int i;
	size_t length;

	for (i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		length = strlen(backends[i].prefix);
		if (!strncmp(*address, backends[i].prefix, length)) {
			*address += length;
			return backends[i].backend;
		}
	}
	return backend_bound(*address);
}

int userpci_open(const char *address, unsigned int flags, struct userpci_device **device)
{
	struct userpci_device *d;
	int err;

	if (!address || !device || (flags & ~USERPCI_OPEN_OBSERVE))
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->fd = -1;
	d->event_fd = -1;
	d->backend = userpci_backend_choose(&address);
	err = userpci_wrap_open(d, address, flags);
	if (err) {
		free(d);
		return err;
	}
	d->info.backend = d->backend->name;
	*device = d;
	return 0;
}

void userpci_close(struct userpci_device *device)
{
	if (!device)
		return;
	userpci_irq_disable(device);
	userpci_events_end(device);
	while (device->mappings)
		userpci_mapping_remove(device, device->mappings->va);
	while (device->pieces)
		userpci_pieces_free(device, device->pieces->chunks);
	device->backend->close(device);
	free(device);
}

const struct userpci_info *userpci_info(const struct userpci_device *device)
{
	return &device->info;
}

int userpci_reset(struct userpci_device *device)
{
	return device->backend->reset(device);
}

int userpci_bus_master_enable(struct userpci_device *device)
{
	return device->backend->bus_master(device, true);
}

int userpci_bus_master_disable(struct userpci_device *device)
{
	return device->backend->bus_master(device, false);
}

int userpci_mapping_add(struct userpci_device *device, void *va, uint64_t size)
{
	struct userpci_mapping *mapping = malloc(sizeof(*mapping));

	if (!mapping)
		return -ENOMEM;
	mapping->va = va;
	mapping->size = size;
	mapping->next = device->mappings;
	device->mappings = mapping;
	return 0;
}

void userpci_mapping_remove(struct userpci_device *device, void *va)
{
	struct userpci_mapping **link = &device->mappings;
	struct userpci_mapping *mapping;

	while (*link && (*link)->va != va)
		link = &(*link)->next;
	mapping = *link;
	if (!mapping)
		return;
	*link = mapping->next;
	munmap(mapping->va, mapping->size);
	free(mapping);
}
