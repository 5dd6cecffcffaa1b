/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manual page and the completions, which come from the tables of commands: everything that
 * `drsim help` offers stands in them, groff and the shells take them; and what make install puts
 * where.
 */
/* valgrind: skip */
#include <ctype.h>
#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/spawned.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define TIMEOUT_S 240
#define NAMES_MAX 64
#define FILES_MAX 512

static void setup(void)
{
	workplace_enter("pages");
}

static char *page(const char *as)
{
	struct spawned run = SPAWN(workplace_program, "help", "--as", as);

	ck_assert_msg(run.code == 0, "%s", run.err);
	ck_assert_str_eq(run.err, "");
	free(run.err);
	return run.out;
}

static void write_page(const char *as, const char *name)
{
	char *text = page(as);
	FILE *file = fopen(name, "we");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	free(text);
}

/* The commands of the overview: lines of two blanks and a name. */
static size_t command_names(char names[NAMES_MAX][32])
{
	struct spawned run = SPAWN(workplace_program, "help");
	char *rest = NULL;
	size_t count = 0;

	for (char *line = strtok_r(run.out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (strncmp(line, "  ", 2) == 0 && islower((unsigned char)line[2])) {
			ck_assert_uint_lt(count, NAMES_MAX);
			sscanf(line, "%31s", names[count++]);
		}
	ck_assert_uint_gt(count, 10);
	spawned_free(&run);
	return count;
}

/* The options of a command's help, without their dashes. */
static size_t option_names(const char *command, char names[NAMES_MAX][32])
{
	struct spawned run = SPAWN(workplace_program, "help", command);
	char *rest = NULL;
	size_t count = 0;

	for (char *line = strtok_r(run.out, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		const char *at = strstr(line, "--");

		if (strncmp(line, "  -", 3) != 0 || !at || at > line + 8)
			continue;
		ck_assert_uint_lt(count, NAMES_MAX);
		sscanf(at + 2, "%31[a-z0-9-]", names[count++]);
	}
	spawned_free(&run);
	return count;
}

/* ---- the manual ---- */

/* As roff writes a hyphen. */
static const char *escaped(const char *name, char text[80])
{
	size_t used = 0;

	for (; *name; name++) {
		if (*name == '-')
			text[used++] = '\\';
		text[used++] = *name;
	}
	text[used] = '\0';
	return text;
}

START_TEST(the_manual_has_everything)
{
	char commands[NAMES_MAX][32], options[NAMES_MAX][32], *manual = page("man");
	size_t count = command_names(commands), seen = 0;

	for (size_t i = 0; i < count; i++) {
		char section[128], name[80], *begin, *end;

		snprintf(section, sizeof(section), ".SS \"drsim %s", escaped(commands[i], name));
		begin = strstr(manual, section);
		ck_assert_msg(begin != NULL, "no section %s", section);
		end = strstr(begin + 1, "\n.S");
		ck_assert_ptr_nonnull(end);
		*end = '\0';
		for (size_t k = option_names(commands[i], options); k-- > 0; seen++) {
			snprintf(section, sizeof(section), "\\-\\-%s\\fR",
				 escaped(options[k], name));
			ck_assert_msg(strstr(begin, section) != NULL, "drsim %s: no %s",
				      commands[i], section);
		}
		*end = '\n';
	}
	ck_assert_uint_gt(seen, 20);
	for (const char *const *at =
		     (const char *const[]){".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION",
					   "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES",
					   "NO_COLOR", "DRSIM_STATE", NULL};
	     *at; at++)
		ck_assert_msg(strstr(manual, *at) != NULL, "no %s", *at);
	free(manual);
}
END_TEST

START_TEST(the_manual_is_roff)
{
	struct spawned run;

	write_page("man", "drsim.1");
	if (spawned_have("groff", "the manual page is not formatted")) {
		run = SPAWN("groff", "-man", "-Tutf8", "-P-cbu", "-ww", "-b", "drsim.1");
		ck_assert_msg(run.code == 0 && *run.err == '\0', "%s", run.err);
		ck_assert_ptr_nonnull(strstr(run.out, "SYNOPSIS"));
		spawned_free(&run);
	}
	if (spawned_have("mandoc", "the manual page is not linted")) {
		run = SPAWN("mandoc", "-Tlint", "-Werror", "drsim.1");
		ck_assert_msg(run.code == 0, "%s", run.out);
		spawned_free(&run);
	}
}
END_TEST

/* ---- completions ---- */

/* What bash would offer for the words, the last of which is being written; one a line. */
static char *complete(const char *words)
{
	char script[1024];
	struct spawned run;

	snprintf(script, sizeof(script),
		 "source ./drsim.bash && COMP_WORDS=(%s) && COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) "
		 "&& "
		 "_drsim && printf '%%s\\n' \"${COMPREPLY[@]}\"",
		 words);
	run = SPAWN("bash", "--norc", "--noprofile", "-euc", script);
	ck_assert_msg(run.code == 0 && *run.err == '\0', "%s: exit %d, %s", words, run.code,
		      run.err);
	free(run.err);
	return run.out;
}

static bool offers(const char *words, const char *word)
{
	char *text = complete(words), line[128];
	bool found;

	snprintf(line, sizeof(line), "%s\n", word);
	found = strncmp(text, line, strlen(line)) == 0;
	for (const char *at = strchr(text, '\n'); at && !found; at = strchr(at + 1, '\n'))
		found = strncmp(at + 1, line, strlen(line)) == 0;
	free(text);
	return found;
}

START_TEST(bash_completes)
{
	char commands[NAMES_MAX][32], options[NAMES_MAX][32];
	size_t count = command_names(commands);

	write_page("bash", "drsim.bash");
	ck_assert_int_eq(mkdir("folder", 0777), 0);
	fclose(fopen("one.yaml", "we"));
	fclose(fopen("one.txt", "we"));
	for (size_t i = 0; i < count; i++) {
		char words[128], word[80];

		ck_assert_msg(offers("drsim ''", commands[i]), "no %s", commands[i]);
		for (size_t k = option_names(commands[i], options); k-- > 0;) {
			snprintf(words, sizeof(words), "drsim %s --", commands[i]);
			snprintf(word, sizeof(word), "--%s", options[k]);
			ck_assert_msg(offers(words, word), "%s offers no %s", words, word);
		}
	}
	ck_assert(offers("drsim he", "help") && !offers("drsim he", "run"));
	ck_assert(offers("drsim run ''", "one.yaml") && !offers("drsim run ''", "one.txt"));
	ck_assert(offers("drsim run ''", "folder") &&
		  offers("drsim check one.yaml ''", "one.yaml"));
	ck_assert(offers("drsim run one.yaml --driver ''", "process"));
	ck_assert(offers("drsim run one.yaml --driver = pro", "process"));
	ck_assert(offers("drsim run one.yaml --driver =", "sim"));
	ck_assert(offers("drsim run --out ''", "folder") &&
		  !offers("drsim run --out ''", "one.txt"));
	ck_assert(offers("drsim run --profile ''", "one.txt"));
	ck_assert(!offers("drsim run --seed ''", "one.txt"));
	ck_assert(offers("drsim report ''", "folder") && !offers("drsim report ''", "one.txt"));
	ck_assert(offers("drsim list ''", "faults") &&
		  offers("drsim list faults gpu.l", "gpu.lost"));
	ck_assert(offers("drsim list drivers ''", "sim"));
	ck_assert(offers("drsim help ''", "run") && offers("drsim help --as ''", "zsh"));
	ck_assert(offers("drsim calibrate m -o ''", "one.txt"));
	ck_assert(!offers("drsim doctor ''", "one.txt"));
}
END_TEST

START_TEST(zsh_takes_its_completion)
{
	char commands[NAMES_MAX][32], options[NAMES_MAX][32], *text = page("zsh");
	size_t count = command_names(commands);

	ck_assert_int_eq(strncmp(text, "#compdef drsim\n", 15), 0);
	for (size_t i = 0; i < count; i++) {
		char part[128], *begin, *end;

		snprintf(part, sizeof(part), "\n\t\t'%s:", commands[i]);
		ck_assert_msg(strstr(text, part) != NULL, "no %s", commands[i]);
		snprintf(part, sizeof(part), "\n\t%s)\n", commands[i]);
		begin = strstr(text, part);
		ck_assert_msg(begin != NULL, "no case of %s", commands[i]);
		end = strstr(begin, ";;");
		ck_assert_ptr_nonnull(end);
		for (size_t k = option_names(commands[i], options); k-- > 0;) {
			const char *at;

			snprintf(part, sizeof(part), "--%s", options[k]);
			at = strstr(begin, part);
			ck_assert_msg(at && at < end, "%s: no %s", commands[i], part);
		}
	}
	free(text);
	if (spawned_have("zsh", "its completion is only read")) {
		struct spawned run;

		write_page("zsh", "_drsim");
		run = SPAWN("zsh", "-f", "-n", "_drsim");
		ck_assert_msg(run.code == 0 && *run.err == '\0', "%s", run.err);
		spawned_free(&run);
	}
}
END_TEST

START_TEST(other_pages_are_refused)
{
	struct spawned run = SPAWN(workplace_program, "help", "--as", "bahs");

	ck_assert_int_eq(run.code, 2);
	ck_assert_ptr_nonnull(strstr(run.err, "did you mean 'bash'?"));
	ck_assert_str_eq(run.out, "");
	spawned_free(&run);
	run = SPAWN(workplace_program, "help", "run", "--as", "man");
	ck_assert_int_eq(run.code, 2);
	spawned_free(&run);
}
END_TEST

/* ---- make install ---- */

static struct {
	char path[FILES_MAX][256];
	size_t count;
} tree;

static int note(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)at;
	if (type == FTW_D)
		return 0;
	ck_assert_uint_lt(tree.count, FILES_MAX);
	snprintf(tree.path[tree.count++], sizeof(tree.path[0]), "%s", path);
	return 0;
}

static void look_at(const char *folder)
{
	tree.count = 0;
	ck_assert_int_eq(nftw(folder, note, 16, FTW_PHYS), 0);
}

static bool has(const char *path, mode_t mode)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISREG(status.st_mode) &&
	       (status.st_mode & 0777) == mode;
}

/* make with the build that is tested: nothing is made anew. */
static void make(const char *target, const char *destination)
{
	const char *build = getenv("DRSIM_BUILD");
	char mode[64], root[512], to[PATH_MAX + 16];
	const char *slash = strrchr(build, '/');
	struct spawned run;

	snprintf(root, sizeof(root), "BUILD=%.*s", (int)(slash - build), build);
	snprintf(mode, sizeof(mode), "MODE=%s", slash + 1);
	snprintf(to, sizeof(to), "DESTDIR=%s", destination);
	run = SPAWN("make", "-C", workplace_root, "--no-print-directory", mode, root, to, target);
	ck_assert_msg(run.code == 0, "make %s: %.1500s%.1500s", target, run.out, run.err);
	ck_assert_msg(!strstr(run.out, "  CC "), "make %s compiles: %.1500s", target, run.out);
	spawned_free(&run);
}

START_TEST(install_and_uninstall)
{
	static const struct {
		const char *path;
		mode_t mode;
	} expected[] = {
		{"bin/drsim", 0755},
		{"bin/minilepton", 0755},
		{"share/man/man1/drsim.1", 0644},
		{"share/bash-completion/completions/drsim", 0644},
		{"share/zsh/site-functions/_drsim", 0644},
		{"share/drsim/scenarios/gpu_loss.yaml", 0644},
		{"share/drsim/scenarios/scenario.schema.json", 0644},
		{"share/drsim/reports/record.schema.json", 0644},
		{"share/drsim/ci/github-actions.yml", 0644},
		{"share/drsim/ci/gitlab-ci.yml", 0644},
		{"share/drsim/ci/Jenkinsfile", 0644},
	};
	char path[PATH_MAX], folder[PATH_MAX], to[PATH_MAX + 16];
	struct spawned run;

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(to, sizeof(to), "%s/a root", folder); /* a blank in it is a blank */
	make("install", to);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		snprintf(path, sizeof(path), "a root/usr/local/%s", expected[i].path);
		ck_assert_msg(has(path, expected[i].mode), "%s", path);
	}
	look_at("a root");
	for (size_t i = 0; i < tree.count; i++)
		ck_assert_msg(strncmp(tree.path[i], "a root/usr/local/", 17) == 0, "%s",
			      tree.path[i]);
	run = SPAWN("a root/usr/local/bin/drsim", "--version");
	ck_assert_int_eq(run.code, 0);
	spawned_free(&run);
	/* What somebody else has put there stays. */
	fclose(fopen("a root/usr/local/share/drsim/scenarios/mine.yaml", "we"));
	fclose(fopen("a root/usr/local/share/man/man1/other.1", "we"));
	fclose(fopen("a root/usr/local/bin/other", "we"));
	make("uninstall", to);
	look_at("a root");
	ck_assert_uint_eq(tree.count, 3);
	ck_assert(access("a root/usr/local/share/drsim/reports", F_OK) && errno == ENOENT);
	ck_assert_int_eq(unlink("a root/usr/local/share/drsim/scenarios/mine.yaml"), 0);
	make("install", to);
	make("uninstall", to);
	ck_assert(access("a root/usr/local/share/drsim", F_OK) && errno == ENOENT);
	make("uninstall", to); /* again: nothing to do is no failure */
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, workplace_leave);
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "manual, everything", the_manual_has_everything);
	add(suite, "manual, roff", the_manual_is_roff);
	add(suite, "bash", bash_completes);
	add(suite, "zsh", zsh_takes_its_completion);
	add(suite, "other pages", other_pages_are_refused);
	add(suite, "install", install_and_uninstall);
}

TEST_MAIN("pages", add_cases)
