/* SPDX-License-Identifier: MIT */
/* The frames of unic gen. */
#include <arpa/inet.h>
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "gen.h"

#define AT_TYPE	   12
#define AT_IP	   14
#define AT_IP_SUM  24
#define AT_ADDRESS 26 /* both */
#define AT_UDP	   34
#define AT_UDP_SUM 40
#define AT_MARK	   42
#define AT_PATTERN 60

#define IP_SIZE	   20
#define UDP_SIZE   8
#define UDP_PROTO  17
#define PORT_BASE  49152
#define PORT_TO	   9	      /* discard */
#define MAGIC	   0x756e6963 /* "unic" */

/* How many places of the pattern a frame may begin at, 2 bytes from each other. */
#define STARTS	     128
#define PATTERN_SIZE (GEN_FRAME_MAX - AT_PATTERN + 2 * STARTS)

struct mark {
	uint32_t magic;
	uint32_t run;
	uint16_t flow;
	uint64_t sequence;
} __attribute__((packed));

_Static_assert(AT_MARK + sizeof(struct mark) == AT_PATTERN, "the smallest frame holds the mark");
_Static_assert(PORT_BASE + GEN_FLOWS_MAX - 1 == 65535, "a port for each flow");

static uint8_t pattern[PATTERN_SIZE];
/* Of its first words: a frame's checksum costs no look at all of its bytes. */
static uint32_t sums[PATTERN_SIZE / 2 + 1];

/* Type, and the IPv4 header with lengths and checksum 0: do not fragment, 64 hops. */
static const uint8_t header[AT_UDP - AT_TYPE] = {
	0x08, 0, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, UDP_PROTO, 0, 0, 198, 18, 0, 1, 198, 19, 0, 1,
};

static uint16_t load(const uint8_t *at)
{
	uint16_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static void store(uint8_t *at, uint16_t word)
{
	memcpy(at, &word, sizeof(word));
}

void gen_init(void)
{
	uint32_t state = 0x2545f491, i;

	/* Marsaglia, Xorshift RNGs (2003): the triple 13, 17, 5. */
	for (i = 0; i < PATTERN_SIZE; i++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		pattern[i] = (uint8_t)(state >> 24);
	}
	for (i = 0; i < PATTERN_SIZE / 2; i++)
		sums[i + 1] = sums[i] + load(pattern + 2 * i);
}

/* Where the pattern of a frame begins. */
static uint32_t start_of(const struct gen_mark *mark)
{
	return (uint32_t)((mark->sequence + mark->flow) % STARTS);
}

/* RFC 1071: sums of words in the machine's own byte order, folded at the end. */
static uint32_t sum_words(const uint8_t *data, uint32_t size)
{
	uint32_t sum = 0, i;

	for (i = 0; i < size; i += 2)
		sum += load(data + i);
	return sum;
}

static uint32_t sum_pattern(uint32_t start, uint32_t size)
{
	uint8_t odd[2] = { pattern[2 * start + size - size % 2], 0 };
	uint32_t sum = sums[start + size / 2] - sums[start];

	return size % 2 ? sum + load(odd) : sum;
}

static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* RFC 768: 0 is sent as all ones. The field is 0 so far. */
static uint16_t udp_checksum(const uint8_t *frame, uint32_t length, uint32_t start)
{
	uint64_t sum = sum_words(frame + AT_ADDRESS, AT_PATTERN - AT_ADDRESS);
	uint16_t check;

	sum += htons(UDP_PROTO) + (uint32_t)htons((uint16_t)(length - AT_UDP));
	check = fold(sum + sum_pattern(start, length - AT_PATTERN));
	return check ? check : 0xffff;
}

/* What is between the MAC addresses and the pattern. */
static void write_head(uint8_t *frame, uint32_t length, const struct gen_mark *mark)
{
	const struct mark bytes = { htobe32(MAGIC), htobe32(mark->run),
				    htobe16((uint16_t)mark->flow), htobe64(mark->sequence) };

	memcpy(frame + AT_TYPE, header, sizeof(header));
	store(frame + AT_IP + 2, htons((uint16_t)(length - AT_IP)));
	store(frame + AT_IP_SUM, fold(sum_words(frame + AT_IP, IP_SIZE)));
	store(frame + AT_UDP, htons((uint16_t)(PORT_BASE + mark->flow)));
	store(frame + AT_UDP + 2, htons(PORT_TO));
	store(frame + AT_UDP + 4, htons((uint16_t)(length - AT_UDP)));
	store(frame + AT_UDP_SUM, 0);
	memcpy(frame + AT_MARK, &bytes, sizeof(bytes));
	store(frame + AT_UDP_SUM, udp_checksum(frame, length, start_of(mark)));
}

void gen_frame(uint8_t *frame, uint32_t length, const uint8_t to[6], const uint8_t from[6],
	       const struct gen_mark *mark)
{
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	write_head(frame, length, mark);
	memcpy(frame + AT_PATTERN, pattern + 2 * start_of(mark), length - AT_PATTERN);
}

/* By its mark, or by its addresses where the mark was hit. */
static bool is_ours(const uint8_t *frame, const struct mark *bytes)
{
	if (bytes->magic == htobe32(MAGIC))
		return true;
	return !memcmp(frame + AT_TYPE, header, 2) &&
	       !memcmp(frame + AT_ADDRESS, header + (AT_ADDRESS - AT_TYPE), 8) &&
	       load(frame + AT_UDP + 2) == htons(PORT_TO);
}

enum gen_verdict gen_check(const uint8_t *frame, uint32_t length, struct gen_mark *mark)
{
	uint8_t wanted[AT_PATTERN];
	struct gen_mark read;
	struct mark bytes;

	if (length < GEN_FRAME_MIN)
		return GEN_FOREIGN;
	memcpy(&bytes, frame + AT_MARK, sizeof(bytes));
	if (!is_ours(frame, &bytes))
		return GEN_FOREIGN;
	read = (struct gen_mark){ be32toh(bytes.run), be16toh(bytes.flow),
				  be64toh(bytes.sequence) };
	if (length > GEN_FRAME_MAX || read.flow >= GEN_FLOWS_MAX)
		return GEN_CORRUPT;
	write_head(wanted, length, &read);
	if (memcmp(frame + AT_TYPE, wanted + AT_TYPE, AT_PATTERN - AT_TYPE) ||
	    memcmp(frame + AT_PATTERN, pattern + 2 * start_of(&read), length - AT_PATTERN))
		return GEN_CORRUPT;
	*mark = read;
	return GEN_INTACT;
}
