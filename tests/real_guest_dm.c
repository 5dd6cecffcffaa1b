/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks of device-mapper in an emulated guest: every target applied, seen by reads and writes past
 * the page cache and through ext4, counted, taken back; and taken back after a SIGKILL.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/journal.h"
#include "drivers/host/process.h"
#include "drivers/host/residue.h"
#include "drivers/host/undo.h"
#include "drivers/linux/block_trial.h"
#include "drivers/linux/disk_trial.h"
#include "drivers/linux/dm.h"
#include "drivers/linux/dm_control.h"
#include "drivers/linux/dm_private.h"
#include "drivers/linux/loopdev.h"
#include "tests/guest.h"
#include "tests/program.h"
#include "tests/workplace.h"

#define BYTES ((uint64_t)8 << 20)
#define IMAGE "/ext4.img"
#define PATIENCE (20 * NANOS_S)
#define READS 64 /* sectors that most trials look at */

/* In the order in which they need each other. */
static const char *const modules[] = {
	"loop",  "dm-mod",  "dm-flakey", "dm-dust", "dm-delay",
	"crc16", "mbcache", "jbd2",      "ext4",    NULL,
};

static struct arena arena;
static struct error error;
static struct journal *journal;

static void ok(int rc)
{
	ck_assert_msg(rc == 0, "%s", error.text);
}

static void refused(int rc, const char *text)
{
	ck_assert_int_eq(rc, -1);
	ck_assert_msg(strstr(error.text, text) != NULL, "'%s' is not '%s'", error.text, text);
	error = (struct error){0};
}

/* ---- a disk ---- */

static struct dm *open_disk(const char *name, const char *image)
{
	const struct dm_config config = {.name = name, .bytes = BYTES, .image = image};
	struct dm *dm;

	if (!journal)
		ok(journal_open("drill", &arena, &journal, &error));
	ok(dm_open(&config, journal, &arena, &dm, &error));
	return dm;
}

static void set(struct dm *dm, const struct dm_fault *fault)
{
	ok(dm_set(dm, fault, &error));
}

static void mend(struct dm *dm)
{
	set(dm, &(struct dm_fault){.kind = DM_FAULT_NONE});
	ck_assert_str_eq(dm_mechanism(dm), "linear");
}

static struct dm_look look_at(struct dm *dm)
{
	struct dm_look look;

	ok(dm_look(dm, &look, &error));
	return look;
}

static struct block_trial go(const struct dm *dm, bool write, uint64_t first, uint32_t count,
			     char fill)
{
	const struct block_trial_ask ask = {
		.path = dm_path(dm),
		.first = first,
		.count = count,
		.write = write,
		.fill = (uint8_t)fill,
	};
	struct block_trial trial;

	ok(block_try(&ask, PATIENCE, &trial, &error));
	ck_assert_msg(!trial.hangs && trial.error == 0 && trial.done == count,
		      "hangs %d, error %s, %u of %u", trial.hangs, strerror(trial.error),
		      (unsigned)trial.done, (unsigned)count);
	return trial;
}

static void all_fine(const struct dm *dm, uint32_t count, char fill)
{
	struct block_trial trial = go(dm, false, 0, count, fill);

	ck_assert_uint_eq(trial.failed, 0);
	ck_assert_uint_eq(trial.wrong, 0);
}

/* Exactly these sectors are bad, of the first READS. */
static void exactly(const struct block_trial *trial, const struct dm_range *ranges, size_t count)
{
	for (uint32_t i = 0; i < READS; i++) {
		bool bad = false;

		for (size_t r = 0; r < count; r++)
			bad = bad ||
			      (i >= ranges[r].first && i - ranges[r].first < ranges[r].count);
		ck_assert_msg(block_trial_bad(trial, i) == bad, "sector %u", (unsigned)i);
	}
}

