// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel counts of a function's interrupts, whatever driver it has. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interrupts.h"

#define VECTORS_MAX 2048

struct numbers {
	size_t count;
	unsigned int numbers[VECTORS_MAX];
};

static int compare(const void *a, const void *b)
{
	unsigned int left = *(const unsigned int *)a, right = *(const unsigned int *)b;

	return left < right ? -1 : left > right;
}

/* Those of MSI or MSI-X: a file for each, which says of which. */
static void read_messages(const struct bind_env *env, const char *address, struct interrupts *found,
			  struct numbers *numbers)
{
	char path[PATH_MAX], kind[16], name[BIND_NAME_SIZE];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/" SYSFS_DEVICES "/%s/msi_irqs", env->sys, address);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)) && numbers->count < VECTORS_MAX) {
		snprintf(name, sizeof(name), "msi_irqs/%.32s", entry->d_name);
		if (entry->d_name[0] == '.' ||
		    sysfs_read(env, SYSFS_DEVICES, address, name, kind, sizeof(kind)))
			continue;
		found->kind = strcmp(kind, "msix") ? "MSI" : "MSI-X";
		numbers->numbers[numbers->count++] = (unsigned int)strtoul(entry->d_name, NULL, 10);
	}
	closedir(dir);
	qsort(numbers->numbers, numbers->count, sizeof(numbers->numbers[0]), compare);
}

static void read_line(const struct bind_env *env, const char *address, struct interrupts *found,
		      struct numbers *numbers)
{
	char text[16];

	if (sysfs_read(env, SYSFS_DEVICES, address, "irq", text, sizeof(text)) ||
	    strtol(text, NULL, 10) <= 0)
		return;
	found->kind = "INTx";
	numbers->numbers[numbers->count++] = (unsigned int)strtoul(text, NULL, 10);
}

/* " 24:   12  0   PCI-MSI ...": the sum over the processors. */
static uint64_t sum(const char *text)
{
	uint64_t total = 0;
	char *end;

	for (;;) {
		unsigned long long count = strtoull(text, &end, 10);

		/* The next word may begin with a digit: a number ends at a blank. */
		if (end == text || (*end != ' ' && *end != '\n'))
			return total;
		total += count;
		text = end;
	}
}

/* Whether one of them has a line there: without, nobody has asked for it. */
static bool read_counts(const struct bind_env *env, const struct numbers *numbers, uint64_t *totals)
{
	char path[PATH_MAX], *line = NULL, *end;
	unsigned int number, *at;
	bool any = false;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/interrupts", env->proc);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (getline(&line, &size, file) > 0) {
		number = (unsigned int)strtoul(line, &end, 10);
		if (end == line || *end != ':')
			continue;
		at = bsearch(&number, numbers->numbers, numbers->count, sizeof(number), compare);
		if (!at)
			continue;
		totals[at - numbers->numbers] = sum(end + 1);
		any = true;
	}
	free(line);
	fclose(file);
	return any;
}

void interrupts_read(const struct bind_env *env, const char *address, struct interrupts *found)
{
	struct numbers *numbers = calloc(1, sizeof(*numbers));

	*found = (struct interrupts){ .kind = NULL };
	if (!numbers)
		return;
	read_messages(env, address, found, numbers);
	if (!numbers->count)
		read_line(env, address, found, numbers);
	if (numbers->count)
		found->totals = calloc(numbers->count, sizeof(*found->totals));
	if (found->totals && read_counts(env, numbers, found->totals)) {
		found->count = numbers->count;
	} else {
		free(found->totals);
		*found = (struct interrupts){ .kind = NULL };
	}
	free(numbers);
}
