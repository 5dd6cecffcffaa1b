/* SPDX-License-Identifier: Apache-2.0 */
/* The undo journal as text: JSON lines, each of which ends with a checksum of what stands before.
 */
#include <assert.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/host/journal_private.h"

#define SUM_BYTES 8
#define SUM_DIGITS (2 * SUM_BYTES)
#define SUM_BEGIN ",\"sum\":\""
#define SUM_END "\"}"
#define SUM_SIZE (strlen(SUM_BEGIN) + SUM_DIGITS + strlen(SUM_END))
#define VERSION 1
#define WHOLE_MAX 9007199254740992.0 /* 2^53: whole numbers that a JSON number holds exactly */
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

const char *const undo_names[UNDO_KINDS] = {
	[UNDO_KILL] = "kill",     [UNDO_CONTINUE] = "continue", [UNDO_RUN] = "run",
	[UNDO_CGROUP] = "cgroup", [UNDO_FILE] = "file",         [UNDO_REMOVE] = "remove",
	[UNDO_RENAME] = "rename", [UNDO_UNMOUNT] = "unmount",   [UNDO_TREE] = "tree",
	[UNDO_LOOP] = "loop",     [UNDO_MAPPER] = "mapper",
};

bool journal_is_run(const char *run)
{
	size_t length = strlen(run);

	return length > 0 && length <= JOURNAL_RUN_MAX && strchr(LETTERS, run[0]) &&
	       strspn(run, LETTERS "_.-") == length;
}

bool journal_is_path(const char *path)
{
	size_t length = strlen(path);

	if (path[0] != '/' || length < 2 || length >= JOURNAL_PATH_MAX || path[length - 1] == '/')
		return false;
	for (const char *part = path; part; part = strchr(part + 1, '/')) {
		size_t size = strcspn(part + 1, "/");

		if (size == 0 || (size == 1 && part[1] == '.') ||
		    (size == 2 && part[1] == '.' && part[2] == '.'))
			return false;
	}
	return true;
}

/* ---- writing ---- */

static void checksum(const char *text, size_t size, char ret[SUM_DIGITS + 1])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text, size, digest);
	for (int i = 0; i < SUM_BYTES; i++)
		snprintf(ret + 2 * (ptrdiff_t)i, 3, "%02x", digest[i]);
}

size_t journal_close_line(char *text, size_t length)
{
	char sum[SUM_DIGITS + 1];

	checksum(text, length, sum);
	return length +
	       (size_t)snprintf(text + length, SUM_SIZE + 2, SUM_BEGIN "%s" SUM_END "\n", sum);
}

static int print(cJSON *json, char *text, size_t *size, struct error *e)
{
	size_t room = JOURNAL_LINE_MAX - SUM_SIZE - 1;
	bool fits = cJSON_PrintPreallocated(json, text + *size, (int)room, false);
	size_t length = fits ? strlen(text + *size) : 0;

	cJSON_Delete(json);
	if (!fits)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "an undo record is longer than %zu bytes", JOURNAL_LINE_MAX);
	*size += journal_close_line(text + *size, length - 1);
	return 0;
}

int journal_print_header(const struct journal *journal, char *text, size_t *size, struct error *e)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddNumberToObject(json, "journal", VERSION);
	cJSON_AddStringToObject(json, "run", journal->run);
	cJSON_AddNumberToObject(json, "pid", (double)journal->owner);
	cJSON_AddNumberToObject(json, "start", (double)journal->owner_start);
	cJSON_AddStringToObject(json, "boot", journal->boot);
	cJSON_AddStringToObject(json, "work", journal->work);
	return print(json, text, size, e);
}

static bool needs_path(enum undo_kind kind)
{
	return kind != UNDO_KILL && kind != UNDO_CONTINUE && kind != UNDO_RUN;
}

static bool needs_from(enum undo_kind kind)
{
	return kind == UNDO_FILE || kind == UNDO_RENAME || kind == UNDO_MAPPER;
}

/* Is it whole? The same rules for what we write and what we read. */
static bool is_sound(const struct undo *undo)
{
	if (needs_path(undo->kind) && (!undo->path || !journal_is_path(undo->path)))
		return false;
	if (needs_from(undo->kind) && (!undo->from || !journal_is_path(undo->from)))
		return false;
	if ((undo->kind == UNDO_KILL || undo->kind == UNDO_CONTINUE) && undo->pid <= 1)
		return false;
	if (undo->pid != 0 && (undo->pid < 0 || undo->start == 0))
		return false;
	if (undo->kind == UNDO_FILE)
		return strspn(undo->digest, "0123456789abcdef") == JOURNAL_DIGEST_MAX - 1 &&
		       undo->mode <= 07777 && undo->mtime_ns >= 0 && undo->mtime_ns < 1000000000;
	return true;
}

