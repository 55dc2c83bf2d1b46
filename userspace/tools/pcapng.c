/* SPDX-License-Identifier: MIT */
/*
 * pcapng, as draft-ietf-opsawg-pcapng has it (sections named here are its). libpcap reads this
 * format and does not write it.
 *
 * All numbers are in the machine's byte order: the reader sees which that is.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <userpci/userpci.h>

#include "pcapng.h"

#define BUFFER_SIZE (1u << 20) /* bytes: one write for so many */

/* Spec: 4.1 to 4.6. */
#define BLOCK_SECTION	 0x0a0d0d0a
#define BLOCK_INTERFACE	 1
#define BLOCK_STATISTICS 5
#define BLOCK_PACKET	 6
#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define LINK_ETHERNET	 1

/* Spec: 3.5, and the section of each block. */
#define OPTION_END	    0
#define SECTION_PROGRAM	    4
#define INTERFACE_NAME	    2
#define INTERFACE_MAC	    6
#define INTERFACE_SPEED	    8
#define INTERFACE_TSRESOL   9
#define INTERFACE_FILTER    11
#define STATISTICS_START    2
#define STATISTICS_END	    3
#define STATISTICS_RECEIVED 4
#define STATISTICS_DROPPED  5
#define STATISTICS_ACCEPTED 6

#define OPTION_MAX	    1024 /* bytes of a text; what is longer is cut */

struct block {
	uint32_t length;
	uint8_t bytes[2 * OPTION_MAX + 256];
};

struct packet_head {
	uint32_t type;
	uint32_t size;
	uint32_t interface;
	uint32_t time_high;
	uint32_t time_low;
	uint32_t captured;
	uint32_t length;
};
_Static_assert(sizeof(struct packet_head) == 28, "Spec: 4.3");

static uint32_t padded(uint32_t size)
{
	return (size + 3) & ~3u;
}

static int put(struct pcapng *p, const void *data, size_t size)
{
	errno = EIO;
	if (fwrite(data, 1, size, p->file) != size)
		return -errno;
	p->written += size;
	return 0;
}

/* --- Blocks with options --- */

static void block_put(struct block *block, const void *data, uint32_t size)
{
	memcpy(block->bytes + block->length, data, size);
	memset(block->bytes + block->length + size, 0, padded(size) - size);
	block->length += padded(size);
}

static void block_begin(struct block *block, uint32_t type)
{
	uint32_t head[2] = { type, 0 };

	block->length = 0;
	block_put(block, head, sizeof(head));
}

static void block_option(struct block *block, uint16_t code, const void *data, size_t size)
{
	uint16_t head[2] = { code, (uint16_t)(size < OPTION_MAX ? size : OPTION_MAX) };

	block_put(block, head, sizeof(head));
	block_put(block, data, head[1]);
}

static void block_number(struct block *block, uint16_t code, uint64_t value)
{
	block_option(block, code, &value, sizeof(value));
}

/* The upper half comes first, whatever the byte order. */
static void block_time(struct block *block, uint16_t code, uint64_t time_ns)
{
	uint32_t halves[2] = { (uint32_t)(time_ns >> 32), (uint32_t)time_ns };

	block_option(block, code, halves, sizeof(halves));
}

static int block_end(struct pcapng *p, struct block *block)
{
	uint32_t size;

	block_option(block, OPTION_END, "", 0);
	size = block->length + (uint32_t)sizeof(size);
	block_put(block, &size, sizeof(size));
	memcpy(block->bytes + sizeof(size), &size, sizeof(size));
	return put(p, block->bytes, size);
}

/* Spec: 4.1. */
static int put_section(struct pcapng *p)
{
	static const char program[] = "unic " USERPCI_VERSION;
	const uint32_t magic = BYTE_ORDER_MAGIC;
	const uint16_t version[2] = { 1, 0 };
	const int64_t length = -1; /* not known yet */
	struct block block;

	block_begin(&block, BLOCK_SECTION);
	block_put(&block, &magic, sizeof(magic));
	block_put(&block, version, sizeof(version));
	block_put(&block, &length, sizeof(length));
	block_option(&block, SECTION_PROGRAM, program, sizeof(program) - 1);
	return block_end(p, &block);
}

/* Spec: 4.2. */
static int put_interface(struct pcapng *p)
{
	const struct pcapng_config *config = &p->config;
	const uint16_t link[2] = { LINK_ETHERNET, 0 };
	const uint8_t nanoseconds = 9;
	char filter[OPTION_MAX];
	struct block block;

	block_begin(&block, BLOCK_INTERFACE);
	block_put(&block, link, sizeof(link));
	block_put(&block, &config->snaplen, sizeof(config->snaplen));
	block_option(&block, INTERFACE_NAME, config->interface, strlen(config->interface));
	block_option(&block, INTERFACE_MAC, config->mac, sizeof(config->mac));
	if (config->speed)
		block_number(&block, INTERFACE_SPEED, config->speed);
	block_option(&block, INTERFACE_TSRESOL, &nanoseconds, sizeof(nanoseconds));
	if (config->filter) {
		/* The first byte, 0, says that a text in pcap's words follows. */
		snprintf(filter, sizeof(filter), "%c%s", '\0', config->filter);
		block_option(&block, INTERFACE_FILTER, filter, 1 + strlen(filter + 1));
	}
	return block_end(p, &block);
}

