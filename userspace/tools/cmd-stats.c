/* SPDX-License-Identifier: MIT */
/* unic stats: what comes in, as rates, on a screen or as JSON. */
#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cycles.h"
#include "unic-cmd.h"
#include "unic-run.h"

#define BURST  64
#define KEY_US 100000 /* the keyboard is looked at so often */

static const char stats_help[] =
	"show what comes in, as rates\n"
	"\n"
	"usage: unic stats ADDRESS [--interval S] [--count N] [--json]\n"
	"                          [--cycles] [--pid PID]\n"
	"\n"
	"  --interval S  between two looks; default 1\n"
	"  --count N     end after N looks\n"
	"  --json        a line of JSON a look, also on a terminal\n"
	"  --cycles      what a packet costs, in cycles of the processor; see below\n"
	"  --pid PID     of that process's port, where several have the ADDRESS\n"
	"\n"
	"Receives all frames that come, and drops them: nobody else gets them meanwhile.\n"
	"On a terminal a screen that 'q' ends, else a line of JSON an interval. Frames that\n"
	"the caller did not get are told with the reason:\n"
	"  rx_errors       bad frames: CRC, length, or the device contradicts itself\n"
	"  rx_missed       dropped by the device: no descriptor was free\n"
	"  rx_no_buffer    dropped by the driver: no packet was free\n"
	"  tx_bad_length   not sent: empty, or longer than the MTU allows\n"
	"  tx_bad_packet   not sent: of another port's memory\n"
	"  tx_bad_offload  not sent: asks for what cannot be done\n"
	"\n"
	"With --cycles it looks at the port of a running program, which goes on as before. That\n"
	"program was started with UNIC_CYCLES=1 in its environment:\n"
	"  UNIC_CYCLES=1 unic fwd ADDRESS ADDRESS\n"
	"Where there is none, the port is opened here, and this program's own bursts are told.\n"
	"  cycles  of a packet, in the driver, in bursts that moved some\n"
	"  burst   packets in one of these\n"
	"  busy    of the time of one processor\n";

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
	SCREEN *screen;		   /* NULL: lines of JSON */
	struct unic_port *port;	   /* NULL: another program's */
	struct cycles_view cycles; /* its page is NULL: not asked for */
	struct cycles_count last_count;
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

/* Until the other program has ended. */
static int stats_attend(void *context, unsigned int queue)
{
	const struct watch *watch = context;

	(void)queue;
	while (!run_stopped() && cycles_lives(&watch->cycles))
		run_sleep_us(RUN_SLICE_US);
	run_stop();
	return 0;
}

/* --- A look --- */

