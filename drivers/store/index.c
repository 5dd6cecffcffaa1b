/* SPDX-License-Identifier: Apache-2.0 */
/* Which chunks the store has, and where: from the index, and from the packs where it is not right.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/store/bytes.h"
#include "drivers/store/store_private.h"

#define ROWS_MAX ((size_t)1 << 28)
#define INDEX_MAX ((uint64_t)16 << 30) /* bytes of its object */
#define SLOTS_FIRST 1024

/* ---- rows and packs ---- */

static size_t slot_of(const struct index *index, const uint8_t *id)
{
	return (size_t)get_u64(id) & (index->slot_count - 1);
}

static void insert(struct index *index, uint32_t row)
{
	size_t at = slot_of(index, index->rows[row].row.id);

	while (index->slots[at])
		at = (at + 1) & (index->slot_count - 1);
	index->slots[at] = row + 1;
}

static void make_room(struct index *index)
{
	if (2 * (index->row_count + 1) <= index->slot_count)
		return;
	index->slot_count = index->slot_count > 0 ? 2 * index->slot_count : SLOTS_FIRST;
	index->slots = arena_array(&index->arena, index->slot_count, sizeof(*index->slots));
	for (size_t i = 0; i < index->row_count; i++)
		insert(index, (uint32_t)i);
}

uint32_t index_add_pack(struct index *index)
{
	index->packs = arena_grow(&index->arena, index->packs, index->pack_count,
				  &index->pack_capacity, sizeof(*index->packs));
	index->packs[index->pack_count] = (struct pack){.first = (uint32_t)index->row_count};
	return (uint32_t)index->pack_count++;
}

uint32_t index_add_row(struct index *index, const struct chunk_row *row, uint32_t pack)
{
	assert(row);
	make_room(index);
	index->rows = arena_grow(&index->arena, index->rows, index->row_count, &index->row_capacity,
				 sizeof(*index->rows));
	index->rows[index->row_count] = (struct index_row){.row = *row, .pack = pack};
	insert(index, (uint32_t)index->row_count);
	return (uint32_t)index->row_count++;
}

uint32_t index_each(const struct index *index, const uint8_t id[DIGEST_BYTES], size_t *at)
{
	if (index->slot_count == 0)
		return INDEX_NONE;
	/* *at counts the slots behind the first one that were looked at. */
	for (;;) {
		size_t slot = (slot_of(index, id) + *at) & (index->slot_count - 1);
		uint32_t row = index->slots[slot];

		if (!row)
			return INDEX_NONE;
		(*at)++;
		if (memcmp(index->rows[row - 1].row.id, id, DIGEST_BYTES) == 0)
			return row - 1;
	}
}

uint32_t index_find(const struct index *index, const uint8_t id[DIGEST_BYTES])
{
	size_t at = 0;
	uint32_t row;

	while ((row = index_each(index, id, &at)) != INDEX_NONE)
		if (!index->rows[row].bad)
			return row;
	return INDEX_NONE;
}

uint32_t index_find_any(const struct index *index, const uint8_t id[DIGEST_BYTES])
{
	uint32_t row = index_find(index, id);
	size_t at = 0;

	return row != INDEX_NONE ? row : index_each(index, id, &at);
}

/* ---- what the store has ---- */

struct listed {
	struct arena *arena;
	struct pack *packs;
	size_t count, capacity;
};

static int note_pack(void *self, const char *key, uint64_t bytes, struct error *e)
{
	struct listed *listed = self;
	struct pack pack = {.bytes = bytes};

	if (!hex_read(key + strlen(PREFIX_PACKS), pack.name, PACK_NAME_BYTES))
		return 0; /* no pack of ours: a verification names it */
	if (listed->count >= STORE_PACKS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "the store has more than %zu packs",
				 STORE_PACKS_MAX);
	listed->packs = arena_grow(listed->arena, listed->packs, listed->count, &listed->capacity,
				   sizeof(*listed->packs));
	listed->packs[listed->count++] = pack;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return memcmp(((const struct pack *)a)->name, ((const struct pack *)b)->name,
		      PACK_NAME_BYTES);
}

static int index_by_name(const void *a, const void *b)
{
	return memcmp(((const struct index_pack *)a)->name, ((const struct index_pack *)b)->name,
		      PACK_NAME_BYTES);
}

/* The table of one pack from its object. Damage leaves the pack without rows. */
static int read_table(struct index *index, struct store_handle *store, struct pack *pack,
		      struct arena *arena, struct chunk_row **ret_rows, struct error *e)
{
	char key[STORE_KEY_MAX];
	uint8_t tail[PACK_TAIL_BYTES], *table;
	struct chunk_row *rows;
	struct error error = {0};
	uint32_t count;
	size_t got, bytes;

