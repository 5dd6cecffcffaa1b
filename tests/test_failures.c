/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures of long runs: how many come, of which cause, on which nodes, and how long what they
 * break is down. What is left to chance is pooled over seeds 1 to 20 and must lie within 3
 * standard errors.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/failures.h"
#include "core/fault.h"
#include "core/run.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define SEEDS 20
#define SIGMAS 3
#define NODES_MAX 4096

static struct arena arena;

static void setup(void)
{
	arena = (struct arena){0};
}

static void teardown(void)
{
	arena_free(&arena);
}

/* A scenario with one run of it; release() gives the run back. */
struct drill {
	struct scenario *scenario;
	struct run *run;
	struct record record;
};

static struct scenario *load(const char *text)
{
	struct scenario *scenario = NULL;
	struct error errors[1] = {{0}};
	size_t count = 0;

	text = arena_printf(&arena, "apiVersion: drsim/v1\nname: x\n%s", text);
	scenario_parse("x.yaml", text, strlen(text), NULL, 0, &arena, &scenario, errors, 1, &count);
	ck_assert_msg(scenario != NULL, "%u:%u: %s", errors[0].place.line, errors[0].place.column,
		      errors[0].text);
	return scenario;
}

static void run_scenario(struct drill *drill, struct scenario *scenario, uint64_t seed,
			 const char *events)
{
	struct run_options options = {.driver = driver_find("sim"), .seed = seed};
	struct timeline timeline;
	struct error e = {0};

	*drill = (struct drill){.scenario = scenario};
	ck_assert_int_eq(run_new(drill->scenario, &options, &drill->run, &e), 0);
	ck_assert_int_eq(timeline_open(&timeline, events, &e), 0);
	drill->record = (struct record){.scenario = drill->scenario, .seed = seed, .headline = -1};
	ck_assert_msg(run_trial(drill->run, 0, &timeline, &drill->record, &e) == 0, "%s", e.text);
	ck_assert_int_eq(timeline_close(&timeline, &e), 0);
}

static void run_to(struct drill *drill, const char *text, uint64_t seed, const char *events)
{
	run_scenario(drill, load(text), seed, events);
}

static void run(struct drill *drill, const char *text, uint64_t seed)
{
	run_to(drill, text, seed, NULL);
}

static void release(struct drill *drill)
{
	run_free(drill->run);
	arena_reset(&arena);
}

/* A count that is Poisson's, or as good as. */
static void expect_count(const char *what, double count, double expected)
{
	ck_assert_msg(fabs(count - expected) <= SIGMAS * sqrt(expected), "%s: %g, expected %g",
		      what, count, expected);
}

/* ---- presets ---- */

static const struct {
	const char *name;
	double rate; /* published, per 1000 node-days */
} presets[] = {
	{"llama3-405b", 3.79},
	{"rsc-1", 6.50},
	{"rsc-2", 2.34},
	{"infinitehbd", 4.20},
};
#define PRESETS ((int)(sizeof(presets) / sizeof(presets[0])))

#define BIG_SITE                                                                                   \
	"duration: 54d\n"                                                                          \
	"deployment: {sites: [{name: primary, nodes: 2048, shape: gpu.8xh100-sxm, racks: 256}]}\n" \
	"recovery: {repair: {time: 20m, crews: 100}}\n"

