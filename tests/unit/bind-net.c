/* SPDX-License-Identifier: MIT */
/*
 * The settings of interfaces: saved, lost with the driver, and put back; and what netlink says of
 * their use. On taps in a network namespace of the test's own, which needs no privilege where users
 * may make such namespaces; tests/system/bind.sh has the same on a real interface.
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "fake-sysfs.h"

#define PORTS 2

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void enter_namespace(void)
{
	char map[64];
	int uid = (int)geteuid();
	int tun;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		SKIP("this user may make no network namespace");
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %d 1", uid);
	write_text("/proc/self/uid_map", map);
	tun = open("/dev/net/tun", O_RDWR);
	if (tun < 0)
		SKIP("there is no /dev/net/tun");
	close(tun);
}

/* Exit status of a command, all of ip's. */
static int run(const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "PATH=$PATH:/usr/sbin:/sbin; %s", command);
	return system(line);
}

static void set_tap(const char *name, bool exists)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int tun = open("/dev/net/tun", O_RDWR);

	CHECK(tun >= 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	CHECK_EQ(ioctl(tun, TUNSETIFF, &request), 0);
	CHECK_EQ(ioctl(tun, TUNSETPERSIST, exists), 0);
	close(tun);
}

/* The names that the kernel's driver gives: one for each port, and each time others. */
static struct ports {
	unsigned int indices[PORTS];
	int generation;
} ports;

static void remove_children(const struct fake *fake)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "rm -rf '%s' '%s'", at(fake, "sys/class/net"),
		 strcpy((char[PATH_MAX]){ 0 }, at(fake, REAL "/" ADDRESS "/net")));
	CHECK_EQ(system(path), 0);
	make_directory(at(fake, "sys/class/net"));
}

/* The tree shows the interfaces under the names that they have now. */
static void show_ports(const struct fake *fake)
{
	char name[IF_NAMESIZE], path[64], text[16];

	remove_children(fake);
	for (unsigned int port = 0; port < PORTS; port++) {
		if (!if_indextoname(ports.indices[port], name))
			continue;
		snprintf(path, sizeof(path), "net/%s", name);
		add_interface(fake, ADDRESS, path, "0x1002\n");
		snprintf(text, sizeof(text), "%u\n", port);
		make_text(at(fake, REAL "/" ADDRESS "/%s/dev_port", path), text);
	}
}

/* e1000 with two ports; the second is there first. */
static void change_ports(const struct fake *fake, const char *driver, bool takes)
{
	char name[IF_NAMESIZE];

	if (strcmp(driver, "e1000"))
		return;
	for (unsigned int port = PORTS; port-- > 0;) {
		if (!takes && if_indextoname(ports.indices[port], name))
			set_tap(name, false);
		if (!takes)
			continue;
		snprintf(name, sizeof(name), "eth%d", 2 * ports.generation + (int)port);
		set_tap(name, true);
		ports.indices[port] = if_nametoindex(name);
	}
	ports.generation += takes;
	show_ports(fake);
}

static void begin(struct fake *fake)
{
	enter_namespace();
	fake_begin(fake);
	fake->changes = change_ports;
	fake->env.wait_ms = 20;
	change_ports(fake, "e1000", true);
}

static void rename_port(const struct fake *fake, unsigned int port, const char *name)
{
	char command[128], now[IF_NAMESIZE];

	CHECK(if_indextoname(ports.indices[port], now));
	snprintf(command, sizeof(command), "ip link set %s name %s", now, name);
	CHECK_EQ(run(command), 0);
	show_ports(fake);
}

/* What `command` prints, less what differs from one interface to its successor. */
static void capture(const char *command, char text[4096])
{
	char line[512];
	FILE *pipe;

	snprintf(line, sizeof(line), "PATH=$PATH:/usr/sbin:/sbin; %s", command);
	pipe = popen(line, "r");
	CHECK(pipe);
	text[fread(text, 1, 4095, pipe)] = '\0';
	CHECK_EQ(pclose(pipe), 0);
}

static void capture_all(char text[4096])
{
	capture("for i in lan0 lan1; do"
		" cat /proc/net/dev >/dev/null; ip -o link show $i | sed 's/^[0-9]*: //';"
		" ip -o address show dev $i | grep -v fe80 | sed 's/^[0-9]*: //';"
		" done; ip route show table all | grep -v 'table local' | sort;"
		" ip -6 route show table all | grep -v -e 'table local' -e 'fe80\\|ff00' | sort",
		text);
}

