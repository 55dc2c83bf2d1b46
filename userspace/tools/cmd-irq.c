// SPDX-License-Identifier: GPL-2.0-or-later
/* userpci irq: enables interrupts, waits for them and counts. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "target.h"

#define SLICE_US    100000 /* a line for what came in it; and as often the device is looked at */
#define PROGRESS_US 500000

static const struct option irq_options[] = {
	CMD_OPTION_KIND,   CMD_OPTION_VECTORS, CMD_OPTION_COUNT, CMD_OPTION_TIMEOUT, CMD_OPTION_ACK,
	CMD_OPTION_REGION, CMD_OPTION_WIDTH,   CMD_OPTION_JSON,	 CMD_OPTION_HELP,    { 0 }
};

static const char irq_help[] =
	"enable interrupts, wait for them and count\n"
	"\n"
	"usage: userpci irq [--kind KIND] [--vectors N] [--count N] [--timeout S]\n"
	"                   [--ack REGISTER=VALUE] [--region REGION] [--width BITS] [--json]\n"
	"                   ADDRESS [REGISTER=VALUE]...\n"
	"\n"
	"  ADDRESS    [DDDD:]BB:DD.F of a bound device, or qemu:DEVICE\n"
	"  REGISTER=VALUE   written when they are enabled, as by poke\n"
	"  --kind     intx, msi, msix, or best: MSI-X, else MSI, else INTx; default best\n"
	"  --vectors  enable so many; default 1\n"
	"  --count    end after so many interrupts of all vectors; default: go on\n"
	"  --timeout  the most time; default: until Ctrl-C\n"
	"  --ack      written after each interrupt; it tells the device that it was seen. An\n"
	"             INTx stays masked from the first interrupt on without that\n"
	"  --region, --width   as for peek\n"
	"\n"
	"Prints a line when interrupts came, ten a second at most, and a summary. It owns the\n"
	"device meanwhile, with bus mastering on. The exit status is 3 if fewer than --count\n"
	"came.\n";

static const char *const kinds[] = { "INTx", "MSI", "MSI-X" };

struct irq {
	struct target target;
	const struct cmd_options *options;
	struct place *places; /* what is written at first */
	size_t place_count;
	struct place ack; /* a width of 0: there is none */
	unsigned int vectors;
	int kind; /* USERPCI_IRQ_* */
	struct pollfd *fds;
	uint64_t *totals, *news; /* of each vector: in all, and not told yet */
	uint64_t total;
	int64_t begin_us, told_us, progress_us;
};

static double seconds(const struct irq *irq)
{
	return (double)(run_now_us() - irq->begin_us) / 1e6;
}

/* --- What is printed --- */

static void json_head(const struct irq *irq, struct json *json, const char *event)
{
	json_object(json, NULL);
	json_text(json, "command", "irq");
	json_text(json, "event", event);
	json_text(json, "address", target_name(&irq->target));
	json_decimal(json, "seconds", seconds(irq));
}

static void tell_vector(const struct irq *irq, unsigned int vector)
{
	struct json json = { 0 };

	if (!irq->options->json) {
		printf("%.3f s: vector %u: %" PRIu64 " (%" PRIu64 " in all)\n", seconds(irq),
		       vector, irq->news[vector], irq->totals[vector]);
		return;
	}
	json_head(irq, &json, "interrupt");
	json_number(&json, "vector", vector);
	json_number(&json, "count", irq->news[vector]);
	json_number(&json, "total", irq->totals[vector]);
	json_object_end(&json);
}

static void tell(struct irq *irq)
{
	run_progress_end();
	for (unsigned int v = 0; v < irq->vectors; v++)
		if (irq->news[v]) {
			tell_vector(irq, v);
			irq->news[v] = 0;
		}
	fflush(stdout);
	irq->told_us = run_now_us();
}

