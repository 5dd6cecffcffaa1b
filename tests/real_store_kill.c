/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backup engine among accidents: SIGKILL at random points of backup, prune and restore and at
 * each of their system calls that writes, writers that race, a disk that is full, and single bits
 * that flip. DRSIM_SOAK=1 has hundreds of kills and ten thousand flips.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/prng.h"
#include "drivers/store/format.h"
#include "drivers/store/store.h"
#include "tests/store_trees.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define KIB ((size_t)1 << 10)
#define FILES 12
#define KEEP 3

static struct arena arena;
static struct error error;

static bool soak(void)
{
	const char *value = getenv("DRSIM_SOAK");

	return value && strcmp(value, "1") == 0;
}

static void setup(void)
{
	workplace_enter("store-kill");
}

static void teardown(void)
{
	arena_free(&arena);
	workplace_leave();
}

static struct store_handle *open_store(nanos wait)
{
	struct store_options options = {
		.create = true, .threads = 2, .pack_bytes = 64 * KIB, .lock_wait = wait};
	struct store_handle *store = NULL;

	error = (struct error){0};
	ck_assert_msg(store_open("S", &options, &store, &error) == 0, "%s", error.text);
	return store;
}

/* ---- a folder that is a function of its generation ---- */

static void set_time(const char *path, time_t seconds)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds}};

	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* In each generation three of twelve files are new; sizes from nothing to a third of a mebibyte. */
static void make_tree(const char *path, uint64_t generation)
{
	workplace_remove(path);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(mkdir(arena_printf(&arena, "%s/sub", path), 0755), 0);
	for (uint64_t i = 0; i < FILES; i++) {
		uint64_t version = (generation + i) / 4;
		const char *name =
			arena_printf(&arena, "%s/%sfile%d", path, i % 3 ? "" : "sub/", (int)i);

		tree_file(name, (size_t)(i * 30 * KIB + version % 5), 1000 * i + version);
		set_time(name, (time_t)(1000000 + 1000 * i + version));
	}
	ck_assert_int_eq(symlink(arena_printf(&arena, "file%d", (int)generation),
				 arena_printf(&arena, "%s/link", path)),
			 0);
	set_time(arena_printf(&arena, "%s/link", path), 5);
	set_time(arena_printf(&arena, "%s/sub", path), 6);
	set_time(path, 7);
}

/* ---- operations, and what must hold after them ---- */

enum operation {
	BACKUP,
	PRUNE,
	RESTORE,
	OPERATIONS
};

/* In a process of its own, which may be killed. */
static _Noreturn void operate(enum operation operation, uint64_t generation)
{
	struct store_backup_options keep = {.as_of = (nanos)generation};
	struct store_prune_options prune = {.keep = KEEP};
	struct store_restore_options back = {.exact = true};
	struct store_handle *store = open_store(0);
	struct store_backup backup;
	int rc = -1;

	switch (operation) {
	case BACKUP:
		rc = store_backup(store, "D", &keep, &backup, &error);
		break;
	case PRUNE:
		rc = store_prune(store, &prune, NULL, &error);
		break;
	case RESTORE:
		rc = store_restore(store, NULL, "R", &back, NULL, &error);
		break;
	case OPERATIONS:
		break;
	}
	store_close(store);
	_exit(rc ? 1 : 0);
}

static struct store_backup *list(size_t *ret_count)
{
	struct store_handle *store = open_store(0);
	struct store_backup *backups;

	ck_assert_msg(store_list(store, &arena, &backups, ret_count, &error) == 0, "%s",
		      error.text);
	store_close(store);
	return backups;
}

static bool has(const struct store_backup *backups, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(backups[i].id, id) == 0)
			return true;
	return false;
}

struct tally {
	size_t operations, killed[OPERATIONS], restored, new_ones;
};

/* Every backup that lists comes back to the byte, and nothing is found damaged. */
static void check_all(struct store_handle *store, struct tally *tally)
{
	struct store_verified verified;
	struct store_backup *backups;
	size_t count;

	ck_assert_msg(store_list(store, &arena, &backups, &count, &error) == 0, "%s", error.text);
	for (size_t i = 0; i < count; i++) {
		make_tree("W", (uint64_t)backups[i].as_of);
		workplace_remove("B");
		ck_assert_msg(store_restore(store, backups[i].id, "B", NULL, NULL, &error) == 0,
			      "%s", error.text);
		ck_assert_str_eq(tree_difference("W", "B"), "");
		tally->restored++;
	}
	ck_assert_int_eq(store_verify(store, NULL, NULL, &verified, &error), 0);
	ck_assert_uint_eq(verified.damages, 0);
}

