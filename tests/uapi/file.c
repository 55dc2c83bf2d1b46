/* SPDX-License-Identifier: MIT */
/* Opening, and what every call checks. */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kit.h"

TEST(open_one_owner)
{
	const char *address = device_bind(EDU);
	int owner = node_open(address, O_RDWR);
	int observer;

	CHECK(owner >= 0);
	CHECK_EQ(node_open(address, O_RDWR), -EBUSY);
	CHECK_EQ(node_open(address, O_WRONLY), -EACCES);
	observer = node_open(address, O_RDONLY);
	CHECK(observer >= 0);
	close(owner);
	/* The refused open took nothing away, and an observer holds nothing up. */
	owner = node_open(address, O_RDWR);
	CHECK(owner >= 0);
	close(owner);
	close(observer);
}

TEST(open_node_is_private)
{
	const char *address = device_bind(EDU);
	struct stat st;
	char node[64];

	snprintf(node, sizeof(node), "/dev/userpci/%s", address);
	CHECK_EQ(stat(node, &st), 0);
	CHECK_EQ(st.st_mode, S_IFCHR | 0600);
}

/* The child's exit status is the errno of its open. */
static int open_as(const char *address, int flags, void (*become)(void))
{
	int status, fd;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		become();
		fd = node_open(address, flags);
		_exit(fd < 0 ? -fd : 0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void drop_rawio(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		_exit(99);
	data[0].effective &= ~(1u << CAP_SYS_RAWIO);
	if (syscall(SYS_capset, &header, data))
		_exit(99);
}

static void become_nobody(void)
{
	if (setgid(65534) || setuid(65534))
		_exit(99);
}

/* Linux, Documentation/admin-guide/tainted-kernels.rst */
static int tainted_by_user_space(void)
{
	unsigned long taints;
	FILE *f = fopen("/proc/sys/kernel/tainted", "r");

	CHECK(f);
	CHECK_EQ(fscanf(f, "%lu", &taints), 1);
	fclose(f);
	return !!(taints & (1 << 6));
}

TEST_BARE(open_taints_without_iommu)
{
	close(node_own(EDU));
	CHECK_EQ(tainted_by_user_space(), 1);
}

/* Behind an IOMMU the owner reaches its own buffers alone: root's file modes are all it needs. */
TEST_IOMMU(open_needs_no_rawio_behind_an_iommu)
{
	const char *address = device_bind(EDU);

	CHECK_EQ(open_as(address, O_RDWR, drop_rawio), 0);
	CHECK_EQ(open_as(address, O_RDWR, become_nobody), -EACCES);
	close(node_own(EDU));
	CHECK_EQ(tainted_by_user_space(), 0);
}

TEST_BARE(open_needs_rawio_without_iommu)
{
	const char *address = device_bind(EDU);

	CHECK_EQ(open_as(address, O_RDWR, drop_rawio), -EPERM);
	CHECK_EQ(open_as(address, O_RDONLY, drop_rawio), 0);
	CHECK_EQ(open_as(address, O_RDWR, become_nobody), -EACCES);
	CHECK_EQ(open_as(address, O_RDONLY, become_nobody), -EACCES);
}

TEST(ioctl_numbers)
{
	int fd = node_own(EDU);
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);

	CHECK_EQ(call(fd, _IO(USERPCI_IOC_TYPE, 17), &info), -ENOTTY);
	CHECK_EQ(call(fd, _IO(USERPCI_IOC_TYPE, 255), &info), -ENOTTY);
	CHECK_EQ(call(fd, _IO(';', 0), &info), -ENOTTY);
	CHECK_EQ(call(fd, _IOR(USERPCI_IOC_TYPE, 0, int), &info), -ENOTTY);
	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	close(fd);
}

/* Every command, with the size of its structure in the first version. */
static const struct {
	unsigned long command;
	uint32_t size;
	int observer; /* may call it */
} commands[] = {
	{ USERPCI_GET_INFO, 48, 1 },
	{ USERPCI_GET_REGION, sizeof(struct userpci_uapi_region), 1 },
	{ USERPCI_REGION_READ, sizeof(struct userpci_uapi_access), 0 },
	{ USERPCI_REGION_WRITE, sizeof(struct userpci_uapi_access), 0 },
	{ USERPCI_CONFIG_READ, sizeof(struct userpci_uapi_config), 1 },
	{ USERPCI_DMA_SET_MASK, sizeof(struct userpci_uapi_dma_mask), 0 },
	{ USERPCI_DMA_ALLOC, 40, 0 },
	{ USERPCI_DMA_FREE, 40, 0 },
	{ USERPCI_IRQ_ENABLE, sizeof(struct userpci_uapi_irq), 0 },
	{ USERPCI_IRQ_EVENTFD, sizeof(struct userpci_uapi_irq_eventfd), 0 },
	{ USERPCI_IRQ_MASK, sizeof(struct userpci_uapi_irq_mask), 0 },
	{ USERPCI_BUS_MASTER, sizeof(struct userpci_uapi_bus_master), 0 },
	{ USERPCI_RESET, sizeof(struct userpci_uapi_reset), 0 },
	{ USERPCI_CONFIG_WRITE, sizeof(struct userpci_uapi_config), 0 },
	{ USERPCI_DMA_GET, sizeof(struct userpci_uapi_dma_get), 1 },
	{ USERPCI_IRQ_LIMIT, sizeof(struct userpci_uapi_irq_limit), 0 },
	{ USERPCI_GET_MAP, sizeof(struct userpci_uapi_map), 1 },
};

#define NUM_COMMANDS (sizeof(commands) / sizeof(commands[0]))

TEST(ioctl_sizes)
{
	int fd = node_own(EDU);
	unsigned int i;

	for (i = 0; i < NUM_COMMANDS; i++) {
		uint32_t words[64] = { 0 };

		CHECK_EQ(call(fd, commands[i].command, words), -EINVAL);
		words[0] = commands[i].size - 1;
		CHECK_EQ(call(fd, commands[i].command, words), -EINVAL);
		/* A longer structure whose tail says something. */
		words[0] = sizeof(words);
		words[63] = 1;
		CHECK_EQ(call(fd, commands[i].command, words), -E2BIG);
		words[0] = 1u << 20;
		CHECK_EQ(call(fd, commands[i].command, words), -E2BIG);
	}
	close(fd);
}

/* A later caller's longer structure, whose tail is zero, is served, and its size left as it was. */
TEST(ioctl_longer_structure)
{
	union {
		struct userpci_uapi_info info;
		uint32_t words[64];
	} u = { .words = { sizeof(u) } };
	int fd = node_own(EDU);

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &u), 0);
	CHECK_EQ(u.info.size, sizeof(u));
	CHECK_EQ(u.info.vendor_id, 0x1234);
	CHECK_EQ(u.words[63], 0);
	close(fd);
}

