/* SPDX-License-Identifier: MIT */
/* Which frames of a sequence came. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "track.h"

static int flows_of(struct track *track, uint32_t run, struct track_flow **flows)
{
	uint32_t known = track->count < TRACK_RUNS ? track->count : TRACK_RUNS, i;

	for (i = 0; i < known; i++)
		if (track->runs[i].run == run) {
			*flows = track->runs[i].flows;
			return 0;
		}
	*flows = calloc(GEN_FLOWS_MAX, sizeof(**flows));
	if (!*flows)
		return -ENOMEM;
	i = track->count++ % TRACK_RUNS;
	free(track->runs[i].flows);
	track->runs[i].run = run;
	track->runs[i].flows = *flows;
	return 0;
}

static bool is_seen(const struct track_flow *flow, uint64_t sequence)
{
	return flow->seen[sequence % TRACK_WINDOW / 64] >> sequence % 64 & 1;
}

static void set_seen(struct track_flow *flow, uint64_t sequence)
{
	flow->seen[sequence % TRACK_WINDOW / 64] |= (uint64_t)1 << sequence % 64;
}

static void clear_seen(struct track_flow *flow, uint64_t sequence)
{
	flow->seen[sequence % TRACK_WINDOW / 64] &= ~((uint64_t)1 << sequence % 64);
}

/* The window moves on: what is new in it was not seen. Returns how many are left out. */
static uint64_t advance(struct track_flow *flow, uint64_t sequence)
{
	uint64_t gap = sequence - flow->next, i;

	if (gap >= TRACK_WINDOW)
		memset(flow->seen, 0, sizeof(flow->seen));
	else
		for (i = 0; i <= gap; i++)
			clear_seen(flow, flow->next + i);
	flow->next = sequence + 1;
	return gap;
}

int track_add(struct track *track, const struct gen_mark *mark)
{
	uint64_t sequence = mark->sequence;
	struct track_flow *flow;
	int err;

	err = flows_of(track, mark->run, &flow);
	if (err)
		return err;
	flow += mark->flow;
	track->frames++;
	if (!flow->next) {
		flow->first = sequence;
		flow->next = sequence;
		track->before += sequence;
	}
	if (sequence >= flow->next) {
		track->lost += advance(flow, sequence);
	} else if (flow->next - sequence > TRACK_WINDOW) {
		/* It cannot be told any more whether it came before. */
		track->reordered++;
		return 0;
	} else if (is_seen(flow, sequence)) {
		track->doubled++;
	} else {
		track->reordered++;
		*(sequence < flow->first ? &track->before : &track->lost) -= 1;
	}
	set_seen(flow, sequence);
	return 0;
}

void track_free(struct track *track)
{
	uint32_t i;

	for (i = 0; i < TRACK_RUNS; i++)
		free(track->runs[i].flows);
	*track = (struct track){ 0 };
}
