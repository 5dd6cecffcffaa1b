/* SPDX-License-Identifier: Apache-2.0 */
/* drsim restore: brings a backup back. drsim verify-backup: looks for damage. */
#include <inttypes.h>

#include "core/words.h"
#include "drivers/store/commands.h"

struct restore_command {
	const char *rate;
	struct option_number threads;
	bool partial, exact, check, sync, quiet, json;
};

static void print_restored(const struct store_restored *restored, double seconds)
{
	char a[WORDS_MAX], b[WORDS_MAX], when[32];

	printf("restored %s, as of %s\n", restored->backup.id,
	       store_time_text(restored->backup.as_of, when));
	printf("  whole   %" PRIu64 " of %" PRIu64 " files, %s\n", restored->files,
	       restored->backup.files, words_bytes(a, (double)restored->bytes));
	if (restored->damaged > 0)
		printf("  damaged %" PRIu64 " files, which lack %s: they are NAME.partial\n",
		       restored->damaged, words_bytes(a, (double)restored->missing_bytes));
	printf("  took    %s, %s/s\n", words_duration_exact(a, seconds),
	       words_bytes(b, seconds > 0 ? (double)restored->bytes / seconds : 0));
}

static cJSON *restored_json(const struct store_restored *restored, double seconds)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddItemToObject(json, "backup", store_backup_json(&restored->backup));
	cJSON_AddNumberToObject(json, "files", (double)restored->files);
	cJSON_AddNumberToObject(json, "bytes", (double)restored->bytes);
	cJSON_AddNumberToObject(json, "damaged_files", (double)restored->damaged);
	cJSON_AddNumberToObject(json, "missing_bytes", (double)restored->missing_bytes);
	cJSON_AddNumberToObject(json, "seconds", seconds);
	return json;
}

static int bring_back(struct store_handle *store, const char *id, const char *folder,
		      const struct restore_command *command, struct store_command *common)
{
	struct store_restore_options options = {.partial = command->partial,
						.exact = command->exact,
						.durable = command->sync,
						.check = command->check,
						.hooks = common->hooks,
						.damage = store_command_damage,
						.damage_self = common};
	struct store_restored restored;
	struct error error = {0};
	int rc = store_restore(store, id, folder, &options, &restored, &error);
	double seconds = store_command_end(common);

	if (command->json && (rc == 0 || common->damages > 0)) {
		cJSON *json = restored_json(&restored, seconds);

		cJSON_AddItemToObject(json, "damage", common->damage_list);
		common->damage_list = NULL;
		store_command_print_json(json);
	} else if (rc == 0) {
		print_restored(&restored, seconds);
	}
	if (rc)
		return store_command_fail(common, &error);
	return restored.damaged > 0 ? EXIT_MISSED : EXIT_OK;
}

static int restore_main(struct invocation *in)
{
	struct restore_command command = {0};
	struct store_command common = {0};
	struct store_handle *store;
	bool named;
	int code;

	if (command_parse(in, &command, &code))
		return code;
	code = store_command_rate(in->command, command.rate, &common);
	if (code == 0)
		code = store_command_open(in->words[0], &command.threads, false, &store);
	if (code)
		return code;
	named = in->word_count == 3;
	store_command_begin(&common, command.quiet, command.json);
	code = bring_back(store, named ? in->words[1] : NULL, in->words[named ? 2 : 1], &command,
			  &common);
	cJSON_Delete(common.damage_list);
	store_close(store);
	return code;
}

static const struct option restore_options[] = {
	{.name = "partial",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct restore_command, partial),
	 .help = "Go on after damage: what is whole is restored, a damaged file as NAME.partial "
		 "with zeros where it lacks bytes."},
	{.name = "exact",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct restore_command, exact),
	 .help = "Remove what DIR has and the backup has not."},
	{.name = "check",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct restore_command, check),
	 .help = "Read every file back from DIR and compare."},
	{.name = "sync",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct restore_command, sync),
	 .help = "End only when everything is on the disk."},
	{.name = "rate",
	 .value = "RATE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct restore_command, rate),
	 .help = "Write no faster than this: 200MB/s."},
	{.name = "threads",
	 .value = "N",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct restore_command, threads),
	 .min = 1,
	 .max = STORE_THREADS_MAX,
	 .help = "Default: one for each processor, at most 8."},
	{.name = "quiet",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct restore_command, quiet),
	 .help = "No progress on standard error."},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct restore_command, json),
	 .help = "The summary as JSON, damage included."},
	OPTIONS_END,
};

