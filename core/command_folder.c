/* SPDX-License-Identifier: Apache-2.0 */
/* A run folder appears under its name whole, or not at all: it is made beside it and renamed. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/commands.h"

#define OPEN_FILES_MAX 16 /* while a folder is removed */
#define PROCESS_DIGITS_MAX 9

static int fail(struct error *e, const char *what, const char *path)
{
	return error_set(e, ERROR_IO, NO_PLACE, "cannot %s %s: %s", what, path, strerror(errno));
}

/* Make the folders above `path`; remembers the highest that was not there. */
static int make_parents(struct run_folder *folder, struct error *e)
{
	char *path = folder->path;

	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int rc;

		*slash = '\0';
		rc = mkdir(path, 0777);
		if (rc == 0 && folder->made == 0)
			folder->made = (size_t)(slash - path);
		if (rc && errno != EEXIST)
			fail(e, "make the folder", path);
		*slash = '/';
		if (rc && errno != EEXIST)
			return -1;
	}
	return 0;
}

/* Remove the parents that were made, as far as nobody else uses them. */
static void remove_parents(struct run_folder *folder)
{
	char path[FOLDER_PATH_MAX];

	if (folder->made == 0)
		return;
	memcpy(path, folder->path, sizeof(path));
	for (char *slash = strrchr(path, '/'); slash && (size_t)(slash - path) >= folder->made;
	     slash = strrchr(path, '/')) {
		*slash = '\0';
		if (rmdir(path))
			return;
	}
}

int folder_open(struct run_folder *folder, const char *path, struct error *e)
{
	size_t length = strlen(path);
	struct stat status;

	*folder = (struct run_folder){0};
	while (length > 1 && path[length - 1] == '/')
		length--;
	if (length == 0)
		return error_set(e, ERROR_USAGE, NO_PLACE, "the name of the run folder is empty");
	if (length >= sizeof(folder->path))
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "the name of the run folder is longer than %d bytes",
				 FOLDER_PATH_MAX - 1);
	memcpy(folder->path, path, length);
	if (lstat(folder->path, &status) == 0)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "%s exists already: a run is never written over another",
				 folder->path);
	if (errno != ENOENT)
		return fail(e, "make the folder", folder->path);
	snprintf(folder->temporary, sizeof(folder->temporary), "%s.tmp-%ld", folder->path,
		 (long)getpid());
	if (make_parents(folder, e) ||
	    (mkdir(folder->temporary, 0777) && fail(e, "make the folder", folder->temporary))) {
		remove_parents(folder);
		return -1;
	}
	return 0;
}

const char *folder_file(const struct run_folder *folder, const char *name, struct arena *arena)
{
	return arena_printf(arena, "%s/%s", folder->temporary, name);
}

int folder_write(const struct run_folder *folder, const char *name, const char *text, size_t size,
		 struct arena *arena, struct error *e)
{
	const char *path = folder_file(folder, name, arena);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0)
		return fail(e, "create", path);
	while (size > 0) {
		ssize_t wrote = write(fd, text, size);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0) {
			fail(e, "write", path);
			close(fd);
			return -1;
		}
		text += wrote;
		size -= (size_t)wrote;
	}
	if (fsync(fd)) {
		fail(e, "write", path);
		close(fd);
		return -1;
	}
	return close(fd) ? fail(e, "write", path) : 0;
}

static int sync_folder(const char *path, struct error *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return fail(e, "open", path);
	rc = fsync(fd);
	/* A file system that cannot sync a folder says EINVAL; there is nothing more to do then. */
	if (rc && errno != EINVAL)
		fail(e, "write", path);
	else
		rc = 0;
	close(fd);
	return rc;
}

int folder_commit(struct run_folder *folder, struct error *e)
{
	char parent[FOLDER_PATH_MAX];
	struct stat status;
	int rc;

	if (sync_folder(folder->temporary, e))
		return -1;
	rc = renameat2(AT_FDCWD, folder->temporary, AT_FDCWD, folder->path, RENAME_NOREPLACE);
	if (rc && (errno == EINVAL || errno == ENOSYS)) {
		/* This file system cannot refuse to replace: look first. */
		errno = EEXIST;
		if (lstat(folder->path, &status))
			rc = rename(folder->temporary, folder->path);
	}
	if (rc)
		return fail(e, "rename the run folder to", folder->path);
	memcpy(parent, folder->path, sizeof(parent));
	return sync_folder(dirname(parent), e);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	remove(path); /* what cannot be removed is left; the rest still goes */
	return 0;
}

void folder_discard(struct run_folder *folder)
{
	assert(folder->temporary[0] != '\0');
	nftw(folder->temporary, remove_entry, OPEN_FILES_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	remove_parents(folder);
}

/* ---- what killed runs left ---- */

/* The number that `text` is, without sign or leading zero; 0: it is none. */
static pid_t process_number(const char *text)
{
	long number = 0;

	if (*text == '0' || strlen(text) > PROCESS_DIGITS_MAX)
		return 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		number = number * 10 + (*text - '0');
	}
	return (pid_t)number;
}

