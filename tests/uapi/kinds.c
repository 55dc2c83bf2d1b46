/* SPDX-License-Identifier: MIT */
/* The kinds of DMA memory that the module allocates: what the device and the processes see. */
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "kit.h"

static const unsigned int kinds[] = { USERPCI_DMA_CONTIGUOUS, USERPCI_DMA_CHUNKED,
				      USERPCI_DMA_SHARED };

#define NUM_KINDS (sizeof(kinds) / sizeof(kinds[0]))

TEST(kinds_checks)
{
	struct userpci_uapi_dma good = SIZED(userpci_uapi_dma), d;
	int fd = node_own(EDU);
	unsigned int i;

	good.bytes = PAGE;
	for (i = 0; i < NUM_KINDS; i++) {
		good.kind = kinds[i];
		d = good, d.bytes = 0;
		CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
		d = good, d.reserved = 1;
		CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
		d = good, d.reserved2 = 1;
		CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
		d = good, d.address = PAGE;
		CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
		d = good, memset(d.name, 'x', sizeof(d.name));
		CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
		d = good, d.bytes = UINT64_MAX;
		CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -ENOMEM);
		d = good, d.bytes = (1ull << 32) + 1;
		CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -ENOMEM);
		d = good;
		CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), 0);
		CHECK_EQ(dma_free(fd, d.handle), 0);
	}
	d = good, d.kind = USERPCI_DMA_PINNED + 1;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
	d = good, d.kind = UINT32_MAX;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
	close(fd);
}

/* Rounded up to pages, below the mask, at whole pages of the map and of the device. */
TEST(kinds_sizes)
{
	static const uint64_t sizes[] = { 1, PAGE, PAGE + 1, 7 * PAGE, 100000, 1 << 20 };
	struct userpci_uapi_dma_get g;
	struct userpci_uapi_dma d;
	unsigned int i, j, chunk;
	int fd = node_own(EDU);

	CHECK_EQ(dma_mask(fd, 28), 0);
	for (i = 0; i < NUM_KINDS; i++) {
		for (j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
			d = dma_of(fd, kinds[i], sizes[j]);
			CHECK_EQ(d.bytes, (sizes[j] + PAGE - 1) & ~(PAGE - 1));
			for (chunk = 0; chunk < d.chunks; chunk++) {
				g = dma_piece(fd, d.handle, chunk);
				CHECK_EQ(g.kind, kinds[i]);
				CHECK_EQ(g.bytes, d.bytes);
				CHECK_EQ(g.offset, d.offset);
				CHECK_EQ(g.chunks, d.chunks);
				CHECK(g.chunk_iova + g.chunk_bytes <= 1 << 28);
			}
			CHECK_EQ(map_error(fd, d.offset, d.bytes + PAGE, PROT_READ, MAP_SHARED),
				 -EINVAL);
			CHECK_EQ(map_error(fd, d.offset + d.bytes, PAGE, PROT_READ, MAP_SHARED),
				 -EINVAL);
			CHECK_EQ(map_error(fd, d.offset, d.bytes, PROT_READ, MAP_PRIVATE), -EINVAL);
			CHECK_EQ(map_error(fd, d.offset, d.bytes, PROT_READ, MAP_SHARED), 0);
			CHECK_EQ(dma_free(fd, d.handle), 0);
		}
	}
	close(fd);
}

/* The pieces follow each other in the map without a gap, and do not overlap for the device. */
static void check_pieces(int fd, const struct userpci_uapi_dma *d)
{
	struct userpci_uapi_dma_get g = SIZED(userpci_uapi_dma_get), other;
	uint64_t sum = 0;
	uint32_t i, j;

	CHECK(d->chunks > 0);
	CHECK_EQ(dma_piece(fd, d->handle, 0).chunk_iova, d->iova);
	for (i = 0; i < d->chunks; i++) {
		g = dma_piece(fd, d->handle, i);
		CHECK_EQ(g.chunk_offset, sum);
		CHECK_EQ(g.chunk_iova % PAGE, 0);
		CHECK_EQ(g.chunk_bytes % PAGE, 0);
		CHECK(g.chunk_bytes > 0);
		sum += g.chunk_bytes;
		for (j = 0; j < i && i < 64; j++) {
			other = dma_piece(fd, d->handle, j);
			CHECK(g.chunk_iova + g.chunk_bytes <= other.chunk_iova ||
			      other.chunk_iova + other.chunk_bytes <= g.chunk_iova);
		}
	}
	CHECK_EQ(sum, d->bytes);
	g.chunk = d->chunks;
	CHECK_EQ(call(fd, USERPCI_DMA_GET, &g), -ERANGE);
	g.chunk = UINT32_MAX;
	CHECK_EQ(call(fd, USERPCI_DMA_GET, &g), -ERANGE);
}

