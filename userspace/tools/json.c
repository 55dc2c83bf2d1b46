/* SPDX-License-Identifier: MIT */
/* Writes JSON to stdout. */
#include <inttypes.h>
#include <stdio.h>
#include <stddef.h>

#include "json.h"

/* The bytes of the character that begins here; 0: none of UTF-8 does (Spec: RFC 3629). */
static size_t utf8_length(const unsigned char *text)
{
	static const struct {
		unsigned char first, last, low, high; /* of the first byte, of the second */
		size_t length;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	size_t i, at;

	if (text[0] < 0x80)
		return 1;
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (text[0] >= forms[i].first && text[0] <= forms[i].last)
			break;
	if (i == sizeof(forms) / sizeof(forms[0]) || text[1] < forms[i].low ||
	    text[1] > forms[i].high)
		return 0;
	for (at = 2; at < forms[i].length; at++)
		if ((text[at] & 0xc0) != 0x80)
			return 0;
	return forms[i].length;
}

void json_quote(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t length;

	putchar('"');
	for (; *at; at += length ? length : 1) {
		length = utf8_length(at);
		if (!length)
			fputs("\\ufffd", stdout);
		else if (*at == '"' || *at == '\\')
			printf("\\%c", *at);
		else if (*at < ' ' || *at == 0x7f)
			printf("\\u%04x", *at);
		else
			fwrite(at, 1, length, stdout);
	}
	putchar('"');
}

static void json_key(struct json *json, const char *key)
{
	if (json->comma)
		putchar(',');
	json->comma = true;
	if (!key)
		return;
	json_quote(key);
	putchar(':');
}

static void json_open(struct json *json, const char *key, char bracket)
{
	json_key(json, key);
	putchar(bracket);
	json->comma = false;
	json->depth++;
}

static void json_close(struct json *json, char bracket)
{
	putchar(bracket);
	json->comma = true;
	if (--json->depth)
		return;
	putchar('\n');
	fflush(stdout);
	json->comma = false;
}

void json_object(struct json *json, const char *key)
{
	json_open(json, key, '{');
}

void json_object_end(struct json *json)
{
	json_close(json, '}');
}

void json_array(struct json *json, const char *key)
{
	json_open(json, key, '[');
}

void json_array_end(struct json *json)
{
	json_close(json, ']');
}

void json_text(struct json *json, const char *key, const char *value)
{
	if (!value) {
		json_null(json, key);
		return;
	}
	json_key(json, key);
	json_quote(value);
}

void json_number(struct json *json, const char *key, uint64_t value)
{
	json_key(json, key);
	printf("%" PRIu64, value);
}

void json_signed(struct json *json, const char *key, int64_t value)
{
	json_key(json, key);
	printf("%" PRId64, value);
}

void json_decimal(struct json *json, const char *key, double value)
{
	json_key(json, key);
	printf("%.3f", value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	json_key(json, key);
	fputs(value ? "true" : "false", stdout);
}

void json_null(struct json *json, const char *key)
{
	json_key(json, key);
	fputs("null", stdout);
}

void json_hex(struct json *json, const char *key, uint64_t value, unsigned int width)
{
	json_key(json, key);
	printf("\"0x%0*" PRIx64 "\"", (int)(2 * width), value);
}
