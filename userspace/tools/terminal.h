/* SPDX-License-Identifier: MIT */
/* Colours, where stdout is a terminal. */
#ifndef TOOLS_TERMINAL_H
#define TOOLS_TERMINAL_H

#include <stdbool.h>

enum terminal_colour {
	TERMINAL_PLAIN,
	TERMINAL_BOLD,
	TERMINAL_RED,
	TERMINAL_GREEN,
	TERMINAL_YELLOW,
};

/* Whether there are any: stdout is a terminal, and NO_COLOR and TERM do not speak against it. */
bool terminal_has_colours(void);

/* What switches to it; "" where there are none. */
const char *terminal_colour(enum terminal_colour colour);

#endif
