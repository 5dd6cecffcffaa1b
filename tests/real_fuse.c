/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE layer for real: what passes through unharmed, each fault applied, seen by its user as
 * often as the layer counted it, and gone after; hung and killed programs; machines.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/prng.h"
#include "drivers/host/machine.h"
#include "drivers/host/process.h"
#include "drivers/host/undo.h"
#include "drivers/linux/disk.h"
#include "tests/fuse_bed.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define STEPS 3000
#define FILES 6
#define TRIES 400
#define BLOCK 4096
#define NOBODY 65534
#define MANY 5000

static char block[BLOCK];

/* ---- nothing active: all is as without it ---- */

/* One random step in a folder; what came of it as a number. */
static long step(struct prng *prng, const char *folder)
{
	char one[BED_PATH_MAX + 64], two[BED_PATH_MAX + 64], bytes[5000];
	uint64_t what = prng_below(prng, 15), at = prng_below(prng, 20000),
		 size = prng_below(prng, sizeof(bytes));
	struct stat status;
	long got = 0;
	int fd;

	snprintf(one, sizeof(one), "%s/%s%u", folder, prng_below(prng, 3) ? "f" : "d/g",
		 (unsigned)prng_below(prng, FILES));
	snprintf(two, sizeof(two), "%s/%s%u", folder, prng_below(prng, 3) ? "f" : "d/g",
		 (unsigned)prng_below(prng, FILES));
	memset(bytes, (int)at, sizeof(bytes));
	errno = 0;
	switch (what) {
	case 0:
		got = unlink(one);
		break;
	case 1:
		got = rename(one, two);
		break;
	case 2:
		got = link(one, two);
		break;
	case 3:
		got = symlink("f1", one);
		break;
	case 4:
		got = truncate(one, (off_t)at);
		break;
	case 5:
		got = chmod(one, 0600 | (mode_t)(at & 0177));
		break;
	case 6:
		got = stat(one, &status) ? -1 : (long)status.st_size * 7 + status.st_mode;
		break;
	case 7:
		got = mkdir(one, 0700) + 2 * rmdir(two);
		break;
	case 8:
		got = renameat2(AT_FDCWD, one, AT_FDCWD, two,
				at % 2 ? RENAME_EXCHANGE : RENAME_NOREPLACE);
		break;
	default:
		fd = open(one, O_RDWR | O_CREAT | (at % 3 ? 0 : O_APPEND) | (at % 11 ? 0 : O_TRUNC),
			  0644);
		if (fd < 0)
			return -errno;
		got = what < 12 ? write(fd, bytes, size) : pwrite(fd, bytes, size, (off_t)at);
		got = got * 3 + pread(fd, bytes, size, (off_t)(at / 2));
		for (size_t i = 0; i < size; i += 97)
			got = (got * 31 + bytes[i]) % 1000003;
		if (what == 13)
			got += fallocate(fd, at % 2 ? FALLOC_FL_KEEP_SIZE : 0, (off_t)at, 100);
		/* Open and without a name. */
		if (what == 14)
			got += unlink(one) + fstat(fd, &status) + (long)status.st_nlink;
		close(fd);
	}
	return got * 1000 - errno;
}

START_TEST(passes_everything_through)
{
	char direct[BED_PATH_MAX], above[BED_PATH_MAX + 64];
	struct prng plain, through;

	if (!bed_layer)
		return;
	snprintf(direct, sizeof(direct), "%s/plain", fuse_layer_below(bed_layer));
	snprintf(above, sizeof(above), "%s/through", bed_data);
	ck_assert_int_eq(mkdir(direct, 0700), 0);
	ck_assert_int_eq(mkdir(above, 0700), 0);
	ck_assert_int_eq(mkdir(bed_below("plain/d"), 0700), 0);
	ck_assert_int_eq(mkdir(bed_above("through/d"), 0700), 0);
	prng_open(&plain, 1, 0, (uint64_t)_i, PRNG_TEST);
	prng_open(&through, 1, 0, (uint64_t)_i, PRNG_TEST);
	for (int i = 0; i < STEPS; i++) {
		long wanted = step(&plain, direct), got = step(&through, above);

		ck_assert_msg(wanted == got, "step %d: %ld instead of %ld", i, got, wanted);
	}
	ck_assert_uint_eq(bed_digest(direct), bed_digest(above));
	ck_assert_uint_eq(bed_digest(direct), bed_digest(bed_below("through")));
}
END_TEST

