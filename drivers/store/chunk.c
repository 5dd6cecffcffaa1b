/* SPDX-License-Identifier: Apache-2.0 */
/* One chunk: its id, its stored form, and back with every check. */
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "drivers/store/store_private.h"

static _Noreturn void die(void)
{
	fputs("drsim: error: memory: SHA-256 could not be set up\n", stderr);
	exit(3);
}

void chunk_tool_open(struct chunk_tool *tool, struct arena *arena)
{
	tool->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	tool->context = EVP_MD_CTX_new();
	tool->lz4 = arena_alloc(arena, (size_t)LZ4_sizeofState());
	if (!tool->sha256 || !tool->context)
		die();
}

void chunk_tool_close(struct chunk_tool *tool)
{
	EVP_MD_CTX_free(tool->context);
	EVP_MD_free(tool->sha256);
}

bool chunk_is_zero(const uint8_t *data, size_t bytes)
{
	return data[0] == 0 && memcmp(data, data + 1, bytes - 1) == 0;
}

void chunk_id(struct chunk_tool *tool, const uint8_t *data, size_t bytes,
	      uint8_t ret_id[DIGEST_BYTES])
{
	if (EVP_DigestInit_ex2(tool->context, tool->sha256, NULL) != 1 ||
	    EVP_DigestUpdate(tool->context, data, bytes) != 1 ||
	    EVP_DigestFinal_ex(tool->context, ret_id, NULL) != 1)
		die();
}

void chunk_pack(struct chunk_tool *tool, const uint8_t *data, size_t bytes, uint8_t *at,
		struct chunk_row *ret)
{
	int less = 0;

	/* One byte less than it has: what does not shrink is stored as it is. */
	if (bytes > 1)
		less = LZ4_compress_fast_extState(tool->lz4, (const char *)data, (char *)at,
						  (int)bytes, (int)bytes - 1, 1);
	if (less <= 0)
		memcpy(at, data, bytes);
	ret->compressed = less > 0;
	ret->stored = less > 0 ? (uint32_t)less : (uint32_t)bytes;
	ret->raw = (uint32_t)bytes;
	ret->check = XXH3_64bits(at, ret->stored);
}

const char *chunk_unpack(struct chunk_tool *tool, const struct chunk_row *row,
			 const uint8_t *stored, uint8_t *ret_data)
{
	uint8_t id[DIGEST_BYTES];

	/* A bit may flip in compressed bytes and leave the chunk as it was: that too is rot. */
	if (XXH3_64bits(stored, row->stored) != row->check)
		return "checksum differs";
	if (!row->compressed)
		memcpy(ret_data, stored, row->raw);
	else if (LZ4_decompress_safe((const char *)stored, (char *)ret_data, (int)row->stored,
				     (int)row->raw) != (int)row->raw)
		return "cannot be decompressed";
	chunk_id(tool, ret_data, row->raw, id);
	return memcmp(id, row->id, DIGEST_BYTES) == 0 ? NULL : "digest differs";
}
