/* SPDX-License-Identifier: MIT */
/*
 * Devices of a private QEMU ("qemu:DEVICE"): registers, DMA, interrupts of each kind, frames, and
 * what happens when QEMU or the caller ends. Each test starts its own. qtest.sh has the cases that
 * need several processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <unic/driver.h>
#include <userpci/mmio.h>
#include <userpci/userpci.h>

#include "drivers/intel/regs.h"
#include "harness.h"
#include "lib/qtest.h"
#include "nic/frame.h"

#define SECOND	  1000000 /* microseconds */
#define SOON	  (10 * SECOND)
#define LIMIT_S	  120 /* a test that hangs is killed */

#define EDU_ID	  0x00
#define EDU_ALIVE 0x04
#define EDU_RAISE 0x60
#define EDU_ACK	  0x64

static struct userpci_device *open_qemu(const char *address)
{
	struct userpci_device *device;
	int err;

	alarm(LIMIT_S);
	err = userpci_open(address, 0, &device);
	if (err == -ENOENT)
		SKIP("there is no QEMU; run scripts/setup guest");
	if (err)
		HARNESS_FAIL("%s: %s", address, userpci_qtest_message());
	return device;
}

static struct userpci_device *open_with(const char *address, const char *arguments)
{
	setenv("USERPCI_QEMU_ARGS", arguments, 1);
	return open_qemu(address);
}

static struct userpci_region map(struct userpci_device *device, unsigned int index)
{
	struct userpci_region region;

	CHECK_EQ(userpci_region_map(device, index, &region), 0);
	return region;
}

static void sleep_us(unsigned int time_us)
{
	unic_sleep_us(time_us);
}

/* Descriptors that are open. */
static unsigned int count_fds(void)
{
	struct rlimit limit;
	unsigned int n = 0, fd;

	getrlimit(RLIMIT_NOFILE, &limit);
	for (fd = 0; fd < 1024 && fd < limit.rlim_max; fd++)
		n += fcntl((int)fd, F_GETFD) >= 0;
	return n;
}

/* --- Registers --- */

TEST(edu_registers)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_region regs = map(device, 0);

	CHECK_STR(userpci_info(device)->address, "0000:00:01.0");
	CHECK_STR(userpci_info(device)->backend, "qemu");
	CHECK_EQ(userpci_info(device)->vendor_id, 0x1234);
	CHECK_EQ(userpci_info(device)->device_id, 0x11e8);
	CHECK_EQ(regs.size, 1 << 20);
	CHECK(!regs.va);
	CHECK_EQ(userpci_read32(&regs, EDU_ID), 0x010000ed);
	userpci_write32(&regs, EDU_ALIVE, 0x12345678);
	CHECK_EQ(userpci_read32(&regs, EDU_ALIVE), ~0x12345678u);
	userpci_write64(&regs, 0x80, 0x123456789abcdef0);
	CHECK_EQ(userpci_read64(&regs, 0x80), 0x123456789abcdef0);
	/* Outside, and across a boundary: as on the bus. */
	CHECK_EQ(userpci_read32(&regs, 1 << 20), 0xffffffff);
	CHECK_EQ(userpci_read64(&regs, (1 << 20) - 4), UINT64_MAX);
	CHECK_EQ(userpci_read32(&regs, 2), 0xffffffff);
	CHECK_EQ(userpci_region_map(device, 1, &regs), -ENOENT);
	CHECK_EQ(userpci_region_map(device, 6, &regs), -EINVAL);
	userpci_close(device);
}

/* Memory behind a 64-bit prefetchable BAR, in all widths. */
TEST(ivshmem_widths)
{
	struct userpci_device *device =
		open_with("qemu:ivshmem-plain,memdev=shm",
			  "-object memory-backend-ram,id=shm,size=4M,share=on");
	struct userpci_region memory = map(device, 2);

	CHECK_EQ(memory.size, 4 << 20);
	CHECK_EQ(memory.flags, USERPCI_REGION_64 | USERPCI_REGION_PREFETCH | USERPCI_REGION_CALLS);
	userpci_write64(&memory, 0, 0x1122334455667788);
	CHECK_EQ(userpci_read32(&memory, 0), 0x55667788);
	CHECK_EQ(userpci_read16(&memory, 2), 0x5566);
	CHECK_EQ(userpci_read8(&memory, 7), 0x11);
	userpci_write8(&memory, 1, 0xaa);
	userpci_write16(&memory, 4, 0xbbcc);
	CHECK_EQ(userpci_read64(&memory, 0), 0x1122bbcc5566aa88);
	userpci_write32(&memory, (4 << 20) - 4, 0xdeadbeef);
	CHECK_EQ(userpci_read32(&memory, (4 << 20) - 4), 0xdeadbeef);
	userpci_close(device);
}

TEST(large_bar_is_above_4_gib)
{
	struct userpci_device *device = open_qemu("qemu:pci-testdev,membar=1G");
	struct userpci_region memory = map(device, 2), io = map(device, 1);
	uint32_t high;

	CHECK_EQ(memory.size, 1ull << 30);
	CHECK_EQ(userpci_config_read(device, PCI_BASE_ADDRESS_3, 4, &high), 0);
	CHECK(high);
	CHECK(io.flags & USERPCI_REGION_IO);
	userpci_close(device);
}

TEST(bars_without_room)
{
	struct userpci_device *device;

	userpci_close(open_qemu("qemu:edu"));
	CHECK_EQ(userpci_open("qemu:pci-testdev,membar=2T", 0, &device), -ENOSPC);
	CHECK_STR(userpci_qtest_message(), "its BARs are larger than the room for them");
}

/* Virtio's legacy interface: registers of 1, 2 and 4 bytes in I/O space. */
static void check_virtio_io(struct userpci_device *device)
{
	struct userpci_region io = map(device, 0);

	CHECK(io.flags & USERPCI_REGION_IO);
	CHECK(userpci_read32(&io, 0)); /* features */
	userpci_write8(&io, 18, 3);    /* status */
	CHECK_EQ(userpci_read8(&io, 18), 3);
	userpci_write16(&io, 14, 0); /* the queue */
	CHECK_EQ(userpci_read16(&io, 12), 256);
	userpci_write32(&io, 8, 0x1234); /* where it is */
	CHECK_EQ(userpci_read32(&io, 8), 0x1234);
	CHECK_EQ(userpci_read64(&io, 0), UINT64_MAX);
}

TEST(io_bar)
{
	struct userpci_device *device = open_qemu("qemu:virtio-net-pci,disable-legacy=off");

	check_virtio_io(device);
	userpci_close(device);
	device = open_qemu("qemu:e1000");
	CHECK_EQ(map(device, 1).flags, USERPCI_REGION_IO | USERPCI_REGION_CALLS);
	CHECK_EQ(map(device, 1).size, 64);
	userpci_close(device);
}

