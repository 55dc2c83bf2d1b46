// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line of userpci's subcommands: what an option's value is, and where it goes. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "run.h"
#include "tools/cmd.h"

#define LETTERS_SIZE 16

enum kind {
	FLAG,	/* bool; there is no value */
	TEXT,	/* const char * */
	NAME,	/* the same, but it becomes a part of paths */
	NUMBER, /* uint64_t, 1500 or 10k */
	BITS,	/* uint64_t, decimal or 0x1f */
	TIME,	/* int64_t, microseconds: 10, 0.5, 200ms, 2m */
};

#define TO(member) offsetof(struct cmd_options, member)

static const struct known {
	int option;
	enum kind kind;
	size_t to;	   /* in struct cmd_options */
	const char *words; /* what it may be; "FILE": the name of a file; NULL: anything */
	uint64_t min, max; /* of NUMBER */
} all_known[] = {
	{ 's', TEXT, TO(query.slot), NULL, 0, 0 },
	{ 'd', TEXT, TO(query.id), NULL, 0, 0 },
	{ CMD_DETAILS, FLAG, TO(details), NULL, 0, 0 },
	{ CMD_OURS, FLAG, TO(query.ours), NULL, 0, 0 },
	{ CMD_DRY_RUN, FLAG, TO(dry_run), NULL, 0, 0 },
	{ CMD_FORCE, FLAG, TO(force), NULL, 0, 0 },
	{ CMD_DRIVER, NAME, TO(driver), "userpci vfio-pci uio_pci_generic", 0, 0 },
	{ CMD_RECORD, FLAG, TO(record), NULL, 0, 0 },
	{ CMD_REPLAY, FLAG, TO(replay), NULL, 0, 0 },
	{ CMD_JSON, FLAG, TO(json), NULL, 0, 0 },
	{ CMD_TEXT, FLAG, TO(text), NULL, 0, 0 },
	{ CMD_NAMES, FLAG, TO(names), NULL, 0, 0 },
	{ CMD_REGION, TEXT, TO(region), "config 0 1 2 3 4 5", 0, 0 },
	{ CMD_KIND, TEXT, TO(kind), "best intx msi msix", 0, 0 },
	{ CMD_OUTPUT, TEXT, TO(output), "FILE", 0, 0 },
	{ CMD_ACK, TEXT, TO(ack), NULL, 0, 0 },
	{ CMD_WIDTH, BITS, TO(width), "8 16 32 64", 0, 0 },
	{ CMD_OFFSET, BITS, TO(offset), NULL, 0, 0 },
	{ CMD_LENGTH, BITS, TO(length), NULL, 0, 0 },
	{ CMD_MASK, BITS, TO(mask), NULL, 0, 0 },
	{ CMD_VALUE, BITS, TO(value), NULL, 0, 0 },
	{ CMD_COUNT, NUMBER, TO(count), NULL, 1, UINT64_MAX },
	{ CMD_VECTORS, NUMBER, TO(vectors), NULL, 1, 2048 },
	{ CMD_TIMEOUT, TIME, TO(timeout_us), NULL, 0, 0 },
	{ CMD_INTERVAL, TIME, TO(interval_us), NULL, 0, 0 },
	{ CMD_PERSIST, FLAG, TO(persist), NULL, 0, 0 },
	{ CMD_BY_ID, FLAG, TO(by_id), NULL, 0, 0 },
	{ CMD_FORGET, FLAG, TO(forget), NULL, 0, 0 },
};

#define KNOWN_COUNT (sizeof(all_known) / sizeof(all_known[0]))

_Static_assert(KNOWN_COUNT <= 64, "a bit of cmd_options.given each");

/* Its place in the table; KNOWN_COUNT: none. */
static size_t known_index(int option)
{
	size_t i;

	for (i = 0; i < KNOWN_COUNT && all_known[i].option != option; i++)
		;
	return i;
}

bool cmd_given(const struct cmd_options *options, int option)
{
	return options->given >> known_index(option) & 1;
}

const char *cmd_option_words(int option)
{
	size_t i = known_index(option);

	return i < KNOWN_COUNT ? all_known[i].words : NULL;
}

/* --- Values --- */

static bool is_word(const char *words, const char *text)
{
	size_t length = strlen(text);
	const char *at = words;

	if (!length || strchr(text, ' '))
		return false;
	for (; (at = strstr(at, text)); at += length)
		if ((at == words || at[-1] == ' ') && (!at[length] || at[length] == ' '))
			return true;
	return false;
}

