// SPDX-License-Identifier: MIT
/*
 * The benchmark's loop on DPDK. Compiled with BEST it sets what its users tune: how many
 * descriptors are freed, reported and refilled at once.
 */
#include <err.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "frame.h"

#define PACKET struct rte_mbuf

#ifndef BEST
#define BEST 0
#endif

#define DESCRIPTORS 256
#define MBUFS	    4095
#define CACHE	    256
#define RX_OFFLOADS (RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_VLAN_STRIP)
#define TX_OFFLOADS                                                     \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | \
	 RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_VLAN_INSERT)

static uint16_t ports[3];
static struct rte_mempool *pool;
static int vectorized; /* virtio's argument of that name */

static void try(int error, const char *what)
{
	if (error < 0)
		errx(1, "%s: %s", what, strerror(-error));
}

static void open_eal(int count, char **addresses)
{
	static const char *const always[] = { "dpdk",		"-l", "0",  "--in-memory",
					      "--no-telemetry", "-m", "128" };
	char *words[32], *drivers = getenv("DPDK_DRIVERS"), *driver, *rest = NULL;
	int i, n = 0;

	while (n < (int)(sizeof(always) / sizeof(*always))) {
		words[n] = strdup(always[n]);
		n++;
	}
	for (driver = drivers ? strtok_r(drivers, " ", &rest) : NULL; driver;
	     driver = strtok_r(NULL, " ", &rest)) {
		words[n++] = strdup("-d");
		words[n++] = driver;
	}
	for (i = 0; i < count; i++) {
		words[n++] = strdup("-a");
		if (asprintf(&words[n++], "0000:%s%s", addresses[i],
			     vectorized ? ",vectorized=1" : "") < 0)
			err(1, NULL);
	}
	try(rte_eal_init(n, words) < 0 ? -rte_errno : 0, "rte_eal_init");
}

static void open_port(uint16_t port)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf config = { .rxmode.offloads = RX_OFFLOADS };
	struct rte_eth_txconf tx;
	struct rte_eth_rxconf rx;

	try(rte_eth_dev_info_get(port, &info), "info");
	/* A vectorized receiver is chosen only without offloads. */
	config.rxmode.offloads = vectorized ? 0 : RX_OFFLOADS & info.rx_offload_capa;
	config.txmode.offloads = TX_OFFLOADS & info.tx_offload_capa;
	try(rte_eth_dev_configure(port, 1, 1, &config), "configure");
	tx = info.default_txconf;
	rx = info.default_rxconf;
	tx.offloads = config.txmode.offloads;
	rx.offloads = config.rxmode.offloads;
	if (BEST && !vectorized) {
		tx.tx_rs_thresh = tx.tx_free_thresh = DESCRIPTORS / 2;
		rx.rx_free_thresh = DESCRIPTORS / 4;
	}
	try(rte_eth_rx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, &rx, pool), "rx queue");
	try(rte_eth_tx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, &tx), "tx queue");
	try(rte_eth_dev_start(port), "start");
	try(rte_eth_promiscuous_enable(port), "promiscuous");
}

static void stack_open(int count, char **addresses)
{
	char name[32];
	int i;

	vectorized = !!getenv("VECTORIZED");
	open_eal(count, addresses);
	pool = rte_pktmbuf_pool_create("packets", MBUFS, CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       SOCKET_ID_ANY);
	if (!pool)
		errx(1, "pool: %s", strerror(rte_errno));
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "0000:%s", addresses[i]);
		try(rte_eth_dev_get_port_by_name(name, &ports[i]), name);
		open_port(ports[i]);
	}
}

static inline unsigned int stack_alloc(unsigned int port, PACKET **packets, unsigned int count)
{
	(void)port;
	return rte_pktmbuf_alloc_bulk(pool, packets, count) ? 0 : count;
}

static inline void stack_write(PACKET **packets, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		packets[i]->data_len = packets[i]->pkt_len = sizeof(frame);
		memcpy(rte_pktmbuf_mtod(packets[i], void *), frame, sizeof(frame));
	}
}

static inline unsigned int stack_tx(unsigned int port, PACKET **packets, unsigned int count)
{
	return rte_eth_tx_burst(ports[port], 0, packets, (uint16_t)count);
}

static inline unsigned int stack_rx(unsigned int port, PACKET **packets, unsigned int count)
{
	return rte_eth_rx_burst(ports[port], 0, packets, (uint16_t)count);
}

static inline void stack_free(PACKET **packets, unsigned int count)
{
	rte_pktmbuf_free_bulk(packets, count);
}

#include "loop.h"
