/* SPDX-License-Identifier: MIT */
/* What holds whatever happens: SIGKILL, unbind under a running driver, module unload. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kit.h"

/* Runs `work` in a child that is killed when it has written a byte; then waits for its end. */
static void kill_in_the_middle(void (*work)(void))
{
	int ready[2], status;
	char byte;
	pid_t pid;

	CHECK_EQ(pipe(ready), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		work();
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	close(ready[0]);
}

/* The device is told to write 4000 bytes a tenth of a second from now. */
static void dma_under_way(void)
{
	int fd = node_own(EDU);
	void *regs = map(fd, region_get(fd, 0).offset, 1 << 20, PROT_READ | PROT_WRITE);
	struct userpci_uapi_dma d;
	char *va;

	CHECK_EQ(dma_mask(fd, 28), 0);
	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	d = dma_get(fd, PAGE);
	va = map(fd, d.offset, PAGE, PROT_READ | PROT_WRITE);
	memset(va, 0x5a, PAGE);
	edu_dma_start(regs, d.iova, EDU_MEMORY, EDU_BYTES, 0); /* 5a into the device's memory */
	edu_dma_wait(regs);
	edu_dma_start(regs, EDU_MEMORY, d.iova, EDU_BYTES, 1);
}

/*
 * A process dies while the device is about to write its buffer. The pages go to the next owner at
 * once, who must never see them written.
 */
TEST(teardown_sigkill_during_dma)
{
	const char *address = device_bind(EDU);
	struct userpci_uapi_dma d[16];
	char *va[16];
	int round, fd, i;
	uint64_t k;

	for (round = 0; round < 5; round++) {
		kill_in_the_middle(dma_under_way);
		CHECK_EQ(sysfs_config(address, 4, 2) & 4, 0);
		fd = node_own(EDU);
		CHECK_EQ(dma_mask(fd, 28), 0);
		for (i = 0; i < 16; i++) {
			d[i] = dma_get(fd, PAGE);
			va[i] = map(fd, d[i].offset, PAGE, PROT_READ | PROT_WRITE);
		}
		usleep(200000); /* beyond the time at which the device would have written */
		for (i = 0; i < 16; i++) {
			for (k = 0; k < PAGE; k++)
				CHECK_EQ(va[i][k], 0);
			munmap(va[i], PAGE);
		}
		close(fd);
	}
}

static void interrupts_under_way(void)
{
	int fd = node_own(EDU), event = eventfd(0, 0);
	void *regs = map(fd, region_get(fd, 0).offset, 1 << 20, PROT_READ | PROT_WRITE);

	CHECK_EQ(irq_set(fd, USERPCI_IRQ_INTX, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	wr32(regs, EDU_IRQ_RAISE, 1); /* and the level stays up */
}

TEST(teardown_sigkill_with_interrupt_pending)
{
	const char *address = device_bind(EDU);
	int round;

	for (round = 0; round < 5; round++) {
		kill_in_the_middle(interrupts_under_way);
		CHECK_EQ(sysfs_config(address, 4, 2) & 0x400, 0x400); /* Interrupt Disable */
	}
	close(node_own(EDU));
}

TEST(teardown_msi_off_after_close)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU);
	unsigned int cap = sysfs_config(address, 0x34, 1);

	CHECK_EQ(sysfs_config(address, cap, 1), 5); /* MSI */
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(sysfs_config(address, cap + 2, 2) & 1, 1);
	close(fd);
	CHECK_EQ(sysfs_config(address, cap + 2, 2) & 1, 0);
}

/* Everything at once: the device goes away under a driver that has it open and mapped. */
TEST(teardown_unbind_under_a_driver)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU), observer = node_open(address, O_RDONLY), again;
	void *regs = map(fd, region_get(fd, 0).offset, 1 << 20, PROT_READ | PROT_WRITE);
	void *second = map(observer, region_get(fd, 0).offset, PAGE, PROT_READ), *fresh;
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	struct userpci_uapi_dma d = dma_get(fd, 4 * PAGE);
	char *va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
	uint32_t count;
	short revents;
	unsigned int i;

	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	memset(va, 0x3c, d.bytes);
	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	device_unbind(address);

	CHECK_EQ(sysfs_config(address, 4, 2) & 4, 0);
	for (i = 0; i < 1 << 20; i += PAGE)
		CHECK_EQ(rd32(regs, i), UINT32_MAX);
	CHECK_EQ(rd32(second, EDU_ID), UINT32_MAX);
	wr32(regs, 4, 0x12345678); /* reaches nothing, and no other process */
	CHECK_EQ(rd32(second, 4), UINT32_MAX);
	for (i = 0; i < d.bytes; i++)
		CHECK_EQ(va[i], 0x3c);
	va[0] = 1;
	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), -ENODEV);
	CHECK_EQ(bus_master(fd, 1), -ENODEV);
	CHECK_EQ(read(fd, &count, sizeof(count)), -1);
	CHECK_EQ(errno, ENODEV);
	CHECK_EQ(map_error(fd, 0, PAGE, PROT_READ, MAP_SHARED), -ENODEV);
	CHECK_EQ(readable(fd, 0, &revents), 1);
	CHECK_EQ(revents, POLLHUP | POLLERR);

	/* Bound and opened anew, while the old descriptor and its maps are still there. */
	CHECK_STR(device_bind(EDU), address);
	again = node_own(EDU);
	fresh = map(again, region_get(again, 0).offset, PAGE, PROT_READ | PROT_WRITE);
	CHECK_EQ(rd32(fresh, EDU_ID), 0x010000ed);
	wr32(fresh, 4, 0x12345678);
	wr32(regs, 4, 0); /* the old map does not program the new owner's device */
	CHECK_EQ(rd32(fresh, 4), ~0x12345678u);
	CHECK_EQ(rd32(second, EDU_ID), UINT32_MAX);
	munmap(fresh, PAGE);
	munmap(regs, 1 << 20);
	munmap(second, PAGE);
	munmap(va, d.bytes);
	close(fd);
	/* The close of the removed device took nothing from the one that owns it now. */
	CHECK_EQ(call(again, USERPCI_GET_INFO, &info), 0);
	close(again);
	close(observer);
}

