/* SPDX-License-Identifier: Apache-2.0 */
/* The history of nights: what drills leave in it, what is refused, and the commands over it. */
/* valgrind: skip */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/prng.h"
#include "core/report.h"
#include "reports/sqlite.h"
#include "reports/trend.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define ARGUMENTS_MAX 24
#define PROCESSES 40
#define DAMAGES 400

extern char **environ;

static struct arena arena;

static const char scenario[] =
	"# A GPU is lost and the standby takes over.\n"
	"apiVersion: drsim/v1\n"
	"name: tiny\n"
	"seed: 42\n"
	"duration: 2h\n"
	"objectives: {frt: 10m}\n"
	"deployment:\n"
	"  sites:\n"
	"    - {name: primary, nodes: 4, shape: gpu.8xh100-sxm}\n"
	"    - {name: backup, nodes: 4, shape: gpu.8xh100-sxm, standby: {heat: warm}}\n"
	"  links: [{between: [primary, backup], rate: 100Gbit/s, latency: 12ms}]\n"
	"  endpoints:\n"
	"    - {name: chat, site: primary, replicas: 1, gpus_per_replica: 8,\n"
	"       model: {bytes: 140GB, start: 45s}, load: {rate: 20/s, service_time: 250ms}}\n"
	"  data:\n"
	"    model: {bytes: 140GB, change: 0B/s}\n"
	"    io: {bytes: 20GB, change: 1MB/s, records: 120/s}\n"
	"  store: {site: backup, read: 8GB/s, write: 4GB/s}\n"
	"backup: {every: 10m, classes: [model, io], verify: true}\n"
	"detector: {kind: probe, interval: 10s, timeout: 1s, misses: 3}\n"
	"recovery: {switch: 20s}\n"
	"steps:\n"
	"  - {at: {uniform: {from: 30m, to: 40m}}, fault: gpu.lost,\n"
	"     target: \"primary/node[0]/gpu[3]\"}\n";

static void write_bytes(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
	arena = (struct arena){0};
	workplace_enter("history");
	write_bytes("tiny.yaml", scenario, sizeof(scenario) - 1);
	ck_assert_int_eq(lazy_sqlite_open(NULL), 0);
}

static void teardown(void)
{
	workplace_leave();
	arena_free(&arena);
}

/* ---- the program ---- */