START_TEST(details_pass_through)
{
	char value[16] = "", *map;
	struct statvfs space;
	struct stat status;
	struct timespec times[2] = {{.tv_sec = 5, .tv_nsec = 6}, {.tv_sec = 7, .tv_nsec = 8}};
	size_t names = 0;
	DIR *dir;
	int fd;

	if (!bed_layer)
		return;
	bed_write(bed_above("f"), "content", 7);
	ck_assert_int_eq(utimensat(AT_FDCWD, bed_above("f"), times, 0), 0);
	ck_assert_int_eq(chown(bed_above("f"), 12, 34), 0);
	ck_assert_int_eq(stat(bed_below("f"), &status), 0);
	ck_assert_int_eq(status.st_mtim.tv_sec, 7);
	ck_assert_int_eq(status.st_mtim.tv_nsec, 8);
	ck_assert(status.st_uid == 12 && status.st_gid == 34);
	ck_assert_int_eq(symlink("f", bed_above("s")), 0);
	ck_assert_int_eq(readlink(bed_above("s"), value, sizeof(value)), 1);
	ck_assert_int_eq(mkfifo(bed_above("p"), 0600), 0);
	ck_assert(stat(bed_below("p"), &status) == 0 && S_ISFIFO(status.st_mode));
	ck_assert_int_eq(statvfs(bed_data, &space), 0);
	ck_assert_uint_eq(space.f_blocks * space.f_frsize, (uint64_t)256 << 20);
	/* More names than one answer holds. */
	ck_assert_int_eq(mkdir(bed_above("many"), 0700), 0);
	for (int i = 0; i < 3000; i++) {
		char name[64];

		snprintf(name, sizeof(name), "many/a-name-of-some-length-%d", i);
		ck_assert_int_eq(mknod(bed_below(name), S_IFREG | 0600, 0), 0);
	}
	dir = opendir(bed_above("many"));
	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		names++;
	ck_assert_uint_eq(names, 3002);
	rewinddir(dir);
	ck_assert_ptr_nonnull(readdir(dir));
	closedir(dir);
	/* What is changed below is seen at once. */
	bed_write(bed_below("f"), "changed", 7);
	ck_assert_int_eq(bed_read(bed_above("f"), value, sizeof(value)), 7);
	ck_assert_mem_eq(value, "changed", 7);
	fd = open(bed_above("f"), O_RDWR | O_APPEND | O_CLOEXEC);
	ck_assert_int_eq(truncate(bed_below("f"), 100), 0);
	ck_assert_int_eq(write(fd, "end", 3), 3);
	ck_assert_int_eq(pread(fd, value, sizeof(value), 100), 3);
	ck_assert_mem_eq(value, "end", 3);
	close(fd);
	/* Only what goes through the page cache can be mapped shared. */
	fd = open(bed_above("db-shm"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(fd, BLOCK), 0);
	map = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	memset(map, 'm', 6);
	ck_assert_int_eq(msync(map, BLOCK, MS_SYNC), 0);
	munmap(map, BLOCK);
	close(fd);
	ck_assert_int_eq(bed_read(bed_below("db-shm"), value, 6), 6);
	ck_assert_mem_eq(value, "mmmmmm", 6);
}
END_TEST

/* ---- errors, one method after another ---- */

static int fd_f;

static int do_lookup(void)
{
	return access(bed_above("d/x"), F_OK);
}
static int do_getattr(void)
{
	struct stat status;

	return fstat(fd_f, &status);
}
static int do_setattr(void)
{
	return fchmod(fd_f, 0600);
}
static int do_truncate(void)
{
	return ftruncate(fd_f, BLOCK);
}
static int do_open(void)
{
	int fd = open(bed_above("f"), O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}
static int do_create(void)
{
	int fd = open(bed_above("new"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0) {
		close(fd);
		unlink(bed_below("new"));
	}
	return fd < 0 ? -1 : 0;
}
static int do_read(void)
{
	return pread(fd_f, block, BLOCK, 0) < 0 ? -1 : 0;
}
static int do_write(void)
{
	return pwrite(fd_f, block, BLOCK, 0) < 0 ? -1 : 0;
}
static int do_fsync(void)
{
	return fdatasync(fd_f);
}
static int do_fallocate(void)
{
	return fallocate(fd_f, 0, 0, BLOCK);
}
static int do_unlink(void)
{
	bed_write(bed_below("gone"), "", 0);
	return unlink(bed_above("gone"));
}
static int do_rename(void)
{
	int rc = rename(bed_above("f"), bed_above("f2"));

	int why = errno;

	if (rc == 0)
		rename(bed_below("f2"), bed_below("f"));
	/* What is renamed below is seen when it is looked up. */
	ck_assert_int_eq(access(bed_above("f"), F_OK), 0);
	errno = why;
	return rc;
}
static int do_mkdir(void)
{
	int rc = mkdir(bed_above("made"), 0700), why = errno;

	rmdir(bed_below("made"));
	errno = why;
	return rc;
}
static int do_rmdir(void)
{
	mkdir(bed_below("made"), 0700);
	return rmdir(bed_above("made"));
}
static int do_link(void)
{
	int rc = link(bed_above("f"), bed_above("l")), why = errno;

	unlink(bed_below("l"));
	errno = why;
	return rc;
}
static int do_symlink(void)
{
	int rc = symlink("f", bed_above("s2")), why = errno;

	unlink(bed_below("s2"));
	errno = why;
	return rc;
}
static int do_readlink(void)
{
	char text[16];

	return readlink(bed_above("s"), text, sizeof(text)) < 0 ? -1 : 0;
}
static int do_mknod(void)
{
	int rc = mknod(bed_above("n"), S_IFREG | 0600, 0), why = errno;

	unlink(bed_below("n"));
	errno = why;
	return rc;
}
static int do_readdir(void)
{
	int fd = open(bed_data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}
static int do_statfs(void)
{
	struct statvfs space;

	return statvfs(bed_data, &space);
}

static const struct {
	enum fuse_method method;
	const char *path;
	int (*act)(void);
} methods[] = {
	{FUSE_ON_LOOKUP, "d/x", do_lookup},   {FUSE_ON_GETATTR, "f", do_getattr},
	{FUSE_ON_SETATTR, "f", do_setattr},   {FUSE_ON_TRUNCATE, "f", do_truncate},
	{FUSE_ON_OPEN, "f", do_open},         {FUSE_ON_CREATE, "*", do_create},
	{FUSE_ON_READ, "f", do_read},         {FUSE_ON_WRITE, "f", do_write},
	{FUSE_ON_FSYNC, "f", do_fsync},       {FUSE_ON_ALLOCATE, "f", do_fallocate},
	{FUSE_ON_UNLINK, "gone", do_unlink},  {FUSE_ON_RENAME, "f2", do_rename},
	{FUSE_ON_MKDIR, "made", do_mkdir},    {FUSE_ON_RMDIR, "made", do_rmdir},
	{FUSE_ON_LINK, "l", do_link},         {FUSE_ON_SYMLINK, "s2", do_symlink},
	{FUSE_ON_READLINK, "s", do_readlink}, {FUSE_ON_MKNOD, "n", do_mknod},
	{FUSE_ON_READDIR, "", do_readdir},    {FUSE_ON_STATFS, NULL, do_statfs},
};
#define METHODS ((int)(sizeof(methods) / sizeof(methods[0])))

static void make_things(void)
{
	bed_write(bed_below("f"), block, sizeof(block));
	ck_assert_int_eq(mkdir(bed_below("d"), 0700), 0);
	bed_write(bed_below("d/x"), "x", 1);
	ck_assert_int_eq(symlink("f", bed_below("s")), 0);
	fd_f = open(bed_above("f"), O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd_f, 0);
}

START_TEST(errors_are_counted)
{
	struct fuse_fault fault = {.kind = FUSE_FAULT_ERRNO, .error = EDQUOT, .probability = 0.3};
	uint64_t before, errors = 0;
	uint32_t number;

	if (!bed_layer)
		return;
	make_things();
	before = bed_digest(fuse_layer_below(bed_layer));
	fault.methods = FUSE_METHOD_BIT(methods[_i].method);
	fault.path = methods[_i].path;
	/* A name that it knows the kernel looks up a second time. */
	if (methods[_i].method == FUSE_ON_LOOKUP)
		fault.probability = 1;
	number = bed_set(&fault);
	for (int i = 0; i < TRIES; i++) {
		int rc = methods[_i].act();

		ck_assert(rc == 0 || errno == EDQUOT);
		errors += rc != 0;
	}
	if (methods[_i].method == FUSE_ON_LOOKUP) {
		ck_assert_uint_eq(errors, TRIES);
		ck_assert_uint_ge(bed_counts(number).acted, TRIES);
	} else {
		/* 120 of 400 ± 5 standard deviations of 9.2. */
		ck_assert_msg(errors > 74 && errors < 166, "%lu errors", (unsigned long)errors);
		ck_assert_uint_eq(bed_counts(number).acted, errors);
		ck_assert_uint_eq(bed_counts(number).matched, TRIES);
	}
	errors = bed_counts(number).acted;
	rmdir(bed_below("made")); /* a removal that failed last has left it there */
	/* Another path, other methods: not touched. */
	fault.path = "elsewhere";
	fault.probability = 0;
	ck_assert_int_eq(fuse_layer_set(bed_layer, &fault, &number, &bed_error), 0);
	for (int i = 0; i < METHODS; i++)
		ck_assert_int_eq(methods[i].act(), 0);
	fault.path = methods[_i].path;
	/* Of several names a file has the one that was looked up last. */
	ck_assert_int_eq(access(bed_above("f"), F_OK), 0);
	ck_assert_int_eq(fuse_layer_set(bed_layer, &fault, &number, &bed_error), 0);
	ck_assert_int_eq(methods[_i].act(), -1);
	ck_assert_int_eq(errno, EDQUOT);
	bed_end(number);
	for (int i = 0; i < TRIES; i++)
		ck_assert_int_eq(methods[_i].act(), 0);
	ck_assert_uint_gt(bed_counts(number).acted, errors);
	close(fd_f);
	unlink(bed_below("gone"));
	rmdir(bed_below("made"));
	ck_assert_int_eq(truncate(bed_below("f"), BLOCK), 0);
	ck_assert_int_eq(chmod(bed_below("f"), 0644), 0);
	bed_close();
	ck_assert_uint_eq(bed_digest(bed_data), before);
}
END_TEST

START_TEST(nothing_can_be_written)
{
	uint64_t before, refused = 0;
	uint32_t number;

	if (!bed_layer)
		return;
	make_things();
	bed_write(bed_below("gone"), "", 0);
	ck_assert_int_eq(mkdir(bed_below("made"), 0700), 0);
	before = bed_digest(fuse_layer_below(bed_layer));
	number = bed_set(&(struct fuse_fault){.kind = FUSE_FAULT_READONLY});
	for (int i = 0; i < METHODS; i++) {
		int rc;

		/* Those that put something in place below first. */
		if (methods[i].act == do_unlink || methods[i].act == do_rmdir ||
		    methods[i].act == do_mkdir)
			continue;
		rc = methods[i].act();
		ck_assert(rc == 0 || errno == EROFS);
		refused += rc != 0;
	}
	ck_assert_int_eq(unlink(bed_above("gone")), -1);
	ck_assert_int_eq(errno, EROFS);
	ck_assert_int_eq(rmdir(bed_above("made")), -1);
	ck_assert_int_eq(mkdir(bed_above("other"), 0700), -1);
	ck_assert_int_lt(open(bed_above("f"), O_RDWR | O_CLOEXEC), 0);
	ck_assert_int_eq(errno, EROFS);
	/* setattr truncate create write fallocate rename link symlink mknod */
	ck_assert_uint_eq(refused, 9);
	ck_assert_uint_eq(bed_counts(number).acted, refused + 4);
	bed_end(number);
	ck_assert_int_eq(rmdir(bed_above("made")), 0);
	for (int i = 0; i < METHODS; i++)
		ck_assert_int_eq(methods[i].act(), 0);
	close(fd_f);
	bed_write(bed_below("gone"), "", 0);
	ck_assert_int_eq(mkdir(bed_below("made"), 0700), 0);
	ck_assert_int_eq(chmod(bed_below("f"), 0644), 0);
	bed_close();
	ck_assert_uint_eq(bed_digest(bed_data), before);
}
END_TEST

/* ---- time ---- */

static nanos time_of(int (*act)(void))
{
	nanos start = process_now();

	ck_assert_int_eq(act(), 0);
	return process_now() - start;
}

START_TEST(latency_is_what_was_asked_for)
{
	nanos sum = 0, least = NANOS_NEVER;
	struct fuse_counts counts;
	uint32_t number;

	if (!bed_layer)
		return;
	make_things();
	number = bed_set(&(struct fuse_fault){
		.kind = FUSE_FAULT_LATENCY,
		.methods = FUSE_METHOD_BIT(FUSE_ON_READ),
		.path = "f",
		.time = 5 * NANOS_MS,
		.jitter = 2 * NANOS_MS,
	});
	for (int i = 0; i < 100; i++) {
		nanos time = time_of(do_read);

		ck_assert_int_ge(time, 3 * NANOS_MS);
		sum += time;
		least = time < least ? time : least;
		ck_assert_int_eq(do_write(), 0);
	}
	counts = bed_counts(number);
	/* What it does not match is not held up. */
	ck_assert_uint_eq(counts.acted, 100);
	ck_assert_uint_eq(counts.matched, 100);
	/* What was measured is what was drawn, and something for the way on a busy machine. */
	ck_assert_int_ge(sum, counts.delayed);
	ck_assert_int_le(least, 6 * NANOS_MS);
	ck_assert_int_le(llabs(counts.delayed / 100 - 5 * NANOS_MS), 600 * NANOS_US);
	bed_end(number);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(do_read(), 0);
	ck_assert_uint_eq(bed_counts(number).matched, 100);
	close(fd_f);
}
END_TEST

static void *read_fifty(void *self)
{
	char bytes[BLOCK];
	int *failed = self;

	for (int i = 0; i < 50; i++)
		*failed += pread(fd_f, bytes, BLOCK, 0) != BLOCK;
	return NULL;
}

/* 400 KiB by two at 1 MB/s; what another file does at the same time is not of it. */
START_TEST(throughput_is_limited)
{
	pthread_t readers[2];
	int failed[2] = {0};
	nanos start;
	uint32_t number;

	if (!bed_layer)
		return;
	make_things();
	number = bed_set(&(struct fuse_fault){
		.kind = FUSE_FAULT_THROTTLE, .path = "f", .bytes_per_second = 1e6});
	start = process_now();
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&readers[i], NULL, read_fifty, &failed[i]), 0);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(bed_read(bed_above("d/x"), block, 1), 1);
	for (int i = 0; i < 2; i++) {
		pthread_join(readers[i], NULL);
		ck_assert_int_eq(failed[i], 0);
	}
	/* 409,600 bytes; the bucket held 10 ms. */
	ck_assert_int_ge(process_now() - start, 399 * NANOS_MS);
	ck_assert_int_le(process_now() - start, 3 * NANOS_S);
	ck_assert_uint_eq(bed_counts(number).matched, 100);
	ck_assert_int_gt(bed_counts(number).delayed, 0);
	bed_end(number);
	read_fifty(&failed[0]);
	ck_assert_int_eq(failed[0], 0);
	ck_assert_uint_eq(bed_counts(number).matched, 100);
	close(fd_f);
}
END_TEST

/* ---- hanging ---- */

static void no_end(int number)
{
	(void)number;
}

/* A signal that does not end it must not make a disk say EINTR. */
static int read_hung(void *self)
{
	char got[8] = "";

	(void)self;
	signal(SIGUSR1, no_end);
	return bed_read(bed_above("f"), got, 4) == 4 && memcmp(got, "hung", 4) == 0 ? 7 : 1;
}

static bool waits(uint32_t wanted)
{
	nanos end = process_now() + 5 * NANOS_S;

	while (fuse_layer_held(bed_layer) != wanted && process_now() < end)
		process_pause(NANOS_MS);
	return fuse_layer_held(bed_layer) == wanted;
}

START_TEST(what_hangs_can_be_killed)
{
	/* One held look-up of a name would hold all others of it, in the kernel. */
	const struct fuse_fault hang = {
		.kind = FUSE_FAULT_HANG, .methods = FUSE_METHOD_BIT(FUSE_ON_READ), .path = "f"};
	uint32_t number;
	pid_t one, two;
	int status;

	if (!bed_layer)
		return;
	bed_write(bed_below("f"), "hung", 4);
	bed_write(bed_below("g"), "free", 4);
	number = bed_set(&hang);
	one = bed_child(read_hung, NULL);
	ck_assert(waits(1));
	two = bed_child(read_hung, NULL);
	ck_assert(waits(2));
	/* Others go on. */
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(bed_read(bed_above("g"), block, 4), 4);
	kill(one, SIGUSR1);
	kill(two, SIGUSR1);
	ck_assert_int_eq(bed_wait(one, 200), -1);
	kill(one, SIGKILL);
	status = bed_wait(one, 2000);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d", status);
	ck_assert_uint_eq(fuse_layer_held(bed_layer), 1);
	ck_assert_int_eq(bed_wait(two, 100), -1);
	bed_end(number);
	status = bed_wait(two, 2000);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %d", status);
	ck_assert_uint_eq(bed_counts(number).acted, 2);
}
END_TEST

START_TEST(a_lease_ends_it)
{
	struct fuse_fault hang = {.kind = FUSE_FAULT_HANG, .path = "f", .lease = 300 * NANOS_MS};
	uint32_t number;
	nanos start;
	pid_t pid;
	int status;

	if (!bed_layer)
		return;
	bed_write(bed_below("f"), "hung", 4);
	number = bed_set(&hang);
	start = process_now();
	pid = bed_child(read_hung, NULL);
	ck_assert(waits(1));
	while (process_now() - start < 600 * NANOS_MS) {
		fuse_layer_renew(bed_layer, number);
		process_pause(50 * NANOS_MS);
	}
	ck_assert(fuse_layer_stands(bed_layer, number));
	status = bed_wait(pid, 2000);
	ck_assert_int_ge(process_now() - start, 850 * NANOS_MS);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %d", status);
	ck_assert(!fuse_layer_stands(bed_layer, number));
}
END_TEST

static int read_error(void *self)
{
	(void)self;
	return bed_read(bed_above("f"), block, 4) < 0 ? 8 : 1;
}

START_TEST(the_end_lets_go)
{
	pid_t pid;
	int status;

	if (!bed_layer)
		return;
	bed_write(bed_below("f"), "hung", 4);
	bed_set(&(struct fuse_fault){.kind = FUSE_FAULT_HANG, .path = "f"});
	pid = bed_child(read_error, NULL);
	ck_assert(waits(1));
	bed_close();
	status = bed_wait(pid, 2000);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 8, "status %d", status);
	ck_assert_int_eq(bed_read(bed_above("f"), block, 4), 4);
}
END_TEST

static size_t count_in(const char *folder)
{
	DIR *dir = opendir(folder);
	size_t count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static size_t descriptors(void)
{
	return count_in("/proc/self/fd");
}

static size_t threads(void)
{
	return count_in("/proc/self/task");
}

/* Whatever its users have open, held and not synced: the server has nothing of it after. */
START_TEST(nothing_is_left_open)
{
	struct fuse_layer_config config = {.name = "small", .cpu = -1};
	size_t before = descriptors(), threads_before = threads();
	struct fuse_layer *layer;
	uint32_t number = 0;
	DIR *dir;
	int fd;

	if (!bed_layer)
		return;
	ck_assert_int_eq(disk_make((struct disk_limits){0}, &config.below_fd, &bed_error), 0);
	ck_assert_int_eq(fuse_layer_open(&config, &bed_arena, &layer, &bed_error), 0);
	ck_assert_int_eq(fuse_layer_set(layer, &(struct fuse_fault){.kind = FUSE_FAULT_LOST_FSYNC},
					&number, &bed_error),
			 0);
	fd = open(arena_printf(&bed_arena, "%s/f", fuse_layer_above(layer)), O_RDWR | O_CREAT,
		  0600);
	ck_assert_int_eq(write(fd, block, BLOCK), BLOCK);
	ck_assert_int_eq(unlink(arena_printf(&bed_arena, "%s/f", fuse_layer_above(layer))), 0);
	ck_assert_int_eq(mkdir(arena_printf(&bed_arena, "%s/d", fuse_layer_above(layer)), 0700), 0);
	dir = opendir(arena_printf(&bed_arena, "%s/d", fuse_layer_above(layer)));
	ck_assert_ptr_nonnull(dir);
	ck_assert_int_eq(fuse_layer_close(layer, &bed_error), 0);
	ck_assert_int_eq(write(fd, block, BLOCK), -1);
	ck_assert(errno == ENOTCONN || errno == ECONNABORTED);
	close(fd);
	closedir(dir);
	ck_assert_uint_eq(descriptors(), before);
	ck_assert_uint_eq(threads(), threads_before);
}
END_TEST

/* More files than descriptors for them: they are found again, by the names that they have now. */
START_TEST(many_files_need_few_descriptors)
{
	char name[64], got[64];
	struct stat status;
	size_t before;
	int gone;

	if (!bed_layer)
		return;
	ck_assert_int_eq(mkdir(bed_below("d"), 0700), 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "d/f%d", i);
		bed_write(bed_below(name), name, strlen(name));
	}
	gone = open(bed_above("gone"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(gone, "here", 4), 4);
	ck_assert_int_eq(unlink(bed_above("gone")), 0);
	before = descriptors();
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "d/f%d", i);
		ck_assert_int_eq(stat(bed_above(name), &status), 0);
	}
	ck_assert_uint_lt(descriptors(), before + 2200);
	ck_assert_int_eq(rename(bed_above("d"), bed_above("e")), 0);
	for (int i = 0; i < MANY; i++) {
		char wanted[64];

		snprintf(name, sizeof(name), "e/f%d", i);
		snprintf(wanted, sizeof(wanted), "d/f%d", i);
		memset(got, 0, sizeof(got));
		ck_assert_int_gt(bed_read(bed_above(name), got, sizeof(got)), 0);
		ck_assert_str_eq(got, wanted);
	}
	ck_assert_int_eq(fstat(gone, &status), 0);
	ck_assert(status.st_size == 4 && status.st_nlink == 0);
	close(gone);
}
END_TEST

