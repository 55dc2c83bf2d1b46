/* SPDX-License-Identifier: MIT */
/* Sleep: of a function that nobody has open, and of the whole system. */
#include <signal.h>
#include <time.h>

#include "kit.h"

static void power_path(char *path, size_t bytes, const char *address, const char *attribute)
{
	snprintf(path, bytes, "/sys/bus/pci/devices/%s/power/%s", address, attribute);
}

/* Waits until the kernel says so; the test ends when it never does. */
static void power_wait(const char *address, const char *status)
{
	const struct timespec pause = { 0, 1000000 };
	char path[128], text[32] = "";
	FILE *f;
	int i;

	power_path(path, sizeof(path), address, "runtime_status");
	for (i = 0; i < PATIENCE_MS && strcmp(text, status); i++) {
		f = fopen(path, "r");
		CHECK(f);
		CHECK_EQ(fscanf(f, "%31s", text), 1);
		fclose(f);
		nanosleep(&pause, NULL);
	}
	CHECK_STR(text, status);
}

/* What it is now, not what it will be. */
static void power_is(const char *address, const char *status)
{
	char path[128], text[32];
	FILE *f;

	power_path(path, sizeof(path), address, "runtime_status");
	f = fopen(path, "r");
	CHECK(f);
	CHECK_EQ(fscanf(f, "%31s", text), 1);
	fclose(f);
	CHECK_STR(text, status);
}

/* 82574L datasheet, section 10.2.5: the first receive address, which a reset loads anew. */
#define E1000E_RAL 0x5400

/* Registers are right at once after each open, and the function sleeps after each close. */
static void open_and_close(void *data)
{
	const char *address = device_bind(E1000E);
	uint32_t low = *(uint32_t *)data;
	int round, fd, observer;
	void *regs;

	power_wait(address, "suspended");
	for (round = 0; round < 5; round++) {
		fd = node_own(E1000E);
		power_is(address, "active");
		regs = map(fd, region_get(fd, 0).offset, 0x20000, PROT_READ | PROT_WRITE);
		CHECK_EQ(rd32(regs, E1000E_RAL), low);
		observer = node_open(address, O_RDONLY);
		/* A map holds its file, and so the function. */
		close(fd);
		power_is(address, "active");
		CHECK_EQ(rd32(regs, E1000E_RAL), low);
		CHECK_EQ(munmap(regs, 0x20000), 0);
		/* An observer too. */
		power_is(address, "active");
		regs = map(observer, region_get(observer, 0).offset, 0x20000, PROT_READ);
		CHECK_EQ(rd32(regs, E1000E_RAL), low);
		CHECK_EQ(munmap(regs, 0x20000), 0);
		close(observer);
		power_wait(address, "suspended");
	}
	/* It is unbound as it sleeps, and bound again. */
	device_unbind(address);
	device_bind(E1000E);
	power_wait(address, "suspended");
}

/* As it reads while nothing sleeps. */
static uint32_t receive_address(void)
{
	int fd = node_own(E1000E);
	void *regs = map(fd, region_get(fd, 0).offset, 0x20000, PROT_READ);
	uint32_t low = rd32(regs, E1000E_RAL);

	CHECK(low);
	CHECK(low != UINT32_MAX);
	CHECK_EQ(munmap(regs, 0x20000), 0);
	close(fd);
	return low;
}

TEST(power_runtime)
{
	const char *address = device_bind(E1000E);
	uint32_t low = receive_address();
	char control[128];
	int status;

	power_is(address, "active");
	power_path(control, sizeof(control), address, "control");
	CHECK_EQ(sysfs_write(control, "auto"), 0);
	status = run_child(open_and_close, &low);
	CHECK_EQ(sysfs_write(control, "on"), 0);
	passed(status);
	power_is(address, "active");
}

