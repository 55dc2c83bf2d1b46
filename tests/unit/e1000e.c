/* SPDX-License-Identifier: MIT */
/*
 * The e1000e driver on a device of the test's own making, below the library: registers are calls,
 * and the "device" does what hardware in order would not. What QEMU's device shows is in
 * tests/suite.
 */
#include <unic/driver.h>

#include "drivers/intel/regs.h"
#include "fake-device.h"
#include "harness.h"
#include "nic/depot.h"

#define RING   64
#define BURST  32
#define FRAMES 20000 /* of a device that writes anything */

/* The device, and what was done to it. */
static struct nic {
	uint32_t regs[0x20000 / 4];
	struct userpci_dma dma[8];
	unsigned int dma_count;
	bool gone, stuck_reset, stuck_master, no_mdio, no_nvm;
	unsigned int accesses, gone_after; /* 0: never */
	unsigned int icr_reads, wrong;
} nic;

static struct userpci_backend backend;
static struct unic_port *port;

static uint32_t *reg(uint32_t offset)
{
	return &nic.regs[offset / 4];
}

/* The device's view of an address; NULL: such an access is counted as wrong. */
static void *reach(uint64_t iova, uint64_t size)
{
	unsigned int i;

	for (i = 0; i < nic.dma_count; i++)
		if (iova >= nic.dma[i].iova && iova + size <= nic.dma[i].iova + nic.dma[i].size &&
		    fake.bus_master)
			return (char *)nic.dma[i].va + (iova - nic.dma[i].iova);
	nic.wrong++;
	return NULL;
}

static int nic_dma_alloc(struct userpci_device *device, const struct userpci_dma_options *options,
			 struct userpci_dma *dma)
{
	int err = fake_dma_alloc(device, options, dma);

	CHECK(nic.dma_count < 8);
	nic.dma[nic.dma_count++] = *dma;
	return err;
}

static int nic_map(struct userpci_device *device, unsigned int index, bool wc,
		   struct userpci_region *region)
{
	(void)device, (void)wc;
	region->size = index ? 0 : sizeof(nic.regs);
	return index ? -ENOENT : 0;
}

static void nic_unmap(const struct userpci_region *region)
{
	(void)region;
}

static bool access_lost(void)
{
	nic.accesses++;
	return nic.gone || (nic.gone_after && nic.accesses > nic.gone_after);
}

static int nic_read(const struct userpci_region *region, uint64_t offset, unsigned int width,
		    uint64_t *value)
{
	if (access_lost())
		return -ENODEV;
	CHECK(width == 4 && offset < region->size);
	*value = *reg((uint32_t)offset);
	if (offset == E1000_ICR) {
		nic.icr_reads++;
		*reg(E1000_ICR) = 0;
	}
	return 0;
}

static void write_ctrl(uint32_t value)
{
	*reg(E1000_CTRL) = nic.stuck_reset ? value : value & ~E1000_CTRL_RST;
	*reg(E1000_STATUS) &= ~E1000E_STATUS_GIO;
	if (!(value & E1000E_CTRL_GIO_DISABLE) || nic.stuck_master)
		*reg(E1000_STATUS) |= E1000E_STATUS_GIO;
	if (value & E1000_CTRL_RST)
		*reg(E1000E_EECD) = nic.no_nvm ? 0 : E1000E_EECD_AUTO_RD;
}

static void write_eerd(uint32_t value)
{
	static const uint16_t words[] = { 0x5452, 0x1200, 0x5634 };
	uint32_t word = value >> 2 & 0x3fff;

	if (!nic.no_nvm && word < 3 && value & E1000_EERD_START)
		*reg(E1000_EERD) = (uint32_t)words[word] << 16 | E1000E_EERD_DONE;
	else
		*reg(E1000_EERD) = 0;
}

static struct intel_desc *desc_at(uint32_t base, uint32_t index)
{
	uint64_t iova = *reg(base) | (uint64_t)*reg(base + 4) << 32;

	return reach(iova + index * sizeof(struct intel_desc), sizeof(struct intel_desc));
}

static void transmit(uint32_t base)
{
	uint32_t *head = reg(base + 0x10), size = *reg(base + 8) / sizeof(struct intel_desc);
	struct intel_desc *desc;

	for (; *head != *reg(base + 0x18); *head = (*head + 1) % size) {
		desc = desc_at(base, *head);
		if (desc && desc->word & E1000_TXD_RS)
			desc->word |= E1000_TXD_DD;
	}
}

