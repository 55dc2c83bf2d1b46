/* SPDX-License-Identifier: MIT */
/* What running ports publish of their cycles, as <unic/cycles.h> says it: found, and added up. */
#ifndef TOOLS_CYCLES_H
#define TOOLS_CYCLES_H

#include <stdbool.h>
#include <sys/types.h>

#include <unic/cycles.h>

/* A port's page. */
struct cycles_view {
	pid_t pid;
	int fd; /* the process's */
	const struct unic_cycles *page;
};

/**
 * cycles_find - the page of the port at an address.
 * @address: as that program got it, or as lspci prints it.
 * @pid: 0: whichever process has it.
 *
 * -ENOENT: none has one, or the caller may not look; -ENOTUNIQ: several have.
 */
int cycles_find(const char *address, pid_t pid, struct cycles_view *view);
void cycles_close(struct cycles_view *view);

/* False: the port was closed, or its process has ended. */
bool cycles_lives(const struct cycles_view *view);

unsigned int cycles_queues(const struct cycles_view *view);

/* Where all queues' counts are at one moment. */
struct cycles_count {
	uint64_t now; /* of unic_cycles_now() */
	int64_t now_us;
	struct unic_cycles_queue queue[UNIC_CYCLES_QUEUES];
};

void cycles_read(const struct cycles_view *view, struct cycles_count *count);

/* What happened between two moments; all 0 where no packet moved. */
struct cycles_rate {
	double pps;
	double burst;  /* packets in one */
	double cycles; /* a packet */
	double ns;     /* likewise */
	double busy;   /* share of the time of one processor: 0 to 1, more with several queues */
};

/* @queue: one; -1: all. */
struct cycles_rate cycles_rate(const struct cycles_count *before, const struct cycles_count *count,
			       int queue, bool sent);

/* The counts themselves, of all queues. */
struct unic_cycles_way cycles_sum(const struct cycles_count *count, bool sent);

#endif