TEST(behind_bridges)
{
	struct userpci_device *device =
		open_with("qemu:virtio-net-pci,bus=br,addr=3,disable-legacy=off",
			  "-device virtio-rng-pci -device pci-bridge,id=br,chassis_nr=1");

	CHECK_STR(userpci_info(device)->address, "0000:01:03.0");
	check_virtio_io(device);
	userpci_close(device);
	device = open_with("qemu:ivshmem-plain,memdev=shm,bus=down",
			   "-object memory-backend-ram,id=shm,size=4M,share=on "
			   "-device pcie-root-port,id=root -device x3130-upstream,bus=root,id=up "
			   "-device xio3130-downstream,bus=up,id=down,chassis=2");
	CHECK_STR(userpci_info(device)->address, "0000:03:00.0");
	{
		struct userpci_region memory = map(device, 2);

		userpci_write32(&memory, 64, 0x12345678);
		CHECK_EQ(userpci_read32(&memory, 64), 0x12345678);
	}
	userpci_close(device);
}

TEST(beside_other_devices)
{
	struct userpci_device *device = open_with("qemu:edu",
						  "-device virtio-rng-pci -device virtio-rng-pci");

	CHECK_EQ(userpci_info(device)->device_id, 0x11e8);
	userpci_close(device);
	device = open_with("qemu:edu,addr=1d.0", "-device virtio-rng-pci");
	CHECK_EQ(userpci_info(device)->device_id, 0x11e8);
	CHECK_STR(userpci_info(device)->address, "0000:00:1d.0");
	userpci_close(device);
}

TEST(two_at_once)
{
	struct userpci_device *a = open_qemu("qemu:edu"), *b = open_qemu("qemu:edu");
	struct userpci_region a_regs = map(a, 0), b_regs = map(b, 0);

	userpci_write32(&a_regs, EDU_ALIVE, 1);
	userpci_write32(&b_regs, EDU_ALIVE, 2);
	CHECK_EQ(userpci_read32(&a_regs, EDU_ALIVE), ~1u);
	userpci_close(a);
	CHECK_EQ(userpci_read32(&b_regs, EDU_ALIVE), ~2u);
	userpci_close(b);
}

/* --- Configuration space --- */

TEST(config_guard)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	unsigned int msi = 0;
	uint32_t value;

	CHECK_EQ(userpci_config_read(device, PCI_VENDOR_ID, 4, &value), 0);
	CHECK_EQ(value, 0x11e81234);
	CHECK_EQ(userpci_config_read(device, 1, 2, &value), -EINVAL);
	CHECK_EQ(userpci_config_read(device, 252, 4, &value), 0);
	CHECK_EQ(userpci_config_read(device, 256, 4, &value), -ERANGE);
	CHECK_EQ(userpci_config_write(device, 256, 4, 0), -ERANGE);
	CHECK_EQ(userpci_config_write(device, PCI_BASE_ADDRESS_0, 4, 0), -EPERM);
	CHECK_EQ(userpci_config_write(device, PCI_COMMAND, 2, 0), -EPERM);
	CHECK_EQ(userpci_config_write(device, PCI_INTERRUPT_LINE, 1, 0), -EPERM);
	CHECK_EQ(userpci_config_write(device, PCI_CACHE_LINE_SIZE, 1, 16), 0);
	CHECK_EQ(userpci_config_read(device, PCI_CACHE_LINE_SIZE, 1, &value), 0);
	CHECK_EQ(value, 16);
	CHECK_EQ(userpci_config_find(device, PCI_CAP_ID_MSI, &msi), 0);
	CHECK_EQ(userpci_config_write(device, msi + PCI_MSI_FLAGS, 2, 1), -EPERM);
	CHECK_EQ(userpci_config_write(device, msi + PCI_MSI_ADDRESS_LO, 4, 0), -EPERM);
	CHECK_EQ(userpci_reset(device), -EOPNOTSUPP);
	userpci_close(device);
}

TEST(config_guard_express)
{
	struct userpci_device *device = open_with("qemu:virtio-net-pci,bus=root",
						  "-device pcie-root-port,id=root");
	unsigned int pcie = 0, msix = 0, pm = 0;
	uint32_t control, value;

	CHECK_EQ(userpci_config_find(device, PCI_CAP_ID_EXP, &pcie), 0);
	CHECK_EQ(userpci_config_find(device, PCI_CAP_ID_MSIX, &msix), 0);
	CHECK_EQ(userpci_config_find(device, PCI_CAP_ID_PM, &pm), 0);
	CHECK_EQ(userpci_config_write(device, msix + PCI_MSIX_FLAGS, 2, 0), -EPERM);
	CHECK_EQ(userpci_config_write(device, pm + PCI_PM_CTRL, 2, 3), -EPERM);
	CHECK_EQ(userpci_config_read(device, pcie + PCI_EXP_DEVCTL, 2, &control), 0);
	CHECK_EQ(userpci_config_write(device, pcie + PCI_EXP_DEVCTL, 2, control), 0);
	control |= PCI_EXP_DEVCTL_BCR_FLR;
	CHECK_EQ(userpci_config_write(device, pcie + PCI_EXP_DEVCTL, 2, control), -EPERM);
	CHECK_EQ(userpci_config_write(device, pcie + PCI_EXP_DEVCTL, 4, control), -EPERM);
	CHECK_EQ(userpci_config_write(device, pcie + PCI_EXP_DEVCTL + 1, 1, 0x80), -EPERM);
	CHECK_EQ(userpci_config_read(device, 4092, 4, &value), 0);
	CHECK_EQ(userpci_config_read(device, 4096, 4, &value), -ERANGE);
	userpci_close(device);
}

/* --- DMA memory --- */

static struct userpci_dma alloc(struct userpci_device *device, uint64_t size)
{
	struct userpci_dma dma;

	CHECK_EQ(userpci_dma_alloc(device, size, &dma), 0);
	CHECK(dma.size >= size);
	return dma;
}

static bool is_zero(const struct userpci_dma *dma)
{
	const char *bytes = dma->va;

	return !bytes[0] && !memcmp(bytes, bytes + 1, dma->size - 1);
}

