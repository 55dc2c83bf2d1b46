/* SPDX-License-Identifier: MIT */
/*
 * What a NIC driver must do, tried through the unic API against tests/nic/peer on the same wire.
 *
 *     build/tests/nic/nic ADDRESS [MAC [TEST]]
 *
 * No test knows which driver it is. In all runs but floods, no frame may be lost, doubled, changed
 * or out of order.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <time.h>

#include <unic/unic.h>

#include "frame.h"
#include "harness.h"

#define FRAMES	   10000 /* of the long runs */
#define WINDOW	   128	 /* frames under way, at most */
#define TIMEOUT_US 10000000
#define BURST	   32
#define SLICE_US   100000  /* of a wait: a lost wakeup costs no more... */
#define STRICT_US  3000000 /* ...but where it is the test's matter, it is a failure */

struct harness harness = { .last = &harness.first };

/* Of the running test, which is a process of its own. */
static const char *address, *given_mac;
static struct unic_port *port;
static uint8_t own_mac[6], peer_mac[6];
static uint8_t last_run;
static bool strict; /* each frame that is waited for must raise an interrupt */
static volatile sig_atomic_t peer_gone;

/* Frames that were received, and not looked at yet. */
static struct unic_packet *queue[BURST];
static unsigned int queued, taken;

/* What this side counted of what the port did, since unic_open(). */
static struct unic_stats own;

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void on_interrupt(int number)
{
	(void)number;
	peer_gone = 1;
}

/* Opening, and single frames */

static void count_received(unsigned int count)
{
	own.rx_packets += count;
	while (count--)
		own.rx_bytes += queue[count]->length;
}

/* The next test frame, or NULL after @timeout_us. The caller gives the packet back. */
static struct unic_packet *take(int64_t timeout_us)
{
	int64_t end = now_us() + timeout_us, left;
	struct unic_packet *packet;
	int n;

	while (!peer_gone) {
		while (taken < queued) {
			packet = queue[taken++];
			if (frame_is_ours(unic_packet_data(packet), packet->length))
				return packet;
			unic_packet_free(packet);
		}
		queued = taken = 0;
		n = unic_rx_burst(port, 0, queue, BURST);
		CHECK(n >= 0 && n <= BURST);
		queued = (unsigned int)n;
		count_received(queued);
		if (n)
			continue;
		left = end - now_us();
		if (left <= 0)
			return NULL;
		if (!strict && left > SLICE_US)
			left = SLICE_US;
		n = unic_wait(port, 0, strict ? STRICT_US : left);
		if (strict && n == -ETIMEDOUT)
			HARNESS_FAIL("no interrupt came");
		CHECK(n >= 0 || n == -ETIMEDOUT || n == -EINTR || n == -EINVAL);
	}
	return NULL;
}

/* Queues one packet, waiting for room if need be. */
static void put(struct unic_packet *packet)
{
	int64_t end = now_us() + TIMEOUT_US;

	own.tx_packets++;
	own.tx_bytes += packet->length < FRAME_MIN ? FRAME_MIN : packet->length;
	while (unic_tx_burst(port, 0, &packet, 1) != 1)
		CHECK(now_us() < end);
}

static void put_short(uint8_t kind, uint8_t run, uint32_t sequence, const uint8_t *target,
		      const void *contents, size_t size)
{
	struct unic_packet *packet = unic_packet_alloc(port, 0);
	uint8_t *frame;

	CHECK(packet);
	frame = unic_packet_data(packet);
	packet->length = FRAME_HEADER + (uint32_t)size;
	if (packet->length < FRAME_MIN)
		packet->length = FRAME_MIN;
	memset(frame, 0, packet->length);
	frame_header(frame, target, own_mac, kind, run, packet->length, sequence);
	if (size)
		memcpy(frame + FRAME_HEADER, contents, size);
	put(packet);
}

