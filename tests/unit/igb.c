/* SPDX-License-Identifier: MIT */
/*
 * The igb driver on QEMU's model of the 82576, without a guest: frames of all lengths both ways,
 * what it does for the application, queues, vectors, and a device that lies or vanishes. The
 * program is at the other end of the cable.
 *
 * The model came with QEMU 8. The one to run is named by $USERPCI_QEMU, else by $SUITE_IGB, else it
 * is that of qemu/emulator.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <userpci/userpci.h>

#include "../nic/frame.h"
#include "drivers/intel/common.h"
#include "harness.h"

#define BURST	 32
#define STALLED	 20000 /* milliseconds without a frame, or the link */
#define MTU	 9000
#define ALL	 UNIC_OFFLOAD_ALL
#define ETHERNET 14
#define IP4	 20
#define TCP	 20
#define UDP	 8

static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 1 };

static struct unic_port *port;
static int wire;

/* --- The port and its cable --- */

static void choose_qemu(void)
{
	const char *name = getenv("SUITE_IGB");
	char path[4096] = "";
	FILE *pipe;

	if (getenv("USERPCI_QEMU"))
		return;
	if (!name && !access("qemu/emulator", X_OK)) {
		pipe = popen("qemu/emulator 10 2>/dev/null", "r");
		if (pipe && fgets(path, sizeof(path), pipe))
			path[strcspn(path, "\n")] = '\0';
		if (pipe)
			pclose(pipe);
		name = *path ? path : NULL;
	}
	if (name)
		setenv("USERPCI_QEMU", name, 1);
}

static int try_open(const struct unic_config *config)
{
	char why[256];
	int err;

	alarm(120);
	choose_qemu();
	err = unic_open("qemu:igb", config, &port);
	if (err == -ENOENT)
		SKIP("there is no QEMU; run scripts/setup guest");
	if (err == -EINVAL && strstr(unic_explain("qemu:igb", err, why, sizeof(why)), "'igb'"))
		SKIP("this QEMU has no igb; one that has is got by: qemu/emulator 10");
	return err;
}

static void open_port(const struct unic_config *config)
{
	CHECK_EQ(try_open(config), 0);
	wire = userpci_wire_fd(port->device);
	CHECK(wire >= 0);
}

static void start_port(const struct unic_config *config)
{
	struct unic_link link = { 0 };
	uint32_t idle;

	open_port(config);
	CHECK_EQ(unic_start(port), 0);
	/* What comes before is lost. */
	for (idle = 0; idle < STALLED && !link.up; idle++) {
		CHECK_EQ(unic_link(port, &link), 0);
		unic_sleep_us(1000);
	}
	CHECK(link.up && link.full_duplex);
	CHECK_EQ(link.speed_mbps, 1000);
}

/* All packets must be back. */
static void close_port(void)
{
	int err = unic_stop(port);

	CHECK(!err || err == -ENETDOWN);
	CHECK_EQ(unic_packets_free(port), unic_info(port)->packets);
	unic_close(port);
}

static void wire_send(const void *frame, uint32_t length)
{
	struct pollfd p = { .fd = wire, .events = POLLOUT };

	while (send(wire, frame, length, MSG_DONTWAIT) != (ssize_t)length)
		CHECK(poll(&p, 1, STALLED) == 1);
}

/* The next frame of the peer's; what is not to it is none of the test's. */
static uint32_t wire_take(uint8_t *frame, uint32_t size)
{
	struct pollfd p = { .fd = wire, .events = POLLIN };
	ssize_t n;

	CHECK(poll(&p, 1, STALLED) == 1);
	n = recv(wire, frame, size, MSG_TRUNC);
	CHECK(n > 0 && n <= (ssize_t)size);
	return (uint32_t)n;
}

static struct unic_packet *take_from(unsigned int queue)
{
	struct unic_packet *packet;
	uint32_t idle;
	int n;

	for (idle = 0; idle < STALLED; idle++) {
		n = unic_rx_burst(port, queue, &packet, 1);
		CHECK(n >= 0);
		if (n)
			return packet;
		unic_sleep_us(1000);
	}
	HARNESS_FAIL("no frame came to queue %u", queue);
}

static struct unic_packet *take(void)
{
	return take_from(0);
}

/* Nothing is left: what was sent before this frame has been dropped. */
static void take_only_mark(void)
{
	static const uint8_t mark[60] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 0x88, 9 };
	struct unic_packet *packet;

	wire_send(mark, sizeof(mark));
	packet = take();
	CHECK_EQ(packet->length, sizeof(mark));
	CHECK(!memcmp(unic_packet_data(packet), mark, sizeof(mark)));
	unic_packet_free(packet);
}

static struct unic_packet *packet_of(const void *frame, uint32_t length)
{
	struct unic_packet *packet = unic_packet_alloc(port, 0);

