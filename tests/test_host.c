/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The undo journal and what is undone by it: every cut and every flipped bit of a journal, files
 * put back as they were, paths and processes that are none of ours, journals of the dead.
 */
/* valgrind: skip */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/guardian.h"
#include "drivers/host/journal_private.h"
#include "drivers/host/machine.h"
#include "drivers/host/process.h"
#include "drivers/host/residue.h"
#include "drivers/host/undo.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define PATH_SIZE 8192

extern char **environ;

static struct arena arena;
static struct error error;
static char here[4096];

static void setup(void)
{
	char state[PATH_SIZE];

	arena = (struct arena){0};
	error = (struct error){0};
	workplace_enter("undo");
	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	snprintf(state, sizeof(state), "%s/state", here);
	setenv("DRSIM_STATE", state, 1);
}

static void teardown(void)
{
	arena_free(&arena);
	workplace_leave();
}

static void must(int rc)
{
	ck_assert_msg(rc == 0, "%s", error.text);
}

static void must_fail(int rc, const char *part)
{
	ck_assert_int_eq(rc, -1);
	ck_assert_msg(strstr(error.text, part) != NULL, "'%s' is not in '%s'", part, error.text);
	error = (struct error){0};
}

static struct journal *begin(const char *run)
{
	struct journal *journal;

	must(journal_open(run, &arena, &journal, &error));
	return journal;
}

