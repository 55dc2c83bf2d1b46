/* SPDX-License-Identifier: MIT */
/*
 * Packet buffers in DMA memory.
 *
 * Each pool is one thread's and needs no lock. What pools exchange goes through the depot, under a
 * lock, by dozens. A depot with one pool has all its packets there.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "depot.h"

/* Contiguous memory gets rare: chunks begin large, and halve when there is none of their size. */
#define CHUNK_MAX (2u << 20) /* bytes */
#define CHUNK_MIN (16u << 10)

#define BATCH	  64 /* packets that go to a pool at once, at least */
#define HIGH_MIN  256

_Static_assert(sizeof(struct unic_packet) == UNIC_PACKET_HEADER, "packet header");
_Static_assert(offsetof(struct unic_packet, length) % 8 == 0, "length, offset, flags: one word");
_Static_assert(offsetof(struct unic_packet, vlan) - offsetof(struct unic_packet, length) == 8,
	       "length, offset, flags: one word");
_Static_assert(UNIC_PACKET_SIZE % 64 == 0, "packets begin at a cache line");

struct chunk {
	struct userpci_dma dma;
	struct chunk *next;
};

/* What a port that joined has mapped: a chunk each. */
struct pins {
	const struct unic_port *port;
	struct pins *next;
	unsigned int count;
	struct userpci_dma dma[];
};

struct unic_depot {
	pthread_mutex_t lock; /* over free_count and free */
	uint32_t free_count;
	uint32_t count;
	struct unic_packet **free;
	struct unic_packet **all;

	struct userpci_device *device; /* whose memory the chunks are */
	struct chunk *chunks;
	unsigned int chunk_count;
	struct pins *pins;
	unsigned int ports;
	unsigned int spaces[UNIC_PACKET_SPACES]; /* ports in each */

	struct unic_pool *pools[UNIC_DEPOT_POOLS];
	unsigned int users[UNIC_DEPOT_POOLS]; /* queues that draw from each */
	unsigned int pool_count;	      /* those with users */
};

/* Cuts a chunk into packets, of which none crosses its end. */
static void chunk_cut(struct unic_depot *depot, const struct userpci_dma *dma)
{
	uint64_t at;

	for (at = 0; at + UNIC_PACKET_SIZE <= dma->size && depot->free_count < depot->count;
	     at += UNIC_PACKET_SIZE) {
		struct unic_packet *packet = (void *)((char *)dma->va + at);

		packet->iova[0] = dma->iova + at + UNIC_PACKET_HEADER + UNIC_PACKET_HEADROOM;
		depot->all[depot->free_count] = packet;
		depot->free[depot->free_count++] = packet;
	}
}

static int chunk_add(struct unic_depot *depot, uint64_t size)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk));
	int err;

	if (!chunk)
		return -ENOMEM;
	err = userpci_dma_alloc(depot->device, size, &chunk->dma);
	if (err) {
		free(chunk);
		return err;
	}
	chunk->next = depot->chunks;
	depot->chunks = chunk;
	depot->chunk_count++;
	chunk_cut(depot, &chunk->dma);
	return 0;
}

static int depot_fill(struct unic_depot *depot)
{
	uint64_t size, limit = CHUNK_MAX;
	int err;

	while (depot->free_count < depot->count) {
		size = (uint64_t)(depot->count - depot->free_count) * UNIC_PACKET_SIZE;
		err = chunk_add(depot, size < limit ? size : limit);
		if (err == -ENOMEM && limit > CHUNK_MIN)
			limit /= 2;
		else if (err)
			return err;
	}
	return 0;
}

static void depot_destroy(struct unic_depot *depot)
{
	struct chunk *chunk;
	unsigned int i;

	for (i = 0; i < UNIC_DEPOT_POOLS; i++)
		free(depot->pools[i]);
	while ((chunk = depot->chunks)) {
		depot->chunks = chunk->next;
		userpci_dma_free(&chunk->dma);
		free(chunk);
	}
	pthread_mutex_destroy(&depot->lock);
	free(depot->all);
	free(depot);
}

