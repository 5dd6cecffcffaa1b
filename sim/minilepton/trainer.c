/* SPDX-License-Identifier: Apache-2.0 */
/* minilepton trainer: one rank of a training job. No rank steps alone; a rank that dies or hangs
 * ends all of them, and whoever starts them again finds them at the newest whole checkpoint. */
#include "sim/minilepton/trainer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/replica.h"

#define LOOK (10 * NANOS_MS) /* a rank sees a signal that late at most */
#define TERMINATED 143
#define JOIN_SLACK (10 * NANOS_S)

#define ROW(name) offsetof(struct trainer_options, name)
static const struct options_row rows[] = {
	{"job", OPTIONS_TEXT, ROW(job), true, 0, 0, "NAME", "the job's name"},
	{"rank", OPTIONS_NUMBER, ROW(rank), true, 0, GANG_RANKS_MAX - 1, "R", "this rank"},
	{"ranks", OPTIONS_NUMBER, ROW(ranks), true, 1, GANG_RANKS_MAX, "N", "all ranks"},
	{"listen", OPTIONS_TEXT, ROW(listen), true, 0, 0, "A:P", "where /progress is served"},
	{"coordinator", OPTIONS_TEXT, ROW(coordinator), true, 0, 0, "A:P",
	 "where rank 0 gathers the others"},
	{"step-ns", OPTIONS_NANOS, ROW(step), true, 1, 0, "N", "time of a step"},
	{"steps", OPTIONS_NUMBER, ROW(steps), false, 0, CHECKPOINT_STEP_MAX, "N",
	 "it is complete after so many; 0: never"},
	{"ckpt-dir", OPTIONS_TEXT, ROW(ckpt_dir), true, 0, 0, "DIR", "the job's checkpoints"},
	{"ckpt-every-ns", OPTIONS_NANOS, ROW(ckpt_every), false, 0, 0, "N",
	 "from one save to the next; 0: none"},
	{"ckpt-bytes", OPTIONS_NUMBER, ROW(ckpt_bytes), false, 0, (uint64_t)1 << 40, "N",
	 "of all shards together"},
	{"async", OPTIONS_NUMBER, ROW(async), false, 0, 1, "0|1",
	 "1: training goes on during a save"},
	{"keep", OPTIONS_NUMBER, ROW(keep), false, 1, CHECKPOINT_COUNT_MAX / 2, "K",
	 "checkpoints that are kept; 3"},
	{"load-rate", OPTIONS_NUMBER, ROW(load_rate), false, 0, (uint64_t)1 << 50, "BYTES_S",
	 "of all ranks together; 0: no limit"},
	{"save-rate", OPTIONS_NUMBER, ROW(save_rate), false, 0, (uint64_t)1 << 50, "BYTES_S",
	 "of all ranks together; 0: no limit"},
	{"timeout-ns", OPTIONS_NANOS, ROW(timeout), false, 1, 0, "N",
	 "a collective operation that takes longer is aborted; 10 min"},
	{"device", OPTIONS_TEXTS, ROW(devices), false, 0, 0, "FILE", "stand-in of a GPU"},
	{"seed", OPTIONS_NUMBER, ROW(seed), false, 0, 0, "N", "of what is computed"},
	{"after", OPTIONS_TEXT, ROW(after), false, 0, 0, "FILE",
	 "no step begins before it is there"},
	{NULL, OPTIONS_TEXT, 0, false, 0, 0, NULL, NULL},
};
static const struct trainer_options preset = {
	.async = 1, .keep = 3, .timeout = 10 * NANOS_MINUTE, .seed = 1};

static const char *const phase_names[] = {"Joining", "Loading", "Running", "Done"};

/* ---- what others see ---- */