static bool nothing_there(const void *unused)
{
	struct arena own = {0};
	struct loopdev_seen *loops;
	const char **names;
	char *mounts;
	bool nothing;
	int control;

	(void)unused;
	ok(dm_control_open(&control, &error));
	ck_assert_int_eq(dm_control_list(control, &own, &names), 0);
	close(control);
	mounts = process_read_text("/proc/self/mounts", &own);
	nothing = !*names && loopdev_list(&own, &loops) == 0 && !strstr(mounts, "/dev/dm-");
	arena_free(&own);
	return nothing;
}

/* No device, no loop device, no mount; and nothing in the journal. */
static void nothing_left(void)
{
	const char **texts;

	ck_assert(program_until(nothing_there, NULL, 2000));
	if (!journal)
		return;
	ok(undo_number(journal, 1, &error));
	ck_assert_msg(residue_scan(journal, &texts) == 0, "%s", texts[0]);
	ck_assert(journal_close(journal));
	journal = NULL;
}

static void end(struct dm *dm)
{
	ok(dm_close(dm, &error));
	nothing_left();
}

/* ---- what the host can do ---- */

static int run(const char *const argv[], const char *out)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(doctor_tells)
{
	const char *const argv[] = {workplace_program, "doctor", NULL};
	const char *why = NULL;
	char *said, *line;

	ck_assert_msg(dm_probe(&arena, &why), "%s", why);
	ck_assert_ptr_nonnull(strstr(why, "errors"));
	ck_assert_ptr_nonnull(strstr(why, "lost writes"));
	ck_assert_ptr_nonnull(strstr(why, "delays"));
	nothing_left();
	run(argv, "said");
	said = workplace_read("said");
	line = strstr(said, "device-mapper");
	ck_assert_ptr_nonnull(line);
	line[strcspn(line, "\n")] = '\0';
	printf("doctor: %s\n", line);
	ck_assert_ptr_nonnull(strstr(line, " yes"));
	free(said);
	nothing_left();
}
END_TEST

/* ---- errors ---- */

START_TEST(errors_hit_the_sectors_asked_for)
{
	struct dm_fault fault = {
		.kind = DM_FAULT_ERROR,
		.ranges = {{3, 1}, {8, 8}, {20, 30}},
		.range_count = 3,
	};
	struct dm *dm = open_disk("disk", NULL);
	struct dm_look before = look_at(dm), after;
	struct block_trial trial;

	ck_assert(before.stands && !before.suspended);
	ck_assert_uint_eq(dm_sectors(dm), BYTES / DM_SECTOR);
	ck_assert_uint_eq(go(dm, true, 0, READS, 'a').failed, 0);
	all_fine(dm, READS, 'a');
	after = look_at(dm);
	ck_assert_uint_eq(after.reads - before.reads, READS);
	ck_assert_uint_eq(after.writes - before.writes, READS);
	set(dm, &fault);
	ck_assert_str_eq(dm_mechanism(dm), "error");
	trial = go(dm, false, 0, READS, 'a');
	ck_assert_uint_eq(trial.failed, 39);
	ck_assert_uint_eq(trial.wrong, 0);
	exactly(&trial, fault.ranges, 3);
	trial = go(dm, true, 0, READS, 'b');
	exactly(&trial, fault.ranges, 3);
	printf("error: EIO at exactly 39 of %d sectors, reads and writes\n", READS);
	/* All of it, then none: what could not be written is as it was. */
	fault.range_count = 0;
	set(dm, &fault);
	ck_assert_uint_eq(go(dm, false, 0, READS, 'a').failed, READS);
	mend(dm);
	trial = go(dm, false, 0, READS, 'b');
	ck_assert_uint_eq(trial.wrong, 39);
	ck_assert(look_at(dm).stands);
	end(dm);
}
END_TEST

/* ---- flakey ---- */

