/* SPDX-License-Identifier: MIT */
/*
 * An application and a device that the input plays, with the NIC layer and a driver between them.
 *
 * The program's name says which device it is; under any other it lists them. Whatever the device
 * does, of each packet it is known who has it, bursts keep to what <unic/unic.h> says of them, and
 * unic_close() gives back all.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"

#define STEPS_MAX   400
#define PACKETS_MAX 4096 /* in a depot; of larger ones nothing is learnt */
#define HELD_MAX    256	 /* frames that the application has */
#define BURST_MAX   64
#define FOREIGN	    4	 /* packets of another depot */
#define IDLE	    1100 /* bursts without a frame, after which the layer looks for the device */

static const struct fuzz_target *const targets[] = {
	&fuzz_e1000,   &fuzz_e1000e,	   &fuzz_igb,
	&fuzz_rtl8139, &fuzz_virtio_split, &fuzz_virtio_packed,
};

static const struct fuzz_target *target;

/* What the application knows. */
static struct app {
	struct unic_port *port;
	struct unic_packet *all[PACKETS_MAX];
	uint32_t count;
	bool has[PACKETS_MAX]; /* by packet->user: it is the application's */
	uint32_t seen[PACKETS_MAX];
	uint32_t round, had; /* packets that it has */
	struct unic_packet *held[HELD_MAX];
	uint32_t held_count;
	uint64_t rx_packets, rx_bytes, tx_packets;
} app;

/* Packets of a depot that is none. */
static struct foreign {
	struct unic_pool *pool;
	struct unic_packet *packets[FOREIGN];
	uint32_t had; /* by the application */
} foreign;

void fuzz_report(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
}

/* --- Who has which packet --- */

FUZZ_NO_NEWS static bool is_foreign(const struct unic_packet *packet)
{
	return packet->pool == foreign.pool;
}

FUZZ_NO_NEWS static uint32_t number_of(const struct unic_packet *packet)
{
	FUZZ_CHECK(packet->user < app.count && app.all[packet->user] == packet);
	return (uint32_t)packet->user;
}

FUZZ_NO_NEWS bool fuzz_is_buffer(uint64_t iova, uint64_t size)
{
	uint64_t start, offset;
	uint8_t *memory = fuzz_memory_of(iova, &start);
	struct unic_packet *packet;

	if (!memory)
		return false;
	/* Packets follow each other from the start of their memory on. */
	offset = (iova - start) % UNIC_PACKET_SIZE;
	packet = (void *)(memory + (iova - start - offset));
	if (!fuzz_memory(iova - offset, UNIC_PACKET_SIZE) || packet->user >= app.count ||
	    app.all[packet->user] != packet)
		return false;
	return offset >= UNIC_PACKET_HEADER && size <= UNIC_PACKET_SIZE - offset;
}

static void give_one(struct unic_packet *packet)
{
	uint32_t number;

	if (is_foreign(packet)) {
		foreign.had--;
		return;
	}
	number = number_of(packet);
	FUZZ_CHECK(app.has[number]);
	app.has[number] = false;
	app.had--;
}

static void take_one(struct unic_packet *packet)
{
	uint32_t number;

	if (is_foreign(packet)) {
		foreign.had++;
		return;
	}
	number = number_of(packet);
	FUZZ_CHECK(!app.has[number]);
	app.has[number] = true;
	app.had++;
}

/* Applies to all packets of a frame. */
static void each(struct unic_packet *packet, void (*what)(struct unic_packet *))
{
	for (;; packet = packet->next) {
		what(packet);
		if (!(packet->flags & UNIC_PACKET_CHAINED))
			return;
	}
}

static void hold(struct unic_packet *packet)
{
	FUZZ_CHECK(app.held_count < HELD_MAX);
	app.held[app.held_count++] = packet;
}

static struct unic_packet *unhold(uint32_t which)
{
	struct unic_packet **at = &app.held[which % app.held_count], *packet = *at;

	*at = app.held[--app.held_count];
	return packet;
}

static void free_frame(struct unic_packet *packet)
{
	each(packet, give_one);
	unic_packet_free(packet);
}

static void free_held(uint32_t count)
{
	while (count-- && app.held_count)
		free_frame(unhold(app.held_count - 1));
}

