/* SPDX-License-Identifier: MIT */
/*
 * The library on the kernel's own drivers, as a driver sees it: the backend is that of
 * $USERPCI_BACKEND, vfio or uio, and the devices are bound to its driver. In a guest that has, in
 * this order, edu, pci-testdev, e1000e, e1000 and nvme.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

#include <linux/pci_regs.h>

#include <userpci/mmio.h>
#include <userpci/userpci.h>

#include "harness.h"

#define EDU	   "0000:00:01.0"
#define TESTDEV	   "0000:00:02.0"
#define E1000E	   "0000:00:03.0"
#define NVME	   "0000:00:05.0"

#define PATIENCE   2000000 /* microseconds */
#define SHORT	   100000
#define PAGE	   4096u

#define EDU_RAISE  0x60
#define EDU_ACK	   0x64
#define EDU_SOURCE 0x80
#define EDU_TARGET 0x88
#define EDU_COUNT  0x90
#define EDU_START  0x98
#define EDU_MEMORY 0x40000
#define EDU_MASK   28

/* 82574L datasheet, section 10.2.4: causes 20 to 24 are those of MSI-X. */
#define E1000E_ICS  0x000c8
#define E1000E_IMS  0x000d0
#define E1000E_EIAC 0x000dc
#define E1000E_IVAR 0x000e4

static const char *backend(void)
{
	const char *name = getenv("USERPCI_BACKEND");

	return name ? name : "vfio";
}

static int is_vfio(void)
{
	return !strcmp(backend(), "vfio");
}

/* A test of one backend. */
#define TEST_IF(condition, title)                                                  \
	static void test_##title(void);                                            \
	static struct harness_test entry_##title = { #title, test_##title, NULL }; \
	__attribute__((constructor)) static void add_##title(void)                 \
	{                                                                          \
		if (!(condition))                                                  \
			return;                                                    \
		*harness.last = &entry_##title;                                    \
		harness.last = &entry_##title.next;                                \
	}                                                                          \
	static void test_##title(void)

#define TEST_VFIO(title) TEST_IF(is_vfio(), title)
#define TEST_UIO(title)	 TEST_IF(!is_vfio(), title)

static struct userpci_device *own(const char *address)
{
	struct userpci_device *device;

	CHECK_EQ(userpci_open(address, 0, &device), 0);
	return device;
}

static void pause_us(long us)
{
	const struct timespec time = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&time, NULL);
}

/* Command register, as sysfs has it: of a device that is not open, too. */
static unsigned int command_of(const char *address)
{
	uint16_t value = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", address);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, &value, sizeof(value), PCI_COMMAND), (ssize_t)sizeof(value));
	close(fd);
	return value;
}

static int refused(const char *address, unsigned int flags)
{
	struct userpci_device *device = NULL;
	int err = userpci_open(address, flags, &device);

	CHECK(!device);
	return err;
}

/* Whether the explanation of an error holds some words. */
static int says(const char *address, int error, const char *words)
{
	char text[256];

	return strstr(userpci_explain(address, error, text, sizeof(text)), words) != NULL;
}

/* --- Choosing --- */

TEST(the_driver_chooses_the_backend)
{
	struct userpci_device *device = own(EDU);

	CHECK_STR(userpci_info(device)->backend, backend());
	CHECK_STR(userpci_info(device)->address, EDU);
	CHECK_EQ(userpci_info(device)->vendor_id, 0x1234);
	CHECK_EQ(userpci_info(device)->device_id, 0x11e8);
	CHECK_EQ(userpci_info(device)->class_code >> 8, 0x00ff);
	CHECK_EQ(userpci_info(device)->num_regions, 6);
	CHECK_EQ(userpci_info(device)->num_intx, 1);
	CHECK_EQ(userpci_info(device)->num_msi, is_vfio() ? 1 : 0);
	CHECK_EQ(!(userpci_info(device)->flags & USERPCI_INFO_IOMMU), !is_vfio());
	userpci_close(device);
}

