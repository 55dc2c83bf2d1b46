/* SPDX-License-Identifier: MIT */
/* What only backends over a kernel have: choosing by the driver, other processes, unbinding. */
#include "suite.h"

static int refused(const char *address, unsigned int flags)
{
	struct userpci_device *device = NULL;
	int err = userpci_open(address, flags, &device);

	CHECK(!device);
	return err;
}

/* Whether the explanation of an error holds some words. */
static int says(const char *address, int error, const char *words)
{
	char text[256];

	return strstr(userpci_explain(address, error, text, sizeof(text)), words) != NULL;
}

/* An address with a backend before it. */
static const char *by(const char *backend, const char *address)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s:%s", backend, address);
	return text;
}

TEST_ON(KERNEL, the_driver_chooses_the_backend)
{
	struct userpci_device *device = own("edu");

	CHECK_STR(userpci_info(device)->backend, suite_backend_name());
	CHECK_STR(userpci_info(device)->address, suite_address("edu"));
	CHECK_EQ(!(userpci_info(device)->flags & USERPCI_INFO_IOMMU), suite_backend() != VFIO);
	userpci_close(device);
}

TEST_ON(KERNEL, a_prefix_chooses_the_backend)
{
	static const char *const names[] = { "stub", "vfio", "uio" };
	static const char *const words[] = { "userpci bind", "IOMMU group",
					     "modprobe uio_pci_generic" };
	struct userpci_device *device;
	char edu[16];
	unsigned int i;
	int err;

	snprintf(edu, sizeof(edu), "%s", suite_address("edu"));
	for (i = 0; i < 3; i++) {
		if (!strcmp(names[i], suite_backend_name())) {
			CHECK_EQ(userpci_open(by(names[i], edu + 5), 0, &device), 0);
			CHECK_STR(userpci_info(device)->backend, suite_backend_name());
			userpci_close(device);
		} else {
			err = i ? -ENOENT : -ENXIO;
			CHECK_EQ(refused(by(names[i], edu), 0), err);
			CHECK(says(by(names[i], edu), err, words[i]));
		}
		CHECK_EQ(refused(by(names[i], "nonsense"), 0), -EINVAL);
		CHECK(says(by(names[i], "nonsense"), -EINVAL, "not a PCI address"));
	}
	CHECK_EQ(refused(by("nonsense", edu), 0), -EINVAL);
	CHECK_EQ(refused(by(suite_backend_name(), "00:0f.0"), 0), -ENODEV);
}

TEST_ON(KERNEL, one_owner)
{
	struct userpci_device *device = own("edu");
	const char *edu = suite_address("edu");
	char words[64];

	CHECK_EQ(refused(edu, 0), -EBUSY);
	snprintf(words, sizeof(words), "in use by process %d", (int)getpid());
	CHECK(says(edu, -EBUSY, words));
	userpci_close(device);
	userpci_close(own("edu"));
}

TEST_ON(VFIO | UIO, no_observer)
{
	struct userpci_device *device = own("edu");
	const char *edu = suite_address("edu");

	CHECK_EQ(refused(edu, USERPCI_OPEN_OBSERVE), -EOPNOTSUPP);
	CHECK(says(edu, -EOPNOTSUPP, "nobody can observe"));
	userpci_close(device);
}

/* Who looks on reads registers and attaches to memory, and can change nothing. */
TEST_ON(STUB, observer)
{
	struct userpci_dma_options options = { .size = PAGE, .name = "ring" };
	struct userpci_device *device = own("edu"), *observer;
	struct userpci_region regs;
	struct userpci_dma dma, seen;

	CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
	strcpy(dma.va, "here");
	CHECK_EQ(userpci_open(suite_address("edu"), USERPCI_OPEN_OBSERVE, &observer), 0);
	CHECK_EQ(userpci_dma_attach(observer, "ring", &seen), 0);
	CHECK_STR((char *)seen.va, "here");
	regs = map(observer, 0);
	CHECK_EQ(userpci_read32(&regs, EDU_ID), 0x010000ed);
	CHECK_EQ(userpci_irq_enable(observer, USERPCI_IRQ_MSI, 1), -EACCES);
	CHECK_EQ(userpci_bus_master_enable(observer), -EACCES);
	CHECK_EQ(userpci_reset(observer), -EACCES);
	userpci_close(observer);
	userpci_close(device);
}

