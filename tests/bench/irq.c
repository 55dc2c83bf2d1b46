// SPDX-License-Identifier: MIT
/*
 * The benchmark of interrupts, on QEMU's edu: from the register write that raises one to where it
 * is noticed, and back.
 *
 * Usage: irq STACK ADDRESS, where STACK is userpci, vfio-pci or uio_pci_generic. Output: as loop.h.
 * `msi` and `intx` are the shortest way that a stack has: of vfio-pci an eventfd, of the others
 * read() of the node, which of userpci lets the next INTx in as well (USERPCI_IRQ_READ_UNMASKS). Of
 * userpci there are also `intx-write`, where a write() to the node lets it in, and the library's
 * way, which is the same on every backend: `msi-eventfd` and `intx-eventfd`.
 *
 *     raise    the register write, and the kernel's handler
 *     polled   the same, and the read() that tells of it
 *     blocked  the same, in a thread that sleeps in read(): to its return; blocked-rt: of the
 *              real-time class, which the scheduler keeps fewer accounts of
 *     ack      the device is acknowledged, and the interrupt let in again
 *     cycle    raise, read(), ack
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <userpci/userpci.h>

#include "bench.h"
#include "lib/backend.h"

#define WARM_UP	  50
#define CYCLES	  500
#define EDU_RAISE (0x60 / 4)
#define EDU_ACK	  (0x64 / 4)

static volatile uint32_t *registers;
static int notice_fd;	    /* read() tells of an interrupt */
static size_t notice_bytes; /* that it reads */
static void (*let_in)(void);

/* ---- The subjects ---- */

static struct userpci_device *device;
static struct userpci_region region;
static int config_fd;

static void nothing(void)
{
}

static void unmask_by_call(void)
{
	userpci_irq_unmask(device, 0);
}

static void unmask_by_write(void)
{
	const uint32_t one = 1;

	if (write(device->fd, &one, sizeof(one)) != sizeof(one))
		err(1, "write");
}

/* As the kernel's UIO documentation has it: the command register's upper byte, with one bit out. */
static void unmask_by_config(void)
{
	uint8_t high;

	if (pread(config_fd, &high, 1, PCI_COMMAND + 1) != 1)
		err(1, "configuration space");
	high &= (uint8_t) ~(PCI_COMMAND_INTX_DISABLE >> 8);
	if (pwrite(config_fd, &high, 1, PCI_COMMAND + 1) != 1)
		err(1, "configuration space");
}

static void try(int error, const char *what)
{
	if (error < 0)
		errx(1, "%s: %s", what, strerror(-error));
}

/* By the library: its interrupts come to an eventfd as the backend's kernel part signals it. */
static void open_library(const char *backend, const char *address)
{
	char name[64], text[256];
	int error;

	snprintf(name, sizeof(name), "%s:%s", backend, address);
	error = userpci_open(name, 0, &device);
	if (error)
		errx(1, "%s", userpci_explain(name, error, text, sizeof(text)));
	try(userpci_region_map(device, 0, &region), "region");
	try(userpci_bus_master_enable(device), "bus master");
	registers = region.va;
}

static void choose_eventfd(unsigned int kind)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	try(userpci_irq_enable(device, kind, 1), "interrupts");
	try(userpci_irq_set_fd(device, 0, fd), "eventfd");
	notice_fd = fd;
	notice_bytes = sizeof(uint64_t);
	let_in = kind == USERPCI_IRQ_INTX ? unmask_by_call : nothing;
}

/* Without an eventfd, as a program that knows the module and not the library. */
static void choose_node(unsigned int kind, unsigned int flags)
{
	struct userpci_uapi_irq irq = { .size = sizeof(irq), .kind = kind, .count = 1 };

	irq.flags = flags;
	userpci_irq_disable(device);
	if (ioctl(device->fd, USERPCI_IRQ_ENABLE, &irq))
		err(1, "interrupts");
	notice_fd = device->fd;
	notice_bytes = sizeof(uint32_t);
	let_in = kind == USERPCI_IRQ_INTX && !flags ? unmask_by_write : nothing;
}

static void open_uio(const char *address)
{
	char path[128], node[32];
	glob_t found;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/uio/uio*", address);
	if (glob(path, 0, NULL, &found))
		errx(1, "%s: there is none", path);
	snprintf(node, sizeof(node), "/dev/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	notice_fd = open(node, O_RDWR);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", address);
	config_fd = open(path, O_RDWR);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", address);
	fd = open(path, O_RDWR);
	if (notice_fd < 0 || config_fd < 0 || fd < 0)
		err(1, "%s", address);
	registers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (registers == MAP_FAILED)
		err(1, "%s", path);
	notice_bytes = sizeof(uint32_t);
	let_in = unmask_by_config;
}

