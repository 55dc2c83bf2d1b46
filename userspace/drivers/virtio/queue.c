/* SPDX-License-Identifier: MIT */
/*
 * Virtqueues away from the fast paths: memory, events, and all frames and buffers that are out of
 * the ordinary, of both formats.
 *
 * Spec: Virtual I/O Device (VIRTIO) Version 1.2, 2.7 and 2.8.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue.h"

#define QUEUE_ALIGN 64 /* bytes: no cache line has parts of two rings */

static uint64_t queue_align(uint64_t offset)
{
	return (offset + QUEUE_ALIGN - 1) & ~(uint64_t)(QUEUE_ALIGN - 1);
}

/* --- Memory --- */

/* Spec: 2.7: descriptors, available ring, used ring, the last at 4 bytes, so that its elements of 8
 * are aligned. */
static void split_layout(struct virtio_ring *r, uint8_t *va)
{
	uint32_t size = r->mask + 1, i;
	uint64_t avail = size * sizeof(*r->desc);
	uint64_t used = queue_align(avail + sizeof(*r->avail) + size * 2 + 2) + 4;

	r->avail = (volatile struct virtio_avail *)(volatile void *)(va + avail);
	r->used = (volatile struct virtio_used *)(volatile void *)(va + used);
	r->driver_iova = r->memory.iova + avail;
	r->device_iova = r->memory.iova + used;
	memset(va + avail, 0, r->memory.size - avail);
	for (i = 0; i < size; i++)
		r->avail->ring[i] = userpci_cpu_to_le16((uint16_t)i);
}

/* Spec: 2.8: descriptors, two event suppression structures. Flags of 0 make a descriptor neither
 * available nor, in the first lap, used. */
static void packed_layout(struct virtio_ring *r, uint8_t *va)
{
	uint64_t events = (r->mask + 1) * sizeof(*r->desc);
	uint32_t i;

	r->driver = (volatile le32_t *)(volatile void *)(va + events);
	r->device = (volatile le32_t *)(volatile void *)(va + events + QUEUE_ALIGN);
	r->driver_iova = r->memory.iova + events;
	r->device_iova = r->memory.iova + events + QUEUE_ALIGN;
	memset(va + events, 0, r->memory.size - events);
	for (i = 0; i <= r->mask; i++)
		r->desc[i].word = userpci_cpu_to_le64(0);
}

static uint64_t queue_size(uint32_t size, bool packed)
{
	uint64_t desc = size * sizeof(struct virtio_desc);

	if (packed)
		return desc + 2 * QUEUE_ALIGN;
	/* As split_layout() has it: indices and events beside the elements. */
	return queue_align(queue_align(desc + size * 2ull + 6) + size * 8ull + 10);
}

int virtio_ring_alloc(struct userpci_device *device, struct virtio_ring *r, uint32_t size,
		      uint32_t extra, const struct virtio_ring_kind *kind)
{
	uint64_t rings = queue_size(size, kind->packed);
	uint32_t i;
	int err;

	memset(r, 0, sizeof(*r));
	err = userpci_dma_alloc(device, rings + extra, &r->memory);
	if (err)
		return err;
	r->packets = calloc(size, sizeof(struct unic_packet *));
	r->order = calloc(size, sizeof(*r->order));
	if (!r->packets || !r->order) {
		virtio_ring_free(r);
		return -ENOMEM;
	}
	for (i = 0; i < size; i++)
		r->order[i] = 1;
	r->mask = size - 1;
	r->packed = kind->packed;
	r->event_idx = kind->event_idx;
	r->in_order = kind->in_order;
	r->desc = r->memory.va;
	r->desc_iova = r->memory.iova;
	r->extra = (uint8_t *)r->memory.va + rings;
	r->extra_iova = r->memory.iova + rings;
	memset(r->memory.va, 0xff, r->memory.size);
	if (r->packed)
		packed_layout(r, r->memory.va);
	else
		split_layout(r, r->memory.va);
	virtio_ring_disarm(r);
	return 0;
}

void virtio_ring_free(struct virtio_ring *r)
{
	free(r->packets);
	free(r->order);
	r->packets = NULL;
	r->order = NULL;
	userpci_dma_free(&r->memory);
}

/* --- Events --- */

