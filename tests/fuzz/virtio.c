/* SPDX-License-Identifier: MIT */
/*
 * A virtio network device, with split or packed rings.
 *
 * It reads what the driver makes available, and looks whether it may be so, before it writes to a
 * ring what is wrong: what it believes to have is true as long as it did not lie about it. It
 * writes where a device may: the used ring, all of a packed ring, and the buffers.
 */
#include <string.h>

#include "drivers/virtio/regs.h"
#include "fuzz.h"

#define BAR	   4
#define PART	   0x1000 /* of the BAR: common, interrupt status, configuration, doorbells */
#define PAIRS_MAX  4
#define QUEUES_MAX (2 * PAIRS_MAX + 1)
#define RING_MIN   2
#define HEADER	   VIRTIO_NET_HEADER
#define FRAME_FILL 64 /* bytes of a buffer that are really written */
#define CONFIG_END 20

struct variant {
	bool packed;
};

/* What the driver has made available. */
struct buffer {
	uint16_t id, descs;
	uint64_t address; /* of the last descriptor */
	uint32_t size;
	bool write;
};

struct queue {
	uint16_t size, vector, enabled;
	uint64_t desc, driver, device;
	uint32_t avail, used; /* positions */
	uint32_t count;	      /* of the buffers that the device has */
	bool lied;	      /* the driver may believe otherwise */
	/* From here on a reset leaves it as it is. */
	struct buffer buffers[FUZZ_RING_MAX];
	uint64_t wrote[FUZZ_RING_MAX]; /* packed: what the device has left in a descriptor */
};

static struct {
	uint8_t common[VIRTIO_COMMON_END], config[CONFIG_END], isr;
	struct queue queues[QUEUES_MAX];
	uint32_t pairs;
	uint64_t offered, accepted;
	uint16_t biggest;
	bool strange; /* its capabilities are wrong */
	bool mute;    /* commands get no answer */
	uint8_t ack;  /* or this one */
	bool at_once; /* what is queued is sent at once */
} net;

static bool is_packed(void)
{
	return net.accepted & VIRTIO_F_RING_PACKED;
}

static void *memory(uint64_t iova, uint64_t size)
{
	void *va = fuzz_memory(iova, size);

	FUZZ_CHECK(va);
	return va;
}

/* --- What the driver gives --- */

static uint32_t control_index(void)
{
	return net.accepted & VIRTIO_NET_F_MQ ? 2 * net.pairs : 2;
}

static bool is_control(const struct queue *q)
{
	return q == &net.queues[control_index()];
}

static void look(const struct queue *q, struct buffer *b, uint64_t address, uint32_t size,
		 bool write)
{
	FUZZ_CHECK(size);
	FUZZ_CHECK(fuzz_memory(address, size));
	/* Headers and commands lie beside the ring. */
	if (fuzz_memory(q->desc, 1) != fuzz_memory_of(address, &(uint64_t){ 0 }))
		FUZZ_CHECK(fuzz_is_buffer(address, size));
	b->address = address;
	b->size = size;
	b->write = write;
	FUZZ_CHECK(++b->descs <= q->size);
}

static void take(struct queue *q, const struct buffer *b)
{
	bool rx = (q - net.queues) % 2 == 0 && !is_control(q);
	uint32_t i;

	FUZZ_CHECK(b->id < q->size);
	FUZZ_CHECK(fuzz.lied || b->write == (rx || is_control(q)));
	if (!q->lied)
		for (i = 0; i < q->count; i++)
			FUZZ_CHECK(q->buffers[i].id != b->id);
	if (q->count < q->size)
		q->buffers[q->count++] = *b;
	else
		FUZZ_CHECK(q->lied);
}

static void fetch_split(struct queue *q)
{
	const struct virtio_avail *avail = memory(q->driver, 4 + 2ull * q->size);
	const struct virtio_desc *desc = memory(q->desc, 16ull * q->size);

	FUZZ_CHECK((uint16_t)(avail->idx - q->avail) <= q->size);
	for (; (uint16_t)q->avail != avail->idx; q->avail++) {
		uint16_t at = avail->ring[q->avail % q->size];
		struct buffer b = { .id = at };
		uint64_t flags;

		do {
			FUZZ_CHECK(at < q->size);
			flags = desc[at].word >> VIRTIO_SPLIT_FLAGS;
			look(q, &b, desc[at].address, (uint32_t)desc[at].word,
			     flags & VIRTIO_DESC_F_WRITE);
			at = (uint16_t)(desc[at].word >> VIRTIO_SPLIT_NEXT);
		} while (flags & VIRTIO_DESC_F_NEXT);
		take(q, &b);
	}
}

