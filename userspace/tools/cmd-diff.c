// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci diff: what is different between two dumps, or between a dump and now. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "run.h"
#include "terminal.h"
#include "tools/trace-names.h"

#define PROGRESS_US 200000

static const struct option diff_options[] = {
	CMD_OPTION_REGION, CMD_OPTION_OFFSET, CMD_OPTION_LENGTH,
	CMD_OPTION_WIDTH,  CMD_OPTION_NAMES,  CMD_OPTION_INTERVAL,
	CMD_OPTION_JSON,   CMD_OPTION_HELP,   { 0 }
};

static const char diff_help[] =
	"show which registers differ, between dumps or in a device\n"
	"\n"
	"usage: userpci diff [--json] FILE FILE\n"
	"       userpci diff [--json] FILE ADDRESS\n"
	"       userpci diff [--region REGION] [--offset N] [--length N] [--width BITS]\n"
	"                    [--names] [--interval S] [--json] ADDRESS [REGISTER=VALUE]...\n"
	"\n"
	"  FILE        what 'userpci dump' has printed\n"
	"  ADDRESS     [DDDD:]BB:DD.F of a bound device, or qemu:DEVICE: what it has now\n"
	"  --interval  without a FILE: the time between the first look and the second\n"
	"  REGISTER=VALUE   written in between, as by poke\n"
	"  other options    what to read, as for dump\n"
	"\n"
	"Prints REGION REGISTER: BEFORE -> AFTER (BITS THAT CHANGED). The exit status is 3 if\n"
	"there is a difference. A word with a ':' is an address, but for ./a:b.\n";

/* One of the two that are compared: a file, or else a device. */
struct side {
	const char *name;
	struct dump_file file;
	struct place place; /* with its value, while @got is 1 */
	int got;
};

struct diff {
	bool json;
	const struct userpci_register *names;
	const char *address; /* of the device in JSON; NULL: none is open */
	uint64_t differences;
	int64_t progress_us;
	uint64_t done; /* registers */
};

/* --- What is printed --- */

/* A register, and what it is on the two sides; NULL: it is not there. */
struct difference {
	struct place place;
	const uint64_t *before, *after;
};

static void json_side(struct json *json, const char *key, const struct difference *d,
		      const uint64_t *value)
{
	if (value)
		json_hex(json, key, *value, d->place.width);
	else
		json_null(json, key);
}

static void print_json(const struct diff *diff, const struct difference *d)
{
	struct json json = { 0 };

	json_object(&json, NULL);
	json_text(&json, "command", "diff");
	json_text(&json, "address", diff->address);
	target_json_place(&json, &d->place);
	json_side(&json, "before", d, d->before);
	json_side(&json, "after", d, d->after);
	json_object_end(&json);
}

static void print_side(const struct difference *d, const uint64_t *value,
		       enum terminal_colour colour)
{
	if (value)
		printf("%s0x%0*" PRIx64 "%s", terminal_colour(colour), (int)(2 * d->place.width),
		       *value, terminal_colour(TERMINAL_PLAIN));
	else
		printf("nothing");
}

static void print_text(const struct difference *d)
{
	char text[PLACE_TEXT_SIZE];

	printf("%s: ", place_text(&d->place, text));
	print_side(d, d->before, TERMINAL_RED);
	printf(" -> ");
	print_side(d, d->after, TERMINAL_GREEN);
	if (d->before && d->after)
		printf(" (0x%0*" PRIx64 ")", (int)(2 * d->place.width), *d->before ^ *d->after);
	putchar('\n');
}

static void print_difference(struct diff *diff, const struct place *place, const uint64_t *before,
			     const uint64_t *after)
{
	struct difference d = { .place = *place, .before = before, .after = after };

	diff->differences++;
	if (!d.place.name[0])
		place_name(place->region == PLACE_CONFIG ? place_config_names : diff->names,
			   &d.place);
	run_progress_end();
	if (diff->json)
		print_json(diff, &d);
	else
		print_text(&d);
}

static void progress(struct diff *diff)
{
	diff->done++;
	if (!run_has_progress() || run_now_us() < diff->progress_us)
		return;
	run_progress("diff: %" PRIu64 " registers", diff->done);
	diff->progress_us = run_now_us() + PROGRESS_US;
}

