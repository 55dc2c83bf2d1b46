/* SPDX-License-Identifier: MIT */
/* What happens to the device, told by an eventfd and records in the statistics. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "kit.h"

/* An owner that listens for events. */
struct listener {
	const char *address;
	int fd;
	int event;
	const struct userpci_uapi_stats *stats;
	uint32_t first; /* number of the first event after its open */
};

static struct listener listen_to(const char *id)
{
	struct listener l = { .address = device_bind(id), .event = new_eventfd() };

	l.fd = node_own(id);
	l.stats = stats_map(l.fd);
	l.first = stats_word(&l.stats->num_events);
	CHECK_EQ(irq_eventfd(l.fd, USERPCI_EVENTS, l.event), 0);
	return l;
}

static void listen_end(struct listener *l)
{
	stats_unmap(l->stats);
	close(l->fd);
	close(l->event);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int reset(int fd)
{
	struct userpci_uapi_reset r = SIZED(userpci_uapi_reset);

	return call(fd, USERPCI_RESET, &r);
}

TEST(events_eventfd)
{
	struct listener l = listen_to(RNG);
	int other = new_eventfd(), file = open("/dev/null", O_RDWR), observer;

	CHECK_EQ(irq_eventfd(l.fd, USERPCI_EVENTS, -2), -EINVAL);
	CHECK_EQ(irq_eventfd(l.fd, USERPCI_EVENTS, 999), -EBADF);
	CHECK_EQ(irq_eventfd(l.fd, USERPCI_EVENTS, file), -EINVAL);
	CHECK_EQ(irq_eventfd(l.fd, USERPCI_EVENTS - 1, other), -EINVAL);
	CHECK_EQ(irq_mask(l.fd, USERPCI_EVENTS, 1), -EINVAL);
	observer = node_open(l.address, O_RDONLY);
	CHECK_EQ(irq_eventfd(observer, USERPCI_EVENTS, other), -EACCES);
	/* What was refused took nothing away. */
	CHECK_EQ(reset(l.fd), 0);
	CHECK_EQ(taken(l.event), 1);
	CHECK_EQ(irq_set(l.fd, USERPCI_IRQ_MSIX, 1), 0);
	CHECK_EQ(irq_set(l.fd, USERPCI_IRQ_MSIX, 0), 0);
	CHECK_EQ(reset(l.fd), 0);
	CHECK_EQ(taken(l.event), 1);
	CHECK_EQ(irq_eventfd(l.fd, USERPCI_EVENTS, other), 0);
	CHECK_EQ(reset(l.fd), 0);
	CHECK_EQ(taken(other), 1);
	CHECK(quiet(l.event));
	CHECK_EQ(irq_eventfd(l.fd, USERPCI_EVENTS, -1), 0);
	CHECK_EQ(reset(l.fd), 0);
	CHECK(quiet(other));
	/* It goes with its owner; the reset at close is the last event. */
	CHECK_EQ(irq_eventfd(l.fd, USERPCI_EVENTS, other), 0);
	listen_end(&l);
	CHECK_EQ(taken(other), 1);
	l = listen_to(RNG);
	CHECK_EQ(reset(l.fd), 0);
	CHECK_EQ(taken(l.event), 1);
	CHECK(quiet(other));
	listen_end(&l);
	close(observer);
}

/* virtio 1.1, section 4.1.4.3: device_status of the common configuration, which QEMU has at 0. */
#define RNG_STATUS 0x14

/* By the owner's call, and by anybody through sysfs. */
static void check_reset(int by_sysfs)
{
	struct listener l = listen_to(RNG);
	uint32_t msix = capability(l.address, 0x11);
	struct userpci_uapi_event event;
	volatile uint8_t *regs;
	uint64_t begin;
	char path[128];

	regs = map(l.fd, region_get(l.fd, 4).offset, PAGE, PROT_READ | PROT_WRITE);
	regs[RNG_STATUS] = 3;
	CHECK_EQ(regs[RNG_STATUS], 3);
	CHECK_EQ(bus_master(l.fd, 1), 0);
	CHECK_EQ(irq_set(l.fd, USERPCI_IRQ_MSIX, 2), 0);
	CHECK(masters(l.address));
	begin = now_ns();
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", l.address);
	if (by_sysfs)
		CHECK_EQ(sysfs_write(path, "1"), 0);
	else
		CHECK_EQ(reset(l.fd), 0);
	CHECK_EQ(taken(l.event), 1);
	CHECK_EQ(stats_word(&l.stats->num_events), l.first + 1);
	event = stats_event(l.stats, l.first);
	CHECK_EQ(event.type, USERPCI_EVENT_RESET);
	CHECK(event.time_ns >= begin);
	CHECK(event.time_ns <= now_ns());
	CHECK_EQ(regs[RNG_STATUS], 0);
	CHECK(!masters(l.address));
	/* BARs, interrupts and buffers are as they were. */
	CHECK_EQ(sysfs_config(l.address, msix + 2, 2) & 0x8000, 0x8000);
	regs[RNG_STATUS] = 3;
	CHECK_EQ(regs[RNG_STATUS], 3);
	CHECK_EQ(bus_master(l.fd, 1), 0);
	munmap((void *)(uintptr_t)regs, PAGE);
	listen_end(&l);
	CHECK(!masters(l.address));
}

TEST(events_reset_by_call)
{
	check_reset(0);
}

TEST(events_reset_by_sysfs)
{
	check_reset(1);
}

/* The records are a ring: an old one is overwritten, its number is not. */
TEST(events_ring)
{
	struct listener l = listen_to(RNG);
	uint64_t time = 0;
	uint32_t n;

	for (n = 0; n < 2 * USERPCI_NUM_EVENTS; n++)
		CHECK_EQ(reset(l.fd), 0);
	CHECK_EQ(taken(l.event), 2 * USERPCI_NUM_EVENTS);
	CHECK_EQ(stats_word(&l.stats->num_events), l.first + 2 * USERPCI_NUM_EVENTS);
	for (n = l.first + USERPCI_NUM_EVENTS; n != l.first + 2 * USERPCI_NUM_EVENTS; n++) {
		struct userpci_uapi_event event = stats_event(l.stats, n);

		CHECK_EQ(event.type, USERPCI_EVENT_RESET);
		CHECK_EQ(event.value, 0);
		CHECK(event.time_ns > time);
		time = event.time_ns;
	}
	listen_end(&l);
}

static void unbind_it(const char *address)
{
	device_unbind(address);
}

static void remove_it(const char *address)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", address);
	CHECK_EQ(sysfs_write(path, "1"), 0);
}

