/* SPDX-License-Identifier: MIT */
/*
 * unic: network interfaces in a process, on libuserpci.
 *
 *     unic_open()  ->  unic_start()  ->  unic_rx_burst(), unic_tx_burst(), unic_wait()
 *     unic_close() <-  unic_stop()   <-
 *
 * Calls return 0 or a count, or -errno. -ENODEV anywhere: the device is gone. A burst never blocks.
 * A port is used by one thread at a time; different ports by different threads without locks.
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
#define UNIC_FRAME_MIN 60   /* bytes of an Ethernet frame without the FCS */
#define UNIC_FRAME_MAX 1514 /* of one whose payload is an MTU of 1500 */

struct unic_port;

/* All fields may be 0: the default. */
struct unic_config {
	uint32_t rx_descriptors; /* 256; a power of two that the driver supports */
	uint32_t tx_descriptors; /* 256 */
	uint32_t packets; /* in the port's pool, above rx_descriptors; default: both rings twice */
	uint32_t flags;	  /* UNIC_CONFIG_* */
};

#define UNIC_CONFIG_PROMISCUOUS (1u << 0) /* receive every frame */
#define UNIC_CONFIG_NO_IRQ	(1u << 1) /* no interrupt: unic_wait() is not used */

/**
 * unic_open - opens a network interface: finds its driver, resets it, reads its MAC.
 * @address: as for userpci_open().
 * @config: NULL for the defaults.
 * @port: receives the port; unic_close() gives it back, and all its packets with it.
 *
 * What userpci_open() returns; -ENOTSUP: no driver for this device; -EINVAL: @config; -ETIMEDOUT:
 * the device does not answer; -EIO: it answers wrongly; -ENOMEM; -ENOSPC: it offers no interrupt.
 */
int unic_open(const char *address, const struct unic_config *config, struct unic_port **port);
void unic_close(struct unic_port *port);

/**
 * unic_explain - one line that says why unic_open() failed and what to do. As userpci_explain().
 */
const char *unic_explain(const char *address, int error, char *text, size_t size);

/**
 * unic_start - rings set up, receiver and transmitter on.
 * unic_stop - both off; packets in the rings go back to the pool. Frames that are queued have a
 * moment to leave (a tenth of a second at most), the rest is lost.
 *
 * -EBUSY: started already; -ENETDOWN: stopped already; -ENOMEM; -ETIMEDOUT. After a stop it may be
 * started again.
 */
int unic_start(struct unic_port *port);
int unic_stop(struct unic_port *port);

/**
 * unic_rx_burst - takes received frames.
 * @packets: receives up to @count packets, which are then the caller's.
 *
 * Returns their number, 0 when none is there; -ENETDOWN: not started. Each packet that is taken is
 * replaced in the ring by one of the pool; while the pool is empty, frames are dropped and counted
 * in rx_no_buffer.
 */
int unic_rx_burst(struct unic_port *port, struct unic_packet **packets, unsigned int count);

/**
 * unic_tx_burst - queues frames.
 * @packets: @count packets of this port's pool. Those accepted are the port's and go back to the
 * pool when sent, in a later burst; a burst of 0 packets does nothing else.
 *
 * Returns how many, from the front, were accepted (fewer when the ring is full); -ENETDOWN: not
 * started. A frame shorter than 60 bytes is padded with zeros; one longer than 1514, of length 0,
 * or of another port's pool, is accepted, dropped and counted in tx_errors.
 */
int unic_tx_burst(struct unic_port *port, struct unic_packet **packets, unsigned int count);

/**
 * unic_wait - sleeps until frames have come or the link has changed.
 * @timeout_us: microseconds; negative: without end.
 *
 * 0: look with unic_rx_burst(); -ETIMEDOUT; -EINTR: a signal; -ENETDOWN; -EINVAL:
 * UNIC_CONFIG_NO_IRQ. It returns at once when frames are there already: none that arrives between a
 * burst and the wait is missed.
 */
int unic_wait(struct unic_port *port, int64_t timeout_us);

/* A packet of length 0 from the port's pool, or NULL: all are in use. */
struct unic_packet *unic_packet_alloc(struct unic_port *port);

/**
 * unic_packet_alloc_burst - takes packets from the port's pool.
 * @packets: receives up to @count packets. unic_packet_reset() must set the length of each.
 *
 * Returns their number, fewer than @count when the pool has no more.
 */
unsigned int unic_packet_alloc_burst(struct unic_port *port, struct unic_packet **packets,
				     unsigned int count);

/* The port's pool: free_count of count packets are neither in a ring nor with the application. */
const struct unic_pool *unic_pool(const struct unic_port *port);

struct unic_link {
	uint8_t up;
	uint8_t full_duplex;
	uint32_t speed_mbps; /* 0 when down */
};

/* The link as the device reports it now. */
int unic_link(struct unic_port *port, struct unic_link *link);

/* Since unic_open(). */
struct unic_stats {
	uint64_t rx_packets;   /* handed to the caller */
	uint64_t rx_bytes;     /* without the FCS */
	uint64_t rx_errors;    /* bad frames: CRC, length, more than one buffer */
	uint64_t rx_missed;    /* dropped by the device: no descriptor was free */
	uint64_t rx_no_buffer; /* good frames dropped: the pool was empty */
	uint64_t tx_packets;   /* given to the device */
	uint64_t tx_bytes;     /* of these, with padding, without the FCS */
	uint64_t tx_errors;    /* dropped: length 0, too long, another port's packet */
};

int unic_stats(struct unic_port *port, struct unic_stats *stats);

struct unic_port_info {
	const char *address; /* "DDDD:BB:DD.F" */
	const char *driver;  /* "e1000" */
	uint8_t mac[UNIC_MAC_SIZE];
	uint32_t rx_descriptors;
	uint32_t tx_descriptors;
};

/* Never NULL; valid until unic_close(). */
const struct unic_port_info *unic_info(const struct unic_port *port);

#ifdef __cplusplus
}
#endif

#endif
