/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes of the plan would have saved: exact where arithmetic by hand gives the answer, and
 * everywhere the same as what a person gets who tries the command that the finding names.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/campaign.h"
#include "core/what_if.h"
#include "tests/test.h"

/* A drill in memory with its findings. */
struct bench {
	struct arena arena;
	struct scenario *scenario;
	struct run_options options;
	struct run *run;
	struct record record;
};

static void bench_run(struct bench *b, const struct scenario *scenario, uint64_t trials)
{
	struct timeline *timeline = arena_alloc(&b->arena, sizeof(*timeline));
	struct error e = {0};

	b->options.driver = driver_find("sim");
	b->options.seed = scenario->seed;
	ck_assert_msg(run_new(scenario, &b->options, &b->run, &e) == 0, "%s", e.text);
	ck_assert_int_eq(timeline_open(timeline, NULL, &e), 0);
	b->record = (struct record){.scenario = scenario,
				    .driver = "sim",
				    .kind = "simulated",
				    .seed = scenario->seed,
				    .sham = b->options.sham,
				    .headline = -1};
	ck_assert_msg(run_trial(b->run, 0, timeline, &b->record, &e) == 0, "%s", e.text);
	if (trials > 1)
		ck_assert_int_eq(
			campaign_run(scenario, &b->options, trials, &b->record, &b->arena, &e), 0);
}

static void bench_load(struct bench *b, const char *path, const char *text, const char *const *sets)
{
	struct error errors[4] = {0};
	size_t count = 0, sets_count = 0;
	int rc;

	while (sets && sets[sets_count])
		sets_count++;
	if (text)
		rc = scenario_parse(path, text, strlen(text), sets, sets_count, &b->arena,
				    &b->scenario, errors, 4, &count);
	else
		rc = scenario_load(path, sets, sets_count, &b->arena, &b->scenario, errors, 4,
				   &count);
	ck_assert_msg(rc == 0, "%u:%u: %s", errors[0].place.line, errors[0].place.column,
		      errors[0].text);
}

static void bench_close(struct bench *b)
{
	run_free(b->run);
	arena_free(&b->arena);
}

/* A whole drill of `text`, with overrides up to a NULL, and what changes would have saved. */
static void compute(struct bench *b, const char *text, const char *const *sets, uint64_t trials)
{
	bench_load(b, "case.yaml", text, sets);
	bench_run(b, b->scenario, trials);
	what_if_compute(&b->record, &b->options, &b->arena);
}

static const struct finding *find(const struct bench *b, const char *part)
{
	const struct finding *found = NULL;

	for (size_t i = 0; i < b->record.finding_count; i++)
		if (strstr(b->record.findings[i].text, part)) {
			ck_assert_msg(!found, "two findings with '%s'", part);
			found = &b->record.findings[i];
		}
	return found;
}

static const struct finding *must_find(const struct bench *b, const char *part)
{
	const struct finding *found = find(b, part);

	for (size_t i = 0; !found && i < b->record.finding_count; i++)
		fprintf(stderr, "  %s\n", b->record.findings[i].text);
	ck_assert_msg(found != NULL, "no finding with '%s'", part);
	return found;
}

/* Daily backup of 1 TB, restored at 500 GB/h after a switch of 30 min. */
static const char by_hand[] =
	"apiVersion: drsim/v1\nname: by_hand\nseed: 1\nduration: 4d\n"
	"objectives: {frt: 150m, brp: {seconds: 12h}}\n"
	"deployment:\n  sites:\n    - {name: primary, nodes: 1, shape: gpu.8xh100-sxm}\n"
	"    - {name: remote, nodes: 1, shape: gpu.8xh100-sxm, standby: {heat: cold}}\n"
	"  platform: {allocate: 0s}\n"
	"  endpoints:\n    - {name: service, site: primary, replicas: 1, gpus_per_replica: 8}\n"
	"  data:\n    training: {bytes: 1TB, change: 1TB/d}\n"
	"  store: {site: remote, read: 500GB/h, write: 500GB/h}\n"
	"backup: {every: 24h, takes: 0s, classes: [training]}\n"
	"detector: {kind: fixed, delay: 4m}\n"
	"recovery:\n  decide: 6m\n  switch: 30m\n"
	"  restore: {order: sequential, classes: [training], before_serving: [training]}\n"
	"  repair: {time: 6h}\n"
	"steps:\n  - {at: 1d, fault: zone.outage, target: primary}\n";