static void start(const struct unic_config *config)
{
	char text[256];
	int err = unic_open(address, config, &port);

	if (err)
		HARNESS_FAIL("unic_open: %s", unic_explain(address, err, text, sizeof(text)));
	memset(&own, 0, sizeof(own));
	memcpy(own_mac, unic_info(port)->mac, sizeof(own_mac));
	CHECK_EQ(unic_start(port), 0);
}

static void find_peer(int64_t timeout_us)
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	int64_t end = now_us() + timeout_us;
	struct unic_packet *packet;
	bool met = false;

	while (!met && now_us() < end && !peer_gone) {
		put_short(FRAME_HELLO, 0, 0, everybody, NULL, 0);
		packet = take(200000);
		if (!packet)
			continue;
		met = frame_kind(unic_packet_data(packet)) == FRAME_WELCOME;
		memcpy(peer_mac, unic_packet_data(packet) + 6, sizeof(peer_mac));
		unic_packet_free(packet);
	}
	if (!met)
		HARNESS_FAIL("no peer is on the wire");
}

static void meet(const struct unic_config *config)
{
	start(config);
	find_peer(TIMEOUT_US);
}

/* Packets are in a ring, with the test, or in the pool: when stopped, all are in the pool. */
static void check_pool_whole(void)
{
	while (taken < queued)
		unic_packet_free(queue[taken++]);
	CHECK_EQ(unic_packets_free(port), unic_info(port)->packets);
}

static void finish(void)
{
	CHECK_EQ(unic_stop(port), 0);
	check_pool_whole();
	unic_close(port);
}

/* Runs: each begins with a command to the peer, which makes its own line of it. */

/* Of no test before: frames of theirs may still be on their way. */
static uint8_t next_run(void)
{
	const struct harness_test *test;

	if (!last_run)
		for (test = harness.first; test != harness.running; test = test->next)
			last_run = (uint8_t)(last_run + 16);
	return ++last_run;
}

static uint8_t command(enum frame_what what, uint8_t kind, uint32_t count, uint32_t window,
		       const uint8_t *target)
{
	struct frame_command c = { .what = (uint8_t)what, .kind = kind };

	frame_put(c.window, 2, window);
	frame_put(c.count, 4, count);
	memcpy(c.target, target, sizeof(c.target));
	snprintf(c.name, sizeof(c.name), "%s", harness.running->name);
	put_short(FRAME_COMMAND, next_run(), 0, peer_mac, &c, sizeof(c));
	return last_run;
}

/* Receives a run that the peer is sending, whole and in order. */
static void receive_frames(uint8_t run, uint32_t count, uint32_t window)
{
	uint32_t expected, every = window > 1 ? window / 2 : 1;
	struct unic_packet *packet;
	const uint8_t *frame;

	for (expected = 0; expected < count;) {
		packet = take(TIMEOUT_US);
		if (!packet)
			HARNESS_FAIL("frame %u of %u did not come", expected, count);
		frame = unic_packet_data(packet);
		if (frame_kind(frame) == FRAME_DATA && frame_run(frame) == run) {
			if (frame_sequence(frame) != expected ||
			    !frame_is_whole(frame, packet->length))
				HARNESS_FAIL("frame %u of %u bytes came instead of frame %u, or is "
					     "damaged",
					     frame_sequence(frame), packet->length, expected);
			expected++;
			if (expected % every == 0 || expected == count)
				put_short(FRAME_ACK, run, expected, peer_mac, NULL, 0);
		}
		unic_packet_free(packet);
	}
}

static void receive_run(uint32_t count, uint32_t window)
{
	receive_frames(command(FRAME_SEND, FRAME_DATA, count, window, own_mac), count, window);
}

static void wait_ack(uint8_t run, uint32_t wanted, uint32_t *acked)
{
	struct unic_packet *packet;
	const uint8_t *frame;

	while (*acked < wanted) {
		packet = take(TIMEOUT_US);
		if (!packet)
			HARNESS_FAIL("no acknowledgement of frame %u", wanted);
		frame = unic_packet_data(packet);
		if (frame_kind(frame) == FRAME_ACK && frame_run(frame) == run)
			*acked = frame_sequence(frame);
		unic_packet_free(packet);
	}
}

