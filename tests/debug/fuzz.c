/* SPDX-License-Identifier: MIT */
/*
 * Calls of all kinds with arguments that are right, nearly right, and wrong, from several processes
 * and threads at once, while the device comes and goes. What a call may answer is checked here;
 * that nothing else happened, the kernel's checkers say: see tests/debug/run.
 *
 * A new command is a row in `rows`. FUZZ_SEED (printed) makes each worker do the same again; how
 * the workers meet is up to the scheduler. FUZZ_CALLS is how many calls are made.
 *
 * The device itself must do no harm: BARs are mapped and read, never written, so that its DMA
 * engine rests whoever lets it be bus master.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <poll.h>

#include "../uapi/support.h"

enum {
	CALLS = 200000,
	EPOCHS = 20,
	THREADS = 2, /* of the owner */
	WORKERS = 5, /* these, two observers, and one that opens as it likes */
	MAPS = 10,
	ROWS = 32, /* at most */
	POOL = 32,
	ARENA = 4 << 20,
	WC_OFFSET = 42,	 /* a power of 2; as DMA_OFFSET the module's own, nothing to rely on */
	DMA_OFFSET = 43, /* likewise */
	ERRORS = 134,	 /* as many as Linux has */
	TRIES = 3
};

/* --- What all processes share ----------------------------------------------------------------- */

struct counter {
	atomic_ulong calls, answers[ERRORS]; /* 0: it worked */
};

static struct shared {
	atomic_ulong total, goal;
	struct counter rows[ROWS], mmaps;
	/* What may be mapped and freed, by anybody; whoever comes too late gets an error. */
	struct {
		_Atomic uint64_t offset, bytes;
		_Atomic uint32_t handle;
	} pool[POOL];
	_Atomic uint64_t stats_offset;
	atomic_int failed;
	char problem[256];
} * shared;

struct target {
	const char *id;
	unsigned int divisor; /* of the calls of an epoch, where they are slow */
	int may_write;	      /* its BARs, by call; and be bus master */
};

static const struct target targets[] = {
	{ EDU, 1, 0 }, { TESTDEV, 1, 1 }, { EDU, 1, 0 },    { IVSHMEM, 1, 1 },
	{ EDU, 1, 0 }, { TESTDEV, 1, 1 }, { E1000E, 1, 0 }, { RNG, 8, 0 },
};

struct mapping {
	char *va;
	size_t bytes;
	int memory; /* not registers */
	int writable;
};

struct worker {
	uint64_t random;
	const struct target *target;
	const char *address;
	int observer; /* always */
	int looks;    /* as it is open now */
	int stale;    /* the device has gone */
	int fd, event, epoll;
	int pipe[2];
	pthread_mutex_t *lock; /* of a process's descriptors */
	struct worker *sibling;
	struct mapping maps[MAPS];
	char *low;   /* two pages below 4 GiB, and one behind them that is not there */
	char *arena; /* memory to be pinned */
	struct userpci_uapi_region regions[USERPCI_NUM_BARS];
};

__attribute__((format(printf, 1, 2))) static void report(const char *format, ...)
{
	va_list args;

	if (atomic_exchange(&shared->failed, 1))
		return;
	va_start(args, format);
	vsnprintf(shared->problem, sizeof(shared->problem), format, args);
	va_end(args);
}

/* --- Chance ----------------------------------------------------------------------------------- */

/* splitmix64. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static unsigned int below(struct worker *w, unsigned int limit)
{
	return (unsigned int)(next_random(&w->random) >> 32) % limit;
}

static int one_in(struct worker *w, unsigned int n)
{
	return below(w, n) == 0;
}

/* Values that borders run along, and their neighbours. */
static uint64_t strange(struct worker *w)
{
	static const uint64_t borders[] = {
		0,
		1,
		2,
		4,
		8,
		PAGE,
		PAGE / 2,
		1 << 20,
		4 << 20,
		INT32_MAX,
		1u << 31,
		UINT32_MAX,
		1ull << 32,
		1ull << 42,
		1ull << 43,
		1ull << 44,
		1ull << 47,
		INT64_MAX,
		1ull << 63,
		UINT64_MAX,
		-PAGE,
		~0xfffull << 32,
		64,
		1024,
		USERPCI_NUM_BARS,
	};
	uint64_t value = borders[below(w, sizeof(borders) / sizeof(borders[0]))];

	switch (below(w, 6)) {
	case 0:
		return value - 1;
	case 1:
		return value + 1;
	case 2:
		return next_random(&w->random);
	case 3:
		return next_random(&w->random) >> below(w, 64);
	default:
		return value;
	}
}

/* --- The grammar ------------------------------------------------------------------------------ */

