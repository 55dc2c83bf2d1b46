/* SPDX-License-Identifier: MIT */
/*
 * The data path over packed rings.
 *
 * Spec: Virtual I/O Device (VIRTIO) Version 1.2, 2.8. One ring goes both ways: a descriptor is the
 * device's when its flags say so, and the driver's again when the device has written others.
 */
#include <errno.h>

#include "queue.h"

#define PACKED_ID (1ull << VIRTIO_PACKED_ID) /* from one buffer to the next */
/* What is looked at of a used descriptor: of all of its word, and of the half above the length. */
#define PACKED_WORD (VIRTIO_PACKED_CHECK | 0xffffffffull)
#define PACKED_HEAD ((uint32_t)(VIRTIO_PACKED_CHECK >> VIRTIO_PACKED_ID))

/* The address before the flags: then the descriptor is the device's. */
static inline void packed_put(volatile struct virtio_desc *desc, uint64_t address, uint64_t word)
{
	desc->address = userpci_cpu_to_le64(address);
	userpci_wmb();
	desc->word = userpci_cpu_to_le64(word);
}

/* Takes frames without exception up to the end of the ring, as long as there are any; @count
 * packets are in the pool. What the device has used is made available for the next lap at once. */
static inline unsigned int packed_rx_run(struct unic_queue *queue, struct virtio_ring *r,
					 struct unic_packet **packets, unsigned int count)
{
	uint32_t index = r->next & r->mask, space = queue->space, unusual = r->unusual;
	volatile struct virtio_desc *desc = r->desc + index;
	struct unic_packet **slot = r->packets + index, *packet;
	struct unic_packet **fresh = queue->pool->free + queue->pool->free_count;
	uint64_t id = index * PACKED_ID, length, flags, bytes = 0;
	uint64_t shortest = (virtio_packed_used(r, r->next) | id) + VIRTIO_RX_SHORTEST;
	uint64_t next = (virtio_packed_avail(r, r->next + r->mask + 1) | VIRTIO_RX_PACKED) + id;
	uint64_t range = virtio_longest(queue) - VIRTIO_FRAME_MIN;
	size_t n;

	if (!r->plain)
		return 0;
	if (count > r->mask + 1 - index)
		count = r->mask + 1 - index;
	for (n = 0; n < count; n++) {
		length = (userpci_le64_to_cpu(desc[n].word) & PACKED_WORD) - shortest;
		if (length > range) /* also where the number or the flags differ */
			break;
		userpci_rmb(); /* the flags before what they are about */
		packet = slot[n];
		if (!virtio_rx_simple(r, packet, unusual, &flags))
			break;
		length += VIRTIO_FRAME_MIN;
		packets[n] = packet;
		unic_packet_set(packet, (uint32_t)length, flags);
		bytes += length;
		packet = *--fresh;
		slot[n] = packet;
		packed_put(desc + n, virtio_rx_iova(packet, space), next);
		shortest += PACKED_ID;
		next += PACKED_ID;
	}
	r->next += (uint32_t)n;
	queue->pool->free_count -= (uint32_t)n;
	queue->stats.rx_packets += n;
	queue->stats.rx_bytes += bytes;
	return (unsigned int)n;
}

int virtio_packed_rx_burst(struct unic_queue *queue, struct unic_packet **packets,
			   unsigned int count)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->rx;
	uint32_t first = r->next, room;
	/* An empty pool must not stop the ring: @count frames are dropped. */
	unsigned int n = 0, run, drops = count;
	int odd = 1;

	if (queue->pool->free_count < count)
		(void)virtio_packed_tx_reclaim(queue);
	/* A device that fills the ring as fast as it is emptied is not followed for ever. */
	while (n < count && drops && r->next - first <= r->mask) {
		room = count - n < queue->pool->free_count ? count - n : queue->pool->free_count;
		run = packed_rx_run(queue, r, packets + n, room);
		n += run;
		if (run)
			continue;
		drops -= !queue->pool->free_count;
		odd = virtio_rx_odd(queue, packets, &n);
		if (odd <= 0)
			break;
	}
	if (odd < 0)
		return n ? (int)n : -EIO;
	if (r->next != first)
		virtio_packed_publish(r, r->next + r->mask + 1);
	return (int)n;
}

