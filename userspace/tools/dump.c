// SPDX-License-Identifier: GPL-2.0-or-later
/* Many registers at once: which of a device, and the file that has what they were. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "dump.h"

/* --- Which registers --- */

static uint64_t config_size(const struct target *target)
{
	uint32_t value;

	return userpci_config_read(target->device, 256, 4, &value) ? 256 : 4096;
}

static enum cmd_status region_size(struct target *target, unsigned int index, uint64_t *size)
{
	struct userpci_region *region;
	enum cmd_status status;

	if (index == PLACE_CONFIG) {
		*size = config_size(target);
		return CMD_OK;
	}
	status = target_region(target, index, &region);
	if (!status)
		*size = region->size;
	return status;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *left = a, *right = b;

	return left->offset < right->offset ? -1 : left->offset > right->offset;
}

static size_t count_named(const struct userpci_register *names, unsigned int region)
{
	const struct userpci_register *r;
	size_t count = 0;

	for (r = names; r && r->name; r++)
		if (r->region == region)
			count += r->count ? r->count : 1;
	return count;
}

/* Those with names whose offsets are in the range. */
static enum cmd_status named(const struct target *target, struct dump_range *range)
{
	const struct userpci_register *r, *names = target->names;
	struct place place;

	if (range->region == PLACE_CONFIG)
		names = place_config_names;
	range->places = calloc(count_named(names, range->region) + 1, sizeof(*range->places));
	if (!range->places)
		return cmd_error(target->address, target->action, -ENOMEM, "");
	for (r = names; r && r->name; r++)
		for (uint32_t i = 0; i < (r->count ? r->count : 1); i++) {
			place = (struct place){ .region = r->region,
						.width = r->width,
						.offset = r->offset +
							  (uint64_t)i * (r->stride ? r->stride
										   : r->width) };
			if (place.region != range->region || place.offset < range->next ||
			    place.offset + place.width > range->end)
				continue;
			place_name(names, &place);
			range->places[range->count++] = place;
			range->bytes += place.width;
		}
	if (!range->count)
		return cmd_fail(target->address, target->action, "%s has no registers with names",
				place_region_text(range->region));
	qsort(range->places, range->count, sizeof(*range->places), compare_places);
	return CMD_OK;
}

enum cmd_status dump_range(struct target *target, const struct cmd_options *options,
			   struct dump_range *range)
{
	enum cmd_status status;
	uint64_t size;

	*range = (struct dump_range){ .region = PLACE_CONFIG, .width = 4 };
	if (options->region)
		range->region = (unsigned int)place_region(options->region);
	if (options->width)
		range->width = (unsigned int)options->width / 8;
	status = region_size(target, range->region, &size);
	if (status)
		return status;
	range->next = options->offset;
	range->end = cmd_given(options, CMD_LENGTH) ? options->offset + options->length : size;
	if (range->next >= size || range->end > size || range->end <= range->next)
		return cmd_fail(target->address, target->action,
				"%s has %" PRIu64 " bytes: that is beyond them",
				place_region_text(range->region), size);
	if (options->names)
		return named(target, range);
	if (range->next % range->width || (range->end - range->next) % range->width)
		return cmd_usage(target->action, "--offset and --length are multiples of --width",
				 "");
	range->bytes = range->end - range->next;
	return CMD_OK;
}

bool dump_range_next(struct dump_range *range, struct place *place)
{
	if (range->places) {
		if (range->at == range->count)
			return false;
		*place = range->places[range->at++];
		return true;
	}
	if (range->next >= range->end)
		return false;
	*place = (struct place){ .region = range->region,
				 .width = range->width,
				 .offset = range->next };
	range->next += range->width;
	return true;
}

void dump_range_free(struct dump_range *range)
{
	free(range->places);
	range->places = NULL;
}

/* --- Reading the file --- */

/* The value, and how many digits it has; 0: there is none. */
static int parse_hex(const char *text, uint64_t *value)
{
	size_t digits = strspn(text, "0123456789abcdef");

	if (digits > 16)
		return 0;
	*value = strtoull(text, NULL, 16);
	return (int)digits;
}

/* "OFFSET[ NAME]: VALUE VALUE...": false: it is not. */
static bool parse_line(const char *line, unsigned int region, struct place *place, uint64_t *values,
		       unsigned int *count)
{
	int digits, width = 0;
	uint64_t offset;
	size_t length;

	digits = parse_hex(line, &offset);
	if (!digits || offset > INT64_MAX)
		return false;
	line += digits;
	*place = (struct place){ .region = region, .offset = offset };
	if (*line == ' ') {
		length = strcspn(++line, ":");
		if (!length || length >= sizeof(place->name))
			return false;
		memcpy(place->name, line, length);
		line += length;
	}
	if (*line++ != ':')
		return false;
	for (*count = 0; *line == ' ' && *count < DUMP_LINE_BYTES; line += digits) {
		digits = parse_hex(++line, &values[(*count)++]);
		if (!digits || (width && digits != width))
			return false;
		width = digits;
	}
	if (*line || (width != 2 && width != 4 && width != 8 && width != 16))
		return false;
	place->width = (unsigned int)width / 2;
	return place->offset % place->width == 0 && *count * place->width <= DUMP_LINE_BYTES;
}