/*
 * The device reads the last 16 bytes of some pieces and writes the first 16 of the next: what it
 * reads is what the process has written there, and what it writes is seen there and nowhere else.
 */
static void check_edges(int fd, void *regs, const struct userpci_uapi_dma *d, uint64_t *va)
{
	uint32_t step = d->chunks / 8 + 1, i, pieces = 0;
	uint64_t page, *at;

	for (page = 0; page < d->bytes / PAGE; page++) {
		CHECK(all_bytes((char *)va + page * PAGE, 0, PAGE));
		va[page * PAGE / 8] = 0x1000000 + page;
		va[(page + 1) * PAGE / 8 - 2] = 0x2000000 + page;
		va[(page + 1) * PAGE / 8 - 1] = 0x3000000 + page;
	}
	for (i = 0; i < d->chunks; i += step, pieces++) {
		struct userpci_uapi_dma_get from = dma_piece(fd, d->handle, i);
		struct userpci_uapi_dma_get to = dma_piece(fd, d->handle, (i + 1) % d->chunks);

		page = (from.chunk_offset + from.chunk_bytes) / PAGE - 1;
		edu_move(regs, from.chunk_iova + from.chunk_bytes - 16, to.chunk_iova, 16);
		at = va + to.chunk_offset / 8;
		CHECK_EQ(at[0], 0x2000000 + page);
		CHECK_EQ(at[1], 0x3000000 + page);
		at[0] = 0x1000000 + to.chunk_offset / PAGE;
		at[1] = 0;
	}
	CHECK(pieces > 0);
	for (page = 0; page < d->bytes / PAGE; page++) {
		CHECK_EQ(va[page * PAGE / 8], 0x1000000 + page);
		CHECK(all_bytes(va + page * PAGE / 8 + 1, 0, PAGE - 24));
		CHECK_EQ(va[(page + 1) * PAGE / 8 - 2], 0x2000000 + page);
		CHECK_EQ(va[(page + 1) * PAGE / 8 - 1], 0x3000000 + page);
	}
}

static void check_kind(unsigned int kind, uint64_t bytes)
{
	struct userpci_uapi_dma d;
	uint64_t *va;
	void *regs;
	int fd;

	device_fresh(EDU);
	fd = edu_own(&regs);
	d = dma_of(fd, kind, bytes);
	if (iommu_translates())
		CHECK_EQ(d.chunks, 1);
	va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
	check_pieces(fd, &d);
	check_edges(fd, regs, &d, va);
	CHECK_EQ(munmap(va, d.bytes), 0);
	CHECK_EQ(munmap(regs, 1 << 20), 0);
	close(fd);
}

TEST(kinds_contiguous)
{
	check_kind(USERPCI_DMA_CONTIGUOUS, 4 << 20);
}

TEST(kinds_chunked_beyond_4_mib)
{
	check_kind(USERPCI_DMA_CHUNKED, 16 << 20);
	/* No power of two, nor a multiple of a piece. */
	check_kind(USERPCI_DMA_CHUNKED, (9 << 20) + 3 * PAGE);
}

TEST(kinds_shared)
{
	check_kind(USERPCI_DMA_SHARED, 2 << 20);
}

/* More than there is: an error, not the end of some process, and all of it is given back. */
TEST(kinds_too_much)
{
	struct userpci_uapi_dma d;
	unsigned int i;
	int fd;

	device_fresh(EDU);
	fd = node_own(EDU);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(dma_try(fd, USERPCI_DMA_CHUNKED, 1u << 30, &d), -ENOMEM);
		CHECK_EQ(dma_try(fd, USERPCI_DMA_CHUNKED, 64 << 20, &d), 0);
		CHECK_EQ(dma_free(fd, d.handle), 0);
	}
	close(fd);
}

