/* SPDX-License-Identifier: MIT */
/* unic tap: a network interface of Linux's over a port, for ping, ssh and whatever else. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "unic-cmd.h"
#include "unic-run.h"

#define BURST	  32
#define CHAIN_MAX (UNIC_TSO_MAX / UNIC_PACKET_ROOM + 1) /* packets to one frame from Linux */
/* Without an interrupt the port is looked at this often: whether it is still there. */
#define WAIT_MS 500
#define FULL_MS 1 /* a pause for a transmit ring that is full */

static const char tap_help[] =
	"make a network interface of Linux's out of it\n"
	"\n"
	"usage: unic tap ADDRESS [--name NAME] [--mtu N] [--promiscuous]\n"
	"\n"
	"  --name NAME    the name of Linux's interface: unic0, or with %d for a number that is\n"
	"                 free\n"
	"  --mtu N        bytes; 1500\n"
	"  --promiscuous  frames to all MAC addresses: for a bridge\n"
	"\n"
	"The interface is a tap device with the port's MAC address, MTU and link. Give it an\n"
	"address, as any other: ip addr add 10.0.0.2/24 dev unic0; ip link set unic0 up. It\n"
	"lives until SIGINT or SIGTERM end the command, which prints what went through then.\n";

/* struct virtio_net_hdr, which a tap device has in the machine's byte order. */
struct tap_head {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t headers_length;
	uint16_t gso_size;
	uint16_t checksum_start;
	uint16_t checksum_offset;
};
_Static_assert(sizeof(struct tap_head) == sizeof(struct virtio_net_hdr), "a tap device's header");

struct tap {
	const char *address;
	const char *name;
	struct unic_port *port;
	int fd;
	bool up;			     /* the carrier */
	struct unic_packet *free[CHAIN_MAX]; /* for the next frame from Linux */
	unsigned int free_count, free_wanted;
	struct unic_packet *pending[BURST]; /* from Linux, and not yet sent */
	unsigned int pending_count;
	uint64_t sent, received; /* frames */
	uint64_t refused;	 /* by Linux */
	uint64_t dropped;	 /* Linux wanted what cannot be done */
};

/* --- The interface --- */

static int tap_set_mac_mtu(const struct tap *tap, const char *name)
{
	const struct unic_port_info *info = unic_info(tap->port);
	struct ifreq request = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	memcpy(request.ifr_name, name, IFNAMSIZ);
	memcpy(request.ifr_hwaddr.sa_data, info->mac, UNIC_MAC_SIZE);
	if (ioctl(fd, SIOCSIFHWADDR, &request))
		err = -errno;
	request.ifr_mtu = (int)info->mtu;
	if (!err && ioctl(fd, SIOCSIFMTU, &request))
		err = -errno;
	close(fd);
	return err;
}

/* What the device does for Linux: checksums, and cutting segments, which needs those. */
static int tap_set_offloads(const struct tap *tap)
{
	uint32_t obtained = unic_info(tap->port)->offloads;
	unsigned long offloads = 0;

	if (obtained & UNIC_OFFLOAD_TX_CHECKSUM)
		offloads = TUN_F_CSUM;
	if (offloads && obtained & UNIC_OFFLOAD_TSO)
		offloads |= TUN_F_TSO4 | TUN_F_TSO6;
	return ioctl(tap->fd, TUNSETOFFLOAD, offloads) ? -errno : 0;
}

static int tap_set_carrier(struct tap *tap)
{
	struct unic_link link;
	int err = unic_link(tap->port, &link), up;

	if (err)
		return err;
	up = link.up;
	if (ioctl(tap->fd, TUNSETCARRIER, &up))
		return -errno;
	tap->up = link.up;
	return 0;
}

static enum unic_status tap_create(struct tap *tap, char name[IFNAMSIZ])
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int err;

	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return unic_cmd_error("/dev/net/tun",
				      errno == ENOENT || errno == ENODEV
					      ? "open: 'modprobe tun' may help"
					      : "open",
				      -errno);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", tap->name);
	if (ioctl(tap->fd, TUNSETIFF, &request))
		return unic_cmd_error(tap->name, "create", -errno);
	memcpy(name, request.ifr_name, IFNAMSIZ);
	err = tap_set_mac_mtu(tap, name);
	if (!err)
		err = tap_set_offloads(tap);
	if (!err)
		err = tap_set_carrier(tap);
	return err ? unic_cmd_error(name, "set MAC, MTU, offloads and carrier", err) : UNIC_OK;
}

/* --- From the port to Linux --- */

static void tap_put(struct tap *tap, struct unic_packet *packet)
{
	struct tap_head head = { 0 };
	struct iovec parts[1 + CHAIN_MAX] = { { &head, sizeof(head) } };
	int n = 1;

	if (packet->flags & UNIC_RX_L4_GOOD)
		head.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	for (;; packet = packet->next) {
		parts[n++] = (struct iovec){ unic_packet_data(packet), packet->length };
		if (!(packet->flags & UNIC_PACKET_CHAINED) || n > (int)CHAIN_MAX)
			break;
	}
	/* Linux takes none while the interface is down. */
	if (writev(tap->fd, parts, n) > 0)
		tap->received++;
	else
		tap->refused++;
}

