/* SPDX-License-Identifier: Apache-2.0 */
/* The undo journal on disk: where it is, how it is written, and who owns it. */
#include "drivers/host/journal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/host/journal_private.h"
#include "drivers/host/process.h"

#define SUFFIX ".journal"
#define OPEN_TRIES 8
#define LOCK_PAUSE (5 * NANOS_MS)

static int fail(struct error *e, const char *what, const char *path)
{
	return error_set(e, ERROR_IO, NO_PLACE, "cannot %s %s: %s", what, path, strerror(errno));
}

/* ---- where ---- */

static int make_folder(const char *path, mode_t mode, struct error *e)
{
	if (mkdir(path, mode) && errno != EEXIST)
		return fail(e, "make the folder", path);
	return 0;
}

/* The folder and those above it. */
static int make_folders(const char *path, struct arena *arena, struct error *e)
{
	char *copy = arena_strdup(arena, path);

	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (make_folder(copy, 0755, e))
			return -1;
		*slash = '/';
	}
	return make_folder(path, 0700, e);
}

const char *journal_wanted_state(struct arena *arena)
{
	const char *state = getenv("DRSIM_STATE"), *home;

	if (state && *state)
		return state;
	if (geteuid() == 0)
		return "/var/lib/drsim";
	home = getenv("XDG_STATE_HOME");
	if (home && *home == '/')
		return arena_printf(arena, "%s/drsim", home);
	home = getenv("HOME");
	return home && *home == '/' ? arena_printf(arena, "%s/.local/state/drsim", home) : NULL;
}

/* Whoever can write there could make us undo what was never done. */
static int require_ours(const char *path, struct error *e)
{
	struct stat status;

	if (lstat(path, &status))
		return fail(e, "look at", path);
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || status.st_mode & 022)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "%s is no folder that only this user can write", path);
	return 0;
}

int journal_state(struct arena *arena, const char **ret_path, struct error *e)
{
	static const char *const names[] = {"journal", "run"};
	const char *wanted = journal_wanted_state(arena);
	char *real;

	if (!wanted)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "no folder for the undo journal: set DRSIM_STATE or HOME");
	if (*wanted != '/' || strlen(wanted) > JOURNAL_PATH_MAX / 2)
		return error_set(e, ERROR_USAGE, NO_PLACE, "DRSIM_STATE is no absolute path: %s",
				 wanted);
	if (make_folders(wanted, arena, e))
		return -1;
	real = realpath(wanted, NULL);
	if (!real)
		return fail(e, "look at", wanted);
	wanted = arena_strdup(arena, real);
	free(real);
	if (require_ours(wanted, e))
		return -1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *path = arena_printf(arena, "%s/%s", wanted, names[i]);

		if (make_folder(path, 0700, e) || require_ours(path, e))
			return -1;
	}
	*ret_path = wanted;
	return 0;
}

static bool is_journal(const char *name)
{
	size_t length = strlen(name), suffix = strlen(SUFFIX);

	return length > suffix && strcmp(name + length - suffix, SUFFIX) == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **journal_list(struct arena *arena)
{
	const char **paths = NULL, *state = journal_wanted_state(arena), *folder = NULL;
	size_t count = 0, capacity = 0;
	struct dirent *entry;
	DIR *dir = NULL;

	if (state) {
		folder = arena_printf(arena, "%s/journal", state);
		dir = opendir(folder);
	}
	while (dir && (entry = readdir(dir)) != NULL) {
		if (!is_journal(entry->d_name))
			continue;
		paths = arena_grow(arena, paths, count, &capacity, sizeof(*paths));
		paths[count++] = arena_printf(arena, "%s/%s", folder, entry->d_name);
	}
	if (dir)
		closedir(dir);
	paths = arena_grow(arena, paths, count, &capacity, sizeof(*paths));
	paths[count] = NULL;
	qsort(paths, count, sizeof(*paths), by_name);
	return paths;
}

/* ---- writing ---- */

static int sync_parent(const char *path, struct arena *arena, struct error *e)
{
	const char *folder = arena_strndup(arena, path, (size_t)(strrchr(path, '/') - path));
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return fail(e, "open", folder);
	rc = fsync(fd);
	close(fd);
	/* A file system that cannot sync a folder says EINVAL; there is nothing more to do then. */
	return rc && errno != EINVAL ? fail(e, "write", folder) : 0;
}

/* Appends whole lines, and waits for the disk. */
static int append(struct journal *journal, const char *text, size_t size, size_t limit,
		  struct error *e)
{
	size_t done = 0;

	assert(journal->fd >= 0);
	if (journal->size + size > limit)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%s is full: more than %zu MiB",
				 journal->path, limit >> 20);
	while (done < size) {
		ssize_t wrote = pwrite(journal->fd, text + done, size - done,
				       (off_t)(journal->size + done));

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			goto failed;
		done += (size_t)wrote;
	}
	if (fdatasync(journal->fd))
		goto failed;
	journal->size += size;
	return 0;
failed:
	fail(e, "write", journal->path);
	/* Half a line must not stand before the next one. */
	if (ftruncate(journal->fd, (off_t)journal->size))
		journal->damaged++;
	return -1;
}

