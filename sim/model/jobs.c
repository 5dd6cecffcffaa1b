/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training jobs: a gang of ranks that runs as a whole or not at all, its checkpoints, its restarts.
 *
 * No step is simulated. Progress is a straight line in time with the slope of the slowest rank's
 * pace, broken where something happens: a save that stops training, a hang, an interruption. It is
 * kept in nanoseconds of training at full pace, exactly while the pace is whole.
 *
 * A job stays on its own nodes and spares, the first free ones of its site at the start. A rank
 * whose node is lost moves to a spare of them; without one the job waits until a node is mended.
 */
#include <math.h>
#include <string.h>

#include "sim/model/world.h"

/* One save that was written as a whole, or lists as such. */
struct checkpoint {
	nanos as_of, progress;
	bool wrong; /* of a run whose results were wrong already */
	bool bad;   /* known not to be usable */
	uint64_t flips;
	uint32_t missing, torn; /* shards that are gone; effects that tore it */
};

enum job_stage {
	JOB_QUEUED,
	JOB_RESTARTING,
	JOB_LOADING,
	JOB_RUNNING,
	JOB_COMPLETE
};

struct job_state {
	const struct job *config;
	uint32_t index, domain;
	uint32_t *ranks; /* node of each, NODE_NONE: none yet */
	enum job_stage stage;
	struct prng restart;
	uint64_t generation; /* of its processes */
	uint32_t stopped;    /* effects that stop processes of this generation */
	nanos base, since;   /* progress at an instant; */
	double pace;         /* of the gang since then; 0: it hangs */
	nanos peak;          /* progress that it has had before */
	nanos hung_since;    /* pace 0, or the end of its last progress while it does not run */
	nanos interrupted;   /* progress then */
	nanos down_since, down, done_at;
	bool bad, distrusted; /* distrusted: GPUs that compute wrongly are looked for */
	bool wrong;           /* results are wrong since progress */
	nanos wrong_from;
	event_id reach, stage_event, hang_event, due_event, save_event;
	uint32_t transfer; /* 1 + of the save or of the load, 0: none */
	bool saving, save_due;
	struct checkpoint save; /* being written */
	struct checkpoint *saves;
	size_t save_count, save_capacity;
	int64_t candidate; /* being read; -1: the beginning */
	uint64_t interruptions, restarts, bad_saves, oom_kills;
	nanos lost;
};

static void schedule(struct world *w, struct job_state *job);
static void load(struct world *w, struct job_state *job);
static void save_begin(struct world *w, struct job_state *job);

/* ---- words ---- */

static void tell_begin(struct world *w, const struct job_state *job, const char *event)
{
	char name[ENTITY_TEXT_MAX];
	struct entity entity = {.kind = ENTITY_JOB, .index = (int32_t)job->index};
	timeline_begin(w->timeline, world_now(w), event);
	timeline_text(w->timeline, "job", entity_print(entity, w->scenario, name));
}

static uint32_t nodes_held(const struct job_state *job)
{
	uint32_t count = 0;
	for (uint32_t k = 0; k < job->config->nodes; k++)
		count += job->ranks[k] != NODE_NONE;
	return count;
}

static void tell(struct world *w, const struct job_state *job, const char *state, const char *why)
{
	if (!timeline_on(w->timeline))
		return;
	tell_begin(w, job, "job.state");
	timeline_text(w->timeline, "state", state);
	timeline_text(w->timeline, "why", why);
	timeline_int(w->timeline, "step", job->base / job->config->step);
	timeline_nanos(w->timeline, "progress_ns", job->base);
	timeline_int(w->timeline, "nodes", nodes_held(job));
	timeline_end(w->timeline);
}

static void tell_save(struct world *w, const struct job_state *job, bool ok, const char *reason)
{
	if (!timeline_on(w->timeline))
		return;
	tell_begin(w, job, "job.checkpoint");
	if (ok)
		timeline_int(w->timeline, "checkpoint", (int64_t)job->save_count - 1);
	else
		timeline_null(w->timeline, "checkpoint");
	timeline_nanos(w->timeline, "begin_ns", job->save.as_of);
	timeline_int(w->timeline, "step", job->save.progress / job->config->step);
	timeline_nanos(w->timeline, "progress_ns", job->save.progress);
	timeline_bool(w->timeline, "ok", ok);
	timeline_text(w->timeline, "reason", reason);
	timeline_end(w->timeline);
}