static int tap_receive(struct tap *tap)
{
	struct unic_packet *packets[BURST];
	int n = unic_rx_burst(tap->port, 0, packets, BURST), i;

	if (n <= 0)
		return n;
	for (i = 0; i < n; i++)
		tap_put(tap, packets[i]);
	unic_packet_free_burst(packets, (unsigned int)n);
	return n;
}

/* --- From Linux to the port --- */

/* Whether it is TCP or UDP right behind an IP header, with nothing between that a device may not
 * know; sets what it is. */
static bool tap_is_plain(const uint8_t *ip, uint32_t l3_length, uint16_t checksum, uint16_t *flag)
{
	bool is_ip4 = ip[0] >> 4 == 4;
	uint8_t protocol = is_ip4 ? ip[9] : ip[6];

	if (is_ip4 ? (ip[0] & 15u) * 4 != l3_length : ip[0] >> 4 != 6 || l3_length != 40)
		return false;
	*flag = protocol == 6 ? UNIC_TX_TCP : UNIC_TX_UDP;
	return (protocol == 6 && checksum == 16) || (protocol == 17 && checksum == 6);
}

/* RFC 1071, of what is not plain: tunnels. Linux left the pseudo header's sum in the field. */
static void tap_checksum(struct unic_packet *packet, uint32_t from, uint32_t field)
{
	uint8_t *frame = unic_packet_data(packet);
	uint32_t i, sum = 0;

	for (i = from; i < packet->length; i++)
		sum += (i - from) % 2 ? frame[i] : (uint32_t)frame[i] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	/* RFC 768: 0 means that there is none; to others both are the same. */
	if (!(sum & 0xffff))
		sum = 0xffff;
	frame[field] = (uint8_t)(sum >> 8);
	frame[field + 1] = (uint8_t)sum;
}