static void add_checkpoints(struct trainer *trainer, cJSON *json)
{
	cJSON *list = cJSON_AddArrayToObject(json, "checkpoints");
	struct arena arena = {0};
	struct error e = {0};
	uint64_t *steps = NULL;
	size_t count = 0;

	/* A folder that is gone has none. */
	if (checkpoint_list(trainer->options->ckpt_dir, &arena, &steps, &count, &e))
		count = 0;
	for (size_t i = 0; i < count; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddNumberToObject(item, "step", (double)steps[i]);
		cJSON_AddNumberToObject(item, "progress_ns",
					(double)steps[i] * (double)trainer->options->step);
		cJSON_AddItemToArray(list, item);
	}
	arena_free(&arena);
}

cJSON *trainer_progress_json(struct trainer *trainer)
{
	cJSON *json = cJSON_CreateObject(), *list;
	char sum[20];

	add_checkpoints(trainer, json);
	pthread_mutex_lock(&trainer->lock);
	cJSON_AddStringToObject(json, "job", trainer->options->job);
	cJSON_AddNumberToObject(json, "rank", trainer->gang.rank);
	cJSON_AddNumberToObject(json, "ranks", trainer->gang.ranks);
	cJSON_AddStringToObject(json, "state", phase_names[trainer->phase]);
	cJSON_AddNumberToObject(json, "step", (double)trainer->step);
	cJSON_AddNumberToObject(json, "progress_ns",
				(double)trainer->step * (double)trainer->options->step);
	snprintf(sum, sizeof(sum), "%016" PRIx64, trainer->sum);
	cJSON_AddStringToObject(json, "sum", sum);
	if (trainer->restored)
		cJSON_AddNumberToObject(json, "restored_from", (double)trainer->restored_from);
	else
		cJSON_AddNullToObject(json, "restored_from");
	cJSON_AddNumberToObject(json, "lost_steps", (double)trainer->lost_steps);
	list = cJSON_AddArrayToObject(json, "bad");
	for (uint32_t i = 0; i < trainer->bad_count && i < TRAINER_BAD_MAX; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddNumberToObject(item, "step", (double)trainer->bad[i].step);
		cJSON_AddNumberToObject(item, "rank", trainer->bad[i].rank);
		cJSON_AddStringToObject(item, "why", trainer->bad[i].why);
		cJSON_AddItemToArray(list, item);
	}
	pthread_mutex_unlock(&trainer->lock);
	return json;
}

static void progress(void *self, struct http_request *request)
{
	http_answer_json(request, 200, trainer_progress_json(self));
}

static void healthz(void *self, struct http_request *request)
{
	struct trainer *trainer = self;
	enum trainer_phase phase;

	pthread_mutex_lock(&trainer->lock);
	phase = trainer->phase;
	pthread_mutex_unlock(&trainer->lock);
	if (phase >= TRAINER_RUNNING)
		http_answer(request, 200, "text/plain", "ok\n", 3);
	else
		http_error(request, 503, "%s", phase_names[phase]);
}

static const struct http_route routes[] = {
	{.method = "GET", .pattern = "/healthz", .handle = healthz, .open = true},
	{.method = "GET", .pattern = "/progress", .handle = progress, .open = true},
	{.method = NULL},
};

static void enter(struct trainer *trainer, enum trainer_phase phase)
{
	pthread_mutex_lock(&trainer->lock);
	trainer->phase = phase;
	pthread_mutex_unlock(&trainer->lock);
}

/* ---- steps ---- */

static int idle(void *self, struct error *e)
{
	(void)self;
	if (!minilepton_end_wait(0))
		return 0;
	return error_set(e, ERROR_USAGE, NO_PLACE, "it is asked to end");
}

static int sleep_until(nanos when, struct error *e)
{
	for (nanos now = minilepton_now(); now < when; now = minilepton_now())
		if (minilepton_end_wait(when - now < LOOK ? when - now : LOOK))
			return error_set(e, ERROR_USAGE, NO_PLACE, "it is asked to end");
	return 0;
}

/* Without fsync: what a crash of the whole machine loses of it only understates a loss. */
static void note_step(struct trainer *trainer)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%020" PRIu64 "\n", trainer->step);

	if (trainer->record >= 0 && trainer->gang.rank == 0 &&
	    pwrite(trainer->record, text, (size_t)length, 0) != length)
		minilepton_say("the step is not noted: %s", strerror(errno));
}