static bool wraps(const struct queue *q, uint32_t position)
{
	return !(position / q->size % 2);
}

/* Whether the driver has written there since the device did. */
static bool is_available(const struct queue *q, const struct virtio_desc *desc)
{
	uint32_t index = q->avail % q->size;
	uint64_t word = desc[index].word;

	return !!(word & VIRTIO_PACKED_AVAIL) == wraps(q, q->avail) &&
	       !!(word & VIRTIO_PACKED_USED) != wraps(q, q->avail) && word != q->wrote[index];
}

static void fetch_packed(struct queue *q)
{
	const struct virtio_desc *desc = memory(q->desc, 16ull * q->size);
	uint64_t flags;

	while (is_available(q, desc)) {
		struct buffer b = { 0 };

		do {
			const struct virtio_desc *d = &desc[q->avail++ % q->size];

			flags = d->word >> VIRTIO_PACKED_FLAGS;
			b.id = (uint16_t)(d->word >> VIRTIO_PACKED_ID);
			look(q, &b, d->address, (uint32_t)d->word, flags & VIRTIO_DESC_F_WRITE);
		} while (flags & VIRTIO_DESC_F_NEXT);
		take(q, &b);
	}
}

static bool is_live(const struct queue *q)
{
	return q->enabled && fuzz.bus_master &&
	       net.common[VIRTIO_DEVICE_STATUS] & VIRTIO_STATUS_DRIVER_OK;
}

static void fetch(struct queue *q)
{
	if (!is_live(q))
		return;
	if (is_packed())
		fetch_packed(q);
	else
		fetch_split(q);
}

/* --- What the device gives back --- */

static void used_split(struct queue *q, uint32_t id, uint32_t length, uint32_t count)
{
	struct virtio_used *used = fuzz_dma(q->device, 4 + 8ull * q->size);

	if (!used)
		return;
	used->ring[2 * (q->used % q->size)] = id;
	used->ring[2 * (q->used % q->size) + 1] = length;
	q->used += count;
	used->idx = (uint16_t)q->used;
}

static void used_packed(struct queue *q, uint64_t id, uint32_t length, uint32_t descs)
{
	struct virtio_desc *desc = fuzz_dma(q->desc, 16ull * q->size);
	uint32_t index = q->used % q->size;

	if (!desc)
		return;
	desc[index].word = length | id << VIRTIO_PACKED_ID;
	if (wraps(q, q->used))
		desc[index].word |= VIRTIO_PACKED_AVAIL | VIRTIO_PACKED_USED;
	q->wrote[index] = desc[index].word;
	q->used += descs;
}

/* The @which-th buffer, and where one answer is enough all before it. */
static void use(struct queue *q, uint32_t which, uint32_t length, bool batch)
{
	struct buffer b = q->buffers[which];
	uint32_t from = which, descs = b.descs, i;

	if (batch)
		for (from = 0, descs = 0, i = 0; i <= which; i++)
			descs += q->buffers[i].descs;
	if (is_packed())
		used_packed(q, b.id, length, descs);
	else
		used_split(q, b.id, length, which - from + 1);
	memmove(q->buffers + from, q->buffers + which + 1,
		(q->count - which - 1) * sizeof(q->buffers[0]));
	q->count -= which - from + 1;
}

/* Which buffer is next: the oldest one, or any, where that is allowed. */
static uint32_t next_of(const struct queue *q, bool any)
{
	return any && !(net.accepted & VIRTIO_F_IN_ORDER) ? fuzz_u8() % q->count : 0;
}

static void send(struct queue *q, uint32_t count, bool any)
{
	bool batch = any && net.accepted & VIRTIO_F_IN_ORDER;

	fetch(q);
	for (; count && q->count; count--)
		use(q, batch ? fuzz_u8() % q->count : next_of(q, any), 0, batch);
}

