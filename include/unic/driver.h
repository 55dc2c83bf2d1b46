/* SPDX-License-Identifier: MIT */
/*
 * What the author of a NIC driver implements: one struct unic_driver, listed in nic/port.c.
 *
 * The layer checks the lifecycle: probe, start, bursts, stop, start..., remove, never out of order.
 * Bursts, rx_pending and irq_* of one queue come from one thread, those of different queues from
 * several at once. link and update_stats may run beside them; nothing else does. A driver accesses
 * its device by <userpci/mmio.h> and <userpci/userpci.h> alone, and so runs on every backend. Each
 * wait on the device is bounded (-ETIMEDOUT); a register that reads all ones where it cannot is a
 * device that is gone (-ENODEV). What the device writes is not trusted.
 */
#ifndef UNIC_DRIVER_H
#define UNIC_DRIVER_H

#include <stdbool.h>

#include <unic/unic.h>
#include <userpci/mmio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UNIC_QUEUES_MAX 16

struct unic_id {
	uint16_t vendor;
	uint16_t device;
};

/* Frames other than UNIC_MTU and UNIC_OVERHEAD allow are refused before a driver sees them. */
struct unic_queue {
	/* The data path, first: one cache line. Bursts that give -ENETDOWN while stopped. */
	int (*rx_burst)(struct unic_queue *queue, struct unic_packet **packets, unsigned int count);
	int (*tx_burst)(struct unic_queue *queue, struct unic_packet **packets, unsigned int count);
	void *priv; /* the driver's, queue_size bytes, zeroed before each start */
	struct unic_pool *pool;
	uint32_t space;	 /* the NIC's addresses: packet->iova[space] */
	uint32_t tx_max; /* bytes of the longest frame that may be sent without TSO */
	struct unic_port *port;
	uint32_t index;
	uint32_t idle;		 /* bursts that moved nothing, the layer's */
	uint32_t per_frame;	 /* packets that the longest frame takes, the layer's */
	struct unic_stats stats; /* the driver adds to it, but to rx_missed */
	uint32_t spin;		 /* looks before unic_wait() sleeps, the layer's */
};

struct unic_port {
	struct unic_queue *queues[UNIC_QUEUES_MAX];
	uint32_t queue_count;
	bool started;
	bool gone;
	uint32_t vectors; /* enabled: 0, or one for each queue */
	void *priv;	  /* the driver's, priv_size bytes, zeroed before probe */
	const struct unic_driver *driver;
	struct userpci_device *device;
	struct unic_depot *depot;
	uint32_t space;
	uint32_t max_descriptors;	/* probe may lower it */
	struct unic_config config;	/* completed: no zero sizes */
	struct unic_port_info info;	/* probe fills mac, can_offload, max_queues, max_mtu */
	struct unic_stats device_stats; /* update_stats adds what the device has counted */
	/* What to receive: for filter(). */
	unsigned int receive_mode; /* UNIC_RECEIVE_* */
	unsigned int multicast_count;
	uint8_t multicast[UNIC_MULTICAST_MAX][UNIC_MAC_SIZE];
	/* Of UNIC_CONFIG_CYCLES, the layer's. */
	struct unic_cycles *cycles; /* NULL: nothing is counted */
	uint64_t cycles_own;	    /* of counting itself */
	int cycles_fd;
};

struct unic_driver {
	const char *name;
	const struct unic_id *ids; /* ends with { 0, 0 } */
	size_t priv_size;
	size_t queue_size;	      /* may be 0 */
	unsigned int dma_bits;	      /* address bits that the device drives */
	uint32_t max_descriptors;     /* the largest ring; without rings: what sizes the pool */
	uint32_t descriptor_multiple; /* ring sizes are a power of two and a multiple of this */
	const struct userpci_register *registers; /* their names, for traces; NULL: none */
	/* "a device with...": what it lacks where probe says -EOPNOTSUPP. NULL: IDs tell all. */
	const char *needs;

