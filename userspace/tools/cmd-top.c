// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci top: what the devices do that user space has, on a screen or line by line. */
#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "run.h"
#include "sample.h"
#include "terminal.h"
#include "tools/cmd.h"

#define INTERVAL_US    1000000
#define KEY_US	       100000 /* the keyboard is looked at so often */

#define VECTOR_COLUMNS 27

static const struct option top_options[] = { CMD_OPTION_INTERVAL, CMD_OPTION_COUNT, CMD_OPTION_TEXT,
					     CMD_OPTION_JSON,	  CMD_OPTION_HELP,  { 0 } };

static const char top_help[] =
	"show interrupts, DMA memory and owners, as they change\n"
	"\n"
	"usage: userpci top [--interval S] [--count N] [--text | --json] [-s SLOT] [-d ID]\n"
	"                   [ADDRESS]...\n"
	"\n"
	"  -s, -d, ADDRESS   of these devices; default: all that are bound to userpci,\n"
	"                    vfio-pci or uio_pci_generic\n"
	"  --interval S  between two looks; default 1\n"
	"  --count N     end after N looks\n"
	"  --text        a line for each device and look, also on a terminal\n"
	"  --json        a line of JSON for each look\n"
	"\n"
	"On a terminal a screen that 'q' ends. Nothing is owned, and an owner notices nothing:\n"
	"the module's statistics are read; of other drivers' devices what the kernel counts.\n";

struct top {
	struct samples samples;
	const struct cmd_options *options;
	int64_t begin_us;
	SCREEN *screen; /* NULL: lines */
	bool quit;
};

/* --- Words --- */

static const char *bytes_text(uint64_t bytes, char text[RUN_TEXT_SIZE])
{
	static const char units[] = " KMGT";
	double value = (double)bytes;
	size_t i = 0;

	for (; value >= 1024 && units[i + 1]; i++)
		value /= 1024;
	snprintf(text, RUN_TEXT_SIZE, i ? "%.1f%ci" : "%.0f", value, units[i]);
	return text;
}

static const char *irq_text(const struct sample *sample, char text[RUN_TEXT_SIZE])
{
	if (sample->irq_kind)
		snprintf(text, RUN_TEXT_SIZE, "%s/%u", sample->irq_kind, sample->irq_enabled);
	else
		strcpy(text, "-");
	return text;
}

static const char *owner_text(const struct sample *sample, char text[RUN_TEXT_SIZE])
{
	if (sample->owner.pid)
		snprintf(text, RUN_TEXT_SIZE, "%ld(%s)", sample->owner.pid, sample->owner.command);
	else
		strcpy(text, "-");
	return text;
}

static bool has_rates(const struct top *top)
{
	return top->samples.before_us;
}

/* --- Lines --- */

static void print_vectors(const struct sample *sample)
{
	const char *divider = " vectors=";

	for (size_t v = 0; v < sample->vectors; v++) {
		if (!sample->counts[v] && v >= sample->irq_enabled)
			continue;
		printf("%s%zu:%" PRIu64, divider, v, sample->counts[v]);
		divider = ",";
	}
	if (divider[0] != ',')
		printf(" vectors=-");
}

static void print_line(const struct top *top, const char *when, const struct sample *sample)
{
	char owner[RUN_TEXT_SIZE], irq[RUN_TEXT_SIZE];

	printf("%s %s backend=%s state=%s owner=%s", when, sample->device.address,
	       sample->backend ? sample->backend : "-", sample_state(sample),
	       owner_text(sample, owner));
	if (sample->has_memory)
		printf(" dma=%" PRIu64 " maps=%u", sample->dma_bytes, sample->maps);
	else
		printf(" dma=- maps=-");
	printf(" irq=%s total=%" PRIu64, irq_text(sample, irq), sample->total);
	if (has_rates(top))
		printf(" rate=%.1f", sample_rate(&top->samples, sample));
	else
		printf(" rate=-");
	print_vectors(sample);
	printf(" storms=%" PRIu64 " events=%u\n", sample->storms, sample->events);
}

static void print_lines(const struct top *top)
{
	const struct samples *samples = &top->samples;
	time_t now = time(NULL);
	char when[16] = "";
	struct tm parts;

	if (localtime_r(&now, &parts))
		strftime(when, sizeof(when), "%H:%M:%S", &parts);
	for (size_t i = 0; i < samples->count; i++)
		print_line(top, when, &samples->samples[i]);
	if (!samples->count)
		printf("%s no device\n", when);
	fflush(stdout);
}

