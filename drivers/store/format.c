/* SPDX-License-Identifier: Apache-2.0 */
/* Headers, packs and the index of a store as bytes, and digests. */
#include "drivers/store/format.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/store/bytes.h"

#define VERSION 1
#define COMPRESSED ((uint32_t)1 << 31)
#define INDEX_HEAD_BYTES 16
#define INDEX_PACK_BYTES 32

/* Eight bytes each, without an end. */
static const uint8_t header_magic[8] = "drsimST1", pack_magic[8] = "drsimPK1",
		     tail_magic[8] = "drsimPKE", index_magic[8] = "drsimIX1";

void digest_of(const void *data, size_t bytes, uint8_t ret_digest[DIGEST_BYTES])
{
	if (EVP_Digest(data, bytes, ret_digest, NULL, EVP_sha256(), NULL) != 1) {
		fputs("drsim: error: memory: SHA-256 could not be computed\n", stderr);
		exit(3);
	}
}

void hex_print(char *text, const uint8_t *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * count] = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_read(const char *text, uint8_t *ret_bytes, size_t count)
{
	if (strlen(text) != 2 * count)
		return false;
	for (size_t i = 0; i < count; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret_bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* ---- the header ---- */

void header_write(const uint8_t id[16], uint8_t ret_bytes[HEADER_BYTES])
{
	memcpy(ret_bytes, header_magic, sizeof(header_magic));
	put_u32(ret_bytes + 8, VERSION);
	put_u32(ret_bytes + 12, (uint32_t)STORE_CHUNK);
	memcpy(ret_bytes + 16, id, 16);
	digest_of(ret_bytes, 32, ret_bytes + 32);
}

int header_read(const uint8_t *data, size_t bytes, struct error *e)
{
	uint8_t digest[DIGEST_BYTES];

	if (bytes != HEADER_BYTES || memcmp(data, header_magic, 8) != 0)
		return error_set(e, ERROR_IO, NO_PLACE, "the store's header is damaged");
	digest_of(data, 32, digest);
	if (memcmp(digest, data + 32, DIGEST_BYTES) != 0)
		return error_set(e, ERROR_IO, NO_PLACE, "the store's header is damaged");
	if (get_u32(data + 8) != VERSION || get_u32(data + 12) != STORE_CHUNK)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "the store is of format %u, this version knows %d",
				 get_u32(data + 8), VERSION);
	return 0;
}

/* ---- packs ---- */

void pack_head_write(uint8_t *at)
{
	memcpy(at, pack_magic, sizeof(pack_magic));
}

void row_write(const struct chunk_row *row, uint8_t *at)
{
	memcpy(at, row->id, DIGEST_BYTES);
	put_u64(at + 32, row->check);
	put_u32(at + 40, row->offset);
	put_u32(at + 44, row->stored | (row->compressed ? COMPRESSED : 0));
	put_u32(at + 48, row->raw);
}

int row_read(const uint8_t *at, struct chunk_row *ret)
{
	uint32_t stored = get_u32(at + 44);
	struct chunk_row row = {
		.check = get_u64(at + 32),
		.offset = get_u32(at + 40),
		.stored = stored & ~COMPRESSED,
		.raw = get_u32(at + 48),
		.compressed = (stored & COMPRESSED) != 0,
	};

	memcpy(row.id, at, DIGEST_BYTES);
	if (row.raw == 0 || row.raw > STORE_CHUNK || row.stored == 0 || row.offset > INT32_MAX)
		return -1;
	if (row.compressed ? row.stored >= row.raw : row.stored != row.raw)
		return -1;
	*ret = row;
	return 0;
}

/* The table, how many rows it has, and the version: a digest of these commits to every byte of the
 * pack. */
static void table_digest(const uint8_t *table, uint32_t count, uint8_t digest[DIGEST_BYTES])
{
	uint8_t end[8];
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	put_u32(end, count);
	put_u32(end + 4, VERSION);
	if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(context, table, (size_t)count * ROW_BYTES) != 1 ||
	    EVP_DigestUpdate(context, end, sizeof(end)) != 1 ||
	    EVP_DigestFinal_ex(context, digest, NULL) != 1) {
		fputs("drsim: error: memory: SHA-256 could not be computed\n", stderr);
		exit(3);
	}
	EVP_MD_CTX_free(context);
}

void pack_tail_write(const uint8_t *table, uint32_t count, uint8_t *at,
		     uint8_t ret_name[PACK_NAME_BYTES])
{
	put_u32(at, count);
	put_u32(at + 4, VERSION);
	table_digest(table, count, at + 8);
	memcpy(at + 40, tail_magic, sizeof(tail_magic));
	memcpy(ret_name, at + 8, PACK_NAME_BYTES);
}

int pack_tail_read(const uint8_t *tail, uint32_t *ret_count, struct error *e)
{
	uint32_t count = get_u32(tail);

	if (memcmp(tail + 40, tail_magic, 8) != 0 || get_u32(tail + 4) != VERSION || count == 0 ||
	    count > PACK_CHUNKS_MAX)
		return error_set(e, ERROR_IO, NO_PLACE, "the end of the pack is damaged");
	*ret_count = count;
	return 0;
}

int table_read(const uint8_t *table, uint32_t count, const uint8_t name[PACK_NAME_BYTES],
	       struct chunk_row *rows, struct error *e)
{
	uint8_t digest[DIGEST_BYTES];
	uint64_t offset = PACK_HEAD_BYTES;

