/* SPDX-License-Identifier: MIT */
/*
 * Realtek RTL8139, 10ec:8139: fast Ethernet. doc/new-driver.md leads to this driver, step by step.
 *
 * Spec: RTL8139C(L) data sheet, revision 1.4, 2002. Sections named in this file are its.
 * Descriptors: none, but a ring of bytes to receive and four slots to send. Frames are copied.
 * Not supported: the C+ mode, which has descriptors and offloads; flow control; wake-up.
 * QEMU: writing RCR empties the ring; a reset keeps RCR; a header is in memory before its frame.
 */
#include <errno.h>
#include <string.h>

#include <unic/driver.h>

enum { RX_SIZE = 32768, RX_ROOM = 65536 }; /* bytes: the ring; behind it its last frame ends */
enum { HEADER = 4, HEADER_ROK = 1 << 0, FCS = 4 };   /* of received frames; 5.1 */
enum { TX_SLOTS = 4, TX_SIZE = 2048, LOOKS = 1000 }; /* at a register, until it is too late */

/* Spec: 5, the list of registers; 5.1 to 5.12 and 5.17, their bits. */
enum { RTL_IDR = 0x00, RTL_MAR = 0x08, RTL_TSAD0 = 0x20, RTL_RBSTART = 0x30, RTL_CAPR = 0x38 };
enum { RTL_CBR = 0x3a, RTL_IMR = 0x3c, RTL_MPC = 0x4c, RTL_ANAR = 0x66, RTL_ANLPAR = 0x68 };
enum { RTL_TSD = 0x10, TSD_WHOLE = 1536 / 32 << 16 }; /* to begin with in the FIFO: any frame */
enum { RTL_CR = 0x37, CR_TE = 1 << 2, CR_RE = 1 << 3, CR_RST = 1 << 4 };
enum { RTL_ISR = 0x3e, ISR_ROK = 1 << 0, ISR_LINK = 1 << 5, ISR_OVERFLOW = 1 << 4 | 1 << 6 };
enum { RTL_TCR = 0x40, TCR_CLRABT = 1 << 0, TCR_FIXED = 3 << 24 | 7 << 8 };	  /* IFG, MXDMA */
enum { RTL_RCR = 0x44, RCR_AAP = 1 << 0, RCR_ACCEPT = 1 << 1 | 1 << 2 | 1 << 3 }; /* APM, AM, AB */
enum { RCR_FIXED = 7 << 13 | 2 << 11 | 7 << 8 | 1 << 7 }; /* whole frames, 32K, MXDMA, WRAP */
enum { RTL_9346CR = 0x50, EEM_LOAD = 0x40, EEM_UNLOCK = 0xc0 };
enum { RTL_MSR = 0x58, MSR_LINKB = 1 << 2, MSR_SPEED_10 = 1 << 3 };
enum { RTL_TSAD = 0x60, TSAD_DONE = 1 << 12 | 1 << 8, TSAD_TABT = 1 << 4 }; /* of slot 0 */
#define NAMED(name, bytes, count) { RTL_##name, bytes, #name, count, bytes, 1 },
static const struct userpci_register rtl8139_registers[] = {
	NAMED(IDR, 4, 2) NAMED(MAR, 4, 2) NAMED(TSD, 4, 4) NAMED(TSAD0, 4, 4) NAMED(RBSTART, 4, 0)
		NAMED(CR, 1, 0) NAMED(CAPR, 2, 0) NAMED(CBR, 2, 0) NAMED(IMR, 2, 0) NAMED(ISR, 2, 0)
			NAMED(TCR, 4, 0) NAMED(RCR, 4, 0) NAMED(MPC, 4, 0) NAMED(9346CR, 1, 0)
				NAMED(MSR, 1, 0) NAMED(TSAD, 2, 0) NAMED(ANAR, 2, 0)
					NAMED(ANLPAR, 2, 0){ 0 }
};

struct rtl8139 {
	struct userpci_region regs; /* first: port->priv is it, too */
	struct userpci_dma dma;	    /* the slots, the ring, the room behind it */
	uint8_t *ring;
	uint32_t rx_next;	   /* where the next header will be */
	uint32_t accept;	   /* of RCR */
	uint32_t tx_next, tx_done; /* frames that were given and sent; modulo 4: their slots */
};

static int rtl8139_wait(const struct unic_port *port, uint32_t reg, uint8_t bits)
{
	unsigned int look;
	uint8_t value;

	for (look = 0; look < LOOKS; look++) {
		value = userpci_read8(port->priv, reg);
		if (value == 0xff)
			return -ENODEV;
		if (!(value & bits))
			return 0;
		unic_sleep_us(100);
	}
	return -ETIMEDOUT;
}

