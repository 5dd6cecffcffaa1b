/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the FUSE layer that need no FUSE: what faults say to operations, which bits flip,
 * how writes are torn, and how what was not synced goes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/linux/fuse_faults.h"
#include "drivers/linux/fuse_lost.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define ALL UINT32_MAX
#define BLOCKS 200

static struct fuse_rules rules;
static struct fuse_tally tallies[FUSE_FAULTS_MAX];
static struct fuse_lost lost;
static struct error error;
static int here;

static void setup(void)
{
	rules = (struct fuse_rules){.seed = 7};
	memset(tallies, 0, sizeof(tallies));
	lost = (struct fuse_lost){0};
	error = (struct error){0};
	workplace_enter("fuse");
	here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(here, 0);
}

static void teardown(void)
{
	lost_forget_all(&lost);
	close(here);
	workplace_leave();
}

static void put(size_t slot, const struct fuse_fault *fault)
{
	ck_assert_msg(fuse_fault_check(fault, &error) == 0, "%s", error.text);
	fuse_rules_put(&rules, slot, (uint32_t)slot + 1, fault, &tallies[slot]);
}

static struct fuse_verdict decide(enum fuse_method method, uint64_t offset, uint64_t size,
				  nanos now)
{
	const struct fuse_operation operation = {
		.method = method,
		.writes = method == FUSE_ON_WRITE,
		.paths = ALL,
		.offset = offset,
		.size = size,
		.now = now,
	};

	return fuse_rules_decide(&rules, &operation);
}

static uint64_t acted(size_t slot)
{
	return atomic_load(&tallies[slot].acted);
}

static uint64_t matched(size_t slot)
{
	return atomic_load(&tallies[slot].matched);
}

/* ---- what matches ---- */

