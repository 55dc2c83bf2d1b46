/* SPDX-License-Identifier: MIT */
/* libuserpci over the kernel module. */
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include <userpci/mmio.h>

#include "kit.h"
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

/* Around the MSI-X table, which stays uncached: the type is that of the registers. */
TEST(library_write_combining_beside_msix_table)
{
	struct userpci_device *devices[2];
	struct userpci_region r;
	int i;

	devices[0] = own(E1000E);
	CHECK_EQ(userpci_open(device_bind(E1000E), USERPCI_OPEN_OBSERVE, &devices[1]), 0);
	for (i = 0; i < 2; i++) {
		CHECK_EQ(userpci_region_map_wc(devices[i], 3, &r), 0);
		CHECK_EQ(r.flags & USERPCI_REGION_WC, USERPCI_REGION_WC);
		CHECK_EQ(userpci_read32(&r, 12) & 1, 1); /* vector control: masked */
		CHECK_EQ(userpci_region_huge(&r), 0);
		userpci_region_unmap(&r);
	}
	userpci_close(devices[1]);
	userpci_close(devices[0]);
}

#define HUGE_SETTING "/sys/kernel/mm/transparent_hugepage/enabled"

/* The setting for large pages of the whole system: the word in brackets. */
static void huge_setting(char *word)
{
	char text[64] = "", *open_bracket;
	FILE *f = fopen(HUGE_SETTING, "r");

	CHECK(f);
	CHECK(fgets(text, sizeof(text), f));
	fclose(f);
	open_bracket = strchr(text, '[');
	CHECK(open_bracket);
	CHECK_EQ(sscanf(open_bracket, "[%15[a-z]", word), 1);
}

/* Uncached maps of 2 MiB and more, as they are touched. The setting "never" holds for them in 6.12,
 * not in 6.1 and no longer in 7.2. */
TEST(library_large_pages)
{
	static const char *const settings[] = { "never", "madvise", "always" };
	struct userpci_device *device = own(IVSHMEM);
	struct userpci_region r, io = { .va = NULL };
	int i, can = sizeof(void *) == 8, heeds = kernel_version() > 601 && kernel_version() < 702;
	char old[16];

	huge_setting(old);
	CHECK_EQ(userpci_region_huge(&io), -EINVAL);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(sysfs_write(HUGE_SETTING, settings[i]), 0);
		CHECK_EQ(userpci_region_map(device, 2, &r), 0);
		CHECK_EQ(userpci_region_huge(&r), 0);
		userpci_write32(&r, 2 << 20, 0x600d + i);
		CHECK_EQ(userpci_read32(&r, 2 << 20), 0x600d + i);
		CHECK_EQ(userpci_region_huge(&r), can && (i || !heeds));
		userpci_region_unmap(&r);
		CHECK_EQ(userpci_region_map_wc(device, 2, &r), 0);
		CHECK_EQ(userpci_read32(&r, 2 << 20), 0x600d + i);
		CHECK_EQ(userpci_region_huge(&r), 0);
		userpci_region_unmap(&r);
		CHECK_EQ(userpci_region_map(device, 0, &r), 0);
		CHECK_EQ(userpci_region_huge(&r), 0);
		userpci_region_unmap(&r);
	}
	CHECK_EQ(sysfs_write(HUGE_SETTING, old), 0);
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

static struct userpci_device *observe(const char *id)
{
	struct userpci_device *device;

	CHECK_EQ(userpci_open(device_bind(id), USERPCI_OPEN_OBSERVE, &device), 0);
	return device;
}

static void *caller_memory(uint64_t size)
{
	void *va = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(va != MAP_FAILED);
	return va;
}

/* Of any kind, its memory written; PINNED memory is made here, and left to the test's end. */
static struct userpci_dma buffer(struct userpci_device *device, uint32_t kind, uint64_t size,
				 const char *name)
{
	struct userpci_dma_options options = { .kind = kind, .size = size, .name = name };
	struct userpci_dma dma;

	if (kind == USERPCI_DMA_PINNED)
		options.address = caller_memory(size);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
	CHECK_EQ(dma.kind, kind);
	CHECK_EQ(dma.size, size);
	CHECK_EQ(dma.iova, userpci_dma_iova(&dma, 0));
	CHECK(!options.address || dma.va == options.address);
	memset(dma.va, 0xa5, size);
	return dma;
}