/* FRT: 4 min + 6 min + 30 min + 2 h, of which each change takes its own part. */
static const struct {
	const char *part;
	double seconds;
	enum severity severity;
} savings[] = {
	/* Half of 2 h: 1 h, which also brings it below 2 h 30 min. */
	{"deployment.store.read=1000GB/h", 3600, SEVERITY_MEDIUM},
	/* The switch and the restore at once: the shorter one, 30 min, is gone. */
	{"recovery.restore.order=parallel", 1800, SEVERITY_MEDIUM},
	{"recovery.switch=15m", 900, SEVERITY_MEDIUM},
	/* 2 h 36 min 30 s … 2 h 38 min: still too long. */
	{"recovery.decide=0s", 360, SEVERITY_INFO},
	{"detector.delay=2m", 120, SEVERITY_INFO},
	/* Loss up to the fault, as old as a backup period; 12 h meets the objective. */
	{"backup.every=12h", 43200, SEVERITY_MEDIUM},
};

START_TEST(as_by_hand)
{
	struct bench b = {0};
	const struct finding *finding;

	compute(&b, by_hand, NULL, 1);
	ck_assert_int_eq(b.record.incidents[0].frt, 160 * NANOS_MINUTE);
	finding = must_find(&b, savings[_i].part);
	ck_assert_double_eq_tol(finding->seconds, savings[_i].seconds, 1e-6);
	ck_assert_int_eq(finding->severity, savings[_i].severity);
	ck_assert_int_eq(strstr(finding->text, "and met the objective") != NULL,
			 savings[_i].severity == SEVERITY_MEDIUM);
	bench_close(&b);
}
END_TEST

START_TEST(nothing_is_said_of_what_saves_nothing)
{
	struct bench b = {0};

	compute(&b, by_hand, NULL, 1);
	/* A warm standby holds the model, of which there is none here. */
	ck_assert_ptr_null(find(&b, "standby.heat=warm"));
	ck_assert_ptr_null(find(&b, "None of the"));
	ck_assert_uint_eq(b.record.finding_count, sizeof(savings) / sizeof(savings[0]));
	bench_close(&b);
}
END_TEST

START_TEST(texts_say_it_whole)
{
	struct bench b = {0};

	compute(&b, by_hand, NULL, 1);
	ck_assert_str_eq(must_find(&b, "store.read")->text,
			 "A store that reads 1000GB/h instead of 500GB/h would have saved 1 h of "
			 "2 h 40 min FRT, and met the objective frt (recomputed by running the "
			 "drill again with --set 'deployment.store.read=1000GB/h').");
	ck_assert_str_eq(must_find(&b, "backup.every")->text,
			 "A backup every 12h instead of every 1d would have restored from a point "
			 "12 h old instead of 1 d, and kept 500 GB of what was lost, and met the "
			 "objective brp.seconds (recomputed by running the drill again with "
			 "--set 'backup.every=12h').");
	bench_close(&b);
}
END_TEST

/* A fault of ten minutes without a standby: nothing of the plan shortens it. */
static const char in_place[] =
	"apiVersion: drsim/v1\nname: in_place\nseed: 1\nduration: 2h\n"
	"deployment:\n  sites:\n    - {name: p, nodes: 1, shape: gpu.8xh100-sxm}\n"
	"  endpoints:\n    - {name: service, site: p, replicas: 1, gpus_per_replica: 8}\n"
	"detector: {kind: probe}\nrecovery: {repair: {time: 1h}}\n"
	"steps:\n  - {at: 30m, fault: node.hang, target: \"p/node[0]\", for: 10m}\n";

START_TEST(none_would_have_helped)
{
	struct bench b = {0};

	compute(&b, in_place, NULL, 1);
	ck_assert_int_eq(b.record.incidents[0].path, PATH_IN_PLACE);
	ck_assert_uint_eq(b.record.finding_count, 1);
	ck_assert_int_eq(must_find(&b, "None of the 5 changes")->severity, SEVERITY_INFO);
	bench_close(&b);
}
END_TEST

