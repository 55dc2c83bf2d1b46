/* SPDX-License-Identifier: MIT */
/*
 * Checksums, VLAN tags, segmentation and RSS of every NIC driver, on each backend. What the device
 * does and what the CPU does for it must look the same on the wire.
 */
#include <pthread.h>

#include "../nic/ip.h"
#include "cable.h"
#include "tap.h"

#define TAG	 0x6123 /* priority 3, VLAN 291 */
#define PRIORITY 0xe000 /* a tag of no VLAN */

#define DEVICE	 (UNIC_OFFLOAD_ALL & ~(UNIC_OFFLOAD_RSS | UNIC_OFFLOAD_HASH))

static uint8_t big[UNIC_TSO_MAX + 100];

static bool obtained(const struct cable *c, uint32_t offload)
{
	return unic_info(c->port)->offloads & offload;
}

static bool is_driver(const struct cable *c, const char *name)
{
	return !strcmp(unic_info(c->port)->driver, name);
}

/* --- Sending --- */

/* Of the frame that @flow made: what is to be done, with headers as they are. */
static void ask(struct unic_packet *packet, const struct ip_flow *flow, uint16_t more)
{
	packet->flags |= more | (flow->udp ? UNIC_TX_UDP : UNIC_TX_TCP);
	if (!flow->ip6)
		packet->flags |= UNIC_TX_IP;
	packet->l2_length = flow->tag ? 18 : 14;
	packet->l3_length = flow->ip6 ? 40 : 20;
	packet->l4_length = flow->udp ? IP_UDP_HEADER : IP_TCP_HEADER;
}

/* What stands in the fields does not matter. */
static void spoil(uint8_t *frame, const struct ip_flow *flow)
{
	struct ip_layout at = ip_look(frame);

	ip_put(at.checksum, 2, 0xdead);
	if (!flow->ip6)
		ip_put(at.ip + 10, 2, 0xbeef);
}

/* The next frame at the other end is @want, padded with zeros, once or for a tag as well. */
static void expect(struct cable *c, const uint8_t *want, uint32_t length)
{
	uint8_t frame[CABLE_MAX];
	uint32_t came = cable_take(c, frame), i;

	if (length < 60)
		CHECK(came == 60 || came == 64);
	else
		CHECK_EQ(came, length);
	for (i = 0; i < came; i++)
		if (frame[i] != (i < length ? want[i] : 0))
			HARNESS_FAIL("byte %u of %u is %02x", i, came, frame[i]);
}

enum tagging { UNTAGGED, IN_FRAME, BY_FLAG, TAGGINGS };

/* One frame whose checksums are asked for, and one of which nothing is. */
static void send_one(struct cable *c, struct ip_flow flow, enum tagging tagging, uint32_t piece)
{
	uint8_t frame[CABLE_MAX], want[CABLE_MAX], plain[FRAME_MAX];
	struct unic_packet *packet;
	uint32_t length;

	flow.tag = tagging == UNTAGGED ? 0 : TAG;
	length = ip_make(want, c->other_mac, c->own_mac, &flow);
	CHECK(ip_is_right(want));
	flow.tag = tagging == IN_FRAME ? TAG : 0;
	packet = port_packet(c, frame, ip_make(frame, c->other_mac, c->own_mac, &flow), piece);
	spoil(unic_packet_data(packet), &flow);
	ask(packet, &flow, tagging == BY_FLAG ? UNIC_PACKET_VLAN : 0);
	packet->vlan = TAG;
	port_send(c, packet);
	frame_make(plain, c->other_mac, c->own_mac, FRAME_DATA, 0, flow.port);
	port_send(c, port_packet(c, plain, 60, 0));
	expect(c, want, length);
	expect(c, plain, 60);
}

