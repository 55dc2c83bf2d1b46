/* SPDX-License-Identifier: MIT */
/*
 * What a running port costs, for other processes to read: `unic stats --cycles` does.
 *
 * A port that is opened with UNIC_CONFIG_CYCLES, or with UNIC_CYCLES=1 in the environment, counts
 * the cycles of its bursts in a page of shared memory, a struct unic_cycles. The page has no path
 * of its own: the process has it open as a file whose link in /proc/PID/fd begins with
 * "/memfd:" UNIC_CYCLES_NAME, which those may open who may trace the process, and which ends with
 * it. Map it read-only; its size is fixed.
 */
#ifndef UNIC_CYCLES_H
#define UNIC_CYCLES_H

#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UNIC_CYCLES_NAME    "unic-cycles"
#define UNIC_CYCLES_MAGIC   0x31637963u /* "cyc1": the layout below, and no other */
#define UNIC_CYCLES_SIZE    4096	/* bytes of the file */
#define UNIC_CYCLES_ADDRESS 96
#define UNIC_CYCLES_QUEUES  16

/* One direction of one queue. Its thread stores the three one after the other: read while it runs
 * they differ by a burst at most. */
struct unic_cycles_way {
	uint64_t bursts;  /* that moved packets; others are not counted, nor their cycles */
	uint64_t packets; /* of these */
	uint64_t cycles;  /* of unic_cycles_now(), in the driver's burst call */
};

struct unic_cycles_queue {
	struct unic_cycles_way rx, tx;
	uint64_t reserved[2]; /* 0: a cache line a queue */
};

struct unic_cycles {
	uint32_t magic;
	uint32_t queues;
	char given[UNIC_CYCLES_ADDRESS];   /* the address that unic_open() got; terminated */
	char address[UNIC_CYCLES_ADDRESS]; /* "DDDD:BB:DD.F" */
	char driver[24];		   /* "e1000" */
	uint64_t reserved[4];		   /* 0 */
	struct unic_cycles_queue queue[UNIC_CYCLES_QUEUES];
};

/**
 * unic_cycles_now - the counter that a port's cycles are counted by, of a constant rate.
 *
 * The TSC, the generic timer of arm64, elsewhere nanoseconds. All before it is done. Read it twice,
 * a second apart, for its rate.
 */
static inline uint64_t unic_cycles_now(void)
{
#if defined(__x86_64__) || defined(__i386__)
	uint32_t low, high;

	__asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
	uint64_t now;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(now) : : "memory");
	return now;
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
#endif
}

#ifdef __cplusplus
}
#endif

#endif
