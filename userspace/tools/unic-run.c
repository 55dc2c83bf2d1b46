/* SPDX-License-Identifier: MIT */
/* What unic's subcommands have in common when they run for a while. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "unic-run.h"

/* --- Options --- */

#define OPTIONS_MAX 16

bool run_parse_sizes(const char *text, uint32_t min, uint32_t max, struct run_sizes *sizes)
{
	unsigned int from, to;
	int end = 0;

	if (!strcmp(text, "imix")) {
		*sizes = (struct run_sizes){ 0 };
		return true;
	}
	if (strspn(text, "0123456789-") != strlen(text))
		return false;
	if (sscanf(text, "%5u-%5u%n", &from, &to, &end) != 2 || text[end]) {
		if (sscanf(text, "%5u%n", &from, &end) != 1 || text[end])
			return false;
		to = from;
	}
	if (from < min || to > max || from > to)
		return false;
	*sizes = (struct run_sizes){ from, to };
	return true;
}

static bool parse_mac(const char *text, uint8_t mac[UNIC_MAC_SIZE])
{
	unsigned int b[UNIC_MAC_SIZE], i;
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", b, b + 1, b + 2, b + 3, b + 4, b + 5, &end) !=
		    UNIC_MAC_SIZE ||
	    text[end] || strspn(text, "0123456789abcdefABCDEF:") != strlen(text))
		return false;
	for (i = 0; i < UNIC_MAC_SIZE; i++)
		mac[i] = (uint8_t)b[i];
	return true;
}

static bool parse_value(const struct run_option *option, const char *text)
{
	switch (option->kind) {
	case RUN_FLAG:
		*(bool *)option->value = true;
		return true;
	case RUN_NUMBER:
		return run_parse_number(text, option->min, option->max, option->value);
	case RUN_SECONDS:
		return run_parse_seconds(text, option->value);
	case RUN_SIZES:
		return run_parse_sizes(text, (uint32_t)option->min, (uint32_t)option->max,
				       option->value);
	case RUN_MAC:
		return parse_mac(text, option->value);
	case RUN_IPV4:
		return inet_pton(AF_INET, text, option->value) == 1;
	case RUN_TEXT:
		*(const char **)option->value = text;
		return true;
	}
	return false;
}

static enum unic_status value_error(const char *command, const struct run_option *option,
				    const char *text)
{
	char what[160];
	int n;

	switch (option->kind) {
	case RUN_NUMBER:
		/* A maximum that cannot be meant is not told. */
		n = snprintf(what, sizeof(what), "--%s takes a number from %" PRIu64, option->name,
			     option->min);
		if (option->max < UINT64_MAX)
			n += snprintf(what + n, sizeof(what) - (size_t)n, " to %" PRIu64,
				      option->max);
		snprintf(what + n, sizeof(what) - (size_t)n, ", as 500 or 10k, not ");
		break;
	case RUN_SECONDS:
		snprintf(what, sizeof(what), "--%s takes a time, as 10, 0.5, 200ms or 2m, not ",
			 option->name);
		break;
	case RUN_SIZES:
		snprintf(what, sizeof(what),
			 "--%s takes bytes from %" PRIu64 " to %" PRIu64
			 ", as 60 or 60-1514, or imix, not ",
			 option->name, option->min, option->max);
		break;
	case RUN_MAC:
		snprintf(what, sizeof(what), "--%s takes a MAC address, as 02:00:00:00:00:01, not ",
			 option->name);
		break;
	default:
		snprintf(what, sizeof(what), "not an IPv4 address: ");
	}
	return unic_cmd_usage(command, what, text);
}

/* For getopt_long(); ":" tells what is missing. */
static unsigned int long_options(const struct run_option *options, struct option *words,
				 char letters[2 * OPTIONS_MAX + 2])
{
	unsigned int i;

	letters += sprintf(letters, ":");
	for (i = 0; i < OPTIONS_MAX && options[i].name; i++) {
		words[i].name = options[i].name;
		words[i].has_arg = options[i].kind != RUN_FLAG ? required_argument : no_argument;
		words[i].val = (int)i;
		if (options[i].letter)
			letters += sprintf(letters, words[i].has_arg ? "%c:" : "%c",
					   options[i].letter);
	}
	return i;
}

enum unic_status run_parse(int argc, char **argv, const struct run_option *options,
			   const char **addresses, unsigned int count)
{
	static const char first[] = "ADDRESS is missing";
	static const char second[] = "a second ADDRESS is missing, or a FILE";
	struct option words[OPTIONS_MAX + 1] = { 0 };
	char letters[2 * OPTIONS_MAX + 2];
	unsigned int known = long_options(options, words, letters), i;
	const char *word;
	int got;

	opterr = 0;
	/* "+" is not wanted: options may stand behind the address. */
	while ((got = getopt_long(argc, argv, letters, words, NULL)) != -1) {
		word = argv[optind - 1];
		if (got == ':')
			return unic_cmd_usage(argv[0], "a value is missing after ", word);
		for (i = 0; i < known && got != (int)i && got != options[i].letter; i++)
			;
		if (i == known)
			return unic_cmd_usage(argv[0], "unknown option ", word);
		if (!parse_value(&options[i], optarg))
			return value_error(argv[0], &options[i], optarg);
	}
	for (i = 0; i < count; i++) {
		if (optind == argc)
			return unic_cmd_usage(argv[0], i ? second : first, "");
		addresses[i] = argv[optind++];
	}
	if (optind < argc)
		return unic_cmd_usage(argv[0], "one too many: ", argv[optind]);
	return UNIC_OK;
}

