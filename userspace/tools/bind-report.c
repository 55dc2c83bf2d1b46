// SPDX-License-Identifier: GPL-2.0-or-later
/* What userpci bind, unbind and restore say. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "tools/bind-call.h"

static const char *driver_name(const char *driver)
{
	return driver[0] ? driver : "no driver";
}

void bind_report_change(const struct bind_call *call, const struct bind_outcome *outcome)
{
	if (!call->options->json)
		printf("%s: %s -> %s\n", outcome->device->address,
		       driver_name(outcome->device->driver), driver_name(outcome->driver));
}

void bind_report_back(const struct bind_call *call, const struct bind_outcome *outcome)
{
	if (!call->options->json)
		printf("%s: put back to %s\n", outcome->device->address,
		       driver_name(outcome->driver));
}

enum cmd_status bind_report_error(const struct bind_call *call, struct bind_outcome *outcome,
				  const char *result, int err)
{
	outcome->result = result;
	return cmd_error(outcome->device->address, call->action, err, outcome->why);
}

void bind_report_note(const struct bind_call *call, const char *address, const char *note)
{
	fprintf(stderr, "userpci: %s: %s: note: %s\n", address, call->action, note);
}

void bind_report_pending(const struct bind_call *call)
{
	if (job_is_pending(call->env))
		fprintf(stderr,
			"userpci: %s: note: an earlier call did not get to its end; the next one "
			"that is not dry first puts that right\n",
			call->action);
}

static void text_or_null(struct json *json, const char *key, const char *text)
{
	json_text(json, key, text && text[0] ? text : NULL);
}

static void report_reasons(struct json *json, const struct bind_reasons *reasons)
{
	json_array(json, "reasons");
	for (size_t i = 0; i < reasons->count; i++) {
		json_object(json, NULL);
		json_text(json, "word", reasons->items[i].word);
		json_bool(json, "force", reasons->items[i].can_force);
		json_text(json, "text", reasons->items[i].text);
		json_object_end(json);
	}
	json_array_end(json);
}

void bind_report_end(const struct bind_call *call)
{
	for (size_t i = 0; call->options->json && i < call->list.count; i++) {
		const struct bind_outcome *outcome = &call->outcomes[i];
		struct json json = { 0 };

		json_object(&json, NULL);
		json_text(&json, "command", call->action);
		json_text(&json, "address", outcome->device->address);
		json_text(&json, "result", outcome->result);
		text_or_null(&json, "from", outcome->device->driver);
		text_or_null(&json, "to", outcome->driver);
		text_or_null(&json, "rule", outcome->rule);
		text_or_null(&json, "why", outcome->why);
		report_reasons(&json, &outcome->reasons);
		json_object_end(&json);
	}
}
