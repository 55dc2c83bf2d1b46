/* SPDX-License-Identifier: MIT */
/*
 * libuserpci's functions, for a device that is a model and the input's mood: registers are calls,
 * DMA memory is of malloc(), each buffer for itself, at addresses that are no pointers.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "fuzz.h"

#define IOVA	   0x1234500000000ull
#define IOVA_32	   0x12345000ull /* for devices that reach no further */
#define DMA_MAX	   (128u << 10)	 /* memory is in pieces, no larger than this */
#define ACCESS_MAX 300000	 /* in one call: more is a loop without end */

struct userpci_device {
	int unused;
};

struct memory {
	struct memory *next;
	uint64_t iova, size;
	void *va;
};

struct fuzz fuzz;

static struct userpci_device the_device;
static struct memory *memories;
static uint64_t next_iova;
static bool acting;

void fuzz_plug(const struct fuzz_target *target)
{
	memset(&fuzz, 0, sizeof(fuzz));
	fuzz.target = target;
	fuzz.irq_kind = -EINVAL;
	fuzz.info.vendor_id = target->vendor;
	fuzz.info.device_id = target->device;
	strcpy(fuzz.info.address, "0000:00:04.0");
	memcpy(fuzz.config, &target->vendor, 2);
	memcpy(fuzz.config + 2, &target->device, 2);
	target->model->plug();
}

void fuzz_check_released(void)
{
	FUZZ_CHECK(!memories);
	FUZZ_CHECK(!fuzz.mapped);
	FUZZ_CHECK(!fuzz.opened);
	FUZZ_CHECK(!fuzz.bus_master);
	FUZZ_CHECK(fuzz.irq_kind == -EINVAL);
}

/* Whether this call is the one that fails. */
static bool fails(void)
{
	return fuzz.fail_after && !--fuzz.fail_after;
}

/* --- Life --- */

int userpci_open(const char *address, unsigned int flags, struct userpci_device **device)
{
	(void)address, (void)flags;
	FUZZ_CHECK(!fuzz.opened);
	fuzz.opened = true;
	*device = &the_device;
	return 0;
}

void userpci_close(struct userpci_device *device)
{
	(void)device;
	FUZZ_CHECK(fuzz.opened);
	fuzz.opened = false;
}

const char *userpci_explain(const char *address, int error, char *text, size_t size)
{
	(void)address, (void)error;
	snprintf(text, size, "failed");
	return text;
}

const struct userpci_info *userpci_info(const struct userpci_device *device)
{
	(void)device;
	return &fuzz.info;
}

int userpci_bus_master_enable(struct userpci_device *device)
{
	(void)device;
	if (fuzz.gone || fails())
		return -ENODEV;
	fuzz.bus_master = true;
	return 0;
}

/* A device that is gone touches no memory, either. */
int userpci_bus_master_disable(struct userpci_device *device)
{
	(void)device;
	fuzz.bus_master = false;
	return fuzz.gone ? -ENODEV : 0;
}

int userpci_reset(struct userpci_device *device)
{
	(void)device;
	fuzz.bus_master = false;
	return fuzz.gone ? -ENODEV : 0;
}

/* --- Registers --- */

int userpci_region_map(struct userpci_device *device, unsigned int index,
		       struct userpci_region *region)
{
	if (index >= FUZZ_BARS)
		return -EINVAL;
	if (!fuzz.bar_size[index])
		return -ENOENT;
	if (fails())
		return -ENOMEM;
	FUZZ_CHECK(!(fuzz.mapped & 1u << index));
	fuzz.mapped |= 1u << index;
	memset(region, 0, sizeof(*region));
	region->size = fuzz.bar_size[index];
	region->index = index;
	region->device = device;
	return 0;
}

void userpci_region_unmap(struct userpci_region *region)
{
	FUZZ_CHECK(fuzz.mapped & 1u << region->index);
	fuzz.mapped &= ~(1u << region->index);
	memset(region, 0, sizeof(*region));
}

