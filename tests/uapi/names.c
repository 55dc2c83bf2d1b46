/* SPDX-License-Identifier: MIT */
/* Finding buffers: by name, by handle, one after the other; who holds them; what limits them. */
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kit.h"

static int get_named(int fd, const char *name, struct userpci_uapi_dma_get *g)
{
	*g = SIZED(userpci_uapi_dma_get);
	g->flags = USERPCI_DMA_NAMED;
	memcpy(g->name, name, strlen(name));
	return call(fd, USERPCI_DMA_GET, g);
}

static int get_next(int fd, uint32_t handle, struct userpci_uapi_dma_get *g)
{
	*g = SIZED(userpci_uapi_dma_get);
	g->flags = USERPCI_DMA_NEXT;
	g->handle = handle;
	return call(fd, USERPCI_DMA_GET, g);
}

TEST(names_are_unique)
{
	struct userpci_uapi_dma first, d;
	int fd = node_own(EDU);

	CHECK_EQ(dma_named(fd, "rx ring", &first), 0);
	CHECK_EQ(dma_named(fd, "rx ring", &d), -EEXIST);
	CHECK_EQ(dma_named(fd, "rx rin", &d), 0);
	CHECK_EQ(dma_named(fd, "rx ring ", &d), 0);
	/* Of each kind. */
	for (d.kind = USERPCI_DMA_CONTIGUOUS; d.kind <= USERPCI_DMA_SHARED; d.kind++)
		CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), -EEXIST);
	CHECK_EQ(dma_free(fd, first.handle), 0);
	CHECK_EQ(dma_named(fd, "rx ring", &d), 0);
	/* Those without a name are as many as one likes. */
	dma_get(fd, PAGE);
	dma_get(fd, PAGE);
	/* The longest name. */
	CHECK_EQ(dma_named(fd, "0123456789012345678901234567890", &d), 0);
	CHECK_EQ(dma_named(fd, "0123456789012345678901234567890", &d), -EEXIST);
	CHECK_EQ(dma_named(fd, "01234567890123456789012345678901", &d), -EINVAL);
	close(fd);
	/* With their owner they are gone, on a function without a reset too. */
	fd = node_own(EDU);
	CHECK_EQ(dma_named(fd, "rx ring", &d), 0);
	close(fd);
}

TEST(names_checks)
{
	struct userpci_uapi_dma_get g;
	struct userpci_uapi_dma d;
	int fd = node_own(EDU);

	dma_get(fd, PAGE);
	CHECK_EQ(get_named(fd, "", &g), -ENOENT); /* not any that has none */
	CHECK_EQ(get_named(fd, "unknown", &g), -ENOENT);
	CHECK_EQ(get_named(fd, "01234567890123456789012345678901", &g), -EINVAL);
	CHECK_EQ(dma_named(fd, "known", &d), 0);
	CHECK_EQ(get_named(fd, "known", &g), 0);
	CHECK_EQ(g.handle, d.handle);
	g = SIZED(userpci_uapi_dma_get);
	g.flags = USERPCI_DMA_NEXT | USERPCI_DMA_NAMED;
	CHECK_EQ(call(fd, USERPCI_DMA_GET, &g), -EINVAL);
	g.flags = USERPCI_DMA_NAMED << 1;
	CHECK_EQ(call(fd, USERPCI_DMA_GET, &g), -EINVAL);
	g.flags = 0;
	g.reserved = 1;
	CHECK_EQ(call(fd, USERPCI_DMA_GET, &g), -EINVAL);
	g.reserved = 0;
	g.handle = 1024;
	CHECK_EQ(call(fd, USERPCI_DMA_GET, &g), -ENOENT);
	g.handle = UINT32_MAX;
	CHECK_EQ(call(fd, USERPCI_DMA_GET, &g), -ENOENT);
	CHECK_EQ(get_next(fd, UINT32_MAX, &g), -ENOENT);
	CHECK_EQ(dma_free(fd, d.handle), 0);
	CHECK_EQ(get_named(fd, "known", &g), -ENOENT);
	g = SIZED(userpci_uapi_dma_get);
	g.handle = d.handle;
	CHECK_EQ(call(fd, USERPCI_DMA_GET, &g), -ENOENT);
	close(fd);
}

