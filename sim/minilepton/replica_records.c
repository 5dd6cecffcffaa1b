/* SPDX-License-Identifier: Apache-2.0 */
/* GET /records of a replica: reads the I/O logs in a thread of its own, so that nobody waits for a
 * disk. */
#include <stdio.h>
#include <string.h>

#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/replica.h"

static void answer(struct records *records, const struct asked *asked)
{
	struct error e = {0};
	char *text, damaged[24];
	size_t size;

	if (iolog_read(records->reader, asked->from, asked->count, &text, &size, &e)) {
		http_error(asked->request, e.kind == ERROR_LIMIT ? 413 : 500, "%s", e.text);
		return;
	}
	snprintf(damaged, sizeof(damaged), "%llu",
		 (unsigned long long)iolog_damaged(records->reader));
	http_header_add(asked->request, "X-Damaged-Lines", damaged);
	http_answer_taken(asked->request, 200, "text/plain", text, size);
}

static void *answer_all(void *self)
{
	struct records *records = self;

	for (;;) {
		struct asked asked;

		pthread_mutex_lock(&records->lock);
		while (records->count == 0 && !records->ends)
			pthread_cond_wait(&records->more, &records->lock);
		if (records->count == 0) {
			pthread_mutex_unlock(&records->lock);
			return NULL;
		}
		asked = records->asked[0];
		records->count--;
		memmove(records->asked, records->asked + 1,
			records->count * sizeof(records->asked[0]));
		pthread_mutex_unlock(&records->lock);
		answer(records, &asked);
	}
}

int records_open(struct replica *replica, struct error *e)
{
	struct records *records = &replica->records;
	int code;

	if (iolog_reader_open(replica->options->io_dir, &records->reader, e))
		return -1;
	pthread_mutex_init(&records->lock, NULL);
	pthread_cond_init(&records->more, NULL);
	code = pthread_create(&records->thread, NULL, answer_all, records);
	if (code) {
		iolog_reader_close(records->reader);
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "pthread_create: %s",
				 strerror(code));
	}
	records->opened = true;
	return 0;
}

void records_add(struct records *records, struct http_request *request, uint64_t from,
		 uint64_t count)
{
	bool full;

	pthread_mutex_lock(&records->lock);
	full = records->count == REPLICA_RECORDS_MAX;
	if (!full) {
		http_defer(request);
		records->asked[records->count++] =
			(struct asked){.request = request, .from = from, .count = count};
		pthread_cond_signal(&records->more);
	}
	pthread_mutex_unlock(&records->lock);
	if (full)
		http_error(request, 503, "%d reads of records wait already", REPLICA_RECORDS_MAX);
}

void records_close(struct replica *replica)
{
	struct records *records = &replica->records;

	if (!records->opened)
		return;
	pthread_mutex_lock(&records->lock);
	records->ends = true;
	pthread_cond_signal(&records->more);
	pthread_mutex_unlock(&records->lock);
	pthread_join(records->thread, NULL);
	pthread_cond_destroy(&records->more);
	pthread_mutex_destroy(&records->lock);
	iolog_reader_close(records->reader);
}
