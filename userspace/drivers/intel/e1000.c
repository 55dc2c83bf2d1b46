/* SPDX-License-Identifier: MIT */
/*
 * Intel 82540EM, 8086:100e: the gigabit controller that QEMU has as e1000.
 *
 * Spec: PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, 317453,
 *       revision 4.0. Sections named in this file are its.
 * Descriptors: the legacy format for receiving; sending is in transmit.c.
 * Not supported: flow control, forced link speeds, exact filters for multicast addresses.
 * QEMU: CTRL.RST leaves the registers as they are; PSP pads nothing; sending is over when the write
 *       of TDT returns; a write of RCTL stops the receiver for a second of virtual time.
 */
#include <errno.h>
#include <string.h>

#include "common.h"

#define E1000_RELOAD_US 5000		 /* for the device to load its EEPROM after a reset */
#define E1000_MTU_MAX	(16384 - 18 - 4) /* Spec: 13.4.22: LPE: 16384 bytes with FCS */

/* What must be true of a descriptor for its frame to be handed out as it is: it is done, the frame
 * is whole, without error and with no wrong checksum, not empty, and no longer than the buffer. One
 * test for all: of what remains when the bits that must be set, and one byte, are taken away. */
#define E1000_RXD_GOOD (E1000_RXD_DD | E1000_RXD_EOP | 1)
#define E1000_RXD_ERRORS \
	(E1000_RXD_CE | E1000_RXD_SE | E1000_RXD_SEQ | E1000_RXD_CXE | E1000_RXD_RXE)
#define E1000_RXD_LENGTH  0xffffull
#define E1000_RXD_TOOLONG (E1000_RXD_LENGTH & ~(UNIC_PACKET_ROOM - 1ull))
#define E1000_RXD_CHECK                                                                     \
	(E1000_RXD_DD | E1000_RXD_EOP | E1000_RXD_ERRORS | E1000_RXD_TCPE | E1000_RXD_IPE | \
	 E1000_RXD_TOOLONG)
_Static_assert(UNIC_PACKET_ROOM == 2048, "RCTL.BSIZE and E1000_RXD_TOOLONG");

static void e1000_ack_all(const struct intel *e)
{
	intel_wr(e, E1000_IMC, E1000_INT_ALL);
	(void)intel_rd(e, E1000_ICR);
}

static bool e1000_irq_ack(struct unic_queue *queue)
{
	const struct intel *e = queue->port->priv;

	intel_wr(e, E1000_IMC, E1000_INT_ALL);
	return intel_rd(e, E1000_ICR) & E1000_INT_LSC;
}

/* Spec: 14.3. The PHY negotiates speed and duplex by itself, the MAC follows. */
static void e1000_link_up(const struct intel *e)
{
	uint32_t ctrl = intel_rd(e, E1000_CTRL);

	ctrl &= ~(E1000_CTRL_ILOS | E1000_CTRL_FRCSPD | E1000_CTRL_FRCDPLX | E1000_CTRL_RST |
		  E1000_CTRL_RFCE | E1000_CTRL_TFCE | E1000_CTRL_VME | E1000_CTRL_PHY_RST);
	intel_wr(e, E1000_CTRL, ctrl | E1000_CTRL_ASDE | E1000_CTRL_SLU);
	intel_wr(e, E1000_FCAL, 0);
	intel_wr(e, E1000_FCAH, 0);
	intel_wr(e, E1000_FCT, 0);
	intel_wr(e, E1000_FCTTV, 0);
}

static int e1000_reset(struct unic_port *port)
{
	const struct intel *e = port->priv;
	uint32_t status;
	int err;

	/* 1. No interrupts; receiver and transmitter off. The read carries the writes there. */
	intel_wr(e, E1000_IMC, E1000_INT_ALL);
	intel_wr(e, E1000_RCTL, 0);
	intel_wr(e, E1000_TCTL, 0);
	status = intel_rd(e, E1000_STATUS);
	if (status == INTEL_GONE)
		return -ENODEV;
	/* 2. Spec: 13.4.1. CTRL.RST clears itself, and loads the EEPROM anew. */
	intel_wr(e, E1000_CTRL, intel_rd(e, E1000_CTRL) | E1000_CTRL_RST);
	unic_sleep_us(E1000_RELOAD_US);
	err = intel_wait(e, E1000_CTRL, E1000_CTRL_RST, 0);
	if (err)
		return err;
	/* 3. Causes that the reset raised. */
	e1000_ack_all(e);
	/* 4. The link. */
	e1000_link_up(e);
	return 0;
}

