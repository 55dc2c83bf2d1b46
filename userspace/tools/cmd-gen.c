/* SPDX-License-Identifier: MIT */
/* unic gen: sends frames that unic recv knows, at a rate. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "gen.h"
#include "unic-cmd.h"
#include "unic-run.h"

#define BURST_MAX 256
#define BURST	  32
#define SECOND_NS 1000000000
/* With a rate and no --burst: so many bursts a second at most, for a sleep is not finer. */
#define BURSTS_PER_S 10000
/* What a sleep comes late by: the rest is spun away. */
#define LATE_NS 80000
/* So many looks at a full ring, then a pause each: the link may be down. */
#define LOOKS	 1000
#define PAUSE_NS 50000

static const char gen_help[] =
	"send frames, with sequence numbers that recv checks\n"
	"\n"
	"usage: unic gen ADDRESS [--rate PPS] [--size N|A-B|imix] [--flows N] [--count N]\n"
	"                [--time S] [--to MAC] [--burst N] [--queues N] [--json]\n"
	"\n"
	"  --rate PPS    frames a second, in all; without it as many as the device takes\n"
	"  --size SIZE   bytes of a frame without FCS: N, or all from A to B in turn, or\n"
	"                imix: 60, 590 and 1514, in the proportion 7:4:1; default 60\n"
	"  --sizes SIZE  the same\n"
	"  --flows N     UDP flows, which differ in the source port; default one a queue\n"
	"  --count N     end after N frames\n"
	"  --time S      end after S seconds\n"
	"  --to MAC      destination; default 02:00:00:00:00:02\n"
	"  --burst N     frames given to the device at once; default 32, with --rate fewer\n"
	"  --queues N    transmit queues, a thread each; default 1\n"
	"  --json        print JSON\n"
	"\n"
	"UDP over IPv4, from 198.18.0.1 to 198.19.0.1. Ends by --count, --time, SIGINT or\n"
	"SIGTERM, and prints what was sent. 'refused' are frames for which the transmit ring\n"
	"had no room at first; they are sent later. 'dropped' are those that never left the\n"
	"driver.\n";

struct gen {
	const char *address;
	uint64_t rate; /* 0: unlimited */
	struct run_sizes sizes;
	uint64_t flows;
	uint64_t count; /* 0: unlimited */
	int64_t time_us;
	uint8_t to[UNIC_MAC_SIZE];
	uint64_t burst;
	uint64_t queues;
	bool json;
	struct unic_port *port;
	uint32_t run;
	struct gen_queue {
		uint64_t sent, bytes, refused;
	} __attribute__((aligned(64))) queue[RUN_QUEUES_MAX];
	uint64_t shown; /* sent, at the last tick */
	int64_t start_us, shown_us;
};

/* What one queue's thread works through. */
struct gen_worker {
	struct gen *gen;
	struct gen_queue *queue;
	unsigned int number;
	uint64_t flows; /* of this queue */
	uint64_t made;	/* frames; each has its number */
	uint64_t limit; /* of them */
	double rate;	/* a second; 0: unlimited */
	unsigned int burst;
	int64_t start_ns;
	unsigned int looks;
};

/* --- Time --- */

static int64_t gen_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void gen_sleep_ns(int64_t time_ns)
{
	struct timespec time = { time_ns / SECOND_NS, time_ns % SECOND_NS };

	nanosleep(&time, NULL);
}

/* Waits for the moment of the next burst: which is counted from the start, so that nothing that is
 * late makes all that follows late. At most a slice: false, look again. */
static bool gen_is_due(const struct gen_worker *w, unsigned int count)
{
	int64_t due, left;

	if (w->rate == 0)
		return true;
	due = w->start_ns + (int64_t)((double)(w->made + count - 1) / w->rate * SECOND_NS);
	left = due - gen_now_ns();
	if (left <= 0)
		return true;
	if (left > LATE_NS) {
		left -= LATE_NS;
		gen_sleep_ns(left < RUN_SLICE_US * 1000 ? left : RUN_SLICE_US * 1000);
	}
	return false;
}

/* --- Frames --- */

