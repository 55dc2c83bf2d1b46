/* SPDX-License-Identifier: MIT */
/* Records in words. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "trace.h"

/* "CTRL (0x0000)", "MTA[3] (0x520c)", "EERD+2 (0x0016)" or "0x0000". */
static void register_text(const struct userpci_record *record, const struct userpci_register *names,
			  char *text, size_t size)
{
	uint64_t region = record->field[0], offset = record->field[1];
	const struct userpci_register *r;
	char element[16] = "", inside[8] = "";
	uint64_t index, rest;

	for (r = names; r && r->name; r++) {
		uint32_t count = r->count ? r->count : 1, stride = r->stride ? r->stride : r->width;

		if (r->region != region || offset < r->offset || !stride)
			continue;
		index = (offset - r->offset) / stride;
		rest = (offset - r->offset) % stride;
		if (index >= count || rest >= r->width)
			continue;
		if (r->count)
			snprintf(element, sizeof(element), "[%u]", (unsigned int)index);
		if (rest)
			snprintf(inside, sizeof(inside), "+%u", (unsigned int)rest & 0xff);
		snprintf(text, size, "%.32s%s%s (0x%04" PRIx64 ")", r->name, element, inside,
			 offset);
		return;
	}
	snprintf(text, size, "0x%04" PRIx64, offset);
}

static void access_text(const struct userpci_record *record, const struct userpci_register *names,
			char *text, size_t size)
{
	char where[80];

	register_text(record, names, where, sizeof(where));
	snprintf(text, size, "BAR%" PRIu64 " %s %c%u = 0x%0*" PRIx64, record->field[0], where,
		 record->kind == USERPCI_RECORD_READ ? 'r' : 'w', 8u * record->width,
		 2 * record->width, record->field[2]);
}

/* "" or ": why it failed". */
static const char *result(uint64_t err, char text[48])
{
	text[0] = '\0';
	if (err)
		snprintf(text, 48, ": %.40s", err < 4096 ? strerror((int)err) : "unknown error");
	return text;
}

static const char *irq_kind(uint64_t kind)
{
	static const char *const kinds[] = { "INTx", "MSI", "MSI-X" };

	return kind < 3 ? kinds[kind] : "of an unknown kind";
}

static void config_text(const struct userpci_record *record, char *text, size_t size)
{
	const uint64_t *f = record->field;
	bool read = record->kind == USERPCI_RECORD_CONFIG_READ;
	uint64_t err = read ? f[1] : f[2], value = read ? f[2] : f[1];
	char why[48];

	snprintf(text, size, "config 0x%03" PRIx64 " %c%u = 0x%0*" PRIx64 "%s", f[0],
		 read ? 'r' : 'w', 8u * record->width, 2 * record->width, value, result(err, why));
}

static void dma_text(const struct userpci_record *record, char *text, size_t size)
{
	static const char *const kinds[] = { "", " chunked", " shared", " pinned" };
	const uint64_t *f = record->field;
	char why[48], where[48];

	switch (record->kind) {
	case USERPCI_RECORD_DMA_MASK:
		snprintf(text, size, "dma mask: %" PRIu64 " bits%s", f[0], result(f[1], why));
		break;
	case USERPCI_RECORD_DMA_ALLOC:
		if (f[2])
			result(f[2], where);
		else
			snprintf(where, sizeof(where), " at iova 0x%" PRIx64, f[4]);
		snprintf(text, size, "dma alloc%s: %" PRIu64 " bytes%s%s%s",
			 f[1] < 4 ? kinds[f[1]] : " of an unknown kind", f[0],
			 record->name[0] ? " for " : "", record->name, where);
		break;
	case USERPCI_RECORD_DMA_FREE:
		snprintf(text, size, "dma free: buffer 0x%" PRIx64, f[0]);
		break;
	case USERPCI_RECORD_DMA_ATTACH:
		snprintf(text, size, "dma attach %s: %" PRIu64 " bytes at iova 0x%" PRIx64 "%s",
			 record->name, f[1], f[2], result(f[0], why));
		break;
	default:
		snprintf(text, size,
			 "dma piece %" PRIu64 " of buffer 0x%" PRIx64 ": %" PRIu64
			 " bytes at iova 0x%" PRIx64 "%s",
			 f[1], f[0], f[5], f[4], result(f[2], why));
	}
}

