/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A PCI device in the system: who has it, and who could. */
#ifndef TOOLS_ENTRY_H
#define TOOLS_ENTRY_H

#include <limits.h>

#include "json.h"
#include "modules.h"
#include "owner.h"
#include "serve.h"
#include "verdict.h"

/* What is told of a device beyond struct bind_device. */
struct entry {
	const struct bind_device *device;
	const char *words[SERVE_BACKENDS];
	struct owner owner;
	struct verdict verdict;
	char modules[MODULES_SIZE];
	char group[BIND_NAME_SIZE];	 /* its number; "": none */
	char group_type[BIND_NAME_SIZE]; /* "DMA", "identity"...; "": not known */
	char numa[16];			 /* "": none */
	char subsystem[16];		 /* "8086:0000"; "": none */
	char node[PATH_MAX];		 /* of the module; "": none */
	char former[BIND_NAME_SIZE];	 /* its driver before bind; "": none, or not known */
};

/* One for each device of the list, which must stay; the caller frees them. NULL: no memory. */
struct entry *entries_get(const struct bind_env *env, const struct bind_list *list, bool modules);

/* " (userpci: ...)": what userpci has to do with the device; nothing for most. */
void entry_print_remark(const struct bind_env *env, const struct entry *entry);

/* " KEY=WORD" of a backend, or of bind, at least so wide. */
void entry_print_word(const char *key, const char *word, int width);

/* Several lines. */
void entry_print_details(const struct bind_env *env, const struct entry *entry);

/* All of it, in an object that is open. */
void entry_json(struct json *json, const struct entry *entry);

#endif