/* Fills @count packets with frames from @sequence on. */
static void make_frames(struct unic_packet **packets, unsigned int count, uint8_t kind, uint8_t run,
			uint32_t sequence)
{
	unsigned int i;

	CHECK_EQ(unic_packet_alloc_burst(port, 0, packets, count), count);
	for (i = 0; i < count; i++) {
		unic_packet_reset(packets[i], 0);
		packets[i]->length = frame_make(unic_packet_data(packets[i]), peer_mac, own_mac,
						kind, run, sequence + i);
		own.tx_packets++;
		own.tx_bytes += packets[i]->length < FRAME_MIN ? FRAME_MIN : packets[i]->length;
	}
}

/* Sends all of them, however few are taken at once; returns what the first call took. */
static unsigned int send_frames(struct unic_packet **packets, unsigned int count)
{
	int64_t end = now_us() + TIMEOUT_US;
	unsigned int done = 0, first = 0;
	int n;

	while (done < count) {
		n = unic_tx_burst(port, 0, packets + done, count - done);
		CHECK(n >= 0 && n <= (int)(count - done));
		if (!done)
			first = (unsigned int)n;
		done += (unsigned int)n;
		CHECK(now_us() < end);
	}
	return first;
}

/* How many frames of the run come until nothing came for half a second. */
static uint32_t count_frames(uint8_t run)
{
	struct unic_packet *packet;
	uint32_t count = 0;

	while ((packet = take(500000))) {
		const uint8_t *frame = unic_packet_data(packet);

		if (frame_run(frame) == run && frame_is_whole(frame, packet->length))
			count++;
		unic_packet_free(packet);
	}
	return count;
}

/* In bursts of 1, 2, 3... 32, 1... */
static void send_run(uint8_t kind, uint32_t count)
{
	uint8_t run = command(FRAME_EXPECT, kind, count, WINDOW, peer_mac);
	uint32_t sequence = 0, acked = 0;
	struct unic_packet *packets[BURST];
	unsigned int size = 0, n;

	while (sequence < count) {
		size = size % BURST + 1;
		n = size < count - sequence ? size : count - sequence;
		if (sequence + n > WINDOW)
			wait_ack(run, sequence + n - WINDOW, &acked);
		make_frames(packets, n, kind, run, sequence);
		send_frames(packets, n);
		sequence += n;
	}
	wait_ack(run, count, &acked);
}

static struct unic_stats stats_now(void)
{
	struct unic_stats stats;

	CHECK_EQ(unic_stats(port, &stats), 0);
	return stats;
}

static void check_stats(void)
{
	struct unic_stats stats = stats_now();

	CHECK_EQ(stats.rx_packets, own.rx_packets);
	CHECK_EQ(stats.rx_bytes, own.rx_bytes);
	CHECK_EQ(stats.tx_packets, own.tx_packets);
	CHECK_EQ(stats.tx_bytes, own.tx_bytes);
	CHECK_EQ(stats.tx_bad_length, 0);
	CHECK_EQ(stats.rx_errors, 0);
}

/* The tests */

TEST(nic_mac)
{
	char text[18];

	start(NULL);
	CHECK(!(own_mac[0] & 1));
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", own_mac[0], own_mac[1],
		 own_mac[2], own_mac[3], own_mac[4], own_mac[5]);
	finish();
	if (!given_mac)
		SKIP("which it should be was not said; it is %s", text);
	CHECK_STR(text, given_mac);
}

TEST(nic_link_is_up)
{
	int64_t end = now_us() + TIMEOUT_US;
	struct unic_link link;

	start(NULL);
	do
		CHECK_EQ(unic_link(port, &link), 0);
	while (!link.up && now_us() < end);
	CHECK(link.up);
	/* A virtio device has the speed that it is told, and QEMU's are told none. */
	CHECK_EQ(!link.speed_mbps, !strcmp(unic_info(port)->driver, "virtio-net"));
	CHECK(link.full_duplex);
	finish();
}