/* "20260301T020000Z-name-4711" of process 4711, as a run without --out is called. */
static bool is_default_name(const char *name, size_t length, const char *process)
{
	static const char pattern[] = "00000000T000000Z-";
	size_t own = strlen(process);

	for (size_t i = 0; pattern[i]; i++)
		if (i >= length ||
		    (pattern[i] == '0' ? name[i] < '0' || name[i] > '9' : name[i] != pattern[i]))
			return false;
	return length > own + sizeof(pattern) && name[length - own - 1] == '-' &&
	       strncmp(name + length - own, process, own) == 0;
}

/* The process whose temporary folder has this name; 0: it is no such name. `base`: the run folder
 * it was to become, NULL: any of a default name. */
static pid_t owner_of(const char *name, const char *base)
{
	static const char middle[] = ".tmp-";
	const char *end = NULL, *process;
	size_t length;

	for (const char *at = strstr(name, middle); at; at = strstr(at + 1, middle))
		end = at;
	if (!end)
		return 0;
	process = end + strlen(middle);
	length = (size_t)(end - name);
	if (base ? strlen(base) != length || strncmp(name, base, length) != 0
		 : !is_default_name(name, length, process))
		return 0;
	return process_number(process);
}

/* Scripts, data and pictures, finished or not: "incident.gp", "incident.svg.tmp-4711". */
static bool is_of_plots(const char *name)
{
	static const char *const kinds[] = {".gp", ".tsv", ".svg", ".png"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *at = strstr(name, kinds[i]), *rest = at ? at + strlen(kinds[i]) : NULL;

		if (at > name && (*rest == '\0' || strncmp(rest, ".tmp-", 5) == 0))
			return true;
	}
	return false;
}

/* The folder `name` in the folder `dir`. */
static bool holds_only_plots(DIR *dir, const char *name)
{
	int fd = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *plots = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool only = plots != NULL;

	while (only && (entry = readdir(plots)) != NULL)
		only = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		       is_of_plots(entry->d_name);
	if (plots)
		closedir(plots);
	else if (fd >= 0)
		close(fd);
	return only;
}

/* "ledger-NAME.jsonl", of the endpoints after the first. */
static bool is_ledger(const char *name)
{
	static const char begin[] = "ledger-", end[] = ".jsonl";
	size_t length = strlen(name);

	return strncmp(name, begin, strlen(begin)) == 0 && length > strlen(begin) + strlen(end) &&
	       strcmp(name + length - strlen(end), end) == 0;
}

/* Does the folder hold nothing but files of a run, finished or not? */
static bool holds_only_a_run(const char *path)
{
	static const char *const names[] = {
		"record.json",
		"events.jsonl",
		"scenario.yaml",
		"report.html",
		"report.md",
		"junit.xml",
		"metrics.prom",
		"plots",
		"capture.pcap",
		"ledger.jsonl",
		"events.chain",
		"attestation.intoto.jsonl",
		".",
		"..",
	};
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool only = dir != NULL;

	while (only && (entry = readdir(dir)) != NULL) {
		bool known = false;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !known; i++)
			known = strcmp(entry->d_name, names[i]) == 0 ||
				owner_of(entry->d_name, names[i]) > 0;
		known = known || is_ledger(entry->d_name);
		only = known &&
		       (strcmp(entry->d_name, "plots") != 0 || holds_only_plots(dir, "plots"));
	}
	if (dir)
		closedir(dir);
	return only;
}

static void sweep_one(const char *path, pid_t process, struct leftovers *sum)
{
	struct stat status;

	if (lstat(path, &status) || !S_ISDIR(status.st_mode) || status.st_uid != geteuid())
		return;
	if (kill(process, 0) == 0 || errno != ESRCH) {
		printf("%s belongs to process %ld, which is running: left alone\n", path,
		       (long)process);
		sum->kept++;
		return;
	}
	if (!holds_only_a_run(path)) {
		printf("%s holds files that are not of a run: left alone\n", path);
		sum->kept++;
		return;
	}
	nftw(path, remove_entry, OPEN_FILES_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (lstat(path, &status) == 0) {
		fprintf(stderr, "drsim: error: cannot remove all of %s\n", path);
		sum->failed++;
		return;
	}
	printf("%s: removed, the rest of a run that was killed\n", path);
	sum->removed++;
}

struct leftovers folder_sweep(const char *path, struct arena *arena)
{
	struct leftovers sum = {0};
	struct dirent **entries = NULL;
	const char *parent = "runs", *base = NULL;
	int count;

	if (path) {
		parent = dirname(arena_strdup(arena, path));
		base = basename(arena_strdup(arena, path));
	}
	count = scandir(parent, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		pid_t process = owner_of(entries[i]->d_name, base);

		if (process > 0)
			sweep_one(
				path && strcmp(parent, ".") == 0
					? entries[i]->d_name
					: arena_printf(arena, "%s/%s", parent, entries[i]->d_name),
				process, &sum);
		free(entries[i]);
	}
	free(entries);
	return sum;
}