/* Spec: 5.4. Receiver and transmitter are off then, the ring is empty, slot 0 comes next. */
static int rtl8139_reset(const struct unic_port *port)
{
	userpci_write16(port->priv, RTL_IMR, 0);
	userpci_write8(port->priv, RTL_CR, CR_RST);
	return rtl8139_wait(port, RTL_CR, CR_RST);
}

/* Spec: 5.9: loads the MAC from the EEPROM, whatever it has been since. */
static int rtl8139_probe(struct unic_port *port)
{
	uint8_t *mac = port->info.mac, any = 0;
	int err, i;

	err = userpci_region_map(port->device, 1, port->priv); /* BAR 0: the same by I/O ports */
	if (err)
		return err;
	userpci_write8(port->priv, RTL_9346CR, EEM_LOAD);
	err = rtl8139_wait(port, RTL_9346CR, EEM_LOAD);
	for (i = 0; i < UNIC_MAC_SIZE; i++)
		any |= mac[i] = userpci_read8(port->priv, RTL_IDR + i);
	if (!err)
		err = rtl8139_reset(port);
	if (!err && (!any || mac[0] & 1))
		err = -EIO;
	if (err)
		userpci_region_unmap(port->priv);
	return err;
}

static void rtl8139_remove(struct unic_port *port)
{
	userpci_region_unmap(port->priv);
}

/* Spec: 5, MAR: the upper six bits of the CRC of an address choose its bit. */
static uint64_t rtl8139_hash(const uint8_t mac[UNIC_MAC_SIZE])
{
	uint32_t crc = 0xffffffff, i;

	for (i = 0; i < 8 * UNIC_MAC_SIZE; i++)
		crc = crc << 1 ^ (crc >> 31 ^ (mac[i / 8] >> i % 8 & 1) ? 0x04c11db7 : 0);
	return 1ull << (crc >> 26);
}

/* Spec: 5: IDR and MAR are written by 4 bytes; 5.9: IDR when it is unlocked. Returns RCR's part. */
static uint32_t rtl8139_filter_set(const struct unic_port *port)
{
	uint64_t idr = 0, mar = port->receive_mode ? UINT64_MAX : 0;
	unsigned int i;

	for (i = 0; i < UNIC_MAC_SIZE; i++)
		idr |= (uint64_t)port->info.mac[i] << 8 * i;
	for (i = 0; i < port->multicast_count; i++)
		mar |= rtl8139_hash(port->multicast[i]);
	userpci_write8(port->priv, RTL_9346CR, EEM_UNLOCK);
	for (i = 0; i < 8; i += 4) {
		userpci_write32(port->priv, RTL_IDR + i, (uint32_t)(idr >> 8 * i));
		userpci_write32(port->priv, RTL_MAR + i, (uint32_t)(mar >> 8 * i));
	}
	userpci_write8(port->priv, RTL_9346CR, 0);
	return RCR_ACCEPT | (port->receive_mode & UNIC_RECEIVE_ALL ? RCR_AAP : 0);
}

/* Spec: 5.4: RE reads 1 until the receiver rests, and is set only then. Nothing is accepted until
 * it is known where the ring begins. The frames that are in it are lost. */
static void rtl8139_rx_restart(struct rtl8139 *rtl)
{
	unsigned int look;

	userpci_write32(&rtl->regs, RTL_RCR, RCR_FIXED);
	userpci_write8(&rtl->regs, RTL_CR, CR_TE);
	for (look = 0; look < LOOKS && userpci_read8(&rtl->regs, RTL_CR) & CR_RE; look++)
		;
	userpci_write8(&rtl->regs, RTL_CR, CR_RE | CR_TE);
	rtl->rx_next = userpci_read16(&rtl->regs, RTL_CBR) % RX_SIZE & ~3u;
	userpci_write16(&rtl->regs, RTL_CAPR, (uint16_t)(rtl->rx_next - 16));
	memset(rtl->ring, 0, RX_SIZE);
	userpci_wmb(); /* zeros before the first header */
	userpci_write32(&rtl->regs, RTL_RCR, RCR_FIXED | rtl->accept);
}

