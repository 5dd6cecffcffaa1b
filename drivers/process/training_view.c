/* SPDX-License-Identifier: Apache-2.0 */
/* What control plane, agents and ranks say of training jobs, and what that comes to for whoever
 * looks at a job, a rank or a checkpoint. */
#include <string.h>

#include "drivers/process/training.h"

/* ---- the control plane's word ---- */

static void hear_unit(const struct real *real, const struct view *view, const cJSON *item,
		      struct rank_view *ret)
{
	const char *node = observe_text(item, "node"), *id = observe_text(item, "id");

	*ret = (struct rank_view){
		.node = -1, .state = 'X', .starts = (uint64_t)observe_number(item, "starts")};
	for (size_t i = 0; i < real->node_count; i++)
		if (strcmp(real->nodes[i].name, node) == 0)
			ret->node = (int)i;
	if (ret->node < 0 || !view->nodes[ret->node].responding)
		return;
	const struct node_view *seen = &view->nodes[ret->node];
	for (size_t i = 0; i < seen->processes; i++)
		if (strcmp(seen->seen[i].id, id) == 0) {
			ret->pid = seen->seen[i].pid;
			ret->state = seen->seen[i].state;
		}
}

/* Ranks are told of in the order of their numbers, which are the ends of their ids. */
static uint32_t rank_of(const cJSON *item)
{
	const char *dash = strrchr(observe_text(item, "id"), '-');
	uint32_t rank = 0;

	for (const char *at = dash ? dash + 1 : ""; *at >= '0' && *at <= '9'; at++)
		rank = rank * 10 + (uint32_t)(*at - '0');
	return dash ? rank : PROCESS_NODES_MAX;
}

static void hear_job(const struct real *real, const struct view *view, const cJSON *item,
		     struct job_view *job)
{
	const cJSON *unit;

	snprintf(job->state, sizeof(job->state), "%s", observe_text(item, "state"));
	snprintf(job->message, sizeof(job->message), "%s", observe_text(item, "message"));
	job->failures = (uint64_t)observe_number(item, "failures");
	for (uint32_t r = 0; r < PROCESS_NODES_MAX; r++)
		job->ranks[r] = (struct rank_view){.node = -1, .state = 'X'};
	job->first[0] = '\0';
	job->rank_count = 0;
	cJSON_ArrayForEach (unit, cJSON_GetObjectItemCaseSensitive(item, "ranks")) {
		uint32_t rank = rank_of(unit);
		if (rank >= PROCESS_NODES_MAX)
			continue;
		hear_unit(real, view, unit, &job->ranks[rank]);
		job->rank_count = rank >= job->rank_count ? rank + 1 : job->rank_count;
		if (rank == 0)
			snprintf(job->first, sizeof(job->first), "%s",
				 observe_text(unit, "address"));
	}
}

void training_hear_control(struct real *real, struct view *view, const cJSON *jobs)
{
	const cJSON *item;
	char name[256];

	cJSON_ArrayForEach (item, jobs)
		for (uint32_t j = 0; j < real->scenario->deployment.job_count; j++)
			if (strcmp(training_name(real, j, name, sizeof(name)),
				   observe_text(item, "name")) == 0)
				hear_job(real, view, item, &view->jobs[j]);
}

bool training_runs(const cJSON *answer)
{
	const char *state =
		observe_text(cJSON_GetObjectItemCaseSensitive(answer, "status"), "state");

	return strcmp(state, "Running") == 0 || strcmp(state, "Completed") == 0;
}

/* ---- rank 0's ---- */

static void hear_bad(struct job_view *job, const cJSON *item)
{
	uint64_t step = (uint64_t)observe_number(item, "step");

	for (uint32_t i = 0; i < job->bad_count; i++)
		if (job->bad_steps[i] == step)
			return; /* another shard of it */
	if (job->bad_count == JOB_BAD_MAX)
		return;
	job->bad_steps[job->bad_count] = step;
	snprintf(job->bad_whys[job->bad_count++], sizeof(job->bad_whys[0]), "%s",
		 observe_text(item, "why"));
}

void training_hear_rank(struct view *view, uint32_t index, const cJSON *answer)
{
	struct job_view *job = &view->jobs[index];
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(answer, "restored_from");
	const char *state = observe_text(answer, "state");

	job->told = cJSON_IsObject(answer);
	job->running = strcmp(state, "Running") == 0 || strcmp(state, "Done") == 0;
	job->restored = cJSON_IsNumber(item);
	job->restored_from = job->restored ? (uint64_t)item->valuedouble : 0;
	job->bad_count = 0;
	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(answer, "bad"))
		hear_bad(job, item);
}

/* ---- what a look shows ---- */

static void read_checkpoint(const struct real *real, const struct entity *entity,
			    struct reading *ret)
{
	uint32_t job = (uint32_t)entity->index;
	int32_t id = saves_by_index(real, job, (int32_t)entity->part);
	struct save_look look;

	if (id < 0)
		return;
	saves_look(real, job, id, &look);
	ret->copies = 1;
	ret->digest_mismatches = look.mismatches;
	ret->shards = look.shards;
	ret->torn = look.torn;
	ret->content_bytes = look.bytes;
}

void training_reading(struct real *real, const struct view *view, struct entity entity,
		      struct reading *ret)
{
	const struct job_view *job = &view->jobs[entity.index];
	uint32_t count = real->scenario->deployment.jobs[entity.index].nodes;
	bool one = entity.kind == ENTITY_RANK;

	if (entity.kind == ENTITY_CHECKPOINT) {
		read_checkpoint(real, &entity, ret);
		return;
	}
	for (uint32_t r = one ? entity.part : 0; r < (one ? entity.part + 1 : count); r++) {
		const struct rank_view *rank = &job->ranks[r];
		const struct node_view *node = rank->node < 0 ? NULL : &view->nodes[rank->node];
		bool placed = node && r < job->rank_count;
		ret->nodes++;
		ret->nodes_powered += placed && real->nodes[rank->node].power;
		ret->nodes_reachable += placed && node->reachable;
		ret->nodes_responding += placed && node->responding;
		ret->processes += placed && rank->pid != 0 && rank->state != 'X';
		ret->processes_stopped += placed && rank->pid != 0 && rank->state == 'T';
		ret->process_starts += rank->starts;
	}
	ret->usable = strcmp(job->state, "Running") == 0;
	ret->pace_ppm = training_trains(real, (uint32_t)entity.index) ? EFFECT_PPM : 0;
}
