/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's routing netlink: one question, one list, or one order at a time. */
#ifndef BIND_NETLINK_H
#define BIND_NETLINK_H

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#define NETLINK_MESSAGE_SIZE 4096 /* of what is sent */

/* Begins a message of @type with a head of @size bytes, zeroed, in @buffer. */
struct nlmsghdr *netlink_begin(char buffer[NETLINK_MESSAGE_SIZE], uint16_t type, uint16_t flags,
			       size_t size, void **head);

/*
 * Sends @message and calls @found (if any) with each message of the answer, until it returns
 * non-zero, which is then returned. With NLM_F_DUMP all that there are, else one, or the kernel's
 * -errno.
 */
int netlink_talk(struct nlmsghdr *message, int (*found)(const struct nlmsghdr *message, void *data),
		 void *data);

/* All links, addresses or routes: @type is RTM_GETLINK, RTM_GETADDR or RTM_GETROUTE. */
int netlink_list(uint16_t type, unsigned char family,
		 int (*found)(const struct nlmsghdr *message, void *data), void *data);

/* The attributes of a message behind a head of @size bytes, by their number, up to @max. */
void netlink_attributes(const struct nlmsghdr *message, size_t size, uint16_t max,
			const struct nlattr **attributes);

#endif
