/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the backup engine share: the handle, the index in memory, pacing, one chunk. */
#ifndef DRIVERS_STORE_STORE_PRIVATE_H
#define DRIVERS_STORE_STORE_PRIVATE_H

#include <openssl/evp.h>
#include <pthread.h>

#include "drivers/store/backend.h"
#include "drivers/store/format.h"

struct store_handle {
	char *where;
	const struct store_backend_ops *ops;
	void *backend;
	uint32_t threads;
	size_t pack_bytes;
	nanos lock_wait;
	bool header_damaged;
};

/* Waits up to store->lock_wait for it. */
int store_lock(struct store_handle *store, enum store_lock lock, struct error *e);
/* Ends what store_lock() began, and that transfers heed a cancel. */
void store_unlock(struct store_handle *store);
/* Makes the header when there is none, or one that cannot be read; under the writer's lock. */
int store_renew_header(struct store_handle *store, struct error *e);
/* A whole object into the arena; ERROR_LIMIT when it is larger than `limit`. */
int store_read(struct store_handle *store, const char *key, uint64_t limit, struct arena *arena,
	       uint8_t **ret_data, size_t *ret_bytes, struct error *e);
nanos store_now(void); /* of a clock that never goes back */
/* Is `error` of damage or absence of an object, rather than of the disk or the server? */
bool store_is_damage(const struct error *e);

/* The key of a backup's manifest, of a pack. */
void key_of_backup(char key[STORE_KEY_MAX], const char *id);
void key_of_pack(char key[STORE_KEY_MAX], const uint8_t name[PACK_NAME_BYTES]);

/* ---- manifests: manifests.c ---- */

struct manifest_key {
	char id[STORE_ID_MAX];
	uint64_t number, bytes;
};

/* The manifests that the store has by name, oldest first; whether they can be read is another
 * question. */
int manifests_list(struct store_handle *store, struct arena *arena, struct manifest_key **ret_keys,
		   size_t *ret_count, struct error *e);
int manifest_load(struct store_handle *store, const char *id, struct arena *arena,
		  struct manifest *ret, uint8_t **ret_data, size_t *ret_bytes, struct error *e);
/* The whole id of what a person or a caller named; NULL: the newest. */
int manifest_find(struct store_handle *store, const char *id, char ret_id[STORE_ID_MAX],
		  struct error *e);

/* ---- one chunk: chunk.c ---- */

/* What a thread needs to make and to check chunks. */
struct chunk_tool {
	EVP_MD *sha256;
	EVP_MD_CTX *context;
	void *lz4;
};

void chunk_tool_open(struct chunk_tool *tool, struct arena *arena);
void chunk_tool_close(struct chunk_tool *tool);
bool chunk_is_zero(const uint8_t *data, size_t bytes);
void chunk_id(struct chunk_tool *tool, const uint8_t *data, size_t bytes,
	      uint8_t ret_id[DIGEST_BYTES]);
/* The form in which it is stored, at `at`, which has room for `bytes`; fills the row but for id and
 * offset. */
void chunk_pack(struct chunk_tool *tool, const uint8_t *data, size_t bytes, uint8_t *at,
		struct chunk_row *ret);
/* Stored bytes back into row->raw bytes at `ret_data`. NULL, or what is wrong with them. */
const char *chunk_unpack(struct chunk_tool *tool, const struct chunk_row *row,
			 const uint8_t *stored, uint8_t *ret_data);

/* ---- which chunks there are: index.c ---- */

#define INDEX_NONE UINT32_MAX

struct pack {
	uint8_t name[PACK_NAME_BYTES];
	uint64_t bytes; /* of its object as listed */
	uint32_t first; /* of its rows in index.rows */
	uint32_t count; /* 0: its table cannot be read */
	bool whole;     /* the object has the length that its table says */
};

struct index_row {
	struct chunk_row row;
	uint32_t pack;
	bool bad;      /* known to be damaged */
	uint8_t marks; /* for whoever walks over them */
};

struct index {
	struct arena arena;
	struct index_row *rows;
	size_t row_count, row_capacity;
	struct pack *packs; /* one with count 0 is not written into the object */
	size_t pack_count, pack_capacity;
	uint32_t *slots; /* hash of ids: row + 1, 0: free */
	size_t slot_count;
	bool damaged;  /* the object "index" could not be used */
	bool complete; /* it had just the packs that the store has */
};