	CHECK(packet);
	memcpy(unic_packet_data(packet), frame, length);
	packet->length = length;
	return packet;
}

static void port_send(struct unic_packet *packet)
{
	CHECK_EQ(unic_tx_burst(port, 0, &packet, 1), 1);
}

/* --- Frames of IP --- */

struct flow {
	uint32_t source, target;
	uint16_t source_port, target_port;
	bool tcp;
};

static const struct flow udp_flow = { 0x0a630001, 0x0a630002, 4660, 22136, false };
static const struct flow tcp_flow = { 0x0a630001, 0x0a630002, 4660, 22136, true };

static uint32_t add(uint32_t sum, const uint8_t *data, uint32_t size)
{
	uint32_t i;

	for (i = 0; i < size; i++)
		sum += i & 1 ? data[i] : (uint32_t)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t ip_sum(const uint8_t *ip)
{
	return add(0, ip, IP4);
}

/* Of all that the checksum covers, itself included: 0xffff when it is right. */
static uint32_t l4_sum(const uint8_t *ip)
{
	uint32_t size = frame_get(ip + 2, 2) - IP4;

	return add(add(ip[9] + size, ip + 12, 8), ip + IP4, size);
}

static uint32_t headers_of(const struct flow *flow)
{
	return ETHERNET + IP4 + (flow->tcp ? TCP : UDP);
}

/* A frame with correct checksums; returns its length. */
static uint32_t ip_frame(uint8_t *frame, const struct flow *flow, uint32_t payload)
{
	uint32_t length = headers_of(flow) + payload, i;
	uint8_t *ip = frame + ETHERNET, *l4 = ip + IP4;

	memset(frame, 0, headers_of(flow));
	memcpy(frame, unic_info(port)->mac, 6);
	memcpy(frame + 6, peer_mac, 6);
	frame_put(frame + 12, 2, 0x0800);
	ip[0] = 0x45;
	frame_put(ip + 2, 2, length - ETHERNET);
	ip[8] = 64;
	ip[9] = flow->tcp ? 6 : 17;
	frame_put(ip + 12, 4, flow->source);
	frame_put(ip + 16, 4, flow->target);
	frame_put(ip + 10, 2, ip_sum(ip) ^ 0xffff);
	frame_put(l4, 2, flow->source_port);
	frame_put(l4 + 2, 2, flow->target_port);
	if (flow->tcp)
		l4[12] = TCP / 4 << 4, l4[13] = 0x10;
	else
		frame_put(l4 + 4, 2, UDP + payload);
	for (i = headers_of(flow); i < length; i++)
		frame[i] = (uint8_t)(i * 7);
	frame_put(l4 + (flow->tcp ? 16 : 6), 2, l4_sum(ip) ^ 0xffff);
	return length;
}

/* The same with nonsense in place of the checksums, and the device asked for them. */
static struct unic_packet *ask_for_checksums(const struct flow *flow, uint32_t payload)
{
	struct unic_packet *packet = unic_packet_alloc(port, 0);
	uint8_t *ip = unic_packet_data(packet) + ETHERNET;

	packet->length = ip_frame(unic_packet_data(packet), flow, payload);
	frame_put(ip + 10, 2, 0xdead);
	frame_put(ip + IP4 + (flow->tcp ? 16 : 6), 2, 0xbeef);
	packet->flags = UNIC_TX_IP | (flow->tcp ? UNIC_TX_TCP : UNIC_TX_UDP);
	packet->l2_length = ETHERNET;
	packet->l3_length = IP4;
	packet->l4_length = TCP;
	return packet;
}

/* --- Frames both ways --- */

#define FRAMES (FRAME_MAX - FRAME_MIN + 1) /* each length once */
#define WINDOW 8			   /* the cable holds some ten */

static void wire_check(uint32_t sequence)
{
	uint8_t frame[2048];
	uint32_t length = wire_take(frame, sizeof(frame));

	CHECK(frame_is_ours(frame, length));
	CHECK_EQ(frame_sequence(frame), sequence);
	CHECK(frame_is_whole(frame, length));
}

static void send_frames(uint32_t from, uint32_t count, uint8_t kind)
{
	struct unic_packet *packets[BURST];
	uint32_t i, at, n;

	for (at = 0; at < count; at += n) {
		n = count - at < WINDOW ? count - at : WINDOW;
		CHECK_EQ(unic_packet_alloc_burst(port, 0, packets, n), n);
		for (i = 0; i < n; i++) {
			unic_packet_reset(packets[i], 0);
			packets[i]->length = frame_make(unic_packet_data(packets[i]), peer_mac,
							unic_info(port)->mac, kind, 0,
							from + at + i);
		}
		CHECK_EQ(unic_tx_burst(port, 0, packets, n), n);
		for (i = 0; i < n; i++)
			wire_check(from + at + i);
	}
}

static void receive_frames(uint32_t from, uint32_t count)
{
	struct unic_packet *packet;
	uint8_t frame[FRAME_MAX];
	uint32_t i, at, n;

	for (at = 0; at < count; at += n) {
		n = count - at < WINDOW ? count - at : WINDOW;
		for (i = 0; i < n; i++)
			wire_send(frame, frame_make(frame, unic_info(port)->mac, peer_mac,
						    FRAME_DATA, 0, from + at + i));
		for (i = 0; i < n; i++) {
			packet = take();
			CHECK_EQ(frame_sequence(unic_packet_data(packet)), from + at + i);
			CHECK(frame_is_whole(unic_packet_data(packet), packet->length));
			unic_packet_free(packet);
		}
	}
}

TEST(igb_frames)
{
	struct unic_stats stats;
	uint32_t i;

	start_port(NULL);
	CHECK_STR(unic_info(port)->driver, "igb");
	send_frames(0, FRAMES, FRAME_DATA);
	receive_frames(0, FRAMES);
	CHECK_EQ(unic_stats(port, &stats), 0);
	CHECK_EQ(stats.tx_packets, FRAMES);
	CHECK_EQ(stats.rx_packets, FRAMES);
	for (i = FRAME_MIN; i <= FRAME_MAX; i++)
		stats.rx_bytes -= i, stats.tx_bytes -= i;
	CHECK_EQ(stats.rx_bytes, 0);
	CHECK_EQ(stats.tx_bytes, 0);
	CHECK_EQ(stats.rx_errors + stats.rx_missed + stats.rx_no_buffer, 0);
	/* Those below 60 bytes are padded. */
	send_frames(0, FRAME_MIN - FRAME_SHORT_MIN, FRAME_SHORT);
	close_port();
}

static void send_all(struct unic_packet **packets, uint32_t count)
{
	uint32_t idle, n = 0;
	int done;

	for (idle = 0; n < count && idle < STALLED; idle++) {
		done = unic_tx_burst(port, 0, packets + n, count - n);
		CHECK(done >= 0);
		n += (uint32_t)done;
		if (n < count)
			unic_sleep_us(1000);
	}
	CHECK_EQ(n, count);
}

/* More than the ring holds, in bursts that do not divide it, with packets that need contexts and
 * several descriptors between them: each is given back once. */
TEST(igb_ring_wraps)
{
	struct unic_config config = { .tx_descriptors = 64, .rx_descriptors = 64, .packets = 400 };
	static const uint8_t sizes[] = { 1, 31, 7, 32, 3, 20 };
	struct unic_packet *packets[BURST], *tail;
	uint8_t frame[2048];
	uint32_t round, i, n;

	config.offloads = ALL;
	start_port(&config);
	for (round = 0; round < 120; round++) {
		n = sizes[round % sizeof(sizes)];
		for (i = 0; i < n; i++) {
			packets[i] = ask_for_checksums(i & 1 ? &udp_flow : &tcp_flow, 100);
			if (i % 5 == 0)
				packets[i]->flags = 0;
			if (i % 7 == 3) {
				tail = packet_of("the end of a frame", 16);
				packets[i]->flags |= UNIC_PACKET_CHAINED;
				packets[i]->next = tail;
			}
		}
		send_all(packets, n);
		for (i = 0; i < n; i++)
			(void)wire_take(frame, sizeof(frame));
	}
	/* The last frame is on the wire some time before its descriptor says so. */
	for (i = 0; i < STALLED && unic_packets_free(port) != 400 - 64; i++) {
		unic_sleep_us(1000);
		CHECK_EQ(unic_tx_burst(port, 0, NULL, 0), 0);
	}
	CHECK_EQ(unic_packets_free(port), 400 - 64);
	close_port();
}

/* A chain that the ring has no room for now, and one that it never has. */
TEST(igb_chain_too_long)
{
	struct unic_config config = { .tx_descriptors = 16, .rx_descriptors = 16, .packets = 200 };
	struct unic_packet *first, *packet, *next;
	struct unic_stats stats;
	uint32_t i;

	start_port(&config);
	first = packet = packet_of(peer_mac, 6);
	for (i = 0; i < 20; i++) {
		next = packet_of("and some bytes more", 20);
		packet->flags |= UNIC_PACKET_CHAINED;
		packet->next = next;
		packet = next;
	}
	port_send(first);
	CHECK_EQ(unic_stats(port, &stats), 0);
	CHECK_EQ(stats.tx_bad_length, 1);
	CHECK_EQ(unic_packets_free(port), 200 - 16);
	send_frames(0, 20, FRAME_DATA);
	close_port();
}

/* No queue of a stopped port is enabled, and neither end of it. */
static void check_stopped(void)
{
	CHECK_EQ(intel_rd(port->priv, IGB_RXDCTL(0)) & IGB_DCTL_ENABLE, 0);
	CHECK_EQ(intel_rd(port->priv, IGB_TXDCTL(0)) & IGB_DCTL_ENABLE, 0);
	CHECK_EQ(intel_rd(port->priv, E1000_RCTL) & E1000_RCTL_EN, 0);
	CHECK_EQ(intel_rd(port->priv, E1000_TCTL) & E1000_TCTL_EN, 0);
	CHECK_EQ(unic_packets_free(port), unic_info(port)->packets);
}

TEST(igb_restarts)
{
	uint32_t i;

	start_port(NULL);
	for (i = 0; i < 20; i++) {
		if (i)
			CHECK_EQ(unic_start(port), 0);
		send_frames(10 * i, 10, FRAME_DATA);
		receive_frames(10 * i, 10);
		CHECK_EQ(unic_stop(port), 0);
		check_stopped();
	}
	close_port();
}

/* With no packet in the pool frames are dropped, and the ring goes on. */
TEST(igb_empty_pool)
{
	struct unic_config config = { .rx_descriptors = 32, .tx_descriptors = 32, .packets = 40 };
	struct unic_packet *held[8], *packet;
	struct unic_stats stats = { 0 };
	uint8_t frame[FRAME_MAX];
	uint32_t i, idle;

	start_port(&config);
	receive_frames(0, 1);
	CHECK_EQ(unic_packet_alloc_burst(port, 0, held, 8), 8);
	for (i = 0; i < 4; i++)
		wire_send(frame,
			  frame_make(frame, unic_info(port)->mac, peer_mac, FRAME_DATA, 0, i));
	for (idle = 0; idle < STALLED && stats.rx_no_buffer < 4; idle++) {
		CHECK_EQ(unic_rx_burst(port, 0, &packet, 1), 0);
		CHECK_EQ(unic_stats(port, &stats), 0);
		unic_sleep_us(1000);
	}
	CHECK_EQ(stats.rx_no_buffer, 4);
	for (i = 0; i < 8; i++)
		unic_packet_reset(held[i], 0);
	unic_packet_free_burst(held, 8);
	receive_frames(4, 100);
	close_port();
}

/* --- What the device does for the application --- */

static void check_received(const uint8_t *frame, uint32_t length, uint32_t flags)
{
	struct unic_packet *packet;

	wire_send(frame, length);
	packet = take();
	CHECK_EQ(packet->length, length < FRAME_MIN ? FRAME_MIN : length);
	CHECK_EQ(packet->flags, flags);
	CHECK(!memcmp(unic_packet_data(packet), frame, length));
	unic_packet_free(packet);
}

TEST(igb_rx_checksums)
{
	struct unic_config config = { .offloads = UNIC_OFFLOAD_RX_CHECKSUM };
	const struct flow *const flows[] = { &udp_flow, &tcp_flow };
	uint8_t frame[FRAME_MAX];
	uint32_t i, length;

	start_port(&config);
	CHECK_EQ(unic_info(port)->offloads, UNIC_OFFLOAD_RX_CHECKSUM);
	for (i = 0; i < 2; i++) {
		length = ip_frame(frame, flows[i], 333);
		check_received(frame, length, UNIC_RX_IP_GOOD | UNIC_RX_L4_GOOD);
		frame[length - 1] ^= 1;
		check_received(frame, length, UNIC_RX_IP_GOOD | UNIC_RX_L4_BAD);
		frame[length - 1] ^= 1;
		frame[ETHERNET + 8]--;
		check_received(frame, length, UNIC_RX_IP_BAD | UNIC_RX_L4_GOOD);
	}
	length = frame_make(frame, unic_info(port)->mac, peer_mac, FRAME_DATA, 0, 5);
	check_received(frame, length, 0);
	close_port();
}

/* Not asked for, nothing is said. */
TEST(igb_rx_plain)
{
	uint8_t frame[FRAME_MAX];

	start_port(NULL);
	check_received(frame, ip_frame(frame, &udp_flow, 100), 0);
	close_port();
}

/* From the least length on: QEMU counts the padding of shorter ones as if it were data. */
TEST(igb_tx_checksums)
{
	struct unic_config config = { .offloads = UNIC_OFFLOAD_TX_CHECKSUM };
	const struct flow *const flows[] = { &udp_flow, &tcp_flow }, *flow;
	uint8_t sent[2048], want[2048];
	uint32_t i, length;

	start_port(&config);
	for (i = 0; i < 40; i++) {
		flow = flows[i / 3 % 2]; /* so that some find their context there */
		length = ip_frame(want, flow, 18 + 31 * i);
		port_send(ask_for_checksums(flow, 18 + 31 * i));
		CHECK_EQ(wire_take(sent, sizeof(sent)), length);
		CHECK(!memcmp(sent, want, length));
	}
	close_port();
}

/* Headers that no context can describe. */
TEST(igb_tx_headers_too_long)
{
	struct unic_config config = { .offloads = UNIC_OFFLOAD_TX_CHECKSUM };
	struct unic_packet *packet;
	struct unic_stats stats;
	uint8_t frame[512] = { 0 };

	start_port(&config);
	(void)ip_frame(frame + 200 - ETHERNET, &udp_flow, 100);
	packet = packet_of(frame, 200 + IP4 + UDP + 100);
	packet->flags = UNIC_TX_UDP;
	packet->l2_length = 200;
	packet->l3_length = IP4;
	port_send(packet);
	CHECK_EQ(unic_stats(port, &stats), 0);
	CHECK_EQ(stats.tx_bad_offload, 1);
	CHECK_EQ(stats.tx_packets, 0);
	close_port();
}

/* A large TCP segment in several packets, cut by the device. */
TEST(igb_tso)
{
	struct unic_config config = { .offloads = ALL };
	uint32_t payload = 6000, mss = 1000, at = 0, length, size;
	struct unic_packet *first, *rest[2];
	uint8_t all[8192], frame[2048];

	start_port(&config);
	CHECK_EQ(unic_info(port)->offloads, ALL);
	length = ip_frame(all, &tcp_flow, payload);
	size = length / 3;
	first = packet_of(all, size);
	rest[0] = packet_of(all + size, size);
	rest[1] = packet_of(all + 2 * size, length - 2 * size);
	first->flags = UNIC_TX_TSO | UNIC_TX_IP | UNIC_TX_TCP | UNIC_PACKET_CHAINED;
	first->next = rest[0];
	rest[0]->flags = UNIC_PACKET_CHAINED;
	rest[0]->next = rest[1];
	first->l2_length = ETHERNET;
	first->l3_length = IP4;
	first->l4_length = TCP;
	first->mss = (uint16_t)mss;
	port_send(first);
	for (at = 0; at < payload; at += mss) {
		length = wire_take(frame, sizeof(frame));
		CHECK_EQ(length, ETHERNET + IP4 + TCP + mss);
		CHECK_EQ(ip_sum(frame + ETHERNET), 0xffff);
		CHECK_EQ(l4_sum(frame + ETHERNET), 0xffff);
		CHECK_EQ(frame_get(frame + ETHERNET + IP4 + 4, 4), at);
		CHECK(!memcmp(frame + ETHERNET + IP4 + TCP, all + ETHERNET + IP4 + TCP + at, mss));
	}
	close_port();
}

static uint32_t tagged(uint8_t *frame, uint32_t tag)
{
	uint32_t length = ip_frame(frame, &udp_flow, 200);

	memmove(frame + 16, frame + 12, length - 12);
	frame_put(frame + 12, 2, 0x8100);
	frame_put(frame + 14, 2, tag);
	return length + 4;
}

TEST(igb_vlan)
{
	struct unic_config config = { .offloads = ALL };
	uint8_t frame[2048], sent[2048], plain[2048];
	struct unic_packet *packet;
	uint32_t i, length;

	start_port(&config);
	for (i = 0; i < 6; i++) {
		length = tagged(frame, 0x2000 + i / 2);
		(void)ip_frame(plain, &udp_flow, 200);
		wire_send(frame, length);
		packet = take();
		CHECK_EQ(packet->flags & ~UNIC_RX_HASH,
			 UNIC_PACKET_VLAN | UNIC_RX_IP_GOOD | UNIC_RX_L4_GOOD);
		CHECK_EQ(packet->vlan, 0x2000 + i / 2);
		CHECK_EQ(packet->length, length - 4);
		CHECK(!memcmp(unic_packet_data(packet), plain, length - 4));
		/* Back as it is; every other one with checksums to be filled in, too. */
		if (i & 1) {
			packet->flags |= UNIC_TX_UDP | UNIC_TX_IP;
			packet->l2_length = ETHERNET;
			packet->l3_length = IP4;
			frame_put(unic_packet_data(packet) + ETHERNET + IP4 + 6, 2, 0xbeef);
		}
		port_send(packet);
		CHECK_EQ(wire_take(sent, sizeof(sent)), length);
		CHECK(!memcmp(sent, frame, length));
	}
	close_port();
}

TEST(igb_jumbo)
{
	struct unic_config config = { .mtu = MTU, .offloads = UNIC_OFFLOAD_RX_CHECKSUM };
	const uint32_t lengths[] = { 2047, 2048, 2049, 4096, 6143, 9000, MTU + ETHERNET };
	uint8_t frame[16384], got[16384];
	struct unic_packet *packet, *part;
	uint32_t i, at;

	start_port(&config);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		(void)ip_frame(frame, &udp_flow, lengths[i] - headers_of(&udp_flow));
		wire_send(frame, lengths[i]);
		packet = take();
		CHECK_EQ(unic_packet_total(packet), lengths[i]);
		CHECK_EQ(packet->flags & ~UNIC_PACKET_CHAINED, UNIC_RX_IP_GOOD | UNIC_RX_L4_GOOD);
		for (at = 0, part = packet;; part = part->next) {
			CHECK(!memcmp(unic_packet_data(part), frame + at, part->length));
			at += part->length;
			if (!(part->flags & UNIC_PACKET_CHAINED))
				break;
		}
		/* And back, in as many packets. */
		port_send(packet);
		CHECK_EQ(wire_take(got, sizeof(got)), lengths[i]);
		CHECK(!memcmp(got, frame, lengths[i]));
	}
	/* One byte more than the MTU and a tag allow. */
	memset(frame, 0xff, 6);
	wire_send(frame, MTU + 18 + 1);
	take_only_mark();
	close_port();
}

