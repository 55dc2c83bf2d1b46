/* SPDX-License-Identifier: MIT */
/* What holds for any device on any backend. */
#include "suite.h"

/* What its configuration space says of it (PCI Local Bus 3.0, sections 6.1 and 6.8). */
TEST_EACH(info)
{
	struct userpci_device *device = own(suite_model());
	const struct userpci_info *info = userpci_info(device);
	unsigned int at = 0, vectors;

	CHECK_STR(info->backend, suite_backend_name());
	CHECK_EQ(strlen(info->address), strlen("0000:00:00.0"));
	CHECK_EQ(info->vendor_id, config(device, PCI_VENDOR_ID, 2));
	CHECK_EQ(info->device_id, config(device, PCI_DEVICE_ID, 2));
	CHECK_EQ(info->class_code, config(device, PCI_CLASS_REVISION, 4) >> 8);
	CHECK_EQ(info->num_regions, 6);
	CHECK_EQ(info->num_intx, config(device, PCI_INTERRUPT_PIN, 1) ? 1 : 0);
	vectors = 0;
	if (!userpci_config_find(device, PCI_CAP_ID_MSI, &at))
		vectors = 1u << (config(device, at + PCI_MSI_FLAGS, 2) >> 1 & 7);
	CHECK_EQ(info->num_msi, suite_backend() == UIO ? 0 : vectors);
	vectors = 0;
	if (!userpci_config_find(device, PCI_CAP_ID_MSIX, &at))
		vectors = (config(device, at + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
	CHECK_EQ(info->num_msix, suite_backend() == UIO ? 0 : vectors);
	userpci_close(device);
}

/* A region for each BAR that there is (section 6.2.5.1), and for no other. */
TEST_EACH(regions)
{
	struct userpci_device *device = own(suite_model());
	struct userpci_region region;
	unsigned int i, found = 0;
	uint32_t bar;
	int err;

	for (i = 0; i < 6; i++) {
		err = userpci_region_map(device, i, &region);
		if (err) {
			CHECK_EQ(err, -ENOENT);
			continue;
		}
		found++;
		bar = config(device, PCI_BASE_ADDRESS_0 + 4 * i, 4);
		CHECK_EQ(!(region.flags & USERPCI_REGION_IO), !(bar & PCI_BASE_ADDRESS_SPACE_IO));
		CHECK(region.size >= 4 && !(region.size & (region.size - 1)));
		CHECK_EQ(userpci_region_read(&region, region.size, 4), UINT64_MAX);
		CHECK_EQ(userpci_region_read(&region, 1, 4), UINT64_MAX);
		if (bar & PCI_BASE_ADDRESS_SPACE_IO) {
			CHECK(!region.va);
		} else {
			CHECK_EQ(!(region.flags & USERPCI_REGION_PREFETCH),
				 !(bar & PCI_BASE_ADDRESS_MEM_PREFETCH));
			CHECK_EQ(!(region.flags & USERPCI_REGION_64),
				 !(bar & PCI_BASE_ADDRESS_MEM_TYPE_64));
			CHECK_EQ(!region.va, suite_backend() == QEMU);
		}
		userpci_region_unmap(&region);
		if (!(bar & PCI_BASE_ADDRESS_SPACE_IO) && bar & PCI_BASE_ADDRESS_MEM_TYPE_64)
			CHECK_EQ(userpci_region_map(device, ++i, &region), -ENOENT);
	}
	CHECK(found);
	CHECK_EQ(userpci_region_map(device, 6, &region), -EINVAL);
	CHECK_EQ(userpci_region_map(device, ~0u, &region), -EINVAL);
	userpci_close(device);
}

/* What the backend owns cannot be written; all else can. */
TEST_EACH(configuration_space)
{
	struct userpci_device *device = own(suite_model());
	unsigned int at = 0;
	uint32_t value;

	CHECK_EQ(userpci_config_read(device, 1, 2, &value), -EINVAL);
	CHECK_EQ(userpci_config_read(device, 0, 3, &value), -EINVAL);
	CHECK_EQ(userpci_config_read(device, 4096, 4, &value), -ERANGE);
	CHECK_EQ(userpci_config_write(device, 4096, 4, 0), -ERANGE);
	CHECK_EQ(userpci_config_write(device, PCI_COMMAND, 2, 6), -EPERM);
	CHECK_EQ(userpci_config_write(device, PCI_BASE_ADDRESS_0, 4, 0), -EPERM);
	if (!userpci_config_find(device, PCI_CAP_ID_MSI, &at)) {
		CHECK_EQ(userpci_config_write(device, at + PCI_MSI_FLAGS, 2, 1), -EPERM);
		CHECK_EQ(userpci_config_write(device, at + PCI_MSI_ADDRESS_LO, 4, 0), -EPERM);
	}
	if (!userpci_config_find(device, PCI_CAP_ID_MSIX, &at))
		CHECK_EQ(userpci_config_write(device, at, 4, 0), -EPERM);
	CHECK_EQ(userpci_config_find(device, PCI_CAP_ID_AGP, &at), -ENOENT);
	CHECK_EQ(userpci_config_write(device, PCI_CACHE_LINE_SIZE, 1, 16), 0);
	CHECK_EQ(config(device, PCI_CACHE_LINE_SIZE, 1), 16);
	userpci_close(device);
}

TEST_EACH(bus_master)
{
	struct userpci_device *device = own(suite_model());

	CHECK(!is_bus_master(device));
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK(is_bus_master(device));
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_bus_master_disable(device), 0);
	CHECK(!is_bus_master(device));
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	userpci_close(device);
	device = own(suite_model());
	CHECK(!is_bus_master(device));
	userpci_close(device);
}

/* It works or is refused as the information says; BARs stay where they are. */
TEST_EACH(reset)
{
	struct userpci_device *device = own(suite_model());
	uint32_t before[6];
	unsigned int i;

	if (!(userpci_info(device)->flags & USERPCI_INFO_RESET)) {
		CHECK_EQ(userpci_reset(device), -EOPNOTSUPP);
		userpci_close(device);
		return;
	}
	for (i = 0; i < 6; i++)
		before[i] = config(device, PCI_BASE_ADDRESS_0 + 4 * i, 4);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	CHECK_EQ(userpci_reset(device), 0);
	CHECK(!is_bus_master(device));
	for (i = 0; i < 6; i++)
		CHECK_EQ(config(device, PCI_BASE_ADDRESS_0 + 4 * i, 4), before[i]);
	CHECK(config(device, PCI_COMMAND, 2) & (PCI_COMMAND_MEMORY | PCI_COMMAND_IO));
	userpci_close(device);
}

/* --- DMA memory --- */

/* Of every kind and several sizes at once: zeroed, apart from each other, below the mask. */
TEST_EACH(dma)
{
	static const unsigned int kinds[] = { USERPCI_DMA_CONTIGUOUS, USERPCI_DMA_CHUNKED,
					      USERPCI_DMA_SHARED };
	struct userpci_device *device = own(suite_model());
	struct userpci_dma dma[9];
	unsigned int i, j, round;

	CHECK_EQ(userpci_dma_alloc(device, 0, &dma[0]), -EINVAL);
	CHECK_EQ(userpci_dma_set_mask(device, 32), 0);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 9; i++) {
			struct userpci_dma_options options = { .kind = kinds[i % 3],
							       .size = i * PAGE + 1 };

			CHECK_EQ(userpci_dma_create(device, &options, &dma[i]), 0);
			CHECK_EQ(dma[i].kind, kinds[i % 3]);
			CHECK(dma[i].size >= options.size && dma[i].size % PAGE == 0);
			CHECK(is_zero(&dma[i]));
			memset(dma[i].va, 0xa5, dma[i].size);
			for (j = 0; j < dma[i].size; j += PAGE)
				CHECK(!((userpci_dma_iova(&dma[i], j) + PAGE - 1) >> 32));
		}
		CHECK_EQ(userpci_dma_set_mask(device, 64), -EBUSY);
		for (i = 0; i < 9; i++)
			for (j = 0; j < i; j++)
				CHECK(dma[i].chunks > 1 || dma[j].chunks > 1 ||
				      dma[i].iova + dma[i].size <= dma[j].iova ||
				      dma[j].iova + dma[j].size <= dma[i].iova);
		for (i = 0; i < 9; i++)
			userpci_dma_free(&dma[(i << round) % 9]);
	}
	userpci_close(device);
}