static int rtl8139_start(struct unic_port *port)
{
	struct rtl8139 *rtl = port->priv;
	uint32_t i, iova;
	int err;

	err = userpci_dma_alloc(port->device, TX_SLOTS * TX_SIZE + RX_SIZE + RX_ROOM, &rtl->dma);
	if (!err)
		err = userpci_bus_master_enable(port->device);
	if (err) {
		userpci_dma_free(&rtl->dma);
		return err;
	}
	iova = (uint32_t)rtl->dma.iova;
	for (i = 0; i < TX_SLOTS; i++, iova += TX_SIZE)
		userpci_write32(&rtl->regs, RTL_TSAD0 + 4 * i, iova);
	userpci_write32(&rtl->regs, RTL_RBSTART, iova);
	rtl->ring = (uint8_t *)rtl->dma.va + TX_SLOTS * TX_SIZE;
	rtl->tx_next = rtl->tx_done = 0;
	rtl->accept = rtl8139_filter_set(port);
	rtl8139_rx_restart(rtl);
	userpci_write32(&rtl->regs, RTL_TCR, TCR_FIXED); /* which needs TE */
	return 0;
}

/* All is 0 but what the device has written. A hint: the frame itself may be on its way yet. */
static bool rtl8139_rx_pending(struct unic_queue *queue)
{
	const struct rtl8139 *rtl = queue->port->priv;

	return *(const volatile uint32_t *)(rtl->ring + rtl->rx_next);
}

static int rtl8139_rx_burst(struct unic_queue *queue, struct unic_packet **packets,
			    unsigned int count)
{
	struct rtl8139 *rtl = queue->port->priv;
	uint32_t header, length, size, end;
	struct unic_packet *packet;
	unsigned int n = 0;

	if (!rtl8139_rx_pending(queue))
		return 0;
	end = userpci_read16(&rtl->regs, RTL_CBR) % RX_SIZE & ~3u;
	userpci_rmb(); /* how far the device has written before what it has written */
	for (; count && rtl->rx_next != end; count--) {
		header = userpci_le32_to_cpu(*(volatile le32_t *)(rtl->ring + rtl->rx_next));
		length = (header >> 16) - FCS;
		size = (HEADER + (header >> 16) + 3) & ~3u;
		if (!(header & HEADER_ROK) || header >> 16 <= FCS ||
		    size > (end - rtl->rx_next) % RX_SIZE) {
			queue->stats.rx_errors++;
			rtl8139_rx_restart(rtl); /* nobody knows where the next one is */
			break;
		}
		packet = length <= queue->tx_max ? unic_pool_get(queue->pool) : NULL;
		if (packet) {
			packet->length = length;
			memcpy(unic_packet_data(packet), rtl->ring + rtl->rx_next + HEADER, length);
			packets[n++] = packet;
			queue->stats.rx_bytes += length;
		}
		queue->stats.rx_errors += length > queue->tx_max;
		queue->stats.rx_no_buffer += length <= queue->tx_max && !packet;
		memset(rtl->ring + rtl->rx_next, 0, size);
		rtl->rx_next = (rtl->rx_next + size) % RX_SIZE;
	}
	queue->stats.rx_packets += n;
	userpci_wmb(); /* zeros before the device may write there again */
	userpci_write16(&rtl->regs, RTL_CAPR, (uint16_t)(rtl->rx_next - 16));
	userpci_write16(&rtl->regs, RTL_ISR, ISR_OVERFLOW);
	return (int)n;
}

/* Spec: 5.17; 5.7: a frame given up after 16 collisions is tried again by CLRABT. */
static bool rtl8139_tx_reclaim(struct rtl8139 *rtl)
{
	uint16_t status = userpci_read16(&rtl->regs, RTL_TSAD);

	if (status == 0xffff) /* sent, and given up: there is no device */
		return false;
	while (rtl->tx_done != rtl->tx_next && status & TSAD_DONE << rtl->tx_done % TX_SLOTS)
		rtl->tx_done++;
	if (rtl->tx_done != rtl->tx_next && status & TSAD_TABT << rtl->tx_done % TX_SLOTS)
		userpci_write32(&rtl->regs, RTL_TCR, TCR_FIXED | TCR_CLRABT);
	return rtl->tx_next - rtl->tx_done < TX_SLOTS;
}

