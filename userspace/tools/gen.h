/* SPDX-License-Identifier: MIT */
/*
 * The frames of unic gen, and how unic recv knows that they are whole: frames in, frames out,
 * nothing else.
 *
 * Ethernet, IPv4 and UDP, 198.18.0.1 to 198.19.0.1 (the addresses that RFC 2544, C.2.2 sets apart
 * for tests), port 49152 and the flow's number to port 9. The payload, big-endian: "unic", 4 bytes
 * of the run's number, 2 of the flow's, 8 of the frame's in the flow; then a pattern that no other
 * 128 frames in a row have in the same place.
 */
#ifndef TOOLS_GEN_H
#define TOOLS_GEN_H

#include <stdint.h>

#define GEN_FRAME_MIN 60 /* bytes, without the FCS */
#define GEN_FRAME_MAX 1514
#define GEN_FLOWS_MAX 16384

struct gen_mark {
	uint32_t run;	   /* of the program */
	uint32_t flow;	   /* below GEN_FLOWS_MAX */
	uint64_t sequence; /* in the flow, from 0 */
};

/* Before the other two, once. */
void gen_init(void);

/* Writes a frame of @length bytes. */
void gen_frame(uint8_t *frame, uint32_t length, const uint8_t to[6], const uint8_t from[6],
	       const struct gen_mark *mark);

enum gen_verdict {
	GEN_FOREIGN, /* not a frame of unic gen's */
	GEN_CORRUPT, /* it was one */
	GEN_INTACT,  /* all bytes behind the MAC addresses are as they were sent */
};

/* @mark: receives what an intact frame says. */
enum gen_verdict gen_check(const uint8_t *frame, uint32_t length, struct gen_mark *mark);

#endif
