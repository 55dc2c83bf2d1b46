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
 * @state:   the journal: what devices had before. As driver_override, it ends with the machine's
 *           uptime
 * @lib:     the same of devices that @rules bind again at the next start
 * @rules:   udev's rules
 * @udev:    udev's own notes, by which it is seen whether it is done with an interface
 * @modprobe: the program that loads modules; NULL: none are
 * @program: this program, for @rules; NULL: they do without
 * @wait_ms: how long an interface may take to come back
 * @write:   how to write @value to @path, a file in sysfs; NULL is a plain write
 * @driver:  the one that devices are bound to; NULL is userpci
 */
struct bind_env {
	const char *sys;
	const char *proc;
	const char *devices;
	const char *dev;
	const char *state;
	const char *lib;
	const char *rules;
	const char *udev;
	const char *modprobe;
	const char *program;
	unsigned int wait_ms;
	int (*write)(const struct bind_env *env, const char *path, const char *value);
	const char *driver;
};

/* The choice: what matches @slot and @id together and what is at @addresses, or else all. */
struct bind_query {
	const char *slot;	      /* as lspci -s, or NULL */
	const char *id;		      /* as lspci -d, or NULL */
	const char *const *addresses; /* [DDDD:]BB:DD.F */
	size_t address_count;
	bool ours;  /* and of these, only what is bound, claimed or recorded */
	bool names; /* look names up in pci.ids */
};

struct bind_device {
	char address[BIND_ADDRESS_SIZE];
	uint16_t class, vendor, device;
	uint8_t header_type;
	bool bound;    /* env->driver is its driver */
	bool claimed;  /* its driver_override is that: after a bind, even one cut short */
	bool recorded; /* the journal has what it is to get back, whichever driver it is bound to */
	char driver[BIND_NAME_SIZE]; /* empty: none */
	char *name;		     /* "Class: Vendor Device", or NULL */
};

/* env->driver, or its default. */
const char *bind_driver(const struct bind_env *env);

