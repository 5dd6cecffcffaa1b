/* SPDX-License-Identifier: Apache-2.0 */
/* Saves and resumes: each rank writes and checks its own shard; rank 0 decides, and writes the
 * manifest when all shards are durable. */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/trainer.h"

#define LOAD_SLACK (5 * NANOS_S) /* beside what the rate allows */

/* ---- saving ---- */

static void *write_shard(void *self)
{
	struct trainer *trainer = self;
	struct trainer_save *save = &trainer->save;
	struct error e = {0};
	struct checkpoint_shard shard = {.bytes = 0};
	int rc = checkpoint_shard_write(trainer->options->ckpt_dir, save->step, trainer->gang.rank,
					save->state, trainer->bytes, &trainer->writes, &shard, &e);

	if (rc)
		minilepton_say("save of step %" PRIu64 ": %s", save->step, e.text);
	pthread_mutex_lock(&trainer->lock);
	save->shard = shard;
	save->failed = rc != 0;
	save->ended = true;
	pthread_mutex_unlock(&trainer->lock);
	return NULL;
}

int trainer_save_begin(struct trainer *trainer, uint64_t step, struct error *e)
{
	struct trainer_save *save = &trainer->save;

	if (save->active)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "a save begins while another goes on");
	*save = (struct trainer_save){.active = true, .step = step};
	memcpy(save->state, trainer->state, sizeof(save->state));
	if (trainer->options->async) {
		if (pthread_create(&save->thread, NULL, write_shard, trainer) == 0)
			return 0;
		save->active = false;
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "no thread for a save");
	}
	write_shard(trainer);
	return 0;
}

/* payload: 32 bytes of digest, 8 of size; a failed one has size 0. */
void trainer_save_report(struct trainer *trainer, struct gang_message *message)
{
	struct trainer_save *save = &trainer->save;
	uint64_t bytes;
	bool ended;

	if (!save->active)
		return;
	pthread_mutex_lock(&trainer->lock);
	ended = save->ended;
	pthread_mutex_unlock(&trainer->lock);
	if (!ended)
		return;
	if (trainer->options->async)
		pthread_join(save->thread, NULL);
	save->active = false;
	bytes = save->failed ? 0 : htole64(save->shard.bytes);
	message->c = save->step + 1;
	memcpy(message->payload, save->shard.digest, CHECKPOINT_DIGEST);
	memcpy(message->payload + CHECKPOINT_DIGEST, &bytes, sizeof(bytes));
}

bool trainer_save_due(struct trainer *trainer, nanos now)
{
	const struct trainer_options *options = trainer->options;

	if (options->ckpt_every == 0 || trainer->pending || trainer->save.active ||
	    now - trainer->pending_since < options->ckpt_every)
		return false;
	trainer->pending = true;
	trainer->pending_failed = false;
	trainer->pending_since = now;
	trainer->have_count = 0;
	memset(trainer->have, 0, options->ranks * sizeof(*trainer->have));
	trainer->manifest.step = trainer->step + 1; /* the state after the step that is going on */
	trainer->manifest.progress = (nanos)trainer->manifest.step * options->step;
	return true;
}

static void finish(struct trainer *trainer)
{
	const struct trainer_options *options = trainer->options;
	uint64_t step = trainer->manifest.step;
	struct error e = {0};

	trainer->pending = false;
	if (!options->async)
		trainer->pending_since =
			minilepton_now(); /* counted from its end, as training is */
	if (trainer->pending_failed || checkpoint_write(options->ckpt_dir, &trainer->manifest, &e))
		minilepton_say("checkpoint of step %" PRIu64 " is given up: %s", step,
			       e.text[0] ? e.text : "a rank could not save");
	else if (checkpoint_prune(options->ckpt_dir, (size_t)options->keep, step, &e))
		minilepton_say("old checkpoints: %s", e.text);
	else
		minilepton_say("checkpoint of step %" PRIu64, step);
}

void trainer_save_collect(struct trainer *trainer, const struct gang_message *message)
{
	struct checkpoint_shard *shard = &trainer->manifest.shards[message->rank];
	uint64_t bytes;

	if (!trainer->pending || message->c != trainer->manifest.step + 1 ||
	    trainer->have[message->rank])
		return;
	memcpy(shard->digest, message->payload, CHECKPOINT_DIGEST);
	memcpy(&bytes, message->payload + CHECKPOINT_DIGEST, sizeof(bytes));
	shard->bytes = le64toh(bytes);
	trainer->have[message->rank] = true;
	trainer->pending_failed |= shard->bytes == 0;
	if (++trainer->have_count == trainer->gang.ranks)
		finish(trainer);
}

/* ---- resuming ---- */

static void note_bad(struct trainer *trainer, uint64_t step, uint32_t rank, const char *why)
{
	minilepton_say("checkpoint of step %" PRIu64 ", rank %u: %s", step, rank, why);
	pthread_mutex_lock(&trainer->lock);
	if (trainer->bad_count < TRAINER_BAD_MAX) {
		struct trainer_bad *bad = &trainer->bad[trainer->bad_count];

		*bad = (struct trainer_bad){.step = step, .rank = rank};
		snprintf(bad->why, sizeof(bad->why), "%.*s", GANG_PAYLOAD - 1, why);
	}
	trainer->bad_count++;
	pthread_mutex_unlock(&trainer->lock);
}