/* Spec: 2.7.7, 2.7.10, 2.8.10. */
void virtio_ring_arm(const struct virtio_ring *r)
{
	if (r->packed)
		*r->driver = userpci_cpu_to_le32(VIRTIO_EVENT_ENABLE);
	else if (r->event_idx)
		r->avail->ring[r->mask + 1] = userpci_cpu_to_le16((uint16_t)r->next);
	else
		r->avail->flags = userpci_cpu_to_le16(0);
	userpci_mb(); /* the wish before the look at what is there already */
}

/* With event indices: at the position that is the last to come. */
void virtio_ring_disarm(const struct virtio_ring *r)
{
	if (r->packed)
		*r->driver = userpci_cpu_to_le32(VIRTIO_EVENT_DISABLE);
	else if (r->event_idx)
		r->avail->ring[r->mask + 1] = userpci_cpu_to_le16((uint16_t)(r->next - 1));
	else
		r->avail->flags = userpci_cpu_to_le16(VIRTIO_AVAIL_F_NO_INTERRUPT);
}

/* The buffer that was used as the @ahead-th from now: 1; 0: none is; -EIO: more were than there can
 * be. */
static int queue_peek(const struct virtio_ring *r, uint32_t ahead, uint32_t *id, uint32_t *length)
{
	uint32_t position = r->next + ahead, index = position & r->mask;
	uint64_t word;
	uint16_t ready;

	if (r->packed) {
		word = userpci_le64_to_cpu(r->desc[index].word);
		if ((word & VIRTIO_PACKED_BITS) != virtio_packed_used(r, position))
			return 0;
		*id = word >> VIRTIO_PACKED_ID & 0xffff;
		*length = (uint32_t)word;
	} else {
		ready = (uint16_t)(userpci_le16_to_cpu(r->used->idx) - r->next);
		if (ready > r->mask + 1)
			return -EIO;
		if (ahead >= ready)
			return 0;
		userpci_rmb(); /* the index before the element */
		*id = userpci_le32_to_cpu(r->used->ring[2 * index]);
		*length = userpci_le32_to_cpu(r->used->ring[2 * index + 1]);
	}
	userpci_rmb(); /* what says that it is used before the frame */
	return 1;
}

bool virtio_ring_pending(const struct virtio_ring *r)
{
	uint32_t id, length;

	return r->broken || queue_peek(r, 0, &id, &length);
}

static int queue_broken_burst(struct unic_queue *queue, struct unic_packet **packets,
			      unsigned int count)
{
	(void)queue;
	(void)packets;
	(void)count;
	return -EIO;
}

int virtio_rx_broken(struct unic_queue *queue)
{
	struct virtio_net_queue *q = queue->priv;

	queue->stats.rx_errors++;
	q->rx.broken = true;
	queue->rx_burst = queue_broken_burst;
	return -EIO;
}

int virtio_tx_broken(struct unic_queue *queue)
{
	struct virtio_net_queue *q = queue->priv;

	q->tx.broken = true;
	queue->tx_burst = queue_broken_burst;
	return -EIO;
}

/* --- Receiving --- */

/* Makes a buffer available in place of the one that was used at a position. */
static void rx_post(struct unic_queue *queue, struct virtio_ring *r, uint32_t position, uint32_t id,
		    struct unic_packet *packet)
{
	uint32_t index = position & r->mask;
	le64_t address = userpci_cpu_to_le64(virtio_rx_iova(packet, queue->space));

	r->packets[id] = packet;
	if (r->packed) {
		r->desc[index].address = address;
		userpci_wmb(); /* the address before the flags */
		r->desc[index].word =
			userpci_cpu_to_le64(VIRTIO_RX_PACKED | (uint64_t)id << VIRTIO_PACKED_ID |
					    virtio_packed_avail(r, position + r->mask + 1));
	} else {
		r->desc[id].address = address;
	}
}

