/* SPDX-License-Identifier: MIT */
/*
 * The frames of unic gen, what unic recv makes of them when they are hit, and the account of those
 * that came. Checksums are computed in another way than in the tool: a block of 16-bit words has a
 * right one when the number that its bytes write is a multiple of 65535.
 */
#include <stdbool.h>
#include <stdint.h>

#include "harness.h"
#include "tools/gen.h"
#include "tools/track.h"

#define ETHER 14
#define IP    20
#define UDP   8

static const uint8_t to[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t from[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

static uint32_t remainder_of(uint32_t before, const uint8_t *data, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		before = (before * 256 + data[i]) % 65535;
	return size & 1 ? before * 256 % 65535 : before;
}

static struct gen_mark make(uint8_t *frame, uint32_t length)
{
	struct gen_mark mark = { 0xabcd0000 + length, length * 7 % GEN_FLOWS_MAX, length * 3ull };

	gen_frame(frame, length, to, from, &mark);
	return mark;
}

TEST(gen_checksums_and_lengths)
{
	uint8_t frame[GEN_FRAME_MAX], pseudo[12] = { 0 };
	uint32_t length, inside;

	gen_init();
	for (length = GEN_FRAME_MIN; length <= GEN_FRAME_MAX; length++) {
		make(frame, length);
		inside = length - ETHER;
		CHECK(!memcmp(frame, to, 6) && !memcmp(frame + 6, from, 6));
		CHECK_EQ(frame[12] << 8 | frame[13], 0x0800);
		CHECK_EQ((uint32_t)(frame[ETHER + 2] << 8 | frame[ETHER + 3]), inside);
		CHECK_EQ(remainder_of(0, frame + ETHER, IP), 0);
		inside -= IP;
		CHECK_EQ((uint32_t)(frame[ETHER + IP + 4] << 8 | frame[ETHER + IP + 5]), inside);
		/* RFC 768: addresses, 0, protocol, length, in front of the datagram. */
		memcpy(pseudo, frame + ETHER + 12, 8);
		pseudo[9] = 17;
		pseudo[10] = (uint8_t)(inside >> 8);
		pseudo[11] = (uint8_t)inside;
		CHECK_EQ(remainder_of(remainder_of(0, pseudo, sizeof(pseudo)), frame + ETHER + IP,
				      inside),
			 0);
		CHECK(frame[ETHER + IP + 6] || frame[ETHER + IP + 7]);
	}
}

TEST(gen_frames_are_known_again)
{
	uint8_t frame[GEN_FRAME_MAX];
	struct gen_mark mark, read;
	uint32_t length;

	gen_init();
	for (length = GEN_FRAME_MIN; length <= GEN_FRAME_MAX; length++) {
		mark = make(frame, length);
		memset(&read, 0, sizeof(read));
		CHECK_EQ(gen_check(frame, length, &read), GEN_INTACT);
		CHECK_EQ(read.run, mark.run);
		CHECK_EQ(read.flow, mark.flow);
		CHECK_EQ(read.sequence, mark.sequence);
	}
}

/* A port for each flow, so that devices spread them. */
TEST(gen_flows_have_ports)
{
	uint8_t frame[GEN_FRAME_MIN], other[GEN_FRAME_MIN];
	struct gen_mark mark = { 1, 0, 0 };

	gen_init();
	gen_frame(frame, sizeof(frame), to, from, &mark);
	mark.flow = GEN_FLOWS_MAX - 1;
	gen_frame(other, sizeof(other), to, from, &mark);
	CHECK_EQ(frame[34] << 8 | frame[35], 49152);
	CHECK_EQ(other[34] << 8 | other[35], 65535);
}

/* Each bit behind the MAC addresses. */
TEST(gen_damage_is_seen)
{
	static const uint32_t lengths[] = { 60, 61, 64, 313, 1514 };
	uint8_t frame[GEN_FRAME_MAX];
	struct gen_mark mark = { 0 };
	uint32_t bit, length;
	unsigned int i;

	gen_init();
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		length = lengths[i];
		make(frame, length);
		for (bit = 12 * 8; bit < length * 8; bit++) {
			frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
			CHECK_EQ(gen_check(frame, length, &mark), GEN_CORRUPT);
			frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		CHECK_EQ(gen_check(frame, length, &mark), GEN_INTACT);
	}
}

TEST(gen_wrong_length_is_seen)
{
	uint8_t frame[GEN_FRAME_MAX + 4] = { 0 };
	struct gen_mark mark;

	gen_init();
	make(frame, 1000);
	CHECK_EQ(gen_check(frame, 999, &mark), GEN_CORRUPT);
	CHECK_EQ(gen_check(frame, 1004, &mark), GEN_CORRUPT);
	make(frame, GEN_FRAME_MAX);
	CHECK_EQ(gen_check(frame, GEN_FRAME_MAX + 4, &mark), GEN_CORRUPT);
	CHECK_EQ(gen_check(frame, GEN_FRAME_MIN - 1, &mark), GEN_FOREIGN);
}

/* What was in the buffer before is no pattern of this frame. */
TEST(gen_stale_payload_is_seen)
{
	uint8_t frame[600], next[600];
	struct gen_mark mark = { 1, 0, 5 }, read;

	gen_init();
	gen_frame(frame, sizeof(frame), to, from, &mark);
	mark.sequence++;
	gen_frame(next, sizeof(next), to, from, &mark);
	memcpy(next + 300, frame + 300, 300);
	CHECK_EQ(gen_check(next, sizeof(next), &read), GEN_CORRUPT);
}

TEST(gen_others_are_foreign)
{
	uint8_t frame[GEN_FRAME_MAX];
	struct gen_mark mark;

	gen_init();
	memset(frame, 0, sizeof(frame));
	CHECK_EQ(gen_check(frame, sizeof(frame), &mark), GEN_FOREIGN);
	memset(frame, 0xff, sizeof(frame));
	CHECK_EQ(gen_check(frame, sizeof(frame), &mark), GEN_FOREIGN);
	/* UDP to another port, without the mark. */
	make(frame, 100);
	frame[37] = 53;
	frame[42] = 0;
	CHECK_EQ(gen_check(frame, 100, &mark), GEN_FOREIGN);
}

/* --- The account --- */

static void add(struct track *track, uint32_t run, uint32_t flow, uint64_t sequence)
{
	const struct gen_mark mark = { run, flow, sequence };

	CHECK_EQ(track_add(track, &mark), 0);
}

static void check_track(const struct track *track, uint64_t before, uint64_t lost, uint64_t doubled,
			uint64_t reordered)
{
	CHECK_EQ(track->before, before);
	CHECK_EQ(track->lost, lost);
	CHECK_EQ(track->doubled, doubled);
	CHECK_EQ(track->reordered, reordered);
}

TEST(track_all_in_order)
{
	struct track track = { 0 };
	uint64_t i;

	for (i = 0; i < 5000; i++)
		add(&track, 1, (uint32_t)(i % 3), i / 3);
	CHECK_EQ(track.frames, 5000);
	check_track(&track, 0, 0, 0, 0);
	track_free(&track);
}

TEST(track_lost)
{
	struct track track = { 0 };

	add(&track, 1, 0, 10);
	check_track(&track, 10, 0, 0, 0);
	add(&track, 1, 0, 12);
	check_track(&track, 10, 1, 0, 0);
	add(&track, 1, 0, 13 + TRACK_WINDOW);
	check_track(&track, 10, 1 + TRACK_WINDOW, 0, 0);
	add(&track, 1, 0, 14 + 5 * TRACK_WINDOW);
	check_track(&track, 10, 1 + 5 * TRACK_WINDOW, 0, 0);
	track_free(&track);
}

TEST(track_doubled)
{
	struct track track = { 0 };
	uint64_t i;

	for (i = 0; i < 2 * TRACK_WINDOW; i++) {
		add(&track, 1, 0, i);
		add(&track, 1, 0, i);
	}
	check_track(&track, 0, 0, 2 * TRACK_WINDOW, 0);
	/* The oldest that is known. */
	add(&track, 1, 0, TRACK_WINDOW);
	check_track(&track, 0, 0, 2 * TRACK_WINDOW + 1, 0);
	track_free(&track);
}

/* A late one is not lost, and comes late once only. */
TEST(track_reordered)
{
	struct track track = { 0 };

	add(&track, 1, 0, 0);
	add(&track, 1, 0, 3);
	check_track(&track, 0, 2, 0, 0);
	add(&track, 1, 0, 1);
	add(&track, 1, 0, 2);
	check_track(&track, 0, 0, 0, 2);
	add(&track, 1, 0, 2);
	check_track(&track, 0, 0, 1, 2);
	/* Behind the first that came, in front of it by number. */
	add(&track, 1, 1, 6);
	add(&track, 1, 1, 5);
	check_track(&track, 5, 0, 1, 3);
	track_free(&track);
}

TEST(track_too_late_to_tell)
{
	struct track track = { 0 };

	add(&track, 1, 0, 0);
	add(&track, 1, 0, TRACK_WINDOW + 1);
	check_track(&track, 0, TRACK_WINDOW, 0, 0);
	add(&track, 1, 0, 1);
	check_track(&track, 0, TRACK_WINDOW, 0, 1);
	add(&track, 1, 0, 2);
	check_track(&track, 0, TRACK_WINDOW - 1, 0, 2);
	track_free(&track);
}

/* The highest number does not make the next one the lowest. */
TEST(track_highest_number)
{
	struct track track = { 0 };

	add(&track, 1, 0, UINT64_MAX - 2);
	add(&track, 1, 0, UINT64_MAX - 1);
	add(&track, 1, 0, UINT64_MAX - 1);
	check_track(&track, UINT64_MAX - 2, 0, 1, 0);
	track_free(&track);
}

/* Programs that send at the same time, or one after the other, have an account each. */
TEST(track_runs)
{
	struct track track = { 0 };
	uint32_t run;
	uint64_t i;

	for (i = 0; i < 10; i++)
		for (run = 0; run < TRACK_RUNS; run++)
			add(&track, run, 0, i);
	check_track(&track, 0, 0, 0, 0);
	/* The 17th takes the place of the first, which is then a new one. */
	add(&track, TRACK_RUNS, 0, 0);
	add(&track, 0, 0, 9);
	check_track(&track, 9, 0, 0, 0);
	add(&track, TRACK_RUNS, 0, 0);
	check_track(&track, 9, 0, 1, 0);
	track_free(&track);
}

TEST_MAIN
