/* SPDX-License-Identifier: Apache-2.0 */
/* What was not synced, names: what was made, removed and renamed, taken back last in first out. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "drivers/linux/fuse_lost_private.h"

#define DEPTH_MAX 64 /* of folders in one that was made */
#define COPY_SIZE ((size_t)64 << 10)

enum deed {
	MADE,
	REMOVED,
	RENAMED,
	EXCHANGED
};

/* One descriptor for all names in it. */
struct lost_folder {
	struct lost_folder *next;
	struct fuse_ident ident;
	int fd;
	size_t uses;
};

struct lost_name {
	struct lost_name *before, *after;
	enum deed deed;
	struct lost_folder *folder, *new_folder;
	char *name, *new_name;
	struct stat status; /* of what has the name */
	int fd;             /* REMOVED: a file; its content is there as long as this is open */
	char *link;         /* REMOVED: a symbolic link; what it says */
};

/* ---- keeping ---- */

static struct lost_folder *hold_folder(struct fuse_lost *lost, int fd)
{
	struct lost_folder *folder;
	struct stat status;

	if (fstat(fd, &status))
		return NULL;
	for (folder = lost->folders; folder; folder = folder->next)
		if (folder->ident.inode == status.st_ino && folder->ident.device == status.st_dev) {
			folder->uses++;
			return folder;
		}
	folder = calloc(1, sizeof(*folder));
	if (!folder)
		return NULL;
	folder->ident = lost_ident(&status);
	folder->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	folder->uses = 1;
	if (folder->fd < 0) {
		free(folder);
		return NULL;
	}
	folder->next = lost->folders;
	lost->folders = folder;
	return folder;
}

static void release_folder(struct fuse_lost *lost, struct lost_folder *folder)
{
	struct lost_folder **at;

	if (!folder || --folder->uses > 0)
		return;
	for (at = &lost->folders; *at != folder; at = &(*at)->next)
		;
	*at = folder->next;
	close(folder->fd);
	free(folder);
}

void lost_take_back(struct fuse_lost *lost, struct lost_name *name)
{
	if (!name)
		return;
	if (name->before)
		name->before->after = name->after;
	else
		lost->first = name->after;
	if (name->after)
		name->after->before = name->before;
	else
		lost->last = name->before;
	lost->name_count--;
	release_folder(lost, name->folder);
	release_folder(lost, name->new_folder);
	if (name->fd >= 0)
		close(name->fd);
	free(name->link);
	free(name->name);
	free(name->new_name);
	free(name);
}

static struct lost_name *note(struct fuse_lost *lost, enum deed deed, int folder, const char *text)
{
	struct lost_name *name;

	while (lost->name_count >= FUSE_UNSYNCED_NAMES_MAX) {
		lost->written_back++;
		lost_take_back(lost, lost->first);
	}
	name = calloc(1, sizeof(*name));
	if (!name)
		return NULL;
	name->deed = deed;
	name->fd = -1;
	name->before = lost->last;
	if (lost->last)
		lost->last->after = name;
	else
		lost->first = name;
	lost->last = name;
	lost->name_count++;
	name->folder = hold_folder(lost, folder);
	name->name = strdup(text);
	if (name->folder && name->name)
		return name;
	lost->written_back++;
	lost_take_back(lost, name);
	return NULL;
}

static struct lost_name *give_up(struct fuse_lost *lost, struct lost_name *name)
{
	lost->written_back++;
	lost_take_back(lost, name);
	return NULL;
}

struct lost_name *lost_made(struct fuse_lost *lost, int folder, const char *text)
{
	struct lost_name *name = note(lost, MADE, folder, text);

	if (name && fstatat(folder, text, &name->status, AT_SYMLINK_NOFOLLOW))
		return give_up(lost, name);
	return name;
}

static size_t open_files(const struct fuse_lost *lost)
{
	size_t count = 0;

	for (const struct lost_name *name = lost->first; name; name = name->after)
		count += name->fd >= 0;
	return count;
}

