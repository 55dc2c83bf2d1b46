// SPDX-License-Identifier: MIT
/* Buffers as the device sees them, what they cost, and where their number ends. */
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "conformance.h"

#define SECTION "DMA"
#define TARGET	2048 /* so that 4000 bytes lie across a page's edge */

static void *edu_regs(struct device *d)
{
	struct place p = device_bar(d, 0);
	void *regs = place_map(&p, p.bytes, PROT_READ | PROT_WRITE, MAP_SHARED);

	CHECK(regs != MAP_FAILED);
	CHECK_EQ(subject()->bus_master(d, 1), 0);
	return regs;
}

/* edu reads the first bytes of `va` and writes them at `iova`, which is `at` in the process. */
static const char *edu_copies(void *regs, char *va, uint64_t from, const char *at, uint64_t iova)
{
	int i;

	for (i = 0; i < EDU_BYTES; i++)
		va[i] = (char)(i * 7 + 3);
	edu_dma_start(regs, from, EDU_MEMORY, EDU_BYTES, 0);
	edu_dma_wait(regs);
	edu_dma_start(regs, EDU_MEMORY, iova, EDU_BYTES, 1);
	edu_dma_wait(regs);
	return memcmp(va, at, EDU_BYTES) ? "other bytes" : "ok";
}

ROWS(device_over_page_edge, "the device writes over a page's edge", "not offered", "ok",
     "not offered", "ok|in pieces")
{
	struct memory m;

	if (kind == REGISTERS || kind == STATISTICS)
		NOT_OFFERED();
	m = memory_get(kind, 4, PROT_READ | PROT_WRITE);
	/* What follows the first piece for the device is not ours. */
	if (m.buffer.chunks > 1)
		return "in pieces";
	return edu_copies(edu_regs(&m.d), m.va, m.buffer.iova, m.va + PAGE + TARGET,
			  m.buffer.iova + PAGE + TARGET);
}

static struct userpci_uapi_dma_get chunk_get(int fd, uint32_t handle, uint32_t chunk)
{
	struct userpci_uapi_dma_get get = SIZED(userpci_uapi_dma_get);

	get.handle = handle;
	get.chunk = chunk;
	CHECK_EQ(call(fd, USERPCI_DMA_GET, &get), 0);
	return get;
}

/* The last whole page of each piece. */
static const char *write_chunks(struct device *d, const struct userpci_uapi_dma *dma, char *va)
{
	void *regs = edu_regs(d);
	const char *words;
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i < dma->chunks; i++) {
		struct userpci_uapi_dma_get c = chunk_get(d->fd, dma->handle, i);

		if (c.chunk_offset != bytes)
			return "the pieces have gaps";
		bytes += c.chunk_bytes;
		/* edu moves a page in a tenth of a second: some of them have to do. */
		if (i % (dma->chunks / 8 + 1))
			continue;
		words = edu_copies(regs, va, dma->iova, va + bytes - PAGE,
				   c.chunk_iova + c.chunk_bytes - PAGE);
		if (strcmp(words, "ok"))
			return words;
	}
	return bytes == dma->bytes ? "ok" : "the pieces are not the whole";
}

static const char *pieces(uint32_t kind)
{
	struct userpci_uapi_dma dma = SIZED(userpci_uapi_dma);
	struct device d;
	char *va;

	require_userpci();
	d = device_own(EDU);
	dma.kind = kind;
	dma.bytes = 16 << 20;
	CHECK_EQ(call(d.fd, USERPCI_DMA_ALLOC, &dma), 0);
	va = mmap(NULL, dma.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, d.fd, (off_t)dma.offset);
	CHECK(va != MAP_FAILED);
	return write_chunks(&d, &dma, va);
}

ROW(pieces_chunked, "the pieces of a chunked buffer of 16 MiB, written by the device", "ok")
{
	return pieces(USERPCI_DMA_CHUNKED);
}

ROW(pieces_shared, "the pieces of a shared buffer of 16 MiB, written by the device", "ok")
{
	return pieces(USERPCI_DMA_SHARED);
}

static int pin(struct device *d, void *va, uint64_t bytes, struct userpci_uapi_dma *dma)
{
	*dma = SIZED(userpci_uapi_dma);
	dma->kind = USERPCI_DMA_PINNED;
	dma->address = (uintptr_t)va;
	dma->bytes = bytes;
	return call(d->fd, USERPCI_DMA_ALLOC, dma);
}

static char *own_memory(uint64_t bytes)
{
	char *va = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	CHECK(va != MAP_FAILED);
	return va;
}

ROW(pieces_pinned, "the caller's own memory, pinned, written by the device", "ok")
{
	struct userpci_uapi_dma dma;
	struct device d;
	char *va;

	require_userpci();
	d = device_own(EDU);
	va = own_memory(1 << 20);
	CHECK_EQ(pin(&d, va, 1 << 20, &dma), 0);
	return write_chunks(&d, &dma, va);
}