int journal_print_undo(const struct undo *undo, char *text, size_t *size, struct error *e)
{
	cJSON *json;

	if (!is_sound(undo))
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "cannot note what has to be undone: %s of '%.200s'",
				 undo_names[undo->kind], undo->path ? undo->path : "");
	json = cJSON_CreateObject();
	cJSON_AddNumberToObject(json, "n", (double)undo->number);
	cJSON_AddStringToObject(json, "undo", undo_names[undo->kind]);
	if (undo->path)
		cJSON_AddStringToObject(json, "path", undo->path);
	if (undo->from)
		cJSON_AddStringToObject(json, "from", undo->from);
	if (undo->pid) {
		cJSON_AddNumberToObject(json, "pid", (double)undo->pid);
		cJSON_AddNumberToObject(json, "start", (double)undo->start);
	}
	if (undo->kind == UNDO_FILE) {
		cJSON_AddNumberToObject(json, "bytes", (double)undo->bytes);
		cJSON_AddStringToObject(json, "digest", undo->digest);
		cJSON_AddNumberToObject(json, "mode", undo->mode);
		cJSON_AddNumberToObject(json, "uid", undo->uid);
		cJSON_AddNumberToObject(json, "gid", undo->gid);
		cJSON_AddNumberToObject(json, "mtime_s", (double)undo->mtime_s);
		cJSON_AddNumberToObject(json, "mtime_ns", (double)undo->mtime_ns);
	}
	return print(json, text, size, e);
}

void journal_print_done(uint64_t number, char *text, size_t *size)
{
	int length = snprintf(text + *size, JOURNAL_SHORT_MAX, "{\"done\":%llu",
			      (unsigned long long)number);

	*size += journal_close_line(text + *size, (size_t)length);
}

/* ---- reading ---- */

void journal_damage(struct journal *journal, size_t line, const char *why)
{
	if (journal->damaged++ == 0)
		journal->damage = arena_printf(journal->arena, "line %zu: %s", line, why);
}

void journal_keep(struct journal *journal, const struct undo *undo)
{
	struct undo *own;

	journal->records = arena_grow(journal->arena, journal->records, journal->count,
				      &journal->capacity, sizeof(*journal->records));
	own = &journal->records[journal->count++];
	*own = *undo;
	own->path = undo->path ? arena_strdup(journal->arena, undo->path) : NULL;
	own->from = undo->from ? arena_strdup(journal->arena, undo->from) : NULL;
}

/* A whole number; false: it is none, or not within the limits. */
static bool whole(const cJSON *json, const char *name, double min, double max, double *ret)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= min && item->valuedouble <= max) ||
	    floor(item->valuedouble) != item->valuedouble)
		return false;
	*ret = item->valuedouble;
	return true;
}