FUZZ_NO_NEWS static void access_check(const struct userpci_region *region, uint64_t offset,
				      unsigned int width)
{
	FUZZ_CHECK(region->index < FUZZ_BARS && fuzz.mapped & 1u << region->index);
	FUZZ_CHECK(offset + width <= fuzz.bar_size[region->index] && !(offset % width));
	FUZZ_CHECK(++fuzz.accesses < ACCESS_MAX);
}

/* In the midst of a call, but behind the access: what a driver has written before a doorbell is
 * looked at first. */
FUZZ_NO_NEWS static void act_meanwhile(void)
{
	if (!fuzz.act_after || --fuzz.act_after || acting || fuzz.gone)
		return;
	acting = true;
	fuzz.target->model->act();
	acting = false;
}

FUZZ_NO_NEWS static uint64_t told(uint64_t value)
{
	struct fuzz_lie *lie = &fuzz.lie;

	if (!lie->count)
		return value;
	if (lie->after) {
		lie->after--;
		return value;
	}
	lie->count--;
	fuzz.lied = true;
	switch (lie->kind) {
	case FUZZ_LIE_ONES:
		return UINT64_MAX;
	case FUZZ_LIE_ZERO:
		return 0;
	case FUZZ_LIE_XOR:
		return value ^ lie->value;
	default:
		return lie->value;
	}
}

FUZZ_NO_NEWS uint64_t userpci_region_read(const struct userpci_region *region, uint64_t offset,
					  unsigned int width)
{
	uint64_t value = UINT64_MAX;

	access_check(region, offset, width);
	if (!fuzz.gone)
		value = told(fuzz.target->model->read(region->index, offset, width));
	act_meanwhile();
	return width < 8 ? value & ((1ull << 8 * width) - 1) : value;
}

void userpci_region_write(const struct userpci_region *region, uint64_t offset, unsigned int width,
			  uint64_t value)
{
	access_check(region, offset, width);
	if (!fuzz.gone)
		fuzz.target->model->write(region->index, offset, width, value);
	act_meanwhile();
}

/* --- Configuration space --- */

int userpci_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			uint32_t *value)
{
	(void)device;
	if (width > 4 || offset % width)
		return -EINVAL;
	if (offset + width > FUZZ_CONFIG_SIZE)
		return -ERANGE;
	if (fails())
		return -ENODEV;
	*value = 0;
	if (fuzz.gone)
		memset(value, 0xff, width);
	else
		memcpy(value, fuzz.config + offset, width);
	return 0;
}

int userpci_config_find(struct userpci_device *device, unsigned int id, unsigned int *offset)
{
	unsigned int at = fuzz.config[0x34] & 0xfcu, count;
	bool behind = !*offset;

	(void)device;
	for (count = 0; count < FUZZ_CONFIG_SIZE / 4; count++, at = fuzz.config[at + 1] & 0xfcu) {
		if (at < 0x40)
			return -ENOENT;
		if (behind && fuzz.config[at] == id) {
			*offset = at;
			return 0;
		}
		behind = behind || at == *offset;
	}
	return -EIO;
}

/* --- Memory --- */

int userpci_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	(void)device;
	FUZZ_CHECK(bits >= 32 && bits <= 64);
	next_iova = bits < 64 ? IOVA_32 : IOVA;
	return fails() ? -EIO : 0;
}

int userpci_dma_alloc(struct userpci_device *device, uint64_t size, struct userpci_dma *dma)
{
	struct memory *memory;

	if (!size)
		return -EINVAL;
	if (size > DMA_MAX || fails())
		return -ENOMEM;
	memory = malloc(sizeof(*memory));
	FUZZ_CHECK(memory);
	memory->size = (size + 4095) & ~4095ull;
	memory->va = aligned_alloc(4096, memory->size);
	FUZZ_CHECK(memory->va);
	memset(memory->va, 0, memory->size);
	memory->iova = next_iova;
	memory->next = memories;
	memories = memory;
	next_iova += memory->size + 0x100000;
	memset(dma, 0, sizeof(*dma));
	dma->va = memory->va;
	dma->iova = memory->iova;
	dma->size = memory->size;
	dma->device = device;
	dma->chunks = 1;
	return 0;
}

