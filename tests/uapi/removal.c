/* SPDX-License-Identifier: MIT */
/* Every way in which a device goes, under an owner that uses all of it; and how it comes back. */
#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kit.h"

enum { KINDS = 4, BYTES = 3 * 4096 };

/* An owner with maps of everything, an observer, and children that sleep in read() and poll(). */
struct victim {
	const char *address;
	int fd, observer, events;
	const struct userpci_uapi_stats *stats;
	uint32_t first;	    /* event */
	uint32_t *regs;	    /* a page of them, */
	uint32_t register0; /* of which this is the first */
	const uint32_t *observed;
	uint8_t *buffers[KINDS];
	pid_t reader, poller;
};

static pid_t sleep_in_read(const struct victim *v)
{
	uint32_t count;
	ssize_t n;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	do
		n = read(v->fd, &count, sizeof(count));
	while (n == sizeof(count));
	_exit(n < 0 ? errno : 99);
}

static pid_t sleep_in_poll(const struct victim *v)
{
	struct pollfd p = { .fd = v->observer, .events = 0 }; /* for POLLHUP alone */
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	CHECK_EQ(poll(&p, 1, 2 * PATIENCE_MS), 1);
	CHECK_EQ(p.revents, POLLHUP | POLLERR);
	_exit(0);
}

static void victim_start(struct victim *v, const char *id, unsigned int bar, unsigned int irq_kind)
{
	uint64_t offset;
	struct userpci_uapi_dma d;
	unsigned int kind;

	v->address = device_bind(id);
	v->observer = node_open(v->address, O_RDONLY);
	CHECK(v->observer >= 0);
	v->fd = node_own(id);
	v->stats = stats_map(v->observer);
	offset = region_get(v->fd, bar).offset;
	v->regs = map(v->fd, offset, PAGE, PROT_READ | PROT_WRITE);
	v->observed = map(v->observer, offset, PAGE, PROT_READ);
	v->register0 = v->regs[0];
	CHECK(v->register0 != UINT32_MAX);
	for (kind = 0; kind < KINDS; kind++) {
		if (kind == USERPCI_DMA_PINNED) {
			v->buffers[kind] = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			CHECK_EQ(dma_pin(v->fd, v->buffers[kind], BYTES, &d), 0);
		} else {
			d = dma_of(v->fd, kind, BYTES);
			v->buffers[kind] = map(v->fd, d.offset, BYTES, PROT_READ | PROT_WRITE);
		}
		memset(v->buffers[kind], (int)(0x30 + kind), BYTES);
	}
	CHECK_EQ(bus_master(v->fd, 1), 0);
	CHECK_EQ(irq_set(v->fd, irq_kind, 1), 0);
	v->events = new_eventfd();
	CHECK_EQ(irq_eventfd(v->fd, USERPCI_EVENTS, v->events), 0);
	v->first = stats_word(&v->stats->num_events);
	v->reader = sleep_in_read(v);
	v->poller = sleep_in_poll(v);
	usleep(100000); /* they sleep by now; if not, the test is only weaker */
}

/* Every call, with nothing wrong but the device. */
static void check_calls(const struct victim *v)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	struct userpci_uapi_region region = SIZED(userpci_uapi_region);
	struct userpci_uapi_config config = SIZED(userpci_uapi_config);
	struct userpci_uapi_dma_get get = SIZED(userpci_uapi_dma_get);
	struct userpci_uapi_reset reset = SIZED(userpci_uapi_reset);
	struct userpci_uapi_dma d;
	uint32_t word = 1;

	config.width = 4;
	CHECK_EQ(call(v->fd, USERPCI_GET_INFO, &info), -ENODEV);
	CHECK_EQ(call(v->fd, USERPCI_GET_REGION, &region), -ENODEV);
	CHECK_EQ(call(v->fd, USERPCI_CONFIG_READ, &config), -ENODEV);
	CHECK_EQ(call(v->observer, USERPCI_CONFIG_READ, &config), -ENODEV);
	CHECK_EQ(call(v->fd, USERPCI_DMA_GET, &get), -ENODEV);
	CHECK_EQ(call(v->fd, USERPCI_RESET, &reset), -ENODEV);
	CHECK_EQ(dma_try(v->fd, USERPCI_DMA_CHUNKED, PAGE, &d), -ENODEV);
	CHECK_EQ(dma_pin(v->fd, v->buffers[0], BYTES, &d), -ENODEV);
	CHECK_EQ(dma_free(v->fd, 0), -ENODEV);
	CHECK_EQ(dma_mask(v->fd, 32), -ENODEV);
	CHECK_EQ(bus_master(v->fd, 1), -ENODEV);
	CHECK_EQ(irq_set(v->fd, USERPCI_IRQ_MSI, 1), -ENODEV);
	CHECK_EQ(irq_eventfd(v->fd, USERPCI_EVENTS, v->events), -ENODEV);
	CHECK_EQ(irq_mask(v->fd, 0, 0), -ENODEV);
	CHECK_EQ(write(v->fd, &word, sizeof(word)), -1);
	CHECK_EQ(errno, ENODEV);
	CHECK_EQ(map_error(v->fd, 0, PAGE, PROT_READ, MAP_SHARED), -ENODEV);
}

