/* SPDX-License-Identifier: MIT */
/* QEMU's edu device on each backend: registers, interrupts of both kinds, DMA. */
#include "suite.h"

TEST_ON(~0u, edu_registers)
{
	struct userpci_device *device = own("edu");
	struct userpci_region regs = map(device, 0);

	CHECK_EQ(regs.size, 1 << 20);
	CHECK_EQ(userpci_read32(&regs, EDU_ID), 0x010000ed);
	userpci_write32(&regs, EDU_ALIVE, 0xf0f0f0f0);
	CHECK_EQ(userpci_read32(&regs, EDU_ALIVE), 0x0f0f0f0f);
	CHECK_EQ(userpci_region_read(&regs, EDU_ID, 4), 0x010000ed);
	userpci_write64(&regs, EDU_SOURCE, 0x123456789abcdef0);
	CHECK_EQ(userpci_read64(&regs, EDU_SOURCE), 0x123456789abcdef0);
	userpci_write32(&regs, EDU_FACT, 10);
	while (userpci_read32(&regs, EDU_STATUS) & 1)
		pause_us(100);
	CHECK_EQ(userpci_read32(&regs, EDU_FACT), 3628800);
	userpci_close(device);
}

/* Whatever type the map gets, it says so. */
TEST_ON(~0u, edu_write_combining)
{
	struct userpci_device *device = own("edu");
	struct userpci_region regs;

	CHECK_EQ(userpci_region_map_wc(device, 0, &regs), 0);
	CHECK_EQ(!(regs.flags & USERPCI_REGION_WC), suite_backend() != STUB);
	CHECK_EQ(userpci_read32(&regs, EDU_ID), 0x010000ed);
	userpci_close(device);
}

/* --- Interrupts --- */

/* An owner before may have left it in any state: edu has no reset. */
static struct userpci_device *own_quiet(struct userpci_region *regs)
{
	struct userpci_device *device = own("edu");

	*regs = map(device, 0);
	userpci_write32(regs, EDU_STATUS, 0);
	userpci_write32(regs, EDU_ACK, ~0u);
	return device;
}

/* With edu's cause cleared. */
static void interrupt(struct userpci_device *device, struct userpci_region *regs)
{
	uint64_t count;

	userpci_write32(regs, EDU_RAISE, 1);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, &count), 0);
	CHECK_EQ(count, 1);
	userpci_write32(regs, EDU_ACK, 1);
}

TEST_ON(~0u, edu_intx)
{
	struct userpci_region regs;
	struct userpci_device *device = own_quiet(&regs);
	uint64_t count;

	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	CHECK(is_quiet(device, 0));
	userpci_write32(&regs, EDU_RAISE, 1);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, &count), 0);
	CHECK_EQ(count, 1);
	/* The line is still up: the next comes when it is unmasked. */
	CHECK(is_quiet(device, 0));
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, &count), 0);
	userpci_write32(&regs, EDU_ACK, 1);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK(is_quiet(device, 0));
	CHECK_EQ(userpci_irq_mask(device, 0), 0);
	userpci_write32(&regs, EDU_RAISE, 1);
	CHECK(is_quiet(device, 0));
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, NULL), 0);
	userpci_write32(&regs, EDU_ACK, 1);
	/* Enabled anew. */
	userpci_irq_disable(device);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	interrupt(device, &regs);
	userpci_close(device);
}

/* The line is up before anybody listens. */
TEST_ON(~0u, edu_intx_is_up_when_enabled)
{
	struct userpci_region regs;
	struct userpci_device *device = own_quiet(&regs);
	unsigned int i;

	userpci_write32(&regs, EDU_RAISE, 1);
	for (i = 0; i < (suite_backend() == QEMU ? 1 : 3); i++) {
		CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
		CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, NULL), 0);
		userpci_close(device);
		device = own("edu");
		regs = map(device, 0);
	}
	userpci_write32(&regs, EDU_ACK, 1);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	CHECK(is_quiet(device, 0));
	userpci_close(device);
}

TEST_ON(MESSAGES, edu_msi)
{
	struct userpci_region regs;
	struct userpci_device *device = own_quiet(&regs);

	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	interrupt(device, &regs);
	interrupt(device, &regs);
	CHECK(is_quiet(device, 0));
	CHECK_EQ(userpci_irq_mask(device, 0), 0);
	userpci_write32(&regs, EDU_RAISE, 1);
	CHECK(is_quiet(device, 0));
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, NULL), 0);
	userpci_write32(&regs, EDU_ACK, 1);
	interrupt(device, &regs);
	userpci_close(device);
}

/* VFIO's may tell of one too many after a change, for it cannot know: doc/backends.md. */
static void take_what_may_come(struct userpci_device *device)
{
	while (suite_backend() == VFIO && !userpci_irq_wait(device, 0, SHORT, NULL))
		;
}

