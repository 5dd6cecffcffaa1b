/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backup engine: folders are kept in a store as deduplicated, compressed, checked chunks, and
 * come back to the byte, or else every file and range that cannot come back is named.
 *
 * A store is a folder, or an object server reached by http:// (drivers/store/README.md has the
 * format and the protocol). Kill a writer with SIGKILL at any instant: the store lists what it
 * listed before, or one whole backup more.
 *
 * All functions return 0, or -1 with the reason in *e (the first error wins). Kinds of errors:
 * ERROR_USAGE (no such backup, folder or store), ERROR_UNAVAILABLE (another process holds the
 * store; cancelled), ERROR_LIMIT (a named limit below was passed), ERROR_IO (the disk or the
 * server, a full one too), ERROR_MEMORY. Bytes are counted in bytes, times in nanoseconds. Texts
 * and arrays of a result belong to the arena that was passed. A handle serves one call at a time;
 * two handles, also of two processes, may be used on one store: backup and prune exclude each
 * other, prune and restore exclude each other, restores and verifications go on beside a backup.
 * Locks end with their process (and with children forked meanwhile that do not exec).
 */
#ifndef DRIVERS_STORE_STORE_H
#define DRIVERS_STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

#define STORE_CHUNK ((size_t)64 << 10)       /* bytes that are stored, shared and checked as one */
#define STORE_ID_MAX 32                      /* "000012-0123456789abcdef" and its end */
#define STORE_KEY_MAX 512                    /* bytes of an object's key */
#define STORE_LABEL_MAX 128                  /* bytes of a backup's label */
#define STORE_PATH_MAX 4096                  /* bytes of a path inside a backup */
#define STORE_ENTRIES_MAX ((size_t)1 << 24)  /* files, folders and links of one backup */
#define STORE_CHUNKS_MAX ((uint64_t)1 << 25) /* chunks of one backup: 2 TiB */
#define STORE_BACKUPS_MAX 65536              /* of one store */
#define STORE_PACKS_MAX ((size_t)1 << 20)    /* of one store */
#define STORE_PACK_BYTES ((size_t)16 << 20)  /* a pack is closed when it has grown to this */
#define STORE_MANIFEST_MAX ((size_t)2 << 30) /* bytes of one manifest */
#define STORE_THREADS_MAX 64

struct store_handle;

struct store_options {
	bool create;       /* make the store when there is none (a folder, or an empty server) */
	const char *token; /* bearer token of an http:// store, NULL: none */
	nanos lock_wait;   /* how long to wait for another writer; 0: fail at once */
	uint32_t threads;  /* 0: one for each processor, at most 8 */
	size_t pack_bytes; /* 0: STORE_PACK_BYTES; smaller ones make more objects (tests) */
};

/* What a long call tells, and how it is held back. All may be zero. */
struct store_hooks {
	void *self;
	/* Bytes of the files that are done, of all that there are; from one thread at a time, but
	 * not always the caller's. */
	void (*progress)(void *self, uint64_t bytes, uint64_t bytes_total);
	const atomic_bool *cancel; /* true: the call ends soon with -1 and ERROR_UNAVAILABLE */
	uint64_t bytes_per_second; /* of the files, not of what is stored; 0: as fast as it goes */
};

/* One backup, as a list shows it. */
struct store_backup {
	char id[STORE_ID_MAX];
	char label[STORE_LABEL_MAX + 1];
	uint64_t number;                /* 1, 2, … in the order of their making */
	nanos as_of;                    /* what the caller said: the instant whose state it holds */
	uint64_t bytes, zero_bytes;     /* of all files; thereof in chunks of zeros only */
	uint64_t files, folders, links; /* links: symbolic ones */
	uint64_t chunks;                /* not zero, repeated ones counted each time */
	uint64_t new_chunks, new_bytes; /* first stored by this backup; before compression */
	uint64_t stored_bytes;          /* what this backup added to the store's packs */
	uint64_t skipped;               /* sockets, pipes and devices, which are not kept */
	uint64_t changed; /* files that were written to or vanished while they were read */
};

/*
 * Something in the store that is not as it was written. `backup` and `path` are NULL where no
 * backup, or no single file, is hit; then `object` and the range in it say where.
 */
struct store_damage {
	const char *backup;     /* id */
	const char *path;       /* of the file, as in the backup */
	uint64_t offset, bytes; /* the range of that file */
	const char *object;     /* key; NULL: no object has the chunk any more */
	uint64_t object_offset, object_bytes;
	const char *what; /* "checksum differs", "missing", … */
};

/* Told of each damage, adjoining ranges of one file and one cause as one. The texts live until it
 * returns; calls come one at a time. */
typedef void store_damage_fn(void *self, const struct store_damage *damage);

/*
 * Opens the store at `where`: a folder's path, or http://HOST:PORT[/PATH]. A store that is not
 * there is ERROR_USAGE unless `create` is set. `options` may be NULL. Nothing is locked yet.
 */
int store_open(const char *where, const struct store_options *options,
	       struct store_handle **ret_store, struct error *e);
void store_close(struct store_handle *store); /* NULL: nothing */

struct store_backup_options {
	nanos as_of;       /* kept as given */
	const char *label; /* such as a class of data; NULL: "" */
	/* Read back every stored chunk that this backup means to use again, and store it anew when
	 * it is damaged. Costs reading; without it only what a verification marked is renewed. */
	bool check_reused;
	struct store_hooks hooks;
};

