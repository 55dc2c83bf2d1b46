/* SPDX-License-Identifier: MIT */
/*
 * The NIC layer and the e1000 driver on a device of the test's own making: the functions of
 * libuserpci are replaced here, registers are calls, and the "device" moves frames when the test
 * says so. It does what hardware in order would not: it lies, and it vanishes.
 */
#include "drivers/intel/regs.h"
#include "fake-library.h"

#define BURST 32

struct sent {
	uint8_t data[2048];
	uint32_t length;
	uint64_t word; /* of the descriptor */
};

/* The device, and what was done to it. */
static struct fake {
	uint32_t regs[0x6000 / 4];
	uint16_t eeprom[3];
	bool gone, no_reset, no_eeprom, held; /* held: it sends nothing */
	bool keeps_counts;		      /* a read does not clear them */
	unsigned int mask_bits;
	/* Counts of calls and of register writes. */
	unsigned int rdt_writes, tdt_writes, rctl_writes, ims_writes, icr_reads, accesses;
	bool irq_on;
	unsigned int irq_waits, irq_unmasks;
	int irq_result;
	void (*during_wait)(void), (*at_arm)(void);
	struct sent sent[600];
	unsigned int sent_count;
} fake;

static uint32_t *reg(uint32_t offset)
{
	return &fake.regs[offset / 4];
}

static struct intel_desc *ring_at(uint32_t base, uint32_t index)
{
	uint64_t iova = *reg(base) | (uint64_t)*reg(base + 4) << 32;

	return reach(iova + index * sizeof(struct intel_desc), sizeof(struct intel_desc));
}

static uint32_t ring_size(uint32_t base)
{
	return *reg(base + 8) / (uint32_t)sizeof(struct intel_desc);
}

static bool transmit_one(void)
{
	uint32_t head = *reg(E1000_TDH);
	struct intel_desc *desc;
	struct sent *sent;
	void *data;

	if (head == *reg(E1000_TDT) || !(*reg(E1000_TCTL) & E1000_TCTL_EN))
		return false;
	desc = ring_at(E1000_TDBAL, head);
	if (!desc)
		return false;
	sent = &fake.sent[fake.sent_count++ % 600];
	sent->word = desc->word;
	sent->length = desc->word & 0xffff;
	data = reach(desc->address, sent->length);
	if (data && sent->length <= sizeof(sent->data))
		memcpy(sent->data, data, sent->length);
	if (desc->word & E1000_TXD_RS)
		desc->word |= E1000_TXD_DD;
	*reg(E1000_TDH) = (head + 1) % ring_size(E1000_TDBAL);
	return true;
}

static void transmit(unsigned int count)
{
	while (count-- && transmit_one())
		;
}

/* One descriptor as the device hands it back, whatever it says. False: there is none for it. */
static bool receive_raw(const void *frame, uint32_t size, uint64_t word)
{
	uint32_t head = *reg(E1000_RDH);
	struct intel_desc *desc;
	void *data;

	if (head == *reg(E1000_RDT) || !(*reg(E1000_RCTL) & E1000_RCTL_EN))
		return false;
	desc = ring_at(E1000_RDBAL, head);
	data = desc ? reach(desc->address, size) : NULL;
	if (!data)
		return false;
	memcpy(data, frame, size);
	desc->word = word;
	*reg(E1000_RDH) = (head + 1) % ring_size(E1000_RDBAL);
	return true;
}

/* A good frame of @length bytes, all of them @fill. */
static bool receive(uint8_t fill, uint32_t length)
{
	uint8_t frame[2048];

	memset(frame, fill, sizeof(frame));
	return receive_raw(frame, length, length | E1000_RXD_DD | E1000_RXD_EOP);
}

/* libuserpci, as the layer sees it */

int userpci_bus_master_disable(struct userpci_device *device)
{
	(void)device;
	library.bus_master = false;
	return 0;
}

int userpci_region_map(struct userpci_device *device, unsigned int index,
		       struct userpci_region *region)
{
	if (index)
		return -ENOENT;
	memset(region, 0, sizeof(*region));
	region->size = sizeof(fake.regs);
	region->device = device;
	library.mapped++;
	return 0;
}

uint64_t userpci_region_read(const struct userpci_region *region, uint64_t offset,
			     unsigned int width)
{
	uint32_t *r = reg((uint32_t)offset), value = *r;

	fake.accesses++;
	if (fake.gone || width != 4 || offset >= region->size)
		return UINT64_MAX;
	if (offset == E1000_ICR)
		fake.icr_reads++;
	if (offset == E1000_ICR || (!fake.keeps_counts && offset >= 0x4000 && offset < 0x4100))
		*r = 0;
	return value;
}

static void write_reset(uint32_t value)
{
	uint32_t low = *reg(E1000_RAL(0)), high = *reg(E1000_RAH(0));

	if (!(value & E1000_CTRL_RST))
		return;
	/* All but the statistics: what these hold is anyone's guess. */
	memset(fake.regs, 0, 0x4000);
	memset(reg(0x4100), 0, sizeof(fake.regs) - 0x4100);
	*reg(E1000_STATUS) = E1000_STATUS_LU | E1000_STATUS_FD | 2u << 6;
	*reg(E1000_RAL(0)) = low;
	*reg(E1000_RAH(0)) = high;
	if (fake.no_reset)
		*reg(E1000_CTRL) = E1000_CTRL_RST;
}

