/* SPDX-License-Identifier: MIT */
/* The PCI transport: capabilities, status, features, queues. */
#include <errno.h>
#include <string.h>

#include <unic/driver.h>

#include "modern.h"

#define MODERN_GONE8	0xffu
#define MODERN_GONE32	0xffffffffu
#define MODERN_CAP_BARS (VIRTIO_BARS - 1) /* the highest that a capability may name */
#define MODERN_CONFIG	256		  /* bytes of configuration space that have capabilities */

static uint8_t rd8(const struct virtio_modern *m, uint32_t reg)
{
	return userpci_read8(m->common.region, m->common.offset + reg);
}

static uint16_t rd16(const struct virtio_modern *m, uint32_t reg)
{
	return userpci_read16(m->common.region, m->common.offset + reg);
}

static uint32_t rd32(const struct virtio_modern *m, uint32_t reg)
{
	return userpci_read32(m->common.region, m->common.offset + reg);
}

static void wr8(const struct virtio_modern *m, uint32_t reg, uint8_t value)
{
	userpci_write8(m->common.region, m->common.offset + reg, value);
}

static void wr16(const struct virtio_modern *m, uint32_t reg, uint16_t value)
{
	userpci_write16(m->common.region, m->common.offset + reg, value);
}

static void wr32(const struct virtio_modern *m, uint32_t reg, uint32_t value)
{
	userpci_write32(m->common.region, m->common.offset + reg, value);
}

/* Spec: 4.1.3.1: 64-bit fields by their halves. */
static void wr64(const struct virtio_modern *m, uint32_t reg, uint64_t value)
{
	wr32(m, reg, (uint32_t)value);
	wr32(m, reg + 4, (uint32_t)(value >> 32));
}

void virtio_pause(unsigned int *waited_us)
{
	unsigned int pause = *waited_us;

	if (pause < VIRTIO_PAUSE_MIN_US)
		pause = VIRTIO_PAUSE_MIN_US;
	if (pause > VIRTIO_PAUSE_MAX_US)
		pause = VIRTIO_PAUSE_MAX_US;
	unic_sleep_us(pause);
	*waited_us += pause;
}

/* --- Capabilities --- */

/* What a capability says. */
struct modern_cap {
	uint32_t length, type, bar, offset, size, multiplier;
};

static int modern_cap_read(struct userpci_device *device, unsigned int at, struct modern_cap *cap)
{
	uint32_t head = 0, bar = 0;
	int err;

	if (at + VIRTIO_PCI_CAP_END > MODERN_CONFIG)
		return -EIO;
	err = userpci_config_read(device, at, 4, &head);
	cap->length = head >> 8 * VIRTIO_PCI_CAP_LENGTH & 0xff;
	cap->type = head >> 8 * VIRTIO_PCI_CAP_TYPE;
	if (!err)
		err = userpci_config_read(device, at + VIRTIO_PCI_CAP_BAR, 4, &bar);
	cap->bar = bar & 0xff;
	if (!err)
		err = userpci_config_read(device, at + VIRTIO_PCI_CAP_OFFSET, 4, &cap->offset);
	if (!err)
		err = userpci_config_read(device, at + VIRTIO_PCI_CAP_SIZE, 4, &cap->size);
	cap->multiplier = 0;
	if (!err && cap->type == VIRTIO_PCI_CAP_NOTIFY_CFG &&
	    at + VIRTIO_PCI_CAP_NOTIFY_END <= MODERN_CONFIG)
		err = userpci_config_read(device, at + VIRTIO_PCI_CAP_MULTIPLIER, 4,
					  &cap->multiplier);
	return err;
}

/* The structure that a type of capability is about, with the alignment and the size that it has at
 * least. Spec: 4.1.4.3 to 4.1.4.6. NULL: none of interest. */
static struct virtio_part *modern_part(struct virtio_modern *m, const struct modern_cap *cap,
				       uint32_t *align, uint32_t *least)
{
	switch (cap->type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		*align = 4;
		*least = VIRTIO_COMMON_END;
		return &m->common;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		*align = 2;
		*least = 2;
		return &m->notify;
	case VIRTIO_PCI_CAP_ISR_CFG:
		*align = 1;
		*least = 1;
		return &m->isr;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		*align = 4;
		*least = VIRTIO_NET_STATUS;
		return &m->config;
	default:
		return NULL;
	}
}

