/* SPDX-License-Identifier: Apache-2.0 */
/* A store is opened, locked and listed. */
#include "drivers/store/store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "drivers/store/store_private.h"

#define THREADS_DEFAULT_MAX 8
#define PACK_BYTES_MIN ((size_t)4 << 10)
#define PACK_BYTES_MAX ((size_t)256 << 20)
#define LOCK_NAP (50 * NANOS_MS)
#define READ_TRIES 5

const struct store_backend_ops *store_backend_for(const char *where)
{
	return strncmp(where, "http://", 7) == 0 || strncmp(where, "https://", 8) == 0
		       ? &store_http_backend
		       : &store_folder_backend;
}

bool store_is_damage(const struct error *e)
{
	/* ERROR_LIMIT: longer than any object of its kind. */
	return e->kind == ERROR_TARGET || e->kind == ERROR_LIMIT;
}

void key_of_backup(char key[STORE_KEY_MAX], const char *id)
{
	snprintf(key, STORE_KEY_MAX, PREFIX_BACKUPS "%s", id);
}

void key_of_pack(char key[STORE_KEY_MAX], const uint8_t name[PACK_NAME_BYTES])
{
	char hex[2 * PACK_NAME_BYTES + 1];

	hex_print(hex, name, PACK_NAME_BYTES);
	snprintf(key, STORE_KEY_MAX, PREFIX_PACKS "%s", hex);
}

/* ---- opening ---- */

static int note_any(void *self, const char *key, uint64_t bytes, struct error *e)
{
	(void)key;
	(void)bytes;
	(void)e;
	*(bool *)self = true;
	return 0;
}

static int write_header(struct store_handle *store, struct error *e)
{
	uint8_t header[HEADER_BYTES], id[16];

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return error_set(e, ERROR_IO, NO_PLACE, "no random numbers: %s", strerror(errno));
	header_write(id, header);
	if (store->ops->put(store->backend, KEY_HEADER, header, sizeof(header), e))
		return -1;
	return store->ops->flush(store->backend, e);
}

int store_renew_header(struct store_handle *store, struct error *e)
{
	if (store->header_damaged && write_header(store, e))
		return -1;
	store->header_damaged = false;
	return 0;
}

/* Of a new store. Whoever writes to it at this instant makes its header as well. */
static int make_header(struct store_handle *store, struct error *e)
{
	struct error error = {0};
	int rc;

	if (store->ops->lock(store->backend, STORE_LOCK_WRITE, &error))
		return error.kind == ERROR_UNAVAILABLE
			       ? 0
			       : error_set(e, error.kind, NO_PLACE, "%s", error.text);
	rc = store_renew_header(store, e);
	store_unlock(store);
	return rc;
}

/* A header that was lost or damaged costs no backup: it holds nothing that cannot be made anew. */
static int check_header(struct store_handle *store, bool create, struct error *e)
{
	uint8_t header[HEADER_BYTES + 1];
	struct error error = {0};
	bool any = false;
	size_t got = 0;

	if (store->ops->get(store->backend, KEY_HEADER, 0, header, sizeof(header), &got, &error)) {
		if (error.kind != ERROR_TARGET)
			return error_set(e, error.kind, NO_PLACE, "%s", error.text);
	} else if (header_read(header, got, &error) == 0) {
		return 0;
	} else if (error.kind == ERROR_UNAVAILABLE) {
		return error_set(e, error.kind, NO_PLACE, "%s: %s", store->where, error.text);
	}
	if (store->ops->list(store->backend, PREFIX_BACKUPS, note_any, &any, e) ||
	    (!any && store->ops->list(store->backend, PREFIX_PACKS, note_any, &any, e)))
		return -1;
	if (!any && !create)
		return error_set(e, ERROR_USAGE, NO_PLACE, "no store at %s", store->where);
	store->header_damaged = true;
	return any ? 0 : make_header(store, e);
}

static uint32_t default_threads(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (processors < 1)
		return 1;
	return processors < THREADS_DEFAULT_MAX ? (uint32_t)processors : THREADS_DEFAULT_MAX;
}

int store_open(const char *where, const struct store_options *options,
	       struct store_handle **ret_store, struct error *e)
{
	static const struct store_options none;
	struct store_handle *store = calloc(1, sizeof(*store));

	options = options ? options : &none;
	if (!store)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory");
	store->where = strdup(where);
	store->ops = store_backend_for(where);
	store->threads = options->threads > 0 ? options->threads : default_threads();
	store->threads = store->threads < STORE_THREADS_MAX ? store->threads : STORE_THREADS_MAX;
	store->pack_bytes = options->pack_bytes > 0 ? options->pack_bytes : STORE_PACK_BYTES;
	if (store->pack_bytes < PACK_BYTES_MIN)
		store->pack_bytes = PACK_BYTES_MIN;
	if (store->pack_bytes > PACK_BYTES_MAX)
		store->pack_bytes = PACK_BYTES_MAX;
	store->lock_wait = options->lock_wait;
	if (!store->where) {
		error_set(e, ERROR_MEMORY, NO_PLACE, "no memory");
	} else if (*where == '\0') {
		error_set(e, ERROR_USAGE, NO_PLACE, "the store has no name");
	} else if (store->ops->open(where, options, &store->backend, e) == 0 &&
		   check_header(store, options->create, e) == 0) {
		*ret_store = store;
		return 0;
	}
	store_close(store);
	return -1;
}