enum kind {
	NONE,
	INDEX,	  /* of a BAR */
	REGISTER, /* offset in a BAR */
	CONFIG,	  /* offset in configuration space */
	WIDTH,
	ANYTHING,
	BITS,
	BYTES,
	DMA_KIND,
	HANDLE,
	MEMORY, /* address that may be pinned */
	MAPPED, /* address in a map */
	NAME,
	SELECT, /* USERPCI_DMA_NEXT, ... */
	IRQ_KIND,
	VECTORS,
	VECTOR,
	EVENTFD,
	BOOLEAN,
	RATE
};

struct field {
	unsigned short at, bytes;
	enum kind kind;
};

#define FIELD(type, member, kind)                                               \
	{                                                                       \
		offsetof(struct userpci_uapi_##type, member),                   \
			sizeof(((struct userpci_uapi_##type *)0)->member), kind \
	}

struct row {
	const char *name;
	unsigned int command;
	size_t bytes;
	enum { ANYONE, OWNER } who; /* others get EACCES */
	unsigned int weight;
	struct field fields[6];
	int errors[6];					  /* besides those of every call */
	void (*fit)(struct worker *w, void *argument);	  /* makes fields go together */
	void (*worked)(struct worker *w, void *argument); /* looks at the answer */
};

#define ROW(name, type) #name, USERPCI_##name, sizeof(struct userpci_uapi_##type)

/* Two kinds of four take an address or a limit; names are few, so that they meet. */
static void fit_alloc(struct worker *w, void *argument)
{
	struct userpci_uapi_dma *d = argument;

	if (d->kind != USERPCI_DMA_PINNED) {
		d->address = 0;
	} else if (d->bytes <= ARENA / 2) {
		d->bytes = (d->bytes + PAGE - 1) & -PAGE;
	}
	if (!one_in(w, 8))
		d->name[0] = 0;
	d->name[USERPCI_NAME_BYTES - 1] = 0;
}

/* By handle or by name, not both. */
static void fit_get(struct worker *w, void *argument)
{
	struct userpci_uapi_dma_get *g = argument;

	(void)w;
	g->name[USERPCI_NAME_BYTES - 1] = 0;
	if (!(g->flags & USERPCI_DMA_NAMED))
		g->name[0] = 0;
}

static void note_buffer(struct worker *w, void *argument)
{
	const struct userpci_uapi_dma *d = argument;
	unsigned int i = below(w, POOL);

	atomic_store(&shared->pool[i].handle, d->handle);
	atomic_store(&shared->pool[i].bytes, d->bytes);
	atomic_store(&shared->pool[i].offset, d->offset);
	if (!d->bytes || d->bytes % PAGE)
		report("DMA_ALLOC gave %" PRIu64 " bytes", (uint64_t)d->bytes);
	if ((d->kind == USERPCI_DMA_PINNED) != !d->offset)
		report("DMA_ALLOC of kind %u gave offset %" PRIx64, d->kind, (uint64_t)d->offset);
}

static void note_info(struct worker *w, void *argument)
{
	const struct userpci_uapi_info *info = argument;

	(void)w;
	atomic_store(&shared->stats_offset, info->stats_offset);
	if (info->num_regions != USERPCI_NUM_BARS)
		report("GET_INFO gave %u regions", info->num_regions);
}

static void note_region(struct worker *w, void *argument)
{
	const struct userpci_uapi_region *r = argument;

	if (r->index < USERPCI_NUM_BARS)
		w->regions[r->index] = *r;
	else
		report("GET_REGION knows BAR %u", r->index);
}

static const struct row rows[] = {
	{ ROW(GET_INFO, info), ANYONE, 4, .worked = note_info },
	{ ROW(GET_REGION, region), ANYONE, 4, .worked = note_region,
	  .fields = { FIELD(region, index, INDEX) } },
	{ ROW(REGION_READ, access), OWNER, 4, .errors = { ERANGE, EOPNOTSUPP },
	  .fields = { FIELD(access, index, INDEX), FIELD(access, offset, REGISTER),
		      FIELD(access, width, WIDTH) } },
	{ ROW(REGION_WRITE, access), OWNER, 4, .errors = { ERANGE, EOPNOTSUPP },
	  .fields = { FIELD(access, index, INDEX), FIELD(access, offset, REGISTER),
		      FIELD(access, width, WIDTH), FIELD(access, value, ANYTHING) } },
	{ ROW(CONFIG_READ, config), ANYONE, 4, .errors = { ERANGE },
	  .fields = { FIELD(config, offset, CONFIG), FIELD(config, width, WIDTH) } },
	{ ROW(CONFIG_WRITE, config), OWNER, 4, .errors = { ERANGE, EPERM },
	  .fields = { FIELD(config, offset, CONFIG), FIELD(config, width, WIDTH),
		      FIELD(config, value, ANYTHING) } },
	{ ROW(DMA_SET_MASK, dma_mask), OWNER, 2, .errors = { EBUSY, EIO },
	  .fields = { FIELD(dma_mask, bits, BITS) } },
	{ ROW(DMA_ALLOC, dma), OWNER, 16, .errors = { EOPNOTSUPP, EDQUOT, EEXIST, ENOSPC },
	  .fields = { FIELD(dma, kind, DMA_KIND), FIELD(dma, bytes, BYTES),
		      FIELD(dma, address, MEMORY), FIELD(dma, name, NAME) },
	  .fit = fit_alloc, .worked = note_buffer },
	{ ROW(DMA_FREE, dma), OWNER, 14, .errors = { ENOENT },
	  .fields = { FIELD(dma, handle, HANDLE) } },
	{ ROW(DMA_GET, dma_get), ANYONE, 6, .errors = { ENOENT, ERANGE },
	  .fields = { FIELD(dma_get, flags, SELECT), FIELD(dma_get, handle, HANDLE),
		      FIELD(dma_get, chunk, BOOLEAN), FIELD(dma_get, name, NAME) },
	  .fit = fit_get },
	{ ROW(IRQ_ENABLE, irq), OWNER, 3, .errors = { ENOSPC },
	  .fields = { FIELD(irq, kind, IRQ_KIND), FIELD(irq, count, VECTORS) } },
	{ ROW(IRQ_EVENTFD, irq_eventfd), OWNER, 3, .errors = { EBADF },
	  .fields = { FIELD(irq_eventfd, vector, VECTOR), FIELD(irq_eventfd, fd, EVENTFD) } },
	{ ROW(IRQ_MASK, irq_mask), OWNER, 3,
	  .fields = { FIELD(irq_mask, vector, VECTOR), FIELD(irq_mask, masked, BOOLEAN) } },
	{ ROW(IRQ_LIMIT, irq_limit), OWNER, 3,
	  .fields = { FIELD(irq_limit, vector, VECTOR), FIELD(irq_limit, per_second, RATE) } },
	{ ROW(BUS_MASTER, bus_master), OWNER, 2, .fields = { FIELD(bus_master, enable, BOOLEAN) } },
	{ ROW(RESET, reset), OWNER, 1, .errors = { EOPNOTSUPP } },
	{ ROW(GET_MAP, map), ANYONE, 5, .errors = { ENOENT },
	  .fields = { FIELD(map, address, MAPPED) } },
};

enum { NUM_ROWS = sizeof(rows) / sizeof(rows[0]) };

static uint64_t any_map(struct worker *w)
{
	const struct mapping *m = &w->maps[below(w, MAPS)];

	return m->va ? (uintptr_t)m->va + below(w, 2) * (m->bytes / 2) : (uintptr_t)w->arena;
}

static uint64_t any_memory(struct worker *w)
{
	switch (below(w, 12)) {
	case 0:
		return any_map(w);
	case 1:
		return (uintptr_t)w->low + PAGE; /* runs into what is not there */
	case 2:
		return (uintptr_t)rows & -PAGE; /* read-only, of a file */
	default:
		return (uintptr_t)w->arena + below(w, ARENA / 2 / PAGE) * PAGE;
	}
}

static int any_eventfd(struct worker *w)
{
	switch (below(w, 8)) {
	case 0:
		return w->fd;
	case 1:
		return (int)below(w, 64);
	case 2:
		return -1;
	default:
		return w->event;
	}
}

/* What makes sense for a field, so that calls get beyond the first check. */
static uint64_t sensible(struct worker *w, enum kind kind)
{
	static const unsigned char bits[] = { 24, 28, 31, 32, 32, 32, 40, 64 };

	switch (kind) {
	case INDEX:
		return below(w, one_in(w, 2) ? 2 : USERPCI_NUM_BARS);
	case REGISTER:
		return below(w, one_in(w, 4) ? 4096 : 32) & -(1u << below(w, 4));
	case CONFIG:
		return below(w, one_in(w, 4) ? 4096 : 256) & -(1u << below(w, 3));
	case WIDTH:
		return 1u << below(w, 4);
	case BITS:
		return bits[below(w, sizeof(bits))];
	case BYTES:
		return one_in(w, 16) ? 1 + below(w, 4 << 20) : 1 + below(w, 16 * PAGE);
	case DMA_KIND:
		return below(w, 4);
	case HANDLE:
		return one_in(w, 4) ? below(w, POOL)
				    : atomic_load(&shared->pool[below(w, POOL)].handle);
	case MEMORY:
		return any_memory(w);
	case MAPPED:
		return any_map(w);
	case SELECT:
		return below(w, 3);
	case IRQ_KIND:
		return below(w, 3);
	case VECTORS:
		return one_in(w, 3) ? below(w, 4) : 1;
	case VECTOR:
		return one_in(w, 4) ? USERPCI_EVENTS : below(w, 1 + below(w, 3));
	case EVENTFD:
		return (uint64_t)any_eventfd(w);
	case BOOLEAN:
		return below(w, 2);
	case RATE:
		return one_in(w, 2) ? 0 : 1 + below(w, 100);
	default:
		return next_random(&w->random);
	}
}

static void fill(struct worker *w, const struct row *row, char *argument, int sane)
{
	const struct field *f;
	uint64_t value;

	memset(argument, 0, row->bytes);
	for (f = row->fields; f->bytes; f++) {
		value = !sane && one_in(w, 3) ? strange(w) : sensible(w, f->kind);
		if (f->kind == NAME)
			memset(argument + f->at, 'a' + (int)below(w, 6), 1 + below(w, f->bytes));
		else
			memcpy(argument + f->at, &value, f->bytes);
	}
	if (row->fit && (sane || one_in(w, 2)))
		row->fit(w, argument);
	if (sane)
		return;
	/* And what is not a field, or ought to be zero. */
	if (one_in(w, 3))
		argument[4 + below(w, (unsigned int)row->bytes - 4)] ^= (char)(1u << below(w, 8));
	if (one_in(w, 20))
		for (value = 4; value < row->bytes; value++)
			argument[value] = (char)next_random(&w->random);
}

/* --- Calls ------------------------------------------------------------------------------------ */

static void count_call(struct counter *c, int err)
{
	atomic_fetch_add(&c->calls, 1);
	if (err <= 0 && err > -ERRORS)
		atomic_fetch_add(&c->answers[-err], 1);
	atomic_fetch_add(&shared->total, 1);
}

/* As a 32-bit program calls: the number is that of its table, addresses are below 4 GiB. */
static int call32(int fd, unsigned int command, const void *argument)
{
#ifdef __x86_64__
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "0"(54L), "b"((long)fd), "c"((unsigned long)command),
			   "d"((uintptr_t)argument)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
#else
	return call(fd, command, (void *)(uintptr_t)argument);
#endif
}

/* `row` is NULL for what is no command. */
static void check_error(const struct row *row, int err)
{
	static const int common[] = { 0,      EFAULT, E2BIG,  EINVAL, ENODEV,
				      ENOTTY, EACCES, ENOMEM, EBADF };
	unsigned int i;

	for (i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		if (err == -common[i])
			return;
	for (i = 0; row && i < sizeof(row->errors) / sizeof(row->errors[0]); i++)
		if (err == -row->errors[i])
			return;
	report("%s gave %s", row ? row->name : "no command",
	       err < 0 ? strerror(-err) : "a positive number");
}

static const struct row *row_of(unsigned int command)
{
	unsigned int i;

	for (i = 0; i < NUM_ROWS; i++)
		if (rows[i].command == command)
			return &rows[i];
	return NULL;
}

/* Where the argument stands: mostly well, else at the end of memory, or nowhere. */
static char *place(struct worker *w, size_t bytes)
{
	switch (below(w, 10)) {
	case 0:
		return w->low + 2 * PAGE - below(w, (unsigned int)bytes);
	case 1:
		return w->low + 2 * PAGE;
	case 2:
		return NULL;
	case 3:
		return (char *)(uintptr_t)strange(w);
	default:
		return w->low + 16 + below(w, 64);
	}
}

static uint32_t size_of(struct worker *w, const struct row *row)
{
	switch (below(w, 6)) {
	case 0:
		return (uint32_t)strange(w);
	case 1:
		return (uint32_t)row->bytes + 8; /* of a later version */
	case 2:
		return (uint32_t)row->bytes - 4 * (1 + below(w, 8));
	default:
		return (uint32_t)row->bytes;
	}
}

static unsigned int command_of(struct worker *w, const struct row *row)
{
	switch (below(w, 20)) {
	case 0:
		return (unsigned int)strange(w);
	case 1:
		return (unsigned int)_IO(USERPCI_IOC_TYPE, below(w, 256));
	case 2:
		return (unsigned int)_IOWR(USERPCI_IOC_TYPE, below(w, 20), uint32_t);
	default:
		return row->command;
	}
}

/* Returns whether `row` is not for this device. */
static int is_harmful(const struct worker *w, unsigned int command)
{
	return !w->target->may_write &&
	       (command == USERPCI_REGION_WRITE ||
		(command == USERPCI_BUS_MASTER && strcmp(w->target->id, EDU)));
}

static const struct row *any_row(struct worker *w)
{
	unsigned int i, at = 0;

	for (i = 0; i < NUM_ROWS; i++)
		at += rows[i].weight;
	at = below(w, at);
	for (i = 0; at >= rows[i].weight; i++)
		at -= rows[i].weight;
	/* Those who only look are refused the rest: now and then is enough. */
	if (w->looks && rows[i].who == OWNER && !one_in(w, 8))
		return any_row(w);
	return &rows[i];
}

static void do_ioctl(struct worker *w)
{
	const struct row *row = any_row(w);
	int sane = !one_in(w, 4);
	unsigned int command = sane ? row->command : command_of(w, row);
	char argument[512] = "", *at = sane ? w->low + 16 : place(w, row->bytes);
	uint32_t size = sane ? (uint32_t)row->bytes : size_of(w, row);
	size_t room;
	int err;

	if (is_harmful(w, command))
		return;
	fill(w, row, argument, sane);
	memcpy(argument, &size, sizeof(size));
	if (!sane && one_in(w, 5))
		argument[row->bytes + below(w, 8)] = 1;
	/* As much of it as there is room for. */
	if (at >= w->low && at < w->low + 2 * PAGE) {
		room = (size_t)(w->low + 2 * PAGE - at);
		memcpy(at, argument, room < row->bytes + 8 ? room : row->bytes + 8);
	}
	if (at < w->low + 2 * PAGE && one_in(w, 16))
		err = call32(w->fd, command, at);
	else
		err = call(w->fd, command, at);
	w->stale = err == -ENODEV;
	count_call(&shared->rows[row - rows], err);
	check_error(row_of(command), err);
	if (!err && row->worked && command == row->command && size >= row->bytes && at >= w->low &&
	    at + row->bytes <= w->low + 2 * PAGE)
		row->worked(w, at);
}

/* --- Maps ------------------------------------------------------------------------------------- */

/* An offset that means something or nearly does. */
static uint64_t any_offset(struct worker *w)
{
	const struct userpci_uapi_region *r = &w->regions[below(w, USERPCI_NUM_BARS)];
	uint64_t near = one_in(w, 3) ? below(w, 8) * PAGE : 0;

	switch (below(w, 16)) {
	case 0:
		return atomic_load(&shared->stats_offset) + near;
	case 1:
		return r->offset + r->bytes - PAGE + near;
	case 2:
		return r->wc_offset + near;
	case 3:
		return (1ull << (WC_OFFSET + below(w, 3))) + near - PAGE * below(w, 3);
	case 4:
		return strange(w) & -PAGE;
	case 5:
	case 6:
	case 7:
	case 8:
		return r->offset + near;
	default:
		return atomic_load(&shared->pool[below(w, POOL)].offset) + near;
	}
}

static size_t any_length(struct worker *w)
{
	switch (below(w, 10)) {
	case 0:
		return strange(w);
	case 1:
		return 1 << 20;
	default:
		return (1 + below(w, 8)) * PAGE;
	}
}

static void unmap(struct mapping *m)
{
	if (m->va && munmap(m->va, m->bytes))
		report("munmap of a whole map: %s", strerror(errno));
	m->va = NULL;
}

static void do_mmap(struct worker *w)
{
	static const int prots[] = {
		PROT_READ,  PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_NONE,
		PROT_WRITE, PROT_READ | PROT_EXEC
	};
	static const int sets[] = { MAP_SHARED,	 MAP_SHARED,
				    MAP_SHARED,	 MAP_SHARED | MAP_POPULATE,
				    MAP_PRIVATE, MAP_SHARED_VALIDATE | MAP_SYNC,
				    MAP_SHARED,	 MAP_SHARED | MAP_LOCKED };
	struct mapping *m = &w->maps[below(w, MAPS)];
	int prot = w->looks && one_in(w, 2) ? PROT_READ : prots[below(w, 6)],
	    flags = sets[below(w, 8)];
	uint64_t offset = any_offset(w);
	size_t bytes = any_length(w);
	char *va;

	/* Registers can be mapped writable: nobody here writes them. */
	unmap(m);
	va = mmap(NULL, bytes, prot, flags, w->fd, (off_t)offset);
	count_call(&shared->mmaps, va == MAP_FAILED ? -errno : 0);
	if (va == MAP_FAILED)
		return;
	m->va = va;
	m->bytes = (bytes + PAGE - 1) & -PAGE;
	m->memory = offset >= 1ull << DMA_OFFSET;
	m->writable = m->memory && prot & PROT_WRITE;
}

static void do_munmap(struct worker *w)
{
	struct mapping *m = &w->maps[below(w, MAPS)];

	/* A part: refused, or done and then the rest goes as well. */
	if (m->va && m->bytes > PAGE && one_in(w, 4))
		munmap(m->va + below(w, 2) * PAGE, PAGE);
	unmap(m);
}

static void do_mremap(struct worker *w)
{
	struct mapping *m = &w->maps[below(w, MAPS)];
	size_t bytes = one_in(w, 2) ? m->bytes : (1 + below(w, 8)) * PAGE;
	char *va;

	if (!m->va)
		return;
	/* A size of 0 makes a second map of the same. */
	if (one_in(w, 6)) {
		va = mremap(m->va, 0, m->bytes, MREMAP_MAYMOVE);
		if (va != MAP_FAILED)
			munmap(va, m->bytes);
		return;
	}
	va = mremap(m->va, m->bytes, bytes, below(w, 2) ? MREMAP_MAYMOVE : 0);
	if (va != MAP_FAILED) {
		m->va = va;
		m->bytes = bytes;
	}
}

static void do_mprotect(struct worker *w)
{
	struct mapping *m = &w->maps[below(w, MAPS)];

	if (m->va)
		mprotect(m->va, one_in(w, 3) ? PAGE : m->bytes, (int)below(w, 4));
}

static void do_advise(struct worker *w)
{
	static const int advices[] = { MADV_DONTNEED,	MADV_DONTFORK,	 MADV_DOFORK,
				       MADV_FREE,	MADV_REMOVE,	 MADV_HUGEPAGE,
				       MADV_COLD,	MADV_PAGEOUT,	 MADV_DONTDUMP,
				       MADV_DODUMP,	MADV_WILLNEED,	 MADV_NORMAL,
				       MADV_NOHUGEPAGE, MADV_WIPEONFORK, MADV_POPULATE_READ };
	struct mapping *m = &w->maps[below(w, MAPS)];
	unsigned char pages[1024];

	if (!m->va)
		return;
	switch (below(w, 6)) {
	case 0:
		msync(m->va, m->bytes, one_in(w, 2) ? MS_SYNC : MS_ASYNC | MS_INVALIDATE);
		return;
	case 1:
		if (m->bytes <= sizeof(pages) * PAGE)
			mincore(m->va, m->bytes, pages);
		return;
	case 2:
		if (one_in(w, 2))
			mlock(m->va, m->bytes);
		else
			munlock(m->va, m->bytes);
		return;
	default:
		madvise(m->va, one_in(w, 3) ? PAGE : m->bytes,
			advices[below(w, sizeof(advices) / sizeof(advices[0]))]);
	}
}

/* The memory may be gone, cut off, or forbidden: a system call says so where a load would kill. */
static void do_touch(struct worker *w)
{
	struct mapping *m = &w->maps[below(w, MAPS)];
	uint64_t word;
	char *at;

	if (!m->va)
		return;
	at = m->va + below(w, (unsigned int)(m->bytes / PAGE)) * PAGE + below(w, 512) * 8;
	if (write(w->pipe[1], at, sizeof(word)) == sizeof(word) &&
	    read(w->pipe[0], m->writable ? at : (char *)&word, sizeof(word)) < 0) {
		if (read(w->pipe[0], &word, sizeof(word)) < 0 && errno != EAGAIN)
			report("a pipe: %s", strerror(errno));
	}
}

/* As a debugger does; and as one who reads another's memory through page references. */
static void do_access(struct worker *w)
{
	struct mapping *m = &w->maps[below(w, MAPS)];
	struct iovec local = { w->low + PAGE, 64 }, remote = { m->va, 1 + below(w, 64) };
	int file;

	if (!m->va)
		return;
	if (one_in(w, 2)) {
		process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
		if (vmsplice(w->pipe[1], &remote, 1, SPLICE_F_NONBLOCK) > 0)
			while (read(w->pipe[0], w->low, 64) > 0)
				;
		return;
	}
	file = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (file < 0)
		return;
	if (m->memory && one_in(w, 2))
		pwrite(file, w->low, remote.iov_len, (off_t)(uintptr_t)m->va + below(w, 64));
	else
		pread(file, w->low + PAGE, remote.iov_len, (off_t)(uintptr_t)m->va + below(w, 64));
	close(file);
}

/* The file behind a map, where it has one of its own, is cut off or filled with holes. */
static void do_truncate(struct worker *w)
{
	struct mapping *m = &w->maps[below(w, MAPS)];
	char path[80];
	int file;

	if (!m->va || !m->writable)
		return;
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)m->va,
		 (unsigned long)(m->va + m->bytes));
	file = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (file < 0)
		return;
	if (one_in(w, 2))
		fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE);
	else if (ftruncate(file, (off_t)(below(w, 4) * PAGE)))
		errno = 0;
	close(file);
}

/* --- Descriptors and processes ---------------------------------------------------------------- */

static void do_file(struct worker *w)
{
	uint32_t word = below(w, 3);
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	struct epoll_event e = { .events = EPOLLIN | (one_in(w, 2) ? EPOLLET : 0u) };
	size_t bytes = one_in(w, 4) ? below(w, 16) : sizeof(word);

	switch (below(w, 9)) {
	case 0:
		read(w->fd, one_in(w, 8) ? NULL : w->low, bytes);
		break;
	case 1:
		memcpy(w->low, &word, sizeof(word));
		write(w->fd, one_in(w, 8) ? NULL : w->low, bytes);
		break;
	case 2:
		poll(&p, 1, (int)below(w, 2));
		break;
	case 3:
		epoll_ctl(w->epoll, one_in(w, 2) ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, w->fd, &e);
		break;
	case 4:
		epoll_wait(w->epoll, &e, 1, 0);
		break;
	case 5:
		lseek(w->fd, (off_t)strange(w), (int)below(w, 5));
		break;
	case 6:
		if (ftruncate(w->fd, 0))
			fsync(w->fd);
		break;
	case 7:
		splice(w->fd, NULL, w->pipe[1], NULL, 4, SPLICE_F_NONBLOCK);
		break;
	default:
		read(w->event, w->low, 8);
	}
}

/* Opened, or shared with the process's other thread; -1 while there is no device. */
static void do_reopen(struct worker *w)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_PATH };
	int mode = w->observer ? O_RDONLY : one_in(w, 5) ? modes[below(w, 3)] : O_RDWR;
	int fd, tries;

	pthread_mutex_lock(w->lock);
	if (w->fd >= 0)
		close(w->fd);
	for (tries = 0; tries < TRIES; tries++) {
		fd = node_open(w->address, mode | O_NONBLOCK);
		if (fd == -EBUSY && w->sibling && w->sibling->fd >= 0)
			fd = dup(w->sibling->fd);
		if (fd >= 0)
			break;
		sched_yield();
	}
	if (fd < 0)
		fd = node_open(w->address, O_RDONLY | O_NONBLOCK);
	w->looks = fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR;
	w->fd = fd < 0 ? -1 : fd;
	pthread_mutex_unlock(w->lock);
}