void userpci_region_write(const struct userpci_region *region, uint64_t offset, unsigned int width,
			  uint64_t value)
{
	fake.accesses++;
	if (fake.gone || width != 4 || offset >= region->size)
		return;
	if (offset != E1000_ICR)
		*reg((uint32_t)offset) = (uint32_t)value;
	switch (offset) {
	case E1000_CTRL:
		write_reset((uint32_t)value);
		break;
	case E1000_EERD:
		value = value >> 8 & 0xff;
		if (!fake.no_eeprom && value < 3)
			*reg(E1000_EERD) = (uint32_t)fake.eeprom[value] << 16 | E1000_EERD_DONE;
		break;
	case E1000_RCTL:
		fake.rctl_writes++;
		break;
	case E1000_IMS:
		fake.ims_writes++;
		if (fake.at_arm)
			fake.at_arm();
		break;
	case E1000_RDT:
		fake.rdt_writes++;
		break;
	case E1000_TDT:
		fake.tdt_writes++;
		if (!fake.held)
			transmit(UINT32_MAX);
		break;
	}
}

int userpci_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	(void)device;
	fake.mask_bits = bits;
	return 0;
}

int userpci_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			uint32_t *value)
{
	(void)device, (void)width;
	if (fake.gone)
		return -ENODEV;
	*value = offset ? 0 : library.info.vendor_id;
	return 0;
}

int userpci_config_find(struct userpci_device *device, unsigned int id, unsigned int *offset)
{
	(void)device, (void)id, (void)offset;
	return -ENOENT;
}

int userpci_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	(void)device;
	if (!library.info.num_intx)
		return -ENOSPC;
	fake.irq_on = kind == USERPCI_IRQ_BEST && count == 1;
	return 0;
}

void userpci_irq_disable(struct userpci_device *device)
{
	(void)device;
	fake.irq_on = false;
}

int userpci_irq_kind(const struct userpci_device *device)
{
	(void)device;
	return fake.irq_on ? USERPCI_IRQ_INTX : -EINVAL;
}

int userpci_irq_wait(struct userpci_device *device, unsigned int vector, int64_t timeout_us,
		     uint64_t *count)
{
	(void)device;
	(void)vector;
	(void)timeout_us;
	(void)count;
	fake.irq_waits++;
	if (fake.during_wait)
		fake.during_wait();
	return fake.irq_result;
}

int userpci_irq_unmask(struct userpci_device *device, unsigned int vector)
{
	(void)device;
	(void)vector;
	fake.irq_unmasks++;
	return 0;
}

/* Helpers */

static const uint8_t mac[UNIC_MAC_SIZE] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static struct unic_port *port;

static void plug(void)
{
	memset(&fake, 0, sizeof(fake));
	library_plug(0x8086, 0x100e);
	library.largest_dma = 4 << 20;
	fake.eeprom[0] = 0x5452;
	fake.eeprom[1] = 0x1200;
	fake.eeprom[2] = 0x5634;
	*reg(E1000_STATUS) = E1000_STATUS_LU;
}

static void open_and_start(uint32_t rx, uint32_t tx, uint32_t packets)
{
	struct unic_config config = {
		.rx_descriptors = rx,
		.tx_descriptors = tx,
		.packets = packets,
	};

	plug();
	CHECK_EQ(unic_open("00:04.0", &config, &port), 0);
	CHECK_EQ(unic_start(port), 0);
	fake.rdt_writes = 0;
	fake.tdt_writes = 0;
	fake.accesses = 0;
}

/* Every packet is in the pool, and is there once; nothing else was taken and not given back. */
static void close_whole(void)
{
	const struct unic_pool *pool = port->queues[0]->pool;
	uint32_t i, count = unic_info(port)->packets;

	if (port->started)
		CHECK_EQ(unic_stop(port), 0);
	CHECK_EQ(unic_packets_free(port), count);
	for (i = 0; i < pool->free_count; i++)
		pool->free[i]->user = 0;
	for (i = 0; i < pool->free_count; i++)
		CHECK_EQ(pool->free[i]->user++, 0);
	unic_close(port);
	CHECK_EQ(library.wrong, 0);
	CHECK_EQ(library.dma_bytes, 0);
	CHECK(!library.opened && !library.mapped && !fake.irq_on);
}

static bool filled(struct unic_packet *packet, uint8_t fill, uint32_t length)
{
	const uint8_t *data = unic_packet_data(packet);
	uint32_t i;

	for (i = 0; i < length; i++)
		if (data[i] != fill)
			return false;
	return packet->length == length && !packet->offset && !packet->flags;
}

static struct unic_packet *make(uint8_t fill, uint32_t length)
{
	struct unic_packet *packet = unic_packet_alloc(port, 0);

	CHECK(packet);
	memset(unic_packet_data(packet), fill, UNIC_PACKET_ROOM);
	packet->length = length;
	return packet;
}

static unsigned int send_many(unsigned int count, uint32_t length)
{
	struct unic_packet *packets[600];
	unsigned int i, n;

	for (i = 0; i < count; i++)
		packets[i] = make((uint8_t)i, length);
	n = (unsigned int)unic_tx_burst(port, 0, packets, count);
	for (i = n; i < count; i++)
		unic_packet_free(packets[i]);
	return n;
}

static struct unic_stats stats_now(void)
{
	struct unic_stats stats;

	CHECK_EQ(unic_stats(port, &stats), 0);
	return stats;
}

static uint64_t tx_dropped(void)
{
	struct unic_stats stats = stats_now();

	return stats.tx_bad_length + stats.tx_bad_packet + stats.tx_bad_offload;
}

/* Opening */

TEST(e1000_open_reads_the_mac)
{
	plug();
	CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
	CHECK(!memcmp(unic_info(port)->mac, mac, sizeof(mac)));
	CHECK_STR(unic_info(port)->driver, "e1000");
	CHECK_STR(unic_info(port)->address, "0000:00:04.0");
	CHECK_EQ(unic_info(port)->rx_descriptors, 256);
	CHECK_EQ(unic_info(port)->packets, 1024);
	CHECK_EQ(fake.mask_bits, 64);
	CHECK(!library.bus_master);
	close_whole();
}

TEST(e1000_open_reads_the_mac_without_eeprom)
{
	plug();
	fake.no_eeprom = true;
	*reg(E1000_RAL(0)) = 0x12005452;
	*reg(E1000_RAH(0)) = 0x80005634;
	CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
	CHECK(!memcmp(unic_info(port)->mac, mac, sizeof(mac)));
	close_whole();
}

