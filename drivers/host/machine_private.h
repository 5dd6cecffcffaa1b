/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the machines share: setting up, networks, processes. */
#ifndef DRIVERS_HOST_MACHINE_PRIVATE_H
#define DRIVERS_HOST_MACHINE_PRIVATE_H

#include "drivers/host/cgroup.h"
#include "drivers/host/machine.h"
#include "drivers/host/process.h"

#define MACHINE_WAIT (5 * NANOS_S) /* for a machine to be frozen, or gone */
#define MACHINE_PAUSE NANOS_MS
#define MACHINE_LINE_MAX 256 /* of what it says first */
#define MACHINE_LOST_MAX 8

struct machine_stopped {
	pid_t pid;
	uint64_t start;
};

struct machine {
	struct machines *machines;
	const struct machine_config *config;
	size_t index;
	char address[MACHINE_ADDRESS_MAX];
	char port[16]; /* the router's end of its link, "m0" */
	int network, mounts, tree; /* namespaces, its root folder; -1: not there */
	char root[64];             /* "/proc/PID/fd/N" of `tree`, or "" */
	/* Its cgroup of each use, and the two in it: of its own processes, and of those beside
	 * them. (With version 2 a group that hands controllers on has no processes itself.) */
	const char *groups[CGROUP_USES], *main[CGROUP_USES], *beside[CGROUP_USES];
	/* Made when needed, of version 1 only; with version 2 `groups` has them. */
	const char *extra[CGROUP_EXTRAS];
	struct cgroup_device denied[CGROUP_DENIED_MAX];
	size_t denied_count;
	int device_filter; /* a BPF program; -1: none */
	pid_t pid;         /* of its first process; 0: none is running */
	uint64_t start;
	uint64_t kill_record; /* in the journal; 0: its cgroup stands there */
	int output;           /* its standard output; -1: none */
	char line[MACHINE_LINE_MAX];
	size_t line_length;
	const char *log;
	bool frozen;
	struct machine_stopped *stopped; /* by SIGSTOP */
	size_t stopped_count;
	uint32_t ports; /* given out */
};

struct machines {
	struct arena *arena;
	struct journal *journal;
	const struct machines_config *config;
	enum machine_isolation isolation;
	struct machine *items;
	struct cgroups cgroups;
	int router;          /* network namespace */
	uint64_t run_record; /* in the journal */
	uint64_t group_records[CGROUP_USES];
	struct cgroup_place extras[CGROUP_EXTRAS];
	bool extras_known;
	uint64_t extra_records[CGROUP_EXTRAS];
	const char *lost[MACHINE_LOST_MAX + 1];
	size_t lost_count;
	uint32_t ports;              /* given out on loopback */
	const char *environment_run; /* "DRSIM_RUN=…" */
};

/* Can this process make namespaces? 0; else the reason as an errno. *ret_user: in a user namespace
 * of its own only. Tries it in a child. */
int machine_probe(bool *ret_user);
/* Goes into a user namespace of our own, in which we may make others. */
int machine_enter_user(struct error *e);
/* Makes the router, the bridges and every machine's network. */
int machine_build_network(struct machines *machines, struct error *e);

/* Puts a process that is being born into the groups that the machine has got since. */
int machine_join_extras(const struct machine *machine, pid_t pid, struct error *e);
/* Writes the file of one stand-in GPU. Needs no memory: also for a child before its exec. */
int machine_make_device(const struct machine *machine, uint32_t index);

/* All processes of a machine, in `arena`. */
size_t machine_collect(const struct machine *machine, struct arena *arena, struct process **ret);

#endif
