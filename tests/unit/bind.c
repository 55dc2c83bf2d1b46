/* SPDX-License-Identifier: MIT */
/* Binding and back, choosing devices, and the records, on a fake sysfs. */
#include <fcntl.h>
#include <sys/file.h>

#include "fake-sysfs.h"

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
	check_text(at(&fake, "state/" ADDRESS),
		   "boot=boot-1\ndevice=8086:100e:0000:0000\nbound_to=userpci\ndriver=e1000\n"
		   "module=e1000_module\ndriver_override=\ncall=\ncall_driver=e1000\n"
		   "call_driver_override=\nfresh=1\nreturning=0\n");
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
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	fake.env.driver = "vfio-pci";
	add_driver(&fake, "vfio-pci");
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	CHECK_STR(fake.log, "driver_override=vfio-pci drivers/e1000/unbind drivers/vfio-pci/bind");
	check_driver(&fake, "vfio-pci", "vfio-pci");
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
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	remove_driver(&fake, "userpci");
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), -ENOENT);
	CHECK(!has_record(&fake));
	check_driver(&fake, "e1000", "\n");
	fake_end(&fake);
}

/* What is left to be done stays in the journal until it can be. */
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
	CHECK(device_at(&fake, ADDRESS).recorded);
	fake.refuses = NULL;
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	check_driver(&fake, "e1000", "\n");
	CHECK(!has_record(&fake));
	fake_end(&fake);
}

TEST(former_driver_that_is_gone)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	remove_driver(&fake, "e1000");
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), -ENOPKG);
	CHECK(strstr(why, "'modprobe e1000_module', then 'userpci restore " ADDRESS "'"));
	check_driver(&fake, "", "\n");
	add_driver(&fake, "e1000");
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	check_driver(&fake, "e1000", "\n");
	CHECK(!has_record(&fake));
	fake_end(&fake);
}

/* Bound again before it could be given back: it is still e1000 that is to have it in the end. */
TEST(bind_before_the_former_driver_is_back)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	fake.refuses = "e1000";
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), -EIO);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	fake.refuses = NULL;
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	check_driver(&fake, "e1000", "\n");
	fake_end(&fake);
}

/* The module of the former driver is loaded; here by a program that only makes its directory. */
TEST(former_driver_is_loaded)
{
	char program[PATH_MAX], text[PATH_MAX * 2];
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	remove_driver(&fake, "e1000");
	snprintf(text, sizeof(text),
		 "#!/bin/sh\n[ \"$*\" = '-q -- e1000_module' ] && mkdir '%s'\n"
		 "touch '%s/bind'\n",
		 at(&fake, "sys/bus/pci/drivers/e1000"), fake.root);
	snprintf(program, sizeof(program), "%s", at(&fake, "modprobe"));
	make_text(program, text);
	CHECK_EQ(chmod(program, 0755), 0);
	fake.env.modprobe = program;
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), -ENOENT); /* loaded: no file "bind" */
	CHECK(strstr(why, "e1000 does not take it back"));
	add_driver(&fake, "e1000");
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	check_driver(&fake, "e1000", "\n");
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

/* Given from one driver for user space to another: back to what it had before the first. */
TEST(bound_twice)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	add_driver(&fake, "vfio-pci");
	fake.env.driver = "vfio-pci";
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	fake.env.driver = NULL;
	fake.refuses = "userpci";
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), -EIO);
	check_driver(&fake, "vfio-pci", "vfio-pci");
	fake.refuses = NULL;
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	check_driver(&fake, "userpci", "userpci");
	CHECK_EQ(bind_undo(&fake.env, ADDRESS, why), 0);
	check_driver(&fake, "vfio-pci", "vfio-pci");
	CHECK(device_at(&fake, ADDRESS).recorded);
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0); /* whichever it is bound to */
	check_driver(&fake, "e1000", "\n");
	CHECK(!has_record(&fake));
	fake_end(&fake);
}

/* Others have given the device away: the record does not count any more. */
TEST(record_that_does_not_hold)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	add_driver(&fake, "other");
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	set_driver(&fake, ADDRESS, "other");
	make_text(at(&fake, "sys/bus/pci/devices/" ADDRESS "/driver_override"), "(null)\n");
	CHECK(!device_at(&fake, ADDRESS).recorded);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	check_driver(&fake, "other", "\n");
	fake_end(&fake);
}

