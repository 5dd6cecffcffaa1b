/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the backup engine, and what they share. */
#ifndef DRIVERS_STORE_COMMANDS_H
#define DRIVERS_STORE_COMMANDS_H

#include <cjson/cJSON.h>

#include "core/commands.h"
#include "drivers/store/store.h"

extern const struct command command_backup, command_restore, command_verify_backup, command_backups;

#define STORE_TOKEN_VARIABLE "DRSIM_STORE_TOKEN" /* bearer token of a server */
#define STORE_TEXT_MAX (4 * STORE_PATH_MAX + 1)

/* One command on its way: hooks that draw progress and end at a signal. */
struct store_command {
	struct progress progress;
	struct store_hooks hooks;
	double started;
	uint64_t damages;
	cJSON *damage_list; /* NULL: damage is printed as it is found */
};

/* Opens the store of a command; prints why it cannot. 0, or the exit code. */
int store_command_open(const char *where, const struct option_number *threads, bool create,
		       struct store_handle **ret_store);
void store_command_begin(struct store_command *command, bool quiet, bool json);
/* Ends the progress; gives the seconds since the begin. */
double store_command_end(struct store_command *command);
/* A rate as people write it, into hooks. 0, or the exit code after a message. */
int store_command_rate(const struct command *command, const char *text, struct store_command *ret);
/* The exit code of a failure, after its message. */
int store_command_fail(const struct store_command *command, const struct error *e);
store_damage_fn store_command_damage; /* self: struct store_command */
/* Prints and frees. */
void store_command_print_json(cJSON *json);

/* "2026-01-31T12:00:00Z" of nanoseconds since 1970. */
const char *store_time_text(nanos as_of, char text[32]);
/* A name from a store as it can be shown: what is no printable UTF-8 as \xNN. */
const char *store_name_text(const char *name, char text[STORE_TEXT_MAX]);
cJSON *store_backup_json(const struct store_backup *backup);

#endif
