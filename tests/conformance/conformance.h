/* SPDX-License-Identifier: MIT */
/*
 * The conformance suite: what each kind of memory allows, by whichever driver it is mapped.
 *
 * A row is a function that tries one thing and says in a few words what came of it: "ok", the name
 * of an errno or of the signal that ended it, or "not offered". It runs in a process of its own, so
 * that a signal is an outcome like any other; what the kernel complains of meanwhile is part of it.
 * The subject is what the environment variable CONFORMANCE_SUBJECT names: userpci, uio, vfio or
 * sysfs. For userpci each row has an outcome that is expected, and another one is a failure. Where
 * kernels differ it has two, with "|" between them.
 *
 * Each row prints a line for the table: "row", section, name, title, outcome, between tabs.
 */
#ifndef TESTS_CONFORMANCE_H
#define TESTS_CONFORMANCE_H

#include "uapi/support.h"

/* The kinds of memory. A subject has some of them. */
enum kind {
	REGISTERS,  /* a BAR */
	CONTIGUOUS, /* a DMA buffer in one piece */
	STATISTICS, /* pages that the kernel writes, read-only */
	SHARED,	    /* memory of the process's and the device's; with VFIO the caller's own */
};

/* What mmap is given. */
struct place {
	int fd;
	int bar; /* -1: none */
	uint64_t offset, bytes;
};

#define MAX_PLACES 16

struct device {
	const char *address;
	int fd;		 /* of what is opened, and closed at the end */
	int node;	 /* VFIO: the device's, from its group; else fd */
	int container;	 /* VFIO */
	int bars[6];	 /* sysfs: resourceN; -1: not open */
	uint64_t memory; /* VFIO: the iova of the next buffer */
};

struct buffer {
	struct place place;
	uint64_t iova;
	uint32_t handle;
	uint32_t chunks; /* pieces, of which `iova` is the first's */
};

struct subject {
	const char *name;
	const char *driver; /* that the device is given to; "": none */
	/* 0 or -errno; flags: O_RDWR or O_RDONLY. */
	int (*open)(struct device *d, int flags);
	/* All that can be mapped; their number. */
	int (*places)(struct device *d, struct place *places);
	/* 0 or -errno. */
	int (*alloc)(struct device *d, enum kind kind, uint64_t bytes, struct buffer *buffer);
	int (*bus_master)(struct device *d, int on);
	int kinds; /* 1 << kind, of those that it has */
};

extern const struct subject subject_userpci, subject_uio, subject_vfio, subject_sysfs;
/* The one that is tried. */
const struct subject *subject(void);
int is_userpci(void);

/* The place of pages that the kernel writes; the row ends when there is none. */
struct place userpci_statistics(struct device *d);

/* Gives the device to the subject's driver, and opens it; 0 or -errno. */
int device_open(struct device *d, const char *id, int flags);
/* One that must open. */
struct device device_own(const char *id);
void device_close(struct device *d);
/* Takes it from the driver, as `unbind` of sysfs does. */
int device_release(const struct device *d);
/* The memory of a BAR; the row ends when it cannot be mapped. */
struct place device_bar(struct device *d, int bar);
/* The device's own Bus Master bit. */
int device_is_master(const struct device *d);

/* Memory that is mapped. */
struct memory {
	struct device d;
	struct buffer buffer; /* of registers the place only */
	char *va;
	uint64_t bytes;
};

/* Ends the row with "not offered" when the subject has no such memory, or no driver. */
void require(enum kind kind);
void require_driver(void);
void require_userpci(void);
struct memory memory_get(enum kind kind, uint64_t pages, int prot);
/* Puts bytes there that check_pattern() knows; of statistics nothing: they have their own. */
void memory_pattern(enum kind kind, const struct memory *m);
/* The device of each kind. */
const char *kind_device(enum kind kind);
/* Registers and contiguous buffers are for their owner to write; the statistics for nobody. */
int kind_prot(enum kind kind);

/* mmap of a place; MAP_FAILED. */
void *place_map(const struct place *p, uint64_t bytes, int prot, int flags);

struct row {
	const char *section, *name, *title, *expected;
	const char *(*run)(void);
};

void row_report(const struct row *row);
/* Ends the row with these words. */
void row_end(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define NOT_OFFERED() row_end("not offered")
/* A row with this outcome is no failure: the kernel is too old. */
#define NO_SUCH_CALL "no such call"
/* "ok" for what is not negative, else the name of the errno. */
const char *outcome(long result);
/* "ok", or the name of errno, of a call that returns -1. */
const char *outcome_of_call(long result);
const char *outcome_of_map(const void *va);
/* "replaced", or the name of errno. */
const char *outcome_of_fixed(const void *va);

/* SECTION is a macro of the file. `because` is what userpci must come to. */
#define ROW(id, text, because)                                                           \
	static const char *row_##id(void);                                               \
	TEST(id)                                                                         \
	{                                                                                \
		static const struct row row = { SECTION, #id, text, because, row_##id }; \
                                                                                         \
		row_report(&row);                                                        \
	}                                                                                \
	static const char *row_##id(void)

/* The same on each kind of memory, with what userpci must come to on each. */
#define ROWS(id, text, registers, contiguous, statistics, shared)    \
	static const char *rows_##id(enum kind kind);                \
	ROW(id##_registers, text ", registers", registers)           \
	{                                                            \
		return rows_##id(REGISTERS);                         \
	}                                                            \
	ROW(id##_contiguous, text ", contiguous buffer", contiguous) \
	{                                                            \
		return rows_##id(CONTIGUOUS);                        \
	}                                                            \
	ROW(id##_statistics, text ", statistics", statistics)        \
	{                                                            \
		return rows_##id(STATISTICS);                        \
	}                                                            \
	ROW(id##_shared, text ", shared buffer", shared)             \
	{                                                            \
		return rows_##id(SHARED);                            \
	}                                                            \
	static const char *rows_##id(enum kind kind)

/* A child that dies with its parent; its end as an exit status, or SIGNALLED and the signal. */
#define SIGNALLED 256
pid_t child_start(void);
int child_end(pid_t pid);
void child_kill(pid_t pid);

/* As a debugger: through /proc/self/mem, what pread or pwrite gives, or -errno. */
long debugger_read(const volatile void *va, void *data, size_t bytes);
long debugger_write(const volatile void *va, const void *data, size_t bytes);

/* MemFree of the guest, in KiB. */
long memory_free_kib(void);

#endif