/* What fails leaves nothing behind. */
static void check_open(int expected)
{
	struct unic_port *none = NULL;

	CHECK_EQ(unic_open("00:04.0", NULL, &none), expected);
	CHECK(!none);
	CHECK_EQ(library.dma_bytes, 0);
	CHECK(!library.opened && !library.mapped && !fake.irq_on && !library.bus_master);
}

TEST(e1000_open_fails_whole)
{
	unsigned int fails;

	plug();
	library.info.device_id = 0xffff;
	check_open(-ENOTSUP);
	plug();
	fake.gone = true;
	check_open(-ENODEV);
	plug();
	fake.no_reset = true;
	check_open(-ETIMEDOUT);
	plug();
	fake.eeprom[0] |= 1; /* a group's address; and no other */
	check_open(-EIO);
	plug();
	library.info.num_intx = 0;
	check_open(-ENOSPC);
	for (fails = 1; fails <= 2; fails++) {
		plug();
		library.dma_fails = fails;
		check_open(-EDQUOT);
	}
	plug();
	library.largest_dma = 4096; /* enough for no packet chunk, ever */
	check_open(-ENOMEM);
}

TEST(e1000_open_checks_the_config)
{
	static const struct unic_config wrong[] = {
		{ .rx_descriptors = 100 },
		{ .rx_descriptors = 16 },
		{ .tx_descriptors = 8192 },
		{ .rx_descriptors = 96 },
		{ .packets = 256 },
		{ .flags = 1u << 31 },
		{ .rx_descriptors = 64, .packets = 64 },
	};
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		plug();
		CHECK_EQ(unic_open("00:04.0", &wrong[i], &port), -EINVAL);
		CHECK(!library.opened);
	}
	CHECK_EQ(unic_open("nonsense", NULL, &port), -EINVAL);
	CHECK_EQ(unic_open("00:04.0", NULL, NULL), -EINVAL);
}

TEST(e1000_explain)
{
	char text[256];

	plug();
	unic_explain("00:04.0", -ENOTSUP, text, sizeof(text));
	CHECK_STR(text, "00:04.0: error 95"); /* it has a driver: that was not it */
	library.info.device_id = 0xffff;
	unic_explain("00:04.0", -ENOTSUP, text, sizeof(text));
	CHECK(strstr(text, "no driver") && strstr(text, "8086:100e") && !strchr(text, '\n'));
	CHECK(!strncmp(text, "0000:00:04.0", 12));
	unic_explain("00:04.0", -EXDEV, text, sizeof(text));
	CHECK(strstr(text, "share") && !strncmp(text, "0000:00:04.0", 12));
	unic_explain("00:04.0", -ENOENT, text, sizeof(text));
	CHECK_STR(text, "00:04.0: error 2");
	unic_explain("00:04.0", -ENOTSUP, text, 10);
	CHECK_EQ(strlen(text), 9);
}

TEST(e1000_pool_chunks_hold_whole_packets)
{
	const struct unic_pool *pool;
	struct chunk *chunk;
	uint32_t i;

	plug();
	library.largest_dma = 64 << 10; /* memory is in small pieces */
	CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
	unic_packet_free(unic_packet_alloc(port, 0));
	pool = port->queues[0]->pool;
	CHECK_EQ(pool->free_count, 1024);
	for (i = 0; i < pool->free_count; i++) {
		char *packet = (char *)pool->free[i];
		uint64_t at;

		for (chunk = library.chunks; chunk; chunk = chunk->next)
			if (packet >= (char *)chunk->va &&
			    packet + UNIC_PACKET_SIZE <= (char *)chunk->va + chunk->size)
				break;
		CHECK(chunk);
		at = (uint64_t)((char *)unic_packet_data(pool->free[i]) - (char *)chunk->va);
		CHECK_EQ(pool->free[i]->iova[0], chunk->iova + at);
		CHECK(pool->free[i]->pool == pool);
		CHECK_EQ((uintptr_t)packet % 64, 0);
	}
	close_whole();
}

/* Starting and stopping */

TEST(e1000_lifecycle_is_checked)
{
	struct unic_packet *packets[1];

	plug();
	CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
	CHECK_EQ(unic_rx_burst(port, 0, packets, 1), -ENETDOWN);
	CHECK_EQ(unic_tx_burst(port, 0, packets, 1), -ENETDOWN);
	CHECK_EQ(unic_wait(port, 0, 0), -ENETDOWN);
	CHECK_EQ(unic_stop(port), -ENETDOWN);
	CHECK_EQ(unic_start(port), 0);
	CHECK_EQ(unic_start(port), -EBUSY);
	CHECK_EQ(unic_stop(port), 0);
	CHECK_EQ(unic_rx_burst(port, 0, packets, 1), -ENETDOWN);
	CHECK(!library.bus_master);
	close_whole();
}

TEST(e1000_start_programs_the_device)
{
	uint32_t rctl, i;

	plug();
	*reg(E1000_RAH(5)) = E1000_RAH_AV;
	*reg(E1000_MTA(100)) = 0xffff;
	CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
	fake.rctl_writes = 0;
	CHECK_EQ(unic_start(port), 0);
	CHECK_EQ(fake.rctl_writes, 1);
	CHECK(library.bus_master);
	rctl = *reg(E1000_RCTL);
	CHECK(rctl & E1000_RCTL_EN && rctl & E1000_RCTL_SECRC && rctl & E1000_RCTL_BAM);
	CHECK(!(rctl & (E1000_RCTL_UPE | E1000_RCTL_MPE | 1u << 5 | 3u << 16 | 1u << 25)));
	CHECK_EQ(*reg(E1000_RAL(0)), 0x12005452);
	CHECK_EQ(*reg(E1000_RAH(0)), 0x80005634);
	CHECK_EQ(*reg(E1000_RAH(5)), 0);
	for (i = 0; i < E1000_MTA_COUNT; i++)
		CHECK_EQ(*reg(E1000_MTA(i)), 0);
	CHECK_EQ(*reg(E1000_RDT), 255);
	CHECK_EQ(*reg(E1000_TDT), 0);
	CHECK(*reg(E1000_CTRL) & E1000_CTRL_SLU && *reg(E1000_CTRL) & E1000_CTRL_ASDE);
	CHECK_EQ(*reg(E1000_TIPG), 10 | 8 << 10 | 6 << 20);
	CHECK_EQ(*reg(E1000_IMS), 0);
	close_whole();
}

