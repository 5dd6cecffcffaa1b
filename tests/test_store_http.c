/* SPDX-License-Identifier: Apache-2.0 */
/* The backup engine over an object server: the same results, lists of many pages, tokens, a full
 * disk, servers that are busy, lie or are gone, and locks. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "drivers/store/store.h"
#include "tests/object_server.h"
#include "tests/store_trees.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define KIB ((size_t)1 << 10)

static struct arena arena;
static struct error error;
static struct object_server *server;
static struct store_handle *store;

static struct store_handle *open_with(const char *token, size_t pack_bytes)
{
	struct store_options options = {
		.create = true, .token = token, .threads = 2, .pack_bytes = pack_bytes};
	struct store_handle *opened = NULL;

	error = (struct error){0};
	if (store_open(object_server_address(server), &options, &opened, &error))
		return NULL;
	return opened;
}

static void setup(void)
{
	workplace_enter("store-http");
	signal(SIGPIPE, SIG_IGN);
	server = object_server_start("secret");
	store = open_with("secret", 0);
	ck_assert_msg(store != NULL, "%s", error.text);
}

static void teardown(void)
{
	store_close(store);
	object_server_stop(server);
	arena_free(&arena);
	workplace_leave();
}

static void keep(const char *folder, struct store_backup *ret)
{
	error = (struct error){0};
	ck_assert_msg(store_backup(store, folder, NULL, ret, &error) == 0, "%s", error.text);
}

static void comes_back(void)
{
	workplace_remove("R");
	error = (struct error){0};
	ck_assert_msg(store_restore(store, NULL, "R", NULL, NULL, &error) == 0, "%s", error.text);
	ck_assert_str_eq(tree_difference("D", "R"), "");
}

static void count_damage(void *self, const struct store_damage *damage)
{
	ck_assert_ptr_nonnull(damage->object);
	(*(size_t *)self)++;
}

static size_t damages(void)
{
	size_t told = 0;
	struct store_verify_options options = {.damage = count_damage, .damage_self = &told};
	struct store_verified verified;

	error = (struct error){0};
	ck_assert_msg(store_verify(store, NULL, &options, &verified, &error) == 0, "%s",
		      error.text);
	ck_assert_uint_eq(verified.damages, told);
	return told;
}

START_TEST(the_same_over_a_server)
{
	struct store_prune_options prune = {.keep = 1};
	struct store_backup backup, *list;
	struct store_pruned pruned;
	size_t count;

	tree_odd("D");
	keep("D", &backup);
	comes_back();
	tree_write("D/sizes/3000000", 100000, "changed", 7);
	keep("D", &backup);
	ck_assert_uint_eq(backup.new_chunks, 1);
	comes_back();
	ck_assert_uint_eq(damages(), 0);
	ck_assert_int_eq(store_list(store, &arena, &list, &count, &error), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(store_prune(store, &prune, &pruned, &error), 0);
	ck_assert_uint_eq(pruned.backups, 1);
	comes_back();
	ck_assert_uint_eq(damages(), 0);
	ck_assert_uint_eq(object_server_count(server, "locks/"), 0);
	object_server_flip(server, "packs/", 0, 8000);
	ck_assert_uint_eq(damages(), 1);
}
END_TEST

START_TEST(lists_have_pages)
{
	struct store_backup backup;
	struct store_prune_options prune = {.keep = 1};
	struct store_pruned pruned;

	object_server_page(server, 3);
	store_close(store);
	store = open_with("secret", 64 * KIB);
	ck_assert_int_eq(mkdir("D", 0755), 0);
	for (uint64_t i = 0; i < 4; i++) {
		tree_file("D/file", 500 * KIB, i);
		keep("D", &backup);
	}
	ck_assert_uint_eq(backup.number, 4);
	ck_assert_uint_gt(object_server_count(server, "packs/"), 20);
	comes_back();
	ck_assert_int_eq(store_prune(store, &prune, &pruned, &error), 0);
	ck_assert_uint_eq(pruned.backups, 3);
	comes_back();
	ck_assert_uint_eq(damages(), 0);
}
END_TEST

START_TEST(a_token_is_needed)
{
	ck_assert_ptr_null(open_with(NULL, 0));
	ck_assert_int_eq(error.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_null(open_with("wrong", 0));
	ck_assert_int_eq(error.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(error.text, "401"));
}
END_TEST

START_TEST(a_full_disk_leaves_the_store_whole)
{
	struct store_backup backup;
	size_t before;

	store_close(store);
	store = open_with("secret", 256 * KIB);
	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/file", 1000 * KIB, 1);
	keep("D", &backup);
	before = object_server_count(server, "");
	object_server_limit(server, 2000 * KIB);
	tree_file("D/large", 3000 * KIB, 2);
	ck_assert_int_eq(store_backup(store, "D", NULL, &backup, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_IO);
	ck_assert_ptr_nonnull(strstr(error.text, "the disk is full"));
	ck_assert_uint_eq(object_server_count(server, ""), before);
	ck_assert_uint_eq(damages(), 0);
	object_server_limit(server, 0);
	keep("D", &backup);
	comes_back();
}
END_TEST

START_TEST(a_busy_server_is_asked_again)
{
	struct store_backup backup;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/file", 1000 * KIB, 1);
	object_server_busy(server, 2);
	keep("D", &backup);
	object_server_busy(server, 2);
	comes_back();
	object_server_busy(server, 1000);
	ck_assert_int_eq(store_backup(store, "D", NULL, &backup, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_IO);
	object_server_busy(server, 0);
	ck_assert_uint_eq(damages(), 0);
}
END_TEST

START_TEST(a_server_that_is_gone_is_an_error)
{
	struct store_options options = {.create = true};
	struct store_handle *other = NULL;

	ck_assert_int_eq(store_open("http://127.0.0.1:1", &options, &other, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_IO);
	error = (struct error){0};
	ck_assert_int_eq(store_open("http://127.0.0.1:1/?q", &options, &other, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_USAGE);
	ck_assert_ptr_null(other);
}
END_TEST

static void *cancel_soon(void *self)
{
	usleep(300000);
	atomic_store((atomic_bool *)self, true);
	return NULL;
}

/* A cancel does not wait for what a slow server takes its time for. */
START_TEST(a_cancel_ends_a_transfer)
{
	atomic_bool cancel = false;
	struct store_backup_options options = {.hooks = {.cancel = &cancel}};
	struct timespec begin, end;
	struct store_backup backup;
	pthread_t thread;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/file", 1000 * KIB, 1);
	object_server_slow(server, 5000);
	ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, &cancel), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	ck_assert_int_eq(store_backup(store, "D", &options, &backup, &error), -1);
	clock_gettime(CLOCK_MONOTONIC, &end);
	ck_assert_int_eq(error.kind, ERROR_UNAVAILABLE);
	ck_assert_int_lt(end.tv_sec - begin.tv_sec, 4);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(object_server_count(server, "locks/"), 0);
	ck_assert_uint_eq(object_server_count(server, "backups/"), 0);
}
END_TEST

