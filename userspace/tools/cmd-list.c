// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci list: gathers the devices, then prints them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entry.h"
#include "tools/cmd.h"

static const struct option list_options[] = {
	CMD_OPTION_BOUND, CMD_OPTION_DETAILS, CMD_OPTION_JSON, CMD_OPTION_HELP, { 0 }
};

static const char list_help[] =
	"show PCI devices, their drivers, and what could serve them\n"
	"\n"
	"usage: userpci list [--bound] [-k | --json] [-s SLOT] [-d ID] [ADDRESS]...\n"
	"\n"
	"  -s SLOT   [[[domain]:]bus]:][slot][.function], as lspci -s\n"
	"  -d ID     [vendor]:[device][:class[:progif]], as lspci -d\n"
	"  ADDRESS   [DDDD:]BB:DD.F\n"
	"  --bound   only those that userpci has, or has claimed\n"
	"  -k, --details   several lines for each, in sentences\n"
	"  --json    a line of JSON for each\n"
	"\n"
	"Prints ADDRESS [CLASS] VENDOR:DEVICE driver=NAME stub=WORD vfio=WORD uio=WORD\n"
	"owner=PID group=N numa=N bind=WORD Class: Vendor Device (userpci: ...). The words of\n"
	"the backends:\n"
	"  bound           serves it now\n"
	"  yes             could, once the device is bound: 'userpci bind', for vfio with\n"
	"                  '--driver vfio-pci', for uio with '--driver uio_pci_generic'\n"
	"  no-module       'modprobe' userpci, vfio-pci, or uio_pci_generic\n"
	"  no-iommu-group  the IOMMU is off: switch it on in firmware and kernel\n"
	"  group-in-use    a device that cannot be told from it has a driver of the kernel's\n"
	"  iommu           an IOMMU translates, which uio cannot use: take vfio\n"
	"  no-hugepages    'echo 64 >/proc/sys/vm/nr_hugepages'\n"
	"  no-intx         uio would serve it, but without interrupts\n"
	"  bridge          never\n"
	"and what 'userpci bind' would say; -k has the reason:\n"
	"  bound           it is\n"
	"  yes             it would take it\n"
	"  busy            the device is in use: only with --force\n"
	"  no              it cannot\n";

/* --- Lines --- */

static const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
}

static const char *owner_text(const struct entry *entry, char text[24])
{
	snprintf(text, 24, "%ld", entry->owner.pid);
	return entry->owner.pid ? text : "-";
}

struct widths {
	int address, driver, words[SERVE_BACKENDS], owner, group, numa;
};

static void widen(int *width, const char *text)
{
	int length = (int)strlen(text);

	if (length > *width)
		*width = length;
}

static struct widths measure(const struct entry *entries, size_t count)
{
	struct widths widths = { .driver = 1, .owner = 1, .group = 1, .numa = 1 };
	char text[24];

	for (size_t i = 0; i < count; i++) {
		widen(&widths.address, entries[i].device->address);
		widen(&widths.driver, entries[i].device->driver);
		for (unsigned int b = 0; b < SERVE_BACKENDS; b++)
			widen(&widths.words[b], entries[i].words[b]);
		widen(&widths.owner, owner_text(&entries[i], text));
		widen(&widths.group, entries[i].group);
		widen(&widths.numa, entries[i].numa);
	}
	return widths;
}

static void print_line(const struct bind_env *env, const struct entry *entry,
		       const struct widths *widths)
{
	const struct bind_device *device = entry->device;
	char owner[24];

	printf("%-*s [%04x] %04x:%04x driver=%-*s", widths->address, device->address, device->class,
	       device->vendor, device->device, widths->driver, or_dash(device->driver));
	for (unsigned int b = 0; b < SERVE_BACKENDS; b++)
		entry_print_word(serve_name(b), entry->words[b], widths->words[b]);
	printf(" owner=%-*s group=%-*s numa=%-*s", widths->owner, owner_text(entry, owner),
	       widths->group, or_dash(entry->group), widths->numa, or_dash(entry->numa));
	entry_print_word("bind", entry->verdict.word, 5);
	printf(" %s", device->name);
	entry_print_remark(env, entry);
	putchar('\n');
}

static void print_json(const struct entry *entry)
{
	struct json json = { 0 };

	json_object(&json, NULL);
	json_text(&json, "command", "list");
	entry_json(&json, entry);
	json_object_end(&json);
}

/* --- The command --- */

static void print_all(const struct bind_env *env, const struct cmd_options *options,
		      const struct entry *entries, size_t count)
{
	struct widths widths = measure(entries, count);

	for (size_t i = 0; i < count; i++)
		if (options->json)
			print_json(&entries[i]);
		else if (options->details)
			entry_print_details(env, &entries[i]);
		else
			print_line(env, &entries[i], &widths);
}

static enum cmd_status list_run(const struct bind_env *env, const struct cmd_options *options)
{
	struct cmd_options with_names = *options;
	struct entry *entries;
	struct bind_list list;
	enum cmd_status status;

	with_names.query.names = true;
	status = cmd_gather(env, &with_names, "list", &list);
	if (status)
		return status;
	entries = entries_get(env, &list, options->json || options->details);
	if (entries)
		print_all(env, options, entries, list.count);
	else
		status = cmd_error(NULL, "list", -ENOMEM, "");
	free(entries);
	bind_list_free(&list);
	return status;
}

const struct cmd cmd_list = { "list", list_help, list_options, list_run, CMD_DEVICES };
