// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci show: all that is known of a device. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "show.h"
#include "target.h"

static const struct option show_options[] = { CMD_OPTION_JSON, CMD_OPTION_HELP, { 0 } };

static const char show_help[] =
	"show regions, capabilities, vectors, DMA buffers and counts\n"
	"\n"
	"usage: userpci show [--json] [-s SLOT] [-d ID] [ADDRESS]...\n"
	"\n"
	"  -s SLOT   [[[domain]:]bus]:][slot][.function], as lspci -s\n"
	"  -d ID     [vendor]:[device][:class[:progif]], as lspci -d\n"
	"  ADDRESS   [DDDD:]BB:DD.F, or qemu:DEVICE; vfio: or uio: before it: owning it\n"
	"  --json    a line of JSON for each\n"
	"\n"
	"Of any device what sysfs and configuration space say; of one that is bound to userpci\n"
	"also what its owner has: it is asked beside him. Only root may read capabilities in\n"
	"sysfs.\n";

#define VPD_SIZE 32768

/* --- Configuration space --- */

static int read_library(void *context, unsigned int offset, unsigned int width, uint32_t *value)
{
	const struct shown *shown = context;

	return userpci_config_read(shown->device, offset, width, value);
}

static int read_sysfs(void *context, unsigned int offset, unsigned int width, uint32_t *value)
{
	const struct shown *shown = context;
	uint8_t bytes[4];
	ssize_t got;

	got = pread(shown->config_fd, bytes, width, offset);
	if (got != (ssize_t)width)
		return got < 0 ? -errno : -EACCES; /* who is not root sees the header */
	*value = 0;
	for (unsigned int i = width; i > 0; i--)
		*value = *value << 8 | bytes[i - 1];
	return 0;
}

static int open_sysfs(const struct shown *shown, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" SYSFS_DEVICES "/%s/%s", shown->env->sys,
		 shown->entry->device->address, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void read_vpd(struct shown *shown)
{
	int fd = open_sysfs(shown, "vpd");
	ssize_t got;

	if (fd < 0)
		return;
	shown->vpd = malloc(VPD_SIZE);
	got = shown->vpd ? read(fd, shown->vpd, VPD_SIZE) : -1;
	close(fd);
	if (got <= 0)
		return;
	shown->config.vpd = shown->vpd;
	shown->config.vpd_size = (size_t)got;
}

/* --- One device --- */

/* With @entry, @device or both. */
static void show(const struct bind_env *env, const char *address, const struct entry *entry,
		 struct userpci_device *device, bool json)
{
	struct shown shown = {
		.env = env,
		.address = address,
		.entry = entry,
		.device = device,
		.config_fd = -1,
		.config = { .read = read_library },
	};

	shown.config.context = &shown;
	if (!device) {
		shown.config.read = read_sysfs;
		shown.config_fd = open_sysfs(&shown, "config");
	}
	if (entry) {
		bars_of_system(env, entry->device->address, shown.bars);
		read_vpd(&shown);
	}
	if (device) {
		bars_of_device(device, shown.bars);
		shown.stats = userpci_stats(device);
	}
	if (json)
		show_json(&shown);
	else
		show_text(&shown);
	if (shown.config_fd >= 0)
		close(shown.config_fd);
	free(shown.vpd);
}

/* Beside its owner, where the module has it and lets us. */
static void show_entry(const struct bind_env *env, const struct entry *entry, bool json)
{
	struct userpci_device *observer = NULL;
	char address[40];

	snprintf(address, sizeof(address), "stub:%s", entry->device->address);
	if (!entry->device->bound || userpci_open(address, USERPCI_OPEN_OBSERVE, &observer))
		observer = NULL;
	show(env, entry->device->address, entry, observer, json);
	userpci_close(observer);
}

static enum cmd_status show_entries(const struct bind_env *env, const struct cmd_options *options)
{
	struct cmd_options with_names = *options;
	enum cmd_status status;
	struct entry *entries;
	struct bind_list list;

	with_names.query.names = true;
	status = cmd_gather(env, &with_names, "show", &list);
	if (status)
		return status;
	entries = entries_get(env, &list, true);
	if (!entries)
		status = cmd_error(NULL, "show", -ENOMEM, "");
	for (size_t i = 0; i < list.count && !status; i++)
		show_entry(env, &entries[i], options->json);
	free(entries);
	bind_list_free(&list);
	return status;
}

/* By the library, with the prefix of a backend. */
static enum cmd_status show_opened(const struct bind_env *env, const char *address, bool json)
{
	struct bind_query query = { .address_count = 1, .names = true };
	char why[BIND_WHY_SIZE];
	struct entry *entries = NULL;
	struct bind_list list = { 0 };
	struct target target;
	enum cmd_status status;
	const char *full;

	status = target_open(&target, "show", address, false);
	if (status)
		return status;
	full = target_name(&target);
	query.addresses = &full;
	if (full != address && !bind_list_get(env, &query, &list, why))
		entries = entries_get(env, &list, true);
	show(env, full, entries, target.device, json);
	free(entries);
	bind_list_free(&list);
	target_close(&target);
	return CMD_OK;
}

/* --- The command --- */

static bool has_prefix(const char *address)
{
	static const char *const prefixes[] = { "stub:", "vfio:", "uio:", "qemu:", "replay:" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(address, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static enum cmd_status show_run(const struct bind_env *env, const struct cmd_options *options)
{
	const struct bind_query *query = &options->query;
	const char **plain = calloc(query->address_count + 1, sizeof(*plain));
	struct cmd_options rest = *options;
	enum cmd_status status = CMD_OK;

	if (!plain)
		return cmd_error(NULL, "show", -ENOMEM, "");
	rest.query.addresses = plain;
	rest.query.address_count = 0;
	for (size_t i = 0; i < query->address_count; i++)
		if (!has_prefix(query->addresses[i]))
			plain[rest.query.address_count++] = query->addresses[i];
	if (!query->address_count && !query->slot && !query->id)
		status = cmd_usage("show", "say which devices: ADDRESS, -s or -d", "");
	else if (rest.query.address_count || query->slot || query->id)
		status = show_entries(env, &rest);
	for (size_t i = 0; i < query->address_count && !status; i++)
		if (has_prefix(query->addresses[i]))
			status = show_opened(env, query->addresses[i], options->json);
	free(plain);
	return status;
}

const struct cmd cmd_show = { "show", show_help, show_options, show_run, CMD_DEVICES };
