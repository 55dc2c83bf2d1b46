// SPDX-License-Identifier: GPL-2.0-or-later
/* The device that a subcommand looks at or changes, on whatever backend. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "target.h"
#include "tools/trace-names.h"

/* --- Open and close --- */

/* userpci_explain() begins with the address; what is done stands behind that. */
enum cmd_status target_open_error(const char *action, const char *address, int err)
{
	const char *reason;
	char text[512];

	userpci_explain(address, err, text, sizeof(text));
	reason = strstr(text, ": ");
	if (!reason)
		return cmd_fail(address, action, "%s", text);
	fprintf(stderr, "userpci: %.*s: %s%s\n", (int)(reason - text), text, action, reason);
	return CMD_FAILURE;
}

static char gone_text[128];

/* A map of a function that uio_pci_generic has lost. */
static void on_bus_error(int number)
{
	ssize_t n = write(STDERR_FILENO, gone_text, strlen(gone_text));

	(void)n;
	_exit(number ? CMD_FAILURE : 0);
}

static int open_as(struct target *target, bool owner)
{
	unsigned int flags = owner ? 0 : USERPCI_OPEN_OBSERVE;
	int err = userpci_open(target->address, flags, &target->device);

	if (err)
		target->device = NULL;
	else
		target->owner = owner;
	return err;
}

enum cmd_status target_open(struct target *target, const char *action, const char *address,
			    bool change)
{
	struct sigaction lost = { .sa_handler = on_bus_error };
	int err;

	*target = (struct target){ .action = action, .address = address };
	err = open_as(target, change);
	if (err == -EOPNOTSUPP && !change)
		err = open_as(target, true);
	if (err)
		return target_open_error(action, address, err);
	snprintf(gone_text, sizeof(gone_text), "userpci: %.64s: %.16s: the device is gone\n",
		 address, action);
	sigaction(SIGBUS, &lost, NULL);
	target->names = trace_names(userpci_info(target->device));
	return CMD_OK;
}

void target_close(struct target *target)
{
	userpci_close(target->device);
	target->device = NULL;
}

const char *target_name(const struct target *target)
{
	const struct userpci_info *info = userpci_info(target->device);

	return strcmp(info->backend, "qemu") && strcmp(info->backend, "replay") ? info->address
										: target->address;
}

static enum cmd_status become_owner(struct target *target)
{
	int err;

	target_close(target);
	memset(target->regions, 0, sizeof(target->regions));
	err = open_as(target, true);
	return err ? target_open_error(target->action, target->address, err) : CMD_OK;
}

/* --- Access --- */

static enum cmd_status place_error(const struct target *target, const struct place *place, int err)
{
	char text[PLACE_TEXT_SIZE];

	place_text(place, text);
	switch (err) {
	case -ERANGE:
		return cmd_fail(target->address, target->action, "%s: is beyond its end", text);
	case -EINVAL:
		return cmd_fail(target->address, target->action,
				"%s: no access of %u bits there, or not a multiple of it", text,
				8 * place->width);
	case -EPERM:
		return cmd_fail(target->address, target->action, "%s: is the kernel's to write",
				text);
	case -ENODEV:
		return cmd_fail(target->address, target->action,
				"the device is gone: removed, or unbound");
	default:
		return cmd_fail(target->address, target->action, "%s: %s", text, strerror(-err));
	}
}

enum cmd_status target_region(struct target *target, unsigned int index,
			      struct userpci_region **region)
{
	struct userpci_region *r = &target->regions[index];
	enum cmd_status status;
	int err = 0;

	*region = r;
	if (!r->device)
		err = userpci_region_map(target->device, index, r);
	if (err == -ENOENT || err == -EINVAL)
		return cmd_fail(target->address, target->action, "there is no BAR %u", index);
	if (err == -EBUSY)
		return cmd_fail(target->address, target->action,
				"BAR %u is mapped write-combining by its owner", index);
	if (err)
		return cmd_error(target->address, target->action, err, place_region_text(index));
	if (r->va || target->owner)
		return CMD_OK;
	status = become_owner(target);
	return status ? status : target_region(target, index, region);
}

/* Its vendor's register never reads as ones. */
static int present(const struct target *target)
{
	uint32_t vendor;
	int err = userpci_config_read(target->device, PCI_VENDOR_ID, 2, &vendor);

	return err || vendor != 0xffff ? err : -ENODEV;
}

enum cmd_status target_check(struct target *target)
{
	int err = present(target);

	return err ? place_error(target, &(struct place){ 0 }, err) : CMD_OK;
}

static int access_check(const struct userpci_region *region, const struct place *place)
{
	if (place->offset >= region->size || place->width > region->size - place->offset)
		return -ERANGE;
	if (place->offset % place->width || (region->flags & USERPCI_REGION_IO && place->width > 4))
		return -EINVAL;
	return 0;
}

/* The pages of the MSI-X table are mapped read-only; a write would be the end of us. */
static int table_check(const struct target *target, const struct userpci_region *region,
		       const struct place *place)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), begin, end;
	uint32_t flags, table;
	unsigned int at = 0;

	if (!region->va || !(region->flags & USERPCI_REGION_MSIX) ||
	    userpci_config_find(target->device, PCI_CAP_ID_MSIX, &at) ||
	    userpci_config_read(target->device, at + PCI_MSIX_FLAGS, 2, &flags) ||
	    userpci_config_read(target->device, at + PCI_MSIX_TABLE, 4, &table) ||
	    (table & PCI_MSIX_TABLE_BIR) != region->index)
		return 0;
	begin = (table & PCI_MSIX_TABLE_OFFSET) & ~(page - 1);
	end = (table & PCI_MSIX_TABLE_OFFSET) +
	      PCI_MSIX_ENTRY_SIZE * ((flags & PCI_MSIX_FLAGS_QSIZE) + 1);
	end = (end + page - 1) & ~(page - 1);
	return place->offset + place->width > begin && place->offset < end ? -EPERM : 0;
}

