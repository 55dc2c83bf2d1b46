// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci bind and userpci unbind. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/cmd.h"

#define HELP_SELECT                                                        \
	"  -s SLOT     [[[domain]:]bus]:][slot][.function], as lspci -s\n" \
	"  -d ID       [vendor]:[device][:class[:progif]], as lspci -d\n"  \
	"  ADDRESS     [DDDD:]BB:DD.F\n"

#define HELP_DRIVER                                                                     \
	"  --driver    another driver that hands devices to user space: vfio-pci, or\n" \
	"              uio_pci_generic; then on unbind, too\n"

static const struct option bind_options[] = {
	CMD_OPTION_DRIVER, CMD_OPTION_FORCE, CMD_OPTION_DRY_RUN, CMD_OPTION_HELP, { 0 }
};

static const char bind_help[] =
	"take devices from their drivers and give them to user space\n"
	"\n"
	"usage: userpci bind [--driver NAME] [--force] [--dry-run] [-s SLOT] [-d ID]\n"
	"                    [ADDRESS]...\n"
	"\n" HELP_SELECT HELP_DRIVER "  --force     even a device that is in use\n"
	"  --dry-run   check, and say what would be done\n"
	"\n"
	"All of the devices or none: after a failure those before it are put back.\n";

static const struct option unbind_options[] = { CMD_OPTION_ALL,	  CMD_OPTION_DRIVER,
						CMD_OPTION_FORCE, CMD_OPTION_DRY_RUN,
						CMD_OPTION_HELP,  { 0 } };

static const char unbind_help[] =
	"give devices back to the drivers that they had\n"
	"\n"
	"usage: userpci unbind [--driver NAME] [--force] [--dry-run] [-s SLOT] [-d ID]\n"
	"                      [ADDRESS]...\n"
	"       userpci unbind [--driver NAME] [--force] [--dry-run] --all\n"
	"\n" HELP_SELECT "  --all       every device that userpci has, or has claimed\n"
	"  --driver    the driver that has them, as on bind\n"
	"  --force     even a device that a process has open: it loses it\n"
	"  --dry-run   check, and say what would be done\n";

static void print_change(const char *address, const char *before, const char *after,
			 const char *remark)
{
	printf("%s: %s -> %s%s\n", address, before[0] ? before : "no driver",
	       after[0] ? after : "no driver", remark);
}

static enum cmd_status unbind_one(const struct bind_env *env, const struct bind_device *device,
				  const char *before, const char *remark)
{
	struct bind_device after = *device;
	char why[BIND_WHY_SIZE];
	int err = unbind_device(env, device->address, why);

	if (err)
		return cmd_error(device->address, "unbind", err, why);
	bind_device_read(env, &after);
	print_change(device->address, before, after.driver, remark);
	if (why[0])
		fprintf(stderr, "userpci: %s: unbind: note: %s\n", device->address, why);
	return CMD_OK;
}

static enum cmd_status unbind_list(const struct bind_env *env, const struct bind_list *list)
{
	enum cmd_status status = CMD_OK;

	for (size_t i = 0; i < list->count; i++)
		if (unbind_one(env, &list->devices[i], list->devices[i].driver, ""))
			status = CMD_FAILURE;
	return status;
}

static enum cmd_status bind_one(const struct bind_env *env, const struct bind_device *device)
{
	char why[BIND_WHY_SIZE];
	int err;

	if (device->bound) {
		printf("%s: already bound to %s\n", device->address, bind_driver(env));
		return CMD_OK;
	}
	err = bind_device(env, device->address, why);
	if (err)
		return cmd_error(device->address, "bind", err, why);
	print_change(device->address, device->driver, bind_driver(env), "");
	return CMD_OK;
}

static enum cmd_status bind_list(const struct bind_env *env, const struct bind_list *list)
{
	size_t i = 0;

	while (i < list->count && !bind_one(env, &list->devices[i]))
		i++;
	if (i == list->count)
		return CMD_OK;
	while (i-- > 0)
		if (!list->devices[i].bound) /* not before this call */
			unbind_one(env, &list->devices[i], bind_driver(env), ", put back");
	return CMD_FAILURE;
}

