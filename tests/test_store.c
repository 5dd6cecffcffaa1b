/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backup engine over a folder: round trips, increments, pruning, damage that is found, named
 * and survived, locks, cancels, what faults need of it, and its commands.
 */
/* valgrind: skip */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/prng.h"
#include "drivers/store/backend.h"
#include "drivers/store/format.h"
#include "drivers/store/store.h"
#include "tests/store_trees.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define KIB ((size_t)1 << 10)

extern char **environ;

static struct arena arena;
static struct error error;
static struct store_handle *store;

static void reopen(const struct store_options *options)
{
	struct store_options some = options ? *options : (struct store_options){.threads = 2};

	store_close(store);
	some.create = true;
	error = (struct error){0};
	ck_assert_msg(store_open("S", &some, &store, &error) == 0, "%s", error.text);
}

static void setup(void)
{
	workplace_enter("store");
	reopen(NULL);
}

static void teardown(void)
{
	store_close(store);
	arena_free(&arena);
	workplace_leave();
}

static struct store_backup keep_as(const char *folder, const char *label)
{
	struct store_backup_options options = {.as_of = 42, .label = label};
	struct store_backup backup;

	error = (struct error){0};
	ck_assert_msg(store_backup(store, folder, &options, &backup, &error) == 0, "%s",
		      error.text);
	return backup;
}

static struct store_backup keep(const char *folder)
{
	return keep_as(folder, "x");
}

/* What was told of damage. */
struct told {
	size_t count;
	struct store_damage all[64];
};

static void tell(void *self, const struct store_damage *damage)
{
	struct told *told = self;
	struct store_damage copy = *damage;

	if (told->count >= 64)
		return;
	copy.backup = damage->backup ? arena_strdup(&arena, damage->backup) : NULL;
	copy.path = damage->path ? arena_strdup(&arena, damage->path) : NULL;
	copy.object = damage->object ? arena_strdup(&arena, damage->object) : NULL;
	copy.what = arena_strdup(&arena, damage->what);
	told->all[told->count++] = copy;
}

static int restore_to(const char *id, const char *folder, bool partial, struct told *told,
		      struct store_restored *ret)
{
	struct store_restore_options options = {
		.partial = partial, .check = true, .damage = tell, .damage_self = told};

	*told = (struct told){0};
	error = (struct error){0};
	return store_restore(store, id, folder, &options, ret, &error);
}

static void comes_back(const char *id, const char *folder, const char *wanted)
{
	struct store_restored restored;
	struct told told;

	workplace_remove(folder);
	ck_assert_msg(restore_to(id, folder, false, &told, &restored) == 0, "%s", error.text);
	ck_assert_str_eq(tree_difference(wanted, folder), "");
	ck_assert_uint_eq(restored.files, restored.backup.files);
}

static struct told verify(const char *id, bool mark)
{
	struct told told = {0};
	struct store_verify_options options = {.mark = mark, .damage = tell, .damage_self = &told};
	struct store_verified verified;

	error = (struct error){0};
	ck_assert_msg(store_verify(store, id, &options, &verified, &error) == 0, "%s", error.text);
	if (told.count < 64)
		ck_assert_uint_eq(verified.damages, told.count);
	return told;
}

/* The one file in a folder of the store; "" when there is none or several. */
static const char *only_file(const char *folder)
{
	struct store_handle *opened = store;
	struct store_object *objects;
	size_t count, i;
	const char *key = "";

	ck_assert_int_eq(store_objects(opened, NULL, &arena, &objects, &count, &error), 0);
	for (i = 0; i < count; i++)
		if (strncmp(objects[i].key, folder, strlen(folder)) == 0)
			key = arena_printf(&arena, "S/%s", objects[i].key);
	return key;
}

/* ---- round trips ---- */

START_TEST(everything_comes_back)
{
	struct store_backup backup;
	struct stat status;

	tree_odd("D");
	backup = keep("D");
	comes_back(NULL, "R", "D");
	ck_assert_uint_eq(backup.files, 12 + 1 + 10 + 4 + 2);
	ck_assert_uint_eq(backup.folders, 4);
	ck_assert_uint_eq(backup.links, 3);
	ck_assert_int_eq(backup.as_of, 42);
	ck_assert_str_eq(backup.label, "x");
	/* The holes are holes again. */
	ck_assert_int_eq(stat("R/sparse", &status), 0);
	ck_assert_int_lt(status.st_blocks, 1000);
	ck_assert_uint_lt(backup.stored_bytes, (uint64_t)7 << 20);
	ck_assert_uint_eq(verify(NULL, false).count, 0);
	/* Into a folder with something else in it, which stays unless it must be exact. */
	tree_file("R/other", 10, 1);
	ck_assert_int_eq(store_restore(store, NULL, "R", NULL, NULL, &error), 0);
	ck_assert_int_eq(access("R/other", F_OK), 0);
}
END_TEST

