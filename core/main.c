/* SPDX-License-Identifier: Apache-2.0 */
/* The program: finds the command by name. The tables of faults, drivers and reports come with their
 * folders. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/commands.h"
#include "drivers/store/commands.h"
#include "reports/commands.h"

#ifndef DRSIM_VERSION
#define DRSIM_VERSION "unknown"
#endif

#define COMMANDS_MAX 32

const struct command *const command_table[] = {
	&command_run,
	&command_check,
	&command_plan,
	&command_list,
	&command_doctor,
	&command_report,
	&command_calibrate,
	&command_compare,
	&command_trend,
	&command_history,
	&command_evidence,
	&command_revert,
	&command_keygen,
	&command_verify,
	&command_bundle,
	&command_backup,
	&command_restore,
	&command_verify_backup,
	&command_backups,
	&command_help,
	NULL,
};

static int run_command(int argc, char **argv)
{
	const char *names[COMMANDS_MAX] = {"--help", "--version"}, *name = argv[1];
	const struct command *command = command_find(name);
	struct arena arena = {0};
	size_t count = 2;
	int code;

	if (command) {
		struct invocation in = {
			.program = argv[0],
			.command = command,
			.argc = argc - 2,
			.argv = argv + 2,
			.arena = &arena,
		};

		code = command->main(&in);
		arena_free(&arena);
		return code;
	}
	for (size_t i = 0; command_table[i] && count + 1 < COMMANDS_MAX; i++)
		names[count++] = command_table[i]->name;
	return command_unknown(NULL, name[0] == '-' ? "option" : "command", name, names);
}

/* A standard stream that was closed (>&-) must not lend its number to a file of the run folder. */
static void fill_standard_streams(void)
{
	static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY};

	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		int filler = open("/dev/null", modes[fd]);
		if (filler != fd) /* it is the lowest free number: anything else is no stream */
			_exit(EXIT_NOT_EVALUABLE);
	}
}

/* Standard output was closed from the start, or its reader has left. */
static bool nobody_reads(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return true;
	return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP | POLLNVAL));
}

int main(int argc, char **argv)
{
	int code = EXIT_OK;

	fill_standard_streams();
	/* A reader that goes away must not leave a half-written folder behind. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		command_print_overview(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		command_print_overview(stdout);
	else if (strcmp(argv[1], "--version") == 0)
		puts("drsim " DRSIM_VERSION);
	else
		code = run_command(argc, argv);
	/* What was printed may be the result: a full disk behind standard output is a failure.
	 * Whoever does not read it does not want it. */
	if (fflush(stdout) || ferror(stdout)) {
		if (nobody_reads())
			return code;
		fputs("drsim: error: cannot write to standard output\n", stderr);
		return code == EXIT_OK ? EXIT_NOT_EVALUABLE : code;
	}
	return code;
}
