// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci dump: reads a whole region, or configuration space. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.h"
#include "run.h"

#define PROGRESS_US 200000

static const struct option dump_options[] = {
	CMD_OPTION_REGION, CMD_OPTION_OFFSET, CMD_OPTION_LENGTH,
	CMD_OPTION_WIDTH,  CMD_OPTION_NAMES,  CMD_OPTION_OUTPUT,
	CMD_OPTION_JSON,   CMD_OPTION_HELP,   { 0 }
};

static const char dump_help[] =
	"read a region, or configuration space\n"
	"\n"
	"usage: userpci dump [--region REGION] [--offset N] [--length N] [--width BITS]\n"
	"                    [--names] [--output FILE] [--json] ADDRESS\n"
	"\n"
	"  ADDRESS    [DDDD:]BB:DD.F of a bound device, or qemu:DEVICE\n"
	"  --region   0 to 5, or config, which is the default\n"
	"  --offset   from there on; default 0\n"
	"  --length   so many bytes; default: to the end\n"
	"  --width    8, 16, 32 or 64 bits an access; default 32\n"
	"  --names    only the registers that have names\n"
	"  --output   into this file\n"
	"\n"
	"Each register is read once, by an access of that width, which may have an effect in\n"
	"the device. 'userpci diff' compares what is printed with another time.\n";

static void print_json_head(struct json *json, const struct target *target,
			    const struct dump_range *range)
{
	json_object(json, NULL);
	json_text(json, "command", "dump");
	json_text(json, "address", target_name(target));
	if (range->region == PLACE_CONFIG)
		json_text(json, "region", "config");
	else
		json_number(json, "region", range->region);
	if (!range->places) {
		json_hex(json, "offset", range->next, 4);
		json_number(json, "width", 8 * range->width);
	}
	json_array(json, range->places ? "registers" : "values");
}

static void print_json(struct json *json, const struct dump_range *range, const struct place *place,
		       uint64_t value)
{
	if (!range->places) {
		json_hex(json, NULL, value, place->width);
		return;
	}
	json_object(json, NULL);
	target_json_place(json, place);
	json_hex(json, "value", value, place->width);
	json_object_end(json);
}

static enum cmd_status dump(struct target *target, struct dump_range *range, bool to_json)
{
	int64_t next_us = run_now_us() + PROGRESS_US;
	struct dump_lines lines = { .count = 0 };
	enum cmd_status status = CMD_OK;
	struct json json = { 0 };
	/* On a terminal what is printed says it. */
	bool progress = run_has_progress() && !isatty(STDOUT_FILENO);
	struct place place;
	uint64_t value, done = 0;

	if (to_json)
		print_json_head(&json, target, range);
	else
		dump_print_head(target, range);
	while (!status && dump_range_next(range, &place)) {
		status = target_read(target, &place, &value);
		if (status)
			break;
		if (to_json)
			print_json(&json, range, &place, value);
		else
			dump_print(&lines, &place, value);
		done += place.width;
		if (progress && run_now_us() >= next_us) {
			run_progress("dump: %" PRIu64 " of %" PRIu64 " bytes", done, range->bytes);
			next_us += PROGRESS_US;
		}
	}
	run_progress_end();
	if (to_json) {
		json_array_end(&json);
		json_object_end(&json);
	} else {
		dump_print_end(&lines);
	}
	return status;
}

/* All that is printed goes there. */
static int output_begin(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (dup2(fd, STDOUT_FILENO) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* What was read before something failed is of no use in a file; a device node stays. */
static enum cmd_status output_end(const char *path, enum cmd_status status)
{
	struct stat file;

	if (!status && (fflush(stdout) || ferror(stdout))) {
		status = cmd_error(path, "dump", -errno, "");
		__fpurge(stdout); /* it is told once */
		clearerr(stdout);
	}
	if (status && !fstat(STDOUT_FILENO, &file) && S_ISREG(file.st_mode))
		unlink(path);
	return status;
}

static enum cmd_status dump_to(struct target *target, const struct cmd_options *options)
{
	struct dump_range range;
	enum cmd_status status = dump_range(target, options, &range);
	int err;

	if (!status && options->output) {
		err = output_begin(options->output);
		if (err)
			status = cmd_error(options->output, "dump", err, "");
	}
	if (!status) {
		status = dump(target, &range, options->json);
		if (options->output)
			status = output_end(options->output, status);
	}
	dump_range_free(&range);
	return status;
}

static enum cmd_status dump_run(const struct bind_env *env, const struct cmd_options *options)
{
	enum cmd_status status = target_words("dump", options, 0, 0, "");
	struct target target;

	(void)env;
	if (!status)
		status = target_open(&target, "dump", options->query.addresses[0], false);
	if (status)
		return status;
	status = dump_to(&target, options);
	target_close(&target);
	return status;
}

const struct cmd cmd_dump = { "dump", dump_help, dump_options, dump_run, CMD_ADDRESS };