void virtio_rx_fill(struct unic_queue *queue, bool merged, bool checksum)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->rx;
	uint32_t i;

	r->merged = merged;
	r->plain = true;
	r->unusual = (uint16_t) ~(checksum ? VIRTIO_NET_HDR_F_DATA_VALID : 0u);
	for (i = 0; i <= r->mask; i++) {
		r->order[i] = (uint16_t)i;
		if (!r->packed)
			r->desc[i].word = userpci_cpu_to_le64(VIRTIO_RX_WORD);
		/* As if it had been used one lap before. */
		rx_post(queue, r, i - (r->mask + 1), i, unic_pool_get(queue->pool));
	}
	userpci_wmb(); /* the descriptors before the index */
	r->avail_next = r->mask + 1;
	if (!r->packed)
		r->avail->idx = userpci_cpu_to_le16((uint16_t)r->avail_next);
}

void virtio_rx_drain(struct unic_queue *queue)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->rx;
	uint32_t i;

	for (i = 0; r->packets && i <= r->mask; i++)
		if (r->packets[i])
			unic_pool_put_burst(queue->pool, &r->packets[i], 1);
}

/* A position where the device has a buffer that stays where it is, for the one that came early. */
static void rx_place(struct virtio_ring *r, uint32_t position, uint32_t id)
{
	r->order[position & r->mask] = (uint16_t)id;
	if (!r->packed)
		r->avail->ring[position & r->mask] = userpci_cpu_to_le16((uint16_t)id);
}

/* Spec: 2.7.9, 2.8.8: what the device has skipped was used whole. Said in the ring, as by a device
 * that skips nothing. */
static void rx_skipped(struct virtio_ring *r, uint32_t position, uint32_t id, uint32_t length)
{
	uint32_t index = position & r->mask;

	if (r->packed) {
		r->desc[index].word = userpci_cpu_to_le64(virtio_packed_used(r, position) | length |
							  (uint64_t)id << VIRTIO_PACKED_ID);
	} else {
		r->used->ring[2 * index] = userpci_cpu_to_le32(id);
		r->used->ring[2 * index + 1] = userpci_cpu_to_le32(length);
	}
}

/*
 * Finds the buffer that the device names among those that it has. One that comes out of order
 * changes places with the one that was due. -EIO: the device has no such buffer.
 */
static int rx_settle(struct virtio_ring *r, uint32_t position, uint32_t *id, uint32_t *length)
{
	uint32_t due = r->order[position & r->mask], at = position;
	uint32_t end = r->packed ? r->next + r->mask + 1 : r->avail_next;

	if (*id == due)
		return 0;
	while (at != end && r->order[at & r->mask] != *id)
		at++;
	if (at == end)
		return -EIO;
	if (r->in_order) {
		rx_skipped(r, at, *id, *length);
		for (; at != position; at--)
			rx_skipped(r, at - 1, r->order[(at - 1) & r->mask], VIRTIO_RX_ROOM);
		*id = due;
		*length = VIRTIO_RX_ROOM;
		return 0;
	}
	r->plain = false;
	rx_place(r, at, due);
	rx_place(r, position, *id);
	return 0;
}

/* A frame in the ring, before it is known to be one. */
struct rx_frame {
	uint32_t count; /* buffers that are there */
	uint32_t total; /* bytes, with the header */
	bool good;
};

/* Looks at all buffers of the next frame: 1; 0: there is none; -EIO. */
static int rx_look(const struct unic_queue *queue, struct virtio_ring *r, struct rx_frame *frame)
{
	uint32_t expected = 1, id, length;
	struct virtio_net_hdr header;
	int err = 0;

	*frame = (struct rx_frame){ .good = true };
	while (frame->count < expected && frame->count <= r->mask) {
		err = queue_peek(r, frame->count, &id, &length);
		if (err > 0)
			err = rx_settle(r, r->next + frame->count, &id, &length) ? -EIO : 1;
		if (err <= 0)
			break;
		if (!frame->count && r->merged && length >= VIRTIO_NET_HEADER) {
			memcpy(&header, virtio_rx_start(r->packets[id]), sizeof(header));
			expected = userpci_le16_to_cpu(header.num_buffers);
		}
		if (!length || length > VIRTIO_RX_ROOM ||
		    (!frame->count && length < VIRTIO_NET_HEADER))
			frame->good = false;
		r->packets[id]->length = length; /* the device may say another thing later */
		frame->total += frame->good ? length : 0;
		frame->count++;
	}
	if (err < 0 || !frame->count)
		return err;
	/* Spec: 2.8.9, 5.1.6.4: all buffers of a frame are used together. */
	if (frame->count != expected || frame->total < VIRTIO_RX_SHORTEST ||
	    frame->total > VIRTIO_NET_HEADER + queue->tx_max)
		frame->good = false;
	return 1;
}

