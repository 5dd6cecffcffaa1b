/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guardian: a process in its own session that outlives drsim by a moment. When drsim dies, by
 * whatever signal, it undoes the journal; when drsim ends in order it just ends.
 *
 * It is a fork and no program of its own: at the instant of need it then wants nothing of the disk,
 * no file of the program, no memory that is not there yet. It reads the journal from disk again, so
 * that it trusts what was written and not what the dead process had in mind.
 */
#ifndef DRIVERS_HOST_GUARDIAN_H
#define DRIVERS_HOST_GUARDIAN_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/error.h"
#include "drivers/host/journal.h"

struct guardian {
	pid_t pid;
	int pipe; /* its end tells the guardian that drsim is gone */
};

/* To be called right after journal_open(), before the first thread, child and namespace. */
int guardian_start(struct guardian *guardian, const struct journal *journal, struct error *e);
/* Is it still there? A drill without it goes on: the journal is on disk. */
bool guardian_lives(const struct guardian *guardian);
/* Everything is undone, or was said to be left: it has nothing to do. Waits for its end. */
void guardian_end(struct guardian *guardian);

#endif