struct look {
	struct unic_stats now, before;
	struct unic_link link;
	struct cycles_count count, count_before;
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

static void stats_print_way(struct run_line *line, const struct watch *watch,
			    const struct look *look, bool sent)
{
	struct cycles_rate rate = cycles_rate(&look->count_before, &look->count, -1, sent);
	struct unic_cycles_way sum = cycles_sum(&look->count, sent);

	if (!watch->port)
		run_line_number(line, sent ? "tx_packets" : "rx_packets", sum.packets);
	run_line_number(line, sent ? "tx_bursts" : "rx_bursts", sum.bursts);
	run_line_number(line, sent ? "tx_cycles" : "rx_cycles", sum.cycles);
	if (!watch->port)
		run_line_decimal(line, sent ? "tx_pps" : "rx_pps", rate.pps);
	run_line_decimal(line, sent ? "tx_packets_per_burst" : "rx_packets_per_burst", rate.burst);
	run_line_decimal(line, sent ? "tx_cycles_per_packet" : "rx_cycles_per_packet", rate.cycles);
	run_line_decimal(line, sent ? "tx_ns_per_packet" : "rx_ns_per_packet", rate.ns);
	run_line_decimal(line, sent ? "tx_busy" : "rx_busy", rate.busy);
}

static void stats_print_port(struct run_line *line, const struct look *look)
{
	size_t i;

	run_line_bool(line, "link", look->link.up);
	run_line_number(line, "speed_mbps", look->link.speed_mbps);
	run_line_bool(line, "full_duplex", look->link.full_duplex);
	for (i = 0; i < STATS_FIELDS; i++)
		run_line_number(line, stats_fields[i].name,
				stats_value(&look->now, &stats_fields[i]));
	run_line_decimal(
		line, "rx_pps",
		run_per_second(look->now.rx_packets - look->before.rx_packets, look->took_us));
	run_line_decimal(line, "rx_bps", stats_bits(look, false));
	run_line_decimal(
		line, "tx_pps",
		run_per_second(look->now.tx_packets - look->before.tx_packets, look->took_us));
	run_line_decimal(line, "tx_bps", stats_bits(look, true));
}

static void stats_print_json(const struct watch *watch, const struct look *look)
{
	struct run_line line;

	run_line_begin(&line, true, "stats", "stats", watch->address);
	run_line_decimal(&line, "seconds", look->seconds);
	if (watch->port)
		stats_print_port(&line, look);
	else
		run_line_number(&line, "pid", (uint64_t)watch->cycles.pid);
	if (watch->cycles.page) {
		stats_print_way(&line, watch, look, false);
		stats_print_way(&line, watch, look, true);
	}
	run_line_end(&line);
}

static int stats_draw_way(const struct look *look, int row, int queue, bool sent)
{
	struct cycles_rate rate = cycles_rate(&look->count_before, &look->count, queue, sent);
	char text[UNIC_CMD_TEXT];

	mvprintw(row, 0, "%s", sent ? "tx" : "rx");
	if (queue >= 0)
		printw(" queue %d", queue);
	run_short(rate.pps, text);
	mvprintw(row, 16, "%16s%10.1f%10.1f%10.1f%9.1f%%", text, rate.burst, rate.cycles, rate.ns,
		 100 * rate.busy);
	return row + 1;
}

static int stats_draw_cycles(const struct watch *watch, const struct look *look, int row)
{
	unsigned int queues = cycles_queues(&watch->cycles), queue;

	mvprintw(row++, 0, "%-16s%16s%10s%10s%10s%10s", "a packet costs", "a second", "burst",
		 "cycles", "ns", "busy");
	row = stats_draw_way(look, row, -1, false);
	row = stats_draw_way(look, row, -1, true);
	for (queue = 0; queues > 1 && queue < queues; queue++) {
		row = stats_draw_way(look, row, (int)queue, false);
		row = stats_draw_way(look, row, (int)queue, true);
	}
	return row;
}

static int stats_draw_port(const struct watch *watch, const struct look *look)
{
	const struct unic_port_info *info = unic_info(watch->port);
	char text[UNIC_CMD_TEXT], total[UNIC_CMD_TEXT];
	int row = 0;
	size_t i;

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
	return row + 2;
}

static void stats_draw(const struct watch *watch, const struct look *look)
{
	int row = 2;

	erase();
	if (watch->port)
		row = stats_draw_port(watch, look);
	else
		mvprintw(0, 0, "%s  of process %d  %.0f s", watch->address, watch->cycles.pid,
			 look->seconds);
	if (watch->cycles.page)
		row = stats_draw_cycles(watch, look, row) + 1;
	mvprintw(row, 0, watch->port ? "What is received is dropped. q ends." : "q ends.");
	refresh();
}

static int stats_look(struct watch *watch, int64_t now)
{
	struct look look = { .before = watch->last, .count_before = watch->last_count };
	int err = 0;

	if (watch->port)
		err = unic_stats(watch->port, &look.now);
	if (watch->port && !err)
		err = unic_link(watch->port, &look.link);
	if (err)
		return err;
	if (watch->cycles.page)
		cycles_read(&watch->cycles, &look.count);
	look.took_us = now - watch->last_us;
	look.seconds = (double)(now - watch->start_us) / 1e6;
	if (watch->screen)
		stats_draw(watch, &look);
	else
		stats_print_json(watch, &look);
	watch->last = look.now;
	watch->last_count = look.count;
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

/* Of all the time that was looked at. */
static void stats_summary(const struct watch *watch, const struct cycles_count *begun)
{
	struct look look = { .count_before = *begun };
	struct run_line line;
	size_t i;

	run_line_begin(&line, !watch->screen, "summary", "stats", watch->address);
	if (watch->port) {
		(void)unic_stats(watch->port, &look.now);
		for (i = 0; i < STATS_FIELDS; i++)
			run_line_number(&line, stats_fields[i].name,
					stats_value(&look.now, &stats_fields[i]));
	}
	if (watch->cycles.page) {
		cycles_read(&watch->cycles, &look.count);
		stats_print_way(&line, watch, &look, false);
		stats_print_way(&line, watch, &look, true);
	}
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
		.work = watch->port ? stats_work : stats_attend,
		.tick = stats_tick,
		.context = watch,
	};
	struct cycles_count begun = { 0 };
	int err;

	watch->screen = !watch->json && isatty(STDOUT_FILENO) ? stats_screen() : NULL;
	if (!watch->screen && watch->port)
		run_print_ready(true, "stats", watch->address, watch->port);
	else if (watch->screen && run.tick_us > KEY_US)
		run.tick_us = KEY_US;
	if (watch->cycles.page)
		cycles_read(&watch->cycles, &begun);
	watch->last_count = begun;
	watch->start_us = watch->last_us = unic_cmd_now_us();
	watch->next_us = watch->start_us + (watch->screen ? 0 : watch->interval_us);
	err = run_workers(&run);
	if (watch->screen) {
		endwin();
		delscreen(watch->screen);
	}
	stats_summary(watch, &begun);
	return err ? err : watch->err;
}

/* The port of a running program; where there is none, one of this program. */
static enum unic_status stats_open(struct watch *watch, bool cycles, pid_t pid)
{
	struct unic_config config = { .flags = UNIC_CONFIG_PROMISCUOUS };
	enum unic_status status;
	int err = cycles ? cycles_find(watch->address, pid, &watch->cycles) : -ENOENT;

