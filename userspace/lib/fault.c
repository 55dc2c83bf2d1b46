/* SPDX-License-Identifier: MIT */
/* What goes wrong on purpose. All is counted, nothing is random: a failure can be repeated. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wrap.h"

static const struct {
	const char *name;
	size_t offset;
} names[] = {
	{ "gone-after=", offsetof(struct userpci_faults, gone_after) },
	{ "lose-irq=", offsetof(struct userpci_faults, lose_irq) },
	{ "spurious-irq=", offsetof(struct userpci_faults, spurious_irq) },
	{ "delay-dma=", offsetof(struct userpci_faults, delay_dma_us) },
	{ "fail-alloc=", offsetof(struct userpci_faults, fail_alloc) },
};

/* One "NAME=NUMBER"; where it ended, or NULL. */
static const char *parse_one(const char *text, struct userpci_faults *faults)
{
	unsigned int i;
	size_t length;
	uint64_t value;
	char *end;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		length = strlen(names[i].name);
		if (strncmp(text, names[i].name, length))
			continue;
		/* strtoull() takes blanks and signs besides. */
		if (text[length] < '0' || text[length] > '9')
			return NULL;
		errno = 0;
		value = strtoull(text + length, &end, 10);
		if (errno)
			return NULL;
		memcpy((char *)faults + names[i].offset, &value, sizeof(value));
		return end;
	}
	return NULL;
}

int userpci_faults_parse(const char *text, struct userpci_faults *faults)
{
	struct userpci_faults f = { 0 };

	while (*text) {
		text = parse_one(text, &f);
		if (!text || (*text && *text != ','))
			return -EINVAL;
		if (*text)
			text++;
	}
	*faults = f;
	return 0;
}

int userpci_fault_set(struct userpci_device *device, const struct userpci_faults *faults)
{
	struct userpci_wrap *wrap;
	int err;

	err = userpci_wrap(device);
	if (err)
		return err;
	wrap = userpci_wrap_enter(device);
	if (faults->delay_dma_us)
		err = userpci_wrap_worker_start(wrap);
	if (!err) {
		wrap->faults = *faults;
		wrap->accesses = wrap->allocations = wrap->interrupts = 0;
		wrap->gone = false;
	}
	userpci_wrap_leave(wrap, NULL);
	return err;
}

/* As when it is pulled out: it touches no memory, and who waits for its interrupts wakes up. */
static void vanish(struct userpci_wrap *wrap)
{
	unsigned int i;

	(void)wrap->inner->bus_master(wrap->device, false);
	for (i = 0; i < wrap->count; i++)
		userpci_wrap_signal(wrap, i, 1);
	wrap->gone = true;
}

void userpci_fault_access(struct userpci_wrap *wrap)
{
	const struct userpci_faults *f = &wrap->faults;

	if (wrap->gone)
		return;
	wrap->accesses++;
	if (f->gone_after && wrap->accesses > f->gone_after)
		vanish(wrap);
	else if (f->spurious_irq && !(wrap->accesses % f->spurious_irq) && wrap->count)
		userpci_wrap_signal(wrap, 0, 1);
}

bool userpci_fault_alloc(struct userpci_wrap *wrap)
{
	return wrap->faults.fail_alloc && ++wrap->allocations >= wrap->faults.fail_alloc;
}

uint64_t userpci_fault_interrupts(struct userpci_wrap *wrap, uint64_t count)
{
	uint64_t before = wrap->interrupts;

	if (wrap->gone)
		return 0;
	wrap->interrupts += count;
	if (!wrap->faults.lose_irq)
		return count;
	return count - (wrap->interrupts / wrap->faults.lose_irq - before / wrap->faults.lose_irq);
}

/* PCI lets a posted write take its time, as long as writes stay in order and no read overtakes. */
bool userpci_fault_post(struct userpci_wrap *wrap, const struct userpci_region *region,
			uint64_t offset, unsigned int width, uint64_t value)
{
	struct userpci_wrap_write *write;

	if (!wrap->faults.delay_dma_us && !wrap->writes)
		return false;
	write = malloc(sizeof(*write));
	if (!write) {
		userpci_fault_send(wrap, INT64_MAX);
		return false;
	}
	*write = (struct userpci_wrap_write){
		.region = *region,
		.offset = offset,
		.width = width,
		.value = value,
		.due_us = userpci_wrap_now_us() + (int64_t)wrap->faults.delay_dma_us,
	};
	*wrap->last_write = write;
	wrap->last_write = &write->next;
	userpci_wrap_worker_wake(wrap);
	return true;
}

void userpci_fault_send(struct userpci_wrap *wrap, int64_t now_us)
{
	struct userpci_wrap_write *write;

	while ((write = wrap->writes) && write->due_us <= now_us) {
		wrap->writes = write->next;
		if (!wrap->writes)
			wrap->last_write = &wrap->writes;
		if (!wrap->gone)
			(void)userpci_wrap_raw_write(wrap, &write->region, write->offset,
						     write->width, write->value);
		free(write);
	}
}
