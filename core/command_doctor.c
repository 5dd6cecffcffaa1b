/* SPDX-License-Identifier: Apache-2.0 */
/* drsim doctor: what this host can do for drsim, and the reason for each "no". */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/commands.h"
#include "core/words.h"

#define ANSWER_MS 3000 /* how long another program may take to tell its version */
#define ANSWER_MAX 256

extern char **environ;

static void say(const char *what, bool yes, const char *detail)
{
	printf("%-14s %-4s %s\n", what, yes ? "yes" : "no", detail);
}

/* ---- another program ---- */

/* Where PATH has it; NULL: nowhere. */
static const char *find_program(const char *name, struct arena *arena)
{
	const char *path = getenv("PATH");

	for (const char *at = path; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
		size_t length = strcspn(at, ":");
		const char *file = length > 0
					   ? arena_printf(arena, "%.*s/%s", (int)length, at, name)
					   : arena_printf(arena, "./%s", name);
		struct stat status;

		if (access(file, X_OK) == 0 && stat(file, &status) == 0 && S_ISREG(status.st_mode))
			return file;
	}
	return NULL;
}

/* What it writes until it ends or the time is over; returns the length, -1 when the time was over.
 */
static int read_answer(int fd, double end, char answer[ANSWER_MAX])
{
	size_t length = 0;

	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		double left = (end - command_seconds()) * 1e3;
		ssize_t got;

		if (left <= 0)
			return -1;
		if (poll(&ready, 1, (int)left + 1) <= 0)
			continue;
		got = read(fd, answer + length, ANSWER_MAX - 1 - length);
		if (got <= 0 || length + (size_t)got >= ANSWER_MAX - 1) {
			length += got > 0 ? (size_t)got : 0;
			answer[length] = '\0';
			return (int)length;
		}
		length += (size_t)got;
	}
}

/* Its exit status; one that does not end in time is ended. */
static int reap(pid_t pid, double end)
{
	const struct timespec pause = {.tv_nsec = 2 * NANOS_MS};
	int status = 0;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0 && command_seconds() < end)
		nanosleep(&pause, NULL);
	if (got != 0)
		return status;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return status;
}

/* The first line of `program --version`; false when it does not answer in time. */
static bool ask_version(const char *program, char answer[ANSWER_MAX])
{
	char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "--version", NULL};
	posix_spawn_file_actions_t actions;
	double end = command_seconds() + ANSWER_MS / 1e3;
	int ends[2], status = 0, length = -1;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return false;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (posix_spawn(&pid, program, &actions, NULL, argv, environ) == 0) {
		close(ends[1]);
		ends[1] = -1;
		length = read_answer(ends[0], end, answer);
		status = reap(pid, end);
	}
	posix_spawn_file_actions_destroy(&actions);
	close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	if (length > 0)
		answer[strcspn(answer, "\r\n")] = '\0';
	return length > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void check_gnuplot(struct arena *arena)
{
	const char *path = find_program("gnuplot", arena);
	char answer[ANSWER_MAX];

	if (!path)
		say("gnuplot", false,
		    "not in PATH: reports come without plots (package gnuplot-nox)");
	else if (ask_version(path, answer))
		say("gnuplot", true, arena_printf(arena, "%s, %s", path, answer));
	else
		say("gnuplot", false,
		    arena_printf(arena, "%s does not tell its version within %d s", path,
				 ANSWER_MS / 1000));
}

/* ---- this host ---- */

static void check_runs(struct arena *arena)
{
	const char *folder = access("runs", F_OK) == 0 ? "runs" : ".";
	struct statvfs space;
	char bytes[WORDS_MAX];

	if (access(folder, W_OK | X_OK)) {
		say("runs/", false,
		    arena_printf(arena, "cannot write in %s: %s (use run --out)", folder,
				 strerror(errno)));
		return;
	}
	if (statvfs(folder, &space))
		say("runs/", true, "writable");
	else
		say("runs/", true,
		    arena_printf(
			    arena, "writable, %s free",
			    words_bytes(bytes, (double)space.f_bavail * (double)space.f_frsize)));
}

static void check_clock(struct arena *arena)
{
	struct timespec resolution;

	if (clock_getres(CLOCK_MONOTONIC, &resolution))
		say("clock", false, strerror(errno));
	else
		say("clock", true,
		    arena_printf(arena, "CLOCK_MONOTONIC counts in steps of %lld ns",
				 (long long)resolution.tv_sec * 1000000000 + resolution.tv_nsec));
}

static void check_processors(struct arena *arena)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	say("processors", count > 0,
	    arena_printf(arena, "%ld: run --trials uses %s", count,
			 count > 1 ? "all of them" : "one thread"));
}

static void check_scenarios(struct arena *arena)
{
	const char *folder = command_scenarios_folder();
	size_t count = 0;

	for (const char **name = command_scenario_names(folder, arena); *name; name++)
		count++;
	say("scenarios", folder != NULL,
	    folder ? arena_printf(arena, "%zu in %s", count, folder)
		   : "neither ./scenarios nor the installed ones are here");
}

static int doctor_main(struct invocation *in)
{
	size_t real = 0;
	int code;

	if (command_parse(in, NULL, &code))
		return code;
	for (size_t i = 0; driver_table[i]; i++) {
		const struct driver_ops *driver = driver_table[i];

		say(arena_printf(in->arena, "driver %s", driver->name), true,
		    arena_printf(in->arena, "%s: %s", driver->kind, driver->help));
		real += strcmp(driver->kind, "simulated") != 0;
		if (driver->doctor)
			driver->doctor(in->arena, say);
	}
	if (real == 0)
		say("real faults", false,
		    "not in this version: every driver simulates, nothing on this host is touched");
	check_gnuplot(in->arena);
	check_scenarios(in->arena);
	check_runs(in->arena);
	check_clock(in->arena);
	check_processors(in->arena);
	return EXIT_OK;
}

static const struct option options[] = {OPTIONS_END};

const struct command command_doctor = {
	.name = "doctor",
	.arguments = "",
	.summary = "what this host can do for drsim",
	.help = "Looks at this host and tells what works here, and the reason for each 'no'. "
		"Touches nothing.",
	.options = options,
	.main = doctor_main,
};
