/* SPDX-License-Identifier: MIT */
/*
 * The answers of unic echo, frame by frame. Checksums are computed in another way than in the
 * tool: a block of 16-bit words has a right one when the number that its bytes write, with the
 * first byte as the highest, is a multiple of 65535.
 */
#include <stdbool.h>
#include <stdint.h>

#include "harness.h"
#include "tools/echo.h"

#define ETHER 14
#define IP    20
#define ICMP  8
#define MTU   1500

static const struct echo_host host = { { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, { 10, 99, 0, 2 } };
static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t peer_ip[4] = { 10, 99, 0, 1 };

/* A frame, and what echo_answer() made of it. */
struct exchange {
	uint8_t buffer[2048];
	uint8_t request[2048]; /* as it was */
	uint8_t *frame;	       /* into buffer */
	uint32_t length;
	uint32_t header; /* bytes of the IP header */
};

static uint32_t remainder_of(const uint8_t *data, size_t size)
{
	uint32_t r = 0;
	size_t i;

	for (i = 0; i < size; i++)
		r = (r * 256 + data[i]) % 65535;
	return size & 1 ? r * 256 % 65535 : r;
}

/* Writes the checksum at @at that makes the block a multiple of 65535. */
static void seal(uint8_t *data, size_t size, size_t at)
{
	uint32_t missing;

	data[at] = 0;
	data[at + 1] = 0;
	missing = 65535 - remainder_of(data, size);
	data[at] = (uint8_t)(missing >> 8);
	data[at + 1] = (uint8_t)missing;
}

static uint8_t *ip_of(struct exchange *x)
{
	return x->buffer + ETHER;
}

static uint8_t *icmp_of(struct exchange *x)
{
	return ip_of(x) + x->header;
}

static void seal_ip(struct exchange *x)
{
	seal(ip_of(x), x->header, 10);
}

static void ether(struct exchange *x, const uint8_t *to, uint8_t high, uint8_t low)
{
	memset(x, 0, sizeof(*x));
	x->frame = x->buffer;
	memcpy(x->buffer, to, 6);
	memcpy(x->buffer + 6, peer_mac, 6);
	x->buffer[12] = high;
	x->buffer[13] = low;
}

/* An echo request with @payload bytes, padded to a frame's least size. */
static void ping_with_options(struct exchange *x, uint32_t payload, const uint8_t *options,
			      uint32_t options_size)
{
	uint32_t total, i;
	uint8_t *ip, *icmp;

	ether(x, host.mac, 0x08, 0x00);
	x->header = IP + options_size;
	total = x->header + ICMP + payload;
	ip = ip_of(x);
	ip[0] = (uint8_t)(0x40 | x->header / 4);
	ip[1] = 0x10; /* type of service */
	ip[2] = (uint8_t)(total >> 8);
	ip[3] = (uint8_t)total;
	ip[4] = 0xbe; /* identification */
	ip[5] = 0xef;
	ip[6] = 0x40; /* don't fragment */
	ip[8] = 63;
	ip[9] = 1;
	memcpy(ip + 12, peer_ip, 4);
	memcpy(ip + 16, host.ip, 4);
	if (options_size)
		memcpy(ip + IP, options, options_size);
	seal_ip(x);
	icmp = icmp_of(x);
	icmp[0] = 8;
	icmp[4] = 0x12; /* identifier, sequence number */
	icmp[7] = 0x34;
	for (i = 0; i < payload; i++)
		icmp[ICMP + i] = (uint8_t)(i * 7 + payload);
	seal(icmp, ICMP + payload, 2);
	x->length = ETHER + total;
	if (x->length < 60)
		x->length = 60;
}

static void ping(struct exchange *x, uint32_t payload)
{
	ping_with_options(x, payload, NULL, 0);
}

static enum echo_verdict answer(struct exchange *x)
{
	memcpy(x->request, x->buffer, sizeof(x->request));
	return echo_answer(&host, &x->frame, &x->length);
}

/* What is not answered is left as it came. */
static bool refused(struct exchange *x, enum echo_verdict verdict)
{
	uint32_t length = x->length;

	return answer(x) == verdict && !memcmp(x->request, x->buffer, sizeof(x->request)) &&
	       x->length == length && x->frame == x->buffer;
}

/* The reply, as RFC 792 and RFC 1122 want it. */
static void check_reply(struct exchange *x, uint32_t payload)
{
	const uint8_t *ip = x->frame + ETHER, *icmp = ip + IP;
	const uint8_t *asked = x->request + ETHER + x->header;
	uint32_t total = IP + ICMP + payload;

	CHECK_EQ(x->length, ETHER + total);
	CHECK(!memcmp(x->frame, peer_mac, 6));
	CHECK(!memcmp(x->frame + 6, host.mac, 6));
	CHECK_EQ(x->frame[12] << 8 | x->frame[13], 0x0800);
	CHECK_EQ(ip[0], 0x45);
	CHECK_EQ(ip[1], 0x10);
	CHECK_EQ(ip[2] << 8 | ip[3], total);
	CHECK_EQ((ip[6] << 8 | ip[7]) & 0x3fff, 0);
	CHECK(ip[8] >= 32);
	CHECK_EQ(ip[9], 1);
	CHECK(!memcmp(ip + 12, host.ip, 4));
	CHECK(!memcmp(ip + 16, peer_ip, 4));
	CHECK_EQ(remainder_of(ip, IP), 0);
	CHECK_EQ(icmp[0], 0);
	CHECK_EQ(icmp[1], 0);
	CHECK(!memcmp(icmp + 4, asked + 4, 4 + payload));
	CHECK_EQ(remainder_of(icmp, ICMP + payload), 0);
}

static void arp(struct exchange *x)
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t fixed[] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	uint8_t *packet;

	ether(x, everybody, 0x08, 0x06);
	packet = x->buffer + ETHER;
	memcpy(packet, fixed, sizeof(fixed));
	memcpy(packet + 8, peer_mac, 6);
	memcpy(packet + 14, peer_ip, 4);
	memcpy(packet + 24, host.ip, 4);
	x->length = 60;
}

