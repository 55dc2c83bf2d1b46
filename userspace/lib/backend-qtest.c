/* SPDX-License-Identifier: MIT */
/*
 * The backend over a private QEMU ("qemu:DEVICE"): its device models without a guest, a kernel
 * module or a privilege. Registers are reached by messages, DMA memory is QEMU's RAM.
 *
 * Interrupts. A message (MSI, MSI-X) is a write of the device to an address that software chooses
 * (PCI Local Bus 3.0, section 6.8). Here it is the doorbell register of QEMU's shared-memory
 * device, which turns a write of (peer << 16 | vector) into an eventfd: the vector's own, which the
 * library waits on, with no thread between. A thread is there for what takes one: INTx comes as
 * lines of the protocol, and an eventfd of the caller's gets what the vector's own has counted.
 *
 * The caller's eventfd is not given to QEMU: that would make it non-blocking for everybody, and
 * could not be taken back. (Quirk: QEMU 7.2 to 10.2, hw/misc/ivshmem, free a peer's list of
 * eventfds when it leaves, and use it when it returns.)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend.h"
#include "host.h"
#include "qtest.h"

/* Of the doorbell device (QEMU: docs/specs/ivshmem-spec). MSI has 16 bits of data: peer 0. */
#define DOORBELL   12
#define PEER	   0
#define SYNC_TRIES 100000

/* In RAM: where MSI goes while it is masked, and what lies there when none came. */
#define MAILBOX	      0x1000
#define MAILBOX_EMPTY 0xffffffffu

/* Below lies what a PC has in its first megabyte. */
#define RAM_FIRST    (1u << 20)

#define PAGE	     4096u

#define MOST_VECTORS USERPCI_QTEST_VECTORS

struct buffer {
	struct buffer *next; /* by address */
	uint64_t iova, size;
	uint32_t kind;
	char name[USERPCI_NAME_BYTES];
};

struct vector {
	int own;    /* its eventfd, QEMU's of this number; made at first use and kept; -1 */
	int handed; /* the duplicate of it that the library gets; -1 */
	int fd;	    /* a duplicate of the caller's eventfd; -1: none */
	bool masked;
};

struct qtest_state {
	struct userpci_qtest *qtest;
	struct userpci_function function;
	uint64_t doorbell, msix_table;
	unsigned int msi, msix, pcie; /* offsets of the capabilities; 0: none */
	volatile uint32_t *mailbox;

	struct buffer *buffers;
	uint64_t reach; /* by the DMA mask */

	unsigned int irq_kind, irq_count;
	unsigned int num_slots; /* eventfds that QEMU has, of the first vectors */

	pthread_mutex_t lock; /* between the caller and the thread */
	struct vector vectors[MOST_VECTORS];
	pthread_t thread;
	int wake; /* an eventfd: the thread looks around */
	bool relaying, stop;
};

static struct qtest_state *state_of(const struct userpci_device *device)
{
	return device->state;
}

static uint32_t config_get(const struct qtest_state *s, unsigned int offset, unsigned int width)
{
	return userpci_qtest_config_read(s->qtest, s->function.bdf, offset, width);
}

static void config_set(const struct qtest_state *s, unsigned int offset, unsigned int width,
		       uint32_t value)
{
	userpci_qtest_config_write(s->qtest, s->function.bdf, offset, width, value);
}

/* Changes bits of a 16-bit register. */
static void config_change(const struct qtest_state *s, unsigned int offset, uint32_t clear,
			  uint32_t set)
{
	config_set(s, offset, 2, (config_get(s, offset, 2) & ~clear) | set);
}

/* --- Open and close --- */

