/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage to live data, to backups in the store, and full volumes. Of every file a pristine copy is
 * kept first. Mending puts back what was damaged and leaves what was written since: and it leaves
 * alone a file that a restore or the way back has replaced.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/host/undo.h"
#include "drivers/process/copies_private.h"
#include "drivers/process/effects.h"

#define FILL_STEP ((uint64_t)16 << 20)
#define FILL_LEAST ((uint64_t)4096)
#define COPY_MAX ((uint64_t)256 << 20) /* of one file that is mended in memory */

/* ---- files that are damaged ---- */

struct victim {
	char path[2 * COPIES_PATH_MAX];
	char name[COPIES_NAME_MAX];
	uint64_t size;
};

/* *ret_more: there are more files than one fault can hit. */
static size_t victims(struct real *real, enum data_class data_class, struct victim *ret,
		      uint64_t *ret_bytes, bool *ret_more)
{
	struct copies_file *files = calloc(COPIES_FILES_MAX, sizeof(*files));
	char folder[COPIES_PATH_MAX];
	size_t kept = 0;

	assert(files);
	copies_class_folder(real->copies, copies_source(real->copies), data_class, folder);
	size_t count = copies_list(folder, files, COPIES_FILES_MAX);
	*ret_bytes = 0;
	*ret_more = false;
	for (size_t i = 0; i < count; i++) {
		if (files[i].size == 0)
			continue;
		if (kept == FAULT_RECORDS_MAX) {
			*ret_more = true;
			break;
		}
		snprintf(ret[kept].path, sizeof(ret[kept].path), "%s/%s", folder, files[i].name);
		snprintf(ret[kept].name, sizeof(ret[kept].name), "%s", files[i].name);
		ret[kept].size = files[i].size;
		*ret_bytes += files[i].size;
		kept++;
	}
	free(files);
	return kept;
}

/* A pristine copy, once for each file, and its record in the journal. */
static int keep(struct real *real, struct fault_state *fault, const char *path, struct error *e)
{
	uint64_t number;
	struct stat status;

	for (size_t i = 0; i < fault->record_count; i++) {
		const struct undo *undo = journal_find(real->journal, fault->records[i]);
		if (strcmp(undo->path, path) == 0)
			return 0;
	}
	if (stat(path, &status))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot look at %s: %s", path,
				 strerror(errno));
	if ((uint64_t)status.st_size > COPY_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "%s has more than %llu MiB: this driver could not mend it", path,
				 (unsigned long long)(COPY_MAX >> 20));
	if (fault->record_count == FAULT_RECORDS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d files would be damaged",
				 FAULT_RECORDS_MAX);
	if (undo_keep_file(real->journal, path, 0, &number, e))
		return -1;
	fault->inodes[fault->record_count] = (uint64_t)status.st_ino;
	fault->records[fault->record_count++] = number;
	return 0;
}

static int write_at(const char *path, uint64_t at, const void *bytes, size_t size, struct error *e)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && pwrite(fd, bytes, size, (off_t)at) == (ssize_t)size;

	if (!good)
		error_set(e, ERROR_IO, NO_PLACE, "cannot write %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return good ? 0 : -1;
}

static int read_at(const char *path, uint64_t at, void *bytes, size_t size, struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && pread(fd, bytes, size, (off_t)at) == (ssize_t)size;

	if (!good)
		error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return good ? 0 : -1;
}

/* The file and the place in it of byte `at` of the whole class. */
static const struct victim *find(const struct victim *all, size_t count, uint64_t *at)
{
	for (size_t i = 0; i < count; i++) {
		if (*at < all[i].size)
			return &all[i];
		*at -= all[i].size;
	}
	return NULL;
}

