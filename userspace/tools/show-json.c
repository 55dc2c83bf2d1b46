// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci show, for programs. */
#include <stdio.h>

#include "pci-name.h"
#include "show.h"

static void json_regions(struct json *json, const struct shown *shown)
{
	json_array(json, "regions");
	for (unsigned int i = 0; i < BARS; i++) {
		const struct bar *bar = &shown->bars[i];

		if (!bar->bytes)
			continue;
		json_object(json, NULL);
		json_number(json, "index", i);
		json_number(json, "bytes", bar->bytes);
		json_text(json, "kind", show_bar_kind(shown, i));
		json_number(json, "bits", bar->wide ? 64 : 32);
		json_bool(json, "prefetchable", bar->prefetchable);
		if (bar->phys)
			json_hex(json, "physical", bar->phys, 8);
		else
			json_null(json, "physical");
		json_text(json, "access", bar->access);
		json_object_end(json);
	}
	json_array_end(json);
}

static void json_cap(struct json *json, const struct cap *cap)
{
	json_object(json, NULL);
	json_hex(json, "offset", cap->offset, 2);
	json_hex(json, "id", cap->id, cap->extended ? 2 : 1);
	json_bool(json, "extended", cap->extended);
	json_text(json, "name", cap->name);
	if (cap->extended)
		json_number(json, "version", cap->version);
	json_object(json, "fields");
	for (size_t i = 0; i < cap->count; i++) {
		const struct cap_field *field = &cap->fields[i];

		if (field->kind == CAP_BOOL)
			json_bool(json, field->key, field->number);
		else if (field->kind == CAP_NUMBER)
			json_number(json, field->key, field->number);
		else
			json_text(json, field->key, field->text);
	}
	json_object_end(json);
	json_object_end(json);
}

static void json_caps(struct json *json, const struct shown *shown)
{
	struct cap cap = { 0 };
	int got;

	json_array(json, "capabilities");
	while ((got = caps_next(&shown->config, &cap)) == 1)
		json_cap(json, &cap);
	json_array_end(json);
	json_bool(json, "capabilities_complete", !got);
}

static void json_function(struct json *json, const struct shown *shown)
{
	const struct userpci_info *info = userpci_info(shown->device);

	json_object(json, "vectors");
	json_number(json, "intx", info->num_intx);
	json_number(json, "msi", info->num_msi);
	json_number(json, "msix", info->num_msix);
	json_object_end(json);
	json_bool(json, "reset", info->flags & USERPCI_INFO_RESET);
	json_bool(json, "dma_confined", info->flags & USERPCI_INFO_IOMMU);
}

static void json_dma(struct json *json, const struct shown *shown)
{
	struct userpci_dma_info dma;
	uint32_t cursor = 0;

	json_array(json, "dma_buffers");
	while (!userpci_dma_next(shown->device, &cursor, &dma)) {
		json_object(json, NULL);
		json_number(json, "handle", dma.handle);
		json_text(json, "name", dma.name[0] ? dma.name : NULL);
		json_text(json, "kind", show_dma_kind(dma.kind));
		json_number(json, "bytes", dma.size);
		json_hex(json, "iova", dma.iova, 8);
		json_number(json, "pieces", dma.chunks);
		json_number(json, "references", dma.references);
		json_object_end(json);
	}
	json_array_end(json);
}

static void json_events(struct json *json, const struct userpci_uapi_stats *stats)
{
	uint32_t written = stats->num_events, n;

	json_number(json, "events", written);
	json_array(json, "last_events");
	n = written > SHOW_EVENTS ? written - SHOW_EVENTS : 0;
	for (; n != written; n++) {
		const struct userpci_uapi_event *event = &stats->events[n % USERPCI_NUM_EVENTS];

		json_object(json, NULL);
		json_text(json, "event", show_event_name(event->type));
		json_number(json, "value", event->value);
		json_decimal(json, "seconds_ago", show_seconds_since(event->time_ns));
		json_object_end(json);
	}
	json_array_end(json);
}

static void json_counts(struct json *json, const struct shown *shown)
{
	const struct userpci_uapi_stats *stats = shown->stats;

	json_object(json, "counts");
	json_text(json, "irq_kind", stats->irq_count ? show_irq_kind(stats->irq_kind) : NULL);
	json_number(json, "irq_enabled", stats->irq_count);
	json_array(json, "interrupts");
	for (unsigned int v = 0; v < stats->num_vectors; v++)
		json_number(json, NULL, userpci_stats_interrupts(stats, v));
	json_array_end(json);
	json_array(json, "storms");
	for (unsigned int v = 0; v < stats->num_vectors; v++)
		json_number(json, NULL, userpci_stats_storms(stats, v));
	json_array_end(json);
	json_number(json, "dma_bytes", stats->dma_bytes);
	json_number(json, "maps", stats->maps);
	json_events(json, stats);
	json_object_end(json);
	json_dma(json, shown);
}

static void json_private(struct json *json, const struct shown *shown)
{
	const struct userpci_info *info = userpci_info(shown->device);
	uint16_t class = (uint16_t)(info->class_code >> 8);
	char name[256], id[16];

	pci_name(class, info->vendor_id, info->device_id, name, sizeof(name));
	json_text(json, "address", shown->address);
	snprintf(id, sizeof(id), "%04x", class);
	json_text(json, "class", id);
	snprintf(id, sizeof(id), "%04x", info->vendor_id);
	json_text(json, "vendor", id);
	snprintf(id, sizeof(id), "%04x", info->device_id);
	json_text(json, "device", id);
	snprintf(id, sizeof(id), "%04x:%04x", info->subsystem_vendor_id, info->subsystem_id);
	json_text(json, "subsystem", id);
	json_text(json, "name", name);
	json_text(json, "backend", info->backend);
}

void show_json(const struct shown *shown)
{
	struct json json = { 0 };

	json_object(&json, NULL);
	json_text(&json, "command", "show");
	if (shown->entry)
		entry_json(&json, shown->entry);
	else
		json_private(&json, shown);
	json_regions(&json, shown);
	json_caps(&json, shown);
	if (shown->device)
		json_function(&json, shown);
	if (shown->stats)
		json_counts(&json, shown);
	json_object_end(&json);
}