static int nic_write(const struct userpci_region *region, uint64_t offset, unsigned int width,
		     uint64_t value)
{
	uint32_t word = (uint32_t)value;

	if (access_lost())
		return -ENODEV;
	CHECK(width == 4 && offset < region->size);
	if (offset == E1000_ICR)
		*reg(E1000_ICR) &= ~word;
	else if (offset == E1000_IMC)
		*reg(E1000_IMS) &= ~word;
	else if (offset == E1000_IMS)
		*reg(E1000_IMS) |= word;
	else if (offset == E1000_CTRL)
		write_ctrl(word);
	else if (offset == E1000_EERD)
		write_eerd(word);
	else if (offset == E1000E_EXTCNF_CTRL && nic.no_mdio)
		*reg(E1000E_EXTCNF_CTRL) = word & ~E1000E_EXTCNF_MDIO_SW;
	else
		*reg((uint32_t)offset) = word;
	if (offset == E1000E_TDBAL(0) + 0x18 || offset == E1000E_TDBAL(1) + 0x18)
		transmit((uint32_t)offset - 0x18);
	return 0;
}

/* A descriptor as the device hands it back, whatever it says. False: there is none for it. */
static bool receive(unsigned int queue, uint64_t info, uint64_t word)
{
	uint32_t base = E1000E_RDBAL(queue), *head = reg(base + 0x10);
	struct intel_desc *desc;

	if (*head == *reg(base + 0x18))
		return false;
	desc = desc_at(base, *head);
	CHECK(desc && reach(desc->address, UNIC_PACKET_ROOM));
	CHECK_EQ(desc->word, 0);
	desc->address = info;
	desc->word = word;
	*head = (*head + 1) % (*reg(base + 8) / (uint32_t)sizeof(*desc));
	return true;
}

#define GOOD(length) ((uint64_t)(length) << 32 | E1000E_RXD_DD | E1000E_RXD_EOP)

/* --- A port, as the layer makes it --- */

static void plug(void)
{
	memset(&nic, 0, sizeof(nic));
	*reg(E1000_STATUS) = E1000_STATUS_LU | E1000_STATUS_FD;
	backend = fake_backend;
	backend.region_map = nic_map;
	backend.region_unmap = nic_unmap;
	backend.region_read = nic_read;
	backend.region_write = nic_write;
	backend.dma_alloc = nic_dma_alloc;
	port = calloc(1, sizeof(*port));
	port->driver = &unic_e1000e;
	port->priv = calloc(1, port->driver->priv_size);
	port->device = fake_open();
	port->device->backend = &backend;
	port->device->info.num_intx = 1;
}

static void port_free(void)
{
	free(port->priv);
	free(port);
}

static void unplug(void)
{
	userpci_close(port->device);
	port_free();
}

static void queue_make(unsigned int index)
{
	struct unic_queue *queue = calloc(1, sizeof(*queue));

	queue->priv = calloc(1, port->driver->queue_size);
	queue->port = port;
	queue->index = index;
	queue->tx_max = port->config.mtu + UNIC_OVERHEAD;
	queue->pool = unic_depot_pool(port->depot, index);
	queue->rx_burst = port->driver->rx_burst;
	queue->tx_burst = port->driver->tx_burst;
	port->queues[index] = queue;
}

static void start(unsigned int queues, uint32_t offloads, unsigned int irq)
{
	unsigned int i;

	plug();
	CHECK_EQ(port->driver->probe(port), 0);
	port->config.rx_descriptors = RING;
	port->config.tx_descriptors = RING;
	port->config.mtu = UNIC_MTU;
	port->info.offloads = offloads;
	port->queue_count = queues;
	CHECK_EQ(unic_depot_create(port, 8 * RING), 0);
	for (i = 0; i < queues; i++)
		queue_make(i);
	for (i = 0; i < queues; i++)
		unic_pool_fill(port->queues[i]->pool, RING + BURST);
	CHECK_EQ(userpci_irq_enable(port->device, irq, queues), 0);
	port->vectors = queues;
	CHECK_EQ(port->driver->start(port), 0);
	port->started = true;
	nic.icr_reads = 0;
}