/* A part of the buffer, from its middle, with the right pages. */
TEST(kinds_mapped_in_part)
{
	enum { PAGES = 1500 };
	struct userpci_uapi_dma d;
	unsigned int i, first;
	uint64_t *va, *part;
	int fd;

	device_fresh(EDU);
	fd = node_own(EDU);
	for (i = 0; i < NUM_KINDS; i++) {
		d = dma_of(fd, kinds[i], kinds[i] ? PAGES * PAGE : 1000 * PAGE);
		va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
		for (first = 0; first < d.bytes / PAGE; first++)
			va[first * PAGE / 8] = first;
		for (first = 0; first + 3 <= d.bytes / PAGE; first += 199) {
			part = map(fd, d.offset + first * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE);
			CHECK_EQ(part[0], first);
			CHECK_EQ(part[2 * PAGE / 8], first + 2);
			part[2 * PAGE / 8 + 1] = ~0ull;
			CHECK_EQ(va[(first + 2) * PAGE / 8 + 1], ~0ull);
			CHECK_EQ(munmap(part, 3 * PAGE), 0);
		}
		CHECK_EQ(munmap(va, d.bytes), 0);
		CHECK_EQ(dma_free(fd, d.handle), 0);
	}
	close(fd);
}

/* What a buffer held is never seen in the next one. */
TEST(kinds_zeroed)
{
	enum { BYTES = 1 << 20 };
	struct userpci_uapi_dma d;
	unsigned int i, round;
	char *va;
	int fd;

	for (round = 0; round < 20; round++) {
		fd = node_own(EDU);
		for (i = 0; i < NUM_KINDS; i++) {
			d = dma_of(fd, kinds[i], BYTES);
			va = map(fd, d.offset, BYTES, PROT_READ | PROT_WRITE);
			CHECK(all_bytes(va, 0, BYTES));
			memset(va, 0xa5, BYTES);
			CHECK_EQ(munmap(va, BYTES), 0);
			/* Freed by call, then by close. */
			if (round % 2)
				CHECK_EQ(dma_free(fd, d.handle), 0);
		}
		close(fd);
	}
}

/* An observer reads, and changes nothing: not by mprotect() either. */
TEST(kinds_observer_reads_only)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU), observer = node_open(address, O_RDONLY);
	struct userpci_uapi_dma d;
	char *va, *seen;
	unsigned int i;

	CHECK(observer >= 0);
	for (i = 0; i < NUM_KINDS; i++) {
		d = dma_of(fd, kinds[i], 4 * PAGE);
		va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
		memset(va, 0x17, d.bytes);
		CHECK_EQ(map_error(observer, d.offset, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED),
			 -EACCES);
		CHECK_EQ(map_error(observer, d.offset, PAGE, PROT_WRITE, MAP_SHARED), -EACCES);
		seen = map(observer, d.offset, d.bytes, PROT_READ);
		CHECK(all_bytes(seen, 0x17, d.bytes));
		CHECK_EQ(mprotect(seen, d.bytes, PROT_READ | PROT_WRITE), -1);
		CHECK_EQ(errno, EACCES);
		va[0] = 0x18;
		CHECK_EQ(seen[0], 0x18);
		CHECK_EQ(munmap(seen, d.bytes), 0);
		CHECK_EQ(munmap(va, d.bytes), 0);
	}
	close(observer);
	close(fd);
}

/* Freed while mapped: the pages stay for the map, and are nobody else's. */
TEST(kinds_freed_while_mapped)
{
	struct userpci_uapi_dma d, other;
	int fd = node_own(EDU);
	char *va, *fresh;
	unsigned int i;

	for (i = 0; i < NUM_KINDS; i++) {
		d = dma_of(fd, kinds[i], 4 * PAGE);
		va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
		memset(va, 0x42, d.bytes);
		CHECK_EQ(dma_free(fd, d.handle), 0);
		CHECK_EQ(dma_free(fd, d.handle), -ENOENT);
		CHECK_EQ(map_error(fd, d.offset, PAGE, PROT_READ, MAP_SHARED), -EINVAL);
		other = dma_of(fd, kinds[i], 4 * PAGE);
		fresh = map(fd, other.offset, other.bytes, PROT_READ | PROT_WRITE);
		memset(fresh, 0x43, other.bytes);
		CHECK(all_bytes(va, 0x42, d.bytes));
		CHECK_EQ(munmap(va, d.bytes), 0);
		CHECK_EQ(munmap(fresh, other.bytes), 0);
		CHECK_EQ(dma_free(fd, other.handle), 0);
	}
	close(fd);
}

