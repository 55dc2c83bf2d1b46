/* SPDX-License-Identifier: MIT */
/*
 * ARP (RFC 826), IPv4 (RFC 791) and ICMP echo (RFC 792), as far as an answer to a ping needs them.
 *
 * Nothing in a frame is believed before it was checked: every length against the frame's.
 */
#include <stdbool.h>
#include <string.h>

#include "echo.h"

#define ETHER_SIZE     14
#define ETHER_TYPE     12
#define TYPE_IPV4      0x0800
#define TYPE_ARP       0x0806

#define ARP_SIZE       28
#define ARP_OPERATION  6
#define ARP_SENDER     8 /* hardware address, then IP address */
#define ARP_TARGET     18
#define ARP_REQUEST    1
#define ARP_REPLY      2

#define IP_SIZE	       20 /* of a header without options */
#define IP_TOTAL       2
#define IP_FRAGMENT    6
#define IP_TTL	       8
#define IP_PROTOCOL    9
#define IP_CHECKSUM    10
#define IP_SOURCE      12
#define IP_TARGET      16
#define IP_MORE	       0x2000 /* flags and offset: anything in these makes it a fragment */
#define IP_OFFSET      0x1fff
#define IP_ICMP	       1
#define IP_OPTION_END  0
#define IP_OPTION_NOP  1
#define IP_OPTION_LSRR 131 /* source routes, loose and strict */
#define IP_OPTION_SSRR 137

#define ICMP_SIZE      8
#define ICMP_CHECKSUM  2
#define ICMP_REQUEST   8

#define TTL	       64

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* The ones' complement sum (RFC 1071); 0xffff over data that hold a right checksum. */
static uint16_t sum(const uint8_t *data, uint32_t size)
{
	uint32_t total = 0, i;

	for (i = 0; i + 1 < size; i += 2)
		total += get16(data + i);
	if (size & 1)
		total += (uint32_t)data[size - 1] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)total;
}

static bool is_multicast(const uint8_t *mac)
{
	return mac[0] & 1; /* broadcast among them */
}

/* Whether a single host can have this address: not 0/8, 127/8, or anything from 224 on. */
static bool is_host(const uint8_t *ip)
{
	return ip[0] && ip[0] != 127 && ip[0] < 224;
}

static enum echo_verdict answer_arp(const struct echo_host *host, uint8_t *frame, uint32_t *length)
{
	/* Ethernet and IPv4 addresses, of 6 and 4 bytes. */
	static const uint8_t kind[] = { 0, 1, 8, 0, 6, 4 };
	uint8_t *arp = frame + ETHER_SIZE;
	uint8_t sender[10];

	if (*length < ETHER_SIZE + ARP_SIZE)
		return ECHO_ERROR;
	if (memcmp(arp, kind, sizeof(kind)) || get16(arp + ARP_OPERATION) != ARP_REQUEST ||
	    memcmp(arp + ARP_TARGET + 6, host->ip, 4))
		return ECHO_IGNORED;
	memcpy(sender, arp + ARP_SENDER, sizeof(sender));
	if (is_multicast(sender))
		return ECHO_ERROR;
	memcpy(frame, sender, 6);
	memcpy(frame + 6, host->mac, 6);
	put16(arp + ARP_OPERATION, ARP_REPLY);
	memcpy(arp + ARP_SENDER, host->mac, 6);
	memcpy(arp + ARP_SENDER + 6, host->ip, 4);
	memcpy(arp + ARP_TARGET, sender, sizeof(sender));
	*length = ETHER_SIZE + ARP_SIZE;
	return ECHO_ARP;
}

/* A reply to a packet with a source route must go back along that route (RFC 1122, 3.2.2.6): not
 * from here. All other options may be left out. */
static enum echo_verdict check_options(const uint8_t *option, uint32_t size)
{
	uint32_t at = 0;

	while (at < size && option[at] != IP_OPTION_END) {
		if (option[at] == IP_OPTION_NOP) {
			at++;
			continue;
		}
		if (at + 1 >= size || option[at + 1] < 2 || option[at + 1] > size - at)
			return ECHO_ERROR;
		if (option[at] == IP_OPTION_LSRR || option[at] == IP_OPTION_SSRR)
			return ECHO_IGNORED;
		at += option[at + 1];
	}
	return ECHO_PING;
}

/* The header that goes with the reply, @strip bytes behind the request's: its options are left out.
 * @total: bytes from the request's IP header on. */
