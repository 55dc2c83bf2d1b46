/* SPDX-License-Identifier: MIT */
/* Colours, where stdout is a terminal. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "terminal.h"

/* Spec: no-color.org: set, and not empty. */
bool terminal_has_colours(void)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
	static int known = -1;

	if (known < 0)
		known = isatty(STDOUT_FILENO) && !(none && *none) && term && *term &&
			strcmp(term, "dumb");
	return known;
}

const char *terminal_colour(enum terminal_colour colour)
{
	static const char *const codes[] = {
		[TERMINAL_PLAIN] = "\033[0m",	[TERMINAL_BOLD] = "\033[1m",
		[TERMINAL_RED] = "\033[31m",	[TERMINAL_GREEN] = "\033[32m",
		[TERMINAL_YELLOW] = "\033[33m",
	};

	return terminal_has_colours() ? codes[colour] : "";
}
