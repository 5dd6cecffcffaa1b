/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a filter of system calls costs on 4 KiB pwrites: the same program bare, under the least
 * filter that there is, written by hand, under one of ours that does not list the call, under one
 * that lists it while no rule is on, with each call failing, and with strace failing each call
 * instead. In turns, medians; pinned to one processor and not.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/filtered.h"
#include "tests/program.h"

#define STRACE "/usr/bin/strace"
#define ROUNDS 21
#define BYTES 4096

enum way {
	BARE,
	LEAST,
	UNLISTED,
	DORMANT,
	FAILING,
	FAILING_BY_PATH,
	STRACE_FAILING,
	WAYS,
};
static const char *const way_words[WAYS] = {
	[BARE] = "bare",
	[LEAST] = "under a filter of two instructions",
	[UNLISTED] = "under a filter that does not list it",
	[DORMANT] = "listed, no rule is on",
	[FAILING] = "fails, whatever the file",
	[FAILING_BY_PATH] = "fails, chosen by the path of its file",
	[STRACE_FAILING] = "strace lets it fail",
};
static const int way_calls[WAYS] = {100000, 100000, 100000, 20000, 20000, 20000, 3000};

/* ---- the program that is measured ---- */

/* The limit: nothing can be between a program and the kernel for less. */
static int put_on_least(void)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = 2, .filter = lines};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int be_target(const char *path, int calls, enum way way)
{
	static char block[BYTES];
	bool fails = way >= FAILING;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int64_t begin;

	if (way == LEAST && put_on_least())
		exit(1);
	memset(block, 1, sizeof(block));
	for (int i = 0; i < calls / 10; i++)
		if ((pwrite(fd, block, BYTES, 0) < 0) != fails)
			exit(1);
	begin = program_clock();
	for (int i = 0; i < calls; i++)
		if ((pwrite(fd, block, BYTES, 0) < 0) != fails)
			exit(1);
	printf("%" PRId64 "\n", (program_clock() - begin) / calls);
	close(fd);
	return 0;
}

/* ---- measuring ---- */

struct bench {
	const char *self;
	char path[64];
	struct syscalls *without, *with;
	uint32_t any, by_path;
};

static double run(const struct bench *bench, enum way way)
{
	char calls[16], number[2] = {(char)('0' + way)}, text[32] = "";
	const char *const inject = "inject=pwrite64:error=EIO";
	const char *const plain[] = {bench->self, "--target", bench->path, calls, number, NULL};
	const char *const traced[] = {
		STRACE, "-f",   "-qq",       "-o",       "/dev/null", "-e",  "trace=pwrite64",
		"-e",   inject, bench->self, "--target", bench->path, calls, number,
		NULL};
	const struct syscall_launch *launch = way == BARE || way == LEAST || way == STRACE_FAILING
						      ? NULL
					      : way == UNLISTED ? syscalls_launch(bench->without, 0)
								: syscalls_launch(bench->with, 0);
	int ends[2];
	ssize_t got;
	pid_t pid;

	snprintf(calls, sizeof(calls), "%d", way_calls[way]);
	if (pipe2(ends, O_CLOEXEC))
		abort();
	syscalls_switch(bench->with, bench->any, way == FAILING);
	syscalls_switch(bench->with, bench->by_path, way == FAILING_BY_PATH);
	pid = filtered_start(launch, way == STRACE_FAILING ? traced : plain, ends[1], false);
	close(ends[1]);
	got = read(ends[0], text, sizeof(text) - 1);
	close(ends[0]);
	if (filtered_wait(pid, 120000) != 0 || got <= 0) {
		fprintf(stderr, "%s: it did not end well\n", way_words[way]);
		exit(1);
	}
	return strtod(text, NULL);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const struct bench *bench, bool traced, double ret[WAYS])
{
	double times[WAYS][ROUNDS];

	for (int round = 0; round < ROUNDS; round++)
		for (enum way way = BARE; way < WAYS; way++)
			times[way][round] = way == STRACE_FAILING && !traced ? 0 : run(bench, way);
	for (enum way way = BARE; way < WAYS; way++) {
		qsort(times[way], ROUNDS, sizeof(double), by_size);
		ret[way] = times[way][ROUNDS / 2];
	}
}

static void tell(const char *where, const double times[WAYS], bool traced)
{
	printf("%s, ns a call (median of %d rounds):\n", where, ROUNDS);
	for (enum way way = BARE; way < WAYS; way++)
		if (way != STRACE_FAILING || traced)
			printf("  %-40s %8.0f   %6.2f x bare\n", way_words[way], times[way],
			       times[way] / times[BARE]);
	printf("  not listed: %.3f x the least filter\n", times[UNLISTED] / times[LEAST]);
	if (traced)
		printf("  failing: %.3f x strace's, by path %.3f x\n",
		       times[FAILING] / times[STRACE_FAILING],
		       times[FAILING_BY_PATH] / times[STRACE_FAILING]);
}

static void open_bench(struct bench *bench, struct arena *arena)
{
	static const char *const pwrites[] = {"pwrite64", NULL};
	static const char *const others[] = {"openat2", "fsync",  "fdatasync",
					     "ioctl",   "rename", NULL};
	const char *const paths[] = {bench->path, NULL};
	const struct syscall_rule any = {.calls = pwrites,
					 .error = EIO,
					 .kinds = SYSCALL_FILE | SYSCALL_SOCKET | SYSCALL_PIPE |
						  SYSCALL_DEVICE | SYSCALL_OTHER,
					 .runtime = true};
	const struct syscall_rule by_path = {.calls = pwrites, .error = EIO, .paths = paths};

	bench->with = filtered_open(arena, NULL, pwrites);
	bench->without = filtered_open(arena, NULL, others);
	bench->any = filtered_rule(bench->with, &any);
	bench->by_path = filtered_rule(bench->with, &by_path);
}

static void run_all(const char *self, bool pinned)
{
	bool traced = access(STRACE, X_OK) == 0;
	struct bench bench = {.self = self};
	struct arena arena = {0};
	double times[WAYS];
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (pinned && sched_setaffinity(0, sizeof(one), &one))
		printf("cannot pin: %s\n", strerror(errno));
	snprintf(bench.path, sizeof(bench.path), "/tmp/drsim-bench-%ld", (long)getpid());
	open_bench(&bench, &arena);
	if (!traced)
		printf("strace is missing: left out\n");
	measure(&bench, traced, times);
	tell(pinned ? "pinned" : "not pinned", times, traced);
	printf("  SYNC_WAKE_UP: %s\n", syscalls_sum(bench.with).sync_wake_up ? "yes" : "no");
	syscalls_close(bench.with);
	syscalls_close(bench.without);
	unlink(bench.path);
	arena_free(&arena);
}

int main(int argc, char **argv)
{
	char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct error e = {0};
	bool sync;

	self[length > 0 ? length : 0] = '\0';
	if (argc == 5 && strcmp(argv[1], "--target") == 0)
		return be_target(argv[2], atoi(argv[3]), (enum way)(argv[4][0] - '0'));
	if (syscall_probe(&sync, &e)) {
		printf("skipped: %s\n", e.text);
		return 0;
	}
	run_all(self, false);
	run_all(self, true);
	return 0;
}