static int read_config(const struct target *target, const struct place *place, uint64_t *value)
{
	uint32_t v;
	int err = userpci_config_read(target->device, (unsigned int)place->offset, place->width,
				      &v);

	if (!err)
		*value = v;
	return err;
}

static int read_region(const struct target *target, const struct userpci_region *region,
		       const struct place *place, uint64_t *value)
{
	int err = access_check(region, place);
	uint64_t v;

	if (err)
		return err;
	v = userpci_region_read(region, place->offset, place->width) & place_ones(place->width);
	if (v == place_ones(place->width))
		err = present(target);
	if (!err)
		*value = v;
	return err;
}

/* No function has as much configuration space. */
static bool is_config(const struct place *place, int *err)
{
	*err = place->offset > 0xffff ? -ERANGE : 0;
	return place->region == PLACE_CONFIG;
}

enum cmd_status target_read(struct target *target, const struct place *place, uint64_t *value)
{
	struct userpci_region *region;
	enum cmd_status status;
	int err;

	if (is_config(place, &err)) {
		if (!err)
			err = read_config(target, place, value);
	} else {
		status = target_region(target, place->region, &region);
		if (status)
			return status;
		err = read_region(target, region, place, value);
	}
	return err ? place_error(target, place, err) : CMD_OK;
}

static int write_region(const struct target *target, const struct userpci_region *region,
			const struct place *place, uint64_t value)
{
	int err = access_check(region, place);

	if (!err)
		err = table_check(target, region, place);
	if (!err)
		userpci_region_write(region, place->offset, place->width, value);
	return err;
}

enum cmd_status target_write(struct target *target, const struct place *place)
{
	uint64_t value = place->value, before = 0;
	struct userpci_region *region;
	enum cmd_status status;
	int err;

	if (place->mask != place_ones(place->width)) {
		status = target_read(target, place, &before);
		if (status)
			return status;
		value = (before & ~place->mask) | (value & place->mask);
	}
	if (is_config(place, &err)) {
		if (!err)
			err = userpci_config_write(target->device, (unsigned int)place->offset,
						   place->width, (uint32_t)value);
	} else {
		status = target_region(target, place->region, &region);
		if (status)
			return status;
		err = write_region(target, region, place, value);
	}
	return err ? place_error(target, place, err) : CMD_OK;
}

/* --- Words --- */

enum cmd_status target_words(const char *action, const struct cmd_options *options, size_t min,
			     size_t max, const char *what)
{
	size_t count = options->query.address_count;

	if (!count)
		return cmd_usage(action, "ADDRESS is missing", "");
	if (count - 1 < min)
		return cmd_usage(action, what, " is missing");
	if (count - 1 > max)
		return cmd_usage(action, "one too many: ", options->query.addresses[max + 1]);
	return CMD_OK;
}

enum cmd_status target_place(const struct target *target, const struct cmd_options *options,
			     const char *word, struct place *place)
{
	struct place_defaults defaults = {
		.names = target->names,
		.region = options->region ? place_region(options->region) : -1,
		.width = (unsigned int)options->width / 8,
	};
	const char *wrong = place_parse(word, &defaults, place);
	char what[256];

	if (!wrong)
		return CMD_OK;
	snprintf(what, sizeof(what), "%.48s: %s", word, wrong);
	return cmd_usage(target->action, what, "");
}

enum cmd_status target_places(const struct target *target, const struct cmd_options *options,
			      const char *const *words, size_t count, bool writes,
			      struct place **places)
{
	struct place *all = calloc(count + 1, sizeof(*all));
	enum cmd_status status = CMD_OK;

	if (!all)
		return cmd_error(target->address, target->action, -ENOMEM, "");
	for (size_t i = 0; i < count && !status; i++) {
		status = target_place(target, options, words[i], &all[i]);
		if (!status && all[i].write && !writes)
			status = cmd_usage(target->action, "it only reads; 'userpci poke' takes ",
					   words[i]);
	}
	if (status)
		free(all);
	else
		*places = all;
	return status;
}

/* --- What is printed --- */

void target_json_place(struct json *json, const struct place *place)
{
	if (place->region == PLACE_CONFIG)
		json_text(json, "region", "config");
	else
		json_number(json, "region", place->region);
	json_hex(json, "offset", place->offset, place->region == PLACE_CONFIG ? 2 : 4);
	json_number(json, "width", 8 * place->width);
	json_text(json, "name", place->name[0] ? place->name : NULL);
}

void target_print(const struct target *target, bool json, const struct place *place, uint64_t value)
{
	char text[PLACE_TEXT_SIZE];
	struct json j = { 0 };

	if (!json) {
		printf("%s = 0x%0*" PRIx64 "\n", place_text(place, text), (int)(2 * place->width),
		       value);
		return;
	}
	json_object(&j, NULL);
	json_text(&j, "command", target->action);
	json_text(&j, "address", target_name(target));
	target_json_place(&j, place);
	json_hex(&j, "value", value, place->width);
	json_object_end(&j);
}
