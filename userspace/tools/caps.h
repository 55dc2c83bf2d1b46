/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The capabilities in a function's configuration space, in words. */
#ifndef TOOLS_CAPS_H
#define TOOLS_CAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Configuration space, from wherever. */
struct config {
	/* 0 or -errno. 1, 2 or 4 bytes, aligned. */
	int (*read)(void *context, unsigned int offset, unsigned int width, uint32_t *value);
	void *context;
	const uint8_t *vpd; /* vital product data; NULL: not known */
	size_t vpd_size;
};

enum cap_kind { CAP_TEXT, CAP_NUMBER, CAP_BOOL };

struct cap_field {
	enum cap_kind kind;
	char key[32]; /* as in JSON */
	uint64_t number;
	char text[112];
};

#define CAP_FIELDS 40

struct cap {
	bool extended; /* in the list that begins at 0x100 */
	unsigned int offset, id;
	unsigned int version; /* of an extended one */
	char name[48];
	size_t count;
	struct cap_field fields[CAP_FIELDS];
	unsigned int next; /* the one behind it; 0: none */
	unsigned int steps;
};

/*
 * The next capability; the first one when @cap is zeroed. 1: there is one; 0: no more; -EIO: the
 * list runs in a circle; or why configuration space cannot be read there.
 */
int caps_next(const struct config *config, struct cap *cap);

#endif
