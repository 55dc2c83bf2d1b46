/* SPDX-License-Identifier: MIT */
/* Why unic_open() failed and what to do, in one line. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <unic/driver.h>

static int has_driver(const struct userpci_info *info)
{
	const struct unic_driver *const *driver;
	const struct unic_id *id;

	for (driver = unic_drivers; *driver; driver++)
		for (id = (*driver)->ids; id->vendor; id++)
			if (id->vendor == info->vendor_id && id->device == info->device_id)
				return 1;
	return 0;
}

/* "DDDD:BB:DD.F (VVVV:DDDD)" where a look succeeds, if need be as the owner; whether it has a
 * driver. */
static int describe(const char *address, char *text, size_t size)
{
	struct userpci_device *device;
	const struct userpci_info *info;
	int known;

	snprintf(text, size, "%s", address);
	if (userpci_open(address, USERPCI_OPEN_OBSERVE, &device) &&
	    userpci_open(address, 0, &device))
		return 1; /* not known: the library's words, then */
	info = userpci_info(device);
	snprintf(text, size, "%s (%04x:%04x)", info->address, info->vendor_id, info->device_id);
	known = has_driver(info);
	userpci_close(device);
	return known;
}

/* The device IDs that drivers are for, as "e1000: 8086:100e; ...". */
static void supported(char *text, size_t size)
{
	const struct unic_driver *const *driver;
	const struct unic_id *id;
	size_t n = 0;

	text[0] = '\0';
	for (driver = unic_drivers; *driver && n < size; driver++) {
		n += (size_t)snprintf(text + n, size - n, "%s%s:", n ? "; " : "", (*driver)->name);
		for (id = (*driver)->ids; id->vendor && n < size; id++)
			n += (size_t)snprintf(text + n, size - n, " %04x:%04x", id->vendor,
					      id->device);
	}
}

const char *unic_explain(const char *address, int error, char *text, size_t size)
{
	char what[48], drivers[160];
	int known;

	switch (-error) {
	case ENOTSUP:
	case ETIMEDOUT:
	case EIO:
	case ENOSPC:
		break;
	default:
		return userpci_explain(address, error, text, size);
	}
	known = describe(address, what, sizeof(what));
	switch (-error) {
	case ENOTSUP:
		/* The library's, then, for the number means many things. */
		if (known)
			return userpci_explain(address, error, text, size);
		supported(drivers, sizeof(drivers));
		snprintf(text, size, "%s: no driver for this device; there are %s", what, drivers);
		break;
	case ETIMEDOUT:
		snprintf(text, size,
			 "%s: the device does not answer; unbind it, and bind it again or reset it",
			 what);
		break;
	case EIO:
		snprintf(text, size,
			 "%s: the device answers wrongly (has it a valid MAC address?); reset it",
			 what);
		break;
	case ENOSPC:
		snprintf(text, size,
			 "%s: the device offers no interrupt; UNIC_CONFIG_NO_IRQ works without",
			 what);
		break;
	}
	return text;
}
