// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A call that concerns several devices: a file in the journal names them while it is under way. Its
 * removal is the one moment at which all that was done begins to hold.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bind/bind.h"

static const char *const verbs[] = { [JOB_BIND] = "bind", [JOB_UNBIND] = "unbind" };
static const char *const rules[] = {
	[PERSIST_NONE] = "-",
	[PERSIST_BY_SLOT] = "slot",
	[PERSIST_BY_ID] = "id",
	[PERSIST_FORGET] = "forget",
};

static void join(char path[PATH_MAX], const struct bind_env *env)
{
	snprintf(path, PATH_MAX, "%s/job", env->state);
}

/* Of a rule that is there already nothing is to be undone. */
static enum persist rule_of(const struct bind_env *env, const char *address, enum persist persist)
{
	bool is_new = persist == PERSIST_FORGET || !persist_has(env, address, persist);

	return is_new ? persist : PERSIST_NONE;
}

int job_begin(const struct bind_env *env, enum job_verb verb, const struct bind_list *list,
	      enum persist persist)
{
	char path[PATH_MAX], *text = NULL;
	struct timespec now;
	int err = -ENOMEM;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return err;
	clock_gettime(CLOCK_BOOTTIME, &now);
	fprintf(file, "%s %lld.%09ld-%d %s\n", verbs[verb], (long long)now.tv_sec, now.tv_nsec,
		(int)getpid(), bind_driver(env));
	for (size_t i = 0; i < list->count; i++)
		fprintf(file, "%s %s\n", list->devices[i].address,
			rules[rule_of(env, list->devices[i].address, persist)]);
	join(path, env);
	if (!fclose(file))
		err = file_replace(path, text);
	free(text);
	return err;
}

int job_end(const struct bind_env *env)
{
	char path[PATH_MAX];
	int err;

	join(path, env);
	err = file_remove(path);
	return err == -ENOENT ? 0 : err;
}

bool job_is_pending(const struct bind_env *env)
{
	char path[PATH_MAX];

	join(path, env);
	return !access(path, F_OK);
}

struct job_device {
	char address[BIND_ADDRESS_SIZE];
	enum persist persist;
};

struct job {
	enum job_verb verb;
	char id[48], driver[BIND_NAME_SIZE];
	struct job_device *devices;
	size_t count;
};

static int add_device(struct job *job, const char *line)
{
	struct job_device *devices = reallocarray(job->devices, job->count + 1,
						  sizeof(*job->devices));
	char rule[8] = "";

	if (!devices)
		return -ENOMEM;
	job->devices = devices;
	devices[job->count].persist = PERSIST_NONE;
	if (sscanf(line, "%23s %7s", devices[job->count].address, rule) != 2)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!strcmp(rule, rules[i]))
			devices[job->count].persist = (enum persist)i;
	job->count++;
	return 0;
}

static int job_load(const struct bind_env *env, struct job *job)
{
	char path[PATH_MAX], line[256], verb[8] = "";
	int err = 0;
	FILE *file;

	*job = (struct job){ 0 };
	join(path, env);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	if (!fgets(line, sizeof(line), file) ||
	    sscanf(line, "%7s %47s %127[^\n]", verb, job->id, job->driver) != 3)
		err = -EBADMSG;
	job->verb = strcmp(verb, verbs[JOB_UNBIND]) ? JOB_BIND : JOB_UNBIND;
	while (!err && fgets(line, sizeof(line), file))
		err = add_device(job, line);
	fclose(file);
	return err;
}

static void job_free(struct job *job)
{
	free(job->devices);
}

void job_id(const struct bind_env *env, char id[48])
{
	struct job job;

	job_load(env, &job);
	strcpy(id, job.id);
	job_free(&job);
}

/* An unbind of a device that has no record is done, or had not begun. */
static int carry_on(const struct bind_env *env, const char *address, char *why)
{
	struct bind_device device = { 0 };

	snprintf(device.address, sizeof(device.address), "%s", address);
	bind_device_read(env, &device);
	why[0] = '\0';
	if (!device.bound && !device.claimed && !device.recorded)
		return 0;
	return unbind_device(env, address, why);
}

static int recover_device(const struct bind_env *env, enum job_verb verb,
			  const struct job_device *device, char *why)
{
	unsigned int removed;
	int err, failed = 0;

	err = verb == JOB_BIND ? bind_undo(env, device->address, why)
			       : carry_on(env, device->address, why);
	if (device->persist != PERSIST_NONE)
		failed = persist_remove(env, device->address, device->persist, &removed);
	if (failed)
		bind_why(why, failed, "its rule in %s cannot be removed", env->rules);
	return err ? err : failed;
}

int job_recover(const struct bind_env *env,
		void (*told)(void *data, enum job_verb verb, const char *address, int err,
			     const char *why),
		void *data)
{
	char why[BIND_WHY_SIZE];
	struct bind_env its = *env;
	struct job job;
	int err = job_load(env, &job), failed;

	its.driver = job.driver;
	for (size_t i = job.count; !err && i-- > 0;) {
		failed = recover_device(&its, job.verb, &job.devices[i], why);
		told(data, job.verb, job.devices[i].address, failed, why);
	}
	job_free(&job);
	return err && err != -ENOENT ? err : job_end(env); /* also of one that had hardly begun */
}
