/* SPDX-License-Identifier: MIT */
/*
 * Packet buffers: a header of one cache line, then a frame or a part of one, in memory that NICs
 * reach.
 *
 * A buffer lives in a depot, which one port has or several share; each queue of a port draws from a
 * pool of its own, and pools of one depot exchange packets in bulk. Who holds a packet owns it:
 * unic_rx_burst() hands packets to the caller, unic_tx_burst() takes those that it accepts,
 * unic_packet_alloc() and unic_packet_free() deal with the pool. A pool, and the packets drawn from
 * it, are for one thread at a time.
 */
#ifndef UNIC_PACKET_H
#define UNIC_PACKET_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UNIC_PACKET_HEADER   64	  /* bytes of struct unic_packet */
#define UNIC_PACKET_HEADROOM 128  /* bytes in front of a received frame, for headers to push */
#define UNIC_PACKET_ROOM     2048 /* bytes from the frame's default start to the buffer's end */
#define UNIC_PACKET_SIZE     (UNIC_PACKET_HEADER + UNIC_PACKET_HEADROOM + UNIC_PACKET_ROOM)
#define UNIC_PACKET_SPACES   3 /* address spaces of NICs that one depot can be in */

/*
 * Flags. A received packet says what the device found out, where that was negotiated; one to be
 * sent says what is to be done with it. UNIC_RX_* are ignored by unic_tx_burst().
 */
#define UNIC_PACKET_CHAINED (1u << 0) /* the frame goes on in `next` */
#define UNIC_PACKET_VLAN    (1u << 1) /* tagged with `vlan`, the tag itself is not in the frame */
#define UNIC_RX_IP_GOOD	    (1u << 2) /* the IPv4 header's checksum is right */
#define UNIC_RX_IP_BAD	    (1u << 3)
#define UNIC_RX_L4_GOOD	    (1u << 4) /* that of TCP or UDP */
#define UNIC_RX_L4_BAD	    (1u << 5)
#define UNIC_RX_HASH	    (1u << 6) /* `hash` is the device's, of the flow */
/* With the lengths of the headers in l2_length, l3_length, and l4_length for TSO. */
#define UNIC_TX_IP  (1u << 8)  /* fill in the IPv4 header's checksum */
#define UNIC_TX_TCP (1u << 9)  /* fill in TCP's */
#define UNIC_TX_UDP (1u << 10) /* fill in UDP's; not together with _TCP */
#define UNIC_TX_TSO (1u << 11) /* cut into TCP segments of `mss` bytes of payload */
/* What a driver has to look at before it sends a packet as it is. */
#define UNIC_TX_FLAGS                                                                      \
	(UNIC_PACKET_CHAINED | UNIC_PACKET_VLAN | UNIC_TX_IP | UNIC_TX_TCP | UNIC_TX_UDP | \
	 UNIC_TX_TSO)

/* Members without a name, and an array without a size, are C's; every C++ compiler has them. */
#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#endif

struct unic_packet {
	union {
		struct unic_pool *pool;
		uint64_t pool_room; /* 8 bytes on 32-bit machines too */
	};
	/* The next three are one word: a driver stores them at once. */
	uint32_t length; /* bytes of the frame in this packet, without the FCS */
	int16_t offset;	 /* where they begin, from the default start; not below -HEADROOM */
	uint16_t flags;
	/* What the flags speak of. */
	uint16_t vlan; /* priority, DEI and VLAN ID, as in the tag (IEEE 802.1Q, 9.6) */
	uint16_t mss;  /* bytes */
	union {
		uint32_t hash;
		struct {
			uint8_t l2_length; /* bytes: 14, 18 with a tag in the frame */
			uint8_t l3_length; /* of the IP header, with options */
			uint8_t l4_length; /* of the TCP header, with options */
			uint8_t reserved;
		};
	};
	union {
		struct unic_packet *next; /* defined only with UNIC_PACKET_CHAINED */
		uint64_t next_room;
	};
	uint64_t user; /* the application's own */
	/* The default start's address for NICs, by the address space they are in; never changes. */
	uint64_t iova[UNIC_PACKET_SPACES];
};