static int flip(struct real *real, struct fault_state *fault, const struct victim *all,
		size_t count, uint64_t bytes, struct prng *prng, struct error *e)
{
	for (int64_t i = 0; i < fault->effect.amount; i++) {
		uint64_t at = prng_below(prng, bytes);
		uint8_t byte, bit = (uint8_t)(1u << prng_below(prng, 8));
		const struct victim *victim = find(all, count, &at);
		if (keep(real, fault, victim->path, e) || read_at(victim->path, at, &byte, 1, e))
			return -1;
		byte ^= bit;
		if (write_at(victim->path, at, &byte, 1, e))
			return -1;
	}
	return 0;
}

static int zero(struct real *real, struct fault_state *fault, const struct victim *all,
		size_t count, uint64_t bytes, struct prng *prng, struct error *e)
{
	static const uint8_t zeros[4096];

	for (int64_t i = 0; i < fault->effect.amount; i++) {
		uint64_t at = prng_below(prng, bytes), left = (uint64_t)fault->effect.spread;
		const struct victim *victim = find(all, count, &at);
		if (keep(real, fault, victim->path, e))
			return -1;
		left = left < victim->size - at ? left : victim->size - at;
		left = left > 0 ? left : 1;
		while (left > 0) {
			size_t now = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);
			if (write_at(victim->path, at, zeros, now, e))
				return -1;
			at += now;
			left -= now;
		}
	}
	return 0;
}

/* A block of one place over that of another, as a misdirected write leaves it. */
static int misdirect(struct real *real, struct fault_state *fault, const struct victim *all,
		     size_t count, uint64_t bytes, struct error *e)
{
	uint64_t from = (uint64_t)((double)bytes * (double)fault->effect.amount / EFFECT_PPM);
	uint64_t to = (uint64_t)((double)bytes * (double)fault->effect.spread / EFFECT_PPM);
	uint8_t block[4096];

	from = from < bytes ? from : bytes - 1;
	to = to < bytes ? to : bytes - 1;
	const struct victim *source = find(all, count, &from), *target = find(all, count, &to);
	from -= from % COPIES_BLOCK;
	to -= to % COPIES_BLOCK;
	uint64_t size = fmin(fmin((double)(source->size - from), (double)(target->size - to)),
			     sizeof(block));
	if (keep(real, fault, target->path, e) ||
	    read_at(source->path, from, block, (size_t)size, e))
		return -1;
	return write_at(target->path, to, block, (size_t)size, e);
}

/* Stops all writers of a site for the moment in which its files are put in order, or lets those go
 * on again that it stopped. */
static int hold_site(struct real *real, uint32_t site, bool held, bool *stopped, struct error *e)
{
	copies_pause(real->copies, held);
	for (uint32_t n = 0; n < real->scenario->deployment.sites[site].nodes; n++) {
		const struct node *node = real_node(real, site, n);
		if (held)
			stopped[n] = !node->down && !machine_frozen(node->machine);
		if (stopped[n] && machine_freeze(node->machine, held, e))
			return -1;
	}
	return 0;
}

/* How much of a file is to be left: a share of it, or what it had at an earlier time. */
static uint64_t size_after(struct real *real, const struct fault_state *fault,
			   const struct victim *victim)
{
	enum data_class c = (enum data_class)fault->effect.entity.index;

	if (fault->effect.kind == EFFECT_DATA_OLD)
		return copies_size_at(real->copies, c, victim->name,
				      real_now(real) - fault->effect.amount);
	return (uint64_t)((double)victim->size * (1 - (double)fault->effect.amount / EFFECT_PPM));
}

/* What came to the file since its copy was made would be lost with its end. */
static int cut_file(struct real *real, struct fault_state *fault, size_t i, struct error *e)
{
	const struct undo *undo = journal_find(real->journal, fault->records[i]);
	struct stat status;

	if (stat(undo->path, &status))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot look at %s: %s", undo->path,
				 strerror(errno));
	if ((uint64_t)status.st_size > undo->bytes) {
		fault->tail_size[i] = (size_t)((uint64_t)status.st_size - undo->bytes);
		fault->tails[i] = arena_alloc(&real->arena, fault->tail_size[i]);
		if (read_at(undo->path, undo->bytes, fault->tails[i], fault->tail_size[i], e))
			return -1;
	}
	if (truncate(undo->path, (off_t)(fault->cut[i] - 1)))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot cut %s: %s", undo->path,
				 strerror(errno));
	return 0;
}

