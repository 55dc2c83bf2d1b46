/* SPDX-License-Identifier: MIT */
/*
 * Intel 82540EM, 8086:100e: the gigabit controller that QEMU has as e1000.
 *
 * Spec: PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, 317453,
 *       revision 4.0. Sections named in this file are its.
 * Descriptors: the legacy format, 16 bytes, one to a frame.
 * Not supported: frames above 1518 bytes with FCS, VLAN and checksum offloads, flow control,
 *       multicast filters, forced link speeds.
 * QEMU: CTRL.RST leaves the registers as they are; PSP pads nothing; sending is over when the write
 *       of TDT returns; a write of RCTL stops the receiver for a second of virtual time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <unic/driver.h>

#include "regs.h"

#define E1000_TX_BATCH	 32    /* descriptors to one report of the device */
#define E1000_TIMEOUT_US 50000 /* for a register to change: most take a microsecond */
#define E1000_PAUSE_US	 50    /* between two looks at it */
#define E1000_RELOAD_US	 5000  /* for the device to load its EEPROM after a reset */
#define E1000_GONE	 0xffffffffu

/* What must be true of a descriptor for its frame to be handed out as it is: it is done, the frame
 * is whole and without error, and shorter than the buffer. One test for all. */
#define E1000_RXD_GOOD (E1000_RXD_DD | E1000_RXD_EOP)
#define E1000_RXD_ERRORS \
	(E1000_RXD_CE | E1000_RXD_SE | E1000_RXD_SEQ | E1000_RXD_CXE | E1000_RXD_RXE)
#define E1000_RXD_LENGTH  0xffffull
#define E1000_RXD_TOOLONG (E1000_RXD_LENGTH & ~(UNIC_PACKET_ROOM - 1ull))
#define E1000_RXD_CHECK	  (E1000_RXD_GOOD | E1000_RXD_ERRORS | E1000_RXD_TOOLONG)
_Static_assert(UNIC_PACKET_ROOM == 2048, "RCTL.BSIZE and E1000_RXD_TOOLONG");

/* Positions in a ring count on without end and are masked where they index. */
struct e1000 {
	volatile struct e1000_desc *rx_ring;
	struct unic_packet **rx_packets; /* that of each descriptor */
	uint32_t rx_next;		 /* the first that is not taken */
	uint32_t rx_mask;
	bool rx_skip; /* the next descriptor continues a frame that is dropped */

	volatile struct e1000_desc *tx_ring;
	struct unic_packet **tx_packets;
	uint32_t tx_tail;  /* the next to be filled */
	uint32_t tx_clean; /* the first whose packet is not back in the pool */
	uint32_t tx_mask;

	struct userpci_region regs;
	struct userpci_dma rings; /* of receive, then of transmit descriptors */
};

static uint32_t rd(const struct e1000 *e, uint32_t reg)
{
	return userpci_read32(&e->regs, reg);
}

static void wr(const struct e1000 *e, uint32_t reg, uint32_t value)
{
	userpci_write32(&e->regs, reg, value);
}

static int e1000_wait(const struct e1000 *e, uint32_t reg, uint32_t mask, uint32_t want)
{
	unsigned int waited;
	uint32_t value;

	for (waited = 0; waited < E1000_TIMEOUT_US; waited += E1000_PAUSE_US) {
		value = rd(e, reg);
		if (value == E1000_GONE)
			return -ENODEV;
		if ((value & mask) == want)
			return 0;
		unic_sleep_us(E1000_PAUSE_US);
	}
	return -ETIMEDOUT;
}

static void e1000_irq_ack(struct unic_port *port)
{
	const struct e1000 *e = port->priv;

	wr(e, E1000_IMC, E1000_INT_ALL);
	(void)rd(e, E1000_ICR);
}

