// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci poke: writes registers, and reads some in between. */
#include <stdlib.h>

#include "target.h"

static const struct option poke_options[] = {
	CMD_OPTION_REGION, CMD_OPTION_WIDTH, CMD_OPTION_JSON, CMD_OPTION_HELP, { 0 }
};

static const char poke_help[] =
	"write registers\n"
	"\n"
	"usage: userpci poke [--region REGION] [--width BITS] [--json] ADDRESS\n"
	"                    REGISTER=VALUE[:MASK]...\n"
	"\n"
	"  ADDRESS    [DDDD:]BB:DD.F of a bound device, or qemu:DEVICE\n"
	"  REGISTER   as for peek; without a value it is read, and printed as by peek\n"
	"  VALUE      12 or 0x1f\n"
	"  MASK       the register is read, and only these bits are changed\n"
	"  --region, --width   as for peek\n"
	"\n"
	"In the order of the command line. It owns the device meanwhile: when it ends the\n"
	"device is reset, where it can be. So put what belongs together into one command.\n"
	"Configuration space is written where a driver may.\n";

static enum cmd_status poke(struct target *target, const struct cmd_options *options)
{
	size_t count = options->query.address_count - 1;
	struct place *places;
	enum cmd_status status;
	uint64_t value;

	status = target_places(target, options, options->query.addresses + 1, count, true, &places);
	if (status)
		return status;
	for (size_t i = 0; i < count && !status; i++) {
		if (places[i].write) {
			status = target_write(target, &places[i]);
			continue;
		}
		status = target_read(target, &places[i], &value);
		if (!status)
			target_print(target, options->json, &places[i], value);
	}
	free(places);
	return status ? status : target_check(target);
}

static enum cmd_status poke_run(const struct bind_env *env, const struct cmd_options *options)
{
	struct target target;
	enum cmd_status status;

	(void)env;
	status = target_words("poke", options, 1, SIZE_MAX - 1, "REGISTER=VALUE");
	if (status)
		return status;
	status = target_open(&target, "poke", options->query.addresses[0], true);
	if (status)
		return status;
	status = poke(&target, options);
	target_close(&target);
	return status;
}

const struct cmd cmd_poke = { "poke", poke_help, poke_options, poke_run, CMD_REGISTERS };
