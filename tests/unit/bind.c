/* SPDX-License-Identifier: MIT */
/*
 * Binding, on a tree of files that looks like sysfs. The kernel's part, what a write to bind,
 * unbind or drivers_probe does, is fake_write(), which also notes every write in order.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <ifaddrs.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "bind/bind.h"
#include "harness.h"

#define ADDRESS "0000:00:04.0"
#define REAL	"sys/devices/pci0000:00"

struct fake {
	struct bind_env env; /* first: fake_write() finds its fake by it */
	char root[64], sys[96], proc[96], dev[96], state[96];
	const char *refuses; /* a driver that takes no device */
	bool unrecorded;     /* there was a write with no record in place */
	char log[1024]; /* the writes in order: FILE=VALUE, or FILE when the value is ADDRESS */
};

/* The tree */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void)info;
	(void)type;
	(void)walk;
	return remove(path);
}

static void fake_end(struct fake *fake)
{
	nftw(fake->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

__attribute__((format(printf, 2, 3))) static const char *at(const struct fake *fake,
							    const char *format, ...)
{
	static char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/", fake->root);
	va_list args;

	va_start(args, format);
	vsnprintf(path + length, sizeof(path) - (size_t)length, format, args);
	va_end(args);
	return path;
}

/* With the directories above it. */
static void make_directory(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = path; (slash = strchr(slash + 1, '/'));) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdir(part, 0755);
	}
	CHECK(!mkdir(path, 0755) || errno == EEXIST);
}

static void make_file(const char *path, const void *content, size_t size)
{
	FILE *file = fopen(path, "w");

	CHECK(file);
	CHECK_EQ(fwrite(content, 1, size, file), size);
	CHECK_EQ(fclose(file), 0);
}

static void make_text(const char *path, const char *text)
{
	make_file(path, text, strlen(text));
}

