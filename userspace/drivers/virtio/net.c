/* SPDX-License-Identifier: MIT */
/*
 * Virtio network devices: 1af4:1041, and 1af4:1000 by its modern interface.
 *
 * Spec: Virtual I/O Device (VIRTIO) Version 1.2, 5.1; queues 2.7 and 2.8, PCI 4.1, the order of
 *       initialisation 3.1.1.
 * Rings: packed where the device has them, else split; a packet is one descriptor.
 * Not supported: legacy devices, large received frames (GUEST_TSO), RSS with a key, VLAN filters;
 *       a device without a MAC of its own.
 * QEMU: receives all frames until it is told not to; leaves num_buffers as it is in headers when
 *       MRG_RXBUF is off; 7.2 does not have IN_ORDER.
 */
#include <errno.h>
#include <string.h>

#include "control.h"

#define NET_MTU_MAX   9000   /* bytes, where received frames may be in several buffers */
#define NET_RING_MIN  8	     /* descriptors */
#define NET_LEAVE_US  100000 /* for frames that are queued when the port stops */
#define NET_MAC_TRIES 16     /* for a MAC that does not change while it is read */
#define NET_UNKNOWN   0xff

#define NET_ALWAYS                                                                                \
	(VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM | VIRTIO_F_ORDER_PLATFORM |                \
	 VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX | VIRTIO_F_IN_ORDER | VIRTIO_NET_F_MAC |       \
	 VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MTU | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_CTRL_VQ | \
	 VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_SPEED_DUPLEX)
#define NET_TSO (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6)

/* A driver's private part of a port. */
struct virtio_net {
	struct virtio_modern modern;
	struct virtio_control control;
	uint64_t offered;  /* features of the device... */
	uint64_t features; /* ...and those that are in use, while started */
	uint8_t own_mac[UNIC_MAC_SIZE], mac[UNIC_MAC_SIZE]; /* and the one that it has now */
	/* What was seen of the configuration when a change of the link was last looked for. */
	uint16_t status;
	uint8_t generation;
};

/* --- What the device has --- */

/* Spec: 5.1.3.1: which features need which others. */
static uint64_t net_offered(uint64_t features)
{
	if (!(features & VIRTIO_NET_F_CTRL_VQ))
		features &= ~(VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_MQ);
	if ((features & NET_TSO) != NET_TSO)
		features &= ~(VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6);
	return features;
}

static uint32_t net_offloads(uint64_t features)
{
	return (features & VIRTIO_NET_F_GUEST_CSUM ? UNIC_OFFLOAD_RX_CHECKSUM : 0) |
	       (features & VIRTIO_NET_F_CSUM ? UNIC_OFFLOAD_TX_CHECKSUM : 0) |
	       (features & VIRTIO_NET_F_HOST_TSO4 ? UNIC_OFFLOAD_TSO : 0) |
	       (features & VIRTIO_NET_F_MQ ? UNIC_OFFLOAD_RSS : 0);
}

/* Spec: 5.1.4.2: of offered features only those that are asked for. */
static uint64_t net_wanted(const struct unic_port *port, uint64_t offered)
{
	uint64_t wanted = NET_ALWAYS;

	if (port->info.offloads & UNIC_OFFLOAD_RX_CHECKSUM)
		wanted |= VIRTIO_NET_F_GUEST_CSUM;
	if (port->info.offloads & UNIC_OFFLOAD_TX_CHECKSUM)
		wanted |= VIRTIO_NET_F_CSUM;
	if (port->info.offloads & UNIC_OFFLOAD_TSO)
		wanted |= NET_TSO;
	if (port->queue_count > 1)
		wanted |= VIRTIO_NET_F_MQ;
	/* QEMU: 10.0 loses a buffer of a frame that has several, over the ring's end. */
	if (port->config.mtu + UNIC_OVERHEAD > UNIC_PACKET_ROOM)
		wanted &= ~VIRTIO_F_IN_ORDER;
	return wanted & offered;
}