static void check_gone(struct victim *v)
{
	unsigned int kind, i;
	int status;

	stats_wait(v->stats, v->first, USERPCI_EVENT_GONE);
	CHECK_EQ(stats_count(v->stats, v->first, USERPCI_EVENT_REMOVE), 1);
	CHECK_EQ(stats_word(&v->stats->state) & USERPCI_STATE_GONE, USERPCI_STATE_GONE);
	CHECK(taken(v->events) >= 2);
	CHECK_EQ(waitpid(v->reader, &status, 0), v->reader);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), ENODEV);
	CHECK_EQ(waitpid(v->poller, &status, 0), v->poller);
	passed(status);
	for (i = 0; i < PAGE / 4; i++) {
		CHECK_EQ(v->regs[i], UINT32_MAX);
		CHECK_EQ(v->observed[i], UINT32_MAX);
	}
	v->regs[1] = 0; /* reaches nothing, and nobody */
	CHECK_EQ(v->observed[1], UINT32_MAX);
	for (kind = 0; kind < KINDS; kind++)
		CHECK(all_bytes(v->buffers[kind], (uint8_t)(0x30 + kind), BYTES));
	check_calls(v);
}

/* One thing after the other; what is mapped outlives what is closed. */
static void victim_end(struct victim *v)
{
	unsigned int kind;

	CHECK_EQ(munmap(v->regs, PAGE), 0);
	close(v->fd);
	for (kind = 0; kind < KINDS; kind++)
		CHECK(all_bytes(v->buffers[kind], (uint8_t)(0x30 + kind), BYTES));
	CHECK_EQ(munmap((void *)(uintptr_t)v->observed, PAGE), 0);
	close(v->observer);
	close(v->events);
	for (kind = 0; kind < KINDS; kind++) {
		memset(v->buffers[kind], 0, BYTES);
		CHECK_EQ(munmap(v->buffers[kind], BYTES), 0);
	}
	CHECK_EQ(stats_word(&v->stats->state), USERPCI_STATE_GONE);
	stats_unmap(v->stats);
}

/* The device is back, beside the remains of the old one, and whole. */
static void check_back(const struct victim *v, const char *id)
{
	int fd = node_own(id);
	uint32_t *regs = map(fd, region_get(fd, 0).offset, PAGE, PROT_READ | PROT_WRITE);

	CHECK_EQ(regs[0], v->register0);
	CHECK_EQ(v->regs[0], UINT32_MAX);
	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK(masters(v->address));
	CHECK_EQ(munmap(regs, PAGE), 0);
	close(fd);
}

TEST(removal_unbind)
{
	struct victim v;
	int round;

	for (round = 0; round < 3; round++) {
		victim_start(&v, EDU, 0, USERPCI_IRQ_MSI);
		device_unbind(v.address);
		check_gone(&v);
		CHECK(!masters(v.address));
		check_back(&v, EDU);
		victim_end(&v);
		close(node_own(EDU));
	}
}

TEST(removal_from_the_bus)
{
	struct victim v;
	char path[128];

	victim_start(&v, EDU, 0, USERPCI_IRQ_INTX);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", v.address);
	CHECK_EQ(sysfs_write(path, "1"), 0);
	check_gone(&v);
	CHECK_EQ(access(path, F_OK), -1);
	CHECK_EQ(sysfs_write("/sys/bus/pci/rescan", "1"), 0);
	check_back(&v, EDU);
	victim_end(&v);
	close(node_own(EDU));
}