TEST(dma_fill_and_reuse)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_dma a = alloc(device, 1), b = alloc(device, 1 << 20);
	struct userpci_dma c = alloc(device, 4096), d, all[512];
	uint64_t hole = b.iova;
	unsigned int n = 0;

	CHECK_EQ(a.size, 4096);
	memset(b.va, 0xff, b.size);
	userpci_dma_free(&b);
	/* Pieces of the hole, zeroed; what does not fit comes behind. */
	b = alloc(device, 1 << 19);
	CHECK_EQ(b.iova, hole);
	CHECK(is_zero(&b));
	d = alloc(device, (1 << 19) + 4096);
	CHECK(d.iova > c.iova);
	userpci_dma_free(&d);
	d = alloc(device, 1 << 19);
	CHECK_EQ(d.iova, hole + (1 << 19));
	while (n < 512 && !userpci_dma_alloc(device, 1 << 20, &all[n]))
		n++;
	CHECK(n > 200 && n < 512);
	CHECK_EQ(userpci_dma_alloc(device, 1 << 20, &d), -ENOMEM);
	CHECK_EQ(userpci_dma_alloc(device, UINT64_MAX, &d), -ENOMEM);
	while (n)
		userpci_dma_free(&all[--n]);
	all[0] = alloc(device, 200u << 20);
	userpci_close(device);
}

TEST(dma_mask)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_dma dma;
	unsigned int n = 0;

	CHECK_EQ(userpci_dma_set_mask(device, 23), -EINVAL);
	CHECK_EQ(userpci_dma_set_mask(device, 24), 0);
	while (!userpci_dma_alloc(device, 1 << 20, &dma)) {
		CHECK(dma.iova + dma.size <= 1 << 24);
		n++;
	}
	CHECK_EQ(n, 15);
	CHECK_EQ(userpci_dma_set_mask(device, 64), -EBUSY);
	userpci_close(device);
	device = open_qemu("qemu:edu");
	CHECK_EQ(userpci_dma_set_mask(device, 64), 0);
	alloc(device, 32 << 20);
	userpci_close(device);
}

TEST(dma_kinds_and_names)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_dma_options options = { .size = 8192, .name = "ring" };
	static char own[4096] __attribute__((aligned(4096)));
	struct userpci_dma dma, other, third;
	struct userpci_dma_info info;
	uint32_t cursor = 0;

	CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
	CHECK_EQ(userpci_dma_create(device, &options, &other), -EEXIST);
	options.name = NULL;
	options.kind = USERPCI_DMA_CHUNKED;
	CHECK_EQ(userpci_dma_create(device, &options, &other), 0);
	CHECK_EQ(other.chunks, 1);
	CHECK_EQ(userpci_dma_attach(device, "none", &third), -ENOENT);
	CHECK_EQ(userpci_dma_attach(device, "ring", &third), 0);
	memcpy(dma.va, "seen", 5);
	CHECK_STR(third.va, "seen");
	userpci_dma_detach(&third);
	CHECK_EQ(userpci_dma_next(device, &cursor, &info), 0);
	CHECK_STR(info.name, "ring");
	CHECK_EQ(info.iova, dma.iova);
	CHECK_EQ(userpci_dma_next(device, &cursor, &info), 0);
	CHECK_EQ(info.kind, USERPCI_DMA_CHUNKED);
	CHECK_EQ(userpci_dma_next(device, &cursor, &info), -ENOENT);
	options = (struct userpci_dma_options){ .kind = USERPCI_DMA_PINNED,
						.size = sizeof(own),
						.address = own };
	CHECK_EQ(userpci_dma_create(device, &options, &third), -EOPNOTSUPP);
	userpci_close(device);
}

/* --- Interrupts --- */

static void raise_edu(const struct userpci_region *regs)
{
	userpci_write32(regs, EDU_RAISE, 1);
}

static void serve_edu(const struct userpci_region *regs)
{
	userpci_write32(regs, EDU_ACK, 1);
}

/* That the vector is quiet: what the device did before is complete when a read is. */
static int look(struct userpci_device *device, unsigned int vector)
{
	uint32_t value;

	CHECK_EQ(userpci_config_read(device, 0, 4, &value), 0);
	return userpci_irq_wait(device, vector, 0, NULL);
}

TEST(intx)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_region regs = map(device, 0);
	uint64_t count;

	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	CHECK_EQ(look(device, 0), -ETIMEDOUT);
	raise_edu(&regs);
	CHECK_EQ(userpci_irq_wait(device, 0, SOON, &count), 0);
	CHECK_EQ(count, 1);
	/* Masked until it is served. */
	serve_edu(&regs);
	raise_edu(&regs);
	CHECK_EQ(look(device, 0), -ETIMEDOUT);
	/* Not served yet: a new one at once. */
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, SOON, &count), 0);
	CHECK_EQ(count, 1);
	serve_edu(&regs);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(look(device, 0), -ETIMEDOUT);
	/* With no access of ours that could take it in: edu's factorial raises it. */
	userpci_write32(&regs, 0x20, 0x80);
	userpci_write32(&regs, 0x08, 5);
	CHECK_EQ(userpci_irq_wait(device, 0, SOON, NULL), 0);
	userpci_write32(&regs, EDU_ACK, 1);
	CHECK_EQ(userpci_irq_mask(device, 0), 0);
	raise_edu(&regs);
	CHECK_EQ(look(device, 0), -ETIMEDOUT);
	userpci_irq_disable(device);
	/* A line that is up when it is enabled. */
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, SOON, NULL), 0);
	userpci_close(device);
}

TEST(msi)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_region regs = map(device, 0);
	uint64_t count;
	int i;

	CHECK_EQ(userpci_info(device)->num_msi, 1);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 1), -ENOSPC);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 1), 0);
	CHECK_EQ(userpci_irq_kind(device), USERPCI_IRQ_MSI);
	raise_edu(&regs);
	CHECK_EQ(look(device, 0), -ETIMEDOUT); /* it is not bus master */
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	for (i = 0; i < 3; i++)
		raise_edu(&regs);
	CHECK_EQ(look(device, 0), 0);
	for (i = 0; i < 3; i++)
		raise_edu(&regs);
	CHECK_EQ(userpci_irq_wait(device, 0, SOON, &count), 0);
	for (; count < 3; i = 0) {
		uint64_t more;

		CHECK_EQ(userpci_irq_wait(device, 0, SOON, &more), 0);
		count += more;
	}
	CHECK_EQ(count, 3);
	/* Unmasking wakes when something came, and only then. */
	CHECK_EQ(userpci_irq_mask(device, 0), 0);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(look(device, 0), -ETIMEDOUT);
	CHECK_EQ(userpci_irq_mask(device, 0), 0);
	raise_edu(&regs);
	CHECK_EQ(look(device, 0), -ETIMEDOUT);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, SOON, &count), 0);
	CHECK_EQ(count, 1);
	userpci_close(device);
}

