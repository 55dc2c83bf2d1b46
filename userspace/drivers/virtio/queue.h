/* SPDX-License-Identifier: MIT */
/*
 * A virtqueue of packets in either format, split or packed.
 *
 * A packet is one descriptor: the header of virtio lies in its headroom, right in front of the
 * frame. A descriptor and its packet have the same number, and so have a buffer and its first
 * descriptor: a device that returns buffers in the order in which it got them, as all known ones
 * do, finds the fast paths; any other order is as right, but slower.
 *
 * Positions count on without end and are masked where they index. The wrap counter of a packed ring
 * is the bit above the mask, inverted (2.8.1).
 */
#ifndef VIRTIO_QUEUE_H
#define VIRTIO_QUEUE_H

#include <string.h>

#include <unic/driver.h>

#include "modern.h"

#define VIRTIO_RX_ROOM	 (VIRTIO_NET_HEADER + UNIC_PACKET_ROOM) /* bytes of a buffer to receive */
#define VIRTIO_RX_WORD	 (VIRTIO_RX_ROOM | VIRTIO_DESC_F_WRITE << VIRTIO_SPLIT_FLAGS)
#define VIRTIO_RX_PACKED (VIRTIO_RX_ROOM | VIRTIO_DESC_F_WRITE << VIRTIO_PACKED_FLAGS)

/* What a packed ring's used descriptor is known by, with the number of its buffer. */
#define VIRTIO_PACKED_BITS  (VIRTIO_PACKED_AVAIL | VIRTIO_PACKED_USED)
#define VIRTIO_PACKED_CHECK (VIRTIO_PACKED_BITS | 0xffffull << VIRTIO_PACKED_ID)

#define VIRTIO_FRAME_MIN    14 /* bytes: an Ethernet header */
#define VIRTIO_RX_SHORTEST  (VIRTIO_NET_HEADER + VIRTIO_FRAME_MIN)

/* A frame may begin so far in front of the default start, and have its header before it. */
#define VIRTIO_TX_HEADROOM (UNIC_PACKET_HEADROOM - VIRTIO_NET_HEADER)

/* One direction of a queue. */
struct virtio_ring {
	volatile struct virtio_desc *desc;
	union {
		volatile struct virtio_avail *avail; /* split */
		volatile le32_t *driver; /* packed: event suppression, the driver's... */
	};
	union {
		volatile struct virtio_used *used;
		volatile le32_t *device; /* ...and the device's */
	};
	struct unic_packet **packets; /* of each descriptor */
	uint32_t mask;
	uint32_t next;	     /* the first used position that is not taken */
	uint32_t tail;	     /* sending: the next descriptor to be filled */
	uint32_t clean;	     /* sending: the first that is not free */
	uint32_t avail_next; /* sending, split: the next available position */
	/* Sending: descriptors that are not just a packet under way: the fast path must not meet
	 * them. */
	uint32_t odd;
	bool packed, event_idx, in_order;
	bool shifted; /* sending, split: positions and descriptors are no longer in step */
	bool merged;  /* receiving: a frame may be in several buffers, of which the header tells */
	bool plain;   /* receiving: all buffers came back in order so far */
	bool broken;  /* what the device says makes no sense: it is not listened to any more */
	uint16_t unusual; /* receiving: header bits that make a frame an exception */
	/* Receiving: the buffer at each position. Sending: how many descriptors a buffer has, of
	 * its first one; 0: of the others. */
	uint16_t *order;
	struct virtio_doorbell doorbell;
	uint64_t desc_iova, driver_iova, device_iova;
	/* Memory for what is not in a packet. Sending: a header for each descriptor. */
	uint8_t *extra;
	uint64_t extra_iova;
	struct userpci_dma memory;
};

/* A driver's private part of a queue. */
struct virtio_net_queue {
	struct virtio_ring rx, tx;
};

/* What was negotiated of it. */
struct virtio_ring_kind {
	bool packed, event_idx, in_order;
};

/* A ring that the device tells nothing about, with @extra bytes behind it. -ENOMEM, and what
 * userpci_dma_alloc() returns. */
int virtio_ring_alloc(struct userpci_device *device, struct virtio_ring *r, uint32_t size,
		      uint32_t extra, const struct virtio_ring_kind *kind);
