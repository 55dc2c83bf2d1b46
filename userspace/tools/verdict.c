// SPDX-License-Identifier: GPL-2.0-or-later
/* What 'userpci bind' would say to a device. */
#include <string.h>

#include "verdict.h"

static void verdict_one(const struct bind_facts *facts, const struct bind_device *device,
			struct verdict *verdict)
{
	struct bind_reasons reasons;

	verdict->why[0] = '\0';
	if (device->bound) {
		verdict->word = "bound";
		return;
	}
	bind_check(facts, device, NULL, &reasons);
	for (size_t i = 0; i < reasons.count; i++)
		bind_why(verdict->why, 0, "%s", reasons.items[i].text);
	verdict->word = bind_refused(&reasons, true)	? "no"
			: bind_refused(&reasons, false) ? "busy"
							: "yes";
}

void verdict_find(const struct bind_env *env, const struct bind_device *devices, size_t count,
		  struct verdict *verdicts)
{
	struct bind_facts *facts;
	int err = bind_facts_get(env, false, &facts);

	for (size_t i = 0; i < count; i++) {
		if (!err) {
			verdict_one(facts, &devices[i], &verdicts[i]);
			continue;
		}
		verdicts[i].word = "no";
		verdicts[i].why[0] = '\0';
		bind_why(verdicts[i].why, err, "cannot see what is in use: %s", strerror(-err));
	}
	if (!err)
		bind_facts_free(facts);
}
