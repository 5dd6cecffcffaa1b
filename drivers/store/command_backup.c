/* SPDX-License-Identifier: Apache-2.0 */
/* drsim backup: keeps a folder in a store; and drsim backups: what a store holds. */
#include <inttypes.h>
#include <time.h>

#include "core/words.h"
#include "drivers/store/commands.h"

struct backup_command {
	const char *label, *rate;
	struct option_number keep, threads;
	bool check_reused, quiet, json;
};

static nanos wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now); /* style: allow */
	return (nanos)now.tv_sec * NANOS_S + now.tv_nsec;
}

static void print_summary(const struct store_backup *backup, double seconds)
{
	char a[WORDS_MAX], b[WORDS_MAX];

	printf("backup %s\n", backup->id);
	printf("  kept    %s in %" PRIu64 " files, %" PRIu64 " folders, %" PRIu64 " links\n",
	       words_bytes(a, (double)backup->bytes), backup->files, backup->folders,
	       backup->links);
	printf("  new     %" PRIu64 " of %" PRIu64 " chunks, %s", backup->new_chunks,
	       backup->chunks, words_bytes(a, (double)backup->new_bytes));
	printf(", stored as %s\n", words_bytes(a, (double)backup->stored_bytes));
	printf("  took    %s, %s/s\n", words_duration_exact(a, seconds),
	       words_bytes(b, seconds > 0 ? (double)backup->bytes / seconds : 0));
	if (backup->skipped > 0)
		printf("  skipped %" PRIu64 " that are neither file, folder nor link\n",
		       backup->skipped);
	if (backup->changed > 0)
		printf("  changed %" PRIu64 " files while they were read\n", backup->changed);
}

static void print_pruned(const struct store_pruned *pruned)
{
	char a[WORDS_MAX];

	printf("  pruned  %" PRIu64 " backups, %" PRIu64 " packs, %s freed\n", pruned->backups,
	       pruned->packs, words_bytes(a, (double)pruned->freed_bytes));
	if (pruned->held)
		puts("  no pack was removed: a backup that is kept cannot be read (drsim "
		     "verify-backup)");
}

static int keep_folder(struct store_handle *store, const char *folder,
		       const struct backup_command *command, struct store_command *common)
{
	struct store_backup_options options = {.as_of = wall_clock(),
					       .label = command->label,
					       .check_reused = command->check_reused,
					       .hooks = common->hooks};
	struct store_prune_options prune = {.keep = command->keep.value,
					    .label = command->label ? command->label : "",
					    .hooks = common->hooks};
	struct store_backup backup;
	struct store_pruned pruned = {0};
	struct error error = {0};
	double seconds;
	cJSON *json;

	if (store_backup(store, folder, &options, &backup, &error)) {
		store_command_end(common);
		return store_command_fail(common, &error);
	}
	seconds = store_command_end(common);
	if (!command->json)
		print_summary(&backup, seconds);
	if (command->keep.given && store_prune(store, &prune, &pruned, &error))
		return store_command_fail(common, &error);
	if (!command->json) {
		if (command->keep.given)
			print_pruned(&pruned);
		return EXIT_OK;
	}
	json = store_backup_json(&backup);
	cJSON_AddNumberToObject(json, "seconds", seconds);
	if (command->keep.given) {
		cJSON_AddNumberToObject(json, "pruned_backups", (double)pruned.backups);
		cJSON_AddNumberToObject(json, "freed_bytes", (double)pruned.freed_bytes);
	}
	store_command_print_json(json);
	return EXIT_OK;
}

static int backup_main(struct invocation *in)
{
	struct backup_command command = {0};
	struct store_command common = {0};
	struct store_handle *store;
	int code;

	if (command_parse(in, &command, &code))
		return code;
	code = store_command_rate(in->command, command.rate, &common);
	if (code == 0)
		code = store_command_open(in->words[1], &command.threads, true, &store);
	if (code)
		return code;
	store_command_begin(&common, command.quiet, command.json);
	code = keep_folder(store, in->words[0], &command, &common);
	cJSON_Delete(common.damage_list);
	store_close(store);
	return code;
}