/* A page of memory that two maps of one SHARED buffer show, and the buffer. */
struct shared {
	int fd;
	struct userpci_uapi_dma d;
	void *va;
};

static struct shared shared_open(const char *id, uint64_t bytes)
{
	struct shared s = { .fd = node_own(id) };

	s.d = dma_of(s.fd, USERPCI_DMA_SHARED, bytes);
	s.va = map(s.fd, s.d.offset, s.d.bytes, PROT_READ | PROT_WRITE);
	return s;
}

static long futex(void *word, int operation, uint32_t value)
{
	const struct timespec patience = { PATIENCE_MS / 1000, 0 };
	long result = syscall(SYS_futex, word, operation, value,
			      operation == FUTEX_WAIT ? &patience : NULL, NULL, 0);

	return result < 0 ? -errno : result;
}

/* In a map of its own: the kernel must find the waiter by the page, not by the address. */
static void wait_on_futex(void *data)
{
	struct shared *s = data;
	uint32_t *word = map(s->fd, s->d.offset, PAGE, PROT_READ | PROT_WRITE);

	CHECK(word != s->va);
	CHECK_EQ(futex(word, FUTEX_WAIT, 0), 0);
}

TEST(kinds_shared_futex)
{
	struct shared s = shared_open(EDU, PAGE);
	const struct timespec pause = { 0, 1000000 };
	int status, woken = 0, i;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		wait_on_futex(&s);
		_exit(0);
	}
	/* Until it sleeps there. */
	for (i = 0; i < PATIENCE_MS && !woken; i++) {
		woken = (int)futex(s.va, FUTEX_WAKE, 1);
		nanosleep(&pause, NULL);
	}
	CHECK_EQ(woken, 1);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	passed(status);
	close(s.fd);
}

static void lock_the_mutex(void *data)
{
	struct shared *s = data;
	pthread_mutex_t *mutex = map(s->fd, s->d.offset, PAGE, PROT_READ | PROT_WRITE);

	CHECK_EQ(pthread_mutex_lock(mutex), 0);
}

/* A process dies with the lock: the next one is told so. */
TEST(kinds_shared_robust_mutex)
{
	struct shared s = shared_open(EDU, PAGE);
	pthread_mutex_t *mutex = s.va;
	pthread_mutexattr_t attributes;
	pid_t child;

	pthread_mutexattr_init(&attributes);
	CHECK_EQ(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), 0);
	CHECK_EQ(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
	CHECK_EQ(pthread_mutex_init(mutex, &attributes), 0);
	child = start_child(lock_the_mutex, &s);
	CHECK_EQ(pthread_mutex_trylock(mutex), EBUSY);
	kill_child(child);
	CHECK_EQ(pthread_mutex_lock(mutex), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(mutex), 0);
	CHECK_EQ(pthread_mutex_unlock(mutex), 0);
	CHECK_EQ(pthread_mutex_lock(mutex), 0);
	close(s.fd);
}

/* The pages themselves go into the pipe: what is written afterwards is read from it. */
TEST(kinds_shared_vmsplice)
{
	struct shared s = shared_open(EDU, 2 * PAGE);
	struct iovec part = { (char *)s.va + PAGE - 8, 16 };
	char *va = s.va, text[17] = "";
	int ends[2];

	CHECK_EQ(pipe(ends), 0);
	memcpy(va + PAGE - 8, "0123456789abcdef", 16);
	CHECK_EQ(vmsplice(ends[1], &part, 1, 0), 16);
	va[PAGE] = 'X';
	CHECK_EQ(read(ends[0], text, 16), 16);
	CHECK_STR(text, "01234567X9abcdef");
	close(ends[0]);
	close(ends[1]);
	close(s.fd);
}

