/* SPDX-License-Identifier: MIT */
/* unic cap: frames into a pcapng file, or a line each. */
#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <time.h>

#include "pcapng.h"
#include "unic-cmd.h"
#include "unic-run.h"

#define BURST	    32
#define FLUSH_US    200000 /* what was written is held back no longer; so are signals */
#define SNAPLEN_MAX 262144 /* pcap's */
#define MEGABYTE    1000000

static const char cap_help[] =
	"write the frames that come to a file, or a line each\n"
	"\n"
	"usage: unic cap ADDRESS [-w FILE [--size MB --files N]] [--filter EXPRESSION]\n"
	"                [--snaplen N] [--count N] [--time S] [-p]\n"
	"\n"
	"  -w, --write FILE     a pcapng file, for tcpdump and wireshark; -: the standard\n"
	"                       output\n"
	"  --size MB --files N  a ring of files: FILE.1 to FILE.N of so many million bytes;\n"
	"                       then the oldest is written anew\n"
	"  --filter EXPRESSION  only frames that match, see pcap-filter(7)\n"
	"  --snaplen N          keep the first N bytes of each frame\n"
	"  --count N            end after N frames\n"
	"  --time S             end after S seconds\n"
	"  -p, --no-promiscuous only what is sent to the interface's MAC, or to all\n"
	"\n"
	"Without -w a line a frame: time, length, MAC addresses, type. What was captured\n"
	"and what was lost is told on the standard error when it ends: by --count, --time,\n"
	"SIGINT or SIGTERM, or because the reader of the standard output has ended.\n";

struct cap {
	const char *address;
	struct pcapng_config config;
	uint64_t limit;	 /* of frames; 0: none */
	int64_t time_us; /* 0: without end */
	bool selective;
	struct unic_port *port;
	struct bpf_program filter; /* no instructions: none */
	struct pcapng file;
	uint64_t captured;
	int64_t flushed_us;
};

/* --- Options --- */

static enum unic_status cap_parse(struct cap *cap, int argc, char **argv)
{
	struct pcapng_config *config = &cap->config;
	uint64_t files = 0, megabytes = 0, snaplen = SNAPLEN_MAX;
	const struct run_option options[] = {
		{ "write", RUN_TEXT, &config->path, 0, 0, 'w' },
		{ "size", RUN_NUMBER, &megabytes, 1, UINT32_MAX, 0 },
		{ "files", RUN_NUMBER, &files, 1, UINT32_MAX, 0 },
		{ "filter", RUN_TEXT, &config->filter, 0, 0, 0 },
		{ "snaplen", RUN_NUMBER, &snaplen, 1, SNAPLEN_MAX, 0 },
		{ "count", RUN_NUMBER, &cap->limit, 1, UINT64_MAX, 0 },
		{ "time", RUN_SECONDS, &cap->time_us, 0, 0, 0 },
		{ "no-promiscuous", RUN_FLAG, &cap->selective, 0, 0, 'p' },
		{ 0 },
	};
	enum unic_status status = run_parse(argc, argv, options, &cap->address, 1);

	if (status)
		return status;
	config->size = megabytes * MEGABYTE;
	config->files = (uint32_t)files;
	config->snaplen = (uint32_t)snaplen;
	if (!megabytes != !files)
		return unic_cmd_usage("cap", "--size MB and --files N go together", "");
	if (files && (!config->path || !strcmp(config->path, "-")))
		return unic_cmd_usage("cap", "a ring of files needs -w FILE", "");
	return UNIC_OK;
}

static enum unic_status cap_compile(struct cap *cap)
{
	enum unic_status status = UNIC_OK;
	pcap_t *pcap;

	if (!cap->config.filter)
		return UNIC_OK;
	pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN_MAX);
	if (!pcap)
		return unic_cmd_error(cap->address, "filter", -ENOMEM);
	if (pcap_compile(pcap, &cap->filter, cap->config.filter, 1, PCAP_NETMASK_UNKNOWN))
		status = unic_cmd_usage("cap", "--filter: ", pcap_geterr(pcap));
	pcap_close(pcap);
	return status;
}

/* --- Frames --- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct pcapng_counts cap_counts(struct cap *cap)
{
	struct pcapng_counts counts = { .accepted = cap->captured };
	struct unic_stats stats;

	if (unic_stats(cap->port, &stats))
		return counts;
	counts.dropped = stats.rx_missed + stats.rx_no_buffer;
	counts.received = stats.rx_packets + counts.dropped;
	return counts;
}

static int cap_print(struct unic_packet *packet, uint64_t time_ns)
{
	char time_text[16], from[UNIC_CMD_TEXT], to[UNIC_CMD_TEXT];
	const uint8_t *frame = unic_packet_data(packet);
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm parts;

	if (packet->length < 14)
		return 0;
	strftime(time_text, sizeof(time_text), "%H:%M:%S", localtime_r(&seconds, &parts));
	errno = EIO;
	if (printf("%s.%06u %5u %s > %s 0x%02x%02x\n", time_text,
		   (unsigned int)(time_ns % 1000000000 / 1000), unic_packet_total(packet),
		   unic_cmd_mac(frame + 6, from), unic_cmd_mac(frame, to), frame[12],
		   frame[13]) < 0)
		return -errno;
	return 0;
}

/* Not pcap_offline_filter(): a frame is in a packet as it is, or begins in it. */
static bool cap_matches(const struct cap *cap, struct unic_packet *packet)
{
	return !cap->filter.bf_insns || bpf_filter(cap->filter.bf_insns, unic_packet_data(packet),
						   unic_packet_total(packet), packet->length);
}