/* It may come to life later than this side. */
TEST(nic_meets_peer)
{
	start(NULL);
	find_peer(3 * TIMEOUT_US);
	finish();
}

TEST(nic_receives)
{
	meet(NULL);
	receive_run(FRAMES, WINDOW);
	check_stats();
	CHECK_EQ(stats_now().rx_missed, 0);
	CHECK_EQ(stats_now().rx_no_buffer, 0);
	finish();
}

TEST(nic_sends)
{
	meet(NULL);
	send_run(FRAME_DATA, FRAMES);
	check_stats();
	finish();
}

TEST(nic_pads_short_frames)
{
	meet(NULL);
	send_run(FRAME_SHORT, 2 * (FRAME_MIN - FRAME_SHORT_MIN));
	check_stats();
	finish();
}

/* One frame at a time: each needs its own wakeup. */
TEST(nic_interrupt_wakes)
{
	meet(NULL);
	strict = true;
	receive_run(300, 1);
	finish();
}

TEST(nic_wait_times_out)
{
	int64_t begin;
	int tries, err = 0;

	meet(NULL);
	/* A link's change, or a frame of somebody else, may come in between. */
	for (tries = 0; tries < 5 && err >= 0; tries++) {
		(void)count_frames(0);
		begin = now_us();
		err = unic_wait(port, 0, 200000);
	}
	CHECK_EQ(err, -ETIMEDOUT);
	CHECK(now_us() - begin >= 200000);
	CHECK_EQ(unic_wait(port, 0, 0), -ETIMEDOUT);
	finish();
}

TEST(nic_full_ring)
{
	struct unic_packet *packets[512];
	uint32_t count, acked = 0;
	unsigned int first;
	uint8_t run;

	meet(NULL);
	count = unic_info(port)->tx_descriptors + 40;
	CHECK(count <= 512);
	run = command(FRAME_EXPECT, FRAME_DATA, count, 0, peer_mac);
	make_frames(packets, count, FRAME_DATA, run, 0);
	first = send_frames(packets, count);
	/* Unless they leave as fast as they come. */
	CHECK(first > 0 && (first <= unic_info(port)->tx_descriptors || first == count));
	wait_ack(run, count, &acked);
	finish();
}

TEST(nic_drops_what_cannot_be_sent)
{
	static const uint32_t lengths[] = { 0, UNIC_MTU + UNIC_OVERHEAD + 1, UNIC_PACKET_ROOM };
	size_t i;

	meet(NULL);
	for (i = 0; i < 3; i++) {
		struct unic_packet *packet = unic_packet_alloc(port, 0);

		CHECK(packet);
		packet->length = lengths[i];
		CHECK_EQ(unic_tx_burst(port, 0, &packet, 1), 1);
	}
	CHECK_EQ(stats_now().tx_bad_length, 3);
	send_run(FRAME_DATA, 100);
	finish();
}

TEST(nic_filters_addresses)
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 };
	uint8_t other[6];

	meet(NULL);
	memcpy(other, own_mac, sizeof(other));
	other[5] ^= 1;
	CHECK_EQ(count_frames(command(FRAME_SEND, FRAME_FLOOD, 20, 0, other)), 0);
	CHECK_EQ(count_frames(command(FRAME_SEND, FRAME_FLOOD, 20, 0, group)), 0);
	CHECK_EQ(count_frames(command(FRAME_SEND, FRAME_FLOOD, 20, 0, everybody)), 20);
	CHECK_EQ(count_frames(command(FRAME_SEND, FRAME_FLOOD, 20, 0, own_mac)), 20);
	finish();
}