/* A refused open leaves the function asleep. */
TEST(power_runtime_refused_open)
{
	const char *address = device_bind(E1000E);
	char control[128];

	power_path(control, sizeof(control), address, "control");
	CHECK_EQ(sysfs_write(control, "auto"), 0);
	power_wait(address, "suspended");
	CHECK_EQ(node_open(address, O_WRONLY), -EACCES);
	power_wait(address, "suspended");
	CHECK_EQ(sysfs_write(control, "on"), 0);
}

/*
 * The guest's file system does not wake from a sleep: these tests run in a guest of their own, from
 * memory. All devices sleep and wake; the processor does not.
 */
static void sleep_and_wake(void)
{
	CHECK_EQ(sysfs_write("/sys/power/pm_test", "devices"), 0);
	CHECK_EQ(sysfs_write("/sys/module/suspend/parameters/pm_test_delay", "1"), 0);
	CHECK_EQ(sysfs_write("/sys/power/state", "freeze"), 0);
}

static void check_sleep(unsigned int kind)
{
	const char *address = device_bind(EDU);
	int event = new_eventfd(), events = new_eventfd(), fd;
	const struct userpci_uapi_stats *stats;
	struct userpci_uapi_dma d;
	void *regs;
	uint32_t n;
	char *va;

	fd = edu_own(&regs);
	stats = stats_map(fd);
	n = stats_word(&stats->num_events);
	CHECK_EQ(irq_eventfd(fd, USERPCI_EVENTS, events), 0);
	CHECK_EQ(irq_set(fd, kind, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	d = dma_of(fd, USERPCI_DMA_CHUNKED, 8 * PAGE);
	va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
	memset(va, 0x19, d.bytes);

	sleep_and_wake();
	CHECK(!masters(address));
	CHECK_EQ(taken(events), 2);
	CHECK_EQ(stats_word(&stats->num_events), n + 2);
	CHECK_EQ(stats_event(stats, n).type, USERPCI_EVENT_SUSPEND);
	CHECK_EQ(stats_event(stats, n + 1).type, USERPCI_EVENT_RESUME);
	CHECK_EQ(stats_word(&stats->state), USERPCI_STATE_OWNED);
	CHECK_EQ(stats_word(&stats->irq_count), 1);
	/* Registers, buffers and vectors are as they were. */
	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	CHECK(all_bytes(va, 0x19, d.bytes));
	CHECK_EQ(bus_master(fd, 1), 0);
	va[16] = 0x20;
	edu_move(regs, d.iova + 16, d.iova + 32, 1);
	CHECK_EQ(va[32], 0x20);
	edu_raise(regs, 1);
	CHECK_EQ(taken(event), 1);
	edu_ack(regs);
	CHECK_EQ(irq_mask(fd, 0, 0), 0);
	edu_raise(regs, 1);
	CHECK_EQ(taken(event), 1);
	edu_ack(regs);
	close(fd);
}

TEST_IN("suspend", power_suspend_with_msi)
{
	check_sleep(USERPCI_IRQ_MSI);
}

TEST_IN("suspend", power_suspend_with_intx)
{
	check_sleep(USERPCI_IRQ_INTX);
}

/* Nobody has it open; asleep on its own account; with an owner again. */
TEST_IN("suspend", power_suspend_unused)
{
	uint32_t low = receive_address();
	const char *address;
	char control[128];

	device_bind(EDU);
	sleep_and_wake();
	close(node_own(EDU));
	address = device_bind(E1000E);
	power_path(control, sizeof(control), address, "control");
	CHECK_EQ(sysfs_write(control, "auto"), 0);
	power_wait(address, "suspended");
	sleep_and_wake();
	open_and_close(&low);
	CHECK_EQ(sysfs_write(control, "on"), 0);
}

/* The same vectors as before, each to its eventfd. */
TEST_IN("suspend", power_suspend_with_msix)
{
	struct e1000e nic;
	unsigned int i;

	e1000e_start(&nic);
	sleep_and_wake();
	CHECK_EQ(bus_master(nic.fd, 1), 0);
	for (i = 0; i < E1000E_VECTORS; i++) {
		e1000e_raise(&nic, i);
		CHECK_EQ(taken(nic.events[i]), 1);
	}
	e1000e_stop(&nic);
}