START_TEST(flakey_loses_fails_and_changes)
{
	struct dm_fault fault = {.kind = DM_FAULT_FLAKEY, .down = NANOS_S};
	struct dm *dm = open_disk("disk", NULL);
	struct block_trial trial;
	const char *why = NULL;
	uint32_t reads;

	ck_assert(dm_probe(&arena, &why));
	go(dm, true, 0, READS, 'a');
	set(dm, &fault);
	ck_assert_str_eq(dm_mechanism(dm), "flakey");
	ck_assert_uint_eq(go(dm, false, 0, READS, 'a').failed, READS);
	ck_assert_uint_eq(go(dm, true, 0, READS, 'b').failed, READS);
	fault.flaw = DM_FLAW_DROP_WRITES;
	set(dm, &fault);
	ck_assert_uint_eq(go(dm, true, 0, READS, 'b').failed, 0);
	all_fine(dm, READS, 'a');
	fault.flaw = DM_FLAW_ERROR_WRITES;
	set(dm, &fault);
	ck_assert_uint_eq(go(dm, true, 0, READS, 'b').failed, READS);
	all_fine(dm, READS, 'a');
	fault.flaw = DM_FLAW_CORRUPT_READS;
	fault.byte = 100;
	fault.value = 'x';
	set(dm, &fault);
	trial = go(dm, false, 0, READS, 'a');
	ck_assert_uint_eq(trial.failed, 0);
	/* Linux 6.1 takes the table and changes nothing: the probe has seen that. */
	reads = trial.wrong;
	ck_assert(reads == 0 || reads == READS);
	ck_assert_msg((reads > 0) == (strstr(why, "no changed reads") == NULL), "%s", why);
	mend(dm);
	all_fine(dm, READS, 'a');
	fault.flaw = DM_FLAW_CORRUPT_WRITES;
	set(dm, &fault);
	ck_assert_uint_eq(go(dm, true, 0, READS, 'c').failed, 0);
	mend(dm);
	trial = go(dm, false, 0, READS, 'c');
	ck_assert_uint_eq(trial.wrong, READS);
	ck_assert_uint_eq(go(dm, true, 0, READS, 'a').failed, 0);
	all_fine(dm, READS, 'a');
	printf("flakey: all fail, writes are lost, writes fail, writes change: %d of %d each; "
	       "reads change: %u\n",
	       READS, READS, (unsigned)reads);
	end(dm);
}
END_TEST

/* Good for 2 s, bad for 1 s, and again. */
START_TEST(flakey_comes_and_goes)
{
	const struct dm_fault fault = {.kind = DM_FAULT_FLAKEY, .up = 2 * NANOS_S, .down = NANOS_S};
	struct dm *dm = open_disk("disk", NULL);
	int bad = 0, changes = 0, count = 0;
	bool was = false;
	nanos stop;

	set(dm, &fault);
	for (stop = process_now() + 6 * NANOS_S; process_now() < stop; count++) {
		bool is = go(dm, false, 0, 1, 0).failed > 0;

		bad += is;
		changes += is != was;
		was = is;
		program_pause(50);
	}
	printf("flakey, 2 s good, 1 s bad: %d of %d reads in 6 s failed, %d changes\n", bad, count,
	       changes);
	ck_assert_int_ge(changes, 3);
	ck_assert_int_le(changes, 4);
	ck_assert_int_ge(bad * 100, count * 25);
	ck_assert_int_le(bad * 100, count * 42);
	end(dm);
}
END_TEST

/* ---- bad blocks ---- */

START_TEST(bad_blocks_come_and_go)
{
	struct dm_fault fault = {
		.kind = DM_FAULT_BADBLOCKS,
		.ranges = {{8, 8}, {32, 16}},
		.range_count = 2,
	};
	struct dm *dm = open_disk("disk", NULL);
	struct block_trial trial;
	bool dust;

	go(dm, true, 0, READS, 'a');
	set(dm, &fault);
	dust = strcmp(dm_mechanism(dm), "dust") == 0;
	ck_assert_uint_eq(look_at(dm).bad, 3);
	trial = go(dm, false, 0, READS, 'a');
	ck_assert_uint_eq(trial.failed, 24);
	exactly(&trial, fault.ranges, 2);
	ok(dm_add_bad(dm, (struct dm_range){16, 8}, &error));
	ck_assert_uint_eq(look_at(dm).bad, 4);
	ok(dm_remove_bad(dm, (struct dm_range){32, 8}, &error));
	ck_assert_uint_eq(look_at(dm).bad, 3);
	trial = go(dm, false, 0, READS, 'a');
	exactly(&trial, (struct dm_range[]){{8, 16}, {40, 8}}, 2);
	refused(dm_add_bad(dm, (struct dm_range){17, 8}, &error), "whole number of blocks");
	refused(dm_add_bad(dm, (struct dm_range){BYTES / DM_SECTOR, 8}, &error), "not on the");
	/* A write of the whole block mends it, by dust alone. */
	trial = go(dm, true, 8, 8, 'b');
	ck_assert_uint_eq(trial.failed, dust ? 0 : 8);
	ck_assert_uint_eq(look_at(dm).bad, dust ? 2 : 3);
	printf("bad blocks by %s: EIO at exactly these, added, removed, counted\n",
	       dm_mechanism(dm));
	mend(dm);
	ck_assert_uint_eq(go(dm, false, 0, READS, 'a').failed, 0);
	refused(dm_add_bad(dm, (struct dm_range){8, 8}, &error), "no fault of bad blocks");
	end(dm);
}
END_TEST

