/* SPDX-License-Identifier: Apache-2.0 */
/* What goes on in the data of a drill while it runs: training data that grow, and replication that
 * carries the source's files to the standbys that hold them, each as late as its lag says. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/process/copies_private.h"
#include "drivers/process/thread.h"

#define TICK (10 * NANOS_MS)      /* how often replication and growth go on */
#define HISTORY (100 * NANOS_MS)  /* how often the size of the source is written down */
#define WAITING_MAX 1024          /* snapshots that wait for one standby's lag */
#define FED_MAX ((size_t)1 << 22) /* blocks of training data in one drill */

static nanos now_of(const struct copies *copies)
{
	return copies->config.now(copies->config.self);
}

static void *grown(void *items, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return items;
	*capacity = *capacity ? 2 * *capacity : 256;
	items = realloc(items, *capacity * size);
	assert(items);
	return items;
}

/* ---- training data ---- */

/* Whole blocks of what the declared rate has made due. The data are read by nobody: only when each
 * was written counts. */
static void feed(struct copies *copies, nanos now)
{
	const struct deployment *d = &copies->config.scenario->deployment;
	char folder[COPIES_PATH_MAX], path[COPIES_PATH_MAX + 8];
	uint8_t block[COPIES_BLOCK];
	int fd = -1;

	if (copies->feeding)
		copies->owed +=
			d->data[DATA_TRAINING].change * (double)(now - copies->fed_at) / 1e9;
	copies->fed_at = now;
	if (copies->owed < COPIES_BLOCK || copies->sites[copies->source].off ||
	    copies_fenced(copies, copies->source))
		return;
	copies_class_folder(copies, copies->source, DATA_TRAINING, folder);
	snprintf(path, sizeof(path), "%s/feed", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	while (fd >= 0 && copies->owed >= COPIES_BLOCK && copies->fed_count < FED_MAX) {
		copies_block_make(copies, copies_stream_of(DATA_TRAINING, "feed"),
				  copies->fed_count, block);
		if (write(fd, block, sizeof(block)) != sizeof(block))
			break; /* a full disk: it is due again later */
		copies->fed = grown(copies->fed, copies->fed_count, &copies->fed_capacity,
				    sizeof(*copies->fed));
		copies->fed[copies->fed_count].at = now;
		copies->fed[copies->fed_count++].site = copies->source;
		copies->owed -= COPIES_BLOCK;
	}
	if (fd >= 0)
		close(fd);
}

uint64_t copies_fed(struct copies *copies, uint32_t site, nanos from, nanos to)
{
	uint64_t count = 0;

	pthread_mutex_lock(&copies->lock);
	for (size_t i = copies->fed_count; i-- > 0 && copies->fed[i].at > from;)
		count += copies->fed[i].at <= to && copies->fed[i].site == site;
	pthread_mutex_unlock(&copies->lock);
	return count * COPIES_BLOCK;
}

nanos copies_last_fed(struct copies *copies, uint32_t site)
{
	nanos last = 0;

	pthread_mutex_lock(&copies->lock);
	for (size_t i = copies->fed_count; i-- > 0 && last == 0;)
		last = copies->fed[i].site == site ? copies->fed[i].at : 0;
	pthread_mutex_unlock(&copies->lock);
	return last;
}

void copies_feed(struct copies *copies, bool on)
{
	pthread_mutex_lock(&copies->lock);
	copies->feeding = on;
	pthread_mutex_unlock(&copies->lock);
}

/* ---- what the source looked like over time ---- */

/* The files of a class as the snapshot before the newest one has them. */
static void as_before(const struct copies *copies, enum data_class data_class,
		      struct copies_file *files, size_t *count)
{
	if (copies->history_count < 2)
		return;
	const struct copies_snapshot *before = &copies->history[copies->history_count - 2];
	for (size_t i = 0; i < before->count && *count < COPIES_FILES_MAX; i++)
		if (before->files[i].data_class == data_class)
			files[(*count)++] = before->files[i];
}

static void write_history(struct copies *copies, nanos now)
{
	struct copies_file *files;
	char folder[COPIES_PATH_MAX];

	if (copies->history_count > 0 &&
	    now - copies->history[copies->history_count - 1].at < HISTORY)
		return;
	files = calloc(COPIES_FILES_MAX, sizeof(*files));
	assert(files);
	copies->history = grown(copies->history, copies->history_count, &copies->history_capacity,
				sizeof(*copies->history));
	struct copies_snapshot *snapshot = &copies->history[copies->history_count++];
	*snapshot = (struct copies_snapshot){.at = now};
	for (int c = 0; c < DATA_CLASSES; c++) {
		if (copies->unwritten[c] > 0) {
			as_before(copies, (enum data_class)c, files, &snapshot->count);
			continue;
		}
		copies_class_folder(copies, copies->source, (enum data_class)c, folder);
		size_t count = copies_list(folder, files + snapshot->count,
					   COPIES_FILES_MAX - snapshot->count);
		for (size_t i = 0; i < count; i++)
			files[snapshot->count++].data_class = (enum data_class)c;
	}
	snapshot->files = realloc(files, (snapshot->count + 1) * sizeof(*files));
	assert(snapshot->files);
}

static uint64_t bytes_then(const struct copies_snapshot *snapshot, enum data_class data_class)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < snapshot->count; i++)
		if (snapshot->files[i].data_class == data_class)
			bytes += snapshot->files[i].size;
	return bytes;
}

