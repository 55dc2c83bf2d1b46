// SPDX-License-Identifier: GPL-2.0-or-later
/* A PCI device in the system: who has it, and who could. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "entry.h"
#include "terminal.h"

/* --- Gathering --- */

static void read_subsystem(const struct bind_env *env, const char *address, char *text, size_t size)
{
	char vendor[16], device[16];

	text[0] = '\0';
	if (sysfs_read(env, SYSFS_DEVICES, address, "subsystem_vendor", vendor, sizeof(vendor)) ||
	    sysfs_read(env, SYSFS_DEVICES, address, "subsystem_device", device, sizeof(device)))
		return;
	snprintf(text, size, "%04lx:%04lx", strtoul(vendor, NULL, 16) & 0xffff,
		 strtoul(device, NULL, 16) & 0xffff);
}

static void describe(const struct bind_env *env, struct entry *entry)
{
	const struct bind_device *device = entry->device;
	const char *address = device->address;
	struct bind_state state;

	for (unsigned int b = 0; b < SERVE_BACKENDS; b++)
		entry->words[b] = serve_word(env, device, b);
	if (sysfs_link(env, SYSFS_DEVICES, address, "iommu_group", entry->group,
		       sizeof(entry->group)))
		entry->group[0] = '\0';
	if (sysfs_read(env, SYSFS_DEVICES, address, "iommu_group/type", entry->group_type,
		       sizeof(entry->group_type)))
		entry->group_type[0] = '\0';
	if (sysfs_read(env, SYSFS_DEVICES, address, "numa_node", entry->numa,
		       sizeof(entry->numa)) ||
	    entry->numa[0] == '-')
		entry->numa[0] = '\0';
	read_subsystem(env, address, entry->subsystem, sizeof(entry->subsystem));
	if (device->bound)
		snprintf(entry->node, sizeof(entry->node), "%s/%s", env->dev, address);
	if (entry->node[0] && access(entry->node, F_OK))
		entry->node[0] = '\0';
	if (!state_load(env, address, &state))
		snprintf(entry->former, sizeof(entry->former), "%s", state.driver);
	state_free(&state);
}

struct entry *entries_get(const struct bind_env *env, const struct bind_list *list, bool modules)
{
	struct entry *entries = calloc(list->count + 1, sizeof(*entries));
	struct verdict *verdicts = calloc(list->count + 1, sizeof(*verdicts));
	struct owner *owners = calloc(list->count + 1, sizeof(*owners));
	char(*names)[MODULES_SIZE] = calloc(list->count + 1, sizeof(*names));

	if (entries && verdicts && owners && names) {
		verdict_find(env, list->devices, list->count, verdicts);
		owner_find(env, list->devices, list->count, owners);
		if (modules)
			modules_find(env, NULL, list->devices, list->count, names);
		for (size_t i = 0; i < list->count; i++) {
			entries[i] = (struct entry){ .device = &list->devices[i],
						     .owner = owners[i],
						     .verdict = verdicts[i] };
			memcpy(entries[i].modules, names[i], sizeof(names[i]));
			describe(env, &entries[i]);
		}
	} else {
		free(entries);
		entries = NULL;
	}
	free(names);
	free(owners);
	free(verdicts);
	return entries;
}

/* --- Words --- */

/* What userpci has to do with the device: empty for most. */
void entry_print_remark(const struct bind_env *env, const struct entry *entry)
{
	const struct bind_device *device = entry->device;

	if (!device->bound && !device->claimed)
		return;
	if (!device->bound) {
		printf(" (userpci: not bound, but claimed; 'userpci unbind' clears that)");
		return;
	}
	printf(" (userpci: bound, %s%s/%s", entry->node[0] ? "" : "no ", env->dev, device->address);
	if (entry->former[0])
		printf(", was %s", entry->former);
	putchar(')');
}

/* What serves a device, and what could, stand out. */
static const char *word_colour(const char *word)
{
	if (!strcmp(word, "bound"))
		return terminal_colour(TERMINAL_GREEN);
	return strcmp(word, "busy") ? "" : terminal_colour(TERMINAL_YELLOW);
}

