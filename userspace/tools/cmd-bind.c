// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci bind and userpci unbind. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/bind-call.h"

/* --- bind --- */

static const struct option bind_options[] = { CMD_OPTION_DRIVER,  CMD_OPTION_FORCE,
					      CMD_OPTION_PERSIST, CMD_OPTION_BY_ID,
					      CMD_OPTION_DRY_RUN, CMD_OPTION_JSON,
					      CMD_OPTION_HELP,	  { 0 } };

static const char bind_help[] =
	"take devices from their drivers and give them to user space\n"
	"\n"
	"usage: userpci bind [--driver NAME] [--force] [--persist [--by-id]] [--dry-run]\n"
	"                    [--json] [-s SLOT] [-d ID] [ADDRESS]...\n"
	"\n" BIND_HELP_SELECT
	"  --driver    another driver that hands devices to user space: vfio-pci, or\n"
	"              uio_pci_generic\n"
	"  --force     even a device that is in use, where that is sane\n"
	"  --persist   and again at each start, this device in this slot\n"
	"  --by-id     with --persist: all devices of its kind, wherever they are\n" BIND_HELP_RUN
	"\n"
	"All of the devices or none: after a failure those before it are put back. What is\n"
	"in use is refused, with the reason, and nothing is changed (exit status 3).\n";

/* The rule that udev is to have calls this program by its place now. */
static void program_path(char path[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);

	path[length > 0 ? length : 0] = '\0';
}

static enum cmd_status bind_run(const struct bind_env *env, const struct cmd_options *options)
{
	char program[PATH_MAX];
	struct bind_env its = *env;
	struct bind_call call = {
		.env = &its,
		.options = options,
		.action = "bind",
		.verb = JOB_BIND,
		.check = bind_check,
		.change = bind_device,
		.done = "bound",
	};

	if (!bind_call_selects(options))
		return cmd_usage("bind", "say which devices: ADDRESS, -s or -d", "");
	if (options->by_id && !options->persist)
		return cmd_usage("bind", "--by-id says what --persist means, and that is missing",
				 "");
	if (options->persist)
		call.persist = options->by_id ? PERSIST_BY_ID : PERSIST_BY_SLOT;
	program_path(program);
	its.program = program[0] ? program : NULL;
	return bind_call_run(&call, &options->query);
}

const struct cmd cmd_bind = { "bind", bind_help, bind_options, bind_run, CMD_DEVICES };

/* --- unbind --- */

static const struct option unbind_options[] = { CMD_OPTION_ALL,	    CMD_OPTION_DRIVER,
						CMD_OPTION_FORCE,   CMD_OPTION_FORGET,
						CMD_OPTION_DRY_RUN, CMD_OPTION_JSON,
						CMD_OPTION_HELP,    { 0 } };

static const char unbind_help[] =
	"give devices back to the drivers that they had\n"
	"\n"
	"usage: userpci unbind [--driver NAME] [--force] [--forget] [--dry-run] [--json]\n"
	"                      [-s SLOT] [-d ID] [ADDRESS]... | --all\n"
	"\n" BIND_HELP_SELECT "  --all       every device that userpci has, or has claimed\n"
	"  --driver    the driver that has them; needed only if it was not 'userpci bind'\n"
	"              that bound them\n"
	"  --force     even a device that a process has open: it loses it\n"
	"  --forget    and do not bind them at the next start: removes the rules of\n"
	"              'bind --persist'\n" BIND_HELP_RUN "\n"
	"Driver, driver_override, and the names, settings, addresses and routes of network\n"
	"interfaces become what they were before.\n";

/* Domain 0 may be left out. False: it is no address, or not in a form to name a rule. */
static bool full_address(const char *text, char address[BIND_ADDRESS_SIZE])
{
	unsigned int domain = 0, bus, slot, function;
	int end = 0;

	if (sscanf(text, "%x:%x:%x.%x%n", &domain, &bus, &slot, &function, &end) != 4 ||
	    text[end]) {
		domain = 0;
		end = 0;
		if (sscanf(text, "%x:%x.%x%n", &bus, &slot, &function, &end) != 3 || text[end])
			return false;
	}
	return snprintf(address, BIND_ADDRESS_SIZE, "%04x:%02x:%02x.%x", domain, bus, slot,
			function) < BIND_ADDRESS_SIZE;
}

/* The rule of a slot that is empty by now; -1: there is none, or the slot is not empty. */
static int forget_absent(const struct bind_env *env, const struct cmd_options *options)
{
	char address[BIND_ADDRESS_SIZE], path[PATH_MAX], why[BIND_WHY_SIZE] = "";
	unsigned int removed;
	int err;

	if (!options->forget || options->dry_run || options->query.address_count != 1 ||
	    options->query.slot || options->query.id ||
	    !full_address(options->query.addresses[0], address) ||
	    !sysfs_resolve(env, SYSFS_DEVICES, address, path) ||
	    !persist_has(env, address, PERSIST_BY_SLOT))
		return -1;
	err = persist_remove(env, address, PERSIST_BY_SLOT, &removed);
	if (err) {
		bind_why(why, err, "the rule in %s", env->rules);
		return cmd_error(address, "unbind", err, why);
	}
	printf("%s: rule removed, there is no such device\n", address);
	return CMD_OK;
}

static enum cmd_status unbind_run(const struct bind_env *env, const struct cmd_options *options)
{
	struct bind_call call = {
		.env = env,
		.options = options,
		.action = "unbind",
		.verb = JOB_UNBIND,
		.persist = options->forget ? PERSIST_FORGET : PERSIST_NONE,
		.check = unbind_check,
		.change = unbind_device,
		.done = "unbound",
	};
	int status;

	if (bind_call_selects(options) == options->query.ours)
		return cmd_usage("unbind", "say which devices: ADDRESS, -s or -d; or else --all",
				 "");
	status = forget_absent(env, options);
	return status >= 0 ? (enum cmd_status)status : bind_call_run(&call, &options->query);
}

const struct cmd cmd_unbind = { "unbind", unbind_help, unbind_options, unbind_run, CMD_DEVICES };
