/* SPDX-License-Identifier: Apache-2.0 */
/* Pruning: manifests go first, then packs that nobody needs; and what a backup stands on. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/store/store_private.h"

enum {
	ROW_LIVE = 1,
	ROW_OTHERS = 2
};

/* All chunks of a manifest get `mark`. Returns whether the index has them all. */
static bool mark_chunks(struct index *index, const struct manifest *manifest, uint8_t mark)
{
	bool all = true;

	for (size_t i = 0; i < manifest->entry_count; i++) {
		struct extent_reader reader;
		struct extent extent;

		if (manifest->entries[i].type != ENTRY_FILE)
			continue;
		reader = extents_open(&manifest->entries[i]);
		while (extents_next(&reader, &extent))
			for (uint32_t k = 0; k < extent.count; k++) {
				uint32_t row = index_find_any(
					index, extent.ids + (size_t)k * DIGEST_BYTES);

				all = all && row != INDEX_NONE;
				if (row != INDEX_NONE)
					index->rows[row].marks |= mark;
			}
	}
	return all;
}

/* ---- pruning ---- */

struct prune {
	struct store_handle *store;
	const struct store_prune_options *options;
	struct arena arena;
	struct index index;
	struct pace pace;
	struct store_pruned result;
	struct manifest_key *keys;
	struct store_backup *backups; /* number 0: its head cannot be read */
	size_t count;
	bool *gone;
	bool all_found; /* the index has every chunk of the kept ones */
};

/* How many of this label are kept already, from the newest on? */
static uint64_t kept_of(const struct prune *prune, const char *label, size_t after)
{
	uint64_t kept = 0;

	for (size_t i = after + 1; i < prune->count; i++)
		kept += !prune->gone[i] && prune->backups[i].number > 0 &&
			strcmp(prune->backups[i].label, label) == 0;
	return kept;
}

static void choose(struct prune *prune)
{
	const char *only = prune->options->label;
	size_t oldest = prune->count;

	for (size_t i = prune->count; i-- > 0;) {
		const struct store_backup *backup = &prune->backups[i];

		if (backup->number == 0)
			continue;
		prune->gone[i] = (!only || strcmp(backup->label, only) == 0) &&
				 kept_of(prune, backup->label, i) >= prune->options->keep;
		if (!prune->gone[i])
			oldest = i;
	}
	/* One that cannot be read has no label: it goes when all that is kept is newer. */
	for (size_t i = 0; i < prune->count; i++)
		if (prune->backups[i].number == 0 && oldest < prune->count && i < oldest && !only)
			prune->gone[i] = true;
}

static int remove_backups(struct prune *prune, struct error *e)
{
	struct store_handle *store = prune->store;

	for (size_t i = 0; i < prune->count; i++) {
		char key[STORE_KEY_MAX];

		if (!prune->gone[i])
			continue;
		key_of_backup(key, prune->keys[i].id);
		if (pace_stopped(&prune->pace))
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cancelled");
		if (store->ops->check_lock(store->backend, e) ||
		    store->ops->remove(store->backend, key, e))
			return -1;
		prune->result.backups++;
	}
	/* They are gone for good before what they need goes. */
	return store->ops->flush(store->backend, e);
}

static int read_backups(struct prune *prune, struct error *e)
{
	struct store_handle *store = prune->store;

	if (manifests_list(store, &prune->arena, &prune->keys, &prune->count, e))
		return -1;
	prune->backups = arena_array(&prune->arena, prune->count, sizeof(*prune->backups));
	prune->gone = arena_array(&prune->arena, prune->count, sizeof(*prune->gone));
	for (size_t i = 0; i < prune->count; i++) {
		struct error error = {0};
		struct store_backup backup;

		if (store_find(store, prune->keys[i].id, &backup, &error) == 0)
			prune->backups[i] = backup;
		else if (error.kind != ERROR_IO && error.kind != ERROR_TARGET)
			return error_set(e, error.kind, NO_PLACE, "%s", error.text);
	}
	return 0;
}

/* Chunks of all kept backups; false in *ret_known: one of them cannot be read. */
static int mark_live(struct prune *prune, bool *ret_known, struct error *e)
{
	*ret_known = true;
	prune->all_found = true;
	for (size_t i = 0; i < prune->count; i++) {
		struct arena arena = {0};
		struct manifest manifest;
		struct error error = {0};

		if (prune->gone[i])
			continue;
		if (manifest_load(prune->store, prune->keys[i].id, &arena, &manifest, NULL, NULL,
				  &error)) {
			arena_free(&arena);
			if (error.kind != ERROR_IO && !store_is_damage(&error))
				return error_set(e, error.kind, NO_PLACE, "%s", error.text);
			*ret_known = false;
			return 0;
		}
		if (!mark_chunks(&prune->index, &manifest, ROW_LIVE))
			prune->all_found = false;
		arena_free(&arena);
	}
	return 0;
}

static uint64_t live_bytes(const struct prune *prune, const struct pack *pack)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < pack->count; i++) {
		const struct index_row *row = &prune->index.rows[pack->first + i];

		if (row->marks & ROW_LIVE)
			bytes += row->row.stored;
	}
	return bytes;
}

