/* SPDX-License-Identifier: MIT */
/* INTx and MSI with edu, MSI-X with e1000e: to eventfds, and to read() and poll(). */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "kit.h"

TEST(irq_checks)
{
	struct userpci_uapi_irq i = SIZED(userpci_uapi_irq);
	int fd = node_own(EDU), event = new_eventfd(), file;

	CHECK_EQ(irq_set(fd, 3, 1), -EINVAL);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_INTX, 2), -EINVAL);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 2), -ENOSPC);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, UINT32_MAX), -ENOSPC);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSIX, 1), -ENOSPC);
	i.count = 1, i.flags = 2;
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

/* A device may be faster than its driver: between the enabling and the eventfd. */
TEST(irq_before_the_eventfd)
{
	int fd = node_own(EDU), event = new_eventfd(), i;
	void *regs = edu_map(fd);

	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	for (i = 0; i < 3; i++) {
		edu_raise(regs, 1);
		edu_ack(regs);
	}
	CHECK(quiet(event)); /* the last of them may be under way to another processor */
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	CHECK_EQ(taken(event), 1);
	CHECK_EQ(irq_eventfd(fd, 0, -1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	CHECK(quiet(event));
	/* It is forgotten when the vectors are enabled anew. */
	CHECK_EQ(irq_eventfd(fd, 0, -1), 0);
	edu_raise(regs, 1);
	edu_ack(regs);
	CHECK(quiet(event));
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	CHECK(quiet(event));
	close(event);
	munmap(regs, 1 << 20);
	close(fd);
}

/* A line that was left up by the owner before is an interrupt for the next, each time. */
TEST(irq_intx_is_up_when_enabled)
{
	int fd = node_own(EDU), event = new_eventfd(), i;
	void *regs = edu_map(fd);

	edu_raise(regs, 1);
	for (i = 0; i < 20; i++) {
		CHECK_EQ(irq_set(fd, USERPCI_IRQ_INTX, 1), 0);
		CHECK_EQ(irq_eventfd(fd, 0, event), 0);
		CHECK_EQ(taken(event), 1);
		munmap(regs, 1 << 20);
		close(fd);
		fd = node_own(EDU);
		regs = edu_map(fd);
	}
	edu_ack(regs);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_INTX, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	CHECK(quiet(event));
	close(event);
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
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	struct e1000e nic;
	unsigned int i, j;

	e1000e_start(&nic);
	CHECK_EQ(call(nic.fd, USERPCI_GET_INFO, &info), 0);
	CHECK_EQ(info.num_msix, E1000E_VECTORS);
	CHECK_EQ(irq_set(nic.fd, USERPCI_IRQ_MSIX, E1000E_VECTORS + 1), -ENOSPC);
	for (i = 0; i < E1000E_VECTORS; i++) {
		e1000e_raise(&nic, i);
		CHECK(taken(nic.events[i]) > 0);
		e1000e_settle(&nic);
		for (j = 0; j < E1000E_VECTORS; j++)
			CHECK(j == i || taken_now(nic.events[j]) == 0);
		taken_now(nic.events[i]);
	}
	e1000e_stop(&nic);
}

struct swapper {
	int fd;
	int events[2];
	volatile int stop;
	unsigned long swaps;
	int result;
};

/* Gives vector 0 the one eventfd and the other in turn. */
static void *swap_eventfds(void *data)
{
	struct swapper *s = data;

	while (!s->stop && !s->result)
		s->result = irq_eventfd(s->fd, 0, s->events[s->swaps++ % 2]);
	return NULL;
}

/* What came to either, waited for. */
static uint64_t taken_by_either(const struct swapper *s)
{
	struct pollfd p[2] = { { s->events[0], POLLIN, 0 }, { s->events[1], POLLIN, 0 } };

	poll(p, 2, PATIENCE_MS);
	return taken_now(s->events[0]) + taken_now(s->events[1]);
}

/* The eventfd changes without end: each interrupt comes to the one or the other. */
TEST(irq_change_loses_none)
{
	struct swapper s = { .events = { new_eventfd(), new_eventfd() } };
	pthread_t thread;
	void *regs;
	int i;

	s.fd = edu_own(&regs);
	CHECK_EQ(irq_set(s.fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(irq_eventfd(s.fd, 0, s.events[1]), 0);
	CHECK_EQ(pthread_create(&thread, NULL, swap_eventfds, &s), 0);
	for (i = 0; i < 1000; i++) {
		edu_raise(regs, 1);
		CHECK_EQ(taken_by_either(&s), 1);
		edu_ack(regs);
	}
	s.stop = 1;
	pthread_join(thread, NULL);
	CHECK_EQ(s.result, 0);
	CHECK(s.swaps > 1);
	close(s.fd);
}

/* The other vectors go on meanwhile. */
TEST(irq_change_one_of_several)
{
	struct swapper s = { .swaps = 0 };
	unsigned int i, round;
	struct e1000e nic;
	pthread_t thread;

	e1000e_start(&nic);
	s.fd = nic.fd;
	s.events[0] = nic.events[0];
	s.events[1] = new_eventfd();
	CHECK_EQ(pthread_create(&thread, NULL, swap_eventfds, &s), 0);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < E1000E_VECTORS; i++)
			e1000e_raise(&nic, i);
		CHECK(taken_by_either(&s) > 0);
		for (i = 1; i < E1000E_VECTORS; i++)
			CHECK(taken(nic.events[i]) > 0);
		/* So that what comes next was raised next. */
		e1000e_settle(&nic);
		taken_now(s.events[1]);
		for (i = 0; i < E1000E_VECTORS; i++)
			taken_now(nic.events[i]);
	}
	s.stop = 1;
	pthread_join(thread, NULL);
	CHECK_EQ(s.result, 0);
	CHECK(s.swaps > 1);
	close(s.events[1]);
	e1000e_stop(&nic);
}

/* One vector masked: the others go on, and what came meanwhile comes when it is unmasked. */
TEST(irq_mask_one_of_several)
{
	const struct userpci_uapi_stats *stats;
	unsigned int masked, other;
	struct e1000e nic;
	uint64_t before;

	e1000e_start(&nic);
	stats = stats_map(nic.fd);
	for (masked = 0; masked < E1000E_VECTORS; masked++) {
		other = (masked + 1) % E1000E_VECTORS;
		before = stats_vector(stats, masked)->interrupts;
		CHECK_EQ(irq_mask(nic.fd, masked, 1), 0);
		e1000e_raise(&nic, masked);
		e1000e_raise(&nic, other);
		CHECK(taken(nic.events[other]) > 0);
		e1000e_settle(&nic);
		CHECK_EQ(taken_now(nic.events[masked]), 0);
		CHECK_EQ(stats_vector(stats, masked)->interrupts, before);
		CHECK_EQ(irq_mask(nic.fd, masked, 0), 0);
		CHECK(taken(nic.events[masked]) > 0);
		e1000e_settle(&nic);
		taken_now(nic.events[masked]);
		taken_now(nic.events[other]);
		e1000e_raise(&nic, masked);
		CHECK(taken(nic.events[masked]) > 0);
		e1000e_settle(&nic);
		taken_now(nic.events[masked]);
		CHECK_EQ(taken_now(nic.events[other]), 0);
	}
	stats_unmap(stats);
	e1000e_stop(&nic);
}

static int irq_limit(int fd, unsigned int vector, unsigned int per_second)
{
	struct userpci_uapi_irq_limit l = SIZED(userpci_uapi_irq_limit);

	l.vector = vector;
	l.per_second = per_second;
	return call(fd, USERPCI_IRQ_LIMIT, &l);
}

TEST(irq_limit_checks)
{
	struct userpci_uapi_irq_limit l = SIZED(userpci_uapi_irq_limit);
	int fd = node_own(EDU);

	CHECK_EQ(irq_limit(fd, 0, 10), -EINVAL);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(irq_limit(fd, 1, 10), -EINVAL);
	CHECK_EQ(irq_limit(fd, USERPCI_EVENTS, 10), -EINVAL);
	l.reserved = 1;
	CHECK_EQ(call(fd, USERPCI_IRQ_LIMIT, &l), -EINVAL);
	CHECK_EQ(irq_limit(fd, 0, UINT32_MAX), 0);
	CHECK_EQ(irq_limit(fd, 0, 0), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 0), 0);
	CHECK_EQ(irq_limit(fd, 0, 10), -EINVAL);
	close(fd);
}

/* Interrupts one after the other, each awaited, until the guard masks the vector. */
static unsigned int raise_until_storm(void *regs, int event,
				      const volatile struct userpci_uapi_vector *v)
{
	uint32_t storms = v->storms;
	unsigned int i;

	/* The limit is 10: only where 11 take a second would there be no end. */
	for (i = 0; i < 100000 && v->storms == storms; i++) {
		edu_raise(regs, 1);
		CHECK_EQ(taken(event), 1);
		edu_ack(regs);
	}
	CHECK_EQ(v->storms, storms + 1);
	return i;
}

TEST(irq_storm)
{
	int event = new_eventfd(), events = new_eventfd(), fd, round;
	const volatile struct userpci_uapi_vector *v;
	const struct userpci_uapi_stats *stats;
	struct userpci_uapi_event record;
	uint64_t count;
	void *regs;
	uint32_t n;

	fd = edu_own(&regs);
	stats = stats_map(fd);
	v = stats_vector(stats, 0);
	n = stats_word(&stats->num_events);
	CHECK_EQ(irq_eventfd(fd, USERPCI_EVENTS, events), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	CHECK_EQ(irq_limit(fd, 0, 10), 0);
	for (round = 0; round < 3; round++, n++) {
		/* Of 11 within a second one has come when it was unmasked. */
		CHECK(raise_until_storm(regs, event, v) >= (round ? 10 : 11));
		CHECK_EQ(taken(events), 1);
		CHECK_EQ(stats_word(&stats->num_events), n + 1);
		record = stats_event(stats, n);
		CHECK_EQ(record.type, USERPCI_EVENT_STORM);
		CHECK_EQ(record.value, 0);
		/* Masked: nothing comes, until it is unmasked. */
		count = v->interrupts;
		edu_raise(regs, 1);
		CHECK(quiet(event));
		CHECK_EQ(v->interrupts, count);
		CHECK_EQ(irq_mask(fd, 0, 0), 0);
		CHECK_EQ(taken(event), 1);
		CHECK_EQ(v->interrupts, count + 1);
		edu_ack(regs);
	}
	stats_unmap(stats);
	close(fd);
}

/* Below the limit, without one, and after enabling anew: no storm. */
TEST(irq_no_storm)
{
	static const uint32_t limits[] = { UINT32_MAX, 1000000, 0 };
	const struct userpci_uapi_stats *stats;
	int event = new_eventfd(), fd;
	unsigned int i, round;
	uint32_t storms;
	void *regs;

	fd = edu_own(&regs);
	stats = stats_map(fd);
	storms = stats_vector(stats, 0)->storms;
	for (round = 0; round < 4; round++) {
		if (round != 1) {
			CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
			CHECK_EQ(irq_eventfd(fd, 0, event), 0);
		}
		if (round < 3)
			CHECK_EQ(irq_limit(fd, 0, limits[round]), 0);
		for (i = 0; i < 300; i++) {
			edu_raise(regs, 1);
			CHECK_EQ(taken(event), 1);
			edu_ack(regs);
		}
		CHECK_EQ(stats_vector(stats, 0)->storms, storms);
		CHECK_EQ(irq_limit(fd, 0, 1), 0);
	}
	stats_unmap(stats);
	close(fd);
}

/* The guard masks the vector that storms, and no other. */
TEST(irq_storm_on_one_of_several)
{
	const struct userpci_uapi_stats *stats;
	struct e1000e nic;
	unsigned int i;
	uint32_t n, storms;

	e1000e_start(&nic);
	stats = stats_map(nic.fd);
	n = stats_word(&stats->num_events);
	storms = stats_vector(stats, 3)->storms;
	CHECK_EQ(irq_limit(nic.fd, 3, 5), 0);
	for (i = 0; i < 100000 && stats_vector(stats, 3)->storms == storms; i++) {
		e1000e_raise(&nic, 3);
		CHECK(taken(nic.events[3]) > 0);
	}
	CHECK_EQ(stats_wait(stats, n, USERPCI_EVENT_STORM).value, 3);
	e1000e_settle(&nic);
	taken_now(nic.events[3]);
	e1000e_raise(&nic, 3);
	for (i = 0; i < E1000E_VECTORS; i++) {
		if (i == 3)
			continue;
		e1000e_raise(&nic, i);
		CHECK(taken(nic.events[i]) > 0);
	}
	e1000e_settle(&nic);
	CHECK_EQ(taken_now(nic.events[3]), 0);
	CHECK_EQ(irq_mask(nic.fd, 3, 0), 0);
	CHECK(taken(nic.events[3]) > 0);
	stats_unmap(stats);
	e1000e_stop(&nic);
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

static pid_t reads_once(int fd)
{
	pid_t pid = fork();
	uint32_t count;

	CHECK(pid >= 0);
	if (!pid)
		_exit(read(fd, &count, sizeof(count)) == sizeof(count) ? 0 : errno);
	return pid;
}

/* The first that sleeps is woken in a way of its own: also the second first, when that is gone. */
TEST(irq_read_wakes_all)
{
	int fd = node_own(EDU), files[4], status;
	void *regs = edu_map(fd);
	pid_t pids[4];
	unsigned int i;

	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	for (i = 0; i < 4; i++) {
		files[i] = node_open(device_bind(EDU), O_RDONLY);
		pids[i] = reads_once(files[i]);
		usleep(50000); /* it sleeps by now; if not, the test is only weaker */
		if (!i) {
			kill(pids[0], SIGKILL);
			CHECK_EQ(waitpid(pids[0], &status, 0), pids[0]);
		}
	}
	edu_raise(regs, 1);
	for (i = 1; i < 4; i++) {
		CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
		CHECK_EQ(status, 0);
	}
	edu_ack(regs);
	munmap(regs, 1 << 20);
	close(fd);
}

/* With USERPCI_IRQ_READ_UNMASKS the owner's read() lets INTx in, when all before was told. */
TEST(irq_read_unmasks)
{
	struct userpci_uapi_irq i = SIZED(userpci_uapi_irq);
	int fd = node_own(EDU), observer = node_open(device_bind(EDU), O_RDONLY | O_NONBLOCK);
	void *regs = edu_map(fd);
	uint32_t first, count;
	int round, status;
	pid_t pid;

	i.kind = USERPCI_IRQ_MSI, i.count = 1, i.flags = USERPCI_IRQ_READ_UNMASKS;
	CHECK_EQ(call(fd, USERPCI_IRQ_ENABLE, &i), -EINVAL);
	i.kind = USERPCI_IRQ_INTX, i.flags = USERPCI_IRQ_READ_UNMASKS | 2;
	CHECK_EQ(call(fd, USERPCI_IRQ_ENABLE, &i), -EINVAL);
	i.flags = USERPCI_IRQ_READ_UNMASKS;
	CHECK_EQ(call(fd, USERPCI_IRQ_ENABLE, &i), 0);
	edu_raise(regs, 1);
	CHECK_EQ(read(fd, &first, sizeof(first)), sizeof(first));
	CHECK_EQ(read(observer, &count, sizeof(count)), sizeof(count));
	for (round = 1; round <= 3; round++) {
		edu_ack(regs);
		edu_raise(regs, 1);
		/* Masked, and an observer changes nothing. */
		CHECK_EQ(read(observer, &count, sizeof(count)), -1);
		CHECK_EQ(errno, EAGAIN);
		CHECK_EQ(read(fd, &count, sizeof(count)), sizeof(count));
		CHECK_EQ(count, first + round);
		CHECK_EQ(read(observer, &count, sizeof(count)), sizeof(count));
		CHECK_EQ(count, first + round);
	}
	/* Not acknowledged: it is told again. Acknowledged: the read sleeps until the next. */
	CHECK_EQ(read(fd, &count, sizeof(count)), sizeof(count));
	CHECK_EQ(count, first + round);
	edu_ack(regs);
	pid = reads_once(fd);
	usleep(100000); /* it sleeps in read() by now; if not, the test is only weaker */
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	edu_raise(regs, 1);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	edu_ack(regs);
	munmap(regs, 1 << 20);
	close(observer);
	close(fd);
}

static void run_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
}

/* How often nobody cared for edu's interrupt, as the kernel has counted. */
static unsigned int unhandled(const char *address)
{
	char path[64];
	unsigned int irq, count;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/irq", address);
	f = fopen(path, "r");
	CHECK(f && fscanf(f, "%u", &irq) == 1);
	fclose(f);
	snprintf(path, sizeof(path), "/proc/irq/%u/spurious", irq);
	f = fopen(path, "r");
	CHECK(f && fscanf(f, "count %*u unhandled %u", &count) == 1);
	fclose(f);
	return count;
}

/* To let an interrupt in that is not held back changes nothing, also in the moment it comes. */
TEST(irq_intx_unmask_while_it_comes)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU), event = new_eventfd(), round;
	void *regs = edu_map(fd);
	pid_t pid;

	CHECK_EQ(irq_set(fd, USERPCI_IRQ_INTX, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	pid = fork();
	CHECK(pid >= 0);
	run_on(!!pid);
	while (!pid)
		(void)irq_mask(fd, 0, 0);
	for (round = 0; round < 100; round++) {
		edu_raise(regs, 1);
		CHECK(taken(event) >= 1);
		usleep(1000); /* a line that stays up unmasked would be heard */
		edu_ack(regs);
		usleep(round * 10);
	}
	CHECK(unhandled(address) < 100);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	munmap(regs, 1 << 20);
	close(event);
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
