/* SPDX-License-Identifier: Apache-2.0 */
/* A backup: threads read spans of files, hash, look up, compress; packs go out as they fill; the
 * manifest is the last thing that is written. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/store/store_private.h"

#define SPAN_CHUNKS 16 /* read at once: 1 MiB */
#define SPAN_BYTES (SPAN_CHUNKS * STORE_CHUNK)

/* A file on its way. */
struct source {
	struct entry *entry;
	int fd; /* -1: not open yet */
	uint8_t *ids;
	uint64_t spans_left;
	uint64_t size; /* less than the entry's when the file has shrunk */
	bool gone, changed, sparse;
};

struct backup {
	struct store_handle *store;
	const char *folder;
	const struct store_backup_options *options;
	struct arena arena;
	struct tree tree;
	int fd;
	struct index index; /* what the store had; nobody writes to it while threads run */
	struct index fresh; /* ids that are new */
	struct packer *packer;
	struct pace pace;
	struct manifest manifest;
	struct source *sources;
	size_t source_count;
	uint8_t *ids;
	size_t ids_bytes;
	pthread_mutex_t mutex; /* cursor, fresh, counts */
	size_t next;           /* source */
	uint64_t next_span;
};

/* A thread's own things. */
struct hand {
	struct backup *backup;
	uint32_t number;
	struct chunk_tool tool;
	uint8_t *data, *check;
	struct store_backup counts;
};

/* ---- which span is next ---- */

