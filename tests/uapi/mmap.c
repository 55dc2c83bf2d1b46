/* SPDX-License-Identifier: MIT */
/* vm_pgoff -> region: what maps, and that nothing else does. */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "kit.h"

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

/* A range of mmap offsets that maps, and what a map of some of it is refused with. */
struct range {
	uint64_t offset, bytes;
	uint64_t table, table_bytes; /* pages that cannot be mapped so, from the start */
};

struct ranges {
	struct range r[32];
	unsigned int count;
};

static void range_add(struct ranges *all, uint64_t offset, uint64_t bytes)
{
	CHECK(all->count < 32);
	all->r[all->count].offset = offset;
	all->r[all->count++].bytes = (bytes + PAGE - 1) & ~(PAGE - 1);
}

/* All that the device has: BARs of both memory types, the statistics, three buffers. */
static struct ranges ranges_of(int fd)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	struct userpci_uapi_dma d;
	struct ranges all = { .count = 0 };
	unsigned int i;

	for (i = 0; i < 6; i++) {
		struct userpci_uapi_region r = region_get(fd, i);

		if (r.flags & USERPCI_REGION_MMAP)
			range_add(&all, r.offset, r.bytes);
		if (!(r.flags & USERPCI_REGION_WC))
			continue;
		range_add(&all, r.wc_offset, r.bytes);
		all.r[all.count - 1].table = r.table_offset;
		all.r[all.count - 1].table_bytes = r.table_bytes;
	}
	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	range_add(&all, info.stats_offset, info.stats_bytes);
	for (i = USERPCI_DMA_CONTIGUOUS; i <= USERPCI_DMA_SHARED; i++) {
		d = dma_of(fd, i, (i + 1) * 3 * PAGE);
		range_add(&all, d.offset, d.bytes);
	}
	return all;
}

/* What a read-only map of [offset, offset + bytes) must give. */
static int expected(const struct ranges *all, uint64_t offset, uint64_t bytes)
{
	unsigned int i;

	for (i = 0; i < all->count; i++) {
		const struct range *r = &all->r[i];
		uint64_t inside = offset - r->offset;

		if (offset < r->offset || inside >= r->bytes)
			continue;
		if (bytes > r->bytes - inside)
			return -EINVAL;
		return inside < r->table + r->table_bytes && inside + bytes > r->table ? -EACCES
										       : 0;
	}
	return -EINVAL;
}

static void check_offset(int fd, const struct ranges *all, uint64_t offset, uint64_t bytes)
{
	int want = expected(all, offset, bytes);
	int result = map_error(fd, offset, bytes, PROT_READ, MAP_SHARED);

	if (result != want)
		HARNESS_FAIL("a map of 0x%" PRIx64 " bytes at 0x%" PRIx64 " gives %d, not %d",
			     bytes, offset, result, want);
}

static const char *const many[] = { EDU, TESTDEV, IVSHMEM, AHCI, E1000E, XHCI };

#define NUM_MANY (sizeof(many) / sizeof(many[0]))

/* Around both ends of each range, and of each window of 4 GiB. */
TEST(mmap_every_boundary)
{
	unsigned int d, i, pages;
	int64_t from;

	for (d = 0; d < NUM_MANY; d++) {
		int fd = node_own(many[d]);
		struct ranges all = ranges_of(fd);

		for (i = 0; i < all.count; i++) {
			uint64_t ends[] = { all.r[i].offset, all.r[i].offset + all.r[i].table,
					    all.r[i].offset + all.r[i].bytes,
					    all.r[i].offset + (1ull << 32) };
			unsigned int e;

			for (e = 0; e < 4; e++)
				for (from = -3; from <= 3; from++)
					for (pages = 1; pages <= 4; pages++)
						if ((int64_t)ends[e] + from * (int64_t)PAGE >= 0)
							check_offset(fd, &all,
								     ends[e] + from * PAGE,
								     pages * PAGE);
		}
		close(fd);
	}
}