static void do_dup(struct worker *w)
{
	int fd = fcntl(w->fd, F_DUPFD_CLOEXEC, 100);
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);

	if (fd < 0)
		return;
	call(fd, USERPCI_GET_INFO, &info);
	close(fd);
}

/* A child has the maps and the descriptor; some of the maps it gives back itself. */
static void do_fork(struct worker *w)
{
	unsigned int kept = below(w, MAPS), i;
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return;
	if (!pid) {
		for (i = 0; i < 8; i++)
			do_touch(w);
		for (i = 0; i < kept; i++)
			unmap(&w->maps[i]);
		for (i = 0; i < 4; i++)
			do_ioctl(w);
		_exit(0);
	}
	if (one_in(w, 4))
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		report("waitpid: %s", strerror(errno));
	else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		report("a forked child was killed by signal %d", WTERMSIG(status));
}

/* --- Workers ---------------------------------------------------------------------------------- */

static const struct operation {
	void (*run)(struct worker *w);
	unsigned int weight;
} operations[] = {
	{ do_ioctl, 500 }, { do_mmap, 130 },	{ do_touch, 60 },  { do_munmap, 30 },
	{ do_mremap, 10 }, { do_mprotect, 10 }, { do_advise, 15 }, { do_access, 10 },
	{ do_file, 60 },   { do_dup, 10 },	{ do_reopen, 4 },  { do_truncate, 5 },
	{ do_fork, 1 },
};