/* The first touch of a file opens it. What it is now need not be what it was when it was listed. */
static int open_source(struct backup *backup, struct source *source, struct error *e)
{
	struct stat status;
	int fd = openat(backup->fd, source->entry->path,
			O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR)) {
		source->gone = true;
		return 0;
	}
	if (fd < 0 || fstat(fd, &status)) {
		error_set(e, ERROR_IO, NO_PLACE, "cannot open %s/%s: %s", backup->folder,
			  source->entry->path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (!S_ISREG(status.st_mode)) {
		close(fd);
		source->gone = true;
		return 0;
	}
	source->fd = fd;
	source->sparse = (uint64_t)status.st_blocks * 512 < (uint64_t)status.st_size;
	return 0;
}

/* Gives out one span; false: there is none left, or an error. */
static bool next_span(struct backup *backup, struct source **ret_source, uint64_t *ret_span)
{
	struct error error = {0};
	bool found = false;

	pthread_mutex_lock(&backup->mutex);
	while (!found && backup->next < backup->source_count) {
		struct source *source = &backup->sources[backup->next];
		uint64_t spans = (source->entry->size + SPAN_BYTES - 1) / SPAN_BYTES;

		if (backup->next_span == 0 && open_source(backup, source, &error)) {
			pace_fail(&backup->pace, &error);
			break;
		}
		if (backup->next_span >= spans || source->gone) {
			backup->next++;
			backup->next_span = 0;
			if (spans == 0 && source->fd >= 0) {
				close(source->fd);
				source->fd = -1;
			}
			continue;
		}
		*ret_source = source;
		*ret_span = backup->next_span++;
		found = true;
		if (backup->next_span == spans) {
			backup->next++;
			backup->next_span = 0;
		}
	}
	pthread_mutex_unlock(&backup->mutex);
	return found;
}

/* The last span of a file closes it, and sees whether it was written to meanwhile. */
static void end_span(struct backup *backup, struct source *source, uint64_t size)
{
	struct stat status;
	int fd = -1;

	pthread_mutex_lock(&backup->mutex);
	if (size < source->size) {
		source->size = size;
		source->changed = true;
	}
	if (--source->spans_left == 0) {
		fd = source->fd;
		source->fd = -1;
	}
	pthread_mutex_unlock(&backup->mutex);
	if (fd < 0)
		return;
	if (fstat(fd, &status) == 0 && (status.st_mtim.tv_sec != source->entry->mtime_s ||
					status.st_mtim.tv_nsec != source->entry->mtime_ns))
		source->changed = true;
	close(fd);
}

/* ---- chunks ---- */

/* Does the store have it, and is it sound, as far as is asked? */
static bool has_chunk(struct hand *hand, const uint8_t id[DIGEST_BYTES])
{
	struct backup *backup = hand->backup;
	const struct index *index = &backup->index;
	size_t at = 0;
	uint32_t found;

	if (!backup->options->check_reused)
		return index_find(index, id) != INDEX_NONE;
	while ((found = index_each(index, id, &at)) != INDEX_NONE) {
		const struct index_row *row = &index->rows[found];
		struct error error = {0};
		char key[STORE_KEY_MAX];
		size_t got;

		key_of_pack(key, index->packs[row->pack].name);
		if (!row->bad &&
		    backup->store->ops->get(backup->store->backend, key, row->row.offset,
					    hand->check, row->row.stored, &got, &error) == 0 &&
		    got == row->row.stored &&
		    !chunk_unpack(&hand->tool, &row->row, hand->check, hand->check + STORE_CHUNK))
			return true;
	}
	return false;
}

/* True for the first thread that comes with this id. */
static bool claim(struct backup *backup, const uint8_t id[DIGEST_BYTES])
{
	struct chunk_row row = {0};
	bool first;

	pthread_mutex_lock(&backup->mutex);
	first = index_find(&backup->fresh, id) == INDEX_NONE;
	if (first) {
		memcpy(row.id, id, DIGEST_BYTES);
		index_add_row(&backup->fresh, &row, 0);
	}
	pthread_mutex_unlock(&backup->mutex);
	return first;
}

static int keep_chunk(struct hand *hand, const uint8_t *data, size_t bytes, uint8_t *id)
{
	struct backup *backup = hand->backup;
	struct chunk_row row = {0};
	uint8_t *room;

	if (chunk_is_zero(data, bytes)) {
		memset(id, 0, DIGEST_BYTES);
		hand->counts.zero_bytes += bytes;
		return 0;
	}
	chunk_id(&hand->tool, data, bytes, id);
	hand->counts.chunks++;
	if (has_chunk(hand, id) || !claim(backup, id))
		return 0;
	room = packer_room(backup->packer, hand->number);
	if (!room)
		return -1;
	chunk_pack(&hand->tool, data, bytes, room, &row);
	memcpy(row.id, id, DIGEST_BYTES);
	packer_commit(backup->packer, hand->number, &row);
	hand->counts.new_chunks++;
	hand->counts.new_bytes += bytes;
	return 0;
}

/* Holes are not read: a span without data is zeros already. To ask costs as much as to read, so
 * only files that have holes are asked. */
static bool is_hole(int fd, uint64_t offset, size_t bytes)
{
	off_t data = lseek(fd, (off_t)offset, SEEK_DATA);

	return (data < 0 && errno == ENXIO) ||
	       (data >= 0 && (uint64_t)data >= offset + (uint64_t)bytes);
}

static int read_span(struct hand *hand, const struct source *source, uint64_t offset, size_t bytes,
		     size_t *ret_got)
{
	size_t got = 0;

	while (got < bytes) {
		ssize_t more =
			pread(source->fd, hand->data + got, bytes - got, (off_t)(offset + got));
		struct error error = {0};

		if (more < 0 && errno == EINTR)
			continue;
		if (more < 0) {
			error_set(&error, ERROR_IO, NO_PLACE, "cannot read %s/%s: %s",
				  hand->backup->folder, source->entry->path, strerror(errno));
			pace_fail(&hand->backup->pace, &error);
			return -1;
		}
		if (more == 0)
			break;
		got += (size_t)more;
	}
	*ret_got = got;
	return 0;
}

static int keep_span(struct hand *hand, struct source *source, uint64_t span)
{
	struct backup *backup = hand->backup;
	uint64_t offset = span * SPAN_BYTES, end = source->entry->size, size = end;
	size_t bytes = end - offset < SPAN_BYTES ? (size_t)(end - offset) : SPAN_BYTES, got = bytes;
	uint8_t *id = source->ids + span * SPAN_CHUNKS * DIGEST_BYTES;

	if (pace_take(&backup->pace, bytes))
		return -1;
	if (source->sparse && is_hole(source->fd, offset, bytes)) {
		struct stat status;

		/* Past the end is a hole too: has the file shrunk? */
		if (fstat(source->fd, &status) == 0 && (uint64_t)status.st_size < offset + bytes)
			got = (uint64_t)status.st_size > offset
				      ? (size_t)((uint64_t)status.st_size - offset)
				      : 0;
		hand->counts.zero_bytes += got;
	} else {
		if (read_span(hand, source, offset, bytes, &got))
			return -1;
		for (size_t at = 0; at < got; at += STORE_CHUNK, id += DIGEST_BYTES)
			if (keep_chunk(hand, hand->data + at,
				       got - at < STORE_CHUNK ? got - at : STORE_CHUNK, id))
				return -1;
	}
	if (got < bytes)
		size = offset + got;
	end_span(backup, source, size);
	pace_done(&backup->pace, bytes);
	return 0;
}

static void work(void *self, uint32_t thread)
{
	struct backup *backup = self;
	struct arena arena = {0};
	struct hand hand = {.backup = backup, .number = thread};
	struct source *source;
	uint64_t span;

	chunk_tool_open(&hand.tool, &arena);
	hand.data = arena_alloc(&arena, SPAN_BYTES);
	if (backup->options->check_reused)
		hand.check = arena_alloc(&arena, 2 * STORE_CHUNK);
	while (!pace_stopped(&backup->pace) && next_span(backup, &source, &span))
		if (keep_span(&hand, source, span))
			break;
	pthread_mutex_lock(&backup->mutex);
	backup->manifest.info.zero_bytes += hand.counts.zero_bytes;
	backup->manifest.info.chunks += hand.counts.chunks;
	backup->manifest.info.new_chunks += hand.counts.new_chunks;
	backup->manifest.info.new_bytes += hand.counts.new_bytes;
	pthread_mutex_unlock(&backup->mutex);
	chunk_tool_close(&hand.tool);
	arena_free(&arena);
}

/* ---- before and after ---- */

/* A store inside the folder would grow while it is read. */
static int check_place(const struct backup *backup, struct error *e)
{
	char folder[PATH_MAX], place[PATH_MAX];
	size_t length;

	if (backup->store->ops != &store_folder_backend)
		return 0;
	if (!realpath(backup->folder, folder) || !realpath(backup->store->where, place))
		return 0;
	length = strlen(folder);
	if (strncmp(place, folder, length) == 0 &&
	    (place[length] == '/' || place[length] == '\0' || length == 1))
		return error_set(e, ERROR_USAGE, NO_PLACE, "the store %s lies in the folder %s",
				 backup->store->where, backup->folder);
	return 0;
}

static int open_folder(struct backup *backup, struct error *e)
{
	struct stat status;

	backup->fd = open(backup->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (backup->fd < 0)
		return error_set(e, errno == ENOENT || errno == ENOTDIR ? ERROR_USAGE : ERROR_IO,
				 NO_PLACE, "cannot open %s: %s", backup->folder, strerror(errno));
	if (check_place(backup, e))
		return -1;
	if (fstatat(backup->fd, RESTORE_FOLDER, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "%s holds an unfinished restore (%s): it is no state to keep",
				 backup->folder, RESTORE_FOLDER);
	return tree_read(backup->fd, backup->folder, &backup->arena, &backup->tree, e);
}

static int list_sources(struct backup *backup, struct error *e)
{
	uint64_t chunks = 0;
	size_t files = 0;
	uint8_t *ids;

	for (size_t i = 0; i < backup->tree.count; i++) {
		const struct entry *entry = &backup->tree.entries[i];

		if (entry->type != ENTRY_FILE)
			continue;
		files++;
		chunks += chunk_count(entry->size);
		if (chunks > STORE_CHUNKS_MAX)
			return error_set(e, ERROR_LIMIT, NO_PLACE,
					 "%s holds more than %llu chunks of 64 KiB", backup->folder,
					 (unsigned long long)STORE_CHUNKS_MAX);
	}
	/* Mapped, so that the chunks of a hole cost no memory: no id is that of zeros. */
	backup->ids_bytes = (size_t)(chunks + 1) * DIGEST_BYTES;
	ids = mmap(NULL, backup->ids_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	if (ids == MAP_FAILED)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for the chunks of %s",
				 backup->folder);
	backup->ids = ids;
	backup->sources = arena_array(&backup->arena, files, sizeof(*backup->sources));
	for (size_t i = 0; i < backup->tree.count; i++) {
		struct entry *entry = &backup->tree.entries[i];

		if (entry->type != ENTRY_FILE)
			continue;
		entry->ids = ids;
		backup->sources[backup->source_count++] = (struct source){
			.entry = entry,
			.fd = -1,
			.ids = ids,
			.size = entry->size,
			.spans_left = (entry->size + SPAN_BYTES - 1) / SPAN_BYTES,
		};
		ids += chunk_count(entry->size) * DIGEST_BYTES;
	}
	return 0;
}

/* Files that went away are left out, those that shrank end where they ended. */
static void settle(struct backup *backup)
{
	struct store_backup *info = &backup->manifest.info;
	struct entry *entries = backup->tree.entries;
	size_t kept = 0, at = 0;

	for (size_t i = 0; i < backup->tree.count; i++) {
		struct entry *entry = &entries[i];

		switch (entry->type) {
		case ENTRY_FOLDER:
			info->folders++;
			break;
		case ENTRY_LINK:
			info->links++;
			break;
		case ENTRY_FILE: {
			const struct source *source = &backup->sources[at++];

			info->changed += source->gone || source->changed;
			if (source->gone)
				continue;
			entry->size = source->size;
			info->files++;
			info->bytes += entry->size;
			break;
		}
		}
		entries[kept++] = *entry;
	}
	info->folders--; /* the one that was kept is not in itself */
	info->skipped = backup->tree.skipped;
	backup->manifest.entries = entries;
	backup->manifest.entry_count = kept;
}

/* One more than the newest has. */
static int choose_number(struct backup *backup, struct error *e)
{
	struct manifest_key *keys;
	size_t count;

	if (manifests_list(backup->store, &backup->arena, &keys, &count, e))
		return -1;
	if (count >= STORE_BACKUPS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "the store has %d backups: prune it",
				 STORE_BACKUPS_MAX);
	backup->manifest.info.number = count > 0 ? keys[count - 1].number + 1 : 1;
	return 0;
}

/*
 * The backup is there with its manifest. When that cannot be written it may still have come to be
 * (an answer that was lost): its packs go only when it is certainly gone.
 */
static int put_manifest(struct backup *backup, struct error *e)
{
	struct store_handle *store = backup->store;
	char key[STORE_KEY_MAX];
	struct error ignored = {0};
	uint8_t *data;
	size_t bytes;

	/* Whoever lost the lock while it slept must not add what may lack its chunks. */
	if (manifest_write(&backup->manifest, &backup->arena, &data, &bytes, e) ||
	    store->ops->check_lock(store->backend, e) || store->ops->flush(store->backend, e)) {
		packer_undo(backup->packer);
		return -1;
	}
	key_of_backup(key, backup->manifest.info.id);
	/* No cancel from here on: half a transfer is worse than the wait for a small one. */
	store->ops->heed(store->backend, NULL);
	if (store->ops->put(store->backend, key, data, bytes, e) == 0 &&
	    store->ops->flush(store->backend, e) == 0)
		return 0;
	if (store->ops->remove(store->backend, key, &ignored) == 0 && !store->ops->late)
		packer_undo(backup->packer);
	return -1;
}

static int prepare(struct backup *backup, struct error *e)
{
	struct store_handle *store = backup->store;

	if (open_folder(backup, e) || store->ops->sweep(store->backend, e) ||
	    store_renew_header(store, e) || index_open(&backup->index, store, e) ||
	    choose_number(backup, e) || list_sources(backup, e))
		return -1;
	backup->pace.total = backup->tree.bytes;
	backup->pace.started = store_now();
	backup->packer = packer_open(store, &backup->index, &backup->pace, store->threads, e);
	return backup->packer ? 0 : -1;
}

static int run(struct backup *backup, struct error *e)
{
	struct error ignored = {0};
	bool renew;

	if (prepare(backup, e))
		return -1;
	renew = !backup->index.complete;
	if (pace_run(&backup->pace, backup->store->threads, work, backup, e) ||
	    packer_finish(backup->packer, e)) {
		packer_undo(backup->packer);
		return -1;
	}
	settle(backup);
	backup->manifest.info.stored_bytes = packer_stored(backup->packer);
	if (put_manifest(backup, e))
		return -1;
	/* The backup counts already: an index that could not be written is made anew next time. */
	if (renew || backup->manifest.info.new_chunks > 0)
		index_save(&backup->index, backup->store, &ignored);
	return 0;
}

static void release(struct backup *backup)
{
	for (size_t i = 0; i < backup->source_count; i++)
		if (backup->sources[i].fd >= 0)
			close(backup->sources[i].fd);
	if (backup->packer)
		packer_close(backup->packer);
	if (backup->ids)
		munmap(backup->ids, backup->ids_bytes);
	if (backup->fd >= 0)
		close(backup->fd);
	index_close(&backup->index);
	index_close(&backup->fresh);
	arena_free(&backup->arena);
}

static int check_label(const char *label, struct error *e)
{
	if (strlen(label) > STORE_LABEL_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "a label of more than %d bytes",
				 STORE_LABEL_MAX);
	for (const char *c = label; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return error_set(e, ERROR_USAGE, NO_PLACE,
					 "a label has no control characters");
	return 0;
}

int store_backup(struct store_handle *store, const char *folder,
		 const struct store_backup_options *options, struct store_backup *ret_backup,
		 struct error *e)
{
	static const struct store_backup_options none;
	struct backup backup = {.store = store, .folder = folder, .fd = -1};
	int rc;

	backup.options = options ? options : &none;
	if (backup.options->label) {
		if (check_label(backup.options->label, e))
			return -1;
		memcpy(backup.manifest.info.label, backup.options->label,
		       strlen(backup.options->label));
	}
	backup.manifest.info.as_of = backup.options->as_of;
	if (store_lock(store, STORE_LOCK_WRITE, e))
		return -1;
	pthread_mutex_init(&backup.mutex, NULL);
	pace_open(&backup.pace, &backup.options->hooks, 0);
	store->ops->heed(store->backend, backup.options->hooks.cancel);
	rc = run(&backup, e);
	if (rc == 0 && ret_backup)
		*ret_backup = backup.manifest.info;
	release(&backup);
	pace_close(&backup.pace);
	pthread_mutex_destroy(&backup.mutex);
	store_unlock(store);
	return rc;
}