static void check_arp_reply(const struct exchange *x)
{
	const uint8_t *packet = x->frame + ETHER;

	CHECK_EQ(x->length, 42);
	CHECK(!memcmp(x->frame, peer_mac, 6));
	CHECK(!memcmp(x->frame + 6, host.mac, 6));
	CHECK_EQ(packet[6] << 8 | packet[7], 2);
	CHECK(!memcmp(packet + 8, host.mac, 6));
	CHECK(!memcmp(packet + 14, host.ip, 4));
	CHECK(!memcmp(packet + 18, peer_mac, 6));
	CHECK(!memcmp(packet + 24, x->request + ETHER + 14, 4));
}

TEST(echo_arp_request_is_answered)
{
	struct exchange x;

	arp(&x);
	CHECK_EQ(answer(&x), ECHO_ARP);
	check_arp_reply(&x);
}

TEST(echo_arp_to_own_mac_and_without_padding_is_answered)
{
	struct exchange x;

	arp(&x);
	memcpy(x.buffer, host.mac, 6);
	x.length = 42;
	CHECK_EQ(answer(&x), ECHO_ARP);
	check_arp_reply(&x);
}

/* RFC 5227: a host that looks whether the address is taken has none itself. */
TEST(echo_arp_probe_is_answered)
{
	struct exchange x;

	arp(&x);
	memset(x.buffer + ETHER + 14, 0, 4);
	CHECK_EQ(answer(&x), ECHO_ARP);
	check_arp_reply(&x);
}

TEST(echo_arp_for_others_is_ignored)
{
	/* What to change, to what: target, operation, kinds of address, destination. */
	static const uint8_t changes[][2] = { { ETHER + 27, 3 }, { ETHER + 7, 2 }, { ETHER + 1, 6 },
					      { ETHER + 2, 9 },	 { ETHER + 4, 8 }, { ETHER + 5, 6 },
					      { 0, 0x33 } };
	struct exchange x;
	size_t i;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		arp(&x);
		x.buffer[changes[i][0]] = changes[i][1];
		CHECK(refused(&x, ECHO_IGNORED));
	}
}

TEST(echo_arp_truncated_or_from_a_group_is_an_error)
{
	struct exchange x;
	uint32_t length;

	for (length = ETHER; length < 42; length++) {
		arp(&x);
		x.length = length;
		CHECK(refused(&x, ECHO_ERROR));
	}
	arp(&x);
	x.buffer[ETHER + 8] = 1;
	CHECK(refused(&x, ECHO_ERROR));
	arp(&x);
	x.buffer[6] |= 1;
	CHECK(refused(&x, ECHO_ERROR));
}

TEST(echo_ping_of_every_size_is_answered)
{
	struct exchange x;
	uint32_t payload;

	for (payload = 0; payload <= MTU - IP - ICMP; payload++) {
		ping(&x, payload);
		CHECK_EQ(answer(&x), ECHO_PING);
		check_reply(&x, payload);
		CHECK(x.frame == x.buffer);
	}
}

