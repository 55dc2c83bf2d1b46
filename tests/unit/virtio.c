/* SPDX-License-Identifier: MIT */
/*
 * The virtio-net driver on a device of the test's own making: the functions of libuserpci are
 * replaced here, registers are calls, and the "device" works on the rings when the test says so, in
 * both formats. It does what no device in order would: it lies, it skips, it vanishes.
 */
#include "drivers/virtio/queue.h"
#include "fake-library.h"

#define BURST	  32
#define QUEUES	  9 /* of four pairs, and that of commands */
#define CONTROL	  8
#define MOST_SENT 600
#define BAR	  4
#define BAR_SIZE  0x4000
#define ISR	  0x1000
#define CONFIG	  0x2000
#define NOTIFY	  0x3000
#define CAPS	  0x40 /* where the capabilities begin in configuration space */

struct queue {
	uint16_t most, size, vector, enabled, notify_off;
	uint64_t desc, driver, device;
	uint32_t taken, used; /* positions, counted without end */
	bool quiet;	      /* it is polled: no doorbell is wanted */
	unsigned int bells;
};

struct piece {
	uint64_t iova;
	uint32_t length;
	bool write;
};

/* A buffer that the device has taken. */
struct buffer {
	uint32_t id, count;
	struct piece pieces[64];
};

struct sent {
	struct virtio_net_hdr header;
	uint8_t data[70000];
	uint32_t length, count; /* descriptors */
};

/* The device, and what was done to it. */
static struct fake {
	uint8_t config_space[256], config[64];
	uint64_t features, accepted;
	uint32_t feature_select, driver_select;
	uint8_t status, generation, isr;
	uint16_t config_vector, select, queue_count;
	struct queue queues[QUEUES];
	bool gone, no_reset, refuses, no_vectors, held, deaf, lies;
	unsigned int gone_after, accesses, irq_kind, irq_count;
	int (*during_wait)(void);
	struct sent *sent;
	unsigned int sent_count;
	/* Commands. */
	unsigned int commands;
	uint8_t answer, promiscuous, allmulti, mac[6], table[512];
	uint16_t pairs;
	uint32_t table_size;
	uint16_t stale; /* what was there before, as the number of buffers */
} fake;

static bool packed(void)
{
	return fake.accepted & VIRTIO_F_RING_PACKED;
}

static bool event_idx(void)
{
	return fake.accepted & VIRTIO_F_EVENT_IDX;
}

static uint16_t *ring16(uint64_t iova, uint32_t index)
{
	return reach(iova + index * 2ull, 2);
}

static struct virtio_desc *desc_at(const struct queue *q, uint32_t index)
{
	return reach(q->desc + index * 16ull, 16);
}

static bool lap(const struct queue *q, uint32_t position)
{
	return position / q->size & 1;
}

/* --- The device's side of the rings --- */

static uint32_t packed_take(const struct queue *q, struct buffer *b, uint64_t *word)
{
	uint32_t position = q->taken + b->count;
	const struct virtio_desc *desc = desc_at(q, position % q->size);

	*word = desc->word;
	b->pieces[b->count++] = (struct piece){ .iova = desc->address,
						.length = (uint32_t)*word,
						.write = *word >> 48 & VIRTIO_DESC_F_WRITE };
	b->id = *word >> 32 & 0xffff;
	return *word >> 48 & VIRTIO_DESC_F_NEXT;
}

static uint32_t split_take(const struct queue *q, struct buffer *b, uint32_t index)
{
	const struct virtio_desc *desc = desc_at(q, index);
	uint64_t word = desc->word;

	b->pieces[b->count++] = (struct piece){ .iova = desc->address,
						.length = (uint32_t)word,
						.write = word >> 32 & VIRTIO_DESC_F_WRITE };
	return word >> 32 & VIRTIO_DESC_F_NEXT ? (uint32_t)(word >> 48) : UINT32_MAX;
}

/* Says what the device wants to know, in either format. */
static void want_bell(const struct queue *q)
{
	uint32_t *event = reach(q->device, 4);

	if (packed())
		*event = q->quiet ? VIRTIO_EVENT_DISABLE : VIRTIO_EVENT_ENABLE;
	else if (event_idx())
		*ring16(q->device, 2 + 4u * q->size) = (uint16_t)(q->taken - q->quiet);
	else
		*ring16(q->device, 0) = q->quiet ? VIRTIO_USED_F_NO_NOTIFY : 0;
}

/* The next buffer that is available. */
static bool take(struct queue *q, struct buffer *b)
{
	uint64_t word, want = lap(q, q->taken) ? VIRTIO_PACKED_USED : VIRTIO_PACKED_AVAIL;
	uint32_t index;

	b->count = 0;
	if (packed()) {
		word = desc_at(q, q->taken % q->size)->word;
		if ((word & VIRTIO_PACKED_BITS) != want)
			return false;
		while (packed_take(q, b, &word))
			CHECK(b->count < 64);
		q->taken += b->count;
		want_bell(q);
		return true;
	}
	if (*ring16(q->driver, 1) == (uint16_t)q->taken)
		return false;
	CHECK(fake.lies || (uint16_t)(*ring16(q->driver, 1) - q->taken) <= q->size);
	index = *ring16(q->driver, 2 + q->taken % q->size);
	b->id = index;
	q->taken++;
	while ((index = split_take(q, b, index)) != UINT32_MAX)
		CHECK(b->count < 64 && index < q->size);
	want_bell(q);
	return true;
}

/* Writes a used element as the @ahead-th from now, whatever it says; nobody has been told. */
static void use_ahead(struct queue *q, uint32_t ahead, uint32_t id, uint32_t length)
{
	uint32_t position = q->used + ahead;
	uint32_t *element;

	if (packed()) {
		desc_at(q, position % q->size)->word = length | (uint64_t)id << 32 |
						       (lap(q, position) ? 0 : VIRTIO_PACKED_BITS);
		return;
	}
	element = reach(q->device + 4 + position % q->size * 8ull, 8);
	element[0] = id;
	element[1] = length;
}

static void used_up(struct queue *q, uint32_t count)
{
	q->used += count;
	if (!packed())
		*ring16(q->device, 1) = (uint16_t)q->used;
}

static void use(struct queue *q, const struct buffer *b, uint32_t length)
{
	use_ahead(q, 0, b->id, length);
	used_up(q, packed() ? b->count : 1);
}

/* --- Frames --- */

static struct queue *rxq(void)
{
	return &fake.queues[0];
}

static struct queue *txq(void)
{
	return &fake.queues[1];
}

/* Copies between a buffer's pieces and flat memory. */
static uint32_t copy(const struct buffer *b, uint8_t *flat, uint32_t size, bool to_buffer)
{
	uint32_t at = 0, part, i;
	void *va;

	for (i = 0; i < b->count && (at < size || !to_buffer); i++) {
		part = b->pieces[i].length;
		if (to_buffer && part > size - at)
			part = size - at;
		CHECK(at + part <= size);
		CHECK_EQ(b->pieces[i].write, to_buffer);
		va = reach(b->pieces[i].iova, part);
		CHECK(va);
		if (to_buffer)
			memcpy(va, flat + at, part);
		else
			memcpy(flat + at, va, part);
		at += part;
	}
	return at;
}

/* A frame with its header, in as many buffers as it takes. False: there are not enough. */
static bool receive_header(const struct virtio_net_hdr *header, const void *frame, uint16_t size)
{
	static uint8_t flat[80000];
	struct buffer buffers[40];
	uint32_t total = size + VIRTIO_NET_HEADER, at = 0, n = 0, i, part;
	uint32_t lengths[40];
	struct virtio_net_hdr h = *header;

	for (at = 0; at < total; at += lengths[n++]) {
		CHECK(n < 40);
		if (!take(rxq(), &buffers[n])) {
			CHECK(!n);
			return false;
		}
		CHECK_EQ(buffers[n].count, 1);
		lengths[n] = total - at < buffers[n].pieces[0].length ? total - at
								      : buffers[n].pieces[0].length;
	}
	CHECK(n == 1 || fake.accepted & VIRTIO_NET_F_MRG_RXBUF);
	h.num_buffers = (uint16_t)(fake.accepted & VIRTIO_NET_F_MRG_RXBUF ? n : fake.stale++);
	memcpy(flat, &h, sizeof(h));
	memcpy(flat + sizeof(h), frame, size);
	for (i = 0, at = 0; i < n; at += lengths[i++]) {
		part = copy(&buffers[i], flat + at, lengths[i], true);
		CHECK_EQ(part, lengths[i]);
	}
	/* Spec: 2.8.9: the first one last. */
	for (i = n; i--;)
		use_ahead(rxq(), i, buffers[i].id, lengths[i]);
	used_up(rxq(), n);
	return true;
}

static void fill_frame(uint8_t *frame, uint8_t fill, uint32_t length)
{
	uint32_t i;

	for (i = 0; i < length; i++)
		frame[i] = (uint8_t)(fill + i / 256 * 3);
}

static bool receive(uint8_t fill, uint16_t length)
{
	static const struct virtio_net_hdr plain;
	static uint8_t frame[70000];

	fill_frame(frame, fill, length);
	return receive_header(&plain, frame, length);
}

static bool transmit_take(struct buffer *b)
{
	static uint8_t flat[80000];
	struct sent *sent = &fake.sent[fake.sent_count % MOST_SENT];
	uint32_t size;

	if (!take(txq(), b))
		return false;
	size = copy(b, flat, sizeof(flat), false);
	CHECK(size >= VIRTIO_NET_HEADER && size - VIRTIO_NET_HEADER <= sizeof(sent->data));
	memcpy(&sent->header, flat, VIRTIO_NET_HEADER);
	sent->length = size - VIRTIO_NET_HEADER;
	sent->count = b->count;
	memcpy(sent->data, flat + VIRTIO_NET_HEADER, sent->length);
	fake.sent_count++;
	return true;
}

static void transmit(unsigned int count)
{
	struct buffer b;

	while (count-- && transmit_take(&b))
		use(txq(), &b, 0);
}

/* --- Commands --- */

