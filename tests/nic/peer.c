/* SPDX-License-Identifier: MIT */
/*
 * The other end of the wire: sends and receives what tests/nic/nic asks for, on a tap device.
 *
 *     USERPCI_TAP=tap0 build/tests/nic/peer
 *
 * Linux carries its frames (a packet socket), so the driver under test never talks to itself. Of
 * each test that it took part in it says "ok peer_NAME" or "not ok peer_NAME: WHY".
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "frame.h"

#define IDLE_MS	 60000 /* of nic, which boots first */
#define FRAME_MS 10000 /* of a frame in a run */
#define FLOOD	 16    /* frames in a millisecond */

static int wire = -1;
static uint8_t own_mac[6], nic_mac[6];
static unsigned int failures;

static void result(const char *name, const char *why)
{
	failures += !!why;
	printf("%s peer_%s%s%s\n", why ? "not ok" : "ok", name, why ? ": " : "", why ? why : "");
	fflush(stdout);
}

/* Tests have several runs; all were good when the next test begins. */
static void run_result(const char *name, const char *why)
{
	static char test[48];
	static bool good;

	if (strcmp(name, test)) {
		if (good)
			result(test, NULL);
		snprintf(test, sizeof(test), "%s", name);
		good = true;
	}
	if (why && good)
		result(name, why);
	good = good && !why;
}

static int wire_open(const char *name)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(FRAME_TYPE),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	struct ifreq request = { 0 };
	int size = 8 << 20;

	if (!address.sll_ifindex)
		return -errno;
	wire = socket(AF_PACKET, SOCK_RAW, 0);
	if (wire < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(wire, SIOCGIFHWADDR, &request))
		return -errno;
	memcpy(own_mac, request.ifr_hwaddr.sa_data, sizeof(own_mac));
	/* Room for a run without acknowledgements; root may have it, others try with less. */
	if (setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(wire, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return bind(wire, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
}

/* The next frame, its length, or 0 after @timeout_ms. */
static uint32_t take(uint8_t *frame, size_t size, int timeout_ms)
{
	struct pollfd fd = { .fd = wire, .events = POLLIN };
	ssize_t n;

	while (poll(&fd, 1, timeout_ms) > 0) {
		n = recv(wire, frame, size, 0);
		if (n > 0 && frame_is_ours(frame, (uint32_t)n))
			return (uint32_t)n;
	}
	return 0;
}

/* The tap's queue takes a frame or says that it is full. */
static bool put(const uint8_t *frame, uint32_t length)
{
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		if (send(wire, frame, length, 0) == (ssize_t)length)
			return true;
		if (errno != ENOBUFS && errno != EAGAIN)
			return false;
		usleep(1000);
	}
	return false;
}

static void put_short(uint8_t kind, uint8_t run, uint32_t sequence)
{
	uint8_t frame[FRAME_MIN] = { 0 };

	frame_header(frame, nic_mac, own_mac, kind, run, sizeof(frame), sequence);
	if (!put(frame, sizeof(frame)))
		result("send", "the tap takes no frames");
}

/* A run ends early when the other side begins anew: its next test, after one that failed. */
static bool begins_anew(const uint8_t *frame)
{
	if (frame_kind(frame) != FRAME_HELLO)
		return false;
	put_short(FRAME_WELCOME, 0, 0);
	return true;
}

static const char gave_up[] = "the other side gave up";

/* Waits until the other side has so many frames of the run. */
static const char *wait_ack(uint8_t run, uint32_t wanted, uint32_t *acked)
{
	uint8_t frame[2048];

	while (*acked < wanted) {
		if (!take(frame, sizeof(frame), FRAME_MS))
			return "no acknowledgement came";
		if (begins_anew(frame))
			return gave_up;
		if (frame_kind(frame) == FRAME_ACK && frame_run(frame) == run)
			*acked = frame_sequence(frame);
	}
	return NULL;
}

static const char *send_run(const struct frame_command *command, uint8_t run)
{
	uint32_t count = frame_get(command->count, 4), window = frame_get(command->window, 2);
	uint32_t sequence, length, acked = 0;
	const char *why = NULL;
	uint8_t frame[2048];

	for (sequence = 0; sequence < count && !why; sequence++) {
		length = frame_make(frame, command->target, own_mac, command->kind, run, sequence);
		if (!put(frame, length))
			return "the tap takes no frames";
		if (window && sequence + 1 >= window)
			why = wait_ack(run, sequence + 2 - window, &acked);
		else if (!window && sequence % FLOOD == FLOOD - 1)
			usleep(1000);
	}
	return window && !why ? wait_ack(run, count, &acked) : why;
}

static const char *expect_run(const struct frame_command *command, uint8_t run)
{
	uint32_t count = frame_get(command->count, 4), window = frame_get(command->window, 2);
	uint32_t length, expected = 0;
	static char why[96];
	uint8_t frame[2048];

	while (expected < count) {
		length = take(frame, sizeof(frame), FRAME_MS);
		if (!length) {
			snprintf(why, sizeof(why), "frame %u of %u did not come", expected, count);
			return why;
		}
		if (begins_anew(frame))
			return gave_up;
		if (frame_kind(frame) != command->kind || frame_run(frame) != run)
			continue;
		if (frame_sequence(frame) != expected || !frame_is_whole(frame, length)) {
			snprintf(why, sizeof(why),
				 "frame %u of %u bytes came instead of frame %u, or is damaged",
				 frame_sequence(frame), length, expected);
			return why;
		}
		expected++;
		if (window && (expected % (window / 2) == 0 || expected == count))
			put_short(FRAME_ACK, run, expected);
	}
	if (!window)
		put_short(FRAME_ACK, run, expected);
	return NULL;
}

static void obey(const uint8_t *frame, uint32_t length)
{
	struct frame_command command;
	const char *why;

	if (length < FRAME_HEADER + sizeof(command)) {
		result("command", "is too short");
		return;
	}
	memcpy(&command, frame + FRAME_HEADER, sizeof(command));
	command.name[sizeof(command.name) - 1] = '\0';
	if (command.what == FRAME_SEND)
		why = send_run(&command, frame_run(frame));
	else
		why = expect_run(&command, frame_run(frame));
	run_result(command.name, why);
}

int main(void)
{
	const char *name = getenv("USERPCI_TAP");
	uint8_t frame[2048];
	uint32_t length;
	int err;

	err = wire_open(name ? name : "tap0");
	if (err) {
		result("wire", strerror(-err));
		return 1;
	}
	while ((length = take(frame, sizeof(frame), IDLE_MS))) {
		memcpy(nic_mac, frame + 6, sizeof(nic_mac));
		if (frame_kind(frame) == FRAME_HELLO)
			put_short(FRAME_WELCOME, 0, 0);
		else if (frame_kind(frame) == FRAME_COMMAND)
			obey(frame, length);
		else if (frame_kind(frame) == FRAME_QUIT)
			break;
	}
	run_result("", NULL);
	if (!length)
		result("wire", "nothing was heard for a minute");
	return failures != 0;
}
