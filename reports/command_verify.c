/* SPDX-License-Identifier: Apache-2.0 */
/* drsim verify: is a signed run what it was when it was signed? */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "core/timeline.h"
#include "reports/bundle.h"
#include "reports/commands.h"
#include "reports/verify.h"

struct verify_command {
	const char *key;
	bool quiet;
};

/* Names come from a disk or an archive that may be somebody's work, and go to a terminal. */
static void print_safe(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t length = utf8_length(s);

		if (length == 0 || *s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0))
			putchar('?');
		else
			fwrite(s, 1, length, stdout);
		s += length > 0 ? length : 1;
	}
}

static void print_finding(const struct verify_finding *finding)
{
	fputs("  ", stdout);
	print_safe(finding->artefact);
	if (finding->line > 0)
		printf(":%" PRIu64, finding->line);
	fputs(": ", stdout);
	print_safe(finding->what);
	putchar('\n');
}

static void print_verified(const char *path, const struct verified *verified,
			   const struct public_key *key, bool quiet)
{
	if (verified->count > 0) {
		printf("%s: does NOT hold\n", path);
		for (size_t i = 0; i < verified->count; i++)
			print_finding(&verified->findings[i]);
		if (verified->more > 0)
			printf("  and %zu more\n", verified->more);
		return;
	}
	if (quiet)
		return;
	printf("%s: holds: %zu files, %" PRIu64 " events, signed with key %.16s...\n", path,
	       verified->artefacts, verified->events, key->id);
	printf("  %s drill of ",
	       strcmp(verified->kind, "injected") == 0 ? "INJECTED" : "SIMULATED");
	print_safe(verified->name);
	printf(", seed %" PRIu64 ", by drsim ", verified->seed);
	print_safe(verified->version);
	fputs(": ", stdout);
	print_safe(verified->verdict);
	putchar('\n');
}

static int look(const struct invocation *in, const struct verify_command *command,
		const struct public_key *key)
{
	const char *path = in->words[0];
	struct verified verified;
	struct error error = {0};
	struct stat status;
	int rc;

	if (stat(path, &status))
		return command_usage(in->command, "no run folder or bundle '%s': %s", path,
				     strerror(errno));
	rc = S_ISDIR(status.st_mode) ? verify_folder(path, key, in->arena, &verified, &error)
				     : verify_bundle(path, key, in->arena, &verified, &error);
	if (rc) {
		error_print(&error);
		return EXIT_USAGE;
	}
	print_verified(path, &verified, key, command->quiet);
	return verified.count > 0 ? EXIT_MISSED : EXIT_OK;
}

static int verify_main(struct invocation *in)
{
	struct verify_command command = {0};
	struct public_key key;
	struct error error = {0};
	int code;

	if (command_parse(in, &command, &code))
		return code;
	if (!command.key)
		return command_usage(in->command, "verify needs --key PUB");
	if (public_key_load(command.key, &key, &error)) {
		error_print(&error);
		return EXIT_USAGE;
	}
	code = look(in, &command, &key);
	public_key_close(&key);
	return code;
}

static const struct option options[] = {
	{.name = "key",
	 .value = "PUB",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct verify_command, key),
	 .help = "The public key that the run must be signed with (drsim keygen)."},
	{.name = "quiet",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct verify_command, quiet),
	 .help = "Print only what does not hold."},
	OPTIONS_END,
};

const struct command command_verify = {
	.name = "verify",
	.arguments = "RUN_DIR|BUNDLE",
	.summary = "check a signed run: every file, every event, nothing missing or added",
	.help = "Holds a run folder, or a bundle of one, against its attestation and the public "
		"key. Needs no network, and nothing that is not signed is believed. Prints the "
		"name of each file that does not hold, and for events the line.\n"
		"Exit codes: 0 all of it holds, 1 something does not, 2 usage.",
	.options = options,
	.words_min = 1,
	.words_max = 1,
	.main = verify_main,
};