static void command_run(const uint8_t *command, uint32_t size)
{
	fake.commands++;
	switch (command[0] << 8 | command[1]) {
	case 0x0000:
		fake.promiscuous = command[2];
		break;
	case 0x0001:
		fake.allmulti = command[2];
		break;
	case 0x0100:
		fake.table_size = size - 2;
		memcpy(fake.table, command + 2, size - 2);
		break;
	case 0x0101:
		memcpy(fake.mac, command + 2, 6);
		break;
	case 0x0400:
		fake.pairs = (uint16_t)(command[2] | command[3] << 8);
		break;
	default:
		library.wrong++;
	}
}

static void commands(struct queue *q)
{
	uint8_t command[512];
	struct buffer b;

	while (!fake.deaf && take(q, &b)) {
		CHECK(b.count == 2 && !b.pieces[0].write && b.pieces[1].write);
		CHECK(b.pieces[0].length <= sizeof(command) && b.pieces[1].length == 1);
		memcpy(command, reach(b.pieces[0].iova, b.pieces[0].length), b.pieces[0].length);
		command_run(command, b.pieces[0].length);
		*(uint8_t *)reach(b.pieces[1].iova, 1) = fake.answer;
		use(q, &b, 1);
	}
}

/* --- Registers --- */

static struct queue *selected(void)
{
	static struct queue none;

	return fake.select < fake.queue_count ? &fake.queues[fake.select] : &none;
}

static void reset(void)
{
	unsigned int i;

	for (i = 0; i < QUEUES; i++)
		fake.queues[i] = (struct queue){ .most = fake.queues[i].most,
						 .size = fake.queues[i].most,
						 .vector = VIRTIO_MSI_NO_VECTOR,
						 .notify_off = fake.queues[i].notify_off };
	fake.status = 0;
	fake.accepted = 0;
	fake.config_vector = VIRTIO_MSI_NO_VECTOR;
}

static uint64_t common_read(uint64_t offset)
{
	const struct queue *q = selected();

	switch (offset) {
	case VIRTIO_DEVICE_FEATURE:
		return (uint32_t)(fake.features >> (fake.feature_select ? 32 : 0));
	case VIRTIO_CONFIG_MSIX_VECTOR:
		return fake.no_vectors ? VIRTIO_MSI_NO_VECTOR : fake.config_vector;
	case VIRTIO_NUM_QUEUES:
		return fake.queue_count;
	case VIRTIO_DEVICE_STATUS:
		return fake.status;
	case VIRTIO_CONFIG_GENERATION:
		return fake.generation;
	case VIRTIO_QUEUE_SIZE:
		return q->size;
	case VIRTIO_QUEUE_MSIX_VECTOR:
		return fake.no_vectors ? VIRTIO_MSI_NO_VECTOR : q->vector;
	case VIRTIO_QUEUE_NOTIFY_OFF:
		return q->notify_off;
	default:
		library.wrong++;
		return 0;
	}
}

static void status_write(uint8_t value)
{
	if (!value && fake.no_reset)
		return;
	if (!value) {
		reset();
		return;
	}
	/* Spec: 3.1.1: in this order. */
	if ((value & VIRTIO_STATUS_FEATURES_OK && (value & 3) != 3) ||
	    (value & VIRTIO_STATUS_DRIVER_OK && (value & 11) != 11) || (fake.status & ~value))
		library.wrong++;
	if (fake.refuses)
		value &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	fake.status = value;
}

static void set_half(uint64_t *value, uint64_t offset, uint64_t half)
{
	memcpy((uint8_t *)value + (offset & 4), &half, 4);
}

static void common_write(uint64_t offset, uint64_t value)
{
	struct queue *q = selected();

	switch (offset) {
	case VIRTIO_DEVICE_FEATURE_SEL:
		fake.feature_select = (uint32_t)value;
		break;
	case VIRTIO_DRIVER_FEATURE_SEL:
		fake.driver_select = (uint32_t)value;
		break;
	case VIRTIO_DRIVER_FEATURE:
		if (fake.status & VIRTIO_STATUS_FEATURES_OK)
			library.wrong++;
		set_half(&fake.accepted, fake.driver_select ? 4 : 0, value);
		break;
	case VIRTIO_CONFIG_MSIX_VECTOR:
		fake.config_vector = (uint16_t)value;
		break;
	case VIRTIO_DEVICE_STATUS:
		status_write((uint8_t)value);
		break;
	case VIRTIO_QUEUE_SELECT:
		fake.select = (uint16_t)value;
		break;
	case VIRTIO_QUEUE_SIZE:
		if (!value || value > q->most)
			library.wrong++;
		q->size = (uint16_t)value;
		break;
	case VIRTIO_QUEUE_MSIX_VECTOR:
		q->vector = (uint16_t)value;
		break;
	case VIRTIO_QUEUE_ENABLE:
		if (value != 1 || q->desc % 16 || q->driver % (packed() ? 4 : 2) || q->device % 4)
			library.wrong++;
		q->enabled = 1;
		break;
	default:
		if (offset < VIRTIO_QUEUE_DESC || offset >= VIRTIO_COMMON_END)
			library.wrong++;
		else
			set_half(offset < VIRTIO_QUEUE_DRIVER	? &q->desc
				 : offset < VIRTIO_QUEUE_DEVICE ? &q->driver
								: &q->device,
				 offset, value);
	}
}

/* A doorbell: the queue's number, at its own place. */
static void notify(uint64_t offset, uint64_t value)
{
	struct queue *q = &fake.queues[value % QUEUES];

	if (value >= fake.queue_count || offset != q->notify_off * 4u || !q->enabled ||
	    !(fake.status & VIRTIO_STATUS_DRIVER_OK)) {
		library.wrong++;
		return;
	}
	q->bells++;
	if (value == CONTROL || (value == 2 && !(fake.accepted & VIRTIO_NET_F_MQ)))
		commands(q);
	else if (value == 1 && !fake.held)
		transmit(UINT32_MAX);
}

static unsigned int width_of(uint64_t offset)
{
	static const uint8_t widths[] = { 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
					  2, 2, 2, 2, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2 };

	return offset < sizeof(widths) ? widths[offset] : 4;
}

uint64_t userpci_region_read(const struct userpci_region *region, uint64_t offset,
			     unsigned int width)
{
	uint64_t value = 0;

	fake.accesses++;
	if (fake.gone_after && !--fake.gone_after)
		fake.gone = true;
	if (fake.gone)
		return UINT64_MAX;
	if (offset + width > region->size || offset % width) {
		library.wrong++;
	} else if (offset < ISR) {
		if (width != width_of(offset))
			library.wrong++;
		value = common_read(offset);
	} else if (offset == ISR) {
		value = fake.isr;
		fake.isr = 0;
	} else if (offset >= CONFIG && offset + width <= CONFIG + sizeof(fake.config)) {
		memcpy(&value, fake.config + (offset - CONFIG), width);
	} else {
		library.wrong++;
	}
	return value;
}

void userpci_region_write(const struct userpci_region *region, uint64_t offset, unsigned int width,
			  uint64_t value)
{
	fake.accesses++;
	if (fake.gone)
		return;
	if (offset + width > region->size || offset % width)
		library.wrong++;
	else if (offset < ISR && width == width_of(offset))
		common_write(offset, value);
	else if (offset >= NOTIFY && width == 2)
		notify(offset - NOTIFY, value);
	else
		library.wrong++;
}

/* --- libuserpci, as the layer sees it --- */

/* Without it the device is stuck in what it did: it must not run any more. */
int userpci_bus_master_disable(struct userpci_device *device)
{
	(void)device;
	if (fake.status & VIRTIO_STATUS_DRIVER_OK && !fake.no_reset && !fake.gone)
		library.wrong++;
	library.bus_master = false;
	return 0;
}

int userpci_region_map(struct userpci_device *device, unsigned int index,
		       struct userpci_region *region)
{
	if (index != BAR)
		return -ENOENT;
	memset(region, 0, sizeof(*region));
	region->size = BAR_SIZE;
	region->index = index;
	region->device = device;
	library.mapped++;
	return 0;
}

int userpci_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			uint32_t *value)
{
	(void)device;
	if (fake.gone)
		return -ENODEV;
	if (offset % width || offset + width > sizeof(fake.config_space))
		return -ERANGE;
	*value = 0;
	memcpy(value, fake.config_space + offset, width);
	return 0;
}

int userpci_config_find(struct userpci_device *device, unsigned int id, unsigned int *offset)
{
	unsigned int at = *offset ? fake.config_space[*offset + 1] : fake.config_space[0x34];

	(void)device;
	for (; at; at = fake.config_space[at + 1])
		if (fake.config_space[at] == id)
			break;
	if (!at)
		return -ENOENT;
	*offset = at;
	return 0;
}

int userpci_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	(void)device;
	return bits == 64 ? 0 : -EINVAL;
}

int userpci_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	(void)device;
	if (kind == USERPCI_IRQ_BEST)
		kind = library.info.num_msix ? USERPCI_IRQ_MSIX : USERPCI_IRQ_INTX;
	if (count > (kind == USERPCI_IRQ_MSIX ? library.info.num_msix : library.info.num_intx))
		return -ENOSPC;
	fake.irq_kind = kind;
	fake.irq_count = count;
	return 0;
}

void userpci_irq_disable(struct userpci_device *device)
{
	(void)device;
	fake.irq_count = 0;
}

int userpci_irq_kind(const struct userpci_device *device)
{
	(void)device;
	return fake.irq_count ? (int)fake.irq_kind : -EINVAL;
}

int userpci_irq_wait(struct userpci_device *device, unsigned int vector, int64_t timeout_us,
		     uint64_t *count)
{
	(void)device, (void)vector, (void)timeout_us, (void)count;
	return fake.during_wait ? fake.during_wait() : -ETIMEDOUT;
}

int userpci_irq_unmask(struct userpci_device *device, unsigned int vector)
{
	(void)device, (void)vector;
	return 0;
}

/* --- Helpers --- */

#define FEATURES                                                                              \
	(VIRTIO_F_VERSION_1 | VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_CTRL_VQ | \
	 VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_CSUM |              \
	 VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 |          \
	 VIRTIO_NET_F_MQ)

