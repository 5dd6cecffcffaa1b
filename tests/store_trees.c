/* SPDX-License-Identifier: Apache-2.0 */
/* Folders for tests of the backup engine. */
#include "tests/store_trees.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/model_data.h"

#define NAMES_MAX 4096

static char difference[PATH_MAX + 128];

void tree_write_file(const char *path, const uint8_t *data, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(write(fd, data, bytes), (ssize_t)bytes);
	ck_assert_int_eq(close(fd), 0);
}

void tree_file(const char *path, size_t bytes, uint64_t seed)
{
	uint8_t *data = malloc(bytes + 1);

	ck_assert_ptr_nonnull(data);
	model_data_noise(data, bytes, seed);
	tree_write_file(path, data, bytes);
	free(data);
}

void tree_write(const char *path, uint64_t offset, const void *data, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(pwrite(fd, data, bytes, (off_t)offset), (ssize_t)bytes);
	ck_assert_int_eq(close(fd), 0);
}

uint8_t *tree_read_file(const char *path, size_t *ret_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat status;
	uint8_t *data;

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(fstat(fd, &status), 0);
	data = malloc((size_t)status.st_size + 1);
	ck_assert_ptr_nonnull(data);
	ck_assert_int_eq(read(fd, data, (size_t)status.st_size), status.st_size);
	close(fd);
	*ret_bytes = (size_t)status.st_size;
	return data;
}

void tree_flip(const char *path, uint64_t bit)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
	byte ^= (uint8_t)(1u << bit % 8);
	ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
	close(fd);
}

static void set_time(const char *path, time_t seconds, long nanoseconds)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
					  {.tv_sec = seconds, .tv_nsec = nanoseconds}};

	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* Sizes on both sides of a chunk's and a span's edge. */
static void odd_sizes(void)
{
	static const size_t sizes[] = {0,      1,      65535,   65536,           65537,
				       131072, 131073, 1048576, 1048576 + 65537, 3000000};
	char name[64];

	ck_assert_int_eq(mkdir("sizes", 0755), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(name, sizeof(name), "sizes/%zu", sizes[i]);
		tree_file(name, sizes[i], 100 + i);
		set_time(name, (time_t)(1000000000 + i), (long)i * 111111111 % 1000000000);
	}
}

static void odd_contents(void)
{
	uint8_t *zeros = calloc(1, 300000), *again = malloc(400000);

	ck_assert_ptr_nonnull(zeros);
	ck_assert_ptr_nonnull(again);
	tree_write_file("zeros", zeros, 300000);
	tree_file("mixed", 400000, 7);
	tree_write("mixed", 65536, zeros, 131072);
	memset(again, 'a', 400000); /* one chunk many times, which compresses well */
	tree_write_file("repeats", again, 400000);
	free(zeros);
	free(again);
	/* Holes, data in the middle and at the end. */
	tree_file("sparse", 10, 3);
	ck_assert_int_eq(truncate("sparse", (off_t)1 << 26), 0);
	tree_write("sparse", (1 << 25) + 12345, "middle", 6);
	tree_write("sparse", (1 << 26) - 3, "end", 3);
}

void tree_odd(const char *path)
{
	static const char *const names[] = {" ",        "a b", "-rf", "new\nline", "\xc3\xa4",
					    "\xff\xfe", "a",   "a-b", "a.b",       "tab\there",
					    "'\"$`",    "...", "\\"};
	char here[PATH_MAX], longest[256];

	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(chdir(path), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], "a") != 0)
			tree_file(names[i], 10 + i, i);
	memset(longest, 'n', 255);
	longest[255] = '\0';
	tree_file(longest, 5, 5);
	odd_sizes();
	odd_contents();
	/* "a/b" between "a" and "a-b": the order of a manifest. */
	ck_assert_int_eq(mkdir("a", 0750), 0);
	tree_file("a/b", 20, 20);
	ck_assert_int_eq(mkdir("a/empty", 0711), 0);
	ck_assert_int_eq(mkdir("a/closed", 0755), 0);
	tree_file("a/closed/inside", 30, 30);
	ck_assert_int_eq(symlink("a/b", "link"), 0);
	ck_assert_int_eq(symlink("/nowhere/at all", "a/dangling"), 0);
	ck_assert_int_eq(symlink("a", "link to folder"), 0);
	set_time("link", 1234567890, 5);
	ck_assert_int_eq(chmod("a b", 0400), 0);
	ck_assert_int_eq(chmod("-rf", 04755), 0);
	if (geteuid() == 0) { /* whom a mode does not keep out */
		ck_assert_int_eq(chmod("a/b", 0), 0);
		ck_assert_int_eq(chmod("a/closed", 0555), 0);
	}
	set_time("a b", -1000, 999999999); /* before 1970 */
	set_time("a/closed", 1500000000, 1);
	set_time("a/empty", 1600000000, 2);
	set_time("a", 1700000000, 3);
	set_time(".", 1710000000, 4);
	ck_assert_int_eq(chdir(here), 0);
}

