/* SPDX-License-Identifier: MIT */
/*
 * Intel's gigabit controllers, as far as their drivers can tell.
 *
 * What a driver gives to the device is looked at as the tail is written, and kept: what is done to
 * the rings later misleads the driver, not the model. So a descriptor that points beyond a packet's
 * buffer is the driver's fault, always.
 */
#include <string.h>

#include "drivers/intel/regs.h"
#include "fuzz.h"

#define REGS_SIZE  0x10000
#define BUFFER	   2048		       /* bytes, as RCTL and SRRCTL say */
#define FILL_MAX   64		       /* bytes of a buffer that are really written */
#define EERD_DONES (1u << 1 | 1u << 4) /* by device one or the other */

struct variant {
	uint32_t rx_base, tx_base, stride; /* of the ring registers */
	uint32_t queues;
	bool advanced_rx; /* the format of what is received: DD is the lowest bit */
	bool advanced_tx; /* of what is sent: contexts are type 2, data 3 */
	bool enables;	  /* each queue has a bit for itself, at +28h */
};

struct ring {
	uint32_t base;
	uint32_t tail;
	uint64_t address[FUZZ_RING_MAX]; /* of the receive buffers */
	uint64_t wrote[FUZZ_RING_MAX];	 /* what the device has made of it in the ring */
};

static uint32_t regs[REGS_SIZE / 4];
static struct ring rx_rings[FUZZ_QUEUES_MAX], tx_rings[FUZZ_QUEUES_MAX];
static bool at_once; /* what is queued is sent at once */

static const struct variant *variant(void)
{
	return fuzz.target->variant;
}

static uint32_t *reg(uint32_t offset)
{
	return &regs[offset / 4];
}

static uint32_t ring_size(const struct ring *ring)
{
	uint32_t size = *reg(ring->base + 8) / (uint32_t)sizeof(struct intel_desc);

	return size <= FUZZ_RING_MAX ? size : 0;
}

static uint64_t ring_iova(const struct ring *ring)
{
	return *reg(ring->base) | (uint64_t)*reg(ring->base + 4) << 32;
}

static uint32_t *head_of(const struct ring *ring)
{
	return reg(ring->base + 0x10);
}

static bool ring_on(const struct ring *ring)
{
	return ring_size(ring) &&
	       (!variant()->enables || *reg(ring->base + 0x28) & IGB_DCTL_ENABLE);
}

/* A descriptor, as the device reaches it. */
static struct intel_desc *desc_at(const struct ring *ring, uint32_t index)
{
	return fuzz_dma(ring_iova(ring) + index * sizeof(struct intel_desc),
			sizeof(struct intel_desc));
}

/* --- What the driver gives --- */

static void rx_look(struct ring *ring, uint32_t index, const struct intel_desc *desc)
{
	ring->address[index] = desc->address;
	/* The last one is the driver's until the tail moves on. */
	if (desc->address == ring->wrote[index])
		ring->address[index] = 0;
	else
		FUZZ_CHECK(fuzz_is_buffer(desc->address, BUFFER));
}

/* True: with it the frame is whole. */
static bool tx_look(const struct intel_desc *desc)
{
	uint32_t type = desc->word >> 20 & 15, length = desc->word & 0xffff;

	if (variant()->advanced_tx) {
		FUZZ_CHECK(desc->word & E1000_TXD_DEXT);
		FUZZ_CHECK(type == 2 || type == 3);
		if (type == 2)
			return false;
	} else if (desc->word & E1000_TXD_DEXT) {
		FUZZ_CHECK(type < 2);
		if (type == 0)
			return false;
		length = desc->word & 0xfffff;
	}
	FUZZ_CHECK(length);
	FUZZ_CHECK(fuzz_is_buffer(desc->address, length));
	return desc->word & E1000_TXD_EOP;
}

/* From the tail that it was to the one that is written. */
static void publish(struct ring *ring, uint32_t tail, bool rx)
{
	const struct intel_desc *desc;
	bool whole = true;

	FUZZ_CHECK(tail < ring_size(ring));
	desc = fuzz_memory(ring_iova(ring), ring_size(ring) * sizeof(*desc));
	FUZZ_CHECK(desc);
	for (; ring->tail != tail; ring->tail = (ring->tail + 1) % ring_size(ring))
		if (rx)
			rx_look(ring, ring->tail, desc + ring->tail);
		else
			whole = tx_look(desc + ring->tail);
	FUZZ_CHECK(whole);
}

/* --- What the device does --- */

static void send(const struct ring *ring, uint32_t count)
{
	uint32_t *head = head_of(ring);
	struct intel_desc *desc;

	if (!ring_on(ring) || !(*reg(E1000_TCTL) & E1000_TCTL_EN))
		return;
	for (; count && *head != ring->tail; count--) {
		*head %= ring_size(ring);
		desc = desc_at(ring, *head);
		if (!desc)
			return;
		if (desc->word & E1000_TXD_RS)
			desc->word |= E1000_TXD_DD;
		*head = (*head + 1) % ring_size(ring);
	}
}

