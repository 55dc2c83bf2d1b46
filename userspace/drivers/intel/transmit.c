/* SPDX-License-Identifier: MIT */
/*
 * Sending with legacy descriptors, and with context and data descriptors where the device is to do
 * more: 82540EM, 82574.
 *
 * Spec: 317453, 3.3: legacy 3.3.3, context 3.3.6, data 3.3.7.
 */
#include <errno.h>
#include <string.h>

#include "common.h"

#define OFFLOADS (UNIC_TX_IP | UNIC_TX_TCP | UNIC_TX_UDP | UNIC_TX_TSO)

/* Positions of checksum fields in their headers. */
#define IP4_CHECKSUM 10
#define TCP_CHECKSUM 16
#define UDP_CHECKSUM 6

/* Fills descriptors up to the end of a batch, and stops at a packet that is not simply sent. */
static inline unsigned int tx_run(struct unic_queue *queue, struct unic_packet **packets,
				  unsigned int count)
{
	struct intel_queue *q = queue->priv;
	uint32_t index = q->tx_tail & q->tx_mask, space = queue->space;
	volatile struct intel_desc *desc = q->tx_ring + index;
	struct unic_packet **slot = q->tx_packets + index, *packet;
	const struct unic_pool *pool = queue->pool;
	unsigned int batch = INTEL_TX_BATCH - index % INTEL_TX_BATCH;
	uint64_t length, max = queue->tx_max - UNIC_FRAME_MIN, bytes = 0;
	size_t n;

	if (count > batch)
		count = batch;
	for (n = 0; n < count; n++) {
		packet = packets[n];
		length = packet->length;
		if (length - UNIC_FRAME_MIN > max || packet->pool != pool ||
		    packet->flags & UNIC_TX_FLAGS)
			break;
		slot[n] = packet;
		bytes += length;
		desc[n].address = userpci_cpu_to_le64(packet->iova[space] +
						      (uint64_t)(int64_t)packet->offset);
		desc[n].word = userpci_cpu_to_le64(length + E1000_TXD_EOP + E1000_TXD_IFCS);
	}
	q->tx_tail += (uint32_t)n;
	queue->stats.tx_packets += n;
	queue->stats.tx_bytes += bytes;
	if (n == batch)
		desc[n - 1].word |= userpci_cpu_to_le64(E1000_TXD_RS);
	return (unsigned int)n;
}

/* --- Packets that are not simply sent --- */

/* The next descriptor; the one at the end of a batch is reported. */
static void put(struct intel_queue *q, struct unic_packet *packet, uint64_t address, uint64_t word)
{
	uint32_t index = q->tx_tail & q->tx_mask;

	if (q->tx_tail % INTEL_TX_BATCH == INTEL_TX_BATCH - 1)
		word |= E1000_TXD_RS;
	q->tx_packets[index] = packet;
	if (!packet)
		q->tx_empty++;
	q->tx_ring[index].address = userpci_cpu_to_le64(address);
	q->tx_ring[index].word = userpci_cpu_to_le64(word);
	q->tx_tail++;
}

/* Where the checksums are, and for TSO how to cut. */
static void context_make(const struct unic_packet *packet, uint64_t context[2])
{
	uint64_t ip = packet->l2_length, l4 = ip + packet->l3_length;
	uint64_t l4_sum = l4 + (packet->flags & UNIC_TX_UDP ? UDP_CHECKSUM : TCP_CHECKSUM);
	bool tso = packet->flags & UNIC_TX_TSO;
	bool ip4 = unic_packet_data((struct unic_packet *)packet)[ip] >> 4 == 4;

	context[0] = ip | (ip + IP4_CHECKSUM) << 8 | (l4 - 1) << 16 | l4 << 32 | l4_sum << 40;
	context[1] = E1000_TXD_DEXT;
	if (!(packet->flags & UNIC_TX_UDP))
		context[1] |= E1000_TXC_TCP;
	if (ip4)
		context[1] |= E1000_TXC_IP;
	if (!tso)
		return;
	l4 += packet->l4_length;
	context[1] |= E1000_TXD_TSE | (unic_packet_total(packet) - l4) | l4 << 40 |
		      (uint64_t)packet->mss << 48;
}

/* The bits that all descriptors of the packet have. */
static uint64_t command(const struct unic_packet *packet)
{
	uint64_t word = E1000_TXD_IFCS;

	if (packet->flags & UNIC_PACKET_VLAN)
		word |= E1000_TXD_VLE | (uint64_t)packet->vlan << 48;
	if (!(packet->flags & OFFLOADS))
		return word;
	word |= E1000_TXD_DEXT | E1000_TXD_DATA;
	if (packet->flags & (UNIC_TX_IP | UNIC_TX_TSO) &&
	    unic_packet_data((struct unic_packet *)packet)[packet->l2_length] >> 4 == 4)
		word |= E1000_TXD_IXSM;
	if (packet->flags & (UNIC_TX_TCP | UNIC_TX_UDP | UNIC_TX_TSO))
		word |= E1000_TXD_TXSM;
	if (packet->flags & UNIC_TX_TSO)
		word |= E1000_TXD_TSE;
	return word;
}

static void count_sent(struct unic_queue *queue, const struct unic_packet *packet)
{
	queue->stats.tx_packets++;
	queue->stats.tx_bytes += unic_packet_total(packet);
}

/* 1: it is in the ring, 0: there is no room for it, -EINVAL: it was dropped. */
__attribute__((noinline)) static int tx_odd(struct unic_queue *queue, struct unic_packet *packet,
					    uint32_t room)
{
	struct intel_queue *q = queue->priv;
	int n = unic_tx_prepare(queue, packet, false);
	uint64_t context[2], word;
	bool fresh = false;

	if (n < 0)
		return n;
	if (packet->flags & OFFLOADS) {
		context_make(packet, context);
		fresh = packet->flags & UNIC_TX_TSO ||
			memcmp(context, q->tx_context, sizeof(context));
	}
	if ((uint32_t)n + fresh > room) {
		if ((uint32_t)n + fresh <= q->tx_mask)
			return 0;
		/* It never will have. */
		queue->stats.tx_bad_length++;
		unic_packet_free(packet);
		return -EINVAL;
	}
	if (fresh) {
		memcpy(q->tx_context, context, sizeof(context));
		put(q, NULL, context[0], context[1]);
	}
	count_sent(queue, packet);
	for (word = command(packet); n; n--, packet = packet->next)
		put(q, packet, packet->iova[queue->space] + (uint64_t)(int64_t)packet->offset,
		    word | packet->length | (n == 1 ? E1000_TXD_EOP : 0));
	return 1;
}

int intel_tx_burst(struct unic_queue *queue, struct unic_packet **packets, unsigned int count)
{
	struct intel_queue *q = queue->priv;
	uint32_t first = q->tx_tail, room;
	unsigned int n = 0, run;
	int odd;

	intel_tx_reclaim(q, queue->pool);
	while (n < count && (room = q->tx_mask - (q->tx_tail - q->tx_clean))) {
		run = tx_run(queue, packets + n, count - n < room ? count - n : room);
		n += run;
		if (run)
			continue;
		odd = tx_odd(queue, packets[n], room);
		if (!odd)
			break;
		n++;
	}
	if (q->tx_tail == first)
		return (int)n;
	q->tx_ring[(q->tx_tail - 1) & q->tx_mask].word |= userpci_cpu_to_le64(E1000_TXD_RS);
	userpci_wmb(); /* the descriptors, and the frames, before the tail */
	userpci_write32(q->regs, q->tx_tail_reg, q->tx_tail & q->tx_mask);
	return (int)n;
}
