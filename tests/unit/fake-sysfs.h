/* SPDX-License-Identifier: MIT */
/*
 * A tree of files that looks like sysfs, procfs and /dev, in a directory of its own. The kernel's
 * part, what a write to bind, unbind or drivers_probe does, is fake_write(), which also notes every
 * write in order.
 */
#ifndef TESTS_UNIT_FAKE_SYSFS_H
#define TESTS_UNIT_FAKE_SYSFS_H

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "bind/bind.h"
#include "harness.h"
#include "kill-at.h"

#define ADDRESS "0000:00:04.0"
#define REAL	"sys/devices/pci0000:00"

struct fake {
	struct bind_env env;
	char root[64], sys[96], proc[96], devices[96], dev[96], state[96], lib[96], rules[96];
	const char *refuses; /* a driver that takes no device */
	/* What a driver does when it takes a device, or lets it go. */
	void (*changes)(const struct fake *fake, const char *driver, bool takes);
	bool unrecorded; /* there was a write with no record in place */
	char log[1024];	 /* the writes in order: FILE=VALUE, or FILE when the value is ADDRESS */
};

static struct fake *the_fake; /* the one there is */

/* The tree */

static inline int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void)info;
	(void)type;
	(void)walk;
	return remove(path);
}

static inline void fake_end(struct fake *fake)
{
	nftw(fake->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

__attribute__((format(printf, 2, 3))) static inline const char *at(const struct fake *fake,
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
static inline void make_directory(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = path; (slash = strchr(slash + 1, '/'));) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdir(part, 0755);
	}
	CHECK(!mkdir(path, 0755) || errno == EEXIST);
}

static inline void make_file(const char *path, const void *content, size_t size)
{
	FILE *file = fopen(path, "w");

	CHECK(file);
	CHECK_EQ(fwrite(content, 1, size, file), size);
	CHECK_EQ(fclose(file), 0);
}

static inline void make_text(const char *path, const char *text)
{
	make_file(path, text, strlen(text));
}

static inline void check_text(const char *path, const char *expected)
{
	char text[1024] = "";
	FILE *file = fopen(path, "r");

	CHECK(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	CHECK_STR(text, expected);
}

/* Of a module with another name. */
static inline void add_driver(const struct fake *fake, const char *name)
{
	char target[128];

	make_directory(at(fake, "sys/bus/pci/drivers/%s", name));
	make_text(at(fake, "sys/bus/pci/drivers/%s/bind", name), "");
	make_text(at(fake, "sys/bus/pci/drivers/%s/unbind", name), "");
	snprintf(target, sizeof(target), "../../../../module/%s_module", name);
	CHECK_EQ(symlink(target, at(fake, "sys/bus/pci/drivers/%s/module", name)), 0);
}

static inline void remove_driver(const struct fake *fake, const char *name)
{
	unlink(at(fake, "sys/bus/pci/drivers/%s/bind", name));
	unlink(at(fake, "sys/bus/pci/drivers/%s/unbind", name));
	unlink(at(fake, "sys/bus/pci/drivers/%s/module", name));
	CHECK_EQ(rmdir(at(fake, "sys/bus/pci/drivers/%s", name)), 0);
}

static inline void set_driver(const struct fake *fake, const char *address, const char *name)
{
	char target[128];

	unlink(at(fake, REAL "/%s/driver", address));
	if (!name[0])
		return;
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", name);
	CHECK_EQ(symlink(target, at(fake, REAL "/%s/driver", address)), 0);
}

static inline void add_device(const struct fake *fake, const char *address, const char *vendor,
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

/* @path: what a link in the tree, @link, leads to; both from the root. */
static inline void add_link(const struct fake *fake, const char *link, const char *path)
{
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "%s", at(fake, "%s", path));
	CHECK_EQ(symlink(target, at(fake, "%s", link)), 0);
}

/* A directory @path below the device, such as net/eth0, with the link @class/NAME to it. */
static inline void add_child(const struct fake *fake, const char *address, const char *class,
			     const char *path)
{
	char real[PATH_MAX], link[PATH_MAX];

	snprintf(real, sizeof(real), REAL "/%s/%s", address, path);
	snprintf(link, sizeof(link), "sys/%s/%s", class, strrchr(real, '/') + 1);
	make_directory(at(fake, "%s", real));
	make_directory(at(fake, "sys/%s", class));
	add_link(fake, link, real);
}

/* @path: where below the device, such as "virtio0/net/eth0". */
static inline void add_interface(const struct fake *fake, const char *address, const char *path,
				 const char *flags)
{
	add_child(fake, address, "class/net", path);
	make_text(at(fake, REAL "/%s/%s/flags", address, path), flags);
}

/* @file: drivers/NAME/bind or drivers/NAME/unbind. */
static inline int fake_driver_write(const struct fake *fake, const char *path, const char *file,
				    const char *address)
{
	char driver[64], attribute[64];

	CHECK_EQ(sscanf(file, "drivers/%63[^/]/%63s", driver, attribute), 2);
	if (access(path, F_OK))
		return -ENOENT;
	if (!strcmp(attribute, "bind") && fake->refuses && !strcmp(driver, fake->refuses))
		return -EIO;
	if (fake->changes)
		fake->changes(fake, driver, !strcmp(attribute, "bind"));
	set_driver(fake, address, strcmp(attribute, "bind") ? "" : driver);
	return 0;
}

/* A write to sysfs is one step: whoever ends this process between two waits for the end of it. */
static inline void fake_kernel(bool inside)
{
	prctl(KILL_AT_MARK, inside); /* an error, and a system call that a tracer sees */
}

static inline int fake_do_write(struct fake *fake, const char *path, const char *value)
{
	const char *file = path + strlen(at(fake, "sys/bus/pci/"));
	size_t logged = strlen(fake->log);
	char address[32];

	fake->unrecorded |= access(at(fake, "state/" ADDRESS), F_OK) != 0;
	if (!strncmp(file, "devices/" ADDRESS "/", strlen("devices/" ADDRESS "/")))
		file += strlen("devices/" ADDRESS "/");
	snprintf(fake->log + logged, sizeof(fake->log) - logged, "%s%s%s%s", logged ? " " : "",
		 file, strcmp(value, ADDRESS) ? "=" : "", strcmp(value, ADDRESS) ? value : "");

	if (!strcmp(file, "driver_override") ||
	    sscanf(file, "devices/%31[^/]/driver_override", address) == 1)
		make_text(path, value);
	else if (!strcmp(file, "drivers_probe"))
		set_driver(fake, value, "e1000");
	else
		return fake_driver_write(fake, path, file, value);
	return 0;
}

static inline int fake_write(const struct bind_env *env, const char *path, const char *value)
{
	int err;

	fake_kernel(true);
	(void)env; /* it may be a copy */
	err = fake_do_write(the_fake, path, value);
	fake_kernel(false);
	return err;
}

/* A machine with the drivers userpci and e1000, and a device that e1000 has. */
static inline void fake_begin(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	the_fake = fake;
	strcpy(fake->root, "/tmp/userpci-bind.XXXXXX");
	CHECK(mkdtemp(fake->root));
	strcpy(fake->sys, at(fake, "sys"));
	strcpy(fake->proc, at(fake, "proc"));
	strcpy(fake->devices, at(fake, "dev"));
	strcpy(fake->dev, at(fake, "dev/userpci"));
	strcpy(fake->state, at(fake, "state"));
	strcpy(fake->lib, at(fake, "lib"));
	strcpy(fake->rules, at(fake, "rules"));
	fake->env = (struct bind_env){
		.sys = fake->sys,
		.proc = fake->proc,
		.devices = fake->devices,
		.dev = fake->dev,
		.state = fake->state,
		.lib = fake->lib,
		.rules = fake->rules,
		.write = fake_write,
	};
	make_directory(fake->proc);
	make_directory(fake->dev);
	make_directory(fake->state);
	make_directory(fake->rules);
	make_directory(at(fake, "proc/sys/kernel/random"));
	make_text(at(fake, "proc/sys/kernel/random/boot_id"), "boot-1\n");
	make_directory(at(fake, "sys/class/net"));
	make_directory(at(fake, "sys/bus/pci/devices"));
	add_driver(fake, "userpci");
	add_driver(fake, "e1000");
	add_device(fake, ADDRESS, "0x8086\n", "0x100e\n", "e1000");
}

static inline struct bind_device device_at(const struct fake *fake, const char *address)
{
	struct bind_device device = { 0 };

	snprintf(device.address, sizeof(device.address), "%s", address);
	bind_device_read(&fake->env, &device);
	return device;
}

static inline void check_driver(const struct fake *fake, const char *driver, const char *override)
{
	struct bind_device device = device_at(fake, ADDRESS);

	CHECK_STR(device.driver, driver);
	check_text(at(fake, "sys/bus/pci/devices/" ADDRESS "/driver_override"), override);
}

static inline bool has_record(const struct fake *fake)
{
	return !access(at(fake, "state/" ADDRESS), F_OK);
}

#endif
