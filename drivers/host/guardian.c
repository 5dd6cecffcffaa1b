/* SPDX-License-Identifier: Apache-2.0 */
/* The guardian: undoes the journal when drsim dies. */
#include "drivers/host/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/host/undo.h"

#define ORDERLY 'q'        /* what drsim writes when it ends in order */
#define LOCK_WAIT_MS 60000 /* for drsim's last children to let go of the journal */
#define PIPE_FD 3
#define OWNER_FD 4

/* ---- in the guardian ---- */

/* Nothing of what drsim had open, nor of its terminal, folder and signals. */
static void leave_everything(int pipe, int owner)
{
	int null = open("/dev/null", O_RDWR), high = fcntl(pipe, F_DUPFD, 16),
	    high_owner = owner >= 0 ? fcntl(owner, F_DUPFD, 16) : -1;
	const uint64_t all = ~(uint64_t)0;

	setsid();
	prctl(PR_SET_NAME, "drsim-guardian");
	if (chdir("/"))
		_exit(1);
	for (int number = 1; number <= SIGRTMAX; number++)
		signal(number, SIG_IGN); /* fails for KILL and STOP alone */
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	dup2(high, PIPE_FD);
	if (high_owner >= 0)
		dup2(high_owner, OWNER_FD);
	if (syscall(SYS_close_range, high_owner >= 0 ? OWNER_FD + 1 : PIPE_FD + 1, ~0u, 0))
		for (int fd = (int)sysconf(_SC_OPEN_MAX) - 1; fd > OWNER_FD; fd--)
			close(fd);
	/* The two that the C library keeps for itself cannot be ignored, but blocked. */
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
}

/* Returns when drsim is gone; true: it ended in order. */
static bool wait_for_end(bool has_owner)
{
	struct pollfd ends[2] = {
		{.fd = PIPE_FD, .events = POLLIN},
		{.fd = has_owner ? OWNER_FD : -1, .events = POLLIN},
	};
	char word;
	ssize_t got;

	/* The second tells of its end even if a child holds a copy of the pipe. */
	while (poll(ends, 2, -1) < 0)
		;
	if (ends[0].revents == 0)
		return false;
	while ((got = read(PIPE_FD, &word, 1)) < 0 && errno == EINTR)
		;
	return got == 1 && word == ORDERLY;
}

static void undo_journal(const char *path)
{
	struct arena arena = {0};
	struct journal *journal;
	struct error error = {0};
	struct undo_sum sum;

	if (journal_load(path, LOCK_WAIT_MS, &arena, &journal, &error) || !journal)
		_exit(1);
	undo_all(journal, &sum);
	/* What is left stays in the journal: `drsim revert` finds it there. */
	_exit(journal_close(journal) ? 0 : 1);
}

/* ---- in drsim ---- */

int guardian_start(struct guardian *guardian, const struct journal *journal, struct error *e)
{
	int ends[2], owner = (int)syscall(SYS_pidfd_open, getpid(), 0);
	sigset_t all, before;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC)) {
		if (owner >= 0)
			close(owner);
		return error_set(e, ERROR_IO, NO_PLACE, "cannot make a pipe: %s", strerror(errno));
	}
	/* A signal to all of drsim's group must not meet it before it has left that group. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork();
	if (pid == 0) {
		leave_everything(ends[0], owner);
		if (wait_for_end(owner >= 0))
			_exit(0);
		undo_journal(journal->path);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[0]);
	if (owner >= 0)
		close(owner);
	if (pid < 0) {
		close(ends[1]);
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot start the guardian: %s",
				 strerror(errno));
	}
	*guardian = (struct guardian){.pid = pid, .pipe = ends[1]};
	return 0;
}

bool guardian_lives(const struct guardian *guardian)
{
	struct pollfd end = {.fd = guardian->pipe};

	/* Nobody at the other end of the pipe: POLLERR. */
	return poll(&end, 1, 0) == 0;
}

void guardian_end(struct guardian *guardian)
{
	const char word = ORDERLY;
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;

	/* It may be gone: then there is nobody to tell. */
	sigemptyset(&ignore.sa_mask);
	sigaction(SIGPIPE, &ignore, &before);
	while (write(guardian->pipe, &word, 1) < 0 && errno == EINTR)
		;
	sigaction(SIGPIPE, &before, NULL);
	close(guardian->pipe);
	while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*guardian = (struct guardian){.pipe = -1};
}
