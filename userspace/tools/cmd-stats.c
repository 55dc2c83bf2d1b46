/* SPDX-License-Identifier: MIT */
/* unic stats: what comes in, as rates, on a screen or as JSON. */
#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unic-cmd.h"
#include "unic-run.h"

#define BURST  64
#define KEY_US 100000 /* the keyboard is looked at so often */

static const char stats_help[] =
	"show what comes in, as rates\n"
	"\n"
	"usage: unic stats ADDRESS [--interval S] [--count N] [--json]\n"
	"\n"
	"  --interval S  between two looks; default 1\n"
	"  --count N     end after N looks\n"
	"  --json        a line of JSON a look, also on a terminal\n"
	"\n"
	"Receives all frames that come, and drops them: nobody else gets them meanwhile.\n"
	"On a terminal a screen that 'q' ends, else a line of JSON an interval. Frames that\n"
	"the caller did not get are told with the reason:\n"
	"  rx_errors       bad frames: CRC, length, or the device contradicts itself\n"
	"  rx_missed       dropped by the device: no descriptor was free\n"
	"  rx_no_buffer    dropped by the driver: no packet was free\n"
	"  tx_bad_length   not sent: empty, or longer than the MTU allows\n"
	"  tx_bad_packet   not sent: of another port's memory\n"
	"  tx_bad_offload  not sent: asks for what cannot be done\n";

/* All fields of struct unic_stats. */
static const struct stats_field {
	const char *name, *meaning;
	size_t offset;
} stats_fields[] = {
	{ "rx_packets", "received, and dropped here", offsetof(struct unic_stats, rx_packets) },
	{ "rx_bytes", "without the FCS", offsetof(struct unic_stats, rx_bytes) },
	{ "rx_errors", "bad CRC, length or descriptor", offsetof(struct unic_stats, rx_errors) },
	{ "rx_missed", "no descriptor was free", offsetof(struct unic_stats, rx_missed) },
	{ "rx_no_buffer", "no packet was free", offsetof(struct unic_stats, rx_no_buffer) },
	{ "tx_packets", "sent", offsetof(struct unic_stats, tx_packets) },
	{ "tx_bytes", "with padding, without the FCS", offsetof(struct unic_stats, tx_bytes) },
	{ "tx_bad_length", "empty, or above the MTU", offsetof(struct unic_stats, tx_bad_length) },
	{ "tx_bad_packet", "of another depot", offsetof(struct unic_stats, tx_bad_packet) },
	{ "tx_bad_offload", "asks for what cannot be",
	  offsetof(struct unic_stats, tx_bad_offload) },
};

#define STATS_FIELDS (sizeof(stats_fields) / sizeof(stats_fields[0]))

_Static_assert(sizeof(struct unic_stats) == STATS_FIELDS * sizeof(uint64_t), "a line a field");

struct watch {
	const char *address;
	int64_t interval_us;
	uint64_t count; /* of looks; 0: unlimited */
	bool json;
	SCREEN *screen; /* NULL: lines of JSON */
	struct unic_port *port;
	uint64_t looks;
	struct unic_stats last;
	int64_t start_us, last_us, next_us;
	int err; /* of the tick */
};

static uint64_t stats_value(const struct unic_stats *stats, const struct stats_field *field)
{
	uint64_t value;

	memcpy(&value, (const char *)stats + field->offset, sizeof(value));
	return value;
}

/* Receives, so that there is something to count. */
static int stats_work(void *context, unsigned int queue)
{
	struct watch *watch = context;
	struct unic_packet *packets[BURST];
	int n;

	while (!run_stopped()) {
		n = unic_rx_burst(watch->port, queue, packets, BURST);
		if (n > 0)
			unic_packet_free_burst(packets, (unsigned int)n);
		else if (!n)
			n = unic_wait(watch->port, queue, RUN_SLICE_US);
		if (n < 0 && n != -ETIMEDOUT && n != -EINTR)
			return n;
	}
	return 0;
}

/* --- A look --- */

struct look {
	struct unic_stats now, before;
	struct unic_link link;
	int64_t took_us;
	double seconds; /* since the start */
};

static double stats_rate(const struct look *look, const struct stats_field *field)
{
	return run_per_second(stats_value(&look->now, field) - stats_value(&look->before, field),
			      look->took_us);
}

static double stats_bits(const struct look *look, bool sent)
{
	return 8 *
	       (sent ? run_per_second(look->now.tx_bytes - look->before.tx_bytes, look->took_us)
		     : run_per_second(look->now.rx_bytes - look->before.rx_bytes, look->took_us));
}

static void stats_print_json(const struct watch *watch, const struct look *look)
{
	struct run_line line;
	size_t i;

	run_line_begin(&line, true, "stats", "stats", watch->address);
	run_line_decimal(&line, "seconds", look->seconds);
	run_line_bool(&line, "link", look->link.up);
	run_line_number(&line, "speed_mbps", look->link.speed_mbps);
	run_line_bool(&line, "full_duplex", look->link.full_duplex);
	for (i = 0; i < STATS_FIELDS; i++)
		run_line_number(&line, stats_fields[i].name,
				stats_value(&look->now, &stats_fields[i]));
	run_line_decimal(
		&line, "rx_pps",
		run_per_second(look->now.rx_packets - look->before.rx_packets, look->took_us));
	run_line_decimal(&line, "rx_bps", stats_bits(look, false));
	run_line_decimal(
		&line, "tx_pps",
		run_per_second(look->now.tx_packets - look->before.tx_packets, look->took_us));
	run_line_decimal(&line, "tx_bps", stats_bits(look, true));
	run_line_end(&line);
}

