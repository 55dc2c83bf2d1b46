/* SPDX-License-Identifier: MIT */
/*
 * The backend over a private QEMU ("qemu:DEVICE"): its device models without a guest, a kernel
 * module or a privilege. Registers are reached by messages, DMA memory is QEMU's RAM.
 *
 * Interrupts. A message (MSI, MSI-X) is a write of the device to an address that software chooses
 * (PCI Local Bus 3.0, section 6.8). Here it is the doorbell register of QEMU's shared-memory device,
 * which turns a write of (peer << 16 | vector) into an eventfd: the caller's. So they arrive with no
 * thread between. INTx comes as lines of the protocol, which a thread takes in while it is enabled.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend.h"
#include "qtest.h"

/* Of the doorbell device (QEMU: docs/specs/ivshmem-spec). MSI has 16 bits of data: peer 0. */
#define DOORBELL   12
#define PEER	   0
#define SYNC_TRIES 100000

/* Below lies what a PC has in its first megabyte. */
#define RAM_FIRST (1u << 20)

#define PAGE	  4096u

struct buffer {
	struct buffer *next; /* by address */
	uint64_t iova, size;
	uint32_t kind;
	char name[USERPCI_NAME_BYTES];
};

#define MOST_VECTORS 64

struct vector {
	int own;    /* its eventfd, made at first use; -1 */
	int handed; /* the duplicate of it that the library has; -1 */
	int fd;	    /* a duplicate of the caller's eventfd; -1: none */
	unsigned int slot;
	bool masked;
};

struct qtest_state {
	struct userpci_qtest *qtest;
	struct userpci_function function;
	uint64_t doorbell;
	unsigned int msi, msix, pcie; /* offsets of the capabilities; 0: none */

	struct buffer *buffers;
	uint64_t reach; /* by the DMA mask */

	unsigned int irq_kind, irq_count;
	struct vector vectors[MOST_VECTORS];
	unsigned int num_slots;		  /* eventfds that QEMU has */
	unsigned int own_base, own_count; /* of these the vectors' own */

