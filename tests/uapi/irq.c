/* SPDX-License-Identifier: MIT */
/* INTx and MSI with edu, MSI-X with e1000e: to eventfds, and to read() and poll(). */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "support.h"

/* 82574L datasheet, section 10.2.4: interrupt registers; causes 20 to 24 are those of MSI-X. */
#define E1000E_ICS	     0x000c8
#define E1000E_IMS	     0x000d0
#define E1000E_EIAC	     0x000dc
#define E1000E_IVAR	     0x000e4
#define E1000E_VECTORS	     5
#define E1000E_CAUSE(vector) (1u << (20 + (vector)))

static void *edu_map(int fd)
{
	return map(fd, region_get(fd, 0).offset, 1 << 20, PROT_READ | PROT_WRITE);
}

static int new_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

/* How many came: 0 when none has for so long that none will. */
static uint64_t taken(int eventfd)
{
	uint64_t events = 0;

	if (readable(eventfd, PATIENCE_MS, NULL) == 1)
		CHECK_EQ(read(eventfd, &events, sizeof(events)), sizeof(events));
	return events;
}

/* That nothing comes can only be seen for a while: what would come takes microseconds. */
static int quiet(int eventfd)
{
	return readable(eventfd, 50, NULL) == 0;
}

static void edu_raise(void *regs, uint32_t cause)
{
	wr32(regs, EDU_IRQ_RAISE, cause);
	CHECK_EQ(rd32(regs, EDU_IRQ_STATUS) & cause, cause);
}

static void edu_ack(void *regs)
{
	wr32(regs, EDU_IRQ_ACK, rd32(regs, EDU_IRQ_STATUS));
}

TEST(irq_checks)
{
	struct userpci_uapi_irq i = SIZED(userpci_uapi_irq);
	int fd = node_own(EDU), event = new_eventfd(), file;

	CHECK_EQ(irq_set(fd, 3, 1), -EINVAL);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_INTX, 2), -EINVAL);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 2), -ENOSPC);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, UINT32_MAX), -ENOSPC);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSIX, 1), -ENOSPC);
	i.count = 1, i.reserved = 1;
	CHECK_EQ(call(fd, USERPCI_IRQ_ENABLE, &i), -EINVAL);
	CHECK_EQ(irq_eventfd(fd, 0, event), -EINVAL); /* none enabled */
	CHECK_EQ(irq_mask(fd, 0, 0), -EINVAL);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 1, event), -EINVAL);
	CHECK_EQ(irq_eventfd(fd, 0, -2), -EINVAL);
	CHECK_EQ(irq_eventfd(fd, 0, 999), -EBADF);
	file = open("/dev/null", O_RDWR);
	CHECK_EQ(irq_eventfd(fd, 0, file), -EINVAL);
	CHECK_EQ(irq_eventfd(fd, 0, -1), 0);
	CHECK_EQ(irq_mask(fd, 0, 2), -EINVAL);
	CHECK_EQ(irq_mask(fd, 1, 1), -EINVAL);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 0), 0);
	CHECK_EQ(irq_mask(fd, 0, 1), -EINVAL);
	close(file);
	close(event);
	close(fd);
}

TEST(irq_msi_eventfd)
{
	int fd = node_own(EDU), event = new_eventfd(), other = new_eventfd(), i;
	void *regs = edu_map(fd);

	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	for (i = 0; i < 1000; i++) {
		edu_raise(regs, 1);
		CHECK_EQ(taken(event), 1);
		edu_ack(regs);
	}
	/* Another one in its place, then none. */
	CHECK_EQ(irq_eventfd(fd, 0, other), 0);
	edu_raise(regs, 2);
	CHECK_EQ(taken(other), 1);
	CHECK(quiet(event));
	edu_ack(regs);
	CHECK_EQ(irq_eventfd(fd, 0, -1), 0);
	edu_raise(regs, 4);
	CHECK(quiet(other));
	edu_ack(regs);
	close(event);
	close(other);
	munmap(regs, 1 << 20);
	close(fd);
}

