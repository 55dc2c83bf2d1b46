/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <unic/unic.h>

#include "drivers.h"

enum { EDU_BAR = 1 << 20, BURST = 8, FRAME = 200 };

unsigned int rounds_of(const char *variable, unsigned int value)
{
	const char *text = getenv(variable);

	return text && *text ? (unsigned int)strtoul(text, NULL, 10) : value;
}

time_t patience(void)
{
	return time(NULL) + 4 * PATIENCE_MS / 1000;
}

struct driver *drivers_new(unsigned int count)
{
	struct driver *d = mmap(NULL, count * sizeof(*d), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(d != MAP_FAILED);
	return d;
}

void driver_start(struct driver *d, const char *address, void (*drive)(struct driver *d))
{
	pid_t pid;

	snprintf(d->address, sizeof(d->address), "%s", address);
	pid = fork();
	CHECK(pid >= 0);
	if (pid)
		d->pid = pid;
	/* Whoever started it may fail, and nobody would stop it. */
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!pid) {
		drive(d);
		usleep(1000); /* whoever binds the device needs the processor */
	}
}

void driver_stop(struct driver *d)
{
	int status;

	CHECK_EQ(kill(d->pid, SIGKILL), 0);
	CHECK_EQ(waitpid(d->pid, &status, 0), d->pid);
	CHECK(WIFSIGNALED(status)); /* it had not ended by itself */
}

void driver_wait(struct driver *d)
{
	unsigned long before = atomic_load(&d->steps);
	time_t end = patience();

	while (atomic_load(&d->steps) == before && time(NULL) < end)
		usleep(1000);
	if (atomic_load(&d->steps) == before)
		HARNESS_FAIL("the driver of %s does nothing", d->address);
}

/* Waits until the engine is idle; returns 0 when the device is gone, or never gets there. */
static int is_idle(void *regs)
{
	uint32_t command;
	int i;

	for (i = 0; i < 2000; i++) {
		command = rd32(regs, EDU_DMA_COMMAND);
		if (command == UINT32_MAX)
			return 0;
		if (!(command & 1))
			return 1;
		usleep(1000);
	}
	return 0;
}

/* An engine that is not there reads 0 between the unplug and the revocation: it is never told. */
static int is_there(void *regs)
{
	return rd32(regs, EDU_ID) == 0x010000ed;
}

static int edu_buffer(int fd, struct userpci_uapi_dma *d)
{
	if (dma_mask(fd, 28))
		return 0;
	d->size = sizeof(*d);
	d->bytes = PAGE;
	return !call(fd, USERPCI_DMA_ALLOC, d);
}

/*
 * The engine is told where to only when idle: else it ignores that, and QEMU ends the machine when
 * it is told to move what is not its own.
 */
static void edu_run(struct driver *driver, int fd, void *regs, struct userpci_uapi_dma *d)
{
	char *va = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)d->offset);
	int to_host = 0;

	if (va == MAP_FAILED)
		return;
	while (is_there(regs) && is_idle(regs)) {
		memset(va, 0x5a, PAGE);
		edu_dma_start(regs, to_host ? EDU_MEMORY : d->iova, to_host ? d->iova : EDU_MEMORY,
			      EDU_BYTES, to_host);
		wr32(regs, EDU_IRQ_RAISE, 1);
		wr32(regs, EDU_IRQ_ACK, 1);
		atomic_fetch_add(&driver->steps, 1);
		to_host = !to_host;
	}
	munmap(va, PAGE);
}

void drive_edu(struct driver *driver)
{
	struct userpci_uapi_region r = SIZED(userpci_uapi_region);
	struct userpci_uapi_dma d = SIZED(userpci_uapi_dma);
	int fd = node_open(driver->address, O_RDWR);
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	void *regs = MAP_FAILED;

	if (fd >= 0 && !call(fd, USERPCI_GET_REGION, &r))
		regs = mmap(NULL, EDU_BAR, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)r.offset);
	if (regs != MAP_FAILED) {
		if (edu_buffer(fd, &d) && !bus_master(fd, 1) && !irq_set(fd, USERPCI_IRQ_MSI, 1) &&
		    !irq_eventfd(fd, 0, event))
			edu_run(driver, fd, regs, &d);
		munmap(regs, EDU_BAR);
	}
	close(event);
	if (fd >= 0)
		close(fd);
}

