/* SPDX-License-Identifier: Apache-2.0 */
/* Wall clocks that are off: libfaketime, switched through a file. */
#include "drivers/linux/clock.h"

#include <assert.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/host/undo.h"

#define LIBRARY "libfaketimeMT.so.1"
#define MEMORY "/dev/shm"
#define SHARED_BYTES 64
#define ENVIRONMENT_MAX 8
#define HEADERS_MAX 64  /* of a program's ELF file */
#define NOTES_MAX 65536 /* bytes */
#define CHILD_PATIENCE (3 * NANOS_S)
#define LINE_MAX_BYTES 256
#define TRIED_AHEAD NANOS_HOUR
#define TRIED_SLACK (5 * NANOS_S)

extern char **environ;

struct clock_wall {
	struct journal *journal; /* NULL: of a probe */
	struct arena *arena;
	const char *path, *fresh; /* the file, and the one that replaces it */
	const char *files[2];     /* in MEMORY: a semaphore and shared memory */
	uint64_t records[2];
	const char *environment[ENVIRONMENT_MAX + 1];
};

/* ---- the library ---- */

/* Where distributions have it: below the folder of the C library, or one of the usual ones. */
static const char *find_library(struct arena *arena)
{
	static const char *const folders[] = {"/usr/lib", "/usr/lib64", "/usr/local/lib"};
	const char *path, *slash;
	Dl_info info;

	if (dladdr(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), &info) && info.dli_fname &&
	    (slash = strrchr(info.dli_fname, '/')) != NULL) {
		int length = (int)(slash - info.dli_fname);

		for (int usr = 0; usr < 2; usr++) {
			path = arena_printf(arena, "%s%.*s/faketime/" LIBRARY, usr ? "/usr" : "",
					    length, info.dli_fname);
			if (access(path, R_OK) == 0)
				return path;
		}
	}
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		path = arena_printf(arena, "%s/faketime/" LIBRARY, folders[i]);
		if (access(path, R_OK) == 0)
			return path;
	}
	return NULL;
}

/* ---- its files ---- */

static int make_semaphore(const char *name, struct error *e)
{
	sem_t *semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 1);

	if (semaphore == SEM_FAILED)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot make the semaphore %s: %s", name,
				 strerror(errno));
	sem_close(semaphore);
	return 0;
}

