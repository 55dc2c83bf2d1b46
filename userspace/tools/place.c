/* SPDX-License-Identifier: MIT */
/* A register as a word of the command line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <linux/pci_regs.h>

#include "number.h"
#include "place.h"

#define CONFIG(name_, width_)                                                                    \
	{                                                                                        \
		.offset = PCI_##name_, .width = (width_), .region = PLACE_CONFIG, .name = #name_ \
	}

const struct userpci_register place_config_names[] = {
	CONFIG(VENDOR_ID, 2),
	CONFIG(DEVICE_ID, 2),
	CONFIG(COMMAND, 2),
	CONFIG(STATUS, 2),
	CONFIG(REVISION_ID, 1),
	CONFIG(CLASS_PROG, 1),
	CONFIG(CLASS_DEVICE, 2),
	CONFIG(CACHE_LINE_SIZE, 1),
	CONFIG(LATENCY_TIMER, 1),
	CONFIG(HEADER_TYPE, 1),
	CONFIG(BIST, 1),
	CONFIG(BASE_ADDRESS_0, 4),
	CONFIG(BASE_ADDRESS_1, 4),
	CONFIG(BASE_ADDRESS_2, 4),
	CONFIG(BASE_ADDRESS_3, 4),
	CONFIG(BASE_ADDRESS_4, 4),
	CONFIG(BASE_ADDRESS_5, 4),
	CONFIG(SUBSYSTEM_VENDOR_ID, 2),
	CONFIG(SUBSYSTEM_ID, 2),
	CONFIG(ROM_ADDRESS, 4),
	CONFIG(CAPABILITY_LIST, 1),
	CONFIG(INTERRUPT_LINE, 1),
	CONFIG(INTERRUPT_PIN, 1),
	{ .name = NULL },
};

static const char *const region_texts[] = {
	"BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5", "config"
};

const char *place_region_text(unsigned int region)
{
	return region_texts[region <= PLACE_CONFIG ? region : PLACE_CONFIG];
}

uint64_t place_ones(unsigned int width)
{
	return width < 8 ? (1ull << 8 * width) - 1 : UINT64_MAX;
}

int place_region(const char *text)
{
	if (!strcmp(text, "config"))
		return PLACE_CONFIG;
	if (text[0] >= '0' && text[0] < '0' + USERPCI_NUM_BARS && !text[1])
		return text[0] - '0';
	return -1;
}

/* --- Names --- */

static uint32_t elements(const struct userpci_register *r)
{
	return r->count ? r->count : 1;
}

static uint32_t stride_of(const struct userpci_register *r)
{
	return r->stride ? r->stride : r->width;
}

static void name_print(const struct userpci_register *r, uint64_t index, struct place *place)
{
	if (r->count)
		snprintf(place->name, sizeof(place->name), "%.32s[%" PRIu64 "]", r->name, index);
	else
		snprintf(place->name, sizeof(place->name), "%.32s", r->name);
}

void place_name(const struct userpci_register *names, struct place *place)
{
	const struct userpci_register *r;
	uint64_t distance;

	place->name[0] = '\0';
	for (r = names; r && r->name; r++) {
		distance = place->offset - r->offset;
		if (r->region != place->region || place->offset < r->offset ||
		    distance % stride_of(r) || distance / stride_of(r) >= elements(r))
			continue;
		name_print(r, distance / stride_of(r), place);
		return;
	}
}

/* "NAME" or "NAME[N]" of @length bytes. NULL, or what is wrong with it. */
static const char *name_find(const char *text, size_t length, const struct userpci_register *names,
			     int region, struct place *place)
{
	size_t base = strcspn(text, "[");
	const struct userpci_register *r;
	char number[24] = "0";
	uint64_t index;

	if (base > length)
		base = length;
	for (r = names; r && r->name; r++)
		if (!strncasecmp(r->name, text, base) && !r->name[base] &&
		    (region < 0 || r->region == (unsigned int)region))
			break;
	if (!r || !r->name)
		return "there is no register of that name; 'userpci peek --names ADDRESS' lists "
		       "those that there are";
	if (base < length) {
		if (text[length - 1] != ']' || length - base - 2 >= sizeof(number))
			return "an index is a number in brackets";
		memcpy(number, text + base + 1, length - base - 2);
		number[length - base - 2] = '\0';
	} else if (r->count) {
		return "there are several: say which, as NAME[0]";
	}
	if (!number_parse(number, &index))
		return "an index is a number in brackets";
	if (index >= elements(r) || (base < length && !r->count))
		return "there are not as many";
	place->region = r->region;
	place->width = r->width;
	place->offset = r->offset + index * stride_of(r);
	name_print(r, index, place);
	return NULL;
}

