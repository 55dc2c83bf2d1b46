/* SPDX-License-Identifier: MIT */
/*
 * TCP and UDP packets over IPv4 and IPv6 for the tests, and a look at their checksums that shares
 * no code with the NIC layer's.
 *
 * Spec: RFC 791, 3.1; RFC 8200, 3; RFC 9293, 3.1; RFC 768; RFC 1071.
 */
#ifndef TESTS_NIC_IP_H
#define TESTS_NIC_IP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define IP_TAGGED     0x8100 /* EtherTypes */
#define IP_TYPE4      0x0800
#define IP_TYPE6      0x86dd

#define IP_TCP_HEADER 32 /* bytes: with options */
#define IP_UDP_HEADER 8
#define IP_TCP_FIN    1
#define IP_TCP_PUSH   8
#define IP_TCP_ACK    16

struct ip_flow {
	bool ip6, udp;
	uint16_t tag; /* 0: none in the frame */
	uint16_t port;
	uint32_t payload; /* bytes */
	uint32_t sequence;
};

/* Where things are in a frame. */
struct ip_layout {
	uint32_t l2, l3, l4; /* bytes of each header */
	uint8_t *ip, *l4_at, *payload, *checksum;
	bool ip6, udp;
};

static inline uint32_t ip_get(const uint8_t *p, unsigned int bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | *p++;
	return value;
}

static inline void ip_put(uint8_t *p, unsigned int bytes, uint32_t value)
{
	while (bytes--)
		p[bytes] = (uint8_t)value, value >>= 8;
}

/* The ones' complement sum of @size bytes, each added where it stands. */
static inline uint16_t ip_sum(uint16_t start, const uint8_t *data, uint32_t size)
{
	uint32_t total = start, i;

	for (i = 0; i < size; i++) {
		total += i & 1 ? data[i] : (uint32_t)data[i] << 8;
		if (total > 0xffff)
			total -= 0xffff;
	}
	return (uint16_t)total;
}

static inline struct ip_layout ip_look(uint8_t *frame)
{
	struct ip_layout at = { .l2 = ip_get(frame + 12, 2) == IP_TAGGED ? 18 : 14 };

	at.ip = frame + at.l2;
	at.ip6 = at.ip[0] >> 4 == 6;
	at.l3 = at.ip6 ? 40 : (at.ip[0] & 15u) * 4;
	at.udp = (at.ip6 ? at.ip[6] : at.ip[9]) == 17;
	at.l4_at = at.ip + at.l3;
	at.l4 = at.udp ? IP_UDP_HEADER : (at.l4_at[12] >> 4) * 4u;
	at.checksum = at.l4_at + (at.udp ? 6 : 16);
	at.payload = at.l4_at + at.l4;
	return at;
}

/* Bytes of the frame as the IP header has it, without padding. */
static inline uint32_t ip_length(const struct ip_layout *at)
{
	return at->l2 + (at->ip6 ? 40 + ip_get(at->ip + 4, 2) : ip_get(at->ip + 2, 2));
}

static inline uint16_t ip_pseudo_sum(const struct ip_layout *at)
{
	uint32_t size = ip_length(at) - at->l2 - at->l3;
	uint8_t pseudo[4] = { (uint8_t)(size >> 8), (uint8_t)size, 0, at->udp ? 17 : 6 };
	uint16_t total = ip_sum(0, pseudo, sizeof(pseudo));

	return at->ip6 ? ip_sum(total, at->ip + 8, 32) : ip_sum(total, at->ip + 12, 8);
}

/* Of the pseudo header, L4 header and payload: 0xffff when the checksum in them is right. */
static inline uint16_t ip_l4_sum(const struct ip_layout *at)
{
	return ip_sum(ip_pseudo_sum(at), at->l4_at, ip_length(at) - at->l2 - at->l3);
}

