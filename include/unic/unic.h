/* SPDX-License-Identifier: MIT */
/*
 * unic: network interfaces in a process, on libuserpci.
 *
 *     unic_open()  ->  unic_start()  ->  unic_rx_burst(), unic_tx_burst(), unic_wait()
 *     unic_close() <-  unic_stop()   <-
 *
 * A port has one queue or several; a queue is a receive ring, a transmit ring and a pool of
 * packets. Calls return 0 or a count, or -errno. -ENODEV anywhere: the device is gone; no signal is
 * sent. A burst never blocks.
 *
 * Threads: a queue is used by one thread at a time, different queues by different threads, without
 * locks. That holds for the bursts, unic_wait() and the packets of the queue's pool. All other
 * calls on one port take turns; unic_stats() and unic_link() may run beside bursts, starting,
 * stopping and closing may not.
 */
#ifndef UNIC_UNIC_H
#define UNIC_UNIC_H

#include <stddef.h>
#include <stdint.h>

#include <unic/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UNIC_MAC_SIZE  6
#define UNIC_FRAME_MIN 60    /* bytes of an Ethernet frame without the FCS */
#define UNIC_OVERHEAD  18    /* bytes of a frame above its MTU: header and one VLAN tag */
#define UNIC_MTU       1500  /* the default */
#define UNIC_MTU_MIN   68    /* RFC 791 */
#define UNIC_TSO_MAX   65535 /* bytes of a frame to be cut, with its headers */

struct unic_port;

/* ---- Ports ---- */

/* What the device does for the application, if it can. */
#define UNIC_OFFLOAD_RX_CHECKSUM (1u << 0) /* sets UNIC_RX_IP_*, UNIC_RX_L4_* */
#define UNIC_OFFLOAD_TX_CHECKSUM (1u << 1) /* serves UNIC_TX_IP, _TCP, _UDP */
#define UNIC_OFFLOAD_VLAN_STRIP	 (1u << 2) /* takes tags out: UNIC_PACKET_VLAN */
#define UNIC_OFFLOAD_VLAN_INSERT (1u << 3) /* puts them in */
#define UNIC_OFFLOAD_TSO	 (1u << 4) /* serves UNIC_TX_TSO */
#define UNIC_OFFLOAD_RSS	 (1u << 5) /* spreads flows over the queues */
#define UNIC_OFFLOAD_HASH	 (1u << 6) /* tells each packet's flow: UNIC_RX_HASH */
#define UNIC_OFFLOAD_ALL	 0x7fu

#define UNIC_CONFIG_PROMISCUOUS	 (1u << 0) /* receive every frame; see unic_receive_mode() */
#define UNIC_CONFIG_NO_IRQ	 (1u << 1) /* no interrupt: unic_wait() is not used */
#define UNIC_CONFIG_CYCLES	 (1u << 2) /* count what bursts cost, see <unic/cycles.h> */

/* All fields may be 0: the default. */
struct unic_config {
	uint32_t rx_descriptors; /* of each queue: 256; a power of two that the driver supports */
	uint32_t tx_descriptors; /* 256 */
	uint32_t packets;  /* in the depot, above what the receive rings hold; default: all rings
			     twice, and jumbo frames' share */
	uint32_t flags;	   /* UNIC_CONFIG_* */
	uint32_t queues;   /* 1 */
	uint32_t mtu;	   /* bytes; UNIC_MTU */
	uint32_t offloads; /* UNIC_OFFLOAD_*: wished for; unic_info() says what was obtained */
	/* Packets come from this port's depot: both can send what the other has received. Its
	 * queues and those of this one that have the same number then share a pool, and so a
	 * thread, unless first_pool keeps them apart. No burst of a port that shares may run
	 * while another is opened, started, stopped or closed. */
	struct unic_port *share;
	uint32_t first_pool; /* the number of the first queue's pool in the depot, below 64 */
};

