// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One call for several devices: what an earlier call has left is put right, all are checked, and
 * then all are changed, or none.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bind-call.h"

static void read_driver(const struct bind_call *call, struct bind_outcome *outcome)
{
	struct bind_device now = *outcome->device;

	bind_device_read(call->env, &now);
	memcpy(outcome->driver, now.driver, sizeof(outcome->driver));
}

/* --- Checks --- */

static bool is_done(const struct bind_call *call, const struct bind_device *device)
{
	return call->verb == JOB_BIND && device->bound;
}

/* Of a device that is not bound, but has a rule, only the rule is taken away. */
static bool is_rule_only(const struct bind_call *call, const struct bind_device *device)
{
	return call->persist == PERSIST_FORGET && !device->bound && !device->claimed &&
	       !device->recorded &&
	       (persist_has(call->env, device->address, PERSIST_BY_SLOT) ||
		persist_has(call->env, device->address, PERSIST_BY_ID));
}

static enum cmd_status check_one(const struct bind_call *call, const struct bind_facts *facts,
				 struct bind_outcome *outcome)
{
	const struct bind_device *device = outcome->device;
	const bool force = call->options->force;
	char note[BIND_WHY_SIZE + 16];
	enum cmd_status status = CMD_OK;

	outcome->result = "unchanged";
	strcpy(outcome->driver, device->driver);
	if (is_rule_only(call, device))
		return CMD_OK;
	call->check(facts, device, &call->list, &outcome->reasons);
	for (size_t i = 0; i < outcome->reasons.count; i++) {
		const struct bind_reason *reason = &outcome->reasons.items[i];

		if (force && reason->can_force) {
			/* Without the advice behind it. */
			snprintf(note, sizeof(note), "forced: %.*s",
				 (int)strcspn(reason->text, ";"), reason->text);
			bind_report_note(call, device->address, note);
			continue;
		}
		cmd_error(device->address, call->action, reason->err, reason->text);
	}
	if (bind_refused(&outcome->reasons, force)) {
		outcome->result = "refused";
		status = CMD_NO;
	}
	if (status || !call->options->dry_run)
		return status;
	outcome->result = is_done(call, device) ? "unchanged" : "would";
	if (!call->options->json)
		printf("%s: would %s, driver=%s\n", device->address, call->action,
		       device->driver[0] ? device->driver : "-");
	return CMD_OK;
}

/* Every device, before anything changes: all that is wrong is told at once. */
static enum cmd_status check_all(const struct bind_call *call)
{
	enum cmd_status status = CMD_OK;
	struct bind_facts *facts;
	int err = bind_facts_get(call->env, true, &facts);

	if (err)
		return cmd_error(NULL, call->action, err, "cannot see what is in use");
	for (size_t i = 0; i < call->list.count; i++)
		if (check_one(call, facts, &call->outcomes[i]))
			status = CMD_NO;
	bind_facts_free(facts);
	return status;
}

/* --- Changes --- */

static enum cmd_status change_one(const struct bind_call *call, struct bind_outcome *outcome)
{
	const struct bind_device *device = outcome->device;
	int err;

	if (is_done(call, device)) {
		if (!call->options->json)
			printf("%s: already bound to %s\n", device->address,
			       bind_driver(call->env));
		return CMD_OK;
	}
	if (is_rule_only(call, device))
		return CMD_OK;
	err = call->change(call->env, device->address, outcome->why);
	read_driver(call, outcome);
	if (err)
		return bind_report_error(call, outcome, "failed", err);
	outcome->result = call->done;
	bind_report_change(call, outcome);
	if (outcome->why[0])
		bind_report_note(call, device->address, outcome->why);
	return CMD_OK;
}

/* The rule for the next start, or the end of it. */
static enum cmd_status change_rule(const struct bind_call *call, struct bind_outcome *outcome)
{
	const char *address = outcome->device->address;
	enum persist persist = call->persist;
	unsigned int removed = 0;
	const char *text = NULL;
	int err = 0;

	if (persist == PERSIST_FORGET) {
		err = persist_remove(call->env, address, persist, &removed);
		if (removed)
			text = outcome->rule = "removed";
	} else if (persist != PERSIST_NONE) {
		err = persist_add(call->env, address, persist);
		outcome->rule = persist == PERSIST_BY_SLOT ? "slot" : "id";
		text = persist == PERSIST_BY_SLOT ? "for this device in this slot"
						  : "for all devices of this kind";
	} else if (call->verb == JOB_UNBIND && (persist_has(call->env, address, PERSIST_BY_SLOT) ||
						persist_has(call->env, address, PERSIST_BY_ID))) {
		bind_report_note(call, address,
				 "a rule binds it again at the next start; "
				 "'userpci unbind --forget' removes that");
	}
	if (err) {
		outcome->rule = NULL;
		bind_why(outcome->why, err, "the rule in %s%s", call->env->rules,
			 err == -EEXIST ? " is another; --forget that first" : "");
		return bind_report_error(call, outcome, "failed", err);
	}
	if (text && !call->options->json)
		printf("%s: rule %s%s\n", address, persist == PERSIST_FORGET ? "" : "written, ",
		       text);
	return CMD_OK;
}