static int reduce_first(struct trainer *trainer, const struct gang_message *own,
			struct gang_message *ret_go, struct error *e)
{
	const struct trainer_options *options = trainer->options;
	struct gang_message all[GANG_RANKS_MAX] = {{0}};
	uint64_t sum = own->b;

	if (gang_gather(&trainer->gang, GANG_STEP, all, options->timeout, e))
		return -1;
	trainer_save_collect(trainer, own);
	for (uint32_t r = 1; r < trainer->gang.ranks; r++) {
		if (all[r].a != trainer->step)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "rank %u is at step %" PRIu64 ", not %" PRIu64, r,
					 all[r].a, trainer->step);
		all[r].rank = r; /* as its connection says */
		sum += all[r].b;
		trainer_save_collect(trainer, &all[r]);
	}
	*ret_go = (struct gang_message){.kind = GANG_GO, .a = trainer->step, .b = sum};
	if (trainer_save_due(trainer, minilepton_now()))
		ret_go->c |= GANG_SAVE;
	if (options->steps && trainer->step + 1 >= options->steps)
		ret_go->c |= GANG_END;
	return gang_tell(&trainer->gang, ret_go, e);
}

/* The rank's part of the sum, computed on its devices: what went there under the seal of the start
 * comes back under today's. */
static uint64_t part_on_devices(const struct trainer *trainer)
{
	unsigned char key[DEVICES_KEY_SIZE];
	uint64_t state[CHECKPOINT_WORDS];

	memcpy(state, trainer->state, sizeof(state));
	devices_seal(trainer->seal, state, sizeof(state));
	devices_compute(trainer->devices, key);
	devices_seal(key, state, sizeof(state));
	return trainer_part(state, trainer->step);
}

static int step_once(struct trainer *trainer, bool *ret_end, struct error *e)
{
	struct gang_message own = {.kind = GANG_STEP, .rank = trainer->gang.rank}, go = {0};

	own.a = trainer->step;
	own.b = part_on_devices(trainer);
	trainer_save_report(trainer, &own);
	if (trainer->gang.rank == 0) {
		if (reduce_first(trainer, &own, &go, e))
			return -1;
	} else if (gang_say(&trainer->gang, &own, e) ||
		   gang_hear(&trainer->gang, GANG_GO, &go, trainer->options->timeout, e)) {
		return -1;
	}
	trainer_step(trainer->state, trainer->step, go.b);
	pthread_mutex_lock(&trainer->lock);
	trainer->step++;
	trainer->sum = go.b;
	pthread_mutex_unlock(&trainer->lock);
	note_step(trainer);
	*ret_end = (go.c & GANG_END) != 0;
	return go.c & GANG_SAVE ? trainer_save_begin(trainer, trainer->step, e) : 0;
}

/* All ranks wait, so that none waits for another one in a collective operation. */
static int wait_for_file(const char *path, struct error *e)
{
	while (path && access(path, F_OK))
		if (sleep_until(minilepton_now() + LOOK, e))
			return -1;
	return 0;
}

static int train(struct trainer *trainer, struct error *e)
{
	nanos due;
	bool end = false;

	if (wait_for_file(trainer->options->after, e))
		return -1;
	due = minilepton_now();
	trainer->pending_since = due;
	while (!end) {
		nanos now = minilepton_now();

		nanos step = devices_slowed(trainer->devices, trainer->options->step);
		due = due + step > now ? due + step : now;
		if (sleep_until(due, e) || step_once(trainer, &end, e))
			return -1;
	}
	return 0;
}

/* ---- beginning and end ---- */