/* Either the old list or the new one, and what was killed can be begun anew on what it left. */
static void check_after(enum operation operation, const struct store_backup *before, size_t old,
			struct tally *tally)
{
	struct store_handle *store;
	size_t count;
	struct store_backup *after = list(&count);

	for (size_t i = 0; i < old; i++)
		ck_assert(has(after, count, before[i].id) ||
			  (operation == PRUNE && i + KEEP < old));
	ck_assert_uint_le(count, operation == BACKUP ? old + 1 : old);
	tally->new_ones += operation == BACKUP && count > old;
	store = open_store(0);
	check_all(store, tally);
	if (operation == PRUNE) {
		struct store_prune_options prune = {.keep = KEEP};

		ck_assert_msg(store_prune(store, &prune, NULL, &error) == 0, "%s", error.text);
		check_all(store, tally);
	}
	if (operation == RESTORE && count > 0) {
		struct store_restore_options back = {.exact = true};

		make_tree("W", (uint64_t)after[count - 1].as_of);
		ck_assert_int_eq(store_restore(store, NULL, "R", &back, NULL, &error), 0);
		ck_assert_str_eq(tree_difference("W", "R"), "");
	}
	store_close(store);
}

static void sleep_for(nanos duration)
{
	struct timespec pause = {.tv_sec = duration / NANOS_S, .tv_nsec = duration % NANOS_S};

	while (nanosleep(&pause, &pause) && errno == EINTR)
		;
}

static nanos now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (nanos)time.tv_sec * NANOS_S + time.tv_nsec;
}

/* How long each takes when nobody disturbs it. */
static void measure(nanos took[OPERATIONS])
{
	for (int i = 0; i < OPERATIONS; i++) {
		nanos begin = now();
		int status;
		pid_t child = fork();

		if (child == 0)
			operate((enum operation)i, 0);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		took[i] = now() - begin;
	}
}

START_TEST(killed_at_random_points)
{
	size_t rounds = soak() ? 300 : 30;
	struct tally tally = {0};
	nanos took[OPERATIONS];
	struct prng prng;

	prng_open(&prng, 20, 0, 0, PRNG_TEST);
	make_tree("D", 0);
	measure(took);
	for (uint64_t i = 1; tally.killed[0] + tally.killed[1] + tally.killed[2] < rounds; i++) {
		enum operation operation = (enum operation)prng_below(&prng, OPERATIONS);
		struct store_backup *before;
		size_t old;
		int status;
		pid_t child;

		ck_assert_uint_lt(i, 10 * rounds);
		before = list(&old);
		if (operation != BACKUP && old == 0)
			continue;
		make_tree("D", i);
		child = fork();
		if (child == 0)
			operate(operation, i);
		sleep_for((nanos)prng_below(&prng, (uint64_t)took[operation]));
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		tally.operations++;
		tally.killed[operation] += WIFSIGNALED(status);
		/* So that most are hit, early and late. */
		took[operation] = took[operation] / 100 * (WIFSIGNALED(status) ? 104 : 90);
		check_after(operation, before, old, &tally);
		arena_reset(&arena);
	}
	printf("kills: %zu of %zu operations: %zu backups, %zu prunes, %zu restores; %zu backups "
	       "had come to be; %zu restores compared, 0 differ\n",
	       tally.killed[0] + tally.killed[1] + tally.killed[2], tally.operations,
	       tally.killed[0], tally.killed[1], tally.killed[2], tally.new_ones, tally.restored);
}
END_TEST

/* ---- at each system call that writes ---- */

static bool writes(long number)
{
	switch (number) {
	case SYS_write:
	case SYS_pwrite64:
	case SYS_fsync:
	case SYS_renameat:
	case SYS_unlinkat:
	case SYS_mkdirat:
	case SYS_ftruncate:
	case SYS_symlinkat:
	case SYS_fchmod:
		return true;
	}
	return false;
}

/*
 * Runs an operation under trace and kills it before its call number `at` that writes. Returns how
 * many there were; -1: this process may not trace.
 */