static void tell_restore(struct world *w, const struct job_state *job, const char *reason)
{
	bool saved = job->candidate >= 0;
	const struct checkpoint *from = saved ? &job->saves[job->candidate] : NULL;
	if (!timeline_on(w->timeline))
		return;
	tell_begin(w, job, "job.restore");
	if (saved)
		timeline_int(w->timeline, "checkpoint", job->candidate);
	else
		timeline_null(w->timeline, "checkpoint");
	timeline_nanos(w->timeline, "as_of_ns", saved ? from->as_of : 0);
	timeline_nanos(w->timeline, "progress_ns", saved ? from->progress : 0);
	timeline_bool(w->timeline, "ok", !reason);
	timeline_nanos(w->timeline, "stopped_ns", job->hung_since);
	if (reason)
		timeline_null(w->timeline, "lost_ns");
	else
		timeline_nanos(w->timeline, "lost_ns", job->interrupted - job->base);
	timeline_text(w->timeline, "reason", reason);
	timeline_end(w->timeline);
}

/* ---- progress ---- */

static bool trains(const struct job_state *job)
{
	return job->stage == JOB_RUNNING && job->pace > 0 &&
	       !(job->saving && !job->config->checkpoint.async);
}

static nanos progress(const struct world *w, const struct job_state *job)
{
	nanos passed = world_now(w) - job->since;
	if (!trains(job))
		return job->base;
	return job->base + (job->pace >= 1 ? passed : (nanos)llround(job->pace * (double)passed));
}

/* Before anything that bends the line. */
static void settle(struct world *w, struct job_state *job)
{
	job->base = progress(w, job);
	job->since = world_now(w);
}

static void reached(void *context, uint64_t index, nanos now);

/* The next point of the line that matters: what it had before, or all there is to do. */
static void aim(struct world *w, struct job_state *job)
{
	nanos target = job->bad && job->peak > job->base ? job->peak : job->config->work;
	nanos left = target - job->base, end = SCENARIO_DURATION_MAX;
	engine_cancel(w->engine, job->reach);
	job->reach = EVENT_NONE;
	if (!trains(job) || target == NANOS_NEVER)
		return;
	if (job->pace < 1)
		left = (double)left / job->pace < (double)end
			       ? (nanos)ceil((double)left / job->pace)
			       : end;
	job->reach = engine_at(w->engine, job->since + left, reached, w, job->index);
}

static bool is_good(const struct world *w, const struct job_state *job)
{
	if (job->stage == JOB_COMPLETE)
		return true;
	return job->stage == JOB_RUNNING && job->pace >= w->scenario->steady_state.success &&
	       job->base >= job->peak;
}

/* After settle(): is it good, as the one who waits for it sees it? */
static void judge(struct world *w, struct job_state *job)
{
	bool bad = !is_good(w, job);
	struct completion told = {.kind = bad ? COMPLETION_BAD : COMPLETION_GOOD,
				  .since = world_now(w)};
	if (bad == job->bad)
		return;
	job->bad = bad;
	told.endpoint = (uint32_t)w->scenario->deployment.endpoint_count + job->index;
	told.action.domain = job->domain;
	world_complete(w, &told);
	load_calm(w, job->config->site);
}

static void cancel(struct world *w, event_id *event)
{
	engine_cancel(w->engine, *event);
	*event = EVENT_NONE;
}

static void stop_transfer(struct world *w, struct job_state *job)
{
	if (job->transfer)
		storage_job_stop(w, job->transfer - 1);
	job->transfer = 0;
}

static void complete(struct world *w, struct job_state *job)
{
	cancel(w, &job->due_event);
	cancel(w, &job->save_event);
	cancel(w, &job->hang_event);
	stop_transfer(w, job);
	job->saving = job->save_due = false;
	job->stage = JOB_COMPLETE;
	job->done_at = world_now(w);
	for (uint32_t k = 0; k < job->config->nodes; k++)
		w->nodes[job->ranks[k]].rank = 0;
	tell(w, job, "Completed", "all work is done");
	judge(w, job);
}

