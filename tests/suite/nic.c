/* SPDX-License-Identifier: MIT */
/*
 * What every NIC driver must do, on each backend: frames of all lengths both ways, filters,
 * waiting, lifecycle, and what goes wrong on purpose. No test knows the device: what one cannot do
 * is known from unic_info().
 */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cable.h"

/* --- What is received: first, for QEMU's e1000 pauses at each change --- */

/* Whether a frame to @target gets through: one to all that is sent after it does. */
static bool reaches(struct cable *c, const uint8_t *target)
{
	static uint32_t mark;
	uint8_t frame[CABLE_MAX];
	bool seen = false;

	cable_fill(frame, target, c->other_mac, 60, ++mark);
	cable_put(c, frame, 60);
	cable_fill(frame, cable_everybody, c->other_mac, 60, ++mark);
	cable_put(c, frame, 60);
	for (;;) {
		CHECK_EQ(port_unpack(port_receive(c, 0), frame), 60);
		if (frame_get(frame + 14, 4) == mark)
			return seen;
		CHECK_EQ(frame_get(frame + 14, 4), mark - 1);
		CHECK(!seen);
		seen = true;
	}
}

/* Three groups that no device's hash takes for one another. */
static const uint8_t groups[3][6] = {
	{ 0x01, 0x00, 0x5e, 0x01, 0x02, 0x03 },
	{ 0x33, 0x33, 0x00, 0x00, 0x00, 0xfb },
	{ 0x01, 0x80, 0xc2, 0x00, 0x5a, 0x71 },
};

static void check_groups(struct cable *c, bool first, bool second, bool third)
{
	CHECK_EQ(reaches(c, groups[0]), first);
	CHECK_EQ(reaches(c, groups[1]), second);
	CHECK_EQ(reaches(c, groups[2]), third);
}

TEST_NIC(~0u, receives_what_it_should)
{
	struct cable c = cable_open(NULL);
	uint8_t stranger[6] = { 0x52, 0x54, 0x00, 0xab, 0xcd, 0xef };

	CHECK(reaches(&c, c.own_mac));
	CHECK(!reaches(&c, stranger));
	check_groups(&c, false, false, false);
	CHECK_EQ(unic_multicast_set(c.port, groups[0], 2), 0);
	check_groups(&c, true, true, false);
	CHECK_EQ(unic_multicast_set(c.port, groups[2], 1), 0);
	check_groups(&c, false, false, true);
	/* All is kept over a stop. */
	CHECK_EQ(unic_mac_set(c.port, stranger), 0);
	CHECK(!memcmp(unic_info(c.port)->mac, stranger, 6));
	CHECK_EQ(unic_stop(c.port), 0);
	CHECK_EQ(unic_start(c.port), 0);
	check_groups(&c, false, false, true);
	CHECK(reaches(&c, stranger));
	CHECK(!reaches(&c, c.own_mac));
	CHECK_EQ(unic_mac_set(c.port, c.own_mac), 0);
	CHECK_EQ(unic_multicast_set(c.port, NULL, 0), 0);
	check_groups(&c, false, false, false);
	CHECK(reaches(&c, c.own_mac));
	CHECK(!reaches(&c, stranger));
	cable_close(&c);
}

TEST_NIC(~0u, receives_all)
{
	struct unic_config config = { .flags = UNIC_CONFIG_PROMISCUOUS };
	uint8_t stranger[6] = { 0x52, 0x54, 0x00, 0xab, 0xcd, 0xef };
	struct cable c = cable_open(&config);

	CHECK(reaches(&c, stranger));
	CHECK(reaches(&c, groups[1]));
	CHECK_EQ(unic_receive_mode(c.port, UNIC_RECEIVE_ALL_MULTICAST), 0);
	check_groups(&c, true, true, true);
	CHECK(!reaches(&c, stranger));
	CHECK_EQ(unic_receive_mode(c.port, 0), 0);
	CHECK(!reaches(&c, groups[1]));
	CHECK(!reaches(&c, stranger));
	CHECK_EQ(unic_receive_mode(c.port, UNIC_RECEIVE_ALL), 0);
	CHECK(reaches(&c, stranger));
	cable_close(&c);
}

