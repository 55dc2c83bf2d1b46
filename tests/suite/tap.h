/* SPDX-License-Identifier: MIT */
/*
 * The other end of a cable that is a tap device of Linux's, with the header of virtio before each
 * frame: what a sender leaves to the device goes through the kernel as it is, both ways.
 */
#ifndef TESTS_SUITE_TAP_H
#define TESTS_SUITE_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_net.h>

/* Since tap_open(): frames that came without their checksum, and those that were to be cut. */
extern struct tap_counts {
	unsigned int partial, large;
} tap_counts;

/* A socket on the interface @name, when QEMU has it. */
int tap_open(const char *name);

/* False: there is no room now. @left: what is left to do; NULL: nothing. */
bool tap_put(int fd, const uint8_t *frame, uint32_t length, const struct virtio_net_hdr *left);

/* The next frame as it would be on a wire, with its checksum, cut and tagged: its length; 0: there
 * is none now. */
uint32_t tap_take(int fd, uint8_t *frame);

#endif