static void check_text(const char *path, const char *expected)
{
	char text[256] = "";
	FILE *file = fopen(path, "r");

	CHECK(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	CHECK_STR(text, expected);
}

static void add_driver(const struct fake *fake, const char *name)
{
	make_directory(at(fake, "sys/bus/pci/drivers/%s", name));
	make_text(at(fake, "sys/bus/pci/drivers/%s/bind", name), "");
	make_text(at(fake, "sys/bus/pci/drivers/%s/unbind", name), "");
}

static void set_driver(const struct fake *fake, const char *address, const char *name)
{
	char target[128];

	unlink(at(fake, REAL "/%s/driver", address));
	if (!name[0])
		return;
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", name);
	CHECK_EQ(symlink(target, at(fake, REAL "/%s/driver", address)), 0);
}

static void add_device(const struct fake *fake, const char *address, const char *vendor,
		       const char *device, const char *driver)
{
	char config[64] = { 0 }, target[128];

	make_directory(at(fake, REAL "/%s", address));
	make_text(at(fake, REAL "/%s/vendor", address), vendor);
	make_text(at(fake, REAL "/%s/device", address), device);
	make_text(at(fake, REAL "/%s/class", address), "0x020000\n");
	make_text(at(fake, REAL "/%s/driver_override", address), "(null)\n");
	make_file(at(fake, REAL "/%s/config", address), config, sizeof(config));
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/%s", address);
	CHECK_EQ(symlink(target, at(fake, "sys/bus/pci/devices/%s", address)), 0);
	set_driver(fake, address, driver);
}

/* @parent: where below the device, such as "virtio0/". */
static void add_interface(const struct fake *fake, const char *address, const char *parent,
			  const char *name, const char *flags)
{
	char target[192];

	make_directory(at(fake, REAL "/%s/%snet/%s", address, parent, name));
	make_text(at(fake, REAL "/%s/%snet/%s/flags", address, parent, name), flags);
	snprintf(target, sizeof(target), "../../devices/pci0000:00/%s/%snet/%s", address, parent,
		 name);
	CHECK_EQ(symlink(target, at(fake, "sys/class/net/%s", name)), 0);
}

/* @file: drivers/NAME/bind or drivers/NAME/unbind. */
static int fake_driver_write(const struct fake *fake, const char *path, const char *file,
			     const char *address)
{
	char driver[64], attribute[64];

	CHECK_EQ(sscanf(file, "drivers/%63[^/]/%63s", driver, attribute), 2);
	if (access(path, F_OK))
		return -ENOENT;
	if (!strcmp(attribute, "bind") && fake->refuses && !strcmp(driver, fake->refuses))
		return -EIO;
	set_driver(fake, address, strcmp(attribute, "bind") ? "" : driver);
	return 0;
}

static int fake_write(const struct bind_env *env, const char *path, const char *value)
{
	struct fake *fake = (struct fake *)env;
	const char *file = path + strlen(at(fake, "sys/bus/pci/"));
	size_t logged = strlen(fake->log);

	fake->unrecorded |= access(at(fake, "state/" ADDRESS), F_OK) != 0;
	if (!strncmp(file, "devices/" ADDRESS "/", strlen("devices/" ADDRESS "/")))
		file += strlen("devices/" ADDRESS "/");
	snprintf(fake->log + logged, sizeof(fake->log) - logged, "%s%s%s%s", logged ? " " : "",
		 file, strcmp(value, ADDRESS) ? "=" : "", strcmp(value, ADDRESS) ? value : "");

	if (!strcmp(file, "driver_override"))
		make_text(path, value);
	else if (!strcmp(file, "drivers_probe"))
		set_driver(fake, value, "e1000");
	else
		return fake_driver_write(fake, path, file, value);
	return 0;
}

/* A machine with the drivers userpci and e1000, and a device that e1000 has. */
static void fake_begin(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	strcpy(fake->root, "/tmp/userpci-bind.XXXXXX");
	CHECK(mkdtemp(fake->root));
	strcpy(fake->sys, at(fake, "sys"));
	strcpy(fake->proc, at(fake, "proc"));
	strcpy(fake->dev, at(fake, "dev"));
	strcpy(fake->state, at(fake, "state"));
	fake->env = (struct bind_env){ fake->sys,   fake->proc, fake->dev,
				       fake->state, fake_write, NULL };
	make_directory(fake->proc);
	make_directory(fake->dev);
	make_directory(fake->state);
	make_directory(at(fake, "sys/class/net"));
	make_directory(at(fake, "sys/bus/pci/devices"));
	add_driver(fake, "userpci");
	add_driver(fake, "e1000");
	add_device(fake, ADDRESS, "0x8086\n", "0x100e\n", "e1000");
}

static struct bind_device device_at(const struct fake *fake, const char *address)
{
	struct bind_device device = { 0 };

	snprintf(device.address, sizeof(device.address), "%s", address);
	bind_device_read(&fake->env, &device);
	return device;
}

static void check_driver(const struct fake *fake, const char *driver, const char *override)
{
	struct bind_device device = device_at(fake, ADDRESS);

	CHECK_STR(device.driver, driver);
	check_text(at(fake, "sys/bus/pci/devices/" ADDRESS "/driver_override"), override);
}

static bool has_record(const struct fake *fake)
{
	return !access(at(fake, "state/" ADDRESS), F_OK);
}

/* Binding and unbinding */

TEST(bind_and_unbind)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	CHECK_STR(why, "");
	CHECK_STR(fake.log, "driver_override=userpci drivers/e1000/unbind drivers/userpci/bind");
	CHECK(!fake.unrecorded);
	check_text(at(&fake, "state/" ADDRESS), "driver=e1000\ndriver_override=\n");
	check_driver(&fake, "userpci", "userpci");

	fake.log[0] = '\0';
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	CHECK_STR(why, "");
	CHECK_STR(fake.log, "drivers/userpci/unbind driver_override=\n drivers/e1000/bind");
	CHECK(!fake.unrecorded);
	CHECK(!has_record(&fake));
	check_driver(&fake, "e1000", "\n");
	fake_end(&fake);
}