TEST(teardown_unbind_wakes_a_reader)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU), status;
	uint32_t count;
	pid_t pid;

	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		ssize_t n = read(fd, &count, sizeof(count));

		_exit(n == sizeof(count) ? 0 : errno);
	}
	usleep(100000); /* it sleeps in read() by now; if not, the test is only weaker */
	device_unbind(address);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), ENODEV);
	close(fd);
	device_bind(EDU);
}

/* A fork child's map of the registers is taken away too. */
TEST(teardown_unbind_reaches_fork_children)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU), go[2], status;
	void *regs = map(fd, region_get(fd, 0).offset, PAGE, PROT_READ | PROT_WRITE);
	char byte;
	pid_t pid;

	CHECK_EQ(pipe(go), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
		CHECK_EQ(read(go[0], &byte, 1), 1);
		_exit(rd32(regs, EDU_ID) == UINT32_MAX ? 0 : 1);
	}
	usleep(50000);
	device_unbind(address);
	CHECK_EQ(write(go[1], "x", 1), 1);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(rd32(regs, EDU_ID), UINT32_MAX);
	munmap(regs, PAGE);
	close(go[0]);
	close(go[1]);
	close(fd);
	device_bind(EDU);
}

struct mapper {
	int fd;
	uint64_t offset;
	volatile int stop;
	unsigned long stale, mapped;
};

/* Maps until mmap says that the device is gone; what it got last must be revoked. */
static void *map_without_end(void *data)
{
	struct mapper *m = data;
	void *regs;

	while (!m->stop) {
		regs = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, m->fd, (off_t)m->offset);
		if (regs == MAP_FAILED)
			continue;
		m->mapped++;
		sched_yield();
		/* Once unbound (stop is set behind it), no map may still show the device. */
		if (m->stop && rd32(regs, EDU_ID) != UINT32_MAX)
			m->stale++;
		munmap(regs, PAGE);
	}
	return NULL;
}

/* An mmap call in flight while the device goes: no stale map comes out of it. */
TEST(teardown_unbind_races_mmap)
{
	unsigned long mapped = 0;
	int round;

	for (round = 0; round < 30; round++) {
		const char *address = device_bind(EDU);
		struct mapper m = { .fd = node_own(EDU) };
		pthread_t thread;

		m.offset = region_get(m.fd, 0).offset;
		CHECK_EQ(pthread_create(&thread, NULL, map_without_end, &m), 0);
		usleep((unsigned int)(1000 * (round % 7)));
		device_unbind(address);
		m.stop = 1;
		pthread_join(thread, NULL);
		CHECK_EQ(m.stale, 0);
		mapped += m.mapped;
		close(m.fd);
	}
	CHECK(mapped > 0);
	device_bind(EDU);
}

