/* SPDX-License-Identifier: Apache-2.0 */
/* Running programs with their output in files, or on a pseudo terminal. */
#include "tests/spawned.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_MAX ((size_t)16 << 20)

/* An unnamed file. */
static int scratch(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0) {
		char name[] = "/tmp/drsim-said-XXXXXX";

		fd = mkostemp(name, O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		unlink(name);
	}
	return fd;
}

static char *slurp(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);

	ck_assert(size >= 0 && (size_t)size < SAID_MAX);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(pread(fd, text, (size_t)size, 0), size);
	close(fd);
	return text;
}

static pid_t start(const char *const *words, int out, int err)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(null, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2)
			execvp(words[0], (char *const *)(uintptr_t)words);
		_exit(127);
	}
	return pid;
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct spawned spawned_run(const char *const *words)
{
	int out = scratch(), err = scratch();
	struct spawned spawned = {.code = wait_for(start(words, out, err))};

	spawned.out = slurp(out);
	spawned.err = slurp(err);
	return spawned;
}

void spawned_free(struct spawned *spawned)
{
	free(spawned->out);
	free(spawned->err);
	*spawned = (struct spawned){0};
}

bool spawned_have(const char *name, const char *what)
{
	const char *path = getenv("PATH");
	char *all = strdup(path ? path : ""), *rest = NULL, file[PATH_MAX];
	bool have = false;

	for (char *at = strtok_r(all, ":", &rest); at && !have; at = strtok_r(NULL, ":", &rest)) {
		snprintf(file, sizeof(file), "%s/%s", at, name);
		have = access(file, X_OK) == 0;
	}
	free(all);
	if (!have) {
		printf("skipped: %s is not installed: %s\n", name, what);
		fflush(stdout);
	}
	return have;
}

/* What comes on the terminal, until the last who has it open closes it. */
static char *listen_to(int master)
{
	char *text = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);
	char block[4096];
	ssize_t got;

	ck_assert_ptr_nonnull(memory);
	while ((got = read(master, block, sizeof(block))) > 0 || (got < 0 && errno == EINTR))
		if (got > 0)
			fwrite(block, 1, (size_t)got, memory);
	fclose(memory);
	return text;
}

struct spawned spawned_on_terminal(const char *const *words, int columns, bool piped)
{
	struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = 24};
	struct spawned spawned = {0};
	int master, slave, out = scratch();
	pid_t pid;

	ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, &size), 0);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	pid = start(words, piped ? out : slave, slave);
	close(slave);
	spawned.err = listen_to(master);
	close(master);
	spawned.code = wait_for(pid);
	spawned.out = slurp(out);
	return spawned;
}
