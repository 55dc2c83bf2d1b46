// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The settings of a device's interfaces, as lines of text:
 *
 *	interface NAME up|down MTU MAC QUEUE MASTER
 *	address HEX SECONDS TEXT	of the interface above
 *	route HEX TEXT
 *
 * HEX is netlink's message, which says all there is to say; TEXT is for people. SECONDS is when, on
 * the clock since boot: an address may be lent for a time.
 *
 * Interfaces stand in the order of their ports, by which they are found again. What nobody set is
 * left out: routes and addresses that the kernel makes by itself, or has from a router.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bind/bind.h"
#include "bind/net.h"
#include "bind/netlink.h"

/* --- Which interfaces there are --- */

static int compare_interfaces(const void *a, const void *b)
{
	const struct net_interface *left = a, *right = b;

	if (left->port != right->port)
		return left->port < right->port ? -1 : 1;
	return left->index < right->index ? -1 : 1;
}

size_t net_interfaces(const struct bind_env *env, const char *address,
		      struct net_interface interfaces[NET_INTERFACES_MAX])
{
	char path[PATH_MAX], text[16], **names;
	size_t count = 0;

	if (sysfs_resolve(env, SYSFS_DEVICES, address, path))
		return 0;
	names = sysfs_below(env, path, "class/net");
	for (char **name = names; names && *name && count < NET_INTERFACES_MAX; name++) {
		struct net_interface *interface = &interfaces[count];

		interface->index = if_nametoindex(*name);
		if (!interface->index)
			continue;
		snprintf(interface->name, sizeof(interface->name), "%s", *name);
		interface->port = 0;
		if (!sysfs_read(env, "class/net", *name, "dev_port", text, sizeof(text)))
			interface->port = (unsigned int)strtoul(text, NULL, 10);
		count++;
	}
	sysfs_list_free(names);
	qsort(interfaces, count, sizeof(*interfaces), compare_interfaces);
	return count;
}

/* --- The link --- */

static int read_link(const struct nlmsghdr *message, void *data)
{
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(message);
	const struct nlattr *attributes[IFLA_TXQLEN + 1];
	struct net_link *link = data;

	if (message->nlmsg_type != RTM_NEWLINK)
		return 0;
	netlink_attributes(message, sizeof(*head), IFLA_TXQLEN, attributes);
	link->index = (unsigned int)head->ifi_index;
	link->up = head->ifi_flags & IFF_UP;
	if (attributes[IFLA_IFNAME])
		snprintf(link->name, sizeof(link->name), "%s",
			 mnl_attr_get_str(attributes[IFLA_IFNAME]));
	if (attributes[IFLA_MTU])
		link->mtu = mnl_attr_get_u32(attributes[IFLA_MTU]);
	if (attributes[IFLA_TXQLEN])
		link->queue = mnl_attr_get_u32(attributes[IFLA_TXQLEN]);
	if (attributes[IFLA_MASTER])
		if_indextoname(mnl_attr_get_u32(attributes[IFLA_MASTER]), link->master);
	if (attributes[IFLA_ADDRESS])
		net_to_hex(mnl_attr_get_payload(attributes[IFLA_ADDRESS]),
			   mnl_attr_get_payload_len(attributes[IFLA_ADDRESS]), link->mac,
			   sizeof(link->mac));
	return 0;
}

int net_link_get(unsigned int index, struct net_link *link)
{
	char buffer[NETLINK_MESSAGE_SIZE];
	struct nlmsghdr *message;
	struct ifinfomsg *head;
	void *start;

	*link = (struct net_link){ .mac = "-" };
	message = netlink_begin(buffer, RTM_GETLINK, 0, sizeof(*head), &start);
	head = start;
	head->ifi_index = (int)index;
	return netlink_talk(message, read_link, link);
}

/* --- Its addresses and routes --- */

void net_to_hex(const void *bytes, size_t count, char *text, size_t size)
{
	const unsigned char *byte = bytes;

	text[0] = '-';
	text[1] = '\0';
	for (size_t i = 0; i < count && 2 * i + 2 < size; i++)
		sprintf(text + 2 * i, "%02x", byte[i]);
}

struct collect {
	unsigned int index;
	FILE *lines;
	long long now_s;
};

static void print_message(FILE *lines, const char *what, const struct nlmsghdr *message)
{
	const unsigned char *bytes = mnl_nlmsg_get_payload(message);
	size_t count = mnl_nlmsg_get_payload_len(message);

	fprintf(lines, "%s ", what);
	for (size_t i = 0; i < count; i++)
		fprintf(lines, "%02x", bytes[i]);
}

/* The link's own, and those made of a router's prefix. */
static bool is_automatic(const struct ifaddrmsg *head, const struct nlattr **attributes)
{
	uint32_t flags = head->ifa_flags;

	if (head->ifa_family != AF_INET6)
		return false;
	if (attributes[IFA_FLAGS])
		flags = mnl_attr_get_u32(attributes[IFA_FLAGS]);
	return head->ifa_scope == RT_SCOPE_LINK ||
	       (flags & (IFA_F_TEMPORARY | IFA_F_MANAGETEMPADDR)) ||
	       (attributes[IFA_PROTO] &&
		mnl_attr_get_u8(attributes[IFA_PROTO]) == IFAPROT_KERNEL_RA);
}

