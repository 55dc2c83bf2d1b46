// SPDX-License-Identifier: MIT
/* One buffer, several processes: how it is passed on, named, locked; who may still read it. */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "conformance.h"

#define SECTION "sharing"
#define PAGES	4
#define MARK	0x12345678u

static void descriptor_send(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec v = { &byte, 1 };
	struct msghdr message = { .msg_iov = &v,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	CHECK_EQ(sendmsg(socket, &message, 0), 1);
}

static int descriptor_receive(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec v = { &byte, 1 };
	struct msghdr message = { .msg_iov = &v,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	int fd;

	CHECK_EQ(recvmsg(socket, &message, 0), 1);
	CHECK(CMSG_FIRSTHDR(&message));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

/* Process A: opens, writes, sends its descriptor with the offset, and waits for its end. */
static void process_a(enum kind kind, int socket)
{
	struct memory m = memory_get(kind, PAGES, PROT_READ | PROT_WRITE);

	wr32(m.va, 0, MARK);
	descriptor_send(socket, m.buffer.place.fd);
	CHECK_EQ(write(socket, &m.buffer.place.offset, 8), 8);
	for (;;)
		pause();
}

/* A writes, B, which has the descriptor by SCM_RIGHTS alone, sees it; A dies, B still reads. */
ROWS(outlives_process, "passed by SCM_RIGHTS; its process killed, read", "ok", "ok", "not offered",
     "ok")
{
	struct place p = { .bar = -1 };
	int pair[2], fd;
	pid_t a;
	volatile uint32_t *va;

	if (kind == STATISTICS)
		NOT_OFFERED();
	require(kind);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	a = child_start();
	if (!a) {
		close(pair[0]);
		process_a(kind, pair[1]);
	}
	close(pair[1]);
	if (readable(pair[0], PATIENCE_MS, NULL) != 1)
		return "nothing sent";
	fd = descriptor_receive(pair[0]);
	CHECK_EQ(read(pair[0], &p.offset, 8), 8);
	p.fd = fd;
	va = place_map(&p, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (va == MAP_FAILED)
		return strerrorname_np(errno);
	if (*va != MARK)
		return "B does not see what A writes";
	child_kill(a);
	return *va == MARK ? "ok" : "gone with A";
}

ROWS(outlives_descriptor, "its descriptor closed, read", "ok", "ok", "ok", "ok")
{
	struct memory m = memory_get(kind, PAGES, kind_prot(kind));
	uint32_t before;

	memory_pattern(kind, &m);
	before = rd32(m.va, 0);
	device_close(&m.d);
	return rd32(m.va, 0) == before ? "ok" : "other bytes";
}

ROWS(dup, "mapped through a dup of the descriptor", "ok", "ok", "ok", "ok")
{
	struct memory m = memory_get(kind, PAGES, kind_prot(kind));
	struct place p = m.buffer.place;
	volatile uint32_t *va;

	memory_pattern(kind, &m);
	p.fd = dup(p.fd);
	va = place_map(&p, m.bytes, PROT_READ, MAP_SHARED);
	if (va == MAP_FAILED)
		return strerrorname_np(errno);
	return *va == rd32(m.va, 0) ? "ok" : "other bytes";
}

ROWS(fork_maps, "a fork child maps it, and writes", "ok", "ok", "EACCES", "ok")
{
	struct memory m = memory_get(kind, PAGES, kind_prot(kind));
	pid_t child = child_start();
	int status;

	if (!child) {
		void *va = place_map(&m.buffer.place, m.bytes, PROT_READ | PROT_WRITE, MAP_SHARED);

		if (va == MAP_FAILED)
			_exit(errno);
		wr32(va, 0, MARK);
		_exit(0);
	}
	status = child_end(child);
	if (status)
		return outcome(-status);
	return rd32(m.va, 0) == MARK ? "ok" : "other bytes";
}

static int dma_free(const struct memory *m)
{
	struct userpci_uapi_dma dma = SIZED(userpci_uapi_dma);

	dma.handle = m->buffer.handle;
	return call(m->d.fd, USERPCI_DMA_FREE, &dma);
}

/* The handle is gone, the pages stay for the map: no other buffer gets them. */
ROWS(freed_while_mapped, "freed while mapped, read", "not offered", "ok", "not offered", "ok")
{
	struct memory m;

	if (kind == REGISTERS || kind == STATISTICS)
		NOT_OFFERED();
	require_userpci();
	m = memory_get(kind, PAGES, PROT_READ | PROT_WRITE);
	wr32(m.va, 0, MARK);
	CHECK_EQ(dma_free(&m), 0);
	if (place_map(&m.buffer.place, PAGE, PROT_READ, MAP_SHARED) != MAP_FAILED)
		return "still maps";
	CHECK_EQ(errno, EINVAL);
	return rd32(m.va, 0) == MARK ? "ok" : "other bytes";
}

struct lock {
	pthread_mutex_t mutex;
	uint32_t held;
};

static void lock_create(struct lock *lock)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	CHECK_EQ(pthread_mutex_init(&lock->mutex, &a), 0);
	lock->held = 0;
}

static pid_t lock_holder(struct lock *lock)
{
	pid_t holder = child_start();

	if (!holder) {
		CHECK_EQ(pthread_mutex_lock(&lock->mutex), 0);
		__atomic_store_n(&lock->held, 1, __ATOMIC_RELEASE);
		for (;;)
			pause();
	}
	while (!__atomic_load_n(&lock->held, __ATOMIC_ACQUIRE))
		usleep(1000);
	return holder;
}

/*
 * One process holds the lock, another waits for it, the first is killed. Without futexes glibc ends
 * the process that has to wait.
 */
ROWS(robust_mutex, "a robust mutex in it, waited for while its holder is killed", "SIGABRT",
     "SIGABRT", "not offered", "EOWNERDEAD")
{
	struct memory m;
	struct lock *lock;
	pid_t holder, waiter;
	int status;

	if (kind == STATISTICS)
		NOT_OFFERED();
	m = memory_get(kind, PAGES, PROT_READ | PROT_WRITE);
	lock = (struct lock *)m.va;
	lock_create(lock);
	holder = lock_holder(lock);
	waiter = child_start();
	if (!waiter) {
		fclose(stderr); /* for glibc's last words */
		_exit(pthread_mutex_lock(&lock->mutex));
	}
	usleep(200000); /* it waits by now; if not, the row tries less */
	child_kill(holder);
	status = child_end(waiter);
	if (status > SIGNALLED)
		row_end("SIG%s", sigabbrev_np(status - SIGNALLED));
	return status ? strerrorname_np(status) : "ok";
}

/* --- Buffers with a name */

#define NAME "rxring"

static int named(struct device *d, const char *name, struct userpci_uapi_dma *dma)
{
	*dma = SIZED(userpci_uapi_dma);
	dma->bytes = PAGES * PAGE;
	strcpy(dma->name, name);
	return call(d->fd, USERPCI_DMA_ALLOC, dma);
}

static struct device named_device(struct userpci_uapi_dma *dma)
{
	struct device d;

	require_userpci();
	d = device_own(EDU);
	CHECK_EQ(named(&d, NAME, dma), 0);
	return d;
}

static int find(int fd, uint32_t flags, uint32_t handle, struct userpci_uapi_dma_get *get)
{
	*get = SIZED(userpci_uapi_dma_get);
	get->flags = flags;
	get->handle = handle;
	if (flags & USERPCI_DMA_NAMED)
		strcpy(get->name, NAME);
	return call(fd, USERPCI_DMA_GET, get);
}

/* In another process, which has only the device's node. */
static int attach(void)
{
	struct userpci_uapi_dma_get get;
	struct device d;
	void *va;

	CHECK_EQ(device_open(&d, EDU, O_RDONLY), 0);
	if (find(d.fd, USERPCI_DMA_NAMED, 0, &get))
		return errno;
	va = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, d.fd, (off_t)get.offset);
	if (va == MAP_FAILED)
		return errno;
	return rd32(va, 0) == MARK ? 0 : EILSEQ;
}

ROW(named_attach, "a named buffer, found and mapped by another process", "ok")
{
	struct userpci_uapi_dma dma;
	struct device d = named_device(&dma);
	pid_t child;

	wr32(map(d.fd, dma.offset, PAGE, PROT_READ | PROT_WRITE), 0, MARK);
	child = child_start();
	if (!child)
		_exit(attach());
	return outcome(-child_end(child));
}

ROW(named_twice, "a second buffer of the same name", "EEXIST")
{
	struct userpci_uapi_dma dma;
	struct device d = named_device(&dma);

	return outcome(named(&d, NAME, &dma));
}

ROW(named_unknown, "a name that no buffer has", "ENOENT")
{
	struct userpci_uapi_dma dma;
	struct userpci_uapi_dma_get get;
	struct device d = named_device(&dma);

	dma.name[0] = 0;
	CHECK_EQ(call(d.fd, USERPCI_DMA_FREE, &dma), 0);
	return outcome(find(d.fd, USERPCI_DMA_NAMED, 0, &get));
}

/* All of a device's buffers, each with what is known of it. */
ROW(named_list, "the list: name, size, iova, references", "ok")
{
	struct userpci_uapi_dma dma, other;
	struct userpci_uapi_dma_get get;
	struct device d = named_device(&dma);
	uint32_t handle = 0;
	int count = 0;

	CHECK_EQ(named(&d, "txring", &other), 0);
	map(d.fd, dma.offset, PAGE, PROT_READ);
	while (!find(d.fd, USERPCI_DMA_NEXT, handle, &get)) {
		const struct userpci_uapi_dma *was = get.handle == dma.handle ? &dma : &other;

		if (strcmp(get.name, was->name) || get.bytes != was->bytes ||
		    get.chunk_iova != was->iova || get.offset != was->offset ||
		    get.references != 1 + (was == &dma))
			row_end("%s: %d bytes, %d references", get.name, (int)get.bytes,
				(int)get.references);
		count++;
		handle = get.handle + 1;
	}
	return count == 2 ? "ok" : "not two";
}

/* --- What is counted */

static uint32_t references(const struct memory *m)
{
	struct userpci_uapi_dma_get get;

	CHECK_EQ(find(m->d.fd, 0, m->buffer.handle, &get), 0);
	return get.references;
}

/* The map, at another address. */
static char *moved(char *va, uint64_t bytes)
{
	char *to = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(mremap(va, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	return to;
}

/* Over mmap, fork, its child's end, a move and munmap. */
ROW(references_balance, "references of a buffer over fork, mremap, munmap", "1 2 3 2 2 1")
{
	struct memory m;
	uint32_t seen[6];
	int hold[2];
	pid_t child;
	char byte, *va;

	require_userpci();
	m = memory_get(CONTIGUOUS, PAGES, PROT_READ | PROT_WRITE);
	munmap(m.va, m.bytes);
	seen[0] = references(&m);
	va = place_map(&m.buffer.place, m.bytes, PROT_READ, MAP_SHARED);
	seen[1] = references(&m);
	CHECK_EQ(pipe(hold), 0);
	child = child_start();
	if (!child) {
		close(hold[1]);
		_exit((int)read(hold[0], &byte, 1));
	}
	seen[2] = references(&m);
	close(hold[1]);
	CHECK_EQ(child_end(child), 0);
	seen[3] = references(&m);
	va = moved(va, m.bytes);
	seen[4] = references(&m);
	munmap(va, m.bytes);
	seen[5] = references(&m);
	row_end("%u %u %u %u %u %u", seen[0], seen[1], seen[2], seen[3], seen[4], seen[5]);
}

static const volatile struct userpci_uapi_stats *statistics(struct device *d)
{
	struct place p = userpci_statistics(d);
	void *va = place_map(&p, p.bytes, PROT_READ, MAP_SHARED);

	CHECK(va != MAP_FAILED);
	return va;
}

/* As above, counted for the whole device in its statistics, whose own map is the first. */
ROW(maps_balance, "maps of a device over mmap, fork, mremap, munmap", "1 2 4 2 2 1")
{
	struct device d;
	const volatile struct userpci_uapi_stats *s;
	uint32_t seen[6];
	struct place p;
	int hold[2];
	pid_t child;
	char byte, *va;

	require_userpci();
	d = device_own(EDU);
	p = device_bar(&d, 0);
	s = statistics(&d);
	seen[0] = s->maps;
	va = place_map(&p, PAGE, PROT_READ, MAP_SHARED);
	seen[1] = s->maps;
	CHECK_EQ(pipe(hold), 0);
	child = child_start();
	if (!child) {
		close(hold[1]);
		_exit((int)read(hold[0], &byte, 1));
	}
	seen[2] = s->maps;
	close(hold[1]);
	CHECK_EQ(child_end(child), 0);
	seen[3] = s->maps;
	va = moved(va, PAGE);
	seen[4] = s->maps;
	munmap(va, PAGE);
	seen[5] = s->maps;
	row_end("%u %u %u %u %u %u", seen[0], seen[1], seen[2], seen[3], seen[4], seen[5]);
}

/* The kernel counts, the process looks: between the two lies no system call. */
ROW(statistics_live, "interrupts counted in the statistics, seen by loads alone", "ok")
{
	struct device d;
	const volatile struct userpci_uapi_stats *s;
	const volatile struct userpci_uapi_vector *v;
	struct place p;
	void *regs;
	uint64_t before;
	long spins;

	require_userpci();
	d = device_own(EDU);
	p = device_bar(&d, 0);
	regs = place_map(&p, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	CHECK(regs != MAP_FAILED);
	CHECK_EQ(bus_master(d.fd, 1), 0);
	CHECK_EQ(irq_set(d.fd, USERPCI_IRQ_MSI, 1), 0);
	s = statistics(&d);
	v = (const volatile void *)((const volatile char *)s + s->vectors_offset);
	before = v->interrupts;
	wr32(regs, EDU_IRQ_RAISE, 1);
	for (spins = 0; spins < 1000000000 && v->interrupts == before; spins++)
		;
	return v->interrupts == before + 1 ? "ok" : "not counted";
}
