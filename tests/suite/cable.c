/* SPDX-License-Identifier: MIT */
/* Both ends of a NIC's cable. */
#include <sys/socket.h>

#include "cable.h"
#include "tap.h"

#define STALLED 20000 /* milliseconds without a frame */

static const uint8_t wire_mac[6] = { 2, 0, 0, 0, 0, 1 };
const uint8_t cable_everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

int cable_try(const char *address, const struct unic_config *config, struct unic_port **port)
{
	int err;

	alarm(120);
	err = unic_open(address, config, port);
	if (err == -ENOENT && suite_backend() == QEMU)
		SKIP("there is no QEMU; run scripts/setup guest");
	return err;
}

static struct unic_port *open_port(const char *address, const struct unic_config *config)
{
	struct unic_port *port;
	char why[256];
	int err = cable_try(address, config, &port);

	if (err)
		HARNESS_FAIL("%s: %s", address, unic_explain(address, err, why, sizeof(why)));
	return port;
}

/* The other end speaks for the wire: it takes every frame as it is. */
static struct unic_port *open_other(const struct unic_config *config)
{
	struct unic_config as_is = {
		.mtu = config ? config->mtu : 0,
		.flags = UNIC_CONFIG_PROMISCUOUS | UNIC_CONFIG_NO_IRQ,
	};
	struct unic_port *port = open_port(suite_second(suite_model()), &as_is);

	CHECK_EQ(unic_start(port), 0);
	return port;
}

static void wait_for_link(struct unic_port *port)
{
	struct unic_link link;
	unsigned int tries;

	for (tries = 0; tries < STALLED / 10; tries++) {
		CHECK_EQ(unic_link(port, &link), 0);
		if (link.up)
			return;
		pause_us(10000);
	}
	HARNESS_FAIL("the link does not come up");
}

struct cable cable_open(const struct unic_config *config)
{
	struct cable c = { .wire = -1 };

	c.port = open_port(suite_address(suite_model()), config);
	memcpy(c.own_mac, unic_info(c.port)->mac, 6);
	if (suite_backend() == QEMU) {
		c.tap = suite_tap(suite_model());
		c.wire = c.tap ? tap_open(suite_tap(suite_model()))
			       : userpci_wire_fd(c.port->device);
		CHECK(c.wire >= 0);
		memcpy(c.other_mac, wire_mac, 6);
	} else {
		c.other = open_other(config);
		memcpy(c.other_mac, unic_info(c.other)->mac, 6);
	}
	CHECK_EQ(unic_start(c.port), 0);
	c.at_rest = unic_packets_free(c.port);
	wait_for_link(c.port);
	if (c.other) {
		wait_for_link(c.other);
		cable_settle(&c);
		c.before = port_stats(&c);
	}
	return c;
}

void cable_close(struct cable *c)
{
	int err = unic_stop(c->port);

	CHECK(!err || err == -ENETDOWN);
	CHECK_EQ(unic_packets_free(c->port), unic_info(c->port)->packets);
	unic_close(c->port);
	unic_close(c->other);
	if (c->tap)
		close(c->wire);
}

void cable_wait(struct cable *c, bool on_port)
{
	if (++c->idle >= STALLED)
		HARNESS_FAIL("no frame comes any more");
	if (on_port && c->port->vectors)
		CHECK(unic_wait(c->port, 0, 10000) != -ENODEV);
	else
		pause_us(1000);
}

/* --- Packets of a port --- */

static struct unic_packet *make_packet(struct unic_port *port, const uint8_t *frame,
				       uint32_t length, uint32_t piece)
{
	struct unic_packet *first = NULL, *last = NULL, *packet;
	uint32_t size;

	do {
		packet = unic_packet_alloc(port, 0);
		if (!packet) {
			if (first)
				unic_packet_free(first);
			return NULL;
		}
		size = length < piece ? length : piece;
		memcpy(unic_packet_data(packet), frame, size);
		packet->length = size;
		frame += size;
		length -= size;
		if (last) {
			last->flags |= UNIC_PACKET_CHAINED;
			last->next = packet;
		} else {
			first = packet;
		}
		last = packet;
	} while (length);
	return first;
}

struct unic_packet *port_packet(struct cable *c, const uint8_t *frame, uint32_t length,
				uint32_t piece)
{
	struct unic_packet *packet;

	while (!(packet = make_packet(c->port, frame, length, piece ? piece : UNIC_PACKET_ROOM))) {
		unic_tx_burst(c->port, 0, NULL, 0);
		cable_wait(c, false);
	}
	return packet;
}

void port_send(struct cable *c, struct unic_packet *packet)
{
	int n;

	while (!(n = unic_tx_burst(c->port, 0, &packet, 1)))
		cable_wait(c, false);
	CHECK_EQ(n, 1);
	c->idle = 0;
}

struct unic_packet *port_receive(struct cable *c, unsigned int queue)
{
	struct unic_packet *packet;
	int n;

	while (!(n = unic_rx_burst(c->port, queue, &packet, 1)))
		cable_wait(c, !queue);
	CHECK_EQ(n, 1);
	c->idle = 0;
	return packet;
}

uint32_t port_unpack(struct unic_packet *packet, uint8_t *frame)
{
	const struct unic_packet *part = packet;
	uint32_t total = unic_packet_total(packet), at = 0;

	CHECK(total <= CABLE_MAX);
	for (;; part = part->next) {
		memcpy(frame + at, unic_packet_data((struct unic_packet *)part), part->length);
		at += part->length;
		if (!(part->flags & UNIC_PACKET_CHAINED))
			break;
	}
	CHECK_EQ(at, total);
	unic_packet_free(packet);
	return total;
}

