/* SPDX-License-Identifier: MIT */
/* unic replay: the frames of a capture file onto the wire. */
#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unic-cmd.h"
#include "unic-run.h"

#define BURST	      32
#define FULL_US	      50      /* a pause for a ring that is full */
#define FULL_LIMIT_US 5000000 /* no frame leaves for so long: the link is down, or worse */
#define SLICE_US      100000  /* so that a signal that comes before a pause is seen */
#define SPEED_MAX     1e6

static const char replay_help[] =
	"send the frames of a capture file\n"
	"\n"
	"usage: unic replay ADDRESS FILE [--speed original|max|N.Nx] [--loop N]\n"
	"\n"
	"  FILE       pcap or pcapng, of an Ethernet interface; -: the standard input\n"
	"  --speed S  original: with the pauses of the capture (the default); max: without;\n"
	"             2x, 0.5x: so many times as fast\n"
	"  --loop N   N times in all\n"
	"\n"
	"Frames that are longer than the MTU allows, and those of which the capture has only\n"
	"the beginning, are counted and not sent. Prints what it did when it ends: after the\n"
	"last frame, or by SIGINT or SIGTERM.\n";

struct replay {
	const char *address;
	const char *path;
	double speed; /* 0: max */
	uint64_t loops;
	struct unic_port *port;
	pcap_t *pcap;
	struct unic_packet *packets[BURST]; /* to be sent */
	unsigned int count;
	uint64_t too_long, cut_short;
	int64_t start_us;  /* of this loop */
	uint64_t first_ns; /* the time of its first frame */
	bool has_first;
};

/* --- Options --- */

static bool replay_speed(const char *text, double *speed)
{
	char *end;

	if (!strcmp(text, "original"))
		*speed = 1;
	else if (!strcmp(text, "max"))
		*speed = 0;
	else {
		*speed = strtod(text, &end);
		if (end == text || strcmp(end, "x"))
			return false;
		return *speed >= 1 / SPEED_MAX && *speed <= SPEED_MAX;
	}
	return true;
}

static enum unic_status replay_parse(struct replay *replay, int argc, char **argv)
{
	const char *speed = "original", *words[2];
	const struct run_option options[] = {
		{ "speed", RUN_TEXT, &speed, 0, 0, 0 },
		{ "loop", RUN_NUMBER, &replay->loops, 1, UINT64_MAX, 0 },
		{ 0 },
	};
	enum unic_status status = run_parse(argc, argv, options, words, 2);

	if (status)
		return status;
	if (!replay_speed(speed, &replay->speed))
		return unic_cmd_usage("replay", "--speed takes original, max, or as 2.5x, not ",
				      speed);
	replay->address = words[0];
	replay->path = words[1];
	if (replay->loops > 1 && !strcmp(replay->path, "-"))
		return unic_cmd_usage("replay", "the standard input is read once: no --loop", "");
	return UNIC_OK;
}

/* --- The file --- */

static enum unic_status replay_file_error(const struct replay *replay, const char *why)
{
	/* pcap's words name the file in some cases, and in others they do not. */
	size_t size = strlen(replay->path);

	if (!strncmp(why, replay->path, size) && !strncmp(why + size, ": ", 2))
		why += size + 2;
	fprintf(stderr, "unic: %s: %s\n", replay->path, why);
	return UNIC_FAILURE;
}

static enum unic_status replay_file_open(struct replay *replay)
{
	char why[PCAP_ERRBUF_SIZE];

	replay->pcap = pcap_open_offline_with_tstamp_precision(replay->path,
							       PCAP_TSTAMP_PRECISION_NANO, why);
	if (!replay->pcap)
		return replay_file_error(replay, why);
	if (pcap_datalink(replay->pcap) == DLT_EN10MB)
		return UNIC_OK;
	pcap_close(replay->pcap);
	replay->pcap = NULL;
	return replay_file_error(replay, "not of an Ethernet interface");
}

/* --- Frames --- */

/* Sends what is gathered, and waits for room where there is none. */
static int replay_send(struct replay *replay)
{
	int64_t end = unic_cmd_now_us() + FULL_LIMIT_US;
	unsigned int done = 0;
	int n;

	while (done < replay->count) {
		n = unic_tx_burst(replay->port, 0, replay->packets + done, replay->count - done);
		if (n < 0)
			return n;
		done += (unsigned int)n;
		if (n) {
			end = unic_cmd_now_us() + FULL_LIMIT_US;
			continue;
		}
		if (run_stopped() || unic_cmd_now_us() > end)
			break;
		usleep(FULL_US);
	}
	unic_packet_free_burst(replay->packets + done, replay->count - done);
	n = done < replay->count && !run_stopped() ? -ETIMEDOUT : 0;
	replay->count = 0;
	return n;
}