/* Another process finds it by its name alone, and sees what the owner writes. */
static void attach(void *data)
{
	int fd = node_open(data, O_RDONLY);
	struct userpci_uapi_dma_get g;
	const char *va;

	CHECK(fd >= 0);
	CHECK_EQ(get_named(fd, "mailbox", &g), 0);
	CHECK_EQ(g.bytes, 3 * PAGE);
	CHECK_STR(g.name, "mailbox");
	CHECK_EQ(map_error(fd, g.offset, g.bytes, PROT_READ | PROT_WRITE, MAP_SHARED), -EACCES);
	va = map(fd, g.offset, g.bytes, PROT_READ);
	CHECK_STR(va + PAGE, "from the owner");
}

TEST(names_attach)
{
	static const unsigned int kinds[] = { USERPCI_DMA_CONTIGUOUS, USERPCI_DMA_CHUNKED,
					      USERPCI_DMA_SHARED };
	const char *address = device_bind(EDU);
	int fd = node_own(EDU);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct userpci_uapi_dma d = SIZED(userpci_uapi_dma);
		char *va;

		d.kind = kinds[i];
		d.bytes = 3 * PAGE;
		memcpy(d.name, "mailbox", 7);
		CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), 0);
		va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
		memcpy(va + PAGE, "from the owner", 15);
		passed(run_child(attach, (void *)(uintptr_t)address));
		CHECK_EQ(munmap(va, d.bytes), 0);
		CHECK_EQ(dma_free(fd, d.handle), 0);
	}
	close(fd);
}

TEST(names_list)
{
	static const char *const names[] = { "zero", "one", "two", "", "four" };
	enum { COUNT = sizeof(names) / sizeof(names[0]) };
	struct userpci_uapi_dma d[COUNT];
	struct userpci_uapi_dma_get g;
	uint32_t handle = 0;
	int fd, observer, i;

	device_fresh(EDU);
	fd = node_own(EDU);
	observer = node_open(device_bind(EDU), O_RDONLY);
	CHECK_EQ(get_next(observer, 0, &g), -ENOENT);
	for (i = 0; i < COUNT; i++)
		CHECK_EQ(dma_named(fd, names[i], &d[i]), 0);
	CHECK_EQ(dma_free(fd, d[2].handle), 0);
	for (i = 0; i < COUNT; i++) {
		if (i == 2)
			continue;
		CHECK_EQ(get_next(observer, handle, &g), 0);
		CHECK_EQ(g.handle, d[i].handle);
		CHECK_STR(g.name, names[i]);
		CHECK_EQ(g.chunk_iova, d[i].iova);
		CHECK_EQ(g.offset, d[i].offset);
		handle = g.handle + 1;
	}
	CHECK_EQ(get_next(observer, handle, &g), -ENOENT);
	close(fd);
	/* What a function without a reset keeps is nobody's. */
	CHECK_EQ(get_next(observer, 0, &g), -ENOENT);
	close(observer);
}

static uint32_t references(int fd, uint32_t handle)
{
	return dma_piece(fd, handle, 0).references;
}

struct mapped {
	int fd;
	uint32_t handle;
	char *va;
};

static void check_in_child(void *data)
{
	struct mapped *m = data;

	CHECK_EQ(references(m->fd, m->handle), 3);
	CHECK_EQ(m->va[PAGE], 0x29);
	CHECK_EQ(munmap(m->va, 4 * PAGE), 0);
	CHECK_EQ(references(m->fd, m->handle), 2);
}