/* vfio-pci takes it in the place of userpci; then userpci has nothing to unbind. */
TEST(another_driver_for_user_space)
{
	struct bind_device device;
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	fake.env.driver = "vfio-pci";
	device = device_at(&fake, ADDRESS);
	CHECK_EQ(bind_check(&fake.env, &device, false, why), -ENOPKG);
	CHECK(strstr(why, "modprobe vfio-pci"));
	add_driver(&fake, "vfio-pci");
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	CHECK_STR(fake.log, "driver_override=vfio-pci drivers/e1000/unbind drivers/vfio-pci/bind");
	check_driver(&fake, "vfio-pci", "vfio-pci");
	fake.env.driver = NULL;
	device = device_at(&fake, ADDRESS);
	CHECK_EQ(unbind_check(&fake.env, &device, false, why), -EINVAL);
	CHECK(strstr(why, "not bound to userpci, but to vfio-pci"));
	fake.env.driver = "vfio-pci";
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	check_driver(&fake, "e1000", "\n");
	fake_end(&fake);
}

TEST(bind_of_a_bound_device_changes_nothing)
{
	struct fake fake;
	struct bind_device device;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	set_driver(&fake, ADDRESS, "userpci");
	device = device_at(&fake, ADDRESS);
	CHECK(device.bound && !device.claimed);
	CHECK_EQ(bind_check(&fake.env, &device, false, why), 0);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	CHECK_STR(fake.log, "");
	CHECK(!has_record(&fake));
	fake_end(&fake);
}

TEST(bind_without_a_driver_before)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	set_driver(&fake, ADDRESS, "");
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	CHECK_STR(fake.log, "driver_override=userpci drivers/userpci/bind "
			    "drivers/userpci/unbind driver_override=\n");
	check_driver(&fake, "", "\n");
	fake_end(&fake);
}

TEST(former_override_comes_back)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	add_driver(&fake, "vfio-pci");
	set_driver(&fake, ADDRESS, "vfio-pci");
	make_text(at(&fake, "sys/bus/pci/devices/" ADDRESS "/driver_override"), "vfio-pci\n");
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	check_text(at(&fake, "state/" ADDRESS), "driver=vfio-pci\ndriver_override=vfio-pci\n");
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	check_driver(&fake, "vfio-pci", "vfio-pci");
	fake_end(&fake);
}

/* Failures */

TEST(refused_probe_is_undone)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	fake.refuses = "userpci";
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), -EIO);
	CHECK(strstr(why, "dmesg"));
	CHECK_STR(fake.log, "driver_override=userpci drivers/e1000/unbind drivers/userpci/bind "
			    "driver_override=\n drivers/e1000/bind");
	CHECK(!fake.unrecorded);
	CHECK(!has_record(&fake));
	check_driver(&fake, "e1000", "\n");
	fake_end(&fake);
}

TEST(missing_module_is_undone)
{
	struct fake fake;
	struct bind_device device;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	CHECK_EQ(rename(at(&fake, "sys/bus/pci/drivers/userpci"), fake.dev), 0);
	device = device_at(&fake, ADDRESS);
	CHECK_EQ(bind_check(&fake.env, &device, true, why), -ENOPKG);
	CHECK(strstr(why, "modprobe userpci"));
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), -ENOENT);
	CHECK(!has_record(&fake));
	check_driver(&fake, "e1000", "\n");
	fake_end(&fake);
}

TEST(driver_that_does_not_come_back_is_told)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	fake.refuses = "e1000";
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), -EIO);
	CHECK(strstr(why, "e1000 does not take it back"));
	check_driver(&fake, "", "\n");
	fake_end(&fake);
}

TEST(former_driver_that_is_gone_is_a_note)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	CHECK_EQ(rename(at(&fake, "sys/bus/pci/drivers/e1000"), fake.dev), 0);
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	CHECK(strstr(why, "modprobe e1000"));
	CHECK(!has_record(&fake));
	check_driver(&fake, "", "\n");
	fake_end(&fake);
}

/* Nothing answers: the files only take what is written. */
TEST(plain_files)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	fake.env.write = NULL;
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), -ENODEV);
	check_text(at(&fake, "sys/bus/pci/drivers/e1000/unbind"), ADDRESS);
	check_text(at(&fake, "sys/bus/pci/drivers/userpci/bind"), ADDRESS);
	check_driver(&fake, "e1000", "\n");
	fake_end(&fake);
}

