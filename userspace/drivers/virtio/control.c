/* SPDX-License-Identifier: MIT */
/* Commands to the device. */
#include <errno.h>
#include <string.h>

#include "control.h"

/* A command is two descriptors, and takes the whole ring. */
#define CONTROL_SIZE	2
#define CONTROL_COMMAND 0   /* where it is in the memory behind the ring */
#define CONTROL_ACK	504 /* one byte */
#define CONTROL_MEMORY	512
#define CONTROL_NO_ACK	0xff
/* Class, command; two tables with the number of their entries in front. */
#define CONTROL_MOST (2 + 4 + 4 + UNIC_MULTICAST_MAX * UNIC_MAC_SIZE)
_Static_assert(CONTROL_MOST <= CONTROL_ACK, "the longest command");

int virtio_control_alloc(struct virtio_control *c, const struct virtio_modern *modern,
			 const struct virtio_ring_kind *kind)
{
	c->modern = modern;
	c->stuck = false;
	return virtio_ring_alloc(modern->device, &c->ring, CONTROL_SIZE, CONTROL_MEMORY, kind);
}

void virtio_control_free(struct virtio_control *c)
{
	virtio_ring_free(&c->ring);
}

/* Spec: 2.7.13, 2.8.21: the answer's descriptor, then the command's, which makes both available. */
static void control_post(struct virtio_ring *r, uint32_t size)
{
	uint64_t follow = size, answer = 1, flags;

	if (r->packed) {
		flags = virtio_packed_avail(r, r->tail);
		follow |= VIRTIO_DESC_F_NEXT << VIRTIO_PACKED_FLAGS | flags;
		answer |= VIRTIO_DESC_F_WRITE << VIRTIO_PACKED_FLAGS | flags;
	} else {
		follow |= VIRTIO_DESC_F_NEXT << VIRTIO_SPLIT_FLAGS | 1ull << VIRTIO_SPLIT_NEXT;
		answer |= VIRTIO_DESC_F_WRITE << VIRTIO_SPLIT_FLAGS;
	}
	r->desc[1].address = userpci_cpu_to_le64(r->extra_iova + CONTROL_ACK);
	r->desc[1].word = userpci_cpu_to_le64(answer);
	r->desc[0].address = userpci_cpu_to_le64(r->extra_iova + CONTROL_COMMAND);
	userpci_wmb(); /* the second descriptor before the first one's flags */
	r->desc[0].word = userpci_cpu_to_le64(follow);
	r->tail += CONTROL_SIZE;
	if (!r->packed) {
		r->avail->ring[r->avail_next & r->mask] = userpci_cpu_to_le16(0);
		r->avail_next++;
		userpci_wmb(); /* the descriptors before the index */
		r->avail->idx = userpci_cpu_to_le16((uint16_t)r->avail_next);
	}
	userpci_wmb(); /* all that before the doorbell */
	virtio_ring_bell(r);
}

static int control_wait(struct virtio_control *c)
{
	struct virtio_ring *r = &c->ring;
	unsigned int waited = 0;

	while (!virtio_ring_pending(r)) {
		int err = virtio_modern_check(c->modern);

		if (!err && waited >= VIRTIO_TIMEOUT_US)
			err = -ETIMEDOUT;
		if (err) {
			c->stuck = true;
			return err;
		}
		virtio_pause(&waited);
	}
	userpci_rmb(); /* that it is used before the answer */
	r->next += r->packed ? CONTROL_SIZE : 1;
	return r->extra[CONTROL_ACK] == VIRTIO_NET_OK ? 0 : -EIO;
}

static int control_send(struct virtio_control *c, uint8_t class, uint8_t command, const void *data,
			uint32_t size)
{
	uint8_t *memory = c->ring.extra;

	if (c->stuck)
		return -EIO;
	memory[CONTROL_COMMAND] = class;
	memory[CONTROL_COMMAND + 1] = command;
	memcpy(memory + CONTROL_COMMAND + 2, data, size);
	memory[CONTROL_ACK] = CONTROL_NO_ACK;
	control_post(&c->ring, size + 2);
	return control_wait(c);
}

int virtio_control_pairs(struct virtio_control *c, uint16_t pairs)
{
	le16_t value = userpci_cpu_to_le16(pairs);

	return control_send(c, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_PAIRS, &value, sizeof(value));
}

int virtio_control_mac(struct virtio_control *c, const uint8_t mac[UNIC_MAC_SIZE])
{
	return control_send(c, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR, mac, UNIC_MAC_SIZE);
}

int virtio_control_receive(struct virtio_control *c, const struct unic_port *port)
{
	uint8_t promiscuous = !!(port->receive_mode & UNIC_RECEIVE_ALL);
	uint8_t multicast = !!(port->receive_mode & UNIC_RECEIVE_ALL_MULTICAST);
	uint8_t tables[CONTROL_MOST - 2] = { 0 };
	uint32_t size = port->multicast_count * UNIC_MAC_SIZE;
	le32_t count = userpci_cpu_to_le32(port->multicast_count);
	int err;

	/* Spec: 5.1.6.5.2: no more unicast addresses, then the multicast ones. */
	memcpy(tables + 4, &count, sizeof(count));
	memcpy(tables + 8, port->multicast, size);
	err = control_send(c, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE, tables, 8 + size);
	if (!err)
		err = control_send(c, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, &multicast,
				   sizeof(multicast));
	if (!err)
		err = control_send(c, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &promiscuous,
				   sizeof(promiscuous));
	return err;
}