static void put_headers(const struct echo_host *host, uint8_t *frame, uint32_t strip,
			uint32_t total)
{
	uint8_t *reply = frame + strip, *ip = reply + ETHER_SIZE;
	uint8_t mac[6];

	memcpy(mac, frame + 6, sizeof(mac));
	memmove(ip, frame + ETHER_SIZE, IP_SIZE);
	memcpy(reply, mac, sizeof(mac));
	memcpy(reply + 6, host->mac, 6);
	put16(reply + ETHER_TYPE, TYPE_IPV4);
	ip[0] = 4 << 4 | IP_SIZE / 4;
	put16(ip + IP_TOTAL, (uint16_t)(total - strip));
	put16(ip + IP_FRAGMENT, 0);
	ip[IP_TTL] = TTL;
	memcpy(ip + IP_TARGET, ip + IP_SOURCE, 4);
	memcpy(ip + IP_SOURCE, host->ip, 4);
	put16(ip + IP_CHECKSUM, 0);
	put16(ip + IP_CHECKSUM, (uint16_t)~sum(ip, IP_SIZE));
}

/* Spec: RFC 1624, equation 3: the type is the only thing that changes, from 8 to 0. */
static void put_echo_reply(uint8_t *icmp)
{
	uint32_t total = (uint16_t)~get16(icmp + ICMP_CHECKSUM) + (uint16_t) ~(ICMP_REQUEST << 8);

	icmp[0] = 0;
	put16(icmp + ICMP_CHECKSUM, (uint16_t) ~((total & 0xffff) + (total >> 16)));
}

static enum echo_verdict answer_icmp(const struct echo_host *host, uint8_t **frame,
				     uint32_t *length, uint32_t header, uint32_t total)
{
	uint8_t *ip = *frame + ETHER_SIZE, *icmp = ip + header;
	enum echo_verdict verdict;

	if (total - header < ICMP_SIZE || sum(icmp, total - header) != 0xffff)
		return ECHO_ERROR;
	if (icmp[0] != ICMP_REQUEST || icmp[1])
		return ECHO_IGNORED;
	verdict = check_options(ip + IP_SIZE, header - IP_SIZE);
	if (verdict != ECHO_PING)
		return verdict;
	put_headers(host, *frame, header - IP_SIZE, total);
	put_echo_reply(icmp);
	*frame += header - IP_SIZE;
	*length = ETHER_SIZE + total - (header - IP_SIZE);
	return ECHO_PING;
}

static enum echo_verdict answer_ipv4(const struct echo_host *host, uint8_t **frame,
				     uint32_t *length)
{
	const uint8_t *ip = *frame + ETHER_SIZE;
	uint32_t header, total, room = *length - ETHER_SIZE;

	if (room < IP_SIZE || ip[0] >> 4 != 4)
		return ECHO_ERROR;
	header = (ip[0] & 15u) * 4;
	total = get16(ip + IP_TOTAL);
	if (header < IP_SIZE || total < header || total > room || sum(ip, header) != 0xffff)
		return ECHO_ERROR;
	if (memcmp(ip + IP_TARGET, host->ip, 4) || !memcmp(ip + IP_SOURCE, host->ip, 4) ||
	    !is_host(ip + IP_SOURCE))
		return ECHO_IGNORED;
	if (get16(ip + IP_FRAGMENT) & (IP_MORE | IP_OFFSET))
		return ECHO_FRAGMENT;
	if (ip[IP_PROTOCOL] != IP_ICMP)
		return ECHO_IGNORED;
	return answer_icmp(host, frame, length, header, total);
}

enum echo_verdict echo_answer(const struct echo_host *host, uint8_t **frame, uint32_t *length)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const uint8_t *target = *frame;
	bool mine;

	if (*length < ETHER_SIZE)
		return ECHO_ERROR;
	mine = !memcmp(target, host->mac, 6);
	if (is_multicast(*frame + 6))
		return ECHO_ERROR;
	switch (get16(*frame + ETHER_TYPE)) {
	case TYPE_ARP:
		if (!mine && memcmp(target, broadcast, 6))
			return ECHO_IGNORED;
		return answer_arp(host, *frame, length);
	case TYPE_IPV4:
		/* No answer to broadcasts (RFC 1122, 3.2.2.6). */
		return mine ? answer_ipv4(host, frame, length) : ECHO_IGNORED;
	default:
		return ECHO_IGNORED;
	}
}
