// SPDX-License-Identifier: MIT
/* Running a row, and saying what came of it. */
#include <signal.h>
#include <sys/prctl.h>

#include "conformance.h"

#define WORDS	  256
#define TIMEOUT_S 120

/* Where the running row writes its words. */
static int words_fd;

void row_end(const char *format, ...)
{
	char words[WORDS];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	if (write(words_fd, words, strlen(words)) < 0)
		_exit(1);
	_exit(0);
}

const char *outcome(long result)
{
	return result >= 0 ? "ok" : strerrorname_np((int)-result);
}

const char *outcome_of_call(long result)
{
	return result == -1 ? strerrorname_np(errno) : "ok";
}

const char *outcome_of_map(const void *va)
{
	return va == MAP_FAILED ? strerrorname_np(errno) : "ok";
}

const char *outcome_of_fixed(const void *va)
{
	return va == MAP_FAILED ? strerrorname_np(errno) : "replaced";
}

pid_t child_start(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

int child_end(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

void child_kill(pid_t pid)
{
	CHECK_EQ(kill(pid, SIGKILL), 0);
	child_end(pid);
}

static int debugger_open(void)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

long debugger_read(const volatile void *va, void *data, size_t bytes)
{
	int fd = debugger_open();
	long n = pread(fd, data, bytes, (off_t)(uintptr_t)va);

	n = n < 0 ? -errno : n;
	close(fd);
	return n;
}

long debugger_write(const volatile void *va, const void *data, size_t bytes)
{
	int fd = debugger_open();
	long n = pwrite(fd, data, bytes, (off_t)(uintptr_t)va);

	n = n < 0 ? -errno : n;
	close(fd);
	return n;
}

long memory_free_kib(void)
{
	char line[128];
	long kib = -1;
	FILE *f = fopen("/proc/meminfo", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %ld", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

/* Messages of the kernel that no call may cause. */
static const char *const complaints[] = { "freeing invalid memtype", "WARNING:", "BUG:", "Oops",
					  "page allocation failure" };

/* The kernel's log, from here on. */
static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(lseek(fd, 0, SEEK_END) >= 0);
	return fd;
}

/* The first complaint that has come since; NULL: none. */
static const char *log_complaint(int fd)
{
	char record[8192];
	ssize_t n;
	size_t i;

	while ((n = read(fd, record, sizeof(record) - 1)) >= 0 || errno == EPIPE) {
		record[n > 0 ? n : 0] = 0;
		for (i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++)
			if (strstr(record, complaints[i]))
				return complaints[i];
	}
	return NULL;
}

static void row_run(const struct row *row, int fd)
{
	words_fd = fd;
	alarm(TIMEOUT_S);
	row_end("%s", row->run());
}

/* What came of the row; the process ends when it could not be tried, for its check has said why. */
static void row_try(const struct row *row, char *words)
{
	int out[2], log = log_open(), status;
	const char *complaint;
	ssize_t n;
	pid_t pid;

	CHECK_EQ(pipe2(out, O_NONBLOCK), 0);
	pid = child_start();
	if (!pid)
		row_run(row, out[1]);
	status = child_end(pid);
	if (status && status < SIGNALLED)
		_exit(1);
	n = read(out[0], words, WORDS - 1);
	words[n > 0 ? n : 0] = 0;
	if (status)
		snprintf(words, WORDS, "SIG%s", sigabbrev_np(status - SIGNALLED));
	complaint = log_complaint(log);
	if (complaint)
		snprintf(words + strlen(words), WORDS - strlen(words), "; the kernel logs '%s'",
			 complaint);
}

/* Whether the outcome is one of those between "|". */
static int is_expected(const char *expected, const char *words)
{
	size_t length = strlen(words);
	const char *at = expected;

	while (at) {
		if (!strncmp(at, words, length) && (!at[length] || at[length] == '|'))
			return 1;
		at = strchr(at, '|');
		at += !!at;
	}
	return 0;
}

/* Whether it failed. */
static int row_judge(const struct row *row, const char *words)
{
	if (!strcmp(words, NO_SUCH_CALL)) {
		printf("skip %s: the kernel has no such call\n", row->name);
		return 0;
	}
	if (is_expected(row->expected, words)) {
		printf("ok %s\n", row->name);
		return 0;
	}
	printf("not ok %s: got %s, expected %s\n", row->name, words, row->expected);
	return 1;
}

void row_report(const struct row *row)
{
	char words[2 * WORDS];
	int bad = 0;

	row_try(row, words);
	printf("row\t%s\t%s\t%s\t%s\n", row->section, row->name, row->title, words);
	if (is_userpci())
		bad = row_judge(row, words);
	fflush(stdout);
	_exit(bad);
}
