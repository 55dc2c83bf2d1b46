/* SPDX-License-Identifier: MIT */
/*
 * The NIC layer: finds the driver, holds its lifecycle in order, and hands the bursts through.
 *
 * What is wrong in the order of calls is found here, so that no driver has to look.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <unic/driver.h>

#include "cycles.h"
#include "depot.h"

#define DESCRIPTORS  256  /* of a ring, unless the application says another number */
#define IDLE_LOOK    1024 /* bursts in a row that moved nothing, until the device is looked at */
#define SPIN_MIN     4	  /* looks of unic_wait() before it sleeps */
#define SPIN_MAX     256
#define GONE	     0xffff /* what a device that is not there has for a vendor */
#define CONFIG_FLAGS (UNIC_CONFIG_PROMISCUOUS | UNIC_CONFIG_NO_IRQ | UNIC_CONFIG_CYCLES)

const struct unic_driver *const unic_drivers[] = {
	&unic_e1000, &unic_e1000e, &unic_igb, &unic_rtl8139, &unic_virtio_net, NULL,
};

static int stopped_burst(struct unic_queue *queue, struct unic_packet **packets, unsigned int count)
{
	(void)queue;
	(void)packets;
	(void)count;
	return -ENETDOWN;
}

static int gone_burst(struct unic_queue *queue, struct unic_packet **packets, unsigned int count)
{
	(void)queue;
	(void)packets;
	(void)count;
	return -ENODEV;
}

static void bursts_set(struct unic_port *port,
		       int (*rx)(struct unic_queue *, struct unic_packet **, unsigned int),
		       int (*tx)(struct unic_queue *, struct unic_packet **, unsigned int))
{
	uint32_t i;

	for (i = 0; i < port->queue_count; i++) {
		port->queues[i]->rx_burst = rx;
		port->queues[i]->tx_burst = tx;
	}
}

static const struct unic_driver *driver_find(uint16_t vendor, uint16_t device)
{
	const struct unic_driver *const *driver;
	const struct unic_id *id;

	for (driver = unic_drivers; *driver; driver++)
		for (id = (*driver)->ids; id->vendor; id++)
			if (id->vendor == vendor && id->device == device)
				return *driver;
	return NULL;
}

/* --- Opening --- */

static int ring_complete(const struct unic_port *port, uint32_t *descriptors)
{
	uint32_t count = *descriptors;

	if (!count)
		count = DESCRIPTORS < port->max_descriptors ? DESCRIPTORS : port->max_descriptors;
	if (count & (count - 1) || count % port->driver->descriptor_multiple ||
	    count > port->max_descriptors)
		return -EINVAL;
	*descriptors = count;
	return 0;
}

/* Packets that one frame of the MTU takes. */
static uint32_t packets_per_frame(const struct unic_config *config)
{
	return (config->mtu + UNIC_OVERHEAD + UNIC_PACKET_ROOM - 1) / UNIC_PACKET_ROOM;
}

static int packets_complete(struct unic_config *config)
{
	uint64_t rings = (uint64_t)config->queues * config->rx_descriptors;
	uint64_t both = rings + (uint64_t)config->queues * config->tx_descriptors;

	if (config->share)
		return config->packets ? -EINVAL : 0;
	if (!config->packets)
		config->packets = (uint32_t)(2 * both * packets_per_frame(config));
	return config->packets > rings && config->packets <= INT32_MAX ? 0 : -EINVAL;
}

