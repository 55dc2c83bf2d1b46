/* SPDX-License-Identifier: MIT */
/*
 * What Intel's gigabit controllers have in common: registers at the same places, descriptors of 16
 * bytes, rings with a head and a tail.
 *
 * Spec: sections are those of 317453, as in regs.h; the later controllers keep them.
 */
#ifndef INTEL_COMMON_H
#define INTEL_COMMON_H

#include <unic/driver.h>

#include "regs.h"

#define INTEL_TX_BATCH	 32    /* descriptors to one report of the device */
#define INTEL_TIMEOUT_US 50000 /* for a register to change: most take a microsecond */
#define INTEL_PAUSE_US	 50    /* between two looks at it */
#define INTEL_GONE	 0xffffffffu

/* The beginning of a driver's private part of a port. */
struct intel {
	struct userpci_region regs;
	uint32_t rctl;	 /* as it was written last */
	uint32_t missed; /* in MPC, and counted: where a read does not clear it */
};

/* A driver's private part of a queue. Positions in a ring count on without end and are masked where
 * they index. */
struct intel_queue {
	volatile struct intel_desc *rx_ring;
	struct unic_packet **rx_packets; /* that of each descriptor */
	uint32_t rx_next;		 /* the first that is not taken */
	uint32_t rx_mask;
	bool rx_skip;	  /* the next descriptor continues a frame that is dropped... */
	bool rx_continue; /* ...or one that is put together */
	uint32_t rx_tail_reg;
	const struct userpci_region *regs;

	volatile struct intel_desc *tx_ring;
	struct unic_packet **tx_packets; /* NULL: a descriptor without one */
	uint32_t tx_tail;		 /* the next to be filled */
	uint32_t tx_clean;		 /* the first whose packet is not back in the pool */
	uint32_t tx_mask;
	uint32_t tx_empty; /* descriptors without a packet, between clean and tail */
	uint32_t tx_tail_reg;

	uint64_t tx_context[2];			/* the descriptor that the device knows; 0: none */
	struct unic_packet *rx_first, *rx_last; /* of the frame that is put together */
	uint32_t rx_total;

	uint64_t rx_iova, tx_iova; /* of the rings */
	struct userpci_dma rings;
};

/* A received descriptor, decoded: for intel_rx_odd(). */
struct intel_rx {
	bool done, last;
	bool bad; /* the device says that the frame has an error */
	uint32_t length;
	uint16_t flags; /* UNIC_RX_*, UNIC_PACKET_VLAN */
	uint16_t vlan;
	uint32_t hash;
};

static inline uint32_t intel_rd(const struct intel *intel, uint32_t reg)
{
	return userpci_read32(&intel->regs, reg);
}

static inline void intel_wr(const struct intel *intel, uint32_t reg, uint32_t value)
{
	userpci_write32(&intel->regs, reg, value);
}

/* Until the masked register has a value: -ETIMEDOUT, -ENODEV. */
int intel_wait(const struct intel *intel, uint32_t reg, uint32_t mask, uint32_t want);

bool intel_mac_valid(const uint8_t mac[UNIC_MAC_SIZE]);
/* That which the reset, or the firmware, has put into the first receive address. -EIO. */
int intel_mac_from_filter(const struct intel *intel, uint8_t mac[UNIC_MAC_SIZE]);

/* MAC and multicast addresses into the filters; RCTL's bits for the receive mode. */
void intel_filter_set(const struct unic_port *port);
uint32_t intel_rctl_mode(const struct unic_port *port);
/* A unic_driver's filter(). */
int intel_filter(struct unic_port *port);

/* The key for hashes of flows, and the table by which the low seven bits of a hash choose a queue,
 * whose number begins at bit @shift of an entry. */
void intel_rss_set(const struct unic_port *port, unsigned int shift);

/* A unic_driver's link() and update_stats(). */
int intel_link(struct unic_port *port, struct unic_link *link);
void intel_update_stats(struct unic_port *port);

/* Rings for the queue, and its receive ring full of packets. -ENOMEM. */
int intel_rings_alloc(struct unic_queue *queue);
/* All packets back to the pool. Does nothing when there are no rings. */
void intel_rings_free(struct unic_queue *queue);

/* Ring registers, all at the same distance from the first. */
void intel_rx_ring_set(struct unic_queue *queue, uint32_t rdbal);
void intel_tx_ring_set(struct unic_queue *queue, uint32_t tdbal);

/* Of a good frame, by the low byte of the status, which 82540, 82574 and 82576 have alike. */
extern const uint16_t intel_rx_flags[256] __attribute__((visibility("hidden")));
/* By the RSS type: 0 is a frame without a hash. */
extern const uint16_t intel_rx_hash_flags[16] __attribute__((visibility("hidden")));

/*
 * Takes the descriptor at rx_next, which a fast path has not taken. False: it is the device's.
 * True: it was dropped, its buffer goes back to the device; or it is part of a frame, and there was
 * a packet in the pool to replace it (@fresh); packets[*n] is the frame if that is now complete.
 */
bool intel_rx_odd(struct unic_queue *queue, const struct intel_rx *rx, struct unic_packet **packets,
		  unsigned int *n, bool fresh);

/* A unic_driver's tx_burst() with legacy and context descriptors. */
int intel_tx_burst(struct unic_queue *queue, struct unic_packet **packets, unsigned int count);

/* The slow half of intel_tx_reclaim(): some descriptors have no packet. */
void intel_tx_reclaim_odd(struct intel_queue *q, struct unic_pool *pool, uint32_t end);

/* Gives back what the device reported as sent. Reports are asked for at the end of each batch, and
 * of each burst. */
static inline void intel_tx_reclaim(struct intel_queue *q, struct unic_pool *pool)
{
	uint32_t clean = q->tx_clean, end, last;

	while (clean != q->tx_tail) {
		end = (clean | (INTEL_TX_BATCH - 1)) + 1;
		if ((int32_t)(end - q->tx_tail) > 0)
			end = q->tx_tail;
		last = (end - 1) & q->tx_mask;
		if (!(userpci_le64_to_cpu(q->tx_ring[last].word) & E1000_TXD_DD))
			break;
		if (q->tx_empty)
			intel_tx_reclaim_odd(q, pool, end);
		else
			unic_pool_put_burst(pool, q->tx_packets + (clean & q->tx_mask),
					    end - clean);
		q->tx_clean = clean = end;
	}
}

#endif