nanos copies_older(struct copies *copies, enum data_class data_class, uint64_t bytes, nanos now)
{
	nanos older = 0;

	pthread_mutex_lock(&copies->lock);
	for (size_t i = copies->history_count; i-- > 0;) {
		if (copies->history[i].at > now)
			continue;
		if (bytes_then(&copies->history[i], data_class) <= bytes)
			break;
		older = now - copies->history[i].at;
	}
	pthread_mutex_unlock(&copies->lock);
	return older;
}

uint64_t copies_size_at(struct copies *copies, enum data_class data_class, const char *name,
			nanos at)
{
	uint64_t size = 0;
	bool known = false;

	pthread_mutex_lock(&copies->lock);
	for (size_t i = copies->history_count; i-- > 0 && !known;) {
		const struct copies_snapshot *snapshot = &copies->history[i];
		known = snapshot->at <= at;
		for (size_t k = 0; known && k < snapshot->count; k++)
			if (snapshot->files[k].data_class == data_class &&
			    strcmp(snapshot->files[k].name, name) == 0)
				size = snapshot->files[k].size;
	}
	pthread_mutex_unlock(&copies->lock);
	return size;
}

/* ---- replication ---- */

static void take_snapshot(struct copies *copies, struct copies_site *site, nanos now)
{
	size_t index = (site->first + site->count) % WAITING_MAX, room = 0;
	struct copies_snapshot *snapshot;
	struct copies_file *all = calloc(COPIES_FILES_MAX, sizeof(*all));
	char folder[COPIES_PATH_MAX];

	assert(all);
	if (!site->waiting)
		site->waiting = calloc(WAITING_MAX, sizeof(*site->waiting));
	assert(site->waiting);
	for (int c = 0; c < DATA_CLASSES; c++) {
		if (!(site->holds & DATA_BIT(c)))
			continue;
		copies_class_folder(copies, copies->source, (enum data_class)c, folder);
		size_t count = copies_list(folder, all + room, COPIES_FILES_MAX - room);
		for (size_t i = room; i < room + count; i++)
			all[i].data_class = (enum data_class)c;
		room += count;
	}
	snapshot = &site->waiting[index];
	snapshot->at = now;
	snapshot->files = realloc(all, (room + 1) * sizeof(*all));
	snapshot->count = room;
	site->count++;
	site->looked = now;
}

static void apply_snapshot(struct copies *copies, uint32_t to, const struct copies_snapshot *from)
{
	char in[COPIES_PATH_MAX], out[COPIES_PATH_MAX];
	char source[2 * COPIES_PATH_MAX], copy[2 * COPIES_PATH_MAX];
	struct error error = {.kind = ERROR_NONE};
	struct stat status;

	for (size_t i = 0; i < from->count; i++) {
		const struct copies_file *file = &from->files[i];
		uint64_t have = 0;
		if (!(copies->sites[to].holds & DATA_BIT(file->data_class)))
			continue;
		copies_class_folder(copies, copies->source, file->data_class, in);
		copies_class_folder(copies, to, file->data_class, out);
		if (copies_make_parents(out, file->name, &error))
			return;
		snprintf(source, sizeof(source), "%s/%s", in, file->name);
		snprintf(copy, sizeof(copy), "%s/%s", out, file->name);
		if (stat(copy, &status) == 0)
			have = (uint64_t)status.st_size;
		if (have == file->size)
			continue;
		/* A file that lost its end loses it here too: replication is faithful. */
		if (copies_copy_range(source, copy, have < file->size ? have : file->size,
				      file->size, true, &error))
			return;
	}
	copies->sites[to].reached = from->at;
}