/* A buffer with a header in front, or not, and whatever length. */
static void receive_one(struct queue *q, uint32_t which, const struct virtio_net_hdr *header,
			uint32_t length)
{
	const struct buffer *b = &q->buffers[which];
	uint8_t *data = fuzz_dma(b->address, b->size);

	if (!data || b->size < 2 * FRAME_FILL) {
		use(q, which, length, false);
		return;
	}
	memset(data, (int)length, FRAME_FILL);
	if (header)
		memcpy(data, header, sizeof(*header));
	use(q, which, length, false);
}

static uint32_t room_of(const struct queue *q)
{
	return q->count ? q->buffers[0].size : 0;
}

/* As a device should. @kind: what the header says of checksums. */
static void receive_frame(struct queue *q, uint32_t length, uint8_t kind)
{
	struct virtio_net_hdr header = { .flags = kind & 3, .num_buffers = 1 };
	const struct virtio_net_hdr *first = &header;
	bool any = kind & 4;
	uint32_t room, size;

	fetch(q);
	room = room_of(q);
	length += HEADER;
	if (!room)
		return;
	if (header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		header.csum_start = 14 + 20;
		header.csum_offset = 16;
	}
	if (net.accepted & VIRTIO_NET_F_MRG_RXBUF)
		header.num_buffers = (uint16_t)((length + room - 1) / room);
	else if (length > room)
		length = room;
	if (header.num_buffers > q->count)
		return;
	for (; length; length -= size, first = NULL) {
		size = length < room ? length : room;
		receive_one(q, next_of(q, any), first, size);
	}
}

static void receive_many(struct queue *q)
{
	uint32_t count = fuzz_u8(), length = 14 + fuzz_u16() % 1600;

	while (count--)
		receive_frame(q, length, 0);
}

/* --- What a device should not do --- */

/* A header of any content, and a length of any. */
static void receive_wrong(struct queue *q)
{
	struct virtio_net_hdr header;
	uint32_t i, length;

	for (i = 0; i < sizeof(header); i++)
		((uint8_t *)&header)[i] = fuzz_u8();
	length = fuzz_u16();
	fetch(q);
	if (q->count)
		receive_one(q, next_of(q, true), &header, length);
}

static void receive_wrong_buffers(struct queue *q)
{
	struct virtio_net_hdr header = { .num_buffers = fuzz_u8() };
	uint32_t length = fuzz_u16() % 2100, count = fuzz_u8();

	fetch(q);
	for (; count && q->count; count--)
		receive_one(q, 0, &header, length);
}

/* What was not there is used. */
static void use_wrong(struct queue *q)
{
	uint32_t id = fuzz_u16(), length = fuzz_u32(), count = fuzz_u8();

	fetch(q);
	if (!is_live(q))
		return;
	q->lied = true;
	if (is_packed())
		used_packed(q, id % 0x10000, length, count % 16);
	else
		used_split(q, id % 2 ? id : id / 2 % q->size, length, count);
}

/* The index jumps; or the events say something else. */
static void index_wrong(struct queue *q)
{
	uint16_t value = fuzz_u16();
	struct virtio_used *used;
	uint32_t *event;

	fetch(q);
	if (!is_live(q))
		return;
	if (is_packed()) {
		event = fuzz_dma(q->device, 4);
		if (event)
			*event = value | (uint32_t)fuzz_u8() << 16;
		return;
	}
	used = fuzz_dma(q->device, 6 + 8ull * q->size);
	if (!used)
		return;
	switch (fuzz_u8() % 3) {
	case 0:
		q->lied = true;
		used->idx = value;
		break;
	case 1:
		used->flags = value;
		break;
	default:
		memcpy(&used->ring[2 * q->size], &value, sizeof(value));
	}
}

static void write_raw(struct queue *q)
{
	uint32_t index = fuzz_u16();
	struct virtio_desc *desc;
	struct virtio_used *used;

	fetch(q);
	if (!is_live(q))
		return;
	q->lied = true;
	index %= q->size;
	if (is_packed()) {
		desc = fuzz_dma(q->desc, 16ull * q->size);
		if (!desc)
			return;
		desc[index].address = fuzz_u64();
		desc[index].word = q->wrote[index] = fuzz_u64();
	} else {
		used = fuzz_dma(q->device, 4 + 8ull * q->size);
		if (!used)
			return;
		used->ring[2 * index] = fuzz_u32();
		used->ring[2 * index + 1] = fuzz_u32();
	}
}

