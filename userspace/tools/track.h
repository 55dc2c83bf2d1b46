/* SPDX-License-Identifier: MIT */
/* Which frames of a sequence came, which are missing, which came twice or too late. */
#ifndef TOOLS_TRACK_H
#define TOOLS_TRACK_H

#include <stdint.h>

#include "gen.h"

#define TRACK_RUNS   16	  /* that are known at the same time; the oldest is forgotten */
#define TRACK_WINDOW 1024 /* frames of a flow, up to the last one, that are known one by one */

struct track_flow {
	uint64_t first;
	uint64_t next; /* 0: none came */
	uint64_t seen[TRACK_WINDOW / 64];
};

struct track {
	uint64_t frames;
	uint64_t before;    /* numbers below the first that came of a flow */
	uint64_t lost;	    /* between that and the last */
	uint64_t doubled;   /* came again */
	uint64_t reordered; /* came behind a later one of the same flow */
	uint32_t count;	    /* of runs, those included that were forgotten */
	struct {
		uint32_t run;
		struct track_flow *flows; /* GEN_FLOWS_MAX */
	} runs[TRACK_RUNS];
};

/* Takes a frame in; @track begins zeroed. -ENOMEM. */
int track_add(struct track *track, const struct gen_mark *mark);
void track_free(struct track *track);

#endif