/* A detector in a list, and a switch that is a distribution, are set where they stand. */
START_TEST(changes_of_lists_and_distributions)
{
	struct bench b = {0};
	const char *const sets[] = {
		"detector=[{kind: probe, interval: 10s, timeout: 1s, misses: 3}, "
		"{kind: fixed, delay: 8m}]",
		"recovery.switch={uniform: {from: 20m, to: 40m}}", "recovery.decide=0s", NULL};

	compute(&b, by_hand, sets, 1);
	/* The fault comes at a round: 0, 10 s, 20 s and the timeout; halved 0, 5 s, 10 s. */
	ck_assert_int_eq(b.record.incidents[0].detection, 21 * NANOS_S);
	ck_assert_int_eq(b.record.incidents[0].detector, 0);
	ck_assert_double_eq_tol(must_find(&b, "detector[0].interval=5s")->seconds, 10, 1e-6);
	ck_assert_double_eq_tol(must_find(&b, "detector[0].misses=2")->seconds, 10, 1e-6);
	ck_assert_ptr_null(find(&b, "detector[1]"));
	/* 500 ms of two hours and a half. */
	ck_assert_ptr_null(find(&b, "detector[0].timeout"));
	/* Both ends in half, and the same draw: half of what it took. */
	ck_assert_double_eq_tol(must_find(&b, "--set 'recovery.switch.uniform.from=10m' "
					      "--set 'recovery.switch.uniform.to=20m'")
					->seconds,
				(double)b.record.incidents[0].switching / 2e9, 1e-6);
	bench_close(&b);
}
END_TEST

/* A detector that declares after one lost probe is quicker, and cries wolf. */
START_TEST(what_it_costs_is_told_too)
{
	static const char text[] =
		"apiVersion: drsim/v1\nname: lossy\nseed: 1\nduration: 6h\n"
		"objectives: {frt: 5m, availability: 99.8%}\n"
		"deployment:\n  sites:\n    - {name: p, nodes: 1, shape: gpu.8xh100-sxm}\n"
		"    - {name: s, nodes: 1, shape: gpu.8xh100-sxm, standby: {heat: warm}}\n"
		"  endpoints:\n    - {name: service, site: p, replicas: 1, gpus_per_replica: 8,\n"
		"       load: {rate: 10/s}, model: {bytes: 14GB, start: 20s}}\n"
		"  data: {model: {bytes: 14GB, change: 0B/s}}\n  store: {site: s, read: 8GB/s}\n"
		"backup: {every: 1h}\ndetector: {kind: probe, loss: 2%, misses: 2}\n"
		"recovery: {switch: 10s, repair: {time: 10m}}\n"
		"steps:\n  - {at: 3h, fault: node.crash, target: \"p/node[0]\"}\n";
	struct bench b = {0};
	const struct finding *finding;

	compute(&b, text, NULL, 1);
	ck_assert_uint_eq(b.record.incident_count, 1);
	finding = must_find(&b, "detector.misses=1");
	/* One interval; service is good again with a request, of which there are ten a second. */
	ck_assert_double_eq_tol(finding->seconds, 10, 0.5);
	ck_assert_int_eq(finding->severity, SEVERITY_INFO);
	ck_assert_ptr_nonnull(
		strstr(finding->text, ", but missed the objective availability, at the price of "));
	bench_close(&b);
}
END_TEST

START_TEST(training_data_may_come_later)
{
	struct bench b = {0};
	const char *const sets[] = {"deployment.data.model={bytes: 500GB, change: 0B/s}",
				    "backup.classes=[model, training]",
				    "recovery.restore.classes=[model, training]",
				    "recovery.restore.before_serving=[model, training]", NULL};

	compute(&b, by_hand, sets, 1);
	/* 1 h for the model, then 2 h for the training data. */
	ck_assert_int_eq(b.record.incidents[0].data_recovery, 3 * NANOS_HOUR);
	ck_assert_double_eq_tol(must_find(&b, "recovery.restore.before_serving=[model]")->seconds,
				7200, 1e-6);
	bench_close(&b);
}
END_TEST

/* Two nodes, one crew, an hour for each; the replica is on the one whose turn comes last. */
/* Saves at 10, 20 and 30 min take no time, the node dies at 38 min: a restart of 4 min, then 8 min
 * are done again. With saves every 5 min it is 3 min, with half the restart 2 min less. */
