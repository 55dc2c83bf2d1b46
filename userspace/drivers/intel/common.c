/* SPDX-License-Identifier: MIT */
/* What Intel's gigabit controllers have in common, away from the data path. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

int intel_wait(const struct intel *intel, uint32_t reg, uint32_t mask, uint32_t want)
{
	unsigned int waited;
	uint32_t value;

	for (waited = 0; waited < INTEL_TIMEOUT_US; waited += INTEL_PAUSE_US) {
		value = intel_rd(intel, reg);
		if (value == INTEL_GONE)
			return -ENODEV;
		if ((value & mask) == want)
			return 0;
		unic_sleep_us(INTEL_PAUSE_US);
	}
	return -ETIMEDOUT;
}

/* --- Addresses --- */

bool intel_mac_valid(const uint8_t mac[UNIC_MAC_SIZE])
{
	static const uint8_t zero[UNIC_MAC_SIZE];

	return !(mac[0] & 1) && memcmp(mac, zero, sizeof(zero));
}

/* Spec: 13.5.2. */
int intel_mac_from_filter(const struct intel *intel, uint8_t mac[UNIC_MAC_SIZE])
{
	uint32_t low = intel_rd(intel, E1000_RAL(0)), high = intel_rd(intel, E1000_RAH(0));
	unsigned int i;

	for (i = 0; i < UNIC_MAC_SIZE; i++)
		mac[i] = (uint8_t)(i < 4 ? low >> 8 * i : high >> 8 * (i - 4));
	return intel_mac_valid(mac) ? 0 : -EIO;
}

/* Spec: 13.5.1: with RCTL.MO 0, bits 47 to 36 of the address choose the bit. */
static void multicast_set(const struct unic_port *port)
{
	uint32_t table[E1000_MTA_COUNT] = { 0 }, bit;
	const struct intel *intel = port->priv;
	unsigned int i;

	for (i = 0; i < port->multicast_count; i++) {
		bit = port->multicast[i][4] >> 4 | (uint32_t)port->multicast[i][5] << 4;
		table[bit / 32] |= 1u << bit % 32;
	}
	for (i = 0; i < E1000_MTA_COUNT; i++)
		intel_wr(intel, E1000_MTA(i), table[i]);
}

/* Spec: 13.5.3: written from low to high, cleared from high to low. */
void intel_filter_set(const struct unic_port *port)
{
	const struct intel *intel = port->priv;
	const uint8_t *mac = port->info.mac;
	uint32_t high = mac[4] | (uint32_t)mac[5] << 8, low, i;

	low = mac[0] | (uint32_t)mac[1] << 8 | (uint32_t)mac[2] << 16 | (uint32_t)mac[3] << 24;
	for (i = 0; i < E1000_RA_COUNT; i++) {
		intel_wr(intel, E1000_RAH(i), 0);
		intel_wr(intel, E1000_RAL(i), 0);
	}
	intel_wr(intel, E1000_RAL(0), low);
	intel_wr(intel, E1000_RAH(0), high | E1000_RAH_AV);
	multicast_set(port);
}

uint32_t intel_rctl_mode(const struct unic_port *port)
{
	if (port->receive_mode & UNIC_RECEIVE_ALL)
		return E1000_RCTL_UPE | E1000_RCTL_MPE;
	return port->receive_mode & UNIC_RECEIVE_ALL_MULTICAST ? E1000_RCTL_MPE : 0;
}

int intel_filter(struct unic_port *port)
{
	struct intel *intel = port->priv;
	uint32_t rctl = intel->rctl & ~(E1000_RCTL_UPE | E1000_RCTL_MPE);

	intel_filter_set(port);
	rctl |= intel_rctl_mode(port);
	/* QEMU: each write stops e1000's receiver for a second. */
	if (rctl != intel->rctl)
		intel_wr(intel, E1000_RCTL, rctl);
	intel->rctl = rctl;
	/* The read carries the writes there: from now on they hold. */
	return intel_rd(intel, E1000_STATUS) == INTEL_GONE ? -ENODEV : 0;
}