/* A burst of broadcasts; what was not accepted goes back. */
static int nic_send(struct unic_port *port)
{
	struct unic_packet *packets[BURST];
	unsigned int count = unic_packet_alloc_burst(port, 0, packets, BURST), i;
	int sent;

	for (i = 0; i < count; i++) {
		unic_packet_reset(packets[i], FRAME);
		memset(unic_packet_data(packets[i]), 0xff, FRAME);
	}
	sent = unic_tx_burst(port, 0, packets, count);
	i = sent < 0 ? 0 : (unsigned int)sent;
	unic_packet_free_burst(packets + i, count - i);
	return sent;
}

static int nic_receive(struct unic_port *port)
{
	struct unic_packet *packets[BURST];
	int count = unic_rx_burst(port, 0, packets, BURST);

	if (count > 0)
		unic_packet_free_burst(packets, (unsigned int)count);
	return count;
}

void drive_nic(struct driver *driver)
{
	struct unic_port *port;
	struct unic_link link;
	int err;

	if (unic_open(driver->address, NULL, &port))
		return;
	err = unic_start(port);
	while (err >= 0 || err == -ETIMEDOUT) {
		err = nic_send(port);
		if (err >= 0)
			err = nic_receive(port);
		if (err >= 0)
			err = unic_link(port, &link);
		if (err >= 0)
			err = unic_wait(port, 0, 2000);
		atomic_fetch_add(&driver->steps, 1);
	}
	unic_close(port);
}

/* A map and its copy in a child; whatever is read is no harm. */
void drive_observer(struct driver *driver)
{
	int fd = node_open(driver->address, O_RDONLY), status;
	struct userpci_uapi_region r = SIZED(userpci_uapi_region);
	void *regs = MAP_FAILED;
	pid_t pid;

	if (fd >= 0 && !call(fd, USERPCI_GET_REGION, &r))
		regs = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, (off_t)r.offset);
	if (regs != MAP_FAILED) {
		pid = fork();
		rd32(regs, 0);
		if (!pid)
			_exit(0);
		CHECK(pid > 0);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
		readable(fd, 5, NULL);
		rd32(regs, 0);
		munmap(regs, PAGE);
		atomic_fetch_add(&driver->steps, 1);
	}
	if (fd >= 0)
		close(fd);
}

static void edu_move_page(void *regs, uint64_t from, uint64_t to, int to_host)
{
	edu_dma_wait(regs);
	edu_dma_start(regs, from, to, EDU_BYTES, to_host);
	edu_dma_wait(regs);
}

void check_edu(const char *address)
{
	int fd = node_open(address, O_RDWR);
	struct userpci_uapi_dma d;
	void *regs;
	char *va;

	CHECK(fd >= 0);
	regs = map(fd, region_get(fd, 0).offset, EDU_BAR, PROT_READ | PROT_WRITE);
	CHECK_EQ(rd32(regs, EDU_ID), 0x010000ed);
	CHECK_EQ(dma_mask(fd, 28), 0);
	d = dma_get(fd, PAGE);
	CHECK(d.handle < 8); /* no more buffers than its last owners had */
	va = map(fd, d.offset, PAGE, PROT_READ | PROT_WRITE);
	CHECK_EQ(bus_master(fd, 1), 0);
	memset(va, 0xc3, PAGE);
	edu_move_page(regs, d.iova, EDU_MEMORY, 0);
	memset(va, 0, PAGE);
	edu_move_page(regs, EDU_MEMORY, d.iova, 1);
	CHECK_EQ((uint8_t)va[0], 0xc3);
	CHECK_EQ((uint8_t)va[EDU_BYTES - 1], 0xc3);
	munmap(va, PAGE);
	munmap(regs, EDU_BAR);
	close(fd);
}
