// SPDX-License-Identifier: MIT
/* Who may open a device, and what is left of its maps when it goes. */
#include <poll.h>
#include <signal.h>

#include "conformance.h"

#define SECTION "lifetime"

ROW(second_owner, "a second open for writing", "EBUSY")
{
	struct device d = device_own(EDU), other;

	(void)d;
	return outcome(device_open(&other, EDU, O_RDWR));
}

ROW(second_close, "Bus Master after the second one's close", "on")
{
	struct device d = device_own(EDU), other;

	CHECK_EQ(subject()->bus_master(&d, 1), 0);
	if (!device_open(&other, EDU, O_RDWR))
		device_close(&other);
	return device_is_master(&d) ? "on" : "off";
}

ROW(last_close, "Bus Master after the owner was killed", "off")
{
	struct device d;
	int ready[2];
	pid_t child;
	char byte;

	CHECK_EQ(pipe(ready), 0);
	child = child_start();
	if (!child) {
		d = device_own(EDU);
		CHECK_EQ(subject()->bus_master(&d, 1), 0);
		CHECK_EQ(write(ready[1], "x", 1), 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	child_kill(child);
	d.address = device_find(EDU);
	return device_is_master(&d) ? "on" : "off";
}

ROW(write_irqcontrol, "write(2) of a 4-byte 1, to let interrupts in", "ok")
{
	struct device d = device_own(EDU);
	int32_t one = 1;

	if (subject() == &subject_sysfs || subject() == &subject_vfio)
		NOT_OFFERED();
	if (is_userpci())
		CHECK_EQ(irq_set(d.fd, USERPCI_IRQ_INTX, 1), 0);
	return outcome_of_call(write(d.fd, &one, 4));
}

/*
 * Takes the device away by what is written to a file of sysfs. In another program, which has none
 * of our descriptors and maps: some drivers wait there until these are closed.
 */
static void take_away(const struct device *d, const char *file, const char *text)
{
	char path[128];
	pid_t child;
	int i, status;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", d->address, file);
	child = child_start();
	if (!child) {
		execl("/bin/sh", "sh", "-c", "echo \"$1\" >\"$2\"", "sh", text, path, NULL);
		_exit(127);
	}
	for (i = 0; i < 300; i++) {
		if (waitpid(child, &status, WNOHANG) == child) {
			CHECK_EQ(status, 0);
			return;
		}
		usleep(10000);
	}
	row_end("waits for the owner's close");
}

static void unbind(const struct device *d)
{
	take_away(d, "driver/unbind", d->address);
}

static void remove_from_bus(const struct device *d)
{
	take_away(d, "remove", "1");
}

static int put_back(void)
{
	return sysfs_write("/sys/bus/pci/rescan", "1");
}

/* edu gives the complement of what is written at 4. */
static const char *registers_after(void (*how)(const struct device *))
{
	struct device d = device_own(EDU);
	struct place p = device_bar(&d, 0);
	void *regs = place_map(&p, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	CHECK(regs != MAP_FAILED);
	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	how(&d);
	if (rd32(regs, EDU_ID) == UINT32_MAX)
		return "all ones";
	wr32(regs, 4, 0x12345678);
	return rd32(regs, 4) == ~0x12345678u ? "still programs the device" : "something else";
}

ROW(unbind_registers, "registers, after the device was unbound", "all ones")
{
	require_driver();
	return registers_after(unbind);
}

/* In a child: it may end by a signal, and the device must come back. */
ROW(remove_registers, "registers, after the device was removed from the bus", "all ones")
{
	const char *words;
	char copy[64];
	int out[2], status;
	ssize_t n;
	pid_t child;

	CHECK_EQ(pipe2(out, O_NONBLOCK), 0);
	child = child_start();
	if (!child) {
		/* Where take_away() ends the row by itself the words are already said. */
		words = registers_after(remove_from_bus);
		n = write(out[1], words, strlen(words));
		_exit(n < 0 ? 1 : 0);
	}
	status = child_end(child);
	CHECK_EQ(put_back(), 0);
	n = read(out[0], copy, sizeof(copy) - 1);
	if (status > SIGNALLED)
		row_end("SIG%s", sigabbrev_np(status - SIGNALLED));
	if (n < 0)
		_exit(0);
	row_end("%.*s", (int)n, copy);
}

static const char *memory_after_unbind(enum kind kind)
{
	struct memory m = memory_get(kind, 4, kind_prot(kind));
	uint32_t before;

	memory_pattern(kind, &m);
	before = rd32(m.va, 0);
	unbind(&m.d);
	return rd32(m.va, 0) == before ? "ok" : "other bytes";
}

ROW(unbind_contiguous, "a contiguous buffer, after the device was unbound", "ok")
{
	return memory_after_unbind(CONTIGUOUS);
}

ROW(unbind_statistics, "the statistics, after the device was unbound", "ok")
{
	return memory_after_unbind(STATISTICS);
}

ROW(unbind_shared, "a shared buffer, after the device was unbound", "ok")
{
	return memory_after_unbind(SHARED);
}

ROW(unbind_poll, "poll after the device was unbound", "POLLERR POLLHUP")
{
	struct device d;
	short events = 0;

	require_driver();
	d = device_own(EDU);
	unbind(&d);
	readable(d.node, 1000, &events);
	row_end("%s%s%s", events & POLLERR ? "POLLERR" : "",
		(events & POLLERR) && (events & POLLHUP) ? " " : "",
		events & POLLHUP   ? "POLLHUP"
		: events & POLLERR ? ""
				   : "nothing");
}

/* Unbound, bound, opened again while the old descriptor and its map are there. */
ROW(rebind_maps_again, "unbound, bound and mapped again beside the old map", "ok")
{
	struct device d, again;
	void *old, *regs;
	struct place p;
	int err;

	require_driver();
	d = device_own(EDU);
	p = device_bar(&d, 0);
	old = place_map(&p, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	CHECK(old != MAP_FAILED);
	unbind(&d);
	err = device_open(&again, EDU, O_RDWR);
	if (err)
		return outcome(err);
	p = device_bar(&again, 0);
	regs = place_map(&p, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (regs == MAP_FAILED)
		return strerrorname_np(errno);
	wr32(regs, 4, 0x12345678);
	wr32(old, 4, 0);
	return rd32(regs, 4) == ~0x12345678u ? "ok" : "the old map programs the device";
}

ROW(map_after_unbind, "mmap after the device was unbound", "ENODEV")
{
	struct device d;
	struct place p;

	require_driver();
	d = device_own(EDU);
	p = device_bar(&d, 0);
	unbind(&d);
	return outcome_of_map(place_map(&p, PAGE, PROT_READ, MAP_SHARED));
}

/* Kernel memory as such is nobody's to map: Linux has had no such node since 5.13. */
ROW(dev_kmem, "open of /dev/kmem", "ENOENT")
{
	return outcome_of_call(open("/dev/kmem", O_RDONLY | O_CLOEXEC));
}
