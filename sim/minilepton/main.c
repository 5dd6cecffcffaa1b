/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in platform's program: finds the subcommand by name and gives it its options. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"

#define DESCRIPTORS_WANTED 8192 /* connections on both sides of a gateway */
#define TOKEN "MINILEPTON_TOKEN"

static const struct minilepton_command *const commands[] = {
	&minilepton_node,    &minilepton_replica, &minilepton_gateway,
	&minilepton_control, &minilepton_store,   &minilepton_trainer,
	&minilepton_strain,  &minilepton_clock,   NULL,
};

static void print_commands(FILE *out)
{
	fprintf(out, "usage: minilepton COMMAND [--name VALUE]...\n\n");
	for (size_t i = 0; commands[i]; i++)
		fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->help);
	fprintf(out, "\nminilepton COMMAND --help lists its options.\n");
}

/* Whoever waits for the end asks for it: a handler would have to run anywhere. */
static void signals_block(void)
{
	sigset_t ends;

	/* A peer that leaves is an error of its connection, not the end of the program. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
}

/* Many connections at a time: the soft limit of descriptors of most shells is too low for that. */
static void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= DESCRIPTORS_WANTED)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		minilepton_say("only %llu descriptors: %s", (unsigned long long)limit.rlim_cur,
			       strerror(errno));
}

static bool has_token(const struct minilepton_command *command)
{
	for (const struct options_row *row = command->rows; row->name; row++)
		if (strcmp(row->name, "token") == 0)
			return true;
	return false;
}

/*
 * A command line is for everybody on the host to read, and whoever has the token may start programs
 * in our name. So it can be in the environment, which is its owner's alone, and what this process
 * starts gets none of it. *words stays as it is or gets one more.
 */
static bool token_take(const struct minilepton_command *command, size_t *count, char ***words)
{
	const char *token = getenv(TOKEN);
	size_t room = token ? strlen("--token=") + strlen(token) + 1 : 0;
	char **all, *word;

	if (!token)
		return true;
	if (has_token(command)) {
		all = calloc(*count + 1, sizeof(*all));
		word = malloc(room);
		if (!all || !word) {
			free(all);
			free(word);
			return false;
		}
		snprintf(word, room, "--token=%s", token);
		/* First: an option that is given twice is told as such. */
		all[0] = word;
		memcpy(all + 1, *words, *count * sizeof(*all));
		*words = all;
		++*count;
	}
	return unsetenv(TOKEN) == 0;
}

static int command_run(const struct minilepton_command *command, size_t count, char **words)
{
	void *options = malloc(command->options_size);
	char **given = words;
	struct error e = {0};
	int code;

	if (!options || !token_take(command, &count, &given)) {
		fprintf(stderr, "minilepton %s: no memory\n", command->name);
		free(options);
		return MINILEPTON_FAILED;
	}
	memcpy(options, command->preset, command->options_size);
	if (options_parse(command->rows, count, given, options, &e)) {
		fprintf(stderr, "minilepton %s: %s\n", command->name, e.text);
		code = MINILEPTON_USAGE;
	} else if (http_client_prepare(&e)) {
		code = minilepton_fail(&e);
	} else {
		code = command->main(options);
	}
	if (given != words) {
		free(given[0]);
		free(given);
	}
	free(options);
	return code;
}

int main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		print_commands(argc < 2 ? stderr : stdout);
		return argc < 2 ? MINILEPTON_USAGE : MINILEPTON_OK;
	}
	signals_block();
	descriptors_raise();
	for (size_t i = 0; commands[i]; i++) {
		if (strcmp(commands[i]->name, argv[1]) != 0)
			continue;
		if (argc > 2 && strcmp(argv[2], "--help") == 0) {
			printf("minilepton %s: %s\n\n", commands[i]->name, commands[i]->help);
			options_print(commands[i]->rows, stdout);
			return MINILEPTON_OK;
		}
		return command_run(commands[i], (size_t)argc - 2, argv + 2);
	}
	fprintf(stderr, "minilepton: unknown command '%s'\n", argv[1]);
	print_commands(stderr);
	return MINILEPTON_USAGE;
}