/*
 * edu has no reset, and forgets nothing: it writes a tenth of a second later where the dead owner
 * told it to, when the next one turns bus mastering on at once. The page must be nobody's by then.
 */
TEST_BARE(teardown_no_reset_keeps_its_pages)
{
	enum { BYTES = 64 << 20 };
	struct userpci_uapi_dma d;
	uint8_t *memory, *page;
	int round, status, fd, i;
	pid_t pid;

	for (round = 0; round < 10; round++) {
		kill_in_the_middle(dma_under_way);
		pid = fork();
		CHECK(pid >= 0);
		if (pid) {
			CHECK_EQ(waitpid(pid, &status, 0), pid);
			CHECK_EQ(status, 0);
			continue;
		}
		fd = node_own(EDU);
		CHECK_EQ(dma_mask(fd, 28), 0);
		CHECK_EQ(bus_master(fd, 1), 0);
		/* Buffers of another size, and memory of the process, as new as can be. */
		for (i = 0; i < 16; i++) {
			d = dma_get(fd, 2 * PAGE);
			page = map(fd, d.offset, 2 * PAGE, PROT_READ | PROT_WRITE);
			memset(page, 0, 2 * PAGE);
		}
		memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		CHECK(memory != MAP_FAILED);
		usleep(200000);
		for (i = 0; i < BYTES; i++)
			if (memory[i])
				break;
		CHECK_EQ(i, BYTES);
		/* A buffer of the old size is the old one, zeroed. */
		d = dma_get(fd, PAGE);
		page = map(fd, d.offset, PAGE, PROT_READ | PROT_WRITE);
		for (i = 0; i < (int)PAGE; i++)
			CHECK_EQ(page[i], 0);
		_exit(0);
	}
}

/* Behind an IOMMU what the dead had begun is reported: stray_to_a_former_owner. */
TEST_BARE(teardown_sigkill_leaves_the_device_usable)
{
	int round;

	for (round = 0; round < 20; round++) {
		kill_in_the_middle(round % 2 ? dma_under_way : interrupts_under_way);
		close(node_own(EDU));
	}
}

/* echo 1 > remove: the device is gone from the bus, not only from its driver. */
TEST(teardown_remove_from_the_bus)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU);
	void *regs = map(fd, region_get(fd, 0).offset, 1 << 20, PROT_READ | PROT_WRITE);
	struct userpci_uapi_dma d = dma_get(fd, PAGE);
	char *va = map(fd, d.offset, PAGE, PROT_READ | PROT_WRITE), path[128];
	short revents;

	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_INTX, 1), 0);
	va[0] = 0x3c;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", address);
	CHECK_EQ(sysfs_write(path, "1"), 0);
	CHECK_EQ(rd32(regs, EDU_ID), UINT32_MAX);
	wr32(regs, 4, 1);
	CHECK_EQ(va[0], 0x3c);
	CHECK_EQ(bus_master(fd, 1), -ENODEV);
	CHECK_EQ(readable(fd, 0, &revents), 1);
	CHECK_EQ(revents, POLLHUP | POLLERR);
	/* And back, with the old descriptor still open. */
	CHECK_EQ(sysfs_write("/sys/bus/pci/rescan", "1"), 0);
	close(node_own(EDU));
	munmap(regs, 1 << 20);
	munmap(va, PAGE);
	close(fd);
	close(node_own(EDU));
}

/* The module stays while a descriptor or a map needs it; afterwards it goes, and comes again. */
TEST(teardown_module_unload)
{
	const char *module = getenv("USERPCI_MODULE");
	int fd = node_own(EDU), file;
	void *regs = map(fd, region_get(fd, 0).offset, PAGE, PROT_READ);

	CHECK(module);
	CHECK_EQ(syscall(SYS_delete_module, "userpci", O_NONBLOCK), -1);
	CHECK_EQ(errno, EAGAIN);
	close(fd);
	CHECK_EQ(syscall(SYS_delete_module, "userpci", O_NONBLOCK), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	munmap(regs, PAGE);
	CHECK_EQ(syscall(SYS_delete_module, "userpci", O_NONBLOCK), 0);
	CHECK_EQ(access("/dev/userpci", F_OK), -1);
	file = open(module, O_RDONLY);
	CHECK(file >= 0);
	CHECK_EQ(syscall(SYS_finit_module, file, "", 0), 0);
	close(file);
	close(node_own(EDU));
}