/* What each test is run with: formats of the rings, and of received frames. */
static const uint64_t kinds[] = {
	VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_EVENT_IDX,
	VIRTIO_NET_F_MRG_RXBUF,
	VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_IN_ORDER | VIRTIO_F_EVENT_IDX,
	VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX,
	VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_RING_PACKED,
	VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER,
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_IN_ORDER,
	VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER,
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const uint8_t mac[UNIC_MAC_SIZE] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static struct unic_port *port;
static unsigned int kind;

static bool merging(void)
{
	return kinds[kind % KINDS] & VIRTIO_NET_F_MRG_RXBUF;
}

static uint32_t most_mtu(void)
{
	return merging() ? 9000 : UNIC_PACKET_ROOM - UNIC_OVERHEAD;
}

/* A capability of the device; the next one follows it. */
static uint8_t *cap_at(unsigned int number)
{
	return fake.config_space + CAPS + number * 24;
}

static void cap_make(unsigned int number, uint8_t type, uint8_t bar, uint32_t offset, uint32_t size)
{
	uint8_t *cap = cap_at(number);
	uint32_t multiplier = 4;

	cap[0] = VIRTIO_PCI_CAP_VENDOR;
	cap[1] = number == 3 ? 0 : (uint8_t)(CAPS + (number + 1) * 24);
	cap[2] = type == VIRTIO_PCI_CAP_NOTIFY_CFG ? 20 : 16;
	cap[3] = type;
	cap[4] = bar;
	memcpy(cap + 8, &offset, 4);
	memcpy(cap + 12, &size, 4);
	memcpy(cap + 16, &multiplier, 4);
}

static void plug(void)
{
	struct sent *sent = fake.sent ? fake.sent : malloc(MOST_SENT * sizeof(*sent));
	unsigned int i;

	memset(&fake, 0, sizeof(fake));
	fake.sent = sent;
	library_plug(0x1af4, 0x1041);
	library.info.num_msix = 8;
	fake.features = FEATURES | kinds[kind % KINDS];
	fake.queue_count = QUEUES;
	for (i = 0; i < QUEUES; i++) {
		fake.queues[i].most = 256;
		fake.queues[i].notify_off = (uint16_t)i;
	}
	reset();
	memcpy(fake.config, mac, 6);
	fake.config[VIRTIO_NET_STATUS] = VIRTIO_NET_S_LINK_UP;
	fake.config[VIRTIO_NET_MAX_PAIRS] = 4;
	memcpy(fake.config_space, &library.info.vendor_id, 2);
	fake.config_space[0x34] = CAPS;
	cap_make(0, VIRTIO_PCI_CAP_COMMON_CFG, BAR, 0, 0x1000);
	cap_make(1, VIRTIO_PCI_CAP_ISR_CFG, BAR, ISR, 0x1000);
	cap_make(2, VIRTIO_PCI_CAP_DEVICE_CFG, BAR, CONFIG, 0x1000);
	cap_make(3, VIRTIO_PCI_CAP_NOTIFY_CFG, BAR, NOTIFY, 0x1000);
}

static void start_with(const struct unic_config *config)
{
	CHECK_EQ(unic_open("00:04.0", config, &port), 0);
	CHECK_EQ(unic_start(port), 0);
	rxq()->bells = 0;
	txq()->bells = 0;
	fake.accesses = 0;
	fake.sent_count = 0;
}

static void open_and_start(uint32_t rx, uint32_t tx, uint32_t mtu, uint32_t packets)
{
	struct unic_config config = {
		.rx_descriptors = rx,
		.tx_descriptors = tx,
		.mtu = mtu,
		.packets = packets,
		.offloads = UNIC_OFFLOAD_ALL,
	};

	plug();
	start_with(&config);
}

/* Every packet is in the pool, and is there once. */
static void check_pools(void)
{
	const struct unic_pool *pool;
	uint32_t i, q;

	CHECK_EQ(unic_packets_free(port), unic_info(port)->packets);
	for (q = 0; q < port->queue_count; q++) {
		pool = port->queues[q]->pool;
		for (i = 0; i < pool->free_count; i++)
			pool->free[i]->user = 0;
		for (i = 0; i < pool->free_count; i++)
			CHECK_EQ(pool->free[i]->user++, 0);
	}
}

static void close_whole(void)
{
	if (port->started)
		CHECK_EQ(unic_stop(port), 0);
	check_pools();
	CHECK(!library.bus_master);
	unic_close(port);
	CHECK_EQ(library.wrong, 0);
	CHECK_EQ(library.dma_bytes, 0);
	CHECK(!library.opened && !library.mapped && !fake.irq_count);
}

static struct unic_stats stats_now(void)
{
	struct unic_stats stats;

	CHECK_EQ(unic_stats(port, &stats), 0);
	return stats;
}

/* Whether a packet, or a chain, holds what fill_frame() makes. */
static bool holds(struct unic_packet *packet, uint8_t fill, uint32_t length)
{
	static uint8_t frame[70000];
	uint32_t at = 0;

	if (unic_packet_total(packet) != length)
		return false;
	fill_frame(frame, fill, length);
	for (;; packet = packet->next) {
		if (memcmp(unic_packet_data(packet), frame + at, packet->length))
			return false;
		at += packet->length;
		if (!(packet->flags & UNIC_PACKET_CHAINED))
			return true;
	}
}

/* A packet, or a chain with at most @part bytes in each. */
static struct unic_packet *make(uint8_t fill, uint32_t length, uint32_t part)
{
	static uint8_t frame[70000];
	struct unic_packet *first = NULL, *last = NULL, *packet;
	uint32_t at, size;

	fill_frame(frame, fill, length);
	for (at = 0; at < length; at += size) {
		size = length - at < part ? length - at : part;
		packet = unic_packet_alloc(port, 0);
		CHECK(packet);
		memcpy(unic_packet_data(packet), frame + at, size);
		packet->length = size;
		if (last) {
			last->flags |= UNIC_PACKET_CHAINED;
			last->next = packet;
		} else {
			first = packet;
		}
		last = packet;
	}
	return first;
}

static int send_one(struct unic_packet *packet)
{
	int n = unic_tx_burst(port, 0, &packet, 1);

	if (n != 1)
		unic_packet_free(packet);
	return n;
}

static unsigned int send_many(unsigned int count, uint32_t length)
{
	struct unic_packet *packets[MOST_SENT];
	unsigned int i, n;

	for (i = 0; i < count; i++)
		packets[i] = make((uint8_t)i, length, UNIC_PACKET_ROOM);
	n = (unsigned int)unic_tx_burst(port, 0, packets, count);
	for (i = n; i < count; i++)
		unic_packet_free(packets[i]);
	return n;
}

static const struct sent *sent_at(unsigned int number)
{
	return &fake.sent[number % MOST_SENT];
}

static bool was_sent(unsigned int number, uint8_t fill, uint32_t length)
{
	static const struct virtio_net_hdr plain;
	static uint8_t frame[70000];
	const struct sent *sent = sent_at(number);

	fill_frame(frame, fill, length);
	return number < fake.sent_count && sent->length == length &&
	       !memcmp(sent->data, frame, length) && !memcmp(&sent->header, &plain, sizeof(plain));
}

/* Takes all that is there; returns how many. */
static unsigned int drain(void)
{
	struct unic_packet *packets[BURST];
	unsigned int total = 0;
	int n;

	while ((n = unic_rx_burst(port, 0, packets, BURST)) > 0) {
		unic_packet_free_burst(packets, (unsigned int)n);
		total += (unsigned int)n;
	}
	return total;
}

/* --- Opening --- */

TEST(virtio_open_tells_what_it_is)
{
	for (kind = 0; kind < KINDS; kind++) {
		plug();
		CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
		CHECK(!memcmp(unic_info(port)->mac, mac, sizeof(mac)));
		CHECK_STR(unic_info(port)->driver, "virtio-net");
		CHECK_EQ(unic_info(port)->rx_descriptors, 256);
		CHECK_EQ(unic_info(port)->max_queues, 4);
		CHECK_EQ(unic_info(port)->max_mtu, most_mtu());
		CHECK_EQ(unic_info(port)->can_offload, UNIC_OFFLOAD_RX_CHECKSUM |
							       UNIC_OFFLOAD_TX_CHECKSUM |
							       UNIC_OFFLOAD_TSO | UNIC_OFFLOAD_RSS);
		CHECK(!library.bus_master);
		CHECK(!(fake.status & VIRTIO_STATUS_DRIVER_OK));
		close_whole();
	}
}

TEST(virtio_open_transitional_and_limits)
{
	plug();
	library.info.device_id = 0x1000;
	fake.features &= ~(VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_HOST_TSO6);
	CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
	CHECK_EQ(unic_info(port)->max_queues, 1);
	CHECK_EQ(unic_info(port)->can_offload, UNIC_OFFLOAD_RX_CHECKSUM | UNIC_OFFLOAD_TX_CHECKSUM);
	close_whole();
	plug();
	fake.features |= VIRTIO_NET_F_MTU;
	fake.config[VIRTIO_NET_MTU] = 1280 & 0xff;
	fake.config[VIRTIO_NET_MTU + 1] = 1280 >> 8;
	CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
	CHECK_EQ(unic_info(port)->max_mtu, 1280);
	close_whole();
}

/* What fails leaves nothing behind. */
static void check_open(int expected)
{
	struct unic_port *none = NULL;

	CHECK_EQ(unic_open("00:04.0", NULL, &none), expected);
	CHECK(!none);
	CHECK_EQ(library.dma_bytes, 0);
	CHECK(!library.opened && !library.mapped && !fake.irq_count && !library.bus_master);
	CHECK_EQ(library.wrong, 0);
}

TEST(virtio_open_fails_whole)
{
	plug();
	fake.gone = true;
	check_open(-ENODEV);
	plug();
	fake.no_reset = true;
	fake.status = 15;
	check_open(-ETIMEDOUT);
	plug();
	fake.features &= ~VIRTIO_F_VERSION_1;
	check_open(-EOPNOTSUPP);
	plug();
	fake.features &= ~VIRTIO_NET_F_MAC;
	check_open(-EOPNOTSUPP);
	plug();
	fake.config[0] |= 1; /* a group's address */
	check_open(-EIO);
	plug();
	fake.config[VIRTIO_NET_MAX_PAIRS] = 0;
	check_open(-EIO);
	plug();
	fake.features |= VIRTIO_NET_F_MTU;
	check_open(-EIO);
	plug();
	fake.queue_count = 1;
	check_open(-EIO);
	plug();
	library.dma_fails = 1;
	check_open(-EDQUOT);
}

TEST(virtio_open_queue_sizes)
{
	static const uint32_t sizes[][2] = { { 8, 8 },	   { 100, 64 },	    { 255, 128 },
					     { 300, 256 }, { 32768, 4096 }, { 65535, 4096 } };
	unsigned int i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		plug();
		fake.queues[1].most = (uint16_t)sizes[i][0];
		fake.queues[0].most = 65535;
		fake.features &= ~VIRTIO_NET_F_MQ;
		reset();
		CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
		CHECK_EQ(port->max_descriptors, sizes[i][1]);
		close_whole();
	}
	for (i = 0; i < 8; i++) {
		plug();
		fake.queues[i % 2].most = (uint16_t)i;
		reset();
		check_open(-EIO);
	}
}