/*
 * Reads the index, holds it against the packs that there are, and reads the tables of those that
 * it lacks. A damaged index is no error: everything comes from the packs then.
 */
int index_open(struct index *index, struct store_handle *store, struct error *e);
void index_close(struct index *index);
/* Writes the object anew. */
int index_save(const struct index *index, struct store_handle *store, struct error *e);
uint32_t index_add_pack(struct index *index);
uint32_t index_add_row(struct index *index, const struct chunk_row *row, uint32_t pack);
/* A row with this id that is not bad; INDEX_NONE: there is none. */
uint32_t index_find(const struct index *index, const uint8_t id[DIGEST_BYTES]);
/* That, or a bad one when there is no better. */
uint32_t index_find_any(const struct index *index, const uint8_t id[DIGEST_BYTES]);
/* All rows of an id, bad ones too: start with *at = 0. */
uint32_t index_each(const struct index *index, const uint8_t id[DIGEST_BYTES], size_t *at);

/* ---- progress, rate and cancel: pace.c ---- */

struct pace {
	pthread_mutex_t mutex;
	const struct store_hooks *hooks;
	uint64_t total, done, granted;
	nanos started;
	atomic_bool stop; /* set by the first error of any thread */
	struct error error;
};

void pace_open(struct pace *pace, const struct store_hooks *hooks, uint64_t total);
void pace_close(struct pace *pace);
/* Before `bytes` are moved: waits for its turn. -1: stop now. */
int pace_take(struct pace *pace, uint64_t bytes);
/* After they were moved. */
void pace_done(struct pace *pace, uint64_t bytes);
/* The first error of a thread wins and ends the others. */
void pace_fail(struct pace *pace, const struct error *e);
bool pace_stopped(struct pace *pace);
/* Runs `main` of `self` in store->threads threads, this one among them. 0, or the first error. */
int pace_run(struct pace *pace, uint32_t threads, void (*main)(void *self, uint32_t thread),
	     void *self, struct error *e);

/* ---- packs on their way: packer.c ---- */

struct packer;

/* New chunks collect in packs, one open for each of `threads`, which are put as they fill. NULL
 * with the reason in *e. */
struct packer *packer_open(struct store_handle *store, struct index *index, struct pace *pace,
			   uint32_t threads, struct error *e);
/*
 * Where the next chunk of a thread goes: room for STORE_CHUNK bytes. NULL: stop. Then
 * packer_commit() with the row that was made there (its offset is filled in).
 */
uint8_t *packer_room(struct packer *packer, uint32_t thread);
void packer_commit(struct packer *packer, uint32_t thread, const struct chunk_row *row);
/* Puts what is left, waits until all is durable, and adds it to the index. */
int packer_finish(struct packer *packer, struct error *e);
/* Removes what was put, but for packs that the index had before: nobody refers to it. */
void packer_undo(struct packer *packer);
uint64_t packer_stored(const struct packer *packer); /* bytes of its objects */
void packer_close(struct packer *packer);

/* ---- folders: tree.c ---- */

#define RESTORE_FOLDER ".drsim-restore" /* in a folder that is being restored */

struct tree {
	struct entry *entries; /* as in a manifest, the folder itself first */
	size_t count, capacity;
	uint64_t skipped, bytes;
};

/* All that is below the open folder `fd`. Texts go into the arena. */
int tree_read(int fd, const char *name, struct arena *arena, struct tree *ret, struct error *e);
/* Removes `name` in the folder `fd`, and what is below it. */
int tree_remove(int fd, const char *name, struct error *e);

/* ---- damage, merged and told: damage.c ---- */

struct damage_teller {
	pthread_mutex_t mutex;
	store_damage_fn *tell;
	void *self;
	uint64_t count;
	struct error first; /* as an error's text */
};

void damage_open(struct damage_teller *teller, store_damage_fn *tell, void *self);
void damage_close(struct damage_teller *teller);
void damage_tell(struct damage_teller *teller, const struct store_damage *damage);

#endif