/* The pieces follow each other and are what userpci_dma_iova() goes by. */
static void check_pieces(const struct userpci_dma *dma)
{
	struct userpci_dma_chunk chunk;
	uint64_t offset = 0;
	unsigned int i;

	CHECK(dma->chunks >= 1);
	for (i = 0; i < dma->chunks; i++) {
		CHECK_EQ(userpci_dma_chunk(dma, i, &chunk), 0);
		CHECK_EQ(chunk.offset, offset);
		CHECK(chunk.size && chunk.size % PAGE == 0);
		CHECK_EQ(userpci_dma_iova(dma, offset), chunk.iova);
		CHECK_EQ(userpci_dma_iova(dma, offset + chunk.size - 1),
			 chunk.iova + chunk.size - 1);
		offset += chunk.size;
	}
	CHECK_EQ(offset, dma->size);
	CHECK_EQ(userpci_dma_chunk(dma, i, &chunk), -ERANGE);
	CHECK_EQ(userpci_dma_iova(dma, dma->size), UINT64_MAX);
}

/* The physical address of a page that is present. */
static uint64_t phys_of(const void *va)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry;

	CHECK_EQ(pread(fd, &entry, 8, (off_t)((uintptr_t)va / PAGE * 8)), 8);
	close(fd);
	CHECK(entry >> 63);
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

/*
 * Without an IOMMU the device's address of each page is the memory's own. The kernel tells it of
 * memory that it knows as such, and not of page frames that a driver has entered.
 */
static void check_addresses(const struct userpci_dma *dma)
{
	uint64_t offset;

	if (iommu_translates() || dma->kind < USERPCI_DMA_SHARED)
		return;
	for (offset = 0; offset < dma->size; offset += PAGE)
		CHECK_EQ(userpci_dma_iova(dma, offset), phys_of((char *)dma->va + offset));
}

/* edu, which reaches 28 bits, moves a page to the last one that it reaches. */
static void check_with_edu(struct userpci_region *regs, const struct userpci_dma *dma)
{
	uint64_t offset, first = dma->size, last = 0;
	char *va = dma->va;

	for (offset = 0; offset < dma->size; offset += PAGE) {
		if (userpci_dma_iova(dma, offset) + PAGE > 1 << 28)
			continue;
		first = offset < first ? offset : first;
		last = offset;
	}
	if (first >= last)
		return;
	memset(va + first, 0x3c, PAGE);
	edu_move(regs->va, userpci_dma_iova(dma, first), userpci_dma_iova(dma, last), EDU_BYTES);
	CHECK(!memcmp(va + first, va + last, EDU_BYTES));
	CHECK_EQ(va[last + EDU_BYTES], (char)0xa5);
}

TEST(library_dma_kinds)
{
	static const uint64_t sizes[] = { 1 << 20, 6 << 20, 6 << 20, 6 << 20 };
	struct userpci_region regs;
	struct userpci_device *device;
	struct userpci_dma dma;
	uint32_t kind;

	device_fresh(EDU);
	device = own(EDU);
	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_dma_set_mask(device, 64), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	for (kind = USERPCI_DMA_CONTIGUOUS; kind <= USERPCI_DMA_PINNED; kind++) {
		dma = buffer(device, kind, sizes[kind], NULL);
		if (kind == USERPCI_DMA_CONTIGUOUS || iommu_translates())
			CHECK_EQ(dma.chunks, 1);
		check_pieces(&dma);
		check_addresses(&dma);
		check_with_edu(&regs, &dma);
		userpci_dma_detach(&dma); /* is for others */
		CHECK(dma.va);
		userpci_dma_free(&dma);
		CHECK(!dma.va);
		userpci_dma_free(&dma);
	}
	userpci_close(device);
}

/* The search, over a table with pieces of all sizes that no kernel would give. */
TEST(library_dma_iova_search)
{
	enum { COUNT = 37 };
	struct userpci_dma_chunk pieces[COUNT];
	struct userpci_dma dma = { .chunks = COUNT, .pieces = pieces };
	unsigned int i, count;
	uint64_t k;

	for (i = 0; i < COUNT; i++) {
		pieces[i].offset = dma.size;
		pieces[i].size = (1 + i * 7 % 5) * PAGE;
		pieces[i].iova = (uint64_t)(COUNT - i) << 32;
		dma.size += pieces[i].size;
	}
	for (count = 2; count <= COUNT; count++) {
		dma.chunks = count;
		dma.size = pieces[count - 1].offset + pieces[count - 1].size;
		for (i = 0; i < count; i++)
			for (k = 0; k < pieces[i].size; k += PAGE / 4)
				CHECK_EQ(userpci_dma_iova(&dma, pieces[i].offset + k),
					 pieces[i].iova + k);
		CHECK_EQ(userpci_dma_iova(&dma, dma.size), UINT64_MAX);
	}
}

