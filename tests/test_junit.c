/* SPDX-License-Identifier: Apache-2.0 */
/*
 * junit.xml of drills of every verdict against the schema that CI systems read by
 * (tests/junit.xsd), by libxml2's validator; and what stands in it as failure, error and skipped.
 */
/* valgrind: skip */
#include <stdio.h>
#include <string.h>

#include "tests/spawned.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define TIMEOUT_S 120

static const struct drill {
	const char *name, *more[6];
	int code;
	bool failure, error, skipped;
} drills[] = {
	{"passed", {NULL}, 0, false, false, false},
	{"missed", {"--set", "objectives.frt=1s"}, 1, true, false, false},
	{"not evaluable", {"--driver", "null"}, 3, false, true, true},
	{"sham", {"--sham"}, 0, false, false, true},
	{"sham with a false alarm",
	 {"--sham", "--set", "detector={kind: poll, blind: true, false_fault: 50%}"},
	 1,
	 false,
	 false,
	 true},
	{"aborted", {"--set", "abort=[{when: 'duration > 40m'}]"}, 5, true, true, false},
	{"campaign", {"--trials", "100"}, 0, false, false, false},
	{"campaign that misses",
	 {"--trials", "100", "--set", "objectives.frt=1s"},
	 1,
	 true,
	 false,
	 false},
	{"hostile name", {"--set", "description=\"<&\\x01 \\\"'\""}, 0, false, false, false},
	{"short", {"--set", "duration=1ms", "--set", "steps=[]"}, 0, false, false, true},
};

static char scenario[2 * PATH_MAX], schema[2 * PATH_MAX];

static void setup(void)
{
	workplace_enter("junit");
	snprintf(scenario, sizeof(scenario), "%s/scenarios/gpu_loss.yaml", workplace_root);
	snprintf(schema, sizeof(schema), "%s/tests/junit.xsd", workplace_root);
}

static struct spawned validate(const char *file)
{
	return SPAWN("xmllint", "--noout", "--nonet", "--schema", schema, file);
}

static void write_junit(const struct drill *drill)
{
	const char *words[16] = {workplace_program, "run",   scenario, "--no-plots",
				 "--quiet",         "--out", "out"};
	struct spawned run;

	for (size_t i = 0; drill->more[i]; i++)
		words[7 + i] = drill->more[i];
	run = spawned_run(words);
	ck_assert_msg(run.code == drill->code, "%s: exit %d\n%s%s", drill->name, run.code, run.out,
		      run.err);
	spawned_free(&run);
}

START_TEST(it_keeps_the_schema)
{
	const struct drill *drill = &drills[_i];
	struct spawned lint;
	char *text;

	write_junit(drill);
	text = workplace_read("out/junit.xml");
	ck_assert_msg((strstr(text, "<failure ") != NULL) == drill->failure, "%s:\n%s", drill->name,
		      text);
	ck_assert_msg((strstr(text, "<error ") != NULL) == drill->error, "%s:\n%s", drill->name,
		      text);
	ck_assert_msg((strstr(text, "<skipped ") != NULL) == drill->skipped, "%s:\n%s", drill->name,
		      text);
	if (spawned_have("xmllint", "junit.xml is not held against its schema")) {
		lint = validate("out/junit.xml");
		ck_assert_msg(lint.code == 0, "%s: %s%s", drill->name, lint.err, text);
		spawned_free(&lint);
	}
	free(text);
}
END_TEST

/* A schema that takes anything would prove nothing. */
START_TEST(the_schema_refuses_what_is_wrong)
{
	static const struct {
		const char *from, *to;
	} twists[] = {
		{" tests=\"", " tests=\"many"},
		{" time=\"", " time=\"1e-3 "},
		{"<testcase name=", "<testcase title="},
		{"</testcase>", "</testcase><nonsense/>"},
		{"timestamp=\"", "timestamp=\"soon "},
		{"<failure ", "<failure grade=\"1\" "},
		{"<testsuite ", "<testsuite ><testsuite "},
		{"skipped=\"", "omitted=\""},
	};
	char *text;

	if (!spawned_have("xmllint", "tests/junit.xsd is not tried"))
		return;
	write_junit(&drills[1]);
	text = workplace_read("out/junit.xml");
	for (size_t i = 0; i < sizeof(twists) / sizeof(twists[0]); i++) {
		const char *at = strstr(text, twists[i].from);
		FILE *file = fopen("twisted.xml", "we");
		struct spawned lint;

		ck_assert_msg(at != NULL, "no %s", twists[i].from);
		fprintf(file, "%.*s%s%s", (int)(at - text), text, twists[i].to,
			at + strlen(twists[i].from));
		fclose(file);
		lint = validate("twisted.xml");
		ck_assert_msg(lint.code != 0, "%s", twists[i].to);
		spawned_free(&lint);
	}
	free(text);
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *tcase = tcase_create("junit.xml");

	tcase_add_checked_fixture(tcase, setup, workplace_leave);
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_loop_test(tcase, it_keeps_the_schema, 0,
			    (int)(sizeof(drills) / sizeof(drills[0])));
	tcase_add_test(tcase, the_schema_refuses_what_is_wrong);
	suite_add_tcase(suite, tcase);
}

TEST_MAIN("junit", add_cases)
