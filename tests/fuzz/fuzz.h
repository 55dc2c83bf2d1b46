/* SPDX-License-Identifier: MIT */
/*
 * A NIC that means harm: what the parts of the fuzzer have in common.
 *
 * All decisions come from the input, byte by byte: what the application calls, what the device
 * does, and what goes wrong. Where the input ends all bytes are 0 and no step follows.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <unic/driver.h>

#define FUZZ_BARS	 6
#define FUZZ_CONFIG_SIZE 256
#define FUZZ_QUEUES_MAX	 16
#define FUZZ_FD		 12345 /* of a vector: never used */
#define FUZZ_RING_MAX	 512   /* descriptors: more is never configured */

/* A kind of device. */
struct fuzz_model {
	/* It gets power: all state of the model anew; fills in fuzz.info, fuzz.bar_size and
	 * fuzz.config beyond the IDs. */
	void (*plug)(void);
	uint64_t (*read)(unsigned int bar, uint64_t offset, unsigned int width);
	void (*write)(unsigned int bar, uint64_t offset, unsigned int width, uint64_t value);
	/* Something that the input chooses: frames are moved, rightly or not. Memory is reached by
	 * fuzz_dma() alone. */
	void (*act)(void);
};

struct fuzz_target {
	const char *name;
	const struct fuzz_model *model;
	uint16_t vendor, device;
	const void *variant; /* the model's own */
};

/* Each model's devices; fuzz.c has the table. */
extern const struct fuzz_target fuzz_e1000;
extern const struct fuzz_target fuzz_e1000e;
extern const struct fuzz_target fuzz_igb;
extern const struct fuzz_target fuzz_rtl8139;
extern const struct fuzz_target fuzz_virtio_split;
extern const struct fuzz_target fuzz_virtio_packed;

/* --- input.c --- */

void fuzz_input_set(const uint8_t *data, size_t size);
bool fuzz_input_left(void);
uint8_t fuzz_u8(void);
uint16_t fuzz_u16(void);
uint32_t fuzz_u32(void);
uint64_t fuzz_u64(void);

/* --- device.c: libuserpci's functions, for this device --- */

/* What reads of registers give, after some that are right. */
struct fuzz_lie {
	uint32_t after, count;
	enum { FUZZ_LIE_ONES, FUZZ_LIE_ZERO, FUZZ_LIE_XOR, FUZZ_LIE_VALUE } kind;
	uint64_t value;
};

extern struct fuzz {
	const struct fuzz_target *target;
	struct userpci_info info;
	uint8_t config[FUZZ_CONFIG_SIZE];
	uint64_t bar_size[FUZZ_BARS]; /* 0: there is none */
	bool gone, opened, bus_master;
	unsigned int mapped; /* BARs, a bit each */
	int irq_kind;	     /* -EINVAL: none */
	uint32_t irq_count;
	uint32_t act_after;  /* accesses, until the device acts during one; 0: it does not */
	uint32_t fail_after; /* calls of libuserpci, until one fails; 0: none does */
	uint32_t accesses;   /* of registers, within a call of the layer */
	struct fuzz_lie lie;
	bool lied; /* the driver may have been told what is not so */
} fuzz;

/* A new device in the slot; the old one was given back whole. */
void fuzz_plug(const struct fuzz_target *target);
/* Nothing was kept: memory, maps, interrupts, bus mastering. */
void fuzz_check_released(void);

/* What the device can reach at an address while it is bus master, or NULL. */
void *fuzz_dma(uint64_t iova, uint64_t size);
/* The same for what a driver says of its memory, whatever the device may do now. */
void *fuzz_memory(uint64_t iova, uint64_t size);
/* Where that memory begins. */
void *fuzz_memory_of(uint64_t iova, uint64_t *start);

/* --- fuzz.c --- */

/* Whether the addresses are inside of one packet's buffer, headroom included. */
bool fuzz_is_buffer(uint64_t iova, uint64_t size);

void fuzz_report(const char *file, int line, const char *what);

/* Functions that are called all the time, and whose branches are no news to the fuzzer. */
#define FUZZ_NO_NEWS __attribute__((no_sanitize("coverage")))

#define FUZZ_CHECK(condition)                                        \
	do {                                                         \
		if (!(condition)) {                                  \
			fuzz_report(__FILE__, __LINE__, #condition); \
			abort();                                     \
		}                                                    \
	} while (0)

#endif
