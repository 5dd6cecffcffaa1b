/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials: what is told from any other text, what of a scenario is refused and by which error;
 * and tokens planted in the environment, in URLs and in headers, which stand in nothing that a
 * drill leaves or says.
 */
/* valgrind: skip */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/fault.h"
#include "core/scenario.h"
#include "core/secret.h"
#include "tests/planted.h"
#include "tests/spawned.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define TIMEOUT_S 120

/* ---- what looks like one ---- */

static const struct {
	const char *text, *secret; /* NULL: there is none */
	bool word;
} texts[] = {
	{"http://u:hunter2@h/", "hunter2", false},
	{"see postgres://app:s3cr3t@db:5432/x, daily", "s3cr3t", false},
	{"http://h:80/p@th", NULL, false},
	{"ssh://git@host/x", NULL, false},
	{"http://u:${env:PW}@h/", NULL, false},
	{"http://u:@h/", NULL, false},
	{"http://a/ and http://u:p@h", "p", false},
	{"http://h/x?token=abc&y=1", "abc", false},
	{"/health?x=1&api_key=abc#top", "abc", false},
	{"https://s3/x?X-Amz-Signature=0f0f", "0f0f", false},
	{"/x?token=${env:T}", NULL, false},
	{"/x?next_token_id=3", NULL, false},
	{"Authorization: Bearer abc", "abc", false},
	{"authorization:basic dXNlcg==", "dXNlcg==", false},
	{"Authorization: Bearer ${env:T}", NULL, false},
	{"authorization: needed by the board", NULL, false},
	{"-----BEGIN PRIVATE KEY-----\nabc", "-----BEGIN PRIVATE KEY-----\nabc", false},
	{"ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
	 false},
	{"AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", false},
	{"task-abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq", NULL, false},
	{"a token that is short: sk-abc", NULL, false},
	{"password: x", NULL, false}, /* prose */
	{"--password=x", "x", true},
	{"PGPASSWORD=x", "x", true},
	{"X-Api-Key: abc", "abc", true},
	{"Cookie: a=b", "a=b", true},
	{"--token-file=/run/t", NULL, true},
	{"--requirepass", NULL, true},
	{"PGPASSWORD=${env:PGPASSWORD}", NULL, true},
	{"PWD=/tmp", NULL, true},
	{"--max-tokens=3", NULL, true},
	{"--bypass=x", NULL, true},
};

START_TEST(credentials_are_told_apart)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct secret secret;
		bool found = texts[i].word ? secret_find_word(texts[i].text, &secret)
					   : secret_find(texts[i].text, &secret);

		ck_assert_msg(found == (texts[i].secret != NULL), "%s", texts[i].text);
		if (!found)
			continue;
		ck_assert_msg(secret.length == strlen(texts[i].secret) &&
				      strncmp(texts[i].text + secret.at, texts[i].secret,
					      secret.length) == 0,
			      "%s: %.*s", texts[i].text, (int)secret.length,
			      texts[i].text + secret.at);
	}
}
END_TEST

static const struct {
	const char *text, *masked;
} lines[] = {
	{"nothing here", "nothing here"},
	{"  env: {PGPASSWORD: hunter2, LANG: C}", "  env: {PGPASSWORD: *******, LANG: C}"},
	{"  env: {\"PGPASSWORD\": \"hun ter\", LANG: C}",
	 "  env: {\"PGPASSWORD\": ********\", LANG: C}"},
	{"[server, --password, hunter2, --token, -v]",
	 "[server, --password, *******, --token, -v]"},
	{"server --password hunter2 --verbose", "server --password ******* --verbose"},
	{"PGPASSWORD=x command", "PGPASSWORD=* command"},
	{"GET http://u:p1@h/?token=ab&x=1 and http://v:p2@h/",
	 "GET http://u:**@h/?token=**&x=1 and http://v:**@h/"},
	{"Authorization: Bearer abc", "Authorization: **********"},
	{"PGPASSWORD: ${env:PGPASSWORD}", "PGPASSWORD: ${env:PGPASSWORD}"},
};

START_TEST(credentials_are_covered)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char text[256];

		snprintf(text, sizeof(text), "%s", lines[i].text);
		secret_mask(text);
		ck_assert_str_eq(text, lines[i].masked);
	}
}
END_TEST

START_TEST(values_are_hidden)
{
	char text[] = "login as app with s3cr3t failed: s3cr3t is wrong; C is the language";

	setenv("APP_PASSWORD", "s3cr3t", 1);
	setenv("APP_TOKEN", "C", 1); /* too short to be told from any letter */
	secret_hide_environment(text);
	ck_assert_str_eq(text,
			 "login as app with ****** failed: ****** is wrong; C is the language");
}
END_TEST

