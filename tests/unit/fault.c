/* SPDX-License-Identifier: MIT */
/*
 * Faults on purpose: that each comes when it shall, and that drivers end with an error then, and
 * hold nothing. First on a device of the test's own, then on QEMU's; NIC drivers at the end.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>

#include <unic/driver.h>

#include "fake-device.h"
#include "harness.h"
#include "lib/wrap.h"

#define PATIENCE_US 20000000 /* for what comes */
#define MOMENT_US   50000    /* for what does not */

#define GOLDEN	    "replay:tests/golden/e1000-init.trace"

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static struct userpci_device *open_faulty(const struct userpci_faults *faults,
					  struct userpci_region *region)
{
	struct userpci_device *device = fake_open();

	CHECK_EQ(userpci_fault_set(device, faults), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 2), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_region_map(device, 0, region), 0);
	return device;
}

TEST(fault_words)
{
	static const char *const wrong[] = { "gone-after",
					     "gone-after=",
					     "gone-after=x",
					     "gone-after=-1",
					     "gone-after= 1",
					     "lose-irq=1 ",
					     "nonsense=1",
					     "lose-irq=1;gone-after=2",
					     ",",
					     "gone-after=99999999999999999999" };
	struct userpci_faults f;
	size_t i;

	CHECK_EQ(userpci_faults_parse("gone-after=8,lose-irq=1,spurious-irq=3,delay-dma=100,"
				      "fail-alloc=18446744073709551615",
				      &f),
		 0);
	CHECK_EQ(f.gone_after, 8);
	CHECK_EQ(f.lose_irq, 1);
	CHECK_EQ(f.spurious_irq, 3);
	CHECK_EQ(f.delay_dma_us, 100);
	CHECK_EQ(f.fail_alloc, UINT64_MAX);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (!userpci_faults_parse(wrong[i], &f))
			HARNESS_FAIL("\"%s\" is taken", wrong[i]);
	CHECK_EQ(f.gone_after, 8);
}

TEST(fault_none_changes_nothing)
{
	const struct userpci_faults none = { 0 };
	struct userpci_region region;
	struct userpci_device *device = open_faulty(&none, &region);
	struct userpci_dma dma;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		userpci_write32(&region, 4, i);
		CHECK_EQ(userpci_read32(&region, 4), i);
	}
	CHECK_EQ(userpci_dma_alloc(device, 4096, &dma), 0);
	fake_raise(1);
	CHECK_EQ(userpci_irq_wait(device, 1, PATIENCE_US, NULL), 0);
	userpci_close(device);
	device = fake_open();
	CHECK_EQ(userpci_region_map(device, 0, &region), 0);
	CHECK_EQ(userpci_fault_set(device, &none), -EBUSY);
	userpci_close(device);
}

TEST(fault_gone_after)
{
	const struct userpci_faults faults = { .gone_after = 3 }, none = { 0 };
	struct userpci_region region, other;
	struct userpci_device *device = open_faulty(&faults, &region);
	struct userpci_dma dma;
	uint32_t value;

	CHECK_EQ(userpci_dma_alloc(device, 4096, &dma), 0);
	userpci_write32(&region, 0, 1);
	userpci_write32(&region, 4, 2);
	CHECK_EQ(userpci_read32(&region, 0), 1);
	CHECK(fake.bus_master);
	CHECK_EQ(userpci_read32(&region, 0), UINT32_MAX);
	CHECK_EQ(userpci_read16(&region, 0), UINT16_MAX);
	userpci_write32(&region, 4, 3);
	CHECK_EQ(fake.bar[4], 2);
	CHECK(!fake.bus_master);
	CHECK_EQ(userpci_irq_wait(device, 0, -1, NULL), -ENODEV);
	CHECK_EQ(userpci_irq_unmask(device, 0), 0);
	CHECK_EQ(userpci_irq_mask(device, 0), -ENODEV);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 1), -ENODEV);
	CHECK_EQ(userpci_bus_master_enable(device), -ENODEV);
	CHECK_EQ(userpci_config_read(device, 0, 4, &value), -ENODEV);
	CHECK_EQ(userpci_region_map(device, 0, &other), -ENODEV);
	CHECK_EQ(userpci_reset(device), -ENODEV);
	userpci_dma_free(&dma);
	CHECK_EQ(userpci_dma_alloc(device, 4096, &dma), -ENODEV);
	CHECK_EQ(userpci_fault_set(device, &none), 0);
	CHECK_EQ(userpci_read32(&region, 4), 2);
	userpci_close(device);
	CHECK_EQ(fake.maps, 0);
}

