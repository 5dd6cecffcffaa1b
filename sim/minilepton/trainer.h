/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a training rank: what it computes, its saves, its resume, what it tells. */
#ifndef SIM_MINILEPTON_TRAINER_H
#define SIM_MINILEPTON_TRAINER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "sim/minilepton/checkpoint.h"
#include "sim/minilepton/gang.h"
#include "sim/minilepton/options.h"

#define TRAINER_SEAL_SIZE 32
#define TRAINER_BAD_MAX 64 /* shards told as bad; more are only counted */

struct trainer_options {
	const char *job, *listen, *coordinator, *ckpt_dir, *after;
	struct options_texts devices;
	uint64_t rank, ranks, steps, seed, ckpt_bytes, async, keep, load_rate, save_rate;
	nanos step, ckpt_every, timeout;
};

/* ---- trainer_state.c: what training computes ---- */

/* The state before the first step, the same for the same seed and rank. */
void trainer_begin(uint64_t state[CHECKPOINT_WORDS], uint64_t seed, uint32_t rank);
/* A rank's part of the sum of a step. */
uint64_t trainer_part(const uint64_t state[CHECKPOINT_WORDS], uint64_t step);
/* The state after a step whose sum over all ranks is `sum`. */
void trainer_step(uint64_t state[CHECKPOINT_WORDS], uint64_t step, uint64_t sum);

/* ---- one rank ---- */

enum trainer_phase {
	TRAINER_JOINING,
	TRAINER_LOADING,
	TRAINER_RUNNING,
	TRAINER_DONE
};

struct trainer_bad {
	uint64_t step;
	uint32_t rank;
	char why[GANG_PAYLOAD];
};

/* One rank's part of a save, written by a thread of its own. */
struct trainer_save {
	bool active, ended, failed; /* active: the thread is to be joined */
	pthread_t thread;
	uint64_t step;
	uint64_t state[CHECKPOINT_WORDS];
	struct checkpoint_shard shard;
};

struct devices;

struct trainer {
	const struct trainer_options *options;
	struct devices *devices;
	unsigned char seal[TRAINER_SEAL_SIZE]; /* what the devices held at the start */
	struct gang gang;
	struct rate reads, writes; /* this rank's share */
	uint64_t bytes;            /* of its shard */
	uint64_t state[CHECKPOINT_WORDS];
	struct trainer_save save;
	/* Rank 0's: the checkpoint that is being put together. */
	bool pending;
	nanos pending_since;
	struct checkpoint_manifest manifest;
	bool *have; /* by rank: its shard is durable */
	uint32_t have_count;
	bool pending_failed;
	int record; /* file of the last step, so that a resume knows what is lost; -1: none */
	/* What others see, under the lock. */
	pthread_mutex_t lock;
	enum trainer_phase phase;
	uint64_t step, sum, lost_steps;
	bool restored;
	uint64_t restored_from;
	struct trainer_bad bad[TRAINER_BAD_MAX];
	uint32_t bad_count;
	struct arena arena;
};

/* Loads the newest checkpoint that is whole on all ranks, or begins anew. */
int trainer_resume(struct trainer *trainer, struct error *e);
/* Begins to save the state after `step`; without async it is durable on return. */
int trainer_save_begin(struct trainer *trainer, uint64_t step, struct error *e);
/* Adds a save that has ended to the message for rank 0. */
void trainer_save_report(struct trainer *trainer, struct gang_message *message);
/* Rank 0: takes such a report; the manifest is written when all ranks have ended. */
void trainer_save_collect(struct trainer *trainer, const struct gang_message *message);
/* Rank 0: is a save to begin after this step? */
bool trainer_save_due(struct trainer *trainer, nanos now);
/* The answer to GET /progress, for cJSON_Delete(). */
struct cJSON *trainer_progress_json(struct trainer *trainer);

#endif
