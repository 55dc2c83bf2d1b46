/* SPDX-License-Identifier: MIT */
/* The statistics: a map that the kernel writes, read without a call. */
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "kit.h"

/* Waits, by reading memory alone, for what a vector must count. */
static void wait_for_count(const volatile struct userpci_uapi_vector *v, uint64_t count)
{
	uint64_t i;

	/* Seconds of reads; a count that does not come ends the test. */
	for (i = 0; i < 1ull << 30 && v->interrupts < count; i++)
		continue;
	CHECK_EQ(v->interrupts, count);
}

TEST(stats_layout)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	const struct userpci_uapi_stats *stats;
	int fd = node_own(E1000E);

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	CHECK_EQ(info.stats_bytes % PAGE, 0);
	CHECK_EQ(info.stats_offset % PAGE, 0);
	CHECK_EQ(info.reserved, 0);
	CHECK(info.stats_offset < 1ull << 44); /* the reach of a 32-bit mmap2 */
	stats = stats_map(fd);
	CHECK_EQ(stats->size, sizeof(*stats));
	CHECK(stats->vectors_offset >= stats->size);
	CHECK_EQ(stats->vectors_offset % 8, 0);
	CHECK(stats->num_vectors >= info.num_msix);
	CHECK(stats->vectors_offset + stats->num_vectors * sizeof(struct userpci_uapi_vector) <=
	      info.stats_bytes);
	stats_unmap(stats);
	close(fd);
}

TEST(stats_owner)
{
	const char *address = device_bind(EDU);
	int observer = node_open(address, O_RDONLY), fd;
	const struct userpci_uapi_stats *stats = stats_map(observer);

	CHECK_EQ(stats_word(&stats->state), 0);
	CHECK_EQ(stats->owner, 0);
	fd = node_own(EDU);
	CHECK_EQ(stats_word(&stats->state), USERPCI_STATE_OWNED);
	CHECK_EQ(stats->owner, getpid());
	CHECK_EQ(node_open(address, O_RDWR), -EBUSY);
	CHECK_EQ(stats->owner, getpid());
	close(fd);
	CHECK_EQ(stats_word(&stats->state), 0);
	CHECK_EQ(stats->owner, 0);
	stats_unmap(stats);
	close(observer);
}

static void own_device(void *data)
{
	CHECK_EQ(getpid(), 1);
	node_own(data);
}

/* Its number in the first namespace, not in its own. */
TEST(stats_owner_in_another_namespace)
{
	int observer = node_open(device_bind(EDU), O_RDONLY);
	const struct userpci_uapi_stats *stats = stats_map(observer);
	pid_t child;

	CHECK_EQ(unshare(CLONE_NEWPID), 0);
	child = start_child(own_device, (void *)(uintptr_t)EDU);
	CHECK_EQ(stats->owner, child);
	kill_child(child);
	stats_unmap(stats);
	close(observer);
}

/* Both processes see each interrupt, by reads of memory. */
TEST(stats_count_interrupts)
{
	const volatile struct userpci_uapi_vector *v, *seen;
	const struct userpci_uapi_stats *stats, *observed;
	int observer = node_open(device_bind(EDU), O_RDONLY), i;
	uint64_t before;
	void *regs;
	int fd = edu_own(&regs);

	stats = stats_map(fd);
	observed = stats_map(observer);
	v = stats_vector(stats, 0);
	seen = stats_vector(observed, 0);
	before = v->interrupts;
	CHECK_EQ(stats_word(&stats->irq_count), 0);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(stats_word(&stats->irq_count), 1);
	CHECK_EQ(stats_word(&stats->irq_kind), USERPCI_IRQ_MSI);
	for (i = 1; i <= 500; i++) {
		edu_raise(regs, 1);
		wait_for_count(v, before + (uint64_t)i);
		CHECK_EQ(seen->interrupts, before + (uint64_t)i);
		edu_ack(regs);
	}
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_INTX, 1), 0);
	CHECK_EQ(stats_word(&stats->irq_kind), USERPCI_IRQ_INTX);
	edu_raise(regs, 1);
	wait_for_count(v, before + 501);
	edu_ack(regs);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_INTX, 0), 0);
	CHECK_EQ(stats_word(&stats->irq_count), 0);
	CHECK_EQ(v->interrupts, before + 501); /* since bind: they stay */
	close(fd);
	CHECK_EQ(seen->interrupts, before + 501);
	stats_unmap(observed);
	close(observer);
}

