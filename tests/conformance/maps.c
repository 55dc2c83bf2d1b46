// SPDX-License-Identifier: MIT
/* Calls that change a map: what of it they change. */
#include <signal.h>
#include <sys/syscall.h>

#include "conformance.h"

#define SECTION "maps"
#define PAGES	4

static struct memory filled(enum kind kind)
{
	struct memory m = memory_get(kind, PAGES, kind_prot(kind));

	memory_pattern(kind, &m);
	return m;
}

static uint32_t first_word(const void *va)
{
	return rd32(va, 0);
}

ROWS(read_only_write, "mapped read-only, written", "SIGSEGV", "SIGSEGV", "SIGSEGV", "SIGSEGV")
{
	struct memory m = memory_get(kind, PAGES, PROT_READ);

	wr32(m.va, 0, 1);
	return "written";
}

ROWS(mprotect_write, "mapped read-only, mprotect for writing", "ok", "ok", "EACCES", "ok")
{
	struct memory m = memory_get(kind, PAGES, PROT_READ);

	return outcome_of_call(mprotect(m.va, m.bytes, PROT_READ | PROT_WRITE));
}

ROWS(mprotect_read, "mprotect read-only, written", "SIGSEGV", "SIGSEGV", "SIGSEGV", "SIGSEGV")
{
	struct memory m = filled(kind);

	CHECK_EQ(mprotect(m.va, m.bytes, PROT_READ), 0);
	wr32(m.va, 0, 1);
	return "written";
}

ROWS(mprotect_part, "mprotect of one page of several", "EINVAL", "EINVAL", "one page", "ok")
{
	struct memory m = filled(kind);

	if (m.bytes < 2 * PAGE)
		return "one page";
	return outcome_of_call(mprotect(m.va, PAGE, PROT_NONE));
}

/* The place of `m`, as one who may only read sees it. */
static struct place observed(enum kind kind, const struct memory *m)
{
	struct place p = m->buffer.place;
	struct device d;

	CHECK_EQ(device_open(&d, kind_device(kind), O_RDONLY), 0);
	p.fd = kind == REGISTERS ? device_bar(&d, 2).fd : d.fd;
	return p;
}

ROWS(observer_writes, "O_RDONLY: mmap for writing", "EACCES", "EACCES", "EACCES", "EACCES")
{
	struct memory m = filled(kind);
	struct place p = observed(kind, &m);

	return outcome_of_map(place_map(&p, m.bytes, PROT_READ | PROT_WRITE, MAP_SHARED));
}

ROWS(observer_mprotect, "O_RDONLY: mprotect for writing", "EACCES", "EACCES", "EACCES", "EACCES")
{
	struct memory m = filled(kind);
	struct place p = observed(kind, &m);
	void *va = place_map(&p, m.bytes, PROT_READ, MAP_SHARED);

	if (va == MAP_FAILED)
		row_end("not mapped: %s", strerrorname_np(errno));
	return outcome_of_call(mprotect(va, m.bytes, PROT_READ | PROT_WRITE));
}

ROWS(observer_reads, "O_RDONLY: sees what the owner writes", "ok", "ok", "ok", "ok")
{
	struct memory m = filled(kind);
	struct place p = observed(kind, &m);
	void *va = place_map(&p, m.bytes, PROT_READ, MAP_SHARED);

	if (va == MAP_FAILED)
		row_end("not mapped: %s", strerrorname_np(errno));
	if (kind != STATISTICS)
		wr32(m.va, 0, 0x12345678);
	return first_word(va) == first_word(m.va) ? "ok" : "other bytes";
}

ROWS(mremap_grow, "mremap: grown", "EFAULT", "EFAULT", "EFAULT", "ok")
{
	struct memory m = filled(kind);

	return outcome_of_map(mremap(m.va, m.bytes, 2 * m.bytes, MREMAP_MAYMOVE));
}

ROWS(mremap_duplicate, "mremap: duplicated (old size 0)", "EFAULT", "EFAULT", "EFAULT", "ok")
{
	struct memory m = filled(kind);

	return outcome_of_map(mremap(m.va, 0, m.bytes, MREMAP_MAYMOVE));
}

/* What is cut off is unmapped: a part of a map. */
ROWS(mremap_shrink, "mremap: shrunk", "EINVAL", "EINVAL", "one page", "ok")
{
	struct memory m = filled(kind);

	if (m.bytes < 2 * PAGE)
		return "one page";
	return outcome_of_map(mremap(m.va, m.bytes, PAGE, 0));
}

