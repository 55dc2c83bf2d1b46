// SPDX-License-Identifier: MIT
/*
 * The benchmark of the backend qemu: time from nothing to the first register, with the start of the
 * QEMU. On the host, by the clock: it is not gated. Output as loop.h's, in milliseconds.
 */
#include <err.h>
#include <string.h>
#include <time.h>

#include <userpci/mmio.h>
#include <userpci/userpci.h>

#include "bench.h"

#define ROUNDS 10

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(void)
{
	struct userpci_device *device;
	struct userpci_region region;
	double begun, took, sum = 0, min = 0, max = 0;
	char text[256];
	unsigned int i;
	int error;

	for (i = 0; i < ROUNDS; i++) {
		begun = now_ms();
		error = userpci_open("qemu:edu", 0, &device);
		if (!error)
			error = userpci_region_map(device, 0, &region);
		if (error)
			errx(1, "%s", userpci_explain("qemu:edu", error, text, sizeof(text)));
		(void)userpci_read32(&region, 0);
		took = now_ms() - begun;
		userpci_close(device);
		sum += took;
		min = !i || took < min ? took : min;
		max = !i || took > max ? took : max;
	}
	printf("open\t-\twall\t%.1f\t%.1f-%.1f\tms\n", sum / ROUNDS, min, max);
	return 0;
}
