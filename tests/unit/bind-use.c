/* SPDX-License-Identifier: MIT */
/* What keeps a device from being bound or unbound, on a fake sysfs. */
#include <fcntl.h>
#include <ifaddrs.h>
#include <sys/socket.h>

#include "fake-sysfs.h"

#define DEVICE "sys/bus/pci/devices/" ADDRESS

/* The words in order, a "!" behind those that cannot be forced; and in one text, @text. */
static void check_reasons(const struct bind_reasons *reasons, const char *words, const char *text)
{
	char found[1024] = "";
	bool has_text = !text[0], never = false;

	for (size_t i = 0; i < reasons->count; i++) {
		const struct bind_reason *reason = &reasons->items[i];

		sprintf(found + strlen(found), "%s%s%s", i ? " " : "", reason->word,
			reason->can_force ? "" : "!");
		has_text |= strstr(reason->text, text) != NULL;
		never |= !reason->can_force;
		CHECK(reason->err < 0);
	}
	CHECK_STR(found, words);
	if (!has_text)
		CHECK_STR(reasons->items[0].text, text);
	CHECK_EQ(reasons->never, never);
	CHECK_EQ(bind_refused(reasons, false), reasons->count > 0);
	CHECK_EQ(bind_refused(reasons, true), never);
}

static void check_with(const struct fake *fake, const struct bind_device *device,
		       const struct bind_list *with, const char *words, const char *text)
{
	struct bind_reasons reasons;
	struct bind_facts *facts;

	CHECK_EQ(bind_facts_get(&fake->env, true, &facts), 0);
	bind_check(facts, device, with, &reasons);
	check_reasons(&reasons, words, text);
	CHECK_STR(fake->log, "");
	bind_facts_free(facts);
}

static void check_bind(const struct fake *fake, const char *words, const char *text)
{
	struct bind_device device = device_at(fake, ADDRESS);

	check_with(fake, &device, NULL, words, text);
}

static void check_unbind(const struct fake *fake, const char *words, const char *text)
{
	struct bind_device device = device_at(fake, ADDRESS);
	struct bind_reasons reasons;
	struct bind_facts *facts;

	CHECK_EQ(bind_facts_get(&fake->env, false, &facts), 0);
	unbind_check(facts, &device, NULL, &reasons);
	check_reasons(&reasons, words, text);
	bind_facts_free(facts);
}

TEST(nothing)
{
	struct fake fake;

	fake_begin(&fake);
	check_bind(&fake, "", "");
	fake_end(&fake);
}

/* What cannot work */

TEST(bridges)
{
	struct bind_device device;
	struct fake fake;

	fake_begin(&fake);
	device = device_at(&fake, ADDRESS);
	device.header_type = 1;
	check_with(&fake, &device, NULL, "bridge!", "it is a bridge, header type 1");
	device.header_type = 0x7f;
	check_with(&fake, &device, NULL, "no-config!", "cannot be read");
	device.header_type = 0;
	device.class = 0x0600;
	check_with(&fake, &device, NULL, "bridge!", "the host bridge");
	device.class = 0x0601;
	check_with(&fake, &device, NULL, "bridge!", "the ISA bridge");
	device.class = 0x0680; /* non-transparent bridges are such */
	check_with(&fake, &device, NULL, "", "");
	fake_end(&fake);
}

TEST(no_driver_override)
{
	struct fake fake;

	fake_begin(&fake);
	unlink(at(&fake, DEVICE "/driver_override"));
	check_bind(&fake, "no-override!", "driver_override");
	fake_end(&fake);
}

TEST(no_module)
{
	struct fake fake;

	fake_begin(&fake);
	remove_driver(&fake, "userpci");
	check_bind(&fake, "no-module!", "modprobe userpci");
	fake.env.driver = "uio_pci_generic";
	check_bind(&fake, "no-module!", "modprobe uio_pci_generic");
	fake_end(&fake);
}

TEST(virtual_functions)
{
	struct fake fake;

	fake_begin(&fake);
	make_text(at(&fake, DEVICE "/sriov_numvfs"), "0\n");
	check_bind(&fake, "", "");
	make_text(at(&fake, DEVICE "/sriov_numvfs"), "4\n");
	check_bind(&fake, "virtual-functions!",
		   "it has 4 virtual functions; take them away first: "
		   "echo 0 >/sys/bus/pci/devices/" ADDRESS "/sriov_numvfs");
	fake_end(&fake);
}