void store_close(struct store_handle *store)
{
	if (!store)
		return;
	if (store->backend)
		store->ops->close(store->backend);
	free(store->where);
	free(store);
}

int store_lock(struct store_handle *store, enum store_lock lock, struct error *e)
{
	nanos end = store_now() + store->lock_wait;
	const struct timespec nap = {.tv_nsec = LOCK_NAP};
	struct error error;

	for (;;) {
		error = (struct error){0};
		if (store->ops->lock(store->backend, lock, &error) == 0)
			return 0;
		if (error.kind != ERROR_UNAVAILABLE || store_now() >= end)
			return error_set(e, error.kind, NO_PLACE, "%s", error.text);
		nanosleep(&nap, NULL);
	}
}

void store_unlock(struct store_handle *store)
{
	store->ops->heed(store->backend, NULL);
	store->ops->unlock(store->backend);
}

int store_read(struct store_handle *store, const char *key, uint64_t limit, struct arena *arena,
	       uint8_t **ret_data, size_t *ret_bytes, struct error *e)
{
	/* An index may be replaced between the two calls: then its length is another. */
	for (int try = 0; try < READ_TRIES; try++) {
		uint64_t bytes;
		uint8_t *data;
		size_t got;

		if (store->ops->size(store->backend, key, &bytes, e))
			return -1;
		if (bytes > limit)
			return error_set(e, ERROR_LIMIT, NO_PLACE,
					 "%s is longer than any object of its kind", key);
		data = arena_alloc(arena, (size_t)bytes + 1);
		if (store->ops->get(store->backend, key, 0, data, (size_t)bytes + 1, &got, e))
			return -1;
		*ret_data = data;
		*ret_bytes = got;
		if (got == bytes)
			break;
	}
	return 0;
}

/* ---- backups ---- */

struct manifest_list {
	struct arena *arena;
	struct manifest_key *keys;
	size_t count, capacity;
};

static int note_manifest(void *self, const char *key, uint64_t bytes, struct error *e)
{
	struct manifest_list *list = self;
	const char *id = key + strlen(PREFIX_BACKUPS);
	struct manifest_key *item;
	uint8_t digest[8];
	uint64_t number;

	if (!id_read(id, &number, digest))
		return 0; /* none of ours: a verification names it */
	if (list->count >= STORE_BACKUPS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "the store has more than %d backups",
				 STORE_BACKUPS_MAX);
	list->keys = arena_grow(list->arena, list->keys, list->count, &list->capacity,
				sizeof(*list->keys));
	item = &list->keys[list->count++];
	*item = (struct manifest_key){.number = number, .bytes = bytes};
	snprintf(item->id, sizeof(item->id), "%s", id);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct manifest_key *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return strcmp(x->id, y->id);
}

int manifests_list(struct store_handle *store, struct arena *arena, struct manifest_key **ret_keys,
		   size_t *ret_count, struct error *e)
{
	struct manifest_list list = {.arena = arena};

	if (store->ops->list(store->backend, PREFIX_BACKUPS, note_manifest, &list, e))
		return -1;
	if (list.count > 0)
		qsort(list.keys, list.count, sizeof(*list.keys), by_number);
	*ret_keys = list.keys;
	*ret_count = list.count;
	return 0;
}

int manifest_load(struct store_handle *store, const char *id, struct arena *arena,
		  struct manifest *ret, uint8_t **ret_data, size_t *ret_bytes, struct error *e)
{
	char key[STORE_KEY_MAX];
	uint8_t *data;
	size_t bytes;

	key_of_backup(key, id);
	if (store_read(store, key, STORE_MANIFEST_MAX, arena, &data, &bytes, e) ||
	    manifest_read(data, bytes, id, arena, ret, e))
		return -1;
	if (ret_data)
		*ret_data = data;
	if (ret_bytes)
		*ret_bytes = bytes;
	return 0;
}

/* "12" and "000012" are number 12. */
static bool is_number(const char *text, uint64_t number)
{
	char digits[24];
	size_t zeros = strspn(text, "0");

	snprintf(digits, sizeof(digits), "%" PRIu64, number);
	return strcmp(text + zeros, digits) == 0;
}

int manifest_find(struct store_handle *store, const char *id, char ret_id[STORE_ID_MAX],
		  struct error *e)
{
	struct arena arena = {0};
	struct manifest_key *keys;
	const char *found = NULL;
	size_t count;
	int rc = -1;

