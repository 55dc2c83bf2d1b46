/* SPDX-License-Identifier: MIT */
/*
 * Writes JSON to stdout. A value is written with its key in an object, with NULL in an array. An
 * outermost object is one line, and out at once: the reader of a pipe waits for it.
 */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include <stdbool.h>
#include <stdint.h>

struct json {
	unsigned int depth;
	bool comma; /* before the next value */
};

/* Zero a struct json, then begin with an object and a NULL key. */
void json_object(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array(struct json *json, const char *key);
void json_array_end(struct json *json);

/* Text may be anything: what is not UTF-8 is replaced. NULL is null. */
void json_text(struct json *json, const char *key, const char *value);
void json_number(struct json *json, const char *key, uint64_t value);
void json_signed(struct json *json, const char *key, int64_t value);
void json_decimal(struct json *json, const char *key, double value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

/* A string, "0x0000abcd", for not every reader's numbers have 64 bits; @width is in bytes. */
void json_hex(struct json *json, const char *key, uint64_t value, unsigned int width);

/* A string of JSON alone. */
void json_quote(const char *text);

#endif
