/* SPDX-License-Identifier: Apache-2.0 */
/* A verification: every byte of the store is read and held against what it was, and what is
 * damaged is followed to the files that need it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/store/bytes.h"
#include "drivers/store/store_private.h"

enum {
	ROW_NEEDED = 1,
	ROW_LOOKED_AT = 2,
	ROW_TOLD = 4,
	ROW_WAS_BAD = 8
};

#define PREFIX_LOCKS "locks/" /* of who uses a store on a server; they come and go */

struct verify {
	struct store_handle *store;
	const struct store_verify_options *options;
	const char *id; /* only this one; NULL: the whole store */
	struct arena arena;
	struct index index;
	const char **what; /* for each row: what is wrong with it */
	struct pace pace;
	struct damage_teller teller;
	struct store_verified result;
	pthread_mutex_t mutex;
	size_t next; /* pack */
};

static void tell_object(struct verify *verify, const char *backup, const char *key, uint64_t offset,
			uint64_t bytes, const char *what)
{
	struct store_damage damage = {
		.backup = backup,
		.object = key,
		.object_offset = offset,
		.object_bytes = bytes,
		.what = what,
	};

	damage_tell(&verify->teller, &damage);
}

/* ---- packs ---- */

/* First and last byte that differ. */
static bool differ(const uint8_t *a, const uint8_t *b, size_t bytes, size_t *ret_first,
		   size_t *ret_end)
{
	size_t first = 0, end = bytes;

	if (memcmp(a, b, bytes) == 0)
		return false;
	while (a[first] == b[first])
		first++;
	while (a[end - 1] == b[end - 1])
		end--;
	*ret_first = first;
	*ret_end = end;
	return true;
}

/* Everything of a pack that is no chunk: there is only one way that it can be. */
static void check_frame(struct verify *verify, const struct pack *pack, const char *key,
			const uint8_t *data, size_t got, struct arena *arena)
{
	size_t table = (size_t)pack->count * ROW_BYTES, first, end;
	const struct index_row *rows = &verify->index.rows[pack->first];
	const struct index_row *last = &rows[pack->count - 1];
	uint64_t table_at = (uint64_t)last->row.offset + last->row.stored;
	uint64_t wanted = table_at + table + PACK_TAIL_BYTES;
	uint8_t head[PACK_HEAD_BYTES], *frame = arena_alloc(arena, table + PACK_TAIL_BYTES);
	uint8_t name[PACK_NAME_BYTES];

	if (got != wanted)
		tell_object(verify, NULL, key, got < wanted ? got : wanted,
			    got < wanted ? wanted - got : got - wanted,
			    got < wanted ? "cut off" : "too long");
	pack_head_write(head);
	if (got >= sizeof(head) && differ(head, data, sizeof(head), &first, &end))
		tell_object(verify, NULL, key, first, end - first, "head differs");
	for (uint32_t i = 0; i < pack->count; i++)
		row_write(&rows[i].row, frame + (size_t)i * ROW_BYTES);
	pack_tail_write(frame, pack->count, frame + table, name);
	if (got <= table_at)
		return;
	if (differ(frame, data + table_at,
		   got - table_at < table + PACK_TAIL_BYTES ? (size_t)(got - table_at)
							    : table + PACK_TAIL_BYTES,
		   &first, &end))
		tell_object(verify, NULL, key, table_at + first, end - first, "table differs");
}

struct inspector {
	struct verify *verify;
	struct chunk_tool tool;
	struct arena arena;
	uint8_t *data, *chunk;
	size_t room;
};

static void check_rows(struct inspector *inspector, const struct pack *pack, size_t got)
{
	struct verify *verify = inspector->verify;
	uint64_t chunks = 0;

	for (uint32_t i = 0; i < pack->count; i++) {
		struct index_row *row = &verify->index.rows[pack->first + i];
		uint64_t end = (uint64_t)row->row.offset + row->row.stored;

		if (verify->id && !(row->marks & ROW_NEEDED))
			continue;
		verify->what[pack->first + i] =
			end > got
				? "missing"
				: chunk_unpack(&inspector->tool, &row->row,
					       inspector->data + row->row.offset, inspector->chunk);
		row->bad = verify->what[pack->first + i] != NULL;
		row->marks |= ROW_LOOKED_AT;
		chunks++;
	}
	pthread_mutex_lock(&verify->mutex);
	verify->result.chunks += chunks;
	verify->result.objects++;
	verify->result.bytes += got;
	pthread_mutex_unlock(&verify->mutex);
}

static bool is_needed(const struct verify *verify, const struct pack *pack)
{
	if (!verify->id)
		return true;
	for (uint32_t i = 0; i < pack->count; i++)
		if (verify->index.rows[pack->first + i].marks & ROW_NEEDED)
			return true;
	return false;
}

