/* SPDX-License-Identifier: MIT */
/* unic recv: receives the frames of unic gen, and checks that none is missing or changed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"
#include "track.h"
#include "unic-cmd.h"
#include "unic-run.h"

#define BURST 64

static const char recv_help[] =
	"receive the frames of gen, and check them\n"
	"\n"
	"usage: unic recv ADDRESS [--count N] [--time S] [--expect N] [--json]\n"
	"\n"
	"  --count N   end after N frames of gen's\n"
	"  --time S    end after S seconds\n"
	"  --expect N  status 1 unless N frames came, each whole, once and in order; ends\n"
	"              after N frames, if --count says nothing else\n"
	"  --json      print JSON\n"
	"\n"
	"Receives all that comes, and sleeps while nothing does. Ends by --count, --time,\n"
	"SIGINT or SIGTERM, and prints what came. Of each flow, 'before' are the numbers\n"
	"below the first that came: recv may have been too late for them; 'lost' are those\n"
	"that are missing between that and the last; 'doubled' came again, 'reordered'\n"
	"behind a later one. 'corrupt' are gen's, but not as it sent them; 'foreign' are\n"
	"not. 'missed' were dropped for want of descriptors or packets, 'errors' were bad.\n";

struct receiver {
	const char *address;
	uint64_t count;	 /* 0: unlimited */
	uint64_t expect; /* 0: nothing */
	int64_t time_us;
	bool json;
	struct unic_port *port;
	struct track track;
	uint64_t frames; /* of gen's */
	uint64_t bytes;	 /* of these */
	uint64_t corrupt, foreign;
	int64_t first_us, last_us; /* when they came */
	uint64_t shown;		   /* frames, at the last tick */
	int64_t shown_us;
};

/* One that lies in several packets is longer than any of gen's. */
static int recv_take(struct receiver *r, const struct unic_packet *packet)
{
	enum gen_verdict verdict = GEN_FOREIGN;
	struct gen_mark mark;
	int err = 0;

	if (!(packet->flags & UNIC_PACKET_CHAINED))
		verdict = gen_check(unic_packet_data((struct unic_packet *)packet), packet->length,
				    &mark);
	if (verdict == GEN_FOREIGN) {
		r->foreign++;
		return 0;
	}
	if (verdict == GEN_INTACT)
		err = track_add(&r->track, &mark);
	else
		r->corrupt++;
	r->bytes += packet->length;
	run_add(&r->frames, 1);
	return err;
}

static int recv_burst(struct receiver *r)
{
	struct unic_packet *packets[BURST];
	uint64_t before = r->frames;
	unsigned int want = BURST;
	int n, i, err = 0;

	if (r->count && r->count - r->frames < want)
		want = (unsigned int)(r->count - r->frames);
	n = unic_rx_burst(r->port, 0, packets, want);
	if (n <= 0)
		return n;
	for (i = 0; i < n && !err; i++)
		err = recv_take(r, packets[i]);
	unic_packet_free_burst(packets, (unsigned int)n);
	if (r->frames != before)
		r->last_us = unic_cmd_now_us();
	if (!before && r->frames)
		r->first_us = r->last_us;
	return err ? err : n;
}

static int recv_work(void *context, unsigned int queue)
{
	struct receiver *r = context;
	int n = 0;

	while (!run_stopped() && (!r->count || r->frames < r->count)) {
		n = recv_burst(r);
		if (!n)
			n = unic_wait(r->port, queue, RUN_SLICE_US);
		if (n < 0 && n != -ETIMEDOUT && n != -EINTR)
			return n;
	}
	return 0;
}

static void recv_tick(void *context)
{
	char rate[UNIC_CMD_TEXT], all[UNIC_CMD_TEXT];
	struct receiver *r = context;
	uint64_t frames = run_read(&r->frames);
	int64_t now = unic_cmd_now_us();

	run_progress("recv: %s frames/s, %s received",
		     run_short(run_per_second(frames - r->shown, now - r->shown_us), rate),
		     run_short((double)frames, all));
	r->shown = frames;
	r->shown_us = now;
}

