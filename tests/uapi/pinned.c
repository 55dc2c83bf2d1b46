/* SPDX-License-Identifier: MIT */
/* The caller's own memory, pinned for the device: what can be, what is counted, what is left. */
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kit.h"

#define HUGE (2ul << 20)

static uint8_t *anonymous(uint64_t bytes, int flags)
{
	void *va = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags,
			-1, 0);

	CHECK(va != MAP_FAILED);
	return va;
}

/* Pages that are pinned now, by anybody. */
static uint64_t pinned_pages(void)
{
	return vmstat("nr_foll_pin_acquired") - vmstat("nr_foll_pin_released");
}

TEST(pinned_checks)
{
	struct userpci_uapi_dma d, good = SIZED(userpci_uapi_dma);
	uint8_t *va = anonymous(8 * PAGE, 0);
	uint64_t before = pinned_pages();
	int fd = node_own(EDU);
	void *regs = edu_map(fd);

	good.kind = USERPCI_DMA_PINNED;
	good.bytes = 2 * PAGE;
	good.address = (uintptr_t)va;
	d = good, d.bytes = 0;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
	d = good, d.bytes = PAGE + 1;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
	d = good, d.address += 8;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
	d = good, d.address += 8, d.bytes = PAGE - 8;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
	d = good, d.reserved2 = 1;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
	d = good, d.bytes = -(uint64_t)PAGE;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -ENOMEM);
	d = good, d.address = 0;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EFAULT);
	d = good, d.address = UINT64_MAX - 2 * PAGE + 1; /* the kernel's */
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EFAULT);
	d = good, d.address += 1ull << 47; /* not the process's; a 32-bit one's has no such bit */
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EFAULT);
	d = good, d.address = (uintptr_t)regs; /* registers */
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EFAULT);
	/* Its second half is not there. */
	CHECK_EQ(munmap(va + 4 * PAGE, 4 * PAGE), 0);
	d = good, d.bytes = 8 * PAGE;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EFAULT);
	/* Its second half cannot be written. */
	CHECK_EQ(mprotect(va + 2 * PAGE, 2 * PAGE, PROT_READ), 0);
	d = good, d.bytes = 4 * PAGE;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EFAULT);
	d = good, d.address = (uintptr_t)(va + 2 * PAGE);
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EFAULT);
	CHECK_EQ(pinned_pages(), before);
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &good), 0);
	CHECK_EQ(good.offset, 0);
	CHECK_EQ(pinned_pages(), before + 2);
	/* There is nothing to map of it, at its handle's offset neither. */
	d = dma_get(fd, PAGE);
	CHECK_EQ(map_error(fd, d.offset + ((uint64_t)good.handle - d.handle) * (1ull << 32), PAGE,
			   PROT_READ, MAP_SHARED),
		 -EINVAL);
	CHECK_EQ(dma_free(fd, good.handle), 0);
	CHECK_EQ(pinned_pages(), before);
	close(fd);
}

/* The device reads and writes every page of it, where the process does. */
static void check_pinned(uint8_t *va, uint64_t bytes, uint64_t step)
{
	struct userpci_uapi_dma_get g;
	struct userpci_uapi_dma d;
	uint64_t at, sum = 0;
	uint32_t i;
	void *regs;
	int fd = edu_own(&regs);

	CHECK_EQ(dma_pin(fd, va, bytes, &d), 0);
	CHECK_EQ(d.bytes, bytes);
	CHECK_EQ(d.offset, 0);
	if (iommu_translates())
		CHECK_EQ(d.chunks, 1);
	for (i = 0; i < d.chunks; i++) {
		g = dma_piece(fd, d.handle, i);
		CHECK_EQ(g.kind, USERPCI_DMA_PINNED);
		CHECK_EQ(g.offset, 0);
		CHECK_EQ(g.chunk_offset, sum);
		sum += g.chunk_bytes;
	}
	CHECK_EQ(sum, bytes);
	CHECK_EQ(dma_piece(fd, d.handle, 0).chunk_iova, d.iova);
	for (at = 0; at + 16 <= bytes; at += step) {
		uint64_t to = bytes - 16 - at;

		memset(va, 0, bytes);
		memcpy(va + at, "exactly 16 bytes", 16);
		edu_move(regs, dma_iova(fd, &d, at), dma_iova(fd, &d, to), 16);
		CHECK_EQ(memcmp(va + to, "exactly 16 bytes", 16), 0);
		memset(va + to, 0, 16);
		memset(va + at, 0, 16);
		CHECK(all_bytes(va, 0, bytes));
	}
	CHECK_EQ(dma_free(fd, d.handle), 0);
	CHECK_EQ(munmap(regs, 1 << 20), 0);
	close(fd);
}