/* Without its newline: 1; 0: there are no more; -EINVAL: it is cut short, or too long. */
static int read_line(struct dump_file *dump, char *line, int size)
{
	size_t length;

	if (!fgets(line, size, dump->file))
		return ferror(dump->file) ? -EINVAL : 0;
	dump->line++;
	length = strcspn(line, "\n");
	if (!line[length])
		return -EINVAL;
	line[length] = '\0';
	return 1;
}

int dump_open(struct dump_file *dump, const char *path)
{
	char line[160], region[8];
	int end = 0, err;

	*dump = (struct dump_file){ .path = path, .file = fopen(path, "re") };
	if (!dump->file)
		return -errno;
	errno = 0;
	if (read_line(dump, line, sizeof(line)) == 1 &&
	    sscanf(line, "# userpci dump %*s %15s %7s%n", dump->id, region, &end) == 2 &&
	    !line[end])
		for (dump->region = 0; dump->region <= PLACE_CONFIG; dump->region++)
			if (!strcmp(region, place_region_text(dump->region)))
				return 0;
	err = errno ? -errno : -EINVAL;
	dump_close(dump);
	return err;
}

void dump_close(struct dump_file *dump)
{
	if (dump->file)
		fclose(dump->file);
	dump->file = NULL;
}

static uint64_t line_end(const struct dump_file *dump)
{
	return dump->place.offset + (uint64_t)dump->count * dump->place.width;
}

/* Takes the line that was read ahead. */
static void take_next(struct dump_file *dump)
{
	dump->place = dump->next_place;
	memcpy(dump->values, dump->next_values, sizeof(dump->values));
	dump->count = dump->next_count;
	dump->has_next = false;
	dump->at = 0;
}

/* 1: there is another line to tell; 0: no more. */
static int advance(struct dump_file *dump)
{
	char line[256];
	bool star;
	int got;

	if (dump->has_next) {
		take_next(dump);
		return 1;
	}
	got = read_line(dump, line, sizeof(line));
	if (got != 1)
		return got;
	star = !strcmp(line, "*");
	if (star && (!dump->count || read_line(dump, line, sizeof(line)) != 1))
		return -EINVAL;
	if (!parse_line(line, dump->region, &dump->next_place, dump->next_values,
			&dump->next_count))
		return -EINVAL;
	if (dump->count && dump->next_place.offset < line_end(dump))
		return -EINVAL;
	dump->has_next = true;
	if (!star) {
		take_next(dump);
		return 1;
	}
	dump->repeat_to = dump->next_place.offset;
	dump->place.offset = line_end(dump);
	dump->at = 0;
	/* It stands for whole lines. */
	if ((dump->repeat_to - dump->place.offset) % (dump->count * dump->place.width))
		return -EINVAL;
	return dump->place.offset < dump->repeat_to ? 1 : advance(dump);
}

int dump_next(struct dump_file *dump, struct place *place)
{
	int got = 1;

	if (dump->at == dump->count && dump->count && line_end(dump) < dump->repeat_to) {
		dump->place.offset = line_end(dump);
		dump->at = 0;
	} else if (dump->at == dump->count) {
		got = advance(dump);
	}
	if (got != 1)
		return got;
	*place = dump->place;
	place->offset += (uint64_t)dump->at * place->width;
	place->value = dump->values[dump->at++];
	return 1;
}

/* --- Writing it --- */

void dump_print_head(const struct target *target, const struct dump_range *range)
{
	const struct userpci_info *info = userpci_info(target->device);

	printf("# userpci dump %s %04x:%04x %s\n", target_name(target), info->vendor_id,
	       info->device_id, place_region_text(range->region));
}

static void print_line(struct dump_lines *lines)
{
	const struct place *first = &lines->first;

	printf("%08" PRIx64 "%s%s:", first->offset, first->name[0] ? " " : "", first->name);
	for (unsigned int i = 0; i < lines->count; i++)
		printf(" %0*" PRIx64, (int)(2 * first->width), lines->values[i]);
	putchar('\n');
	lines->starred = false;
}

static bool repeats(const struct dump_lines *lines)
{
	return !lines->first.name[0] && lines->count == lines->count_before &&
	       !memcmp(lines->values, lines->before, lines->count * sizeof(lines->values[0]));
}

static void flush_line(struct dump_lines *lines)
{
	if (!repeats(lines))
		print_line(lines);
	else if (!lines->starred)
		puts("*");
	lines->starred = repeats(lines);
	memcpy(lines->before, lines->values, sizeof(lines->before));
	lines->count_before = lines->count;
}

/* A full line waits for the next value: the last one is printed whatever it is. */
void dump_print(struct dump_lines *lines, const struct place *place, uint64_t value)
{
	if (lines->count &&
	    (place->name[0] || lines->count * lines->first.width == DUMP_LINE_BYTES)) {
		flush_line(lines);
		lines->count = 0;
	}
	if (!lines->count)
		lines->first = *place;
	lines->values[lines->count++] = value;
}

void dump_print_end(struct dump_lines *lines)
{
	if (lines->count)
		print_line(lines);
}