/* The incremental checksum, at both ends of its range and where it carries. */
TEST(echo_ping_of_every_checksum_is_answered)
{
	struct exchange x;
	uint32_t sequence;

	for (sequence = 0; sequence < 0x10000; sequence++) {
		ping(&x, 1);
		icmp_of(&x)[6] = (uint8_t)(sequence >> 8);
		icmp_of(&x)[7] = (uint8_t)sequence;
		seal(icmp_of(&x), ICMP + 1, 2);
		CHECK_EQ(answer(&x), ECHO_PING);
		check_reply(&x, 1);
	}
}

TEST(echo_ping_checksum_zero_and_ffff_are_both_right)
{
	struct exchange x;
	uint8_t *icmp;

	/* Words that sum up to 0xffff need a checksum of 0, for which 0xffff stands as well. */
	ping(&x, 2);
	icmp = icmp_of(&x);
	memset(icmp + 4, 0, 6);
	icmp[8] = 0xf7;
	icmp[9] = 0xff;
	icmp[2] = icmp[3] = 0;
	CHECK_EQ(remainder_of(icmp, ICMP + 2), 0);
	CHECK_EQ(answer(&x), ECHO_PING);
	check_reply(&x, 2);
	ping(&x, 2);
	memset(icmp + 4, 0, 6);
	icmp[8] = 0xf7;
	icmp[9] = 0xff;
	icmp[2] = icmp[3] = 0xff;
	CHECK_EQ(answer(&x), ECHO_PING);
	check_reply(&x, 2);
}

TEST(echo_ping_with_padding_is_answered_without)
{
	struct exchange x;

	ping(&x, 100);
	x.length += 30;
	CHECK_EQ(answer(&x), ECHO_PING);
	check_reply(&x, 100);
}

TEST(echo_ping_with_bad_checksum_is_an_error)
{
	struct exchange x;
	uint32_t at;

	for (at = 0; at < IP + ICMP + 5; at++) {
		/* Lengths and version are wrong in another way; all must be refused. */
		ping(&x, 5);
		x.buffer[ETHER + at] ^= 0x20;
		CHECK(refused(&x, ECHO_ERROR));
	}
}

TEST(echo_ping_truncated_is_an_error)
{
	struct exchange x;
	uint32_t length;

	for (length = 0; length < ETHER + IP + ICMP + 64; length++) {
		uint8_t *exact = malloc(length + 1), *frame = exact;
		uint32_t size = length;

		ping(&x, 64);
		x.length = length;
		CHECK(refused(&x, ECHO_ERROR));
		/* Where ASan sees what is read behind it. */
		memcpy(exact, x.buffer, length);
		CHECK_EQ(echo_answer(&host, &frame, &size), ECHO_ERROR);
		free(exact);
	}
}

/* Shorter than its header, with checksums that are right all the same. */
TEST(echo_ping_shorter_than_icmp_is_an_error)
{
	struct exchange x;
	uint32_t size;

	for (size = 4; size < ICMP; size++) {
		ping(&x, 0);
		ip_of(&x)[3] = (uint8_t)(IP + size);
		seal_ip(&x);
		seal(icmp_of(&x), size, 2);
		CHECK(refused(&x, ECHO_ERROR));
	}
	ping(&x, 0);
	x.header = 16;
	ip_of(&x)[0] = 0x44;
	seal_ip(&x);
	/* From here on ICMP, it says; the target's address is in it. */
	seal(icmp_of(&x), 12, 2);
	CHECK(refused(&x, ECHO_ERROR));
}

TEST(echo_ping_with_lengths_that_lie_is_an_error)
{
	static const uint16_t totals[] = { 0, 19, 20, 27, 47, 1501, 0x8000, 0xffff };
	static const uint8_t headers[] = { 0x40, 0x44, 0x4f };
	struct exchange x;
	size_t i;

	for (i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		ping(&x, 0);
		ip_of(&x)[2] = (uint8_t)(totals[i] >> 8);
		ip_of(&x)[3] = (uint8_t)totals[i];
		seal_ip(&x);
		CHECK(refused(&x, ECHO_ERROR));
	}
	for (i = 0; i < sizeof(headers); i++) {
		ping(&x, 0);
		ip_of(&x)[0] = headers[i];
		seal_ip(&x);
		CHECK(refused(&x, ECHO_ERROR));
	}
	ping(&x, 0);
	ip_of(&x)[0] = 0x65; /* version 6 */
	seal_ip(&x);
	CHECK(refused(&x, ECHO_ERROR));
}

