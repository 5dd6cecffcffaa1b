/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the YAML tree: places, aliases, limits, files that must not be read, --set, and writing
 * back. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/yaml.h"
#include "tests/test.h"

static struct arena arena;
static struct error error;

static void setup(void)
{
	arena = (struct arena){0};
	error = (struct error){0};
}

static void teardown(void)
{
	arena_free(&arena);
}

static struct yaml_node *parse(const char *text)
{
	struct yaml_node *root = NULL;
	int result = yaml_parse("x.yaml", text, strlen(text), &arena, &root, &error);

	ck_assert_msg((result == 0) == (error.kind == ERROR_NONE), "%s", error.text);
	return result == 0 ? root : NULL;
}

static void assert_place(const struct yaml_node *node, uint32_t line, uint32_t column)
{
	ck_assert_ptr_nonnull(node);
	ck_assert_str_eq(node->place.file, "x.yaml");
	ck_assert_uint_eq(node->place.line, line);
	ck_assert_uint_eq(node->place.column, column);
}

START_TEST(tree_has_places)
{
	struct yaml_node *root = parse("a: 1\nb:\n  - x\n  - {c: \"q\", d: é, e: [1, 2]}\n");
	struct yaml_node *list = yaml_get(root, "b"), *map;

	ck_assert_ptr_nonnull(root);
	assert_place(root, 1, 1);
	assert_place(yaml_get(root, "a"), 1, 4);
	assert_place(yaml_get(root, "a")->key, 1, 1);
	ck_assert_uint_eq(list->count, 2);
	map = list->last;
	assert_place(map, 4, 5);
	ck_assert(map->flow && !list->flow);
	ck_assert_int_eq(yaml_get(map, "c")->style, YAML_STYLE_DOUBLE);
	ck_assert_int_eq(yaml_get(map, "d")->style, YAML_STYLE_PLAIN);
	/* Columns count characters, not bytes. */
	assert_place(yaml_get(map, "e"), 4, 23);
	ck_assert_ptr_null(yaml_get(map, "f"));
	ck_assert_ptr_null(yaml_get(list, "a"));
	ck_assert_ptr_null(yaml_get(NULL, "a"));
	ck_assert(yaml_is(yaml_get(root, "a"), "1"));
	ck_assert(!yaml_is(NULL, "1"));
}
END_TEST

START_TEST(nothing_is_told_from_an_empty_text)
{
	struct yaml_node *root = parse("a:\nb: ~\nc: null\nd: ''\ne: 'null'\nf: []\n");

	ck_assert(yaml_is_null(yaml_get(root, "a")));
	ck_assert(yaml_is_null(yaml_get(root, "b")));
	ck_assert(yaml_is_null(yaml_get(root, "c")));
	ck_assert(!yaml_is_null(yaml_get(root, "d")));
	ck_assert(!yaml_is_null(yaml_get(root, "e")));
	ck_assert(!yaml_is_null(yaml_get(root, "f")));
	ck_assert_str_eq(yaml_describe(yaml_get(root, "a")), "nothing");
	ck_assert_str_eq(yaml_describe(yaml_get(root, "d")), "a single value");
	ck_assert_str_eq(yaml_describe(yaml_get(root, "f")), "a list");
	ck_assert_str_eq(yaml_describe(root), "a mapping");
}
END_TEST

START_TEST(aliases_are_copies)
{
	struct yaml_node *root = parse("a: &x {n: 1}\nb: *x\nc: [*x, *x]\n");

	ck_assert_ptr_nonnull(root);
	ck_assert_ptr_ne(yaml_get(root, "a"), yaml_get(root, "b"));
	ck_assert(yaml_is(yaml_get(yaml_get(root, "c")->last, "n"), "1"));
	/* An override of the copy leaves the anchor alone. */
	ck_assert_int_eq(yaml_override(root, "b.n=2", &arena, &error), 0);
	ck_assert(yaml_is(yaml_get(yaml_get(root, "a"), "n"), "1"));
	ck_assert(yaml_is(yaml_get(yaml_get(root, "b"), "n"), "2"));
}
END_TEST

START_TEST(byte_order_mark_at_the_start_is_skipped)
{
	struct yaml_node *root = parse("\xEF\xBB\xBF"
				       "a: b\n");

	assert_place(yaml_get(root, "a"), 1, 4);
}
END_TEST

START_TEST(line_ends_of_all_kinds)
{
	struct yaml_node *root = parse("a: 1\r\nb: 2\r\nc: 3\n");

	assert_place(yaml_get(root, "c"), 3, 4);
}
END_TEST