/* ---- The steps ---- */

static inline void raise_interrupt(void)
{
	registers[EDU_RAISE] = 1;
}

static inline void notice(void)
{
	uint64_t count;

	if (read(notice_fd, &count, notice_bytes) != (ssize_t)notice_bytes)
		err(1, "read");
}

static inline void acknowledge(void)
{
	registers[EDU_ACK] = 1;
	let_in();
}

/* ---- The workloads ---- */

static struct figure figure;

static void measure_raise(void)
{
	icount_begin(&figure.window);
	raise_interrupt();
	icount_end(&figure.window);
	notice();
	acknowledge();
}

static void measure_polled(void)
{
	icount_begin(&figure.window);
	raise_interrupt();
	notice();
	icount_end(&figure.window);
	acknowledge();
}

static void measure_ack(void)
{
	raise_interrupt();
	notice();
	icount_begin(&figure.window);
	acknowledge();
	icount_end(&figure.window);
}

static void measure_cycle(void)
{
	icount_begin(&figure.window);
	raise_interrupt();
	notice();
	acknowledge();
	icount_end(&figure.window);
}

/* Whose turn it is, the scheduler decides at once: the thread that raises the interrupt is idle. */
static void take_class(int policy)
{
	const struct sched_param param = { .sched_priority = policy == SCHED_FIFO };

	if (sched_setscheduler(0, policy, &param))
		err(1, "scheduler");
}

static void *reader(void *policy)
{
	take_class(*(const int *)policy);
	for (;;) {
		notice();
		icount_end(&figure.window);
		acknowledge();
	}
	return NULL;
}

static void measure_blocked(void)
{
	icount_begin(&figure.window);
	raise_interrupt();
	settle();
}

static const struct workload {
	const char *name;
	void (*measure)(void);
	int policy; /* of the thread that sleeps */
} workloads[] = {
	{ "raise", measure_raise, 0 },
	{ "polled", measure_polled, 0 },
	{ "ack", measure_ack, 0 },
	{ "cycle", measure_cycle, 0 },
	{ "blocked", measure_blocked, SCHED_OTHER },
	{ "blocked-rt", measure_blocked, SCHED_FIFO },
};

static void run(const char *kind, const struct workload *workload)
{
	pthread_t thread;
	unsigned int i;

	if (workload->measure == measure_blocked) {
		if (pthread_create(&thread, NULL, reader, (void *)&workload->policy))
			errx(1, "no thread");
		take_class(SCHED_IDLE);
	}
	figure_init(&figure, 0, CYCLES);
	for (i = 0; i < WARM_UP + CYCLES; i++) {
		settle();
		workload->measure();
		if (i >= WARM_UP)
			figure_keep(&figure);
	}
	if (workload->measure == measure_blocked) {
		pthread_cancel(thread);
		pthread_join(thread, NULL);
		take_class(SCHED_OTHER);
	}
	printf("irq-%s-%s\t-\tinstructions\t%.0f\t%.2f\tper cycle\n", kind, workload->name,
	       icount_mean(&figure.window), figure_spread(&figure));
	icount_report();
	printf("report\n");
}

/* Threads come last: a C library that has seen one takes a longer way to a system call. */
static void run_all(const char *kind, int threads)
{
	unsigned int i;

	for (i = 0; i < sizeof(workloads) / sizeof(*workloads); i++)
		if ((workloads[i].measure == measure_blocked) == threads)
			run(kind, &workloads[i]);
}

int main(int argc, char **argv)
{
	int threads, is_ours;

	if (argc != 3)
		errx(2, "usage: irq userpci|vfio-pci|uio_pci_generic ADDRESS");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(argv[1], "uio_pci_generic")) {
		open_uio(argv[2]);
		run_all("intx", 0);
		run_all("intx", 1);
		return 0;
	}
	is_ours = !strcmp(argv[1], "userpci");
	open_library(is_ours ? "stub" : "vfio", argv[2]);
	for (threads = 0; threads < 2; threads++) {
		choose_eventfd(USERPCI_IRQ_MSI);
		run_all(is_ours ? "msi-eventfd" : "msi", threads);
		if (!is_ours)
			continue;
		choose_node(USERPCI_IRQ_MSI, 0);
		run_all("msi", threads);
		choose_eventfd(USERPCI_IRQ_INTX);
		run_all("intx-eventfd", threads);
		choose_node(USERPCI_IRQ_INTX, 0);
		run_all("intx-write", threads);
		choose_node(USERPCI_IRQ_INTX, USERPCI_IRQ_READ_UNMASKS);
		run_all("intx", threads);
	}
	userpci_close(device);
	return 0;
}
