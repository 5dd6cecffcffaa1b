/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests as bytes: what a backup holds, entry by entry, under a digest that is part of its name.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "drivers/store/bytes.h"
#include "drivers/store/format.h"

#define VERSION 1
#define NUMBERS 16 /* of eight bytes each in the head */
#define LABEL_AT (16 + 8 * NUMBERS)
#define HEAD_DIGEST_AT (LABEL_AT + STORE_LABEL_MAX)
#define ENTRY_FIXED 27 /* type, length of the path, mode, owner, group, time of change */
#define LINK_MAX 4096

_Static_assert(HEAD_DIGEST_AT + DIGEST_BYTES == MANIFEST_HEAD_BYTES, "the head has no gaps");

static const uint8_t magic[8] = "drsimBK1"; /* without an end */
static const uint8_t zero_id[DIGEST_BYTES];

uint64_t chunk_count(uint64_t size)
{
	return size / STORE_CHUNK + (size % STORE_CHUNK != 0);
}

size_t chunk_bytes(uint64_t size, uint64_t number)
{
	uint64_t left = size - number * STORE_CHUNK;

	assert(number < chunk_count(size));
	return left < STORE_CHUNK ? (size_t)left : STORE_CHUNK;
}

bool id_read(const char *id, uint64_t *ret_number, uint8_t ret_digest[8])
{
	const char *dash = strchr(id, '-');
	uint64_t number = 0;

	/* Ten digits at most; no other way to write the same number. */
	if (!dash || dash - id < 6 || dash - id > 10 || (dash - id > 6 && id[0] == '0'))
		return false;
	for (const char *c = id; c < dash; c++) {
		if (*c < '0' || *c > '9')
			return false;
		number = number * 10 + (uint64_t)(*c - '0');
	}
	if (number == 0 || !hex_read(dash + 1, ret_digest, 8))
		return false;
	*ret_number = number;
	return true;
}

static void id_print(struct store_backup *info, const uint8_t *digest)
{
	char hex[17];

	hex_print(hex, digest, 8);
	snprintf(info->id, sizeof(info->id), "%06" PRIu64 "-%s", info->number, hex);
}

/* '/' before everything else, so that a folder's content follows it at once. */
int path_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

struct extent_reader extents_open(const struct entry *entry)
{
	return (struct extent_reader){.at = entry->extents, .left = entry->extent_count};
}

bool extents_next(struct extent_reader *reader, struct extent *ret)
{
	if (reader->left == 0)
		return false;
	*ret = (struct extent){.zeros = get_u32(reader->at),
			       .count = get_u32(reader->at + 4),
			       .ids = reader->at + 8};
	reader->at += 8 + (size_t)ret->count * DIGEST_BYTES;
	reader->left--;
	return true;
}

/* ---- writing ---- */

/* Without data it only counts, so that the second pass knows how much room it needs. */
struct out {
	uint8_t *data;
	size_t used;
};

static void add(struct out *out, const void *bytes, size_t count)
{
	if (out->data)
		memcpy(out->data + out->used, bytes, count);
	out->used += count;
}

static void add_u16(struct out *out, uint16_t value)
{
	uint8_t bytes[2];

	put_u16(bytes, value);
	add(out, bytes, sizeof(bytes));
}

static void add_u32(struct out *out, uint32_t value)
{
	uint8_t bytes[4];

	put_u32(bytes, value);
	add(out, bytes, sizeof(bytes));
}

static void add_u64(struct out *out, uint64_t value)
{
	uint8_t bytes[8];

	put_u64(bytes, value);
	add(out, bytes, sizeof(bytes));
}

static bool is_zero(const uint8_t *id)
{
	return memcmp(id, zero_id, DIGEST_BYTES) == 0;
}

static void add_extents(struct out *out, const struct entry *entry)
{
	uint64_t chunks = chunk_count(entry->size), at = 0;
	size_t count_at, begin = out->used;
	uint32_t extents = 0;
	uint8_t digest[DIGEST_BYTES] = {0};

	add_u64(out, entry->size);
	count_at = out->used;
	add_u32(out, 0);
	while (at < chunks) {
		uint64_t first = at, data;

		while (at < chunks && is_zero(entry->ids + at * DIGEST_BYTES))
			at++;
		data = at;
		while (at < chunks && !is_zero(entry->ids + at * DIGEST_BYTES))
			at++;
		add_u32(out, (uint32_t)(data - first));
		add_u32(out, (uint32_t)(at - data));
		add(out, entry->ids + data * DIGEST_BYTES, (size_t)(at - data) * DIGEST_BYTES);
		extents++;
	}
	if (out->data) {
		put_u32(out->data + count_at, extents);
		digest_of(out->data + begin, out->used - begin, digest);
	}
	add(out, digest, DIGEST_BYTES);
}

