/* SPDX-License-Identifier: MIT */
/*
 * The NIC layer without any device: a driver that sends into memory, in the place of e1000's, on
 * functions of libuserpci that are replaced here. What a packet must look like is computed by code
 * that the layer does not share (tests/nic/ip.h).
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <unistd.h>

#include <unic/cycles.h>
#include <unic/driver.h>

#include "harness.h"
#include "nic/ip.h"

#define DEVICES 6
#define IOVA	0x1234500000000ull
#define APART	0x100000000ull /* between the device addresses of one byte for two devices */

/* --- libuserpci, as the layer sees it --- */

struct userpci_device {
	unsigned int number;
	bool opened;
	int64_t shift; /* of its addresses of memory that is another's */
};

static struct userpci_device devices[DEVICES];
static int64_t mapped;		 /* DMA buffers, pins among them */
static int pin_error;		 /* of userpci_dma_create() */
static unsigned int pin_pieces;	 /* of the buffer */
static unsigned int alloc_fails; /* 1: the next allocation does */
static uint64_t largest_dma = 4 << 20;

int userpci_open(const char *address, unsigned int flags, struct userpci_device **device)
{
	unsigned int number = (unsigned int)atoi(address);

	(void)flags;
	if (number >= DEVICES || devices[number].opened)
		return -EBUSY;
	*device = &devices[number];
	(*device)->number = number;
	(*device)->opened = true;
	return 0;
}

void userpci_close(struct userpci_device *device)
{
	CHECK(device->opened);
	device->opened = false;
}

const char *userpci_explain(const char *address, int error, char *text, size_t size)
{
	snprintf(text, size, "%s: error %d", address, -error);
	return text;
}

const struct userpci_info *userpci_info(const struct userpci_device *device)
{
	static struct userpci_info info = { .vendor_id = 0x1234, .device_id = 0x5678 };

	(void)device;
	return &info;
}

int userpci_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	(void)device, (void)bits;
	return 0;
}

int userpci_dma_alloc(struct userpci_device *device, uint64_t size, struct userpci_dma *dma)
{
	size = (size + 4095) & ~4095ull;
	if (size > largest_dma || (alloc_fails && !--alloc_fails))
		return -ENOMEM;
	memset(dma, 0, sizeof(*dma));
	dma->va = aligned_alloc(4096, size);
	memset(dma->va, 0, size);
	dma->iova = (uintptr_t)dma->va + IOVA;
	dma->size = size;
	dma->chunks = 1;
	dma->device = device;
	mapped++;
	return 0;
}

int userpci_dma_create(struct userpci_device *device, const struct userpci_dma_options *options,
		       struct userpci_dma *dma)
{
	CHECK_EQ(options->kind, USERPCI_DMA_PINNED);
	if (pin_error)
		return pin_error;
	memset(dma, 0, sizeof(*dma));
	dma->va = options->address;
	dma->size = options->size;
	dma->iova = (uintptr_t)dma->va + IOVA + (uint64_t)device->shift;
	dma->chunks = pin_pieces;
	dma->kind = USERPCI_DMA_PINNED;
	dma->device = device;
	mapped++;
	return 0;
}

void userpci_dma_free(struct userpci_dma *dma)
{
	CHECK(dma->device->opened);
	if (dma->kind != USERPCI_DMA_PINNED)
		free(dma->va);
	mapped--;
}

int userpci_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			uint32_t *value)
{
	(void)device, (void)offset, (void)width;
	*value = 0x1234;
	return 0;
}

/* What the layer does not call here, and other drivers would. */
int userpci_bus_master_enable(struct userpci_device *device)
{
	(void)device;
	return 0;
}

int userpci_bus_master_disable(struct userpci_device *device)
{
	(void)device;
	return 0;
}

int userpci_config_find(struct userpci_device *device, unsigned int id, unsigned int *offset)
{
	(void)device, (void)id, (void)offset;
	return -ENOENT;
}

int userpci_region_map(struct userpci_device *device, unsigned int index,
		       struct userpci_region *region)
{
	(void)device, (void)index, (void)region;
	return -ENOENT;
}

void userpci_region_unmap(struct userpci_region *region)
{
	(void)region;
}

uint64_t userpci_region_read(const struct userpci_region *region, uint64_t offset,
			     unsigned int width)
{
	(void)region, (void)offset, (void)width;
	return UINT64_MAX;
}

void userpci_region_write(const struct userpci_region *region, uint64_t offset, unsigned int width,
			  uint64_t value)
{
	(void)region, (void)offset, (void)width, (void)value;
}

int userpci_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	(void)device, (void)kind, (void)count;
	return 0;
}

void userpci_irq_disable(struct userpci_device *device)
{
	(void)device;
}

int userpci_irq_kind(const struct userpci_device *device)
{
	(void)device;
	return -EINVAL;
}

int userpci_irq_fd(const struct userpci_device *device, unsigned int vector)
{
	(void)device, (void)vector;
	return -EINVAL;
}

int userpci_irq_wait(struct userpci_device *device, unsigned int vector, int64_t timeout_us,
		     uint64_t *count)
{
	(void)device, (void)vector, (void)timeout_us, (void)count;
	return -ETIMEDOUT;
}

int userpci_irq_unmask(struct userpci_device *device, unsigned int vector)
{
	(void)device, (void)vector;
	return 0;
}

/* --- A driver --- */

#define FAKE_MTU 9000

static bool tso_length; /* as the driver of such a device would say */
/* The last frame that was sent, in one piece, and what was left to do. */
static uint8_t sent[UNIC_TSO_MAX + 100];
static uint32_t sent_length;
static unsigned int sent_flags, sent_packets, sent_count;

static int fake_probe(struct unic_port *port)
{
	memcpy(port->info.mac, "\x02\0\0\0\0\x01", 6);
	port->info.can_offload = UNIC_OFFLOAD_ALL;
	port->info.max_queues = 4;
	port->info.max_mtu = FAKE_MTU;
	return 0;
}

static void fake_nothing(struct unic_port *port)
{
	(void)port;
}

static int fake_start(struct unic_port *port)
{
	(void)port;
	return 0;
}

