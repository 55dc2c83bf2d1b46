/* SPDX-License-Identifier: MIT */
/*
 * The process that binds, unbinds or recovers is killed before each of its system calls that change
 * anything, in turn. What is found then must be, after the recovery that the next call begins with,
 * as if the call had not been made, or (an unbind, or one that had got to its end) as if it had.
 */
#include "fake-sysfs.h"

#define OTHER "0000:00:05.0"

struct scene {
	struct fake fake;
	struct bind_device devices[2];
	struct bind_list list;
};

static void scene_begin(struct scene *scene)
{
	fake_begin(&scene->fake);
	add_device(&scene->fake, OTHER, "0x8086\n", "0x10d3\n", "");
	make_text(at(&scene->fake, REAL "/" OTHER "/driver_override"), "other\n");
	scene->devices[0] = device_at(&scene->fake, ADDRESS);
	scene->devices[1] = device_at(&scene->fake, OTHER);
	scene->list = (struct bind_list){ scene->devices, 2 };
}

/* --- Calls, as the tool makes them --- */

static void call_bind(struct scene *scene)
{
	const struct bind_env *env = &scene->fake.env;
	char why[BIND_WHY_SIZE];
	int lock = state_lock(env);

	CHECK_EQ(job_begin(env, JOB_BIND, &scene->list, PERSIST_BY_SLOT), 0);
	for (size_t i = 0; i < 2; i++)
		CHECK_EQ(bind_device(env, scene->devices[i].address, why), 0);
	for (size_t i = 0; i < 2; i++)
		CHECK_EQ(persist_add(env, scene->devices[i].address, PERSIST_BY_SLOT), 0);
	CHECK_EQ(job_end(env), 0);
	close(lock);
}

static void call_unbind(struct scene *scene)
{
	const struct bind_env *env = &scene->fake.env;
	char why[BIND_WHY_SIZE];
	int lock = state_lock(env);
	unsigned int removed;

	CHECK_EQ(job_begin(env, JOB_UNBIND, &scene->list, PERSIST_FORGET), 0);
	for (size_t i = 0; i < 2; i++)
		CHECK_EQ(unbind_device(env, scene->devices[i].address, why), 0);
	for (size_t i = 0; i < 2; i++)
		CHECK_EQ(persist_remove(env, scene->devices[i].address, PERSIST_FORGET, &removed),
			 0);
	CHECK_EQ(job_end(env), 0);
	close(lock);
}

static void told(void *data, enum job_verb verb, const char *address, int err, const char *why)
{
	(void)data;
	(void)verb;
	(void)address;
	CHECK_EQ(err, 0);
	CHECK_STR(why, "");
}

static void call_recover(struct scene *scene)
{
	int lock = state_lock(&scene->fake.env);

	CHECK_EQ(job_recover(&scene->fake.env, told, NULL), 0);
	close(lock);
}

/* --- The kill --- */

struct kill {
	struct scene *scene;
	void (*call)(struct scene *scene);
};

static void run_call(void *data)
{
	const struct kill *kill = data;

	kill->call(kill->scene);
}

/* Runs @call in a child that is killed before its @n-th change. False: it has not so many. */
static bool run_and_kill(struct scene *scene, void (*call)(struct scene *scene), unsigned int n)
{
	struct kill kill = { scene, call };
	int status;

	switch (kill_at(n, run_call, &kill, &status)) {
	case KILL_NONE:
		SKIP("no process may be traced here");
	case KILL_DONE:
		return true;
	case KILL_ENDED:
		break;
	}
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
	return false;
}

/* --- What must be --- */

static void check_device(const struct scene *scene, const char *address, const char *driver,
			 const char *override)
{
	char now[BIND_NAME_SIZE];

	CHECK_EQ(sysfs_driver(&scene->fake.env, address, now), 0);
	CHECK_STR(now, driver);
	CHECK_EQ(sysfs_override(&scene->fake.env, address, now), 0);
	CHECK_STR(now, override);
}

/* Of files that a call leaves there are only those that belong to a device that is bound. */
static void check_files(const struct scene *scene, const char *directory, unsigned int expected)
{
	const struct bind_env at_directory = { .sys = directory };
	char **names = sysfs_list(&at_directory, "", "", "");
	unsigned int count = 0;

	(void)scene;
	for (char **name = names; names && *name; name++) {
		if (!strcmp(*name, "lock") || strstr(*name, ".new"))
			continue;
		count++;
	}
	sysfs_list_free(names);
	CHECK_EQ(count, expected);
}

