/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of a layer on open files, and what a sync means. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/linux/fuse_private.h"

#define MAPPED_USUALLY "*-shm"

struct fuse_handle *fuse_handle_of(const struct fuse_file_info *info)
{
	return (struct fuse_handle *)(uintptr_t)info->fh;
}

struct fuse_handle *fuse_handle_open(struct fuse_layer *layer, int fd, DIR *dir,
				     struct fuse_file_info *info)
{
	struct fuse_handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	handle->fd = fd;
	handle->dir = dir;
	handle->next = layer->handles;
	handle->at = &layer->handles;
	if (handle->next)
		handle->next->at = &handle->next;
	layer->handles = handle;
	info->fh = (uint64_t)(uintptr_t)handle;
	return handle;
}

void fuse_handle_close(struct fuse_handle *handle)
{
	*handle->at = handle->next;
	if (handle->next)
		handle->next->at = handle->at;
	if (handle->dir)
		closedir(handle->dir);
	else
		close(handle->fd);
	free(handle);
}

/* Its paths now: a file may have been renamed since it was opened. */
static uint32_t paths_of(struct fuse_layer *layer, const struct fuse_handle *handle)
{
	return fuse_paths_of(layer, handle->node, NULL);
}

/* ---- what waits for a sync ---- */

/* The operation of LOST_FSYNC that these paths are in the reach of; counts it. */
static bool tracked(struct fuse_layer *layer, uint32_t paths, bool names)
{
	bool found = false;

	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++) {
		struct fuse_rule *rule = &layer->rules.slots[i];

		if (!(layer->rules.tracks & paths & (uint32_t)1 << i))
			continue;
		if (rule->fault.kind != FUSE_FAULT_LOST_FSYNC) {
			found = found || !names;
			continue;
		}
		if (names && rule->fault.data_only)
			continue;
		atomic_fetch_add_explicit(&rule->tally->matched, 1, memory_order_relaxed);
		found = true;
	}
	return found;
}

bool fuse_tracks_names(struct fuse_layer *layer, uint32_t paths)
{
	return (layer->rules.tracks & paths) && tracked(layer, paths, true);
}

static bool tracks_content(struct fuse_layer *layer, uint32_t paths)
{
	return (layer->rules.tracks & paths) && tracked(layer, paths, false);
}

/* Does a sync of something with these paths do nothing? */
static bool sync_lies(struct fuse_layer *layer, uint32_t paths)
{
	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++) {
		struct fuse_rule *rule = &layer->rules.slots[i];

		if ((layer->rules.tracks & paths & (uint32_t)1 << i) &&
		    rule->fault.kind == FUSE_FAULT_LOST_FSYNC && rule->fault.fsync_lies) {
			fuse_rule_acted(rule);
			return true;
		}
	}
	return false;
}

static bool names_follow(const struct fuse_layer *layer)
{
	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++) {
		const struct fuse_rule *rule = &layer->rules.slots[i];

		if ((layer->rules.tracks & (uint32_t)1 << i) &&
		    rule->fault.kind == FUSE_FAULT_LOST_FSYNC && rule->fault.names_follow)
			return true;
	}
	return false;
}

int fuse_sync(struct fuse_layer *layer, uint32_t paths, int fd, bool data_only)
{
	struct stat status;

	if (sync_lies(layer, paths))
		return 0;
	if (data_only ? fdatasync(fd) : fsync(fd))
		return errno;
	if (layer->rules.tracks == 0 || fstat(fd, &status))
		return 0;
	if (S_ISDIR(status.st_mode))
		lost_synced_folder(&layer->lost, lost_ident(&status));
	else
		lost_synced_file(&layer->lost, lost_ident(&status));
	if (names_follow(layer))
		lost_synced_names(&layer->lost);
	torn_synced(layer, paths);
	return 0;
}

/* ---- open and close ---- */

static bool goes_through_cache(const struct fuse_layer *layer, const struct fuse_node *node,
			       const char *name)
{
	if (!name)
		name = node->name ? node->name : "";
	return fnmatch(layer->mapped ? layer->mapped : MAPPED_USUALLY, name, 0) == 0;
}

/* Before images are read through the same descriptor: whoever writes gets one that reads too. */
static int below_flags(int flags)
{
	int kept = flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_DIRECT |
			     O_NOFOLLOW | O_SYNC | O_DSYNC | O_ACCMODE);

	return kept | O_CLOEXEC | ((flags & O_ACCMODE) == O_RDONLY ? O_RDONLY : O_RDWR);
}

