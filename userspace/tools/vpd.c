// SPDX-License-Identifier: GPL-2.0-or-later
/* Vital product data: what a board says of itself. Spec: PCI Local Bus 3.0, appendix I. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "vpd.h"

#define TAG_LARGE   0x80
#define TAG_PRODUCT 0x02 /* of large resources */
#define TAG_READ    0x10
#define TAG_WRITE   0x11

static const struct {
	char keyword[3];
	const char *name;
} keywords[] = {
	{ "PN", "part_number" },   { "EC", "engineering_changes" }, { "FG", "fabric_geography" },
	{ "LC", "location" },	   { "MN", "manufacture_id" },	    { "PG", "pci_geography" },
	{ "SN", "serial_number" }, { "YA", "asset_tag" },
};

static void set_key(struct vpd_item *item, const uint8_t *keyword)
{
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (!memcmp(keywords[i].keyword, keyword, 2)) {
			snprintf(item->key, sizeof(item->key), "%s", keywords[i].name);
			return;
		}
	snprintf(item->key, sizeof(item->key), "keyword_%c%c",
		 isalnum(keyword[0]) ? keyword[0] : '_', isalnum(keyword[1]) ? keyword[1] : '_');
}

/* Blanks at the end fill the field. */
static void set_text(struct vpd_item *item, const uint8_t *text, size_t length)
{
	size_t n = 0;

	for (size_t i = 0; i < length && n + 1 < sizeof(item->text); i++)
		item->text[n++] = text[i] >= ' ' && text[i] < 0x7f ? (char)text[i] : '?';
	while (n && item->text[n - 1] == ' ')
		n--;
	item->text[n] = '\0';
}

/* Checksum and free space say nothing of the board. */
static bool is_filler(const uint8_t *keyword)
{
	return !memcmp(keyword, "RV", 2) || !memcmp(keyword, "RW", 2);
}

static bool next_keyword(const uint8_t *data, struct vpd_item *item)
{
	const uint8_t *at;
	size_t length;

	while (item->end - item->next >= 3) {
		at = data + item->next;
		length = at[2];
		if (length > item->end - item->next - 3)
			return false;
		item->next += 3 + length;
		if (is_filler(at))
			continue;
		set_key(item, at);
		set_text(item, at + 3, length);
		return true;
	}
	item->next = item->end;
	return false;
}

bool vpd_next(const uint8_t *data, size_t size, struct vpd_item *item)
{
	size_t length, body;
	unsigned int tag;

	for (;;) {
		if (item->next < item->end) {
			if (next_keyword(data, item))
				return true;
			if (item->next != item->end)
				return false;
		}
		/* A small resource of importance is its end only. */
		if (size - item->next < 3 || !(data[item->next] & TAG_LARGE))
			return false;
		tag = data[item->next] & 0x7f;
		length = data[item->next + 1] | (size_t)data[item->next + 2] << 8;
		body = item->next + 3;
		if (length > size - body)
			return false;
		item->next = body;
		if (tag == TAG_PRODUCT) {
			item->next = item->end = body + length;
			snprintf(item->key, sizeof(item->key), "product");
			set_text(item, data + body, length);
			return true;
		}
		if (tag != TAG_READ && tag != TAG_WRITE)
			return false;
		item->end = body + length;
	}
}
