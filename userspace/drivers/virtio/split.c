/* SPDX-License-Identifier: MIT */
/*
 * The data path over split rings.
 *
 * Spec: Virtual I/O Device (VIRTIO) Version 1.2, 2.7. The available ring is filled once, with each
 * descriptor at the position of its number: as long as nothing disturbs that only its index moves.
 */
#include <errno.h>

#include "queue.h"

#define SPLIT_ID (1ull << 32) /* from one buffer to the next, see split_element() */

/* An element of the used ring in one load, id below and len above: the ring lies so that these are
 * aligned. */
static inline const volatile le64_t *split_used(const struct virtio_ring *r, uint32_t index)
{
	return (const volatile le64_t *)(const volatile void *)&r->used->ring[2 * index];
}

/* The same with the length below: numbers and lengths compare in one. */
static inline uint64_t split_element(const volatile le64_t *used)
{
	uint64_t word = userpci_le64_to_cpu(*used);

	return word << 32 | word >> 32;
}

/* How many positions the device has used since; a wrong index makes more than there can be. */
static inline uint32_t split_ready(const struct virtio_ring *r)
{
	uint16_t ready = (uint16_t)(userpci_le16_to_cpu(r->used->idx) - r->next);

	userpci_rmb(); /* the index before the elements, and what they are about */
	return ready;
}

/* Takes frames without exception up to the end of the ring: @count are there, and as many packets
 * in the pool. */
static inline unsigned int split_rx_run(struct unic_queue *queue, struct virtio_ring *r,
					struct unic_packet **packets, unsigned int count)
{
	uint32_t index = r->next & r->mask, space = queue->space, unusual = r->unusual;
	const volatile le64_t *used = split_used(r, index);
	volatile struct virtio_desc *desc = r->desc + index;
	struct unic_packet **slot = r->packets + index, *packet;
	struct unic_packet **fresh = queue->pool->free + queue->pool->free_count;
	uint64_t shortest = index * SPLIT_ID + VIRTIO_RX_SHORTEST, length, flags, bytes = 0;
	uint64_t range = virtio_longest(queue) - VIRTIO_FRAME_MIN;
	size_t n;

	if (!r->plain)
		return 0;
	if (count > r->mask + 1 - index)
		count = r->mask + 1 - index;
	for (n = 0; n < count; n++) {
		length = split_element(used + n) - shortest;
		if (length > range) /* also where the number differs */
			break;
		packet = slot[n];
		if (!virtio_rx_simple(r, packet, unusual, &flags))
			break;
		length += VIRTIO_FRAME_MIN;
		packets[n] = packet;
		unic_packet_set(packet, (uint32_t)length, flags);
		bytes += length;
		packet = *--fresh;
		slot[n] = packet;
		desc[n].address = userpci_cpu_to_le64(virtio_rx_iova(packet, space));
		shortest += SPLIT_ID;
	}
	r->next += (uint32_t)n;
	queue->pool->free_count -= (uint32_t)n;
	queue->stats.rx_packets += n;
	queue->stats.rx_bytes += bytes;
	/* Once a lap, lest the counter comes round to the event. */
	if (index + n > r->mask)
		virtio_ring_disarm(r);
	return (unsigned int)n;
}

int virtio_split_rx_burst(struct unic_queue *queue, struct unic_packet **packets,
			  unsigned int count)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->rx;
	uint32_t first = r->next, ready = split_ready(r), room;
	/* An empty pool must not stop the ring: @count frames are dropped. */
	unsigned int n = 0, run, drops = count;

	if (!ready)
		return 0;
	if (ready > r->mask + 1)
		return virtio_rx_broken(queue);
	if (queue->pool->free_count < count)
		(void)virtio_split_tx_reclaim(queue);
	while (n < count && r->next - first < ready && drops) {
		room = ready - (r->next - first);
		if (room > count - n)
			room = count - n;
		if (room > queue->pool->free_count)
			room = queue->pool->free_count;
		run = split_rx_run(queue, r, packets + n, room);
		n += run;
		if (run)
			continue;
		drops -= !queue->pool->free_count;
		if (virtio_rx_odd(queue, packets, &n) < 0)
			return n ? (int)n : -EIO;
	}
	if (r->next != first) {
		r->avail_next = r->next + r->mask + 1;
		virtio_split_publish(r, first + r->mask + 1, r->avail_next);
	}
	return (int)n;
}