/* Takes the buffers of a frame, or leaves them to the device. */
static struct unic_packet *rx_take(struct unic_queue *queue, struct virtio_ring *r, uint32_t count,
				   bool leave)
{
	struct unic_packet *first = NULL, *last = NULL, *packet;
	uint32_t id;

	for (; count; count--, r->next++) {
		id = r->order[r->next & r->mask];
		packet = r->packets[id];
		rx_post(queue, r, r->next, id, leave ? packet : unic_pool_get(queue->pool));
		if (leave)
			continue;
		/* Spec: 5.1.6.4: only the first buffer begins with a header. */
		if (first) {
			unic_packet_reset(packet, packet->length);
			packet->offset = -VIRTIO_NET_HEADER;
			last->flags |= UNIC_PACKET_CHAINED;
			last->next = packet;
		} else {
			unic_packet_reset(packet, packet->length - VIRTIO_NET_HEADER);
			first = packet;
		}
		last = packet;
	}
	return first;
}

int virtio_rx_odd(struct unic_queue *queue, struct unic_packet **packets, unsigned int *n)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->rx;
	uint32_t before = r->next;
	struct unic_packet *packet;
	struct rx_frame frame;
	int err;

	err = rx_look(queue, r, &frame);
	if (err <= 0)
		return err ? virtio_rx_broken(queue) : 0;
	if (!frame.good || queue->pool->free_count < frame.count) {
		if (frame.good)
			queue->stats.rx_no_buffer++;
		else
			queue->stats.rx_errors++;
		(void)rx_take(queue, r, frame.count, true);
	} else {
		packet = rx_take(queue, r, frame.count, false);
		frame.total -= VIRTIO_NET_HEADER;
		if (virtio_header_take(packet, !(r->unusual & VIRTIO_NET_HDR_F_DATA_VALID))) {
			queue->stats.rx_packets++;
			queue->stats.rx_bytes += frame.total;
			packets[(*n)++] = packet;
		} else {
			queue->stats.rx_errors++;
			unic_packet_free(packet);
		}
	}
	if ((before ^ r->next) & (r->mask + 1))
		virtio_ring_disarm(r);
	return 1;
}

/* --- Sending --- */

/* Whether the device has a buffer that begins with this descriptor. */
static bool tx_outstanding(const struct virtio_ring *r, uint32_t id)
{
	return id <= r->mask && ((id - r->clean) & r->mask) < r->tail - r->clean &&
	       r->packets[id] && r->order[id];
}

/* Gives a buffer's packets back. Its descriptors are free when all before them are. */
static void tx_complete(struct unic_pool *pool, struct virtio_ring *r, uint32_t id)
{
	uint32_t count = r->order[id], i, at;

	if (count == 1)
		r->odd++;
	for (i = 0; i < count; i++) {
		at = (id + i) & r->mask;
		if (r->packets[at])
			unic_pool_put_burst(pool, &r->packets[at], 1);
		r->packets[at] = NULL;
		r->order[at] = 1;
	}
	while (r->clean != r->tail && !r->packets[r->clean & r->mask]) {
		r->odd--;
		r->clean++;
	}
}

int virtio_tx_reclaim_odd(struct unic_queue *queue)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->tx;
	uint32_t id, length, head, count;
	int err;

	err = queue_peek(r, 0, &id, &length);
	if (!err)
		return 0;
	/* In order: the oldest one, and in a packed ring all up to the one that is named. */
	head = r->clean & r->mask;
	if (r->in_order && !r->packed)
		id = head;
	if (err < 0 || !tx_outstanding(r, id))
		return virtio_tx_broken(queue);
	do {
		if (!r->in_order)
			head = id;
		count = r->order[head];
		tx_complete(queue->pool, r, head);
		r->next += r->packed ? count : 1;
		id = head == id ? r->mask + 1 : id;
		head = r->clean & r->mask;
	} while (id <= r->mask);
	return 1;
}

