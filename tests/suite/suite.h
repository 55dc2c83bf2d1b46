/* SPDX-License-Identifier: MIT */
/*
 * One suite for all backends and devices: what a driver may rely on, wherever it runs.
 *
 * $USERPCI_BACKEND (qemu, stub, vfio or uio; default qemu) says where. On qemu each test starts a
 * device of its own; else the devices are those of the machine, bound to the backend's driver:
 * tests/suite/guest.
 */
#ifndef TESTS_SUITE_SUITE_H
#define TESTS_SUITE_SUITE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

#include <linux/pci_regs.h>

#include <userpci/mmio.h>
#include <userpci/userpci.h>

#include "../harness.h"

#define PAGE	 4096u
#define SECOND	 1000000       /* microseconds */
#define PATIENCE (20 * SECOND) /* for what comes */
#define SHORT	 (SECOND / 10) /* for what does not */

/* Backends, as sets. */
#define QEMU	 1u
#define STUB	 2u
#define VFIO	 4u
#define UIO	 8u
#define KERNEL	 (STUB | VFIO | UIO)
#define MESSAGES (QEMU | STUB | VFIO) /* those that have MSI and MSI-X */

unsigned int suite_backend(void);
const char *suite_backend_name(void);
void suite_add(unsigned int backends, struct harness_test *test);

/* Device models: they have QEMU's names. */
#define SUITE_MODELS 6
#define SUITE_NICS   10 /* at most */

void suite_add_each(struct harness_test *tests, const char *title, void (*run)(void));
void suite_add_nics(unsigned int backends, struct harness_test *tests, const char *title,
		    void (*run)(void));
/* The model of the test that runs, of those that these two added. */
const char *suite_model(void);
/* The tap device that is the other end of its cable; NULL: none is. */
const char *suite_tap(const char *model);

/* A test of some backends. */
#define TEST_ON(backends, title)                                                            \
	static void test_##title(void);                                                     \
	static struct harness_test entry_##title = { .name = #title, .run = test_##title }; \
	__attribute__((constructor)) static void add_##title(void)                          \
	{                                                                                   \
		suite_add(backends, &entry_##title);                                        \
	}                                                                                   \
	static void test_##title(void)

/* A test of all backends and models: "MODEL/NAME". */
#define TEST_EACH(title)                                               \
	static void test_##title(void);                                \
	static struct harness_test entries_##title[SUITE_MODELS];      \
	__attribute__((constructor)) static void add_##title(void)     \
	{                                                              \
		suite_add_each(entries_##title, #title, test_##title); \
	}                                                              \
	static void test_##title(void)

/* The address of a model, or of the second device of that model. */
const char *suite_address(const char *model);
const char *suite_second(const char *model);

/* Opens it; the test is ended when it hangs. */
struct userpci_device *own(const char *model);
struct userpci_region map(struct userpci_device *device, unsigned int index);

/* The word at @offset of the configuration space. */
uint32_t config(struct userpci_device *device, unsigned int offset, unsigned int width);
bool is_bus_master(struct userpci_device *device);

/* That no interrupt comes to the vector now. */
bool is_quiet(struct userpci_device *device, unsigned int vector);

bool is_zero(const struct userpci_dma *dma);
void pause_us(long us);
unsigned int count_fds(void);
int wait_child(pid_t pid);

/* Runs @body in a child, and kills that when @body has returned. */
void kill_while(void (*body)(const char *model), const char *model);

/* --- edu --- */

#define EDU_ID	   0x00
#define EDU_ALIVE  0x04
#define EDU_FACT   0x08
#define EDU_STATUS 0x20
#define EDU_RAISE  0x60
#define EDU_ACK	   0x64
#define EDU_SOURCE 0x80
#define EDU_TARGET 0x88
#define EDU_COUNT  0x90
#define EDU_START  0x98
#define EDU_MEMORY 0x40000
#define EDU_MASK   28

#endif
