// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci watch: waits for a register to change, or to have a value. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "run.h"
#include "target.h"

#define INTERVAL_US 10000
#define PROGRESS_US 500000

static const struct option watch_options[] = { CMD_OPTION_MASK,	    CMD_OPTION_VALUE,
					       CMD_OPTION_COUNT,    CMD_OPTION_TIMEOUT,
					       CMD_OPTION_INTERVAL, CMD_OPTION_REGION,
					       CMD_OPTION_WIDTH,    CMD_OPTION_JSON,
					       CMD_OPTION_HELP,	    { 0 } };

static const char watch_help[] =
	"wait for a register to change, or to have a value\n"
	"\n"
	"usage: userpci watch [--mask MASK] [--value VALUE] [--count N] [--timeout S]\n"
	"                     [--interval S] [--region REGION] [--width BITS] [--json]\n"
	"                     ADDRESS REGISTER [REGISTER=VALUE]...\n"
	"\n"
	"  ADDRESS     [DDDD:]BB:DD.F of a bound device, or qemu:DEVICE\n"
	"  REGISTER    as for peek\n"
	"  REGISTER=VALUE   written after the first look, as by poke\n"
	"  --mask      only these bits count; default: all\n"
	"  --value     until the bits of the mask are this; default: until one changes\n"
	"  --count     so many times; default 1\n"
	"  --timeout   the most time; default: without end\n"
	"  --interval  between two reads; default 10ms\n"
	"  --region, --width   as for peek\n"
	"\n"
	"Prints REGION REGISTER: BEFORE -> NOW after SECONDS s, for each time. The exit status\n"
	"is 3 if it did not come to that.\n";

struct watch {
	struct target target;
	const struct cmd_options *options;
	struct place *places; /* what is watched, then what is written */
	size_t count;
	uint64_t mask, before, value;
	int64_t begin_us, progress_us;
};

static double seconds(const struct watch *watch)
{
	return (double)(run_now_us() - watch->begin_us) / 1e6;
}

static void print_json(const struct watch *watch, bool met)
{
	const struct place *place = &watch->places[0];
	struct json json = { 0 };

	json_object(&json, NULL);
	json_text(&json, "command", "watch");
	json_text(&json, "address", target_name(&watch->target));
	target_json_place(&json, place);
	json_decimal(&json, "seconds", seconds(watch));
	json_hex(&json, "before", watch->before, place->width);
	json_hex(&json, "value", watch->value, place->width);
	json_bool(&json, "met", met);
	json_object_end(&json);
}

static void print_met(const struct watch *watch)
{
	const struct place *place = &watch->places[0];
	int digits = (int)(2 * place->width);
	char text[PLACE_TEXT_SIZE];

	run_progress_end();
	if (watch->options->json) {
		print_json(watch, true);
		return;
	}
	printf("%s: 0x%0*" PRIx64 " -> 0x%0*" PRIx64 " after %.3f s\n", place_text(place, text),
	       digits, watch->before, digits, watch->value, seconds(watch));
	fflush(stdout);
}

static enum cmd_status print_missed(const struct watch *watch)
{
	const struct place *place = &watch->places[0];
	char text[PLACE_TEXT_SIZE];

	run_progress_end();
	if (watch->options->json)
		print_json(watch, false);
	cmd_fail(watch->target.address, "watch", "%s: still 0x%0*" PRIx64 " after %.3f s",
		 place_text(place, text), (int)(2 * place->width), watch->value, seconds(watch));
	return CMD_NO;
}

static bool is_met(const struct watch *watch)
{
	if (cmd_given(watch->options, CMD_VALUE))
		return (watch->value & watch->mask) == watch->options->value;
	return (watch->value & watch->mask) != (watch->before & watch->mask);
}

static void progress(struct watch *watch)
{
	const struct place *place = &watch->places[0];
	char text[PLACE_TEXT_SIZE];

	if (!run_has_progress() || run_now_us() < watch->progress_us)
		return;
	run_progress("watch: %s: 0x%0*" PRIx64 ", %.0f s", place_text(place, text),
		     (int)(2 * place->width), watch->value, seconds(watch));
	watch->progress_us = run_now_us() + PROGRESS_US;
}

static bool is_over(const struct watch *watch)
{
	int64_t timeout_us = watch->options->timeout_us;

	return run_stopped() || (timeout_us && run_now_us() - watch->begin_us >= timeout_us);
}

/* Until it is as @met says; or the time is over, or a signal came: CMD_NO. */
static enum cmd_status wait_until(struct watch *watch, bool met)
{
	int64_t interval_us = watch->options->interval_us;
	enum cmd_status status;

	for (;;) {
		status = target_read(&watch->target, &watch->places[0], &watch->value);
		if (status)
			return status;
		if (is_met(watch) == met)
			return CMD_OK;
		if (is_over(watch))
			return print_missed(watch);
		progress(watch);
		run_sleep_us(interval_us ? interval_us : INTERVAL_US);
	}
}

static enum cmd_status watch_loop(struct watch *watch)
{
	uint64_t times = watch->options->count ? watch->options->count : 1;
	enum cmd_status status;

	watch->begin_us = run_now_us();
	watch->progress_us = watch->begin_us + PROGRESS_US;
	status = target_read(&watch->target, &watch->places[0], &watch->before);
	for (size_t i = 1; i < watch->count && !status; i++)
		status = target_write(&watch->target, &watch->places[i]);
	while (!status) {
		status = wait_until(watch, true);
		if (status)
			break;
		print_met(watch);
		watch->before = watch->value;
		if (!--times)
			break;
		/* A value stays; the next time is when it was another in between. */
		if (cmd_given(watch->options, CMD_VALUE))
			status = wait_until(watch, false);
	}
	run_progress_end();
	return status;
}

/* One register, and then values for others. */
static enum cmd_status check_places(const struct watch *watch)
{
	const char *const *words = watch->options->query.addresses + 1;
	uint64_t ones = place_ones(watch->places[0].width);

	if (watch->places[0].write)
		return cmd_usage("watch", "first the register to watch, without a value, not ",
				 words[0]);
	for (size_t i = 1; i < watch->count; i++)
		if (!watch->places[i].write)
			return cmd_usage("watch", "one register is watched; no value for ",
					 words[i]);
	if (cmd_given(watch->options, CMD_VALUE) && watch->options->value & ~(watch->mask & ones))
		return cmd_usage("watch", "--value has bits that the register, or --mask, has not",
				 "");
	return CMD_OK;
}

static enum cmd_status watch_run(const struct bind_env *env, const struct cmd_options *options)
{
	struct watch watch = {
		.options = options,
		.mask = cmd_given(options, CMD_MASK) ? options->mask : UINT64_MAX,
	};
	enum cmd_status status = target_words("watch", options, 1, SIZE_MAX - 1, "REGISTER");

	(void)env;
	if (status)
		return status;
	watch.count = options->query.address_count - 1;
	run_catch_signals();
	status = target_open(&watch.target, "watch", options->query.addresses[0], watch.count > 1);
	if (status)
		return status;
	status = target_places(&watch.target, options, options->query.addresses + 1, watch.count,
			       true, &watch.places);
	if (!status) {
		status = check_places(&watch);
		if (!status)
			status = watch_loop(&watch);
		free(watch.places);
	}
	target_close(&watch.target);
	return status;
}

const struct cmd cmd_watch = { "watch", watch_help, watch_options, watch_run, CMD_REGISTERS };