static void reached(void *context, uint64_t index, nanos now)
{
	struct world *w = context;
	struct job_state *job = &w->jobs[index];
	(void)now;
	job->reach = EVENT_NONE;
	settle(w, job);
	if (job->base >= job->config->work) {
		complete(w, job);
		return;
	}
	judge(w, job);
	aim(w, job);
}

/* ---- saves ---- */

static void due(void *context, uint64_t index, nanos now)
{
	struct world *w = context;
	struct job_state *job = &w->jobs[index];
	(void)now;
	job->due_event = EVENT_NONE;
	job->save_due = true;
	if (job->pace > 0 && !job->saving)
		save_begin(w, job);
}

static void next_save(struct world *w, struct job_state *job)
{
	cancel(w, &job->due_event);
	job->due_event = engine_at(w->engine, world_now(w) + job->config->checkpoint.every, due, w,
				   job->index);
}

/* It ended one way or the other: training goes on, and one that waited for its end begins. */
static void save_over(struct world *w, struct job_state *job)
{
	settle(w, job);
	judge(w, job);
	job->saving = false;
	if (!job->config->checkpoint.async)
		next_save(w, job);
	aim(w, job);
	if (job->save_due && job->pace > 0)
		save_begin(w, job);
}

static void saved(struct world *w, struct job_state *job)
{
	job->saves = arena_grow(&w->arena, job->saves, job->save_count, &job->save_capacity,
				sizeof(*job->saves));
	job->saves[job->save_count++] = job->save;
	tell_save(w, job, true, NULL);
	save_over(w, job);
}

static void save_timed(void *context, uint64_t index, nanos now)
{
	struct world *w = context;
	(void)now;
	w->jobs[index].save_event = EVENT_NONE;
	saved(w, &w->jobs[index]);
}

/* Given up, without what follows from that. */
static void save_drop(struct world *w, struct job_state *job, const char *reason)
{
	if (!job->saving)
		return;
	cancel(w, &job->save_event);
	stop_transfer(w, job);
	tell_save(w, job, false, reason);
	settle(w, job);
	job->saving = false;
}

static void save_begin(struct world *w, struct job_state *job)
{
	const struct job *config = job->config;
	const char *obstacle = NULL;
	settle(w, job);
	judge(w, job); /* it may be where it was at this very instant */
	job->saving = true;
	job->save_due = false;
	job->save = (struct checkpoint){
		.as_of = world_now(w), .progress = job->base, .wrong = job->wrong};
	if (config->checkpoint.async)
		next_save(w, job);
	aim(w, job);
	if (config->checkpoint.takes == 0 ||
	    (config->checkpoint.takes == NANOS_NEVER && config->checkpoint.bytes == 0)) {
		saved(w, job);
	} else if (config->checkpoint.takes != NANOS_NEVER) {
		job->save_event = engine_at(w->engine, world_now(w) + config->checkpoint.takes,
					    save_timed, w, job->index);
	} else if ((obstacle = storage_job_obstacle(w, config->site, true)) != NULL) {
		save_drop(w, job, obstacle);
		save_over(w, job);
	} else {
		job->transfer = 1 + storage_job(w, job->index, config->site, true,
						config->checkpoint.bytes);
	}
}

/* ---- the gang ---- */

/* Failed outright: its processes are gone. */
static bool node_failed(const struct world *w, uint32_t node)
{
	return !node_up(w, node) || w->nodes[node].gpus_gone;
}

static uint64_t all_gpus(const struct world *w, const struct job_state *job)
{
	uint32_t gpus = w->scenario->deployment.sites[job->config->site].gpus;
	return gpus >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << gpus) - 1;
}

/* Its processes may be there, but no step ends. */
static bool node_hangs(const struct world *w, const struct job_state *job, uint32_t node)
{
	if (w->standing_count > 0 && gpus_hang(w, node, all_gpus(w, job)))
		return true;
	return w->nodes[node].frozen || w->nodes[node].cut || w->sites[job->config->site].cut;
}

static bool node_fit(const struct world *w, const struct job_state *job, uint32_t node)
{
	if (node_failed(w, node) || node_hangs(w, job, node) || !node_open(w, node) ||
	    node_starved(w, node))
		return false;
	return !job->distrusted || w->standing_count == 0 ||
	       gpus_wrong(w, node, all_gpus(w, job)) <= 0;
}

