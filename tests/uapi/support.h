/* SPDX-License-Identifier: MIT */
/* What the tests of the module share: finding and binding devices, raw calls. */
#ifndef TESTS_UAPI_SUPPORT_H
#define TESTS_UAPI_SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <userpci/uapi.h>

#include "harness.h"

#define PAGE 4096ul

/* The devices that tests/run puts into the guest. */
#define EDU		"1234:11e8"
#define TESTDEV		"1b36:0005" /* an I/O BAR, a 64-bit prefetchable one of 1 MiB */
#define IVSHMEM		"1af4:1110" /* BAR 0: 256 bytes; BAR 2: 4 MiB */
#define AHCI		"8086:2922" /* of the q35 board: BAR 4 in I/O space, BAR 5 */
#define E1000E		"8086:10d3" /* MSI-X table in BAR 3 */
#define RNG		"1af4:1044" /* virtio-rng behind a root port: function level reset */

#define EDU_ID		0x00
#define EDU_FACTORIAL	0x08
#define EDU_STATUS	0x20
#define EDU_IRQ_STATUS	0x24
#define EDU_IRQ_RAISE	0x60
#define EDU_IRQ_ACK	0x64
#define EDU_DMA_SOURCE	0x80
#define EDU_DMA_TARGET	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_COMMAND 0x98
#define EDU_MEMORY	0x40000
#define EDU_BYTES	4000 /* of its 4096: QEMU 7.2 aborts when the last is moved */

/*
 * The address of the first device with this "vendor:device", until the next call; the test ends
 * when there is none.
 */
const char *device_find(const char *id);
/* Gives it to userpci, if it is not there yet. Returns its address. */
const char *device_bind(const char *id);
void device_unbind(const char *address);

/* Writes a sysfs attribute; 0 or -errno. */
int sysfs_write(const char *path, const char *text);
/* The value of a device's configuration space, past our module. */
uint32_t sysfs_config(const char *address, unsigned int offset, unsigned int width);
/* Flags, start and length of a BAR, from the device's `resource`; length 0: none. */
uint64_t sysfs_bar(const char *address, int bar, uint64_t *start, uint64_t *flags);

/* Opens the bound device's node; -errno. */
int node_open(const char *address, int flags);
/* One that must succeed. */
int node_own(const char *id);
/* The ioctl's result, or -errno. */
int call(int fd, unsigned long command, void *argument);

/* How long to wait for what must come: no machine is so busy. */
#define PATIENCE_MS 30000

#define SIZED(type)                         \
	(struct type)                       \
	{                                   \
		.size = sizeof(struct type) \
	}

struct userpci_uapi_region region_get(int fd, unsigned int index);
struct userpci_uapi_dma dma_get(int fd, uint64_t bytes);
int dma_mask(int fd, unsigned int bits);
int irq_set(int fd, unsigned int kind, unsigned int count);
int irq_eventfd(int fd, unsigned int vector, int eventfd);
int irq_mask(int fd, unsigned int vector, unsigned int masked);
int bus_master(int fd, unsigned int enable);

/* Maps, and ends the test when it cannot. */
void *map(int fd, uint64_t offset, uint64_t size, int prot);
/* mmap's errno, negative; 0 when it worked (and was unmapped). */
int map_error(int fd, uint64_t offset, uint64_t size, int prot, int flags);

/* Registers, exactly so wide. */
static inline uint32_t rd32(const void *regs, unsigned int offset)
{
	return *(const volatile uint32_t *)((const char *)regs + offset);
}

static inline void wr32(void *regs, unsigned int offset, uint32_t value)
{
	*(volatile uint32_t *)((char *)regs + offset) = value;
}

static inline void wr64(void *regs, unsigned int offset, uint64_t value)
{
	*(volatile uint64_t *)((char *)regs + offset) = value;
}

/* Starts edu's DMA engine; it moves the bytes a tenth of a second later. */
void edu_dma_start(void *regs, uint64_t source, uint64_t target, uint64_t bytes, int to_host);
/* Waits until it is done; the test ends when it never is. */
void edu_dma_wait(void *regs);

/* 1 when the descriptor becomes readable (or hangs up) within so many milliseconds. */
int readable(int fd, int timeout_ms, short *revents);

#endif