static int check_pack(struct inspector *inspector, const struct pack *pack, struct error *e)
{
	struct verify *verify = inspector->verify;
	struct store_handle *store = verify->store;
	struct arena arena = {0};
	struct error error = {0};
	char key[STORE_KEY_MAX];
	size_t got = 0;

	if (pace_take(&verify->pace, pack->bytes))
		return -1;
	key_of_pack(key, pack->name);
	if (pack->bytes > PACK_OBJECT_MAX) {
		tell_object(verify, NULL, key, 0, pack->bytes, "too long");
	} else {
		if (pack->bytes > inspector->room) {
			inspector->data = arena_alloc(&inspector->arena, (size_t)pack->bytes);
			inspector->room = (size_t)pack->bytes;
		}
		if (store->ops->get(store->backend, key, 0, inspector->data, (size_t)pack->bytes,
				    &got, &error) &&
		    error.kind != ERROR_TARGET)
			return error_set(e, error.kind, NO_PLACE, "%s", error.text);
	}
	if (pack->count == 0)
		tell_object(verify, NULL, key, 0, pack->bytes, "its table cannot be read");
	else if (!verify->id)
		check_frame(verify, pack, key, inspector->data, got, &arena);
	check_rows(inspector, pack, got);
	pace_done(&verify->pace, pack->bytes);
	arena_free(&arena);
	return 0;
}

static const struct pack *next_pack(struct verify *verify)
{
	const struct pack *pack = NULL;

	pthread_mutex_lock(&verify->mutex);
	while (!pack && verify->next < verify->index.pack_count) {
		const struct pack *one = &verify->index.packs[verify->next++];

		if (is_needed(verify, one))
			pack = one;
	}
	pthread_mutex_unlock(&verify->mutex);
	return pack;
}

static void work(void *self, uint32_t thread)
{
	struct verify *verify = self;
	struct inspector inspector = {.verify = verify};
	const struct pack *pack;

	(void)thread;
	chunk_tool_open(&inspector.tool, &inspector.arena);
	inspector.chunk = arena_alloc(&inspector.arena, STORE_CHUNK);
	inspector.data = inspector.chunk;
	while (!pace_stopped(&verify->pace) && (pack = next_pack(verify))) {
		struct error error = {0};

		if (check_pack(&inspector, pack, &error)) {
			if (error.kind != ERROR_NONE)
				pace_fail(&verify->pace, &error);
			break;
		}
	}
	chunk_tool_close(&inspector.tool);
	arena_free(&inspector.arena);
}

/* ---- what damage means for a backup ---- */

/* A run of damaged chunks of one file. */
struct run {
	uint64_t first, count;
	uint32_t row; /* of the first; INDEX_NONE: missing everywhere */
	uint64_t object_bytes;
	const char *what;
};

static void tell_run(struct verify *verify, const char *id, const struct entry *entry,
		     const struct run *run)
{
	uint64_t last = run->first + run->count - 1;
	char key[STORE_KEY_MAX];
	struct store_damage damage = {
		.backup = id,
		.path = entry->path,
		.offset = run->first * STORE_CHUNK,
		.what = run->what,
	};

	damage.bytes = last * STORE_CHUNK + chunk_bytes(entry->size, last) - damage.offset;
	if (run->row != INDEX_NONE) {
		const struct index_row *row = &verify->index.rows[run->row];

		assert(verify->index.rows);
		key_of_pack(key, verify->index.packs[row->pack].name);
		damage.object = key;
		damage.object_offset = row->row.offset;
		damage.object_bytes = run->object_bytes;
	}
	damage_tell(&verify->teller, &damage);
}

/* Does a damaged chunk go on where the run ended? */
static bool extends(const struct verify *verify, const struct run *run, uint64_t chunk,
		    uint32_t row, const char *what)
{
	const struct index_row *rows = verify->index.rows;

	if (run->count == 0 || run->first + run->count != chunk || strcmp(run->what, what) != 0)
		return false;
	if (row == INDEX_NONE || run->row == INDEX_NONE)
		return row == run->row;
	assert(rows);
	return rows[row].pack == rows[run->row].pack &&
	       rows[row].row.offset == rows[run->row].row.offset + run->object_bytes;
}