/* Every file loses its end. */
static int cut(struct real *real, struct fault_state *fault, const struct victim *all, size_t count,
	       struct error *e)
{
	bool stopped[PROCESS_NODES_MAX] = {false};
	struct error late = {.kind = ERROR_NONE};

	for (size_t i = 0; i < count; i++) {
		uint64_t size = size_after(real, fault, &all[i]);
		if (size >= all[i].size)
			continue;
		if (keep(real, fault, all[i].path, e))
			return -1;
		fault->cut[fault->record_count - 1] = size + 1;
	}
	if (fault->record_count == 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "no file of the class was any smaller then");
	int rc = hold_site(real, fault->site, true, stopped, e);
	for (size_t i = 0; i < fault->record_count && rc == 0; i++)
		rc = cut_file(real, fault, i, e);
	if (hold_site(real, fault->site, false, stopped, &late) && rc == 0)
		rc = error_set(e, late.kind, NO_PLACE, "%s", late.text);
	return rc;
}

/*
 * Where a file lies that was removed from its folder: in the same volume, where nobody looks for
 * data. Who has it open goes on writing to it, and none of that is to be lost by the fault's end.
 * It needs no record of its own: it is a part of the run's work folder, which goes as a whole.
 */
static void aside(struct real *real, const struct fault_state *fault, size_t i, char *path,
		  size_t room)
{
	snprintf(path, room, "%s/.removed-%llu", copies_site_folder(real->copies, fault->site),
		 (unsigned long long)fault->records[i]);
}

static int drop(struct real *real, struct fault_state *fault, const struct victim *all,
		size_t count, struct error *e)
{
	char hidden[COPIES_PATH_MAX + 32];

	for (size_t i = 0; i < count; i++) {
		if (keep(real, fault, all[i].path, e))
			return -1;
		aside(real, fault, fault->record_count - 1, hidden, sizeof(hidden));
		if (rename(all[i].path, hidden))
			return error_set(e, ERROR_IO, NO_PLACE, "cannot remove %s: %s", all[i].path,
					 strerror(errno));
	}
	return 0;
}

/* Effects that take something of the files away. */
static bool takes_away(const struct fault_state *fault)
{
	return fault->effect.kind == EFFECT_DATA_CUT || fault->effect.kind == EFFECT_DATA_OLD ||
	       fault->effect.kind == EFFECT_DATA_GONE;
}

int data_damage(struct real *real, struct fault_state *fault, struct error *e)
{
	struct victim *all = calloc(FAULT_RECORDS_MAX, sizeof(*all));
	enum data_class c = (enum data_class)fault->effect.entity.index;
	struct prng prng;
	uint64_t bytes;
	bool more;
	int rc = -1;

	assert(all);
	prng_open(&prng, real->seed, 0, fault->effect.injection, PRNG_PLACE);
	fault->site = copies_source(real->copies);
	fault->unwritten = takes_away(fault);
	if (fault->unwritten)
		copies_forget_now(real->copies, c, true);
	size_t count = victims(real, c, all, &bytes, &more);
	if (count == 0)
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the class has no content to damage");
	else if (more && takes_away(fault))
		error_set(e, ERROR_LIMIT, NO_PLACE, "the class has more than %d files",
			  FAULT_RECORDS_MAX);
	else if (fault->effect.kind == EFFECT_DATA_FLIP)
		rc = flip(real, fault, all, count, bytes, &prng, e);
	else if (fault->effect.kind == EFFECT_DATA_ZERO)
		rc = zero(real, fault, all, count, bytes, &prng, e);
	else if (fault->effect.kind == EFFECT_DATA_MISDIRECT)
		rc = misdirect(real, fault, all, count, bytes, e);
	else if (fault->effect.kind == EFFECT_DATA_GONE)
		rc = drop(real, fault, all, count, e);
	else
		rc = cut(real, fault, all, count, e);
	free(all);
	return rc;
}

