/* SPDX-License-Identifier: MIT */
/* Why unic_open() failed and what to do, in one line. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <unic/driver.h>

static const struct unic_driver *driver_of(const struct userpci_info *info)
{
	const struct unic_driver *const *driver;
	const struct unic_id *id;

	for (driver = unic_drivers; *driver; driver++)
		for (id = (*driver)->ids; id->vendor; id++)
			if (id->vendor == info->vendor_id && id->device == info->device_id)
				return *driver;
	return NULL;
}

/* "DDDD:BB:DD.F (VVVV:DDDD)" where a look succeeds, if need be as the owner; its driver or NULL. */
static bool describe(const char *address, char *text, size_t size,
		     const struct unic_driver **driver)
{
	struct userpci_device *device;
	const struct userpci_info *info;

	snprintf(text, size, "%s", address);
	if (userpci_open(address, USERPCI_OPEN_OBSERVE, &device) &&
	    userpci_open(address, 0, &device))
		return false;
	info = userpci_info(device);
	snprintf(text, size, "%s (%04x:%04x)", info->address, info->vendor_id, info->device_id);
	*driver = driver_of(info);
	userpci_close(device);
	return true;
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
	const struct unic_driver *driver = NULL;
	char what[48], drivers[160];
	bool seen;

	switch (-error) {
	case ENOTSUP:
	case ETIMEDOUT:
	case EIO:
	case ENOSPC:
	case EXDEV:
		break;
	default:
		return userpci_explain(address, error, text, size);
	}
	seen = describe(address, what, sizeof(what), &driver);
	switch (-error) {
	case ENOTSUP:
		if (driver && driver->needs) {
			snprintf(text, size, "%s: %s needs %s", what, driver->name, driver->needs);
			break;
		}
		/* The library's, then, for the number means many things. */
		if (driver || !seen)
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
	case EXDEV:
		snprintf(text, size,
			 "%s: the memory of the port to share with is out of the device's reach; "
			 "open it without, and copy",
			 what);
		break;
	}
	return text;
}
