// SPDX-License-Identifier: MIT
/* Registers: the width of accesses, and what of a device can be mapped at all. */
#include <sys/resource.h>

#include "conformance.h"

#define SECTION "registers"

static const volatile void *edu_map(struct device *d, int prot)
{
	struct place p;
	void *regs;

	*d = device_own(EDU);
	p = device_bar(d, 0);
	regs = place_map(&p, PAGE, prot, MAP_SHARED);
	CHECK(regs != MAP_FAILED);
	return regs;
}

/* QEMU: edu answers 4 bytes at this offset, and has no answer to others. */
ROW(load_1_byte, "a load of 1 byte of edu's id", "0")
{
	struct device d;

	row_end("%#x", *(const volatile uint8_t *)edu_map(&d, PROT_READ));
}

ROW(load_2_bytes, "a load of 2 bytes", "0")
{
	struct device d;

	row_end("%#x", *(const volatile uint16_t *)edu_map(&d, PROT_READ));
}

ROW(load_4_bytes, "a load of 4 bytes", "0x10000ed")
{
	struct device d;

	row_end("%#x", *(const volatile uint32_t *)edu_map(&d, PROT_READ));
}

ROW(load_8_bytes, "a load of 8 bytes", sizeof(long) == 8 ? "all ones" : "no such load")
{
	struct device d;
	const volatile void *regs = edu_map(&d, PROT_READ);
	uint64_t value;

	/* A 32-bit program reads twice 4 bytes. */
	if (sizeof(long) < 8)
		return "no such load";
	value = *(const volatile uint64_t *)regs;
	if (value == UINT64_MAX)
		return "all ones";
	row_end("%#" PRIx64, value);
}

/* A debugger's access, which is one of exactly this width where the driver knows what it does. */
static const char *debugger_load(size_t width, int at)
{
	struct device d;
	const volatile void *regs = edu_map(&d, PROT_READ | PROT_WRITE);
	uint64_t value = 0;
	long n = debugger_read((const volatile char *)regs + at, &value, width);

	if (n < 0)
		return outcome(n);
	if (value == UINT64_MAX)
		return "all ones";
	row_end("%#" PRIx64, value);
}

ROW(debugger_2_bytes, "/proc/PID/mem: 2 bytes of edu's id", "0")
{
	return debugger_load(2, 0);
}

ROW(debugger_3_bytes, "/proc/PID/mem: 3 bytes", "EIO")
{
	return debugger_load(3, 0);
}

ROW(debugger_4_bytes, "/proc/PID/mem: 4 bytes", "0x10000ed")
{
	return debugger_load(4, 0);
}

ROW(debugger_4_bytes_unaligned, "/proc/PID/mem: 4 bytes, unaligned", "EIO")
{
	return debugger_load(4, 2);
}

ROW(debugger_writes, "/proc/PID/mem: 4 bytes written", "ok")
{
	struct device d;
	const volatile uint32_t *regs = edu_map(&d, PROT_READ | PROT_WRITE);
	uint32_t value = 0x12345678;
	long n = debugger_write(regs + 1, &value, 4);

	if (n < 0)
		return outcome(n);
	/* edu gives the complement of what is written there. */
	return regs[1] == ~value ? "ok" : "another value";
}

static int inside(const struct place *p, int fd, uint64_t offset, uint64_t bytes)
{
	return p->fd == fd && offset >= p->offset && offset - p->offset < p->bytes &&
	       bytes <= p->bytes - (offset - p->offset);
}

static int declared(const struct place *places, int count, int fd, uint64_t offset, uint64_t bytes)
{
	int i;

	for (i = 0; i < count; i++)
		if (inside(&places[i], fd, offset, bytes))
			return 1;
	return 0;
}

/*
 * Tries one map; the row ends when it should have been the other way. EACCES is for pages of a
 * region that are kept from the caller.
 */
static int try_map(const struct place *places, int count, int fd, uint64_t offset, uint64_t bytes)
{
	struct place p = { fd, -1, offset, bytes };
	void *va = place_map(&p, bytes, PROT_READ, MAP_SHARED);
	int should = declared(places, count, fd, offset, bytes);

	if (va == MAP_FAILED) {
		if (errno != (should ? EACCES : EINVAL))
			row_end("%s: offset %#" PRIx64 ", %#" PRIx64 " bytes",
				strerrorname_np(errno), offset, bytes);
		return 0;
	}
	if (!should)
		row_end("mapped: offset %#" PRIx64 ", %#" PRIx64 " bytes", offset, bytes);
	munmap(va, bytes);
	return 1;
}

static const char *const fuzzed[] = { EDU, TESTDEV, IVSHMEM, E1000E };

#define NUM_FUZZED (sizeof(fuzzed) / sizeof(fuzzed[0]))

/* From one page before the edge to one behind it, one to three pages. */
static int try_edge(const struct place *places, int count, int fd, uint64_t edge)
{
	uint64_t pages;
	int at, maps = 0;

	for (at = -1; at <= 1; at++)
		for (pages = 1; pages <= 3; pages++)
			if (edge || at >= 0)
				maps += try_map(places, count, fd,
						edge + (uint64_t)(at * (int)PAGE), pages * PAGE);
	return maps;
}