static const struct operation *any_operation(struct worker *w)
{
	const size_t count = sizeof(operations) / sizeof(operations[0]);
	unsigned int i, at = 0;

	for (i = 0; i < count; i++)
		at += operations[i].weight;
	at = below(w, at);
	for (i = 0; at >= operations[i].weight; i++)
		at -= operations[i].weight;
	return &operations[i];
}

static void prepare(struct worker *w)
{
	w->low = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	w->arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->fd = -1;
	if (w->low == MAP_FAILED || w->arena == MAP_FAILED || pipe2(w->pipe, O_NONBLOCK)) {
		report("no memory for a worker");
		return;
	}
	munmap(w->low + 2 * PAGE, PAGE);
}

static void *work(void *data)
{
	struct worker *w = data;
	unsigned int i;

	for (i = 0; i < USERPCI_NUM_BARS; i++)
		w->regions[i].bytes = PAGE;
	while (!atomic_load(&shared->failed) &&
	       atomic_load(&shared->total) < atomic_load(&shared->goal)) {
		/* Who may own the device tries to. */
		if (w->fd < 0 || (w->looks && !w->observer && one_in(w, 30)) ||
		    (w->stale && one_in(w, 10)))
			do_reopen(w);
		any_operation(w)->run(w);
	}
	for (i = 0; i < MAPS; i++)
		unmap(&w->maps[i]);
	return NULL;
}