static void summary_json(const struct irq *irq)
{
	struct json json = { 0 };

	json_head(irq, &json, "summary");
	json_text(&json, "kind", kinds[irq->kind]);
	json_number(&json, "total", irq->total);
	json_array(&json, "vectors");
	for (unsigned int v = 0; v < irq->vectors; v++)
		json_number(&json, NULL, irq->totals[v]);
	json_array_end(&json);
	json_object_end(&json);
}

static void summary(const struct irq *irq)
{
	run_progress_end();
	if (irq->options->json) {
		summary_json(irq);
		return;
	}
	printf("%s: %" PRIu64 " interrupt%s in %.3f s", kinds[irq->kind], irq->total,
	       irq->total == 1 ? "" : "s", seconds(irq));
	for (unsigned int v = 0; irq->vectors > 1 && v < irq->vectors; v++)
		printf(", vector %u: %" PRIu64, v, irq->totals[v]);
	if (irq->kind == USERPCI_IRQ_INTX && irq->total && !irq->ack.width)
		printf(", masked since: --ack lets the next one in");
	putchar('\n');
}

static void progress(struct irq *irq)
{
	if (!run_has_progress() || run_now_us() < irq->progress_us)
		return;
	run_progress("irq: %" PRIu64 " interrupts, %.0f s", irq->total, seconds(irq));
	irq->progress_us = run_now_us() + PROGRESS_US;
}

/* --- The work --- */

static enum cmd_status irq_error(const struct irq *irq, const char *what, int err)
{
	if (err == -ENODEV)
		return cmd_fail(irq->target.address, "irq",
				"the device is gone: removed, or unbound");
	return cmd_error(irq->target.address, "irq", err, what);
}

static unsigned int kind_of(const char *word)
{
	static const char *const words[] = { "intx", "msi", "msix" };

	for (unsigned int i = 0; word && i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(word, words[i]))
			return i;
	return USERPCI_IRQ_BEST;
}

static enum cmd_status enable_error(const struct irq *irq, int err)
{
	const struct userpci_info *info = userpci_info(irq->target.device);

	if (err != -ENOSPC && err != -EINVAL)
		return irq_error(irq, "enable", err);
	return cmd_fail(irq->target.address, "irq",
			"%u vectors of that kind cannot be had: INTx %u, MSI %u, MSI-X %u",
			irq->vectors, info->num_intx, info->num_msi, info->num_msix);
}

static enum cmd_status enable(struct irq *irq)
{
	struct userpci_device *device = irq->target.device;
	enum cmd_status status = CMD_OK;
	int err;

	/* Messages are writes by the device. */
	err = userpci_bus_master_enable(device);
	if (err)
		return irq_error(irq, "bus mastering", err);
	err = userpci_irq_enable(device, kind_of(irq->options->kind), irq->vectors);
	if (err)
		return enable_error(irq, err);
	irq->kind = userpci_irq_kind(device);
	for (unsigned int v = 0; v < irq->vectors; v++)
		irq->fds[v] = (struct pollfd){ .fd = userpci_irq_fd(device, v), .events = POLLIN };
	irq->begin_us = irq->told_us = run_now_us();
	irq->progress_us = irq->begin_us + PROGRESS_US;
	for (size_t i = 0; i < irq->place_count && !status; i++)
		status = target_write(&irq->target, &irq->places[i]);
	return status;
}

/* The interrupts of a vector. */
static enum cmd_status take(struct irq *irq, unsigned int vector)
{
	enum cmd_status status = CMD_OK;
	uint64_t count = 0;
	int err;

	err = userpci_irq_wait(irq->target.device, vector, 0, &count);
	if (err == -ETIMEDOUT || err == -EINTR)
		return CMD_OK;
	if (err)
		return irq_error(irq, "wait", err);
	irq->total += count;
	irq->totals[vector] += count;
	irq->news[vector] += count;
	if (irq->ack.width)
		status = target_write(&irq->target, &irq->ack);
	if (irq->kind == USERPCI_IRQ_INTX && irq->ack.width) {
		err = userpci_irq_unmask(irq->target.device, vector);
		if (err && !status)
			status = irq_error(irq, "unmask", err);
	}
	return status;
}

