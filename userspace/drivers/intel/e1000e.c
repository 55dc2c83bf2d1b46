/* SPDX-License-Identifier: MIT */
/*
 * Intel 82574L, 8086:10d3: the gigabit controller with two queues that QEMU has as e1000e.
 *
 * Spec: Intel 82574 GbE Controller Family Datasheet, 317694, revision 3.4. Sections named in this
 *       file are its.
 * Descriptors: the extended format for receiving; sending is in transmit.c.
 * Not supported: header splitting, time stamps, flow control, forced link speeds, exact filters for
 *       multicast addresses, wake-up, the work-arounds of the specification update.
 * QEMU: up to 7.2 CTRL.RST leaves the registers as they are, and TSO makes IP fragments; a message
 *       that is held back may come 128 us after its cause was masked; a frame without a descriptor
 *       waits, and is counted nowhere; sending is over when the write of TDT returns.
 */
#include <errno.h>
#include <string.h>

#include "receive.h"

#define E1000E_RESET_US	 1000 /* before CTRL.RST is looked at: 1 is enough (10.2.2.1) */
#define E1000E_HELD_US	 1000 /* until a message that was held back has come */
#define E1000E_QUEUES	 2
#define E1000E_FRAME_MAX 9018 /* bytes with header and FCS, without a tag */
#define E1000E_MTU_MAX	 (E1000E_FRAME_MAX - 14 - 4)

#define E1000E_RXD_ERRORS \
	(E1000E_RXD_CE | E1000E_RXD_SE | E1000E_RXD_SEQ | E1000E_RXD_CXE | E1000E_RXD_RXE)

#define E1000E_CAUSES (E1000_INT_RXT0 | E1000_INT_RXDMT0 | E1000_INT_RXO | E1000_INT_LSC)

struct e1000e {
	struct intel intel;
	bool msix; /* a vector for each queue, and for the link with the first */
	bool up;   /* the link, when it was last looked at: for irq_ack() */
};

static uint32_t rd(const struct unic_port *port, uint32_t reg)
{
	return intel_rd(port->priv, reg);
}

static void wr(const struct unic_port *port, uint32_t reg, uint32_t value)
{
	intel_wr(port->priv, reg, value);
}

/* --- Reset and link --- */

/* Spec: 10.2.4.1: ICR is cleared by reading when all is masked. */
static void e1000e_irq_off(const struct unic_port *port)
{
	wr(port, E1000_IMC, E1000_INT_ALL);
	(void)rd(port, E1000_ICR);
}

/* Spec: 4.5.2: the PHY belongs to the firmware, too. A wait in vain is no reason not to reset. */
static int e1000e_mdio_take(const struct unic_port *port)
{
	int err;

	wr(port, E1000E_EXTCNF_CTRL, rd(port, E1000E_EXTCNF_CTRL) | E1000E_EXTCNF_MDIO_SW);
	err = intel_wait(port->priv, E1000E_EXTCNF_CTRL, E1000E_EXTCNF_MDIO_SW,
			 E1000E_EXTCNF_MDIO_SW);
	return err == -ENODEV ? err : 0;
}

static void e1000e_mdio_give(const struct unic_port *port)
{
	wr(port, E1000E_EXTCNF_CTRL, rd(port, E1000E_EXTCNF_CTRL) & ~E1000E_EXTCNF_MDIO_SW);
}

/* Spec: 10.2.2.1. Without an NVM there is nothing to load, and AUTO_RD never comes. */
static int e1000e_reset_mac(const struct unic_port *port)
{
	int err;

	wr(port, E1000_CTRL, rd(port, E1000_CTRL) | E1000_CTRL_RST);
	unic_sleep_us(E1000E_RESET_US);
	err = intel_wait(port->priv, E1000_CTRL, E1000_CTRL_RST, 0);
	if (err)
		return err;
	err = intel_wait(port->priv, E1000E_EECD, E1000E_EECD_AUTO_RD, E1000E_EECD_AUTO_RD);
	return err == -ENODEV ? err : 0;
}

/* Spec: 4.6.3.2. The PHY negotiates speed and duplex by itself, the MAC follows. */
static void e1000e_link_up(const struct unic_port *port)
{
	uint32_t ctrl = rd(port, E1000_CTRL);

	ctrl &= ~(E1000E_CTRL_GIO_DISABLE | E1000_CTRL_ASDE | E1000_CTRL_ILOS | E1000_CTRL_FRCSPD |
		  E1000_CTRL_FRCDPLX | E1000_CTRL_RST | E1000_CTRL_RFCE | E1000_CTRL_TFCE |
		  E1000_CTRL_VME | E1000_CTRL_PHY_RST);
	wr(port, E1000_CTRL, ctrl | E1000_CTRL_SLU);
	wr(port, E1000_FCAL, 0);
	wr(port, E1000_FCAH, 0);
	wr(port, E1000_FCT, 0);
	wr(port, E1000_FCTTV, 0);
}

