/* SPDX-License-Identifier: MIT */
/*
 * Kills a process before the n-th of its system calls that change anything: those that write, name,
 * or remove files, and those that send to the kernel by netlink. Between two of them it makes no
 * difference when it dies.
 */
#ifndef TESTS_KILL_AT_H
#define TESTS_KILL_AT_H

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel's structures, and beside them glibc's of the same names. */
#define ptrace_syscall_info linux_ptrace_syscall_info
#include <linux/ptrace.h>
#undef ptrace_syscall_info

/* prctl(KILL_AT_MARK, 1): what follows, up to prctl(KILL_AT_MARK, 0), is one change. */
#define KILL_AT_MARK  0x6b696c6c

#define KILL_AT_COUNT 12 /* of system calls in the filter, but for openat */

enum kill_at { KILL_NONE, KILL_DONE, KILL_ENDED };

/* Stops the calling process for its tracer. */
static inline int kill_at_watch(void)
{
	static const unsigned int numbers[KILL_AT_COUNT] = {
		SYS_write, SYS_rename,	SYS_renameat, SYS_renameat2, SYS_unlink, SYS_unlinkat,
		SYS_mkdir, SYS_mkdirat, SYS_symlink,  SYS_prctl,     SYS_sendto, SYS_sendmsg,
	};
	struct sock_filter filter[KILL_AT_COUNT + 6];
	struct sock_fprog program = { KILL_AT_COUNT + 6, filter };
	size_t at = 0;

	filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						    offsetof(struct seccomp_data, nr));
	for (; at <= KILL_AT_COUNT; at++) /* jumps to the last line */
		filter[at] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[at - 1],
						     (unsigned char)(KILL_AT_COUNT + 4 - at), 0);
	filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 2);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						    offsetof(struct seccomp_data, args[2]));
	filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K,
						    O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 1, 0);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ? -errno : 0;
}

/* Whether the system call that @child is about to make is a change. */
static inline bool kill_at_change(pid_t child, bool *marked)
{
	struct linux_ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_SECCOMP)
		return false;
	if (info.seccomp.nr == SYS_write && info.seccomp.args[0] <= STDERR_FILENO)
		return false;
	if (info.seccomp.nr != SYS_prctl)
		return !*marked;
	if (info.seccomp.args[0] != KILL_AT_MARK)
		return false;
	*marked = info.seccomp.args[1];
	return *marked;
}

/*
 * Runs @call in a child. KILL_NONE: processes cannot be traced here; KILL_ENDED: it has not so many
 * changes, and ended with @status.
 */
static inline enum kill_at kill_at(unsigned int n, void (*call)(void *data), void *data,
				   int *status)
{
	const int none = 99;
	unsigned int count = 0;
	bool marked = false;
	pid_t child = fork();

	if (child < 0)
		return KILL_NONE;
	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(none);
		raise(SIGSTOP);
		if (kill_at_watch())
			_exit(none);
		call(data);
		_exit(0);
	}
	while (waitpid(child, status, 0) == child && WIFSTOPPED(*status)) {
		bool is_event = *status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8);

		if (WSTOPSIG(*status) == SIGSTOP)
			ptrace(PTRACE_SETOPTIONS, child, NULL,
			       (void *)(PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL));
		if (is_event && kill_at_change(child, &marked) && ++count == n) {
			kill(child, SIGKILL);
			waitpid(child, status, 0);
			return KILL_DONE;
		}
		ptrace(PTRACE_CONT, child, NULL, NULL);
	}
	return WIFEXITED(*status) && WEXITSTATUS(*status) == none ? KILL_NONE : KILL_ENDED;
}

#endif
