/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of the backup engine share: opening, signals, progress, damage, JSON. */
#include "drivers/store/commands.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/param.h"
#include "core/words.h"

/* The one writable global: what a signal can reach. */
static atomic_bool stop_signal;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&stop_signal, true);
}

int store_command_open(const char *where, const struct option_number *threads, bool create,
		       struct store_handle **ret_store)
{
	struct store_options options = {.create = create, .threads = (uint32_t)threads->value};
	struct error error = {0};

	options.token = getenv(STORE_TOKEN_VARIABLE);
	if (store_open(where, &options, ret_store, &error) == 0)
		return 0;
	error_print(&error);
	return error.kind == ERROR_USAGE ? EXIT_USAGE : EXIT_NOT_EVALUABLE;
}

static void draw(void *self, uint64_t bytes, uint64_t total)
{
	struct store_command *command = self;
	char done[WORDS_MAX], all[WORDS_MAX], text[2 * WORDS_MAX + 64];

	snprintf(text, sizeof(text), "%s of %s (%d %%)", words_bytes(done, (double)bytes),
		 words_bytes(all, (double)total),
		 total > 0 ? (int)(100.0 * (double)bytes / (double)total) : 100);
	progress_note(&command->progress, text);
}

int store_command_rate(const struct command *command, const char *text, struct store_command *ret)
{
	struct error error = {0};
	double rate;

	if (!text)
		return 0;
	if (quantity_rate(text, NO_PLACE, &rate, &error))
		return command_usage(command, "--rate: %s", error.text);
	if (!(rate >= 1 && rate < 1e18))
		return command_usage(command, "--rate must be 1B/s or more");
	ret->hooks.bytes_per_second = (uint64_t)llround(rate);
	return 0;
}

void store_command_begin(struct store_command *command, bool quiet, bool json)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	progress_start(&command->progress, NULL, false, quiet);
	command->hooks.self = command;
	command->hooks.progress = draw;
	command->hooks.cancel = &stop_signal;
	command->started = command_seconds();
	if (json)
		command->damage_list = cJSON_CreateArray();
}

double store_command_end(struct store_command *command)
{
	progress_end(&command->progress);
	return command_seconds() - command->started;
}

int store_command_fail(const struct store_command *command, const struct error *e)
{
	error_print(e);
	if (atomic_load(&stop_signal))
		return EXIT_ABORTED;
	if (command->damages > 0)
		return EXIT_MISSED;
	return e->kind == ERROR_USAGE ? EXIT_USAGE : EXIT_NOT_EVALUABLE;
}

void store_command_print_json(cJSON *json)
{
	char *text = cJSON_Print(json);

	puts(text ? text : "null");
	cJSON_free(text);
	cJSON_Delete(json);
}

/* ---- texts ---- */

const char *store_time_text(nanos as_of, char text[32])
{
	time_t seconds = (time_t)(as_of / NANOS_S);
	struct tm parts;

	gmtime_r(&seconds, &parts);
	if (strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		snprintf(text, 32, "?");
	return text;
}

/* Bytes of the UTF-8 character at `c`; 0: none is there that can be shown. */
static size_t character(const unsigned char *c)
{
	size_t length;

	if (c[0] >= 0x20 && c[0] < 0x7f)
		return 1;
	length = c[0] >= 0xc2 && c[0] < 0xe0 ? 2 : (c[0] & 0xf0) == 0xe0 ? 3 : 0;
	if (c[0] >= 0xf0 && c[0] < 0xf5)
		length = 4;
	for (size_t i = 1; i < length; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	/* Control characters, overlong forms, surrogates, beyond the end. */
	if ((c[0] == 0xc2 && c[1] < 0xa0) || (c[0] == 0xe0 && c[1] < 0xa0) ||
	    (c[0] == 0xed && c[1] >= 0xa0) || (c[0] == 0xf0 && c[1] < 0x90) ||
	    (c[0] == 0xf4 && c[1] >= 0x90))
		return 0;
	return length;
}

const char *store_name_text(const char *name, char text[STORE_TEXT_MAX])
{
	const unsigned char *at = (const unsigned char *)name;
	size_t used = 0;

	while (*at && used + 4 < STORE_TEXT_MAX) {
		size_t length = character(at);

		if (length == 0) {
			used += (size_t)snprintf(text + used, 5, "\\x%02x", *at++);
			continue;
		}
		memcpy(text + used, at, length);
		used += length;
		at += length;
	}
	text[used] = '\0';
	return text;
}

static void add_number(cJSON *to, const char *name, uint64_t value)
{
	cJSON_AddNumberToObject(to, name, (double)value);
}

cJSON *store_backup_json(const struct store_backup *backup)
{
	char text[STORE_TEXT_MAX];
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "id", backup->id);
	cJSON_AddStringToObject(json, "label", store_name_text(backup->label, text));
	cJSON_AddStringToObject(json, "as_of", store_time_text(backup->as_of, text));
	cJSON_AddNumberToObject(json, "as_of_ns", (double)backup->as_of);
	add_number(json, "bytes", backup->bytes);
	add_number(json, "zero_bytes", backup->zero_bytes);
	add_number(json, "files", backup->files);
	add_number(json, "folders", backup->folders);
	add_number(json, "links", backup->links);
	add_number(json, "chunks", backup->chunks);
	add_number(json, "new_chunks", backup->new_chunks);
	add_number(json, "new_bytes", backup->new_bytes);
	add_number(json, "stored_bytes", backup->stored_bytes);
	add_number(json, "skipped", backup->skipped);
	add_number(json, "changed", backup->changed);
	return json;
}

/* ---- damage ---- */

static void add_damage(cJSON *list, const struct store_damage *damage)
{
	char text[STORE_TEXT_MAX];
	cJSON *json = cJSON_CreateObject();

	if (damage->backup)
		cJSON_AddStringToObject(json, "backup", damage->backup);
	if (damage->path) {
		cJSON_AddStringToObject(json, "path", store_name_text(damage->path, text));
		add_number(json, "offset", damage->offset);
		add_number(json, "bytes", damage->bytes);
	}
	if (damage->object) {
		cJSON_AddStringToObject(json, "object", store_name_text(damage->object, text));
		add_number(json, "object_offset", damage->object_offset);
		add_number(json, "object_bytes", damage->object_bytes);
	}
	cJSON_AddStringToObject(json, "what", damage->what);
	cJSON_AddItemToArray(list, json);
}

void store_command_damage(void *self, const struct store_damage *damage)
{
	struct store_command *command = self;
	char text[STORE_TEXT_MAX];

	command->damages++;
	if (command->damage_list) {
		add_damage(command->damage_list, damage);
		return;
	}
	printf("damaged: %s%s", damage->backup ? "backup " : "",
	       damage->backup ? damage->backup : "no backup is affected");
	if (damage->path)
		printf(": %s, bytes %" PRIu64 " to %" PRIu64, store_name_text(damage->path, text),
		       damage->offset, damage->offset + damage->bytes);
	printf(": %s", damage->what);
	if (damage->object)
		printf(" (%s, bytes %" PRIu64 " to %" PRIu64 ")",
		       store_name_text(damage->object, text), damage->object_offset,
		       damage->object_offset + damage->object_bytes);
	putchar('\n');
}