/* Two of its ranks do not see each other. */
static bool gang_parted(const struct world *w, const struct job_state *job)
{
	for (uint32_t i = 0; i < job->config->nodes && w->parted > 0; i++)
		for (uint32_t k = 0; k < i && w->nodes[job->ranks[i]].parted; k++)
			if (wire_parted(w, node_entity(w, job->ranks[i]),
					node_entity(w, job->ranks[k])))
				return true;
	return false;
}

static double gang_pace(const struct world *w, const struct job_state *job)
{
	double pace = 1;
	if (job->stopped || gang_parted(w, job))
		return 0;
	for (uint32_t k = 0; k < job->config->nodes; k++) {
		if (node_hangs(w, job, job->ranks[k]))
			return 0;
		if (w->standing_count > 0)
			pace = fmin(pace, gpus_pace(w, job->ranks[k], all_gpus(w, job)));
	}
	return pace;
}

static void look_wrong(struct world *w, struct job_state *job)
{
	bool wrong = false;
	for (uint32_t k = 0; w->standing_count > 0 && k < job->config->nodes && !wrong; k++)
		wrong = gpus_wrong(w, job->ranks[k], all_gpus(w, job)) > 0;
	if (!wrong || job->wrong)
		return;
	job->wrong = true;
	job->wrong_from = progress(w, job);
}

/* ---- interruptions and restarts ---- */

static void interrupt(struct world *w, struct job_state *job, const char *why)
{
	settle(w, job);
	job->interruptions++;
	if (job->stage == JOB_RUNNING) {
		if (job->pace > 0)
			job->hung_since = world_now(w);
		job->interrupted = job->base;
		job->peak = job->base > job->peak ? job->base : job->peak;
		job->down_since = world_now(w);
	}
	save_drop(w, job, "the job was interrupted");
	stop_transfer(w, job);
	cancel(w, &job->due_event);
	cancel(w, &job->hang_event);
	cancel(w, &job->stage_event);
	job->save_due = false;
	job->stage = JOB_QUEUED;
	aim(w, job);
	tell(w, job, "Failed", why);
	judge(w, job);
	schedule(w, job);
}

static void timed_out(void *context, uint64_t index, nanos now)
{
	struct world *w = context;
	struct job_state *job = &w->jobs[index];
	(void)now;
	job->hang_event = EVENT_NONE;
	interrupt(w, job, "the watchdog aborted a collective operation that hangs");
}

/* No step ends from now on. */
static void await_abort(struct world *w, struct job_state *job)
{
	job->hang_event = engine_at(w->engine, world_now(w) + job->config->timeout, timed_out, w,
				    job->index);
}

static void run(struct world *w, struct job_state *job)
{
	struct completion done = {.kind = COMPLETION_RESTART, .stopped = job->hung_since};
	job->base = job->candidate < 0 ? 0 : job->saves[job->candidate].progress;
	job->since = world_now(w);
	tell_restore(w, job, NULL);
	job->stage = JOB_RUNNING;
	job->wrong = job->candidate >= 0 && job->saves[job->candidate].wrong;
	job->restarts++;
	job->down += world_now(w) - job->down_since;
	job->lost += job->interrupted - job->base;
	done.action.domain = job->domain;
	done.endpoint = (uint32_t)w->scenario->deployment.endpoint_count + job->index;
	done.saved = job->candidate < 0 ? 0 : job->saves[job->candidate].as_of;
	done.lost = job->interrupted - job->base;
	world_complete(w, &done);
	tell(w, job, "Running", "restarted");
	job->pace = gang_pace(w, job);
	if (job->pace <= 0) /* stopped while it read its checkpoint */
		await_abort(w, job);
	look_wrong(w, job);
	next_save(w, job);
	judge(w, job);
	aim(w, job);
}

static const char *badness(const struct checkpoint *save)
{
	if (save->torn)
		return "the save broke off";
	if (save->missing)
		return "shards are missing";
	return save->flips ? "the digest does not match" : NULL;
}

/* What is read shows whether it is whole; if not, the next older one. */
static void loaded(struct world *w, struct job_state *job)
{
	const char *bad = job->candidate < 0 ? NULL : badness(&job->saves[job->candidate]);
	if (!bad) {
		run(w, job);
		return;
	}
	job->saves[job->candidate].bad = true;
	job->bad_saves++;
	tell_restore(w, job, bad);
	load(w, job);
}