/*
 * Keeps `folder` with all below it: names, contents, modes, owners, times of change, symbolic
 * links, empty folders; hard links become files of their own. What files held when the call began
 * is kept: of one that grows meanwhile, as much as it then had. A folder that an unfinished restore
 * left is refused (ERROR_UNAVAILABLE). When the call fails the store is as before.
 */
int store_backup(struct store_handle *store, const char *folder,
		 const struct store_backup_options *options, struct store_backup *ret_backup,
		 struct error *e);

struct store_restore_options {
	/* Go on after damage: intact files are put in place, of a damaged file "NAME.partial" with
	 * zeros where its bytes are missing. Without it the first damage ends the restore. */
	bool partial;
	bool exact;   /* remove what the folder has and the backup has not */
	bool durable; /* return only when everything is on the disk */
	bool check;   /* read every file back from the folder and compare */
	struct store_hooks hooks;
	store_damage_fn *damage; /* may be NULL */
	void *damage_self;
};

struct store_restored {
	struct store_backup backup;      /* which one */
	uint64_t files, bytes;           /* put in place whole */
	uint64_t damaged, missing_bytes; /* files that were not; what they lack */
};

/*
 * Brings the backup `id` (its whole id, a beginning of it that fits one backup only, or its number;
 * NULL: the newest) back into `folder`, which is made when it is not there. Every file appears
 * under its name only when all its bytes have been checked. Until the call succeeds
 * "folder/.drsim-restore" is there; after a failure, a cancel or a kill call it again. Damage
 * without `partial` is ERROR_IO; with it the call succeeds and ret->damaged says how many.
 * `ret` may be NULL; it is also filled when the call fails.
 */
int store_restore(struct store_handle *store, const char *id, const char *folder,
		  const struct store_restore_options *options, struct store_restored *ret,
		  struct error *e);

/* All backups, oldest first. One whose manifest cannot be read is left out: store_verify() names
 * it. */
int store_list(struct store_handle *store, struct arena *arena, struct store_backup **ret_backups,
	       size_t *ret_count, struct error *e);
/* The one that `id` means, as in store_restore(). ERROR_USAGE: none, or more than one. */
int store_find(struct store_handle *store, const char *id, struct store_backup *ret_backup,
	       struct error *e);

struct store_verify_options {
	/* Write into the index which chunks are damaged, so that the next backup stores them anew
	 * (which heals older backups too), and renew an index that is damaged. */
	bool mark;
	struct store_hooks hooks; /* bytes: of the store's objects */
	store_damage_fn *damage;  /* may be NULL */
	void *damage_self;
};

struct store_verified {
	uint64_t backups, objects, bytes, chunks; /* looked at */
	uint64_t damages;                         /* calls of `damage` */
	uint64_t damaged_backups, damaged_files;
};

/*
 * Reads one backup (its manifest and every chunk of it) or, with `id` NULL, every bit of every
 * object of the store. Damage is no failure: the call returns 0 and ret->damages tells.
 */
int store_verify(struct store_handle *store, const char *id,
		 const struct store_verify_options *options, struct store_verified *ret,
		 struct error *e);

struct store_prune_options {
	uint64_t keep;            /* the newest so many of each label, at least 1 */
	const char *label;        /* only backups of this label; NULL: of each */
	struct store_hooks hooks; /* progress is not told */
};

struct store_pruned {
	uint64_t backups, packs; /* removed */
	uint64_t freed_bytes;    /* of packs, less what was written again */
	uint64_t repacked_bytes; /* of chunks that moved */
	bool held; /* packs were left alone: the manifest of a kept backup cannot be read */
};

/*
 * Removes old backups, then packs without living chunks; packs of which more than half is dead are
 * written anew. A kill at any instant costs no kept backup. `ret` may be NULL.
 */
int store_prune(struct store_handle *store, const struct store_prune_options *options,
		struct store_pruned *ret, struct error *e);

/* A range of an object that holds bytes of a backup. */
struct store_object {
	const char *key; /* in a store that is a folder: the file's path below it */
	uint64_t offset, bytes;
	bool manifest; /* the backup's own; else chunks in a pack */
	bool only;     /* no other backup needs this range */
};

/*
 * What a backup stands on, for faults that hit it: its manifest, which is first, then the ranges of
 * packs with its chunks, by key and offset. Flipping a bit in a range with `only` damages this
 * backup and no other; removing its manifest's object removes it.
 */
int store_objects(struct store_handle *store, const char *id, struct arena *arena,
		  struct store_object **ret_objects, size_t *ret_count, struct error *e);

/*
 * Gives a backup another instant, as if it had been made then: for faults that age one. The backup
 * gets a new id with the same number.
 */
int store_set_as_of(struct store_handle *store, const char *id, nanos as_of,
		    struct store_backup *ret_backup, struct error *e);

/* Objects as they lie, for faults: read, replaced or removed whole. What is read is bounded by
 * STORE_MANIFEST_MAX. */
int store_object_read(struct store_handle *store, const char *key, struct arena *arena,
		      uint8_t **ret_data, size_t *ret_size, struct error *e);
int store_object_write(struct store_handle *store, const char *key, const void *data, size_t size,
		       struct error *e);
int store_object_remove(struct store_handle *store, const char *key, struct error *e);

#endif