TEST(record_of_another_device)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	make_text(at(&fake, "sys/bus/pci/devices/" ADDRESS "/device"), "0x10d3\n");
	CHECK(!device_at(&fake, ADDRESS).recorded);
	fake_end(&fake);
}

/* The journal on disk is of use when a rule has bound the device after a restart. */
TEST(record_after_a_restart)
{
	struct bind_state state;
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	CHECK_EQ(state_keep(&fake.env, ADDRESS), 0);
	CHECK_EQ(state_forget(&fake.env, ADDRESS), 0);
	make_text(at(&fake, "proc/sys/kernel/random/boot_id"), "boot-2\n");
	CHECK_EQ(state_load(&fake.env, ADDRESS, &state), 0);
	CHECK(state.old);
	state_free(&state);
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	check_driver(&fake, "e1000", "\n");
	CHECK_EQ(state_load(&fake.env, ADDRESS, &state), -ENOENT);
	fake_end(&fake);
}

TEST(unbind_without_a_record_lets_the_bus_choose)
{
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	set_driver(&fake, ADDRESS, "userpci");
	make_text(at(&fake, "sys/bus/pci/devices/" ADDRESS "/driver_override"), "userpci\n");
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	CHECK_STR(fake.log, "drivers/userpci/unbind driver_override=\n drivers_probe");
	check_driver(&fake, "e1000", "\n");
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
	char lines[] = "interface a down 1500 - 1000 -\naddress 00 1 x\n";
	struct bind_state state = { .driver = "a b", .to = "userpci", .fresh = true }, read;
	struct fake fake;

	fake_begin(&fake);
	CHECK_EQ(state_load(&fake.env, ADDRESS, &read), -ENOENT);
	CHECK_STR(read.driver, "");
	state_identify(&fake.env, ADDRESS, &state);
	state.interfaces = lines;
	CHECK_EQ(state_save(&fake.env, ADDRESS, &state), 0);
	CHECK_EQ(state_load(&fake.env, ADDRESS, &read), 0);
	CHECK_STR(read.driver, "a b");
	CHECK_STR(read.override, "");
	CHECK_STR(read.to, "userpci");
	CHECK_STR(read.ids, "8086:100e:0000:0000");
	CHECK_STR(read.interfaces, lines);
	CHECK(read.fresh && !read.returning && !read.old);
	state_free(&read);
	CHECK_EQ(state_forget(&fake.env, ADDRESS), 0);
	CHECK_EQ(state_forget(&fake.env, ADDRESS), 0);
	CHECK_EQ(rmdir(fake.state), 0); /* no file is left */
	CHECK_EQ(state_save(&fake.env, ADDRESS, &state), -ENOENT);
	fake_end(&fake);
}

/* Rules */

static void check_rule(const struct fake *fake, const char *key, const char *expected)
{
	check_text(at(fake, "rules/10-userpci-%s.rules", key), expected);
}

#define RULE_HEAD \
	"# Written by 'userpci bind --persist'; 'userpci unbind --forget " ADDRESS "' removes it.\n"
#define RULE_IDS                                               \
	"ATTR{vendor}==\"0x8086\", ATTR{device}==\"0x100e\", " \
	"ATTR{subsystem_vendor}==\"0x1af4\", ATTR{subsystem_device}==\"0x1100\", \\\n"

