/* SPDX-License-Identifier: MIT */
/*
 * Intel 82576, 8086:10c9: the gigabit controller with sixteen queues that QEMU (8.0 and later) has
 * as igb.
 *
 * Spec: Intel 82576EB Gigabit Ethernet Controller Datasheet, revision 2.7. Sections named in this
 *       file are its.
 * Descriptors: the advanced formats, 16 bytes, one to a buffer; contexts for what is to be done.
 * Not supported: header splitting, VMDq and SR-IOV, IPsec, MACsec, time stamps, flow control,
 *       exact filters for multicast addresses, fibre and SerDes, a PHY shared with firmware.
 * QEMU: the link comes up half a second after the reset, and only when negotiation is started; what
 *       comes before that is lost; sending is over when the write of TDT returns; ICR, IMS and IMC
 *       are at their aliases only; frames without a descriptor are counted nowhere.
 */
#include <errno.h>
#include <string.h>

#include "receive.h"

#define IGB_RELOAD_US	   10000 /* for the device to load its EEPROM after a reset */
#define IGB_FRAME_MAX	   9728	 /* bytes with FCS */
#define IGB_FCS_SIZE	   4
#define IGB_DESCRIPTOR_MAX 4096
#define IGB_L2_SIZE	   14 /* bytes of the header in front of a tag that is put in */

#define IGB_TXD_PLAIN	   (IGB_TXD_DATA | E1000_TXD_DEXT | E1000_TXD_IFCS)
#define IGB_CHECKSUMS	   (UNIC_TX_IP | UNIC_TX_TCP | UNIC_TX_UDP | UNIC_TX_TSO)
#define IGB_CONTEXT	   (IGB_CHECKSUMS | UNIC_PACKET_VLAN)

#define IGB_CAUSES	   (E1000_INT_RXT0 | E1000_INT_RXDMT0 | E1000_INT_RXO | E1000_INT_LSC)

struct igb {
	struct intel intel;
	bool msix; /* a vector for each queue, and for the link with the first */
};

