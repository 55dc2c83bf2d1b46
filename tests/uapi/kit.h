/* SPDX-License-Identifier: MIT */
/* What several of the module's tests do with edu, buffers, interrupts, events and statistics. */
#ifndef TESTS_UAPI_KIT_H
#define TESTS_UAPI_KIT_H

#include <stdbool.h>

#include "support.h"

#define XHCI "1b36:000d" /* qemu-xhci behind a root port: MSI-X, a BAR of 16 KiB */

/*
 * A test that is listed only in some guests. TEST_BARE: where no IOMMU translates; TEST_IOMMU:
 * where one does; TEST_IN: where the word is in the variable USERPCI_GUEST.
 */
#define TEST_IF(condition, title)                                                           \
	static void test_##title(void);                                                     \
	static struct harness_test entry_##title = { .name = #title, .run = test_##title }; \
	__attribute__((constructor)) static void add_##title(void)                          \
	{                                                                                   \
		if (!(condition))                                                           \
			return;                                                             \
		*harness.last = &entry_##title;                                             \
		harness.last = &entry_##title.next;                                         \
	}                                                                                   \
	static void test_##title(void)

#define TEST_BARE(title)     TEST_IF(!iommu_translates(), title)
#define TEST_IOMMU(title)    TEST_IF(iommu_translates(), title)
#define TEST_IN(word, title) TEST_IF(guest_is(word), title)

bool iommu_translates(void);
bool guest_is(const char *word);
/* The kernel's version as 100 * major + minor. */
unsigned int kernel_version(void);

/* Runs it in a child. Its checks end the child alone: clean up, then call passed(). */
int run_child(void (*work)(void *), void *data);
/* Ends the test when the child of run_child() failed; it has said why. */
void passed(int status);
/* A child that does it and waits to be killed; returns when it has been done. */
pid_t start_child(void (*work)(void *), void *data);
/* Kills it, waits for its end, and checks that it was alive until then. */
void kill_child(pid_t child);

/* A module parameter; the old value. */
unsigned int parameter_set(const char *name, unsigned int value);
/* The sum of a field's lines in a file such as /proc/vmstat, up to date. */
uint64_t file_field(const char *path, const char *field);
uint64_t vmstat(const char *field);

/* edu */
void *edu_map(int fd);
/* An owner with the whole register map and bus mastering on. */
int edu_own(void **regs);
void edu_raise(void *regs, uint32_t cause);
void edu_ack(void *regs);
/* Through edu's memory, 4000 bytes at most: from an iova to an iova. */
void edu_move(void *regs, uint64_t from, uint64_t to, uint64_t bytes);

/* e1000e with all vectors on, each raised by the cause of its number. */
#define E1000E_VECTORS 5
struct e1000e {
	int fd;
	void *regs;
	int events[E1000E_VECTORS];
	int edu; /* whose timer is e1000e_settle()'s */
	void *edu_regs;
};
void e1000e_start(struct e1000e *nic);
void e1000e_raise(struct e1000e *nic, unsigned int vector);
/*
 * After this nothing comes of what was raised before.
 * QEMU: 7.2 throttles each vector for 128 us at least. A vector that was raised within that time
 * once gives a second interrupt after each one from then on, when its timer expires: so the tests
 * count one or more. Without MSI-X QEMU aborts at that moment.
 */
void e1000e_settle(struct e1000e *nic);
void e1000e_stop(struct e1000e *nic);

/* Eventfds */
int new_eventfd(void);
/* How many came: 0 when none has for so long that none will. */
uint64_t taken(int eventfd);
/* That nothing comes can only be seen for a while: what would come takes microseconds. */
int quiet(int eventfd);
/* How many have come, without waiting. */
uint64_t taken_now(int eventfd);

/* Buffers */
int dma_try(int fd, unsigned int kind, uint64_t bytes, struct userpci_uapi_dma *d);
struct userpci_uapi_dma dma_of(int fd, unsigned int kind, uint64_t bytes);
int dma_pin(int fd, const void *address, uint64_t bytes, struct userpci_uapi_dma *d);
int dma_named(int fd, const char *name, struct userpci_uapi_dma *d);
int dma_free(int fd, uint32_t handle);
struct userpci_uapi_dma_get dma_piece(int fd, uint32_t handle, uint32_t chunk);
/* The device's address of a byte of the buffer. */
uint64_t dma_iova(int fd, const struct userpci_uapi_dma *d, uint64_t offset);
/* A bound function that holds no buffers of former owners. */
const char *device_fresh(const char *id);
/* Whether the memory is all such bytes. */
bool all_bytes(const void *memory, uint8_t value, uint64_t bytes);

/* The statistics of a device, mapped whole. */
const struct userpci_uapi_stats *stats_map(int fd);
void stats_unmap(const struct userpci_uapi_stats *stats);
const volatile struct userpci_uapi_vector *stats_vector(const struct userpci_uapi_stats *stats,
							unsigned int vector);
/* One word, as it is now. */
uint32_t stats_word(const uint32_t *word);
/* The n-th event since bind. */
struct userpci_uapi_event stats_event(const struct userpci_uapi_stats *stats, uint32_t n);
/* How many events of a type there are from the n-th on. */
unsigned int stats_count(const struct userpci_uapi_stats *stats, uint32_t n, uint32_t type);
/* Waits for the first event of a type from the n-th on; the test ends when it never comes. */
struct userpci_uapi_event stats_wait(const struct userpci_uapi_stats *stats, uint32_t n,
				     uint32_t type);

/* A file of memory that knows O_DIRECT: a RAM disk. */
int open_direct(void);

/* Is bus mastering on? */
bool masters(const char *address);
/* The offset of a capability, by the list in configuration space. */
uint32_t capability(const char *address, uint32_t id);

#endif