TEST(echo_ping_for_others_is_ignored)
{
	/* Destination MAC, source IP, target IP, protocol, ICMP type and code. */
	static const uint8_t changes[][2] = {
		{ 5, 0x57 },	     { 0, 0xff },	    { ETHER + 12, 224 }, { ETHER + 12, 0 },
		{ ETHER + 12, 127 }, { ETHER + 19, 3 },	    { ETHER + 9, 17 },	 { ETHER + IP, 0 },
		{ ETHER + IP, 13 },  { ETHER + IP + 1, 1 },
	};
	struct exchange x;
	size_t i;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		ping(&x, 56);
		x.buffer[changes[i][0]] = changes[i][1];
		seal_ip(&x);
		seal(icmp_of(&x), ICMP + 56, 2);
		CHECK(refused(&x, ECHO_IGNORED));
	}
	ping(&x, 56);
	memcpy(ip_of(&x) + 12, host.ip, 4);
	seal_ip(&x);
	CHECK(refused(&x, ECHO_IGNORED));
	ping(&x, 56);
	x.buffer[12] = 0x86; /* IPv6 */
	x.buffer[13] = 0xdd;
	CHECK(refused(&x, ECHO_IGNORED));
}

TEST(echo_fragments_are_not_answered)
{
	static const uint16_t fields[] = { 0x2000, 0x2001, 0x0001, 0x1fff, 0x0100 };
	struct exchange x;
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		ping(&x, 1472);
		ip_of(&x)[6] = (uint8_t)(fields[i] >> 8);
		ip_of(&x)[7] = (uint8_t)fields[i];
		seal_ip(&x);
		CHECK(refused(&x, ECHO_FRAGMENT));
	}
}

TEST(echo_ping_with_options_is_answered_without)
{
	static const uint8_t options[][40] = {
		{ 1, 1, 1, 0 },			      /* no operation, end */
		{ 148, 4, 0, 0 },		      /* router alert */
		{ 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0 }, /* record route */
		{ 0, 131, 99, 1 },		      /* an end, and anything behind it */
	};
	struct exchange x;
	uint32_t size, payload;
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		for (size = i == 2 ? 12 : 4; size <= 40; size += 4)
			for (payload = 0; payload <= MTU - IP - 40 - ICMP; payload += 71) {
				ping_with_options(&x, payload, options[i], size);
				CHECK_EQ(answer(&x), ECHO_PING);
				CHECK(x.frame == x.buffer + size);
				check_reply(&x, payload);
			}
}

TEST(echo_ping_with_a_source_route_is_ignored)
{
	static const uint8_t loose[] = { 1, 131, 7, 4, 10, 0, 0, 1 };
	static const uint8_t strict[] = { 137, 7, 4, 10, 0, 0, 1, 0 };
	struct exchange x;

	ping_with_options(&x, 56, loose, sizeof(loose));
	CHECK(refused(&x, ECHO_IGNORED));
	ping_with_options(&x, 56, strict, sizeof(strict));
	CHECK(refused(&x, ECHO_IGNORED));
}

TEST(echo_ping_with_options_that_lie_is_an_error)
{
	static const uint8_t options[][4] = {
		{ 7, 0, 0, 0 }, { 7, 1, 0, 0 }, { 7, 5, 0, 0 }, { 1, 1, 1, 7 }, { 7, 255, 0, 0 },
	};
	struct exchange x;
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		ping_with_options(&x, 56, options[i], 4);
		CHECK(refused(&x, ECHO_ERROR));
	}
}

/* Whatever comes, memory outside of the frame is neither read (valgrind, ASan) nor written. */
TEST(echo_random_frames_do_no_harm)
{
	uint32_t state = 1, round, i, length;
	struct exchange x;

	for (round = 0; round < 200000; round++) {
		ping(&x, round % 100);
		for (i = 0; i < 3; i++) {
			state = state * 1664525 + 1013904223;
			x.buffer[12 + (state >> 8) % 60] = (uint8_t)(state >> 24);
		}
		if (round & 1)
			seal_ip(&x);
		memset(x.buffer + x.length, 0xa5, sizeof(x.buffer) - x.length);
		length = x.length;
		answer(&x);
		CHECK(x.frame >= x.buffer);
		CHECK(x.frame + x.length <= x.buffer + length);
		CHECK(!memcmp(x.buffer + length, x.request + length, sizeof(x.buffer) - length));
	}
}

TEST_MAIN
