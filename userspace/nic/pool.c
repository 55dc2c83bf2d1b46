/* SPDX-License-Identifier: MIT */
/* Packet buffers in DMA memory. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "pool.h"

/* Contiguous memory gets rare: chunks begin large, and halve when there is none of their size. */
#define CHUNK_MAX (2u << 20) /* bytes */
#define CHUNK_MIN (16u << 10)

_Static_assert(sizeof(struct unic_packet) == UNIC_PACKET_HEADER, "packet header");
_Static_assert(offsetof(struct unic_packet, length) % 8 == 0, "length, offset, flags: one word");
_Static_assert(offsetof(struct unic_packet, user) - offsetof(struct unic_packet, length) == 8,
	       "length, offset, flags: one word");
_Static_assert(UNIC_PACKET_SIZE % 64 == 0, "packets begin at a cache line");

struct chunk {
	struct userpci_dma dma;
	struct chunk *next;
};

/* A pool, with what the application need not see in front. */
struct pool_memory {
	struct chunk *chunks;
	struct unic_pool pool;
};

static struct pool_memory *memory_of(struct unic_pool *pool)
{
	return (struct pool_memory *)((char *)pool - offsetof(struct pool_memory, pool));
}

/* Cuts a chunk into packets, of which none crosses its end. */
static void chunk_cut(struct unic_pool *pool, const struct userpci_dma *dma)
{
	uint64_t at;

	for (at = 0; at + UNIC_PACKET_SIZE <= dma->size && pool->free_count < pool->count;
	     at += UNIC_PACKET_SIZE) {
		struct unic_packet *packet = (void *)((char *)dma->va + at);

		packet->iova = dma->iova + at + UNIC_PACKET_HEADER + UNIC_PACKET_HEADROOM;
		packet->pool = pool;
		pool->free[pool->free_count++] = packet;
	}
}

static int chunk_add(struct pool_memory *memory, struct userpci_device *device, uint64_t size)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk));
	int err;

	if (!chunk)
		return -ENOMEM;
	err = userpci_dma_alloc(device, size, &chunk->dma);
	if (err) {
		free(chunk);
		return err;
	}
	chunk->next = memory->chunks;
	memory->chunks = chunk;
	chunk_cut(&memory->pool, &chunk->dma);
	return 0;
}

int unic_pool_create(struct userpci_device *device, uint32_t count, struct unic_pool **pool)
{
	uint64_t size, limit = CHUNK_MAX;
	struct pool_memory *memory;
	int err;

	memory = calloc(1, sizeof(*memory) + (uint64_t)count * sizeof(memory->pool.free[0]));
	if (!memory)
		return -ENOMEM;
	memory->pool.count = count;
	while (memory->pool.free_count < count) {
		size = (uint64_t)(count - memory->pool.free_count) * UNIC_PACKET_SIZE;
		err = chunk_add(memory, device, size < limit ? size : limit);
		if (err == -ENOMEM && limit > CHUNK_MIN) {
			limit /= 2;
		} else if (err) {
			unic_pool_destroy(&memory->pool);
			return err;
		}
	}
	*pool = &memory->pool;
	return 0;
}

void unic_pool_destroy(struct unic_pool *pool)
{
	struct pool_memory *memory;
	struct chunk *chunk;

	if (!pool)
		return;
	memory = memory_of(pool);
	while ((chunk = memory->chunks)) {
		memory->chunks = chunk->next;
		userpci_dma_free(&chunk->dma);
		free(chunk);
	}
	free(memory);
}