/* Spec: 4.1.4.1: of several the first that can be used; reserved BARs are passed over. */
static int modern_cap_use(struct virtio_modern *m, const struct modern_cap *cap)
{
	uint32_t end = VIRTIO_PCI_CAP_END, align, least;
	struct virtio_part *part = modern_part(m, cap, &align, &least);
	struct userpci_region *region;
	int err;

	if (cap->type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		end = VIRTIO_PCI_CAP_NOTIFY_END;
	if (!part || part->region || cap->length < end || cap->bar > MODERN_CAP_BARS ||
	    cap->offset % align || cap->size < least)
		return 0;
	region = &m->regions[cap->bar];
	if (!region->size) {
		err = userpci_region_map(m->device, cap->bar, region);
		if (err) {
			memset(region, 0, sizeof(*region));
			return err == -ENOENT ? 0 : err;
		}
	}
	if ((uint64_t)cap->offset + cap->size > region->size)
		return 0;
	*part = (struct virtio_part){ .region = region, .offset = cap->offset, .size = cap->size };
	if (part == &m->notify)
		m->notify_multiplier = cap->multiplier;
	return 0;
}

static int modern_caps_find(struct virtio_modern *m)
{
	struct modern_cap cap;
	unsigned int at = 0, count;
	int err = 0;

	/* The list has no more members than there is room for. */
	for (count = 0; !err && count < MODERN_CONFIG / 4; count++) {
		err = userpci_config_find(m->device, VIRTIO_PCI_CAP_VENDOR, &at);
		if (!err)
			err = modern_cap_read(m->device, at, &cap);
		if (!err)
			err = modern_cap_use(m, &cap);
	}
	if (err && err != -ENOENT)
		return err;
	if (!m->common.region)
		return -EOPNOTSUPP;
	return m->notify.region && m->isr.region && m->config.region ? 0 : -EIO;
}

int virtio_modern_map(struct userpci_device *device, struct virtio_modern *m)
{
	int err;

	memset(m, 0, sizeof(*m));
	m->device = device;
	err = modern_caps_find(m);
	if (err)
		virtio_modern_unmap(m);
	return err;
}

void virtio_modern_unmap(struct virtio_modern *m)
{
	unsigned int i;

	for (i = 0; i < VIRTIO_BARS; i++)
		if (m->regions[i].size)
			userpci_region_unmap(&m->regions[i]);
}

/* --- Status and features --- */

int virtio_modern_reset(const struct virtio_modern *m)
{
	unsigned int waited = 0;
	uint8_t status;

	wr8(m, VIRTIO_DEVICE_STATUS, 0);
	/* Spec: 2.4.2, 4.1.4.3.2: it has stopped when the status reads 0. */
	while (waited < VIRTIO_TIMEOUT_US) {
		status = rd8(m, VIRTIO_DEVICE_STATUS);
		if (!status)
			return 0;
		if (status == MODERN_GONE8)
			return -ENODEV;
		virtio_pause(&waited);
	}
	return -ETIMEDOUT;
}

int virtio_modern_check(const struct virtio_modern *m)
{
	uint8_t status = rd8(m, VIRTIO_DEVICE_STATUS);

	if (status == MODERN_GONE8)
		return -ENODEV;
	return status & VIRTIO_STATUS_NEEDS_RESET ? -EIO : 0;
}

void virtio_modern_status_add(const struct virtio_modern *m, uint8_t bits)
{
	wr8(m, VIRTIO_DEVICE_STATUS, rd8(m, VIRTIO_DEVICE_STATUS) | bits);
}

int virtio_modern_offered(const struct virtio_modern *m, uint64_t *features)
{
	uint32_t low, high;

	/* 2. The device was noticed. */
	virtio_modern_status_add(m, VIRTIO_STATUS_ACKNOWLEDGE);
	/* 3. It can be driven. */
	virtio_modern_status_add(m, VIRTIO_STATUS_DRIVER);
	/* 4. What it offers. */
	wr32(m, VIRTIO_DEVICE_FEATURE_SEL, 0);
	low = rd32(m, VIRTIO_DEVICE_FEATURE);
	wr32(m, VIRTIO_DEVICE_FEATURE_SEL, 1);
	high = rd32(m, VIRTIO_DEVICE_FEATURE);
	if (low == MODERN_GONE32 && high == MODERN_GONE32)
		return -ENODEV;
	*features = (uint64_t)high << 32 | low;
	return *features & VIRTIO_F_VERSION_1 ? 0 : -EOPNOTSUPP;
}

int virtio_modern_accept(const struct virtio_modern *m, uint64_t features)
{
	/* 4. What is taken of it. */
	wr32(m, VIRTIO_DRIVER_FEATURE_SEL, 0);
	wr32(m, VIRTIO_DRIVER_FEATURE, (uint32_t)features);
	wr32(m, VIRTIO_DRIVER_FEATURE_SEL, 1);
	wr32(m, VIRTIO_DRIVER_FEATURE, (uint32_t)(features >> 32));
	/* 5. No more will be. */
	virtio_modern_status_add(m, VIRTIO_STATUS_FEATURES_OK);
	/* 6. The device agrees. */
	return rd8(m, VIRTIO_DEVICE_STATUS) & VIRTIO_STATUS_FEATURES_OK ? virtio_modern_check(m)
									: -EIO;
}

/* --- Queues --- */

uint32_t virtio_modern_queue_size(const struct virtio_modern *m, uint16_t index)
{
	uint16_t count = rd16(m, VIRTIO_NUM_QUEUES);

	if (index >= count)
		return 0;
	wr16(m, VIRTIO_QUEUE_SELECT, index);
	return rd16(m, VIRTIO_QUEUE_SIZE);
}

/* Spec: 4.1.4.4. */
static int modern_doorbell(const struct virtio_modern *m, uint16_t index,
			   struct virtio_doorbell *doorbell)
{
	uint64_t offset = (uint64_t)rd16(m, VIRTIO_QUEUE_NOTIFY_OFF) * m->notify_multiplier;

	if (offset + 2 > m->notify.size || offset % 2)
		return -EIO;
	doorbell->region = m->notify.region;
	doorbell->offset = m->notify.offset + offset;
	doorbell->queue = index;
	return 0;
}

/* Spec: 4.1.5.1.3, and 4.1.5.1.2.1 for the vector. */
int virtio_modern_queue_enable(const struct virtio_modern *m, const struct virtio_queue_setup *q,
			       struct virtio_doorbell *doorbell)
{
	int err;

	if (virtio_modern_queue_size(m, q->index) < q->size)
		return -EIO;
	err = modern_doorbell(m, q->index, doorbell);
	if (err)
		return err;
	wr16(m, VIRTIO_QUEUE_SIZE, q->size);
	wr16(m, VIRTIO_QUEUE_MSIX_VECTOR, q->vector);
	if (rd16(m, VIRTIO_QUEUE_MSIX_VECTOR) != q->vector)
		return -EIO;
	wr64(m, VIRTIO_QUEUE_DESC, q->desc);
	wr64(m, VIRTIO_QUEUE_DRIVER, q->driver);
	wr64(m, VIRTIO_QUEUE_DEVICE, q->device);
	wr16(m, VIRTIO_QUEUE_ENABLE, 1);
	return 0;
}

int virtio_modern_config_vector(const struct virtio_modern *m, uint16_t vector)
{
	wr16(m, VIRTIO_CONFIG_MSIX_VECTOR, vector);
	return rd16(m, VIRTIO_CONFIG_MSIX_VECTOR) == vector ? 0 : -EIO;
}

/* --- Configuration --- */

uint8_t virtio_modern_isr(const struct virtio_modern *m)
{
	return userpci_read8(m->isr.region, m->isr.offset);
}

uint8_t virtio_modern_generation(const struct virtio_modern *m)
{
	return rd8(m, VIRTIO_CONFIG_GENERATION);
}

uint8_t virtio_modern_config8(const struct virtio_modern *m, uint32_t offset)
{
	if (offset + 1 > m->config.size)
		return 0;
	return userpci_read8(m->config.region, m->config.offset + offset);
}

uint16_t virtio_modern_config16(const struct virtio_modern *m, uint32_t offset)
{
	if (offset + 2 > m->config.size)
		return 0;
	return userpci_read16(m->config.region, m->config.offset + offset);
}

uint32_t virtio_modern_config32(const struct virtio_modern *m, uint32_t offset)
{
	if (offset + 4 > m->config.size)
		return 0;
	return userpci_read32(m->config.region, m->config.offset + offset);
}
