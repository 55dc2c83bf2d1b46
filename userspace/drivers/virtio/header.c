/* SPDX-License-Identifier: MIT */
/*
 * The header in front of each frame, which asks for checksums and cutting.
 *
 * Spec: Virtual I/O Device (VIRTIO) Version 1.2, 5.1.6.2 (sending), 5.1.6.4.1 (receiving).
 */
#include "queue.h"

/* Positions in headers. Spec: RFC 791, 3.1; RFC 9293, 3.1; RFC 768. */
#define HEADER_IP4_CHECKSUM 10
#define HEADER_TCP_CHECKSUM 16
#define HEADER_UDP_CHECKSUM 6

/* Spec: RFC 1071. Big-endian words; @odd: the first byte is a low one. */
static uint64_t header_sum(uint64_t sum, const uint8_t *data, uint32_t size, bool odd)
{
	uint32_t i;

	for (i = 0; i < size; i++)
		sum += (i ^ odd) & 1 ? data[i] : (uint64_t)data[i] << 8;
	return sum;
}

static uint16_t header_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void header_put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* No virtio device fills in that of IPv4. */
static void header_ip4(const struct unic_packet *packet, uint8_t *ip)
{
	header_put16(ip + HEADER_IP4_CHECKSUM, 0);
	header_put16(ip + HEADER_IP4_CHECKSUM,
		     header_fold(header_sum(0, ip, packet->l3_length, false)));
}

void virtio_header_make(struct unic_packet *packet, struct virtio_net_hdr *header)
{
	uint16_t l4 = (uint16_t)(packet->l2_length + packet->l3_length);
	uint8_t *ip = unic_packet_data(packet) + packet->l2_length;
	bool is_ip4;

	memset(header, 0, sizeof(*header));
	if (!(packet->flags & (UNIC_TX_IP | UNIC_TX_TCP | UNIC_TX_UDP | UNIC_TX_TSO)))
		return;
	is_ip4 = *ip >> 4 == 4;
	if (is_ip4 && packet->flags & (UNIC_TX_IP | UNIC_TX_TSO))
		header_ip4(packet, ip);
	if (!(packet->flags & (UNIC_TX_TCP | UNIC_TX_UDP | UNIC_TX_TSO)))
		return;
	header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->csum_start = userpci_cpu_to_le16(l4);
	header->csum_offset = userpci_cpu_to_le16(
		packet->flags & UNIC_TX_UDP ? HEADER_UDP_CHECKSUM : HEADER_TCP_CHECKSUM);
	if (!(packet->flags & UNIC_TX_TSO))
		return;
	header->gso_type = is_ip4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	header->hdr_len = userpci_cpu_to_le16((uint16_t)(l4 + packet->l4_length));
	header->gso_size = userpci_cpu_to_le16(packet->mss);
}

/* The sum of a frame from @start on, whichever packets it is in. */
static uint64_t header_frame_sum(struct unic_packet *packet, uint32_t start)
{
	uint64_t sum = 0;
	bool odd = false;

	for (;; packet = packet->next) {
		if (start < packet->length) {
			sum = header_sum(sum, unic_packet_data(packet) + start,
					 packet->length - start, odd);
			odd ^= (packet->length - start) & 1;
			start = 0;
		} else {
			start -= packet->length;
		}
		if (!(packet->flags & UNIC_PACKET_CHAINED))
			return sum;
	}
}

/* A frame that was never on a wire has no checksum yet, but the sum of the pseudo header. */
static bool header_complete(struct unic_packet *packet, uint32_t start, uint32_t offset)
{
	uint16_t checksum;

	if (start < VIRTIO_FRAME_MIN || start + offset + 2 > packet->length)
		return false;
	checksum = header_fold(header_frame_sum(packet, start));
	/* RFC 768: 0 means that there is none; it is the same number as this. */
	if (!checksum && offset == HEADER_UDP_CHECKSUM)
		checksum = 0xffff;
	header_put16(unic_packet_data(packet) + start + offset, checksum);
	packet->flags |= UNIC_RX_L4_GOOD;
	return true;
}

bool virtio_header_take(struct unic_packet *packet, bool checksum)
{
	struct virtio_net_hdr header;

	memcpy(&header, virtio_rx_start(packet), sizeof(header));
	if (header.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return false;
	if (header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return checksum && header_complete(packet, userpci_le16_to_cpu(header.csum_start),
						   userpci_le16_to_cpu(header.csum_offset));
	if (header.flags & VIRTIO_NET_HDR_F_DATA_VALID && checksum)
		packet->flags |= UNIC_RX_L4_GOOD;
	return true;
}
