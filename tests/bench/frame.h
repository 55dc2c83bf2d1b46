/* SPDX-License-Identifier: MIT */
/* The frame that is sent: 64 bytes on the wire with its FCS, UDP over IPv4, checksums in order. */
#ifndef TESTS_BENCH_FRAME_H
#define TESTS_BENCH_FRAME_H

#include <stdint.h>

static const uint8_t frame[60] = {
	/* Ethernet: to 52:54:00:12:34:56 from 52:54:00:12:34:57, IPv4 */
	0x52,
	0x54,
	0x00,
	0x12,
	0x34,
	0x56,
	0x52,
	0x54,
	0x00,
	0x12,
	0x34,
	0x57,
	0x08,
	0x00,
	/* IPv4: 46 bytes, no fragment, 64 hops, UDP, 198.18.0.1 to 198.19.0.1 (RFC 2544) */
	0x45,
	0x00,
	0x00,
	0x2e,
	0x00,
	0x00,
	0x40,
	0x00,
	0x40,
	0x11,
	0xae,
	0x97,
	198,
	18,
	0,
	1,
	198,
	19,
	0,
	1,
	/* UDP: port 9 to port 9, 26 bytes, 18 of them 0 */
	0x00,
	0x09,
	0x00,
	0x09,
	0x00,
	0x1a,
	0x73,
	0x80,
};

#endif