/* Fills in what is 0, and says what was obtained. */
static int config_complete(struct unic_port *port)
{
	struct unic_config *config = &port->config;
	struct unic_port_info *info = &port->info;

	if (config->flags & ~CONFIG_FLAGS || config->offloads & ~UNIC_OFFLOAD_ALL)
		return -EINVAL;
	if (!info->max_queues)
		info->max_queues = 1;
	if (info->max_queues > UNIC_QUEUES_MAX)
		info->max_queues = UNIC_QUEUES_MAX;
	if (!info->max_mtu)
		info->max_mtu = UNIC_MTU;
	if (!config->queues)
		config->queues = 1;
	if (!config->mtu)
		config->mtu = info->max_mtu < UNIC_MTU ? info->max_mtu : UNIC_MTU;
	if (config->queues > info->max_queues || config->mtu > info->max_mtu ||
	    config->mtu < UNIC_MTU_MIN || config->first_pool >= UNIC_DEPOT_POOLS ||
	    config->first_pool + config->queues > UNIC_DEPOT_POOLS)
		return -EINVAL;
	if (ring_complete(port, &config->rx_descriptors) ||
	    ring_complete(port, &config->tx_descriptors))
		return -EINVAL;
	if (config->flags & UNIC_CONFIG_PROMISCUOUS)
		port->receive_mode = UNIC_RECEIVE_ALL;
	info->address = userpci_info(port->device)->address;
	info->driver = port->driver->name;
	info->rx_descriptors = config->rx_descriptors;
	info->tx_descriptors = config->tx_descriptors;
	info->max_descriptors = port->max_descriptors;
	info->queues = config->queues;
	info->mtu = config->mtu;
	info->offloads = config->offloads & info->can_offload;
	return packets_complete(config);
}

/* With a private part behind it, both at cache lines of their own. */
static void *alloc_with_private(size_t size, size_t private_size, void **priv)
{
	size_t total;
	char *memory;

	size = (size + 63) & ~(size_t)63;
	total = size + ((private_size + 63) & ~(size_t)63);
	memory = aligned_alloc(64, total);
	if (!memory)
		return NULL;
	memset(memory, 0, total);
	*priv = memory + size;
	return memory;
}

static void queues_free(struct unic_port *port)
{
	uint32_t i;

	for (i = 0; i < port->queue_count; i++)
		free(port->queues[i]);
}

static int queues_create(struct unic_port *port)
{
	struct unic_queue *queue;
	void *priv;
	uint32_t i;

	for (i = 0; i < port->config.queues; i++) {
		queue = alloc_with_private(sizeof(*queue), port->driver->queue_size, &priv);
		if (!queue)
			return -ENOMEM;
		port->queues[port->queue_count++] = queue;
		queue->priv = priv;
		queue->port = port;
		queue->index = i;
		queue->spin = SPIN_MIN;
		queue->tx_max = port->config.mtu + UNIC_OVERHEAD;
		queue->per_frame = packets_per_frame(&port->config);
		queue->rx_burst = stopped_burst;
		queue->tx_burst = stopped_burst;
	}
	return 0;
}

static int depot_get(struct unic_port *port)
{
	struct unic_queue *queue;
	uint32_t i;
	int err;

	if (port->config.share)
		err = unic_depot_join(port, port->config.share);
	else
		err = unic_depot_create(port, port->config.packets);
	if (err)
		return err;
	port->info.packets = unic_depot_count(port->depot);
	for (i = 0; i < port->queue_count; i++) {
		queue = port->queues[i];
		queue->space = port->space;
		queue->pool = unic_depot_pool(port->depot, port->config.first_pool + i);
		if (!queue->pool)
			return -ENOMEM;
	}
	return 0;
}

static int irq_get(struct unic_port *port)
{
	uint32_t kind = port->queue_count > 1 ? USERPCI_IRQ_MSIX : USERPCI_IRQ_BEST;
	int err;

	if (port->config.flags & UNIC_CONFIG_NO_IRQ)
		return 0;
	err = userpci_irq_enable(port->device, kind, port->queue_count);
	if (!err)
		port->vectors = port->queue_count;
	return err;
}

/* Gives back all that a port has, in whatever state of opening; its device as well. */
static void port_destroy(struct unic_port *port, bool probed)
{
	if (port->vectors)
		userpci_irq_disable(port->device);
	if (probed)
		port->driver->remove(port);
	if (port->depot)
		unic_depot_leave(port);
	else
		userpci_close(port->device);
	unic_cycles_close(port);
	queues_free(port);
	free(port);
}