/* What Linux leaves to the device. False: it is not possible. */
static bool tap_offload(struct unic_packet *packet, const struct tap_head *head)
{
	const uint8_t *frame = unic_packet_data(packet);
	uint32_t l2 = frame[12] == 0x81 && !frame[13] ? 18 : 14, l4 = head->checksum_start;
	uint16_t flag;

	if (!(head->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return head->gso_type == VIRTIO_NET_HDR_GSO_NONE;
	if (l4 < l2 + 20 || l4 > l2 + 255 || l4 + head->checksum_offset + 2u > packet->length)
		return false;
	if (!tap_is_plain(frame + l2, l4 - l2, head->checksum_offset, &flag)) {
		if (packet->flags & UNIC_PACKET_CHAINED || head->gso_type)
			return false;
		tap_checksum(packet, l4, l4 + head->checksum_offset);
		return true;
	}
	packet->flags |= flag;
	packet->l2_length = (uint8_t)l2;
	packet->l3_length = (uint8_t)(l4 - l2);
	if (head->gso_type) {
		packet->flags |= UNIC_TX_TSO;
		packet->l4_length = (uint8_t)(frame[l4 + 12] / 16 * 4);
		packet->mss = head->gso_size;
	}
	return true;
}

/* Gives the packets at the front of `free` their part of the frame, and takes them out. */
static struct unic_packet *tap_chain(struct tap *tap, size_t length)
{
	struct unic_packet *first = tap->free[0], *packet;
	unsigned int n;

	for (n = 0;; n++) {
		packet = tap->free[n];
		packet->length = length < UNIC_PACKET_ROOM ? (uint32_t)length : UNIC_PACKET_ROOM;
		length -= packet->length;
		if (!length)
			break;
		packet->flags |= UNIC_PACKET_CHAINED;
		packet->next = tap->free[n + 1];
	}
	n++;
	tap->free_count -= n;
	memmove(tap->free, tap->free + n, tap->free_count * sizeof(tap->free[0]));
	return first;
}

static void tap_drop(struct tap *tap, struct unic_packet *packet)
{
	unic_packet_free(packet);
	tap->dropped++;
}

/* One frame, into `pending`: 1, or 0: there is none. */
static int tap_get(struct tap *tap)
{
	struct iovec parts[1 + CHAIN_MAX];
	struct tap_head head;
	struct unic_packet *packet;
	unsigned int i;
	ssize_t n;

	while (tap->free_count < tap->free_wanted) {
		packet = unic_packet_alloc(tap->port, 0);
		if (!packet)
			return 0;
		tap->free[tap->free_count++] = packet;
	}
	parts[0] = (struct iovec){ &head, sizeof(head) };
	for (i = 0; i < tap->free_count; i++)
		parts[1 + i] = (struct iovec){ unic_packet_data(tap->free[i]), UNIC_PACKET_ROOM };
	n = readv(tap->fd, parts, (int)tap->free_count + 1);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if ((size_t)n <= sizeof(head))
		return 0;
	packet = tap_chain(tap, (size_t)n - sizeof(head));
	if (packet->length < 14 || !tap_offload(packet, &head))
		tap_drop(tap, packet);
	else
		tap->pending[tap->pending_count++] = packet;
	return 1;
}

static int tap_send(struct tap *tap)
{
	int got = 0, n = 1, total = 0;

	while (tap->pending_count < BURST && n > 0) {
		n = tap_get(tap);
		if (n < 0)
			return n;
		total += n;
	}
	got = (int)tap->pending_count;
	if (!got)
		return total;
	n = unic_tx_burst(tap->port, 0, tap->pending, (unsigned int)got);
	if (n < 0)
		return n;
	tap->sent += (uint64_t)n;
	tap->pending_count -= (unsigned int)n;
	memmove(tap->pending, tap->pending + n, tap->pending_count * sizeof(tap->pending[0]));
	return total + n;
}

/* --- Both --- */

/* Sleeps until one of both has something. While the ring is full Linux keeps what it has. */
static int tap_wait(struct tap *tap)
{
	struct pollfd fds[] = {
		{ .fd = unic_wait_begin(tap->port, 0), .events = POLLIN },
		{ .fd = tap->pending_count ? -1 : tap->fd, .events = POLLIN },
	};
	int n;

	if (fds[0].fd < 0)
		return fds[0].fd;
	/* A signal that comes just before is seen at its end. */
	if (!unic_wait_pending(tap->port, 0))
		(void)poll(fds, 2, tap->pending_count ? FULL_MS : WAIT_MS);
	n = unic_wait_end(tap->port, 0);
	return n == UNIC_WAIT_LINK ? tap_set_carrier(tap) : n;
}

static int tap_serve(struct tap *tap)
{
	int in, out, err = 0;

	while (!run_stopped() && !err) {
		in = tap_receive(tap);
		out = in < 0 ? in : tap_send(tap);
		if (out < 0)
			err = out;
		else if (!in && !out)
			err = tap_wait(tap);
	}
	return err;
}

static void tap_summary(const struct tap *tap)
{
	printf("%s: %" PRIu64 " frames sent, %" PRIu64 " received, %" PRIu64
	       " that Linux did not take, %" PRIu64 " of a kind that cannot be sent\n",
	       unic_info(tap->port)->driver, tap->sent, tap->received, tap->refused, tap->dropped);
}

static void tap_destroy(struct tap *tap)
{
	unic_packet_free_burst(tap->free, tap->free_count);
	unic_packet_free_burst(tap->pending, tap->pending_count);
	if (tap->fd >= 0)
		close(tap->fd);
	unic_close(tap->port);
}

static enum unic_status tap_run(int argc, char **argv)
{
	struct unic_config config = { .offloads = UNIC_OFFLOAD_RX_CHECKSUM |
						  UNIC_OFFLOAD_TX_CHECKSUM | UNIC_OFFLOAD_TSO };
	struct tap tap = { .name = "unic0", .fd = -1 };
	uint64_t mtu = 0;
	bool promiscuous = false;
	const struct run_option options[] = {
		{ "name", RUN_TEXT, &tap.name, 0, 0, 0 },
		{ "mtu", RUN_NUMBER, &mtu, UNIC_MTU_MIN, UINT16_MAX, 0 },
		{ "promiscuous", RUN_FLAG, &promiscuous, 0, 0, 0 },
		{ 0 },
	};
	char name[IFNAMSIZ], link[UNIC_CMD_TEXT];
	enum unic_status status;
	int err;

	status = run_parse(argc, argv, options, &tap.address, 1);
	if (status)
		return status;
	if (!tap.name[0] || strlen(tap.name) >= IFNAMSIZ)
		return unic_cmd_usage("tap", "--name takes 1 to 15 letters, not ", tap.name);
	run_catch_signals();
	config.mtu = (uint32_t)mtu;
	status = unic_cmd_open_config(tap.address, &config, &tap.port);
	if (status)
		return status;
	/* Linux's groups are not known here. */
	err = unic_receive_mode(tap.port,
				promiscuous ? UNIC_RECEIVE_ALL : UNIC_RECEIVE_ALL_MULTICAST);
	if (err)
		status = unic_cmd_error(tap.address, "receive mode", err);
	tap.free_wanted = unic_info(tap.port)->offloads & UNIC_OFFLOAD_TSO ? CHAIN_MAX : 1;
	if (!status)
		status = tap_create(&tap, name);
	if (!status) {
		printf("%s: ready at %s, interface %s, link %s\n", unic_info(tap.port)->driver,
		       unic_info(tap.port)->address, name, unic_cmd_link(tap.port, link));
		fflush(stdout);
		err = tap_serve(&tap);
		tap_summary(&tap);
		if (err)
			status = unic_cmd_error(tap.address, "tap", err);
	}
	tap_destroy(&tap);
	return status;
}

const struct unic_cmd unic_cmd_tap = { "tap", tap_help, tap_run };