/* ---- mending ---- */

static uint8_t *read_whole(const char *path, uint64_t *ret_size, struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	uint8_t *bytes = NULL;

	if (fd < 0 || fstat(fd, &status) || (uint64_t)status.st_size > COPY_MAX) {
		error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s", path,
			  fd < 0 ? strerror(errno) : "too large");
		goto out;
	}
	bytes = malloc((size_t)status.st_size + 1);
	assert(bytes);
	*ret_size = (uint64_t)status.st_size;
	if (pread(fd, bytes, (size_t)*ret_size, 0) != (ssize_t)*ret_size) {
		error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s", path, strerror(errno));
		free(bytes);
		bytes = NULL;
	}
out:
	if (fd >= 0)
		close(fd);
	return bytes;
}

/* The pristine bytes, and after them what was written since the damage. */
static int put_back(const struct fault_state *fault, size_t i, const struct undo *undo,
		    struct error *e)
{
	uint64_t damaged = fault->cut[i] ? fault->cut[i] - 1 : undo->bytes;
	size_t tail = fault->tail_size[i];
	uint64_t size = 0, pristine = 0, since = 0;
	uint8_t *now = NULL, *kept = read_whole(undo->from, &pristine, e);
	int rc = -1, fd = -1;

	if (!kept)
		return -1;
	now = read_whole(undo->path, &size, e);
	if (!now)
		goto out;
	since = size > damaged ? size - damaged : 0;
	fd = open(undo->path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && pwrite(fd, kept, pristine, 0) == (ssize_t)pristine;
	if (good && tail > 0)
		good = pwrite(fd, fault->tails[i], tail, (off_t)pristine) == (ssize_t)tail;
	if (good && since > 0 && fault->cut[i])
		good = pwrite(fd, now + damaged, since, (off_t)(pristine + tail)) == (ssize_t)since;
	if (good && since + tail == 0) {
		const struct timespec times[2] = {
			{.tv_nsec = UTIME_OMIT},
			{.tv_sec = undo->mtime_s, .tv_nsec = undo->mtime_ns}};
		good = futimens(fd, times) == 0 && fchmod(fd, undo->mode & 07777) == 0;
	}
	rc = good ? 0
		  : error_set(e, ERROR_IO, NO_PLACE, "cannot mend %s: %s", undo->path,
			      strerror(errno));
out:
	if (fd >= 0)
		close(fd);
	free(kept);
	free(now);
	return rc;
}

/* A file of this name was begun anew: what was removed belongs in front of it. One that begins as
 * the removed one did was restored. Whoever writes to it keeps it open. */
static int put_in_front(const char *hidden, const char *path, struct error *e)
{
	uint64_t size = 0, removed = 0;
	uint8_t *now = read_whole(path, &size, e), *old = read_whole(hidden, &removed, e);
	size_t look = size < COPIES_BLOCK ? (size_t)size : COPIES_BLOCK;
	int rc = -1, fd = -1;

	if (!now || !old)
		goto out;
	rc = 0;
	if (look <= removed && look > 0 && memcmp(now, old, look) == 0)
		goto out;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, old, removed, 0) != (ssize_t)removed ||
	    pwrite(fd, now, size, (off_t)removed) != (ssize_t)size)
		rc = error_set(e, ERROR_IO, NO_PLACE, "cannot mend %s: %s", path, strerror(errno));
out:
	if (fd >= 0)
		close(fd);
	free(now);
	free(old);
	return rc;
}