static const struct {
	const char *text, *message;
	uint32_t line, column;
} bad[] = {
	{"", "there is nothing in it", 1, 1},
	{"a: 1\n---\nb: 2\n", "a second YAML document starts here; only one is allowed", 2, 1},
	{"a: 1\nb: 2\na: 3\n", "the key 'a' is already there, in line 1", 3, 1},
	{"a: \xFF\n", "the byte 0xFF is not UTF-8 text; save the file as UTF-8", 1, 4},
	{"a: 1\nb: \x01\n", "the character U+0001 is not allowed in YAML", 2, 4},
	{"? {a: b}\n: c\n", "a key must be a word, not a mapping", 1, 3},
	{"a: &a [*a]\n", "the alias '*a' stands inside what it names", 1, 8},
	{"'': 1\n", "a key is empty", 1, 1},
	{"a: {b: *c}\n", "the alias '*c' names no anchor before it", 1, 8},
};

START_TEST(bad_texts_have_a_place)
{
	ck_assert_ptr_null(parse(bad[_i].text));
	ck_assert_str_eq(error.text, bad[_i].message);
	ck_assert_uint_eq(error.place.line, bad[_i].line);
	ck_assert_uint_eq(error.place.column, bad[_i].column);
}
END_TEST

/* The text `open`, `count` times. */
static char *repeat(const char *open, size_t count)
{
	size_t length = strlen(open);
	char *text = arena_alloc(&arena, count * length + 1);

	for (size_t i = 0; i < count * length; i++)
		text[i] = open[i % length];
	return text;
}

START_TEST(depth_has_a_limit)
{
	struct yaml_node *root;
	const char *open = repeat("[", YAML_DEPTH_MAX), *close = repeat("]", YAML_DEPTH_MAX);

	root = parse(arena_printf(&arena, "%s%s", open, close));
	ck_assert_ptr_nonnull(root);
	ck_assert_ptr_null(parse(arena_printf(&arena, "[%s%s]", open, close)));
	ck_assert_int_eq(error.kind, ERROR_LIMIT);
	ck_assert_uint_eq(error.place.column, YAML_DEPTH_MAX + 1);
}
END_TEST

START_TEST(a_million_brackets_do_not_take_long)
{
	ck_assert_ptr_null(parse(repeat("[", 1000000)));
	ck_assert_int_eq(error.kind, ERROR_LIMIT);
	error = (struct error){0};
	ck_assert_ptr_null(parse(repeat("- ", 1000000)));
	ck_assert_int_eq(error.kind, ERROR_LIMIT);
}
END_TEST

START_TEST(nodes_have_a_limit)
{
	const char *items = repeat("a,", YAML_NODES_MAX - 2);

	/* The list and its items: one less than the limit, then one more. */
	ck_assert_ptr_nonnull(parse(arena_printf(&arena, "[%sa]", items)));
	ck_assert_ptr_null(parse(arena_printf(&arena, "[%sa,a]", items)));
	ck_assert_int_eq(error.kind, ERROR_LIMIT);
}
END_TEST

START_TEST(many_keys_are_compared_quickly)
{
	char *text = arena_alloc(&arena, 200000 * 12 + 20);
	size_t used = 0;

	for (int i = 0; i < 200000; i++)
		used += (size_t)snprintf(text + used, 13, "k%06d: 1\n", i);
	ck_assert_ptr_nonnull(parse(text));
	snprintf(text + used, 12, "%s", "k000007: 1\n");
	ck_assert_ptr_null(parse(text));
	ck_assert_str_eq(error.text, "the key 'k000007' is already there, in line 8");
	ck_assert_uint_eq(error.place.line, 200001);
}
END_TEST

/* ---- files ---- */

static char *temporary(const char *name)
{
	char *folder = arena_strdup(&arena, "/tmp/drsim-yaml-XXXXXX");

	ck_assert_ptr_nonnull(mkdtemp(folder));
	return arena_printf(&arena, "%s/%s", folder, name);
}