static uint32_t gen_size(const struct run_sizes *sizes, uint64_t number)
{
	/* IMIX: 7 small, 4 medium, 1 large. */
	static const uint16_t imix[12] = { 60, 590, 60, 60,  590, 60,
					   60, 590, 60, 590, 60,  GEN_FRAME_MAX };

	if (!sizes->max)
		return imix[number % 12];
	return sizes->min + (uint32_t)(number % (sizes->max - sizes->min + 1));
}

static void gen_make(struct gen_worker *w, struct unic_packet *packet)
{
	struct gen *gen = w->gen;
	uint64_t number = w->made++;
	struct gen_mark mark = {
		.run = gen->run,
		.flow = w->number + (uint32_t)(number % w->flows * gen->queues),
		.sequence = number / w->flows,
	};
	uint32_t size = gen_size(&gen->sizes, number);

	unic_packet_reset(packet, size);
	gen_frame(unic_packet_data(packet), size, gen->to, unic_info(gen->port)->mac, &mark);
}

/* The ring is full: looks again soon, or later when that has been so for long. */
static void gen_relax(struct gen_worker *w)
{
	if (w->looks < LOOKS)
		w->looks++;
	else
		gen_sleep_ns(PAUSE_NS);
}

/* Until all are in the ring, or it is to end. */
static int gen_send(struct gen_worker *w, struct unic_packet **packets, unsigned int count)
{
	unsigned int done = 0;
	bool first = true;
	int n;

	while (true) {
		n = unic_tx_burst(w->gen->port, w->number, packets + done, count - done);
		if (n < 0)
			break;
		if (first && n < (int)count)
			run_add(&w->queue->refused, count - (unsigned int)n);
		first = false;
		done += (unsigned int)n;
		run_add(&w->queue->sent, (unsigned int)n);
		if (done == count || run_stopped())
			break;
		if (n)
			w->looks = 0;
		gen_relax(w);
	}
	unic_packet_free_burst(packets + done, count - done);
	return n < 0 ? n : 0;
}

/* As many as there are packets for; 0: none. */
static int gen_burst(struct gen_worker *w, unsigned int count)
{
	struct unic_packet *packets[BURST_MAX];
	unsigned int n, i;

	n = unic_packet_alloc_burst(w->gen->port, w->number, packets, count);
	for (i = 0; i < n; i++)
		gen_make(w, packets[i]);
	if (!n)
		gen_relax(w);
	else
		w->looks = 0;
	return n ? gen_send(w, packets, n) : 0;
}

/* --- The run --- */

static struct gen_worker gen_worker(struct gen *gen, unsigned int queue)
{
	struct gen_worker w = {
		.gen = gen,
		.queue = &gen->queue[queue],
		.number = queue,
		.flows = (gen->flows - queue + gen->queues - 1) / gen->queues,
		.limit = gen->count / gen->queues + (queue < gen->count % gen->queues),
		.rate = (double)gen->rate / (double)gen->queues,
		.burst = (unsigned int)gen->burst,
	};

	if (!gen->count)
		w.limit = UINT64_MAX;
	if (!w.burst && gen->rate && w.rate < (double)BURST * BURSTS_PER_S)
		w.burst = 1 + (unsigned int)(w.rate / BURSTS_PER_S);
	if (!w.burst)
		w.burst = BURST;
	w.start_ns = gen_now_ns();
	return w;
}

static int gen_work(void *context, unsigned int queue)
{
	struct gen_worker w = gen_worker(context, queue);
	unsigned int count;
	int err = 0;

	while (!err && w.made < w.limit && !run_stopped()) {
		count = w.limit - w.made < w.burst ? (unsigned int)(w.limit - w.made) : w.burst;
		if (gen_is_due(&w, count))
			err = gen_burst(&w, count);
	}
	return err;
}

static uint64_t gen_sent(const struct gen *gen, uint64_t *refused)
{
	uint64_t sent = 0;
	unsigned int i;

	*refused = 0;
	for (i = 0; i < gen->queues; i++) {
		sent += run_read(&gen->queue[i].sent);
		*refused += run_read(&gen->queue[i].refused);
	}
	return sent;
}