/* Spec: 4.6.1 and 4.6.2. */
static int e1000e_reset(const struct unic_port *port)
{
	int err;

	/* 1. No interrupts; receiver and transmitter off. The read carries the writes there. */
	e1000e_irq_off(port);
	wr(port, E1000_RCTL, 0);
	wr(port, E1000_TCTL, 0);
	if (rd(port, E1000_STATUS) == INTEL_GONE)
		return -ENODEV;
	/* 2. Spec: 3.1.3.10: no request to memory is under way when it is reset. Should one be
	 * stuck, the reset is what helps. */
	wr(port, E1000_CTRL, rd(port, E1000_CTRL) | E1000E_CTRL_GIO_DISABLE);
	err = intel_wait(port->priv, E1000_STATUS, E1000E_STATUS_GIO, 0);
	if (err == -ENODEV)
		return err;
	/* 3. The firmware stays off the PHY meanwhile. */
	err = e1000e_mdio_take(port);
	if (err)
		return err;
	/* 4. CTRL.RST clears itself, and loads the NVM anew. */
	err = e1000e_reset_mac(port);
	e1000e_mdio_give(port);
	if (err)
		return err;
	/* 5. Spec: 4.6.1: once more, and the causes that the reset raised. */
	e1000e_irq_off(port);
	/* 6. The link. */
	wr(port, E1000E_CTRL_EXT, rd(port, E1000E_CTRL_EXT) | E1000E_CTRL_EXT_DRV_LOAD);
	e1000e_link_up(port);
	return 0;
}

/* Spec: 10.2.3: words 0 to 2, the low byte of each first. */
static int e1000e_mac_from_nvm(const struct intel *intel, uint8_t mac[UNIC_MAC_SIZE])
{
	uint32_t word, value;
	int err;

	for (word = 0; word < UNIC_MAC_SIZE / 2; word++) {
		intel_wr(intel, E1000_EERD, E1000E_EERD_ADDR(word) | E1000_EERD_START);
		err = intel_wait(intel, E1000_EERD, E1000E_EERD_DONE, E1000E_EERD_DONE);
		if (err)
			return err;
		value = intel_rd(intel, E1000_EERD);
		if (value == INTEL_GONE)
			return -ENODEV;
		value = E1000_EERD_DATA(value);
		mac[2 * word] = (uint8_t)value;
		mac[2 * word + 1] = (uint8_t)(value >> 8);
	}
	return intel_mac_valid(mac) ? 0 : -EIO;
}

/* --- Setup --- */

/* Spec: 4.6.5 and 7.1.11: hashes are of extended descriptors, with PCSD. */
static void e1000e_rx_setup(struct unic_port *port)
{
	uint32_t ctrl = rd(port, E1000_CTRL) & ~E1000_CTRL_VME, rxcsum = 0, mrqc = 0;
	uint32_t offloads = port->info.offloads;

	if (offloads & UNIC_OFFLOAD_VLAN_STRIP)
		ctrl |= E1000_CTRL_VME;
	else
		/* Spec: 10.2.2.1: VME lets tags in and out. */
		port->info.offloads &= ~UNIC_OFFLOAD_VLAN_INSERT;
	wr(port, E1000_CTRL, ctrl);
	wr(port, E1000_VET, E1000_VET_8021Q);
	intel_filter_set(port);
	if (offloads & UNIC_OFFLOAD_RX_CHECKSUM)
		rxcsum |= E1000_RXCSUM_IPOFL | E1000_RXCSUM_TUOFL;
	if (offloads & (UNIC_OFFLOAD_RSS | UNIC_OFFLOAD_HASH)) {
		intel_rss_set(port, E1000E_RETA_QUEUE);
		rxcsum |= E1000E_RXCSUM_PCSD;
		mrqc = E1000E_MRQC_RSS | E1000E_MRQC_FIELDS;
	}
	wr(port, E1000_RXCSUM, rxcsum);
	wr(port, E1000E_MRQC, mrqc);
	wr(port, E1000E_RFCTL,
	   E1000E_RFCTL_EXSTEN | E1000E_RFCTL_ACK_DIS | E1000E_RFCTL_ISCSI_DIS |
		   E1000E_RFCTL_NFSW_DIS | E1000E_RFCTL_NFSR_DIS);
	wr(port, E1000_RADV, 0);
}

/* Spec: 7.4: with MSI-X the queue's vector is its number, and that of the link is 0. A message
 * clears the cause of its queue; nothing is masked but by IMC. */
