/* SPDX-License-Identifier: MIT */
/* Writes frames of one Ethernet interface to a pcapng file, or to a ring of them. */
#ifndef TOOLS_PCAPNG_H
#define TOOLS_PCAPNG_H

#include <stdint.h>
#include <stdio.h>

#include <unic/unic.h>

struct pcapng_config {
	const char *path; /* "-": the standard output */
	const char *interface;
	const char *filter; /* in pcap's words, or NULL */
	uint8_t mac[UNIC_MAC_SIZE];
	uint64_t speed;	  /* bit/s; 0: not known */
	uint32_t snaplen; /* bytes of a frame that are kept at most */
	/* A ring: PATH.1 to PATH.files, each of about `size` bytes. 0: one file, of any size. */
	uint64_t size;
	uint32_t files;
};

/* Since the beginning. */
struct pcapng_counts {
	uint64_t received; /* by the interface, with those that it dropped */
	uint64_t dropped;
	uint64_t accepted; /* by the filter */
};

struct pcapng {
	struct pcapng_config config;
	FILE *file;
	char path[4096];  /* of this file */
	uint64_t written; /* bytes to it */
	uint64_t rotations;
	uint64_t start_ns;
};

/**
 * pcapng_open - creates the file, or empties it, and writes what stands at its beginning.
 * pcapng_close - writes the counts, and closes it; after an error too.
 * @now_ns: nanoseconds since 1970.
 *
 * Each call returns 0 or -errno: the file, or the disk, is at fault, which is then pcapng->path.
 * What is written is held back for a while: pcapng_flush() brings it out.
 */
int pcapng_open(struct pcapng *pcapng, const struct pcapng_config *config, uint64_t now_ns);
int pcapng_close(struct pcapng *pcapng, const struct pcapng_counts *counts, uint64_t now_ns);

/* Whether another frame of @length bytes would make the file too long: pcapng_rotate() is next. */
int pcapng_is_full(const struct pcapng *pcapng, uint32_t length);
int pcapng_rotate(struct pcapng *pcapng, const struct pcapng_counts *counts, uint64_t now_ns);

int pcapng_write(struct pcapng *pcapng, struct unic_packet *packet, uint64_t now_ns);
int pcapng_flush(struct pcapng *pcapng);

#endif