TEST_NIC(~0u, filters_are_checked)
{
	static const uint8_t zero[6], many[65 * 6] = { 1 };
	const uint8_t mixed[12] = { 1, 0, 0x5e, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 1 };
	struct unic_port *port;
	uint8_t mac[6];

	CHECK_EQ(cable_try(suite_address(suite_model()), NULL, &port), 0);
	memcpy(mac, unic_info(port)->mac, 6);
	CHECK_EQ(unic_receive_mode(port, 4), -EINVAL);
	CHECK_EQ(unic_mac_set(port, cable_everybody), -EINVAL);
	CHECK_EQ(unic_mac_set(port, groups[0]), -EINVAL);
	CHECK_EQ(unic_mac_set(port, zero), -EINVAL);
	CHECK(!memcmp(unic_info(port)->mac, mac, 6));
	CHECK_EQ(unic_multicast_set(port, many, 65), -ENOSPC);
	CHECK_EQ(unic_multicast_set(port, mixed, 2), -EINVAL);
	unic_close(port);
}

/* --- Link --- */

static void until_link(struct cable *c, bool up)
{
	struct unic_link link;
	int err;

	for (;;) {
		CHECK_EQ(unic_link(c->port, &link), 0);
		if (link.up == up)
			return;
		err = unic_wait(c->port, 0, PATIENCE);
		CHECK(!err || err == UNIC_WAIT_LINK);
	}
}

TEST_NIC(~0u, link_and_mac)
{
	static const uint8_t qemu_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
	struct cable c = cable_open(NULL);
	struct unic_link link;

	CHECK(!memcmp(c.own_mac, qemu_mac, suite_backend() == QEMU ? 6 : 5));
	until_link(&c, true);
	CHECK_EQ(unic_link(c.port, &link), 0);
	/* A virtio device has the speed that it is told, and QEMU's are told none. */
	if (strcmp(unic_info(c.port)->driver, "virtio-net")) {
		CHECK(link.full_duplex);
		CHECK(link.speed_mbps >= 100);
	}
	cable_close(&c);
}

/* QEMU's monitor, at a socket that is no file. */
static void monitor_name(char *name, size_t size)
{
	snprintf(name, size, "userpci-suite-%d", getpid());
}

static int monitor_open(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size;

	monitor_name(address.sun_path + 1, sizeof(address.sun_path) - 1);
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   strlen(address.sun_path + 1));
	CHECK_EQ(connect(fd, (struct sockaddr *)&address, size), 0);
	return fd;
}

/* Sends a command, and waits for what it returns. */
static void monitor_say(int fd, const char *command)
{
	char said[4096];
	ssize_t n, got = 0;

	CHECK_EQ(write(fd, command, strlen(command)), (ssize_t)strlen(command));
	do {
		n = read(fd, said + got, sizeof(said) - 1 - (size_t)got);
		CHECK(n > 0);
		got += n;
		said[got] = 0;
		if (strstr(said, "\"error\""))
			HARNESS_FAIL("%s: %s", command, said);
	} while (!strstr(said, "\"return\""));
}

/* The cable is pulled, and plugged in again: each wakes unic_wait(). */
TEST_NIC(QEMU, link_wakes)
{
	char name[64], arguments[200];
	struct unic_link link;
	struct cable c;
	int fd, i;

	monitor_name(name, sizeof(name));
	snprintf(arguments, sizeof(arguments),
		 "-chardev socket,id=qmp,path=%s,abstract=on,server=on,wait=off "
		 "-mon chardev=qmp,mode=control",
		 name);
	CHECK_EQ(setenv("USERPCI_QEMU_ARGS", arguments, 1), 0);
	c = cable_open(NULL);
	fd = monitor_open();
	monitor_say(fd, "{\"execute\":\"qmp_capabilities\"}\n");
	for (i = 0; i < 3; i++) {
		monitor_say(fd, "{\"execute\":\"set_link\","
				"\"arguments\":{\"name\":\"wire\",\"up\":false}}\n");
		until_link(&c, false);
		CHECK_EQ(unic_link(c.port, &link), 0);
		CHECK_EQ(link.speed_mbps, 0);
		monitor_say(fd, "{\"execute\":\"set_link\","
				"\"arguments\":{\"name\":\"wire\",\"up\":true}}\n");
		until_link(&c, true);
	}
	cable_settle(&c);
	close(fd);
	cable_close(&c);
}

/* --- Frames --- */

TEST_NIC(~0u, all_lengths)
{
	struct cable c = cable_open(NULL);
	struct unic_stats stats;

	cable_transfer(&c, true, CABLE_FRAMES);
	cable_transfer(&c, false, CABLE_FRAMES);
	stats = port_stats(&c);
	CHECK_EQ(stats.rx_packets, CABLE_FRAMES);
	CHECK_EQ(stats.tx_packets, CABLE_FRAMES);
	CHECK_EQ(stats.rx_bytes, stats.tx_bytes);
	CHECK_EQ(stats.rx_errors + stats.rx_missed + stats.rx_no_buffer, 0);
	CHECK_EQ(stats.tx_bad_length + stats.tx_bad_packet + stats.tx_bad_offload, 0);
	cable_close(&c);
}

