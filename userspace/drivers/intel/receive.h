/* SPDX-License-Identifier: MIT */
/*
 * Receiving with descriptors that come back with the status in the low half of their second word,
 * length and tag in the high one: the extended ones of 82574 and the advanced ones of 82576.
 *
 * A driver has an intel_rx_kind of constants, and inlines intel_rx() once for frames with a hash
 * and once for those without, which then do not pay for it.
 */
#ifndef INTEL_RECEIVE_H
#define INTEL_RECEIVE_H

#include "common.h"

struct intel_rx_kind {
	uint64_t errors;			   /* bits that say that the frame is bad */
	void (*reclaim)(struct unic_queue *queue); /* what was sent, to the pool */
};

/* What must be true of a descriptor for its frame to be handed out as it is: it is done, the frame
 * is whole, without error and with no wrong checksum, not empty, and no longer than the buffer. One
 * test for all: of what remains when the bits that must be set, and one byte, are taken away. */
#define INTEL_RX_GOOD	 (E1000E_RXD_DD | E1000E_RXD_EOP | 1ull << 32)
#define INTEL_RX_TOOLONG ((0xffffull & ~(UNIC_PACKET_ROOM - 1ull)) << 32)
#define INTEL_RX_CHECK \
	(E1000E_RXD_DD | E1000E_RXD_EOP | E1000E_RXD_TCPE | E1000E_RXD_IPE | INTEL_RX_TOOLONG)
_Static_assert(UNIC_PACKET_ROOM == 2048, "the buffers' size, and INTEL_RX_TOOLONG");

/* Takes good frames up to the end of the ring; @count packets must be in the pool. */
static inline unsigned int intel_rx_run(struct unic_queue *queue, struct unic_packet **packets,
					unsigned int count, const struct intel_rx_kind kind,
					const bool hash)
{
	struct intel_queue *q = queue->priv;
	uint32_t index = q->rx_next & q->rx_mask, space = queue->space;
	volatile struct intel_desc *desc = q->rx_ring + index;
	struct unic_packet **slot = q->rx_packets + index, *packet;
	struct unic_packet **fresh = queue->pool->free + queue->pool->free_count;
	uint64_t word, flags, info, length, bytes = 0;
	uint32_t high;
	size_t n;

	if (q->rx_skip || q->rx_continue)
		return 0;
	if (count > q->rx_mask + 1 - index)
		count = q->rx_mask + 1 - index;
	for (n = 0; n < count; n++) {
		word = userpci_le64_to_cpu(desc[n].word);
		if ((word - INTEL_RX_GOOD) & (INTEL_RX_CHECK | kind.errors))
			break;
		packet = slot[n];
		packets[n] = packet;
		flags = intel_rx_flags[(uint8_t)word];
		if (hash) {
			userpci_rmb(); /* the done bit before the other half */
			info = userpci_le64_to_cpu(desc[n].address);
			flags |= intel_rx_hash_flags[info & 15];
			packet->hash = (uint32_t)(info >> 32);
		}
		high = (uint32_t)(word >> 32); /* length and tag */
		length = (uint16_t)high;
		unic_packet_set(packet, (uint32_t)length, flags);
		packet->vlan = (uint16_t)(high >> 16);
		bytes += length;
		packet = *--fresh;
		slot[n] = packet;
		desc[n].address = userpci_cpu_to_le64(packet->iova[space]);
		desc[n].word = userpci_cpu_to_le64(0);
	}
	q->rx_next += (uint32_t)n;
	queue->pool->free_count -= (uint32_t)n;
	queue->stats.rx_packets += n;
	queue->stats.rx_bytes += bytes;
	return (unsigned int)n;
}

/* Looks at the descriptor where a run ended. */
static inline bool intel_rx_one(struct unic_queue *queue, struct unic_packet **packets,
				unsigned int *n, bool fresh, uint64_t errors, bool hash)
{
	const struct intel_queue *q = queue->priv;
	volatile struct intel_desc *desc = q->rx_ring + (q->rx_next & q->rx_mask);
	uint64_t word = userpci_le64_to_cpu(desc->word), info;
	struct intel_rx rx = {
		.done = word & E1000E_RXD_DD,
		.last = word & E1000E_RXD_EOP,
		.bad = word & E1000E_RXD_EOP && word & errors,
		.length = word >> 32 & 0xffff,
		.flags = intel_rx_flags[(uint8_t)word],
		.vlan = (uint16_t)(word >> 48),
	};

	if (!rx.done)
		return false;
	/* The errors count where the checksum was looked at. */
	if (rx.flags & UNIC_RX_L4_GOOD && word & E1000E_RXD_TCPE)
		rx.flags ^= UNIC_RX_L4_GOOD | UNIC_RX_L4_BAD;
	if (rx.flags & UNIC_RX_IP_GOOD && word & E1000E_RXD_IPE)
		rx.flags ^= UNIC_RX_IP_GOOD | UNIC_RX_IP_BAD;
	if (hash) {
		userpci_rmb(); /* the done bit before the other half */
		info = userpci_le64_to_cpu(desc->address);
		rx.flags |= intel_rx_hash_flags[info & 15];
		rx.hash = (uint32_t)(info >> 32);
	}
	return intel_rx_odd(queue, &rx, packets, n, fresh);
}

/* What a run has left: the end of the ring, odd descriptors, an empty pool. */
__attribute__((noinline)) static unsigned int intel_rx_rest(struct unic_queue *queue,
							    struct unic_packet **packets,
							    unsigned int count, unsigned int n,
							    const struct intel_rx_kind kind,
							    const bool hash)
{
	struct intel_queue *q = queue->priv;
	struct unic_pool *pool = queue->pool;
	uint32_t odd = q->rx_mask; /* ends the loop where the device does not */
	bool starved = false;
	unsigned int room;

	if (pool->free_count < count - n) {
		kind.reclaim(queue);
		/* An empty pool must not stop the ring: @count frames are dropped. */
		starved = !n && !pool->free_count;
		if (starved && odd > count)
			odd = count;
	}
	while (n < count && (starved || pool->free_count) && odd-- &&
	       intel_rx_one(queue, packets, &n, !starved, kind.errors, hash)) {
		room = count - n < pool->free_count ? count - n : pool->free_count;
		n += intel_rx_run(queue, packets + n, room, kind, hash);
	}
	return n;
}

/* A unic_driver's rx_burst(). */
__attribute__((always_inline)) static inline int intel_rx(struct unic_queue *queue,
							  struct unic_packet **packets,
							  unsigned int count,
							  const struct intel_rx_kind kind,
							  const bool hash)
{
	struct intel_queue *q = queue->priv;
	uint32_t first = q->rx_next, room = queue->pool->free_count;
	unsigned int n;

	n = intel_rx_run(queue, packets, count < room ? count : room, kind, hash);
	if (n < count)
		n = intel_rx_rest(queue, packets, count, n, kind, hash);
	if (q->rx_next == first)
		return 0;
	userpci_rmb(); /* the done bits before the frames, which the caller reads */
	userpci_wmb(); /* the descriptors before the tail */
	userpci_write32(q->regs, q->rx_tail_reg, (q->rx_next - 1) & q->rx_mask);
	return (int)n;
}

/* A unic_driver's rx_pending(). */
static inline bool intel_rx_pending(struct unic_queue *queue)
{
	const struct intel_queue *q = queue->priv;

	return userpci_le64_to_cpu(q->rx_ring[q->rx_next & q->rx_mask].word) & E1000E_RXD_DD;
}

#endif
