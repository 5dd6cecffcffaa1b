/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of system calls: paths as texts, and what is refused of filters and rules. Nothing is
 * started under a filter here. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/linux/syscall_private.h"
#include "tests/test.h"

static const struct {
	const char *path, *tidy;
} tidies[] = {
	{"/", "/"},
	{"//", "/"},
	{"/.", "/"},
	{"/..", "/"},
	{"/../..", "/"},
	{"/a", "/a"},
	{"/a/", "/a"},
	{"//a///b//", "/a/b"},
	{"/a/./b/.", "/a/b"},
	{"/a/../b", "/b"},
	{"/a/b/..", "/a"},
	{"/a/b/../..", "/"},
	{"/a/b/../../../c", "/c"},
	{"/a/.../b", "/a/.../b"},
	{"/.a/..b", "/.a/..b"},
	{"/a.", "/a."},
};

START_TEST(paths_are_made_tidy)
{
	char path[64];

	snprintf(path, sizeof(path), "%s", tidies[_i].path);
	syscall_path_tidy(path);
	ck_assert_str_eq(path, tidies[_i].tidy);
}
END_TEST

static const struct {
	const char *path, *prefix;
	bool under;
} unders[] = {
	{"/data", "/data", true},
	{"/data/x", "/data", true},
	{"/data/x", "/data/", true},
	{"/data", "/data/", true},
	{"/database", "/data", false},
	{"/dat", "/data", false},
	{"/data", "/data/x", false},
	{"/x", "/", true},
	{"/", "/", true},
	{"/dev/nvidia0", "/dev/nvidia*", true},
	{"/dev/nvidia-uvm/x", "/dev/nvidia*", true},
	{"/dev/nvidia", "/dev/nvidia*", true},
	{"/dev/nvidi", "/dev/nvidia*", false},
	{"/a", "/*", true},
};

START_TEST(prefixes_end_at_a_slash)
{
	ck_assert_msg(syscall_path_under(unders[_i].path, unders[_i].prefix) == unders[_i].under,
		      "%s %s", unders[_i].path, unders[_i].prefix);
}
END_TEST

static const struct syscall_compare twice[] = {{.argument = 1}, {.argument = 1}};
static const struct syscall_compare sixth[] = {{.argument = 5}};
static const struct syscall_compare seventh[] = {{.argument = 6}};
static const struct syscall_compare masked[] = {
	{.argument = 1, .op = SYSCALL_LESS, .value = 1, .mask = 1}};

static const struct {
	struct syscall_call call;
	enum error_kind kind;
	const char *words;
} bad_calls[] = {
	{{"pwrite65", NULL, 0}, ERROR_SCENARIO, "'pwrite65'; did you mean 'pwrite64'?"},
	{{"zzzzzzzzzzz", NULL, 0}, ERROR_SCENARIO, "no system call 'zzzzzzzzzzz'"},
	{{"exit_group", NULL, 0}, ERROR_SCENARIO, "no program can go on without it"},
	{{"rt_sigreturn", NULL, 0}, ERROR_SCENARIO, "no program can go on without it"},
	{{"pwrite64", twice, 2}, ERROR_SCENARIO, "twice"},
	{{"pwrite64", seventh, 1}, ERROR_SCENARIO, "does not have"},
	{{"write", sixth, 1}, ERROR_SCENARIO, "does not have"},
	{{"pwrite64", masked, 1}, ERROR_SCENARIO, "a mask goes with =="},
	{{"io_uring_setup", NULL, 0}, ERROR_SCENARIO, "always fails"},
#if defined(__x86_64__)
	{{"socketcall", NULL, 0}, ERROR_UNAVAILABLE, "this architecture has none"},
#endif
};

START_TEST(filters_are_checked)
{
	const struct syscall_filter_config config = {
		.calls = &bad_calls[_i].call, .call_count = 1, .no_io_uring = true};
	const struct syscall_filter *filter = NULL;
	struct arena arena = {0};
	struct error e = {0};

	ck_assert_int_eq(syscall_filter_make(&config, &arena, &filter, &e), -1);
	ck_assert_ptr_null(filter);
	ck_assert_int_eq(e.kind, bad_calls[_i].kind);
	ck_assert_msg(strstr(e.text, bad_calls[_i].words), "%s", e.text);
	arena_free(&arena);
}
END_TEST

