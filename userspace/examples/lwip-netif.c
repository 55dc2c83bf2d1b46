/* SPDX-License-Identifier: MIT */
/* A network interface of lwIP's on a unic port. Frames are copied: lwIP keeps some for long. */
#include <errno.h>
#include <string.h>
#include <sys/types.h> /* before lwIP's: both have names for byte orders */

#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>

#include "lwip-netif.h"

#define FULL_US 1000 /* a pause for a transmit ring that is full */

/* What the ring has no room for stays for the next time. */
static int send_out(struct port_netif *n)
{
	int sent;

	if (!n->out_count)
		return 0;
	sent = unic_tx_burst(n->port, 0, n->out, n->out_count);
	if (sent < 0)
		return sent;
	n->sent += (uint64_t)sent;
	n->out_count -= (unsigned int)sent;
	memmove(n->out, n->out + sent, n->out_count * sizeof(n->out[0]));
	return 0;
}

static err_t output(struct netif *netif, struct pbuf *pbuf)
{
	struct port_netif *n = netif->state;
	struct unic_packet *packet;

	if (n->out_count == PORT_NETIF_BURST)
		(void)send_out(n);
	packet = n->out_count < PORT_NETIF_BURST ? unic_packet_alloc(n->port, 0) : NULL;
	if (!packet) {
		n->lost++;
		return ERR_MEM; /* TCP tries again */
	}
	packet->length = pbuf_copy_partial(pbuf, unic_packet_data(packet), pbuf->tot_len, 0);
	n->out[n->out_count++] = packet;
	return ERR_OK;
}

static void input(struct port_netif *n, struct unic_packet *packet)
{
	struct pbuf *pbuf = NULL;

	if (!(packet->flags & UNIC_PACKET_CHAINED))
		pbuf = pbuf_alloc(PBUF_RAW, (u16_t)packet->length, PBUF_POOL);
	if (!pbuf || pbuf_take(pbuf, unic_packet_data(packet), (u16_t)packet->length) ||
	    n->netif.input(pbuf, &n->netif)) {
		if (pbuf)
			pbuf_free(pbuf);
		n->lost++;
		return;
	}
	n->received++;
}

static err_t init(struct netif *netif)
{
	struct port_netif *n = netif->state;
	const struct unic_port_info *info = unic_info(n->port);

	memcpy(netif->name, "un", 2);
	memcpy(netif->hwaddr, info->mac, UNIC_MAC_SIZE);
	netif->hwaddr_len = UNIC_MAC_SIZE;
	netif->mtu = (u16_t)info->mtu;
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	netif->output = etharp_output;
	netif->linkoutput = output;
	return ERR_OK;
}

static void link_follow(struct port_netif *n)
{
	struct unic_link link;

	if (unic_link(n->port, &link))
		return;
	if (link.up)
		netif_set_link_up(&n->netif);
	else
		netif_set_link_down(&n->netif);
}

int port_netif_open(struct port_netif *n, struct unic_port *port, uint32_t ip, uint32_t mask,
		    uint32_t gateway)
{
	const ip4_addr_t ips[] = { { ip }, { mask }, { gateway } };

	memset(n, 0, sizeof(*n));
	n->port = port;
	lwip_init();
	if (!netif_add(&n->netif, &ips[0], &ips[1], &ips[2], n, init, ethernet_input))
		return -EIO;
	netif_set_default(&n->netif);
	netif_set_up(&n->netif);
	link_follow(n);
	return 0;
}

void port_netif_close(struct port_netif *n)
{
	(void)send_out(n);
	unic_packet_free_burst(n->out, n->out_count);
	netif_remove(&n->netif);
}

int port_netif_run(struct port_netif *n, int64_t idle_us)
{
	struct unic_packet *packets[PORT_NETIF_BURST];
	int64_t timer_us;
	int count, i, err;

	count = unic_rx_burst(n->port, 0, packets, PORT_NETIF_BURST);
	if (count < 0)
		return count;
	for (i = 0; i < count; i++)
		input(n, packets[i]);
	unic_packet_free_burst(packets, (unsigned int)count);
	sys_check_timeouts();
	err = send_out(n);
	if (err || count)
		return err;
	timer_us = (int64_t)sys_timeouts_sleeptime() * 1000;
	if (timer_us < idle_us)
		idle_us = timer_us;
	if (n->out_count && idle_us > FULL_US)
		idle_us = FULL_US;
	err = unic_wait(n->port, 0, idle_us);
	if (err == UNIC_WAIT_LINK)
		link_follow(n);
	return err == -ETIMEDOUT || err == -EINTR || err > 0 ? 0 : err;
}