/* The application keeps all packets: frames are dropped and counted, and nothing stalls. */
TEST(nic_survives_an_empty_pool)
{
	uint32_t size, count, held = 0, next = 0, i;
	struct unic_packet **packets;
	int64_t end;
	uint8_t run;
	int n;

	meet(NULL);
	size = unic_info(port)->packets;
	packets = calloc(size + BURST, sizeof(*packets));
	CHECK(packets);
	count = 2 * size;
	run = command(FRAME_SEND, FRAME_FLOOD, count, 0, own_mac);
	end = now_us() + 3000000 + 1000 * count / 16;
	while (now_us() < end && held + stats_now().rx_no_buffer < count) {
		n = unic_rx_burst(port, 0, packets + held, BURST);
		CHECK(n >= 0 && held + (unsigned int)n <= size);
		held += (unsigned int)n;
	}
	CHECK_EQ(unic_packets_free(port), 0);
	CHECK(stats_now().rx_no_buffer > 0);
	own.rx_packets += held;
	for (i = 0; i < held; i++) {
		const uint8_t *frame = unic_packet_data(packets[i]);

		own.rx_bytes += packets[i]->length;
		if (frame_kind(frame) != FRAME_FLOOD) /* the answer to a second hello, late */
			continue;
		/* The tap may have dropped some: the run has no acknowledgements. */
		CHECK_EQ(frame_run(frame), run);
		CHECK(frame_sequence(frame) >= next);
		CHECK(frame_is_whole(frame, packets[i]->length));
		next = frame_sequence(frame) + 1;
	}
	unic_packet_free_burst(packets, held);
	free(packets);
	receive_run(1000, WINDOW);
	send_run(FRAME_DATA, 1000);
	check_stats();
	finish();
}

TEST(nic_stops_and_starts)
{
	struct unic_packet *packets[1];
	int i;

	meet(NULL);
	for (i = 1; i <= 50; i++) {
		if (i % 10 == 5) /* in the midst of many frames */
			command(FRAME_SEND, FRAME_FLOOD, 100, 0, own_mac);
		CHECK_EQ(unic_stop(port), 0);
		check_pool_whole();
		CHECK_EQ(unic_rx_burst(port, 0, packets, 1), -ENETDOWN);
		CHECK_EQ(unic_tx_burst(port, 0, packets, 1), -ENETDOWN);
		CHECK_EQ(unic_stop(port), -ENETDOWN);
		CHECK_EQ(unic_start(port), 0);
		CHECK_EQ(unic_start(port), -EBUSY);
		if (i % 10)
			continue;
		send_run(FRAME_DATA, 100);
		receive_run(100, WINDOW);
	}
	finish();
}

/* Many times, with nothing lost on the way: how often is the caller's choice. */
TEST(nic_stops_and_starts_very_often)
{
	const char *given = getenv("NIC_STOPS");
	int i, count = given ? atoi(given) : 100;

	meet(NULL);
	for (i = 0; i < count; i++) {
		struct unic_packet *packet = unic_packet_alloc(port, 0);

		CHECK(packet);
		packet->length = FRAME_MIN;
		memset(unic_packet_data(packet), 0xff, FRAME_MIN);
		put(packet);
		CHECK_EQ(unic_stop(port), 0);
		check_pool_whole();
		CHECK_EQ(unic_start(port), 0);
	}
	find_peer(TIMEOUT_US);
	send_run(FRAME_DATA, 100);
	receive_run(100, WINDOW);
	finish();
}

/* As many as NIC_FRAMES says, each way, and none is lost. */
TEST(nic_long_run)
{
	const char *given = getenv("NIC_FRAMES");
	uint32_t count = given ? (uint32_t)atoi(given) : FRAMES;
	int64_t begin, turn;

	meet(NULL);
	begin = now_us();
	send_run(FRAME_DATA, count);
	turn = now_us();
	receive_run(count, WINDOW);
	printf("%u frames sent in %.1f s, received in %.1f s\n", count,
	       (double)(turn - begin) / 1e6, (double)(now_us() - turn) / 1e6);
	check_stats();
	CHECK_EQ(stats_now().rx_missed + stats_now().rx_no_buffer, 0);
	finish();
}

/* The last frames before a stop go out all the same. The acknowledgement may come too late for this
 * side; but a peer that waits for frames does nothing else. */
