/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a subcommand of userpci is: an entry in the table of userpci.c, in a file of its own. */
#ifndef TOOLS_CMD_H
#define TOOLS_CMD_H

#include <getopt.h>
#include <stdbool.h>

#include "bind/bind.h"

enum cmd_status { CMD_OK, CMD_FAILURE, CMD_USAGE };

/* Filled from the command line, for every subcommand. */
struct cmd_options {
	struct bind_query query;
	const char *driver; /* to bind to, or to unbind from; NULL: userpci */
	bool dry_run, force, record, replay;
};

struct cmd {
	const char *name;
	const char *help;	      /* what it does in one line, then all about it */
	const struct option *options; /* the long options that it takes, out of CMD_OPTION_* */
	enum cmd_status (*run)(const struct bind_env *env, const struct cmd_options *options);
};

/* Entries of cmd.options. Every subcommand takes -s, -d and --help. */
enum {
	CMD_OURS = 256,
	CMD_DRY_RUN,
	CMD_FORCE,
	CMD_DRIVER,
	CMD_RECORD,
	CMD_REPLAY
}; /* beyond the letters */

#define CMD_OPTION_HELP                        \
	{                                      \
		"help", no_argument, NULL, 'h' \
	}
#define CMD_OPTION_ALL                             \
	{                                          \
		"all", no_argument, NULL, CMD_OURS \
	}
#define CMD_OPTION_BOUND                             \
	{                                            \
		"bound", no_argument, NULL, CMD_OURS \
	}
#define CMD_OPTION_DRY_RUN                                \
	{                                                 \
		"dry-run", no_argument, NULL, CMD_DRY_RUN \
	}
#define CMD_OPTION_FORCE                              \
	{                                             \
		"force", no_argument, NULL, CMD_FORCE \
	}
#define CMD_OPTION_DRIVER                                     \
	{                                                     \
		"driver", required_argument, NULL, CMD_DRIVER \
	}
#define CMD_OPTION_RECORD                               \
	{                                               \
		"record", no_argument, NULL, CMD_RECORD \
	}
#define CMD_OPTION_REPLAY                               \
	{                                               \
		"replay", no_argument, NULL, CMD_REPLAY \
	}

extern const struct cmd cmd_list, cmd_bind, cmd_unbind, cmd_trace;

/* One line on stderr: "userpci: ADDRESS: ACTION: error (why)"; @address may be NULL. */
enum cmd_status cmd_error(const char *address, const char *action, int err, const char *why);

/* One line on stderr that points to the help; @which may be empty. */
enum cmd_status cmd_usage(const char *action, const char *what, const char *which);

/* The devices of @options' query, or the error printed. */
enum cmd_status cmd_gather(const struct bind_env *env, const struct cmd_options *options,
			   const char *action, struct bind_list *list);

#endif
