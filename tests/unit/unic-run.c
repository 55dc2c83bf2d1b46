/* SPDX-License-Identifier: MIT */
/* What unic's subcommands have in common: numbers as users write them, and threads that end. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#include "harness.h"
#include "tools/unic-run.h"

/* Of unic.c, which has main(). */
static char said[256];

enum unic_status unic_cmd_usage(const char *command, const char *what, const char *which)
{
	snprintf(said, sizeof(said), "%s: %s%s", command, what, which);
	return UNIC_USAGE;
}

const char *unic_cmd_mac(const uint8_t mac[UNIC_MAC_SIZE], char text[UNIC_CMD_TEXT])
{
	snprintf(text, UNIC_CMD_TEXT, "%02x", mac[0]);
	return text;
}

const char *unic_cmd_link(struct unic_port *port, char text[UNIC_CMD_TEXT])
{
	(void)port;
	text[0] = '\0';
	return text;
}

/* --- Numbers --- */

static uint64_t number(const char *text)
{
	uint64_t value = 12345;

	return run_parse_number(text, 1, 1000000000000, &value) ? value : 0;
}

TEST(run_numbers)
{
	CHECK_EQ(number("1"), 1);
	CHECK_EQ(number("1500"), 1500);
	CHECK_EQ(number("10k"), 10000);
	CHECK_EQ(number("1.5M"), 1500000);
	CHECK_EQ(number("0.001k"), 1);
	CHECK_EQ(number("1000G"), 1000000000000);
}

TEST(run_no_numbers)
{
	static const char *const wrong[] = {
		"",	"k",   "-1",  "+1",    "0",	"1001G", "1.5",	  "10 k", "10kk", "10K",
		"0x10", "nan", "inf", "1e400", "0.5k1", " 1",	 "1\xff", "1.k.", ".5k",  "0X1",
	};
	unsigned int i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (number(wrong[i]))
			HARNESS_FAIL("'%s' is taken for a number", wrong[i]);
}

static int64_t seconds(const char *text)
{
	int64_t time_us = 12345;

	return run_parse_seconds(text, &time_us) ? time_us : 0;
}

TEST(run_times)
{
	CHECK_EQ(seconds("10"), 10000000);
	CHECK_EQ(seconds("0.5"), 500000);
	CHECK_EQ(seconds("3s"), 3000000);
	CHECK_EQ(seconds("200ms"), 200000);
	CHECK_EQ(seconds("2m"), 120000000);
	CHECK_EQ(seconds("1h"), 3600000000);
	CHECK_EQ(seconds("0"), 0);
	CHECK_EQ(seconds("-1"), 0);
	CHECK_EQ(seconds("1d"), 0);
	CHECK_EQ(seconds("1e99"), 0);
	CHECK_EQ(seconds(""), 0);
}

TEST(run_sizes)
{
	struct run_sizes sizes;

	CHECK(run_parse_sizes("60", 60, 1514, &sizes));
	CHECK(sizes.min == 60 && sizes.max == 60);
	CHECK(run_parse_sizes("60-1514", 60, 1514, &sizes));
	CHECK(sizes.min == 60 && sizes.max == 1514);
	CHECK(run_parse_sizes("imix", 60, 1514, &sizes));
	CHECK(!sizes.min && !sizes.max);
	CHECK(!run_parse_sizes("59", 60, 1514, &sizes));
	CHECK(!run_parse_sizes("1515", 60, 1514, &sizes));
	CHECK(!run_parse_sizes("100-60", 60, 1514, &sizes));
	CHECK(!run_parse_sizes("60-", 60, 1514, &sizes));
	CHECK(!run_parse_sizes("-60", 60, 1514, &sizes));
	CHECK(!run_parse_sizes("60-70-80", 60, 1514, &sizes));
	CHECK(!run_parse_sizes("6000000000000", 60, 1514, &sizes));
	CHECK(!run_parse_sizes("", 60, 1514, &sizes));
}

/* --- Arguments --- */

struct values {
	bool flag;
	uint64_t count;
	uint8_t mac[UNIC_MAC_SIZE];
	const char *addresses[2];
};

static enum unic_status parse(struct values *v, unsigned int addresses, char **argv)
{
	const struct run_option options[] = {
		{ "flag", RUN_FLAG, &v->flag, 0, 0, 0 },
		{ "count", RUN_NUMBER, &v->count, 1, 100, 'c' },
		{ "to", RUN_MAC, v->mac, 0, 0, 0 },
		{ 0 },
	};
	int argc = 0;

	while (argv[argc])
		argc++;
	return run_parse(argc, argv, options, v->addresses, addresses);
}