/* "Receives" what is in the pool: packets that the caller fills himself. */
static int fake_rx_burst(struct unic_queue *queue, struct unic_packet **packets, unsigned int count)
{
	if (count > queue->pool->free_count)
		count = queue->pool->free_count;
	unic_pool_get_burst(queue->pool, packets, count);
	return (int)count;
}

static void take_apart(struct unic_packet *packet)
{
	sent_flags = packet->flags;
	sent_length = 0;
	for (sent_packets = 1;; packet = packet->next, sent_packets++) {
		memcpy(sent + sent_length, unic_packet_data(packet), packet->length);
		sent_length += packet->length;
		if (!(packet->flags & UNIC_PACKET_CHAINED))
			return;
	}
}

static bool threaded; /* what was sent is nobody's business */

static void look(struct unic_queue *queue, struct unic_packet *packet, int n)
{
	CHECK_EQ(unic_tx_prepare(queue, packet, tso_length), n);
	take_apart(packet);
	CHECK_EQ(n, sent_packets);
	sent_count++;
}

/* Each goes through unic_tx_prepare(), twice, and back. */
static int fake_tx_burst(struct unic_queue *queue, struct unic_packet **packets, unsigned int count)
{
	unsigned int i;
	int n;

	for (i = 0; i < count; i++) {
		n = unic_tx_prepare(queue, packets[i], tso_length);
		if (n < 0)
			continue;
		if (!threaded)
			look(queue, packets[i], n);
		unic_packet_free(packets[i]);
	}
	return (int)count;
}

static bool fake_no(struct unic_queue *queue)
{
	(void)queue;
	return false;
}

static void fake_arm(struct unic_queue *queue)
{
	(void)queue;
}

static int fake_link(struct unic_port *port, struct unic_link *link)
{
	(void)port, (void)link;
	return 0;
}

static const struct unic_id fake_ids[] = { { 0x1234, 0x5678 }, { 0, 0 } };

const struct unic_driver unic_e1000 = {
	.name = "fake",
	.ids = fake_ids,
	.dma_bits = 64,
	.max_descriptors = 4096,
	.descriptor_multiple = 1,
	.probe = fake_probe,
	.remove = fake_nothing,
	.start = fake_start,
	.stop = fake_nothing,
	.rx_burst = fake_rx_burst,
	.tx_burst = fake_tx_burst,
	.rx_pending = fake_no,
	.irq_arm = fake_arm,
	.irq_ack = fake_no,
	.link = fake_link,
	.update_stats = fake_nothing,
};

/* --- Kit --- */

static struct unic_port *port;

static struct unic_port *open_port(const char *address, const struct unic_config *config)
{
	struct unic_port *p;

	pin_pieces = 1;
	CHECK_EQ(unic_open(address, config, &p), 0);
	CHECK_EQ(unic_start(p), 0);
	return p;
}

static void open_with(uint32_t offloads)
{
	struct unic_config config = { .mtu = FAKE_MTU, .offloads = offloads };

	port = open_port("0", &config);
}

static struct unic_stats stats_of(struct unic_port *p)
{
	struct unic_stats stats;

	CHECK_EQ(unic_stats(p, &stats), 0);
	return stats;
}

/* All packets are back, and each once. */
static void close_whole(void)
{
	const struct unic_pool *pool = port->queues[0]->pool;
	uint32_t i;

	CHECK_EQ(unic_packets_free(port), unic_info(port)->packets);
	for (i = 0; i < pool->free_count; i++)
		pool->free[i]->user = 0;
	for (i = 0; i < pool->free_count; i++)
		CHECK_EQ(pool->free[i]->user++, 0);
	unic_close(port);
	CHECK_EQ(mapped, 0);
	CHECK(!devices[0].opened);
}

static struct unic_packet *alloc_packet(const void *data, uint32_t length)
{
	struct unic_packet *packet = unic_packet_alloc(port, 0);

	CHECK(packet);
	memset(unic_packet_data(packet), 0xee, UNIC_PACKET_ROOM);
	memcpy(unic_packet_data(packet), data, length);
	packet->length = length;
	return packet;
}

static void chain(struct unic_packet *first, struct unic_packet *next)
{
	while (first->flags & UNIC_PACKET_CHAINED)
		first = first->next;
	first->flags |= UNIC_PACKET_CHAINED;
	first->next = next;
}

/* A chain: @head bytes in the first packet, then pieces of @piece. */
static struct unic_packet *make_chain(const uint8_t *data, uint32_t length, uint32_t head,
				      uint32_t piece)
{
	struct unic_packet *first = alloc_packet(data, head < length ? head : length);
	uint32_t at = first->length, size;

	for (; at < length; at += size) {
		size = piece < length - at ? piece : length - at;
		chain(first, alloc_packet(data + at, size));
	}
	return first;
}

static void send_packet(struct unic_packet *packet)
{
	sent_length = sent_flags = 0;
	CHECK_EQ(unic_tx_burst(port, 0, &packet, 1), 1);
}

/* That it is dropped, and counted there. */
#define CHECK_DROPPED(packet, counter)                                       \
	do {                                                                 \
		uint64_t before_ = stats_of(port).counter;                   \
		unsigned int sent_ = sent_count;                             \
                                                                             \
		send_packet(packet);                                         \
		CHECK_EQ(stats_of(port).counter, before_ + 1);               \
		CHECK_EQ(sent_count, sent_);                                 \
		CHECK_EQ(unic_packets_free(port), unic_info(port)->packets); \
	} while (0)

/* --- Lengths and chains --- */

TEST(nic_pads)
{
	uint8_t frame[60];
	uint32_t length, split, i;

	open_with(0);
	memset(frame, 0x55, sizeof(frame));
	for (length = 1; length <= 60; length++)
		for (split = 1; split <= length; split += 7) {
			send_packet(make_chain(frame, length, split, 1000));
			CHECK_EQ(sent_length, 60);
			for (i = 0; i < 60; i++)
				CHECK_EQ(sent[i], i < length ? 0x55 : 0);
		}
	close_whole();
}