/* --- Filters --- */

static void offer(const uint8_t *target, bool wanted)
{
	struct unic_packet *packet;
	uint8_t frame[FRAME_MAX];
	struct unic_link link;
	uint32_t length;

	CHECK_EQ(unic_link(port, &link), 0); /* a read, so that no write is still under way */
	length = frame_make(frame, target, peer_mac, FRAME_DATA, 0, 0);
	wire_send(frame, length);
	if (wanted) {
		packet = take();
		CHECK(!memcmp(unic_packet_data(packet), frame, length));
		unic_packet_free(packet);
	}
	take_only_mark();
}

TEST(igb_filters)
{
	static const uint8_t stranger[6] = { 2, 0, 0, 0, 0, 9 }, other[6] = { 2, 0, 0, 0, 0, 7 };
	static const uint8_t groups[2][6] = { { 1, 0, 0x5e, 0, 0, 0xfb },
					      { 0x33, 0x33, 0, 1, 0x23, 0x45 } };
	uint8_t own[6];

	start_port(NULL);
	memcpy(own, unic_info(port)->mac, 6);
	offer(own, true);
	offer(stranger, false);
	offer(groups[0], false);
	CHECK_EQ(unic_multicast_set(port, groups[0], 2), 0);
	offer(groups[0], true);
	offer(groups[1], true);
	CHECK_EQ(unic_multicast_set(port, NULL, 0), 0);
	offer(groups[1], false);
	CHECK_EQ(unic_receive_mode(port, UNIC_RECEIVE_ALL_MULTICAST), 0);
	offer(groups[1], true);
	offer(stranger, false);
	CHECK_EQ(unic_receive_mode(port, UNIC_RECEIVE_ALL), 0);
	offer(stranger, true);
	CHECK_EQ(unic_receive_mode(port, 0), 0);
	offer(stranger, false);
	CHECK_EQ(unic_mac_set(port, other), 0);
	offer(other, true);
	offer(own, false);
	/* The MAC stays over a stop. */
	CHECK_EQ(unic_stop(port), 0);
	CHECK_EQ(unic_start(port), 0);
	offer(other, true);
	close_port();
}