/* From the port in pieces, to it in one: each must come out as it went in. */
static void both_ways(struct cable *c, uint32_t length, uint32_t piece)
{
	uint8_t frame[CABLE_MAX], want[CABLE_MAX];

	cable_fill(want, c->other_mac, c->own_mac, length, length + piece);
	port_send(c, port_packet(c, want, length, piece));
	CHECK_EQ(cable_take(c, frame), length);
	CHECK(!memcmp(frame, want, length));
	cable_fill(want, c->own_mac, c->other_mac, length, length - piece);
	cable_put(c, want, length);
	CHECK_EQ(port_unpack(port_receive(c, 0), frame), length);
	CHECK(!memcmp(frame, want, length));
}

TEST_NIC(~0u, long_frames_and_chains)
{
	static const uint32_t lengths[] = { 60,	  61,	1514, 1518, 1519, 2044, 2047, 2048,
					    2049, 4095, 4096, 4097, 6144, 9000, 9014, 9018 };
	static const uint32_t pieces[] = { 2048, 1000, 301 };
	struct unic_config config = { .mtu = 9000 };
	uint32_t i, max, count = 0;
	struct unic_port *port;
	struct cable c;

	CHECK_EQ(cable_try(suite_address(suite_model()), NULL, &port), 0);
	max = unic_info(port)->max_mtu;
	unic_close(port);
	CHECK(max >= UNIC_MTU);
	config.mtu = max + 1;
	CHECK_EQ(cable_try(suite_address(suite_model()), &config, &port), -EINVAL);
	config.mtu = max < 9000 ? max : 9000;
	c = cable_open(&config);
	CHECK_EQ(unic_info(c.port)->mtu, config.mtu);
	for (i = 0; i < 3 * sizeof(lengths) / sizeof(lengths[0]); i++)
		if (lengths[i / 3] <= config.mtu + UNIC_OVERHEAD) {
			both_ways(&c, lengths[i / 3], pieces[i % 3]);
			count++;
		}
	/* Pieces of a byte, of which the headers are among the first. */
	both_ways(&c, 60, 1);
	CHECK_EQ(port_stats(&c).tx_packets, count + 1);
	cable_close(&c);
}

/* A neighbour with another MTU does no harm. */
TEST_NIC(~0u, drops_what_is_longer_than_the_mtu)
{
	struct unic_config jumbo = { .mtu = 9000, .flags = UNIC_CONFIG_PROMISCUOUS };
	struct cable c = cable_open(NULL);
	uint8_t frame[CABLE_MAX];
	uint32_t length;

	if (c.other) {
		if (jumbo.mtu > unic_info(c.other)->max_mtu)
			jumbo.mtu = unic_info(c.other)->max_mtu;
		unic_close(c.other);
		CHECK_EQ(unic_open(suite_second(suite_model()), &jumbo, &c.other), 0);
		CHECK_EQ(unic_start(c.other), 0);
	}
	for (length = 1523; length <= jumbo.mtu; length += 1000) {
		cable_fill(frame, c.own_mac, c.other_mac, length, length);
		cable_put(&c, frame, length);
	}
	cable_fill(frame, c.own_mac, c.other_mac, 1514, 1);
	cable_put(&c, frame, 1514);
	CHECK_EQ(port_unpack(port_receive(&c, 0), frame), 1514);
	CHECK_EQ(port_stats(&c).rx_packets, 1);
	cable_close(&c);
}

TEST_NIC(~0u, pads)
{
	struct cable c = cable_open(NULL);
	uint8_t frame[CABLE_MAX], want[60];
	struct unic_packet *packet;
	uint32_t length;

	for (length = 1; length < 60; length += length < 13 ? 12 : 1) {
		memset(want, 0, sizeof(want));
		cable_fill(frame, c.other_mac, c.own_mac, 60, length);
		memcpy(want, frame, length);
		packet = port_packet(&c, frame, 60, 0);
		packet->length = length;
		port_send(&c, packet);
		/* One byte is no frame for the other side: it need not take it. */
		if (length < 14)
			continue;
		do
			CHECK_EQ(cable_take(&c, frame), 60);
		while (length == 14 && memcmp(frame, want, 60));
		CHECK(!memcmp(frame, want, 60));
	}
	cable_close(&c);
}

/* --- Waiting --- */

