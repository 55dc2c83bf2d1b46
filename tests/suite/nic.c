/* SPDX-License-Identifier: MIT */
/*
 * The e1000 driver, unchanged, on each backend: frames of all lengths both ways, and what goes
 * wrong on purpose. The other end of the cable is a socket on qemu, else the machine's second
 * e1000, run by the same driver.
 */
#include <sys/socket.h>

#include <unic/driver.h>

#include "../nic/frame.h"
#include "suite.h"

#define FRAMES	1455 /* all lengths: see frame_length() */
#define BURST	32
#define STALLED 20000 /* milliseconds without a frame */

static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 1 };

struct cable {
	struct unic_port *port; /* under test */
	int wire;		/* to it, or: */
	struct unic_port *other;
	uint8_t other_mac[6];
};

static struct unic_port *open_port(const char *address)
{
	struct unic_port *port;
	char why[256];
	int err;

	alarm(120);
	err = unic_open(address, NULL, &port);
	if (err == -ENOENT && suite_backend() == QEMU)
		SKIP("there is no QEMU; run scripts/setup guest");
	if (err)
		HARNESS_FAIL("%s: %s", address, unic_explain(address, err, why, sizeof(why)));
	return port;
}

static struct cable connect_cable(void)
{
	struct cable c = { .port = open_port(suite_address("e1000")), .wire = -1 };

	if (suite_backend() == QEMU) {
		c.wire = userpci_wire_fd(c.port->device);
		CHECK(c.wire >= 0);
		memcpy(c.other_mac, peer_mac, 6);
	} else {
		c.other = open_port(suite_second("e1000"));
		memcpy(c.other_mac, unic_info(c.other)->mac, 6);
		CHECK_EQ(unic_start(c.other), 0);
	}
	CHECK_EQ(unic_start(c.port), 0);
	return c;
}

static void close_cable(struct cable *c)
{
	unic_close(c->port);
	if (c->other)
		unic_close(c->other);
}

/* Sends a frame, or says that there is no room for it now. */
static bool port_send(struct unic_port *port, const uint8_t *target, uint32_t sequence)
{
	struct unic_packet *packet;

	unic_tx_burst(port, 0, NULL, 0);
	packet = unic_packet_alloc(port, 0);
	if (!packet)
		return false;
	packet->length = frame_make(unic_packet_data(packet), target, unic_info(port)->mac,
				    FRAME_DATA, 0, sequence);
	if (unic_tx_burst(port, 0, &packet, 1) == 1)
		return true;
	unic_packet_free(packet);
	return false;
}

static bool wire_send(int wire, const uint8_t *target, uint32_t sequence)
{
	uint8_t frame[FRAME_MAX];
	uint32_t length = frame_make(frame, target, peer_mac, FRAME_DATA, 0, sequence);

	return send(wire, frame, length, MSG_DONTWAIT) == (ssize_t)length;
}

static void check_frame(const uint8_t *frame, uint32_t length, uint32_t sequence)
{
	CHECK(frame_is_ours(frame, length));
	CHECK_EQ(frame_sequence(frame), sequence);
	CHECK(frame_is_whole(frame, length));
}

/* Takes the frames that are there; the first has number `next`. Returns how many. */
static uint32_t port_take(struct unic_port *port, uint32_t next)
{
	struct unic_packet *packets[BURST];
	int n = unic_rx_burst(port, 0, packets, BURST), i;

	CHECK(n >= 0);
	for (i = 0; i < n; i++)
		check_frame(unic_packet_data(packets[i]), packets[i]->length, next + (uint32_t)i);
	unic_packet_free_burst(packets, (unsigned int)n);
	return (uint32_t)n;
}

static uint32_t wire_take(int wire, uint32_t next)
{
	uint8_t frame[2048];
	uint32_t taken = 0;
	ssize_t n;

	while (taken < BURST && (n = recv(wire, frame, sizeof(frame), MSG_DONTWAIT)) > 0)
		check_frame(frame, (uint32_t)n, next + taken++);
	return taken;
}

/* As many are under way as the slower side takes without a loss. */
#define WINDOW 64

static void transfer(struct cable *c, bool to_port)
{
	const uint8_t *mac = unic_info(c->port)->mac;
	uint32_t sent = 0, taken = 0, n, idle = 0;

	while (taken < FRAMES) {
		while (sent < FRAMES && sent - taken < WINDOW) {
			if (!(to_port ? c->other ? port_send(c->other, mac, sent)
						 : wire_send(c->wire, mac, sent)
				      : port_send(c->port, c->other_mac, sent)))
				break;
			sent++;
		}
		n = to_port    ? port_take(c->port, taken)
		    : c->other ? port_take(c->other, taken)
			       : wire_take(c->wire, taken);
		taken += n;
		idle = n ? 0 : idle + 1;
		if (!n && to_port)
			CHECK(unic_wait(c->port, 0, 10000) != -ENODEV);
		else if (!n)
			pause_us(1000);
		CHECK(idle < STALLED);
	}
}

/* QEMU's e1000 receives a second after it was started. */
TEST_ON(~0u, e1000_all_lengths)
{
	struct cable c = connect_cable();
	struct unic_stats stats;

	transfer(&c, true);
	transfer(&c, false);
	CHECK_EQ(unic_stats(c.port, &stats), 0);
	CHECK_EQ(stats.rx_packets, FRAMES);
	CHECK_EQ(stats.tx_packets, FRAMES);
	CHECK_EQ(stats.rx_errors + stats.tx_bad_length + stats.rx_missed, 0);
	close_cable(&c);
}