/* --- Queues and vectors --- */

#define QUEUES 4

/* The first four are from Microsoft's verification of RSS hashes, the rest from this program. */
static const struct {
	struct flow flow;
	uint32_t hash;
} hashes[] = {
	{ { 0x420995bb, 0xa18e6450, 2794, 1766, true }, 0x51ccc178 },
	{ { 0xc75c6f02, 0x41458c53, 14230, 4739, true }, 0xc626b0ea },
	{ { 0x1813c65f, 0x0c16cfb8, 12898, 38024, true }, 0x5c2b394a },
	{ { 0x261bcd1e, 0xd18ea306, 48228, 2217, true }, 0xafc7327f },
	{ { 0x9927a3bf, 0xcabc7f02, 44251, 1303, true }, 0x10e828a2 },
};

static unsigned int find_frame(void)
{
	unsigned int queue = 0;

	while (!port->driver->rx_pending(port->queues[queue]))
		queue = (queue + 1) % QUEUES;
	return queue;
}

TEST(igb_rss)
{
	struct unic_config config = {
		.queues = QUEUES,
		.offloads = UNIC_OFFLOAD_RSS | UNIC_OFFLOAD_HASH,
	};
	uint32_t i, other, seen = 0, port_number;
	uint8_t frame[FRAME_MAX], queue;
	struct unic_packet *packet;
	struct flow flow = udp_flow;

	start_port(&config);
	for (i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		wire_send(frame, ip_frame(frame, &hashes[i].flow, 100));
		queue = hashes[i].hash % 128 % QUEUES;
		packet = take_from(queue);
		CHECK_EQ(packet->hash, hashes[i].hash);
		CHECK_EQ(packet->flags, UNIC_RX_HASH);
		unic_packet_free(packet);
		for (other = 0; other < QUEUES; other++)
			CHECK_EQ(unic_rx_burst(port, other, &packet, 1), 0);
	}
	/* What has no hash goes to the first queue. */
	wire_send(frame, frame_make(frame, unic_info(port)->mac, peer_mac, FRAME_DATA, 0, 0));
	packet = take();
	CHECK_EQ(packet->flags, 0);
	unic_packet_free(packet);
	/* Each queue gets some flows. */
	for (port_number = 1; port_number <= 64; port_number++) {
		flow.source_port = (uint16_t)(port_number * 97);
		wire_send(frame, ip_frame(frame, &flow, 100));
		queue = (uint8_t)find_frame();
		CHECK_EQ(unic_rx_burst(port, queue, &packet, 1), 1);
		CHECK_EQ(packet->hash % 128 % QUEUES, queue);
		seen |= 1u << queue;
		unic_packet_free(packet);
	}
	CHECK_EQ(seen, (1u << QUEUES) - 1);
	close_port();
}