static bool check_file(struct verify *verify, const char *id, const struct entry *entry)
{
	struct extent_reader reader = extents_open(entry);
	struct extent extent;
	struct run run = {0};
	uint64_t chunk = 0;
	bool good = true;

	while (extents_next(&reader, &extent)) {
		chunk += extent.zeros;
		for (uint32_t i = 0; i < extent.count; i++, chunk++) {
			const uint8_t *chunk_id = extent.ids + (size_t)i * DIGEST_BYTES;
			uint32_t row = index_find_any(&verify->index, chunk_id);
			struct index_row *found =
				row == INDEX_NONE ? NULL : &verify->index.rows[row];
			const char *what = found ? verify->what[row] : "missing";

			if (found && !found->bad &&
			    found->row.raw != chunk_bytes(entry->size, chunk))
				what = "of another length";
			else if (found && !found->bad)
				continue;
			what = what ? what : "damaged";
			good = false;
			if (found)
				found->marks |= ROW_TOLD;
			if (!extends(verify, &run, chunk, row, what)) {
				if (run.count > 0)
					tell_run(verify, id, entry, &run);
				run = (struct run){.first = chunk, .row = row, .what = what};
			}
			run.count++;
			run.object_bytes += found ? found->row.stored : 0;
		}
	}
	if (run.count > 0)
		tell_run(verify, id, entry, &run);
	return good;
}

/* -1: the store does not answer. 1: the manifest cannot be read, which has been told. */
static int load(struct verify *verify, const char *id, uint64_t bytes, struct arena *arena,
		struct manifest *ret, bool tell, struct error *e)
{
	struct error error = {0};
	char key[STORE_KEY_MAX];

	if (manifest_load(verify->store, id, arena, ret, NULL, NULL, &error) == 0)
		return 0;
	/* An error of the disk has the name of the file in it, damage has not. */
	if (error.kind != ERROR_TARGET && error.kind != ERROR_LIMIT && error.kind != ERROR_IO)
		return error_set(e, error.kind, NO_PLACE, "%s", error.text);
	key_of_backup(key, id);
	if (tell) {
		tell_object(verify, id, key, 0, bytes, error.text);
		verify->result.damaged_backups++;
	}
	return 1;
}

static int check_backup(struct verify *verify, const struct manifest_key *item, struct error *e)
{
	struct arena arena = {0};
	struct manifest manifest;
	uint64_t before = verify->result.damaged_files;
	int rc = load(verify, item->id, item->bytes, &arena, &manifest, true, e);

	verify->result.backups++;
	verify->result.objects++;
	verify->result.bytes += item->bytes;
	for (size_t i = 0; rc == 0 && i < manifest.entry_count; i++)
		if (manifest.entries[i].type == ENTRY_FILE &&
		    !check_file(verify, item->id, &manifest.entries[i]))
			verify->result.damaged_files++;
	verify->result.damaged_backups += verify->result.damaged_files > before;
	arena_free(&arena);
	return rc < 0 ? -1 : 0;
}

/* Damaged chunks that no file lacks: nobody needs them, or there is another copy. */
static void tell_rest(struct verify *verify)
{
	for (size_t i = 0; i < verify->index.row_count; i++) {
		const struct index_row *row = &verify->index.rows[i];
		char key[STORE_KEY_MAX];

		if (!verify->what[i] || row->marks & ROW_TOLD)
			continue;
		key_of_pack(key, verify->index.packs[row->pack].name);
		tell_object(verify, NULL, key, row->row.offset, row->row.stored, verify->what[i]);
	}
}

/* ---- the store's own objects ---- */

static int note_key(void *self, const char *key, uint64_t bytes, struct error *e)
{
	struct verify *verify = self;
	uint8_t name[PACK_NAME_BYTES], digest[8];
	uint64_t number;
	size_t packs = strlen(PREFIX_PACKS), backups = strlen(PREFIX_BACKUPS);

	(void)e;
	if (strcmp(key, KEY_HEADER) == 0 || strcmp(key, KEY_INDEX) == 0) {
		verify->result.objects++;
		verify->result.bytes += bytes;
		return 0;
	}
	if ((strncmp(key, PREFIX_PACKS, packs) == 0 &&
	     hex_read(key + packs, name, PACK_NAME_BYTES)) ||
	    (strncmp(key, PREFIX_BACKUPS, backups) == 0 &&
	     id_read(key + backups, &number, digest)) ||
	    strncmp(key, PREFIX_LOCKS, strlen(PREFIX_LOCKS)) == 0)
		return 0;
	tell_object(verify, NULL, key, 0, bytes, "no object of a store has this name");
	return 0;
}

static int check_own(struct verify *verify, struct error *e)
{
	struct store_handle *store = verify->store;
	uint8_t header[HEADER_BYTES + 1];
	struct error error = {0};
	size_t got = 0;
	uint64_t bytes = 0;

	if (store->ops->get(store->backend, KEY_HEADER, 0, header, sizeof(header), &got, &error) ||
	    header_read(header, got, &error)) {
		if (error.kind != ERROR_TARGET && error.kind != ERROR_IO)
			return error_set(e, error.kind, NO_PLACE, "%s", error.text);
		tell_object(verify, NULL, KEY_HEADER, 0, HEADER_BYTES,
			    error.kind == ERROR_TARGET ? "missing" : error.text);
	}
	if (verify->index.damaged) {
		struct error ignored = {0};

		store->ops->size(store->backend, KEY_INDEX, &bytes, &ignored);
		tell_object(verify, NULL, KEY_INDEX, 0, bytes,
			    "the index is damaged; it is made anew from the packs");
	}
	return store->ops->list(store->backend, "", note_key, verify, e);
}

