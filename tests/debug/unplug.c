/* SPDX-License-Identifier: MIT */
/*
 * Devices that are taken away from drivers that are at work, in each way in which Linux takes one:
 * unbound, removed from the bus, its slot's power switched off (by the firmware, ACPI; by the port
 * itself, pciehp), or pulled out with no warning. 200 times each: UNPLUGS is another number.
 *
 * QEMU: a device whose slot has lost its power is no more; another one is plugged in for it. So the
 * guest has a line to QEMU's monitor (QMP), as the virtio port "qmp".
 */
#include <dirent.h>
#include <limits.h>
#include <sys/wait.h>

#include "drivers.h"

enum {
	UNPLUGS = 200,
	SLOTS = 4, /* root ports, plug0 to plug3 */
	SLOT_CONTROL = 0x18,
	INDICATORS_OFF = 0x3c0,
	POWER_LED_OFF = 0x300,
	POWER_OFF = 0x400,
	EVENTS = 0x1028 /* link, interrupt, presence */
};

struct slot {
	unsigned int number;
	char address[16];
	char port[16];
	char power[64]; /* the slot's file; "" without one */
	unsigned int plugged;
	struct driver *driver; /* and an observer behind it */
};

/* The way out, after which the device is gone, and the way back. */
struct way {
	void (*out)(struct slot *s);
	void (*in)(struct slot *s);
};

static int is_edu(const struct slot *s)
{
	return s->number % 2 == 0;
}

/* --- QEMU's monitor --------------------------------------------------------------------------- */

static int monitor = -1, turn[2];
static unsigned int turns; /* that this process has taken: it may within its own */

static int open_port(const char *wanted)
{
	char path[PATH_MAX], name[32] = "";
	struct dirent *entry;
	int fd = -1;
	DIR *dir = opendir("/sys/class/virtio-ports");
	FILE *f;

	CHECK(dir);
	while (fd < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%31s", name) == 1 && !strcmp(name, wanted)) {
			snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
			fd = open(path, O_RDWR | O_CLOEXEC);
		}
		fclose(f);
	}
	closedir(dir);
	return fd;
}

/* Reads lines up to an answer; events come in between. Returns whether it is an error. */
static int monitor_answer(char *line, size_t size)
{
	size_t n;

	for (;;) {
		for (n = 0; n < size - 1; n++) {
			CHECK_EQ(read(monitor, line + n, 1), 1);
			if (line[n] == '\n')
				break;
		}
		line[n] = 0;
		if (strstr(line, "\"return\""))
			return 0;
		if (strstr(line, "\"error\""))
			return 1;
	}
}

/* One process at a time has the turn. */
static void turn_take(void)
{
	char byte;

	if (!turns++)
		CHECK_EQ(read(turn[0], &byte, 1), 1);
}

static void turn_give(void)
{
	if (!--turns)
		CHECK_EQ(write(turn[1], "x", 1), 1);
}

static int monitor_ask(const char *command, char *answer, size_t size)
{
	int is_error;

	turn_take();
	CHECK_EQ(write(monitor, command, strlen(command)), (ssize_t)strlen(command));
	is_error = monitor_answer(answer, size);
	turn_give();
	return is_error;
}

static void monitor_run(const char *command)
{
	char answer[4096];

	if (monitor_ask(command, answer, sizeof(answer)))
		HARNESS_FAIL("QEMU: %s answers %s", command, answer);
}

static void monitor_open(void)
{
	char answer[4096];

	monitor = open_port("qmp");
	CHECK(monitor >= 0);
	CHECK_EQ(pipe(turn), 0);
	CHECK_EQ(write(turn[1], "x", 1), 1);
	/* An error if the test before this one has said it. */
	monitor_ask("{\"execute\":\"qmp_capabilities\"}\n", answer, sizeof(answer));
}

/* --- Devices ---------------------------------------------------------------------------------- */

static int is_present(const struct slot *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", s->address);
	return !access(path, F_OK);
}

static int has_node(const struct slot *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/userpci/%s", s->address);
	return !access(path, F_OK);
}

static void wait_until(const struct slot *s, int (*is)(const struct slot *s), int wanted,
		       const char *what)
{
	time_t end = patience();

	while (is(s) != wanted && time(NULL) < end)
		usleep(5000);
	if (is(s) != wanted)
		HARNESS_FAIL("slot %u, card %u: not %s", s->number, s->plugged, what);
}

