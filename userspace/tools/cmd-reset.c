// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci reset: resets a function. */
#include <errno.h>
#include <stdio.h>

#include "target.h"

static const struct option reset_options[] = { CMD_OPTION_JSON, CMD_OPTION_HELP, { 0 } };

static const char reset_help[] =
	"reset a device\n"
	"\n"
	"usage: userpci reset [--json] ADDRESS\n"
	"\n"
	"  ADDRESS   [DDDD:]BB:DD.F of a bound device, or qemu:DEVICE\n"
	"\n"
	"Takes the best way that there is for this function alone, and fails where there is\n"
	"none. Bus mastering is off afterwards.\n";

static enum cmd_status reset(struct target *target, bool json)
{
	int err = userpci_reset(target->device);
	struct json j = { 0 };

	if (err == -EOPNOTSUPP)
		return cmd_fail(target->address, "reset", "this function has no reset of its own");
	if (err)
		return cmd_error(target->address, "reset", err, "");
	if (!json) {
		printf("%s: reset\n", target_name(target));
		return CMD_OK;
	}
	json_object(&j, NULL);
	json_text(&j, "command", "reset");
	json_text(&j, "address", target_name(target));
	json_object_end(&j);
	return CMD_OK;
}

static enum cmd_status reset_run(const struct bind_env *env, const struct cmd_options *options)
{
	struct target target;
	enum cmd_status status;

	(void)env;
	status = target_words("reset", options, 0, 0, "");
	if (status)
		return status;
	status = target_open(&target, "reset", options->query.addresses[0], true);
	if (status)
		return status;
	status = reset(&target, options->json);
	target_close(&target);
	return status;
}

const struct cmd cmd_reset = { "reset", reset_help, reset_options, reset_run, CMD_ADDRESS };
