/* SPDX-License-Identifier: MIT */
/*
 * A register as a word of the command line: [REGION:]REGISTER[.WIDTH][=VALUE[:MASK]].
 *
 * REGION is 0 to 5 or config, REGISTER an offset or a name, with [N] behind it where there are
 * several; WIDTH is b, w, l or q, for 8, 16, 32 or 64 bits, as for setpci.
 */
#ifndef TOOLS_PLACE_H
#define TOOLS_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include <userpci/userpci.h>

#define PLACE_CONFIG 6 /* beside the BARs: configuration space */

struct place {
	unsigned int region; /* a BAR's number, or PLACE_CONFIG */
	unsigned int width;  /* bytes */
	uint64_t offset;
	char name[48]; /* "": none */
	bool write;
	uint64_t value, mask; /* to write; all bits of the width: no mask was given */
};

/* What a word leaves out. */
struct place_defaults {
	const struct userpci_register *names; /* of the device, or NULL */
	int region;			      /* -1: the named register's, else BAR 0 */
	unsigned int width;		      /* bytes; 0: the named register's, else 4 */
};

/* NULL, or what is wrong with it. */
const char *place_parse(const char *word, const struct place_defaults *defaults,
			struct place *place);

/* "config", "0"... "5": its number, else -1. */
int place_region(const char *text);

/* The name of the register at that place, "" if it has none. */
void place_name(const struct userpci_register *names, struct place *place);

/* "BAR0 CTRL (0x0000)", "BAR0 0x0000", "config 0x004". */
#define PLACE_TEXT_SIZE 96
const char *place_text(const struct place *place, char text[PLACE_TEXT_SIZE]);

/* "BAR0", "config". */
const char *place_region_text(unsigned int region);

/* The bits that a register of that width has. */
uint64_t place_ones(unsigned int width);

/* The names in configuration space, in the form of a driver's table. */
extern const struct userpci_register place_config_names[];

#endif