START_TEST(open_files_are_known_by_their_new_names)
{
	uint32_t number;
	int fd;

	if (!bed_layer)
		return;
	ck_assert_int_eq(mkdir(bed_above("d"), 0700), 0);
	bed_write(bed_above("d/f"), block, BLOCK);
	fd = open(bed_above("d/f"), O_RDONLY | O_CLOEXEC);
	number = bed_set(&(struct fuse_fault){.kind = FUSE_FAULT_ERRNO,
					      .methods = FUSE_METHOD_BIT(FUSE_ON_READ),
					      .error = EIO,
					      .path = "e/new"});
	ck_assert_int_eq(pread(fd, block, BLOCK, 0), BLOCK);
	ck_assert_int_eq(rename(bed_above("d/f"), bed_above("d/new")), 0);
	ck_assert_int_eq(pread(fd, block, BLOCK, 0), BLOCK);
	ck_assert_int_eq(rename(bed_above("d"), bed_above("e")), 0);
	ck_assert_int_eq(pread(fd, block, BLOCK, 0), -1);
	ck_assert_int_eq(rename(bed_above("e/new"), bed_above("new")), 0);
	ck_assert_int_eq(pread(fd, block, BLOCK, 0), BLOCK);
	ck_assert_uint_eq(bed_counts(number).acted, 1);
	close(fd);
}
END_TEST