int userpci_dma_create(struct userpci_device *device, const struct userpci_dma_options *options,
		       struct userpci_dma *dma)
{
	(void)device, (void)options, (void)dma;
	return -EOPNOTSUPP;
}

void userpci_dma_free(struct userpci_dma *dma)
{
	struct memory **link = &memories, *memory;

	if (!dma->size)
		return;
	FUZZ_CHECK(!fuzz.bus_master);
	while (*link && (*link)->va != dma->va)
		link = &(*link)->next;
	memory = *link;
	FUZZ_CHECK(memory);
	*link = memory->next;
	free(memory->va);
	free(memory);
	memset(dma, 0, sizeof(*dma));
}

FUZZ_NO_NEWS static const struct memory *memory_find(uint64_t iova, uint64_t size)
{
	const struct memory *memory;

	for (memory = memories; memory; memory = memory->next)
		if (iova >= memory->iova && iova - memory->iova < memory->size &&
		    size <= memory->size - (iova - memory->iova))
			return memory;
	return NULL;
}

void *fuzz_memory(uint64_t iova, uint64_t size)
{
	const struct memory *memory = memory_find(iova, size);

	return memory ? (char *)memory->va + (iova - memory->iova) : NULL;
}

void *fuzz_memory_of(uint64_t iova, uint64_t *start)
{
	const struct memory *memory = memory_find(iova, 1);

	if (!memory)
		return NULL;
	*start = memory->iova;
	return memory->va;
}

void *fuzz_dma(uint64_t iova, uint64_t size)
{
	return fuzz.bus_master && !fuzz.gone ? fuzz_memory(iova, size) : NULL;
}

/* --- Interrupts --- */

int userpci_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	const uint32_t *have[] = { &fuzz.info.num_intx, &fuzz.info.num_msi, &fuzz.info.num_msix };
	unsigned int i;

	(void)device;
	if (fails())
		return -EMFILE;
	for (i = USERPCI_IRQ_MSIX + 1; i-- > 0;)
		if ((kind == USERPCI_IRQ_BEST || kind == i) && count <= *have[i]) {
			fuzz.irq_kind = (int)i;
			fuzz.irq_count = count;
			return 0;
		}
	return -ENOSPC;
}

void userpci_irq_disable(struct userpci_device *device)
{
	(void)device;
	fuzz.irq_kind = -EINVAL;
}

int userpci_irq_kind(const struct userpci_device *device)
{
	(void)device;
	return fuzz.irq_kind;
}

/* The device may act meanwhile. */
int userpci_irq_wait(struct userpci_device *device, unsigned int vector, int64_t timeout_us,
		     uint64_t *count)
{
	static const int results[] = { 0, -ETIMEDOUT, -EINTR, -ENODEV };
	uint8_t what = fuzz_u8();

	(void)device, (void)timeout_us, (void)count;
	FUZZ_CHECK(fuzz.irq_kind >= 0 && vector < fuzz.irq_count);
	if (what & 4 && !fuzz.gone)
		fuzz.target->model->act();
	return results[what % 4];
}

int userpci_irq_unmask(struct userpci_device *device, unsigned int vector)
{
	(void)device;
	FUZZ_CHECK(fuzz.irq_kind >= 0 && vector < fuzz.irq_count);
	return fuzz.gone ? -ENODEV : 0;
}

int userpci_irq_fd(const struct userpci_device *device, unsigned int vector)
{
	(void)device;
	return fuzz.irq_kind >= 0 && vector < fuzz.irq_count ? FUZZ_FD : -EINVAL;
}

/* Time costs nothing: waits are bounded by a number of looks. */
int nanosleep(const struct timespec *time, struct timespec *left)
{
	(void)time, (void)left;
	return 0;
}