static void add_entry(struct out *out, const struct entry *entry)
{
	uint8_t type = (uint8_t)entry->type;
	size_t length = strlen(entry->path);

	assert(length < STORE_PATH_MAX);
	add(out, &type, 1);
	add_u16(out, (uint16_t)length);
	add_u32(out, entry->mode);
	add_u32(out, entry->uid);
	add_u32(out, entry->gid);
	add_u64(out, (uint64_t)entry->mtime_s);
	add_u32(out, entry->mtime_ns);
	add(out, entry->path, length);
	switch (entry->type) {
	case ENTRY_FOLDER:
		break;
	case ENTRY_FILE:
		add_extents(out, entry);
		break;
	case ENTRY_LINK:
		add_u16(out, (uint16_t)strlen(entry->target));
		add(out, entry->target, strlen(entry->target));
		break;
	}
}

static void add_head(struct out *out, const struct manifest *manifest, size_t body)
{
	const struct store_backup *info = &manifest->info;
	const uint64_t numbers[NUMBERS] = {
		info->number,        (uint64_t)info->as_of, info->bytes,
		info->zero_bytes,    info->files,           info->folders,
		info->links,         info->chunks,          info->new_chunks,
		info->new_bytes,     info->stored_bytes,    info->skipped,
		info->changed,       manifest->entry_count, body,
		strlen(info->label),
	};
	uint8_t label[STORE_LABEL_MAX] = {0}, digest[DIGEST_BYTES] = {0};

	memcpy(label, info->label, strlen(info->label));
	add(out, magic, 8);
	add_u32(out, VERSION);
	add_u32(out, 0);
	for (size_t i = 0; i < NUMBERS; i++)
		add_u64(out, numbers[i]);
	add(out, label, sizeof(label));
	if (out->data)
		digest_of(out->data, HEAD_DIGEST_AT, digest);
	add(out, digest, DIGEST_BYTES);
}

int manifest_write(struct manifest *manifest, struct arena *arena, uint8_t **ret_data,
		   size_t *ret_bytes, struct error *e)
{
	struct out out = {0};
	size_t body;

	for (size_t i = 0; i < manifest->entry_count; i++)
		add_entry(&out, &manifest->entries[i]);
	body = out.used;
	if (body > STORE_MANIFEST_MAX - MANIFEST_HEAD_BYTES - DIGEST_BYTES)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "the manifest would be longer than %zu bytes", STORE_MANIFEST_MAX);
	out.data = arena_alloc(arena, MANIFEST_HEAD_BYTES + body + DIGEST_BYTES);
	out.used = 0;
	add_head(&out, manifest, body);
	for (size_t i = 0; i < manifest->entry_count; i++)
		add_entry(&out, &manifest->entries[i]);
	assert(out.used == MANIFEST_HEAD_BYTES + body);
	digest_of(out.data, out.used, out.data + out.used);
	id_print(&manifest->info, out.data + out.used);
	*ret_data = out.data;
	*ret_bytes = out.used + DIGEST_BYTES;
	return 0;
}

void manifest_change_as_of(uint8_t *data, size_t bytes, nanos as_of, struct store_backup *info)
{
	uint8_t *end = data + bytes - DIGEST_BYTES;

	put_u64(data + 16 + 8, (uint64_t)as_of);
	digest_of(data, HEAD_DIGEST_AT, data + HEAD_DIGEST_AT);
	digest_of(data, bytes - DIGEST_BYTES, end);
	info->as_of = as_of;
	id_print(info, end);
}

/* ---- reading ---- */

static int damaged(struct error *e, const char *what)
{
	return error_set(e, ERROR_IO, NO_PLACE, "the manifest is damaged: %s", what);
}

/* A label that can be printed: no control characters. */
static bool label_fits(const uint8_t *label, uint64_t length)
{
	if (length > STORE_LABEL_MAX)
		return false;
	for (size_t i = 0; i < STORE_LABEL_MAX; i++)
		if (i < length ? label[i] < 0x20 || label[i] == 0x7f : label[i] != 0)
			return false;
	return true;
}

int manifest_read_head(const uint8_t *data, uint64_t bytes, const char *id,
		       struct store_backup *ret, struct error *e)
{
	uint8_t digest[DIGEST_BYTES], name[8];
	uint64_t numbers[NUMBERS], number;
	struct store_backup info;