/* A disk's driver moves the data from and to the pages; from registers it cannot. */
TEST(kinds_shared_direct_io)
{
	enum { BYTES = 64 << 10 };
	struct shared s = shared_open(EDU, BYTES);
	int disk = open_direct(), i;
	uint32_t *va = s.va;
	void *regs = edu_map(s.fd);

	for (i = 0; i < BYTES / 4; i++)
		va[i] = 0x51ab0000 + i;
	CHECK_EQ(pwrite(disk, va, BYTES, 0), BYTES);
	memset(va, 0, BYTES);
	CHECK_EQ(pread(disk, va, BYTES, 0), BYTES);
	for (i = 0; i < BYTES / 4; i++)
		CHECK_EQ(va[i], 0x51ab0000 + i);
	CHECK_EQ(pwrite(disk, regs, PAGE, 0), -1);
	CHECK_EQ(errno, EFAULT);
	close(disk);
	close(s.fd);
}

/* Maps of a SHARED buffer do not hold the device: the next owner comes, and the contents stay. */
TEST(kinds_shared_outlives_its_owner)
{
	struct shared s = shared_open(RNG, 16 * PAGE), next;

	memset(s.va, 0x66, s.d.bytes);
	close(s.fd);
	CHECK(all_bytes(s.va, 0x66, s.d.bytes));
	next = shared_open(RNG, 16 * PAGE);
	CHECK(all_bytes(next.va, 0, next.d.bytes));
	memset(next.va, 0x67, next.d.bytes);
	CHECK(all_bytes(s.va, 0x66, s.d.bytes));
	memset(s.va, 0x68, s.d.bytes);
	CHECK(all_bytes(next.va, 0x67, next.d.bytes));
	close(next.fd);
}

/* The same on a function without a reset, where the former owner's buffers stay. */
TEST(kinds_shared_kept_is_apart)
{
	struct shared s = shared_open(EDU, 16 * PAGE), next;

	memset(s.va, 0x66, s.d.bytes);
	close(s.fd);
	next = shared_open(EDU, 16 * PAGE);
	CHECK(all_bytes(next.va, 0, next.d.bytes));
	memset(s.va, 0x68, s.d.bytes);
	CHECK(all_bytes(next.va, 0, next.d.bytes));
	CHECK_EQ(munmap(s.va, s.d.bytes), 0);
	close(next.fd);
}

/* Takes 16 MiB of each kind, gives half of it back, and exits with the rest mapped. */
static void take_and_exit(void *data)
{
	int fd = node_own(data);
	struct userpci_uapi_dma d;
	unsigned int i, j;
	char *va;

	for (i = 1; i < NUM_KINDS; i++) {
		for (j = 0; j < 4; j++) {
			d = dma_of(fd, kinds[i], 4 << 20);
			va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
			CHECK(all_bytes(va, 0, d.bytes));
			memset(va, 0xa5, d.bytes);
			if (j % 2)
				CHECK_EQ(dma_free(fd, d.handle), 0);
		}
	}
}

/* Three times the guest's memory: an exit that leaked would end in ENOMEM. */
static void check_exits(const char *id)
{
	int round;

	device_fresh(id);
	for (round = 0; round < 50; round++)
		passed(run_child(take_and_exit, (void *)(uintptr_t)id));
}

TEST(kinds_freed_at_exit)
{
	check_exits(RNG);
}

/* Without a reset the buffers stay with the function: the next owner gets them, zeroed. */
TEST(kinds_kept_at_exit_without_reset)
{
	check_exits(EDU);
}

/* The device is gone: what is mapped keeps its contents, and can be written. */
TEST(kinds_survive_the_device)
{
	int fd = node_own(EDU);
	char *va[NUM_KINDS];
	unsigned int i;

	for (i = 0; i < NUM_KINDS; i++) {
		struct userpci_uapi_dma d = dma_of(fd, kinds[i], 64 * PAGE);

		va[i] = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
		memset(va[i], 0x31 + (int)i, d.bytes);
	}
	device_unbind(device_bind(EDU));
	for (i = 0; i < NUM_KINDS; i++)
		CHECK(all_bytes(va[i], (uint8_t)(0x31 + i), 64 * PAGE));
	close(fd);
	for (i = 0; i < NUM_KINDS; i++) {
		memset(va[i], 0x71, 64 * PAGE);
		CHECK(all_bytes(va[i], 0x71, 64 * PAGE));
		CHECK_EQ(munmap(va[i], 64 * PAGE), 0);
	}
}
