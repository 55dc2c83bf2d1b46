// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci show, for people; and the words of both forms. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pci-name.h"
#include "show.h"
#include "terminal.h"

const char *show_bar_kind(const struct shown *shown, unsigned int i)
{
	if (i == BARS_ROM)
		return "rom";
	return shown->bars[i].io ? "io" : "memory";
}

const char *show_irq_kind(uint32_t kind)
{
	static const char *const kinds[] = { "INTx", "MSI", "MSI-X" };

	return kind < 3 ? kinds[kind] : "?";
}

const char *show_dma_kind(uint32_t kind)
{
	static const char *const kinds[] = { "contiguous", "chunked", "shared", "pinned" };

	return kind < 4 ? kinds[kind] : "?";
}

const char *show_event_name(uint32_t type)
{
	static const char *const names[] = { "?",     "remove",	 "gone",   "error",
					     "reset", "suspend", "resume", "storm" };

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

double show_seconds_since(uint64_t time_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((double)now.tv_sec * 1e9 + (double)now.tv_nsec - (double)time_ns) / 1e9;
}

static const char *size_text(uint64_t bytes, char text[32])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	unsigned int i = 0;

	while (bytes && bytes % 1024 == 0 && i + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		i++;
	}
	snprintf(text, 32, "%" PRIu64 " %s", bytes, units[i]);
	return text;
}

static void print_heading(const char *text)
{
	printf("\t%s%s:%s\n", terminal_colour(TERMINAL_BOLD), text,
	       terminal_colour(TERMINAL_PLAIN));
}

static void print_regions(const struct shown *shown)
{
	char size[32];

	print_heading("Regions");
	for (unsigned int i = 0; i < BARS; i++) {
		const struct bar *bar = &shown->bars[i];

		if (!bar->bytes)
			continue;
		printf("\t\t%u: %s, %s", i, size_text(bar->bytes, size), show_bar_kind(shown, i));
		if (!bar->io && i != BARS_ROM)
			printf(", %s-bit%s", bar->wide ? "64" : "32",
			       bar->prefetchable ? ", prefetchable" : "");
		if (bar->phys)
			printf(", at 0x%" PRIx64, bar->phys);
		if (bar->access)
			printf(", %s", bar->access);
		puts(bar->msix ? ", holds the MSI-X table" : "");
	}
}

static void print_cap(const struct cap *cap)
{
	char key[sizeof(cap->fields[0].key)];

	printf("\t\t[%0*x] %s", cap->extended ? 3 : 2, cap->offset, cap->name);
	if (cap->extended)
		printf(" v%u", cap->version);
	for (size_t i = 0; i < cap->count; i++) {
		const struct cap_field *field = &cap->fields[i];

		snprintf(key, sizeof(key), "%s", field->key);
		for (char *c = key; *c; c++)
			if (*c == '_')
				*c = ' ';
		printf("%s %s", i ? "," : ":", key);
		if (field->kind == CAP_BOOL)
			putchar(field->number ? '+' : '-');
		else if (field->kind == CAP_NUMBER)
			printf(" %" PRIu64, field->number);
		else
			printf(" %s", field->text);
	}
	putchar('\n');
}

static void print_caps(const struct shown *shown)
{
	struct cap cap = { 0 };
	int got;

	print_heading("Capabilities");
	while ((got = caps_next(&shown->config, &cap)) == 1)
		print_cap(&cap);
	if (got == -EACCES)
		puts("\t\tnot to be read: run as root");
	else if (got == -EIO)
		puts("\t\tthe list is broken");
	else if (got)
		printf("\t\tnot to be read: %s\n", strerror(-got));
}

static void print_function(const struct shown *shown)
{
	const struct userpci_info *info = userpci_info(shown->device);

	printf("\tVectors: INTx %u, MSI %u, MSI-X %u\n", info->num_intx, info->num_msi,
	       info->num_msix);
	printf("\tReset: %s\n", info->flags & USERPCI_INFO_RESET ? "yes" : "no");
	printf("\tDMA is confined: %s\n", info->flags & USERPCI_INFO_IOMMU ? "yes" : "no");
}

static void print_dma(const struct shown *shown)
{
	struct userpci_dma_info dma;
	uint32_t cursor = 0;

	while (!userpci_dma_next(shown->device, &cursor, &dma)) {
		printf("\t\tbuffer %u: %" PRIu64 " bytes, %s, at iova 0x%" PRIx64
		       ", %u piece%s, %u reference%s",
		       dma.handle, dma.size, show_dma_kind(dma.kind), dma.iova, dma.chunks,
		       dma.chunks == 1 ? "" : "s", dma.references, dma.references == 1 ? "" : "s");
		if (dma.name[0])
			printf(", \"%s\"", dma.name);
		putchar('\n');
	}
}

static void print_events(const struct userpci_uapi_stats *stats)
{
	uint32_t written = stats->num_events, n;

	printf("\tEvents: %u\n", written);
	n = written > SHOW_EVENTS ? written - SHOW_EVENTS : 0;
	for (; n != written; n++) {
		const struct userpci_uapi_event *event = &stats->events[n % USERPCI_NUM_EVENTS];

		printf("\t\t%s %u, %.1f s ago\n", show_event_name(event->type), event->value,
		       show_seconds_since(event->time_ns));
	}
}

static void print_counts(const struct shown *shown)
{
	const struct userpci_uapi_stats *stats = shown->stats;
	char text[32];

	printf("\tInterrupts: ");
	if (stats->irq_count)
		printf("%u vector%s of %s enabled\n", stats->irq_count,
		       stats->irq_count == 1 ? "" : "s", show_irq_kind(stats->irq_kind));
	else
		puts("none enabled");
	for (unsigned int v = 0; v < stats->num_vectors; v++)
		if (userpci_stats_interrupts(stats, v) || userpci_stats_storms(stats, v))
			printf("\t\tvector %u: %" PRIu64 " since bind, %u storms\n", v,
			       userpci_stats_interrupts(stats, v), userpci_stats_storms(stats, v));
	printf("\tDMA: %s; %u maps of registers and memory\n", size_text(stats->dma_bytes, text),
	       stats->maps);
	print_dma(shown);
	print_events(stats);
}

static void print_private(const struct shown *shown)
{
	const struct userpci_info *info = userpci_info(shown->device);
	uint16_t class = (uint16_t)(info->class_code >> 8);
	char name[256];

	pci_name(class, info->vendor_id, info->device_id, name, sizeof(name));
	printf("%s%s%s [%04x] %04x:%04x %s\n", terminal_colour(TERMINAL_BOLD), shown->address,
	       terminal_colour(TERMINAL_PLAIN), class, info->vendor_id, info->device_id, name);
	printf("\tSubsystem: %04x:%04x\n", info->subsystem_vendor_id, info->subsystem_id);
}

void show_text(const struct shown *shown)
{
	if (shown->entry)
		entry_print_details(shown->env, shown->entry);
	else
		print_private(shown);
	print_regions(shown);
	print_caps(shown);
	if (shown->device)
		print_function(shown);
	if (shown->stats)
		print_counts(shown);
}