TEST(stats_count_each_vector)
{
	const volatile struct userpci_uapi_vector *v[E1000E_VECTORS];
	const struct userpci_uapi_stats *stats;
	uint64_t before[E1000E_VECTORS];
	struct e1000e nic;
	unsigned int i, j;

	e1000e_start(&nic);
	stats = stats_map(nic.fd);
	CHECK_EQ(stats_word(&stats->irq_kind), USERPCI_IRQ_MSIX);
	CHECK_EQ(stats_word(&stats->irq_count), E1000E_VECTORS);
	for (i = 0; i < E1000E_VECTORS; i++) {
		v[i] = stats_vector(stats, i);
		before[i] = v[i]->interrupts;
	}
	for (i = 0; i < E1000E_VECTORS; i++) {
		for (j = 0; j <= i; j++) {
			e1000e_raise(&nic, i);
			e1000e_settle(&nic);
		}
	}
	/* As many as the eventfds say. */
	for (i = 0; i < E1000E_VECTORS; i++) {
		CHECK(v[i]->interrupts - before[i] > i);
		CHECK_EQ(v[i]->interrupts - before[i], taken_now(nic.events[i]));
	}
	stats_unmap(stats);
	e1000e_stop(&nic);
}

struct counted {
	int fd;
	const struct userpci_uapi_stats *stats;
};

static void check_child_maps(void *data)
{
	struct counted *c = data;

	CHECK_EQ(stats_word(&c->stats->maps), 6);
}