static int make_memory(const char *path, struct error *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = fd < 0 || ftruncate(fd, SHARED_BYTES) ? -1 : 0;

	if (rc)
		error_set(e, ERROR_IO, NO_PLACE, "cannot make %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

/* In the journal, then made. */
static int make_shared(struct clock_wall *wall, const char *name, struct error *e)
{
	struct undo undos[2] = {{.kind = UNDO_REMOVE}, {.kind = UNDO_REMOVE}};

	wall->files[0] = arena_printf(wall->arena, MEMORY "/sem.%s", name);
	wall->files[1] = arena_printf(wall->arena, MEMORY "/%s", name);
	for (int i = 0; i < 2; i++)
		undos[i].path = wall->files[i];
	if (wall->journal && journal_add_all(wall->journal, undos, 2, e))
		return -1;
	for (int i = 0; i < 2; i++)
		wall->records[i] = undos[i].number;
	return make_semaphore(arena_printf(wall->arena, "/%s", name), e) ||
			       make_memory(wall->files[1], e)
		       ? -1
		       : 0;
}

int clock_wall_set(const struct clock_wall *wall, nanos ahead, struct error *e)
{
	nanos size = ahead < 0 ? -ahead : ahead;
	char text[64];
	int length, fd;
	bool written;

	if (size > CLOCK_SKEW_MAX)
		return error_set(e, ERROR_USAGE, NO_PLACE, "a clock is off by 100 years at most");
	length = snprintf(text, sizeof(text), "%c%lld.%09lld\n", ahead < 0 ? '-' : '+',
			  (long long)(size / NANOS_S), (long long)(size % NANOS_S));
	fd = open(wall->fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	written = fd >= 0 && write(fd, text, (size_t)length) == length;
	if (fd >= 0)
		close(fd);
	if (!written || rename(wall->fresh, wall->path))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot write %s: %s", wall->path,
				 strerror(errno));
	return 0;
}

static void make_environment(struct clock_wall *wall, const char *library, const char *name)
{
	const char *before = getenv("LD_PRELOAD");
	struct arena *arena = wall->arena;
	const char *const all[] = {
		arena_printf(arena, "LD_PRELOAD=%s%s%s", library, before ? ":" : "",
			     before ? before : ""),
		arena_printf(arena, "FAKETIME_TIMESTAMP_FILE=%s", wall->path),
		arena_printf(arena, "FAKETIME_SHARED=/%s /%s", name, name),
		"FAKETIME_NO_CACHE=1",
		/* Monotonic clocks and the times of files stay as the kernel has them. */
		"FAKETIME_DONT_FAKE_MONOTONIC=1",
		"DONT_FAKE_MONOTONIC=1",
		"NO_FAKE_STAT=1",
		/* Else waits for conditions by the monotonic clock end at once: programs spin. */
		"FAKETIME_FORCE_MONOTONIC_FIX=0",
	};

	_Static_assert(sizeof(all) / sizeof(all[0]) <= ENVIRONMENT_MAX, "they must fit");
	memcpy(wall->environment, all, sizeof(all));
}

static int wall_open(const char *path, const char *name, struct journal *journal,
		     struct arena *arena, struct clock_wall **ret, struct error *e)
{
	const char *library = find_library(arena);
	struct clock_wall *wall;

	if (!library)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "no " LIBRARY " (Debian has it in the package faketime)");
	wall = arena_alloc(arena, sizeof(*wall));
	wall->journal = journal;
	wall->arena = arena;
	wall->path = arena_strdup(arena, path);
	wall->fresh = arena_printf(arena, "%s.new", path);
	make_environment(wall, library, name);
	if (clock_wall_set(wall, 0, e) || make_shared(wall, name, e)) {
		clock_wall_close(wall, NULL);
		return -1;
	}
	*ret = wall;
	return 0;
}

int clock_wall_open(const char *path, struct journal *journal, struct arena *arena,
		    struct clock_wall **ret, struct error *e)
{
	const char *base = strrchr(path, '/');

	assert(journal && base);
	/* Each clock of a run has its own. */
	return wall_open(path, arena_printf(arena, "drsim-%s-%s", journal->run, base + 1), journal,
			 arena, ret, e);
}

int clock_wall_close(struct clock_wall *wall, struct error *e)
{
	int rc = 0;

	for (int i = 0; i < 2; i++) {
		if (wall->records[i] > 0)
			rc |= undo_number(wall->journal, wall->records[i], e);
		else if (!wall->journal && wall->files[i])
			unlink(wall->files[i]);
		wall->records[i] = 0;
	}
	unlink(wall->path);
	return rc ? -1 : 0;
}

const char *const *clock_wall_environment(const struct clock_wall *wall)
{
	return wall->environment;
}

/* ---- programs that do not see it ---- */

static int refuse(const char *program, const char *why, struct error *e)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the wall clock of %s cannot be faked: %s",
			 program, why);
}

/* Go's programs have a note of this name; they ask the kernel without the C library. */
static bool is_go(int fd, const Elf64_Phdr *header)
{
	size_t size = header->p_filesz < NOTES_MAX ? (size_t)header->p_filesz : NOTES_MAX;
	static const char name[4] = "Go";
	bool found = false;
	char *notes = calloc(1, size + 1);
	ssize_t got = notes ? pread(fd, notes, size, (off_t)header->p_offset) : -1;

	for (size_t at = 0; got > 0 && at + sizeof(Elf64_Nhdr) + sizeof(name) <= (size_t)got;) {
		Elf64_Nhdr note;

		memcpy(&note, notes + at, sizeof(note));
		at += sizeof(note);
		found = found || (note.n_namesz == sizeof(name) &&
				  memcmp(notes + at, name, sizeof(name)) == 0);
		if (note.n_namesz > NOTES_MAX || note.n_descsz > NOTES_MAX)
			break;
		at += ((size_t)note.n_namesz + 3) / 4 * 4 + ((size_t)note.n_descsz + 3) / 4 * 4;
	}
	free(notes);
	return found;
}