TEST(virtio_open_legacy_is_explained)
{
	char text[256];

	plug();
	fake.config_space[0x34] = 0;
	check_open(-EOPNOTSUPP);
	unic_explain("00:04.0", -EOPNOTSUPP, text, sizeof(text));
	CHECK(strstr(text, "modern interface") && strstr(text, "disable-modern=on"));
	CHECK(!strchr(text, '\n'));
}

/* Capabilities that lead out of their BAR, or to none, are none. */
TEST(virtio_open_hostile_capabilities)
{
	static const struct {
		unsigned int number;
		uint8_t bar, length;
		uint32_t offset, size;
		int expected;
	} wrong[] = {
		{ 0, 6, 16, 0, 0x1000, -EOPNOTSUPP },
		{ 0, 255, 16, 0, 0x1000, -EOPNOTSUPP },
		{ 0, 0, 16, 0, 0x1000, -EOPNOTSUPP }, /* a BAR that there is not */
		{ 0, BAR, 16, 0x3fd0, 0x38, -EOPNOTSUPP },
		{ 0, BAR, 16, 0xfffffff8, 0x38, -EOPNOTSUPP },
		{ 0, BAR, 16, 0, 0xffffffff, -EOPNOTSUPP },
		{ 0, BAR, 16, 0, 0x37, -EOPNOTSUPP },
		{ 0, BAR, 16, 2, 0x1000, -EOPNOTSUPP },
		{ 0, BAR, 15, 0, 0x1000, -EOPNOTSUPP },
		{ 1, BAR, 16, BAR_SIZE, 1, -EIO },
		{ 1, BAR, 16, ISR, 0, -EIO },
		{ 2, BAR, 16, CONFIG, 5, -EIO },
		{ 2, BAR, 16, 0x3ffc, 8, -EIO },
		{ 3, BAR, 16, NOTIFY, 0x1000, -EIO },
		{ 3, BAR, 20, NOTIFY, 0x1001, -EIO },
		{ 3, BAR, 20, NOTIFY + 1, 0x100, -EIO },
		{ 3, BAR, 20, NOTIFY, 1, -EIO },
	};
	uint8_t type;
	unsigned int i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		plug();
		type = cap_at(wrong[i].number)[3];
		cap_make(wrong[i].number, type, wrong[i].bar, wrong[i].offset, wrong[i].size);
		cap_at(wrong[i].number)[2] = wrong[i].length;
		check_open(wrong[i].expected);
	}
	plug();
	fake.config_space[0x34] = 0; /* legacy */
	check_open(-EOPNOTSUPP);
	plug();
	fake.config_space[0x34] = 0xf8; /* one that sticks out of configuration space */
	fake.config_space[0xf8] = VIRTIO_PCI_CAP_VENDOR;
	check_open(-EIO);
	/* Of two the first that is right. */
	plug();
	cap_at(3)[1] = CAPS + 4 * 24;
	cap_make(4, VIRTIO_PCI_CAP_COMMON_CFG, BAR, 0, 0x1000);
	cap_at(4)[1] = 0;
	cap_at(0)[4] = 7;
	CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
	close_whole();
}

/* --- Starting and stopping --- */

/* At each read of a register, one after the other. */
TEST(virtio_vanishes_while_it_starts)
{
	unsigned int reads;
	int err = -ENODEV;

	for (kind = 0; kind < KINDS; kind += 3) {
		for (reads = 1, err = -ENODEV; err; reads++) {
			plug();
			fake.gone_after = reads;
			err = unic_open("00:04.0", NULL, &port);
			if (!err) {
				err = unic_start(port);
				fake.gone_after = 0;
				CHECK(!err || err == -ENODEV);
				close_whole();
			}
			CHECK(!err || err == -ENODEV);
			CHECK(!library.mapped && !library.dma_bytes && reads < 200);
		}
		CHECK(reads > 30);
	}
}

static void check_start(int expected)
{
	CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
	CHECK_EQ(unic_start(port), expected);
	close_whole();
}

TEST(virtio_start_fails_whole)
{
	for (kind = 0; kind < KINDS; kind++) {
		unsigned int fails;

		plug();
		fake.refuses = true;
		check_start(-EIO);
		plug();
		fake.no_vectors = true;
		check_start(-EIO);
		plug();
		fake.queues[1].notify_off = 0xffff;
		check_start(-EIO);
		plug();
		fake.answer = 1;
		check_start(-EIO);
		for (fails = 1; fails <= 3; fails++) {
			plug();
			CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
			library.dma_fails = fails;
			CHECK_EQ(unic_start(port), -EDQUOT);
			CHECK_EQ(unic_start(port), 0);
			close_whole();
		}
		plug();
		CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
		fake.gone = true;
		CHECK_EQ(unic_start(port), -ENODEV);
		close_whole();
	}
}

TEST(virtio_start_negotiates)
{
	struct unic_config config = { .offloads = UNIC_OFFLOAD_TX_CHECKSUM };

	for (kind = 0; kind < KINDS; kind++) {
		plug();
		start_with(&config);
		CHECK_EQ(fake.accepted & kinds[kind], kinds[kind]);
		CHECK(fake.accepted & VIRTIO_NET_F_CSUM);
		CHECK(!(fake.accepted & (VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_HOST_TSO4 |
					 VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_MQ)));
		CHECK_EQ(fake.status, 15);
		CHECK(library.bus_master);
		CHECK(rxq()->enabled && txq()->enabled && !fake.queues[3].enabled);
		CHECK_EQ(fake.config_vector, 0);
		CHECK_EQ(rxq()->vector, 0);
		CHECK_EQ(txq()->vector, VIRTIO_MSI_NO_VECTOR);
		CHECK(!fake.promiscuous && !fake.allmulti && fake.table_size == 8);
		close_whole();
		CHECK_EQ(fake.status, 0);
	}
	plug();
	fake.features |= VIRTIO_F_ACCESS_PLATFORM | VIRTIO_F_ORDER_PLATFORM | 1ull << 28 | 1 << 10;
	start_with(&config);
	CHECK_EQ(fake.accepted & (VIRTIO_F_ACCESS_PLATFORM | VIRTIO_F_ORDER_PLATFORM),
		 VIRTIO_F_ACCESS_PLATFORM | VIRTIO_F_ORDER_PLATFORM);
	CHECK(!(fake.accepted & (1ull << 28 | 1 << 10)));
	close_whole();
}

TEST(virtio_queues)
{
	struct unic_config config = { .queues = 3, .offloads = UNIC_OFFLOAD_ALL };
	unsigned int i;

	for (kind = 0; kind < KINDS; kind++) {
		plug();
		start_with(&config);
		CHECK(fake.accepted & VIRTIO_NET_F_MQ);
		CHECK_EQ(fake.pairs, 3);
		CHECK(unic_info(port)->offloads & UNIC_OFFLOAD_RSS);
		for (i = 0; i < 6; i++) {
			CHECK(fake.queues[i].enabled);
			CHECK_EQ(fake.queues[i].vector, i % 2 ? VIRTIO_MSI_NO_VECTOR : i / 2);
		}
		CHECK(fake.queues[CONTROL].enabled);
		close_whole();
		/* A queue that is smaller than the first one, or is not there. */
		plug();
		fake.queues[3].most = (uint16_t)(kind % 2 * 128);
		reset();
		CHECK_EQ(unic_open("00:04.0", &config, &port), 0);
		CHECK_EQ(unic_start(port), -EIO);
		close_whole();
	}
}

TEST(virtio_stop_returns_all_packets)
{
	struct unic_packet *packet;
	int round;

	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(64, 64, 0, 0);
		for (round = 0; round < 20; round++) {
			fake.held = true;
			CHECK_EQ(send_many(40, 100), 40);
			transmit(20);
			CHECK_EQ(send_one(make(1, 1500, 600)), 1);
			CHECK(receive(1, 60) && receive(2, 60) && receive(3, 1000));
			CHECK_EQ(unic_rx_burst(port, 0, &packet, 1), 1);
			CHECK(holds(packet, 1, 60));
			unic_packet_free(packet);
			/* Such a device has a second. */
			fake.no_reset = !kind && !round;
			if (round)
				fake.status |= VIRTIO_STATUS_NEEDS_RESET;
			CHECK_EQ(unic_stop(port), 0);
			CHECK(!library.bus_master);
			check_pools();
			fake.no_reset = false;
			fake.held = false;
			CHECK_EQ(unic_start(port), 0);
		}
		close_whole();
	}
}

TEST(virtio_stop_of_a_device_that_is_gone)
{
	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(0, 0, 0, 0);
		fake.held = true;
		CHECK_EQ(send_many(10, 100), 10);
		fake.gone = true;
		CHECK_EQ(unic_stop(port), 0);
		CHECK_EQ(unic_start(port), -ENODEV);
		close_whole();
	}
}

/* --- Receiving --- */

TEST(virtio_empty_bursts_touch_no_register)
{
	struct unic_packet *packets[BURST];

	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(0, 0, 0, 0);
		CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 0);
		CHECK_EQ(unic_rx_burst(port, 0, packets, 0), 0);
		CHECK_EQ(unic_tx_burst(port, 0, packets, 0), 0);
		CHECK_EQ(fake.accesses, 0);
		close_whole();
	}
}

