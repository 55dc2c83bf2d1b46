// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci trace: shows a recording of a device, makes one of a driver, and runs a driver on it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unic/unic.h>

#include "tools/cmd.h"
#include "tools/trace-names.h"

static const struct option trace_options[] = {
	CMD_OPTION_RECORD, CMD_OPTION_REPLAY, CMD_OPTION_HELP, { 0 }
};

static const char trace_help[] =
	"show what a driver did to its device\n"
	"\n"
	"usage: userpci trace FILE\n"
	"       userpci trace --record FILE ADDRESS\n"
	"       userpci trace --replay FILE\n"
	"\n"
	"Prints a line for each record of FILE, with the time since the one before. A program\n"
	"that runs with USERPCI_TRACE=FILE records it.\n"
	"\n"
	"  --record  starts and stops the NIC driver of the device at ADDRESS, and records that\n"
	"  --replay  runs the driver in the same way without a device, on the recorded answers,\n"
	"            and says where it first does something else\n";

/* What is recorded, and replayed: a driver from its probe to its end. */
static int run_driver(const char *address)
{
	struct unic_port *port;
	struct unic_link link;
	int err;

	err = unic_open(address, NULL, &port);
	if (err)
		return err;
	err = unic_start(port);
	if (!err)
		err = unic_link(port, &link);
	unic_close(port);
	return err;
}

static enum cmd_status file_error(const char *file, int err)
{
	switch (err) {
	case -EINVAL:
		return cmd_error(file, "trace", err, "not a trace");
	case -EPROTO:
		return cmd_error(file, "trace", err, "a trace of another version");
	default:
		return cmd_error(file, "trace", err, "");
	}
}

static enum cmd_status show(const char *file)
{
	const struct userpci_register *names;
	const struct userpci_info *info;
	struct userpci_trace *trace;
	char line[256];
	int got;

	got = userpci_trace_open(file, &trace);
	if (got)
		return file_error(file, got);
	info = userpci_trace_info(trace);
	names = trace_names(info);
	printf("%s %04x:%04x\n", info->address, info->vendor_id, info->device_id);
	while ((got = userpci_trace_line(trace, names, line, sizeof(line))) > 0)
		puts(line);
	userpci_trace_close(trace);
	if (got)
		return cmd_error(file, "trace", got, "the file is damaged here");
	return CMD_OK;
}

/* So that each device of the process is recorded, the environment says it. */
static enum cmd_status record(const char *file, const char *address)
{
	FILE *created = fopen(file, "we");
	char text[256];
	int err;

	/* Here it can be said what is wrong with the file; userpci_open() has no words for it. */
	if (!created)
		return cmd_error(file, "trace", -errno, "");
	fclose(created);
	if (setenv("USERPCI_TRACE", file, 1))
		return cmd_error(file, "trace", -errno, "");
	err = run_driver(address);
	if (!err)
		return CMD_OK;
	fprintf(stderr, "userpci: trace: %s\n", unic_explain(address, err, text, sizeof(text)));
	return CMD_FAILURE;
}

static enum cmd_status no_driver(const char *file, const struct userpci_info *info)
{
	const struct unic_driver *const *driver;

	fprintf(stderr, "userpci: %s: trace: no driver to replay %04x:%04x with; there are", file,
		info->vendor_id, info->device_id);
	for (driver = unic_drivers; *driver; driver++)
		fprintf(stderr, " %s", (*driver)->name);
	fputc('\n', stderr);
	return CMD_FAILURE;
}

static enum cmd_status compare(const char *file, const struct unic_driver *driver)
{
	char *address, text[512];
	int err;

	if (asprintf(&address, "replay:%s", file) < 0)
		return cmd_error(file, "trace", -ENOMEM, "");
	err = run_driver(address);
	free(address);
	if (userpci_replay_difference(NULL, driver->registers, text, sizeof(text)) == 1) {
		fprintf(stderr, "userpci: %s: trace: %s: %s\n", file, driver->name, text);
		return CMD_FAILURE;
	}
	if (err)
		return cmd_error(file, "trace", err, "the driver fails on it, as it is recorded");
	printf("%s: %s does what is recorded\n", file, driver->name);
	return CMD_OK;
}

static enum cmd_status replay(const char *file)
{
	const struct unic_driver *driver;
	struct userpci_trace *trace;
	enum cmd_status status;
	int err;

	err = userpci_trace_open(file, &trace);
	if (err)
		return file_error(file, err);
	driver = trace_driver(userpci_trace_info(trace));
	if (driver)
		status = compare(file, driver);
	else
		status = no_driver(file, userpci_trace_info(trace));
	userpci_trace_close(trace);
	return status;
}

static enum cmd_status trace_run(const struct bind_env *env, const struct cmd_options *options)
{
	const struct bind_query *query = &options->query;
	size_t wanted = options->record ? 2 : 1;

	(void)env;
	if (options->record && options->replay)
		return cmd_usage("trace", "--record and --replay exclude each other", "");
	if (query->address_count < wanted)
		return cmd_usage("trace",
				 query->address_count ? "ADDRESS is missing" : "FILE is missing",
				 "");
	if (query->address_count > wanted)
		return cmd_usage("trace", "one too many: ", query->addresses[wanted]);
	if (options->record)
		return record(query->addresses[0], query->addresses[1]);
	return options->replay ? replay(query->addresses[0]) : show(query->addresses[0]);
}

const struct cmd cmd_trace = { "trace", trace_help, trace_options, trace_run, CMD_FILES };