static void stats_draw(const struct watch *watch, const struct look *look)
{
	const struct unic_port_info *info = unic_info(watch->port);
	char text[UNIC_CMD_TEXT], total[UNIC_CMD_TEXT];
	int row = 0;
	size_t i;

	erase();
	mvprintw(row++, 0, "%s  %s  MAC %s", info->address, info->driver,
		 unic_cmd_mac(info->mac, text));
	unic_cmd_link_text(&look->link, text);
	mvprintw(row, 0, "link %s", text);
	mvprintw(row++, 30, "%.0f s", look->seconds);
	mvprintw(++row, 0, "%-16s%16s%20s", "", "a second", "in all");
	for (i = 0; i < STATS_FIELDS; i++) {
		run_short(stats_rate(look, &stats_fields[i]), text);
		snprintf(total, sizeof(total), "%" PRIu64,
			 stats_value(&look->now, &stats_fields[i]));
		mvprintw(++row, 0, "%-16s%16s%20s  %s", stats_fields[i].name, text, total,
			 stats_fields[i].meaning);
	}
	row++;
	mvprintw(++row, 0, "%-16s%16s", "rx bit/s", run_short(stats_bits(look, false), text));
	mvprintw(++row, 0, "%-16s%16s", "tx bit/s", run_short(stats_bits(look, true), text));
	mvprintw(row + 2, 0, "What is received is dropped. q ends.");
	refresh();
}

static int stats_look(struct watch *watch, int64_t now)
{
	struct look look = { .before = watch->last };
	int err;

	err = unic_stats(watch->port, &look.now);
	if (!err)
		err = unic_link(watch->port, &look.link);
	if (err)
		return err;
	look.took_us = now - watch->last_us;
	look.seconds = (double)(now - watch->start_us) / 1e6;
	if (watch->screen)
		stats_draw(watch, &look);
	else
		stats_print_json(watch, &look);
	watch->last = look.now;
	watch->last_us = now;
	return 0;
}

static void stats_tick(void *context)
{
	struct watch *watch = context;
	int64_t now = unic_cmd_now_us();

	if (watch->screen && getch() == 'q')
		run_stop();
	if (now < watch->next_us)
		return;
	watch->next_us += watch->interval_us;
	watch->err = stats_look(watch, now);
	if (watch->err || ++watch->looks == watch->count)
		run_stop();
}

/* --- The run --- */

static void stats_summary(const struct watch *watch)
{
	struct unic_stats stats = { 0 };
	struct run_line line;
	size_t i;

	(void)unic_stats(watch->port, &stats);
	run_line_begin(&line, !watch->screen, "summary", "stats", watch->address);
	for (i = 0; i < STATS_FIELDS; i++)
		run_line_number(&line, stats_fields[i].name, stats_value(&stats, &stats_fields[i]));
	run_line_decimal(&line, "seconds", (double)(unic_cmd_now_us() - watch->start_us) / 1e6);
	run_line_end(&line);
}

/* NULL: this terminal cannot. */
static SCREEN *stats_screen(void)
{
	SCREEN *screen = newterm(NULL, stdout, stdin);

	if (!screen)
		return NULL;
	cbreak();
	noecho();
	curs_set(0);
	nodelay(stdscr, true);
	return screen;
}

static int stats_watch(struct watch *watch)
{
	struct run run = {
		.queues = 1,
		.tick_us = watch->interval_us,
		.work = stats_work,
		.tick = stats_tick,
		.context = watch,
	};
	int err;

	watch->screen = !watch->json && isatty(STDOUT_FILENO) ? stats_screen() : NULL;
	if (!watch->screen)
		run_print_ready(true, "stats", watch->address, watch->port);
	else if (run.tick_us > KEY_US)
		run.tick_us = KEY_US;
	watch->start_us = watch->last_us = unic_cmd_now_us();
	watch->next_us = watch->start_us + (watch->screen ? 0 : watch->interval_us);
	err = run_workers(&run);
	if (watch->screen) {
		endwin();
		delscreen(watch->screen);
	}
	stats_summary(watch);
	return err ? err : watch->err;
}

static enum unic_status stats_run(int argc, char **argv)
{
	const struct unic_config config = { .flags = UNIC_CONFIG_PROMISCUOUS };
	struct watch watch = { .interval_us = 1000000 };
	const struct run_option options[] = {
		{ "interval", RUN_SECONDS, &watch.interval_us, 0, 0, 0 },
		{ "count", RUN_NUMBER, &watch.count, 1, UINT64_MAX, 0 },
		{ "json", RUN_FLAG, &watch.json, 0, 0, 0 },
		{ 0 },
	};
	enum unic_status status = run_parse(argc, argv, options, &watch.address, 1);
	int err;

	if (status)
		return status;
	run_catch_signals();
	status = unic_cmd_open_config(watch.address, &config, &watch.port);
	if (status)
		return status;
	err = stats_watch(&watch);
	unic_close(watch.port);
	return err ? unic_cmd_error(watch.address, "stats", err) : UNIC_OK;
}

const struct unic_cmd unic_cmd_stats = { "stats", stats_help, stats_run };