/* Whether all checksums are right; UDP's must be there. */
static inline bool ip_is_right(uint8_t *frame)
{
	struct ip_layout at = ip_look(frame);

	if (!at.ip6 && ip_sum(0, at.ip, at.l3) != 0xffff)
		return false;
	if (at.udp && !ip_get(at.checksum, 2))
		return false;
	return ip_l4_sum(&at) == 0xffff;
}

/* The checksums as they must be. */
static inline void ip_finish(uint8_t *frame)
{
	struct ip_layout at = ip_look(frame);
	uint16_t sum;

	if (!at.ip6) {
		ip_put(at.ip + 10, 2, 0);
		ip_put(at.ip + 10, 2, (uint16_t)~ip_sum(0, at.ip, at.l3));
	}
	ip_put(at.checksum, 2, 0);
	sum = (uint16_t)~ip_l4_sum(&at);
	ip_put(at.checksum, 2, sum || !at.udp ? sum : 0xffff);
}

static inline void ip_header(uint8_t *ip, const struct ip_flow *flow, uint32_t size)
{
	if (flow->ip6) {
		ip[0] = 0x60;
		ip_put(ip + 4, 2, size);
		ip[6] = flow->udp ? 17 : 6;
		ip[7] = 64;
		ip_put(ip + 8, 2, 0xfd00);
		ip[23] = 1;
		ip_put(ip + 24, 2, 0xfd00);
		ip[39] = 2;
		return;
	}
	ip[0] = 0x45;
	ip_put(ip + 2, 2, 20 + size);
	ip_put(ip + 4, 2, 0x1234);
	ip[8] = 64;
	ip[9] = flow->udp ? 17 : 6;
	ip_put(ip + 12, 4, 0x0a630001); /* 10.99.0.1 */
	ip_put(ip + 16, 4, 0x0a630002);
}

static inline void ip_l4_header(uint8_t *l4, const struct ip_flow *flow)
{
	ip_put(l4, 2, flow->port);
	ip_put(l4 + 2, 2, 7);
	if (flow->udp) {
		ip_put(l4 + 4, 2, IP_UDP_HEADER + flow->payload);
		return;
	}
	ip_put(l4 + 4, 4, flow->sequence);
	ip_put(l4 + 8, 4, 0x01020304);
	l4[12] = IP_TCP_HEADER / 4 << 4;
	l4[13] = IP_TCP_ACK | IP_TCP_PUSH | IP_TCP_FIN;
	ip_put(l4 + 14, 2, 0xfff0);
	memset(l4 + 20, 1, IP_TCP_HEADER - 20); /* no operation */
}

/* What is at @at of a payload. */
static inline uint8_t ip_byte(uint32_t at)
{
	return (uint8_t)(at * 7 + (at >> 8) + 1);
}

/* The whole frame, without padding; returns its length. */
static inline uint32_t ip_make(uint8_t *frame, const uint8_t *target, const uint8_t *source,
			       const struct ip_flow *flow)
{
	uint32_t l2 = flow->tag ? 18 : 14, l3 = flow->ip6 ? 40 : 20, i;
	uint32_t l4 = flow->udp ? IP_UDP_HEADER : IP_TCP_HEADER;

	memset(frame, 0, l2 + l3 + l4);
	memcpy(frame, target, 6);
	memcpy(frame + 6, source, 6);
	if (flow->tag)
		ip_put(frame + 12, 4, (uint32_t)IP_TAGGED << 16 | flow->tag);
	ip_put(frame + l2 - 2, 2, flow->ip6 ? IP_TYPE6 : IP_TYPE4);
	ip_header(frame + l2, flow, l4 + flow->payload);
	ip_l4_header(frame + l2 + l3, flow);
	for (i = 0; i < flow->payload; i++)
		frame[l2 + l3 + l4 + i] = ip_byte(i);
	ip_finish(frame);
	return l2 + l3 + l4 + flow->payload;
}

#endif