/**
 * unic_open - opens a network interface: finds its driver, resets it, reads its MAC.
 * @address: as for userpci_open().
 * @config: NULL for the defaults.
 * @port: receives the port; unic_close() gives it back, and all its packets with it, unless another
 * port shares their depot: then that one's unic_close() does.
 *
 * What userpci_open() returns; -ENOTSUP: no driver for this device, or it lacks what its driver
 * needs; -EINVAL: @config, or more than the device has of queues, descriptors, MTU; -ETIMEDOUT: the
 * device does not answer; -EIO: it answers wrongly; -ENOMEM; -ENOSPC: it offers no interrupt for
 * each queue; -EXDEV: the memory of the port to share with is out of the device's reach.
 */
int unic_open(const char *address, const struct unic_config *config, struct unic_port **port);
void unic_close(struct unic_port *port);

/**
 * unic_explain - one line that says why unic_open() failed and what to do. As userpci_explain().
 */
const char *unic_explain(const char *address, int error, char *text, size_t size);

/**
 * unic_start - rings set up, receiver and transmitter on.
 * unic_stop - both off; packets in the rings go back to the pools. Frames that are queued have a
 * moment to leave (a tenth of a second at most), the rest is lost.
 *
 * -EBUSY: started already; -ENETDOWN: stopped already; -ENOMEM; -ETIMEDOUT. After a stop it may be
 * started again.
 */
int unic_start(struct unic_port *port);
int unic_stop(struct unic_port *port);

/* ---- Frames ---- */

/**
 * unic_rx_burst - takes received frames.
 * @queue: below unic_info()->queues.
 * @packets: receives up to @count packets, which are then the caller's. A frame that is longer than
 * one packet's room is a chain: UNIC_PACKET_CHAINED.
 *
 * Returns their number, 0 when none is there; -ENETDOWN: not started; -EINVAL: @queue. Each packet
 * that is taken is replaced in the ring by one of the pool; while the pool is empty, frames are
 * dropped and counted in rx_no_buffer.
 */
int unic_rx_burst(struct unic_port *port, unsigned int queue, struct unic_packet **packets,
		  unsigned int count);

/**
 * unic_tx_burst - queues frames.
 * @queue: below unic_info()->queues.
 * @packets: @count packets of the depot. Those accepted are the port's and go back to the queue's
 * pool when sent, in a later burst; a burst of 0 packets does nothing else.
 *
 * Returns how many, from the front, were accepted (fewer when the ring is full); -ENETDOWN: not
 * started; -EINVAL: @queue. A frame shorter than 60 bytes is padded with zeros. Checksums and VLAN
 * tags that are asked for are done by the CPU where the device does not do them; the checksum
 * fields need no preparation. One that cannot be sent is accepted, dropped, and counted in one of
 * the tx_bad_*: longer than the MTU and 18 bytes, or of length 0; of another depot; asking for TSO
 * where that was not obtained, or with headers that are not what it says.
 */
int unic_tx_burst(struct unic_port *port, unsigned int queue, struct unic_packet **packets,
		  unsigned int count);

#define UNIC_WAIT_LINK 1 /* the link has changed */

/**
 * unic_wait - waits until frames have come to a queue or the link has changed.
 * @timeout_us: microseconds; negative: without end.
 *
 * Under load it looks only; when frames stay out it polls for a little, at most as long as that
 * paid last time, and then sleeps until the interrupt.
 *
 * 0: look with unic_rx_burst(); UNIC_WAIT_LINK: and with unic_link() (told on queue 0);
 * -ETIMEDOUT; -EINTR: a signal; -ENETDOWN; -EINVAL: @queue, or UNIC_CONFIG_NO_IRQ. It returns at
 * once when frames are there already: none that arrives between a burst and the wait is missed.
 */
int unic_wait(struct unic_port *port, unsigned int queue, int64_t timeout_us);

/**
 * unic_wait_begin - for a loop of the caller's own, which sleeps in poll(): arms the interrupt.
 * unic_wait_end - to be called when it has slept, whether an interrupt came or not.
 * unic_wait_pending - whether frames wait: for a look between unic_wait_begin() and the sleep.
 *
 * unic_wait_begin() returns a descriptor that becomes readable, which stays the library's;
 * unic_wait_end() 0 or UNIC_WAIT_LINK; errors are those of unic_wait(). unic_wait_pending() returns
 * 1 or 0.
 */
int unic_wait_begin(struct unic_port *port, unsigned int queue);
int unic_wait_end(struct unic_port *port, unsigned int queue);
int unic_wait_pending(struct unic_port *port, unsigned int queue);