static void fill_info(struct userpci_device *device)
{
	struct qtest_state *s = state_of(device);
	struct userpci_info *i = &device->info;
	uint32_t bdf = s->function.bdf;

	snprintf(i->address, sizeof(i->address), "0000:%02x:%02x.%x", bdf >> 8 & 0xff,
		 bdf >> 3 & 0x1f, bdf & 7);
	i->vendor_id = config_get(s, PCI_VENDOR_ID, 2);
	i->device_id = config_get(s, PCI_DEVICE_ID, 2);
	i->subsystem_vendor_id = config_get(s, PCI_SUBSYSTEM_VENDOR_ID, 2);
	i->subsystem_id = config_get(s, PCI_SUBSYSTEM_ID, 2);
	i->class_code = config_get(s, PCI_CLASS_REVISION, 4) >> 8;
	i->num_regions = USERPCI_NUM_BARS;
	i->numa_node = -1;
	i->num_intx = config_get(s, PCI_INTERRUPT_PIN, 1) ? 1 : 0;
	if (s->msi)
		i->num_msi =
			1u << ((config_get(s, s->msi + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_QMASK) >>
			       1);
	if (s->msix_table)
		i->num_msix = (config_get(s, s->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) +
			      1;
	if (i->num_msix > MOST_VECTORS)
		i->num_msix = MOST_VECTORS;
	if (s->pcie && config_get(s, s->pcie + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)
		i->flags |= USERPCI_INFO_RESET;
}

static void find_capabilities(struct userpci_device *device)
{
	struct qtest_state *s = state_of(device);
	unsigned int bar;
	uint32_t table;

	(void)userpci_config_find(device, PCI_CAP_ID_MSI, &s->msi);
	(void)userpci_config_find(device, PCI_CAP_ID_MSIX, &s->msix);
	(void)userpci_config_find(device, PCI_CAP_ID_EXP, &s->pcie);
	if (!s->msix)
		return;
	table = config_get(s, s->msix + PCI_MSIX_TABLE, 4);
	bar = table & PCI_MSIX_TABLE_BIR;
	if (bar < USERPCI_NUM_BARS && s->function.bars[bar].size)
		s->msix_table = s->function.bars[bar].address + (table & PCI_MSIX_TABLE_OFFSET);
}

static void state_free(struct qtest_state *s)
{
	struct buffer *buffer;
	unsigned int i;

	while ((buffer = s->buffers)) {
		s->buffers = buffer->next;
		free(buffer);
	}
	/* The first is QEMU's INTx line, too, and goes with it. */
	for (i = 1; i < MOST_VECTORS; i++)
		if (s->vectors[i].own >= 0)
			close(s->vectors[i].own);
	if (s->wake >= 0)
		close(s->wake);
	if (s->mailbox)
		munmap((void *)s->mailbox, PAGE);
	if (s->qtest)
		userpci_qtest_stop(s->qtest);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct qtest_state *state_make(void)
{
	struct qtest_state *s = calloc(1, sizeof(*s));
	unsigned int i;

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	s->wake = -1;
	for (i = 0; i < MOST_VECTORS; i++)
		s->vectors[i] = (struct vector){ .own = -1, .handed = -1, .fd = -1 };
	s->reach = UINT32_MAX;
	return s;
}

static int make_eventfd(int *fd)
{
	return userpci_qtest_keep(fd, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

/* What is needed beside QEMU. */
static int equip(struct qtest_state *s)
{
	int err = make_eventfd(&s->wake);
	void *page;

	s->vectors[0].own = s->qtest->line;
	if (err)
		return err;
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, s->qtest->ram_fd, MAILBOX);
	if (page == MAP_FAILED)
		return -errno;
	s->mailbox = page;
	return 0;
}

static int qtest_open(struct userpci_device *device, const char *spec, unsigned int flags)
{
	struct qtest_state *s = state_make();
	int err;

	userpci_qtest_set_message("");
	if (!s)
		return -ENOMEM;
	/* It is the caller's own: there is nobody's work to look at. */
	err = flags & USERPCI_OPEN_OBSERVE ? -EOPNOTSUPP : userpci_qtest_start(spec, &s->qtest);
	if (!err)
		err = equip(s);
	if (!err)
		err = userpci_qtest_enumerate(s->qtest, &s->function, &s->doorbell);
	if (err) {
		state_free(s);
		return err;
	}
	device->state = s;
	device->fd = s->qtest->socket;
	find_capabilities(device);
	fill_info(device);
	config_change(s, PCI_COMMAND, 0, PCI_COMMAND_INTX_DISABLE);
	return 0;
}

static void qtest_close(struct userpci_device *device)
{
	state_free(state_of(device));
}

/* --- Regions and configuration space --- */

static int qtest_region_map(struct userpci_device *device, unsigned int index, bool wc,
			    struct userpci_region *region)
{
	const struct userpci_bar *bar = &state_of(device)->function.bars[index];

	(void)wc; /* there is no map that could be */
	if (!bar->size)
		return -ENOENT;
	region->size = bar->size;
	region->flags = bar->flags | USERPCI_REGION_CALLS;
	return 0;
}

static int check_access(const struct userpci_bar *bar, uint64_t offset, unsigned int width)
{
	if (offset >= bar->size || width > bar->size - offset)
		return -ERANGE;
	return offset % width || (bar->flags & USERPCI_REGION_IO && width > 4) ? -EINVAL : 0;
}

static enum userpci_space space_of(const struct userpci_bar *bar)
{
	return bar->flags & USERPCI_REGION_IO ? USERPCI_SPACE_IO : USERPCI_SPACE_MEMORY;
}

static int qtest_region_read(const struct userpci_region *region, uint64_t offset,
			     unsigned int width, uint64_t *value)
{
	const struct qtest_state *s = state_of(region->device);
	const struct userpci_bar *bar = &s->function.bars[region->index];
	int err = check_access(bar, offset, width);

	if (!err)
		*value = userpci_qtest_read(s->qtest, space_of(bar), bar->address + offset, width);
	return err;
}

static int qtest_region_write(const struct userpci_region *region, uint64_t offset,
			      unsigned int width, uint64_t value)
{
	const struct qtest_state *s = state_of(region->device);
	const struct userpci_bar *bar = &s->function.bars[region->index];
	int err = check_access(bar, offset, width);

	if (!err)
		userpci_qtest_write(s->qtest, space_of(bar), bar->address + offset, width, value);
	return err;
}

static int qtest_region_read_block(const struct userpci_region *region, uint64_t offset, void *data,
				   size_t size)
{
	const struct qtest_state *s = state_of(region->device);

	return userpci_qtest_read_block(s->qtest, s->function.bars[region->index].address + offset,
					data, size);
}

static int qtest_region_write_block(const struct userpci_region *region, uint64_t offset,
				    const void *data, size_t size)
{
	const struct qtest_state *s = state_of(region->device);

	return userpci_qtest_write_block(s->qtest, s->function.bars[region->index].address + offset,
					 data, size);
}

/* A conventional function has 256 bytes. */
static int check_config(const struct qtest_state *s, unsigned int offset)
{
	return offset < (s->pcie ? PCI_CFG_SPACE_EXP_SIZE : PCI_CFG_SPACE_SIZE) ? 0 : -ERANGE;
}

static int qtest_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			     uint32_t *value)
{
	const struct qtest_state *s = state_of(device);
	uint32_t got;
	int err = check_config(s, offset);

	if (err)
		return err;
	got = config_get(s, offset, width);
	err = userpci_qtest_check(s->qtest);
	if (!err)
		*value = got;
	return err;
}

static int qtest_config_write(struct userpci_device *device, unsigned int offset,
			      unsigned int width, uint32_t value)
{
	const struct qtest_state *s = state_of(device);
	int err = check_config(s, offset);

	if (err)
		return err;
	if (!userpci_config_may_write(device, offset, width, value))
		return -EPERM;
	config_set(s, offset, width, value);
	return userpci_qtest_check(s->qtest);
}

static int qtest_bus_master(struct userpci_device *device, bool enable)
{
	const struct qtest_state *s = state_of(device);

	config_change(s, PCI_COMMAND, enable ? 0 : PCI_COMMAND_MASTER,
		      enable ? PCI_COMMAND_MASTER : 0);
	/* When the call returns the device has stopped: what was written is awaited. */
	(void)config_get(s, PCI_COMMAND, 2);
	return userpci_qtest_check(s->qtest);
}

/* --- DMA memory: pieces of QEMU's RAM, first fit --- */

static int qtest_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	struct qtest_state *s = state_of(device);

	if (s->buffers)
		return -EBUSY;
	s->reach = UINT64_MAX >> (64 - bits);
	return 0;
}

/* The link after which a buffer of that size fits; NULL: nowhere. */
static struct buffer **find_gap(struct qtest_state *s, uint64_t size, uint64_t *iova)
{
	uint64_t end = s->qtest->ram_size;
	struct buffer **link = &s->buffers;

	if (end > s->reach)
		end = s->reach + 1;
	*iova = RAM_FIRST;
	for (; *link; link = &(*link)->next) {
		if ((*link)->iova - *iova >= size)
			return link;
		*iova = (*link)->iova + (*link)->size;
	}
	return *iova < end && end - *iova >= size ? link : NULL;
}

static struct buffer *find_named(struct qtest_state *s, const char *name)
{
	struct buffer *buffer = s->buffers;

	while (buffer && (!*name || strcmp(buffer->name, name)))
		buffer = buffer->next;
	return buffer;
}

static int map_buffer(struct qtest_state *s, const struct buffer *buffer, struct userpci_dma *dma)
{
	void *va = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->qtest->ram_fd,
			(off_t)buffer->iova);

	if (va == MAP_FAILED)
		return -errno;
	dma->va = va;
	dma->iova = dma->handle = buffer->iova;
	dma->size = buffer->size;
	dma->kind = buffer->kind;
	dma->chunks = 1;
	return 0;
}

static int qtest_dma_alloc(struct userpci_device *device, const struct userpci_dma_options *options,
			   struct userpci_dma *dma)
{
	struct qtest_state *s = state_of(device);
	const char *name = options->name ? options->name : "";
	struct buffer *buffer, **link;
	uint64_t size = (options->size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	int err;

	if (options->kind == USERPCI_DMA_PINNED)
		return -EOPNOTSUPP; /* QEMU's devices reach QEMU's memory */
	if (find_named(s, name))
		return -EEXIST;
	if (size < options->size)
		return -ENOMEM;
	buffer = calloc(1, sizeof(*buffer));
	if (!buffer)
		return -ENOMEM;
	link = find_gap(s, size, &buffer->iova);
	buffer->size = size;
	buffer->kind = options->kind;
	snprintf(buffer->name, sizeof(buffer->name), "%s", name);
	err = link ? map_buffer(s, buffer, dma) : -ENOMEM;
	if (err) {
		free(buffer);
		return err;
	}
	memset(dma->va, 0, size);
	buffer->next = *link;
	*link = buffer;
	return 0;
}

static void qtest_dma_free(struct userpci_dma *dma)
{
	struct buffer **link = &state_of(dma->device)->buffers, *buffer;

	while (*link && (*link)->iova != dma->handle)
		link = &(*link)->next;
	buffer = *link;
	if (!buffer)
		return;
	*link = buffer->next;
	free(buffer);
}

static int qtest_dma_chunk(const struct userpci_dma *dma, unsigned int index,
			   struct userpci_dma_chunk *chunk)
{
	(void)index; /* there is one */
	*chunk = (struct userpci_dma_chunk){ .iova = dma->iova, .size = dma->size };
	return 0;
}

static int qtest_dma_attach(struct userpci_device *device, const char *name,
			    struct userpci_dma *dma)
{
	struct qtest_state *s = state_of(device);
	struct buffer *buffer = find_named(s, name);

	return buffer ? map_buffer(s, buffer, dma) : -ENOENT;
}

static int qtest_dma_next(struct userpci_device *device, uint32_t *cursor,
			  struct userpci_dma_info *info)
{
	struct buffer *buffer = state_of(device)->buffers;

	while (buffer && buffer->iova < *cursor)
		buffer = buffer->next;
	if (!buffer)
		return -ENOENT;
	memcpy(info->name, buffer->name, sizeof(info->name));
	info->size = buffer->size;
	info->iova = info->handle = buffer->iova;
	info->kind = buffer->kind;
	info->chunks = info->references = 1;
	*cursor = buffer->iova + 1;
	return 0;
}

/* --- Messages --- */

/* The eventfd that stays with a vector. */
static int own_eventfd(struct qtest_state *s, unsigned int vector)
{
	int err = 0;

	if (vector >= MOST_VECTORS)
		return -ENOSPC;
	if (s->vectors[vector].own < 0)
		err = make_eventfd(&s->vectors[vector].own);
	return err ? err : s->vectors[vector].own;
}

static void drain(int fd)
{
	eventfd_t count;

	(void)eventfd_read(fd, &count);
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* Waits until QEMU knows a vector's eventfd, by ringing it. */
static int slot_sync(const struct qtest_state *s, unsigned int vector)
{
	int fd = s->vectors[vector].own;
	unsigned int i;
	int err = 0;

	for (i = 0; i < SYNC_TRIES && !err && !is_readable(fd); i++) {
		userpci_qtest_write(s->qtest, USERPCI_SPACE_MEMORY, s->doorbell + DOORBELL, 4,
				    PEER << 16 | vector);
		(void)config_get(s, PCI_VENDOR_ID, 2);
		err = userpci_qtest_check(s->qtest);
	}
	if (!err && !is_readable(fd))
		err = -EIO;
	drain(fd);
	return err;
}

/* QEMU numbers eventfds in the order in which it gets them: here, as the vectors are numbered. */
static int slots_add(struct qtest_state *s, unsigned int count)
{
	unsigned int before = s->num_slots;
	int fd, err = 0, unknown = 0;

	while (s->num_slots < count && !err) {
		fd = own_eventfd(s, s->num_slots);
		err = fd < 0 ? fd : userpci_qtest_send_fd(s->qtest->doorbell, PEER, fd);
		if (!err)
			s->num_slots++;
	}
	if (s->num_slots > before)
		unknown = slot_sync(s, s->num_slots - 1);
	return err ? err : unknown;
}

static void table_write(const struct qtest_state *s, unsigned int vector, unsigned int field,
			uint32_t value)
{
	userpci_qtest_write(s->qtest, USERPCI_SPACE_MEMORY,
			    s->msix_table + vector * PCI_MSIX_ENTRY_SIZE + field, 4, value);
}

/*
 * Quirk: QEMU 7.2's e1000e aborts when MSI-X is disabled while it holds an interrupt back. So MSI-X
 * is masked where it is to be off, and disabled only for the sake of another kind.
 */
static void stop_msix(const struct qtest_state *s)
{
	config_change(s, s->msix + PCI_MSIX_FLAGS, 0, PCI_MSIX_FLAGS_MASKALL);
}

/* What was held back while MSI-X was off goes into RAM, and not to those who wait from now on. */
static void flush_msix(const struct qtest_state *s)
{
	unsigned int i;

	config_change(s, s->msix + PCI_MSIX_FLAGS, 0,
		      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (i = 0; i < s->irq_count; i++) {
		table_write(s, i, PCI_MSIX_ENTRY_LOWER_ADDR, MAILBOX);
		table_write(s, i, PCI_MSIX_ENTRY_UPPER_ADDR, 0);
		table_write(s, i, PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
	}
	config_change(s, s->msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_MASKALL, 0);
}

/* Has the function send to the doorbell. */
static void program_msix(const struct qtest_state *s)
{
	uint64_t address = s->doorbell + DOORBELL;
	unsigned int i;

	config_change(s, s->msix + PCI_MSIX_FLAGS, 0,
		      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (i = 0; i < s->irq_count; i++) {
		table_write(s, i, PCI_MSIX_ENTRY_LOWER_ADDR, address);
		table_write(s, i, PCI_MSIX_ENTRY_UPPER_ADDR, address >> 32);
		table_write(s, i, PCI_MSIX_ENTRY_DATA, PEER << 16 | i);
		table_write(s, i, PCI_MSIX_ENTRY_VECTOR_CTRL, s->vectors[i].masked);
	}
	config_change(s, s->msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_MASKALL, 0);
}

static bool any_masked(const struct qtest_state *s)
{
	unsigned int i;

	for (i = 0; i < s->irq_count; i++)
		if (s->vectors[i].masked)
			return true;
	return false;
}

/*
 * Few of QEMU's devices have masks for MSI. So its messages go to a place in RAM while a vector is
 * masked. They share one address: what is held back are those of all vectors.
 */
static void msi_aim(const struct qtest_state *s)
{
	config_set(s, s->msi + PCI_MSI_ADDRESS_LO, 4,
		   any_masked(s) ? MAILBOX : s->doorbell + DOORBELL);
}

/* What came to the mailbox meanwhile. Of several vectors it does not tell which: all look. */
static void msi_collect(const struct qtest_state *s)
{
	unsigned int i;

	if (__atomic_exchange_n(s->mailbox, MAILBOX_EMPTY, __ATOMIC_SEQ_CST) == MAILBOX_EMPTY)
		return;
	for (i = 0; i < s->irq_count; i++)
		(void)eventfd_write(s->vectors[i].own, 1);
}

static unsigned int log2_of(unsigned int count)
{
	unsigned int log2 = 0;

	while (1u << log2 < count)
		log2++;
	return log2;
}

/* The doorbell is below 4 GiB, and its vectors from 0 on are aligned as MSI wants its data. */
static void program_msi(const struct qtest_state *s)
{
	uint32_t flags = config_get(s, s->msi + PCI_MSI_FLAGS, 2);
	bool wide = flags & PCI_MSI_FLAGS_64BIT;

	flags &= ~(PCI_MSI_FLAGS_QSIZE | PCI_MSI_FLAGS_ENABLE);
	config_set(s, s->msi + PCI_MSI_FLAGS, 2, flags);
	*s->mailbox = MAILBOX_EMPTY;
	msi_aim(s);
	if (wide)
		config_set(s, s->msi + PCI_MSI_ADDRESS_HI, 4, 0);
	config_set(s, s->msi + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2, 0);
	config_set(s, s->msi + PCI_MSI_FLAGS, 2,
		   flags | log2_of(s->irq_count) << 4 | PCI_MSI_FLAGS_ENABLE);
}

static void program(const struct qtest_state *s)
{
	if (!s->irq_count)
		return;
	switch (s->irq_kind) {
	case USERPCI_IRQ_INTX:
		config_change(s, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 0);
		break;
	case USERPCI_IRQ_MSI:
		program_msi(s);
		break;
	default:
		program_msix(s);
	}
}

/* --- The thread: takes INTx in, and passes on to the caller's eventfds --- */

/* With the lock held, so that an eventfd that was taken back gets nothing afterwards. */
static void pass_on(struct qtest_state *s)
{
	eventfd_t count;
	unsigned int i;

	pthread_mutex_lock(&s->lock);
	for (i = 0; i < s->irq_count; i++)
		if (s->vectors[i].fd >= 0 && !eventfd_read(s->vectors[i].own, &count))
			(void)eventfd_write(s->vectors[i].fd, count);
	pthread_mutex_unlock(&s->lock);
}

/* What to wait for; 0: the thread is to end. */
static unsigned int look_around(struct qtest_state *s, struct pollfd *fds)
{
	unsigned int n = 0, i;

	pthread_mutex_lock(&s->lock);
	if (!s->stop) {
		fds[n++] = (struct pollfd){ .fd = s->wake, .events = POLLIN };
		for (i = 0; i < s->irq_count; i++)
			if (s->vectors[i].fd >= 0)
				fds[n++] = (struct pollfd){ .fd = s->vectors[i].own,
							    .events = POLLIN };
		if (s->irq_kind == USERPCI_IRQ_INTX && !userpci_qtest_check(s->qtest))
			fds[n++] = (struct pollfd){ .fd = s->qtest->socket, .events = POLLIN };
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

static void *relay(void *context)
{
	struct pollfd fds[MOST_VECTORS + 2];
	struct qtest_state *s = context;
	unsigned int n;

	while ((n = look_around(s, fds))) {
		if (poll(fds, n, -1) < 0)
			continue;
		if (fds[0].revents)
			drain(s->wake);
		if (s->irq_kind == USERPCI_IRQ_INTX)
			userpci_qtest_take(s->qtest);
		pass_on(s);
	}
	return NULL;
}

/* Signals are for the caller's threads. */
static int relay_start(struct qtest_state *s)
{
	sigset_t all, before;
	int err;

	if (s->relaying)
		return 0;
	s->stop = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&s->thread, NULL, relay, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->relaying = !err;
	return err;
}

/* A child after a fork has no such thread. */
static void relay_stop(struct qtest_state *s)
{
	if (!s->relaying || s->qtest->opener != getpid())
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_mutex_unlock(&s->lock);
	(void)eventfd_write(s->wake, 1);
	pthread_join(s->thread, NULL);
	s->relaying = false;
}

/* --- Interrupts of all kinds --- */

/* What the library waits on. What it counted before it was enabled belongs to a former use. */
static int qtest_irq_fd(struct userpci_device *device, unsigned int vector)
{
	struct qtest_state *s = state_of(device);
	int fd = own_eventfd(s, vector);

	if (fd < 0)
		return fd;
	if (!s->irq_count)
		drain(fd);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	s->vectors[vector].handed = fd;
	return fd;
}

/* From now on the vector adds to its own eventfd. */
static void forget_callers(struct vector *v)
{
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
}

static void qtest_irq_disable(struct userpci_device *device)
{
	struct qtest_state *s = state_of(device);
	unsigned int i;

	/* In a child after a fork they are the parent's: it only gives up its own. */
	if (s->irq_count && s->qtest->opener == getpid()) {
		config_change(s, PCI_COMMAND, 0, PCI_COMMAND_INTX_DISABLE);
		if (s->irq_kind == USERPCI_IRQ_MSI)
			config_change(s, s->msi + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, 0);
		if (s->irq_kind == USERPCI_IRQ_MSIX)
			stop_msix(s);
		for (i = 0; i < s->irq_count && s->irq_kind == USERPCI_IRQ_MSIX; i++)
			table_write(s, i, PCI_MSIX_ENTRY_VECTOR_CTRL, PCI_MSIX_ENTRY_CTRL_MASKBIT);
		/* None is on its way after this. */
		(void)config_get(s, PCI_COMMAND, 2);
		userpci_qtest_line_mask(s->qtest, true);
	}
	relay_stop(s);
	for (i = 0; i < s->irq_count; i++)
		forget_callers(&s->vectors[i]);
	s->irq_count = 0;
}

static int qtest_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	struct qtest_state *s = state_of(device);
	bool intx = kind == USERPCI_IRQ_INTX;
	unsigned int i;
	int err;

	if (count > MOST_VECTORS)
		return -ENOSPC;
	err = intx ? userpci_qtest_intercept(s->qtest) : slots_add(s, count);
	if (err)
		return err;
	for (i = 0; i < count; i++)
		s->vectors[i].masked = false;
	s->irq_kind = kind;
	s->irq_count = count;
	if (kind == USERPCI_IRQ_MSIX)
		flush_msix(s);
	else if (s->msix)
		config_change(s, s->msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 0);
	if (intx) {
		userpci_qtest_line_mask(s->qtest, false);
		err = relay_start(s);
	}
	program(s);
	if (!err)
		err = userpci_qtest_check(s->qtest);
	if (err)
		qtest_irq_disable(device);
	return err;
}

static int qtest_irq_eventfd(struct userpci_device *device, unsigned int vector, int fd)
{
	struct qtest_state *s = state_of(device);
	struct vector *v;
	int copy = -1, err = 0;
	bool own;

	if (vector == USERPCI_EVENTS)
		return -EOPNOTSUPP;
	v = &s->vectors[vector];
	own = fd == v->handed;
	v->handed = -1; /* the number may soon be another's */
	if (!own) {
		if (userpci_eventfd_check(fd))
			return -EINVAL;
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (copy < 0)
			return -errno;
	}
	if (!own)
		err = relay_start(s);
	if (err) {
		close(copy);
		return err;
	}
	pthread_mutex_lock(&s->lock);
	forget_callers(v);
	v->fd = copy;
	pthread_mutex_unlock(&s->lock);
	return eventfd_write(s->wake, 1) ? -errno : 0;
}

/* Served: a line that is still up is a new interrupt. One that rises after the look is reported. */
static void line_mask(const struct qtest_state *s, bool masked)
{
	userpci_qtest_line_mask(s->qtest, masked);
	if (!masked && config_get(s, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT)
		userpci_qtest_line_raise(s->qtest);
}

static int qtest_irq_mask(struct userpci_device *device, unsigned int vector, bool masked)
{
	struct qtest_state *s = state_of(device);

	s->vectors[vector].masked = masked;
	if (s->irq_kind == USERPCI_IRQ_INTX)
		line_mask(s, masked);
	else if (s->irq_kind == USERPCI_IRQ_MSIX)
		table_write(s, vector, PCI_MSIX_ENTRY_VECTOR_CTRL,
			    masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
	else
		msi_aim(s);
	/* What was written has taken effect after this. */
	(void)config_get(s, PCI_COMMAND, 2);
	if (s->irq_kind == USERPCI_IRQ_MSI && !any_masked(s))
		msi_collect(s);
	return userpci_qtest_check(s->qtest);
}

static int qtest_irq_limit(struct userpci_device *device, unsigned int vector, uint32_t per_second)
{
	(void)device, (void)vector, (void)per_second;
	return -EOPNOTSUPP;
}

static int qtest_stats_map(struct userpci_device *device, void **va, uint64_t *size)
{
	(void)device, (void)va, (void)size;
	return -EOPNOTSUPP;
}

/* --- Reset --- */

/* A function level reset, and what the kernel does around it: the configuration comes back. */
static int qtest_reset(struct userpci_device *device)
{
	struct qtest_state *s = state_of(device);
	uint32_t header[PCI_STD_HEADER_SIZEOF / 4], control;
	unsigned int i;

	if (!(device->info.flags & USERPCI_INFO_RESET))
		return -EOPNOTSUPP;
	for (i = 0; i < PCI_STD_HEADER_SIZEOF / 4; i++)
		header[i] = config_get(s, 4 * i, 4);
	control = config_get(s, s->pcie + PCI_EXP_DEVCTL, 2);
	/* QEMU: done when the write is; other hardware may take 100 ms. */
	config_set(s, s->pcie + PCI_EXP_DEVCTL, 2, control | PCI_EXP_DEVCTL_BCR_FLR);
	config_set(s, s->pcie + PCI_EXP_DEVCTL, 2, control);
	for (i = PCI_STD_HEADER_SIZEOF / 4 - 1; i > PCI_COMMAND / 4; i--)
		config_set(s, 4 * i, 4, header[i]);
	config_set(s, PCI_COMMAND, 2, header[PCI_COMMAND / 4] & 0xffff & ~PCI_COMMAND_MASTER);
	program(s);
	return userpci_qtest_check(s->qtest);
}

int userpci_wire_fd(const struct userpci_device *device)
{
	if (userpci_backend_of(device) != &userpci_backend_qtest ||
	    state_of(device)->qtest->wire < 0)
		return -EOPNOTSUPP;
	return state_of(device)->qtest->wire;
}

const struct userpci_backend userpci_backend_qtest = {
	.name = "qemu",
	.open = qtest_open,
	.close = qtest_close,
	.region_map = qtest_region_map,
	.region_read = qtest_region_read,
	.region_write = qtest_region_write,
	.region_read_block = qtest_region_read_block,
	.region_write_block = qtest_region_write_block,
	.config_read = qtest_config_read,
	.config_write = qtest_config_write,
	.dma_alloc = qtest_dma_alloc,
	.dma_free = qtest_dma_free,
	.dma_chunk = qtest_dma_chunk,
	.dma_attach = qtest_dma_attach,
	.dma_next = qtest_dma_next,
	.dma_set_mask = qtest_dma_set_mask,
	.irq_fd = qtest_irq_fd,
	.irq_enable = qtest_irq_enable,
	.irq_disable = qtest_irq_disable,
	.irq_eventfd = qtest_irq_eventfd,
	.irq_mask = qtest_irq_mask,
	.irq_limit = qtest_irq_limit,
	.stats_map = qtest_stats_map,
	.bus_master = qtest_bus_master,
	.reset = qtest_reset,
};