static void configure(void)
{
	uint8_t what = fuzz_u8();

	switch (what % 8) {
	case 0:
		net.config[VIRTIO_NET_STATUS] ^= VIRTIO_NET_S_LINK_UP;
		break;
	case 1:
		net.config[(what >> 3) % CONFIG_END] = fuzz_u8();
		break;
	case 2:
		net.common[VIRTIO_DEVICE_STATUS] |= VIRTIO_STATUS_NEEDS_RESET;
		break;
	case 3:
		net.mute = !net.mute;
		break;
	case 4:
		net.ack = fuzz_u8();
		break;
	case 5:
		net.at_once = !net.at_once;
		break;
	case 6:
		net.biggest = fuzz_u16();
		break;
	case 7:
		net.offered ^= 1ull << fuzz_u8() % 64;
		break;
	}
	fuzz.lied = fuzz.lied || what % 8 == 1 || what % 8 == 7;
	net.common[VIRTIO_CONFIG_GENERATION]++;
	net.isr |= VIRTIO_ISR_CONFIG;
}

static void virtio_act(void)
{
	uint8_t what = fuzz_u8();
	uint32_t pair = (what >> 4) % net.pairs;
	struct queue *rx = &net.queues[2 * pair], *tx = rx + 1;
	struct queue *either = what & 0x80 ? rx : tx;

	switch (what % 16) {
	case 0:
	case 1:
		receive_frame(rx, 60 + fuzz_u8(), 0);
		break;
	case 2:
		receive_frame(rx, 14 + fuzz_u16() % 9200, fuzz_u8());
		break;
	case 3:
		receive_many(rx);
		break;
	case 4:
		receive_wrong(rx);
		break;
	case 5:
		receive_wrong_buffers(rx);
		break;
	case 6:
	case 7:
		send(tx, UINT32_MAX, false);
		break;
	case 8:
		send(tx, fuzz_u8(), true);
		break;
	case 9:
	case 10:
		use_wrong(what & 1 ? rx : tx);
		break;
	case 11:
		index_wrong(either);
		break;
	case 12:
		write_raw(either);
		break;
	case 13:
		use_wrong(&net.queues[control_index()]);
		break;
	default:
		configure();
	}
}

/* --- Registers --- */

/* The answer is the last byte of the command. */
static void answer(struct queue *q)
{
	uint8_t *ack;

	fetch(q);
	while (q->count && !net.mute) {
		ack = fuzz_dma(q->buffers[0].address, 1);
		if (ack)
			*ack = net.ack;
		use(q, 0, 1, false);
	}
}

static void bell(uint32_t index)
{
	struct queue *q;

	FUZZ_CHECK(fuzz.lied || index < QUEUES_MAX);
	if (index >= QUEUES_MAX)
		return;
	q = &net.queues[index];
	fetch(q);
	if (is_control(q))
		answer(q);
	else if (index % 2 && net.at_once)
		send(q, UINT32_MAX, false);
}

static struct queue *selected(void)
{
	uint16_t index;

	memcpy(&index, net.common + VIRTIO_QUEUE_SELECT, sizeof(index));
	return index < QUEUES_MAX ? &net.queues[index] : NULL;
}

