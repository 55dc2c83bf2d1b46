/* SPDX-License-Identifier: MIT */
/*
 * QEMU's edu device, driven from a process: the first thing to read.
 *
 * Spec: QEMU, docs/specs/edu. The registers of BAR 0 are 4 bytes wide, those of the DMA engine 4 or
 * 8. Its DMA engine moves data to and from 4096 bytes of its own, and drives 28 address bits.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <userpci/mmio.h>
#include <userpci/userpci.h>

#define EDU_ID		 0x00 /* rr.mm.00ed: major and minor version */
#define EDU_LIVENESS	 0x04 /* reads as the complement of what was written */
#define EDU_FACTORIAL	 0x08 /* write n, read n! when no longer busy */
#define EDU_STATUS	 0x20
#define EDU_STATUS_BUSY	 0x01 /* computes */
#define EDU_STATUS_IRQ	 0x80 /* raise an interrupt when done */
#define EDU_IRQ_STATUS	 0x24 /* causes */
#define EDU_IRQ_ACK	 0x64 /* clears the causes written */
#define EDU_DMA_SOURCE	 0x80
#define EDU_DMA_TARGET	 0x88
#define EDU_DMA_COUNT	 0x90
#define EDU_DMA_COMMAND	 0x98
#define EDU_DMA_START	 0x01
#define EDU_DMA_TO_HOST	 0x02 /* from the device to host memory */
#define EDU_DMA_IRQ	 0x04
#define EDU_CAUSE_FACT	 0x001
#define EDU_CAUSE_DMA	 0x100

#define EDU_MEMORY	 0x40000 /* the device's own address of its memory */
#define EDU_CHUNK	 2048	 /* Quirk: QEMU 7.2 aborts if all 4096 bytes are moved */
#define EDU_ADDRESS_BITS 28

#define BYTES		 4096
#define TIMEOUT_US	 2000000

struct edu {
	struct userpci_device *device;
	struct userpci_region regs;
	struct userpci_dma buffer;
};

static int identify(struct edu *edu)
{
	uint32_t id = userpci_read32(&edu->regs, EDU_ID);

	if ((id & 0xff) != 0xed)
		return -ENODEV;
	printf("edu: identification 0x%08" PRIx32 "\n", id);
	userpci_write32(&edu->regs, EDU_LIVENESS, 0x12345678);
	if (userpci_read32(&edu->regs, EDU_LIVENESS) != ~0x12345678u)
		return -EIO;
	printf("edu: liveness: 0x12345678 comes back as its complement\n");
	return 0;
}

/* Waits until a bit is clear, but not for ever. */
static int wait_clear(struct edu *edu, uint64_t offset, uint32_t bit)
{
	const struct timespec pause = { 0, 100000 };
	int i;

	for (i = 0; i < TIMEOUT_US / 100; i++) {
		if (!(userpci_read32(&edu->regs, offset) & bit))
			return 0;
		nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}

static int factorial_by_polling(struct edu *edu)
{
	int err;

	userpci_write32(&edu->regs, EDU_STATUS, 0);
	userpci_write32(&edu->regs, EDU_FACTORIAL, 10);
	err = wait_clear(edu, EDU_STATUS, EDU_STATUS_BUSY);
	if (err)
		return err;
	if (userpci_read32(&edu->regs, EDU_FACTORIAL) != 3628800)
		return -EIO;
	printf("edu: factorial(10) = 3628800\n");
	return 0;
}

/* Waits for the interrupt of one cause, and clears it in the device. */
static int wait_cause(struct edu *edu, uint32_t cause)
{
	uint32_t status;
	int err;

	err = userpci_irq_wait(edu->device, 0, TIMEOUT_US, NULL);
	if (err)
		return err;
	status = userpci_read32(&edu->regs, EDU_IRQ_STATUS);
	userpci_write32(&edu->regs, EDU_IRQ_ACK, status);
	if (status != cause)
		return -EIO;
	return userpci_irq_unmask(edu->device, 0);
}

static int factorial_by_interrupt(struct edu *edu)
{
	static const char *const kinds[] = { "INTx", "MSI", "MSI-X" };
	int err;

	userpci_write32(&edu->regs, EDU_STATUS, EDU_STATUS_IRQ);
	userpci_write32(&edu->regs, EDU_FACTORIAL, 12);
	err = wait_cause(edu, EDU_CAUSE_FACT);
	if (err)
		return err;
	if (userpci_read32(&edu->regs, EDU_FACTORIAL) != 479001600)
		return -EIO;
	printf("edu: %s: factorial(12) = 479001600, announced by an interrupt\n",
	       kinds[userpci_irq_kind(edu->device)]);
	return 0;
}

static int dma(struct edu *edu, uint64_t source, uint64_t target, uint32_t direction)
{
	userpci_write64(&edu->regs, EDU_DMA_SOURCE, source);
	userpci_write64(&edu->regs, EDU_DMA_TARGET, target);
	userpci_write64(&edu->regs, EDU_DMA_COUNT, EDU_CHUNK);
	userpci_wmb(); /* the buffer's contents before the command to read them */
	userpci_write64(&edu->regs, EDU_DMA_COMMAND, EDU_DMA_START | EDU_DMA_IRQ | direction);
	return wait_cause(edu, EDU_CAUSE_DMA);
}

/* The first half of the buffer goes to the device, and comes back into the second. */
static int dma_there_and_back(struct edu *edu)
{
	uint8_t *out = edu->buffer.va;
	uint64_t from = edu->buffer.iova, to = from + BYTES;
	int err = 0, i;

	for (i = 0; i < BYTES; i++)
		out[i] = (uint8_t)(i * 31 + (i >> 8));
	for (i = 0; i < BYTES && !err; i += EDU_CHUNK) {
		err = dma(edu, from + i, EDU_MEMORY, 0);
		if (!err)
			err = dma(edu, EDU_MEMORY, to + i, EDU_DMA_TO_HOST);
	}
	if (err)
		return err;
	if (memcmp(out, out + BYTES, BYTES))
		return -EIO;
	printf("edu: DMA 4096 bytes to the device and back: equal (iova 0x%" PRIx64 ")\n", from);
	return 0;
}

static int run(struct edu *edu)
{
	int err;

	err = userpci_region_map(edu->device, 0, &edu->regs);
	if (!err)
		err = identify(edu);
	if (!err)
		err = userpci_dma_set_mask(edu->device, EDU_ADDRESS_BITS);
	if (!err)
		err = userpci_dma_alloc(edu->device, 2 * BYTES, &edu->buffer);
	if (!err)
		err = userpci_irq_enable(edu->device, USERPCI_IRQ_BEST, 1);
	if (!err)
		err = userpci_bus_master_enable(edu->device);
	if (!err)
		err = factorial_by_polling(edu);
	if (!err)
		err = factorial_by_interrupt(edu);
	return err ? err : dma_there_and_back(edu);
}

int main(int argc, char **argv)
{
	struct edu edu = { NULL };
	char text[256];
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: edu ADDRESS\n");
		return 2;
	}
	err = userpci_open(argv[1], 0, &edu.device);
	if (err) {
		fprintf(stderr, "edu: %s\n", userpci_explain(argv[1], err, text, sizeof(text)));
		return 1;
	}
	err = run(&edu);
	if (err)
		fprintf(stderr, "edu: %s: %s\n", argv[1], strerror(-err));
	userpci_close(edu.device);
	return err ? 1 : 0;
}