/* The file itself, with all that was written to it meanwhile. */
static int bring_back(const char *hidden, const char *path, struct error *e)
{
	if (access(path, F_OK) == 0) {
		if (put_in_front(hidden, path, e))
			return -1;
		unlink(hidden);
		return 0;
	}
	return rename(hidden, path) ? error_set(e, ERROR_IO, NO_PLACE, "cannot bring back %s: %s",
						path, strerror(errno))
				    : 0;
}

/* Is the file still the one that was damaged? Of one that was removed: does it still lie aside? */
static bool still_damaged(struct real *real, const struct fault_state *fault, size_t i,
			  const char *path)
{
	char hidden[COPIES_PATH_MAX + 32];
	struct stat status;

	if (fault->effect.kind == EFFECT_DATA_GONE) {
		aside(real, fault, i, hidden, sizeof(hidden));
		return access(hidden, F_OK) == 0;
	}
	return stat(path, &status) == 0 && (uint64_t)status.st_ino == fault->inodes[i];
}

static int mend_file(struct real *real, struct fault_state *fault, size_t i, struct error *e)
{
	const struct undo *undo = journal_find(real->journal, fault->records[i]);
	char hidden[COPIES_PATH_MAX + 32];

	if (undo->done || !still_damaged(real, fault, i, undo->path))
		return 0;
	if (fault->effect.kind == EFFECT_DATA_GONE) {
		aside(real, fault, i, hidden, sizeof(hidden));
		return bring_back(hidden, undo->path, e);
	}
	if (put_back(fault, i, undo, e))
		return -1;
	fault->inodes[i] = 0;
	return 0;
}

int data_mend(struct real *real, struct fault_state *fault, struct error *e)
{
	bool stopped[PROCESS_NODES_MAX] = {false};
	struct error late = {.kind = ERROR_NONE};
	bool hold = takes_away(fault); /* else nobody writes where the damage is */
	int rc = hold ? hold_site(real, fault->site, true, stopped, e) : 0;

	for (size_t i = 0; i < fault->record_count && rc == 0; i++)
		rc = mend_file(real, fault, i, e);
	if (hold && hold_site(real, fault->site, false, stopped, &late) && rc == 0)
		rc = error_set(e, late.kind, NO_PLACE, "%s", late.text);
	if (fault->unwritten)
		copies_forget_now(real->copies, (enum data_class)fault->effect.entity.index, false);
	fault->unwritten = false;
	return rc;
}

bool data_damaged(struct real *real, const struct fault_state *fault)
{
	for (size_t i = 0; i < fault->record_count; i++) {
		const struct undo *undo = journal_find(real->journal, fault->records[i]);
		if (still_damaged(real, fault, i, undo->path))
			return true;
	}
	return false;
}

/* ---- backups ---- */

/* One that ended well and still stands, counted from the newest (-1, -2 …) or from the first. */
int32_t effects_backup_index(struct real *real, int32_t index)
{
	int32_t count = (int32_t)real->backup_count;

	if (index < 0) {
		for (int32_t i = count; i-- > 0;)
			if (real->backups[i].ok && !real->backups[i].pruned && ++index == 0)
				return i;
		return -1;
	}
	for (int32_t i = 0; i < count; i++)
		if (real->backups[i].ok && index-- == 0)
			return real->backups[i].pruned ? -1 : i;
	return -1;
}

/* An object as it was, to be put back. */
struct kept_object {
	char key[STORE_KEY_MAX];
	uint8_t *bytes, *damaged; /* damaged NULL: it was removed */
	size_t size;
};

static int change_object(struct real *real, struct fault_state *fault, struct store_handle *store,
			 const char *key, bool remove, uint64_t at, struct error *e)
{
	struct arena *arena = &real->arena;
	struct kept_object *kept = arena_alloc(arena, sizeof(*kept));

	if (fault->object_count == FAULT_RECORDS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d objects would be damaged",
				 FAULT_RECORDS_MAX);
	snprintf(kept->key, sizeof(kept->key), "%s", key);
	if (store_object_read(store, key, arena, &kept->bytes, &kept->size, e))
		return -1;
	fault->objects[fault->object_count++] = kept;
	if (remove)
		return store_object_remove(store, key, e);
	kept->damaged = arena_alloc(arena, kept->size + 1);
	memcpy(kept->damaged, kept->bytes, kept->size);
	kept->damaged[at < kept->size ? at : kept->size - 1] ^= 1;
	return store_object_write(store, key, kept->damaged, kept->size, e);
}

