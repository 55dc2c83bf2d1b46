/* SPDX-License-Identifier: MIT */
/* Reading a trace. It may be damaged, or be anything else: nothing in it is believed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace.h"

#define KIND_MASK 0x3f

static bool get(struct userpci_trace *trace, uint64_t *value)
{
	unsigned int shift;
	uint64_t v = 0;

	for (shift = 0; shift < 64 && trace->at < trace->end; shift += 7) {
		uint8_t byte = *trace->at++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*value = v;
			return true;
		}
	}
	return false;
}

static bool get_name(struct userpci_trace *trace, char name[USERPCI_NAME_BYTES])
{
	uint64_t length;

	if (!get(trace, &length) || length >= USERPCI_NAME_BYTES ||
	    length > (uint64_t)(trace->end - trace->at))
		return false;
	memcpy(name, trace->at, length);
	name[length] = '\0';
	trace->at += length;
	return strlen(name) == length;
}

static bool get_record(struct userpci_trace *trace, struct userpci_record *record)
{
	const struct userpci_record_shape *shape;
	unsigned int i;

	record->kind = *trace->at & KIND_MASK;
	record->width = (uint8_t)(1u << (*trace->at >> 6));
	trace->at++;
	if (!record->kind || record->kind >= USERPCI_RECORD_KINDS || !get(trace, &record->delta_ns))
		return false;
	shape = &userpci_record_shapes[record->kind];
	for (i = 0; i < shape->fields; i++)
		if (!get(trace, &record->field[i]))
			return false;
	return !shape->named || get_name(trace, record->name);
}

int userpci_trace_next(struct userpci_trace *trace, struct userpci_record *record)
{
	const struct userpci_record none = { .kind = USERPCI_RECORD_END, .width = 1 };

	*record = none;
	if (trace->at == trace->end || !*trace->at)
		return 0;
	trace->number++;
	if (!get_record(trace, record)) {
		*record = none;
		trace->at = trace->end;
		return -EIO;
	}
	trace->time_ns += record->delta_ns;
	return 1;
}

static int header_read(struct userpci_trace *trace)
{
	char address[USERPCI_NAME_BYTES], backend[USERPCI_NAME_BYTES];
	struct userpci_info *info = &trace->info;
	uint64_t field[12], version;
	unsigned int i;

	if ((size_t)(trace->end - trace->at) < sizeof(USERPCI_TRACE_MAGIC) ||
	    memcmp(trace->at, USERPCI_TRACE_MAGIC, sizeof(USERPCI_TRACE_MAGIC)))
		return -EINVAL;
	trace->at += sizeof(USERPCI_TRACE_MAGIC);
	if (!get(trace, &version))
		return -EINVAL;
	if (version != USERPCI_TRACE_VERSION)
		return -EPROTO;
	for (i = 0; i < sizeof(field) / sizeof(field[0]); i++)
		if (!get(trace, &field[i]))
			return -EINVAL;
	if (!get_name(trace, address) || !get_name(trace, backend) ||
	    strlen(address) >= sizeof(info->address))
		return -EINVAL;
	/* The first is the byte order, which says nothing about the numbers. */
	info->vendor_id = (uint16_t)field[1];
	info->device_id = (uint16_t)field[2];
	info->subsystem_vendor_id = (uint16_t)field[3];
	info->subsystem_id = (uint16_t)field[4];
	info->class_code = (uint32_t)field[5];
	info->flags = (uint32_t)field[6];
	info->num_regions = (uint32_t)field[7];
	info->num_intx = (uint32_t)field[8];
	info->num_msi = (uint32_t)field[9];
	info->num_msix = (uint32_t)field[10];
	info->numa_node = (int32_t)(uint32_t)field[11] - 1;
	strcpy(info->address, address);
	return 0;
}

/* The whole file. It is read, not mapped: one that gets shorter meanwhile does no harm. */
static int file_read(const char *path, uint8_t **data, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat stat;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	*size = 0;
	*data = NULL;
	if (fstat(fd, &stat))
		err = -errno;
	else if (!S_ISREG(stat.st_mode))
		err = -EINVAL;
	else if (!(*data = malloc((size_t)stat.st_size + 1)))
		err = -ENOMEM;
	while (!err && n > 0 && *size < (size_t)stat.st_size) {
		n = read(fd, *data + *size, (size_t)stat.st_size - *size);
		if (n < 0)
			err = -errno;
		else
			*size += (size_t)n;
	}
	close(fd);
	if (err)
		free(*data);
	return err;
}

int userpci_trace_open(const char *path, struct userpci_trace **trace)
{
	struct userpci_trace *t = calloc(1, sizeof(*t));
	size_t size = 0;
	int err;

	if (!t)
		return -ENOMEM;
	err = file_read(path, &t->data, &size);
	if (err) {
		free(t);
		return err;
	}
	t->at = t->data;
	t->end = t->data + size;
	err = header_read(t);
	if (err) {
		userpci_trace_close(t);
		return err;
	}
	*trace = t;
	return 0;
}

void userpci_trace_close(struct userpci_trace *trace)
{
	if (!trace)
		return;
	free(trace->data);
	free(trace);
}

const struct userpci_info *userpci_trace_info(const struct userpci_trace *trace)
{
	return &trace->info;
}
