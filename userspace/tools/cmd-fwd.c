/* SPDX-License-Identifier: MIT */
/* unic fwd: what comes to one port leaves by another, both ways. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unic-cmd.h"
#include "unic-run.h"

#define BURST 32
/* Of a queue: all rings of both ports have their share of one port's memory. */
#define PACKETS 2048
/* Both ports are looked at so often before the first sleep. */
#define LOOKS 256
/* Frames for which the ring has no room are kept for so long; meanwhile no more are received. Where
 * it is still full then, the link is down. */
#define STUCK_US 100000
#define PAUSE_US 50 /* between two looks at it */

static const char fwd_help[] =
	"forward frames between two interfaces\n"
	"\n"
	"usage: unic fwd ADDRESS ADDRESS [--time S] [--queues N] [--json]\n"
	"\n"
	"  --time S    end after S seconds\n"
	"  --queues N  queues of each interface, a thread each; default 1. The devices\n"
	"              spread flows over them.\n"
	"  --json      print JSON\n"
	"\n"
	"All that one receives the other sends, in both directions, unchanged. Nothing is\n"
	"copied where both devices reach the same memory; where they do not, frames are\n"
	"copied, and a line says so. Ends by --time, SIGINT or SIGTERM, and prints what was\n"
	"forwarded, for each direction. 'missed' are frames that the device or the driver\n"
	"dropped because they came too fast; 'dropped' found no room in the other's transmit\n"
	"ring for a tenth of a second, or none in its memory.\n";

/* One direction of one queue, its thread's. */
struct fwd_way {
	uint64_t forwarded, dropped; /* others read them */
	unsigned int first, count;   /* of the packets below, that are still to be sent */
	struct unic_packet *packets[BURST];
	int64_t stuck_us; /* since when none of them could be; 0: they could */
} __attribute__((aligned(64)));

struct fwd {
	const char *addresses[2];
	int64_t time_us;
	uint64_t queues;
	bool json;
	bool copies;
	struct unic_port *ports[2];
	struct fwd_way ways[RUN_QUEUES_MAX][2]; /* by the port that receives */
	uint64_t shown[2];
	int64_t start_us, shown_us;
	unsigned int failed; /* the port that an error is of */
};

/* --- The data path --- */

/* Exchanges the packets for copies in the other port's memory. Returns how many there are. */
static unsigned int fwd_copy(struct unic_port *to, unsigned int queue, struct unic_packet **packets,
			     unsigned int count)
{
	struct unic_packet *copies[BURST];
	unsigned int room = unic_packet_alloc_burst(to, queue, copies, count), i, n = 0;

	for (i = 0; i < count && n < room; i++) {
		/* In several packets: longer than the MTU of the port to send it. */
		if (packets[i]->flags & UNIC_PACKET_CHAINED)
			continue;
		unic_packet_reset(copies[n], packets[i]->length);
		memcpy(unic_packet_data(copies[n]), unic_packet_data(packets[i]),
		       packets[i]->length);
		n++;
	}
	unic_packet_free_burst(packets, count);
	unic_packet_free_burst(copies + n, room - n);
	memcpy(packets, copies, n * sizeof(*packets));
	return n;
}

/* Where several threads fail, any of them tells. */
static int fwd_failed(struct fwd *fwd, unsigned int port, int err)
{
	__atomic_store_n(&fwd->failed, port, __ATOMIC_RELAXED);
	return err;
}

static void fwd_drop(struct fwd_way *way)
{
	unic_packet_free_burst(way->packets + way->first, way->count);
	run_add(&way->dropped, way->count);
	way->count = 0;
	way->stuck_us = 0;
}

static int fwd_receive(struct fwd *fwd, struct fwd_way *way, unsigned int from, unsigned int queue)
{
	int n = unic_rx_burst(fwd->ports[from], queue, way->packets, BURST);

	if (n < 0)
		return fwd_failed(fwd, from, n);
	way->first = 0;
	way->count = (unsigned int)n;
	if (n && fwd->copies) {
		way->count = fwd_copy(fwd->ports[!from], queue, way->packets, way->count);
		run_add(&way->dropped, (unsigned int)n - way->count);
	}
	return n;
}