/* Spec: 14.3. The PHY negotiates speed and duplex by itself, the MAC follows. */
static void e1000_link_up(const struct e1000 *e)
{
	uint32_t ctrl = rd(e, E1000_CTRL);

	ctrl &= ~(E1000_CTRL_ILOS | E1000_CTRL_FRCSPD | E1000_CTRL_FRCDPLX | E1000_CTRL_RST |
		  E1000_CTRL_RFCE | E1000_CTRL_TFCE | E1000_CTRL_VME | E1000_CTRL_PHY_RST);
	wr(e, E1000_CTRL, ctrl | E1000_CTRL_ASDE | E1000_CTRL_SLU);
	wr(e, E1000_FCAL, 0);
	wr(e, E1000_FCAH, 0);
	wr(e, E1000_FCT, 0);
	wr(e, E1000_FCTTV, 0);
}

static int e1000_reset(struct unic_port *port)
{
	const struct e1000 *e = port->priv;
	uint32_t status;
	int err;

	/* 1. No interrupts; receiver and transmitter off. The read carries the writes there. */
	wr(e, E1000_IMC, E1000_INT_ALL);
	wr(e, E1000_RCTL, 0);
	wr(e, E1000_TCTL, 0);
	status = rd(e, E1000_STATUS);
	if (status == E1000_GONE)
		return -ENODEV;
	/* 2. Spec: 13.4.1. CTRL.RST clears itself, and loads the EEPROM anew. */
	wr(e, E1000_CTRL, rd(e, E1000_CTRL) | E1000_CTRL_RST);
	unic_sleep_us(E1000_RELOAD_US);
	err = e1000_wait(e, E1000_CTRL, E1000_CTRL_RST, 0);
	if (err)
		return err;
	/* 3. Causes that the reset raised. */
	e1000_irq_ack(port);
	/* 4. The link. */
	e1000_link_up(e);
	return 0;
}

/* Spec: 5.3.1. */
static int e1000_eeprom_read(const struct e1000 *e, uint32_t word, uint16_t *value)
{
	int err;

	wr(e, E1000_EERD, E1000_EERD_ADDR(word) | E1000_EERD_START);
	err = e1000_wait(e, E1000_EERD, E1000_EERD_DONE, E1000_EERD_DONE);
	if (!err)
		*value = (uint16_t)E1000_EERD_DATA(rd(e, E1000_EERD));
	return err;
}

static bool e1000_mac_valid(const uint8_t mac[UNIC_MAC_SIZE])
{
	static const uint8_t zero[UNIC_MAC_SIZE];

	return !(mac[0] & 1) && memcmp(mac, zero, sizeof(zero));
}

/* Spec: 5.6.1: words 0 to 2, the low byte of each first. */
static int e1000_mac_from_eeprom(const struct e1000 *e, uint8_t mac[UNIC_MAC_SIZE])
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
	return e1000_mac_valid(mac) ? 0 : -EIO;
}

/* Spec: 13.5.2. The reset loaded them from the EEPROM; firmware may have changed them. */
static int e1000_mac_from_filter(const struct e1000 *e, uint8_t mac[UNIC_MAC_SIZE])
{
	uint32_t low = rd(e, E1000_RAL(0)), high = rd(e, E1000_RAH(0));
	unsigned int i;

	for (i = 0; i < UNIC_MAC_SIZE; i++)
		mac[i] = (uint8_t)(i < 4 ? low >> 8 * i : high >> 8 * (i - 4));
	return e1000_mac_valid(mac) ? 0 : -EIO;
}

static int e1000_rings_alloc(struct unic_port *port)
{
	uint32_t rx = port->config.rx_descriptors, tx = port->config.tx_descriptors;
	struct e1000 *e = port->priv;
	int err;

	err = userpci_dma_alloc(port->device, (rx + tx) * sizeof(struct e1000_desc), &e->rings);
	if (err)
		return err;
	e->rx_packets = calloc(rx + tx, sizeof(struct unic_packet *));
	if (!e->rx_packets) {
		userpci_dma_free(&e->rings);
		return -ENOMEM;
	}
	e->rx_ring = e->rings.va;
	e->rx_mask = rx - 1;
	e->tx_ring = e->rx_ring + rx;
	e->tx_packets = e->rx_packets + rx;
	e->tx_mask = tx - 1;
	return 0;
}

