/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files for CI systems that users copy. Their form: YAML, with keys that the system knows (a
 * list of those in use), schedule, artefacts, cache, secrets. And their scripts are run: with a
 * stand-in that ends as it is told, for every exit code and for the signing key, and with the
 * program itself. Of the Jenkinsfile, which is Groovy, brackets, quotes and blocks are looked at,
 * not the language.
 */
/* valgrind: skip */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/yaml.h"
#include "tests/spawned.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define TIMEOUT_S 120
#define KEY "-----BEGIN PRIVATE KEY-----\nplanted-signing-key\n-----END PRIVATE KEY-----"

static struct arena arena;

/* Ends as EXIT says, and remembers what it was called with: its words, its environment, and the
 * mode and content of the key. */
static const char stand_in[] =
	"#!/bin/bash\n"
	"printf '%s\\n' \"drsim $*\" >>calls\n"
	"env >>environment\n"
	"if [ \"$1\" = trend ]; then exit \"$TREND\"; fi\n"
	"while [ $# -gt 0 ]; do\n"
	"\tif [ \"$1\" = --sign ]; then stat -c %a \"$2\" >mode; cp \"$2\" key; fi\n"
	"\tshift\n"
	"done\n"
	"mkdir -p drill && echo '# report' >drill/report.md\n"
	"exit \"$EXIT\"\n";

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static void setup(void)
{
	arena = (struct arena){0};
	workplace_enter("ci");
	ck_assert_int_eq(mkdir("stand-in", 0777), 0);
	write_file("stand-in/drsim", stand_in, 0755);
	write_file("secret", KEY "\n", 0644);
}

static void teardown(void)
{
	workplace_leave();
	arena_free(&arena);
}

static char *read_template(const char *name)
{
	return workplace_read(arena_printf(&arena, "%s/ci/%s", workplace_root, name));
}

static struct yaml_node *parse(const char *name)
{
	char *text = read_template(name);
	struct yaml_node *root = NULL;
	struct error e = {0};

	ck_assert_msg(
		yaml_parse(arena_strdup(&arena, name), text, strlen(text), &arena, &root, &e) == 0,
		"%s:%u:%u: %s", name, e.place.line, e.place.column, e.text);
	ck_assert_ptr_null(strchr(text, '\t'));
	free(text);
	return root;
}

/* ---- keys ---- */