ROWS(mremap_move, "mremap: moved", "ok", "ok", "ok", "ok")
{
	struct memory m = filled(kind);
	uint32_t before = first_word(m.va);
	char *to = mmap(NULL, m.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	to = mremap(m.va, m.bytes, m.bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to == MAP_FAILED)
		return strerrorname_np(errno);
	if (first_word(to) != before)
		return "other bytes";
	return outcome_of_call(munmap(to, m.bytes));
}

/* Solaris replaces what is there, as Linux does. */
ROWS(map_fixed_part, "MAP_FIXED over one page of it", "ENOMEM|EINVAL", "ENOMEM|EINVAL", "one page",
     "replaced")
{
	struct memory m = filled(kind);
	void *va;

	if (m.bytes < 2 * PAGE)
		return "one page";
	va = mmap(m.va + PAGE, PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return outcome_of_fixed(va);
}

ROWS(map_fixed_whole, "MAP_FIXED over all of it", "replaced", "replaced", "replaced", "replaced")
{
	struct memory m = filled(kind);
	void *va = mmap(m.va, m.bytes, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return outcome_of_fixed(va);
}

/* AIX fails where an address is taken; so does the library, which maps with this flag. */
ROWS(map_fixed_noreplace, "MAP_FIXED_NOREPLACE over it", "EEXIST", "EEXIST", "EEXIST", "EEXIST")
{
	struct memory m = filled(kind);

	return outcome_of_map(mmap(m.va, PAGE, PROT_READ,
				   MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static const char *unmap_page(enum kind kind, unsigned int page)
{
	struct memory m = filled(kind);
	uint32_t before = first_word(m.va);

	if (m.bytes < (page + 2) * PAGE)
		return "one page";
	if (!munmap(m.va + page * PAGE, PAGE))
		return "ok";
	return first_word(m.va) == before ? strerrorname_np(errno) : "other bytes";
}

ROWS(munmap_first, "munmap of its first page", "EINVAL", "EINVAL", "one page", "ok")
{
	return unmap_page(kind, 0);
}

ROWS(munmap_middle, "munmap of a page in the middle", "EINVAL", "EINVAL", "one page", "ok")
{
	return unmap_page(kind, 1);
}

/* On systems that unmap parts, what is mapped there again later may fail. */
ROWS(remap_same_address, "unmapped, mapped at the same address", "ok", "ok", "ok", "ok")
{
	struct memory m = filled(kind);
	const struct place *p = &m.buffer.place;
	uint32_t before = first_word(m.va);
	void *va;

	CHECK_EQ(munmap(m.va, m.bytes), 0);
	va = mmap(m.va, m.bytes, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, p->fd,
		  (off_t)p->offset);
	if (va == MAP_FAILED)
		return strerrorname_np(errno);
	return first_word(va) == before ? "ok" : "other bytes";
}

ROWS(map_private, "MAP_PRIVATE, written", "EINVAL", "EINVAL", "EINVAL", "EINVAL")
{
	struct memory m = filled(kind);
	void *va = place_map(&m.buffer.place, m.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	if (va == MAP_FAILED)
		return strerrorname_np(errno);
	wr32(va, 0, first_word(m.va) + 1);
	return first_word(va) == first_word(m.va) ? "ok" : "the write never arrives";
}

ROWS(fork, "a fork child reads it", "ok", "ok", "ok", "ok")
{
	struct memory m = filled(kind);
	uint32_t before = first_word(m.va);
	pid_t child = child_start();
	int status;

	if (!child)
		_exit(first_word(m.va) == before ? 0 : 1);
	status = child_end(child);
	if (status > SIGNALLED)
		row_end("SIG%s", sigabbrev_np(status - SIGNALLED));
	return status ? "other bytes" : "ok";
}

/* A child's map goes, the parent's stays. */
ROWS(fork_unmap, "a fork child unmaps it", "ok", "ok", "ok", "ok")
{
	struct memory m = filled(kind);
	uint32_t before = first_word(m.va);
	pid_t child = child_start();

	if (!child)
		_exit(munmap(m.va, m.bytes) ? errno : 0);
	if (child_end(child))
		return "not unmapped";
	return first_word(m.va) == before ? "ok" : "other bytes";
}

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

/* Linux 6.10 and later. */
ROWS(mseal, "sealed (mseal), unmapped", "EPERM", "EPERM", "EPERM", "EPERM")
{
	struct memory m = filled(kind);
	void *va;

	if (syscall(SYS_mseal, m.va, m.bytes, 0))
		return errno == ENOSYS ? NO_SUCH_CALL : strerrorname_np(errno);
	if (!munmap(m.va, m.bytes))
		return "unmapped";
	if (errno != EPERM)
		return strerrorname_np(errno);
	va = mmap(m.va, m.bytes, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return outcome_of_fixed(va);
}
