/* SPDX-License-Identifier: MIT */
/* libuserpci over the kernel module. */
#include <signal.h>
#include <sys/wait.h>

#include <userpci/mmio.h>

#include "support.h"

static struct userpci_device *own(const char *id)
{
	struct userpci_device *device;

	CHECK_EQ(userpci_open(device_bind(id), 0, &device), 0);
	return device;
}

/* The errno of a failed open, and the line that explains it. */
static const char *refused(const char *address, int error)
{
	static char text[256];
	struct userpci_device *device = NULL;

	CHECK_EQ(userpci_open(address, 0, &device), error);
	CHECK(!device);
	return userpci_explain(address, error, text, sizeof(text));
}

TEST(library_open_errors)
{
	char want[256];
	const char *address = device_bind(EDU);
	int fd;

	CHECK(strstr(refused("nonsense", -EINVAL), "not a PCI address"));
	CHECK(strstr(refused("00:20.0", -EINVAL), "not a PCI address"));
	CHECK(strstr(refused("ff:1f.7", -ENODEV), "userpci list"));
	CHECK(strstr(refused("0000:00:00.0", -ENXIO), "userpci bind 0000:00:00.0"));
	fd = node_open(address, O_RDWR);
	snprintf(want, sizeof(want), "%s: in use by process %d", address, getpid());
	CHECK(strstr(refused(address, -EBUSY), want));
	close(fd);
}

TEST(library_short_address)
{
	const char *address = device_bind(EDU);
	struct userpci_device *device;

	CHECK_EQ(strncmp(address, "0000:", 5), 0);
	CHECK_EQ(userpci_open(address + 5, 0, &device), 0);
	CHECK_STR(userpci_info(device)->address, address);
	CHECK_STR(userpci_info(device)->backend, "stub");
	CHECK_EQ(userpci_info(device)->vendor_id, 0x1234);
	userpci_close(device);
}

TEST(library_registers)
{
	struct userpci_device *device = own(EDU);
	struct userpci_region regs;

	CHECK_EQ(userpci_region_map(device, 6, &regs), -EINVAL);
	CHECK_EQ(userpci_region_map(device, 1, &regs), -ENOENT);
	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(regs.size, 1 << 20);
	CHECK_EQ(userpci_read32(&regs, EDU_ID), 0x010000ed);
	CHECK_EQ(userpci_read16(&regs, EDU_ID), 0);
	CHECK_EQ(userpci_read8(&regs, EDU_ID), 0);
	/* A 32-bit program makes two accesses of it, which edu answers. */
	if (sizeof(void *) == 8)
		CHECK_EQ(userpci_read64(&regs, EDU_ID), UINT64_MAX);
	userpci_write32(&regs, 4, 0xf0f0f0f0);
	CHECK_EQ(userpci_read32(&regs, 4), 0x0f0f0f0f);
	userpci_region_unmap(&regs);
	userpci_close(device);
}

/* The same accessors on a region that has no map. */
TEST(library_io_region)
{
	struct userpci_device *device = own(TESTDEV);
	struct userpci_region io;

	CHECK_EQ(userpci_region_map(device, 1, &io), 0);
	CHECK(!io.va);
	CHECK(io.flags & USERPCI_REGION_IO);
	userpci_write8(&io, 0, 0);
	CHECK_EQ(userpci_read8(&io, 1), 1);
	CHECK_EQ(userpci_read8(&io, 16), 'p'); /* portio-no-eventfd */
	CHECK_EQ(userpci_read32(&io, io.size), UINT32_MAX);
	userpci_region_unmap(&io);
	userpci_close(device);
}

TEST(library_write_combining)
{
	struct userpci_device *device = own(IVSHMEM);
	struct userpci_region wc, uc;

	CHECK_EQ(userpci_region_map_wc(device, 2, &wc), 0);
	CHECK_EQ(wc.flags & USERPCI_REGION_WC, USERPCI_REGION_WC);
	userpci_write32(&wc, 64, 0xfeedface);
	userpci_wc_flush();
	CHECK_EQ(userpci_region_map(device, 2, &uc), -EBUSY);
	userpci_region_unmap(&wc);
	CHECK_EQ(userpci_region_map(device, 2, &uc), 0);
	CHECK_EQ(uc.flags & USERPCI_REGION_WC, 0);
	CHECK_EQ(userpci_read32(&uc, 64), 0xfeedface);
	userpci_region_unmap(&uc);
	userpci_close(device);
}

/* One map of the whole BAR, although its MSI-X table is read-only. */
TEST(library_region_with_msix_table)
{
	struct userpci_device *device = own(E1000E);
	struct userpci_region r;
	int status;
	pid_t pid;

	CHECK_EQ(userpci_region_map(device, 3, &r), 0);
	CHECK(r.va);
	/* Entry 0, vector control (PCI Local Bus 3.0, section 6.8.2.9): masked. */
	CHECK_EQ(userpci_read32(&r, 12) & 1, 1);
	CHECK_EQ(userpci_read32(&r, 0x2000), 0); /* the pending bits, on a page of their own */
	userpci_write32(&r, 0x2000, 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		userpci_write32(&r, 0, 0xfee00000);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGSEGV);
	userpci_region_unmap(&r);
	userpci_close(device);
}