/* ---- delays ---- */

static pid_t start_read(const struct dm *dm)
{
	pid_t pid = fork();

	if (pid == 0) {
		static _Alignas(4096) char sector[DM_SECTOR];
		int fd = open(dm_path(dm), O_RDONLY | O_DIRECT | O_CLOEXEC);

		_exit(pread(fd, sector, sizeof(sector), 0) == sizeof(sector) ? 0 : 1);
	}
	return pid;
}

static bool one_waits(const void *self)
{
	struct dm *dm = *(struct dm *const *)self;

	return look_at(dm).waiting == 1;
}

START_TEST(delays_are_those_asked_for)
{
	struct dm_fault fault = {
		.kind = DM_FAULT_DELAY, .read = 50 * NANOS_MS, .write = 120 * NANOS_MS};
	struct dm *dm = open_disk("disk", NULL);
	struct block_trial without = go(dm, false, 0, 10, 0), reads, writes;
	int status = 0;
	nanos begun;
	pid_t pid;

	set(dm, &fault);
	ck_assert_str_eq(dm_mechanism(dm), "delay");
	reads = go(dm, false, 0, 10, 0);
	writes = go(dm, true, 0, 10, 'a');
	printf("delay: reads %.1f to %.1f ms, asked 50; writes %.1f to %.1f ms, asked 120; reads "
	       "without %.2f ms\n",
	       (double)reads.quickest / 1e6, (double)reads.slowest / 1e6,
	       (double)writes.quickest / 1e6, (double)writes.slowest / 1e6,
	       (double)without.slowest / 1e6);
	ck_assert_int_ge(reads.quickest, 50 * NANOS_MS);
	ck_assert_int_le(reads.slowest, 65 * NANOS_MS);
	ck_assert_int_ge(writes.quickest, 120 * NANOS_MS);
	ck_assert_int_le(writes.slowest, 135 * NANOS_MS);
	/* One that waits for long is counted, and goes on when the fault ends. */
	fault.read = 600 * NANOS_S;
	set(dm, &fault);
	pid = start_read(dm);
	ck_assert(program_until(one_waits, &dm, 2000));
	begun = process_now();
	mend(dm);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_lt(process_now() - begun, 2 * NANOS_S);
	ck_assert_uint_eq(look_at(dm).waiting, 0);
	end(dm);
}
END_TEST

/* ---- changed while it is used ---- */

struct use {
	uint64_t reads, failed, wrong;
	bool stop;
};

static pid_t start_use(const struct dm *dm, struct use *use)
{
	pid_t pid = fork();

	if (pid == 0) {
		static _Alignas(4096) char sector[DM_SECTOR];
		int fd = open(dm_path(dm), O_RDONLY | O_DIRECT | O_CLOEXEC);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (!__atomic_load_n(&use->stop, __ATOMIC_ACQUIRE)) {
			ssize_t got = pread(fd, sector, sizeof(sector),
					    (off_t)(use->reads % READS * DM_SECTOR));

			use->failed += got < 0 && errno == EIO;
			use->wrong += (got < 0 && errno != EIO) || (got >= 0 && sector[7] != 'a');
			__atomic_fetch_add(&use->reads, 1, __ATOMIC_RELEASE);
		}
		_exit(0);
	}
	return pid;
}

