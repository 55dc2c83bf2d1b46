/* SPDX-License-Identifier: MIT */
/*
 * Many ends of a driver at moments of no choice: killed, or its device taken away, while edu moves
 * memory. Each time the device must work for the next one; that no rule was broken, and nothing
 * touched or kept that was freed, the kernel's checkers say: see tests/debug/run.
 */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "../uapi/support.h"

enum { KILLS = 300, REBINDS = 200 };

static void pause_us(unsigned int us)
{
	usleep(us);
}

/* Waits until the engine is idle; returns 0 when the device is gone, or never gets there. */
static int is_idle(void *regs)
{
	uint32_t command;
	int i;

	for (i = 0; i < 2000; i++) {
		command = rd32(regs, EDU_DMA_COMMAND);
		if (command == UINT32_MAX)
			return 0;
		if (!(command & 1))
			return 1;
		pause_us(1000);
	}
	return 0;
}

/*
 * A driver's whole life, with whatever comes in between: the device may be gone at any line. The
 * engine is told where to only when idle: else it ignores that, and QEMU ends the machine when it
 * is told to move what is not its own.
 */
static void drive(const char *address, int rounds)
{
	struct userpci_uapi_region r = SIZED(userpci_uapi_region);
	struct userpci_uapi_dma d = SIZED(userpci_uapi_dma);
	int fd = node_open(address, O_RDWR), event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	void *regs = MAP_FAILED, *va = MAP_FAILED;

	d.bytes = PAGE;
	if (fd < 0 || call(fd, USERPCI_GET_REGION, &r) || dma_mask(fd, 28) || bus_master(fd, 1))
		goto out;
	if (irq_set(fd, USERPCI_IRQ_MSI, 1) || irq_eventfd(fd, 0, event))
		goto out;
	regs = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)r.offset);
	if (regs == MAP_FAILED || call(fd, USERPCI_DMA_ALLOC, &d))
		goto out;
	va = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)d.offset);
	for (; va != MAP_FAILED && rounds && is_idle(regs); rounds--) {
		memset(va, 0x5a, PAGE);
		edu_dma_start(regs, rounds & 1 ? EDU_MEMORY : d.iova,
			      rounds & 1 ? d.iova : EDU_MEMORY, EDU_BYTES, rounds & 1);
		wr32(regs, EDU_IRQ_RAISE, 1);
		wr32(regs, EDU_IRQ_ACK, 1);
	}
out:
	if (va != MAP_FAILED)
		munmap(va, PAGE);
	if (regs != MAP_FAILED)
		munmap(regs, 1 << 20);
	close(fd);
	close(event);
}

/* Registers show the device, or ones when it has gone. */
static void watch(const char *address)
{
	int fd = node_open(address, O_RDONLY), status;
	void *regs;
	uint32_t id;
	pid_t pid;

	if (fd < 0)
		return;
	regs = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (regs != MAP_FAILED) {
		pid = fork();
		id = rd32(regs, EDU_ID);
		if (!pid)
			_exit(id == 0x010000ed || id == UINT32_MAX ? 0 : 1);
		CHECK(pid > 0);
		CHECK(id == 0x010000ed || id == UINT32_MAX);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
		munmap(regs, PAGE);
	}
	readable(fd, 5, NULL);
	close(fd);
}

static pid_t start(void (*work)(const char *address), const char *address)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	while (!pid) {
		work(address);
		pause_us(500); /* whoever has the device may need the processor */
	}
	return pid;
}

static void stop(pid_t pid)
{
	int status;

	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status)); /* it had not ended by itself */
}

static void drive_shortly(const char *address)
{
	drive(address, 2);
}

static void drive_long(const char *address)
{
	drive(address, 1000000);
}

/* A device that works, and no more buffers than its last owners had. */
static void check_device(void)
{
	int fd = node_own(EDU);
	void *regs = map(fd, region_get(fd, 0).offset, 1 << 20, PROT_READ | PROT_WRITE);
	struct userpci_uapi_dma d;
	char *va;

	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	CHECK_EQ(dma_mask(fd, 28), 0);
	d = dma_get(fd, PAGE);
	CHECK(d.handle < 8);
	va = map(fd, d.offset, PAGE, PROT_READ | PROT_WRITE);
	CHECK_EQ(bus_master(fd, 1), 0);
	edu_dma_wait(regs);
	memset(va, 0xc3, PAGE);
	edu_dma_start(regs, d.iova, EDU_MEMORY, EDU_BYTES, 0);
	edu_dma_wait(regs);
	memset(va, 0, PAGE);
	edu_dma_start(regs, EDU_MEMORY, d.iova, EDU_BYTES, 1);
	edu_dma_wait(regs);
	CHECK_EQ((uint8_t)va[0], 0xc3);
	CHECK_EQ((uint8_t)va[EDU_BYTES - 1], 0xc3);
	munmap(va, PAGE);
	munmap(regs, 1 << 20);
	close(fd);
}

TEST(cycles_sigkill)
{
	const char *address = device_bind(EDU);
	unsigned int round;

	for (round = 0; round < KILLS; round++) {
		pid_t pid = start(drive_shortly, address);

		pause_us(500 + round * 7919 % 60000);
		stop(pid);
		CHECK_EQ(sysfs_config(address, 4, 2) & 4, 0); /* no bus mastering */
		close(node_own(EDU));
	}
	check_device();
}

TEST(cycles_rebind)
{
	const char *address = device_bind(EDU);
	pid_t owner = start(drive_long, address), second = start(drive_shortly, address);
	pid_t observer = start(watch, address);
	unsigned int round;

	for (round = 0; round < REBINDS; round++) {
		pause_us(500 + round * 7919 % 60000);
		device_unbind(address);
		pause_us(round * 311 % 2000);
		CHECK_STR(device_bind(EDU), address);
	}
	stop(owner);
	stop(second);
	stop(observer);
	check_device();
}