TEST(library_dma)
{
	struct userpci_device *device = own(EDU);
	struct userpci_dma dma;

	CHECK_EQ(userpci_dma_set_mask(device, 23), -EINVAL);
	CHECK_EQ(userpci_dma_set_mask(device, 28), 0);
	CHECK_EQ(userpci_dma_alloc(device, 0, &dma), -EINVAL);
	CHECK_EQ(userpci_dma_alloc(device, 64 << 20, &dma), -ENOMEM);
	CHECK_EQ(userpci_dma_alloc(device, 5000, &dma), 0);
	CHECK_EQ(dma.size, 8192);
	CHECK(dma.iova + dma.size <= 1 << 28);
	CHECK_EQ(*(uint64_t *)dma.va, 0);
	memset(dma.va, 1, dma.size);
	userpci_dma_free(&dma);
	CHECK(!dma.va);
	userpci_dma_free(&dma); /* does nothing */
	userpci_close(device);
}

TEST(library_irq)
{
	static const unsigned int kinds[] = { USERPCI_IRQ_INTX, USERPCI_IRQ_MSI, USERPCI_IRQ_BEST };
	struct userpci_device *device = own(EDU);
	struct userpci_region regs;
	uint64_t count;
	unsigned int i;

	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_irq_kind(device), -EINVAL);
	CHECK_EQ(userpci_irq_wait(device, 0, 0, NULL), -EINVAL);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 0), -EINVAL);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 2), -EINVAL);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 1), -ENOSPC);
	CHECK_EQ(userpci_irq_enable(device, 3, 1), -EINVAL);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(userpci_irq_enable(device, kinds[i], 1), 0);
		CHECK_EQ(userpci_irq_kind(device), i ? USERPCI_IRQ_MSI : USERPCI_IRQ_INTX);
		CHECK_EQ(userpci_irq_wait(device, 0, 0, NULL), -ETIMEDOUT);
		CHECK_EQ(userpci_irq_wait(device, 0, 20000, NULL), -ETIMEDOUT);
		CHECK_EQ(userpci_irq_wait(device, 1, 0, NULL), -EINVAL);
		userpci_write32(&regs, EDU_IRQ_RAISE, 1);
		CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE_MS * 1000, &count), 0);
		CHECK_EQ(count, 1);
		userpci_write32(&regs, EDU_IRQ_ACK, 1);
		CHECK_EQ(userpci_irq_unmask(device, 0), 0);
		userpci_write32(&regs, EDU_IRQ_RAISE, 2);
		CHECK_EQ(readable(userpci_irq_fd(device, 0), PATIENCE_MS, NULL), 1);
		CHECK_EQ(userpci_irq_wait(device, 0, -1, &count), 0);
		userpci_write32(&regs, EDU_IRQ_ACK, 2);
	}
	CHECK_EQ(userpci_irq_mask(device, 0), 0);
	userpci_write32(&regs, EDU_IRQ_RAISE, 4);
	CHECK_EQ(userpci_irq_wait(device, 0, 50000, NULL), -ETIMEDOUT);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE_MS * 1000, NULL), 0);
	userpci_irq_disable(device);
	CHECK_EQ(userpci_irq_fd(device, 0), -EINVAL);
	userpci_close(device);
}

TEST(library_irq_wait_ends_with_the_device)
{
	struct userpci_device *device = own(EDU);
	struct userpci_region regs;
	int status;
	pid_t pid;

	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 1), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(-userpci_irq_wait(device, 0, PATIENCE_MS * 1000, NULL));
	usleep(100000);
	device_unbind(userpci_info(device)->address);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), ENODEV);
	CHECK_EQ(userpci_bus_master_enable(device), -ENODEV);
	CHECK_EQ(userpci_read32(&regs, EDU_ID), UINT32_MAX);
	userpci_close(device);
	device_bind(EDU);
}

TEST(library_config)
{
	struct userpci_device *device = own(E1000E);
	unsigned int offset = 0, first;
	uint32_t value;

	CHECK_EQ(userpci_config_read(device, 0, 4, &value), 0);
	CHECK_EQ(value, 0x10d38086);
	CHECK_EQ(userpci_config_read(device, 1, 4, &value), -EINVAL);
	CHECK_EQ(userpci_config_read(device, 4096, 4, &value), -ERANGE);
	CHECK_EQ(userpci_config_find(device, 0x11, &offset), 0); /* MSI-X */
	CHECK_EQ(userpci_config_read(device, offset, 1, &value), 0);
	CHECK_EQ(value, 0x11);
	first = offset;
	CHECK_EQ(userpci_config_find(device, 0x11, &offset), -ENOENT); /* no second one */
	CHECK_EQ(offset, first);
	offset = 0;
	CHECK_EQ(userpci_config_find(device, 0x7e, &offset), -ENOENT);
	userpci_close(device);
}

/* A close takes back what the caller has left: the device is free for the next owner. */
TEST(library_close_takes_back)
{
	const char *address = device_bind(EDU);
	struct userpci_device *device = own(EDU);
	struct userpci_region regs;
	struct userpci_dma dma;

	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_dma_alloc(device, PAGE, &dma), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	userpci_close(device);
	CHECK_EQ(sysfs_config(address, 4, 2) & 4, 0);
	userpci_close(own(EDU));
	userpci_close(NULL);
}

TEST(library_observer)
{
	struct userpci_device *device;
	struct userpci_region regs;
	struct userpci_dma dma;

	CHECK_EQ(userpci_open(device_bind(EDU), USERPCI_OPEN_OBSERVE, &device), 0);
	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_read32(&regs, EDU_ID), 0x010000ed);
	CHECK_EQ(userpci_dma_alloc(device, PAGE, &dma), -EACCES);
	CHECK_EQ(userpci_bus_master_enable(device), -EACCES);
	CHECK_EQ(userpci_reset(device), -EACCES);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 1), -EACCES);
	userpci_close(device);
}