static const char *path_of(const char *name)
{
	return arena_printf(&arena, "%s/%s", here, name);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static bool is_there(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

static int revert(char **ret_output)
{
	const char *argv[] = {workplace_program, "revert", NULL};
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "output", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	ck_assert_int_eq(posix_spawn(&pid, workplace_program, &actions, NULL,
				     (char *const *)(uintptr_t)argv, environ),
			 0);
	posix_spawn_file_actions_destroy(&actions);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	*ret_output = workplace_read("output");
	return WEXITSTATUS(status);
}

static void expect_revert(int code, const char *part)
{
	char *output;
	int got = revert(&output);

	ck_assert_msg(got == code && strstr(output, part), "exit %d: %s", got, output);
	free(output);
}

/* ---- the journal's text ---- */

static struct undo sample(size_t i)
{
	static const struct undo samples[] = {
		{.kind = UNDO_RUN},
		{.kind = UNDO_KILL, .pid = 4711, .start = 123456789},
		{.kind = UNDO_CONTINUE, .pid = 2147483647, .start = 1},
		{.kind = UNDO_CGROUP, .path = "/sys/fs/cgroup/drsim-sample"},
		{.kind = UNDO_FILE,
		 .path = "/srv/\"q\"\\ \n\t\x7f\xff/data",
		 .from = "/var/lib/drsim/run/sample/pristine/1",
		 .bytes = (uint64_t)1 << 52,
		 .digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		 .mode = 04755,
		 .uid = 4294967295,
		 .gid = 7,
		 .mtime_s = -1,
		 .mtime_ns = 999999999},
		{.kind = UNDO_REMOVE, .path = "/proc/12/root/made", .pid = 12, .start = 99},
		{.kind = UNDO_RENAME, .path = "/a/b", .from = "/a/c"},
		{.kind = UNDO_UNMOUNT, .path = "/var/lib/drsim/run/sample/mnt"},
		{.kind = UNDO_LOOP, .path = "/var/lib/drsim/run/sample/a.disk"},
		{.kind = UNDO_MAPPER,
		 .path = "/dev/mapper/drsim-sample-a",
		 .from = "/var/lib/drsim/run/sample/a.disk"},
	};

	return samples[i % (sizeof(samples) / sizeof(samples[0]))];
}

#define SAMPLES 10

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same(const struct undo *a, const struct undo *b)
{
	return a->kind == b->kind && same_text(a->path, b->path) && same_text(a->from, b->from) &&
	       a->pid == b->pid && a->start == b->start && a->bytes == b->bytes &&
	       strcmp(a->digest, b->digest) == 0 && a->mode == b->mode && a->uid == b->uid &&
	       a->gid == b->gid && a->mtime_s == b->mtime_s && a->mtime_ns == b->mtime_ns;
}

/* A journal of all kinds, two of them undone; its text, read from disk. */
static char *write_sample(size_t *ret_size)
{
	struct journal *journal = begin("sample");
	struct stat status;
	char *text;

	for (size_t i = 0; i < SAMPLES; i++) {
		struct undo undo = sample(i);

		must(journal_add(journal, &undo, &error));
		ck_assert_uint_eq(undo.number, i + 2);
	}
	must(journal_done(journal, 3, &error));
	must(journal_done(journal, 5, &error));
	must(journal_done(journal, 5, &error));
	ck_assert_uint_eq(journal_open_count(journal), SAMPLES + 1 - 2);
	ck_assert(!journal_close(journal));
	ck_assert_int_eq(stat(journal->path, &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0600);
	text = workplace_read(journal->path);
	*ret_size = strlen(text);
	ck_assert_uint_eq(*ret_size, (size_t)status.st_size);
	return text;
}

static struct journal *parse(const char *text, size_t size)
{
	struct journal *journal;

	journal_parse("sample", text, size, &arena, &journal);
	return journal;
}

/* No record is another one than it was. */
static void must_be_true(const struct journal *journal)
{
	for (size_t i = 1; i < journal->count; i++) {
		struct undo undo = sample(i - 1);

		ck_assert(same(&journal->records[i], &undo) ||
			  (journal->damaged > 0 && journal->records[i].done));
	}
}

START_TEST(a_journal_is_read_as_written)
{
	size_t size;
	char *text = write_sample(&size);
	struct journal *journal = parse(text, size);

	ck_assert_uint_eq(journal->count, SAMPLES + 1);
	ck_assert_uint_eq(journal->damaged, 0);
	ck_assert_uint_eq(journal->size, size);
	must_be_true(journal);
	for (size_t i = 0; i < journal->count; i++)
		ck_assert_int_eq(journal->records[i].done, i + 1 == 3 || i + 1 == 5);
	ck_assert_int_eq(journal->owner, getpid());
	ck_assert(journal_owner_lives(journal) && !journal_rebooted(journal));
	ck_assert_uint_eq(journal->owner_start, process_start(getpid()));
	free(text);
}
END_TEST

START_TEST(a_torn_end_is_ignored)
{
	size_t size, lines = 0;
	char *text = write_sample(&size);

	for (size_t cut = 0; cut <= size; cut++) {
		struct journal *journal;
		size_t records;

		lines += cut > 0 && text[cut - 1] == '\n';
		records = lines > 0 ? lines - 1 : 0;
		journal = parse(text, cut);
		ck_assert_uint_eq(journal->damaged, 0);
		ck_assert_uint_eq(journal->count, records < SAMPLES + 1 ? records : SAMPLES + 1);
		must_be_true(journal);
		arena_reset(&arena);
	}
	free(text);
}
END_TEST

START_TEST(a_flipped_bit_is_reported)
{
	size_t size;
	char *text = write_sample(&size);

	for (size_t i = 0; i + 1 < size; i++) {
		struct journal *journal;

		text[i] ^= (char)(1 << i % 8);
		journal = parse(text, size);
		ck_assert_msg(journal->damaged > 0 && journal->damage, "byte %zu", i);
		must_be_true(journal);
		text[i] ^= (char)(1 << i % 8);
		arena_reset(&arena);
	}
	free(text);
}
END_TEST

START_TEST(a_lost_line_is_reported)
{
	size_t size;
	char *text = write_sample(&size), *second, *third;
	struct journal *journal;

	second = strchr(text, '\n') + 1;
	third = strchr(second, '\n') + 1;
	memmove(second, third, strlen(third) + 1);
	journal = parse(text, strlen(text));
	ck_assert_uint_eq(journal->damaged, 1);
	ck_assert_str_eq(journal->damage, "line 2: records before it are missing");
	ck_assert(journal->records[0].done);
	free(text);
}
END_TEST

START_TEST(what_makes_no_sense_is_not_noted)
{
	static const char *const runs[] = {"", ".hidden", "a/b", "../x", "a b", "-x"};
	static const struct undo bad[] = {
		{.kind = UNDO_KILL, .pid = 1, .start = 5},
		{.kind = UNDO_KILL, .pid = 77},
		{.kind = UNDO_CGROUP},
		{.kind = UNDO_REMOVE, .path = "relative"},
		{.kind = UNDO_REMOVE, .path = "/a/../b"},
		{.kind = UNDO_REMOVE, .path = "/a//b"},
		{.kind = UNDO_REMOVE, .path = "/a/"},
		{.kind = UNDO_RENAME, .path = "/a"},
		{.kind = UNDO_FILE, .path = "/a", .from = "/b"},
	};
	struct journal *journal = begin("sense"), *other;
	char *long_path = arena_alloc(&arena, JOURNAL_PATH_MAX + 2);
	struct undo undo = {.kind = UNDO_REMOVE, .path = long_path};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		undo = bad[i];
		must_fail(journal_add(journal, &undo, &error), "cannot note");
	}
	memset(long_path, 'x', JOURNAL_PATH_MAX);
	long_path[0] = '/';
	undo = (struct undo){.kind = UNDO_REMOVE, .path = long_path};
	must_fail(journal_add(journal, &undo, &error), "cannot note");
	/* Any byte that a path may have, as often as one can have it. */
	memset(long_path + 1, '\x01', JOURNAL_PATH_MAX - 2);
	long_path[JOURNAL_PATH_MAX - 1] = '\0';
	undo = (struct undo){.kind = UNDO_RENAME, .path = long_path, .from = long_path};
	must(journal_add(journal, &undo, &error));
	must_fail(journal_open("sense", &arena, &other, &error), "already");
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
		must_fail(journal_open(runs[i], &arena, &other, &error), "run's id");
	must(journal_load(journal->path, -1, &arena, &other, &error));
	ck_assert_str_eq(other->records[1].path, long_path);
}
END_TEST

START_TEST(the_state_folder_is_ours_alone)
{
	struct journal *journal;

	ck_assert_int_eq(mkdir("state", 0777), 0);
	ck_assert_int_eq(chmod("state", 0777), 0);
	must_fail(journal_open("open", &arena, &journal, &error), "only this user can write");
	ck_assert_int_eq(chmod("state", 0700), 0);
	must(journal_open("open", &arena, &journal, &error));
	ck_assert_int_eq(fchmod(journal->fd, 0666), 0);
	must_fail(journal_load(journal->path, -1, &arena, &journal, &error),
		  "only this user can write");
}
END_TEST

/* ---- files ---- */

#define TEXT "the quick brown fox jumps over the lazy dog\n"

static void break_file(const char *path, int how)
{
	const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};

	switch (how) {
	case 0:
		ck_assert_int_eq(truncate(path, 3), 0);
		break;
	case 1:
		write_file(path, TEXT TEXT);
		break;
	case 2:
		ck_assert_int_eq(unlink(path), 0);
		break;
	case 3:
		ck_assert_int_eq(chmod(path, 0), 0);
		break;
	case 4:
		ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
		break;
	case 5:
		write_file(path, TEXT);
		break;
	case 6:
		ck_assert_int_eq(truncate(path, 1 << 20), 0);
		ck_assert_int_eq(chmod(path, 0400), 0);
		break;
	default:
		break; /* a crash came before it was broken */
	}
}
#define BREAKS 8

START_TEST(a_file_comes_back_as_it_was)
{
	const char *path = path_of("data");
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1234567, .tv_nsec = 89}};
	struct journal *journal = begin("file");
	char digest[JOURNAL_DIGEST_MAX] = "", after[JOURNAL_DIGEST_MAX] = "";
	struct stat status, now;
	uint64_t number, bytes;
	const char **texts;

	write_file(path, TEXT);
	ck_assert_int_eq(chmod(path, 0751), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	ck_assert_int_eq(stat(path, &status), 0);
	must(undo_digest(path, digest, &bytes, &error));
	must(undo_keep_file(journal, path, 0, &number, &error));
	break_file(path, _i);
	ck_assert_uint_eq(residue_scan(journal, &texts), _i == 4 || _i == 5 || _i == 7 ? 1 : 2);
	/* Twice, as after a crash between the undo and its mark. */
	for (int i = 0; i < 2; i++) {
		must(undo_number(journal, number, &error));
		must(undo_digest(path, after, &bytes, &error));
		ck_assert_str_eq(after, digest);
		ck_assert_int_eq(stat(path, &now), 0);
		ck_assert_int_eq(now.st_mode, status.st_mode);
		ck_assert_int_eq(now.st_mtim.tv_sec, 1234567);
		ck_assert_int_eq(now.st_mtim.tv_nsec, 89);
		if (_i != 2) /* others may have it open: it must stay the same file */
			ck_assert_uint_eq(now.st_ino, status.st_ino);
		journal_find(journal, number)->done = false;
	}
}
END_TEST

