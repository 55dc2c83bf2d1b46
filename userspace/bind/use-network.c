// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Network interfaces in use: those of the function, and of a virtio device or anything else below
 * it. What unbind puts back --force may take: settings, addresses, routes, the place in a bridge.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/use.h"

#define CLASS	  "class/net"
#define DEPTH_MAX 8 /* of bonds, bridges and VLANs on top of each other */

static const struct fact_net *find(const struct use *use, enum fact_net_kind kind, const char *name)
{
	for (size_t i = 0; i < use->facts->net_count; i++) {
		const struct fact_net *net = &use->facts->nets[i];

		if (net->kind == kind && !strcmp(net->name, name))
			return net;
	}
	return NULL;
}

static void check_up(struct use *use, const char *name)
{
	char flags[32];

	if (!sysfs_read(use->env, CLASS, name, "flags", flags, sizeof(flags)) &&
	    strtoul(flags, NULL, 0) & IFF_UP)
		use_add(use, "interface-up", -EBUSY, USE_FORCE,
			"%s is up; take it down with 'ip link set %s down', or use --force", name,
			name);
}

static void check_address(struct use *use, const char *name)
{
	const struct fact_net *address = find(use, FACT_ADDRESS, name);

	if (address)
		use_add(use, "interface-address", -EBUSY, USE_FORCE,
			"%s has the IP address %s; drop it with 'ip address flush dev %s', "
			"or use --force",
			name, address->text, name);
}

/* @below: the interface of the device, on which @name is built or which it is itself. */
static void check_traffic(struct use *use, const char *below, const char *name)
{
	char by[IF_NAMESIZE + 8] = "";

	if (strcmp(below, name))
		snprintf(by, sizeof(by), ", by %s,", name);
	if (find(use, FACT_DEFAULT, name))
		use_add(use, "default-route", -EBUSY, USE_FORCE,
			"%s%s carries a default route; --force takes the machine off that network",
			below, by);
	if (find(use, FACT_SSH, name))
		use_add(use, "ssh", -EBUSY, USE_FORCE,
			"%s%s carries the ssh session that this runs in; --force may end it", below,
			by);
}

static void check_uppers(struct use *use, const char *below, const char *name, int depth)
{
	char **files = sysfs_list(use->env, CLASS, name, "");

	for (char **file = files; files && *file && depth < DEPTH_MAX; file++)
		if (!strncmp(*file, "upper_", 6)) {
			check_traffic(use, below, *file + 6);
			check_uppers(use, below, *file + 6, depth + 1);
		}
	sysfs_list_free(files);
}

/* A bridge or bond stays when it loses an interface; a VLAN or macvlan does not. */
static void check_stack(struct use *use, const char *name)
{
	char **files = sysfs_list(use->env, CLASS, name, ""), master[IF_NAMESIZE];

	if (sysfs_link(use->env, CLASS, name, "master", master, sizeof(master)))
		master[0] = '\0';
	else
		use_add(use, "enslaved", -EBUSY, USE_FORCE,
			"%s is a part of %s; take it out with 'ip link set %s nomaster', "
			"or use --force",
			name, master, name);
	for (char **file = files; files && *file; file++)
		if (!strncmp(*file, "upper_", 6) && strcmp(*file + 6, master))
			use_add(use, "stacked", -EBUSY, USE_NEVER,
				"%s carries %s, which would be gone for good; delete that first "
				"with 'ip link delete %s'",
				name, *file + 6, *file + 6);
	sysfs_list_free(files);
}

static void check_interface(struct use *use, const char *name)
{
	check_up(use, name);
	check_address(use, name);
	check_stack(use, name);
	check_traffic(use, name, name);
	check_uppers(use, name, name, 0);
}

/*
 * An interface in another network namespace, a container's, does not show, but the directory that
 * it is in does. It would be gone from there, and come back here.
 */
static void check_namespace(struct use *use, const char *directory)
{
	const struct bind_env at = { .sys = directory };
	char **names = sysfs_list(&at, "net", "", "");

	if (names && !*names)
		use_add(use, "namespace", -EBUSY, USE_NEVER,
			"its interface is in another network namespace; move it back first with "
			"'ip -n NAME link set INTERFACE netns 1'");
	sysfs_list_free(names);
}

static void check_virtio_namespace(struct use *use, const char *name)
{
	char path[PATH_MAX];

	if (!sysfs_resolve(use->env, "bus/virtio/devices", name, path))
		check_namespace(use, path);
}

void use_network(struct use *use)
{
	use_each_below(use, use->path, CLASS, check_interface);
	if (use->path[0])
		check_namespace(use, use->path);
	use_each_below(use, use->path, "bus/virtio/devices", check_virtio_namespace);
}