TEST(e1000_promiscuous)
{
	struct unic_config config = { .flags = UNIC_CONFIG_PROMISCUOUS };

	plug();
	CHECK_EQ(unic_open("00:04.0", &config, &port), 0);
	CHECK_EQ(unic_start(port), 0);
	CHECK(*reg(E1000_RCTL) & E1000_RCTL_UPE && *reg(E1000_RCTL) & E1000_RCTL_MPE);
	close_whole();
}

/* A descriptor that was never filled leads nowhere: the device would be caught. */
TEST(e1000_fresh_rings_are_poisoned)
{
	uint32_t i;

	open_and_start(64, 128, 0);
	for (i = 0; i < 64; i++)
		CHECK(ring_at(E1000_RDBAL, i)->address >= IOVA &&
		      ring_at(E1000_RDBAL, i)->address < library.next_iova);
	for (i = 0; i < 128; i++)
		CHECK_EQ(ring_at(E1000_TDBAL, i)->address, UINT64_MAX);
	close_whole();
}

TEST(e1000_start_needs_packets_for_the_ring)
{
	struct unic_config config = { .rx_descriptors = 64, .packets = 65 };
	struct unic_packet *a, *b;

	plug();
	CHECK_EQ(unic_open("00:04.0", &config, &port), 0);
	a = unic_packet_alloc(port, 0);
	b = unic_packet_alloc(port, 0);
	CHECK_EQ(unic_start(port), -ENOMEM);
	CHECK(!library.bus_master);
	unic_packet_free(b);
	CHECK_EQ(unic_start(port), 0);
	unic_packet_free(a);
	close_whole();
}

TEST(e1000_stop_returns_all_packets)
{
	struct unic_packet *packet;
	int round;

	open_and_start(0, 0, 0);
	for (round = 0; round < 5; round++) {
		fake.held = true;
		CHECK_EQ(send_many(40, 100), 40);
		transmit(20);
		CHECK(receive(1, 60) && receive(2, 60) && receive(3, 60));
		CHECK_EQ(unic_rx_burst(port, 0, &packet, 1), 1);
		CHECK(filled(packet, 1, 60));
		unic_packet_free(packet);
		CHECK_EQ(unic_stop(port), 0);
		CHECK_EQ(unic_packets_free(port), unic_info(port)->packets);
		CHECK(!(*reg(E1000_RCTL) & E1000_RCTL_EN) && !(*reg(E1000_TCTL) & E1000_TCTL_EN));
		CHECK(!library.bus_master);
		CHECK_EQ(unic_start(port), 0);
	}
	close_whole();
}

TEST(e1000_stop_of_a_device_that_is_gone)
{
	open_and_start(0, 0, 0);
	fake.held = true;
	CHECK_EQ(send_many(10, 100), 10);
	fake.gone = true;
	CHECK_EQ(unic_stop(port), 0);
	CHECK_EQ(unic_start(port), 0); /* it is not asked */
	close_whole();
}

/* Receiving */

TEST(e1000_rx_empty_touches_no_register)
{
	struct unic_packet *packets[BURST];

	open_and_start(0, 0, 0);
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 0);
	CHECK_EQ(unic_rx_burst(port, 0, packets, 0), 0);
	CHECK_EQ(fake.accesses, 0);
	close_whole();
}

/* Bursts of all sizes, over the ring's end again and again. */
TEST(e1000_rx_wraps)
{
	struct unic_packet *packets[64];
	uint64_t bytes = 0, total = 0;
	unsigned int size, i, offered;
	uint8_t fill = 0, expected = 0;

	open_and_start(64, 0, 0);
	for (size = 1; size <= 64; size++) {
		for (offered = 0; offered < size; offered++)
			if (!receive(fill, 60 + fill))
				break;
			else
				fill++;
		CHECK_EQ(offered, size < 64 ? size : 63);
		fake.rdt_writes = 0;
		CHECK_EQ(unic_rx_burst(port, 0, packets, 64), (int)offered);
		CHECK_EQ(fake.rdt_writes, 1);
		for (i = 0; i < offered; i++, expected++) {
			CHECK(filled(packets[i], expected, 60u + expected));
			bytes += packets[i]->length;
		}
		total += offered;
		CHECK_EQ((*reg(E1000_RDT) + 1) % 64, *reg(E1000_RDH));
		unic_packet_free_burst(packets, offered);
	}
	CHECK_EQ(stats_now().rx_packets, total);
	CHECK_EQ(stats_now().rx_bytes, bytes);
	CHECK_EQ(stats_now().rx_errors, 0);
	close_whole();
}

TEST(e1000_rx_takes_no_more_than_asked)
{
	struct unic_packet *packets[BURST];
	unsigned int i;

	open_and_start(64, 0, 0);
	for (i = 0; i < 40; i++)
		CHECK(receive((uint8_t)i, 100));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), BURST);
	CHECK(filled(packets[31], 31, 100));
	unic_packet_free_burst(packets, BURST);
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 8);
	CHECK(filled(packets[7], 39, 100));
	unic_packet_free_burst(packets, 8);
	close_whole();
}