/* Read until the device's configuration stays the same meanwhile. Spec: 2.5.1. */
static int net_mac_read(const struct virtio_modern *m, uint8_t mac[UNIC_MAC_SIZE])
{
	static const uint8_t zero[UNIC_MAC_SIZE];
	unsigned int tries = 0, i;
	uint8_t generation;

	do {
		generation = virtio_modern_generation(m);
		for (i = 0; i < UNIC_MAC_SIZE; i++)
			mac[i] = virtio_modern_config8(m, VIRTIO_NET_MAC + i);
	} while (virtio_modern_generation(m) != generation && ++tries < NET_MAC_TRIES);
	return tries < NET_MAC_TRIES && !(mac[0] & 1) && memcmp(mac, zero, sizeof(zero)) ? 0 : -EIO;
}

/* The largest power of two that rings may have; not below NET_RING_MIN. QEMU: has no more than the
 * first queues until MQ is negotiated; the others' size is looked at when they are enabled. */
static int net_rings_measure(struct unic_port *port)
{
	const struct virtio_net *v = port->priv;
	uint32_t most = port->max_descriptors, size;
	uint16_t i;

	for (i = 0; i < 2; i++) {
		size = virtio_modern_queue_size(&v->modern, i);
		while (most > size)
			most /= 2;
	}
	port->max_descriptors = most;
	return most < NET_RING_MIN ? -EIO : 0;
}

static int net_identify(struct unic_port *port)
{
	struct virtio_net *v = port->priv;
	const struct virtio_modern *m = &v->modern;
	uint32_t pairs = 1, mtu = NET_MTU_MAX;
	int err;

	err = virtio_modern_offered(m, &v->offered);
	if (err)
		return err;
	v->offered = net_offered(v->offered);
	if (!(v->offered & VIRTIO_NET_F_MAC))
		return -EOPNOTSUPP;
	err = net_mac_read(m, v->own_mac);
	if (err)
		return err;
	if (v->offered & VIRTIO_NET_F_MQ)
		pairs = virtio_modern_config16(m, VIRTIO_NET_MAX_PAIRS);
	if (!pairs)
		return -EIO;
	if (!(v->offered & VIRTIO_NET_F_MRG_RXBUF))
		mtu = UNIC_PACKET_ROOM - UNIC_OVERHEAD;
	if (v->offered & VIRTIO_NET_F_MTU && virtio_modern_config16(m, VIRTIO_NET_MTU) < mtu)
		mtu = virtio_modern_config16(m, VIRTIO_NET_MTU);
	if (mtu < UNIC_MTU_MIN)
		return -EIO;
	memcpy(port->info.mac, v->own_mac, UNIC_MAC_SIZE);
	port->info.max_queues = pairs < UNIC_QUEUES_MAX ? pairs : UNIC_QUEUES_MAX;
	port->info.max_mtu = mtu;
	port->info.can_offload = net_offloads(v->offered);
	return net_rings_measure(port);
}

/* What is wrong because the device has vanished meanwhile is that. */
static int net_gone(const struct virtio_net *v, int err)
{
	return virtio_modern_check(&v->modern) == -ENODEV ? -ENODEV : err;
}

static int virtio_net_probe(struct unic_port *port)
{
	struct virtio_net *v = port->priv;
	int err;

	err = virtio_modern_map(port->device, &v->modern);
	if (err)
		return err;
	err = virtio_modern_reset(&v->modern);
	if (!err)
		err = net_identify(port);
	if (!err)
		return 0;
	err = net_gone(v, err);
	virtio_modern_unmap(&v->modern);
	return err;
}

static void virtio_net_remove(struct unic_port *port)
{
	struct virtio_net *v = port->priv;

	virtio_modern_unmap(&v->modern);
}

/* --- Control --- */

