/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What userpci bind, unbind and restore have in common: one call for several devices. */
#ifndef TOOLS_BIND_CALL_H
#define TOOLS_BIND_CALL_H

#include "tools/cmd.h"

/* What became of one device; bind_outcome.result for scripts. */
struct bind_outcome {
	const struct bind_device *device; /* as it was at the beginning */
	const char *result;		  /* "bound", "refused"...; the man page has them all */
	char driver[BIND_NAME_SIZE];	  /* at the end */
	char why[BIND_WHY_SIZE];	  /* an error, or a note */
	const char *rule;		  /* "slot", "id", "removed", or NULL */
	struct bind_reasons reasons;
};

/**
 * struct bind_call
 * @check: gives the reasons against it
 * @change: does it to one device; on failure it leaves the device as it was, if it can
 * @done:  what bind_outcome.result is then
 */
struct bind_call {
	const struct bind_env *env;
	const struct cmd_options *options;
	const char *action;
	enum job_verb verb;
	enum persist persist;
	void (*check)(const struct bind_facts *facts, const struct bind_device *device,
		      const struct bind_list *with, struct bind_reasons *reasons);
	int (*change)(const struct bind_env *env, const char *address, char *why);
	const char *done;
	/* Filled in while it runs. */
	struct bind_list list;
	struct bind_outcome *outcomes;
};

#define BIND_HELP_SELECT                                                   \
	"  -s SLOT     [[[domain]:]bus]:][slot][.function], as lspci -s\n" \
	"  -d ID       [vendor]:[device][:class[:progif]], as lspci -d\n"  \
	"  ADDRESS     [DDDD:]BB:DD.F\n"

#define BIND_HELP_RUN                                       \
	"  --dry-run   check, and say what would be done\n" \
	"  --json      for scripts: a line of JSON for a device\n"

/* Whether devices were chosen at all. */
bool bind_call_selects(const struct cmd_options *options);

/* Runs it for the devices that @query chooses. */
enum cmd_status bind_call_run(struct bind_call *call, const struct bind_query *query);

/* What a call that was killed has left is put right; under the state_lock(). */
int bind_call_recover(const struct bind_call *call);

/*
 * bind-report.c: what is told of each device when it is known, in text; and all of it at the end in
 * JSON. Errors and notes go to stderr, in both.
 */
void bind_report_change(const struct bind_call *call, const struct bind_outcome *outcome);
void bind_report_back(const struct bind_call *call, const struct bind_outcome *outcome);
enum cmd_status bind_report_error(const struct bind_call *call, struct bind_outcome *outcome,
				  const char *result, int err);
void bind_report_note(const struct bind_call *call, const char *address, const char *note);
void bind_report_pending(const struct bind_call *call); /* of a dry run */
void bind_report_end(const struct bind_call *call);

#endif
