/* SPDX-License-Identifier: Apache-2.0 */
/* Reading all I/O logs of a site: an index by sequence number that grows with the files. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/minilepton/iolog.h"
#include "sim/minilepton/record.h"

#define WINDOW ((size_t)256 << 10) /* bytes of a log read at once; more than a line has */

_Static_assert(WINDOW > RECORD_LINE_MAX, "a window holds a line");

/* Where a record stands. */
struct entry {
	uint64_t seq, offset;
	uint32_t file, size; /* without the newline */
};

struct file {
	char name[NAME_MAX + 1];
	int fd;
	dev_t device;
	ino_t inode;
	uint64_t indexed;     /* bytes, up to a newline */
	uint64_t damaged;     /* lines */
	bool there, skipping; /* skipping: in a line that is too long to be one */
	/* The bytes read last. */
	char *window;
	uint64_t window_at;
	size_t window_size;
};

struct iolog_reader {
	char dir[PATH_MAX];
	struct file files[IOLOG_FILES_MAX];
	size_t file_count;
	struct entry *entries; /* the first `sorted` are in order */
	size_t count, sorted, room;
};

int iolog_reader_open(const char *dir, struct iolog_reader **ret_reader, struct error *e)
{
	struct iolog_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for the I/O logs");
	if (snprintf(reader->dir, sizeof(reader->dir), "%s", dir) >= (int)sizeof(reader->dir)) {
		free(reader);
		return error_set(e, ERROR_USAGE, NO_PLACE, "the path of the I/O logs is too long");
	}
	*ret_reader = reader;
	return 0;
}

static void file_close(struct file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	free(file->window);
	file->window = NULL;
	file->window_size = 0;
}

void iolog_reader_close(struct iolog_reader *reader)
{
	for (size_t i = 0; i < reader->file_count; i++)
		file_close(&reader->files[i]);
	free(reader->entries);
	free(reader);
}

uint64_t iolog_damaged(const struct iolog_reader *reader)
{
	uint64_t damaged = 0;

	for (size_t i = 0; i < reader->file_count; i++)
		damaged += reader->files[i].damaged;
	return damaged;
}

/* ---- the index ---- */

static int entry_add(struct iolog_reader *reader, struct entry entry, struct error *e)
{
	if (reader->count == IOLOG_RECORDS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %zu records",
				 IOLOG_RECORDS_MAX);
	if (reader->count == reader->room) {
		size_t room = reader->room > 0 ? reader->room * 2 : 1024;
		struct entry *entries = realloc(reader->entries, room * sizeof(*entries));

		if (!entries)
			return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for the I/O logs");
		reader->entries = entries;
		reader->room = room;
	}
	reader->entries[reader->count++] = entry;
	return 0;
}

/* Forgets all of a file, to read it from its start again. */
static void file_forget(struct iolog_reader *reader, size_t file)
{
	size_t kept = 0, sorted = 0;

	for (size_t i = 0; i < reader->count; i++) {
		if (reader->entries[i].file == file)
			continue;
		sorted += i < reader->sorted;
		reader->entries[kept++] = reader->entries[i];
	}
	reader->count = kept;
	reader->sorted = sorted;
	reader->files[file].indexed = 0;
	reader->files[file].damaged = 0;
	reader->files[file].skipping = false;
	reader->files[file].window_size = 0;
}

/* Bytes of the file at `offset`, at least `wanted` unless it ends; from the window where it can. */
static ssize_t file_bytes(struct file *file, uint64_t offset, size_t wanted, bool anew,
			  const char **ret)
{
	if (!file->window) {
		file->window = malloc(WINDOW);
		if (!file->window)
			return -1;
	}
	if (anew || offset < file->window_at ||
	    offset + wanted > file->window_at + file->window_size) {
		ssize_t got = pread(file->fd, file->window, WINDOW, (off_t)offset);

		file->window_size = got > 0 ? (size_t)got : 0;
		file->window_at = offset;
		if (got < 0)
			return -1;
	}
	*ret = file->window + (offset - file->window_at);
	return (ssize_t)(file->window_size - (size_t)(offset - file->window_at));
}