int unic_depot_create(struct unic_port *port, uint32_t count)
{
	struct unic_depot *depot = calloc(1, sizeof(*depot));
	int err;

	if (!depot)
		return -ENOMEM;
	pthread_mutex_init(&depot->lock, NULL);
	depot->all = calloc(2 * (size_t)count, sizeof(struct unic_packet *));
	depot->count = count;
	depot->device = port->device;
	depot->ports = 1;
	depot->spaces[0] = 1;
	err = -ENOMEM;
	if (depot->all) {
		depot->free = depot->all + count;
		err = depot_fill(depot);
	}
	if (err) {
		depot_destroy(depot);
		return err;
	}
	port->depot = depot;
	port->space = 0;
	return 0;
}

/* --- Sharing --- */

static void pins_free(struct pins *pins)
{
	unsigned int i;

	for (i = 0; i < pins->count; i++)
		userpci_dma_free(&pins->dma[i]);
	free(pins);
}

/* Every chunk in the address space of the port's device. */
static int pin_all(const struct unic_port *port, const struct unic_depot *depot, struct pins **out)
{
	struct pins *pins = calloc(1, sizeof(*pins) + depot->chunk_count * sizeof(pins->dma[0]));
	const struct chunk *chunk;
	int err;

	if (!pins)
		return -ENOMEM;
	pins->port = port;
	for (chunk = depot->chunks; chunk; chunk = chunk->next) {
		const struct userpci_dma_options options = {
			.kind = USERPCI_DMA_PINNED,
			.size = chunk->dma.size,
			.address = chunk->dma.va,
		};
		struct userpci_dma *dma = &pins->dma[pins->count];

		err = userpci_dma_create(port->device, &options, dma);
		if (!err && dma->chunks > 1) {
			userpci_dma_free(dma);
			err = -EXDEV;
		}
		if (err) {
			pins_free(pins);
			return err == -EFAULT || err == -EINVAL || err == -EOPNOTSUPP ? -EXDEV
										      : err;
		}
		pins->count++;
	}
	*out = pins;
	return 0;
}

static void *frame_start(struct unic_packet *packet)
{
	return (char *)packet + UNIC_PACKET_HEADER + UNIC_PACKET_HEADROOM;
}

/* Where the device of the pins sees the packet. */
static uint64_t pinned_iova(const struct unic_depot *depot, const struct pins *pins,
			    struct unic_packet *packet)
{
	const char *va = frame_start(packet);
	const struct chunk *chunk = depot->chunks;
	unsigned int i;

	for (i = 0; i + 1 < pins->count; i++, chunk = chunk->next)
		if (va >= (char *)chunk->dma.va && va < (char *)chunk->dma.va + chunk->dma.size)
			break;
	return pins->dma[i].iova + (uint64_t)(va - (char *)chunk->dma.va);
}

static bool space_fits(const struct unic_depot *depot, const struct pins *pins, unsigned int space)
{
	uint32_t i;

	for (i = 0; i < depot->count; i++)
		if (depot->all[i]->iova[space] != pinned_iova(depot, pins, depot->all[i]))
			return false;
	return true;
}

/* The space that has the same addresses, or a free one, which gets them. */
static int space_find(struct unic_depot *depot, const struct pins *pins, uint32_t *space)
{
	unsigned int s;
	uint32_t i;

	for (s = 0; s < UNIC_PACKET_SPACES; s++)
		if (depot->spaces[s] && space_fits(depot, pins, s))
			break;
	if (s == UNIC_PACKET_SPACES) {
		/* The first is of the chunks' own device, whether its port is open or not. */
		for (s = 1; s < UNIC_PACKET_SPACES && depot->spaces[s]; s++)
			;
		if (s == UNIC_PACKET_SPACES)
			return -ENOSPC;
		for (i = 0; i < depot->count; i++)
			depot->all[i]->iova[s] = pinned_iova(depot, pins, depot->all[i]);
	}
	*space = s;
	return 0;
}

/* --- Pools --- */

static void spill(struct unic_pool *pool, uint32_t keep)
{
	struct unic_depot *depot = pool->depot;

	pthread_mutex_lock(&depot->lock);
	while (pool->free_count > keep)
		depot->free[depot->free_count++] = pool->free[--pool->free_count];
	pthread_mutex_unlock(&depot->lock);
}