/* Only the last descriptor of a frame is reported, so batches are of any length: it is kept. */
struct igb_queue {
	struct intel_queue intel;
	uint32_t tx_marked; /* up to here reports were asked for */
	uint32_t mark_tail, mark_clean;
	uint16_t marks[IGB_DESCRIPTOR_MAX]; /* descriptors to a report, likewise a ring */
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

static void igb_irq_off(const struct unic_port *port)
{
	wr(port, IGB_EIMC, E1000_INT_ALL);
	wr(port, E1000_IMC, E1000_INT_ALL);
	wr(port, IGB_EICR, E1000_INT_ALL);
	(void)rd(port, E1000_ICR);
}

static int igb_phy(const struct unic_port *port, uint32_t command, uint16_t *value)
{
	int err;

	wr(port, IGB_MDIC, command);
	err = intel_wait(port->priv, IGB_MDIC, IGB_MDIC_READY, IGB_MDIC_READY);
	if (!err && value)
		*value = (uint16_t)(rd(port, IGB_MDIC) & IGB_MDIC_DATA);
	return err;
}

/* The PHY negotiates speed and duplex, by itself when it has power; the MAC follows. Who comes
 * after a driver that has stopped it, and QEMU's model, need the start to be asked for. */
static int igb_link_up(const struct unic_port *port)
{
	uint32_t ctrl = rd(port, E1000_CTRL);
	uint16_t status = 0;
	int err;

	ctrl &= ~(IGB_CTRL_GIO_DISABLE | IGB_CTRL_LRST | E1000_CTRL_ILOS | E1000_CTRL_FRCSPD |
		  E1000_CTRL_FRCDPLX | E1000_CTRL_RST | E1000_CTRL_RFCE | E1000_CTRL_TFCE |
		  E1000_CTRL_VME | E1000_CTRL_PHY_RST);
	wr(port, E1000_CTRL, ctrl | E1000_CTRL_SLU);
	if (rd(port, E1000_STATUS) & E1000_STATUS_LU)
		return 0;
	err = igb_phy(port, IGB_MDIC_READ(IGB_PHY_STATUS), &status);
	if (err || status & IGB_PHY_NEGOTIATED)
		return err;
	return igb_phy(port, IGB_MDIC_WRITE(IGB_PHY_CONTROL, IGB_PHY_NEGOTIATE | IGB_PHY_RESTART),
		       NULL);
}

/* Spec: 4.5.3 to 4.5.7. */
static int igb_reset(const struct unic_port *port)
{
	const struct intel *intel = port->priv;
	int err;

	/* 1. No interrupts; receiver and transmitter off. The read carries the writes there. */
	igb_irq_off(port);
	wr(port, E1000_RCTL, 0);
	wr(port, E1000_TCTL, 0);
	if (rd(port, E1000_STATUS) == INTEL_GONE)
		return -ENODEV;
	/* 2. Spec: 8.2.1: no request to memory is under way when it is reset. Should one be stuck,
	 * the reset is what helps. */
	wr(port, E1000_CTRL, rd(port, E1000_CTRL) | IGB_CTRL_GIO_DISABLE);
	err = intel_wait(intel, E1000_STATUS, IGB_STATUS_GIO, 0);
	if (err == -ENODEV)
		return err;
	/* 3. Spec: 4.2.1.6.1: not looked at within the first millisecond. CTRL.RST clears itself,
	 * and loads the EEPROM anew. */
	wr(port, E1000_CTRL, rd(port, E1000_CTRL) | E1000_CTRL_RST);
	unic_sleep_us(IGB_RELOAD_US);
	err = intel_wait(intel, E1000_CTRL, E1000_CTRL_RST, 0);
	if (err)
		return err;
	/* 4. Spec: 4.5.4: once more, and the causes that the reset raised. */
	igb_irq_off(port);
	/* 5. The link. */
	wr(port, IGB_CTRL_EXT, rd(port, IGB_CTRL_EXT) | IGB_CTRL_EXT_DRV_LOAD);
	return igb_link_up(port);
}

/* --- Setup --- */

/* Spec: 4.5.9. */
static void igb_rx_setup(struct unic_port *port)
{
	uint32_t ctrl = rd(port, E1000_CTRL) & ~E1000_CTRL_VME, rxcsum = 0, mrqc = 0;
	uint32_t offloads = port->info.offloads;

	if (offloads & UNIC_OFFLOAD_VLAN_STRIP)
		ctrl |= E1000_CTRL_VME;
	else
		/* Spec: 8.2.1: VME lets tags in and out. */
		port->info.offloads &= ~UNIC_OFFLOAD_VLAN_INSERT;
	wr(port, E1000_CTRL, ctrl);
	wr(port, E1000_VET, E1000_VET_8021Q);
	intel_filter_set(port);
	if (offloads & UNIC_OFFLOAD_RX_CHECKSUM)
		rxcsum |= E1000_RXCSUM_IPOFL | E1000_RXCSUM_TUOFL;
	if (offloads & (UNIC_OFFLOAD_RSS | UNIC_OFFLOAD_HASH)) {
		intel_rss_set(port, 0);
		rxcsum |= E1000E_RXCSUM_PCSD;
		mrqc = IGB_MRQC_RSS | IGB_MRQC_FIELDS;
	}
	wr(port, E1000_RXCSUM, rxcsum);
	wr(port, E1000E_MRQC, mrqc);
	wr(port, IGB_RLPML, port->config.mtu + UNIC_OVERHEAD + IGB_FCS_SIZE);
}

/* Spec: 7.3: with MSI-X the queue's vector is its number, and that of the link is 0. */
static void igb_irq_setup(const struct unic_port *port)
{
	struct igb *igb = port->priv;
	uint32_t i, ivar[IGB_IVAR_COUNT] = { 0 };

	igb->msix = port->vectors && userpci_irq_kind(port->device) == USERPCI_IRQ_MSIX;
	wr(port, IGB_GPIE,
	   igb->msix ? IGB_GPIE_NSICR | IGB_GPIE_MULTIPLE | IGB_GPIE_PBA : IGB_GPIE_NSICR);
	if (!igb->msix)
		return;
	for (i = 0; i < port->queue_count; i++) {
		ivar[i % IGB_IVAR_COUNT] |= IGB_IVAR_RX(i, i);
		wr(port, IGB_EITR(i), 0);
	}
	for (i = 0; i < IGB_IVAR_COUNT; i++)
		wr(port, IGB_IVAR(i), ivar[i]);
	wr(port, IGB_IVAR_MISC, IGB_IVAR_MISC_OTHER(0));
	wr(port, IGB_EIAC, (1u << port->queue_count) - 1);
	wr(port, E1000_IMS, E1000_INT_LSC);
}

/* Spec: 8.10.10, 8.12.13: a queue is not enabled before the receiver or transmitter is, and takes
 * no tail before that. */
static int igb_queue_enable(struct unic_queue *queue)
{
	const struct unic_port *port = queue->port;
	struct intel_queue *q = queue->priv;
	uint32_t n = queue->index;
	int err;

	intel_rx_ring_set(queue, IGB_RDBAL(n));
	intel_tx_ring_set(queue, IGB_TDBAL(n));
	wr(port, IGB_SRRCTL(n),
	   IGB_SRRCTL_2048 | IGB_SRRCTL_ONE | (port->queue_count > 1 ? IGB_SRRCTL_DROP : 0));
	wr(port, IGB_RXDCTL(n), IGB_DCTL_ENABLE | IGB_DCTL_THRESHOLDS(8, 8, 1));
	wr(port, IGB_TXDCTL(n), IGB_DCTL_ENABLE | IGB_DCTL_THRESHOLDS(8, 1, 0));
	err = intel_wait(port->priv, IGB_RXDCTL(n), IGB_DCTL_ENABLE, IGB_DCTL_ENABLE);
	if (!err)
		err = intel_wait(port->priv, IGB_TXDCTL(n), IGB_DCTL_ENABLE, IGB_DCTL_ENABLE);
	if (!err)
		wr(port, IGB_RDT(n), q->rx_mask);
	return err;
}

/* Spec: 4.5.9.2, 4.5.10.1: a queue that says that it is disabled touches no memory any more. */
static int igb_queues_disable(const struct unic_port *port)
{
	const struct intel *intel = port->priv;
	const struct intel_queue *q;
	uint32_t i;
	int err = 0;

	/* What is queued leaves within milliseconds, if the link is up. */
	for (i = 0; i < port->queue_count && !err; i++) {
		q = port->queues[i]->priv;
		err = intel_wait(intel, IGB_TDH(i), 0xffff, q->tx_tail & q->tx_mask);
	}
	for (err = 0, i = 0; i < port->queue_count; i++) {
		wr(port, IGB_RXDCTL(i), 0);
		wr(port, IGB_TXDCTL(i), 0);
	}
	for (i = 0; i < port->queue_count && !err; i++) {
		err = intel_wait(intel, IGB_RXDCTL(i), IGB_DCTL_ENABLE, 0);
		if (!err)
			err = intel_wait(intel, IGB_TXDCTL(i), IGB_DCTL_ENABLE, 0);
	}
	wr(port, E1000_RCTL, 0);
	wr(port, E1000_TCTL, 0);
	return err;
}

static void igb_update_stats(struct unic_port *port)
{
	uint32_t i, value;

	intel_update_stats(port);
	for (i = 0; i < port->queue_count; i++) {
		value = rd(port, IGB_RQDPC(i));
		if (value != INTEL_GONE)
			port->device_stats.rx_missed += value & IGB_RQDPC_MASK;
	}
}

static void igb_rings_free(const struct unic_port *port)
{
	uint32_t i;

	for (i = 0; i < port->queue_count; i++)
		intel_rings_free(port->queues[i]);
}

static int igb_rings_alloc(const struct unic_port *port)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < port->queue_count && !err; i++)
		err = intel_rings_alloc(port->queues[i]);
	if (err)
		igb_rings_free(port);
	return err;
}