TEST_EACH(dma_too_large)
{
	struct userpci_device *device = own(suite_model());
	struct userpci_dma_options options = { .kind = USERPCI_DMA_CHUNKED, .size = 32u << 20 };
	struct userpci_dma dma;

	CHECK_EQ(userpci_dma_set_mask(device, 24), 0);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), -ENOMEM);
	options.size = UINT64_MAX;
	CHECK_EQ(userpci_dma_create(device, &options, &dma), -ENOMEM);
	options.size = 1ull << 50;
	CHECK_EQ(userpci_dma_create(device, &options, &dma), -ENOMEM);
	CHECK_EQ(userpci_dma_set_mask(device, 32), 0);
	CHECK_EQ(userpci_dma_alloc(device, PAGE, &dma), 0);
	userpci_close(device);
}

TEST_EACH(dma_names)
{
	struct userpci_dma_options options = { .size = PAGE, .name = "ring" };
	struct userpci_device *device = own(suite_model());
	struct userpci_dma dma, other, plain;
	struct userpci_dma_info info;
	uint32_t cursor = 0;

	CHECK_EQ(userpci_dma_next(device, &cursor, &info), -ENOENT);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
	CHECK_EQ(userpci_dma_alloc(device, PAGE, &plain), 0);
	CHECK_EQ(userpci_dma_create(device, &options, &other), -EEXIST);
	CHECK_EQ(userpci_dma_attach(device, "rings", &other), -ENOENT);
	CHECK_EQ(userpci_dma_attach(device, "ring", &other), 0);
	CHECK_EQ(other.iova, dma.iova);
	CHECK(other.va != dma.va);
	strcpy(dma.va, "the same memory");
	CHECK_STR((char *)other.va, "the same memory");
	userpci_dma_detach(&other);
	CHECK_EQ(userpci_dma_next(device, &cursor, &info), 0);
	CHECK_STR(info.name, "ring");
	CHECK_EQ(info.iova, dma.iova);
	CHECK_EQ(userpci_dma_next(device, &cursor, &info), 0);
	CHECK_STR(info.name, "");
	CHECK_EQ(userpci_dma_next(device, &cursor, &info), -ENOENT);
	userpci_dma_free(&dma);
	CHECK_EQ(userpci_dma_attach(device, "ring", &other), -ENOENT);
	CHECK_EQ(userpci_dma_create(device, &options, &dma), 0);
	userpci_close(device);
}

