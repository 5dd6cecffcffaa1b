/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of a layer on names, folders and attributes, and the table of all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "drivers/linux/fuse_private.h"

struct fuse_layer *fuse_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

static struct fuse_node *node_of(struct fuse_layer *layer, fuse_ino_t number)
{
	return nodes_at(&layer->nodes, number);
}

/* Its descriptor; -1: the request was answered. */
static int fd_of(fuse_req_t request, fuse_ino_t number)
{
	struct fuse_layer *layer = fuse_of(request);
	int fd = nodes_fd(&layer->nodes, node_of(layer, number));

	if (fd < 0)
		fuse_reply_err(request, errno);
	return fd;
}

static void answer(fuse_req_t request, int rc)
{
	fuse_reply_err(request, rc ? errno : 0);
}

static uint32_t paths_of(struct fuse_layer *layer, fuse_ino_t number, const char *name)
{
	return fuse_paths_of(layer, node_of(layer, number), name);
}

static bool tracks(struct fuse_layer *layer, fuse_ino_t number, const char *name)
{
	return layer->rules.tracks && fuse_tracks_names(layer, paths_of(layer, number, name));
}

/* ---- looking ---- */

static void start(void *self, struct fuse_conn_info *connection)
{
	(void)self;
	/* A cut at the opening comes as an operation of its own; nothing is kept back by the
	 * kernel. */
	connection->want &= ~(unsigned)(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE |
					FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ |
					FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_READDIRPLUS);
}

static void reply_entry(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_layer *layer = fuse_of(request);
	struct fuse_entry_param entry = {.generation = 1};
	struct fuse_node *node;
	int rc = nodes_lookup(&layer->nodes, node_of(layer, parent), name, &entry.attr, &node);

	if (rc) {
		fuse_reply_err(request, rc);
		return;
	}
	entry.ino = nodes_number(&layer->nodes, node);
	/* Whoever asked is gone: the kernel does not know the node. */
	if (fuse_reply_entry(request, &entry))
		nodes_forget(&layer->nodes, node, 1);
}

static void forget_one(fuse_req_t request, fuse_ino_t number, uint64_t lookups)
{
	struct fuse_layer *layer = fuse_of(request);

	nodes_forget(&layer->nodes, node_of(layer, number), lookups);
	fuse_reply_none(request);
}