TEST(stats_count_maps_and_bytes)
{
	struct userpci_uapi_dma d, shared;
	struct counted c;
	void *regs, *va;

	device_fresh(EDU);
	c.fd = node_own(EDU);
	c.stats = stats_map(c.fd);
	CHECK_EQ(stats_word(&c.stats->maps), 1);
	CHECK_EQ(c.stats->dma_bytes, 0);
	regs = edu_map(c.fd);
	CHECK_EQ(stats_word(&c.stats->maps), 2);
	d = dma_of(c.fd, USERPCI_DMA_CHUNKED, 5 * PAGE);
	CHECK_EQ(c.stats->dma_bytes, 5 * PAGE);
	va = map(c.fd, d.offset, d.bytes, PROT_READ);
	CHECK_EQ(stats_word(&c.stats->maps), 3);
	shared = dma_of(c.fd, USERPCI_DMA_SHARED, 3 * PAGE);
	CHECK_EQ(c.stats->dma_bytes, 8 * PAGE);
	map(c.fd, shared.offset, shared.bytes, PROT_READ);
	CHECK_EQ(stats_word(&c.stats->maps), 3);
	passed(run_child(check_child_maps, &c));
	CHECK_EQ(stats_word(&c.stats->maps), 3);
	CHECK_EQ(map_error(c.fd, 1ull << 41, PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	CHECK_EQ(stats_word(&c.stats->maps), 3);
	CHECK_EQ(dma_free(c.fd, d.handle), 0);
	CHECK_EQ(munmap(va, d.bytes), 0);
	CHECK_EQ(munmap(regs, 1 << 20), 0);
	CHECK_EQ(stats_word(&c.stats->maps), 1);
	CHECK_EQ(c.stats->dma_bytes, 3 * PAGE);
	CHECK_EQ(dma_free(c.fd, shared.handle), 0);
	CHECK_EQ(c.stats->dma_bytes, 0);
	close(c.fd);
}

/* Only the kernel writes there. */
TEST(stats_read_only)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	const struct userpci_uapi_stats *stats;
	int fd = node_own(EDU);
	void *page;

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	CHECK_EQ(map_error(fd, info.stats_offset, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED),
		 -EACCES);
	CHECK_EQ(map_error(fd, info.stats_offset, PAGE, PROT_WRITE, MAP_SHARED), -EACCES);
	CHECK_EQ(map_error(fd, info.stats_offset, PAGE, PROT_READ, MAP_PRIVATE), -EINVAL);
	CHECK_EQ(map_error(fd, info.stats_offset, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE),
		 -EINVAL);
	CHECK_EQ(map_error(fd, info.stats_offset, info.stats_bytes + PAGE, PROT_READ, MAP_SHARED),
		 -EINVAL);
	CHECK_EQ(map_error(fd, info.stats_offset + info.stats_bytes, PAGE, PROT_READ, MAP_SHARED),
		 -EINVAL);
	page = map(fd, info.stats_offset, PAGE, PROT_READ);
	CHECK_EQ(mprotect(page, PAGE, PROT_READ | PROT_WRITE), -1);
	CHECK_EQ(errno, EACCES);
	stats = page;
	CHECK_EQ(stats->size, sizeof(*stats));
	close(fd);
}

/* A process that holds only the map sees the end, and the next device is another one. */
TEST(stats_stay_when_the_device_goes)
{
	const char *address = device_bind(EDU);
	int fd, event = new_eventfd(), observer = node_open(address, O_RDONLY);
	const struct userpci_uapi_stats *stats = stats_map(observer), *fresh;
	uint64_t before;
	void *regs;
	uint32_t n;

	close(observer);
	fd = edu_own(&regs);
	before = stats_vector(stats, 0)->interrupts;
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(irq_eventfd(fd, 0, event), 0);
	edu_raise(regs, 1);
	CHECK_EQ(taken(event), 1);
	edu_ack(regs);
	n = stats_word(&stats->num_events);
	device_unbind(address);
	CHECK_EQ(stats_word(&stats->state) & USERPCI_STATE_GONE, USERPCI_STATE_GONE);
	CHECK_EQ(stats_count(stats, n, USERPCI_EVENT_GONE), 1);
	CHECK_EQ(munmap(regs, 1 << 20), 0);
	close(fd);
	CHECK_EQ(stats_word(&stats->state), USERPCI_STATE_GONE);
	CHECK_EQ(stats->owner, 0);
	CHECK_EQ(stats_vector(stats, 0)->interrupts, before + 1);
	device_bind(EDU);
	fd = node_own(EDU);
	fresh = stats_map(fd);
	CHECK_EQ(stats_word(&fresh->state), USERPCI_STATE_OWNED);
	CHECK_EQ(stats_vector(fresh, 0)->interrupts, 0);
	CHECK_EQ(stats_word(&stats->state), USERPCI_STATE_GONE);
	stats_unmap(stats);
	stats_unmap(fresh);
	close(fd);
}

/* Its pages are memory like any other's: for pipes, disks, and a debugger. */
TEST(stats_are_memory)
{
	int fd = node_own(EDU), disk = open_direct(), ends[2];
	const struct userpci_uapi_stats *stats = stats_map(fd);
	struct userpci_uapi_stats copy;
	struct iovec part = { (void *)(uintptr_t)stats, sizeof(copy) };
	struct iovec own = { &copy, sizeof(copy) };
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(vmsplice(ends[1], &part, 1, 0), sizeof(copy));
	CHECK_EQ(read(ends[0], &copy, sizeof(copy)), sizeof(copy));
	CHECK_EQ(memcmp(&copy, stats, sizeof(copy)), 0);
	memset(&copy, 0, sizeof(copy));
	CHECK_EQ(process_vm_readv(getpid(), &own, 1, &part, 1, 0), sizeof(copy));
	CHECK_EQ(memcmp(&copy, stats, sizeof(copy)), 0);
	CHECK_EQ(pwrite(disk, stats, PAGE, 0), PAGE);
	CHECK_EQ(pread(disk, page, PAGE, 0), PAGE);
	CHECK_EQ(memcmp(page, stats, PAGE), 0);
	/* But a disk does not write there. */
	CHECK_EQ(pread(disk, (void *)(uintptr_t)stats, PAGE, 0), -1);
	CHECK_EQ(errno, EFAULT);
	CHECK_EQ(munmap(page, PAGE), 0);
	close(disk);
	close(fd);
}

/* A futex that processes share is found by its file's page, which these pages have not. */
TEST(stats_no_shared_futex)
{
	int fd = node_own(EDU);
	const struct userpci_uapi_stats *stats = stats_map(fd);

	CHECK_EQ(syscall(SYS_futex, &stats->state, FUTEX_WAKE, 1, NULL, NULL, 0), -1);
	CHECK_EQ(errno, EFAULT);
	close(fd);
}
