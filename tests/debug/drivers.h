/* SPDX-License-Identifier: MIT */
/* Drivers that are ended at moments of no choice: killed, or their device taken away. */
#ifndef TESTS_DEBUG_DRIVERS_H
#define TESTS_DEBUG_DRIVERS_H

#include <stdatomic.h>
#include <time.h>

#include "../uapi/support.h"

#define E1000 "8086:100e"

/*
 * How many times a driver has set its device to work. In memory that all processes share, so that
 * whoever ends the driver knows that it was in the middle of something.
 */
struct driver {
	atomic_ulong steps;
	char address[16];
	pid_t pid;
};

/* `count` of them. */
struct driver *drivers_new(unsigned int count);

/*
 * A driver's life, in a process of its own: opens the device, maps it, moves memory by DMA and
 * takes interrupts until the device goes; then begins anew, until it is stopped.
 */
void driver_start(struct driver *d, const char *address, void (*drive)(struct driver *d));
/* Kills it in whatever it does. */
void driver_stop(struct driver *d);
/* Waits until it has made a step more; the test ends when it never does. */
void driver_wait(struct driver *d);

/* What may be driven: edu; a NIC by its driver in libunic; and an observer, for any device. */
void drive_edu(struct driver *d);
void drive_nic(struct driver *d);
void drive_observer(struct driver *d);

/* An edu device that works, and is nobody's. */
void check_edu(const char *address);

/* When to give up on what must come. */
time_t patience(void);

/* A variable of the environment, or the value. */
unsigned int rounds_of(const char *variable, unsigned int value);

#endif