/* Copies the living chunks of a pack into new ones. 1: some of it is damaged, it stays as it is. */
static int copy_live(struct prune *prune, struct packer *packer, const struct pack *pack,
		     struct chunk_tool *tool, uint8_t *scratch, struct error *e)
{
	struct store_handle *store = prune->store;
	char key[STORE_KEY_MAX];

	key_of_pack(key, pack->name);
	/* First all are looked at, so that no half of a pack is copied. */
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < pack->count; i++) {
			const struct index_row *row = &prune->index.rows[pack->first + i];
			uint8_t *room = scratch;
			size_t got;

			if (!(row->marks & ROW_LIVE))
				continue;
			if (pace_stopped(&prune->pace))
				return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cancelled");
			if (pass == 1)
				room = packer_room(packer, 0);
			if (!room)
				return -1;
			if (store->ops->get(store->backend, key, row->row.offset, room,
					    row->row.stored, &got, e))
				return -1;
			if (got != row->row.stored ||
			    chunk_unpack(tool, &row->row, room, scratch + STORE_CHUNK))
				return 1;
			if (pass == 1) {
				packer_commit(packer, 0, &row->row);
				prune->result.repacked_bytes += row->row.stored;
			}
		}
	return 0;
}

/*
 * A pack is named after what it holds. One that a killed pruning wrote, and that is dead beside its
 * copies in the old pack, may just have been written again: under that name it lives.
 */
static void spare_written(struct prune *prune, bool *dead, size_t before)
{
	struct pack *packs = prune->index.packs;

	for (size_t n = before; n < prune->index.pack_count; n++)
		for (size_t i = 0; i < before; i++) {
			if (memcmp(packs[i].name, packs[n].name, PACK_NAME_BYTES) != 0)
				continue;
			dead[i] = false;
			/* It took no further room, and stands in the index once. */
			prune->result.freed_bytes += packs[n].bytes;
			if (packs[i].count > 0)
				packs[n].count = 0;
		}
}

/* Writes the living part of half-dead packs anew, after which these are dead. */
static int repack(struct prune *prune, bool *dead, struct error *e)
{
	size_t before = prune->index.pack_count;
	struct packer *packer = packer_open(prune->store, &prune->index, &prune->pace, 1, e);
	uint8_t *scratch = arena_alloc(&prune->arena, 2 * STORE_CHUNK);
	struct chunk_tool tool;
	int rc = packer ? 0 : -1;

	if (rc)
		return -1;
	chunk_tool_open(&tool, &prune->arena);
	for (size_t i = 0; rc >= 0 && i < before; i++) {
		const struct pack *pack = &prune->index.packs[i];
		uint64_t live = live_bytes(prune, pack);

		if (dead[i] || pack->count == 0 || live >= pack->bytes / 2)
			continue;
		rc = copy_live(prune, packer, pack, &tool, scratch, e);
		dead[i] = rc == 0;
	}
	rc = rc < 0 ? -1 : packer_finish(packer, e);
	if (rc) {
		packer_undo(packer);
	} else {
		prune->result.freed_bytes -= packer_stored(packer);
		spare_written(prune, dead, before);
	}
	chunk_tool_close(&tool);
	packer_close(packer);
	return rc;
}

/* The index forgets them before they go: a kill in between leaves packs that are found again. */
static int remove_packs(struct prune *prune, const bool *dead, size_t count, struct error *e)
{
	struct store_handle *store = prune->store;
	bool any = false;

	for (size_t i = 0; i < count; i++)
		any = any || dead[i];
	if (!any)
		return 0;
	for (size_t i = 0; i < count; i++)
		if (dead[i])
			prune->index.packs[i].count = 0;
	if (store->ops->check_lock(store->backend, e) || index_save(&prune->index, store, e) ||
	    store->ops->flush(store->backend, e))
		return -1;
	for (size_t i = 0; i < count; i++) {
		char key[STORE_KEY_MAX];

		if (!dead[i])
			continue;
		key_of_pack(key, prune->index.packs[i].name);
		if (store->ops->check_lock(store->backend, e) ||
		    store->ops->remove(store->backend, key, e))
			return -1;
		prune->result.packs++;
	}
	return 0;
}

static int run(struct prune *prune, struct error *e)
{
	struct store_handle *store = prune->store;
	bool *dead, known;
	size_t count;

	if (store->ops->sweep(store->backend, e) || store_renew_header(store, e) ||
	    read_backups(prune, e))
		return -1;
	choose(prune);
	if (remove_backups(prune, e) || index_open(&prune->index, store, e) ||
	    mark_live(prune, &known, e))
		return -1;
	prune->result.held = !known;
	if (!known)
		return 0;
	count = prune->index.pack_count;
	dead = arena_array(&prune->arena, count, sizeof(*dead));
	for (size_t i = 0; i < count; i++) {
		const struct pack *pack = &prune->index.packs[i];

		/* One whose table is lost may hold what a backup lacks: for whoever can still find
		 * it there. */
		dead[i] = pack->count > 0 ? live_bytes(prune, pack) == 0 : prune->all_found;
	}
	if (repack(prune, dead, e))
		return -1;
	for (size_t i = 0; i < count; i++)
		prune->result.freed_bytes += dead[i] ? prune->index.packs[i].bytes : 0;
	return remove_packs(prune, dead, count, e);
}