START_TEST(what_cannot_be_undone_stays_and_is_named)
{
	const char *path = path_of("folder/data"), *kept;
	struct journal *journal = begin("stays");
	struct undo_sum sum;
	uint64_t number;

	ck_assert_int_eq(mkdir("folder", 0700), 0);
	write_file(path, TEXT);
	must(undo_keep_file(journal, path, 0, &number, &error));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir("folder"), 0);
	undo_all(journal, &sum);
	ck_assert_uint_eq(sum.undone, 0);
	ck_assert_uint_eq(sum.left, 2);
	ck_assert_ptr_nonnull(strstr(sum.left_texts[0], "folder/data"));
	/* The work folder has the copy: it stays too. */
	ck_assert_ptr_nonnull(strstr(sum.left_texts[1], "holds what belongs at"));
	ck_assert(is_there(journal->work));
	ck_assert_int_eq(mkdir("folder", 0700), 0);
	/* Only what it was is put in its place. */
	kept = journal_find(journal, number)->from;
	write_file(kept, "something else");
	must_fail(undo_number(journal, number, &error), "damaged");
	write_file(kept, TEXT);
	undo_all(journal, &sum);
	ck_assert_uint_eq(sum.undone, 2);
	ck_assert_uint_eq(sum.left, 0);
	ck_assert(is_there(path) && !is_there(journal->work));
	ck_assert(journal_close(journal));
	ck_assert(!is_there(journal->path));
}
END_TEST