static bool is_over(const struct irq *irq)
{
	const struct cmd_options *options = irq->options;

	return run_stopped() || (options->count && irq->total >= options->count) ||
	       (options->timeout_us && run_now_us() - irq->begin_us >= options->timeout_us);
}

/* Until the end, or the next moment to look up from it. */
static int64_t slice_us(const struct irq *irq)
{
	int64_t left = irq->begin_us + irq->options->timeout_us - run_now_us();

	if (irq->options->timeout_us && left < SLICE_US)
		return left > 0 ? left : 0;
	return SLICE_US;
}

static enum cmd_status wait_for_all(struct irq *irq)
{
	enum cmd_status status = CMD_OK;
	struct timespec timeout;
	int ready;

	while (!status && !is_over(irq)) {
		timeout = (struct timespec){ .tv_nsec = (long)slice_us(irq) * 1000 };
		ready = ppoll(irq->fds, irq->vectors, &timeout, NULL);
		if (ready < 0 && errno != EINTR)
			return irq_error(irq, "poll", -errno);
		for (unsigned int v = 0; v < irq->vectors && ready > 0 && !status; v++)
			if (irq->fds[v].revents)
				status = take(irq, v);
		if (!status && !ready)
			status = target_check(&irq->target);
		if (run_now_us() - irq->told_us >= SLICE_US)
			tell(irq);
		progress(irq);
	}
	tell(irq);
	return status;
}

static enum cmd_status count_interrupts(struct irq *irq)
{
	enum cmd_status status = enable(irq);

	if (!status)
		status = wait_for_all(irq);
	if (status)
		return status;
	summary(irq);
	if (irq->total >= irq->options->count)
		return CMD_OK;
	cmd_fail(irq->target.address, "irq", "%" PRIu64 " of %" PRIu64 " interrupts came",
		 irq->total, irq->options->count);
	return CMD_NO;
}

/* --- The command --- */

static enum cmd_status parse_places(struct irq *irq)
{
	const char *const *words = irq->options->query.addresses + 1;
	const char *ack = irq->options->ack;
	enum cmd_status status = CMD_OK;

	if (ack)
		status = target_place(&irq->target, irq->options, ack, &irq->ack);
	if (!status && ack && !irq->ack.write)
		status = cmd_usage("irq", "--ack takes REGISTER=VALUE, not ", ack);
	if (!status)
		status = target_places(&irq->target, irq->options, words, irq->place_count, true,
				       &irq->places);
	for (size_t i = 0; i < irq->place_count && !status; i++)
		if (!irq->places[i].write)
			status = cmd_usage("irq", "no value for ", words[i]);
	return status;
}

static enum cmd_status run_open(struct irq *irq)
{
	enum cmd_status status = parse_places(irq);

	irq->fds = calloc(irq->vectors, sizeof(*irq->fds));
	irq->totals = calloc(irq->vectors, sizeof(*irq->totals));
	irq->news = calloc(irq->vectors, sizeof(*irq->news));
	if (!status && (!irq->fds || !irq->totals || !irq->news))
		status = irq_error(irq, "", -ENOMEM);
	if (!status) {
		status = count_interrupts(irq);
	}
	free(irq->news);
	free(irq->totals);
	free(irq->fds);
	free(irq->places);
	return status;
}

static enum cmd_status irq_run(const struct bind_env *env, const struct cmd_options *options)
{
	enum cmd_status status = target_words("irq", options, 0, SIZE_MAX - 1, "");
	struct irq irq = {
		.options = options,
		.vectors = options->vectors ? (unsigned int)options->vectors : 1,
	};

	(void)env;
	if (status)
		return status;
	run_catch_signals();
	status = target_open(&irq.target, "irq", options->query.addresses[0], true);
	if (status)
		return status;
	irq.place_count = options->query.address_count - 1;
	status = run_open(&irq);
	target_close(&irq.target);
	return status;
}

const struct cmd cmd_irq = { "irq", irq_help, irq_options, irq_run, CMD_REGISTERS };
