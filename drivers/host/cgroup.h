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

/* What only some faults need. A group for it is made when it is needed. */
enum cgroup_extra {
	CGROUP_DEVICES,
	CGROUP_IO,
	CGROUP_PIDS,
	CGROUP_EXTRAS
};
extern const char *const cgroup_extra_names[CGROUP_EXTRAS]; /* "devices", "io", "pids" */
/* The same for these. Devices of version 2 are a BPF program, which is loaded to try it. */
void cgroup_extras_probe(struct arena *arena, struct cgroup_place ret[CGROUP_EXTRAS]);

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

/* A device node by its numbers, as stat() tells of it. */
struct cgroup_device {
	bool block; /* else a character device */
	uint32_t major, minor;
};
#define CGROUP_DENIED_MAX 64
/* May BPF programs be loaded that decide on devices? */
bool cgroup_can_filter(void);
/*
 * Who is in the group cannot open or make these nodes any more: EPERM; what is open stays open. The
 * list replaces the one before; empty: all may be opened again. With version 1 only what was denied
 * by us is given back: `before` is the last list (NULL: none). With version 2 *filter is the
 * program that is attached (-1: none), which is closed or replaced.
 */
int cgroup_deny_devices(const char *path, bool v2, const struct cgroup_device *denied, size_t count,
			const struct cgroup_device *before, size_t before_count, int *filter,
			struct error *e);
/* Bytes a second from and to a whole disk; 0: no limit. */
int cgroup_limit_io(const char *path, bool v2, const struct cgroup_device *disk, uint64_t read_rate,
		    uint64_t write_rate, struct error *e);
/* Processes and threads; 0: no limit. */
int cgroup_limit_processes(const char *path, uint64_t count, struct error *e);
/* How often a fork was refused by that limit. */
uint64_t cgroup_refused_forks(const char *path);
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
