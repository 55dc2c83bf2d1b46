/* SPDX-License-Identifier: MIT */
/* Why unic_open() failed and what to do, in one line. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <unic/driver.h>

/* "DDDD:BB:DD.F" and what the device is, from a look that needs no ownership. */
static void describe(const char *address, char *text, size_t size)
{
	struct userpci_device *device;
	const struct userpci_info *info;

	snprintf(text, size, "%s", address);
	if (userpci_open(address, USERPCI_OPEN_OBSERVE, &device))
		return;
	info = userpci_info(device);
	snprintf(text, size, "%s (%04x:%04x)", info->address, info->vendor_id, info->device_id);
	userpci_close(device);
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

	switch (-error) {
	case ENOTSUP:
	case ETIMEDOUT:
	case EIO:
	case ENOSPC:
		break;
	default:
		return userpci_explain(address, error, text, size);
	}
	describe(address, what, sizeof(what));
	switch (-error) {
	case ENOTSUP:
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