/* The offset that an application left in a packet is gone when it is received into. */
TEST(e1000_rx_resets_the_offset)
{
	struct unic_packet *packets[1], *packet;

	open_and_start(64, 0, 0);
	packet = unic_packet_alloc(port, 0);
	packet->offset = -100;
	packet->flags = UNIC_PACKET_VLAN | UNIC_TX_UDP;
	unic_packet_free(packet);
	CHECK(receive(1, 60) && receive(2, 61));
	CHECK_EQ(unic_rx_burst(port, 0, packets, 1), 1); /* now it is in the ring */
	unic_packet_free(packets[0]);
	CHECK_EQ(unic_rx_burst(port, 0, packets, 1), 1);
	CHECK(filled(packets[0], 2, 61));
	unic_packet_free(packets[0]);
	for (unsigned int i = 0; i < 64; i++) {
		CHECK(receive((uint8_t)i, 62));
		CHECK_EQ(unic_rx_burst(port, 0, packets, 1), 1);
		CHECK(filled(packets[0], (uint8_t)i, 62));
		unic_packet_free(packets[0]);
	}
	close_whole();
}

static void check_dropped(uint64_t word)
{
	struct unic_packet *packets[BURST];
	uint64_t errors = stats_now().rx_errors;
	uint8_t frame[64] = { 0 };

	CHECK(receive(1, 60));
	CHECK(receive_raw(frame, sizeof(frame), word));
	CHECK(receive(2, 61));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 2);
	CHECK(filled(packets[0], 1, 60));
	CHECK(filled(packets[1], 2, 61));
	unic_packet_free_burst(packets, 2);
	CHECK_EQ(stats_now().rx_errors, errors + 1);
}

TEST(e1000_rx_drops_bad_frames)
{
	static const uint8_t bits[] = { 0, 1, 2, 4, 7 };
	size_t i;

	open_and_start(64, 0, 0);
	for (i = 0; i < sizeof(bits); i++)
		check_dropped(64 | E1000_RXD_DD | E1000_RXD_EOP | 1ull << (40 + bits[i]));
	close_whole();
}

TEST(e1000_rx_drops_lengths_that_lie)
{
	static const uint16_t lengths[] = { 0, 2049, 4096, 0x8000, 0xffff };
	size_t i;

	open_and_start(64, 0, 0);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		check_dropped(lengths[i] | E1000_RXD_DD | E1000_RXD_EOP);
	close_whole();
}

/* A checksum that is wrong further up, and a VLAN tag in the frame, are no faults of the frame. */
TEST(e1000_rx_takes_frames_with_other_bits)
{
	struct unic_packet *packets[BURST];
	uint8_t frame[64] = { 0 };

	open_and_start(64, 0, 0);
	CHECK(receive_raw(frame, 64,
			  64 | E1000_RXD_DD | E1000_RXD_EOP | 0xfcull << 32 | 0x60ull << 40 |
				  0xffffull << 48 | 0xffffull << 16));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 1);
	CHECK_EQ(packets[0]->length, 64);
	unic_packet_free(packets[0]);
	close_whole();
}

TEST(e1000_rx_drops_frames_over_several_descriptors)
{
	struct unic_packet *packets[BURST];
	uint8_t part[2048] = { 0 };
	unsigned int parts, i;

	open_and_start(64, 0, 0);
	for (parts = 2; parts <= 5; parts++) {
		uint64_t errors = stats_now().rx_errors;

		CHECK(receive(1, 60));
		for (i = 1; i < parts; i++)
			CHECK(receive_raw(part, 2048, 2048 | E1000_RXD_DD));
		CHECK(receive_raw(part, 100, 100 | E1000_RXD_DD | E1000_RXD_EOP));
		CHECK(receive(2, 61));
		CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 2);
		CHECK(filled(packets[0], 1, 60));
		CHECK(filled(packets[1], 2, 61));
		unic_packet_free_burst(packets, 2);
		CHECK_EQ(stats_now().rx_errors, errors + 1);
	}
	close_whole();
}

/* The same, with a burst after each of its descriptors; the last one looks like a good frame. */
TEST(e1000_rx_drops_a_frame_that_comes_slowly)
{
	struct unic_packet *packets[BURST];
	uint8_t part[2048] = { 0 };

	open_and_start(64, 0, 0);
	CHECK(receive_raw(part, 1000, 1000 | E1000_RXD_DD));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 0);
	CHECK_EQ(fake.rdt_writes, 1);
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 0);
	CHECK_EQ(fake.rdt_writes, 1);
	CHECK(receive_raw(part, 1000, 1000 | E1000_RXD_DD));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 0);
	CHECK(receive_raw(part, 100, 100 | E1000_RXD_DD | E1000_RXD_EOP));
	CHECK(receive(3, 70));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 1);
	CHECK(filled(packets[0], 3, 70));
	unic_packet_free(packets[0]);
	CHECK_EQ(stats_now().rx_errors, 1);
	close_whole();
}

/* Every descriptor is done, again and again, and none is good: the burst ends all the same. */
TEST(e1000_rx_ends_where_the_device_does_not)
{
	struct unic_packet *packets[BURST];
	uint32_t i;

	open_and_start(64, 0, 0);
	for (i = 0; i < 64; i++)
		ring_at(E1000_RDBAL, i)->word = UINT64_MAX;
	CHECK(unic_rx_burst(port, 0, packets, BURST) <= 0);
	CHECK(fake.rdt_writes <= 1);
	for (i = 0; i < 64; i++)
		ring_at(E1000_RDBAL, i)->word = E1000_RXD_DD;
	CHECK(unic_rx_burst(port, 0, packets, BURST) <= 0);
	close_whole();
}