static void check_checksums_sent(struct cable *c)
{
	static const uint32_t payloads[] = { 0, 1, 7, 900, 1401 };
	unsigned int i;

	for (i = 0; i < 2 * 2 * TAGGINGS * 5; i++) {
		struct ip_flow flow = {
			.ip6 = i & 1,
			.udp = i & 2,
			.port = (uint16_t)(1000 + i),
			.payload = payloads[i / 4 % 5],
		};

		send_one(c, flow, i / 20, 0);
		send_one(c, flow, i / 20, 101);
	}
	CHECK_EQ(port_stats(c).tx_packets, 4 * i);
	CHECK_EQ(port_stats(c).tx_bad_offload, 0);
}

/* A tag on what is no IP. */
static void check_tag_sent(struct cable *c)
{
	uint8_t frame[60], want[64];
	struct unic_packet *packet;
	uint32_t i;

	for (i = 0; i < 60; i++)
		frame[i] = (uint8_t)i;
	memcpy(frame, c->other_mac, 6);
	memcpy(frame + 6, c->own_mac, 6);
	ip_put(frame + 12, 2, FRAME_TYPE);
	memcpy(want, frame, 12);
	ip_put(want + 12, 4, (uint32_t)IP_TAGGED << 16 | PRIORITY);
	memcpy(want + 16, frame + 12, 48);
	packet = port_packet(c, frame, 60, 0);
	packet->flags |= UNIC_PACKET_VLAN;
	packet->vlan = PRIORITY;
	port_send(c, packet);
	expect(c, want, 64);
	packet = port_packet(c, frame, 20, 0);
	packet->flags |= UNIC_PACKET_VLAN;
	packet->vlan = PRIORITY;
	port_send(c, packet);
	expect(c, want, 24);
}

/* --- Segmentation --- */

/* Spec: RFC 9293, 3.8.2: the end is at the end. QEMU: e1000e and igb forget it. */
static uint8_t expected_flags(const struct cable *c, bool last)
{
	if (last && !is_driver(c, "e1000e") && !is_driver(c, "igb"))
		return IP_TCP_ACK | IP_TCP_PUSH | IP_TCP_FIN;
	return IP_TCP_ACK;
}

/* The pieces of @flow at the other end, or at the port, in order and whole. */
static void expect_segments(struct cable *c, bool at_port, const struct ip_flow *flow, uint32_t mss,
			    uint16_t tag)
{
	uint32_t done = 0, length, size, i;
	uint8_t frame[CABLE_MAX];
	struct ip_layout at;

	while (done < flow->payload) {
		length = at_port ? port_unpack(port_receive(c, 0), frame) : cable_take(c, frame);
		size = flow->payload - done < mss ? flow->payload - done : mss;
		at = ip_look(frame);
		CHECK_EQ(at.l2, tag ? 18 : 14);
		if (tag)
			CHECK_EQ(ip_get(frame + 14, 2), tag);
		CHECK_EQ(at.ip6, flow->ip6);
		CHECK_EQ(ip_length(&at), at.l2 + at.l3 + IP_TCP_HEADER + size);
		CHECK(length == ip_length(&at) || length == 60 || length == 64);
		CHECK(length >= ip_length(&at));
		CHECK(ip_is_right(frame));
		CHECK_EQ(ip_get(at.l4_at, 2), flow->port);
		CHECK_EQ(ip_get(at.l4_at + 4, 4), (uint32_t)(flow->sequence + done));
		CHECK_EQ(at.l4_at[13], expected_flags(c, done + size == flow->payload));
		for (i = 0; i < size; i++)
			CHECK_EQ(at.payload[i], ip_byte(done + i));
		done += size;
	}
}

static struct unic_packet *tso_packet(struct cable *c, const struct ip_flow *flow, uint32_t mss,
				      uint32_t piece)
{
	struct unic_packet *packet;

	packet = port_packet(c, big, ip_make(big, c->other_mac, c->own_mac, flow), piece);
	spoil(unic_packet_data(packet), flow);
	ask(packet, flow, UNIC_TX_TSO);
	packet->mss = (uint16_t)mss;
	return packet;
}