	if (!err)
		return UNIC_OK;
	if (err == -ENOTUNIQ) {
		fprintf(stderr, "unic: %s: several programs have it; say which with --pid\n",
			watch->address);
		return UNIC_FAILURE;
	}
	if (pid) {
		fprintf(stderr,
			"unic: %s: process %d counts no cycles of it; start it with UNIC_CYCLES=1 "
			"in its environment\n",
			watch->address, pid);
		return UNIC_FAILURE;
	}
	if (cycles)
		config.flags |= UNIC_CONFIG_CYCLES;
	err = unic_open(watch->address, &config, &watch->port);
	if (err == -EBUSY && cycles) {
		fprintf(stderr,
			"unic: %s: busy, and no program that may be looked at counts its "
			"cycles; start that one with UNIC_CYCLES=1 in its environment\n",
			watch->address);
		return UNIC_FAILURE;
	}
	if (err)
		return unic_cmd_open_error(watch->address, &config, err);
	status = unic_cmd_start(watch->address, watch->port);
	if (status)
		unic_close(watch->port);
	else if (cycles)
		(void)cycles_find(watch->address, getpid(), &watch->cycles);
	return status;
}

static enum unic_status stats_run(int argc, char **argv)
{
	struct watch watch = { .interval_us = 1000000 };
	bool cycles = false;
	uint64_t pid = 0;
	const struct run_option options[] = {
		{ "interval", RUN_SECONDS, &watch.interval_us, 0, 0, 0 },
		{ "count", RUN_NUMBER, &watch.count, 1, UINT64_MAX, 0 },
		{ "json", RUN_FLAG, &watch.json, 0, 0, 0 },
		{ "cycles", RUN_FLAG, &cycles, 0, 0, 0 },
		{ "pid", RUN_NUMBER, &pid, 1, INT32_MAX, 0 },
		{ 0 },
	};
	enum unic_status status = run_parse(argc, argv, options, &watch.address, 1);
	int err;

	if (status)
		return status;
	if (pid && !cycles)
		return unic_cmd_usage(argv[0], "--pid is for --cycles", "");
	run_catch_signals();
	status = stats_open(&watch, cycles, (pid_t)pid);
	if (status)
		return status;
	err = stats_watch(&watch);
	cycles_close(&watch.cycles);
	unic_close(watch.port);
	return err ? unic_cmd_error(watch.address, "stats", err) : UNIC_OK;
}

const struct unic_cmd unic_cmd_stats = { "stats", stats_help, stats_run };