static struct bind_outcome *outcome_of(const struct bind_call *call, const char *address)
{
	for (size_t i = 0; i < call->list.count; i++)
		if (!strcmp(call->list.devices[i].address, address))
			return &call->outcomes[i];
	return NULL;
}

/* What this call has done is undone. Where it came to nothing there is nothing to tell. */
static void tell_undone(void *data, enum job_verb verb, const char *address, int err,
			const char *why)
{
	const struct bind_call *call = data;
	struct bind_outcome *outcome = outcome_of(call, address);

	(void)verb;
	if (!outcome)
		return;
	read_driver(call, outcome);
	if (err) {
		bind_why(outcome->why, err, "%s", why);
		bind_report_error(call, outcome, "failed", err);
	} else if (!strcmp(outcome->result, call->done)) {
		outcome->result = "put-back";
		bind_report_back(call, outcome);
	}
	outcome->rule = NULL;
}

static enum cmd_status change_all(const struct bind_call *call)
{
	enum cmd_status status = CMD_OK;
	const size_t count = call->list.count;
	int err = job_begin(call->env, call->verb, &call->list, call->persist);

	if (err)
		return cmd_error(NULL, call->action, err, call->env->state);
	/* All of an unbind is worth doing when a part of it fails. */
	for (size_t i = 0; i < count && (!status || call->verb == JOB_UNBIND); i++)
		if (change_one(call, &call->outcomes[i]))
			status = CMD_FAILURE;
	for (size_t i = 0; i < count && (!status || call->verb == JOB_UNBIND); i++)
		if (change_rule(call, &call->outcomes[i]))
			status = CMD_FAILURE;
	err = status && call->verb == JOB_BIND ? job_recover(call->env, tell_undone, (void *)call)
					       : job_end(call->env);
	return err ? cmd_error(NULL, call->action, err, call->env->state) : status;
}

/* --- The call --- */

/* What a call that was killed has left is put right first. */
static void tell_recovered(void *data, enum job_verb verb, const char *address, int err,
			   const char *why)
{
	const struct bind_call *call = data;
	struct bind_device now = { 0 };
	char note[2 * BIND_WHY_SIZE];

	snprintf(now.address, sizeof(now.address), "%s", address);
	bind_device_read(call->env, &now);
	snprintf(note, sizeof(note), "a 'userpci %s' did not get to its end; its driver is %s%s%s",
		 verb == JOB_BIND ? "bind" : "unbind", now.driver[0] ? now.driver : "none",
		 why[0] ? ", and " : "", why);
	if (err)
		cmd_error(address, call->action, err, note);
	else
		bind_report_note(call, address, note);
}

/* The journal would mend it, but an end of the session or of a pager need not cut a call short. */
static void hold_signals(sigset_t *before)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGPIPE);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, before);
}

int bind_call_recover(const struct bind_call *call)
{
	return job_recover(call->env, tell_recovered, (void *)call);
}

static enum cmd_status run_locked(const struct bind_call *call)
{
	int lock = state_lock(call->env), err;
	enum cmd_status status;
	sigset_t held;

	if (lock < 0)
		return cmd_error(NULL, call->action, lock, call->env->state);
	err = bind_call_recover(call);
	for (size_t i = 0; i < call->list.count; i++) /* another call may just have ended */
		bind_device_read(call->env, &call->list.devices[i]);
	if (err)
		status = cmd_error(NULL, call->action, err,
				   "what an earlier call has left in /run/userpci/job");
	else
		status = check_all(call);
	if (!status) {
		hold_signals(&held);
		status = change_all(call);
		sigprocmask(SIG_SETMASK, &held, NULL);
	}
	close(lock);
	return status;
}

static enum cmd_status run_dry(const struct bind_call *call)
{
	bind_report_pending(call);
	return check_all(call);
}

static enum cmd_status run(struct bind_call *call)
{
	enum cmd_status status;

	call->outcomes = calloc(call->list.count + 1, sizeof(*call->outcomes));
	if (!call->outcomes)
		return cmd_error(NULL, call->action, -ENOMEM, "");
	for (size_t i = 0; i < call->list.count; i++)
		call->outcomes[i].device = &call->list.devices[i];
	status = call->options->dry_run ? run_dry(call) : run_locked(call);
	bind_report_end(call);
	free(call->outcomes);
	return status;
}

bool bind_call_selects(const struct cmd_options *options)
{
	return options->query.slot || options->query.id || options->query.address_count;
}

enum cmd_status bind_call_run(struct bind_call *call, const struct bind_query *query)
{
	const struct cmd_options options = { .query = *query };
	enum cmd_status status = cmd_gather(call->env, &options, call->action, &call->list);

	if (status)
		return status;
	status = run(call);
	bind_list_free(&call->list);
	return status;
}