/* One descriptor handed back. @length and @bits need not be true. False: there is none for it. */
static bool receive(struct ring *ring, uint32_t fill, uint64_t length, uint64_t bits,
		    uint64_t address)
{
	uint32_t *head = head_of(ring);
	struct intel_desc *desc;
	uint8_t *data;

	if (!ring_on(ring) || !(*reg(E1000_RCTL) & E1000_RCTL_EN) || *head == ring->tail ||
	    *head >= ring_size(ring))
		return false;
	desc = desc_at(ring, *head);
	data = fuzz_dma(ring->address[*head], BUFFER);
	if (!desc || !data)
		return false;
	memset(data, (int)fill, FILL_MAX);
	memset(data + BUFFER - FILL_MAX, (int)fill, FILL_MAX);
	if (variant()->advanced_rx) {
		desc->address = ring->wrote[*head] = address;
		desc->word = bits | length << 32;
	} else {
		desc->word = length | bits << 32;
	}
	*head = (*head + 1) % ring_size(ring);
	return true;
}

/* DD and EOP, in either format. */
#define DONE 1u
#define LAST 2u

/* A frame in as many buffers as it takes. */
static void receive_frame(struct ring *ring, uint32_t length)
{
	uint32_t size;

	for (; length; length -= size) {
		size = length < BUFFER ? length : BUFFER;
		if (!receive(ring, length & 0xff, size, DONE | (size == length ? LAST : 0), 0))
			return;
	}
}

static void receive_many(struct ring *ring)
{
	uint32_t count = fuzz_u8(), length = 1 + fuzz_u16() % 1600;

	while (count--)
		receive_frame(ring, length);
}

/* The same lie in all that the driver has given. */
static void receive_endless(struct ring *ring)
{
	uint32_t count = ring_size(ring), length = fuzz_u16();
	uint64_t bits = fuzz_u16();

	while (count-- && receive(ring, 0, length, bits, 0))
		;
}

static void write_raw(struct ring *ring)
{
	uint32_t index = fuzz_u16();
	struct intel_desc *desc;

	if (!ring_size(ring))
		return;
	index %= ring_size(ring);
	desc = desc_at(ring, index);
	if (!desc)
		return;
	desc->address = ring->wrote[index] = fuzz_u64();
	desc->word = fuzz_u64();
}

static void fill_raw(struct ring *ring)
{
	uint64_t size = ring_size(ring) * sizeof(struct intel_desc);
	void *memory = fuzz_dma(ring_iova(ring), size);
	int byte = fuzz_u8();

	if (!size || !memory)
		return;
	memset(memory, byte, size);
	memset(ring->wrote, byte, sizeof(ring->wrote));
}

static void report_any(const struct ring *ring)
{
	uint32_t index = fuzz_u16();
	struct intel_desc *desc;

	if (!ring_size(ring))
		return;
	desc = desc_at(ring, index % ring_size(ring));
	if (desc)
		desc->word ^= E1000_TXD_DD;
}

static void registers_change(void)
{
	uint32_t offset = fuzz_u16(), at, value = fuzz_u32();
	uint32_t low = variant()->rx_base, high = variant()->tx_base + 0x1000;

	at = offset * 4 % REGS_SIZE;
	/* Those of rings are the model's own; which can only read wrong. */
	if (at < low || at >= high)
		*reg(at) = value;
}

static void intel_act(void)
{
	uint8_t what = fuzz_u8();
	struct ring *rx = &rx_rings[(what >> 4) % variant()->queues];
	struct ring *tx = &tx_rings[(what >> 4) % variant()->queues];
	uint32_t length;
	uint64_t bits;

	switch (what % 16) {
	case 0:
	case 1:
		receive_frame(rx, 60 + fuzz_u8());
		break;
	case 2:
		receive_frame(rx, fuzz_u16() % 16384);
		break;
	case 3:
		receive_many(rx);
		break;
	case 4:
	case 5:
		bits = fuzz_u16();
		length = fuzz_u16();
		if (what & 1)
			length %= BUFFER + 1;
		receive(rx, 0xee, length, bits | DONE | LAST, fuzz_u64());
		break;
	case 6:
		bits = fuzz_u64();
		length = fuzz_u16();
		receive(rx, 0xff, length, bits, fuzz_u64());
		break;
	case 7:
		receive_endless(rx);
		break;
	case 8:
		send(tx, UINT32_MAX);
		break;
	case 9:
		send(tx, fuzz_u8());
		break;
	case 10:
		report_any(tx);
		break;
	case 11:
		write_raw(rx);
		break;
	case 12:
		write_raw(tx);
		break;
	case 13:
		fill_raw(what & 0x10 ? rx : tx);
		break;
	case 14:
		registers_change();
		break;
	case 15:
		*reg(E1000_STATUS) ^= E1000_STATUS_LU;
		*reg(E1000_ICR) |= E1000_INT_LSC;
		at_once = what & 0x10;
		break;
	}
}

