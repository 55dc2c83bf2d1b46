// SPDX-License-Identifier: MIT
/*
 * The benchmark of what must not cost more when there is more of it: `forward` of loop.h with
 * several queues, a thread each, with larger packets, rings of other sizes, and more ports.
 *
 * Usage: scale WORKLOAD BURST,BURST... GENERATOR RECEIVER SENDER...
 *
 * WORKLOAD is scale-queues-N, scale-size-BYTES, scale-ring-DESCRIPTORS, or scale-ports-N: to so
 * many of the SENDERs by turns, of which each other workload has one. GENERATOR sends to the
 * receiver, of whose queues each gets a flow; `-`: what the receiver itself sends comes back to the
 * queue that sent it. One thread at a time has its turn. Output as loop.h's; besides what memory
 * the receiver has, and what the first sender, which shares the packets, has in addition.
 */
#include <err.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <unic/driver.h>
#include <userpci/userpci.h>

#include "bench.h"
#include "frame.h"

#define BURST_MAX   64
#define QUEUES_MAX  4
#define SENDERS_MAX 4
#define WARM_UP	    100
#define BURSTS	    1500 /* as in loop.h */
#define TRIES	    5000
#define DEAF_NS	    2500000000 /* QEMU: its e1000 receives nothing in the first second */
#define ECHO_NS	    3000000    /* until a burst is back that left the machine */
#define FLOWS	    200	       /* that are tried until each queue has one */
#define IPV4	    14	       /* offsets in the frame */
#define UDP	    34

struct memory {
	uint64_t dma, heap; /* bytes */
};

static struct {
	const char *name;
	unsigned int queues, size, ring, senders;
} plan = { NULL, 1, sizeof(frame), 256, 1 };

static struct unic_port *generator, *receiver, *senders[SENDERS_MAX];
static struct memory of_receiver, of_sender;
static struct unic_packet *packets[BURST_MAX];
static uint8_t frames[QUEUES_MAX][1514]; /* of each queue's flow */
static struct figure figure;

/* --- Frames --- */

