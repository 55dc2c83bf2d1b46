/* SPDX-License-Identifier: MIT */
/* Interrupts: one eventfd a vector, made here and fed by the backend. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <userpci/userpci.h>

#include "backend.h"

static void vectors_free(struct userpci_device *device, unsigned int count)
{
	while (count--)
		close(device->vectors[count].fd);
	free(device->vectors);
	device->vectors = NULL;
}

static int eventfd_create(struct userpci_device *device, unsigned int vector)
{
	int fd;

	if (device->backend->irq_fd)
		return device->backend->irq_fd(device, vector);
	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int vectors_create(struct userpci_device *device, unsigned int count)
{
	unsigned int i;
	int fd;

	device->vectors = calloc(count, sizeof(*device->vectors));
	if (!device->vectors)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		fd = eventfd_create(device, i);
		if (fd < 0) {
			vectors_free(device, i);
			return fd;
		}
		device->vectors[i].fd = fd;
	}
	return 0;
}

static unsigned int vectors_offered(const struct userpci_device *device, unsigned int kind)
{
	switch (kind) {
	case USERPCI_IRQ_INTX:
		return device->info.num_intx;
	case USERPCI_IRQ_MSI:
		return device->info.num_msi;
	default:
		return device->info.num_msix;
	}
}

static int enable_kind(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	unsigned int i;
	int err;

	if (count > vectors_offered(device, kind))
		return -ENOSPC;
	err = device->backend->irq_enable(device, kind, count);
	if (err)
		return err;
	for (i = 0; i < count; i++) {
		err = device->backend->irq_eventfd(device, i, device->vectors[i].fd);
		if (err) {
			device->backend->irq_disable(device);
			return err;
		}
	}
	device->irq_kind = kind;
	device->irq_count = count;
	return 0;
}

static int enable_best(struct userpci_device *device, unsigned int count)
{
	static const unsigned int kinds[] = { USERPCI_IRQ_MSIX, USERPCI_IRQ_MSI, USERPCI_IRQ_INTX };
	int err = -ENOSPC;
	unsigned int i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && err == -ENOSPC; i++)
		err = enable_kind(device, kinds[i], count);
	return err;
}

int userpci_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	int err;

	if ((kind > USERPCI_IRQ_MSIX && kind != USERPCI_IRQ_BEST) || !count)
		return -EINVAL;
	/* The PCI specification ends at 2048 vectors (MSI-X, PCI Local Bus 3.0, section 6.8.2). */
	if (count > 2048 || (kind == USERPCI_IRQ_INTX && count > 1))
		return -EINVAL;
	userpci_irq_disable(device);
	err = vectors_create(device, count);
	if (err)
		return err;
	if (kind == USERPCI_IRQ_BEST)
		err = enable_best(device, count);
	else
		err = enable_kind(device, kind, count);
	if (err)
		vectors_free(device, count);
	return err;
}

void userpci_irq_disable(struct userpci_device *device)
{
	if (!device->irq_count)
		return;
	device->backend->irq_disable(device);
	vectors_free(device, device->irq_count);
	device->irq_count = 0;
}

int userpci_irq_kind(const struct userpci_device *device)
{
	return device->irq_count ? (int)device->irq_kind : -EINVAL;
}

int userpci_irq_fd(const struct userpci_device *device, unsigned int vector)
{
	return vector < device->irq_count ? device->vectors[vector].fd : -EINVAL;
}

/* What the library's own eventfd has counted is still to be waited for. */
static void pass_on(const struct userpci_vector *v, int fd)
{
	eventfd_t count;

	if (!v->borrowed && !eventfd_read(v->fd, &count))
		(void)eventfd_write(fd, count);
}

int userpci_irq_set_fd(struct userpci_device *device, unsigned int vector, int fd)
{
	struct userpci_vector *v;
	int err, copy;

	if (vector >= device->irq_count || fd < -1)
		return -EINVAL;
	v = &device->vectors[vector];
	copy = fd < 0 ? eventfd_create(device, vector) : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return fd < 0 ? copy : -errno;
	err = device->backend->irq_eventfd(device, vector, copy);
	if (err) {
		close(copy);
		return err;
	}
	pass_on(v, copy);
	close(v->fd);
	v->fd = copy;
	v->borrowed = fd >= 0;
	return 0;
}

int userpci_irq_poll(const struct userpci_device *device, unsigned int vector, int64_t timeout_us,
		     uint64_t *count)
{
	/* The device's own descriptor says when there is nothing to wait for any more. */
	struct pollfd fds[] = {
		{ .fd = userpci_irq_fd(device, vector), .events = POLLIN },
		{ .fd = device->fd },
	};
	struct timespec timeout = { timeout_us / 1000000, timeout_us % 1000000 * 1000 };
	uint64_t events;
	int n;

	if (fds[0].fd < 0)
		return -EINVAL;
	n = ppoll(fds, 2, timeout_us < 0 ? NULL : &timeout, NULL);
	if (n < 0)
		return -errno;
	if (fds[1].revents & (POLLHUP | POLLERR))
		return -ENODEV;
	if (!n || read(fds[0].fd, &events, sizeof(events)) != sizeof(events))
		return -ETIMEDOUT;
	if (count)
		*count = events;
	return 0;
}

int userpci_irq_wait(struct userpci_device *device, unsigned int vector, int64_t timeout_us,
		     uint64_t *count)
{
	if (!device->backend->irq_wait || vector >= device->irq_count)
		return userpci_irq_poll(device, vector, timeout_us, count);
	return device->backend->irq_wait(device, vector, timeout_us, count);
}

int userpci_irq_mask(struct userpci_device *device, unsigned int vector)
{
	int err;

	if (vector >= device->irq_count)
		return -EINVAL;
	err = device->backend->irq_mask(device, vector, true);
	if (!err)
		device->vectors[vector].masked = true;
	return err;
}

int userpci_irq_unmask(struct userpci_device *device, unsigned int vector)
{
	int err;

	if (vector >= device->irq_count)
		return -EINVAL;
	/* INTx is masked by each interrupt, others by userpci_irq_mask() or the storm guard. */
	if (device->irq_kind != USERPCI_IRQ_INTX && !device->vectors[vector].masked &&
	    !device->vectors[vector].limited)
		return 0;
	err = device->backend->irq_mask(device, vector, false);
	if (!err)
		device->vectors[vector].masked = false;
	return err;
}

int userpci_irq_limit(struct userpci_device *device, unsigned int vector, uint32_t per_second)
{
	int err;

	if (vector >= device->irq_count)
		return -EINVAL;
	err = device->backend->irq_limit(device, vector, per_second);
	/* Never taken back: the guard may have masked the vector before it was lifted. */
	if (!err)
		device->vectors[vector].limited = true;
	return err;
}