/* Until the frame's time. */
static void replay_pause(struct replay *replay, const struct pcap_pkthdr *head)
{
	/* pcap's tv_usec are nanoseconds, for that was asked for. */
	uint64_t time_ns = (uint64_t)head->ts.tv_sec * 1000000000 + (uint64_t)head->ts.tv_usec;
	int64_t due, left;

	if (!replay->has_first) {
		replay->has_first = true;
		replay->first_ns = time_ns;
	}
	/* Clocks are set back now and then: such a frame is due at once. */
	if (replay->speed == 0 || time_ns <= replay->first_ns)
		return;
	due = replay->start_us +
	      (int64_t)((double)(time_ns - replay->first_ns) / 1000 / replay->speed);
	while (!run_stopped() && (left = due - unic_cmd_now_us()) > 0)
		usleep((useconds_t)(left < SLICE_US ? left : SLICE_US));
}

static int replay_frame(struct replay *replay, const struct pcap_pkthdr *head, const u_char *data)
{
	uint32_t limit = unic_info(replay->port)->mtu + UNIC_OVERHEAD;
	struct unic_packet *packet;

	if (head->len > limit || !head->len) {
		replay->too_long++;
		return 0;
	}
	if (head->caplen < head->len) {
		replay->cut_short++;
		return 0;
	}
	replay_pause(replay, head);
	if (run_stopped())
		return 0;
	/* The depot has more packets than the ring and a burst take. */
	packet = unic_packet_alloc(replay->port, 0);
	if (!packet)
		return -ENOBUFS;
	memcpy(unic_packet_data(packet), data, head->len);
	packet->length = head->len;
	replay->packets[replay->count++] = packet;
	/* With pauses each at its time. */
	return replay->speed > 0 || replay->count == BURST ? replay_send(replay) : 0;
}

/* The file once; *@err: the port's. */
static enum unic_status replay_once(struct replay *replay, int *err)
{
	enum unic_status status = UNIC_OK;
	struct pcap_pkthdr *head;
	const u_char *data;
	int more = 1;

	replay->has_first = false;
	replay->start_us = unic_cmd_now_us();
	while (!*err && !run_stopped() && (more = pcap_next_ex(replay->pcap, &head, &data)) == 1)
		*err = replay_frame(replay, head, data);
	if (!*err)
		*err = replay_send(replay);
	if (more == PCAP_ERROR)
		status = replay_file_error(replay, pcap_geterr(replay->pcap));
	pcap_close(replay->pcap);
	replay->pcap = NULL;
	return status;
}

static enum unic_status replay_serve(struct replay *replay, int *err)
{
	enum unic_status status = UNIC_OK;
	uint64_t loop;

	for (loop = 0; loop < replay->loops && !status && !*err && !run_stopped(); loop++) {
		if (!replay->pcap)
			status = replay_file_open(replay);
		if (!status)
			status = replay_once(replay, err);
	}
	return status;
}

static void replay_summary(const struct replay *replay, int64_t took_us)
{
	double seconds = (double)(took_us ? took_us : 1) / 1e6;
	struct unic_stats stats = { 0 };

	(void)unic_stats(replay->port, &stats);
	printf("%s: %" PRIu64 " frames sent, %" PRIu64 " bytes, in %.3f s, %.0f frames/s, %.3f "
	       "Gbit/s; not sent: %" PRIu64 " too long, %" PRIu64 " cut short by the capture\n",
	       unic_info(replay->port)->driver, stats.tx_packets, stats.tx_bytes, seconds,
	       (double)stats.tx_packets / seconds, (double)stats.tx_bytes * 8 / seconds / 1e9,
	       replay->too_long, replay->cut_short);
}

static enum unic_status replay_run(int argc, char **argv)
{
	struct replay replay = { .speed = 1, .loops = 1 };
	enum unic_status status;
	int64_t begin;
	int err = 0;

	status = replay_parse(&replay, argc, argv);
	/* Before the device: what is wrong with the file is then told at once. */
	if (!status)
		status = replay_file_open(&replay);
	if (status)
		return status;
	run_catch_signals();
	status = unic_cmd_open(replay.address, &replay.port);
	if (status) {
		pcap_close(replay.pcap);
		return status;
	}
	begin = unic_cmd_now_us();
	status = replay_serve(&replay, &err);
	replay_summary(&replay, unic_cmd_now_us() - begin);
	unic_close(replay.port);
	if (err)
		return unic_cmd_error(replay.address, "send", err);
	return status;
}

const struct unic_cmd unic_cmd_replay = { "replay", replay_help, replay_run };