static void igb_stop(struct unic_port *port)
{
	int err;

	igb_irq_off(port);
	err = igb_queues_disable(port);
	igb_update_stats(port);
	(void)userpci_bus_master_disable(port->device);
	if (err)
		(void)igb_reset(port);
	igb_rings_free(port);
}

static int igb_start(struct unic_port *port)
{
	struct intel *intel = port->priv;
	uint32_t i;
	int err;

	err = igb_rings_alloc(port);
	if (err)
		return err;
	igb_rx_setup(port);
	igb_irq_setup(port);
	err = userpci_bus_master_enable(port->device);
	if (err) {
		igb_rings_free(port);
		return err;
	}
	userpci_wmb(); /* the rings before the bits that make the device read them */
	wr(port, E1000_TCTL, rd(port, E1000_TCTL) | E1000_TCTL_EN | E1000_TCTL_PSP);
	intel->rctl = E1000_RCTL_EN | E1000_RCTL_LPE | E1000_RCTL_BAM | E1000_RCTL_SECRC |
		      intel_rctl_mode(port);
	wr(port, E1000_RCTL, intel->rctl);
	for (i = 0; i < port->queue_count && !err; i++)
		err = igb_queue_enable(port->queues[i]);
	if (err)
		igb_stop(port);
	return err;
}

