/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the syscall faults share: calls, filters, what a call is about, rules. */
#ifndef DRIVERS_LINUX_SYSCALL_PRIVATE_H
#define DRIVERS_LINUX_SYSCALL_PRIVATE_H

#include <linux/seccomp.h>
#include <pthread.h>

#include "core/prng.h"
#include "drivers/linux/syscall.h"
#include "drivers/linux/syscall_keep.h"

/* Headers are older than kernels. */
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1ul << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

/* ---- what the arguments of a call are (syscall_calls.c) ---- */

#define SYSCALL_OBJECTS 2 /* the most that one call names */

enum {
	SYSCALL_HERE = -1,
	SYSCALL_NONE = -2
};

/* Numbers of arguments. */
struct syscall_role {
	const char *name;
	struct {
		int path; /* SYSCALL_NONE: none */
		int fd;   /* what the path is relative to (SYSCALL_HERE: the working folder), or
				the descriptor; SYSCALL_NONE: no object */
	} objects[SYSCALL_OBJECTS];
};

/* NULL: neither paths nor descriptors. */
const struct syscall_role *syscall_role(const char *name);

/* ---- the filter (syscall_filter.c) ---- */

struct syscall_filter {
	struct sock_fprog program;
	bool listed[SYSCALL_NUMBERS_MAX];
	const struct syscall_role *roles[SYSCALL_NUMBERS_MAX];
};

/* The number of a call; -1: ERROR_SCENARIO, no such call. -2: not on this architecture. */
int syscall_number(const char *name, struct error *e);

/* ---- what a call is about (syscall_object.c) ---- */

struct syscall_object {
	enum syscall_kind kind;
	bool named, runtime; /* it has an absolute path; a language runtime's own */
	char path[2 * SYSCALL_PATH_MAX];
};

enum syscall_seen {
	SYSCALL_SEEN,   /* *ret is filled */
	SYSCALL_ABSENT, /* the call has no such object: a null pointer, a closed descriptor */
	SYSCALL_UNSEEN, /* it could not be looked at */
};

/* Object number `index` of a call as its program sees it now. */
enum syscall_seen syscall_object(const struct syscall_role *role, size_t index,
				 const struct seccomp_notif *call, struct syscall_object *ret);
/* Takes "." and ".." and doubled slashes out of an absolute path, in place. */
void syscall_path_tidy(char *path);
/* Does the path lie at or below the prefix, or begin with it when that ends with '*'? */
bool syscall_path_under(const char *path, const char *prefix);

/* ---- rules (syscall_rule.c) ---- */

struct syscall_rule_state {
	struct syscall_rule config; /* its arrays in the arena */
	bool calls[SYSCALL_NUMBERS_MAX];
	bool on;
	nanos until;             /* its lease */
	uint64_t matched, taken; /* since it was switched on */
	struct syscall_counts total;
	struct prng prng;
};

struct syscall_listener {
	int fd;
	uint32_t key, place;
};

/* A call that waits for its answer. */
struct syscall_held {
	uint64_t id; /* 0: nobody */
	int fd;      /* of its listener */
	uint32_t rule;
	nanos until; /* NANOS_NEVER: until the rule is off */
	uint64_t order;
};

struct syscall_place {
	struct syscall_launch launch;
	struct syscalls *syscalls;
	uint32_t place;
};

struct syscalls {
	const struct syscall_filter *filter;
	struct guardian *guardian; /* NULL: none */
	struct arena *arena;
	pthread_t thread;
	int wake, table_fd;
	uint32_t table_number; /* the keeper's */
	struct syscall_table *table;

	pthread_mutex_t lock; /* of all below; taken for one decision at a time */
	bool ends;
	struct syscall_listener listeners[SYSCALL_LISTENERS_MAX];
	uint32_t listener_count, next_key;
	struct syscall_rule_state *rules[SYSCALL_RULES_MAX];
	uint32_t rule_count;
	struct syscall_held held[SYSCALL_PENDING_MAX]; /* by slot of the table */
	uint32_t free[SYSCALL_PENDING_MAX], free_count;
	uint32_t heap[SYSCALL_PENDING_MAX], heap_count; /* slots, the earliest first */
	uint64_t order;
	struct syscalls_sum sum;
	struct syscall_object objects[SYSCALL_OBJECTS];
};

/*
 * Which rule hits this call; NULL: none. It is counted as matched and taken. *ret_gone: the call is
 * over, its program was killed meanwhile.
 */
struct syscall_rule_state *syscall_decide(struct syscalls *syscalls,
					  const struct syscall_listener *listener,
					  const struct seccomp_notif *call, nanos now,
					  uint32_t *ret_rule, bool *ret_gone);

/* ---- held calls (syscall_held.c) ---- */

void syscall_held_open(struct syscalls *syscalls);
/* Lets calls of a rule go on, of all rules with SYSCALL_EVERYWHERE. */
void syscall_held_lift(struct syscalls *syscalls, uint32_t rule);
/* Forgets those whose program is dead. */
void syscall_held_sweep(struct syscalls *syscalls);
/* Holds the call in the slot that is the last of the free ones. */
void syscall_held_add(struct syscalls *syscalls, uint32_t slot, struct syscall_held held);
/* When the first is due; false: none ever. */
bool syscall_held_first(const struct syscalls *syscalls, nanos *ret_until);
/* Answers what is due. */
void syscall_held_due(struct syscalls *syscalls, nanos now);
/* The end of a call: false: nobody waited any more. */
bool syscall_answer(int fd, uint64_t id, const struct syscall_rule *rule);

#endif