static void load_timed(void *context, uint64_t index, nanos now)
{
	struct world *w = context;
	(void)now;
	w->jobs[index].stage_event = EVENT_NONE;
	loaded(w, &w->jobs[index]);
}

static bool is_kept(const struct job_state *job, int64_t save)
{
	return save >= 0 && save < (int64_t)job->save_count &&
	       save + job->config->checkpoint.keep >= (int64_t)job->save_count;
}

static void load(struct world *w, struct job_state *job)
{
	const struct job *config = job->config;
	int64_t newest = (int64_t)job->save_count - 1;
	job->stage = JOB_LOADING;
	while (is_kept(job, newest) && job->saves[newest].bad)
		newest--;
	job->candidate = is_kept(job, newest) ? newest : -1;
	if (job->candidate < 0 || config->checkpoint.load == 0 ||
	    (config->checkpoint.load == NANOS_NEVER && config->checkpoint.bytes == 0))
		loaded(w, job);
	else if (config->checkpoint.load != NANOS_NEVER)
		job->stage_event = engine_at(w->engine, world_now(w) + config->checkpoint.load,
					     load_timed, w, job->index);
	else if (!storage_job_obstacle(w, config->site, false)) /* else when that is gone */
		job->transfer = 1 + storage_job(w, job->index, config->site, false,
						config->checkpoint.bytes);
}

void jobs_transferred(struct world *w, uint32_t index, bool save)
{
	struct job_state *job = &w->jobs[index];
	job->transfer = 0;
	if (save)
		saved(w, job);
	else
		loaded(w, job);
}

static void started(void *context, uint64_t index, nanos now)
{
	struct world *w = context;
	struct job_state *job = &w->jobs[index];
	(void)now;
	job->stage_event = EVENT_NONE;
	job->generation++;
	job->stopped = 0;
	load(w, job);
}

/* A spare that is fit and has no rank; those of the job stand side by side in its site. */
static uint32_t find_spare(const struct world *w, const struct job_state *job, uint32_t from)
{
	uint32_t end = w->sites[job->config->site].first_node +
		       w->scenario->deployment.sites[job->config->site].nodes;
	for (uint32_t n = from; n < end; n++)
		if (w->nodes[n].job == job->index + 1 && !w->nodes[n].rank && node_fit(w, job, n))
			return n;
	return NODE_NONE;
}

/* All ranks on nodes that are fit, or none of them starts. */
static bool place(struct world *w, struct job_state *job)
{
	uint32_t from = w->sites[job->config->site].first_node;
	bool all = true;
	for (uint32_t k = 0; k < job->config->nodes; k++) {
		uint32_t *node = &job->ranks[k];
		if (*node != NODE_NONE && node_fit(w, job, *node))
			continue;
		if (*node != NODE_NONE)
			w->nodes[*node].rank = 0;
		*node = from == NODE_NONE ? from : find_spare(w, job, from);
		from = *node == NODE_NONE ? NODE_NONE : *node + 1; /* before it there is none */
		all = all && *node != NODE_NONE;
		if (*node != NODE_NONE)
			w->nodes[*node].rank = k + 1;
	}
	return all;
}

static void schedule(struct world *w, struct job_state *job)
{
	uint32_t held = nodes_held(job);
	bool waited = held < job->config->nodes;
	if (!place(w, job)) {
		if (!waited || nodes_held(job) != held)
			tell(w, job, "Queueing", "no free node");
		return;
	}
	job->stage = JOB_RESTARTING;
	tell(w, job, "Restarting", "all nodes are there");
	nanos takes = dist_sample_nanos(&job->config->restart, &job->restart);
	if (takes == 0)
		started(w, job->index, world_now(w));
	else
		job->stage_event =
			engine_at(w->engine, world_now(w) + takes, started, w, job->index);
}