/* Spec: 5.3.1. */
static int e1000_eeprom_read(const struct intel *e, uint32_t word, uint16_t *value)
{
	int err;

	intel_wr(e, E1000_EERD, E1000_EERD_ADDR(word) | E1000_EERD_START);
	err = intel_wait(e, E1000_EERD, E1000_EERD_DONE, E1000_EERD_DONE);
	if (!err)
		*value = (uint16_t)E1000_EERD_DATA(intel_rd(e, E1000_EERD));
	return err;
}

/* Spec: 5.6.1: words 0 to 2, the low byte of each first. */
static int e1000_mac_from_eeprom(const struct intel *e, uint8_t mac[UNIC_MAC_SIZE])
{
	uint16_t value;
	uint32_t word;
	int err;

	for (word = 0; word < UNIC_MAC_SIZE / 2; word++) {
		err = e1000_eeprom_read(e, word, &value);
		if (err)
			return err;
		mac[2 * word] = (uint8_t)value;
		mac[2 * word + 1] = (uint8_t)(value >> 8);
	}
	return intel_mac_valid(mac) ? 0 : -EIO;
}

/* The bits that stay as they are while the port runs. */
static uint32_t e1000_rctl(const struct unic_port *port)
{
	uint32_t rctl = E1000_RCTL_EN | E1000_RCTL_BAM | E1000_RCTL_BSIZE_2048 | E1000_RCTL_SECRC;

	if (port->config.mtu > UNIC_MTU)
		rctl |= E1000_RCTL_LPE;
	return rctl | intel_rctl_mode(port);
}

/* Spec: 14.4. */
static void e1000_rx_setup(struct unic_port *port)
{
	const struct intel *e = port->priv;
	uint32_t ctrl = intel_rd(e, E1000_CTRL) & ~E1000_CTRL_VME;
	bool checksum = port->info.offloads & UNIC_OFFLOAD_RX_CHECKSUM;

	if (port->info.offloads & UNIC_OFFLOAD_VLAN_STRIP)
		ctrl |= E1000_CTRL_VME;
	else
		/* Spec: 9.2: VME lets tags in and out. */
		port->info.offloads &= ~UNIC_OFFLOAD_VLAN_INSERT;
	intel_wr(e, E1000_CTRL, ctrl);
	intel_wr(e, E1000_VET, E1000_VET_8021Q);
	intel_filter_set(port);
	intel_wr(e, E1000_RXCSUM, checksum ? E1000_RXCSUM_IPOFL | E1000_RXCSUM_TUOFL : 0);
	intel_wr(e, E1000_RDTR, 0);
	intel_wr(e, E1000_RADV, 0);
	intel_wr(e, E1000_ITR, 0);
	intel_rx_ring_set(port->queues[0], E1000_RDBAL);
}

/* Spec: 14.5. */
static void e1000_tx_setup(struct unic_port *port)
{
	const struct intel *e = port->priv;

	intel_wr(e, E1000_TIDV, 0);
	intel_wr(e, E1000_TADV, 0);
	intel_tx_ring_set(port->queues[0], E1000_TDBAL);
	intel_wr(e, E1000_TIPG, E1000_TIPG_VALUE(10, 8, 6));
}

static int e1000_start(struct unic_port *port)
{
	struct intel *e = port->priv;
	int err;

	err = intel_rings_alloc(port->queues[0]);
	if (err)
		return err;
	e1000_rx_setup(port);
	e1000_tx_setup(port);
	err = userpci_bus_master_enable(port->device);
	if (err) {
		intel_rings_free(port->queues[0]);
		return err;
	}
	userpci_wmb(); /* the rings before the bits that make the device read them */
	/* Spec: tables 13-67 and 13-76, the values for full duplex. */
	intel_wr(e, E1000_TCTL,
		 E1000_TCTL_EN | E1000_TCTL_PSP | E1000_TCTL_CT(0x0f) | E1000_TCTL_COLD(0x40));
	e->rctl = e1000_rctl(port);
	intel_wr(e, E1000_RCTL, e->rctl); /* QEMU: once only, see above */
	return 0;
}