/* Each number once, none missing, and what came is what was sent. */
static bool recv_as_expected(const struct receiver *r)
{
	const struct track *track = &r->track;

	return r->frames == r->expect && !r->corrupt && !track->lost && !track->doubled &&
	       !track->reordered;
}

static void recv_summary(const struct receiver *r)
{
	int64_t took_us = r->last_us - r->first_us;
	struct unic_stats stats = { 0 };
	struct run_line line;

	(void)unic_stats(r->port, &stats);
	run_line_begin(&line, r->json, "summary", "recv", r->address);
	run_line_number(&line, "received", r->frames);
	run_line_number(&line, "bytes", r->bytes);
	run_line_number(&line, "before", r->track.before);
	run_line_number(&line, "lost", r->track.lost);
	run_line_number(&line, "doubled", r->track.doubled);
	run_line_number(&line, "reordered", r->track.reordered);
	run_line_number(&line, "corrupt", r->corrupt);
	run_line_number(&line, "foreign", r->foreign);
	run_line_number(&line, "missed", stats.rx_missed + stats.rx_no_buffer);
	run_line_number(&line, "errors", stats.rx_errors);
	run_line_decimal(&line, "seconds", (double)took_us / 1e6);
	run_line_decimal(&line, "pps", run_per_second(r->frames, took_us));
	run_line_decimal(&line, "bps", run_per_second(8 * r->bytes, took_us));
	if (r->expect)
		run_line_bool(&line, "expected", recv_as_expected(r));
	run_line_end(&line);
}

static enum unic_status recv_parse(struct receiver *r, int argc, char **argv)
{
	const struct run_option options[] = {
		{ "count", RUN_NUMBER, &r->count, 1, UINT64_MAX, 0 },
		{ "expect", RUN_NUMBER, &r->expect, 1, UINT64_MAX, 0 },
		{ "time", RUN_SECONDS, &r->time_us, 0, 0, 0 },
		{ "json", RUN_FLAG, &r->json, 0, 0, 0 },
		{ 0 },
	};
	enum unic_status status = run_parse(argc, argv, options, &r->address, 1);

	if (status)
		return status;
	if (!r->count)
		r->count = r->expect;
	if (r->count < r->expect)
		return unic_cmd_usage("recv", "--count must not be below --expect", "");
	return UNIC_OK;
}

static enum unic_status recv_end(struct receiver *r, int err)
{
	bool as_expected = !r->expect || recv_as_expected(r);

	run_progress_end();
	recv_summary(r);
	unic_close(r->port);
	track_free(&r->track);
	if (err)
		return unic_cmd_error(r->address, "recv", err);
	if (as_expected)
		return UNIC_OK;
	fprintf(stderr, "unic: %s: recv: not as expected: the summary says what is wrong\n",
		r->address);
	return UNIC_FAILURE;
}

static enum unic_status recv_run(int argc, char **argv)
{
	const struct unic_config config = { .flags = UNIC_CONFIG_PROMISCUOUS };
	struct receiver r = { 0 };
	enum unic_status status = recv_parse(&r, argc, argv);
	struct run run = { .queues = 1, .work = recv_work, .context = &r };

	if (status)
		return status;
	run_catch_signals();
	gen_init();
	status = unic_cmd_open_config(r.address, &config, &r.port);
	if (status)
		return status;
	run_print_ready(r.json, "recv", r.address, r.port);
	run.time_us = r.time_us;
	if (run_has_progress()) {
		run.tick = recv_tick;
		run.tick_us = 1000000;
	}
	r.shown_us = unic_cmd_now_us();
	return recv_end(&r, run_workers(&run));
}

const struct unic_cmd unic_cmd_recv = { "recv", recv_help, recv_run };
