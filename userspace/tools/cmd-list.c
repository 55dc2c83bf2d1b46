// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci list: gathers the devices, then prints them. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/cmd.h"

static const struct option list_options[] = { CMD_OPTION_BOUND, CMD_OPTION_HELP, { 0 } };

static const char list_help[] =
	"show PCI devices and their drivers\n"
	"\n"
	"usage: userpci list [--bound] [-s SLOT] [-d ID] [ADDRESS]...\n"
	"\n"
	"  -s SLOT   [[[domain]:]bus]:][slot][.function], as lspci -s\n"
	"  -d ID     [vendor]:[device][:class[:progif]], as lspci -d\n"
	"  ADDRESS   [DDDD:]BB:DD.F\n"
	"  --bound   only those that userpci has, or has claimed\n"
	"\n"
	"Prints ADDRESS [CLASS] VENDOR:DEVICE driver=NAME Class: Vendor Device (userpci: ...)\n";

/* What userpci has to do with the device: empty for most. */
static void print_remark(const struct bind_env *env, const struct bind_device *device)
{
	char node[PATH_MAX];
	struct bind_state state;

	if (!device->bound && !device->claimed)
		return;
	if (!device->bound) {
		printf(" (userpci: not bound, but claimed; 'userpci unbind' clears that)");
		return;
	}
	snprintf(node, sizeof(node), "%s/%s", env->dev, device->address);
	printf(" (userpci: bound, %s%s", access(node, F_OK) ? "no " : "", node);
	if (!state_load(env, device->address, &state) && state.driver[0])
		printf(", was %s", state.driver);
	putchar(')');
}

static void print_list(const struct bind_env *env, const struct bind_list *list)
{
	const struct bind_device *device, *end = list->devices + list->count;
	int address = 0, driver = 1;

	for (device = list->devices; device < end; device++) {
		int address_length = (int)strlen(device->address);
		int driver_length = (int)strlen(device->driver);

		address = address_length > address ? address_length : address;
		driver = driver_length > driver ? driver_length : driver;
	}
	for (device = list->devices; device < end; device++) {
		printf("%-*s [%04x] %04x:%04x driver=%-*s %s", address, device->address,
		       device->class, device->vendor, device->device, driver,
		       device->driver[0] ? device->driver : "-", device->name);
		print_remark(env, device);
		putchar('\n');
	}
}

static enum cmd_status list_run(const struct bind_env *env, const struct cmd_options *options)
{
	struct cmd_options with_names = *options;
	struct bind_list list;
	enum cmd_status status;

	with_names.query.names = true;
	status = cmd_gather(env, &with_names, "list", &list);
	if (status)
		return status;
	print_list(env, &list);
	bind_list_free(&list);
	return CMD_OK;
}

const struct cmd cmd_list = { "list", list_help, list_options, list_run };