TEST(pinned_anonymous)
{
	/* Not touched before: the device's pages are the process's all the same. */
	check_pinned(anonymous(64 * PAGE, 0), 64 * PAGE, 9 * PAGE + 32);
}

TEST(pinned_memfd)
{
	int file = memfd_create("pinned", MFD_CLOEXEC);

	CHECK(file >= 0);
	CHECK_EQ(ftruncate(file, 16 * PAGE), 0);
	check_pinned(map(file, 0, 16 * PAGE, PROT_READ | PROT_WRITE), 16 * PAGE, 5 * PAGE);
	close(file);
}

static void check_hugepages(void *data)
{
	uint8_t *va = anonymous(2 * HUGE, MAP_HUGETLB);
	struct userpci_uapi_dma d;
	int fd = node_own(EDU);

	(void)data;
	/* One page is one piece; a part of it may be pinned as well. */
	CHECK_EQ(dma_pin(fd, va, HUGE, &d), 0);
	CHECK_EQ(d.chunks, 1);
	CHECK_EQ(dma_free(fd, d.handle), 0);
	CHECK_EQ(dma_pin(fd, va + 3 * PAGE, HUGE / 2, &d), 0);
	CHECK_EQ(d.chunks, 1);
	CHECK_EQ(dma_free(fd, d.handle), 0);
	close(fd);
	check_pinned(va, 2 * HUGE, HUGE / 2);
}

TEST(pinned_hugepages)
{
	uint64_t before = pinned_pages();
	int status;

	CHECK_EQ(sysfs_write("/proc/sys/vm/nr_hugepages", "4"), 0);
	status = run_child(check_hugepages, NULL);
	CHECK_EQ(sysfs_write("/proc/sys/vm/nr_hugepages", "0"), 0);
	passed(status);
	CHECK_EQ(pinned_pages(), before);
	CHECK_EQ(file_field("/proc/meminfo", "HugePages_Total"), 0);
}

/* A fork makes copies of pages that are written: the device's stay the parent's. */
TEST(pinned_survives_fork)
{
	struct userpci_uapi_dma d;
	uint8_t *va = anonymous(PAGE, 0);
	void *regs;
	int fd = edu_own(&regs), go[2], status;
	char byte;
	pid_t pid;

	CHECK_EQ(pipe(go), 0);
	memset(va, 0x11, PAGE);
	CHECK_EQ(dma_pin(fd, va, PAGE, &d), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		va[0] = 0x22;
		CHECK_EQ(read(go[0], &byte, 1), 1);
		CHECK_EQ(va[0], 0x22);
		CHECK_EQ(va[64], 0x11);
		_exit(0);
	}
	va[0] = 0x33;
	edu_move(regs, d.iova, d.iova + 64, 1);
	CHECK_EQ(va[64], 0x33);
	CHECK_EQ(write(go[1], "x", 1), 1);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	passed(status);
	close(fd);
}

/* The process takes its memory back before the buffer is freed: the device's pages stay. */
TEST(pinned_unmapped_by_the_process)
{
	uint64_t before = pinned_pages();
	struct userpci_uapi_dma d;
	uint8_t *va = anonymous(16 * PAGE, 0), *other;
	void *regs;
	int fd = edu_own(&regs);

	memset(va, 0x44, 16 * PAGE);
	CHECK_EQ(dma_pin(fd, va, 16 * PAGE, &d), 0);
	CHECK_EQ(munmap(va, 16 * PAGE), 0);
	other = anonymous(1024 * PAGE, MAP_POPULATE);
	memset(other, 0x55, 1024 * PAGE);
	edu_move(regs, dma_iova(fd, &d, 0), dma_iova(fd, &d, 8 * PAGE), 4000);
	CHECK(all_bytes(other, 0x55, 1024 * PAGE));
	CHECK_EQ(pinned_pages(), before + 16);
	CHECK_EQ(dma_free(fd, d.handle), 0);
	CHECK_EQ(pinned_pages(), before);
	close(fd);
}

static void pin_and_end(void *data)
{
	uint8_t *va = anonymous(16 * PAGE, 0);
	struct userpci_uapi_dma d;

	CHECK_EQ(dma_pin(*(int *)data, va, 16 * PAGE, &d), 0);
}