	table_digest(table, count, digest);
	if (memcmp(digest, name, PACK_NAME_BYTES) != 0)
		return error_set(e, ERROR_IO, NO_PLACE, "the table of the pack is damaged");
	for (uint32_t i = 0; i < count; i++) {
		if (row_read(table + (size_t)i * ROW_BYTES, &rows[i]) || rows[i].offset != offset)
			return error_set(e, ERROR_IO, NO_PLACE,
					 "row %u of the pack's table makes no sense", i);
		offset += rows[i].stored;
	}
	return 0;
}

uint64_t pack_size(const struct chunk_row *rows, uint32_t count)
{
	const struct chunk_row *last = &rows[count - 1];

	assert(count > 0);
	return (uint64_t)last->offset + last->stored + (uint64_t)count * ROW_BYTES +
	       PACK_TAIL_BYTES;
}

/* ---- the index ---- */

static size_t index_pack_size(uint32_t count)
{
	return INDEX_PACK_BYTES + (size_t)count * ROW_BYTES + (count + 7) / 8;
}

size_t index_size(const struct index_pack *packs, size_t count)
{
	size_t bytes = INDEX_HEAD_BYTES + DIGEST_BYTES;

	for (size_t i = 0; i < count; i++)
		bytes += index_pack_size(packs[i].count);
	return bytes;
}

void index_write(const struct index_pack *packs, size_t count, uint8_t *ret_bytes)
{
	uint8_t *at = ret_bytes;

	assert(count <= STORE_PACKS_MAX);
	memcpy(at, index_magic, sizeof(index_magic));
	put_u32(at + 8, VERSION);
	put_u32(at + 12, (uint32_t)count);
	at += INDEX_HEAD_BYTES;
	for (size_t i = 0; i < count; i++) {
		const struct index_pack *pack = &packs[i];

		memcpy(at, pack->name, PACK_NAME_BYTES);
		put_u64(at + 16, pack->bytes);
		put_u32(at + 24, pack->count);
		put_u32(at + 28, 0);
		at += INDEX_PACK_BYTES;
		for (uint32_t row = 0; row < pack->count; row++, at += ROW_BYTES)
			row_write(&pack->rows[row], at);
		memset(at, 0, (pack->count + 7) / 8);
		for (uint32_t row = 0; row < pack->count; row++)
			if (pack->bad && pack->bad[row])
				at[row / 8] |= (uint8_t)(1u << row % 8);
		at += (pack->count + 7) / 8;
	}
	digest_of(ret_bytes, (size_t)(at - ret_bytes), at);
}

/* One pack of the index from what is left of it; moves *at behind it. */
static int index_pack_read(const uint8_t **at, const uint8_t *end, struct arena *arena,
			   struct index_pack *ret, struct error *e)
{
	const uint8_t *head = *at, *bits;

	if ((size_t)(end - head) < INDEX_PACK_BYTES)
		return error_set(e, ERROR_IO, NO_PLACE, "the index is cut off");
	memcpy(ret->name, head, PACK_NAME_BYTES);
	ret->bytes = get_u64(head + 16);
	ret->count = get_u32(head + 24);
	if (ret->count == 0 || ret->count > PACK_CHUNKS_MAX || get_u32(head + 28) != 0)
		return error_set(e, ERROR_IO, NO_PLACE, "the index makes no sense");
	if ((size_t)(end - head) < index_pack_size(ret->count))
		return error_set(e, ERROR_IO, NO_PLACE, "the index is cut off");
	ret->rows = arena_array(arena, ret->count, sizeof(*ret->rows));
	ret->bad = arena_alloc(arena, ret->count);
	if (table_read(head + INDEX_PACK_BYTES, ret->count, ret->name, ret->rows, e))
		return -1;
	if (pack_size(ret->rows, ret->count) != ret->bytes)
		return error_set(e, ERROR_IO, NO_PLACE, "the index makes no sense");
	bits = head + INDEX_PACK_BYTES + (size_t)ret->count * ROW_BYTES;
	for (uint32_t row = 0; row < ret->count; row++)
		ret->bad[row] = bits[row / 8] >> row % 8 & 1;
	*at = head + index_pack_size(ret->count);
	return 0;
}

int index_read(const uint8_t *data, size_t bytes, struct arena *arena,
	       struct index_pack **ret_packs, size_t *ret_count, struct error *e)
{
	const uint8_t *at = data + INDEX_HEAD_BYTES, *end;
	uint8_t digest[DIGEST_BYTES];
	struct index_pack *packs;
	size_t count;

	if (bytes < INDEX_HEAD_BYTES + DIGEST_BYTES || memcmp(data, index_magic, 8) != 0 ||
	    get_u32(data + 8) != VERSION)
		return error_set(e, ERROR_IO, NO_PLACE, "the index is damaged");
	end = data + bytes - DIGEST_BYTES;
	digest_of(data, bytes - DIGEST_BYTES, digest);
	if (memcmp(digest, end, DIGEST_BYTES) != 0)
		return error_set(e, ERROR_IO, NO_PLACE, "the index is damaged");
	count = get_u32(data + 12);
	/* Before memory is asked for: so many packs must have room in what there is. */
	if (count > STORE_PACKS_MAX || count > bytes / INDEX_PACK_BYTES)
		return error_set(e, ERROR_IO, NO_PLACE, "the index makes no sense");
	packs = arena_array(arena, count, sizeof(*packs));
	for (size_t i = 0; i < count; i++)
		if (index_pack_read(&at, end, arena, &packs[i], e))
			return -1;
	if (at != end)
		return error_set(e, ERROR_IO, NO_PLACE, "the index is longer than it says");
	*ret_packs = packs;
	*ret_count = count;
	return 0;
}