static pid_t start(const char *line, const char *out, const char *err)
{
	char *argv[ARGUMENTS_MAX] = {workplace_program}, *rest = arena_strdup(&arena, line), *word;
	posix_spawn_file_actions_t actions;
	size_t count = 1;
	pid_t pid;

	while ((word = strsep(&rest, " ")) != NULL && count + 1 < ARGUMENTS_MAX)
		argv[count++] = word;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	ck_assert_int_eq(posix_spawn(&pid, workplace_program, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static int wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Runs it; the exit code, and what it said in files .out and .err. */
static int drsim(const char *line)
{
	return wait_for(start(line, ".out", ".err"));
}

static void expect(const char *line, int code, const char *part)
{
	int got = drsim(line);
	char *out = workplace_read(".out"), *err = workplace_read(".err");

	ck_assert_msg(got == code, "drsim %s: exit %d, not %d\n%s%s", line, got, code, out, err);
	ck_assert_msg(strstr(out, part) || strstr(err, part), "drsim %s: no '%s' in\n%s%s", line,
		      part, out, err);
	free(out);
	free(err);
}

static struct history_list read_all(const char *path)
{
	struct history_list list;
	struct error error = {0};

	ck_assert_msg(history_read(path, NULL, &arena, &list, &error) == 0, "%s", error.text);
	return list;
}

/* ---- what drills leave ---- */

START_TEST(drills_are_remembered)
{
	struct history_list list;
	struct stat status;

	expect("run tiny.yaml --no-plots --quiet --history h.db --out a", 0, "PASSED");
	expect("run tiny.yaml --no-plots --quiet --history h.db --out b --set objectives.frt=10s",
	       1, "FAILED");
	expect("run tiny.yaml --no-plots --quiet --history h.db --out c --driver null", 3,
	       "INVALID");
	expect("run tiny.yaml --no-plots --quiet --history h.db --out d --sham", 0, "PASSED");
	expect("run tiny.yaml --no-plots --quiet --history h.db --out e --trials 20 --seed 7", 0,
	       "PASSED");
	expect("history --history h.db", 0, "h.db: 5 drills");
	list = read_all("h.db");
	ck_assert_uint_eq(list.count, 5);
	ck_assert_str_eq(list.drills[0].verdict, "passed");
	ck_assert_str_eq(list.drills[0].name, "tiny");
	ck_assert_str_eq(list.drills[0].kind, "simulated");
	ck_assert_str_eq(list.drills[0].driver, "sim");
	ck_assert_str_eq(list.drills[0].seed, "42");
	ck_assert_str_eq(list.drills[0].variant, "");
	ck_assert_int_eq(list.drills[0].recovered, 1);
	ck_assert(list.drills[0].frt_s > 20 && list.drills[0].frt_s < 600);
	ck_assert_str_eq(list.drills[1].verdict, "failed");
	ck_assert_str_ne(list.drills[1].scenario, list.drills[0].scenario);
	ck_assert_str_eq(list.drills[2].verdict, "invalid");
	ck_assert_str_eq(list.drills[2].driver, "null");
	ck_assert(list.drills[3].sham);
	ck_assert_str_eq(list.drills[4].variant, "median of trials");
	ck_assert_int_eq(stat("h.db", &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0600);
	/* Whoever closes last leaves one file. */
	ck_assert_int_eq(access("h.db-wal", F_OK), -1);
	ck_assert_int_eq(access("h.db-shm", F_OK), -1);
}
END_TEST

/* The record that is in memory, and the record.json of the folder, become the same line. */
START_TEST(import_makes_the_same_line)
{
	static const char *const drills[] = {
		"--out a",
		"--out b --seed 18446744073709551615 --set objectives.frt=10s",
		"--out c --driver null",
		"--out d --sham",
		"--out e --trials 20",
	};
	struct history_list written, imported;

	for (size_t i = 0; i < sizeof(drills) / sizeof(drills[0]); i++)
		ck_assert_int_ge(
			drsim(arena_printf(&arena,
					   "run tiny.yaml --no-plots --quiet --history h.db %s",
					   drills[i])),
			0);
	expect("history import e c a d b --history i.db", 0, "5 drills brought in, 0 there");
	expect("history import a b --history i.db", 0, "0 drills brought in, 2 there already");
	expect("history import a nowhere --history i.db", 2, "'nowhere' holds no record.json");
	expect("history import", 2, "import needs run folders");
	expect("history impart a", 2, "did you mean 'import'?");
	written = read_all("h.db");
	imported = read_all("i.db");
	ck_assert_uint_eq(written.count, 5);
	ck_assert_uint_eq(imported.count, 5);
	for (size_t i = 0; i < 5; i++) {
		const struct history_drill *a = &written.drills[i], *b = &imported.drills[i];
		const char *const texts[][2] = {
			{a->id, b->id},           {a->started, b->started},
			{a->name, b->name},       {a->kind, b->kind},
			{a->driver, b->driver},   {a->variant, b->variant},
			{a->verdict, b->verdict}, {a->version, b->version},
			{a->host, b->host},       {a->scenario, b->scenario},
			{a->seed, b->seed},
		};
		const double numbers[][2] = {{a->frt_s, b->frt_s},
					     {a->brt_s, b->brt_s},
					     {a->brp_s, b->brp_s},
					     {a->availability, b->availability}};

		for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
			ck_assert_pstr_eq(texts[k][0], texts[k][1]);
		for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++)
			ck_assert_msg(numbers[k][0] == numbers[k][1] ||
					      (isnan(numbers[k][0]) && isnan(numbers[k][1])),
				      "drill %zu, number %zu: %.17g and %.17g", i, k, numbers[k][0],
				      numbers[k][1]);
		ck_assert_int_eq(a->sham, b->sham);
		ck_assert_int_eq(a->recovered, b->recovered);
	}
}
END_TEST

/* Where it goes unless told. */
START_TEST(default_places)
{
	struct error error = {0};
	const char *path;

	setenv("HOME", "/home/a", 1);
	setenv("XDG_STATE_HOME", "/state", 1);
	setenv("DRSIM_HISTORY", "other.db", 1);
	ck_assert_int_eq(history_path("mine.db", &arena, &path, &error), 0);
	ck_assert_str_eq(path, "mine.db");
	ck_assert_int_eq(history_path("none", &arena, &path, &error), 0);
	ck_assert_ptr_null(path);
	ck_assert_int_eq(history_path(NULL, &arena, &path, &error), 0);
	ck_assert_str_eq(path, "other.db");
	unsetenv("DRSIM_HISTORY");
	setenv("DRSIM_STATE", "/var/lib/x", 1);
	ck_assert_int_eq(history_path(NULL, &arena, &path, &error), 0);
	ck_assert_str_eq(path, "/var/lib/x/history.db");
	unsetenv("DRSIM_STATE");
	ck_assert_int_eq(history_path(NULL, &arena, &path, &error), 0);
	ck_assert_str_eq(path, "/state/drsim/history.db");
	unsetenv("XDG_STATE_HOME");
	ck_assert_int_eq(history_path(NULL, &arena, &path, &error), 0);
	ck_assert_str_eq(path, "/home/a/.local/state/drsim/history.db");
	unsetenv("HOME");
	ck_assert_int_eq(history_path(NULL, &arena, &path, &error), -1);
	ck_assert_ptr_nonnull(strstr(error.text, "--history"));
}
END_TEST

/* Folders above it are made for this user alone. */
START_TEST(folders_are_made)
{
	struct stat status;
	char here[PATH_MAX];

	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	unsetenv("DRSIM_HISTORY");
	unsetenv("DRSIM_STATE");
	setenv("XDG_STATE_HOME", arena_printf(&arena, "%s/state", here), 1);
	expect("run tiny.yaml --no-plots --quiet --out a", 0, "PASSED");
	ck_assert_int_eq(stat("state/drsim", &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0700);
	expect("history", 0, "state/drsim/history.db: 1 drill,");
}
END_TEST

/* A history that cannot be written is told, and changes nothing else. */
START_TEST(drills_do_without)
{
	static const char *const wrong[] = {"tiny.yaml", "folder", "/proc/nothing/h.db",
					    "tiny.yaml/h.db"};
	char *events, *other;

	ck_assert_int_eq(mkdir("folder", 0700), 0);
	expect("run tiny.yaml --no-plots --quiet --out plain --history none", 0, "PASSED");
	events = workplace_read("plain/events.jsonl");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		expect(arena_printf(&arena,
				    "run tiny.yaml --no-plots --quiet --out r%zu --history %s", i,
				    wrong[i]),
		       0, "this drill is not in the history");
		other = workplace_read(arena_printf(&arena, "r%zu/events.jsonl", i));
		ck_assert_str_eq(events, other);
		free(other);
		expect(arena_printf(&arena,
				    "run tiny.yaml --no-plots --quiet --out m%zu --history %s "
				    "--set objectives.frt=10s",
				    i, wrong[i]),
		       1, "this drill is not in the history");
	}
	other = workplace_read("tiny.yaml");
	ck_assert_str_eq(other, scenario);
	free(other);
	free(events);
}
END_TEST

/* Forty drills that end at about the same time, the first ones making the file. */
START_TEST(none_is_lost)
{
	pid_t pids[PROCESSES];
	struct history_list list;
	size_t failed = 0;

	for (int i = 0; i < PROCESSES; i++)
		pids[i] =
			start(arena_printf(&arena,
					   "run tiny.yaml --no-plots --quiet --history deep/h.db "
					   "--out run%d --seed %d",
					   i, i),
			      arena_printf(&arena, ".out%d", i), arena_printf(&arena, ".err%d", i));
	for (int i = 0; i < PROCESSES; i++) {
		char *err;

		ck_assert_int_eq(wait_for(pids[i]), 0);
		err = workplace_read(arena_printf(&arena, ".err%d", i));
		failed += *err != '\0';
		ck_assert_str_eq(err, "");
		free(err);
	}
	list = read_all("deep/h.db");
	printf("%d drills at once: %zu in the history, %zu complaints\n", PROCESSES, list.count,
	       failed);
	ck_assert_uint_eq(list.count, PROCESSES);
	for (int i = 0; i < PROCESSES; i++) {
		const char *seed = arena_printf(&arena, "%d", i);
		size_t found = 0;

		for (size_t k = 0; k < list.count; k++)
			found += strcmp(list.drills[k].seed, seed) == 0;
		ck_assert_uint_eq(found, 1);
	}
}
END_TEST

/* Whoever else writes is waited for. */
START_TEST(others_are_waited_for)
{
	sqlite3 *db;
	pid_t pid;
	int status;

	expect("run tiny.yaml --no-plots --quiet --history h.db --out a", 0, "PASSED");
	ck_assert_int_eq(sqlite3_open_v2("h.db", &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	pid = start("run tiny.yaml --no-plots --quiet --history h.db --out b", ".out", ".err");
	/* Its folder is there before it comes to the history. */
	while (access("b", F_OK))
		usleep(10000);
	usleep(300000);
	ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
	ck_assert_int_eq(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	ck_assert_int_eq(wait_for(pid), 0);
	ck_assert_uint_eq(read_all("h.db").count, 2);
}
END_TEST

/* ---- what is refused ---- */

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;
	int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

	ck_assert_int_eq(code, SQLITE_OK);
	code = sqlite3_exec(db, sql, NULL, NULL, NULL);
	ck_assert_msg(code == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static const struct history_drill sample = {
	.id = "20260301T020000Z-x",
	.started = "2026-03-01T02:00:00.000Z",
	.name = "gpu_loss",
	.kind = "injected",
	.driver = "process",
	.variant = "",
	.verdict = "passed",
	.version = "1",
	.scenario = "9f86",
	.host = "night1",
	.seed = "42",
	.recovered = 1,
	.frt_s = 90,
	.brt_s = 22.5,
	.brp_s = 240,
	.availability = 0.99,
};

static void add(const char *path, const struct history_drill *drills, size_t count)
{
	struct error error = {0};
	size_t added = 0;

	ck_assert_msg(history_add(path, drills, count, &arena, &added, &error) == 0, "%s",
		      error.text);
	ck_assert_uint_eq(added, count);
}

static void expect_refused(const char *path, const char *part)
{
	struct history_list list;
	struct error error = {0};
	size_t added;

	ck_assert_int_eq(history_read(path, NULL, &arena, &list, &error), -1);
	ck_assert_msg(strstr(error.text, part) && strstr(error.text, path), "'%s': %s", part,
		      error.text);
	error = (struct error){0};
	ck_assert_int_eq(history_add(path, &sample, 1, &arena, &added, &error), -1);
	ck_assert_msg(strstr(error.text, part) != NULL, "'%s': %s", part, error.text);
}

START_TEST(foreign_files)
{
	struct history_list list;
	struct error error = {0};
	char *before, *after;

	ck_assert_int_eq(history_read("h.db", NULL, &arena, &list, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(error.text, "there is no history at h.db"));
	run_sql("other.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
	before = workplace_read("other.db");
	expect_refused("other.db", "a database of another program");
	after = workplace_read("other.db");
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
	expect_refused("tiny.yaml", "it is no SQLite database");
	write_bytes("empty.db", "", 0);
	expect_refused("empty.db", "another program");
	add("newer.db", &sample, 1);
	run_sql("newer.db", "PRAGMA user_version = 2");
	expect_refused("newer.db", "of a newer drsim: its version is 2, this one knows 1");
	ck_assert_int_eq(mkfifo("pipe.db", 0600), 0);
	expect_refused("pipe.db", "is no regular file");
	ck_assert_int_eq(mkdir("folder.db", 0700), 0);
	expect_refused("folder.db", "is no regular file");
	add("trigger.db", &sample, 1);
	run_sql("trigger.db", "CREATE TRIGGER t AFTER INSERT ON drill BEGIN DELETE FROM drill; "
			      "END");
	expect_refused("trigger.db", "it holds other things than drills");
}
END_TEST

/* Each in a file that is sound but for it. */
static const struct {
	const char *set, *part;
} lies[] = {
	{"id = ''", "name or id"},
	{"started = 'yesterday'", "started"},
	{"started = '2026-03-01T02:00:00+01:00'", "started"},
	{"started = '2026-13-01T02:00:00Z'", "started"},
	{"started = '2026-03-01T25:00:00Z'", "started"},
	{"started = '2026-03-01T02:00:00.Z0'", "started"},
	{"name = ''", "name or id"},
	{"name = printf('%.*c', 501, 'x')", "name"},
	{"name = CAST(x'61ff62' AS TEXT)", "name"},
	{"name = 'a' || char(0) || 'b'", "name"},
	{"name = 'a' || char(27) || '[2J'", "name"},
	{"kind = 'real'", "kind"},
	{"verdict = 'great'", "verdict"},
	{"seed = '-1'", "seed"},
	{"seed = ''", "seed"},
	{"seed = '123456789012345678901'", "seed"},
	{"sham = 2", "sham"},
	{"recovered = -1", "recovered"},
	{"frt_s = -1", "frt_s"},
	{"frt_s = 9e999", "frt_s"},
	{"brt_s = -9e999", "brt_s"},
	{"brp_s = 1e16", "brp_s"},
	{"availability = 1.5", "availability"},
};

START_TEST(wrong_values)
{
	struct history_list list;
	struct error error = {0};

	add("h.db", &sample, 1);
	run_sql("h.db", arena_printf(&arena, "UPDATE drill SET %s", lies[_i].set));
	ck_assert_msg(history_read("h.db", NULL, &arena, &list, &error) == -1, "%s", lies[_i].set);
	ck_assert_msg(strstr(error.text, "the history h.db is damaged: drill 1 has no valid") &&
			      strstr(error.text, lies[_i].part),
		      "%s: %s", lies[_i].set, error.text);
}
END_TEST

/* What would not be read back is not written either. */
START_TEST(records_that_do_not_fit)
{
	cJSON *record = cJSON_Parse("{\"drill\":{\"id\":null,\"name\":\"a\",\"started\":null}}");
	struct history_drill drill;
	struct error error = {0};

	ck_assert_int_eq(history_drill_of(record, &arena, &drill, &error), -1);
	ck_assert_ptr_nonnull(strstr(error.text, "has no id or no time"));
	cJSON_Delete(record);
	record = cJSON_Parse("{\"drill\":{\"id\":\"a\",\"name\":\"a\\u0007\",\"started\":"
			     "\"2026-03-01T02:00:00Z\"}}");
	error = (struct error){0};
	ck_assert_int_eq(history_drill_of(record, &arena, &drill, &error), -1);
	ck_assert_ptr_nonnull(strstr(error.text, "characters that a history does not take"));
	cJSON_Delete(record);
}
END_TEST

/* Bytes changed anywhere: it is read, or refused with a reason; never anything else. */
START_TEST(damaged_files)
{
	static struct history_drill drills[200];
	size_t size, refused = 0;
	struct prng prng;
	char *whole;
	FILE *file;
	long end;

	for (size_t i = 0; i < 200; i++) {
		drills[i] = sample;
		drills[i].id = arena_printf(&arena, "drill-%zu", i);
	}
	add("h.db", drills, 200);
	file = fopen("h.db", "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
	end = ftell(file);
	size = (size_t)end;
	rewind(file);
	whole = arena_alloc(&arena, size);
	ck_assert_uint_eq(fread(whole, 1, size, file), size);
	fclose(file);
	prng_open(&prng, 1, 0, 0, PRNG_TEST);
	for (int i = 0; i < DAMAGES; i++) {
		char *bytes = arena_alloc(&arena, size);
		struct history_list list;
		struct error error = {0};
		/* The header and the first page's cells are where damage hurts most. */
		uint64_t range = i % 2 ? size : 512;

		memcpy(bytes, whole, size);
		for (uint64_t n = 1 + prng_below(&prng, 8); n > 0; n--)
			bytes[prng_below(&prng, range)] = (char)prng_below(&prng, 256);
		write_bytes("d.db", bytes, i % 5 ? size : (size_t)prng_below(&prng, size));
		if (history_read("d.db", NULL, &arena, &list, &error)) {
			ck_assert_uint_gt(strlen(error.text), 0);
			refused++;
		}
		unlink("d.db-wal");
		unlink("d.db-shm");
		unlink("d.db-journal");
	}
	printf("%d damaged histories: %zu refused with a reason\n", DAMAGES, refused);
	ck_assert_uint_gt(refused, DAMAGES / 4);
}
END_TEST

/* ---- the command ---- */

/* Nights of gpu_loss: worse by 10 % from night `change` on, counted from 1. */
static void add_nights(const char *path, size_t n, size_t change)
{
	struct history_drill *drills = arena_array(&arena, n, sizeof(*drills));
	struct prng prng;

	prng_open(&prng, 1, 0, 0, PRNG_TEST);
	for (size_t i = 0; i < n; i++) {
		drills[i] = sample;
		drills[i].id = arena_printf(&arena, "night-%05zu", i);
		drills[i].started = arena_printf(&arena, "2026-%02zu-%02zuT02:00:00.000Z",
						 i / 28 + 1, i % 28 + 1);
		drills[i].frt_s = 90 * exp(0.05 * prng_normal(&prng)) * (i + 1 >= change ? 1.1 : 1);
	}
	add(path, drills, n);
}

START_TEST(gate_codes)
{
	cJSON *document, *series;
	char *text;

	expect("trend --history h.db --gate", 3, "there is no history at h.db");
	add_nights("h.db", 199, 300);
	expect("trend --history h.db --gate", 0, "gate: passed");
	expect("trend --history h.db", 0, "steady");
	unlink("h.db");
	add_nights("h.db", 211, 200);
	expect("trend --history h.db --gate", 1,
	       "gate: gpu_loss (injected, process): FRT worse by");
	expect("trend gpu_loss --history h.db --gate --metric frt", 1, "since night ");
	expect("trend scenarios/gpu_loss.yaml --history h.db --gate --metric brp", 0, "passed");
	expect("trend --history h.db --gate --least 30", 0, "passed");
	expect("trend --history h.db --gate --hold 1", 0, "the level to compare with now");
	expect("trend --history h.db --gate --last 20", 0, "passed");
	expect("trend --history h.db --json --gate", 1, "drsim/trend/v1");
	text = workplace_read(".out");
	document = cJSON_Parse(text);
	ck_assert_ptr_nonnull(document);
	series = cJSON_GetArrayItem(cJSON_GetObjectItem(document, "groups"), 0);
	series = cJSON_GetArrayItem(cJSON_GetObjectItem(series, "series"), 0);
	ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(series, "state")), "worse");
	ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(series, "metric")), "frt");
	cJSON_Delete(document);
	free(text);
}
END_TEST

START_TEST(trend_usage)
{
	add_nights("h.db", 10, 300);
	expect("trend --history h.db gpu_los", 2, "did you mean 'gpu_loss'?");
	expect("trend --history h.db --metric ftr", 2, "did you mean 'frt'?");
	expect("trend --history none", 2, "there is no trend of no history");
	expect("trend --history h.db --last 0", 2, "--last must be 1 to 2000");
	expect("trend --history tiny.yaml", 3, "it is no SQLite database");
	expect("trend --history h.db --out folder/nowhere/t.html", 3, "cannot write");
	expect("trend --history h.db", 0, "control chart: limits");
}
END_TEST

/* What is not alike is not mixed; what does not count is counted. */
START_TEST(groups)
{
	struct history_drill drills[10];
	const struct trend_options options = {
		.path = "h.db", .metric = -1, .last = 100, .hold = 14, .least = 0.01};
	struct history_list list;
	struct trend trend;

	for (size_t i = 0; i < 10; i++) {
		drills[i] = sample;
		drills[i].id = arena_printf(&arena, "%zu", i);
	}
	drills[1].kind = "simulated";
	drills[1].driver = "sim";
	drills[2].driver = "docker";
	drills[3].variant = "calibrated";
	drills[4].sham = true;
	drills[5].verdict = "invalid";
	drills[6].verdict = "aborted";
	drills[7].recovered = 0;
	drills[7].frt_s = drills[7].brt_s = NAN;
	drills[8].started = "2026-02-01T02:00:00Z"; /* written last, and the first night */
	drills[9].kind = "simulated";
	drills[9].driver = "sim";
	add("h.db", drills, 10);
	list = read_all("h.db");
	trend_make(&list, &options, &arena, &trend);
	ck_assert_uint_eq(trend.count, 4);
	ck_assert_str_eq(trend.groups[0].driver, "docker");
	ck_assert_str_eq(trend.groups[1].driver, "process");
	ck_assert_str_eq(trend.groups[1].variant, "");
	ck_assert_uint_eq(trend.groups[1].count, 3);
	ck_assert_uint_eq(trend.groups[1].shams, 1);
	ck_assert_uint_eq(trend.groups[1].invalid, 1);
	ck_assert_uint_eq(trend.groups[1].aborted, 1);
	ck_assert_uint_eq(trend.groups[1].unrecovered, 1);
	ck_assert_uint_eq(trend.groups[1].series[0].series.n, 2);
	ck_assert_str_eq(trend.groups[1].nights[0]->id, "8");
	ck_assert(!trend.groups[1].same_seed);
	ck_assert_str_eq(trend.groups[2].variant, "calibrated");
	ck_assert_str_eq(trend.groups[3].kind, "simulated");
	ck_assert(trend.groups[3].same_seed);
	expect("trend --history h.db", 0, "left out: 1 sham, 1 invalid, 1 aborted");
	expect("trend --history h.db", 0, "All of seed 42: the simulator repeats");
}
END_TEST

/* One file without scripts and without anything from outside, whatever names are like. */
START_TEST(trend_page_alone)
{
	struct history_drill drills[30];
	struct prng prng;
	char *page;

	prng_open(&prng, 2, 0, 0, PRNG_TEST);
	for (size_t i = 0; i < 30; i++) {
		drills[i] = sample;
		drills[i].id = arena_printf(&arena, "%02zu", i);
		drills[i].name = "a<script>alert('&')";
		drills[i].started = arena_printf(&arena, "2026-03-%02zuT02:00:00Z", i + 1);
		drills[i].version = i < 20 ? "1<" : "2<";
		drills[i].frt_s = (i < 20 ? 90 : 180) * exp(0.05 * prng_normal(&prng));
		drills[i].recovered = i != 7;
	}
	add("h.db", drills, 30);
	expect("trend --history h.db --out trend.html --gate --hold 20", 1, "FRT worse by");
	page = workplace_read("trend.html");
	ck_assert_ptr_nonnull(strstr(page, "INJECTED"));
	ck_assert_ptr_null(strstr(page, "SIMULATED"));
	ck_assert_ptr_null(strstr(page, "<script"));
	ck_assert_ptr_nonnull(strstr(page, "a&lt;script&gt;alert(&#39;&amp;&#39;)"));
	ck_assert_ptr_nonnull(strstr(page, "recovery got worse beyond chance"));
	ck_assert_ptr_nonnull(strstr(page, "since night 21 (2026-03-21)"));
	ck_assert_ptr_nonnull(strstr(page, "drsim 2&lt; instead of 1&lt;"));
	ck_assert_ptr_nonnull(strstr(page, "Looking back: where"));
	ck_assert_ptr_nonnull(strstr(page, "1 of 30 nights did not recover"));
	ck_assert_ptr_nonnull(strstr(page, "</html>"));
	ck_assert(strstr(page, "<svg") || strstr(page, "gnuplot was not found"));
	for (const char *at = page; (at = strstr(at, "http")) != NULL; at++)
		ck_assert_msg(strncmp(at, "http://www.w3.org/", 18) == 0 ||
				      strncmp(at, "http-equiv", 10) == 0,
			      "%.60s", at);
	free(page);
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *tcase = tcase_create("history");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, drills_are_remembered);
	tcase_add_test(tcase, import_makes_the_same_line);
	tcase_add_test(tcase, default_places);
	tcase_add_test(tcase, folders_are_made);
	tcase_add_test(tcase, drills_do_without);
	tcase_add_test(tcase, none_is_lost);
	tcase_add_test(tcase, others_are_waited_for);
	tcase_add_test(tcase, foreign_files);
	tcase_add_loop_test(tcase, wrong_values, 0, sizeof(lies) / sizeof(lies[0]));
	tcase_add_test(tcase, records_that_do_not_fit);
	tcase_add_test(tcase, damaged_files);
	tcase_add_test(tcase, gate_codes);
	tcase_add_test(tcase, trend_usage);
	tcase_add_test(tcase, groups);
	tcase_add_test(tcase, trend_page_alone);
	suite_add_tcase(suite, tcase);
}

TEST_MAIN("history", add_cases)