static void send_segmented(struct cable *c, struct ip_flow flow, enum tagging tagging, uint32_t mss)
{
	struct unic_packet *packet;

	flow.tag = tagging == IN_FRAME ? TAG : 0;
	packet = tso_packet(c, &flow, mss, flow.payload > 30000 ? 2048 : 700);
	if (tagging == BY_FLAG) {
		packet->flags |= UNIC_PACKET_VLAN;
		packet->vlan = TAG;
	}
	port_send(c, packet);
	expect_segments(c, false, &flow, mss, tagging == UNTAGGED ? 0 : TAG);
}

/* QEMU: e1000 writes lengths into IPv6 headers that are 40 too large, and behind segments that are
 * all full it sends one without payload. */
static void cut_as_e1000(struct ip_flow *flow, uint32_t mss)
{
	flow->ip6 = false;
	flow->payload -= flow->payload % mss == 0;
}

/* QEMU: 7.2 makes IP fragments of what e1000e should cut. The newer one does not. */
static bool cuts(const struct cable *c)
{
	return !is_driver(c, "e1000e") || (suite_backend() == QEMU && getenv("USERPCI_QEMU"));
}

static void check_tso(struct cable *c)
{
	static const uint32_t payloads[] = { 1, 1400, 1401, 12345, 60000 };
	uint64_t bad = port_stats(c).tx_bad_offload;
	unsigned int i;

	for (i = 0; i < 2 * TAGGINGS * 5; i++) {
		struct ip_flow flow = {
			.ip6 = i & 1,
			.port = (uint16_t)(2000 + i),
			.payload = payloads[i / 2 % 5],
			.sequence = 0xfffffff0, /* passes 0 */
		};
		uint32_t mss = i & 4 ? 1400 : 536;

		if (is_driver(c, "e1000"))
			cut_as_e1000(&flow, mss);
		if (obtained(c, UNIC_OFFLOAD_TSO))
			send_segmented(c, flow, i / 10, mss);
		else
			port_send(c, tso_packet(c, &flow, 1400, 2048));
	}
	CHECK_EQ(port_stats(c).tx_bad_offload - bad, obtained(c, UNIC_OFFLOAD_TSO) ? 0 : i);
}

/* --- Receiving --- */

/* QEMU: e1000 says of each frame that it looked at no checksum, virtio knows what its host does. */
static bool looks(const struct cable *c)
{
	return obtained(c, UNIC_OFFLOAD_RX_CHECKSUM) && !is_driver(c, "e1000") &&
	       !is_driver(c, "virtio-net");
}

#define SUMS (UNIC_RX_IP_GOOD | UNIC_RX_IP_BAD | UNIC_RX_L4_GOOD | UNIC_RX_L4_BAD)

/* What the port says of the frame's checksums, which must be nothing, or all of @right. */
static void receive_sums(struct cable *c, const uint8_t *frame, uint32_t length, unsigned int right)
{
	struct unic_packet *packet;
	uint8_t came[CABLE_MAX];
	unsigned int said;

	cable_put(c, frame, length);
	packet = port_receive(c, 0);
	said = packet->flags & SUMS;
	CHECK(port_unpack(packet, came) >= length);
	CHECK(!memcmp(came, frame, length));
	if (looks(c))
		CHECK_EQ(said, right);
	else
		CHECK(!(said & ~right));
	if (!obtained(c, UNIC_OFFLOAD_RX_CHECKSUM))
		CHECK_EQ(said, 0);
}

