/* SPDX-License-Identifier: MIT */
/* The memory of packets, which ports share, and the pools that their queues draw from. */
#ifndef NIC_DEPOT_H
#define NIC_DEPOT_H

#include <unic/driver.h>

#define UNIC_DEPOT_POOLS 64

/* @count packets within the device's DMA mask. What userpci_dma_alloc() returns, or -ENOMEM. The
 * depot keeps the device open until its last port leaves. */
int unic_depot_create(struct unic_port *port, uint32_t count);
/* The other way to get one. -EXDEV: its memory is out of reach; -ENOSPC: it is in too many address
 * spaces; -ENOMEM. */
int unic_depot_join(struct unic_port *port, struct unic_port *other);
/* Closes the port's device, now or with the depot. */
void unic_depot_leave(struct unic_port *port);

/* The pool of that number, new or shared; NULL: no memory. */
struct unic_pool *unic_depot_pool(struct unic_depot *depot, unsigned int number);

uint32_t unic_depot_count(const struct unic_depot *depot);
/* Packets in no ring and with no application. */
uint32_t unic_depot_free(struct unic_depot *depot);

/* At least @count packets into the pool, if there are as many. */
void unic_pool_fill(struct unic_pool *pool, uint32_t count);
/* Gives back what the pool has above its share. */
void unic_pool_spill(struct unic_pool *pool);

#endif
