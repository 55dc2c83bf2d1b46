// SPDX-License-Identifier: MIT
/*
 * A plugin of QEMU: what a guest does between the marks of qemu/icount.h besides instructions, for
 * `qemu/run --icount-report FILE` and `--icount-profile FILE`.
 *
 *     -plugin icount.so,report=FILE,profile=FILE
 *
 * Until the first mark only marks are looked for, so the boot is not slowed down. One processor
 * only, as `--icount` has.
 *
 * A line of the report: number of the report, of the window, how many were kept, then the sums over
 * these of instructions (the kernel's too, a sleep's none), register reads and writes, locked
 * instructions, fences, system calls. A line of the profile: address of an instruction, how often
 * it ran in the windows that were kept.
 */
#include "plugin.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "icount.h"

#define INSN_MAX    15	      /* bytes of an instruction */
#define APIC	    0xfee00   /* the page of the interrupt controller: of the CPU, not a device */
#define TRACE_LIMIT (1 << 20) /* instructions of a window that are held back until it is kept */

PLUGIN_EXPORT int qemu_plugin_version = 1;

enum { INSTRUCTIONS, READS, WRITES, LOCKED, FENCES, SYSCALLS, COUNTS };

struct counts {
	uint64_t windows;
	uint64_t of[COUNTS];
};

/* An instruction's address and how often it ran: of an open hash table. */
struct place {
	uint64_t address;
	uint64_t count;
};

/* A window that is open, or was open last. */
struct window {
	uint64_t counts[COUNTS];
	uint64_t *trace; /* addresses of the instructions that ran; for the profile only */
	size_t traced;
};

static struct {
	uint64_t id;
	FILE *report, *profile;
	bool started; /* the first mark was met */
	bool inside;  /* a window is open */
	unsigned int reports;
	struct window open, ended[ICOUNT_WINDOWS];
	struct counts kept[ICOUNT_WINDOWS];
	struct place *places;
	size_t place_limit, place_count;
} plugin;

/* ---- The profile ---- */

static struct place *find_place(uint64_t address)
{
	size_t i = (address * 0x9e3779b97f4a7c15u) % plugin.place_limit;

	while (plugin.places[i].count && plugin.places[i].address != address)
		i = (i + 1) % plugin.place_limit;
	return &plugin.places[i];
}

static void grow_places(void)
{
	struct place *old = plugin.places;
	size_t i, limit = plugin.place_limit;

	plugin.place_limit = limit ? 2 * limit : 1 << 16;
	plugin.places = calloc(plugin.place_limit, sizeof(*old));
	if (!plugin.places)
		abort();
	for (i = 0; i < limit; i++) {
		if (old[i].count)
			*find_place(old[i].address) = old[i];
	}
	free(old);
}

static void add_trace(struct window *window)
{
	struct place *place;
	size_t i;

	for (i = 0; i < window->traced; i++) {
		if (2 * plugin.place_count >= plugin.place_limit)
			grow_places();
		place = find_place(window->trace[i]);
		plugin.place_count += !place->count;
		place->address = window->trace[i];
		place->count++;
	}
	window->traced = 0;
}

static void write_profile(void)
{
	size_t i;

	for (i = 0; i < plugin.place_limit; i++) {
		if (plugin.places[i].count)
			fprintf(plugin.profile, "%#" PRIx64 "\t%" PRIu64 "\n",
				plugin.places[i].address, plugin.places[i].count);
	}
	fclose(plugin.profile);
}

/* ---- The counts ---- */

static void write_report(void)
{
	const struct counts *kept;
	unsigned int i, c;

	plugin.reports++;
	for (i = 0; i < ICOUNT_WINDOWS && plugin.report; i++) {
		kept = &plugin.kept[i];
		if (!kept->windows)
			continue;
		fprintf(plugin.report, "%u\t%u\t%" PRIu64, plugin.reports, i, kept->windows);
		for (c = 0; c < COUNTS; c++)
			fprintf(plugin.report, "\t%" PRIu64, kept->of[c]);
		fputc('\n', plugin.report);
		fflush(plugin.report);
	}
	memset(plugin.kept, 0, sizeof(plugin.kept));
}

static void keep(struct window *window, struct counts *kept)
{
	unsigned int c;

	kept->windows++;
	for (c = 0; c < COUNTS; c++)
		kept->of[c] += window->counts[c];
	add_trace(window);
}

/* ---- What is looked at ---- */

static void ran(unsigned int cpu, void *address)
{
	struct window *open = &plugin.open;

	(void)cpu;
	if (!plugin.inside)
		return;
	open->counts[INSTRUCTIONS]++;
	if (!open->trace)
		return;
	if (open->traced == TRACE_LIMIT)
		add_trace(open);
	open->trace[open->traced++] = (uintptr_t)address;
}

static void event(unsigned int cpu, void *which)
{
	(void)cpu;
	if (plugin.inside)
		plugin.open.counts[(uintptr_t)which]++;
}

static void access_done(unsigned int cpu, uint32_t info, uint64_t address, void *user)
{
	struct qemu_plugin_hwaddr *where;

	(void)cpu;
	(void)user;
	if (!plugin.inside)
		return;
	where = qemu_plugin_get_hwaddr(info, address);
	if (where && qemu_plugin_hwaddr_is_io(where) &&
	    qemu_plugin_hwaddr_phys_addr(where) >> 12 != APIC)
		plugin.open.counts[qemu_plugin_mem_is_store(info) ? WRITES : READS]++;
}