	if (manifests_list(store, &arena, &keys, &count, e))
		goto out;
	if (count == 0) {
		error_set(e, ERROR_USAGE, NO_PLACE, "%s holds no backup", store->where);
		goto out;
	}
	if (!id)
		found = keys[count - 1].id;
	for (size_t i = 0; id && i < count; i++) {
		if (!is_number(id, keys[i].number) &&
		    (*id == '\0' || strncmp(keys[i].id, id, strlen(id)) != 0))
			continue;
		if (found) {
			error_set(e, ERROR_USAGE, NO_PLACE,
				  "'%s' is the beginning of several backups", id);
			goto out;
		}
		found = keys[i].id;
	}
	if (!found) {
		error_set(e, ERROR_USAGE, NO_PLACE, "%s holds no backup '%s'", store->where, id);
		goto out;
	}
	snprintf(ret_id, STORE_ID_MAX, "%s", found);
	rc = 0;
out:
	arena_free(&arena);
	return rc;
}

static int read_head(struct store_handle *store, const struct manifest_key *item,
		     struct store_backup *ret, struct error *e)
{
	uint8_t head[MANIFEST_HEAD_BYTES];
	char key[STORE_KEY_MAX];
	size_t got;

	key_of_backup(key, item->id);
	if (item->bytes < sizeof(head))
		return error_set(e, ERROR_TARGET, NO_PLACE, "%s is cut off", key);
	if (store->ops->get(store->backend, key, 0, head, sizeof(head), &got, e))
		return -1;
	if (got != sizeof(head))
		return error_set(e, ERROR_TARGET, NO_PLACE, "%s is cut off", key);
	/* What it says is damage of this one, never of the disk. */
	return manifest_read_head(head, item->bytes, item->id, ret, e) ? 1 : 0;
}

int store_list(struct store_handle *store, struct arena *arena, struct store_backup **ret_backups,
	       size_t *ret_count, struct error *e)
{
	struct arena scratch = {0};
	struct manifest_key *keys;
	struct store_backup *backups;
	size_t count, good = 0;
	int rc = -1;

	if (manifests_list(store, &scratch, &keys, &count, e))
		goto out;
	backups = arena_array(arena, count, sizeof(*backups));
	for (size_t i = 0; i < count; i++) {
		struct error error = {0};
		int read = read_head(store, &keys[i], &backups[good], &error);

		if (read < 0 && !store_is_damage(&error)) {
			error_set(e, error.kind, NO_PLACE, "%s", error.text);
			goto out;
		}
		good += read == 0;
	}
	*ret_backups = backups;
	*ret_count = good;
	rc = 0;
out:
	arena_free(&scratch);
	return rc;
}

int store_find(struct store_handle *store, const char *id, struct store_backup *ret_backup,
	       struct error *e)
{
	struct manifest_key item = {0};
	char key[STORE_KEY_MAX];

	if (manifest_find(store, id, item.id, e))
		return -1;
	key_of_backup(key, item.id);
	if (store->ops->size(store->backend, key, &item.bytes, e))
		return -1;
	return read_head(store, &item, ret_backup, e) ? -1 : 0;
}

/* ---- for faults ---- */

int store_set_as_of(struct store_handle *store, const char *id, nanos as_of,
		    struct store_backup *ret_backup, struct error *e)
{
	char whole[STORE_ID_MAX], old_key[STORE_KEY_MAX], key[STORE_KEY_MAX];
	struct arena arena = {0};
	struct manifest manifest;
	uint8_t *data;
	size_t bytes;
	int rc = -1;

	if (store_lock(store, STORE_LOCK_WRITE, e))
		return -1;
	if (manifest_find(store, id, whole, e) ||
	    manifest_load(store, whole, &arena, &manifest, &data, &bytes, e))
		goto out;
	manifest_change_as_of(data, bytes, as_of, &manifest.info);
	key_of_backup(old_key, whole);
	key_of_backup(key, manifest.info.id);
	if (store->ops->put(store->backend, key, data, bytes, e) ||
	    store->ops->flush(store->backend, e) ||
	    (strcmp(key, old_key) != 0 && store->ops->remove(store->backend, old_key, e)))
		goto out;
	if (ret_backup)
		*ret_backup = manifest.info;
	rc = 0;
out:
	store_unlock(store);
	arena_free(&arena);
	return rc;
}

int store_object_read(struct store_handle *store, const char *key, struct arena *arena,
		      uint8_t **ret_data, size_t *ret_size, struct error *e)
{
	return store_read(store, key, STORE_MANIFEST_MAX, arena, ret_data, ret_size, e);
}

int store_object_write(struct store_handle *store, const char *key, const void *data, size_t size,
		       struct error *e)
{
	if (store->ops->put(store->backend, key, data, size, e))
		return -1;
	return store->ops->flush(store->backend, e);
}

int store_object_remove(struct store_handle *store, const char *key, struct error *e)
{
	return store->ops->remove(store->backend, key, e);
}