START_TEST(links_are_not_followed)
{
	const char *path = path_of("data"), *other = path_of("other");
	struct journal *journal = begin("links");
	uint64_t number;
	char *text;

	write_file(path, TEXT);
	write_file(other, "mine");
	must(undo_keep_file(journal, path, 0, &number, &error));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink(other, path), 0);
	must_fail(undo_number(journal, number, &error), "cannot write");
	must_fail(undo_keep_file(journal, path, 0, &number, &error), "cannot read");
	must_fail(undo_keep_file(journal, here, 0, &number, &error), "no regular file");
	text = workplace_read(other);
	ck_assert_str_eq(text, "mine");
	free(text);
}
END_TEST

START_TEST(moved_and_made_files)
{
	const char *path = path_of("data"), *away = path_of("away"), *made = path_of("made");
	struct journal *journal = begin("moved");
	struct undo move = {.kind = UNDO_RENAME, .path = path, .from = away};
	struct undo make = {.kind = UNDO_REMOVE, .path = made};
	struct undo folder = {.kind = UNDO_REMOVE, .path = here};

	write_file(path, TEXT);
	must(journal_add(journal, &move, &error));
	must(journal_add(journal, &make, &error));
	must(journal_add(journal, &folder, &error));
	/* Nothing was done yet; then done; then undone already. */
	for (int i = 0; i < 3; i++) {
		must(undo_number(journal, move.number, &error));
		must(undo_number(journal, make.number, &error));
		ck_assert(is_there(path) && !is_there(away) && !is_there(made));
		journal_find(journal, move.number)->done = false;
		journal_find(journal, make.number)->done = false;
		if (i == 0) {
			ck_assert_int_eq(rename(path, away), 0);
			write_file(made, "x");
		}
	}
	ck_assert_int_eq(unlink(path), 0);
	must_fail(undo_number(journal, move.number, &error), "cannot find");
	must_fail(undo_number(journal, folder.number, &error), "is a folder");
}
END_TEST

START_TEST(only_folders_of_runs_are_removed)
{
	static const char *const foreign[] = {"",
					      "/",
					      "/run",
					      "/run/",
					      "/run/.",
					      "/run/x/..",
					      "/run/x/../../journal",
					      "/journal",
					      "/run/x//y"};
	struct journal *journal = begin("tree");
	const char *state, *inside, *outside = path_of("outside");

	must(journal_state(&arena, &state, &error));
	ck_assert_int_eq(mkdir(outside, 0700), 0);
	write_file(path_of("outside/file"), TEXT);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		must_fail(undo_remove_tree(arena_printf(&arena, "%s%s", state, foreign[i]), &error),
			  "is no folder in");
	must_fail(undo_remove_tree(outside, &error), "is no folder in");
	inside = arena_printf(&arena, "%s/a", journal->work);
	ck_assert_int_eq(mkdir(inside, 0700), 0);
	ck_assert_int_eq(symlink(outside, arena_printf(&arena, "%s/link", inside)), 0);
	ck_assert_int_eq(symlink(outside, arena_printf(&arena, "%s/run/link", state)), 0);
	write_file(arena_printf(&arena, "%s/file", inside), TEXT);
	ck_assert_int_eq(mkdir(arena_printf(&arena, "%s/closed", inside), 0), 0);
	must_fail(undo_remove_tree(arena_printf(&arena, "%s/run/link", state), &error),
		  "cannot open");
	must_fail(undo_remove_tree(arena_printf(&arena, "%s/run/link/file", state), &error),
		  "cannot open");
	must(undo_number(journal, 1, &error));
	ck_assert(!is_there(journal->work) && is_there(path_of("outside/file")));
	must(undo_remove_tree(journal->work, &error));
	ck_assert(journal_close(journal));
}
END_TEST