/* --- Interrupts --- */

/* As many vectors as there are, from one to all and back. */
static void check_vectors(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	struct pollfd p = { .events = POLLIN };

	if (!count) {
		CHECK_EQ(userpci_irq_enable(device, kind, 1), -ENOSPC);
		return;
	}
	CHECK_EQ(userpci_irq_enable(device, kind, 1), 0);
	CHECK_EQ(userpci_irq_kind(device), kind);
	CHECK_EQ(userpci_irq_wait(device, 0, 0, NULL), -ETIMEDOUT);
	CHECK_EQ(userpci_irq_wait(device, 1, 0, NULL), -EINVAL);
	CHECK_EQ(userpci_irq_fd(device, 1), -EINVAL);
	CHECK_EQ(userpci_irq_mask(device, 1), -EINVAL);
	CHECK_EQ(userpci_irq_enable(device, kind, count), 0);
	p.fd = userpci_irq_fd(device, count - 1);
	CHECK(p.fd > 2);
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_EQ(userpci_irq_mask(device, count - 1), 0);
	CHECK_EQ(userpci_irq_unmask(device, count - 1), 0);
	CHECK_EQ(userpci_irq_enable(device, kind, 1), 0);
	CHECK_EQ(userpci_irq_fd(device, count), -EINVAL);
	userpci_irq_disable(device);
	CHECK_EQ(userpci_irq_kind(device), -EINVAL);
	CHECK_EQ(userpci_irq_wait(device, 0, 0, NULL), -EINVAL);
}

TEST_EACH(vectors)
{
	struct userpci_device *device = own(suite_model());
	const struct userpci_info *info = userpci_info(device);
	unsigned int best;

	CHECK_EQ(userpci_irq_kind(device), -EINVAL);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_INTX, 0), -EINVAL);
	CHECK_EQ(userpci_irq_enable(device, 77, 1), -EINVAL);
	check_vectors(device, USERPCI_IRQ_INTX, info->num_intx);
	check_vectors(device, USERPCI_IRQ_MSI, info->num_msi);
	check_vectors(device, USERPCI_IRQ_MSIX, info->num_msix);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, info->num_msix + 1), -ENOSPC);
	best = info->num_msix  ? USERPCI_IRQ_MSIX
	       : info->num_msi ? USERPCI_IRQ_MSI
			       : USERPCI_IRQ_INTX;
	if (info->num_intx || best != USERPCI_IRQ_INTX) {
		CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 1), 0);
		CHECK_EQ(userpci_irq_kind(device), best);
	} else {
		CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 1), -ENOSPC);
	}
	userpci_close(device);
}

/* --- Lifetime --- */

static void use(struct userpci_device *device)
{
	struct userpci_dma dma;
	unsigned int i;

	for (i = 0; i < 6; i++) {
		struct userpci_region region;

		if (!userpci_region_map(device, i, &region))
			(void)userpci_region_read(&region, 0, 1);
	}
	CHECK_EQ(userpci_dma_alloc(device, 3 * PAGE, &dma), 0);
	if (userpci_info(device)->num_intx)
		CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 1), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
}

/* A driver may forget to unmap and free: the close does. */
TEST_EACH(close_leaves_nothing)
{
	unsigned int before = count_fds(), i;

	for (i = 0; i < 2; i++) {
		struct userpci_device *device = own(suite_model());

		use(device);
		userpci_close(device);
		CHECK_EQ(count_fds(), before);
	}
}

static void own_and_use(const char *model)
{
	use(own(model));
}

/* However an owner ends, the next finds the device at rest. */
TEST_EACH(killed_owner)
{
	struct userpci_device *device;

	kill_while(own_and_use, suite_model());
	if (suite_backend() == UIO)
		pause_us(SHORT); /* the library's guard does it, soon after */
	device = own(suite_model());
	CHECK(!is_bus_master(device));
	use(device);
	userpci_close(device);
}