START_TEST(all_lists_can_be_filtered)
{
	const char *const *const lists[] = {syscall_device_calls, syscall_file_calls};
	struct syscall_call calls[64] = {{0}};
	struct syscall_filter_config config = {.calls = calls};
	const struct syscall_filter *filter;
	struct arena arena = {0};
	struct error e = {0};

	for (const char *const *name = lists[_i]; *name; name++) {
		calls[config.call_count++].name = *name;
		/* Each is about a path or a descriptor. */
		ck_assert_msg(syscall_role(*name), "%s", *name);
	}
	ck_assert_msg(syscall_filter_make(&config, &arena, &filter, &e) == 0, "%s", e.text);
	ck_assert(syscall_filter_lists(filter, "openat"));
	ck_assert(!syscall_filter_lists(filter, "getppid"));
	ck_assert(!syscall_filter_lists(filter, "no such call"));
	ck_assert_uint_gt(filter->program.len, config.call_count / 2);
	arena_free(&arena);
}
END_TEST

static const char *const none[] = {NULL}, *const reads[] = {"read", NULL},
			 *const writes[] = {"write", NULL}, *const unknown[] = {"raed", NULL},
			 *const relative[] = {"data", NULL};

static const struct {
	struct syscall_rule rule;
	const char *words;
} bad_rules[] = {
	{{.calls = none, .error = EIO}, "names no call"},
	{{.calls = unknown, .error = EIO}, "did you mean 'read'?"},
	{{.calls = writes, .error = EIO}, "does not list"},
	{{.calls = reads}, "an errno is"},
	{{.calls = reads, .error = 4096}, "an errno is"},
	{{.calls = reads, .action = SYSCALL_RETVAL, .value = -5}, "is an error"},
	{{.calls = reads, .action = SYSCALL_DELAY}, "delays nothing"},
	{{.calls = reads, .action = SYSCALL_HANG, .delay = 1}, "has no delay"},
	{{.calls = reads, .error = EIO, .delay = -1}, "0 to a day"},
	{{.calls = reads, .error = EIO, .lease = -1}, "not below 0"},
	{{.calls = reads, .error = EIO, .paths = relative}, "paths are absolute"},
	{{.calls = reads, .error = EIO, .kinds = 32}, "no such kind"},
	{{.calls = reads, .error = EIO, .ppm = 1000001}, "at most 1000000"},
	{{.calls = reads, .error = EIO, .when = {5, 4, 1}}, "makes no sense"},
	{{.calls = reads, .error = EIO, .when = {5, 6, 0}}, "makes no sense"},
	{{.calls = reads, .error = EIO, .compares = seventh, .compare_count = 1}, "0 to 5"},
};

START_TEST(rules_are_checked)
{
	const struct syscall_call call = {.name = "read"};
	const struct syscall_filter_config config = {.calls = &call, .call_count = 1};
	const struct syscall_filter *filter;
	struct arena arena = {0};
	struct syscalls *syscalls;
	struct error e = {0};
	uint32_t number = 77;

	ck_assert_int_eq(syscall_filter_make(&config, &arena, &filter, &e), 0);
	if (syscalls_open(filter, NULL, &arena, &syscalls, &e)) {
		printf("rules: skipped: %s\n", e.text);
		arena_free(&arena);
		return;
	}
	ck_assert_int_eq(syscalls_rule(syscalls, &bad_rules[_i].rule, &number, &e), -1);
	ck_assert_uint_eq(number, 77);
	ck_assert_int_eq(e.kind, ERROR_SCENARIO);
	ck_assert_msg(strstr(e.text, bad_rules[_i].words), "%s", e.text);
	syscalls_close(syscalls);
	arena_free(&arena);
}
END_TEST

#define COUNT(list) ((int)(sizeof(list) / sizeof((list)[0])))

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "tidy", paths_are_made_tidy, COUNT(tidies));
	test_add_loop(suite, "under", prefixes_end_at_a_slash, COUNT(unders));
	test_add_loop(suite, "filters", filters_are_checked, COUNT(bad_calls));
	test_add_loop(suite, "lists", all_lists_can_be_filtered, 2);
	test_add_loop(suite, "rules", rules_are_checked, COUNT(bad_rules));
}

TEST_MAIN("syscall", add_cases)