	if (bytes < MANIFEST_HEAD_BYTES + DIGEST_BYTES)
		return damaged(e, "it is cut off");
	digest_of(data, HEAD_DIGEST_AT, digest);
	if (memcmp(data, magic, 8) != 0 || memcmp(digest, data + HEAD_DIGEST_AT, DIGEST_BYTES) != 0)
		return damaged(e, "its head");
	if (get_u32(data + 8) != VERSION || get_u32(data + 12) != 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "the manifest is of format %u, this version knows %d",
				 get_u32(data + 8), VERSION);
	for (size_t i = 0; i < NUMBERS; i++)
		numbers[i] = get_u64(data + 16 + 8 * i);
	if (numbers[14] > STORE_MANIFEST_MAX ||
	    bytes != MANIFEST_HEAD_BYTES + numbers[14] + DIGEST_BYTES)
		return damaged(e, "its length");
	if (!id_read(id, &number, name) || number != numbers[0])
		return damaged(e, "it is not the one that its name says");
	if (!label_fits(data + LABEL_AT, numbers[15]) || numbers[13] > STORE_ENTRIES_MAX)
		return damaged(e, "its head makes no sense");
	info = (struct store_backup){
		.number = numbers[0],
		.as_of = (nanos)numbers[1],
		.bytes = numbers[2],
		.zero_bytes = numbers[3],
		.files = numbers[4],
		.folders = numbers[5],
		.links = numbers[6],
		.chunks = numbers[7],
		.new_chunks = numbers[8],
		.new_bytes = numbers[9],
		.stored_bytes = numbers[10],
		.skipped = numbers[11],
		.changed = numbers[12],
	};
	snprintf(info.id, sizeof(info.id), "%s", id);
	memcpy(info.label, data + LABEL_AT, (size_t)numbers[15]);
	*ret = info;
	return 0;
}

struct in {
	const uint8_t *at, *end;
	struct arena *arena;
	uint64_t chunks; /* of all files so far */
};

static size_t left(const struct in *in)
{
	return (size_t)(in->end - in->at);
}