TEST(ioctl_bad_pointers)
{
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	int fd = node_own(EDU);
	unsigned int i;

	CHECK(page != MAP_FAILED);
	CHECK_EQ(munmap(page + PAGE, PAGE), 0);
	for (i = 0; i < NUM_COMMANDS; i++) {
		/* The size word is the last that can be read. */
		uint32_t *edge = (uint32_t *)(page + PAGE - sizeof(*edge));

		*edge = commands[i].size;
		CHECK_EQ(call(fd, commands[i].command, NULL), -EFAULT);
		CHECK_EQ(call(fd, commands[i].command, (void *)-4096l), -EFAULT);
		CHECK_EQ(call(fd, commands[i].command, edge), -EFAULT);
	}
	munmap(page, PAGE);
	close(fd);
}

TEST(ioctl_observer_changes_nothing)
{
	int fd = node_open(device_bind(EDU), O_RDONLY);
	unsigned int i;

	CHECK(fd >= 0);
	for (i = 0; i < NUM_COMMANDS; i++) {
		uint32_t words[64] = { commands[i].size };
		int result = call(fd, commands[i].command, words);

		if (!commands[i].observer)
			CHECK_EQ(result, -EACCES);
		else if (commands[i].command == USERPCI_CONFIG_READ)
			CHECK_EQ(result, -EINVAL); /* width 0 */
		else if (commands[i].command == USERPCI_DMA_GET ||
			 commands[i].command == USERPCI_GET_MAP)
			CHECK_EQ(result, -ENOENT);
		else
			CHECK_EQ(result, 0);
	}
	CHECK_EQ(write(fd, &i, sizeof(i)), -1);
	CHECK_EQ(errno, EBADF);
	close(fd);
}