START_TEST(a_record_of_another_folder_is_refused)
{
	struct journal *journal = begin("mine"), *other = begin("other");
	struct undo tree = {.kind = UNDO_TREE, .path = other->work};
	struct undo mount = {.kind = UNDO_UNMOUNT, .path = "/proc"};
	struct undo group = {.kind = UNDO_CGROUP, .path = "/sys/fs/cgroup/drsim-mine-not"};
	struct undo folder = {.kind = UNDO_CGROUP, .path = path_of("drsim-mine")};

	must(journal_add(journal, &tree, &error));
	must(journal_add(journal, &mount, &error));
	must(journal_add(journal, &group, &error));
	must(journal_add(journal, &folder, &error));
	must_fail(undo_number(journal, tree.number, &error), "not the work folder");
	must_fail(undo_number(journal, mount.number, &error), "not in the work folder");
	must_fail(undo_number(journal, group.number, &error), "no cgroup of this run");
	ck_assert_int_eq(mkdir(folder.path, 0700), 0);
	must_fail(undo_number(journal, folder.number, &error), "is no cgroup");
	ck_assert(is_there(other->work) && is_there(folder.path));
}
END_TEST

/* ---- processes ---- */

static pid_t idle(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static bool ended(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == pid;
}

START_TEST(a_process_keeps_its_start)
{
	pid_t first = idle(), second;
	uint64_t start = process_start(first);
	nanos begin = process_now();

	/* The kernel counts hundredths of a second. */
	process_pause(30 * NANOS_MS);
	second = idle();
	ck_assert_uint_eq(process_start(first), start);
	ck_assert_uint_gt(process_start(second), start);
	ck_assert_uint_le(process_start(second) - start,
			  (uint64_t)((process_now() - begin) / (10 * NANOS_MS)) + 1);
	kill(first, SIGKILL);
	kill(second, SIGKILL);
	waitpid(second, NULL, 0);
	while (process_lives(first, start)) /* a zombie is dead */
		process_pause(NANOS_MS);
	ck_assert_uint_eq(process_start(first), start);
	waitpid(first, NULL, 0);
	ck_assert_uint_eq(process_start(first), 0);
}
END_TEST

/* What is more than the host has is never asked for: its OOM killer takes anybody. */
START_TEST(memory_of_the_host_is_not_used_up)
{
	struct sysinfo host;
	struct error e = {0};

	ck_assert_int_eq(sysinfo(&host), 0);
	ck_assert_int_eq(process_require_memory(4096, &e), 0);
	ck_assert_int_ne(process_require_memory((uint64_t)host.totalram * host.mem_unit, &e), 0);
	ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(e.text, " MiB available"));
}
END_TEST

START_TEST(no_stranger_is_killed)
{
	struct journal *journal = begin("kill");
	pid_t pid = idle();
	struct undo wrong = {.kind = UNDO_KILL, .pid = pid, .start = process_start(pid) + 1};
	struct undo right = {.kind = UNDO_KILL, .pid = pid, .start = process_start(pid)};
	char boot[JOURNAL_BOOT_MAX];

	must(journal_add(journal, &wrong, &error));
	must(journal_add(journal, &right, &error));
	must(undo_number(journal, wrong.number, &error));
	ck_assert(!ended(pid) && process_lives(pid, right.start));
	/* After a reboot it is another one, even of the same number and age. */
	memcpy(boot, journal->boot, sizeof(boot));
	snprintf(journal->boot, sizeof(journal->boot), "another");
	must(undo_number(journal, right.number, &error));
	ck_assert(!ended(pid));
	memcpy(journal->boot, boot, sizeof(boot));
	journal_find(journal, right.number)->done = false;
	must(undo_number(journal, right.number, &error));
	ck_assert(ended(pid));
}
END_TEST