/* One frame at a time: each must wake the sleeper. */
TEST_NIC(~0u, frames_wake)
{
	struct cable c = cable_open(NULL);
	struct unic_packet *packet;
	uint8_t frame[60];
	uint32_t i;
	int n, err = 0;

	for (i = 0; i < 100; i++) {
		cable_fill(frame, c.own_mac, c.other_mac, 60, i);
		cable_put(&c, frame, 60);
		while (!(n = unic_rx_burst(c.port, 0, &packet, 1))) {
			err = unic_wait(c.port, 0, PATIENCE);
			CHECK(!err || err == UNIC_WAIT_LINK);
		}
		CHECK_EQ(n, 1);
		CHECK_EQ(frame_get(unic_packet_data(packet) + 14, 4), i);
		unic_packet_free(packet);
	}
	/* What woke for nothing is over now. */
	for (i = 0; i < 10 && err != -ETIMEDOUT; i++)
		err = unic_wait(c.port, 0, SHORT);
	CHECK_EQ(err, -ETIMEDOUT);
	CHECK_EQ(unic_wait(c.port, 1, 0), -EINVAL);
	cable_close(&c);
}

/* The same in a loop of the application's own. */
static void sleep_in_poll(struct cable *c)
{
	struct pollfd fd = { .events = POLLIN };
	int err;

	fd.fd = unic_wait_begin(c->port, 0);
	CHECK(fd.fd >= 0);
	if (!unic_wait_pending(c->port, 0))
		CHECK_EQ(poll(&fd, 1, PATIENCE / 1000), 1);
	err = unic_wait_end(c->port, 0);
	CHECK(!err || err == UNIC_WAIT_LINK);
}

TEST_NIC(~0u, frames_wake_poll)
{
	struct cable c = cable_open(NULL);
	struct unic_packet *packet;
	uint8_t frame[60];
	uint32_t i;

	for (i = 0; i < 50; i++) {
		cable_fill(frame, c.own_mac, c.other_mac, 60, i);
		cable_put(&c, frame, 60);
		while (!unic_rx_burst(c.port, 0, &packet, 1))
			sleep_in_poll(&c);
		CHECK_EQ(frame_get(unic_packet_data(packet) + 14, 4), i);
		unic_packet_free(packet);
	}
	CHECK_EQ(unic_wait_pending(c.port, 0), 0);
	CHECK_EQ(unic_wait_pending(c.port, 1), 0);
	CHECK_EQ(unic_wait_begin(c.port, 1), -EINVAL);
	CHECK_EQ(unic_stop(c.port), 0);
	CHECK_EQ(unic_wait_begin(c.port, 0), -ENETDOWN);
	CHECK_EQ(unic_wait_end(c.port, 0), -ENETDOWN);
	CHECK_EQ(unic_wait_pending(c.port, 0), 0);
	cable_close(&c);
}

TEST_NIC(~0u, polled)
{
	struct unic_config config = { .flags = UNIC_CONFIG_NO_IRQ };
	struct cable c = cable_open(&config);

	CHECK_EQ(unic_wait(c.port, 0, 0), -EINVAL);
	cable_transfer(&c, true, 200);
	cable_transfer(&c, false, 200);
	CHECK_EQ(unic_wait(c.port, 0, 0), -EINVAL);
	cable_close(&c);
}

/* --- Lifecycle --- */

TEST_NIC(~0u, stops_and_starts)
{
	struct unic_packet *packets[4];
	struct cable c = cable_open(NULL);
	uint8_t frame[CABLE_MAX];
	unsigned int i, n;

	for (i = 0; i < 20; i++) {
		/* In the midst of frames. */
		cable_fill(frame, c.own_mac, c.other_mac, 1000, i);
		for (n = 0; n < 4; n++)
			cable_try_put(&c, frame, 1000);
		cable_fill(frame, c.other_mac, c.own_mac, 1000, i);
		for (n = 0; n < 4; n++)
			port_send(&c, port_packet(&c, frame, 1000, n * 100));
		CHECK_EQ(unic_stop(c.port), 0);
		CHECK_EQ(unic_packets_free(c.port), unic_info(c.port)->packets);
		CHECK_EQ(unic_rx_burst(c.port, 0, packets, 4), -ENETDOWN);
		CHECK_EQ(unic_tx_burst(c.port, 0, packets, 1), -ENETDOWN);
		CHECK_EQ(unic_wait(c.port, 0, 0), -ENETDOWN);
		CHECK_EQ(unic_stop(c.port), -ENETDOWN);
		CHECK_EQ(unic_start(c.port), 0);
		CHECK_EQ(unic_start(c.port), -EBUSY);
	}
	until_link(&c, true);
	cable_settle(&c);
	cable_transfer(&c, true, 100);
	cable_transfer(&c, false, 100);
	CHECK_EQ(port_stats(&c).tx_packets, 20 * 4 + 1 + 100);
	cable_close(&c);
}