static int run_until(enum operation operation, uint64_t generation, int at)
{
	int status, seen = 0;
	pid_t child = fork(), thread;

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(99);
		raise(SIGSTOP);
		operate(operation, generation);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (!WIFSTOPPED(status))
		return -1;
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, child, NULL,
				PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL),
			 0);
	ptrace(PTRACE_SYSCALL, child, NULL, NULL);
	while ((thread = waitpid(-1, &status, __WALL)) > 0) {
		struct __ptrace_syscall_info info = {0};
		int deliver = 0;

		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (thread == child)
				break;
			continue;
		}
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) > 0 &&
			    info.op == PTRACE_SYSCALL_INFO_ENTRY && writes((long)info.entry.nr) &&
			    seen++ == at)
				kill(child, SIGKILL);
		} else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
			deliver = WSTOPSIG(status);
		}
		ptrace(PTRACE_SYSCALL, thread, NULL, deliver);
	}
	return seen;
}

START_TEST(killed_before_each_write)
{
	struct tally tally = {0};
	uint64_t generation = 1;
	int whole = soak() ? 1 : 9;

	make_tree("D", 0);
	for (int i = 0; i < OPERATIONS; i++) {
		int calls = 1, step = i == PRUNE ? 1 : whole; /* of a prune there are few */

		for (int at = 0; at < calls; at += step) {
			struct store_backup *before;
			size_t old;

			make_tree("D", generation);
			/* Enough of them that there is something to prune. */
			for (before = list(&old); i == PRUNE && old < KEEP + 2;
			     before = list(&old)) {
				ck_assert_int_ge(run_until(BACKUP, generation, INT32_MAX), 0);
				make_tree("D", ++generation);
			}
			calls = run_until((enum operation)i, generation++, at);
			if (calls < 0) {
				puts("skipped: kills before each write: this process may not "
				     "trace another");
				return;
			}
			tally.operations++;
			check_after((enum operation)i, before, old, &tally);
			arena_reset(&arena);
			/* One that ran to its end had no call number `at`. */
			if (calls <= at)
				break;
			calls = at + 2 * step;
		}
	}
	printf("kills before a write: %zu; %zu restores compared, 0 differ\n", tally.operations,
	       tally.restored);
	ck_assert_uint_gt(tally.operations, 20);
}
END_TEST

/* ---- many at once ---- */

START_TEST(racing_writers_take_turns)
{
	enum {
		WRITERS = 8
	};
	struct store_backup *backups;
	struct tally tally = {0};
	pid_t children[WRITERS];
	size_t count;

	make_tree("D", 3);
	for (int i = 0; i < WRITERS; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			struct store_backup_options options = {.as_of = 3};
			struct store_handle *store = open_store(60 * NANOS_S);
			struct store_backup backup;

			_exit(store_backup(store, "D", &options, &backup, &error) ? 1 : 0);
		}
	}
	for (int i = 0; i < WRITERS; i++) {
		int status;

		ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	backups = list(&count);
	ck_assert_uint_eq(count, WRITERS);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(backups[i].number, i + 1);
	check_after(RESTORE, backups, count, &tally);
}
END_TEST

/* ---- a full disk ---- */

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		printf("%s: %s\n", path, strerror(errno));
	close(fd);
}

/* Root of a namespace of its own, for who is not root outside. */
static bool become_root(void)
{
	const char *user = arena_printf(&arena, "0 %u 1", (unsigned)getuid());
	const char *group = arena_printf(&arena, "0 %u 1", (unsigned)getgid());

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return false;
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/uid_map", user);
	write_text("/proc/self/gid_map", group);
	return true;
}

/* A small disk of this process alone; false, with the reason printed: it may not have one. */
static bool mount_small(const char *path, const char *size)
{
	if (unshare(CLONE_NEWNS) && !become_root()) {
		printf("skipped: full disk: no mount namespace: %s\n", strerror(errno));
		return false;
	}
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("drsim", path, "tmpfs", 0, size)) {
		printf("skipped: full disk: cannot mount: %s\n", strerror(errno));
		return false;
	}
	return true;
}

static uint64_t room(const char *path)
{
	struct statvfs status;

	ck_assert_int_eq(statvfs(path, &status), 0);
	return (uint64_t)status.f_bavail * status.f_frsize;
}