static int elf_fits(const char *program, int fd, struct error *e)
{
	Elf64_Ehdr head;
	bool loader = false;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
		return refuse(program, "it is no ELF program", e);
	if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof(Elf64_Phdr) ||
	    head.e_phnum > HEADERS_MAX)
		return refuse(program, "it is no 64-bit program", e);
	for (uint16_t i = 0; i < head.e_phnum; i++) {
		Elf64_Phdr header;

		if (pread(fd, &header, sizeof(header),
			  (off_t)(head.e_phoff + i * sizeof(header))) != sizeof(header))
			return refuse(program, "its headers cannot be read", e);
		loader = loader || header.p_type == PT_INTERP;
		if (header.p_type == PT_NOTE && is_go(fd, &header))
			return refuse(program, "it is a Go program, which asks the kernel itself",
				      e);
	}
	return loader ? 0
		      : refuse(program, "it is linked statically, and loads no other library", e);
}

/* The program of a script's first line, "#!/bin/bash -e"; false: it is no script. */
static bool script_program(int fd, char *ret, size_t room)
{
	ssize_t got = pread(fd, ret, room - 1, 0);
	size_t begin;

	ret[got > 0 ? got : 0] = '\0';
	if (strncmp(ret, "#!", 2) != 0)
		return false;
	begin = 2 + strspn(ret + 2, " \t");
	ret[begin + strcspn(ret + begin, " \t\r\n")] = '\0';
	memmove(ret, ret + begin, strlen(ret + begin) + 1);
	return true;
}

static int fits(const char *program, bool script, struct error *e)
{
	int fd = open(program, O_RDONLY | O_CLOEXEC), rc;
	char other[LINE_MAX_BYTES];
	struct stat status;

	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		rc = refuse(program, fd < 0 ? strerror(errno) : "it is no file", e);
	} else if (status.st_mode & (S_ISUID | S_ISGID)) {
		rc = refuse(program, "it changes its user, and the loader then loads nothing", e);
	} else if (!script && script_program(fd, other, sizeof(other))) {
		rc = fits(other, true, e);
	} else {
		rc = elf_fits(program, fd, e);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

int clock_wall_fits(const char *program, struct error *e)
{
	return fits(program, false, e);
}

/* ---- a look from inside ---- */

/* Its first line, within the patience. */
static int read_line(int fd, char line[LINE_MAX_BYTES], struct error *e)
{
	nanos end = process_now() + CHILD_PATIENCE;
	size_t size = 0;

	for (;;) {
		struct pollfd output = {.fd = fd, .events = POLLIN};
		nanos left = end - process_now();
		ssize_t got;

		if (left <= 0 || poll(&output, 1, (int)(left / NANOS_MS) + 1) == 0)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "a child under " LIBRARY " does not tell its clock");
		got = read(fd, line + size, LINE_MAX_BYTES - 1 - size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		size += (size_t)got;
		line[size] = '\0';
		if (strchr(line, '\n') || size + 1 == LINE_MAX_BYTES)
			return 0;
	}
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "a child under " LIBRARY " has ended without telling its clock");
}

/* "1795460972.745936320": seconds with nine digits behind the dot, or none. */
static int take_seconds(const char **at, nanos *ret)
{
	uint64_t seconds, rest = 0;
	const char *begin;

	*at += strspn(*at, " ");
	begin = *at;
	seconds = process_number(at);
	if (*at == begin || seconds > (uint64_t)(INT64_MAX / NANOS_S) - 1)
		return -1;
	if (**at == '.') {
		++*at;
		begin = *at;
		rest = process_number(at);
		if (*at - begin != 9)
			return -1;
	}
	*ret = (nanos)seconds * NANOS_S + (nanos)rest;
	return 0;
}