int journal_add_all(struct journal *journal, struct undo *undos, size_t count, struct error *e)
{
	size_t size = 0, before = journal->count;
	char *text = NULL;

	if (journal->count + count > JOURNAL_RECORDS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%s has more than %zu records",
				 journal->path, JOURNAL_RECORDS_MAX);
	text = calloc(count, JOURNAL_LINE_MAX);
	if (!text)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	for (size_t i = 0; i < count; i++) {
		assert(!undos[i].done);
		undos[i].number = before + i + 1;
		if (journal_print_undo(&undos[i], text, &size, e)) {
			free(text);
			return -1;
		}
	}
	/* Half of the room stays for the lines that say what is undone. */
	if (append(journal, text, size, JOURNAL_SIZE_MAX / 2, e)) {
		free(text);
		return -1;
	}
	free(text);
	for (size_t i = 0; i < count; i++)
		journal_keep(journal, &undos[i]);
	return 0;
}

int journal_add(struct journal *journal, struct undo *undo, struct error *e)
{
	return journal_add_all(journal, undo, 1, e);
}

int journal_done(struct journal *journal, uint64_t number, struct error *e)
{
	struct undo *undo = journal_find(journal, number);
	char text[JOURNAL_SHORT_MAX];
	size_t size = 0;

	assert(undo != NULL);
	if (undo->done)
		return 0;
	journal_print_done(number, text, &size);
	if (append(journal, text, size, JOURNAL_SIZE_MAX, e))
		return -1;
	undo->done = true;
	return 0;
}

struct undo *journal_find(const struct journal *journal, uint64_t number)
{
	return number > 0 && number <= journal->count ? &journal->records[number - 1] : NULL;
}

size_t journal_open_count(const struct journal *journal)
{
	size_t count = 0;

	for (size_t i = 0; i < journal->count; i++)
		count += !journal->records[i].done;
	return count;
}

/* ---- who ---- */

bool journal_rebooted(const struct journal *journal)
{
	char boot[JOURNAL_BOOT_MAX];

	process_boot(boot, sizeof(boot));
	return strcmp(boot, journal->boot) != 0;
}

bool journal_owner_lives(const struct journal *journal)
{
	return journal->owner > 0 && !journal_rebooted(journal) &&
	       process_lives(journal->owner, journal->owner_start);
}

/* ---- begin and end ---- */

/* A file of this name that is ours alone, locked and still there. A sweep that met it before it was
 * locked took it for the rest of a crash and removed it: then again. */
static int create_locked(struct journal *journal, struct error *e)
{
	for (int i = 0; i < OPEN_TRIES; i++) {
		struct stat status;

		journal->fd = open(journal->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (journal->fd < 0 && errno == EEXIST)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "there is a journal of this run already: %s",
					 journal->path);
		if (journal->fd < 0)
			return fail(e, "create", journal->path);
		if (flock(journal->fd, LOCK_EX) == 0 && fstat(journal->fd, &status) == 0 &&
		    status.st_nlink > 0)
			return 0;
		close(journal->fd);
		journal->fd = -1;
	}
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot lock %s", journal->path);
}

static int begin(struct journal *journal, struct error *e)
{
	struct undo tree = {.kind = UNDO_TREE, .path = journal->work};
	char *text = arena_alloc(journal->arena, JOURNAL_LINE_MAX + 1);
	size_t size = 0;

	if (journal_print_header(journal, text, &size, e) ||
	    append(journal, text, size, JOURNAL_SIZE_MAX, e) || journal_add(journal, &tree, e) ||
	    sync_parent(journal->path, journal->arena, e))
		return -1;
	if (mkdir(journal->work, 0700))
		return fail(e, "make the folder", journal->work);
	return 0;
}

