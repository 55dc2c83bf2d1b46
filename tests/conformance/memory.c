// SPDX-License-Identifier: MIT
/* Calls of the kernel that are given mapped memory: whether they take it for memory. */
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "conformance.h"

#define SECTION "memory"
#define PAGES	4

const char *kind_device(enum kind kind)
{
	/* ivshmem's BAR 2 is memory behind a BAR: what is written there can be read again. */
	return kind == REGISTERS ? IVSHMEM : EDU;
}

int kind_prot(enum kind kind)
{
	return kind == STATISTICS ? PROT_READ : PROT_READ | PROT_WRITE;
}

/*
 * Pages of the BAR that no other row maps: where a part was unmapped, x86's list of memory types
 * keeps an entry that is wrong, and the next one to map the same pages would see another outcome.
 */
static struct place registers_of_row(struct device *d, uint64_t pages)
{
	struct place p = device_bar(d, 2);
	const struct harness_test *row;
	uint64_t slot = 0;

	for (row = harness.first; row && row != harness.running; row = row->next)
		slot++;
	slot = slot * pages * PAGE % (p.bytes - pages * PAGE);
	p.offset += slot;
	p.bytes -= slot;
	return p;
}

struct memory memory_get(enum kind kind, uint64_t pages, int prot)
{
	struct memory m;
	int err = 0;

	require(kind);
	m.d = device_own(kind_device(kind));
	if (kind == REGISTERS)
		m.buffer.place = registers_of_row(&m.d, pages);
	else if (kind == STATISTICS)
		m.buffer.place = userpci_statistics(&m.d);
	else
		err = subject()->alloc(&m.d, kind, pages * PAGE, &m.buffer);
	CHECK_EQ(err, 0);
	m.bytes = m.buffer.place.bytes < pages * PAGE ? m.buffer.place.bytes : pages * PAGE;
	m.va = place_map(&m.buffer.place, m.bytes, prot, MAP_SHARED);
	CHECK(m.va != MAP_FAILED);
	return m;
}

static unsigned char pattern(uint64_t i)
{
	return (unsigned char)(i * 7 + i / 256 + 3);
}

void memory_pattern(enum kind kind, const struct memory *m)
{
	uint64_t i;

	for (i = 0; kind != STATISTICS && i < m->bytes; i++)
		((volatile unsigned char *)m->va)[i] = pattern(i);
}

static struct memory memory_filled(enum kind kind)
{
	struct memory m = memory_get(kind, PAGES, kind_prot(kind));

	memory_pattern(kind, &m);
	return m;
}

/* Of statistics only the first word is compared: its size, which does not change. */
static const char *compare(enum kind kind, const struct memory *m, const void *copy)
{
	uint64_t bytes = kind == STATISTICS ? 4 : PAGE;

	return memcmp(m->va, copy, bytes) ? "other bytes" : "ok";
}

static long futex(void *va, int operation, uint32_t value)
{
	const struct timespec soon = { 0, 10000000 };

	return syscall(SYS_futex, va, operation, value, &soon, NULL, 0);
}

/* Nobody wakes it: ETIMEDOUT is a futex that works. */
ROWS(futex_wait, "futex WAIT between processes", "EFAULT", "EFAULT", "EFAULT", "ETIMEDOUT")
{
	struct memory m = memory_filled(kind);

	return outcome_of_call(futex(m.va, FUTEX_WAIT, *(volatile uint32_t *)m.va));
}

ROWS(futex_wake, "futex WAKE between processes", "EFAULT", "EFAULT", "EFAULT", "ok")
{
	struct memory m = memory_filled(kind);

	return outcome_of_call(futex(m.va, FUTEX_WAKE, 1));
}

ROW(futex_wakes_another_process, "futex: a process wakes another, shared buffer", "ok")
{
	struct memory m = memory_get(SHARED, PAGES, PROT_READ | PROT_WRITE);
	pid_t child = child_start();
	int i;

	if (!child)
		_exit(syscall(SYS_futex, m.va, FUTEX_WAIT, 0, NULL, NULL, 0) ? errno : 0);
	for (i = 0; i < 1000; i++) {
		if (futex(m.va, FUTEX_WAKE, 1) == 1)
			return outcome(-child_end(child));
		usleep(1000);
	}
	return "never woken";
}

ROWS(vmsplice, "vmsplice from it", "EFAULT", "EFAULT", "ok", "ok")
{
	struct memory m = memory_filled(kind);
	struct iovec v = { m.va, PAGE };
	char copy[PAGE];
	int p[2];

	CHECK_EQ(pipe(p), 0);
	if (vmsplice(p[1], &v, 1, 0) < 0)
		return strerrorname_np(errno);
	CHECK_EQ(read(p[0], copy, PAGE), PAGE);
	return compare(kind, &m, copy);
}

ROWS(process_vm_readv, "process_vm_readv of it", "EFAULT", "EFAULT", "ok", "ok")
{
	struct memory m = memory_filled(kind);
	char copy[PAGE];
	struct iovec to = { copy, PAGE }, from = { m.va, PAGE };

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 0)
		return strerrorname_np(errno);
	return compare(kind, &m, copy);
}

/* It copies, and so does not care whose memory it is. */
ROWS(write, "write(2) from it", "ok", "ok", "ok", "ok")
{
	struct memory m = memory_filled(kind);
	char copy[PAGE];
	int p[2];

	CHECK_EQ(pipe(p), 0);
	if (write(p[1], m.va, PAGE) < 0)
		return strerrorname_np(errno);
	CHECK_EQ(read(p[0], copy, PAGE), PAGE);
	return compare(kind, &m, copy);
}

