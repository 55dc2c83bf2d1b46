/* SPDX-License-Identifier: MIT */
/*
 * The harness of all C tests.
 *
 *	#include "harness.h"
 *
 *	TEST(ring_wraps)
 *	{
 *		if (!have_device())
 *			SKIP("no device");
 *		CHECK_EQ(ring_next(7, 8), 0);
 *	}
 *
 *	TEST_MAIN
 *
 * A test ends at its first check that fails; its line is "ok NAME", "not ok NAME: FILE:LINE: EXPR
 * (VALUES)" or "skip NAME: REASON". The program exits with 1 if a test failed, else with 0; with an
 * argument it runs only the tests whose name contains it. Tests run in the order of the file; one
 * program may have several files, and TEST_MAIN in one of them.
 *
 * $TEST_JOBS tests run at once (default: 1), where they share nothing.
 *
 * Each test runs in a process of its own, so that what it leaves open or mapped is nobody else's
 * trouble, and a crash is a failure of that test alone. A check may be in a function that a test
 * calls, and in a child that it forks: one that fails ends the child with status 1. Not in a
 * thread: let that return what it found.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct harness_test {
	const char *name;
	void (*run)(void);
	struct harness_test *next;
	pid_t pid;
};

struct harness {
	struct harness_test *first, **last;
	const struct harness_test *running;
	pid_t pid; /* of the running test; a child that it forks has another */
};

extern struct harness harness; /* TEST_MAIN defines it */

#define TEST(title)                                                                         \
	static void test_##title(void);                                                     \
	static struct harness_test entry_##title = { .name = #title, .run = test_##title }; \
	__attribute__((constructor)) static void add_##title(void)                          \
	{                                                                                   \
		*harness.last = &entry_##title;                                             \
		harness.last = &entry_##title.next;                                         \
	}                                                                                   \
	static void test_##title(void)

#define TEST_MAIN                                            \
	struct harness harness = { .last = &harness.first }; \
	int main(int argc, char **argv)                      \
	{                                                    \
		return harness_run(argc > 1 ? argv[1] : ""); \
	}

#define HARNESS_FAIL(...) harness_end("not ok", __FILE__, __LINE__, __VA_ARGS__)

#define CHECK(expr)                                \
	do {                                       \
		if (!(expr))                       \
			HARNESS_FAIL("%s", #expr); \
	} while (0)

/* Integers of any type, errors among them. */
#define CHECK_EQ(a, b)                                                                             \
	do {                                                                                       \
		long long left_ = (long long)(a), right_ = (long long)(b);                         \
                                                                                                   \
		if (left_ != right_)                                                               \
			HARNESS_FAIL("%s == %s (%lld and %lld, 0x%llx and 0x%llx)", #a, #b, left_, \
				     right_, (unsigned long long)left_,                            \
				     (unsigned long long)right_);                                  \
	} while (0)

#define CHECK_STR(a, b)                                                                      \
	do {                                                                                 \
		const char *left_ = (a), *right_ = (b);                                      \
                                                                                             \
		if (strcmp(left_, right_))                                                   \
			HARNESS_FAIL("%s is %s (\"%s\" and \"%s\")", #a, #b, left_, right_); \
	} while (0)

#define SKIP(...) harness_end("skip", NULL, 0, __VA_ARGS__)

__attribute__((noreturn, format(printf, 4, 5))) static inline void harness_end(
	const char *verdict, const char *file, int line, const char *format, ...)
{
	va_list args;

	printf("%s %s: ", verdict, harness.running->name);
	if (file)
		printf("%s:%d: ", file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	_exit(file ? 1 : 0);
}

static inline void harness_start(struct harness_test *test)
{
	harness.running = test;
	test->pid = fork();
	if (test->pid)
		return;
	harness.pid = getpid();
	test->run();
	if (getpid() == harness.pid)
		printf("ok %s\n", test->name);
	fflush(stdout);
	/* By exit, so that a leak checker has its say. */
	exit(0);
}

/* Waits for a test, whichever ends first; returns whether it failed. */
static inline int harness_finish(void)
{
	const struct harness_test *test = harness.first;
	int status = 0;
	pid_t pid;

	do
		pid = wait(&status);
	while (pid < 0 && errno == EINTR); /* a signal that is for the tests */
	while (test && test->pid != pid)
		test = test->next;
	if (!test)
		return 1;
	if (WIFSIGNALED(status))
		printf("not ok %s: killed by signal %d\n", test->name, WTERMSIG(status));
	else if (WEXITSTATUS(status) > 1)
		printf("not ok %s: ended with status %d\n", test->name, WEXITSTATUS(status));
	return !!status;
}

static inline int harness_run(const char *wanted)
{
	const char *jobs = getenv("TEST_JOBS");
	int limit = jobs ? atoi(jobs) : 1, running = 0, failed = 0;
	struct harness_test *test;

	setvbuf(stdout, NULL, _IOLBF, 0); /* nothing is left to be printed twice after a fork */
	for (test = harness.first; test; test = test->next) {
		if (!strstr(test->name, wanted))
			continue;
		for (; running && running >= limit; running--)
			failed |= harness_finish();
		harness_start(test);
		if (test->pid < 0) {
			printf("not ok %s: it could not be started\n", test->name);
			failed = 1;
		} else {
			running++;
		}
	}
	for (; running; running--)
		failed |= harness_finish();
	return failed;
}

#endif