/* ---- comparing ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list(const char *path, char *names[NAMES_MAX])
{
	DIR *listing = opendir(path);
	const struct dirent *item;
	size_t count = 0;

	ck_assert_msg(listing != NULL, "%s: %s", path, strerror(errno));
	while ((item = readdir(listing)))
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0) {
			ck_assert_uint_lt(count, NAMES_MAX);
			names[count++] = strdup(item->d_name);
		}
	closedir(listing);
	qsort(names, count, sizeof(*names), compare_names);
	return count;
}

static bool differs(const char *path, const char *what)
{
	snprintf(difference, sizeof(difference), "%s: %s", path, what);
	return true;
}

static bool contents_differ(const char *a, const char *b, off_t size)
{
	int x = open(a, O_RDONLY | O_CLOEXEC), y = open(b, O_RDONLY | O_CLOEXEC);
	static uint8_t left[1 << 20], right[1 << 20];
	bool differ = x < 0 || y < 0;

	for (off_t at = 0; !differ && at < size; at += (off_t)sizeof(left)) {
		ssize_t got = pread(x, left, sizeof(left), at);

		differ = got < 0 || pread(y, right, sizeof(right), at) != got ||
			 memcmp(left, right, (size_t)got) != 0;
	}
	if (x >= 0)
		close(x);
	if (y >= 0)
		close(y);
	return differ && differs(a, "contents");
}

static bool trees_differ(const char *a, const char *b);

static bool folders_differ(const char *a, const char *b)
{
	char *left[NAMES_MAX] = {NULL}, *right[NAMES_MAX] = {NULL};
	size_t count = list(a, left), other = list(b, right);
	bool differ = count != other && differs(a, "number of names");

	for (size_t i = 0; !differ && i < count; i++) {
		char x[PATH_MAX], y[PATH_MAX];

		snprintf(x, sizeof(x), "%s/%s", a, left[i]);
		snprintf(y, sizeof(y), "%s/%s", b, right[i]);
		differ = strcmp(left[i], right[i]) != 0 ? differs(x, "name") : trees_differ(x, y);
	}
	for (size_t i = 0; i < count; i++)
		free(left[i]);
	for (size_t i = 0; i < other; i++)
		free(right[i]);
	return differ;
}

static bool trees_differ(const char *a, const char *b)
{
	struct stat x, y;

	if (lstat(a, &x) || lstat(b, &y))
		return differs(a, strerror(errno));
	if (x.st_mode != y.st_mode)
		return differs(a, "mode");
	if (x.st_uid != y.st_uid || x.st_gid != y.st_gid)
		return differs(a, "owner");
	if (x.st_mtim.tv_sec != y.st_mtim.tv_sec || x.st_mtim.tv_nsec != y.st_mtim.tv_nsec)
		return differs(a, "time of change");
	if (S_ISLNK(x.st_mode)) {
		char left[PATH_MAX] = "", right[PATH_MAX] = "";

		ck_assert_int_ge(readlink(a, left, sizeof(left) - 1), 0);
		ck_assert_int_ge(readlink(b, right, sizeof(right) - 1), 0);
		return strcmp(left, right) != 0 && differs(a, "target");
	}
	if (S_ISDIR(x.st_mode))
		return folders_differ(a, b);
	if (x.st_size != y.st_size)
		return differs(a, "size");
	return contents_differ(a, b, x.st_size);
}

const char *tree_difference(const char *a, const char *b)
{
	difference[0] = '\0';
	trees_differ(a, b);
	return difference;
}