/* A disk in memory, which takes its data by DMA as others do. (tmpfs has no O_DIRECT.) */
static int disk_open(void)
{
	int fd = open("/dev/ram0", O_RDWR | O_DIRECT | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

ROWS(odirect_write, "write(2) with O_DIRECT from it", "EFAULT", "EFAULT", "ok", "ok")
{
	struct memory m = memory_filled(kind);
	int disk = disk_open();
	void *copy;

	CHECK_EQ(posix_memalign(&copy, PAGE, PAGE), 0);
	if (pwrite(disk, m.va, PAGE, 0) < 0)
		return strerrorname_np(errno);
	CHECK_EQ(pread(disk, copy, PAGE, 0), PAGE);
	return compare(kind, &m, copy);
}

ROWS(odirect_read, "read(2) with O_DIRECT into it", "EFAULT", "EFAULT", "EFAULT", "ok")
{
	struct memory m = memory_get(kind, PAGES, kind_prot(kind));
	int disk = disk_open();
	void *copy;

	CHECK_EQ(posix_memalign(&copy, PAGE, PAGE), 0);
	memset(copy, 0x42, PAGE);
	CHECK_EQ(pwrite(disk, copy, PAGE, 0), PAGE);
	if (pread(disk, m.va, PAGE, 0) < 0)
		return strerrorname_np(errno);
	return memcmp(m.va, copy, PAGE) ? "other bytes" : "ok";
}

/* The kernel wants to write registered buffers: the statistics, which it may only read, fail. */
ROWS(io_uring_buffer, "io_uring: registered as a buffer", "EFAULT", "EFAULT", "EFAULT", "ok")
{
	struct memory m = memory_filled(kind);
	struct io_uring_params params = { 0 };
	struct iovec v = { m.va, PAGE };
	int ring = (int)syscall(SYS_io_uring_setup, 4, &params);

	if (ring < 0)
		row_end("no io_uring: %s", strerrorname_np(errno));
	return outcome_of_call(
		syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &v, 1));
}

/* As ptrace and gdb read it. */
ROWS(proc_mem, "/proc/PID/mem: 4 bytes of it", "ok", "ok", "ok", "ok")
{
	struct memory m = memory_filled(kind);
	uint32_t value;
	long n = debugger_read(m.va, &value, 4);

	if (n < 0)
		return outcome(n);
	return value == *(volatile uint32_t *)m.va ? "ok" : "other bytes";
}

ROWS(mincore, "mincore of it, touched", "not resident", "not resident", "resident", "resident")
{
	struct memory m = memory_filled(kind);
	unsigned char resident[PAGES] = { 0 };

	(void)rd32(m.va, 0);
	if (mincore(m.va, m.bytes, resident))
		return strerrorname_np(errno);
	return resident[0] & 1 ? "resident" : "not resident";
}

/* Where ixy and DPDK look up what address to give to the device. */
ROWS(pagemap, "/proc/self/pagemap of it, touched", "no frame", "no frame", "a frame", "a frame")
{
	struct memory m = memory_filled(kind);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	(void)rd32(m.va, 0);
	CHECK_EQ(pread(fd, &entry, 8, (off_t)((uintptr_t)m.va / PAGE * 8)), 8);
	close(fd);
	return entry & ((1ull << 55) - 1) ? "a frame" : "no frame";
}

ROWS(msync, "msync MS_SYNC", "ok", "ok", "ok", "ok")
{
	struct memory m = memory_filled(kind);

	return outcome_of_call(msync(m.va, m.bytes, MS_SYNC));
}

ROWS(madvise_dontneed, "madvise MADV_DONTNEED", "EINVAL", "EINVAL", "ok", "ok")
{
	struct memory m = memory_filled(kind);

	return outcome_of_call(madvise(m.va, m.bytes, MADV_DONTNEED));
}

ROWS(madvise_dontfork, "madvise MADV_DONTFORK", "ok", "ok", "ok", "ok")
{
	struct memory m = memory_filled(kind);

	return outcome_of_call(madvise(m.va, m.bytes, MADV_DONTFORK));
}

ROWS(mlock, "mlock", "ok", "ok", "ok", "ok")
{
	struct memory m = memory_filled(kind);

	return outcome_of_call(mlock(m.va, m.bytes));
}

/* Those of smaps that say what it is: I/O, frames without struct page, not grown, not dumped. */
ROWS(smaps, "VmFlags in smaps, of io pf mm de dd", "io pf de dd", "io pf de dd", "mm de dd", "none")
{
	static const char *const known[] = { "io", "pf", "mm", "de", "dd" };
	struct memory m = memory_filled(kind);
	char line[512], words[64] = "", flag[8], start[32];
	FILE *f = fopen("/proc/self/smaps", "r");
	int here = 0, i;

	CHECK(f);
	snprintf(start, sizeof(start), "%lx-", (unsigned long)(uintptr_t)m.va);
	while (fgets(line, sizeof(line), f)) {
		here |= !strncmp(line, start, strlen(start));
		if (here && !strncmp(line, "VmFlags:", 8))
			break;
	}
	fclose(f);
	for (i = 0; i < 5; i++) {
		snprintf(flag, sizeof(flag), " %s ", known[i]);
		if (strstr(line, flag))
			strcat(strcat(words, *words ? " " : ""), known[i]);
	}
	row_end("%s", *words ? words : "none");
}
