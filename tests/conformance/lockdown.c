// SPDX-License-Identifier: MIT
/*
 * The kernel locked down (integrity): root may not write the kernel's memory, not by DMA either.
 * There is no way back, so that these rows are the last. The module is loaded before: a kernel that
 * starts locked down loads no module without a signature.
 */
#include <sys/mount.h>

#include "conformance.h"

#define SECTION	 "lockdown"
#define LOCKDOWN "/sys/kernel/security/lockdown"

static void lock_down(void)
{
	if (access(LOCKDOWN, F_OK))
		CHECK_EQ(mount("securityfs", "/sys/kernel/security", "securityfs", 0, NULL), 0);
	/* EINVAL: it is already. */
	sysfs_write(LOCKDOWN, "integrity");
}

ROW(lockdown_open, "locked down: open for writing, without an IOMMU; map of a BAR", "EPERM")
{
	struct device d;
	struct place p;
	int err;

	lock_down();
	err = device_open(&d, EDU, O_RDWR);
	if (err)
		return outcome(err);
	p = device_bar(&d, 0);
	return outcome_of_map(place_map(&p, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED));
}

ROW(lockdown_observer, "locked down: open for reading; map of a BAR", "ok")
{
	struct device d;
	struct place p;
	int err;

	lock_down();
	err = device_open(&d, EDU, O_RDONLY);
	if (err)
		return outcome(err);
	p = device_bar(&d, 0);
	return outcome_of_map(place_map(&p, PAGE, PROT_READ, MAP_SHARED));
}