/* Room for one more descriptor: the oldest that has one counts as synced, and all before it. */
static void make_room(struct fuse_lost *lost)
{
	while (open_files(lost) >= FUSE_UNSYNCED_FILES_MAX) {
		bool had = lost->first->fd >= 0;

		lost->written_back++;
		lost_take_back(lost, lost->first);
		if (had)
			return;
	}
}

struct lost_name *lost_removed(struct fuse_lost *lost, int folder, const char *text)
{
	struct lost_name *name;
	struct stat status;

	if (fstatat(folder, text, &status, AT_SYMLINK_NOFOLLOW))
		return NULL; /* then it cannot be removed either */
	if (S_ISREG(status.st_mode))
		make_room(lost);
	name = note(lost, REMOVED, folder, text);
	if (!name)
		return NULL;
	name->status = status;
	if (S_ISREG(status.st_mode)) {
		name->fd = openat(folder, text, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		return name->fd < 0 ? give_up(lost, name) : name;
	}
	if (S_ISLNK(status.st_mode)) {
		ssize_t size;

		name->link = calloc(1, LOST_LINK_MAX + 1);
		size = name->link ? readlinkat(folder, text, name->link, LOST_LINK_MAX) : -1;
		return size <= 0 ? give_up(lost, name) : name;
	}
	return name;
}

struct lost_name *lost_renamed(struct fuse_lost *lost, int folder, const char *text, int new_folder,
			       const char *new_text, bool exchanged)
{
	struct lost_name *name = note(lost, exchanged ? EXCHANGED : RENAMED, folder, text);

	if (!name)
		return NULL;
	name->new_folder = hold_folder(lost, new_folder);
	name->new_name = strdup(new_text);
	if (!name->new_folder || !name->new_name ||
	    fstatat(new_folder, new_text, &name->status, AT_SYMLINK_NOFOLLOW))
		return give_up(lost, name);
	return name;
}

void lost_synced_folder(struct fuse_lost *lost, struct fuse_ident ident)
{
	struct lost_name *next;

	for (struct lost_name *name = lost->first; name; name = next) {
		bool old = name->folder->ident.inode == ident.inode &&
			   name->folder->ident.device == ident.device;
		bool new = name->new_folder && name->new_folder->ident.inode == ident.inode &&
			   name->new_folder->ident.device == ident.device;

		next = name->after;
		if (old || new)
			lost_take_back(lost, name);
	}
}

void lost_synced_names(struct fuse_lost *lost)
{
	struct lost_name *after;

	for (struct lost_name *name = lost->first; name; name = after) {
		after = name->after;
		lost_take_back(lost, name);
	}
}

/* ---- putting back: what is otherwise by now (another sync came between) stays ---- */

static bool is_still(const struct lost_folder *folder, const char *text, const struct stat *status)
{
	struct stat now;

	return fstatat(folder->fd, text, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       now.st_ino == status->st_ino && now.st_dev == status->st_dev;
}

static bool is_free(const struct lost_folder *folder, const char *text)
{
	struct stat now;

	return fstatat(folder->fd, text, &now, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

/* A folder whose name was never synced cannot be reached after a crash, nor what is in it. */
static bool remove_all(int folder, const char *text, int depth)
{
	int fd = openat(folder, text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return unlinkat(folder, text, 0) == 0;
	dir = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
	if (!dir) {
		close(fd);
		return false;
	}
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_all(fd, entry->d_name, depth + 1);
	closedir(dir);
	return unlinkat(folder, text, AT_REMOVEDIR) == 0;
}

static bool unmake(const struct lost_name *name)
{
	return is_still(name->folder, name->name, &name->status) &&
	       remove_all(name->folder->fd, name->name, 0);
}

static bool copy_content(int from, int to)
{
	char *bytes = malloc(COPY_SIZE);
	off_t offset = 0;
	ssize_t got = -1;

	while (bytes && (got = pread(from, bytes, COPY_SIZE, offset)) > 0) {
		if (pwrite(to, bytes, (size_t)got, offset) != got) {
			got = -1;
			break;
		}
		offset += got;
	}
	free(bytes);
	return got == 0;
}

static bool remake_file(const struct lost_name *name)
{
	const struct stat *status = &name->status;
	struct timespec times[2] = {status->st_atim, status->st_mtim};
	char path[64];
	bool good;
	int fd;

	/* One of several links: the file itself is there. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", name->fd);
	if (linkat(AT_FDCWD, path, name->folder->fd, name->name, AT_SYMLINK_FOLLOW) == 0)
		return true;
	fd = openat(name->folder->fd, name->name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	good = copy_content(name->fd, fd);
	/* Without root it was ours before, and is. */
	good = (fchown(fd, status->st_uid, status->st_gid) == 0 || errno == EPERM) && good;
	good = fchmod(fd, status->st_mode & 07777) == 0 && futimens(fd, times) == 0 && good;
	close(fd);
	return good;
}

/* What came back is another file than the one that earlier deeds were done to. */
static void take_over(struct fuse_lost *lost, const struct lost_name *name)
{
	const struct stat *old = &name->status;
	struct stat now;

	if (fstatat(name->folder->fd, name->name, &now, AT_SYMLINK_NOFOLLOW))
		return;
	for (struct lost_folder *folder = lost->folders; folder; folder = folder->next) {
		int fd;

		if (folder->ident.inode != old->st_ino || folder->ident.device != old->st_dev)
			continue;
		fd = openat(name->folder->fd, name->name,
			    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		close(folder->fd);
		folder->fd = fd;
		folder->ident = lost_ident(&now);
	}
	for (struct lost_name *at = name->before; at; at = at->before)
		if (at->status.st_ino == old->st_ino && at->status.st_dev == old->st_dev) {
			at->status.st_ino = now.st_ino;
			at->status.st_dev = now.st_dev;
		}
}

static bool remake(const struct lost_name *name)
{
	int folder = name->folder->fd;
	const struct stat *status = &name->status;
	bool good;

	if (!is_free(name->folder, name->name))
		return false;
	if (S_ISREG(status->st_mode))
		return remake_file(name);
	if (S_ISLNK(status->st_mode))
		good = symlinkat(name->link, folder, name->name) == 0;
	else if (S_ISDIR(status->st_mode))
		good = mkdirat(folder, name->name, 0700) == 0 &&
		       fchmodat(folder, name->name, status->st_mode & 07777, 0) == 0;
	else
		good = mknodat(folder, name->name, status->st_mode, status->st_rdev) == 0;
	return good && (fchownat(folder, name->name, status->st_uid, status->st_gid,
				 AT_SYMLINK_NOFOLLOW) == 0 ||
			errno == EPERM);
}

static bool rename_back(const struct lost_name *name)
{
	return is_still(name->new_folder, name->new_name, &name->status) &&
	       (name->deed == EXCHANGED || is_free(name->folder, name->name)) &&
	       renameat2(name->new_folder->fd, name->new_name, name->folder->fd, name->name,
			 name->deed == EXCHANGED ? RENAME_EXCHANGE : RENAME_NOREPLACE) == 0;
}

static bool undo(struct fuse_lost *lost, const struct lost_name *name)
{
	switch (name->deed) {
	case MADE:
		return unmake(name);
	case REMOVED:
		if (!remake(name))
			return false;
		take_over(lost, name);
		return true;
	case RENAMED:
	case EXCHANGED:
		return rename_back(name);
	}
	return false;
}

void lost_names_crash(struct fuse_lost *lost, struct fuse_loss *ret)
{
	struct lost_name *before;

	for (struct lost_name *name = lost->last; name; name = before) {
		before = name->before;
		ret->names += undo(lost, name);
		lost_take_back(lost, name);
	}
}
