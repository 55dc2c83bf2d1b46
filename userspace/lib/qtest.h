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

struct userpci_qtest {
	int socket;   /* the protocol */
	int life;     /* QEMU is ended when its last copy is closed */
	int doorbell; /* messages to the device that turns DMA writes into eventfds */
	int wire;     /* frames to and from the network device; -1: none */
	int log;      /* what QEMU prints */
	int ram_fd;
	uint8_t *ram; /* at address 0 of the devices */
	uint64_t ram_size;

	pthread_mutex_t lock; /* of the protocol: all below */
	bool dead;	      /* QEMU has ended */
	unsigned int unread;  /* writes whose replies were not read yet */
	char line[4096];      /* received, not yet consumed */
	size_t begin, end;
	void (*interrupt)(void *context,
			  bool raised); /* the INTx line; called with the lock held */
	void *context;
};

/* Eventfds that the doorbell takes. */
#define USERPCI_QTEST_VECTORS 2048

/* The doorbell device's own number among its peers. */
#define USERPCI_QTEST_SELF 1

/*
 * Starts QEMU with the device that `spec` describes, as for QEMU's -device. -ENOENT: there is no
 * QEMU; -EINVAL: it refuses; -ETIMEDOUT; -ENOMEM, -EMFILE. userpci_qtest_message() says more.
 */
int userpci_qtest_start(const char *spec, struct userpci_qtest **qtest);
void userpci_qtest_stop(struct userpci_qtest *qtest);

/* Why the last start in this thread failed, in one line. */
const char *userpci_qtest_message(void);

/* One access; all ones, or lost, when QEMU has ended. Widths: 1, 2, 4, 8 (I/O: not 8). */
uint64_t userpci_qtest_read(struct userpci_qtest *qtest, enum userpci_space space, uint64_t address,
			    unsigned int width);
void userpci_qtest_write(struct userpci_qtest *qtest, enum userpci_space space, uint64_t address,
			 unsigned int width, uint64_t value);

/* A message of the doorbell's server: a number, with or without (-1) a descriptor. */
int userpci_qtest_send_fd(int socket, int64_t number, int fd);

/* Asks QEMU to report the INTx lines, and takes in what it has reported. */
int userpci_qtest_intercept(struct userpci_qtest *qtest);
void userpci_qtest_take(struct userpci_qtest *qtest);

/* Configuration space of any function. */
uint32_t userpci_qtest_config_read(struct userpci_qtest *qtest, uint32_t bdf, unsigned int offset,
				   unsigned int width);
void userpci_qtest_config_write(struct userpci_qtest *qtest, uint32_t bdf, unsigned int offset,
				unsigned int width, uint32_t value);

/*
 * Numbers the buses, sizes and assigns all BARs. Finds the function that was asked for (the first
 * that is not of the machine itself) and the doorbell. -ENODEV: the former is not there.
 */
int userpci_qtest_enumerate(struct userpci_qtest *qtest, struct userpci_function *function,
			    uint64_t *doorbell);

#endif