static void check_round(struct fake *fake)
{
	char before[4096], after[4096], why[BIND_WHY_SIZE];
	int err;

	capture_all(before);
	CHECK_EQ(bind_device(&fake->env, ADDRESS, why), 0);
	CHECK(!if_nametoindex("lan0") && !if_nametoindex("lan1"));
	err = unbind_device(&fake->env, ADDRESS, why);
	CHECK_STR(why, "");
	CHECK_EQ(err, 0);
	capture_all(after);
	CHECK_STR(after, before);
	check_driver(fake, "e1000", "\n");
	CHECK(!has_record(fake));
	show_ports(fake);
}

TEST(names_and_link_settings)
{
	struct fake fake;

	begin(&fake);
	rename_port(&fake, 0, "lan1");
	rename_port(&fake, 1, "lan0");
	CHECK_EQ(run("ip link set lan0 mtu 1400 address 02:00:00:00:00:07 txqueuelen 50"), 0);
	check_round(&fake);
	fake_end(&fake);
}

TEST(addresses_and_routes)
{
	struct fake fake;

	begin(&fake);
	rename_port(&fake, 0, "lan0");
	rename_port(&fake, 1, "lan1");
	CHECK_EQ(run("ip link set lan0 up && ip address add 10.1.2.3/24 dev lan0 &&"
		     " ip address add 10.1.2.4/24 dev lan0 label lan0:x &&"
		     " ip address add 2001:db8::3/64 dev lan0 nodad &&"
		     " ip address add 10.9.0.1 peer 10.9.0.2/32 dev lan0 &&"
		     " ip route add default via 10.1.2.1 metric 7 &&"
		     " ip route add 10.20.0.0/16 via 10.1.2.9 src 10.1.2.4 table 77 &&"
		     " ip route add 10.30.0.0/16 dev lan0 scope link &&"
		     " ip route add blackhole 10.40.0.0/16 &&"
		     " ip route add 2001:db8:1::/48 via 2001:db8::1 dev lan0 &&"
		     " ip address add 10.5.0.1/24 dev lan1"),
		 0);
	check_round(&fake);
	fake_end(&fake);
}

/* What is lent for a time comes back for what is left of it, or not at all. */
TEST(addresses_that_are_lent)
{
	char text[4096], why[BIND_WHY_SIZE], *record, *number, *rest, *line;
	struct bind_state state;
	struct fake fake;

	begin(&fake);
	rename_port(&fake, 0, "lan0");
	CHECK_EQ(run("ip address add 10.1.2.3/24 dev lan0 valid_lft 5000 preferred_lft 4000 &&"
		     " ip address add 10.1.2.4/24 dev lan0 valid_lft 600 preferred_lft 600"),
		 0);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	/* As if it had been 1000 seconds ago. */
	CHECK_EQ(state_load(&fake.env, ADDRESS, &state), 0);
	record = calloc(1, 4096);
	for (rest = state.interfaces; (line = strsep(&rest, "\n")) && *line;) {
		number = strncmp(line, "address ", 8) ? NULL : strchr(line + 8, ' ');
		if (number) {
			long long saved_s = strtoll(number, &number, 10);

			sprintf(record + strlen(record), "%.*s %lld%s\n",
				(int)strcspn(line + 8, " ") + 8, line, saved_s - 1000, number);
		} else {
			sprintf(record + strlen(record), "%s\n", line);
		}
	}
	free(state.interfaces);
	state.interfaces = record;
	CHECK_EQ(state_save(&fake.env, ADDRESS, &state), 0);
	state_free(&state);
	CHECK_EQ(unbind_device(&fake.env, ADDRESS, why), 0);
	capture("ip -4 address show dev lan0", text);
	CHECK(!strstr(text, "10.1.2.4"));
	CHECK(strstr(text, "10.1.2.3/24"));
	number = strstr(text, "valid_lft ");
	CHECK(number && strtol(number + 10, NULL, 10) <= 4000);
	CHECK(strtol(number + 10, NULL, 10) > 3000);
	fake_end(&fake);
}

