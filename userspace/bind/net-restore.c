// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Puts back what net-save.c has written down, when the former driver has its device again. All of
 * it can be done twice: a restore that was cut short is simply done again.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bind/net.h"
#include "bind/netlink.h"

#define STEP_MS 10

/* --- The interfaces come back some time after the driver --- */

/*
 * While udev runs it names an interface that is new, and makes a note of it twice: before it gives
 * the name, and when it is done, then with the time ("I:").
 */
static bool is_named(const struct bind_env *env, unsigned int index)
{
	char path[PATH_MAX], line[256];
	bool is_done = false;
	FILE *note;

	snprintf(path, sizeof(path), "%s/control", env->udev ? env->udev : "");
	if (!env->udev || access(path, F_OK))
		return true;
	snprintf(path, sizeof(path), "%s/data/n%u", env->udev, index);
	note = fopen(path, "re");
	while (note && !is_done && fgets(line, sizeof(line), note))
		is_done = !strncmp(line, "I:", 2);
	if (note)
		fclose(note);
	return is_done;
}

static bool are_named(const struct bind_env *env, const struct net_interface *interfaces,
		      size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!is_named(env, interfaces[i].index))
			return false;
	return true;
}

/* Until @wanted are there. That udev says nothing is no reason not to go on in the end. */
static size_t await_interfaces(const struct bind_env *env, const char *address, size_t wanted,
			       struct net_interface interfaces[NET_INTERFACES_MAX])
{
	for (unsigned int waited_ms = 0;; waited_ms += STEP_MS) {
		size_t count = net_interfaces(env, address, interfaces);

		if (waited_ms >= env->wait_ms ||
		    (count >= wanted && are_named(env, interfaces, count)))
			return count;
		usleep(1000 * STEP_MS);
	}
}

/* --- The link --- */

static struct nlmsghdr *link_message(char buffer[NETLINK_MESSAGE_SIZE], unsigned int index,
				     unsigned int flags, unsigned int change)
{
	struct nlmsghdr *message;
	struct ifinfomsg *head;
	void *start;

	message = netlink_begin(buffer, RTM_NEWLINK, 0, sizeof(*head), &start);
	head = start;
	head->ifi_index = (int)index;
	head->ifi_flags = flags;
	head->ifi_change = change;
	return message;
}

static int link_set_up(unsigned int index, bool up)
{
	char buffer[NETLINK_MESSAGE_SIZE];

	return netlink_talk(link_message(buffer, index, up ? IFF_UP : 0, IFF_UP), NULL, NULL);
}

static int link_set_number(unsigned int index, uint16_t attribute, uint32_t value)
{
	char buffer[NETLINK_MESSAGE_SIZE];
	struct nlmsghdr *message = link_message(buffer, index, 0, 0);

	mnl_attr_put_u32(message, attribute, value);
	return netlink_talk(message, NULL, NULL);
}

static int link_set_name(unsigned int index, const char *name)
{
	char buffer[NETLINK_MESSAGE_SIZE];
	struct nlmsghdr *message = link_message(buffer, index, 0, 0);

	mnl_attr_put_strz(message, IFLA_IFNAME, name);
	return netlink_talk(message, NULL, NULL);
}

static size_t from_hex(const char *text, unsigned char *bytes, size_t size)
{
	size_t count = 0;

	while (count < size && sscanf(text + 2 * count, "%2hhx", &bytes[count]) == 1)
		count++;
	return count;
}

static int link_set_mac(unsigned int index, const char *mac)
{
	char buffer[NETLINK_MESSAGE_SIZE];
	struct nlmsghdr *message = link_message(buffer, index, 0, 0);
	unsigned char bytes[NET_MAC_SIZE / 2];
	size_t count = from_hex(mac, bytes, sizeof(bytes));

	mnl_attr_put(message, IFLA_ADDRESS, count, bytes);
	return netlink_talk(message, NULL, NULL);
}