/* What came while a vector was masked is delivered when it is unmasked. */
TEST(irq_msi_mask)
{
	int fd = node_own(EDU), event = new_eventfd();
	void *regs = edu_map(fd);

	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	CHECK_EQ(irq_mask(fd, 0, 1), 0);
	CHECK_EQ(irq_mask(fd, 0, 1), 0); /* masks do not nest */
	edu_raise(regs, 1);
	CHECK(quiet(event));
	CHECK_EQ(irq_mask(fd, 0, 0), 0);
	CHECK_EQ(taken(event), 1);
	edu_ack(regs);
	CHECK_EQ(irq_mask(fd, 0, 0), 0);
	edu_raise(regs, 1);
	CHECK_EQ(taken(event), 1);
	edu_ack(regs);
	close(event);
	munmap(regs, 1 << 20);
	close(fd);
}

/* A level that stays up is one interrupt, until it is unmasked. */
TEST(irq_intx)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU), event = new_eventfd();
	void *regs = edu_map(fd);

	CHECK_EQ(irq_set(fd, USERPCI_IRQ_INTX, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	CHECK_EQ(sysfs_config(address, 4, 2) & 0x400, 0);
	edu_raise(regs, 1);
	CHECK_EQ(taken(event), 1);
	CHECK_EQ(sysfs_config(address, 4, 2) & 0x400, 0x400); /* Interrupt Disable */
	CHECK(quiet(event));
	/* Unmasked before the cause is gone: again. */
	CHECK_EQ(irq_mask(fd, 0, 0), 0);
	CHECK_EQ(taken(event), 1);
	edu_ack(regs);
	CHECK_EQ(irq_mask(fd, 0, 0), 0);
	CHECK(quiet(event));
	edu_raise(regs, 2);
	CHECK_EQ(taken(event), 1);
	edu_ack(regs);
	/* Masked by call. */
	CHECK_EQ(irq_mask(fd, 0, 0), 0);
	CHECK_EQ(irq_mask(fd, 0, 1), 0);
	edu_raise(regs, 4);
	CHECK(quiet(event));
	CHECK_EQ(irq_mask(fd, 0, 0), 0);
	CHECK_EQ(taken(event), 1);
	edu_ack(regs);
	close(event);
	munmap(regs, 1 << 20);
	close(fd);
}

TEST(irq_msix_every_vector)
{
	int fd = node_own(E1000E), events[E1000E_VECTORS], edu, i, j;
	void *regs = map(fd, region_get(fd, 0).offset, 0x20000, PROT_READ | PROT_WRITE);
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	uint32_t ivar = 0;
	void *edu_regs;

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	CHECK_EQ(info.num_msix, E1000E_VECTORS);
	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSIX, E1000E_VECTORS + 1), -ENOSPC);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSIX, E1000E_VECTORS), 0);
	for (i = 0; i < E1000E_VECTORS; i++) {
		events[i] = new_eventfd();
		CHECK_EQ(irq_eventfd(fd, (unsigned int)i, events[i]), 0);
		ivar |= (8u | (uint32_t)i) << (4 * i); /* cause i to vector i, valid */
	}
	wr32(regs, E1000E_IVAR, ivar);
	wr32(regs, E1000E_EIAC, 0x1f00000);
	for (i = 0; i < E1000E_VECTORS; i++) {
		wr32(regs, E1000E_IMS, E1000E_CAUSE(i));
		wr32(regs, E1000E_ICS, E1000E_CAUSE(i));
		CHECK_EQ(taken(events[i]), 1);
		for (j = 0; j < E1000E_VECTORS; j++)
			CHECK_EQ(readable(events[j], 0, NULL), 0);
	}
	for (i = 0; i < E1000E_VECTORS; i++)
		close(events[i]);
	/*
	 * QEMU 7.2 aborts when its throttling timers, of 128 us, find MSI-X off. Timers expire
	 * in order: when edu's, of 100 ms, has expired, so have they.
	 */
	edu = node_own(EDU);
	edu_regs = edu_map(edu);
	edu_dma_start(edu_regs, EDU_MEMORY, 0, 4, 1); /* to nowhere: bus mastering is off */
	edu_dma_wait(edu_regs);
	munmap(regs, 0x20000);
	close(fd);
}