/* No packet is in two pools, or in one and the application's; none is lost. */
FUZZ_NO_NEWS static void check_places(void)
{
	const struct unic_port *port = app.port;
	const struct unic_pool *pool;
	uint32_t q, i, number, known;

	if (!port)
		return;
	app.round++;
	for (q = 0; q < port->queue_count; q++) {
		pool = port->queues[q]->pool;
		FUZZ_CHECK(pool->free_count <= app.count);
		for (i = 0; i < pool->free_count; i++) {
			number = number_of(pool->free[i]);
			FUZZ_CHECK(!app.has[number]);
			FUZZ_CHECK(app.seen[number] != app.round);
			FUZZ_CHECK(pool->free[i]->pool == pool);
			app.seen[number] = app.round;
		}
	}
	known = unic_packets_free(port) + app.had;
	FUZZ_CHECK(port->started ? known <= app.count : known == app.count);
	FUZZ_CHECK(foreign.pool->free_count + foreign.had == FOREIGN);
	for (i = 0; i < foreign.pool->free_count; i++)
		FUZZ_CHECK(is_foreign(foreign.pool->free[i]));
}

FUZZ_NO_NEWS static void check_counters(void)
{
	const struct unic_port *port = app.port;
	const struct unic_stats *stats;
	uint64_t rx_packets = 0, rx_bytes = 0, tx = 0;
	uint32_t q;

	if (!port)
		return;
	for (q = 0; q < port->queue_count; q++) {
		stats = &port->queues[q]->stats;
		rx_packets += stats->rx_packets;
		rx_bytes += stats->rx_bytes;
		tx += stats->tx_packets + stats->tx_bad_length + stats->tx_bad_packet +
		      stats->tx_bad_offload;
	}
	FUZZ_CHECK(rx_packets == app.rx_packets);
	FUZZ_CHECK(rx_bytes == app.rx_bytes);
	FUZZ_CHECK(tx == app.tx_packets);
}

/* --- Foreign packets --- */

static void foreign_create(void)
{
	struct unic_pool *pool;
	uint32_t i;

	pool = calloc(1, sizeof(*pool) + FOREIGN * sizeof(pool->free[0]));
	FUZZ_CHECK(pool);
	foreign.pool = pool;
	foreign.had = 0;
	for (i = 0; i < FOREIGN; i++) {
		foreign.packets[i] = aligned_alloc(64, UNIC_PACKET_SIZE);
		FUZZ_CHECK(foreign.packets[i]);
		memset(foreign.packets[i], 0, UNIC_PACKET_SIZE);
		foreign.packets[i]->pool = pool;
		pool->free[pool->free_count++] = foreign.packets[i];
	}
}

static void foreign_destroy(void)
{
	uint32_t i;

	for (i = 0; i < FOREIGN; i++)
		free(foreign.packets[i]);
	free(foreign.pool);
}

/* --- Opening and closing --- */

/* Every packet once: from now on its number is in it. */
FUZZ_NO_NEWS static void learn_packets(void)
{
	struct unic_port *port = app.port;
	uint32_t i;

	app.count = unic_info(port)->packets;
	FUZZ_CHECK(app.count <= PACKETS_MAX);
	FUZZ_CHECK(unic_packet_alloc_burst(port, 0, app.all, app.count) == app.count);
	FUZZ_CHECK(!unic_packet_alloc(port, 0));
	for (i = 0; i < app.count; i++)
		app.all[i]->user = UINT64_MAX;
	for (i = 0; i < app.count; i++) {
		FUZZ_CHECK(app.all[i]->user == UINT64_MAX);
		FUZZ_CHECK(fuzz_memory(app.all[i]->iova[0], UNIC_PACKET_ROOM) ==
			   (uint8_t *)app.all[i] + UNIC_PACKET_HEADER + UNIC_PACKET_HEADROOM);
		app.all[i]->user = i;
		unic_packet_reset(app.all[i], 0);
	}
	unic_packet_free_burst(app.all, app.count);
	(void)unic_tx_burst(port, 0, NULL, 0); /* the pool gives back what is above its share */
}

/* Sizes that are right, most of them. */
static uint32_t choose(const uint32_t *values, uint32_t count)
{
	uint8_t which = fuzz_u8();

	return which < 0xf0 ? values[which % count] : fuzz_u16();
}