TEST(a_prefix_chooses_the_backend)
{
	struct userpci_device *device;
	char address[32];

	snprintf(address, sizeof(address), "%s:%s", backend(), EDU + 5);
	device = own(address);
	CHECK_STR(userpci_info(device)->backend, backend());
	userpci_close(device);
	CHECK_EQ(refused("stub:" EDU, 0), -ENXIO);
	CHECK(says("stub:" EDU, -ENXIO, "userpci bind 0000:00:01.0"));
	CHECK_EQ(refused(is_vfio() ? "uio:" EDU : "vfio:" EDU, 0), -ENOENT);
	CHECK_EQ(refused("vfio:nonsense", 0), -EINVAL);
	CHECK_EQ(refused("uio:nonsense", 0), -EINVAL);
	CHECK_EQ(refused("nonsense:" EDU, 0), -EINVAL);
	CHECK(says("uio:nonsense", -EINVAL, "not a PCI address"));
	CHECK_EQ(refused(is_vfio() ? "vfio:00:0f.0" : "uio:00:0f.0", 0), -ENODEV);
}

TEST(one_owner_and_no_observer)
{
	struct userpci_device *device = own(EDU);
	char words[64];

	CHECK_EQ(refused(EDU, 0), -EBUSY);
	snprintf(words, sizeof(words), "in use by process %d", (int)getpid());
	CHECK(says(EDU, -EBUSY, words));
	CHECK_EQ(refused(EDU, USERPCI_OPEN_OBSERVE), -EOPNOTSUPP);
	CHECK(says(EDU, -EOPNOTSUPP, "nobody can observe"));
	userpci_close(device);
	userpci_close(own(EDU));
}

/* --- Registers, configuration space --- */

TEST(registers)
{
	struct userpci_device *device = own(EDU);
	struct userpci_region regs;

	CHECK_EQ(userpci_region_map(device, 6, &regs), -EINVAL);
	CHECK_EQ(userpci_region_map(device, 1, &regs), -ENOENT);
	CHECK_EQ(userpci_region_map_wc(device, 0, &regs), 0);
	CHECK_EQ(regs.flags & USERPCI_REGION_WC, 0);
	userpci_region_unmap(&regs);
	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK(regs.va);
	CHECK_EQ(regs.size, 1 << 20);
	CHECK_EQ(userpci_read32(&regs, 0), 0x010000ed);
	userpci_write32(&regs, 4, 0xf0f0f0f0);
	CHECK_EQ(userpci_read32(&regs, 4), 0x0f0f0f0f);
	CHECK_EQ(userpci_region_read(&regs, 0, 4), 0x010000ed);
	CHECK_EQ(userpci_region_read(&regs, regs.size, 4), UINT64_MAX);
	CHECK_EQ(userpci_region_huge(&regs), -EOPNOTSUPP);
	userpci_region_unmap(&regs);
	userpci_close(device);
}

TEST(io_registers)
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

TEST(msix_table_is_read_only)
{
	struct userpci_device *device = own(E1000E);
	struct userpci_region table;
	int status;
	pid_t child;

	CHECK_EQ(userpci_region_map(device, 3, &table), 0);
	CHECK(table.va);
	CHECK_EQ(table.flags & USERPCI_REGION_MSIX, USERPCI_REGION_MSIX);
	CHECK_EQ(userpci_read32(&table, 12) & 1, 1); /* vector control: masked */
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		userpci_write32(&table, 12, 0);
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	userpci_close(device);
}

TEST(configuration_space_is_guarded)
{
	struct userpci_device *device = own(E1000E);
	unsigned int at = 0;
	uint32_t value;

	CHECK_EQ(userpci_config_read(device, PCI_VENDOR_ID, 2, &value), 0);
	CHECK_EQ(value, 0x8086);
	CHECK_EQ(userpci_config_read(device, 4096, 4, &value), -ERANGE);
	CHECK_EQ(userpci_config_write(device, PCI_COMMAND, 2, 6), -EPERM);
	CHECK_EQ(userpci_config_write(device, PCI_BASE_ADDRESS_0, 4, 0), -EPERM);
	CHECK_EQ(userpci_config_find(device, PCI_CAP_ID_MSIX, &at), 0);
	CHECK_EQ(userpci_config_write(device, at, 4, 0), -EPERM);
	CHECK_EQ(userpci_config_write(device, PCI_CACHE_LINE_SIZE, 1, 16), 0);
	CHECK_EQ(userpci_config_write(device, 4096, 4, 0), -ERANGE);
	userpci_close(device);
}