static void e1000_rings_free(struct e1000 *e)
{
	free(e->rx_packets);
	userpci_dma_free(&e->rings);
}

static void e1000_rx_put(struct e1000 *e, uint32_t index, struct unic_packet *packet)
{
	e->rx_packets[index] = packet;
	e->rx_ring[index].address = userpci_cpu_to_le64(packet->iova);
	e->rx_ring[index].word = userpci_cpu_to_le64(0);
}

static int e1000_rings_fill(struct unic_port *port)
{
	struct e1000 *e = port->priv;
	uint32_t index;

	if (port->pool->free_count <= e->rx_mask)
		return -ENOMEM;
	memset(e->rings.va, 0xff, e->rings.size);
	for (index = 0; index <= e->rx_mask; index++)
		e1000_rx_put(e, index, unic_pool_get(port->pool));
	e->rx_next = 0;
	e->rx_skip = false;
	e->tx_tail = 0;
	e->tx_clean = 0;
	return 0;
}

static void e1000_rings_drain(struct e1000 *e)
{
	uint32_t index;

	for (index = 0; index <= e->rx_mask; index++)
		unic_packet_free(e->rx_packets[index]);
	for (; e->tx_clean != e->tx_tail; e->tx_clean++)
		unic_packet_free(e->tx_packets[e->tx_clean & e->tx_mask]);
}

/* Spec: 13.5.3: written from low to high, cleared from high to low. */
static void e1000_filter_set(const struct e1000 *e, const uint8_t mac[UNIC_MAC_SIZE])
{
	uint32_t high = mac[4] | (uint32_t)mac[5] << 8, low, i;

	low = mac[0] | (uint32_t)mac[1] << 8 | (uint32_t)mac[2] << 16 | (uint32_t)mac[3] << 24;
	for (i = 0; i < E1000_RA_COUNT; i++) {
		wr(e, E1000_RAH(i), 0);
		wr(e, E1000_RAL(i), 0);
	}
	wr(e, E1000_RAL(0), low);
	wr(e, E1000_RAH(0), high | E1000_RAH_AV);
	for (i = 0; i < E1000_MTA_COUNT; i++)
		wr(e, E1000_MTA(i), 0);
}

/* Spec: 14.4. All descriptors have a buffer; the one at the tail is not the device's. */
static void e1000_rx_setup(const struct unic_port *port)
{
	const struct e1000 *e = port->priv;

	e1000_filter_set(e, port->info.mac);
	wr(e, E1000_RXCSUM, 0);
	wr(e, E1000_RDTR, 0);
	wr(e, E1000_RADV, 0);
	wr(e, E1000_ITR, 0);
	wr(e, E1000_RDBAL, (uint32_t)e->rings.iova);
	wr(e, E1000_RDBAH, (uint32_t)(e->rings.iova >> 32));
	wr(e, E1000_RDLEN, (e->rx_mask + 1) * (uint32_t)sizeof(struct e1000_desc));
	wr(e, E1000_RDH, 0);
	wr(e, E1000_RDT, e->rx_mask);
}

/* Spec: 14.5. */
static void e1000_tx_setup(const struct e1000 *e)
{
	uint64_t iova = e->rings.iova + (e->rx_mask + 1) * sizeof(struct e1000_desc);

	wr(e, E1000_TIDV, 0);
	wr(e, E1000_TADV, 0);
	wr(e, E1000_TDBAL, (uint32_t)iova);
	wr(e, E1000_TDBAH, (uint32_t)(iova >> 32));
	wr(e, E1000_TDLEN, (e->tx_mask + 1) * (uint32_t)sizeof(struct e1000_desc));
	wr(e, E1000_TDH, 0);
	wr(e, E1000_TDT, 0);
	wr(e, E1000_TIPG, E1000_TIPG_VALUE(10, 8, 6));
}

static void e1000_update_stats(struct unic_port *port)
{
	static const uint16_t errors[] = { E1000_CRCERRS, E1000_ALGNERRC, E1000_RXERRC,
					   E1000_RLEC };
	const struct e1000 *e = port->priv;
	uint32_t value = rd(e, E1000_MPC);
	unsigned int i;

	if (value != E1000_GONE)
		port->stats.rx_missed += value;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		value = rd(e, errors[i]);
		if (value != E1000_GONE)
			port->stats.rx_errors += value;
	}
}

