// SPDX-License-Identifier: MIT
/*
 * The other end of a cable that returns what comes: each frame of a network interface goes back to
 * it as it is. To a tap device of several queues it so comes back to the queue that sent it.
 *
 * Usage: echo INTERFACE
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	static char frame[65536];
	const int yes = 1;
	ssize_t length;
	int fd;

	link.sll_ifindex = argc == 2 ? (int)if_nametoindex(argv[1]) : 0;
	if (!link.sll_ifindex)
		errx(2, "usage: echo INTERFACE");
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* not longer than tests/bench/taps */
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0)
		err(1, "socket");
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) ||
	    bind(fd, (struct sockaddr *)&link, sizeof(link)))
		err(1, "%s", argv[1]);
	for (;;) {
		length = recv(fd, frame, sizeof(frame), 0);
		/* It is down before QEMU begins and when it has ended. */
		if (length < 0 && errno != ENETDOWN)
			err(1, "%s", argv[1]);
		if (length > 0)
			(void)!send(fd, frame, (size_t)length, 0);
	}
}