/* Every name is one: not empty, not "." or "..". */
static bool path_fits(const char *path, size_t length)
{
	const char *at = path;

	if (strlen(path) != length)
		return false;
	while (*at) {
		size_t name = strcspn(at, "/");

		if (name == 0 || name > 255 || (name == 1 && at[0] == '.') ||
		    (name == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		at += name;
		if (*at == '/' && !*++at)
			return false;
	}
	return true;
}

static int read_file(struct in *in, struct entry *ret, struct error *e)
{
	const uint8_t *begin = in->at;
	uint64_t chunks = 0, wanted;
	uint8_t digest[DIGEST_BYTES];

	if (left(in) < 12)
		return damaged(e, "a file is cut off");
	ret->size = get_u64(in->at);
	ret->extent_count = get_u32(in->at + 8);
	in->at += 12;
	ret->extents = in->at;
	wanted = chunk_count(ret->size);
	if (wanted > STORE_CHUNKS_MAX)
		return damaged(e, "a file is longer than any that is kept");
	for (uint32_t i = 0; i < ret->extent_count; i++) {
		uint64_t zeros, count;

		if (left(in) < 8)
			return damaged(e, "a file is cut off");
		zeros = get_u32(in->at);
		count = get_u32(in->at + 4);
		in->at += 8;
		if (zeros + count == 0 || count > left(in) / DIGEST_BYTES ||
		    zeros + count > wanted - chunks)
			return damaged(e, "a file's chunks are not as many as it needs");
		in->at += count * DIGEST_BYTES;
		chunks += zeros + count;
	}
	in->chunks += chunks;
	if (chunks != wanted || in->chunks > STORE_CHUNKS_MAX)
		return damaged(e, "a file's chunks are not as many as it needs");
	digest_of(begin, (size_t)(in->at - begin), digest);
	if (left(in) < DIGEST_BYTES || memcmp(in->at, digest, DIGEST_BYTES) != 0)
		return damaged(e, "the digest of a file");
	in->at += DIGEST_BYTES;
	return 0;
}

static int read_link(struct in *in, struct entry *ret, struct error *e)
{
	size_t length;
	char *target;

	if (left(in) < 2 || left(in) - 2 < get_u16(in->at))
		return damaged(e, "a link is cut off");
	length = get_u16(in->at);
	target = arena_strndup(in->arena, (const char *)in->at + 2, length);
	if (length == 0 || length > LINK_MAX || strlen(target) != length)
		return damaged(e, "a link's target makes no sense");
	ret->target = target;
	in->at += 2 + length;
	return 0;
}

static int read_entry(struct in *in, struct entry *ret, struct error *e)
{
	const uint8_t *at = in->at;
	size_t length;
	char *path;

	if (left(in) < ENTRY_FIXED || left(in) - ENTRY_FIXED < get_u16(at + 1))
		return damaged(e, "an entry is cut off");
	length = get_u16(at + 1);
	path = arena_strndup(in->arena, (const char *)at + ENTRY_FIXED, length);
	if (length >= STORE_PATH_MAX || !path_fits(path, length))
		return damaged(e, "a path makes no sense");
	*ret = (struct entry){
		.path = path,
		.mode = get_u32(at + 3),
		.uid = get_u32(at + 7),
		.gid = get_u32(at + 11),
		.mtime_s = (int64_t)get_u64(at + 15),
		.mtime_ns = get_u32(at + 23),
	};
	in->at += ENTRY_FIXED + length;
	if (ret->mode > 07777 || ret->mtime_ns >= NANOS_S)
		return damaged(e, "a mode or a time makes no sense");
	switch (at[0]) {
	case ENTRY_FOLDER:
		ret->type = ENTRY_FOLDER;
		return 0;
	case ENTRY_FILE:
		ret->type = ENTRY_FILE;
		return read_file(in, ret, e);
	case ENTRY_LINK:
		ret->type = ENTRY_LINK;
		return read_link(in, ret, e);
	}
	return damaged(e, "an entry of an unknown type");
}

/*
 * Paths stand in order, and what an entry lies in is a folder that came before: so no name comes
 * twice, and nothing is ever written through a link. `open` holds the folders that the last entry
 * lies in.
 */
static int check_order(const struct entry *entries, size_t count, struct arena *arena,
		       struct error *e)
{
	size_t *open = arena_array(arena, STORE_PATH_MAX / 2 + 2, sizeof(*open)), depth = 0;

	for (size_t i = 0; i < count; i++) {
		const char *path = entries[i].path;

		if (i == 0) {
			if (*path || entries[i].type != ENTRY_FOLDER)
				return damaged(e, "it does not begin with its folder");
			open[depth++] = 0;
			continue;
		}
		if (path_compare(entries[i - 1].path, path) >= 0)
			return damaged(e, "its paths are not in order");
		for (;; depth--) {
			const char *folder = entries[open[depth - 1]].path;
			size_t length = strlen(folder);

			if (length == 0 ||
			    (strncmp(folder, path, length) == 0 && path[length] == '/')) {
				if (strchr(path + length + (length > 0), '/'))
					return damaged(e, "a path leads through what is no folder");
				break;
			}
		}
		if (entries[i].type == ENTRY_FOLDER)
			open[depth++] = i;
	}
	return 0;
}

int manifest_read(const uint8_t *data, size_t bytes, const char *id, struct arena *arena,
		  struct manifest *ret, struct error *e)
{
	struct manifest manifest = {0};
	uint8_t digest[DIGEST_BYTES], name[8];
	struct in in = {.arena = arena};
	uint64_t number;

	if (manifest_read_head(data, bytes, id, &manifest.info, e))
		return -1;
	digest_of(data, bytes - DIGEST_BYTES, digest);
	if (memcmp(digest, data + bytes - DIGEST_BYTES, DIGEST_BYTES) != 0)
		return damaged(e, "its digest differs");
	if (!id_read(id, &number, name) || memcmp(name, digest, sizeof(name)) != 0)
		return damaged(e, "it is not the one that its name says");
	in.at = data + MANIFEST_HEAD_BYTES;
	in.end = data + bytes - DIGEST_BYTES;
	manifest.entry_count = (size_t)get_u64(data + 16 + 8 * 13);
	if (manifest.entry_count == 0 || manifest.entry_count > left(&in) / ENTRY_FIXED)
		return damaged(e, "its head makes no sense");
	manifest.entries = arena_array(arena, manifest.entry_count, sizeof(*manifest.entries));
	for (size_t i = 0; i < manifest.entry_count; i++)
		if (read_entry(&in, &manifest.entries[i], e))
			return -1;
	if (in.at != in.end)
		return damaged(e, "it is longer than its entries");
	if (check_order(manifest.entries, manifest.entry_count, arena, e))
		return -1;
	*ret = manifest;
	return 0;
}