static void *wait_for_ever(void *device)
{
	return (void *)(intptr_t)userpci_irq_wait(device, 1, -1, NULL);
}

TEST(fault_gone_wakes_who_waits)
{
	const struct userpci_faults faults = { .gone_after = 1 };
	struct userpci_region region;
	struct userpci_device *device = open_faulty(&faults, &region);
	struct pollfd p = { .fd = userpci_irq_fd(device, 0), .events = POLLIN };
	pthread_t thread;
	void *result;

	CHECK_EQ(pthread_create(&thread, NULL, wait_for_ever, device), 0);
	usleep(MOMENT_US);
	userpci_write32(&region, 0, 1);
	userpci_write32(&region, 0, 1);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK_EQ((intptr_t)result, -ENODEV);
	CHECK_EQ(poll(&p, 1, 20000), 1);
	userpci_close(device);
}

TEST(fault_lose_irq)
{
	const struct userpci_faults faults = { .lose_irq = 2 };
	struct userpci_region region;
	struct userpci_device *device = open_faulty(&faults, &region);

	fake_raise(0);
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE_US, NULL), 0);
	fake_raise(1);
	CHECK_EQ(userpci_irq_wait(device, 1, MOMENT_US, NULL), -ETIMEDOUT);
	fake_raise(1);
	CHECK_EQ(userpci_irq_wait(device, 1, PATIENCE_US, NULL), 0);
	fake_raise(0);
	CHECK_EQ(userpci_irq_wait(device, 0, MOMENT_US, NULL), -ETIMEDOUT);
	userpci_close(device);
}

