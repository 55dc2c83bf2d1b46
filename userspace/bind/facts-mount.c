// SPDX-License-Identifier: GPL-2.0-or-later
/* What is mounted, in each mount namespace that a process has. Spec: proc(5), mountinfo. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bind/use.h"

/* Blanks and such are written as a backslash and three octal digits. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		unsigned int code;

		if (*text == '\\' && sscanf(text + 1, "%3o", &code) == 1) {
			*to++ = (char)code;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

static char *copy(const char *text)
{
	char *new = strdup(text);

	if (new)
		unescape(new);
	return new;
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG]... - TYPE SOURCE OPTIONS" */
static int add_mount(struct bind_facts *facts, char *line, pid_t pid)
{
	struct fact_mount *mounts = fact_grow(facts->mounts, facts->mount_count, sizeof(*mounts));
	char *point = NULL, *type = NULL, *source = NULL, *rest = strstr(line, " - ");
	struct fact_mount *mount;
	int err = 0;

	if (!mounts)
		return -ENOMEM;
	facts->mounts = mounts;
	mount = &mounts[facts->mount_count];
	*mount = (struct fact_mount){ .pid = pid };
	if (!rest ||
	    sscanf(line, "%*d %*d %u:%u %*s %ms", &mount->major, &mount->minor, &point) != 3 ||
	    sscanf(rest, " - %ms %ms", &type, &source) != 2)
		goto out;
	mount->point = copy(point);
	mount->type = copy(type);
	mount->source = copy(source);
	facts->mount_count++;
	if (!mount->point || !mount->type || !mount->source)
		err = -ENOMEM;
out:
	free(point);
	free(type);
	free(source);
	return err;
}

/* Whether the namespace was not seen before; without a name it is taken for one that was. */
static int is_new_space(struct bind_facts *facts, const char *pid, bool *is_new)
{
	ino_t *spaces = fact_grow(facts->mount_spaces, facts->mount_space_count, sizeof(*spaces));
	char path[PATH_MAX];
	struct stat space;

	if (!spaces)
		return -ENOMEM;
	facts->mount_spaces = spaces;
	*is_new = false;
	snprintf(path, sizeof(path), "%s/%s/ns/mnt", facts->env->proc, pid);
	if (stat(path, &space))
		return 0;
	for (size_t i = 0; i < facts->mount_space_count; i++)
		if (spaces[i] == space.st_ino)
			return 0;
	spaces[facts->mount_space_count++] = space.st_ino;
	*is_new = true;
	return 0;
}

int facts_read_mounts(struct bind_facts *facts, const char *pid)
{
	bool is_ours = !strcmp(pid, "self"), is_new;
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	FILE *file;
	int err = is_new_space(facts, pid, &is_new);

	if (err || (!is_new && !is_ours))
		return err;
	snprintf(path, sizeof(path), "%s/%s/mountinfo", facts->env->proc, pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (!err && getline(&line, &size, file) > 0)
		err = add_mount(facts, line, is_ours ? 0 : (pid_t)strtol(pid, NULL, 10));
	free(line);
	fclose(file);
	return err;
}

void facts_free_mounts(struct bind_facts *facts)
{
	for (size_t i = 0; i < facts->mount_count; i++) {
		free(facts->mounts[i].point);
		free(facts->mounts[i].type);
		free(facts->mounts[i].source);
	}
	free(facts->mounts);
	free(facts->mount_spaces);
}
