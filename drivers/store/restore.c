/* SPDX-License-Identifier: Apache-2.0 */
/* A restore: threads fetch, check and write spans of files under other names; a file gets its own
 * name when all of it has been checked. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/store/fetch.h"
#include "drivers/store/store_private.h"

#define PARTIAL ".partial"
#define TEMPORARY_MAX 64

/* A file on its way. */
struct sink {
	const struct entry *entry;
	struct extent_reader reader; /* what is not given out yet */
	struct extent extent;        /* the rest of one */
	uint64_t chunk;              /* the next one's number */
	int fd;
	uint64_t spans_out; /* given out and not done */
	bool all_out;
	uint64_t missing; /* bytes */
};

struct restore {
	struct store_handle *store;
	const char *folder;
	const struct store_restore_options *options;
	struct arena arena;
	struct manifest manifest;
	struct index index;
	struct pace pace;
	struct damage_teller teller;
	struct store_restored result;
	int fd, work_fd; /* the folder; RESTORE_FOLDER in it */
	struct sink *sinks;
	size_t sink_count, next;
	bool checking; /* the second pass, which reads what was written */
	pthread_mutex_t mutex;
};

static int failed(const struct restore *restore, struct error *e, const char *what,
		  const char *path)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot %s %s/%s: the disk is full", what,
				 restore->folder, path);
	return error_set(e, ERROR_IO, NO_PLACE, "cannot %s %s/%s: %s", what, restore->folder, path,
			 strerror(errno));
}

static void temporary_name(const struct restore *restore, const struct sink *sink,
			   char name[TEMPORARY_MAX])
{
	snprintf(name, TEMPORARY_MAX, "%zu", (size_t)(sink - restore->sinks));
}

/* ---- metadata ---- */

