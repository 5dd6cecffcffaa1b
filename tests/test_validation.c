/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator against closed forms: each scenario of tests/validation/ goes through `drsim run`
 * with seeds 1, 2 … and what record.json (where it must be, events.jsonl) says is compared with the
 * formula in the scenario's first comment. Means are pooled over the seeds and must lie within 3
 * standard errors and, where those are smaller than that, within 0.5 %; what has no chance in it
 * must be right to 1e-9. With DRSIM_QUICK set, and under a sanitizer, fewer trials.
 */
/* valgrind: skip */
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "tests/test.h"

#define ARGS_MAX 24
#define SETS_MAX 6
#define SEEDS 20
#define SIGMAS 3.0
#define RELATIVE 0.005
#define EXACT 1e-9
#define PATH_TEXT 160
#define KS_ALPHA 1e-5 /* one in so many distribution functions may leave its band by chance */

extern char **environ;

/* ---- how much ---- */

static bool quick(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	return getenv("DRSIM_QUICK") != NULL;
#endif
}

static int seeds(void)
{
	return quick() ? 5 : SEEDS;
}

static int fewer(int trials)
{
	return quick() ? trials / 5 : trials;
}

/* ---- running drsim ---- */

struct drill {
	char folder[PATH_TEXT]; /* with run/ in it */
	cJSON *record;
	cJSON **events; /* when asked for */
	size_t event_count;
	int code;
};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static char *read_text(const char *folder, const char *name)
{
	char path[2 * PATH_TEXT];
	struct stat status;
	FILE *file;
	char *text;

	snprintf(path, sizeof(path), "%s/run/%s", folder, name);
	file = fopen(path, "re");
	ck_assert_msg(file != NULL, "cannot open %s", path);
	ck_assert_int_eq(fstat(fileno(file), &status), 0);
	text = calloc(1, (size_t)status.st_size + 1);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(fread(text, 1, (size_t)status.st_size, file), (size_t)status.st_size);
	fclose(file);
	return text;
}

static void read_events(struct drill *drill)
{
	char *text = read_text(drill->folder, "events.jsonl"), *state = NULL;
	size_t room = 0;

	for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		if (drill->event_count == room) {
			room = room ? 2 * room : 1024;
			drill->events = realloc(drill->events, room * sizeof(*drill->events));
			ck_assert_ptr_nonnull(drill->events);
		}
		drill->events[drill->event_count] = cJSON_Parse(line);
		ck_assert_ptr_nonnull(drill->events[drill->event_count]);
		drill->event_count++;
	}
	free(text);
}

static int spawn(char *const args[])
{
	posix_spawn_file_actions_t actions;
	pid_t child;
	int status;

	ck_assert_int_eq(posix_spawn_file_actions_init(&actions), 0);
	ck_assert_int_eq(
		posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0),
		0);
	ck_assert_msg(posix_spawn(&child, args[0], &actions, NULL, args, environ) == 0,
		      "cannot start %s; set DRSIM", args[0]);
	posix_spawn_file_actions_destroy(&actions);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status), "%s was killed", args[0]);
	return WEXITSTATUS(status);
}

