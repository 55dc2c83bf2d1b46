/* SPDX-License-Identifier: MIT */
/* The control virtqueue: one command at a time. Spec: VIRTIO 1.2, 5.1.6.5. */
#ifndef VIRTIO_CONTROL_H
#define VIRTIO_CONTROL_H

#include "queue.h"

struct virtio_control {
	const struct virtio_modern *modern;
	struct virtio_ring ring;
	bool stuck; /* the device still has a command: it gets no other */
};

int virtio_control_alloc(struct virtio_control *c, const struct virtio_modern *modern,
			 const struct virtio_ring_kind *kind);
void virtio_control_free(struct virtio_control *c);

/* -EIO: the device refuses; -ETIMEDOUT; -ENODEV. The device must be running. */
int virtio_control_pairs(struct virtio_control *c, uint16_t pairs);
int virtio_control_mac(struct virtio_control *c, const uint8_t mac[UNIC_MAC_SIZE]);
/* What to receive, as the port says it. */
int virtio_control_receive(struct virtio_control *c, const struct unic_port *port);

#endif