/* Bursts of all sizes, over the ring's end again and again. */
TEST(virtio_rx_wraps)
{
	struct unic_packet *packets[64];
	uint64_t bytes, total;
	unsigned int size, i, offered;
	uint8_t fill, expected;

	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(64, 0, 0, 0);
		bytes = total = fill = expected = 0;
		for (size = 1; size <= 64; size++) {
			for (offered = 0; offered < size; offered++, fill++)
				CHECK(receive(fill, (uint16_t)(14 + 5 * fill)));
			CHECK_EQ(unic_rx_burst(port, 0, packets, 64), (int)offered);
			for (i = 0; i < offered; i++, expected++) {
				CHECK(holds(packets[i], expected, 14u + 5 * expected));
				CHECK(!packets[i]->flags && !packets[i]->offset);
				bytes += packets[i]->length;
			}
			total += offered;
			unic_packet_free_burst(packets, offered);
		}
		/* The ring is full again: one more is not there. */
		for (i = 0; i < 64; i++)
			CHECK(receive((uint8_t)i, 60));
		CHECK(!receive(0, 60));
		CHECK_EQ(drain(), 64);
		CHECK_EQ(stats_now().rx_packets, total + 64);
		CHECK_EQ(stats_now().rx_bytes, bytes + 64 * 60);
		CHECK_EQ(stats_now().rx_errors + stats_now().rx_no_buffer, 0);
		close_whole();
	}
}

/* Frames of several buffers, of all sizes, also over the end of the ring. */
TEST(virtio_rx_merged)
{
	struct unic_packet *packets[BURST];
	uint32_t length, n, i;

	for (kind = 0; kind < KINDS; kind++) {
		if (!merging())
			continue;
		open_and_start(16, 0, 9000, 0);
		for (length = 60, n = 0; length <= 9018; length += 137, n++) {
			CHECK(receive((uint8_t)n, length));
			if (length < 5000)
				CHECK(receive((uint8_t)(n + 1), 64));
			CHECK_EQ(unic_rx_burst(port, 0, packets, 1), 1);
			CHECK(holds(packets[0], (uint8_t)n, length));
			unic_packet_free(packets[0]);
			if (length < 5000) {
				CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 1);
				CHECK(holds(packets[0], (uint8_t)(n + 1), 64));
				unic_packet_free(packets[0]);
			}
		}
		/* Longer than the MTU allows: dropped, in all its parts. */
		CHECK(receive(1, 9019) && receive(2, 12000) && receive(3, 2048));
		CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 1);
		CHECK(holds(packets[0], 3, 2048));
		unic_packet_free(packets[0]);
		CHECK_EQ(stats_now().rx_errors, 2);
		for (i = 0; i < 16; i++)
			CHECK(receive((uint8_t)i, 100));
		CHECK_EQ(drain(), 16);
		close_whole();
	}
}

/* One buffer a frame, of any length that it holds, whatever the header says of its number. */
TEST(virtio_rx_without_merging)
{
	static const uint16_t counts[] = { 0, 1, 2, 16, 255, 0xffff };
	struct unic_packet *packets[BURST];
	uint32_t length, i, n = 0;

	for (kind = 0; kind < KINDS; kind++) {
		if (merging())
			continue;
		open_and_start(64, 0, 2030, 0);
		CHECK(!(fake.accepted & VIRTIO_NET_F_MRG_RXBUF));
		for (length = 14, n = 0; length <= 2048; length += 6, n++) {
			for (i = 0; i < 8; i++) {
				fake.stale = counts[(n + i) % (sizeof(counts) / sizeof(counts[0]))];
				CHECK(receive((uint8_t)(n + i), (uint16_t)length));
			}
			CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 8);
			for (i = 0; i < 8; i++)
				CHECK(holds(packets[i], (uint8_t)(n + i), length));
			unic_packet_free_burst(packets, 8);
		}
		CHECK_EQ(stats_now().rx_packets, 8 * n);
		CHECK_EQ(stats_now().rx_errors + stats_now().rx_no_buffer, 0);
		close_whole();
	}
}

TEST(virtio_rx_checksums)
{
	struct virtio_net_hdr valid = { .flags = VIRTIO_NET_HDR_F_DATA_VALID };
	struct virtio_net_hdr needs = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.csum_start = 34,
					.csum_offset = 6 };
	struct unic_config config = { 0 };
	struct unic_packet *packets[4];
	uint8_t frame[1400];
	uint32_t sum, i;

	for (kind = 0; kind < KINDS; kind++) {
		memset(frame, 7, sizeof(frame));
		open_and_start(64, 0, 0, 0);
		CHECK(receive_header(&valid, frame, 100));
		CHECK(receive(1, 100));
		frame[40] = 0x12; /* the sum of the pseudo header */
		frame[41] = 0x34;
		CHECK(receive_header(&needs, frame, 1201));
		CHECK_EQ(unic_rx_burst(port, 0, packets, 4), 3);
		CHECK_EQ(packets[0]->flags, UNIC_RX_L4_GOOD);
		CHECK_EQ(packets[1]->flags, 0);
		CHECK_EQ(packets[2]->flags, UNIC_RX_L4_GOOD);
		/* With the checksum in its place the sum is all ones, after what was there. */
		for (i = 34, sum = 0x1234; i < 1201; i++)
			sum += (uint32_t)unic_packet_data(packets[2])[i] << (i % 2 ? 0 : 8);
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		CHECK_EQ(sum, 0xffff);
		unic_packet_free_burst(packets, 3);
		/* Nonsense. */
		needs.csum_start = 1199;
		CHECK(receive_header(&needs, frame, 1201));
		needs.csum_start = 65535;
		CHECK(receive_header(&needs, frame, 1201));
		needs.csum_start = 34;
		needs.csum_offset = 65535;
		CHECK(receive_header(&needs, frame, 1201));
		valid.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		CHECK(receive_header(&valid, frame, 1201));
		CHECK_EQ(drain(), 0);
		CHECK_EQ(stats_now().rx_errors, 4);
		close_whole();
		/* Not asked for: not told. */
		valid.gso_type = 0;
		needs.csum_offset = 6;
		plug();
		start_with(&config);
		CHECK(receive_header(&valid, frame, 100));
		CHECK(receive_header(&needs, frame, 100));
		CHECK_EQ(unic_rx_burst(port, 0, packets, 4), 1);
		CHECK_EQ(packets[0]->flags, 0);
		unic_packet_free(packets[0]);
		CHECK_EQ(stats_now().rx_errors, 1);
		close_whole();
	}
}

/* A checksum over packets of odd lengths: that of a chain is that of the same bytes in one. */
TEST(virtio_rx_checksum_of_a_chain)
{
	struct virtio_net_hdr needs = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.csum_start = 35,
					.csum_offset = 16 };
	static uint8_t frame[9000];
	struct unic_packet *packet;
	uint32_t sum = 0, i;

	for (kind = 0; kind < KINDS; kind++) {
		if (!merging())
			continue;
		open_and_start(64, 0, 9000, 0);
		for (i = 0; i < sizeof(frame); i++)
			frame[i] = (uint8_t)(i * 31);
		frame[51] = frame[52] = 0;
		CHECK(receive_header(&needs, frame, 8999));
		CHECK_EQ(unic_rx_burst(port, 0, &packet, 1), 1);
		for (i = 35, sum = 0; i < 8999; i++)
			sum += (uint32_t)frame[i] << ((i - 35) % 2 ? 0 : 8);
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		CHECK_EQ(unic_packet_data(packet)[51] << 8 | unic_packet_data(packet)[52],
			 (uint16_t)~sum);
		unic_packet_free(packet);
		close_whole();
	}
}

/* Frames are dropped and counted while there is no packet, and come again when there is. */
TEST(virtio_rx_empty_pool)
{
	struct unic_packet *held[200], *packets[BURST];
	unsigned int i, n;

	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(16, 16, 0, 64);
		n = unic_packet_alloc_burst(port, 0, held, 200);
		CHECK_EQ(n, 48);
		for (i = 0; i < 10; i++)
			CHECK(receive((uint8_t)i, 60));
		CHECK_EQ(unic_rx_burst(port, 0, packets, 4), 0);
		CHECK_EQ(stats_now().rx_no_buffer, 4);
		unic_packet_reset(held[47], 0);
		unic_packet_free(held[47]);
		unic_packet_reset(held[46], 0);
		unic_packet_free(held[46]);
		CHECK_EQ(unic_rx_burst(port, 0, packets, 1), 1);
		CHECK(holds(packets[0], 4, 60));
		CHECK(receive(200, 1000));
		/* One packet more, five frames. */
		CHECK_EQ(unic_rx_burst(port, 0, packets + 1, BURST), 1);
		CHECK(holds(packets[1], 5, 60));
		for (i = 0; i < 46; i++)
			unic_packet_reset(held[i], 0);
		unic_packet_free_burst(held, 46);
		unic_packet_free_burst(packets, 2);
		while (drain())
			;
		CHECK_EQ(stats_now().rx_packets + stats_now().rx_no_buffer, 11);
		for (i = 0; i < 16; i++)
			CHECK(receive((uint8_t)i, 60));
		CHECK_EQ(drain(), 16);
		close_whole();
	}
}

/* A frame needs as many packets as it has buffers. */
TEST(virtio_rx_too_few_packets)
{
	struct unic_packet *held[48], *packet;
	unsigned int i;

	for (kind = 0; kind < KINDS; kind++) {
		if (!merging())
			continue;
		open_and_start(16, 16, 9000, 64);
		CHECK_EQ(unic_packet_alloc_burst(port, 0, held, 48), 48);
		for (i = 0; i < 48; i++)
			unic_packet_reset(held[i], 0);
		unic_packet_free_burst(held, 4);
		CHECK(receive(1, 9000) && receive(2, 7000));
		CHECK_EQ(unic_rx_burst(port, 0, &packet, 1), 1);
		CHECK(holds(packet, 2, 7000));
		unic_packet_free(packet);
		CHECK_EQ(stats_now().rx_no_buffer, 1);
		unic_packet_free_burst(held + 4, 44);
		close_whole();
	}
}