/* A device that is still being added is bound a moment later, by this probe or the kernel's own. */
static void bind_device(const struct slot *s)
{
	time_t end = patience();
	char path[96];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", s->address);
	CHECK_EQ(sysfs_write(path, "userpci"), 0);
	while (sysfs_write("/sys/bus/pci/drivers_probe", s->address) || !has_node(s)) {
		usleep(5000);
		if (has_node(s) || time(NULL) >= end)
			break;
	}
	wait_until(s, has_node, 1, "bound");
}

static void unbind_device(struct slot *s)
{
	device_unbind(s->address);
}

static void stay(struct slot *s)
{
	(void)s;
}

static void remove_device(struct slot *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", s->address);
	CHECK_EQ(sysfs_write(path, "1"), 0);
	CHECK(!is_present(s));
}

static void rescan(struct slot *s)
{
	CHECK_EQ(sysfs_write("/sys/bus/pci/rescan", "1"), 0);
	CHECK(is_present(s));
}

/* The slot's own file in sysfs, found by the device's address without its function. */
static void find_power(struct slot *s)
{
	char path[PATH_MAX], address[16];
	struct dirent *entry;
	DIR *dir = opendir("/sys/bus/pci/slots");
	FILE *f;

	CHECK(dir);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/bus/pci/slots/%s/address", entry->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%15s", address) == 1 && !strncmp(address, s->address, 10))
			snprintf(s->power, sizeof(s->power), "/sys/bus/pci/slots/%.30s/power",
				 entry->d_name);
		fclose(f);
	}
	closedir(dir);
	CHECK(s->power[0]);
}

/* QEMU's device is still there a little while after the guest has let it go. */
static int is_in_qemu(const struct slot *s)
{
	char command[128], answer[4096];

	snprintf(command, sizeof(command),
		 "{\"execute\":\"qom-list\",\"arguments\":{\"path\":"
		 "\"/machine/peripheral/card%u-%u\"}}\n",
		 s->number, s->plugged);
	return !monitor_ask(command, answer, sizeof(answer));
}

/* A new device in the slot. */
static void plug(struct slot *s)
{
	char command[256], net[32] = "";

	wait_until(s, is_in_qemu, 0, "gone from QEMU");
	if (!is_edu(s))
		snprintf(net, sizeof(net), ",\"netdev\":\"net%u\"", s->number);
	snprintf(command, sizeof(command),
		 "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"%s\",\"bus\":\"plug%u\","
		 "\"id\":\"card%u-%u\"%s}}\n",
		 is_edu(s) ? "edu" : "e1000", s->number, s->number, ++s->plugged, net);
	monitor_run(command);
	wait_until(s, is_present, 1, "plugged in");
}

static void switch_off(struct slot *s)
{
	CHECK_EQ(sysfs_write(s->power, "0"), 0);
	CHECK(!is_present(s));
}

/* ACPI has one event for all slots, and loses a card that comes while another one goes or comes. */
static void switch_off_alone(struct slot *s)
{
	turn_take();
	switch_off(s);
	turn_give();
}

static void plug_alone(struct slot *s)
{
	turn_take();
	plug(s);
	turn_give();
}

static void config_write(const char *address, unsigned int offset, uint16_t value)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", address);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(pwrite(fd, &value, sizeof(value), offset), sizeof(value));
	close(fd);
}

static unsigned int express_capability(const char *address)
{
	unsigned int at = sysfs_config(address, 0x34, 1);

	while (at && sysfs_config(address, at, 1) != 0x10)
		at = sysfs_config(address, at + 1, 1);
	CHECK(at);
	return at;
}

/* What the port does last with a slot that it has emptied. */
static int is_off(const struct slot *s)
{
	uint32_t control = sysfs_config(s->port, express_capability(s->port) + SLOT_CONTROL, 2);

	return (control & (POWER_OFF | POWER_LED_OFF)) == (POWER_OFF | POWER_LED_OFF);
}

/*
 * The slot loses its power while nobody is told: the driver goes on with a device that is not
 * there. Only then the port may report its events. PCI Express 3.0, section 7.8.10.
 */
