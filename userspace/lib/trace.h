/* SPDX-License-Identifier: MIT */
/* The format of a trace (doc/trace.md), for what writes and what reads it. */
#ifndef USERPCI_TRACE_H
#define USERPCI_TRACE_H

#include <stdbool.h>

#include <userpci/userpci.h>

#define USERPCI_TRACE_MAGIC   "userpci" /* with its 0: 8 bytes */
#define USERPCI_TRACE_VERSION 1

/* The numbers are in files: they only grow. */
enum userpci_record_kind {
	USERPCI_RECORD_END, /* what a file that was not closed has behind its last record */
	USERPCI_RECORD_READ,
	USERPCI_RECORD_WRITE,
	USERPCI_RECORD_REPEAT, /* the read before came again, with the same answer */
	USERPCI_RECORD_MAP,
	USERPCI_RECORD_UNMAP,
	USERPCI_RECORD_CONFIG_READ,
	USERPCI_RECORD_CONFIG_WRITE,
	USERPCI_RECORD_DMA_MASK,
	USERPCI_RECORD_DMA_ALLOC,
	USERPCI_RECORD_DMA_FREE,
	USERPCI_RECORD_DMA_ATTACH,
	USERPCI_RECORD_DMA_CHUNK,
	USERPCI_RECORD_IRQ_ENABLE,
	USERPCI_RECORD_IRQ_DISABLE,
	USERPCI_RECORD_IRQ_MASK,
	USERPCI_RECORD_IRQ_LIMIT,
	USERPCI_RECORD_IRQ_WAIT,
	USERPCI_RECORD_IRQ, /* an interrupt arrives */
	USERPCI_RECORD_BUS_MASTER,
	USERPCI_RECORD_RESET,
	USERPCI_RECORD_KINDS
};

#define USERPCI_RECORD_FIELDS 7

struct userpci_record {
	uint8_t kind;
	uint8_t width;	   /* of an access, in bytes; of others 1 */
	uint64_t delta_ns; /* since the record before */
	uint64_t field[USERPCI_RECORD_FIELDS];
	char name[USERPCI_NAME_BYTES];
};

/* What the fields of a kind are is said once, in doc/trace.md and trace-format.c. */
struct userpci_record_shape {
	uint8_t fields;
	uint8_t asked; /* so many of them are what the driver asks; the rest is the answer */
	bool named;    /* a name follows, which is asked for as well */
};

extern const struct userpci_record_shape userpci_record_shapes[USERPCI_RECORD_KINDS];

/* A record is never longer, nor is the header. */
#define USERPCI_RECORD_BYTES 256

/* The number of bytes written. */
size_t userpci_record_encode(const struct userpci_record *record, uint8_t *to);
size_t userpci_trace_header(const struct userpci_info *info, uint8_t *to);

/* A trace in memory, and how far it was read. */
struct userpci_trace {
	struct userpci_info info;
	uint8_t *data;
	const uint8_t *at, *end;
	uint64_t number;  /* of the record read last; the first is 1 */
	uint64_t time_ns; /* when it was recorded, from the first one on */
};

/* 1: a record; 0: the end; -EIO: the file is damaged here. */
int userpci_trace_next(struct userpci_trace *trace, struct userpci_record *record);

/* One line, without its time. */
void userpci_record_text(const struct userpci_record *record, const struct userpci_register *names,
			 char *text, size_t size);

/* Writing. The caller serves one at a time. */
struct userpci_tracer;
int userpci_tracer_start(const struct userpci_info *info, const char *path,
			 struct userpci_tracer **tracer);
void userpci_tracer_put(struct userpci_tracer *tracer, const struct userpci_record *record);
/* The first error that there was. */
int userpci_tracer_stop(struct userpci_tracer *tracer);

#endif