/* Whether the element is not that of the buffer; only its lower half counts. */
static inline uint64_t split_differs(const volatile le64_t *used, uint32_t id)
{
	return userpci_le64_to_cpu(*used) ^ id;
}

/* How many of the next @ready buffers are the oldest ones, each one packet, up to the end of either
 * ring. One test for four. */
static inline uint32_t split_tx_match(const struct virtio_ring *r, uint32_t ready)
{
	uint32_t id = r->clean & r->mask, index = r->next & r->mask, n = 0;
	const volatile le64_t *used = split_used(r, index);
	uint32_t count = r->mask + 1 - (id > index ? id : index);

	if (count > ready)
		count = ready;
	if (r->in_order)
		return count;
	for (; n + 4 <= count; n += 4, id += 4, used += 4)
		if ((uint32_t)(split_differs(used, id) | split_differs(used + 1, id + 1) |
			       split_differs(used + 2, id + 2) | split_differs(used + 3, id + 3)))
			break;
	while (n < count && !(uint32_t)split_differs(used++, id++))
		n++;
	return n;
}

int virtio_split_tx_reclaim(struct unic_queue *queue)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->tx;
	uint32_t ready = split_ready(r), n;

	if (ready > r->avail_next - r->next)
		return virtio_tx_broken(queue);
	while (ready) {
		n = r->odd ? 0 : split_tx_match(r, ready);
		if (n) {
			unic_pool_put_burst(queue->pool, r->packets + (r->clean & r->mask), n);
			r->clean += n;
			r->next += n;
			ready -= n;
		} else {
			if (virtio_tx_reclaim_odd(queue) < 0)
				return -EIO;
			ready--;
		}
	}
	return 0;
}

/* Makes @count descriptors from @tail on available, each a buffer, when they are not the ones that
 * the available ring has at these positions since it was filled. */
static void split_tx_shifted(const struct virtio_ring *r, uint32_t tail, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		r->avail->ring[(r->avail_next + i) & r->mask] =
			userpci_cpu_to_le16((uint16_t)((tail + i) & r->mask));
}

/* Fills descriptors up to the end of the ring, and stops at a packet that is not simply sent. */
static inline unsigned int split_tx_run(struct unic_queue *queue, struct virtio_ring *r,
					struct unic_packet **packets, unsigned int count)
{
	uint32_t index = r->tail & r->mask, space = queue->space, longest = virtio_longest(queue);
	volatile struct virtio_desc *desc = r->desc + index;
	struct unic_packet **slot = r->packets + index, *packet;
	const struct unic_pool *pool = queue->pool;
	uint32_t span = virtio_tx_span(longest);
	intptr_t offset;
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
		desc[n].address = userpci_cpu_to_le64(virtio_tx_iova(packet, space, offset));
		desc[n].word = userpci_cpu_to_le64(length + VIRTIO_NET_HEADER);
	}
	if (r->shifted)
		split_tx_shifted(r, r->tail, (uint32_t)n);
	r->tail += (uint32_t)n;
	r->avail_next += (uint32_t)n;
	queue->stats.tx_packets += n;
	queue->stats.tx_bytes += bytes;
	return (unsigned int)n;
}

int virtio_split_tx_burst(struct unic_queue *queue, struct unic_packet **packets,
			  unsigned int count)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->tx;
	uint32_t first = r->avail_next, room;
	unsigned int n = 0, run;
	int err;

	if (virtio_split_tx_reclaim(queue))
		return -EIO;
	while (n < count && (room = r->mask + 1 - (r->tail - r->clean))) {
		run = split_tx_run(queue, r, packets + n, count - n < room ? count - n : room);
		n += run;
		if (run)
			continue;
		err = virtio_tx_odd(queue, packets[n]);
		if (!err)
			break;
		n++;
	}
	if (r->avail_next != first)
		virtio_split_publish(r, first, r->avail_next);
	return (int)n;
}