/* --- Packets that were sent --- */

/* Asks for a report of what was queued last, a whole frame. */
static inline void igb_tx_mark(struct igb_queue *i)
{
	struct intel_queue *q = &i->intel;

	q->tx_ring[(q->tx_tail - 1) & q->tx_mask].word |= userpci_cpu_to_le64(E1000_TXD_RS);
	i->marks[i->mark_tail++ & q->tx_mask] = (uint16_t)(q->tx_tail - i->tx_marked);
	i->tx_marked = q->tx_tail;
}

/* Gives back what the device reported as sent. */
static inline void igb_tx_reclaim(struct unic_queue *queue)
{
	struct igb_queue *i = queue->priv;
	struct intel_queue *q = &i->intel;
	uint32_t end, from, first;

	while (i->mark_clean != i->mark_tail) {
		end = q->tx_clean + i->marks[i->mark_clean & q->tx_mask];
		if (!(userpci_le64_to_cpu(q->tx_ring[(end - 1) & q->tx_mask].word) & E1000_TXD_DD))
			break;
		from = q->tx_clean & q->tx_mask;
		first = end - q->tx_clean;
		if (first > q->tx_mask + 1 - from)
			first = q->tx_mask + 1 - from;
		if (q->tx_empty) {
			intel_tx_reclaim_odd(q, queue->pool, end);
		} else {
			unic_pool_put_burst(queue->pool, q->tx_packets + from, first);
			unic_pool_put_burst(queue->pool, q->tx_packets, end - q->tx_clean - first);
		}
		q->tx_clean = end;
		i->mark_clean++;
	}
}

/* --- Receiving --- */

static int igb_rx_burst(struct unic_queue *queue, struct unic_packet **packets, unsigned int count)
{
	static const struct intel_rx_kind kind = { E1000E_RXD_RXE, igb_tx_reclaim };

	if (queue->port->info.offloads & UNIC_OFFLOAD_HASH)
		return intel_rx(queue, packets, count, kind, true);
	return intel_rx(queue, packets, count, kind, false);
}

/* --- Sending --- */

/* Fills descriptors up to the end of the ring or until a report is due, and stops at a packet that
 * is not simply sent. */
static inline unsigned int igb_tx_run(struct unic_queue *queue, struct unic_packet **packets,
				      unsigned int count)
{
	struct igb_queue *i = queue->priv;
	struct intel_queue *q = &i->intel;
	uint32_t index = q->tx_tail & q->tx_mask, space = queue->space;
	volatile struct intel_desc *desc = q->tx_ring + index;
	struct unic_packet **slot = q->tx_packets + index, *packet;
	const struct unic_pool *pool = queue->pool;
	uint32_t batch = INTEL_TX_BATCH - (q->tx_tail - i->tx_marked);
	uint64_t length, max = queue->tx_max - UNIC_FRAME_MIN, bytes = 0;
	size_t n;

	if (count > batch)
		count = batch;
	if (count > q->tx_mask + 1 - index)
		count = q->tx_mask + 1 - index;
	for (n = 0; n < count; n++) {
		packet = packets[n];
		length = packet->length;
		if (length - UNIC_FRAME_MIN > max || packet->pool != pool ||
		    packet->flags & UNIC_TX_FLAGS)
			break;
		slot[n] = packet;
		bytes += length;
		desc[n].address = userpci_cpu_to_le64(packet->iova[space] +
						      (uint64_t)(int64_t)packet->offset);
		desc[n].word = userpci_cpu_to_le64(length * (1 + IGB_TXD_PAYLEN(1)) +
						   (IGB_TXD_PLAIN | E1000_TXD_EOP));
	}
	q->tx_tail += (uint32_t)n;
	queue->stats.tx_packets += n;
	queue->stats.tx_bytes += bytes;
	if (n == batch)
		igb_tx_mark(i);
	return (unsigned int)n;
}

static bool igb_is_ip4(struct unic_packet *packet)
{
	return unic_packet_data(packet)[packet->l2_length] >> 4 == 4;
}

