/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks by id, with as few reads as their places allow. */
#include "drivers/store/fetch.h"

#include <assert.h>
#include <string.h>

void fetcher_open(struct fetcher *fetcher, struct store_handle *store, const struct index *index,
		  struct arena *arena)
{
	*fetcher = (struct fetcher){.store = store, .index = index};
	chunk_tool_open(&fetcher->tool, arena);
	fetcher->stored = arena_alloc(arena, FETCH_CHUNKS * STORE_CHUNK);
	fetcher->data = arena_alloc(arena, FETCH_CHUNKS * STORE_CHUNK);
}

void fetcher_close(struct fetcher *fetcher)
{
	chunk_tool_close(&fetcher->tool);
}

/* Bytes of a pack; *ret_got 0 when they are not there. */
static int get(struct fetcher *fetcher, uint32_t pack, uint32_t offset, size_t bytes,
	       size_t *ret_got, struct error *e)
{
	struct error error = {0};
	char key[STORE_KEY_MAX];

	key_of_pack(key, fetcher->index->packs[pack].name);
	if (fetcher->store->ops->get(fetcher->store->backend, key, offset, fetcher->stored, bytes,
				     ret_got, &error) == 0)
		return 0;
	*ret_got = 0;
	return error.kind == ERROR_TARGET ? 0
					  : error_set(e, error.kind, NO_PLACE, "%s", error.text);
}

/* One chunk from wherever it can be had. */
static int fetch_one(struct fetcher *fetcher, const uint8_t *id, size_t wanted, uint8_t *data,
		     struct fetched *ret, struct error *e)
{
	size_t at = 0, got;
	uint32_t found;

	*ret = (struct fetched){.what = "missing", .row = INDEX_NONE};
	while ((found = index_each(fetcher->index, id, &at)) != INDEX_NONE) {
		const struct index_row *row = &fetcher->index->rows[found];

		ret->row = found;
		if (get(fetcher, row->pack, row->row.offset, row->row.stored, &got, e))
			return -1;
		ret->what = "missing";
		if (got != row->row.stored)
			continue;
		ret->what = row->row.raw == wanted
				    ? chunk_unpack(&fetcher->tool, &row->row, fetcher->stored, data)
				    : "of another length";
		if (!ret->what)
			return 0;
	}
	return 0;
}

/* How many chunks from `at` on lie one behind the other in one pack. */
static uint32_t run_length(const struct fetcher *fetcher, const uint32_t *rows, uint32_t at,
			   uint32_t count)
{
	const struct index_row *all = fetcher->index->rows;
	uint32_t end = at + 1;

	while (end < count && rows[end] != INDEX_NONE &&
	       all[rows[end]].pack == all[rows[at]].pack &&
	       all[rows[end]].row.offset ==
		       all[rows[end - 1]].row.offset + all[rows[end - 1]].row.stored)
		end++;
	return end - at;
}

int fetch_chunks(struct fetcher *fetcher, const uint8_t *ids, uint32_t count, uint64_t size,
		 uint64_t first, struct error *e)
{
	const struct index_row *all = fetcher->index->rows;
	uint32_t rows[FETCH_CHUNKS];

	assert(count <= FETCH_CHUNKS);
	for (uint32_t i = 0; i < count; i++)
		rows[i] = index_find(fetcher->index, ids + (size_t)i * DIGEST_BYTES);
	for (uint32_t at = 0; at < count;) {
		uint32_t run = rows[at] == INDEX_NONE ? 0 : run_length(fetcher, rows, at, count);
		const struct index_row *begin = run > 0 ? &all[rows[at]] : NULL;
		size_t bytes = 0, got = 0;

		for (uint32_t i = at; i < at + run; i++)
			bytes += all[rows[i]].row.stored;
		if (run > 0 && get(fetcher, begin->pack, begin->row.offset, bytes, &got, e))
			return -1;
		for (uint32_t i = at; i < at + run; i++) {
			const struct chunk_row *row = &all[rows[i]].row;
			size_t from = row->offset - begin->row.offset;

			fetcher->results[i] = (struct fetched){.what = "missing", .row = rows[i]};
			if (from + row->stored <= got && row->raw == chunk_bytes(size, first + i))
				fetcher->results[i].what =
					chunk_unpack(&fetcher->tool, row, fetcher->stored + from,
						     fetcher->data + (size_t)i * STORE_CHUNK);
		}
		run = run > 0 ? run : 1;
		/* What did not come so is looked for everywhere, one by one. */
		for (uint32_t i = at; i < at + run; i++)
			if ((!begin || fetcher->results[i].what) &&
			    fetch_one(fetcher, ids + (size_t)i * DIGEST_BYTES,
				      chunk_bytes(size, first + i),
				      fetcher->data + (size_t)i * STORE_CHUNK, &fetcher->results[i],
				      e))
				return -1;
		at += run;
	}
	return 0;
}