static void clean(char *path)
{
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

static int read_file(const char *path)
{
	char *text;
	size_t size;

	return yaml_read_file(path, YAML_FILE_MAX, &arena, &text, &size, &error);
}

START_TEST(what_is_no_file_is_refused)
{
	char *fifo = temporary("fifo");
	static const char *const paths[] = {"/dev/zero", "/dev/null", "/tmp", "/no/such/file"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		error = (struct error){0};
		ck_assert_int_eq(read_file(paths[i]), -1);
		ck_assert_int_eq(error.kind, ERROR_IO);
		ck_assert_str_eq(error.place.file, paths[i]);
	}
	error = (struct error){0};
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(read_file(fifo), -1);
	ck_assert_str_eq(error.text, "it is a pipe or a device, not a regular file");
	clean(fifo);
}
END_TEST

START_TEST(big_files_are_refused_unread)
{
	char *path = temporary("big.yaml");
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(ftruncate(fileno(file), 100 << 20), 0);
	ck_assert_int_eq(read_file(path), -1);
	ck_assert_int_eq(error.kind, ERROR_LIMIT);
	ck_assert_str_eq(error.text, "the file has 104857600 bytes; the limit is 4194304");
	ck_assert_uint_lt(arena.total, 1 << 20);
	/* Exactly the limit is read. */
	error = (struct error){0};
	ck_assert_int_eq(ftruncate(fileno(file), (off_t)YAML_FILE_MAX), 0);
	ck_assert_int_eq(read_file(path), 0);
	fclose(file);
	clean(path);
}
END_TEST

START_TEST(files_without_a_size_are_read)
{
	char *text;
	size_t size;

	ck_assert_int_eq(
		yaml_read_file("/proc/self/status", YAML_FILE_MAX, &arena, &text, &size, &error),
		0);
	ck_assert_uint_gt(size, 0);
	ck_assert_uint_eq(strlen(text), size);
}
END_TEST

/* ---- --set ---- */

static const char base[] = "name: x\nduration: 2h\nempty:\nsteps:\n  - {at: 5m}\n  - {at: 6m}\n";

static const struct {
	const char *set, *expect;
} sets[] = {
	{"duration=3h", "duration: 3h\n"},
	{"steps[0].at=7m", "- {at: 7m}\n"},
	{"steps[1].at={uniform: {from: 1d, to: 2d}}", "- {at: {uniform: {from: 1d, to: 2d}}}\n"},
	{"backup.every=12h", "backup:\n  every: 12h\n"},
	{"a.b.c.d=[1, 2]", "a:\n  b:\n    c:\n      d: [1, 2]\n"},
	{"empty.more=1", "empty:\n  more: 1\n"},
	{"steps[1]={at: 1s}", "- {at: 5m}\n- {at: 1s}\n"},
	{"steps=[]", "steps: []\n"},
	{"name='quoted = text'", "name: 'quoted = text'\n"},
	{"name=", "name: null\n"},
	{"name=a=b", "name: a=b\n"},
};

START_TEST(overrides_are_applied)
{
	struct yaml_node *root = parse(base), *again;
	char *text, *twice;
	size_t size, size_twice;

	ck_assert_int_eq(yaml_override(root, sets[_i].set, &arena, &error), 0);
	ck_assert_int_eq(yaml_emit(root, &arena, &text, &size, &error), 0);
	ck_assert_msg(strstr(text, sets[_i].expect), "%s", text);
	ck_assert_uint_eq(strlen(text), size);
	/* What was written is read again and written the same. */
	again = parse(text);
	ck_assert_ptr_nonnull(again);
	ck_assert_int_eq(yaml_emit(again, &arena, &twice, &size_twice, &error), 0);
	ck_assert_str_eq(text, twice);
}
END_TEST

static const struct {
	const char *set, *message;
	uint32_t column;
} bad_sets[] = {
	{"duration", "PATH=VALUE is expected, as in duration=2h", 1},
	{"=3", "a key is expected here, as in steps[0].at=10m", 1},
	{"[0]=3", "a key is expected here, as in steps[0].at=10m", 1},
	{"steps..at=3", "a key is expected here, as in steps[0].at=10m", 7},
	{"steps.=3", "a key is expected here, as in steps[0].at=10m", 7},
	{"steps[2].at=3", "[2] does not exist: the list has 2 items", 6},
	{"steps[9].at=1d", "[9] does not exist: the list has 2 items", 6},
	{"steps[-1].at=3", "an index is expected here, counted from 0, as in [2]", 7},
	{"steps[x].at=3", "an index is expected here, counted from 0, as in [2]", 7},
	{"steps[99999999999].at=3", "an index is expected here, counted from 0, as in [2]", 7},
	{"steps[0=3", "an index is expected here, counted from 0, as in [2]", 7},
	{"steps[0]at=3", "'.', '[' or '=' is expected here", 9},
	{"steps.at=3", "'at' cannot be set: what it would stand in is a list, not a mapping", 7},
	{"duration.x=3",
	 "'x' cannot be set: what it would stand in is a single value, not a mapping", 10},
	{"duration[0]=3", "[0] cannot be set: this is a single value, not a list", 9},
	{"duration={a: 1, a: 2}", "the key 'a' is already there, in line 1", 17},
	{"duration=*x", "the alias '*x' names no anchor before it", 10},
	{"duration=\x80", "the byte 0x80 is not UTF-8 text; save the file as UTF-8", 10},
};

START_TEST(bad_overrides_name_themselves)
{
	struct yaml_node *root = parse(base);
	int result = yaml_override(root, bad_sets[_i].set, &arena, &error);

	ck_assert_int_eq(result, -1);
	ck_assert_str_eq(error.text, bad_sets[_i].message);
	ck_assert_int_eq(strncmp(error.place.file, "--set ", 6), 0);
	ck_assert_uint_eq(error.place.line, 1);
	ck_assert_uint_eq(error.place.column, bad_sets[_i].column);
}
END_TEST

START_TEST(overridden_values_have_the_place_of_the_override)
{
	struct yaml_node *root = parse(base), *value;

	ck_assert_int_eq(yaml_override(root, "steps[0].at={every: 1h}", &arena, &error), 0);
	value = yaml_get(yaml_get(yaml_get(root, "steps")->first, "at"), "every");
	ck_assert_str_eq(value->place.file, "--set steps[0].at={every: 1h}");
	ck_assert_uint_eq(value->place.line, 1);
	ck_assert_uint_eq(value->place.column, 21);
}
END_TEST

/* ---- writing ---- */

START_TEST(writing_keeps_what_was_read)
{
	static const char text[] =
		"a: null\nb: 'null'\nc: \"x: \\t\\\"y\\\" é\"\nd: |\n  two\n  lines\n"
		"e: [1, \"2\", {f: g}]\nh:\n- i: j\n  k: l\n- 'm'\nn: {}\no: []\n";
	struct yaml_node *root = parse(text);
	char *written;
	size_t size;

	ck_assert_ptr_nonnull(root);
	ck_assert_int_eq(yaml_emit(root, &arena, &written, &size, &error), 0);
	ck_assert_str_eq(written, text);
}
END_TEST

START_TEST(quotes_are_safe_to_print)
{
	char buffer[YAML_QUOTE_MAX];
	char text[200];

	ck_assert_str_eq(yaml_quote("a\x1b[31m\n\x7f", buffer), "a?[31m??");
	ck_assert_str_eq(yaml_quote("\xC2\x9B", buffer), "??");
	ck_assert_str_eq(yaml_quote("é", buffer), "é");
	memset(text, 'x', sizeof(text));
	text[199] = '\0';
	ck_assert_uint_eq(strlen(yaml_quote(text, buffer)), YAML_QUOTE_MAX - 1);
	ck_assert_str_eq(buffer + YAML_QUOTE_MAX - 4, "...");
	/* Two-byte characters are never cut in half. */
	for (size_t i = 0; i < 198; i += 2)
		memcpy(text + i, "é", 2);
	text[198] = '\0';
	yaml_quote(text, buffer);
	ck_assert_uint_eq(strlen(buffer) % 2, (strlen("...")) % 2);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

#define COUNT(rows) ((int)(sizeof(rows) / sizeof((rows)[0])))

static void add_cases(Suite *suite)
{
	add(suite, "tree: places", tree_has_places, 1);
	add(suite, "tree: nothing", nothing_is_told_from_an_empty_text, 1);
	add(suite, "tree: aliases", aliases_are_copies, 1);
	add(suite, "tree: byte order mark", byte_order_mark_at_the_start_is_skipped, 1);
	add(suite, "tree: line ends", line_ends_of_all_kinds, 1);
	add(suite, "tree: bad texts", bad_texts_have_a_place, COUNT(bad));
	add(suite, "limits: depth", depth_has_a_limit, 1);
	add(suite, "limits: brackets", a_million_brackets_do_not_take_long, 1);
	add(suite, "limits: nodes", nodes_have_a_limit, 1);
	add(suite, "limits: keys", many_keys_are_compared_quickly, 1);
	add(suite, "files: refused", what_is_no_file_is_refused, 1);
	add(suite, "files: big", big_files_are_refused_unread, 1);
	add(suite, "files: without size", files_without_a_size_are_read, 1);
	add(suite, "set: applied", overrides_are_applied, COUNT(sets));
	add(suite, "set: bad", bad_overrides_name_themselves, COUNT(bad_sets));
	add(suite, "set: places", overridden_values_have_the_place_of_the_override, 1);
	add(suite, "writing: round trip", writing_keeps_what_was_read, 1);
	add(suite, "quote", quotes_are_safe_to_print, 1);
}

TEST_MAIN("yaml", add_cases)