TEST(run_options_behind_the_address)
{
	char *argv[] = { (char *)"cmd", (char *)"a",	(char *)"--count",	 (char *)"5",
			 (char *)"b",	(char *)"--to", (char *)"02:aB:0:1:2:3", (char *)"--flag",
			 NULL };
	static const uint8_t mac[] = { 2, 0xab, 0, 1, 2, 3 };
	struct values v = { 0 };

	CHECK_EQ(parse(&v, 2, argv), UNIC_OK);
	CHECK(v.flag && v.count == 5);
	CHECK(!memcmp(v.mac, mac, sizeof(mac)));
	CHECK(!strcmp(v.addresses[0], "a") && !strcmp(v.addresses[1], "b"));
}

static void refused(unsigned int addresses, const char *first, const char *second, const char *why)
{
	char *argv[] = { (char *)"cmd", (char *)first, (char *)second, NULL };
	struct values v = { 0 };

	CHECK_EQ(parse(&v, addresses, argv), UNIC_USAGE);
	if (!strstr(said, why))
		HARNESS_FAIL("no '%s' in '%s'", why, said);
}

TEST(run_options_refused)
{
	refused(1, NULL, NULL, "cmd: ADDRESS is missing");
	refused(2, "a", NULL, "a second ADDRESS is missing");
}

TEST(run_option_unknown)
{
	refused(1, "a", "--other", "unknown option --other");
}

TEST(run_option_without_value)
{
	refused(1, "a", "--count", "a value is missing after --count");
}

TEST(run_option_out_of_bounds)
{
	refused(1, "--count", "101",
		"--count takes a number from 1 to 100, as 500 or 10k, not 101");
}

TEST(run_option_by_letter)
{
	refused(1, "-c", "0", "--count takes a number from 1 to 100");
}

TEST(run_one_too_many)
{
	refused(1, "a", "b", "one too many: b");
}

TEST(run_bad_mac)
{
	refused(1, "--to", "02:00:00:00:00:0g", "--to takes a MAC address");
}

/* --- Threads --- */

static int until_stopped(void *context, unsigned int queue)
{
	unsigned int *seen = context;

	seen[queue] = 1;
	while (!run_stopped())
		usleep(1000);
	seen[queue] = 2;
	return 0;
}

TEST(run_ends_all_workers_in_time)
{
	unsigned int seen[RUN_QUEUES_MAX] = { 0 }, i;
	struct run run = { .queues = 5, .time_us = 50000, .work = until_stopped, .context = seen };

	CHECK_EQ(run_workers(&run), 0);
	CHECK(run_stopped());
	for (i = 0; i < RUN_QUEUES_MAX; i++)
		CHECK_EQ(seen[i], i < 5 ? 2 : 0);
}

static int third_fails(void *context, unsigned int queue)
{
	return queue == 2 ? -ENODEV : until_stopped(context, queue);
}

TEST(run_error_of_one_ends_all)
{
	unsigned int seen[RUN_QUEUES_MAX] = { 0 };
	struct run run = { .queues = 4, .work = third_fails, .context = seen };

	CHECK_EQ(run_workers(&run), -ENODEV);
	CHECK(seen[0] == 2 && seen[1] == 2 && !seen[2] && seen[3] == 2);
}

static int at_once(void *context, unsigned int queue)
{
	(void)context;
	(void)queue;
	return 0;
}

/* Nobody has to stop what ends by itself. */
TEST(run_ends_with_its_workers)
{
	struct run run = { .queues = 3, .work = at_once };

	CHECK_EQ(run_workers(&run), 0);
	CHECK(!run_stopped());
}

static void count_tick(void *context)
{
	unsigned int *ticks = context;

	if (++*ticks == 3)
		run_stop();
}

static int wait_only(void *context, unsigned int queue)
{
	unsigned int ignored[RUN_QUEUES_MAX];

	(void)context;
	return until_stopped(ignored, queue);
}

TEST(run_ticks)
{
	unsigned int ticks = 0;
	struct run run = {
		.queues = 1,
		.tick_us = 1000,
		.work = wait_only,
		.tick = count_tick,
		.context = &ticks,
	};

	CHECK_EQ(run_workers(&run), 0);
	CHECK_EQ(ticks, 3);
}

/* timeout(1) sends each signal twice: to its child, and to the group. */
TEST(run_signal_twice)
{
	run_catch_signals();
	CHECK(!run_stopped());
	raise(SIGINT);
	raise(SIGTERM);
	CHECK(run_stopped());
}

TEST(run_signal_again_later)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		run_catch_signals();
		raise(SIGINT);
		usleep(900000);
		usleep(200000);
		raise(SIGINT);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 128 + SIGINT);
}

TEST(run_short_numbers)
{
	char text[UNIC_CMD_TEXT];

	CHECK(!strcmp(run_short(0, text), "0"));
	CHECK(!strcmp(run_short(999, text), "999"));
	CHECK(!strcmp(run_short(14880, text), "14.88k"));
	CHECK(!strcmp(run_short(1.2e6, text), "1.20M"));
	CHECK(!strcmp(run_short(4.5e18, text), "4500000.00T"));
}

TEST_MAIN
