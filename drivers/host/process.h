/* SPDX-License-Identifier: Apache-2.0 */
/* Processes as /proc tells of them. A process is known by its pid and its start, so that no
 * stranger is taken for it. */
#ifndef DRIVERS_HOST_PROCESS_H
#define DRIVERS_HOST_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

struct process {
	pid_t pid, parent, group;
	char state;     /* R S D T t Z X … */
	char name[32];  /* as the kernel has it: the first 15 bytes */
	uint64_t start; /* clock ticks since boot */
};

/* Now, by the clock that never goes back. */
nanos process_now(void);
void process_pause(nanos duration);

/* One process; false: there is none. */
bool process_read(pid_t pid, struct process *ret);
/* All that can be seen. */
size_t process_list(struct arena *arena, struct process **ret);
/* Its start, 0: there is none. */
uint64_t process_start(pid_t pid);
/* Is it there and not a zombie? start 0: whichever has this pid. */
bool process_lives(pid_t pid, uint64_t start);
/* Sends a signal to it and to nobody else. false: it is gone, or may not be signalled (errno). */
bool process_signal(pid_t pid, uint64_t start, int number);
/* What all its threads have used of the CPU so far; 0 also when it is gone. */
nanos process_cpu(pid_t pid);
/* Is `entry` ("NAME=value") in its environment? false also where we may not look. A program that is
 * just being started has none for a moment: that is waited for. */
bool process_carries(pid_t pid, const char *entry);
/* Waits until it does not live any more; false when the time is over. */
bool process_wait(pid_t pid, uint64_t start, nanos timeout);
/* The host's boot id: "" where there is none. */
void process_boot(char *ret, size_t size);
/* Refuses (ERROR_UNAVAILABLE) to take more memory than leaves this host enough of its own: when
 * that is used up, the kernel ends whatever it likes, also what is none of ours. */
int process_require_memory(uint64_t bytes, struct error *e);
/* A decimal number that begins at *at; moves *at behind it. 0 without digits. */
uint64_t process_number(const char **at);
/* The beginning of a small file, as text; returns its length, -1 when it cannot be read. */
ssize_t process_read_file(const char *path, char *ret, size_t size);
/* All of a file of /proc, however long; NULL when it cannot be read. */
char *process_read_text(const char *path, struct arena *arena);

#endif
