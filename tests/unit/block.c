/* SPDX-License-Identifier: MIT */
/*
 * Blocks of a device's memory: in a region that is mapped, in one that is QEMU's, and through the
 * wrapper, where each is words again.
 */
#include <userpci/mmio.h>
#include <userpci/userpci.h>

#include "harness.h"

#define BYTES 10000

static void fill(uint8_t *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8));
}

/* All places and sizes around a word; what lies beside them stays. */
static void check_edges(const struct userpci_region *memory)
{
	uint8_t before[64], data[64], expected[64], found[64];
	unsigned int offset, size;

	memset(before, 0xee, sizeof(before));
	fill(data, sizeof(data));
	for (offset = 0; offset < 9; offset++) {
		for (size = 0; size < 32; size++) {
			memcpy(expected, before, sizeof(expected));
			memcpy(expected + offset, data, size);
			CHECK_EQ(userpci_region_write_block(memory, 0, before, 64), 0);
			CHECK_EQ(userpci_region_write_block(memory, offset, data, size), 0);
			CHECK_EQ(userpci_region_read_block(memory, 0, found, 64), 0);
			CHECK(!memcmp(found, expected, 64));
			memset(found, 0, sizeof(found));
			CHECK_EQ(userpci_region_read_block(memory, offset, found, size), 0);
			CHECK(!memcmp(found, data, size) && !found[size]);
		}
	}
}

static void check_limits(const struct userpci_region *memory)
{
	uint8_t byte = 1;

	CHECK_EQ(userpci_region_write_block(memory, memory->size, &byte, 0), 0);
	CHECK_EQ(userpci_region_write_block(memory, memory->size, &byte, 1), -ERANGE);
	CHECK_EQ(userpci_region_read_block(memory, memory->size + 1, &byte, 0), -ERANGE);
	CHECK_EQ(userpci_region_read_block(memory, 1, &byte, SIZE_MAX), -ERANGE);
	CHECK_EQ(userpci_region_read_block(memory, UINT64_MAX, &byte, 2), -ERANGE);
	CHECK_EQ(byte, 1);
}

/* More than a line of QEMU's protocol, and the order of the bytes. */
static void check_large(const struct userpci_region *memory)
{
	static uint8_t data[BYTES], found[BYTES];

	fill(data, BYTES);
	CHECK_EQ(userpci_region_write_block(memory, 1001, data, BYTES), 0);
	CHECK_EQ(userpci_region_read_block(memory, 1001, found, BYTES), 0);
	CHECK(!memcmp(found, data, BYTES));
	CHECK_EQ(userpci_read8(memory, 1001), data[0]);
	CHECK_EQ(userpci_read32(memory, 1004), (uint32_t)data[3] | (uint32_t)data[4] << 8 |
						       (uint32_t)data[5] << 16 |
						       (uint32_t)data[6] << 24);
}

static struct userpci_device *open_memory(struct userpci_region *memory)
{
	struct userpci_device *device;
	char why[256];
	int err;

	alarm(60);
	setenv("USERPCI_QEMU_ARGS", "-object memory-backend-ram,id=shm,size=4M,share=on", 1);
	err = userpci_open("qemu:ivshmem-plain,memdev=shm", 0, &device);
	if (err == -ENOENT)
		SKIP("there is no QEMU; run scripts/setup guest");
	if (err)
		HARNESS_FAIL("%s", userpci_explain("qemu:ivshmem-plain", err, why, sizeof(why)));
	CHECK_EQ(userpci_region_map(device, 2, memory), 0);
	return device;
}

TEST(block_mapped)
{
	static uint64_t words[4096];
	const struct userpci_region memory = { .va = words, .size = sizeof(words) };

	check_edges(&memory);
	check_limits(&memory);
	check_large(&memory);
}

TEST(block_not_mapped)
{
	const struct userpci_region none = { .size = 4096 };
	uint8_t byte = 0;

	CHECK_EQ(userpci_region_read_block(&none, 0, &byte, 1), -EINVAL);
	CHECK_EQ(userpci_region_write_block(&none, 0, &byte, 1), -EINVAL);
}

TEST(block_qemu)
{
	struct userpci_region memory;
	struct userpci_device *device = open_memory(&memory);

	check_edges(&memory);
	check_limits(&memory);
	check_large(&memory);
	userpci_close(device);
}

TEST(block_wrapped)
{
	struct userpci_region memory;
	struct userpci_device *device;

	setenv("USERPCI_FAULT", "gone-after=1000000", 1);
	device = open_memory(&memory);
	check_edges(&memory);
	check_large(&memory);
	userpci_close(device);
}

TEST(block_of_io_space)
{
	struct userpci_device *device;
	struct userpci_region io;
	uint8_t byte;

	if (userpci_open("qemu:pci-testdev", 0, &device))
		SKIP("there is no QEMU; run scripts/setup guest");
	CHECK_EQ(userpci_region_map(device, 1, &io), 0);
	CHECK_EQ(userpci_region_read_block(&io, 0, &byte, 1), -EINVAL);
	userpci_close(device);
}

TEST(block_when_qemu_is_gone)
{
	const struct userpci_faults now = { .gone_after = 1 }, none = { 0 };
	struct userpci_region memory;
	struct userpci_device *device;
	uint8_t bytes[16];

	setenv("USERPCI_FAULT", "gone-after=1000000", 1);
	device = open_memory(&memory);
	CHECK_EQ(userpci_fault_set(device, &now), 0);
	(void)userpci_read32(&memory, 0);
	CHECK_EQ(userpci_region_read_block(&memory, 0, bytes, 16), -ENODEV);
	CHECK_EQ(userpci_region_write_block(&memory, 0, bytes, 16), -ENODEV);
	CHECK_EQ(userpci_fault_set(device, &none), 0);
	CHECK_EQ(userpci_region_read_block(&memory, 0, bytes, 16), 0);
	userpci_close(device);
}

TEST_MAIN
