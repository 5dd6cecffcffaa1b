/* SPDX-License-Identifier: Apache-2.0 */
/* drsim keygen: a pair of keys to sign runs with. */
#include "reports/commands.h"
#include "reports/keys.h"

struct keygen_command {
	const char *out;
};

static int keygen_main(struct invocation *in)
{
	struct keygen_command command = {0};
	struct error error = {0};
	char id[SHA_HEX];
	int code;

	if (command_parse(in, &command, &code))
		return code;
	if (!command.out || !*command.out)
		return command_usage(in->command, "keygen needs --out DIR");
	if (keys_generate(command.out, in->arena, id, &error)) {
		error_print(&error);
		return error.kind == ERROR_USAGE ? EXIT_USAGE : EXIT_NOT_EVALUABLE;
	}
	printf("key %s\n", id);
	printf("  %s/" KEYS_PRIVATE "  signs: keep it to yourself (mode 0600, not encrypted)\n",
	       command.out);
	printf("  %s/" KEYS_PUBLIC "  verifies: give it to whoever is to believe your runs\n",
	       command.out);
	return EXIT_OK;
}

static const struct option options[] = {
	{.name = "out",
	 .value = "DIR",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct keygen_command, out),
	 .help = "Where to put " KEYS_PRIVATE " and " KEYS_PUBLIC
		 "; the folder is made when it is not there. A key that is there is never "
		 "replaced."},
	OPTIONS_END,
};

const struct command command_keygen = {
	.name = "keygen",
	.arguments = "",
	.summary = "make a pair of keys to sign runs with",
	.help = "Makes an Ed25519 key: " KEYS_PRIVATE " (PKCS#8 PEM, mode 0600) for drsim run "
		"--sign, and " KEYS_PUBLIC " (SubjectPublicKeyInfo PEM) for drsim verify --key.\n"
		"Exit codes: 0 made, 2 usage, or a key is there already, 3 could not.",
	.options = options,
	.main = keygen_main,
};
