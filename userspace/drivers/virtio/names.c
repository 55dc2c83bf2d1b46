/* SPDX-License-Identifier: MIT */
/*
 * The registers' names as the specification has them, for traces.
 *
 * Spec: 4.1.4: where they are the device's capabilities say. QEMU: its devices all have them here.
 */
#include "regs.h"

#define NAMES_BAR    4
#define NAMES_ISR    0x1000
#define NAMES_CONFIG 0x2000
#define NAMES_NOTIFY 0x3000
#define NAMES_QUEUES 1024

#define COMMON(register_, width_)                                                    \
	{                                                                            \
		.offset = VIRTIO_##register_, .width = (width_), .name = #register_, \
		.region = NAMES_BAR                                                  \
	}
#define CONFIG(register_, width_)                                               \
	{                                                                       \
		.offset = NAMES_CONFIG + VIRTIO_##register_, .width = (width_), \
		.name = #register_, .region = NAMES_BAR                         \
	}

const struct userpci_register virtio_net_registers[] = {
	COMMON(DEVICE_FEATURE_SEL, 4),
	COMMON(DEVICE_FEATURE, 4),
	COMMON(DRIVER_FEATURE_SEL, 4),
	COMMON(DRIVER_FEATURE, 4),
	COMMON(CONFIG_MSIX_VECTOR, 2),
	COMMON(NUM_QUEUES, 2),
	COMMON(DEVICE_STATUS, 1),
	COMMON(CONFIG_GENERATION, 1),
	COMMON(QUEUE_SELECT, 2),
	COMMON(QUEUE_SIZE, 2),
	COMMON(QUEUE_MSIX_VECTOR, 2),
	COMMON(QUEUE_ENABLE, 2),
	COMMON(QUEUE_NOTIFY_OFF, 2),
	COMMON(QUEUE_DESC, 8),
	COMMON(QUEUE_DRIVER, 8),
	COMMON(QUEUE_DEVICE, 8),
	{ .offset = NAMES_ISR, .width = 1, .name = "ISR", .region = NAMES_BAR },
	CONFIG(NET_MAC, 6),
	CONFIG(NET_STATUS, 2),
	CONFIG(NET_MAX_PAIRS, 2),
	CONFIG(NET_MTU, 2),
	CONFIG(NET_SPEED, 4),
	CONFIG(NET_DUPLEX, 1),
	{ .offset = NAMES_NOTIFY,
	  .width = 2,
	  .name = "NOTIFY",
	  .count = NAMES_QUEUES,
	  .stride = 4,
	  .region = NAMES_BAR },
	{ .name = NULL },
};
