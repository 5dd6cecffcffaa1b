/* SPDX-License-Identifier: Apache-2.0 */
/* Running the drsim program from a test, without a shell. */
#include "tests/spawn.h"

#include <fcntl.h>
#include <spawn.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int spawn_drsim(const char *const *arguments, const char *log)
{
	const char *program = getenv("DRSIM");
	char *argv[SPAWN_ARGS_MAX + 2];
	posix_spawn_file_actions_t actions;
	size_t count = 0;
	pid_t pid;
	int status = 0;

	if (!program)
		return -1;
	argv[count++] = (char *)program;
	while (*arguments && count <= SPAWN_ARGS_MAX)
		argv[count++] = (char *)*arguments++;
	argv[count] = NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log ? log : "/dev/null",
					 O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
	int failed = posix_spawn(&pid, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (failed || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