const struct command command_restore = {
	.name = "restore",
	.arguments = "STORE [BACKUP] DIR",
	.summary = "bring a backup back, every byte checked",
	.help = "Brings BACKUP (its id, number or the beginning of its id; the newest unless "
		"given) "
		"from STORE into DIR. A file appears under its name when all of it has been "
		"checked. "
		"Until the restore is finished DIR has a folder .drsim-restore; after a failure "
		"run it again.\n"
		"Exit codes: 0 restored, 1 damage found (named), 2 usage, 3 could not, 5 stopped "
		"by a signal.",
	.options = restore_options,
	.words_min = 2,
	.words_max = 3,
	.main = restore_main,
};

/* ---- drsim verify-backup ---- */

struct verify_command {
	const char *rate;
	struct option_number threads;
	bool mark, quiet, json;
};

static void print_verified(const struct store_verified *verified, double seconds)
{
	char a[WORDS_MAX], b[WORDS_MAX];

	printf("%s: %" PRIu64 " backups, %" PRIu64 " objects, %" PRIu64 " chunks, %s\n",
	       verified->damages > 0 ? "damaged" : "whole", verified->backups, verified->objects,
	       verified->chunks, words_bytes(a, (double)verified->bytes));
	if (verified->damages > 0)
		printf("  damage  %" PRIu64 " places; %" PRIu64 " backups and %" PRIu64
		       " of their files are affected\n",
		       verified->damages, verified->damaged_backups, verified->damaged_files);
	printf("  took    %s, %s/s\n", words_duration_exact(a, seconds),
	       words_bytes(b, seconds > 0 ? (double)verified->bytes / seconds : 0));
}

static int look(struct store_handle *store, const char *id, const struct verify_command *command,
		struct store_command *common)
{
	struct store_verify_options options = {.mark = command->mark,
					       .hooks = common->hooks,
					       .damage = store_command_damage,
					       .damage_self = common};
	struct store_verified verified;
	struct error error = {0};
	int rc = store_verify(store, id, &options, &verified, &error);
	double seconds = store_command_end(common);

	if (rc)
		return store_command_fail(common, &error);
	if (command->json) {
		cJSON *json = cJSON_CreateObject();

		cJSON_AddNumberToObject(json, "backups", (double)verified.backups);
		cJSON_AddNumberToObject(json, "objects", (double)verified.objects);
		cJSON_AddNumberToObject(json, "chunks", (double)verified.chunks);
		cJSON_AddNumberToObject(json, "bytes", (double)verified.bytes);
		cJSON_AddNumberToObject(json, "damaged_backups", (double)verified.damaged_backups);
		cJSON_AddNumberToObject(json, "damaged_files", (double)verified.damaged_files);
		cJSON_AddNumberToObject(json, "seconds", seconds);
		cJSON_AddItemToObject(json, "damage", common->damage_list);
		common->damage_list = NULL;
		store_command_print_json(json);
	} else {
		print_verified(&verified, seconds);
	}
	return verified.damages > 0 ? EXIT_MISSED : EXIT_OK;
}

static int verify_main(struct invocation *in)
{
	struct verify_command command = {0};
	struct store_command common = {0};
	struct store_handle *store;
	int code;

	if (command_parse(in, &command, &code))
		return code;
	code = store_command_rate(in->command, command.rate, &common);
	if (code == 0)
		code = store_command_open(in->words[0], &command.threads, false, &store);
	if (code)
		return code;
	store_command_begin(&common, command.quiet, command.json);
	code = look(store, in->word_count == 2 ? in->words[1] : NULL, &command, &common);
	cJSON_Delete(common.damage_list);
	store_close(store);
	return code;
}

static const struct option verify_options[] = {
	{.name = "mark",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct verify_command, mark),
	 .help = "Write into the index which chunks are damaged: the next backup stores those anew "
		 "that it needs, which heals older backups too. Renews a damaged index."},
	{.name = "rate",
	 .value = "RATE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct verify_command, rate),
	 .help = "Read no faster than this: 200MB/s."},
	{.name = "threads",
	 .value = "N",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct verify_command, threads),
	 .min = 1,
	 .max = STORE_THREADS_MAX,
	 .help = "Default: one for each processor, at most 8."},
	{.name = "quiet",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct verify_command, quiet),
	 .help = "No progress on standard error."},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct verify_command, json),
	 .help = "The result as JSON, damage included."},
	OPTIONS_END,
};

const struct command command_verify_backup = {
	.name = "verify-backup",
	.arguments = "STORE [BACKUP]",
	.summary = "look for damage in a store: which file, which bytes",
	.help = "Reads all of STORE, or what BACKUP needs, and holds every byte against what was "
		"written. Each damage is named: the file and the range of which backup, and the "
		"object and the range in it.\n"
		"Exit codes: 0 whole, 1 damage found, 2 usage, 3 could not, 5 stopped by a signal.",
	.options = verify_options,
	.words_min = 1,
	.words_max = 2,
	.main = verify_main,
};