TEST(e1000_rx_goes_on_when_the_pool_is_empty)
{
	struct unic_packet *held[200], *packets[BURST];
	unsigned int n = 0, i, dropped = 0;
	int got;

	open_and_start(64, 64, 100); /* 36 to hand out */
	for (i = 0; n < 36; i++) {
		CHECK(receive((uint8_t)i, 60));
		got = unic_rx_burst(port, 0, held + n, BURST);
		CHECK_EQ(got, 1);
		n += (unsigned int)got;
	}
	CHECK_EQ(unic_packets_free(port), 0);
	/* Twice around the ring, and it never stops. */
	for (i = 0; i < 128; i++) {
		CHECK(receive(0xee, 60));
		CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 0);
		dropped++;
	}
	CHECK_EQ(stats_now().rx_no_buffer, dropped);
	CHECK_EQ(stats_now().rx_packets, 36);
	for (i = 0; i < n; i++)
		CHECK(filled(held[i], (uint8_t)i, 60));
	unic_packet_free_burst(held, n);
	CHECK(receive(7, 99));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 1);
	CHECK(filled(packets[0], 7, 99));
	unic_packet_free(packets[0]);
	close_whole();
}

/* With fewer packets than frames, those that can be are handed out, and the rest waits. */
TEST(e1000_rx_hands_out_what_the_pool_allows)
{
	struct unic_packet *packets[64];
	unsigned int i;

	open_and_start(64, 64, 70);
	for (i = 0; i < 20; i++)
		CHECK(receive((uint8_t)i, 60));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 6);
	unic_packet_free_burst(packets, 6);
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 6);
	CHECK(filled(packets[0], 6, 60));
	CHECK_EQ(stats_now().rx_no_buffer, 0);
	CHECK_EQ(unic_rx_burst(port, 0, packets + 6, 3), 0);
	CHECK_EQ(stats_now().rx_no_buffer, 3);
	unic_packet_free_burst(packets, 6);
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 5);
	CHECK(filled(packets[0], 15, 60));
	unic_packet_free_burst(packets, 5);
	close_whole();
}

TEST(e1000_rx_takes_back_what_was_sent)
{
	struct unic_packet *packets[BURST];

	open_and_start(64, 64, 70);
	CHECK_EQ(send_many(6, 60), 6);
	CHECK_EQ(unic_packets_free(port), 0);
	CHECK(receive(1, 60));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 1);
	CHECK_EQ(stats_now().rx_no_buffer, 0);
	unic_packet_free(packets[0]);
	close_whole();
}

/* Sending */

TEST(e1000_tx_nothing_touches_no_register)
{
	open_and_start(0, 0, 0);
	CHECK_EQ(unic_tx_burst(port, 0, NULL, 0), 0);
	CHECK_EQ(fake.accesses, 0);
	close_whole();
}

TEST(e1000_tx_wraps)
{
	unsigned int size, total = 0, i;
	uint64_t bytes = 0;

	open_and_start(64, 64, 0);
	for (size = 1; size < 64; size++) {
		fake.sent_count = 0;
		fake.tdt_writes = 0;
		CHECK_EQ(send_many(size, 60 + size), size);
		CHECK_EQ(fake.tdt_writes, 1);
		CHECK_EQ(fake.sent_count, size);
		for (i = 0; i < size; i++) {
			CHECK_EQ(fake.sent[i].length, 60 + size);
			CHECK_EQ(fake.sent[i].data[0], i);
			CHECK_EQ(fake.sent[i].data[59 + size], i);
			CHECK(fake.sent[i].word & E1000_TXD_EOP);
			CHECK(fake.sent[i].word & E1000_TXD_IFCS);
			CHECK(!(fake.sent[i].word >> 28));
		}
		total += size;
		bytes += size * (60 + size);
	}
	CHECK_EQ(stats_now().tx_packets, total);
	CHECK_EQ(stats_now().tx_bytes, bytes);
	CHECK_EQ(tx_dropped(), 0);
	close_whole();
}

/* A report is asked for at most twice in a burst of 32, whatever the ring's state. */
TEST(e1000_tx_asks_for_few_reports)
{
	unsigned int round, i, reports;

	open_and_start(0, 0, 0);
	send_many(5, 60);
	for (round = 0; round < 20; round++) {
		fake.sent_count = 0;
		CHECK_EQ(send_many(32, 60), 32);
		for (i = 0, reports = 0; i < 32; i++)
			reports += !!(fake.sent[i].word & E1000_TXD_RS);
		CHECK(fake.sent[31].word & E1000_TXD_RS);
		CHECK(reports <= 2);
	}
	close_whole();
}

/* Packets come back when the device reported them, not before: it may still read them. */
TEST(e1000_tx_reclaims_what_was_reported)
{
	uint32_t whole;

	open_and_start(64, 256, 0);
	whole = unic_packets_free(port);
	fake.held = true;
	CHECK_EQ(send_many(100, 60), 100);
	CHECK_EQ(unic_packets_free(port), whole - 100);
	transmit(31);
	unic_tx_burst(port, 0, NULL, 0);
	CHECK_EQ(unic_packets_free(port), whole - 100);
	transmit(1);
	unic_tx_burst(port, 0, NULL, 0);
	CHECK_EQ(unic_packets_free(port), whole - 68);
	transmit(67);
	unic_tx_burst(port, 0, NULL, 0);
	CHECK_EQ(unic_packets_free(port), whole - 4);
	transmit(1);
	unic_tx_burst(port, 0, NULL, 0);
	CHECK_EQ(unic_packets_free(port), whole);
	close_whole();
}

TEST(e1000_tx_full_ring)
{
	unsigned int lap;

	open_and_start(64, 64, 1000);
	for (lap = 0; lap < 5; lap++) {
		fake.held = true;
		fake.sent_count = 0;
		fake.tdt_writes = 0;
		CHECK_EQ(send_many(100, 60), 63);
		CHECK_EQ(fake.tdt_writes, 1);
		CHECK_EQ(send_many(1, 60), 0);
		CHECK_EQ(fake.tdt_writes, 1);
		transmit(40);
		CHECK(send_many(100, 60) >= 40 - 31); /* whole batches */
		transmit(UINT32_MAX);
		CHECK_EQ(unic_tx_burst(port, 0, NULL, 0), 0);
		CHECK_EQ(unic_packets_free(port), 1000 - 64);
		CHECK_EQ(send_many(lap, 60), lap);
		transmit(UINT32_MAX);
		unic_tx_burst(port, 0, NULL, 0);
	}
	CHECK_EQ(tx_dropped(), 0);
	close_whole();
}