static const char *text_of(const cJSON *json, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

static bool read_header(struct journal *journal, const cJSON *json)
{
	const char *run = text_of(json, "run"), *boot = text_of(json, "boot"),
		   *work = text_of(json, "work"), *end;
	double version, pid, start;

	if (!whole(json, "journal", VERSION, VERSION, &version) ||
	    !whole(json, "pid", 1, INT32_MAX, &pid) ||
	    !whole(json, "start", 0, WHOLE_MAX, &start) || !run || !boot || !work ||
	    strcmp(run, journal->run) != 0 || !journal_is_run(run) ||
	    strlen(boot) >= sizeof(journal->boot) || !journal_is_path(work))
		return false;
	end = arena_printf(journal->arena, "/run/%s", run);
	if (strlen(work) <= strlen(end) || strcmp(work + strlen(work) - strlen(end), end) != 0)
		return false;
	journal->owner = (pid_t)pid;
	journal->owner_start = (uint64_t)start;
	journal->work = arena_strdup(journal->arena, work);
	memcpy(journal->boot, boot, strlen(boot) + 1);
	return true;
}

static bool read_file_fields(const cJSON *json, struct undo *undo)
{
	const char *digest = text_of(json, "digest");
	double bytes, mode, uid, gid, s, ns;

	if (!digest || strlen(digest) != JOURNAL_DIGEST_MAX - 1 ||
	    !whole(json, "bytes", 0, WHOLE_MAX, &bytes) || !whole(json, "mode", 0, 07777, &mode) ||
	    !whole(json, "uid", 0, UINT32_MAX, &uid) || !whole(json, "gid", 0, UINT32_MAX, &gid) ||
	    !whole(json, "mtime_s", -WHOLE_MAX, WHOLE_MAX, &s) ||
	    !whole(json, "mtime_ns", 0, 999999999, &ns))
		return false;
	memcpy(undo->digest, digest, JOURNAL_DIGEST_MAX);
	undo->bytes = (uint64_t)bytes;
	undo->mode = (uint32_t)mode;
	undo->uid = (uint32_t)uid;
	undo->gid = (uint32_t)gid;
	undo->mtime_s = (int64_t)s;
	undo->mtime_ns = (int64_t)ns;
	return true;
}

/* A record; numbers of records that cannot be read stay as holes that count as undone, and the
 * journal as damaged. */
static bool read_undo(struct journal *journal, const cJSON *json)
{
	const char *name = text_of(json, "undo");
	struct undo undo = {.path = text_of(json, "path"), .from = text_of(json, "from")};
	double number, pid = 0, start = 0;

	if (!whole(json, "n", (double)journal->count + 1, (double)JOURNAL_RECORDS_MAX, &number))
		return false;
	while (undo.kind < UNDO_KINDS && (!name || strcmp(undo_names[undo.kind], name) != 0))
		undo.kind++;
	if (undo.kind == UNDO_KINDS)
		return false;
	if (cJSON_HasObjectItem(json, "pid") && (!whole(json, "pid", 1, INT32_MAX, &pid) ||
						 !whole(json, "start", 1, WHOLE_MAX, &start)))
		return false;
	undo.pid = (pid_t)pid;
	undo.start = (uint64_t)start;
	if ((undo.kind == UNDO_FILE && !read_file_fields(json, &undo)) || !is_sound(&undo))
		return false;
	while (journal->count + 1 < (size_t)number)
		journal_keep(journal, &(struct undo){.kind = UNDO_RUN,
						     .number = journal->count + 1,
						     .done = true});
	undo.number = journal->count + 1;
	journal_keep(journal, &undo);
	return true;
}

static bool read_done(struct journal *journal, const cJSON *json)
{
	double number;

	if (!whole(json, "done", 1, (double)journal->count, &number))
		return false;
	journal_find(journal, (uint64_t)number)->done = true;
	return true;
}

static const char *read_line(struct journal *journal, size_t line, const char *text, size_t length)
{
	size_t body, before = journal->count;
	char sum[SUM_DIGITS + 1];
	cJSON *json;
	bool fine;

	if (length > JOURNAL_LINE_MAX || length <= SUM_SIZE + 1)
		return "too long or too short";
	body = length - SUM_SIZE;
	checksum(text, body, sum);
	if (memcmp(text + body, SUM_BEGIN, strlen(SUM_BEGIN)) != 0 ||
	    memcmp(text + body + strlen(SUM_BEGIN), sum, SUM_DIGITS) != 0 ||
	    memcmp(text + length - strlen(SUM_END), SUM_END, strlen(SUM_END)) != 0)
		return "its checksum does not match";
	json = cJSON_ParseWithLength(text, length);
	if (!json)
		return "no JSON";
	if (line == 1)
		fine = read_header(journal, json);
	else if (cJSON_HasObjectItem(json, "done"))
		fine = read_done(journal, json);
	else
		fine = read_undo(journal, json);
	cJSON_Delete(json);
	if (!fine)
		return line == 1 ? "no header of this run" : "no record that can be understood";
	return journal->count > before + 1 ? "records before it are missing" : NULL;
}

void journal_parse(const char *run, const char *text, size_t size, struct arena *arena,
		   struct journal **ret_journal)
{
	struct journal *journal = arena_alloc(arena, sizeof(*journal));
	size_t line = 0;

	*journal = (struct journal){.arena = arena, .fd = -1, .run = arena_strdup(arena, run)};
	while (journal->size < size) {
		const char *begin = text + journal->size;
		const char *end = memchr(begin, '\n', size - journal->size);
		const char *why;

		/* A line without its end was never acted upon: the crash came before. */
		if (!end)
			break;
		line++;
		why = read_line(journal, line, begin, (size_t)(end - begin));
		if (why)
			journal_damage(journal, line, why);
		journal->size += (size_t)(end - begin) + 1;
	}
	*ret_journal = journal;
}
