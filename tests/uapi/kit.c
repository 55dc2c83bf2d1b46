/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "kit.h"

bool iommu_translates(void)
{
	DIR *dir = opendir("/sys/kernel/iommu_groups");
	struct dirent *entry;
	bool found = false;

	while (dir && (entry = readdir(dir)))
		found |= entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return found;
}

bool guest_is(const char *word)
{
	const char *guest = getenv("USERPCI_GUEST");

	return guest && strstr(guest, word);
}

unsigned int kernel_version(void)
{
	unsigned int major, minor;
	struct utsname name;

	CHECK_EQ(uname(&name), 0);
	CHECK_EQ(sscanf(name.release, "%u.%u", &major, &minor), 2);
	return 100 * major + minor;
}

int run_child(void (*work)(void *), void *data)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		work(data);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

void passed(int status)
{
	CHECK(!WIFSIGNALED(status));
	if (status)
		_exit(WEXITSTATUS(status));
}

pid_t start_child(void (*work)(void *), void *data)
{
	int ready[2];
	char byte;
	pid_t pid;

	CHECK_EQ(pipe(ready), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		work(data);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

void kill_child(pid_t child)
{
	int status;

	CHECK_EQ(kill(child, SIGKILL), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
}

unsigned int parameter_set(const char *name, unsigned int value)
{
	char path[PATH_MAX], text[16];
	unsigned int old;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/userpci/parameters/%s", name);
	f = fopen(path, "r");
	CHECK(f);
	CHECK_EQ(fscanf(f, "%u", &old), 1);
	fclose(f);
	snprintf(text, sizeof(text), "%u", value);
	CHECK_EQ(sysfs_write(path, text), 0);
	return old;
}

uint64_t file_field(const char *path, const char *field)
{
	char line[256], name[64];
	uint64_t sum = 0, value;
	bool found = false;
	FILE *f = fopen(path, "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[^: ]%*[: \t]%" SCNu64, name, &value) == 2 &&
		    !strcmp(name, field)) {
			sum += value;
			found = true;
		}
	}
	fclose(f);
	CHECK(found);
	return sum;
}

uint64_t vmstat(const char *field)
{
	/* What the CPUs have counted on their own is added up first. */
	CHECK_EQ(sysfs_write("/proc/sys/vm/stat_refresh", "1"), 0);
	return file_field("/proc/vmstat", field);
}

void *edu_map(int fd)
{
	return map(fd, region_get(fd, 0).offset, 1 << 20, PROT_READ | PROT_WRITE);
}

int edu_own(void **regs)
{
	int fd = node_own(EDU);

	*regs = edu_map(fd);
	CHECK_EQ(bus_master(fd, 1), 0);
	return fd;
}

void edu_raise(void *regs, uint32_t cause)
{
	wr32(regs, EDU_IRQ_RAISE, cause);
	CHECK_EQ(rd32(regs, EDU_IRQ_STATUS) & cause, cause);
}

void edu_ack(void *regs)
{
	wr32(regs, EDU_IRQ_ACK, rd32(regs, EDU_IRQ_STATUS));
}

void edu_move(void *regs, uint64_t from, uint64_t to, uint64_t bytes)
{
	edu_dma_start(regs, from, EDU_MEMORY, bytes, 0);
	edu_dma_wait(regs);
	edu_dma_start(regs, EDU_MEMORY, to, bytes, 1);
	edu_dma_wait(regs);
}

/* 82574L datasheet, section 10.2.4: interrupt registers; causes 20 to 24 are those of MSI-X. */
#define E1000E_ICS	     0x000c8
#define E1000E_IMS	     0x000d0
#define E1000E_EIAC	     0x000dc
#define E1000E_IVAR	     0x000e4
#define E1000E_CAUSE(vector) (1u << (20 + (vector)))

void e1000e_start(struct e1000e *nic)
{
	uint32_t ivar = 0;
	unsigned int i;

	nic->edu = node_own(EDU);
	nic->edu_regs = edu_map(nic->edu);
	nic->fd = node_own(E1000E);
	nic->regs = map(nic->fd, region_get(nic->fd, 0).offset, 0x20000, PROT_READ | PROT_WRITE);
	CHECK_EQ(bus_master(nic->fd, 1), 0);
	CHECK_EQ(irq_set(nic->fd, USERPCI_IRQ_MSIX, E1000E_VECTORS), 0);
	for (i = 0; i < E1000E_VECTORS; i++) {
		nic->events[i] = new_eventfd();
		CHECK_EQ(irq_eventfd(nic->fd, i, nic->events[i]), 0);
		ivar |= (8u | i) << (4 * i); /* cause i to vector i, valid */
	}
	wr32(nic->regs, E1000E_IVAR, ivar);
	wr32(nic->regs, E1000E_EIAC, 0x1f00000);
}

void e1000e_raise(struct e1000e *nic, unsigned int vector)
{
	wr32(nic->regs, E1000E_IMS, E1000E_CAUSE(vector));
	wr32(nic->regs, E1000E_ICS, E1000E_CAUSE(vector));
}

/* Timers expire in order: when edu's, of 100 ms, has expired, so have the others before it. */
void e1000e_settle(struct e1000e *nic)
{
	edu_dma_start(nic->edu_regs, EDU_MEMORY, 0, 4, 1); /* to nowhere: bus mastering is off */
	edu_dma_wait(nic->edu_regs);
}

void e1000e_stop(struct e1000e *nic)
{
	int i;

	e1000e_settle(nic);
	munmap(nic->edu_regs, 1 << 20);
	close(nic->edu);
	for (i = 0; i < E1000E_VECTORS; i++)
		close(nic->events[i]);
	munmap(nic->regs, 0x20000);
	close(nic->fd);
}

int new_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

uint64_t taken(int eventfd)
{
	uint64_t events = 0;

	if (readable(eventfd, PATIENCE_MS, NULL) == 1)
		CHECK_EQ(read(eventfd, &events, sizeof(events)), sizeof(events));
	return events;
}

int quiet(int eventfd)
{
	return readable(eventfd, 50, NULL) == 0;
}

uint64_t taken_now(int eventfd)
{
	uint64_t events = 0;

	return read(eventfd, &events, sizeof(events)) == sizeof(events) ? events : 0;
}

int dma_try(int fd, unsigned int kind, uint64_t bytes, struct userpci_uapi_dma *d)
{
	*d = SIZED(userpci_uapi_dma);
	d->kind = kind;
	d->bytes = bytes;
	return call(fd, USERPCI_DMA_ALLOC, d);
}

struct userpci_uapi_dma dma_of(int fd, unsigned int kind, uint64_t bytes)
{
	struct userpci_uapi_dma d;

	CHECK_EQ(dma_try(fd, kind, bytes, &d), 0);
	return d;
}

int dma_pin(int fd, const void *address, uint64_t bytes, struct userpci_uapi_dma *d)
{
	*d = SIZED(userpci_uapi_dma);
	d->kind = USERPCI_DMA_PINNED;
	d->address = (uintptr_t)address;
	d->bytes = bytes;
	return call(fd, USERPCI_DMA_ALLOC, d);
}

int dma_named(int fd, const char *name, struct userpci_uapi_dma *d)
{
	*d = SIZED(userpci_uapi_dma);
	d->bytes = PAGE;
	memcpy(d->name, name, strlen(name));
	return call(fd, USERPCI_DMA_ALLOC, d);
}

int dma_free(int fd, uint32_t handle)
{
	struct userpci_uapi_dma d = SIZED(userpci_uapi_dma);

	d.handle = handle;
	return call(fd, USERPCI_DMA_FREE, &d);
}

struct userpci_uapi_dma_get dma_piece(int fd, uint32_t handle, uint32_t chunk)
{
	struct userpci_uapi_dma_get g = SIZED(userpci_uapi_dma_get);

	g.handle = handle;
	g.chunk = chunk;
	CHECK_EQ(call(fd, USERPCI_DMA_GET, &g), 0);
	CHECK_EQ(g.handle, handle);
	return g;
}

uint64_t dma_iova(int fd, const struct userpci_uapi_dma *d, uint64_t offset)
{
	struct userpci_uapi_dma_get g;
	uint32_t i;

	for (i = 0; i < d->chunks; i++) {
		g = dma_piece(fd, d->handle, i);
		if (offset - g.chunk_offset < g.chunk_bytes)
			return g.chunk_iova + offset - g.chunk_offset;
	}
	HARNESS_FAIL("no piece has %" PRIu64, offset);
}

const char *device_fresh(const char *id)
{
	device_unbind(device_bind(id));
	return device_bind(id);
}

bool all_bytes(const void *memory, uint8_t value, uint64_t bytes)
{
	const uint8_t *p = memory;

	return !bytes || (p[0] == value && !memcmp(p, p + 1, bytes - 1));
}

const struct userpci_uapi_stats *stats_map(int fd)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	return map(fd, info.stats_offset, info.stats_bytes, PROT_READ);
}

