/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a subcommand of userpci is: an entry in the table of userpci.c, in a file of its own. */
#ifndef TOOLS_CMD_H
#define TOOLS_CMD_H

#include <getopt.h>
#include <stdbool.h>

#include "bind/bind.h"

/* The exit status. CMD_NO: all went well, and the answer is no. */
enum cmd_status { CMD_OK, CMD_FAILURE, CMD_USAGE, CMD_NO };

/* Filled from the command line, for every subcommand. What is not given is 0, or NULL. */
struct cmd_options {
	/* The words that are no options are its addresses, also where they are something else. */
	struct bind_query query;
	const char *driver; /* to bind to, or to unbind from; NULL: userpci */
	bool dry_run, force, record, replay;
	bool json, text, details, names, persist, by_id, forget;
	const char *region, *kind, *output, *ack;
	uint64_t width; /* bits */
	uint64_t offset, length, mask, value;
	uint64_t count, vectors;
	int64_t timeout_us, interval_us;
	uint64_t given; /* cmd_given() */
};

/* What the words behind the options are. */
enum cmd_operands {
	CMD_DEVICES,   /* PCI addresses; -s and -d choose devices, too */
	CMD_ADDRESS,   /* one address as for userpci_open() */
	CMD_REGISTERS, /* the same, then registers of it */
	CMD_FILES,     /* files, and addresses */
};

struct cmd {
	const char *name;
	const char *help;	      /* what it does in one line, then all about it */
	const struct option *options; /* the long options that it takes, out of CMD_OPTION_* */
	enum cmd_status (*run)(const struct bind_env *env, const struct cmd_options *options);
	enum cmd_operands operands;
};

/* Entries of cmd.options. Every subcommand takes --help, and with CMD_DEVICES -s and -d. */
enum {
	CMD_DETAILS = 'k', /* as lspci -k; others are beyond the letters */
	CMD_OURS = 256,
	CMD_DRY_RUN,
	CMD_FORCE,
	CMD_DRIVER,
	CMD_RECORD,
	CMD_REPLAY,
	CMD_JSON,
	CMD_TEXT,
	CMD_NAMES,
	CMD_REGION,
	CMD_KIND,
	CMD_OUTPUT,
	CMD_ACK,
	CMD_WIDTH,
	CMD_OFFSET,
	CMD_LENGTH,
	CMD_MASK,
	CMD_VALUE,
	CMD_COUNT,
	CMD_VECTORS,
	CMD_TIMEOUT,
	CMD_INTERVAL,
	CMD_PERSIST,
	CMD_BY_ID,
	CMD_FORGET,
};

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
#define CMD_OPTION_DETAILS                                \
	{                                                 \
		"details", no_argument, NULL, CMD_DETAILS \
	}
#define CMD_OPTION_JSON                             \
	{                                           \
		"json", no_argument, NULL, CMD_JSON \
	}
#define CMD_OPTION_TEXT                             \
	{                                           \
		"text", no_argument, NULL, CMD_TEXT \
	}
#define CMD_OPTION_NAMES                              \
	{                                             \
		"names", no_argument, NULL, CMD_NAMES \
	}
#define CMD_OPTION_REGION                                     \
	{                                                     \
		"region", required_argument, NULL, CMD_REGION \
	}
#define CMD_OPTION_KIND                                   \
	{                                                 \
		"kind", required_argument, NULL, CMD_KIND \
	}
#define CMD_OPTION_OUTPUT                                     \
	{                                                     \
		"output", required_argument, NULL, CMD_OUTPUT \
	}
#define CMD_OPTION_ACK                                  \
	{                                               \
		"ack", required_argument, NULL, CMD_ACK \
	}
#define CMD_OPTION_WIDTH                                    \
	{                                                   \
		"width", required_argument, NULL, CMD_WIDTH \
	}
#define CMD_OPTION_OFFSET                                     \
	{                                                     \
		"offset", required_argument, NULL, CMD_OFFSET \
	}
#define CMD_OPTION_LENGTH                                     \
	{                                                     \
		"length", required_argument, NULL, CMD_LENGTH \
	}
#define CMD_OPTION_MASK                                   \
	{                                                 \
		"mask", required_argument, NULL, CMD_MASK \
	}
#define CMD_OPTION_VALUE                                    \
	{                                                   \
		"value", required_argument, NULL, CMD_VALUE \
	}
#define CMD_OPTION_COUNT                                    \
	{                                                   \
		"count", required_argument, NULL, CMD_COUNT \
	}
#define CMD_OPTION_VECTORS                                      \
	{                                                       \
		"vectors", required_argument, NULL, CMD_VECTORS \
	}
#define CMD_OPTION_TIMEOUT                                      \
	{                                                       \
		"timeout", required_argument, NULL, CMD_TIMEOUT \
	}
#define CMD_OPTION_INTERVAL                                       \
	{                                                         \
		"interval", required_argument, NULL, CMD_INTERVAL \
	}

#define CMD_OPTION_PERSIST                                \
	{                                                 \
		"persist", no_argument, NULL, CMD_PERSIST \
	}
#define CMD_OPTION_BY_ID                              \
	{                                             \
		"by-id", no_argument, NULL, CMD_BY_ID \
	}
#define CMD_OPTION_FORGET                               \
	{                                               \
		"forget", no_argument, NULL, CMD_FORGET \
	}

extern const struct cmd cmd_list, cmd_bind, cmd_unbind, cmd_restore, cmd_trace;
extern const struct cmd cmd_show, cmd_peek, cmd_poke, cmd_dump, cmd_diff, cmd_watch, cmd_irq;
extern const struct cmd cmd_reset, cmd_top;

/* All of them, in the order of the help; NULL ends the table. */
extern const struct cmd *const cmds[];

/*
 * options.c: reads a subcommand's arguments, argv[0] being its name. What is wrong is printed, in
 * one line. @help: it asks for help, and nothing else counts.
 */
enum cmd_status cmd_parse(const struct cmd *cmd, int argc, char **argv, struct cmd_options *options,
			  bool *help);

/* Whether the option CMD_* was on the command line. */
bool cmd_given(const struct cmd_options *options, int option);

/* What the value of an option may be, divided by blanks, "FILE", or NULL: anything. */
const char *cmd_option_words(int option);

/* One line on stderr: "userpci: ADDRESS: ACTION: error (why)"; @address may be NULL. */
enum cmd_status cmd_error(const char *address, const char *action, int err, const char *why);

/* The same in words of the caller's: "userpci: ADDRESS: ACTION: text". */
__attribute__((format(printf, 3, 4))) enum cmd_status cmd_fail(const char *address,
							       const char *action,
							       const char *format, ...);

/* One line on stderr that points to the help; @which may be empty. */
enum cmd_status cmd_usage(const char *action, const char *what, const char *which);

/* The devices of @options' query, or the error printed. */
enum cmd_status cmd_gather(const struct bind_env *env, const struct cmd_options *options,
			   const char *action, struct bind_list *list);

#endif
