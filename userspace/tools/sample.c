// SPDX-License-Identifier: GPL-2.0-or-later
/* What a device does, looked at again and again, without owning it. */
#include <errno.h>
#include <limits.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interrupts.h"
#include "run.h"
#include "sample.h"
#include "serve.h"

/* --- Which devices --- */

static struct sample *find(const struct samples *samples, const char *address)
{
	for (size_t i = 0; i < samples->count; i++)
		if (!strcmp(samples->samples[i].device.address, address))
			return &samples->samples[i];
	return NULL;
}

static void forget(struct sample *sample)
{
	userpci_close(sample->observer);
	free(sample->counts);
	free(sample->before);
	sample->observer = NULL;
	sample->stats = NULL;
	sample->counts = sample->before = NULL;
	sample->vectors = 0;
}

/* Notes that the device is there, with that driver. */
static int note(struct samples *samples, const char *address)
{
	struct sample *sample = find(samples, address), *more;
	struct bind_device now = { 0 };

	snprintf(now.address, sizeof(now.address), "%.23s", address);
	bind_device_read(samples->env, &now);
	if (!sample) {
		more = reallocarray(samples->samples, samples->count + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		samples->samples = more;
		sample = &more[samples->count++];
		*sample = (struct sample){ .device = now, .anew = true };
	}
	/* Another driver counts anew. */
	if (strcmp(sample->device.driver, now.driver)) {
		forget(sample);
		*sample = (struct sample){ .device = now, .anew = true };
	}
	sample->backend = serve_bound(&sample->device);
	sample->seen = true;
	return 0;
}

static bool is_address(const char *name)
{
	return strchr(name, ':') && name[0] != '.';
}

/* Those of the drivers that hand devices to user space: no device is touched for it. */
static int note_served(struct samples *samples)
{
	struct dirent *entry;
	char path[PATH_MAX];
	int err = 0;
	DIR *dir;

	for (unsigned int b = 0; b < SERVE_BACKENDS && !err; b++) {
		snprintf(path, sizeof(path), "%s/" SYSFS_DRIVERS "/%s", samples->env->sys,
			 serve_driver(b));
		dir = opendir(path);
		if (!dir)
			continue;
		while (!err && (entry = readdir(dir)))
			if (is_address(entry->d_name))
				err = note(samples, entry->d_name);
		closedir(dir);
	}
	return err;
}

static int note_chosen(struct samples *samples)
{
	char path[PATH_MAX];
	int err = 0;

	for (size_t i = 0; i < samples->chosen->count && !err; i++) {
		const char *address = samples->chosen->devices[i].address;

		if (!sysfs_resolve(samples->env, SYSFS_DEVICES, address, path))
			err = note(samples, address);
	}
	return err;
}

static int compare(const void *a, const void *b)
{
	const struct sample *left = a, *right = b;

	return strcmp(left->device.address, right->device.address);
}

static void drop_unseen(struct samples *samples)
{
	size_t kept = 0;

	for (size_t i = 0; i < samples->count; i++)
		if (samples->samples[i].seen)
			samples->samples[kept++] = samples->samples[i];
		else
			forget(&samples->samples[i]);
	samples->count = kept;
	if (kept)
		qsort(samples->samples, kept, sizeof(*samples->samples), compare);
}

/* --- One device --- */

/* Room for the counts of so many vectors. */
static int make_room(struct sample *sample, size_t vectors)
{
	uint64_t *counts, *before;

	if (vectors == sample->vectors)
		return 0;
	counts = calloc(vectors + 1, sizeof(*counts));
	before = calloc(vectors + 1, sizeof(*before));
	if (!counts || !before) {
		free(counts);
		free(before);
		return -ENOMEM;
	}
	free(sample->counts);
	free(sample->before);
	sample->counts = counts;
	sample->before = before;
	sample->vectors = vectors;
	sample->anew = true;
	return 0;
}

static void observe(struct sample *sample)
{
	char address[40];

	snprintf(address, sizeof(address), "stub:%s", sample->device.address);
	if (userpci_open(address, USERPCI_OPEN_OBSERVE, &sample->observer)) {
		sample->observer = NULL;
		return;
	}
	sample->stats = userpci_stats(sample->observer);
}

static int look_at_stats(struct samples *samples, struct sample *sample)
{
	static const char *const kinds[] = { "INTx", "MSI", "MSI-X" };
	const volatile struct userpci_uapi_stats *stats = sample->stats;
	long owner = stats->owner;
	uint32_t kind = stats->irq_kind;
	int err = make_room(sample, stats->num_vectors);

	if (err)
		return err;
	sample->state = stats->state;
	sample->has_memory = true;
	sample->dma_bytes = stats->dma_bytes;
	sample->maps = stats->maps;
	sample->irq_enabled = stats->irq_count;
	sample->irq_kind = sample->irq_enabled && kind < 3 ? kinds[kind] : NULL;
	sample->events = stats->num_events;
	sample->storms = 0;
	for (size_t v = 0; v < sample->vectors; v++) {
		sample->counts[v] = userpci_stats_interrupts(sample->stats, (unsigned int)v);
		sample->storms += userpci_stats_storms(sample->stats, (unsigned int)v);
	}
	if (owner <= 0)
		sample->owner = (struct owner){ .pid = 0 };
	else if (owner != sample->owner.pid)
		owner_name(samples->env, owner, &sample->owner);
	return 0;
}

static int look_at_kernel(struct samples *samples, struct sample *sample)
{
	struct interrupts found;
	int err;

	interrupts_read(samples->env, sample->device.address, &found);
	err = make_room(sample, found.count);
	if (!err) {
		if (found.count)
			memcpy(sample->counts, found.totals, found.count * sizeof(*found.totals));
		sample->irq_kind = found.kind;
		sample->irq_enabled = (uint32_t)found.count;
		owner_find(samples->env, &sample->device, 1, &sample->owner);
	}
	free(found.totals);
	return err;
}

static int look_at(struct samples *samples, struct sample *sample)
{
	int err;

	if (sample->vectors)
		memcpy(sample->before, sample->counts, sample->vectors * sizeof(*sample->counts));
	sample->total_before = sample->total;
	if (!strcmp(sample->device.driver, BIND_DRIVER) && !sample->observer)
		observe(sample);
	/* Bound anew meanwhile: what is mapped is of the time before. */
	if (sample->stats && sample->stats->state & USERPCI_STATE_GONE) {
		forget(sample);
		observe(sample);
	}
	err = sample->stats ? look_at_stats(samples, sample) : look_at_kernel(samples, sample);
	sample->total = 0;
	for (size_t v = 0; v < sample->vectors; v++)
		sample->total += sample->counts[v];
	if (sample->anew || sample->total < sample->total_before) {
		sample->total_before = sample->total;
		if (sample->vectors)
			memcpy(sample->before, sample->counts,
			       sample->vectors * sizeof(*sample->counts));
	}
	sample->anew = false;
	return err;
}

int samples_look(struct samples *samples)
{
	int err;

	for (size_t i = 0; i < samples->count; i++)
		samples->samples[i].seen = false;
	err = samples->chosen ? note_chosen(samples) : note_served(samples);
	drop_unseen(samples);
	samples->before_us = samples->time_us;
	samples->time_us = run_now_us();
	for (size_t i = 0; i < samples->count && !err; i++)
		err = look_at(samples, &samples->samples[i]);
	return err;
}

void samples_free(struct samples *samples)
{
	for (size_t i = 0; i < samples->count; i++)
		forget(&samples->samples[i]);
	free(samples->samples);
	samples->samples = NULL;
	samples->count = 0;
}

/* --- What comes of it --- */

static double rate(const struct samples *samples, uint64_t count)
{
	if (!samples->before_us)
		return 0;
	return run_per_second(count, samples->time_us - samples->before_us);
}

double sample_rate(const struct samples *samples, const struct sample *sample)
{
	return rate(samples, sample->total - sample->total_before);
}

double sample_vector_rate(const struct samples *samples, const struct sample *sample, size_t vector)
{
	if (sample->counts[vector] < sample->before[vector])
		return 0;
	return rate(samples, sample->counts[vector] - sample->before[vector]);
}

const char *sample_state(const struct sample *sample)
{
	if (!sample->stats)
		return sample->owner.pid ? "owned" : "unknown";
	if (sample->state & USERPCI_STATE_GONE)
		return "gone";
	if (sample->state & USERPCI_STATE_ASLEEP)
		return "asleep";
	return sample->state & USERPCI_STATE_OWNED ? "owned" : "free";
}