static int tell(char *why, const char *name, const char *what, int err)
{
	return err ? bind_why(why, err, "%s: its %s cannot be put back: %s", name, what,
			      strerror(-err))
		   : 0;
}

/* What can be changed only while the link is down: a name, an address, a place in a bond. */
static int restore_identity(const struct net_link *was, const struct net_link *now,
			    unsigned int master, char *why)
{
	bool is_in = master && !strcmp(now->master, was->master);
	int failed = 0;

	if (strcmp(now->name, was->name))
		failed |= tell(why, was->name, "name", link_set_name(now->index, was->name));
	if (is_in)
		return failed;
	if (strcmp(now->mac, was->mac) && was->mac[0] != '-')
		failed |= tell(why, was->name, "MAC address", link_set_mac(now->index, was->mac));
	if (master)
		failed |= tell(why, was->name, "master",
			       link_set_number(now->index, IFLA_MASTER, master));
	else if (was->master[0] != '-')
		failed |= bind_why(why, -ENODEV, "%s: %s, which it was a part of, is gone",
				   was->name, was->master);
	return failed;
}

static bool is_identical(const struct net_link *was, const struct net_link *now)
{
	if (strcmp(now->name, was->name))
		return false;
	if (was->master[0] != '-')
		return !strcmp(now->master, was->master);
	return !strcmp(now->mac, was->mac);
}

static int restore_link(const struct net_link *was, unsigned int index, char *why)
{
	unsigned int master = was->master[0] == '-' ? 0 : if_nametoindex(was->master);
	struct net_link now;
	int err = net_link_get(index, &now), failed = 0;

	if (err)
		return tell(why, was->name, "settings", err);
	if (now.mtu != was->mtu)
		failed |= tell(why, was->name, "MTU", link_set_number(index, IFLA_MTU, was->mtu));
	if (now.queue != was->queue)
		failed |= tell(why, was->name, "queue length",
			       link_set_number(index, IFLA_TXQLEN, was->queue));
	if (!is_identical(was, &now)) {
		if (now.up)
			failed |= tell(why, was->name, "state", link_set_up(index, false));
		failed |= restore_identity(was, &now, master, why);
		err = net_link_get(index, &now); /* a bond has set it up */
	}
	if (err || now.up != was->up)
		failed |= tell(why, was->name, "state", link_set_up(index, was->up));
	return failed ? -EIO : 0;
}

/* --- Addresses and routes --- */

/* Takes @spent_s from a time that is left; false: nothing is left of it. */
static bool shorten(uint32_t *left_s, long long spent_s)
{
	if (*left_s == UINT32_MAX) /* for ever */
		return true;
	*left_s = spent_s < *left_s ? *left_s - (uint32_t)spent_s : 0;
	return *left_s;
}

/* Whether the address is still ours after the time that has passed. */
static bool edit_address(struct nlmsghdr *message, unsigned int index, long long saved_s)
{
	struct ifaddrmsg *head = mnl_nlmsg_get_payload(message);
	const uint32_t passing = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED;
	struct ifa_cacheinfo *times;
	struct nlattr *attribute;
	struct timespec now;
	bool is_ours = true;
	uint32_t *flags;

	clock_gettime(CLOCK_BOOTTIME, &now);
	head->ifa_index = index;
	head->ifa_flags &= (unsigned char)~passing;
	mnl_attr_for_each(attribute, message, sizeof(*head))
	{
		switch (mnl_attr_get_type(attribute)) {
		case IFA_FLAGS:
			flags = mnl_attr_get_payload(attribute);
			*flags &= ~passing;
			break;
		case IFA_CACHEINFO:
			times = mnl_attr_get_payload(attribute);
			shorten(&times->ifa_prefered, now.tv_sec - saved_s);
			is_ours = shorten(&times->ifa_valid, now.tv_sec - saved_s);
			break;
		}
	}
	return is_ours;
}

