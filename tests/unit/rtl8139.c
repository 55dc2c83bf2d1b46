/* SPDX-License-Identifier: MIT */
/*
 * The rtl8139 driver on QEMU's device: frames of all lengths, and a ring that lies. The device's
 * memory is this program's, so what the device has written is changed here. The suite of all
 * drivers has the rest.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#include <unic/driver.h>

#include "harness.h"

#define RING	  32768
#define RING_AT	  8192 /* in the driver's DMA buffer, behind the slots for sending */
#define BURST	  32
#define REGS_CAPR 0x38
#define REGS_CBR  0x3a

/* What the driver's private structure begins with. */
struct head {
	struct userpci_region regs;
	struct userpci_dma dma;
};

struct nic {
	struct unic_port *port;
	const struct head *head;
	uint8_t *ring;
	int wire;
	uint32_t random;
};

static struct nic nic_open(void)
{
	struct nic nic = { .random = 1 };
	struct unic_link link;
	int err;

	alarm(120);
	err = unic_open("qemu:rtl8139", NULL, &nic.port);
	if (err == -ENOENT)
		SKIP("there is no QEMU; run scripts/setup guest");
	CHECK_EQ(err, 0);
	CHECK_EQ(unic_start(nic.port), 0);
	/* A read: all writes of the start have arrived, and no frame is sent too early. */
	CHECK_EQ(unic_link(nic.port, &link), 0);
	CHECK(link.up && link.full_duplex && link.speed_mbps == 100);
	nic.head = nic.port->priv;
	nic.ring = (uint8_t *)nic.head->dma.va + RING_AT;
	nic.wire = userpci_wire_fd(nic.port->device);
	return nic;
}

/* No packet is lost, whatever was received. */
static void nic_close(struct nic *nic)
{
	CHECK_EQ(unic_stop(nic->port), 0);
	CHECK_EQ(unic_packets_free(nic->port), unic_info(nic->port)->packets);
	unic_close(nic->port);
}

static uint32_t draw(struct nic *nic, uint32_t limit)
{
	nic->random = nic->random * 1664525 + 1013904223;
	return (nic->random >> 8) % limit;
}

/* Where the driver will look next. */
static uint32_t next_header(const struct nic *nic)
{
	return (userpci_read16(&nic->head->regs, REGS_CAPR) + 16u) % RING;
}

static uint32_t in_ring(const struct nic *nic)
{
	return (userpci_read16(&nic->head->regs, REGS_CBR) - next_header(nic)) % RING;
}

/* Broadcasts of @length bytes, all of them in the ring at the end. */
static void send_frames(const struct nic *nic, uint32_t count, uint32_t length)
{
	uint32_t before = in_ring(nic), each = (length + 4 + 4 + 3) & ~3u;
	uint8_t frame[1518];

	memset(frame, 0x5a, sizeof(frame));
	memset(frame, 0xff, 6);
	while (count--) {
		CHECK_EQ(send(nic->wire, frame, length, 0), length);
		before += each;
		while (in_ring(nic) != before)
			usleep(10);
	}
}

static unsigned int take(const struct nic *nic, uint32_t length)
{
	struct unic_packet *packets[BURST];
	int n = unic_rx_burst(nic->port, 0, packets, BURST), i;

	CHECK(n >= 0 && n <= BURST);
	for (i = 0; i < n && length; i++)
		CHECK_EQ(packets[i]->length, length);
	unic_packet_free_burst(packets, (unsigned int)n);
	return (unsigned int)n;
}

static struct unic_stats stats_of(const struct nic *nic)
{
	struct unic_stats stats;

	CHECK_EQ(unic_stats(nic->port, &stats), 0);
	return stats;
}

static void put_header(const struct nic *nic, uint32_t at, uint32_t status, uint32_t length)
{
	uint32_t header = status | length << 16;

	memcpy(nic->ring + at, &header, sizeof(header));
}

static void fill(uint8_t *frame, uint32_t length, uint32_t mark)
{
	uint32_t i;

	memset(frame, 0xff, 6);
	for (i = 6; i < length; i++)
		frame[i] = (uint8_t)(i * 7 + (i >> 8) + mark);
}

/* One at a time, so that each begins elsewhere in the ring, across its end as well. */
TEST(rtl8139_all_lengths_to_the_port)
{
	struct nic nic = nic_open();
	struct unic_packet *packet;
	uint8_t frame[1518];
	uint32_t length;

	for (length = 60; length <= sizeof(frame); length++) {
		fill(frame, length, length);
		CHECK_EQ(send(nic.wire, frame, length, 0), length);
		while (!unic_rx_burst(nic.port, 0, &packet, 1))
			CHECK(unic_wait(nic.port, 0, 20000000) >= 0);
		CHECK_EQ(packet->length, length);
		CHECK(!memcmp(unic_packet_data(packet), frame, length));
		unic_packet_free(packet);
		CHECK(!unic_wait_pending(nic.port, 0));
	}
	CHECK_EQ(stats_of(&nic).rx_packets, length - 60);
	CHECK_EQ(stats_of(&nic).rx_errors, 0);
	nic_close(&nic);
}

