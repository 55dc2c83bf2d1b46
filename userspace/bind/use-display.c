// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The machine's console: the display that it boots with, a frame buffer with the console on it, a
 * serial port that the kernel writes its messages to. Programs that draw (DRM clients) are found as
 * processes that have a file of the device open.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bind/use.h"

static void check_boot_display(struct use *use)
{
	char text[8];

	if (!sysfs_read(use->env, SYSFS_DEVICES, use->device->address, "boot_vga", text,
			sizeof(text)) &&
	    text[0] == '1')
		use_add(use, "console", -EBUSY, USE_FORCE,
			"it is the display that the machine boots with, its console; use --force "
			"if there is another way in");
}

/* The virtual console that frame buffers show, if it is shown at all: its number, or -1. */
static int frame_console(const struct bind_env *env)
{
	char **consoles = sysfs_list(env, "class/vtconsole", "", ""), name[128], bound[8];
	int found = -1, number;

	for (char **console = consoles; consoles && *console && found < 0; console++)
		if (sscanf(*console, "vtcon%d", &number) == 1 &&
		    !sysfs_read(env, "class/vtconsole", *console, "name", name, sizeof(name)) &&
		    strstr(name, "frame buffer") &&
		    !sysfs_read(env, "class/vtconsole", *console, "bind", bound, sizeof(bound)) &&
		    bound[0] == '1')
			found = number;
	sysfs_list_free(consoles);
	return found;
}

static void check_frame_buffer(struct use *use, const char *name)
{
	int console = strncmp(name, "fb", 2) ? -1 : frame_console(use->env);

	if (console >= 0)
		use_add(use, "console", -EBUSY, USE_FORCE,
			"%s shows the console; take it off with "
			"'echo 0 >/sys/class/vtconsole/vtcon%d/bind', or use --force",
			name, console);
}

/* @name is of class/tty; the list is "tty0 ttyS0". */
static void check_terminal(struct use *use, const char *name)
{
	char text[256], *word, *rest = text;

	if (sysfs_read(use->env, "class/tty", "console", "active", text, sizeof(text)))
		return;
	while ((word = strsep(&rest, " ")))
		if (!strcmp(word, name))
			use_add(use, "console", -EBUSY, USE_FORCE,
				"%s is the kernel's console; use --force if there is another "
				"way in",
				name);
}

void use_display(struct use *use)
{
	check_boot_display(use);
	use_each_below(use, use->path, "class/graphics", check_frame_buffer);
	use_each_below(use, use->path, "class/tty", check_terminal);
}