/* The configuration space of a device that has vanished answers all ones, or nothing. */
static bool is_gone(struct userpci_device *device)
{
	uint32_t vendor = 0;
	int err = userpci_config_read(device, 0, 2, &vendor);

	return err == -ENODEV || (!err && vendor == GONE);
}

static int port_setup(struct unic_port *port, const char *address)
{
	bool probed = false;
	int err;

	err = userpci_dma_set_mask(port->device, port->driver->dma_bits);
	if (!err)
		err = port->driver->probe(port);
	/* What makes no sense may be the answers of nobody. */
	if (err == -EIO && is_gone(port->device))
		err = -ENODEV;
	probed = !err;
	if (!err)
		err = config_complete(port);
	if (!err)
		err = queues_create(port);
	if (!err)
		err = depot_get(port);
	if (!err)
		err = irq_get(port);
	if (!err)
		err = unic_cycles_open(port, address);
	if (err)
		port_destroy(port, probed);
	return err;
}

int unic_open(const char *address, const struct unic_config *config, struct unic_port **port)
{
	const struct unic_driver *driver;
	const struct userpci_info *info;
	struct userpci_device *device;
	struct unic_port *p;
	void *priv;
	int err;

	if (!port)
		return -EINVAL;
	err = userpci_open(address, 0, &device);
	if (err)
		return err;
	info = userpci_info(device);
	driver = driver_find(info->vendor_id, info->device_id);
	p = driver ? alloc_with_private(sizeof(*p), driver->priv_size, &priv) : NULL;
	if (!p) {
		userpci_close(device);
		return driver ? -ENOMEM : -ENOTSUP;
	}
	p->driver = driver;
	p->priv = priv;
	p->device = device;
	p->max_descriptors = driver->max_descriptors;
	if (config)
		p->config = *config;
	err = port_setup(p, address);
	if (!err)
		*port = p;
	return err;
}

void unic_close(struct unic_port *port)
{
	if (!port)
		return;
	if (port->started)
		unic_stop(port);
	port_destroy(port, true);
}

/* --- Starting and stopping --- */

int unic_start(struct unic_port *port)
{
	uint32_t i;
	int err;

	if (port->started)
		return -EBUSY;
	for (i = 0; i < port->queue_count; i++) {
		unic_pool_fill(port->queues[i]->pool, port->config.rx_descriptors);
		if (port->queues[i]->pool->free_count < port->config.rx_descriptors)
			return -ENOMEM;
		memset(port->queues[i]->priv, 0, port->driver->queue_size);
	}
	err = port->driver->start(port);
	if (err)
		return err == -EIO && is_gone(port->device) ? -ENODEV : err;
	port->started = true;
	if (port->cycles)
		bursts_set(port, unic_cycles_rx_burst, unic_cycles_tx_burst);
	else
		bursts_set(port, port->driver->rx_burst, port->driver->tx_burst);
	return 0;
}

int unic_stop(struct unic_port *port)
{
	if (!port->started)
		return -ENETDOWN;
	port->started = false;
	port->driver->stop(port);
	bursts_set(port, stopped_burst, stopped_burst); /* a driver may have set others */
	return 0;
}

/* --- Bursts --- */

/* A device that has vanished leaves its rings as they are: after many bursts without a packet it is
 * looked for. */
__attribute__((noinline, cold)) static int look_for_device(struct unic_queue *queue)
{
	struct unic_port *port = queue->port;

	queue->idle = 0;
	if (!is_gone(port->device))
		return 0;
	port->gone = true;
	bursts_set(port, gone_burst, gone_burst);
	return -ENODEV;
}

static inline int burst_end(struct unic_queue *queue, int n)
{
	if (n) {
		queue->idle = 0;
		return n;
	}
	return ++queue->idle < IDLE_LOOK ? 0 : look_for_device(queue);
}

