// SPDX-License-Identifier: MIT
/*
 * The benchmark on the kernel's own drivers, by AF_PACKET: sendmmsg() past the queueing discipline,
 * recvmmsg(). Usage and output are those of loop.h, with three interfaces: the first receives what
 * the second sends, the third is connected to nothing.
 *
 * A driver that lives on interrupts does its work when they come, not in the call. So a window here
 * is all from the sending until the frames are received, the sleep between included, in which the
 * interrupts come. A second window, which is subtracted, has all but what is measured. Only QEMU's
 * plugin can count that, for a sleep has no instructions, but ticks of the TSC; so what is printed
 * is the word `plugin`.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"
#include "frame.h"

#define BURST_MAX 64
#define WARM_UP	  100
#define BURSTS	  300
#define TRIES	  1000
#define DEAF_NS	  2500000000
#define ROOM	  2048

enum { FAR, NEAR, LONE, PORTS };

static struct figure with, without;
static uint8_t buffers[BURST_MAX][ROOM];
static struct iovec pieces[BURST_MAX];
static struct mmsghdr messages[BURST_MAX];
static int sockets[PORTS];

static int open_port(const char *name, int receives)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET };
	struct packet_mreq promiscuous = { .mr_type = PACKET_MR_PROMISC };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;

	address.sll_ifindex = promiscuous.mr_ifindex = (int)if_nametoindex(name);
	address.sll_protocol = receives ? htons(ETH_P_IP) : 0;
	if (fd < 0 || !address.sll_ifindex ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)))
		err(1, "%s", name);
	return fd;
}

static unsigned int transmit(unsigned int port, unsigned int count)
{
	int sent = sendmmsg(sockets[port], messages, count, MSG_DONTWAIT);

	return sent > 0 ? (unsigned int)sent : 0;
}

static unsigned int receive(unsigned int port, unsigned int count)
{
	unsigned int i;
	int came;

	for (i = 0; i < count; i++)
		pieces[i].iov_len = ROOM;
	came = recvmmsg(sockets[port], messages, count, MSG_DONTWAIT, NULL);
	for (i = 0; i < count; i++)
		pieces[i].iov_len = sizeof(frame);
	return came > 0 ? (unsigned int)came : 0;
}

static void write_frames(unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		memcpy(buffers[i], frame, sizeof(frame));
}

/* Of each workload a window in full and one without what is measured; whether all were moved. */

static int send_alone(unsigned int burst, int full)
{
	unsigned int sent = burst;

	if (full) {
		write_frames(burst);
		sent = transmit(LONE, burst);
	}
	settle();
	return sent == burst;
}

static int receive_all(unsigned int burst, int full)
{
	/* To send costs the same, whether somebody receives it or not. */
	if (transmit(full ? NEAR : LONE, burst) != burst)
		return 0;
	settle();
	return !full || receive(FAR, burst) == burst;
}

static int forward(unsigned int burst, int full)
{
	int moved = receive_all(burst, full);

	if (full)
		moved = moved && transmit(LONE, burst) == burst;
	settle();
	return moved;
}

static const struct workload {
	const char *name;
	int (*move)(unsigned int burst, int full);
} workloads[] = { { "tx", send_alone }, { "rx", receive_all }, { "forward", forward } };

static void measure(const struct workload *workload, unsigned int burst, int full)
{
	struct figure *figure = full ? &with : &without;
	int moved;

	settle();
	icount_begin(&figure->window);
	moved = workload->move(burst, full);
	icount_end(&figure->window);
	if (moved && !figure_done(figure))
		figure_keep(figure);
	if (!moved) {
		settle();
		while (receive(FAR, BURST_MAX))
			;
	}
}

static void run(const struct workload *workload, unsigned int burst)
{
	unsigned int i;

	figure_init(&with, 0, BURSTS);
	figure_init(&without, 1, BURSTS);
	for (i = 0; i < WARM_UP; i++)
		workload->move(burst, 1);
	for (i = 0; i < TRIES && !(figure_done(&with) && figure_done(&without)); i++) {
		measure(workload, burst, 1);
		measure(workload, burst, 0);
	}
	if (!figure_done(&with) || !figure_done(&without))
		errx(1, "%s: too few bursts of %u packets were whole", workload->name, burst);
	printf("%s\t%u\tinstructions\tplugin\t0\tper packet\n", workload->name, burst);
	icount_report();
	printf("report\n");
}

int main(int argc, char **argv)
{
	const struct workload *workload = workloads;
	char *burst, *rest = NULL;
	unsigned int i;

	while (argc > 1 && workload < workloads + 3 && strcmp(argv[1], workload->name))
		workload++;
	if (argc != 6 || workload == workloads + 3)
		errx(2, "usage: tx|rx|forward BURST,BURST... INTERFACE INTERFACE INTERFACE");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < PORTS; i++)
		sockets[i] = open_port(argv[3 + i], i == FAR);
	for (i = 0; i < BURST_MAX; i++) {
		pieces[i] = (struct iovec){ .iov_base = buffers[i], .iov_len = sizeof(frame) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &pieces[i], .msg_iovlen = 1 };
	}
	write_frames(BURST_MAX);
	pause_ns(DEAF_NS);
	for (burst = strtok_r(argv[2], ",", &rest); burst; burst = strtok_r(NULL, ",", &rest))
		run(workload, (unsigned int)atoi(burst));
	return 0;
}
