/* SPDX-License-Identifier: MIT */
/*
 * Many times the same end: a driver is killed while its device moves memory. Each time the device
 * must be the next one's. That no rule was broken, and nothing touched or kept that was freed, the
 * kernel's checkers say: see tests/debug/run.
 */
#include "drivers.h"

enum { KILLS = 1000 };

/* Opened, mapped, its engine set to work: then killed, at once or a little later. */
TEST(cycles_sigkill)
{
	const char *address = device_bind(EDU);
	struct driver *d = drivers_new(1);
	unsigned int round, rounds = rounds_of("CYCLES", KILLS);

	for (round = 0; round < rounds; round++) {
		driver_start(d, address, drive_edu);
		driver_wait(d);
		usleep(round * 7919 % 30000);
		driver_stop(d);
		CHECK_EQ(sysfs_config(address, 4, 2) & 4, 0); /* no bus mastering */
		close(node_own(EDU));
	}
	printf("# %u drivers killed, %lu transfers begun\n", rounds, atomic_load(&d->steps));
	CHECK(atomic_load(&d->steps) >= rounds);
	check_edu(address);
}

/* The same at any moment: in an open, a call, a fault, a close. */
TEST(cycles_sigkill_anywhere)
{
	const char *address = device_bind(EDU);
	struct driver *d = drivers_new(1);
	unsigned int round, rounds = rounds_of("CYCLES", KILLS) / 4;

	for (round = 0; round < rounds; round++) {
		driver_start(d, address, drive_edu);
		usleep(round * 7919 % 20000);
		driver_stop(d);
	}
	check_edu(address);
}