/* --- Flows --- */

/* The key of Microsoft's description of RSS, which has results to compare with. */
static const uint32_t rss_key[E1000E_RSSRK_COUNT] = {
	0xda565a6d, 0xc20e5b25, 0x3d256741, 0xb08fa343, 0xcb2bcad0,
	0xb4307bae, 0xa32dcb77, 0x0cf23080, 0x3bb7426a, 0xfa01acbe,
};

void intel_rss_set(const struct unic_port *port, unsigned int shift)
{
	const struct intel *intel = port->priv;
	uint32_t i, entry, value;

	for (i = 0; i < E1000E_RSSRK_COUNT; i++)
		intel_wr(intel, E1000E_RSSRK(i), rss_key[i]);
	for (i = 0; i < E1000E_RETA_COUNT; i++) {
		value = 0;
		for (entry = 0; entry < 4; entry++)
			value |= (4 * i + entry) % port->queue_count << (8 * entry + shift);
		intel_wr(intel, E1000E_RETA(i), value);
	}
}

/* --- Link and statistics --- */

int intel_link(struct unic_port *port, struct unic_link *link)
{
	static const uint16_t speeds[] = { 10, 100, 1000, 1000 };
	uint32_t status = intel_rd(port->priv, E1000_STATUS);

	if (status == INTEL_GONE)
		return -ENODEV;
	link->up = !!(status & E1000_STATUS_LU);
	link->full_duplex = link->up && (status & E1000_STATUS_FD);
	link->speed_mbps = link->up ? speeds[E1000_STATUS_SPEED(status)] : 0;
	return 0;
}

/* Frames missed since the last call. Spec: 82540EM, 13.7: a read clears the register. QEMU: the
 * e1000's it does not clear, which a second read shows. */
static uint32_t missed_take(struct intel *intel)
{
	uint32_t value = intel_rd(intel, E1000_MPC), before = intel->missed, now;

	if (!value || value == INTEL_GONE)
		return 0;
	now = intel_rd(intel, E1000_MPC);
	if (now == INTEL_GONE)
		return 0;
	if (now < value) {
		intel->missed = 0;
		return value + now;
	}
	intel->missed = now;
	return now < before ? now : now - before;
}

/* Spec: 13.7. */
void intel_update_stats(struct unic_port *port)
{
	static const uint16_t errors[] = { E1000_CRCERRS, E1000_ALGNERRC, E1000_RXERRC,
					   E1000_RLEC };
	struct intel *intel = port->priv;
	uint32_t value;
	unsigned int i;

	port->device_stats.rx_missed += missed_take(intel);
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		value = intel_rd(intel, errors[i]);
		if (value != INTEL_GONE)
			port->device_stats.rx_errors += value;
	}
}

/* --- Rings --- */

static void rx_put(struct unic_queue *queue, uint32_t index, struct unic_packet *packet)
{
	struct intel_queue *q = queue->priv;

	q->rx_packets[index] = packet;
	q->rx_ring[index].address = userpci_cpu_to_le64(packet->iova[queue->space]);
	q->rx_ring[index].word = userpci_cpu_to_le64(0);
}

int intel_rings_alloc(struct unic_queue *queue)
{
	const struct unic_config *config = &queue->port->config;
	uint32_t rx = config->rx_descriptors, tx = config->tx_descriptors, i;
	struct intel_queue *q = queue->priv;
	const struct intel *intel = queue->port->priv;
	int err;

	err = userpci_dma_alloc(queue->port->device, (rx + tx) * sizeof(struct intel_desc),
				&q->rings);
	if (err)
		return err;
	q->rx_packets = calloc(rx + tx, sizeof(struct unic_packet *));
	if (!q->rx_packets) {
		userpci_dma_free(&q->rings);
		return -ENOMEM;
	}
	memset(q->rings.va, 0xff, q->rings.size);
	q->regs = &intel->regs;
	q->rx_ring = q->rings.va;
	q->rx_iova = q->rings.iova;
	q->rx_mask = rx - 1;
	q->tx_ring = q->rx_ring + rx;
	q->tx_iova = q->rings.iova + rx * sizeof(struct intel_desc);
	q->tx_packets = q->rx_packets + rx;
	q->tx_mask = tx - 1;
	for (i = 0; i < rx; i++)
		rx_put(queue, i, unic_pool_get(queue->pool));
	return 0;
}