FUZZ_NO_NEWS static uint64_t common_read(uint64_t at, unsigned int width)
{
	const struct queue *q = selected();
	uint16_t count = QUEUES_MAX, index = q ? (uint16_t)(q - net.queues) : 0, size = net.biggest;
	uint32_t sel = net.common[VIRTIO_DEVICE_FEATURE_SEL], features;
	uint64_t value = 0;

	features = sel > 1 ? 0 : (uint32_t)(net.offered >> 32 * sel);
	memcpy(net.common + VIRTIO_DEVICE_FEATURE, &features, 4);
	memcpy(net.common + VIRTIO_NUM_QUEUES, &count, 2);
	if (q) {
		memcpy(net.common + VIRTIO_QUEUE_SIZE, q->size ? &q->size : &size, 2);
		memcpy(net.common + VIRTIO_QUEUE_MSIX_VECTOR, &q->vector, 2);
		memcpy(net.common + VIRTIO_QUEUE_ENABLE, &q->enabled, 2);
		memcpy(net.common + VIRTIO_QUEUE_NOTIFY_OFF, &index, 2);
	}
	FUZZ_CHECK(fuzz.lied || at + width <= VIRTIO_COMMON_END);
	if (at + width <= VIRTIO_COMMON_END)
		memcpy(&value, net.common + at, width);
	return value;
}

static void queue_write(struct queue *q, uint64_t at, uint64_t value)
{
	switch (at) {
	case VIRTIO_QUEUE_SIZE:
		FUZZ_CHECK(fuzz.lied || (value >= RING_MIN && value <= FUZZ_RING_MAX));
		q->size = value <= FUZZ_RING_MAX ? (uint16_t)value : 0;
		break;
	case VIRTIO_QUEUE_MSIX_VECTOR:
		q->vector = (uint16_t)value;
		break;
	case VIRTIO_QUEUE_ENABLE:
		memcpy(&q->desc, net.common + VIRTIO_QUEUE_DESC, 8);
		memcpy(&q->driver, net.common + VIRTIO_QUEUE_DRIVER, 8);
		memcpy(&q->device, net.common + VIRTIO_QUEUE_DEVICE, 8);
		FUZZ_CHECK(fuzz.lied || (value == 1 && q->size));
		/* One that does not know where its parts are touches no memory. */
		q->enabled = q->size && !net.strange;
		memset(q->wrote, 0, q->size * sizeof(q->wrote[0]));
		break;
	}
}

static void reset(void)
{
	uint32_t i;

	for (i = 0; i < QUEUES_MAX; i++)
		memset(&net.queues[i], 0, offsetof(struct queue, buffers));
	net.accepted = 0;
}

static void common_write(uint64_t at, unsigned int width, uint64_t value)
{
	uint32_t sel;

	FUZZ_CHECK(fuzz.lied || at + width <= VIRTIO_COMMON_END);
	if (at + width > VIRTIO_COMMON_END)
		return;
	memcpy(net.common + at, &value, width);
	if (at == VIRTIO_DRIVER_FEATURE) {
		sel = net.common[VIRTIO_DRIVER_FEATURE_SEL] & 1;
		net.accepted &= ~(0xffffffffull << 32 * sel);
		net.accepted |= value << 32 * sel;
		FUZZ_CHECK(fuzz.lied || !(net.accepted & ~net.offered));
	}
	if (at == VIRTIO_DEVICE_STATUS && !value)
		reset();
	if (at > VIRTIO_QUEUE_SELECT && selected())
		queue_write(selected(), at, value);
}

FUZZ_NO_NEWS static uint64_t virtio_read(unsigned int bar, uint64_t offset, unsigned int width)
{
	uint64_t at = offset % PART, value = 0;

	FUZZ_CHECK(bar == BAR);
	switch (offset / PART) {
	case 0:
		return common_read(at, width);
	case 1:
		value = net.isr;
		net.isr = 0;
		return value;
	case 2:
		FUZZ_CHECK(fuzz.lied || at + width <= CONFIG_END);
		if (at + width <= CONFIG_END)
			memcpy(&value, net.config + at, width);
		return value;
	default:
		return 0;
	}
}

static void virtio_write(unsigned int bar, uint64_t offset, unsigned int width, uint64_t value)
{
	FUZZ_CHECK(bar == BAR);
	if (offset / PART == 0)
		common_write(offset % PART, width, value);
	else if (offset / PART == 3)
		bell((uint32_t)value);
}

/* --- What it is --- */