ROW(pinned_read_only, "pinned: memory that the caller may only read", "EFAULT")
{
	struct userpci_uapi_dma dma;
	struct device d;
	char *va;

	require_userpci();
	d = device_own(EDU);
	va = own_memory(4 * PAGE);
	CHECK_EQ(mprotect(va, 4 * PAGE, PROT_READ), 0);
	return outcome(pin(&d, va, 4 * PAGE, &dma));
}

static void drop_ipc_lock(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	CHECK_EQ(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	CHECK_EQ(syscall(SYS_capset, &header, data), 0);
}

static void limit_locked(rlim_t bytes)
{
	struct rlimit limit = { bytes, bytes };

	CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	drop_ipc_lock();
}

ROW(pinned_over_memlock, "pinned: more than RLIMIT_MEMLOCK allows", "ENOMEM")
{
	struct userpci_uapi_dma dma;
	struct buffer buffer;
	struct device d;

	require(SHARED);
	d = device_own(EDU);
	limit_locked(64 << 10);
	/* VFIO pins all that it is given. */
	if (!is_userpci())
		return outcome(subject()->alloc(&d, SHARED, 128 << 10, &buffer));
	return outcome(pin(&d, own_memory(128 << 10), 128 << 10, &dma));
}

ROW(pinned_within_memlock, "pinned: twice as much as allowed, one after the other", "ok")
{
	struct userpci_uapi_dma dma;
	struct device d;
	char *va;
	int i;

	require_userpci();
	d = device_own(EDU);
	va = own_memory(64 << 10);
	limit_locked(64 << 10);
	for (i = 0; i < 2; i++) {
		int err = pin(&d, va, 64 << 10, &dma);

		if (err)
			return outcome(err);
		CHECK_EQ(call(d.fd, USERPCI_DMA_FREE, &dma), 0);
	}
	return "ok";
}

/* --- What it costs */

#define MAPS	100000
#define NOISE_K (8 << 10)

ROWS(mapped_100000_times, "mapped and unmapped 1e5 times: free memory", "stable", "stable",
     "stable", "stable")
{
	struct memory m = memory_get(kind, 4, kind_prot(kind));
	long before = memory_free_kib();
	int i;

	for (i = 0; i < MAPS; i++) {
		void *va = place_map(&m.buffer.place, m.bytes, PROT_READ, MAP_SHARED);

		if (va == MAP_FAILED)
			return strerrorname_np(errno);
		munmap(va, m.bytes);
	}
	before -= memory_free_kib();
	if (before < NOISE_K)
		return "stable";
	row_end("%ld KiB less", before);
}

/* The pages come back when the last of map and handle goes: 1.6 GiB pass through the guest. */
ROWS(freed_with_last_reference, "4 MiB allocated, mapped, freed, unmapped, 400 times",
     "not offered", "stable", "not offered", "stable")
{
	struct userpci_uapi_dma dma = SIZED(userpci_uapi_dma);
	struct device d;
	int i;

	if (kind == REGISTERS || kind == STATISTICS)
		NOT_OFFERED();
	require_userpci();
	d = device_own(EDU);
	for (i = 0; i < 400; i++) {
		struct buffer b;
		int err = subject()->alloc(&d, kind, 4 << 20, &b);
		char *va;

		if (err)
			row_end("%s after %d", strerrorname_np(-err), i);
		va = place_map(&b.place, b.place.bytes, PROT_READ | PROT_WRITE, MAP_SHARED);
		CHECK(va != MAP_FAILED);
		if (va[0] || va[(4 << 20) - 1])
			return "not zeroed";
		memset(va, 0xa5, 4 << 20);
		dma.handle = b.handle;
		CHECK_EQ(call(d.fd, USERPCI_DMA_FREE, &dma), 0);
		CHECK_EQ(munmap(va, 4 << 20), 0);
	}
	return "stable";
}

/* Fills memory with marks and ends. */
static void former_owner(enum kind kind)
{
	struct memory m = memory_get(kind, 256, PROT_READ | PROT_WRITE);

	memset(m.va, 0xa5, m.bytes);
	_exit(0);
}

ROWS(former_owner, "memory that a former owner has written, allocated anew", "not offered", "zero",
     "not offered", "zero")
{
	struct memory m;
	pid_t child;
	uint64_t i;

	if (kind == REGISTERS || kind == STATISTICS)
		NOT_OFFERED();
	require(kind);
	child = child_start();
	if (!child)
		former_owner(kind);
	CHECK_EQ(child_end(child), 0);
	m = memory_get(kind, 256, PROT_READ | PROT_WRITE);
	for (i = 0; i < m.bytes; i++)
		if (m.va[i])
			return "the former owner's";
	return "zero";
}

/* --- Where it ends. Each begins with a function that keeps nothing of former owners. */

static struct device fresh(void)
{
	struct device d;

	require_userpci();
	d = device_own(EDU);
	CHECK_EQ(device_release(&d), 0);
	device_close(&d);
	return device_own(EDU);
}

/* Until the first refusal. */
static int take_all(struct device *d, enum kind kind, uint64_t bytes, int *count)
{
	struct buffer b;
	int err;

	for (*count = 0;; (*count)++) {
		err = subject()->alloc(d, kind, bytes, &b);
		if (err)
			return err;
	}
}

ROW(number_of_buffers, "buffers of a page, until refused", "1024, then ENOSPC")
{
	struct device d = fresh();
	int count, err = take_all(&d, CONTIGUOUS, PAGE, &count);

	row_end("%d, then %s", count, strerrorname_np(-err));
}

/* After it all memory is there again. */
static const char *until_refused(enum kind kind)
{
	long before = memory_free_kib(), lost;
	struct device d;
	int count, err;
	pid_t child;

	require_userpci();
	child = child_start();
	if (!child) {
		d = fresh();
		err = take_all(&d, kind, 4 << 20, &count);
		_exit(count > 4 ? -err : 0);
	}
	err = child_end(child);
	/* edu has no reset: what it was told to write stays with it until it is unbound. */
	fresh();
	lost = before - memory_free_kib();
	if (err > SIGNALLED)
		row_end("SIG%s", sigabbrev_np(err - SIGNALLED));
	if (lost > 4 * NOISE_K)
		row_end("%s, %ld KiB lost", strerrorname_np(err), lost);
	return err ? strerrorname_np(err) : "too few";
}

ROW(until_refused_contiguous, "buffers of 4 MiB, until refused; then all closed", "ENOMEM")
{
	return until_refused(CONTIGUOUS);
}

#define GROUPS "/run/conformance"

/* The process, and what it allocates from now on, is in a memory cgroup with this limit. */
static void limit_memory(const char *bytes)
{
	mkdir(GROUPS, 0700);
	if (access(GROUPS "/cgroup.procs", F_OK))
		CHECK_EQ(mount("cgroup2", GROUPS, "cgroup2", 0, NULL), 0);
	CHECK_EQ(sysfs_write(GROUPS "/cgroup.subtree_control", "+memory"), 0);
	mkdir(GROUPS "/limited", 0700);
	CHECK_EQ(sysfs_write(GROUPS "/limited/memory.max", bytes), 0);
	CHECK_EQ(sysfs_write(GROUPS "/limited/cgroup.procs", "0"), 0);
}

/*
 * Buffers count as the caller's memory. Without such a limit, and without dma_limit_mb, those that
 * need no large pieces take the last page that the system has.
 */
ROWS(memory_cgroup, "in a memory cgroup of 64 MiB, until refused: all at most 64 MiB",
     "not offered", "yes, then ENOMEM", "not offered", "yes, then ENOMEM")
{
	struct device d;
	int count, err;

	if (kind == REGISTERS || kind == STATISTICS)
		NOT_OFFERED();
	d = fresh();
	limit_memory("64M");
	err = take_all(&d, kind, 4 << 20, &count);
	if (count < 8 || count > 16)
		row_end("%d MiB, then %s", 4 * count, strerrorname_np(-err));
	row_end("yes, then %s", strerrorname_np(-err));
}

/* What is freed counts no more. */
ROWS(memory_cgroup_returned, "in a memory cgroup of 64 MiB: 4 MiB allocated and freed, 100 times",
     "not offered", "ok", "not offered", "ok")
{
	struct userpci_uapi_dma dma = SIZED(userpci_uapi_dma);
	struct device d;
	struct buffer b;
	int i, err;

	if (kind == REGISTERS || kind == STATISTICS)
		NOT_OFFERED();
	d = fresh();
	limit_memory("64M");
	for (i = 0; i < 100; i++) {
		err = subject()->alloc(&d, kind, 4 << 20, &b);
		if (err)
			row_end("%s after %d", strerrorname_np(-err), i);
		dma.handle = b.handle;
		CHECK_EQ(call(d.fd, USERPCI_DMA_FREE, &dma), 0);
	}
	return "ok";
}

ROW(limit_mb, "module parameter dma_limit_mb=8: buffers of 1 MiB", "8, then EDQUOT")
{
	static const char path[] = "/sys/module/userpci/parameters/dma_limit_mb";
	struct device d = fresh();
	int count, err;

	CHECK_EQ(sysfs_write(path, "8"), 0);
	err = take_all(&d, CONTIGUOUS, 1 << 20, &count);
	CHECK_EQ(sysfs_write(path, "0"), 0);
	row_end("%d, then %s", count, strerrorname_np(-err));
}