static void gen_tick(void *context)
{
	char rate[UNIC_CMD_TEXT], all[UNIC_CMD_TEXT];
	struct gen *gen = context;
	uint64_t refused, sent = gen_sent(gen, &refused);
	int64_t now = unic_cmd_now_us();

	run_progress("gen: %s frames/s, %s sent, %llu refused",
		     run_short(run_per_second(sent - gen->shown, now - gen->shown_us), rate),
		     run_short((double)sent, all), (unsigned long long)refused);
	gen->shown = sent;
	gen->shown_us = now;
}

static void gen_summary(const struct gen *gen, int64_t took_us)
{
	struct unic_stats stats = { 0 };
	uint64_t refused, sent = gen_sent(gen, &refused);
	struct run_line line;

	(void)unic_stats(gen->port, &stats);
	run_line_begin(&line, gen->json, "summary", "gen", gen->address);
	run_line_number(&line, "sent", sent);
	run_line_number(&line, "bytes", stats.tx_bytes);
	run_line_number(&line, "refused", refused);
	run_line_number(&line, "dropped",
			stats.tx_bad_length + stats.tx_bad_packet + stats.tx_bad_offload);
	run_line_decimal(&line, "seconds", (double)took_us / 1e6);
	run_line_decimal(&line, "pps", run_per_second(sent, took_us));
	run_line_decimal(&line, "bps", run_per_second(8 * stats.tx_bytes, took_us));
	run_line_end(&line);
}

static enum unic_status gen_parse(struct gen *gen, int argc, char **argv)
{
	const struct run_option options[] = {
		{ "rate", RUN_NUMBER, &gen->rate, 1, 1000000000, 0 },
		{ "size", RUN_SIZES, &gen->sizes, GEN_FRAME_MIN, GEN_FRAME_MAX, 0 },
		{ "sizes", RUN_SIZES, &gen->sizes, GEN_FRAME_MIN, GEN_FRAME_MAX, 0 },
		{ "flows", RUN_NUMBER, &gen->flows, 1, GEN_FLOWS_MAX, 0 },
		{ "count", RUN_NUMBER, &gen->count, 1, UINT64_MAX, 0 },
		{ "time", RUN_SECONDS, &gen->time_us, 0, 0, 0 },
		{ "to", RUN_MAC, gen->to, 0, 0, 0 },
		{ "burst", RUN_NUMBER, &gen->burst, 1, BURST_MAX, 0 },
		{ "queues", RUN_NUMBER, &gen->queues, 1, RUN_QUEUES_MAX, 0 },
		{ "json", RUN_FLAG, &gen->json, 0, 0, 0 },
		{ 0 },
	};
	enum unic_status status = run_parse(argc, argv, options, &gen->address, 1);

	if (status)
		return status;
	if (!gen->flows)
		gen->flows = gen->queues;
	if (gen->flows < gen->queues)
		return unic_cmd_usage("gen", "--flows must not be below --queues", "");
	return UNIC_OK;
}

static enum unic_status gen_run(int argc, char **argv)
{
	struct gen gen = {
		.sizes = { GEN_FRAME_MIN, GEN_FRAME_MIN },
		.to = { 2, 0, 0, 0, 0, 2 },
		.queues = 1,
	};
	struct unic_config config = { .flags = UNIC_CONFIG_NO_IRQ };
	enum unic_status status = gen_parse(&gen, argc, argv);
	struct run run = { .work = gen_work, .context = &gen };
	int err;

	if (status)
		return status;
	run_catch_signals();
	gen_init();
	if (getrandom(&gen.run, sizeof(gen.run), 0) != sizeof(gen.run))
		gen.run = (uint32_t)gen_now_ns();
	config.queues = (uint32_t)gen.queues;
	status = unic_cmd_open_config(gen.address, &config, &gen.port);
	if (status)
		return status;
	run_print_ready(gen.json, "gen", gen.address, gen.port);
	run.queues = config.queues;
	run.time_us = gen.time_us;
	if (run_has_progress()) {
		run.tick = gen_tick;
		run.tick_us = 1000000;
	}
	gen.start_us = gen.shown_us = unic_cmd_now_us();
	err = run_workers(&run);
	run_progress_end();
	gen_summary(&gen, unic_cmd_now_us() - gen.start_us);
	unic_close(gen.port);
	return err ? unic_cmd_error(gen.address, "gen", err) : UNIC_OK;
}

const struct unic_cmd unic_cmd_gen = { "gen", gen_help, gen_run };
