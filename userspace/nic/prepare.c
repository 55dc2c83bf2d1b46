/* SPDX-License-Identifier: MIT */
/*
 * Frames that are not simply sent: padding, chains, VLAN tags, checksums. What the device does not
 * do is done here, so that a driver only has to do what it said it can.
 */
#include <errno.h>

#include <unic/driver.h>

#include "depot.h"

#define CHAIN_MAX    64 /* packets: more than the longest frame takes in halves of buffers */

#define ETHER_TYPE   12 /* where it is in a frame */
#define ETHER_SIZE   14
#define TAG_SIZE     4
#define TAG_PROTOCOL 0x8100 /* IEEE 802.1Q, table 9-1 */

/* Spec: RFC 791, 3.1; RFC 8200, 3; RFC 9293, 3.1; RFC 768. */
#define IP4_SIZE     20
#define IP4_LENGTH   2
#define IP4_CHECKSUM 10
#define IP4_SOURCE   12
#define IP6_SIZE     40
#define IP6_LENGTH   4
#define IP6_SOURCE   8
#define TCP_SIZE     20
#define TCP_OFFSET   12
#define TCP_CHECKSUM 16
#define UDP_SIZE     8
#define UDP_CHECKSUM 6
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* RFC 1071, as big-endian words; @odd: the first byte is a low one. */
static uint64_t sum(uint64_t total, const uint8_t *data, uint32_t size, bool odd)
{
	uint32_t i = 0;

	if (odd && size)
		total += data[i++];
	for (; i + 1 < size; i += 2)
		total += get16(data + i);
	if (i < size)
		total += (uint64_t)data[i] << 8;
	return total;
}

static uint16_t fold(uint64_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)total;
}

/* --- The chain --- */

static int drop(struct unic_packet *packet, uint64_t *counter)
{
	(*counter)++;
	unic_packet_free(packet);
	return -EINVAL;
}

static bool fits(const struct unic_packet *packet)
{
	return packet->offset >= -UNIC_PACKET_HEADROOM && packet->offset <= UNIC_PACKET_ROOM &&
	       packet->length && packet->length <= unic_packet_room(packet);
}

/* A chain that comes back to one of its packets ends before it. Brent's algorithm: @fast goes round
 * the cycle, whose length is then known; two that are so far apart meet where it begins. */
__attribute__((noinline, cold)) static void end_chain(struct unic_packet *first)
{
	struct unic_packet *slow = first, *fast = first, *last = first;
	uint64_t length = 0, most = 1;

	do {
		if (!(fast->flags & UNIC_PACKET_CHAINED))
			return;
		if (length == most) {
			slow = fast;
			most *= 2;
			length = 0;
		}
		fast = fast->next;
		length++;
	} while (fast != slow);
	for (fast = first; length--; fast = fast->next)
		last = fast;
	for (slow = first; slow != fast; slow = slow->next) {
		last = fast;
		fast = fast->next;
	}
	last->flags &= (uint16_t)~UNIC_PACKET_CHAINED;
}

/* The number of packets, or 0: there are too many, one of them is of another depot, or says what it
 * has no room for. Packets of another pool become this one's. */
static unsigned int take_chain(const struct unic_queue *queue, struct unic_packet *first,
			       uint32_t *total)
{
	const struct unic_depot *depot = queue->pool->depot;
	struct unic_packet *packet;
	bool good = true;
	uint32_t n = 0;

	*total = 0;
	for (packet = first;; packet = packet->next) {
		if (packet->pool != queue->pool && packet->pool->depot == depot)
			packet->pool = queue->pool;
		good = good && packet->pool == queue->pool && fits(packet);
		*total += packet->length;
		if (++n == CHAIN_MAX + 1)
			end_chain(first);
		if (!(packet->flags & UNIC_PACKET_CHAINED))
			return good && n <= CHAIN_MAX ? n : 0;
	}
}

static bool pad(struct unic_packet *packet, uint32_t total)
{
	uint32_t missing = UNIC_FRAME_MIN - total;

	while (packet->flags & UNIC_PACKET_CHAINED)
		packet = packet->next;
	if (unic_packet_room(packet) < packet->length + missing)
		return false;
	memset(unic_packet_data(packet) + packet->length, 0, missing);
	packet->length += missing;
	return true;
}

