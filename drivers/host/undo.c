/* SPDX-License-Identifier: Apache-2.0 */
/* Taking back what stands in a journal: processes, cgroups and mounts; all of them, in order. */
#include "drivers/host/undo.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "drivers/host/cgroup.h"
#include "drivers/host/process.h"
#include "drivers/host/undo_private.h"
#include "drivers/linux/dm_undo.h"

#define WAIT (UNDO_WAIT_MS * NANOS_MS)
#define PAUSE (2 * NANOS_MS)
#define MOUNTS_MAX 64 /* on one another at one place */
#define PASSES_MAX 3  /* of everything: what was busy may be free by then */
#define PASS_PAUSE (100 * NANOS_MS)

/* ---- processes ---- */

static int undo_kill(const struct undo *undo, struct error *e)
{
	if (!process_signal(undo->pid, undo->start, SIGKILL) && errno != ESRCH)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot kill process %ld: %s",
				 (long)undo->pid, strerror(errno));
	if (!process_wait(undo->pid, undo->start, WAIT))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "process %ld does not end on SIGKILL", (long)undo->pid);
	return 0;
}

static int undo_continue(const struct undo *undo, struct error *e)
{
	if (!process_signal(undo->pid, undo->start, SIGCONT) && errno != ESRCH)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot continue process %ld: %s",
				 (long)undo->pid, strerror(errno));
	return 0;
}

/* One look at all processes; returns how many of the run live. */
static size_t kill_marked(const char *mark, struct error *e)
{
	struct arena arena = {0};
	struct process *list;
	size_t count = process_list(&arena, &list), left = 0;

	for (size_t i = 0; i < count; i++) {
		const struct process *one = &list[i];

		if (one->pid == getpid() || one->state == 'Z' || one->state == 'X' ||
		    !process_carries(one->pid, mark))
			continue;
		left++;
		if (!process_signal(one->pid, one->start, SIGKILL) && errno != ESRCH)
			error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot kill process %ld: %s",
				  (long)one->pid, strerror(errno));
	}
	arena_free(&arena);
	return left;
}

static int undo_run(const struct journal *journal, struct error *e)
{
	nanos end = process_now() + WAIT;
	char mark[JOURNAL_RUN_MAX + 16];
	size_t left;

	snprintf(mark, sizeof(mark), "DRSIM_RUN=%s", journal->run);
	while ((left = kill_marked(mark, e)) > 0) {
		if (process_now() >= end)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "%zu processes of the run do not end on SIGKILL", left);
		process_pause(PAUSE);
	}
	return 0;
}

/* ---- what the kernel keeps ---- */

/* Only a group that has our name, or is in one that has. */
static int undo_cgroup(const struct journal *journal, const struct undo *undo, struct error *e)
{
	const char *name = arena_printf(journal->arena, "/drsim-%s", journal->run);
	const char *at = strstr(undo->path, name);

	if (!at || (at[strlen(name)] && at[strlen(name)] != '/'))
		return error_set(e, ERROR_USAGE, NO_PLACE, "%s is no cgroup of this run",
				 undo->path);
	return cgroup_destroy(undo->path, WAIT, e);
}

char *undo_next_word(char **at)
{
	char *word = *at, *to = word;

	while (**at && **at != ' ' && **at != '\n') {
		const char *from = *at;
		bool octal = from[0] == '\\' && from[1] >= '0' && from[1] <= '3' &&
			     from[2] >= '0' && from[2] <= '7' && from[3] >= '0' && from[3] <= '7';

		*to++ = octal ? (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'))
			      : from[0];
		*at += octal ? 4 : 1;
	}
	*at += **at == ' ';
	*to = '\0';
	return word;
}

/* Is what is mounted on top of this path a layer of this run? Looks at no file below it: whoever
 * serves it may be dead or stopped. */
static bool is_our_layer(const struct journal *journal, const char *path)
{
	const char *source = arena_printf(journal->arena, "drsim-%s", journal->run);
	char *line = process_read_text("/proc/self/mountinfo", journal->arena);
	bool ours = false;

	while (line && *line) {
		char *next = strchr(line, '\n'), *dash, *place;

		if (next)
			*next++ = '\0';
		dash = strstr(line, " - ");
		for (int i = 0; i < 4; i++)
			undo_next_word(&line);
		place = undo_next_word(&line);
		/* Later lines are mounted over earlier ones. */
		if (dash && strcmp(place, path) == 0) {
			dash += strlen(" - ");
			ours = strcmp(undo_next_word(&dash), "fuse.drsim") == 0 &&
			       strcmp(undo_next_word(&dash), source) == 0;
		}
		line = next;
	}
	return ours;
}

static int undo_unmount(const struct journal *journal, const struct undo *undo, struct error *e)
{
	bool layer = undo->from && strcmp(undo->from, UNDO_LAYER) == 0;

	if (!layer && !undo_is_below(undo->path, journal->work))
		return error_set(e, ERROR_USAGE, NO_PLACE, "%s is not in the work folder",
				 undo->path);
	for (int i = 0; i < MOUNTS_MAX; i++) {
		/* Whatever else is mounted there was there before. */
		if (layer && !is_our_layer(journal, undo->path))
			return 0;
		/* EINVAL: nothing is mounted there. */
		if (umount2(undo->path, UMOUNT_NOFOLLOW | MNT_DETACH))
			return errno == EINVAL || errno == ENOENT
				       ? 0
				       : error_set(e, ERROR_IO, NO_PLACE, "cannot unmount %s: %s",
						   undo->path, strerror(errno));
	}
	return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d mounts at %s", MOUNTS_MAX,
			 undo->path);
}