TEST(nic_stop_lets_frames_leave)
{
	struct unic_packet *packets[BURST];
	uint8_t run;

	meet(NULL);
	run = command(FRAME_EXPECT, FRAME_DATA, BURST, 0, peer_mac);
	make_frames(packets, BURST, FRAME_DATA, run, 0);
	CHECK_EQ(unic_tx_burst(port, 0, packets, BURST), BURST);
	CHECK_EQ(unic_stop(port), 0);
	check_pool_whole();
	CHECK_EQ(unic_start(port), 0);
	receive_run(10, 1);
	finish();
}

/* The smallest rings wrap the most. */
TEST(nic_small_rings)
{
	struct unic_config config = { .rx_descriptors = 32, .tx_descriptors = 32, .packets = 160 };

	meet(&config);
	CHECK_EQ(unic_info(port)->tx_descriptors, 32);
	receive_run(1000, 16);
	send_run(FRAME_DATA, 1000);
	check_stats();
	finish();
}

/* The largest that there are. */
TEST(nic_large_rings_without_interrupt)
{
	struct unic_config config = { .flags = UNIC_CONFIG_NO_IRQ };

	start(NULL);
	config.rx_descriptors = config.tx_descriptors = unic_info(port)->max_descriptors;
	finish();
	meet(&config);
	CHECK_EQ(unic_wait(port, 0, 0), -EINVAL);
	receive_run(1000, WINDOW);
	send_run(FRAME_DATA, config.tx_descriptors + 3000);
	check_stats();
	finish();
}

TEST(nic_promiscuous)
{
	struct unic_config config = { .flags = UNIC_CONFIG_PROMISCUOUS };
	uint8_t other[6];

	meet(&config);
	memcpy(other, own_mac, sizeof(other));
	other[5] ^= 1;
	CHECK_EQ(count_frames(command(FRAME_SEND, FRAME_FLOOD, 20, 0, other)), 20);
	finish();
}

/* The last one with a peer: it goes home. */
TEST(nic_takes_leave)
{
	meet(NULL);
	put_short(FRAME_QUIT, 0, 0, peer_mac, NULL, 0);
	finish();
}

static void unplug(void)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", address);
	file = fopen(path, "w");
	CHECK(file);
	fputs("1", file);
	CHECK_EQ(fclose(file), 0);
	exit(0);
}

/* The device goes away amid frames: each call says so, no signal comes, and closing works. */
TEST(nic_unplugged)
{
	struct unic_packet *packets[BURST];
	struct unic_link link;
	int n = 0, received = 0;
	pid_t child;

	start(NULL);
	child = fork();
	CHECK(child >= 0);
	if (!child)
		unplug();
	while (n != -ENODEV || received != -ENODEV) {
		received = unic_rx_burst(port, 0, packets, BURST);
		CHECK(received >= 0 || received == -ENODEV);
		if (received > 0)
			unic_packet_free_burst(packets, (unsigned int)received);
		packets[0] = unic_packet_alloc(port, 0);
		if (!packets[0]) {
			n = unic_tx_burst(port, 0, NULL, 0);
			continue;
		}
		packets[0]->length = FRAME_MIN;
		n = unic_tx_burst(port, 0, packets, 1);
		CHECK(n >= 0 || n == -ENODEV);
		if (n != 1)
			unic_packet_free(packets[0]);
	}
	CHECK_EQ(unic_wait(port, 0, TIMEOUT_US), -ENODEV);
	CHECK_EQ(unic_link(port, &link), -ENODEV);
	/* The removal waits until the device is closed. */
	finish();
	while (waitpid(child, NULL, 0) < 0)
		CHECK_EQ(errno, EINTR); /* the peer has ended */
	CHECK(access("/sys/bus/pci/devices", F_OK) == 0);
	CHECK_EQ(unic_open(address, NULL, &port), -ENODEV);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_interrupt };

	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: nic ADDRESS [MAC [TEST]]\n");
		return 2;
	}
	address = argv[1];
	given_mac = argc > 2 ? argv[2] : NULL;
	/* qemu/run sends it when the peer has ended: then there is nothing to wait for. */
	sigaction(SIGINT, &action, NULL);
	return harness_run(argc > 3 ? argv[3] : "");
}