static char *const *whole_environment(const struct clock_wall *wall)
{
	const char **all = NULL;
	size_t count = 0, capacity = 0;

	for (size_t i = 0; wall->environment[i]; i++) {
		all = arena_grow(wall->arena, all, count, &capacity, sizeof(*all));
		all[count++] = wall->environment[i];
	}
	for (char **at = environ; *at; at++) {
		if (strncmp(*at, "LD_PRELOAD=", 11) == 0)
			continue;
		all = arena_grow(wall->arena, all, count, &capacity, sizeof(*all));
		all[count++] = *at;
	}
	all = arena_grow(wall->arena, all, count, &capacity, sizeof(*all));
	all[count] = NULL;
	return (char *const *)(uintptr_t)all;
}

/* Starts it with its standard output in a pipe; returns our end. */
static int start(const struct clock_wall *wall, const char *const *argv, pid_t *ret_pid,
		 struct error *e)
{
	posix_spawn_file_actions_t actions;
	int ends[2], code;

	if (pipe2(ends, O_CLOEXEC))
		return error_set(e, ERROR_IO, NO_PLACE, "pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	code = posix_spawnp(ret_pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv,
			    whole_environment(wall));
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (code == 0)
		return ends[0];
	close(ends[0]);
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot start %s: %s", argv[0],
			 strerror(code));
}

static int ask_child(const struct clock_wall *wall, const char *const *argv,
		     char line[LINE_MAX_BYTES], struct error *e)
{
	pid_t pid = 0;
	int fd = start(wall, argv, &pid, e), rc;

	if (fd < 0)
		return -1;
	rc = read_line(fd, line, e);
	close(fd);
	if (rc)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return rc;
}

int clock_wall_look(const struct clock_wall *wall, const char *const *argv,
		    struct clock_reading *ret_ahead, struct error *e)
{
	static const char *const date[] = {"date", "+%s.%N", NULL};
	struct clock_reading before = clock_look(), after, child = {0};
	char line[LINE_MAX_BYTES] = "";
	const char *at = line;

	*ret_ahead = (struct clock_reading){0};
	if (ask_child(wall, argv ? argv : date, line, e))
		return -1;
	after = clock_look();
	if (take_seconds(&at, &child.wall))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "a child tells its clock as '%.60s'", line);
	if (*at == ' ' && take_seconds(&at, &child.monotonic) == 0 &&
	    take_seconds(&at, &child.boottime) == 0) {
		/* Both of its clocks at one moment: what the start took does not count. */
		ret_ahead->wall = (child.wall - child.monotonic) - (after.wall - after.monotonic);
		return 0;
	}
	ret_ahead->wall = child.wall - (before.wall + (after.wall - before.wall) / 2);
	return 0;
}

/* In a folder of its own; what is read is off by what was asked for. */
static int try_wall(struct arena *arena, struct error *e)
{
	char folder[] = "/tmp/drsim-clock-XXXXXX";
	struct clock_reading ahead = {0};
	struct clock_wall *wall = NULL;
	int rc = -1;

	if (!mkdtemp(folder))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot make a folder in /tmp: %s",
				 strerror(errno));
	if (wall_open(arena_printf(arena, "%s/offset", folder), folder + strlen("/tmp/"), NULL,
		      arena, &wall, e) == 0 &&
	    wall) {
		rc = clock_wall_set(wall, TRIED_AHEAD, e) || clock_wall_look(wall, NULL, &ahead, e)
			     ? -1
			     : 0;
		clock_wall_close(wall, NULL);
	}
	rmdir(folder);
	if (rc == 0 &&
	    (ahead.wall < TRIED_AHEAD - TRIED_SLACK || ahead.wall > TRIED_AHEAD + TRIED_SLACK))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "date(1) does not see the clock of " LIBRARY);
	return rc;
}

bool clock_wall_probe(struct arena *arena, const char **ret_why)
{
	struct error e = {0};

	if (try_wall(arena, &e)) {
		*ret_why = arena_strdup(arena, e.text);
		return false;
	}
	*ret_why = "wall clocks of dynamic programs that are started, by libfaketime";
	return true;
}
