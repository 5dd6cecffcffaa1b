/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the user's that run for a bounded time as children of this program: looks at a
 * service, backup tools. No shell reads them. */
#ifndef DRIVERS_PROCESS_CHILD_H
#define DRIVERS_PROCESS_CHILD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/clock.h"
#include "core/error.h"

/*
 * Starts a command in a process group of its own, in the calling thread's network, with both its
 * outputs in the file `log` (NULL: nowhere) and DRSIM_RUN=`run` in its environment. It dies with
 * the thread that started it. Ends with child_over() or child_kill().
 */
int child_start(const char *const *argv, const char *run, const char *log, pid_t *ret_pid,
		struct error *e);
/* Has it ended? Then it is reaped, and *ret_code is its exit code, 128 + N after signal N. */
bool child_over(pid_t pid, int *ret_code);
/* Ends it and all of its group, and reaps it. */
void child_kill(pid_t pid);
/* Starts it and waits. ERROR_IO: it exits with something else than 0; ERROR_UNAVAILABLE: it cannot
 * be started, is not over within `timeout`, or `cancel` (may be NULL) becomes true before. */
int child_run(const char *const *argv, const char *run, const char *log, nanos timeout,
	      const atomic_bool *cancel, struct error *e);

#endif