/* Fills the next descriptor; the head's flags come last in a packed ring. */
static void tx_put(struct virtio_ring *r, uint32_t head, uint64_t address, uint64_t word)
{
	volatile struct virtio_desc *desc = &r->desc[r->tail & r->mask];

	desc->address = userpci_cpu_to_le64(address);
	if (r->packed) {
		word |= (uint64_t)(head & r->mask) << VIRTIO_PACKED_ID |
			virtio_packed_avail(r, r->tail);
		if (r->tail == head)
			word ^= VIRTIO_PACKED_BITS;
	}
	desc->word = userpci_cpu_to_le64(word);
	r->tail++;
}

/* What makes a buffer the device's when its descriptors are filled. */
static void tx_release(struct virtio_ring *r, uint32_t head)
{
	volatile struct virtio_desc *desc = &r->desc[head & r->mask];

	if (r->packed) {
		userpci_wmb(); /* the descriptors before the first one's flags */
		desc->word = userpci_cpu_to_le64(userpci_le64_to_cpu(desc->word) ^
						 VIRTIO_PACKED_BITS);
		return;
	}
	r->avail->ring[r->avail_next & r->mask] = userpci_cpu_to_le16((uint16_t)(head & r->mask));
	r->avail_next++;
}

/* The word of a descriptor that another one follows. */
static uint64_t tx_follow(const struct virtio_ring *r, uint32_t length)
{
	if (r->packed)
		return length | VIRTIO_DESC_F_NEXT << VIRTIO_PACKED_FLAGS;
	return length | VIRTIO_DESC_F_NEXT << VIRTIO_SPLIT_FLAGS |
	       (uint64_t)((r->tail + 1) & r->mask) << VIRTIO_SPLIT_NEXT;
}

/* All descriptors of a packet; @apart: the header has one of its own. */
static void tx_fill(struct unic_queue *queue, struct virtio_ring *r, struct unic_packet *packet,
		    uint32_t count, bool apart)
{
	uint32_t head = r->tail, i, size;
	struct virtio_net_hdr header;
	uint64_t address;

	virtio_header_make(packet, &header);
	for (i = 0; i < count; i++) {
		r->packets[r->tail & r->mask] = apart && i == 1 ? NULL : packet;
		r->order[r->tail & r->mask] = (uint16_t)(i ? 0 : count);
		size = packet->length;
		address = virtio_tx_iova(packet, queue->space, packet->offset) + VIRTIO_NET_HEADER;
		if (!i && apart) {
			size = VIRTIO_NET_HEADER;
			address = r->extra_iova + (r->tail & r->mask) * sizeof(header);
			memcpy(r->extra + (r->tail & r->mask) * sizeof(header), &header, size);
		} else if (!i) {
			size += VIRTIO_NET_HEADER;
			address -= VIRTIO_NET_HEADER;
			memcpy(virtio_tx_start(packet, packet->offset), &header, sizeof(header));
		}
		tx_put(r, head, address, i + 1 < count ? tx_follow(r, size) : size);
		if (i || !apart)
			packet = packet->next;
	}
	if (count > 1) {
		r->odd += count;
		r->shifted = true;
	}
	tx_release(r, head);
}

int virtio_tx_odd(struct unic_queue *queue, struct unic_packet *packet)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->tx;
	uint32_t room = r->mask + 1 - (r->tail - r->clean), count;
	int n = unic_tx_prepare(queue, packet, true);
	bool apart;

	if (n < 0)
		return n;
	apart = packet->offset < -VIRTIO_TX_HEADROOM;
	count = (uint32_t)n + apart;
	if (count > r->mask + 1) {
		/* There never will be room for it. */
		queue->stats.tx_bad_length++;
		unic_packet_free(packet);
		return -EINVAL;
	}
	if (count > room)
		return 0;
	queue->stats.tx_packets++;
	queue->stats.tx_bytes += unic_packet_total(packet);
	tx_fill(queue, r, packet, count, apart);
	return 1;
}

void virtio_tx_drain(struct unic_queue *queue)
{
	struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->tx;

	for (; r->packets && r->clean != r->tail; r->clean++)
		if (r->packets[r->clean & r->mask])
			unic_pool_put_burst(queue->pool, &r->packets[r->clean & r->mask], 1);
}