void stats_unmap(const struct userpci_uapi_stats *stats)
{
	uint64_t bytes = stats->vectors_offset +
			 stats->num_vectors * sizeof(struct userpci_uapi_vector);

	CHECK_EQ(munmap((void *)(uintptr_t)stats, (bytes + PAGE - 1) & ~(PAGE - 1)), 0);
}

const volatile struct userpci_uapi_vector *stats_vector(const struct userpci_uapi_stats *stats,
							unsigned int vector)
{
	CHECK(vector < stats->num_vectors);
	return (const volatile struct userpci_uapi_vector *)((const char *)stats +
							     stats->vectors_offset) +
	       vector;
}

uint32_t stats_word(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

struct userpci_uapi_event stats_event(const struct userpci_uapi_stats *stats, uint32_t n)
{
	struct userpci_uapi_event event;

	/* Acquire: the record is written before it is counted. */
	CHECK(stats_word(&stats->num_events) - n - 1 < USERPCI_NUM_EVENTS);
	event = stats->events[n % USERPCI_NUM_EVENTS];
	CHECK(stats_word(&stats->num_events) - n <= USERPCI_NUM_EVENTS);
	return event;
}

unsigned int stats_count(const struct userpci_uapi_stats *stats, uint32_t n, uint32_t type)
{
	unsigned int count = 0;

	for (; n != stats_word(&stats->num_events); n++)
		count += stats_event(stats, n).type == type;
	return count;
}

struct userpci_uapi_event stats_wait(const struct userpci_uapi_stats *stats, uint32_t n,
				     uint32_t type)
{
	struct userpci_uapi_event event = { 0, 0, 0 };
	const struct timespec pause = { 0, 1000000 };
	int i;

	for (i = 0; i < PATIENCE_MS; i++) {
		for (; n != stats_word(&stats->num_events); n++) {
			event = stats_event(stats, n);
			if (event.type == type)
				return event;
		}
		nanosleep(&pause, NULL);
	}
	HARNESS_FAIL("no event %u came; the last was %u", type, event.type);
}

int open_direct(void)
{
	int fd;

	CHECK_EQ(system("modprobe brd rd_nr=1 rd_size=4096"), 0);
	fd = open("/dev/ram0", O_RDWR | O_DIRECT | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

bool masters(const char *address)
{
	return sysfs_config(address, 4, 2) & 4;
}

uint32_t capability(const char *address, uint32_t id)
{
	uint32_t at = sysfs_config(address, 0x34, 1);

	while (at && sysfs_config(address, at, 1) != id)
		at = sysfs_config(address, at + 1, 1);
	CHECK(at);
	return at;
}