/* --- VLAN tags --- */

/* Spec: IEEE 802.1Q, 9.3: behind the addresses. */
static bool tag_insert(struct unic_packet *packet)
{
	uint8_t *frame;

	if (packet->length < ETHER_SIZE || packet->offset < TAG_SIZE - UNIC_PACKET_HEADROOM)
		return false;
	packet->offset = (int16_t)(packet->offset - TAG_SIZE);
	packet->length += TAG_SIZE;
	frame = unic_packet_data(packet);
	memmove(frame, frame + TAG_SIZE, ETHER_TYPE);
	put16(frame + ETHER_TYPE, TAG_PROTOCOL);
	put16(frame + ETHER_TYPE + 2, packet->vlan);
	packet->l2_length = (uint8_t)(packet->l2_length + TAG_SIZE);
	packet->flags &= (uint16_t)~UNIC_PACKET_VLAN;
	return true;
}

/* --- Checksums --- */

struct headers {
	uint8_t *ip, *l4;
	uint32_t at;	 /* of l4 in the frame */
	uint32_t length; /* of l4 and what is behind it */
	uint32_t checksum;
	uint8_t protocol;
	bool is_ip4;
};

/* Whether the headers are where the packet says, inside of its first buffer. */
static bool headers_find(struct unic_packet *packet, uint32_t total, struct headers *h)
{
	uint32_t l2 = packet->l2_length, l3 = packet->l3_length, ip_length, l4_size;
	bool l4 = packet->flags & (UNIC_TX_TCP | UNIC_TX_UDP | UNIC_TX_TSO);

	h->protocol = packet->flags & UNIC_TX_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
	h->checksum = h->protocol == PROTOCOL_UDP ? UDP_CHECKSUM : TCP_CHECKSUM;
	l4_size = !l4 ? 0 : h->protocol == PROTOCOL_UDP ? UDP_SIZE : TCP_SIZE;
	if (l2 < ETHER_SIZE || l3 < IP4_SIZE || l2 + l3 + l4_size > packet->length)
		return false;
	h->ip = unic_packet_data(packet) + l2;
	h->is_ip4 = h->ip[0] >> 4 == 4;
	if (h->is_ip4 ? (h->ip[0] & 15u) * 4 != l3 : h->ip[0] >> 4 != 6 || l3 < IP6_SIZE)
		return false;
	if (packet->flags & UNIC_TX_IP && !h->is_ip4)
		return false;
	h->l4 = h->ip + l3;
	h->at = l2 + l3;
	ip_length = h->is_ip4 ? get16(h->ip + IP4_LENGTH)
			      : get16(h->ip + IP6_LENGTH) + (uint32_t)IP6_SIZE;
	if (packet->flags & UNIC_TX_TSO)
		ip_length = total - l2; /* the IP header's own is the device's matter */
	if (ip_length < l3 + l4_size || ip_length > total - l2)
		return false;
	h->length = ip_length - l3;
	return true;
}

/* RFC 9293, 3.1; RFC 8200, 8.1. */
static uint64_t pseudo_sum(const struct headers *h, uint32_t length)
{
	uint64_t total = h->is_ip4 ? sum(0, h->ip + IP4_SOURCE, 8, false)
				   : sum(0, h->ip + IP6_SOURCE, 32, false);

	return total + h->protocol + length;
}

/* Of all packets of the chain, from L4 on. */
static uint64_t chain_sum(struct unic_packet *packet, const struct headers *h, uint64_t total)
{
	uint32_t skip = h->at, left = h->length, size;
	bool odd = false;

	for (;; packet = packet->next, skip = 0) {
		size = packet->length - skip;
		if (size > left)
			size = left;
		total = sum(total, unic_packet_data(packet) + skip, size, odd);
		odd ^= size & 1;
		left -= size;
		if (!left || !(packet->flags & UNIC_PACKET_CHAINED))
			return total;
	}
}

