/* SPDX-License-Identifier: MIT */
/*
 * Counts the instructions of a stretch of a program, exactly, in a guest of `qemu/run --icount`.
 *
 *     struct icount burst;
 *
 *     icount_init(&burst, 0);
 *     for (i = 0; i < 2000; i++) {
 *             icount_begin(&burst);
 *             sent = my_burst(port, packets, 32);
 *             icount_end(&burst);
 *             if (sent == 32)
 *                     icount_keep(&burst);
 *             usleep(100);
 *     }
 *     printf("%.2f instructions a packet\n", icount_mean(&burst) / 32);
 *     icount_report();
 *
 * There one tick of the TSC is one instruction, so a stretch, a window, is two reads of it; what
 * the reads cost is subtracted. The marks are NOPs that `qemu/run --icount-report FILE` recognises:
 * it counts register accesses, locks and system calls between them, see qemu/icount.c. Anywhere
 * else the marks do nothing, and the windows are in ticks of the TSC.
 */
#ifndef QEMU_ICOUNT_H
#define QEMU_ICOUNT_H

#include <stdint.h>

#define ICOUNT_WINDOWS 2 /* that the report tells apart */

/* nopl MARK(%rax): no compiler and no library has this displacement. */
#define ICOUNT_MARK   0x75706300
#define ICOUNT_START  0x01
#define ICOUNT_BEGIN  0x02
#define ICOUNT_END    0x03
#define ICOUNT_REPORT 0x04
#define ICOUNT_ENDED  0x10 /* plus the window's number */
#define ICOUNT_KEEP   0x20 /* likewise */
#define ICOUNT_NOP    ".byte 0x0f, 0x1f, 0x80\n\t.long %c[mark]\n\t"
#define ICOUNT_SAY(number) \
	__asm__ volatile(ICOUNT_NOP : : [mark] "i"(ICOUNT_MARK | (number)) : "memory")

struct icount {
	uint64_t begun;
	uint64_t last;	     /* of the window that ended last, its own cost included */
	uint64_t overhead;   /* of an empty window */
	uint64_t kept;	     /* windows */
	uint64_t sum;	     /* of these */
	unsigned int number; /* in the report */
};

/* In assembly, so that each window has the same instructions of its own, which can be subtracted.
 * The fence: all before it is done, and nothing behind it has begun. */
static inline void icount_begin(struct icount *window)
{
	__asm__ volatile("lfence\n\trdtsc\n\tshl $32, %%rdx\n\tor %%rdx, %%rax\n\t"
			 "mov %%rax, %[begun]\n\t" ICOUNT_NOP
			 : [begun] "=m"(window->begun)
			 : [mark] "i"(ICOUNT_MARK | ICOUNT_BEGIN)
			 : "rax", "rdx", "memory", "cc");
}

static inline void icount_end(struct icount *window)
{
	uint64_t low, high;

	__asm__ volatile(ICOUNT_NOP "lfence\n\trdtsc\n\t"
			 : "=a"(low), "=d"(high)
			 : [mark] "i"(ICOUNT_MARK | ICOUNT_END)
			 : "memory");
	window->last = (low | high << 32) - window->begun;
	if (window->number == 0)
		ICOUNT_SAY(ICOUNT_ENDED);
	else
		ICOUNT_SAY(ICOUNT_ENDED + 1);
}

/* What the window that ended last has cost. */
static inline uint64_t icount_last(const struct icount *window)
{
	return window->last - window->overhead;
}

/* Adds the window that ended last; without it, it does not count. */
static inline void icount_keep(struct icount *window)
{
	uint64_t last = icount_last(window);

	window->kept++;
	window->sum += last;
	if (window->number == 0)
		ICOUNT_SAY(ICOUNT_KEEP);
	else
		ICOUNT_SAY(ICOUNT_KEEP + 1);
}

static inline double icount_mean(const struct icount *window)
{
	return window->kept ? (double)window->sum / (double)window->kept : 0;
}

/* @number: of the window in the report, 0 or 1. */
static inline void icount_init(struct icount *window, unsigned int number)
{
	unsigned int i;

	*window = (struct icount){ .overhead = UINT64_MAX, .number = number };
	ICOUNT_SAY(ICOUNT_START);
	for (i = 0; i < 100; i++) {
		icount_begin(window);
		icount_end(window);
		if (window->last < window->overhead)
			window->overhead = window->last;
	}
}

/* Has what was counted since the last report written to the report's file. */
static inline void icount_report(void)
{
	ICOUNT_SAY(ICOUNT_REPORT);
}

#endif
