/* SPDX-License-Identifier: MIT */
/*
 * Packet buffers: a header of one cache line, then the frame, in memory that the NIC reaches.
 *
 * A buffer belongs to a pool, a pool to a port. Who holds a packet owns it: unic_rx_burst() hands
 * packets to the caller, unic_tx_burst() takes those that it accepts, unic_packet_alloc() and
 * unic_packet_free() deal with the pool. One thread at a time uses a port and its pool.
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

struct unic_packet {
	uint64_t iova; /* the NIC's address of the default start of the frame; never changes */
	union {
		struct unic_pool *pool;
		uint64_t pool_room; /* 8 bytes on 32-bit machines too */
	};
	/* The next three are one word: a driver stores them at once. */
	uint32_t length; /* bytes of the frame, without the FCS */
	int16_t offset;	 /* where the frame begins, from the default start; not below -HEADROOM */
	uint16_t flags;	 /* 0 */
	uint64_t user;	 /* the application's own */
	uint8_t reserved[UNIC_PACKET_HEADER - 32];
};

/* A stack of free packets: the one that was freed last is the warmest in the cache. */
struct unic_pool {
	uint32_t free_count;
	uint32_t count; /* packets in all */
	struct unic_packet *free[];
};

/* The first byte of the frame. */
static inline uint8_t *unic_packet_data(struct unic_packet *packet)
{
	return (uint8_t *)packet + UNIC_PACKET_HEADER + UNIC_PACKET_HEADROOM + packet->offset;
}

/* The NIC's address of the first byte of the frame. */
static inline uint64_t unic_packet_iova(const struct unic_packet *packet)
{
	return packet->iova + (uint64_t)(int64_t)packet->offset;
}

/* Bytes that the frame can have from where it begins. */
static inline uint32_t unic_packet_room(const struct unic_packet *packet)
{
	return (uint32_t)(UNIC_PACKET_ROOM - packet->offset);
}

/* Sets length, offset 0 and flags 0: one store, as drivers do it once a packet. */
static inline void unic_packet_reset(struct unic_packet *packet, uint32_t length)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	uint64_t word = (uint64_t)length << 32;
#else
	uint64_t word = length;
#endif

	memcpy((uint8_t *)packet + offsetof(struct unic_packet, length), &word, sizeof(word));
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

static inline void unic_packet_free(struct unic_packet *packet)
{
	struct unic_pool *pool = packet->pool;

	pool->free[pool->free_count++] = packet;
}

/* Pushes @count packets of this pool. By eights: a call of memcpy() costs more than the copy. */
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

/* All of one pool, as a burst of unic_rx_burst() is. */
static inline void unic_packet_free_burst(struct unic_packet **packets, unsigned int count)
{
	if (count)
		unic_pool_put_burst(packets[0]->pool, packets, count);
}

#ifdef __cplusplus
}
#endif

#endif
