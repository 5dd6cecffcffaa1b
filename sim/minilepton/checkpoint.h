/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints of a training job: one folder each, DIR/ckpt-STEP, with a shard of every rank and,
 * written last, manifest.json with the SHA-256 of all shards. A folder without a manifest is a save
 * that did not end. What is damaged is found when its shards are read.
 */
#ifndef SIM_MINILEPTON_CHECKPOINT_H
#define SIM_MINILEPTON_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "sim/minilepton/rate.h"

#define CHECKPOINT_WORDS 8   /* of a rank's state */
#define CHECKPOINT_DIGEST 32 /* SHA-256 */
#define CHECKPOINT_HEAD 104  /* bytes of a shard before its filling: the least that it has */
#define CHECKPOINT_RANKS_MAX 1024
#define CHECKPOINT_JOB_MAX 64
#define CHECKPOINT_MANIFEST_MAX ((size_t)1 << 20)
#define CHECKPOINT_COUNT_MAX 4096 /* kept in one folder */
#define CHECKPOINT_STEP_MAX 999999999999u

struct checkpoint_shard {
	uint64_t bytes;
	unsigned char digest[CHECKPOINT_DIGEST];
};

struct checkpoint_manifest {
	char job[CHECKPOINT_JOB_MAX];
	uint64_t step;
	nanos progress; /* of training */
	uint32_t ranks;
	struct checkpoint_shard *shards; /* by rank */
};

/* Text of a manifest, for free(). */
char *checkpoint_print(const struct checkpoint_manifest *manifest);
/* Errors: ERROR_USAGE. */
int checkpoint_parse(const char *text, size_t size, struct arena *arena,
		     struct checkpoint_manifest *ret, struct error *e);

/* ERROR_IO; the manifest is durable on return, and so are the shards by then. */
int checkpoint_write(const char *dir, const struct checkpoint_manifest *manifest, struct error *e);
int checkpoint_read(const char *dir, uint64_t step, struct arena *arena,
		    struct checkpoint_manifest *ret, struct error *e);

/*
 * Writes a rank's shard of `bytes` (at least CHECKPOINT_HEAD), durable on return. The filling
 * follows from the state, so that all of it is checked by the digest.
 */
int checkpoint_shard_write(const char *dir, uint64_t step, uint32_t rank,
			   const uint64_t state[CHECKPOINT_WORDS], uint64_t bytes,
			   struct rate *rate, struct checkpoint_shard *ret, struct error *e);
/* Reads a shard whole; ERROR_IO when it is missing, short, long, or not what the manifest says. */
int checkpoint_shard_read(const char *dir, const struct checkpoint_manifest *manifest,
			  uint32_t rank, struct rate *rate, uint64_t state[CHECKPOINT_WORDS],
			  struct error *e);

/* Steps of the checkpoints that have a manifest, the newest first. */
int checkpoint_list(const char *dir, struct arena *arena, uint64_t **ret_steps, size_t *ret_count,
		    struct error *e);
/*
 * Removes all but the newest `keep` with a manifest, of those up to step `newest`, which has just
 * been saved. Later ones are of a run that was given up: training went back behind them.
 */
int checkpoint_prune(const char *dir, size_t keep, uint64_t newest, struct error *e);

#endif