/* One for the handle, one for each map, whatever a map goes through. */
static void check_references(unsigned int kind)
{
	int fd = node_own(EDU);
	struct userpci_uapi_dma d = dma_of(fd, kind, 4 * PAGE);
	struct mapped m = { .fd = fd, .handle = d.handle };
	char *place, *part;

	CHECK_EQ(references(fd, d.handle), 1);
	m.va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
	memset(m.va, 0x29, d.bytes);
	CHECK_EQ(references(fd, d.handle), 2);
	part = map(fd, d.offset + PAGE, PAGE, PROT_READ);
	CHECK_EQ(references(fd, d.handle), 3);
	CHECK_EQ(munmap(part, PAGE), 0);
	CHECK_EQ(references(fd, d.handle), 2);
	passed(run_child(check_in_child, &m));
	CHECK_EQ(references(fd, d.handle), 2);

	/* Moved: the same map at another place. */
	place = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(place != MAP_FAILED);
	CHECK(mremap(m.va, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
	m.va = place;
	CHECK(all_bytes(m.va, 0x29, d.bytes));
	CHECK_EQ(references(fd, d.handle), 2);
	/* Neither grown, nor doubled, nor cut. */
	CHECK(mremap(m.va, 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK_EQ(errno, EFAULT);
	CHECK(mremap(m.va, 0, 4 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK_EQ(errno, EFAULT);
	CHECK(mremap(m.va, 4 * PAGE, 3 * PAGE, 0) == MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(munmap(m.va + PAGE, PAGE), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(references(fd, d.handle), 2);
	CHECK(all_bytes(m.va, 0x29, d.bytes));
	CHECK_EQ(munmap(m.va, d.bytes), 0);
	CHECK_EQ(references(fd, d.handle), 1);
	CHECK_EQ(dma_free(fd, d.handle), 0);
	close(fd);
}

TEST(names_references_contiguous)
{
	check_references(USERPCI_DMA_CONTIGUOUS);
}

TEST(names_references_chunked)
{
	check_references(USERPCI_DMA_CHUNKED);
}

static void check_shared_in_child(void *data)
{
	struct mapped *m = data;

	CHECK_EQ(references(m->fd, m->handle), 3);
	CHECK_EQ(munmap(m->va, 4 * PAGE), 0);
	CHECK_EQ(references(m->fd, m->handle), 2);
}

/* Maps of a SHARED buffer are maps of its file. They may be cut, as of any file. */
TEST(names_references_shared)
{
	int fd = node_own(EDU);
	struct userpci_uapi_dma d = dma_of(fd, USERPCI_DMA_SHARED, 4 * PAGE);
	struct mapped m = { .fd = fd, .handle = d.handle };

	CHECK_EQ(references(fd, d.handle), 1);
	m.va = map(fd, d.offset, d.bytes, PROT_READ | PROT_WRITE);
	CHECK_EQ(references(fd, d.handle), 2);
	memset(m.va, 0x29, d.bytes);
	passed(run_child(check_shared_in_child, &m));
	CHECK_EQ(references(fd, d.handle), 2);
	CHECK_EQ(munmap(m.va + PAGE, PAGE), 0);
	CHECK_EQ(references(fd, d.handle), 3);
	CHECK(all_bytes(m.va, 0x29, PAGE));
	CHECK(all_bytes(m.va + 2 * PAGE, 0x29, 2 * PAGE));
	CHECK_EQ(munmap(m.va, PAGE), 0);
	CHECK_EQ(munmap(m.va + 2 * PAGE, 2 * PAGE), 0);
	CHECK_EQ(references(fd, d.handle), 1);
	close(fd);
}

/* With a limit of 8 MiB, of which the device's memory of all kinds is a part. */
static void check_quota(void *data)
{
	uint8_t *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
	struct userpci_uapi_dma d, mapped, pinned;
	unsigned int kind;
	int fd = node_own(EDU);
	void *va;

	(void)data;
	for (kind = USERPCI_DMA_CONTIGUOUS; kind <= USERPCI_DMA_SHARED; kind++) {
		mapped = dma_of(fd, kind, 4 << 20);
		d = dma_of(fd, USERPCI_DMA_CHUNKED, 3 << 20);
		CHECK_EQ(dma_try(fd, kind, (1 << 20) + 1, &d), -EDQUOT);
		CHECK_EQ(dma_pin(fd, memory, 1 << 20, &pinned), 0);
		CHECK_EQ(dma_try(fd, kind, PAGE, &d), -EDQUOT);
		CHECK_EQ(dma_free(fd, pinned.handle), 0);
		d = dma_of(fd, kind, 1 << 20);
		CHECK_EQ(dma_pin(fd, memory, PAGE, &pinned), -EDQUOT);
		CHECK_EQ(dma_free(fd, d.handle), 0);
		/* A buffer that is freed and still mapped takes its memory all the same. */
		va = map(fd, mapped.offset, mapped.bytes, PROT_READ);
		CHECK_EQ(dma_free(fd, mapped.handle), 0);
		if (kind != USERPCI_DMA_SHARED)
			CHECK_EQ(dma_try(fd, kind, 2 << 20, &d), -EDQUOT);
		CHECK_EQ(munmap(va, mapped.bytes), 0);
		mapped = dma_of(fd, USERPCI_DMA_CHUNKED, 5 << 20);
		CHECK_EQ(dma_free(fd, mapped.handle), 0);
		device_unbind(device_bind(EDU));
		close(fd);
		fd = node_own(EDU);
	}
	/* None is left over from what was refused. */
	CHECK_EQ(dma_try(fd, USERPCI_DMA_CHUNKED, (8 << 20) + 1, &d), -EDQUOT);
	dma_of(fd, USERPCI_DMA_CHUNKED, 8 << 20);
	close(fd);
}

TEST(names_limit)
{
	unsigned int old;
	int status;

	device_fresh(EDU);
	old = parameter_set("dma_limit_mb", 8);
	status = run_child(check_quota, NULL);
	parameter_set("dma_limit_mb", old);
	passed(status);
	device_fresh(EDU);
}

#define GROUPS "/run/uapi-groups"
#define GROUP  GROUPS "/owner"

static const char *const group_files[][2] = {
	{ GROUPS "/cgroup.subtree_control", "+memory" },
	{ GROUP "/memory.max", "33554432" },
	{ GROUP "/memory.oom.group", "0" },
};

static void group_make(void)
{
	mkdir(GROUPS, 0755);
	if (mount("none", GROUPS, "cgroup2", 0, NULL))
		CHECK_EQ(errno, EBUSY);
	CHECK_EQ(sysfs_write(group_files[0][0], group_files[0][1]), 0);
	if (mkdir(GROUP, 0755))
		CHECK_EQ(errno, EEXIST);
	CHECK_EQ(sysfs_write(group_files[1][0], group_files[1][1]), 0);
	CHECK_EQ(sysfs_write(group_files[2][0], group_files[2][1]), 0);
}

/* Until the group's 32 MiB are full: an error, or this process's end. */
static void fill_group(void *data)
{
	struct userpci_uapi_dma d;
	int fd, i, err = 0;

	CHECK_EQ(sysfs_write(GROUP "/cgroup.procs", "0"), 0);
	fd = node_own(EDU);
	for (i = 0; i < 100 && !err; i++)
		err = dma_try(fd, *(unsigned int *)data, 1 << 20, &d);
	CHECK_EQ(err, -ENOMEM);
	CHECK(i > 8);
	CHECK(i <= 33);
}

/* The memory is that of the owner's memory control group, and the device is at once usable. */
TEST(names_charged_to_the_group)
{
	unsigned int kind;
	int status;

	group_make();
	for (kind = USERPCI_DMA_CONTIGUOUS; kind <= USERPCI_DMA_SHARED; kind++) {
		device_fresh(EDU);
		status = run_child(fill_group, &kind);
		if (!WIFSIGNALED(status))
			passed(status);
		else
			CHECK_EQ(WTERMSIG(status), SIGKILL);
		close(node_own(EDU));
	}
	device_fresh(EDU);
	CHECK_EQ(rmdir(GROUP), 0);
	CHECK_EQ(umount(GROUPS), 0);
}