static void pull(struct slot *s)
{
	unsigned int control = express_capability(s->port) + SLOT_CONTROL;
	uint16_t before = (uint16_t)sysfs_config(s->port, control, 2);

	config_write(s->port, control, (uint16_t)((before & ~EVENTS) | INDICATORS_OFF | POWER_OFF));
	CHECK_EQ(sysfs_config(s->address, 0, 2), 0xffff);
	usleep(2000);
	config_write(s->port, control, before);
	wait_until(s, is_present, 0, "removed");
	wait_until(s, is_off, 1, "switched off");
}

/* --- Many times ------------------------------------------------------------------------------- */

static void start_drivers(struct slot *s)
{
	s->driver = drivers_new(2);
	driver_start(&s->driver[0], s->address, is_edu(s) ? drive_edu : drive_nic);
	driver_start(&s->driver[1], s->address, drive_observer);
}

static void stop_drivers(struct slot *s)
{
	driver_stop(&s->driver[0]);
	driver_stop(&s->driver[1]);
	if (is_edu(s))
		check_edu(s->address);
}

/* The driver has set the device to work since it came, and it may still be at it. */
static void once(struct slot *s, const struct way *way, unsigned int round)
{
	driver_wait(&s->driver[0]);
	usleep(round * 7919 % 20000);
	way->out(s);
	CHECK(!has_node(s));
	usleep(round * 311 % 2000);
	way->in(s);
	bind_device(s);
}

static void find_slots(struct slot *slots, unsigned int count)
{
	char path[64], found[16];
	unsigned int bus, i;

	for (i = 0; i < count; i++) {
		/* The ports are the first devices, one function after the other. */
		slots[i].number = i;
		snprintf(found, sizeof(found), "0000:00:%02x.0", i + 1);
		memcpy(slots[i].port, found, sizeof(found));
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", found);
		CHECK_EQ(access(path, F_OK), 0);
		bus = sysfs_config(found, 0x19, 1);
		snprintf(slots[i].address, sizeof(slots[i].address), "0000:%02x:00.0", bus & 0xff);
		find_power(&slots[i]);
	}
}

/* All slots at once, each by a process of its own: most of the time they wait. */
static void many_slots(const struct way *way)
{
	struct slot slots[SLOTS] = { 0 };
	unsigned int rounds = rounds_of("UNPLUGS", UNPLUGS), done = 0, i, k;
	pid_t pids[SLOTS];
	int status, bad = 0;

	monitor_open();
	find_slots(slots, SLOTS);
	for (i = 0; i < SLOTS; i++) {
		plug_alone(&slots[i]);
		bind_device(&slots[i]);
		k = (rounds + i) / SLOTS;
		done += k;
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (pids[i])
			continue;
		start_drivers(&slots[i]);
		while (k)
			once(&slots[i], way, k--);
		stop_drivers(&slots[i]);
		switch_off_alone(&slots[i]);
		_exit(0);
	}
	for (i = 0; i < SLOTS; i++) {
		CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
		bad |= status;
	}
	/* Who failed has said why. */
	if (bad)
		_exit(1);
	CHECK_EQ(done, rounds);
	printf("# %u unplugs, in %d slots\n", done, SLOTS);
}

/* The devices that have no slot: edu and e1000, in turn. */
static void many_places(const struct way *way)
{
	struct slot places[2] = { { .number = 0 }, { .number = 1 } };
	unsigned int rounds = rounds_of("UNPLUGS", UNPLUGS), round;

	snprintf(places[0].address, sizeof(places[0].address), "%s", device_bind(EDU));
	snprintf(places[1].address, sizeof(places[1].address), "%s", device_bind(E1000));
	start_drivers(&places[0]);
	start_drivers(&places[1]);
	for (round = 0; round < rounds; round++)
		once(&places[round % 2], way, round);
	printf("# %u unplugs, of edu and e1000 in turn\n", round);
	stop_drivers(&places[0]);
	stop_drivers(&places[1]);
}

TEST(unplug_unbind)
{
	static const struct way way = { unbind_device, stay };

	many_places(&way);
}

TEST(unplug_remove)
{
	static const struct way way = { remove_device, rescan };

	many_places(&way);
}

TEST(acpi_slot_power)
{
	static const struct way way = { switch_off_alone, plug_alone };

	many_slots(&way);
}

TEST(pciehp_slot_power)
{
	static const struct way way = { switch_off, plug };

	many_slots(&way);
}

TEST(pciehp_surprise)
{
	static const struct way way = { pull, plug };

	many_slots(&way);
}