/* Who does not ask for the hash does not pay for it: flows are spread all the same. */
TEST(igb_rss_without_hash)
{
	struct unic_config config = { .queues = QUEUES, .offloads = UNIC_OFFLOAD_RSS };
	uint8_t frame[FRAME_MAX];
	struct unic_packet *packet;
	uint32_t i;

	start_port(&config);
	CHECK_EQ(unic_info(port)->offloads, UNIC_OFFLOAD_RSS);
	for (i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		wire_send(frame, ip_frame(frame, &hashes[i].flow, 100));
		packet = take_from(hashes[i].hash % 128 % QUEUES);
		CHECK_EQ(packet->flags, 0);
		unic_packet_free(packet);
	}
	close_port();
}

TEST(igb_queues_send)
{
	struct unic_config config = { .queues = 16, .flags = UNIC_CONFIG_NO_IRQ };
	struct unic_packet *packet;
	uint32_t i, round;

	start_port(&config);
	CHECK_EQ(unic_info(port)->max_queues, 16);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 16; i++) {
			packet = unic_packet_alloc(port, i);
			packet->length = frame_make(unic_packet_data(packet), peer_mac,
						    unic_info(port)->mac, FRAME_DATA, 0, i);
			CHECK_EQ(unic_tx_burst(port, i, &packet, 1), 1);
			wire_check(i);
		}
	}
	close_port();
}