int journal_open(const char *run, struct arena *arena, struct journal **ret_journal,
		 struct error *e)
{
	struct journal *journal = arena_alloc(arena, sizeof(*journal));
	const char *state = NULL;

	if (!journal_is_run(run))
		return error_set(e, ERROR_USAGE, NO_PLACE, "'%.100s' cannot be a run's id", run);
	if (journal_state(arena, &state, e))
		return -1;
	*journal = (struct journal){
		.arena = arena,
		.fd = -1,
		.run = arena_strdup(arena, run),
		.path = arena_printf(arena, "%s/journal/%s" SUFFIX, state, run),
		.work = arena_printf(arena, "%s/run/%s", state, run),
		.owner = getpid(),
		.owner_start = process_start(getpid()),
	};
	process_boot(journal->boot, sizeof(journal->boot));
	if (create_locked(journal, e))
		return -1;
	if (begin(journal, e)) {
		unlink(journal->path);
		close(journal->fd);
		return -1;
	}
	*ret_journal = journal;
	return 0;
}

static int lock(int fd, const char *path, int wait_ms, struct error *e)
{
	nanos end = process_now() + wait_ms * NANOS_MS;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return fail(e, "lock", path);
		if (process_now() >= end)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "%s is in use by another process", path);
		process_pause(LOCK_PAUSE);
	}
	return 0;
}

static int read_all(int fd, const char *path, struct arena *arena, const char **ret_text,
		    size_t *ret_size, struct error *e)
{
	struct stat status;
	size_t size = 0;
	char *text;

	if (fstat(fd, &status))
		return fail(e, "look at", path);
	if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || status.st_mode & 022)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "%s is no file that only this user can write: left alone", path);
	if ((size_t)status.st_size > JOURNAL_SIZE_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%s is larger than %zu MiB", path,
				 JOURNAL_SIZE_MAX >> 20);
	text = arena_alloc(arena, (size_t)status.st_size + 1);
	while (size < (size_t)status.st_size) {
		ssize_t got = pread(fd, text + size, (size_t)status.st_size - size, (off_t)size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(e, "read", path);
		if (got == 0)
			break;
		size += (size_t)got;
	}
	*ret_text = text;
	*ret_size = size;
	return 0;
}

/* The run's id: the file's name without its suffix. */
static const char *run_of(const char *path, struct arena *arena)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	return is_journal(base) ? arena_strndup(arena, base, strlen(base) - strlen(SUFFIX)) : base;
}

/* The run folders lie beside the journal folder: a header that says otherwise is damaged. */
static void check_work(struct journal *journal)
{
	char *folder = arena_strdup(journal->arena, journal->path), *slash, *real;
	const char *expected;

	if (!journal->work)
		return;
	for (int i = 0; i < 2; i++) {
		slash = strrchr(folder, '/');
		if (slash)
			*slash = '\0';
	}
	real = realpath(folder, NULL);
	expected = arena_printf(journal->arena, "%s/run/%s", real ? real : folder, journal->run);
	free(real);
	if (strcmp(expected, journal->work) == 0)
		return;
	journal_damage(journal, 1, "its work folder is another one");
	journal->work = NULL;
}

int journal_load(const char *path, int wait_ms, struct arena *arena, struct journal **ret_journal,
		 struct error *e)
{
	bool peek = wait_ms < 0;
	struct journal *journal;
	struct stat status;
	const char *text = NULL;
	size_t size = 0;
	int fd = open(path, (peek ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	*ret_journal = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : fail(e, "open", path);
	if (!peek && lock(fd, path, wait_ms, e))
		goto failed;
	if (fstat(fd, &status) == 0 && status.st_nlink == 0) {
		close(fd); /* whoever had the lock has finished it */
		return 0;
	}
	if (read_all(fd, path, arena, &text, &size, e))
		goto failed;
	journal_parse(run_of(path, arena), text, size, arena, &journal);
	journal->path = arena_strdup(arena, path);
	check_work(journal);
	if (peek) {
		close(fd);
	} else {
		journal->fd = fd;
		if (journal->size < size && ftruncate(fd, (off_t)journal->size)) {
			fail(e, "write", path);
			goto failed;
		}
	}
	*ret_journal = journal;
	return 0;
failed:
	close(fd);
	return -1;
}

bool journal_close(struct journal *journal)
{
	bool clean = journal_open_count(journal) == 0 && journal->damaged == 0;

	assert(journal->fd >= 0);
	if (clean && unlink(journal->path) && errno != ENOENT)
		clean = false;
	close(journal->fd);
	journal->fd = -1;
	return clean;
}