static int create(struct userpci_device *device, uint32_t kind, uint64_t size, const char *name,
		  void *address)
{
	const struct userpci_dma_options options = {
		.kind = kind, .size = size, .name = name, .address = address
	};
	struct userpci_dma dma;
	int err = userpci_dma_create(device, &options, &dma);

	if (!err)
		userpci_dma_free(&dma);
	return err;
}

TEST(library_dma_checks)
{
	static const char long_name[] = "0123456789abcdef0123456789abcdef"; /* 32 */
	struct userpci_device *device = own(EDU);
	char *memory = caller_memory(4 * PAGE);

	CHECK_EQ(userpci_dma_set_mask(device, 64), 0);
	CHECK_EQ(create(device, USERPCI_DMA_CHUNKED, 0, NULL, NULL), -EINVAL);
	CHECK_EQ(create(device, 4, PAGE, NULL, NULL), -EINVAL);
	CHECK_EQ(create(device, USERPCI_DMA_SHARED, PAGE, long_name, NULL), -EINVAL);
	CHECK_EQ(create(device, USERPCI_DMA_SHARED, PAGE, long_name + 1, NULL), 0);
	CHECK_EQ(create(device, USERPCI_DMA_SHARED, PAGE, "", NULL), 0);
	CHECK_EQ(create(device, USERPCI_DMA_SHARED, PAGE, NULL, memory), -EINVAL);
	CHECK_EQ(create(device, USERPCI_DMA_PINNED, PAGE, NULL, NULL), -EINVAL);
	CHECK_EQ(create(device, USERPCI_DMA_PINNED, PAGE, NULL, memory + 1), -EINVAL);
	CHECK_EQ(create(device, USERPCI_DMA_PINNED, PAGE + 1, NULL, memory), -EINVAL);
	CHECK_EQ(create(device, USERPCI_DMA_PINNED, PAGE, NULL, memory + PAGE), 0);
	CHECK_EQ(mprotect(memory, PAGE, PROT_READ), 0);
	CHECK_EQ(create(device, USERPCI_DMA_PINNED, 4 * PAGE, NULL, memory), -EFAULT);
	CHECK_EQ(munmap(memory, 4 * PAGE), 0);
	CHECK_EQ(create(device, USERPCI_DMA_PINNED, PAGE, NULL, memory), -EFAULT);
	userpci_close(device);
	device = observe(EDU);
	CHECK_EQ(create(device, USERPCI_DMA_CHUNKED, PAGE, NULL, NULL), -EACCES);
	userpci_close(device);
}

static const char *const names[] = { "contiguous", "chunked", "shared", "pinned" };

static const struct userpci_dma *created; /* by the parent of those who attach */

/* As another process that only looks. */
static void attach_and_look(void *data)
{
	struct userpci_device *device = observe(EDU);
	struct userpci_dma dma;
	uint64_t offset;
	uint32_t kind;

	(void)data;
	for (kind = 0; kind < USERPCI_DMA_PINNED; kind++) {
		CHECK_EQ(userpci_dma_attach(device, names[kind], &dma), 0);
		CHECK_STR(dma.va, names[kind]);
		CHECK_EQ(dma.kind, kind);
		CHECK_EQ(dma.size, created[kind].size);
		check_pieces(&dma);
		for (offset = 0; offset < dma.size; offset += PAGE)
			CHECK_EQ(userpci_dma_iova(&dma, offset),
				 userpci_dma_iova(&created[kind], offset));
		CHECK_EQ(mprotect(dma.va, PAGE, PROT_READ | PROT_WRITE), -1);
		CHECK_EQ(errno, EACCES);
		userpci_dma_free(&dma); /* is for those who created it */
		CHECK(dma.va);
		userpci_dma_detach(&dma);
		CHECK(!dma.va);
		userpci_dma_detach(&dma);
	}
	CHECK_EQ(userpci_dma_attach(device, names[kind], &dma), -EOPNOTSUPP);
	CHECK_EQ(userpci_dma_attach(device, "nobody", &dma), -ENOENT);
	CHECK_EQ(userpci_dma_attach(device, "", &dma), -EINVAL);
	CHECK_EQ(userpci_dma_attach(device, "0123456789abcdef0123456789abcdef", &dma), -EINVAL);
	userpci_close(device);
}

/* On the descriptor that the owner shares. */
static void attach_and_write(void *data)
{
	struct userpci_dma dma;
	uint32_t kind;

	for (kind = 0; kind < USERPCI_DMA_PINNED; kind++) {
		CHECK_EQ(userpci_dma_attach(data, names[kind], &dma), 0);
		CHECK(dma.va != created[kind].va);
		strcpy((char *)dma.va + PAGE, "child");
		userpci_dma_detach(&dma);
	}
}