/* VFIO's wishes */

static void add_group(const struct fake *fake, const char *const *addresses)
{
	make_directory(at(fake, "sys/kernel/iommu_groups/5/devices"));
	for (; *addresses; addresses++) {
		make_text(at(fake, "sys/kernel/iommu_groups/5/devices/%s", *addresses), "");
		CHECK_EQ(symlink("../../../kernel/iommu_groups/5",
				 at(fake, REAL "/%s/iommu_group", *addresses)),
			 0);
	}
}

TEST(group_siblings)
{
	static const char *const addresses[] = { ADDRESS, "0000:00:05.0", "0000:00:06.0", NULL };
	struct bind_device devices[2];
	struct bind_list both = { devices, 2 };
	struct fake fake;

	fake_begin(&fake);
	add_driver(&fake, "vfio-pci");
	add_device(&fake, "0000:00:05.0", "0x8086\n", "0x100e\n", "e1000");
	add_device(&fake, "0000:00:06.0", "0x8086\n", "0x100e\n", "pcieport");
	add_group(&fake, addresses);
	check_bind(&fake, "", ""); /* userpci asks for nothing */
	fake.env.driver = "vfio-pci";
	check_bind(&fake, "group", "0000:00:05.0 of the same IOMMU group has the driver e1000");
	devices[0] = device_at(&fake, ADDRESS);
	devices[1] = device_at(&fake, "0000:00:05.0");
	check_with(&fake, &devices[0], &both, "", "");
	set_driver(&fake, "0000:00:05.0", "vfio-pci");
	check_bind(&fake, "", "");
	set_driver(&fake, "0000:00:05.0", "");
	check_bind(&fake, "", "");
	fake_end(&fake);
}