static uint16_t checksum(uint32_t sum, const uint8_t *bytes, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *bytes, unsigned int value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

/* That of frame.h in the plan's size, and from another host. */
static void frame_write(uint8_t *bytes, unsigned int flow)
{
	unsigned int length = plan.size - UDP;

	memset(bytes, 0, plan.size);
	memcpy(bytes, frame, UDP + 8);
	put16(bytes + IPV4 + 2, plan.size - IPV4);
	put16(bytes + IPV4 + 10, 0);
	bytes[IPV4 + 15] = (uint8_t)(1 + flow);
	put16(bytes + IPV4 + 10, checksum(0, bytes + IPV4, UDP - IPV4));
	put16(bytes + UDP + 4, length);
	put16(bytes + UDP + 6, 0);
	/* With the pseudo header: addresses, protocol, length. */
	put16(bytes + UDP + 6, checksum(17 + length, bytes + IPV4 + 12, 8 + length));
}

/* Sends a burst of the queue's flow; it is there when this returns. */
static bool generate(unsigned int queue, unsigned int burst)
{
	unsigned int from = generator == receiver ? queue : 0, i;
	unsigned int count = unic_packet_alloc_burst(generator, from, packets, burst);
	unsigned int sent;
	int n;

	for (i = 0; i < count; i++) {
		unic_packet_reset(packets[i], plan.size);
		memcpy(unic_packet_data(packets[i]), frames[queue], plan.size);
	}
	n = unic_tx_burst(generator, from, packets, count);
	sent = n > 0 ? (unsigned int)n : 0;
	unic_packet_free_burst(packets + sent, count - sent);
	if (generator == receiver)
		pause_ns(ECHO_NS);
	settle();
	return sent == burst;
}

static void drain(unsigned int queue)
{
	int count;

	while ((count = unic_rx_burst(receiver, queue, packets, BURST_MAX)) > 0)
		unic_packet_free_burst(packets, (unsigned int)count);
}

/* Which flows come to which queue is the device's to say, unless each comes back. */
static void find_flows(void)
{
	unsigned int flow_of[QUEUES_MAX] = { 0 }, missing = plan.queues, flow, queue;
	int count;

	for (queue = 0; generator == receiver && queue < plan.queues; queue++, missing--)
		flow_of[queue] = queue + 1;
	for (flow = 1; flow < FLOWS && missing; flow++) {
		frame_write(frames[0], flow);
		generate(0, 1);
		for (queue = 0; queue < plan.queues; queue++) {
			count = unic_rx_burst(receiver, queue, packets, BURST_MAX);
			if (count <= 0)
				continue;
			unic_packet_free_burst(packets, (unsigned int)count);
			missing -= !flow_of[queue];
			flow_of[queue] = flow;
		}
	}
	if (missing)
		errx(1, "no flow comes to %u of %u queues", missing, plan.queues);
	for (queue = 0; queue < plan.queues; queue++)
		frame_write(frames[queue], flow_of[queue]);
}

/* --- Ports --- */

/* Of one port, and not of the one that it shares packets with; the heap is the whole program's. */
static struct memory memory_of(struct unic_port *port)
{
	struct mallinfo2 heap = mallinfo2();
	struct memory memory = { .heap = heap.uordblks + heap.hblkhd };
	struct userpci_dma_info info;
	uint32_t cursor = 0;

	while (port && !userpci_dma_next(port->device, &cursor, &info))
		memory.dma += info.kind == USERPCI_DMA_PINNED ? 0 : info.size;
	return memory;
}

static struct unic_port *port_open(const char *address, unsigned int queues,
				   struct unic_port *share, struct memory *of)
{
	struct unic_config config = {
		.rx_descriptors = plan.ring,
		.tx_descriptors = plan.ring,
		.queues = queues,
		/* Twice the rings of the receiver and of each sender, as by default of two. */
		.packets = share ? 0 : 4 * plan.ring * queues * plan.senders,
		.share = share,
		.flags = UNIC_CONFIG_PROMISCUOUS,
		.offloads = UNIC_OFFLOAD_RX_CHECKSUM | UNIC_OFFLOAD_TX_CHECKSUM |
			    UNIC_OFFLOAD_VLAN_STRIP | UNIC_OFFLOAD_VLAN_INSERT |
			    (queues > 1 ? UNIC_OFFLOAD_RSS : 0),
	};
	struct memory before = memory_of(NULL);
	struct unic_port *port;
	char text[256];
	int error;

	error = unic_open(address, &config, &port);
	if (error)
		errx(1, "%s", unic_explain(address, error, text, sizeof(text)));
	error = unic_start(port);
	if (error)
		errx(1, "%s: start: %s", address, strerror(-error));
	*of = memory_of(port);
	of->heap -= before.heap;
	return port;
}

/* No burst runs yet: one port may be started when another shares its packets. */
static void ports_open(char **addresses)
{
	struct memory other;
	unsigned int i;

	receiver = port_open(addresses[1], plan.queues, NULL, &of_receiver);
	for (i = 0; i < plan.senders; i++)
		senders[i] = port_open(addresses[2 + i], plan.queues, receiver,
				       i ? &other : &of_sender);
	if (!strcmp(addresses[0], "-"))
		generator = receiver;
	else
		generator = port_open(addresses[0], 1, NULL, &other);
	pause_ns(DEAF_NS);
}

/* --- Threads --- */

static struct turn {
	sem_t begins;
	pthread_t thread;
	unsigned int queue;
	/* Of the turn. */
	struct unic_port *sender;
	unsigned int burst;
	bool keep;
} turns[QUEUES_MAX];

static sem_t turn_ends;

static void turn_measure(const struct turn *turn)
{
	unsigned int burst = turn->burst;
	int received, sent = 0;

	if (!generate(turn->queue, burst))
		return;
	icount_begin(&figure.window);
	received = unic_rx_burst(receiver, turn->queue, packets, burst);
	if (received > 0)
		sent = unic_tx_burst(turn->sender, turn->queue, packets, (unsigned int)received);
	icount_end(&figure.window);
	if (received < 0 || sent < 0)
		errx(1, "queue %u: %s", turn->queue, strerror(-(sent < 0 ? sent : received)));
	if (turn->keep && (unsigned int)sent == burst)
		figure_keep(&figure);
	unic_packet_free_burst(packets + sent, (unsigned int)(received - sent));
	if ((unsigned int)received != burst)
		drain(turn->queue);
}

static void *turn_thread(void *context)
{
	struct turn *turn = context;

	for (;;) {
		sem_wait(&turn->begins);
		turn_measure(turn);
		sem_post(&turn_ends);
	}
	return NULL;
}

static void threads_start(void)
{
	unsigned int i;
	int error;

	sem_init(&turn_ends, 0, 0);
	for (i = 0; i < plan.queues; i++) {
		turns[i].queue = i;
		sem_init(&turns[i].begins, 0, 0);
		error = pthread_create(&turns[i].thread, NULL, turn_thread, &turns[i]);
		if (error)
			errx(1, "thread: %s", strerror(error));
	}
}

static void take_turn(unsigned int number, unsigned int burst, bool keep)
{
	struct turn *turn = &turns[number % plan.queues];

	turn->sender = senders[number % plan.senders];
	turn->burst = burst;
	turn->keep = keep;
	sem_post(&turn->begins);
	sem_wait(&turn_ends);
}

/* --- The run --- */

static void run(unsigned int burst)
{
	unsigned int i;

	figure_init(&figure, 0, BURSTS);
	for (i = 0; i < WARM_UP; i++)
		take_turn(i, burst, false);
	for (i = 0; i < TRIES && !figure_done(&figure); i++)
		take_turn(i, burst, true);
	if (!figure_done(&figure))
		errx(1, "%s: of %u bursts of %u packets only %llu were whole", plan.name, TRIES,
		     burst, (unsigned long long)figure.window.kept);
	printf("%s\t%u\tinstructions\t%.2f\t%.2f\tper packet\n", plan.name, burst,
	       icount_mean(&figure.window) / burst, figure_spread(&figure));
	printf("%s\t%u\tdma\t%llu\t0\tbytes\n", plan.name, burst,
	       (unsigned long long)of_receiver.dma);
	printf("%s\t%u\theap\t%llu\t0\tbytes\n", plan.name, burst,
	       (unsigned long long)of_receiver.heap);
	printf("%s\t%u\tdma-sharing\t%llu\t0\tbytes\n", plan.name, burst,
	       (unsigned long long)of_sender.dma);
	printf("%s\t%u\theap-sharing\t%llu\t0\tbytes\n", plan.name, burst,
	       (unsigned long long)of_sender.heap);
	icount_report();
	printf("report\n");
}

static void plan_parse(const char *workload, unsigned int senders_given)
{
	plan.name = workload;
	if (sscanf(workload, "scale-queues-%u", &plan.queues) != 1 &&
	    sscanf(workload, "scale-size-%u", &plan.size) != 1 &&
	    sscanf(workload, "scale-ring-%u", &plan.ring) != 1 &&
	    sscanf(workload, "scale-ports-%u", &plan.senders) != 1)
		errx(2, "unknown workload %s", workload);
	if (!plan.queues || plan.queues > QUEUES_MAX || plan.size < sizeof(frame) ||
	    plan.size > sizeof(frames[0]) || !plan.senders || plan.senders > senders_given ||
	    plan.senders > SENDERS_MAX)
		errx(2, "%s: too few, or too many", workload);
}

int main(int argc, char **argv)
{
	char *burst, *rest = NULL;

	if (argc < 6)
		errx(2, "usage: WORKLOAD BURST,BURST... GENERATOR RECEIVER SENDER...");
	plan_parse(argv[1], (unsigned int)argc - 5);
	setvbuf(stdout, NULL, _IOLBF, 0);
	ports_open(argv + 3);
	find_flows();
	threads_start();
	for (burst = strtok_r(argv[2], ",", &rest); burst; burst = strtok_r(NULL, ",", &rest))
		run((unsigned int)atoi(burst));
	return 0;
}
