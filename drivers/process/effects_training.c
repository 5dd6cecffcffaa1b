/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage to checkpoints of training jobs. They lie in the run's own folder, which goes with the
 * run: what was there is kept in memory only. A job deletes old checkpoints and may save the same
 * step again: what is gone by then, or is another checkpoint, is not mended.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/process/effects.h"
#include "drivers/process/training.h"

#define SHARD_BYTES_MAX ((uint64_t)256 << 20)

/* A shard as it was. */
struct kept_shard {
	uint32_t rank;
	uint8_t *bytes, *damaged; /* of the arena; damaged NULL: it was removed or cut */
	size_t size;
};

static struct kept_shard *kept_of(const struct fault_state *fault, uint32_t rank)
{
	for (size_t i = 0; i < fault->shard_count; i++)
		if (fault->shards[i]->rank == rank)
			return fault->shards[i];
	return NULL;
}

static int write_file(const char *path, const uint8_t *bytes, size_t size, struct error *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool good = fd >= 0 && write(fd, bytes, size) == (ssize_t)size;

	if (!good)
		error_set(e, ERROR_IO, NO_PLACE, "cannot write %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return good ? 0 : -1;
}

static struct kept_shard *keep(struct real *real, struct fault_state *fault, uint32_t rank,
			       struct error *e)
{
	struct kept_shard *kept = kept_of(fault, rank);
	char path[JOB_PATH_MAX];
	struct stat status;

	if (kept)
		return kept;
	saves_shard(real, (uint32_t)fault->effect.entity.index, fault->backup, rank, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) || (uint64_t)status.st_size > SHARD_BYTES_MAX ||
	    fault->shard_count == FAULT_RECORDS_MAX) {
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot damage %s: %s", path,
			  fd < 0 ? strerror(errno) : "too large, or too many shards");
	} else {
		kept = arena_alloc(&real->arena, sizeof(*kept));
		*kept = (struct kept_shard){.rank = rank, .size = (size_t)status.st_size};
		kept->bytes = arena_alloc(&real->arena, 2 * kept->size + 1);
		if (pread(fd, kept->bytes, kept->size, 0) != (ssize_t)kept->size) {
			error_set(e, ERROR_IO, NO_PLACE, "cannot read %s", path);
			kept = NULL;
		} else {
			kept->damaged = kept->bytes + kept->size;
			memcpy(kept->damaged, kept->bytes, kept->size);
			fault->shards[fault->shard_count++] = kept;
		}
	}
	if (fd >= 0)
		close(fd);
	return kept;
}

/* Bits anywhere in the checkpoint. */
static int flip(struct real *real, struct fault_state *fault, uint32_t ranks, struct prng *prng,
		struct error *e)
{
	uint32_t job = (uint32_t)fault->effect.entity.index;
	char path[JOB_PATH_MAX];

	for (int64_t i = 0; i < fault->effect.amount; i++) {
		uint32_t rank = (uint32_t)prng_below(prng, ranks);
		struct kept_shard *kept = keep(real, fault, rank, e);
		if (!kept)
			return -1;
		if (kept->size > 0)
			kept->damaged[prng_below(prng, kept->size)] ^=
				(uint8_t)(1u << prng_below(prng, 8));
	}
	for (size_t i = 0; i < fault->shard_count; i++) {
		const struct kept_shard *kept = fault->shards[i];
		saves_shard(real, job, fault->backup, kept->rank, path);
		if (write_file(path, kept->damaged, kept->size, e))
			return -1;
	}
	return 0;
}

static int drop(struct real *real, struct fault_state *fault, uint32_t ranks, struct prng *prng,
		struct error *e)
{
	uint32_t left = (uint32_t)fault->effect.amount;
	char path[JOB_PATH_MAX];

	left = left < ranks ? left : ranks;
	while (left > 0) {
		uint32_t rank = (uint32_t)prng_below(prng, ranks);
		if (kept_of(fault, rank))
			continue;
		struct kept_shard *kept = keep(real, fault, rank, e);
		if (!kept)
			return -1;
		kept->damaged = NULL;
		saves_shard(real, (uint32_t)fault->effect.entity.index, fault->backup, rank, path);
		if (unlink(path))
			return error_set(e, ERROR_IO, NO_PLACE, "cannot remove %s: %s", path,
					 strerror(errno));
		left--;
	}
	return 0;
}

static int tear(struct real *real, struct fault_state *fault, uint32_t ranks, struct error *e)
{
	struct kept_shard *kept = keep(real, fault, ranks - 1, e);
	char path[JOB_PATH_MAX];

	if (!kept)
		return -1;
	kept->damaged = NULL;
	saves_shard(real, (uint32_t)fault->effect.entity.index, fault->backup, ranks - 1, path);
	return truncate(path, (off_t)(kept->size / 2)) == 0
		       ? 0
		       : error_set(e, ERROR_IO, NO_PLACE, "cannot cut %s: %s", path,
				   strerror(errno));
}

int checkpoint_damage(struct real *real, struct fault_state *fault, struct error *e)
{
	const struct entity *entity = &fault->effect.entity;
	uint32_t job = (uint32_t)entity->index;
	uint32_t ranks = real->scenario->deployment.jobs[job].nodes;
	struct prng prng;

	fault->shard_count = 0;
	fault->backup = saves_by_index(real, job, (int32_t)entity->part);
	if (fault->backup < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "there is no such checkpoint");
	prng_open(&prng, real->seed, 0, fault->effect.injection, PRNG_PLACE);
	if (fault->effect.kind == EFFECT_CKPT_FLIP)
		return flip(real, fault, ranks, &prng, e);
	if (fault->effect.kind == EFFECT_CKPT_SHARD)
		return drop(real, fault, ranks, &prng, e);
	return tear(real, fault, ranks, e);
}

int checkpoint_mend(struct real *real, struct fault_state *fault, struct error *e)
{
	uint32_t job = (uint32_t)fault->effect.entity.index;
	char path[JOB_PATH_MAX];

	for (; fault->shard_count > 0; fault->shard_count--) {
		const struct kept_shard *kept = fault->shards[fault->shard_count - 1];
		saves_shard(real, job, fault->backup, kept->rank, path);
		if (!saves_there(real, job, fault->backup))
			continue;
		/* Deleted between the look and the write: then it has no folder. */
		if (write_file(path, kept->bytes, kept->size, e) &&
		    saves_there(real, job, fault->backup))
			return -1;
	}
	return 0;
}

bool checkpoint_damaged(struct real *real, const struct fault_state *fault)
{
	return fault->shard_count > 0 &&
	       saves_there(real, (uint32_t)fault->effect.entity.index, fault->backup);
}
