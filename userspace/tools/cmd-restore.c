// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci restore: what calls that failed or were killed have left. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/bind-call.h"

static const struct option restore_options[] = {
	CMD_OPTION_FORCE, CMD_OPTION_DRY_RUN, CMD_OPTION_JSON, CMD_OPTION_HELP, { 0 }
};

static const char restore_help[] =
	"put right what a call that failed or was killed has left\n"
	"\n"
	"usage: userpci restore [--force] [--dry-run] [--json] [-s SLOT] [-d ID] [ADDRESS]...\n"
	"\n" BIND_HELP_SELECT
	"  --force     even a device that a process has open: it loses it\n" BIND_HELP_RUN "\n"
	"Without a choice of devices: all for which a bind or an unbind did not get to its\n"
	"end. The bind is undone, the unbind done. Devices that are bound stay so. Records\n"
	"that hold no longer, because others have given the device away or the machine was\n"
	"started anew, are told of and removed. With a choice it does what 'unbind' does.\n";

static void drop_record(const struct bind_env *env, const struct bind_device *now, const char *why)
{
	fprintf(stderr, "userpci: %s: restore: note: its record is removed: %s; its driver is %s\n",
		now->address, why, now->driver[0] ? now->driver : "none");
	state_forget(env, now->address);
}

/* Whether there is something left to do. A record that holds no longer is of no use. */
static bool is_unfinished(const struct bind_env *env, const char *address, bool dry_run)
{
	const char *why = "the device is gone, or another one";
	struct bind_device now = { 0 };
	struct bind_state state;
	bool unfinished = false;

	snprintf(now.address, sizeof(now.address), "%s", address);
	bind_device_read(env, &now);
	if (!state_load(env, address, &state)) {
		unfinished = now.recorded && state.returning;
		why = state.old ? "the machine was started anew since"
				: "others have given the device away since";
	}
	state_free(&state);
	if (!now.recorded && !dry_run)
		drop_record(env, &now, why);
	return unfinished;
}

/* Leaves in @addresses, which it returns the number of, those that are unfinished. */
static size_t find_unfinished(const struct bind_call *call, char **addresses)
{
	size_t kept = 0;

	for (size_t i = 0; addresses && addresses[i]; i++) {
		if (is_unfinished(call->env, addresses[i], call->options->dry_run)) {
			char *found = addresses[i];

			addresses[i] = addresses[kept];
			addresses[kept++] = found;
		}
	}
	return kept;
}

static enum cmd_status restore_all(struct bind_call *call)
{
	struct bind_query query = { 0 };
	enum cmd_status status = CMD_OK;
	char **addresses;
	const bool dry_run = call->options->dry_run;
	int lock = dry_run ? -1 : state_lock(call->env), err;

	if (lock < 0 && !dry_run)
		return cmd_error(NULL, call->action, lock, call->env->state);
	err = dry_run ? 0 : bind_call_recover(call);
	if (dry_run)
		bind_report_pending(call);
	addresses = state_list(call->env);
	query.address_count = find_unfinished(call, addresses);
	query.addresses = (const char *const *)addresses;
	if (lock >= 0)
		close(lock);
	if (err)
		status = cmd_error(NULL, call->action, err,
				   "what an earlier call has left in /run/userpci/job");
	else if (query.address_count)
		status = bind_call_run(call, &query);
	sysfs_list_free(addresses);
	return status;
}

static enum cmd_status restore_run(const struct bind_env *env, const struct cmd_options *options)
{
	struct bind_call call = {
		.env = env,
		.options = options,
		.action = "restore",
		.verb = JOB_UNBIND,
		.check = unbind_check,
		.change = unbind_device,
		.done = "unbound",
	};

	return bind_call_selects(options) ? bind_call_run(&call, &options->query)
					  : restore_all(&call);
}

const struct cmd cmd_restore = { "restore", restore_help, restore_options, restore_run,
				 CMD_DEVICES };
