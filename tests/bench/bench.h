/* SPDX-License-Identifier: MIT */
/*
 * What all programs of the benchmark share: a figure, and the time between two windows.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

#include "../../qemu/icount.h"

#define GROUPS	   5 /* of windows in a row: how much their means differ is a figure's spread */
#define TICK_NS	   4000000 /* of Debian's kernels, at whole multiples of CLOCK_MONOTONIC */
#define TICK_CLEAR 600000  /* before and after it no window is opened */

struct figure {
	struct icount window;
	uint64_t wanted; /* windows to be kept */
	uint64_t sum[GROUPS], kept[GROUPS];
};

static inline void figure_init(struct figure *figure, unsigned int number, uint64_t wanted)
{
	*figure = (struct figure){ .wanted = wanted };
	icount_init(&figure->window, number);
}

static inline int figure_done(const struct figure *figure)
{
	return figure->window.kept >= figure->wanted;
}

static inline void figure_keep(struct figure *figure)
{
	uint64_t group = figure->window.kept * GROUPS / figure->wanted;

	icount_keep(&figure->window);
	figure->sum[group] += icount_last(&figure->window);
	figure->kept[group]++;
}

/* The groups' means, from the least to the most, in percent of the mean. */
static inline double figure_spread(const struct figure *figure)
{
	double min = 0, max = 0, mean = icount_mean(&figure->window), group;
	unsigned int i;

	for (i = 0; i < GROUPS; i++) {
		group = figure->kept[i] ? (double)figure->sum[i] / (double)figure->kept[i] : mean;
		min = !i || group < min ? group : min;
		max = !i || group > max ? group : max;
	}
	return mean > 0 ? 100 * (max - min) / mean : 0;
}

static inline void pause_ns(uint64_t time_ns)
{
	struct timespec time = { .tv_sec = (time_t)(time_ns / 1000000000),
				 .tv_nsec = (long)(time_ns % 1000000000) };

	nanosleep(&time, NULL);
}

/*
 * The time in which the device does what the last window has told it to, outside of any window; and
 * the next one is not opened when the timer's interrupt is about to fall into it.
 */
static inline void settle(void)
{
	struct timespec now;
	uint64_t phase;

	prctl(PR_SET_TIMERSLACK, 1);
	pause_ns(50000);
	clock_gettime(CLOCK_MONOTONIC, &now);
	phase = (uint64_t)now.tv_nsec % TICK_NS;
	if (phase < TICK_CLEAR)
		pause_ns(TICK_CLEAR - phase);
	else if (phase > TICK_NS - TICK_CLEAR)
		pause_ns(TICK_NS + TICK_CLEAR - phase);
}

#endif
