/* SPDX-License-Identifier: MIT */
/* What bursts cost, counted in a page that other processes read: <unic/cycles.h>. */
#ifndef NIC_CYCLES_H
#define NIC_CYCLES_H

#include <unic/driver.h>

/* The page of a port whose queues exist, if the application or the environment wishes for it. */
int unic_cycles_open(struct unic_port *port, const char *given);
/* Also of a port that has none. */
void unic_cycles_close(struct unic_port *port);

/* The driver's bursts, counted. */
int unic_cycles_rx_burst(struct unic_queue *queue, struct unic_packet **packets,
			 unsigned int count);
int unic_cycles_tx_burst(struct unic_queue *queue, struct unic_packet **packets,
			 unsigned int count);

#endif
