/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guardian: a process in its own session that outlives drsim by a moment. When drsim dies, by
 * whatever signal, it undoes the journal; when drsim ends in order it just ends.
 *
 * It is a fork and no program of its own: at the instant of need it then wants nothing of the disk,
 * no file of the program, no memory that is not there yet. It reads the journal from disk again, so
 * that it trusts what was written and not what the dead process had in mind.
 *
 * It can be handed descriptors that must stay open beyond drsim's death: those are held by a fork
 * of its own (drivers/linux/syscall_keep.h), which stays until nobody needs them.
 */
#ifndef DRIVERS_HOST_GUARDIAN_H
#define DRIVERS_HOST_GUARDIAN_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/error.h"
#include "drivers/host/journal.h"
#include "drivers/linux/syscall_keep.h"

struct guardian {
	pid_t pid;
	int pipe; /* its end tells the guardian that drsim is gone */
	int keep; /* what is handed over goes through it; has ends of its own */
};

/* To be called right after journal_open(), before the first thread, child and namespace. */
int guardian_start(struct guardian *guardian, const struct journal *journal, struct error *e);
/* Is it still there? A drill without it goes on: the journal is on disk. */
bool guardian_lives(const struct guardian *guardian);
/*
 * Hands a descriptor over, -1: none; it stays the caller's too. Returns when the other side has it.
 * ERROR_UNAVAILABLE: it is gone, or cannot take more. One thread at a time.
 */
int guardian_hand(const struct guardian *guardian, const struct syscall_keep_message *message,
		  int fd, struct error *e);
/* Everything is undone, or was said to be left: it has nothing to do. Waits for its end. After
 * syscalls_close(): what was handed over is answered for from now on. */
void guardian_end(struct guardian *guardian);

#endif