/* ---- content ---- */

START_TEST(bad_blocks_and_flipped_bits)
{
	static char big[64 * BLOCK], got[sizeof(big)], again[sizeof(big)];
	uint64_t before, errors = 0, bits = 0;
	uint32_t number;
	int fd;

	if (!bed_layer)
		return;
	bed_write(bed_below("f"), big, sizeof(big));
	before = bed_digest(fuse_layer_below(bed_layer));
	fd = open(bed_above("f"), O_RDWR | O_CLOEXEC);
	number = bed_set(&(struct fuse_fault){
		.kind = FUSE_FAULT_BADBLOCKS,
		.ranges = {{3 * BLOCK + 100, 1}, {10 * BLOCK, 2 * BLOCK}},
		.range_count = 2,
	});
	for (int i = 0; i < 64; i++) {
		bool bad = i == 3 || i == 10 || i == 11;

		ck_assert_int_eq(pread(fd, got, BLOCK, i * BLOCK), bad ? -1 : BLOCK);
		errors += bad;
		ck_assert_int_eq(pwrite(fd, big, BLOCK, i * BLOCK), bad ? -1 : BLOCK);
		errors += bad;
	}
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), -1);
	ck_assert_int_eq(errno, EIO);
	ck_assert_uint_eq(bed_counts(number).acted, errors + 1);
	bed_end(number);
	number = bed_set(&(struct fuse_fault){.kind = FUSE_FAULT_BITFLIP, .bits = 2});
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), sizeof(got));
	for (size_t i = 0; i < sizeof(got); i++)
		bits += (uint64_t)__builtin_popcount((unsigned char)(got[i] ^ big[i]));
	ck_assert(bits > 120 && bits <= 128);
	ck_assert_uint_eq(bed_counts(number).bits, bits);
	for (int i = 0; i < 64; i++)
		ck_assert_int_eq(pread(fd, again + i * BLOCK, BLOCK, i * BLOCK), BLOCK);
	ck_assert_mem_eq(got, again, sizeof(got));
	ck_assert_uint_eq(bed_digest(fuse_layer_below(bed_layer)), before);
	bed_end(number);
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), sizeof(got));
	ck_assert_mem_eq(got, big, sizeof(got));
	close(fd);
	bed_close();
	ck_assert_uint_eq(bed_digest(bed_data), before);
}
END_TEST

