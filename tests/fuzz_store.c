/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as a manifest, an index, a pack's table and a header. With the digests
 * made right what lies behind them is read too. What is accepted keeps its promises. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/store/bytes.h"
#include "drivers/store/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ID "000001-0000000000000000"

static const uint8_t manifest_magic[8] = "drsimBK1", index_magic[8] = "drsimIX1";

static void check_manifest(const struct manifest *manifest)
{
	assert(manifest->entry_count > 0 && manifest->entries[0].path[0] == '\0');
	for (size_t i = 0; i < manifest->entry_count; i++) {
		const struct entry *entry = &manifest->entries[i];
		struct extent_reader reader;
		struct extent extent;
		uint64_t chunks = 0;

		assert(entry->path[0] != '/' && !strstr(entry->path, "//"));
		assert(strlen(entry->path) < STORE_PATH_MAX);
		assert(i == 0 || path_compare(manifest->entries[i - 1].path, entry->path) < 0);
		if (entry->type != ENTRY_FILE)
			continue;
		reader = extents_open(entry);
		while (extents_next(&reader, &extent)) {
			volatile uint8_t last = 0;

			chunks += extent.zeros + (uint64_t)extent.count;
			if (extent.count > 0)
				last = extent.ids[(size_t)extent.count * DIGEST_BYTES - 1];
			(void)last;
		}
		assert(chunks == chunk_count(entry->size));
	}
}

static void read_manifest(const uint8_t *data, size_t size, const char *id)
{
	struct arena arena = {0};
	struct manifest manifest = {0};
	struct store_backup info;
	struct error e = {0};

	if (manifest_read(data, size, id, &arena, &manifest, &e) == 0)
		check_manifest(&manifest);
	else
		assert(e.kind != ERROR_NONE && e.text[0]);
	if (size >= MANIFEST_HEAD_BYTES)
		manifest_read_head(data, size, id, &info, &e);
	arena_free(&arena);
}

/* The same with its digests, its length and its number put right. */
static void read_mended_manifest(uint8_t *data, size_t size)
{
	uint8_t digest[DIGEST_BYTES];
	char id[STORE_ID_MAX] = "000001-", hex[17];
	size_t head = MANIFEST_HEAD_BYTES - DIGEST_BYTES;

	if (size < MANIFEST_HEAD_BYTES + DIGEST_BYTES)
		return;
	memcpy(data, manifest_magic, sizeof(manifest_magic));
	put_u32(data + 8, 1);
	put_u32(data + 12, 0);
	put_u64(data + 16, 1);
	put_u64(data + 16 + 8 * 14, size - MANIFEST_HEAD_BYTES - DIGEST_BYTES);
	digest_of(data, head, data + head);
	digest_of(data, size - DIGEST_BYTES, data + size - DIGEST_BYTES);
	digest_of(data, size - DIGEST_BYTES, digest);
	hex_print(hex, digest, 8);
	memcpy(id + 7, hex, sizeof(hex));
	read_manifest(data, size, id);
}

static void read_index(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct index_pack *packs = NULL;
	struct error e = {0};
	size_t count = 0;

	if (index_read(data, size, &arena, &packs, &count, &e) == 0) {
		uint8_t *again = malloc(index_size(packs, count));

		/* There is one way to write it. */
		assert(again && index_size(packs, count) == size);
		index_write(packs, count, again);
		for (size_t i = 0; i < count; i++)
			assert(packs[i].bytes == pack_size(packs[i].rows, packs[i].count));
		free(again);
	} else {
		assert(e.kind == ERROR_IO && e.text[0]);
	}
	arena_free(&arena);
}

static void read_mended_index(uint8_t *data, size_t size)
{
	if (size < 16 + DIGEST_BYTES)
		return;
	memcpy(data, index_magic, sizeof(index_magic));
	put_u32(data + 8, 1);
	digest_of(data, size - DIGEST_BYTES, data + size - DIGEST_BYTES);
	read_index(data, size);
}

static void read_pack(const uint8_t *data, size_t size)
{
	struct error e = {0};
	uint8_t name[PACK_NAME_BYTES];
	struct chunk_row *rows;
	uint32_t count;

	if (size < PACK_TAIL_BYTES || pack_tail_read(data + size - PACK_TAIL_BYTES, &count, &e) ||
	    (size_t)count * ROW_BYTES > size - PACK_TAIL_BYTES)
		return;
	rows = calloc(count, sizeof(*rows));
	assert(rows);
	{
		const uint8_t *table = data + size - PACK_TAIL_BYTES - (size_t)count * ROW_BYTES;
		uint8_t tail[PACK_TAIL_BYTES];

		/* Under the name that fits it. */
		pack_tail_write(table, count, tail, name);
		if (table_read(table, count, name, rows, &e) == 0)
			assert(pack_size(rows, count) > (uint64_t)count * ROW_BYTES);
		name[0] ^= 1;
		assert(table_read(table, count, name, rows, &e) == -1);
	}
	free(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	struct error e = {0};

	assert(copy);
	read_manifest(data, size, ID);
	read_index(data, size);
	read_pack(data, size);
	header_read(data, size, &e);
	memcpy(copy, data, size);
	read_mended_manifest(copy, size);
	memcpy(copy, data, size);
	read_mended_index(copy, size);
	free(copy);
	return 0;
}
