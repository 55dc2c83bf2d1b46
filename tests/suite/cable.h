/* SPDX-License-Identifier: MIT */
/*
 * A port under test and the other end of its cable: a socket on qemu, or a tap device of Linux's;
 * else a second NIC of the same model, run by the same driver.
 */
#ifndef TESTS_SUITE_CABLE_H
#define TESTS_SUITE_CABLE_H

#include <unic/driver.h>

#include "../nic/frame.h"
#include "suite.h"

#define CABLE_MAX   9100 /* bytes of the longest frame */
#define CABLE_BURST 32

/* As many are under way as the slower side takes without a loss. */
#define CABLE_WINDOW 32

struct cable {
	struct unic_port *port; /* under test */
	int wire;		/* to it, or: */
	struct unic_port *other;
	bool tap; /* the wire is that of tap.h */
	uint8_t own_mac[6], other_mac[6];
	uint32_t idle;	  /* looks in a row that found nothing */
	uint32_t at_rest; /* packets that are free when none is under way */
	struct unic_stats before;
};

extern const uint8_t cable_everybody[6];

/* What unic_open() says, where there is a QEMU. */
int cable_try(const char *address, const struct unic_config *config, struct unic_port **port);

/* The port opens with @config, NULL for the defaults; the other end takes all frames. Both are
 * started, and nothing of a test before is under way. */
struct cable cable_open(const struct unic_config *config);
/* All packets must be back. */
void cable_close(struct cable *c);

/* From the other end to the port. _try: false when there is no room now. */
bool cable_try_put(struct cable *c, const uint8_t *frame, uint32_t length);
void cable_put(struct cable *c, const uint8_t *frame, uint32_t length);
/* What has come to the other end: its length; 0: nothing yet. @frame has CABLE_MAX bytes. */
uint32_t cable_try_take(struct cable *c, uint8_t *frame);
uint32_t cable_take(struct cable *c, uint8_t *frame);

/* A packet of the port with these bytes; a chain of pieces of @piece bytes at most, where that is
 * not 0. */
struct unic_packet *port_packet(struct cable *c, const uint8_t *frame, uint32_t length,
				uint32_t piece);
/* Sends it, or ends the test. */
void port_send(struct cable *c, struct unic_packet *packet);
/* The next that the port receives on @queue, or ends the test. */
struct unic_packet *port_receive(struct cable *c, unsigned int queue);
/* The bytes of a chain, which is given back. */
uint32_t port_unpack(struct unic_packet *packet, uint8_t *frame);
/* Since cable_open(). */
struct unic_stats port_stats(struct cable *c);

/* A frame of a test's own: addresses, type, and bytes that follow from @mark, which comes first. */
void cable_fill(uint8_t *frame, const uint8_t *target, const uint8_t *source, uint32_t length,
		uint32_t mark);
/* What went before has passed, both ways: frames overtake none. */
void cable_settle(struct cable *c);

/* Frames of tests/nic/frame.h, all lengths, one way. */
#define CABLE_FRAMES 1455
void cable_transfer(struct cable *c, bool to_port, uint32_t count);

/* To be called where a loop found nothing: ends the test after a while. */
void cable_wait(struct cable *c, bool on_port);

/* A TEST_EACH for NICs, on some backends: "MODEL/TITLE". */
#define TEST_NIC(backends, title)                                                \
	static void test_##title(void);                                          \
	static struct harness_test entries_##title[SUITE_NICS];                  \
	__attribute__((constructor)) static void add_##title(void)               \
	{                                                                        \
		suite_add_nics(backends, entries_##title, #title, test_##title); \
	}                                                                        \
	static void test_##title(void)

#endif
