/* SPDX-License-Identifier: MIT */
/*
 * What a driver and a virtio network device agree on, with the names of the specification but for
 * the prefix.
 *
 * Spec: Virtual I/O Device (VIRTIO) Version 1.2. Sections are behind the names.
 */
#ifndef VIRTIO_REGS_H
#define VIRTIO_REGS_H

#include <stddef.h>

#include <userpci/mmio.h>

/* 4.1.4: the capability; offsets in it. */
#define VIRTIO_PCI_CAP_VENDOR	  0x09
#define VIRTIO_PCI_CAP_LENGTH	  2 /* bytes of the capability */
#define VIRTIO_PCI_CAP_TYPE	  3
#define VIRTIO_PCI_CAP_BAR	  4
#define VIRTIO_PCI_CAP_OFFSET	  8
#define VIRTIO_PCI_CAP_SIZE	  12
#define VIRTIO_PCI_CAP_MULTIPLIER 16 /* 4.1.4.4 */
#define VIRTIO_PCI_CAP_END	  16 /* without, and with the multiplier */
#define VIRTIO_PCI_CAP_NOTIFY_END 20
#define VIRTIO_PCI_CAP_COMMON_CFG 1
#define VIRTIO_PCI_CAP_NOTIFY_CFG 2
#define VIRTIO_PCI_CAP_ISR_CFG	  3
#define VIRTIO_PCI_CAP_DEVICE_CFG 4

/* 4.1.4.3 */
#define VIRTIO_DEVICE_FEATURE_SEL 0x00
#define VIRTIO_DEVICE_FEATURE	  0x04
#define VIRTIO_DRIVER_FEATURE_SEL 0x08
#define VIRTIO_DRIVER_FEATURE	  0x0c
#define VIRTIO_CONFIG_MSIX_VECTOR 0x10 /* 16 bits */
#define VIRTIO_NUM_QUEUES	  0x12 /* 16 bits */
#define VIRTIO_DEVICE_STATUS	  0x14 /* 8 bits */
#define VIRTIO_CONFIG_GENERATION  0x15 /* 8 bits */
#define VIRTIO_QUEUE_SELECT	  0x16 /* 16 bits, as the next four */
#define VIRTIO_QUEUE_SIZE	  0x18
#define VIRTIO_QUEUE_MSIX_VECTOR  0x1a
#define VIRTIO_QUEUE_ENABLE	  0x1c
#define VIRTIO_QUEUE_NOTIFY_OFF	  0x1e
#define VIRTIO_QUEUE_DESC	  0x20 /* 64 bits, as the next two */
#define VIRTIO_QUEUE_DRIVER	  0x28
#define VIRTIO_QUEUE_DEVICE	  0x30
#define VIRTIO_COMMON_END	  0x38
#define VIRTIO_MSI_NO_VECTOR	  0xffff

/* 4.1.4.5 */
#define VIRTIO_ISR_QUEUE  (1u << 0)
#define VIRTIO_ISR_CONFIG (1u << 1)

/* 2.1 */
#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER	  2u
#define VIRTIO_STATUS_DRIVER_OK	  4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_NEEDS_RESET 64u

/* 6, 5.1.3 */
#define VIRTIO_F_EVENT_IDX	   (1ull << 29)
#define VIRTIO_F_VERSION_1	   (1ull << 32)
#define VIRTIO_F_ACCESS_PLATFORM   (1ull << 33)
#define VIRTIO_F_RING_PACKED	   (1ull << 34)
#define VIRTIO_F_IN_ORDER	   (1ull << 35)
#define VIRTIO_F_ORDER_PLATFORM	   (1ull << 36)
#define VIRTIO_NET_F_CSUM	   (1ull << 0)
#define VIRTIO_NET_F_GUEST_CSUM	   (1ull << 1)
#define VIRTIO_NET_F_MTU	   (1ull << 3)
#define VIRTIO_NET_F_MAC	   (1ull << 5)
#define VIRTIO_NET_F_HOST_TSO4	   (1ull << 11)
#define VIRTIO_NET_F_HOST_TSO6	   (1ull << 12)
#define VIRTIO_NET_F_MRG_RXBUF	   (1ull << 15)
#define VIRTIO_NET_F_STATUS	   (1ull << 16)
#define VIRTIO_NET_F_CTRL_VQ	   (1ull << 17)
#define VIRTIO_NET_F_CTRL_RX	   (1ull << 18)
#define VIRTIO_NET_F_MQ		   (1ull << 22)
#define VIRTIO_NET_F_CTRL_MAC_ADDR (1ull << 23)
#define VIRTIO_NET_F_SPEED_DUPLEX  (1ull << 63)