static int e1000_start(struct unic_port *port)
{
	struct e1000 *e = port->priv;
	uint32_t rctl = E1000_RCTL_EN | E1000_RCTL_BAM | E1000_RCTL_BSIZE_2048 | E1000_RCTL_SECRC;
	int err;

	if (port->config.flags & UNIC_CONFIG_PROMISCUOUS)
		rctl |= E1000_RCTL_UPE | E1000_RCTL_MPE;
	err = e1000_rings_fill(port);
	if (err)
		return err;
	e1000_rx_setup(port);
	e1000_tx_setup(e);
	err = userpci_bus_master_enable(port->device);
	if (err) {
		e1000_rings_drain(e);
		return err;
	}
	userpci_wmb(); /* the rings before the bits that make the device read them */
	/* Spec: tables 13-67 and 13-76, the values for full duplex. */
	wr(e, E1000_TCTL,
	   E1000_TCTL_EN | E1000_TCTL_PSP | E1000_TCTL_CT(0x0f) | E1000_TCTL_COLD(0x40));
	wr(e, E1000_RCTL, rctl); /* QEMU: once only, see above */
	return 0;
}

static void e1000_stop(struct unic_port *port)
{
	struct e1000 *e = port->priv;

	wr(e, E1000_IMC, E1000_INT_ALL);
	wr(e, E1000_RCTL, 0);
	/* Frames that are queued leave within a millisecond or two, if the link is up. */
	(void)e1000_wait(e, E1000_TDH, 0xffff, e->tx_tail & e->tx_mask);
	wr(e, E1000_TCTL, 0);
	e1000_update_stats(port);
	(void)userpci_bus_master_disable(port->device);
	/* So that nothing in the FIFOs is left for the next start. */
	(void)e1000_reset(port);
	e1000_rings_drain(e);
}

/* Gives back what the device reported as sent. Reports are asked for at the end of each batch, and
 * of each burst. */
static void e1000_tx_reclaim(struct e1000 *e, struct unic_pool *pool)
{
	uint32_t clean = e->tx_clean, end, last;

	while (clean != e->tx_tail) {
		end = (clean | (E1000_TX_BATCH - 1)) + 1;
		if ((int32_t)(end - e->tx_tail) > 0)
			end = e->tx_tail;
		last = (end - 1) & e->tx_mask;
		if (!(userpci_le64_to_cpu(e->tx_ring[last].word) & E1000_TXD_DD))
			break;
		unic_pool_put_burst(pool, e->tx_packets + (clean & e->tx_mask), end - clean);
		clean = end;
	}
	e->tx_clean = clean;
}

/* Takes good frames up to the end of the ring; @count packets must be in the pool. */
static inline unsigned int e1000_rx_run(struct unic_port *port, struct unic_packet **packets,
					unsigned int count)
{
	struct e1000 *e = port->priv;
	uint32_t index = e->rx_next & e->rx_mask;
	volatile struct e1000_desc *desc = e->rx_ring + index;
	struct unic_packet **slot = e->rx_packets + index;
	struct unic_packet **fresh = port->pool->free + port->pool->free_count;
	uint64_t word, bytes = 0;
	size_t n;

	if (e->rx_skip)
		return 0;
	if (count > e->rx_mask + 1 - index)
		count = e->rx_mask + 1 - index;
	for (n = 0; n < count; n++) {
		word = userpci_le64_to_cpu(desc[n].word) ^ E1000_RXD_GOOD;
		if (word & E1000_RXD_CHECK)
			break;
		word &= E1000_RXD_LENGTH;
		bytes += word;
		packets[n] = slot[n];
		unic_packet_reset(slot[n], (uint32_t)word);
		slot[n] = *--fresh;
		desc[n].address = userpci_cpu_to_le64(slot[n]->iova);
		desc[n].word = userpci_cpu_to_le64(0);
	}
	e->rx_next += (uint32_t)n;
	port->pool->free_count -= (uint32_t)n;
	port->stats.rx_packets += n;
	port->stats.rx_bytes += bytes;
	return (unsigned int)n;
}