TEST(library_dma_by_name)
{
	struct userpci_device *device;
	struct userpci_dma dma[4], found;
	uint32_t kind;

	device_fresh(EDU);
	device = own(EDU);
	CHECK_EQ(userpci_dma_set_mask(device, 64), 0);
	for (kind = 0; kind < 4; kind++) {
		dma[kind] = buffer(device, kind, 1 << 20, names[kind]);
		strcpy(dma[kind].va, names[kind]);
		CHECK_EQ(create(device, USERPCI_DMA_CHUNKED, PAGE, names[kind], NULL), -EEXIST);
	}
	created = dma;
	passed(run_child(attach_and_look, NULL));
	passed(run_child(attach_and_write, device));
	for (kind = 0; kind < USERPCI_DMA_PINNED; kind++) {
		CHECK_STR((char *)dma[kind].va + PAGE, "child");
		/* Freed while it is attached: the memory stays, the name goes. */
		CHECK_EQ(userpci_dma_attach(device, names[kind], &found), 0);
		userpci_dma_free(&dma[kind]);
		CHECK_STR(found.va, names[kind]);
		userpci_dma_detach(&found);
		CHECK_EQ(userpci_dma_attach(device, names[kind], &found), -ENOENT);
	}
	userpci_close(device);
}

TEST(library_dma_list)
{
	struct userpci_device *device, *observer;
	struct userpci_dma_info info;
	struct userpci_dma dma[4];
	uint32_t kind, cursor = 0;

	device_fresh(EDU);
	device = own(EDU);
	observer = observe(EDU);
	CHECK_EQ(userpci_dma_set_mask(device, 64), 0);
	CHECK_EQ(userpci_dma_next(observer, &cursor, &info), -ENOENT);
	for (kind = 0; kind < 4; kind++)
		dma[kind] = buffer(device, kind, (kind + 1) * PAGE, kind % 2 ? names[kind] : NULL);
	for (kind = 0; kind < 4; kind++) {
		CHECK_EQ(userpci_dma_next(observer, &cursor, &info), 0);
		CHECK_STR(info.name, kind % 2 ? names[kind] : "");
		CHECK_EQ(info.kind, kind);
		CHECK_EQ(info.handle, dma[kind].handle);
		CHECK_EQ(info.size, dma[kind].size);
		CHECK_EQ(info.iova, dma[kind].iova);
		CHECK_EQ(info.chunks, dma[kind].chunks);
		CHECK_EQ(info.references, kind == USERPCI_DMA_PINNED ? 1 : 2);
	}
	CHECK_EQ(userpci_dma_next(observer, &cursor, &info), -ENOENT);
	userpci_close(observer);
	userpci_close(device);
}

/* Raises so many interrupts of edu, each waited for. */
static void edu_interrupts(struct userpci_device *device, struct userpci_region *regs,
			   unsigned int count)
{
	while (count--) {
		edu_raise(regs->va, 1);
		CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE_MS * 1000, NULL), 0);
		edu_ack(regs->va);
	}
}

static struct userpci_device *own_with_msi(struct userpci_region *regs)
{
	struct userpci_device *device = own(EDU);

	CHECK_EQ(userpci_region_map(device, 0, regs), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 1), 0);
	return device;
}

TEST(library_stats)
{
	const struct userpci_uapi_stats *stats, *seen;
	struct userpci_device *device, *observer;
	struct userpci_region regs;
	struct userpci_dma dma;
	uint64_t before;
	uint32_t maps;

	device_fresh(EDU);
	observer = observe(EDU);
	seen = userpci_stats(observer);
	CHECK(seen);
	CHECK_EQ(seen->state, 0);
	CHECK_EQ(seen->owner, 0);
	CHECK_EQ(seen->irq_count, 0);
	CHECK_EQ(seen->dma_bytes, 0);

	device = own_with_msi(&regs);
	stats = userpci_stats(device);
	CHECK(stats);
	CHECK(stats == userpci_stats(device));
	CHECK_EQ(stats_word(&seen->state), USERPCI_STATE_OWNED);
	CHECK_EQ(stats->owner, getpid());
	CHECK_EQ(stats->irq_count, 1);
	CHECK_EQ(stats->irq_kind, USERPCI_IRQ_MSI);
	CHECK_EQ(mprotect((void *)(uintptr_t)stats, PAGE, PROT_READ | PROT_WRITE), -1);
	maps = stats_word(&stats->maps);
	CHECK_EQ(userpci_dma_alloc(device, 3 * PAGE, &dma), 0);
	CHECK_EQ(stats_word(&stats->maps), maps + 1);
	CHECK_EQ(stats_word((const uint32_t *)&stats->dma_bytes), 3 * PAGE);
	before = userpci_stats_interrupts(stats, 0);
	edu_interrupts(device, &regs, 5);
	CHECK_EQ(userpci_stats_interrupts(stats, 0), before + 5);
	CHECK_EQ(userpci_stats_interrupts(seen, 0), before + 5);
	CHECK_EQ(userpci_stats_storms(stats, 0), 0);
	CHECK_EQ(userpci_stats_interrupts(stats, 100000), 0);
	CHECK_EQ(userpci_stats_storms(stats, UINT32_MAX), 0);
	userpci_close(device);
	CHECK_EQ(stats_word(&seen->state), 0);
	CHECK_EQ(stats_word((const uint32_t *)&seen->owner), 0);

	device_unbind(userpci_info(observer)->address);
	CHECK_EQ(stats_word(&seen->state), USERPCI_STATE_GONE);
	CHECK_EQ(userpci_stats_interrupts(seen, 0), before + 5);
	userpci_close(observer);
	device_bind(EDU);
}