/* Spec: 7.2.2.2. The tag is not in the descriptor of the data, either. */
static void igb_context(struct unic_packet *packet, uint64_t context[2])
{
	bool checksums = packet->flags & IGB_CHECKSUMS;

	context[0] = IGB_TXC_MACLEN(checksums ? packet->l2_length : IGB_L2_SIZE);
	context[1] = IGB_TXC | E1000_TXD_DEXT;
	if (packet->flags & UNIC_PACKET_VLAN)
		context[0] |= IGB_TXC_VLAN(packet->vlan);
	if (!checksums)
		return;
	context[0] |= IGB_TXC_IPLEN(packet->l3_length);
	if (igb_is_ip4(packet))
		context[1] |= IGB_TXC_IP;
	if (packet->flags & (UNIC_TX_TCP | UNIC_TX_TSO))
		context[1] |= IGB_TXC_TCP;
	if (packet->flags & UNIC_TX_TSO)
		context[1] |= IGB_TXC_L4LEN(packet->l4_length) | IGB_TXC_MSS(packet->mss);
}

/* Spec: 7.2.2.3. What all descriptors of the packet have. */
static uint64_t igb_command(struct unic_packet *packet)
{
	uint64_t word = IGB_TXD_PLAIN;
	uint32_t headers = 0;

	if (packet->flags & UNIC_PACKET_VLAN)
		word |= E1000_TXD_VLE;
	if (packet->flags & (UNIC_TX_IP | UNIC_TX_TSO) && igb_is_ip4(packet))
		word |= E1000_TXD_IXSM;
	if (packet->flags & (UNIC_TX_TCP | UNIC_TX_UDP | UNIC_TX_TSO))
		word |= E1000_TXD_TXSM;
	if (packet->flags & UNIC_TX_TSO) {
		word |= IGB_TXD_TSE;
		headers = packet->l2_length + packet->l3_length + packet->l4_length;
	}
	return word | IGB_TXD_PAYLEN(unic_packet_total(packet) - headers);
}

/* Whether a context is due; -EINVAL: no descriptor can say it. */
static int igb_context_due(struct unic_queue *queue, struct unic_packet *packet,
			   uint64_t context[2])
{
	const struct intel_queue *q = queue->priv;

	if (!(packet->flags & IGB_CONTEXT))
		return 0;
	if (packet->flags & IGB_CHECKSUMS && packet->l2_length > IGB_TXC_MACLEN_MAX)
		return -EINVAL;
	igb_context(packet, context);
	return !!memcmp(context, q->tx_context, sizeof(q->tx_context));
}

static void igb_tx_put(struct intel_queue *q, struct unic_packet *packet, uint64_t address,
		       uint64_t word)
{
	uint32_t index = q->tx_tail++ & q->tx_mask;

	q->tx_packets[index] = packet;
	if (!packet)
		q->tx_empty++;
	q->tx_ring[index].address = userpci_cpu_to_le64(address);
	q->tx_ring[index].word = userpci_cpu_to_le64(word);
}

static int igb_tx_drop(struct unic_packet *packet, uint64_t *counter)
{
	(*counter)++;
	unic_packet_free(packet);
	return -EINVAL;
}

/* 1: it is in the ring, 0: there is no room for it, -EINVAL: it was dropped. */
__attribute__((noinline)) static int igb_tx_odd(struct unic_queue *queue,
						struct unic_packet *packet, uint32_t room)
{
	struct igb_queue *i = queue->priv;
	struct intel_queue *q = &i->intel;
	int n = unic_tx_prepare(queue, packet, false), due;
	uint64_t context[2], word;

	if (n < 0)
		return n;
	due = igb_context_due(queue, packet, context);
	if (due < 0)
		return igb_tx_drop(packet, &queue->stats.tx_bad_offload);
	if ((uint32_t)(n + due) > q->tx_mask) /* there never will be */
		return igb_tx_drop(packet, &queue->stats.tx_bad_length);
	if ((uint32_t)(n + due) > room)
		return 0;
	if (due) {
		memcpy(q->tx_context, context, sizeof(context));
		igb_tx_put(q, NULL, context[0], context[1]);
	}
	word = igb_command(packet);
	queue->stats.tx_packets++;
	queue->stats.tx_bytes += unic_packet_total(packet);
	for (; n; n--, packet = packet->next)
		igb_tx_put(q, packet,
			   packet->iova[queue->space] + (uint64_t)(int64_t)packet->offset,
			   word | packet->length | (n == 1 ? E1000_TXD_EOP : 0));
	if (q->tx_tail - i->tx_marked >= INTEL_TX_BATCH)
		igb_tx_mark(i);
	return 1;
}