static void check_checksums_received(struct cable *c)
{
	uint8_t frame[CABLE_MAX];
	struct ip_layout at;
	uint32_t length;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		struct ip_flow flow = { .ip6 = i & 1, .udp = i & 2, .payload = i & 4 ? 1400 : 33 };
		unsigned int ip = flow.ip6 ? 0 : UNIC_RX_IP_GOOD;

		length = ip_make(frame, c->own_mac, c->other_mac, &flow);
		at = ip_look(frame);
		receive_sums(c, frame, length, ip | UNIC_RX_L4_GOOD);
		at.checksum[1] ^= 0x10;
		receive_sums(c, frame, length, ip | UNIC_RX_L4_BAD);
		at.checksum[1] ^= 0x10;
		at.payload[flow.payload - 1] ^= 1;
		receive_sums(c, frame, length, ip | UNIC_RX_L4_BAD);
	}
}

/* Where the IP header is wrong, nothing behind it is known for good. */
static void check_bad_ip_header(struct cable *c)
{
	struct ip_flow flow = { .udp = true, .payload = 100 };
	struct unic_packet *packet;
	uint8_t frame[CABLE_MAX];
	uint32_t length;

	length = ip_make(frame, c->own_mac, c->other_mac, &flow);
	frame[14 + 10] ^= 1;
	cable_put(c, frame, length);
	packet = port_receive(c, 0);
	CHECK(!(packet->flags & UNIC_RX_IP_GOOD));
	CHECK_EQ(!!(packet->flags & UNIC_RX_IP_BAD), looks(c));
	unic_packet_free(packet);
	/* No IP: nothing to say. */
	memset(frame + 12, 0xee, 48);
	receive_sums(c, frame, 60, 0);
}

static void check_tags_received(struct cable *c)
{
	static const uint16_t tags[] = { TAG, PRIORITY, 0x0001, 0x0fff };
	uint8_t frame[CABLE_MAX], came[CABLE_MAX];
	struct unic_packet *packet;
	uint32_t length;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		struct ip_flow flow = { .tag = tags[i % 4], .udp = true };

		/* The longest there is, and one that is cut below the shortest. */
		flow.payload = i & 4 ? 1518 - 18 - 20 - 8 : 60 - 18 - 20 - 8;
		length = ip_make(frame, c->own_mac, c->other_mac, &flow);
		cable_put(c, frame, length);
		packet = port_receive(c, 0);
		CHECK_EQ(!!(packet->flags & UNIC_PACKET_VLAN),
			 obtained(c, UNIC_OFFLOAD_VLAN_STRIP));
		if (packet->flags & UNIC_PACKET_VLAN) {
			CHECK_EQ(packet->vlan, flow.tag);
			memmove(frame + 12, frame + 16, length - 16);
			length -= 4;
		}
		CHECK_EQ(port_unpack(packet, came), length);
		CHECK(!memcmp(came, frame, length));
	}
	/* Without a tag. */
	cable_put(c, frame, 60);
	packet = port_receive(c, 0);
	if (obtained(c, UNIC_OFFLOAD_VLAN_STRIP))
		CHECK(!(packet->flags & UNIC_PACKET_VLAN));
	unic_packet_free(packet);
}

/* --- Linux at the other end, by a tap device --- */

static void tap_send(struct cable *c, const uint8_t *frame, uint32_t length,
		     const struct virtio_net_hdr *left)
{
	while (!tap_put(c->wire, frame, length, left))
		cable_wait(c, false);
}

/* Leaves the L4 checksum of the frame to the device, as Linux does. */
static struct virtio_net_hdr leave_checksum(uint8_t *frame)
{
	struct ip_layout at = ip_look(frame);
	struct virtio_net_hdr left = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = (uint16_t)(at.l4_at - frame),
		.csum_offset = (uint16_t)(at.checksum - at.l4_at),
		.hdr_len = (uint16_t)(at.payload - frame),
	};

	ip_put(at.checksum, 2, ip_pseudo_sum(&at));
	return left;
}

/* A frame without its checksum comes with it, whoever fills it in, and where that is the driver, it
 * is known to be right. */
