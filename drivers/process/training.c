/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to training jobs, told after each round of the observer: progress, saves, failures
 * of the gang, and what it went on from. Progress is what the last step's note says, to the
 * instant; that a gang failed is what the control plane says.
 */
#include "drivers/process/training.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAMPLES 256 /* of progress, one a round: enough to say when a save of the last one began */
#define STALL_STEPS 4
#define STALL_MIN (250 * NANOS_MS)    /* a busy host holds a step up for so long; it is no hang */
#define PACE_WINDOW_MIN (5 * NANOS_S) /* over which the pace is measured */
#define PACE_STEPS 20
#define PACE_HOST 0.1 /* of it that a host with other work to do may take */

enum stage {
	STAGE_RUNNING,
	STAGE_DOWN, /* from its failure until a new gang has read a checkpoint */
	STAGE_COMPLETE
};

struct sample {
	nanos at;
	uint64_t step;
};

struct live_job {
	const struct job *config;
	uint32_t index, domain;
	char name[256]; /* the platform's */
	const char *folder, *start_file;
	enum stage stage;
	uint64_t failures; /* that were told */
	uint64_t down_round;
	char told_state[16], told_message[208];
	uint64_t step, peak;       /* last one that ended; the most it has had */
	nanos last_at;             /* when that ended */
	nanos up_at;               /* when the gang that runs was first seen to run */
	nanos resumed_at, peak_at; /* it goes on since; it has what it had before since */
	nanos bad_at;              /* bad since, or slow until */
	nanos hung_since, down_since, down, done_at;
	uint64_t interrupted; /* step */
	bool bad, paused;     /* paused: by a save that stops training */
	bool pending;         /* a save is being written */
	uint64_t pending_step;
	int64_t pending_written, dropped; /* wall clock, of its folder; of the last given up */
	struct sample samples[SAMPLES];
	size_t sample_count; /* ever */
	struct save *saves;
	size_t save_count, save_capacity;
	uint64_t interruptions, restarts, bad_saves, lost;
};

struct jobs {
	struct live_job items[PROCESS_JOBS_MAX];
	size_t count;
	bool begun;
};

/* ---- names and sizes ---- */

const char *training_name(const struct real *real, uint32_t job, char *name, size_t room)
{
	snprintf(name, room, "%s", real->jobs->items[job].name);
	return name;
}

const char *training_folder(const struct real *real, uint32_t job)
{
	return real->jobs->items[job].folder;
}

const char *training_start_file(const struct real *real, uint32_t job)
{
	return real->jobs->items[job].start_file;
}

/* Those that are kept, one that is being written, one of a run that was given up, one to spare. */
uint64_t training_room(const struct real *real, uint32_t site)
{
	const struct deployment *d = &real->scenario->deployment;
	uint64_t bytes = 0;

	for (uint32_t j = 0; j < d->job_count; j++) {
		const struct job *job = &d->jobs[j];
		uint64_t least = (uint64_t)job->nodes * JOB_SHARD_MIN;
		uint64_t one = job->checkpoint.bytes > least ? job->checkpoint.bytes : least;
		if (job->site == site)
			bytes += (job->checkpoint.keep + 3) * one;
	}
	return bytes;
}

uint64_t training_steps(const struct job *config)
{
	return (uint64_t)((config->work + config->step - 1) / config->step);
}

const struct save *training_saves(const struct real *real, uint32_t job, size_t *ret_count)
{
	*ret_count = real->jobs->items[job].save_count;
	return real->jobs->items[job].saves;
}

/* ---- begin and end ---- */

static int folder(const char *path, struct error *e)
{
	return mkdir(path, 0755) && errno != EEXIST
		       ? error_set(e, ERROR_IO, NO_PLACE, "cannot make %s: %s", path,
				   strerror(errno))
		       : 0;
}