/* Of the 82574: causes of its five vectors, and which vector each is. */
#define E1000E_ICS	0x00c8
#define E1000E_IVAR	0x00e4
#define E1000E_IVAR_ALL 0x000cba98u /* RX 0, 1, TX 0, 1, other: vectors 0 to 4, all valid */
#define E1000E_CAUSE(v) (1u << (20 + (v)))

static struct userpci_region enable_e1000e(struct userpci_device *device)
{
	struct userpci_region regs = map(device, 0);

	CHECK_EQ(userpci_info(device)->num_msix, 5);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 5), 0);
	userpci_write32(&regs, E1000E_IVAR, E1000E_IVAR_ALL);
	userpci_write32(&regs, E1000_IMS, 0x1f << 20);
	return regs;
}

static void raise_e1000e(const struct userpci_region *regs, unsigned int vector)
{
	(void)userpci_read32(regs, E1000_ICR);
	userpci_write32(regs, E1000_ICR, 0xffffffff);
	userpci_write32(regs, E1000_IMS, 0x1f << 20);
	userpci_write32(regs, E1000E_ICS, E1000E_CAUSE(vector));
}

TEST(msix)
{
	struct userpci_device *device = open_with("qemu:e1000e,bus=root",
						  "-device pcie-root-port,id=root");
	struct userpci_region regs = enable_e1000e(device);
	unsigned int vector, other;

	for (vector = 0; vector < 5; vector++) {
		raise_e1000e(&regs, vector);
		CHECK_EQ(userpci_irq_wait(device, vector, SOON, NULL), 0);
		for (other = 0; other < 5; other++)
			CHECK_EQ(look(device, other), -ETIMEDOUT);
	}
	CHECK_EQ(userpci_irq_mask(device, 3), 0);
	raise_e1000e(&regs, 3);
	CHECK_EQ(look(device, 3), -ETIMEDOUT);
	raise_e1000e(&regs, 2);
	CHECK_EQ(userpci_irq_wait(device, 2, SOON, NULL), 0);
	CHECK_EQ(userpci_irq_unmask(device, 3), 0);
	CHECK_EQ(userpci_irq_wait(device, 3, SOON, NULL), 0);
	/* Fewer, and then none: what is off stays silent. */
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 2), 0);
	raise_e1000e(&regs, 4);
	raise_e1000e(&regs, 1);
	CHECK_EQ(userpci_irq_wait(device, 1, SOON, NULL), 0);
	userpci_irq_disable(device);
	raise_e1000e(&regs, 1);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 5), 0);
	CHECK_EQ(look(device, 1), -ETIMEDOUT);
	CHECK_EQ(look(device, 4), -ETIMEDOUT);
	userpci_close(device);
}

/* As many as QEMU's doorbell can tell apart; nvme has 65, which is no power of two. */
TEST(msix_many_vectors)
{
	struct userpci_device *device = open_qemu("qemu:nvme,serial=1,max_ioqpairs=300,"
						  "msix_qsize=300");
	unsigned int fds = count_fds();

	CHECK_EQ(userpci_info(device)->num_msix, 256);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 256), 0);
	CHECK_EQ(userpci_irq_fd(device, 256), -EINVAL);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 257), -ENOSPC);
	userpci_irq_disable(device);
	CHECK_EQ(count_fds(), fds + 255); /* the vectors' own are kept */
	userpci_close(device);
}

/* Reads a caller's eventfd until it has given as many, or nothing comes any more. */
static uint64_t collect(int fd, uint64_t wanted)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	eventfd_t count;
	uint64_t sum = 0;

	while (sum < wanted && poll(&p, 1, SOON / 1000) > 0 && !eventfd_read(fd, &count))
		sum += count;
	return sum;
}

static void check_callers_eventfd(unsigned int kind)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_region regs = map(device, 0);
	int fd = eventfd(0, EFD_CLOEXEC), file = open("/dev/null", O_RDWR);

	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_irq_enable(device, kind, 1), 0);
	/* What the library's has counted moves over. */
	raise_edu(&regs);
	serve_edu(&regs);
	(void)userpci_read32(&regs, EDU_ID);
	CHECK_EQ(userpci_irq_set_fd(device, 0, fd), 0);
	CHECK_EQ(collect(fd, 1), 1);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	raise_edu(&regs);
	serve_edu(&regs);
	CHECK_EQ(collect(fd, 1), 1);
	/* It is what it was: blocking. */
	CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	raise_edu(&regs);
	serve_edu(&regs);
	CHECK_EQ(userpci_irq_wait(device, 0, SOON, NULL), 0);
	CHECK_EQ(userpci_irq_set_fd(device, 0, -1), 0);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	raise_edu(&regs);
	serve_edu(&regs);
	CHECK_EQ(userpci_irq_wait(device, 0, SOON, NULL), 0);
	CHECK_EQ(userpci_irq_set_fd(device, 0, file), -EINVAL);
	CHECK_EQ(userpci_irq_set_fd(device, 0, 999), -EBADF);
	/* The one before is still in use. */
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	raise_edu(&regs);
	CHECK_EQ(userpci_irq_wait(device, 0, SOON, NULL), 0);
	userpci_close(device);
}

TEST(callers_eventfd_intx)
{
	check_callers_eventfd(USERPCI_IRQ_INTX);
}

TEST(callers_eventfd_msi)
{
	check_callers_eventfd(USERPCI_IRQ_MSI);
}

TEST(callers_eventfd_of_all_vectors)
{
	struct userpci_device *device = open_qemu("qemu:e1000e");
	struct userpci_region regs = enable_e1000e(device);
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	unsigned int vector;

	for (vector = 0; vector < 5; vector++)
		CHECK_EQ(userpci_irq_set_fd(device, vector, fd), 0);
	for (vector = 0; vector < 5; vector++)
		raise_e1000e(&regs, vector);
	CHECK_EQ(collect(fd, 5), 5);
	userpci_close(device);
}

/* While the eventfd changes and changes none is lost. */
TEST(callers_eventfd_loses_none)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_region regs = map(device, 0);
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t count, sum = 0;
	unsigned int i;

	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 1), 0);
	for (i = 0; i < 200; i++) {
		raise_edu(&regs);
		CHECK_EQ(userpci_irq_set_fd(device, 0, i & 1 ? -1 : fd), 0);
	}
	while (sum < 200) {
		if (!eventfd_read(fd, &count))
			sum += count;
		if (!userpci_irq_wait(device, 0, 1000, &count))
			sum += count;
	}
	CHECK_EQ(sum, 200);
	userpci_close(device);
}

