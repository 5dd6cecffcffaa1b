/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks that are wrong: clock.skew.
 *
 * Monotonic clocks (CLOCK_MONOTONIC, CLOCK_BOOTTIME) by a time namespace: struct machine_start has
 * the offsets, so a machine has them from its start on, and its processes cannot tell. The kernel
 * lets nobody change them once a process is in. The wall clock has no namespace: programs that we
 * start get libfaketime, whose offset stands in a file of ours and is read at every look at the
 * clock, so that it changes at run time. Programs that ask the kernel themselves (static ones,
 * Go's) do not see it and are refused.
 *
 * Nothing stays behind: namespaces go with their processes, the file lies in the run's work folder,
 * and the two files in /dev/shm that libfaketime wants (else every process would make its own, and
 * leave them when it is killed) stand in the journal. One thread at a time.
 */
#ifndef DRIVERS_LINUX_CLOCK_H
#define DRIVERS_LINUX_CLOCK_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "drivers/host/journal.h"

#define CLOCK_SKEW_MAX (100 * 365 * NANOS_DAY) /* of a wall clock */

struct clock_reading {
	nanos wall, monotonic, boottime;
};

/* The clocks of this thread, now. */
struct clock_reading clock_look(void);

/* ---- monotonic: time namespaces ---- */

/* Can a process be started with other monotonic clocks? Tries it in a child, where it must in a
 * user namespace of its own. */
bool clock_namespace_probe(struct arena *arena, const char **ret_why);
/* How far the clocks of a running process are ahead of ours: a child of ours goes into its time
 * namespace and looks. Wall clocks have none: .wall is 0. */
int clock_namespace_look(pid_t pid, struct clock_reading *ret_ahead, struct error *e);

/* ---- wall: libfaketime ---- */

struct clock_wall;

/* Is libfaketime here, and does it do it? Starts date(1) under it. */
bool clock_wall_probe(struct arena *arena, const char **ret_why);
/* Finds the library and makes the file at `path`, in the run's work folder, with no offset. */
int clock_wall_open(const char *path, struct journal *journal, struct arena *arena,
		    struct clock_wall **ret, struct error *e);
/* "NAME=value" …, NULL-terminated: what a program's environment needs, from its start on. */
const char *const *clock_wall_environment(const struct clock_wall *wall);
/* Would this program (argv[0], a path) see it? ERROR_UNAVAILABLE says why not: it is static, it
 * asks the kernel itself as Go's do, it changes its user. */
int clock_wall_fits(const char *program, struct error *e);
/* From now on their wall clocks are ahead of the host's by this much (behind: negative; 0: right).
 * Whole at once for all of them: the file is replaced. */
int clock_wall_set(const struct clock_wall *wall, nanos ahead, struct error *e);
/*
 * Did it take effect? Starts a child in that environment which prints its clocks: `argv`, a program
 * that prints `WALL` or `WALL MONOTONIC BOOTTIME` in seconds with a dot (`minilepton clock`); NULL:
 * date(1). How far it is ahead of ours.
 */
int clock_wall_look(const struct clock_wall *wall, const char *const *argv,
		    struct clock_reading *ret_ahead, struct error *e);
/* Removes its files; its programs must have ended. */
int clock_wall_close(struct clock_wall *wall, struct error *e);

#endif