TEST(bus_master_is_off_until_it_is_wanted)
{
	struct userpci_device *device = own(EDU);

	CHECK_EQ(command_of(EDU) & PCI_COMMAND_MASTER, 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(command_of(EDU) & PCI_COMMAND_MASTER, PCI_COMMAND_MASTER);
	CHECK_EQ(userpci_bus_master_disable(device), 0);
	CHECK_EQ(command_of(EDU) & PCI_COMMAND_MASTER, 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	userpci_close(device);
	CHECK_EQ(command_of(EDU) & PCI_COMMAND_MASTER, 0);
}

TEST(bus_master_is_off_after_a_kill)
{
	int ready[2], status;
	pid_t child;
	char byte;

	CHECK_EQ(pipe(ready), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		CHECK_EQ(userpci_bus_master_enable(own(EDU)), 0);
		CHECK_EQ(write(ready[1], "", 1), 1);
		pause();
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	CHECK_EQ(command_of(EDU) & PCI_COMMAND_MASTER, PCI_COMMAND_MASTER);
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, &status, 0), child);
	pause_us(SHORT);
	CHECK_EQ(command_of(EDU) & PCI_COMMAND_MASTER, 0);
	userpci_close(own(EDU));
}

/* A child's copy is not the owner's: when it closes, nothing happens to the device. */
TEST(a_child_closes_its_copy)
{
	struct userpci_device *device = own(EDU);
	int status;
	pid_t child;

	CHECK_EQ(userpci_bus_master_enable(device), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		userpci_close(device);
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(command_of(EDU) & PCI_COMMAND_MASTER, PCI_COMMAND_MASTER);
	userpci_close(device);
}

/* NVM Express 1.4, section 3.1.5: Controller Configuration, which a reset clears. */
#define NVME_CC	       0x14
#define NVME_CC_IOSQES 0x60000

TEST(reset)
{
	struct userpci_device *device = own(NVME);
	struct userpci_region regs;

	CHECK_EQ(userpci_info(device)->flags & USERPCI_INFO_RESET, USERPCI_INFO_RESET);
	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_reset(device), 0); /* the firmware may have left it running */
	userpci_write32(&regs, NVME_CC, NVME_CC_IOSQES);
	CHECK_EQ(userpci_read32(&regs, NVME_CC), NVME_CC_IOSQES);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_reset(device), 0);
	CHECK_EQ(command_of(NVME) & PCI_COMMAND_MASTER, 0);
	CHECK_EQ(userpci_read32(&regs, NVME_CC), 0);
	userpci_write32(&regs, NVME_CC, NVME_CC_IOSQES);
	userpci_close(device);
	device = own(NVME);
	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_read32(&regs, NVME_CC), 0);
	userpci_close(device);
	device = own(EDU);
	CHECK_EQ(userpci_info(device)->flags & USERPCI_INFO_RESET, 0);
	CHECK_EQ(userpci_reset(device), -EOPNOTSUPP);
	userpci_close(device);
}

/* --- DMA memory --- */

static void edu_dma(struct userpci_region *regs, uint64_t source, uint64_t target, int to_host)
{
	int tries;

	userpci_write64(regs, EDU_SOURCE, source);
	userpci_write64(regs, EDU_TARGET, target);
	userpci_write64(regs, EDU_COUNT, 64);
	userpci_wmb();
	userpci_write64(regs, EDU_START, 1u | (to_host ? 2u : 0));
	for (tries = 0; tries < 2000 && userpci_read64(regs, EDU_START) & 1; tries++)
		pause_us(1000);
	CHECK(tries < 2000);
}

