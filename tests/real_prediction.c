/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the simulator, calibrated on real drills, say what other real drills measure? Drills of one
 * scenario, each with a seed of its own; every other one is calibrated on, the rest is predicted.
 * So few in check-real that only the way through is shown; ten and ten in a soak, which judges.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/process_drills.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define PAIRS_MAX 10
#define FOLDER_MAX 32
#define COVERED_MIN 8 /* of ten drills in a 90 % interval */
#define WIDTH_MAX 2.0 /* of the interval, in spreads of the measured ones */

static const struct drill_plan plan = {
	.name = "predicted",
	.duration = "230s",
	.detect = "misses: 2",
	.steps = "  - {at: 80s, fault: gpu.lost, target: \"primary/node[0]/gpu[1]\", for: "
		 "repaired}\n",
};

static char folders[2 * PAIRS_MAX][FOLDER_MAX];

static void drills(int pairs)
{
	for (int i = 0; i < 2 * pairs; i++) {
		char seed[16];
		const char *const words[] = {"--seed", seed, NULL};

		snprintf(seed, sizeof(seed), "%d", i + 1);
		snprintf(folders[i], FOLDER_MAX, "drill-%d", i + 1);
		int code = drill_run("predicted", folders[i], words);
		ck_assert_msg(code == 0 || code == 1, "drill %d ended with %d", i + 1, code);
	}
}

/* drsim with these words and every other folder, from `first`. */
static void command(const char *log, const char *const *words, int pairs, int first)
{
	const char *all[PAIRS_MAX + 16];
	size_t count = 0;

	while (words[count]) {
		all[count] = words[count];
		count++;
	}
	for (int i = first; first >= 0 && i < 2 * pairs; i += 2)
		all[count++] = folders[i];
	all[count] = NULL;
	int code = drill_wait(drill_command(log, all), 120);
	ck_assert_msg(code == 0 || code == 1, "drsim %s ended with %d", words[0], code);
}

static cJSON *comparison(void)
{
	char *text = workplace_read("compare.json");
	cJSON *json = cJSON_Parse(text);

	free(text);
	ck_assert_ptr_nonnull(json);
	return json;
}

static double number(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	ck_assert_msg(cJSON_IsNumber(item), "no number '%s'", name);
	return item->valuedouble;
}

static const cJSON *frt_of(const cJSON *json)
{
	const cJSON *row;

	cJSON_ArrayForEach (row, cJSON_GetObjectItemCaseSensitive(json, "measures")) {
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(row, "name");
		if (cJSON_IsString(name) && strcmp(name->valuestring, "frt") == 0)
			return row;
	}
	ck_abort_msg("no measure 'frt' in the comparison");
	return NULL;
}

START_TEST(real_drills_are_predicted)
{
	const char *soak = getenv("DRSIM_SOAK");
	int pairs = soak && strcmp(soak, "1") == 0 ? PAIRS_MAX : 2;
	const char *const calibrate[] = {"calibrate", "-o", "profile.yaml", NULL};
	const char *const predict[] = {"run",      "predicted.yaml", "--profile",  "profile.yaml",
				       "--trials", "1000",           "--no-plots", "--quiet",
				       "--out",    "prediction",     NULL};
	const char *const compare[] = {"compare", "--json", "prediction", NULL};

	workplace_enter("prediction");
	drill_write(&plan);
	drills(pairs);
	command("calibrate", calibrate, pairs, 0);
	command("predict", predict, pairs, -1);
	command("compare.json", compare, pairs, 1);
	cJSON *json = comparison();
	const cJSON *frt = frt_of(json);
	double inside = number(frt, "inside"), of = number(frt, "n");
	ck_assert_int_eq((int)of, pairs);
	printf("prediction: %.0f of %d drills inside the 90 %% interval of FRT%s\n", inside, pairs,
	       pairs < PAIRS_MAX ? "; so few are not judged" : "");
	if (pairs == PAIRS_MAX) {
		printf("prediction: that interval is %.2f spreads wide\n", number(frt, "ratio"));
		ck_assert_int_ge((int)inside, COVERED_MIN);
		ck_assert_double_le(number(frt, "ratio"), WIDTH_MAX);
	}
	cJSON_Delete(json);
	ck_assert_str_eq(drill_left(0), "");
	workplace_leave();
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *tcase = tcase_create("prediction");

	tcase_add_test(tcase, real_drills_are_predicted);
	tcase_set_timeout(tcase, 1800);
	suite_add_tcase(suite, tcase);
}

TEST_MAIN("prediction", add_cases)