/* --- Files --- */

static enum cmd_status file_error(const struct side *side, int err)
{
	if (err != -EINVAL)
		return cmd_error(side->name, "diff", err, "");
	if (!side->file.line)
		return cmd_fail(side->name, "diff", "not what 'userpci dump' prints");
	return cmd_fail(side->name, "diff", "line %u is not what 'userpci dump' prints",
			side->file.line);
}

static enum cmd_status side_open(struct side *side, const char *path)
{
	int err;

	*side = (struct side){ .name = path };
	err = dump_open(&side->file, path);
	return err ? file_error(side, err) : CMD_OK;
}

static enum cmd_status side_next(struct side *side)
{
	side->got = dump_next(&side->file, &side->place);
	return side->got < 0 ? file_error(side, side->got) : CMD_OK;
}

/* Who has names for the registers of "8086:10d3". */
static const struct userpci_register *names_of(const char *id)
{
	struct userpci_info info = { 0 };
	unsigned int vendor, device;

	if (sscanf(id, "%4x:%4x", &vendor, &device) != 2)
		return NULL;
	info.vendor_id = (uint16_t)vendor;
	info.device_id = (uint16_t)device;
	return trace_names(&info);
}

/* The one whose register comes first goes on, or both. */
static enum cmd_status compare_next(struct diff *diff, struct side *before, struct side *after)
{
	bool has_before = before->got == 1, has_after = after->got == 1;
	enum cmd_status status = CMD_OK;

	if (has_before && has_after && before->place.offset == after->place.offset &&
	    before->place.width != after->place.width)
		return cmd_fail(after->name, "diff", "line %u: other widths than in %s",
				after->file.line, before->name);
	if (has_before && has_after && before->place.offset != after->place.offset) {
		has_before = before->place.offset < after->place.offset;
		has_after = !has_before;
	}
	if (!has_before || !has_after || before->place.value != after->place.value)
		print_difference(diff, has_before ? &before->place : &after->place,
				 has_before ? &before->place.value : NULL,
				 has_after ? &after->place.value : NULL);
	if (has_before)
		status = side_next(before);
	if (!status && has_after)
		status = side_next(after);
	return status;
}

static enum cmd_status compare_files(struct diff *diff, struct side *before, struct side *after)
{
	enum cmd_status status;

	if (before->file.region != after->file.region || strcmp(before->file.id, after->file.id))
		return cmd_fail(after->name, "diff", "has %s %s, but %s has %s %s", after->file.id,
				place_region_text(after->file.region), before->name,
				before->file.id, place_region_text(before->file.region));
	diff->names = names_of(before->file.id);
	status = side_next(before);
	if (!status)
		status = side_next(after);
	while (!status && (before->got == 1 || after->got == 1)) {
		progress(diff);
		status = compare_next(diff, before, after);
	}
	return status;
}

static enum cmd_status diff_files(struct diff *diff, const char *first, const char *second)
{
	enum cmd_status status;
	struct side before, after;

	status = side_open(&before, first);
	if (status)
		return status;
	status = side_open(&after, second);
	if (!status)
		status = compare_files(diff, &before, &after);
	dump_close(&after.file);
	dump_close(&before.file);
	return status;
}

/* --- A file and a device --- */

static enum cmd_status compare_device(struct diff *diff, struct side *before, struct target *target)
{
	const struct userpci_info *info = userpci_info(target->device);
	enum cmd_status status;
	struct place after;
	char id[16];

	snprintf(id, sizeof(id), "%04x:%04x", info->vendor_id, info->device_id);
	if (strcmp(id, before->file.id))
		return cmd_fail(target->address, "diff", "is %s, but %s has %s", id, before->name,
				before->file.id);
	diff->names = target->names;
	diff->address = target_name(target);
	status = side_next(before);
	while (!status && before->got == 1) {
		progress(diff);
		after = before->place;
		status = target_read(target, &after, &after.value);
		if (!status && after.value != before->place.value)
			print_difference(diff, &after, &before->place.value, &after.value);
		if (!status)
			status = side_next(before);
	}
	return status;
}