/* The lines of `bytes`; *ret_used is what they take. */
static int lines_index(struct iolog_reader *reader, size_t number, const char *bytes, size_t size,
		       size_t *ret_used, struct error *e)
{
	struct file *file = &reader->files[number];
	size_t used = 0;

	while (used < size) {
		const char *line = bytes + used, *end = memchr(line, '\n', size - used);
		struct entry entry = {.offset = file->indexed + used, .file = (uint32_t)number};
		size_t length;

		if (!end)
			break;
		length = (size_t)(end - line);
		used += length + 1;
		entry.size = (uint32_t)length;
		if (file->skipping || length >= RECORD_LINE_MAX ||
		    record_parse_seq(line, length, &entry.seq))
			file->damaged++;
		else if (entry_add(reader, entry, e))
			return -1;
		file->skipping = false;
	}
	*ret_used = used;
	return 0;
}

/* What has come to the file since the last time. */
static int file_index(struct iolog_reader *reader, size_t number, struct error *e)
{
	struct file *file = &reader->files[number];

	for (;;) {
		const char *bytes;
		ssize_t got = file_bytes(file, file->indexed, WINDOW, true, &bytes);
		size_t used = 0;

		if (got < 0)
			return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", file->name,
					 strerror(errno));
		if (lines_index(reader, number, bytes, (size_t)got, &used, e))
			return -1;
		if (used == 0 && (size_t)got == WINDOW) {
			/* No line is as long as that: its end is looked for, the rest is lost. */
			file->skipping = true;
			used = WINDOW;
		}
		file->indexed += used;
		if (used == 0 || (size_t)got < WINDOW)
			return 0;
	}
}

/* ---- the files ---- */

static struct file *file_find(struct iolog_reader *reader, const char *name, struct error *e)
{
	struct file *file;

	for (size_t i = 0; i < reader->file_count; i++)
		if (strcmp(reader->files[i].name, name) == 0)
			return &reader->files[i];
	if (reader->file_count == IOLOG_FILES_MAX) {
		error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d I/O logs", IOLOG_FILES_MAX);
		return NULL;
	}
	file = &reader->files[reader->file_count++];
	snprintf(file->name, sizeof(file->name), "%s", name);
	file->fd = -1;
	return file;
}

