// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of our own: whole, or as they were before. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bind/bind.h"

static void fresh_path(char fresh[PATH_MAX], const char *path)
{
	snprintf(fresh, PATH_MAX, "%.*s.new", PATH_MAX - 8, path);
}

int file_replace(const char *path, const char *text)
{
	size_t size = strlen(text);
	char fresh[PATH_MAX];
	int fd, err = 0;

	fresh_path(fresh, path);
	unlink(fresh); /* of a call that was cut short */
	/* Whatever the umask, nobody else may write it: what is in a rule of udev's root runs. */
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	errno = EIO; /* of a write that is short */
	if (write(fd, text, size) != (ssize_t)size || fsync(fd) || rename(fresh, path))
		err = -errno;
	close(fd);
	if (err)
		unlink(fresh);
	return err;
}

int file_remove(const char *path)
{
	char fresh[PATH_MAX];

	fresh_path(fresh, path);
	unlink(fresh);
	return unlink(path) ? -errno : 0;
}
