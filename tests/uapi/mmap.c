/* SPDX-License-Identifier: MIT */
/* vm_pgoff -> region: what maps, and that nothing else does. */
#include <setjmp.h>
#include <signal.h>

#include "support.h"

/* ivshmem's BAR 2 is memory: each page can be told from the others. */
static uint64_t *ivshmem_map(int fd, struct userpci_uapi_region *r)
{
	uint64_t *va;
	uint64_t i;

	*r = region_get(fd, 2);
	CHECK_EQ(r->bytes, 4 << 20);
	va = map(fd, r->offset, r->bytes, PROT_READ | PROT_WRITE);
	for (i = 0; i < r->bytes / PAGE; i++)
		va[i * PAGE / 8] = 0x5eed0000 + i;
	return va;
}

TEST(mmap_part_of_a_bar)
{
	struct userpci_uapi_region r;
	int fd = node_own(IVSHMEM);
	uint64_t *whole = ivshmem_map(fd, &r), *part;
	uint64_t first, pages;

	for (first = 0; first < r.bytes / PAGE; first += 97) {
		for (pages = 1; first + pages <= r.bytes / PAGE; pages *= 5) {
			part = map(fd, r.offset + first * PAGE, pages * PAGE,
				   PROT_READ | PROT_WRITE);
			CHECK_EQ(part[0], 0x5eed0000 + first);
			CHECK_EQ(part[(pages - 1) * PAGE / 8], 0x5eed0000 + first + pages - 1);
			part[1] = first;
			CHECK_EQ(whole[first * PAGE / 8 + 1], first);
			munmap(part, pages * PAGE);
		}
	}
	munmap(whole, r.bytes);
	close(fd);
}

TEST(mmap_private_is_refused)
{
	int fd = node_own(EDU);
	uint64_t offset = region_get(fd, 0).offset;

	CHECK_EQ(map_error(fd, offset, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE), -EINVAL);
	CHECK_EQ(map_error(fd, offset, PAGE, PROT_READ, MAP_PRIVATE), -EINVAL);
	CHECK_EQ(map_error(fd, offset, PAGE, PROT_READ, MAP_SHARED), 0);
	close(fd);
}

