/* SPDX-License-Identifier: Apache-2.0 */
/* Starting minilepton for a test, and ending it. */
#include "tests/program.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LISTEN_MS 20000

static void die(const char *what)
{
	perror(what);
	abort();
}

int64_t program_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void program_pause(int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&t, NULL);
}

bool program_until(bool (*done)(const void *self), const void *self, int ms)
{
	int64_t end = program_clock() + (int64_t)ms * 1000000;

	while (!done(self)) {
		if (program_clock() > end)
			return false;
		program_pause(5);
	}
	return true;
}

void program_find(void)
{
	const char *drsim = getenv("DRSIM");
	char path[PATH_MAX], program[PATH_MAX + 16];

	if (!drsim || !realpath(drsim, path))
		die("DRSIM");
	*strrchr(path, '/') = '\0';
	snprintf(program, sizeof(program), "%s/minilepton", path);
	if (setenv("MINILEPTON", program, 1))
		die("MINILEPTON");
}

static void listening(struct program *program, int out)
{
	char line[128] = "";
	size_t size = 0;
	int64_t end = program_clock() + (int64_t)LISTEN_MS * 1000000;

	while (size < sizeof(line) - 1 && !strchr(line, '\n')) {
		struct pollfd fd = {.fd = out, .events = POLLIN};
		ssize_t got;

		if (program_clock() > end || poll(&fd, 1, LISTEN_MS) <= 0)
			break;
		got = read(out, line + size, sizeof(line) - 1 - size);
		if (got <= 0)
			break;
		size += (size_t)got;
	}
	if (strncmp(line, "listening ", 10) == 0 && strchr(line, '\n')) {
		*strchr(line, '\n') = '\0';
		snprintf(program->address, sizeof(program->address), "%.63s", line + 10);
	}
}

static void child(const char *path, char **words, int out, int errors, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The first process of a PID namespace does not see its parent. */
	if ((getppid() != parent && getpid() != 1) || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(errors, STDERR_FILENO) < 0)
		_exit(126);
	execv(path, words);
	_exit(127);
}

struct program program_start(const char *format, ...)
{
	char *path = getenv("MINILEPTON"), line[8192], *rest = line;
	char *words[PROGRAM_WORDS_MAX + 1] = {path};
	struct program program = {.pid = 0};
	pid_t parent = getpid();
	size_t count = 1;
	va_list arguments;
	int out[2], errors;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	while (count < PROGRAM_WORDS_MAX && (words[count] = strsep(&rest, " ")))
		count++;
	words[count] = NULL;
	if (!path)
		die("program_find() comes first");
	snprintf(program.errors, sizeof(program.errors), "stderr-XXXXXX");
	errors = mkostemp(program.errors, O_CLOEXEC);
	if (errors < 0 || pipe2(out, O_CLOEXEC))
		die("program");
	program.pid = fork();
	if (program.pid < 0)
		die("fork");
	if (program.pid == 0)
		child(path, words, out[1], errors, parent);
	close(out[1]);
	close(errors);
	listening(&program, out[0]);
	close(out[0]);
	return program;
}

int program_wait(struct program *program, int ms)
{
	int64_t end = program_clock() + (int64_t)ms * 1000000;
	int status;

	for (;;) {
		if (waitpid(program->pid, &status, WNOHANG) == program->pid) {
			program->pid = 0;
			return status;
		}
		if (program_clock() >= end)
			return -1;
		program_pause(1);
	}
}

int program_end(struct program *program)
{
	int status;

	if (program->pid == 0)
		return 0;
	kill(program->pid, SIGTERM);
	status = program_wait(program, 5000);
	if (status == -1) {
		kill(program->pid, SIGKILL);
		status = program_wait(program, 5000);
	}
	return status;
}

char *program_said(const struct program *program)
{
	FILE *file = fopen(program->errors, "re");
	char *text = calloc(1, 1 << 20);

	if (!file || !text)
		die(program->errors);
	if (fread(text, 1, (1 << 20) - 1, file) == 0)
		text[0] = '\0';
	fclose(file);
	return text;
}