/* Spec: 4.6. */
static int put_statistics(struct pcapng *p, const struct pcapng_counts *counts, uint64_t now_ns)
{
	const uint32_t head[3] = { 0, (uint32_t)(now_ns >> 32), (uint32_t)now_ns };
	struct block block;

	block_begin(&block, BLOCK_STATISTICS);
	block_put(&block, head, sizeof(head));
	block_time(&block, STATISTICS_START, p->start_ns);
	block_time(&block, STATISTICS_END, now_ns);
	block_number(&block, STATISTICS_RECEIVED, counts->received);
	block_number(&block, STATISTICS_DROPPED, counts->dropped);
	block_number(&block, STATISTICS_ACCEPTED, counts->accepted);
	return block_end(p, &block);
}

/* --- Frames --- */

static int put_data(struct pcapng *p, struct unic_packet *packet, uint32_t left)
{
	uint32_t size;
	int err;

	for (;; packet = packet->next) {
		size = packet->length < left ? packet->length : left;
		err = put(p, unic_packet_data(packet), size);
		left -= size;
		if (err || !left || !(packet->flags & UNIC_PACKET_CHAINED))
			return err;
	}
}

/* Spec: 4.3. */
int pcapng_write(struct pcapng *p, struct unic_packet *packet, uint64_t now_ns)
{
	static const uint8_t zeros[4];
	uint32_t length = unic_packet_total(packet);
	uint32_t captured = length < p->config.snaplen ? length : p->config.snaplen;
	struct packet_head head = {
		.type = BLOCK_PACKET,
		.size = (uint32_t)sizeof(head) + padded(captured) + (uint32_t)sizeof(uint32_t),
		.time_high = (uint32_t)(now_ns >> 32),
		.time_low = (uint32_t)now_ns,
		.captured = captured,
		.length = length,
	};
	int err;

	err = put(p, &head, sizeof(head));
	if (!err)
		err = put_data(p, packet, captured);
	if (!err)
		err = put(p, zeros, padded(captured) - captured);
	return err ? err : put(p, &head.size, sizeof(head.size));
}

int pcapng_flush(struct pcapng *p)
{
	return fflush(p->file) ? -errno : 0;
}

/* --- Files --- */

static int file_begin(struct pcapng *p)
{
	const struct pcapng_config *config = &p->config;
	int fd, err;

	if (!config->files)
		snprintf(p->path, sizeof(p->path), "%s", config->path);
	else
		snprintf(p->path, sizeof(p->path), "%s.%u", config->path,
			 (unsigned int)(p->rotations % config->files) + 1);
	if (strcmp(config->path, "-")) {
		p->file = fopen(p->path, "we");
	} else {
		snprintf(p->path, sizeof(p->path), "standard output");
		fd = dup(STDOUT_FILENO);
		p->file = fd < 0 ? NULL : fdopen(fd, "w");
	}
	if (!p->file)
		return -errno;
	(void)setvbuf(p->file, NULL, _IOFBF, BUFFER_SIZE);
	p->written = 0;
	err = put_section(p);
	if (!err)
		err = put_interface(p);
	/* At once: who reads waits for it, and what is wrong with the disk is seen early. */
	return err ? err : pcapng_flush(p);
}

int pcapng_open(struct pcapng *p, const struct pcapng_config *config, uint64_t now_ns)
{
	int err;

	memset(p, 0, sizeof(*p));
	p->config = *config;
	p->start_ns = now_ns;
	err = file_begin(p);
	if (err && p->file) {
		(void)fclose(p->file);
		p->file = NULL;
	}
	return err;
}

int pcapng_close(struct pcapng *p, const struct pcapng_counts *counts, uint64_t now_ns)
{
	int err = 0;

	if (!p->file)
		return 0;
	if (!ferror(p->file))
		err = put_statistics(p, counts, now_ns);
	if (fclose(p->file) && !err)
		err = -errno;
	p->file = NULL;
	return err;
}

int pcapng_is_full(const struct pcapng *p, uint32_t length)
{
	uint64_t size = sizeof(struct packet_head) + padded(length) + sizeof(uint32_t);

	return p->config.files && p->written + size > p->config.size;
}

int pcapng_rotate(struct pcapng *p, const struct pcapng_counts *counts, uint64_t now_ns)
{
	int err = pcapng_close(p, counts, now_ns);

	p->rotations++;
	return err ? err : file_begin(p);
}
