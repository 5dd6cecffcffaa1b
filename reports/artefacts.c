/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in a run folder: listed, sorted, opened without following a link. */
#include "reports/artefacts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/timeline.h"

struct listing {
	struct arena *arena;
	struct artefact *items;
	size_t count, capacity;
};

const char *artefact_kind_text(enum artefact_kind kind)
{
	switch (kind) {
	case ARTEFACT_FILE:
		return "a file";
	case ARTEFACT_FOLDER:
		return "a folder";
	case ARTEFACT_LINK:
		return "a link";
	case ARTEFACT_OTHER:
		return "neither file nor folder";
	}
	return "unknown";
}

static bool part_ok(const char *part, size_t length)
{
	return length > 0 && !(part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.')));
}

bool artefact_name_ok(const char *name)
{
	const unsigned char *s = (const unsigned char *)name;
	size_t length, depth = 0;

	if (strlen(name) >= ARTEFACT_NAME_MAX)
		return false;
	while (*s) {
		size_t bytes = utf8_length(s);

		/* The second row of control characters is U+0080 to U+009F. */
		if (bytes == 0 || *s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0))
			return false;
		s += bytes;
	}
	for (;; name += length + 1) {
		length = strcspn(name, "/");
		if (!part_ok(name, length) || depth++ == ARTEFACT_DEPTH_MAX)
			return false;
		if (!name[length])
			return true;
	}
}

int artefacts_open(const char *folder, int *ret_fd, struct error *e)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOTDIR)
		return error_set(e, ERROR_USAGE, NO_PLACE, "'%s' is no folder", folder);
	if (fd < 0)
		return error_set(e, ERROR_USAGE, NO_PLACE, "no run folder '%s': %s", folder,
				 strerror(errno));
	*ret_fd = fd;
	return 0;
}

static int fail(struct error *e, const char *name, int reason)
{
	return error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s", *name ? name : "the folder",
			 strerror(reason));
}

static enum artefact_kind kind_of(mode_t mode)
{
	if (S_ISREG(mode))
		return ARTEFACT_FILE;
	if (S_ISDIR(mode))
		return ARTEFACT_FOLDER;
	return S_ISLNK(mode) ? ARTEFACT_LINK : ARTEFACT_OTHER;
}

static int list_folder(struct listing *listing, int fd, const char *name, int depth,
		       struct error *e);

static int list_entry(struct listing *listing, int fd, const char *folder, const char *own,
		      int depth, struct error *e)
{
	const char *name = *folder ? arena_printf(listing->arena, "%s/%s", folder, own)
				   : arena_strdup(listing->arena, own);
	struct stat status;
	int inner, rc;

	if (fstatat(fd, own, &status, AT_SYMLINK_NOFOLLOW))
		return fail(e, name, errno);
	if (listing->count == ARTEFACTS_MAX || strlen(name) >= ARTEFACT_NAME_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "more than a run folder holds: at most %d names of %d bytes",
				 ARTEFACTS_MAX, ARTEFACT_NAME_MAX - 1);
	listing->items = arena_grow(listing->arena, listing->items, listing->count,
				    &listing->capacity, sizeof(listing->items[0]));
	listing->items[listing->count++] =
		(struct artefact){name, kind_of(status.st_mode), (uint64_t)status.st_size};
	if (!S_ISDIR(status.st_mode))
		return 0;
	if (depth == ARTEFACT_DEPTH_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%.200s: folders are more than %d deep",
				 name, ARTEFACT_DEPTH_MAX);
	inner = openat(fd, own, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (inner < 0)
		return fail(e, name, errno);
	rc = list_folder(listing, inner, name, depth + 1, e);
	close(inner);
	return rc;
}

/* The descriptor stays the caller's. */
static int list_folder(struct listing *listing, int fd, const char *name, int depth,
		       struct error *e)
{
	/* One of its own: another look at the same folder begins at its first entry. */
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	struct dirent *entry;

	if (!dir) {
		rc = fail(e, name, errno);
		if (own >= 0)
			close(own);
		return rc;
	}
	while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = list_entry(listing, fd, name, entry->d_name, depth, e);
	if (rc == 0 && errno != 0)
		rc = fail(e, name, errno);
	closedir(dir);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct artefact *)a)->name, ((const struct artefact *)b)->name);
}

int artefacts_list(int fd, struct arena *arena, struct artefacts *ret_artefacts, struct error *e)
{
	struct listing listing = {.arena = arena};

	if (list_folder(&listing, fd, "", 1, e))
		return -1;
	if (listing.count > 0)
		qsort(listing.items, listing.count, sizeof(listing.items[0]), by_name);
	*ret_artefacts = (struct artefacts){listing.items, listing.count};
	return 0;
}

int artefact_open(int fd, const char *name, struct error *e)
{
	char part[ARTEFACT_NAME_MAX];
	const char *at = name;
	struct stat status;
	int folder = fd, file;

	/* Folder by folder, since a link in the middle would be followed. */
	for (const char *slash = strchr(at, '/'); slash; slash = strchr(at, '/')) {
		int inner;

		if ((size_t)(slash - at) >= sizeof(part))
			return fail(e, name, ENAMETOOLONG);
		memcpy(part, at, (size_t)(slash - at));
		part[slash - at] = '\0';
		inner = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (folder != fd)
			close(folder);
		if (inner < 0)
			return fail(e, name, errno);
		folder = inner;
		at = slash + 1;
	}
	file = openat(folder, at, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file < 0)
		fail(e, name, errno);
	if (folder != fd)
		close(folder);
	if (file >= 0 && (fstat(file, &status) || !S_ISREG(status.st_mode))) {
		error_set(e, ERROR_IO, NO_PLACE, "%s is no regular file", name);
		close(file);
		return -1;
	}
	return file;
}