TEST(rules)
{
	unsigned int removed;
	struct fake fake;

	fake_begin(&fake);
	make_text(at(&fake, REAL "/" ADDRESS "/subsystem_vendor"), "0x1af4\n");
	make_text(at(&fake, REAL "/" ADDRESS "/subsystem_device"), "0x1100\n");
	CHECK_EQ(persist_add(&fake.env, ADDRESS, PERSIST_BY_SLOT), 0);
	check_rule(&fake, ADDRESS,
		   RULE_HEAD "ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"" ADDRESS
			     "\", " RULE_IDS "  ATTR{driver_override}=\"userpci\", "
			     "RUN{builtin}+=\"kmod load userpci\"\n");
	CHECK_EQ(persist_add(&fake.env, ADDRESS, PERSIST_BY_SLOT), 0); /* the same */
	fake.env.driver = "vfio-pci";
	CHECK_EQ(persist_add(&fake.env, ADDRESS, PERSIST_BY_SLOT), -EEXIST);
	fake.env.program = "/usr/bin/userpci";
	CHECK_EQ(persist_add(&fake.env, ADDRESS, PERSIST_BY_ID), 0);
	check_rule(
		&fake, "8086:100e:1af4:1100",
		RULE_HEAD
		"ACTION==\"add\", SUBSYSTEM==\"pci\", " RULE_IDS
		"  ATTR{driver_override}=\"vfio-pci\", RUN{builtin}+=\"kmod load vfio-pci\", \\\n"
		"  RUN+=\"/usr/bin/userpci bind --driver vfio-pci $kernel\"\n");
	CHECK(persist_has(&fake.env, ADDRESS, PERSIST_BY_SLOT));
	CHECK_EQ(persist_remove(&fake.env, ADDRESS, PERSIST_BY_SLOT, &removed), 0);
	CHECK_EQ(removed, 1);
	CHECK(!persist_has(&fake.env, ADDRESS, PERSIST_BY_SLOT));
	CHECK(persist_has(&fake.env, ADDRESS, PERSIST_BY_ID));
	CHECK_EQ(persist_remove(&fake.env, ADDRESS, PERSIST_FORGET, &removed), 0);
	CHECK_EQ(removed, 1);
	CHECK_EQ(persist_remove(&fake.env, ADDRESS, PERSIST_FORGET, &removed), 0);
	CHECK_EQ(removed, 0);
	CHECK_EQ(rmdir(fake.rules), 0); /* no file is left */
	fake_end(&fake);
}

/* The record is on disk while there is a rule. */
TEST(rules_keep_the_record)
{
	struct bind_state state;
	unsigned int removed;
	struct fake fake;
	char why[BIND_WHY_SIZE];

	fake_begin(&fake);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	CHECK_EQ(persist_add(&fake.env, ADDRESS, PERSIST_BY_SLOT), 0);
	CHECK_EQ(state_forget(&fake.env, ADDRESS), 0);
	CHECK_EQ(state_load(&fake.env, ADDRESS, &state), 0);
	CHECK_STR(state.driver, "e1000");
	state_free(&state);
	CHECK_EQ(persist_remove(&fake.env, ADDRESS, PERSIST_FORGET, &removed), 0);
	CHECK_EQ(state_load(&fake.env, ADDRESS, &state), -ENOENT);
	fake_end(&fake);
}

/* Jobs */

static void count_told(void *data, enum job_verb verb, const char *address, int err,
		       const char *why)
{
	(void)verb;
	(void)address;
	(void)why;
	*(int *)data += err ? 100 : 1;
}

/* One device that cannot be put back does not keep the others from it. */
TEST(job_that_is_undone)
{
	struct bind_device devices[2];
	struct bind_list list = { devices, 2 };
	char why[BIND_WHY_SIZE];
	struct fake fake;
	int told = 0;

	fake_begin(&fake);
	add_device(&fake, "0000:00:05.0", "0x8086\n", "0x100e\n", "e1000");
	devices[0] = device_at(&fake, ADDRESS);
	devices[1] = device_at(&fake, "0000:00:05.0");
	CHECK(!job_is_pending(&fake.env));
	CHECK_EQ(job_begin(&fake.env, JOB_BIND, &list, PERSIST_NONE), 0);
	CHECK(job_is_pending(&fake.env));
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	CHECK_EQ(bind_device(&fake.env, "0000:00:05.0", why), 0);
	remove_driver(&fake, "e1000");
	CHECK_EQ(job_recover(&fake.env, count_told, &told), 0);
	CHECK_EQ(told, 200);
	CHECK(!job_is_pending(&fake.env));
	CHECK(device_at(&fake, ADDRESS).recorded); /* it is what is left to be done */
	add_driver(&fake, "e1000");
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	check_driver(&fake, "e1000", "\n");
	fake_end(&fake);
}

TEST(job_that_is_damaged)
{
	struct fake fake;
	int told = 0;

	fake_begin(&fake);
	make_text(at(&fake, "state/job"), "");
	CHECK_EQ(job_recover(&fake.env, count_told, &told), -EBADMSG);
	CHECK_EQ(told, 0);
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