/* The device reads what is at one end of the buffer, and writes it to the other. */
static void edu_copies(struct userpci_device *device, const struct userpci_dma *dma)
{
	uint64_t last = dma->size - 64;
	struct userpci_region regs;
	char *va = dma->va;

	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	memset(va, 0x5a, 64);
	memset(va + last, 0, 64);
	edu_dma(&regs, userpci_dma_iova(dma, 0), EDU_MEMORY, 0);
	edu_dma(&regs, EDU_MEMORY, userpci_dma_iova(dma, last), 1);
	userpci_rmb();
	CHECK_EQ(memcmp(va, va + last, 64), 0);
	CHECK_EQ(userpci_bus_master_disable(device), 0);
	userpci_region_unmap(&regs);
}

static int is_zero(const struct userpci_dma *dma)
{
	const char *va = dma->va;

	return !va[0] && !memcmp(va, va + 1, dma->size - 1);
}

TEST(dma_kinds)
{
	struct userpci_device *device = own(EDU);
	struct userpci_dma_options options = { .size = 3 * PAGE };
	struct userpci_dma dma;

	CHECK_EQ(userpci_dma_set_mask(device, EDU_MASK), 0);
	for (options.kind = 0; options.kind < USERPCI_DMA_PINNED; options.kind++) {
		CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
		CHECK_EQ(dma.kind, options.kind);
		CHECK_EQ(dma.size % PAGE, 0);
		CHECK(dma.size >= 3 * PAGE);
		CHECK_EQ(dma.chunks, 1);
		CHECK_EQ((dma.iova + dma.size - 1) >> EDU_MASK, 0);
		CHECK(is_zero(&dma));
		edu_copies(device, &dma);
		CHECK_EQ(userpci_dma_set_mask(device, 32), -EBUSY);
		userpci_dma_free(&dma);
	}
	CHECK_EQ(userpci_dma_set_mask(device, 32), 0);
	userpci_close(device);
}

static void *own_memory(void)
{
	void *va = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(va != MAP_FAILED);
	return va;
}

TEST_UIO(nothing_is_pinned)
{
	struct userpci_dma_options options = { .kind = USERPCI_DMA_PINNED, .size = 2 * PAGE };
	struct userpci_device *device = own(EDU);
	struct userpci_dma dma;

	options.address = own_memory();
	CHECK_EQ(userpci_dma_create(device, &options, &dma), -EOPNOTSUPP);
	userpci_close(device);
}

TEST_VFIO(dma_pinned)
{
	struct userpci_dma_options options = { .kind = USERPCI_DMA_PINNED, .size = 2 * PAGE };
	struct userpci_device *device = own(EDU);
	struct userpci_dma dma;

	options.address = own_memory();
	CHECK_EQ(userpci_dma_set_mask(device, EDU_MASK), 0);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
	CHECK(dma.va == options.address);
	edu_copies(device, &dma);
	userpci_dma_free(&dma);
	CHECK_EQ(mprotect(options.address, 2 * PAGE, PROT_READ), 0);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), -EFAULT);
	userpci_close(device);
}

TEST(dma_names)
{
	struct userpci_dma_options options = { .size = PAGE, .name = "ring" };
	struct userpci_device *device = own(EDU);
	struct userpci_dma dma, other, plain;
	struct userpci_dma_info info;
	uint32_t cursor = 0;

	CHECK_EQ(userpci_dma_next(device, &cursor, &info), -ENOENT);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
	CHECK_EQ(userpci_dma_alloc(device, PAGE, &plain), 0);
	CHECK_EQ(userpci_dma_create(device, &options, &other), -EEXIST);
	CHECK_EQ(userpci_dma_attach(device, "rings", &other), -ENOENT);
	CHECK_EQ(userpci_dma_attach(device, "ring", &other), 0);
	CHECK_EQ(other.iova, dma.iova);
	CHECK(other.va != dma.va);
	strcpy(dma.va, "the same memory");
	CHECK_STR((char *)other.va, "the same memory");
	userpci_dma_detach(&other);
	CHECK_EQ(userpci_dma_next(device, &cursor, &info), 0);
	CHECK_STR(info.name, "ring");
	CHECK_EQ(info.iova, dma.iova);
	CHECK_EQ(userpci_dma_next(device, &cursor, &info), 0);
	CHECK_STR(info.name, "");
	CHECK_EQ(userpci_dma_next(device, &cursor, &info), -ENOENT);
	userpci_dma_free(&dma);
	CHECK_EQ(userpci_dma_attach(device, "ring", &other), -ENOENT);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
	userpci_close(device);
}