TEST(fault_spurious_irq)
{
	const struct userpci_faults faults = { .spurious_irq = 3 };
	struct userpci_region region;
	struct userpci_device *device = open_faulty(&faults, &region);
	uint64_t count;

	userpci_read32(&region, 0);
	userpci_write32(&region, 0, 1);
	CHECK_EQ(userpci_irq_wait(device, 0, 0, NULL), -ETIMEDOUT);
	userpci_read32(&region, 0);
	CHECK_EQ(userpci_irq_wait(device, 0, 0, &count), 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(userpci_irq_wait(device, 1, 0, NULL), -ETIMEDOUT);
	userpci_close(device);
}

TEST(fault_delay_dma_keeps_writes_in_order)
{
	const struct userpci_faults faults = { .delay_dma_us = 1000000 }, none = { 0 };
	struct userpci_region region;
	struct userpci_device *device = open_faulty(&faults, &region);
	int64_t begin = now_us();

	userpci_write8(&region, 0, 1);
	userpci_write8(&region, 0, 2);
	CHECK_EQ(fake.bar[0], 0);
	while (fake.bar[0] != 2 && now_us() - begin < PATIENCE_US)
		usleep(1000);
	CHECK_EQ(fake.bar[0], 2);
	CHECK(now_us() - begin >= 1000000);
	/* A read pushes what was written before it; so does the end of the fault, and closing. */
	userpci_write8(&region, 0, 3);
	CHECK_EQ(userpci_read8(&region, 0), 3);
	userpci_write8(&region, 0, 4);
	CHECK_EQ(userpci_fault_set(device, &none), 0);
	CHECK_EQ(fake.bar[0], 4);
	CHECK_EQ(userpci_fault_set(device, &faults), 0);
	userpci_write8(&region, 0, 5);
	userpci_close(device);
}

TEST(fault_fail_alloc)
{
	const struct userpci_faults faults = { .fail_alloc = 2 };
	struct userpci_region region;
	struct userpci_device *device = open_faulty(&faults, &region);
	struct userpci_dma dma, other;

	CHECK_EQ(userpci_dma_alloc(device, 4096, &dma), 0);
	CHECK_EQ(userpci_dma_alloc(device, 4096, &other), -ENOMEM);
	CHECK_EQ(userpci_dma_alloc(device, 4096, &other), -ENOMEM);
	userpci_close(device);
}

TEST(fault_by_the_environment)
{
	struct userpci_device *device;
	struct userpci_dma dma;

	CHECK_EQ(setenv("USERPCI_FAULT", "fail-alloc=1", 1), 0);
	CHECK_EQ(userpci_open(GOLDEN, 0, &device), 0);
	CHECK_EQ(userpci_dma_alloc(device, 4096, &dma), -ENOMEM);
	userpci_close(device);
	CHECK_EQ(setenv("USERPCI_FAULT", "fail-alloc", 1), 0);
	CHECK_EQ(userpci_open(GOLDEN, 0, &device), -EINVAL);
}

/* QEMU's edu, and a driver of it in a few lines: a factorial, announced by an interrupt. */

#define EDU_FACTORIAL 0x08
#define EDU_STATUS    0x20
#define EDU_CAUSES    0x24
#define EDU_ACK	      0x64

static int edu_factorial(struct userpci_device *device, struct userpci_region *regs,
			 int64_t timeout_us)
{
	uint32_t causes;
	int err;

	userpci_write32(regs, EDU_STATUS, 0x80);
	userpci_write32(regs, EDU_FACTORIAL, 5);
	err = userpci_irq_wait(device, 0, timeout_us, NULL);
	if (err)
		return err;
	causes = userpci_read32(regs, EDU_CAUSES);
	if (causes == UINT32_MAX)
		return -ENODEV;
	userpci_write32(regs, EDU_ACK, causes);
	return userpci_read32(regs, EDU_FACTORIAL) == 120 ? 0 : -ENODEV;
}

static struct userpci_device *edu_open(const char *faults)
{
	struct userpci_device *device;
	int err;

	CHECK_EQ(setenv("USERPCI_FAULT", faults, 1), 0);
	err = userpci_open("qemu:edu", 0, &device);
	if (err == -ENOENT)
		SKIP("there is no QEMU; run scripts/setup guest");
	CHECK_EQ(err, 0);
	return device;
}

static int edu_run(const char *faults, int64_t timeout_us)
{
	struct userpci_device *device = edu_open(faults);
	struct userpci_region regs;
	struct userpci_dma dma;
	int err;

	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	err = userpci_dma_alloc(device, 4096, &dma);
	if (!err)
		err = userpci_irq_enable(device, USERPCI_IRQ_BEST, 1);
	if (!err)
		err = userpci_bus_master_enable(device);
	if (!err)
		err = edu_factorial(device, &regs, timeout_us);
	userpci_close(device);
	return err;
}

TEST(fault_edu_gone)
{
	char faults[32];
	int n;

	for (n = 1; n <= 4; n++) {
		snprintf(faults, sizeof(faults), "gone-after=%d", n);
		CHECK_EQ(edu_run(faults, PATIENCE_US), -ENODEV);
	}
	CHECK_EQ(edu_run("gone-after=5", PATIENCE_US), 0);
}

TEST(fault_edu_lost_interrupt)
{
	CHECK_EQ(edu_run("lose-irq=1", MOMENT_US), -ETIMEDOUT);
	CHECK_EQ(edu_run("lose-irq=2", PATIENCE_US), 0);
}

/* With nothing asked of the device its causes say that it was not it. */
TEST(fault_edu_spurious_interrupt)
{
	struct userpci_device *device;
	struct userpci_region regs;

	device = edu_open("spurious-irq=1");
	CHECK_EQ(userpci_region_map(device, 0, &regs), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 1), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, MOMENT_US, NULL), -ETIMEDOUT);
	CHECK_EQ(userpci_read32(&regs, EDU_CAUSES), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, MOMENT_US, NULL), 0);
	CHECK_EQ(userpci_read32(&regs, EDU_CAUSES), 0);
	userpci_close(device);
}

