/* SPDX-License-Identifier: MIT */
/*
 * Records to bytes and back. A number is a varint: 7 bits a byte, the lowest first, bit 7 set in
 * all but the last byte. So the format knows no byte order.
 */
#include <errno.h>
#include <string.h>

#include "trace.h"

#define KIND_BITS 6

/* Fields: what is asked, then after the bar what was answered; `err` is errno, 0 for success. */
const struct userpci_record_shape userpci_record_shapes[USERPCI_RECORD_KINDS] = {
	[USERPCI_RECORD_READ] = { 3, 2, false },	 /* region, offset | value */
	[USERPCI_RECORD_WRITE] = { 3, 3, false },	 /* region, offset, value */
	[USERPCI_RECORD_REPEAT] = { 1, 1, false },	 /* times */
	[USERPCI_RECORD_MAP] = { 5, 2, false },		 /* region, wc | err, size, flags */
	[USERPCI_RECORD_UNMAP] = { 1, 1, false },	 /* region */
	[USERPCI_RECORD_CONFIG_READ] = { 3, 1, false },	 /* offset | err, value */
	[USERPCI_RECORD_CONFIG_WRITE] = { 3, 2, false }, /* offset, value | err */
	[USERPCI_RECORD_DMA_MASK] = { 2, 1, false },	 /* bits | err */
	/* size, kind | err, size, iova, handle, chunks */
	[USERPCI_RECORD_DMA_ALLOC] = { 7, 2, true },
	[USERPCI_RECORD_DMA_FREE] = { 1, 1, false }, /* handle */
	/* | err, size, iova, handle, chunks, kind */
	[USERPCI_RECORD_DMA_ATTACH] = { 6, 0, true },
	[USERPCI_RECORD_DMA_CHUNK] = { 6, 2, false },  /* handle, index | err, offset, iova, size */
	[USERPCI_RECORD_IRQ_ENABLE] = { 3, 2, false }, /* kind, count | err */
	[USERPCI_RECORD_IRQ_DISABLE] = { 0, 0, false },
	[USERPCI_RECORD_IRQ_MASK] = { 3, 2, false },   /* vector, masked | err */
	[USERPCI_RECORD_IRQ_LIMIT] = { 3, 2, false },  /* vector, per_second | err */
	[USERPCI_RECORD_IRQ_WAIT] = { 3, 1, false },   /* vector | err, count */
	[USERPCI_RECORD_IRQ] = { 2, 2, false },	       /* vector, count */
	[USERPCI_RECORD_BUS_MASTER] = { 2, 1, false }, /* enable | err */
	[USERPCI_RECORD_RESET] = { 1, 0, false },      /* | err */
};

static uint8_t *put(uint8_t *to, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*to++ = (uint8_t)(value | 0x80);
	*to++ = (uint8_t)value;
	return to;
}

static uint8_t *put_name(uint8_t *to, const char *name)
{
	size_t length = strlen(name);

	to = put(to, length);
	memcpy(to, name, length);
	return to + length;
}

static unsigned int log2_of(unsigned int width)
{
	return width == 8 ? 3 : width / 2;
}

size_t userpci_record_encode(const struct userpci_record *record, uint8_t *to)
{
	const struct userpci_record_shape *shape = &userpci_record_shapes[record->kind];
	uint8_t *begin = to;
	unsigned int i;

	*to++ = (uint8_t)(record->kind | log2_of(record->width) << KIND_BITS);
	to = put(to, record->delta_ns);
	for (i = 0; i < shape->fields; i++)
		to = put(to, record->field[i]);
	if (shape->named)
		to = put_name(to, record->name);
	return (size_t)(to - begin);
}

size_t userpci_trace_header(const struct userpci_info *info, uint8_t *to)
{
	const uint64_t fields[] = {
		USERPCI_TRACE_VERSION,
		__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__,
		info->vendor_id,
		info->device_id,
		info->subsystem_vendor_id,
		info->subsystem_id,
		info->class_code,
		info->flags,
		info->num_regions,
		info->num_intx,
		info->num_msi,
		info->num_msix,
		(uint64_t)(info->numa_node + 1),
	};
	uint8_t *begin = to;
	unsigned int i;

	memcpy(to, USERPCI_TRACE_MAGIC, sizeof(USERPCI_TRACE_MAGIC));
	to += sizeof(USERPCI_TRACE_MAGIC);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		to = put(to, fields[i]);
	to = put_name(to, info->address);
	to = put_name(to, info->backend);
	return (size_t)(to - begin);
}