/* Buffers do not overlap, and what was freed is used again. */
TEST(dma_many)
{
	struct userpci_device *device = own(EDU);
	struct userpci_dma dma[8];
	unsigned int i, j, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 8; i++)
			CHECK_EQ(userpci_dma_alloc(device, (i + 1) * PAGE, &dma[i]), 0);
		for (i = 0; i < 8; i++)
			for (j = 0; j < i; j++)
				CHECK(dma[i].iova + dma[i].size <= dma[j].iova ||
				      dma[j].iova + dma[j].size <= dma[i].iova);
		for (i = 0; i < 8; i += 1 + round % 2)
			userpci_dma_free(&dma[i]);
		for (i = 1; i < 8 && round % 2; i += 2)
			userpci_dma_free(&dma[i]);
	}
	userpci_close(device);
}

TEST(dma_too_large)
{
	struct userpci_dma_options options = { .kind = USERPCI_DMA_CHUNKED, .size = 32u << 20 };
	struct userpci_device *device = own(EDU);
	struct userpci_dma dma;

	CHECK_EQ(userpci_dma_set_mask(device, 24), 0);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), -ENOMEM);
	options.size = UINT64_MAX;
	CHECK_EQ(userpci_dma_create(device, &options, &dma), -ENOMEM);
	options.size = 1ull << 50;
	CHECK_EQ(userpci_dma_create(device, &options, &dma), -ENOMEM);
	CHECK_EQ(userpci_dma_set_mask(device, 32), 0);
	/* Of UIO's, a contiguous one is at most a huge page, and others are in several pieces. */
	if (!is_vfio()) {
		CHECK_EQ(userpci_dma_alloc(device, 3u << 20, &dma), -ENOMEM);
		options.size = 5u << 20;
		CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
		CHECK_EQ(dma.size, 6u << 20);
		CHECK(is_zero(&dma));
		edu_copies(device, &dma);
	}
	userpci_close(device);
}

/* --- Interrupts --- */

/* With edu's cause cleared. */
static void edu_interrupt(struct userpci_device *device, struct userpci_region *regs)
{
	userpci_write32(regs, EDU_RAISE, 1);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, NULL), 0);
	userpci_write32(regs, EDU_ACK, 1);
}

TEST(intx)
{
	struct userpci_device *device = own(EDU);
	struct userpci_region regs;
	uint64_t count;

	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, 0, NULL), -EINVAL);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, SHORT, NULL), -ETIMEDOUT);
	userpci_write32(&regs, EDU_RAISE, 1);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, &count), 0);
	CHECK_EQ(count, 1);
	/* The line is still up: the next comes when it is unmasked. */
	CHECK_EQ(userpci_irq_wait(device, 0, SHORT, NULL), -ETIMEDOUT);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, &count), 0);
	userpci_write32(&regs, EDU_ACK, 1);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, SHORT, NULL), -ETIMEDOUT);
	CHECK_EQ(userpci_irq_mask(device, 0), 0);
	userpci_write32(&regs, EDU_RAISE, 1);
	CHECK_EQ(userpci_irq_wait(device, 0, SHORT, NULL), -ETIMEDOUT);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, NULL), 0);
	userpci_write32(&regs, EDU_ACK, 1);
	/* Enabled anew. */
	userpci_irq_disable(device);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	edu_interrupt(device, &regs);
	CHECK_EQ(userpci_irq_limit(device, 0, 100), -EOPNOTSUPP);
	userpci_close(device);
}

