/* SPDX-License-Identifier: MIT */
/* What both tools need: numbers and times as users write them, the end by a signal, progress. */
#ifndef TOOLS_RUN_H
#define TOOLS_RUN_H

#include <stdbool.h>
#include <stdint.h>

/* Microseconds since some moment. */
int64_t run_now_us(void);

/* 1500, 10k, 1.5M; and 10, 0.5, 200ms, 2m. False: it is not one, or out of bounds. */
bool run_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);
bool run_parse_seconds(const char *text, int64_t *time_us);

/* SIGINT and SIGTERM stop the run; another one a second later ends the process. */
void run_catch_signals(void);
void run_stop(void);
bool run_stopped(void);

/* Sleeps, until the run is stopped. */
void run_sleep_us(int64_t time_us);

/* A line on stderr that the next one overwrites, when that is a terminal; else nothing. */
bool run_has_progress(void);
void run_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Clears it. */
void run_progress_end(void);

#define RUN_TEXT_SIZE 64

/* A count for each second, also of no time. */
double run_per_second(uint64_t count, int64_t time_us);

/* "950", "14.88k", "1.20M": three digits and more. */
const char *run_short(double value, char text[RUN_TEXT_SIZE]);

#endif
