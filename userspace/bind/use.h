/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the checks of check.c share: the facts that they look at, and the reasons that they add. */
#ifndef BIND_USE_H
#define BIND_USE_H

#include <limits.h>
#include <net/if.h>
#include <sys/types.h>

#include "bind/bind.h"

/* A file that a process has open or mapped. */
struct fact_open {
	dev_t dev, rdev; /* rdev: 0 unless it is a device node */
	ino_t ino;
	bool block;
	pid_t pid;
};

/* A file system that is mounted, in the mount namespace of @pid; 0: in our own. */
struct fact_mount {
	unsigned int major, minor;
	char *type, *source, *point;
	pid_t pid;
};

/* That the interface @name has an IP address (@text), a default route, our ssh session. */
enum fact_net_kind { FACT_ADDRESS, FACT_DEFAULT, FACT_SSH };

struct fact_net {
	enum fact_net_kind kind;
	char name[IF_NAMESIZE];
	char text[64];
};

struct bind_facts {
	const struct bind_env *env;
	bool probe;
	struct fact_open *opens;
	size_t open_count;
	struct fact_mount *mounts;
	size_t mount_count;
	ino_t *mount_spaces; /* the mount namespaces that were read */
	size_t mount_space_count;
	struct fact_net *nets;
	size_t net_count;
};

/* Returns @items, an array of @count items of @size bytes, with room for one more; NULL: no memory,
 * and they are as they were. */
void *fact_grow(void *items, size_t count, size_t size);

/* facts-mount.c: reads PID/mountinfo ("self": ours). */
int facts_read_mounts(struct bind_facts *facts, const char *pid);
void facts_free_mounts(struct bind_facts *facts);

/* facts-net.c */
int facts_read_net(struct bind_facts *facts);

/* What a check looks at and adds to. */
struct use {
	const struct bind_env *env;
	const struct bind_facts *facts;
	const struct bind_device *device;
	const struct bind_list *with;
	struct bind_reasons *reasons;
	char path
		[PATH_MAX]; /* the device's directory in sysfs, links followed; empty: it is gone */
};

enum use_force { USE_NEVER, USE_FORCE };

__attribute__((format(printf, 5, 6))) void use_add(struct use *use, const char *word, int err,
						   enum use_force force, const char *format, ...);

/* Calls @found for each member of @class, such as class/net, that is at or below @path. */
void use_each_below(struct use *use, const char *path, const char *class,
		    void (*found)(struct use *use, const char *name));

/* The command of a process, or "?". */
void use_command(const struct bind_env *env, pid_t pid, char command[32]);

/* The checks, each in the file of its name. */
void use_process(struct use *use);
void use_network(struct use *use);
void use_block(struct use *use);
void use_display(struct use *use);
void use_group(struct use *use);
void use_function(struct use *use);

#endif