TEST(intx_to_an_eventfd_of_the_callers)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), file = open("/dev/null", O_RDWR);
	struct userpci_device *device = own(EDU);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct userpci_region regs;
	eventfd_t count;

	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	userpci_write32(&regs, EDU_RAISE, 1);
	pause_us(SHORT);
	CHECK_EQ(userpci_irq_set_fd(device, 0, fd), 0);
	CHECK_EQ(poll(&p, 1, 2000), 1);
	CHECK_EQ(eventfd_read(fd, &count), 0);
	userpci_write32(&regs, EDU_ACK, 1);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_set_fd(device, 0, file), -EINVAL);
	edu_interrupt(device, &regs);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_set_fd(device, 0, -1), 0);
	edu_interrupt(device, &regs);
	CHECK_EQ(poll(&p, 1, 0), 0);
	userpci_close(device);
}

TEST_UIO(no_messages)
{
	struct userpci_device *device = own(E1000E);

	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 1), -ENOSPC);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 1), -ENOSPC);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 1), 0);
	CHECK_EQ(userpci_irq_kind(device), USERPCI_IRQ_INTX);
	userpci_close(device);
	device = own(TESTDEV);
	CHECK_EQ(userpci_info(device)->num_intx, 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 1), -ENOSPC);
	userpci_close(device);
}

TEST_VFIO(msi)
{
	struct userpci_device *device = own(EDU);
	struct userpci_region regs;

	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 1), -ENOSPC);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 2), -ENOSPC);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	edu_interrupt(device, &regs);
	edu_interrupt(device, &regs);
	CHECK_EQ(userpci_irq_wait(device, 0, SHORT, NULL), -ETIMEDOUT);
	CHECK_EQ(userpci_irq_mask(device, 0), 0);
	userpci_write32(&regs, EDU_RAISE, 1);
	CHECK_EQ(userpci_irq_wait(device, 0, SHORT, NULL), -ETIMEDOUT);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, NULL), 0);
	userpci_write32(&regs, EDU_ACK, 1);
	edu_interrupt(device, &regs);
	userpci_close(device);
}

static void e1000e_cause(struct userpci_region *regs, unsigned int vector)
{
	userpci_write32(regs, E1000E_IMS, 1u << (20 + vector));
	userpci_write32(regs, E1000E_ICS, 1u << (20 + vector));
}

static struct userpci_device *e1000e_three_vectors(struct userpci_region *regs)
{
	struct userpci_device *device = own(E1000E);

	CHECK_EQ(userpci_region_map(device, 0, regs), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 3), 0);
	userpci_write32(regs, E1000E_IVAR, 0x8 | 0x90 | 0xa00); /* cause i to vector i, valid */
	userpci_write32(regs, E1000E_EIAC, 0x1f00000);
	return device;
}

/* QEMU 7.2 aborts when a throttling timer finds MSI-X off. */
static void e1000e_end(struct userpci_device *device)
{
	pause_us(200000);
	userpci_close(device);
}

/* One vector of several gets another eventfd; the rest, with interrupts waiting, see nothing. */
TEST_VFIO(msix_one_vector_changes)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct userpci_device *device;
	struct userpci_region regs;
	uint64_t count;
	unsigned int i;

	device = e1000e_three_vectors(&regs);
	for (i = 0; i < 3; i++)
		e1000e_cause(&regs, i);
	pause_us(SHORT);
	CHECK_EQ(userpci_irq_set_fd(device, 1, fd), 0);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(userpci_irq_wait(device, i, PATIENCE, &count), 0);
		CHECK_EQ(count, 1);
	}
	for (i = 0; i < 3; i++)
		e1000e_cause(&regs, i);
	for (i = 0; i < 3; i++)
		CHECK_EQ(userpci_irq_wait(device, i, PATIENCE, NULL), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, 0, NULL), -ETIMEDOUT);
	e1000e_end(device);
}

