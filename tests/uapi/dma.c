/* SPDX-License-Identifier: MIT */
/* Contiguous DMA buffers, with edu as the witness of what a device sees at an iova. */
#include <sys/wait.h>

#include "kit.h"

static int edu_own_28(void **regs)
{
	int fd = node_own(EDU);

	*regs = map(fd, region_get(fd, 0).offset, 1 << 20, PROT_READ | PROT_WRITE);
	CHECK_EQ(dma_mask(fd, 28), 0);
	CHECK_EQ(bus_master(fd, 1), 0);
	return fd;
}

static void edu_release(int fd, void *regs)
{
	munmap(regs, 1 << 20);
	close(fd);
}

TEST(dma_mask_checks)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	struct userpci_uapi_dma d;
	int fd = node_own(EDU);

	CHECK_EQ(dma_mask(fd, 23), -EINVAL);
	CHECK_EQ(dma_mask(fd, 65), -EINVAL);
	CHECK_EQ(dma_mask(fd, 64), 0);
	CHECK_EQ(dma_mask(fd, 28), 0);
	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	CHECK_EQ(info.dma_mask_bits, 28);
	d = dma_get(fd, PAGE);
	CHECK_EQ(dma_mask(fd, 32), -EBUSY);
	CHECK_EQ(call(fd, USERPCI_DMA_FREE, &d), 0);
	CHECK_EQ(dma_mask(fd, 32), 0);
	close(fd);
	/* The next owner begins anew. */
	fd = node_own(EDU);
	CHECK_EQ(dma_mask(fd, 28), 0);
	close(fd);
	fd = node_own(EDU);
	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	CHECK_EQ(info.dma_mask_bits, 32);
	close(fd);
}

TEST(dma_alloc_checks)
{
	struct userpci_uapi_dma d = SIZED(userpci_uapi_dma);
	int fd = node_own(EDU);

	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
	d.bytes = PAGE;
	d.kind = 9;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EINVAL);
	d.kind = 0;
	d.bytes = (4 << 20) + 1;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -ENOMEM);
	d.bytes = UINT64_MAX;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -ENOMEM);
	d.bytes = UINT64_MAX - PAGE;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -ENOMEM);
	CHECK_EQ(call(fd, USERPCI_DMA_FREE, &d), -ENOENT);
	d.handle = UINT32_MAX;
	CHECK_EQ(call(fd, USERPCI_DMA_FREE, &d), -ENOENT);
	close(fd);
}

/* Sizes that are no power of two; several at a time, each below the mask and all apart. */
/* A buffer whose handle the caller cannot be told is nobody's: it is freed. */
TEST(dma_alloc_without_an_answer)
{
	struct userpci_uapi_dma_get g = SIZED(userpci_uapi_dma_get);
	struct userpci_uapi_dma *d = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = node_own(EDU), kind;

	CHECK(d != MAP_FAILED);
	for (kind = USERPCI_DMA_CONTIGUOUS; kind <= USERPCI_DMA_SHARED; kind++) {
		CHECK_EQ(mprotect(d, PAGE, PROT_READ | PROT_WRITE), 0);
		*d = (struct userpci_uapi_dma)SIZED(userpci_uapi_dma);
		d->kind = (uint32_t)kind;
		d->bytes = PAGE;
		CHECK_EQ(mprotect(d, PAGE, PROT_READ), 0);
		CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, d), -EFAULT);
		g.flags = USERPCI_DMA_NEXT;
		CHECK_EQ(call(fd, USERPCI_DMA_GET, &g), -ENOENT);
	}
	close(fd);
}

TEST(dma_several_buffers)
{
	static const uint64_t sizes[] = { 1, PAGE, PAGE + 1, 3 * PAGE, 65536, 100000, 1 << 20 };
	enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
	struct userpci_uapi_dma d[COUNT];
	char *va[COUNT];
	unsigned int i, j;
	uint64_t k;
	int fd = node_own(EDU);

	CHECK_EQ(dma_mask(fd, 28), 0);
	for (i = 0; i < COUNT; i++) {
		d[i] = dma_get(fd, sizes[i]);
		CHECK_EQ(d[i].bytes, (sizes[i] + PAGE - 1) & ~(PAGE - 1));
		CHECK_EQ(d[i].iova % PAGE, 0);
		CHECK(d[i].iova + d[i].bytes <= 1 << 28);
		for (j = 0; j < i; j++)
			CHECK(d[i].iova + d[i].bytes <= d[j].iova ||
			      d[j].iova + d[j].bytes <= d[i].iova);
		va[i] = map(fd, d[i].offset, d[i].bytes, PROT_READ | PROT_WRITE);
		for (k = 0; k < d[i].bytes; k++)
			CHECK_EQ(va[i][k], 0);
		memset(va[i], (int)i + 1, d[i].bytes);
		/* A page more than the buffer has. */
		CHECK_EQ(map_error(fd, d[i].offset, d[i].bytes + PAGE, PROT_READ, MAP_SHARED),
			 -EINVAL);
	}
	for (i = 0; i < COUNT; i++) {
		for (k = 0; k < d[i].bytes; k++)
			CHECK_EQ(va[i][k], (char)(i + 1));
		munmap(va[i], d[i].bytes);
	}
	close(fd);
}