/* Does nothing when it was not allocated. */
void virtio_ring_free(struct virtio_ring *r);

/* Lets the device say when the next buffer is used; or not. */
void virtio_ring_arm(const struct virtio_ring *r);
void virtio_ring_disarm(const struct virtio_ring *r);
bool virtio_ring_pending(const struct virtio_ring *r);

/* Stops listening. Returns -EIO. */
int virtio_rx_broken(struct unic_queue *queue);
int virtio_tx_broken(struct unic_queue *queue);

/* Fills the receive ring from the pool, which has as many packets; virtio_ring_bell() says so. */
void virtio_rx_fill(struct unic_queue *queue, bool merged, bool checksum);
/* Give all packets back: the device has stopped. Do nothing when there is no ring. */
void virtio_rx_drain(struct unic_queue *queue);
void virtio_tx_drain(struct unic_queue *queue);

/* Takes the frame at the next position, which the fast path has left: 1: it was dropped, or is
 * packets[(*n)++]; 0: there is none; -EIO. */
int virtio_rx_odd(struct unic_queue *queue, struct unic_packet **packets, unsigned int *n);

/* Takes back one buffer, the next that was used: 1; 0: there is none; -EIO. */
int virtio_tx_reclaim_odd(struct unic_queue *queue);
/* Sends a packet that is out of the ordinary: 1; 0: there is no room for it now; -EINVAL: it was
 * dropped. Its descriptors are in the ring, the device does not know yet. */
int virtio_tx_odd(struct unic_queue *queue, struct unic_packet *packet);

/* split.c and packed.c: a unic_driver's bursts. */
int virtio_split_rx_burst(struct unic_queue *queue, struct unic_packet **packets,
			  unsigned int count);
int virtio_split_tx_burst(struct unic_queue *queue, struct unic_packet **packets,
			  unsigned int count);
int virtio_packed_rx_burst(struct unic_queue *queue, struct unic_packet **packets,
			   unsigned int count);
int virtio_packed_tx_burst(struct unic_queue *queue, struct unic_packet **packets,
			   unsigned int count);
/* Takes back what was sent. -EIO. */
int virtio_split_tx_reclaim(struct unic_queue *queue);
int virtio_packed_tx_reclaim(struct unic_queue *queue);

/* header.c. The header of a packet that unic_tx_prepare() has made ready. */
void virtio_header_make(struct unic_packet *packet, struct virtio_net_hdr *header);
/* What the header of a received frame asks for, done. False: it makes no sense. */
bool virtio_header_take(struct unic_packet *packet, bool checksum);

/* Where a buffer begins that a frame is received into: for the device, and for the driver. */
static inline uint64_t virtio_rx_iova(const struct unic_packet *packet, uint32_t space)
{
	return packet->iova[space] - VIRTIO_NET_HEADER;
}

static inline const uint8_t *virtio_rx_start(const struct unic_packet *packet)
{
	return (const uint8_t *)packet + UNIC_PACKET_HEADER + UNIC_PACKET_HEADROOM -
	       VIRTIO_NET_HEADER;
}

/* Bytes of the longest frame that one packet holds. */
static inline uint32_t virtio_longest(const struct unic_queue *queue)
{
	return queue->tx_max < UNIC_PACKET_ROOM ? queue->tx_max : UNIC_PACKET_ROOM;
}

_Static_assert(UNIC_RX_L4_GOOD == VIRTIO_NET_HDR_F_DATA_VALID << 3, "virtio_rx_simple()");

/* Whether a frame is in one buffer and needs no work. @flags: what is known of it, UNIC_RX_*. */
static inline bool virtio_rx_simple(const struct virtio_ring *r, const struct unic_packet *packet,
				    uint32_t unusual, uint64_t *flags)
{
	const uint8_t *start = virtio_rx_start(packet);
	le16_t buffers;
	uint16_t bits; /* flags and gso_type, in this order in memory on any machine */

	memcpy(&bits, start, sizeof(bits));
	memcpy(&buffers, start + offsetof(struct virtio_net_hdr, num_buffers), sizeof(buffers));
	bits = USERPCI_LE16(bits);
	*flags = (uint64_t)bits << 3;
	/* Without MRG_RXBUF the number is anything, but most often 1: that is looked at first. */
	return !(bits & unusual) && (buffers == userpci_cpu_to_le16(1) || !r->merged);
}