struct bind_list {
	struct bind_device *devices;
	size_t count;
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
 * The reasons against binding @device to env->driver, together with all of @with (NULL: alone);
 * against unbinding it from there, or from what the journal says that it is bound to. None for a
 * device that is bound already. Nothing is changed.
 */
void bind_check(const struct bind_facts *facts, const struct bind_device *device,
		const struct bind_list *with, struct bind_reasons *reasons);
void unbind_check(const struct bind_facts *facts, const struct bind_device *device,
		  const struct bind_list *with, struct bind_reasons *reasons);

/* Whether they forbid it. */
bool bind_refused(const struct bind_reasons *reasons, bool force);

/*
 * bind.c: one device. bind_device() undoes what it has done when it fails; bind_undo() undoes it
 * later, to what the device had before this call and not, perhaps, before an earlier one.
 */
int bind_device(const struct bind_env *env, const char *address, char *why);
int bind_undo(const struct bind_env *env, const char *address, char *why);
int unbind_device(const struct bind_env *env, const char *address, char *why);

/* Reads what may change of the device at @address again. */
void bind_device_read(const struct bind_env *env, struct bind_device *device);

/* Adds a text to @why, after "; " if there is one, and returns @err. */
__attribute__((format(printf, 3, 4))) int bind_why(char *why, int err, const char *format, ...);

/*
 * persist.c: rules by which udev claims a device for env->driver when it appears, before any driver
 * takes it, and has it bound. They hold from the next start on, and for what is plugged in.
 * persist_add() writes one for the slot that the device is in (and only while that device is), or
 * for all devices of its kind: vendor, device, subsystem. -EEXIST: there is another one.
 * persist_remove() removes one; PERSIST_FORGET: both. @removed counts.
 */
enum persist { PERSIST_NONE, PERSIST_BY_SLOT, PERSIST_BY_ID, PERSIST_FORGET };
int persist_add(const struct bind_env *env, const char *address, enum persist by);
int persist_remove(const struct bind_env *env, const char *address, enum persist by,
		   unsigned int *removed);
bool persist_has(const struct bind_env *env, const char *address, enum persist by);

/*
 * job.c: all or none of several devices, even if this process is killed. Check, job_begin(), bind
 * or unbind each and see to its rule, job_end(), under one state_lock(). Until job_end() the whole
 * is not done: job_recover() undoes a bind, in reverse order, and carries an unbind on; in the same
 * call when it fails, or in the next one. It calls @told for each device.
 */
enum job_verb { JOB_BIND, JOB_UNBIND };
int job_begin(const struct bind_env *env, enum job_verb verb, const struct bind_list *list,
	      enum persist persist);
int job_end(const struct bind_env *env);
void job_id(const struct bind_env *env, char id[48]); /* empty: none is under way */
bool job_is_pending(const struct bind_env *env);
int job_recover(const struct bind_env *env,
		void (*told)(void *data, enum job_verb verb, const char *address, int err,
			     const char *why),
		void *data);

/*
 * journal.c: what a device had before bind; empty: none. Each change of a record is all or nothing.
 *
 * struct bind_state
 * @driver, @override, @module: before the first bind; the module is the driver's
 * @to:         the driver that it was bound to
 * @call_driver, @call_override: before the last bind
 * @call:       the job of the last bind
 * @fresh:      that made the record
 * @returning:  an unbind has begun, and not ended well
 * @boot:       when: the kernel's boot_id
 * @ids:        which device: "vendor:device:subsystem vendor:subsystem device"
 * @interfaces: the lines of net_save()
 * @old:        it is of an earlier boot
 */
struct bind_state {
	char driver[BIND_NAME_SIZE], override[BIND_NAME_SIZE], module[BIND_NAME_SIZE];
	char to[BIND_NAME_SIZE];
	char call_driver[BIND_NAME_SIZE], call_override[BIND_NAME_SIZE];
	bool fresh, returning, old;
	char boot[40], ids[24], call[48];
	char *interfaces;
};

/* Makes the directory, and returns a descriptor; close it to unlock. */
int state_lock(const struct bind_env *env);

/* -ENOENT: no record, and an empty state. state_free() in any case. */
int state_load(const struct bind_env *env, const char *address, struct bind_state *state);
/* Whether it still says what is to be: not if others have given the device away since. */
bool state_holds(const struct bind_env *env, const char *address, const struct bind_state *state);
void state_free(struct bind_state *state);
int state_save(const struct bind_env *env, const char *address, const struct bind_state *state);
int state_forget(const struct bind_env *env, const char *address);
char **state_list(const struct bind_env *env); /* the addresses, as sysfs_list() */

/* Copies the record to where it outlives a restart, and removes that copy. */
int state_keep(const struct bind_env *env, const char *address);
int state_drop(const struct bind_env *env, const char *address);

/* What of the device and the kernel is now: for @boot and @ids. */
void state_identify(const struct bind_env *env, const char *address, struct bind_state *state);

/*
 * net-save.c: the settings of the interfaces of the device: lines of text, to be freed; NULL: none.
 * net-restore.c: puts them back, once the interfaces are there. What can not be is in @why.
 */
int net_save(const struct bind_env *env, const char *address, char **lines);
int net_restore(const struct bind_env *env, const char *address, const char *lines, char *why);

/*
 * replace.c: @path with @text, at once; and without it, and without what a call that was cut short
 * has left beside it. -ENOENT: there was none.
 */
int file_replace(const char *path, const char *text);
int file_remove(const char *path);

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
int sysfs_driver(const struct bind_env *env, const char *address,
		 char name[BIND_NAME_SIZE]); /* empty: none */
int sysfs_override(const struct bind_env *env, const char *address,
		   char name[BIND_NAME_SIZE]); /* likewise */
char **sysfs_list(const struct bind_env *env, const char *directory, const char *name,
		  const char *attribute); /* in order, then NULL; NULL alone: nothing there */
char **sysfs_below(const struct bind_env *env, const char *path,
		   const char *class); /* likewise: members of class/net, say, at or below @path */
void sysfs_list_free(char **names);

#endif