int unic_rx_burst(struct unic_port *port, unsigned int queue, struct unic_packet **packets,
		  unsigned int count)
{
	struct unic_queue *q;

	if (queue >= port->queue_count)
		return -EINVAL;
	q = port->queues[queue];
	if (q->pool->free_count < count * q->per_frame)
		unic_pool_fill(q->pool, count * q->per_frame);
	return burst_end(q, q->rx_burst(q, packets, count));
}

int unic_tx_burst(struct unic_port *port, unsigned int queue, struct unic_packet **packets,
		  unsigned int count)
{
	struct unic_queue *q;
	int n;

	if (queue >= port->queue_count)
		return -EINVAL;
	q = port->queues[queue];
	n = q->tx_burst(q, packets, count);
	if (q->pool->free_count > q->pool->high)
		unic_pool_spill(q->pool);
	return count ? burst_end(q, n) : n;
}

/* --- Waiting --- */

static int wait_check(const struct unic_port *port, unsigned int queue)
{
	if (queue >= port->queue_count)
		return -EINVAL;
	if (!port->started)
		return -ENETDOWN;
	if (!port->vectors)
		return -EINVAL;
	return port->gone ? -ENODEV : 0;
}

/* INTx was masked when it came, and is let in again once the device's cause is gone. */
static int wait_end(struct unic_queue *queue)
{
	bool link = queue->port->driver->irq_ack(queue);
	int err = userpci_irq_unmask(queue->port->device, queue->index);

	return err ? err : link ? UNIC_WAIT_LINK : 0;
}

/* Arm, look, sleep. What comes before the look is seen by it, what comes after raises the
 * interrupt, as irq_arm() promises. */
static int wait_asleep(struct unic_queue *queue, int64_t timeout_us)
{
	const struct unic_driver *driver = queue->port->driver;
	int err = 0, end;

	driver->irq_arm(queue);
	if (!driver->rx_pending(queue))
		err = userpci_irq_wait(queue->port->device, queue->index, timeout_us, NULL);
	end = wait_end(queue);
	if (err && err != -ETIMEDOUT)
		return err;
	return end ? end : err;
}

int unic_wait_begin(struct unic_port *port, unsigned int queue)
{
	int err = wait_check(port, queue);

	if (err)
		return err;
	port->driver->irq_arm(port->queues[queue]);
	return userpci_irq_fd(port->device, queue);
}

int unic_wait_pending(struct unic_port *port, unsigned int queue)
{
	return queue < port->queue_count && port->started &&
	       port->driver->rx_pending(port->queues[queue]);
}

int unic_wait_end(struct unic_port *port, unsigned int queue)
{
	int err = wait_check(port, queue);

	if (err)
		return err;
	err = userpci_irq_wait(port->device, queue, 0, NULL);
	if (err && err != -ETIMEDOUT && err != -EINTR)
		return err;
	return wait_end(port->queues[queue]);
}

/* Looks pay as long as they find something: then there are more the next time, else fewer. */
static bool wait_awake(struct unic_queue *queue)
{
	const struct unic_driver *driver = queue->port->driver;
	uint32_t look;

	for (look = 0; look < queue->spin; look++) {
		if (driver->rx_pending(queue)) {
			if (look && queue->spin < SPIN_MAX)
				queue->spin *= 2;
			return true;
		}
		userpci_rmb();
	}
	if (queue->spin > SPIN_MIN)
		queue->spin /= 2;
	return false;
}

int unic_wait(struct unic_port *port, unsigned int queue, int64_t timeout_us)
{
	int err = wait_check(port, queue);

	if (err)
		return err;
	if (wait_awake(port->queues[queue]))
		return 0;
	return wait_asleep(port->queues[queue], timeout_us);
}

/* --- Packets --- */

/* Those that were sent may wait in the ring for the next burst. */
static void pool_reclaim(struct unic_queue *queue, unsigned int count)
{
	(void)queue->tx_burst(queue, NULL, 0);
	if (queue->pool->free_count < count)
		unic_pool_fill(queue->pool, count);
}

