/* SPDX-License-Identifier: MIT */
/* BARs: what is said of them, mapping, and access by call. */
#include "support.h"

#define IORESOURCE_IO	    0x100u
#define IORESOURCE_PREFETCH 0x2000u
#define IORESOURCE_MEM_64   0x100000u

/* What the module says of each BAR is what the kernel says in sysfs. */
static void check_regions(const char *id)
{
	const char *address = device_bind(id);
	int fd = node_open(address, O_RDONLY);
	struct userpci_uapi_region r;
	uint64_t start, flags, bytes;
	int bar;

	CHECK(fd >= 0);
	for (bar = 0; bar < 6; bar++) {
		r = region_get(fd, (unsigned int)bar);
		bytes = sysfs_bar(address, bar, &start, &flags);
		CHECK_EQ(r.bytes, bytes);
		if (!bytes) {
			CHECK_EQ(r.flags, 0);
			continue;
		}
		CHECK_EQ(!!(r.flags & USERPCI_REGION_IO), !!(flags & IORESOURCE_IO));
		CHECK_EQ(!!(r.flags & USERPCI_REGION_64), !!(flags & IORESOURCE_MEM_64));
		CHECK_EQ(!!(r.flags & USERPCI_REGION_PREFETCH), !!(flags & IORESOURCE_PREFETCH));
		CHECK_EQ(!!(r.flags & USERPCI_REGION_MMAP), !(flags & IORESOURCE_IO));
		CHECK_EQ(!!(r.flags & USERPCI_REGION_CALLS), !!(flags & IORESOURCE_IO));
	}
	r = SIZED(userpci_uapi_region);
	r.index = 6;
	CHECK_EQ(call(fd, USERPCI_GET_REGION, &r), -EINVAL);
	r.index = UINT32_MAX;
	CHECK_EQ(call(fd, USERPCI_GET_REGION, &r), -EINVAL);
	close(fd);
}

TEST(region_info_edu)
{
	check_regions(EDU);
}

TEST(region_info_testdev)
{
	check_regions(TESTDEV);
}

TEST(region_info_ivshmem)
{
	check_regions(IVSHMEM);
}

TEST(region_info_ahci)
{
	check_regions(AHCI);
}

TEST(region_info_e1000e)
{
	check_regions(E1000E);
}

/* edu answers accesses of 4 bytes alone below 80h: an access that is split or merged shows. */
TEST(region_width)
{
	int fd = node_own(EDU);
	void *regs = map(fd, region_get(fd, 0).offset, 1 << 20, PROT_READ | PROT_WRITE);

	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	CHECK_EQ(*(volatile uint16_t *)regs, 0);
	CHECK_EQ(*(volatile uint8_t *)regs, 0);
	if (sizeof(void *) == 8)
		CHECK_EQ(*(volatile uint64_t *)regs, UINT64_MAX);
	wr32(regs, 4, 0x12345678);
	CHECK_EQ(rd32(regs, 4), ~0x12345678u);
	munmap(regs, 1 << 20);
	close(fd);
}

TEST(region_bar5)
{
	int fd = node_own(AHCI);
	struct userpci_uapi_region r = region_get(fd, 5);
	void *regs = map(fd, r.offset, r.bytes, PROT_READ);

	CHECK_EQ(r.bytes, 4096);
	CHECK_EQ(rd32(regs, 0x10), 0x00010000); /* AHCI 1.0, section 3.1.5: VS */
	munmap(regs, r.bytes);
	close(fd);
}

/* A BAR of 256 bytes that begins a page of its own. */
TEST(region_below_a_page)
{
	int fd = node_own(IVSHMEM);
	struct userpci_uapi_region r = region_get(fd, 0);
	void *regs = map(fd, r.offset, PAGE, PROT_READ | PROT_WRITE);

	CHECK_EQ(r.bytes, 256);
	/* QEMU, docs/specs/ivshmem-spec: the interrupt mask at 0 is read back, IVPosition at 8. */
	wr32(regs, 0, 0x5a);
	CHECK_EQ(rd32(regs, 0), 0x5a);
	CHECK_EQ(rd32(regs, 8), 0);
	CHECK_EQ(map_error(fd, r.offset, 2 * PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	munmap(regs, PAGE);
	close(fd);
}

TEST(region_64bit_prefetchable)
{
	int fd = node_own(TESTDEV);
	struct userpci_uapi_region r = region_get(fd, 2);

	CHECK_EQ(r.bytes, 1 << 20);
	CHECK_EQ(r.flags, USERPCI_REGION_MMAP | USERPCI_REGION_64 | USERPCI_REGION_PREFETCH |
				  USERPCI_REGION_WC);
	CHECK_EQ(region_get(fd, 3).bytes, 0);
	close(fd);
}

static uint64_t access_value(int fd, unsigned long command, uint64_t offset, uint32_t width,
			     uint64_t value)
{
	struct userpci_uapi_access a = SIZED(userpci_uapi_access);

	a.index = 1;
	a.offset = offset;
	a.width = width;
	a.value = value;
	CHECK_EQ(call(fd, command, &a), 0);
	return a.value;
}

/* The I/O BAR of pci-testdev says the same of its tests as the memory BAR does. */
TEST(region_io_by_call)
{
	int fd = node_own(TESTDEV);
	char name[64];
	unsigned int i;

	access_value(fd, USERPCI_REGION_WRITE, 0, 1, 0);
	CHECK_EQ(access_value(fd, USERPCI_REGION_READ, 1, 1, 0), 1);
	for (i = 0; i < sizeof(name) - 1; i++) {
		name[i] = (char)access_value(fd, USERPCI_REGION_READ, 16 + i, 1, 0);
		if (!name[i])
			break;
	}
	CHECK_STR(name, "portio-no-eventfd");
	close(fd);
}

TEST(region_io_checks)
{
	struct userpci_uapi_access a = SIZED(userpci_uapi_access);
	int fd = node_own(TESTDEV);
	uint64_t bytes = region_get(fd, 1).bytes;

	static const uint32_t widths[] = { 0, 3, 5, 8, 16, UINT32_MAX };
	unsigned int i;

	a.index = 1;
	for (i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		a.width = widths[i];
		CHECK_EQ(call(fd, USERPCI_REGION_READ, &a), -EINVAL);
		CHECK_EQ(call(fd, USERPCI_REGION_WRITE, &a), -EINVAL);
	}
	a.width = 4;
	a.offset = 2;
	CHECK_EQ(call(fd, USERPCI_REGION_READ, &a), -EINVAL);
	a.offset = bytes;
	CHECK_EQ(call(fd, USERPCI_REGION_READ, &a), -ERANGE);
	a.offset = UINT64_MAX - 3;
	CHECK_EQ(call(fd, USERPCI_REGION_WRITE, &a), -ERANGE);
	a.offset = 0;
	a.reserved = 1;
	CHECK_EQ(call(fd, USERPCI_REGION_READ, &a), -EINVAL);
	a.reserved = 0;
	a.index = 6;
	CHECK_EQ(call(fd, USERPCI_REGION_READ, &a), -EINVAL);
	a.index = 3; /* absent */
	CHECK_EQ(call(fd, USERPCI_REGION_READ, &a), -ERANGE);
	a.index = 0; /* is mapped */
	CHECK_EQ(call(fd, USERPCI_REGION_READ, &a), -EOPNOTSUPP);
	close(fd);
}