/* ---- the whole ---- */

static void mark_needed(struct verify *verify, const struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->entry_count; i++) {
		struct extent_reader reader;
		struct extent extent;

		if (manifest->entries[i].type != ENTRY_FILE)
			continue;
		reader = extents_open(&manifest->entries[i]);
		while (extents_next(&reader, &extent))
			for (uint32_t k = 0; k < extent.count; k++) {
				size_t at = 0;
				uint32_t row;

				while ((row = index_each(&verify->index,
							 extent.ids + (size_t)k * DIGEST_BYTES,
							 &at)) != INDEX_NONE)
					verify->index.rows[row].marks |= ROW_NEEDED;
			}
	}
}

static void count_bytes(struct verify *verify)
{
	for (size_t i = 0; i < verify->index.pack_count; i++)
		if (is_needed(verify, &verify->index.packs[i]))
			verify->pace.total += verify->index.packs[i].bytes;
}

static int prepare(struct verify *verify, struct error *e)
{
	struct arena arena = {0};
	struct manifest manifest;
	int rc = 0;

	if (index_open(&verify->index, verify->store, e))
		return -1;
	verify->what = arena_array(&verify->arena, verify->index.row_count, sizeof(*verify->what));
	for (size_t i = 0; i < verify->index.row_count; i++)
		if (verify->index.rows[i].bad)
			verify->index.rows[i].marks |= ROW_WAS_BAD;
	if (!verify->id)
		return check_own(verify, e);
	rc = load(verify, verify->id, 0, &arena, &manifest, false, e);
	if (rc == 0)
		mark_needed(verify, &manifest);
	arena_free(&arena);
	return rc < 0 ? -1 : 0;
}

/* Tells the index what was found. Whoever is writing now will do with what it knows. */
static void remember(struct verify *verify)
{
	struct error ignored = {0};
	bool news = verify->index.damaged || !verify->index.complete;

	for (size_t i = 0; i < verify->index.row_count; i++) {
		const struct index_row *row = &verify->index.rows[i];

		news = news || (row->marks & ROW_LOOKED_AT &&
				row->bad != ((row->marks & ROW_WAS_BAD) != 0));
	}
	if (!news || verify->store->ops->lock(verify->store->backend, STORE_LOCK_WRITE, &ignored))
		return;
	index_save(&verify->index, verify->store, &ignored);
}

static int run(struct verify *verify, struct error *e)
{
	struct manifest_key *keys;
	size_t count;

	/* The backups first: the packs of one that comes meanwhile need not be known. */
	if (manifests_list(verify->store, &verify->arena, &keys, &count, e) || prepare(verify, e))
		return -1;
	count_bytes(verify);
	if (pace_run(&verify->pace, verify->store->threads, work, verify, e))
		return -1;
	for (size_t i = 0; i < count; i++)
		if ((!verify->id || strcmp(keys[i].id, verify->id) == 0) &&
		    check_backup(verify, &keys[i], e))
			return -1;
	tell_rest(verify);
	if (verify->options->mark)
		remember(verify);
	return 0;
}

int store_verify(struct store_handle *store, const char *id,
		 const struct store_verify_options *options, struct store_verified *ret,
		 struct error *e)
{
	static const struct store_verify_options none;
	struct verify verify = {.store = store};
	char whole[STORE_ID_MAX];
	int rc = 0;

	verify.options = options ? options : &none;
	if (store_lock(store, STORE_LOCK_READ, e))
		return -1;
	if (id) {
		rc = manifest_find(store, id, whole, e);
		verify.id = whole;
	}
	pthread_mutex_init(&verify.mutex, NULL);
	pace_open(&verify.pace, &verify.options->hooks, 0);
	store->ops->heed(store->backend, verify.options->hooks.cancel);
	damage_open(&verify.teller, verify.options->damage, verify.options->damage_self);
	if (rc == 0)
		rc = run(&verify, e);
	verify.result.damages = verify.teller.count;
	if (ret)
		*ret = verify.result;
	damage_close(&verify.teller);
	pace_close(&verify.pace);
	pthread_mutex_destroy(&verify.mutex);
	index_close(&verify.index);
	arena_free(&verify.arena);
	store_unlock(store);
	return rc;
}