/* No key of a scenario and no parameter of a fault has a name that would make its value one. */
START_TEST(no_parameter_is_taken_for_one)
{
	for (size_t i = 0; fault_table[i]; i++)
		for (const struct param *row = fault_table[i]->params; row && row->name; row++)
			ck_assert_msg(!secret_is_name(row->name, strlen(row->name)), "%s.%s",
				      fault_table[i]->name, row->name);
}
END_TEST

/* ---- what a scenario must not hold ---- */

static void write_scenario(const char *name, const char *top, const char *service,
			   const char *backup)
{
	FILE *file = fopen(name, "we");

	ck_assert_ptr_nonnull(file);
	fprintf(file,
		"apiVersion: drsim/v1\n"
		"name: planted\n"
		"%s"
		"duration: 1h\n"
		"objectives: {frt: 10m}\n"
		"deployment:\n"
		"  sites:\n"
		"    - {name: primary, nodes: 2, gpus: 0}\n"
		"    - {name: backup, nodes: 2, gpus: 0, standby: {heat: warm}}\n"
		"  links: [{between: [primary, backup], rate: 1Gbit/s}]\n"
		"  services:\n"
		"    - name: db\n"
		"      site: primary\n"
		"      command: [server, \"${PORT}\"]\n"
		"      ledger: {command: [adapter, \"${PORT}\"]}\n"
		"      load: {rate: 20/s, service_time: 1ms}\n"
		"%s"
		"  data: {io: {bytes: 1MB, change: 1kB/s, records: 20/s}}\n"
		"  store: {site: backup, read: 1GB/s, write: 1GB/s}\n"
		"backup: {every: 10m%s}\n"
		"detector: {kind: probe, interval: 10s, timeout: 1s, misses: 3}\n"
		"steps: [{at: 30m, fault: node.crash, target: \"primary/node[0]\"}]\n",
		top, service, backup);
	ck_assert_int_eq(fclose(file), 0);
}

static const char after[] = " does not belong into a scenario";

/* Where a scenario can hold a credential: the top, a service, the backup's commands. */
static const struct {
	const char *top, *service, *backup, *what;
} plantings[] = {
	{"", "      env: {PGPASSWORD: planted-2-94bb31}\n", "", "a credential"},
	{"", "      env: {DSN: \"postgres://app:planted-2-94bb31@db/x\"}\n", "",
	 "a URL with a password"},
	{"", "      env: {HEADER: \"Authorization: Bearer planted-4-3e9a64\"}\n", "",
	 "a header with a credential"},
	{"", "      ready: {http: \"/health?token=planted-3-c07f5d\"}\n", "",
	 "a URL with a credential"},
	{"", "      ready: {exec: [curl, -H, \"X-Api-Key: planted-3-c07f5d\", http://h/]}\n", "",
	 "a credential"},
	{"", "      health: {exec: [curl, \"http://u:planted-3-c07f5d@h/\"]}\n", "",
	 "a URL with a password"},
	{"", "      standby: {command: [server, --password, planted-2-94bb31]}\n", "",
	 "a credential"},
	{"", "      standby: {command: [env, PGPASSWORD=planted-2-94bb31, server]}\n", "",
	 "a credential"},
	{"", "",
	 ", command: [restic, -r, \"rest:http://u:planted-0-5f1d7c@h/\", backup], restore: [x]",
	 "a URL with a password"},
	{"", "", ", command: [tool], restore: [tool, --api-key=planted-5-d12b88]", "a credential"},
	{"description: \"see https://u:planted-6-77c0f9@wiki/dr\"\n", "", "",
	 "a URL with a password"},
	{"drill: {plan: {id: DR-7, api_key: planted-5-d12b88}}\n", "", "", "a credential"},
	{"# curl -H 'Authorization: Bearer planted-4-3e9a64' https://h/\n", "", "",
	 "a header with a credential"},
};

START_TEST(a_literal_credential_is_refused)
{
	struct spawned run;

	write_scenario("p.yaml", plantings[_i].top, plantings[_i].service, plantings[_i].backup);
	for (int command = 0; command < 3; command++) {
		static const char *const names[] = {"check", "run", "plan"};

		run = SPAWN(workplace_program, names[command], "p.yaml");
		ck_assert_msg(run.code == 2, "%s: exit %d: %s", names[command], run.code, run.out);
		planted_nowhere_in("standard output", run.out);
		planted_nowhere_in("standard error", run.err);
		ck_assert_ptr_nonnull(strstr(run.err, plantings[_i].what));
		ck_assert_ptr_nonnull(strstr(run.err, after));
		ck_assert_ptr_nonnull(strstr(run.err, "${env:NAME}"));
		ck_assert_int_eq(strncmp(run.err, "p.yaml:", 7), 0);
		spawned_free(&run);
	}
	ck_assert_int_ne(access("runs", F_OK), 0);
}
END_TEST