START_TEST(presets_fail_as_published)
{
	const struct failure_preset *preset = &failure_presets[_i];
	const char *text;
	double counts[64] = {0}, total = 0, weight = 0, chi = 0;
	size_t rows = 0;

	ck_assert_str_eq(preset->name, presets[_i].name);
	ck_assert_str_eq(failure_preset_names[_i], presets[_i].name);
	ck_assert_double_eq_tol(preset->per_1000_node_days, presets[_i].rate, 1e-12);
	for (; preset->rows[rows].cause; rows++)
		weight += preset->rows[rows].weight;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct drill drill;

		text = arena_printf(&arena, BIG_SITE "failures: {preset: %s}\n", preset->name);
		run(&drill, text, seed);
		ck_assert_uint_eq(drill.scenario->failure_count, rows);
		ck_assert_int_eq(drill.record.exit_code, 0);
		for (size_t i = 0; i < drill.record.fault_count; i++) {
			const struct fault_record *fault = &drill.record.faults[i];
			const struct failure_preset_row *row = &preset->rows[fault->step];

			ck_assert_str_eq(fault->cause, row->cause);
			ck_assert_str_eq(fault->name, row->fault);
			ck_assert(fault->applied && fault->effective != TRISTATE_FALSE);
			counts[fault->step]++;
			total++;
		}
		release(&drill);
	}
	expect_count(preset->name, total, SEEDS * 54 * 2.048 * presets[_i].rate);
	/* Chi-squared of the causes: 0.1 % of all runs go past 1.5 n + 15 for up to 24 of them. */
	for (size_t r = 0; r < rows; r++) {
		double expected = total * preset->rows[r].weight / weight;

		chi += (counts[r] - expected) * (counts[r] - expected) / expected;
	}
	ck_assert_msg(chi < 1.5 * (double)rows + 15, "%s: chi-squared %g of %zu causes",
		      preset->name, chi, rows);
}
END_TEST

/* The shipped drill: as many interruptions of the job as were published, and it trains for more
 * than 90 % of the time; each interruption is an incident of its own, over within the hour. */
START_TEST(llama3_trains)
{
	const char *path = "scenarios/training_run_54_days.yaml";
	double interruptions = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct scenario *scenario = NULL;
		struct error errors[1] = {{0}};
		struct drill drill;
		size_t count = 0;

		scenario_load(path, NULL, 0, &arena, &scenario, errors, 1, &count);
		ck_assert_msg(scenario != NULL, "%s", errors[0].text);
		run_scenario(&drill, scenario, seed, NULL);
		ck_assert_uint_eq(drill.record.job_count, 1);
		ck_assert_double_gt(drill.record.jobs[0].ettr, 0.9);
		interruptions += (double)drill.record.jobs[0].interruptions;
		for (size_t i = 0; i < drill.record.incident_count; i++) {
			const struct incident *incident = &drill.record.incidents[i];

			ck_assert(incident->path == PATH_UNRECOVERED ||
				  incident->frt < 60 * NANOS_MINUTE);
		}
		release(&drill);
	}
	ck_assert_double_eq_tol(interruptions / SEEDS, 419, 14);
}
END_TEST

/* The published table: 419 interruptions in 54 days, give or take 14. */
START_TEST(llama3_meets_419)
{
	double total = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct drill drill;

		run(&drill, BIG_SITE "failures: {preset: llama3-405b}\n", seed);
		total += (double)drill.record.fault_count;
		release(&drill);
	}
	ck_assert_double_eq_tol(total / SEEDS, 419, 14);
}
END_TEST

/* Every row names a fault of the catalogue and is taken as it stands. */
START_TEST(rows_of_presets_are_sound)
{
	const struct scenario *s =
		load(arena_printf(&arena, BIG_SITE "failures: {preset: %s}\n", presets[_i].name));
	double sum = 0;

	for (size_t i = 0; i < s->step_count; i++) {
		ck_assert_ptr_nonnull(fault_find(failure_presets[_i].rows[i].fault));
		ck_assert(s->steps[i].when == WHEN_FAILURE && s->steps[i].failure.row == i);
		ck_assert((s->steps[i].failure.repair != NULL) ==
			  (failure_presets[_i].rows[i].repair != NULL));
		sum += s->steps[i].failure.per_1000_node_days;
	}
	ck_assert_double_eq_tol(sum, presets[_i].rate, 1e-9);
}
END_TEST

/* ---- lemons ---- */