/* A restore that was cut short is done again, and what cannot be is told. */
TEST(again_and_in_vain)
{
	char why[BIND_WHY_SIZE], *lines;
	struct fake fake;

	begin(&fake);
	rename_port(&fake, 0, "lan0");
	CHECK_EQ(run("ip link set lan0 up mtu 1300 && ip address add 10.1.2.3/24 dev lan0 &&"
		     " ip route add default via 10.1.2.1"),
		 0);
	CHECK_EQ(net_save(&fake.env, ADDRESS, &lines), 0);
	why[0] = '\0';
	CHECK_EQ(net_restore(&fake.env, ADDRESS, lines, why), 0);
	CHECK_STR(why, "");
	rename_port(&fake, 0, "other");
	CHECK_EQ(run("ip link add lan0 type veth peer name lan00"), 0);
	CHECK(net_restore(&fake.env, ADDRESS, lines, why) < 0);
	CHECK_STR(why, "lan0: its name cannot be put back: File exists");
	why[0] = '\0';
	change_ports(&fake, "e1000", false);
	CHECK(net_restore(&fake.env, ADDRESS, lines, why) < 0);
	CHECK(strstr(why, "its interface lan0 does not come back"));
	free(lines);
	fake_end(&fake);
}

TEST(place_in_a_bridge)
{
	char why[BIND_WHY_SIZE], text[4096];
	struct fake fake;

	begin(&fake);
	if (run("ip link add br0 type bridge 2>/dev/null"))
		SKIP("this kernel has no bridges");
	rename_port(&fake, 0, "lan0");
	rename_port(&fake, 1, "lan1");
	CHECK_EQ(run("ip link set lan0 master br0 && ip link set lan0 up"), 0);
	check_round(&fake);
	CHECK_EQ(bind_device(&fake.env, ADDRESS, why), 0);
	CHECK_EQ(run("ip link delete br0"), 0);
	CHECK(unbind_device(&fake.env, ADDRESS, why) < 0);
	CHECK(strstr(why, "lan0: br0, which it was a part of, is gone"));
	capture("ip link show lan0", text);
	CHECK(strstr(text, "UP"));
	fake_end(&fake);
}

static void begin_udev(struct fake *fake, char udev[PATH_MAX])
{
	begin(fake);
	snprintf(udev, PATH_MAX, "%s", at(fake, "udev"));
	make_directory(at(fake, "udev/data"));
	make_text(at(fake, "udev/control"), "");
	fake->env.udev = udev;
}

/* udev names what is new; it is waited for, but not for ever. */
TEST(silent_udev)
{
	char why[BIND_WHY_SIZE] = "", udev[PATH_MAX], *lines;
	struct fake fake;

	begin_udev(&fake, udev);
	rename_port(&fake, 0, "lan0");
	CHECK_EQ(net_save(&fake.env, ADDRESS, &lines), 0);
	CHECK_EQ(net_restore(&fake.env, ADDRESS, lines, why), 0);
	free(lines);
	fake_end(&fake);
}

/* As udev does it: a note without a time, the name, and the note with its time. */
static void be_udev(const struct fake *fake)
{
	make_text(at(fake, "udev/data/n%u", ports.indices[0]), "E:ID_RENAMING=1\n");
	make_text(at(fake, "udev/data/n%u", ports.indices[1]), "I:1\n");
	usleep(100 * 1000); /* for one that does not wait */
	rename_port(fake, 0, "enp0s2");
	make_text(at(fake, "udev/data/n%u", ports.indices[0]), "I:2\nE:ID_RENAMING=1\n");
}

TEST(after_udev)
{
	char why[BIND_WHY_SIZE] = "", udev[PATH_MAX], name[IF_NAMESIZE], *lines;
	struct fake fake;
	int status;
	pid_t pid;

	begin_udev(&fake, udev);
	fake.env.wait_ms = 60000;
	rename_port(&fake, 0, "lan0");
	CHECK_EQ(net_save(&fake.env, ADDRESS, &lines), 0);
	change_ports(&fake, "e1000", false);
	change_ports(&fake, "e1000", true);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		be_udev(&fake);
		_exit(0);
	}
	CHECK_EQ(net_restore(&fake.env, ADDRESS, lines, why), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_STR(if_indextoname(ports.indices[0], name), "lan0");
	free(lines);
	fake_end(&fake);
}

/* What netlink says to the checks */

