/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of system calls, by seccomp user notification. Two steps: at its start a program gets a
 * filter that names the *calls that may fail later* (syscall_filter_make(), syscalls_launch()); it
 * is inherited by threads, forks and what they execute, and holds for static programs too. Later
 * *rules* are switched on and off without touching the program. What the filter does not list
 * passes at full speed; what it lists costs a round trip to the supervisor, a thread of this
 * process, also while no rule is on.
 *
 * It is fault injection and no security boundary: paths are read from the memory of the program,
 * which can change it between that look and the call that is let through (TOCTOU of
 * SECCOMP_USER_NOTIF_FLAG_CONTINUE), and symbolic links in a path are not resolved.
 *
 * What it cannot do:
 * - Calls that never reach the kernel (clock_gettime and others of the vDSO), and those submitted
 *   through io_uring: the filter can make io_uring_setup fail with ENOSYS, as old kernels do.
 * - A delay after a call that was really made: once it is let through, nobody comes back. A failing
 *   call can take time, and any call can begin late.
 * - Programs that run already, 32-bit programs of a 64-bit host (they run without faults), and
 *   programs below another filter that has a listener (a container runtime's).
 * - While a call is held, only what would kill the program interrupts it, like a call that waits
 *   for a dead disk. (Before Linux 5.19 any signal does, and the call is then counted again.)
 *
 * Nothing stays behind: filters end with their programs, rules with the supervisor. When this
 * process dies, the guardian answers all calls from then on as "go on", until the programs are
 * gone.
 *
 * Threads: any, one at a time for each `struct syscalls` but for what says otherwise.
 */
#ifndef DRIVERS_LINUX_SYSCALL_H
#define DRIVERS_LINUX_SYSCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/when.h"
#include "drivers/host/guardian.h"
#include "drivers/linux/syscall_child.h"

#define SYSCALL_NUMBERS_MAX 1024 /* no architecture has that many calls */
#define SYSCALL_COMPARES_MAX 6   /* of one call or rule */
#define SYSCALL_PATHS_MAX 64     /* of one rule */
#define SYSCALL_PATH_MAX 4096    /* a prefix, with its end */
#define SYSCALL_RULES_MAX 256    /* of one supervisor, for its whole life */
#define SYSCALL_DELAY_MAX NANOS_DAY
#define SYSCALL_ERRNO_MAX 4095
#define SYSCALL_EVERYWHERE UINT32_MAX

/* ---- the filter ---- */

enum syscall_op {
	SYSCALL_EQUAL,
	SYSCALL_NOT_EQUAL,
	SYSCALL_LESS,
	SYSCALL_LESS_EQUAL,
	SYSCALL_GREATER,
	SYSCALL_GREATER_EQUAL,
};
extern const char *const syscall_op_names[]; /* "==", "!=", "<", "<=", ">", ">=" */

/* (argument & mask) OP value, without sign. An `int` has only 32 bits that count: its mask is
 * 0xffffffff. */
struct syscall_compare {
	uint32_t argument; /* 0 … 5 */
	enum syscall_op op;
	uint64_t value, mask; /* mask 0: all bits */
};

struct syscall_call {
	const char *name; /* as strace has it: "pwrite64", "newfstatat" */
	/* All must hold, or the call is not asked about. At most one for each argument; a mask only
	 * with SYSCALL_EQUAL. The same call may stand here several times: any of them is enough. */
	const struct syscall_compare *compares;
	size_t compare_count;
};

struct syscall_filter_config {
	const struct syscall_call *calls;
	size_t call_count;
	bool no_io_uring; /* io_uring_setup fails with ENOSYS */
};

struct syscall_filter;

/*
 * Makes a filter. ERROR_SCENARIO: no such call, with the nearest name, or one that cannot be listed
 * (exit, exit_group, rt_sigreturn, restart_syscall). ERROR_UNAVAILABLE: libseccomp is missing, or
 * none of the calls exists on this architecture; single ones that do not are left out.
 */
int syscall_filter_make(const struct syscall_filter_config *config, struct arena *arena,
			const struct syscall_filter **ret, struct error *e);
/* Does it ask about this call? */
bool syscall_filter_lists(const struct syscall_filter *filter, const char *name);

/*
 * Calls by which a program uses a device, or a file system: what gpu.lost, disk.error and their
 * like list. NULL-terminated. Each listed call costs also where it is about something else: so
 * read, write and mmap, which sockets and memory use, are among those of file systems only, or not
 * at all.
 */
extern const char *const syscall_device_calls[];
extern const char *const syscall_file_calls[];

/* ---- the supervisor ---- */

struct syscalls;

/*
 * Begins a supervisor for programs under this filter. With a guardian it hands every listener over
 * to it before the program runs; NULL: when this process dies, calls that are listed fail with
 * ENOSYS.
 */
int syscalls_open(const struct syscall_filter *filter, struct guardian *guardian,
		  struct arena *arena, struct syscalls **ret, struct error *e);
/* Lets all go on, ends the thread. Programs that live on are the guardian's. */
void syscalls_close(struct syscalls *syscalls);

/* For a start of machine_start() or of one's own (syscall_child.h). `place` is any number by which
 * rules tell machines apart. Lives in the arena of the supervisor, as long as that. */
const struct syscall_launch *syscalls_launch(struct syscalls *syscalls, uint32_t place);

struct syscalls_sum {
	uint64_t asked;           /* calls that the filter asked about */
	uint64_t unread;          /* let through: the program could not be looked into */
	uint64_t crowded;         /* let through: too many others were held */
	uint32_t listeners, held; /* now: programs started under it that live; calls that wait */
	bool sync_wake_up;        /* the kernel has it: a call costs a tenth */
};
/* Any thread. */
struct syscalls_sum syscalls_sum(struct syscalls *syscalls);

/* ---- rules ---- */

enum syscall_action {
	SYSCALL_ERROR,  /* fails with `error`, after `delay` */
	SYSCALL_RETVAL, /* is not made and returns `value`, after `delay` */
	SYSCALL_DELAY,  /* is made after `delay` */
	SYSCALL_HANG,   /* is made when the rule is switched off */
};
extern const char *const syscall_action_names[]; /* "error", "retval", "delay", "hang" */

enum syscall_kind {       /* what a descriptor is */
	SYSCALL_FILE = 1, /* file or folder */
	SYSCALL_SOCKET = 2,
	SYSCALL_PIPE = 4,
	SYSCALL_DEVICE = 8, /* character and block devices */
	SYSCALL_OTHER = 16, /* eventfd, epoll, timerfd, signalfd, inotify, memfd, … */
};

struct syscall_rule {
	const char *const *calls; /* listed by the filter; NULL-terminated */
	enum syscall_action action;
	int error;     /* 1 … SYSCALL_ERRNO_MAX */
	int64_t value; /* not -1 … -SYSCALL_ERRNO_MAX: those are errors */
	nanos delay;

	/* Which calls match. */
	uint32_t place; /* of syscalls_launch(); SYSCALL_EVERYWHERE */
	pid_t process;  /* only the threads of this process, by its pid here; 0: all */
	const struct syscall_compare *compares;
	size_t compare_count;
	/*
	 * Absolute, as the program sees them, NULL-terminated; one of them is enough. "/data" means
	 * it and all below, "/dev/nvidia*" all that begins so. For calls with a path: that path,
	 * made absolute with the folder it is relative to, "." and ".." taken out; with two paths
	 * either. For calls with a descriptor: what it is open on. NULL: any.
	 */
	const char *const *paths;
	/* Bits of enum syscall_kind; a path is a device when it is below /dev. 0: files, sockets
	 * and devices. */
	uint32_t kinds;
	/* Without it a language runtime is spared: its pipes and other kinds unless `kinds` has
	 * them, /proc and /sys unless `paths` lead there, shared libraries. With it, all kinds and
	 * no paths nothing is looked at, also not whether a descriptor is open: the cheapest rule.
	 */
	bool runtime;

	/* Which of those that match are hit; both counted from the last switching on. */
	struct when when;      /* all zero: every one */
	uint64_t limit;        /* at most so many; 0: any number */
	uint32_t ppm;          /* of those, by chance; 0 or 1000000: all */
	uint64_t seed, entity; /* of that chance: the same calls in the same order are hit */

	nanos lease; /* ends by itself so long after the last switching on or renewal; 0: never */
};

/*
 * Adds a rule that is off. Rules are asked in the order in which they were added; the first that
 * hits a call has it, and those behind do not see it. ERROR_SCENARIO: a value is out of range or
 * its calls are not listed. *ret: its number.
 */
int syscalls_rule(struct syscalls *syscalls, const struct syscall_rule *rule, uint32_t *ret,
		  struct error *e);
/*
 * On: counts anew; when it is on already its lease begins anew, and nothing else. Off: what it
 * holds goes on, and when this returns no call that is made later is hit. Any thread.
 */
void syscalls_switch(struct syscalls *syscalls, uint32_t rule, bool on);

struct syscall_counts {
	uint64_t matched; /* calls that matched while it was on */
	uint64_t acted;   /* of those, failed, answered or held */
	uint32_t held;    /* wait now */
	bool on;          /* false also when its lease is over */
};
/* Since it was added. Any thread. */
struct syscall_counts syscalls_counts(struct syscalls *syscalls, uint32_t rule);

/* ---- can it be done here? ---- */

/*
 * Tries all of it with a child that has one call failed. -1: ERROR_UNAVAILABLE says why not.
 * *ret_sync: the kernel has SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP.
 */
int syscall_probe(bool *ret_sync, struct error *e);

#endif