static int igb_tx_burst(struct unic_queue *queue, struct unic_packet **packets, unsigned int count)
{
	struct igb_queue *i = queue->priv;
	struct intel_queue *q = &i->intel;
	uint32_t first = q->tx_tail, room;
	unsigned int n = 0, run;
	int odd;

	igb_tx_reclaim(queue);
	while (n < count && (room = q->tx_mask - (q->tx_tail - q->tx_clean))) {
		run = igb_tx_run(queue, packets + n, count - n < room ? count - n : room);
		n += run;
		if (run)
			continue;
		odd = igb_tx_odd(queue, packets[n], room);
		if (!odd)
			break;
		n++;
	}
	if (q->tx_tail == first)
		return (int)n;
	if (i->tx_marked != q->tx_tail)
		igb_tx_mark(i);
	userpci_wmb(); /* the descriptors, and the frames, before the tail */
	userpci_write32(q->regs, q->tx_tail_reg, q->tx_tail & q->tx_mask);
	return (int)n;
}

/* --- Interrupts --- */

/* Spec: 7.3. A cause that is in EICR, or ICR, already raises the interrupt at once. */
static void igb_irq_arm(struct unic_queue *queue)
{
	const struct igb *igb = queue->port->priv;

	if (igb->msix)
		wr(queue->port, IGB_EIMS, 1u << queue->index);
	else
		wr(queue->port, E1000_IMS, IGB_CAUSES);
}

/* With MSI-X the queue's cause has gone with its message; one that came since is for the next
 * arm. */
static bool igb_irq_ack(struct unic_queue *queue)
{
	const struct igb *igb = queue->port->priv;

	if (igb->msix)
		wr(queue->port, IGB_EIMC, 1u << queue->index);
	else
		wr(queue->port, E1000_IMC, IGB_CAUSES);
	if (queue->index)
		return false;
	return rd(queue->port, E1000_ICR) & E1000_INT_LSC;
}

/* --- Life --- */

static int igb_probe(struct unic_port *port)
{
	struct intel *intel = port->priv;
	struct unic_stats none = { 0 };
	int err;

	err = userpci_region_map(port->device, 0, &intel->regs);
	if (err)
		return err;
	err = igb_reset(port);
	if (!err)
		/* Spec: 8.10: the reset has put that of this function there. */
		err = intel_mac_from_filter(intel, port->info.mac);
	if (rd(port, E1000_STATUS) == INTEL_GONE)
		err = -ENODEV;
	if (err) {
		userpci_region_unmap(&intel->regs);
		return err;
	}
	/* Spec: 4.5.8: what the registers hold before they were read once is not known. */
	intel_update_stats(port);
	port->device_stats = none;
	port->info.max_queues = UNIC_QUEUES_MAX;
	port->info.max_mtu = IGB_FRAME_MAX - IGB_FCS_SIZE - UNIC_OVERHEAD;
	port->info.can_offload = UNIC_OFFLOAD_ALL;
	return 0;
}

static void igb_remove(struct unic_port *port)
{
	struct intel *intel = port->priv;

	wr(port, IGB_CTRL_EXT, rd(port, IGB_CTRL_EXT) & ~IGB_CTRL_EXT_DRV_LOAD);
	userpci_region_unmap(&intel->regs);
}

static const struct unic_id igb_ids[] = {
	{ 0x8086, 0x10c9 }, /* 82576, copper */
	{ 0, 0 },
};

const struct unic_driver unic_igb = {
	.name = "igb",
	.ids = igb_ids,
	.priv_size = sizeof(struct igb),
	.queue_size = sizeof(struct igb_queue),
	.dma_bits = 64,
	.max_descriptors = IGB_DESCRIPTOR_MAX,
	.descriptor_multiple = 8, /* rings are of 128 bytes each (8.10, 8.12) */
	.registers = intel_igb_registers,
	.probe = igb_probe,
	.remove = igb_remove,
	.start = igb_start,
	.stop = igb_stop,
	.rx_burst = igb_rx_burst,
	.tx_burst = igb_tx_burst,
	.rx_pending = intel_rx_pending,
	.irq_arm = igb_irq_arm,
	.irq_ack = igb_irq_ack,
	.link = intel_link,
	.filter = intel_filter,
	.update_stats = igb_update_stats,
};
