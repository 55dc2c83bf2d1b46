/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Vital product data: what a board says of itself. */
#ifndef TOOLS_VPD_H
#define TOOLS_VPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vpd_item {
	char key[32];  /* "product", "part_number"; "keyword_xy" for one that has no name */
	char text[96]; /* printable; the rest is cut off */
	/* Where the next item is, and the end of the resource that it is in. */
	size_t next, end;
};

/* The next item, the first when @item is zeroed; false: there are no more, or it is damaged. */
bool vpd_next(const uint8_t *data, size_t size, struct vpd_item *item);

#endif
