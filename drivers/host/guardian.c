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
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/host/undo.h"

#define ORDERLY 'q'        /* what drsim writes when it ends in order */
#define LOCK_WAIT_MS 60000 /* for drsim's last children to let go of the journal */
#define PIPE_FD 3
#define KEEP_FD 4
#define OWNER_FD 5
#define HAND_WAIT_MS 5000 /* for what is handed over to be taken */

/* ---- in the guardian ---- */

/* Nothing of what drsim had open, nor of its terminal, folder and signals. */
static void leave_everything(int pipe, int keep, int owner)
{
	int null = open("/dev/null", O_RDWR), high = fcntl(pipe, F_DUPFD, 16),
	    high_keep = fcntl(keep, F_DUPFD, 16),
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
	dup2(high_keep, KEEP_FD);
	if (high_owner >= 0)
		dup2(high_owner, OWNER_FD);
	if (syscall(SYS_close_range, high_owner >= 0 ? OWNER_FD + 1 : KEEP_FD + 1, ~0u, 0))
		for (int fd = (int)sysconf(_SC_OPEN_MAX) - 1; fd > OWNER_FD; fd--)
			close(fd);
	/* The two that the C library keeps for itself cannot be ignored, but blocked. */
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
}

/* Something is handed over: from now on a process of its own takes it, since this one may have to
 * undo much while calls are answered. false: it cannot be made now. */
static bool start_keeper(bool has_owner)
{
	pid_t pid = fork();

	if (pid == 0) {
		close(PIPE_FD); /* its end tells drsim of this one's */
		syscall_keep(KEEP_FD, has_owner ? OWNER_FD : -1);
	}
	if (pid > 0)
		close(KEEP_FD);
	return pid > 0;
}

/* Returns when drsim is gone; true: it ended in order. */
static bool wait_for_end(bool has_owner)
{
	struct pollfd ends[3] = {
		{.fd = PIPE_FD, .events = POLLIN},
		{.fd = has_owner ? OWNER_FD : -1, .events = POLLIN},
		{.fd = KEEP_FD, .events = POLLIN},
	};
	char word;
	ssize_t got;

	/* The second tells of its end even if a child holds a copy of the pipe. */
	while (ends[0].revents == 0 && ends[1].revents == 0) {
		if (poll(ends, 3, -1) < 0)
			continue;
		if (ends[2].revents & POLLIN && !start_keeper(has_owner))
			close(KEEP_FD); /* that is seen at the other end */
		if (ends[2].revents)
			ends[2].fd = -1;
	}
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
	int ends[2], keep[2], owner;
	sigset_t all, before;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot make a pipe: %s", strerror(errno));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, keep)) {
		close(ends[0]);
		close(ends[1]);
		return error_set(e, ERROR_IO, NO_PLACE, "cannot make a socket: %s",
				 strerror(errno));
	}
	owner = (int)syscall(SYS_pidfd_open, getpid(), 0);
	/* A signal to all of drsim's group must not meet it before it has left that group. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork();
	if (pid == 0) {
		leave_everything(ends[0], keep[0], owner);
		if (wait_for_end(owner >= 0))
			_exit(0);
		undo_journal(journal->path);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[0]);
	close(keep[0]);
	if (owner >= 0)
		close(owner);
	if (pid < 0) {
		close(ends[1]);
		close(keep[1]);
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot start the guardian: %s",
				 strerror(errno));
	}
	*guardian = (struct guardian){.pid = pid, .pipe = ends[1], .keep = keep[1]};
	return 0;
}

bool guardian_lives(const struct guardian *guardian)
{
	struct pollfd end = {.fd = guardian->pipe};

	/* Nobody at the other end of the pipe: POLLERR. */
	return poll(&end, 1, 0) == 0;
}

int guardian_hand(const struct guardian *guardian, const struct syscall_keep_message *message,
		  int fd, struct error *e)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct msghdr envelope = {.msg_iov = &iov, .msg_iovlen = 1};
	struct pollfd end = {.fd = guardian->keep, .events = POLLIN};
	char taken = 0;

	if (fd >= 0) {
		envelope.msg_control = control.bytes;
		envelope.msg_controllen = sizeof(control.bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	if (sendmsg(guardian->keep, &envelope, MSG_NOSIGNAL) == sizeof(*message) &&
	    poll(&end, 1, HAND_WAIT_MS) == 1 && recv(guardian->keep, &taken, 1, 0) == 1 && taken)
		return 0;
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "the guardian cannot take over what must outlive this process");
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
	close(guardian->keep);
	while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*guardian = (struct guardian){.pipe = -1, .keep = -1};
}