/* A device that returns buffers in any order loses nothing; it is a bit slower. */
TEST(virtio_rx_out_of_order)
{
	static const struct virtio_net_hdr header = { .num_buffers = 1 };
	uint32_t seed = 1, have = 0, pick, n, i, given = 0, taken = 0;
	struct buffer buffers[16];
	struct unic_packet *packets[BURST];
	uint8_t flat[100];

	for (kind = 0; kind < KINDS; kind++) {
		if (kinds[kind] & VIRTIO_F_IN_ORDER)
			continue;
		open_and_start(16, 0, 0, 0);
		for (have = given = taken = 0; given < 500;) {
			while (have < 16 && take(rxq(), &buffers[have]))
				have++;
			CHECK(have);
			for (i = seed >> 8 & 7; i && have; i--) {
				seed = seed * 1103515245 + 12345;
				pick = (seed >> 16) % have;
				memcpy(flat, &header, 12);
				memset(flat + 12, (uint8_t)given++, 60);
				copy(&buffers[pick], flat, 72, true);
				use(rxq(), &buffers[pick], 72);
				buffers[pick] = buffers[--have];
			}
			seed = seed * 1103515245 + 12345;
			n = (uint32_t)unic_rx_burst(port, 0, packets, BURST);
			for (i = 0; i < n; i++, taken++)
				CHECK_EQ(unic_packet_data(packets[i])[59], (uint8_t)taken);
			unic_packet_free_burst(packets, n);
		}
		CHECK_EQ(taken, given);
		CHECK_EQ(stats_now().rx_errors, 0);
		close_whole();
	}
}

/* With IN_ORDER the device may tell of the last buffer of several only (2.7.9, 2.8.8). */
TEST(virtio_in_order_skips)
{
	struct unic_packet *packets[BURST];
	struct buffer b[8];
	static uint8_t flat[VIRTIO_RX_ROOM];
	unsigned int round, i;

	for (kind = 0; kind < KINDS; kind++) {
		if (!(kinds[kind] & VIRTIO_F_IN_ORDER))
			continue;
		open_and_start(16, 16, 2030, 0);
		flat[10] = 1;
		for (round = 0; round < 20; round++) {
			for (i = 0; i < 5; i++) {
				CHECK(take(rxq(), &b[i]));
				fill_frame(flat + 12, (uint8_t)(round + i), 2048);
				copy(&b[i], flat, VIRTIO_RX_ROOM, true);
			}
			use_ahead(rxq(), 0, b[4].id, 100 + 12);
			used_up(rxq(), 5);
			CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 5);
			for (i = 0; i < 5; i++)
				CHECK(holds(packets[i], (uint8_t)(round + i), i < 4 ? 2048 : 100));
			unic_packet_free_burst(packets, 5);

			fake.held = true;
			CHECK_EQ(send_many(3, 80), 3);
			CHECK_EQ(send_one(make(9, 1000, 400)), 1);
			CHECK_EQ(send_many(2, 80), 2);
			for (i = 0; i < 6; i++)
				CHECK(take(txq(), &b[i]));
			use_ahead(txq(), 0, b[4].id, 0);
			used_up(txq(), packed() ? 7 : 5);
			CHECK_EQ(unic_tx_burst(port, 0, NULL, 0), 0);
			CHECK_EQ(unic_packets_free(port), unic_info(port)->packets - 16 - 1);
			use(txq(), &b[5], 0);
			CHECK_EQ(unic_tx_burst(port, 0, NULL, 0), 0);
			CHECK_EQ(unic_packets_free(port), unic_info(port)->packets - 16);
		}
		close_whole();
	}
}

/* --- Sending --- */

TEST(virtio_tx_wraps)
{
	unsigned int size, i, n, sent;

	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(0, 64, 0, 0);
		for (size = 1, sent = 0; size <= 64; size++) {
			txq()->bells = 0;
			CHECK_EQ(send_many(size, 60 + size), size);
			CHECK_EQ(txq()->bells, 1);
			for (i = 0; i < size; i++)
				CHECK(was_sent(sent + i, (uint8_t)i, 60 + size));
			CHECK_EQ(sent_at(sent)->count, 1);
			sent += size;
		}
		CHECK_EQ(fake.sent_count, sent);
		/* A ring that is full takes no more, until the device has sent some. */
		fake.held = true;
		CHECK_EQ(send_many(100, 1518), 64);
		CHECK_EQ(send_many(1, 100), 0);
		transmit(10);
		CHECK_EQ(send_many(100, 1518), 10);
		transmit(UINT32_MAX);
		n = unic_packets_free(port);
		CHECK_EQ(unic_tx_burst(port, 0, NULL, 0), 0);
		CHECK_EQ(unic_packets_free(port), n + 64);
		CHECK_EQ(stats_now().tx_packets, sent + 74);
		close_whole();
	}
}

/* Chains, padding, headers without room in front, all mixed with frames that are simply sent. */
TEST(virtio_tx_out_of_the_ordinary)
{
	struct unic_packet *packet;
	unsigned int i, expected;
	uint32_t length;

	for (kind = 0; kind < KINDS; kind++) {
		if (!merging())
			continue;
		open_and_start(0, 32, 9000, 0);
		for (i = 0, expected = 0; i < 500; i++) {
			length = 60 + i * 61 % 8900;
			packet = make((uint8_t)i, length, i % 3 ? 1900 : 300);
			if (i % 7 == 0) {
				memmove((uint8_t *)packet + UNIC_PACKET_HEADER,
					unic_packet_data(packet), packet->length);
				packet->offset = -UNIC_PACKET_HEADROOM;
			}
			CHECK_EQ(send_one(packet), 1);
			CHECK(was_sent(expected++, (uint8_t)i, length));
			if (i % 2) {
				CHECK_EQ(send_many(i % 5, 64), i % 5);
				expected += i % 5;
			}
		}
		CHECK_EQ(send_one(make(3, 20, 2000)), 1);
		CHECK_EQ(sent_at(expected)->length, 60);
		CHECK_EQ(sent_at(expected)->data[59], 0);
		/* The device returns chains late: the rest waits. */
		fake.held = true;
		for (i = 0; send_one(make(1, 9000, 1900)) == 1; i++)
			;
		CHECK_EQ(i, 6);
		CHECK_EQ(send_many(3, 60), 2);
		transmit(UINT32_MAX);
		CHECK_EQ(unic_tx_burst(port, 0, NULL, 0), 0);
		CHECK_EQ(unic_packets_free(port), unic_info(port)->packets - 256);
		/* Never: more pieces than the ring has. */
		CHECK_EQ(send_one(make(1, 3000, 70)), 1);
		CHECK_EQ(stats_now().tx_bad_length, 1);
		close_whole();
	}
}

/* A header that this makes: Ethernet, IPv4 or IPv6, TCP or UDP, without checksums. */
static void make_headers(uint8_t *frame, uint32_t length, bool ip6, bool udp)
{
	uint32_t l3 = length - 14;

	memset(frame, 0, 74);
	frame[12] = ip6 ? 0x86 : 0x08;
	frame[13] = ip6 ? 0xdd : 0x00;
	frame[14] = ip6 ? 0x60 : 0x45;
	if (ip6) {
		frame[18] = (uint8_t)((l3 - 40) >> 8);
		frame[19] = (uint8_t)(l3 - 40);
		frame[20] = udp ? 17 : 6;
	} else {
		frame[16] = (uint8_t)(l3 >> 8);
		frame[17] = (uint8_t)l3;
		frame[23] = udp ? 17 : 6;
		frame[26] = 10;
		frame[30] = 11;
	}
	if (!udp)
		frame[(ip6 ? 54 : 34) + 12] = 0x50;
}

static struct unic_packet *make_offload(uint32_t length, uint16_t flags, bool ip6)
{
	struct unic_packet *packet = make(5, length, 1900);

	make_headers(unic_packet_data(packet), length, ip6, flags & UNIC_TX_UDP);
	packet->flags |= flags;
	packet->l2_length = 14;
	packet->l3_length = ip6 ? 40 : 20;
	packet->l4_length = 20;
	packet->mss = 1000;
	return packet;
}

static uint32_t ip4_sum(const uint8_t *ip)
{
	uint32_t sum = 0, i;

	for (i = 0; i < 20; i++)
		sum += (uint32_t)ip[i] << (i % 2 ? 0 : 8);
	return (sum & 0xffff) + (sum >> 16);
}