#define CHOOSE(...)                               \
	choose((const uint32_t[]){ __VA_ARGS__ }, \
	       sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static void config_choose(struct unic_config *config)
{
	config->rx_descriptors = CHOOSE(32, 64, 128, 16, 8, FUZZ_RING_MAX);
	config->tx_descriptors = CHOOSE(32, 64, 128, 16, 8, FUZZ_RING_MAX);
	config->queues = CHOOSE(1, 0, 2, 3, 16);
	config->mtu = CHOOSE(0, 1500, 68, 2030, 2031, 9000, 16362);
	config->offloads = fuzz_u8() & UNIC_OFFLOAD_ALL;
	config->packets = CHOOSE(0, 33, 40, 65, 80, 130, 200, 600);
	config->flags = fuzz_u8() & (UNIC_CONFIG_PROMISCUOUS | UNIC_CONFIG_NO_IRQ);
	config->first_pool = CHOOSE(0, 0, 0, 1, 63);
	/* What the fuzzer has no room for. */
	if (config->rx_descriptors > FUZZ_RING_MAX)
		config->rx_descriptors = 0x10001;
	if (config->tx_descriptors > FUZZ_RING_MAX)
		config->tx_descriptors = 0x10001;
	if (!config->packets || config->packets > PACKETS_MAX)
		config->packets = 64 + 2 * config->rx_descriptors *
					       (config->queues ? config->queues : 1);
	if (config->packets > PACKETS_MAX)
		config->packets = PACKETS_MAX;
}

static void step_open(void)
{
	struct unic_config config = { 0 };
	int err;

	if (app.port)
		return;
	memset(&app, 0, sizeof(app));
	config_choose(&config);
	err = unic_open("00:04.0", &config, &app.port);
	FUZZ_CHECK(err <= 0 && !err == !!app.port);
	if (err) {
		fuzz_check_released();
		return;
	}
	FUZZ_CHECK(!fuzz.bus_master);
	FUZZ_CHECK(unic_info(app.port)->queues <= FUZZ_QUEUES_MAX);
	FUZZ_CHECK(!(unic_info(app.port)->offloads & ~unic_info(app.port)->can_offload));
	learn_packets();
}

/* All packets, from whatever pool or the depot: each is there, once. */
FUZZ_NO_NEWS static void check_whole(void)
{
	static struct unic_packet *packets[PACKETS_MAX];
	uint32_t q, i, n = 0;

	free_held(UINT32_MAX);
	FUZZ_CHECK(!app.had);
	for (q = 0; q < app.port->queue_count; q++)
		n += unic_packet_alloc_burst(app.port, q, packets + n, app.count - n);
	FUZZ_CHECK(n == app.count);
	for (i = 0; i < n; i++)
		take_one(packets[i]);
	for (i = 0; i < n; i++) {
		unic_packet_reset(packets[i], 0);
		free_frame(packets[i]);
	}
}

static void step_close(void)
{
	if (!app.port)
		return;
	if (app.port->started) {
		FUZZ_CHECK(!unic_stop(app.port));
		FUZZ_CHECK(!fuzz.bus_master);
		check_places();
		check_whole();
	}
	check_places();
	unic_close(app.port);
	app.port = NULL;
	app.count = 0;
	fuzz_check_released();
	fuzz_plug(target);
}

/* --- Steps of the application --- */

static unsigned int some_queue(void)
{
	return fuzz_u8() % (app.port->queue_count + (fuzz_u8() == 0xff));
}

static void step_start(void)
{
	bool was = app.port->started;
	int err = unic_start(app.port);

	FUZZ_CHECK(err <= 0 && (!was || err == -EBUSY));
	FUZZ_CHECK(app.port->started == (was || !err));
	FUZZ_CHECK(!err || was || !fuzz.bus_master);
}

static void step_stop(void)
{
	int err = unic_stop(app.port);

	FUZZ_CHECK(!err || err == -ENETDOWN);
	FUZZ_CHECK(!fuzz.bus_master);
}

/* A frame as it is handed out. */
static void rx_look(struct unic_packet *packet)
{
	uint32_t length = 0, packets = 0;
	struct unic_packet *p;

	for (p = packet;; p = p->next) {
		FUZZ_CHECK(number_of(p) < app.count && ++packets <= app.count);
		FUZZ_CHECK(p->offset >= -UNIC_PACKET_HEADROOM && p->offset <= UNIC_PACKET_ROOM);
		FUZZ_CHECK(p->length <= unic_packet_room(p)); /* 0: a frame of a wrong device */
		length += p->length;
		if (!(p->flags & UNIC_PACKET_CHAINED))
			break;
	}
	FUZZ_CHECK(packets == 1 || length <= app.port->queues[0]->tx_max);
	FUZZ_CHECK(!(packet->flags & (UNIC_TX_IP | UNIC_TX_TCP | UNIC_TX_UDP | UNIC_TX_TSO)));
	app.rx_packets++;
	app.rx_bytes += length;
	each(packet, take_one);
}

static int check_burst(int n, unsigned int queue, unsigned int count)
{
	if (n >= 0) {
		FUZZ_CHECK((unsigned int)n <= count);
		FUZZ_CHECK(queue < app.port->queue_count && app.port->started);
		return n;
	}
	switch (-n) {
	case EINVAL:
		FUZZ_CHECK(queue >= app.port->queue_count);
		break;
	case ENETDOWN:
		FUZZ_CHECK(!app.port->started);
		break;
	default:
		FUZZ_CHECK(n == -ENODEV || n == -EIO);
		FUZZ_CHECK(app.port->started);
	}
	return 0;
}

static void rx(unsigned int queue, unsigned int count)
{
	struct unic_packet *packets[BURST_MAX];
	int n, i;

	if (count > HELD_MAX - app.held_count)
		count = HELD_MAX - app.held_count;
	n = check_burst(unic_rx_burst(app.port, queue, packets, count), queue, count);
	for (i = 0; i < n; i++) {
		rx_look(packets[i]);
		hold(packets[i]);
	}
}

static void step_rx(void)
{
	unsigned int queue = some_queue();

	rx(queue, fuzz_u8() % (BURST_MAX + 1));
}

/* Sends frames that the application has. Those that are not accepted stay its own. */
static void tx(unsigned int queue, struct unic_packet **packets, unsigned int count)
{
	static struct unic_packet *members[PACKETS_MAX + FOREIGN];
	uint32_t ends[BURST_MAX], i, at = 0;
	struct unic_packet *packet;
	int n;

	for (i = 0; i < count; i++) {
		for (packet = packets[i];; packet = packet->next) {
			members[at++] = packet;
			if (!(packet->flags & UNIC_PACKET_CHAINED))
				break;
		}
		ends[i] = at;
	}
	n = check_burst(unic_tx_burst(app.port, queue, packets, count), queue, count);
	app.tx_packets += (uint32_t)n;
	for (i = 0; n && i < ends[n - 1]; i++)
		give_one(members[i]);
	for (i = (uint32_t)n; i < count; i++)
		hold(packets[i]);
}

static void fill(struct unic_packet *packet)
{
	memset(unic_packet_data(packet), 0x5a, packet->length < 64 ? packet->length : 64);
}

static void step_tx_plain(void)
{
	unsigned int queue = some_queue(), from = some_queue(), i, n;
	struct unic_packet *packets[BURST_MAX];
	uint32_t count = fuzz_u8() % (BURST_MAX + 1), length = fuzz_u16() % 2049;

	if (count > HELD_MAX - app.held_count)
		count = HELD_MAX - app.held_count;
	n = unic_packet_alloc_burst(app.port, from, packets, count);
	FUZZ_CHECK(n <= count);
	for (i = 0; i < n; i++) {
		take_one(packets[i]);
		unic_packet_reset(packets[i], length);
		fill(packets[i]);
	}
	tx(queue, packets, n);
}

/* Frames that were received, or that did not go out, and what has become of their flags. */
static void step_tx_held(void)
{
	struct unic_packet *packets[BURST_MAX];
	unsigned int queue = some_queue();
	uint32_t count = fuzz_u8() % (BURST_MAX + 1), n = 0;

	while (n < count && app.held_count)
		packets[n++] = unhold(fuzz_u8());
	tx(queue, packets, n);
}

/* Headers that are right, or nearly. */
static void headers_make(struct unic_packet *packet, uint32_t total)
{
	uint8_t kind = fuzz_u8(), *data = unic_packet_data(packet), *ip;
	uint32_t l2 = kind & 1 ? 14 : 18, l3 = kind & 2 ? 20 : 40, ip_length;

	packet->l2_length = (uint8_t)l2;
	packet->l3_length = (uint8_t)l3;
	packet->l4_length = 20;
	if (packet->length < l2 + l3 + 20)
		return;
	ip = data + l2;
	ip[0] = l3 == 20 ? 0x45 : 0x60;
	ip_length = l3 == 20 ? total - l2 : total - l2 - l3;
	ip[l3 == 20 ? 2 : 4] = (uint8_t)(ip_length >> 8);
	ip[l3 == 20 ? 3 : 5] = (uint8_t)ip_length;
	ip[l3 + 12] = 0x50;
	if (kind < 0xc0)
		return;
	if (kind & 4)
		data[fuzz_u8() % packet->length] = fuzz_u8();
	if (kind & 8)
		packet->l2_length = fuzz_u8();
	if (kind & 16)
		packet->l3_length = fuzz_u8();
	if (kind & 32)
		packet->l4_length = fuzz_u8();
}

/* What is asked for. */
static uint16_t flags_choose(void)
{
	static const uint16_t wishes[] = {
		0,
		UNIC_TX_IP,
		UNIC_TX_TCP,
		UNIC_TX_IP | UNIC_TX_TCP,
		UNIC_TX_UDP,
		UNIC_TX_TSO,
		UNIC_TX_IP | UNIC_TX_UDP,
	};
	uint8_t what = fuzz_u8();
	uint16_t flags = what & 0x80 ? UNIC_PACKET_VLAN : 0;

	if (what % 8 == 7)
		return (uint16_t)(flags | fuzz_u8() << 8);
	return flags | wishes[what % 8];
}

/* A packet with a place and a length that it has room for; or 0, or far too long. */
static void packet_make(struct unic_packet *packet)
{
	uint8_t what = fuzz_u8();

	unic_packet_reset(packet, what * 8u);
	if (what % 8 == 1)
		packet->length = fuzz_u8();
	if (what % 8 == 2)
		packet->offset = (int16_t)(fuzz_u16() % 2177 - UNIC_PACKET_HEADROOM);
	if (what % 8 == 3)
		packet->offset = -UNIC_PACKET_HEADROOM;
	if (packet->length > unic_packet_room(packet))
		packet->length = unic_packet_room(packet);
	fill(packet);
	if (what == 0xff)
		packet->length = 0x10000u << fuzz_u8() % 16;
}

/* A packet of the queue's, or one of nobody's. */
static struct unic_packet *packet_get(unsigned int queue, bool strange)
{
	struct unic_packet *packet = NULL;

	if (strange)
		packet = unic_pool_get(foreign.pool);
	if (!packet)
		packet = unic_packet_alloc(app.port, queue);
	if (packet)
		take_one(packet);
	return packet;
}

static uint32_t pieces_choose(void)
{
	uint8_t what = fuzz_u8();

	return what < 128 ? 1u + what % 4 : what % 81;
}

/* A frame in up to 80 packets, with wishes. */
static void step_tx_odd(void)
{
	unsigned int queue = some_queue(), from = some_queue();
	uint32_t count = pieces_choose(), total = 0, i;
	uint16_t flags = flags_choose();
	struct unic_packet *packet, *first = NULL, *last = NULL;
	uint8_t strange = fuzz_u8();

	if (app.held_count == HELD_MAX)
		return;
	for (i = 0; i < count; i++) {
		packet = packet_get(from, i == strange);
		if (!packet)
			break;
		packet_make(packet);
		total += packet->length;
		if (last) {
			last->flags |= UNIC_PACKET_CHAINED;
			last->next = packet;
		} else {
			first = packet;
		}
		last = packet;
	}
	if (!first)
		return;
	first->flags |= flags;
	first->vlan = fuzz_u16();
	first->mss = fuzz_u16() % 2048;
	if (first->length <= UNIC_PACKET_ROOM)
		headers_make(first, total);
	tx(queue, &first, 1);
}

static void step_free(void)
{
	uint32_t count = fuzz_u8();

	while (count-- && app.held_count)
		free_frame(unhold(fuzz_u8()));
}

/* Keeps packets, so that the pool runs empty. */
static void step_alloc(void)
{
	unsigned int queue = some_queue();
	uint32_t count = fuzz_u8();
	struct unic_packet *packet;

	while (count-- && app.held_count < HELD_MAX &&
	       (packet = unic_packet_alloc(app.port, queue))) {
		take_one(packet);
		FUZZ_CHECK(!packet->flags && !packet->length);
		packet->length = 60;
		hold(packet);
	}
}

static void step_wait(void)
{
	unsigned int queue = some_queue();
	int err;

	if (fuzz_u8() & 1) {
		err = unic_wait(app.port, queue, 1);
	} else {
		err = unic_wait_begin(app.port, queue);
		FUZZ_CHECK(err < 0 || err == FUZZ_FD);
		(void)unic_wait_pending(app.port, queue);
		err = unic_wait_end(app.port, queue);
	}
	FUZZ_CHECK(err <= 0 || err == UNIC_WAIT_LINK);
}

static void step_link(void)
{
	struct unic_link link = { 0 };
	int err = unic_link(app.port, &link);

	FUZZ_CHECK(err <= 0 && link.up <= 1 && link.full_duplex <= 1);
	FUZZ_CHECK(link.up || !link.speed_mbps);
}

static void step_stats(void)
{
	struct unic_stats stats;

	FUZZ_CHECK(!unic_stats(app.port, &stats));
	FUZZ_CHECK(stats.rx_packets == app.rx_packets);
}

static void step_filter(void)
{
	uint8_t macs[(UNIC_MULTICAST_MAX + 1) * UNIC_MAC_SIZE] = { 0 }, what = fuzz_u8();
	uint32_t i, count = fuzz_u8() % (UNIC_MULTICAST_MAX + 2);
	int err;

	for (i = 0; i < count; i++) {
		macs[i * UNIC_MAC_SIZE] = what & 8 ? 0 : 1;
		macs[i * UNIC_MAC_SIZE + 5] = fuzz_u8();
	}
	macs[1] = what;
	if (what % 3 == 0)
		err = unic_multicast_set(app.port, macs, count);
	else if (what % 3 == 1)
		err = unic_mac_set(app.port, macs);
	else
		err = unic_receive_mode(app.port, what >> 4 & 7);
	FUZZ_CHECK(err <= 0);
}

static void step_idle(void)
{
	unsigned int queue = some_queue(), i;
	struct unic_packet *none[1];

	for (i = 0; i < IDLE && !app.port->gone; i++)
		check_burst(unic_rx_burst(app.port, queue, none, 0), queue, 0);
}

/* --- Steps of the device --- */

static void step_act(void)
{
	if (!fuzz.gone)
		fuzz.target->model->act();
}

static void step_lie(void)
{
	uint8_t what = fuzz_u8();

	fuzz.lie.kind = what & 3;
	fuzz.lie.count = what >> 2 & 15 ? what >> 2 & 15 : 2000;
	fuzz.lie.after = fuzz_u8();
	fuzz.lie.value = fuzz_u32();
	if (what & 0x40)
		fuzz.lie.value = 1ull << fuzz.lie.value % 64;
}

static void step_meanwhile(void)
{
	fuzz.act_after = fuzz_u8();
}

static void step_fail(void)
{
	fuzz.fail_after = fuzz_u8() % 16;
}

/* It does not come back, but there is another one when the port has been closed. */
static void step_gone(void)
{
	fuzz.gone = true;
}

static const struct step {
	void (*run)(void);
	bool closed; /* makes sense without a port */
} steps[] = {
	{ step_act, false },	  { step_rx, false },	 { step_tx_plain, false },
	{ step_act, false },	  { step_rx, false },	 { step_tx_odd, false },
	{ step_act, false },	  { step_start, false }, { step_tx_held, false },
	{ step_act, false },	  { step_free, false },	 { step_stop, false },
	{ step_lie, true },	  { step_alloc, false }, { step_wait, false },
	{ step_meanwhile, true }, { step_fail, true },	 { step_gone, true },
	{ step_link, false },	  { step_stats, false }, { step_filter, false },
	{ step_idle, false },	  { step_close, false }, { step_open, true },
};

#define STEP_COUNT (sizeof(steps) / sizeof(steps[0]))

const char *__asan_default_options(void);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An input is over soon: what was freed need not be kept for long. */
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4";
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *name = strrchr((*argv)[0], '/');
	size_t i;

	(void)argc;
	name = name ? name + 1 : (*argv)[0];
	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		if (!strcmp(name, targets[i]->name))
			target = targets[i];
	if (target)
		return 0;
	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		printf("%s\n", targets[i]->name);
	exit(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct step *step;
	unsigned int n;

	fuzz_input_set(data, size);
	fuzz_plug(target);
	foreign_create();
	if (fuzz_u8() & 1)
		step_lie();
	step_open();
	if (app.port && fuzz_u8() & 1)
		step_start();
	for (n = 0; n < STEPS_MAX && fuzz_input_left(); n++) {
		step = &steps[fuzz_u8() % STEP_COUNT];
		if (!app.port && !step->closed)
			continue;
		fuzz.accesses = 0;
		step->run();
		check_places();
		check_counters();
	}
	fuzz.accesses = 0;
	step_close();
	fuzz_check_released();
	foreign_destroy();
	return 0;
}