/* 5.1.4 */
#define VIRTIO_NET_MAC	       0
#define VIRTIO_NET_STATUS      6 /* 16 bits, as the next two */
#define VIRTIO_NET_MAX_PAIRS   8
#define VIRTIO_NET_MTU	       10
#define VIRTIO_NET_SPEED       12 /* 32 bits */
#define VIRTIO_NET_DUPLEX      16 /* 8 bits */
#define VIRTIO_NET_S_LINK_UP   1u
#define VIRTIO_NET_SPEED_MAX   0x7fffffffu
#define VIRTIO_NET_DUPLEX_FULL 1u

/* 5.1.6.5 */
#define VIRTIO_NET_CTRL_RX	    0
#define VIRTIO_NET_CTRL_RX_PROMISC  0
#define VIRTIO_NET_CTRL_RX_ALLMULTI 1
#define VIRTIO_NET_CTRL_MAC	    1
#define VIRTIO_NET_CTRL_MAC_TABLE   0
#define VIRTIO_NET_CTRL_MAC_ADDR    1
#define VIRTIO_NET_CTRL_MQ	    4
#define VIRTIO_NET_CTRL_MQ_PAIRS    0
#define VIRTIO_NET_OK		    0

/* 5.1.6: in front of each frame. */
#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1u
#define VIRTIO_NET_HDR_F_DATA_VALID 2u
#define VIRTIO_NET_HDR_GSO_NONE	    0u
#define VIRTIO_NET_HDR_GSO_TCPV4    1u
#define VIRTIO_NET_HDR_GSO_TCPV6    4u

struct virtio_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	le16_t hdr_len;
	le16_t gso_size;
	le16_t csum_start;
	le16_t csum_offset;
	le16_t num_buffers;
};

/* 2.7.5 and 2.8.13: a descriptor of either format: the second half of the split one is len, flags,
 * next; that of the packed one len, id, flags. */
struct virtio_desc {
	le64_t address;
	le64_t word;
};

#define VIRTIO_DESC_F_NEXT  1ull
#define VIRTIO_DESC_F_WRITE 2ull
#define VIRTIO_SPLIT_FLAGS  32 /* where flags and next are in the word */
#define VIRTIO_SPLIT_NEXT   48
#define VIRTIO_PACKED_ID    32
#define VIRTIO_PACKED_FLAGS 48
#define VIRTIO_PACKED_AVAIL (1ull << (VIRTIO_PACKED_FLAGS + 7)) /* 2.8.1 */
#define VIRTIO_PACKED_USED  (1ull << (VIRTIO_PACKED_FLAGS + 15))

/* 2.7.6; behind the ring: used_event. */
struct virtio_avail {
	le16_t flags;
	le16_t idx;
	le16_t ring[];
};

#define VIRTIO_AVAIL_F_NO_INTERRUPT 1u

/* 2.7.8; behind the ring: avail_event, 16 bits. An element is id, len. */
struct virtio_used {
	le16_t flags;
	le16_t idx;
	le32_t ring[]; /* twice the ring's size: the elements are aligned as these */
};

#define VIRTIO_USED_F_NO_NOTIFY 1u

/* 2.8.14: the event suppression structure in one word: offset and wrap counter, flags. */
#define VIRTIO_EVENT_OFFSET  0x7fffu
#define VIRTIO_EVENT_WRAP    0x8000u
#define VIRTIO_EVENT_ENABLE  (0u << 16)
#define VIRTIO_EVENT_DISABLE (1u << 16)
#define VIRTIO_EVENT_DESC    (2u << 16)
#define VIRTIO_EVENT_FLAGS   (3u << 16)

#define VIRTIO_NET_HEADER    12 /* bytes */
_Static_assert(sizeof(struct virtio_net_hdr) == VIRTIO_NET_HEADER, "header");
_Static_assert(offsetof(struct virtio_net_hdr, num_buffers) == 10, "header");
_Static_assert(sizeof(struct virtio_desc) == 16, "descriptor");
_Static_assert(sizeof(struct virtio_avail) == 4, "available ring");
_Static_assert(sizeof(struct virtio_used) == 4, "used ring");

extern const struct userpci_register virtio_net_registers[];

#endif