static char state_of(pid_t pid)
{
	struct process process;

	return process_read(pid, &process) ? process.state : '?';
}

START_TEST(a_stopped_process_goes_on)
{
	struct journal *journal = begin("stop");
	pid_t pid = idle();
	struct undo undo = {.kind = UNDO_CONTINUE, .pid = pid, .start = process_start(pid)};

	must(journal_add(journal, &undo, &error));
	kill(pid, SIGSTOP);
	while (state_of(pid) != 'T')
		process_pause(NANOS_MS);
	must(undo_number(journal, undo.number, &error));
	while (state_of(pid) == 'T')
		process_pause(NANOS_MS);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	journal_find(journal, undo.number)->done = false;
	must(undo_number(journal, undo.number, &error));
}
END_TEST

static pid_t start_marked(const char *mark)
{
	const char *argv[] = {"/bin/sleep", "100", NULL}, *environment[] = {"A=1", mark, NULL};
	pid_t pid;

	ck_assert_int_eq(posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv,
				     (char *const *)(uintptr_t)environment),
			 0);
	return pid;
}

/* Also one that has been started this very moment: posix_spawn() returns before the new program has
 * its environment. */
START_TEST(a_mark_is_never_missed)
{
	for (int i = 0; i < 200; i++) {
		pid_t pid = start_marked("DRSIM_RUN=just");
		bool carries = process_carries(pid, "DRSIM_RUN=just");

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		ck_assert_msg(carries, "start %d", i);
	}
}
END_TEST

START_TEST(processes_of_the_run_end)
{
	/* The marks of all processes of the host are looked at, of another such test too. */
	const char *run = arena_printf(&arena, "marked%ld", (long)getpid());
	const char *mark = arena_printf(&arena, "DRSIM_RUN=%s", run);
	const char *longer = arena_printf(&arena, "%s-2", mark);
	struct journal *journal = begin(run);
	struct undo undo = {.kind = UNDO_RUN};
	pid_t pid = start_marked(mark), other = start_marked(longer);
	const char **texts;

	must(journal_add(journal, &undo, &error));
	ck_assert(process_carries(pid, mark) && process_carries(other, longer));
	ck_assert(!process_carries(other, mark));
	ck_assert(!process_carries(pid, "DRSIM_RUN=marked"));
	ck_assert_uint_eq(residue_scan(journal, &texts), 2);
	ck_assert_ptr_nonnull(strstr(texts[0], "(sleep)"));
	must(undo_number(journal, undo.number, &error));
	ck_assert(ended(pid) && !ended(other));
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}
END_TEST

START_TEST(a_path_through_a_process_goes_with_it)
{
	struct journal *journal = begin("through");
	pid_t pid = idle();
	const char *path = arena_printf(&arena, "/proc/%ld/cwd/data", (long)pid);
	uint64_t number;

	write_file("data", TEXT);
	must(undo_keep_file(journal, path, pid, &number, &error));
	ck_assert_int_eq(truncate("data", 1), 0);
	must(undo_number(journal, number, &error));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	journal_find(journal, number)->done = false;
	must(undo_number(journal, number, &error));
	ck_assert_uint_eq(journal_find(journal, number)->bytes, strlen(TEXT));
}
END_TEST

/* ---- journals of the dead, and the guardian ---- */

/* A child begins a run, breaks `data`, and ends as it likes. */
static pid_t child_run(const char *run, bool guarded, int signal_number)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct journal *journal;
		struct guardian guardian;
		uint64_t number;

		if (journal_open(run, &arena, &journal, &error) ||
		    (guarded && guardian_start(&guardian, journal, &error)) ||
		    undo_keep_file(journal, path_of("data"), 0, &number, &error) ||
		    truncate("data", 1))
			_exit(1);
		if (signal_number) {
			signal(signal_number, SIG_DFL);
			kill(getpid(), signal_number);
		}
		for (;;)
			pause();
	}
	return pid;
}

static void expect_data(const char *expected)
{
	char *text = workplace_read("data");

	ck_assert_str_eq(text, expected);
	free(text);
}