/* The device writes across page edges of a buffer: contiguous at its iova, as in the process. */
TEST(dma_contiguous_for_the_device)
{
	struct userpci_uapi_dma d;
	unsigned char *va;
	unsigned int page, i;
	void *regs;
	int fd = edu_own_28(&regs);

	d = dma_get(fd, 1 << 20);
	va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
	for (i = 0; i < EDU_BYTES; i++)
		va[i] = (unsigned char)(i * 7 + 3);
	edu_dma_start(regs, d.iova, EDU_MEMORY, EDU_BYTES, 0);
	edu_dma_wait(regs);
	for (page = 1; page < 256; page += 51) {
		uint64_t at = page * PAGE + 2048;

		edu_dma_start(regs, EDU_MEMORY, d.iova + at, EDU_BYTES, 1);
		edu_dma_wait(regs);
		CHECK_EQ(memcmp(va, va + at, EDU_BYTES), 0);
		CHECK_EQ(va[at - 1], 0);
		CHECK_EQ(va[at + EDU_BYTES], 0);
	}
	munmap(va, d.bytes);
	edu_release(fd, regs);
}

TEST(dma_without_bus_master)
{
	struct userpci_uapi_dma d;
	char *va;
	void *regs;
	int fd = edu_own_28(&regs);

	d = dma_get(fd, PAGE);
	va = map(fd, d.offset, PAGE, PROT_READ | PROT_WRITE);
	memset(va, 0x77, PAGE);
	CHECK_EQ(bus_master(fd, 0), 0);
	edu_dma_start(regs, EDU_MEMORY, d.iova, EDU_BYTES, 1);
	edu_dma_wait(regs);
	CHECK_EQ(va[0], 0x77);
	CHECK_EQ(va[4095], 0x77);
	munmap(va, PAGE);
	edu_release(fd, regs);
}

/* Freed while mapped: the pages stay for the map, the handle and the offset are gone. */
TEST(dma_freed_while_mapped)
{
	struct userpci_uapi_dma d, other;
	int fd = node_own(EDU);
	char *va;

	d = dma_get(fd, 4 * PAGE);
	va = map(fd, d.offset, 4 * PAGE, PROT_READ | PROT_WRITE);
	memset(va, 0x42, 4 * PAGE);
	CHECK_EQ(call(fd, USERPCI_DMA_FREE, &d), 0);
	CHECK_EQ(call(fd, USERPCI_DMA_FREE, &d), -ENOENT);
	CHECK_EQ(map_error(fd, d.offset, PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	other = dma_get(fd, 4 * PAGE);
	/* Behind an IOMMU an iova that is free may be given out again at once, with other pages. */
	CHECK(iommu_translates() || other.iova != d.iova);
	CHECK_EQ(va[0], 0x42);
	CHECK_EQ(va[4 * PAGE - 1], 0x42);
	munmap(va, 4 * PAGE);
	close(fd);
}

TEST(dma_most_buffers)
{
	struct userpci_uapi_dma d = SIZED(userpci_uapi_dma);
	unsigned int i;
	int fd;

	device_unbind(device_bind(EDU)); /* what the tests before have left */
	fd = node_own(EDU);
	for (i = 0; i < 1024; i++)
		dma_get(fd, PAGE);
	d.bytes = PAGE;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -ENOSPC);
	d.handle = 500;
	CHECK_EQ(call(fd, USERPCI_DMA_FREE, &d), 0);
	d = dma_get(fd, PAGE);
	CHECK_EQ(d.handle, 500);
	close(fd);
}

/* Takes 16 MiB, gives half of it back, and exits with the rest mapped. */
static void take_and_exit(const char *id)
{
	int fd = node_own(id), i;

	for (i = 0; i < 16; i++) {
		struct userpci_uapi_dma d = dma_get(fd, 1 << 20);
		char *va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);

		CHECK_EQ(va[0], 0);
		CHECK_EQ(va[(1 << 20) - 1], 0);
		memset(va, 0xa5, d.bytes);
		if (i % 2)
			CHECK_EQ(call(fd, USERPCI_DMA_FREE, &d), 0);
	}
	_exit(0);
}

/* 1.6 GiB pass through a guest that has a third of it: an exit that leaked would end in ENOMEM. */
static void check_exits(const char *id)
{
	int round, status;
	pid_t pid;

	device_unbind(device_bind(id));
	device_bind(id);
	for (round = 0; round < 100; round++) {
		pid = fork();
		CHECK(pid >= 0);
		if (!pid)
			take_and_exit(id);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
	}
}

TEST(dma_freed_at_exit)
{
	check_exits(RNG);
}

/* Without a reset the buffers stay with the function: the next owner gets them, zeroed. */
TEST(dma_kept_at_exit_without_reset)
{
	check_exits(EDU);
}

/* A buffer that is kept is nobody's until it is allocated anew, and does not hold up a mask. */
TEST_BARE(dma_kept_is_not_reached)
{
	struct userpci_uapi_dma d, again;
	int fd;

	device_unbind(device_bind(EDU));
	fd = node_own(EDU);
	d = dma_get(fd, 3 * PAGE);
	close(fd);
	fd = node_own(EDU);
	CHECK_EQ(map_error(fd, d.offset, PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	CHECK_EQ(call(fd, USERPCI_DMA_FREE, &d), -ENOENT);
	CHECK_EQ(dma_mask(fd, 24), 0);
	if (d.iova >= 1 << 24) {
		again = dma_get(fd, 3 * PAGE);
		CHECK(again.iova < 1 << 24);
		CHECK_EQ(call(fd, USERPCI_DMA_FREE, &again), 0);
	}
	CHECK_EQ(dma_mask(fd, 32), 0);
	again = dma_get(fd, 3 * PAGE);
	CHECK_EQ(again.iova, d.iova);
	CHECK_EQ(again.handle, d.handle);
	close(fd);
}