/* The half of a descriptor that says whose it is: id, flags; and what differs in it. */
static inline uint32_t packed_differs(const struct virtio_desc *desc, uint32_t used)
{
	const le32_t *head = (const le32_t *)(const void *)&desc->word + 1;

	return userpci_le32_to_cpu(*head) ^ used;
}

static inline uint32_t packed_four_differ(const struct virtio_desc *desc, uint32_t used)
{
	return packed_differs(desc, used) | packed_differs(desc + 1, used + 1) |
	       packed_differs(desc + 2, used + 2) | packed_differs(desc + 3, used + 3);
}

/* How many of the next descriptors are used, and are the oldest ones, each one packet, up to the
 * end of the ring. One test for eight. */
static inline uint32_t packed_tx_match(const struct virtio_ring *r)
{
	uint32_t index = r->clean & r->mask, count = r->tail - r->clean, n = 0;
	uint32_t used = (uint32_t)(virtio_packed_used(r, r->clean) >> VIRTIO_PACKED_ID) + index;
	const struct virtio_desc *desc = (const struct virtio_desc *)r->desc + index;

	if (count > r->mask + 1 - index)
		count = r->mask + 1 - index;
	userpci_rmb(); /* they are read here, not before */
	for (; n + 8 <= count; n += 8)
		if ((packed_four_differ(desc + n, used + n) |
		     packed_four_differ(desc + n + 4, used + n + 4)) &
		    PACKED_HEAD)
			break;
	while (n < count && !(packed_differs(desc + n, used + n) & PACKED_HEAD))
		n++;
	return n;
}

int virtio_packed_tx_reclaim(struct unic_queue *queue)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->tx;
	uint32_t n;
	int odd;

	while (r->next != r->tail) {
		n = r->odd || r->next != r->clean ? 0 : packed_tx_match(r);
		if (n) {
			unic_pool_put_burst(queue->pool, r->packets + (r->clean & r->mask), n);
			r->clean += n;
			r->next += n;
			continue;
		}
		odd = virtio_tx_reclaim_odd(queue);
		if (odd <= 0)
			return odd;
	}
	return 0;
}

/* Fills descriptors up to the end of the ring, and stops at a packet that is not simply sent. */
static inline unsigned int packed_tx_run(struct unic_queue *queue, struct virtio_ring *r,
					 struct unic_packet **packets, unsigned int count)
{
	uint32_t index = r->tail & r->mask, space = queue->space, longest = virtio_longest(queue);
	volatile struct virtio_desc *desc = r->desc + index;
	struct unic_packet **slot = r->packets + index, *packet;
	const struct unic_pool *pool = queue->pool;
	uint32_t span = virtio_tx_span(longest);
	intptr_t offset;
	uint64_t word = virtio_packed_avail(r, r->tail) + (index * PACKED_ID) + VIRTIO_NET_HEADER;
	uint64_t length, bytes = 0;
	size_t n;

	if (count > r->mask + 1 - index)
		count = r->mask + 1 - index;
	for (n = 0; n < count; n++) {
		packet = packets[n];
		if (!virtio_tx_simple(packet, pool, longest, span))
			break;
		offset = packet->offset;
		length = packet->length;
		slot[n] = packet;
		bytes += length;
		memset(virtio_tx_start(packet, offset), 0, VIRTIO_NET_HEADER);
		packed_put(desc + n, virtio_tx_iova(packet, space, offset), word + length);
		word += PACKED_ID;
	}
	r->tail += (uint32_t)n;
	queue->stats.tx_packets += n;
	queue->stats.tx_bytes += bytes;
	return (unsigned int)n;
}

int virtio_packed_tx_burst(struct unic_queue *queue, struct unic_packet **packets,
			   unsigned int count)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->tx;
	uint32_t first = r->tail, room;
	unsigned int n = 0, run;
	int err;

	if (virtio_packed_tx_reclaim(queue))
		return -EIO;
	while (n < count && (room = r->mask + 1 - (r->tail - r->clean))) {
		run = packed_tx_run(queue, r, packets + n, count - n < room ? count - n : room);
		n += run;
		if (run)
			continue;
		err = virtio_tx_odd(queue, packets[n]);
		if (!err)
			break;
		n++;
	}
	if (r->tail != first)
		virtio_packed_publish(r, r->tail);
	return (int)n;
}