TEST(irq_read_gives_the_count)
{
	int fd = node_own(EDU), observer = node_open(device_bind(EDU), O_RDONLY);
	void *regs = edu_map(fd);
	uint32_t first, count;
	uint64_t eight;

	CHECK(observer >= 0);
	CHECK_EQ(read(fd, &count, sizeof(count)), -1);
	CHECK_EQ(errno, EIO); /* no interrupt is enabled */
	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(read(fd, &eight, sizeof(eight)), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	CHECK_EQ(read(fd, &count, sizeof(count)), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(readable(fd, 0, NULL), 0);

	edu_raise(regs, 1);
	CHECK_EQ(readable(fd, PATIENCE_MS, NULL), 1);
	CHECK_EQ(read(fd, &first, sizeof(first)), sizeof(first));
	CHECK_EQ(readable(fd, 0, NULL), 0);
	/* Each descriptor has its own count of what it has seen. */
	CHECK_EQ(read(observer, &count, sizeof(count)), sizeof(count));
	CHECK_EQ(count, first);
	edu_raise(regs, 2);
	CHECK_EQ(read(observer, &count, sizeof(count)), sizeof(count));
	CHECK_EQ(count - first, 1);
	edu_raise(regs, 4);
	CHECK_EQ(read(observer, &count, sizeof(count)), sizeof(count));
	CHECK_EQ(read(fd, &count, sizeof(count)), sizeof(count));
	CHECK_EQ(count - first, 2);
	edu_ack(regs);
	munmap(regs, 1 << 20);
	close(observer);
	close(fd);
}

/* A read that sleeps returns with the interrupt; one whose interrupts are taken away, too. */
TEST(irq_read_blocks)
{
	int fd = node_own(EDU), status, round;
	void *regs = edu_map(fd);
	uint32_t count;
	pid_t pid;

	CHECK_EQ(bus_master(fd, 1), 0);
	for (round = 0; round < 2; round++) {
		CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			ssize_t n = read(fd, &count, sizeof(count));

			_exit(n == sizeof(count) ? 0 : errno);
		}
		usleep(100000); /* it sleeps in read() by now; if not, the test is only weaker */
		if (round)
			CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 0), 0);
		else
			edu_raise(regs, 1);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK(WIFEXITED(status));
		CHECK_EQ(WEXITSTATUS(status), round ? EIO : 0);
		edu_ack(regs);
	}
	munmap(regs, 1 << 20);
	close(fd);
}

TEST(irq_write_masks_and_unmasks)
{
	int fd = node_own(EDU), event = new_eventfd();
	void *regs = edu_map(fd);
	uint32_t value = 1;

	CHECK_EQ(write(fd, &value, sizeof(value)), -1);
	CHECK_EQ(errno, EIO);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_INTX, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	edu_raise(regs, 1);
	CHECK_EQ(taken(event), 1);
	edu_ack(regs);
	CHECK_EQ(write(fd, &value, sizeof(value)), sizeof(value));
	edu_raise(regs, 1);
	CHECK_EQ(taken(event), 1);
	edu_ack(regs);
	value = 2;
	CHECK_EQ(write(fd, &value, sizeof(value)), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(write(fd, &value, 1), -1);
	CHECK_EQ(errno, EINVAL);
	close(event);
	munmap(regs, 1 << 20);
	close(fd);
}

/* A mistake in the call costs the vectors that are enabled nothing. */
TEST(irq_refused_change_keeps_the_old)
{
	int fd = node_own(EDU), event = new_eventfd();
	void *regs = edu_map(fd);

	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSIX, 1), -ENOSPC);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 64), -ENOSPC);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, UINT32_MAX), -ENOSPC);
	CHECK_EQ(irq_set(fd, 7, 1), -EINVAL);
	edu_raise(regs, 1);
	CHECK_EQ(taken(event), 1);
	edu_ack(regs);
	close(event);
	munmap(regs, 1 << 20);
	close(fd);
}
