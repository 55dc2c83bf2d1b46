/* SPDX-License-Identifier: MIT */
/*
 * Every call with each of its failures in turn. The kernel can fail the n-th thing that may fail
 * within a system call: memory of the slab, pages, copies from and to user space. Here n is 1, 2,
 * 3, ... until the call meets no failure any more. Whatever n is, the call either works or says
 * why not, and the device can be used afterwards. That nothing is left behind, and no rule of the
 * kernel broken, the kernel's checkers say: see tests/debug/run.
 *
 * Spec: Documentation/fault-injection/fault-injection.rst in Linux, /proc/self/fail-nth.
 */
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../uapi/support.h"

enum { MOST = 4000 }; /* no call has so many */

static int fail_nth_fd = -1;
static const char *edu;

/* Lets the n-th thing from now on fail in this task; 0: nothing. */
static void fail_nth(unsigned int n)
{
	char text[16];
	int size = snprintf(text, sizeof(text), "%u", n);

	/* The copy of this text may be what fails; once it has, nothing else will. */
	if (pwrite(fail_nth_fd, text, (size_t)size, 0) != size)
		CHECK_EQ(pwrite(fail_nth_fd, text, (size_t)size, 0), size);
}

/* Ends the injection. Returns whether something did fail. */
static int has_failed(void)
{
	char text[16] = "";
	ssize_t size = pread(fail_nth_fd, text, sizeof(text) - 1, 0);

	fail_nth(0);
	/* It is this very copy that failed: what came before met no failure. */
	if (size <= 0)
		return 0;
	return atoi(text) == 0;
}

static void write_number(const char *path, const char *number)
{
	if (access(path, W_OK))
		SKIP("the kernel has no %s", path);
	CHECK_EQ(sysfs_write(path, number), 0);
}