/* Looks at the descriptor where a run ended. False: it is the device's. True: it was dropped, its
 * buffer goes back to the device; or it is good, and there are @fresh buffers to take it with. */
__attribute__((noinline)) static bool e1000_rx_odd(struct unic_port *port, bool fresh)
{
	struct e1000 *e = port->priv;
	uint32_t index = e->rx_next & e->rx_mask;
	uint64_t word = userpci_le64_to_cpu(e->rx_ring[index].word);
	bool good = !((word ^ E1000_RXD_GOOD) & E1000_RXD_CHECK) && !e->rx_skip;

	if (!(word & E1000_RXD_DD))
		return false;
	if (good && fresh)
		return true;
	if (good)
		port->stats.rx_no_buffer++;
	else if (word & E1000_RXD_EOP)
		port->stats.rx_errors++;
	e->rx_skip = !(word & E1000_RXD_EOP);
	e->rx_ring[index].word = userpci_cpu_to_le64(0);
	e->rx_next++;
	return true;
}

static int e1000_rx_burst(struct unic_port *port, struct unic_packet **packets, unsigned int count)
{
	struct e1000 *e = port->priv;
	uint32_t first = e->rx_next;
	uint32_t odd = e->rx_mask; /* ends the loop where the device does not */
	unsigned int n = 0, room = count;

	if (port->pool->free_count < count) {
		e1000_tx_reclaim(e, port->pool);
		if (room > port->pool->free_count)
			room = port->pool->free_count;
		/* An empty pool must not stop the ring: @count frames are dropped. */
		if (!room && odd > count)
			odd = count;
	}
	do
		n += e1000_rx_run(port, packets + n, room - n);
	while ((n < room || !room) && odd-- && e1000_rx_odd(port, room));
	if (e->rx_next == first)
		return 0;
	userpci_rmb(); /* the done bits before the frames, which the caller reads */
	userpci_wmb(); /* the descriptors before the tail */
	wr(e, E1000_RDT, (e->rx_next - 1) & e->rx_mask);
	return (int)n;
}

/* Fills descriptors up to the end of a batch, and stops at a packet that is not simply sent. */
static inline unsigned int e1000_tx_run(struct unic_port *port, struct unic_packet **packets,
					unsigned int count)
{
	struct e1000 *e = port->priv;
	uint32_t index = e->tx_tail & e->tx_mask;
	volatile struct e1000_desc *desc = e->tx_ring + index;
	struct unic_packet **slot = e->tx_packets + index, *packet;
	const struct unic_pool *pool = port->pool;
	unsigned int batch = E1000_TX_BATCH - index % E1000_TX_BATCH;
	uint64_t length, bytes = 0;
	size_t n;

	if (count > batch)
		count = batch;
	for (n = 0; n < count; n++) {
		packet = packets[n];
		length = packet->length;
		if (length - UNIC_FRAME_MIN > UNIC_FRAME_MAX - UNIC_FRAME_MIN ||
		    packet->pool != pool)
			break;
		slot[n] = packet;
		bytes += length;
		desc[n].address = userpci_cpu_to_le64(unic_packet_iova(packet));
		desc[n].word = userpci_cpu_to_le64(length + E1000_TXD_EOP + E1000_TXD_IFCS);
	}
	e->tx_tail += (uint32_t)n;
	port->stats.tx_bytes += bytes;
	if (n == batch)
		desc[n - 1].word |= userpci_cpu_to_le64(E1000_TXD_RS);
	return (unsigned int)n;
}

/* Spec: table 3-9: PSP takes no frame below 48 bytes. So all padding is done here; true: it was,
 * false: the packet is dropped. */
__attribute__((noinline)) static bool e1000_tx_odd(struct unic_port *port,
						   struct unic_packet *packet)
{
	uint32_t length = packet->length;