/* A stack of free packets: the one that was freed last is the warmest in the cache. */
struct unic_pool {
	uint32_t free_count;
	uint32_t high; /* above it the pool gives some back to the depot */
	struct unic_depot *depot;
	struct unic_packet *free[]; /* with room for all of the depot's */
};

#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

/* The first byte of the frame. */
static inline uint8_t *unic_packet_data(struct unic_packet *packet)
{
	return (uint8_t *)packet + UNIC_PACKET_HEADER + UNIC_PACKET_HEADROOM + packet->offset;
}

/* Bytes that the packet can have from where its frame begins. */
static inline uint32_t unic_packet_room(const struct unic_packet *packet)
{
	return (uint32_t)(UNIC_PACKET_ROOM - packet->offset);
}

/* Bytes of the whole frame, in all packets of a chain. */
static inline uint32_t unic_packet_total(const struct unic_packet *packet)
{
	uint32_t total = packet->length;

	while (packet->flags & UNIC_PACKET_CHAINED) {
		packet = packet->next;
		total += packet->length;
	}
	return total;
}

/* Sets length and flags, and offset 0: one store, as drivers do it once a packet. */
static inline void unic_packet_set(struct unic_packet *packet, uint32_t length, uint64_t flags)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	uint64_t word = (uint64_t)length << 32 | flags;
#else
	uint64_t word = length | flags << 48;
#endif

	memcpy((uint8_t *)packet + offsetof(struct unic_packet, length), &word, sizeof(word));
}

/* Sets length, offset 0 and flags 0. */
static inline void unic_packet_reset(struct unic_packet *packet, uint32_t length)
{
	unic_packet_set(packet, length, 0);
}

/* A packet of length 0, or NULL when the pool is empty. */
static inline struct unic_packet *unic_pool_get(struct unic_pool *pool)
{
	struct unic_packet *packet;

	if (!pool->free_count)
		return (struct unic_packet *)0;
	packet = pool->free[--pool->free_count];
	unic_packet_reset(packet, 0);
	return packet;
}

static inline void unic_pool_put(struct unic_packet *packet)
{
	struct unic_pool *pool = packet->pool;

	pool->free[pool->free_count++] = packet;
}

/* Gives a packet back to its pool, and all that are chained behind it, each to its own. */
static inline void unic_packet_free(struct unic_packet *packet)
{
	for (; packet->flags & UNIC_PACKET_CHAINED; packet = packet->next)
		unic_pool_put(packet);
	unic_pool_put(packet);
}

/* Pushes @count packets of this pool, none of them for its chain. By eights: a call of memcpy()
 * costs more than the copy. */
static inline void unic_pool_put_burst(struct unic_pool *pool, struct unic_packet **packets,
				       unsigned int count)
{
	struct unic_packet **to = pool->free + pool->free_count;

	pool->free_count += count;
	for (; count >= 8; count -= 8, to += 8, packets += 8)
		memcpy(to, packets, 8 * sizeof(*to));
	while (count--)
		*to++ = *packets++;
}

/* Pops @count packets, which must be there, as they are: unic_packet_reset() sets the length. */
static inline void unic_pool_get_burst(struct unic_pool *pool, struct unic_packet **packets,
				       unsigned int count)
{
	struct unic_packet **from = pool->free + (pool->free_count -= count);

	for (; count >= 8; count -= 8, from += 8, packets += 8)
		memcpy(packets, from, 8 * sizeof(*packets));
	while (count--)
		*packets++ = *from++;
}

/* All of one pool, as a burst of unic_rx_burst() is; with what is chained behind them. */
static inline void unic_packet_free_burst(struct unic_packet **packets, unsigned int count)
{
	unsigned int i, flags = 0;

	if (!count)
		return;
	for (i = 0; i < count; i++)
		flags |= packets[i]->flags;
	if (!(flags & UNIC_PACKET_CHAINED)) {
		unic_pool_put_burst(packets[0]->pool, packets, count);
		return;
	}
	for (i = 0; i < count; i++)
		unic_packet_free(packets[i]);
}

#ifdef __cplusplus
}
#endif

#endif