/* What a tool that was killed leaves: an override, a record, and no driver. */
TEST(bind_that_was_cut_short)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	for (int again = 0; again < 2; again++) {
		fake_begin(&fake);
		make_text(at(&fake, "sys/bus/pci/devices/" ADDRESS "/driver_override"),
			  "userpci\n");
		make_text(at(&fake, "state/" ADDRESS), "driver=e1000\ndriver_override=other\n");
		set_driver(&fake, ADDRESS, "");
		CHECK(device_at(&fake, ADDRESS).claimed);
		if (again)
			CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
		CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
		check_driver(&fake, "e1000", "other");
		fake_end(&fake);
	}
}

TEST(unbind_without_a_record_lets_the_bus_choose)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	set_driver(&fake, ADDRESS, "userpci");
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	CHECK_STR(fake.log, "drivers/userpci/unbind driver_override=\n drivers_probe");
	check_driver(&fake, "e1000", "\n");
	fake_end(&fake);
}

/* Refusals */

static void check_refusal(const struct fake *fake, bool force, int expected, const char *reason)
{
	struct bind_device device = device_at(fake, ADDRESS);
	char why[BIND_WHY_SIZE];

	CHECK_EQ(bind_check(&fake->env, &device, force, why), expected);
	if (expected && !strstr(why, reason))
		CHECK_STR(why, reason);
	CHECK_STR(fake->log, "");
}

TEST(interface_that_is_up)
{
	struct fake fake;

	fake_begin(&fake);
	add_interface(&fake, ADDRESS, "", "test0", "0x1003\n");
	check_refusal(&fake, false, -EBUSY,
		      "test0 is up; take it down with 'ip link set test0 down'");
	check_refusal(&fake, true, 0, "");
	make_text(at(&fake, "sys/class/net/test0/flags"), "0x1002\n");
	check_refusal(&fake, false, 0, "");
	fake_end(&fake);
}

TEST(interface_below_a_virtio_device)
{
	struct fake fake;

	fake_begin(&fake);
	add_interface(&fake, ADDRESS, "virtio0/", "test0", "0x1003\n");
	check_refusal(&fake, false, -EBUSY, "test0 is up");
	fake_end(&fake);
}

TEST(interface_of_another_device)
{
	struct fake fake;

	fake_begin(&fake);
	add_device(&fake, ADDRESS "0", "0x8086\n", "0x100e\n", "e1000");
	add_interface(&fake, ADDRESS "0", "", "test0", "0x1003\n");
	check_refusal(&fake, false, 0, "");
	fake_end(&fake);
}

TEST(interface_with_an_address)
{
	struct ifaddrs *all, *one;
	struct fake fake;

	CHECK_EQ(getifaddrs(&all), 0);
	for (one = all; one; one = one->ifa_next)
		if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET)
			break;
	if (!one) {
		freeifaddrs(all);
		SKIP("no interface of this machine has an address");
	}
	fake_begin(&fake);
	add_interface(&fake, ADDRESS, "", one->ifa_name, "0x1002\n");
	freeifaddrs(all);
	check_refusal(&fake, false, -EBUSY, "has an IP address");
	check_refusal(&fake, true, 0, "");
	fake_end(&fake);
}

TEST(bridge)
{
	struct fake fake;
	struct bind_device device;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	device = device_at(&fake, ADDRESS);
	device.header_type = 1;
	CHECK_EQ(bind_check(&fake.env, &device, true, why), -EOPNOTSUPP);
	CHECK(strstr(why, "bridge"));
	device.header_type = 0x7f;
	CHECK_EQ(bind_check(&fake.env, &device, true, why), -EIO);
	fake_end(&fake);
}

TEST(no_driver_override)
{
	struct fake fake;

	fake_begin(&fake);
	unlink(at(&fake, "sys/bus/pci/devices/" ADDRESS "/driver_override"));
	check_refusal(&fake, true, -EOPNOTSUPP, "driver_override");
	fake_end(&fake);
}