static int cap_frame(struct cap *cap, struct unic_packet *packet, uint64_t time_ns)
{
	uint32_t length = unic_packet_total(packet);
	struct pcapng_counts counts;
	int err = 0;

	if (!cap_matches(cap, packet))
		return 0;
	if (!cap->config.path) {
		err = cap_print(packet, time_ns);
	} else {
		if (length > cap->config.snaplen)
			length = cap->config.snaplen;
		if (pcapng_is_full(&cap->file, length)) {
			counts = cap_counts(cap);
			err = pcapng_rotate(&cap->file, &counts, time_ns);
		}
		if (!err)
			err = pcapng_write(&cap->file, packet, time_ns);
	}
	if (!err)
		cap->captured++;
	return err;
}

static int cap_flush(struct cap *cap, int64_t now_us)
{
	if (now_us - cap->flushed_us < FLUSH_US)
		return 0;
	cap->flushed_us = now_us;
	if (cap->config.path)
		return pcapng_flush(&cap->file);
	return fflush(stdout) ? -errno : 0;
}

static bool cap_is_complete(const struct cap *cap)
{
	return cap->limit && cap->captured >= cap->limit;
}

/* Negative: the port's error; *@write_err: the file's. Else the number of frames. */
static int cap_burst(struct cap *cap, int *write_err)
{
	struct unic_packet *packets[BURST];
	int received, i;
	uint64_t time;

	received = unic_rx_burst(cap->port, 0, packets, BURST);
	if (received <= 0)
		return received;
	time = now_ns();
	for (i = 0; i < received && !*write_err && !cap_is_complete(cap); i++)
		*write_err = cap_frame(cap, packets[i], time);
	unic_packet_free_burst(packets, (unsigned int)received);
	return received;
}

static int cap_serve(struct cap *cap, int *write_err)
{
	int64_t now = unic_cmd_now_us(), end = now + cap->time_us, slice;
	int n;

	while (!run_stopped() && !*write_err && !cap_is_complete(cap)) {
		now = unic_cmd_now_us();
		if (cap->time_us && now >= end)
			break;
		slice = cap->time_us && end - now < FLUSH_US ? end - now : FLUSH_US;
		n = cap_burst(cap, write_err);
		if (!n)
			n = unic_wait(cap->port, 0, slice);
		if (n < 0 && n != -ETIMEDOUT && n != -EINTR)
			return n;
		if (!*write_err)
			*write_err = cap_flush(cap, now);
	}
	return 0;
}

/* --- Beginning and end --- */

static int cap_begin(struct cap *cap)
{
	const struct unic_port_info *info = unic_info(cap->port);
	struct unic_link link = { 0 };
	char text[UNIC_CMD_TEXT];

	fprintf(stderr, "unic: %s: listening, link %s\n", cap->address,
		unic_cmd_link(cap->port, text));
	if (!cap->config.path)
		return 0;
	(void)unic_link(cap->port, &link);
	cap->config.interface = info->address;
	cap->config.speed = (uint64_t)link.speed_mbps * 1000000;
	memcpy(cap->config.mac, info->mac, sizeof(info->mac));
	return pcapng_open(&cap->file, &cap->config, now_ns());
}

static enum unic_status cap_end(struct cap *cap, int port_err, int write_err)
{
	struct pcapng_counts counts = cap_counts(cap);
	const char *path = "standard output";
	int err = 0;

	if (cap->config.path) {
		path = cap->file.path;
		err = pcapng_close(&cap->file, &counts, now_ns());
	} else if (fflush(stdout)) {
		err = -errno;
	}
	if (!write_err)
		write_err = err;
	if (write_err == -EPIPE) {
		/* Who reads has seen enough. */
		write_err = 0;
		__fpurge(stdout);
		clearerr(stdout);
	}
	fprintf(stderr,
		"unic: %s: %" PRIu64 " frames captured, %" PRIu64 " received, %" PRIu64
		" dropped for want of buffers\n",
		cap->address, counts.accepted, counts.received, counts.dropped);
	if (port_err)
		return unic_cmd_error(cap->address, "receive", port_err);
	return write_err ? unic_cmd_error(path, "write", write_err) : UNIC_OK;
}

static enum unic_status cap_run(int argc, char **argv)
{
	struct unic_config config = { 0 };
	struct cap cap = { 0 };
	int port_err, write_err;
	enum unic_status status;

	status = cap_parse(&cap, argc, argv);
	if (!status)
		status = cap_compile(&cap);
	if (status)
		return status;
	if (!cap.selective)
		config.flags = UNIC_CONFIG_PROMISCUOUS;
	run_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	status = unic_cmd_open_config(cap.address, &config, &cap.port);
	if (status)
		goto free_filter;
	write_err = cap_begin(&cap);
	port_err = cap_serve(&cap, &write_err);
	status = cap_end(&cap, port_err, write_err);
	unic_close(cap.port);
free_filter:
	pcap_freecode(&cap.filter);
	return status;
}

const struct unic_cmd unic_cmd_cap = { "cap", cap_help, cap_run };