ROW(offsets_at_edges, "mmap at each region's edges, a page before and behind", "only regions map")
{
	struct place places[MAX_PLACES];
	struct device d;
	int count, i, maps = 0;
	unsigned int n;

	for (n = 0; n < NUM_FUZZED; n++) {
		d = device_own(fuzzed[n]);
		count = subject()->places(&d, places);
		for (i = 0; i < count; i++) {
			maps += try_edge(places, count, places[i].fd, places[i].offset);
			maps += try_edge(places, count, places[i].fd,
					 places[i].offset + places[i].bytes);
		}
		device_close(&d);
	}
	return maps ? "only regions map" : "nothing maps";
}

static uint64_t random_next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 20;
}

/* Anywhere, and often near a region. */
static uint64_t random_offset(uint64_t *seed, const struct place *places, int count)
{
	uint64_t offset = random_next(seed) >> (random_next(seed) % 40) << 12;

	if (random_next(seed) % 4)
		offset = places[random_next(seed) % (unsigned int)count].offset +
			 offset % (8 << 20) / PAGE * PAGE;
	/* What mmap of a 32-bit program can be told: 32 bits of pages. */
	return offset & (sizeof(long) < 8 ? (1ull << 44) - 1 : INT64_MAX >> 2) & ~(PAGE - 1ull);
}

ROW(offsets_random, "mmap at 20000 random offsets", "only regions map")
{
	struct place places[MAX_PLACES];
	struct device d;
	uint64_t seed = 1;
	int count, i, maps = 0;
	unsigned int n;

	for (n = 0; n < NUM_FUZZED; n++) {
		d = device_own(fuzzed[n]);
		count = subject()->places(&d, places);
		for (i = 0; i < 20000 / (int)NUM_FUZZED; i++) {
			int fd = places[random_next(&seed) % (unsigned int)count].fd;
			uint64_t offset = random_offset(&seed, places, count);

			maps += try_map(places, count, fd, offset,
					(1 + random_next(&seed) % 64) * PAGE);
		}
		device_close(&d);
	}
	return maps ? "only regions map" : "nothing maps";
}

ROW(size_beyond, "mmap of a page more than the region has", "EINVAL")
{
	struct device d = device_own(EDU);
	struct place p = device_bar(&d, 0);

	return outcome_of_map(place_map(&p, p.bytes + PAGE, PROT_READ, MAP_SHARED));
}

/* The end of the range is beyond what a file offset can say. */
ROW(size_overflow, "mmap whose end overflows the offset", "EINVAL")
{
	struct device d = device_own(EDU);
	struct place p = device_bar(&d, 0);

	p.offset = sizeof(long) < 8 ? (1ull << 44) - PAGE : INT64_MAX & ~(PAGE - 1ull);
	return outcome_of_map(place_map(&p, p.bytes, PROT_READ, MAP_SHARED));
}

ROW(part_of_a_bar, "mmap of the second page of a BAR alone", "ok")
{
	struct device d = device_own(IVSHMEM);
	struct place p = device_bar(&d, 2);
	volatile uint32_t *whole = place_map(&p, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	volatile uint32_t *part;

	CHECK(whole != MAP_FAILED);
	p.offset += PAGE;
	part = place_map(&p, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (part == MAP_FAILED)
		return strerrorname_np(errno);
	*part = 0x5eed0001;
	return whole[PAGE / 4] == 0x5eed0001 ? "ok" : "another page";
}

/* A page that other registers share would give them away too. */
ROW(bar_below_a_page, "mmap of a BAR of 256 bytes", "ok")
{
	struct device d = device_own(IVSHMEM);
	struct place p = device_bar(&d, 0);

	return outcome_of_map(place_map(&p, PAGE, PROT_READ, MAP_SHARED));
}

/* Where the device is told what addresses to write to when it interrupts. */
ROW(msix_table, "mmap of the MSI-X table's page for writing", "EACCES")
{
	struct device d = device_own(E1000E);
	struct place p = device_bar(&d, 3);

	return outcome_of_map(place_map(&p, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED));
}

#define PROCESSES 16
#define LOADS	  1000000

/* Page faults of the process so far, after so many loads. */
static long faults_after(const volatile uint32_t *va, int loads)
{
	struct rusage usage;
	int i;

	for (i = 0; i < loads; i++)
		(void)va[i % (PAGE / 4)];
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* The first time the program itself, new after fork, has its faults. */
static int faults_of_loads(const volatile uint32_t *va)
{
	long before = faults_after(va, 1);

	before = faults_after(va, 1);
	return (int)(faults_after(va, LOADS) - before);
}

/* Each has page table entries of its own: none takes another's away. */
ROW(many_processes, "16 processes with a map each, 1e6 loads: page faults of all", "0")
{
	struct device d = device_own(IVSHMEM);
	struct place p = device_bar(&d, 2);
	pid_t children[PROCESSES];
	int i, faults = 0;

	for (i = 0; i < PROCESSES; i++) {
		children[i] = child_start();
		if (!children[i]) {
			void *va = place_map(&p, PAGE, PROT_READ, MAP_SHARED);

			CHECK(va != MAP_FAILED);
			_exit(faults_of_loads(va) & 0x7f);
		}
	}
	for (i = 0; i < PROCESSES; i++)
		faults += child_end(children[i]);
	row_end("%d", faults);
}