static void check_partial_received(struct cable *c)
{
	uint8_t frame[CABLE_MAX], want[CABLE_MAX];
	struct unic_packet *packet;
	struct virtio_net_hdr left;
	uint32_t length;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		struct ip_flow flow = { .ip6 = i & 1, .udp = i & 2, .payload = i & 4 ? 1400 : 33 };

		length = ip_make(want, c->own_mac, c->other_mac, &flow);
		memcpy(frame, want, length);
		left = leave_checksum(frame);
		tap_send(c, frame, length, &left);
		packet = port_receive(c, 0);
		CHECK_EQ(packet->flags & SUMS,
			 obtained(c, UNIC_OFFLOAD_RX_CHECKSUM) ? UNIC_RX_L4_GOOD : 0);
		CHECK_EQ(port_unpack(packet, frame), length);
		CHECK(!memcmp(frame, want, length));
	}
}

/* The driver takes no frames above the MTU, so Linux must cut what it would leave to the device. */
static void check_large_received(struct cable *c)
{
	struct virtio_net_hdr left;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct ip_flow flow = { .ip6 = i, .payload = 30000, .sequence = 0xfffff000 };
		uint32_t length = ip_make(big, c->own_mac, c->other_mac, &flow);

		left = leave_checksum(big);
		left.gso_type = i ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		left.gso_size = 1400;
		tap_send(c, big, length, &left);
		expect_segments(c, true, &flow, 1400, 0);
	}
}

/* All that was asked for can be had here, and what was obtained was done by the device. */
static void check_tap(struct cable *c, uint32_t offloads)
{
	CHECK_EQ(unic_info(c->port)->offloads,
		 offloads &
			 (UNIC_OFFLOAD_RX_CHECKSUM | UNIC_OFFLOAD_TX_CHECKSUM | UNIC_OFFLOAD_TSO));
	CHECK_EQ(tap_counts.partial > 0, obtained(c, UNIC_OFFLOAD_TX_CHECKSUM));
	CHECK_EQ(tap_counts.large > 0, obtained(c, UNIC_OFFLOAD_TSO));
	check_partial_received(c);
	check_large_received(c);
}

static void check_all(uint32_t offloads)
{
	struct unic_config config = { .offloads = offloads };
	struct cable c = cable_open(&config);

	CHECK_EQ(unic_info(c.port)->offloads & ~unic_info(c.port)->can_offload, 0);
	CHECK_EQ(unic_info(c.port)->offloads & ~offloads, 0);
	check_checksums_sent(&c);
	check_tag_sent(&c);
	if (cuts(&c) || !obtained(&c, UNIC_OFFLOAD_TSO))
		check_tso(&c);
	check_checksums_received(&c);
	check_bad_ip_header(&c);
	check_tags_received(&c);
	if (c.tap)
		check_tap(&c, offloads);
	CHECK_EQ(port_stats(&c).tx_bad_length + port_stats(&c).tx_bad_packet, 0);
	CHECK_EQ(port_stats(&c).rx_errors, 0);
	cable_close(&c);
}

TEST_NIC(~0u, offloads_by_the_device)
{
	if (!strcmp(suite_model(), "e1000e") && getenv("SUITE_IGB"))
		CHECK_EQ(setenv("USERPCI_QEMU", getenv("SUITE_IGB"), 1), 0);
	check_all(DEVICE);
}

TEST_NIC(~0u, offloads_by_the_cpu)
{
	check_all(0);
}

/* --- What makes no sense --- */

static void spoil_request(struct unic_packet *packet, unsigned int what)
{
	switch (what) {
	case 0:
		packet->l2_length = 0;
		break;
	case 1:
		packet->l3_length = 16;
		break;
	case 2:
		packet->l3_length = 24;
		break;
	case 3:
		packet->l2_length = 200;
		break;
	case 4:
		unic_packet_data(packet)[14] = 0x65; /* no IP of any version */
		break;
	case 5:
		ip_put(unic_packet_data(packet) + 16, 2, 1000);
		break;
	case 6:
		ip_put(unic_packet_data(packet) + 16, 2, 21);
		break;
	case 7:
		packet->flags |= UNIC_TX_TSO; /* no mss */
		break;
	case 8:
		packet->flags |= UNIC_TX_TSO;
		packet->mss = 20;
		packet->l4_length = 24;
		break;
	case 9:
		packet->flags |= UNIC_TX_TSO;
		packet->mss = 2000;
		break;
	case 10:
		packet->flags = UNIC_TX_TSO | UNIC_TX_UDP;
		packet->mss = 20;
		break;
	}
}