START_TEST(toggled_while_it_is_used)
{
	const struct dm_fault faults[] = {
		{.kind = DM_FAULT_ERROR},
		{.kind = DM_FAULT_NONE},
		{.kind = DM_FAULT_DELAY, .read = NANOS_MS},
		{.kind = DM_FAULT_BADBLOCKS, .ranges = {{8, 8}}, .range_count = 1},
	};
	struct use *use =
		mmap(NULL, sizeof(*use), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct dm *dm = open_disk("disk", NULL);
	uint64_t before;
	int status = 0;
	pid_t pid;

	go(dm, true, 0, READS, 'a');
	pid = start_use(dm, use);
	for (int i = 0; i < 200; i++) {
		set(dm, &faults[i % 4]);
		before = __atomic_load_n(&use->reads, __ATOMIC_ACQUIRE);
		for (int wait = 0; wait < 100 && use->reads == before; wait++)
			program_pause(1);
		ck_assert_uint_gt(__atomic_load_n(&use->reads, __ATOMIC_ACQUIRE), before);
	}
	mend(dm);
	program_pause(20);
	before = use->failed;
	program_pause(50);
	ck_assert_uint_eq(use->failed, before);
	__atomic_store_n(&use->stop, true, __ATOMIC_RELEASE);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	printf("toggled 200 times under load: %llu reads, %llu failed, %llu wrong\n",
	       (unsigned long long)use->reads, (unsigned long long)use->failed,
	       (unsigned long long)use->wrong);
	ck_assert(use->failed > 0 && use->failed < use->reads);
	ck_assert_uint_eq(use->wrong, 0);
	munmap(use, sizeof(*use));
	end(dm);
}
END_TEST

/* ---- through ext4 ---- */

static const char *mount_disk(struct dm *dm)
{
	const char *folder = arena_printf(&arena, "%s/mnt", journal->work);

	ck_assert(mkdir(folder, 0700) == 0 || errno == EEXIST);
	ok(dm_mount(dm, "ext4", folder, &error));
	return folder;
}

static bool has_image(void)
{
	if (access(IMAGE, R_OK) == 0)
		return true;
	printf("skipped: ext4: the host has no mke2fs\n");
	return false;
}

static void write_synced(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
}

START_TEST(ext4_meets_them)
{
	const struct dm_fault late = {.kind = DM_FAULT_DELAY, .write = 100 * NANOS_MS},
			      drop = {.kind = DM_FAULT_FLAKEY,
				      .down = NANOS_S,
				      .flaw = DM_FLAW_DROP_WRITES},
			      fail = {.kind = DM_FAULT_ERROR};
	struct disk_trial trial;
	const char *folder, *kept, *lost;
	struct dm *dm;

	if (!has_image())
		return;
	dm = open_disk("disk", IMAGE);
	folder = mount_disk(dm);
	kept = arena_printf(&arena, "%s/kept", folder);
	lost = arena_printf(&arena, "%s/lost", folder);
	ok(disk_try(folder, PATIENCE, &trial, &error));
	ck_assert_uint_eq(trial.failed, 0);
	set(dm, &late);
	ok(disk_try(folder, PATIENCE, &trial, &error));
	ck_assert_uint_eq(trial.failed, 0);
	printf("ext4: the slowest operation took %.0f ms with writes 100 ms late\n",
	       (double)trial.slowest / 1e6);
	ck_assert_int_ge(trial.slowest, 100 * NANOS_MS);
	mend(dm);
	write_synced(kept, "kept");
	/* An fsync that returns 0 and was a lie: seen after the next mount. */
	set(dm, &drop);
	write_synced(lost, "lost");
	ok(dm_unmount(dm, &error));
	mend(dm);
	mount_disk(dm);
	ck_assert_msg(access(kept, F_OK) == 0, "%s", strerror(errno));
	ck_assert_int_eq(access(lost, F_OK), -1);
	ck_assert_int_eq(errno, ENOENT);
	set(dm, &fail);
	ok(disk_try(folder, PATIENCE, &trial, &error));
	printf("ext4: %u of %u operations failed, with EIO: %s, read-only: %s\n",
	       (unsigned)trial.failed, (unsigned)trial.operations, trial.fails ? "yes" : "no",
	       trial.readonly ? "yes" : "no");
	ck_assert(trial.fails && trial.failed > 0);
	/* Closed as it is: mended, unmounted and removed. */
	end(dm);
}
END_TEST

/* ---- what is refused ---- */

static int file_of(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	return fd;
}

START_TEST(nothing_else_is_touched)
{
	const struct dm_config short_name = {.name = "Disk", .bytes = BYTES},
			       small = {.name = "disk", .bytes = 4096},
			       same = {.name = "disk", .bytes = BYTES};
	const struct dm_fault fault = {.kind = DM_FAULT_ERROR};
	struct undo stranger = {.kind = UNDO_MAPPER, .path = "/dev/mapper/drsim-other-disk"},
		    outside = {.kind = UNDO_LOOP, .path = "/tmp/other.disk"};
	char device[LOOP_DEVICE_MAX];
	struct dm *dm = open_disk("disk", NULL), *other;
	int mine = file_of("mine"), theirs = file_of("theirs"), loop, kept;
	const char **texts;

	ok(loopdev_open(theirs, "other", &loop, &error));
	refused(loopdev_require(loop, mine, device, &error), "another file");
	refused(loopdev_require(dm->fd, dm->file, device, &error), "no loop device");
	refused(loopdev_require(mine, mine, device, &error), "no loop device");
	/* As if the number had been taken by another: its table is not loaded. */
	kept = dm->loop;
	dm->loop = loop;
	refused(dm_set(dm, &fault, &error), "another file");
	dm->loop = kept;
	ck_assert_str_eq(dm_mechanism(dm), "linear");
	all_fine(dm, READS, 0);
	refused(dm_open(&short_name, journal, &arena, &other, &error), "no name of a disk");
	refused(dm_open(&small, journal, &arena, &other, &error), "64 KiB");
	refused(dm_open(&same, journal, &arena, &other, &error), "make its file");
	refused(dm_mount(dm, "ext4", "/tmp", &error), "not in the work folder");
	stranger.from = arena_printf(&arena, "%s/disk.disk", journal->work);
	ok(journal_add(journal, &stranger, &error));
	refused(undo_number(journal, stranger.number, &error), "no device of this run");
	ok(journal_add(journal, &outside, &error));
	refused(undo_number(journal, outside.number, &error), "not in the work folder");
	/* Folder, device and loop device are what a scan finds, and not the other one. */
	ck_assert_uint_eq(residue_scan(journal, &texts), 3);
	for (int i = 0; i < 3; i++)
		printf("scan: %s\n", texts[i]);
	ck_assert_str_eq(texts[0], "device-mapper device drsim-drill-disk");
	ck_assert_int_eq(strncmp(texts[1], "loop device /dev/loop", 21), 0);
	close(loop);
	ok(journal_done(journal, stranger.number, &error));
	ok(journal_done(journal, outside.number, &error));
	end(dm);
}
END_TEST

/* ---- killed ---- */

enum moment {
	UNUSED,    /* nothing is mounted: the kernel does it */
	BARE,      /* a device without a table, which nobody has open */
	FAILING,   /* ext4, and all requests fail */
	SUSPENDED, /* ext4 with writes that wait, between suspend and resume */
	HELD,      /* ext4, and a stranger has a file of it open */
	MOMENTS
};

/* Writes what will be waited for, and syncs. */
static void dirty(const char *folder, const struct dm *dm)
{
	write_synced(arena_printf(&arena, "%s/first", folder), "first");
	ck_assert_int_eq(dm_control_suspend(dm->control, dm->name), 0);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* As a program that is executed: it does not hold the journal's lock. */
		syscall(SYS_close_range, 3, ~0u, 0);
		write_synced(arena_printf(&arena, "%s/second", folder), "second");
		_exit(0);
	}
	program_pause(100);
}