/* Full, and out of inodes, below a layer; and back. */
START_TEST(disks_are_limited)
{
	struct fuse_layer_config config = {.name = "small", .cpu = -1};
	struct disk_limits had, used, now;
	struct fuse_layer *layer;
	const char *below, *above;
	int fd;

	if (!bed_layer)
		return;
	ck_assert_msg(disk_make((struct disk_limits){1 << 20, 20}, &config.below_fd, &bed_error) ==
			      0,
		      "%s", bed_error.text);
	ck_assert_int_eq(fuse_layer_open(&config, &bed_arena, &layer, &bed_error), 0);
	below = fuse_layer_below(layer);
	above = fuse_layer_above(layer);
	bed_write(arena_printf(&bed_arena, "%s/f", above), block, BLOCK);
	ck_assert_int_eq(disk_look(below, &had, &used, &bed_error), 0);
	ck_assert(had.bytes == 1 << 20 && had.inodes == 20);
	ck_assert(used.bytes == BLOCK && used.inodes == 2);
	fd = open(arena_printf(&bed_arena, "%s/f", above), O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(
			disk_limit(below, (struct disk_limits){.bytes = used.bytes}, &bed_error),
			0);
		ck_assert_int_eq(pwrite(fd, block, BLOCK, BLOCK), -1);
		ck_assert_int_eq(errno, ENOSPC);
		ck_assert_int_eq(pwrite(fd, block, BLOCK, 0), BLOCK);
		ck_assert_int_eq(disk_limit(below, had, &bed_error), 0);
		ck_assert_int_eq(pwrite(fd, block, BLOCK, BLOCK), BLOCK);
		ck_assert_int_eq(ftruncate(fd, BLOCK), 0);
		/* The kernel lets go of what was removed in its own time. */
		do
			ck_assert_int_eq(disk_look(below, &had, &now, &bed_error), 0);
		while (now.inodes != used.inodes);
		ck_assert_int_eq(
			disk_limit(below, (struct disk_limits){.inodes = used.inodes}, &bed_error),
			0);
		ck_assert_int_eq(mkdir(arena_printf(&bed_arena, "%s/d", above), 0700), -1);
		ck_assert_int_eq(errno, ENOSPC);
		ck_assert_int_eq(disk_limit(below, had, &bed_error), 0);
		ck_assert_int_eq(mkdir(arena_printf(&bed_arena, "%s/d", above), 0700), 0);
		ck_assert_int_eq(rmdir(arena_printf(&bed_arena, "%s/d", above)), 0);
	}
	close(fd);
	ck_assert_int_eq(disk_limit(below, (struct disk_limits){.inodes = 1}, &bed_error), -1);
	ck_assert_int_eq(disk_look("/proc", &had, &used, &bed_error), -1);
	ck_assert_int_eq(fuse_layer_close(layer, &bed_error), 0);
}
END_TEST