static int virtio_net_filter(struct unic_port *port)
{
	struct virtio_net *v = port->priv;
	int err = 0;

	if (memcmp(v->mac, port->info.mac, UNIC_MAC_SIZE)) {
		if (!(v->features & VIRTIO_NET_F_CTRL_MAC_ADDR))
			return -EOPNOTSUPP;
		err = virtio_control_mac(&v->control, port->info.mac);
		if (!err)
			memcpy(v->mac, port->info.mac, UNIC_MAC_SIZE);
	}
	/* Without this the device receives what it receives. */
	if (!err && v->features & VIRTIO_NET_F_CTRL_RX)
		err = virtio_control_receive(&v->control, port);
	return err;
}

static uint16_t net_status(const struct virtio_net *v)
{
	if (!(v->offered & VIRTIO_NET_F_STATUS))
		return VIRTIO_NET_S_LINK_UP;
	return virtio_modern_config16(&v->modern, VIRTIO_NET_STATUS);
}

static int virtio_net_link(struct unic_port *port, struct unic_link *link)
{
	const struct virtio_net *v = port->priv;
	int err = virtio_modern_check(&v->modern);
	uint32_t speed = 0;
	uint8_t duplex = NET_UNKNOWN;

	if (err)
		return err;
	link->up = !!(net_status(v) & VIRTIO_NET_S_LINK_UP);
	if (v->offered & VIRTIO_NET_F_SPEED_DUPLEX) {
		speed = virtio_modern_config32(&v->modern, VIRTIO_NET_SPEED);
		duplex = virtio_modern_config8(&v->modern, VIRTIO_NET_DUPLEX);
	}
	link->full_duplex = link->up && (duplex == VIRTIO_NET_DUPLEX_FULL || duplex == NET_UNKNOWN);
	link->speed_mbps = link->up && speed <= VIRTIO_NET_SPEED_MAX ? speed : 0;
	return 0;
}

/* A virtio device counts nothing. */
static void virtio_net_update_stats(struct unic_port *port)
{
	(void)port;
}

/* --- Interrupts --- */

static bool net_has_vectors(const struct unic_port *port)
{
	return port->vectors && userpci_irq_kind(port->device) == USERPCI_IRQ_MSIX;
}

/* Whether the configuration is another than at the last look. The generation alone need not tell
 * of a change that was not read since (4.1.4.3.1), the status not of one there and back. */
static bool net_config_changed(struct virtio_net *v)
{
	uint8_t generation = virtio_modern_generation(&v->modern);
	uint16_t status = net_status(v);
	bool changed = generation != v->generation || status != v->status;

	v->generation = generation;
	v->status = status;
	return changed;
}

static bool virtio_net_rx_pending(struct unic_queue *queue)
{
	return virtio_ring_pending(&((const struct virtio_net_queue *)queue->priv)->rx);
}

static void virtio_net_irq_arm(struct unic_queue *queue)
{
	virtio_ring_arm(&((const struct virtio_net_queue *)queue->priv)->rx);
}

static bool virtio_net_irq_ack(struct unic_queue *queue)
{
	struct virtio_net *v = queue->port->priv;
	uint8_t isr = 0;

	virtio_ring_disarm(&((const struct virtio_net_queue *)queue->priv)->rx);
	if (queue->index)
		return false;
	/* Spec: 4.1.4.5: the read takes the cause of an INTx interrupt away. */
	if (!net_has_vectors(queue->port))
		isr = virtio_modern_isr(&v->modern);
	return net_config_changed(v) || isr & VIRTIO_ISR_CONFIG;
}

/* --- Start and stop --- */

/* Spec: 5.1.2: receive queues have even numbers, and the one of commands is the last. */
static int net_queue_enable(const struct virtio_net *v, struct virtio_ring *r, uint32_t index,
			    uint16_t vector)
{
	struct virtio_queue_setup setup = {
		.index = (uint16_t)index,
		.size = (uint16_t)(r->mask + 1),
		.vector = vector,
		.desc = r->desc_iova,
		.driver = r->driver_iova,
		.device = r->device_iova,
	};

	return virtio_modern_queue_enable(&v->modern, &setup, &r->doorbell);
}