/* A child pins its memory by its parent's descriptor, and ends. The buffer is the device's. */
TEST(pinned_by_a_child)
{
	struct userpci_uapi_dma_get g;
	uint64_t before;
	int fd;

	device_fresh(EDU);
	before = pinned_pages();
	fd = node_own(EDU);
	passed(run_child(pin_and_end, &fd));
	g = dma_piece(fd, 0, 0);
	CHECK_EQ(g.kind, USERPCI_DMA_PINNED);
	CHECK_EQ(g.bytes, 16 * PAGE);
	CHECK_EQ(pinned_pages(), before + 16);
	CHECK_EQ(dma_free(fd, 0), 0);
	CHECK_EQ(pinned_pages(), before);
	close(fd);
}

static void drop_ipc_lock(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	CHECK_EQ(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	CHECK_EQ(syscall(SYS_capset, &header, data), 0);
}

/* What the process has pinned, in KiB, as the kernel tells it. */
static uint64_t counted(void)
{
	return file_field("/proc/self/status", "VmPin") + file_field("/proc/self/status", "VmLck");
}

static void check_limit(void *data)
{
	const struct rlimit limit = { 16 * PAGE, 16 * PAGE };
	uint8_t *va = anonymous(32 * PAGE, 0);
	struct userpci_uapi_dma d, whole;
	int fd = node_own(RNG);

	(void)data;
	CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	/* Who has the capability may pin more. */
	CHECK_EQ(dma_pin(fd, va, 32 * PAGE, &d), 0);
	CHECK_EQ(dma_free(fd, d.handle), 0);
	drop_ipc_lock();
	CHECK_EQ(dma_pin(fd, va, 17 * PAGE, &d), -ENOMEM);
	CHECK_EQ(dma_pin(fd, va, 16 * PAGE, &whole), 0);
	CHECK_EQ(counted(), 16 * PAGE / 1024);
	CHECK_EQ(dma_pin(fd, va, PAGE, &d), -ENOMEM);
	CHECK_EQ(counted(), 16 * PAGE / 1024);
	/* One that fails for another reason is counted no more than one that succeeds. */
	CHECK_EQ(dma_free(fd, whole.handle), 0);
	CHECK_EQ(counted(), 0);
	CHECK_EQ(munmap(va + 31 * PAGE, PAGE), 0);
	CHECK_EQ(dma_pin(fd, va + 24 * PAGE, 8 * PAGE, &d), -EFAULT);
	CHECK_EQ(counted(), 0);
	CHECK_EQ(dma_pin(fd, va, 8 * PAGE, &d), 0);
	CHECK_EQ(dma_pin(fd, va, 8 * PAGE, &d), 0); /* twice the same: counted twice */
	CHECK_EQ(dma_pin(fd, va, PAGE, &d), -ENOMEM);
	/* What the module allocates is not counted here. */
	dma_of(fd, USERPCI_DMA_SHARED, 64 * PAGE);
	close(fd);
	CHECK_EQ(counted(), 0);
}

TEST(pinned_memlock_limit)
{
	uint64_t before = pinned_pages();

	passed(run_child(check_limit, NULL));
	CHECK_EQ(pinned_pages(), before);
}

static void pin_much(void *data)
{
	int fd = node_own(data);
	struct userpci_uapi_dma d;
	uint8_t *va = anonymous(8 << 20, 0);
	int i;

	for (i = 0; i < 8; i++)
		CHECK_EQ(dma_pin(fd, va + (i << 20), 1 << 20, &d), 0);
}

/* Whatever ends the process, no page stays pinned. */
TEST(pinned_freed_at_sigkill)
{
	uint64_t before = pinned_pages();
	pid_t child;
	int round;

	device_fresh(RNG);
	for (round = 0; round < 20; round++) {
		child = start_child(pin_much, (void *)(uintptr_t)RNG);
		CHECK_EQ(pinned_pages(), before + 8 * 256);
		kill_child(child);
		close(node_own(RNG)); /* the owner's end is over */
		CHECK_EQ(pinned_pages(), before);
	}
}

/* A function without a reset may write there until it is unbound. */
TEST(pinned_freed_at_unbind)
{
	uint64_t before = pinned_pages();
	pid_t child;

	device_fresh(EDU);
	child = start_child(pin_much, (void *)(uintptr_t)EDU);
	CHECK_EQ(pinned_pages(), before + 8 * 256);
	kill_child(child);
	close(node_own(EDU));
	CHECK_EQ(pinned_pages(), before + (iommu_translates() ? 0 : 8 * 256));
	device_unbind(device_bind(EDU));
	CHECK_EQ(pinned_pages(), before);
}

/* The device goes first, then the process, with the descriptor open all the time. */
TEST(pinned_freed_when_the_device_goes)
{
	uint64_t before = pinned_pages();
	struct userpci_uapi_dma d;
	uint8_t *va = anonymous(64 * PAGE, 0);
	int fd = node_own(EDU);

	CHECK_EQ(dma_pin(fd, va, 64 * PAGE, &d), 0);
	memset(va, 0x12, 64 * PAGE);
	device_unbind(device_bind(EDU));
	CHECK_EQ(pinned_pages(), before);
	CHECK(all_bytes(va, 0x12, 64 * PAGE));
	CHECK_EQ(dma_pin(fd, va, PAGE, &d), -ENODEV);
	close(fd);
	CHECK_EQ(pinned_pages(), before);
}

static uint8_t *map_buffer(int fd, const struct userpci_uapi_dma *d, int prot)
{
	void *va = mmap(NULL, d->bytes, prot, MAP_SHARED, fd, (off_t)d->offset);

	CHECK(va != MAP_FAILED);
	return va;
}

/* Two functions and one buffer: the second's DMA goes on when the first has given it back. */
static void share_with_edu(unsigned int kind)
{
	struct userpci_uapi_dma first, second;
	uint64_t before = pinned_pages();
	uint8_t *va, *other;
	int owner, fd;
	void *regs;

	owner = node_own(RNG);
	fd = edu_own(&regs);
	CHECK_EQ(dma_mask(owner, 28), 0);
	first = dma_of(owner, kind, 16 * PAGE);
	va = map_buffer(owner, &first, PROT_READ | PROT_WRITE);
	CHECK_EQ(dma_pin(fd, va + 4 * PAGE, 12 * PAGE, &second), 0);
	CHECK_EQ(dma_pin(fd, va + 8 * PAGE, 12 * PAGE, &first), -EFAULT); /* beyond its end */
	CHECK_EQ(second.offset, 0);
	if (kind == USERPCI_DMA_CONTIGUOUS)
		CHECK_EQ(second.chunks, 1);
	memcpy(va + 5 * PAGE, "exactly 16 bytes", 16);
	edu_move(regs, dma_iova(fd, &second, PAGE), dma_iova(fd, &second, 11 * PAGE), 16);
	CHECK_EQ(memcmp(va + 15 * PAGE, "exactly 16 bytes", 16), 0);
	CHECK_EQ(munmap(va, 16 * PAGE), 0);
	close(owner);
	other = anonymous(1024 * PAGE, MAP_POPULATE);
	memset(other, 0x55, 1024 * PAGE);
	edu_move(regs, dma_iova(fd, &second, PAGE), dma_iova(fd, &second, 8 * PAGE), 4000);
	CHECK(all_bytes(other, 0x55, 1024 * PAGE));
	CHECK_EQ(dma_free(fd, second.handle), 0);
	CHECK_EQ(pinned_pages(), before);
	CHECK_EQ(munmap(other, 1024 * PAGE), 0);
	CHECK_EQ(munmap(regs, 1 << 20), 0);
	close(fd);
}

TEST(pinned_from_another_function)
{
	share_with_edu(USERPCI_DMA_CONTIGUOUS);
	share_with_edu(USERPCI_DMA_CHUNKED);
	share_with_edu(USERPCI_DMA_SHARED);
}

/* What may not be written may not be given to a device that writes. */
TEST(pinned_from_another_function_checks)
{
	struct userpci_uapi_dma first, d;
	int owner = node_own(RNG);
	uint8_t *va;
	void *regs;
	int fd;

	fd = edu_own(&regs);
	CHECK_EQ(dma_mask(owner, 28), 0);
	first = dma_of(owner, USERPCI_DMA_CONTIGUOUS, 4 * PAGE);
	va = map_buffer(owner, &first, PROT_READ);
	CHECK_EQ(dma_pin(fd, va, 4 * PAGE, &d), -EFAULT);
	CHECK_EQ(munmap(va, 4 * PAGE), 0);
	CHECK_EQ(dma_pin(fd, va, 4 * PAGE, &d), -EFAULT);
	CHECK_EQ(dma_pin(fd, regs, PAGE, &d), -EFAULT);
	va = map_buffer(owner, &first, PROT_READ | PROT_WRITE);
	CHECK_EQ(mprotect(va, 4 * PAGE, PROT_READ), 0);
	CHECK_EQ(dma_pin(fd, va, 4 * PAGE, &d), -EFAULT);
	close(fd);
	close(owner);
}