static bool parse_value(const struct known *known, const char *text, void *to)
{
	/* A driver may have any name; the words are those to offer. */
	if (known->words && known->kind != NAME && strcmp(known->words, "FILE") &&
	    !is_word(known->words, text))
		return false;
	switch (known->kind) {
	case FLAG:
		*(bool *)to = true;
		return true;
	case TEXT:
		*(const char **)to = text;
		return true;
	case NAME:
		*(const char **)to = text;
		return *text && !strchr(text, '/');
	case NUMBER:
		return run_parse_number(text, known->min, known->max, to);
	case BITS:
		return number_parse(text, to);
	case TIME:
		return run_parse_seconds(text, to);
	}
	return false;
}

static enum cmd_status value_error(const char *action, const char *option,
				   const struct known *known, const char *text)
{
	char what[160];
	int n = snprintf(what, sizeof(what), "%.32s takes ", option);

	if (known->words && known->kind != NAME)
		snprintf(what + n, sizeof(what) - (size_t)n, "one of: %s; not ", known->words);
	else if (known->kind == NUMBER && known->max < UINT64_MAX)
		snprintf(what + n, sizeof(what) - (size_t)n,
			 "a number from %" PRIu64 " to %" PRIu64 ", not ", known->min, known->max);
	else
		snprintf(what + n, sizeof(what) - (size_t)n, "%s, not ",
			 known->kind == NAME	 ? "the name of a driver"
			 : known->kind == NUMBER ? "a number from 1, as 500 or 10k"
			 : known->kind == TIME	 ? "a time, as 10, 0.5, 200ms or 2m"
						 : "a number, as 12 or 0x1f");
	return cmd_usage(action, what, text);
}

/* --- The command line --- */

/* For getopt_long(): ':' tells that a value is missing. */
static void letters_of(const struct cmd *cmd, char letters[LETTERS_SIZE])
{
	const struct option *option;
	int n;

	n = snprintf(letters, LETTERS_SIZE, ":h%s", cmd->operands == CMD_DEVICES ? "s:d:" : "");
	for (option = cmd->options; option->name; option++)
		if (option->val < CMD_OURS && option->val != 'h')
			n += snprintf(letters + n, (size_t)(LETTERS_SIZE - n), "%c%s", option->val,
				      option->has_arg ? ":" : "");
}

static enum cmd_status take(const char *action, int option, const char *word,
			    struct cmd_options *options)
{
	size_t i = known_index(option);
	const struct known *known = &all_known[i];

	if (option == ':')
		return cmd_usage(action, "a value is missing after ", word);
	if (i == KNOWN_COUNT)
		return cmd_usage(action, "unknown option ", word);
	/* The filter or the value that was meant would be anybody's guess. */
	if (known->kind != FLAG && cmd_given(options, option))
		return cmd_usage(action, "given twice: ", word);
	if (!parse_value(known, optarg, (char *)options + known->to))
		return value_error(action, word, known, optarg);
	options->given |= 1ull << i;
	return CMD_OK;
}

enum cmd_status cmd_parse(const struct cmd *cmd, int argc, char **argv, struct cmd_options *options,
			  bool *help)
{
	char letters[LETTERS_SIZE], word[40];
	enum cmd_status status;
	int option, index;

	*options = (struct cmd_options){ 0 };
	*help = false;
	letters_of(cmd, letters);
	opterr = 0;
	for (;;) {
		index = -1;
		option = getopt_long(argc, argv, letters, cmd->options, &index);
		if (option == -1)
			break;
		if (option == 'h') {
			*help = true;
			return CMD_OK;
		}
		/* As it was meant: a letter may stand with others, and with its value. */
		if (index >= 0)
			snprintf(word, sizeof(word), "--%s", cmd->options[index].name);
		else if (option != ':' && option != '?')
			snprintf(word, sizeof(word), "-%c", option);
		else if (optopt > 0 && optopt < CMD_OURS)
			snprintf(word, sizeof(word), "-%c", optopt);
		else
			snprintf(word, sizeof(word), "%.39s", argv[optind - 1]);
		status = take(cmd->name, option, word, options);
		if (status)
			return status;
	}
	options->query.addresses = (const char *const *)argv + optind;
	options->query.address_count = (size_t)(argc - optind);
	return CMD_OK;
}