static uint32_t net_control_index(const struct virtio_net *v)
{
	if (!(v->features & VIRTIO_NET_F_MQ))
		return 2;
	return 2u * virtio_modern_config16(&v->modern, VIRTIO_NET_MAX_PAIRS);
}

static int net_pair_alloc(struct unic_queue *queue, const struct virtio_ring_kind *kind)
{
	const struct unic_config *config = &queue->port->config;
	const struct virtio_net *v = queue->port->priv;
	struct virtio_net_queue *q = queue->priv;
	int err;

	err = virtio_ring_alloc(queue->port->device, &q->rx, config->rx_descriptors, 0, kind);
	if (!err)
		err = virtio_ring_alloc(queue->port->device, &q->tx, config->tx_descriptors,
					config->tx_descriptors * VIRTIO_NET_HEADER, kind);
	if (!err)
		virtio_rx_fill(queue, v->features & VIRTIO_NET_F_MRG_RXBUF,
			       v->features & VIRTIO_NET_F_GUEST_CSUM);
	return err;
}

/* 7. The queues. */
static int net_queues_setup(struct unic_port *port)
{
	struct virtio_net *v = port->priv;
	struct virtio_ring_kind kind = {
		.packed = v->features & VIRTIO_F_RING_PACKED,
		.event_idx = v->features & VIRTIO_F_EVENT_IDX,
		.in_order = v->features & VIRTIO_F_IN_ORDER,
	};
	bool vectors = net_has_vectors(port);
	struct virtio_net_queue *q;
	uint32_t i;
	int err = virtio_modern_config_vector(&v->modern, vectors ? 0 : VIRTIO_MSI_NO_VECTOR);

	for (i = 0; !err && i < port->queue_count; i++) {
		q = port->queues[i]->priv;
		err = net_pair_alloc(port->queues[i], &kind);
		if (!err)
			err = net_queue_enable(v, &q->rx, 2 * i,
					       vectors ? (uint16_t)i : VIRTIO_MSI_NO_VECTOR);
		if (!err)
			err = net_queue_enable(v, &q->tx, 2 * i + 1, VIRTIO_MSI_NO_VECTOR);
	}
	if (err || !(v->features & VIRTIO_NET_F_CTRL_VQ))
		return err;
	err = virtio_control_alloc(&v->control, &v->modern, &kind);
	if (!err)
		err = net_queue_enable(v, &v->control.ring, net_control_index(v),
				       VIRTIO_MSI_NO_VECTOR);
	return err;
}

/* The device touches no memory after its reset; nor without bus mastering, should it not reset. */
static void net_halt(struct unic_port *port)
{
	struct virtio_net *v = port->priv;
	struct virtio_net_queue *q;
	uint32_t i;

	(void)virtio_modern_reset(&v->modern);
	(void)userpci_bus_master_disable(port->device);
	for (i = 0; i < port->queue_count; i++) {
		q = port->queues[i]->priv;
		virtio_rx_drain(port->queues[i]);
		virtio_tx_drain(port->queues[i]);
		virtio_ring_free(&q->rx);
		virtio_ring_free(&q->tx);
	}
	virtio_control_free(&v->control);
}

/* Spec: 3.1.1, 1 to 6. */
static int net_negotiate(struct unic_port *port)
{
	struct virtio_net *v = port->priv;
	int err;

	/* 1. */
	err = virtio_modern_reset(&v->modern);
	if (!err)
		err = virtio_modern_offered(&v->modern, &v->offered);
	if (err)
		return err;
	v->offered = net_offered(v->offered);
	v->features = net_wanted(port, v->offered);
	memcpy(v->mac, v->own_mac, UNIC_MAC_SIZE);
	return virtio_modern_accept(&v->modern, v->features);
}