START_TEST(an_exact_restore_leaves_nothing_else)
{
	struct store_restore_options exact = {.exact = true};

	tree_odd("D");
	keep("D");
	ck_assert_int_eq(mkdir("R", 0755), 0);
	/* Files where folders belong and the other way round, and what does not belong at all. */
	tree_file("R/a", 10, 1);
	ck_assert_int_eq(mkdir("R/zeros", 0700), 0);
	tree_file("R/zeros/deep", 10, 1);
	ck_assert_int_eq(mkdir("R/link", 0700), 0);
	ck_assert_int_eq(mkdir("R/more", 0500), 0);
	ck_assert_int_eq(symlink("/", "R/root"), 0);
	ck_assert_int_eq(store_restore(store, NULL, "R", &exact, NULL, &error), 0);
	ck_assert_str_eq(tree_difference("D", "R"), "");
	/* Without it a folder in a file's place is an error, and stays. */
	workplace_remove("R");
	ck_assert_int_eq(mkdir("R", 0755), 0);
	ck_assert_int_eq(mkdir("R/zeros", 0700), 0);
	ck_assert_int_eq(store_restore(store, NULL, "R", NULL, NULL, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_IO);
	ck_assert_int_eq(access("R/zeros", F_OK), 0);
}
END_TEST

/* A link in the folder that is restored into leads nowhere else. */
START_TEST(nothing_is_written_through_links)
{
	ck_assert_int_eq(mkdir("D", 0755), 0);
	ck_assert_int_eq(mkdir("D/sub", 0755), 0);
	tree_file("D/sub/file", 100, 1);
	keep("D");
	ck_assert_int_eq(mkdir("outside", 0755), 0);
	ck_assert_int_eq(mkdir("R", 0755), 0);
	ck_assert_int_eq(symlink("../outside", "R/sub"), 0);
	ck_assert_int_eq(store_restore(store, NULL, "R", NULL, NULL, &error), 0);
	ck_assert_int_ne(access("outside/file", F_OK), 0);
	ck_assert_str_eq(tree_difference("D", "R"), "");
}
END_TEST

START_TEST(an_empty_folder_is_a_backup)
{
	struct store_backup backup;

	ck_assert_int_eq(mkdir("D", 0700), 0);
	backup = keep("D");
	ck_assert_uint_eq(backup.files + backup.folders + backup.links + backup.bytes, 0);
	comes_back(NULL, "R", "D");
}
END_TEST

START_TEST(other_kinds_of_files_are_skipped)
{
	struct store_backup backup;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/file", 100, 1);
	ck_assert_int_eq(mkfifo("D/pipe", 0600), 0);
	backup = keep("D");
	ck_assert_uint_eq(backup.skipped, 1);
	ck_assert_int_eq(unlink("D/pipe"), 0);
	ck_assert_int_eq(store_restore(store, NULL, "R", NULL, NULL, &error), 0);
	ck_assert_int_eq(access("R/file", F_OK), 0);
}
END_TEST

/* ---- increments ---- */

START_TEST(only_what_is_new_is_stored)
{
	struct store_backup first, second, third;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/model", 64 * STORE_CHUNK, 1);
	first = keep("D");
	ck_assert_uint_eq(first.chunks, 64);
	ck_assert_uint_eq(first.new_chunks, 64);
	second = keep("D");
	ck_assert_uint_eq(second.new_chunks, 0);
	ck_assert_uint_eq(second.stored_bytes, 0);
	ck_assert_uint_eq(second.number, first.number + 1);
	tree_write("D/model", 10 * STORE_CHUNK - 1, "ab", 2); /* across an edge */
	tree_file("D/copy", 64 * STORE_CHUNK, 1);
	third = keep("D");
	ck_assert_uint_eq(third.new_chunks, 2);
	ck_assert_uint_eq(third.new_bytes, 2 * STORE_CHUNK);
	ck_assert_uint_lt(third.stored_bytes, 2 * STORE_CHUNK + 1024);
	ck_assert_int_eq(unlink("D/copy"), 0);
	ck_assert_int_eq(rename("D", "D2"), 0);
	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/model", 64 * STORE_CHUNK, 1);
	comes_back("3", "R", "R"); /* whole, and not the first */
	ck_assert_int_eq(unlink("R/copy"), 0);
	ck_assert_str_ne(tree_difference("D", "R"), "");
}
END_TEST

START_TEST(zeros_are_not_stored)
{
	struct store_backup backup;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/zeros", 0, 0);
	ck_assert_int_eq(truncate("D/zeros", 5 * (off_t)STORE_CHUNK + 77), 0);
	backup = keep("D");
	ck_assert_uint_eq(backup.chunks, 0);
	ck_assert_uint_eq(backup.stored_bytes, 0);
	ck_assert_uint_eq(backup.zero_bytes, 5 * STORE_CHUNK + 77);
	comes_back(NULL, "R", "D");
}
END_TEST

START_TEST(backups_are_listed_and_found)
{
	struct store_backup *backups, one, found;
	size_t count;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	ck_assert_int_eq(store_list(store, &arena, &backups, &count, &error), 0);
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(store_find(store, NULL, &found, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_USAGE);
	for (int i = 0; i < 11; i++) {
		tree_file("D/file", 1000, (uint64_t)i);
		one = keep_as("D", i % 2 ? "model" : "io");
		ck_assert_uint_eq(one.number, (uint64_t)i + 1);
	}
	ck_assert_int_eq(store_list(store, &arena, &backups, &count, &error), 0);
	ck_assert_uint_eq(count, 11);
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_eq(backups[i].number, i + 1);
		ck_assert_str_eq(backups[i].label, i % 2 ? "model" : "io");
	}
	ck_assert_str_eq(backups[10].id, one.id);
	ck_assert_uint_eq(backups[10].stored_bytes, one.stored_bytes);
	ck_assert_int_eq(backups[10].as_of, one.as_of);
	error = (struct error){0};
	ck_assert_int_eq(store_find(store, "7", &found, &error), 0);
	ck_assert_uint_eq(found.number, 7);
	ck_assert_int_eq(store_find(store, "000010", &found, &error), 0);
	ck_assert_uint_eq(found.number, 10);
	ck_assert_int_eq(store_find(store, one.id, &found, &error), 0);
	ck_assert_int_eq(store_find(store, NULL, &found, &error), 0);
	ck_assert_uint_eq(found.number, 11);
	ck_assert_int_eq(store_find(store, "00000", &found, &error), -1); /* of nine of them */
	ck_assert_int_eq(error.kind, ERROR_USAGE);
	error = (struct error){0};
	ck_assert_int_eq(store_find(store, "12", &found, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_USAGE);
	error = (struct error){0};
	ck_assert_int_eq(store_find(store, "", &found, &error), -1);
}
END_TEST

/* ---- pruning ---- */

START_TEST(pruning_keeps_the_newest_of_each_label)
{
	struct store_prune_options options = {.keep = 2};
	struct store_backup *backups;
	struct store_pruned pruned;
	size_t count;

	reopen(&(struct store_options){.pack_bytes = 256 * KIB});
	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/same", 1000 * KIB, 1);
	for (int i = 0; i < 6; i++) {
		tree_file("D/other", 1000 * KIB, 10 + (uint64_t)i);
		keep_as("D", i % 2 ? "model" : "io");
	}
	tree_file("D/io", 2000 * KIB, 99);
	keep_as("D", "io");
	ck_assert_int_eq(store_prune(store, &options, &pruned, &error), 0);
	ck_assert_uint_eq(pruned.backups, 3);
	ck_assert_uint_gt(pruned.packs, 0);
	ck_assert_uint_gt(pruned.freed_bytes, 2000 * KIB);
	ck_assert_uint_lt(pruned.freed_bytes, 3100 * KIB);
	ck_assert_int_eq(store_list(store, &arena, &backups, &count, &error), 0);
	ck_assert_uint_eq(count, 4);
	ck_assert_uint_eq(backups[0].number, 4);
	comes_back(NULL, "R", "D");
	ck_assert_int_eq(store_restore(store, "6", "R6", NULL, NULL, &error), 0);
	ck_assert_str_eq(tree_difference("D/other", "R6/other"), "");
	ck_assert_int_ne(access("R6/io", F_OK), 0);
	ck_assert_uint_eq(verify(NULL, false).count, 0);
	/* Once more is nothing more. */
	ck_assert_int_eq(store_prune(store, &options, &pruned, &error), 0);
	ck_assert_uint_eq(pruned.backups + pruned.packs + pruned.freed_bytes, 0);
	/* Of one label only. */
	options = (struct store_prune_options){.keep = 1, .label = "model"};
	ck_assert_int_eq(store_prune(store, &options, &pruned, &error), 0);
	ck_assert_uint_eq(pruned.backups, 1);
	options.keep = 0;
	ck_assert_int_eq(store_prune(store, &options, &pruned, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_USAGE);
}
END_TEST

START_TEST(half_dead_packs_are_written_anew)
{
	struct store_prune_options options = {.keep = 1};
	struct store_pruned pruned;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/stays", 200 * KIB, 1);
	tree_file("D/goes", 2000 * KIB, 2);
	keep("D"); /* one pack with both */
	ck_assert_int_eq(unlink("D/goes"), 0);
	keep("D");
	ck_assert_int_eq(store_prune(store, &options, &pruned, &error), 0);
	ck_assert_uint_eq(pruned.packs, 1);
	ck_assert_uint_ge(pruned.repacked_bytes, 199 * KIB);
	ck_assert_uint_gt(pruned.freed_bytes, 1900 * KIB);
	comes_back(NULL, "R", "D");
	ck_assert_uint_eq(verify(NULL, false).count, 0);
	/* Damage in what lives keeps the pack: nothing that can still be had goes away. */
	tree_file("D/goes", 2000 * KIB, 3);
	keep("D");
	ck_assert_int_eq(unlink("D/goes"), 0);
	tree_file("D/small", 100 * KIB, 4);
	keep("D");
}
END_TEST

/*
 * A pruning that is killed between the new pack and the removal of the old one leaves both. The
 * next one may write the same pack again: a pack is named after what it holds, and what is written
 * anew must not go with what is dead. Which of the two copies counts as living depends on their
 * names.
 */
START_TEST(a_repacked_pack_is_no_dead_one)
{
	struct store_prune_options options = {.keep = 1};
	struct store_pruned pruned;
	const char *pack;
	uint8_t *bytes;
	size_t size;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/stays", 200 * KIB, 1 + 2 * (uint64_t)_i);
	tree_file("D/goes", 2000 * KIB, 2 + 2 * (uint64_t)_i);
	keep("D");
	pack = only_file("packs/");
	ck_assert_str_ne(pack, "");
	bytes = tree_read_file(pack, &size);
	ck_assert_int_eq(unlink("D/goes"), 0);
	keep("D");
	ck_assert_int_eq(store_prune(store, &options, &pruned, &error), 0);
	ck_assert_uint_eq(pruned.packs, 1);
	/* As if it had been killed before it removed the old pack. */
	tree_write_file(pack, bytes, size);
	free(bytes);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(store_prune(store, &options, &pruned, &error), 0);
		comes_back(NULL, again ? "R2" : "R1", "D");
		ck_assert_uint_eq(verify(NULL, false).count, 0);
	}
	ck_assert_uint_eq(pruned.packs + pruned.freed_bytes, 0); /* and all is tidy */
}
END_TEST

START_TEST(no_pack_goes_while_a_kept_manifest_is_unreadable)
{
	struct store_prune_options options = {.keep = 1};
	struct store_backup first, second;
	struct store_pruned pruned;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/file", 200 * KIB, 1);
	first = keep_as("D", "old");
	tree_file("D/file", 200 * KIB, 2);
	keep_as("D", "new");
	tree_file("D/file", 200 * KIB, 3);
	second = keep_as("D", "new");
	tree_flip(arena_printf(&arena, "S/backups/%s", first.id), 8 * 400);
	ck_assert_int_eq(store_prune(store, &options, &pruned, &error), 0);
	ck_assert(pruned.held);
	ck_assert_uint_eq(pruned.backups, 1);
	ck_assert_uint_eq(pruned.packs, 0);
	comes_back(second.id, "R", "D");
	/* Mended, everything takes its course. */
	tree_flip(arena_printf(&arena, "S/backups/%s", first.id), 8 * 400);
	ck_assert_int_eq(store_prune(store, &options, &pruned, &error), 0);
	ck_assert(!pruned.held);
	ck_assert_uint_eq(pruned.packs, 1);
	ck_assert_uint_eq(verify(NULL, false).count, 0);
}
END_TEST

/* ---- damage ---- */

/* A store of one backup: two files of noise, five and three chunks. */
static struct store_backup two_files(void)
{
	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/five", 4 * STORE_CHUNK + 1000, 1);
	tree_file("D/three", 3 * STORE_CHUNK, 2);
	return keep("D");
}

/* Where the chunk `number` of D/five lies in the pack. */
static uint64_t place_of_five(const char *pack, size_t number)
{
	size_t five, all;
	uint8_t *file = tree_read_file("D/five", &five), *data = tree_read_file(pack, &all);
	const uint8_t *found = memmem(data, all, file + number * STORE_CHUNK, 64);
	uint64_t place = found ? (uint64_t)(found - data) : 0;

	ck_assert_ptr_nonnull(found);
	free(file);
	free(data);
	return place;
}

START_TEST(a_flipped_bit_is_named)
{
	struct store_backup backup = two_files();
	const char *pack = only_file("packs/");
	uint64_t place = place_of_five(pack, 2);
	struct store_restored restored;
	struct told told;

	tree_flip(pack, 8 * (place + 777) + 3);
	told = verify(NULL, false);
	ck_assert_uint_eq(told.count, 1);
	ck_assert_str_eq(told.all[0].backup, backup.id);
	ck_assert_str_eq(told.all[0].path, "five");
	ck_assert_uint_eq(told.all[0].offset, 2 * STORE_CHUNK);
	ck_assert_uint_eq(told.all[0].bytes, STORE_CHUNK);
	ck_assert_str_eq(told.all[0].object, pack + 2);
	ck_assert_uint_eq(told.all[0].object_offset, place);
	ck_assert_uint_eq(told.all[0].object_bytes, STORE_CHUNK);
	ck_assert_str_eq(told.all[0].what, "checksum differs");
	ck_assert_uint_eq(verify(backup.id, false).count, 1);
	/* A restore does not pass it off as right. */
	ck_assert_int_eq(restore_to(NULL, "R", false, &told, &restored), -1);
	ck_assert_int_eq(error.kind, ERROR_IO);
	ck_assert_ptr_nonnull(strstr(error.text, "five, bytes 131072 to 196608"));
	ck_assert_int_ne(access("R/five", F_OK), 0);
	ck_assert_int_eq(access("R/.drsim-restore", F_OK), 0);
	/* What is whole comes back if that is asked for, the rest under another name. */
	ck_assert_int_eq(restore_to(NULL, "R", true, &told, &restored), 0);
	ck_assert_uint_eq(told.count, 1);
	ck_assert_uint_eq(restored.files, 1);
	ck_assert_uint_eq(restored.damaged, 1);
	ck_assert_uint_eq(restored.missing_bytes, STORE_CHUNK);
	ck_assert_int_ne(access("R/five", F_OK), 0);
	ck_assert_int_ne(access("R/.drsim-restore", F_OK), 0);
	ck_assert_int_eq(rename("R/five.partial", "R/five"), 0);
	tree_write("D/five", 2 * STORE_CHUNK, arena_alloc(&arena, STORE_CHUNK), STORE_CHUNK);
	ck_assert_str_eq(tree_difference("D/three", "R/three"), "");
	{
		size_t a, b;
		uint8_t *x = tree_read_file("D/five", &a), *y = tree_read_file("R/five", &b);

		ck_assert(a == b && memcmp(x, y, a) == 0);
		free(x);
		free(y);
	}
}
END_TEST

/* Neighbours are told as one range, of the file and of the object. */
START_TEST(a_missing_pack_is_named)
{
	struct told told;
	const char *pack;

	two_files();
	pack = only_file("packs/");
	ck_assert_int_eq(unlink(pack), 0);
	told = verify(NULL, false);
	ck_assert_uint_eq(told.count, 2);
	ck_assert_str_eq(told.all[0].path, "five");
	ck_assert_uint_eq(told.all[0].bytes, 4 * STORE_CHUNK + 1000);
	ck_assert_str_eq(told.all[1].path, "three");
	ck_assert_uint_eq(told.all[1].bytes, 3 * STORE_CHUNK);
	ck_assert_str_eq(told.all[0].what, "missing");
	ck_assert_ptr_null(told.all[0].object);
}
END_TEST

START_TEST(a_cut_pack_loses_its_end_only)
{
	struct store_restored restored;
	struct told told;
	const char *pack;
	struct stat status;

	two_files();
	pack = only_file("packs/");
	ck_assert_int_eq(stat(pack, &status), 0);
	ck_assert_int_eq(truncate(pack, status.st_size / 2), 0);
	told = verify(NULL, false);
	ck_assert_uint_ge(told.count, 2);
	ck_assert_int_eq(restore_to(NULL, "R", true, &told, &restored), 0);
	ck_assert_uint_ge(restored.bytes, 3 * STORE_CHUNK);
	ck_assert_uint_ge(restored.missing_bytes, 4 * STORE_CHUNK);
	/* Without the index nobody knows any more what it held. */
	ck_assert_int_eq(unlink("S/index"), 0);
	told = verify(NULL, false);
	ck_assert_uint_eq(told.count, 3);
	ck_assert_int_eq(restore_to(NULL, "R2", true, &told, &restored), 0);
	ck_assert_uint_eq(restored.files, 0);
}
END_TEST

START_TEST(a_mark_heals_with_the_next_backup)
{
	struct store_backup first, second;
	const char *pack;
	struct told told;

	first = two_files();
	pack = only_file("packs/");
	tree_flip(pack, 8 * place_of_five(pack, 2));
	/* Nobody knows yet: the next backup relies on what lies there. */
	second = keep("D");
	ck_assert_uint_eq(second.new_chunks, 0);
	ck_assert_uint_eq(verify(NULL, true).count, 2); /* one of each backup */
	second = keep("D");
	ck_assert_uint_eq(second.new_chunks, 1);
	comes_back(first.id, "R", "D");
	comes_back(NULL, "R", "D");
	/* The rotten copy is still there, and is no backup's loss. */
	told = verify(NULL, false);
	ck_assert_uint_eq(told.count, 1);
	ck_assert_ptr_null(told.all[0].backup);
	ck_assert_str_eq(told.all[0].object, pack + 2);
}
END_TEST

START_TEST(reused_chunks_are_checked_when_asked)
{
	struct store_backup_options options = {.check_reused = true};
	struct store_backup backup;
	const char *pack;

	two_files();
	ck_assert_int_eq(store_backup(store, "D", &options, &backup, &error), 0);
	ck_assert_uint_eq(backup.new_chunks, 0);
	pack = only_file("packs/");
	tree_flip(pack, 8 * place_of_five(pack, 2));
	ck_assert_int_eq(store_backup(store, "D", &options, &backup, &error), 0);
	ck_assert_uint_eq(backup.new_chunks, 1);
	comes_back("1", "R", "D");
}
END_TEST

START_TEST(a_damaged_index_costs_nothing)
{
	struct store_backup backup;
	struct told told;
	struct stat status;

	two_files();
	ck_assert_int_eq(stat("S/index", &status), 0);
	for (off_t byte = 0; byte < status.st_size; byte += 37) {
		tree_flip("S/index", 8 * (uint64_t)byte + 1);
		told = verify(NULL, false);
		ck_assert_uint_eq(told.count, 1);
		ck_assert_str_eq(told.all[0].object, "index");
		tree_flip("S/index", 8 * (uint64_t)byte + 1);
	}
	tree_flip("S/index", 100);
	comes_back(NULL, "R", "D");
	backup = keep("D"); /* knows all chunks, and renews it */
	ck_assert_uint_eq(backup.new_chunks, 0);
	ck_assert_uint_eq(verify(NULL, false).count, 0);
	tree_flip("S/index", 100);
	ck_assert_uint_eq(verify(NULL, true).count, 1);
	ck_assert_uint_eq(verify(NULL, false).count, 0);
	ck_assert_int_eq(unlink("S/index"), 0);
	backup = keep("D");
	ck_assert_uint_eq(backup.new_chunks, 0);
	ck_assert_int_eq(access("S/index", F_OK), 0);
}
END_TEST

START_TEST(a_damaged_header_costs_nothing)
{
	struct told told;

	two_files();
	for (unsigned bit = 0; bit < 8 * 64; bit += 7) {
		/* Another version is another thing than damage; its digest tells them apart. */
		tree_flip("S/store", bit);
		reopen(NULL);
		told = verify(NULL, false);
		ck_assert_uint_eq(told.count, 1);
		ck_assert_str_eq(told.all[0].object, "store");
		comes_back(NULL, "R", "D");
		tree_flip("S/store", bit);
	}
	ck_assert_int_eq(unlink("S/store"), 0);
	reopen(NULL);
	ck_assert_uint_eq(verify(NULL, false).count, 1);
	keep("D");
	ck_assert_uint_eq(verify(NULL, false).count, 0);
}
END_TEST

START_TEST(a_damaged_table_is_named)
{
	struct told told;
	const char *pack;
	struct stat status;

	two_files();
	pack = only_file("packs/");
	ck_assert_int_eq(stat(pack, &status), 0);
	for (int back = 1; back < 8 * ROW_BYTES + PACK_TAIL_BYTES; back += 11) {
		tree_flip(pack, 8 * (uint64_t)(status.st_size - back));
		told = verify(NULL, false);
		ck_assert_uint_eq(told.count, 1);
		ck_assert_str_eq(told.all[0].object, pack + 2);
		ck_assert_uint_eq(told.all[0].object_offset, (uint64_t)(status.st_size - back));
		comes_back(NULL, "R", "D"); /* the index has a copy */
		tree_flip(pack, 8 * (uint64_t)(status.st_size - back));
	}
	tree_flip(pack, 5); /* its first byte */
	told = verify(NULL, false);
	ck_assert_uint_eq(told.count, 1);
	ck_assert_uint_eq(told.all[0].object_offset, 0);
}
END_TEST

/* Each bit of a manifest, and each length of it: found, named, and never the end of the program. */
START_TEST(a_corrupt_manifest_is_refused)
{
	struct store_backup backup = two_files(), *list;
	const char *path = arena_printf(&arena, "S/backups/%s", backup.id);
	size_t bytes, count;
	uint8_t *data = tree_read_file(path, &bytes);

	for (size_t bit = 0; bit < 8 * bytes; bit++) {
		struct manifest manifest;
		struct arena scratch = {0};
		struct error e = {0};

		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(manifest_read(data, bytes, backup.id, &scratch, &manifest, &e),
				 -1);
		ck_assert(e.kind == ERROR_IO && e.text[0]);
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		arena_free(&scratch);
	}
	for (size_t length = 0; length < bytes; length++) {
		struct manifest manifest;
		struct arena scratch = {0};
		struct error e = {0};
		uint8_t *cut = malloc(length + 1);

		memcpy(cut, data, length);
		ck_assert_int_eq(manifest_read(cut, length, backup.id, &scratch, &manifest, &e),
				 -1);
		arena_free(&scratch);
		free(cut);
	}
	for (size_t bit = 0; bit < 8 * bytes; bit += 97) {
		struct told told;

		tree_flip(path, bit);
		told = verify(NULL, false);
		ck_assert_uint_ge(told.count, 1);
		ck_assert_str_eq(told.all[0].backup, backup.id);
		ck_assert_str_eq(told.all[0].object, path + 2);
		/* A damaged head is not listed; the rest is, and cannot be restored. */
		ck_assert_int_eq(store_list(store, &arena, &list, &count, &error), 0);
		ck_assert_uint_eq(count, bit >= 8 * MANIFEST_HEAD_BYTES ? 1 : 0);
		ck_assert_int_eq(restore_to(backup.id, "R", true, &told, NULL), -1);
		ck_assert_int_eq(error.kind, ERROR_IO);
		ck_assert_uint_eq(told.count, 1);
		tree_flip(path, bit);
	}
	ck_assert_int_eq(truncate(path, (off_t)bytes - 1), 0);
	ck_assert_int_eq(store_list(store, &arena, &list, &count, &error), 0);
	ck_assert_uint_eq(count, 0);
	free(data);
}
END_TEST

/* What is right by its digest and wrong in what it says. */
START_TEST(a_malicious_manifest_is_refused)
{
	static const struct {
		const char *paths[3];
		enum entry_type type; /* of the first */
	} cases[] = {
		{{"../up"}, ENTRY_FILE},        {{"/root"}, ENTRY_FILE},
		{{"a/../b"}, ENTRY_FILE},       {{"a//b"}, ENTRY_FILE},
		{{"a/"}, ENTRY_FOLDER},         {{"."}, ENTRY_FOLDER},
		{{"a", "a"}, ENTRY_FILE},       {{"b", "a"}, ENTRY_FILE},
		{{"a", "a/b"}, ENTRY_LINK},     {{"a", "a/b"}, ENTRY_FILE},
		{{"a/b"}, ENTRY_FILE},          {{""}, ENTRY_FILE},
		{{"a", "a/b/c"}, ENTRY_FOLDER},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct entry entries[4] = {{.type = ENTRY_FOLDER, .path = "", .mode = 0755}};
		struct manifest manifest = {.info = {.number = 1}, .entries = entries}, read;
		uint8_t *data;
		size_t bytes, count = 1;
		struct error e = {0};

		for (; count < 3 && cases[i].paths[count - 1]; count++)
			entries[count] = (struct entry){
				.type = count == 1 ? cases[i].type : ENTRY_FILE,
				.path = cases[i].paths[count - 1],
				.target = "/etc",
			};
		manifest.entry_count = count;
		ck_assert_int_eq(manifest_write(&manifest, &arena, &data, &bytes, &e), 0);
		ck_assert_int_eq(manifest_read(data, bytes, manifest.info.id, &arena, &read, &e),
				 -1);
		ck_assert_msg(e.kind == ERROR_IO, "%zu", i);
	}
}
END_TEST

/* ---- one bit anywhere ---- */

/* A store of three backups with shared and own chunks, compressed ones, and small packs. */
static void mixed_store(void)
{
	reopen(&(struct store_options){.pack_bytes = 128 * KIB});
	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/noise", 300 * KIB, 1);
	tree_file("D/text", 0, 0);
	for (int i = 0; i < 3000; i++)
		tree_write("D/text", (uint64_t)i * 17, "a line of words.\n", 17);
	keep_as("D", "model");
	tree_file("D/more", 150 * KIB, 2);
	keep_as("D", "io");
	tree_write("D/noise", 70000, "changed", 7);
	keep_as("D", "io");
}

static int compare_objects(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

START_TEST(every_flipped_bit_is_found)
{
	struct store_object *objects;
	const char *keys[256];
	size_t count, key_count = 0, found = 0;
	struct prng prng;

	mixed_store();
	keys[key_count++] = "store";
	keys[key_count++] = "index";
	for (int i = 1; i <= 3; i++) {
		const char *number = arena_printf(&arena, "%d", i);

		ck_assert_int_eq(store_objects(store, number, &arena, &objects, &count, &error), 0);
		for (size_t k = 0; k < count && key_count < 256; k++)
			keys[key_count++] = objects[k].key;
	}
	qsort(keys, key_count, sizeof(keys[0]), compare_objects);
	prng_open(&prng, 1, 0, 0, PRNG_TEST);
	for (int i = 0; i < 400; i++) {
		const char *key = keys[prng_below(&prng, key_count)];
		const char *path = arena_printf(&arena, "S/%s", key);
		struct stat status;
		struct told told;
		uint64_t bit;
		bool named = false;

		ck_assert_int_eq(stat(path, &status), 0);
		bit = prng_below(&prng, 8 * (uint64_t)status.st_size);
		tree_flip(path, bit);
		told = verify(NULL, false);
		for (size_t k = 0; k < told.count; k++)
			named = named ||
				(told.all[k].object && strcmp(told.all[k].object, key) == 0 &&
				 told.all[k].object_offset <= bit / 8 &&
				 bit / 8 < told.all[k].object_offset + told.all[k].object_bytes);
		found += named;
		tree_flip(path, bit);
	}
	ck_assert_uint_eq(found, 400);
	ck_assert_uint_eq(verify(NULL, false).count, 0);
}
END_TEST

/* ---- what faults need ---- */

START_TEST(the_ranges_of_one_backup_hit_no_other)
{
	struct store_object *objects;
	struct store_backup *backups;
	size_t count, listed, only = 0;

	mixed_store();
	ck_assert_int_eq(store_list(store, &arena, &backups, &listed, &error), 0);
	for (size_t b = 0; b < listed; b++) {
		ck_assert_int_eq(
			store_objects(store, backups[b].id, &arena, &objects, &count, &error), 0);
		ck_assert(objects[0].manifest && objects[0].only && objects[0].offset == 0);
		for (size_t i = 0; i < count; i++) {
			const char *path = arena_printf(&arena, "S/%s", objects[i].key);
			struct told told;
			bool own = false, other = false;

			tree_flip(path, 8 * (objects[i].offset + objects[i].bytes / 2));
			told = verify(NULL, false);
			for (size_t k = 0; k < told.count; k++) {
				bool mine = told.all[k].backup &&
					    strcmp(told.all[k].backup, backups[b].id) == 0;

				own = own || mine;
				other = other || (told.all[k].backup && !mine);
			}
			ck_assert(own);
			ck_assert(other == !objects[i].only);
			only += objects[i].only && !objects[i].manifest;
			tree_flip(path, 8 * (objects[i].offset + objects[i].bytes / 2));
		}
	}
	ck_assert_uint_gt(only, 0);
}
END_TEST

START_TEST(a_backup_can_be_aged)
{
	struct store_backup backup = two_files(), aged, found;
	uint8_t *data;
	size_t bytes, count;
	struct store_backup *list;

	ck_assert_int_eq(store_set_as_of(store, NULL, -7 * NANOS_HOUR, &aged, &error), 0);
	ck_assert_str_ne(aged.id, backup.id);
	ck_assert_uint_eq(aged.number, backup.number);
	ck_assert_int_eq(store_find(store, NULL, &found, &error), 0);
	ck_assert_int_eq(found.as_of, -7 * NANOS_HOUR);
	ck_assert_str_eq(found.id, aged.id);
	ck_assert_int_eq(store_list(store, &arena, &list, &count, &error), 0);
	ck_assert_uint_eq(count, 1);
	comes_back(NULL, "R", "D");
	ck_assert_uint_eq(verify(NULL, false).count, 0);
	/* Objects as they lie. */
	ck_assert_int_eq(store_object_read(store, "index", &arena, &data, &bytes, &error), 0);
	data[bytes / 2] ^= 1;
	ck_assert_int_eq(store_object_write(store, "index", data, bytes, &error), 0);
	ck_assert_uint_eq(verify(NULL, false).count, 1);
	ck_assert_int_eq(
		store_object_remove(store, arena_printf(&arena, "backups/%s", aged.id), &error), 0);
	ck_assert_int_eq(store_find(store, NULL, &found, &error), -1);
	ck_assert_int_eq(store_object_read(store, "nothing", &arena, &data, &bytes, &error), -1);
}
END_TEST

/* ---- while it goes on ---- */

/* Changes files at the first sign of progress. */
static void disturb(void *self, uint64_t bytes, uint64_t total)
{
	bool *done = self;

	ck_assert_uint_le(bytes, total);
	if (*done)
		return;
	*done = true;
	tree_write("D/m grows", 100000, "appended", 8);
	ck_assert_int_eq(truncate("D/n shrinks", 70000), 0);
	ck_assert_int_eq(unlink("D/o goes"), 0);
}

START_TEST(files_are_kept_as_they_were_at_the_begin)
{
	bool done = false;
	struct store_backup_options options = {.hooks = {.self = &done, .progress = disturb}};
	struct store_backup backup;
	struct stat status;
	size_t a, b;
	uint8_t *x, *y;

	reopen(&(struct store_options){.threads = 1});
	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/a first", 10, 1);
	tree_file("D/m grows", 100000, 2);
	tree_file("D/n shrinks", 200000, 3);
	tree_file("D/o goes", 100000, 4);
	x = tree_read_file("D/m grows", &a);
	ck_assert_int_eq(store_backup(store, "D", &options, &backup, &error), 0);
	ck_assert_uint_eq(backup.changed, 3);
	ck_assert_uint_eq(backup.files, 3);
	ck_assert_int_eq(store_restore(store, NULL, "R", NULL, NULL, &error), 0);
	y = tree_read_file("R/m grows", &b);
	ck_assert_uint_eq(a, 100000);
	ck_assert(a == b && memcmp(x, y, a) == 0);
	ck_assert_int_eq(stat("R/n shrinks", &status), 0);
	ck_assert_int_eq(status.st_size, 70000);
	ck_assert_int_ne(access("R/o goes", F_OK), 0);
	ck_assert_uint_eq(verify(NULL, false).count, 0);
	free(x);
	free(y);
}
END_TEST

struct canceller {
	atomic_bool cancel;
	uint64_t after, seen, total;
};

static void cancel_after(void *self, uint64_t bytes, uint64_t total)
{
	struct canceller *canceller = self;

	canceller->seen = bytes;
	canceller->total = total;
	if (bytes >= canceller->after)
		atomic_store(&canceller->cancel, true);
}

START_TEST(a_cancelled_backup_leaves_nothing)
{
	struct canceller canceller = {.after = 3000 * KIB};
	struct store_backup_options options = {.hooks = {.self = &canceller,
							 .progress = cancel_after,
							 .cancel = &canceller.cancel}};
	struct store_prune_options prune = {.keep = 1};
	struct store_pruned pruned;
	struct store_backup backup;
	size_t count;
	struct store_backup *list;

	reopen(&(struct store_options){.pack_bytes = 256 * KIB});
	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/base", 500 * KIB, 1);
	keep("D");
	tree_file("D/large", 8000 * KIB, 2);
	ck_assert_int_eq(store_backup(store, "D", &options, &backup, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_UNAVAILABLE);
	ck_assert_uint_lt(canceller.seen, canceller.total);
	ck_assert_int_eq(store_list(store, &arena, &list, &count, &error), 0);
	ck_assert_uint_eq(count, 1);
	/* Its packs are gone: a pruning finds nothing to remove. */
	ck_assert_int_eq(store_prune(store, &prune, &pruned, &error), 0);
	ck_assert_uint_eq(pruned.packs, 0);
	ck_assert_uint_eq(verify(NULL, false).count, 0);
	keep("D");
	comes_back(NULL, "R", "D");
}
END_TEST

START_TEST(a_cancelled_restore_can_begin_anew)
{
	struct canceller canceller = {.after = 2000 * KIB};
	struct store_restore_options options = {.hooks = {.self = &canceller,
							  .progress = cancel_after,
							  .cancel = &canceller.cancel}};
	struct store_backup backup;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/large", 8000 * KIB, 2);
	tree_file("D/other", 8000 * KIB, 3);
	keep("D");
	ck_assert_int_eq(store_restore(store, NULL, "R", &options, NULL, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_UNAVAILABLE);
	/* Neither file is there under its name, and the folder says that it is unfinished. */
	ck_assert_int_ne(access("R/other", F_OK), 0);
	ck_assert_int_eq(access("R/.drsim-restore", F_OK), 0);
	error = (struct error){0};
	ck_assert_int_eq(store_backup(store, "R", NULL, &backup, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(error.text, "unfinished restore"));
	error = (struct error){0};
	ck_assert_int_eq(store_restore(store, NULL, "R", NULL, NULL, &error), 0);
	ck_assert_str_eq(tree_difference("D", "R"), "");
}
END_TEST

START_TEST(a_rate_is_kept)
{
	struct store_backup_options options = {.hooks = {.bytes_per_second = 4 << 20}};
	struct store_restore_options back = {.hooks = {.bytes_per_second = 8 << 20}};
	struct store_backup backup;
	struct timespec begin, middle, end;
	double took;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	tree_file("D/file", 2 << 20, 1);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	ck_assert_int_eq(store_backup(store, "D", &options, &backup, &error), 0);
	clock_gettime(CLOCK_MONOTONIC, &middle);
	ck_assert_int_eq(store_restore(store, NULL, "R", &back, NULL, &error), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	took = (double)(middle.tv_sec - begin.tv_sec) +
	       (double)(middle.tv_nsec - begin.tv_nsec) / 1e9;
	ck_assert_double_ge(took, 0.5);
	took = (double)(end.tv_sec - middle.tv_sec) + (double)(end.tv_nsec - middle.tv_nsec) / 1e9;
	ck_assert_double_ge(took, 0.25);
}
END_TEST

/* ---- locks ---- */

/* A second handle, as of another process. */
static struct store_handle *second_handle(nanos wait)
{
	struct store_options options = {.lock_wait = wait};
	struct store_handle *other;

	ck_assert_int_eq(store_open("S", &options, &other, &error), 0);
	return other;
}

struct rival {
	struct store_handle *store;
	int write, restore, prune; /* how they ended */
	enum error_kind kind;
	bool done;
};

static void try_all(void *self, uint64_t bytes, uint64_t total)
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
	rival->write = store_backup(rival->store, "E", NULL, &backup, &e);
	rival->kind = e.kind;
	rival->restore = store_restore(rival->store, "1", "R2", NULL, NULL, &e);
	rival->prune = store_prune(rival->store, &prune, NULL, &e);
}

START_TEST(writers_exclude_each_other)
{
	struct rival rival = {.store = second_handle(0)};
	struct store_backup_options options = {.hooks = {.self = &rival, .progress = try_all}};
	struct store_restore_options back = {.hooks = {.self = &rival, .progress = try_all}};
	struct store_backup backup;

	ck_assert_int_eq(mkdir("E", 0755), 0);
	two_files();
	ck_assert_int_eq(store_backup(store, "D", &options, &backup, &error), 0);
	ck_assert(rival.done);
	ck_assert_int_eq(rival.write, -1);
	ck_assert_int_eq(rival.kind, ERROR_UNAVAILABLE);
	ck_assert_int_eq(rival.restore, 0); /* beside a backup */
	ck_assert_int_eq(rival.prune, -1);
	rival.done = false;
	ck_assert_int_eq(store_restore(store, "1", "R", &back, NULL, &error), 0);
	ck_assert(rival.done);
	ck_assert_int_eq(rival.write, 0);
	ck_assert_int_eq(rival.prune, -1); /* never under a reader */
	store_close(rival.store);
}
END_TEST

static void sleep_long(void *self, uint64_t bytes, uint64_t total)
{
	(void)bytes;
	(void)total;
	ck_assert_int_eq(write(*(int *)self, "x", 1), 1);
	pause();
}

START_TEST(a_lock_dies_with_its_owner)
{
	struct store_handle *other;
	struct store_backup backup;
	int ready[2], status;
	char byte;
	pid_t child;

	two_files();
	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		struct store_backup_options options = {
			.hooks = {.self = &ready[1], .progress = sleep_long}};

		reopen(NULL);
		store_backup(store, "D", &options, &backup, &error);
		_exit(1);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	other = second_handle(200 * NANOS_MS);
	ck_assert_int_eq(store_backup(other, "D", NULL, &backup, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_UNAVAILABLE);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	tree_file("S/tmp/1-1", 1000, 1); /* as a killed writer leaves it */
	error = (struct error){0};
	ck_assert_msg(store_backup(other, "D", NULL, &backup, &error) == 0, "%s", error.text);
	ck_assert_int_ne(access("S/tmp/1-1", F_OK), 0);
	store_close(other);
	close(ready[0]);
	close(ready[1]);
}
END_TEST

/* ---- wrong use ---- */

START_TEST(wrong_use_is_told)
{
	struct store_options create = {.create = true};
	struct store_handle *other = NULL;
	struct store_backup backup;

	ck_assert_int_eq(store_open("nowhere", NULL, &other, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_USAGE);
	ck_assert_int_eq(mkdir("D", 0755), 0);
	error = (struct error){0};
	ck_assert_int_eq(store_open("D", NULL, &other, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_USAGE);
	tree_file("D/file", 10, 1);
	error = (struct error){0};
	ck_assert_int_eq(store_open("D", &create, &other, &error), -1); /* not empty */
	ck_assert_int_eq(error.kind, ERROR_USAGE);
	ck_assert_ptr_null(other);
	error = (struct error){0};
	ck_assert_int_eq(store_backup(store, ".", NULL, &backup, &error), -1); /* S is in it */
	ck_assert_int_eq(error.kind, ERROR_USAGE);
	error = (struct error){0};
	ck_assert_int_eq(store_backup(store, "D/file", NULL, &backup, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_USAGE);
	error = (struct error){0};
	ck_assert_int_eq(store_backup(store, "D",
				      &(struct store_backup_options){.label = "two\nlines"},
				      &backup, &error),
			 -1);
	ck_assert_int_eq(error.kind, ERROR_USAGE);
	error = (struct error){0};
	ck_assert_int_eq(store_restore(store, "9", "R", NULL, NULL, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_USAGE);
	ck_assert_int_ne(access("R", F_OK), 0);
	/* What does not belong to a store is seen. */
	keep("D");
	tree_file("S/packs/stranger", 10, 1);
	ck_assert_uint_eq(verify(NULL, false).count, 1);
}
END_TEST

/* ---- the commands ---- */

static int run_drsim(const char *out, const char *const *words)
{
	char *argv[16] = {workplace_program};
	posix_spawn_file_actions_t actions;
	size_t count = 1;
	int status;
	pid_t pid;

	for (; words[count - 1] && count < 15; count++)
		argv[count] = (char *)(uintptr_t)words[count - 1];
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	posix_spawn_file_actions_addopen(&actions, 2, "err", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ck_assert_int_eq(posix_spawn(&pid, argv[0], &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define DRSIM(...) run_drsim("out", (const char *const[]){__VA_ARGS__, NULL})

static bool says(const char *file, const char *words)
{
	char *text = workplace_read(file);
	bool found = strstr(text, words) != NULL;

	free(text);
	return found;
}

static cJSON *json_of(const char *file)
{
	char *text = workplace_read(file);
	cJSON *json = cJSON_Parse(text);

	ck_assert_msg(json != NULL, "%s", text);
	free(text);
	return json;
}

static double number_of(const cJSON *json, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

	ck_assert_msg(cJSON_IsNumber(item), "%s", name);
	return item->valuedouble;
}

START_TEST(commands)
{
	cJSON *json;
	const cJSON *damage;
	const char *pack;

	tree_odd("D");
	ck_assert_int_eq(DRSIM("backup", "D", "T", "--label", "model"), 0);
	ck_assert(says("out", "backup 000001-") && says("out", "in 29 files, 4 folders, 3 links"));
	ck_assert_int_eq(DRSIM("backup", "D", "T", "--json", "--keep", "1", "--label", "model"), 0);
	json = json_of("out");
	ck_assert_double_eq(number_of(json, "new_chunks"), 0);
	ck_assert_double_eq(number_of(json, "pruned_backups"), 1);
	cJSON_Delete(json);
	ck_assert_int_eq(DRSIM("backups", "T"), 0);
	ck_assert(says("out", "000002-") && !says("out", "000001-"));
	ck_assert_int_eq(DRSIM("restore", "T", "R", "--check", "--sync"), 0);
	ck_assert(says("out", "whole   29 of 29 files"));
	ck_assert_str_eq(tree_difference("D", "R"), "");
	ck_assert_int_eq(DRSIM("restore", "T", "2", "R", "--exact", "--rate", "1GB/s"), 0);
	ck_assert_int_eq(DRSIM("verify-backup", "T"), 0);
	ck_assert(says("out", "whole: 1 backups"));
	store_close(store);
	ck_assert_int_eq(store_open("T", NULL, &store, &error), 0);
	pack = only_file("packs/");
	tree_flip(arena_printf(&arena, "T%s", pack + 1), 8 * 100);
	ck_assert_int_eq(DRSIM("verify-backup", "T", "2"), 1);
	ck_assert(says("out", "damaged: backup 000002-"));
	ck_assert_int_eq(DRSIM("verify-backup", "T", "--json"), 1);
	json = json_of("out");
	damage = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "damage"), 0);
	ck_assert(cJSON_GetObjectItemCaseSensitive(damage, "path") != NULL);
	ck_assert_double_eq(number_of(json, "damaged_files"), 1);
	cJSON_Delete(json);
	ck_assert_int_eq(DRSIM("restore", "T", "R2"), 1);
	ck_assert_int_eq(DRSIM("restore", "T", "R2", "--partial"), 1);
	ck_assert(says("out", "damaged 1 files"));
	/* Usage, and what cannot be. */
	ck_assert_int_eq(DRSIM("backup", "D"), 2);
	ck_assert_int_eq(DRSIM("backup", "nothing", "T"), 2);
	ck_assert_int_eq(DRSIM("backup", "D", "T", "--rate", "fast"), 2);
	ck_assert_int_eq(DRSIM("restore", "T", "77", "R"), 2);
	ck_assert_int_eq(DRSIM("verify-backup", "nothing"), 2);
	ck_assert_int_eq(DRSIM("backups", "http://127.0.0.1:1"), 3);
	ck_assert(says("err", "does not answer"));
}
END_TEST

static void add_loop(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "everything comes back", everything_comes_back);
	add(suite, "exact", an_exact_restore_leaves_nothing_else);
	add(suite, "nothing through links", nothing_is_written_through_links);
	add(suite, "an empty folder", an_empty_folder_is_a_backup);
	add(suite, "other kinds of files", other_kinds_of_files_are_skipped);
	add(suite, "only what is new", only_what_is_new_is_stored);
	add(suite, "zeros", zeros_are_not_stored);
	add(suite, "list and find", backups_are_listed_and_found);
	add(suite, "prune", pruning_keeps_the_newest_of_each_label);
	add(suite, "repack", half_dead_packs_are_written_anew);
	add_loop(suite, "repack, killed", a_repacked_pack_is_no_dead_one, 8);
	add(suite, "prune held", no_pack_goes_while_a_kept_manifest_is_unreadable);
	add(suite, "a flipped bit", a_flipped_bit_is_named);
	add(suite, "a missing pack", a_missing_pack_is_named);
	add(suite, "a cut pack", a_cut_pack_loses_its_end_only);
	add(suite, "mark and heal", a_mark_heals_with_the_next_backup);
	add(suite, "check reused", reused_chunks_are_checked_when_asked);
	add(suite, "damaged index", a_damaged_index_costs_nothing);
	add(suite, "damaged header", a_damaged_header_costs_nothing);
	add(suite, "damaged table", a_damaged_table_is_named);
	add(suite, "corrupt manifest", a_corrupt_manifest_is_refused);
	add(suite, "malicious manifest", a_malicious_manifest_is_refused);
	add(suite, "every flipped bit", every_flipped_bit_is_found);
	add(suite, "ranges of one backup", the_ranges_of_one_backup_hit_no_other);
	add(suite, "age", a_backup_can_be_aged);
	add(suite, "as of the begin", files_are_kept_as_they_were_at_the_begin);
	add(suite, "cancel a backup", a_cancelled_backup_leaves_nothing);
	add(suite, "cancel a restore", a_cancelled_restore_can_begin_anew);
	add(suite, "rate", a_rate_is_kept);
	add(suite, "writers", writers_exclude_each_other);
	add(suite, "a lock dies", a_lock_dies_with_its_owner);
	add(suite, "wrong use", wrong_use_is_told);
	add(suite, "commands", commands);
}

TEST_MAIN("store", add_cases)