struct unic_packet *unic_packet_alloc(struct unic_port *port, unsigned int queue)
{
	if (queue >= port->queue_count)
		return NULL;
	if (!port->queues[queue]->pool->free_count)
		pool_reclaim(port->queues[queue], 1);
	return unic_pool_get(port->queues[queue]->pool);
}

unsigned int unic_packet_alloc_burst(struct unic_port *port, unsigned int queue,
				     struct unic_packet **packets, unsigned int count)
{
	struct unic_pool *pool;

	if (queue >= port->queue_count)
		return 0;
	pool = port->queues[queue]->pool;
	if (pool->free_count < count)
		pool_reclaim(port->queues[queue], count);
	if (count > pool->free_count)
		count = pool->free_count;
	unic_pool_get_burst(pool, packets, count);
	return count;
}

uint32_t unic_packets_free(const struct unic_port *port)
{
	return unic_depot_free(port->depot);
}

int unic_shares(const struct unic_port *port, const struct unic_port *other)
{
	return port->depot == other->depot;
}

/* --- Control --- */

int unic_link(struct unic_port *port, struct unic_link *link)
{
	struct unic_link now = { 0 };
	int err = port->gone ? -ENODEV : port->driver->link(port, &now);

	if (!err)
		*link = now;
	return err;
}

static int filter_apply(struct unic_port *port)
{
	return port->started && port->driver->filter ? port->driver->filter(port) : 0;
}

int unic_receive_mode(struct unic_port *port, unsigned int mode)
{
	if (mode & ~(UNIC_RECEIVE_ALL | UNIC_RECEIVE_ALL_MULTICAST))
		return -EINVAL;
	port->receive_mode = mode;
	return filter_apply(port);
}

int unic_mac_set(struct unic_port *port, const uint8_t mac[UNIC_MAC_SIZE])
{
	static const uint8_t zero[UNIC_MAC_SIZE];
	uint8_t before[UNIC_MAC_SIZE];
	int err;

	if (mac[0] & 1 || !memcmp(mac, zero, sizeof(zero)))
		return -EINVAL;
	if (!port->driver->filter)
		return -EOPNOTSUPP;
	memcpy(before, port->info.mac, UNIC_MAC_SIZE);
	memcpy(port->info.mac, mac, UNIC_MAC_SIZE);
	err = filter_apply(port);
	if (err)
		memcpy(port->info.mac, before, UNIC_MAC_SIZE);
	return err;
}

int unic_multicast_set(struct unic_port *port, const uint8_t *macs, unsigned int count)
{
	unsigned int i;

	if (count > UNIC_MULTICAST_MAX)
		return -ENOSPC;
	for (i = 0; i < count; i++)
		if (!(macs[i * UNIC_MAC_SIZE] & 1))
			return -EINVAL;
	if (count)
		memcpy(port->multicast, macs, (size_t)count * UNIC_MAC_SIZE);
	port->multicast_count = count;
	return filter_apply(port);
}

/* --- What is known --- */

static void stats_add(struct unic_stats *sum, const struct unic_stats *stats)
{
	const uint64_t *from = (const uint64_t *)stats;
	uint64_t *to = (uint64_t *)sum;
	size_t i;

	for (i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

int unic_stats(struct unic_port *port, struct unic_stats *stats)
{
	struct unic_stats sum = { 0 };
	uint32_t i;

	if (!port->gone)
		port->driver->update_stats(port);
	stats_add(&sum, &port->device_stats);
	for (i = 0; i < port->queue_count; i++)
		stats_add(&sum, &port->queues[i]->stats);
	*stats = sum;
	return 0;
}

const struct unic_port_info *unic_info(const struct unic_port *port)
{
	return &port->info;
}

void unic_sleep_us(unsigned int time_us)
{
	struct timespec time = { (time_t)(time_us / 1000000), (long)(time_us % 1000000) * 1000 };

	while (nanosleep(&time, &time) && errno == EINTR)
		;
}