int training_open(struct real *real, struct error *e)
{
	const struct deployment *d = &real->scenario->deployment;

	real->jobs = calloc(1, sizeof(*real->jobs));
	assert(real->jobs);
	real->jobs->count = d->job_count;
	for (uint32_t j = 0; j < d->job_count; j++) {
		struct live_job *job = &real->jobs->items[j];
		const char *site = copies_site_folder(real->copies, d->jobs[j].site);
		job->config = &d->jobs[j];
		job->index = j;
		job->domain = real_domain_of(real, d->jobs[j].site);
		snprintf(job->name, sizeof(job->name), "%s", d->jobs[j].name);
		deploy_platform_name(job->name);
		job->folder = arena_printf(&real->arena, "%s/ckpt/%s", site, job->name);
		job->start_file = arena_printf(&real->arena, "%s.start", job->folder);
		if (folder(arena_printf(&real->arena, "%s/ckpt", site), e) ||
		    folder(job->folder, e))
			return -1;
	}
	return 0;
}

void training_free(struct real *real)
{
	free(real->jobs);
	real->jobs = NULL;
}

bool training_ready(const struct real *real, const struct view *view)
{
	for (size_t j = 0; j < real->jobs->count; j++)
		if (strcmp(view->jobs[j].state, "Running") != 0 || !view->jobs[j].told ||
		    !view->jobs[j].running)
			return false;
	return true;
}