static void e1000_stop(struct unic_port *port)
{
	const struct intel_queue *q = port->queues[0]->priv;
	const struct intel *e = port->priv;

	intel_wr(e, E1000_IMC, E1000_INT_ALL);
	intel_wr(e, E1000_RCTL, 0);
	/* Frames that are queued leave within a millisecond or two, if the link is up. */
	(void)intel_wait(e, E1000_TDH, 0xffff, q->tx_tail & q->tx_mask);
	intel_wr(e, E1000_TCTL, 0);
	intel_update_stats(port);
	(void)userpci_bus_master_disable(port->device);
	/* So that nothing in the FIFOs is left for the next start. */
	(void)e1000_reset(port);
	intel_rings_free(port->queues[0]);
}

/* --- Receiving --- */

/* Takes good frames up to the end of the ring; @count packets must be in the pool. */
static inline unsigned int e1000_rx_run(struct unic_queue *queue, struct unic_packet **packets,
					unsigned int count)
{
	struct intel_queue *q = queue->priv;
	uint32_t index = q->rx_next & q->rx_mask, space = queue->space;
	volatile struct intel_desc *desc = q->rx_ring + index;
	struct unic_packet **slot = q->rx_packets + index, *packet;
	struct unic_packet **fresh = queue->pool->free + queue->pool->free_count;
	uint64_t word, length, bytes = 0;
	uint32_t high;
	size_t n;

	if (q->rx_skip || q->rx_continue)
		return 0;
	if (count > q->rx_mask + 1 - index)
		count = q->rx_mask + 1 - index;
	for (n = 0; n < count; n++) {
		word = userpci_le64_to_cpu(desc[n].word);
		if ((word - E1000_RXD_GOOD) & E1000_RXD_CHECK)
			break;
		packet = slot[n];
		packets[n] = packet;
		length = (uint16_t)word;
		bytes += length;
		high = (uint32_t)(word >> 32); /* status, errors, and tag */
		unic_packet_set(packet, (uint32_t)length, intel_rx_flags[(uint8_t)high]);
		packet->vlan = (uint16_t)(high >> 16);
		packet = *--fresh;
		slot[n] = packet;
		desc[n].address = userpci_cpu_to_le64(packet->iova[space]);
		desc[n].word = userpci_cpu_to_le64(0);
	}
	q->rx_next += (uint32_t)n;
	queue->pool->free_count -= (uint32_t)n;
	queue->stats.rx_packets += n;
	queue->stats.rx_bytes += bytes;
	return (unsigned int)n;
}

/* Looks at the descriptor where a run ended. */
__attribute__((noinline)) static bool e1000_rx_odd(struct unic_queue *queue,
						   struct unic_packet **packets, unsigned int *n,
						   bool fresh)
{
	const struct intel_queue *q = queue->priv;
	uint64_t word = userpci_le64_to_cpu(q->rx_ring[q->rx_next & q->rx_mask].word);
	struct intel_rx rx = {
		.done = word & E1000_RXD_DD,
		.last = word & E1000_RXD_EOP,
		.bad = word & E1000_RXD_EOP && word & E1000_RXD_ERRORS,
		.length = word & E1000_RXD_LENGTH,
		.flags = intel_rx_flags[(uint8_t)(word >> 32)],
		.vlan = (uint16_t)(word >> 48),
	};

	/* Spec: 3.2.3.2: TCPE and IPE count where the checksum was looked at. */
	if (rx.flags & UNIC_RX_L4_GOOD && word & E1000_RXD_TCPE)
		rx.flags ^= UNIC_RX_L4_GOOD | UNIC_RX_L4_BAD;
	if (rx.flags & UNIC_RX_IP_GOOD && word & E1000_RXD_IPE)
		rx.flags ^= UNIC_RX_IP_GOOD | UNIC_RX_IP_BAD;
	return intel_rx_odd(queue, &rx, packets, n, fresh);
}