/* A process that may do nothing but exit reads them: strict seccomp kills at any other call. */
TEST(library_stats_without_a_call)
{
	struct userpci_region regs;
	struct userpci_device *device = own_with_msi(&regs);
	const struct userpci_uapi_stats *stats = userpci_stats(device);
	uint64_t before = userpci_stats_interrupts(stats, 0);
	int status;
	pid_t pid;

	edu_interrupts(device, &regs, 3);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
			syscall(SYS_exit, 2);
		syscall(SYS_exit, userpci_stats_interrupts(userpci_stats(device), 0) != before + 3);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		SKIP("this kernel has no seccomp");
	CHECK_EQ(WEXITSTATUS(status), 0);
	userpci_close(device);
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void on_alarm(int signal)
{
	(void)signal;
}

TEST(library_event_wait)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval soon = { { 0, 0 }, { 0, 50000 } };
	struct userpci_device *device = own(RNG);
	struct userpci_event event;
	int64_t begin = now_us();
	int fd;

	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	CHECK_EQ(userpci_event_wait(device, 50000, &event), -ETIMEDOUT);
	CHECK(now_us() - begin >= 50000);
	CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
	CHECK_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
	CHECK_EQ(userpci_event_wait(device, -1, &event), -EINTR);

	fd = userpci_event_fd(device);
	CHECK(fd >= 0);
	CHECK_EQ(readable(fd, 0, NULL), 0);
	begin = now_us();
	CHECK_EQ(userpci_reset(device), 0);
	CHECK_EQ(readable(fd, PATIENCE_MS, NULL), 1);
	CHECK_EQ(userpci_event_wait(device, 0, &event), 0);
	CHECK_EQ(event.type, USERPCI_EVENT_RESET);
	CHECK_EQ(event.lost, 0);
	CHECK((int64_t)(event.time_ns / 1000) >= begin);
	CHECK((int64_t)(event.time_ns / 1000) <= now_us());
	/* The look that finds nothing empties the eventfd. */
	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	CHECK_EQ(readable(fd, 0, NULL), 0);
	userpci_close(device);
}

/* A signal of the eventfd whose record was read already is no event. */
TEST(library_event_read_before_its_signal)
{
	struct userpci_device *device = own(RNG);
	struct userpci_event event;
	int64_t begin;

	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	CHECK_EQ(userpci_reset(device), 0);
	CHECK_EQ(userpci_event_wait(device, -1, &event), 0);
	begin = now_us();
	CHECK_EQ(userpci_event_wait(device, 100000, &event), -ETIMEDOUT);
	CHECK(now_us() - begin >= 100000);
	userpci_close(device);
}

TEST(library_event_observer)
{
	struct userpci_device *device = own(RNG), *observer = observe(RNG);
	struct userpci_event event;

	CHECK_EQ(userpci_event_wait(observer, 0, &event), -ETIMEDOUT);
	CHECK_EQ(userpci_event_wait(observer, 1000, &event), -EACCES);
	CHECK_EQ(userpci_event_fd(observer), -EACCES);
	CHECK_EQ(userpci_reset(device), 0);
	CHECK_EQ(userpci_event_wait(observer, 0, &event), 0);
	CHECK_EQ(event.type, USERPCI_EVENT_RESET);
	CHECK_EQ(userpci_event_wait(observer, 0, &event), -ETIMEDOUT);
	userpci_close(observer);
	userpci_close(device);
}

