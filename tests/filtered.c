/* SPDX-License-Identifier: Apache-2.0 */
/* Starting programs under a filter, as machine_start() does. */
#include "tests/filtered.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/program.h"

extern char **environ;

static void must(int rc, const struct error *e)
{
	if (rc == 0)
		return;
	fprintf(stderr, "%s\n", e->text);
	abort();
}

struct syscalls *filtered_open(struct arena *arena, struct guardian *guardian,
			       const char *const *calls)
{
	struct syscall_call list[64] = {{0}};
	struct syscall_filter_config config = {.calls = list};
	const struct syscall_filter *filter;
	struct syscalls *syscalls;
	struct error e = {0};

	while (calls[config.call_count]) {
		list[config.call_count].name = calls[config.call_count];
		config.call_count++;
	}
	must(syscall_filter_make(&config, arena, &filter, &e), &e);
	must(syscalls_open(filter, guardian, arena, &syscalls, &e), &e);
	return syscalls;
}

uint32_t filtered_rule(struct syscalls *syscalls, const struct syscall_rule *rule)
{
	struct error e = {0};
	uint32_t number;

	must(syscalls_rule(syscalls, rule, &number, &e), &e);
	syscalls_switch(syscalls, number, true);
	return number;
}

static pid_t start(int ends[2])
{
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		close(ends[0]);
		return 0;
	}
	close(ends[1]);
	return pid;
}

static void take(const struct syscall_launch *launch, int socket)
{
	struct error e = {0};
	bool any;

	must(launch ? syscall_child_take(launch, socket, &any, &e) : 0, &e);
	close(socket);
}

pid_t filtered_start(const struct syscall_launch *launch, const char *const *argv, int output,
		     bool outlives)
{
	int ends[2];
	pid_t pid = start(ends);

	if (pid == 0) {
		if (!outlives)
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (output >= 0)
			dup2(output, STDOUT_FILENO);
		if (launch && syscall_child_install(launch, ends[1]))
			_exit(125);
		syscall_child_exec(argv[0], (char *const *)(uintptr_t)argv, environ);
		_exit(127);
	}
	take(launch, ends[0]);
	return pid;
}

pid_t filtered_fork(const struct syscall_launch *launch, int (*body)(void *self), void *self)
{
	int ends[2];
	pid_t pid = start(ends);

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGTERM, SIG_DFL);
		_exit(launch && syscall_child_install(launch, ends[1]) ? 125 : body(self));
	}
	take(launch, ends[0]);
	return pid;
}

int filtered_wait(pid_t pid, int ms)
{
	int64_t end = program_clock() + (int64_t)ms * 1000000;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (program_clock() > end)
			return -2;
		program_pause(1);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