START_TEST(jobs_save_and_restart)
{
	struct bench b = {0};

	compute(&b,
		"apiVersion: drsim/v1\n"
		"name: job\n"
		"duration: 3h\n"
		"deployment:\n"
		"  sites: [{name: primary, nodes: 3, shape: gpu.8xh100-sxm}]\n"
		"  jobs:\n"
		"    - name: pretrain\n"
		"      site: primary\n"
		"      nodes: 2\n"
		"      spares: 1\n"
		"      checkpoint: {every: 10m, takes: 0s}\n"
		"      restart: 4m\n"
		"detector: {kind: watchdog, timeout: 1m}\n"
		"recovery: {repair: {time: 20m}}\n"
		"steps: [{at: 38m, fault: node.crash, target: \"primary/node[0]\"}]\n",
		NULL, 1);
	ck_assert_double_eq_tol(must_find(&b, "jobs[0].restart=2m")->seconds, 120, 1e-6);
	ck_assert_double_eq_tol(must_find(&b, "checkpoint.every=5m")->seconds, 300, 1e-6);
	ck_assert_ptr_null(find(&b, "spares")); /* one was there */
	ck_assert_ptr_null(find(&b, "There is no standby site"));
	bench_close(&b);
}
END_TEST

START_TEST(repairs_that_wait_for_a_crew)
{
	static const char both[] = "steps=[{at: 30m, fault: node.crash, target: \"p/node[1]\"}, "
				   "{at: 30m, fault: node.crash, target: \"p/node[0]\"}]";
	struct bench b = {0};
	const char *const sets[] = {"deployment.sites[0].nodes=2", "duration=6h",
				    "deployment.platform={reschedule: never}", both, NULL};

	compute(&b, in_place, sets, 1);
	ck_assert_uint_eq(b.record.incident_count, 1);
	ck_assert_double_eq_tol(must_find(&b, "recovery.repair.crews=2")->seconds, 3600, 1e-6);
	bench_close(&b);
}
END_TEST

START_TEST(what_would_have_recovered)
{
	struct bench b = {0};
	const char *const sets[] = {"duration=26h", NULL};
	const struct finding *finding;

	/* Two hours are left for 2 h 40 min; with a store twice as fast they are enough. */
	compute(&b, by_hand, sets, 1);
	ck_assert_int_eq(b.record.incidents[0].path, PATH_UNRECOVERED);
	finding = must_find(&b, "deployment.store.read=1000GB/h");
	ck_assert_int_eq(finding->severity, SEVERITY_HIGH);
	ck_assert_ptr_nonnull(strstr(finding->text, "would have recovered it, 1 h 40 min after"));
	ck_assert_double_eq_tol(finding->seconds, 20 * 60, 1e-6);
	ck_assert_ptr_null(find(&b, "recovery.decide"));
	bench_close(&b);
}
END_TEST

/* Nobody finds wrong answers by feeling for a pulse: that a canary would is recomputed too. */
START_TEST(what_would_have_found_it)
{
	static const char text[] =
		"apiVersion: drsim/v1\nname: silent\nseed: 9\nduration: 3h\n"
		"objectives: {frt: 10m}\n"
		"deployment:\n  sites:\n    - {name: p, nodes: 2, shape: gpu.8xh100-sxm}\n"
		"    - {name: s, nodes: 2, shape: gpu.8xh100-sxm, standby: {heat: warm}}\n"
		"  endpoints:\n    - {name: chat, site: p, replicas: 2, gpus_per_replica: 8,\n"
		"       load: {rate: 20/s, service_time: 100ms}}\n"
		"  data:\n    io: {bytes: 20GB, change: 1MB/s, records: 20/s}\n"
		"  store: {site: s, read: 8GB/s, write: 4GB/s}\n"
		"backup: {every: 10m}\ndetector: {kind: probe}\n"
		"recovery: {switch: 20s, repair: {time: 30m}}\n"
		"steps:\n  - {at: 2041s, fault: data.bitflip, target: data/io}\n";
	struct bench b = {0};

	compute(&b, text, NULL, 1);
	ck_assert_int_eq(b.record.incidents[0].path, PATH_UNRECOVERED);
	ck_assert(b.record.incidents[0].undetected);
	ck_assert_int_eq(must_find(&b, "detector={kind: canary")->severity, SEVERITY_HIGH);
	bench_close(&b);
}
END_TEST