	(void)index;
	key_of_pack(key, pack->name);
	if (pack->bytes < PACK_HEAD_BYTES + PACK_TAIL_BYTES || pack->bytes > PACK_OBJECT_MAX)
		return 0;
	if (store->ops->get(store->backend, key, pack->bytes - PACK_TAIL_BYTES, tail, sizeof(tail),
			    &got, &error))
		return store_is_damage(&error)
			       ? 0
			       : error_set(e, error.kind, NO_PLACE, "%s", error.text);
	if (got != sizeof(tail) || pack_tail_read(tail, &count, &error))
		return 0;
	bytes = (size_t)count * ROW_BYTES;
	if (bytes > pack->bytes - PACK_TAIL_BYTES - PACK_HEAD_BYTES)
		return 0;
	table = arena_alloc(arena, bytes);
	rows = arena_array(arena, count, sizeof(*rows));
	if (store->ops->get(store->backend, key, pack->bytes - PACK_TAIL_BYTES - bytes, table,
			    bytes, &got, &error))
		return store_is_damage(&error)
			       ? 0
			       : error_set(e, error.kind, NO_PLACE, "%s", error.text);
	if (got != bytes || table_read(table, count, pack->name, rows, &error))
		return 0;
	pack->count = count;
	*ret_rows = rows;
	return 0;
}

static int take_pack(struct index *index, const struct pack *pack, const struct chunk_row *rows,
		     const uint8_t *bad, struct error *e)
{
	uint32_t number = index_add_pack(index), first = index->packs[number].first;

	index->packs[number] = *pack;
	index->packs[number].first = first;
	index->packs[number].whole = pack->count > 0 && pack_size(rows, pack->count) == pack->bytes;
	if (index->row_count + pack->count > ROWS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "the store has more than %zu chunks",
				 ROWS_MAX);
	for (uint32_t i = 0; i < pack->count; i++) {
		uint32_t row = index_add_row(index, &rows[i], number);

		index->rows[row].bad = bad && bad[i];
	}
	return 0;
}

/* What the object "index" says; nothing when there is none or it is damaged. */
static int read_object(struct index *index, struct store_handle *store, struct arena *arena,
		       struct index_pack **ret_packs, size_t *ret_count, struct error *e)
{
	struct error error = {0};
	uint8_t *data;
	size_t bytes;

	*ret_packs = NULL;
	*ret_count = 0;
	if (store_read(store, KEY_INDEX, INDEX_MAX, arena, &data, &bytes, &error)) {
		if (error.kind == ERROR_TARGET)
			return 0;
		if (!store_is_damage(&error))
			return error_set(e, error.kind, NO_PLACE, "%s", error.text);
		index->damaged = true;
		return 0;
	}
	if (index_read(data, bytes, arena, ret_packs, ret_count, &error))
		index->damaged = true;
	return 0;
}

static int fill(struct index *index, struct store_handle *store, struct arena *scratch,
		struct error *e)
{
	struct listed listed = {.arena = scratch};
	struct index_pack *known;
	size_t known_count, matched = 0;

	if (store->ops->list(store->backend, PREFIX_PACKS, note_pack, &listed, e) ||
	    read_object(index, store, scratch, &known, &known_count, e))
		return -1;
	if (listed.count > 0)
		qsort(listed.packs, listed.count, sizeof(*listed.packs), by_name);
	if (known_count > 0)
		qsort(known, known_count, sizeof(*known), index_by_name);
	for (size_t i = 0; i < listed.count; i++) {
		struct pack *pack = &listed.packs[i];
		struct index_pack wanted = {.bytes = 0};
		const struct index_pack *copy;
		struct chunk_row *rows = NULL;

		memcpy(wanted.name, pack->name, PACK_NAME_BYTES);
		copy = known_count > 0
			       ? bsearch(&wanted, known, known_count, sizeof(*known), index_by_name)
			       : NULL;
		if (copy) {
			pack->count = copy->count;
			rows = copy->rows;
			matched++;
		} else if (read_table(index, store, pack, scratch, &rows, e)) {
			return -1;
		}
		if (take_pack(index, pack, rows, copy ? copy->bad : NULL, e))
			return -1;
	}
	index->complete = !index->damaged && matched == listed.count && matched == known_count;
	return 0;
}

int index_open(struct index *index, struct store_handle *store, struct error *e)
{
	struct arena scratch = {0};
	int rc;

	*index = (struct index){0};
	rc = fill(index, store, &scratch, e);
	arena_free(&scratch);
	if (rc)
		index_close(index);
	return rc;
}

void index_close(struct index *index)
{
	arena_free(&index->arena);
	*index = (struct index){0};
}

int index_save(const struct index *index, struct store_handle *store, struct error *e)
{
	struct arena arena = {0};
	struct index_pack *packs =
		arena_array(&arena, index->pack_count, sizeof(struct index_pack));
	size_t count = 0, bytes;
	uint8_t *data;
	int rc;

	for (size_t i = 0; i < index->pack_count; i++) {
		const struct pack *pack = &index->packs[i];
		struct index_pack *copy = &packs[count];

		if (pack->count == 0)
			continue;
		memcpy(copy->name, pack->name, PACK_NAME_BYTES);
		copy->count = pack->count;
		copy->rows = arena_array(&arena, pack->count, sizeof(*copy->rows));
		copy->bad = arena_alloc(&arena, pack->count);
		for (uint32_t row = 0; row < pack->count; row++) {
			copy->rows[row] = index->rows[pack->first + row].row;
			copy->bad[row] = index->rows[pack->first + row].bad;
		}
		/* As long as it is whole, not as it may be now. */
		copy->bytes = pack_size(copy->rows, copy->count);
		count++;
	}
	bytes = index_size(packs, count);
	data = arena_alloc(&arena, bytes);
	index_write(packs, count, data);
	rc = store->ops->put(store->backend, KEY_INDEX, data, bytes, e);
	arena_free(&arena);
	return rc;
}
