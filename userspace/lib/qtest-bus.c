/* SPDX-License-Identifier: MIT */
/*
 * What firmware does on a real machine: numbers the buses behind bridges, sizes the BARs and gives
 * them addresses (PCI Local Bus 3.0, section 6.2.5; PCI-to-PCI Bridge 1.2, section 3.2.5).
 */
#include <errno.h>
#include <linux/pci_regs.h>

#include "qtest.h"

/* QEMU: the q35 host bridge maps configuration space at the address in its register 60h. */
#define ECAM_REGISTER 0x60
#define ECAM	      0xb0000000u
#define ECAM_ENABLE   1u

/* Red Hat's, of the shared-memory device. */
#define DOORBELL_ID 0x11101af4u

/* Where addresses are given out, and where that ends: the I/O APIC, and what any processor has. */
#define IO_FIRST       0x1000u
#define IO_END	       0x10000u
#define MEMORY_FIRST   0xc0000000u
#define MEMORY_END     0xfec00000u
#define PREFETCH_FIRST (1ull << 34)
#define PREFETCH_END   (1ull << 40)
#define BUSES	       256

/* The next free address of each kind. */
struct walk {
	struct userpci_qtest *qtest;
	uint64_t io, memory, prefetch;
	uint32_t next_bus;
	struct userpci_function *function;
	bool found;
	uint64_t doorbell;
};

static uint64_t config_address(uint32_t bdf, unsigned int offset)
{
	return ECAM + ((uint64_t)bdf << 12) + offset;
}

uint32_t userpci_qtest_config_read(struct userpci_qtest *qtest, uint32_t bdf, unsigned int offset,
				   unsigned int width)
{
	return userpci_qtest_read(qtest, USERPCI_SPACE_MEMORY, config_address(bdf, offset), width);
}

void userpci_qtest_config_write(struct userpci_qtest *qtest, uint32_t bdf, unsigned int offset,
				unsigned int width, uint32_t value)
{
	userpci_qtest_write(qtest, USERPCI_SPACE_MEMORY, config_address(bdf, offset), width, value);
}

static uint64_t align(uint64_t *next, uint64_t size)
{
	*next = (*next + size - 1) & ~(size - 1);
	return *next;
}

static uint64_t take(uint64_t *next, uint64_t size)
{
	uint64_t address = align(next, size);

	*next += size;
	return address;
}

static uint32_t probe(struct userpci_qtest *q, uint32_t bdf, unsigned int offset)
{
	userpci_qtest_config_write(q, bdf, offset, 4, 0xffffffff);
	return userpci_qtest_config_read(q, bdf, offset, 4);
}

/* Sizes one BAR and assigns it. Returns how many registers it takes. */
static unsigned int assign_bar(struct walk *w, uint32_t bdf, unsigned int index,
			       struct userpci_bar *bar)
{
	unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * index;
	uint32_t low = probe(w->qtest, bdf, offset);
	uint64_t mask = low;

