/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device that a subcommand looks at or changes, on whatever backend. */
#ifndef TOOLS_TARGET_H
#define TOOLS_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include <userpci/userpci.h>

#include "json.h"
#include "place.h"
#include "tools/cmd.h"

struct target {
	const char *action;
	const char *address; /* as it was given */
	struct userpci_device *device;
	bool owner;
	const struct userpci_register *names;		 /* or NULL */
	struct userpci_region regions[USERPCI_NUM_BARS]; /* a device of NULL: not mapped yet */
};

/*
 * Opens it: to look, beside an owner where the backend has observers, else as the owner; or to
 * change it, always as the owner. Or prints why not.
 */
enum cmd_status target_open(struct target *target, const char *action, const char *address,
			    bool change);
void target_close(struct target *target);

/* The completed address; as it was given, where that is no PCI address. */
const char *target_name(const struct target *target);

/* Whether there are an ADDRESS and from @min to @max words behind it, called @what. */
enum cmd_status target_words(const char *action, const struct cmd_options *options, size_t min,
			     size_t max, const char *what);

/* The line that says why userpci_open() failed. */
enum cmd_status target_open_error(const char *action, const char *address, int err);

/*
 * Makes a BAR accessible. One that takes calls is the owner's, also to read: an observer becomes
 * it. Or prints why not.
 */
enum cmd_status target_region(struct target *target, unsigned int index,
			      struct userpci_region **region);

/* An access of the BAR or of configuration space; with a mask to write, two. Or prints why not. */
enum cmd_status target_read(struct target *target, const struct place *place, uint64_t *value);
enum cmd_status target_write(struct target *target, const struct place *place);

/* Whether it is still there, for a write to what is gone is lost. Or prints that it is not. */
enum cmd_status target_check(struct target *target);

/* The register that a word means, or prints what is wrong with it. */
enum cmd_status target_place(const struct target *target, const struct cmd_options *options,
			     const char *word, struct place *place);

/* All of @words, which a NULL ends not: registers, and where @writes, values for them. */
enum cmd_status target_places(const struct target *target, const struct cmd_options *options,
			      const char *const *words, size_t count, bool writes,
			      struct place **places);

/* A line for a register: "BAR0 CTRL (0x0000) = 0x00140240", or an object of JSON. */
void target_print(const struct target *target, bool json, const struct place *place,
		  uint64_t value);

/* What the line and others have of it in JSON: region, offset, width, name. */
void target_json_place(struct json *json, const struct place *place);

#endif