/* An interrupt that the library's eventfd has counted goes over to the caller's, and back. */
static void callers_eventfd(unsigned int kind)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), file = open("/dev/null", O_RDWR);
	struct userpci_region regs;
	struct userpci_device *device = own_quiet(&regs);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	eventfd_t count;

	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_irq_enable(device, kind, 1), 0);
	userpci_write32(&regs, EDU_RAISE, 1);
	(void)userpci_read32(&regs, EDU_ID);
	pause_us(SHORT);
	CHECK_EQ(userpci_irq_set_fd(device, 0, fd), 0);
	CHECK_EQ(poll(&p, 1, PATIENCE / 1000), 1);
	CHECK_EQ(eventfd_read(fd, &count), 0);
	CHECK(count == 1 || (suite_backend() == VFIO && kind == USERPCI_IRQ_MSI));
	take_what_may_come(device);
	userpci_write32(&regs, EDU_ACK, 1);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_set_fd(device, 0, file), -EINVAL);
	CHECK_EQ(userpci_irq_set_fd(device, 0, 999), -EBADF);
	interrupt(device, &regs);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_set_fd(device, 0, -1), 0);
	take_what_may_come(device);
	interrupt(device, &regs);
	CHECK_EQ(poll(&p, 1, 0), 0);
	userpci_close(device);
}

TEST_ON(~0u, edu_intx_to_an_eventfd_of_the_callers)
{
	callers_eventfd(USERPCI_IRQ_INTX);
}

TEST_ON(MESSAGES, edu_msi_to_an_eventfd_of_the_callers)
{
	callers_eventfd(USERPCI_IRQ_MSI);
}

/* --- DMA --- */

static void move(struct userpci_region *regs, uint64_t source, uint64_t target, int to_host)
{
	int tries;

	userpci_write64(regs, EDU_SOURCE, source);
	userpci_write64(regs, EDU_TARGET, target);
	userpci_write64(regs, EDU_COUNT, 64);
	userpci_wmb(); /* the memory and the addresses before the start */
	userpci_write64(regs, EDU_START, 1u | (to_host ? 2u : 0));
	for (tries = 0; tries < 20000 && userpci_read64(regs, EDU_START) & 1; tries++)
		pause_us(1000);
	CHECK(tries < 20000);
}

/* The device reads what is at one end of the buffer, and writes it to the other. */
static void copies(struct userpci_device *device, const struct userpci_dma *dma)
{
	struct userpci_region regs = map(device, 0);
	uint64_t last = dma->size - 64;
	char *va = dma->va;

	CHECK_EQ(userpci_bus_master_enable(device), 0);
	memset(va, 0x5a, 64);
	memset(va + last, 0, 64);
	move(&regs, userpci_dma_iova(dma, 0), EDU_MEMORY, 0);
	move(&regs, EDU_MEMORY, userpci_dma_iova(dma, last), 1);
	userpci_rmb(); /* the end of the transfer before the memory */
	CHECK_EQ(memcmp(va, va + last, 64), 0);
	CHECK_EQ(userpci_bus_master_disable(device), 0);
	userpci_region_unmap(&regs);
}

TEST_ON(~0u, edu_dma)
{
	struct userpci_device *device = own("edu");
	struct userpci_dma_options options = { .size = 3 * PAGE };
	struct userpci_dma dma;

	CHECK_EQ(userpci_dma_set_mask(device, EDU_MASK), 0);
	for (options.kind = 0; options.kind < USERPCI_DMA_PINNED; options.kind++) {
		CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
		CHECK_EQ((userpci_dma_iova(&dma, dma.size - 1)) >> EDU_MASK, 0);
		copies(device, &dma);
		userpci_dma_free(&dma);
	}
	userpci_close(device);
}

/* The caller's own memory, which must allow what the device will do. */
TEST_ON(STUB | VFIO, edu_dma_pinned)
{
	struct userpci_dma_options options = { .kind = USERPCI_DMA_PINNED, .size = 2 * PAGE };
	struct userpci_device *device = own("edu");
	struct userpci_dma dma;

	options.address = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
	CHECK(options.address != MAP_FAILED);
	/* Without an IOMMU, memory anywhere: edu's own limit is more than this guest has. */
	CHECK_EQ(userpci_dma_set_mask(device, suite_backend() == STUB ? 32 : EDU_MASK), 0);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
	CHECK(dma.va == options.address);
	if (!((userpci_dma_iova(&dma, 0) | userpci_dma_iova(&dma, PAGE)) >> EDU_MASK))
		copies(device, &dma);
	userpci_dma_free(&dma);
	CHECK_EQ(mprotect(options.address, 2 * PAGE, PROT_READ), 0);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), -EFAULT);
	userpci_close(device);
}

TEST_ON(QEMU | UIO, edu_dma_nothing_is_pinned)
{
	static char own_memory[PAGE] __attribute__((aligned(PAGE)));
	struct userpci_dma_options options = { .kind = USERPCI_DMA_PINNED,
					       .size = PAGE,
					       .address = own_memory };
	struct userpci_device *device = own("edu");
	struct userpci_dma dma;

	CHECK_EQ(userpci_dma_create(device, &options, &dma), -EOPNOTSUPP);
	userpci_close(device);
}