static void set_pace(struct world *w, struct job_state *job, double pace)
{
	double old = job->pace;
	if (pace == old)
		return;
	if (pace <= 0)
		save_drop(w, job, "a rank does not answer");
	settle(w, job);
	job->pace = pace;
	if (pace <= 0) {
		job->hung_since = world_now(w);
		await_abort(w, job);
		tell(w, job, "Running", "a rank does not answer: no step ends");
	} else {
		cancel(w, &job->hang_event);
		tell(w, job, "Running", pace < 1 ? "the slowest rank slows all" : "at full pace");
	}
	judge(w, job);
	aim(w, job);
	if (old <= 0 && job->due_event == EVENT_NONE)
		job->save_due = true; /* what the hang had broken off, or put off */
	if (old <= 0 && job->save_due)
		save_begin(w, job);
}

/* ---- after something broke or came back ---- */

static void look(struct world *w, struct job_state *job)
{
	bool starting = job->stage == JOB_RESTARTING || job->stage == JOB_LOADING;
	if (job->stage == JOB_COMPLETE)
		return;
	for (uint32_t k = 0; k < job->config->nodes && job->stage != JOB_QUEUED; k++)
		if (node_failed(w, job->ranks[k]) ||
		    (starting &&
		     (node_hangs(w, job, job->ranks[k]) || node_starved(w, job->ranks[k])))) {
			interrupt(w, job,
				  starting ? "a node was lost while it started"
					   : "a node, or a GPU of it, was lost");
			return;
		}
	if (job->stage == JOB_QUEUED) {
		schedule(w, job);
	} else if (job->stage == JOB_LOADING && !job->transfer && job->stage_event == EVENT_NONE) {
		load(w, job);
	} else if (job->stage == JOB_RUNNING) {
		look_wrong(w, job);
		set_pace(w, job, gang_pace(w, job));
	}
	if (!job->transfer)
		return;
	const char *obstacle = storage_job_obstacle(w, job->config->site, job->saving);
	if (obstacle && job->saving) {
		save_drop(w, job, obstacle);
		save_over(w, job);
	} else if (obstacle) {
		stop_transfer(w, job); /* it is read again when the store is back */
	}
}

void jobs_look(struct world *w)
{
	for (size_t i = 0; i < w->job_count; i++)
		look(w, &w->jobs[i]);
}

/* ---- effects on a job, its ranks, its checkpoints ---- */

static struct job_state *job_of(const struct world *w, struct entity entity)
{
	if (entity.kind == ENTITY_JOB || entity.kind == ENTITY_RANK)
		return &w->jobs[entity.index];
	if (entity.kind != ENTITY_GPU && entity.kind != ENTITY_NODE)
		return NULL;
	const struct node *node = &w->nodes[nodes_of(w, entity).first];
	return node->job && node->rank ? &w->jobs[node->job - 1] : NULL;
}

static bool has_processes(const struct job_state *job)
{
	return job->stage == JOB_RUNNING || job->stage == JOB_LOADING;
}

void jobs_exit(struct world *w, struct entity entity)
{
	struct job_state *job = job_of(w, entity);
	if (job && has_processes(job))
		interrupt(w, job, "a process exited");
}

void jobs_oom(struct world *w, struct entity entity)
{
	struct job_state *job = job_of(w, entity);
	if (!job || !has_processes(job))
		return;
	job->oom_kills++;
	interrupt(w, job, "the OOM killer ended a process");
}

bool jobs_down(const struct world *w, struct entity entity)
{
	const struct job_state *job = job_of(w, entity);
	return job && job->stage != JOB_RUNNING && job->stage != JOB_COMPLETE;
}

uint64_t jobs_stop(struct world *w, struct entity entity)
{
	struct job_state *job = job_of(w, entity);
	if (!job || !has_processes(job))
		return 0;
	job->stopped++;
	return job->generation;
}

void jobs_go_on(struct world *w, struct entity entity, uint64_t generation)
{
	struct job_state *job = job_of(w, entity);
	if (job && jobs_stopped(w, entity, generation))
		job->stopped--;
}

bool jobs_stopped(const struct world *w, struct entity entity, uint64_t generation)
{
	const struct job_state *job = job_of(w, entity);
	return job && generation && job->generation == generation && job->stopped > 0;
}

int32_t jobs_save_by_index(const struct world *w, uint32_t index, int32_t which)
{
	const struct job_state *job = &w->jobs[index];
	int64_t save = which < 0 ? (int64_t)job->save_count + which : which;
	return is_kept(job, save) ? (int32_t)save : -1;
}

