/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The undo journal: what has to be taken back of one run, on disk before it is done. One file a
 * run, $DRSIM_STATE/journal/RUN.journal, of JSON lines with a checksum each. A journal whose owner
 * is dead is dirty: the guardian, or `drsim revert`, finishes it.
 */
#ifndef DRIVERS_HOST_JOURNAL_H
#define DRIVERS_HOST_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/arena.h"
#include "core/error.h"

#define JOURNAL_RUN_MAX 100 /* bytes of a run's id: [A-Za-z0-9_.-], begins with a letter or digit */
#define JOURNAL_PATH_MAX 4096
#define JOURNAL_LINE_MAX ((size_t)64 << 10)
#define JOURNAL_SIZE_MAX ((size_t)64 << 20)
#define JOURNAL_RECORDS_MAX ((size_t)100000)
#define JOURNAL_DIGEST_MAX 65 /* SHA-256 in hexadecimal digits, and the end of the text */
#define JOURNAL_BOOT_MAX 64

/* What is mounted is a FUSE layer of the run: its source, drsim-RUN, says so. */
#define UNDO_LAYER "/dev/fuse"

enum undo_kind {
	UNDO_KILL,     /* pid, start: kill this process */
	UNDO_CONTINUE, /* pid, start: SIGCONT to this process */
	UNDO_RUN,      /* kill every process that carries DRSIM_RUN=<the journal's run> */
	UNDO_CGROUP,   /* path: thaw, empty and remove a cgroup and those in it; v1 and v2 */
	UNDO_FILE,     /* path, from: the pristine copy; bytes, digest, mode, uid, gid, mtime */
	UNDO_REMOVE,   /* path: remove a file that we made */
	UNDO_RENAME,   /* path, from: what lies at `from` now belongs at `path` */
	/* path: below the work folder; with from UNDO_LAYER anywhere, but only such a layer */
	UNDO_UNMOUNT,
	UNDO_TREE, /* path: remove this folder, the work folder of a run or below one */
	UNDO_LOOP, /* path: detach the loop devices over this file, below the work folder */
	/* path: /dev/mapper/drsim-RUN-NAME, a device of device-mapper; from: the file below it */
	UNDO_MAPPER,
	UNDO_KINDS
};
extern const char *const undo_names[UNDO_KINDS]; /* "kill", "continue", … */

/* One thing to take back. The texts live in the journal's arena. */
struct undo {
	enum undo_kind kind;
	uint64_t number; /* given by the journal, from 1 */
	bool done;
	const char *path, *from; /* absolute, without "..", "." and "//" */
	/*
	 * KILL, CONTINUE: the process, by its start in clock ticks since boot too, so that no
	 * stranger is hit. FILE, REMOVE, RENAME: when pid is not 0, the path leads through this
	 * process (/proc/PID/…) and is gone when the process is.
	 */
	pid_t pid;
	uint64_t start;
	uint64_t bytes; /* FILE */
	char digest[JOURNAL_DIGEST_MAX];
	uint32_t mode, uid, gid;
	int64_t mtime_s, mtime_ns;
};

struct journal {
	struct arena *arena;
	int fd;           /* -1: closed; holds a lock as long as it is open */
	const char *path; /* of the file */
	const char *run;  /* id */
	const char *work; /* work folder: $DRSIM_STATE/run/RUN */
	pid_t owner;
	uint64_t owner_start; /* clock ticks since boot */
	char boot[JOURNAL_BOOT_MAX];
	struct undo *records;
	size_t count, capacity;
	size_t size;        /* bytes of whole lines */
	size_t damaged;     /* lines that cannot be read, or are missing */
	const char *damage; /* the first of them, for people; NULL: none */
};

/*
 * $DRSIM_STATE; without it /var/lib/drsim for root, else $XDG_STATE_HOME/drsim or
 * ~/.local/state/drsim. Absolute. Makes the folder, and journal/ and run/ in it, with mode 0700.
 */
int journal_state(struct arena *arena, const char **ret_path, struct error *e);

/* Where it would be, without making it; NULL: nothing says where. */
const char *journal_wanted_state(struct arena *arena);

/*
 * Begins the journal of a run owned by this process and makes its work folder, empty, mode 0700;
 * that it has to be removed is the first record. ERROR_UNAVAILABLE when there is one of this name.
 */
int journal_open(const char *run, struct arena *arena, struct journal **ret_journal,
		 struct error *e);
/*
 * Reads a journal from disk to finish it, and locks it: waits at most wait_ms for whoever has it.
 * A torn last line (a crash while it was written: then nothing was applied) is cut off. Damage is
 * counted in the journal, and no error. ERROR_UNAVAILABLE: it is locked, or not ours to touch
 * (owner, mode). A file without a single whole line gives an empty journal without owner.
 */
int journal_load(const char *path, int wait_ms, struct arena *arena, struct journal **ret_journal,
		 struct error *e);
/* The same from memory, without a file: `run` is what the file's name says. For tests. */
void journal_parse(const char *run, const char *text, size_t size, struct arena *arena,
		   struct journal **ret_journal);

/*
 * Writes down what has to be undone, and does not return before it is on disk. To be called before
 * it is done. Fills number in *undo; texts are copied. One thread at a time.
 */
int journal_add(struct journal *journal, struct undo *undo, struct error *e);
/* Several at once, with one wait for the disk. */
int journal_add_all(struct journal *journal, struct undo *undos, size_t count, struct error *e);
/* It is undone. Safe to call twice. */
int journal_done(struct journal *journal, uint64_t number, struct error *e);
/* NULL: there is no such number. */
struct undo *journal_find(const struct journal *journal, uint64_t number);
/* Records that are not undone. */
size_t journal_open_count(const struct journal *journal);
/* Is the owner alive? By pid, start and boot. */
bool journal_owner_lives(const struct journal *journal);
/* Was the owner's boot another one? Then processes, mounts and cgroups are gone by themselves. */
bool journal_rebooted(const struct journal *journal);
/*
 * Lets go of it. Removes the file when everything is undone and nothing damaged; else it stays, and
 * is dirty as soon as its owner ends. Returns whether it is gone.
 */
bool journal_close(struct journal *journal);

/* Paths of all journals, sorted, NULL-terminated. */
const char **journal_list(struct arena *arena);

#endif