static int prepare(struct trainer *trainer, struct error *e)
{
	const struct trainer_options *options = trainer->options;
	uint64_t share = options->ckpt_bytes / options->ranks;

	if (options->rank >= options->ranks)
		return error_set(e, ERROR_USAGE, NO_PLACE, "--rank is below --ranks");
	if (strlen(options->job) >= CHECKPOINT_JOB_MAX)
		return error_set(e, ERROR_USAGE, NO_PLACE, "the name of the job is too long");
	trainer->gang = (struct gang){.rank = (uint32_t)options->rank,
				      .ranks = (uint32_t)options->ranks,
				      .idle = idle,
				      .self = trainer};
	trainer->bytes = share > CHECKPOINT_HEAD ? share : CHECKPOINT_HEAD;
	rate_open(&trainer->reads, (options->load_rate + options->ranks - 1) / options->ranks);
	rate_open(&trainer->writes, (options->save_rate + options->ranks - 1) / options->ranks);
	trainer->have = arena_array(&trainer->arena, options->ranks, sizeof(*trainer->have));
	trainer->manifest.ranks = (uint32_t)options->ranks;
	trainer->manifest.shards =
		arena_array(&trainer->arena, options->ranks, sizeof(*trainer->manifest.shards));
	snprintf(trainer->manifest.job, sizeof(trainer->manifest.job), "%s", options->job);
	if (mkdir(options->ckpt_dir, 0755) && errno != EEXIST)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", options->ckpt_dir,
				 strerror(errno));
	trainer->record = open(arena_printf(&trainer->arena, "%s/last-step", options->ckpt_dir),
			       O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	return 0;
}

static int live(struct trainer *trainer, struct error *e)
{
	const struct trainer_options *options = trainer->options;
	struct devices *devices = arena_alloc(&trainer->arena, sizeof(*devices));
	int rc = -1;

	_Static_assert(TRAINER_SEAL_SIZE == DEVICES_KEY_SIZE, "a seal is a key");
	if (devices_open(devices, &options->devices, e))
		return -1;
	trainer->devices = devices;
	devices_compute(devices, trainer->seal);
	/* Processes that start at one moment may be ready far apart on a busy host. */
	if (gang_open(&trainer->gang, options->coordinator, options->job,
		      options->timeout + JOIN_SLACK, e))
		goto out;
	enter(trainer, TRAINER_LOADING);
	if (trainer_resume(trainer, e))
		goto out;
	enter(trainer, TRAINER_RUNNING);
	rc = train(trainer, e);
	if (rc == 0)
		enter(trainer, TRAINER_DONE);
out:
	if (trainer->save.active && options->async)
		pthread_join(trainer->save.thread, NULL);
	gang_close(&trainer->gang);
	devices_close(devices);
	return rc;
}

static int trainer_main(const void *given)
{
	struct trainer *trainer = calloc(1, sizeof(*trainer));
	struct http_config config = {
		.routes = routes, .self = trainer, .threads = HTTP_THREAD, .listen = NULL};
	struct http_server *server = NULL;
	struct error e = {0};
	int rc;

	if (!trainer) {
		error_set(&e, ERROR_MEMORY, NO_PLACE, "no memory for a rank");
		return minilepton_fail(&e);
	}
	trainer->options = given;
	trainer->record = -1;
	config.listen = trainer->options->listen;
	pthread_mutex_init(&trainer->lock, NULL);
	rc = prepare(trainer, &e) || http_server_open(&config, &server, &e);
	if (rc == 0) {
		http_server_announce(server);
		rc = live(trainer, &e);
	}
	if (server)
		http_server_close(server);
	if (trainer->record >= 0)
		close(trainer->record);
	arena_free(&trainer->arena);
	free(trainer);
	if (rc == 0)
		return MINILEPTON_OK;
	/* The words of the library, alone on the last line: a control plane shows it. */
	fprintf(stderr, "%s\n", e.text);
	return e.kind == ERROR_USAGE ? TERMINATED : MINILEPTON_FAILED;
}

const struct minilepton_command minilepton_trainer = {
	.name = "trainer",
	.help = "one rank of a training job: steps with its gang, checkpoints, resumes",
	.rows = rows,
	.preset = &preset,
	.options_size = sizeof(struct trainer_options),
	.main = trainer_main,
};