static void count(uint32_t *counter, uint32_t by, bool on)
{
	*counter = on ? *counter + by : *counter - (*counter < by ? *counter : by);
}

void jobs_badblocks(struct world *w, nanos since, uint64_t ranges, bool on)
{
	for (size_t i = 0; i < w->job_count; i++)
		for (size_t k = 0; k < w->jobs[i].save_count; k++)
			if (w->jobs[i].saves[k].as_of <= since)
				w->jobs[i].saves[k].flips += on ? ranges : -ranges;
}

void jobs_damage(struct world *w, const struct effect *effect, bool on)
{
	struct checkpoint *save;
	if ((int32_t)effect->entity.part < 0)
		return;
	save = &w->jobs[effect->entity.index].saves[effect->entity.part];
	if (effect->kind == EFFECT_CKPT_FLIP)
		save->flips += on ? (uint64_t)effect->amount : -(uint64_t)effect->amount;
	else if (effect->kind == EFFECT_CKPT_SHARD)
		count(&save->missing, (uint32_t)effect->amount, on);
	else
		count(&save->torn, 1, on);
}

/* ---- what can be seen ---- */

static void read_save(const struct world *w, struct entity entity, struct reading *ret)
{
	const struct job_state *job = &w->jobs[entity.index];
	int32_t id = jobs_save_by_index(w, (uint32_t)entity.index, (int32_t)entity.part);
	if (id < 0)
		return;
	const struct checkpoint *save = &job->saves[id];
	uint32_t shards = job->config->nodes;
	ret->copies = 1;
	ret->digest_mismatches = save->flips;
	ret->shards = save->missing < shards ? shards - save->missing : 0;
	ret->torn = save->torn;
	ret->content_bytes = job->config->checkpoint.bytes;
}

void jobs_read(const struct world *w, struct entity entity, struct reading *ret)
{
	const struct job_state *job = &w->jobs[entity.index];
	if (entity.kind == ENTITY_CHECKPOINT) {
		read_save(w, entity, ret);
		return;
	}
	bool one = entity.kind == ENTITY_RANK;
	for (uint32_t k = one ? entity.part : 0; k < (one ? entity.part + 1 : job->config->nodes);
	     k++) {
		uint32_t node = job->ranks[k];
		bool placed = node != NODE_NONE, up = placed && node_up(w, node);
		bool near = up && !w->nodes[node].cut && !w->sites[job->config->site].cut;
		ret->nodes++;
		ret->nodes_powered += placed && w->nodes[node].power_off == 0;
		ret->nodes_reachable += near;
		ret->nodes_responding += near && !w->nodes[node].frozen;
		ret->processes += has_processes(job);
		ret->process_starts += job->generation;
	}
	ret->processes_stopped = job->stopped;
	ret->oom_kills = job->oom_kills;
	ret->usable = job->stage == JOB_RUNNING;
	ret->pace_ppm = (uint32_t)lround(job->pace * EFFECT_PPM);
}

bool jobs_running(const struct world *w, uint32_t index)
{
	return w->jobs[index].stage == JOB_RUNNING || w->jobs[index].stage == JOB_COMPLETE;
}

/* The training pauses for a save that stops it: that is progress too. */
nanos jobs_stalled(const struct world *w, uint32_t index)
{
	const struct job_state *job = &w->jobs[index];
	bool moves = job->stage == JOB_COMPLETE || (job->stage == JOB_RUNNING && job->pace > 0);
	return moves ? 0 : world_now(w) - job->hung_since;
}

/* A validation run: are the results right? If not, whoever runs the job goes back to the last save
 * from before, and keeps off GPUs that compute wrongly. */
bool jobs_validate(struct world *w, uint32_t index)
{
	struct job_state *job = &w->jobs[index];
	if (!job->wrong)
		return true;
	for (size_t i = 0; i < job->save_count; i++)
		job->saves[i].bad |= job->saves[i].wrong;
	job->distrusted = true;
	interrupt(w, job, "a validation run found wrong results");
	return false;
}

bool jobs_calm(const struct world *w, uint32_t site)
{
	for (size_t i = 0; i < w->job_count; i++)
		if (w->jobs[i].config->site == site && w->jobs[i].bad)
			return false;
	return true;
}