static const struct option backup_options[] = {
	{.name = "label",
	 .value = "TEXT",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct backup_command, label),
	 .help = "A word for what it is, such as a class of data."},
	{.name = "keep",
	 .value = "N",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct backup_command, keep),
	 .min = 1,
	 .max = STORE_BACKUPS_MAX,
	 .help = "Afterwards remove all but the newest N backups of this label."},
	{.name = "check-reused",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct backup_command, check_reused),
	 .help = "Read back each chunk that the store has already, and store it anew when it is "
		 "damaged."},
	{.name = "rate",
	 .value = "RATE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct backup_command, rate),
	 .help = "Read no faster than this: 200MB/s."},
	{.name = "threads",
	 .value = "N",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct backup_command, threads),
	 .min = 1,
	 .max = STORE_THREADS_MAX,
	 .help = "Default: one for each processor, at most 8."},
	{.name = "quiet",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct backup_command, quiet),
	 .help = "No progress on standard error."},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct backup_command, json),
	 .help = "The summary as JSON."},
	OPTIONS_END,
};

const struct command command_backup = {
	.name = "backup",
	.arguments = "DIR STORE",
	.summary = "keep a folder in a store: deduplicated, compressed, checked",
	.help = "Keeps DIR with all below it in STORE, a folder (made when it is not there) or "
		"http://HOST:PORT (bearer token in DRSIM_STORE_TOKEN). Only chunks that the store "
		"has not are stored. A backup is there whole or not at all, whenever it is "
		"killed.\n"
		"Exit codes: 0 kept, 2 usage, 3 could not, 5 stopped by a signal.",
	.options = backup_options,
	.words_min = 2,
	.words_max = 2,
	.main = backup_main,
};

/* ---- drsim backups ---- */

struct backups_command {
	bool json;
};

static void print_list(const struct store_backup *backups, size_t count)
{
	char a[WORDS_MAX], b[WORDS_MAX], when[32], label[STORE_TEXT_MAX];

	if (count > 0)
		printf("%-24s %-21s %10s %10s %8s  %s\n", "id", "as of", "bytes", "stored", "files",
		       "label");
	for (size_t i = 0; i < count; i++)
		printf("%-24s %-21s %10s %10s %8" PRIu64 "  %s\n", backups[i].id,
		       store_time_text(backups[i].as_of, when),
		       words_bytes(a, (double)backups[i].bytes),
		       words_bytes(b, (double)backups[i].stored_bytes), backups[i].files,
		       store_name_text(backups[i].label, label));
	if (count == 0)
		puts("no backup");
}

static int backups_main(struct invocation *in)
{
	struct backups_command command = {0};
	struct store_command common = {0};
	const struct option_number threads = {0};
	struct store_backup *backups;
	struct store_handle *store;
	struct error error = {0};
	size_t count;
	int code;

	if (command_parse(in, &command, &code))
		return code;
	code = store_command_open(in->words[0], &threads, false, &store);
	if (code)
		return code;
	if (store_list(store, in->arena, &backups, &count, &error)) {
		code = store_command_fail(&common, &error);
	} else if (command.json) {
		cJSON *list = cJSON_CreateArray();

		for (size_t i = 0; i < count; i++)
			cJSON_AddItemToArray(list, store_backup_json(&backups[i]));
		store_command_print_json(list);
	} else {
		print_list(backups, count);
	}
	store_close(store);
	return code;
}

static const struct option backups_options[] = {
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct backups_command, json),
	 .help = "The list as JSON."},
	OPTIONS_END,
};

const struct command command_backups = {
	.name = "backups",
	.arguments = "STORE",
	.summary = "what a store holds",
	.help = "Lists the backups in STORE, oldest first. One whose manifest cannot be read is "
		"left out; drsim verify-backup names it.",
	.options = backups_options,
	.words_min = 1,
	.words_max = 1,
	.main = backups_main,
};
