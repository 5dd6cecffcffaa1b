/* SPDX-License-Identifier: Apache-2.0 */
/* The history of drills in an SQLite database: making, checking, writing and reading it. */
#include "reports/history.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/record.h"
#include "core/report.h"
#include "reports/sqlite.h"

#define LENGTH_MAX (1 << 20) /* bytes of anything that SQLite reads for us */

static const char table[] =
	"CREATE TABLE drill ("
	"id TEXT NOT NULL PRIMARY KEY, started TEXT NOT NULL, name TEXT NOT NULL, "
	"kind TEXT NOT NULL, driver TEXT NOT NULL, variant TEXT NOT NULL, verdict TEXT NOT NULL, "
	"version TEXT NOT NULL, scenario TEXT NOT NULL, host TEXT, seed TEXT NOT NULL, "
	"sham INTEGER NOT NULL, recovered INTEGER, frt_s REAL, brt_s REAL, brp_s REAL, "
	"availability REAL) STRICT";
static const char insert[] =
	"INSERT OR IGNORE INTO drill VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
static const char columns[] =
	"SELECT id, started, name, kind, driver, variant, verdict, version, scenario, host, seed, "
	"sham, recovered, frt_s, brt_s, brp_s, availability FROM drill";

/* ---- where it is ---- */

int history_path(const char *wanted, struct arena *arena, const char **ret_path, struct error *e)
{
	const char *folder = getenv("DRSIM_STATE");

	if (!wanted)
		wanted = getenv("DRSIM_HISTORY");
	if (wanted && *wanted) {
		*ret_path = strcmp(wanted, "none") == 0 ? NULL : arena_strdup(arena, wanted);
		return 0;
	}
	if (folder && *folder == '/') {
		*ret_path = arena_printf(arena, "%s/history.db", folder);
		return 0;
	}
	folder = getenv("XDG_STATE_HOME");
	if (folder && *folder == '/') {
		*ret_path = arena_printf(arena, "%s/drsim/history.db", folder);
		return 0;
	}
	folder = getenv("HOME");
	if (folder && *folder == '/') {
		*ret_path = arena_printf(arena, "%s/.local/state/drsim/history.db", folder);
		return 0;
	}
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "no folder for the history: set XDG_STATE_HOME or HOME, or say --history");
}

/* ---- errors ---- */

/* What went wrong with `path`, in words that say what to do. Always -1. */
static int fail(sqlite3 *db, int code, const char *path, struct error *e)
{
	const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);

	switch (code & 0xff) {
	case SQLITE_NOTADB:
		return error_set(e, ERROR_IO, NO_PLACE,
				 "%s is no history of drsim: it is no SQLite database", path);
	case SQLITE_CORRUPT:
		return error_set(e, ERROR_IO, NO_PLACE,
				 "the history %s is damaged (%s): move it away, or rescue what is "
				 "left with sqlite3's .recover",
				 path, why);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "the history %s was locked by another program for %d s", path,
				 HISTORY_BUSY_MS / 1000);
	default:
		return error_set(e, ERROR_IO, NO_PLACE, "the history %s: %s", path, why);
	}
}

static int fail_file(const char *what, const char *path, struct error *e)
{
	return error_set(e, ERROR_IO, NO_PLACE, "cannot %s %s: %s", what, path, strerror(errno));
}

/* ---- opening ---- */

static int execute(sqlite3 *db, const char *sql, const char *path, struct error *e)
{
	int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : fail(db, code, path, e);
}