	pthread_mutex_t lock; /* of the INTx line: all below */
	pthread_t thread;
	int stop; /* an eventfd that ends it */
	bool line_masked;
	int line_fd; /* -1: none */
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
	if (s->msix)
		i->num_msix = (config_get(s, s->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) +
			      1;
	if (s->pcie && config_get(s, s->pcie + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)
		i->flags |= USERPCI_INFO_RESET;
}

static void find_capabilities(struct userpci_device *device)
{
	struct qtest_state *s = state_of(device);

	(void)userpci_config_find(device, PCI_CAP_ID_MSI, &s->msi);
	(void)userpci_config_find(device, PCI_CAP_ID_MSIX, &s->msix);
	(void)userpci_config_find(device, PCI_CAP_ID_EXP, &s->pcie);
}

static void state_free(struct qtest_state *s)
{
	unsigned int i;

	for (i = 0; i < MOST_VECTORS; i++)
		if (s->vectors[i].own >= 0)
			close(s->vectors[i].own);
	if (s->qtest)
		userpci_qtest_stop(s->qtest);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int qtest_open(struct userpci_device *device, const char *spec, unsigned int flags)
{
	struct qtest_state *s = calloc(1, sizeof(*s));
	unsigned int i;
	int err;

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->stop = s->line_fd = -1;
	for (i = 0; i < MOST_VECTORS; i++)
		s->vectors[i] = (struct vector){ .own = -1, .handed = -1, .fd = -1 };
	s->reach = UINT32_MAX;
	/* It is the caller's own: there is nobody's work to look at. */
	err = flags & USERPCI_OPEN_OBSERVE ? -EOPNOTSUPP : userpci_qtest_start(spec, &s->qtest);
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
	struct qtest_state *s = state_of(device);
	struct buffer *buffer;

	while ((buffer = s->buffers)) {
		s->buffers = buffer->next;
		free(buffer);
	}
	state_free(s);
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

static int qtest_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			     uint32_t *value)
{
	if (offset + width > 4096)
		return -ERANGE;
	*value = config_get(state_of(device), offset, width);
	return 0;
}

static int qtest_config_write(struct userpci_device *device, unsigned int offset,
			      unsigned int width, uint32_t value)
{
	if (offset + width > 4096)
		return -ERANGE;
	if (!userpci_config_may_write(device, offset, width, value))
		return -EPERM;
	config_set(state_of(device), offset, width, value);
	return 0;
}

static int qtest_bus_master(struct userpci_device *device, bool enable)
{
	config_change(state_of(device), PCI_COMMAND, enable ? 0 : PCI_COMMAND_MASTER,
		      enable ? PCI_COMMAND_MASTER : 0);
	return 0;
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

/*
 * QEMU numbers the eventfds of a peer in the order in which it gets them, and cannot take one back
 * (Quirk: QEMU 7.2 to 10 free the list when a peer leaves, and use it when it returns). So each
 * vector has an eventfd that stays, and only the caller's own ones use up numbers.
 */
static int slot_add(struct qtest_state *s, int fd)
{
	if (s->num_slots == USERPCI_QTEST_VECTORS)
		return -ENOSPC;
	return userpci_qtest_send_fd(s->qtest->doorbell, PEER, fd) ?: (int)s->num_slots++;
}

/* Waits until QEMU knows the slot: rings it, and takes that one count back. */
static int slot_sync(struct qtest_state *s, unsigned int slot, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	eventfd_t before = 0, count = 0;
	unsigned int i;

	if (poll(&p, 1, 0) > 0)
		(void)eventfd_read(fd, &before);
	for (i = 0; i < SYNC_TRIES && poll(&p, 1, 0) == 0; i++) {
		userpci_qtest_write(s->qtest, USERPCI_SPACE_MEMORY, s->doorbell + DOORBELL, 4,
				    PEER << 16 | slot);
		(void)config_get(s, PCI_VENDOR_ID, 2);
	}
	if (poll(&p, 1, 0) <= 0 || eventfd_read(fd, &count))
		return -EIO;
	if (before + count > 1)
		(void)eventfd_write(fd, before + count - 1);
	return 0;
}

static unsigned int log2_of(unsigned int count)
{
	unsigned int log2 = 0;

	while (1u << log2 < count)
		log2++;
	return log2;
}

/* The eventfd that stays with a vector. */
static int own_eventfd(struct qtest_state *s, unsigned int vector)
{
	if (vector >= MOST_VECTORS)
		return -ENOSPC;
	if (s->vectors[vector].own < 0)
		s->vectors[vector].own = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return s->vectors[vector].own < 0 ? -errno : s->vectors[vector].own;
}

/*
 * Slots for vectors 0 to count - 1, one after the other and aligned as MSI wants its data (PCI Local
 * Bus 3.0, section 6.8.1.3), for their own eventfds or the caller's.
 */
static int block_add(struct qtest_state *s, unsigned int count, bool own)
{
	unsigned int size = 1u << log2_of(count), i;
	int slot, fd = -1;

	do {
		fd = own_eventfd(s, 0);
		slot = fd < 0 || !(s->num_slots & (size - 1)) ? fd : slot_add(s, fd);
	} while (slot >= 0 && s->num_slots & (size - 1));
	for (i = 0; i < count && slot >= 0; i++) {
		fd = own || s->vectors[i].fd < 0 ? own_eventfd(s, i) : s->vectors[i].fd;
		slot = fd < 0 ? fd : slot_add(s, fd);
	}
	if (slot < 0)
		return slot;
	return slot_sync(s, slot, fd) ?: slot - (int)count + 1;
}

static uint64_t table_entry(const struct qtest_state *s, unsigned int vector)
{
	uint32_t table = config_get(s, s->msix + PCI_MSIX_TABLE, 4);

	return s->function.bars[table & PCI_MSIX_TABLE_BIR].address +
	       (table & PCI_MSIX_TABLE_OFFSET) + vector * PCI_MSIX_ENTRY_SIZE;
}

static void table_write(const struct qtest_state *s, unsigned int vector, unsigned int field,
			uint32_t value)
{
	userpci_qtest_write(s->qtest, USERPCI_SPACE_MEMORY, table_entry(s, vector) + field, 4,
			    value);
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
		table_write(s, i, PCI_MSIX_ENTRY_DATA, PEER << 16 | s->vectors[i].slot);
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

/* Few of QEMU's devices have masks for MSI: where one vector is masked, all are off. */
static void program_msi(const struct qtest_state *s)
{
	uint64_t address = s->doorbell + DOORBELL;
	uint32_t flags = config_get(s, s->msi + PCI_MSI_FLAGS, 2);
	bool wide = flags & PCI_MSI_FLAGS_64BIT;

	flags &= ~(PCI_MSI_FLAGS_QSIZE | PCI_MSI_FLAGS_ENABLE);
	config_set(s, s->msi + PCI_MSI_FLAGS, 2, flags);
	config_set(s, s->msi + PCI_MSI_ADDRESS_LO, 4, address);
	if (wide)
		config_set(s, s->msi + PCI_MSI_ADDRESS_HI, 4, address >> 32);
	config_set(s, s->msi + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2, s->vectors[0].slot);
	config_set(s, s->msi + PCI_MSI_FLAGS, 2,
		   flags | log2_of(s->irq_count) << 4 | (any_masked(s) ? 0 : PCI_MSI_FLAGS_ENABLE));
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

/* --- INTx --- */

static void line_signal(struct qtest_state *s)
{
	s->line_masked = true;
	if (s->line_fd >= 0)
		(void)eventfd_write(s->line_fd, 1);
}

/* The line rises; as with the module it then is masked until it is served. */
static void line_changed(void *context, bool raised)
{
	struct qtest_state *s = context;

	pthread_mutex_lock(&s->lock);
	if (raised && !s->line_masked)
		line_signal(s);
	pthread_mutex_unlock(&s->lock);
}

static void *line_watch(void *context)
{
	struct qtest_state *s = context;
	struct pollfd fds[] = {
		{ .fd = s->stop, .events = POLLIN },
		{ .fd = s->qtest->socket, .events = POLLIN },
	};

	while (poll(fds, 2, -1) < 0 || !(fds[0].revents || fds[1].revents & (POLLHUP | POLLERR)))
		userpci_qtest_take(s->qtest);
	return NULL;
}

static int line_start(struct qtest_state *s)
{
	int err = userpci_qtest_intercept(s->qtest);

	if (err)
		return err;
	s->stop = eventfd(0, EFD_CLOEXEC);
	if (s->stop < 0)
		return -errno;
	s->line_masked = false;
	s->qtest->context = s;
	s->qtest->interrupt = line_changed;
	err = -pthread_create(&s->thread, NULL, line_watch, s);
	if (err) {
		close(s->stop);
		s->stop = -1;
	}
	return err;
}

static void line_stop(struct qtest_state *s)
{
	(void)eventfd_write(s->stop, 1);
	pthread_join(s->thread, NULL);
	s->qtest->interrupt = NULL;
	close(s->stop);
	s->stop = s->line_fd = -1;
}

/* Served: a line that is still up is a new interrupt. */
static int line_mask(struct qtest_state *s, bool masked)
{
	bool up = !masked && config_get(s, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT;

	pthread_mutex_lock(&s->lock);
	s->line_masked = masked;
	if (up)
		line_signal(s);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* --- Interrupts of all kinds --- */

/* What the library waits on. It is emptied: what it counted belongs to a former use. */
static int qtest_irq_fd(struct userpci_device *device, unsigned int vector)
{
	struct qtest_state *s = state_of(device);
	int fd = own_eventfd(s, vector);
	eventfd_t count;

	if (fd < 0)
		return fd;
	(void)eventfd_read(fd, &count);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
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

	if (!s->irq_count)
		return;
	config_change(s, PCI_COMMAND, 0, PCI_COMMAND_INTX_DISABLE);
	if (s->msi)
		config_change(s, s->msi + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, 0);
	if (s->msix)
		config_change(s, s->msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 0);
	if (s->irq_kind == USERPCI_IRQ_INTX)
		line_stop(s);
	for (i = 0; i < s->irq_count; i++)
		forget_callers(&s->vectors[i]);
	s->irq_count = 0;
}

/* The slots of the vectors' own eventfds; as many as were ever needed at a time. */
static int own_slots(struct qtest_state *s, unsigned int count)
{
	int base;

	if (count <= s->own_count)
		return 0;
	base = block_add(s, count, true);
	if (base < 0)
		return base;
	s->own_base = base;
	s->own_count = count;
	return 0;
}

static int qtest_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	struct qtest_state *s = state_of(device);
	unsigned int i;
	int err;

	if (count > MOST_VECTORS)
		return -ENOSPC;
	err = kind == USERPCI_IRQ_INTX ? line_start(s) : own_slots(s, count);
	if (err)
		return err;
	for (i = 0; i < count; i++) {
		s->vectors[i].slot = s->own_base + i;
		s->vectors[i].masked = false;
	}
	s->irq_kind = kind;
	s->irq_count = count;
	program(s);
	return 0;
}

/* The caller's eventfd gets a slot of its own; of MSI, with all other vectors'. */
static int connect_callers(struct qtest_state *s, unsigned int vector)
{
	bool msi = s->irq_kind == USERPCI_IRQ_MSI;
	unsigned int i;
	int slot;

	if (msi) {
		slot = block_add(s, s->irq_count, false);
		for (i = 0; slot >= 0 && i < s->irq_count; i++)
			s->vectors[i].slot = slot + i;
	} else {
		slot = slot_add(s, s->vectors[vector].fd);
		if (slot >= 0)
			s->vectors[vector].slot = slot;
		if (slot >= 0 && slot_sync(s, slot, s->vectors[vector].fd))
			slot = -EIO;
	}
	return slot < 0 ? slot : 0;
}

static int qtest_irq_eventfd(struct userpci_device *device, unsigned int vector, int fd)
{
	struct qtest_state *s = state_of(device);
	struct vector *v;
	int err = 0;

	if (vector == USERPCI_EVENTS)
		return -EOPNOTSUPP;
	v = &s->vectors[vector];
	pthread_mutex_lock(&s->lock);
	forget_callers(v);
	if (fd != v->handed) {
		v->handed = -1;
		v->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		err = v->fd < 0 ? -errno : 0;
	}
	if (s->irq_kind == USERPCI_IRQ_INTX)
		s->line_fd = v->fd >= 0 ? v->fd : v->own;
	pthread_mutex_unlock(&s->lock);
	if (err || s->irq_kind == USERPCI_IRQ_INTX)
		return err;
	if (v->fd >= 0)
		err = connect_callers(s, vector);
	else
		v->slot = s->own_base + vector;
	if (!err)
		program(s);
	return err;
}

static int qtest_irq_mask(struct userpci_device *device, unsigned int vector, bool masked)
{
	struct qtest_state *s = state_of(device);
	struct vector *v = &s->vectors[vector];

	if (s->irq_kind == USERPCI_IRQ_INTX)
		return line_mask(s, masked);
	if (masked == v->masked)
		return 0;
	v->masked = masked;
	if (s->irq_kind == USERPCI_IRQ_MSIX) {
		table_write(s, vector, PCI_MSIX_ENTRY_VECTOR_CTRL, masked);
		return 0;
	}
	program_msi(s);
	/* What came meanwhile was not remembered: the driver looks. */
	if (!masked)
		(void)eventfd_write(v->fd >= 0 ? v->fd : v->own, 1);
	return 0;
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
	unsigned int bar;
	uint32_t command;

	if (!(device->info.flags & USERPCI_INFO_RESET))
		return -EOPNOTSUPP;
	command = config_get(s, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER;
	/* QEMU: done when the write is; other hardware may take 100 ms. */
	config_change(s, s->pcie + PCI_EXP_DEVCTL, 0, PCI_EXP_DEVCTL_BCR_FLR);
	for (bar = 0; bar < USERPCI_NUM_BARS; bar++) {
		const struct userpci_bar *b = &s->function.bars[bar];

		if (!b->size)
			continue;
		config_set(s, PCI_BASE_ADDRESS_0 + 4 * bar, 4, b->address);
		if (b->flags & USERPCI_REGION_64)
			config_set(s, PCI_BASE_ADDRESS_0 + 4 * bar + 4, 4, b->address >> 32);
	}
	config_set(s, PCI_COMMAND, 2, command);
	program(s);
	return 0;
}

int userpci_wire_fd(const struct userpci_device *device)
{
	if (device->backend != &userpci_backend_qtest || state_of(device)->qtest->wire < 0)
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