/* Pseudo-random offsets, near and far from the ranges: only what is declared maps. */
TEST(mmap_only_declared_regions)
{
	unsigned int d, i, maps = 0;
	uint64_t seed = 1, offset, size;

	for (d = 0; d < NUM_MANY; d++) {
		int fd = node_own(many[d]);
		struct ranges all = ranges_of(fd);

		for (i = 0; i < 20000; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			offset = (seed >> 20) >> (seed % 40) << 12;
			offset &= INT64_MAX >> 2;
			size = (1 + (seed >> 40) % 64) * PAGE;
			if (i % 2)
				offset = all.r[i % all.count].offset + offset % (8 << 20);
			check_offset(fd, &all, offset & ~(PAGE - 1), size);
			maps += expected(&all, offset & ~(PAGE - 1), size) == 0;
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
	CHECK_EQ(map_error(fd, r.wc_offset + r.table_offset, PAGE, PROT_READ, MAP_SHARED), -EACCES);
	CHECK_EQ(map_error(fd, r.wc_offset, r.bytes, PROT_READ, MAP_SHARED), -EACCES);
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

/* Reads at `from` so much; what is read must be the expected, and nothing behind it. */
static void check_cut(int mem, const char *from, size_t bytes, const char *want, ssize_t wanted)
{
	char got[2 * PAGE];
	ssize_t n;

	memset(got, 0x77, sizeof(got));
	n = pread(mem, got, bytes, (off_t)(uintptr_t)from);
	CHECK_EQ(n, wanted);
	if (n < 0)
		n = 0;
	CHECK_EQ(memcmp(got, want, (size_t)n), 0);
	CHECK(all_bytes(got + n, 0x77, sizeof(got) - (size_t)n));
}

/* The map ends where nothing else is; a page of the kernel's lies behind the buffer's last. */
TEST(mmap_debugger_is_cut_at_the_end)
{
	enum { BUFFERS = 8 };
	int fd = node_own(EDU), mem = open("/proc/self/mem", O_RDWR);
	char *place = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char text[32], *va;
	unsigned int i, kind;

	CHECK(mem >= 0);
	CHECK(place != MAP_FAILED);
	CHECK_EQ(munmap(place, 16 * PAGE), 0);
	for (i = 0; i < BUFFERS; i++) {
		struct userpci_uapi_dma d = dma_of(fd, i % 2, 3 * PAGE);

		kind = i % 2;
		CHECK_EQ(d.kind, kind);
		va = mmap(place + PAGE, 3 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_FIXED_NOREPLACE, fd, (off_t)d.offset);
		CHECK(va == place + PAGE);
		memset(va, 0x40 + (int)i, 3 * PAGE);
		memset(text, 0x40 + (int)i, sizeof(text));
		check_cut(mem, va + 3 * PAGE - 16, PAGE, text, 16);
		check_cut(mem, va + 3 * PAGE - 16, 17, text, 16);
		check_cut(mem, va + 3 * PAGE, 16, text, -1);
		/* A part of the buffer: what the map does not show is not read. */
		CHECK_EQ(munmap(va, 3 * PAGE), 0);
		va = mmap(place + PAGE, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_FIXED_NOREPLACE, fd, (off_t)(d.offset + PAGE));
		CHECK(va == place + PAGE);
		check_cut(mem, va + PAGE - 16, PAGE, text, 16);
		/* Nor written. */
		CHECK_EQ(pwrite(mem, "0123456789abcdef0123456789abcdef", 32,
				(off_t)(uintptr_t)(va + PAGE - 16)),
			 16);
		CHECK_EQ(munmap(va, PAGE), 0);
		va = map(fd, d.offset, 3 * PAGE, PROT_READ);
		CHECK_EQ(memcmp(va + 2 * PAGE - 16, "0123456789abcdef", 16), 0);
		CHECK(all_bytes(va + 2 * PAGE, (uint8_t)(0x40 + i), PAGE));
		CHECK_EQ(munmap(va, 3 * PAGE), 0);
	}
	close(mem);
	close(fd);
}

/* ivshmem's memory: an access that begins in the map and ends behind it shows other bytes. */
TEST(mmap_debugger_is_cut_in_registers)
{
	int fd = node_own(IVSHMEM), mem = open("/proc/self/mem", O_RDWR);
	struct userpci_uapi_region r;
	uint64_t *whole = ivshmem_map(fd, &r);
	char *place = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *va;
	uint64_t value = 0;
	off_t end;

	whole[PAGE / 8 - 1] = 0x1111111122222222;
	whole[PAGE / 8] = 0x3333333344444444;
	CHECK_EQ(munmap(place, 16 * PAGE), 0);
	va = mmap(place + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
		  (off_t)r.offset);
	CHECK(va == place + PAGE);
	end = (off_t)(uintptr_t)va + (off_t)PAGE;
	CHECK_EQ(pread(mem, &value, 4, end - 4), 4);
	CHECK_EQ(value, 0x11111111);
	/* 8 bytes of which 4 are there: cut to 4, or refused. */
	CHECK(pread(mem, &value, 8, end - 4) <= 4);
	CHECK((uint32_t)(value >> 32) != 0x44444444);
	CHECK(pwrite(mem, "01234567", 8, end - 4) <= 4);
	CHECK_EQ(whole[PAGE / 8], 0x3333333344444444);
	munmap(va, PAGE);
	munmap(whole, r.bytes);
	close(mem);
	close(fd);
}

static void be_traced(void *data)
{
	(void)data;
	CHECK_EQ(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
	raise(SIGSTOP);
}

/* By ptrace, a word at a time, in another process's map. */
TEST(mmap_debugger_by_ptrace)
{
	int fd = node_own(EDU), status;
	char *regs = map(fd, region_get(fd, 0).offset, PAGE, PROT_READ | PROT_WRITE);
	struct userpci_uapi_dma d = dma_of(fd, USERPCI_DMA_CHUNKED, PAGE);
	long *va = map(fd, d.offset, PAGE, PROT_READ | PROT_WRITE);
	pid_t pid;

	va[PAGE / sizeof(long) - 1] = 0x1234567;
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		be_traced(NULL);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(ptrace(PTRACE_PEEKDATA, pid, va + PAGE / sizeof(long) - 1, NULL), 0x1234567);
	CHECK_EQ(ptrace(PTRACE_POKEDATA, pid, va, 0x7654321L), 0);
	CHECK_EQ(va[0], 0x7654321);
	/* edu answers 4 bytes; 8 are one access too, which it does not answer. */
	errno = 0;
	CHECK_EQ(ptrace(PTRACE_PEEKDATA, pid, regs, NULL),
		 sizeof(long) == 8 ? -1l : (long)0x010000ed);
	CHECK_EQ(errno, 0);
	CHECK_EQ(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	close(fd);
}

/* What may only be read is not written through a debugger either. */
static void check_not_written(int mem, int fd, uint64_t offset, uint64_t bytes)
{
	char *va = map(fd, offset, bytes, PROT_READ), before[16];
	uint64_t at;

	for (at = 0; at < bytes; at += PAGE / 2) {
		memcpy(before, va + at, sizeof(before));
		CHECK_EQ(pwrite(mem, "\xff\xff\xff\xff", 4, (off_t)(uintptr_t)(va + at)), -1);
		CHECK_EQ(errno, EIO);
		CHECK_EQ(memcmp(va + at, before, sizeof(before)), 0);
	}
	CHECK_EQ(munmap(va, bytes), 0);
}

TEST(mmap_debugger_writes_no_read_only_map)
{
	int fd = node_own(EDU), observer = node_open(device_bind(EDU), O_RDONLY), nic;
	int mem = open("/proc/self/mem", O_RDWR);
	struct userpci_uapi_region r;
	unsigned int kind;

	CHECK(mem >= 0);
	for (kind = USERPCI_DMA_CONTIGUOUS; kind <= USERPCI_DMA_SHARED; kind++) {
		struct userpci_uapi_dma d = dma_of(fd, kind, 2 * PAGE);

		check_not_written(mem, observer, d.offset, d.bytes);
	}
	check_not_written(mem, observer, region_get(fd, 0).offset, PAGE);
	nic = node_own(E1000E);
	r = region_get(nic, 3);
	check_not_written(mem, nic, r.offset + r.table_offset, r.table_bytes);
	close(nic);
	close(mem);
	close(observer);
	close(fd);
}

TEST(mmap_debugger_writes_no_statistics)
{
	int fd = node_own(EDU), mem = open("/proc/self/mem", O_RDWR);
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);

	CHECK(mem >= 0);
	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	check_not_written(mem, fd, info.stats_offset, info.stats_bytes);
	close(mem);
	close(fd);
}

struct mapped {
	int fd;
	char *va;
	uint64_t bytes;
};

static int get_map(int fd, const void *address, struct userpci_uapi_map *m)
{
	*m = SIZED(userpci_uapi_map);
	m->address = (uintptr_t)address;
	return call(fd, USERPCI_GET_MAP, m);
}

/* The whole map is told, by any address in it. */
static void check_map(int fd, const char *va, uint64_t offset, uint64_t bytes, uint32_t flags)
{
	const uint64_t inside[] = { 0, 1, bytes / 2, bytes - 1 };
	struct userpci_uapi_map m;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		CHECK_EQ(get_map(fd, va + inside[i], &m), 0);
		CHECK_EQ(m.address, (uintptr_t)va);
		CHECK_EQ(m.bytes, bytes);
		CHECK_EQ(m.offset, offset);
		CHECK_EQ(m.flags, flags);
	}
}

static void check_no_map_in_child(void *data)
{
	struct mapped *m = data;
	struct userpci_uapi_map out;

	/* A copy of the parent's, and its own. */
	CHECK_EQ(get_map(m->fd, m->va, &out), 0);
	CHECK_EQ(munmap(m->va, m->bytes), 0);
	CHECK_EQ(get_map(m->fd, m->va, &out), -ENOENT);
}

TEST(mmap_get_map)
{
	int fd = node_own(EDU), other = node_own(IVSHMEM);
	uint64_t offset = region_get(fd, 0).offset;
	char *regs = map(fd, offset + PAGE, 5 * PAGE, PROT_READ), *va;
	struct mapped child = { fd, regs, 5 * PAGE };
	struct userpci_uapi_map m;
	unsigned int kind;

	check_map(fd, regs, offset + PAGE, 5 * PAGE, 0);
	CHECK_EQ(get_map(fd, regs + 5 * PAGE, &m), -ENOENT);
	CHECK_EQ(get_map(fd, regs - 1, &m), -ENOENT);
	CHECK_EQ(get_map(fd, NULL, &m), -ENOENT);
	CHECK_EQ(get_map(fd, &m, &m), -ENOENT);
	CHECK_EQ(get_map(other, regs, &m), -ENOENT); /* another device's */
	for (kind = USERPCI_DMA_CONTIGUOUS; kind <= USERPCI_DMA_CHUNKED; kind++) {
		struct userpci_uapi_dma d = dma_of(fd, kind, 4 * PAGE);

		va = map(fd, d.offset + PAGE, 2 * PAGE, PROT_READ);
		check_map(fd, va, d.offset + PAGE, 2 * PAGE, USERPCI_MAP_DMA);
		munmap(va, 2 * PAGE);
		CHECK_EQ(get_map(fd, va, &m), -ENOENT);
	}
	va = (char *)(uintptr_t)stats_map(fd);
	CHECK_EQ(get_map(fd, va, &m), 0);
	CHECK_EQ(m.flags, USERPCI_MAP_STATS);
	stats_unmap((void *)va);
	{
		struct userpci_uapi_dma d = dma_of(fd, USERPCI_DMA_SHARED, PAGE);

		va = map(fd, d.offset, PAGE, PROT_READ);
		CHECK_EQ(get_map(fd, va, &m), -ENOENT);
	}
	passed(run_child(check_no_map_in_child, &child));
	CHECK_EQ(get_map(fd, regs, &m), 0);
	close(other);
	close(fd);
}

TEST(mmap_get_map_types)
{
	int fd = node_own(IVSHMEM), small = node_own(EDU);
	struct userpci_uapi_region r = region_get(fd, 2);
	struct userpci_uapi_map m;
	volatile uint64_t *va;
	uint64_t i;

	va = map(fd, r.wc_offset, r.bytes, PROT_READ | PROT_WRITE);
	va[0] = 1;
	check_map(fd, (char *)(uintptr_t)va, r.wc_offset, r.bytes, USERPCI_MAP_WC);
	munmap((void *)(uintptr_t)va, r.bytes);
	/* Large pages. A guest of 512 MiB begins without any for programs. */
	CHECK_EQ(sysfs_write("/sys/kernel/mm/transparent_hugepage/enabled", "always"), 0);
	va = map(fd, r.offset, r.bytes, PROT_READ | PROT_WRITE);
	for (i = 0; i < r.bytes / PAGE; i++)
		va[i * PAGE / 8] = i;
	for (i = 0; i < r.bytes / PAGE; i++)
		CHECK_EQ(va[i * PAGE / 8], i);
	CHECK_EQ(get_map(fd, (void *)(uintptr_t)va, &m), 0);
	if (sizeof(void *) == 8) /* a 32-bit program's maps need not be aligned for it */
		CHECK_EQ(m.flags, USERPCI_MAP_HUGE);
	munmap((void *)(uintptr_t)va, r.bytes);
	/* Not for less than a large page. */
	va = map(fd, r.offset + PAGE, 511 * PAGE, PROT_READ | PROT_WRITE);
	for (i = 0; i < 511; i++)
		CHECK_EQ(va[i * PAGE / 8], i + 1);
	CHECK_EQ(get_map(fd, (void *)(uintptr_t)va, &m), 0);
	CHECK_EQ(m.flags, 0);
	munmap((void *)(uintptr_t)va, 511 * PAGE);
	/* A part of 2 MiB and more that begins in the middle of one: right all the same. */
	va = map(fd, r.offset + PAGE, r.bytes - 2 * PAGE, PROT_READ | PROT_WRITE);
	for (i = 0; i < r.bytes / PAGE - 2; i++)
		CHECK_EQ(va[i * PAGE / 8], i + 1);
	munmap((void *)(uintptr_t)va, r.bytes - 2 * PAGE);
	close(small);
	close(fd);
}

/* A large map is revoked and shared by fork as any other. */
static void check_large_in_child(void *data)
{
	struct mapped *m = data;
	uint64_t i;

	for (i = 0; i < m->bytes / PAGE; i++)
		CHECK_EQ(*(volatile uint64_t *)(m->va + i * PAGE), i);
}

TEST(mmap_large_is_revoked)
{
	const char *address = device_bind(IVSHMEM);
	struct mapped m = { .fd = node_own(IVSHMEM) };
	struct userpci_uapi_region r = region_get(m.fd, 2);
	struct userpci_uapi_map out;
	uint64_t i;

	CHECK_EQ(sysfs_write("/sys/kernel/mm/transparent_hugepage/enabled", "always"), 0);
	m.bytes = r.bytes;
	m.va = map(m.fd, r.offset, r.bytes, PROT_READ | PROT_WRITE);
	for (i = 0; i < r.bytes / PAGE; i++)
		*(volatile uint64_t *)(m.va + i * PAGE) = i;
	passed(run_child(check_large_in_child, &m));
	device_unbind(address);
	for (i = 0; i < r.bytes / PAGE; i++)
		CHECK_EQ(*(volatile uint64_t *)(m.va + i * PAGE), UINT64_MAX);
	CHECK_EQ(get_map(m.fd, m.va, &out), -ENODEV);
	CHECK_EQ(munmap(m.va, r.bytes), 0);
	close(m.fd);
	device_bind(IVSHMEM);
}

static size_t read_all(const char *path)
{
	char text[4096];
	size_t size, total = 0;
	FILE *f = fopen(path, "r");

	CHECK(f);
	while ((size = fread(text, 1, sizeof(text), f)))
		total += size;
	fclose(f);
	return total;
}

/* Whoever looks at the page table of a large map, or changes it: as with small pages. */
TEST(mmap_large_is_left_alone)
{
	struct userpci_uapi_region r;
	struct iovec part, own;
	struct mapped m = { .fd = node_own(IVSHMEM) };
	int ends[2], fd;
	uint64_t i, word;
	char *moved;

	r = region_get(m.fd, 2);
	m.bytes = r.bytes;
	CHECK_EQ(sysfs_write("/sys/kernel/mm/transparent_hugepage/enabled", "always"), 0);
	m.va = map(m.fd, r.offset, r.bytes, PROT_READ | PROT_WRITE);
	for (i = 0; i < r.bytes / PAGE; i++)
		*(volatile uint64_t *)(m.va + i * PAGE) = i;
	/* get_user_pages_fast() and the slow one. */
	CHECK_EQ(pipe(ends), 0);
	part = (struct iovec){ m.va + PAGE, sizeof(word) };
	own = (struct iovec){ &word, sizeof(word) };
	CHECK_EQ(vmsplice(ends[1], &part, 1, 0), -1);
	CHECK_EQ(errno, EFAULT);
	CHECK_EQ(process_vm_readv(getpid(), &own, 1, &part, 1, 0), -1);
	CHECK_EQ(errno, EFAULT);
	/* What /proc tells of it is read, and not looked at. */
	CHECK(read_all("/proc/self/smaps") > 0);
	fd = open("/proc/self/pagemap", O_RDONLY);
	CHECK_EQ(pread(fd, &word, sizeof(word), (off_t)((uintptr_t)m.va / PAGE * sizeof(word))),
		 sizeof(word));
	close(fd);
	/* Read-only, and writable again; elsewhere, where no large page fits. */
	CHECK_EQ(mprotect(m.va, r.bytes, PROT_READ), 0);
	CHECK_EQ(*(volatile uint64_t *)(m.va + 5 * PAGE), 5);
	CHECK_EQ(mprotect(m.va, r.bytes, PROT_READ | PROT_WRITE), 0);
	*(volatile uint64_t *)(m.va + 5 * PAGE) = 5;
	moved = mmap(NULL, r.bytes + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(moved != MAP_FAILED);
	moved += (uintptr_t)moved & (PAGE * 512 - 1) ? 0 : PAGE;
	CHECK(mremap(m.va, r.bytes, r.bytes, MREMAP_MAYMOVE | MREMAP_FIXED, moved) == moved);
	m.va = moved;
	passed(run_child(check_large_in_child, &m));
	check_large_in_child(&m);
	CHECK_EQ(munmap(m.va, r.bytes), 0);
	close(ends[0]);
	close(ends[1]);
	close(m.fd);
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