/* Zeros where the last packet has no room for them. */
TEST(nic_pads_no_further_than_the_buffer)
{
	struct unic_packet *packet;
	uint8_t frame[60] = { 1 };

	open_with(0);
	packet = alloc_packet(frame, 0);
	packet->offset = UNIC_PACKET_ROOM - 59;
	packet->length = 40;
	CHECK_DROPPED(packet, tx_bad_length);
	packet = alloc_packet(frame, 0);
	packet->offset = UNIC_PACKET_ROOM - 60;
	packet->length = 40;
	send_packet(packet);
	CHECK_EQ(sent_length, 60);
	close_whole();
}

TEST(nic_lengths)
{
	static uint8_t data[FAKE_MTU + UNIC_OVERHEAD + 1];
	struct unic_packet *packet;

	open_with(0);
	CHECK_DROPPED(alloc_packet(data, 0), tx_bad_length);
	CHECK_DROPPED(make_chain(data, sizeof(data), 2048, 2048), tx_bad_length);
	send_packet(make_chain(data, sizeof(data) - 1, 2048, 2048));
	CHECK_EQ(sent_length, sizeof(data) - 1);
	/* With a tag to come there is as much less room. */
	packet = make_chain(data, sizeof(data) - 4, 2000, 2048);
	packet->flags |= UNIC_PACKET_VLAN;
	CHECK_DROPPED(packet, tx_bad_length);
	packet = make_chain(data, sizeof(data) - 5, 2000, 2048);
	packet->flags |= UNIC_PACKET_VLAN;
	send_packet(packet);
	CHECK_EQ(sent_length, sizeof(data) - 1);
	close_whole();
}

TEST(nic_packets_that_lie)
{
	uint8_t data[200] = { 0 };
	struct unic_packet *packet;

	open_with(0);
	packet = alloc_packet(data, 60);
	packet->length = UNIC_PACKET_ROOM + 1;
	CHECK_DROPPED(packet, tx_bad_length);
	packet = alloc_packet(data, 60);
	packet->offset = -UNIC_PACKET_HEADROOM - 1;
	CHECK_DROPPED(packet, tx_bad_length);
	packet = alloc_packet(data, 60);
	packet->offset = UNIC_PACKET_ROOM + 1;
	CHECK_DROPPED(packet, tx_bad_length);
	packet = alloc_packet(data, 60);
	packet->offset = UNIC_PACKET_ROOM - 59;
	CHECK_DROPPED(packet, tx_bad_length);
	packet = alloc_packet(data, 60);
	packet->offset = -UNIC_PACKET_HEADROOM;
	packet->length = UNIC_PACKET_ROOM + UNIC_PACKET_HEADROOM;
	send_packet(packet);
	CHECK_EQ(sent_length, UNIC_PACKET_ROOM + UNIC_PACKET_HEADROOM);
	/* Of a chain, one has no bytes; what is behind it is not lost. */
	packet = make_chain(data, 200, 50, 50);
	packet->next->length = 0;
	unic_packet_free(packet->next->next);
	packet->next->flags &= (uint16_t)~UNIC_PACKET_CHAINED;
	CHECK_DROPPED(packet, tx_bad_length);
	close_whole();
}

TEST(nic_chain_limit)
{
	uint8_t data[65];
	uint32_t i;

	open_with(0);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	send_packet(make_chain(data, 64, 1, 1));
	CHECK_EQ(sent_packets, 64);
	CHECK(!memcmp(sent, data, 64));
	CHECK_DROPPED(make_chain(data, 65, 1, 1), tx_bad_length);
	close_whole();
}

/* Wherever the chain comes back to itself, each of its packets is given back once. */
TEST(nic_chain_without_an_end)
{
	static const uint32_t sizes[] = { 1, 2, 3, 7, 64, 65, 100 };
	struct unic_packet *packet, *last, *back;
	uint8_t data[100] = { 0 };
	uint32_t i, n, to;

	open_with(0);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (to = 0; to < sizes[i]; to++) {
			packet = make_chain(data, sizes[i], 1, 1);
			for (back = packet, n = 0; n < to; n++)
				back = back->next;
			for (last = packet; last->flags & UNIC_PACKET_CHAINED; last = last->next)
				;
			last->flags |= UNIC_PACKET_CHAINED;
			last->next = back;
			CHECK_DROPPED(packet, tx_bad_length);
		}
	}
	close_whole();
}

/* --- Pools --- */

TEST(nic_takes_packets_of_a_sister_pool)
{
	struct unic_config config = { .queues = 2 };
	struct unic_packet *first, *second;
	uint8_t data[60] = { 0 };

	port = open_port("0", &config);
	first = unic_packet_alloc(port, 1);
	second = unic_packet_alloc(port, 1);
	CHECK(first && second);
	CHECK(first->pool == port->queues[1]->pool);
	memcpy(unic_packet_data(first), data, 60);
	first->length = second->length = 60;
	first->flags |= UNIC_PACKET_CHAINED;
	first->next = second;
	send_packet(first);
	CHECK_EQ(sent_length, 120);
	CHECK(first->pool == port->queues[0]->pool);
	CHECK(second->pool == port->queues[0]->pool);
	CHECK_EQ(stats_of(port).tx_bad_packet, 0);
	CHECK_EQ(unic_packets_free(port), unic_info(port)->packets);
	unic_close(port);
}

/* Packets of another depot go back to it, wherever in the chain they are. */
TEST(nic_drops_packets_of_another_depot)
{
	struct unic_port *other = open_port("1", NULL);
	struct unic_packet *packet, *foreign, *last;
	uint8_t data[200] = { 0 };

	open_with(0);
	foreign = unic_packet_alloc(other, 0);
	foreign->length = 60;
	CHECK_DROPPED(foreign, tx_bad_packet);
	CHECK_EQ(unic_packets_free(other), unic_info(other)->packets);
	packet = make_chain(data, 100, 50, 50);
	foreign = unic_packet_alloc(other, 0);
	foreign->length = 60;
	chain(packet, foreign);
	send_packet(packet);
	CHECK_EQ(stats_of(port).tx_packets, 0);
	CHECK_EQ(stats_of(port).tx_bad_packet + stats_of(port).tx_bad_length, 2);
	CHECK_EQ(unic_packets_free(other), unic_info(other)->packets);
	/* All that there are of one, and one of the other's. */
	packet = alloc_packet(data, 1);
	while ((last = unic_packet_alloc(port, 0))) {
		last->length = 1;
		last->next = packet;
		last->flags |= UNIC_PACKET_CHAINED;
		packet = last;
	}
	foreign = unic_packet_alloc(other, 0);
	foreign->length = 60;
	foreign->next = packet;
	foreign->flags |= UNIC_PACKET_CHAINED;
	CHECK_DROPPED(foreign, tx_bad_packet);
	CHECK_EQ(unic_packets_free(other), unic_info(other)->packets);
	unic_close(other);
	close_whole();
}