/* An owner that does nothing: told twice, and all is over when the call returns. */
static void check_removal(void (*take_away)(const char *address))
{
	struct listener l = listen_to(EDU);
	struct userpci_uapi_event remove, gone;
	void *regs = edu_map(l.fd);

	take_away(l.address);
	CHECK_EQ(taken(l.event), 2);
	CHECK_EQ(stats_word(&l.stats->num_events), l.first + 2);
	remove = stats_event(l.stats, l.first);
	gone = stats_event(l.stats, l.first + 1);
	CHECK_EQ(remove.type, USERPCI_EVENT_REMOVE);
	CHECK_EQ(gone.type, USERPCI_EVENT_GONE);
	CHECK(gone.time_ns >= remove.time_ns);
	CHECK_EQ(stats_word(&l.stats->state) & USERPCI_STATE_GONE, USERPCI_STATE_GONE);
	CHECK_EQ(rd32(regs, EDU_ID), UINT32_MAX);
	CHECK_EQ(irq_eventfd(l.fd, USERPCI_EVENTS, -1), -ENODEV);
	munmap(regs, 1 << 20);
	listen_end(&l);
	CHECK_EQ(sysfs_write("/sys/bus/pci/rescan", "1"), 0);
	close(node_own(EDU));
}

TEST(events_unbind)
{
	check_removal(unbind_it);
}

TEST(events_remove)
{
	check_removal(remove_it);
}

/* In the grace: the device is still there, and nobody waits for more than the owner's close. */
static void close_in_the_grace(void *data)
{
	struct listener *l = data;
	void *regs = edu_map(l->fd);

	CHECK_EQ(bus_master(l->fd, 1), 0);
	CHECK_EQ(taken(l->event), 1);
	stats_wait(l->stats, l->first, USERPCI_EVENT_REMOVE);
	CHECK_EQ(stats_count(l->stats, l->first, USERPCI_EVENT_GONE), 0);
	CHECK_EQ(stats_word(&l->stats->state), USERPCI_STATE_OWNED);
	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	wr32(regs, 4, 0x12345678);
	CHECK_EQ(rd32(regs, 4), ~0x12345678u);
	CHECK_EQ(bus_master(l->fd, 0), 0);
	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	CHECK_EQ(munmap(regs, 1 << 20), 0);
	listen_end(l);
}

struct remover {
	const char *address;
	int result;
};

static void *remove_in_a_thread(void *data)
{
	struct remover *r = data;

	r->result = sysfs_write("/sys/bus/pci/drivers/userpci/unbind", r->address);
	return NULL;
}

#define GRACE_MS 60000

static void check_grace(void *data)
{
	struct listener l = listen_to(EDU);
	struct userpci_uapi_event remove, gone;
	const struct userpci_uapi_stats *stats;
	struct remover r = { .address = l.address };
	int observer = node_open(l.address, O_RDONLY);
	pthread_t thread;

	(void)data;
	stats = stats_map(observer);
	CHECK_EQ(pthread_create(&thread, NULL, remove_in_a_thread, &r), 0);
	close_in_the_grace(&l);
	pthread_join(thread, NULL);
	CHECK_EQ(r.result, 0);
	remove = stats_wait(stats, l.first, USERPCI_EVENT_REMOVE);
	gone = stats_wait(stats, l.first, USERPCI_EVENT_GONE);
	CHECK(gone.time_ns - remove.time_ns < GRACE_MS * 1000000ull);
	CHECK_EQ(stats_word(&stats->state), USERPCI_STATE_GONE);
	CHECK_EQ(stats->owner, 0);
}