/* In bytes that no other backup needs; when it has none of its own, in its manifest. */
static int flip_backup(struct real *real, struct fault_state *fault, struct store_handle *store,
		       const char *id, struct prng *prng, struct error *e)
{
	struct store_object *objects, *hit = NULL;
	size_t count;

	if (store_objects(store, id, &real->arena, &objects, &count, e))
		return -1;
	for (size_t i = 0; i < count; i++)
		if (!hit || (hit->manifest && objects[i].only && objects[i].bytes > 0))
			hit = &objects[i];
	if (!hit)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the backup has no object");
	uint64_t at = hit->offset + prng_below(prng, hit->bytes ? hit->bytes : 1);
	return change_object(real, fault, store, hit->key, false, at, e);
}

static int remove_backup(struct real *real, struct fault_state *fault, struct store_handle *store,
			 const char *id, struct error *e)
{
	struct store_object *objects;
	size_t count;

	if (store_objects(store, id, &real->arena, &objects, &count, e))
		return -1;
	for (size_t i = 0; i < count; i++)
		if (objects[i].manifest)
			return change_object(real, fault, store, objects[i].key, true, 0, e);
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the backup has no manifest");
}

/* The newest one that is so much older: its content stands under this one's name. */
static int age_backup(struct real *real, struct fault_state *fault, struct error *e)
{
	struct backup_state *backup = &real->backups[fault->backup];

	for (int32_t i = fault->backup; i-- > 0;) {
		const struct backup_state *older = &real->backups[i];
		if (!older->ok || older->pruned || older->policy != backup->policy ||
		    older->as_of > backup->as_of - fault->effect.amount)
			continue;
		memcpy(fault->ids, backup->ids, sizeof(fault->ids));
		memcpy(backup->ids, older->ids, sizeof(backup->ids));
		return 0;
	}
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "there is no backup that is so much older");
}

int backup_damage(struct real *real, struct fault_state *fault, struct error *e)
{
	struct store_handle *store = NULL;
	struct prng prng;
	int rc;

	fault->backup = effects_backup_index(real, fault->effect.entity.index);
	if (fault->backup < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "there is no such backup");
	if (fault->effect.kind == EFFECT_BACKUP_OLD)
		return age_backup(real, fault, e);
	prng_open(&prng, real->seed, 0, fault->effect.injection, PRNG_PLACE);
	rc = actions_open_store(real, &store, e);
	for (int c = 0; c < DATA_CLASSES && rc == 0; c++) {
		const char *id = real->backups[fault->backup].ids[c];
		if (!id[0])
			continue;
		rc = fault->effect.kind == EFFECT_BACKUP_GONE
			     ? remove_backup(real, fault, store, id, e)
			     : flip_backup(real, fault, store, id, &prng, e);
	}
	store_close(store);
	return rc;
}

int backup_mend(struct real *real, struct fault_state *fault, struct error *e)
{
	struct store_handle *store = NULL;
	int rc = 0;

	if (fault->effect.kind == EFFECT_BACKUP_OLD) {
		memcpy(real->backups[fault->backup].ids, fault->ids, sizeof(fault->ids));
		return 0;
	}
	/* A store whose machine is gone has nothing that could be mended. */
	if (!machine_alive(real->store_machine))
		return 0;
	rc = actions_open_store(real, &store, e);
	for (size_t i = fault->object_count; i-- > 0 && rc == 0;) {
		const struct kept_object *kept = fault->objects[i];
		rc = store_object_write(store, kept->key, kept->bytes, kept->size, e);
	}
	store_close(store);
	if (rc == 0)
		fault->object_count = 0;
	return rc;
}