/* A manifest whose answer was lost may be there: its packs stay in any case. */
START_TEST(a_lost_answer_costs_no_chunks)
{
	struct store_backup backup;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/file", 1000 * KIB, 1);
	object_server_lose(server, "backups/");
	ck_assert_int_eq(store_backup(store, "D", NULL, &backup, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_IO);
	ck_assert_uint_eq(object_server_count(server, "packs/"), 1);
	ck_assert_uint_eq(damages(), 0);
	object_server_lose(server, NULL);
	keep("D", &backup);
	ck_assert_uint_eq(backup.new_chunks, 0);
	comes_back();
}
END_TEST

/* ---- locks ---- */

struct rival {
	struct store_handle *store;
	int write, prune;
	enum error_kind kind;
	bool done;
};

static void try_both(void *self, uint64_t bytes, uint64_t total)
{
	struct rival *rival = self;
	struct store_prune_options prune = {.keep = 1};
	struct store_backup backup;
	struct error e = {0};

	(void)bytes;
	(void)total;
	if (rival->done)
		return;
	rival->done = true;
	rival->write = store_backup(rival->store, "D", NULL, &backup, &e);
	rival->kind = e.kind;
	rival->prune = store_prune(rival->store, &prune, NULL, &e);
}

START_TEST(writers_exclude_each_other)
{
	struct rival rival = {.store = open_with("secret", 0)};
	struct store_backup_options options = {.hooks = {.self = &rival, .progress = try_both}};
	struct store_restore_options back = {.hooks = {.self = &rival, .progress = try_both}};
	struct store_backup backup;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/file", 100 * KIB, 1);
	ck_assert_msg(store_backup(store, "D", &options, &backup, &error) == 0, "%s", error.text);
	ck_assert(rival.done && rival.write == -1 && rival.prune == -1);
	ck_assert_int_eq(rival.kind, ERROR_UNAVAILABLE);
	rival.done = false;
	ck_assert_int_eq(store_restore(store, NULL, "R", &back, NULL, &error), 0);
	ck_assert(rival.done && rival.write == 0 && rival.prune == -1);
	ck_assert_uint_eq(object_server_count(server, "locks/"), 0);
	store_close(rival.store);
}
END_TEST

/* Nobody beats for it: it is taken away after its lease. */
START_TEST(a_dead_lock_is_taken_away)
{
	struct store_backup backup;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/file", 100 * KIB, 1);
	ck_assert_int_eq(
		store_object_write(store, "locks/write-0123456789abcdef", "7\n", 2, &error), 0);
	keep("D", &backup);
	ck_assert_uint_eq(object_server_count(server, "locks/"), 0);
	comes_back();
}
END_TEST

/* One that slept too long adds nothing to what others may have pruned. */
static void steal(void *self, uint64_t bytes, uint64_t total)
{
	(void)bytes;
	(void)total;
	object_server_flip(server, "locks/write-", 0, 0);
	ck_assert_uint_eq(object_server_count(server, "locks/write-"), 1);
	*(bool *)self = true;
	object_server_drop(server, "locks/");
}

START_TEST(a_lost_lock_ends_the_backup)
{
	bool stolen = false;
	struct store_backup_options options = {.hooks = {.self = &stolen, .progress = steal}};
	struct store_backup backup;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/file", 60 * KIB, 1);
	ck_assert_int_eq(store_backup(store, "D", &options, &backup, &error), -1);
	ck_assert(stolen);
	ck_assert_int_eq(error.kind, ERROR_UNAVAILABLE);
	ck_assert_uint_eq(object_server_count(server, "backups/"), 0);
	ck_assert_uint_eq(object_server_count(server, "packs/"), 0);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "the same", the_same_over_a_server);
	add(suite, "pages", lists_have_pages);
	add(suite, "token", a_token_is_needed);
	add(suite, "full", a_full_disk_leaves_the_store_whole);
	add(suite, "busy", a_busy_server_is_asked_again);
	add(suite, "gone", a_server_that_is_gone_is_an_error);
	add(suite, "cancel", a_cancel_ends_a_transfer);
	add(suite, "lost answer", a_lost_answer_costs_no_chunks);
	add(suite, "writers", writers_exclude_each_other);
	add(suite, "dead lock", a_dead_lock_is_taken_away);
	add(suite, "lost lock", a_lost_lock_ends_the_backup);
}

TEST_MAIN("store over http", add_cases)
