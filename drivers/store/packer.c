/* SPDX-License-Identifier: Apache-2.0 */
/* New chunks collect in packs; full ones are put by threads of their own while others fill. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "drivers/store/store_private.h"

#define UPLOADERS 2 /* one waits for the disk while the other copies */

/* A pack that fills, or is on its way. */
struct box {
	struct box *next;
	uint8_t *data; /* PACK_HEAD_BYTES, then chunks */
	uint8_t *table;
	size_t used;
	uint32_t count;
};

/* A pack that is durable. */
struct sent {
	struct index_pack pack;
	struct sent *next;
};

struct packer {
	struct store_handle *store;
	struct index *index;
	size_t known; /* packs of the index before */
	struct pace *pace;
	struct arena arena;
	size_t box_bytes;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct box *boxes, *free, *full, **full_end;
	size_t box_count;
	struct box *open[STORE_THREADS_MAX];
	uint32_t threads, uploaders;
	pthread_t upload_threads[UPLOADERS];
	bool closing;
	uint64_t stored;
	struct sent *sent;
};

/* So many chunks fill a pack, whatever their size: tables stay small beside what they tell of. */
static uint32_t chunks_max(const struct packer *packer)
{
	size_t most = packer->store->pack_bytes / 256;

	return most < PACK_CHUNKS_MAX ? (uint32_t)most : PACK_CHUNKS_MAX;
}

static size_t table_max(const struct packer *packer)
{
	return (size_t)chunks_max(packer) * ROW_BYTES + PACK_TAIL_BYTES;
}

/* Memory that is not touched before it is used, and used again for the next pack. */
static int box_make(struct packer *packer, struct box *box, struct error *e)
{
	size_t bytes = packer->box_bytes + table_max(packer);
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for a pack");
	madvise(memory, bytes, MADV_HUGEPAGE);
	box->data = memory;
	box->table = box->data + packer->box_bytes;
	return 0;
}

/* ---- uploading ---- */

static void remember(struct packer *packer, const struct box *box,
		     const uint8_t name[PACK_NAME_BYTES])
{
	struct sent *sent;

	pthread_mutex_lock(&packer->mutex);
	sent = arena_alloc(&packer->arena, sizeof(*sent));
	memcpy(sent->pack.name, name, PACK_NAME_BYTES);
	sent->pack.bytes = box->used;
	sent->pack.count = box->count;
	sent->pack.rows = arena_array(&packer->arena, box->count, sizeof(*sent->pack.rows));
	for (uint32_t i = 0; i < box->count; i++)
		row_read(box->table + (size_t)i * ROW_BYTES, &sent->pack.rows[i]);
	sent->next = packer->sent;
	packer->sent = sent;
	packer->stored += box->used;
	pthread_mutex_unlock(&packer->mutex);
}

static int upload(struct packer *packer, struct box *box, struct error *e)
{
	uint8_t name[PACK_NAME_BYTES];
	char key[STORE_KEY_MAX];
	size_t table = (size_t)box->count * ROW_BYTES;

	/* The table joins its chunks: one object. */
	memcpy(box->data + box->used, box->table, table);
	pack_tail_write(box->table, box->count, box->data + box->used + table, name);
	key_of_pack(key, name);
	box->used += table + PACK_TAIL_BYTES;
	if (packer->store->ops->put(packer->store->backend, key, box->data, box->used, e))
		return -1;
	remember(packer, box, name);
	return 0;
}

static void *uploader(void *self)
{
	struct packer *packer = self;

	pthread_mutex_lock(&packer->mutex);
	for (;;) {
		struct box *box = packer->full;
		struct error error = {0};

		if (!box && packer->closing)
			break;
		if (!box) {
			pthread_cond_wait(&packer->changed, &packer->mutex);
			continue;
		}
		packer->full = box->next;
		if (!packer->full)
			packer->full_end = &packer->full;
		pthread_mutex_unlock(&packer->mutex);
		/* After a failure what is left only has to go away. */
		if (!atomic_load(&packer->pace->stop) && upload(packer, box, &error))
			pace_fail(packer->pace, &error);
		pthread_mutex_lock(&packer->mutex);
		box->next = packer->free;
		packer->free = box;
		pthread_cond_broadcast(&packer->changed);
	}
	pthread_mutex_unlock(&packer->mutex);
	return NULL;
}

/* ---- filling ---- */

struct packer *packer_open(struct store_handle *store, struct index *index, struct pace *pace,
			   uint32_t threads, struct error *e)
{
	struct packer *packer = calloc(1, sizeof(*packer));

	if (!packer) {
		error_set(e, ERROR_MEMORY, NO_PLACE, "no memory");
		return NULL;
	}
	packer->store = store;
	packer->index = index;
	packer->known = index->pack_count;
	packer->pace = pace;
	packer->threads = threads;
	packer->full_end = &packer->full;
	pthread_mutex_init(&packer->mutex, NULL);
	pthread_cond_init(&packer->changed, NULL);
	/* A chunk begins as long as the pack is not full, and its table comes behind it. */
	packer->box_bytes = PACK_HEAD_BYTES + store->pack_bytes + STORE_CHUNK + table_max(packer);
	packer->box_count = threads + UPLOADERS;
	packer->boxes = arena_array(&packer->arena, packer->box_count, sizeof(*packer->boxes));
	for (size_t i = 0; i < packer->box_count; i++) {
		if (box_make(packer, &packer->boxes[i], e)) {
			packer_close(packer);
			return NULL;
		}
		packer->boxes[i].next = packer->free;
		packer->free = &packer->boxes[i];
	}
	while (packer->uploaders < UPLOADERS &&
	       pthread_create(&packer->upload_threads[packer->uploaders], NULL, uploader, packer) ==
		       0)
		packer->uploaders++;
	if (packer->uploaders == 0) {
		error_set(e, ERROR_MEMORY, NO_PLACE, "no thread can be started");
		packer_close(packer);
		return NULL;
	}
	return packer;
}

