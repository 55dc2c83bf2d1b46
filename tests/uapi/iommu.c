/* SPDX-License-Identifier: MIT */
/* Behind an IOMMU: the device reaches its own buffers, each at one iova, and nothing else. */
#include "kit.h"

TEST_IOMMU(iommu_is_told)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	int fd = node_own(EDU);

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	CHECK_EQ(info.flags & USERPCI_INFO_IOMMU, USERPCI_INFO_IOMMU);
	close(fd);
}

/* The iovas of all kinds are below the mask, wherever the pages are. */
TEST_IOMMU(iommu_mask)
{
	uint8_t *va = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	struct userpci_uapi_dma d;
	unsigned int kind;
	int fd = node_own(EDU);

	CHECK_EQ(dma_mask(fd, 24), 0);
	for (kind = USERPCI_DMA_CONTIGUOUS; kind <= USERPCI_DMA_PINNED; kind++) {
		if (kind == USERPCI_DMA_PINNED)
			CHECK_EQ(dma_pin(fd, va, 64 * PAGE, &d), 0);
		else
			d = dma_of(fd, kind, 64 * PAGE);
		CHECK_EQ(d.chunks, 1);
		CHECK(d.iova + d.bytes <= 1 << 24);
	}
	close(fd);
}

/* One iova for many pages that lie anywhere: the device moves data from edge to edge. */
TEST_IOMMU(iommu_one_iova)
{
	enum { PAGES = 1024 };
	uint8_t *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct userpci_uapi_dma d;
	unsigned int kind, page;
	uint8_t *va;
	void *regs;
	int fd = edu_own(&regs);

	for (kind = USERPCI_DMA_CHUNKED; kind <= USERPCI_DMA_PINNED; kind++) {
		if (kind == USERPCI_DMA_PINNED) {
			CHECK_EQ(dma_pin(fd, memory, PAGES * PAGE, &d), 0);
			va = memory;
		} else {
			d = dma_of(fd, kind, PAGES * PAGE);
			va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
		}
		CHECK_EQ(d.chunks, 1);
		CHECK_EQ(dma_piece(fd, d.handle, 0).chunk_bytes, d.bytes);
		for (page = 0; page < PAGES; page++)
			va[page * PAGE] = (uint8_t)(page * 7);
		/* Across page edges on both sides. */
		for (page = 1; page + 1 < PAGES; page += 170) {
			uint64_t from = page * PAGE - 100, to = (PAGES - page) * PAGE - 3000;

			memset(va + from, (int)page, 200);
			edu_move(regs, d.iova + from, d.iova + to, 200);
			CHECK(all_bytes(va + to, (uint8_t)page, 200));
		}
		CHECK_EQ(dma_free(fd, d.handle), 0);
	}
	close(fd);
}

/* The kernel's log from now on. It takes few faults in 5 seconds: those before are over then. */
static int open_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	CHECK(fd >= 0);
	sleep(6);
	CHECK(lseek(fd, 0, SEEK_END) >= 0);
	return fd;
}

/* Waits until the log has a fault at this address; the test ends when it never has. */
static void wait_for_fault(int log, uint64_t iova)
{
	char line[8192], want[64];
	ssize_t n;

	snprintf(want, sizeof(want), "fault addr 0x%" PRIx64, iova & ~(PAGE - 1));
	while (readable(log, PATIENCE_MS, NULL) == 1) {
		n = read(log, line, sizeof(line) - 1);
		if (n < 0)
			continue;
		line[n] = '\0';
		if (strstr(line, "DMAR:") && strstr(line, want))
			return;
	}
	HARNESS_FAIL("the log has no \"%s\"", want);
}

/* The physical address of a page of this process, which an IOMMU-less device could use. */
static uint64_t physical(const void *va)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry;

	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, &entry, 8, (off_t)((uintptr_t)va / PAGE * 8)), 8);
	close(fd);
	CHECK(entry >> 63);
	CHECK(entry << 9);
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

/* Written by its physical address: blocked, and reported. */
TEST_IN("stray", stray_to_no_buffer)
{
	uint8_t *va = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	int log = open_log(), fd;
	uint64_t phys;
	void *regs;

	CHECK(va != MAP_FAILED);
	memset(va, 0x5d, PAGE);
	phys = physical(va);
	fd = edu_own(&regs);
	dma_get(fd, PAGE);
	edu_dma_start(regs, EDU_MEMORY, phys, 4000, 1);
	edu_dma_wait(regs);
	wait_for_fault(log, phys);
	CHECK(all_bytes(va, 0x5d, PAGE));
	CHECK_EQ(physical(va), phys);
	close(fd);
	close(log);
}

/* A buffer of each kind that is freed: what is still mapped of it is out of the device's reach. */
TEST_IN("stray", stray_to_a_freed_buffer)
{
	uint8_t *memory = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
	int log = open_log(), fd;
	struct userpci_uapi_dma d;
	unsigned int kind;
	uint8_t *va;
	void *regs;

	fd = edu_own(&regs);
	for (kind = USERPCI_DMA_CONTIGUOUS; kind <= USERPCI_DMA_PINNED; kind++) {
		if (kind == USERPCI_DMA_PINNED) {
			CHECK_EQ(dma_pin(fd, memory, 16 * PAGE, &d), 0);
			va = memory;
		} else {
			d = dma_of(fd, kind, 16 * PAGE);
			va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
		}
		/* It works while the buffer is there, and leaves its trace in the IOMMU's cache. */
		memset(va, 0x5d, 16 * PAGE);
		edu_move(regs, d.iova, d.iova + 8 * PAGE, 4000);
		memset(va, 0x5e, 16 * PAGE);
		CHECK_EQ(dma_free(fd, d.handle), 0);
		edu_dma_start(regs, EDU_MEMORY, d.iova + 8 * PAGE, 4000, 1);
		edu_dma_wait(regs);
		/* The kernel does not report every one of many. */
		if (kind == USERPCI_DMA_CONTIGUOUS)
			wait_for_fault(log, d.iova + 8 * PAGE);
		CHECK(all_bytes(va, 0x5e, 16 * PAGE));
	}
	close(fd);
	close(log);
}

/* The former owner's, to which the device still writes when the next one lets it. */
TEST_IN("stray", stray_to_a_former_owner)
{
	int log = open_log(), fd;
	struct userpci_uapi_dma d, mine;
	uint8_t *va;
	void *regs;

	fd = edu_own(&regs);
	d = dma_of(fd, USERPCI_DMA_SHARED, 16 * PAGE);
	va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
	memset(va, 0x5d, 16 * PAGE);
	CHECK_EQ(munmap(regs, 1 << 20), 0);
	close(fd);
	fd = edu_own(&regs);
	mine = dma_get(fd, 2 * PAGE);
	CHECK(d.iova + d.bytes <= mine.iova || mine.iova + mine.bytes <= d.iova);
	edu_dma_start(regs, EDU_MEMORY, d.iova, 4000, 1);
	edu_dma_wait(regs);
	wait_for_fault(log, d.iova);
	CHECK(all_bytes(va, 0x5d, 16 * PAGE));
	close(fd);
	close(log);
}