int training_start(struct real *real, struct error *e)
{
	observe_last(real, real->scratch);
	for (size_t j = 0; j < real->jobs->count; j++) {
		struct live_job *job = &real->jobs->items[j];
		/* A gang may have needed more than one start: that was before time 0. */
		job->failures = real->scratch->jobs[j].failures;
		int fd = open(job->start_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			return error_set(e, ERROR_IO, NO_PLACE, "cannot make %s: %s",
					 job->start_file, strerror(errno));
		close(fd);
	}
	return 0;
}

/* ---- words ---- */

static nanos progress_of(const struct live_job *job, uint64_t step)
{
	return (nanos)step * job->config->step;
}

static void tell_begin(struct real *real, const struct live_job *job, const char *event)
{
	char name[ENTITY_TEXT_MAX];
	struct entity entity = {.kind = ENTITY_JOB, .index = (int32_t)job->index};

	timeline_begin(real->timeline, real->shown, event);
	timeline_text(real->timeline, "job", entity_print(entity, real->scenario, name));
}

static void tell(struct real *real, const struct live_job *job, const struct job_view *view,
		 const char *state, const char *why)
{
	uint32_t held = 0;

	for (uint32_t r = 0; r < view->rank_count; r++)
		held += view->ranks[r].node >= 0;
	tell_begin(real, job, "job.state");
	timeline_text(real->timeline, "state", state);
	timeline_text(real->timeline, "why", why);
	timeline_int(real->timeline, "step", (int64_t)job->step);
	timeline_nanos(real->timeline, "progress_ns", progress_of(job, job->step));
	timeline_int(real->timeline, "nodes", held);
	timeline_end(real->timeline);
}

static void tell_save(struct real *real, const struct live_job *job, int64_t id, uint64_t step,
		      nanos begun, const char *reason)
{
	tell_begin(real, job, "job.checkpoint");
	if (reason)
		timeline_null(real->timeline, "checkpoint");
	else
		timeline_int(real->timeline, "checkpoint", id);
	timeline_nanos(real->timeline, "begin_ns", begun);
	timeline_int(real->timeline, "step", (int64_t)step);
	timeline_nanos(real->timeline, "progress_ns", progress_of(job, step));
	timeline_bool(real->timeline, "ok", !reason);
	timeline_text(real->timeline, "reason", reason);
	timeline_end(real->timeline);
}

static void tell_restore(struct real *real, const struct live_job *job, int64_t id,
			 const char *reason)
{
	const struct save *from = id < 0 ? NULL : &job->saves[id];

	tell_begin(real, job, "job.restore");
	if (from)
		timeline_int(real->timeline, "checkpoint", id);
	else
		timeline_null(real->timeline, "checkpoint");
	timeline_nanos(real->timeline, "as_of_ns", from ? from->as_of : 0);
	timeline_nanos(real->timeline, "progress_ns", from ? from->progress : 0);
	timeline_bool(real->timeline, "ok", !reason);
	timeline_nanos(real->timeline, "stopped_ns", job->hung_since);
	if (reason)
		timeline_null(real->timeline, "lost_ns");
	else
		timeline_nanos(real->timeline, "lost_ns",
			       progress_of(job, job->interrupted) - (from ? from->progress : 0));
	timeline_text(real->timeline, "reason", reason);
	timeline_end(real->timeline);
}

/* ---- progress ---- */

static nanos patience(const struct live_job *job)
{
	nanos steps = STALL_STEPS * job->config->step;

	return steps > STALL_MIN ? steps : STALL_MIN;
}

static nanos moved_at(const struct live_job *job)
{
	return job->last_at > job->up_at ? job->last_at : job->up_at;
}

static void take_progress(struct real *real, struct live_job *job)
{
	nanos before = moved_at(job), at;
	uint64_t step;

	if (job->stage != STAGE_RUNNING || !saves_last_step(real, job->index, &step, &at) ||
	    at <= job->last_at || at < job->up_at - job->config->step)
		return; /* nothing new, or a note of the gang before */
	if (job->peak > job->step && step >= job->peak) {
		/* At full pace from there, as it has just been. */
		job->peak_at = at - progress_of(job, step - job->peak);
		job->peak = 0;
	}
	if (at - before > patience(job) || job->last_at < job->up_at) {
		uint64_t since = step > job->step ? step - job->step - 1 : 0;
		job->resumed_at = at - progress_of(job, since);
		job->resumed_at = job->resumed_at > before ? job->resumed_at : before;
	}
	job->step = step;
	job->last_at = at;
	job->samples[job->sample_count++ % SAMPLES] = (struct sample){at, step};
}

static const struct sample *sample(const struct live_job *job, size_t back)
{
	bool there = back < job->sample_count && back < SAMPLES;

	return there ? &job->samples[(job->sample_count - 1 - back) % SAMPLES] : NULL;
}

/* When a step ended, by the samples around it. */
static nanos instant_of(const struct live_job *job, uint64_t step, nanos otherwise)
{
	for (size_t back = 0; sample(job, back + 1); back++) {
		const struct sample *after = sample(job, back), *before = sample(job, back + 1);
		if (before->step > step || after->step < step || after->step == before->step)
			continue;
		double share = (double)(step - before->step) / (double)(after->step - before->step);
		return before->at + (nanos)(share * (double)(after->at - before->at));
	}
	const struct sample *first = sample(job, 0);
	bool early = first && first->step >= step && job->sample_count == 1;
	return early ? first->at - progress_of(job, first->step - step) : otherwise;
}

/* Until a step beyond the save has ended. */
static bool is_paused(const struct live_job *job)
{
	return job->pending && !job->config->checkpoint.async && job->step <= job->pending_step;
}

static bool moves(const struct real *real, const struct live_job *job)
{
	return job->stage == STAGE_RUNNING &&
	       (is_paused(job) || real_now((void *)real) - moved_at(job) <= patience(job));
}

bool training_trains(const struct real *real, uint32_t job)
{
	return moves(real, &real->jobs->items[job]);
}

/* The share of the normal pace over the last window, less what a busy host does to it. */
static bool is_slow(const struct real *real, const struct live_job *job)
{
	nanos window = real->scenario->steady_state.window, lost;
	const struct sample *last = sample(job, 0), *first = last;

	window = window > PACE_WINDOW_MIN ? window : PACE_WINDOW_MIN;
	window = window > PACE_STEPS * job->config->step ? window : PACE_STEPS * job->config->step;
	for (size_t back = 1; sample(job, back); back++) {
		const struct sample *older = sample(job, back);
		if (older->at < job->resumed_at || older->step > first->step)
			break;
		first = older;
		if (last->at - first->at >= window)
			break;
	}
	if (!first || last->at - first->at < window / 2 || !job->config->checkpoint.async)
		return false;
	lost = last->at - first->at - progress_of(job, last->step - first->step);
	double share = 1 - real->scenario->steady_state.success + PACE_HOST;
	double allowed = share * (double)(last->at - first->at);
	return (double)(lost - patience(job)) > allowed;
}

static void judge(struct real *real, struct live_job *job)
{
	bool here = job->stage == STAGE_COMPLETE || moves(real, job);
	bool whole = job->peak <= job->step;
	bool slow = job->stage == STAGE_RUNNING && is_slow(real, job);
	bool started = job->stage == STAGE_COMPLETE || job->last_at >= job->up_at;
	/* The first step that does not end when it should is the first sign. */
	nanos due = moved_at(job) + job->config->step;
	struct completion told = {.kind = COMPLETION_BAD,
				  .since = due < real->shown ? due : real->shown};

	if (job->bad && slow)
		job->bad_at = real->shown;
	if (job->bad ? !(here && whole && started && !slow) : here && !slow)
		return;
	if (job->bad == (!here || slow))
		return;
	job->bad = !job->bad;
	if (!job->bad) {
		told.kind = COMPLETION_GOOD;
		told.since = job->peak_at > job->resumed_at ? job->peak_at : job->resumed_at;
		told.since = told.since > job->bad_at ? told.since : job->bad_at;
		if (job->stage == STAGE_COMPLETE)
			told.since = job->done_at;
	} else if (here) {
		told.since = real->shown; /* since when it is slow is not known to the instant */
	}
	if (job->bad)
		job->bad_at = told.since;
	told.endpoint = (uint32_t)real->scenario->deployment.endpoint_count + job->index;
	told.action.domain = job->domain;
	real_complete(real, &told);
}

/* ---- saves ---- */

static const char given_up[] = "a rank could not save";

static int64_t find_save(const struct live_job *job, uint64_t step)
{
	for (int64_t id = (int64_t)job->save_count - 1; id >= 0; id--)
		if (job->saves[id].step == step)
			return id;
	return -1;
}

static void drop_save(struct real *real, struct live_job *job, const char *reason)
{
	if (!job->pending)
		return;
	job->pending = false;
	job->dropped = job->pending_written;
	tell_save(real, job, -1, job->pending_step,
		  instant_of(job, job->pending_step, job->last_at), reason);
}

static void saved(struct real *real, struct live_job *job, const struct save_found *found)
{
	int64_t before = find_save(job, found->step);
	nanos written = saves_instant(real, found->written);

	if (before >= 0 && job->saves[before].inode == found->inode &&
	    job->saves[before].written == found->written)
		return;
	if (job->pending && job->pending_step == found->step)
		job->pending = false;
	drop_save(real, job, given_up);
	job->saves = arena_grow(&real->arena, job->saves, job->save_count, &job->save_capacity,
				sizeof(*job->saves));
	job->saves[job->save_count] = (struct save){
		.step = found->step,
		.as_of = instant_of(job, found->step, written),
		.progress = progress_of(job, found->step),
		.inode = found->inode,
		.written = found->written,
	};
	if (job->saves[job->save_count].as_of > written)
		job->saves[job->save_count].as_of = written;
	tell_save(real, job, (int64_t)job->save_count, found->step,
		  job->saves[job->save_count].as_of, NULL);
	job->save_count++;
}

static int by_time(const void *a, const void *b)
{
	const struct save_found *left = a, *right = b;

	return (left->written > right->written) - (left->written < right->written);
}

/* A later one is there already: it is on its way out. */
static bool is_outlived(const struct real *real, const struct live_job *job, uint64_t step)
{
	const struct save *last = job->save_count > 0 ? &job->saves[job->save_count - 1] : NULL;

	return last && step <= last->step && saves_instant(real, last->written) >= job->up_at;
}

static void look_pending(struct real *real, struct live_job *job, const struct save_found *found)
{
	bool same = job->pending && job->pending_step == found->step;

	/* What a gang before this one left half done is nobody's save any more. */
	if (saves_instant(real, found->written) < job->up_at || found->written <= job->dropped ||
	    (job->pending && job->pending_step > found->step) ||
	    is_outlived(real, job, found->step))
		return;
	if (!same)
		drop_save(real, job, given_up);
	job->pending = true;
	job->pending_step = found->step;
	job->pending_written = found->written;
}

/* What became whole after the instant that is told of belongs to the next look, or, when that is
 * the drill's last, to nobody. */
static void look_saves(struct real *real, struct live_job *job)
{
	struct save_found found[SAVES_FOUND_MAX];
	size_t count = saves_find(real, job->index, found);

	if (count > 0)
		qsort(found, count, sizeof(*found), by_time);
	for (size_t i = 0; i < count; i++) {
		if (found[i].whole) {
			if (saves_instant(real, found[i].written) <= real->shown)
				saved(real, job, &found[i]);
		} else if (job->stage == STAGE_RUNNING) {
			look_pending(real, job, &found[i]);
		}
	}
}

/* ---- failures and restarts ---- */

static void failed(struct real *real, struct live_job *job, const struct job_view *view)
{
	job->interruptions++;
	if (job->stage == STAGE_RUNNING) {
		job->hung_since = moved_at(job);
		job->interrupted = job->step;
		job->peak = job->step > job->peak ? job->step : job->peak;
		job->down_since = real->shown;
		drop_save(real, job, "the job was interrupted");
	}
	job->stage = STAGE_DOWN;
	tell(real, job, view, "Failed", view->message);
	/* The message goes on to stand beside the state in which the platform waits. */
	snprintf(job->told_state, sizeof(job->told_state), "%s", view->state);
	snprintf(job->told_message, sizeof(job->told_message), "%s", view->message);
}

static void found_bad(struct real *real, struct live_job *job, const struct job_view *view)
{
	for (uint32_t i = 0; i < view->bad_count; i++) {
		int64_t id = find_save(job, view->bad_steps[i]);
		if (id < 0 || job->saves[id].bad)
			continue; /* it was read before: nothing new */
		job->saves[id].bad = true;
		job->bad_saves++;
		tell_restore(real, job, id, view->bad_whys[i][0] ? view->bad_whys[i] : "it is bad");
	}
}

static void restarted(struct real *real, struct live_job *job, const struct job_view *view)
{
	int64_t id = view->restored ? find_save(job, view->restored_from) : -1;
	struct completion done = {.kind = COMPLETION_RESTART, .stopped = job->hung_since};

	found_bad(real, job, view);
	tell_restore(real, job, id, NULL);
	job->stage = STAGE_RUNNING;
	job->up_at = real->shown;
	job->step = id < 0 ? 0 : job->saves[id].step;
	job->restarts++;
	job->down += real->shown - job->down_since;
	job->lost += job->interrupted - job->step;
	done.action.domain = job->domain;
	done.endpoint = (uint32_t)real->scenario->deployment.endpoint_count + job->index;
	done.saved = id < 0 ? 0 : job->saves[id].as_of;
	done.lost = progress_of(job, job->interrupted - job->step);
	real_complete(real, &done);
	tell(real, job, view, "Running", "restarted");
}

static void completed(struct real *real, struct live_job *job, const struct job_view *view)
{
	uint64_t step;
	nanos at;

	if (saves_last_step(real, job->index, &step, &at)) {
		job->step = step;
		job->last_at = at;
	}
	job->pending = false;
	job->stage = STAGE_COMPLETE;
	job->done_at = job->last_at;
	tell(real, job, view, "Completed", "all work is done");
}

/* What the platform does while the job is down. */
static void look_waiting(struct real *real, struct live_job *job, const struct job_view *view)
{
	bool waits = strcmp(view->state, "Restarting") == 0 || strcmp(view->state, "Queueing") == 0;

	if (!waits || (strcmp(view->state, job->told_state) == 0 &&
		       strcmp(view->message, job->told_message) == 0))
		return;
	tell(real, job, view, view->state, view->message);
	snprintf(job->told_state, sizeof(job->told_state), "%s", view->state);
	snprintf(job->told_message, sizeof(job->told_message), "%s", view->message);
}

static void look_state(struct real *real, struct live_job *job, const struct view *all)
{
	const struct job_view *view = &all->jobs[job->index];
	bool runs = strcmp(view->state, "Running") == 0;

	if (!all->control || job->stage == STAGE_COMPLETE)
		return;
	while (job->failures < view->failures) {
		failed(real, job, view);
		job->failures++;
		job->down_round = all->round;
	}
	if (strcmp(view->state, "Completed") == 0) {
		if (job->stage == STAGE_RUNNING)
			completed(real, job, view);
	} else if (job->stage == STAGE_DOWN) {
		look_waiting(real, job, view);
		/* In the round of the failure rank 0 may be the old one still. */
		if (runs && view->told && view->running && all->round > job->down_round)
			restarted(real, job, view);
	}
}

void training_look(struct real *real, const struct view *view)
{
	for (size_t j = 0; j < real->jobs->count; j++) {
		struct live_job *job = &real->jobs->items[j];
		if (!real->jobs->begun)
			tell(real, job, &view->jobs[j], "Running", "it runs from the beginning");
		take_progress(real, job);
		look_saves(real, job);
		look_state(real, job, view);
		judge(real, job);
	}
	real->jobs->begun = true;
}

/* ---- who asks ---- */

bool training_calm(const struct real *real, uint32_t site)
{
	for (size_t j = 0; j < real->jobs->count; j++)
		if (real->jobs->items[j].config->site == site && real->jobs->items[j].bad)
			return false;
	return true;
}

bool training_all_good(const struct real *real)
{
	for (size_t j = 0; j < real->jobs->count; j++)
		if (real->jobs->items[j].bad)
			return false;
	return true;
}

void training_watch(struct real *real, const struct action *action)
{
	struct live_job *job = &real->jobs->items[action->entity.index];
	struct completion done = {
		.kind = COMPLETION_ACTION, .action = *action, .ok = true, .success = 1};

	take_progress(real, job);
	if (job->stage != STAGE_COMPLETE && !moves(real, job))
		done.ok = real_now(real) - job->last_at < action->timeout;
	real_complete(real, &done);
}

/* The newest one that is whole: what a job that is down will go on from. */
static uint64_t fallback(const struct real *real, const struct live_job *job)
{
	for (int32_t id = (int32_t)job->save_count - 1; id >= 0; id--) {
		struct save_look look;
		if (job->saves[id].bad || !saves_there(real, job->index, id))
			continue;
		saves_look(real, job->index, id, &look);
		if (look.shards == job->config->nodes && look.mismatches == 0)
			return job->saves[id].step;
	}
	return 0;
}

void training_account(struct real *real, uint32_t index, struct job_record *ret)
{
	struct live_job *job = &real->jobs->items[index];
	bool complete = job->stage == STAGE_COMPLETE;
	nanos wall = complete ? job->done_at : real->shown, down = job->down;
	uint64_t step;

	take_progress(real, job);
	look_saves(real, job); /* the last round of the observer was before the end */
	step = job->step;
	if (job->stage == STAGE_DOWN) {
		down += real->shown - job->down_since;
		step = fallback(real, job);
	}
	double work = (double)progress_of(job, step) / 1e9;
	*ret = (struct job_record){
		.name = job->config->name,
		.work_s = work,
		.wall_s = (double)wall / 1e9,
		.ettr = wall > 0 ? work / ((double)wall / 1e9) : NAN,
		.goodput = wall > 0 ? work / ((double)wall / 1e9) : NAN,
		.interruptions = job->interruptions,
		.restarts = job->restarts,
		.lost_work_s = (double)progress_of(job, job->lost) / 1e9,
		.checkpoints = job->save_count,
		.bad_checkpoints = job->bad_saves,
		.down_s = (double)down / 1e9,
		.complete = complete,
	};
}