static void own_and_send(const char *model)
{
	uint8_t frame[60];
	struct cable c = { .wire = -1 };

	CHECK_EQ(cable_try(suite_address(model), NULL, &c.port), 0);
	CHECK_EQ(unic_start(c.port), 0);
	cable_fill(frame, cable_everybody, cable_everybody, 60, 0);
	port_send(&c, port_packet(&c, frame, 60, 0));
}

TEST_NIC(~0u, killed_owner)
{
	struct cable c;

	kill_while(own_and_send, suite_model());
	if (suite_backend() == UIO)
		pause_us(SHORT);
	c = cable_open(NULL);
	cable_settle(&c);
	cable_transfer(&c, false, 100);
	cable_close(&c);
}

/* --- Packets --- */

/* The application keeps them all: frames are dropped and counted, and nothing stalls. */
TEST_NIC(~0u, survives_an_empty_pool)
{
	struct unic_config config = {
		.rx_descriptors = 64,
		.tx_descriptors = 64,
		.packets = 160,
	};
	struct unic_packet *held[160 + CABLE_BURST];
	struct cable c = cable_open(&config);
	unsigned int count = 0, dropped = 0;
	struct unic_stats stats;
	uint8_t frame[200];
	int n;

	cable_fill(frame, c.own_mac, c.other_mac, 200, 1);
	while (dropped < 300 || unic_packets_free(c.port)) {
		(void)cable_try_put(&c, frame, 200);
		n = unic_rx_burst(c.port, 0, held + count, CABLE_BURST);
		CHECK(n >= 0 && count + (unsigned int)n <= 160);
		count += (unsigned int)n;
		if (!n)
			cable_wait(&c, false);
		else
			c.idle = 0;
		stats = port_stats(&c);
		if (stats.rx_no_buffer + stats.rx_missed > dropped)
			c.idle = 0;
		dropped = (unsigned int)(stats.rx_no_buffer + stats.rx_missed);
	}
	CHECK(!unic_packet_alloc(c.port, 0));
	CHECK_EQ(count, c.at_rest);
	CHECK_EQ(stats.rx_packets, count);
	while (count)
		CHECK_EQ(port_unpack(held[--count], frame), 200);
	cable_settle(&c);
	cable_transfer(&c, true, 200);
	cable_transfer(&c, false, 200);
	cable_close(&c);
}

/* A packet with a pool that is of no depot of the port's. */
struct foreign {
	struct unic_pool pool;
	struct unic_packet *room[2];
	union {
		struct unic_packet packet;
		uint8_t bytes[UNIC_PACKET_SIZE];
	};
};

static void send_foreign(struct cable *c)
{
	struct foreign *foreign = aligned_alloc(64, (sizeof(*foreign) + 63) & ~(size_t)63);
	struct unic_packet *packet = &foreign->packet;

	memset(foreign, 0, sizeof(*foreign));
	packet->pool = &foreign->pool;
	packet->length = 60;
	port_send(c, packet);
	CHECK_EQ(foreign->pool.free_count, 1);
	CHECK(foreign->room[0] == packet);
	CHECK_EQ(port_stats(c).tx_bad_packet, 1);
	free(foreign);
}

static void send_bad_length(struct cable *c, uint32_t length, uint32_t piece, uint64_t count)
{
	uint8_t frame[CABLE_MAX];
	struct unic_packet *packet;

	cable_fill(frame, c->other_mac, c->own_mac, length + 60, count);
	packet = port_packet(c, frame, length ? length : 60, piece);
	if (!length)
		packet->length = 0;
	port_send(c, packet);
	CHECK_EQ(port_stats(c).tx_bad_length, count);
}

TEST_NIC(~0u, drops_what_cannot_be_sent)
{
	struct cable c = cable_open(NULL);
	uint8_t frame[CABLE_MAX];
	struct unic_packet *packet;

	send_bad_length(&c, 0, 0, 1);
	send_bad_length(&c, UNIC_MTU + UNIC_OVERHEAD + 1, 0, 2);
	send_bad_length(&c, UNIC_MTU + UNIC_OVERHEAD + 1, 100, 3);
	send_bad_length(&c, UNIC_PACKET_ROOM, 0, 4);
	send_bad_length(&c, 4000, 0, 5);
	send_bad_length(&c, 65, 1, 6); /* more packets than any chain may have */
	packet = port_packet(&c, frame, 60, 0);
	packet->length = UNIC_PACKET_ROOM + 1;
	port_send(&c, packet);
	CHECK_EQ(port_stats(&c).tx_bad_length, 7);
	send_foreign(&c);
	CHECK_EQ(port_stats(&c).tx_packets, 0);
	CHECK_EQ(port_stats(&c).tx_bad_offload, 0);
	/* The first frame that leaves is one that may. */
	cable_transfer(&c, false, 100);
	cable_close(&c);
}