/* Every packet is back, and is there once. */
static void stop(void)
{
	unsigned int i, n;
	uint32_t count = unic_depot_count(port->depot);

	port->driver->stop(port);
	CHECK(!fake.bus_master);
	CHECK_EQ(unic_depot_free(port->depot), count);
	for (i = 0; i < port->queue_count; i++)
		for (n = 0; n < port->queues[i]->pool->free_count; n++)
			CHECK_EQ(port->queues[i]->pool->free[n]->user++, 0);
	CHECK_EQ(nic.wrong, 0);
	port->driver->remove(port);
	CHECK(nic.gone || nic.gone_after || !(*reg(E1000E_CTRL_EXT) & E1000E_CTRL_EXT_DRV_LOAD));
	unic_depot_leave(port);
	for (i = 0; i < port->queue_count; i++) {
		free(port->queues[i]->priv);
		free(port->queues[i]);
	}
	port_free();
}

static struct unic_packet *take_one(unsigned int queue)
{
	struct unic_packet *packet;

	CHECK_EQ(unic_rx_burst(port, queue, &packet, 1), 1);
	return packet;
}

/* --- Opening --- */

TEST(e1000e_probe)
{
	static const uint8_t mac[UNIC_MAC_SIZE] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

	plug();
	CHECK_EQ(port->driver->probe(port), 0);
	CHECK(!memcmp(port->info.mac, mac, sizeof(mac)));
	CHECK_EQ(port->info.max_queues, 2);
	CHECK_EQ(port->info.max_mtu, 9000);
	CHECK_EQ(port->info.can_offload, UNIC_OFFLOAD_ALL);
	CHECK(*reg(E1000E_CTRL_EXT) & E1000E_CTRL_EXT_DRV_LOAD);
	CHECK_EQ(*reg(E1000_CTRL), E1000_CTRL_SLU);
	CHECK(!(*reg(E1000E_EXTCNF_CTRL) & E1000E_EXTCNF_MDIO_SW));
	CHECK(!fake.bus_master);
	unplug();
}

TEST(e1000e_probe_without_nvm)
{
	static const uint8_t mac[UNIC_MAC_SIZE] = { 2, 1, 0, 0, 4, 3 };

	plug();
	nic.no_nvm = true;
	CHECK_EQ(port->driver->probe(port), -EIO);
	*reg(E1000_RAL(0)) = 0x00000102;
	*reg(E1000_RAH(0)) = 0x80000304;
	CHECK_EQ(port->driver->probe(port), 0);
	CHECK(!memcmp(port->info.mac, mac, sizeof(mac)));
	unplug();
}

/* What the device may hold back is no reason to give up; a reset without end is. */
TEST(e1000e_probe_of_a_stuck_device)
{
	plug();
	nic.stuck_master = true;
	CHECK_EQ(port->driver->probe(port), 0);
	nic.no_mdio = true;
	CHECK_EQ(port->driver->probe(port), 0);
	nic.stuck_reset = true;
	CHECK_EQ(port->driver->probe(port), -ETIMEDOUT);
	CHECK(!(*reg(E1000E_EXTCNF_CTRL) & E1000E_EXTCNF_MDIO_SW));
	unplug();
}

TEST(e1000e_vanishes_while_it_is_probed)
{
	unsigned int n, all;

	plug();
	CHECK_EQ(port->driver->probe(port), 0);
	all = nic.accesses;
	unplug();
	for (n = 1; n < all; n++) {
		plug();
		nic.gone_after = n;
		/* The end of it is statistics: that is found out later. */
		if (port->driver->probe(port) != -ENODEV)
			CHECK(n + 6 > all);
		unplug();
	}
}

TEST(e1000e_vanishes_while_it_runs)
{
	struct unic_packet *packets[BURST];
	struct unic_link link;

	start(2, UNIC_OFFLOAD_ALL, USERPCI_IRQ_MSIX);
	CHECK(receive(1, 1, GOOD(60)));
	nic.gone = true;
	unic_packet_free(take_one(1));
	CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 0);
	CHECK_EQ(port->driver->link(port, &link), -ENODEV);
	CHECK_EQ(port->driver->filter(port), -ENODEV);
	stop();
}

/* --- Setup --- */

