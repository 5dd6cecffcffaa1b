/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of a replica's I/O log: group commit. Acknowledged means durable, and never past a
 * fence. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/replica.h"

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

static void commit(struct writer *writer, struct prediction *group)
{
	size_t size = group_print(writer, group);
	struct error e = {0};

	devices_check(&writer->replica->devices);
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

static void *write_all(void *self)
{
	struct writer *writer = self;

	for (;;) {
		struct prediction *group;

		pthread_mutex_lock(&writer->lock);
		while (!writer->first && !writer->ends)
			pthread_cond_wait(&writer->more, &writer->lock);
		group = writer->first;
		writer->first = NULL;
		writer->last = &writer->first;
		pthread_mutex_unlock(&writer->lock);
		if (!group)
			return NULL;
		commit(writer, group);
	}
}

int writer_open(struct replica *replica, struct error *e)
{
	struct writer *writer = &replica->writer;
	int code;

	writer->replica = replica;
	writer->last = &writer->first;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->more, NULL);
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