/* Spec: 5.2: the write of the size gives the slot to the device. */
static int rtl8139_tx_burst(struct unic_queue *queue, struct unic_packet **packets,
			    unsigned int count)
{
	struct rtl8139 *rtl = queue->port->priv;
	struct unic_packet *part;
	uint32_t slot, size;
	unsigned int n;
	int parts;

	for (n = 0; n < count; n++) {
		if (rtl->tx_next - rtl->tx_done == TX_SLOTS && !rtl8139_tx_reclaim(rtl))
			break;
		parts = unic_tx_prepare(queue, packets[n], false);
		if (parts < 0)
			continue;
		slot = rtl->tx_next++ % TX_SLOTS;
		for (part = packets[n], size = 0; parts--; part = part->next) {
			memcpy((char *)rtl->dma.va + slot * TX_SIZE + size, unic_packet_data(part),
			       part->length);
			size += part->length;
		}
		unic_packet_free(packets[n]);
		userpci_wmb(); /* the frame before the register that has it sent */
		userpci_write32(&rtl->regs, RTL_TSD + 4 * slot, TSD_WHOLE | size);
		queue->stats.tx_packets++;
		queue->stats.tx_bytes += size;
	}
	return (int)n;
}

static void rtl8139_irq_arm(struct unic_queue *queue)
{
	userpci_write16(queue->port->priv, RTL_IMR, ISR_ROK | ISR_LINK);
}

/* Spec: 5.6: a cause is cleared by writing 1. */
static bool rtl8139_irq_ack(struct unic_queue *queue)
{
	uint16_t causes = userpci_read16(queue->port->priv, RTL_ISR) & (ISR_ROK | ISR_LINK);

	userpci_write16(queue->port->priv, RTL_IMR, 0);
	userpci_write16(queue->port->priv, RTL_ISR, causes);
	(void)userpci_read16(queue->port->priv, RTL_ISR); /* that write is not late */
	return causes & ISR_LINK;
}

/* Spec: 5.12; full duplex is what both ends can (5.20, 5.21): bit 8 at 100 Mbit/s, 6 at 10. */
static int rtl8139_link(struct unic_port *port, struct unic_link *link)
{
	int both = userpci_read16(port->priv, RTL_ANAR) & userpci_read16(port->priv, RTL_ANLPAR);
	uint8_t msr = userpci_read8(port->priv, RTL_MSR);

	if (msr == 0xff)
		return -ENODEV;
	link->up = !(msr & MSR_LINKB);
	link->full_duplex = link->up && both >> (msr & MSR_SPEED_10 ? 6 : 8) & 1;
	link->speed_mbps = !link->up ? 0 : msr & MSR_SPEED_10 ? 10 : 100;
	return 0;
}

static int rtl8139_filter(struct unic_port *port)
{
	struct rtl8139 *rtl = port->priv;
	uint32_t before = rtl->accept;

	rtl->accept = rtl8139_filter_set(port);
	if (rtl->accept != before)
		rtl8139_rx_restart(rtl);
	return userpci_read8(&rtl->regs, RTL_CR) == 0xff ? -ENODEV : 0;
}

/* Spec: 5, MPC: 24 bits, which a write clears. */
static void rtl8139_update_stats(struct unic_port *port)
{
	uint32_t missed = userpci_read32(port->priv, RTL_MPC);

	if (missed != 0xffffffff)
		port->device_stats.rx_missed += missed & 0xffffff;
	userpci_write32(port->priv, RTL_MPC, 0);
}

static void rtl8139_stop(struct unic_port *port)
{
	struct rtl8139 *rtl = port->priv;

	userpci_write8(&rtl->regs, RTL_CR, CR_TE);
	unic_sleep_us(5000); /* for four frames at 10 Mbit/s */
	rtl8139_update_stats(port);
	(void)rtl8139_reset(port);
	(void)userpci_bus_master_disable(port->device);
	userpci_dma_free(&rtl->dma);
}

const struct unic_driver unic_rtl8139 = {
	.name = "rtl8139",
	.ids = (const struct unic_id[]){ { 0x10ec, 0x8139 }, { 0, 0 } },
	.priv_size = sizeof(struct rtl8139),
	.dma_bits = 32,
	.max_descriptors = 4096, /* there are none, but the layer sizes pools by them */
	.descriptor_multiple = 1,
	.registers = rtl8139_registers,
	.probe = rtl8139_probe,
	.remove = rtl8139_remove,
	.start = rtl8139_start,
	.stop = rtl8139_stop,
	.rx_burst = rtl8139_rx_burst,
	.tx_burst = rtl8139_tx_burst,
	.rx_pending = rtl8139_rx_pending,
	.irq_arm = rtl8139_irq_arm,
	.irq_ack = rtl8139_irq_ack,
	.link = rtl8139_link,
	.filter = rtl8139_filter,
	.update_stats = rtl8139_update_stats,
};
