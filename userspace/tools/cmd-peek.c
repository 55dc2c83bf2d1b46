// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci peek: reads registers, and tells which have names. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "target.h"

static const struct option peek_options[] = { CMD_OPTION_NAMES, CMD_OPTION_REGION, CMD_OPTION_WIDTH,
					      CMD_OPTION_JSON,	CMD_OPTION_HELP,   { 0 } };

static const char peek_help[] =
	"read registers\n"
	"\n"
	"usage: userpci peek [--region REGION] [--width BITS] [--json] ADDRESS REGISTER...\n"
	"       userpci peek --names [--json] ADDRESS\n"
	"\n"
	"  ADDRESS    [DDDD:]BB:DD.F of a bound device, or qemu:DEVICE\n"
	"  REGISTER   [REGION:]OFFSET or NAME or NAME[N], with .b .w .l or .q behind it for\n"
	"             8, 16, 32 or 64 bits\n"
	"  --region   0 to 5, or config: of offsets that have none before them; default 0\n"
	"  --width    8, 16, 32 or 64: of registers that say nothing else; default 32, or\n"
	"             what the named one has\n"
	"  --names    list the registers that have names\n"
	"\n"
	"Prints REGION REGISTER = VALUE for each, in their order. A read may have an effect in\n"
	"the device. With the module it looks beside an owner, and changes nothing else; with\n"
	"others it owns the device meanwhile, which resets it.\n";

static void print_register(const struct target *target, const struct userpci_register *r, bool json)
{
	struct place place = { .region = r->region, .width = r->width, .offset = r->offset };
	struct json j = { 0 };

	if (!json) {
		printf("%s 0x%04" PRIx64 " %u %s", place_region_text(r->region), r->offset,
		       8 * r->width, r->name);
		if (r->count)
			printf("[0..%u] stride %u", r->count - 1, r->stride);
		putchar('\n');
		return;
	}
	snprintf(place.name, sizeof(place.name), "%s", r->name);
	json_object(&j, NULL);
	json_text(&j, "command", "peek");
	json_text(&j, "address", target_name(target));
	target_json_place(&j, &place);
	json_number(&j, "count", r->count ? r->count : 1);
	json_number(&j, "stride", r->stride ? r->stride : r->width);
	json_object_end(&j);
}

static enum cmd_status print_names(const struct target *target, bool json)
{
	const struct userpci_info *info = userpci_info(target->device);
	const struct userpci_register *r;

	if (!target->names)
		return cmd_fail(target->address, "peek",
				"no driver here has names for the registers of %04x:%04x",
				info->vendor_id, info->device_id);
	for (r = target->names; r->name; r++)
		print_register(target, r, json);
	return CMD_OK;
}

static enum cmd_status peek(struct target *target, const struct cmd_options *options)
{
	size_t count = options->query.address_count - 1;
	struct place *places;
	enum cmd_status status;
	uint64_t value;

	status = target_places(target, options, options->query.addresses + 1, count, false,
			       &places);
	if (status)
		return status;
	for (size_t i = 0; i < count && !status; i++) {
		status = target_read(target, &places[i], &value);
		if (!status)
			target_print(target, options->json, &places[i], value);
	}
	free(places);
	return status;
}

static enum cmd_status peek_run(const struct bind_env *env, const struct cmd_options *options)
{
	struct target target;
	enum cmd_status status;

	(void)env;
	status = target_words("peek", options, !options->names, options->names ? 0 : SIZE_MAX - 1,
			      "REGISTER");
	if (status)
		return status;
	status = target_open(&target, "peek", options->query.addresses[0], false);
	if (status)
		return status;
	status = options->names ? print_names(&target, options->json) : peek(&target, options);
	target_close(&target);
	return status;
}

const struct cmd cmd_peek = { "peek", peek_help, peek_options, peek_run, CMD_REGISTERS };