static void send(struct packer *packer, uint32_t thread)
{
	struct box *box = packer->open[thread];

	pthread_mutex_lock(&packer->mutex);
	box->next = NULL;
	*packer->full_end = box;
	packer->full_end = &box->next;
	packer->open[thread] = NULL;
	pthread_cond_broadcast(&packer->changed);
	pthread_mutex_unlock(&packer->mutex);
}

uint8_t *packer_room(struct packer *packer, uint32_t thread)
{
	struct box *box = packer->open[thread];

	if (box && (box->used >= packer->store->pack_bytes || box->count >= chunks_max(packer))) {
		send(packer, thread);
		box = NULL;
	}
	if (!box) {
		pthread_mutex_lock(&packer->mutex);
		while (!packer->free)
			pthread_cond_wait(&packer->changed, &packer->mutex);
		box = packer->free;
		packer->free = box->next;
		pthread_mutex_unlock(&packer->mutex);
		pack_head_write(box->data);
		box->used = PACK_HEAD_BYTES;
		box->count = 0;
		packer->open[thread] = box;
	}
	return atomic_load(&packer->pace->stop) ? NULL : box->data + box->used;
}

void packer_commit(struct packer *packer, uint32_t thread, const struct chunk_row *row)
{
	struct box *box = packer->open[thread];
	struct chunk_row placed = *row;

	placed.offset = (uint32_t)box->used;
	row_write(&placed, box->table + (size_t)box->count++ * ROW_BYTES);
	box->used += placed.stored;
}

/* The chunks of `from` behind those of `to`. */
static void join(struct box *to, const struct box *from)
{
	size_t shift = to->used - PACK_HEAD_BYTES;

	memcpy(to->data + to->used, from->data + PACK_HEAD_BYTES, from->used - PACK_HEAD_BYTES);
	for (uint32_t i = 0; i < from->count; i++) {
		struct chunk_row row;

		row_read(from->table + (size_t)i * ROW_BYTES, &row);
		row.offset += (uint32_t)shift;
		row_write(&row, to->table + (size_t)to->count++ * ROW_BYTES);
	}
	to->used += from->used - PACK_HEAD_BYTES;
}

/* What the threads have open, in as few packs as it fits into. */
static void send_open(struct packer *packer)
{
	for (uint32_t i = 0; i < packer->threads; i++) {
		struct box *box = packer->open[i];

		for (uint32_t j = i + 1; box && j < packer->threads; j++) {
			struct box *other = packer->open[j];

			if (!other || box->used + other->used > packer->store->pack_bytes ||
			    box->count + other->count > chunks_max(packer))
				continue;
			join(box, other);
			packer->open[j] = NULL;
		}
		if (box && box->count > 0)
			send(packer, i);
	}
}

/* The threads end when nothing is left to put. */
static void join_uploaders(struct packer *packer)
{
	pthread_mutex_lock(&packer->mutex);
	packer->closing = true;
	pthread_cond_broadcast(&packer->changed);
	pthread_mutex_unlock(&packer->mutex);
	for (uint32_t i = 0; i < packer->uploaders; i++)
		pthread_join(packer->upload_threads[i], NULL);
	packer->uploaders = 0;
}

int packer_finish(struct packer *packer, struct error *e)
{
	send_open(packer);
	join_uploaders(packer);
	if (pace_stopped(packer->pace))
		return error_set(e, packer->pace->error.kind, NO_PLACE, "%s",
				 packer->pace->error.text);
	for (const struct sent *sent = packer->sent; sent; sent = sent->next) {
		uint32_t number = index_add_pack(packer->index);
		struct pack *pack = &packer->index->packs[number];

		memcpy(pack->name, sent->pack.name, PACK_NAME_BYTES);
		pack->bytes = sent->pack.bytes;
		pack->count = sent->pack.count;
		pack->whole = true;
		for (uint32_t i = 0; i < sent->pack.count; i++)
			index_add_row(packer->index, &sent->pack.rows[i], number);
	}
	return 0;
}

static bool was_there(const struct packer *packer, const uint8_t *name)
{
	for (size_t i = 0; i < packer->known; i++)
		if (memcmp(packer->index->packs[i].name, name, PACK_NAME_BYTES) == 0)
			return true;
	return false;
}

void packer_undo(struct packer *packer)
{
	join_uploaders(packer);
	/* What cleans up after a cancel is not cancelled. */
	packer->store->ops->heed(packer->store->backend, NULL);
	for (const struct sent *sent = packer->sent; sent; sent = sent->next) {
		char key[STORE_KEY_MAX];
		struct error ignored = {0};

		key_of_pack(key, sent->pack.name);
		/* What stays costs room until the next pruning, nothing else. */
		if (!was_there(packer, sent->pack.name))
			packer->store->ops->remove(packer->store->backend, key, &ignored);
	}
}

uint64_t packer_stored(const struct packer *packer)
{
	return packer->stored;
}

void packer_close(struct packer *packer)
{
	join_uploaders(packer);
	for (size_t i = 0; i < packer->box_count; i++)
		if (packer->boxes[i].data)
			munmap(packer->boxes[i].data, packer->box_bytes + table_max(packer));
	pthread_cond_destroy(&packer->changed);
	pthread_mutex_destroy(&packer->mutex);
	arena_free(&packer->arena);
	free(packer);
}