/* Where a packet to be sent begins, its header in front. */
static inline uint8_t *virtio_tx_start(struct unic_packet *packet, intptr_t offset)
{
	return (uint8_t *)packet + UNIC_PACKET_HEADER + UNIC_PACKET_HEADROOM - VIRTIO_NET_HEADER +
	       offset;
}

static inline uint64_t virtio_tx_iova(const struct unic_packet *packet, uint32_t space,
				      intptr_t offset)
{
	return packet->iova[space] + (uint64_t)(int64_t)offset - VIRTIO_NET_HEADER;
}

/* Whether a packet is sent as it is, in one descriptor. @longest: virtio_longest(); @span: what
 * that leaves for offsets. */
static inline bool virtio_tx_simple(const struct unic_packet *packet, const struct unic_pool *pool,
				    uint32_t longest, uint32_t span)
{
	return packet->length - UNIC_FRAME_MIN <= longest - UNIC_FRAME_MIN &&
	       packet->pool == pool && !(packet->flags & UNIC_TX_FLAGS) &&
	       (uint32_t)(packet->offset + VIRTIO_TX_HEADROOM) <= span;
}

static inline uint32_t virtio_tx_span(uint32_t longest)
{
	return UNIC_PACKET_ROOM - longest + VIRTIO_TX_HEADROOM;
}

/* Flags of a descriptor at a position of a packed ring: made available, and used. Spec: 2.8.1. */
static inline uint64_t virtio_packed_avail(const struct virtio_ring *r, uint32_t position)
{
	return position & (r->mask + 1) ? VIRTIO_PACKED_USED : VIRTIO_PACKED_AVAIL;
}

static inline uint64_t virtio_packed_used(const struct virtio_ring *r, uint32_t position)
{
	return position & (r->mask + 1) ? 0 : VIRTIO_PACKED_BITS;
}

/* Spec: 2.7.10: whether the other side wants to know that positions up to @now have followed. */
static inline bool virtio_event_passed(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

static inline void virtio_ring_bell(const struct virtio_ring *r)
{
	userpci_write16(r->doorbell.region, r->doorbell.offset, r->doorbell.queue);
}

/* Tells the device of what is available now, if it wants to know. Spec: 2.7.13.4. */
static inline void virtio_split_publish(const struct virtio_ring *r, uint32_t before, uint32_t now)
{
	const volatile le16_t *event = (const volatile le16_t *)&r->used->ring[2 * (r->mask + 1)];

	userpci_wmb(); /* the descriptors before the index */
	r->avail->idx = userpci_cpu_to_le16((uint16_t)now);
	userpci_mb(); /* the index before the look at what the device wants to know */
	if (r->event_idx ? virtio_event_passed(userpci_le16_to_cpu(*event), (uint16_t)now,
					       (uint16_t)before)
			 : !(userpci_le16_to_cpu(r->used->flags) & VIRTIO_USED_F_NO_NOTIFY))
		virtio_ring_bell(r);
}

/*
 * The same of a packed ring, where the descriptors are there already. Spec: 2.8.21.2.
 *
 * An event that was passed before counts as well. QEMU: 7.2 and 10.0 leave one behind and then wait
 * for ever, when they go on sending after the wire had no room for a while. In its own lap it was
 * passed when it is below, in the one before when it is not: further behind it cannot be.
 */
static inline void virtio_packed_publish(const struct virtio_ring *r, uint32_t now)
{
	uint32_t event, index = now & r->mask;
	bool same;

	userpci_mb(); /* the descriptors before the look at what the device wants to know */
	event = userpci_le32_to_cpu(*r->device);
	if ((event & VIRTIO_EVENT_FLAGS) == VIRTIO_EVENT_DISABLE)
		return;
	if ((event & VIRTIO_EVENT_FLAGS) == VIRTIO_EVENT_DESC) {
		same = !(event & VIRTIO_EVENT_WRAP) == !!(now & (r->mask + 1));
		if (same == ((event & VIRTIO_EVENT_OFFSET) >= index))
			return;
	}
	virtio_ring_bell(r);
}

#endif