static void count_nodes(const struct record *record, uint32_t *counts, size_t nodes)
{
	memset(counts, 0, nodes * sizeof(*counts));
	for (size_t i = 0; i < record->fault_count; i++) {
		const char *bracket = strchr(record->faults[i].target, '[');
		uint64_t node = 0;

		for (const char *p = bracket + 1; *p >= '0' && *p <= '9'; p++)
			node = node * 10 + (uint64_t)(*p - '0');
		ck_assert_uint_lt(node, nodes);
		counts[node]++;
	}
}

#define LEMON_SITE                                                                                 \
	"duration: 30d\n"                                                                          \
	"deployment: {sites: [{name: primary, nodes: 100, shape: cpu}]}\n"                         \
	"recovery: {repair: {time: 1s, crews: 100}}\n"                                             \
	"failures: [{fault: node.hang, per_1000_node_days: 4000}]\n"

/* 12,000 faults on 100 nodes: a lemon has 369 of them, another node 92. */
START_TEST(lemons_take_their_share)
{
	uint32_t counts[100], others[100];
	struct drill drill;
	double taken = 0, p = 4 * 10 / (4 * 10 + 90.0);
	size_t lemons = 0, moved = 0;

	run(&drill, LEMON_SITE "lemons: {share: 10%, factor: 4}\n", 1);
	expect_count("all", (double)drill.record.fault_count, 12000);
	count_nodes(&drill.record, counts, 100);
	for (size_t i = 0; i < 100; i++) {
		bool lemon = counts[i] > 200;

		lemons += lemon;
		taken += lemon ? counts[i] : 0;
	}
	ck_assert_uint_eq(lemons, 10);
	ck_assert_double_eq_tol(taken / (double)drill.record.fault_count, p,
				SIGMAS * sqrt(p * (1 - p) / 12000));
	release(&drill);
	/* Others with another seed; none without the key. */
	run(&drill, LEMON_SITE "lemons: {share: 10%, factor: 4}\n", 2);
	count_nodes(&drill.record, others, 100);
	for (size_t i = 0; i < 100; i++)
		moved += others[i] > 200 && counts[i] <= 200;
	ck_assert_uint_gt(moved, 0);
	release(&drill);
	run(&drill, LEMON_SITE, 1);
	count_nodes(&drill.record, counts, 100);
	for (size_t i = 0; i < 100; i++)
		expect_count("a node", counts[i], 120);
	release(&drill);
}
END_TEST

static int descending(const void *left, const void *right)
{
	const uint32_t *a = left, *b = right;

	return *a > *b ? -1 : *a < *b;
}

/* The trace of 400 servers over 348 days: the tenth with the most faults took 41 % of them. */
START_TEST(infinitehbd_has_its_lemons)
{
	double share = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint32_t counts[400], worst = 0;
		struct drill drill;

		run(&drill,
		    "duration: 348d\n"
		    "deployment: {sites: [{name: primary, nodes: 400, shape: gpu.8xh100-sxm}]}\n"
		    "recovery: {repair: {crews: 400}}\n"
		    "failures: {preset: infinitehbd}\n",
		    seed);
		count_nodes(&drill.record, counts, 400);
		qsort(counts, 400, sizeof(*counts), descending);
		for (size_t i = 0; i < 40; i++)
			worst += counts[i];
		share += (double)worst / (double)drill.record.fault_count / SEEDS;
		release(&drill);
	}
	ck_assert_double_eq_tol(share, 0.41, 0.015); /* one run deviates by 2 % */
}
END_TEST

/* ---- what is hit ---- */

#define MIXED_SITES                                                                                \
	"duration: 30d\n"                                                                          \
	"deployment:\n"                                                                            \
	"  sites:\n"                                                                               \
	"    - {name: plain, nodes: 30, shape: cpu, racks: 3}\n"                                   \
	"    - {name: gpus, nodes: 10, shape: gpu.8xh100-sxm, racks: 5}\n"                         \
	"    - {name: spare, nodes: 40, shape: gpu.8xh100-sxm, standby: {heat: cold}}\n"           \
	"  endpoints:\n"                                                                           \
	"    - {name: chat, site: gpus, replicas: 4, gpus_per_replica: 4}\n"                       \
	"    - {name: batch, site: gpus, replicas: 2, gpus_per_replica: 4}\n"                      \
	"recovery: {prefer: in_place, repair: {time: 1m, crews: 40}}\n"                            \
	"detector: {kind: fixed, delay: 1s}\n"