/* --- VLAN tags --- */

static void tag_frame(uint8_t *frame, uint32_t length)
{
	uint32_t i;

	for (i = 0; i < length; i++)
		frame[i] = (uint8_t)(i + 1);
}

TEST(nic_inserts_tags)
{
	uint8_t frame[200], want[204];
	struct unic_packet *packet;
	uint32_t length, split;

	open_with(0);
	tag_frame(frame, 200);
	memcpy(want, frame, 12);
	ip_put(want + 12, 4, 0x8100e123);
	memcpy(want + 16, frame + 12, 188);
	for (length = 14; length <= 200; length += 31)
		for (split = 14; split <= length; split += 13) {
			packet = make_chain(frame, length, split, 50);
			packet->flags |= UNIC_PACKET_VLAN;
			packet->vlan = 0xe123;
			packet->offset = 0;
			send_packet(packet);
			CHECK_EQ(sent_length, length + 4 < 60 ? 60 : length + 4);
			CHECK(!memcmp(sent, want, length + 4));
			CHECK_EQ(sent_flags & UNIC_PACKET_VLAN, 0);
		}
	close_whole();
}

TEST(nic_tags_need_room)
{
	struct unic_packet *packet;
	uint8_t frame[60];

	open_with(0);
	tag_frame(frame, 60);
	packet = alloc_packet(frame, 60);
	packet->flags |= UNIC_PACKET_VLAN;
	packet->offset = 3 - UNIC_PACKET_HEADROOM;
	CHECK_DROPPED(packet, tx_bad_offload);
	packet = alloc_packet(frame, 60);
	packet->flags |= UNIC_PACKET_VLAN;
	packet->offset = 4 - UNIC_PACKET_HEADROOM;
	send_packet(packet);
	CHECK_EQ(sent_length, 64);
	packet = make_chain(frame, 60, 13, 60);
	packet->flags |= UNIC_PACKET_VLAN;
	CHECK_DROPPED(packet, tx_bad_offload);
	close_whole();
}

TEST(nic_leaves_tags_to_the_device)
{
	struct unic_packet *packet;
	uint8_t frame[60];

	open_with(UNIC_OFFLOAD_VLAN_INSERT);
	tag_frame(frame, 60);
	packet = alloc_packet(frame, 60);
	packet->flags |= UNIC_PACKET_VLAN;
	send_packet(packet);
	CHECK_EQ(sent_flags, UNIC_PACKET_VLAN);
	CHECK_EQ(sent_length, 60);
	CHECK(!memcmp(sent, frame, 60));
	close_whole();
}

/* --- Checksums --- */

static uint32_t noise(void)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return state >> 8;
}

/* A frame of any kind, with right checksums, that may have options, and padding behind it. */
static uint32_t make_any(uint8_t *frame, struct ip_flow *flow)
{
	static const uint8_t macs[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };
	uint32_t options, length, l2, i;

	*flow = (struct ip_flow){
		.ip6 = noise() % 2,
		.udp = noise() % 2,
		.tag = noise() % 4 ? 0 : 0x0123,
		.port = (uint16_t)noise(),
		.payload = noise() % 4 ? noise() % 600 : noise() % 8,
		.sequence = noise(),
	};
	length = ip_make(frame, macs, macs + 6, flow);
	l2 = flow->tag ? 18 : 14;
	if (!flow->ip6) {
		/* Up to ten words of options. */
		options = noise() % 11 * 4;
		memmove(frame + l2 + 20 + options, frame + l2 + 20, length - l2 - 20);
		for (i = 0; i < options; i++)
			frame[l2 + 20 + i] = (uint8_t)noise();
		frame[l2] = (uint8_t)(0x40 | (20 + options) / 4);
		length += options;
		ip_put(frame + l2 + 2, 2, length - l2);
		ip_put(frame + l2 + 12, 4, noise());
	} else {
		ip_put(frame + l2 + 20, 4, noise());
	}
	ip_finish(frame);
	return length;
}

static void ask(struct unic_packet *packet, uint8_t *frame, const struct ip_flow *flow)
{
	struct ip_layout at = ip_look(frame);

	packet->l2_length = (uint8_t)at.l2;
	packet->l3_length = (uint8_t)at.l3;
	packet->l4_length = (uint8_t)at.l4;
	packet->flags |= flow->udp ? UNIC_TX_UDP : UNIC_TX_TCP;
	if (!flow->ip6)
		packet->flags |= UNIC_TX_IP;
}

/* Fields that are to be filled in may hold anything. */
static void spoil(uint8_t *frame, const struct ip_flow *flow)
{
	struct ip_layout at = ip_look(frame);

	ip_put(at.checksum, 2, noise() & 0xffff);
	if (!flow->ip6)
		ip_put(at.ip + 10, 2, noise() & 0xffff);
}

TEST(nic_checksums_by_the_cpu)
{
	uint8_t frame[1000], want[1000];
	struct unic_packet *packet;
	uint32_t length, head, extra, i;
	struct ip_flow flow;
	struct ip_layout at;

	open_with(0);
	for (i = 0; i < 2000; i++) {
		length = make_any(want, &flow);
		CHECK(ip_is_right(want));
		extra = noise() % 3 ? 0 : noise() % 40; /* behind the IP packet, in no checksum */
		memset(want + length, 0x77, extra);
		memcpy(frame, want, length + extra);
		spoil(frame, &flow);
		at = ip_look(frame);
		head = at.l2 + at.l3 + at.l4 + noise() % (flow.payload + 1);
		packet = make_chain(frame, length + extra, head, 1 + noise() % 99 + length / 40);
		ask(packet, frame, &flow);
		send_packet(packet);
		CHECK_EQ(sent_length, length + extra < 60 ? 60 : length + extra);
		CHECK(!memcmp(sent, want, length + extra));
		CHECK_EQ(sent_flags & UNIC_TX_FLAGS & ~UNIC_PACKET_CHAINED, 0);
	}
	close_whole();
}