/* The one number that a query gives. */
static int ask(sqlite3 *db, const char *sql, const char *path, int64_t *ret, struct error *e)
{
	sqlite3_stmt *query = NULL;
	int code = sqlite3_prepare_v2(db, sql, -1, &query, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(query);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int64(query, 0);
	sqlite3_finalize(query);
	return code == SQLITE_ROW ? 0 : fail(db, code, path, e);
}

/* Waits for others; takes no SQL from the file, and nothing of absurd size. */
static int open_file(const char *path, sqlite3 **ret_db, struct error *e)
{
	sqlite3 *db = NULL;
	int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_busy_timeout(db, HISTORY_BUSY_MS);
	if (code == SQLITE_OK)
		code = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (code == SQLITE_OK) {
		sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
		if (execute(db,
			    "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; "
			    "PRAGMA synchronous = NORMAL",
			    path, e) == 0) {
			*ret_db = db;
			return 0;
		}
	} else {
		fail(db, code, path, e);
	}
	sqlite3_close(db);
	return -1;
}

/* Ours, and of a version that is known? */
static int check_ours(sqlite3 *db, const char *path, struct error *e)
{
	int64_t application = 0, version = 0, others = 0;

	if (ask(db, "PRAGMA application_id", path, &application, e) ||
	    ask(db, "PRAGMA user_version", path, &version, e))
		return -1;
	if (application != HISTORY_APPLICATION)
		return error_set(e, ERROR_IO, NO_PLACE,
				 "%s is no history of drsim but a database of another program: "
				 "nothing was written to it",
				 path);
	if (version > HISTORY_VERSION)
		return error_set(e, ERROR_IO, NO_PLACE,
				 "the history %s is of a newer drsim: its version is %lld, this "
				 "one knows %d",
				 path, (long long)version, HISTORY_VERSION);
	if (version < HISTORY_VERSION)
		return error_set(e, ERROR_IO, NO_PLACE,
				 "the history %s is damaged: its version is %lld", path,
				 (long long)version);
	if (ask(db,
		"SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR "
		"tbl_name <> 'drill'",
		path, &others, e))
		return -1;
	if (others)
		return error_set(e, ERROR_IO, NO_PLACE,
				 "%s is no history of drsim: it holds other things than drills",
				 path);
	return 0;
}

static int open_ours(const char *path, sqlite3 **ret_db, struct error *e)
{
	sqlite3 *db;

	if (open_file(path, &db, e))
		return -1;
	if (check_ours(db, path, e)) {
		sqlite3_close(db);
		return -1;
	}
	*ret_db = db;
	return 0;
}

/* 1: there is a regular file; 0: nothing; -1. A pipe would keep SQLite waiting. */
static int look(const char *path, struct error *e)
{
	struct stat status;

	if (stat(path, &status))
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : fail_file("look at the history", path, e);
	if (!S_ISREG(status.st_mode))
		return error_set(e, ERROR_IO, NO_PLACE, "the history %s is no regular file", path);
	return 1;
}

/* ---- making ---- */

static int make_parents(const char *path, struct arena *arena, struct error *e)
{
	char *copy = arena_strdup(arena, path);

	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0700) && errno != EEXIST)
			return fail_file("make the folder", copy, e);
		*slash = '/';
	}
	return 0;
}

/* The whole database under a name of its own. */
static int make_file(const char *path, struct error *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;
	sqlite3 *db;

	if (fd < 0)
		return fail_file("make the history", path, e);
	close(fd);
	if (open_file(path, &db, e))
		return -1;
	/* Where the file system has no shared memory it stays as it is: slower, and as safe. */
	rc = execute(db, "PRAGMA journal_mode = WAL; BEGIN", path, e);
	if (rc == 0)
		rc = execute(db, table, path, e);
	if (rc == 0) {
		char numbers[128];

		snprintf(numbers, sizeof(numbers),
			 "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
			 HISTORY_APPLICATION, HISTORY_VERSION);
		rc = execute(db, numbers, path, e);
	}
	return sqlite3_close(db) == SQLITE_OK ? rc : fail(NULL, SQLITE_BUSY, path, e);
}

/* It gets its name when it is whole, and only if nobody else was quicker: whoever opens a history
 * finds a finished one. */
static int make(const char *path, struct arena *arena, struct error *e)
{
	const char *temporary = arena_printf(arena, "%s.new-%ld", path, (long)getpid());
	int rc;

	if (make_parents(path, arena, e))
		return -1;
	unlink(temporary); /* of a process of the same number that was killed */
	rc = make_file(temporary, e);
	if (rc == 0 && link(temporary, path) && errno != EEXIST) {
		/* No second names on this file system. */
		if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) &&
		    errno != EEXIST)
			rc = fail_file("make the history", path, e);
	}
	unlink(temporary);
	return rc;
}

/* ---- writing ---- */

static void bind_text(sqlite3_stmt *statement, int column, const char *value)
{
	if (value)
		sqlite3_bind_text(statement, column, value, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(statement, column);
}

static void bind_real(sqlite3_stmt *statement, int column, double value)
{
	if (isfinite(value))
		sqlite3_bind_double(statement, column, value);
	else
		sqlite3_bind_null(statement, column);
}

static int insert_one(sqlite3 *db, const struct history_drill *drill, const char *path,
		      struct error *e)
{
	const char *const texts[] = {drill->id,      drill->started, drill->name,
				     drill->kind,    drill->driver,  drill->variant,
				     drill->verdict, drill->version, drill->scenario,
				     drill->host,    drill->seed};
	int count = (int)(sizeof(texts) / sizeof(texts[0])), code;
	sqlite3_stmt *statement = NULL;

	code = sqlite3_prepare_v2(db, insert, -1, &statement, NULL);
	if (code != SQLITE_OK)
		return fail(db, code, path, e);
	for (int i = 0; i < count; i++)
		bind_text(statement, i + 1, texts[i]);
	sqlite3_bind_int64(statement, count + 1, drill->sham);
	if (drill->recovered < 0)
		sqlite3_bind_null(statement, count + 2);
	else
		sqlite3_bind_int64(statement, count + 2, drill->recovered);
	bind_real(statement, count + 3, drill->frt_s);
	bind_real(statement, count + 4, drill->brt_s);
	bind_real(statement, count + 5, drill->brp_s);
	bind_real(statement, count + 6, drill->availability);
	code = sqlite3_step(statement);
	sqlite3_finalize(statement);
	return code == SQLITE_DONE ? 0 : fail(db, code, path, e);
}

int history_add(const char *path, const struct history_drill *drills, size_t count,
		struct arena *arena, size_t *ret_added, struct error *e)
{
	size_t added = 0;
	sqlite3 *db;
	int rc = lazy_sqlite_open(e) ? -1 : look(path, e);

	if (rc < 0 || (rc == 0 && make(path, arena, e)) || open_ours(path, &db, e))
		return -1;
	rc = execute(db, "BEGIN IMMEDIATE", path, e);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = insert_one(db, &drills[i], path, e);
		added += rc == 0 && sqlite3_changes(db) > 0;
	}
	if (rc == 0)
		rc = execute(db, "COMMIT", path, e);
	/* Closing undoes what was not committed. */
	sqlite3_close(db);
	if (rc == 0)
		*ret_added = added;
	return rc;
}