static int fwd_send(struct fwd *fwd, struct fwd_way *way, unsigned int to, unsigned int queue)
{
	int n = unic_tx_burst(fwd->ports[to], queue, way->packets + way->first, way->count);

	if (n < 0)
		return fwd_failed(fwd, to, n);
	run_add(&way->forwarded, (unsigned int)n);
	way->first += (unsigned int)n;
	way->count -= (unsigned int)n;
	if (n || !way->stuck_us)
		way->stuck_us = way->count ? unic_cmd_now_us() : 0;
	else if (unic_cmd_now_us() - way->stuck_us > STUCK_US)
		fwd_drop(way);
	return n;
}

/* Moves a burst from a port to the other: how many frames moved, or the error. */
static int fwd_burst(struct fwd *fwd, unsigned int from, unsigned int queue)
{
	struct fwd_way *way = &fwd->ways[queue][from];
	int received = 0, sent = 0;

	if (!way->count)
		received = fwd_receive(fwd, way, from, queue);
	if (received >= 0 && way->count)
		sent = fwd_send(fwd, way, !from, queue);
	return received < 0 ? received : sent < 0 ? sent : received + sent;
}

/* Both ways: whether anything moved, or the error. */
static int fwd_round(struct fwd *fwd, unsigned int queue)
{
	int there = fwd_burst(fwd, 0, queue), back;

	if (there < 0)
		return there;
	back = fwd_burst(fwd, 1, queue);
	return back < 0 ? back : there || back;
}

/* Until a frame comes to either port; at most a slice. */
static int fwd_sleep(struct fwd *fwd, unsigned int queue)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	unsigned int armed, i;
	int err = 0, n;

	for (armed = 0; armed < 2; armed++) {
		n = unic_wait_begin(fwd->ports[armed], queue);
		if (n < 0) {
			err = fwd_failed(fwd, armed, n);
			break;
		}
		fds[armed].fd = n;
	}
	if (!err && !unic_wait_pending(fwd->ports[0], queue) &&
	    !unic_wait_pending(fwd->ports[1], queue))
		(void)poll(fds, 2, RUN_SLICE_US / 1000);
	for (i = 0; i < armed; i++) {
		n = unic_wait_end(fwd->ports[i], queue);
		if (n < 0 && !err)
			err = fwd_failed(fwd, i, n);
	}
	return err;
}

/* No interrupt tells that a ring has room again. */
static int fwd_idle(struct fwd *fwd, unsigned int queue)
{
	if (!fwd->ways[queue][0].count && !fwd->ways[queue][1].count)
		return fwd_sleep(fwd, queue);
	usleep(PAUSE_US);
	return 0;
}

static int fwd_work(void *context, unsigned int queue)
{
	struct fwd *fwd = context;
	unsigned int looks = 0;
	int n = 0;

	while (n >= 0 && !run_stopped()) {
		n = fwd_round(fwd, queue);
		if (n > 0)
			looks = 0;
		else if (!n && ++looks > LOOKS)
			n = fwd_idle(fwd, queue);
	}
	fwd_drop(&fwd->ways[queue][0]);
	fwd_drop(&fwd->ways[queue][1]);
	return n < 0 ? n : 0;
}

/* --- The ports --- */

/* The second in the first one's memory, if that can be. */
static enum unic_status fwd_open(struct fwd *fwd)
{
	struct unic_config config = {
		.flags = UNIC_CONFIG_PROMISCUOUS,
		.queues = (uint32_t)fwd->queues,
		.packets = PACKETS * (uint32_t)fwd->queues,
		.offloads = fwd->queues > 1 ? UNIC_OFFLOAD_RSS : 0,
	};
	int err = unic_open(fwd->addresses[0], &config, &fwd->ports[0]);

	if (err)
		return unic_cmd_open_error(fwd->addresses[0], &config, err);
	config.share = fwd->ports[0];
	config.packets = 0;
	err = unic_open(fwd->addresses[1], &config, &fwd->ports[1]);
	if (err == -EXDEV) {
		config.share = NULL;
		config.packets = PACKETS * config.queues;
		err = unic_open(fwd->addresses[1], &config, &fwd->ports[1]);
	}
	if (err)
		return unic_cmd_open_error(fwd->addresses[1], &config, err);
	fwd->copies = !unic_shares(fwd->ports[0], fwd->ports[1]);
	if (fwd->copies)
		fputs("unic: fwd: the devices do not reach the same memory: frames are copied\n",
		      stderr);
	return UNIC_OK;
}