/* Opens the file, anew when another one has its name now; forgets what is no longer in it. */
static int file_refresh(struct iolog_reader *reader, struct file *file, struct error *e)
{
	char path[PATH_MAX + NAME_MAX + 2];
	size_t number = (size_t)(file - reader->files);
	struct stat status;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", reader->dir, file->name);
	file->there = true;
	if (file->fd >= 0 && stat(path, &status) == 0 && status.st_dev == file->device &&
	    status.st_ino == file->inode) {
		if ((uint64_t)status.st_size < file->indexed)
			file_forget(reader, number);
		return file_index(reader, number, e);
	}
	file_forget(reader, number);
	file_close(file);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return 0; /* it went in between */
	if (fd < 0 || fstat(fd, &status)) {
		error_set(e, ERROR_IO, NO_PLACE, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	file->fd = fd;
	file->device = status.st_dev;
	file->inode = status.st_ino;
	return file_index(reader, number, e);
}

static bool is_log(const char *name)
{
	size_t length = strlen(name), suffix = sizeof(IOLOG_SUFFIX) - 1;

	return length > suffix && strcmp(name + length - suffix, IOLOG_SUFFIX) == 0;
}

static int entry_order(const void *left, const void *right, void *self)
{
	const struct iolog_reader *reader = self;
	const struct entry *a = left, *b = right;

	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	if (a->file != b->file)
		return strcmp(reader->files[a->file].name, reader->files[b->file].name);
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* Puts the new entries in their places; they are few and mostly behind all others. */
static int sort(struct iolog_reader *reader, struct error *e)
{
	struct entry *all = reader->entries, *fresh;
	size_t added = reader->count - reader->sorted, left = reader->sorted;

	if (added == 0)
		return 0;
	qsort_r(all + reader->sorted, added, sizeof(*all), entry_order, reader);
	if (left == 0 || entry_order(&all[left - 1], &all[left], reader) <= 0) {
		reader->sorted = reader->count;
		return 0;
	}
	fresh = malloc(added * sizeof(*fresh));
	if (!fresh)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for the I/O logs");
	memcpy(fresh, all + left, added * sizeof(*fresh));
	for (size_t to = reader->count; added > 0;) {
		if (left > 0 && entry_order(&all[left - 1], &fresh[added - 1], reader) > 0)
			all[--to] = all[--left];
		else
			all[--to] = fresh[--added];
	}
	free(fresh);
	reader->sorted = reader->count;
	return 0;
}

static int refresh(struct iolog_reader *reader, struct error *e)
{
	DIR *folder = opendir(reader->dir);
	const struct dirent *entry;
	int rc = 0;

	if (!folder)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", reader->dir, strerror(errno));
	for (size_t i = 0; i < reader->file_count; i++)
		reader->files[i].there = false;
	while (rc == 0 && (entry = readdir(folder))) {
		struct file *file;

		if (!is_log(entry->d_name))
			continue;
		file = file_find(reader, entry->d_name, e);
		rc = file ? file_refresh(reader, file, e) : -1;
	}
	closedir(folder);
	if (rc)
		return -1;
	for (size_t i = 0; i < reader->file_count; i++) {
		if (reader->files[i].there)
			continue;
		file_forget(reader, i);
		file_close(&reader->files[i]);
	}
	return sort(reader, e);
}

/* ---- the answer ---- */

struct answer {
	char *text;
	size_t size, room;
};

static int answer_room(struct answer *answer, size_t more, struct error *e)
{
	size_t room = answer->room > 0 ? answer->room : 4096;
	char *text;

	if (answer->size + more > IOLOG_ANSWER_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "more than %zu bytes of records: ask for fewer", IOLOG_ANSWER_MAX);
	while (room < answer->size + more)
		room *= 2;
	if (room == answer->room)
		return 0;
	text = realloc(answer->text, room);
	if (!text)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for records");
	answer->text = text;
	answer->room = room;
	return 0;
}

/* One record; *ret_moved tells that something else stands in its place by now. */
static int record_add(struct iolog_reader *reader, const struct entry *entry, struct answer *answer,
		      bool *ret_moved, struct error *e)
{
	struct file *file = &reader->files[entry->file];
	struct record record;
	const char *line;
	ssize_t got = file_bytes(file, entry->offset, entry->size + 1, false, &line);
	uint64_t seq;

	if (got < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", file->name, strerror(errno));
	if ((size_t)got <= entry->size || line[entry->size] != '\n' ||
	    record_parse_seq(line, entry->size, &seq) || seq != entry->seq) {
		*ret_moved = true;
		return 0;
	}
	if (answer_room(answer, RECORD_HEAD_MAX + entry->size, e))
		return -1;
	if (record_parse_line(line, entry->size, &record, NULL) == 0)
		answer->size += record_print(&record, answer->text + answer->size);
	else
		answer->size += (size_t)snprintf(answer->text + answer->size, RECORD_HEAD_MAX,
						 "%" PRIu64 " - 0 BAD %.*s \n", seq,
						 RECORD_ANSWER_SIZE, "0000000000000000");
	return 0;
}

static size_t entry_first(const struct iolog_reader *reader, uint64_t seq)
{
	size_t low = 0, high = reader->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (reader->entries[middle].seq < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int collect(struct iolog_reader *reader, uint64_t from, uint64_t count,
		   struct answer *answer, bool *ret_moved, struct error *e)
{
	answer->size = 0;
	/* The bytes may have changed since they were read last: a fault, or a repair. */
	for (size_t i = 0; i < reader->file_count; i++)
		reader->files[i].window_size = 0;
	for (size_t i = entry_first(reader, from); i < reader->count; i++) {
		if (reader->entries[i].seq - from >= count)
			break;
		if (record_add(reader, &reader->entries[i], answer, ret_moved, e))
			return -1;
	}
	return 0;
}

int iolog_read(struct iolog_reader *reader, uint64_t from, uint64_t count, char **ret_text,
	       size_t *ret_size, struct error *e)
{
	struct answer answer = {0};
	bool moved = false;

	assert(count <= IOLOG_ASKED_MAX);
	if (refresh(reader, e) || answer_room(&answer, 1, e) ||
	    collect(reader, from, count, &answer, &moved, e))
		goto out;
	if (moved) {
		/* A file was cut and written again under our eyes: all is read from its start. */
		for (size_t i = 0; i < reader->file_count; i++)
			file_forget(reader, i);
		if (refresh(reader, e) || collect(reader, from, count, &answer, &moved, e))
			goto out;
	}
	*ret_text = answer.text;
	*ret_size = answer.size;
	return 0;
out:
	free(answer.text);
	return -1;
}