void intel_rings_free(struct unic_queue *queue)
{
	struct intel_queue *q = queue->priv;
	uint32_t i;

	if (!q->rx_packets)
		return;
	for (i = 0; i <= q->rx_mask; i++)
		unic_pool_put_burst(queue->pool, &q->rx_packets[i], 1);
	for (; q->tx_clean != q->tx_tail; q->tx_clean++)
		if (q->tx_packets[q->tx_clean & q->tx_mask])
			unic_pool_put_burst(queue->pool, &q->tx_packets[q->tx_clean & q->tx_mask],
					    1);
	if (q->rx_continue)
		unic_packet_free(q->rx_first);
	free(q->rx_packets);
	q->rx_packets = NULL;
	userpci_dma_free(&q->rings);
}

/* Spec: 13.4.25 to 13.4.29: base low, base high, length; head at +10h, tail at +18h. All receive
 * descriptors have a buffer; the one at the tail is not the device's. */
void intel_rx_ring_set(struct unic_queue *queue, uint32_t rdbal)
{
	const struct intel *intel = queue->port->priv;
	struct intel_queue *q = queue->priv;

	q->rx_tail_reg = rdbal + 0x18;
	intel_wr(intel, rdbal, (uint32_t)q->rx_iova);
	intel_wr(intel, rdbal + 0x4, (uint32_t)(q->rx_iova >> 32));
	intel_wr(intel, rdbal + 0x8, (q->rx_mask + 1) * (uint32_t)sizeof(struct intel_desc));
	intel_wr(intel, rdbal + 0x10, 0);
	intel_wr(intel, rdbal + 0x18, q->rx_mask);
}

void intel_tx_ring_set(struct unic_queue *queue, uint32_t tdbal)
{
	const struct intel *intel = queue->port->priv;
	struct intel_queue *q = queue->priv;

	q->tx_tail_reg = tdbal + 0x18;
	intel_wr(intel, tdbal, (uint32_t)q->tx_iova);
	intel_wr(intel, tdbal + 0x4, (uint32_t)(q->tx_iova >> 32));
	intel_wr(intel, tdbal + 0x8, (q->tx_mask + 1) * (uint32_t)sizeof(struct intel_desc));
	intel_wr(intel, tdbal + 0x10, 0);
	intel_wr(intel, tdbal + 0x18, 0);
}

/* --- Received frames --- */

/* By DD and EOP, which do not matter, IXSM, VP, bit 4, TCPCS, IPCS, and bit 7. */
#define FLAGS(ixsm, vp, tcpcs, ipcs)                                                  \
	(((vp) ? UNIC_PACKET_VLAN : 0) | (!(ixsm) && (tcpcs) ? UNIC_RX_L4_GOOD : 0) | \
	 (!(ixsm) && (ipcs) ? UNIC_RX_IP_GOOD : 0))
#define FLAGS_4(...) FLAGS(__VA_ARGS__), FLAGS(__VA_ARGS__), FLAGS(__VA_ARGS__), FLAGS(__VA_ARGS__)
#define FLAGS_16(tcpcs, ipcs)                                                               \
	FLAGS_4(0, 0, tcpcs, ipcs), FLAGS_4(1, 0, tcpcs, ipcs), FLAGS_4(0, 1, tcpcs, ipcs), \
		FLAGS_4(1, 1, tcpcs, ipcs)