/* The step's shard of this rank; `why` has room for GANG_PAYLOAD. */
static bool load(struct trainer *trainer, uint64_t step, char *why)
{
	const struct trainer_options *options = trainer->options;
	struct checkpoint_manifest manifest;
	struct error e = {0};
	uint64_t state[CHECKPOINT_WORDS];

	if (checkpoint_read(options->ckpt_dir, step, &trainer->arena, &manifest, &e) == 0) {
		if (strcmp(manifest.job, options->job) != 0 ||
		    manifest.ranks != trainer->gang.ranks)
			error_set(&e, ERROR_USAGE, NO_PLACE, "it is of another job or size");
		else if (checkpoint_shard_read(options->ckpt_dir, &manifest, trainer->gang.rank,
					       &trainer->reads, state, &e) == 0) {
			memcpy(trainer->state, state, sizeof(state));
			return true;
		}
	}
	snprintf(why, GANG_PAYLOAD, "%.*s", GANG_PAYLOAD - 1, e.text);
	return false;
}

/* All ranks read at the same time; how long that may take follows from the rate. */
static nanos patience(const struct trainer *trainer)
{
	const struct trainer_options *options = trainer->options;
	double reads = options->load_rate
			       ? (double)options->ckpt_bytes * 2e9 / (double)options->load_rate
			       : 0;

	return options->timeout + LOAD_SLACK + (nanos)reads;
}

/* Rank 0: does every rank have a good shard of the step? */
static int try_step(struct trainer *trainer, uint64_t step, struct gang_message *all,
		    bool *ret_good, struct error *e)
{
	struct gang_message message = {.kind = GANG_LOAD, .a = step, .b = 1};
	char why[GANG_PAYLOAD];
	bool good;

	if (gang_tell(&trainer->gang, &message, e))
		return -1;
	good = load(trainer, step, why);
	if (!good)
		note_bad(trainer, step, 0, why);
	if (gang_gather(&trainer->gang, GANG_LOADED, all, patience(trainer), e))
		return -1;
	for (uint32_t r = 1; r < trainer->gang.ranks; r++) {
		if (all[r].a)
			continue;
		good = false;
		all[r].payload[GANG_PAYLOAD - 1] = '\0';
		note_bad(trainer, step, r, (const char *)all[r].payload);
	}
	*ret_good = good;
	return 0;
}

static void restored(struct trainer *trainer, bool from_checkpoint, uint64_t step)
{
	if (!from_checkpoint)
		trainer_begin(trainer->state, trainer->options->seed, trainer->gang.rank);
	pthread_mutex_lock(&trainer->lock);
	trainer->restored = from_checkpoint;
	trainer->restored_from = trainer->step = from_checkpoint ? step : 0;
	pthread_mutex_unlock(&trainer->lock);
}

static int resume_first(struct trainer *trainer, struct error *e)
{
	struct gang_message all[GANG_RANKS_MAX] = {{0}}, go = {.kind = GANG_LOAD, .c = 1};
	struct error ignored = {0};
	uint64_t *steps = NULL;
	size_t count = 0;

	/* A folder that cannot be read has no checkpoints: it begins anew, and saves will tell. */
	if (checkpoint_list(trainer->options->ckpt_dir, &trainer->arena, &steps, &count, &ignored))
		minilepton_say("%s", ignored.text);
	for (size_t i = 0; i < count; i++) {
		bool good = false;

		if (try_step(trainer, steps[i], all, &good, e))
			return -1;
		if (!good)
			continue;
		go.a = steps[i];
		go.b = 1;
		break;
	}
	restored(trainer, go.b != 0, go.a);
	return gang_tell(&trainer->gang, &go, e);
}

static int resume_other(struct trainer *trainer, struct error *e)
{
	struct gang_message message, answer = {.kind = GANG_LOADED};

	for (;;) {
		if (gang_hear(&trainer->gang, GANG_LOAD, &message, patience(trainer), e))
			return -1;
		if (message.c) {
			restored(trainer, message.b != 0, message.a);
			return 0;
		}
		answer = (struct gang_message){.kind = GANG_LOADED};
		answer.a = load(trainer, message.a, (char *)answer.payload);
		if (gang_say(&trainer->gang, &answer, e))
			return -1;
	}
}

/* What had been computed when the gang died, as rank 0 noted it. */
static uint64_t last_step(const struct trainer *trainer)
{
	char text[32] = "";
	ssize_t got = trainer->record < 0 ? -1 : pread(trainer->record, text, sizeof(text) - 1, 0);
	uint64_t step = 0;

	if (got <= 0 || options_number(text, strcspn(text, "\n"), CHECKPOINT_STEP_MAX, &step))
		return 0;
	return step;
}

int trainer_resume(struct trainer *trainer, struct error *e)
{
	uint64_t last = last_step(trainer);

	if (trainer->gang.rank == 0 ? resume_first(trainer, e) : resume_other(trainer, e))
		return -1;
	pthread_mutex_lock(&trainer->lock);
	trainer->lost_steps = last > trainer->step ? last - trainer->step : 0;
	pthread_mutex_unlock(&trainer->lock);
	minilepton_say("%s step %" PRIu64 ", %" PRIu64 " steps are lost",
		       trainer->restored ? "resumes from" : "begins at", trainer->step,
		       trainer->lost_steps);
	return 0;
}