/* RFC 768: a sum of zero is sent as all ones. */
TEST(nic_udp_checksum_is_never_zero)
{
	static const uint8_t macs[12];
	struct ip_flow flow = { .udp = true, .payload = 20 };
	uint8_t frame[100];
	struct unic_packet *packet;
	struct ip_layout at;
	uint32_t length;

	open_with(0);
	length = ip_make(frame, macs, macs, &flow);
	at = ip_look(frame);
	/* The checksum becomes a part of what is summed up. */
	memset(at.payload, 0, 2);
	ip_finish(frame);
	memcpy(at.payload, at.checksum, 2);
	packet = alloc_packet(frame, length);
	ask(packet, frame, &flow);
	send_packet(packet);
	at = ip_look(sent);
	CHECK_EQ(ip_get(at.checksum, 2), 0xffff);
	CHECK(ip_is_right(sent));
	close_whole();
}

TEST(nic_ip_checksum_alone)
{
	struct ip_flow flow = { .payload = 20 };
	static const uint8_t macs[12];
	struct unic_packet *packet;
	uint8_t frame[100], want[100];
	uint32_t length;

	open_with(0);
	length = ip_make(want, macs, macs, &flow);
	memcpy(frame, want, length);
	ip_put(frame + 14 + 10, 2, 0x1111);
	packet = alloc_packet(frame, length);
	packet->flags |= UNIC_TX_IP;
	packet->l2_length = 14;
	packet->l3_length = 20;
	send_packet(packet);
	CHECK(!memcmp(sent, want, length));
	close_whole();
}

/* Behind an extension header of IPv6. */
TEST(nic_checksum_behind_an_extension)
{
	struct ip_flow flow = { .ip6 = true, .udp = true, .payload = 40 };
	static const uint8_t macs[12];
	uint8_t frame[200], want[200];
	struct unic_packet *packet;
	uint32_t length;

	open_with(0);
	length = ip_make(want, macs, macs, &flow);
	memcpy(frame, want, length);
	memmove(frame + 14 + 48, frame + 14 + 40, length - 14 - 40);
	memset(frame + 14 + 40, 0, 8);
	frame[14 + 6] = 0; /* hop-by-hop options */
	frame[14 + 40] = 17;
	ip_put(frame + 14 + 4, 2, ip_get(frame + 14 + 4, 2) + 8);
	ip_put(frame + 14 + 48 + 6, 2, 0);
	packet = alloc_packet(frame, length + 8);
	packet->flags |= UNIC_TX_UDP;
	packet->l2_length = 14;
	packet->l3_length = 48;
	send_packet(packet);
	CHECK_EQ(ip_get(sent + 14 + 48 + 6, 2), ip_get(want + 14 + 40 + 6, 2));
	close_whole();
}

/* The device sums up what is there: with the pseudo header in the field, IPv4's checksum 0. */
static void check_left(const struct ip_flow *flow, bool tso, uint32_t length)
{
	struct ip_layout at = ip_look(sent);
	uint32_t size = length - at.l2 - at.l3;
	uint8_t pseudo[4] = { 0, flow->udp ? 17 : 6, 0, 0 };
	uint16_t want;

	if (!tso || tso_length)
		ip_put(pseudo + 2, 2, size);
	want = ip_sum(0, pseudo, 4);
	want = flow->ip6 ? ip_sum(want, at.ip + 8, 32) : ip_sum(want, at.ip + 12, 8);
	CHECK_EQ(ip_get(at.checksum, 2), want);
	if (!flow->ip6)
		CHECK_EQ(ip_get(at.ip + 10, 2), 0);
	if (tso && !tso_length)
		CHECK_EQ(ip_get(at.ip + (flow->ip6 ? 4 : 2), 2), 0);
	else
		CHECK_EQ(ip_length(&at), length);
}

TEST(nic_checksums_by_the_device)
{
	struct unic_packet *packet;
	uint8_t frame[1000];
	struct ip_flow flow;
	struct ip_layout at;
	uint32_t length, i;

	open_with(UNIC_OFFLOAD_TX_CHECKSUM);
	for (i = 0; i < 500; i++) {
		length = make_any(frame, &flow);
		spoil(frame, &flow);
		at = ip_look(frame);
		packet = make_chain(frame, length, at.l2 + at.l3 + at.l4, 200);
		ask(packet, frame, &flow);
		send_packet(packet);
		/* One that is padded is the CPU's matter. */
		if (length < 60) {
			CHECK(ip_is_right(sent));
			CHECK_EQ(sent_flags & UNIC_TX_FLAGS & ~UNIC_PACKET_CHAINED, 0);
			continue;
		}
		check_left(&flow, false, length);
		CHECK_EQ(sent_flags & ~UNIC_PACKET_CHAINED,
			 (flow.udp ? UNIC_TX_UDP : UNIC_TX_TCP) | (flow.ip6 ? 0 : UNIC_TX_IP));
	}
	close_whole();
}

/* With a tag that the CPU puts in, and a checksum that the device does. */
TEST(nic_tag_by_the_cpu_moves_the_headers)
{
	struct ip_flow flow = { .payload = 100 };
	static const uint8_t macs[12];
	struct unic_packet *packet;
	uint8_t frame[200];
	uint32_t length;

	open_with(UNIC_OFFLOAD_TX_CHECKSUM);
	length = ip_make(frame, macs, macs, &flow);
	packet = alloc_packet(frame, length);
	ask(packet, frame, &flow);
	packet->flags |= UNIC_PACKET_VLAN;
	packet->vlan = 5;
	send_packet(packet);
	CHECK_EQ(sent_length, length + 4);
	CHECK_EQ(ip_get(sent + 12, 4), 0x81000005);
	CHECK_EQ(packet->l2_length, 18);
	check_left(&flow, false, length + 4);
	close_whole();
}