#define MIXED_ROWS                                                                                 \
	"failures:\n"                                                                              \
	"  - {fault: gpu.lost, per_1000_node_days: 40}\n"                                          \
	"  - {fault: node.crash, per_1000_node_days: 20, repair: {exponential: {mean: 2h}}}\n"     \
	"lemons: {share: 20%, factor: 3}\n"

static const struct {
	const char *fault;
	double nodes;               /* that count */
	const char *first, *second; /* what the targets begin with; the share of the second */
	double share;
} hits[] = {
	{"node.crash", 40, "plain/node[", "gpus/node[", 0.25},
	{"gpu.lost", 10, "gpus/node[", "plain/", 0},
	{"rack.power_loss", 40, "plain/rack[", "gpus/rack[", 0.25},
	{"zone.outage", 40, "plain", "gpus", 0.25},
	{"proc.kill", 40, "endpoint/chat/replica[", "endpoint/batch/replica[", 1.0 / 3},
};

START_TEST(each_fault_finds_what_it_hits)
{
	const char *text = arena_printf(
		&arena, MIXED_SITES "failures: [{fault: %s, per_1000_node_days: %g}]\n",
		hits[_i].fault, 600 / 30 / hits[_i].nodes * 1000);
	size_t first = 0, second = 0;
	struct drill drill;
	double count;

	run(&drill, text, 7);
	for (size_t i = 0; i < drill.record.fault_count; i++) {
		const char *target = drill.record.faults[i].target;

		first += strncmp(target, hits[_i].first, strlen(hits[_i].first)) == 0;
		second += strncmp(target, hits[_i].second, strlen(hits[_i].second)) == 0;
	}
	count = (double)drill.record.fault_count;
	expect_count(hits[_i].fault, count, 600);
	ck_assert_uint_eq(first + second, drill.record.fault_count);
	ck_assert_double_eq_tol((double)second / count, hits[_i].share,
				SIGMAS * sqrt(hits[_i].share * (1 - hits[_i].share) / count) +
					1e-12);
	release(&drill);
}
END_TEST

START_TEST(a_row_takes_the_parameters_of_its_fault)
{
	struct drill drill;

	run(&drill,
	    BIG_SITE "failures: [{fault: gpu.xid, code: 48, per_1000_node_days: 1, cause: ECC}]\n",
	    1);
	ck_assert_uint_gt(drill.record.fault_count, 0);
	ck_assert_str_eq(drill.record.faults[0].cause, "ECC");
	ck_assert_ptr_nonnull(strstr(drill.record.faults[0].observed, "the latest: 48"));
	release(&drill);
}
END_TEST

/* That nothing failed is a result; that nothing was ever to fail, too. */
START_TEST(no_failure_is_a_result)
{
	struct drill drill;

	run(&drill, BIG_SITE "failures: [{fault: gpu.lost, per_1000_node_days: 0}]\n", 1);
	ck_assert_uint_eq(drill.record.fault_count, 0);
	ck_assert_int_eq(drill.record.exit_code, 0);
	ck_assert_uint_eq(drill.record.repair_count, 1);
	ck_assert(drill.record.repairs[0].count == 0 && isnan(drill.record.repairs[0].mean));
	release(&drill);
	run(&drill, "duration: 1d\ndeployment: {sites: [{name: primary, shape: cpu}]}\n", 1);
	ck_assert_ptr_null(drill.record.repairs);
	release(&drill);
}
END_TEST

/* ---- repair ---- */