TEST(library_event_removal)
{
	struct userpci_device *device = own(EDU), *observer = observe(EDU);
	struct userpci_event event;
	int i;

	CHECK(userpci_event_fd(device) >= 0);
	CHECK_EQ(userpci_event_wait(observer, 0, &event), -ETIMEDOUT);
	device_unbind(userpci_info(device)->address);
	for (i = 0; i < 2; i++) {
		struct userpci_device *d = i ? observer : device;

		CHECK_EQ(userpci_event_wait(d, i ? 0 : -1, &event), 0);
		CHECK_EQ(event.type, USERPCI_EVENT_REMOVE);
		CHECK_EQ(userpci_event_wait(d, i ? 0 : -1, &event), 0);
		CHECK_EQ(event.type, USERPCI_EVENT_GONE);
		CHECK_EQ(userpci_event_wait(d, i ? 0 : -1, &event), -ENODEV);
	}
	userpci_close(observer);
	userpci_close(device);
	device_bind(EDU);
}

/* By another program, which has none of our maps: our close is the last. */
static pid_t unbind_elsewhere(const char *address)
{
	char command[96];
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	snprintf(command, sizeof(command), "echo %s >/sys/bus/pci/drivers/userpci/unbind", address);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* Between the two events the device is there as before, and a close ends the wait. */
TEST(library_event_grace)
{
	unsigned int old = parameter_set("remove_grace_ms", PATIENCE_MS);
	struct userpci_device *device = own(EDU);
	struct userpci_region regs;
	struct userpci_event event;
	int64_t begin = now_us();
	int status;
	pid_t pid;

	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK(userpci_event_fd(device) >= 0);
	pid = unbind_elsewhere(userpci_info(device)->address);
	CHECK_EQ(userpci_event_wait(device, PATIENCE_MS * 1000, &event), 0);
	CHECK_EQ(event.type, USERPCI_EVENT_REMOVE);
	CHECK_EQ(userpci_read32(&regs, EDU_ID), 0x010000ed);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	userpci_close(device);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK(now_us() - begin < PATIENCE_MS * 500);
	parameter_set("remove_grace_ms", old);
	device_bind(EDU);
}

/* More interrupts than the limit: the vector is masked, and comes back when it is unmasked. */
TEST(library_irq_limit)
{
	struct userpci_region regs;
	struct userpci_device *device = own_with_msi(&regs);
	uint32_t storms = userpci_stats_storms(userpci_stats(device), 0);
	struct userpci_event event;
	int round, i;

	CHECK_EQ(userpci_irq_limit(device, 1, 10), -EINVAL);
	CHECK_EQ(userpci_irq_limit(device, 0, 3), 0);
	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	for (round = 0; round < 3; round++) {
		/* Some may fall together, so until it says so. */
		for (i = 0; i < PATIENCE_MS; i++) {
			edu_raise(regs.va, 1);
			edu_ack(regs.va);
			if (userpci_event_wait(device, 1000, &event) != -ETIMEDOUT)
				break;
		}
		CHECK(i < PATIENCE_MS);
		CHECK_EQ(event.type, USERPCI_EVENT_STORM);
		CHECK_EQ(event.value, 0);
		CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
		CHECK_EQ(userpci_stats_storms(userpci_stats(device), 0), storms + 1 + round);
		CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	}
	CHECK_EQ(userpci_irq_limit(device, 0, 0), 0);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	userpci_irq_wait(device, 0, 50000, NULL); /* what came of the storms */
	edu_interrupts(device, &regs, 50);
	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	userpci_close(device);
}

/* More than the kernel keeps: the oldest are lost, and counted. */
TEST(library_event_lost)
{
	struct userpci_region regs;
	struct userpci_device *device = own_with_msi(&regs);
	const struct userpci_uapi_stats *stats = userpci_stats(device);
	struct userpci_event event;
	uint32_t first, written;
	unsigned int i;

	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	first = stats_word(&stats->num_events);
	CHECK_EQ(userpci_irq_limit(device, 0, 1), 0);
	while (stats_word(&stats->num_events) - first < USERPCI_NUM_EVENTS + 10) {
		edu_raise(regs.va, 1);
		edu_ack(regs.va);
		CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	}
	CHECK_EQ(userpci_irq_mask(device, 0), 0);
	written = stats_word(&stats->num_events) - first;
	CHECK_EQ(userpci_event_wait(device, 0, &event), 0);
	CHECK_EQ(event.lost, written - (USERPCI_NUM_EVENTS - 1));
	for (i = 1; i < USERPCI_NUM_EVENTS - 1; i++) {
		CHECK_EQ(userpci_event_wait(device, 0, &event), 0);
		CHECK_EQ(event.type, USERPCI_EVENT_STORM);
		CHECK_EQ(event.lost, 0);
	}
	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	userpci_close(device);
}

/* Reads as fast as it can until so many were there, and says whether each was whole. */
static int read_events(struct userpci_device *observer, int ready, uint32_t count)
{
	struct userpci_event event;
	uint64_t last_ns = 0;
	uint32_t seen = 0;
	int err;

	if (userpci_event_wait(observer, 0, &event) != -ETIMEDOUT || write(ready, "x", 1) != 1)
		return 1;
	while (seen < count) {
		err = userpci_event_wait(observer, 0, &event);
		if (err == -ETIMEDOUT)
			continue;
		if (err || event.type != USERPCI_EVENT_STORM || event.value ||
		    event.time_ns < last_ns)
			return 2;
		last_ns = event.time_ns;
		seen += 1 + event.lost;
	}
	return seen != count;
}

/* Another process reads while the kernel writes: each event is told once, or counted as lost. */
TEST(library_event_reader_beside_writer)
{
	enum { COUNT = 500 };
	struct userpci_region regs;
	struct userpci_device *device = own_with_msi(&regs);
	const struct userpci_uapi_stats *stats = userpci_stats(device);
	uint32_t first = stats_word(&stats->num_events);
	int ready[2], status;
	char byte;
	pid_t pid;

	CHECK_EQ(pipe(ready), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(read_events(observe(EDU), ready[1], COUNT));
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	CHECK_EQ(userpci_irq_limit(device, 0, 1), 0);
	while (stats_word(&stats->num_events) - first < COUNT) {
		edu_raise(regs.va, 1);
		edu_ack(regs.va);
		CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	userpci_close(device);
}

TEST(library_irq_set_fd)
{
	int own_fd = eventfd(0, EFD_NONBLOCK), file = open("/dev/null", O_RDWR);
	struct userpci_region regs;
	struct userpci_device *device = own_with_msi(&regs);
	eventfd_t count;
	uint64_t waited;

	CHECK_EQ(userpci_irq_set_fd(device, 1, own_fd), -EINVAL);
	CHECK_EQ(userpci_irq_set_fd(device, 0, -2), -EINVAL);
	CHECK_EQ(userpci_irq_set_fd(device, 0, 999), -EBADF);
	CHECK_EQ(userpci_irq_set_fd(device, 0, file), -EINVAL);
	edu_interrupts(device, &regs, 1);
	/* What was not waited for moves along. */
	edu_raise(regs.va, 1);
	edu_ack(regs.va);
	CHECK_EQ(readable(userpci_irq_fd(device, 0), PATIENCE_MS, NULL), 1);
	CHECK_EQ(userpci_irq_set_fd(device, 0, own_fd), 0);
	edu_raise(regs.va, 1);
	edu_ack(regs.va);
	while (readable(own_fd, PATIENCE_MS, NULL) == 1) {
		CHECK_EQ(eventfd_read(own_fd, &count), 0);
		edu_raise(regs.va, 1);
		edu_ack(regs.va);
		CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE_MS * 1000, &waited), 0);
		if (count + waited >= 3)
			break;
	}
	CHECK_EQ(readable(own_fd, 0, NULL), 0);
	/* The library's duplicate lives on; then one of its own again. */
	CHECK_EQ(close(own_fd), 0);
	edu_interrupts(device, &regs, 1);
	CHECK_EQ(userpci_irq_set_fd(device, 0, -1), 0);
	edu_interrupts(device, &regs, 1);
	close(file);
	userpci_close(device);
}

/* 82574L datasheet, section 10.2.4: causes 20 to 24 are those of MSI-X. */
#define E1000E_ICS  0x000c8
#define E1000E_IMS  0x000d0
#define E1000E_EIAC 0x000dc
#define E1000E_IVAR 0x000e4

static void e1000e_cause(struct userpci_region *regs, unsigned int vector)
{
	userpci_write32(regs, E1000E_IMS, 1u << (20 + vector));
	userpci_write32(regs, E1000E_ICS, 1u << (20 + vector));
}

/* QEMU 7.2 aborts when a throttling timer finds MSI-X off: edu's is behind them all. */
static void timers_expire(void)
{
	struct userpci_device *device = own(EDU);
	struct userpci_region regs;

	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	edu_dma_start(regs.va, EDU_MEMORY, 0, 4, 1); /* to nowhere: bus mastering is off */
	edu_dma_wait(regs.va);
	userpci_close(device);
}

/* One vector of several gets another eventfd; the rest, with interrupts waiting, see nothing. */
TEST(library_irq_set_fd_beside_others)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), before;
	struct userpci_device *device = own(E1000E);
	struct userpci_region regs;
	uint64_t count;
	unsigned int i;

	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 3), 0);
	userpci_write32(&regs, E1000E_IVAR, 0x8 | 0x90 | 0xa00); /* cause i to vector i, valid */
	userpci_write32(&regs, E1000E_EIAC, 0x1f00000);
	for (i = 0; i < 3; i++)
		e1000e_cause(&regs, i);
	for (i = 0; i < 3; i++)
		CHECK_EQ(readable(userpci_irq_fd(device, i), PATIENCE_MS, NULL), 1);
	timers_expire(); /* QEMU: a throttled vector may come twice */
	before = userpci_irq_fd(device, 2);
	CHECK_EQ(userpci_irq_set_fd(device, 1, fd), 0);
	CHECK_EQ(userpci_irq_fd(device, 2), before);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(userpci_irq_wait(device, i, 0, &count), 0);
		CHECK(count == 1 || count == 2);
	}
	e1000e_cause(&regs, 1);
	CHECK_EQ(readable(fd, PATIENCE_MS, NULL), 1);
	CHECK_EQ(userpci_irq_wait(device, 0, 0, NULL), -ETIMEDOUT);
	CHECK_EQ(userpci_irq_wait(device, 2, 0, NULL), -ETIMEDOUT);
	timers_expire();
	close(fd);
	userpci_close(device);
}

