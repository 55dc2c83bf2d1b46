// SPDX-License-Identifier: MIT
/* The benchmark's loop on the NIC layer. */
#include <err.h>
#include <string.h>

#include <unic/unic.h>

#include "frame.h"

#define PACKET struct unic_packet

static struct unic_port *ports[3];

static void stack_open(int count, char **addresses)
{
	struct unic_config config = {
		.flags = UNIC_CONFIG_PROMISCUOUS,
		.offloads = UNIC_OFFLOAD_RX_CHECKSUM | UNIC_OFFLOAD_TX_CHECKSUM |
			    UNIC_OFFLOAD_VLAN_STRIP | UNIC_OFFLOAD_VLAN_INSERT,
	};
	char text[256];
	int i, error;

	for (i = 0; i < count; i++) {
		/* What a forwarder receives by one port it sends by the other. */
		config.share = i == 1 && count == 3 ? ports[0] : NULL;
		error = unic_open(addresses[i], &config, &ports[i]);
		if (error)
			errx(1, "%s", unic_explain(addresses[i], error, text, sizeof(text)));
	}
	for (i = 0; i < count; i++) {
		error = unic_start(ports[i]);
		if (error)
			errx(1, "%s: start: %s", addresses[i], strerror(-error));
	}
}

static inline unsigned int stack_alloc(unsigned int port, PACKET **packets, unsigned int count)
{
	return unic_packet_alloc_burst(ports[port], 0, packets, count);
}

static inline void stack_write(PACKET **packets, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		unic_packet_reset(packets[i], sizeof(frame));
		memcpy(unic_packet_data(packets[i]), frame, sizeof(frame));
	}
}

static inline unsigned int stack_tx(unsigned int port, PACKET **packets, unsigned int count)
{
	int sent = unic_tx_burst(ports[port], 0, packets, count);

	return sent > 0 ? (unsigned int)sent : 0;
}

static inline unsigned int stack_rx(unsigned int port, PACKET **packets, unsigned int count)
{
	int came = unic_rx_burst(ports[port], 0, packets, count);

	return came > 0 ? (unsigned int)came : 0;
}

static inline void stack_free(PACKET **packets, unsigned int count)
{
	unic_packet_free_burst(packets, count);
}

#include "loop.h"