	/* Maps what it needs, resets the device, and fills in of port->info: mac, can_offload,
	 * max_queues and max_mtu (0: one queue, UNIC_MTU). After an error nothing is held. */
	int (*probe)(struct unic_port *port);
	/* Gives back what probe took. The device is stopped. */
	void (*remove)(struct unic_port *port);

	/* Rings allocated for port->config and filled with packets, what port->info.offloads says
	 * set up, then bus mastering on, then receiver and transmitter. Interrupts stay masked. The
	 * last writes may still be on their way when it returns. After an error: stopped. */
	int (*start)(struct unic_port *port);
	/* Receiver and transmitter off, then bus mastering: the device touches no memory after it.
	 * What is queued has a moment to leave. All packets to the pools, the rings freed. Also
	 * when the device is gone. */
	void (*stop)(struct unic_port *port);

	/* See unic_rx_burst() and unic_tx_burst(). Never called while stopped. A tx_burst of 0
	 * packets gives those that were sent back to the pool. Packets of rx_burst come from
	 * queue->pool, which holds @count unless the depot is empty; a chain's as well, of which
	 * the driver takes care itself. The layer fills and empties the pool between bursts. A
	 * packet whose flags have any of UNIC_TX_FLAGS, that is too short or too long or of another
	 * pool goes through unic_tx_prepare() first. */
	int (*rx_burst)(struct unic_queue *queue, struct unic_packet **packets, unsigned int count);
	int (*tx_burst)(struct unic_queue *queue, struct unic_packet **packets, unsigned int count);

	/* True: a received frame waits in the ring; it may be true too early, when the burst finds
	 * nothing, but never false too long. No register access. */
	bool (*rx_pending)(struct unic_queue *queue);
	/* The next received frame of the queue raises the vector of the queue's number; the layer
	 * looks for those that came before. On queue 0 the next change of the link as well. */
	void (*irq_arm)(struct unic_queue *queue);
	/* Clears the queue's causes and leaves them masked, until the next arm; what it writes has
	 * got there when it returns. On queue 0: true when the link may have changed since the last
	 * one. */
	bool (*irq_ack)(struct unic_queue *queue);

	int (*link)(struct unic_port *port, struct unic_link *link);
	/* Sets the MAC, the multicast addresses and the receive mode that are in @port, of a
	 * started port. Frames that wait may be lost. NULL: it receives what it receives. */
	int (*filter)(struct unic_port *port);
	/* Adds what the device counted since the last call (rx_missed, rx_errors) to
	 * port->device_stats. Also while stopped. */
	void (*update_stats)(struct unic_port *port);
};

/**
 * unic_tx_prepare - makes a packet that is out of the ordinary fit to be sent.
 *
 * Looks at its pool, lengths, chain and headers; pads it to 60 bytes; does what the port has not
 * obtained of checksums and VLAN tags. What is left in packet->flags is the device's to do, with
 * headers that are inside of the first packet of the chain, and with the L4 checksum field holding
 * the sum of the pseudo header, as devices want it: with the length, but for UNIC_TX_TSO, where
 * @tso_length says whether the length is in it. UNIC_TX_IP leaves the IPv4 checksum 0, and TSO that
 * and, without @tso_length, the IP header's length too (what Intel's devices want).
 *
 * Returns the number of packets in its chain; -EINVAL: it was dropped, counted, and given back to
 * its pool. Preparing twice does no harm.
 */
int unic_tx_prepare(struct unic_queue *queue, struct unic_packet *packet, bool tso_length);

/* A pause between two looks at a register. Never in a burst. */
void unic_sleep_us(unsigned int time_us);

/* nic/port.c: every driver has its line in this table; NULL ends it. */
extern const struct unic_driver *const unic_drivers[];
extern const struct unic_driver unic_e1000;
extern const struct unic_driver unic_e1000e;
extern const struct unic_driver unic_igb;
extern const struct unic_driver unic_rtl8139;
extern const struct unic_driver unic_virtio_net;

#ifdef __cplusplus
}
#endif

#endif
