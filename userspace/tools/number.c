/* SPDX-License-Identifier: MIT */
/* Numbers as they stand in data sheets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

bool number_parse(const char *text, uint64_t *value)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	unsigned long long number;

	if (!*digits || digits[strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789")])
		return false;
	errno = 0;
	number = strtoull(digits, NULL, hex ? 16 : 10);
	if (errno)
		return false;
	*value = number;
	return true;
}