/* --- Requests that make no sense --- */

static struct unic_packet *good_request(struct ip_flow *flow, uint8_t *frame)
{
	static const uint8_t macs[12];
	struct unic_packet *packet = alloc_packet(frame, ip_make(frame, macs, macs, flow));

	ask(packet, frame, flow);
	return packet;
}

static void drop_bad_headers(void)
{
	struct ip_flow tcp4 = { .payload = 100 }, tcp6 = { .ip6 = true, .payload = 100 };
	struct ip_flow udp4 = { .udp = true };
	struct unic_packet *packet;
	uint8_t frame[300];

#define BAD(flow, change)                              \
	do {                                           \
		packet = good_request(&(flow), frame); \
		change;                                \
		CHECK_DROPPED(packet, tx_bad_offload); \
	} while (0)
	BAD(tcp4, packet->l2_length = 13);
	BAD(tcp4, packet->l2_length = 255);
	BAD(tcp4, packet->l3_length = 19);
	BAD(tcp4, packet->l3_length = 24);
	BAD(tcp6, packet->l3_length = 39);
	BAD(tcp6, packet->flags |= UNIC_TX_IP);
	BAD(tcp4, unic_packet_data(packet)[14] = 0x55);
	BAD(tcp4, ip_put(unic_packet_data(packet) + 16, 2, 39));
	BAD(tcp4, ip_put(unic_packet_data(packet) + 16, 2, packet->length - 13));
	BAD(tcp6, ip_put(unic_packet_data(packet) + 18, 2, packet->length));
	BAD(tcp6, ip_put(unic_packet_data(packet) + 18, 2, 0));
	BAD(udp4, packet->length--);
	/* UDP's header ends with the packet. */
	send_packet(good_request(&udp4, frame));
	CHECK_EQ(sent_length, 60);
#undef BAD
}

TEST(nic_drops_bad_headers)
{
	open_with(0);
	drop_bad_headers();
	close_whole();
	open_with(UNIC_OFFLOAD_ALL);
	drop_bad_headers();
	close_whole();
}

/* --- TSO --- */

static struct unic_packet *tso_request(struct ip_flow *flow, uint32_t head)
{
	static const uint8_t macs[12];
	static uint8_t frame[UNIC_TSO_MAX + 100];
	struct unic_packet *packet;
	uint32_t length;

	length = ip_make(frame, macs, macs, flow);
	if (length > UNIC_PACKET_ROOM)
		ip_put(frame + (flow->ip6 ? 18 : 16), 2, 0); /* it is the device's matter */
	packet = make_chain(frame, length, head, 2048);
	packet->l2_length = 14;
	packet->l3_length = flow->ip6 ? 40 : 20;
	packet->l4_length = IP_TCP_HEADER;
	packet->mss = 1400;
	packet->flags |= UNIC_TX_TSO | UNIC_TX_TCP;
	return packet;
}

static void check_tso(bool ip6, uint32_t payload)
{
	struct ip_flow flow = { .ip6 = ip6, .payload = payload };
	uint32_t headers = 14 + (ip6 ? 40 : 20) + IP_TCP_HEADER;

	send_packet(tso_request(&flow, headers + payload % 100));
	CHECK_EQ(sent_length, headers + payload);
	CHECK(sent_flags & UNIC_TX_TSO);
	/* The length of the longest is no number of 16 bits in IPv4. */
	if (!tso_length || payload < 60000)
		check_left(&flow, true, tso_length ? headers + payload : 0);
}

TEST(nic_tso)
{
	unsigned int i;

	open_with(UNIC_OFFLOAD_TSO);
	for (i = 0; i < 2; i++) {
		tso_length = false;
		check_tso(i, 10);
		check_tso(i, 1401);
		check_tso(i, 1500);
		check_tso(i, 30000);
		check_tso(i, UNIC_TSO_MAX - 14 - 40 - IP_TCP_HEADER);
		tso_length = true;
		check_tso(i, 1401);
		check_tso(i, 1500);
	}
	close_whole();
}

TEST(nic_drops_bad_tso)
{
	struct ip_flow flow = { .payload = 5000 }, none = { 0 };
	struct ip_flow more = { .payload = UNIC_TSO_MAX - 14 - 20 - IP_TCP_HEADER + 1 };
	struct unic_packet *packet;

	open_with(UNIC_OFFLOAD_ALL);
#define BAD(change, counter)                      \
	do {                                      \
		packet = tso_request(&flow, 200); \
		change;                           \
		CHECK_DROPPED(packet, counter);   \
	} while (0)
	BAD(packet->mss = 0, tx_bad_offload);
	BAD(packet->mss = FAKE_MTU + UNIC_OVERHEAD - 14 - 20 - 32 + 1, tx_bad_offload);
	BAD(packet->l4_length = 16, tx_bad_offload);
	BAD(packet->l4_length = 28, tx_bad_offload);
	BAD(packet->l4_length = 33, tx_bad_offload);
	BAD(unic_packet_data(packet)[14 + 20 + 12] = 0x70, tx_bad_offload);
	BAD(packet->flags |= UNIC_TX_UDP, tx_bad_offload);
#undef BAD
	/* Options behind the first packet; nothing to send; more than there may be. */
	CHECK_DROPPED(tso_request(&flow, 14 + 20 + 31), tx_bad_offload);
	CHECK_DROPPED(tso_request(&none, 200), tx_bad_offload);
	CHECK_DROPPED(tso_request(&more, 200), tx_bad_length);
	packet = tso_request(&flow, 200);
	packet->mss = FAKE_MTU + UNIC_OVERHEAD - 14 - 20 - 32;
	send_packet(packet);
	CHECK(sent_flags & UNIC_TX_TSO);
	close_whole();
	open_with(UNIC_OFFLOAD_ALL & ~UNIC_OFFLOAD_TSO);
	CHECK_DROPPED(tso_request(&flow, 200), tx_bad_offload);
	close_whole();
}

/* --- The depot --- */