int files_reopen(struct fuse_layer *layer, struct fuse_node *node, int flags)
{
	char path[FUSE_LINE_MAX];
	int fd = nodes_fd(&layer->nodes, node), opened;

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	opened = open(path, below_flags(flags));
	/* A file that may be written and not read. */
	if (opened < 0 && errno == EACCES && (flags & O_ACCMODE) == O_WRONLY)
		opened = open(path, (below_flags(flags) & ~O_ACCMODE) | O_WRONLY);
	return opened;
}

static bool give_handle(struct fuse_layer *layer, struct fuse_node *node, const char *name, int fd,
			struct fuse_file_info *info)
{
	struct fuse_handle *handle = fuse_handle_open(layer, fd, NULL, info);

	if (!handle)
		return false;
	handle->node = node;
	handle->mapped = goes_through_cache(layer, node, name);
	info->direct_io = !handle->mapped;
	info->keep_cache = 0;
	/* Not one: a process that ends would wait for the answer, even when it is the server. */
	info->noflush = 1;
	return true;
}

void files_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	struct fuse_layer *layer = fuse_of(request);
	struct fuse_node *node = nodes_at(&layer->nodes, number);
	int fd = files_reopen(layer, node, info->flags);

	if (fd < 0) {
		fuse_reply_err(request, errno);
	} else if (!give_handle(layer, node, NULL, fd, info)) {
		close(fd);
		fuse_reply_err(request, ENOMEM);
	} else if (fuse_reply_open(request, info)) {
		/* Whoever asked is gone: nobody will close it. */
		fuse_handle_close(fuse_handle_of(info));
	}
}

void files_release(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	(void)number;
	fuse_handle_close(fuse_handle_of(info));
	fuse_reply_err(request, 0);
}

/* Makes it, or opens what is there. A descriptor, or -1 with errno. */
static int make_or_open(struct fuse_layer *layer, struct fuse_node *parent, const char *name,
			mode_t mode, int flags, const struct fuse_ctx *user)
{
	int folder = nodes_fd(&layer->nodes, parent), fd;
	const int how = below_flags(flags) | O_NOFOLLOW;

	if (folder < 0)
		return -1;
	fd = openat(folder, name, how | O_CREAT | O_EXCL, mode);
	if (fd < 0 && errno == EEXIST && !(flags & O_EXCL)) {
		fd = openat(folder, name, how);
		if (fd >= 0 && (flags & O_TRUNC)) {
			if (tracks_content(layer, fuse_paths_of(layer, parent, name)))
				lost_before_truncate(&layer->lost, fd, 0);
			if (ftruncate(fd, 0)) {
				close(fd);
				return -1;
			}
		}
		return fd;
	}
	if (fd < 0)
		return -1;
	if ((user->uid != layer->user || user->gid != layer->group) &&
	    fchown(fd, user->uid, user->gid)) {
		close(fd);
		unlinkat(folder, name, 0);
		errno = EPERM;
		return -1;
	}
	if (fuse_tracks_names(layer, fuse_paths_of(layer, parent, name)))
		lost_made(&layer->lost, folder, name);
	return fd;
}

void files_create(fuse_req_t request, fuse_ino_t number, const char *name, mode_t mode,
		  struct fuse_file_info *info)
{
	struct fuse_layer *layer = fuse_of(request);
	struct fuse_node *parent = nodes_at(&layer->nodes, number), *node;
	struct fuse_entry_param entry = {.generation = 1};
	int fd = make_or_open(layer, parent, name, mode, info->flags, fuse_req_ctx(request)), rc;

	if (fd < 0) {
		fuse_reply_err(request, errno);
		return;
	}
	rc = nodes_lookup(&layer->nodes, parent, name, &entry.attr, &node);
	if (rc) {
		close(fd);
		fuse_reply_err(request, rc);
		return;
	}
	entry.ino = nodes_number(&layer->nodes, node);
	if (!give_handle(layer, node, name, fd, info)) {
		close(fd);
		nodes_forget(&layer->nodes, node, 1);
		fuse_reply_err(request, ENOMEM);
	} else if (fuse_reply_create(request, &entry, info)) {
		fuse_handle_close(fuse_handle_of(info));
		nodes_forget(&layer->nodes, node, 1);
	}
}

/* ---- reading and writing ---- */

void files_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
		struct fuse_file_info *info)
{
	struct fuse_layer *layer = fuse_of(request);
	struct fuse_handle *handle = fuse_handle_of(info);
	size_t done = 0;