/* --- Threads --- */

struct worker {
	const struct run *run;
	unsigned int queue;
	int err;
	pthread_t thread;
	sem_t *ended;
};

static void *work(void *context)
{
	struct worker *worker = context;

	worker->err = worker->run->work(worker->run->context, worker->queue);
	if (worker->err)
		run_stop();
	sem_post(worker->ended);
	return NULL;
}

/* The signals are for the thread that waits for the others. */
static int start(struct worker *worker)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&worker->thread, NULL, work, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* Waits until a moment for one more worker to end: whether one did. */
static bool one_ended(sem_t *ended, int64_t until_us)
{
	struct timespec until = { until_us / 1000000, (long)(until_us % 1000000) * 1000 };

	return !sem_clockwait(ended, CLOCK_MONOTONIC, &until);
}

static void watch(const struct run *run, sem_t *ended, unsigned int count)
{
	int64_t now = unic_cmd_now_us(), end = run->time_us ? now + run->time_us : INT64_MAX;
	int64_t next = run->tick_us ? now + run->tick_us : INT64_MAX, until;

	while (count) {
		now = unic_cmd_now_us();
		if (now >= end) {
			run_stop();
			end = INT64_MAX;
		}
		if (now >= next && !run_stopped()) {
			run->tick(run->context);
			next += run->tick_us;
			continue;
		}
		until = next < end ? next : end;
		/* A signal that comes just before the wait is seen at its end. */
		if (until > now + RUN_SLICE_US)
			until = now + RUN_SLICE_US;
		count -= one_ended(ended, until);
	}
}

int run_workers(const struct run *run)
{
	struct worker workers[RUN_QUEUES_MAX];
	unsigned int started, i;
	int err = 0;
	sem_t ended;

	sem_init(&ended, 0, 0);
	for (started = 0; started < run->queues; started++) {
		workers[started] = (struct worker){ run, started, 0, 0, &ended };
		err = start(&workers[started]);
		if (err)
			break;
	}
	if (err)
		run_stop();
	watch(run, &ended, started);
	for (i = 0; i < started; i++) {
		pthread_join(workers[i].thread, NULL);
		if (!err)
			err = workers[i].err;
	}
	sem_destroy(&ended);
	return err;
}

/* --- What is printed --- */

static void print_key(struct run_line *line, const char *key)
{
	if (line->begun)
		fputs(line->json ? "," : ", ", stdout);
	line->begun = true;
	printf(line->json ? "\"%s\":" : "%s ", key);
}

void run_line_begin(struct run_line *line, bool json, const char *event, const char *command,
		    const char *address)
{
	*line = (struct run_line){ .json = json };
	if (!json) {
		printf("%s: ", command);
		return;
	}
	putchar('{');
	run_line_text(line, "event", event);
	run_line_text(line, "command", command);
	run_line_text(line, "address", address);
}

void run_line_number(struct run_line *line, const char *key, uint64_t value)
{
	print_key(line, key);
	printf("%" PRIu64, value);
}

void run_line_decimal(struct run_line *line, const char *key, double value)
{
	print_key(line, key);
	printf("%.3f", value);
}

void run_line_text(struct run_line *line, const char *key, const char *value)
{
	print_key(line, key);
	if (line->json)
		json_quote(value);
	else
		fputs(value, stdout);
}

void run_line_bool(struct run_line *line, const char *key, bool value)
{
	print_key(line, key);
	if (line->json)
		fputs(value ? "true" : "false", stdout);
	else
		fputs(value ? "yes" : "no", stdout);
}

/* At once: the reader of a pipe waits for it. */
void run_line_end(struct run_line *line)
{
	puts(line->json ? "}" : "");
	fflush(stdout);
}

void run_print_ready(bool json, const char *command, const char *address, struct unic_port *port)
{
	const struct unic_port_info *info = unic_info(port);
	char mac[UNIC_CMD_TEXT], link[UNIC_CMD_TEXT];
	struct run_line line;

	unic_cmd_mac(info->mac, mac);
	unic_cmd_link(port, link);
	if (!json) {
		printf("%s: ready at %s, MAC %s, link %s\n", info->driver, address, mac, link);
		fflush(stdout);
		return;
	}
	run_line_begin(&line, true, "ready", command, address);
	run_line_text(&line, "driver", info->driver);
	run_line_text(&line, "mac", mac);
	run_line_text(&line, "link", link);
	run_line_number(&line, "queues", info->queues);
	run_line_end(&line);
}