static int share(const char *address, struct unic_port *with, uint32_t first_pool,
		 struct unic_port **out)
{
	struct unic_config config = { .share = with, .first_pool = first_pool };

	return unic_open(address, &config, out);
}

TEST(nic_shared_depot)
{
	struct unic_port *second;
	struct unic_packet *packet;

	open_with(0);
	CHECK_EQ(share("1", port, 1, &second), 0);
	CHECK(unic_shares(port, second));
	CHECK(port->queues[0]->pool != second->queues[0]->pool);
	CHECK_EQ(unic_info(second)->packets, unic_info(port)->packets);
	/* The pool that was alone, and had all packets, has given of them. */
	/* The first device stays open as long as its memory is in use. */
	packet = unic_packet_alloc(second, 0);
	CHECK(packet);
	unic_close(port);
	CHECK(devices[0].opened);
	memset(unic_packet_data(packet), 1, UNIC_PACKET_ROOM);
	unic_packet_free(packet);
	CHECK_EQ(unic_packets_free(second), unic_info(second)->packets);
	unic_close(second);
	CHECK(!devices[0].opened && !devices[1].opened);
	CHECK_EQ(mapped, 0);
}

/* Pools of the same number are one. */
TEST(nic_shared_pool)
{
	struct unic_port *second;

	open_with(0);
	CHECK_EQ(share("1", port, 0, &second), 0);
	CHECK(port->queues[0]->pool == second->queues[0]->pool);
	CHECK_EQ(port->queues[0]->pool->high, UINT32_MAX);
	unic_close(second);
	CHECK(!devices[1].opened);
	close_whole();
}

TEST(nic_share_out_of_reach)
{
	static const struct {
		int error, told;
	} rows[] = {
		{ -EOPNOTSUPP, -EXDEV },
		{ -EFAULT, -EXDEV },
		{ -EINVAL, -EXDEV },
		{ -ENOMEM, -ENOMEM },
	};
	struct unic_port *second;
	int64_t before;
	size_t i;

	open_with(0);
	before = mapped;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pin_error = rows[i].error;
		CHECK_EQ(share("1", port, 0, &second), rows[i].told);
		CHECK(!devices[1].opened);
	}
	pin_error = 0;
	pin_pieces = 2;
	CHECK_EQ(share("1", port, 0, &second), -EXDEV);
	CHECK(!devices[1].opened);
	CHECK_EQ(mapped, before);
	close_whole();
}

/* Each packet has its address in each space; spaces that agree are one. */
static void check_iova(const struct unic_port *p, int64_t shift)
{
	const struct unic_queue *queue = p->queues[0];
	struct unic_packet *packets[64];
	unsigned int i;

	CHECK_EQ(unic_packet_alloc_burst((struct unic_port *)p, 0, packets, 64), 64);
	for (i = 0; i < 64; i++) {
		unic_packet_reset(packets[i], 0);
		CHECK_EQ(packets[i]->iova[queue->space],
			 (uintptr_t)unic_packet_data(packets[i]) + IOVA + (uint64_t)shift);
	}
	unic_packet_free_burst(packets, 64);
}

TEST(nic_address_spaces)
{
	struct unic_port *same, *apart, *far, *near, *none;

	largest_dma = 256 << 10; /* several chunks */
	open_with(0);
	devices[2].shift = devices[4].shift = APART;
	devices[3].shift = 2 * APART;
	devices[5].shift = 3 * APART;
	CHECK_EQ(share("1", port, 1, &same), 0);
	CHECK_EQ(share("2", port, 2, &apart), 0);
	CHECK_EQ(share("3", port, 3, &far), 0);
	CHECK_EQ(share("4", port, 4, &near), 0);
	CHECK_EQ(share("5", port, 5, &none), -ENOSPC);
	CHECK(!devices[5].opened);
	unic_tx_burst(port, 0, NULL, 0);
	CHECK_EQ(same->space, port->space);
	CHECK_EQ(near->space, apart->space);
	check_iova(port, 0);
	check_iova(same, 0);
	check_iova(apart, APART);
	check_iova(far, 2 * APART);
	check_iova(near, APART);
	/* A space that nobody uses any more is free for others, one that somebody does is not. */
	unic_close(apart);
	CHECK_EQ(share("5", port, 5, &none), -ENOSPC);
	unic_close(far);
	CHECK_EQ(share("5", port, 5, &none), 0);
	check_iova(none, 3 * APART);
	check_iova(near, APART);
	unic_close(same);
	unic_close(near);
	unic_close(none);
	close_whole();
}

/* Memory in pieces as large as there are; where there is none at all, nothing is kept. */
TEST(nic_depot_memory)
{
	struct unic_config config = { .packets = 2000 };

	largest_dma = 32 << 10;
	port = open_port("0", &config);
	CHECK(mapped > 2000 / 15);
	CHECK_EQ(unic_info(port)->packets, 2000);
	check_iova(port, 0);
	close_whole();
	largest_dma = 4096;
	CHECK_EQ(unic_open("0", NULL, &port), -ENOMEM);
	CHECK_EQ(mapped, 0);
	CHECK(!devices[0].opened);
	largest_dma = 4 << 20;
	alloc_fails = 2;
	config.packets = 4000;
	port = open_port("0", &config);
	CHECK_EQ(unic_info(port)->packets, 4000);
	close_whole();
}

/* A pool that is alone has all packets; several leave some to the others. */
TEST(nic_pools_share)
{
	struct unic_config config = { .queues = 4, .packets = 5000 };
	struct unic_packet *packets[5000];
	const struct unic_pool *pool;
	unsigned int n = 0, q;

	port = open_port("0", &config);
	pool = port->queues[0]->pool;
	CHECK_EQ(pool->high, 5000 / 8);
	/* One queue gets all that no pool has. */
	while (unic_packet_alloc_burst(port, 0, packets + n, 1))
		unic_packet_reset(packets[n++], 60);
	CHECK(n >= 5000 - 4 * 256);
	/* Freed there, it keeps its share when it sends. */
	unic_packet_free_burst(packets, n);
	CHECK(pool->free_count > pool->high);
	unic_tx_burst(port, 0, NULL, 0);
	CHECK(pool->free_count <= pool->high);
	for (q = 1; q < 4; q++)
		CHECK_EQ(unic_packet_alloc_burst(port, q, packets, 900), 900);
	CHECK_EQ(unic_packets_free(port), 5000 - 3 * 900);
	unic_close(port);
	CHECK_EQ(mapped, 0);
}

