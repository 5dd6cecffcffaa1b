/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was not synced, and how it goes back: everything is done to the folder below at once, and
 * what was there before is kept until a sync. A crash puts it back. So whoever dies, what was
 * synced is in the folder. Knows nothing of FUSE; one thread.
 */
#ifndef DRIVERS_LINUX_FUSE_LOST_H
#define DRIVERS_LINUX_FUSE_LOST_H

#include <sys/stat.h>

#include "drivers/linux/fuse.h"

/* A file or folder, whatever its name. */
struct fuse_ident {
	uint64_t device, inode;
};

struct lost_file;
struct lost_name;
struct lost_folder;

/* {0} to use. What it keeps is in memory of its own, given back by lost_forget_all(). */
struct fuse_lost {
	struct lost_file *oldest, *newest;
	struct lost_name *first, *last; /* in the order of their doing */
	struct lost_folder *folders;
	size_t bytes, file_count, name_count;
	uint64_t written_back;
};

struct fuse_ident lost_ident(const struct stat *status);

/*
 * ---- content ----
 * `fd` is open for reading and writing. Before `size` bytes at `offset` are overwritten, and before
 * the file gets the size `size`. They never fail: what cannot be kept counts as synced.
 */
void lost_before_write(struct fuse_lost *lost, int fd, uint64_t offset, uint64_t size);
void lost_before_truncate(struct fuse_lost *lost, int fd, uint64_t size);
void lost_synced_file(struct fuse_lost *lost, struct fuse_ident file);

/*
 * ---- names ----
 * `folder`: a descriptor of it, O_PATH will do. made: after it was made. removed: before, which
 * gives a mark for lost_take_back() when the removal failed. renamed: after, with what it was
 * renamed over noted as removed before. NULL: it could not be kept, and counts as synced.
 */
struct lost_name *lost_made(struct fuse_lost *lost, int folder, const char *name);
struct lost_name *lost_removed(struct fuse_lost *lost, int folder, const char *name);
struct lost_name *lost_renamed(struct fuse_lost *lost, int folder, const char *name, int new_folder,
			       const char *new_name, bool exchanged);
void lost_take_back(struct fuse_lost *lost, struct lost_name *name);
void lost_synced_folder(struct fuse_lost *lost, struct fuse_ident folder);
void lost_synced_names(struct fuse_lost *lost);

/* Puts everything back. Adds to *ret. */
void lost_crash(struct fuse_lost *lost, struct fuse_loss *ret);
/* Everything counts as synced. */
void lost_forget_all(struct fuse_lost *lost);

#endif