static void e1000e_irq_setup(const struct unic_port *port)
{
	uint32_t ext = rd(port, E1000E_CTRL_EXT), ivar = E1000E_IVAR_OTHER(0), eiac = 0, i;
	struct e1000e *e = port->priv;

	e->msix = port->vectors && userpci_irq_kind(port->device) == USERPCI_IRQ_MSIX;
	e->up = rd(port, E1000_STATUS) & E1000_STATUS_LU;
	for (i = 0; i < port->queue_count; i++) {
		ivar |= E1000E_IVAR_RX(i, i);
		eiac |= E1000E_INT_RXQ(i);
	}
	ext &= ~(E1000E_CTRL_EXT_EIAME | E1000E_CTRL_EXT_IAME | E1000E_CTRL_EXT_PBA_CLR);
	wr(port, E1000E_CTRL_EXT, e->msix ? ext | E1000E_CTRL_EXT_PBA_CLR : ext);
	wr(port, E1000E_IVAR, e->msix ? ivar : 0);
	wr(port, E1000E_EIAC, e->msix ? eiac : 0);
	wr(port, E1000_ITR, 0);
	for (i = 0; i < E1000E_EITR_COUNT; i++)
		wr(port, E1000E_EITR(i), 0);
}

/* Spec: 4.6.5 and 4.6.6: each descriptor is written back at once. */
static void e1000e_queue_setup(struct unic_queue *queue)
{
	const uint32_t dctl = E1000E_DCTL_GRAN | E1000E_DCTL_WTHRESH(1);
	const struct unic_port *port = queue->port;
	uint32_t n = queue->index;

	intel_rx_ring_set(queue, E1000E_RDBAL(n));
	wr(port, E1000E_RDTR(n), 0);
	wr(port, E1000E_RXDCTL(n), dctl);
	intel_tx_ring_set(queue, E1000E_TDBAL(n));
	/* Quirk: bit 22 is reserved in the data sheet; Intel's own drivers set it. */
	wr(port, E1000E_TXDCTL(n), dctl | E1000E_TXDCTL_COUNT);
	wr(port, E1000E_TARC(n), rd(port, E1000E_TARC(n)) | E1000E_TARC_ENABLE);
}

/* Spec: 4.6.6, the values for full duplex. */
static void e1000e_tx_enable(const struct unic_port *port)
{
	uint32_t tctl = rd(port, E1000_TCTL) & ~(E1000E_TCTL_CT_MASK | E1000E_TCTL_COLD_MASK);

	wr(port, E1000_TIDV, 0);
	wr(port, E1000_TADV, 0);
	wr(port, E1000_TIPG, E1000_TIPG_VALUE(8, 2, 10));
	wr(port, E1000_TCTL,
	   tctl | E1000_TCTL_EN | E1000_TCTL_PSP | E1000_TCTL_CT(0x0f) | E1000_TCTL_COLD(0x3f));
}

static void e1000e_rings_free(const struct unic_port *port)
{
	uint32_t i;

	for (i = 0; i < port->queue_count; i++)
		intel_rings_free(port->queues[i]);
}

static int e1000e_rings_alloc(const struct unic_port *port)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < port->queue_count && !err; i++)
		err = intel_rings_alloc(port->queues[i]);
	if (err)
		e1000e_rings_free(port);
	return err;
}

static int e1000e_start(struct unic_port *port)
{
	struct intel *intel = port->priv;
	uint32_t i;
	int err;

	err = e1000e_rings_alloc(port);
	if (err)
		return err;
	e1000e_rx_setup(port);
	e1000e_irq_setup(port);
	for (i = 0; i < port->queue_count; i++)
		e1000e_queue_setup(port->queues[i]);
	err = userpci_bus_master_enable(port->device);
	if (err) {
		e1000e_rings_free(port);
		return err;
	}
	userpci_wmb(); /* the rings before the bits that make the device read them */
	e1000e_tx_enable(port);
	intel->rctl = E1000_RCTL_EN | E1000_RCTL_BAM | E1000_RCTL_BSIZE_2048 | E1000_RCTL_SECRC |
		      intel_rctl_mode(port);
	if (port->config.mtu > UNIC_MTU)
		intel->rctl |= E1000_RCTL_LPE;
	wr(port, E1000_RCTL, intel->rctl);
	return 0;
}

static void e1000e_stop(struct unic_port *port)
{
	const struct intel_queue *q;
	uint32_t i;
	int err = 0;

	e1000e_irq_off(port);
	wr(port, E1000_RCTL, 0);
	/* Frames that are queued leave within a millisecond or two, if the link is up. */
	for (i = 0; i < port->queue_count && !err; i++) {
		q = port->queues[i]->priv;
		err = intel_wait(port->priv, E1000E_TDH(i), 0xffff, q->tx_tail & q->tx_mask);
	}
	wr(port, E1000_TCTL, 0);
	intel_update_stats(port);
	/* QEMU: no vector is disabled before what was held back has come. */
	unic_sleep_us(E1000E_HELD_US);
	(void)userpci_bus_master_disable(port->device);
	/* So that nothing in the FIFOs is left for the next start. */
	(void)e1000e_reset(port);
	e1000e_rings_free(port);
}