/* Until frames have come to the queue; what woke it before that has been served. */
static void wait_for_frame(unsigned int queue)
{
	int n;

	do {
		n = unic_wait(port, queue, (int64_t)STALLED * 1000);
		CHECK(n == 0 || n == UNIC_WAIT_LINK);
	} while (!port->driver->rx_pending(port->queues[queue]));
}

/* Asleep, with nothing to wake it. */
static void check_quiet(unsigned int queue)
{
	unsigned int tries = 100;
	int n;

	do {
		n = unic_wait(port, queue, 1000);
		CHECK(n == 0 || n == UNIC_WAIT_LINK || n == -ETIMEDOUT);
	} while (n != -ETIMEDOUT && --tries);
	CHECK_EQ(n, -ETIMEDOUT);
}

/* By its interrupt: unic_wait() would also tell of it at a timeout. */
static void wait_for_link(void)
{
	struct unic_queue *queue = port->queues[0];
	struct unic_link link = { 0 };

	port->driver->irq_arm(queue);
	CHECK_EQ(userpci_irq_wait(port->device, 0, (int64_t)STALLED * 1000, NULL), 0);
	CHECK(port->driver->irq_ack(queue));
	CHECK_EQ(userpci_irq_unmask(port->device, 0), 0);
	CHECK_EQ(unic_link(port, &link), 0);
	CHECK(link.up);
}