static void edit_route(struct nlmsghdr *message, unsigned int index)
{
	struct rtmsg *head = mnl_nlmsg_get_payload(message);
	struct nlattr *attribute;

	head->rtm_flags &= RTNH_F_ONLINK;
	mnl_attr_for_each(attribute, message,
			  sizeof(*head)) if (mnl_attr_get_type(attribute) == RTA_OIF)
		memcpy(mnl_attr_get_payload(attribute), &index, sizeof(index));
}

/* @line: "address HEX SECONDS TEXT" or "route HEX TEXT". */
static int restore_message(const char *line, unsigned int index, const char *name, char *why)
{
	bool is_address = !strncmp(line, "address ", 8);
	const char *hex = strchr(line, ' ') + 1, *rest = strchr(hex, ' ');
	char buffer[NETLINK_MESSAGE_SIZE], *text;
	size_t count = rest ? (size_t)(rest - hex) / 2 : 0;
	struct nlmsghdr *message;
	long long saved_s = 0;
	void *payload;
	int err;

	if (!count || count > sizeof(buffer) / 2)
		return bind_why(why, -EBADMSG, "%s: the record is damaged: %s", name, line);
	/* Beside another's route to the same place, not in its stead. */
	message = is_address ? netlink_begin(buffer, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE,
					     count, &payload)
			     : netlink_begin(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND,
					     count, &payload);
	from_hex(hex, payload, count);
	if (is_address) {
		saved_s = strtoll(rest, &text, 10);
		rest = text;
		if (!edit_address(message, index, saved_s))
			return 0;
	} else {
		edit_route(message, index);
	}
	err = netlink_talk(message, NULL, NULL);
	if (err && err != -EEXIST)
		return bind_why(why, err, "%s:%.*s cannot be put back: %s", name,
				(int)strcspn(rest, "\n"), rest, strerror(-err));
	return 0;
}

/* --- All of it --- */

static const char *next_line(const char *line)
{
	line = strchr(line, '\n');
	return line ? line + 1 : "";
}

static bool is_interface(const char *line)
{
	return !strncmp(line, "interface ", 10);
}

/* The lines of one interface up to the next; routes last, those without a gateway first. */
static int restore_lines(const char *lines, unsigned int index, const char *name, char *why)
{
	static const char *const kinds[] = { "address ", "route ", "route " };
	int err = 0;

	for (size_t pass = 0; pass < 3; pass++)
		for (const char *line = lines; *line && !is_interface(line);
		     line = next_line(line)) {
			size_t length = strcspn(line, "\n");
			bool has_gateway = memmem(line, length, " via ", 5);

			if (!strncmp(line, kinds[pass], strlen(kinds[pass])) &&
			    (pass == 0 || has_gateway == (pass == 2)) &&
			    restore_message(line, index, name, why))
				err = -EIO;
		}
	return err;
}

static int restore_one(const char *line, unsigned int index, char *why)
{
	struct net_link was = { 0 };
	char state[8];
	int err;

	if (sscanf(line, "interface %15s %7s %u %64s %u %15s", was.name, state, &was.mtu, was.mac,
		   &was.queue, was.master) != 6)
		return bind_why(why, -EBADMSG, "the record is damaged: %.*s",
				(int)strcspn(line, "\n"), line);
	was.up = !strcmp(state, "up");
	if (!index)
		return bind_why(why, -ENODEV, "its interface %s does not come back", was.name);
	err = restore_link(&was, index, why);
	if (restore_lines(next_line(line), index, was.name, why))
		err = -EIO;
	return err;
}

int net_restore(const struct bind_env *env, const char *address, const char *lines, char *why)
{
	struct net_interface interfaces[NET_INTERFACES_MAX];
	size_t wanted = 0, count, i = 0;
	int err = 0;

	for (const char *line = lines; *line; line = next_line(line))
		wanted += is_interface(line);
	count = wanted ? await_interfaces(env, address, wanted, interfaces) : 0;
	for (const char *line = lines; *line; line = next_line(line)) {
		if (!is_interface(line))
			continue;
		if (restore_one(line, i < count ? interfaces[i].index : 0, why))
			err = -EIO;
		i++;
	}
	return err;
}
