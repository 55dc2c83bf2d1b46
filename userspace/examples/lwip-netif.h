/* SPDX-License-Identifier: MIT */
/*
 * A network interface of lwIP's on a unic port, for programs that have no thread but their own.
 *
 *     port_netif_open()  ->  lwIP's raw calls (tcp_new()...), port_netif_run() again and again
 *     port_netif_close() <-
 *
 * All of it, and all calls of lwIP, are for one thread: tcpip_init() is not used.
 */
#ifndef EXAMPLES_LWIP_NETIF_H
#define EXAMPLES_LWIP_NETIF_H

#include <lwip/netif.h>
#include <unic/unic.h>

#define PORT_NETIF_BURST 32

struct port_netif {
	struct netif netif;
	struct unic_port *port;
	struct unic_packet *out[PORT_NETIF_BURST]; /* until the end of this run */
	unsigned int out_count;
	uint64_t received, sent, lost; /* frames; the last: no room for them, either way */
};

/**
 * port_netif_open - begins lwIP, and gives it a port as its interface.
 * @port: opened and started; it stays the caller's.
 * @ip: with @mask and @gateway, in network byte order; @gateway may be 0.
 *
 * Once a process. 0, or -EIO: lwIP does not take it.
 */
int port_netif_open(struct port_netif *n, struct unic_port *port, uint32_t ip, uint32_t mask,
		    uint32_t gateway);
void port_netif_close(struct port_netif *n);

/**
 * port_netif_run - hands received frames to lwIP, runs its timers, and sends what it has to send.
 * @idle_us: when there was nothing to do it sleeps until there is, so many microseconds at most.
 *
 * 0, or the port's error: -ENODEV, the device is gone.
 */
int port_netif_run(struct port_netif *n, int64_t idle_us);

#endif