START_TEST(a_full_disk_leaves_the_store_whole)
{
	struct store_backup_options options = {.as_of = 0};
	struct store_handle *store;
	struct store_backup backup;
	struct store_verified verified;
	uint64_t before;
	size_t count;

	ck_assert_int_eq(mkdir("S", 0755), 0);
	if (!mount_small("S", "size=3m"))
		return;
	make_tree("D", 0);
	store = open_store(0);
	ck_assert_msg(store_backup(store, "D", &options, &backup, &error) == 0, "%s", error.text);
	before = room("S");
	tree_file("D/large", 8192 * KIB, 77);
	ck_assert_int_eq(store_backup(store, "D", NULL, &backup, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_IO);
	ck_assert_ptr_nonnull(strstr(error.text, "the disk is full"));
	/* The room is free again, the store as it was, and it takes what fits. */
	ck_assert_uint_ge(room("S") + 8 * KIB, before);
	list(&count);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(store_verify(store, NULL, NULL, &verified, &error), 0);
	ck_assert_uint_eq(verified.damages, 0);
	make_tree("D", 0);
	error = (struct error){0};
	ck_assert_msg(store_backup(store, "D", &options, &backup, &error) == 0, "%s", error.text);
	/* And a restore to a full disk. */
	ck_assert_int_eq(mkdir("R", 0755), 0);
	ck_assert_int_eq(mount("drsim", "R", "tmpfs", 0, "size=1m"), 0);
	ck_assert_int_eq(store_restore(store, NULL, "R", NULL, NULL, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_IO);
	ck_assert_ptr_nonnull(strstr(error.text, "the disk is full"));
	store_close(store);
	ck_assert_int_eq(umount2("R", MNT_DETACH), 0);
	ck_assert_int_eq(umount2("S", MNT_DETACH), 0);
}
END_TEST

/* ---- the stand-in platform's object store ---- */

/* Starts it with its objects in "O"; its process, and its address. 0: it is not built. */
static pid_t start_server(const char **ret_address)
{
	const char *build = getenv("DRSIM_BUILD");
	const char *program =
		arena_printf(&arena, "%s/%s/minilepton", workplace_root, build ? build : "");
	char line[128] = "";
	size_t used = 0;
	int out[2];
	pid_t child;

	if (access(program, X_OK))
		return 0;
	ck_assert_int_eq(mkdir("O", 0755), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		dup2(out[1], STDOUT_FILENO);
		execl(program, program, "store", "--listen", "127.0.0.1:0", "--dir", "O", "--token",
		      "secret", (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	while (used + 1 < sizeof(line) && read(out[0], line + used, 1) == 1 && line[used] != '\n')
		used++;
	line[used] = '\0';
	close(out[0]);
	ck_assert_int_eq(strncmp(line, "listening ", 10), 0);
	*ret_address = arena_printf(&arena, "http://%s", line + 10);
	return child;
}

START_TEST(the_platforms_store)
{
	struct store_options options = {
		.create = true, .token = "secret", .threads = 2, .pack_bytes = 64 * KIB};
	struct store_prune_options prune = {.keep = KEEP};
	struct store_handle *store;
	struct store_verified verified;
	const char *address;
	struct store_backup backup;
	pid_t server = start_server(&address);
	int status;

	if (server == 0) {
		puts("skipped: the platform's store: minilepton is not built");
		return;
	}
	ck_assert_msg(store_open(address, &options, &store, &error) == 0, "%s", error.text);
	for (uint64_t i = 0; i < 6; i++) {
		make_tree("D", i);
		ck_assert_msg(store_backup(store, "D", NULL, &backup, &error) == 0, "%s",
			      error.text);
	}
	ck_assert_int_eq(store_prune(store, &prune, NULL, &error), 0);
	ck_assert_int_eq(store_restore(store, NULL, "R", NULL, NULL, &error), 0);
	ck_assert_str_eq(tree_difference("D", "R"), "");
	ck_assert_int_eq(store_verify(store, NULL, NULL, &verified, &error), 0);
	ck_assert_uint_eq(verified.damages, 0);
	ck_assert_uint_eq(verified.backups, KEEP);
	/* Gone in the middle: an error, and no hang. */
	ck_assert_int_eq(kill(server, SIGKILL), 0);
	ck_assert_int_eq(waitpid(server, &status, 0), server);
	ck_assert_int_eq(store_backup(store, "D", NULL, &backup, &error), -1);
	ck_assert_int_eq(error.kind, ERROR_IO);
	store_close(store);
}
END_TEST

/* ---- bits ---- */

struct flip {
	const char *key;
	uint64_t byte;
	bool object, file; /* the damage names the object and byte; a file of a backup */
};

static void note(void *self, const struct store_damage *damage)
{
	struct flip *flip = self;

	if (!damage->object || strcmp(damage->object, flip->key) != 0 ||
	    flip->byte < damage->object_offset ||
	    flip->byte >= damage->object_offset + damage->object_bytes)
		return;
	flip->object = true;
	flip->file = flip->file || (damage->backup && damage->path && damage->bytes > 0);
}

struct spot {
	const char *key;
	uint64_t begin, bytes;
	bool chunk;
};

/* Every byte of the store, as the objects it lies in and whether it is of a chunk in use. */
static size_t places_of(struct store_handle *store, struct spot places[256])
{
	struct store_object *objects;
	size_t count, used = 0;
	struct stat status;

	for (int i = 1; i <= 3; i++) {
		ck_assert_int_eq(store_objects(store, arena_printf(&arena, "%d", i), &arena,
					       &objects, &count, &error),
				 0);
		for (size_t k = 0; k < count; k++) {
			ck_assert_uint_lt(used, 200);
			places[used++] = (struct spot){objects[k].key, objects[k].offset,
						       objects[k].bytes, !objects[k].manifest};
		}
	}
	for (size_t k = 0, packs = used; k < packs; k++) {
		/* The table behind the chunks. */
		if (!places[k].chunk)
			continue;
		ck_assert_int_eq(stat(arena_printf(&arena, "S/%s", places[k].key), &status), 0);
		places[used++] = (struct spot){
			places[k].key, places[k].begin + places[k].bytes,
			(uint64_t)status.st_size - places[k].begin - places[k].bytes, false};
		ck_assert_uint_lt(used, 250);
	}
	ck_assert_int_eq(stat("S/index", &status), 0);
	places[used++] = (struct spot){"index", 0, (uint64_t)status.st_size, false};
	places[used++] = (struct spot){"store", 0, 64, false};
	return used;
}

START_TEST(every_flipped_bit_is_found_and_named)
{
	size_t flips = soak() ? 10000 : 200, found = 0, named = 0, chunks = 0, count;
	struct store_handle *store = open_store(0);
	struct spot places[256];
	struct prng prng;

	ck_assert_int_eq(mkdir("D", 0755), 0);
	for (uint64_t i = 0; i < 3; i++) {
		struct store_backup backup;

		tree_file(arena_printf(&arena, "D/noise%d", (int)i), 70 * KIB, i);
		tree_file("D/text", 0, 0);
		for (uint64_t k = 0; k < 2000; k++)
			tree_write("D/text", k * 17,
				   i ? "words of a line.\n" : "a line of words.\n", 17);
		ck_assert_int_eq(store_backup(store, "D", NULL, &backup, &error), 0);
	}
	count = places_of(store, places);
	prng_open(&prng, 21, 0, 0, PRNG_TEST);
	for (size_t i = 0; i < flips; i++) {
		const struct spot *place = &places[prng_below(&prng, count)];
		uint64_t bit = 8 * place->begin + prng_below(&prng, 8 * place->bytes);
		struct flip flip = {.key = place->key, .byte = bit / 8};
		struct store_verify_options options = {.damage = note, .damage_self = &flip};
		char path[512];
		struct store_verified verified;

		snprintf(path, sizeof(path), "S/%s", place->key);
		tree_flip(path, bit);
		ck_assert_int_eq(store_verify(store, NULL, &options, &verified, &error), 0);
		found += verified.damages > 0;
		chunks += place->chunk;
		named += flip.object && (!place->chunk || flip.file);
		tree_flip(path, bit);
	}
	printf("flipped bits: %zu; found: %zu; named: %zu (%zu of them in a file of a backup)\n",
	       flips, found, named, chunks);
	ck_assert_uint_eq(found, flips);
	ck_assert_uint_eq(named, flips);
	store_close(store);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, soak() ? 1800 : 300);
	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "killed at random points", killed_at_random_points);
	add(suite, "killed before each write", killed_before_each_write);
	add(suite, "racing writers", racing_writers_take_turns);
	add(suite, "full disk", a_full_disk_leaves_the_store_whole);
	add(suite, "the platform's store", the_platforms_store);
	add(suite, "flipped bits", every_flipped_bit_is_found_and_named);
}

TEST_MAIN("store, killed", add_cases)
