/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in the objects of a store, byte by byte: the header, packs, the index, manifests.
 * Readers take any bytes: everything is bounded and checked before it is used. Numbers are
 * little-endian.
 */
#ifndef DRIVERS_STORE_FORMAT_H
#define DRIVERS_STORE_FORMAT_H

#include "drivers/store/store.h"

#define DIGEST_BYTES 32    /* SHA-256 */
#define PACK_NAME_BYTES 16 /* of the digest of its table */
#define HEADER_BYTES 64    /* the object "store" */
#define PACK_HEAD_BYTES 8  /* what a pack begins with */
#define PACK_TAIL_BYTES 48 /* what it ends with */
#define ROW_BYTES 52       /* of one chunk in a table */
#define MANIFEST_HEAD_BYTES 304
#define PACK_CHUNKS_MAX 65536
#define PACK_OBJECT_MAX ((uint64_t)1 << 30) /* a larger object is no pack */

#define KEY_HEADER "store"
#define KEY_INDEX "index"
#define PREFIX_PACKS "packs/"
#define PREFIX_BACKUPS "backups/"

/* The place of one chunk in a pack. */
struct chunk_row {
	uint8_t id[DIGEST_BYTES]; /* SHA-256 of its bytes */
	uint64_t check;           /* XXH3 of the stored bytes */
	uint32_t offset, stored;  /* in the pack */
	uint32_t raw;             /* bytes before compression */
	bool compressed;
};

/* SHA-256 of one piece after another. Fails only when memory or the library does: that ends the
 * program, as it would in an arena. */
void digest_of(const void *data, size_t bytes, uint8_t ret_digest[DIGEST_BYTES]);
/* "0123abcd…" of `count` bytes into `text`, which has room for 2 * count + 1. */
void hex_print(char *text, const uint8_t *bytes, size_t count);
/* The other way; false: not exactly 2 * count digits of lower case, followed by the text's end. */
bool hex_read(const char *text, uint8_t *ret_bytes, size_t count);

/* ---- the header ---- */

void header_write(const uint8_t id[16], uint8_t ret_bytes[HEADER_BYTES]);
/* -1: damaged (ERROR_IO), or of a version that this program does not know (ERROR_UNAVAILABLE). */
int header_read(const uint8_t *data, size_t bytes, struct error *e);

/* ---- packs ---- */

void pack_head_write(uint8_t *at);
void row_write(const struct chunk_row *row, uint8_t *at);
/* -1: no chunk can be so. */
int row_read(const uint8_t *at, struct chunk_row *ret);
/* The end of a pack after its table of `count` rows; gives the pack's name. */
void pack_tail_write(const uint8_t *table, uint32_t count, uint8_t *at,
		     uint8_t ret_name[PACK_NAME_BYTES]);
/* What an end of PACK_TAIL_BYTES says of the table before it. */
int pack_tail_read(const uint8_t *tail, uint32_t *ret_count, struct error *e);
/*
 * Checks a table against the pack's name and reads it: rows lie one after another from
 * PACK_HEAD_BYTES to where the table begins. `rows` has room for `count`.
 */
int table_read(const uint8_t *table, uint32_t count, const uint8_t name[PACK_NAME_BYTES],
	       struct chunk_row *rows, struct error *e);
/* Bytes of a whole pack with these rows. */
uint64_t pack_size(const struct chunk_row *rows, uint32_t count);

/* ---- the index: copies of the tables of all packs ---- */

struct index_pack {
	uint8_t name[PACK_NAME_BYTES];
	uint64_t bytes;
	uint32_t count;
	struct chunk_row *rows;
	uint8_t *bad; /* one for each row: a verification found it damaged */
};

size_t index_size(const struct index_pack *packs, size_t count);
void index_write(const struct index_pack *packs, size_t count, uint8_t *ret_bytes);
int index_read(const uint8_t *data, size_t bytes, struct arena *arena,
	       struct index_pack **ret_packs, size_t *ret_count, struct error *e);

/* ---- manifests ---- */

enum entry_type {
	ENTRY_FOLDER = 1,
	ENTRY_FILE,
	ENTRY_LINK
};

struct entry {
	enum entry_type type;
	const char *path; /* from the folder that was kept; "" is that folder itself */
	uint32_t mode, uid, gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint64_t size;          /* of a file */
	const char *target;     /* of a link */
	const uint8_t *extents; /* of a file: where its chunks stand in the manifest */
	uint32_t extent_count;
	const uint8_t *ids; /* when writing: one for each chunk, all zero for a chunk of zeros */
};

struct manifest {
	struct store_backup info;
	struct entry *entries; /* a folder before what is in it, names in order */
	size_t entry_count;
};

/* Runs of a file's chunks: so many of zeros, then so many with ids. */
struct extent {
	uint32_t zeros, count;
	const uint8_t *ids; /* count * DIGEST_BYTES */
};

struct extent_reader {
	const uint8_t *at;
	uint32_t left;
};

struct extent_reader extents_open(const struct entry *entry);
bool extents_next(struct extent_reader *reader, struct extent *ret);

uint64_t chunk_count(uint64_t size);
/* Bytes of the chunk `number` of a file of `size`. */
size_t chunk_bytes(uint64_t size, uint64_t number);

/* The bytes of a manifest; fills info->id. */
int manifest_write(struct manifest *manifest, struct arena *arena, uint8_t **ret_data,
		   size_t *ret_bytes, struct error *e);
/*
 * Reads one whole, which must be the one that `id` names. Texts are copied; extents point into
 * `data`, which must stay. ERROR_IO: damaged.
 */
int manifest_read(const uint8_t *data, size_t bytes, const char *id, struct arena *arena,
		  struct manifest *ret, struct error *e);
/* Only what a list shows, from the first MANIFEST_HEAD_BYTES of an object of `bytes`. */
int manifest_read_head(const uint8_t *data, uint64_t bytes, const char *id,
		       struct store_backup *ret, struct error *e);
/* The same manifest with another instant. */
void manifest_change_as_of(uint8_t *data, size_t bytes, nanos as_of, struct store_backup *info);

/* "000012-0123456789abcdef": its number and the beginning of its digest. */
bool id_read(const char *id, uint64_t *ret_number, uint8_t ret_digest[8]);
/* Folders before what is in them, then by bytes. */
int path_compare(const char *a, const char *b);

#endif