START_TEST(a_dead_run_makes_the_host_dirty)
{
	pid_t pid;

	write_file("data", TEXT);
	expect_revert(0, "nothing to undo");
	pid = child_run("dead", false, SIGKILL);
	waitpid(pid, NULL, 0);
	expect_data("t");
	must_fail(undo_require_clean(&arena, &error), "run dead was killed and left 2 things");
	expect_revert(0, "file ");
	expect_data(TEXT);
	must(undo_require_clean(&arena, &error));
	expect_revert(0, "nothing to undo");
}
END_TEST

/* The journal's first line, as if it were of another boot: its owner's number may live again. */
static void reboot(const char *run)
{
	const char *path = arena_printf(&arena, "state/journal/%s.journal", run);
	char *text = workplace_read(path), *line = arena_alloc(&arena, JOURNAL_LINE_MAX);
	struct journal *journal;
	size_t size = 0;

	journal_parse(run, text, strlen(text), &arena, &journal);
	journal->owner = getpid();
	journal->owner_start = process_start(getpid());
	snprintf(journal->boot, sizeof(journal->boot), "another");
	must(journal_print_header(journal, line, &size, &error));
	write_file(path, arena_printf(&arena, "%.*s%s", (int)size, line, strchr(text, '\n') + 1));
	free(text);
}

START_TEST(undone_after_a_reboot)
{
	write_file("data", TEXT);
	waitpid(child_run("boot", false, SIGKILL), NULL, 0);
	reboot("boot");
	must_fail(undo_require_clean(&arena, &error), "dirty");
	expect_revert(0, "restored");
	expect_data(TEXT);
	ck_assert(!is_there("state/run/boot") && !is_there("state/journal/boot.journal"));
}
END_TEST

START_TEST(runs_beside_one_another)
{
	pid_t pid;

	write_file("data", TEXT);
	pid = child_run("alive", false, 0);
	while (!is_there("state/journal/alive.journal") || !is_there("state/run/alive/pristine/2"))
		process_pause(NANOS_MS);
	must(undo_require_clean(&arena, &error));
	expect_revert(0, "nothing to undo");
	ck_assert(is_there("state/run/alive"));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	expect_revert(0, "alive");
	expect_data(TEXT);
}
END_TEST

START_TEST(a_damaged_journal_is_never_guessed)
{
	pid_t pid;
	char *text;

	write_file("data", TEXT);
	pid = child_run("hurt", false, SIGKILL);
	waitpid(pid, NULL, 0);
	text = workplace_read("state/journal/hurt.journal");
	strstr(text, "/data")[1] = 'D';
	write_file("state/journal/hurt.journal", text);
	expect_revert(4, "is damaged, line 3: its checksum does not match");
	expect_data("t");
	ck_assert(is_there("state/run/hurt/pristine") && !is_there("Data"));
	must_fail(undo_require_clean(&arena, &error), "dirty");
	/* Not even the first line: whose it was cannot be told. */
	text[2] = 'X';
	write_file("state/journal/hurt.journal", text);
	expect_revert(4, "is damaged, line 1");
	ck_assert(is_there("state/run/hurt/pristine"));
	/* A crash while the first line was written: nothing was done yet. */
	write_file("state/journal/hurt.journal", "{\"journal\":1,\"ru");
	expect_revert(0, "nothing to undo");
	ck_assert(!is_there("state/journal/hurt.journal"));
	free(text);
}
END_TEST

START_TEST(the_guardian_undoes)
{
	static const int signals[] = {SIGKILL, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGSEGV};
	nanos end;
	pid_t pid;

	write_file("data", TEXT);
	pid = child_run("guarded", true, signals[_i]);
	waitpid(pid, NULL, 0);
	end = process_now() + 20 * NANOS_S;
	while (is_there("state/journal/guarded.journal") && process_now() < end)
		process_pause(NANOS_MS);
	ck_assert(!is_there("state/journal/guarded.journal") && !is_there("state/run/guarded"));
	expect_data(TEXT);
}
END_TEST

/* The last that it does before it waits: it blocks the two signals that cannot be ignored. */
static bool has_left(pid_t pid)
{
	const char *path = arena_printf(&arena, "/proc/%ld/status", (long)pid);
	const char *text = process_read_text(path, &arena);
	const char *blocked = text ? strstr(text, "SigBlk:") : NULL;

	return blocked && (strtoull(blocked + strlen("SigBlk:"), NULL, 16) >> 31 & 3) == 3;
}