struct unic_stats port_stats(struct cable *c)
{
	const uint64_t *before = (const uint64_t *)&c->before;
	struct unic_stats stats;
	uint64_t *now = (uint64_t *)&stats;
	size_t i;

	CHECK_EQ(unic_stats(c->port, &stats), 0);
	for (i = 0; i < sizeof(stats) / sizeof(*now); i++) {
		CHECK(now[i] >= before[i]);
		now[i] -= before[i];
	}
	return stats;
}

/* --- The other end --- */

bool cable_try_put(struct cable *c, const uint8_t *frame, uint32_t length)
{
	struct unic_packet *packet;

	if (c->tap)
		return tap_put(c->wire, frame, length, NULL);
	if (!c->other)
		return send(c->wire, frame, length, MSG_DONTWAIT) == (ssize_t)length;
	unic_tx_burst(c->other, 0, NULL, 0);
	packet = make_packet(c->other, frame, length, UNIC_PACKET_ROOM);
	if (!packet)
		return false;
	if (unic_tx_burst(c->other, 0, &packet, 1) == 1)
		return true;
	unic_packet_free(packet);
	return false;
}

void cable_put(struct cable *c, const uint8_t *frame, uint32_t length)
{
	while (!cable_try_put(c, frame, length))
		cable_wait(c, false);
	c->idle = 0;
}

uint32_t cable_try_take(struct cable *c, uint8_t *frame)
{
	struct unic_packet *packet;
	ssize_t length;
	int n;

	if (c->tap)
		return tap_take(c->wire, frame);
	if (!c->other) {
		length = recv(c->wire, frame, CABLE_MAX, MSG_DONTWAIT | MSG_TRUNC);
		CHECK(length <= CABLE_MAX);
		return length < 0 ? 0 : (uint32_t)length;
	}
	n = unic_rx_burst(c->other, 0, &packet, 1);
	CHECK(n >= 0);
	return n ? port_unpack(packet, frame) : 0;
}

uint32_t cable_take(struct cable *c, uint8_t *frame)
{
	uint32_t length;

	while (!(length = cable_try_take(c, frame)))
		cable_wait(c, false);
	c->idle = 0;
	return length;
}

/* --- Many frames --- */

void cable_fill(uint8_t *frame, const uint8_t *target, const uint8_t *source, uint32_t length,
		uint32_t mark)
{
	uint32_t i;

	memcpy(frame, target, 6);
	memcpy(frame + 6, source, 6);
	frame_put(frame + 12, 2, FRAME_TYPE);
	frame_put(frame + 14, 4, mark);
	for (i = 18; i < length; i++)
		frame[i] = (uint8_t)(i * 7 + (i >> 8) + mark);
}

/* Of no other test, nor process. */
static uint32_t next_mark(void)
{
	static uint32_t count;

	return (uint32_t)getpid() << 12 | ++count % 4096;
}

void cable_settle(struct cable *c)
{
	uint8_t frame[CABLE_MAX], want[60];

	cable_fill(want, cable_everybody, c->other_mac, 60, next_mark());
	cable_put(c, want, 60);
	while (port_unpack(port_receive(c, 0), frame) != 60 || memcmp(frame, want, 60))
		;
	cable_fill(want, c->other_mac, c->own_mac, 60, next_mark());
	port_send(c, port_packet(c, want, 60, 0));
	while (cable_take(c, frame) != 60 || memcmp(frame, want, 60))
		;
}

static void check_frame(const uint8_t *frame, uint32_t length, uint32_t sequence)
{
	CHECK(frame_is_ours(frame, length));
	CHECK_EQ(frame_sequence(frame), sequence);
	CHECK(frame_is_whole(frame, length));
}

/* Takes the frames that are there; the first has number @next. Returns how many. */
static uint32_t port_take(struct cable *c, uint32_t next)
{
	struct unic_packet *packets[CABLE_BURST];
	int n = unic_rx_burst(c->port, 0, packets, CABLE_BURST), i;

	CHECK(n >= 0);
	for (i = 0; i < n; i++)
		check_frame(unic_packet_data(packets[i]), packets[i]->length, next + (uint32_t)i);
	unic_packet_free_burst(packets, (unsigned int)n);
	return (uint32_t)n;
}

static uint32_t other_take(struct cable *c, uint32_t next)
{
	uint8_t frame[CABLE_MAX];
	uint32_t taken = 0, length;

	while (taken < CABLE_BURST && (length = cable_try_take(c, frame)))
		check_frame(frame, length, next + taken++);
	return taken;
}

/* False: there is no room for it now. */
static bool port_try_put(struct cable *c, uint32_t sequence)
{
	struct unic_packet *packet;

	unic_tx_burst(c->port, 0, NULL, 0);
	packet = unic_packet_alloc(c->port, 0);
	if (!packet)
		return false;
	packet->length = frame_make(unic_packet_data(packet), c->other_mac, c->own_mac, FRAME_DATA,
				    0, sequence);
	if (unic_tx_burst(c->port, 0, &packet, 1) == 1)
		return true;
	unic_packet_free(packet);
	return false;
}

static bool other_try_put(struct cable *c, uint32_t sequence)
{
	uint8_t frame[FRAME_MAX];

	return cable_try_put(c, frame,
			     frame_make(frame, c->own_mac, c->other_mac, FRAME_DATA, 0, sequence));
}

void cable_transfer(struct cable *c, bool to_port, uint32_t count)
{
	uint32_t sent = 0, taken = 0, n;

	c->idle = 0;
	while (taken < count) {
		while (sent < count && sent - taken < CABLE_WINDOW &&
		       (to_port ? other_try_put(c, sent) : port_try_put(c, sent)))
			sent++;
		n = to_port ? port_take(c, taken) : other_take(c, taken);
		taken += n;
		if (n)
			c->idle = 0;
		else
			cable_wait(c, to_port);
	}
}