/* Without an owner there is nobody to wait for; observers are not asked. */
static void check_grace_without_owner(void *data)
{
	const char *address = device_bind(EDU);
	int observer = node_open(address, O_RDONLY);
	const struct userpci_uapi_stats *stats = stats_map(observer);
	uint32_t n = stats_word(&stats->num_events);
	struct userpci_uapi_event remove;

	(void)data;
	device_unbind(address);
	remove = stats_wait(stats, n, USERPCI_EVENT_REMOVE);
	CHECK(stats_wait(stats, n, USERPCI_EVENT_GONE).time_ns - remove.time_ns <
	      GRACE_MS * 1000000ull);
}

static void with_grace(unsigned int grace_ms, void (*work)(void *))
{
	unsigned int old;
	int status;

	device_bind(EDU);
	old = parameter_set("remove_grace_ms", grace_ms);
	status = run_child(work, NULL);
	parameter_set("remove_grace_ms", old);
	passed(status);
	device_bind(EDU);
}

TEST(events_grace)
{
	with_grace(GRACE_MS, check_grace);
}

TEST(events_grace_without_owner)
{
	with_grace(GRACE_MS, check_grace_without_owner);
}

static void ignore_the_grace(void *data)
{
	(void)data;
	check_removal(unbind_it);
}

/* An owner that does not care loses the device when the grace is over. */
TEST(events_grace_is_over)
{
	with_grace(200, ignore_the_grace);
}

/* Linux, drivers/pci/pcie/aer_inject.c: what is written to its node. */
struct injected {
	uint8_t bus, device, function;
	uint32_t uncorrectable, correctable;
	uint32_t header[4];
	uint32_t domain;
};

#define COMPLETION_TIMEOUT (1u << 14) /* PCI Express 3.0, section 7.10.2: not fatal by default */
#define FLOW_CONTROL	   (1u << 13) /* fatal */

static void inject(const char *address, uint32_t uncorrectable)
{
	struct injected error = { .uncorrectable = uncorrectable };
	unsigned int domain, bus, device, function;
	int fd;

	CHECK_EQ(system("modprobe aer_inject"), 0);
	CHECK_EQ(sscanf(address, "%x:%x:%x.%x", &domain, &bus, &device, &function), 4);
	error.domain = domain;
	error.bus = (uint8_t)bus;
	error.device = (uint8_t)device;
	error.function = (uint8_t)function;
	fd = open("/dev/aer_inject", O_WRONLY);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, &error, sizeof(error)), sizeof(error));
	close(fd);
}

/* An error that is over when it is reported: the owner is told, and all goes on. */
TEST(events_error)
{
	struct listener l = listen_to(RNG);
	volatile uint8_t *regs;

	regs = map(l.fd, region_get(l.fd, 4).offset, PAGE, PROT_READ | PROT_WRITE);
	regs[RNG_STATUS] = 3;
	CHECK_EQ(bus_master(l.fd, 1), 0);
	inject(l.address, COMPLETION_TIMEOUT);
	CHECK_EQ(stats_wait(l.stats, l.first, USERPCI_EVENT_ERROR).value, 1);
	CHECK_EQ(taken(l.event), 1);
	CHECK_EQ(regs[RNG_STATUS], 3);
	munmap((void *)(uintptr_t)regs, PAGE);
	listen_end(&l);
}

/* A fatal one: the kernel resets the link, and gives the function back with bus mastering off. */
TEST(events_error_fatal)
{
	struct listener l = listen_to(RNG);
	uint32_t msix = capability(l.address, 0x11);
	volatile uint8_t *regs;

	regs = map(l.fd, region_get(l.fd, 4).offset, PAGE, PROT_READ | PROT_WRITE);
	regs[RNG_STATUS] = 3;
	CHECK_EQ(irq_set(l.fd, USERPCI_IRQ_MSIX, 2), 0);
	CHECK_EQ(bus_master(l.fd, 1), 0);
	inject(l.address, FLOW_CONTROL);
	CHECK_EQ(stats_wait(l.stats, l.first, USERPCI_EVENT_ERROR).value, 2);
	stats_wait(l.stats, l.first, USERPCI_EVENT_RESET);
	CHECK(!masters(l.address));
	CHECK_EQ(sysfs_config(l.address, msix + 2, 2) & 0x8000, 0x8000);
	CHECK_EQ(regs[RNG_STATUS], 0);
	regs[RNG_STATUS] = 3;
	CHECK_EQ(regs[RNG_STATUS], 3);
	CHECK_EQ(bus_master(l.fd, 1), 0);
	munmap((void *)(uintptr_t)regs, PAGE);
	listen_end(&l);
}