static double mean_of(const struct scenario *base, const char *set, enum campaign_measure measure,
		      uint64_t trials)
{
	struct bench b = {0};
	struct scenario *scenario;
	struct error e = {0};
	double mean;

	ck_assert_int_eq(scenario_variant(base, &set, set ? 1 : 0, &b.arena, &scenario, &e), 0);
	bench_run(&b, scenario, trials);
	mean = b.record.campaign->measures[measure].mean;
	bench_close(&b);
	return mean;
}

START_TEST(trials_are_compared_in_pairs)
{
	struct bench b = {0};
	const char *const sets[] = {"steps[0].at={uniform: {from: 1d, to: 2d}}", NULL};
	const struct finding *finding;
	double before, after;

	compute(&b, by_hand, sets, 60);
	/* The same in each trial: the interval has no width, however much BRP varies. */
	finding = must_find(&b, "deployment.store.read");
	ck_assert_double_eq_tol(finding->seconds, 3600, 1e-6);
	ck_assert_ptr_nonnull(
		strstr(finding->text, "on average (95 % interval 1 h to 1 h, 60 trials)"));
	before = mean_of(b.scenario, NULL, MEASURE_BRP_SECONDS, 60);
	after = mean_of(b.scenario, "backup.every=12h", MEASURE_BRP_SECONDS, 60);
	finding = must_find(&b, "backup.every");
	ck_assert_double_eq_tol(finding->seconds, before - after, 1e-6);
	/* U(0, 24 h) against U(0, 12 h): 6 h, within a few standard errors (6 h / sqrt 60). */
	ck_assert_double_eq_tol(finding->seconds, 6 * 3600, 4 * 6 * 3600 / sqrt(60));
	bench_close(&b);
}
END_TEST

/* The number of trials that are compared goes by counts: any number of threads, the same text. */
START_TEST(threads_change_nothing)
{
	struct bench one = {.options = {.threads = 1}}, many = {.options = {.threads = 4}};
	const char *const sets[] = {"steps[0].at={uniform: {from: 1d, to: 2d}}", NULL};

	compute(&one, by_hand, sets, 40);
	compute(&many, by_hand, sets, 40);
	ck_assert_uint_eq(one.record.finding_count, many.record.finding_count);
	for (size_t i = 0; i < one.record.finding_count; i++) {
		ck_assert_str_eq(one.record.findings[i].text, many.record.findings[i].text);
		double a = one.record.findings[i].seconds, c = many.record.findings[i].seconds;

		ck_assert(a == c || (isnan(a) && isnan(c)));
	}
	bench_close(&one);
	bench_close(&many);
}
END_TEST

START_TEST(not_where_there_is_nothing_to_shorten)
{
	struct bench sham = {.options = {.sham = true}}, calm = {0}, null = {0};
	struct run_options real;
	struct driver_ops driver;

	compute(&sham, by_hand, NULL, 1);
	ck_assert_uint_eq(sham.record.finding_count, 0);
	bench_close(&sham);
	compute(&calm, by_hand, (const char *const[]){"steps=[]", NULL}, 1);
	ck_assert_uint_eq(calm.record.finding_count, 0);
	bench_close(&calm);
	bench_load(&null, "case.yaml", by_hand, NULL);
	bench_run(&null, null.scenario, 1);
	driver = *null.options.driver;
	driver.kind = "injected";
	real = null.options;
	real.driver = &driver;
	what_if_compute(&null.record, &real, &null.arena);
	ck_assert_uint_eq(null.record.finding_count, 0);
	bench_close(&null);
}
END_TEST

START_TEST(long_runs_are_not_run_again)
{
	struct bench b = {0};

	bench_load(&b, "case.yaml", by_hand, NULL);
	bench_run(&b, b.scenario, 1);
	b.record.work = WHAT_IF_WORK_MAX / 2;
	what_if_compute(&b.record, &b.options, &b.arena);
	/* One of eight fits; the others are counted. */
	ck_assert_ptr_nonnull(must_find(&b, "What 7 other changes of the plan would have saved"));
	b.record.finding_count = 0;
	b.record.work = 2 * (uint64_t)WHAT_IF_WORK_MAX;
	what_if_compute(&b.record, &b.options, &b.arena);
	ck_assert_uint_eq(b.record.finding_count, 1);
	must_find(&b, "What 8 changes");
	bench_close(&b);
}
END_TEST

