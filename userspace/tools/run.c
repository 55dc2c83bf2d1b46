/* SPDX-License-Identifier: MIT */
/* What both tools need: numbers and times as users write them, the end by a signal, progress. */
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

int64_t run_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- Numbers --- */

/* A decimal number, 0 or more, that ends at *end. */
static bool parse_decimal(const char *text, char **end, double *value)
{
	if (text[0] < '0' || text[0] > '9' || strpbrk(text, "xX"))
		return false;
	*value = strtod(text, end);
	return true;
}

bool run_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	static const char units[] = "kMG";
	double number, factor = 1;
	const char *unit;
	char *end;

	if (!parse_decimal(text, &end, &number))
		return false;
	unit = *end ? strchr(units, *end) : NULL;
	for (; unit && unit >= units; unit--)
		factor *= 1000;
	if (factor > 1)
		end++;
	number *= factor;
	/* 2^53: up to there each whole number is one. */
	if (*end || number > 9007199254740992.0 || number != (double)(uint64_t)number)
		return false;
	if ((uint64_t)number < min || (uint64_t)number > max)
		return false;
	*value = (uint64_t)number;
	return true;
}

bool run_parse_seconds(const char *text, int64_t *time_us)
{
	static const struct {
		const char *name;
		double factor;
	} units[] = { { "", 1e6 }, { "s", 1e6 },  { "ms", 1e3 },
		      { "us", 1 }, { "m", 60e6 }, { "h", 3600e6 } };
	double number;
	char *end;
	size_t i;

	if (!parse_decimal(text, &end, &number))
		return false;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(end, units[i].name) && number * units[i].factor >= 1 &&
		    number * units[i].factor <= 1e15) {
			*time_us = (int64_t)(number * units[i].factor);
			return true;
		}
	return false;
}

/* --- The end --- */

#define AGAIN_US 1000000
#define NAP_US	 100000

static atomic_bool stopped;

void run_stop(void)
{
	atomic_store_explicit(&stopped, true, memory_order_relaxed);
}

bool run_stopped(void)
{
	return atomic_load_explicit(&stopped, memory_order_relaxed);
}

/* A second one ends the process, if it comes later than what timeout(1) sends twice. */
static void on_signal(int number)
{
	static _Atomic int64_t first_us;
	int64_t now = run_now_us();

	if (!first_us)
		first_us = now;
	else if (now - first_us > AGAIN_US)
		_exit(128 + number);
	run_stop();
}

void run_catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* A signal that comes just before a sleep is seen at its end. */
void run_sleep_us(int64_t time_us)
{
	int64_t end = run_now_us() + time_us, left;
	struct timespec nap;

	while (!run_stopped() && (left = end - run_now_us()) > 0) {
		if (left > NAP_US)
			left = NAP_US;
		nap = (struct timespec){ .tv_nsec = (long)left * 1000 };
		nanosleep(&nap, NULL);
	}
}

/* --- What is printed --- */

static bool progress_shown;

bool run_has_progress(void)
{
	return isatty(STDERR_FILENO);
}

void run_progress(const char *format, ...)
{
	va_list list;

	if (!run_has_progress())
		return;
	fputc('\r', stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputs("\033[K", stderr);
	fflush(stderr);
	progress_shown = true;
}

void run_progress_end(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}

double run_per_second(uint64_t count, int64_t time_us)
{
	return time_us > 0 ? (double)count * 1e6 / (double)time_us : 0;
}

const char *run_short(double value, char text[RUN_TEXT_SIZE])
{
	static const char units[] = " kMGT";
	size_t i = 0;

	while (value >= 1000 && units[i + 1]) {
		value /= 1000;
		i++;
	}
	snprintf(text, RUN_TEXT_SIZE, i ? "%.2f%c" : "%.0f", value, units[i]);
	return text;
}