START_TEST(the_guardian_just_ends)
{
	struct journal *journal = begin("order");
	struct guardian guardian;
	pid_t pid;

	must(guardian_start(&guardian, journal, &error));
	pid = guardian.pid;
	while (!has_left(pid))
		process_pause(NANOS_MS);
	/* It is in no group of ours, and what ends others does not end it. */
	ck_assert_int_eq(getpgid(pid), pid);
	ck_assert_int_eq(getsid(pid), pid);
	for (int number = 1; number <= SIGRTMAX; number++)
		if (number != SIGKILL && number != SIGSTOP)
			kill(pid, number);
	process_pause(20 * NANOS_MS);
	ck_assert(guardian_lives(&guardian) && process_lives(pid, 0));
	guardian_end(&guardian);
	ck_assert(!process_lives(pid, 0));
	/* It left everything as it was. */
	ck_assert(is_there(journal->work) && is_there(journal->path));
	must(guardian_start(&guardian, journal, &error));
	kill(guardian.pid, SIGKILL);
	while (guardian_lives(&guardian))
		process_pause(NANOS_MS);
	guardian_end(&guardian);
}
END_TEST

/* ---- doctor ---- */

static int said_count;
static char said[1024];

static void hear(const char *what, bool yes, const char *detail)
{
	size_t length = strlen(said);

	ck_assert(detail && *detail);
	said_count++;
	snprintf(said + length, sizeof(said) - length, "%s %s\n", what, yes ? "yes" : "no");
}

START_TEST(the_doctor_tells)
{
	host_doctor(&arena, hear);
	ck_assert_int_eq(said_count, 6);
	ck_assert_ptr_nonnull(strstr(said, "wire capture "));
	ck_assert_ptr_nonnull(strstr(said, "namespaces "));
	ck_assert_ptr_nonnull(strstr(said, "cgroup freezer "));
	ck_assert_ptr_nonnull(strstr(said, "cgroup memory "));
	ck_assert_ptr_nonnull(strstr(said, "undo journal yes"));
	/* It made nothing; and it sees what a dead run left. */
	ck_assert(!is_there("state"));
	write_file("data", TEXT);
	waitpid(child_run("ill", false, SIGKILL), NULL, 0);
	said[0] = '\0';
	host_doctor(&arena, hear);
	ck_assert_ptr_nonnull(strstr(said, "undo journal no"));
	ck_assert(is_there("state/run/ill"));
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "journal", a_journal_is_read_as_written, 1);
	add(suite, "journal: torn", a_torn_end_is_ignored, 1);
	add(suite, "journal: flipped", a_flipped_bit_is_reported, 1);
	add(suite, "journal: lost", a_lost_line_is_reported, 1);
	add(suite, "journal: refused", what_makes_no_sense_is_not_noted, 1);
	add(suite, "journal: ours", the_state_folder_is_ours_alone, 1);
	add(suite, "file", a_file_comes_back_as_it_was, BREAKS);
	add(suite, "file: stays", what_cannot_be_undone_stays_and_is_named, 1);
	add(suite, "file: links", links_are_not_followed, 1);
	add(suite, "file: moved", moved_and_made_files, 1);
	add(suite, "folder", only_folders_of_runs_are_removed, 1);
	add(suite, "foreign", a_record_of_another_folder_is_refused, 1);
	add(suite, "process", a_process_keeps_its_start, 1);
	add(suite, "process: memory", memory_of_the_host_is_not_used_up, 1);
	add(suite, "process: kill", no_stranger_is_killed, 1);
	add(suite, "process: stop", a_stopped_process_goes_on, 1);
	add(suite, "process: mark", a_mark_is_never_missed, 1);
	add(suite, "process: marked", processes_of_the_run_end, 1);
	add(suite, "process: through", a_path_through_a_process_goes_with_it, 1);
	add(suite, "dead", a_dead_run_makes_the_host_dirty, 1);
	add(suite, "reboot", undone_after_a_reboot, 1);
	add(suite, "alive", runs_beside_one_another, 1);
	add(suite, "damaged", a_damaged_journal_is_never_guessed, 1);
	add(suite, "guardian", the_guardian_undoes, 6);
	add(suite, "doctor", the_doctor_tells, 1);
	add(suite, "guardian: order", the_guardian_just_ends, 1);
}

TEST_MAIN("undo", add_cases)