/* ---- the server dies, or stops ---- */

struct server {
	int said;
	bool stop;
};

/* A process of its own that serves "the data", until it is killed. */
static int serve(void *self)
{
	const struct server *server = self;
	const struct fuse_layer_config config = {.name = "served", .below = bed_data, .cpu = -1};
	struct journal *journal;
	struct fuse_layer *layer;

	if (journal_open("served", &bed_arena, &journal, &bed_error) ||
	    fuse_layer_open(&config, &bed_arena, &layer, &bed_error) ||
	    fuse_layer_mount(layer, bed_data, journal, &bed_error) ||
	    write(server->said, "m", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static pid_t start_server(void)
{
	struct server server;
	int ends[2];
	char word;
	pid_t pid;

	bed_close();
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	server.said = ends[1];
	pid = bed_child(serve, &server);
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &word, 1), 1);
	close(ends[0]);
	return pid;
}

/* Appends numbered records, each synced, until an error; tells the last that was. */
static int write_records(void *self)
{
	uint64_t record = 0;
	int fd = open(bed_above("log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return 1;
	while (write(fd, &record, sizeof(record)) == sizeof(record) && fdatasync(fd) == 0)
		if (write(*(int *)self, &record, sizeof(record)) != sizeof(record) || ++record == 0)
			return 2;
	return errno == ENOTCONN || errno == ECONNABORTED ? 0 : 3;
}

static void revert(const char *run)
{
	const char *path =
		arena_printf(&bed_arena, "%s/journal/%s.journal", getenv("DRSIM_STATE"), run);
	struct journal *journal;
	struct undo_sum sum;

	ck_assert_msg(journal_load(path, 1000, &bed_arena, &journal, &bed_error) == 0, "%s",
		      bed_error.text);
	undo_all(journal, &sum);
	ck_assert_uint_eq(sum.left, 0);
	ck_assert_uint_eq(sum.undone, 2);
	ck_assert(journal_close(journal));
}

START_TEST(a_dead_server_loses_nothing_synced)
{
	uint64_t acknowledged = 0, record, on_disk;
	pid_t server, writer;
	int ends[2], status, fd;

	if (!bed_layer)
		return;
	server = start_server();
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	writer = bed_child(write_records, &ends[1]);
	close(ends[1]);
	while (acknowledged < 500)
		ck_assert_int_eq(read(ends[0], &acknowledged, sizeof(acknowledged)), 8);
	kill(server, SIGKILL);
	while (read(ends[0], &record, sizeof(record)) == sizeof(record))
		acknowledged = record;
	close(ends[0]);
	ck_assert_int_ne(bed_wait(server, 2000), -1);
	status = bed_wait(writer, 2000);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
	ck_assert_int_eq(bed_read(bed_above("log"), block, 1), -1);
	ck_assert_int_eq(errno, ENOTCONN);
	revert("served");
	fd = open(bed_above("log"), O_RDONLY | O_CLOEXEC);
	for (on_disk = 0; read(fd, &record, sizeof(record)) == sizeof(record); on_disk++)
		ck_assert_uint_eq(record, on_disk);
	ck_assert_msg(on_disk > acknowledged, "%lu of %lu", (unsigned long)on_disk,
		      (unsigned long)acknowledged);
	close(fd);
	/* A second time there is nothing to take away, and what is there stays. */
	ck_assert_int_eq(umount2(bed_data, MNT_DETACH), 0);
}
END_TEST

START_TEST(a_stopped_server_is_cut_off)
{
	struct stat status;
	pid_t server, reader;
	int rc;

	if (!bed_layer)
		return;
	bed_write(bed_above("f"), "hung", 4);
	server = start_server();
	ck_assert_int_eq(stat(bed_data, &status), 0);
	if (access("/sys/fs/fuse/connections", W_OK) == 0)
		mount("fusectl", "/sys/fs/fuse/connections", "fusectl", 0, NULL);
	kill(server, SIGSTOP);
	reader = bed_child(read_error, NULL);
	ck_assert_int_eq(bed_wait(reader, 300), -1);
	ck_assert_msg(fuse_layer_abort(status.st_dev, &bed_error) == 0, "%s", bed_error.text);
	rc = bed_wait(reader, 2000);
	ck_assert_msg(WIFEXITED(rc) && WEXITSTATUS(rc) == 8, "status %d", rc);
	kill(server, SIGKILL);
	ck_assert_int_ne(bed_wait(server, 2000), -1);
	revert("served");
	ck_assert_int_eq(bed_read(bed_above("f"), block, 4), 4);
}
END_TEST

/* ---- in machines ---- */

static struct machines *open_machines(struct machines_config *config, struct journal *journal)
{
	struct machines *machines;

	ck_assert_msg(machines_open(config, journal, &bed_arena, &machines, &bed_error) == 0, "%s",
		      bed_error.text);
	return machines;
}

static void start(struct machines *machines, size_t index, const char *script)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	const struct machine_start how = {.argv = argv, .log = "log"};

	ck_assert_msg(machine_start(machines_get(machines, index), &how, &bed_error) == 0, "%s",
		      bed_error.text);
}

static bool appears(const char *path, const char *wanted)
{
	nanos end = process_now() + 5 * NANOS_S;
	char got[64] = "";

	while (process_now() < end) {
		ssize_t size = bed_read(path, got, sizeof(got) - 1);

		got[size > 0 ? size : 0] = '\0';
		if (strcmp(got, wanted) == 0)
			return true;
		process_pause(2 * NANOS_MS);
	}
	return false;
}

/* Two machines share a layer over their site's storage; one has a layer as its disk too. */
START_TEST(machines_live_on_layers)
{
	struct fuse_layer_config configs[2] = {{.name = "storage", .cpu = -1},
					       {.name = "disk", .cpu = -1}};
	struct fuse_layer *layers[2];
	struct machine_mount mounts[2];
	struct machine_site site = {.name = "site"};
	struct machine_config machine[2] = {
		{.name = "one", .mounts = mounts, .mount_count = 2},
		{.name = "two", .mounts = mounts, .mount_count = 1},
	};
	struct machines_config config = {
		.sites = &site, .site_count = 1, .machines = machine, .machine_count = 2};
	struct machines *machines;
	struct journal *journal;
	const char *storage, *disk, *script;
	uint32_t number = 0;
	nanos begin;

	if (!bed_layer)
		return;
	ck_assert_int_eq(journal_open("machines", &bed_arena, &journal, &bed_error), 0);
	site.storage = storage = arena_printf(&bed_arena, "%s/storage", journal->work);
	disk = arena_printf(&bed_arena, "%s/disk", journal->work);
	mounts[0].path = storage;
	mounts[1].path = disk;
	machines = open_machines(&config, journal);
	configs[0].below = storage;
	ck_assert_int_eq(
		disk_make((struct disk_limits){.bytes = 1 << 20}, &configs[1].below_fd, &bed_error),
		0);
	for (int i = 0; i < 2; i++) {
		ck_assert_msg(fuse_layer_open(&configs[i], &bed_arena, &layers[i], &bed_error) == 0,
			      "%s", bed_error.text);
		mounts[i] = fuse_layer_machine(layers[i], mounts[i].path);
	}
	script = arena_printf(&bed_arena, "echo one >%s/a; echo own >%s/b; exec sleep 100", storage,
			      disk);
	start(machines, 0, script);
	ck_assert(appears(arena_printf(&bed_arena, "%s/a", storage), "one\n"));
	ck_assert(appears(arena_printf(&bed_arena, "%s/b", fuse_layer_below(layers[1])), "own\n"));
	/* The host sees no layer, and neither machine the other's disk. */
	ck_assert_int_ne(access(arena_printf(&bed_arena, "%s/b", disk), F_OK), 0);
	start(machines, 1,
	      arena_printf(&bed_arena, "cat %s/a >%s/c; ls %s >>%s/c; exec sleep 100", storage,
			   storage, disk, storage));
	ck_assert(appears(arena_printf(&bed_arena, "%s/c", storage), "one\n"));
	/* Hung in the machine: it is killed all the same, and lives on the same disk after. */
	ck_assert_int_eq(fuse_layer_set(layers[1],
					&(struct fuse_fault){.kind = FUSE_FAULT_HANG, .path = "h"},
					&number, &bed_error),
			 0);
	ck_assert_int_eq(machine_kill(machines_get(machines, 0), &bed_error), 0);
	start(machines, 0, arena_printf(&bed_arena, "echo x >%s/h; exec sleep 100", disk));
	begin = process_now();
	while (fuse_layer_held(layers[1]) == 0 && process_now() < begin + 5 * NANOS_S)
		process_pause(NANOS_MS);
	ck_assert_uint_eq(fuse_layer_held(layers[1]), 1);
	begin = process_now();
	ck_assert_msg(machine_kill(machines_get(machines, 0), &bed_error) == 0, "%s",
		      bed_error.text);
	ck_assert_int_lt(process_now() - begin, NANOS_S);
	ck_assert_int_eq(fuse_layer_end(layers[1], number, &bed_error), 0);
	start(machines, 0,
	      arena_printf(&bed_arena, "cat %s/b >%s/d; exec sleep 100", disk, storage));
	ck_assert(appears(arena_printf(&bed_arena, "%s/d", storage), "own\n"));
	ck_assert_int_eq(machines_close(machines, &bed_error), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(fuse_layer_close(layers[i], &bed_error), 0);
	undo_number(journal, 1, &bed_error);
	ck_assert(journal_close(journal));
}
END_TEST

/* ---- without root ---- */

/* In a user namespace of its own, as machines are then. */
static int probe_as_nobody(void *self)
{
	const char *why;

	(void)self;
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return 2;
	/* What gave up its rights is not looked into any more: /proc/self belongs to root. */
	prctl(PR_SET_DUMPABLE, 1);
	if (fuse_layer_probe(&bed_arena, &why))
		return 0;
	printf("without root: %s\n", why);
	fflush(stdout);
	return 1;
}

START_TEST(it_works_without_root)
{
	int status;

	if (!bed_layer)
		return;
	if (access("/proc/self/ns/user", F_OK)) {
		printf("skipped: no user namespaces\n");
		return;
	}
	bed_close();
	/* "." and ".." are two; a checking tool may have a thread of its own. */
	if (threads() > 3) {
		printf("skipped: no user namespace for a process with several threads\n");
		return;
	}
	status = bed_wait(bed_child(probe_as_nobody, NULL), 10000);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, bed_setup, bed_teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "passes_everything_through", passes_everything_through, 3);
	add(suite, "details_pass_through", details_pass_through, 1);
	add(suite, "errors_are_counted", errors_are_counted, METHODS);
	add(suite, "nothing_can_be_written", nothing_can_be_written, 1);
	add(suite, "latency_is_what_was_asked_for", latency_is_what_was_asked_for, 1);
	add(suite, "throughput_is_limited", throughput_is_limited, 1);
	add(suite, "what_hangs_can_be_killed", what_hangs_can_be_killed, 1);
	add(suite, "a_lease_ends_it", a_lease_ends_it, 1);
	add(suite, "the_end_lets_go", the_end_lets_go, 1);
	add(suite, "nothing_is_left_open", nothing_is_left_open, 1);
	add(suite, "many_files_need_few_descriptors", many_files_need_few_descriptors, 1);
	add(suite, "open_files_are_known_by_their_new_names",
	    open_files_are_known_by_their_new_names, 1);
	add(suite, "bad_blocks_and_flipped_bits", bad_blocks_and_flipped_bits, 1);
	add(suite, "disks_are_limited", disks_are_limited, 1);
	add(suite, "a_dead_server_loses_nothing_synced", a_dead_server_loses_nothing_synced, 1);
	add(suite, "a_stopped_server_is_cut_off", a_stopped_server_is_cut_off, 1);
	add(suite, "machines_live_on_layers", machines_live_on_layers, 1);
	add(suite, "it_works_without_root", it_works_without_root, 1);
}

int main(void)
{
	return test_main("real fuse", add_cases);
}