/* Noticed after 45 s and diagnosed in no time. */
START_TEST(a_row_has_its_own_repair)
{
	struct drill drill;

	run(&drill,
	    BIG_SITE "failures:\n"
		     "  - {fault: gpu.lost, per_1000_node_days: 0.2, repair: 3h, cause: slow}\n"
		     "  - {fault: node.crash, per_1000_node_days: 0.2}\n",
	    1);
	ck_assert_uint_eq(drill.record.repair_count, 3);
	for (size_t i = 1; i < 3; i++) {
		const struct repair_summary *repair = &drill.record.repairs[i];
		bool slow = strcmp(repair->cause, "slow") == 0;

		ck_assert(slow || strcmp(repair->cause, "node.crash") == 0);
		ck_assert_uint_gt(repair->count, 5);
		ck_assert_double_eq_tol(repair->median, slow ? 180.75 : 20.75, 1e-9);
	}
	release(&drill);
}
END_TEST

/* Ten faults in an hour, one crew that mends three: it is never idle, the rest waits its turn. */
START_TEST(crews_are_never_more_than_there_are)
{
	struct drill drill;
	double mended;

	for (int crews = 1; crews <= 2; crews++) {
		run(&drill,
		    arena_printf(&arena,
				 "duration: 10d\n"
				 "deployment: {sites: [{name: primary, nodes: 4000, shape: cpu}]}\n"
				 "recovery: {repair: {time: 20m, crews: %d}}\n"
				 "failures: [{fault: node.crash, per_1000_node_days: 60}]\n",
				 crews),
		    3);
		mended = (double)drill.record.repairs[0].count;
		ck_assert(mended <= crews * 720 && mended >= crews * 720 - 10);
		/* What waits for the crew does not fail again: those are left out. */
		expect_count("faults",
			     (double)(drill.record.fault_count + drill.record.left_out[0]), 2400);
		ck_assert_uint_gt(drill.record.left_out[0], 100);
		for (size_t i = 0; i < drill.record.fault_count; i++)
			ck_assert(drill.record.faults[i].reverted == TRISTATE_TRUE);
		release(&drill);
	}
}
END_TEST

/* Half of the takeovers do not work; each is decided for itself, all year long. */
START_TEST(coverage_holds_in_a_long_run)
{
	struct drill drill;
	double moved = 0, stayed = 0;

	run(&drill,
	    "duration: 365d\n"
	    "deployment:\n"
	    "  sites:\n"
	    "    - {name: primary, nodes: 2, shape: gpu.8xh100-sxm}\n"
	    "    - {name: backup, nodes: 2, shape: gpu.8xh100-sxm, standby: {heat: hot}}\n"
	    "  endpoints: [{name: chat, site: primary, gpus_per_replica: 8}]\n"
	    "detector: {kind: fixed, delay: 30s}\n"
	    "recovery: {coverage: 50%, repair: {time: 1h}}\n"
	    "failures: [{fault: node.crash, per_1000_node_days: 500}]\n",
	    1);
	for (size_t i = 0; i < drill.record.incident_count; i++) {
		moved += drill.record.incidents[i].path == PATH_FAILOVER;
		stayed += drill.record.incidents[i].path != PATH_FAILOVER;
	}
	ck_assert(moved + stayed > 300);
	ck_assert_double_eq_tol(moved / (moved + stayed), 0.5,
				SIGMAS * sqrt(0.25 / (moved + stayed)));
	release(&drill);
}
END_TEST

/* The timeline alone says the same as the record: from each injection to its own revert. */
START_TEST(down_times_are_those_of_the_timeline)
{
	struct drill drill;
	double *begun, sum = 0, count = 0;
	char *text, *line, *next;

	workplace_enter("failures");
	run_to(&drill, MIXED_SITES MIXED_ROWS, 4, "events");
	begun = arena_array(&arena, drill.record.fault_count, sizeof(*begun));
	text = workplace_read("events");
	for (line = text; *line; line = next) {
		const char *kind;
		cJSON *event;
		size_t which;
		double at;

		next = strchr(line, '\n');
		*next++ = '\0';
		event = cJSON_Parse(line);
		kind = cJSON_GetStringValue(cJSON_GetObjectItem(event, "event"));
		if (strncmp(kind, "fault.", 6) == 0) {
			which = (size_t)cJSON_GetObjectItem(event, "injection")->valuedouble;
			ck_assert_uint_lt(which, drill.record.fault_count);
			at = cJSON_GetObjectItem(event, "t_ns")->valuedouble;
			if (strcmp(kind, "fault.inject") == 0)
				begun[which] = at;
			if (strcmp(kind, "fault.revert") == 0 &&
			    strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(event, "cause")),
				   "end") != 0) {
				sum += (at - begun[which]) / (double)NANOS_MINUTE;
				count++;
			}
		}
		cJSON_Delete(event);
	}
	ck_assert(count > 20 && count == (double)drill.record.repairs[0].count);
	ck_assert_double_eq_tol(sum / count, drill.record.repairs[0].mean, 1e-6);
	free(text);
	release(&drill);
	workplace_leave();
}
END_TEST