#define FLAGS_32(tcpcs, ipcs) FLAGS_16(tcpcs, ipcs), FLAGS_16(tcpcs, ipcs)
#define FLAGS_128	      FLAGS_32(0, 0), FLAGS_32(1, 0), FLAGS_32(0, 1), FLAGS_32(1, 1)
const uint16_t intel_rx_flags[256] = { FLAGS_128, FLAGS_128 };
const uint16_t intel_rx_hash_flags[16] = { 0, [1 ... 15] = UNIC_RX_HASH };

/* --- Frames that a fast path leaves --- */

static void rx_abandon(struct intel_queue *q)
{
	if (q->rx_continue)
		unic_packet_free(q->rx_first);
	q->rx_continue = false;
}

/* Appends a packet to the frame that is put together; a last piece without bytes is the end of an
 * FCS that was stripped. */
static void rx_append(struct intel_queue *q, struct unic_packet *packet, uint32_t length)
{
	unic_packet_reset(packet, length);
	if (q->rx_continue) {
		q->rx_last->flags |= UNIC_PACKET_CHAINED;
		q->rx_last->next = packet;
	} else {
		q->rx_first = packet;
		q->rx_total = 0;
	}
	q->rx_last = packet;
	q->rx_total += length;
	q->rx_continue = true;
}

static struct unic_packet *rx_finish(struct unic_queue *queue, const struct intel_rx *rx)
{
	struct intel_queue *q = queue->priv;

	q->rx_continue = false;
	q->rx_first->flags |= rx->flags;
	q->rx_first->vlan = rx->vlan;
	if (rx->flags & UNIC_RX_HASH)
		q->rx_first->hash = rx->hash;
	queue->stats.rx_packets++;
	queue->stats.rx_bytes += q->rx_total;
	return q->rx_first;
}

static void rx_drop(struct intel_queue *q, uint64_t *counter)
{
	(*counter)++;
	rx_abandon(q);
	q->rx_skip = true;
}

bool intel_rx_odd(struct unic_queue *queue, const struct intel_rx *rx, struct unic_packet **packets,
		  unsigned int *n, bool fresh)
{
	struct intel_queue *q = queue->priv;
	uint32_t index = q->rx_next & q->rx_mask;
	uint32_t total = rx->length + (q->rx_continue ? q->rx_total : 0);
	struct unic_packet *packet = q->rx_packets[index];
	bool empty = !rx->length && q->rx_continue && rx->last;

	if (!rx->done)
		return false;
	userpci_rmb(); /* the done bit before the rest of the descriptor, and the frame */
	q->rx_next++;
	if (!q->rx_skip) {
		/* A frame that does not end is cut off where the longest would. */
		if (rx->bad || (!rx->length && !empty) || rx->length > UNIC_PACKET_ROOM ||
		    total > queue->tx_max)
			rx_drop(q, &queue->stats.rx_errors);
		else if (!fresh && !empty)
			rx_drop(q, &queue->stats.rx_no_buffer);
	}
	if (q->rx_skip || empty) {
		rx_put(queue, index, packet);
		if (!q->rx_skip)
			packets[(*n)++] = rx_finish(queue, rx);
		q->rx_skip = q->rx_skip && !rx->last;
		return true;
	}
	rx_put(queue, index, unic_pool_get(queue->pool));
	rx_append(q, packet, rx->length);
	if (rx->last)
		packets[(*n)++] = rx_finish(queue, rx);
	return true;
}

void intel_tx_reclaim_odd(struct intel_queue *q, struct unic_pool *pool, uint32_t end)
{
	uint32_t at;

	for (at = q->tx_clean; at != end; at++) {
		struct unic_packet **slot = &q->tx_packets[at & q->tx_mask];

		if (*slot)
			unic_pool_put_burst(pool, slot, 1);
		else
			q->tx_empty--;
	}
}
