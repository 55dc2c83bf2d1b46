/* SPDX-License-Identifier: MIT */
/*
 * A private QEMU whose processor is halted: its PCI devices are reached over the qtest protocol, a
 * memory file is its RAM, and its devices' messages arrive in eventfds. No guest runs.
 */
#ifndef USERPCI_QTEST_H
#define USERPCI_QTEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <userpci/uapi.h>

enum userpci_space {
	USERPCI_SPACE_MEMORY,
	USERPCI_SPACE_IO,
};

struct userpci_bar {
	uint64_t address; /* as assigned; 0: none */
	uint64_t size;
	uint32_t flags; /* USERPCI_REGION_IO, _64, _PREFETCH */
};

/* A function on QEMU's bus. */
struct userpci_function {
	uint32_t bdf; /* bus << 8 | device << 3 | function */
	struct userpci_bar bars[USERPCI_NUM_BARS];
};

/*
 * In memory that a child of the caller shares after a fork, for it shares the socket: what one
 * process has sent, and the other not yet read, must be one account.
 */
struct userpci_qtest {
	int socket;   /* the protocol */
	int life;     /* QEMU is ended when its last copy is closed */
	int doorbell; /* messages to the device that turns DMA writes into eventfds */
	int wire;     /* frames to and from the network device; -1: none */
	int log;      /* what QEMU prints */
	int ram_fd;   /* at address 0 of the devices */
	int line;     /* the eventfd to which INTx adds */
	uint64_t ram_size;
	pid_t opener;
	bool started;
	bool behind; /* the device is to be on a bus behind a bridge */
	int devfn;   /* where the caller wants it; -1: anywhere */

	pthread_mutex_t lock; /* of the protocol: all below */
	bool dead;	      /* QEMU has ended */
	bool line_masked;
	unsigned int unread; /* writes whose replies were not read yet */
	char text[4096];     /* received, not yet consumed */
	size_t begin, end;
};

/* Eventfds that the doorbell takes: its vectors have 8 bits (QEMU: hw/misc/ivshmem). */
#define USERPCI_QTEST_VECTORS 256

/* The doorbell device: where it is, and its own number among its peers. */
#define USERPCI_QTEST_BDF  (0x1e << 3)
#define USERPCI_QTEST_SELF 1

/*
 * Starts QEMU with the device that `spec` describes, as for QEMU's -device. -ENOENT: there is no
 * QEMU; -EINVAL: it refuses, or is too old; -ETIMEDOUT; -ENOMEM, -EMFILE. userpci_qtest_message()
 * says more.
 */
int userpci_qtest_start(const char *spec, struct userpci_qtest **qtest);

/* Ends QEMU; in a child of the process that has started it only gives up the child's share. */
void userpci_qtest_stop(struct userpci_qtest *qtest);

/* Why the last start in this thread failed, in one line. */
const char *userpci_qtest_message(void);
void userpci_qtest_set_message(const char *text);

/* 0, or -ENODEV: QEMU has ended, as far as the accesses before have shown. */
int userpci_qtest_check(struct userpci_qtest *qtest);

/*
 * One access, from any thread; all ones, or lost, when QEMU has ended. A read comes after all
 * writes before it. Widths: 1, 2, 4, 8 (I/O: not 8).
 */
uint64_t userpci_qtest_read(struct userpci_qtest *qtest, enum userpci_space space, uint64_t address,
			    unsigned int width);
void userpci_qtest_write(struct userpci_qtest *qtest, enum userpci_space space, uint64_t address,
			 unsigned int width, uint64_t value);

/* Many bytes of memory at once, in order with the accesses. -ENODEV: QEMU has ended. */
int userpci_qtest_read_block(struct userpci_qtest *qtest, uint64_t address, void *data,
			     size_t size);
int userpci_qtest_write_block(struct userpci_qtest *qtest, uint64_t address, const void *data,
			      size_t size);

/*
 * Notes a new descriptor (or what failed, with errno), in a place that is neither one of QEMU's nor
 * a standard stream's: where the caller has closed those, what he then prints would go there.
 */
int userpci_qtest_keep(int *to, int fd);

/* A message of the doorbell's server: a number, with or without (-1) a descriptor. */
int userpci_qtest_send_fd(int socket, int64_t number, int fd);

/*
 * INTx. QEMU is asked to report its lines; what it has reported is taken in by any access, and by
 * userpci_qtest_take(). A line that rises adds to `line` and masks it; so does _raise().
 */
int userpci_qtest_intercept(struct userpci_qtest *qtest);
void userpci_qtest_take(struct userpci_qtest *qtest);
void userpci_qtest_line_mask(struct userpci_qtest *qtest, bool masked);
void userpci_qtest_line_raise(struct userpci_qtest *qtest);

/* Configuration space of any function. */
uint32_t userpci_qtest_config_read(struct userpci_qtest *qtest, uint32_t bdf, unsigned int offset,
				   unsigned int width);
void userpci_qtest_config_write(struct userpci_qtest *qtest, uint32_t bdf, unsigned int offset,
				unsigned int width, uint32_t value);

/*
 * Numbers the buses, sizes and assigns all BARs. Finds the function that was asked for and the
 * doorbell. -ENODEV: one of them is not there; -ENOSPC: BARs do not fit; -EIO: QEMU has ended.
 */
int userpci_qtest_enumerate(struct userpci_qtest *qtest, struct userpci_function *function,
			    uint64_t *doorbell);

#endif