bool backup_damaged(struct real *real, const struct fault_state *fault)
{
	(void)real;
	return fault->used && !real->backups[fault->backup].pruned;
}

/* ---- a full volume ---- */

/* The volume of a node's site, or of the store. */
static int volume(struct real *real, const struct entity *entity, char *path, size_t room,
		  struct error *e)
{
	if (entity->kind == ENTITY_STORE) {
		snprintf(path, room, "%s%s", machine_root(real->store_machine), real->store_disk);
		/* Else it is a folder of the host's own disk, which is nobody's to fill. */
		return machines_isolation(real->machines) == MACHINE_NAMESPACES
			       ? 0
			       : error_set(
					 e, ERROR_UNAVAILABLE, NO_PLACE,
					 "the store has no volume of limited size here: this host "
					 "allows no mount namespaces");
	}
	snprintf(path, room, "%s", copies_site_folder(real->copies, entity->site));
	return real->volumes[entity->site]
		       ? 0
		       : error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				   "the site's data have no volume of limited size here: this host "
				   "allows no mount");
}

static void fill_path(struct real *real, const struct fault_state *fault, char *path, size_t room)
{
	struct error ignored = {.kind = ERROR_NONE};
	char folder[COPIES_PATH_MAX];

	volume(real, &fault->effect.entity, folder, sizeof(folder), &ignored);
	snprintf(path, room, "%s/drsim-fill", folder);
}

/* In steps: others write too, and what they take meanwhile must not make it fail. */
static int fill(const char *path, uint64_t bytes, bool whole)
{
	uint64_t at = 0, step = FILL_STEP;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), reason = 0;

	if (fd < 0)
		return errno;
	while (at < bytes || whole) {
		uint64_t now = whole || bytes - at > step ? step : bytes - at;
		reason = posix_fallocate(fd, (off_t)at, (off_t)now);
		if (reason == 0)
			at += now;
		else if (reason == ENOSPC && step > FILL_LEAST)
			step /= 2;
		else if (reason != EINTR)
			break;
	}
	close(fd);
	return reason == ENOSPC ? 0 : reason;
}

int disk_fill(struct real *real, struct fault_state *fault, struct error *e)
{
	char folder[COPIES_PATH_MAX], path[COPIES_PATH_MAX + 16];
	struct statvfs space;

	if (volume(real, &fault->effect.entity, folder, sizeof(folder), e))
		return -1;
	fill_path(real, fault, path, sizeof(path));
	if (statvfs(folder, &space))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot look at %s: %s", folder,
				 strerror(errno));
	double keep_free = (double)space.f_blocks * (double)fault->effect.amount / EFFECT_PPM;
	double blocks = fmax((double)space.f_bavail - keep_free, 0);
	/* The volumes of a drill lie in memory. */
	if (process_require_memory((uint64_t)(blocks * (double)space.f_frsize), e))
		return -1;
	if (effects_note(real, fault,
			 (struct undo){.kind = UNDO_REMOVE, .path = path, .pid = getpid()}, e))
		return -1;
	int reason = fill(path, (uint64_t)(blocks * (double)space.f_frsize), keep_free <= 0);
	return reason ? error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot fill the volume: %s",
				  strerror(reason))
		      : 0;
}

int disk_free(struct real *real, struct fault_state *fault, struct error *e)
{
	char path[COPIES_PATH_MAX + 16];

	fill_path(real, fault, path, sizeof(path));
	if (unlink(path) && errno != ENOENT)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot remove %s: %s", path,
				 strerror(errno));
	return 0;
}

bool disk_filled(struct real *real, const struct fault_state *fault)
{
	char path[COPIES_PATH_MAX + 16];

	fill_path(real, fault, path, sizeof(path));
	return access(path, F_OK) == 0;
}