TEST(e1000_tx_smallest_ring)
{
	unsigned int i;

	open_and_start(32, 32, 0);
	for (i = 0; i < 200; i++) {
		fake.held = true;
		CHECK_EQ(send_many(40, 60), 31);
		transmit(i % 32);
		fake.held = false;
		send_many(3, 60);
		transmit(UINT32_MAX);
		unic_tx_burst(port, 0, NULL, 0);
	}
	close_whole();
}

TEST(e1000_tx_drops_what_cannot_be_sent)
{
	static const uint32_t lengths[] = { 0, 1519, 2048, 65536, UINT32_MAX };
	struct unic_packet *packets[5];
	uint32_t whole;
	unsigned int i;

	open_and_start(0, 0, 0);
	whole = unic_packets_free(port);
	for (i = 0; i < 5; i++)
		packets[i] = make(1, lengths[i]);
	CHECK_EQ(unic_tx_burst(port, 0, packets, 5), 5);
	CHECK_EQ(fake.tdt_writes, 0);
	CHECK_EQ(tx_dropped(), 5);
	CHECK_EQ(unic_packets_free(port), whole);
	/* Between good ones. */
	packets[0] = make(1, 1518);
	packets[1] = make(2, 1519);
	packets[2] = make(3, 60);
	packets[3] = make(4, 0);
	packets[4] = make(5, 61);
	CHECK_EQ(unic_tx_burst(port, 0, packets, 5), 5);
	CHECK_EQ(fake.sent_count, 3);
	CHECK_EQ(fake.sent[0].length, 1518);
	CHECK_EQ(fake.sent[1].data[0], 3);
	CHECK_EQ(fake.sent[2].length, 61);
	CHECK_EQ(fake.tdt_writes, 1);
	CHECK_EQ(tx_dropped(), 7);
	CHECK_EQ(stats_now().tx_packets, 3);
	close_whole();
}

/* Into a full ring nothing is accepted, not even to be dropped. */
TEST(e1000_tx_full_ring_accepts_nothing_at_all)
{
	struct unic_packet *packet;

	open_and_start(64, 64, 0);
	fake.held = true;
	CHECK_EQ(send_many(63, 60), 63);
	packet = make(1, 0);
	CHECK_EQ(unic_tx_burst(port, 0, &packet, 1), 0);
	CHECK_EQ(tx_dropped(), 0);
	unic_packet_free(packet);
	close_whole();
}

TEST(e1000_tx_pads_with_zeros)
{
	struct unic_packet *packet;
	uint32_t length, i;

	open_and_start(0, 0, 0);
	for (length = 1; length < 60; length++) {
		fake.sent_count = 0;
		packet = make(0xaa, length);
		packet->offset = (int16_t)(length - 30);
		memset(unic_packet_data(packet), 0xaa, 100);
		CHECK_EQ(unic_tx_burst(port, 0, &packet, 1), 1);
		CHECK_EQ(fake.sent_count, 1);
		CHECK_EQ(fake.sent[0].length, 60);
		for (i = 0; i < 60; i++)
			CHECK_EQ(fake.sent[0].data[i], i < length ? 0xaa : 0);
	}
	CHECK_EQ(stats_now().tx_bytes, 59 * 60);
	/* At the buffer's end there is no room to pad. */
	packet = make(1, 10);
	packet->offset = UNIC_PACKET_ROOM - 10;
	CHECK_EQ(unic_tx_burst(port, 0, &packet, 1), 1);
	CHECK_EQ(tx_dropped(), 1);
	close_whole();
}

TEST(e1000_tx_begins_at_the_offset)
{
	struct unic_packet *packet;

	open_and_start(0, 0, 0);
	packet = make(9, 60);
	packet->offset = -UNIC_PACKET_HEADROOM;
	memset(unic_packet_data(packet), 7, 60);
	CHECK_EQ(unic_tx_burst(port, 0, &packet, 1), 1);
	CHECK_EQ(fake.sent[0].data[0], 7);
	CHECK_EQ(fake.sent[0].data[59], 7);
	packet = make(9, 60);
	packet->offset = 100;
	unic_packet_data(packet)[0] = 8;
	CHECK_EQ(unic_tx_burst(port, 0, &packet, 1), 1);
	CHECK_EQ(fake.sent[1].data[0], 8);
	CHECK_EQ(fake.sent[1].data[1], 9);
	close_whole();
}

/* What another device would not reach, under an IOMMU; and its pool must not get lost. */
TEST(e1000_tx_drops_packets_of_another_port)
{
	struct {
		struct unic_pool pool;
		struct unic_packet *room[1];
	} other = { .pool.free_count = 0 };
	struct unic_packet strange = { .pool = &other.pool, .length = 60 }, *packet = &strange;

	open_and_start(0, 0, 0);
	CHECK_EQ(unic_tx_burst(port, 0, &packet, 1), 1);
	CHECK_EQ(tx_dropped(), 1);
	CHECK_EQ(fake.tdt_writes, 0);
	CHECK_EQ(other.pool.free_count, 1);
	CHECK(other.pool.free[0] == &strange);
	close_whole();
}

TEST(e1000_packet_alloc_takes_back_what_was_sent)
{
	struct unic_packet *packets[64];
	unsigned int i, n;

	open_and_start(64, 64, 74);
	CHECK_EQ(send_many(10, 60), 10);
	n = unic_packet_alloc_burst(port, 0, packets, 64);
	CHECK_EQ(n, 10);
	CHECK_EQ(unic_packet_alloc_burst(port, 0, packets + 10, 1), 0);
	CHECK(!unic_packet_alloc(port, 0));
	for (i = 0; i < n; i++)
		unic_packet_reset(packets[i], 60);
	CHECK_EQ(unic_tx_burst(port, 0, packets, n), (int)n);
	CHECK((packets[0] = unic_packet_alloc(port, 0)));
	CHECK_EQ(packets[0]->length, 0);
	unic_packet_free(packets[0]);
	close_whole();
}