static void be_victim(enum moment moment, int said)
{
	const struct dm_fault fail = {.kind = DM_FAULT_ERROR};
	struct undo undo = {.kind = UNDO_MAPPER, .path = "/dev/mapper/drsim-drill-bare"};
	struct dm *dm = open_disk("disk", moment >= FAILING ? IMAGE : NULL);
	const char *folder = moment >= FAILING ? mount_disk(dm) : NULL;

	switch (moment) {
	case UNUSED:
	case FAILING:
		set(dm, &fail);
		break;
	case BARE:
		undo.from = dm->file_path;
		ok(journal_add(journal, &undo, &error));
		ck_assert_int_eq(dm_control_create(dm->control, "drsim-drill-bare"), 0);
		break;
	case SUSPENDED:
		dirty(folder, dm);
		break;
	case HELD:
		write_synced(arena_printf(&arena, "%s/held", folder), "held");
		break;
	case MOMENTS:
		break;
	}
	ck_assert_int_eq(write(said, "x", 1), 1);
	for (;;)
		pause();
}

static int revert(void)
{
	const char *const argv[] = {workplace_program, "revert", NULL};
	int code = run(argv, "said");
	char *said = workplace_read("said");

	printf("%s", said);
	free(said);
	return code;
}

static pid_t kill_victim(enum moment moment, int *ret_held)
{
	int ends[2], status = 0;
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		be_victim(moment, ends[1]);
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	if (moment == HELD)
		*ret_held = open(".state/run/drill/mnt/held", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	return pid;
}

START_TEST(killed_and_reverted)
{
	static const char *const names[MOMENTS] = {"unused", "bare", "failing", "suspended",
						   "held"};
	enum moment moment = (enum moment)_i;
	int held = -1;

	if (moment >= FAILING && !has_image())
		return;
	kill_victim(moment, &held);
	printf("killed: %s\n", names[moment]);
	ck_assert(moment != HELD || held >= 0);
	if (moment == UNUSED)
		ck_assert(program_until(nothing_there, NULL, 2000));
	else
		ck_assert(!nothing_there(NULL));
	if (moment == HELD) {
		/* What cannot be undone is named and stays, until it can. */
		ck_assert_int_eq(revert(), 4);
		close(held);
	}
	ck_assert_int_eq(revert(), 0);
	ck_assert_int_eq(access(".state/run/drill", F_OK), -1);
	ck_assert_ptr_null(*journal_list(&arena));
	nothing_left();
}
END_TEST

static void add_guest_cases(Suite *suite)
{
	guest_add(suite, "doctor", doctor_tells);
	guest_add(suite, "errors", errors_hit_the_sectors_asked_for);
	guest_add(suite, "flakey", flakey_loses_fails_and_changes);
	guest_add(suite, "intervals", flakey_comes_and_goes);
	guest_add(suite, "bad blocks", bad_blocks_come_and_go);
	guest_add(suite, "delays", delays_are_those_asked_for);
	guest_add(suite, "toggled", toggled_while_it_is_used);
	guest_add(suite, "ext4", ext4_meets_them);
	guest_add(suite, "guards", nothing_else_is_touched);
	guest_add_loop(suite, "killed", killed_and_reverted, MOMENTS);
}

/* ---- on the host ---- */

static void pack(struct guest_archive *archive)
{
	const char *const argv[] = {
		"/sbin/mke2fs", "-q",   "-F",
		"-t",           "ext4", "-b",
		"1024",         "-E",   "lazy_itable_init=0,lazy_journal_init=0",
		"ext4.img",     "8M",   NULL};

	ck_assert(guest_put_program(archive, workplace_program, "drsim"));
	if (run(argv, "mke2fs.out") == 0)
		ck_assert(guest_put_file(archive, "ext4.img", "ext4.img"));
	else
		printf("guest: no mke2fs: nothing is tried through ext4\n");
}

static const struct guest_plan plan = {
	.name = "guest_dm",
	.modules = modules,
	.checks = 9 + MOMENTS,
	.add_cases = add_guest_cases,
	.pack = pack,
};

int main(void)
{
	return guest_main(&plan);
}