static void capability(uint8_t at, uint8_t next, uint8_t type, uint32_t offset, uint32_t size)
{
	const uint8_t length = type == VIRTIO_PCI_CAP_NOTIFY_CFG ? 20 : 16;
	const uint32_t multiplier = 4;
	uint8_t *cap = fuzz.config + at;

	cap[0] = VIRTIO_PCI_CAP_VENDOR;
	cap[1] = next;
	cap[VIRTIO_PCI_CAP_LENGTH] = length;
	cap[VIRTIO_PCI_CAP_TYPE] = type;
	cap[VIRTIO_PCI_CAP_BAR] = BAR;
	memcpy(cap + VIRTIO_PCI_CAP_OFFSET, &offset, 4);
	memcpy(cap + VIRTIO_PCI_CAP_SIZE, &size, 4);
	if (length == 20)
		memcpy(cap + VIRTIO_PCI_CAP_MULTIPLIER, &multiplier, 4);
}

/* Now and then something else than it should be. */
static void capabilities(void)
{
	uint8_t wrong = fuzz_u8();

	fuzz.config[0x34] = 0x40;
	capability(0x40, 0x54, VIRTIO_PCI_CAP_COMMON_CFG, 0, VIRTIO_COMMON_END);
	capability(0x54, 0x68, VIRTIO_PCI_CAP_ISR_CFG, PART, 1);
	capability(0x68, 0x7c, VIRTIO_PCI_CAP_DEVICE_CFG, 2 * PART, CONFIG_END);
	capability(0x7c, 0, VIRTIO_PCI_CAP_NOTIFY_CFG, 3 * PART, PART);
	if (wrong < 0xf0)
		return;
	fuzz.config[0x34 + fuzz_u8() % 0x60] = fuzz_u8();
	fuzz.lied = net.strange = true;
}

static void virtio_plug(void)
{
	static const uint8_t mac[] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
	const struct variant *v = fuzz.target->variant;
	const uint64_t always = VIRTIO_F_VERSION_1 | VIRTIO_NET_F_MAC;
	uint16_t mtu = 9000, pairs, without = fuzz_u16();
	uint32_t i;
	static const uint64_t optional[] = {
		VIRTIO_F_EVENT_IDX,	VIRTIO_F_IN_ORDER,	    VIRTIO_NET_F_MRG_RXBUF,
		VIRTIO_NET_F_CSUM,	VIRTIO_NET_F_GUEST_CSUM,    VIRTIO_NET_F_STATUS,
		VIRTIO_NET_F_MTU,	VIRTIO_NET_F_CTRL_VQ,	    VIRTIO_NET_F_CTRL_RX,
		VIRTIO_NET_F_MQ,	VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_HOST_TSO4,
		VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_SPEED_DUPLEX,
	};

	reset();
	memset(net.common, 0, sizeof(net.common));
	memset(net.config, 0, sizeof(net.config));
	net.isr = net.ack = 0;
	net.strange = net.mute = false;
	net.at_once = fuzz_u8() & 1;
	net.biggest = FUZZ_RING_MAX;
	net.pairs = pairs = (uint16_t)(1 + fuzz_u8() % PAIRS_MAX);
	net.offered = always | (v->packed ? VIRTIO_F_RING_PACKED : 0);
	for (i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (!(without & 1u << i))
			net.offered |= optional[i];
	memcpy(net.config + VIRTIO_NET_MAC, mac, sizeof(mac));
	memcpy(net.config + VIRTIO_NET_MTU, &mtu, 2);
	memcpy(net.config + VIRTIO_NET_MAX_PAIRS, &pairs, 2);
	net.config[VIRTIO_NET_STATUS] = VIRTIO_NET_S_LINK_UP;
	capabilities();
	fuzz.bar_size[BAR] = 4 * PART;
	fuzz.info.num_intx = 1;
	fuzz.info.num_msix = without & 0x8000 ? 0 : 5;
}

static const struct fuzz_model virtio_model = {
	.plug = virtio_plug,
	.read = virtio_read,
	.write = virtio_write,
	.act = virtio_act,
};

const struct fuzz_target fuzz_virtio_split = {
	.name = "virtio-net-split",
	.model = &virtio_model,
	.vendor = 0x1af4,
	.device = 0x1041,
	.variant = &(const struct variant){ .packed = false },
};

const struct fuzz_target fuzz_virtio_packed = {
	.name = "virtio-net-packed",
	.model = &virtio_model,
	.vendor = 0x1af4,
	.device = 0x1000,
	.variant = &(const struct variant){ .packed = true },
};