static int virtio_net_start(struct unic_port *port)
{
	struct virtio_net *v = port->priv;
	uint32_t i;
	int err;

	err = net_negotiate(port);
	if (!err)
		err = net_queues_setup(port);
	if (!err)
		err = userpci_bus_master_enable(port->device);
	if (err)
		goto halt;
	userpci_wmb(); /* the rings before the bit that lets the device read them */
	/* 8. It runs. */
	virtio_modern_status_add(&v->modern, VIRTIO_STATUS_DRIVER_OK);
	if (v->features & VIRTIO_NET_F_MQ)
		err = virtio_control_pairs(&v->control, (uint16_t)port->queue_count);
	if (!err)
		err = virtio_net_filter(port);
	if (!err)
		err = virtio_modern_check(&v->modern);
	if (err)
		goto halt;
	(void)net_config_changed(v);
	/* The buffers were there before DRIVER_OK; now that all queues are on it is told. */
	for (i = 0; i < port->queue_count; i++)
		virtio_ring_bell(&((struct virtio_net_queue *)port->queues[i]->priv)->rx);
	return 0;

halt:
	err = net_gone(v, err);
	net_halt(port);
	return err;
}

static int net_reclaim(struct unic_queue *queue)
{
	const struct virtio_ring *r = &((struct virtio_net_queue *)queue->priv)->tx;

	return r->packed ? virtio_packed_tx_reclaim(queue) : virtio_split_tx_reclaim(queue);
}

static bool net_has_left(struct unic_port *port)
{
	const struct virtio_net_queue *q;
	uint32_t i;

	for (i = 0; i < port->queue_count; i++) {
		q = port->queues[i]->priv;
		if (!q->tx.broken && !net_reclaim(port->queues[i]) && q->tx.clean != q->tx.tail)
			return false;
	}
	return true;
}

static void virtio_net_stop(struct unic_port *port)
{
	const struct virtio_net *v = port->priv;
	unsigned int waited = 0;

	while (waited < NET_LEAVE_US && !net_has_left(port) && !virtio_modern_check(&v->modern))
		virtio_pause(&waited);
	net_halt(port);
}

/* --- Bursts --- */

static int virtio_net_rx_burst(struct unic_queue *queue, struct unic_packet **packets,
			       unsigned int count)
{
	const struct virtio_net_queue *q = queue->priv;

	return q->rx.packed ? virtio_packed_rx_burst(queue, packets, count)
			    : virtio_split_rx_burst(queue, packets, count);
}

static int virtio_net_tx_burst(struct unic_queue *queue, struct unic_packet **packets,
			       unsigned int count)
{
	const struct virtio_net_queue *q = queue->priv;

	return q->tx.packed ? virtio_packed_tx_burst(queue, packets, count)
			    : virtio_split_tx_burst(queue, packets, count);
}

static const struct unic_id virtio_net_ids[] = {
	{ 0x1af4, 0x1000 }, /* transitional */
	{ 0x1af4, 0x1041 },
	{ 0, 0 },
};

const struct unic_driver unic_virtio_net = {
	.name = "virtio-net",
	.ids = virtio_net_ids,
	.priv_size = sizeof(struct virtio_net),
	.queue_size = sizeof(struct virtio_net_queue),
	.dma_bits = 64,
	.max_descriptors = 4096,
	.descriptor_multiple = NET_RING_MIN,
	.registers = virtio_net_registers,
	.needs = "a device with virtio's modern interface (1.0) and a MAC address; QEMU's has both "
		 "without disable-modern=on",
	.probe = virtio_net_probe,
	.remove = virtio_net_remove,
	.start = virtio_net_start,
	.stop = virtio_net_stop,
	.rx_burst = virtio_net_rx_burst,
	.tx_burst = virtio_net_tx_burst,
	.rx_pending = virtio_net_rx_pending,
	.irq_arm = virtio_net_irq_arm,
	.irq_ack = virtio_net_irq_ack,
	.link = virtio_net_link,
	.filter = virtio_net_filter,
	.update_stats = virtio_net_update_stats,
};