TEST(virtio_tx_offloads)
{
	const struct sent *sent;

	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(0, 0, 0, 0);
		CHECK_EQ(send_one(make_offload(200, UNIC_TX_IP | UNIC_TX_UDP, false)), 1);
		sent = sent_at(0);
		CHECK_EQ(sent->header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		CHECK_EQ(sent->header.gso_type, 0);
		CHECK_EQ(sent->header.csum_start, 34);
		CHECK_EQ(sent->header.csum_offset, 6);
		CHECK_EQ(ip4_sum(sent->data + 14), 0xffff);
		/* The pseudo header's: 10.0.0.0, 11.0.0.0, 17, 166. */
		CHECK_EQ(sent->data[40] << 8 | sent->data[41], 0x0a00 + 0x0b00 + 17 + 166);

		CHECK_EQ(send_one(make_offload(1400, UNIC_TX_TCP, true)), 1);
		sent = sent_at(1);
		CHECK_EQ(sent->header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		CHECK_EQ(sent->header.csum_start, 54);
		CHECK_EQ(sent->header.csum_offset, 16);

		CHECK_EQ(send_one(make_offload(30000, UNIC_TX_TSO | UNIC_TX_TCP, false)), 1);
		sent = sent_at(2);
		CHECK_EQ(sent->length, 30000);
		CHECK_EQ(sent->header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		CHECK_EQ(sent->header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
		CHECK_EQ(sent->header.hdr_len, 54);
		CHECK_EQ(sent->header.gso_size, 1000);
		CHECK_EQ(ip4_sum(sent->data + 14), 0xffff);

		CHECK_EQ(send_one(make_offload(5000, UNIC_TX_TSO, true)), 1);
		CHECK_EQ(sent_at(3)->header.gso_type, VIRTIO_NET_HDR_GSO_TCPV6);
		CHECK_EQ(send_one(make_offload(200, UNIC_TX_IP, false)), 1);
		CHECK_EQ(sent_at(4)->header.flags, 0);
		CHECK_EQ(ip4_sum(sent_at(4)->data + 14), 0xffff);
		CHECK_EQ(send_many(2, 60), 2);
		CHECK(was_sent(5, 0, 60) && was_sent(6, 1, 60));
		CHECK_EQ(stats_now().tx_bad_offload, 0);
		close_whole();
	}
}

TEST(virtio_tx_out_of_order)
{
	struct buffer buffers[16], swap;
	unsigned int round, i, count, seed = 7;

	for (kind = 0; kind < KINDS; kind++) {
		if (kinds[kind] & VIRTIO_F_IN_ORDER)
			continue;
		if (!merging())
			continue;
		open_and_start(0, 32, 9000, 0);
		fake.held = true;
		for (round = 0; round < 200; round++) {
			count = send_many(1 + round % 9, 100);
			count += (unsigned int)send_one(make(1, 5000, 1900));
			count += send_many(2, 60);
			CHECK_EQ(count, round % 9 + 4);
			for (i = 0; i < count; i++)
				CHECK(transmit_take(&buffers[i]));
			for (i = count; --i;) {
				seed = seed * 1103515245 + 12345;
				swap = buffers[i];
				buffers[i] = buffers[(seed >> 16) % (i + 1)];
				buffers[(seed >> 16) % (i + 1)] = swap;
			}
			for (i = 0; i < count; i++) {
				use(txq(), &buffers[i], 0);
				CHECK_EQ(unic_tx_burst(port, 0, NULL, 0), 0);
			}
			CHECK_EQ(unic_packets_free(port), unic_info(port)->packets - 256);
		}
		close_whole();
	}
}

/* --- Events --- */

TEST(virtio_doorbell_only_when_wanted)
{
	unsigned int i;

	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(32, 32, 0, 0);
		for (i = 0; i < 100; i++) {
			fake.held = i % 2;
			txq()->quiet = fake.held;
			rxq()->quiet = fake.held;
			want_bell(txq());
			want_bell(rxq());
			rxq()->bells = 0;
			txq()->bells = 0;
			CHECK_EQ(send_many(3, 60), 3);
			/* The device has no buffer left: it waits for some. */
			while (receive(1, 60))
				;
			CHECK_EQ(drain(), 32);
			CHECK_EQ(txq()->bells, !fake.held);
			CHECK_EQ(rxq()->bells, !fake.held);
			transmit(UINT32_MAX);
		}
		close_whole();
	}
}

/* An event of a packed ring at each descriptor, in this lap and in the one before. */
TEST(virtio_packed_events)
{
	uint32_t at, *event, round;

	kind = 3;
	open_and_start(16, 16, 0, 0);
	fake.held = true;
	for (round = 0; round < 100; round++) {
		/* Five descriptors are made available, and the event is one of the next 16. */
		for (at = 0; at < 16; at++) {
			event = reach(txq()->device, 4);
			*event = VIRTIO_EVENT_DESC | (txq()->taken + at) % 16 |
				 (lap(txq(), txq()->taken + at) ? 0 : VIRTIO_EVENT_WRAP);
			txq()->bells = 0;
			CHECK_EQ(send_many(5, 60), 5);
			CHECK_EQ(txq()->bells, at < 5);
			transmit(UINT32_MAX);
		}
		CHECK_EQ(send_many(round % 7, 60), round % 7);
		transmit(UINT32_MAX);
	}
	/* A ring that is filled at once passes the event as well. */
	event = reach(txq()->device, 4);
	*event = VIRTIO_EVENT_DESC | txq()->taken % 16 |
		 (lap(txq(), txq()->taken) ? 0 : VIRTIO_EVENT_WRAP);
	txq()->bells = 0;
	CHECK_EQ(send_many(16, 60), 16);
	CHECK_EQ(txq()->bells, 1);
	close_whole();
}

/* Whether the device would raise an interrupt for the next buffer that it uses. */
static bool interrupts(const struct queue *q)
{
	if (packed())
		return !(*(uint32_t *)reach(q->driver, 4) >> 16 & 3);
	if (event_idx())
		return *ring16(q->driver, 2 + q->size) == (uint16_t)q->used;
	return !(*ring16(q->driver, 0) & VIRTIO_AVAIL_F_NO_INTERRUPT);
}

static int frame_during_wait(void)
{
	CHECK(interrupts(rxq()));
	CHECK(receive(1, 60));
	return 0;
}

static int link_during_wait(void)
{
	fake.config[VIRTIO_NET_STATUS] ^= VIRTIO_NET_S_LINK_UP;
	return 0;
}

static int flicker_during_wait(void)
{
	fake.generation++;
	return 0;
}

static int isr_during_wait(void)
{
	fake.isr = VIRTIO_ISR_CONFIG | VIRTIO_ISR_QUEUE;
	return 0;
}

TEST(virtio_wait)
{
	struct unic_link link;
	unsigned int i;

	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(16, 16, 0, 0);
		CHECK_EQ(unic_wait(port, 0, 0), -ETIMEDOUT);
		for (i = 0; i < 70; i++) {
			CHECK(!interrupts(rxq()));
			fake.during_wait = frame_during_wait;
			CHECK_EQ(unic_wait(port, 0, -1), 0);
			CHECK(!interrupts(rxq()));
			CHECK_EQ(unic_wait(port, 0, -1), 0);
			CHECK_EQ(drain(), 1);
		}
		fake.during_wait = link_during_wait;
		CHECK_EQ(unic_wait(port, 0, -1), UNIC_WAIT_LINK);
		CHECK_EQ(unic_link(port, &link), 0);
		CHECK(!link.up && !link.full_duplex && !link.speed_mbps);
		fake.during_wait = NULL;
		CHECK_EQ(unic_wait(port, 0, 0), -ETIMEDOUT);
		fake.during_wait = flicker_during_wait;
		CHECK_EQ(unic_wait(port, 0, -1), UNIC_WAIT_LINK);
		close_whole();
		/* INTx: the device's cause is taken away. */
		plug();
		library.info.num_msix = 0;
		start_with(NULL);
		CHECK_EQ(fake.config_vector, VIRTIO_MSI_NO_VECTOR);
		CHECK_EQ(rxq()->vector, VIRTIO_MSI_NO_VECTOR);
		fake.during_wait = isr_during_wait;
		CHECK_EQ(unic_wait(port, 0, -1), UNIC_WAIT_LINK);
		CHECK_EQ(fake.isr, 0);
		close_whole();
	}
}

/* The event lies behind: it is not met when the counter comes round, after 65536 frames. */
TEST(virtio_interrupts_stay_masked)
{
	unsigned int i;

	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(64, 64, 0, 0);
		for (i = 0; i < 70000; i++) {
			if (interrupts(rxq()))
				HARNESS_FAIL("kind %u: after %u frames", kind, i);
			CHECK(receive(1, 60));
			if (i % 32 == 31)
				CHECK_EQ(drain(), 32);
		}
		close_whole();
	}
}

/* --- Control --- */

TEST(virtio_filters)
{
	static const uint8_t groups[] = { 1, 0, 0x5e, 0, 0, 1, 0x33, 0x33, 0, 0, 0, 2 };
	static const uint8_t other[] = { 2, 0, 0, 0, 0, 9 };
	uint8_t many[UNIC_MULTICAST_MAX][UNIC_MAC_SIZE];
	unsigned int i;

	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(0, 0, 0, 0);
		CHECK_EQ(unic_receive_mode(port, UNIC_RECEIVE_ALL), 0);
		CHECK(fake.promiscuous && !fake.allmulti);
		CHECK_EQ(unic_receive_mode(port, UNIC_RECEIVE_ALL_MULTICAST), 0);
		CHECK(!fake.promiscuous && fake.allmulti);
		CHECK_EQ(unic_multicast_set(port, groups, 2), 0);
		CHECK_EQ(fake.table_size, 4 + 4 + 12);
		CHECK_EQ(fake.table[0], 0);
		CHECK_EQ(fake.table[4], 2);
		CHECK(!memcmp(fake.table + 8, groups, 12));
		CHECK_EQ(unic_mac_set(port, other), 0);
		CHECK(!memcmp(fake.mac, other, 6));
		memset(many, 0x33, sizeof(many));
		CHECK_EQ(unic_multicast_set(port, many[0], UNIC_MULTICAST_MAX), 0);
		CHECK_EQ(fake.table_size, 4 + 4 + sizeof(many));
		/* All that after a reset as well. */
		memset(fake.mac, 0, 6);
		fake.allmulti = 0;
		fake.table_size = 0;
		CHECK_EQ(unic_stop(port), 0);
		CHECK_EQ(unic_start(port), 0);
		CHECK(!memcmp(fake.mac, other, 6));
		CHECK(fake.allmulti && fake.table_size == 8 + sizeof(many));
		for (i = 0; i < 100; i++)
			CHECK_EQ(unic_receive_mode(port, i % 2), 0);
		fake.answer = 1;
		CHECK_EQ(unic_receive_mode(port, 0), -EIO);
		fake.answer = 0;
		/* One that does not answer has a second, once. */
		fake.deaf = kind % 3 == 0;
		CHECK_EQ(unic_receive_mode(port, 0), fake.deaf ? -ETIMEDOUT : 0);
		CHECK_EQ(unic_receive_mode(port, 0), fake.deaf ? -EIO : 0);
		fake.deaf = false;
		CHECK_EQ(unic_stop(port), 0);
		CHECK_EQ(unic_start(port), 0);
		CHECK_EQ(unic_receive_mode(port, 0), 0);
		close_whole();
	}
	plug();
	fake.features &= ~VIRTIO_NET_F_CTRL_VQ;
	start_with(NULL);
	CHECK_EQ(unic_receive_mode(port, UNIC_RECEIVE_ALL), 0);
	CHECK_EQ(unic_mac_set(port, other), -EOPNOTSUPP);
	CHECK_EQ(unic_mac_set(port, mac), 0);
	CHECK(!fake.queues[2].enabled);
	close_whole();
}

TEST(virtio_link)
{
	uint32_t speed = 25000;
	struct unic_link link;

	plug();
	start_with(NULL);
	CHECK_EQ(unic_link(port, &link), 0);
	CHECK(link.up && link.full_duplex && !link.speed_mbps);
	fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	CHECK_EQ(unic_link(port, &link), -EIO);
	fake.gone = true;
	CHECK_EQ(unic_link(port, &link), -ENODEV);
	fake.gone = false;
	fake.status = 15;
	close_whole();
	plug();
	fake.features |= VIRTIO_NET_F_SPEED_DUPLEX;
	memcpy(fake.config + VIRTIO_NET_SPEED, &speed, 4);
	start_with(NULL);
	CHECK_EQ(unic_link(port, &link), 0);
	CHECK(link.up && !link.full_duplex && link.speed_mbps == 25000);
	fake.config[VIRTIO_NET_DUPLEX] = 1;
	CHECK_EQ(unic_link(port, &link), 0);
	CHECK(link.full_duplex);
	close_whole();
}