TEST(rtl8139_all_lengths_from_the_port)
{
	uint8_t frame[1518], came[2048];
	struct nic nic = nic_open();
	struct unic_packet *packet;
	uint32_t length, sent;

	for (length = 1; length <= sizeof(frame); length++) {
		fill(frame, length, length);
		packet = unic_packet_alloc(nic.port, 0);
		CHECK(packet);
		memcpy(unic_packet_data(packet), frame, length);
		packet->length = length;
		CHECK_EQ(unic_tx_burst(nic.port, 0, &packet, 1), 1);
		sent = length < 60 ? 60 : length;
		CHECK_EQ(recv(nic.wire, came, sizeof(came), 0), sent);
		CHECK(!memcmp(came, frame, length));
		while (sent > length)
			CHECK_EQ(came[--sent], 0);
	}
	CHECK_EQ(stats_of(&nic).tx_packets, length - 1);
	nic_close(&nic);
}

/* Each is found, counted, and the frame after the next look is received. */
TEST(rtl8139_header_that_lies_resets_the_receiver)
{
	/* Status and length, where three frames of 100 bytes lie. */
	static const uint32_t lies[][2] = {
		{ 0, 104 },    { 0x8000, 104 }, { 1, 0 },      { 1, 3 },
		{ 1, 4 },      { 1, 3 * 108 },	{ 1, 2000 },   { 1, 0x7fff },
		{ 1, 0x8000 }, { 1, 0xfff0 },	{ 1, 0xffff }, { 0xfffe, 0xffff },
	};
	struct nic nic = nic_open();
	uint32_t i;

	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		send_frames(&nic, 3, 100);
		put_header(&nic, next_header(&nic), lies[i][0], lies[i][1]);
		CHECK_EQ(take(&nic, 0), 0);
		CHECK_EQ(stats_of(&nic).rx_errors, i + 1);
		CHECK_EQ(in_ring(&nic), 0);
		send_frames(&nic, 1, 60);
		CHECK_EQ(take(&nic, 60), 1);
	}
	CHECK_EQ(stats_of(&nic).rx_packets, i);
	nic_close(&nic);
}

/* The frames before it are not lost. */
TEST(rtl8139_second_header_that_lies)
{
	struct nic nic = nic_open();

	send_frames(&nic, 3, 100);
	put_header(&nic, (next_header(&nic) + 108) % RING, 1, 0xffff);
	CHECK_EQ(take(&nic, 100), 1);
	CHECK_EQ(stats_of(&nic).rx_errors, 1);
	CHECK_EQ(stats_of(&nic).rx_packets, 1);
	send_frames(&nic, 2, 60);
	CHECK_EQ(take(&nic, 60), 2);
	nic_close(&nic);
}

/* A length that is possible and wrong makes frames of what there is: none is too long, and the ring
 * is not left. */
TEST(rtl8139_random_rings_do_no_harm)
{
	struct nic nic = nic_open();
	uint32_t round, i, at;

	for (round = 0; round < 300; round++) {
		send_frames(&nic, 1 + draw(&nic, 4), 60 + draw(&nic, 1459));
		at = next_header(&nic);
		for (i = draw(&nic, 5); i; i--)
			nic.ring[(at + draw(&nic, 8)) % RING] = (uint8_t)draw(&nic, 256);
		if (draw(&nic, 2))
			put_header(&nic, at, 1, draw(&nic, 6000));
		while (in_ring(&nic) && unic_wait_pending(nic.port, 0))
			(void)take(&nic, 0);
	}
	CHECK(stats_of(&nic).rx_errors);
	/* All of it, so that what is left of a frame goes as well. */
	CHECK_EQ(unic_stop(nic.port), 0);
	CHECK_EQ(unic_start(nic.port), 0);
	nic.ring = (uint8_t *)nic.head->dma.va + RING_AT;
	send_frames(&nic, 4, 1514);
	CHECK_EQ(take(&nic, 1514), 4);
	nic_close(&nic);
}

/* Another mode empties the ring; the next frames are found where they are. */
TEST(rtl8139_mode_changes_while_frames_wait)
{
	struct nic nic = nic_open();
	uint32_t i;

	for (i = 0; i < 20; i++) {
		send_frames(&nic, 1 + i % 5, 60 + 70 * i);
		CHECK_EQ(unic_receive_mode(nic.port, i & 1 ? 0 : UNIC_RECEIVE_ALL), 0);
		CHECK_EQ(take(&nic, 0), 0);
		send_frames(&nic, 1, 90);
		CHECK_EQ(take(&nic, 90), 1);
	}
	nic_close(&nic);
}

TEST_MAIN