/* A process: the owner has threads that share its descriptor, others are alone. */
static pid_t start(struct worker *first, unsigned int threads)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread[THREADS];
	unsigned int i;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	for (i = 0; i < threads; i++) {
		first[i].lock = &lock;
		first[i].sibling = threads > 1 ? &first[1 - i] : NULL;
		prepare(&first[i]);
	}
	for (i = 1; i < threads; i++)
		if (pthread_create(&thread[i], NULL, work, &first[i]))
			report("no thread");
	work(first);
	for (i = 1; i < threads; i++)
		pthread_join(thread[i], NULL);
	_exit(0);
}

static void finish(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		report("a worker was killed by signal %d", WTERMSIG(status));
}

/* The device as good as new, for an owner that behaves. */
static void check_device(const char *id)
{
	int fd = node_own(id);
	struct userpci_uapi_dma d = dma_get(fd, PAGE);
	char *va = map(fd, d.offset, PAGE, PROT_READ | PROT_WRITE);
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		CHECK_EQ(va[i], 0);
	munmap(va, PAGE);
	close(fd);
}

/* All workers on one device, which in every second epoch is taken away under them. */
static void epoch(const struct target *target, uint64_t *random, unsigned int number,
		  unsigned long calls)
{
	const char *address = device_bind(target->id);
	struct worker w[WORKERS] = { 0 };
	pid_t pids[WORKERS - THREADS + 1];
	unsigned int i, rebinds;

	for (i = 0; i < WORKERS; i++) {
		w[i].random = next_random(random);
		w[i].target = target;
		w[i].address = address;
		w[i].observer = i >= THREADS && i < WORKERS - 1;
	}
	atomic_store(&shared->goal, atomic_load(&shared->total) + calls / target->divisor);
	pids[0] = start(w, THREADS);
	for (i = THREADS; i < WORKERS; i++)
		pids[i - THREADS + 1] = start(&w[i], 1);
	for (rebinds = number % 2 ? 1 + number % 5 : 0; rebinds; rebinds--) {
		usleep((unsigned int)(next_random(random) % 300000));
		device_unbind(address);
		usleep((unsigned int)(next_random(random) % 3000));
		CHECK_STR(device_bind(target->id), address);
	}
	for (i = 0; i < WORKERS - THREADS + 1; i++)
		finish(pids[i]);
	if (atomic_load(&shared->failed))
		HARNESS_FAIL("%s on %s", shared->problem, target->id);
	/* Buffers that the device has kept go with the driver. */
	device_unbind(address);
	device_bind(target->id);
	check_device(target->id);
}