/* --- Receiving --- */

static void e1000e_tx_reclaim(struct unic_queue *queue)
{
	intel_tx_reclaim(queue->priv, queue->pool);
}

static int e1000e_rx_burst(struct unic_queue *queue, struct unic_packet **packets,
			   unsigned int count)
{
	static const struct intel_rx_kind kind = { E1000E_RXD_ERRORS, e1000e_tx_reclaim };

	if (queue->port->info.offloads & UNIC_OFFLOAD_HASH)
		return intel_rx(queue, packets, count, kind, true);
	return intel_rx(queue, packets, count, kind, false);
}

/* --- Interrupts --- */

static uint32_t e1000e_causes(const struct unic_queue *queue)
{
	const struct e1000e *e = queue->port->priv;

	if (!e->msix)
		return E1000E_CAUSES;
	return E1000E_INT_RXQ(queue->index) | (queue->index ? 0 : E1000E_INT_OTHER | E1000_INT_LSC);
}

/* Spec: 7.4. A cause that is in ICR already raises the interrupt at once. */
static void e1000e_irq_arm(struct unic_queue *queue)
{
	wr(queue->port, E1000_IMS, e1000e_causes(queue));
}

/* Spec: 10.2.4.1: reading ICR may clear all of it. With MSI-X that would be the other queue's
 * causes, too: there the queue's are cleared by writing, and STATUS tells of the link. Its read
 * carries the writes there: a cause that they take away is that of a frame which is seen by who
 * looks after the next arm. */
static bool e1000e_irq_ack(struct unic_queue *queue)
{
	struct e1000e *e = queue->port->priv;
	bool was, up;

	wr(queue->port, E1000_IMC, e1000e_causes(queue));
	if (!e->msix)
		return rd(queue->port, E1000_ICR) & E1000_INT_LSC;
	wr(queue->port, E1000_ICR, e1000e_causes(queue));
	up = rd(queue->port, E1000_STATUS) & E1000_STATUS_LU;
	if (queue->index)
		return false;
	was = e->up;
	e->up = up;
	return up != was;
}

/* --- Life --- */

static int e1000e_probe(struct unic_port *port)
{
	struct intel *intel = port->priv;
	struct unic_stats none = { 0 };
	int err;

	err = userpci_region_map(port->device, 0, &intel->regs);
	if (err)
		return err;
	err = e1000e_reset(port);
	if (err)
		goto unmap;
	err = e1000e_mac_from_nvm(intel, port->info.mac);
	if (err && err != -ENODEV)
		err = intel_mac_from_filter(intel, port->info.mac);
	if (err)
		goto unmap;
	/* What the registers hold before they were read once is not known. */
	intel_update_stats(port);
	port->device_stats = none;
	port->info.max_queues = E1000E_QUEUES;
	port->info.max_mtu = E1000E_MTU_MAX;
	port->info.can_offload = UNIC_OFFLOAD_ALL;
	return 0;

unmap:
	userpci_region_unmap(&intel->regs);
	return err;
}

static void e1000e_remove(struct unic_port *port)
{
	struct intel *intel = port->priv;

	wr(port, E1000E_CTRL_EXT, rd(port, E1000E_CTRL_EXT) & ~E1000E_CTRL_EXT_DRV_LOAD);
	userpci_region_unmap(&intel->regs);
}

static const struct unic_id e1000e_ids[] = {
	{ 0x8086, 0x10d3 }, /* 82574L */
	{ 0, 0 },
};

const struct unic_driver unic_e1000e = {
	.name = "e1000e",
	.ids = e1000e_ids,
	.priv_size = sizeof(struct e1000e),
	.queue_size = sizeof(struct intel_queue),
	.dma_bits = 64,
	.max_descriptors = 4096,
	.descriptor_multiple = INTEL_TX_BATCH, /* the device's is 8 (7.1.8, 7.2.4) */
	.registers = intel_e1000e_registers,
	.probe = e1000e_probe,
	.remove = e1000e_remove,
	.start = e1000e_start,
	.stop = e1000e_stop,
	.rx_burst = e1000e_rx_burst,
	.tx_burst = intel_tx_burst,
	.rx_pending = intel_rx_pending,
	.irq_arm = e1000e_irq_arm,
	.irq_ack = e1000e_irq_ack,
	.link = intel_link,
	.filter = intel_filter,
	.update_stats = intel_update_stats,
};
