/* SPDX-License-Identifier: MIT */
/*
 * kill-at N COMMAND [ARGUMENT]...: kills COMMAND before its N-th change (tests/kill-at.h). Exit
 * status: 137 when it was killed, that of COMMAND when it ended before, 125 when it could not be.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kill-at.h"

static void run(void *data)
{
	char **words = data;

	execvp(words[0], words);
	_exit(127);
}

int main(int argc, char **argv)
{
	int status;

	if (argc < 3)
		return 125;
	switch (kill_at((unsigned int)strtoul(argv[1], NULL, 10), run, argv + 2, &status)) {
	case KILL_DONE:
		return 128 + SIGKILL;
	case KILL_ENDED:
		return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
	case KILL_NONE:
		break;
	}
	return 125;
}
