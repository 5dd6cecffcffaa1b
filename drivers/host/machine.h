/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-in machines of one drill. With the rights (root, or a user namespace) each has its own
 * network, mount and PID namespace; sites are bridges in a router namespace, each joined to the
 * router by a link of its own. All namespaces are anonymous, held by processes and descriptors
 * only: they vanish with drsim, and nothing is made in the host's own. Without the rights a machine
 * is a group of processes on 127.0.0.1. Where there are cgroups that can be written each machine
 * has one, in both cases.
 *
 * One thread: the main thread makes, starts and ends machines, since what a machine started dies
 * with the thread that started it. machine_enter() is for any thread.
 */
#ifndef DRIVERS_HOST_MACHINE_H
#define DRIVERS_HOST_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "drivers/host/journal.h"
#include "drivers/linux/syscall_child.h"

#define MACHINES_MAX 250
#define MACHINE_SITES_MAX 100
#define MACHINE_ADDRESS_MAX 64 /* "10.90.0.1:65535" */
#define MACHINE_DEVICES_MAX 64
#define MACHINE_NAME_MAX 255
#define MACHINE_PORT_MAX 16
#define MACHINE_LINK "eth0"
#define MACHINE_UPLINKS "u*" /* what comes in there has come into another bridge before */
#define MACHINE_SITE_BITS 16 /* of the network 10.S.0.0 that the machines of one site are in */

enum machine_isolation {
	MACHINE_LOOPBACK,   /* processes on 127.0.0.1 */
	MACHINE_NAMESPACES, /* a network, mount and PID namespace each */
};
extern const char *const machine_isolation_names[]; /* "loopback", "namespaces" */

struct machine_site {
	const char *name;
	/* Folder that all machines of the site and drsim see, and machines of other sites find
	 * empty (with namespaces); made when it is not there; NULL: none. */
	const char *storage;
};

/* One more mount in a machine's own mount namespace, as mount(2) takes it. */
struct machine_mount {
	const char *source, *path, *type, *options;
	unsigned long flags;
};

struct machine_config {
	const char *name; /* "primary/node[0]", for messages and as DRSIM_MACHINE */
	uint32_t site;    /* index in sites */
	bool place_only;  /* only a place in the network that threads enter; never started */
	/* Its own disk: a tmpfs of this size at this path, below the work folder, in its own mount
	 * namespace; it outlives machine_kill(). On loopback a plain folder. NULL: none. */
	const char *disk;
	uint64_t disk_bytes;
	/* Its stand-in GPUs: a folder below the work folder with the files gpu0 … gpuN-1, in its
	 * own mount namespace too; NULL: none. */
	const char *devices;
	uint32_t device_count;
	/* Made at its first birth, in this order, after its disk and devices: what lies over them.
	 * Paths below the work folder, which machines_open() makes; all else may be filled in
	 * until machine_start(). Nothing on loopback. */
	const struct machine_mount *mounts;
	size_t mount_count;
};

struct machines_config {
	const struct machine_site *sites;
	size_t site_count;
	const struct machine_config *machines;
	size_t machine_count;
	bool loopback_only; /* do not try namespaces */
};

struct machine;
struct machines;

/*
 * Makes the networks, folders and cgroups of all machines, and starts none. Uses journal->run and
 * journal->work; all that could stay behind is in the journal first. The texts of the config must
 * live as long as the machines. Without root, this process enters a user namespace of its own when
 * it may: before the first thread, and for good.
 */
int machines_open(const struct machines_config *config, struct journal *journal,
		  struct arena *arena, struct machines **ret_machines, struct error *e);
/* Undoes what is changed in their files still, kills all, removes their cgroups, marks it in the
 * journal. -1: the first that could not. */
int machines_close(struct machines *machines, struct error *e);

enum machine_isolation machines_isolation(const struct machines *machines);
/* What is lost without namespaces or cgroups, a sentence each, NULL-terminated; empty: nothing. */
const char *const *machines_lost(const struct machines *machines);
struct machine *machines_get(const struct machines *machines, size_t index);

struct machine_start {
	const char *const *argv;        /* NULL-terminated; argv[0] is a path */
	const char *const *environment; /* "NAME=value" …, NULL-terminated, added to our own; NULL:
					   none */
	const char *log;                /* file that gets its standard error; appended to */
	/* A filter of system calls that it and all that it starts run under; NULL: none. */
	const struct syscall_launch *filter;
	/* How far its clocks are ahead of the host's, or behind; 0: they are the host's. A time
	 * namespace of its own; for all that it starts, and for good. */
	nanos monotonic_ahead, boottime_ahead;
};

/*
 * Starts the machine's first process: PID 1 of its PID namespace, or leader of its own process
 * group; it dies with this process. DRSIM_RUN and DRSIM_MACHINE are in its environment. Returns as
 * soon as it runs the program. Only its first line on standard output is ever read. A machine that
 * was killed can be started again; its disk is as it was.
 */
int machine_start(struct machine *machine, const struct machine_start *start, struct error *e);
/* Waits for its first line `listening A:P` until `timeout` is over. ERROR_UNAVAILABLE when it ends
 * before, with the last line of its log. */
int machine_listening(struct machine *machine, nanos timeout, char ret_address[MACHINE_ADDRESS_MAX],
		      struct error *e);
/* Kills all of it at once, frozen or not, and returns when it is gone. Nothing when it is not
 * running. */