/* While the owner's process is dead already, but not yet reaped, nor its children. */
static void own_and_sleep(void *data)
{
	victim_start(data, EDU, 0, USERPCI_IRQ_MSI);
}

TEST(removal_as_the_owner_dies)
{
	static struct victim v;
	const char *address = device_bind(EDU);
	pid_t child;
	int round;

	for (round = 0; round < 10; round++) {
		child = start_child(own_and_sleep, &v);
		CHECK_EQ(kill(child, SIGKILL), 0);
		device_unbind(address);
		CHECK_EQ(waitpid(child, NULL, 0), child);
		close(node_own(EDU));
	}
}

static void grow_without_end(void *data)
{
	struct victim *v = data;
	char *memory;

	CHECK_EQ(sysfs_write("/proc/self/oom_score_adj", "1000"), 0);
	victim_start(v, EDU, 0, USERPCI_IRQ_MSI);
	memory = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	CHECK(memory != MAP_FAILED);
}

/* The kernel's choice when memory is out, made by hand: all of the owner's processes. */
/* The tests themselves are no choice. */
static void spare(pid_t pid)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	CHECK_EQ(sysfs_write(path, "-1000"), 0);
}

TEST(removal_of_the_owner_by_the_oom_killer)
{
	static struct victim v;
	const char *address = device_bind(EDU);
	int status, fd, i, observer = node_open(address, O_RDONLY);
	const struct userpci_uapi_stats *stats = stats_map(observer);
	pid_t child = start_child(grow_without_end, &v);

	CHECK_EQ(stats->owner, child);
	spare(getpid());
	spare(getppid());
	/* Its children hold the descriptor too; each is the next choice. One that is killed needs a
	 * while to end. */
	while (stats_word(&stats->state) & USERPCI_STATE_OWNED) {
		CHECK_EQ(sysfs_write("/proc/sysrq-trigger", "f"), 0);
		for (i = 0; i < 300 && stats_word(&stats->state) & USERPCI_STATE_OWNED; i++)
			usleep(10000);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGKILL);
	CHECK(!masters(address));
	fd = node_own(EDU);
	CHECK_EQ(bus_master(fd, 1), 0);
	close(fd);
	stats_unmap(stats);
	close(observer);
}

/* Each kind of map, and the statistics', keeps the module in place. */
TEST(removal_of_the_module_is_refused)
{
	uint64_t offsets[5];
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	void *maps[5];
	unsigned int i;
	int fd = node_own(EDU);

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	offsets[0] = region_get(fd, 0).offset;
	offsets[1] = region_get(fd, 0).wc_offset + PAGE;
	offsets[2] = info.stats_offset;
	offsets[3] = dma_of(fd, USERPCI_DMA_CONTIGUOUS, PAGE).offset;
	offsets[4] = dma_of(fd, USERPCI_DMA_CHUNKED, PAGE).offset;
	for (i = 0; i < 5; i++)
		maps[i] = map(fd, offsets[i], PAGE, PROT_READ);
	close(fd);
	for (i = 0; i < 5; i++) {
		CHECK_EQ(syscall(SYS_delete_module, "userpci", O_NONBLOCK), -1);
		CHECK_EQ(errno, EAGAIN);
		CHECK_EQ(munmap(maps[i], PAGE), 0);
	}
	close(node_own(EDU));
}

/* What is left of a SHARED buffer needs no module. */
TEST(removal_of_the_module_under_a_shared_map)
{
	const char *module = getenv("USERPCI_MODULE");
	struct userpci_uapi_dma d;
	uint8_t *shared;
	int fd, file;

	CHECK(module);
	fd = node_own(EDU);
	d = dma_of(fd, USERPCI_DMA_SHARED, BYTES);
	shared = map(fd, d.offset, BYTES, PROT_READ | PROT_WRITE);
	memset(shared, 0x51, BYTES);
	close(fd);
	CHECK_EQ(syscall(SYS_delete_module, "userpci", O_NONBLOCK), 0);
	CHECK(all_bytes(shared, 0x51, BYTES));
	memset(shared, 0x52, BYTES);
	CHECK(all_bytes(shared, 0x52, BYTES));
	CHECK_EQ(munmap(shared, BYTES), 0);
	file = open(module, O_RDONLY);
	CHECK(file >= 0);
	CHECK_EQ(syscall(SYS_finit_module, file, "", 0), 0);
	close(file);
	close(node_own(EDU));
}