/* --- Threads --- */

#define ROUNDS 20000

struct mill {
	struct unic_port *port;
	unsigned int queue;
	struct mill *next;
	struct unic_packet *slot[256];
	uint32_t put, taken;
	uint64_t moved;
	bool lost;
};

/* Takes packets of its own pool, hands them to the next thread, and sends what came to it. */
static void *turn(void *argument)
{
	struct mill *mill = argument, *next = mill->next;
	struct unic_packet *packet;
	unsigned int i, handed = 0;

	for (i = 0; i < 4 * ROUNDS && handed < ROUNDS; i++) {
		if (next->put - __atomic_load_n(&next->taken, __ATOMIC_ACQUIRE) < 256 &&
		    unic_packet_alloc_burst(mill->port, mill->queue, &packet, 1)) {
			unic_packet_reset(packet, 60);
			packet->user = handed++;
			next->slot[next->put % 256] = packet;
			__atomic_store_n(&next->put, next->put + 1, __ATOMIC_RELEASE);
		}
		while (mill->taken != __atomic_load_n(&mill->put, __ATOMIC_ACQUIRE)) {
			packet = mill->slot[mill->taken % 256];
			mill->lost |= packet->user != mill->moved++;
			mill->lost |= unic_tx_burst(mill->port, mill->queue, &packet, 1) != 1;
			__atomic_store_n(&mill->taken, mill->taken + 1, __ATOMIC_RELEASE);
		}
	}
	return NULL;
}

TEST(nic_pools_exchange_packets_of_threads)
{
	struct unic_config config = { .queues = 2, .packets = 1500 };
	struct mill mills[2] = { { 0 } };
	pthread_t threads[2];
	unsigned int i;

	threaded = true;
	port = open_port("0", &config);
	for (i = 0; i < 2; i++) {
		mills[i].port = port;
		mills[i].queue = i;
		mills[i].next = &mills[1 - i];
	}
	for (i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, turn, &mills[i]), 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < 2; i++) {
		CHECK(!mills[i].lost);
		for (; mills[i].taken != mills[i].put; mills[i].taken++)
			unic_packet_free(mills[i].slot[mills[i].taken % 256]);
	}
	CHECK_EQ(stats_of(port).tx_bad_packet, 0);
	CHECK_EQ(unic_packets_free(port), 1500);
	unic_close(port);
}

/* --- Cycles --- */

/* A burst of five, there and back. */
static void move_five(unsigned int queue)
{
	struct unic_packet *packets[5];
	unsigned int i;

	CHECK_EQ(unic_rx_burst(port, queue, packets, 5), 5);
	for (i = 0; i < 5; i++)
		unic_packet_reset(packets[i], 100);
	CHECK_EQ(unic_tx_burst(port, queue, packets, 5), 5);
}

static void check_way(const struct unic_cycles_way *way, uint64_t bursts)
{
	CHECK_EQ(way->bursts, bursts);
	CHECK_EQ(way->packets, 5 * bursts);
	CHECK(!way->cycles == !bursts);
}

TEST(nic_cycles)
{
	struct unic_config config = { .queues = 2, .flags = UNIC_CONFIG_CYCLES };
	const struct unic_cycles *page;
	struct unic_packet *packet;
	uint64_t before;

	port = open_port("0", &config);
	page = port->cycles;
	CHECK(page);
	CHECK_EQ(page->magic, UNIC_CYCLES_MAGIC);
	CHECK_EQ(page->queues, 2);
	CHECK_STR(page->given, "0");
	CHECK_STR(page->driver, "fake");
	CHECK_STR(page->address, unic_info(port)->address);
	move_five(1);
	check_way(&page->queue[0].rx, 0);
	check_way(&page->queue[0].tx, 0);
	check_way(&page->queue[1].rx, 1);
	check_way(&page->queue[1].tx, 1);
	/* What moves nothing is not counted, nor what it takes. */
	before = page->queue[1].rx.cycles;
	CHECK_EQ(unic_rx_burst(port, 1, &packet, 0), 0);
	CHECK_EQ(unic_tx_burst(port, 1, &packet, 0), 0);
	CHECK_EQ(page->queue[1].rx.cycles, before);
	check_way(&page->queue[1].tx, 1);
	/* It goes on after a stop. */
	CHECK_EQ(unic_stop(port), 0);
	CHECK_EQ(unic_rx_burst(port, 1, &packet, 1), -ENETDOWN);
	CHECK_EQ(unic_start(port), 0);
	move_five(1);
	check_way(&page->queue[1].rx, 2);
	unic_close(port);
}

/* Somebody who cuts the page off would end the process that counts. */
TEST(nic_cycles_page_is_sealed)
{
	struct unic_config config = { .flags = UNIC_CONFIG_CYCLES };
	int fd;

	port = open_port("0", &config);
	fd = port->cycles_fd;
	CHECK_EQ(ftruncate(fd, 0), -1);
	CHECK_EQ(errno, EPERM);
	move_five(0);
	close_whole();
	CHECK_EQ(ftruncate(fd, 0), -1);
	CHECK_EQ(errno, EBADF);
}

/* At no cost: the bursts are the driver's own. */
TEST(nic_cycles_off)
{
	static const char *const values[] = { NULL, "", "0", "yes" };
	unsigned int i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (values[i])
			setenv("UNIC_CYCLES", values[i], 1);
		else
			unsetenv("UNIC_CYCLES");
		open_with(0);
		CHECK(!port->cycles);
		CHECK(port->queues[0]->rx_burst == fake_rx_burst);
		CHECK(port->queues[0]->tx_burst == fake_tx_burst);
		close_whole();
	}
	setenv("UNIC_CYCLES", "1", 1);
	open_with(0);
	CHECK(port->cycles);
	close_whole();
	unsetenv("UNIC_CYCLES");
}

TEST_MAIN