static void replicate(struct copies *copies, uint32_t s, nanos now)
{
	const struct site *config = &copies->config.scenario->deployment.sites[s];
	struct copies_site *site = &copies->sites[s];
	nanos lag = config->standby.replication_lag;

	if (!site->holds || s == copies->source)
		return;
	bool broken = site->off || copies->sites[copies->source].off ||
		      !copies->config.reaches(copies->config.self, copies->source, s);
	if (!broken && now - site->looked >= lag / (WAITING_MAX / 2) && site->count < WAITING_MAX)
		take_snapshot(copies, site, now);
	while (site->count > 0 && site->waiting[site->first].at + lag <= now) {
		struct copies_snapshot *snapshot = &site->waiting[site->first];
		if (!broken)
			apply_snapshot(copies, s, snapshot);
		free(snapshot->files);
		snapshot->files = NULL;
		site->first = (site->first + 1) % WAITING_MAX;
		site->count--;
	}
}

static void forget_snapshots(struct copies_site *site)
{
	for (; site->count > 0; site->count--) {
		free(site->waiting[site->first].files);
		site->first = (site->first + 1) % WAITING_MAX;
	}
}

nanos copies_promote(struct copies *copies, uint32_t site, enum data_class data_class)
{
	pthread_mutex_lock(&copies->lock);
	struct copies_site *state = &copies->sites[site];
	nanos reached = state->reached;
	state->holds &= ~DATA_BIT(data_class);
	if (!state->holds)
		forget_snapshots(state);
	pthread_mutex_unlock(&copies->lock);
	return reached;
}

int copies_resume(struct copies *copies, uint32_t site, struct error *e)
{
	const struct site *config = &copies->config.scenario->deployment.sites[site];
	uint64_t bytes = 0;

	pthread_mutex_lock(&copies->lock);
	uint32_t source = copies->source;
	nanos from = now_of(copies);
	pthread_mutex_unlock(&copies->lock);
	for (int c = 0; c < DATA_CLASSES; c++) {
		bool held = (config->standby.holds & DATA_BIT(c)) != 0;
		bool hot = config->standby.heat == HEAT_HOT;
		if (held &&
		    copies_mirror(copies, source, site, (enum data_class)c, false, &bytes, e))
			return -1;
		if (copies->config.scenario->deployment.data[c].declared && !(held && hot) &&
		    copies_mark_ready(copies, site, (enum data_class)c, false, e))
			return -1;
	}
	pthread_mutex_lock(&copies->lock);
	copies->sites[site].holds = config->standby.holds;
	copies->sites[site].reached = from;
	pthread_mutex_unlock(&copies->lock);
	return 0;
}

void copies_set_source(struct copies *copies, uint32_t site)
{
	pthread_mutex_lock(&copies->lock);
	copies->source = site;
	for (uint32_t s = 0; s < copies->config.scenario->deployment.site_count; s++)
		forget_snapshots(&copies->sites[s]);
	pthread_mutex_unlock(&copies->lock);
}

/* ---- the thread ---- */

void copies_pause(struct copies *copies, bool on)
{
	pthread_mutex_lock(&copies->lock);
	copies->paused = on;
	pthread_mutex_unlock(&copies->lock);
}

void copies_forget_now(struct copies *copies, enum data_class data_class, bool on)
{
	pthread_mutex_lock(&copies->lock);
	assert(on || copies->unwritten[data_class] > 0);
	copies->unwritten[data_class] += on ? 1u : -1u;
	pthread_mutex_unlock(&copies->lock);
}

static void *live(void *context)
{
	struct copies *copies = context;
	struct timespec tick = {.tv_nsec = TICK};

	for (;;) {
		pthread_mutex_lock(&copies->lock);
		nanos now = now_of(copies);
		bool stop = copies->stop;
		if (!copies->paused) {
			feed(copies, now);
			write_history(copies, now);
		}
		for (uint32_t s = 0;
		     !copies->paused && s < copies->config.scenario->deployment.site_count; s++)
			replicate(copies, s, now);
		pthread_mutex_unlock(&copies->lock);
		if (stop)
			return NULL;
		nanosleep(&tick, NULL);
	}
}

int copies_start(struct copies *copies, struct error *e)
{
	copies->fed_at = now_of(copies);
	copies->feeding = true;
	copies->running = thread_start(&copies->thread, live, copies) == 0;
	if (!copies->running)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot start the thread that replicates");
	return 0;
}

void copies_close(struct copies *copies)
{
	if (!copies)
		return;
	if (copies->running) {
		pthread_mutex_lock(&copies->lock);
		copies->stop = true;
		pthread_mutex_unlock(&copies->lock);
		pthread_join(copies->thread, NULL);
	}
	for (uint32_t s = 0; s < copies->config.scenario->deployment.site_count; s++) {
		forget_snapshots(&copies->sites[s]);
		free(copies->sites[s].waiting);
	}
	pthread_mutex_destroy(&copies->lock);
	for (size_t i = 0; i < copies->history_count; i++)
		free(copies->history[i].files);
	free(copies->fed);
	free(copies->history);
	free(copies);
}
