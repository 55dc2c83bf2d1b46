/* SPDX-License-Identifier: MIT */
/*
 * What unic's subcommands have in common when they run for a while: options, the end by a signal,
 * a thread a queue, a line on the terminal, and what is printed, as text or as JSON.
 */
#ifndef TOOLS_UNIC_RUN_H
#define TOOLS_UNIC_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unic-cmd.h"

#define RUN_QUEUES_MAX 16
/* A worker looks this often at whether to end. */
#define RUN_SLICE_US 100000

/* --- Options --- */

/* What the value of an option is, and what @value points at. */
enum run_kind {
	RUN_FLAG,    /* bool; there is no value */
	RUN_NUMBER,  /* uint64_t: 1500, 10k, 1.5M */
	RUN_SECONDS, /* int64_t, microseconds: 10, 0.5, 200ms, 2m */
	RUN_SIZES,   /* struct run_sizes: 60, 60-1514, imix */
	RUN_MAC,     /* uint8_t[6] */
	RUN_IPV4,    /* uint8_t[4] */
	RUN_TEXT,    /* const char *: any */
};

struct run_sizes {
	uint32_t min, max; /* bytes; both 0: imix */
};

struct run_option {
	const char *name; /* without the dashes; NULL ends the table */
	enum run_kind kind;
	void *value;
	uint64_t min, max; /* of RUN_NUMBER and RUN_SIZES */
	char letter;	   /* its short name, or 0 */
};

/**
 * run_parse - reads a subcommand's arguments.
 * @addresses: receives exactly @count words that are no options.
 *
 * What is wrong is printed, in one line.
 */
enum unic_status run_parse(int argc, char **argv, const struct run_option *options,
			   const char **addresses, unsigned int count);

bool run_parse_sizes(const char *text, uint32_t min, uint32_t max, struct run_sizes *sizes);

/* --- Threads --- */

struct run {
	unsigned int queues; /* a worker each */
	int64_t time_us;     /* 0: as long as the workers do */
	int64_t tick_us;     /* between two ticks; 0: none */
	/* Until run_stopped(), or by itself. An error ends the others, too. */
	int (*work)(void *context, unsigned int queue);
	/* Meanwhile, on the caller's thread. */
	void (*tick)(void *context);
	void *context;
};

/* Until all workers have ended: 0, or the first error of one. */
int run_workers(const struct run *run);

/* What a worker counts and another thread reads. */
static inline void run_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t run_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* --- What is printed --- */

/* One line on stdout: "WHO: key value, key value", or a JSON object. */
struct run_line {
	bool json;
	bool begun;
};

void run_line_begin(struct run_line *line, bool json, const char *event, const char *command,
		    const char *address);
void run_line_number(struct run_line *line, const char *key, uint64_t value);
void run_line_decimal(struct run_line *line, const char *key, double value);
void run_line_text(struct run_line *line, const char *key, const char *value);
void run_line_bool(struct run_line *line, const char *key, bool value);
void run_line_end(struct run_line *line);

/* "DRIVER: ready at ADDRESS, MAC M, link L", or that in JSON. */
void run_print_ready(bool json, const char *command, const char *address, struct unic_port *port);

#endif
