/* SPDX-License-Identifier: MIT */
/* unic: network interfaces driven from user space, from the command line. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <userpci/userpci.h>

#include "unic-cmd.h"
#include "unic-run.h"

#define LINK_TIMEOUT_US 5000000
#define LINK_PAUSE_US	50000

static const struct unic_cmd *const cmds[] = {
	&unic_cmd_list, &unic_cmd_info, &unic_cmd_stats, &unic_cmd_gen,	   &unic_cmd_recv,
	&unic_cmd_fwd,	&unic_cmd_echo, &unic_cmd_cap,	 &unic_cmd_replay, &unic_cmd_tap,
};

#define CMD_COUNT (sizeof(cmds) / sizeof(cmds[0]))

enum unic_status unic_cmd_error(const char *address, const char *action, int err)
{
	fprintf(stderr, "unic: %s%s%s: %s\n", address ? address : "", address ? ": " : "", action,
		err == -ENODEV ? "the device is gone: removed, or unbound" : strerror(-err));
	return UNIC_FAILURE;
}

enum unic_status unic_cmd_usage(const char *command, const char *what, const char *which)
{
	fprintf(stderr, "unic: %s%s%s%s (see 'unic %s%s--help')\n", command, command[0] ? ": " : "",
		what, which, command, command[0] ? " " : "");
	return UNIC_USAGE;
}

/* A link that stays down is no error. */
static int link_wait(struct unic_port *port)
{
	int64_t end = unic_cmd_now_us() + LINK_TIMEOUT_US;
	struct unic_link link;
	int err;

	while (!(err = unic_link(port, &link)) && !link.up && unic_cmd_now_us() < end &&
	       !run_stopped())
		usleep(LINK_PAUSE_US);
	return err;
}

enum unic_status unic_cmd_open_error(const char *address, const struct unic_config *config, int err)
{
	char text[256];

	if (err == -EINVAL && config && config->queues > 1) {
		fprintf(stderr, "unic: %s: the device has fewer than %u queues; lower --queues\n",
			address, config->queues);
		return UNIC_FAILURE;
	}
	fprintf(stderr, "unic: %s\n", unic_explain(address, err, text, sizeof(text)));
	return UNIC_FAILURE;
}

enum unic_status unic_cmd_start(const char *address, struct unic_port *port)
{
	int err = unic_start(port);

	if (!err)
		err = link_wait(port);
	return err ? unic_cmd_error(address, "start", err) : UNIC_OK;
}

enum unic_status unic_cmd_open_config(const char *address, const struct unic_config *config,
				      struct unic_port **port)
{
	enum unic_status status;
	int err = unic_open(address, config, port);

	if (err)
		return unic_cmd_open_error(address, config, err);
	status = unic_cmd_start(address, *port);
	if (status)
		unic_close(*port);
	return status;
}

enum unic_status unic_cmd_open(const char *address, struct unic_port **port)
{
	return unic_cmd_open_config(address, NULL, port);
}

const char *unic_cmd_mac(const uint8_t mac[UNIC_MAC_SIZE], char text[UNIC_CMD_TEXT])
{
	snprintf(text, UNIC_CMD_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return text;
}

const char *unic_cmd_link_text(const struct unic_link *link, char text[UNIC_CMD_TEXT])
{
	if (!link->up)
		snprintf(text, UNIC_CMD_TEXT, "down");
	else if (!link->speed_mbps)
		snprintf(text, UNIC_CMD_TEXT, "up");
	else
		snprintf(text, UNIC_CMD_TEXT, "up %u Mbit/s%s", link->speed_mbps,
			 link->full_duplex ? "" : " half duplex");
	return text;
}

const char *unic_cmd_link(struct unic_port *port, char text[UNIC_CMD_TEXT])
{
	struct unic_link link;
	int err = unic_link(port, &link);

	if (!err)
		return unic_cmd_link_text(&link, text);
	snprintf(text, UNIC_CMD_TEXT, "unknown (%.40s)", strerror(-err));
	return text;
}

static void print_help(void)
{
	puts("usage: unic COMMAND [ADDRESS]... [OPTION]...\n"
	     "       unic [COMMAND] --help\n"
	     "       unic --version\n");
	for (size_t i = 0; i < CMD_COUNT; i++)
		printf("  %-8s%.*s\n", cmds[i]->name, (int)strcspn(cmds[i]->help, "\n"),
		       cmds[i]->help);
	puts("\nADDRESS is a PCI address, as lspci prints it; 'userpci bind ADDRESS' gives the "
	     "device to userpci.\n"
	     "Exit status: 0 success, 1 failure, 2 wrong usage. See unic(1).");
}

static enum unic_status run(const struct unic_cmd *cmd, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			printf("unic %s: %s", cmd->name, cmd->help);
			return UNIC_OK;
		}
	return cmd->run(argc, argv);
}

static enum unic_status dispatch(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		print_help();
		return UNIC_OK;
	}
	if (!strcmp(name, "--version")) {
		printf("unic %s\n", userpci_version());
		return UNIC_OK;
	}
	for (size_t i = 0; i < CMD_COUNT; i++)
		if (!strcmp(name, cmds[i]->name))
			return run(cmds[i], argc - 1, argv + 1);
	return unic_cmd_usage("", name[0] ? "unknown command " : "a command is missing", name);
}

int main(int argc, char **argv)
{
	enum unic_status status = dispatch(argc, argv);

	if (fflush(stdout) || ferror(stdout))
		return unic_cmd_error(NULL, "write", -errno);
	return (int)status;
}