static unsigned long number_of(const char *variable, unsigned long value)
{
	const char *text = getenv(variable);

	return text && *text ? strtoul(text, NULL, 0) : value;
}

/* So much DMA memory, or the guest has none left for others. */
static void limit_memory(const char *megabytes)
{
	CHECK_EQ(sysfs_write("/sys/module/userpci/parameters/dma_limit_mb", megabytes), 0);
}

static void print_counter(const char *name, struct counter *c)
{
	unsigned long calls = atomic_load(&c->calls), worked = atomic_load(&c->answers[0]), n;
	int i;

	printf("# %s: %lu calls, %lu worked", name, calls, worked);
	for (i = 1; i < ERRORS; i++) {
		n = atomic_load(&c->answers[i]);
		if (n)
			printf(", %lu %s", n, strerrorname_np(i));
	}
	putchar('\n');
	if (!worked && calls > 1000)
		HARNESS_FAIL("%s never worked", name);
}

TEST(fuzz)
{
	uint64_t seed = 0;
	unsigned long calls = number_of("FUZZ_CALLS", CALLS);
	unsigned int i, number;

	getrandom(&seed, sizeof(uint32_t), 0);
	seed = number_of("FUZZ_SEED", seed);
	printf("# FUZZ_SEED=%" PRIu64 " FUZZ_CALLS=%lu\n", seed, calls);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	CHECK(shared != MAP_FAILED);
	for (number = 0; atomic_load(&shared->total) < calls; number++) {
		limit_memory(number % 3 ? "64" : "2");
		epoch(&targets[number % (sizeof(targets) / sizeof(targets[0]))], &seed, number,
		      calls / EPOCHS + 1);
	}
	limit_memory("0");
	for (i = 0; i < NUM_ROWS; i++)
		print_counter(rows[i].name, &shared->rows[i]);
	print_counter("mmap", &shared->mmaps);
	printf("# %lu calls of ioctl and mmap\n", atomic_load(&shared->total));
	CHECK(atomic_load(&shared->total) >= calls);
}