/* --- Packets of two queues, and of two ports --- */

/* From the thread that receives to the one that sends. */
struct lane {
	struct unic_port *from, *to;
	unsigned int from_queue, to_queue;
	struct unic_packet *packets[1024];
	uint32_t put, taken; /* each written by one thread */
	uint32_t wanted;     /* frames to receive */
	bool done;
	int err;
};

static void *receiver(void *argument)
{
	struct unic_packet *packets[CABLE_BURST];
	struct lane *lane = argument;
	uint32_t received = 0, put = 0;
	int n, i;

	while (received < lane->wanted && !__atomic_load_n(&lane->done, __ATOMIC_ACQUIRE)) {
		n = unic_rx_burst(lane->from, lane->from_queue, packets, CABLE_BURST);
		if (n < 0) {
			lane->err = n;
			break;
		}
		if (!n)
			pause_us(50);
		for (i = 0; i < n; i++)
			lane->packets[put++ % 1024] = packets[i];
		__atomic_store_n(&lane->put, put, __ATOMIC_RELEASE);
		received += (uint32_t)n;
	}
	__atomic_store_n(&lane->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Sends what was received, as it is. */
static void *sender(void *argument)
{
	struct lane *lane = argument;
	bool done;
	int n;

	for (;;) {
		done = __atomic_load_n(&lane->done, __ATOMIC_ACQUIRE);
		if (lane->taken == __atomic_load_n(&lane->put, __ATOMIC_ACQUIRE)) {
			if (done)
				return NULL;
			(void)unic_tx_burst(lane->to, lane->to_queue, NULL, 0);
			pause_us(50);
			continue;
		}
		n = unic_tx_burst(lane->to, lane->to_queue, &lane->packets[lane->taken % 1024], 1);
		lane->taken += n > 0;
		if (n < 0) {
			unic_packet_free(lane->packets[lane->taken++ % 1024]);
			lane->err = n;
		}
	}
}

static void lane_start(struct lane *lane, pthread_t threads[2])
{
	CHECK_EQ(pthread_create(&threads[0], NULL, receiver, lane), 0);
	CHECK_EQ(pthread_create(&threads[1], NULL, sender, lane), 0);
}

static void lane_end(const struct lane *lane, pthread_t threads[2])
{
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	CHECK_EQ(lane->err, 0);
	CHECK_EQ(lane->taken, lane->put);
	CHECK(lane->taken >= lane->wanted);
}

#define CIRCLING 3000 /* frames: the pools' exchange is needed many times */

/* One queue receives, the other sends the same packets, each in a thread of its own. */
TEST_NIC(~0u, queues_exchange_packets)
{
	struct unic_config config = { .queues = 2, .flags = UNIC_CONFIG_NO_IRQ };
	struct lane lane = { .to_queue = 1, .wanted = CIRCLING };
	uint8_t frame[CABLE_MAX];
	uint32_t sent = 0, came = 0;
	struct unic_port *port;
	pthread_t threads[2];
	struct cable c;

	CHECK_EQ(cable_try(suite_address(suite_model()), NULL, &port), 0);
	lane.wanted = unic_info(port)->max_queues > 1 ? CIRCLING : 0;
	unic_close(port);
	/* Linux sends flows to the queue that they were heard on, not to the first one. */
	if (suite_tap(suite_model()))
		return;
	if (!lane.wanted) {
		CHECK_EQ(cable_try(suite_address(suite_model()), &config, &port), -EINVAL);
		return;
	}
	c = cable_open(&config);
	lane.from = lane.to = c.port;
	lane_start(&lane, threads);
	cable_fill(frame, c.own_mac, c.other_mac, 60, 0);
	/* What the port sends to itself, the other end has. */
	while (came < CIRCLING) {
		while (sent < CIRCLING && sent - came < CABLE_WINDOW &&
		       cable_try_put(&c, frame, 60))
			sent++;
		if (!cable_try_take(&c, frame)) {
			cable_wait(&c, false);
			continue;
		}
		CHECK_EQ(frame_get(frame + 14, 4), 0);
		came++;
		c.idle = 0;
	}
	lane_end(&lane, threads);
	CHECK_EQ(port_stats(&c).tx_packets, CIRCLING);
	cable_close(&c);
}

/* What a second port says that is to share the first one's packets. */
static int share_with(struct unic_port *first, struct unic_port **second)
{
	struct unic_config config = { .share = first, .first_pool = 1 };
	bool qemu = suite_backend() == QEMU;

	return cable_try(qemu ? suite_address(suite_model()) : suite_second(suite_model()), &config,
			 second);
}

/* Each private QEMU has memory of its own, and UIO cannot give a device another's. */
TEST_NIC(QEMU | UIO, ports_cannot_share)
{
	struct unic_port *first, *second;
	uint32_t before;

	CHECK_EQ(cable_try(suite_address(suite_model()), NULL, &first), 0);
	before = unic_packets_free(first);
	CHECK_EQ(share_with(first, &second), -EXDEV);
	CHECK_EQ(unic_packets_free(first), before);
	unic_close(first);
}

static void await_link(struct unic_port *port)
{
	struct cable c = { .port = port };

	until_link(&c, true);
}

/* The second port sends what the first has received: to the first, round and round. */
TEST_NIC(STUB | VFIO, ports_share_packets)
{
	struct lane lane = { .wanted = CIRCLING };
	struct cable second = { .wire = -1 };
	struct unic_port *first;
	pthread_t threads[2];
	uint8_t frame[60];
	int i;

	CHECK_EQ(cable_try(suite_address(suite_model()), NULL, &first), 0);
	CHECK_EQ(share_with(first, &second.port), 0);
	CHECK(unic_shares(first, second.port));
	CHECK_EQ(unic_info(second.port)->packets, unic_info(first)->packets);
	CHECK_EQ(unic_start(first), 0);
	CHECK_EQ(unic_start(second.port), 0);
	await_link(first);
	await_link(second.port);
	cable_fill(frame, unic_info(first)->mac, unic_info(second.port)->mac, 60, 0);
	for (i = 0; i < CABLE_WINDOW; i++)
		port_send(&second, port_packet(&second, frame, 60, 0));
	lane.from = first;
	lane.to = second.port;
	lane_start(&lane, threads);
	lane_end(&lane, threads);
	CHECK_EQ(unic_stop(first), 0);
	CHECK_EQ(unic_stop(second.port), 0);
	CHECK_EQ(unic_packets_free(first), unic_info(first)->packets);
	/* The memory outlives the port that it was made for. */
	unic_close(first);
	CHECK_EQ(unic_start(second.port), 0);
	port_send(&second, port_packet(&second, frame, 60, 0));
	CHECK_EQ(unic_stop(second.port), 0);
	CHECK_EQ(unic_packets_free(second.port), unic_info(second.port)->packets);
	unic_close(second.port);
}

/* --- Faults: doc/trace.md --- */

static int use(struct unic_port *port)
{
	struct unic_packet *packets[8];
	struct cable c = { .port = port };
	struct unic_link link;
	uint8_t frame[60];
	int err, n;

	err = unic_start(port);
	if (err)
		return err;
	cable_fill(frame, cable_everybody, cable_everybody, 60, 0);
	packets[0] = port_packet(&c, frame, 60, 0);
	if (unic_tx_burst(port, 0, packets, 1) != 1)
		unic_packet_free(packets[0]);
	n = unic_rx_burst(port, 0, packets, 8);
	CHECK(n >= 0 && n <= 8);
	unic_packet_free_burst(packets, (unsigned int)n);
	err = unic_wait(port, 0, 1000);
	CHECK(err >= 0 || err == -ETIMEDOUT || err == -ENODEV);
	CHECK(port_stats(&c).rx_errors < 1000000 && port_stats(&c).rx_missed < 1000000);
	return unic_link(port, &link);
}

/* A driver's life with faults: the error it ended with. */
static int live(const char *faults)
{
	struct unic_port *port;
	int err;

	CHECK_EQ(setenv("USERPCI_FAULT", faults, 1), 0);
	err = cable_try(suite_address(suite_model()), NULL, &port);
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
		if (err != -ENODEV && (err || n < 30))
			HARNESS_FAIL("%s: %d", faults, err);
	}
	CHECK_EQ(live("gone-after=1000000"), 0);
}

TEST_NIC(~0u, vanishes_while_it_is_probed)
{
	vanish(1, 34, suite_backend() == QEMU ? 11 : 1);
}

TEST_NIC(~0u, vanishes_while_it_starts)
{
	vanish(35, 500, suite_backend() == QEMU ? 155 : 13);
}

/* Frames both ways, until there is no device any more. */
static void until_gone(struct cable *c)
{
	struct unic_packet *packets[CABLE_BURST];
	uint8_t frame[60], came[CABLE_MAX];
	int n = 0, tx = 0;

	cable_fill(frame, c->own_mac, c->other_mac, 60, 0);
	while (n >= 0 || tx >= 0) {
		(void)cable_try_put(c, frame, 60);
		(void)cable_try_take(c, came);
		n = unic_rx_burst(c->port, 0, packets, CABLE_BURST);
		CHECK(n >= 0 || n == -ENODEV);
		if (n > 0)
			unic_packet_free_burst(packets, (unsigned int)n);
		packets[0] = unic_packet_alloc(c->port, 0);
		if (!packets[0]) {
			tx = unic_tx_burst(c->port, 0, NULL, 0);
			continue;
		}
		packets[0]->length = 60;
		tx = unic_tx_burst(c->port, 0, packets, 1);
		CHECK(tx >= 0 || tx == -ENODEV);
		if (tx != 1)
			unic_packet_free(packets[0]);
	}
}

/* No signal, no stall: each call says that there is no device. */
TEST_NIC(~0u, vanishes_under_load)
{
	struct userpci_faults faults = { 0 };
	struct unic_link link;
	struct cable c;
	unsigned int n;

	/* To count register accesses from the start. */
	CHECK_EQ(setenv("USERPCI_FAULT", "gone-after=1000000", 1), 0);
	for (n = 0; n < (suite_backend() == QEMU ? 1 : 3); n++) {
		c = cable_open(NULL);
		faults.gone_after = 50 + n;
		CHECK_EQ(userpci_fault_set(c.port->device, &faults), 0);
		until_gone(&c);
		CHECK_EQ(unic_wait(c.port, 0, PATIENCE), -ENODEV);
		CHECK_EQ(unic_link(c.port, &link), -ENODEV);
		cable_close(&c);
	}
	if (suite_backend() == QEMU)
		return;
	/* And it was never gone. */
	CHECK_EQ(unsetenv("USERPCI_FAULT"), 0);
	c = cable_open(NULL);
	cable_settle(&c);
	cable_close(&c);
}

/* One fails as the packets, or the rings, are allocated; none is forgotten. */
TEST_NIC(~0u, no_memory)
{
	unsigned int before = count_fds();

	CHECK_EQ(live("fail-alloc=1"), -ENOMEM);
	CHECK_EQ(live("fail-alloc=2"), -ENOMEM);
	CHECK_EQ(live("fail-alloc=3"), -ENOMEM);
	CHECK_EQ(live("fail-alloc=100"), 0);
	CHECK_EQ(count_fds(), before);
}

TEST_NIC(~0u, interrupts_lost_and_spurious)
{
	CHECK_EQ(live("spurious-irq=1,lose-irq=1"), 0);
	CHECK_EQ(live("spurious-irq=7,lose-irq=2,delay-dma=500"), 0);
}

/* Frames leave although the device hears of them late, and their packets come back. */
static void until_at_rest(struct cable *c)
{
	while (unic_packets_free(c->port) != c->at_rest) {
		cable_wait(c, false);
		unic_tx_burst(c->port, 0, NULL, 0);
	}
	c->idle = 0;
}

TEST_NIC(~0u, late_completion)
{
	uint8_t frame[60];
	struct cable c;
	bool copies;

	CHECK_EQ(setenv("USERPCI_FAULT", "delay-dma=3000", 1), 0);
	c = cable_open(NULL);
	until_at_rest(&c);
	cable_fill(frame, cable_everybody, cable_everybody, 60, 0);
	port_send(&c, port_packet(&c, frame, 60, 0));
	/* A driver that copies holds no packet. */
	copies = c.at_rest == unic_info(c.port)->packets;
	CHECK_EQ(unic_packets_free(c.port), copies ? c.at_rest : c.at_rest - 1);
	until_at_rest(&c);
	CHECK_EQ(port_stats(&c).tx_packets, 1);
	cable_close(&c);
}

/* Frames both ways while interrupts are lost and others come for nothing. */
TEST_NIC(~0u, many_lengths_with_faults)
{
	struct cable c;

	CHECK_EQ(setenv("USERPCI_FAULT", "spurious-irq=7,lose-irq=2,delay-dma=200", 1), 0);
	c = cable_open(NULL);
	cable_transfer(&c, true, CABLE_FRAMES / 3);
	cable_transfer(&c, false, CABLE_FRAMES / 3);
	cable_close(&c);
}
