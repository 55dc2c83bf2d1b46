/* SPDX-License-Identifier: MIT */
/* Realtek's RTL8139, as far as its driver can tell: a ring of bytes, and four slots. */
#include <string.h>

#include "fuzz.h"

#define BAR	   1
#define REGS_SIZE  0x100
#define RING_SIZE  32768
#define RING_ROOM  (RING_SIZE + 2048) /* where a frame that begins at the end may go on to */
#define FRAME_FILL 64
#define SLOT_SIZE  2048
#define FCS	   4

/* Registers. */
#define TSD(slot) (0x10 + 4 * (slot))
#define TSAD0	  0x20
#define RBSTART	  0x30
#define CR	  0x37
#define CAPR	  0x38
#define CBR	  0x3a
#define ISR	  0x3e
#define RCR	  0x44
#define EEPROM	  0x50
#define MSR	  0x58
#define TSAD	  0x60

#define CR_EMPTY  1u
#define CR_RE	  8u
#define CR_RST	  16u
#define ROK	  1u
#define MSR_LINKB 4u

static uint8_t regs[REGS_SIZE];
static uint16_t written; /* where the next header goes */
static bool at_once;

static uint32_t get(uint32_t at, uint32_t width)
{
	uint32_t value = 0;

	memcpy(&value, regs + at, width);
	return value;
}

static void set(uint32_t at, uint32_t width, uint32_t value)
{
	memcpy(regs + at, &value, width);
}

static uint8_t *ring(void)
{
	if (!(regs[CR] & CR_RE) || !(get(RCR, 4) & 0xf))
		return NULL;
	return fuzz_dma(get(RBSTART, 4), RING_ROOM);
}

static void receive(uint32_t length, uint32_t header)
{
	uint8_t *memory = ring();

	if (!memory)
		return;
	memcpy(memory + written, &header, sizeof(header));
	memset(memory + written + sizeof(header), (int)length,
	       length < FRAME_FILL ? length : FRAME_FILL);
	written = (uint16_t)((written + sizeof(header) + length + 3) & ~3u) % RING_SIZE;
	set(CBR, 2, written);
	regs[ISR] |= ROK;
}

static void receive_frame(uint32_t length)
{
	length += FCS;
	if (((get(CAPR, 2) + 16 - written - 1) & (RING_SIZE - 1)) > length + 8)
		receive(length, length << 16 | ROK);
}

static void receive_many(void)
{
	uint32_t count = fuzz_u8(), length = 14 + fuzz_u16() % 1600;

	while (count--)
		receive_frame(length);
}

static void write_raw(void)
{
	uint32_t at = fuzz_u16() % RING_SIZE & ~3u, value = fuzz_u32();
	uint8_t *memory = ring();

	if (memory)
		memcpy(memory + at, &value, sizeof(value));
}

static void send(void)
{
	uint32_t slot;

	for (slot = 0; slot < 4; slot++)
		if (!(get(TSD(slot), 4) & 1u << 13))
			set(TSAD, 2, get(TSAD, 2) | 0x1100u << slot);
}

static void realtek_act(void)
{
	uint8_t what = fuzz_u8();
	uint32_t value;

	switch (what % 12) {
	case 0:
	case 1:
		receive_frame(60 + fuzz_u8());
		break;
	case 2:
		receive_frame(14 + fuzz_u16() % 1600);
		break;
	case 3:
		receive_many();
		break;
	case 4:
		value = fuzz_u16() % 2000;
		receive(value, fuzz_u32());
		break;
	case 5:
		set(CBR, 2, fuzz_u16());
		break;
	case 6:
		write_raw();
		break;
	case 7:
		send();
		break;
	case 8:
		set(TSAD, 2, fuzz_u16());
		break;
	case 9:
		regs[MSR] ^= MSR_LINKB;
		break;
	case 10:
		at_once = !at_once;
		break;
	default:
		/* Not where its memory is: that is the driver's to say. */
		value = fuzz_u8() % 0x20;
		regs[value < 0x10 ? value : RBSTART + 4 + value] = fuzz_u8();
	}
}

FUZZ_NO_NEWS static uint64_t realtek_read(unsigned int bar, uint64_t offset, unsigned int width)
{
	uint64_t value = 0;

	FUZZ_CHECK(bar == BAR);
	memcpy(&value, regs + offset, width);
	return value;
}

/* What is sent is in the driver's own memory, all of it. */
static void slot_write(uint32_t slot, uint32_t value)
{
	uint32_t length = value & 0x1fff;

	FUZZ_CHECK(length && length <= SLOT_SIZE);
	FUZZ_CHECK(fuzz.lied || fuzz_dma(get(TSAD0 + 4 * slot, 4), length));
	set(TSAD, 2, get(TSAD, 2) & ~(0x1111u << slot));
	if (at_once)
		send();
}

static void realtek_write(unsigned int bar, uint64_t offset, unsigned int width, uint64_t value)
{
	uint32_t at = (uint32_t)offset;

	FUZZ_CHECK(bar == BAR);
	if (at == ISR) {
		regs[ISR] &= (uint8_t)~value;
		return;
	}
	if (at == TSAD || at == CBR)
		return;
	memcpy(regs + offset, &value, width);
	if (at == CR && value & CR_RST) {
		regs[CR] = CR_EMPTY;
		written = 0;
		set(CBR, 2, 0);
		set(TSAD, 2, 0xf00);
	}
	if (at == EEPROM && value == 0x40)
		regs[EEPROM] = 0;
	if (at >= TSD(0) && at <= TSD(3))
		slot_write((at - TSD(0)) / 4, (uint32_t)value);
}

static void realtek_plug(void)
{
	static const uint8_t mac[] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

	memset(regs, 0, sizeof(regs));
	memcpy(regs, mac, sizeof(mac));
	written = 0;
	at_once = fuzz_u8() & 1;
	fuzz.bar_size[BAR] = REGS_SIZE;
	fuzz.info.num_intx = 1;
}

static const struct fuzz_model realtek_model = {
	.plug = realtek_plug,
	.read = realtek_read,
	.write = realtek_write,
	.act = realtek_act,
};

const struct fuzz_target fuzz_rtl8139 = {
	.name = "rtl8139",
	.model = &realtek_model,
	.vendor = 0x10ec,
	.device = 0x8139,
};
