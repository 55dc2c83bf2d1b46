/* SPDX-License-Identifier: MIT */
/*
 * A tap device as a wire.
 *
 * Spec: Virtual I/O Device (VIRTIO) Version 1.2, 5.1.6; packet(7). What the header asks for is done
 * here as a NIC would do it, from what the driver left in the frame: a wrong sum of the pseudo
 * header, or a wrong length, comes out as a wrong frame.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "../nic/ip.h"
#include "suite.h"
#include "tap.h"

#define TAP_MOST     70000 /* bytes of the longest frame */
#define TAP_FIN_PUSH (IP_TCP_FIN | IP_TCP_PUSH)

struct tap_counts tap_counts;

/* The frame that came last, what is to be done to it, and how much of its payload is handed out. */
static struct {
	uint8_t frame[TAP_MOST];
	uint32_t length, done;
	struct virtio_net_hdr left;
	uint16_t tag;
	bool tagged;
} came;

/* A frame that comes before QEMU listens is lost. */
static void await_carrier(int fd, const char *name)
{
	struct ifreq request = { 0 };
	unsigned int tries;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	for (tries = 0; tries < 2000; tries++) {
		CHECK_EQ(ioctl(fd, SIOCGIFFLAGS, &request), 0);
		if (request.ifr_flags & IFF_RUNNING)
			return;
		pause_us(10000);
	}
	HARNESS_FAIL("%s has no carrier", name);
}

int tap_open(const char *name)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	static const int options[] = { PACKET_AUXDATA, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1, room = 16 << 20;
	unsigned int i;

	CHECK(fd >= 0 && address.sll_ifindex);
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		CHECK_EQ(setsockopt(fd, SOL_PACKET, options[i], &on, sizeof(on)), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	await_carrier(fd, name);
	memset(&tap_counts, 0, sizeof(tap_counts));
	came.length = 0;
	return fd;
}

/* Linux cuts frames on their way through the interface's queue, which tells of no loss when it is
 * not there yet; past it, it drops them. */
static void pass_queue(int fd, int on)
{
	CHECK_EQ(setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)), 0);
}

bool tap_put(int fd, const uint8_t *frame, uint32_t length, const struct virtio_net_hdr *left)
{
	static const struct virtio_net_hdr none;
	struct iovec parts[] = {
		{ (void *)(left ? left : &none), sizeof(none) },
		{ (void *)frame, length },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n;

	pass_queue(fd, !left || !left->gso_type);
	n = sendmsg(fd, &message, MSG_DONTWAIT);
	CHECK(n == (ssize_t)(sizeof(none) + length) || errno == EAGAIN || errno == ENOBUFS);
	return n > 0;
}

/* --- From the device --- */

/* The tag is beside the frame. */
static void read_tag(struct msghdr *message)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	struct tpacket_auxdata aux = { 0 };

	if (control && control->cmsg_type == PACKET_AUXDATA)
		memcpy(&aux, CMSG_DATA(control), sizeof(aux));
	came.tagged = aux.tp_status & TP_STATUS_VLAN_VALID;
	came.tag = aux.tp_vlan_tci;
}

static bool next_frame(int fd)
{
	union {
		struct cmsghdr header;
		uint8_t room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec parts[] = { { &came.left, sizeof(came.left) }, { came.frame, TAP_MOST } };
	struct msghdr message = {
		.msg_iov = parts,
		.msg_iovlen = 2,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);

	if (n < 0) {
		CHECK_EQ(errno, EAGAIN);
		return false;
	}
	CHECK(!(message.msg_flags & MSG_TRUNC) && n > (ssize_t)sizeof(came.left));
	came.length = (uint32_t)n - (uint32_t)sizeof(came.left);
	came.done = 0;
	read_tag(&message);
	if (came.left.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		tap_counts.partial++;
	if (came.left.gso_type)
		tap_counts.large++;
	return true;
}

/* From what stands in the field on. Spec: RFC 768: UDP's is not 0. */
static void complete(uint8_t *frame, uint32_t length)
{
	uint32_t start = came.left.csum_start, field = start + came.left.csum_offset;
	uint16_t sum;

	CHECK(start >= 34 && field + 2 <= length);
	sum = (uint16_t)~ip_sum(0, frame + start, length - start);
	ip_put(frame + field, 2, sum || came.left.csum_offset != 6 ? sum : 0xffff);
}

/* The next segment; the pseudo header's sum has the length of all of them. */
static uint32_t cut(uint8_t *frame)
{
	struct ip_layout at = ip_look(came.frame);
	uint32_t headers = at.l2 + at.l3 + at.l4, all = came.length - headers, size,
		 old = came.length;
	uint8_t lengths[4];
	uint16_t sum;

	CHECK(!at.udp && came.left.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && came.left.gso_size);
	CHECK_EQ(came.left.gso_type, at.ip6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
	CHECK_EQ(came.left.csum_start, at.l2 + at.l3);
	CHECK_EQ(came.left.csum_offset, 16);
	CHECK_EQ(ip_length(&at), came.length);
	CHECK(at.ip6 || ip_sum(0, at.ip, at.l3) == 0xffff);
	size = all - came.done < came.left.gso_size ? all - came.done : came.left.gso_size;
	memcpy(frame, came.frame, headers);
	memcpy(frame + headers, came.frame + headers + came.done, size);
	at = ip_look(frame);
	ip_put(at.ip + (at.ip6 ? 4 : 2), 2, (at.ip6 ? 0 : at.l3) + at.l4 + size);
	if (!at.ip6) {
		ip_put(at.ip + 10, 2, 0);
		ip_put(at.ip + 10, 2, (uint16_t)~ip_sum(0, at.ip, at.l3));
	}
	ip_put(at.l4_at + 4, 4, ip_get(at.l4_at + 4, 4) + came.done);
	came.done += size;
	if (came.done < all)
		at.l4_at[13] &= (uint8_t)~TAP_FIN_PUSH;
	ip_put(lengths, 2, (uint16_t) ~(old - at.l2 - at.l3));
	ip_put(lengths + 2, 2, at.l4 + size);
	sum = ip_sum((uint16_t)ip_get(at.checksum, 2), lengths, sizeof(lengths));
	ip_put(at.checksum, 2, sum);
	complete(frame, headers + size);
	if (came.done == all)
		came.length = 0;
	return headers + size;
}

uint32_t tap_take(int fd, uint8_t *frame)
{
	uint32_t length;

	if (!came.length && !next_frame(fd))
		return 0;
	if (came.left.gso_type) {
		length = cut(frame);
	} else {
		length = came.length;
		memcpy(frame, came.frame, length);
		if (came.left.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			complete(frame, length);
		came.length = 0;
	}
	if (!came.tagged)
		return length;
	memmove(frame + 16, frame + 12, length - 12);
	ip_put(frame + 12, 4, (uint32_t)IP_TAGGED << 16 | came.tag);
	return length + 4;
}
