/* SPDX-License-Identifier: MIT */
/* What only certain devices have: I/O space, many vectors, a reset that can be seen. */
#include "suite.h"

TEST_ON(~0u, io_registers)
{
	struct userpci_device *device = own("pci-testdev");
	struct userpci_region io = map(device, 1);

	CHECK(!io.va);
	CHECK(io.flags & USERPCI_REGION_IO);
	userpci_write8(&io, 0, 0);
	CHECK_EQ(userpci_read8(&io, 1), 1);
	CHECK_EQ(userpci_read8(&io, 16), 'p'); /* portio-no-eventfd */
	CHECK_EQ(userpci_read32(&io, io.size), UINT32_MAX);
	CHECK_EQ(userpci_read64(&io, 0), UINT64_MAX);
	userpci_region_unmap(&io);
	userpci_close(device);
}

/* NVM Express 1.4, section 3.1.5: Controller Configuration, which a reset clears. */
#define NVME_CC	       0x14
#define NVME_CC_IOSQES 0x60000

TEST_ON(~0u, nvme_reset_and_close_clear)
{
	struct userpci_device *device = own("nvme");
	struct userpci_region regs = map(device, 0);

	CHECK_EQ(userpci_info(device)->flags & USERPCI_INFO_RESET, USERPCI_INFO_RESET);
	CHECK_EQ(userpci_reset(device), 0); /* the firmware may have left it running */
	userpci_write32(&regs, NVME_CC, NVME_CC_IOSQES);
	CHECK_EQ(userpci_read32(&regs, NVME_CC), NVME_CC_IOSQES);
	CHECK_EQ(userpci_reset(device), 0);
	CHECK_EQ(userpci_read32(&regs, NVME_CC), 0);
	userpci_write32(&regs, NVME_CC, NVME_CC_IOSQES);
	userpci_close(device);
	device = own("nvme");
	regs = map(device, 0);
	CHECK_EQ(userpci_read32(&regs, NVME_CC), 0);
	userpci_close(device);
}

/* --- MSI-X --- */

/* 82574L datasheet, section 10.2.4: causes 20 to 24 are those of MSI-X. */
#define E1000E_ICS  0x000c8
#define E1000E_IMS  0x000d0
#define E1000E_EIAC 0x000dc
#define E1000E_IVAR 0x000e4

static void cause(struct userpci_region *regs, unsigned int vector)
{
	userpci_write32(regs, E1000E_IMS, 1u << (20 + vector));
	userpci_write32(regs, E1000E_ICS, 1u << (20 + vector));
}

static struct userpci_device *three_vectors(struct userpci_region *regs)
{
	struct userpci_device *device = own("e1000e");

	*regs = map(device, 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 3), 0);
	userpci_write32(regs, E1000E_IVAR, 0x8 | 0x90 | 0xa00); /* cause i to vector i, valid */
	userpci_write32(regs, E1000E_EIAC, 0x1f00000);
	return device;
}

/* QEMU 7.2 aborts when a throttling timer finds MSI-X off. */
static void end(struct userpci_device *device)
{
	if (suite_backend() != QEMU)
		pause_us(2 * SHORT);
	userpci_close(device);
}

/* One vector of several gets another eventfd; the rest, with interrupts waiting, see nothing. */
TEST_ON(MESSAGES, msix_one_vector_changes)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct userpci_device *device;
	struct userpci_region regs;
	uint64_t count;
	unsigned int i;

	device = three_vectors(&regs);
	for (i = 0; i < 3; i++)
		cause(&regs, i);
	pause_us(SHORT);
	CHECK_EQ(userpci_irq_set_fd(device, 1, fd), 0);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(userpci_irq_wait(device, i, PATIENCE, &count), 0);
		CHECK_EQ(count, 1);
	}
	for (i = 0; i < 3; i++)
		cause(&regs, i);
	for (i = 0; i < 3; i++)
		CHECK_EQ(userpci_irq_wait(device, i, PATIENCE, NULL), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, 0, NULL), -ETIMEDOUT);
	end(device);
}

/* What comes to a masked vector is delivered later; the others go on. */
TEST_ON(MESSAGES, msix_mask)
{
	struct userpci_device *device;
	struct userpci_region regs;
	uint64_t count;

	device = three_vectors(&regs);
	CHECK_EQ(userpci_irq_mask(device, 1), 0);
	cause(&regs, 0);
	cause(&regs, 1);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, NULL), 0);
	CHECK(is_quiet(device, 1));
	CHECK_EQ(userpci_irq_unmask(device, 1), 0);
	CHECK_EQ(userpci_irq_wait(device, 1, PATIENCE, &count), 0);
	CHECK_EQ(count, 1);
	cause(&regs, 2);
	CHECK_EQ(userpci_irq_wait(device, 2, PATIENCE, NULL), 0);
	end(device);
}

/* The table is the backend's; a driver may look. */
TEST_ON(STUB | VFIO, msix_table_is_read_only)
{
	struct userpci_device *device = own("e1000e");
	struct userpci_region table = map(device, 3);
	pid_t child;

	CHECK(table.va);
	CHECK_EQ(table.flags & USERPCI_REGION_MSIX, USERPCI_REGION_MSIX);
	CHECK_EQ(userpci_read32(&table, 12) & 1, 1); /* vector control: masked */
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		userpci_write32(&table, 12, 0);
		_exit(0);
	}
	CHECK_EQ(wait_child(child), 128 + SIGSEGV);
	userpci_close(device);
}