/* What a module of the first version says to a library of this one. */
static int module_is_old;

static int old_module(int fd, unsigned long request, uint32_t *argument)
{
	struct userpci_uapi_irq_eventfd *e = (void *)argument;
	struct userpci_uapi_info *info = (void *)argument;
	struct userpci_uapi_dma *dma = (void *)argument;
	long result;

	if (_IOC_NR(request) > 13)
		return -ENOTTY;
	if (request == USERPCI_DMA_ALLOC && (dma->address || dma->name[0]))
		return -E2BIG;
	if ((request == USERPCI_DMA_ALLOC && dma->kind) ||
	    (request == USERPCI_IRQ_EVENTFD && e->vector == USERPCI_EVENTS))
		return -EINVAL;
	result = syscall(SYS_ioctl, fd, request, argument);
	if (result < 0)
		return -errno;
	if (request == USERPCI_GET_INFO)
		info->stats_offset = 0, info->stats_bytes = 0;
	if (request == USERPCI_DMA_ALLOC)
		dma->chunks = 0;
	return 0;
}

/* In the place of the C library's: a module that is not there cannot be loaded for one test. */
int ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list args;
	int result;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	if (!module_is_old || _IOC_TYPE(request) != USERPCI_IOC_TYPE)
		return (int)syscall(SYS_ioctl, fd, request, argument);
	result = old_module(fd, request, argument);
	if (result < 0)
		errno = -result;
	return result < 0 ? -1 : result;
}

