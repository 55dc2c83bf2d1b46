/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moving PCI devices between their kernel driver and userpci (or another driver that hands them to
 * processes), through sysfs.
 *
 * A device comes to userpci by driver_override alone, never by new_id, so no other device is
 * touched. What the device had before is on record before anything changes, and one function puts
 * it back: after a bind that failed or was killed, and on unbind.
 *
 * Functions return 0 or -errno. One that takes @why (BIND_WHY_SIZE bytes) leaves there what went
 * wrong and what to do about it, or an empty string; text beside a 0 is a note for the user.
 */
#ifndef BIND_BIND_H
#define BIND_BIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIND_DRIVER	  "userpci"
#define BIND_WHY_SIZE	  512
#define BIND_NAME_SIZE	  128 /* the name of a kernel driver */
#define BIND_ADDRESS_SIZE 24  /* DDDD:BB:DD.F; a domain may have more digits */

/**
 * struct bind_env - where things are
 * @sys:     sysfs
 * @proc:    procfs
 * @devices: /dev
 * @dev:     the directory of the module's device nodes
 * @state:   the directory of the records of what devices had before; gone when the machine restarts
 * @write:   how to write @value to @path, a file in sysfs; NULL is a plain write
 * @driver:  the one that devices are bound to; NULL is userpci
 */
struct bind_env {
	const char *sys;
	const char *proc;
	const char *devices;
	const char *dev;
	const char *state;
	int (*write)(const struct bind_env *env, const char *path, const char *value);
	const char *driver;
};

/* The choice: what matches @slot and @id together and what is at @addresses, or else all. */
struct bind_query {
	const char *slot;	      /* as lspci -s, or NULL */
	const char *id;		      /* as lspci -d, or NULL */
	const char *const *addresses; /* [DDDD:]BB:DD.F */
	size_t address_count;
	bool ours;  /* and of these, only what is bound or claimed */
	bool names; /* look names up in pci.ids */
};

struct bind_device {
	char address[BIND_ADDRESS_SIZE];
	uint16_t class, vendor, device;
	uint8_t header_type;
	bool bound;   /* env->driver is its driver */
	bool claimed; /* its driver_override is that: after a bind, even one cut short */
	char driver[BIND_NAME_SIZE]; /* empty: none */
	char *name;		     /* "Class: Vendor Device", or NULL */
};

/* env->driver, or its default. */
const char *bind_driver(const struct bind_env *env);

struct bind_list {
	struct bind_device *devices;
	size_t count;
};

/* What a device had before bind; empty: none. */
struct bind_state {
	char driver[BIND_NAME_SIZE];
	char driver_override[BIND_NAME_SIZE];
};

/*
 * select.c: the devices of @query, in order of address.
 * -EINVAL: an address or a filter is malformed. -ENODEV: an address or the filter matches nothing.
 */
int bind_list_get(const struct bind_env *env, const struct bind_query *query,
		  struct bind_list *list, char *why);
void bind_list_free(struct bind_list *list);

/*
 * check.c: why a device is to be left alone.
 *
 * struct bind_reason - one of the reasons
 * @word:      the kind, for scripts: "interface-up", "mounted"; the man page has them all
 * @err:       -errno
 * @can_force: --force passes over it
 * @text:      a sentence, with what to do about it
 */
struct bind_reason {
	const char *word;
	int err;
	bool can_force;
	char text[BIND_WHY_SIZE];
};

#define BIND_REASONS_MAX 16

struct bind_reasons {
	struct bind_reason items[BIND_REASONS_MAX];
	size_t count;
	bool never; /* not all of them can be forced */
};

/*
 * What the system says about who uses what: read once, for as many devices as are to be checked.
 * It is true when it was read, under the state_lock() if something is then changed. Who may not
 * look into other people's processes (who is not root) does not see all.
 * With @probe disks are claimed for a moment, to see whether anybody has; not for a mere list.
 */
struct bind_facts;
int bind_facts_get(const struct bind_env *env, bool probe, struct bind_facts **facts);
void bind_facts_free(struct bind_facts *facts);

/*
 * The reasons against binding @device to env->driver, together with all of @with (NULL: alone), and
 * against unbinding it from there. Changes nothing. None for a device that is bound already.
 */
void bind_check(const struct bind_facts *facts, const struct bind_device *device,
		const struct bind_list *with, struct bind_reasons *reasons);
void unbind_check(const struct bind_facts *facts, const struct bind_device *device,
		  struct bind_reasons *reasons);

/* Whether they forbid it. */
bool bind_refused(const struct bind_reasons *reasons, bool force);

/* bind.c: check, then bind or unbind, under one state_lock(). */
int bind_device(const struct bind_env *env, const char *address, char *why);
int unbind_device(const struct bind_env *env, const char *address, char *why);

/* Reads @driver, @bound and @claimed of the device at @address again. */
void bind_device_read(const struct bind_env *env, struct bind_device *device);

/* Adds a text to @why, after "; " if there is one, and returns @err. */
__attribute__((format(printf, 3, 4))) int bind_why(char *why, int err, const char *format, ...);

/*
 * state.c: state_lock() makes the directory and returns a descriptor; close it to unlock.
 * state_load() without a record is -ENOENT and an empty state.
 */
int state_lock(const struct bind_env *env);
int state_save(const struct bind_env *env, const char *address, const struct bind_state *state);
int state_load(const struct bind_env *env, const char *address, struct bind_state *state);
int state_forget(const struct bind_env *env, const char *address);

/* sysfs.c: the file @attribute of @directory/@name, a directory below @env->sys. */
#define SYSFS_DEVICES "bus/pci/devices"
#define SYSFS_DRIVERS "bus/pci/drivers"
int sysfs_read(const struct bind_env *env, const char *directory, const char *name,
	       const char *attribute, char *value, size_t size); /* up to the end of the line */
int sysfs_write(const struct bind_env *env, const char *directory, const char *name,
		const char *attribute, const char *value);
int sysfs_link(const struct bind_env *env, const char *directory, const char *name,
	       const char *attribute, char *target, size_t size); /* the last part of the target */
int sysfs_resolve(const struct bind_env *env, const char *directory, const char *name,
		  char *path); /* PATH_MAX bytes, all links followed */
char **sysfs_list(const struct bind_env *env, const char *directory, const char *name,
		  const char *attribute); /* in order, then NULL; NULL alone: nothing there */
void sysfs_list_free(char **names);

#endif
