/* SPDX-License-Identifier: MIT */
/* The memory of a port's packets. */
#ifndef NIC_POOL_H
#define NIC_POOL_H

#include <userpci/userpci.h>

#include <unic/packet.h>

/* @count packets within the device's DMA mask. What userpci_dma_alloc() returns, or -ENOMEM. */
int unic_pool_create(struct userpci_device *device, uint32_t count, struct unic_pool **pool);
void unic_pool_destroy(struct unic_pool *pool);

#endif
