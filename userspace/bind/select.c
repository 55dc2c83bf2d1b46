// SPDX-License-Identifier: GPL-2.0-or-later
/* Choosing devices, with the filters and the names of libpci. */
#include <errno.h>
#include <limits.h>
#include <pci/pci.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/bind.h"

struct selector {
	struct pci_filter filter;
	bool hit;
};

struct selection {
	struct selector *selectors; /* none: every device */
	size_t count;
};

/* libpci calls this when it cannot go on, and must not be returned to. */
static PCI_NONRET void access_error(char *message, ...)
{
	va_list args;

	va_start(args, message);
	fputs("userpci: libpci: ", stderr);
	vfprintf(stderr, message, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* A device that went away, a config space that cannot be read: the fields stay empty. */
static void access_warning(char *message, ...)
{
	(void)message;
}

static struct pci_access *access_open(const struct bind_env *env, char path[PATH_MAX])
{
	static char parameter[] = "sysfs.path";
	struct pci_access *access = pci_alloc();

	access->error = access_error;
	access->warning = access_warning;
	access->method = PCI_ACCESS_SYS_BUS_PCI; /* never I/O ports */
	snprintf(path, PATH_MAX, "%s/bus/pci", env->sys);
	pci_set_param(access, parameter, path);
	pci_init(access);
	return access;
}

/* libpci's parsers write into what they read. */
static int parse(struct pci_filter *filter, char *(*parser)(struct pci_filter *, char *),
		 const char *what, const char *text, char *why)
{
	char *copy = strdup(text), *message;
	int err = 0;

	if (!copy)
		return -ENOMEM;
	message = parser(filter, copy);
	if (message)
		err = bind_why(why, -EINVAL, "%s%s: %s", what, text, message);
	free(copy);
	return err;
}

static int parse_address(struct pci_filter *filter, const char *text, char *why)
{
	int err = parse(filter, pci_filter_parse_slot, "", text, why);

	if (err)
		return err;
	if (filter->bus < 0 || filter->slot < 0 || filter->func < 0)
		return bind_why(why, -EINVAL, "%s: an address is [DDDD:]BB:DD.F; for less, use -s",
				text);
	if (filter->domain < 0)
		filter->domain = 0;
	return 0;
}

/* A filter that leaves nothing out is refused: it may be a shell variable that was not set. */
static int parse_filter(struct pci_filter *filter, const struct bind_query *query,
			struct pci_access *access, char *why)
{
	struct pci_filter any;
	int err = 0;

	pci_filter_init(access, &any);
	if (query->slot)
		err = parse(filter, pci_filter_parse_slot, "-s ", query->slot, why);
	if (!err && query->id)
		err = parse(filter, pci_filter_parse_id, "-d ", query->id, why);
	if (!err && !memcmp(filter, &any, sizeof(any)))
		err = bind_why(why, -EINVAL, "-s or -d is empty: every device would match");
	return err;
}

static int selection_parse(const struct bind_query *query, struct pci_access *access,
			   struct selection *selection, char *why)
{
	struct selector *next;
	int err = 0;

	next = calloc(query->address_count + 1, sizeof(*next));
	if (!next)
		return -ENOMEM;
	selection->selectors = next;
	if (query->slot || query->id) {
		pci_filter_init(access, &next->filter);
		err = parse_filter(&next->filter, query, access, why);
		next++;
	}
	for (size_t i = 0; i < query->address_count && !err; i++, next++) {
		pci_filter_init(access, &next->filter);
		err = parse_address(&next->filter, query->addresses[i], why);
	}
	selection->count = (size_t)(next - selection->selectors);
	return err;
}

static bool selection_match(struct selection *selection, struct pci_dev *dev)
{
	bool match = !selection->count;

	for (size_t i = 0; i < selection->count; i++) {
		struct selector *selector = &selection->selectors[i];

		if (pci_filter_match(&selector->filter, dev))
			match = selector->hit = true;
	}
	return match;
}

static int check_hits(const struct bind_query *query, const struct selection *selection, char *why)
{
	size_t filters = selection->count - query->address_count;

	if (filters && !selection->selectors[0].hit)
		return bind_why(why, -ENODEV,
				"nothing matches%s%s%s%s; 'userpci list' shows what there is",
				query->slot ? " -s " : "", query->slot ? query->slot : "",
				query->id ? " -d " : "", query->id ? query->id : "");
	for (size_t i = 0; i < query->address_count; i++)
		if (!selection->selectors[filters + i].hit)
			return bind_why(why, -ENODEV,
					"there is no %s; 'userpci list' shows what there is",
					query->addresses[i]);
	return 0;
}

static void device_read(const struct bind_env *env, struct pci_dev *dev, struct bind_device *device)
{
	pci_fill_info(dev, PCI_FILL_IDENT | PCI_FILL_CLASS);
	snprintf(device->address, sizeof(device->address), "%04x:%02x:%02x.%x", dev->domain,
		 dev->bus, dev->dev, dev->func);
	device->class = dev->device_class;
	device->vendor = dev->vendor_id;
	device->device = dev->device_id;
	device->header_type = pci_read_byte(dev, PCI_HEADER_TYPE) & 0x7f; /* less multi-function */
	bind_device_read(env, device);
}

static int device_name(struct pci_access *access, struct bind_device *device)
{
	const int model_flags = PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE | PCI_LOOKUP_NO_HWDB;
	char class_buffer[256], model_buffer[256];
	const char *class, *model;

	class = pci_lookup_name(access, class_buffer, sizeof(class_buffer),
				PCI_LOOKUP_CLASS | PCI_LOOKUP_NO_HWDB, device->class);
	model = pci_lookup_name(access, model_buffer, sizeof(model_buffer), model_flags,
				device->vendor, device->device);
	if (asprintf(&device->name, "%s: %s", class, model) >= 0)
		return 0;
	device->name = NULL;
	return -ENOMEM;
}

/* A longer domain is a greater one. */
static int compare_addresses(const void *a, const void *b)
{
	const struct bind_device *left = a, *right = b;
	size_t left_length = strlen(left->address), right_length = strlen(right->address);

	if (left_length != right_length)
		return left_length < right_length ? -1 : 1;
	return strcmp(left->address, right->address);
}

static int list_read(const struct bind_env *env, const struct bind_query *query,
		     struct pci_access *access, struct selection *selection, struct bind_list *list)
{
	struct pci_dev *dev;
	size_t count = 0;
	int err = 0;

	pci_scan_bus(access);
	for (dev = access->devices; dev; dev = dev->next)
		count++;
	list->devices = calloc(count + 1, sizeof(*list->devices));
	if (!list->devices)
		return -ENOMEM;
	for (dev = access->devices; dev && !err; dev = dev->next) {
		struct bind_device *device = &list->devices[list->count];

		if (!selection_match(selection, dev))
			continue;
		device_read(env, dev, device);
		if (query->ours && !device->bound && !device->claimed && !device->recorded)
			continue;
		list->count++;
		if (query->names)
			err = device_name(access, device);
	}
	qsort(list->devices, list->count, sizeof(*list->devices), compare_addresses);
	return err;
}

int bind_list_get(const struct bind_env *env, const struct bind_query *query,
		  struct bind_list *list, char *why)
{
	struct selection selection = { NULL, 0 };
	char path[PATH_MAX];
	struct pci_access *access;
	int err;

	memset(list, 0, sizeof(*list));
	why[0] = '\0';
	if (sysfs_resolve(env, SYSFS_DEVICES, "", path))
		return bind_why(why, -ENOENT, "%s/" SYSFS_DEVICES, env->sys);
	access = access_open(env, path);
	err = selection_parse(query, access, &selection, why);
	if (!err)
		err = list_read(env, query, access, &selection, list);
	if (!err)
		err = check_hits(query, &selection, why);
	free(selection.selectors);
	pci_cleanup(access);
	if (err)
		bind_list_free(list);
	return err;
}

void bind_list_free(struct bind_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->devices[i].name);
	free(list->devices);
	memset(list, 0, sizeof(*list));
}
