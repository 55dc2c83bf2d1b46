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

#include "pool.h"

#define DESCRIPTORS 256 /* of a ring, unless the application says another number */

const struct unic_driver *const unic_drivers[] = {
	&unic_e1000,
	NULL,
};

static int stopped_burst(struct unic_port *port, struct unic_packet **packets, unsigned int count)
{
	(void)port;
	(void)packets;
	(void)count;
	return -ENETDOWN;
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

static int ring_complete(const struct unic_driver *driver, uint32_t *descriptors)
{
	uint32_t count = *descriptors;

	if (!count)
		count = DESCRIPTORS < driver->max_descriptors ? DESCRIPTORS
							      : driver->max_descriptors;
	if (count & (count - 1) || count % driver->descriptor_multiple ||
	    count > driver->max_descriptors)
		return -EINVAL;
	*descriptors = count;
	return 0;
}

static int config_complete(const struct unic_driver *driver, struct unic_config *config)
{
	if (config->flags & ~(UNIC_CONFIG_PROMISCUOUS | UNIC_CONFIG_NO_IRQ))
		return -EINVAL;
	if (ring_complete(driver, &config->rx_descriptors) ||
	    ring_complete(driver, &config->tx_descriptors))
		return -EINVAL;
	if (!config->packets)
		config->packets = 2 * (config->rx_descriptors + config->tx_descriptors);
	return config->packets > config->rx_descriptors ? 0 : -EINVAL;
}

static void info_complete(struct unic_port *port)
{
	port->info.address = userpci_info(port->device)->address;
	port->info.driver = port->driver->name;
	port->info.rx_descriptors = port->config.rx_descriptors;
	port->info.tx_descriptors = port->config.tx_descriptors;
}

static int port_setup(struct unic_port *port)
{
	int err;

	err = userpci_dma_set_mask(port->device, port->driver->dma_bits);
	if (err)
		return err;
	err = port->driver->probe(port);
	if (err)
		return err;
	err = unic_pool_create(port->device, port->config.packets, &port->pool);
	if (err)
		goto remove;
	if (port->config.flags & UNIC_CONFIG_NO_IRQ)
		return 0;
	err = userpci_irq_enable(port->device, USERPCI_IRQ_BEST, 1);
	if (err)
		goto destroy_pool;
	port->irq = true;
	return 0;

destroy_pool:
	unic_pool_destroy(port->pool);
remove:
	port->driver->remove(port);
	return err;
}

/* With the driver's private part behind it, both at cache lines of their own. */
static struct unic_port *port_alloc(const struct unic_driver *driver)
{
	size_t size = (sizeof(struct unic_port) + 63) & ~(size_t)63;
	size_t total = size + ((driver->priv_size + 63) & ~(size_t)63);
	struct unic_port *port = aligned_alloc(64, total);

	if (!port)
		return NULL;
	memset(port, 0, total);
	port->priv = (char *)port + size;
	port->driver = driver;
	port->rx_burst = stopped_burst;
	port->tx_burst = stopped_burst;
	return port;
}

static int port_open(struct userpci_device *device, const struct unic_config *config,
		     struct unic_port **port)
{
	const struct userpci_info *info = userpci_info(device);
	const struct unic_driver *driver = driver_find(info->vendor_id, info->device_id);
	struct unic_config complete = { 0 };
	struct unic_port *p;
	int err;

	if (!driver)
		return -ENOTSUP;
	if (config)
		complete = *config;
	err = config_complete(driver, &complete);
	if (err)
		return err;
	p = port_alloc(driver);
	if (!p)
		return -ENOMEM;
	p->device = device;
	p->config = complete;
	info_complete(p);
	err = port_setup(p);
	if (err) {
		free(p);
		return err;
	}
	*port = p;
	return 0;
}

int unic_open(const char *address, const struct unic_config *config, struct unic_port **port)
{
	struct userpci_device *device;
	int err;

	if (!port)
		return -EINVAL;
	err = userpci_open(address, 0, &device);
	if (err)
		return err;
	err = port_open(device, config, port);
	if (err)
		userpci_close(device);
	return err;
}

void unic_close(struct unic_port *port)
{
	if (!port)
		return;
	if (port->started)
		unic_stop(port);
	if (port->irq)
		userpci_irq_disable(port->device);
	unic_pool_destroy(port->pool);
	port->driver->remove(port);
	userpci_close(port->device);
	free(port);
}

int unic_start(struct unic_port *port)
{
	int err;

	if (port->started)
		return -EBUSY;
	err = port->driver->start(port);
	if (err)
		return err;
	port->started = true;
	port->rx_burst = port->driver->rx_burst;
	port->tx_burst = port->driver->tx_burst;
	return 0;
}

int unic_stop(struct unic_port *port)
{
	if (!port->started)
		return -ENETDOWN;
	port->rx_burst = stopped_burst;
	port->tx_burst = stopped_burst;
	port->started = false;
	port->driver->stop(port);
	return 0;
}

int unic_rx_burst(struct unic_port *port, struct unic_packet **packets, unsigned int count)
{
	return port->rx_burst(port, packets, count);
}

int unic_tx_burst(struct unic_port *port, struct unic_packet **packets, unsigned int count)
{
	return port->tx_burst(port, packets, count);
}

/*
 * Arm, look, sleep. What comes before the look is seen by it, what comes after raises the
 * interrupt, as irq_arm() promises. INTx was masked when it came, and is let in again once the
 * device's cause is gone.
 */
int unic_wait(struct unic_port *port, int64_t timeout_us)
{
	int err = 0, unmask;

	if (!port->started)
		return -ENETDOWN;
	if (!port->irq)
		return -EINVAL;
	if (port->driver->rx_pending(port))
		return 0;
	port->driver->irq_arm(port);
	if (!port->driver->rx_pending(port))
		err = userpci_irq_wait(port->device, 0, timeout_us, NULL);
	port->driver->irq_ack(port);
	unmask = userpci_irq_unmask(port->device, 0);
	return err ? err : unmask;
}

/* Packets that were sent may wait in the ring for the next burst. */
static void pool_reclaim(struct unic_port *port)
{
	(void)port->tx_burst(port, NULL, 0);
}

struct unic_packet *unic_packet_alloc(struct unic_port *port)
{
	if (!port->pool->free_count)
		pool_reclaim(port);
	return unic_pool_get(port->pool);
}

unsigned int unic_packet_alloc_burst(struct unic_port *port, struct unic_packet **packets,
				     unsigned int count)
{
	struct unic_pool *pool = port->pool;

	if (pool->free_count < count)
		pool_reclaim(port);
	if (count > pool->free_count)
		count = pool->free_count;
	unic_pool_get_burst(pool, packets, count);
	return count;
}

const struct unic_pool *unic_pool(const struct unic_port *port)
{
	return port->pool;
}

int unic_link(struct unic_port *port, struct unic_link *link)
{
	struct unic_link now = { 0 };
	int err = port->driver->link(port, &now);

	if (!err)
		*link = now;
	return err;
}

int unic_stats(struct unic_port *port, struct unic_stats *stats)
{
	port->driver->update_stats(port);
	*stats = port->stats;
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
