/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a shell needs to complete userpci's command line, made from the table of commands. */
#ifndef TOOLS_COMPLETION_H
#define TOOLS_COMPLETION_H

#include "tools/cmd.h"

/*
 * userpci --completion WHAT [ADDRESS]: prints the functions for "bash" or "zsh"; for "registers",
 * which these call, the names of registers that a device has.
 */
enum cmd_status completion_run(const char *what, const char *address);

#endif