/* Each queue sleeps until its own vector; the first hears of the link, too. */
TEST(igb_msix)
{
	struct unic_config config = {
		.queues = QUEUES,
		.offloads = UNIC_OFFLOAD_RSS | UNIC_OFFLOAD_HASH,
	};
	struct unic_packet *packet;
	uint8_t frame[FRAME_MAX];
	struct flow flow = udp_flow;
	uint32_t i, queue, length;

	open_port(&config);
	CHECK_EQ(unic_start(port), 0);
	CHECK_EQ(userpci_irq_kind(port->device), USERPCI_IRQ_MSIX);
	CHECK_EQ(port->vectors, QUEUES);
	wait_for_link();
	for (queue = 0; queue < QUEUES; queue++)
		check_quiet(queue);
	for (i = 0; i < 40; i++) {
		flow.source_port = (uint16_t)(97 * (i / 2));
		length = ip_frame(frame, &flow, 100);
		wire_send(frame, length);
		/* The first of a flow shows where the second will come. */
		if (i & 1)
			wait_for_frame(queue);
		else
			queue = find_frame();
		CHECK_EQ(unic_rx_burst(port, queue, &packet, 1), 1);
		CHECK_EQ(packet->hash % 128 % QUEUES, queue);
		unic_packet_free(packet);
	}
	for (queue = 0; queue < QUEUES; queue++)
		check_quiet(queue);
	close_port();
}

