/* SPDX-License-Identifier: MIT */
/* unic echo: a host on the wire that can be pinged. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "echo.h"
#include "unic-cmd.h"
#include "unic-run.h"

#define BURST 32

static const char echo_help[] =
	"answer pings\n"
	"\n"
	"usage: unic echo ADDRESS --ip A.B.C.D [--count N] [--timeout S]\n"
	"\n"
	"  --ip A.B.C.D   the IPv4 address to answer for\n"
	"  --count N      end after N echo requests were answered\n"
	"  --timeout S    end after S seconds\n"
	"\n"
	"Answers ARP requests for its address, and ICMP echo requests that are not\n"
	"fragmented. Prints a line when it is ready, and what it did when it ends: by\n"
	"SIGINT, SIGTERM, --count or --timeout.\n";

struct echo {
	const char *address;
	struct echo_host host;
	struct unic_port *port;
	uint64_t limit;	    /* of echo requests; 0: none */
	int64_t timeout_us; /* 0: none */
	uint64_t count[ECHO_VERDICTS];
	uint64_t unsent; /* replies for which the ring had no room */
};

static enum unic_status parse(struct echo *echo, int argc, char **argv)
{
	static const uint8_t none[4];
	const struct run_option options[] = {
		{ "ip", RUN_IPV4, echo->host.ip, 0, 0, 0 },
		{ "count", RUN_NUMBER, &echo->limit, 1, UINT64_MAX, 0 },
		{ "timeout", RUN_SECONDS, &echo->timeout_us, 0, 0, 0 },
		{ 0 },
	};
	enum unic_status status = run_parse(argc, argv, options, &echo->address, 1);

	if (!status && !memcmp(echo->host.ip, none, sizeof(none)))
		return unic_cmd_usage("echo", "--ip A.B.C.D is missing", "");
	return status;
}

static bool limit_reached(const struct echo *echo, unsigned int queued)
{
	return echo->limit && echo->count[ECHO_PING] + queued >= echo->limit;
}

/* Turns the packets that are requests into replies, in their place; gives the others back. */
static unsigned int answer(struct echo *echo, struct unic_packet **packets, unsigned int count,
			   enum echo_verdict *verdicts)
{
	unsigned int i, replies = 0, pings = 0;

	for (i = 0; i < count; i++) {
		struct unic_packet *packet = packets[i];
		uint8_t *data = unic_packet_data(packet), *frame = data;
		enum echo_verdict verdict;

		if (limit_reached(echo, pings)) {
			unic_packet_free(packet);
			continue;
		}
		verdict = echo_answer(&echo->host, &frame, &packet->length);
		if (verdict != ECHO_ARP && verdict != ECHO_PING) {
			echo->count[verdict]++;
			unic_packet_free(packet);
			continue;
		}
		pings += verdict == ECHO_PING;
		packet->offset = (int16_t)(packet->offset + (frame - data));
		verdicts[replies] = verdict;
		packets[replies++] = packet;
	}
	return replies;
}

static int serve_burst(struct echo *echo)
{
	enum echo_verdict verdicts[BURST];
	struct unic_packet *packets[BURST];
	int received, sent = 0, i;
	unsigned int replies;

	received = unic_rx_burst(echo->port, 0, packets, BURST);
	if (received <= 0)
		return received;
	replies = answer(echo, packets, (unsigned int)received, verdicts);
	if (replies)
		sent = unic_tx_burst(echo->port, 0, packets, replies);
	if (sent < 0)
		return sent;
	for (i = 0; i < sent; i++)
		echo->count[verdicts[i]]++;
	for (i = sent; i < (int)replies; i++) {
		unic_packet_free(packets[i]);
		echo->unsent++;
	}
	return received;
}

static int serve(struct echo *echo)
{
	int64_t end = unic_cmd_now_us() + echo->timeout_us;
	int n;

	while (!run_stopped() && !limit_reached(echo, 0)) {
		int64_t left = echo->timeout_us ? end - unic_cmd_now_us() : RUN_SLICE_US;

		if (left <= 0)
			break;
		n = serve_burst(echo);
		if (!n)
			n = unic_wait(echo->port, 0, left < RUN_SLICE_US ? left : RUN_SLICE_US);
		if (n < 0 && n != -ETIMEDOUT && n != -EINTR)
			return n;
	}
	return 0;
}

static void print_ready(const struct echo *echo)
{
	const struct unic_port_info *info = unic_info(echo->port);
	char mac[UNIC_CMD_TEXT], link[UNIC_CMD_TEXT];
	const uint8_t *ip = echo->host.ip;

	printf("%s: ready at %s, MAC %s, link %s, %u.%u.%u.%u\n", info->driver, info->address,
	       unic_cmd_mac(info->mac, mac), unic_cmd_link(echo->port, link), ip[0], ip[1], ip[2],
	       ip[3]);
	fflush(stdout);
}

static void print_summary(const struct echo *echo)
{
	const uint64_t *count = echo->count;

	printf("%s: %" PRIu64 " ARP requests answered, %" PRIu64 " echo requests answered, %" PRIu64
	       " ignored, %" PRIu64 " fragments, %" PRIu64 " errors\n",
	       unic_info(echo->port)->driver, count[ECHO_ARP], count[ECHO_PING],
	       count[ECHO_IGNORED], count[ECHO_FRAGMENT], count[ECHO_ERROR] + echo->unsent);
}

static enum unic_status echo_run(int argc, char **argv)
{
	struct echo echo = { 0 };
	enum unic_status status;
	int err;

	status = parse(&echo, argc, argv);
	if (status)
		return status;
	run_catch_signals();
	status = unic_cmd_open(echo.address, &echo.port);
	if (status)
		return status;
	memcpy(echo.host.mac, unic_info(echo.port)->mac, sizeof(echo.host.mac));
	print_ready(&echo);
	err = serve(&echo);
	print_summary(&echo);
	unic_close(echo.port);
	return err ? unic_cmd_error(echo.address, "echo", err) : UNIC_OK;
}

const struct unic_cmd unic_cmd_echo = { "echo", echo_help, echo_run };