/* Owners can be set by who may; whoever may not has files of their own, which is right as well. */
static void set_owner(int fd, const char *path, const struct entry *entry)
{
	if (geteuid() == 0 &&
	    fchownat(fd, path, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return;
}

static void times_of(const struct entry *entry, struct timespec times[2])
{
	times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	times[1] = (struct timespec){.tv_sec = entry->mtime_s, .tv_nsec = entry->mtime_ns};
}

static int set_file(const struct restore *restore, int fd, const struct entry *entry,
		    struct error *e)
{
	struct timespec times[2];

	set_owner(fd, "", entry);
	times_of(entry, times);
	/* The mode after the owner, whose change takes set-id bits away. */
	if (fchmod(fd, entry->mode) || futimens(fd, times))
		return failed(restore, e, "set the mode of", entry->path);
	return 0;
}

/* ---- one file ---- */

static int open_sink(struct restore *restore, struct sink *sink, struct error *e)
{
	char name[TEMPORARY_MAX];

	sink->reader = extents_open(sink->entry);
	sink->extent = (struct extent){0};
	sink->chunk = 0;
	sink->all_out = false;
	if (restore->checking) {
		sink->fd =
			openat(restore->fd, sink->entry->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		return sink->fd < 0 ? failed(restore, e, "read back", sink->entry->path) : 0;
	}
	temporary_name(restore, sink, name);
	sink->fd = openat(restore->work_fd, name,
			  O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (sink->fd < 0 || ftruncate(sink->fd, (off_t)sink->entry->size))
		return failed(restore, e, "write", sink->entry->path);
	return 0;
}

/* All its bytes are checked and written: it gets its name. */
static int place_sink(struct restore *restore, struct sink *sink, struct error *e)
{
	const char *path = sink->entry->path;
	char name[TEMPORARY_MAX], partial[STORE_PATH_MAX + sizeof(PARTIAL)];

	temporary_name(restore, sink, name);
	if (sink->missing > 0) {
		snprintf(partial, sizeof(partial), "%s" PARTIAL, path);
		path = partial;
	}
	if (set_file(restore, sink->fd, sink->entry, e))
		return -1;
	if (renameat(restore->work_fd, name, restore->fd, path)) {
		if (errno != EISDIR || !restore->options->exact)
			return failed(restore, e, "write", path);
		if (tree_remove(restore->fd, path, e))
			return -1;
		if (renameat(restore->work_fd, name, restore->fd, path))
			return failed(restore, e, "write", path);
	}
	return 0;
}

/* The last one out of a file ends it. */
static int end_sink(struct restore *restore, struct sink *sink, struct error *e)
{
	int rc = 0;

	if (!restore->checking) {
		rc = place_sink(restore, sink, e);
		pthread_mutex_lock(&restore->mutex);
		if (sink->missing > 0)
			restore->result.damaged++;
		else if (rc == 0)
			restore->result.files++;
		restore->result.missing_bytes += sink->missing;
		restore->result.bytes += sink->entry->size - sink->missing;
		pthread_mutex_unlock(&restore->mutex);
	}
	if (close(sink->fd) && rc == 0)
		rc = failed(restore, e, "write", sink->entry->path);
	sink->fd = -1;
	return rc;
}

/* ---- spans ---- */

/* Up to FETCH_CHUNKS chunks that follow one another, of one file. */
struct span {
	struct sink *sink;
	uint64_t chunk; /* number of the first */
	const uint8_t *ids;
	uint32_t count; /* 0: the file has no more, and is to be ended */
};

/* Moves over zeros, which the file has already. */
static bool cut_span(struct sink *sink, struct span *ret)
{
	while (sink->extent.count == 0 || sink->extent.zeros > 0) {
		sink->chunk += sink->extent.zeros;
		sink->extent.zeros = 0;
		if (sink->extent.count == 0 && !extents_next(&sink->reader, &sink->extent))
			return false;
	}
	*ret = (struct span){.sink = sink, .chunk = sink->chunk, .ids = sink->extent.ids};
	ret->count = sink->extent.count < FETCH_CHUNKS ? sink->extent.count : FETCH_CHUNKS;
	sink->chunk += ret->count;
	sink->extent.count -= ret->count;
	sink->extent.ids += (size_t)ret->count * DIGEST_BYTES;
	return true;
}

static bool next_span(struct restore *restore, struct span *ret)
{
	struct error error = {0};
	bool found = false;

	pthread_mutex_lock(&restore->mutex);
	while (!found && restore->next < restore->sink_count) {
		struct sink *sink = &restore->sinks[restore->next];

		if (sink->fd < 0 && open_sink(restore, sink, &error)) {
			pace_fail(&restore->pace, &error);
			break;
		}
		found = cut_span(sink, ret);
		if (found) {
			sink->spans_out++;
			continue;
		}
		restore->next++;
		sink->all_out = true;
		/* Those that still have a part of it will end it. */
		if (sink->spans_out == 0) {
			*ret = (struct span){.sink = sink};
			found = true;
		}
	}
	pthread_mutex_unlock(&restore->mutex);
	return found;
}

/* Is this the last part of its file? */
static bool put_back(struct restore *restore, struct sink *sink, uint64_t missing)
{
	bool last;

	pthread_mutex_lock(&restore->mutex);
	sink->missing += missing;
	last = --sink->spans_out == 0 && sink->all_out;
	pthread_mutex_unlock(&restore->mutex);
	return last;
}

static int write_all(int fd, const uint8_t *data, size_t bytes, uint64_t offset)
{
	while (bytes > 0) {
		ssize_t wrote = pwrite(fd, data, bytes, (off_t)offset);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0) {
			errno = wrote == 0 ? ENOSPC : errno;
			return -1;
		}
		data += wrote;
		offset += (uint64_t)wrote;
		bytes -= (size_t)wrote;
	}
	return 0;
}

static void tell_missing(struct restore *restore, const struct span *span, uint32_t first,
			 uint32_t count, const struct fetched *fetched)
{
	const struct entry *entry = span->sink->entry;
	uint64_t last = span->chunk + first + count - 1;
	char key[STORE_KEY_MAX];
	struct store_damage damage = {
		.backup = restore->manifest.info.id,
		.path = entry->path,
		.offset = (span->chunk + first) * STORE_CHUNK,
		.what = fetched->what,
	};

	damage.bytes = last * STORE_CHUNK + chunk_bytes(entry->size, last) - damage.offset;
	if (fetched->row != INDEX_NONE) {
		const struct index_row *row = &restore->index.rows[fetched->row];

		key_of_pack(key, restore->index.packs[row->pack].name);
		damage.object = key;
		damage.object_offset = row->row.offset;
		damage.object_bytes = row->row.stored;
	}
	damage_tell(&restore->teller, &damage);
}

/* Writes what is sound; returns the bytes that are missing in *ret_missing. */
static int write_span(struct restore *restore, struct fetcher *fetcher, const struct span *span,
		      uint64_t *ret_missing, struct error *e)
{
	const struct entry *entry = span->sink->entry;
	uint32_t at = 0;

	*ret_missing = 0;
	while (at < span->count) {
		bool good = !fetcher->results[at].what;
		uint32_t end = at;
		size_t bytes = 0;

		for (; end < span->count && !fetcher->results[end].what == good; end++) {
			if (!good && end > at &&
			    (fetcher->results[end].row != fetcher->results[at].row ||
			     fetcher->results[end].what != fetcher->results[at].what))
				break;
			bytes += chunk_bytes(entry->size, span->chunk + end);
		}
		if (!good) {
			*ret_missing += bytes;
			tell_missing(restore, span, at, end - at, &fetcher->results[at]);
		} else if (write_all(span->sink->fd, fetcher->data + at * STORE_CHUNK, bytes,
				     (span->chunk + at) * STORE_CHUNK)) {
			return failed(restore, e, "write", entry->path);
		}
		at = end;
	}
	return 0;
}

/* The second pass: does the file give back what was written? */
static int compare_span(struct restore *restore, struct fetcher *fetcher, const struct span *span,
			struct error *e)
{
	const struct entry *entry = span->sink->entry;

	for (uint32_t i = 0; i < span->count; i++) {
		size_t bytes = chunk_bytes(entry->size, span->chunk + i);
		uint8_t id[DIGEST_BYTES];
		ssize_t got = pread(span->sink->fd, fetcher->data, bytes,
				    (off_t)((span->chunk + i) * STORE_CHUNK));

		if (got < 0)
			return failed(restore, e, "read back", entry->path);
		chunk_id(&fetcher->tool, fetcher->data, bytes, id);
		if ((size_t)got != bytes ||
		    memcmp(id, span->ids + (size_t)i * DIGEST_BYTES, DIGEST_BYTES) != 0)
			return error_set(e, ERROR_IO, NO_PLACE,
					 "%s/%s is not what was written to it, from byte %llu on",
					 restore->folder, entry->path,
					 (unsigned long long)(span->chunk + i) * STORE_CHUNK);
	}
	return 0;
}

static int do_span(struct restore *restore, struct fetcher *fetcher, const struct span *span,
		   struct error *e)
{
	const struct entry *entry = span->sink->entry;
	uint64_t last = span->chunk + span->count - 1, missing = 0, bytes;

	bytes = last * STORE_CHUNK + chunk_bytes(entry->size, last) - span->chunk * STORE_CHUNK;
	if (pace_take(&restore->pace, restore->checking ? 0 : bytes))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cancelled");
	if (restore->checking) {
		if (compare_span(restore, fetcher, span, e))
			return -1;
	} else {
		if (fetch_chunks(fetcher, span->ids, span->count, entry->size, span->chunk, e) ||
		    write_span(restore, fetcher, span, &missing, e))
			return -1;
		if (missing > 0 && !restore->options->partial)
			return error_set(e, ERROR_IO, NO_PLACE, "%s", restore->teller.first.text);
		pace_done(&restore->pace, bytes);
	}
	return put_back(restore, span->sink, missing) ? end_sink(restore, span->sink, e) : 0;
}

static void work(void *self, uint32_t thread)
{
	struct restore *restore = self;
	struct arena arena = {0};
	struct fetcher fetcher;
	struct span span;

	(void)thread;
	fetcher_open(&fetcher, restore->store, &restore->index, &arena);
	while (!pace_stopped(&restore->pace) && next_span(restore, &span)) {
		struct error error = {0};
		int rc = span.count > 0 ? do_span(restore, &fetcher, &span, &error)
					: end_sink(restore, span.sink, &error);

		if (rc) {
			pace_fail(&restore->pace, &error);
			break;
		}
	}
	fetcher_close(&fetcher);
	arena_free(&arena);
}

/* ---- folders and links ---- */

/* A folder of this name, whatever stood there before; open for its owner while it is filled. */
static int make_folder(const struct restore *restore, const struct entry *entry, struct error *e)
{
	struct stat status;

	if (fstatat(restore->fd, entry->path, &status, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISDIR(status.st_mode))
			return fchmodat(restore->fd, entry->path, 0700, 0)
				       ? failed(restore, e, "open", entry->path)
				       : 0;
		if (unlinkat(restore->fd, entry->path, 0))
			return failed(restore, e, "replace", entry->path);
	}
	if (mkdirat(restore->fd, entry->path, 0700))
		return failed(restore, e, "make", entry->path);
	return 0;
}

static int make_link(const struct restore *restore, const struct entry *entry, struct error *e)
{
	struct timespec times[2];

	/* A link appears whole, and replaces what is no folder, like a file. */
	unlinkat(restore->work_fd, "link", 0);
	if (symlinkat(entry->target, restore->work_fd, "link"))
		return failed(restore, e, "make", entry->path);
	set_owner(restore->work_fd, "link", entry);
	times_of(entry, times);
	utimensat(restore->work_fd, "link", times, AT_SYMLINK_NOFOLLOW);
	if (renameat(restore->work_fd, "link", restore->fd, entry->path) == 0)
		return 0;
	if (errno != EISDIR || !restore->options->exact)
		return failed(restore, e, "make", entry->path);
	if (tree_remove(restore->fd, entry->path, e))
		return -1;
	return renameat(restore->work_fd, "link", restore->fd, entry->path)
		       ? failed(restore, e, "make", entry->path)
		       : 0;
}

static int make_entries(struct restore *restore, enum entry_type type, struct error *e)
{
	for (size_t i = 1; i < restore->manifest.entry_count; i++) {
		const struct entry *entry = &restore->manifest.entries[i];

		if (entry->type == type && (type == ENTRY_FOLDER ? make_folder(restore, entry, e)
								 : make_link(restore, entry, e)))
			return -1;
	}
	return 0;
}

/* From the innermost on: what is put into a folder changes its time. */
static int set_folders(struct restore *restore, struct error *e)
{
	for (size_t i = restore->manifest.entry_count; i-- > 1;) {
		const struct entry *entry = &restore->manifest.entries[i];
		int fd;

		if (entry->type != ENTRY_FOLDER)
			continue;
		fd = openat(restore->fd, entry->path,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return failed(restore, e, "open", entry->path);
		if (set_file(restore, fd, entry, e)) {
			close(fd);
			return -1;
		}
		close(fd);
	}
	return 0;
}

static int compare_paths(const void *a, const void *b)
{
	return path_compare(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

/* What the folder has and the backup has not. */
static int remove_others(struct restore *restore, struct error *e)
{
	struct tree tree;

	if (tree_read(restore->fd, restore->folder, &restore->arena, &tree, e))
		return -1;
	for (size_t i = tree.count; i-- > 1;) {
		const struct entry *entry = &tree.entries[i];
		size_t own = strlen(RESTORE_FOLDER), length = strlen(entry->path);
		bool partial = length > strlen(PARTIAL) &&
			       strcmp(entry->path + length - strlen(PARTIAL), PARTIAL) == 0;

		if (strncmp(entry->path, RESTORE_FOLDER, own) == 0 &&
		    (entry->path[own] == '/' || entry->path[own] == '\0'))
			continue;
		if (bsearch(entry, restore->manifest.entries, restore->manifest.entry_count,
			    sizeof(*entry), compare_paths) ||
		    (partial && restore->result.damaged > 0))
			continue;
		if (tree_remove(restore->fd, entry->path, e))
			return -1;
	}
	return 0;
}

/* ---- the whole ---- */

/* The folder, and in it the one that says "not finished". What an earlier restore left goes. */
static int open_folder(struct restore *restore, struct error *e)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int old;

	if (mkdir(restore->folder, 0777) && errno != EEXIST)
		return error_set(e, errno == ENOENT ? ERROR_USAGE : ERROR_IO, NO_PLACE,
				 "cannot make %s: %s", restore->folder, strerror(errno));
	restore->fd = open(restore->folder, flags);
	if (restore->fd < 0)
		return error_set(e, errno == ENOTDIR ? ERROR_USAGE : ERROR_IO, NO_PLACE,
				 "cannot open %s: %s", restore->folder, strerror(errno));
	old = openat(restore->fd, RESTORE_FOLDER, flags | O_NOFOLLOW);
	if (old >= 0) {
		int busy = flock(old, LOCK_EX | LOCK_NB);

		close(old);
		if (busy)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "another restore into %s is under way", restore->folder);
		if (tree_remove(restore->fd, RESTORE_FOLDER, e))
			return -1;
	}
	if (mkdirat(restore->fd, RESTORE_FOLDER, 0700))
		return failed(restore, e, "make", RESTORE_FOLDER);
	restore->work_fd = openat(restore->fd, RESTORE_FOLDER, flags | O_NOFOLLOW);
	if (restore->work_fd < 0 || flock(restore->work_fd, LOCK_EX | LOCK_NB))
		return failed(restore, e, "open", RESTORE_FOLDER);
	return 0;
}

static void list_sinks(struct restore *restore)
{
	const struct manifest *manifest = &restore->manifest;

	restore->sinks = arena_array(&restore->arena, manifest->entry_count, sizeof(struct sink));
	for (size_t i = 0; i < manifest->entry_count; i++)
		if (manifest->entries[i].type == ENTRY_FILE)
			restore->sinks[restore->sink_count++] =
				(struct sink){.entry = &manifest->entries[i], .fd = -1};
}

/* Reads every file back: what lies in the folder is what was checked on its way. */
static int check_files(struct restore *restore, struct error *e)
{
	size_t whole = 0;

	for (size_t i = 0; i < restore->sink_count; i++)
		if (restore->sinks[i].missing == 0)
			restore->sinks[whole++] = restore->sinks[i];
	restore->sink_count = whole;
	restore->next = 0;
	restore->checking = true;
	return pace_run(&restore->pace, restore->store->threads, work, restore, e);
}

/* A backup whose manifest cannot be read is damaged as a whole. */
static int tell_manifest(struct restore *restore, const char *id, const struct error *why,
			 struct error *e)
{
	char key[STORE_KEY_MAX];
	struct store_damage damage = {.backup = id, .object = key, .what = why->text};

	key_of_backup(key, id);
	if (why->kind == ERROR_IO || store_is_damage(why))
		damage_tell(&restore->teller, &damage);
	return error_set(e, store_is_damage(why) ? ERROR_IO : why->kind, NO_PLACE, "backup %s: %s",
			 id, why->text);
}

static int run(struct restore *restore, const char *id, struct error *e)
{
	struct store_handle *store = restore->store;
	char whole[STORE_ID_MAX];
	struct error error = {0};

	if (manifest_find(store, id, whole, e))
		return -1;
	if (manifest_load(store, whole, &restore->arena, &restore->manifest, NULL, NULL, &error))
		return tell_manifest(restore, whole, &error, e);
	restore->result.backup = restore->manifest.info;
	if (index_open(&restore->index, store, e) || open_folder(restore, e))
		return -1;
	list_sinks(restore);
	restore->pace.total = restore->manifest.info.bytes - restore->manifest.info.zero_bytes;
	restore->pace.started = store_now();
	if (make_entries(restore, ENTRY_FOLDER, e) ||
	    pace_run(&restore->pace, store->threads, work, restore, e) ||
	    make_entries(restore, ENTRY_LINK, e))
		return -1;
	if (restore->options->exact && remove_others(restore, e))
		return -1;
	if (restore->options->check && check_files(restore, e))
		return -1;
	if (set_folders(restore, e))
		return -1;
	if (restore->options->durable && syncfs(restore->fd))
		return failed(restore, e, "write", "");
	/* The sign of the unfinished is the last to go: that changes the folder's own time. */
	if (unlinkat(restore->fd, RESTORE_FOLDER, AT_REMOVEDIR))
		return failed(restore, e, "remove", RESTORE_FOLDER);
	return set_file(restore, restore->fd, &restore->manifest.entries[0], e);
}

static void release(struct restore *restore)
{
	for (size_t i = 0; i < restore->sink_count; i++)
		if (restore->sinks[i].fd >= 0)
			close(restore->sinks[i].fd);
	if (restore->work_fd >= 0)
		close(restore->work_fd);
	if (restore->fd >= 0)
		close(restore->fd);
	index_close(&restore->index);
	arena_free(&restore->arena);
}

int store_restore(struct store_handle *store, const char *id, const char *folder,
		  const struct store_restore_options *options, struct store_restored *ret,
		  struct error *e)
{
	static const struct store_restore_options none;
	struct restore restore = {.store = store, .folder = folder, .fd = -1, .work_fd = -1};
	int rc;

	restore.options = options ? options : &none;
	if (store_lock(store, STORE_LOCK_READ, e))
		return -1;
	pthread_mutex_init(&restore.mutex, NULL);
	pace_open(&restore.pace, &restore.options->hooks, 0);
	store->ops->heed(store->backend, restore.options->hooks.cancel);
	damage_open(&restore.teller, restore.options->damage, restore.options->damage_self);
	rc = run(&restore, id, e);
	if (ret)
		*ret = restore.result;
	release(&restore);
	damage_close(&restore.teller);
	pace_close(&restore.pace);
	pthread_mutex_destroy(&restore.mutex);
	store_unlock(store);
	return rc;
}