TEST(unbind_of_a_device_of_another_driver)
{
	struct fake fake;
	struct bind_device device;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	device = device_at(&fake, ADDRESS);
	CHECK_EQ(unbind_check(&fake.env, &device, true, why), -EINVAL);
	CHECK(strstr(why, "not bound to userpci, but to e1000"));
	fake_end(&fake);
}

TEST(unbind_of_a_device_that_is_open)
{
	struct fake fake;
	struct bind_device device;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	set_driver(&fake, ADDRESS, "userpci");
	make_text(at(&fake, "dev/" ADDRESS), "");
	make_directory(at(&fake, "proc/123/fd"));
	make_text(at(&fake, "proc/123/comm"), "edu\n");
	device = device_at(&fake, ADDRESS);
	CHECK_EQ(unbind_check(&fake.env, &device, false, why), 0);

	CHECK_EQ(symlink("../../../dev/" ADDRESS, at(&fake, "proc/123/fd/7")), 0);
	CHECK_EQ(unbind_check(&fake.env, &device, false, why), -EBUSY);
	CHECK(strstr(why, "pid 123 (edu) has it open"));
	CHECK_EQ(unbind_check(&fake.env, &device, true, why), 0);
	fake_end(&fake);
}

TEST(unbind_of_a_device_that_this_process_has_open)
{
	char why[BIND_WHY_SIZE], self[64];
	struct bind_device device;
	struct fake fake;
	int fd;

	fake_begin(&fake);
	set_driver(&fake, ADDRESS, "userpci");
	fd = open(at(&fake, "dev/" ADDRESS), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	fake.env.proc = "/proc";
	device = device_at(&fake, ADDRESS);
	snprintf(self, sizeof(self), "pid %d (", (int)getpid());
	CHECK_EQ(unbind_check(&fake.env, &device, false, why), -EBUSY);
	CHECK(strstr(why, self));
	close(fd);
	CHECK_EQ(unbind_check(&fake.env, &device, false, why), 0);
	fake_end(&fake);
}

/* Choosing devices */

/* Compares "ADDRESS ADDRESS ...", or the error, with @expected. */
static void check_query(const struct fake *fake, struct bind_query query, const char *expected)
{
	char found[BIND_WHY_SIZE], why[BIND_WHY_SIZE];
	struct bind_list list;
	int err = bind_list_get(&fake->env, &query, &list, why);

	found[0] = '\0';
	for (size_t i = 0; i < list.count; i++)
		sprintf(found + strlen(found), "%s%s", i ? " " : "", list.devices[i].address);
	bind_list_free(&list);
	CHECK_EQ(!err, !why[0]);
	CHECK(err == 0 || err == -EINVAL || err == -ENODEV);
	if (!err || !strstr(why, expected))
		CHECK_STR(err ? why : found, expected);
}

static void check_address(const struct fake *fake, const char *address, const char *expected)
{
	check_query(fake, (struct bind_query){ .addresses = &address, .address_count = 1 },
		    expected);
}

TEST(addresses)
{
	struct fake fake;

	fake_begin(&fake);
	check_address(&fake, "0000:00:04.0", ADDRESS);
	check_address(&fake, "00:04.0", ADDRESS);
	check_address(&fake, "0:4.0", ADDRESS);
	check_address(&fake, "4.0", "an address is");
	check_address(&fake, "00:04", "an address is");
	check_address(&fake, "", "an address is");
	check_address(&fake, "00:04.9", "Invalid function number");
	check_address(&fake, "00:zz.0", "Invalid slot number");
	add_device(&fake, "0001:00:06.0", "0x8086\n", "0x100e\n", "");
	check_address(&fake, "0001:00:06.0", "0001:00:06.0");
	check_address(&fake, "00:06.0", "there is no 00:06.0; ");
	check_address(&fake, "0001:00:04.0", "there is no 0001:00:04.0; 'userpci list' shows");
	fake_end(&fake);
}

TEST(filters)
{
	const char *const both[] = { "00:05.0", ADDRESS, "00:05.0" };
	struct fake fake;

	fake_begin(&fake);
	add_device(&fake, "10000:00:01.0", "0x8086\n", "0x100e\n", "");
	add_device(&fake, "ffff:00:01.0", "0x1022\n", "0x2000\n", "");
	add_device(&fake, "0000:00:05.0", "0x1234\n", "0x11e8\n", "userpci");
	check_query(&fake, (struct bind_query){ 0 },
		    ADDRESS " 0000:00:05.0 ffff:00:01.0 10000:00:01.0");
	check_query(&fake, (struct bind_query){ .id = "8086:" }, ADDRESS " 10000:00:01.0");
	check_query(&fake, (struct bind_query){ .slot = "5", .id = "8086:" },
		    "nothing matches -s 5 -d 8086:;");
	check_query(&fake, (struct bind_query){ .id = "8086" }, "-d 8086: ");
	check_query(&fake, (struct bind_query){ .slot = "" }, "every device would match");
	check_query(&fake, (struct bind_query){ .slot = "*:*.*", .id = ":" },
		    "every device would match");
	check_query(&fake,
		    (struct bind_query){ .slot = "5", .addresses = both + 1, .address_count = 1 },
		    ADDRESS " 0000:00:05.0");
	check_query(&fake, (struct bind_query){ .addresses = both, .address_count = 3 },
		    ADDRESS " 0000:00:05.0");
	check_query(&fake, (struct bind_query){ .ours = true }, "0000:00:05.0");
	check_query(&fake, (struct bind_query){ .slot = "4", .ours = true }, "");
	fake_end(&fake);
}

TEST(device_fields)
{
	struct bind_query query = { .slot = "4", .names = true };
	char config[64] = { [0x0e] = (char)0x81 }, why[BIND_WHY_SIZE];
	struct bind_list list;
	struct fake fake;

	fake_begin(&fake);
	make_file(at(&fake, "sys/bus/pci/devices/" ADDRESS "/config"), config, sizeof(config));
	CHECK_EQ(bind_list_get(&fake.env, &query, &list, why), 0);
	CHECK_EQ(list.count, 1);
	CHECK_EQ(list.devices[0].vendor, 0x8086);
	CHECK_EQ(list.devices[0].device, 0x100e);
	CHECK_EQ(list.devices[0].class, 0x0200);
	CHECK_EQ(list.devices[0].header_type, 1);
	CHECK_STR(list.devices[0].driver, "e1000");
	CHECK(list.devices[0].name && list.devices[0].name[0]);
	bind_list_free(&list);
	fake_end(&fake);
}

/* Records and the lock */

TEST(records)
{
	struct bind_state state = { "a b", "" }, read;
	struct fake fake;

	fake_begin(&fake);
	CHECK_EQ(state_load(&fake.env, ADDRESS, &read), -ENOENT);
	CHECK_STR(read.driver, "");
	CHECK_EQ(state_save(&fake.env, ADDRESS, &state), 0);
	CHECK_EQ(state_load(&fake.env, ADDRESS, &read), 0);
	CHECK_STR(read.driver, "a b");
	CHECK_STR(read.driver_override, "");
	CHECK_EQ(state_forget(&fake.env, ADDRESS), 0);
	CHECK_EQ(state_forget(&fake.env, ADDRESS), 0);
	CHECK_EQ(rmdir(fake.state), 0); /* no file is left */
	CHECK_EQ(state_save(&fake.env, ADDRESS, &state), -ENOENT);
	fake_end(&fake);
}

TEST(lock_excludes)
{
	struct fake fake;
	int lock, other;

	fake_begin(&fake);
	CHECK_EQ(rmdir(fake.state), 0);
	lock = state_lock(&fake.env);
	CHECK(lock >= 0);
	other = open(at(&fake, "state/lock"), O_RDONLY);
	CHECK(other >= 0);
	CHECK_EQ(flock(other, LOCK_EX | LOCK_NB), -1);
	close(lock);
	CHECK_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
	close(other);
	fake_end(&fake);
}

TEST_MAIN