TEST(library_with_an_older_module)
{
	struct userpci_region regs;
	struct userpci_dma_info info;
	struct userpci_device *device;
	struct userpci_event event;
	struct userpci_dma dma;
	uint32_t cursor = 0;

	module_is_old = 1;
	device = own_with_msi(&regs);
	edu_interrupts(device, &regs, 3);
	CHECK_EQ(userpci_dma_alloc(device, 5000, &dma), 0);
	check_pieces(&dma);
	CHECK_EQ(dma.chunks, 1);
	userpci_dma_free(&dma);
	CHECK_EQ(create(device, USERPCI_DMA_CONTIGUOUS, PAGE, NULL, NULL), 0);
	CHECK_EQ(create(device, USERPCI_DMA_CONTIGUOUS, PAGE, "name", NULL), -EOPNOTSUPP);
	CHECK_EQ(create(device, USERPCI_DMA_CHUNKED, PAGE, NULL, NULL), -EOPNOTSUPP);
	CHECK_EQ(create(device, USERPCI_DMA_PINNED, PAGE, NULL, caller_memory(PAGE)), -EOPNOTSUPP);
	CHECK_EQ(userpci_dma_attach(device, "name", &dma), -EOPNOTSUPP);
	CHECK_EQ(userpci_dma_next(device, &cursor, &info), -EOPNOTSUPP);
	CHECK(!userpci_stats(device));
	CHECK_EQ(userpci_event_fd(device), -EOPNOTSUPP);
	CHECK_EQ(userpci_event_wait(device, 0, &event), -EOPNOTSUPP);
	CHECK_EQ(userpci_irq_limit(device, 0, 10), -EOPNOTSUPP);
	CHECK_EQ(userpci_region_huge(&regs), -EOPNOTSUPP);
	userpci_close(device);
	device = own(IVSHMEM);
	CHECK_EQ(userpci_region_map_wc(device, 2, &regs), 0);
	CHECK_EQ(regs.flags & USERPCI_REGION_WC, USERPCI_REGION_WC);
	userpci_close(device);
}