START_TEST(paths_match)
{
	static const struct {
		const char *pattern, *path;
		bool matches;
	} cases[] = {
		{NULL, "a", true},
		{"", "", true},
		{"io", "io", true},
		{"io", "io/a.log", true},
		{"io/", "io/a.log", true},
		{"io", "iox", false},
		{"io", "model/io", false},
		{"io/a.log", "io/a.log", true},
		{"io/a.log", "io/a.log2", false},
		{"*.log", "io/a.log", true},
		{"*.log", "io/a.lo", false},
		{"io/[ab].log", "io/b.log", true},
		{"io/?.log", "io/ab.log", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(fuse_path_matches(cases[i].pattern, cases[i].path) ==
				      cases[i].matches,
			      "%s %s", cases[i].pattern, cases[i].path);
	put(0, &(struct fuse_fault){.kind = FUSE_FAULT_HANG, .path = "io"});
	put(5, &(struct fuse_fault){.kind = FUSE_FAULT_HANG, .path = "*.tmp"});
	ck_assert_uint_eq(fuse_rules_paths(&rules, "io/x", NULL), 1);
	ck_assert_uint_eq(fuse_rules_paths(&rules, "a.tmp", "io/a"), 33);
	ck_assert_uint_eq(fuse_rules_paths(&rules, "a", "b"), 0);
	fuse_rules_drop(&rules, 0);
	ck_assert_uint_eq(fuse_rules_paths(&rules, "io/x", NULL), 0);
}
END_TEST

START_TEST(nonsense_is_refused)
{
	static const struct {
		struct fuse_fault fault;
		const char *why;
	} cases[] = {
		{{.kind = FUSE_FAULT_ERRNO}, "io.errno: it has no error"},
		{{.kind = FUSE_FAULT_ERRNO, .error = EIO, .probability = 1.5}, "from 0 to 1"},
		{{.kind = FUSE_FAULT_ERRNO, .error = EIO, .probability = NAN}, "from 0 to 1"},
		{{.kind = FUSE_FAULT_HANG, .path = "/data"}, "begins with a slash"},
		{{.kind = FUSE_FAULT_HANG, .first = 5, .last = 4}, "ends before it begins"},
		{{.kind = FUSE_FAULT_LATENCY}, "waits for no time"},
		{{.kind = FUSE_FAULT_THROTTLE}, "has no rate"},
		{{.kind = FUSE_FAULT_BADBLOCKS}, "has no ranges"},
		{{.kind = FUSE_FAULT_BITFLIP}, "flips no bits"},
		{{.kind = FUSE_FAULT_BITFLIP, .bits = 1, .methods = 1 << FUSE_ON_WRITE},
		 "cannot hit these"},
		{{.kind = FUSE_FAULT_TORN_OP}, "has no parts"},
		{{.kind = FUSE_FAULT_TORN_OP, .part_count = 2, .persist = {4}, .persist_count = 1},
		 "no such part"},
		{{.kind = FUSE_FAULT_TORN_OP, .part_count = 2, .persist = {0}, .persist_count = 1},
		 "counted from 1"},
		{{.kind = FUSE_FAULT_TORN_SEQ}, "brings the crash"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		error = (struct error){0};
		ck_assert_int_eq(fuse_fault_check(&cases[i].fault, &error), -1);
		ck_assert_msg(strstr(error.text, cases[i].why) != NULL, "'%s' in '%s'",
			      cases[i].why, error.text);
	}
}
END_TEST

/* ---- what they say ---- */

START_TEST(errors_come_at_their_rate)
{
	const struct fuse_fault fault = {
		.kind = FUSE_FAULT_ERRNO,
		.methods = FUSE_METHOD_BIT(FUSE_ON_READ),
		.error = ENOSPC,
		.probability = 0.2,
	};
	char first[10000], second[10000];
	uint64_t errors = 0;

	put(3, &fault);
	for (size_t i = 0; i < sizeof(first); i++) {
		int got = decide(FUSE_ON_READ, 0, 1, 0).error;

		ck_assert(got == 0 || got == ENOSPC);
		first[i] = got != 0;
		errors += got != 0;
		ck_assert_int_eq(decide(FUSE_ON_WRITE, 0, 1, 0).error, 0);
	}
	/* 2000 ± 5 standard deviations of 40. */
	ck_assert(errors > 1800 && errors < 2200);
	ck_assert_uint_eq(acted(3), errors);
	ck_assert_uint_eq(matched(3), sizeof(first));
	/* The same seed and number: the same ones. A change in between shifts nothing. */
	fuse_rules_drop(&rules, 3);
	put(3, &fault);
	for (size_t i = 0; i < sizeof(second); i++) {
		if (i == 5000)
			put(3, &fault);
		second[i] = decide(FUSE_ON_READ, 0, 1, 0).error != 0;
	}
	ck_assert_mem_eq(first, second, sizeof(first));
	rules.seed = 8;
	fuse_rules_drop(&rules, 3);
	put(3, &fault);
	for (size_t i = 0; i < sizeof(second); i++)
		second[i] = decide(FUSE_ON_READ, 0, 1, 0).error != 0;
	ck_assert_mem_ne(first, second, sizeof(first));
}
END_TEST

START_TEST(turns_are_counted)
{
	put(0, &(struct fuse_fault){
		       .kind = FUSE_FAULT_ERRNO, .error = EIO, .first = 3, .last = 9, .step = 2});
	for (int i = 1; i <= 12; i++)
		ck_assert_int_eq(decide(FUSE_ON_READ, 0, 1, 0).error,
				 i == 3 || i == 5 || i == 7 || i == 9 ? EIO : 0);
	ck_assert_uint_eq(acted(0), 4);
	ck_assert_uint_eq(matched(0), 12);
}
END_TEST

START_TEST(one_error_is_counted_once)
{
	put(0, &(struct fuse_fault){.kind = FUSE_FAULT_READONLY});
	put(1, &(struct fuse_fault){.kind = FUSE_FAULT_ERRNO, .error = EIO});
	put(2, &(struct fuse_fault){.kind = FUSE_FAULT_LATENCY, .time = 5});
	ck_assert_int_eq(decide(FUSE_ON_WRITE, 0, 1, 0).error, EROFS);
	ck_assert_int_eq(decide(FUSE_ON_READ, 0, 1, 0).error, EIO);
	ck_assert_int_eq((int)decide(FUSE_ON_READ, 0, 1, 0).wait, 5);
	ck_assert_uint_eq(acted(0), 1);
	ck_assert_uint_eq(acted(1), 2);
	ck_assert_uint_eq(acted(2), 3);
}
END_TEST

START_TEST(bad_blocks_are_touched)
{
	put(0, &(struct fuse_fault){.kind = FUSE_FAULT_BADBLOCKS,
				    .ranges = {{4096, 512}, {1 << 20, UINT64_MAX}},
				    .range_count = 2});
	ck_assert_int_eq(decide(FUSE_ON_READ, 0, 4096, 0).error, 0);
	ck_assert_int_eq(decide(FUSE_ON_READ, 0, 4097, 0).error, EIO);
	ck_assert_int_eq(decide(FUSE_ON_READ, 4607, 1, 0).error, EIO);
	ck_assert_int_eq(decide(FUSE_ON_READ, 4608, 100000, 0).error, 0);
	ck_assert_int_eq(decide(FUSE_ON_WRITE, 0, UINT64_MAX, 0).error, EIO);
	ck_assert_int_eq(decide(FUSE_ON_WRITE, (uint64_t)1 << 40, 1, 0).error, EIO);
	ck_assert_int_eq(decide(FUSE_ON_TRUNCATE, 4096, 1, 0).error, 0);
	ck_assert_int_eq(decide(FUSE_ON_READ, 4096, 0, 0).error, 0);
	ck_assert_uint_eq(acted(0), 4);
}
END_TEST

START_TEST(jitter_is_even)
{
	double sum = 0;
	nanos least = NANOS_NEVER, most = 0;

	put(0, &(struct fuse_fault){
		       .kind = FUSE_FAULT_LATENCY, .time = 10 * NANOS_MS, .jitter = 4 * NANOS_MS});
	for (int i = 0; i < 10000; i++) {
		nanos wait = decide(FUSE_ON_READ, 0, 1, 0).wait;

		sum += (double)wait;
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	/* The deviation of the mean is 23 us. */
	ck_assert_double_eq_tol(sum / 10000, 10e6, 120e3);
	ck_assert(least >= 6 * NANOS_MS && least < 6010 * NANOS_US);
	ck_assert(most <= 14 * NANOS_MS && most > 13990 * NANOS_US);
	ck_assert_int_eq(atomic_load(&tallies[0].delayed), (nanos)sum);
}
END_TEST

/* Many at once come out one after another at the rate that was asked for, whoever asks. */
START_TEST(the_bucket_is_shared)
{
	nanos last = 0, start = 100 * NANOS_S;

	put(0, &(struct fuse_fault){.kind = FUSE_FAULT_THROTTLE, .bytes_per_second = 1e6});
	for (int i = 0; i < 100; i++) {
		enum fuse_method method = i % 2 ? FUSE_ON_READ : FUSE_ON_WRITE;
		nanos wait = decide(method, 0, 10000, start).wait;

		ck_assert(wait >= last);
		last = wait;
	}
	/* A million bytes: a second, less what the full bucket held. */
	ck_assert_int_eq(last, 990 * NANOS_MS);
	ck_assert_int_eq(decide(FUSE_ON_UNLINK, 0, 0, start).wait, last);
	ck_assert_int_eq(decide(FUSE_ON_READ, 0, 10000, start + 2 * NANOS_S).wait, 0);
	fuse_rules_drop(&rules, 0);
	put(0, &(struct fuse_fault){.kind = FUSE_FAULT_THROTTLE, .operations_per_second = 200});
	for (int i = 0; i < 10; i++)
		last = decide(FUSE_ON_GETATTR, 0, 0, start).wait;
	ck_assert_int_eq(last, 40 * NANOS_MS);
}
END_TEST

/* ---- bits ---- */

static uint64_t differing(const unsigned char *a, const unsigned char *b, size_t size)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < size; i++)
		bits += (uint64_t)__builtin_popcount((unsigned)(a[i] ^ b[i]));
	return bits;
}

START_TEST(bits_flip_where_they_did)
{
	static unsigned char plain[BLOCKS * FUSE_BLOCK], whole[sizeof(plain)], piece[sizeof(plain)];
	uint64_t file = fuse_path_hash("io/a");
	size_t hit = 0;

	put(0, &(struct fuse_fault){.kind = FUSE_FAULT_BITFLIP, .bits = 3, .probability = 0.5});
	fuse_rules_flip(&rules, ALL, file, 0, whole, sizeof(whole));
	for (size_t i = 0; i < BLOCKS; i++) {
		uint64_t bits = differing(plain, whole + i * FUSE_BLOCK, (size_t)FUSE_BLOCK);

		ck_assert(bits <= 3);
		hit += bits > 0;
	}
	ck_assert(hit > 65 && hit < 135);
	ck_assert_uint_eq(atomic_load(&tallies[0].bits), differing(plain, whole, sizeof(whole)));
	/* In odd pieces the same. */
	for (size_t at = 0; at < sizeof(piece); at += 1237) {
		size_t size = sizeof(piece) - at < 1237 ? sizeof(piece) - at : 1237;

		fuse_rules_flip(&rules, ALL, file, at, piece + at, size);
	}
	ck_assert_mem_eq(whole, piece, sizeof(whole));
	/* Another file: others. Not its path: none. */
	memset(piece, 0, sizeof(piece));
	fuse_rules_flip(&rules, ALL, fuse_path_hash("io/b"), 0, piece, sizeof(piece));
	ck_assert_mem_ne(whole, piece, sizeof(whole));
	memset(piece, 0, sizeof(piece));
	fuse_rules_flip(&rules, 0, file, 0, piece, sizeof(piece));
	ck_assert_mem_eq(plain, piece, sizeof(plain));
	/* Of so many some are drawn twice: they are counted once, and stay flipped. */
	put(1, &(struct fuse_fault){.kind = FUSE_FAULT_BITFLIP, .bits = FUSE_BITS_MAX});
	fuse_rules_flip(&rules, 2, file, 0, piece, sizeof(piece));
	ck_assert_uint_eq(atomic_load(&tallies[1].bits), differing(plain, piece, sizeof(piece)));
	ck_assert_uint_lt(atomic_load(&tallies[1].bits), BLOCKS * FUSE_BITS_MAX);
	ck_assert_uint_gt(atomic_load(&tallies[1].bits), BLOCKS * (FUSE_BITS_MAX - 1));
}
END_TEST

/* ---- parts ---- */

START_TEST(writes_are_torn)
{
	struct fuse_fault fault = {
		.kind = FUSE_FAULT_TORN_OP, .part_count = 3, .persist = {3, 1}, .persist_count = 2};
	struct fuse_range parts[FUSE_PARTS_MAX];

	ck_assert_uint_eq(fuse_torn_parts(&fault, 100, parts), 2);
	ck_assert_uint_eq(parts[0].offset, 66);
	ck_assert_uint_eq(parts[0].size, 34);
	ck_assert_uint_eq(parts[1].offset, 0);
	ck_assert_uint_eq(parts[1].size, 33);
	/* By bytes; what is left over is one part more. */
	fault.parts_bytes[0] = 10;
	fault.parts_bytes[1] = 20;
	fault.part_count = 2;
	fault.persist[0] = 2;
	fault.persist[1] = 3;
	ck_assert_uint_eq(fuse_torn_parts(&fault, 100, parts), 2);
	ck_assert_uint_eq(parts[0].offset, 10);
	ck_assert_uint_eq(parts[0].size, 20);
	ck_assert_uint_eq(parts[1].offset, 30);
	ck_assert_uint_eq(parts[1].size, 70);
	/* A short write has fewer. */
	ck_assert_uint_eq(fuse_torn_parts(&fault, 15, parts), 1);
	ck_assert_uint_eq(parts[0].size, 5);
	ck_assert_uint_eq(fuse_torn_parts(&fault, 0, parts), 0);
}
END_TEST

/* ---- what was not synced: content ---- */

static int make_file(const char *name, const void *bytes, size_t size)
{
	int fd = openat(here, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, size, 0), (ssize_t)size);
	return fd;
}

static void expect_file(const char *name, const void *bytes, size_t size)
{
	static char got[1 << 20];
	int fd = openat(here, name, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	ck_assert_int_eq(read(fd, got, sizeof(got)), (ssize_t)size);
	ck_assert_mem_eq(got, bytes, size);
	close(fd);
}

static bool is_there(const char *name)
{
	struct stat status;

	return fstatat(here, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static struct fuse_ident ident_of(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return lost_ident(&status);
}

static void change(int fd, uint64_t offset, const void *bytes, size_t size)
{
	lost_before_write(&lost, fd, offset, size);
	ck_assert_int_eq(pwrite(fd, bytes, size, (off_t)offset), (ssize_t)size);
}

static void cut(int fd, uint64_t size)
{
	lost_before_truncate(&lost, fd, size);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
}

/* Any writes and cuts, a sync at times: a crash brings back what was there at the last sync. */
START_TEST(content_goes_back_to_the_last_sync)
{
	static unsigned char model[60000], bytes[9000];
	struct fuse_loss loss = {0};
	size_t size = 50000;
	struct prng prng;
	int fd;

	prng_open(&prng, 1, 0, (uint64_t)_i, PRNG_TEST);
	for (size_t i = 0; i < sizeof(model); i++)
		model[i] = (unsigned char)prng_u64(&prng);
	fd = make_file("f", model, size);
	for (int i = 0; i < 60; i++) {
		uint64_t at = prng_below(&prng, sizeof(model) - sizeof(bytes));
		size_t count = 1 + prng_below(&prng, sizeof(bytes) - 1);

		memset(bytes, i, sizeof(bytes));
		if (prng_below(&prng, 8) == 0)
			cut(fd, at);
		else
			change(fd, at, bytes, count);
		if (prng_below(&prng, 25) == 0) {
			lost_synced_file(&lost, ident_of(fd));
			size = (size_t)pread(fd, model, sizeof(model), 0);
		}
	}
	lost_crash(&lost, &loss);
	expect_file("f", model, size);
	ck_assert_uint_eq(lost.bytes, 0);
	ck_assert_uint_eq(lost.file_count, 0);
	close(fd);
}
END_TEST

START_TEST(too_much_counts_as_synced)
{
	char name[32];
	int fds[FUSE_UNSYNCED_FILES_MAX + 1];
	struct fuse_loss loss = {0};

	for (size_t i = 0; i <= FUSE_UNSYNCED_FILES_MAX; i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		fds[i] = make_file(name, "old", 3);
		change(fds[i], 0, "new", 3);
		if (i > 0)
			close(fds[i]);
	}
	lost_crash(&lost, &loss);
	ck_assert_uint_eq(loss.written_back, 1);
	ck_assert_uint_eq(loss.files, FUSE_UNSYNCED_FILES_MAX);
	expect_file("f0", "new", 3);
	expect_file("f1", "old", 3);
	close(fds[0]);
}
END_TEST

/* ---- names ---- */

static void rename_noted(const char *from, const char *to)
{
	struct lost_name *over = lost_removed(&lost, here, to);

	ck_assert_int_eq(renameat(here, from, here, to), 0);
	lost_renamed(&lost, here, from, here, to, false);
	(void)over;
}

static void remove_noted(int folder, const char *name, int flags)
{
	ck_assert_ptr_nonnull(lost_removed(&lost, folder, name));
	ck_assert_int_eq(unlinkat(folder, name, flags), 0);
}

static struct fuse_loss crash(void)
{
	struct fuse_loss loss = {0};

	lost_crash(&lost, &loss);
	ck_assert_uint_eq(lost.name_count, 0);
	return loss;
}

/* The usual way to replace a file, and all that can be forgotten on it. */
START_TEST(a_replaced_file_comes_back)
{
	struct stat before, after;
	int fd;

	close(make_file("f", "old content", 11));
	ck_assert_int_eq(fchmodat(here, "f", 0604, 0), 0);
	ck_assert_int_eq(fstatat(here, "f", &before, 0), 0);
	fd = make_file("f.tmp", "", 0);
	lost_made(&lost, here, "f.tmp");
	change(fd, 0, "new", 3);
	rename_noted("f.tmp", "f");
	close(fd);
	expect_file("f", "new", 3);
	ck_assert_uint_eq(crash().names, 3);
	expect_file("f", "old content", 11);
	ck_assert(!is_there("f.tmp"));
	ck_assert_int_eq(fstatat(here, "f", &after, 0), 0);
	ck_assert_uint_eq(before.st_mode, after.st_mode);
	ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}
END_TEST

START_TEST(a_synced_name_without_content_is_empty)
{
	int fd;

	close(make_file("f", "old", 3));
	fd = make_file("f.tmp", "", 0);
	lost_made(&lost, here, "f.tmp");
	change(fd, 0, "new", 3);
	rename_noted("f.tmp", "f");
	lost_synced_folder(&lost, ident_of(here));
	ck_assert_uint_eq(crash().names, 0);
	expect_file("f", "", 0);
	close(fd);
}
END_TEST

START_TEST(removed_things_come_back)
{
	char text[16] = "";
	struct stat status;
	int fd, inner;

	ck_assert_int_eq(mkdirat(here, "d", 0750), 0);
	fd = openat(here, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	inner = openat(fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(inner, "deep", 4), 4);
	ck_assert_int_eq(symlinkat("deep/er", fd, "s"), 0);
	ck_assert_int_eq(linkat(fd, "f", here, "hard", 0), 0);
	/* Changed, renamed and removed: as it was, at its first place. */
	change(inner, 0, "DEEP", 4);
	ck_assert_int_eq(renameat(fd, "f", fd, "g"), 0);
	lost_renamed(&lost, fd, "f", fd, "g", false);
	remove_noted(fd, "g", 0);
	remove_noted(here, "hard", 0);
	remove_noted(fd, "s", 0);
	remove_noted(here, "d", AT_REMOVEDIR);
	close(fd);
	close(inner);
	ck_assert_uint_eq(crash().names, 5);
	expect_file("d/f", "deep", 4);
	expect_file("hard", "deep", 4);
	ck_assert(!is_there("d/g"));
	ck_assert_int_eq(readlinkat(here, "d/s", text, sizeof(text)), 7);
	ck_assert_str_eq(text, "deep/er");
	ck_assert_int_eq(fstatat(here, "d", &status, 0), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0750);
}
END_TEST

START_TEST(made_things_are_gone)
{
	int fd;

	ck_assert_int_eq(mkdirat(here, "d", 0700), 0);
	lost_made(&lost, here, "d");
	fd = openat(here, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(make_file("d/synced", "x", 1));
	lost_made(&lost, fd, "synced");
	lost_synced_folder(&lost, ident_of(fd));
	ck_assert_uint_eq(lost.name_count, 1);
	close(fd);
	/* What was synced in a folder whose own name was not cannot be reached. */
	ck_assert_uint_eq(crash().names, 1);
	ck_assert(!is_there("d"));
}
END_TEST

/* A name that was taken by something else, and synced, stays with that. */
START_TEST(what_came_later_stays)
{
	struct lost_name *name;

	close(make_file("f", "first", 5));
	remove_noted(here, "f", 0);
	close(make_file("f", "second", 6));
	ck_assert_uint_eq(crash().names, 0);
	expect_file("f", "second", 6);
	/* A removal that failed was none. */
	name = lost_removed(&lost, here, "f");
	ck_assert_ptr_nonnull(name);
	lost_take_back(&lost, name);
	ck_assert_ptr_null(lost_removed(&lost, here, "nothing"));
	ck_assert_uint_eq(lost.name_count, 0);
	ck_assert_ptr_null(lost.folders);
}
END_TEST

START_TEST(names_are_exchanged_back)
{
	close(make_file("a", "A", 1));
	close(make_file("b", "B", 1));
	ck_assert_int_eq(renameat2(here, "a", here, "b", RENAME_EXCHANGE), 0);
	lost_renamed(&lost, here, "a", here, "b", true);
	expect_file("a", "B", 1);
	ck_assert_uint_eq(crash().names, 1);
	expect_file("a", "A", 1);
	expect_file("b", "B", 1);
}
END_TEST

START_TEST(too_many_names_count_as_synced)
{
	struct fuse_loss loss;
	char name[32];

	for (size_t i = 0; i < FUSE_UNSYNCED_NAMES_MAX + 3; i++) {
		snprintf(name, sizeof(name), "n%zu", i);
		ck_assert_int_eq(mknodat(here, name, S_IFREG | 0600, 0), 0);
		lost_made(&lost, here, name);
	}
	loss = crash();
	ck_assert_uint_eq(loss.names, FUSE_UNSYNCED_NAMES_MAX);
	ck_assert_uint_eq(loss.written_back, 3);
	ck_assert(is_there("n2") && !is_there("n3"));
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	tcase_set_timeout(tcase, 60); /* thousands of names, on a slow disk perhaps */
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "paths_match", paths_match, 1);
	add(suite, "nonsense_is_refused", nonsense_is_refused, 1);
	add(suite, "errors_come_at_their_rate", errors_come_at_their_rate, 1);
	add(suite, "turns_are_counted", turns_are_counted, 1);
	add(suite, "one_error_is_counted_once", one_error_is_counted_once, 1);
	add(suite, "bad_blocks_are_touched", bad_blocks_are_touched, 1);
	add(suite, "jitter_is_even", jitter_is_even, 1);
	add(suite, "the_bucket_is_shared", the_bucket_is_shared, 1);
	add(suite, "bits_flip_where_they_did", bits_flip_where_they_did, 1);
	add(suite, "writes_are_torn", writes_are_torn, 1);
	add(suite, "content_goes_back_to_the_last_sync", content_goes_back_to_the_last_sync, 40);
	add(suite, "too_much_counts_as_synced", too_much_counts_as_synced, 1);
	add(suite, "a_replaced_file_comes_back", a_replaced_file_comes_back, 1);
	add(suite, "a_synced_name_without_content_is_empty", a_synced_name_without_content_is_empty,
	    1);
	add(suite, "removed_things_come_back", removed_things_come_back, 1);
	add(suite, "made_things_are_gone", made_things_are_gone, 1);
	add(suite, "what_came_later_stays", what_came_later_stays, 1);
	add(suite, "names_are_exchanged_back", names_are_exchanged_back, 1);
	add(suite, "too_many_names_count_as_synced", too_many_names_count_as_synced, 1);
}

int main(void)
{
	return test_main("fuse", add_cases);
}