	if (packet->pool == port->pool && length && length < UNIC_FRAME_MIN &&
	    unic_packet_room(packet) >= UNIC_FRAME_MIN) {
		memset(unic_packet_data(packet) + length, 0, UNIC_FRAME_MIN - length);
		packet->length = UNIC_FRAME_MIN;
		return true;
	}
	port->stats.tx_errors++;
	unic_packet_free(packet);
	return false;
}

static int e1000_tx_burst(struct unic_port *port, struct unic_packet **packets, unsigned int count)
{
	struct e1000 *e = port->priv;
	uint32_t first = e->tx_tail, room;
	unsigned int n = 0, run;

	e1000_tx_reclaim(e, port->pool);
	room = e->tx_mask - (first - e->tx_clean);
	while (n < count && room) {
		run = e1000_tx_run(port, packets + n, count - n < room ? count - n : room);
		n += run;
		room -= run;
		if (!run && !e1000_tx_odd(port, packets[n]))
			n++;
	}
	if (e->tx_tail == first)
		return (int)n;
	port->stats.tx_packets += e->tx_tail - first;
	e->tx_ring[(e->tx_tail - 1) & e->tx_mask].word |= userpci_cpu_to_le64(E1000_TXD_RS);
	userpci_wmb(); /* the descriptors, and the frames, before the tail */
	wr(e, E1000_TDT, e->tx_tail & e->tx_mask);
	return (int)n;
}

static bool e1000_rx_pending(struct unic_port *port)
{
	const struct e1000 *e = port->priv;

	return userpci_le64_to_cpu(e->rx_ring[e->rx_next & e->rx_mask].word) & E1000_RXD_DD;
}

static int e1000_link(struct unic_port *port, struct unic_link *link)
{
	static const uint16_t speeds[] = { 10, 100, 1000, 1000 };
	uint32_t status = rd(port->priv, E1000_STATUS);

	if (status == E1000_GONE)
		return -ENODEV;
	link->up = !!(status & E1000_STATUS_LU);
	link->full_duplex = link->up && (status & E1000_STATUS_FD);
	link->speed_mbps = link->up ? speeds[E1000_STATUS_SPEED(status)] : 0;
	return 0;
}

/* Spec: 13.4.20. A cause that is in ICR already raises the interrupt at once. */
static void e1000_irq_arm(struct unic_port *port)
{
	wr(port->priv, E1000_IMS,
	   E1000_INT_RXT0 | E1000_INT_RXDMT0 | E1000_INT_RXO | E1000_INT_LSC);
}

static int e1000_probe(struct unic_port *port)
{
	struct e1000 *e = port->priv;
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
		err = e1000_mac_from_filter(e, port->info.mac);
	if (err)
		goto unmap;
	/* Spec: 13.7: what the registers hold before they were read once is not known. */
	e1000_update_stats(port);
	port->stats = none;
	err = e1000_rings_alloc(port);
	if (err)
		goto unmap;
	return 0;

unmap:
	userpci_region_unmap(&e->regs);
	return err;
}

static void e1000_remove(struct unic_port *port)
{
	struct e1000 *e = port->priv;

	e1000_rings_free(e);
	userpci_region_unmap(&e->regs);
}

static const struct unic_id e1000_ids[] = {
	{ 0x8086, 0x100e }, /* 82540EM, desktop */
	{ 0, 0 },
};

const struct unic_driver unic_e1000 = {
	.name = "e1000",
	.ids = e1000_ids,
	.priv_size = sizeof(struct e1000),
	.dma_bits = 64,
	.max_descriptors = 4096,
	.descriptor_multiple = E1000_TX_BATCH, /* the device's is 8 (13.4.27, 13.4.38) */
	.registers = intel_e1000_registers,
	.probe = e1000_probe,
	.remove = e1000_remove,
	.start = e1000_start,
	.stop = e1000_stop,
	.rx_burst = e1000_rx_burst,
	.tx_burst = e1000_tx_burst,
	.rx_pending = e1000_rx_pending,
	.irq_arm = e1000_irq_arm,
	.irq_ack = e1000_irq_ack,
	.link = e1000_link,
	.update_stats = e1000_update_stats,
};
