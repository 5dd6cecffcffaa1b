/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups of both versions: where this process may make some, how they are frozen, limited,
 * emptied and removed. */
#ifndef DRIVERS_HOST_CGROUP_H
#define DRIVERS_HOST_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

enum cgroup_use {
	CGROUP_FREEZER,
	CGROUP_CPU,
	CGROUP_MEMORY,
	CGROUP_USES
};
extern const char *const cgroup_names[CGROUP_USES]; /* "freezer", "cpu", "memory" */

/* Where groups for one use can be made. */
struct cgroup_place {
	const char *path; /* folder in which to make them; NULL: there is none */
	bool v2;
	const char *why; /* what was found, or why there is none */
};

struct cgroups {
	struct cgroup_place places[CGROUP_USES];
};

/* Looks at the mounts and at our own groups. Changes nothing. */
void cgroups_probe(struct arena *arena, struct cgroups *ret);

/* Makes a group; with v2 hands the controllers on to groups that will be in it. */
int cgroup_make(const char *path, bool v2, bool parent, struct error *e);
/* Moves a process with all its threads there. */
int cgroup_join(const char *path, pid_t pid, struct error *e);
/* Freezes or thaws, and waits until it says so. */
int cgroup_freeze(const char *path, bool v2, bool frozen, nanos timeout, struct error *e);
int cgroup_limit_cpu(const char *path, bool v2, double cpus, struct error *e);
/* Its share of the processors beside other groups: as that of so many groups of usual weight. */
int cgroup_weigh(const char *path, bool v2, uint32_t groups, struct error *e);
int cgroup_limit_memory(const char *path, bool v2, uint64_t bytes, struct error *e);
/* What its processes have been made to wait for by its CPU quota: periods. 0: none, or no quota. */
uint64_t cgroup_throttled(const char *path);

struct cgroup_memory {
	uint64_t bytes; /* all that is charged to it */
	uint64_t
		private_bytes; /* of them what belongs to processes alone: their heaps and stacks */
};
/* false: it cannot be read. */
bool cgroup_read_memory(const char *path, bool v2, struct cgroup_memory *ret);
/* How many of its processes the kernel's OOM killer ended so far. */
uint64_t cgroup_oom_kills(const char *path, bool v2);
/* Is it on a cgroup file system? */
bool cgroup_is_group(const char *path);
/* Kills all in it and in those below it, frozen or not. Returns how many it met. */
size_t cgroup_kill(const char *path);
/* Kills all that is in it, and removes it with those below it. No error when it is not there. */
int cgroup_destroy(const char *path, nanos timeout, struct error *e);
/* Calls back for every process in it, but not for those in groups below it. */
void cgroup_each(const char *path, void (*each)(void *self, pid_t pid), void *self);
/* Folders named `name`… in all cgroup mounts, below any group. Calls back for each. */
void cgroup_find(const char *name, struct arena *arena, void (*each)(void *self, const char *path),
		 void *self);

#endif
