// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "bind/netlink.h"

struct nlmsghdr *netlink_begin(char buffer[NETLINK_MESSAGE_SIZE], uint16_t type, uint16_t flags,
			       size_t size, void **head)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = 1;
	*head = mnl_nlmsg_put_extra_header(message, size);
	return message;
}

struct talk {
	int (*found)(const struct nlmsghdr *message, void *data);
	void *data;
	int result;
};

static int hear(const struct nlmsghdr *message, void *data)
{
	struct talk *talk = data;

	if (talk->found && !talk->result)
		talk->result = talk->found(message, talk->data);
	return MNL_CB_OK; /* to the end: what is left would be the next question's answer */
}

int netlink_talk(struct nlmsghdr *message, int (*found)(const struct nlmsghdr *message, void *data),
		 void *data)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct talk talk = { .found = found, .data = data };
	char buffer[32768]; /* the kernel's own limit of a part of a list */
	int more = MNL_CB_OK;

	if (!socket)
		return -errno;
	if ((message->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP) /* a flag of it is NLM_F_REPLACE */
		message->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
		more = -1;
	while (more > MNL_CB_STOP) {
		ssize_t got = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));

		more = got < 0 ? -1
			       : mnl_cb_run(buffer, (size_t)got, 1, mnl_socket_get_portid(socket),
					    hear, &talk);
	}
	if (more < 0)
		talk.result = -errno;
	mnl_socket_close(socket);
	return talk.result;
}

int netlink_list(uint16_t type, unsigned char family,
		 int (*found)(const struct nlmsghdr *message, void *data), void *data)
{
	char buffer[NETLINK_MESSAGE_SIZE];
	struct nlmsghdr *message;
	struct rtgenmsg *head;
	void *start;

	/* The longest of the three heads; the family comes first in all. */
	message = netlink_begin(buffer, type, NLM_F_DUMP, sizeof(struct ifinfomsg), &start);
	head = start;
	head->rtgen_family = family;
	return netlink_talk(message, found, data);
}

void netlink_attributes(const struct nlmsghdr *message, size_t size, uint16_t max,
			const struct nlattr **attributes)
{
	const struct nlattr *attribute;

	memset(attributes, 0, (max + 1u) * sizeof(*attributes));
	mnl_attr_for_each(attribute, message, size) if (mnl_attr_get_type(attribute) <= max)
		attributes[mnl_attr_get_type(attribute)] = attribute;
}
