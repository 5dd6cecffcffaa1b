/* SPDX-License-Identifier: Apache-2.0 */
/* What computes a replica's answers on its devices, a batch at a time, and the writer of its I/O
 * log: group commit. Acknowledged means durable, and never past a fence. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/replica.h"

#define BEAT NANOS_S /* without work it asks its devices that often whether they are there */

bool writer_fenced(const struct writer *writer)
{
	const char *fence = writer->replica->options->fence;

	return fence && access(fence, F_OK) == 0;
}

static void answer_all(const struct writer *writer, struct prediction *group)
{
	const struct replica_options *options = writer->replica->options;
	struct prediction *next;

	for (; group; group = next) {
		char text[20 + RECORD_ANSWER_SIZE + 2 * REPLICA_WORD_MAX + 8];
		int length =
			snprintf(text, sizeof(text), "%" PRIu64 " %.*s %s %s\n", group->record.seq,
				 RECORD_ANSWER_SIZE, group->answer, options->id, options->site);

		assert(length > 0 && (size_t)length < sizeof(text));
		next = group->next; /* it goes with its request */
		http_answer(group->request, 200, "text/plain", text, (size_t)length);
	}
}

static void refuse_all(struct prediction *group, int status, const char *why)
{
	struct prediction *next;

	for (; group; group = next) {
		next = group->next;
		http_error(group->request, status, "%s", why);
	}
}

/* The group as lines, in writer->lines. */
static size_t group_print(struct writer *writer, const struct prediction *group)
{
	size_t size = 0, used = 0, room = writer->room > 0 ? writer->room : 4096;

	for (const struct prediction *at = group; at; at = at->next)
		size += RECORD_HEAD_MAX + at->record.payload_size;
	while (room < size)
		room *= 2;
	if (room != writer->room) {
		free(writer->lines);
		writer->lines = malloc(room);
		if (!writer->lines) {
			minilepton_say("error: no memory for %zu bytes of the I/O log", room);
			_exit(MINILEPTON_FAILED);
		}
		writer->room = room;
	}
	for (const struct prediction *at = group; at; at = at->next)
		used += record_print(&at->record, writer->lines + used);
	return used;
}

bool writer_stuck(const struct writer *writer)
{
	nanos since = atomic_load(&writer->device_since);

	return since > 0 && minilepton_now() - since > writer->replica->options->watchdog;
}

static void devices_ask(struct writer *writer, unsigned char key[DEVICES_KEY_SIZE])
{
	atomic_store(&writer->device_since, minilepton_now());
	devices_compute(&writer->replica->devices, key);
	atomic_store(&writer->device_since, 0);
}

/* One call to the devices, however many answers there are. */
static void compute(struct writer *writer, struct prediction *group)
{
	unsigned char key[DEVICES_KEY_SIZE], digest[RECORD_DIGEST_SIZE];

	devices_ask(writer, key);
	memcpy(digest, writer->replica->digest, sizeof(digest));
	devices_seal(key, digest, sizeof(digest));
	for (struct prediction *at = group; at; at = at->next) {
		unsigned char own[RECORD_DIGEST_SIZE];
		memcpy(own, digest, sizeof(own));
		own[0] ^= devices_err(&writer->replica->devices, at->record.seq);
		record_answer(own, &at->record, at->answer);
	}
}

static void commit(struct writer *writer, struct prediction *group)
{
	struct error e = {0};
	size_t size;

	compute(writer, group);
	size = group_print(writer, group);
	if (writer_fenced(writer)) {
		refuse_all(group, 503, "the storage is fenced");
		return;
	}
	if (iolog_append(&writer->log, writer->lines, size, &e)) {
		if (e.kind != ERROR_UNAVAILABLE) {
			minilepton_say("error: %s", e.text);
			_exit(MINILEPTON_FAILED);
		}
		refuse_all(group, 507, e.text);
		return;
	}
	devices_check(&writer->replica->devices);
	/* Whoever was frozen since the first look must not acknowledge behind the fence. */
	if (writer_fenced(writer))
		refuse_all(group, 503, "the storage was fenced while this was written");
	else
		answer_all(writer, group);
}

/* Until there is work or the end; false: neither has come for a while. */
static bool wait_for_work(struct writer *writer)
{
	nanos until = minilepton_now() + BEAT;
	struct timespec t = {.tv_sec = until / NANOS_S, .tv_nsec = until % NANOS_S};

	while (!writer->first && !writer->ends)
		if (pthread_cond_timedwait(&writer->more, &writer->lock, &t) == ETIMEDOUT)
			return writer->first || writer->ends;
	return true;
}

static void *write_all(void *self)
{
	unsigned char key[DEVICES_KEY_SIZE];
	struct writer *writer = self;

	for (;;) {
		struct prediction *group;
		bool ends;

		pthread_mutex_lock(&writer->lock);
		bool work = wait_for_work(writer);
		group = writer->first;
		ends = writer->ends;
		writer->first = NULL;
		writer->last = &writer->first;
		pthread_mutex_unlock(&writer->lock);
		if (!work)
			devices_ask(writer, key);
		else if (group)
			commit(writer, group);
		else if (ends)
			return NULL;
	}
}

int writer_open(struct replica *replica, struct error *e)
{
	struct writer *writer = &replica->writer;
	pthread_condattr_t monotonic;
	int code;

	writer->replica = replica;
	writer->last = &writer->first;
	atomic_init(&writer->device_since, 0);
	pthread_mutex_init(&writer->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->more, &monotonic);
	pthread_condattr_destroy(&monotonic);
	code = pthread_create(&writer->thread, NULL, write_all, writer);
	if (code)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "pthread_create: %s",
				 strerror(code));
	writer->opened = true;
	return 0;
}

void writer_add(struct writer *writer, struct prediction *prediction)
{
	prediction->next = NULL;
	pthread_mutex_lock(&writer->lock);
	*writer->last = prediction;
	writer->last = &prediction->next;
	pthread_cond_signal(&writer->more);
	pthread_mutex_unlock(&writer->lock);
}

void writer_close(struct replica *replica)
{
	struct writer *writer = &replica->writer;

	if (!writer->opened)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->ends = true;
	pthread_cond_signal(&writer->more);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	pthread_cond_destroy(&writer->more);
	pthread_mutex_destroy(&writer->lock);
	iolog_close(&writer->log);
	free(writer->lines);
}