TEST(e1000e_two_queues)
{
	unsigned int i;

	start(2, UNIC_OFFLOAD_ALL, USERPCI_IRQ_MSIX);
	for (i = 0; i < E1000E_RETA_COUNT; i++)
		CHECK_EQ(*reg(E1000E_RETA(i)), 0x80008000);
	CHECK_EQ(*reg(E1000E_RSSRK(0)), 0xda565a6d);
	CHECK_EQ(*reg(E1000E_MRQC) & 3, E1000E_MRQC_RSS);
	CHECK(*reg(E1000_RXCSUM) & E1000E_RXCSUM_PCSD);
	CHECK_EQ(*reg(E1000E_IVAR), 0x80098);
	CHECK_EQ(*reg(E1000E_EIAC), 0x300000);
	CHECK_EQ(*reg(E1000E_RDBAL(1) + 8), RING * sizeof(struct intel_desc));
	CHECK_EQ(*reg(E1000E_TDBAL(1) + 8), RING * sizeof(struct intel_desc));
	CHECK(*reg(E1000E_TARC(1)) & E1000E_TARC_ENABLE);
	CHECK(receive(1, 0, GOOD(61)));
	CHECK(receive(0, 0, GOOD(62)));
	for (i = 0; i < 2; i++) {
		struct unic_packet *packet = take_one(i);

		CHECK_EQ(packet->length, i ? 61 : 62);
		CHECK_EQ(unic_tx_burst(port, i, &packet, 1), 1);
		CHECK_EQ(*reg(E1000E_TDH(i)), 1);
	}
	stop();
}

TEST(e1000e_one_queue_without_offloads)
{
	start(1, 0, USERPCI_IRQ_INTX);
	CHECK_EQ(*reg(E1000E_MRQC), 0);
	CHECK_EQ(*reg(E1000_RXCSUM), 0);
	CHECK(*reg(E1000E_RFCTL) & E1000E_RFCTL_EXSTEN);
	CHECK_EQ(*reg(E1000E_EIAC), 0);
	CHECK_EQ(*reg(E1000E_IVAR), 0);
	CHECK_EQ(*reg(E1000E_RDBAL(1) + 8), 0);
	stop();
}

/* --- Interrupts --- */

TEST(e1000e_vectors_leave_one_another_alone)
{
	const uint32_t first = E1000E_INT_RXQ(0) | E1000E_INT_OTHER | E1000_INT_LSC;
	const struct unic_driver *driver = &unic_e1000e;
	const uint32_t second = E1000E_INT_RXQ(1);

	start(2, UNIC_OFFLOAD_RSS, USERPCI_IRQ_MSIX);
	driver->irq_arm(port->queues[0]);
	CHECK_EQ(*reg(E1000_IMS), first);
	driver->irq_arm(port->queues[1]);
	CHECK_EQ(*reg(E1000_IMS), first | second);
	*reg(E1000_ICR) = first | second;
	CHECK(!driver->irq_ack(port->queues[0]));
	CHECK_EQ(*reg(E1000_IMS), second);
	CHECK_EQ(*reg(E1000_ICR), second);
	driver->irq_arm(port->queues[0]);
	*reg(E1000_ICR) = first | second;
	*reg(E1000_STATUS) &= ~E1000_STATUS_LU;
	CHECK(!driver->irq_ack(port->queues[1]));
	CHECK_EQ(*reg(E1000_IMS), first);
	CHECK_EQ(*reg(E1000_ICR), first);
	CHECK(driver->irq_ack(port->queues[0]));
	CHECK(!driver->irq_ack(port->queues[0]));
	*reg(E1000_STATUS) |= E1000_STATUS_LU;
	CHECK(driver->irq_ack(port->queues[0]));
	CHECK_EQ(nic.icr_reads, 0);
	stop();
}

TEST(e1000e_line)
{
	const struct unic_driver *driver = &unic_e1000e;

	start(1, 0, USERPCI_IRQ_INTX);
	driver->irq_arm(port->queues[0]);
	CHECK_EQ(*reg(E1000_IMS),
		 E1000_INT_RXT0 | E1000_INT_RXDMT0 | E1000_INT_RXO | E1000_INT_LSC);
	*reg(E1000_ICR) = E1000_INT_RXT0;
	CHECK(!driver->irq_ack(port->queues[0]));
	CHECK_EQ(*reg(E1000_IMS) | *reg(E1000_ICR), 0);
	*reg(E1000_ICR) = E1000_INT_LSC;
	CHECK(driver->irq_ack(port->queues[0]));
	stop();
}

/* --- Receiving --- */

