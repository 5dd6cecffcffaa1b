/* SPDX-License-Identifier: Apache-2.0 */
/* Children that run for a bounded time. */
#include "drivers/process/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/arena.h"
#include "drivers/host/process.h"

#define LOOK (50 * NANOS_MS) /* how often a wait looks whether it is called off */

/* In the child: only calls that are safe after a fork of a process with threads. */
static _Noreturn void become(const char *const *argv, char *const *environment, int out, int null,
			     int report)
{
	sigset_t none;
	int reason;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	setpriority(PRIO_PROCESS, 0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
	    dup2(out, STDERR_FILENO) >= 0)
		execvpe(argv[0], (char *const *)(uintptr_t)argv, environment);
	reason = errno;
	if (write(report, &reason, sizeof(reason)) < 0)
		_exit(126);
	_exit(127);
}

static char **with_run(const char *run, struct arena *arena)
{
	size_t count = 0, kept = 0;
	char **all;

	while (environ[count])
		count++;
	all = arena_array(arena, count + 2, sizeof(*all));
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], "DRSIM_RUN=", 10) != 0)
			all[kept++] = environ[i];
	all[kept] = arena_printf(arena, "DRSIM_RUN=%s", run);
	return all;
}

/* Waits until the program runs, or could not be executed. */
static int reported(int fd)
{
	int reason = 0;
	ssize_t got;

	do
		got = read(fd, &reason, sizeof(reason));
	while (got < 0 && errno == EINTR);
	return got > 0 ? reason : 0;
}

int child_start(const char *const *argv, const char *run, const char *log, pid_t *ret_pid,
		struct error *e)
{
	struct arena arena = {0};
	char **environment = with_run(run, &arena);
	int report[2] = {-1, -1}, reason = 0;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int out = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : dup(null);
	pid_t pid = -1;

	if (null >= 0 && out >= 0 && pipe2(report, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0)
		become(argv, environment, out, null, report[1]);
	reason = pid < 0 ? errno : 0;
	if (report[1] >= 0)
		close(report[1]);
	if (pid > 0 && (reason = reported(report[0]))) {
		child_kill(pid);
		pid = -1;
	}
	if (report[0] >= 0)
		close(report[0]);
	if (out >= 0)
		close(out);
	if (null >= 0)
		close(null);
	arena_free(&arena);
	if (pid < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "'%s' cannot be started: %s",
				 argv[0], strerror(reason));
	*ret_pid = pid;
	return 0;
}

static int code_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool child_over(pid_t pid, int *ret_code)
{
	siginfo_t info = {0};
	int status = 0;

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid != pid)
		return false;
	/* What it left behind of its group. Until it is waited for its number is nobody else's. */
	kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	*ret_code = code_of(status);
	return true;
}

void child_kill(pid_t pid)
{
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL); /* its group may not be made yet */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int child_run(const char *const *argv, const char *run, const char *log, nanos timeout,
	      const atomic_bool *cancel, struct error *e)
{
	nanos end = process_now() + timeout;
	bool over = false, off = false;
	int code = 0, fd;
	pid_t pid = 0;

	if (child_start(argv, run, log, &pid, e))
		return -1;
	fd = pidfd_open(pid, 0);
	while (!(over = child_over(pid, &code))) {
		nanos left = end - process_now(), wait = left < LOOK ? left : LOOK;
		struct pollfd gone = {.fd = fd, .events = POLLIN};
		off = cancel && atomic_load(cancel);
		if (left <= 0 || off)
			break;
		poll(&gone, 1, (int)(wait / NANOS_MS) + 1);
	}
	if (fd >= 0)
		close(fd);
	if (!over)
		child_kill(pid);
	if (over && code == 0)
		return 0;
	if (off)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "'%s' was called off", argv[0]);
	if (!over)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "'%s' did not end within %.1f s",
				 argv[0], (double)timeout / 1e9);
	return error_set(e, ERROR_IO, NO_PLACE, "'%s' ended with exit code %d", argv[0], code);
}
