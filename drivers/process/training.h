/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training jobs of a real drill. The control plane starts and restarts their gangs; the ranks step,
 * save and resume by themselves. Here is what the drill knows of them: the control plane's word and
 * rank 0's, both from the observer's rounds, and the files of the job's folder, which lie on the
 * storage of its site and are there whoever dies:
 *
 *   SITE/ckpt/NAME/last-step              the last step that ended, written when it did
 *   SITE/ckpt/NAME/ckpt-STEP/…            shards, and a manifest when all of them are durable
 *   SITE/ckpt/NAME.start                  no rank steps before it is there: time 0
 */
#ifndef DRIVERS_PROCESS_TRAINING_H
#define DRIVERS_PROCESS_TRAINING_H

#include <cjson/cJSON.h>

#include "drivers/process/process.h"

#define JOB_SHARD_MIN 4096 /* bytes: a shard holds the state of its rank at least */
#define JOB_PATH_MAX 1100

/* A checkpoint that was whole at some time. */
struct save {
	uint64_t step;
	nanos as_of, progress; /* as_of: when it was begun */
	uint64_t inode;        /* of its manifest, and when that was written: another one is */
	int64_t written;       /* another checkpoint, of the same step too */
	bool bad;              /* found to be bad when it was read */
};

/* ---- training.c ---- */

/* The job's name in the platform's own characters. */
const char *training_name(const struct real *real, uint32_t job, char *name, size_t room);
const char *training_folder(const struct real *real, uint32_t job);
const char *training_start_file(const struct real *real, uint32_t job);
/* What the checkpoints of a site's jobs need at most. */
uint64_t training_room(const struct real *real, uint32_t site);
uint64_t training_steps(const struct job *config);

/* Makes the folders. Ends with training_free(). */
int training_open(struct real *real, struct error *e);
/* All gangs stand and wait for time 0. */
bool training_ready(const struct real *real, const struct view *view);
/* Time 0: they step. */
int training_start(struct real *real, struct error *e);
void training_free(struct real *real);
/* After each round of the observer, in the run loop's thread: tells what happened. */
void training_look(struct real *real, const struct view *view);

bool training_calm(const struct real *real, uint32_t site);
bool training_all_good(const struct real *real);
/* The watchdog's look: is there progress? Answers at once. */
void training_watch(struct real *real, const struct action *action);
void training_account(struct real *real, uint32_t job, struct job_record *ret);
bool training_trains(const struct real *real, uint32_t job);
/* Those that were saved so far, the oldest first, pruned ones too. */
const struct save *training_saves(const struct real *real, uint32_t job, size_t *ret_count);

/* ---- training_view.c: what the observer heard, and what a look at a job shows ---- */

void training_hear_control(struct real *real, struct view *view, const cJSON *jobs);
/* NULL: rank 0 does not answer. */
void training_hear_rank(struct view *view, uint32_t job, const cJSON *answer);
/* By the answer to GET /jobs/NAME. */
bool training_runs(const cJSON *answer);
void training_reading(struct real *real, const struct view *view, struct entity entity,
		      struct reading *ret);

/* ---- training_saves.c: the files of checkpoints ---- */

/* The file of step and instant of the last step; false: no step ended yet. */
bool saves_last_step(struct real *real, uint32_t job, uint64_t *ret_step, nanos *ret_at);
struct save_found {
	uint64_t step;
	bool whole; /* it has a manifest */
	uint64_t inode;
	int64_t written; /* wall clock, ns: of the manifest, else of the folder */
};
#define SAVES_FOUND_MAX 64
/* What the job's folder has, in no order. */
size_t saves_find(const struct real *real, uint32_t job, struct save_found found[SAVES_FOUND_MAX]);
nanos saves_instant(const struct real *real, int64_t written); /* on the drill's clock */
/* Counted from the newest (-1, -2 …) or from the first; -1: it is not there, or not any more. */
int32_t saves_by_index(const struct real *real, uint32_t job, int32_t index);
bool saves_there(const struct real *real, uint32_t job, int32_t id);
const char *saves_shard(const struct real *real, uint32_t job, int32_t id, uint32_t rank,
			char path[JOB_PATH_MAX]);
/* Hashes all shards and holds them against the manifest. */
struct save_look {
	uint64_t bytes;
	uint32_t shards, mismatches, torn; /* there; other content; shorter than they were */
};
void saves_look(const struct real *real, uint32_t job, int32_t id, struct save_look *ret);

#endif
