/* SPDX-License-Identifier: MIT */
/* Memory near the device: in a guest of two nodes, with edu on the second and this on the first. */
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>

#include <userpci/userpci.h>

#include "kit.h"

/* Where a node's memory lies: Linux, /proc/zoneinfo, its zones' start_pfn and spanned pages. */
static void node_range(int node, uint64_t *first, uint64_t *end)
{
	FILE *zones = fopen("/proc/zoneinfo", "r");
	unsigned long spanned = 0, start;
	char line[128];
	int at = -1;

	CHECK(zones);
	*first = UINT64_MAX;
	*end = 0;
	while (fgets(line, sizeof(line), zones)) {
		sscanf(line, "Node %d, zone", &at);
		sscanf(line, " spanned %lu", &spanned);
		if (at != node || sscanf(line, " start_pfn: %lu", &start) != 1 || !spanned)
			continue;
		if (start * PAGE < *first)
			*first = start * PAGE;
		if ((start + spanned) * PAGE > *end)
			*end = (start + spanned) * PAGE;
	}
	fclose(zones);
	CHECK(*first < *end);
}

static void run_on_cpu_0(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	CHECK_EQ(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

/* By the library, which asks for them: the pages of shared memory, too. */
TEST_IN("numa", numa_library)
{
	struct userpci_dma_options options = { .size = 64 * PAGE };
	struct userpci_device *device;
	uint64_t first, end, at;
	struct userpci_dma dma;
	int mode = -1;

	run_on_cpu_0();
	node_range(1, &first, &end);
	CHECK_EQ(userpci_open(device_bind(EDU), 0, &device), 0);
	for (options.kind = 0; options.kind < USERPCI_DMA_PINNED; options.kind++) {
		CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
		for (at = 0; at < dma.size; at += PAGE)
			CHECK(userpci_dma_iova(&dma, at) >= first &&
			      userpci_dma_iova(&dma, at) < end);
	}
	/* The caller's own policy is what it was. */
	CHECK_EQ(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0), 0);
	CHECK_EQ(mode, MPOL_DEFAULT);
	userpci_close(device);
}

/* No IOMMU translates: the iova says where the memory is. */
TEST_IN("numa", numa_memory_is_near_the_device)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	uint64_t first, end, first0, end0, bytes;
	int fd = node_own(EDU), round, kind;

	run_on_cpu_0();
	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	CHECK_EQ(info.numa_node, 1);
	node_range(0, &first0, &end0);
	node_range(1, &first, &end);
	CHECK(end0 <= first || end <= first0);
	for (kind = USERPCI_DMA_CONTIGUOUS; kind <= USERPCI_DMA_CHUNKED; kind++)
		for (round = 0; round < 16; round++) {
			struct userpci_uapi_dma d;

			bytes = (uint64_t)PAGE << (round % 8);
			d = dma_of(fd, kind, bytes);
			if (d.iova < first || d.iova + bytes > end)
				HARNESS_FAIL("kind %d, round %d: at 0x%llx", kind, round,
					     (unsigned long long)d.iova);
		}
	close(fd);
}