static enum unic_status fwd_start(struct fwd *fwd)
{
	enum unic_status status = UNIC_OK;
	unsigned int i;

	for (i = 0; i < 2 && !status; i++)
		status = unic_cmd_start(fwd->addresses[i], fwd->ports[i]);
	for (i = 0; i < 2 && !status; i++)
		run_print_ready(fwd->json, "fwd", fwd->addresses[i], fwd->ports[i]);
	return status;
}

/* The one that shares the other's memory first. */
static void fwd_close(struct fwd *fwd)
{
	unic_close(fwd->ports[1]);
	unic_close(fwd->ports[0]);
}

/* --- What is printed --- */

struct fwd_total {
	uint64_t forwarded, dropped;
};

static struct fwd_total fwd_total(const struct fwd *fwd, unsigned int from)
{
	struct fwd_total total = { 0 };
	unsigned int i;

	for (i = 0; i < fwd->queues; i++) {
		total.forwarded += run_read(&fwd->ways[i][from].forwarded);
		total.dropped += run_read(&fwd->ways[i][from].dropped);
	}
	return total;
}

static void fwd_tick(void *context)
{
	char rates[2][UNIC_CMD_TEXT];
	struct fwd *fwd = context;
	uint64_t dropped = 0;
	int64_t now = unic_cmd_now_us();
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct fwd_total total = fwd_total(fwd, i);

		run_short(run_per_second(total.forwarded - fwd->shown[i], now - fwd->shown_us),
			  rates[i]);
		fwd->shown[i] = total.forwarded;
		dropped += total.dropped;
	}
	fwd->shown_us = now;
	run_progress("fwd: -> %s frames/s, <- %s frames/s, %llu dropped", rates[0], rates[1],
		     (unsigned long long)dropped);
}

static void fwd_summary(const struct fwd *fwd)
{
	static const char *const names[2][3] = {
		{ "forwarded", "dropped", "missed" },
		{ "forwarded_back", "dropped_back", "missed_back" },
	};
	int64_t took_us = unic_cmd_now_us() - fwd->start_us;
	struct run_line line;
	unsigned int i;

	run_line_begin(&line, fwd->json, "summary", "fwd", fwd->addresses[0]);
	if (fwd->json)
		run_line_text(&line, "to", fwd->addresses[1]);
	for (i = 0; i < 2; i++) {
		struct fwd_total total = fwd_total(fwd, i);
		struct unic_stats stats = { 0 };

		(void)unic_stats(fwd->ports[i], &stats);
		run_line_number(&line, names[i][0], total.forwarded);
		run_line_number(&line, names[i][1], total.dropped);
		run_line_number(&line, names[i][2], stats.rx_missed + stats.rx_no_buffer);
	}
	run_line_bool(&line, "copied", fwd->copies);
	run_line_decimal(&line, "seconds", (double)took_us / 1e6);
	run_line_end(&line);
}

static int fwd_serve(struct fwd *fwd)
{
	struct run run = {
		.queues = (unsigned int)fwd->queues,
		.time_us = fwd->time_us,
		.work = fwd_work,
		.context = fwd,
	};
	int err;

	if (run_has_progress()) {
		run.tick = fwd_tick;
		run.tick_us = 1000000;
	}
	fwd->start_us = fwd->shown_us = unic_cmd_now_us();
	err = run_workers(&run);
	run_progress_end();
	fwd_summary(fwd);
	return err;
}

static enum unic_status fwd_run(int argc, char **argv)
{
	struct fwd fwd = { .queues = 1 };
	const struct run_option options[] = {
		{ "time", RUN_SECONDS, &fwd.time_us, 0, 0, 0 },
		{ "queues", RUN_NUMBER, &fwd.queues, 1, RUN_QUEUES_MAX, 0 },
		{ "json", RUN_FLAG, &fwd.json, 0, 0, 0 },
		{ 0 },
	};
	enum unic_status status = run_parse(argc, argv, options, fwd.addresses, 2);
	int err = 0;

	if (status)
		return status;
	run_catch_signals();
	status = fwd_open(&fwd);
	if (!status)
		status = fwd_start(&fwd);
	if (!status)
		err = fwd_serve(&fwd);
	fwd_close(&fwd);
	if (err)
		return unic_cmd_error(fwd.addresses[fwd.failed], "fwd", err);
	return status;
}

const struct unic_cmd unic_cmd_fwd = { "fwd", fwd_help, fwd_run };