/* A packet of length 0 from the queue's pool, or NULL: all are in use. */
struct unic_packet *unic_packet_alloc(struct unic_port *port, unsigned int queue);

/**
 * unic_packet_alloc_burst - takes packets from the queue's pool.
 * @packets: receives up to @count packets. unic_packet_reset() must set the length of each.
 *
 * Returns their number, fewer than @count when there are no more.
 */
unsigned int unic_packet_alloc_burst(struct unic_port *port, unsigned int queue,
				     struct unic_packet **packets, unsigned int count);

/* Packets of the port's depot that are neither in a ring nor with the application. */
uint32_t unic_packets_free(const struct unic_port *port);

/* Whether packets of one can be sent by the other, as they are. */
int unic_shares(const struct unic_port *port, const struct unic_port *other);

/* ---- Link and addresses ---- */

struct unic_link {
	uint8_t up;
	uint8_t full_duplex;
	uint32_t speed_mbps; /* 0 when down, or not known */
};

/* The link as the device reports it now. */
int unic_link(struct unic_port *port, struct unic_link *link);

#define UNIC_RECEIVE_ALL	   (1u << 0) /* promiscuous */
#define UNIC_RECEIVE_ALL_MULTICAST (1u << 1)

/**
 * unic_receive_mode - what is received besides frames to the MAC, broadcasts, and the multicast
 * addresses that are set.
 * @mode: UNIC_RECEIVE_*.
 *
 * This and the next two take effect at once, or at the next start, and stay until changed.
 * -EINVAL: @mode.
 */
int unic_receive_mode(struct unic_port *port, unsigned int mode);

/* Another MAC than the device's own, until the port is closed. -EINVAL: a multicast address, or all
 * zeros; -EOPNOTSUPP: the device cannot. */
int unic_mac_set(struct unic_port *port, const uint8_t mac[UNIC_MAC_SIZE]);

#define UNIC_MULTICAST_MAX 64

/**
 * unic_multicast_set - the multicast addresses to receive, in place of those before.
 * @macs: @count addresses of 6 bytes, one after the other.
 *
 * A device filters by a hash where it has not enough exact filters: others may come through.
 * -EINVAL: not a multicast address; -ENOSPC: more than UNIC_MULTICAST_MAX.
 */
int unic_multicast_set(struct unic_port *port, const uint8_t *macs, unsigned int count);

/* ---- Statistics ---- */

/* Since unic_open(), over all queues. */
struct unic_stats {
	uint64_t rx_packets;   /* frames handed to the caller */
	uint64_t rx_bytes;     /* without the FCS */
	uint64_t rx_errors;    /* bad frames: CRC, length, or what the device says makes no sense */
	uint64_t rx_missed;    /* dropped by the device: no descriptor was free */
	uint64_t rx_no_buffer; /* good frames dropped: the pool was empty */
	uint64_t tx_packets;   /* frames given to the device */
	uint64_t tx_bytes;     /* of these, with padding, without the FCS */
	uint64_t tx_bad_length;	 /* dropped: empty, or longer than the MTU allows */
	uint64_t tx_bad_packet;	 /* dropped: of another depot */
	uint64_t tx_bad_offload; /* dropped: it asks for what cannot be done */
};

int unic_stats(struct unic_port *port, struct unic_stats *stats);

struct unic_port_info {
	const char *address; /* "DDDD:BB:DD.F" */
	const char *driver;  /* "e1000" */
	uint8_t mac[UNIC_MAC_SIZE];
	uint32_t rx_descriptors;
	uint32_t tx_descriptors;
	uint32_t queues;
	uint32_t mtu;
	uint32_t offloads;	  /* UNIC_OFFLOAD_*: obtained */
	uint32_t can_offload;	  /* what the device is able to */
	uint32_t max_queues;	  /* likewise */
	uint32_t max_descriptors; /* of a ring */
	uint32_t max_mtu;
	uint32_t packets; /* in the depot, in all */
};

/* Never NULL; valid until unic_close(). */
const struct unic_port_info *unic_info(const struct unic_port *port);

#ifdef __cplusplus
}
#endif

#endif