/* A child's copy is not the owner's: when it closes, nothing happens to the device. */
TEST_ON(KERNEL, a_child_closes_its_copy)
{
	struct userpci_device *device = own("edu");
	pid_t child;

	CHECK_EQ(userpci_bus_master_enable(device), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		userpci_close(device);
		_exit(0);
	}
	CHECK_EQ(wait_child(child), 0);
	CHECK(is_bus_master(device));
	userpci_close(device);
}

/* Of UIO's, a contiguous buffer is at most a huge page, and others are in several pieces. */
TEST_ON(UIO, dma_of_huge_pages)
{
	struct userpci_dma_options options = { .kind = USERPCI_DMA_CHUNKED, .size = 5u << 20 };
	struct userpci_device *device = own("edu");
	struct userpci_dma dma;

	CHECK_EQ(userpci_dma_alloc(device, 3u << 20, &dma), -ENOMEM);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
	CHECK_EQ(dma.size, 6u << 20);
	CHECK(is_zero(&dma));
	userpci_close(device);
}

/* --- Events, removal --- */

TEST_ON(UIO, no_statistics)
{
	struct userpci_device *device = own("edu");
	struct userpci_event event;

	CHECK(!userpci_stats(device));
	CHECK_EQ(userpci_event_wait(device, 0, &event), -EOPNOTSUPP);
	CHECK_EQ(userpci_event_fd(device), -EOPNOTSUPP);
	userpci_close(device);
}

TEST_ON(STUB | VFIO, statistics)
{
	struct userpci_device *device = own("edu");
	const volatile struct userpci_uapi_stats *stats = userpci_stats(device);
	struct userpci_event event;
	struct userpci_dma dma;
	uint64_t before, bytes = 7 * PAGE; /* no killed owner left one of that size */

	CHECK(stats);
	CHECK_EQ(stats->owner, getpid());
	before = stats->dma_bytes;
	CHECK_EQ(userpci_dma_alloc(device, bytes, &dma), 0);
	CHECK_EQ(stats->dma_bytes, before + bytes);
	userpci_dma_free(&dma);
	CHECK_EQ(stats->dma_bytes, before);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSI, 1), 0);
	CHECK_EQ(stats->irq_kind, USERPCI_IRQ_MSI);
	CHECK_EQ(stats->irq_count, 1);
	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	CHECK_EQ(userpci_event_wait(device, SHORT, &event), -ETIMEDOUT);
	userpci_close(device);
}

TEST_ON(STUB | VFIO, reset_is_told)
{
	struct userpci_device *device = own("nvme");
	struct userpci_event event;

	CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	CHECK_EQ(userpci_reset(device), 0);
	CHECK_EQ(userpci_event_wait(device, PATIENCE, &event), 0);
	CHECK_EQ(event.type, USERPCI_EVENT_RESET);
	userpci_close(device);
}

static void driver_write(const char *file, const char *address)
{
	const char *driver = suite_backend() == STUB   ? "userpci"
			     : suite_backend() == VFIO ? "vfio-pci"
						       : "uio_pci_generic";
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/%s", driver, file);
	fd = open(path, O_WRONLY);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, address, strlen(address)), (ssize_t)strlen(address));
	close(fd);
}

/* The driver waits for an interrupt meanwhile. With VFIO the kernel then waits for its close. */
TEST_ON(KERNEL, unbinding_is_told)
{
	struct userpci_device *device = own("edu");
	const char *edu = suite_address("edu");
	struct userpci_event event;
	pid_t child;

	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 1), 0);
	if (suite_backend() != UIO)
		CHECK_EQ(userpci_event_wait(device, 0, &event), -ETIMEDOUT);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		/* Its copies must not keep the device open. */
		close_range(3, ~0u, 0);
		pause_us(SHORT);
		driver_write("unbind", edu);
		_exit(0);
	}
	CHECK_EQ(userpci_irq_wait(device, 0, PATIENCE, NULL), -ENODEV);
	if (suite_backend() != UIO) {
		CHECK_EQ(userpci_event_wait(device, PATIENCE, &event), 0);
		CHECK_EQ(event.type, USERPCI_EVENT_REMOVE);
	}
	userpci_close(device);
	CHECK_EQ(wait_child(child), 0);
	CHECK_EQ(refused(by(suite_backend_name(), edu), 0), -ENXIO);
	CHECK(says(by(suite_backend_name(), edu), -ENXIO, "userpci bind"));
	driver_write("bind", edu);
	userpci_close(own("edu"));
}
