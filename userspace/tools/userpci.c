// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci: which PCI devices there are, and which of them are driven from user space. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/cmd.h"

static const struct cmd *const cmds[] = { &cmd_list, &cmd_bind, &cmd_unbind, &cmd_trace };

#define CMD_COUNT (sizeof(cmds) / sizeof(cmds[0]))

static const struct bind_env host = {
	.sys = "/sys",
	.proc = "/proc",
	.dev = "/dev/userpci",
	.state = "/run/userpci",
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
	     "       userpci --version\n");
	for (size_t i = 0; i < CMD_COUNT; i++)
		printf("  %-8s%.*s\n", cmds[i]->name, (int)strcspn(cmds[i]->help, "\n"),
		       cmds[i]->help);
	puts("\nExit status: 0 success, 1 failure, 2 wrong usage. See userpci(1).");
}

static enum cmd_status parse_option(const char *action, int option, const char *word,
				    struct cmd_options *options)
{
	const char **filter = option == 's' ? &options->query.slot : &options->query.id;

	switch (option) {
	case 's':
	case 'd':
		if (*filter)
			return cmd_usage(action, "given twice: ", option == 's' ? "-s" : "-d");
		*filter = optarg;
		break;
	case CMD_OURS:
		options->query.ours = true;
		break;
	case CMD_DRY_RUN:
		options->dry_run = true;
		break;
	case CMD_FORCE:
		options->force = true;
		break;
	case CMD_DRIVER:
		/* It becomes a part of paths in sysfs. */
		if (!*optarg || strchr(optarg, '/'))
			return cmd_usage(action, "not the name of a driver: ", optarg);
		options->driver = optarg;
		break;
	case CMD_RECORD:
		options->record = true;
		break;
	case CMD_REPLAY:
		options->replay = true;
		break;
	case ':':
		return cmd_usage(action, "a value is missing after ", word);
	default:
		return cmd_usage(action, "unknown option ", word);
	}
	return CMD_OK;
}

static enum cmd_status run(const struct cmd *cmd, int argc, char **argv)
{
	struct cmd_options options = { 0 };
	struct bind_env env = host;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":s:d:h", cmd->options, NULL)) != -1) {
		bool is_letter = optopt > 0 && optopt < CMD_OURS;
		const char letter[] = { '-', is_letter ? (char)optopt : '\0', '\0' };
		enum cmd_status status;

		if (option == 'h') {
			printf("userpci %s: %s", cmd->name, cmd->help);
			return CMD_OK;
		}
		status = parse_option(cmd->name, option, is_letter ? letter : argv[optind - 1],
				      &options);
		if (status)
			return status;
	}
	options.query.addresses = (const char *const *)argv + optind;
	options.query.address_count = (size_t)(argc - optind);
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
	for (size_t i = 0; i < CMD_COUNT; i++)
		if (!strcmp(name, cmds[i]->name))
			return run(cmds[i], argc - 1, argv + 1);
	return cmd_usage("", name[0] ? "unknown command " : "a command is missing", name);
}

int main(int argc, char **argv)
{
	enum cmd_status status = dispatch(argc, argv);

	if (fflush(stdout) || ferror(stdout))
		return cmd_error(NULL, "write", -errno, "");
	return (int)status;
}