/* What a pool may keep: half of the packets, if all keep as much. One that is alone keeps all. */
static void shares_set(struct unic_depot *depot)
{
	uint32_t high = UINT32_MAX;
	unsigned int i;

	if (depot->pool_count > 1) {
		high = depot->count / (2 * depot->pool_count);
		if (high < HIGH_MIN)
			high = HIGH_MIN;
	}
	for (i = 0; i < UNIC_DEPOT_POOLS; i++)
		if (depot->pools[i]) {
			__atomic_store_n(&depot->pools[i]->high, high, __ATOMIC_RELAXED);
			if (depot->pools[i]->free_count > high)
				spill(depot->pools[i], high / 2);
		}
}

struct unic_pool *unic_depot_pool(struct unic_depot *depot, unsigned int number)
{
	struct unic_pool *pool = depot->pools[number];
	size_t size;

	if (!pool) {
		size = sizeof(*pool) + (size_t)depot->count * sizeof(pool->free[0]);
		pool = aligned_alloc(64, (size + 63) & ~(size_t)63);
		if (!pool)
			return NULL;
		pool->free_count = 0;
		pool->depot = depot;
		depot->pools[number] = pool;
	}
	if (!depot->users[number]++) {
		depot->pool_count++;
		shares_set(depot);
	}
	return pool;
}

uint32_t unic_depot_count(const struct unic_depot *depot)
{
	return depot->count;
}

uint32_t unic_depot_free(struct unic_depot *depot)
{
	uint32_t count;
	unsigned int i;

	pthread_mutex_lock(&depot->lock);
	count = depot->free_count;
	pthread_mutex_unlock(&depot->lock);
	for (i = 0; i < UNIC_DEPOT_POOLS; i++)
		if (depot->pools[i])
			count += __atomic_load_n(&depot->pools[i]->free_count, __ATOMIC_RELAXED);
	return count;
}

void unic_pool_fill(struct unic_pool *pool, uint32_t count)
{
	struct unic_depot *depot = pool->depot;
	struct unic_packet *packet;

	if (pool->free_count >= count)
		return;
	count -= pool->free_count;
	if (count < BATCH)
		count = BATCH;
	pthread_mutex_lock(&depot->lock);
	if (count > depot->free_count || depot->pool_count == 1)
		count = depot->free_count;
	for (; count; count--) {
		packet = depot->free[--depot->free_count];
		packet->pool = pool;
		pool->free[pool->free_count++] = packet;
	}
	pthread_mutex_unlock(&depot->lock);
}

void unic_pool_spill(struct unic_pool *pool)
{
	spill(pool, __atomic_load_n(&pool->high, __ATOMIC_RELAXED) / 2);
}

/* --- Ports --- */

int unic_depot_join(struct unic_port *port, struct unic_port *other)
{
	struct unic_depot *depot = other->depot;
	struct pins *pins = NULL;
	int err;

	err = pin_all(port, depot, &pins);
	if (err)
		return err;
	err = space_find(depot, pins, &port->space);
	if (err) {
		pins_free(pins);
		return err;
	}
	pins->next = depot->pins;
	depot->pins = pins;
	depot->spaces[port->space]++;
	depot->ports++;
	port->depot = depot;
	return 0;
}

/* Pools that nobody draws from any more are emptied. They stay, for packets that the application
 * still holds point to them. */
static void pools_leave(struct unic_port *port)
{
	struct unic_depot *depot = port->depot;
	unsigned int i, number;

	for (i = 0; i < port->queue_count; i++) {
		number = port->config.first_pool + i;
		if (!port->queues[i] || !port->queues[i]->pool || --depot->users[number])
			continue;
		depot->pool_count--;
		spill(depot->pools[number], 0);
	}
	shares_set(depot);
}

void unic_depot_leave(struct unic_port *port)
{
	struct unic_depot *depot = port->depot;
	struct userpci_device *device = depot->device;
	struct pins **at, *pins;

	for (at = &depot->pins; (pins = *at); at = &pins->next)
		if (pins->port == port) {
			*at = pins->next;
			pins_free(pins);
			break;
		}
	depot->spaces[port->space]--;
	pools_leave(port);
	port->depot = NULL;
	if (port->device != device)
		userpci_close(port->device);
	if (--depot->ports)
		return;
	depot_destroy(depot);
	userpci_close(device);
}
