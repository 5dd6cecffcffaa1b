/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gang of ranks over TCP: rank 0 gathers a message of every other rank and sends one to all. A
 * rank that is gone or hangs makes every call fail, with the words that NCCL has for it.
 */
#ifndef SIM_MINILEPTON_GANG_H
#define SIM_MINILEPTON_GANG_H

#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"

#define GANG_RANKS_MAX 1024
#define GANG_PAYLOAD 64

enum gang_kind {
	GANG_HELLO = 1, /* of a rank: I am `rank` of `a` */
	GANG_LOAD,      /* to all: load the checkpoint of step `a` (b: 1), or begin anew (b: 0) */
	GANG_LOADED,    /* of a rank: a: 1 it is good, 0 it is not */
	GANG_STEP, /* of a rank: step `a` is computed, b: its part; c: a save that ended, + 1 */
	GANG_GO,   /* to all: step `a` is done, b: the sum; c: GANG_SAVE, GANG_END */
};
#define GANG_SAVE 1u /* save the state after this step */
#define GANG_END 2u  /* it was the last one */

struct gang_message {
	uint64_t magic;
	uint32_t kind, rank;
	uint64_t a, b, c;
	unsigned char payload[GANG_PAYLOAD];
};

struct gang_peer;
struct gang {
	uint32_t rank, ranks;
	struct gang_peer *peers; /* rank 0: by rank; others: only that of rank 0 */
	uint32_t peer_count;
	/* Called while it waits, every few ms; non-zero ends the call with -1. */
	int (*idle)(void *self, struct error *e);
	void *self;
	uint64_t sequence; /* of collective operations */
};

/* Meets at `coordinator` (ADDRESS:PORT), where rank 0 listens. Set rank, ranks, idle and self. */
int gang_open(struct gang *gang, const char *coordinator, const char *job, nanos patience,
	      struct error *e);
/* Rank 0: `all` has a message of `kind` of every rank but 0 at its index. */
int gang_gather(struct gang *gang, enum gang_kind kind, struct gang_message *all, nanos patience,
		struct error *e);
/* Rank 0: to all others. */
int gang_tell(struct gang *gang, const struct gang_message *message, struct error *e);
/* Other ranks: to rank 0, and from it. */
int gang_say(struct gang *gang, const struct gang_message *message, struct error *e);
int gang_hear(struct gang *gang, enum gang_kind kind, struct gang_message *ret, nanos patience,
	      struct error *e);
void gang_close(struct gang *gang);

#endif
