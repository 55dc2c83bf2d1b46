/* SPDX-License-Identifier: MIT */
/*
 * A virtio device on PCI, by its capabilities.
 *
 * Spec: Virtual I/O Device (VIRTIO) Version 1.2, 4.1; the order of initialisation is 3.1.1's.
 */
#ifndef VIRTIO_MODERN_H
#define VIRTIO_MODERN_H

#include <stdbool.h>

#include "regs.h"

#define VIRTIO_BARS	    6
#define VIRTIO_TIMEOUT_US   1000000 /* for the device to do what it was told */
#define VIRTIO_PAUSE_MIN_US 50	    /* between two looks: as long as it has lasted until now */
#define VIRTIO_PAUSE_MAX_US 1000

/* A structure of the device's, inside of a BAR. */
struct virtio_part {
	struct userpci_region *region; /* NULL: there is none */
	uint64_t offset, size;
};

struct virtio_modern {
	struct userpci_device *device;
	struct userpci_region regions[VIRTIO_BARS];
	struct virtio_part common, notify, isr, config;
	uint32_t notify_multiplier;
};

/* Where a write says that there is something in a queue. */
struct virtio_doorbell {
	const struct userpci_region *region;
	uint64_t offset;
	uint16_t queue;
};

/* What the device is told of a queue. */
struct virtio_queue_setup {
	uint16_t index, size, vector;
	uint64_t desc, driver, device; /* iovas */
};

/* A pause between two looks, of a wait that has lasted so long. */
void virtio_pause(unsigned int *waited_us);

/* Finds the device's structures and maps their BARs. -EOPNOTSUPP: it has no modern interface; -EIO:
 * what it says of itself makes no sense; what userpci_region_map() returns. */
int virtio_modern_map(struct userpci_device *device, struct virtio_modern *m);
void virtio_modern_unmap(struct virtio_modern *m);

/* Stops the device, and waits until it has: it touches no memory afterwards. -ENODEV; -ETIMEDOUT.
 */
int virtio_modern_reset(const struct virtio_modern *m);
/* -ENODEV; -EIO: it wants to be reset. */
int virtio_modern_check(const struct virtio_modern *m);
void virtio_modern_status_add(const struct virtio_modern *m, uint8_t bits);

/* Steps 2 to 4, up to the features that the device offers. -ENODEV; -EOPNOTSUPP: it is of an older
 * version. */
int virtio_modern_offered(const struct virtio_modern *m, uint64_t *features);
/* Steps 4 to 6. -EIO: the device does not accept them. */
int virtio_modern_accept(const struct virtio_modern *m, uint64_t features);

/* The largest size of a queue; 0: there is none of that number. */
uint32_t virtio_modern_queue_size(const struct virtio_modern *m, uint16_t index);
/* -EIO: the device does not take it. */
int virtio_modern_queue_enable(const struct virtio_modern *m, const struct virtio_queue_setup *q,
			       struct virtio_doorbell *doorbell);
/* -EIO: the device does not take it. */
int virtio_modern_config_vector(const struct virtio_modern *m, uint16_t vector);

/* The causes of an INTx interrupt, which they no longer raise. */
uint8_t virtio_modern_isr(const struct virtio_modern *m);
/* Changes when the configuration does. */
uint8_t virtio_modern_generation(const struct virtio_modern *m);
/* Fields of the device's configuration, in their width; 0 when it is shorter. */
uint8_t virtio_modern_config8(const struct virtio_modern *m, uint32_t offset);
uint16_t virtio_modern_config16(const struct virtio_modern *m, uint32_t offset);
uint32_t virtio_modern_config32(const struct virtio_modern *m, uint32_t offset);

#endif