static void set_up(void)
{
	/* Allocations that may sleep fail too, and none of it is written to the log. */
	write_number("/sys/kernel/debug/failslab/ignore-gfp-wait", "0");
	write_number("/sys/kernel/debug/failslab/verbose", "0");
	write_number("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "0");
	write_number("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "0");
	write_number("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_number("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	write_number("/sys/kernel/debug/fail_usercopy/verbose", "0");
	fail_nth_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	CHECK(fail_nth_fd >= 0);
}

/* --- The device after each failure ------------------------------------------------------------ */

/* The least that shows a device in order. */
static void check_open_device(int fd)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	struct userpci_uapi_region r;
	int bar;

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	for (bar = 0; bar < USERPCI_NUM_BARS; bar++) {
		r = region_get(fd, (unsigned int)bar);
		if (r.flags & USERPCI_REGION_MMAP)
			munmap(map(fd, r.offset, PAGE, PROT_READ), PAGE);
	}
}

/* All that edu can do, with a new owner. */
static void check_edu(void)
{
	int fd = node_own(EDU), round;
	void *regs = map(fd, region_get(fd, 0).offset, 1 << 20, PROT_READ | PROT_WRITE);
	struct userpci_uapi_dma d;
	uint32_t count;
	char *va;

	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	CHECK_EQ(dma_mask(fd, 28), 0);
	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	wr32(regs, EDU_IRQ_RAISE, 1);
	CHECK_EQ(read(fd, &count, sizeof(count)), (ssize_t)sizeof(count));
	wr32(regs, EDU_IRQ_ACK, 1);
	d = dma_get(fd, PAGE);
	CHECK(d.handle < 8); /* failures left no buffers behind */
	va = map(fd, d.offset, PAGE, PROT_READ | PROT_WRITE);
	for (round = 0; round < 2; round++) {
		edu_dma_wait(regs);
		memset(va, round ? 0 : 0x5a, PAGE);
		edu_dma_start(regs, round ? EDU_MEMORY : d.iova, round ? d.iova : EDU_MEMORY,
			      EDU_BYTES, round);
		edu_dma_wait(regs);
	}
	CHECK_EQ(va[0], 0x5a);
	CHECK_EQ(va[EDU_BYTES - 1], 0x5a);
	munmap(va, PAGE);
	munmap(regs, 1 << 20);
	close(fd);
}

/* --- The sweep -------------------------------------------------------------------------------- */

/* What is tried. `run` returns 0 or -errno, `undo` takes back what a success did. */
struct trial {
	int (*run)(struct trial *t);
	void (*undo)(struct trial *t);
	void (*check)(struct trial *t); /* after each run; NULL: check_open_device() */
	const int *errors;		/* besides ENOMEM and EFAULT; 0 at the end */
	int fd;
	unsigned long command;
	void *argument;
	size_t bytes;
	union {
		struct userpci_uapi_info info;
		struct userpci_uapi_region region;
		struct userpci_uapi_access access;
		struct userpci_uapi_config config;
		struct userpci_uapi_dma_mask mask;
		struct userpci_uapi_dma dma;
		struct userpci_uapi_irq irq;
		struct userpci_uapi_irq_eventfd eventfd;
		struct userpci_uapi_irq_mask irq_mask;
		struct userpci_uapi_irq_limit irq_limit;
		struct userpci_uapi_dma_get get;
		struct userpci_uapi_map map;
		struct userpci_uapi_bus_master bus_master;
		struct userpci_uapi_reset reset;
	} first, now; /* the argument as it is before each run */
	void *va, *other;
	int pipe;
	uint64_t offset;
	pid_t pid;
};

static int is_allowed(const struct trial *t, int err)
{
	const int *error;

	if (!err || err == -ENOMEM || err == -EFAULT)
		return 1;
	for (error = t->errors; error && *error; error++)
		if (err == -*error)
			return 1;
	return 0;
}

static void sweep(const char *what, struct trial *t)
{
	unsigned int n, errors = 0;
	int failed, err;

	for (n = 1; n < MOST; n++) {
		t->now = t->first;
		fail_nth(n);
		err = t->run(t);
		failed = has_failed();
		if (!failed && err)
			HARNESS_FAIL("%s: %s, and no failure was injected", what, strerror(-err));
		if (!is_allowed(t, err))
			HARNESS_FAIL("%s: failure %u gave %s", what, n, strerror(-err));
		errors += err != 0;
		if (!err && t->undo)
			t->undo(t);
		if (t->check)
			t->check(t);
		else
			check_open_device(t->fd);
		if (!failed)
			break;
	}
	CHECK(n < MOST);
	printf("# %s: %u failures, %u of them errors of the call\n", what, n - 1, errors);
}

/* --- The calls -------------------------------------------------------------------------------- */

static int run_open(struct trial *t)
{
	t->fd = node_open(edu, O_RDWR);
	return t->fd < 0 ? t->fd : 0;
}

static void undo_open(struct trial *t)
{
	close(t->fd);
}

static void check_nothing(struct trial *t)
{
	(void)t;
}

TEST(failslab_open)
{
	static const int errors[] = { ENFILE, 0 };
	struct trial t = { run_open, undo_open, check_nothing, .errors = errors };

	set_up();
	edu = device_bind(EDU);
	sweep("open", &t);
	check_edu();
}

/* A close cannot fail. */
static int run_close(struct trial *t)
{
	return close(t->fd) ? -errno : 0;
}

static void check_reopen(struct trial *t)
{
	uint32_t id;

	t->fd = node_own(EDU);
	t->va = map(t->fd, region_get(t->fd, 0).offset, PAGE, PROT_READ);
	id = rd32(t->va, EDU_ID);
	munmap(t->va, PAGE);
	CHECK_EQ(id, 0x010000ed);
	CHECK_EQ(irq_set(t->fd, USERPCI_IRQ_MSI, 1), 0);
	dma_get(t->fd, PAGE);
}

TEST(failslab_close)
{
	struct trial t = { run_close, NULL, check_reopen, .fd = -1 };

	set_up();
	check_reopen(&t);
	sweep("close", &t);
	close(t.fd);
	check_edu();
}

static int run_call(struct trial *t)
{
	return call(t->fd, t->command, &t->now);
}

static void undo_dma_alloc(struct trial *t)
{
	CHECK_EQ(call(t->fd, USERPCI_DMA_FREE, &t->now), 0);
}

static void undo_dma_free(struct trial *t)
{
	t->first.dma = dma_get(t->fd, t->first.dma.bytes);
}

#define CALL(name, ...)                                             \
	do {                                                        \
		struct trial t_ = { .run = run_call, __VA_ARGS__ }; \
                                                                    \
		t_.first.info.size = (uint32_t)t_.bytes;            \
		sweep(name, &t_);                                   \
	} while (0)

#define ARGUMENT(type, member) .bytes = sizeof(struct userpci_uapi_##type), .first.member

TEST(failslab_queries)
{
	int fd;

	set_up();
	fd = node_own(EDU);
	CALL("GET_INFO", .fd = fd, .command = USERPCI_GET_INFO, ARGUMENT(info, info) = { 0 });
	CALL("GET_REGION", .fd = fd, .command = USERPCI_GET_REGION,
	     ARGUMENT(region, region) = { 0 });
	CALL("CONFIG_READ", .fd = fd, .command = USERPCI_CONFIG_READ,
	     ARGUMENT(config, config) = { .width = 4 });
	CALL("DMA_SET_MASK", .fd = fd, .command = USERPCI_DMA_SET_MASK,
	     ARGUMENT(dma_mask, mask) = { .bits = 28 });
	CALL("BUS_MASTER", .fd = fd, .command = USERPCI_BUS_MASTER,
	     ARGUMENT(bus_master, bus_master) = { .enable = 1 });
	close(fd);
	fd = node_own(TESTDEV);
	CALL("REGION_READ", .fd = fd, .command = USERPCI_REGION_READ,
	     ARGUMENT(access, access) = { .index = 1, .width = 1 });
	close(fd);
	check_edu();
}

/* What failed has left no buffer behind, nor one whose handle nobody was told. */
static void check_no_buffers(int fd)
{
	struct userpci_uapi_dma_get g = SIZED(userpci_uapi_dma_get);

	g.flags = USERPCI_DMA_NEXT;
	if (!call(fd, USERPCI_DMA_GET, &g))
		HARNESS_FAIL("buffer %u is left, of kind %u, %" PRIu64 " bytes", g.handle, g.kind,
			     (uint64_t)g.bytes);
}

/* Memory that is not there before it is touched. */
static void *fresh_pages(unsigned int count)
{
	void *va = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	CHECK(va != MAP_FAILED);
	return va;
}

TEST(failslab_dma)
{
	/* Linux says so when it has no memory for the file. */
	static const int shared[] = { ENOSPC, 0 };
	struct userpci_uapi_dma kept;
	int fd;

	set_up();
	device_unbind(device_bind(EDU)); /* no buffers are kept of former owners */
	fd = node_own(EDU);
	CHECK_EQ(dma_mask(fd, 32), 0);
	CALL("DMA_ALLOC 1 page", .undo = undo_dma_alloc, .fd = fd, .command = USERPCI_DMA_ALLOC,
	     ARGUMENT(dma, dma) = { .bytes = PAGE });
	CALL("DMA_ALLOC 3 pages", .undo = undo_dma_alloc, .fd = fd, .command = USERPCI_DMA_ALLOC,
	     ARGUMENT(dma, dma) = { .bytes = 3 * PAGE });
	CALL("DMA_ALLOC 1 MiB", .undo = undo_dma_alloc, .fd = fd, .command = USERPCI_DMA_ALLOC,
	     ARGUMENT(dma, dma) = { .bytes = 1 << 20 });
	CALL("DMA_ALLOC 5 pages CHUNKED", .undo = undo_dma_alloc, .fd = fd,
	     .command = USERPCI_DMA_ALLOC,
	     ARGUMENT(dma, dma) = { .kind = USERPCI_DMA_CHUNKED, .bytes = 5 * PAGE });
	CALL("DMA_ALLOC 3 pages SHARED", .undo = undo_dma_alloc, .errors = shared, .fd = fd,
	     .command = USERPCI_DMA_ALLOC,
	     ARGUMENT(dma, dma) = { .kind = USERPCI_DMA_SHARED, .bytes = 3 * PAGE });
	CALL("DMA_ALLOC 3 pages PINNED", .undo = undo_dma_alloc, .fd = fd,
	     .command = USERPCI_DMA_ALLOC,
	     ARGUMENT(dma, dma) = { .kind = USERPCI_DMA_PINNED,
				    .bytes = 3 * PAGE,
				    .address = (uintptr_t)fresh_pages(3) });
	check_no_buffers(fd);
	kept = dma_get(fd, PAGE);
	CALL("DMA_GET", .fd = fd, .command = USERPCI_DMA_GET,
	     ARGUMENT(dma_get, get) = { .handle = kept.handle });
	CALL("DMA_FREE", .undo = undo_dma_free, .fd = fd, .command = USERPCI_DMA_FREE,
	     ARGUMENT(dma, dma) = { .bytes = PAGE, .handle = kept.handle });
	close(fd);
	check_edu();
}

/* After a failure the vectors can be had all the same, and given back. */
static void check_irqs(struct trial *t)
{
	CHECK_EQ(irq_set(t->fd, t->first.irq.kind, t->first.irq.count), 0);
	CHECK_EQ(irq_set(t->fd, t->first.irq.kind, 0), 0);
}

TEST(failslab_irq)
{
	/* ENOSPC stands for all that keeps the kernel from giving so many. */
	static const int errors[] = { ENOSPC, 0 };
	int fd;

	set_up();
	fd = node_own(EDU);
	CALL("IRQ_ENABLE INTx", .check = check_irqs, .errors = errors, .fd = fd,
	     .command = USERPCI_IRQ_ENABLE, ARGUMENT(irq, irq) = { .count = 1 });
	CALL("IRQ_ENABLE MSI", .check = check_irqs, .errors = errors, .fd = fd,
	     .command = USERPCI_IRQ_ENABLE,
	     ARGUMENT(irq, irq) = { .kind = USERPCI_IRQ_MSI, .count = 1 });
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CALL("IRQ_EVENTFD", .fd = fd, .command = USERPCI_IRQ_EVENTFD,
	     ARGUMENT(irq_eventfd, eventfd) = { .fd = eventfd(0, 0) });
	CALL("IRQ_EVENTFD of events", .fd = fd, .command = USERPCI_IRQ_EVENTFD,
	     ARGUMENT(irq_eventfd, eventfd) = { .vector = USERPCI_EVENTS, .fd = eventfd(0, 0) });
	CALL("IRQ_LIMIT", .fd = fd, .command = USERPCI_IRQ_LIMIT,
	     ARGUMENT(irq_limit, irq_limit) = { .per_second = 1000 });
	CALL("IRQ_MASK", .fd = fd, .command = USERPCI_IRQ_MASK,
	     ARGUMENT(irq_mask, irq_mask) = { .masked = 0 });
	close(fd);
	fd = node_own(E1000E);
	CALL("IRQ_ENABLE MSI-X", .check = check_irqs, .errors = errors, .fd = fd,
	     .command = USERPCI_IRQ_ENABLE,
	     ARGUMENT(irq, irq) = { .kind = USERPCI_IRQ_MSIX, .count = 5 });
	close(fd);
	check_edu();
}

TEST(failslab_reset)
{
	int fd;

	set_up();
	fd = node_own(RNG);
	CALL("RESET", .fd = fd, .command = USERPCI_RESET, ARGUMENT(reset, reset) = { 0 });
	close(fd);
}

/* --- Maps, and copies of them ----------------------------------------------------------------- */

static int run_mmap(struct trial *t)
{
	t->va = mmap(NULL, t->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, (off_t)t->offset);
	return t->va == MAP_FAILED ? -errno : 0;
}

static void undo_mmap(struct trial *t)
{
	CHECK_EQ(munmap(t->va, t->bytes), 0);
}

static int run_munmap(struct trial *t)
{
	return munmap(t->va, t->bytes) ? -errno : 0;
}

static void undo_munmap(struct trial *t)
{
	CHECK_EQ(run_mmap(t), 0);
}

static int run_mremap(struct trial *t)
{
	void *va = mremap(t->va, t->bytes, t->bytes, MREMAP_MAYMOVE | MREMAP_FIXED, t->other);

	return va == MAP_FAILED ? -errno : 0;
}

static void undo_mremap(struct trial *t)
{
	void *from = t->other;

	t->other = t->va;
	t->va = from;
}

/* The child has both maps. */
static int run_fork(struct trial *t)
{
	t->pid = fork();
	if (!t->pid)
		_exit(rd32(t->va, EDU_ID) == 0x010000ed && rd32(t->other, 0) == 0x12345678 ? 0 : 1);
	return t->pid < 0 ? -errno : 0;
}

static void undo_fork(struct trial *t)
{
	int status;

	CHECK_EQ(waitpid(t->pid, &status, 0), t->pid);
	CHECK_EQ(status, 0);
}

static void check_map(struct trial *t)
{
	CHECK_EQ(rd32(t->va, EDU_ID), 0x010000ed);
	check_open_device(t->fd);
}

TEST(failslab_mmap)
{
	/* x86's table of memory types: what fails there comes out as EINVAL. */
	static const int errors[] = { EINVAL, 0 };
	struct trial t = { .run = run_mmap, .undo = undo_mmap, .errors = errors };
	struct userpci_uapi_dma d;

	set_up();
	t.fd = node_own(EDU);
	t.offset = region_get(t.fd, 0).offset;
	t.bytes = 1 << 20;
	sweep("mmap of a BAR", &t);
	t.offset = region_get(t.fd, 0).wc_offset;
	sweep("mmap of a BAR, write-combining", &t);
	d = dma_get(t.fd, 4 << 20);
	t.offset = d.offset;
	t.bytes = d.bytes;
	sweep("mmap of a DMA buffer", &t);
	d = (struct userpci_uapi_dma){ .size = sizeof(d),
				       .kind = USERPCI_DMA_SHARED,
				       .bytes = 8 * PAGE };
	CHECK_EQ(call(t.fd, USERPCI_DMA_ALLOC, &d), 0);
	t.offset = d.offset;
	t.bytes = d.bytes;
	sweep("mmap of a SHARED buffer", &t);
	close(t.fd);
	check_edu();
}

static int run_mmap_read_only(struct trial *t)
{
	t->va = mmap(NULL, t->bytes, PROT_READ, MAP_SHARED, t->fd, (off_t)t->offset);
	return t->va == MAP_FAILED ? -errno : 0;
}

TEST(failslab_mmap_statistics)
{
	struct trial t = { .run = run_mmap_read_only, .undo = undo_mmap };
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);

	set_up();
	t.fd = node_own(EDU);
	CHECK_EQ(call(t.fd, USERPCI_GET_INFO, &info), 0);
	t.offset = info.stats_offset;
	t.bytes = info.stats_bytes;
	sweep("mmap of the statistics", &t);
	t.va = map(t.fd, info.stats_offset, PAGE, PROT_READ);
	CALL("GET_MAP", .fd = t.fd, .command = USERPCI_GET_MAP,
	     ARGUMENT(map, map) = { .address = (uintptr_t)t.va });
	munmap(t.va, PAGE);
	close(t.fd);
	check_edu();
}

/*
 * A page of ones is made by the first load after the device has gone: here by a call that reads the
 * memory, for a load that finds no page ends its process. EFAULT is that call's own answer.
 */
static int run_touch(struct trial *t)
{
	return write(t->pipe, t->va, 4) < 0 ? -errno : 0;
}

static void undo_touch(struct trial *t)
{
	CHECK_EQ(rd32(t->va, EDU_ID), UINT32_MAX);
}

static void check_gone(struct trial *t)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);

	CHECK_EQ(call(t->fd, USERPCI_GET_INFO, &info), -ENODEV);
}