/* --- JSON --- */

static void json_interrupts(struct json *json, const struct top *top, const struct sample *sample)
{
	json_text(json, "irq_kind", sample->irq_kind);
	json_number(json, "irq_enabled", sample->irq_enabled);
	json_number(json, "total", sample->total);
	if (has_rates(top))
		json_decimal(json, "rate", sample_rate(&top->samples, sample));
	else
		json_null(json, "rate");
	json_array(json, "interrupts");
	for (size_t v = 0; v < sample->vectors; v++)
		json_number(json, NULL, sample->counts[v]);
	json_array_end(json);
	json_array(json, "rates");
	for (size_t v = 0; v < sample->vectors && has_rates(top); v++)
		json_decimal(json, NULL, sample_vector_rate(&top->samples, sample, v));
	json_array_end(json);
}

static void json_device(struct json *json, const struct top *top, const struct sample *sample)
{
	json_object(json, NULL);
	json_text(json, "address", sample->device.address);
	json_text(json, "driver", sample->device.driver[0] ? sample->device.driver : NULL);
	json_text(json, "backend", sample->backend);
	json_text(json, "state", sample_state(sample));
	if (sample->owner.pid) {
		json_object(json, "owner");
		json_signed(json, "pid", sample->owner.pid);
		json_text(json, "command", sample->owner.command);
		json_object_end(json);
	} else {
		json_null(json, "owner");
	}
	if (sample->has_memory) {
		json_number(json, "dma_bytes", sample->dma_bytes);
		json_number(json, "maps", sample->maps);
	} else {
		json_null(json, "dma_bytes");
		json_null(json, "maps");
	}
	json_interrupts(json, top, sample);
	json_number(json, "storms", sample->storms);
	json_number(json, "events", sample->events);
	json_object_end(json);
}

static void print_json(const struct top *top)
{
	const struct samples *samples = &top->samples;
	struct json json = { 0 };

	json_object(&json, NULL);
	json_text(&json, "command", "top");
	json_decimal(&json, "seconds", (double)(samples->time_us - top->begin_us) / 1e6);
	json_array(&json, "devices");
	for (size_t i = 0; i < samples->count; i++)
		json_device(&json, top, &samples->samples[i]);
	json_array_end(&json);
	json_object_end(&json);
}

/* --- The screen --- */

enum { COLOUR_BUSY = 1, COLOUR_GONE };

/* NULL: this terminal cannot. */
static SCREEN *screen_open(void)
{
	SCREEN *screen = newterm(NULL, stdout, stdin);

	if (!screen)
		return NULL;
	cbreak();
	noecho();
	curs_set(0);
	nodelay(stdscr, true);
	if (terminal_has_colours() && has_colors()) {
		start_color();
		use_default_colors();
		init_pair(COLOUR_BUSY, COLOR_GREEN, -1);
		init_pair(COLOUR_GONE, COLOR_RED, -1);
	}
	return screen;
}

static int state_colour(const struct sample *sample)
{
	if (!terminal_has_colours() || !has_colors())
		return 0;
	if (sample->state & USERPCI_STATE_GONE)
		return COLOR_PAIR(COLOUR_GONE);
	return sample->owner.pid ? COLOR_PAIR(COLOUR_BUSY) : 0;
}

static void draw_device(const struct top *top, int row, const struct sample *sample)
{
	char owner[RUN_TEXT_SIZE], irq[RUN_TEXT_SIZE], dma[RUN_TEXT_SIZE] = "-";
	char rate[RUN_TEXT_SIZE] = "-", maps[16] = "-", line[256];

	if (sample->has_memory) {
		bytes_text(sample->dma_bytes, dma);
		snprintf(maps, sizeof(maps), "%u", sample->maps);
	}
	if (has_rates(top))
		run_short(sample_rate(&top->samples, sample), rate);
	snprintf(line, sizeof(line), "%-12s %-5s %-8s %-20.20s %8s %5s %-9s %9s %14" PRIu64,
		 sample->device.address, sample->backend ? sample->backend : "-",
		 sample_state(sample), owner_text(sample, owner), dma, maps, irq_text(sample, irq),
		 rate, sample->total);
	attron(state_colour(sample));
	mvaddnstr(row, 0, line, COLS);
	attroff(state_colour(sample));
}