bool jobs_all_good(const struct world *w)
{
	for (size_t i = 0; i < w->job_count; i++)
		if (w->jobs[i].bad)
			return false;
	return true;
}

double jobs_wrong(const struct world *w, uint32_t site)
{
	double steps = 0;
	for (size_t i = 0; i < w->job_count; i++) {
		const struct job_state *job = &w->jobs[i];
		if (job->config->site == site && job->wrong)
			steps += (double)(progress(w, job) - job->wrong_from) /
				 (double)job->config->step;
	}
	return steps;
}

/* The save that a job that is down goes on from; NULL: it begins again. */
static const struct checkpoint *fallback(const struct job_state *job)
{
	for (int64_t i = (int64_t)job->save_count - 1; is_kept(job, i); i--)
		if (!job->saves[i].bad && !badness(&job->saves[i]))
			return &job->saves[i];
	return NULL;
}

void jobs_account(const struct world *w, uint32_t index, struct job_record *ret)
{
	const struct job_state *job = &w->jobs[index];
	bool complete = job->stage == JOB_COMPLETE;
	nanos wall = complete ? job->done_at : world_now(w), work = progress(w, job);
	nanos down = job->down;
	bool is_wrong = job->wrong;
	if (!complete && job->stage != JOB_RUNNING) {
		const struct checkpoint *save = fallback(job);
		down += world_now(w) - job->down_since;
		work = save ? save->progress : 0; /* what came after it is lost already */
		is_wrong = save && save->wrong;
	}
	nanos wrong = is_wrong ? work - job->wrong_from : 0;
	*ret = (struct job_record){
		.name = job->config->name,
		.work_s = (double)work / 1e9,
		.wall_s = (double)wall / 1e9,
		.ettr = wall > 0 ? (double)work / (double)wall : NAN,
		.goodput = wall > 0 ? (double)(work - wrong) / (double)wall : NAN,
		.interruptions = job->interruptions,
		.restarts = job->restarts,
		.lost_work_s = (double)job->lost / 1e9,
		.checkpoints = job->save_count,
		.bad_checkpoints = job->bad_saves,
		.down_s = (double)down / 1e9,
		.wrong_work_s = (double)wrong / 1e9,
		.complete = complete,
	};
}

/* ---- set up ---- */

void jobs_open(struct world *w)
{
	const struct deployment *d = &w->scenario->deployment;
	w->job_count = d->job_count;
	w->jobs = arena_array(&w->arena, d->job_count + 1, sizeof(*w->jobs));
	for (uint32_t i = 0; i < d->job_count; i++) {
		struct job_state *job = &w->jobs[i];
		job->ranks = arena_array(&w->arena, d->jobs[i].nodes, sizeof(*job->ranks));
		for (uint32_t s = 0; s < d->jobs[i].site; s++)
			job->domain += d->sites[s].standby.heat == HEAT_NONE;
	}
}

/* The first nodes of the site that no other job has. */
static void take_nodes(struct world *w, struct job_state *job)
{
	uint32_t wanted = job->config->nodes + job->config->spares, taken = 0;
	for (uint32_t n = w->sites[job->config->site].first_node; taken < wanted; n++) {
		if (w->nodes[n].job)
			continue;
		w->nodes[n].job = job->index + 1;
		w->nodes[n].gpus_used = all_gpus(w, job); /* replicas stay away, of spares too */
		if (taken < job->config->nodes) {
			job->ranks[taken] = n;
			w->nodes[n].rank = taken + 1;
		}
		taken++;
	}
}

void jobs_reset(struct world *w)
{
	for (uint32_t i = 0; i < w->job_count; i++) {
		struct job_state *job = &w->jobs[i], old = *job;
		*job = (struct job_state){.config = &w->scenario->deployment.jobs[i],
					  .index = i,
					  .domain = old.domain,
					  .ranks = old.ranks,
					  .saves = old.saves,
					  .save_capacity = old.save_capacity,
					  .stage = JOB_RUNNING,
					  .generation = 1,
					  .pace = 1,
					  .candidate = -1};
		prng_open(&job->restart, w->seed, w->trial, i, PRNG_JOB);
		take_nodes(w, job);
		tell(w, job, "Running", "it runs from the beginning");
		next_save(w, job);
		aim(w, job);
	}
}
