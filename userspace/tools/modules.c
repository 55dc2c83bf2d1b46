// SPDX-License-Identifier: GPL-2.0-or-later
/* Which kernel modules say that they can drive a device: depmod has gathered their aliases. */
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "modules.h"

#define ALIAS_SIZE 96

static bool has_name(const char *names, const char *name)
{
	size_t length = strlen(name);
	const char *at = names;

	for (; (at = strstr(at, name)); at += length)
		if ((at == names || at[-1] == ' ') && (!at[length] || at[length] == ' '))
			return true;
	return false;
}

static void add_name(char names[MODULES_SIZE], const char *name)
{
	size_t length = strlen(names);

	if (has_name(names, name) || length + strlen(name) + 2 > MODULES_SIZE)
		return;
	snprintf(names + length, MODULES_SIZE - length, "%s%s", length ? " " : "", name);
}

static void match_all(FILE *file, char (*aliases)[ALIAS_SIZE], size_t count,
		      char (*names)[MODULES_SIZE])
{
	char line[256], pattern[128], name[64];

	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "alias pci:", 10) ||
		    sscanf(line, "alias %127s %63s", pattern, name) != 2)
			continue;
		for (size_t i = 0; i < count; i++)
			if (aliases[i][0] && !fnmatch(pattern, aliases[i], 0))
				add_name(names[i], name);
	}
}

void modules_find(const struct bind_env *env, const char *path, const struct bind_device *devices,
		  size_t count, char (*names)[MODULES_SIZE])
{
	char(*aliases)[ALIAS_SIZE] = calloc(count + 1, sizeof(*aliases));
	char of_kernel[PATH_MAX];
	struct utsname kernel;
	FILE *file;

	memset(names, 0, count * sizeof(*names));
	if (!aliases)
		return;
	if (!path) {
		uname(&kernel);
		snprintf(of_kernel, sizeof(of_kernel), "/lib/modules/%s/modules.alias",
			 kernel.release);
		path = of_kernel;
	}
	file = fopen(path, "re");
	if (file) {
		for (size_t i = 0; i < count; i++)
			if (sysfs_read(env, SYSFS_DEVICES, devices[i].address, "modalias",
				       aliases[i], sizeof(aliases[i])))
				aliases[i][0] = '\0';
		match_all(file, aliases, count, names);
		fclose(file);
	}
	free(aliases);
}
