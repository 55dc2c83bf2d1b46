/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many registers at once: which of a device, and the file that has what they were.
 *
 * The file is text. First "# userpci dump ADDRESS VENDOR:DEVICE REGION", then lines "OFFSET: VALUE
 * VALUE...", in hexadecimal, where the digits of a value tell its width; "OFFSET NAME: VALUE" for
 * registers with names. A line "*" stands for as many like the one before as come to the next
 * line's offset.
 */
#ifndef TOOLS_DUMP_H
#define TOOLS_DUMP_H

#include <stdio.h>

#include "target.h"

#define DUMP_LINE_BYTES 16

/* Registers of a region, in order of their offsets. */
struct dump_range {
	unsigned int region, width;
	uint64_t next, end;
	struct place *places; /* those with names, or NULL: all from @next to @end */
	size_t count, at;
	uint64_t bytes; /* of all that are to be read */
};

/* What @options say: --region, --offset, --length, --width, --names. Or prints what is wrong. */
enum cmd_status dump_range(struct target *target, const struct cmd_options *options,
			   struct dump_range *range);
bool dump_range_next(struct dump_range *range, struct place *place);
void dump_range_free(struct dump_range *range);

/* --- The file --- */

struct dump_file {
	FILE *file;
	const char *path;
	unsigned int line; /* its number */
	unsigned int region;
	char id[16]; /* "8086:10d3" */
	/* The line that is told, and from where. */
	struct place place;
	uint64_t values[DUMP_LINE_BYTES];
	unsigned int count, at;
	uint64_t repeat_to; /* what the line stands for goes on to this offset */
	/* The line behind a "*". */
	bool has_next;
	struct place next_place;
	uint64_t next_values[DUMP_LINE_BYTES];
	unsigned int next_count;
};

/* 0, or -errno; -EINVAL: it is no dump. */
int dump_open(struct dump_file *dump, const char *path);
void dump_close(struct dump_file *dump);

/* 1: the next register, and its value in place->value; 0: there are no more; -EINVAL: damaged. */
int dump_next(struct dump_file *dump, struct place *place);

/* Its first line, on stdout. */
void dump_print_head(const struct target *target, const struct dump_range *range);

/* Gathers values to lines. */
struct dump_lines {
	struct place first;
	uint64_t values[DUMP_LINE_BYTES], before[DUMP_LINE_BYTES];
	unsigned int count, count_before;
	bool starred;
};

void dump_print(struct dump_lines *lines, const struct place *place, uint64_t value);
void dump_print_end(struct dump_lines *lines);

#endif