static void irq_text(const struct userpci_record *record, char *text, size_t size)
{
	const uint64_t *f = record->field;
	char why[48];

	switch (record->kind) {
	case USERPCI_RECORD_IRQ_ENABLE:
		snprintf(text, size, "irq enable: %" PRIu64 " %s%s", f[1], irq_kind(f[0]),
			 result(f[2], why));
		break;
	case USERPCI_RECORD_IRQ_DISABLE:
		snprintf(text, size, "irq disable");
		break;
	case USERPCI_RECORD_IRQ_MASK:
		snprintf(text, size, "irq %s vector %" PRIu64 "%s", f[1] ? "mask" : "unmask", f[0],
			 result(f[2], why));
		break;
	case USERPCI_RECORD_IRQ_LIMIT:
		snprintf(text, size, "irq limit vector %" PRIu64 ": %" PRIu64 " a second%s", f[0],
			 f[1], result(f[2], why));
		break;
	case USERPCI_RECORD_IRQ_WAIT:
		snprintf(text, size, "irq wait vector %" PRIu64 ": %" PRIu64 " came%s", f[0], f[2],
			 result(f[1], why));
		break;
	default:
		snprintf(text, size, "interrupt on vector %" PRIu64 ": %" PRIu64, f[0], f[1]);
	}
}

static void map_text(const struct userpci_record *record, char *text, size_t size)
{
	const uint64_t *f = record->field;
	char why[48];

	snprintf(text, size, "map BAR%" PRIu64 "%s: 0x%" PRIx64 " bytes%s", f[0],
		 f[1] ? " write-combining" : "", f[3], result(f[2], why));
}

void userpci_record_text(const struct userpci_record *record, const struct userpci_register *names,
			 char *text, size_t size)
{
	const uint64_t *f = record->field;
	char why[48];

	switch (record->kind) {
	case USERPCI_RECORD_END:
		snprintf(text, size, "the end");
		break;
	case USERPCI_RECORD_READ:
	case USERPCI_RECORD_WRITE:
		access_text(record, names, text, size);
		break;
	case USERPCI_RECORD_REPEAT:
		if (f[0] == 1)
			snprintf(text, size, "the same once more");
		else
			snprintf(text, size, "the same %" PRIu64 " times more", f[0]);
		break;
	case USERPCI_RECORD_MAP:
		map_text(record, text, size);
		break;
	case USERPCI_RECORD_UNMAP:
		snprintf(text, size, "unmap BAR%" PRIu64, f[0]);
		break;
	case USERPCI_RECORD_CONFIG_READ:
	case USERPCI_RECORD_CONFIG_WRITE:
		config_text(record, text, size);
		break;
	case USERPCI_RECORD_BUS_MASTER:
		snprintf(text, size, "bus master %s%s", f[0] ? "on" : "off", result(f[1], why));
		break;
	case USERPCI_RECORD_RESET:
		snprintf(text, size, "reset%s", result(f[0], why));
		break;
	case USERPCI_RECORD_DMA_MASK:
	case USERPCI_RECORD_DMA_ALLOC:
	case USERPCI_RECORD_DMA_FREE:
	case USERPCI_RECORD_DMA_ATTACH:
	case USERPCI_RECORD_DMA_CHUNK:
		dma_text(record, text, size);
		break;
	default:
		irq_text(record, text, size);
	}
}

int userpci_trace_line(struct userpci_trace *trace, const struct userpci_register *names,
		       char *text, size_t size)
{
	struct userpci_record record;
	char what[160], time[32];
	int got = userpci_trace_next(trace, &record);

	if (got <= 0) {
		if (size)
			text[0] = '\0';
		return got;
	}
	userpci_record_text(&record, names, what, sizeof(what));
	snprintf(time, sizeof(time), "+%" PRIu64 ".%03uus", record.delta_ns / 1000,
		 (unsigned int)(record.delta_ns % 1000));
	snprintf(text, size, "%14s  %s", time, what);
	return 1;
}