int store_prune(struct store_handle *store, const struct store_prune_options *options,
		struct store_pruned *ret, struct error *e)
{
	struct prune prune = {.store = store, .options = options};
	int rc;

	if (options->keep == 0)
		return error_set(e, ERROR_USAGE, NO_PLACE, "pruning keeps at least one backup");
	if (store_lock(store, STORE_LOCK_PRUNE, e))
		return -1;
	pace_open(&prune.pace, &options->hooks, 0);
	rc = run(&prune, e);
	if (ret)
		*ret = prune.result;
	pace_close(&prune.pace);
	index_close(&prune.index);
	arena_free(&prune.arena);
	store_unlock(store);
	return rc;
}

/* ---- what a backup stands on ---- */

static int compare_objects(const void *a, const void *b)
{
	const struct store_object *x = a, *y = b;
	int keys = strcmp(x->key, y->key);

	if (keys != 0)
		return keys;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

struct objects {
	struct arena *arena;
	struct store_object *items;
	size_t count, capacity;
};

static void add(struct objects *objects, const struct store_object *object)
{
	struct store_object *last = objects->count > 0 ? &objects->items[objects->count - 1] : NULL;

	assert(object->key);
	if (last && !last->manifest && !object->manifest && last->only == object->only &&
	    strcmp(last->key, object->key) == 0 && last->offset + last->bytes == object->offset) {
		last->bytes += object->bytes;
		return;
	}
	objects->items = arena_grow(objects->arena, objects->items, objects->count,
				    &objects->capacity, sizeof(*objects->items));
	objects->items[objects->count++] = *object;
}

/* Chunks of one pack follow one another in the index as they do in the pack. */
static void add_packs(struct objects *objects, const struct index *index)
{
	for (size_t p = 0; p < index->pack_count; p++) {
		const struct pack *pack = &index->packs[p];
		char text[STORE_KEY_MAX];
		const char *key = NULL;

		for (uint32_t i = 0; i < pack->count; i++) {
			const struct index_row *row = &index->rows[pack->first + i];
			size_t at = 0, copies = 0;

			/* A second copy would stand in for this one. */
			while (index_each(index, row->row.id, &at) != INDEX_NONE)
				copies++;
			if (!(row->marks & ROW_LIVE))
				continue;
			if (!key) {
				key_of_pack(text, pack->name);
				key = arena_strdup(objects->arena, text);
			}
			add(objects, &(struct store_object){
					     .key = key,
					     .offset = row->row.offset,
					     .bytes = row->row.stored,
					     .only = !(row->marks & ROW_OTHERS) && copies == 1,
				     });
		}
	}
}

static int mark_all(struct store_handle *store, const char *whole, struct index *index,
		    struct error *e)
{
	struct arena arena = {0};
	struct manifest_key *keys;
	size_t count;
	int rc = manifests_list(store, &arena, &keys, &count, e);

	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct arena scratch = {0};
		struct manifest manifest;
		struct error error = {0};
		bool own = strcmp(keys[i].id, whole) == 0;

		/* Another that cannot be read needs nothing any more. */
		if (manifest_load(store, keys[i].id, &scratch, &manifest, NULL, NULL, &error) == 0)
			mark_chunks(index, &manifest, own ? ROW_LIVE : ROW_OTHERS);
		else if (own)
			rc = error_set(e, error.kind, NO_PLACE, "%s", error.text);
		arena_free(&scratch);
	}
	arena_free(&arena);
	return rc;
}

int store_objects(struct store_handle *store, const char *id, struct arena *arena,
		  struct store_object **ret_objects, size_t *ret_count, struct error *e)
{
	struct objects objects = {.arena = arena};
	struct store_object own = {.manifest = true, .only = true};
	char whole[STORE_ID_MAX], key[STORE_KEY_MAX];
	struct index index = {0};
	int rc = -1;

	if (store_lock(store, STORE_LOCK_READ, e))
		return -1;
	if (manifest_find(store, id, whole, e) || index_open(&index, store, e) ||
	    mark_all(store, whole, &index, e))
		goto out;
	key_of_backup(key, whole);
	if (store->ops->size(store->backend, key, &own.bytes, e))
		goto out;
	own.key = arena_strdup(arena, key);
	add(&objects, &own);
	add_packs(&objects, &index);
	assert(objects.items);
	if (objects.count > 2)
		qsort(objects.items + 1, objects.count - 1, sizeof(*objects.items),
		      compare_objects);
	*ret_objects = objects.items;
	*ret_count = objects.count;
	rc = 0;
out:
	index_close(&index);
	store_unlock(store);
	return rc;
}
