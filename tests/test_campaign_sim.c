/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Campaigns on the simulator: the results do not depend on how many threads share the trials. A
 * worker runs its trials one after another in the same simulated world, so this also finds whatever
 * one trial leaves behind for the next.
 */
/* valgrind: skip */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "core/campaign.h"
#include "tests/test.h"

#define PATH_SIZE 512
#define CASE_TIMEOUT 300 /* s; the slowest takes a tenth with AddressSanitizer */
#define THREADS_MAX 16
/* The first one is run alone. Of the others each thread can have one in a world of its own, and one
 * thread has two at least; a single thread has them all in a row. */
#define TRIALS (THREADS_MAX + 2)

struct outcome {
	struct arena arena;
	struct scenario *scenario;
	struct run *run;
	struct record record;
};

static void campaign(struct outcome *outcome, const char *path, uint32_t threads)
{
	struct timeline timeline;
	struct error errors[1] = {{0}};
	struct run_options options = {.driver = driver_find("sim"), .seed = 20, .threads = threads};
	size_t count;

	*outcome = (struct outcome){0};
	ck_assert_ptr_nonnull(options.driver);
	ck_assert_msg(scenario_load(path, NULL, 0, &outcome->arena, &outcome->scenario, errors, 1,
				    &count) == 0,
		      "%s: %s", path, errors[0].text);
	ck_assert_int_eq(run_new(outcome->scenario, &options, &outcome->run, errors), 0);
	ck_assert_int_eq(timeline_open(&timeline, NULL, errors), 0);
	outcome->record =
		(struct record){.scenario = outcome->scenario, .seed = 20, .headline = -1};
	ck_assert_msg(run_trial(outcome->run, 0, &timeline, &outcome->record, errors) == 0, "%s",
		      errors[0].text);
	ck_assert_msg(campaign_run(outcome->scenario, &options, TRIALS, &outcome->record,
				   &outcome->arena, errors) == 0,
		      "%s: %s", path, errors[0].text);
}

static void forget(struct outcome *outcome)
{
	run_free(outcome->run);
	arena_free(&outcome->arena);
}

static void same(const char *path, const struct campaign *a, const struct campaign *b)
{
	ck_assert_uint_eq(a->trials, b->trials);
	ck_assert_uint_eq(a->censored, b->censored);
	ck_assert_uint_eq(a->invalid, b->invalid);
	ck_assert_mem_eq(a->paths, b->paths, sizeof(a->paths));
	ck_assert_mem_eq(a->met_fraction, b->met_fraction, sizeof(a->met_fraction));
	for (size_t i = 0; i < MEASURES; i++) {
		const struct summary *one = &a->measures[i], *other = &b->measures[i];

		ck_assert_msg(one->n == other->n && one->censored == other->censored, "%s: %s",
			      path, measure_names[i]);
		ck_assert_msg(one->n == 0 || memcmp(one->sorted, other->sorted,
						    one->n * sizeof(double)) == 0,
			      "%s: %s depends on the threads", path, measure_names[i]);
	}
}

static int is_scenario(const struct dirent *entry)
{
	return strstr(entry->d_name, ".yaml") != NULL;
}

/* Puts the path of the scenario of this number, from 0, into `path`; returns how many there are. */
static int find_scenario(int number, char path[PATH_SIZE])
{
	struct dirent **entries;
	int count = scandir("scenarios", &entries, is_scenario, alphasort);

	for (int i = 0; i < count; i++) {
		if (i == number)
			snprintf(path, PATH_SIZE, "scenarios/%s", entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return count;
}

START_TEST(threads_do_not_matter)
{
	static const uint32_t threads[] = {2, THREADS_MAX};
	struct outcome one, many;
	char path[PATH_SIZE];

	ck_assert_int_lt(_i, find_scenario(_i, path));
	campaign(&one, path, 1);
	for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
		campaign(&many, path, threads[i]);
		same(path, one.record.campaign, many.record.campaign);
		forget(&many);
	}
	forget(&one);
}
END_TEST

static void add_cases(Suite *suite)
{
	char path[PATH_SIZE];

	TCase *tcase = tcase_create("threads");
	tcase_set_timeout(tcase, CASE_TIMEOUT);
	tcase_add_loop_test(tcase, threads_do_not_matter, 0, find_scenario(0, path));
	suite_add_tcase(suite, tcase);
}

TEST_MAIN("campaign on the simulator", add_cases)