/* Vectors that are enabled, or have counted; several on a row. */
static int draw_vectors(const struct top *top, int row, const struct sample *sample)
{
	char rate[RUN_TEXT_SIZE];
	int column = COLS;

	if (sample->vectors < 2)
		return row;
	for (size_t v = 0; v < sample->vectors && row < LINES - 2; v++) {
		if (!sample->counts[v] && v >= sample->irq_enabled)
			continue;
		if (column + VECTOR_COLUMNS > COLS) {
			row++;
			column = 2;
		}
		run_short(sample_vector_rate(&top->samples, sample, v), rate);
		mvprintw(row, column, "%4zu: %7s/s %9" PRIu64, v, has_rates(top) ? rate : "-",
			 sample->counts[v]);
		column += VECTOR_COLUMNS;
	}
	return row;
}

static void draw(const struct top *top)
{
	const struct samples *samples = &top->samples;
	char head[128];
	int row = 2;
	size_t i;

	erase();
	mvprintw(0, 0, "userpci top: %zu device%s, %.0f s. q ends.", samples->count,
		 samples->count == 1 ? "" : "s", (double)(samples->time_us - top->begin_us) / 1e6);
	attron(A_BOLD);
	snprintf(head, sizeof(head), "%-12s %-5s %-8s %-20s %8s %5s %-9s %9s %14s", "ADDRESS", "BY",
		 "STATE", "OWNER", "DMA", "MAPS", "IRQ", "IRQ/S", "IRQS");
	mvaddnstr(row, 0, head, COLS);
	attroff(A_BOLD);
	for (i = 0; i < samples->count && row < LINES - 2; i++) {
		draw_device(top, ++row, &samples->samples[i]);
		row = draw_vectors(top, row, &samples->samples[i]);
	}
	if (i < samples->count)
		mvprintw(row + 1, 0, "%zu more: make the window larger", samples->count - i);
	if (!samples->count)
		mvprintw(row + 1, 0, "No device is bound to userpci, vfio-pci or uio_pci_generic.");
	refresh();
}

/* --- The run --- */

static void tell(const struct top *top)
{
	if (top->screen)
		draw(top);
	else if (top->options->json)
		print_json(top);
	else
		print_lines(top);
}

static void wait_until(struct top *top, int64_t when_us)
{
	int64_t left;
	int key;

	while (!top->quit && !run_stopped() && (left = when_us - run_now_us()) > 0) {
		run_sleep_us(top->screen && left > KEY_US ? KEY_US : left);
		key = top->screen ? getch() : ERR;
		if (key == 'q')
			top->quit = true;
		else if (key == KEY_RESIZE)
			draw(top);
	}
}

static enum cmd_status top_loop(struct top *top)
{
	int64_t interval_us = top->options->interval_us, next_us;
	int err;

	if (!interval_us)
		interval_us = INTERVAL_US;
	top->begin_us = next_us = run_now_us();
	for (uint64_t looks = 1;; looks++) {
		err = samples_look(&top->samples);
		if (err)
			return cmd_error(NULL, "top", err, "");
		tell(top);
		if (looks == top->options->count || ferror(stdout))
			return CMD_OK;
		next_us += interval_us;
		/* A machine that was asleep does not catch up. */
		if (next_us < run_now_us())
			next_us = run_now_us();
		wait_until(top, next_us);
		if (top->quit || run_stopped())
			return CMD_OK;
	}
}

static enum cmd_status top_show(struct top *top)
{
	bool lines = top->options->text || top->options->json;
	enum cmd_status status;

	run_catch_signals();
	if (!lines && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO))
		top->screen = screen_open();
	status = top_loop(top);
	if (top->screen) {
		endwin();
		delscreen(top->screen);
	}
	samples_free(&top->samples);
	return status;
}

static enum cmd_status top_run(const struct bind_env *env, const struct cmd_options *options)
{
	const struct bind_query *query = &options->query;
	struct top top = { .samples = { .env = env }, .options = options };
	struct bind_list list = { 0 };
	enum cmd_status status = CMD_OK;

	if (options->text && options->json)
		return cmd_usage("top", "--text and --json exclude each other", "");
	if (query->slot || query->id || query->address_count) {
		status = cmd_gather(env, options, "top", &list);
		top.samples.chosen = &list;
	}
	if (!status)
		status = top_show(&top);
	bind_list_free(&list);
	return status;
}

const struct cmd cmd_top = { "top", top_help, top_options, top_run, CMD_DEVICES };