/* --- Registers --- */

static void reset(void)
{
	uint32_t low = *reg(E1000_RAL(0)), high = *reg(E1000_RAH(0));

	memset(regs, 0, sizeof(regs));
	*reg(E1000_STATUS) = E1000_STATUS_LU | E1000_STATUS_FD | 2u << 6;
	*reg(IGB_MDIC) = IGB_MDIC_READY | IGB_PHY_NEGOTIATED;
	*reg(E1000E_EECD) = E1000E_EECD_AUTO_RD;
	*reg(E1000_RAL(0)) = low;
	*reg(E1000_RAH(0)) = high;
}

FUZZ_NO_NEWS static uint64_t intel_read(unsigned int bar, uint64_t offset, unsigned int width)
{
	uint32_t *r = reg((uint32_t)offset), value = *r;

	(void)bar;
	FUZZ_CHECK(width == 4);
	if (offset == E1000_ICR || (offset >= 0x4000 && offset < 0x4200))
		*r = 0;
	return value;
}

FUZZ_NO_NEWS static void ring_write(struct ring *ring, uint32_t at, uint32_t value, bool rx)
{
	switch (at) {
	case 0:
		ring->tail = 0;
		break;
	case 0x18:
		publish(ring, value, rx);
		if (!rx && at_once)
			send(ring, UINT32_MAX);
		break;
	}
}

/* The word that is asked for, in either device's format. */
static uint32_t eerd_word(uint32_t value)
{
	return (value >> 8 ? value >> 8 : value >> 2) % 3;
}

static void intel_write(unsigned int bar, uint64_t offset, unsigned int width, uint64_t value)
{
	static const uint16_t eeprom[] = { 0x5452, 0x1200, 0x5634 };
	const struct variant *v = variant();
	uint32_t at = (uint32_t)offset, i;

	(void)bar;
	FUZZ_CHECK(width == 4);
	if (at != E1000_ICR)
		*reg(at) = (uint32_t)value;
	if (at == E1000_CTRL && value & E1000_CTRL_RST)
		reset();
	if (at == E1000_EERD)
		*reg(at) = EERD_DONES | (uint32_t)eeprom[eerd_word((uint32_t)value)] << 16;
	if (at == IGB_MDIC)
		*reg(at) |= IGB_MDIC_READY | IGB_PHY_NEGOTIATED;
	for (i = 0; i < v->queues; i++) {
		ring_write(&rx_rings[i], at - rx_rings[i].base, (uint32_t)value, true);
		ring_write(&tx_rings[i], at - tx_rings[i].base, (uint32_t)value, false);
	}
}

static void intel_plug(void)
{
	const struct variant *v = variant();
	uint32_t i;

	*reg(E1000_RAL(0)) = 0x12005452;
	*reg(E1000_RAH(0)) = 0x80005634;
	reset();
	at_once = fuzz_u8() & 1;
	for (i = 0; i < v->queues; i++) {
		rx_rings[i].base = v->rx_base + i * v->stride;
		tx_rings[i].base = v->tx_base + i * v->stride;
		rx_rings[i].tail = tx_rings[i].tail = 0;
	}
	fuzz.bar_size[0] = REGS_SIZE;
	fuzz.info.num_intx = 1;
	fuzz.info.num_msix = v->queues > 1 ? v->queues : 0;
}

static const struct fuzz_model intel_model = {
	.plug = intel_plug,
	.read = intel_read,
	.write = intel_write,
	.act = intel_act,
};

static const struct variant variant_e1000 = {
	.rx_base = E1000_RDBAL,
	.tx_base = E1000_TDBAL,
	.queues = 1,
};

const struct fuzz_target fuzz_e1000 = {
	.name = "e1000",
	.model = &intel_model,
	.vendor = 0x8086,
	.device = 0x100e,
	.variant = &variant_e1000,
};

static const struct variant variant_e1000e = {
	.rx_base = E1000E_RDBAL(0),
	.tx_base = E1000E_TDBAL(0),
	.stride = E1000E_RDBAL(1) - E1000E_RDBAL(0),
	.queues = 2,
	.advanced_rx = true,
};

const struct fuzz_target fuzz_e1000e = {
	.name = "e1000e",
	.model = &intel_model,
	.vendor = 0x8086,
	.device = 0x10d3,
	.variant = &variant_e1000e,
};

static const struct variant variant_igb = {
	.rx_base = IGB_RDBAL(0),
	.tx_base = IGB_TDBAL(0),
	.stride = IGB_RDBAL(1) - IGB_RDBAL(0),
	.queues = 16,
	.advanced_rx = true,
	.advanced_tx = true,
	.enables = true,
};

const struct fuzz_target fuzz_igb = {
	.name = "igb",
	.model = &intel_model,
	.vendor = 0x8086,
	.device = 0x10c9,
	.variant = &variant_igb,
};