/* --- Words --- */

static const char *parse_value(const char *text, struct place *place)
{
	char value[24];
	size_t length = strcspn(text, ":");

	place->write = true;
	place->mask = place_ones(place->width);
	if (length >= sizeof(value))
		return "a value is a number, as 12 or 0x1f";
	memcpy(value, text, length);
	value[length] = '\0';
	if (!number_parse(value, &place->value))
		return "a value is a number, as 12 or 0x1f";
	if (text[length] && !number_parse(text + length + 1, &place->mask))
		return "a mask is a number, as 12 or 0x1f";
	if ((place->value | place->mask) & ~place_ones(place->width))
		return "the value has more bits than the register";
	return NULL;
}

/* The width behind the last dot; 0: there is none, and the word ends elsewhere. */
static unsigned int parse_width(const char *text, size_t length)
{
	static const char letters[] = "bwlq";
	const char *letter;

	if (length < 3 || text[length - 2] != '.')
		return 0;
	letter = strchr(letters, text[length - 1]);
	return letter ? 1u << (letter - letters) : 0;
}

/* REGION: at the beginning; the rest. */
static const char *parse_region(const char *word, size_t length, int *region)
{
	size_t colon = strcspn(word, ":");
	char text[8];

	if (colon >= length)
		return word;
	snprintf(text, sizeof(text), "%.*s", colon < 7 ? (int)colon : 7, word);
	*region = place_region(text);
	return *region < 0 ? NULL : word + colon + 1;
}

const char *place_parse(const char *word, const struct place_defaults *defaults,
			struct place *place)
{
	size_t length = strcspn(word, "=");
	const char *value = word[length] ? word + length + 1 : NULL, *text, *wrong;
	const struct userpci_register *names = defaults->names;
	int region = defaults->region;
	unsigned int width;
	char number[24];

	*place = (struct place){ 0 };
	text = parse_region(word, length, &region);
	if (!text)
		return "a region is config, or the number of a BAR, 0 to 5";
	length -= (size_t)(text - word);
	width = parse_width(text, length);
	if (width)
		length -= 2;
	else
		width = defaults->width;
	if (!length)
		return "it is empty";
	if (text[0] >= '0' && text[0] <= '9') {
		snprintf(number, sizeof(number), "%.*s", length < 23 ? (int)length : 23, text);
		if (!number_parse(number, &place->offset))
			return "an offset is a number, as 12 or 0x1f";
		place->region = region < 0 ? 0 : (unsigned int)region;
		place->width = 4;
		if (place->region == PLACE_CONFIG)
			names = place_config_names;
		place_name(names, place);
	} else {
		wrong = name_find(text, length, region == PLACE_CONFIG ? place_config_names : names,
				  region, place);
		if (wrong)
			return wrong;
	}
	if (width)
		place->width = width;
	return value ? parse_value(value, place) : NULL;
}

const char *place_text(const struct place *place, char text[PLACE_TEXT_SIZE])
{
	int digits = place->region == PLACE_CONFIG ? 3 : 4;

	if (place->name[0])
		snprintf(text, PLACE_TEXT_SIZE, "%s %s (0x%0*" PRIx64 ")",
			 place_region_text(place->region), place->name, digits, place->offset);
	else
		snprintf(text, PLACE_TEXT_SIZE, "%s 0x%0*" PRIx64, place_region_text(place->region),
			 digits, place->offset);
	return text;
}