/* By --set too, and in the line that another error shows. */
START_TEST(nor_is_it_shown)
{
	struct spawned run;

	write_scenario("p.yaml", "", "", "");
	run = SPAWN(workplace_program, "run", "p.yaml", "--set",
		    "deployment.services[0].env={PGPASSWORD: planted-2-94bb31}");
	ck_assert_int_eq(run.code, 2);
	ck_assert_ptr_nonnull(strstr(run.err, after));
	spawned_free(&run);
	write_scenario("p.yaml", "", "      env: {LANG: [C], PGPASSWORD: planted-2-94bb31}\n", "");
	run = SPAWN(workplace_program, "check", "p.yaml");
	ck_assert_int_eq(run.code, 2);
	planted_nowhere_in("standard error", run.err);
	ck_assert_ptr_nonnull(strstr(run.err, "PGPASSWORD: ****"));
	spawned_free(&run);
	write_scenario("p.yaml", "", "      env: {PGPASSWORD: planted-2-94bb31, LANG: C\n", "");
	run = SPAWN(workplace_program, "check", "p.yaml");
	ck_assert_int_eq(run.code, 2);
	planted_nowhere_in("standard error", run.err);
	spawned_free(&run);
}
END_TEST

/* ---- what a drill leaves ---- */

/* Variables stand in the scenario by name; their values stand nowhere. */
START_TEST(planted_tokens_are_in_no_artefact)
{
	static const char *const more[][4] = {
		{NULL},           {"--trials", "20", NULL},   {"--sham", NULL},
		{"--json", NULL}, {"--driver", "null", NULL},
	};
	size_t files = 0;

	planted_environment();
	write_scenario(
		"p.yaml", "",
		"      env: {PGPASSWORD: \"${env:PGPASSWORD}\",\n"
		"            DSN: \"postgres://app:${env:PGPASSWORD}@db/x\"}\n"
		"      ready: {exec: [curl, -H, \"Authorization: Bearer ${env:API_TOKEN}\",\n"
		"              \"http://u:${env:PLAIN_SETTING}@${ADDRESS}:${PORT}/\"]}\n",
		", command: [tool, \"--api-key=${env:LEPTON_API_KEY}\"], restore: [tool]");
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		const char *words[16] = {workplace_program, "run",   "p.yaml",
					 "--png",           "--out", "out"};
		struct spawned run;
		char *text;

		for (size_t k = 0; more[i][k]; k++)
			words[6 + k] = more[i][k];
		run = spawned_run(words);
		ck_assert_msg(run.code == 0 || run.code == 1 || run.code == 3, "%s", run.err);
		planted_nowhere_in("standard output", run.out);
		planted_nowhere_in("standard error", run.err);
		files += planted_nowhere_below("."); /* the history is there, too */
		text = workplace_read("out/scenario.yaml");
		ck_assert_ptr_nonnull(strstr(text, "${env:PGPASSWORD}"));
		free(text);
		workplace_remove("out");
		spawned_free(&run);
	}
	/* The store of backups takes its token from the environment, and tells nobody. */
	{
		struct spawned run = SPAWN(workplace_program, "backups", "http://127.0.0.1:9");

		ck_assert_int_ne(run.code, 0);
		planted_nowhere_in("standard error", run.err);
		spawned_free(&run);
	}
	ck_assert_uint_gt(files, 25);
	printf("secrets: %d tokens, %zu files of %zu runs: none is in any\n", PLANTED, files,
	       sizeof(more) / sizeof(more[0]));
}
END_TEST

static void setup(void)
{
	workplace_enter("secrets");
}

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, workplace_leave);
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "found", credentials_are_told_apart, 1);
	add(suite, "covered", credentials_are_covered, 1);
	add(suite, "hidden", values_are_hidden, 1);
	add(suite, "parameters", no_parameter_is_taken_for_one, 1);
	add(suite, "refused", a_literal_credential_is_refused,
	    (int)(sizeof(plantings) / sizeof(plantings[0])));
	add(suite, "not shown", nor_is_it_shown, 1);
	add(suite, "planted", planted_tokens_are_in_no_artefact, 1);
}

TEST_MAIN("secrets", add_cases)