/* --- Lies --- */

/* After a lie about the ring itself the queue is dead, and a start makes it whole. */
static void check_dead_rx(void)
{
	struct unic_packet *packets[BURST];
	int n, i;

	for (i = 0; i < 40; i++) {
		n = unic_rx_burst(port, 0, packets, BURST);
		if (n < 0)
			break;
		unic_packet_free_burst(packets, (unsigned int)n);
	}
	CHECK_EQ(n, -EIO);
	CHECK_EQ(unic_wait(port, 0, 0), 0);
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), -EIO);
	CHECK(stats_now().rx_errors);
	CHECK_EQ(unic_stop(port), 0);
	check_pools();
	CHECK_EQ(unic_start(port), 0);
	CHECK(receive(9, 99));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 1);
	CHECK(holds(packets[0], 9, 99));
	unic_packet_free(packets[0]);
	close_whole();
}

TEST(virtio_lies_about_received_buffers)
{
	static const uint32_t ids[] = { 16, 17, 255, 0x7fff, 0xffff };
	unsigned int i;

	for (kind = 0; kind < KINDS; kind++) {
		for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
			open_and_start(16, 16, 0, 0);
			CHECK(receive(1, 60));
			use_ahead(rxq(), 0, ids[i], 72);
			used_up(rxq(), 1);
			check_dead_rx();
		}
		if (kinds[kind] & VIRTIO_F_RING_PACKED)
			continue;
		/* Indices that run away. */
		for (i = 17; i < 65536; i = i * 5 + 1) {
			unsigned int n;

			open_and_start(16, 16, 0, 0);
			/* Two laps, and the ring is full of what looks like frames. */
			for (n = 0; n < 32; n++) {
				CHECK(receive(1, 60));
				if (n % 16 == 15)
					CHECK_EQ(drain(), 16);
			}
			used_up(rxq(), i);
			CHECK_EQ(drain(), 0);
			check_dead_rx();
		}
		open_and_start(16, 16, 0, 0);
		use_ahead(rxq(), 0, 0x10000, 72);
		used_up(rxq(), 1);
		check_dead_rx();
	}
}

/* The same buffer twice. The second is one that the driver has not offered yet. */
TEST(virtio_lies_used_twice)
{
	struct buffer b;
	unsigned int i;

	for (kind = 0; kind < KINDS; kind++) {
		open_and_start(16, 16, 0, 0);
		for (i = 0; i < 3; i++)
			CHECK(receive(1, 60));
		CHECK(take(rxq(), &b));
		use(rxq(), &b, 72);
		use(rxq(), &b, 72);
		/* In a packed ring the driver offers it again as soon as it has seen it. */
		if (packed()) {
			(void)drain();
			close_whole();
		} else {
			check_dead_rx();
		}
	}
}

TEST(virtio_lies_about_lengths)
{
	static const uint32_t lengths[] = { 0,	       1,    11,    12,	   25,	       2061,
					    2049 + 12, 4096, 65535, 65536, 0x7fffffff, 0xffffffff };
	struct unic_packet *packets[BURST];
	struct buffer b;
	unsigned int i;

	for (kind = 0; kind < 2 * KINDS; kind++) {
		/* The second time a longer frame would be right, in several buffers. */
		open_and_start(16, 16, kind < KINDS ? 1500 : most_mtu(), 0);
		for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			CHECK(take(rxq(), &b));
			memset(reach(b.pieces[0].iova, 12), 0, 12);
			*((uint8_t *)reach(b.pieces[0].iova, 12) + 10) = 1;
			use(rxq(), &b, lengths[i]);
			CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 0);
			CHECK_EQ(stats_now().rx_errors, i + 1);
			CHECK(receive(3, 1518));
			CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 1);
			CHECK(holds(packets[0], 3, 1518));
			unic_packet_free(packets[0]);
		}
		close_whole();
	}
}

/* Frames of no buffers, or more than are there. */
TEST(virtio_lies_about_merged_buffers)
{
	static const uint16_t counts[] = { 0, 2, 3, 16, 17, 255, 0x7fff, 0xffff };
	struct unic_packet *packets[BURST];
	struct buffer b;
	unsigned int i;
	uint8_t *header;

	for (kind = 0; kind < KINDS; kind++) {
		if (!merging())
			continue;
		open_and_start(16, 16, 9000, 0);
		for (i = 0; i < 3 * sizeof(counts) / sizeof(counts[0]); i++) {
			CHECK(take(rxq(), &b));
			header = reach(b.pieces[0].iova, 12);
			memset(header, 0, 12);
			memcpy(header + 10, &counts[i / 3], 2);
			use(rxq(), &b, 1000);
			CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 0);
			CHECK_EQ(stats_now().rx_errors, i + 1);
			CHECK(receive(3, 5000));
			CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 1);
			CHECK(holds(packets[0], 3, 5000));
			unic_packet_free(packets[0]);
		}
		close_whole();
	}
}

static void check_dead_tx(void)
{
	int i, n = 0;

	for (i = 0; i < 3 && n >= 0; i++)
		n = unic_tx_burst(port, 0, NULL, 0);
	CHECK_EQ(n, -EIO);
	CHECK_EQ(send_one(make(1, 60, 100)), -EIO);
	CHECK_EQ(unic_stop(port), 0);
	check_pools();
	fake.held = false;
	CHECK_EQ(unic_start(port), 0);
	fake.sent_count = 0;
	CHECK_EQ(send_many(3, 80), 3);
	CHECK(was_sent(2, 2, 80));
	close_whole();
}

TEST(virtio_lies_about_sent_buffers)
{
	static const uint32_t ids[] = { 5, 6, 15, 16, 255, 0xffff };
	unsigned int i;

	for (kind = 0; kind < KINDS; kind++) {
		/* Five were sent, the second of them a chain of two. */
		for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
			if (kinds[kind] & VIRTIO_F_IN_ORDER &&
			    !(kinds[kind] & VIRTIO_F_RING_PACKED))
				continue; /* it does not say which */
			open_and_start(16, 16, 0, 0);
			fake.held = true;
			CHECK_EQ(send_many(1, 60), 1);
			CHECK_EQ(send_one(make(1, 100, 50)), 1);
			CHECK_EQ(send_many(2, 60), 2);
			use_ahead(txq(), 0, ids[i], 0);
			used_up(txq(), 1);
			check_dead_tx();
			/* Inside of the chain. */
			open_and_start(16, 16, 0, 0);
			fake.held = true;
			CHECK_EQ(send_many(1, 60), 1);
			CHECK_EQ(send_one(make(1, 100, 50)), 1);
			CHECK_EQ(send_many(2, 60), 2);
			use_ahead(txq(), 0, 2, 0);
			used_up(txq(), 1);
			check_dead_tx();
		}
		if (kinds[kind] & VIRTIO_F_RING_PACKED)
			continue;
		for (i = 4; i < 65536; i = i * 5 + 1) {
			open_and_start(16, 16, 0, 0);
			fake.held = true;
			CHECK_EQ(send_many(3, 60), 3);
			used_up(txq(), i);
			check_dead_tx();
		}
	}
}

/* Sent twice: once early, which is right, and again. */
TEST(virtio_lies_sent_twice)
{
	for (kind = 0; kind < KINDS; kind++) {
		if (kinds[kind] & VIRTIO_F_IN_ORDER)
			continue;
		open_and_start(16, 16, 0, 0);
		fake.held = true;
		CHECK_EQ(send_many(5, 60), 5);
		use_ahead(txq(), 0, 3, 0);
		use_ahead(txq(), 1, 3, 0);
		used_up(txq(), 2);
		check_dead_tx();
	}
}

/* Anything at all in what the device may write, while frames are sent and received. */
static uint32_t random_next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void scribble(uint32_t *seed)
{
	struct queue *q = random_next(seed) % 2 ? rxq() : txq();
	uint32_t small = random_next(seed) % 4, id = random_next(seed) % 20, length;
	struct buffer b;
	uint8_t *header;

	length = random_next(seed) % 3 ? 72 : random_next(seed) % 2400;
	switch (random_next(seed) % 6) {
	case 0:
		use_ahead(q, small, id, length);
		break;
	case 1:
		use_ahead(q, 0, q->used % 16, length);
		used_up(q, small);
		break;
	case 2:
		if (packed())
			desc_at(q, id % 16)->word = (uint64_t)random_next(seed) << 40 | length;
		else
			*ring16(q->device, 1) = (uint16_t)(q->used + small);
		break;
	case 3:
		if (!take(rxq(), &b))
			break;
		header = reach(b.pieces[0].iova, 12);
		header[10] = (uint8_t)small;
		header[random_next(seed) % 12] = (uint8_t)id;
		use(rxq(), &b, length);
		break;
	case 4:
		*(uint32_t *)reach(q->device, 4) = random_next(seed);
		break;
	default:
		use_ahead(q, 0, q->used % 16, 100);
		used_up(q, 1);
	}
}

TEST(virtio_lies_at_random)
{
	struct unic_packet *packets[BURST];
	uint32_t seed = 1, round, step;
	unsigned int i;
	int n;

	for (kind = 0; kind < KINDS; kind++) {
		for (round = 0; round < 300; round++) {
			open_and_start(16, 16, round % 2 ? most_mtu() : 1500, 0);
			fake.held = true;
			fake.lies = true;
			for (step = 0; step < 40; step++) {
				for (i = random_next(&seed) % 4; i; i--)
					scribble(&seed);
				n = unic_rx_burst(port, 0, packets, random_next(&seed) % BURST);
				if (n > 0)
					unic_packet_free_burst(packets, (unsigned int)n);
				if (random_next(&seed) % 2)
					(void)send_one(
						make(1, 64 + random_next(&seed) % 1400, 400));
			}
			/* The stop does not wait for frames to leave. */
			fake.status |= VIRTIO_STATUS_NEEDS_RESET;
			CHECK_EQ(unic_stop(port), 0);
			check_pools();
			library.wrong = 0; /* a doorbell may be told of in vain */
			close_whole();
		}
	}
}

TEST_MAIN