static void check_words(const struct fake *fake, const char *words)
{
	struct bind_device device = device_at(fake, ADDRESS);
	struct bind_reasons reasons;
	struct bind_facts *facts;
	char found[512] = "";

	CHECK_EQ(bind_facts_get(&fake->env, false, &facts), 0);
	bind_check(facts, &device, NULL, &reasons);
	for (size_t i = 0; i < reasons.count; i++)
		sprintf(found + strlen(found), "%s%s", i ? " " : "", reasons.items[i].word);
	bind_facts_free(facts);
	CHECK_STR(found, words);
}

TEST(use_by_address_and_route)
{
	struct fake fake;

	begin(&fake);
	rename_port(&fake, 0, "lan0");
	rename_port(&fake, 1, "lan1");
	check_words(&fake, "");
	CHECK_EQ(run("ip link set lan0 up"), 0); /* the tree says that it is down */
	CHECK_EQ(run("ip address add 10.1.2.3/24 dev lan0"), 0);
	check_words(&fake, "interface-address");
	CHECK_EQ(run("ip route add 10.9.0.0/16 via 10.1.2.1"), 0);
	check_words(&fake, "interface-address");
	CHECK_EQ(run("ip route add default via 10.1.2.1"), 0);
	check_words(&fake, "interface-address default-route");
	CHECK_EQ(run("ip route del default && ip address flush dev lan0 &&"
		     " ip address add 2001:db8::2/64 dev lan0 nodad"),
		 0);
	check_words(&fake, "interface-address");
	CHECK_EQ(run("ip -6 route add default via 2001:db8::1 dev lan0 metric 5"), 0);
	check_words(&fake, "interface-address default-route");
	fake_end(&fake);
}

TEST(use_by_the_session)
{
	struct fake fake;

	begin(&fake);
	rename_port(&fake, 0, "lan0");
	rename_port(&fake, 1, "lan1");
	make_directory(at(&fake, "proc/self"));
	make_file(at(&fake, "proc/self/environ"), "A=1\0B=2", 8);
	make_text(at(&fake, "proc/self/stat"), "5 (a b) c) S 4 5 5 0\n");
	make_directory(at(&fake, "proc/4"));
	make_file(at(&fake, "proc/4/environ"), "A=1", 4);
	make_text(at(&fake, "proc/4/stat"), "4 (sudo) S 3 5 5 0\n");
	make_directory(at(&fake, "proc/3"));
	make_text(at(&fake, "proc/3/environ"), "SSH_CONNECTION=10.1.2.9 40000 10.1.2.3 22");
	CHECK_EQ(run("ip link set lan0 up && ip address add 10.7.0.1/24 dev lan1"), 0);
	check_words(&fake, "interface-address");
	CHECK_EQ(run("ip address add 10.1.2.3/24 dev lan0"), 0);
	check_words(&fake, "interface-address ssh interface-address");
	/* The way back is another than the way in. */
	make_text(at(&fake, "proc/3/environ"), "SSH_CONNECTION=10.7.0.9 40000 10.1.2.3 22");
	CHECK_EQ(run("ip link set lan1 up"), 0);
	check_words(&fake, "interface-address ssh interface-address ssh");
	make_text(at(&fake, "proc/3/environ"), "SSH_CONNECTION=fe80::1%lan1 40000 fe80::2%lan1 22");
	check_words(&fake, "interface-address interface-address ssh");
	make_text(at(&fake, "proc/3/environ"), "SSH_CONNECTION=nonsense");
	check_words(&fake, "interface-address interface-address");
	fake_end(&fake);
}

/* Through a bridge, of which the interface is a part. */
TEST(use_by_a_bridge)
{
	struct fake fake;

	begin(&fake);
	if (run("ip link add br0 type bridge 2>/dev/null"))
		SKIP("this kernel has no bridges");
	rename_port(&fake, 0, "lan0");
	CHECK_EQ(run("ip link set br0 up && ip address add 10.1.2.3/24 dev br0 &&"
		     " ip link set lan0 up master br0 && ip route add default via 10.1.2.1"),
		 0);
	make_directory(at(&fake, "sys/class/net/br0"));
	add_link(&fake, REAL "/" ADDRESS "/net/lan0/master", "sys/class/net/br0");
	add_link(&fake, REAL "/" ADDRESS "/net/lan0/upper_br0", "sys/class/net/br0");
	check_words(&fake, "enslaved default-route");
	fake_end(&fake);
}

TEST_MAIN