	(void)number;
	if (size > layer->buffer_size)
		size = layer->buffer_size;
	while (done < size) {
		ssize_t got =
			pread(handle->fd, layer->answer + done, size - done, offset + (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && done == 0) {
			fuse_reply_err(request, errno);
			return;
		}
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	if (layer->rules.reads) {
		uint32_t paths = paths_of(layer, handle);

		fuse_rules_flip(&layer->rules, paths, handle->node->hash, (uint64_t)offset,
				layer->answer, done);
	}
	fuse_reply_buf(request, (const char *)layer->answer, done);
}

/* Where a write goes: the file below may have grown since the kernel looked at its size. */
static off_t place_of(const struct fuse_handle *handle, off_t offset,
		      const struct fuse_file_info *info)
{
	struct stat status;

	if (!(info->flags & O_APPEND) || handle->mapped || fstat(handle->fd, &status))
		return offset;
	return status.st_size;
}

static ssize_t write_all(int fd, const char *bytes, size_t size, off_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t put = pwrite(fd, bytes + done, size - done, offset + (off_t)done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && done == 0)
			return -1;
		if (put <= 0)
			break;
		done += (size_t)put;
	}
	return (ssize_t)done;
}

void files_write(fuse_req_t request, fuse_ino_t number, const char *bytes, size_t size,
		 off_t offset, struct fuse_file_info *info)
{
	struct fuse_layer *layer = fuse_of(request);
	struct fuse_handle *handle = fuse_handle_of(info);
	ssize_t done;
	int rc = 0;

	(void)number;
	offset = place_of(handle, offset, info);
	if (layer->rules.tracks && tracks_content(layer, paths_of(layer, handle)))
		lost_before_write(&layer->lost, handle->fd, (uint64_t)offset, size);
	done = write_all(handle->fd, bytes, size, offset);
	if (done < 0) {
		fuse_reply_err(request, errno);
		return;
	}
	if (info->flags & (O_SYNC | O_DSYNC))
		rc = fuse_sync(layer, paths_of(layer, handle), handle->fd, true);
	if (rc)
		fuse_reply_err(request, rc);
	else
		fuse_reply_write(request, (size_t)done);
}

void files_fsync(fuse_req_t request, fuse_ino_t number, int datasync, struct fuse_file_info *info)
{
	struct fuse_layer *layer = fuse_of(request);
	const struct fuse_handle *handle = fuse_handle_of(info);

	(void)number;
	fuse_reply_err(request,
		       fuse_sync(layer, paths_of(layer, handle), handle->fd, datasync != 0));
}

/* Everything that changes a range: as a write over it. */
void files_allocate(fuse_req_t request, fuse_ino_t number, int mode, off_t offset, off_t length,
		    struct fuse_file_info *info)
{
	struct fuse_layer *layer = fuse_of(request);
	const struct fuse_handle *handle = fuse_handle_of(info);

	/* Some modes move all that comes after; the usual ones change nothing but the size. */
	uint64_t changed = mode & ~FALLOC_FL_KEEP_SIZE ? (uint64_t)INT64_MAX - (uint64_t)offset : 0;

	(void)number;
	if (layer->rules.tracks && tracks_content(layer, paths_of(layer, handle)))
		lost_before_write(&layer->lost, handle->fd, (uint64_t)offset, changed);
	fuse_reply_err(request, fallocate(handle->fd, mode, offset, length) ? errno : 0);
}

int files_truncate(struct fuse_layer *layer, struct fuse_node *node, off_t size,
		   const struct fuse_file_info *info)
{
	uint32_t paths = fuse_paths_of(layer, node, NULL);
	int fd = info ? fuse_handle_of(info)->fd : files_reopen(layer, node, O_RDWR), rc;

	if (fd < 0)
		return errno;
	if (layer->rules.tracks && tracks_content(layer, paths))
		lost_before_truncate(&layer->lost, fd, (uint64_t)size);
	rc = ftruncate(fd, size) ? errno : 0;
	if (!info)
		close(fd);
	return rc;
}

void files_seek(fuse_req_t request, fuse_ino_t number, off_t offset, int whence,
		struct fuse_file_info *info)
{
	off_t at = lseek(fuse_handle_of(info)->fd, offset, whence);

	(void)number;
	if (at < 0)
		fuse_reply_err(request, errno);
	else
		fuse_reply_lseek(request, at);
}
