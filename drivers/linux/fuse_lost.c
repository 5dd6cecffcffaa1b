/* SPDX-License-Identifier: Apache-2.0 */
/* What was not synced, content: blocks as they were, and the size. */
#include "drivers/linux/fuse_lost.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/linux/fuse_lost_private.h"

#define BUCKETS_FIRST 16

struct lost_block {
	struct lost_block *next; /* in its bucket */
	uint64_t number;
	size_t size;
	unsigned char bytes[];
};

struct lost_file {
	struct lost_file *older, *newer;
	struct fuse_ident ident;
	int fd;
	uint64_t size; /* when it was synced */
	struct lost_block **buckets;
	size_t bucket_count, block_count;
};

struct fuse_ident lost_ident(const struct stat *status)
{
	return (struct fuse_ident){status->st_dev, status->st_ino};
}

static bool same(struct fuse_ident a, struct fuse_ident b)
{
	return a.device == b.device && a.inode == b.inode;
}

/* ---- blocks ---- */

static void forget_blocks(struct fuse_lost *lost, struct lost_file *file)
{
	for (size_t i = 0; i < file->bucket_count; i++)
		while (file->buckets[i]) {
			struct lost_block *block = file->buckets[i];

			file->buckets[i] = block->next;
			lost->bytes -= block->size;
			free(block);
		}
	free(file->buckets);
	file->buckets = NULL;
	file->bucket_count = file->block_count = 0;
}

static bool grow_buckets(struct lost_file *file)
{
	size_t count = file->bucket_count > 0 ? 2 * file->bucket_count : BUCKETS_FIRST;
	struct lost_block **grown = calloc(count, sizeof(void *));

	if (!grown)
		return false;
	for (size_t i = 0; i < file->bucket_count; i++)
		while (file->buckets[i]) {
			struct lost_block *block = file->buckets[i];

			file->buckets[i] = block->next;
			block->next = grown[block->number % count];
			grown[block->number % count] = block;
		}
	free(file->buckets);
	file->buckets = grown;
	file->bucket_count = count;
	return true;
}

static bool has_block(const struct lost_file *file, uint64_t number)
{
	const struct lost_block *block;

	if (file->bucket_count == 0)
		return false;
	for (block = file->buckets[number % file->bucket_count]; block; block = block->next)
		if (block->number == number)
			return true;
	return false;
}

/* false: it cannot be kept. */
static bool keep_block(struct fuse_lost *lost, struct lost_file *file, uint64_t number)
{
	uint64_t offset = number * LOST_BLOCK;
	size_t size = file->size - offset < LOST_BLOCK ? (size_t)(file->size - offset) : LOST_BLOCK;
	struct lost_block *block;

	if (has_block(file, number))
		return true;
	if (file->block_count >= file->bucket_count && !grow_buckets(file))
		return false;
	block = malloc(sizeof(*block) + size);
	if (!block)
		return false;
	if (pread(file->fd, block->bytes, size, (off_t)offset) != (ssize_t)size) {
		free(block);
		return false;
	}
	block->number = number;
	block->size = size;
	block->next = file->buckets[number % file->bucket_count];
	file->buckets[number % file->bucket_count] = block;
	file->block_count++;
	lost->bytes += size;
	return true;
}

/* ---- files ---- */

static void forget_file(struct fuse_lost *lost, struct lost_file *file)
{
	forget_blocks(lost, file);
	if (file->older)
		file->older->newer = file->newer;
	else
		lost->oldest = file->newer;
	if (file->newer)
		file->newer->older = file->older;
	else
		lost->newest = file->older;
	lost->file_count--;
	close(file->fd);
	free(file);
}

static void forget_files(struct fuse_lost *lost)
{
	struct lost_file *newer;

	for (struct lost_file *file = lost->oldest; file; file = newer) {
		newer = file->newer;
		forget_file(lost, file);
	}
}