TEST(info_edu)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	int fd = node_own(EDU);

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	CHECK_EQ(info.api_version, USERPCI_API_VERSION);
	CHECK_EQ(info.vendor_id, 0x1234);
	CHECK_EQ(info.device_id, 0x11e8);
	CHECK_EQ(info.class_code, 0x00ff00);
	CHECK_EQ(info.num_regions, 6);
	CHECK_EQ(info.num_intx, 1);
	CHECK_EQ(info.num_msi, 1);
	CHECK_EQ(info.num_msix, 0);
	CHECK_EQ(info.dma_mask_bits, 32);
	CHECK_EQ(info.flags & USERPCI_INFO_IOMMU, iommu_translates() ? USERPCI_INFO_IOMMU : 0);
	close(fd);
}

TEST(config_read)
{
	struct userpci_uapi_config c = SIZED(userpci_uapi_config);
	const char *address = device_bind(EDU);
	int fd = node_open(address, O_RDONLY);
	unsigned int width;

	CHECK(fd >= 0);
	for (width = 1; width <= 4; width *= 2) {
		for (c.offset = 0; c.offset < 64; c.offset += width) {
			c.width = width;
			CHECK_EQ(call(fd, USERPCI_CONFIG_READ, &c), 0);
			CHECK_EQ(c.value, sysfs_config(address, c.offset, width));
		}
	}
	c.offset = 1, c.width = 2;
	CHECK_EQ(call(fd, USERPCI_CONFIG_READ, &c), -EINVAL);
	c.offset = 0, c.width = 3;
	CHECK_EQ(call(fd, USERPCI_CONFIG_READ, &c), -EINVAL);
	c.width = 8;
	CHECK_EQ(call(fd, USERPCI_CONFIG_READ, &c), -EINVAL);
	/* A conventional function has 256 bytes. */
	c.offset = 256, c.width = 4;
	CHECK_EQ(call(fd, USERPCI_CONFIG_READ, &c), -ERANGE);
	c.offset = 0xfffffffc;
	CHECK_EQ(call(fd, USERPCI_CONFIG_READ, &c), -ERANGE);
	close(fd);
}

static int config_write(int fd, uint32_t offset, uint32_t width, uint32_t value)
{
	struct userpci_uapi_config c = SIZED(userpci_uapi_config);

	c.offset = offset;
	c.width = width;
	c.value = value;
	return call(fd, USERPCI_CONFIG_WRITE, &c);
}

TEST(config_write)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU);

	CHECK_EQ(config_write(fd, 0x0c, 1, 0x10), 0);
	CHECK_EQ(sysfs_config(address, 0x0c, 1), 0x10);
	CHECK_EQ(config_write(fd, 0x0c, 1, 0), 0);
	CHECK_EQ(config_write(fd, 0x06, 2, 0xffff), 0); /* Status: write 1 to clear */
	CHECK_EQ(config_write(fd, 0x0c, 3, 0), -EINVAL);
	CHECK_EQ(config_write(fd, 0x0d, 2, 0), -EINVAL);
	CHECK_EQ(config_write(fd, 0x100, 4, 0), -ERANGE);
	close(fd);
}

/* Each byte of the header but those, in each width: refused, and unchanged. */
TEST(config_write_guards_the_header)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU);
	uint32_t width, offset, before;

	for (width = 1; width <= 4; width *= 2) {
		for (offset = 0; offset < 0x40; offset += width) {
			if ((offset == 0x06 && width == 2) || (offset == 0x0c && width <= 2) ||
			    (offset == 0x0d && width == 1))
				continue;
			before = sysfs_config(address, offset, width);
			CHECK_EQ(config_write(fd, offset, width, ~before), -EPERM);
			CHECK_EQ(sysfs_config(address, offset, width), before);
		}
	}
	close(fd);
}

TEST(config_write_guards_capabilities)
{
	const char *address = device_bind(E1000E);
	int fd = node_own(E1000E);
	uint32_t pm = capability(address, 0x01), msi = capability(address, 0x05);
	uint32_t msix = capability(address, 0x11);

	CHECK_EQ(config_write(fd, pm + 4, 2, 3), -EPERM); /* D3hot */
	CHECK_EQ(config_write(fd, msi + 2, 2, 1), -EPERM);
	CHECK_EQ(config_write(fd, msi + 4, 4, 0xfee00000), -EPERM);
	CHECK_EQ(config_write(fd, msix + 2, 2, 0x8000), -EPERM);
	CHECK_EQ(config_write(fd, msix + 3, 1, 0x80), -EPERM);
	close(fd);
}