/* One vector, of each kind. */
static void one_vector(unsigned int kind)
{
	uint8_t frame[FRAME_MAX];
	struct unic_packet *packet;
	uint32_t i;

	open_port(NULL);
	CHECK_EQ(userpci_irq_enable(port->device, kind, 1), 0);
	CHECK_EQ(unic_start(port), 0);
	wait_for_link();
	check_quiet(0);
	for (i = 0; i < 40; i++) {
		wire_send(frame,
			  frame_make(frame, unic_info(port)->mac, peer_mac, FRAME_DATA, 0, i));
		wait_for_frame(0);
		CHECK_EQ(unic_rx_burst(port, 0, &packet, 1), 1);
		CHECK_EQ(frame_sequence(unic_packet_data(packet)), i);
		unic_packet_free(packet);
	}
	check_quiet(0);
	close_port();
}

TEST(igb_one_msix)
{
	one_vector(USERPCI_IRQ_MSIX);
}

TEST(igb_msi)
{
	one_vector(USERPCI_IRQ_MSI);
}

TEST(igb_intx)
{
	one_vector(USERPCI_IRQ_INTX);
}

/* --- A device that lies --- */

/* Writes the next descriptors as if the device had. */
static void claim(uint32_t at, uint64_t word)
{
	struct intel_queue *q = port->queues[0]->priv;

	q->rx_ring[(q->rx_next + at) & q->rx_mask].word = userpci_cpu_to_le64(word);
}

static uint64_t done(uint64_t length, uint64_t more)
{
	return length << 32 | E1000E_RXD_DD | more;
}

static uint64_t rx_errors(void)
{
	struct unic_stats stats;

	CHECK_EQ(unic_stats(port, &stats), 0);
	return stats.rx_errors;
}

static void check_dropped(uint32_t descriptors)
{
	const struct intel_queue *q = port->queues[0]->priv;
	uint32_t next = q->rx_next;
	uint64_t errors = rx_errors();
	struct unic_packet *packets[BURST];

	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 0);
	CHECK_EQ(q->rx_next - next, descriptors);
	CHECK_EQ(rx_errors() - errors, 1);
}

TEST(igb_lies)
{
	struct unic_config config = { .mtu = MTU, .offloads = ALL, .packets = 600 };
	uint32_t i, state = 1;
	struct unic_packet *packets[BURST];
	int n, round;

	start_port(&config);
	/* Longer than the buffer, an error, no bytes at all, no bytes and more to come. */
	claim(0, done(2049, E1000E_RXD_EOP));
	check_dropped(1);
	claim(0, done(0xffff, E1000E_RXD_EOP));
	check_dropped(1);
	claim(0, done(60, E1000E_RXD_EOP | E1000E_RXD_RXE));
	check_dropped(1);
	claim(0, done(0, 0));
	claim(1, done(60, E1000E_RXD_EOP));
	check_dropped(2);
	/* A frame that does not end, over the whole ring and on: dropped once, from the fifth. */
	for (i = 0; i < 256; i++)
		claim(i, done(2048, 0));
	check_dropped(255); /* a burst looks at no more */
	for (i = 0; i < 3; i++)
		claim(i, done(2048, 0));
	claim(3, done(100, E1000E_RXD_EOP));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 0);
	CHECK_EQ(rx_errors(), 5);
	/* Whatever it says, it says it in bounds. */
	for (round = 0; round < 2000; round++) {
		for (i = 0; i < 8; i++) {
			state = state * 1664525 + 1013904223;
			claim(i, (uint64_t)state << 40 | (state >> 7 & 0xfff) << 20 | state >> 28 |
					 (state & 1));
		}
		n = unic_rx_burst(port, 0, packets, BURST);
		CHECK(n >= 0 && n <= BURST);
		for (i = 0; i < (uint32_t)n; i++)
			CHECK(unic_packet_total(packets[i]) <= MTU + 18 + 2048);
		unic_packet_free_burst(packets, (unsigned int)n);
	}
	close_port();
}

/* At whatever access it vanishes: an end, and -ENODEV. */
TEST(igb_vanishes)
{
	static const unsigned int places[] = { 1,  2,  5,   8,	 12,  15,  20,	40,
					       60, 90, 150, 200, 230, 250, 280, 310 };
	struct unic_packet *packet;
	char fault[40];
	unsigned int i;
	int err;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(fault, sizeof(fault), "gone-after=%u", places[i]);
		setenv("USERPCI_FAULT", fault, 1);
		err = try_open(NULL);
		CHECK(!err || err == -ENODEV || err == -EIO);
		if (err)
			continue;
		err = unic_start(port);
		CHECK(!err || err == -ENODEV);
		if (!err)
			(void)unic_rx_burst(port, 0, &packet, 1);
		unic_close(port);
	}
	/* The last ones are behind the probe. */
	CHECK(!err || err == -ENODEV);
}

TEST_MAIN