/* With each kind, and eventfds of the caller's that are new every time. */
TEST(irq_cycles)
{
	static const unsigned int kinds[] = { USERPCI_IRQ_MSI, USERPCI_IRQ_INTX };
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_region regs = map(device, 0);
	unsigned int fds = count_fds(), i;
	int fd;

	CHECK_EQ(userpci_bus_master_enable(device), 0);
	for (i = 0; i < 1500; i++) {
		CHECK_EQ(userpci_irq_enable(device, kinds[i % 8 == 1], 1), 0);
		if (i % 4 == 0) {
			fd = eventfd(0, EFD_CLOEXEC);
			CHECK_EQ(userpci_irq_set_fd(device, 0, fd), 0);
			close(fd);
		}
		if (i % 256 < 2) {
			raise_edu(&regs);
			CHECK_EQ(userpci_irq_wait(device, 0, SOON, NULL), 0);
			serve_edu(&regs);
		}
	}
	userpci_irq_disable(device);
	CHECK_EQ(count_fds(), fds);
	userpci_close(device);
}

/* --- Reset --- */

TEST(reset_keeps_bars_and_vectors)
{
	struct userpci_device *device = open_with("qemu:virtio-net-pci,bus=root",
						  "-device pcie-root-port,id=root");
	uint32_t before[16], value, bar;
	unsigned int msix = 0, i;
	struct userpci_region config;

	CHECK(userpci_info(device)->flags & USERPCI_INFO_RESET);
	config = map(device, 4);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 3), 0);
	for (i = 0; i < 16; i++)
		CHECK_EQ(userpci_config_read(device, 4 * i, 4, &before[i]), 0);
	userpci_write8(&config, 0x14, 3); /* the common configuration: device_status */
	CHECK_EQ(userpci_read8(&config, 0x14), 3);
	CHECK_EQ(userpci_reset(device), 0);
	CHECK_EQ(userpci_read8(&config, 0x14), 0);
	before[1] &= ~(uint32_t)PCI_COMMAND_MASTER;
	for (i = 0; i < 16; i++) {
		CHECK_EQ(userpci_config_read(device, 4 * i, 4, &value), 0);
		CHECK_EQ(value, before[i]);
	}
	CHECK_EQ(userpci_config_find(device, PCI_CAP_ID_MSIX, &msix), 0);
	CHECK_EQ(userpci_config_read(device, msix + PCI_MSIX_FLAGS, 2, &value), 0);
	CHECK_EQ(value & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL), PCI_MSIX_FLAGS_ENABLE);
	CHECK_EQ(userpci_config_read(device, msix + PCI_MSIX_TABLE, 4, &bar), 0);
	{
		struct userpci_region table = map(device, bar & PCI_MSIX_TABLE_BIR);

		CHECK_EQ(userpci_read32(&table, 2 * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_DATA), 2);
		CHECK_EQ(userpci_read32(&table,
					2 * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL),
			 0);
	}
	userpci_close(device);
}

/* --- Threads and processes of the caller --- */

struct worker {
	struct userpci_region memory;
	unsigned int number, wrong;
	pthread_t thread;
};

/* Writes and reads words of its own among those of the others. */
static void *work(void *context)
{
	struct worker *w = context;
	uint32_t i, offset;

	for (i = 0; i < 500; i++) {
		offset = (w->number + 4 * (i % 16)) * 4;
		userpci_write32(&w->memory, offset, i << 2 | w->number);
		w->wrong += userpci_read32(&w->memory, offset) != (i << 2 | w->number);
	}
	return NULL;
}

#define SHARED_MEMORY "-object memory-backend-ram,id=shm,size=4M,share=on"