/* Link, statistics, interrupts */

TEST(e1000_link)
{
	static const uint32_t speeds[] = { 10, 100, 1000, 1000 };
	struct unic_link link;
	uint32_t i;

	open_and_start(0, 0, 0);
	for (i = 0; i < 4; i++) {
		*reg(E1000_STATUS) = E1000_STATUS_LU | (i & 1) | i << 6;
		CHECK_EQ(unic_link(port, &link), 0);
		CHECK_EQ(link.up, 1);
		CHECK_EQ(link.speed_mbps, speeds[i]);
		CHECK_EQ(link.full_duplex, i & 1);
	}
	*reg(E1000_STATUS) = 2u << 6 | 1;
	CHECK_EQ(unic_link(port, &link), 0);
	CHECK(!link.up && !link.speed_mbps && !link.full_duplex);
	fake.gone = true;
	CHECK_EQ(unic_link(port, &link), -ENODEV);
	fake.gone = false;
	close_whole();
}

TEST(e1000_stats_add_up)
{
	int i;

	open_and_start(0, 0, 0);
	for (i = 1; i <= 3; i++) {
		*reg(E1000_MPC) = 10;
		*reg(E1000_CRCERRS) = 1;
		*reg(E1000_RLEC) = 2;
		*reg(E1000_ALGNERRC) = 4;
		*reg(E1000_RXERRC) = 8;
		CHECK_EQ(stats_now().rx_missed, 10 * i);
		CHECK_EQ(stats_now().rx_errors, 15 * i);
	}
	*reg(E1000_MPC) = 5;
	CHECK_EQ(unic_stop(port), 0); /* the reset does not lose them */
	CHECK_EQ(stats_now().rx_missed, 35);
	fake.gone = true;
	CHECK_EQ(stats_now().rx_missed, 35);
	CHECK_EQ(stats_now().rx_errors, 45);
	close_whole();
}

/* QEMU's e1000 clears its count of missed frames neither by a read nor by a reset. */
TEST(e1000_stats_that_no_read_clears_add_up)
{
	int i;

	plug();
	fake.keeps_counts = true;
	*reg(E1000_MPC) = 77;
	CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
	CHECK_EQ(unic_start(port), 0);
	for (i = 1; i <= 3; i++) {
		CHECK_EQ(stats_now().rx_missed, 10 * (i - 1));
		*reg(E1000_MPC) += 10;
		CHECK_EQ(stats_now().rx_missed, 10 * i);
		CHECK_EQ(stats_now().rx_missed, 10 * i);
	}
	CHECK_EQ(unic_stop(port), 0);
	CHECK_EQ(stats_now().rx_missed, 30);
	close_whole();
}

TEST(e1000_stats_from_before_are_not_counted)
{
	plug();
	*reg(E1000_MPC) = 77;
	fake.no_reset = false;
	CHECK_EQ(unic_open("00:04.0", NULL, &port), 0);
	CHECK_EQ(stats_now().rx_missed, 0);
	close_whole();
}

TEST(e1000_wait_returns_at_once_for_a_frame)
{
	struct unic_packet *packets[1];

	open_and_start(0, 0, 0);
	CHECK(receive(1, 60));
	CHECK_EQ(unic_wait(port, 0, -1), 0);
	CHECK_EQ(fake.accesses, 0);
	CHECK_EQ(fake.irq_waits, 0);
	CHECK_EQ(unic_rx_burst(port, 0, packets, 1), 1);
	unic_packet_free(packets[0]);
	close_whole();
}

static void receive_one(void)
{
	receive(5, 60);
}

TEST(e1000_wait_arms_and_acknowledges)
{
	open_and_start(0, 0, 0);
	fake.icr_reads = 0;
	fake.during_wait = receive_one;
	CHECK_EQ(unic_wait(port, 0, -1), 0);
	CHECK_EQ(fake.ims_writes, 1);
	CHECK_EQ(fake.irq_waits, 1);
	CHECK_EQ(*reg(E1000_IMS),
		 E1000_INT_RXT0 | E1000_INT_RXDMT0 | E1000_INT_RXO | E1000_INT_LSC);
	CHECK_EQ(*reg(E1000_IMC), UINT32_MAX);
	CHECK_EQ(fake.icr_reads, 1);
	CHECK_EQ(fake.irq_unmasks, 1);
	close_whole();
}

TEST(e1000_wait_sees_a_frame_that_comes_while_it_arms)
{
	open_and_start(0, 0, 0);
	fake.at_arm = receive_one;
	fake.irq_result = -ETIMEDOUT;
	CHECK_EQ(unic_wait(port, 0, -1), 0);
	CHECK_EQ(fake.irq_waits, 0);
	CHECK_EQ(fake.irq_unmasks, 1);
	close_whole();
}

TEST(e1000_wait_passes_errors_on)
{
	static const int errors[] = { -ETIMEDOUT, -EINTR, -ENODEV };
	struct unic_config config = { .flags = UNIC_CONFIG_NO_IRQ };
	size_t i;

	open_and_start(0, 0, 0);
	for (i = 0; i < 3; i++) {
		fake.irq_result = errors[i];
		CHECK_EQ(unic_wait(port, 0, 1000), errors[i]);
		CHECK_EQ(*reg(E1000_IMC), UINT32_MAX);
		CHECK_EQ(fake.irq_unmasks, i + 1);
	}
	close_whole();
	plug();
	CHECK_EQ(unic_open("00:04.0", &config, &port), 0);
	CHECK(!fake.irq_on);
	CHECK_EQ(unic_start(port), 0);
	CHECK_EQ(unic_wait(port, 0, 0), -EINVAL);
	close_whole();
}

TEST_MAIN