struct job {
	const char *action;
	void (*check)(const struct bind_facts *facts, const struct bind_device *device,
		      const struct bind_list *with, struct bind_reasons *reasons);
	enum cmd_status (*apply)(const struct bind_env *env, const struct bind_list *list);
};

static void check_unbind(const struct bind_facts *facts, const struct bind_device *device,
			 const struct bind_list *with, struct bind_reasons *reasons)
{
	(void)with;
	unbind_check(facts, device, reasons);
}

/* One device: a line for each reason against it. */
static enum cmd_status check_one(const struct bind_facts *facts, const struct cmd_options *options,
				 const struct job *job, const struct bind_device *device,
				 const struct bind_list *list)
{
	enum cmd_status status = CMD_OK;
	struct bind_reasons reasons;

	job->check(facts, device, list, &reasons);
	for (size_t i = 0; i < reasons.count; i++) {
		const struct bind_reason *reason = &reasons.items[i];

		if (options->force && reason->can_force)
			continue;
		status = cmd_error(device->address, job->action, reason->err, reason->text);
	}
	if (!status && options->dry_run)
		printf("%s: would %s, driver=%s\n", device->address, job->action,
		       device->driver[0] ? device->driver : "-");
	return status;
}

/* Every device, before anything changes: all that is wrong is told at once. */
static enum cmd_status check_list(const struct bind_env *env, const struct cmd_options *options,
				  const struct job *job, const struct bind_list *list)
{
	enum cmd_status status = CMD_OK;
	struct bind_facts *facts;
	int err = bind_facts_get(env, true, &facts);

	if (err)
		return cmd_error(NULL, job->action, err, "cannot see what is in use");
	for (size_t i = 0; i < list->count; i++)
		if (check_one(facts, options, job, &list->devices[i], list))
			status = CMD_FAILURE;
	bind_facts_free(facts);
	return status;
}

static enum cmd_status run_locked(const struct bind_env *env, const struct cmd_options *options,
				  const struct job *job, const struct bind_list *list)
{
	enum cmd_status status;
	int lock;

	lock = state_lock(env);
	if (lock < 0)
		return cmd_error(NULL, job->action, lock, env->state);
	for (size_t i = 0; i < list->count; i++)
		bind_device_read(env, &list->devices[i]); /* another call may just have ended */
	status = check_list(env, options, job, list);
	if (!status)
		status = job->apply(env, list);
	close(lock);
	return status;
}

static enum cmd_status run(const struct bind_env *env, const struct cmd_options *options,
			   const struct job *job)
{
	struct bind_list list;
	enum cmd_status status = cmd_gather(env, options, job->action, &list);

	if (status)
		return status;
	if (options->dry_run)
		status = check_list(env, options, job, &list);
	else
		status = run_locked(env, options, job, &list);
	bind_list_free(&list);
	return status;
}

static bool has_selection(const struct cmd_options *options)
{
	return options->query.slot || options->query.id || options->query.address_count;
}

static enum cmd_status bind_run(const struct bind_env *env, const struct cmd_options *options)
{
	static const struct job job = { "bind", bind_check, bind_list };

	if (!has_selection(options))
		return cmd_usage("bind", "say which devices: ADDRESS, -s or -d", "");
	return run(env, options, &job);
}

static enum cmd_status unbind_run(const struct bind_env *env, const struct cmd_options *options)
{
	static const struct job job = { "unbind", check_unbind, unbind_list };

	if (has_selection(options) == options->query.ours)
		return cmd_usage("unbind", "say which devices: ADDRESS, -s or -d; or else --all",
				 "");
	return run(env, options, &job);
}

const struct cmd cmd_bind = { "bind", bind_help, bind_options, bind_run, CMD_DEVICES };
const struct cmd cmd_unbind = { "unbind", unbind_help, unbind_options, unbind_run, CMD_DEVICES };