static void check_before(const struct scene *scene)
{
	check_device(scene, ADDRESS, "e1000", "");
	check_device(scene, OTHER, "", "other");
	check_files(scene, scene->fake.state, 0);
	check_files(scene, scene->fake.rules, 0);
	check_files(scene, scene->fake.lib, 0);
}

static void check_bound(const struct scene *scene)
{
	check_device(scene, ADDRESS, "userpci", "userpci");
	check_device(scene, OTHER, "userpci", "userpci");
	check_files(scene, scene->fake.state, 2);
	check_files(scene, scene->fake.rules, 2);
	check_files(scene, scene->fake.lib, 2);
}

static bool is_pending(const struct scene *scene)
{
	return job_is_pending(&scene->fake.env);
}

static bool is_bound(const struct scene *scene)
{
	return device_at(&scene->fake, ADDRESS).bound && device_at(&scene->fake, OTHER).bound;
}

TEST(bind_killed)
{
	struct scene scene;
	bool killed = true, pending, bound;

	for (unsigned int n = 1; killed; n++) {
		scene_begin(&scene);
		killed = run_and_kill(&scene, call_bind, n);
		pending = is_pending(&scene);
		bound = is_bound(&scene);
		CHECK(killed || (bound && !pending));
		call_recover(&scene);
		if (bound && !pending)
			check_bound(&scene);
		else
			check_before(&scene);
		fake_end(&scene.fake);
		CHECK(!killed || n < 1000);
		CHECK(killed || n > 25); /* it has some to be killed at */
	}
}

TEST(unbind_killed)
{
	struct scene scene;
	bool killed = true, pending, bound;

	for (unsigned int n = 1; killed; n++) {
		scene_begin(&scene);
		call_bind(&scene);
		killed = run_and_kill(&scene, call_unbind, n);
		pending = is_pending(&scene);
		bound = is_bound(&scene);
		call_recover(&scene);
		if (bound && !pending)
			check_bound(&scene);
		else
			check_before(&scene);
		fake_end(&scene.fake);
		CHECK(killed || n > 20);
	}
}

/* The recovery of a bind that was killed at some moments is killed at each moment. */
TEST(recovery_killed)
{
	struct scene scene;
	bool killed;

	for (unsigned int moment = 5; moment < 100; moment += 7) {
		killed = true;
		for (unsigned int n = 1; killed; n++) {
			scene_begin(&scene);
			if (!run_and_kill(&scene, call_bind, moment) || !is_pending(&scene)) {
				fake_end(&scene.fake);
				break;
			}
			killed = run_and_kill(&scene, call_recover, n);
			call_recover(&scene);
			check_before(&scene);
			fake_end(&scene.fake);
		}
	}
}

/* Two devices that were bound before, to another driver, go back to that. */
static void call_rebind(struct scene *scene)
{
	call_bind(scene);
}

TEST(second_bind_killed)
{
	char why[BIND_WHY_SIZE];
	struct scene scene;
	bool killed = true, pending, bound;

	for (unsigned int n = 1; killed; n++) {
		scene_begin(&scene);
		add_driver(&scene.fake, "vfio-pci");
		scene.fake.env.driver = "vfio-pci";
		for (size_t i = 0; i < 2; i++)
			CHECK_EQ(bind_device(&scene.fake.env, scene.devices[i].address, why), 0);
		scene.fake.env.driver = NULL;
		killed = run_and_kill(&scene, call_rebind, n);
		pending = is_pending(&scene);
		bound = is_bound(&scene);
		call_recover(&scene);
		if (bound && !pending) {
			check_bound(&scene);
		} else {
			check_device(&scene, ADDRESS, "vfio-pci", "vfio-pci");
			check_device(&scene, OTHER, "vfio-pci", "vfio-pci");
			check_files(&scene, scene.fake.state, 2);
			check_files(&scene, scene.fake.rules, 0);
		}
		call_unbind(&scene);
		check_before(&scene);
		fake_end(&scene.fake);
	}
}

TEST_MAIN
