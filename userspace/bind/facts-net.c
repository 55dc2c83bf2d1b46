// SPDX-License-Identifier: GPL-2.0-or-later
/* Which network interfaces have addresses, default routes, and the ssh session we may run in. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/netlink.h"
#include "bind/use.h"

static int add(struct bind_facts *facts, enum fact_net_kind kind, unsigned int index,
	       const char *text)
{
	struct fact_net *nets = fact_grow(facts->nets, facts->net_count, sizeof(*nets));
	struct fact_net *net;

	if (!nets)
		return -ENOMEM;
	facts->nets = nets;
	net = &nets[facts->net_count];
	net->kind = kind;
	if (!if_indextoname(index, net->name))
		return 0; /* it went away meanwhile */
	snprintf(net->text, sizeof(net->text), "%s", text);
	facts->net_count++;
	return 0;
}

static int add_address(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(message);
	const struct nlattr *attributes[IFA_MAX + 1], *address;
	char text[INET6_ADDRSTRLEN + 8];

	netlink_attributes(message, sizeof(*head), IFA_MAX, attributes);
	/* Of a point-to-point link IFA_ADDRESS is the other end's. */
	address = attributes[IFA_LOCAL] ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
	if (!address || head->ifa_scope == RT_SCOPE_LINK || /* each that is up has one */
	    !inet_ntop(head->ifa_family, mnl_attr_get_payload(address), text, sizeof(text)))
		return 0;
	snprintf(text + strlen(text), 8, "/%u", head->ifa_prefixlen);
	return add(data, FACT_ADDRESS, head->ifa_index, text);
}

static int add_hops(struct bind_facts *facts, const struct nlattr *hops)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(hops);
	int left = mnl_attr_get_payload_len(hops), err = 0;

	for (; !err && RTNH_OK(hop, left); hop = RTNH_NEXT(hop)) {
		err = add(facts, FACT_DEFAULT, (unsigned int)hop->rtnh_ifindex, "");
		left -= RTNH_ALIGN(hop->rtnh_len);
	}
	return err;
}

static int add_route(const struct nlmsghdr *message, void *data)
{
	const struct rtmsg *head = mnl_nlmsg_get_payload(message);
	const struct nlattr *attributes[RTA_MAX + 1];

	if (head->rtm_dst_len || head->rtm_type != RTN_UNICAST)
		return 0;
	netlink_attributes(message, sizeof(*head), RTA_MAX, attributes);
	if (attributes[RTA_MULTIPATH])
		return add_hops(data, attributes[RTA_MULTIPATH]);
	if (attributes[RTA_OIF])
		return add(data, FACT_DEFAULT, mnl_attr_get_u32(attributes[RTA_OIF]), "");
	return 0;
}

/* The session */

/* SSH_CONNECTION in the environment of @pid. */
static bool session_of(const struct bind_env *env, const char *pid, char *session, size_t size)
{
	static const char name[] = "SSH_CONNECTION=";
	char path[PATH_MAX], *variable = NULL;
	size_t room = 0;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/environ", env->proc, pid);
	file = fopen(path, "re");
	while (file && !found && getdelim(&variable, &room, '\0', file) > 0)
		if (!strncmp(variable, name, strlen(name))) {
			snprintf(session, size, "%s", variable + strlen(name));
			found = true;
		}
	free(variable);
	if (file)
		fclose(file);
	return found;
}

/* Spec: proc(5), stat: "PID (COMMAND) STATE PARENT ..."; the command may hold anything. */
static bool parent_of(const struct bind_env *env, char pid[16])
{
	const struct bind_env proc = { .sys = env->proc };
	char text[1024], *rest;

	if (sysfs_read(&proc, pid, "", "stat", text, sizeof(text)))
		return false;
	rest = strrchr(text, ')');
	return rest && sscanf(rest, ") %*c %15s", pid) == 1 && strcmp(pid, "0") != 0;
}

/* Its own, or an ancestor's: sudo takes it away from its command. */
static bool find_session(const struct bind_env *env, char *session, size_t size)
{
	char pid[16] = "self";

	do
		if (session_of(env, pid, session, size))
			return true;
	while (parent_of(env, pid));
	return false;
}

static int add_way(const struct nlmsghdr *message, void *data)
{
	const struct nlattr *attributes[RTA_MAX + 1];

	if (message->nlmsg_type != RTM_NEWROUTE)
		return 0;
	netlink_attributes(message, sizeof(struct rtmsg), RTA_MAX, attributes);
	if (!attributes[RTA_OIF])
		return 0;
	return add(data, FACT_SSH, mnl_attr_get_u32(attributes[RTA_OIF]), "");
}

/* By which interface packets to @address leave. */
static int add_way_to(struct bind_facts *facts, const char *address)
{
	char buffer[NETLINK_MESSAGE_SIZE];
	struct in6_addr destination;
	int family = strchr(address, ':') ? AF_INET6 : AF_INET, err;
	size_t size = family == AF_INET ? 4 : 16;
	struct nlmsghdr *message;
	struct rtmsg *head;
	void *start;

	if (inet_pton(family, address, &destination) != 1)
		return 0;
	message = netlink_begin(buffer, RTM_GETROUTE, 0, sizeof(*head), &start);
	head = start;
	head->rtm_family = (unsigned char)family;
	head->rtm_dst_len = (unsigned char)(8 * size);
	mnl_attr_put(message, RTA_DST, size, &destination);
	err = netlink_talk(message, add_way, facts);
	return err == -ENOMEM ? err : 0; /* no way there: none to lose */
}

/* "CLIENT PORT SERVER PORT"; a link's own address has "%INTERFACE" behind it. */
static int add_session(struct bind_facts *facts)
{
	char session[256], client[64], server[64];
	size_t count = facts->net_count;
	const char *scope;
	int err;

	if (!find_session(facts->env, session, sizeof(session)) ||
	    sscanf(session, "%63s %*s %63s", client, server) != 2)
		return 0;
	scope = strchr(client, '%');
	if (scope)
		return add(facts, FACT_SSH, if_nametoindex(scope + 1), "");
	err = add_way_to(facts, client);
	for (size_t i = 0; i < count && !err; i++) {
		const struct fact_net *net = &facts->nets[i];

		if (net->kind == FACT_ADDRESS && !strncmp(net->text, server, strlen(server)) &&
		    net->text[strlen(server)] == '/')
			err = add(facts, FACT_SSH, if_nametoindex(net->name), "");
	}
	return err;
}

int facts_read_net(struct bind_facts *facts)
{
	int err = netlink_list(RTM_GETADDR, AF_UNSPEC, add_address, facts);

	if (!err)
		err = netlink_list(RTM_GETROUTE, AF_INET, add_route, facts);
	if (!err)
		err = netlink_list(RTM_GETROUTE, AF_INET6, add_route, facts);
	return err ? err : add_session(facts);
}