static void check_bad_requests(uint32_t offloads)
{
	struct unic_config config = { .offloads = offloads };
	struct ip_flow flow = { .payload = 100 }, flow6 = { .ip6 = true, .payload = 100 };
	struct cable c = cable_open(&config);
	struct unic_packet *packet;
	uint8_t frame[CABLE_MAX];
	unsigned int i;

	for (i = 0; i < 11; i++) {
		packet = port_packet(&c, frame, ip_make(frame, c.other_mac, c.own_mac, &flow), 0);
		ask(packet, &flow, 0);
		spoil_request(packet, i);
		port_send(&c, packet);
		CHECK_EQ(port_stats(&c).tx_bad_offload, i + 1);
	}
	/* An IPv4 checksum where there is none; headers that are not in one piece. */
	packet = port_packet(&c, frame, ip_make(frame, c.other_mac, c.own_mac, &flow6), 0);
	ask(packet, &flow6, UNIC_TX_IP);
	port_send(&c, packet);
	packet = port_packet(&c, frame, ip_make(frame, c.other_mac, c.own_mac, &flow), 50);
	ask(packet, &flow, 0);
	port_send(&c, packet);
	CHECK_EQ(port_stats(&c).tx_bad_offload, i + 2);
	CHECK_EQ(port_stats(&c).tx_packets, 0);
	/* None of it has left. */
	flow.payload = 30;
	send_one(&c, flow, UNTAGGED, 0);
	cable_close(&c);
}

TEST_NIC(~0u, drops_bad_requests)
{
	check_bad_requests(0);
	check_bad_requests(DEVICE);
}

/* --- RSS --- */

#define FLOWS 96 /* TCP over IPv4 in the first third, TCP over IPv6, UDP */

struct seen {
	bool known;
	unsigned int queue;
	uint32_t hash;
};

static uint32_t flow_make(const struct cable *c, uint8_t *frame, unsigned int number)
{
	struct ip_flow flow = {
		.ip6 = number / (FLOWS / 3) == 1,
		.udp = number / (FLOWS / 3) == 2,
		.port = (uint16_t)(5000 + 13 * number),
		.payload = number,
	};

	return ip_make(frame, c->own_mac, c->other_mac, &flow);
}

/* The queue that the frame came to. */
static unsigned int receive_any(struct cable *c, struct unic_packet **packet)
{
	unsigned int queues = unic_info(c->port)->queues, q;
	int n;

	for (;;) {
		for (q = 0; q < queues; q++) {
			n = unic_rx_burst(c->port, q, packet, 1);
			CHECK(n >= 0);
			c->idle = n ? 0 : c->idle;
			if (n)
				return q;
		}
		cable_wait(c, false);
	}
}

static void receive_flow(struct cable *c, unsigned int number, struct seen *seen)
{
	uint8_t frame[CABLE_MAX], came[CABLE_MAX];
	uint32_t length = flow_make(c, frame, number), hash;
	struct unic_packet *packet;
	unsigned int q;

	cable_put(c, frame, length);
	q = receive_any(c, &packet);
	CHECK_EQ(!!(packet->flags & UNIC_RX_HASH), !!obtained(c, UNIC_OFFLOAD_HASH));
	hash = packet->flags & UNIC_RX_HASH ? packet->hash : 0;
	CHECK(port_unpack(packet, came) >= length);
	CHECK(!memcmp(came, frame, length));
	if (seen->known) {
		CHECK_EQ(q, seen->queue);
		CHECK_EQ(hash, seen->hash);
	}
	*seen = (struct seen){ true, q, hash };
}

