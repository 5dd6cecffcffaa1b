/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking back what stands in a journal: each kind idempotent, after a crash or a reboot too, and
 * without doing more than the record says (no stranger's process, no folder that is not ours).
 */
#ifndef DRIVERS_HOST_UNDO_H
#define DRIVERS_HOST_UNDO_H

#include "drivers/host/journal.h"

#define UNDO_WAIT_MS 5000 /* how long a killed process or a cgroup may take to be gone */

/*
 * Keeps a copy of a regular file in the work folder, with its digest, and writes the record
 * UNDO_FILE; only then may the file be changed, cut or removed. `path` may lead through the process
 * `pid` (a machine's own mount namespace: machine_root()), else pid is 0. Extended attributes are
 * kept as long as the file itself stays. *ret_number: for undo_number().
 */
int undo_keep_file(struct journal *journal, const char *path, pid_t pid, uint64_t *ret_number,
		   struct error *e);

/* Undoes this record and marks it. Nothing when it is done already. */
int undo_number(struct journal *journal, uint64_t number, struct error *e);

struct undo_sum {
	size_t undone, left;
	const char **undone_texts, **left_texts; /* for people, in the journal's arena */
};

/* Everything, last in first out. What cannot be undone stays in the journal and is named. */
void undo_all(struct journal *journal, struct undo_sum *ret);

/* "file /srv/db/data", for people. */
const char *undo_describe(const struct undo *undo, struct arena *arena);

/*
 * Removes a folder and all that is in it. Only one below $DRSIM_STATE/run/; follows no symbolic
 * link and crosses no mount. No error when it is not there.
 */
int undo_remove_tree(const char *path, struct error *e);

/* SHA-256 of a file as hexadecimal digits. */
int undo_digest(const char *path, char ret_digest[JOURNAL_DIGEST_MAX], uint64_t *ret_bytes,
		struct error *e);

/* ---- journals of the dead ---- */

/*
 * Refuses (ERROR_UNAVAILABLE) to begin on a host where a dead run left something; waits a moment
 * for a guardian that is at work. A driver of kind injected calls it before it touches anything.
 */
int undo_require_clean(struct arena *arena, struct error *e);

struct undo_sweep {
	size_t runs;         /* journals of dead runs that were looked at */
	size_t undone, left; /* things; left: also residues and journals that cannot be read */
};

/* Finishes all journals whose owners are dead, and prints what it did. */
void undo_sweep(struct arena *arena, struct undo_sweep *ret);

#endif
