/* SPDX-License-Identifier: MIT */
/*
 * What bursts cost, counted in a page that other processes read.
 *
 * A port that counts has these bursts in place of its driver's, so that one that does not pays
 * nothing for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fcntl.h>

#include <unic/cycles.h>

#include "cycles.h"

#define EMPTY_WINDOWS 100

_Static_assert(sizeof(struct unic_cycles) <= UNIC_CYCLES_SIZE, "one page");
_Static_assert(sizeof(struct unic_cycles_queue) == 64, "a cache line a queue");
_Static_assert(UNIC_CYCLES_QUEUES >= UNIC_QUEUES_MAX, "a line each");

/* --- Counting --- */

static void add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void count_burst(const struct unic_queue *queue, struct unic_cycles_way *way, uint64_t begun,
			int packets)
{
	uint64_t took = unic_cycles_now() - begun, own = queue->port->cycles_own;

	if (packets <= 0)
		return;
	add(&way->cycles, took > own ? took - own : 0);
	add(&way->packets, (uint64_t)packets);
	add(&way->bursts, 1);
}

int unic_cycles_rx_burst(struct unic_queue *queue, struct unic_packet **packets, unsigned int count)
{
	const struct unic_port *port = queue->port;
	uint64_t begun = unic_cycles_now();
	int n = port->driver->rx_burst(queue, packets, count);

	count_burst(queue, &port->cycles->queue[queue->index].rx, begun, n);
	return n;
}

int unic_cycles_tx_burst(struct unic_queue *queue, struct unic_packet **packets, unsigned int count)
{
	const struct unic_port *port = queue->port;
	uint64_t begun = unic_cycles_now();
	int n = port->driver->tx_burst(queue, packets, count);

	count_burst(queue, &port->cycles->queue[queue->index].tx, begun, n);
	return n;
}

/* What a window costs in which nothing is done. */
static uint64_t own_cycles(void)
{
	uint64_t least = UINT64_MAX, begun, took;
	unsigned int i;

	for (i = 0; i < EMPTY_WINDOWS; i++) {
		begun = unic_cycles_now();
		took = unic_cycles_now() - begun;
		least = took < least ? took : least;
	}
	return least;
}

/* --- The page --- */

static bool is_wanted(const struct unic_port *port)
{
	const char *value = secure_getenv("UNIC_CYCLES");

	return port->config.flags & UNIC_CONFIG_CYCLES || (value && !strcmp(value, "1"));
}

/* Of its final size: a reader who cuts it off would end this process. */
static int page_create(void)
{
	int fd = memfd_create(UNIC_CYCLES_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (fd >= 0 && !ftruncate(fd, UNIC_CYCLES_SIZE) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fd;
	err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

int unic_cycles_open(struct unic_port *port, const char *given)
{
	struct unic_cycles *page;
	int fd, err;

	if (!is_wanted(port))
		return 0;
	fd = page_create();
	if (fd < 0)
		return fd;
	page = mmap(NULL, UNIC_CYCLES_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		err = -errno;
		close(fd);
		return err;
	}
	snprintf(page->given, sizeof(page->given), "%s", given);
	snprintf(page->address, sizeof(page->address), "%s", port->info.address);
	snprintf(page->driver, sizeof(page->driver), "%s", port->info.driver);
	page->queues = port->queue_count;
	/* Last: before it, the page says nothing. */
	__atomic_store_n(&page->magic, UNIC_CYCLES_MAGIC, __ATOMIC_RELEASE);
	port->cycles = page;
	port->cycles_fd = fd;
	port->cycles_own = own_cycles();
	return 0;
}

void unic_cycles_close(struct unic_port *port)
{
	if (!port->cycles)
		return;
	munmap(port->cycles, UNIC_CYCLES_SIZE);
	close(port->cycles_fd);
	port->cycles = NULL;
}