/* Each queue has an interrupt of its own. */
static void check_queue_wakes(struct cable *c, unsigned int queue, unsigned int number)
{
	struct unic_packet *packet;
	uint8_t frame[CABLE_MAX];
	int err;

	cable_put(c, frame, flow_make(c, frame, number));
	while (!unic_rx_burst(c->port, queue, &packet, 1)) {
		err = unic_wait(c->port, queue, PATIENCE);
		CHECK(!err || err == UNIC_WAIT_LINK);
	}
	unic_packet_free(packet);
}

static void check_queue_sends(struct cable *c, unsigned int queue)
{
	struct unic_packet *packet = unic_packet_alloc(c->port, queue);
	uint8_t frame[CABLE_MAX];
	uint32_t length;

	CHECK(packet);
	length = frame_make(frame, c->other_mac, c->own_mac, FRAME_DATA, 0, queue);
	memcpy(unic_packet_data(packet), frame, length);
	packet->length = length;
	CHECK_EQ(unic_tx_burst(c->port, queue, &packet, 1), 1);
	expect(c, frame, length);
}

static void check_rss(struct unic_config *config)
{
	struct cable c = cable_open(config);
	struct seen seen[FLOWS] = { 0 };
	unsigned int i, q, of_queue[UNIC_QUEUES_MAX] = { 0 };

	CHECK(obtained(&c, UNIC_OFFLOAD_RSS));
	CHECK_EQ(unic_info(c.port)->queues, config->queues);
	for (i = 0; i < 3 * FLOWS; i++)
		receive_flow(&c, i % FLOWS, &seen[i % FLOWS]);
	for (i = 0; i < FLOWS / 3; i++)
		of_queue[seen[i].queue]++;
	for (q = 0; q < config->queues; q++) {
		CHECK(of_queue[q] > 0);
		check_queue_sends(&c, q);
		for (i = 0; seen[i].queue != q; i++)
			;
		if (config->flags & UNIC_CONFIG_NO_IRQ)
			continue;
		check_queue_wakes(&c, q, i);
		check_queue_wakes(&c, q, i);
	}
	cable_close(&c);
}

/* What the devices have, of it four at most; 1: that is all there is. */
static struct unic_config all_queues(void)
{
	struct unic_config config = { .offloads = UNIC_OFFLOAD_RSS | UNIC_OFFLOAD_HASH };
	struct unic_port *port;

	CHECK_EQ(cable_try(suite_address(suite_model()), NULL, &port), 0);
	config.queues = unic_info(port)->max_queues;
	CHECK_EQ(!!(unic_info(port)->can_offload & UNIC_OFFLOAD_RSS), config.queues > 1);
	unic_close(port);
	if (config.queues > 4)
		config.queues = 4;
	return config;
}

TEST_NIC(~0u, rss)
{
	struct unic_config config = all_queues();
	struct unic_port *port;

	if (config.queues == 1)
		return;
	/* UIO has one interrupt. */
	if (suite_backend() == UIO) {
		CHECK_EQ(cable_try(suite_address(suite_model()), &config, &port), -ENOSPC);
		config.flags = UNIC_CONFIG_NO_IRQ;
	}
	check_rss(&config);
}

#define ROUNDS 60 /* frames of each flow */

/* A queue's thread. */
struct echo {
	pthread_t thread;
	struct unic_port *port;
	unsigned int queue;
	const bool *stop;
	uint32_t count;
	int err;
};

static void turn_round(struct unic_packet *packet)
{
	uint8_t *frame = unic_packet_data(packet), mac[6];

	memcpy(mac, frame, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, mac, 6);
}

static int send_all(const struct echo *echo, struct unic_packet **packets, int count)
{
	int done = 0, n = 0;

	while (done < count && n >= 0) {
		n = unic_tx_burst(echo->port, echo->queue, packets + done,
				  (unsigned int)(count - done));
		done += n > 0 ? n : 0;
	}
	return n < 0 ? n : 0;
}