/* What comes to a masked vector is delivered later; the others go on. */
TEST_VFIO(msix_mask)
{
	struct userpci_device *device;
	struct userpci_region regs;
	uint64_t count;

	device = e1000e_three_vectors(&regs);
	CHECK_EQ(userpci_irq_mask(device, 1), 0);
	e1000e_cause(&regs, 0);
	e1000e_cause(&regs, 1);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, NULL), 0);
	CHECK_EQ(userpci_irq_wait(device, 1, SHORT, NULL), -ETIMEDOUT);
	CHECK_EQ(userpci_irq_unmask(device, 1), 0);
	CHECK_EQ(userpci_irq_wait(device, 1, PATIENCE, &count), 0);
	CHECK_EQ(count, 1);
	e1000e_cause(&regs, 2);
	CHECK_EQ(userpci_irq_wait(device, 2, PATIENCE, NULL), 0);
	e1000e_end(device);
}

/* --- Events, removal --- */

TEST_UIO(no_statistics)
{
	struct userpci_device *device = own(EDU);
	struct userpci_event event;

	CHECK(!userpci_stats(device));
	CHECK_EQ(userpci_event_wait(device, 0, &event), -EOPNOTSUPP);
	CHECK_EQ(userpci_event_fd(device), -EOPNOTSUPP);
	userpci_close(device);
}

TEST_VFIO(statistics)
{
	struct userpci_device *device = own(EDU);
	const volatile struct userpci_uapi_stats *stats = userpci_stats(device);
	struct userpci_event event;
	struct userpci_dma dma;

	CHECK(stats);
	CHECK_EQ(stats->owner, getpid());
	CHECK_EQ(stats->dma_bytes, 0);
	CHECK_EQ(userpci_dma_alloc(device, PAGE, &dma), 0);
	CHECK_EQ(stats->dma_bytes, PAGE);
	userpci_dma_free(&dma);
	CHECK_EQ(stats->dma_bytes, 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(stats->irq_kind, USERPCI_IRQ_MSI);
	CHECK_EQ(stats->irq_count, 1);
	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	CHECK_EQ(userpci_event_wait(device, SHORT, &event), -ETIMEDOUT);
	userpci_close(device);
}

TEST_VFIO(reset_is_told)
{
	struct userpci_device *device = own(E1000E);
	struct userpci_event event;

	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	CHECK_EQ(userpci_reset(device), 0);
	CHECK_EQ(userpci_event_wait(device, PATIENCE, &event), 0);
	CHECK_EQ(event.type, USERPCI_EVENT_RESET);
	userpci_close(device);
}

static void driver_write(const char *file)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/%s",
		 is_vfio() ? "vfio-pci" : "uio_pci_generic", file);
	fd = open(path, O_WRONLY);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, EDU, strlen(EDU)), (ssize_t)strlen(EDU));
	close(fd);
}

/* The driver waits for an interrupt meanwhile. With VFIO the kernel then waits for its close. */
TEST(unbinding_is_told)
{
	struct userpci_device *device = own(EDU);
	struct userpci_event event;
	pid_t child;
	int status;

	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	if (is_vfio())
		CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		/* Its copies must not keep the device open. */
		close_range(3, ~0u, 0);
		pause_us(SHORT);
		driver_write("unbind");
		_exit(0);
	}
	CHECK_EQ(userpci_irq_wait(device, 0, 10 * PATIENCE, NULL), -ENODEV);
	if (is_vfio()) {
		CHECK_EQ(userpci_event_wait(device, PATIENCE, &event), 0);
		CHECK_EQ(event.type, USERPCI_EVENT_REMOVE);
	}
	userpci_close(device);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(refused(is_vfio() ? "vfio:" EDU : "uio:" EDU, 0), -ENXIO);
	CHECK(says(is_vfio() ? "vfio:" EDU : "uio:" EDU, -ENXIO, "userpci bind --driver"));
	driver_write("bind");
	userpci_close(own(EDU));
}

TEST_MAIN