TEST(no_iommu)
{
	struct fake fake;

	fake_begin(&fake);
	add_driver(&fake, "vfio-pci");
	fake.env.driver = "vfio-pci";
	check_bind(&fake, "no-iommu!", "it is in no IOMMU group");
	make_directory(at(&fake, "sys/module/vfio/parameters"));
	make_text(at(&fake, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode"), "N\n");
	check_bind(&fake, "no-iommu!", "");
	make_text(at(&fake, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode"), "Y\n");
	check_bind(&fake, "", "");
	fake_end(&fake);
}

/* Interfaces */

TEST(interface_up)
{
	struct fake fake;

	fake_begin(&fake);
	add_interface(&fake, ADDRESS, "net/test0", "0x1003\n");
	check_bind(&fake, "interface-up",
		   "test0 is up; take it down with 'ip link set test0 down', or use --force");
	make_text(at(&fake, "sys/class/net/test0/flags"), "0x1002\n");
	check_bind(&fake, "", "");
	fake_end(&fake);
}

TEST(interfaces_of_one_function)
{
	struct fake fake;

	fake_begin(&fake);
	add_interface(&fake, ADDRESS, "net/test0", "0x1002\n");
	add_interface(&fake, ADDRESS, "net/test1", "0x1003\n");
	add_interface(&fake, ADDRESS, "virtio0/net/test2", "0x1003\n");
	check_bind(&fake, "interface-up interface-up", "test2 is up");
	fake_end(&fake);
}

TEST(interface_of_another_device)
{
	struct fake fake;

	fake_begin(&fake);
	add_device(&fake, ADDRESS "0", "0x8086\n", "0x100e\n", "e1000");
	add_interface(&fake, ADDRESS "0", "net/test0", "0x1003\n");
	check_bind(&fake, "", "");
	fake_end(&fake);
}

/* With netlink's word for it, on an interface of this machine's. */
TEST(interface_with_an_address)
{
	struct ifaddrs *all, *one;
	struct bind_reasons reasons;
	struct bind_device device;
	struct bind_facts *facts;
	struct fake fake;
	char path[64];

	CHECK_EQ(getifaddrs(&all), 0);
	for (one = all; one; one = one->ifa_next)
		if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET &&
		    strcmp(one->ifa_name, "lo") != 0)
			break;
	if (!one) {
		freeifaddrs(all);
		SKIP("no interface of this machine has an address");
	}
	fake_begin(&fake);
	snprintf(path, sizeof(path), "net/%s", one->ifa_name);
	add_interface(&fake, ADDRESS, path, "0x1002\n");
	freeifaddrs(all);
	device = device_at(&fake, ADDRESS);
	CHECK_EQ(bind_facts_get(&fake.env, false, &facts), 0);
	bind_check(facts, &device, NULL, &reasons);
	CHECK(reasons.count);
	CHECK_STR(reasons.items[0].word, "interface-address");
	CHECK(strstr(reasons.items[0].text, "has the IP address"));
	bind_facts_free(facts);
	fake_end(&fake);
}

TEST(interface_in_a_bridge)
{
	struct fake fake;

	fake_begin(&fake);
	add_interface(&fake, ADDRESS, "net/test0", "0x1002\n");
	make_directory(at(&fake, "sys/class/net/br0"));
	add_link(&fake, REAL "/" ADDRESS "/net/test0/master", "sys/class/net/br0");
	add_link(&fake, REAL "/" ADDRESS "/net/test0/upper_br0", "sys/class/net/br0");
	check_bind(&fake, "enslaved",
		   "test0 is a part of br0; take it out with 'ip link set test0 "
		   "nomaster'");
	fake_end(&fake);
}

TEST(interface_below_a_vlan)
{
	struct fake fake;

	fake_begin(&fake);
	add_interface(&fake, ADDRESS, "net/test0", "0x1002\n");
	make_directory(at(&fake, "sys/class/net/test0.7"));
	add_link(&fake, REAL "/" ADDRESS "/net/test0/upper_test0.7", "sys/class/net/test0.7");
	check_bind(&fake, "stacked!", "test0 carries test0.7, which would be gone for good; ");
	fake_end(&fake);
}

/* Sysfs keeps the directory and hides what is in it. */
TEST(interface_in_another_namespace)
{
	struct fake fake;

	fake_begin(&fake);
	make_directory(at(&fake, REAL "/" ADDRESS "/net"));
	check_bind(&fake, "namespace!", "in another network namespace");
	fake_end(&fake);
	fake_begin(&fake);
	add_child(&fake, ADDRESS, "bus/virtio/devices", "virtio0");
	check_bind(&fake, "", "");
	make_directory(at(&fake, REAL "/" ADDRESS "/virtio0/net"));
	check_bind(&fake, "namespace!", "in another network namespace");
	fake_end(&fake);
}

/* Disks */

static void add_disk(const struct fake *fake, const char *path, const char *number)
{
	add_child(fake, ADDRESS, "class/block", path);
	make_text(at(fake, REAL "/" ADDRESS "/%s/dev", path), number);
	make_directory(at(fake, REAL "/" ADDRESS "/%s/holders", path));
}

/* vda (253:0) with vda1 and vda2. */
static void disk_begin(struct fake *fake)
{
	fake_begin(fake);
	add_disk(fake, "virtio0/block/vda", "253:0\n");
	add_disk(fake, "virtio0/block/vda/vda1", "253:1\n");
	add_disk(fake, "virtio0/block/vda/vda2", "253:2\n");
	make_directory(at(fake, "proc/self"));
}

/* A device like dm-0 on top of another. */
static void add_holder(const struct fake *fake, const char *below, const char *name,
		       const char *number)
{
	char link[128];

	make_directory(at(fake, "sys/devices/virtual/block/%s/holders", name));
	make_text(at(fake, "sys/devices/virtual/block/%s/dev", name), number);
	snprintf(link, sizeof(link), "../../devices/virtual/block/%s", name);
	CHECK_EQ(symlink(link, at(fake, "sys/class/block/%s", name)), 0);
	make_text(at(fake, "sys/class/block/%s/holders/%s", below, name), "");
}

TEST(disk_that_is_idle)
{
	struct fake fake;

	disk_begin(&fake);
	make_text(at(&fake, "proc/self/mountinfo"),
		  "22 1 253:16 / / rw,relatime shared:1 - ext4 /dev/vdb rw\n"
		  "23 22 0:21 / /proc rw - proc proc rw\n");
	make_text(at(&fake, "proc/swaps"), "Filename Type Size Used Priority\n"
					   "/dev/vdb2 partition 1 0 -2\n");
	check_bind(&fake, "", "");
	fake_end(&fake);
}

TEST(disk_that_is_mounted)
{
	struct fake fake;

	disk_begin(&fake);
	make_text(at(&fake, "proc/self/mountinfo"),
		  "22 1 253:1 / /mnt/a\\040b rw shared:1 - ext4 /dev/root rw\n"
		  "23 22 253:1 /sub /srv rw - ext4 /dev/vda1 rw\n"
		  "24 22 0:50 / /data rw master:1 shared:2 - btrfs /dev/vda2 rw\n");
	check_bind(&fake, "mounted! mounted!",
		   "vda1 is mounted at /mnt/a b and 1 more; unmount it first");
	check_bind(&fake, "mounted! mounted!", "vda2 is mounted at /data; unmount it first");
	fake_end(&fake);
}

/* More than there is room for; the last one cannot be forced. */
TEST(many_reasons)
{
	struct bind_reasons reasons;
	struct bind_device device;
	struct bind_facts *facts;
	struct fake fake;
	char path[64];

	fake_begin(&fake);
	for (int i = 0; i < BIND_REASONS_MAX + 3; i++) {
		snprintf(path, sizeof(path), "net/test%d", i);
		add_interface(&fake, ADDRESS, path, "0x1003\n");
	}
	make_text(at(&fake, DEVICE "/resource0"), "");
	make_directory(at(&fake, "proc/123/fd"));
	add_link(&fake, "proc/123/fd/3", DEVICE "/resource0");
	device = device_at(&fake, ADDRESS);
	CHECK_EQ(bind_facts_get(&fake.env, false, &facts), 0);
	bind_check(facts, &device, NULL, &reasons);
	CHECK_EQ(reasons.count, BIND_REASONS_MAX);
	CHECK(bind_refused(&reasons, true));
	CHECK_STR(reasons.items[0].word, "interface-up");
	CHECK_STR(reasons.items[BIND_REASONS_MAX - 1].word, "process");
	bind_facts_free(facts);
	fake_end(&fake);
}

TEST(disk_of_the_root)
{
	struct fake fake;

	disk_begin(&fake);
	make_text(at(&fake, "proc/self/mountinfo"),
		  "22 1 253:1 /home /home rw - ext4 /dev/root rw\n"
		  "23 22 253:1 / / rw - ext4 /dev/root rw\n");
	check_bind(&fake, "mounted!", "vda1 is mounted at / and 1 more; the system runs from it");
	fake_end(&fake);
}

TEST(disk_that_a_container_has_mounted)
{
	struct fake fake;

	disk_begin(&fake);
	make_text(at(&fake, "proc/self/mountinfo"), "");
	make_directory(at(&fake, "proc/77/ns"));
	make_text(at(&fake, "proc/77/ns/mnt"), "");
	make_text(at(&fake, "proc/77/mountinfo"), "22 1 253:2 / / rw - ext4 /dev/vda2 rw\n");
	check_bind(&fake, "mounted!", "vda2 is mounted at / in the mount namespace of pid 77");
	fake_end(&fake);
}

TEST(disk_with_swap)
{
	struct fake fake;

	disk_begin(&fake);
	make_text(at(&fake, "proc/swaps"),
		  "Filename\t\t\t\tType\t\tSize\n"
		  "/dev/vda2                               partition\t9\n");
	check_bind(&fake, "swap!", "vda2 is swap space; end that first with swapoff");
	fake_end(&fake);
}

TEST(disk_below_lvm)
{
	struct fake fake;

	disk_begin(&fake);
	add_holder(&fake, "vda2", "dm-0", "254:0\n");
	make_directory(at(&fake, "sys/class/block/dm-0/dm"));
	make_text(at(&fake, "sys/class/block/dm-0/dm/name"), "vg-home\n");
	make_text(at(&fake, "sys/class/block/dm-0/dm/uuid"), "LVM-abc\n");
	check_bind(&fake, "holder!",
		   "vda2 is part of dm-0 (vg-home); deactivate it first with lvchange -an");
	make_text(at(&fake, "proc/self/mountinfo"),
		  "23 22 254:0 / /home rw - ext4 /dev/mapper/vg-home rw\n");
	check_bind(&fake, "mounted!",
		   "vda2 is part of dm-0 (vg-home), which is mounted at /home; unmount it first");
	fake_end(&fake);
}

TEST(disk_below_raid_and_encryption)
{
	struct fake fake;

	disk_begin(&fake);
	add_holder(&fake, "vda", "md0", "9:0\n");
	make_directory(at(&fake, "sys/class/block/md0/md"));
	make_text(at(&fake, "sys/class/block/md0/md/level"), "raid1\n");
	check_bind(&fake, "holder!", "vda is part of md0 (raid1); stop it first with mdadm --stop");
	add_holder(&fake, "md0", "dm-3", "254:3\n");
	make_directory(at(&fake, "sys/class/block/dm-3/dm"));
	make_text(at(&fake, "sys/class/block/dm-3/dm/name"), "secret\n");
	make_text(at(&fake, "sys/class/block/dm-3/dm/uuid"), "CRYPT-LUKS2-1\n");
	make_text(at(&fake, "proc/swaps"), "Filename\n/dev/dm-3 partition 9\n");
	check_bind(&fake, "swap!",
		   "vda is part of md0 (raid1), which is part of dm-3 (secret), "
		   "which is swap space; end that");
	fake_end(&fake);
}

TEST(disk_below_a_loop)
{
	struct fake fake;

	disk_begin(&fake);
	make_directory(at(&fake, "sys/class/block/loop3/loop"));
	make_text(at(&fake, "sys/class/block/loop3/loop/backing_file"), "/dev/vda1\n");
	check_bind(&fake, "holder!", "vda1 is below loop3; detach that first with losetup -d");
	fake_end(&fake);
}

TEST(disk_of_a_btrfs)
{
	struct fake fake;

	disk_begin(&fake);
	make_directory(at(&fake, "sys/fs/btrfs/features"));
	make_directory(at(&fake, "sys/fs/btrfs/1234-5678/devices/vda2"));
	check_bind(&fake, "mounted!", "vda2 is part of a mounted btrfs");
	fake_end(&fake);
}

/* With several paths to a namespace the disk is none of the controller's children. */
TEST(disk_of_nvme_with_paths)
{
	struct fake fake;

	fake_begin(&fake);
	add_disk(&fake, "nvme/nvme0/nvme0c0n1", "");
	add_holder(&fake, "nvme0c0n1", "nvme0n1", "259:0\n");
	unlink(at(&fake, "sys/class/block/nvme0c0n1/holders/nvme0n1"));
	make_directory(at(&fake, "proc/self"));
	check_bind(&fake, "", "");
	make_text(at(&fake, "proc/self/mountinfo"), "23 22 259:0 / /nvme rw - xfs /dev/x rw\n");
	check_bind(&fake, "mounted!", "nvme0n1 is mounted at /nvme");
	fake_end(&fake);
}

TEST(directory_of_the_host)
{
	struct fake fake;

	fake_begin(&fake);
	add_child(&fake, ADDRESS, "bus/virtio/devices", "virtio0");
	add_link(&fake, REAL "/" ADDRESS "/virtio0/driver", "sys/bus/pci/drivers/e1000");
	make_text(at(&fake, REAL "/" ADDRESS "/virtio0/mount_tag"), "host");
	make_directory(at(&fake, "proc/self"));
	make_text(at(&fake, "proc/self/mountinfo"), "23 22 0:9 / /else rw - 9p other rw\n");
	check_bind(&fake, "", "");
	make_text(at(&fake, "proc/self/mountinfo"), "23 22 0:9 / /host rw - 9p host rw\n");
	check_bind(&fake, "mounted!", "host is mounted at /host; unmount it first");
	/* As below an overlay that is the root: it does not show, but something is mounted. */
	make_text(at(&fake, "proc/self/mountinfo"), "23 22 0:9 / /else rw - 9p other rw\n");
	make_directory(at(&fake, "sys/module/9p"));
	make_text(at(&fake, "sys/module/9p/refcnt"), "1\n");
	check_bind(&fake, "", "");
	make_text(at(&fake, "sys/module/9p/refcnt"), "2\n");
	check_bind(&fake, "claimed!", "host may be mounted where that does not show");
	fake_end(&fake);
}

/* The console */

TEST(boot_display)
{
	struct fake fake;

	fake_begin(&fake);
	make_text(at(&fake, DEVICE "/boot_vga"), "0\n");
	check_bind(&fake, "", "");
	make_text(at(&fake, DEVICE "/boot_vga"), "1\n");
	check_bind(&fake, "console", "the display that the machine boots with");
	fake_end(&fake);
}

TEST(frame_buffer_console)
{
	struct fake fake;

	fake_begin(&fake);
	add_child(&fake, ADDRESS, "class/graphics", "graphics/fb0");
	check_bind(&fake, "", "");
	make_directory(at(&fake, "sys/class/vtconsole/vtcon0"));
	make_text(at(&fake, "sys/class/vtconsole/vtcon0/name"), "(S) dummy device\n");
	make_text(at(&fake, "sys/class/vtconsole/vtcon0/bind"), "1\n");
	make_directory(at(&fake, "sys/class/vtconsole/vtcon1"));
	make_text(at(&fake, "sys/class/vtconsole/vtcon1/name"), "(M) frame buffer device\n");
	make_text(at(&fake, "sys/class/vtconsole/vtcon1/bind"), "0\n");
	check_bind(&fake, "", "");
	make_text(at(&fake, "sys/class/vtconsole/vtcon1/bind"), "1\n");
	check_bind(&fake, "console", "'echo 0 >/sys/class/vtconsole/vtcon1/bind'");
	fake_end(&fake);
}

TEST(serial_console)
{
	struct fake fake;

	fake_begin(&fake);
	add_child(&fake, ADDRESS, "class/tty", "tty/ttyS4");
	make_directory(at(&fake, "sys/class/tty/console"));
	make_text(at(&fake, "sys/class/tty/console/active"), "tty0 ttyS40\n");
	check_bind(&fake, "", "");
	make_text(at(&fake, "sys/class/tty/console/active"), "tty0 ttyS4\n");
	check_bind(&fake, "console", "ttyS4 is the kernel's console");
	fake_end(&fake);
}

/* Processes */

static void add_process(const struct fake *fake, const char *pid, const char *command)
{
	make_directory(at(fake, "proc/%s/fd", pid));
	make_text(at(fake, "proc/%s/comm", pid), command);
}

/* A node of class @kind below the device, with the number of /dev/null (1:3) or /dev/zero (1:5). */
static void add_node(const struct fake *fake, const char *path, const char *kind,
		     const char *number)
{
	char class[64], link[128];

	snprintf(class, sizeof(class), "class/%s", kind);
	add_child(fake, ADDRESS, class, path);
	make_text(at(fake, REAL "/" ADDRESS "/%s/dev", path), number);
	snprintf(link, sizeof(link), REAL "/" ADDRESS "/%s/subsystem", path);
	snprintf(class, sizeof(class), "sys/class/%s", kind);
	add_link(fake, link, class);
}

TEST(process_by_uio)
{
	struct fake fake;

	fake_begin(&fake);
	add_node(&fake, "uio/uio0", "uio", "1:3\n");
	add_node(&fake, "sound/card0/controlC0", "sound", "1:5\n");
	check_bind(&fake, "", "");
	add_process(&fake, "123", "dpdk\n");
	add_process(&fake, "45", "dpdk-two\n");
	CHECK_EQ(symlink("/dev/null", at(&fake, "proc/123/fd/7")), 0);
	CHECK_EQ(symlink("/dev/null", at(&fake, "proc/123/fd/8")), 0);
	check_bind(&fake, "process!", "uio0 is open in pid 123 (dpdk); end what uses it");
	CHECK_EQ(symlink("/dev/null", at(&fake, "proc/45/fd/0")), 0);
	check_bind(&fake, "process!", "pid 45 (dpdk-two)");
	check_bind(&fake, "process!", "pid 123 (dpdk)");
	unlink(at(&fake, "proc/123/fd/7"));
	unlink(at(&fake, "proc/123/fd/8"));
	unlink(at(&fake, "proc/45/fd/0"));
	CHECK_EQ(symlink("/dev/zero", at(&fake, "proc/45/fd/0")), 0);
	check_bind(&fake, "process",
		   "controlC0 is open in pid 45 (dpdk-two); end what uses it, or use --force");
	fake_end(&fake);
}

/* The same number as a disk's is another device. */
TEST(process_with_a_disk)
{
	struct fake fake;

	fake_begin(&fake);
	add_node(&fake, "block/vda", "block", "1:3\n");
	add_process(&fake, "123", "qemu\n");
	CHECK_EQ(symlink("/dev/null", at(&fake, "proc/123/fd/7")), 0);
	check_bind(&fake, "", "");
	fake_end(&fake);
}

TEST(process_by_vfio)
{
	static const char *const addresses[] = { ADDRESS, NULL };
	struct fake fake;

	fake_begin(&fake);
	add_group(&fake, addresses);
	make_directory(at(&fake, "dev/vfio"));
	make_text(at(&fake, "dev/vfio/5"), "");
	add_process(&fake, "123", "qemu\n");
	CHECK_EQ(symlink("../../../dev/vfio/5", at(&fake, "proc/123/fd/7")), 0);
	check_bind(&fake, "", ""); /* of another device of the group */
	set_driver(&fake, ADDRESS, "vfio-pci");
	check_bind(&fake, "process!", "vfio/5 is open in pid 123 (qemu)");
	fake.env.driver = "vfio-pci";
	check_unbind(&fake, "process!", "vfio/5 is open in pid 123 (qemu)");
	fake_end(&fake);
}

/* A driver of a device that has none in the kernel; it has closed the file. */
TEST(process_by_sysfs)
{
	char maps[PATH_MAX + 128];
	struct fake fake;

	fake_begin(&fake);
	make_text(at(&fake, DEVICE "/resource0"), "");
	make_text(at(&fake, DEVICE "/config"), "");
	add_process(&fake, "123", "ixy\n");
	add_link(&fake, "proc/123/fd/3", DEVICE "/config");
	snprintf(maps, sizeof(maps),
		 "7f0000000000-7f0000020000 rw-s 00000000 00:16 17    %s\n"
		 "7f0000020000-7f0000030000 rw-p 00000000 00:00 0 \n",
		 at(&fake, REAL "/" ADDRESS "/resource1"));
	make_text(at(&fake, "proc/123/maps"), maps);
	check_bind(&fake, "", "");
	snprintf(maps, sizeof(maps), "7f0000000000-7f0000020000 rw-s 00000000 00:16 17    %s\n",
		 at(&fake, REAL "/" ADDRESS "/resource0"));
	make_text(at(&fake, "proc/123/maps"), maps);
	check_bind(&fake, "process!", "resource0 is open in pid 123 (ixy)");
	fake_end(&fake);
}

/* Unbinding */

TEST(unbind_from_another_driver)
{
	struct fake fake;

	fake_begin(&fake);
	check_unbind(&fake, "not-bound!", "it is not bound to userpci, but to e1000");
	set_driver(&fake, ADDRESS, "");
	check_unbind(&fake, "not-bound!", "it is not bound to userpci, but to no driver");
	fake_end(&fake);
}

TEST(unbind_while_open)
{
	struct fake fake;

	fake_begin(&fake);
	set_driver(&fake, ADDRESS, "userpci");
	make_directory(fake.dev);
	make_text(at(&fake, "dev/userpci/" ADDRESS), "");
	add_process(&fake, "123", "edu\n");
	check_unbind(&fake, "", "");
	CHECK_EQ(symlink("../../../dev/userpci/" ADDRESS, at(&fake, "proc/123/fd/7")), 0);
	check_unbind(&fake, "process",
		     "it is open in pid 123 (edu); end what uses it, or use --force");
	fake_end(&fake);
}

TEST(unbind_while_this_process_has_it_open)
{
	struct fake fake;
	char self[64];
	int fd;

	fake_begin(&fake);
	set_driver(&fake, ADDRESS, "userpci");
	make_directory(fake.dev);
	fd = open(at(&fake, "dev/userpci/" ADDRESS), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	fake.env.proc = "/proc";
	snprintf(self, sizeof(self), "pid %d (", (int)getpid());
	check_unbind(&fake, "process", self);
	close(fd);
	check_unbind(&fake, "", "");
	fake_end(&fake);
}

TEST_MAIN