/* Sends back on a queue what came to it; sleeps while nothing comes. */
static void *echo_work(void *argument)
{
	struct unic_packet *packets[CABLE_BURST];
	struct echo *echo = argument;
	int n = 0, i;

	while (n >= 0 && !__atomic_load_n(echo->stop, __ATOMIC_ACQUIRE)) {
		n = unic_rx_burst(echo->port, echo->queue, packets, CABLE_BURST);
		if (n > 0) {
			for (i = 0; i < n; i++)
				turn_round(packets[i]);
			echo->count += (uint32_t)n;
			n = send_all(echo, packets, n);
		} else if (!n && echo->port->vectors) {
			n = unic_wait(echo->port, echo->queue, SHORT);
			n = n == -ETIMEDOUT ? 0 : n;
		} else if (!n) {
			pause_us(50);
		}
	}
	echo->err = n < 0 ? n : 0;
	return NULL;
}

static struct ip_flow echo_flow(unsigned int flow, uint32_t sequence)
{
	return (struct ip_flow){ .port = (uint16_t)(5000 + 13 * flow),
				 .payload = 40 * flow,
				 .sequence = sequence };
}

/* Sends FLOWS / 3 flows, and takes them back: each in order, and whole. */
static void send_and_take_flows(struct cable *c)
{
	uint32_t next[FLOWS / 3] = { 0 }, sent = 0, taken = 0, number;
	const uint32_t all = FLOWS / 3 * ROUNDS;
	uint8_t frame[CABLE_MAX], want[CABLE_MAX];
	struct ip_flow flow;

	while (taken < all) {
		flow = echo_flow(sent % (FLOWS / 3), sent / (FLOWS / 3));
		if (sent < all && sent - taken < CABLE_WINDOW &&
		    cable_try_put(c, frame, ip_make(frame, c->own_mac, c->other_mac, &flow)))
			sent++;
		if (!cable_try_take(c, frame)) {
			if (sent == all || sent - taken == CABLE_WINDOW)
				cable_wait(c, false);
			continue;
		}
		number = (ip_get(ip_look(frame).l4_at, 2) - 5000) / 13;
		CHECK(number < FLOWS / 3);
		flow = echo_flow(number, next[number]++);
		CHECK(!memcmp(frame, want, ip_make(want, c->other_mac, c->own_mac, &flow)));
		c->idle = 0;
		taken++;
	}
}

/* One thread to a queue, without locks: frames come in and go out by all of them. */
TEST_NIC(~0u, queues_have_threads)
{
	struct unic_config config = all_queues();
	struct echo echoes[UNIC_QUEUES_MAX] = { 0 };
	const struct unic_queue *queue;
	bool stop = false;
	struct cable c;
	unsigned int i;

	if (config.queues == 1)
		return;
	if (suite_backend() == UIO)
		config.flags = UNIC_CONFIG_NO_IRQ;
	c = cable_open(&config);
	for (i = 0; i < config.queues; i++) {
		echoes[i] = (struct echo){ .port = c.port, .queue = i, .stop = &stop };
		CHECK_EQ(pthread_create(&echoes[i].thread, NULL, echo_work, &echoes[i]), 0);
	}
	send_and_take_flows(&c);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < config.queues; i++) {
		pthread_join(echoes[i].thread, NULL);
		queue = c.port->queues[i];
		CHECK_EQ(echoes[i].err, 0);
		CHECK(echoes[i].count > 0);
		CHECK(queue->stats.rx_packets >= echoes[i].count);
		CHECK(queue->stats.tx_packets >= echoes[i].count);
	}
	CHECK_EQ(port_stats(&c).rx_packets, FLOWS / 3 * ROUNDS);
	CHECK_EQ(port_stats(&c).tx_packets, FLOWS / 3 * ROUNDS);
	cable_close(&c);
}