/* The pristine copies are in it: it stays as long as one of them is needed. */
static int undo_tree(const struct journal *journal, const struct undo *undo, struct error *e)
{
	if (strcmp(undo->path, journal->work) != 0 && !undo_is_below(undo->path, journal->work))
		return error_set(e, ERROR_USAGE, NO_PLACE, "%s is not the work folder", undo->path);
	for (size_t i = 0; i < journal->count; i++) {
		const struct undo *other = &journal->records[i];

		if (!other->done && other->from && undo_is_below(other->from, undo->path))
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "%s holds what belongs at %s", undo->path, other->path);
	}
	if (journal->damaged > 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "%s may hold what the journal's damaged lines spoke of",
				 undo->path);
	return undo_remove_tree(undo->path, e);
}

/* ---- any ---- */

/* Gone by itself with the boot, or with the process that the path leads through? */
static bool is_gone(const struct journal *journal, const struct undo *undo)
{
	bool rebooted = journal_rebooted(journal);

	switch (undo->kind) {
	case UNDO_KILL:
	case UNDO_CONTINUE:
	case UNDO_RUN:
	case UNDO_CGROUP:
	case UNDO_UNMOUNT:
	case UNDO_LOOP:
	case UNDO_MAPPER:
		return rebooted;
	case UNDO_FILE:
	case UNDO_REMOVE:
	case UNDO_RENAME:
		return undo->pid != 0 && (rebooted || !process_lives(undo->pid, undo->start));
	case UNDO_TREE:
	case UNDO_KINDS:
		break;
	}
	return false;
}

static int undo_one(const struct journal *journal, const struct undo *undo, struct error *e)
{
	if (is_gone(journal, undo))
		return 0;
	if (!journal->work)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the journal has no header");
	switch (undo->kind) {
	case UNDO_KILL:
		return undo_kill(undo, e);
	case UNDO_CONTINUE:
		return undo_continue(undo, e);
	case UNDO_RUN:
		return undo_run(journal, e);
	case UNDO_CGROUP:
		return undo_cgroup(journal, undo, e);
	case UNDO_FILE:
		return undo_file(journal, undo, e);
	case UNDO_REMOVE:
		return undo_remove(undo, e);
	case UNDO_RENAME:
		return undo_rename(undo, e);
	case UNDO_UNMOUNT:
		return undo_unmount(journal, undo, e);
	case UNDO_TREE:
		return undo_tree(journal, undo, e);
	case UNDO_LOOP:
		return dm_undo_loop(journal, undo, e);
	case UNDO_MAPPER:
		return dm_undo_mapper(journal, undo, e);
	case UNDO_KINDS:
		break;
	}
	assert(false);
	return -1;
}

int undo_number(struct journal *journal, uint64_t number, struct error *e)
{
	const struct undo *undo = journal_find(journal, number);

	assert(undo != NULL);
	if (undo->done)
		return 0;
	return undo_one(journal, undo, e) ? -1 : journal_done(journal, number, e);
}

const char *undo_describe(const struct undo *undo, struct arena *arena)
{
	switch (undo->kind) {
	case UNDO_KILL:
		return arena_printf(arena, "process %ld: ended", (long)undo->pid);
	case UNDO_CONTINUE:
		return arena_printf(arena, "process %ld: goes on", (long)undo->pid);
	case UNDO_RUN:
		return "processes of the run: ended";
	case UNDO_CGROUP:
		return arena_printf(arena, "cgroup %s: removed", undo->path);
	case UNDO_FILE:
		return arena_printf(arena, "file %s: restored", undo->path);
	case UNDO_REMOVE:
		return arena_printf(arena, "file %s: removed", undo->path);
	case UNDO_RENAME:
		return arena_printf(arena, "file %s: moved back", undo->path);
	case UNDO_UNMOUNT:
		return arena_printf(arena, "mount %s: unmounted", undo->path);
	case UNDO_TREE:
		return arena_printf(arena, "folder %s: removed", undo->path);
	case UNDO_LOOP:
		return arena_printf(arena, "loop device of %s: detached", undo->path);
	case UNDO_MAPPER:
		return arena_printf(arena, "device %s: removed", undo->path);
	case UNDO_KINDS:
		break;
	}
	assert(false);
	return "";
}

/* Once through, last in first out. Returns how many are left. */
static size_t pass(struct journal *journal, struct undo_sum *sum)
{
	struct arena *arena = journal->arena;

	sum->left = 0;
	for (size_t i = journal->count; i-- > 0;) {
		const struct undo *undo = &journal->records[i];
		struct error error = {0};
		const char *text;

		if (undo->done)
			continue;
		text = undo_describe(undo, arena);
		if (undo_number(journal, undo->number, &error) == 0)
			sum->undone_texts[sum->undone++] = text;
		else
			sum->left_texts[sum->left++] = arena_strdup(arena, error.text);
	}
	return sum->left;
}

void undo_all(struct journal *journal, struct undo_sum *ret)
{
	size_t room = journal->count + 1;

	*ret = (struct undo_sum){
		.undone_texts = arena_array(journal->arena, room, sizeof(*ret->undone_texts)),
		.left_texts = arena_array(journal->arena, room, sizeof(*ret->left_texts)),
	};
	for (int i = 0; pass(journal, ret) > 0 && i + 1 < PASSES_MAX; i++)
		process_pause(PASS_PAUSE);
	ret->left_texts[ret->left] = NULL;
}