/* What a run has left: the end of the ring, odd descriptors, an empty pool. */
__attribute__((noinline)) static unsigned int e1000_rx_rest(struct unic_queue *queue,
							    struct unic_packet **packets,
							    unsigned int count, unsigned int n)
{
	struct intel_queue *q = queue->priv;
	struct unic_pool *pool = queue->pool;
	uint32_t odd = q->rx_mask; /* ends the loop where the device does not */
	bool starved = false;
	unsigned int room;

	if (pool->free_count < count - n) {
		intel_tx_reclaim(q, pool);
		/* An empty pool must not stop the ring: @count frames are dropped. */
		starved = !n && !pool->free_count;
		if (starved && odd > count)
			odd = count;
	}
	while (n < count && (starved || pool->free_count) && odd-- &&
	       e1000_rx_odd(queue, packets, &n, !starved)) {
		room = count - n < pool->free_count ? count - n : pool->free_count;
		n += e1000_rx_run(queue, packets + n, room);
	}
	return n;
}

static int e1000_rx_burst(struct unic_queue *queue, struct unic_packet **packets,
			  unsigned int count)
{
	struct intel_queue *q = queue->priv;
	uint32_t first = q->rx_next, room = queue->pool->free_count;
	unsigned int n;

	n = e1000_rx_run(queue, packets, count < room ? count : room);
	if (n < count)
		n = e1000_rx_rest(queue, packets, count, n);
	if (q->rx_next == first)
		return 0;
	userpci_rmb(); /* the done bits before the frames, which the caller reads */
	userpci_wmb(); /* the descriptors before the tail */
	userpci_write32(q->regs, E1000_RDT, (q->rx_next - 1) & q->rx_mask);
	return (int)n;
}

static bool e1000_rx_pending(struct unic_queue *queue)
{
	const struct intel_queue *q = queue->priv;

	return userpci_le64_to_cpu(q->rx_ring[q->rx_next & q->rx_mask].word) & E1000_RXD_DD;
}

/* Spec: 13.4.20. A cause that is in ICR already raises the interrupt at once. */
static void e1000_irq_arm(struct unic_queue *queue)
{
	intel_wr(queue->port->priv, E1000_IMS,
		 E1000_INT_RXT0 | E1000_INT_RXDMT0 | E1000_INT_RXO | E1000_INT_LSC);
}

static int e1000_probe(struct unic_port *port)
{
	struct intel *e = port->priv;
	struct unic_stats none = { 0 };
	int err;

	err = userpci_region_map(port->device, 0, &e->regs);
	if (err)
		return err;
	err = e1000_reset(port);
	if (err)
		goto unmap;
	err = e1000_mac_from_eeprom(e, port->info.mac);
	if (err && err != -ENODEV)
		err = intel_mac_from_filter(e, port->info.mac);
	if (err)
		goto unmap;
	/* Spec: 13.7: what the registers hold before they were read once is not known. */
	intel_update_stats(port);
	port->device_stats = none;
	port->info.max_mtu = E1000_MTU_MAX;
	port->info.can_offload = UNIC_OFFLOAD_RX_CHECKSUM | UNIC_OFFLOAD_TX_CHECKSUM |
				 UNIC_OFFLOAD_VLAN_STRIP | UNIC_OFFLOAD_VLAN_INSERT |
				 UNIC_OFFLOAD_TSO;
	return 0;

unmap:
	userpci_region_unmap(&e->regs);
	return err;
}

static void e1000_remove(struct unic_port *port)
{
	struct intel *e = port->priv;

	userpci_region_unmap(&e->regs);
}

static const struct unic_id e1000_ids[] = {
	{ 0x8086, 0x100e }, /* 82540EM, desktop */
	{ 0, 0 },
};

const struct unic_driver unic_e1000 = {
	.name = "e1000",
	.ids = e1000_ids,
	.priv_size = sizeof(struct intel),
	.queue_size = sizeof(struct intel_queue),
	.dma_bits = 64,
	.max_descriptors = 4096,
	.descriptor_multiple = INTEL_TX_BATCH, /* the device's is 8 (13.4.27, 13.4.38) */
	.registers = intel_e1000_registers,
	.probe = e1000_probe,
	.remove = e1000_remove,
	.start = e1000_start,
	.stop = e1000_stop,
	.rx_burst = e1000_rx_burst,
	.tx_burst = intel_tx_burst,
	.rx_pending = e1000_rx_pending,
	.irq_arm = e1000_irq_arm,
	.irq_ack = e1000_irq_ack,
	.link = intel_link,
	.filter = intel_filter,
	.update_stats = intel_update_stats,
};
