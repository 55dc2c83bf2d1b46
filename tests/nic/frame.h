/* SPDX-License-Identifier: MIT */
/*
 * The frames that nic (on a driver under test) and peer (on the other end of the wire) exchange.
 *
 * EtherType 88B5 is set aside for experiments (IEEE 802). Behind it, numbers big-endian:
 *
 *     kind 1, run 1, length 2, sequence 4, contents
 *
 * `length` is that of the frame, without padding and FCS. A run is one transfer; its frames count
 * from 0. Length and contents of a data frame follow from run and sequence number alone, so either
 * side, and tests/nic/pcap.py, can tell whether a frame is what was sent.
 */
#ifndef TESTS_NIC_FRAME_H
#define TESTS_NIC_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FRAME_TYPE	0x88b5
#define FRAME_HEADER	22 /* bytes up to the contents */
#define FRAME_MIN	60
#define FRAME_MAX	1514
#define FRAME_SHORT_MIN 26 /* of run of short frames: from here up to FRAME_MIN - 1 */

enum frame_kind {
	FRAME_HELLO = 'H',   /* nic to all: who is there? Until the answer */
	FRAME_WELCOME = 'W', /* the answer */
	FRAME_COMMAND = 'C', /* nic to peer: struct frame_command */
	FRAME_DATA = 'D',    /* of a run in which nothing may be lost */
	FRAME_FLOOD = 'F',   /* of one in which that is expected */
	FRAME_SHORT = 'S',   /* short ones, to be padded */
	FRAME_ACK = 'A',     /* as many frames of the run as the sequence number says have come */
	FRAME_QUIT = 'Q',    /* nic to peer: it was the last test */
};

enum frame_what { FRAME_SEND = 1, FRAME_EXPECT };

/* The contents of a command. */
struct frame_command {
	uint8_t what;	   /* FRAME_SEND: send me a run; FRAME_EXPECT: I send you one */
	uint8_t kind;	   /* of the run's frames */
	uint8_t window[2]; /* as many are under way, at most; 0: no acknowledgements */
	uint8_t count[4];
	uint8_t target[6]; /* FRAME_SEND: to this MAC */
	char name[48];	   /* of the test */
};

static inline uint32_t frame_get(const uint8_t *p, unsigned int bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | *p++;
	return value;
}

static inline void frame_put(uint8_t *p, unsigned int bytes, uint32_t value)
{
	while (bytes--)
		p[bytes] = (uint8_t)value, value >>= 8;
}

static inline uint8_t frame_kind(const uint8_t *frame)
{
	return frame[14];
}

static inline uint8_t frame_run(const uint8_t *frame)
{
	return frame[15];
}

static inline uint32_t frame_sequence(const uint8_t *frame)
{
	return frame_get(frame + 18, 4);
}

static inline bool frame_is_ours(const uint8_t *frame, uint32_t length)
{
	return length >= FRAME_HEADER && frame_get(frame + 12, 2) == FRAME_TYPE;
}

/* 379 and 1455 have no common divisor: all lengths occur in 1455 frames. */
static inline uint32_t frame_length(uint8_t kind, uint32_t sequence)
{
	if (kind == FRAME_SHORT)
		return FRAME_SHORT_MIN + sequence % (FRAME_MIN - FRAME_SHORT_MIN);
	return FRAME_MIN + sequence * 379 % (FRAME_MAX - FRAME_MIN + 1);
}

/* Where a frame's contents are in 65536 bytes of noise, which repeat. */
static inline const uint8_t *frame_contents(uint8_t run, uint32_t sequence)
{
	static uint8_t noise[65536 + FRAME_MAX];
	uint32_t state = 1, i;

	if (!noise[0])
		for (i = 0; i < sizeof(noise); i++) {
			if (i == 65536)
				state = 1;
			state = state * 1664525 + 1013904223;
			noise[i] = (uint8_t)(state >> 24);
		}
	return noise + ((sequence * 257 + run * 4099u) & 0xffff);
}

static inline void frame_header(uint8_t *frame, const uint8_t *target, const uint8_t *source,
				uint8_t kind, uint8_t run, uint32_t length, uint32_t sequence)
{
	memcpy(frame, target, 6);
	memcpy(frame + 6, source, 6);
	frame_put(frame + 12, 2, FRAME_TYPE);
	frame[14] = kind;
	frame[15] = run;
	frame_put(frame + 16, 2, length);
	frame_put(frame + 18, 4, sequence);
}

/* A data frame of any kind; returns its length. */
static inline uint32_t frame_make(uint8_t *frame, const uint8_t *target, const uint8_t *source,
				  uint8_t kind, uint8_t run, uint32_t sequence)
{
	uint32_t length = frame_length(kind, sequence);

	frame_header(frame, target, source, kind, run, length, sequence);
	memcpy(frame + FRAME_HEADER, frame_contents(run, sequence), length - FRAME_HEADER);
	return length;
}

/* Whether a data frame is as frame_make() made it, padded to the least length with zeros. */
static inline bool frame_is_whole(const uint8_t *frame, uint32_t length)
{
	uint32_t own = frame_length(frame_kind(frame), frame_sequence(frame)), i;

	if (frame_get(frame + 16, 2) != own || length != (own < FRAME_MIN ? FRAME_MIN : own))
		return false;
	for (i = own; i < length; i++)
		if (frame[i])
			return false;
	return !memcmp(frame + FRAME_HEADER,
		       frame_contents(frame_run(frame), frame_sequence(frame)), own - FRAME_HEADER);
}

#endif
