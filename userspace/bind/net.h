/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What net-save.c and net-restore.c share. */
#ifndef BIND_NET_H
#define BIND_NET_H

#include <net/if.h>

#include "bind/bind.h"

#define NET_INTERFACES_MAX 32 /* of one function */
#define NET_MAC_SIZE	   65 /* in hexadecimal digits; "-": none */

struct net_interface {
	unsigned int index, port;
	char name[IF_NAMESIZE];
};

/* Those of the device, in the order of their ports; returns how many. */
size_t net_interfaces(const struct bind_env *env, const char *address,
		      struct net_interface interfaces[NET_INTERFACES_MAX]);

struct net_link {
	unsigned int index, mtu, queue;
	bool up;
	char name[IF_NAMESIZE], master[IF_NAMESIZE], mac[NET_MAC_SIZE];
};

int net_link_get(unsigned int index, struct net_link *link);

void net_to_hex(const void *bytes, size_t count, char *text, size_t size);

#endif
