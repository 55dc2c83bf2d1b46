/* SPDX-License-Identifier: MIT */
/*
 * QEMU's bochs-display: registers set a mode, and pixels go into the frame buffer, mapped
 * write-combining, until standard input has a line or its end. With a FILE the picture is written
 * there as well (PPM), so that it can be compared with what the display shows.
 *
 * Spec: QEMU, docs/specs/standard-vga; Bochs, vbe_display_api.txt. BAR 0 is the frame buffer; BAR 2
 * has the VBE DISPI registers, 16 bits each, from 0x500 on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <userpci/mmio.h>
#include <userpci/userpci.h>

#include "picture.h"

#define DISPI(index) (0x500 + 2 * (index))
#define DISPI_ID     DISPI(0) /* 0xb0c5 */
#define DISPI_WIDTH  DISPI(1)
#define DISPI_HEIGHT DISPI(2)
#define DISPI_BITS   DISPI(3) /* 32: a byte each of blue, green, red, and one that is not used */
#define DISPI_ENABLE DISPI(4)
#define DISPI_ON     0x41      /* with a linear frame buffer */
#define DISPI_MEMORY DISPI(10) /* in units of 64 KiB */

enum { WIDTH = PICTURE_WIDTH, HEIGHT = PICTURE_HEIGHT, LINE_BYTES = 4 * WIDTH };

struct display {
	struct userpci_device *device;
	struct userpci_region regs, frame;
};

static int identify(struct display *display)
{
	unsigned int id = userpci_read16(&display->regs, DISPI_ID);
	unsigned int memory = userpci_read16(&display->regs, DISPI_MEMORY);

	if ((id & 0xfff0) != 0xb0c0)
		return -ENODEV;
	printf("bochs-display: VBE DISPI %04x, %u KiB of memory\n", id, 64 * memory);
	printf("bochs-display: frame buffer at BAR 0: %" PRIu64 " MiB, %s, %s\n",
	       display->frame.size >> 20,
	       display->frame.flags & USERPCI_REGION_PREFETCH ? "prefetchable" : "not prefetchable",
	       !display->frame.va			  ? "not mapped"
	       : display->frame.flags & USERPCI_REGION_WC ? "mapped write-combining"
							  : "mapped uncached");
	return 64 * 1024 * memory < HEIGHT * LINE_BYTES ? -ENOSPC : 0;
}

static int set_mode(struct display *display)
{
	userpci_write16(&display->regs, DISPI_ENABLE, 0);
	userpci_write16(&display->regs, DISPI_WIDTH, WIDTH);
	userpci_write16(&display->regs, DISPI_HEIGHT, HEIGHT);
	userpci_write16(&display->regs, DISPI_BITS, 32);
	userpci_write16(&display->regs, DISPI_ENABLE, DISPI_ON);
	if (userpci_read16(&display->regs, DISPI_WIDTH) != WIDTH ||
	    userpci_read16(&display->regs, DISPI_ENABLE) != DISPI_ON)
		return -EIO;
	printf("bochs-display: mode %dx%d, 32 bits a pixel\n", WIDTH, HEIGHT);
	return 0;
}

/* A line of it at a time: as it is computed, it appears. */
static int draw(struct display *display, FILE *file)
{
	int err = 0, x, y;

	if (file)
		fprintf(file, "P6\n%d %d\n255\n", WIDTH, HEIGHT);
	for (y = 0; y < HEIGHT && !err; y++) {
		le32_t line[WIDTH];

		for (x = 0; x < WIDTH; x++) {
			uint32_t p = picture_pixel(x, y);

			line[x] = userpci_cpu_to_le32(p);
			if (file)
				fprintf(file, "%c%c%c", p >> 16, p >> 8 & 0xff, p & 0xff);
		}
		err = userpci_region_write_block(&display->frame, (uint64_t)y * LINE_BYTES, line,
						 sizeof(line));
	}
	userpci_wc_flush();
	return err;
}

/* What the frame buffer holds now. */
static int look(struct display *display)
{
	le32_t line[WIDTH];
	int err, x, y = HEIGHT / 2;

	err = userpci_region_read_block(&display->frame, (uint64_t)y * LINE_BYTES, line,
					sizeof(line));
	for (x = 0; x < WIDTH && !err; x++)
		if (userpci_le32_to_cpu(line[x]) != picture_pixel(x, y))
			err = -EIO;
	return err;
}

static int run(struct display *display, FILE *file)
{
	int err;

	err = userpci_region_map(display->device, 2, &display->regs);
	if (!err)
		err = userpci_region_map_wc(display->device, 0, &display->frame);
	if (!err)
		err = identify(display);
	if (!err)
		err = set_mode(display);
	if (!err)
		err = draw(display, file);
	return err ? err : look(display);
}

static void wait_for_line(void)
{
	int c;

	printf("bochs-display: drawn; a line, or the end of input, ends this\n");
	fflush(stdout);
	do
		c = getchar();
	while (c != '\n' && c != EOF);
}

int main(int argc, char **argv)
{
	struct display display = { NULL };
	const char *what = argv[1];
	FILE *file = NULL;
	char text[256];
	int err;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: bochs-display ADDRESS [FILE]\n");
		return 2;
	}
	err = userpci_open(argv[1], 0, &display.device);
	if (err) {
		fprintf(stderr, "bochs-display: %s\n",
			userpci_explain(argv[1], err, text, sizeof(text)));
		return 1;
	}
	if (argc > 2) {
		what = argv[2];
		file = fopen(what, "w");
		err = file ? 0 : -errno;
	}
	if (!err) {
		what = argv[1];
		err = run(&display, file);
	}
	if (file && fclose(file) && !err)
		err = -errno;
	if (err)
		fprintf(stderr, "bochs-display: %s: %s\n", what, strerror(-err));
	else
		wait_for_line();
	userpci_close(display.device);
	return err ? 1 : 0;
}