/* ---- reading ---- */

struct reader {
	sqlite3_stmt *query;
	const char *path;
	struct arena *arena;
	struct error *e;
	size_t row;
	bool wrong;
};

static void refuse(struct reader *reader, const char *column)
{
	if (!reader->wrong)
		error_set(reader->e, ERROR_IO, NO_PLACE,
			  "the history %s is damaged: drill %zu has no valid %s", reader->path,
			  reader->row, column);
	reader->wrong = true;
}

/* Checked as everything from outside; "" after an error. */
static const char *take_text(struct reader *reader, int column, const char *name, bool may_be_null)
{
	const char *text;
	int size;

	if (may_be_null && sqlite3_column_type(reader->query, column) == SQLITE_NULL)
		return NULL;
	text = sqlite3_column_type(reader->query, column) == SQLITE_TEXT
		       ? (const char *)sqlite3_column_text(reader->query, column)
		       : NULL;
	size = text ? sqlite3_column_bytes(reader->query, column) : 0;
	if (!text || size > HISTORY_TEXT_MAX || (size_t)size != strlen(text)) {
		refuse(reader, name);
		return "";
	}
	for (const char *c = text; *c;) {
		size_t length = utf8_length((const unsigned char *)c);

		if (length == 0 || (unsigned char)*c < 0x20) {
			refuse(reader, name);
			return "";
		}
		c += length;
	}
	return arena_strdup(reader->arena, text);
}

static const char *take_word(struct reader *reader, int column, const char *name,
			     const char *const *words, size_t count)
{
	const char *text = take_text(reader, column, name, false);

	for (size_t i = 0; i < count; i++)
		if (strcmp(text, words[i]) == 0)
			return words[i];
	refuse(reader, name);
	return words[0];
}

/* 0 … max, or null: NAN. */
static double take_real(struct reader *reader, int column, const char *name, double max)
{
	double value;

	if (sqlite3_column_type(reader->query, column) == SQLITE_NULL)
		return NAN;
	value = sqlite3_column_type(reader->query, column) == SQLITE_FLOAT
			? sqlite3_column_double(reader->query, column)
			: NAN;
	if (!(value >= 0 && value <= max)) {
		refuse(reader, name);
		return NAN;
	}
	return value;
}

/* 0, 1, or null: -1. */
static int take_bit(struct reader *reader, int column, const char *name, bool may_be_null)
{
	int type = sqlite3_column_type(reader->query, column);
	int64_t value = sqlite3_column_int64(reader->query, column);

	if (may_be_null && type == SQLITE_NULL)
		return -1;
	if (type != SQLITE_INTEGER || value < 0 || value > 1) {
		refuse(reader, name);
		return 0;
	}
	return (int)value;
}

/* Two digits from `low` to `high`. */
static bool is_between(const char *digits, int low, int high)
{
	int value = 10 * (digits[0] - '0') + digits[1] - '0';

	return value >= low && value <= high;
}