int machine_kill(struct machine *machine, struct error *e);
/* Stops every process of it, or lets all go on, and proves it. With a cgroup by its freezer; else
 * by SIGSTOP, which its processes' parents can see. */
int machine_freeze(struct machine *machine, bool frozen, struct error *e);
bool machine_frozen(const struct machine *machine);
/* Processors and bytes of memory, 0: unlimited. ERROR_UNAVAILABLE without cgroup. */
int machine_limit(struct machine *machine, double cpus, uint64_t memory_bytes, struct error *e);

/* Another program beside the machine's own. */
struct machine_beside {
	pid_t pid; /* 0: none */
	uint64_t start;
};

/*
 * Starts another program beside the machine's processes: in its PID namespace, and where there are
 * cgroups in one of its own inside the machine's that weighs as much as all the rest of it. It sees
 * the files and the network of this host. It ends with the machine at the latest.
 */
int machine_start_beside(struct machine *machine, const struct machine_start *start,
			 struct machine_beside *ret, struct error *e);
bool machine_beside_lives(const struct machine_beside *beside);
/* Kills it and waits for its end. Nothing when it is gone. */
void machine_end_beside(struct machine *machine, struct machine_beside *beside);

struct machine_memory {
	uint64_t bytes;         /* all that they are charged with */
	uint64_t private_bytes; /* what belongs to them alone: heaps and stacks */
};
/* Of its own processes, or of those beside them. false: there is no cgroup for it. Any thread, like
 * the next. */
bool machine_memory(const struct machine *machine, bool beside, struct machine_memory *ret);
/* How many of its own processes the kernel's OOM killer ended so far. */
uint64_t machine_oom_kills(const struct machine *machine);

/* Holds one process of it to so many processors, by a cgroup of its own inside the machine's.
 * ERROR_UNAVAILABLE without cgroup. */
int machine_squeeze(struct machine *machine, pid_t pid, double cpus, struct error *e);
/* Back among the others. Nothing when it is gone. */
int machine_release(struct machine *machine, pid_t pid, struct error *e);
/* In how many periods it had to wait for its quota, so far. */
uint64_t machine_throttled(const struct machine *machine, pid_t pid);

/*
 * Faults of single cgroup controllers. Its group is made when it is first needed, and all processes
 * of the machine are moved there; it is in the journal first, and all of it goes with it. Each call
 * may be repeated; 0, or `false`, takes it back. ERROR_UNAVAILABLE says why it cannot be.
 */
struct cgroup_device;
/* Its processes cannot open this device node any more: EPERM. What is open stays open. */
int machine_deny_device(struct machine *machine, const struct cgroup_device *device, bool denied,
			struct error *e);
/* Bytes a second from and to the whole disk that holds `device`; 0: unlimited. */
int machine_limit_io(struct machine *machine, const struct cgroup_device *device,
		     uint64_t read_rate, uint64_t write_rate, struct error *e);
/* How many processes and threads it may have, those that are there included; 0: unlimited. */
int machine_limit_processes(struct machine *machine, uint64_t count, struct error *e);
/* How often a fork was refused by that. */
uint64_t machine_refused_forks(const struct machine *machine);

struct device_identity;
/* Which GPU its stand-in with this index is. */
void machine_device(const struct machine *machine, uint32_t index, struct device_identity *ret);

/* Its first process runs, frozen or not. */
bool machine_alive(struct machine *machine);
/* The pid here of its first process; 0: it was not started, or killed. */
pid_t machine_first(const struct machine *machine);
/* The pid here of a pid in there; 0: there is none. */
pid_t machine_pid(const struct machine *machine, pid_t inner);
/* Calls back for each of its processes (state of /proc/PID/stat); returns how many. */
size_t machine_processes(const struct machine *machine,
			 void (*each)(void *self, pid_t pid, char state), void *self);
/*
 * What to put before an absolute path to reach what the machine sees there: "/proc/PID/fd/N" of
 * this process, or "" on loopback. Valid from the first machine_start() to machines_close(), also
 * while the machine is dead. Records in the journal with such a path name this process as their
 * pid.
 */
const char *machine_root(const struct machine *machine);
/* "10.90.0.1"; "127.0.0.1" on loopback. */
const char *machine_address(const struct machine *machine);
/* The first of `count` ports in a row that nobody listens on, for this machine alone. */
int machine_ports(struct machine *machine, uint32_t count, uint16_t *ret_first, struct error *e);
/* The calling thread's sockets are in the machine's network from now on. Nothing on loopback. */
int machine_enter(const struct machine *machine, struct error *e);
/* Network namespace; -1 on loopback. It stays the machine's. */
int machine_network(const struct machine *machine);
/* Network namespace of the bridges and the router between them; -1 on loopback. It stays theirs. */
int machines_router(const struct machines *machines);
/* The router's end of the machine's link, a port of its site's bridge "siteN", by its name in the
 * router's namespace; the machine's own end is MACHINE_LINK. */
const char *machine_port(const struct machine *machine);
/* The port by which the bridge of a site is joined to the router, and the router's end of that. */
void machines_uplink(uint32_t site, char ret_name[MACHINE_PORT_MAX]);
void machines_gateway(uint32_t site, char ret_name[MACHINE_PORT_MAX]);

/* What this host can do for all of this, a line each: the `doctor` of drivers. Changes nothing. */
void host_doctor(struct arena *arena, void (*say)(const char *what, bool yes, const char *detail));

#endif