/* What to count of an instruction, besides its memory accesses: COUNTS if nothing. */
static unsigned int classify(const uint8_t *bytes, size_t size)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					    0x66, 0x67, 0xf2, 0xf3, 0xf0 };
	size_t i;

	for (i = 0; i < size && memchr(prefixes, bytes[i], sizeof(prefixes)); i++) {
		if (bytes[i] == 0xf0)
			return LOCKED;
	}
	i += i < size && (bytes[i] & 0xf0) == 0x40; /* REX */
	if (i < size && (bytes[i] & 0xf4) == 0xe4)
		return bytes[i] & 2 ? WRITES : READS; /* OUT, IN */
	if (i + 1 < size && (bytes[i] & 0xfe) == 0x86 && bytes[i + 1] < 0xc0)
		return LOCKED; /* XCHG with memory is */
	if (i + 1 >= size || bytes[i] != 0x0f)
		return COUNTS;
	if (bytes[i + 1] == 0x05)
		return SYSCALLS;
	if (i + 2 < size && bytes[i + 1] == 0xae && bytes[i + 2] >= 0xe8)
		return FENCES; /* LFENCE, MFENCE, SFENCE */
	return COUNTS;
}

static void watch(uint64_t id);

static void mark(unsigned int cpu, void *user)
{
	unsigned int number = (unsigned int)(uintptr_t)user;
	struct window other;

	(void)cpu;
	switch (number) {
	case ICOUNT_START:
		if (!plugin.started)
			qemu_plugin_reset(plugin.id, watch);
		plugin.started = true;
		break;
	case ICOUNT_BEGIN:
		memset(plugin.open.counts, 0, sizeof(plugin.open.counts));
		plugin.open.traced = 0;
		plugin.inside = true;
		break;
	case ICOUNT_END:
		plugin.inside = false;
		break;
	case ICOUNT_ENDED:
	case ICOUNT_ENDED + 1:
		other = plugin.ended[number - ICOUNT_ENDED];
		plugin.ended[number - ICOUNT_ENDED] = plugin.open;
		plugin.open = other;
		break;
	case ICOUNT_KEEP:
	case ICOUNT_KEEP + 1:
		keep(&plugin.ended[number - ICOUNT_KEEP], &plugin.kept[number - ICOUNT_KEEP]);
		break;
	case ICOUNT_REPORT:
		write_report();
		break;
	}
}

/* The number of a mark, or 0. */
static unsigned int mark_of(const uint8_t *bytes, size_t size)
{
	uint32_t displacement;

	if (size != 7 || bytes[0] != 0x0f || bytes[1] != 0x1f || bytes[2] != 0x80)
		return 0;
	memcpy(&displacement, bytes + 3, sizeof(displacement));
	return (displacement & ~0xffu) == ICOUNT_MARK ? displacement & 0xff : 0;
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	uint8_t copy[INSN_MAX];
	const uint8_t *bytes;
	struct qemu_plugin_insn *insn;
	unsigned int number, what;
	size_t i, size;

	(void)id;
	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		size = qemu_plugin_insn_size(insn);
		bytes = qemu_plugin_insn_data(insn, copy, sizeof(copy));
		bytes = qemu_plugin_version > 1 ? copy : bytes;
		number = mark_of(bytes, size);
		if (number)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, PLUGIN_NO_REGS,
							       (void *)(uintptr_t)number);
		if (number || !plugin.started)
			continue;
		qemu_plugin_register_vcpu_mem_cb(insn, access_done, PLUGIN_NO_REGS,
						 PLUGIN_MEMORY_RW, NULL);
		what = classify(bytes, size);
		if (what != COUNTS)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, event, PLUGIN_NO_REGS,
							       (void *)(uintptr_t)what);
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, ran, PLUGIN_NO_REGS, (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn));
	}
}

static void finish(uint64_t id, void *user)
{
	(void)id;
	(void)user;
	if (plugin.report)
		fclose(plugin.report);
	if (plugin.profile)
		write_profile();
}

/* Once more at the first mark: what QEMU had translated before is then translated anew. */
static void watch(uint64_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
}

static int open_file(const char *argument, const char *name, FILE **file)
{
	size_t length = strlen(name);

	if (strncmp(argument, name, length) || argument[length] != '=')
		return -1;
	*file = fopen(argument + length + 1, "w");
	return *file ? 0 : -1;
}

static int make_traces(void)
{
	struct window *windows[] = { &plugin.open, &plugin.ended[0], &plugin.ended[1] };
	unsigned int i;

	for (i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		windows[i]->trace = malloc(TRACE_LIMIT * sizeof(*windows[i]->trace));
		if (!windows[i]->trace)
			return -1;
	}
	return 0;
}

/* A QEMU refuses a plugin of another version; what differs between 2 and 4 is not used here. */
__attribute__((constructor)) static void choose_version(void)
{
	if (dlsym(RTLD_DEFAULT, "qemu_plugin_scoreboard_new"))
		qemu_plugin_version = 3;
}

PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const void *info, int count, char **arguments)
{
	int i;

	(void)info;
	plugin.id = id;
	for (i = 0; i < count; i++) {
		if (open_file(arguments[i], "report", &plugin.report) &&
		    open_file(arguments[i], "profile", &plugin.profile)) {
			fprintf(stderr, "icount.so: %s: unknown, or cannot be written\n",
				arguments[i]);
			return -1;
		}
	}
	if (plugin.profile && make_traces())
		return -1;
	watch(id);
	return 0;
}