void entry_print_word(const char *key, const char *word, int width)
{
	const char *colour = word_colour(word);

	printf(" %s=%s%-*s%s", key, colour, width, word,
	       colour[0] ? terminal_colour(TERMINAL_PLAIN) : "");
}

/* --- Details --- */

static void print_detail(const char *what, const char *text)
{
	if (text[0])
		printf("\t%s: %s\n", what, text);
}

static void print_group(const struct entry *entry)
{
	if (entry->group[0])
		printf("\tIOMMU group: %s%s%s\n", entry->group, entry->group_type[0] ? ", " : "",
		       entry->group_type);
}

static void print_backends(const struct entry *entry)
{
	printf("\tBackends:");
	for (unsigned int b = 0; b < SERVE_BACKENDS; b++)
		entry_print_word(serve_name(b), entry->words[b], 0);
	putchar('\n');
}

void entry_print_details(const struct bind_env *env, const struct entry *entry)
{
	const struct bind_device *device = entry->device;

	printf("%s%s%s [%04x] %04x:%04x %s", terminal_colour(TERMINAL_BOLD), device->address,
	       terminal_colour(TERMINAL_PLAIN), device->class, device->vendor, device->device,
	       device->name);
	entry_print_remark(env, entry);
	putchar('\n');
	print_detail("Subsystem", entry->subsystem);
	print_detail("Kernel driver in use", device->driver);
	print_detail("Kernel modules", entry->modules);
	print_backends(entry);
	if (entry->owner.pid)
		printf("\tOwner: process %ld (%s)\n", entry->owner.pid, entry->owner.command);
	print_group(entry);
	print_detail("NUMA node", entry->numa);
	printf("\tbind: %s%s%s\n", entry->verdict.word, entry->verdict.why[0] ? ": " : "",
	       entry->verdict.why);
}

/* --- JSON --- */

static void json_id(struct json *json, const char *key, unsigned int id)
{
	char text[16];

	snprintf(text, sizeof(text), "%04x", id);
	json_text(json, key, text);
}

static void json_or_null(struct json *json, const char *key, const char *text)
{
	json_text(json, key, text[0] ? text : NULL);
}

static void json_words(struct json *json, const char *key, const char *words)
{
	char word[MODULES_SIZE];
	size_t length;

	json_array(json, key);
	for (; *words; words += length + (words[length] == ' ')) {
		length = strcspn(words, " ");
		snprintf(word, sizeof(word), "%.*s", (int)length, words);
		json_text(json, NULL, word);
	}
	json_array_end(json);
}

static void json_integer(struct json *json, const char *key, const char *number)
{
	if (number[0])
		json_number(json, key, strtoull(number, NULL, 10));
	else
		json_null(json, key);
}

static void json_owner(struct json *json, const struct owner *owner)
{
	if (!owner->pid) {
		json_null(json, "owner");
		return;
	}
	json_object(json, "owner");
	json_signed(json, "pid", owner->pid);
	json_text(json, "command", owner->command);
	json_object_end(json);
}

void entry_json(struct json *json, const struct entry *entry)
{
	const struct bind_device *device = entry->device;

	json_text(json, "address", device->address);
	json_id(json, "class", device->class);
	json_id(json, "vendor", device->vendor);
	json_id(json, "device", device->device);
	json_or_null(json, "subsystem", entry->subsystem);
	json_text(json, "name", device->name);
	json_or_null(json, "driver", device->driver);
	json_words(json, "modules", entry->modules);
	json_text(json, "backend", serve_bound(device));
	for (unsigned int b = 0; b < SERVE_BACKENDS; b++)
		json_text(json, serve_name(b), entry->words[b]);
	json_owner(json, &entry->owner);
	json_integer(json, "iommu_group", entry->group);
	json_or_null(json, "iommu_type", entry->group_type);
	json_integer(json, "numa_node", entry->numa);
	json_text(json, "bind", entry->verdict.word);
	json_or_null(json, "bind_reason", entry->verdict.why);
	json_bool(json, "claimed", device->claimed);
	json_or_null(json, "node", entry->node);
	json_or_null(json, "former_driver", entry->former);
}
