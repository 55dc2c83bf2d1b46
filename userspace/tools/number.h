/* SPDX-License-Identifier: MIT */
/* Numbers as they stand in data sheets. */
#ifndef TOOLS_NUMBER_H
#define TOOLS_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* 12, 0x1f. A leading 0 makes no octal number. */
bool number_parse(const char *text, uint64_t *value);

#endif