static enum cmd_status diff_device(struct diff *diff, const char *path, const char *address)
{
	struct target target;
	enum cmd_status status;
	struct side before;

	status = side_open(&before, path);
	if (status)
		return status;
	status = target_open(&target, "diff", address, false);
	if (!status) {
		status = compare_device(diff, &before, &target);
		target_close(&target);
	}
	dump_close(&before.file);
	return status;
}

/* --- A device, twice --- */

static enum cmd_status read_all(struct diff *diff, struct target *target, struct dump_range *range,
				struct place *places, size_t *count)
{
	enum cmd_status status = CMD_OK;

	for (*count = 0; dump_range_next(range, &places[*count]); (*count)++) {
		progress(diff);
		status = target_read(target, &places[*count], &places[*count].value);
		if (status)
			break;
	}
	return status;
}

/* Between the two looks. */
static enum cmd_status change(struct target *target, const struct cmd_options *options)
{
	enum cmd_status status;
	struct place *places;
	size_t count = options->query.address_count - 1;

	status = target_places(target, options, options->query.addresses + 1, count, true, &places);
	if (status)
		return status;
	for (size_t i = 0; i < count && !status; i++)
		status = places[i].write ? target_write(target, &places[i])
					 : cmd_usage("diff", "no value for ",
						     options->query.addresses[i + 1]);
	free(places);
	if (!status)
		run_sleep_us(options->interval_us);
	return status;
}

static enum cmd_status compare_twice(struct diff *diff, struct target *target,
				     const struct cmd_options *options, struct dump_range *range)
{
	size_t max = range->places ? range->count : range->bytes / range->width, count;
	struct place *places = calloc(max + 1, sizeof(*places)), after;
	enum cmd_status status;

	if (!places)
		return cmd_error(target->address, "diff", -ENOMEM, "use --length");
	status = read_all(diff, target, range, places, &count);
	if (!status)
		status = change(target, options);
	for (size_t i = 0; i < count && !status; i++) {
		progress(diff);
		after = places[i];
		status = target_read(target, &after, &after.value);
		if (!status && after.value != places[i].value)
			print_difference(diff, &after, &places[i].value, &after.value);
	}
	free(places);
	return status;
}

static enum cmd_status diff_twice(struct diff *diff, const struct cmd_options *options)
{
	struct dump_range range = { 0 };
	struct target target;
	enum cmd_status status;

	status = target_open(&target, "diff", options->query.addresses[0],
			     options->query.address_count > 1);
	if (status)
		return status;
	diff->names = target.names;
	diff->address = target_name(&target);
	status = dump_range(&target, options, &range);
	if (!status)
		status = compare_twice(diff, &target, options, &range);
	dump_range_free(&range);
	target_close(&target);
	return status;
}

/* --- The command --- */

static bool is_address(const char *word)
{
	size_t length = strcspn(word, ":/");

	return word[length] == ':';
}

static enum cmd_status diff_run(const struct bind_env *env, const struct cmd_options *options)
{
	const char *const *words = options->query.addresses;
	size_t count = options->query.address_count;
	struct diff diff = {
		.json = options->json,
		.progress_us = run_now_us() + PROGRESS_US,
	};
	enum cmd_status status;

	(void)env;
	if (!count)
		return cmd_usage("diff", "FILE or ADDRESS is missing", "");
	if (!is_address(words[0]) && count != 2)
		return cmd_usage("diff",
				 count < 2 ? "a second FILE, or an ADDRESS, is missing"
					   : "one too many: ",
				 count < 2 ? "" : words[2]);
	if (!is_address(words[0]) &&
	    (options->region || options->width || options->names || options->interval_us ||
	     cmd_given(options, CMD_OFFSET) || cmd_given(options, CMD_LENGTH)))
		return cmd_usage("diff", "a FILE says what is compared: only --json", "");
	if (is_address(words[0]))
		status = diff_twice(&diff, options);
	else if (is_address(words[1]))
		status = diff_device(&diff, words[0], words[1]);
	else
		status = diff_files(&diff, words[0], words[1]);
	run_progress_end();
	return !status && diff.differences ? CMD_NO : status;
}

const struct cmd cmd_diff = { "diff", diff_help, diff_options, diff_run, CMD_FILES };
