/* SPDX-License-Identifier: MIT */
/*
 * The loop that every network stack is measured by. A stack is a .c file that defines PACKET, the
 * type of its packets, and these functions, static, and then includes this:
 *
 *     stack_open(count, addresses)      opens and starts the ports, which are known by number
 *     stack_alloc(port, packets, n)     takes up to n packets that the port will send
 *     stack_write(packets, n)           writes the frame into each
 *     stack_tx(port, packets, n)        a burst; returns how many were accepted
 *     stack_rx(port, packets, n)        a burst; returns how many came
 *     stack_free(packets, n)            gives packets back
 *
 * Of `tx` port 0 sends, to nobody. Of `rx` 0 receives what 1 sends. Of `forward` 0 receives what 2
 * sends, and 1 sends it on, to nobody.
 *
 * Usage: PROGRAM WORKLOAD BURST,BURST... ADDRESS...
 *
 * Output: lines of WORKLOAD, BURST, METRIC, VALUE, SPREAD, UNIT, with tabs between; and after those
 * of each burst size a line `report`: then the plugin has written what it counted.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define BURST_MAX 64
#define WARM_UP	  100
#define BURSTS	  1500 /* that are counted; one that did not move all of its packets is not */
#define TRIES	  5000
#define DEAF_NS	  2500000000 /* QEMU: its e1000 receives nothing in the first second */

static PACKET *packets[BURST_MAX];
static struct figure driver, buffers;

/* Sends a burst outside of the windows. */
static int generate(unsigned int port, unsigned int burst)
{
	unsigned int count = stack_alloc(port, packets, burst), sent;

	stack_write(packets, count);
	sent = stack_tx(port, packets, count);
	if (sent < count)
		stack_free(packets + sent, count - sent);
	settle();
	return sent == burst;
}

static void drain(unsigned int port)
{
	unsigned int count;

	while ((count = stack_rx(port, packets, BURST_MAX)))
		stack_free(packets, count);
}

/* Each of these is one window, or two; returns whether all packets were moved. */

static int measure_tx(unsigned int burst)
{
	unsigned int count, sent;

	settle();
	icount_begin(&buffers.window);
	count = stack_alloc(0, packets, burst);
	stack_write(packets, count);
	icount_end(&buffers.window);
	icount_begin(&driver.window);
	sent = stack_tx(0, packets, count);
	icount_end(&driver.window);
	if (sent < count)
		stack_free(packets + sent, count - sent);
	return sent == burst;
}

static int measure_rx(unsigned int burst)
{
	unsigned int count;

	if (!generate(1, burst))
		return 0;
	icount_begin(&driver.window);
	count = stack_rx(0, packets, burst);
	icount_end(&driver.window);
	icount_begin(&buffers.window);
	stack_free(packets, count);
	icount_end(&buffers.window);
	if (count != burst)
		drain(0);
	return count == burst;
}

static int measure_forward(unsigned int burst)
{
	unsigned int count, sent;

	if (!generate(2, burst))
		return 0;
	icount_begin(&driver.window);
	count = stack_rx(0, packets, burst);
	sent = stack_tx(1, packets, count);
	icount_end(&driver.window);
	if (sent < count)
		stack_free(packets + sent, count - sent);
	if (count != burst)
		drain(0);
	return sent == burst;
}

static const struct workload {
	const char *name;
	int (*measure)(unsigned int burst);
	int ports;
	int buffers; /* has a second window */
} workloads[] = {
	{ "tx", measure_tx, 1, 1 },
	{ "rx", measure_rx, 2, 1 },
	{ "forward", measure_forward, 3, 0 },
};

static void run(const struct workload *workload, unsigned int burst)
{
	double a, b;
	unsigned int i;

	figure_init(&driver, 0, BURSTS);
	figure_init(&buffers, 1, BURSTS);
	for (i = 0; i < WARM_UP; i++)
		workload->measure(burst);
	for (i = 0; i < TRIES && !figure_done(&driver); i++) {
		if (!workload->measure(burst))
			continue;
		figure_keep(&driver);
		if (workload->buffers)
			figure_keep(&buffers);
	}
	if (!figure_done(&driver))
		errx(1, "%s: of %u bursts of %u packets only %llu were whole", workload->name,
		     TRIES, burst, (unsigned long long)driver.window.kept);
	a = icount_mean(&driver.window) / burst;
	printf("%s\t%u\tinstructions\t%.2f\t%.2f\tper packet\n", workload->name, burst, a,
	       figure_spread(&driver));
	b = icount_mean(&buffers.window) / burst;
	if (workload->buffers)
		printf("%s\t%u\tinstructions-app\t%.2f\t%.2f\tper packet\n", workload->name, burst,
		       a + b, (a * figure_spread(&driver) + b * figure_spread(&buffers)) / (a + b));
	icount_report();
	printf("report\n");
}

int main(int argc, char **argv)
{
	const struct workload *workload = workloads;
	char *burst, *rest = NULL;

	while (argc > 1 && workload < workloads + 3 && strcmp(argv[1], workload->name))
		workload++;
	if (argc < 4 || workload == workloads + 3 || argc - 3 != workload->ports)
		errx(2, "usage: tx|rx|forward BURST,BURST... ADDRESS...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	stack_open(argc - 3, argv + 3);
	if (workload->ports > 1)
		pause_ns(DEAF_NS);
	for (burst = strtok_r(argv[2], ",", &rest); burst; burst = strtok_r(NULL, ",", &rest)) {
		if (workload->ports > 1)
			drain(0);
		run(workload, (unsigned int)atoi(burst));
	}
	return 0;
}