static void forget_many(fuse_req_t request, size_t count, struct fuse_forget_data *forgets)
{
	struct fuse_layer *layer = fuse_of(request);

	for (size_t i = 0; i < count; i++)
		nodes_forget(&layer->nodes, node_of(layer, forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(request);
}

static void get_attributes(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	int fd = fd_of(request, number);
	struct stat status;

	(void)info;
	if (fd < 0)
		return;
	if (fstat(fd, &status))
		fuse_reply_err(request, errno);
	else
		fuse_reply_attr(request, &status, 0);
}

static void read_link(fuse_req_t request, fuse_ino_t number)
{
	char text[PATH_MAX + 1];
	int fd = fd_of(request, number);
	ssize_t size;

	if (fd < 0)
		return;
	size = readlinkat(fd, "", text, sizeof(text) - 1);
	if (size < 0) {
		fuse_reply_err(request, errno);
		return;
	}
	text[size] = '\0';
	fuse_reply_readlink(request, text);
}

static void get_space(fuse_req_t request, fuse_ino_t number)
{
	struct statvfs space;

	(void)number;
	if (fstatvfs(fuse_of(request)->below, &space))
		fuse_reply_err(request, errno);
	else
		fuse_reply_statfs(request, &space);
}

/* ---- attributes ---- */

static struct timespec time_of(int to_set, int any, int now, struct timespec time)
{
	if (to_set & now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	return to_set & any ? time : (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int set_all(struct fuse_layer *layer, struct fuse_node *node, int fd, const char *path,
		   const struct stat *wanted, int to_set, const struct fuse_file_info *info)
{
	const struct timespec times[2] = {
		time_of(to_set, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW, wanted->st_atim),
		time_of(to_set, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW, wanted->st_mtim),
	};
	const int any_time = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |
			     FUSE_SET_ATTR_MTIME_NOW;
	int rc;

	if ((to_set & FUSE_SET_ATTR_MODE) && chmod(path, wanted->st_mode))
		return errno;
	if ((to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) &&
	    fchownat(fd, "", to_set & FUSE_SET_ATTR_UID ? wanted->st_uid : (uid_t)-1,
		     to_set & FUSE_SET_ATTR_GID ? wanted->st_gid : (gid_t)-1,
		     AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return errno;
	if (to_set & FUSE_SET_ATTR_SIZE) {
		rc = files_truncate(layer, node, wanted->st_size, info);
		if (rc)
			return rc;
	}
	return (to_set & any_time) && utimensat(AT_FDCWD, path, times, 0) ? errno : 0;
}

static void set_attributes(fuse_req_t request, fuse_ino_t number, struct stat *wanted, int to_set,
			   struct fuse_file_info *info)
{
	struct fuse_layer *layer = fuse_of(request);
	int fd = fd_of(request, number), rc;
	char path[FUSE_LINE_MAX];
	struct stat status;

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = set_all(layer, node_of(layer, number), fd, path, wanted, to_set, info);
	if (rc == 0 && fstat(fd, &status))
		rc = errno;
	if (rc)
		fuse_reply_err(request, rc);
	else
		fuse_reply_attr(request, &status, 0);
}

static void get_extended(fuse_req_t request, fuse_ino_t number, const char *name, size_t size)
{
	struct fuse_layer *layer = fuse_of(request);
	int fd = fd_of(request, number);
	char path[FUSE_LINE_MAX];
	ssize_t got;

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (size > layer->buffer_size)
		size = layer->buffer_size;
	got = name ? getxattr(path, name, layer->answer, size)
		   : listxattr(path, (char *)layer->answer, size);
	if (got < 0)
		fuse_reply_err(request, errno);
	else if (size == 0)
		fuse_reply_xattr(request, (size_t)got);
	else
		fuse_reply_buf(request, (const char *)layer->answer, (size_t)got);
}

static void list_extended(fuse_req_t request, fuse_ino_t number, size_t size)
{
	get_extended(request, number, NULL, size);
}

static void set_extended(fuse_req_t request, fuse_ino_t number, const char *name, const char *value,
			 size_t size, int flags)
{
	int fd = fd_of(request, number);
	char path[FUSE_LINE_MAX];

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	answer(request, setxattr(path, name, value, size, flags));
}

static void remove_extended(fuse_req_t request, fuse_ino_t number, const char *name)
{
	int fd = fd_of(request, number);
	char path[FUSE_LINE_MAX];

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	answer(request, removexattr(path, name));
}

/* ---- names ---- */

/* What was just made belongs to who asked for it. */
static void made(fuse_req_t request, fuse_ino_t parent, int folder, const char *name, int rc)
{
	struct fuse_layer *layer = fuse_of(request);
	const struct fuse_ctx *user = fuse_req_ctx(request);

	if (rc) {
		fuse_reply_err(request, errno);
		return;
	}
	if ((user->uid != layer->user || user->gid != layer->group) &&
	    fchownat(folder, name, user->uid, user->gid, AT_SYMLINK_NOFOLLOW)) {
		fuse_reply_err(request, errno);
		return;
	}
	if (tracks(layer, parent, name))
		lost_made(&layer->lost, folder, name);
	reply_entry(request, parent, name);
}

static void make_node(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
		      dev_t device)
{
	int folder = fd_of(request, parent);

	if (folder >= 0)
		made(request, parent, folder, name, mknodat(folder, name, mode, device));
}

static void make_folder(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
	int folder = fd_of(request, parent);

	if (folder >= 0)
		made(request, parent, folder, name, mkdirat(folder, name, mode));
}

static void make_symlink(fuse_req_t request, const char *text, fuse_ino_t parent, const char *name)
{
	int folder = fd_of(request, parent);

	if (folder >= 0)
		made(request, parent, folder, name, symlinkat(text, folder, name));
}

static void make_link(fuse_req_t request, fuse_ino_t number, fuse_ino_t parent, const char *name)
{
	struct fuse_layer *layer = fuse_of(request);
	int fd = fd_of(request, number), folder;
	char path[FUSE_LINE_MAX];

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	folder = fd_of(request, parent);
	if (folder < 0)
		return;
	if (linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW)) {
		fuse_reply_err(request, errno);
		return;
	}
	if (tracks(layer, parent, name))
		lost_made(&layer->lost, folder, name);
	reply_entry(request, parent, name);
}

static void remove_name(fuse_req_t request, fuse_ino_t parent, const char *name, int flags)
{
	struct fuse_layer *layer = fuse_of(request);
	int folder = fd_of(request, parent), rc;
	struct lost_name *lost = NULL;

	if (folder < 0)
		return;
	if (tracks(layer, parent, name))
		lost = lost_removed(&layer->lost, folder, name);
	nodes_unname(&layer->nodes, node_of(layer, parent), name);
	rc = unlinkat(folder, name, flags) ? errno : 0;
	if (rc)
		lost_take_back(&layer->lost, lost);
	fuse_reply_err(request, rc);
}

static void remove_file(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	remove_name(request, parent, name, 0);
}

static void remove_folder(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	remove_name(request, parent, name, AT_REMOVEDIR);
}

static void rename_it(fuse_req_t request, fuse_ino_t parent, const char *name,
		      fuse_ino_t new_parent, const char *new_name, unsigned int flags)
{
	struct fuse_layer *layer = fuse_of(request);
	bool exchange = flags & RENAME_EXCHANGE, tracked;
	int folder = fd_of(request, parent), new_folder, rc;
	struct lost_name *lost = NULL;

	if (folder < 0)
		return;
	new_folder = fd_of(request, new_parent);
	if (new_folder < 0)
		return;
	tracked = layer->rules.tracks &&
		  fuse_tracks_names(layer, paths_of(layer, parent, name) |
						   paths_of(layer, new_parent, new_name));
	if (tracked && !exchange)
		lost = lost_removed(&layer->lost, new_folder, new_name);
	if (!exchange)
		nodes_unname(&layer->nodes, node_of(layer, new_parent), new_name);
	rc = renameat2(folder, name, new_folder, new_name, flags) ? errno : 0;
	if (rc)
		lost_take_back(&layer->lost, lost);
	else if (tracked)
		lost_renamed(&layer->lost, folder, name, new_folder, new_name, exchange);
	nodes_renamed(&layer->nodes, node_of(layer, new_parent), new_name);
	if (exchange)
		nodes_renamed(&layer->nodes, node_of(layer, parent), name);
	fuse_reply_err(request, rc);
}

/* ---- folders ---- */

static void open_folder(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	struct fuse_layer *layer = fuse_of(request);
	int fd = fd_of(request, number), opened;
	DIR *dir;

	if (fd < 0)
		return;
	opened = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (opened < 0) {
		fuse_reply_err(request, errno);
		return;
	}
	dir = fdopendir(opened);
	if (!dir) {
		close(opened);
		fuse_reply_err(request, ENOMEM);
	} else if (!fuse_handle_open(layer, -1, dir, info)) {
		closedir(dir);
		fuse_reply_err(request, ENOMEM);
	} else if (fuse_reply_open(request, info)) {
		fuse_handle_close(fuse_handle_of(info));
	}
}

static void read_folder(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
			struct fuse_file_info *info)
{
	struct fuse_layer *layer = fuse_of(request);
	struct fuse_handle *folder = fuse_handle_of(info);
	size_t used = 0;

	(void)number;
	if (size > layer->buffer_size)
		size = layer->buffer_size;
	if (offset != folder->place) {
		seekdir(folder->dir, offset);
		folder->entry = NULL;
		folder->place = offset;
	}
	for (;;) {
		struct stat status = {0};
		size_t needed;

		if (!folder->entry)
			folder->entry = readdir(folder->dir);
		if (!folder->entry)
			break;
		status.st_ino = folder->entry->d_ino;
		status.st_mode = (mode_t)folder->entry->d_type << 12;
		needed = fuse_add_direntry(request, (char *)layer->answer + used, size - used,
					   folder->entry->d_name, &status, folder->entry->d_off);
		if (needed > size - used)
			break;
		used += needed;
		folder->place = folder->entry->d_off;
		folder->entry = NULL;
	}
	fuse_reply_buf(request, (const char *)layer->answer, used);
}

static void sync_folder(fuse_req_t request, fuse_ino_t number, int datasync,
			struct fuse_file_info *info)
{
	struct fuse_layer *layer = fuse_of(request);

	fuse_reply_err(request, fuse_sync(layer, paths_of(layer, number, NULL),
					  dirfd(fuse_handle_of(info)->dir), datasync != 0));
}

/* There is no flush: a close() costs nothing, and cannot hang in a process that ends. */
const struct fuse_lowlevel_ops fuse_operations = {
	.init = start,
	.lookup = reply_entry,
	.forget = forget_one,
	.forget_multi = forget_many,
	.getattr = get_attributes,
	.setattr = set_attributes,
	.readlink = read_link,
	.mknod = make_node,
	.mkdir = make_folder,
	.unlink = remove_file,
	.rmdir = remove_folder,
	.symlink = make_symlink,
	.rename = rename_it,
	.link = make_link,
	.open = files_open,
	.create = files_create,
	.read = files_read,
	.write = files_write,
	.release = files_release,
	.fsync = files_fsync,
	.fallocate = files_allocate,
	.lseek = files_seek,
	.opendir = open_folder,
	.readdir = read_folder,
	.releasedir = files_release,
	.fsyncdir = sync_folder,
	.statfs = get_space,
	.getxattr = get_extended,
	.listxattr = list_extended,
	.setxattr = set_extended,
	.removexattr = remove_extended,
};