static void checksums_by_cpu(struct unic_packet *packet, const struct headers *h)
{
	uint16_t value;

	if (packet->flags & UNIC_TX_IP) {
		put16(h->ip + IP4_CHECKSUM, 0);
		put16(h->ip + IP4_CHECKSUM,
		      (uint16_t)~fold(sum(0, h->ip, packet->l3_length, false)));
	}
	if (packet->flags & (UNIC_TX_TCP | UNIC_TX_UDP)) {
		put16(h->l4 + h->checksum, 0);
		value = (uint16_t)~fold(chain_sum(packet, h, pseudo_sum(h, h->length)));
		/* RFC 768: 0 means that there is none. */
		put16(h->l4 + h->checksum, value || h->protocol == PROTOCOL_TCP ? value : 0xffff);
	}
	packet->flags &= (uint16_t) ~(UNIC_TX_IP | UNIC_TX_TCP | UNIC_TX_UDP);
}

static void checksums_by_device(const struct unic_packet *packet, const struct headers *h,
				bool tso_length)
{
	bool tso = packet->flags & UNIC_TX_TSO;

	if (h->is_ip4 && (tso || packet->flags & UNIC_TX_IP))
		put16(h->ip + IP4_CHECKSUM, 0);
	if (tso && !tso_length)
		put16(h->ip + (h->is_ip4 ? IP4_LENGTH : IP6_LENGTH), 0);
	if (tso || packet->flags & (UNIC_TX_TCP | UNIC_TX_UDP))
		put16(h->l4 + h->checksum, fold(pseudo_sum(h, tso && !tso_length ? 0 : h->length)));
}

static bool tso_is_right(const struct unic_queue *queue, const struct unic_packet *packet,
			 const struct headers *h, uint32_t total)
{
	uint32_t size = h->at + packet->l4_length;

	return queue->port->info.offloads & UNIC_OFFLOAD_TSO && !(packet->flags & UNIC_TX_UDP) &&
	       packet->l4_length >= TCP_SIZE && h->l4[TCP_OFFSET] >> 4 == packet->l4_length / 4 &&
	       packet->l4_length % 4 == 0 && size <= packet->length && size < total &&
	       packet->mss && size + packet->mss <= queue->tx_max;
}

static bool offload(struct unic_queue *queue, struct unic_packet *packet, uint32_t total,
		    bool tso_length)
{
	struct headers h;

	if (!headers_find(packet, total, &h))
		return false;
	if (packet->flags & UNIC_TX_TSO && !tso_is_right(queue, packet, &h, total))
		return false;
	/* QEMU: its devices take the padding of a short frame for data. */
	if (packet->flags & UNIC_TX_TSO ||
	    (queue->port->info.offloads & UNIC_OFFLOAD_TX_CHECKSUM && total >= UNIC_FRAME_MIN))
		checksums_by_device(packet, &h, tso_length);
	else
		checksums_by_cpu(packet, &h);
	return true;
}

int unic_tx_prepare(struct unic_queue *queue, struct unic_packet *packet, bool tso_length)
{
	uint32_t total, max = queue->tx_max;
	unsigned int n = take_chain(queue, packet, &total);

	if (!n)
		return drop(packet, packet->pool == queue->pool ? &queue->stats.tx_bad_length
								: &queue->stats.tx_bad_packet);
	if (packet->flags & UNIC_TX_TSO)
		max = UNIC_TSO_MAX;
	if (packet->flags & UNIC_PACKET_VLAN)
		max -= TAG_SIZE;
	if (total > max)
		return drop(packet, &queue->stats.tx_bad_length);
	if (packet->flags & UNIC_PACKET_VLAN &&
	    !(queue->port->info.offloads & UNIC_OFFLOAD_VLAN_INSERT)) {
		if (!tag_insert(packet))
			return drop(packet, &queue->stats.tx_bad_offload);
		total += TAG_SIZE;
	}
	if (packet->flags & (UNIC_TX_IP | UNIC_TX_TCP | UNIC_TX_UDP | UNIC_TX_TSO) &&
	    !offload(queue, packet, total, tso_length))
		return drop(packet, &queue->stats.tx_bad_offload);
	if (total < UNIC_FRAME_MIN && !pad(packet, total))
		return drop(packet, &queue->stats.tx_bad_length);
	return (int)n;
}