struct allocator {
	int fd;
	uint8_t *memory;
	volatile int stop;
	unsigned long buffers;
};

/* Takes and gives back buffers until it is stopped, whatever becomes of the device. */
static void *alloc_without_end(void *data)
{
	struct allocator *a = data;
	struct userpci_uapi_dma d;
	unsigned int i;

	for (i = 0; !a->stop; i++) {
		if (i % KINDS == USERPCI_DMA_PINNED ? dma_pin(a->fd, a->memory, 64 * PAGE, &d)
						    : dma_try(a->fd, i % KINDS, 64 * PAGE, &d))
			continue;
		a->buffers++;
		if (i % 3)
			dma_free(a->fd, d.handle);
	}
	return NULL;
}

/* A buffer in the making while the device goes: no page of it stays behind. */
TEST(removal_races_allocation)
{
	struct allocator a = { .buffers = 0 };
	uint64_t acquired, released;
	pthread_t threads[2];
	int round, i;

	a.memory = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	for (round = 0; round < 20; round++) {
		const char *address = device_bind(EDU);

		a.fd = node_own(EDU);
		a.stop = 0;
		for (i = 0; i < 2; i++)
			CHECK_EQ(pthread_create(&threads[i], NULL, alloc_without_end, &a), 0);
		usleep((unsigned int)(1000 * (round % 7)));
		device_unbind(address);
		a.stop = 1;
		for (i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		close(a.fd);
	}
	CHECK(a.buffers > 0);
	acquired = vmstat("nr_foll_pin_acquired");
	released = vmstat("nr_foll_pin_released");
	CHECK_EQ(acquired, released);
	device_bind(EDU);
}

/* The file that switches a device's slot off, by whichever driver of slots the kernel has. */
static void slot_power(const char *address, char *path, size_t bytes)
{
	DIR *dir = opendir("/sys/bus/pci/slots");
	struct dirent *entry;
	char text[32];
	FILE *f;

	CHECK(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, bytes, "/sys/bus/pci/slots/%.16s/address", entry->d_name);
		f = fopen(path, "r");
		CHECK(f);
		CHECK_EQ(fscanf(f, "%31s", text), 1);
		fclose(f);
		/* Without the function. */
		if (strncmp(text, address, strlen(text)))
			continue;
		snprintf(path, bytes, "/sys/bus/pci/slots/%.16s/power", entry->d_name);
		closedir(dir);
		return;
	}
	HARNESS_FAIL("no slot has %s", address);
}

/* Switched off in good order. QEMU takes the device away with its power: no other test has it. */
TEST(slot_power_off)
{
	struct victim v;
	char path[128];

	victim_start(&v, XHCI, 0, USERPCI_IRQ_MSIX);
	slot_power(v.address, path, sizeof(path));
	CHECK_EQ(sysfs_write(path, "0"), 0);
	check_gone(&v);
	victim_end(&v);
}

/* Writes Slot Control of the port above a device (PCI Express 3.0, section 7.8.10). */
static void slot_control(const char *port, const char *value)
{
	char command[128];

	snprintf(command, sizeof(command), "setpci -s %s CAP_EXP+18.w=%s", port, value);
	CHECK_EQ(system(command), 0);
}

/*
 * Pulled out under a running driver: the slot loses its power with its events masked, so that the
 * device is absent before anybody is told; then the kernel sees an empty slot. The device does not
 * come back: no test after this one has it.
 */
TEST(surprise_removal)
{
	struct userpci_uapi_config config = SIZED(userpci_uapi_config);
	char link[PATH_MAX], path[128], *port;
	struct victim v;

	victim_start(&v, RNG, 4, USERPCI_IRQ_MSIX);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/..", v.address);
	CHECK(realpath(path, link));
	port = strrchr(link, '/') + 1;

	slot_control(port, "7d1");
	config.width = 2;
	CHECK_EQ(call(v.observer, USERPCI_CONFIG_READ, &config), 0);
	CHECK_EQ(config.value, 0xffff);
	v.regs[0] = 1; /* reaches nothing, and does no harm */
	slot_control(port, "1f1");

	check_gone(&v);
	victim_end(&v);
}