/* `sets` ends with NULL, or is NULL. The caller gives the drill back with drill_close(). */
static void drill_run(struct drill *drill, const char *scenario, int seed, int trials,
		      const char *const *sets, bool events)
{
	const char *program = getenv("DRSIM");
	char out[2 * PATH_TEXT], seed_text[16], trials_text[16], *text;
	const char *args[ARGS_MAX] = {program ? program : "build/release/drsim",
				      "run",
				      scenario,
				      "--no-plots",
				      "--quiet",
				      "--seed",
				      seed_text,
				      "--trials",
				      trials_text,
				      "--out",
				      out};
	int count = 11;

	*drill = (struct drill){.folder = "/tmp/drsim-validation-XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(drill->folder));
	snprintf(out, sizeof(out), "%s/run", drill->folder);
	snprintf(seed_text, sizeof(seed_text), "%d", seed);
	snprintf(trials_text, sizeof(trials_text), "%d", trials);
	for (int i = 0; sets && i < SETS_MAX && sets[i]; i++) {
		args[count++] = "--set";
		args[count++] = sets[i];
	}
	drill->code = spawn((char *const *)args);
	ck_assert_msg(drill->code == 0 || drill->code == 1, "%s: exit %d", scenario, drill->code);
	text = read_text(drill->folder, "record.json");
	drill->record = cJSON_Parse(text);
	ck_assert_ptr_nonnull(drill->record);
	free(text);
	if (events)
		read_events(drill);
}

static void drill_close(struct drill *drill)
{
	for (size_t i = 0; i < drill->event_count; i++)
		cJSON_Delete(drill->events[i]);
	free(drill->events);
	cJSON_Delete(drill->record);
	ck_assert_int_eq(nftw(drill->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- looking into JSON ---- */

/* "campaign.frt_s.mean"; incidents[0] and the like as "incidents.0". */
static const cJSON *find(const cJSON *from, const char *path)
{
	char copy[PATH_TEXT], *state = NULL;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *word = strtok_r(copy, ".", &state); word; word = strtok_r(NULL, ".", &state)) {
		from = cJSON_IsArray(from) ? cJSON_GetArrayItem(from, word[0] - '0')
					   : cJSON_GetObjectItemCaseSensitive(from, word);
		ck_assert_msg(from != NULL, "no %s in the record", path);
	}
	return from;
}

static double number(const cJSON *from, const char *path)
{
	const cJSON *item = find(from, path);

	ck_assert_msg(cJSON_IsNumber(item), "%s is no number", path);
	return item->valuedouble;
}

static double of_measure(const struct drill *drill, const char *measure, const char *what)
{
	char path[PATH_TEXT];

	snprintf(path, sizeof(path), "campaign.%s.%s", measure, what);
	return number(drill->record, path);
}

static bool is_event(const cJSON *event, const char *name)
{
	return strcmp(cJSON_GetStringValue(find(event, "event")), name) == 0;
}

/* ---- the gates ---- */

static void row(const char *name, double expected, double measured, double error)
{
	double z = error > 0 ? (measured - expected) / error : 0;

	printf("%-44s %15.9g %15.9g %11.3g %7.2f\n", name, expected, measured, error, z);
	fflush(stdout);
}

static void exact(const char *name, double expected, double measured)
{
	row(name, expected, measured, 0);
	ck_assert_msg(fabs(measured - expected) <= EXACT * fabs(expected),
		      "%s: %.12g expected, %.12g measured", name, expected, measured);
}

static void within(const char *name, double expected, double measured, double error)
{
	double off = fabs(measured - expected);

	row(name, expected, measured, error);
	ck_assert_msg(off <= SIGMAS * error, "%s: %.9g expected, %.9g +- %.3g measured", name,
		      expected, measured, error);
	if (SIGMAS * error < RELATIVE * fabs(expected))
		ck_assert_msg(off <= RELATIVE * fabs(expected), "%s: off by more than %g", name,
			      RELATIVE);
}

static void close_to(const char *name, double expected, double measured, double relative)
{
	row(name, expected, measured, 0);
	ck_assert_msg(fabs(measured - expected) <= relative * fabs(expected),
		      "%s: %.9g expected, %.9g measured, more than %g off", name, expected,
		      measured, relative);
}

/* Mean over the seeds, each with its own value and standard error. */
struct pool {
	int count;
	double sum, squares, variance; /* variance: sum of the squared standard errors */
};

static void pool_add(struct pool *pool, double value, double error)
{
	pool->count++;
	pool->sum += value;
	pool->squares += value * value;
	pool->variance += error * error;
}

static double pool_mean(const struct pool *pool)
{
	return pool->sum / pool->count;
}

static double pool_error(const struct pool *pool)
{
	return sqrt(pool->variance) / pool->count;
}

/* From the spread of the values themselves. */
static double pool_spread(const struct pool *pool)
{
	double n = pool->count, mean = pool->sum / n;

	return sqrt((pool->squares / n - mean * mean) / (n - 1));
}

/* ---- a campaign of a uniform measure, or of one of which the mean is known ---- */

struct campaign_case {
	const char *name, *scenario, *measure, *ecdf; /* ecdf: a measure with the same values */
	double mean, low, high;                       /* high 0: not uniform, no upper end */
	int trials;
	const char *sets[SETS_MAX];
};

/* The distribution function of record.json against that of U(low, high): Massart's band. */
static void check_ecdf(const struct campaign_case *c, const struct drill *drill)
{
	char path[PATH_TEXT];
	const cJSON *ecdf, *x, *f;
	double band, n;

	snprintf(path, sizeof(path), "campaign.ecdf.%s", c->ecdf);
	ecdf = find(drill->record, path);
	n = number(ecdf, "n");
	band = sqrt(log(2 / KS_ALPHA) / (2 * n));
	f = find(ecdf, "f")->child;
	for (x = find(ecdf, "x")->child; x && f; x = x->next, f = f->next) {
		double expected = (x->valuedouble - c->low) / (c->high - c->low);

		ck_assert_msg(fabs(f->valuedouble - expected) <= band,
			      "%s: P(<= %.9g) is %.6g, not %.6g", c->name, x->valuedouble,
			      f->valuedouble, expected);
	}
	ck_assert(!x && !f);
}

static void check_range(const struct campaign_case *c, const struct drill *drill, int trials)
{
	double min = of_measure(drill, c->measure, "min");
	double max = of_measure(drill, c->measure, "max"), range = c->high - c->low;

	ck_assert_double_eq(of_measure(drill, c->measure, "n"), trials);
	ck_assert_double_eq(of_measure(drill, c->measure, "censored"), 0);
	ck_assert_msg(min >= c->low, "%s: min %.9g", c->name, min);
	if (c->high <= 0)
		return;
	/* The ends are reached, but for one chance in e^20. */
	ck_assert_msg(max <= c->high, "%s: max %.9g", c->name, max);
	ck_assert_msg(min <= c->low + 20 * range / trials, "%s: min %.9g", c->name, min);
	ck_assert_msg(max >= c->high - 20 * range / trials, "%s: max %.9g", c->name, max);
	check_ecdf(c, drill);
}

static void run_campaign(const struct campaign_case *c)
{
	struct pool mean = {0}, median = {0};
	int trials = fewer(c->trials);
	double range = c->high - c->low;
	char name[PATH_TEXT];

	for (int seed = 1; seed <= seeds(); seed++) {
		struct drill drill;

		drill_run(&drill, c->scenario, seed, trials, c->sets, false);
		check_range(c, &drill, trials);
		pool_add(&mean, of_measure(&drill, c->measure, "mean"),
			 of_measure(&drill, c->measure, "stderr"));
		pool_add(&median, of_measure(&drill, c->measure, "p50"), range / 2 / sqrt(trials));
		drill_close(&drill);
	}
	within(c->name, c->mean, pool_mean(&mean), pool_error(&mean));
	if (c->high <= 0)
		return;
	snprintf(name, sizeof(name), "%s, median", c->name);
	within(name, (c->low + c->high) / 2, pool_mean(&median), pool_error(&median));
}

#define BACKUP "tests/validation/backup_period.yaml"
#define PROBE "tests/validation/detect_probe.yaml"

static const struct campaign_case backup_cases[] = {
	{"1 BRP, s", BACKUP, "brp_seconds", "brp_seconds", 45000, 1800, 88200, 10000, {NULL}},
	{"1 BRP, bytes", BACKUP, "brp_bytes", "brp_bytes", 45e9, 1.8e9, 88.2e9, 2000, {NULL}},
	{"1 BRP, records",
	 BACKUP,
	 "brp_records",
	 "brp_records",
	 450000,
	 18000,
	 882000,
	 2000,
	 {NULL}},
	{"1 BRP, s, 1.8 TB written at 1 GB/s",
	 BACKUP,
	 "brp_seconds",
	 "brp_seconds",
	 45000,
	 1800,
	 88200,
	 2000,
	 {"backup={every: 24h}", "deployment.data.io.bytes=1800GB", "deployment.store.write=1GB/s",
	  "deployment.sites[1].nic=1TB/s", NULL}},
	{"1 BRP, s, every tenth backup fails",
	 "tests/validation/backup_failure.yaml",
	 "brp_seconds",
	 NULL,
	 54600,
	 1800,
	 0,
	 10000,
	 {NULL}},
};

START_TEST(periodic_backup)
{
	run_campaign(&backup_cases[_i]);
}
END_TEST

#define DETECT(name, ...)                                                                          \
	{                                                                                          \
		"2 detection, s, " name, PROBE, "detection_s", "frt_s", 26, 21, 31, 1000,          \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}

static const struct campaign_case probe_cases[] = {
	DETECT("gpu.lost", "steps[0].fault=gpu.lost"),
	DETECT("node.crash", "steps[0].fault=node.crash", "steps[0].target=primary/node[0]"),
	DETECT("zone.outage", "steps[0].fault=zone.outage", "steps[0].target=primary"),
	DETECT("net.partition", "steps[0].fault=net.partition", "steps[0].target=primary"),
	DETECT("proc.kill", "steps[0].fault=proc.kill",
	       "steps[0].target='endpoint/chat/replica[0]'"),
	DETECT("node.hang", "steps[0].fault=node.hang", "steps[0].target=primary/node[0]"),
	DETECT("looking at the replica", "detector.scope=replica"),
	DETECT("looking at the GPUs", "detector.scope=gpu"),
	DETECT("looking at the node", "detector.scope=node", "steps[0].fault=node.crash",
	       "steps[0].target=primary/node[0]"),
	{"2 detection, s, timeout 10 s",
	 PROBE,
	 "detection_s",
	 "frt_s",
	 35,
	 30,
	 40,
	 1000,
	 {"detector.timeout=10s", NULL}},
	{"2 detection, s, timeout 20 s",
	 PROBE,
	 "detection_s",
	 "frt_s",
	 65,
	 60,
	 70,
	 1000,
	 {"detector.timeout=20s", NULL}},
	{"2 detection, s, poll of 60 s, twice",
	 PROBE,
	 "detection_s",
	 "frt_s",
	 91,
	 61,
	 121,
	 1000,
	 {"detector={kind: poll, misses: 2}", "steps[0].at={uniform: {from: 300s, to: 360s}}",
	  NULL}},
	{"3 phi with jitter, s",
	 "tests/validation/detect_phi_jitter.yaml",
	 "detection_s",
	 NULL,
	 1.3450426980,
	 0,
	 0,
	 500,
	 {NULL}},
};

START_TEST(detection)
{
	run_campaign(&probe_cases[_i]);
}
END_TEST

START_TEST(worst_case)
{
	struct drill drill;

	drill_run(&drill, BACKUP, 1, 1, NULL, false);
	exact("1 BRP, worst case, s", 88200, number(drill.record, "metrics.brp.worst_seconds"));
	exact("1 BRP, worst case, bytes", 88.2e9, number(drill.record, "metrics.brp.worst_bytes"));
	exact("1 bytes of a second", 1e6,
	      number(drill.record, "metrics.brp.bytes") /
		      number(drill.record, "metrics.brp.seconds"));
	drill_close(&drill);
}
END_TEST

START_TEST(phi_without_jitter)
{
	struct drill drill;

	drill_run(&drill, "tests/validation/detect_phi.yaml", 1, 1, NULL, false);
	exact("3 phi without jitter, s", 0.501000006, number(drill.record, "metrics.detection_s"));
	drill_close(&drill);
}
END_TEST

/* ---- 2: how long until a healthy target is suspected ---- */

struct suspicion_case {
	const char *name;
	double probes;
	const char *sets[SETS_MAX];
};

static const struct suspicion_case suspicion_cases[] = {
	{"2 probes to a false alarm, (10 %, 3)", 1110, {NULL}},
	{"2 probes to a false alarm, (5 %, 2)",
	 420,
	 {"detector.loss=5%", "detector.misses=2", "duration=1d", NULL}},
};

START_TEST(false_suspicion)
{
	const struct suspicion_case *c = &suspicion_cases[_i];
	struct pool probes = {0};

	for (int seed = 1; seed <= seeds(); seed++) {
		struct drill drill;
		double duration, alarm;

		drill_run(&drill, "tests/validation/suspicion_probe.yaml", seed, fewer(50), c->sets,
			  false);
		duration = number(drill.record, "drill.duration_s");
		alarm = number(drill.record, "incidents.0.t_detect_ns") / 1e9;
		ck_assert_double_eq(number(drill.record, "campaign.paths.false_alarm"), fewer(50));
		/* Of trial 0 the record has the alarm itself: the service is good until then. */
		ck_assert_double_eq_tol(number(drill.record, "metrics.availability.time") *
						duration,
					alarm, EXACT * duration);
		pool_add(&probes, (of_measure(&drill, "availability", "mean") * duration - 1) / 10,
			 of_measure(&drill, "availability", "stderr") * duration / 10);
		drill_close(&drill);
	}
	within(c->name, c->probes, pool_mean(&probes), pool_error(&probes));
}
END_TEST

/* ---- 9: restores that share a store ---- */

static double seconds_of(const cJSON *event, const char *key)
{
	return number(event, key) / 1e9;
}

START_TEST(restores_of_three_sizes)
{
	static const struct {
		const char *class, *name;
		double end;
	} classes[] = {{"model", "9 restore of 10 GB, s", 30},
		       {"training", "9 restore of 20 GB, s", 50},
		       {"io", "9 restore of 40 GB, s", 70}};
	double begun[16] = {0};
	int class_of[16] = {0}, seen = 0;
	struct drill drill;

	drill_run(&drill, "tests/validation/restore_shared.yaml", 1, 1, NULL, true);
	for (size_t i = 0; i < drill.event_count; i++) {
		const cJSON *event = drill.events[i];
		int id;

		if (!is_event(event, "action.begin") && !is_event(event, "action.end"))
			continue;
		if (strcmp(cJSON_GetStringValue(find(event, "kind")), "restore") != 0)
			continue;
		id = (int)number(event, "action");
		ck_assert_int_lt(id, 16);
		if (is_event(event, "action.begin")) {
			begun[id] = seconds_of(event, "t_ns");
			while (strcmp(cJSON_GetStringValue(find(event, "class")),
				      classes[class_of[id]].class) != 0)
				class_of[id]++;
			continue;
		}
		ck_assert(cJSON_IsTrue(find(event, "ok")));
		exact(classes[class_of[id]].name, classes[class_of[id]].end,
		      seconds_of(event, "t_ns") - begun[id]);
		seen++;
	}
	ck_assert_int_eq(seen, 3);
	exact("9 data recovery, s", 70, number(drill.record, "metrics.data_recovery_s"));
	drill_close(&drill);
}
END_TEST

/* Every replica of `site` is ready `expected` seconds after the fault. Returns how many. */
static int ready_at(const struct drill *drill, const char *site, const char *name, double expected)
{
	double fault = number(drill->record, "incidents.0.t_fault_ns") / 1e9;
	int count = 0;

	for (size_t i = 0; i < drill->event_count; i++) {
		const cJSON *event = drill->events[i];

		if (!is_event(event, "replica.state") ||
		    strcmp(cJSON_GetStringValue(find(event, "site")), site) != 0 ||
		    strcmp(cJSON_GetStringValue(find(event, "state")), "Ready") != 0)
			continue;
		exact(name, expected, seconds_of(event, "t_ns") - fault);
		count++;
	}
	return count;
}

START_TEST(restores_of_one_size)
{
	struct drill drill;

	drill_run(&drill, "tests/validation/restore_equal.yaml", 1, 1, NULL, true);
	ck_assert_int_eq(ready_at(&drill, "remote", "9 one of 8 equal restores, s", 80), 8);
	drill_close(&drill);
	drill_run(&drill, "tests/validation/restore_caps.yaml", 1, 1, NULL, true);
	ck_assert_int_eq(ready_at(&drill, "near", "9 behind a NIC of 3 GB/s, s", 15), 3);
	ck_assert_int_eq(ready_at(&drill, "far", "9 behind a link of 36 Gbit/s, s", 10), 3);
	ck_assert_int_eq(ready_at(&drill, "open", "9 with what the others leave, s", 6), 3);
	drill_close(&drill);
}
END_TEST

/* ---- 10: backlog, and what becomes of every request ---- */

/* sent = good + wrong + late + failed, and at most so many still under way at the end. */
static void conserved(const struct drill *drill, const char *name, double under_way)
{
	const cJSON *requests = find(drill->record, "requests");
	double left = number(requests, "sent") - number(requests, "good") -
		      number(requests, "wrong") - number(requests, "late") -
		      number(requests, "failed");

	/* Each of the five is rounded. */
	ck_assert_msg(left >= -3 && left <= under_way + 3,
		      "%s: %.0f requests of %.0f have no outcome", name, left,
		      number(requests, "sent"));
}

START_TEST(backlog_of_an_overload)
{
	struct drill drill;
	double waiting = 0;

	drill_run(&drill, "tests/validation/backlog.yaml", 1, 1, NULL, true);
	for (size_t i = 0; i < drill.event_count; i++)
		if (is_event(drill.events[i], "service.level"))
			waiting = fmax(waiting, number(drill.events[i], "backlog"));
	exact("10 backlog, requests", 540000, waiting);
	exact("10 backlog worked off after, s", 13500,
	      (number(drill.record, "incidents.0.t_normal_ns") -
	       number(drill.record, "incidents.0.t_repaired_ns")) /
		      1e9);
	exact("10 bad time, s", 9000 + 539620 / 40.0 - 19 / 6.0,
	      number(drill.record, "metrics.bad_s"));
	exact("10 FRT, s", 9000 + 539620 / 40.0, number(drill.record, "metrics.frt_s"));
	exact("10 availability by requests", 1 - (9000 + 539620 / 40.0 - 19 / 6.0) / 28800,
	      number(drill.record, "metrics.availability.requests"));
	conserved(&drill, "fluid", 0);
	drill_close(&drill);
}
END_TEST

/* The same overload with single requests, in windows or always: what queues is what the fluid
 * says. Arrivals and service times are constant, so a request more or less is all that differs. */
START_TEST(backlog_of_single_requests)
{
	static const char *const sets[][SETS_MAX] = {
		{"deployment.endpoints[0].load.requests=windows", NULL},
		{"deployment.endpoints[0].load.requests=always", NULL},
	};
	struct drill drill;

	drill_run(&drill, "tests/validation/backlog.yaml", 1, 1, sets[_i], false);
	close_to("10 FRT, s, single requests", 22490.5, number(drill.record, "metrics.frt_s"),
		 1e-4);
	close_to("10 bad time, s, single requests", 22487.3333333,
		 number(drill.record, "metrics.bad_s"), 1e-4);
	close_to("10 availability, single requests", 0.2191898148,
		 number(drill.record, "metrics.availability.requests"), 1e-3);
	conserved(&drill, sets[_i][0], _i == 0 ? 0 : 16);
	drill_close(&drill);
}
END_TEST

/* Clients that give up after 3 s: never more than 3 s x 100/s wait, nobody is served in time, and
 * at 200/s those that wait then are within the limit at once. */
START_TEST(overload_of_impatient_clients)
{
	static const char *const modes[] = {"never", "windows", "always"};
	const double bad = 9000 - 19 / 6.0;
	char mode[PATH_TEXT];
	const char *sets[] = {"deployment.endpoints[0].load.timeout=3s", mode, NULL};
	struct drill drill;

	snprintf(mode, sizeof(mode), "deployment.endpoints[0].load.requests=%s", modes[_i]);
	drill_run(&drill, "tests/validation/backlog.yaml", 1, 1, sets, false);
	close_to("10 bad time, s, impatient clients", bad, number(drill.record, "metrics.bad_s"),
		 _i == 0 ? EXACT : 1e-3);
	close_to("10 availability, impatient clients", 1 - bad / 28800,
		 number(drill.record, "metrics.availability.requests"), _i == 0 ? EXACT : 1e-3);
	conserved(&drill, modes[_i], _i == 2 ? 16 : 0);
	drill_close(&drill);
}
END_TEST

#define BATCH 300 /* lines, a second each: long against the time in which a queue forgets */

/* Sums over all lines of single requests, and the shares of each batch of them. */
static double shares(const struct drill *drill, struct pool *waited, struct pool *late)
{
	double all = 0, sent = 0, queued = 0, over = 0;
	int lines = 0;

	for (size_t i = 0; i < drill->event_count; i++) {
		const cJSON *event = drill->events[i];

		if (!is_event(event, "service.requests"))
			continue;
		sent += number(event, "sent");
		queued += number(event, "waited");
		over += number(event, "late");
		if (++lines % BATCH)
			continue;
		pool_add(waited, queued / sent, 0);
		pool_add(late, over / sent, 0);
		all += sent;
		sent = queued = over = 0;
	}
	return all + sent;
}

START_TEST(erlang_c)
{
	const double c = 0.409180, over = exp(-1) * (1 + c * (1 - exp(-1)));
	struct pool waited = {0}, late = {0};

	for (int seed = 1; seed <= seeds(); seed++) {
		struct drill drill;
		double sent;

		drill_run(&drill, "tests/validation/erlang_c.yaml", seed, 1, NULL, true);
		sent = shares(&drill, &waited, &late);
		/* The books and the lines agree but for the last second, which has no line. */
		ck_assert_double_le(sent, number(drill.record, "requests.sent"));
		ck_assert_double_ge(sent, number(drill.record, "requests.sent") - 200);
		conserved(&drill, "erlang_c", 200);
		drill_close(&drill);
	}
	within("10 Erlang C", c, pool_mean(&waited), pool_spread(&waited));
	within("10 M/M/10, share over 100 ms", over, pool_mean(&late), pool_spread(&late));
}
END_TEST

/* Ten slots of one replica are one of each of ten. */
START_TEST(erlang_c_of_slots)
{
	static const char *const sets[] = {"deployment.endpoints[0].replicas=1",
					   "deployment.endpoints[0].load.concurrency=10", NULL};
	struct pool a = {0}, b = {0}, late = {0};
	struct drill drill;

	drill_run(&drill, "tests/validation/erlang_c.yaml", 1, 1, NULL, true);
	shares(&drill, &a, &late);
	drill_close(&drill);
	drill_run(&drill, "tests/validation/erlang_c.yaml", 1, 1, sets, true);
	shares(&drill, &b, &late);
	drill_close(&drill);
	exact("10 share that waited, 1 x 10 as 10 x 1", pool_mean(&a), pool_mean(&b));
}
END_TEST

/* ---- fluid and single requests tell the same story ---- */

static const char *const stories[][4] = {
	{"steps[0].fault=gpu.lost", "steps[0].for=repaired", NULL},
	{"steps[0].fault=zone.outage", "steps[0].target=primary", NULL},
	{"steps[0].fault=net.partition", "steps[0].target=primary", "recovery.fence=none", NULL},
	{"steps[0].fault=net.delay", "steps[0].target=primary", "steps[0].latency=1500ms", NULL},
	{"steps[0].fault=data.bitflip", "steps[0].target=data/io",
	 "detector={kind: canary, every: 10s}", NULL},
};

struct story {
	double frt, time, requests;
};

static struct story tell(int story, const char *mode, double under_way)
{
	const char *sets[SETS_MAX] = {"abort=[]", mode};
	struct story told;
	struct drill drill;

	for (int i = 0; stories[story][i]; i++)
		sets[2 + i] = stories[story][i];
	drill_run(&drill, "scenarios/gpu_loss.yaml", 3, 1, sets, false);
	conserved(&drill, mode, under_way);
	told.frt = number(drill.record, "metrics.frt_s");
	told.time = 1 - number(drill.record, "metrics.availability.time");
	told.requests = 1 - number(drill.record, "metrics.availability.requests");
	drill_close(&drill);
	return told;
}

START_TEST(fluid_and_requests_agree)
{
	struct story fluid = tell(_i, "deployment.endpoints[0].load.requests=never", 0);
	struct story windows = tell(_i, "deployment.endpoints[0].load.requests=windows", 0);
	struct story always = tell(_i, "deployment.endpoints[0].load.requests=always", 120);

	printf("%s\n", stories[_i][0]);
	/* Poisson arrivals: some 10 000 bad requests are known to 1 %. */
	close_to("  FRT, s, windows", fluid.frt, windows.frt, 0.01);
	close_to("  FRT, s, always", fluid.frt, always.frt, 0.01);
	close_to("  bad time, windows", fluid.time, windows.time, 0.01);
	close_to("  bad time, always", fluid.time, always.time, 0.01);
	close_to("  bad requests, windows", fluid.requests, windows.requests, 0.04);
	close_to("  bad requests, always", fluid.requests, always.requests, 0.04);
}
END_TEST

/* ---- the statistics of a campaign, worked out again from its distribution function ---- */

static const struct {
	int trials, p50, p95, p99, low, high; /* ranks from 1; high 0: none */
} ranks[] = {
	{20, 10, 19, 20, 19, 0},
	{100, 50, 95, 99, 97, 0},
	{1000, 500, 950, 990, 983, 997},
};

/* Enough of the sorted values are in the record to say which number this one has, or nearly so. */
static void check_rank(const struct drill *drill, const char *what, int rank, int n)
{
	const cJSON *x = find(drill->record, "campaign.ecdf.frt_s.x")->child;
	const cJSON *f = find(drill->record, "campaign.ecdf.frt_s.f")->child, *item;
	double below = 0, above = 0;
	char path[PATH_TEXT];

	snprintf(path, sizeof(path), "campaign.frt_s.%s", what);
	item = find(drill->record, path);
	if (rank == 0) {
		ck_assert_msg(cJSON_IsNull(item), "%s is not null", path);
		return;
	}
	for (; x && f && above <= 0; x = x->next, f = f->next) {
		if (x->valuedouble <= item->valuedouble)
			below = f->valuedouble * n;
		if (x->valuedouble >= item->valuedouble)
			above = f->valuedouble * n;
	}
	ck_assert_msg(below <= rank + 0.5 && above >= rank - 0.5 && above - below <= 2.5,
		      "%s is number %.0f to %.0f, not %d", path, below, above, rank);
}

START_TEST(quantiles_and_their_intervals)
{
	int n = ranks[_i].trials, covered = 0;

	for (int seed = 1; seed <= SEEDS; seed++) {
		struct drill drill;

		drill_run(&drill, PROBE, seed, n, NULL, false);
		check_rank(&drill, "min", 1, n);
		check_rank(&drill, "max", n, n);
		check_rank(&drill, "p50", ranks[_i].p50, n);
		check_rank(&drill, "p95", ranks[_i].p95, n);
		check_rank(&drill, "p99", ranks[_i].p99, n);
		check_rank(&drill, "p99_low", ranks[_i].low, n);
		check_rank(&drill, "p99_high", ranks[_i].high, n);
		if (ranks[_i].high)
			covered += of_measure(&drill, "frt_s", "p99_low") <= 30.9 &&
				   of_measure(&drill, "frt_s", "p99_high") >= 30.9;
		drill_close(&drill);
	}
	/* The true p99 of U(21, 31) is 30.9: 95 % of the intervals hold it, 16 of 20 at least. */
	if (ranks[_i].high) {
		row("campaign: p99 intervals that hold it", 19, covered, 0);
		ck_assert_int_ge(covered, 16);
	}
}
END_TEST

/* Mean and standard error, of a campaign of which every value is in the record. */
START_TEST(mean_and_error)
{
	enum {
		N = 400
	};
	double sum = 0, squares = 0;
	struct drill drill;
	int count = 0;

	drill_run(&drill, PROBE, 1, N, NULL, false);
	for (const cJSON *x = find(drill.record, "campaign.ecdf.frt_s.x")->child; x; x = x->next) {
		sum += x->valuedouble;
		squares += (x->valuedouble - 26) * (x->valuedouble - 26);
		count++;
	}
	ck_assert_int_eq(count, N); /* no two are equal to the nanosecond */
	squares -= N * (sum / N - 26) * (sum / N - 26);
	exact("campaign: mean", sum / N, of_measure(&drill, "frt_s", "mean"));
	exact("campaign: standard error", sqrt(squares / (N - 1) / N),
	      of_measure(&drill, "frt_s", "stderr"));
	drill_close(&drill);
}
END_TEST

/* ---- training jobs ---- */

struct job_case {
	const char *name, *scenario, *measure; /* of jobs[0]; down_s: as a share of wall_s */
	double expected;
	const char *sets[SETS_MAX];
};

#define K_OF_N "tests/validation/job_k_of_n.yaml"
#define JOB_ETTR "tests/validation/job_ettr.yaml"
#define N(n) "deployment.sites[0].nodes=" #n
#define K(k) "deployment.jobs[0].nodes=" #k
#define SPARES(k) "deployment.jobs[0].spares=" #k
#define CREWS(c) "recovery.repair.crews=" #c

static const struct job_case job_cases[] = {
	{"1 of 2, 1 crew: unavailability", K_OF_N, "down_s", 1.960400e-4, {NULL}},
	{"1 of 2, 2 crews: unavailability", K_OF_N, "down_s", 9.802960e-5, {CREWS(2)}},
	{"2 of 3, 1 crew: unavailability", K_OF_N, "down_s", 5.880036e-4, {N(3), K(2)}},
	{"3 of 5, 2 crews: unavailability",
	 K_OF_N,
	 "down_s",
	 1.441535e-5,
	 {N(5), K(3), SPARES(2), CREWS(2)}},
	{"7 of 8, 1 crew: unavailability", K_OF_N, "down_s", 5.482272e-3, {N(8), K(7)}},
	{"checkpointed training: ETTR",
	 "tests/validation/job_checkpointed.yaml",
	 "ettr",
	 1 / 1.2204328,
	 {NULL}},
	{"2048 nodes, saves every 60 min: ETTR", JOB_ETTR, "ettr", 0.71438, {NULL}},
	{"2048 nodes, saves every 5 min: ETTR",
	 JOB_ETTR,
	 "ettr",
	 0.93293,
	 {"deployment.jobs[0].checkpoint.every=5m"}},
};

START_TEST(training_jobs)
{
	const struct job_case *c = &job_cases[_i];
	struct pool pool = {0};

	for (int seed = 1; seed <= seeds(); seed++) {
		struct drill drill;
		double value;

		drill_run(&drill, c->scenario, seed, 1, c->sets, false);
		value = number(find(drill.record, "jobs.0"), c->measure);
		if (strcmp(c->measure, "down_s") == 0)
			value /= number(drill.record, "jobs.0.wall_s");
		pool_add(&pool, value, 0);
		drill_close(&drill);
	}
	within(c->name, c->expected, pool_mean(&pool), pool_spread(&pool));
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static void add_cases(Suite *suite)
{
	setenv("CK_DEFAULT_TIMEOUT", "120", 0); /* check's own 4 s are too few for some */
	printf("%-44s %15s %15s %11s %7s\n", "case", "expected", "measured", "stderr", "z");
	fflush(stdout);
	test_add_loop(suite, "periodic backup", periodic_backup, COUNT(backup_cases));
	test_add(suite, "worst case", worst_case);
	test_add_loop(suite, "detection", detection, COUNT(probe_cases));
	test_add_loop(suite, "false suspicion", false_suspicion, COUNT(suspicion_cases));
	test_add(suite, "phi without jitter", phi_without_jitter);
	test_add(suite, "restores of three sizes", restores_of_three_sizes);
	test_add(suite, "restores of one size", restores_of_one_size);
	test_add(suite, "backlog of an overload", backlog_of_an_overload);
	test_add_loop(suite, "backlog of single requests", backlog_of_single_requests, 2);
	test_add_loop(suite, "impatient clients", overload_of_impatient_clients, 3);
	test_add(suite, "Erlang C", erlang_c);
	test_add(suite, "Erlang C of slots", erlang_c_of_slots);
	test_add_loop(suite, "fluid and requests agree", fluid_and_requests_agree, COUNT(stories));
	test_add_loop(suite, "quantiles", quantiles_and_their_intervals, COUNT(ranks));
	test_add(suite, "mean and error", mean_and_error);
	test_add_loop(suite, "training jobs", training_jobs, COUNT(job_cases));
}

TEST_MAIN("validation", add_cases)