bool history_is_time(const char *text)
{
	static const char pattern[] = "0000-00-00T00:00:00";
	size_t i = 0, digits = 0;

	for (; pattern[i]; i++)
		if (pattern[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != pattern[i])
			return false;
	if (text[i] == '.')
		for (i++; text[i] >= '0' && text[i] <= '9'; i++)
			digits++;
	return text[i] == 'Z' && text[i + 1] == '\0' && digits <= 9 &&
	       is_between(text + 5, 1, 12) && is_between(text + 8, 1, 31) &&
	       is_between(text + 11, 0, 23) && is_between(text + 14, 0, 59) &&
	       is_between(text + 17, 0, 60);
}

static void take_drill(struct reader *reader, struct history_drill *drill)
{
	static const char *const kinds[] = {"simulated", "injected"};

	drill->id = take_text(reader, 0, "id", false);
	drill->started = take_text(reader, 1, "started", false);
	drill->name = take_text(reader, 2, "name", false);
	drill->kind = take_word(reader, 3, "kind", kinds, 2);
	drill->driver = take_text(reader, 4, "driver", false);
	drill->variant = take_text(reader, 5, "variant", false);
	drill->verdict = take_word(reader, 6, "verdict", verdict_names, VERDICT_ABORTED + 1);
	drill->version = take_text(reader, 7, "version", false);
	drill->scenario = take_text(reader, 8, "scenario", false);
	drill->host = take_text(reader, 9, "host", true);
	drill->seed = take_text(reader, 10, "seed", false);
	drill->sham = take_bit(reader, 11, "sham", false) > 0;
	drill->recovered = take_bit(reader, 12, "recovered", true);
	drill->frt_s = take_real(reader, 13, "frt_s", HISTORY_VALUE_MAX);
	drill->brt_s = take_real(reader, 14, "brt_s", HISTORY_VALUE_MAX);
	drill->brp_s = take_real(reader, 15, "brp_s", HISTORY_VALUE_MAX);
	drill->availability = take_real(reader, 16, "availability", 1);
	if (!history_is_time(drill->started))
		refuse(reader, "started");
	if (!*drill->seed || drill->seed[strspn(drill->seed, "0123456789")] ||
	    strlen(drill->seed) > 20)
		refuse(reader, "seed");
	if (!*drill->name || !*drill->id)
		refuse(reader, "name or id");
}

static int read_rows(struct reader *reader, sqlite3 *db, struct history_list *ret)
{
	struct history_list list = {0};
	size_t capacity = 0;
	int code;

	while ((code = sqlite3_step(reader->query)) == SQLITE_ROW) {
		if (list.count == HISTORY_DRILLS_MAX)
			return error_set(reader->e, ERROR_LIMIT, NO_PLACE,
					 "the history %s holds more than %d drills: name the "
					 "scenarios that you want",
					 reader->path, HISTORY_DRILLS_MAX);
		list.drills = arena_grow(reader->arena, list.drills, list.count, &capacity,
					 sizeof(*list.drills));
		reader->row = list.count + 1;
		take_drill(reader, &list.drills[list.count++]);
		if (reader->wrong)
			return -1;
	}
	if (code != SQLITE_DONE)
		return fail(db, code, reader->path, reader->e);
	*ret = list;
	return 0;
}

static int read_drills(sqlite3 *db, const char *path, const char *const *names, struct arena *arena,
		       struct history_list *ret, struct error *e)
{
	struct reader reader = {.path = path, .arena = arena, .e = e};
	const char *sql = columns;
	int code, rc;

	for (size_t i = 0; names && names[i]; i++)
		sql = arena_printf(arena, "%s %s ?", sql, i ? "OR name =" : "WHERE name =");
	sql = arena_printf(arena, "%s ORDER BY started, id", sql);
	code = sqlite3_prepare_v2(db, sql, -1, &reader.query, NULL);
	for (int i = 0; code == SQLITE_OK && names && names[i]; i++)
		code = sqlite3_bind_text(reader.query, i + 1, names[i], -1, SQLITE_STATIC);
	rc = code == SQLITE_OK ? read_rows(&reader, db, ret) : fail(db, code, path, e);
	sqlite3_finalize(reader.query);
	return rc;
}

/* Damage that no row shows: one page of another drill, or of none. */
static int check_whole(sqlite3 *db, const char *path, struct error *e)
{
	sqlite3_stmt *query = NULL;
	int code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &query, NULL), rc = 0;

	if (code == SQLITE_OK)
		code = sqlite3_step(query);
	if (code != SQLITE_ROW) {
		rc = fail(db, code, path, e);
	} else {
		const char *text = (const char *)sqlite3_column_text(query, 0);

		if (!text || strcmp(text, "ok") != 0)
			rc = error_set(
				e, ERROR_IO, NO_PLACE,
				"the history %s is damaged (%.100s): move it away, or rescue "
				"what is left with sqlite3's .recover",
				path, text ? text : "no answer");
	}
	sqlite3_finalize(query);
	return rc;
}

int history_read(const char *path, const char *const *names, struct arena *arena,
		 struct history_list *ret, struct error *e)
{
	sqlite3 *db;
	int rc = lazy_sqlite_open(e) ? -1 : look(path, e);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "there is no history at %s: drsim run writes it, drsim history "
				 "import brings old runs in",
				 path);
	if (open_ours(path, &db, e))
		return -1;
	rc = check_whole(db, path, e);
	if (rc == 0)
		rc = read_drills(db, path, names, arena, ret, e);
	sqlite3_close(db);
	return rc;
}