TEST(registers_of_many_threads)
{
	struct userpci_device *device = open_with("qemu:ivshmem-plain,memdev=shm", SHARED_MEMORY);
	struct worker workers[4];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		workers[i] = (struct worker){ .memory = map(device, 2), .number = i };
		CHECK_EQ(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (i = 0; i < 4; i++) {
		CHECK_EQ(pthread_join(workers[i].thread, NULL), 0);
		CHECK_EQ(workers[i].wrong, 0);
	}
	userpci_close(device);
}

static int wait_child(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Both sides of a fork access the device; the child's close is only its own. */
TEST(registers_after_fork)
{
	struct userpci_device *device = open_with("qemu:ivshmem-plain,memdev=shm", SHARED_MEMORY);
	struct worker parent = { .memory = map(device, 2), .number = 0 };
	struct worker child = { .memory = parent.memory, .number = 1 };
	pid_t pid = fork();

	if (!pid) {
		work(&child);
		userpci_close(device);
		_exit(child.wrong ? 1 : 0);
	}
	work(&parent);
	CHECK_EQ(wait_child(pid), 0);
	work(&parent);
	CHECK_EQ(parent.wrong, 0);
	userpci_close(device);
}

TEST(child_closes_while_interrupts_are_on)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_region regs = map(device, 0);
	pid_t pid;

	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	pid = fork();
	if (!pid) {
		userpci_close(device);
		_exit(0);
	}
	CHECK_EQ(wait_child(pid), 0);
	raise_edu(&regs);
	CHECK_EQ(userpci_irq_wait(device, 0, SOON, NULL), 0);
	userpci_close(device);
}

/* A child that lives on, and has copies of all that this process holds, keeps nothing. */
TEST(close_ends_qemu_beside_a_child)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_region regs = map(device, 0);
	int go[2], status;
	char c;
	pid_t pid;

	CHECK_EQ(pipe(go), 0);
	pid = fork();
	if (!pid) {
		close(go[1]);
		(void)!read(go[0], &c, 1);
		_exit(userpci_read32(&regs, EDU_ID) == 0xffffffff ? 0 : 3);
	}
	userpci_close(device);
	close(go[1]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static void *open_edu(void *context)
{
	struct userpci_device **device = context;

	if (userpci_open("qemu:edu", 0, device))
		*device = NULL;
	return NULL;
}

TEST(opening_thread_ends)
{
	struct userpci_device *device = open_qemu("qemu:edu");
	struct userpci_region regs;
	pthread_t thread;

	userpci_close(device);
	CHECK_EQ(pthread_create(&thread, NULL, open_edu, &device), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(device);
	sleep_us(SECOND / 10);
	regs = map(device, 0);
	CHECK_EQ(userpci_read32(&regs, EDU_ID), 0x010000ed);
	userpci_close(device);
}

TEST(no_child_to_wait_for)
{
	struct userpci_device *device = open_qemu("qemu:edu");

	CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
	CHECK_EQ(errno, ECHILD);
	userpci_close(device);
	signal(SIGCHLD, SIG_IGN);
	device = open_qemu("qemu:edu");
	userpci_close(device);
}

/* --- Descriptors of the caller --- */

TEST(standard_streams_closed)
{
	struct userpci_device *device;
	struct userpci_region regs;
	pid_t pid;
	int fd;

	userpci_close(open_qemu("qemu:edu"));
	pid = fork();
	if (!pid) {
		for (fd = 0; fd < 20; fd++)
			close(fd);
		if (userpci_open("qemu:edu", 0, &device) || userpci_region_map(device, 0, &regs) ||
		    userpci_irq_enable(device, USERPCI_IRQ_INTX, 1))
			_exit(2);
		for (fd = 0; fd < 3; fd++)
			if (fcntl(fd, F_GETFD) >= 0)
				_exit(3);
		printf("what is printed goes nowhere\n");
		fflush(stdout);
		raise_edu(&regs);
		if (userpci_irq_wait(device, 0, SOON, NULL))
			_exit(4);
		userpci_close(device);
		_exit(0);
	}
	CHECK_EQ(wait_child(pid), 0);
}

TEST(no_descriptor_is_left)
{
	unsigned int before = count_fds(), i;
	struct userpci_device *device;

	for (i = 0; i < 3; i++) {
		device = open_qemu("qemu:e1000");
		CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
		CHECK(userpci_wire_fd(device) > 2);
		userpci_close(device);
		CHECK_EQ(count_fds(), before);
	}
}

/* Whatever the descriptor is that cannot be had. */
TEST(too_few_descriptors)
{
	unsigned int before, failed = 0, n;
	struct userpci_device *device;
	struct rlimit limit;
	int err;

	userpci_close(open_qemu("qemu:e1000"));
	before = count_fds();
	getrlimit(RLIMIT_NOFILE, &limit);
	for (n = 9; n < 64; n++) {
		limit.rlim_cur = n;
		CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
		err = userpci_open("qemu:e1000", 0, &device);
		if (!err)
			break;
		CHECK_EQ(err, -EMFILE);
		CHECK_EQ(count_fds(), before);
		failed++;
	}
	CHECK(failed > 5 && n < 64);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	userpci_close(device);
	CHECK_EQ(count_fds(), before);
}

/* Those of the vectors' eventfds that were made before the first that was not are used later. */
TEST(too_few_descriptors_for_vectors)
{
	struct userpci_device *device = open_qemu("qemu:e1000e");
	struct userpci_region regs;
	struct rlimit limit;
	unsigned int n, used = 0;

	while (fcntl((int)used, F_GETFD) >= 0 || count_fds() > used)
		used++;
	getrlimit(RLIMIT_NOFILE, &limit);
	for (n = used; n < used + 20; n++) {
		limit.rlim_cur = n;
		CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
		if (!userpci_irq_enable(device, USERPCI_IRQ_MSIX, 5))
			break;
	}
	CHECK(n > used && n < used + 20);
	regs = enable_e1000e(device);
	raise_e1000e(&regs, 4);
	CHECK_EQ(userpci_irq_wait(device, 4, SOON, NULL), 0);
	userpci_close(device);
}

/* Runs a test's body on a QEMU that can be told from all others; returns its number. */
static struct userpci_device *open_named(const char *address, pid_t *pid)
{
	struct userpci_device *device;
	char name[64], command[160];
	FILE *list;

	snprintf(name, sizeof(name), "-name userpci-test-%d", (int)getpid());
	device = open_with(address, name);
	snprintf(command, sizeof(command), "exec pgrep -f -- '[-]name userpci-test-%d( |$)'",
		 (int)getpid());
	list = popen(command, "r");
	CHECK(list && fscanf(list, "%d", pid) == 1);
	pclose(list);
	return device;
}

static unsigned int fds_of(pid_t pid)
{
	char command[64];
	unsigned int n = 0;
	FILE *list;

	snprintf(command, sizeof(command), "ls /proc/%d/fd | wc -l", (int)pid);
	list = popen(command, "r");
	CHECK(list && fscanf(list, "%u", &n) == 1);
	pclose(list);
	return n;
}

/* Thousands that are not even marked to be closed: QEMU gets none of them. */
TEST(many_descriptors)
{
	struct userpci_device *device;
	struct userpci_region regs;
	struct rlimit limit;
	unsigned int n;
	pid_t pid;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 5000 ? limit.rlim_max : 5000;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (n = 100; n < limit.rlim_cur - 30; n++)
		CHECK_EQ(dup2(1, (int)n), (int)n);
	device = open_named("qemu:edu", &pid);
	CHECK(fds_of(pid) < 60);
	regs = map(device, 0);
	CHECK_EQ(userpci_read32(&regs, EDU_ID), 0x010000ed);
	userpci_close(device);
}

/* --- QEMU's end --- */

static void *wait_irq(void *context)
{
	return (void *)(intptr_t)userpci_irq_wait(context, 0, -1, NULL);
}

static void check_gone(unsigned int kind)
{
	struct userpci_device *device;
	struct userpci_region regs;
	struct userpci_dma dma;
	pthread_t thread;
	uint32_t value;
	void *result;
	pid_t pid;

	device = open_named("qemu:edu", &pid);
	regs = map(device, 0);
	dma = alloc(device, 4096);
	CHECK_EQ(userpci_irq_enable(device, kind, 1), 0);
	CHECK_EQ(pthread_create(&thread, NULL, wait_irq, device), 0);
	sleep_us(SECOND / 20);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK_EQ((intptr_t)result, -ENODEV);
	userpci_write32(&regs, EDU_ALIVE, 0);
	CHECK_EQ(userpci_read32(&regs, EDU_ALIVE), 0xffffffff);
	CHECK_EQ(userpci_read64(&regs, 0x80), UINT64_MAX);
	for (value = 0; value < 1000; value++)
		userpci_write32(&regs, EDU_ALIVE, value);
	CHECK_EQ(userpci_config_read(device, 0, 4, &value), -ENODEV);
	CHECK_EQ(userpci_config_write(device, PCI_CACHE_LINE_SIZE, 1, 1), -ENODEV);
	CHECK_EQ(userpci_bus_master_enable(device), -ENODEV);
	CHECK_EQ(userpci_irq_mask(device, 0), -ENODEV);
	CHECK_EQ(userpci_irq_enable(device, kind, 1), -ENODEV);
	memset(dma.va, 1, dma.size);
	userpci_close(device);
}

TEST(killed_intx)
{
	check_gone(USERPCI_IRQ_INTX);
}

TEST(killed_msi)
{
	check_gone(USERPCI_IRQ_MSI);
}

/* In the middle of accesses, and with somebody at the wire. */
TEST(killed_at_work)
{
	struct userpci_device *device;
	struct userpci_region regs;
	uint32_t value = 0;
	pid_t pid, killer;
	char frame[64];

	device = open_named("qemu:e1000", &pid);
	regs = map(device, 0);
	killer = fork();
	if (!killer) {
		sleep_us(SECOND / 20);
		_exit(kill(pid, SIGKILL) ? 1 : 0);
	}
	while (value != 0xffffffff) {
		userpci_write32(&regs, E1000_ITR, 1);
		value = userpci_read32(&regs, E1000_STATUS);
	}
	CHECK_EQ(wait_child(killer), 0);
	CHECK(recv(userpci_wire_fd(device), frame, sizeof(frame), 0) <= 0);
	userpci_close(device);
}

/* --- What cannot be opened --- */

static void check_refused(const char *address, int error, const char *why)
{
	struct userpci_device *device = NULL;

	CHECK_EQ(userpci_open(address, 0, &device), error);
	if (!strstr(userpci_qtest_message(), why) || strchr(userpci_qtest_message(), '\n'))
		HARNESS_FAIL("%s: \"%s\"", address, userpci_qtest_message());
}

/* A program that is no QEMU, or an old one, made of these commands. */
static void check_fake(const char *commands, int error, const char *why)
{
	char path[] = "/tmp/userpci-fake.XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK(dprintf(fd, "#!/bin/sh\n%s\n", commands) > 0);
	CHECK_EQ(fchmod(fd, 0700), 0);
	close(fd);
	setenv("USERPCI_QEMU", path, 1);
	check_refused("qemu:e1000", error, why);
	unlink(path);
}

TEST(no_qemu_or_an_old_one)
{
	unsigned int before = count_fds();

	alarm(LIMIT_S);
	check_fake("exit 0", -EINVAL, "ended without a word");
	check_fake("echo 'a warning'; echo 'the reason'; exit 1", -EINVAL, "the reason");
	check_fake("echo 'qemu-system-x86_64: -netdev dgram,id=wire,local.type=fd,local.str=7: "
		   "Parameter type expects a netdev backend type'",
		   -EINVAL, "is too old, QEMU 7.2 is the first that will do");
	/* What an error brings with it, behind it and before. */
	check_fake(
		"echo 'qemu-system-x86_64: warning: x'; echo 'qemu-system-x86_64: -device e: why'; "
		"echo 'Valid values are: a, b'",
		-EINVAL, "QEMU refuses it: -device e: why");
	check_fake("kill -9 $$", -EINVAL, "ended without a word");
	/* It breaks off in the middle of the first answer. */
	check_fake("printf 'OK 0' >&5", -EINVAL, "ended without a word");
	setenv("USERPCI_QEMU", "/dev/null", 1);
	check_refused("qemu:edu", -ENOENT, "cannot run /dev/null: Permission denied");
	CHECK_EQ(count_fds(), before);
}

TEST(refused)
{
	unsigned int before = count_fds();
	struct userpci_device *device;

	userpci_close(open_qemu("qemu:edu"));
	check_refused("qemu:", -EINVAL, "no device is named");
	check_refused("qemu:no-such-device", -EINVAL, "'no-such-device' is not a valid device");
	check_refused("qemu:edu,colour=red", -EINVAL, "colour");
	check_refused("qemu:edu,bus=none", -EINVAL, "none");
	check_refused("qemu:edu,addr=1e", -EINVAL, "not available");
	check_refused("qemu:e1000,netdev=none", -EINVAL, "none");
	check_refused("qemu:pcie-root-port", -ENODEV, "no PCI function");
	CHECK_EQ(userpci_open("qemu:edu", USERPCI_OPEN_OBSERVE, &device), -EOPNOTSUPP);
	setenv("USERPCI_QEMU", "/nonexistent/qemu", 1);
	check_refused("qemu:edu", -ENOENT, "cannot run /nonexistent/qemu: No such file");
	CHECK_EQ(count_fds(), before);
}

/* --- Frames --- */

TEST(wire)
{
	struct userpci_device *device = open_qemu("qemu:edu");

	CHECK_EQ(userpci_wire_fd(device), -EOPNOTSUPP);
	userpci_close(device);
	device = open_with("qemu:e1000,netdev=own", "-netdev hubport,id=own,hubid=0");
	CHECK_EQ(userpci_wire_fd(device), -EOPNOTSUPP);
	userpci_close(device);
	/* A bridge, for all that it is called. */
	device = open_with("qemu:edu,bus=br", "-device i82801b11-bridge,id=br");
	userpci_close(device);
}

static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 1 };

/* Puts a frame on the wire, or says that there is no room for it now. */
static bool wire_send(int wire, const uint8_t *mac, uint32_t sequence)
{
	uint8_t frame[FRAME_MAX];
	uint32_t length = frame_make(frame, mac, peer_mac, FRAME_DATA, 0, sequence);

	return send(wire, frame, length, MSG_DONTWAIT) == (ssize_t)length;
}

/* Takes the frame of that number, or says that none is there yet. */
static bool wire_take(int wire, uint32_t sequence)
{
	uint8_t frame[2048];
	ssize_t n = recv(wire, frame, sizeof(frame), MSG_DONTWAIT);

	if (n < 0)
		return false;
	CHECK(frame_is_ours(frame, (uint32_t)n));
	CHECK_EQ(frame_sequence(frame), sequence);
	CHECK(frame_is_whole(frame, (uint32_t)n));
	return true;
}

#define FRAMES 1455 /* all lengths: see frame_length() */

static void port_receive(struct unic_port *port, int wire)
{
	struct unic_packet *packets[32];
	uint32_t sent = 0, taken = 0;
	int n, i;

	while (taken < FRAMES) {
		while (sent < FRAMES && wire_send(wire, unic_info(port)->mac, sent))
			sent++;
		n = unic_rx_burst(port, 0, packets, 32);
		CHECK(n >= 0);
		for (i = 0; i < n; i++, taken++) {
			uint8_t *frame = unic_packet_data(packets[i]);

			CHECK_EQ(frame_sequence(frame), taken);
			CHECK(frame_is_whole(frame, packets[i]->length));
		}
		unic_packet_free_burst(packets, (unsigned int)n);
		if (!n)
			CHECK_EQ(unic_wait(port, 0, SOON), 0);
	}
}

static void port_send(struct unic_port *port, int wire)
{
	uint32_t sent = 0, taken = 0;
	struct unic_packet *packet;

	while (taken < FRAMES) {
		packet = sent < FRAMES ? unic_packet_alloc(port, 0) : NULL;
		if (packet) {
			packet->length = frame_make(unic_packet_data(packet), peer_mac,
						    unic_info(port)->mac, FRAME_DATA, 0, sent);
			CHECK_EQ(unic_tx_burst(port, 0, &packet, 1), 1);
			sent++;
		}
		while (taken < sent && wire_take(wire, taken))
			taken++;
	}
}

/* The real driver, both ways. QEMU's e1000 receives a second after it was started. */
TEST(e1000_all_sizes)
{
	struct unic_port *port;
	struct unic_stats stats;
	int wire;

	userpci_close(open_qemu("qemu:edu"));
	CHECK_EQ(unic_open("qemu:e1000", NULL, &port), 0);
	wire = userpci_wire_fd(port->device);
	CHECK(wire >= 0);
	CHECK_EQ(unic_start(port), 0);
	port_receive(port, wire);
	port_send(port, wire);
	CHECK_EQ(unic_stats(port, &stats), 0);
	CHECK_EQ(stats.rx_packets, FRAMES);
	CHECK_EQ(stats.tx_packets, FRAMES);
	CHECK_EQ(stats.rx_errors + stats.tx_bad_length + stats.rx_missed, 0);
	unic_close(port);
}

/* --- The least driver for QEMU's e1000e: legacy descriptors, no interrupts --- */

#define RING	256
#define BUFFER	2048
#define MANY	2000
#define BURST	64
#define TX_BASE (RING * 16)

struct e1000e {
	struct userpci_device *device;
	struct userpci_region regs;
	struct userpci_dma rings, buffers; /* of receive, then of transmit */
	uint8_t mac[6];
	int wire;
};

static volatile struct intel_desc *descriptor(const struct e1000e *e, bool tx, uint32_t index)
{
	return (struct intel_desc *)e->rings.va + (tx ? RING : 0) + index % RING;
}

static uint8_t *buffer_of(const struct e1000e *e, bool tx, uint32_t index)
{
	return (uint8_t *)e->buffers.va + ((tx ? RING : 0) + index % RING) * BUFFER;
}

static void e1000e_start(struct e1000e *e)
{
	uint32_t i, low, high;

	e->regs = map(e->device, 0);
	userpci_write32(&e->regs, E1000_CTRL, E1000_CTRL_RST);
	userpci_write32(&e->regs, E1000_IMC, E1000_INT_ALL);
	userpci_write32(&e->regs, E1000_CTRL, E1000_CTRL_ASDE | E1000_CTRL_SLU);
	e->rings = alloc(e->device, 2 * RING * 16);
	e->buffers = alloc(e->device, 2 * RING * BUFFER);
	for (i = 0; i < 2 * RING; i++)
		descriptor(e, i >= RING, i)->address =
			userpci_cpu_to_le64(e->buffers.iova + i * BUFFER);
	CHECK_EQ(userpci_bus_master_enable(e->device), 0);
	userpci_write32(&e->regs, E1000_RDBAL, (uint32_t)e->rings.iova);
	userpci_write32(&e->regs, E1000_RDLEN, RING * 16);
	userpci_write32(&e->regs, E1000_TDBAL, (uint32_t)e->rings.iova + TX_BASE);
	userpci_write32(&e->regs, E1000_TDLEN, RING * 16);
	userpci_write32(&e->regs, E1000_TCTL, E1000_TCTL_EN);
	userpci_write32(&e->regs, E1000_RCTL,
			E1000_RCTL_EN | E1000_RCTL_BAM | E1000_RCTL_SECRC | E1000_RCTL_UPE);
	userpci_write32(&e->regs, E1000_RDT, RING - 1);
	low = userpci_read32(&e->regs, E1000_RAL(0));
	high = userpci_read32(&e->regs, E1000_RAH(0));
	for (i = 0; i < 6; i++)
		e->mac[i] = (uint8_t)(i < 4 ? low >> 8 * i : high >> 8 * (i - 4));
	/* The PHY negotiates on a timer of half a second. */
	for (i = 0; i < 1000 && !(userpci_read32(&e->regs, E1000_STATUS) & E1000_STATUS_LU); i++)
		sleep_us(10000);
}

static void e1000e_send(const struct e1000e *e)
{
	uint32_t sent = 0, taken = 0, end;

	while (taken < MANY) {
		end = sent + BURST < MANY ? sent + BURST : MANY;
		for (; sent < end && sent - taken < RING - 1; sent++) {
			uint64_t length = frame_make(buffer_of(e, true, sent), peer_mac, e->mac,
						     FRAME_DATA, 0, sent);

			descriptor(e, true, sent)->word = userpci_cpu_to_le64(
				length | E1000_TXD_EOP | E1000_TXD_IFCS | E1000_TXD_RS);
		}
		userpci_wmb(); /* the descriptors before the tail */
		userpci_write32(&e->regs, E1000_TDT, sent % RING);
		while (taken < sent && wire_take(e->wire, taken))
			taken++;
	}
}

static uint32_t e1000e_take(const struct e1000e *e, uint32_t taken)
{
	uint64_t word = userpci_le64_to_cpu(descriptor(e, false, taken)->word);
	uint8_t *frame = buffer_of(e, false, taken);

	if (!(word & E1000_RXD_DD))
		return 0;
	userpci_rmb(); /* the done bit before the frame */
	CHECK_EQ(frame_sequence(frame), taken);
	CHECK(frame_is_whole(frame, word & 0xffff));
	descriptor(e, false, taken)->word = 0;
	return 1;
}

static void e1000e_receive(const struct e1000e *e)
{
	uint32_t sent = 0, taken = 0, before;

	while (taken < MANY) {
		while (sent < MANY && wire_send(e->wire, e->mac, sent))
			sent++;
		for (before = taken; taken - before < BURST && e1000e_take(e, taken);)
			taken++;
		if (taken == before)
			continue;
		userpci_wmb(); /* the descriptors before the tail */
		userpci_write32(&e->regs, E1000_RDT, (taken - 1) % RING);
	}
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* The times are told, not tested: they are the machine's. */
TEST(e1000e_two_thousand_frames)
{
	double begin = now_ms(), opened, ready, sent;
	struct e1000e e = { .device = open_qemu("qemu:e1000e") };

	e.regs = map(e.device, 0);
	(void)userpci_read32(&e.regs, E1000_STATUS);
	opened = now_ms();
	e.wire = userpci_wire_fd(e.device);
	e1000e_start(&e);
	ready = now_ms();
	e1000e_send(&e);
	sent = now_ms();
	e1000e_receive(&e);
	printf("# open to first register %.0f ms, %d frames out %.0f ms, in %.0f ms\n",
	       opened - begin, MANY, sent - ready, now_ms() - sent);
	userpci_close(e.device);
}

TEST_MAIN