static uint16_t expected_flags(uint64_t word)
{
	uint16_t flags = word & E1000E_RXD_VP ? UNIC_PACKET_VLAN : 0;

	if (word & E1000E_RXD_IXSM)
		return flags;
	if (word & E1000E_RXD_IPCS)
		flags |= word & E1000E_RXD_IPE ? UNIC_RX_IP_BAD : UNIC_RX_IP_GOOD;
	if (word & E1000E_RXD_TCPCS)
		flags |= word & E1000E_RXD_TCPE ? UNIC_RX_L4_BAD : UNIC_RX_L4_GOOD;
	return flags;
}

/* All that the low byte of the status and the two checksum errors can say, with each RSS type. */
TEST(e1000e_flags)
{
	struct unic_packet *packet;
	uint64_t word, info;
	unsigned int i;

	start(1, UNIC_OFFLOAD_ALL, USERPCI_IRQ_MSIX);
	for (i = 0; i < 64 * 4 * 16; i++) {
		info = (0x12345678 + (uint64_t)i) << 32 | (i & 15);
		word = GOOD(100) | (i >> 4 & 63) << 2 | (uint64_t)(i >> 10) << 29 | 0x2345ull << 48;
		CHECK(receive(0, info, word));
		packet = take_one(0);
		CHECK_EQ(packet->length, 100);
		CHECK_EQ(packet->flags & ~UNIC_RX_HASH, expected_flags(word));
		CHECK_EQ(!!(packet->flags & UNIC_RX_HASH), (i & 15) != 0);
		if (i & 15)
			CHECK_EQ(packet->hash, 0x12345678 + i);
		if (packet->flags & UNIC_PACKET_VLAN)
			CHECK_EQ(packet->vlan, 0x2345);
		unic_packet_free(packet);
	}
	stop();
}

TEST(e1000e_bad_frames)
{
	static const uint64_t bad[] = { GOOD(60) | E1000E_RXD_CE,
					GOOD(60) | E1000E_RXD_SE,
					GOOD(60) | E1000E_RXD_SEQ,
					GOOD(60) | E1000E_RXD_CXE,
					GOOD(60) | E1000E_RXD_RXE,
					GOOD(0),
					GOOD(2049),
					GOOD(65535) };
	struct unic_packet *packets[BURST];
	unsigned int i;

	start(1, 0, USERPCI_IRQ_MSIX);
	for (i = 0; i < 8; i++) {
		CHECK(receive(0, 0, bad[i]));
		CHECK(receive(0, 0, GOOD(60 + i)));
		CHECK_EQ(unic_rx_burst(port, 0, packets, BURST), 1);
		CHECK_EQ(packets[0]->length, 60 + i);
		CHECK_EQ(port->queues[0]->stats.rx_errors, i + 1);
		unic_packet_free(packets[0]);
	}
	CHECK_EQ(port->queues[0]->stats.rx_packets, 8);
	stop();
}

static uint64_t random_word(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* Frames that it hands out are in order in themselves. */
static void check_frame(struct unic_packet *packet)
{
	CHECK(unic_packet_total(packet) <= UNIC_PACKET_ROOM);
	for (;; packet = packet->next) {
		CHECK(packet->length && packet->length <= UNIC_PACKET_ROOM && !packet->offset);
		if (!(packet->flags & UNIC_PACKET_CHAINED))
			break;
	}
}

/* Of anything; mostly of what is plausible, else all would be errors. */
static uint64_t any_word(void)
{
	uint64_t word = random_word();

	if (word >> 60)
		word &= ~((uint64_t)0xf800 << 32 | 0xffull << 24);
	return word | (word >> 58 & 3 ? E1000E_RXD_DD : 0);
}

TEST(e1000e_device_that_writes_anything)
{
	struct unic_packet *packets[BURST];
	unsigned int i, frames = 0;
	int n, k;

	start(1, UNIC_OFFLOAD_ALL, USERPCI_IRQ_MSIX);
	for (i = 0; i < FRAMES; i++) {
		uint64_t word = any_word() | E1000E_RXD_DD;

		while (!receive(0, random_word(), word)) {
			n = unic_rx_burst(port, 0, packets, 1 + random_word() % BURST);
			CHECK(n >= 0);
			for (k = 0; k < n; k++)
				check_frame(packets[k]);
			frames += (unsigned int)n;
			for (k = 0; k < n; k++)
				unic_packet_free(packets[k]);
		}
	}
	CHECK(frames > FRAMES / 10);
	CHECK(port->queues[0]->stats.rx_errors > FRAMES / 100);
	stop();
}

TEST_MAIN