TEST(mmap_outside_is_refused)
{
	int fd = node_own(EDU);
	struct userpci_uapi_region r = region_get(fd, 0);
	uint64_t end = r.offset + r.bytes;

	CHECK_EQ(map_error(fd, r.offset, r.bytes + PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	CHECK_EQ(map_error(fd, end, PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	CHECK_EQ(map_error(fd, end - PAGE, 2 * PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	CHECK_EQ(map_error(fd, end - PAGE, PAGE, PROT_READ, MAP_SHARED), 0);
	/* No buffer is there. */
	CHECK_EQ(map_error(fd, 1ull << 43, PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	CHECK_EQ(map_error(fd, INT64_MAX & ~(PAGE - 1), PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	CHECK_EQ(map_error(fd, (INT64_MAX & ~(PAGE - 1)) - (64 << 20), PAGE, PROT_READ, MAP_SHARED),
		 -EINVAL);
	close(fd);
}

static int inside(const struct userpci_uapi_region *r, uint32_t mappable, uint64_t start,
		  uint64_t offset, uint64_t size)
{
	return mappable && offset >= start &&
	       offset + size <= start + ((r->bytes + PAGE - 1) & ~(PAGE - 1));
}

/* Whether [offset, offset + size) lies in a mappable BAR of the device. */
static int declared(const struct userpci_uapi_region *r, uint64_t offset, uint64_t size)
{
	int bar;

	for (bar = 0; bar < 6; bar++)
		if (inside(&r[bar], r[bar].flags & USERPCI_REGION_MMAP, r[bar].offset, offset,
			   size) ||
		    inside(&r[bar], r[bar].flags & USERPCI_REGION_WC, r[bar].wc_offset, offset,
			   size))
			return 1;
	return 0;
}

/* Pseudo-random offsets, near and far from the regions: only what is declared maps. */
TEST(mmap_only_declared_regions)
{
	static const char *const ids[] = { EDU, TESTDEV, AHCI, E1000E };
	struct userpci_uapi_region r[6];
	uint64_t seed = 1, offset, size;
	unsigned int d, bar, i, maps = 0;

	for (d = 0; d < sizeof(ids) / sizeof(ids[0]); d++) {
		int fd = node_open(device_bind(ids[d]), O_RDONLY);

		CHECK(fd >= 0);
		for (bar = 0; bar < 6; bar++)
			r[bar] = region_get(fd, bar);
		for (i = 0; i < 20000; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			offset = (seed >> 20) >> (seed % 40) << 12;
			offset &= INT64_MAX >> 2;
			size = (1 + (seed >> 40) % 64) * PAGE;
			if (i % 4)
				offset = offset % (8 << 20) & ~(PAGE - 1);
			if (i % 8 == 3)
				offset += r[i / 8 % 6].wc_offset;
			CHECK_EQ(map_error(fd, offset, size, PROT_READ, MAP_SHARED),
				 declared(r, offset, size) ? 0 : -EINVAL);
			maps += (unsigned int)declared(r, offset, size);
		}
		close(fd);
	}
	CHECK(maps > 100); /* or the loop has tried nothing */
}

/* What the kernel says of the memory type of a physical address, in its list for debugging. */
static int has_memory_type(uint64_t start, const char *type)
{
	char line[256], range[64];
	int found = 0;
	FILE *f = fopen("/sys/kernel/debug/x86/pat_memtype_list", "r");

	CHECK(f);
	snprintf(range, sizeof(range), "[mem 0x%016" PRIx64 "-", start);
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, range) && strstr(line, type);
	fclose(f);
	return found;
}

TEST(mmap_write_combining)
{
	const char *address = device_bind(IVSHMEM);
	int fd = node_own(IVSHMEM);
	struct userpci_uapi_region r = region_get(fd, 2);
	uint64_t start, flags, *va, *part;

	sysfs_bar(address, 2, &start, &flags);
	CHECK_EQ(r.flags & USERPCI_REGION_WC, USERPCI_REGION_WC);
	va = map(fd, r.wc_offset, r.bytes, PROT_READ | PROT_WRITE);
	CHECK(has_memory_type(start, "write-combining"));
	va[7] = 0x1122334455667788;
	CHECK_EQ(va[7], 0x1122334455667788);
	/* The two types exclude each other, where they overlap. */
	CHECK_EQ(map_error(fd, r.offset, PAGE, PROT_READ, MAP_SHARED), -EBUSY);
	CHECK_EQ(map_error(fd, r.wc_offset, PAGE, PROT_READ, MAP_SHARED), 0);
	munmap(va, r.bytes);
	CHECK(!has_memory_type(start, "write-combining"));
	part = map(fd, r.offset, PAGE, PROT_READ | PROT_WRITE);
	CHECK_EQ(part[7], 0x1122334455667788);
	CHECK(has_memory_type(start, "uncached-minus"));
	CHECK_EQ(map_error(fd, r.wc_offset, PAGE, PROT_READ, MAP_SHARED), -EBUSY);
	CHECK_EQ(map_error(fd, r.wc_offset + PAGE, PAGE, PROT_READ, MAP_SHARED), 0);
	/* Nothing lies behind the region there either. */
	CHECK_EQ(map_error(fd, r.wc_offset + r.bytes, PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	munmap(part, PAGE);
	close(fd);
}

TEST(mmap_observer_reads_only)
{
	int fd = node_open(device_bind(EDU), O_RDONLY);
	uint64_t offset = region_get(fd, 0).offset;
	void *regs = map(fd, offset, PAGE, PROT_READ);

	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	CHECK_EQ(map_error(fd, offset, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED), -EACCES);
	CHECK_EQ(mprotect(regs, PAGE, PROT_READ | PROT_WRITE), -1);
	CHECK_EQ(errno, EACCES);
	munmap(regs, PAGE);
	close(fd);
}

/* The kernel alone writes the MSI-X table: also the owner maps its page read-only. */
TEST(mmap_msix_table_is_read_only)
{
	int fd = node_own(E1000E);
	struct userpci_uapi_region r = region_get(fd, 3);
	void *table;

	CHECK_EQ(r.flags & USERPCI_REGION_MSIX, USERPCI_REGION_MSIX);
	CHECK_EQ(r.table_bytes, PAGE);
	CHECK_EQ(map_error(fd, r.offset + r.table_offset, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED),
		 -EACCES);
	CHECK_EQ(map_error(fd, r.offset, r.bytes, PROT_READ | PROT_WRITE, MAP_SHARED), -EACCES);
	table = map(fd, r.offset + r.table_offset, PAGE, PROT_READ);
	CHECK_EQ(mprotect(table, PAGE, PROT_READ | PROT_WRITE), -1);
	CHECK_EQ(errno, EACCES);
	munmap(table, PAGE);
	close(fd);
}

/* Through /proc/self/mem, as a debugger does: one access of exactly the width, or none. */
TEST(mmap_debugger_access)
{
	int fd = node_own(EDU), mem = open("/proc/self/mem", O_RDWR);
	char *regs = map(fd, region_get(fd, 0).offset, 1 << 20, PROT_READ | PROT_WRITE);
	struct userpci_uapi_dma d = dma_get(fd, 2 * PAGE);
	char *va = map(fd, d.offset, 2 * PAGE, PROT_READ | PROT_WRITE);
	off_t at = (off_t)(uintptr_t)regs, buffer = (off_t)(uintptr_t)va;
	uint32_t value = 0x12345678;
	uint64_t eight;
	char text[16] = "over the edge";

	CHECK(mem >= 0);
	CHECK_EQ(pwrite(mem, &value, 4, at + 4), 4);
	CHECK_EQ(rd32(regs, 4), ~0x12345678u);
	CHECK_EQ(pread(mem, &value, 4, at), 4);
	CHECK_EQ(value, 0x010000ed);
	CHECK_EQ(pread(mem, &value, 2, at), 2);
	CHECK_EQ(value & 0xffff, 0); /* which is what edu answers to 2 bytes */
	CHECK_EQ(pread(mem, &eight, 8, at), 8);
	CHECK_EQ(eight, UINT64_MAX);
	CHECK_EQ(pread(mem, &eight, 3, at), -1);
	CHECK_EQ(errno, EIO);
	CHECK_EQ(pread(mem, &value, 4, at + 2), -1);
	CHECK_EQ(errno, EIO);
	/* A DMA buffer is memory, of any size, over its pages' edge too. */
	CHECK_EQ(pwrite(mem, text, sizeof(text), buffer + (off_t)PAGE - 5), sizeof(text));
	CHECK_STR(va + PAGE - 5, text);
	close(mem);
	close(fd);
}

TEST(mmap_msync)
{
	int fd = node_own(EDU);
	void *regs = map(fd, region_get(fd, 0).offset, PAGE, PROT_READ | PROT_WRITE);

	CHECK_EQ(msync(regs, PAGE, MS_SYNC), 0);
	CHECK_EQ(msync(regs, PAGE, MS_ASYNC), 0);
	munmap(regs, PAGE);
	close(fd);
}

TEST(mmap_is_unmapped_whole)
{
	int fd = node_own(EDU);
	char *regs = map(fd, region_get(fd, 0).offset, 4 * PAGE, PROT_READ);

	CHECK_EQ(munmap(regs, PAGE), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(munmap(regs + PAGE, PAGE), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	CHECK_EQ(munmap(regs, 4 * PAGE), 0);
	close(fd);
}

/* A map holds the device open: registers stay reachable, the next owner waits. */
TEST(mmap_outlives_the_descriptor)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU);
	void *regs = map(fd, region_get(fd, 0).offset, PAGE, PROT_READ);

	close(fd);
	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	CHECK_EQ(node_open(address, O_RDWR), -EBUSY);
	munmap(regs, PAGE);
	close(node_own(EDU));
}
