/* SPDX-License-Identifier: MIT */
/* What a subcommand of unic is: an entry in the table of unic.c, in a file of its own. */
#ifndef TOOLS_UNIC_CMD_H
#define TOOLS_UNIC_CMD_H

#include <stdint.h>

#include <unic/unic.h>

#include "run.h"

enum unic_status { UNIC_OK, UNIC_FAILURE, UNIC_USAGE };

struct unic_cmd {
	const char *name;
	const char *help; /* what it does in one line, then all about it */
	/* With the command's name in argv[0]; --help was looked for already. */
	enum unic_status (*run)(int argc, char **argv);
};

extern const struct unic_cmd unic_cmd_echo, unic_cmd_info, unic_cmd_list, unic_cmd_stats;
extern const struct unic_cmd unic_cmd_gen, unic_cmd_recv, unic_cmd_fwd;
extern const struct unic_cmd unic_cmd_cap, unic_cmd_replay, unic_cmd_tap;

/* One line on stderr: "unic: ADDRESS: ACTION: error". */
enum unic_status unic_cmd_error(const char *address, const char *action, int err);

/* One line on stderr: "unic: COMMAND: WHAT WHICH (see 'unic COMMAND --help')". */
enum unic_status unic_cmd_usage(const char *command, const char *what, const char *which);

/* Opens and starts a port, and gives its link some seconds to come up; or prints the error. */
enum unic_status unic_cmd_open(const char *address, struct unic_port **port);
enum unic_status unic_cmd_open_config(const char *address, const struct unic_config *config,
				      struct unic_port **port);

/* The two halves of it: says in one line why unic_open() failed; starts an open port. */
enum unic_status unic_cmd_open_error(const char *address, const struct unic_config *config,
				     int err);
enum unic_status unic_cmd_start(const char *address, struct unic_port *port);

#define UNIC_CMD_TEXT 64

/* "52:54:00:12:34:56", and "up 1000 Mbit/s", "up" where the speed is not known, or "down". */
const char *unic_cmd_mac(const uint8_t mac[UNIC_MAC_SIZE], char text[UNIC_CMD_TEXT]);
const char *unic_cmd_link_text(const struct unic_link *link, char text[UNIC_CMD_TEXT]);
const char *unic_cmd_link(struct unic_port *port, char text[UNIC_CMD_TEXT]);

/* Microseconds since some moment. */
static inline int64_t unic_cmd_now_us(void)
{
	return run_now_us();
}

#endif
