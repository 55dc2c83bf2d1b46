// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci: which PCI devices there are, and which of them are driven from user space. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "completion.h"
#include "tools/cmd.h"

const struct cmd *const cmds[] = {
	&cmd_list, &cmd_show,  &cmd_bind, &cmd_unbind, &cmd_restore,
	&cmd_peek, &cmd_poke,  &cmd_dump, &cmd_diff,   &cmd_watch,
	&cmd_irq,  &cmd_reset, &cmd_top,  &cmd_trace,  NULL,
};

static const struct bind_env host = {
	.sys = "/sys",
	.proc = "/proc",
	.devices = "/dev",
	.dev = "/dev/userpci",
	.state = "/run/userpci",
	.lib = "/var/lib/userpci",
	.rules = "/etc/udev/rules.d",
	.udev = "/run/udev",
	.modprobe = "/sbin/modprobe",
	.wait_ms = 30000,
};

/* What to do about an error that can happen anywhere. */
static const struct remedy {
	int err;
	const char *text;
} remedies[] = {
	{ EACCES, "run as root, e.g. with sudo" },
	{ EPERM, "run as root, e.g. with sudo" },
	{ EROFS, "sysfs is read-only here, as in a container" },
};

enum cmd_status cmd_error(const char *address, const char *action, int err, const char *why)
{
	const char *remedy = "";

	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
		if (remedies[i].err == -err)
			remedy = remedies[i].text;
	fprintf(stderr, "userpci: %s%s%s: %s", address ? address : "", address ? ": " : "", action,
		strerror(-err));
	if (why[0] || remedy[0])
		fprintf(stderr, " (%s%s%s)", why, why[0] && remedy[0] ? "; " : "", remedy);
	fputc('\n', stderr);
	return CMD_FAILURE;
}

enum cmd_status cmd_fail(const char *address, const char *action, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "userpci: %s%s%s: ", address ? address : "", address ? ": " : "", action);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return CMD_FAILURE;
}

enum cmd_status cmd_usage(const char *action, const char *what, const char *which)
{
	fprintf(stderr, "userpci: %s%s%s%s (see 'userpci %s%s--help')\n", action,
		action[0] ? ": " : "", what, which, action, action[0] ? " " : "");
	return CMD_USAGE;
}

enum cmd_status cmd_gather(const struct bind_env *env, const struct cmd_options *options,
			   const char *action, struct bind_list *list)
{
	char why[BIND_WHY_SIZE];
	int err = bind_list_get(env, &options->query, list, why);

	if (err == -EINVAL)
		return cmd_usage(action, why, "");
	return err ? cmd_error(NULL, action, err, why) : CMD_OK;
}

static void print_help(void)
{
	puts("usage: userpci COMMAND [OPTION]... [ADDRESS]...\n"
	     "       userpci [COMMAND] --help\n"
	     "       userpci --completion bash|zsh\n"
	     "       userpci --version\n");
	for (const struct cmd *const *cmd = cmds; *cmd; cmd++)
		printf("  %-8s%.*s\n", (*cmd)->name, (int)strcspn((*cmd)->help, "\n"),
		       (*cmd)->help);
	puts("\nExit status: 0 success, 1 failure, 2 wrong usage, 3 the answer is no.\n"
	     "See userpci(1).");
}

static enum cmd_status run(const struct cmd *cmd, int argc, char **argv)
{
	struct cmd_options options;
	struct bind_env env = host;
	enum cmd_status status;
	bool help;

	status = cmd_parse(cmd, argc, argv, &options, &help);
	if (status)
		return status;
	if (help) {
		printf("userpci %s: %s", cmd->name, cmd->help);
		return CMD_OK;
	}
	env.driver = options.driver;
	return cmd->run(&env, &options);
}

static enum cmd_status dispatch(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		print_help();
		return CMD_OK;
	}
	if (!strcmp(name, "--version")) {
		puts("userpci " USERPCI_VERSION);
		return CMD_OK;
	}
	if (!strcmp(name, "--completion"))
		return completion_run(argc > 2 ? argv[2] : "", argc > 3 ? argv[3] : "");
	for (const struct cmd *const *cmd = cmds; *cmd; cmd++)
		if (!strcmp(name, (*cmd)->name))
			return run(*cmd, argc - 1, argv + 1);
	return cmd_usage("", name[0] ? "unknown command " : "a command is missing", name);
}

int main(int argc, char **argv)
{
	enum cmd_status status = dispatch(argc, argv);

	if (fflush(stdout) || ferror(stdout))
		return cmd_error(NULL, "write", -errno, "");
	return (int)status;
}