	if (!low)
		return 1;
	if (low & PCI_BASE_ADDRESS_SPACE_IO) {
		bar->flags = USERPCI_REGION_IO;
		bar->size = -(uint32_t)(low & PCI_BASE_ADDRESS_IO_MASK) & 0xffff;
		bar->address = take(&w->io, bar->size);
		userpci_qtest_config_write(w->qtest, bdf, offset, 4, bar->address);
		return 1;
	}
	mask |= UINT64_MAX << 32;
	if ((low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64) {
		bar->flags = USERPCI_REGION_64;
		mask = (uint64_t)probe(w->qtest, bdf, offset + 4) << 32 | low;
	}
	if (low & PCI_BASE_ADDRESS_MEM_PREFETCH)
		bar->flags |= USERPCI_REGION_PREFETCH;
	bar->size = -(mask & PCI_BASE_ADDRESS_MEM_MASK);
	bar->address = take(bar->flags == (USERPCI_REGION_64 | USERPCI_REGION_PREFETCH)
				    ? &w->prefetch
				    : &w->memory,
			    bar->size);
	userpci_qtest_config_write(w->qtest, bdf, offset, 4, bar->address);
	if (!(bar->flags & USERPCI_REGION_64))
		return 1;
	userpci_qtest_config_write(w->qtest, bdf, offset + 4, 4, bar->address >> 32);
	return 2;
}

/* Whether it may be what the caller asked for: the first such function is. */
static bool is_wanted(const struct userpci_qtest *q, uint32_t bdf)
{
	return q->behind == (bdf >> 8 != 0) && (q->devfn < 0 || (bdf & 0xff) == (uint32_t)q->devfn);
}

static void visit_endpoint(struct walk *w, uint32_t bdf, uint32_t id)
{
	struct userpci_function f = { .bdf = bdf };
	unsigned int bar;

	for (bar = 0; bar < USERPCI_NUM_BARS;)
		bar += assign_bar(w, bdf, bar, &f.bars[bar]);
	userpci_qtest_config_write(w->qtest, bdf, PCI_COMMAND, 2,
				   PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	if (id == DOORBELL_ID && bdf == USERPCI_QTEST_BDF) {
		w->doorbell = f.bars[0].address;
	} else if (!w->found && is_wanted(w->qtest, bdf)) {
		*w->function = f;
		w->found = true;
	}
}

static void visit_bus(struct walk *w, uint32_t bus);

/* What lies behind gets its addresses between two alignments to the windows' units. */
static void visit_bridge(struct walk *w, uint32_t bdf)
{
	struct userpci_qtest *q = w->qtest;
	uint32_t bus = w->next_bus++;
	uint64_t io = align(&w->io, 0x1000), memory = align(&w->memory, 0x100000);
	uint64_t prefetch = align(&w->prefetch, 0x100000);

	userpci_qtest_config_write(q, bdf, PCI_PRIMARY_BUS, 1, bdf >> 8);
	userpci_qtest_config_write(q, bdf, PCI_SECONDARY_BUS, 1, bus);
	userpci_qtest_config_write(q, bdf, PCI_SUBORDINATE_BUS, 1, 0xff);
	visit_bus(w, bus);
	userpci_qtest_config_write(q, bdf, PCI_SUBORDINATE_BUS, 1, w->next_bus - 1);
	userpci_qtest_config_write(q, bdf, PCI_IO_BASE, 1, io >> 8);
	userpci_qtest_config_write(q, bdf, PCI_IO_LIMIT, 1, (align(&w->io, 0x1000) - 1) >> 8);
	userpci_qtest_config_write(q, bdf, PCI_MEMORY_BASE, 2, memory >> 16);
	userpci_qtest_config_write(q, bdf, PCI_MEMORY_LIMIT, 2,
				   (align(&w->memory, 0x100000) - 1) >> 16);
	userpci_qtest_config_write(q, bdf, PCI_PREF_MEMORY_BASE, 2, prefetch >> 16);
	userpci_qtest_config_write(q, bdf, PCI_PREF_BASE_UPPER32, 4, prefetch >> 32);
	prefetch = align(&w->prefetch, 0x100000) - 1;
	userpci_qtest_config_write(q, bdf, PCI_PREF_MEMORY_LIMIT, 2, prefetch >> 16);
	userpci_qtest_config_write(q, bdf, PCI_PREF_LIMIT_UPPER32, 4, prefetch >> 32);
	userpci_qtest_config_write(q, bdf, PCI_COMMAND, 2,
				   PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* The machine's own: the host bridge, and the south bridge in slot 1f. */
static bool is_machine(uint32_t bdf)
{
	return bdf == 0 || bdf >> 3 == 0x1f;
}

static void visit_bus(struct walk *w, uint32_t bus)
{
	uint32_t bdf, id, header;

	for (bdf = bus << 8; bdf < (bus + 1) << 8; bdf++) {
		id = userpci_qtest_config_read(w->qtest, bdf, PCI_VENDOR_ID, 4);
		if (id == 0xffffffff) {
			if (!(bdf & 7))
				bdf |= 7;
			continue;
		}
		header = userpci_qtest_config_read(w->qtest, bdf, PCI_HEADER_TYPE, 1);
		if (!is_machine(bdf) && (header & 0x7f) == PCI_HEADER_TYPE_NORMAL)
			visit_endpoint(w, bdf, id);
		else if ((header & 0x7f) == PCI_HEADER_TYPE_BRIDGE && w->next_bus < BUSES)
			visit_bridge(w, bdf);
		if (!(bdf & 7) && !(header & 0x80))
			bdf |= 7;
	}
}

static int verdict(const struct walk *w)
{
	if (userpci_qtest_check(w->qtest)) {
		userpci_qtest_set_message("QEMU ended while its devices were looked at");
		return -EIO;
	}
	if (w->io > IO_END || w->memory > MEMORY_END || w->prefetch > PREFETCH_END) {
		userpci_qtest_set_message("its BARs are larger than the room for them");
		return -ENOSPC;
	}
	if (!w->found || !w->doorbell) {
		userpci_qtest_set_message("QEMU has no PCI function where this device should be");
		return -ENODEV;
	}
	return 0;
}

int userpci_qtest_enumerate(struct userpci_qtest *qtest, struct userpci_function *function,
			    uint64_t *doorbell)
{
	struct walk w = {
		.qtest = qtest,
		.io = IO_FIRST,
		.memory = MEMORY_FIRST,
		.prefetch = PREFETCH_FIRST,
		.next_bus = 1,
		.function = function,
	};

	userpci_qtest_write(qtest, USERPCI_SPACE_IO, 0xcf8, 4, 1u << 31 | ECAM_REGISTER);
	userpci_qtest_write(qtest, USERPCI_SPACE_IO, 0xcfc, 4, ECAM | ECAM_ENABLE);
	visit_bus(&w, 0);
	*doorbell = w.doorbell;
	return verdict(&w);
}