static int collect_address(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(message);
	const struct nlattr *attributes[IFA_MAX + 1], *address;
	const struct collect *collect = data;
	char text[INET6_ADDRSTRLEN];

	if (head->ifa_index != collect->index)
		return 0;
	netlink_attributes(message, sizeof(*head), IFA_MAX, attributes);
	address = attributes[IFA_LOCAL] ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
	if (!address || is_automatic(head, attributes) ||
	    !inet_ntop(head->ifa_family, mnl_attr_get_payload(address), text, sizeof(text)))
		return 0;
	print_message(collect->lines, "address", message);
	fprintf(collect->lines, " %lld %s/%u\n", collect->now_s, text, head->ifa_prefixlen);
	return 0;
}

static void print_route(FILE *lines, const struct rtmsg *head, const struct nlattr **attributes)
{
	char text[INET6_ADDRSTRLEN] = "default";

	if (attributes[RTA_DST])
		inet_ntop(head->rtm_family, mnl_attr_get_payload(attributes[RTA_DST]), text,
			  sizeof(text));
	fprintf(lines, " %s", text);
	if (attributes[RTA_DST])
		fprintf(lines, "/%u", head->rtm_dst_len);
	if (attributes[RTA_GATEWAY] &&
	    inet_ntop(head->rtm_family, mnl_attr_get_payload(attributes[RTA_GATEWAY]), text,
		      sizeof(text)))
		fprintf(lines, " via %s", text);
	fputc('\n', lines);
}

static int collect_route(const struct nlmsghdr *message, void *data)
{
	const struct rtmsg *head = mnl_nlmsg_get_payload(message);
	const struct nlattr *attributes[RTA_MAX + 1];
	const struct collect *collect = data;

	netlink_attributes(message, sizeof(*head), RTA_MAX, attributes);
	if (!attributes[RTA_OIF] || mnl_attr_get_u32(attributes[RTA_OIF]) != collect->index)
		return 0;
	if ((head->rtm_flags & RTM_F_CLONED) || head->rtm_type == RTN_LOCAL ||
	    head->rtm_type == RTN_BROADCAST || head->rtm_type == RTN_MULTICAST ||
	    head->rtm_type == RTN_ANYCAST || head->rtm_table == RT_TABLE_LOCAL)
		return 0;
	if (head->rtm_protocol == RTPROT_KERNEL || head->rtm_protocol == RTPROT_REDIRECT ||
	    head->rtm_protocol == RTPROT_RA)
		return 0;
	/* A nexthop object is gone with its interface, and with it what it says. */
	if (attributes[RTA_NH_ID])
		return 0;
	print_message(collect->lines, "route", message);
	print_route(collect->lines, head, attributes);
	return 0;
}

/* In a bond it has another's MAC address; its own it is to have outside, and before it comes in. */
static void own_mac(const struct bind_env *env, struct net_link *link)
{
	char text[3 * NET_MAC_SIZE / 2], *to = link->mac;

	if (sysfs_read(env, "class/net", link->name, "bonding_slave/perm_hwaddr", text,
		       sizeof(text)))
		return;
	for (const char *from = text; *from && to < link->mac + NET_MAC_SIZE - 1; from++)
		if (*from != ':')
			*to++ = *from;
	*to = '\0';
}

static int save_one(const struct bind_env *env, FILE *lines, unsigned int index)
{
	struct collect collect = { .index = index, .lines = lines };
	struct timespec now;
	struct net_link link;
	int err = net_link_get(index, &link);

	if (err)
		return err;
	own_mac(env, &link);
	fprintf(lines, "interface %s %s %u %s %u %s\n", link.name, link.up ? "up" : "down",
		link.mtu, link.mac, link.queue, link.master[0] ? link.master : "-");
	clock_gettime(CLOCK_BOOTTIME, &now);
	collect.now_s = now.tv_sec;
	err = netlink_list(RTM_GETADDR, AF_UNSPEC, collect_address, &collect);
	if (!err)
		err = netlink_list(RTM_GETROUTE, AF_INET, collect_route, &collect);
	if (!err)
		err = netlink_list(RTM_GETROUTE, AF_INET6, collect_route, &collect);
	return err;
}

int net_save(const struct bind_env *env, const char *address, char **lines)
{
	struct net_interface interfaces[NET_INTERFACES_MAX];
	size_t count = net_interfaces(env, address, interfaces), size;
	FILE *file = open_memstream(lines, &size);
	int err = 0;

	if (!file)
		return -ENOMEM;
	for (size_t i = 0; i < count && !err; i++)
		err = save_one(env, file, interfaces[i].index);
	if (fclose(file) && !err)
		err = -ENOMEM;
	return err;
}