/* Which of many should be shorter no one change can tell. */
START_TEST(many_incidents_are_not_run_again)
{
	struct bench b = {0};
	const char *const sets[] = {"steps[0].at={every: 5m, jitter: 0s}", "steps[0].for=1m", NULL};

	compute(&b, in_place, sets, 1);
	ck_assert_uint_gt(b.record.incident_count, WHAT_IF_INCIDENTS_MAX);
	ck_assert_uint_eq(b.record.finding_count, 1);
	must_find(&b, "too many incidents");
	bench_close(&b);
}
END_TEST

/* ---- the commands that the findings name ---- */

static const char *const shipped[] = {
	"scenarios/case_study.yaml",        "scenarios/gpu_loss.yaml",
	"scenarios/network_partition.yaml", "scenarios/rack_power_loss.yaml",
	"scenarios/seed_monitor.yaml",      "scenarios/stale_backup.yaml",
};

/* "--set 'a' --set 'b'" -> a, b */
static size_t sets_of(struct bench *b, const char *text, const char *sets[WHAT_IF_SETS_MAX + 1])
{
	static const char option[] = "--set '";
	size_t count = 0;

	for (const char *at = strstr(text, option); at; at = strstr(at, option)) {
		at += strlen(option);
		ck_assert_uint_lt(count, WHAT_IF_SETS_MAX);
		sets[count++] = arena_strndup(&b->arena, at, strcspn(at, "'"));
	}
	sets[count] = NULL;
	return count;
}

START_TEST(a_person_gets_the_same)
{
	struct bench b = {0};
	double before[MEASURES], after[MEASURES];
	size_t checked = 0;

	bench_load(&b, shipped[_i], NULL, NULL);
	bench_run(&b, b.scenario, 1);
	what_if_compute(&b.record, &b.options, &b.arena);
	record_measures(&b.record, before);
	for (size_t i = 0; i < b.record.finding_count; i++) {
		const struct finding *finding = &b.record.findings[i];
		const char *sets[WHAT_IF_SETS_MAX + 1];
		bool frt = strstr(finding->text, " FRT") != NULL;
		enum campaign_measure measure = frt ? MEASURE_FRT : MEASURE_BRP_SECONDS;
		struct bench again = {0};

		if (sets_of(&b, finding->text, sets) == 0 || strstr(finding->text, "bad service"))
			continue;
		bench_load(&again, shipped[_i], NULL, sets);
		bench_run(&again, again.scenario, 1);
		record_measures(&again.record, after);
		ck_assert_double_eq_tol(before[measure] - after[measure], finding->seconds, 1e-8);
		bench_close(&again);
		checked++;
	}
	/* The naive monitor is the one that no single change mends. */
	ck_assert_int_eq(checked == 0, strstr(shipped[_i], "seed_monitor") != NULL);
	bench_close(&b);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "as_by_hand", as_by_hand, sizeof(savings) / sizeof(savings[0]));
	test_add(suite, "nothing_is_said_of_what_saves_nothing",
		 nothing_is_said_of_what_saves_nothing);
	test_add(suite, "texts_say_it_whole", texts_say_it_whole);
	test_add(suite, "none_would_have_helped", none_would_have_helped);
	test_add(suite, "changes_of_lists_and_distributions", changes_of_lists_and_distributions);
	test_add(suite, "what_it_costs_is_told_too", what_it_costs_is_told_too);
	test_add(suite, "training_data_may_come_later", training_data_may_come_later);
	test_add(suite, "jobs", jobs_save_and_restart);
	test_add(suite, "repairs_that_wait_for_a_crew", repairs_that_wait_for_a_crew);
	test_add(suite, "what_would_have_recovered", what_would_have_recovered);
	test_add(suite, "what_would_have_found_it", what_would_have_found_it);
	test_add(suite, "trials_are_compared_in_pairs", trials_are_compared_in_pairs);
	test_add(suite, "threads_change_nothing", threads_change_nothing);
	test_add(suite, "not_where_there_is_nothing_to_shorten",
		 not_where_there_is_nothing_to_shorten);
	test_add(suite, "long_runs_are_not_run_again", long_runs_are_not_run_again);
	test_add(suite, "many_incidents_are_not_run_again", many_incidents_are_not_run_again);
	test_add_loop(suite, "a_person_gets_the_same", a_person_gets_the_same,
		      sizeof(shipped) / sizeof(shipped[0]));
}

TEST_MAIN("what if", add_cases)
