/* SPDX-License-Identifier: MIT */
/* Callers that know less than this module, and callers that know more. */
#include "kit.h"

/* The structures that have grown, as the first version had them. Never to be changed. */
struct info_v1 {
	uint32_t size, api_version, flags;
	uint16_t vendor_id, device_id, subsystem_vendor_id, subsystem_id;
	uint32_t class_code, num_regions, num_intx, num_msi, num_msix, dma_mask_bits;
	int32_t numa_node;
};

struct dma_v1 {
	uint32_t size, flags;
	uint64_t bytes, iova, offset;
	uint32_t handle, reserved;
};

_Static_assert(sizeof(struct info_v1) == 48, "");
_Static_assert(sizeof(struct dma_v1) == 40, "");

/* Those that have not: a longer one must come with a line here and in the table below. */
_Static_assert(sizeof(struct userpci_uapi_info) == 64, "");
_Static_assert(sizeof(struct userpci_uapi_region) == 48, "");
_Static_assert(sizeof(struct userpci_uapi_access) == 32, "");
_Static_assert(sizeof(struct userpci_uapi_config) == 16, "");
_Static_assert(sizeof(struct userpci_uapi_dma_mask) == 8, "");
_Static_assert(sizeof(struct userpci_uapi_dma) == 88, "");
_Static_assert(sizeof(struct userpci_uapi_dma_get) == 104, "");
_Static_assert(sizeof(struct userpci_uapi_irq) == 16, "");
_Static_assert(sizeof(struct userpci_uapi_irq_eventfd) == 16, "");
_Static_assert(sizeof(struct userpci_uapi_irq_mask) == 16, "");
_Static_assert(sizeof(struct userpci_uapi_irq_limit) == 16, "");
_Static_assert(sizeof(struct userpci_uapi_bus_master) == 8, "");
_Static_assert(sizeof(struct userpci_uapi_reset) == 8, "");
_Static_assert(sizeof(struct userpci_uapi_map) == 32, "");
_Static_assert(sizeof(struct userpci_uapi_event) == 16, "");
_Static_assert(sizeof(struct userpci_uapi_vector) == 16, "");
_Static_assert(sizeof(struct userpci_uapi_stats) == 48 + 64 * 16, "");

/* A structure at the start of more memory than any has, to see what is written behind it. */
union caller {
	uint32_t size;
	uint8_t bytes[256];
	struct info_v1 info_v1;
	struct dma_v1 dma_v1;
	struct userpci_uapi_info info;
	struct userpci_uapi_dma dma;
};

static union caller caller_of(uint32_t size)
{
	union caller c;

	memset(&c, 0, size);
	memset(c.bytes + size, 0xc5, sizeof(c) - size);
	c.size = size;
	return c;
}

static void check_untouched(const union caller *c, uint32_t size)
{
	CHECK_EQ(c->size, size);
	CHECK(all_bytes(c->bytes + size, 0xc5, sizeof(*c) - size));
}

TEST(version_first_info)
{
	int fd = node_own(EDU);
	union caller c = caller_of(sizeof(struct info_v1));

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &c), 0);
	check_untouched(&c, sizeof(struct info_v1));
	CHECK_EQ(c.info_v1.api_version, 1);
	CHECK_EQ(c.info_v1.vendor_id, 0x1234);
	CHECK_EQ(c.info_v1.device_id, 0x11e8);
	CHECK_EQ(c.info_v1.num_regions, 6);
	CHECK_EQ(c.info_v1.num_msi, 1);
	CHECK_EQ(c.info_v1.dma_mask_bits, 32);
	close(fd);
}

/* Allocate, map, free: as the first library does. */
TEST(version_first_dma)
{
	union caller c = caller_of(sizeof(struct dma_v1));
	uint8_t *va;
	void *regs;
	int fd = edu_own(&regs);

	c.dma_v1.bytes = 3 * PAGE - 7;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &c), 0);
	check_untouched(&c, sizeof(struct dma_v1));
	CHECK_EQ(c.dma_v1.bytes, 3 * PAGE);
	va = map(fd, c.dma_v1.offset, 3 * PAGE, PROT_READ | PROT_WRITE);
	CHECK(all_bytes(va, 0, 3 * PAGE));
	va[2 * PAGE] = 0x5b;
	edu_move(regs, c.dma_v1.iova + 2 * PAGE, c.dma_v1.iova + PAGE - 1, 1);
	CHECK_EQ(va[PAGE - 1], 0x5b);
	CHECK_EQ(munmap(va, 3 * PAGE), 0);
	CHECK_EQ(call(fd, USERPCI_DMA_FREE, &c), 0);
	CHECK_EQ(call(fd, USERPCI_DMA_FREE, &c), -ENOENT);
	c.dma_v1.reserved = 1;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &c), -EINVAL);
	close(fd);
}

/* Every size from the first version to beyond this one's: what fits is told, and no more. */
static void check_sizes(int fd, unsigned long command, uint32_t first, uint32_t now)
{
	uint32_t size;

	for (size = 0; size < first; size++) {
		union caller c = caller_of(now);

		c.size = size;
		CHECK_EQ(call(fd, command, &c), -EINVAL);
	}
	for (; size <= sizeof(union caller); size++) {
		union caller c = caller_of(size), next;

		if (command == USERPCI_DMA_ALLOC)
			c.dma.bytes = PAGE;
		next = c;
		CHECK_EQ(call(fd, command, &c), 0);
		check_untouched(&c, size);
		if (size > now)
			CHECK(all_bytes(c.bytes + now, 0, size - now));
		if (command == USERPCI_DMA_ALLOC)
			CHECK_EQ(dma_free(fd, c.dma.handle), 0);
		if (size <= now)
			continue;
		next.bytes[size - 1] = 1;
		CHECK_EQ(call(fd, command, &next), -E2BIG);
	}
}

TEST(version_info_sizes)
{
	int fd = node_own(EDU);

	check_sizes(fd, USERPCI_GET_INFO, sizeof(struct info_v1), sizeof(struct userpci_uapi_info));
	close(fd);
}

TEST(version_dma_sizes)
{
	int fd = node_own(EDU);

	check_sizes(fd, USERPCI_DMA_ALLOC, sizeof(struct dma_v1), sizeof(struct userpci_uapi_dma));
	close(fd);
}

/* A structure that ends with its page: nothing behind it is read. */
TEST(version_at_the_edge)
{
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	int fd = node_own(EDU);
	struct dma_v1 *d;

	CHECK(page != MAP_FAILED);
	CHECK_EQ(munmap(page + PAGE, PAGE), 0);
	d = (struct dma_v1 *)(page + PAGE - sizeof(*d));
	d->size = sizeof(*d);
	d->bytes = PAGE;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, d), 0);
	CHECK_EQ(call(fd, USERPCI_DMA_FREE, d), 0);
	d->size = sizeof(struct userpci_uapi_dma);
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, d), -EFAULT);
	CHECK_EQ(munmap(page, PAGE), 0);
	close(fd);
}