TEST(fault_edu_late_completion)
{
	int64_t begin = now_us();

	CHECK_EQ(edu_run("delay-dma=100000000", MOMENT_US), -ETIMEDOUT);
	CHECK_EQ(edu_run("delay-dma=20000", PATIENCE_US), 0);
	CHECK(now_us() - begin < 100000000);
}

TEST(fault_edu_no_memory)
{
	CHECK_EQ(edu_run("fail-alloc=1", PATIENCE_US), -ENOMEM);
	CHECK_EQ(edu_run("fail-alloc=2", PATIENCE_US), 0);
}

/* NIC drivers */

static struct unic_port *nic_open(const char *address, const char *faults, int *err)
{
	struct unic_port *port = NULL;

	CHECK_EQ(setenv("USERPCI_FAULT", faults, 1), 0);
	*err = unic_open(address, NULL, &port);
	if (*err == -ENOENT)
		SKIP("there is no QEMU; run scripts/setup guest");
	return port;
}

static void send_some(struct unic_port *port)
{
	struct unic_packet *packet = unic_packet_alloc(port, 0);

	if (!packet)
		return;
	memset(unic_packet_data(packet), 0xff, 60);
	packet->length = 60;
	if (unic_tx_burst(port, 0, &packet, 1) != 1)
		unic_packet_free(packet);
}

/* Only the errors that say so, and an end. */
static int nic_use(struct unic_port *port)
{
	struct unic_packet *packets[8];
	struct unic_link link;
	struct unic_stats stats;
	int err, n;

	err = unic_start(port);
	if (err)
		return err;
	send_some(port);
	n = unic_rx_burst(port, 0, packets, 8);
	CHECK(n >= 0 && n <= 8);
	unic_packet_free_burst(packets, (unsigned int)n);
	err = unic_wait(port, 0, 1000);
	CHECK(!err || err == -ETIMEDOUT || err == -ENODEV);
	CHECK_EQ(unic_stats(port, &stats), 0);
	CHECK(stats.rx_errors < 1000 && stats.rx_missed < 1000);
	return unic_link(port, &link);
}

static int nic_run(const char *address, const char *faults)
{
	struct unic_port *port;
	int err;

	port = nic_open(address, faults, &err);
	if (err)
		return err;
	err = nic_use(port);
	unic_close(port);
	return err;
}

static unsigned int descriptors(void)
{
	unsigned int fd, count = 0;

	for (fd = 0; fd < 1024; fd++)
		count += fcntl((int)fd, F_GETFD) >= 0;
	return count;
}

/* With no QEMU to start, at every access. */
TEST(fault_e1000_gone_at_each_access_of_the_golden_trace)
{
	unsigned int n, before = descriptors();
	char faults[32];
	int err;

	for (n = 1; n < 60; n++) {
		snprintf(faults, sizeof(faults), "gone-after=%u", n);
		err = nic_run(GOLDEN, faults);
		if (err != -ENODEV)
			HARNESS_FAIL("%s: %d", faults, err);
	}
	CHECK_EQ(descriptors(), before);
}

#ifndef __SANITIZE_ADDRESS__ /* which has its own eyes, and bears no others */
/* The same tests under valgrind, for what they leave behind. QEMU is another program. */
TEST(fault_valgrind)
{
	char self[256] = "", command[400], said[512];
	FILE *inner;

	if (getenv("USERPCI_TEST_INNER"))
		return;
	if (system("valgrind --version >/dev/null 2>&1"))
		SKIP("there is no valgrind");
	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(command, sizeof(command),
		 "USERPCI_TEST_INNER=1 valgrind -q --error-exitcode=9 --leak-check=full '%s' 2>&1",
		 self);
	inner = popen(command, "r");
	CHECK(inner);
	while (fgets(said, sizeof(said), inner))
		if (strncmp(said, "ok ", 3))
			printf("  valgrind: %s", said);
	CHECK_EQ(pclose(inner), 0);
}
#endif

TEST_MAIN