TEST(failslab_fault_after_removal)
{
	struct trial t = { run_touch, undo_touch, check_gone, .errors = NULL };
	const char *address = device_bind(EDU);
	int ends[2];

	set_up();
	CHECK_EQ(pipe(ends), 0);
	t.pipe = ends[1];
	t.fd = node_own(EDU);
	t.va = map(t.fd, region_get(t.fd, 0).offset, PAGE, PROT_READ);
	CHECK_EQ(rd32(t.va, EDU_ID), 0x010000ed);
	device_unbind(address);
	sweep("load after a removal", &t);
	munmap(t.va, PAGE);
	close(t.fd);
	close(ends[0]);
	close(ends[1]);
	check_edu();
}

TEST(failslab_munmap)
{
	struct trial t = { run_munmap, undo_munmap, .bytes = PAGE };

	set_up();
	t.fd = node_own(EDU);
	t.offset = region_get(t.fd, 0).offset;
	CHECK_EQ(run_mmap(&t), 0);
	sweep("munmap", &t);
	munmap(t.va, PAGE);
	close(t.fd);
	check_edu();
}

TEST(failslab_mremap)
{
	struct trial t = { run_mremap, undo_mremap, check_map, .bytes = 16 * PAGE };

	set_up();
	t.fd = node_own(EDU);
	t.offset = region_get(t.fd, 0).offset;
	CHECK_EQ(run_mmap(&t), 0);
	t.other = mmap(NULL, t.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(t.other != MAP_FAILED);
	sweep("mremap", &t);
	munmap(t.va, t.bytes);
	close(t.fd);
	check_edu();
}

TEST(failslab_fork)
{
	static const int errors[] = { EAGAIN, 0 };
	struct trial t = { run_fork, undo_fork, check_map, .errors = errors, .bytes = 16 * PAGE };
	struct userpci_uapi_dma d;

	set_up();
	t.fd = node_own(EDU);
	t.offset = region_get(t.fd, 0).offset;
	CHECK_EQ(run_mmap(&t), 0);
	d = dma_get(t.fd, PAGE);
	t.other = map(t.fd, d.offset, PAGE, PROT_READ | PROT_WRITE);
	wr32(t.other, 0, 0x12345678);
	sweep("fork", &t);
	munmap(t.other, PAGE);
	munmap(t.va, t.bytes);
	close(t.fd);
	check_edu();
}

/* --- The driver's own start and end ----------------------------------------------------------- */

/*
 * A device without an interrupt pin. To enable any other, Linux evaluates ACPI's routing table, and
 * its interpreter does not survive a lack of memory.
 */
#define PINLESS IVSHMEM

static const char *pinless;

static int run_write(struct trial *t)
{
	return write(t->fd, pinless, strlen(pinless)) < 0 ? -errno : 0;
}

static int is_bound(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/userpci/%s", pinless);
	return !access(path, F_OK);
}

/*
 * Linux names a node anew whenever it needs the name. Without memory for that it makes one with
 * another name, and leaves one that it cannot find: such are removed here.
 */
static void remove_strays(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/%s", pinless);
	unlink(path);
	if (!is_bound()) {
		snprintf(path, sizeof(path), "/dev/userpci/%s", pinless);
		unlink(path);
	}
}

/* Bound or not, nothing between. */
static void check_bind(struct trial *t)
{
	int fd = node_open(pinless, O_RDWR);

	(void)t;
	if (fd >= 0) {
		check_open_device(fd);
		close(fd);
	}
	if (is_bound())
		device_unbind(pinless);
	else
		CHECK(fd < 0);
	remove_strays();
}

static void check_pinless(void)
{
	int fd = node_own(PINLESS);

	check_open_device(fd);
	CHECK_EQ(dma_get(fd, PAGE).handle, 0);
	close(fd);
}

TEST(failslab_bind)
{
	/* Linux says EBUSY when it has no memory for a resource. */
	static const int errors[] = { EBUSY, EAGAIN, 0 };
	struct trial t = { run_write, NULL, check_bind, .errors = errors };

	set_up();
	pinless = device_bind(PINLESS);
	device_unbind(pinless);
	t.fd = open("/sys/bus/pci/drivers/userpci/bind", O_WRONLY | O_CLOEXEC);
	CHECK(t.fd >= 0);
	sweep("bind", &t);
	close(t.fd);
	check_pinless();
}

static int owner = -1;

/* Open and mapped when it goes the next time. */
static void check_unbind(struct trial *t)
{
	if (!is_bound()) {
		CHECK(node_open(pinless, O_RDWR) < 0);
		remove_strays();
		CHECK_STR(device_bind(PINLESS), pinless);
	}
	if (owner >= 0) {
		munmap(t->va, t->bytes);
		close(owner);
	}
	owner = node_open(pinless, O_RDWR);
	CHECK_EQ(owner < 0 ? owner : 0, 0);
	t->bytes = PAGE;
	t->va = map(owner, region_get(owner, 2).offset, PAGE, PROT_READ);
	dma_get(owner, PAGE);
}

TEST(failslab_unbind)
{
	struct trial t = { run_write, NULL, check_unbind, .errors = NULL };

	set_up();
	pinless = device_bind(PINLESS);
	check_unbind(&t);
	t.fd = open("/sys/bus/pci/drivers/userpci/unbind", O_WRONLY | O_CLOEXEC);
	CHECK(t.fd >= 0);
	sweep("unbind", &t);
	munmap(t.va, t.bytes);
	close(owner);
	close(t.fd);
	check_pinless();
}

static int run_load(struct trial *t)
{
	return syscall(SYS_init_module, t->va, t->bytes, "") ? -errno : 0;
}

static void undo_load(struct trial *t)
{
	(void)t;
	CHECK_EQ(syscall(SYS_delete_module, "userpci", O_NONBLOCK), 0);
	remove_strays();
}

/* Nobody's, and no driver's in particular. */
static void let_go(const char *id)
{
	const char *address = device_bind(id);
	char path[128];

	device_unbind(address);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", address);
	CHECK_EQ(sysfs_write(path, "\n"), 0);
}

TEST(failslab_module)
{
	const char *path = getenv("USERPCI_MODULE");
	struct trial t = { run_load, undo_load, check_nothing, .bytes = 0 };
	int file;

	CHECK(path);
	set_up();
	/* The module finds one device when it is loaded. */
	let_go(EDU);
	let_go(TESTDEV);
	let_go(E1000E);
	let_go(RNG);
	pinless = device_bind(PINLESS);
	file = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(file >= 0);
	t.bytes = (size_t)lseek(file, 0, SEEK_END);
	t.va = mmap(NULL, t.bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
	CHECK(t.va != MAP_FAILED);
	close(file);
	undo_load(&t);
	sweep("load of the module", &t);
	CHECK_EQ(run_load(&t), 0);
	check_pinless();
	check_edu();
}