/* ---- determinism ---- */

START_TEST(the_same_seed_gives_the_same_bytes)
{
	static const uint64_t seeds[] = {1, 1, 2};
	static const char *const names[] = {"first", "again", "other"};
	char *texts[3];

	workplace_enter("failures");
	for (int i = 0; i < 3; i++) {
		struct drill drill;

		run_to(&drill, MIXED_SITES MIXED_ROWS, seeds[i], names[i]);
		release(&drill);
		texts[i] = workplace_read(names[i]);
	}
	ck_assert_uint_gt(strlen(texts[0]), 10000);
	ck_assert_str_eq(texts[0], texts[1]);
	ck_assert_str_ne(texts[0], texts[2]);
	for (int i = 0; i < 3; i++)
		free(texts[i]);
	workplace_leave();
}
END_TEST

/* A step, or another row behind it, shifts nothing that a row draws. */
START_TEST(streams_are_apart)
{
	static const char *const more[] = {
		"",
		"steps: [{at: {every: 1d}, fault: node.hang, target: 'plain/node[*]', select: one, "
		"for: 1s}]\n",
	};
	char *targets[2] = {NULL};
	size_t size;

	for (int i = 0; i < 2; i++) {
		FILE *list = open_memstream(&targets[i], &size);
		struct drill drill;

		ck_assert_ptr_nonnull(list);
		run(&drill, arena_printf(&arena, "%s%s%s", MIXED_SITES, more[i], MIXED_ROWS), 5);
		for (size_t k = 0; k < drill.record.fault_count; k++)
			if (drill.record.faults[k].cause)
				fprintf(list, "%s %s\n", drill.record.faults[k].cause,
					drill.record.faults[k].target);
		ck_assert_int_eq(fclose(list), 0);
		release(&drill);
	}
	ck_assert_uint_gt(strlen(targets[0]), 500);
	ck_assert_str_eq(targets[0], targets[1]);
	free(targets[0]);
	free(targets[1]);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "presets: rates", presets_fail_as_published, PRESETS);
	add(suite, "presets: rows", rows_of_presets_are_sound, PRESETS);
	add(suite, "presets: llama3", llama3_meets_419, 1);
	add(suite, "llama3 trains", llama3_trains, 1);
	add(suite, "lemons", lemons_take_their_share, 1);
	add(suite, "lemons: infinitehbd", infinitehbd_has_its_lemons, 1);
	add(suite, "hits", each_fault_finds_what_it_hits, (int)(sizeof(hits) / sizeof(hits[0])));
	add(suite, "parameters", a_row_takes_the_parameters_of_its_fault, 1);
	add(suite, "none", no_failure_is_a_result, 1);
	add(suite, "repair: own", a_row_has_its_own_repair, 1);
	add(suite, "repair: crews", crews_are_never_more_than_there_are, 1);
	add(suite, "coverage", coverage_holds_in_a_long_run, 1);
	add(suite, "repair: timeline", down_times_are_those_of_the_timeline, 1);
	add(suite, "same seed", the_same_seed_gives_the_same_bytes, 1);
	add(suite, "streams", streams_are_apart, 1);
}

TEST_MAIN("failures", add_cases)