static bool among(const char *const *words, const char *word)
{
	for (; *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

#define KEYS(node, ...) expect_keys(node, (const char *const[]){__VA_ARGS__, NULL})

static void expect_keys(const struct yaml_node *map, const char *const *known)
{
	ck_assert_ptr_nonnull(map);
	ck_assert_int_eq(map->kind, YAML_KIND_MAP);
	for (const struct yaml_node *item = map->first; item; item = item->next)
		ck_assert_msg(among(known, item->key->text), "%s:%u: unknown key %s",
			      item->key->place.file, item->key->place.line, item->key->text);
}

static const struct yaml_node *at(const struct yaml_node *node, const char *const *path)
{
	for (; *path && node; path++)
		node = yaml_get(node, *path);
	return node;
}
#define AT(node, ...) at(node, (const char *const[]){__VA_ARGS__, NULL})

static bool says(const struct yaml_node *node, const char *part)
{
	return node && node->kind == YAML_KIND_SCALAR && strstr(node->text, part);
}

/* Five fields of cron, each a number or a star. */
static void expect_cron(const char *text)
{
	int fields = 0;

	while (*text) {
		size_t length = strcspn(text, " ");

		ck_assert_msg(length > 0 && strspn(text, "0123456789*/,-H") == length, "%s", text);
		fields++;
		text += length;
		text += *text == ' ';
	}
	ck_assert_int_eq(fields, 5);
}

static const struct yaml_node *step_with(const struct yaml_node *steps, const char *key,
					 const char *part)
{
	for (const struct yaml_node *step = steps->first; step; step = step->next)
		if (says(yaml_get(step, key), part))
			return step;
	ck_abort_msg("no step has %s: ... %s", key, part);
	return NULL;
}

static int position(const struct yaml_node *steps, const struct yaml_node *wanted)
{
	int number = 0;

	for (const struct yaml_node *step = steps->first; step != wanted; step = step->next)
		number++;
	return number;
}

START_TEST(github_is_in_form)
{
	const struct yaml_node *root = parse("github-actions.yml"), *steps, *drill, *item;

	KEYS(root, "name", "on", "permissions", "concurrency", "env", "jobs");
	KEYS(yaml_get(root, "on"), "schedule", "workflow_dispatch");
	KEYS(yaml_get(root, "permissions"), "contents", "checks");
	KEYS(yaml_get(root, "concurrency"), "group");
	item = AT(root, "on", "schedule");
	ck_assert_int_eq(item->kind, YAML_KIND_LIST);
	expect_cron(yaml_get(item->first, "cron")->text);
	drill = AT(root, "jobs", "drill");
	KEYS(drill, "runs-on", "container", "timeout-minutes", "defaults", "steps");
	steps = yaml_get(drill, "steps");
	for (const struct yaml_node *step = steps->first; step; step = step->next) {
		KEYS(step, "name", "id", "if", "uses", "with", "env", "run");
		ck_assert(yaml_get(step, "name"));
		ck_assert((yaml_get(step, "uses") != NULL) != (yaml_get(step, "run") != NULL));
		if (yaml_get(step, "uses"))
			ck_assert_msg(strstr(yaml_get(step, "uses")->text, "@v") != NULL,
				      "not pinned: %s", yaml_get(step, "uses")->text);
		/* A secret is given to the one step that needs it, and to no command line. */
		if (step != step_with(steps, "id", "drill"))
			ck_assert(!yaml_get(step, "env"));
		ck_assert(!says(yaml_get(step, "run"), "secrets."));
	}
	item = step_with(steps, "uses", "actions/upload-artifact");
	ck_assert(says(yaml_get(item, "if"), "always()"));
	ck_assert(says(AT(item, "with", "path"), "drill"));
	item = step_with(steps, "uses", "junit");
	ck_assert(says(yaml_get(item, "if"), "always()"));
	ck_assert(says(AT(item, "with", "report_paths"), "drill/junit.xml"));
	ck_assert(says(yaml_get(step_with(steps, "uses", "cache/save"), "if"), "always()"));
	ck_assert_int_lt(position(steps, step_with(steps, "uses", "cache/restore")),
			 position(steps, step_with(steps, "id", "drill")));
	ck_assert_int_lt(position(steps, step_with(steps, "run", "trend")),
			 position(steps, step_with(steps, "uses", "cache/save")));
	step_with(steps, "run", "GITHUB_STEP_SUMMARY");
}
END_TEST

START_TEST(gitlab_is_in_form)
{
	const struct yaml_node *root = parse("gitlab-ci.yml"), *drill = yaml_get(root, "drill");
	bool scheduled = false;

	KEYS(root, "stages", "variables", "drill");
	KEYS(drill, "stage", "image", "timeout", "resource_group", "rules", "cache",
	     "before_script", "script", "after_script", "artifacts");
	ck_assert(says(yaml_get(root, "stages")->first, yaml_get(drill, "stage")->text));
	for (const struct yaml_node *rule = yaml_get(drill, "rules")->first; rule;
	     rule = rule->next) {
		KEYS(rule, "if");
		scheduled = scheduled || says(yaml_get(rule, "if"), "\"schedule\"");
	}
	ck_assert(scheduled);
	KEYS(yaml_get(drill, "cache"), "key", "when", "paths");
	ck_assert(says(AT(drill, "cache", "when"), "always"));
	KEYS(yaml_get(drill, "artifacts"), "when", "name", "expose_as", "expire_in", "paths",
	     "reports");
	ck_assert(says(AT(drill, "artifacts", "when"), "always"));
	ck_assert(says(AT(drill, "artifacts", "reports", "junit"), "drill/junit.xml"));
	ck_assert(says(yaml_get(drill, "after_script")->first, "rm -f \"$SIGNING_KEY\""));
}
END_TEST

/* Brackets and braces close in the order in which they opened, outside texts and comments. */
static void expect_balanced(const char *text)
{
	char open[64];
	int depth = 0;

	for (; *text; text++) {
		if (strncmp(text, "//", 2) == 0) {
			text += strcspn(text, "\n");
		} else if (strncmp(text, "'''", 3) == 0) {
			text = strstr(text + 3, "'''");
			ck_assert_msg(text != NULL, "a text without an end");
			text += 2;
		} else if (*text == '\'' || *text == '"') {
			size_t length = strcspn(text + 1, (char[]){*text, '\n', 0});

			ck_assert_msg(text[1 + length] == *text, "a text without an end: %.40s",
				      text);
			text += 1 + length;
		} else if (strchr("([{", *text)) {
			ck_assert_int_lt(depth, 64);
			open[depth++] = *text;
		} else if (strchr(")]}", *text)) {
			ck_assert_int_gt(depth, 0);
			depth--;
			ck_assert_int_eq(open[depth], *text == ')'   ? '('
						      : *text == ']' ? '['
								     : '{');
		}
	}
	ck_assert_int_eq(depth, 0);
}

START_TEST(jenkins_is_in_form)
{
	static const char *const parts[] = {
		"pipeline {",
		"agent {",
		"triggers {",
		"cron('H 2 * * *')",
		"stages {",
		"stage('",
		"steps {",
		"post {",
		"always {",
		"junit ",
		"'drill/junit.xml'",
		"archiveArtifacts ",
		"withCredentials(",
		"timeout(",
		"disableConcurrentBuilds()",
	};
	char *text = read_template("Jenkinsfile");

	ck_assert_ptr_null(strchr(text, '\t'));
	expect_balanced(text);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		ck_assert_msg(strstr(text, parts[i]) != NULL, "no %s", parts[i]);
	expect_cron("H 2 * * *");
	free(text);
}
END_TEST

/* ---- scripts ---- */

/* A script of the Jenkinsfile that has this text in it. */
static const char *jenkins_script(const char *part)
{
	char *file = read_template("Jenkinsfile");
	const char *text = arena_strdup(&arena, file);

	free(file);
	for (const char *begin = strstr(text, "'''"); begin;) {
		const char *end = strstr(begin + 3, "'''");
		const char *found = strstr(begin, part);

		if (found && found < end)
			return arena_strndup(&arena, begin + 3, (size_t)(end - begin) - 3);
		begin = strstr(end + 3, "'''");
	}
	ck_abort_msg("no script has %s", part);
	return NULL;
}

enum system {
	GITHUB,
	GITLAB,
	JENKINS,
	SYSTEMS
};

/* The script that runs the drill, and the one that compares it when that is one of its own. */
static const char *drill_script(enum system system)
{
	const struct yaml_node *root;

	switch (system) {
	case GITHUB:
		root = AT(parse("github-actions.yml"), "jobs", "drill", "steps");
		return yaml_get(step_with(root, "id", "drill"), "run")->text;
	case GITLAB:
		return AT(parse("gitlab-ci.yml"), "drill", "script")->first->text;
	case JENKINS:
		return jenkins_script("--out drill");
	case SYSTEMS:
		break;
	}
	return NULL;
}

static const char *github_script(const char *part)
{
	const struct yaml_node *steps = AT(parse("github-actions.yml"), "jobs", "drill", "steps");

	return yaml_get(step_with(steps, "run", part), "run")->text;
}

/* As the system's runner starts it: a shell that stops at the first failure. */
static struct spawned run_script(enum system system, const char *script)
{
	if (system == JENKINS)
		return SPAWN("sh", "-xe", "-c", script);
	return SPAWN("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script);
}

static void set_environment(enum system system, const char *program_folder, bool sign)
{
	char folder[PATH_MAX], path[3 * PATH_MAX];
	static char first_path[2 * PATH_MAX];

	if (!*first_path)
		snprintf(first_path, sizeof(first_path), "%s", getenv("PATH"));
	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(path, sizeof(path), "%s:%s", program_folder, first_path);
	setenv("PATH", path, 1);
	setenv("SCENARIO", "nightly.yaml", 1);
	setenv("HISTORY", "history/history.db", 1);
	setenv("GITHUB_OUTPUT", "github-output", 1);
	setenv("GITHUB_STEP_SUMMARY", "github-summary", 1);
	setenv("RUNNER_TEMP", folder, 1);
	snprintf(path, sizeof(path), "%s/drsim.key", folder);
	setenv("SIGNING_KEY", path, 1);
	snprintf(path, sizeof(path), "%s/secret", folder);
	/* GitHub gives a secret as a text, the others as a file. */
	if (!sign && system != GITHUB)
		unsetenv("DRSIM_SIGNING_KEY");
	else
		setenv("DRSIM_SIGNING_KEY", !sign ? "" : system == GITHUB ? KEY : path, 1);
}

static const char *stand_in_folder(void)
{
	char folder[PATH_MAX];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	return arena_printf(&arena, "%s/stand-in", folder);
}

static void expect_no_secret(const char *where, const char *text)
{
	ck_assert_msg(!strstr(text, "planted-signing-key"), "%s has the key: %s", where, text);
}

static const char *message_of(enum system system, int code)
{
	static const char *const github[] = {NULL,
					     "::error title=Objective missed::",
					     "::error title=Usage::",
					     "::error title=Not evaluable::",
					     "::error title=Not reverted::",
					     "::error title=Aborted::",
					     "::error title=drsim failed::"},
				 *const others[] = {NULL,
						    "OBJECTIVE MISSED: ",
						    "USAGE: ",
						    "NOT EVALUABLE: ",
						    "NOT REVERTED: ",
						    "ABORTED: ",
						    "DRSIM FAILED: "};

	return system == GITHUB ? github[code] : others[code];
}

/* Each exit code ends the job as it is, with a message of its own. */
START_TEST(exit_codes_are_told_apart)
{
	for (enum system system = GITHUB; system < SYSTEMS; system++)
		for (int code = 0; code <= 6; code++) {
			struct spawned run;

			setenv("EXIT", (char[]){(char)('0' + code), 0}, 1);
			setenv("TREND", "0", 1);
			set_environment(system, stand_in_folder(), false);
			run = run_script(system, drill_script(system));
			ck_assert_msg(run.code == code, "%d: exit %d, not %d: %s%s", system,
				      run.code, code, run.out, run.err);
			for (int other = 1; other <= 6; other++)
				ck_assert_msg((strstr(run.out, message_of(system, other)) !=
					       NULL) == (other == code),
					      "%d, exit %d: %s", system, code, run.out);
			spawned_free(&run);
			if (system == GITHUB) {
				char *output = workplace_read("github-output");

				ck_assert_str_eq(output, arena_printf(&arena, "code=%d\n", code));
				free(output);
				unlink("github-output");
			}
		}
}
END_TEST

/* The gate fails the job, and only it when the drill itself was good or missed an objective. */
START_TEST(a_worse_night_fails)
{
	static const struct {
		int drill, trend, code;
		bool compared;
	} nights[] = {{0, 0, 0, true}, {0, 1, 1, true},  {0, 3, 3, true}, {1, 1, 1, true},
		      {1, 0, 1, true}, {3, 1, 3, false}, {5, 1, 5, false}};

	for (enum system system = GITLAB; system < SYSTEMS; system++)
		for (size_t i = 0; i < sizeof(nights) / sizeof(nights[0]); i++) {
			struct spawned run;
			char *calls;

			unlink("calls");
			setenv("EXIT", (char[]){(char)('0' + nights[i].drill), 0}, 1);
			setenv("TREND", (char[]){(char)('0' + nights[i].trend), 0}, 1);
			set_environment(system, stand_in_folder(), false);
			run = run_script(system, drill_script(system));
			ck_assert_msg(run.code == nights[i].code, "%d, night %zu: exit %d: %s%s",
				      system, i, run.code, run.out, run.err);
			ck_assert_int_eq(strstr(run.out, "WORSE THAN BEFORE: ") != NULL,
					 nights[i].compared && nights[i].trend == 1);
			calls = workplace_read("calls");
			ck_assert_int_eq(
				strstr(calls, "drsim trend --history history/history.db --gate") !=
					NULL,
				nights[i].compared);
			free(calls);
			spawned_free(&run);
		}
}
END_TEST

START_TEST(github_compares_and_summarises)
{
	struct spawned run;
	char *summary;

	for (int trend = 0; trend < 4; trend++) {
		setenv("TREND", (char[]){(char)('0' + trend), 0}, 1);
		set_environment(GITHUB, stand_in_folder(), false);
		run = run_script(GITHUB, github_script("trend"));
		ck_assert_int_eq(run.code, trend);
		ck_assert_int_eq(strstr(run.out, "title=Worse than before") != NULL, trend == 1);
		spawned_free(&run);
	}
	ck_assert_int_eq(mkdir("drill", 0777), 0);
	write_file("drill/report.md", "# PASSED\n", 0644);
	run = run_script(GITHUB, github_script("GITHUB_STEP_SUMMARY"));
	ck_assert_int_eq(run.code, 0);
	spawned_free(&run);
	summary = workplace_read("github-summary");
	ck_assert_str_eq(summary, "# PASSED\n");
	free(summary);
}
END_TEST

/* It is there for drsim alone: mode 600, in no output, in no environment, and gone afterwards. */
START_TEST(the_signing_key_is_kept_safe)
{
	for (enum system system = GITHUB; system < SYSTEMS; system++)
		for (int code = 0; code <= 1; code++) {
			struct spawned run;
			char *mode, *key, *environment;

			setenv("EXIT", code ? "1" : "0", 1);
			setenv("TREND", "0", 1);
			set_environment(system, stand_in_folder(), true);
			unlink("environment");
			unlink("mode");
			run = run_script(system, drill_script(system));
			ck_assert_msg(run.code == code, "%s%s", run.out, run.err);
			expect_no_secret("output", run.out);
			expect_no_secret("output", run.err);
			environment = workplace_read("environment");
			expect_no_secret("environment", environment);
			ck_assert_ptr_null(strstr(environment, "DRSIM_SIGNING_KEY"));
			mode = workplace_read("mode");
			ck_assert_str_eq(mode, "600\n");
			key = workplace_read("key");
			ck_assert_str_eq(key, KEY "\n");
			ck_assert_int_ne(access("drsim.key", F_OK), 0);
			free(environment);
			free(mode);
			free(key);
			spawned_free(&run);
		}
}
END_TEST

/* ---- with the program itself ---- */

/* Every word that the scripts give to drsim is one that it knows. */
START_TEST(drsim_knows_the_words)
{
	static const struct {
		const char *command, *option;
	} used[] = {{"run", "--out"},
		    {"run", "--history"},
		    {"run", "--sign"},
		    {"trend", "--history"},
		    {"trend", "--gate"}};
	size_t seen = 0;

	for (enum system system = GITHUB; system < SYSTEMS; system++) {
		const char *script = drill_script(system);

		for (const char *at_option = strstr(script, " --"); at_option;
		     at_option = strstr(at_option + 1, " --")) {
			size_t length = strspn(at_option + 1, "-abcdefghijklmnopqrstuvwxyz");
			bool known = false;

			for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++)
				known = known ||
					(strlen(used[i].option) == length &&
					 strncmp(used[i].option, at_option + 1, length) == 0);
			ck_assert_msg(known || length == 2, "%.*s is not looked at here",
				      (int)length + 1, at_option);
			seen += known;
		}
	}
	ck_assert_uint_ge(seen, 9);
	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++) {
		struct spawned help = SPAWN(workplace_program, "help", used[i].command);

		ck_assert_msg(help.code == 0, "drsim %s: %s", used[i].command, help.err);
		if (strcmp(used[i].option, "--sign") == 0 && !strstr(help.out, "--sign")) {
			printf("skipped: drsim run has no --sign yet\n");
			spawned_free(&help);
			continue;
		}
		ck_assert_msg(strstr(help.out, used[i].option) != NULL, "drsim %s has no %s",
			      used[i].command, used[i].option);
		spawned_free(&help);
	}
}
END_TEST

static const struct {
	const char *scenario;
	int code;
} real_runs[] = {
	{"scenarios/gpu_loss.yaml", 0},
	{"scenarios/stale_backup.yaml", 1},
	{"tests/bad/duration_bare.yaml", 2},
	{"tests/failing_writes.yaml", 3},
};

START_TEST(a_drill_runs_as_the_files_say)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", workplace_program);
	*strrchr(path, '/') = '\0';
	for (size_t i = 0; i < sizeof(real_runs) / sizeof(real_runs[0]); i++) {
		struct spawned run;
		char *text;

		set_environment((enum system)_i, path, false);
		setenv("SCENARIO",
		       arena_printf(&arena, "%s/%s", workplace_root, real_runs[i].scenario), 1);
		workplace_remove("drill");
		run = run_script((enum system)_i, drill_script((enum system)_i));
		ck_assert_msg(run.code == real_runs[i].code, "%s: exit %d: %s%s",
			      real_runs[i].scenario, run.code, run.out, run.err);
		spawned_free(&run);
		if (real_runs[i].code > 1)
			continue;
		text = workplace_read("drill/junit.xml");
		free(text);
		text = workplace_read("drill/report.md");
		ck_assert_uint_gt(strlen(text), 20);
		free(text);
		ck_assert_int_eq(access("history/history.db", F_OK), 0);
	}
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "github", github_is_in_form, 1);
	add(suite, "gitlab", gitlab_is_in_form, 1);
	add(suite, "jenkins", jenkins_is_in_form, 1);
	add(suite, "exit codes", exit_codes_are_told_apart, 1);
	add(suite, "worse nights", a_worse_night_fails, 1);
	add(suite, "github, after the drill", github_compares_and_summarises, 1);
	add(suite, "signing key", the_signing_key_is_kept_safe, 1);
	add(suite, "words", drsim_knows_the_words, 1);
	add(suite, "drill", a_drill_runs_as_the_files_say, SYSTEMS);
}

TEST_MAIN("ci files", add_cases)
