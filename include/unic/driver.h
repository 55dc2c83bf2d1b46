/* SPDX-License-Identifier: MIT */
/*
 * What the author of a NIC driver implements: one struct unic_driver, listed in nic/port.c.
 *
 * The layer checks the lifecycle: probe, start, bursts, stop, start..., remove, never out of order
 * and never from two threads. A driver accesses its device by <userpci/mmio.h> and
 * <userpci/userpci.h> alone, and so runs on every backend. Each wait on the device is bounded
 * (-ETIMEDOUT); a register that reads all ones where it cannot is a device that is gone (-ENODEV).
 * What the device writes is not trusted.
 */
#ifndef UNIC_DRIVER_H
#define UNIC_DRIVER_H

#include <stdbool.h>

#include <unic/unic.h>
#include <userpci/mmio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct unic_id {
	uint16_t vendor;
	uint16_t device;
};

struct unic_port {
	/* The data path, first: one cache line. Bursts that give -ENETDOWN while stopped. */
	int (*rx_burst)(struct unic_port *port, struct unic_packet **packets, unsigned int count);
	int (*tx_burst)(struct unic_port *port, struct unic_packet **packets, unsigned int count);
	void *priv; /* the driver's, priv_size bytes, zeroed before probe */
	struct unic_pool *pool;
	struct unic_stats stats; /* the driver adds to it */

	const struct unic_driver *driver;
	struct userpci_device *device;
	struct unic_config config;  /* completed: no zero sizes */
	struct unic_port_info info; /* probe fills mac */
	bool started;
	bool irq; /* vector 0 is enabled */
};

struct unic_driver {
	const char *name;
	const struct unic_id *ids; /* ends with { 0, 0 } */
	size_t priv_size;
	unsigned int dma_bits;	      /* address bits that the device drives */
	uint32_t max_descriptors;     /* the largest ring */
	uint32_t descriptor_multiple; /* ring sizes are a power of two and a multiple of this */
	const struct userpci_register *registers; /* their names, for traces; NULL: none */

	/* Maps what it needs, resets the device, fills port->info.mac. After an error nothing is
	 * held. */
	int (*probe)(struct unic_port *port);
	/* Gives back what probe took. The device is stopped. */
	void (*remove)(struct unic_port *port);

	/* Rings with packets, then bus mastering on, then receiver and transmitter. Interrupts stay
	 * masked. After an error: stopped. */
	int (*start)(struct unic_port *port);
	/* Receiver and transmitter off, then bus mastering: the device touches no memory after it.
	 * What is queued has a moment to leave. All packets to the pool. */
	void (*stop)(struct unic_port *port);

	/* See unic_rx_burst() and unic_tx_burst(). Never called while stopped. A tx_burst of 0
	 * packets gives those that were sent back to the pool. */
	int (*rx_burst)(struct unic_port *port, struct unic_packet **packets, unsigned int count);
	int (*tx_burst)(struct unic_port *port, struct unic_packet **packets, unsigned int count);

	/* True: a received frame waits in the ring. No register access. */
	bool (*rx_pending)(struct unic_port *port);
	/* The next received frame or link change raises vector 0, also one that came before the
	 * call. */
	void (*irq_arm)(struct unic_port *port);
	/* Clears the causes and leaves them masked, until the next arm. */
	void (*irq_ack)(struct unic_port *port);

	int (*link)(struct unic_port *port, struct unic_link *link);
	/* Adds what the device counted since the last call (rx_missed, rx_errors) to port->stats.
	 */
	void (*update_stats)(struct unic_port *port);
};

/* A pause between two looks at a register. Never in a burst. */
void unic_sleep_us(unsigned int time_us);

/* nic/port.c: every driver has its line in this table; NULL ends it. */
extern const struct unic_driver *const unic_drivers[];
extern const struct unic_driver unic_e1000;

#ifdef __cplusplus
}
#endif

#endif