TEST_ON(~0u, e1000_stop_and_start)
{
	struct cable c = connect_cable();
	struct unic_link link;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		CHECK_EQ(unic_stop(c.port), 0);
		CHECK_EQ(unic_start(c.port), 0);
	}
	transfer(&c, false);
	CHECK_EQ(unic_link(c.port, &link), 0);
	CHECK(link.up);
	close_cable(&c);
}

static void own_and_send(const char *model)
{
	struct unic_port *port = open_port(suite_address(model));

	CHECK_EQ(unic_start(port), 0);
	CHECK(port_send(port, peer_mac, 0));
}

TEST_ON(~0u, e1000_killed_owner)
{
	struct cable c;

	kill_while(own_and_send, "e1000");
	if (suite_backend() == UIO)
		pause_us(SHORT);
	c = connect_cable();
	transfer(&c, false);
	close_cable(&c);
}

/* --- Faults: doc/trace.md --- */

static int use(struct unic_port *port)
{
	struct unic_packet *packets[8];
	struct unic_link link;
	struct unic_stats stats;
	int err, n;

	err = unic_start(port);
	if (err)
		return err;
	port_send(port, peer_mac, 0);
	n = unic_rx_burst(port, 0, packets, 8);
	CHECK(n >= 0 && n <= 8);
	unic_packet_free_burst(packets, (unsigned int)n);
	err = unic_wait(port, 0, 1000);
	CHECK(!err || err == -ETIMEDOUT || err == -ENODEV);
	CHECK_EQ(unic_stats(port, &stats), 0);
	CHECK(stats.rx_errors < 1000 && stats.rx_missed < 1000);
	return unic_link(port, &link);
}

/* A driver's life with faults: the error it ended with. */
static int live(const char *faults)
{
	struct unic_port *port;
	int err;

	alarm(120);
	CHECK_EQ(setenv("USERPCI_FAULT", faults, 1), 0);
	err = unic_open(suite_address("e1000"), NULL, &port);
	if (err == -ENOENT && suite_backend() == QEMU)
		SKIP("there is no QEMU; run scripts/setup guest");
	if (err)
		return err;
	err = use(port);
	unic_close(port);
	return err;
}

/* The device vanishes at an access: -ENODEV, until that is beyond the last. */
static void vanish(unsigned int first, unsigned int last, unsigned int step)
{
	char faults[32];
	unsigned int n;
	int err;

	for (n = first; n <= last; n += step) {
		snprintf(faults, sizeof(faults), "gone-after=%u", n);
		err = live(faults);
		if (err != -ENODEV && (err || n < 200))
			HARNESS_FAIL("%s: %d", faults, err);
	}
	CHECK_EQ(live("gone-after=100000"), 0);
}

TEST_ON(~0u, e1000_vanishes_while_it_is_probed)
{
	vanish(1, 34, suite_backend() == QEMU ? 4 : 1);
}

TEST_ON(~0u, e1000_vanishes_while_it_runs)
{
	vanish(35, 260, suite_backend() == QEMU ? 25 : 9);
}

/* One fails as rings, or the pool, are allocated; none is forgotten. */
TEST_ON(~0u, e1000_no_memory)
{
	unsigned int before = count_fds();

	CHECK_EQ(live("fail-alloc=1"), -ENOMEM);
	CHECK_EQ(live("fail-alloc=2"), -ENOMEM);
	CHECK_EQ(live("fail-alloc=3"), -ENOMEM);
	CHECK_EQ(live("fail-alloc=100"), 0);
	CHECK_EQ(count_fds(), before);
}

TEST_ON(~0u, e1000_interrupts_lost_and_spurious)
{
	CHECK_EQ(live("lose-irq=1"), 0);
	CHECK_EQ(live("spurious-irq=1"), 0);
	CHECK_EQ(live("spurious-irq=7,lose-irq=2,delay-dma=500"), 0);
}

/* Frames leave although the tail gets there late, and their packets come back. */
TEST_ON(~0u, e1000_late_completion)
{
	struct unic_stats stats;
	struct unic_port *port;
	uint32_t before;
	int i;

	CHECK_EQ(setenv("USERPCI_FAULT", "delay-dma=3000", 1), 0);
	port = open_port(suite_address("e1000"));
	CHECK_EQ(unic_start(port), 0);
	before = unic_packets_free(port);
	CHECK(port_send(port, peer_mac, 0));
	CHECK_EQ(unic_packets_free(port), before - 1);
	for (i = 0; i < 1000 && unic_packets_free(port) != before; i++) {
		pause_us(1000);
		unic_tx_burst(port, 0, NULL, 0);
	}
	CHECK_EQ(unic_packets_free(port), before);
	CHECK_EQ(unic_stats(port, &stats), 0);
	CHECK_EQ(stats.tx_packets, 1);
	unic_close(port);
}

/* Frames both ways while interrupts are lost and others come for nothing. */
TEST_ON(~0u, e1000_all_lengths_with_faults)
{
	struct cable c;

	CHECK_EQ(setenv("USERPCI_FAULT", "spurious-irq=7,lose-irq=2,delay-dma=200", 1), 0);
	c = connect_cable();
	transfer(&c, true);
	transfer(&c, false);
	close_cable(&c);
}