static void write_back_oldest(struct fuse_lost *lost)
{
	lost->written_back++;
	forget_file(lost, lost->oldest);
}

static struct lost_file *find_file(const struct fuse_lost *lost, struct fuse_ident ident)
{
	struct lost_file *file;

	for (file = lost->newest; file; file = file->older)
		if (same(file->ident, ident))
			return file;
	return NULL;
}

static struct lost_file *note_file(struct fuse_lost *lost, int fd)
{
	struct lost_file *file;
	struct stat status;

	if (fstat(fd, &status) || !S_ISREG(status.st_mode))
		return NULL;
	file = find_file(lost, lost_ident(&status));
	if (file)
		return file;
	while (lost->file_count >= FUSE_UNSYNCED_FILES_MAX)
		write_back_oldest(lost);
	file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->ident = lost_ident(&status);
	file->size = (uint64_t)status.st_size;
	file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (file->fd < 0) {
		free(file);
		return NULL;
	}
	file->older = lost->newest;
	if (lost->newest)
		lost->newest->newer = file;
	else
		lost->oldest = file;
	lost->newest = file;
	lost->file_count++;
	return file;
}

/* Keeps what lies in [offset, end) of what was synced. */
static void keep_range(struct fuse_lost *lost, struct lost_file *file, uint64_t offset,
		       uint64_t end)
{
	if (end > file->size)
		end = file->size;
	for (uint64_t number = offset / LOST_BLOCK; number * LOST_BLOCK < end; number++) {
		while (lost->bytes + LOST_BLOCK > FUSE_UNSYNCED_MAX && lost->oldest != file)
			write_back_oldest(lost);
		if (lost->bytes + LOST_BLOCK <= FUSE_UNSYNCED_MAX && keep_block(lost, file, number))
			continue;
		/* As the kernel does when there is too much of it. */
		lost->written_back++;
		forget_file(lost, file);
		return;
	}
}

void lost_before_write(struct fuse_lost *lost, int fd, uint64_t offset, uint64_t size)
{
	struct lost_file *file = note_file(lost, fd);

	if (file && offset < file->size)
		keep_range(lost, file, offset, offset + size);
}

void lost_before_truncate(struct fuse_lost *lost, int fd, uint64_t size)
{
	struct lost_file *file = note_file(lost, fd);

	if (file && size < file->size)
		keep_range(lost, file, size, file->size);
}

void lost_synced_file(struct fuse_lost *lost, struct fuse_ident ident)
{
	struct lost_file *file = find_file(lost, ident);

	if (file)
		forget_file(lost, file);
}

/* ---- the crash ---- */

static void put_back(struct lost_file *file, struct fuse_loss *ret)
{
	struct stat status;

	if (fstat(file->fd, &status) == 0 && (uint64_t)status.st_size > file->size)
		ret->bytes += (uint64_t)status.st_size - file->size;
	/* First to its length: blocks behind the end of a shortened file come back with it. */
	if (ftruncate(file->fd, (off_t)file->size))
		return;
	for (size_t i = 0; i < file->bucket_count; i++)
		for (const struct lost_block *block = file->buckets[i]; block; block = block->next)
			if (pwrite(file->fd, block->bytes, block->size,
				   (off_t)(block->number * LOST_BLOCK)) > 0)
				ret->bytes += block->size;
	ret->files++;
}

void lost_crash(struct fuse_lost *lost, struct fuse_loss *ret)
{
	/* Content before names: a removed file gets its name back with its old content. */
	for (struct lost_file *file = lost->oldest; file; file = file->newer)
		put_back(file, ret);
	forget_files(lost);
	lost_names_crash(lost, ret);
	ret->written_back += lost->written_back;
	lost->written_back = 0;
}

void lost_forget_all(struct fuse_lost *lost)
{
	forget_files(lost);
	lost_synced_names(lost);
	lost->written_back = 0;
}