/* Device Control: a function level reset is refused, the rest is the driver's. */
TEST(config_write_guards_the_reset_bit)
{
	const char *address = device_bind(RNG);
	int fd = node_own(RNG);
	uint32_t at = capability(address, 0x10) + 8;
	uint32_t control = sysfs_config(address, at, 2);

	CHECK_EQ(config_write(fd, at, 2, control | 0x8000), -EPERM);
	CHECK_EQ(config_write(fd, at + 1, 1, 0x80), -EPERM);
	CHECK_EQ(config_write(fd, at, 4, control | 0x8000), -EPERM);
	CHECK_EQ(config_write(fd, at, 2, control ^ 1), 0); /* error reporting */
	CHECK_EQ(sysfs_config(address, at, 2), control ^ 1);
	CHECK_EQ(config_write(fd, at, 2, control), 0);
	close(fd);
}

TEST(bus_master)
{
	const char *address = device_bind(EDU);
	int fd = node_own(EDU);

	CHECK_EQ(sysfs_config(address, 4, 2) & 4, 0);
	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(sysfs_config(address, 4, 2) & 4, 4);
	CHECK_EQ(bus_master(fd, 0), 0);
	CHECK_EQ(sysfs_config(address, 4, 2) & 4, 0);
	CHECK_EQ(bus_master(fd, 2), -EINVAL);
	CHECK_EQ(bus_master(fd, 1), 0);
	close(fd);
	CHECK_EQ(sysfs_config(address, 4, 2) & 4, 0);
}

/* virtio 1.1, section 4.1.4.3: device_status of the common configuration, which QEMU has at 0. */
#define RNG_STATUS 0x14

TEST(reset)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	struct userpci_uapi_reset reset = SIZED(userpci_uapi_reset);
	const char *address = device_bind(RNG);
	int fd = node_own(RNG);
	volatile uint8_t *regs;

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	CHECK_EQ(info.flags & USERPCI_INFO_RESET, USERPCI_INFO_RESET);
	regs = map(fd, region_get(fd, 4).offset, PAGE, PROT_READ | PROT_WRITE);
	regs[RNG_STATUS] = 3;
	CHECK_EQ(regs[RNG_STATUS], 3);
	CHECK_EQ(irq_set(fd, USERPCI_IRQ_MSIX, 2), 0);
	CHECK_EQ(bus_master(fd, 1), 0);
	CHECK_EQ(call(fd, USERPCI_RESET, &reset), 0);
	CHECK_EQ(regs[RNG_STATUS], 0);
	CHECK_EQ(sysfs_config(address, 4, 2) & 4, 0);
	reset.flags = 1;
	CHECK_EQ(call(fd, USERPCI_RESET, &reset), -EINVAL);
	close(fd);
}

/* The next owner finds a device as after a reset. */
TEST(reset_at_close)
{
	volatile uint8_t *regs;
	int fd = node_own(RNG);

	regs = map(fd, region_get(fd, 4).offset, PAGE, PROT_READ | PROT_WRITE);
	regs[RNG_STATUS] = 3;
	munmap((void *)(uintptr_t)regs, PAGE);
	close(fd);
	fd = node_own(RNG);
	regs = map(fd, region_get(fd, 4).offset, PAGE, PROT_READ | PROT_WRITE);
	CHECK_EQ(regs[RNG_STATUS], 0);
	close(fd);
}

/* edu can be reset in no way that the kernel knows; that is said, not silently left undone. */
TEST(reset_unsupported)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	struct userpci_uapi_reset reset = SIZED(userpci_uapi_reset);
	int fd = node_own(EDU);

	CHECK_EQ(call(fd, USERPCI_GET_INFO, &info), 0);
	CHECK_EQ(info.flags & USERPCI_INFO_RESET, 0);
	CHECK_EQ(call(fd, USERPCI_RESET, &reset), -EOPNOTSUPP);
	close(fd);
}
