/* SPDX-License-Identifier: Apache-2.0 */
/* Storms of calls of a static, a threaded and a forking program: not one call more or less fails
 * than was asked, however often it is switched, and nobody hurts when drsim is killed. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/machine.h"
#include "drivers/host/undo.h"
#include "tests/filtered.h"
#include "tests/program.h"
#include "tests/storm.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define THREADS 8
#define END_MS 60000
#define TOGGLES 1000
#define NOBODY 65534

static char self_path[PATH_MAX], static_path[PATH_MAX + 32];
static char folder[PATH_MAX];
static struct arena arena;

/* ---- the dynamic one: itself, across execve and fork ---- */

struct worker {
	struct storm *storm;
	struct storm_thread *told;
	int files[STORM_FILES];
};

static void count(struct storm_thread *told, int error, int file)
{
	if (error == ENOSYS)
		__atomic_add_fetch(&told->enosys, 1, __ATOMIC_SEQ_CST);
	else if (error != EIO)
		__atomic_add_fetch(&told->odd, 1, __ATOMIC_SEQ_CST);
	else if (file > 0)
		__atomic_add_fetch(&told->strangers, 1, __ATOMIC_SEQ_CST);
	else {
		__atomic_store_n(&told->last_failed, told->started, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&told->failed, 1, __ATOMIC_SEQ_CST);
	}
}

static void *work(void *self)
{
	static const char bytes[512] = "a block of data";
	struct worker *worker = self;

	while (!__atomic_load_n(&worker->storm->ends, __ATOMIC_SEQ_CST))
		for (int file = 0; file < STORM_FILES; file++) {
			if (file == 0)
				__atomic_add_fetch(&worker->told->started, 1, __ATOMIC_SEQ_CST);
			if (pwrite(worker->files[file], bytes, sizeof(bytes), 0) < 0)
				count(worker->told, errno, file);
		}
	return NULL;
}

static int storm_threads(struct storm *storm, int first, int threads, char **files)
{
	static struct worker workers[STORM_THREADS_MAX];
	pthread_t ids[STORM_THREADS_MAX];

	for (int i = 0; i < threads; i++) {
		workers[i] = (struct worker){.storm = storm, .told = &storm->threads[first + i]};
		for (int file = 0; file < STORM_FILES; file++)
			workers[i].files[file] =
				open(files[file], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (pthread_create(&ids[i], NULL, work, &workers[i]))
			return 1;
	}
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	return 0;
}

/* Shared with the test. */
static struct storm *map_storm(const char *path, int flags)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0666);
	void *map;

	if (fd < 0 || (flags && (fchmod(fd, 0666) || ftruncate(fd, sizeof(struct storm)))))
		abort();
	map = mmap(NULL, sizeof(struct storm), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		abort();
	close(fd);
	return map;
}

/* --storm SHARED THREADS FILE OTHER [EXECVES]: with a number it executes itself so often, and then
 * half of its threads are another process's. */
static int be_storm(int argc, char **argv)
{
	int threads = atoi(argv[3]), status = 0;
	struct storm *storm = map_storm(argv[2], 0);
	pid_t pid;

	if (argc == 6)
		return storm_threads(storm, 0, threads, argv + 4);
	if (argv[6][0] > '0') {
		argv[6][0]--;
		execv(self_path, argv);
		return 4;
	}
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(storm_threads(storm, threads / 2, threads - threads / 2, argv + 4));
	}
	if (storm_threads(storm, 0, threads / 2, argv + 4))
		return 5;
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 6;
}

/* ---- one storm ---- */

enum {
	STATIC,
	DYNAMIC,
	FORKING,
	PROGRAMS
};

static struct storm *make_storm(const char *path)
{
	return map_storm(path, O_CREAT | O_TRUNC);
}

static struct storm_thread sum_storm(const struct storm *storm)
{
	struct storm_thread sum = {0};

	for (int i = 0; i < THREADS; i++) {
		const struct storm_thread *thread = &storm->threads[i];

		sum.started += __atomic_load_n(&thread->started, __ATOMIC_SEQ_CST);
		sum.failed += __atomic_load_n(&thread->failed, __ATOMIC_SEQ_CST);
		sum.enosys += __atomic_load_n(&thread->enosys, __ATOMIC_SEQ_CST);
		sum.odd += __atomic_load_n(&thread->odd, __ATOMIC_SEQ_CST);
		sum.strangers += __atomic_load_n(&thread->strangers, __ATOMIC_SEQ_CST);
	}
	return sum;
}

static void snapshot(const struct storm *storm, uint64_t ret[THREADS])
{
	for (int i = 0; i < THREADS; i++)
		ret[i] = __atomic_load_n(&storm->threads[i].started, __ATOMIC_SEQ_CST);
}

/* Every thread has begun so many calls since then. */
static bool all_went_on(const struct storm *storm, const uint64_t since[THREADS], uint64_t calls)
{
	int64_t end = program_clock() + (int64_t)END_MS * 1000000;

	for (int i = 0; i < THREADS; i++)
		while (__atomic_load_n(&storm->threads[i].started, __ATOMIC_SEQ_CST) <
		       since[i] + calls) {
			if (program_clock() > end)
				return false;
			usleep(200);
		}
	return true;
}

static pid_t start_storm(const struct syscall_launch *launch, int program, bool outlives)
{
	const char *const words[PROGRAMS][8] = {
		[STATIC] = {static_path, "storm", "8", "file", "other"},
		[DYNAMIC] = {self_path, "--storm", "storm", "8", "file", "other"},
		[FORKING] = {self_path, "--storm", "storm", "8", "file", "other", "3"},
	};

	return filtered_start(launch, words[program], -1, outlives);
}

static void end_storm(struct storm *storm, pid_t pid)
{
	__atomic_store_n(&storm->ends, 1, __ATOMIC_SEQ_CST);
	ck_assert_int_eq(filtered_wait(pid, END_MS), 0);
}

static const char *const storm_calls[] = {"pwrite64", "openat", "openat2", NULL};
static const char *const pwrite_calls[] = {"pwrite64", NULL};
static char file_path[PATH_MAX + 8];
static const char *const file_paths[] = {file_path, NULL};

static void setup(void)
{
	workplace_enter("storm");
	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(file_path, sizeof(file_path), "%s/file", folder);
	arena = (struct arena){0};
}

static void teardown(void)
{
	arena_free(&arena);
	workplace_leave();
}

/* ---- exactly the calls asked ---- */

/* Before Linux 5.19 a call that a signal interrupts is asked about twice. */
static bool signals_wait(void)
{
	bool known = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			     SECCOMP_FILTER_FLAG_NEW_LISTENER | 1ul << 5, NULL) == -1 &&
		     errno == EFAULT;

	if (!known)
		printf("this kernel asks about interrupted calls twice\n");
	return known;
}

START_TEST(exactly_these_fail)
{
	const struct syscall_rule rule = {.calls = pwrite_calls,
					  .error = EIO,
					  .place = SYSCALL_EVERYWHERE,
					  .paths = file_paths,
					  .when = {10, 20000, 7}};
	const uint64_t expected = (20000 - 10) / 7 + 1;
	struct storm *storm = make_storm("storm");
	struct syscalls *syscalls = filtered_open(&arena, NULL, storm_calls);
	uint32_t number = filtered_rule(syscalls, &rule);
	pid_t pid = start_storm(syscalls_launch(syscalls, 0), _i, false);
	struct storm_thread sum;
	struct syscall_counts counts;

	do {
		program_pause(5);
		ck_assert_int_eq(filtered_wait(pid, 0), -2);
	} while (syscalls_counts(syscalls, number).matched < 22000);
	end_storm(storm, pid);
	sum = sum_storm(storm);
	counts = syscalls_counts(syscalls, number);
	printf("storm %d: %llu calls, %llu of them failed, %llu asked for, %llu signals\n", _i,
	       (unsigned long long)sum.started, (unsigned long long)sum.failed,
	       (unsigned long long)expected, (unsigned long long)storm->signals);
	ck_assert_uint_eq(sum.failed, expected);
	ck_assert_uint_eq(counts.acted, expected);
	if (signals_wait())
		ck_assert_uint_eq(counts.matched, sum.started);
	ck_assert_uint_eq(sum.enosys + sum.odd + sum.strangers, 0);
	ck_assert_uint_eq(syscalls_sum(syscalls).unread + syscalls_sum(syscalls).crowded, 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_uint_gt(storm->threads[i].started, 0);
	syscalls_close(syscalls);
}
END_TEST

/* One phase of a rule. What begins after the end must not fail: told when all threads went on. */
static void toggle(struct syscalls *syscalls, const struct storm *storm, uint32_t rule,
		   uint64_t acts, uint64_t ret_after[THREADS])
{
	const struct storm_thread *threads = storm->threads;
	uint64_t before = syscalls_counts(syscalls, rule).acted;

	syscalls_switch(syscalls, rule, true);
	if (acts == 0)
		usleep((useconds_t)(before * 37 % 300));
	else
		while (syscalls_counts(syscalls, rule).acted < before + acts)
			usleep(50);
	syscalls_switch(syscalls, rule, false);
	snapshot(storm, ret_after);
	ck_assert(all_went_on(storm, ret_after, 2));
	for (int i = 0; i < THREADS; i++)
		ck_assert_uint_le(__atomic_load_n(&threads[i].last_failed, __ATOMIC_SEQ_CST),
				  ret_after[i]);
}

START_TEST(switching_loses_and_adds_none)
{
	const struct syscall_rule rules[] = {
		{.calls = pwrite_calls, .error = EIO, .paths = file_paths, .when = {2, 6, 2}},
		{.calls = pwrite_calls, .error = EIO, .paths = file_paths},
	};
	struct storm *storm = make_storm("storm");
	struct syscalls *syscalls = filtered_open(&arena, NULL, storm_calls);
	struct error e = {0};
	uint64_t after[THREADS], both;
	uint32_t numbers[2];
	struct storm_thread sum;
	pid_t pid;

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(syscalls_rule(syscalls, &rules[i], &numbers[i], &e), 0);
	pid = start_storm(syscalls_launch(syscalls, 0), _i, false);
	snapshot(storm, after);
	ck_assert(all_went_on(storm, after, 1));
	for (int i = 0; i < TOGGLES; i++)
		toggle(syscalls, storm, numbers[i % 2], i % 2 ? 0 : 3, after);
	end_storm(storm, pid);
	sum = sum_storm(storm);
	both = syscalls_counts(syscalls, numbers[0]).acted +
	       syscalls_counts(syscalls, numbers[1]).acted;
	printf("toggled %d: %llu calls, %llu failed\n", TOGGLES, (unsigned long long)sum.started,
	       (unsigned long long)sum.failed);
	ck_assert_uint_eq(syscalls_counts(syscalls, numbers[0]).acted, TOGGLES / 2 * 3);
	ck_assert_uint_gt(syscalls_counts(syscalls, numbers[1]).acted, TOGGLES / 2);
	ck_assert_uint_eq(sum.failed, both);
	ck_assert_uint_eq(sum.enosys + sum.odd + sum.strangers, 0);
	syscalls_close(syscalls);
}
END_TEST

/* ---- killed in the middle ---- */

static void must(int rc, const struct error *e)
{
	if (rc == 0)
		return;
	fprintf(stderr, "%s\n", e->text);
	abort();
}

/* Stands for drsim: a journal, a guardian, a supervisor, rules of all kinds. */
static _Noreturn void be_drsim(int program)
{
	static const uint64_t step = 97;
	const struct syscall_rule rules[] = {
		{.calls = pwrite_calls,
		 .action = SYSCALL_HANG,
		 .when = {1000, UINT64_MAX, step},
		 .limit = 3},
		{.calls = pwrite_calls,
		 .action = SYSCALL_DELAY,
		 .delay = 3 * NANOS_MS,
		 .when = {50, UINT64_MAX, 50}},
		{.calls = pwrite_calls,
		 .error = EIO,
		 .delay = NANOS_MS,
		 .paths = file_paths,
		 .when = {77, UINT64_MAX, 77}},
		{.calls = pwrite_calls,
		 .error = EIO,
		 .paths = file_paths,
		 .when = {3, UINT64_MAX, 3}},
	};
	struct journal *journal;
	struct guardian guardian;
	struct syscalls *syscalls;
	struct error e = {0};

	signal(SIGTERM, SIG_DFL);
	must(journal_open("storm", &arena, &journal, &e), &e);
	must(guardian_start(&guardian, journal, &e), &e);
	syscalls = filtered_open(&arena, &guardian, pwrite_calls);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		filtered_rule(syscalls, &rules[i]);
	start_storm(syscalls_launch(syscalls, 0), program, true);
	for (;;)
		pause();
}

static void wait_for_all(void)
{
	int64_t end = program_clock() + (int64_t)END_MS * 1000000;
	int status;
	pid_t pid;

	/* The program, the guardian, the keeper: all are ours now, and all end. */
	while ((pid = waitpid(-1, &status, WNOHANG)) >= 0) {
		ck_assert_msg(pid == 0 || status == 0, "%d: status %x", (int)pid, (unsigned)status);
		ck_assert(program_clock() < end);
		program_pause(1);
	}
}

START_TEST(nobody_hurts_when_drsim_is_killed)
{
	int rounds = getenv("DRSIM_SOAK") ? 100 : 12;
	uint64_t calls = 0, later = 0;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	for (int round = 0; round < rounds; round++) {
		struct storm *storm = make_storm("storm");
		struct storm_thread sum;
		uint64_t then[THREADS];
		int status;
		pid_t pid = fork();

		if (pid == 0)
			be_drsim(round % 2 ? STATIC : DYNAMIC);
		while (sum_storm(storm).started < 500 + (uint64_t)round * 61)
			usleep(100);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status));
		snapshot(storm, then);
		/* Those too whose calls hung, were delayed, or were just being looked at. */
		ck_assert_msg(all_went_on(storm, then, 500), "round %d: one hangs for ever", round);
		calls += sum_storm(storm).started;
		for (int i = 0; i < THREADS; i++)
			later += storm->threads[i].started - then[i];
		__atomic_store_n(&storm->ends, 1, __ATOMIC_SEQ_CST);
		wait_for_all();
		sum = sum_storm(storm);
		ck_assert_msg(sum.enosys == 0, "round %d: %llu calls failed with ENOSYS", round,
			      (unsigned long long)sum.enosys);
		ck_assert_uint_gt(sum.failed, 0);
		ck_assert_uint_eq(sum.odd + sum.strangers, 0);
		munmap(storm, sizeof(*storm));
	}
	printf("killed %d times: %llu calls, %llu of them later, none with ENOSYS\n", rounds,
	       (unsigned long long)calls, (unsigned long long)later);
}
END_TEST

/* The same when it ends in order and a program lives on. */
START_TEST(nobody_hurts_when_drsim_ends)
{
	const struct syscall_rule rule = {
		.calls = pwrite_calls, .action = SYSCALL_HANG, .when = {100, 100, 1}};
	struct storm *storm = make_storm("storm");
	struct journal *journal;
	struct guardian guardian;
	struct syscalls *syscalls;
	struct undo_sum undone;
	struct error e = {0};
	uint64_t then[THREADS];
	uint32_t number;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	must(journal_open("storm", &arena, &journal, &e), &e);
	must(guardian_start(&guardian, journal, &e), &e);
	/* Two supervisors one after the other, as many as there are numbers and more. */
	for (int i = 0; i < 2 * SYSCALL_TABLES_MAX; i++)
		syscalls_close(filtered_open(&arena, &guardian, pwrite_calls));
	syscalls = filtered_open(&arena, &guardian, pwrite_calls);
	number = filtered_rule(syscalls, &rule);
	start_storm(syscalls_launch(syscalls, 0), STATIC, true);
	while (syscalls_counts(syscalls, number).held == 0)
		program_pause(1);
	syscalls_close(syscalls);
	snapshot(storm, then);
	ck_assert(all_went_on(storm, then, 100));
	undo_all(journal, &undone);
	ck_assert(journal_close(journal));
	guardian_end(&guardian);
	snapshot(storm, then);
	ck_assert(all_went_on(storm, then, 100));
	__atomic_store_n(&storm->ends, 1, __ATOMIC_SEQ_CST);
	wait_for_all();
	ck_assert_uint_eq(sum_storm(storm).enosys + sum_storm(storm).odd, 0);
}
END_TEST

/* ---- in machines ---- */

struct site {
	struct journal *journal;
	struct guardian guardian;
	struct machine_site site;
	struct machine_config configs[2];
	struct machines_config config;
	struct machines *machines;
};

static void open_site(struct site *site, bool loopback)
{
	struct error e = {0};

	must(journal_open("machines", &arena, &site->journal, &e), &e);
	must(guardian_start(&site->guardian, site->journal, &e), &e);
	site->site = (struct machine_site){.name = "primary"};
	for (int i = 0; i < 2; i++)
		site->configs[i] = (struct machine_config){
			.name = i ? "primary/node[1]" : "primary/node[0]",
			.devices = arena_printf(&arena, "%s/%d/dev", site->journal->work, i),
			.device_count = 2};
	site->config = (struct machines_config){.sites = &site->site,
						.site_count = 1,
						.machines = site->configs,
						.machine_count = 2,
						.loopback_only = loopback};
	must(machines_open(&site->config, site->journal, &arena, &site->machines, &e), &e);
}

static struct storm *start_machine(struct site *site, struct syscalls *syscalls, uint32_t index)
{
	const char *shared = arena_printf(&arena, "%s/storm-%u", site->journal->work, index),
		   *devices = site->configs[index].devices;
	const char *const argv[] = {static_path,
				    shared,
				    "8",
				    arena_printf(&arena, "%s/gpu0", devices),
				    arena_printf(&arena, "%s/gpu1", devices),
				    NULL};
	const struct machine_start start = {
		.argv = argv,
		.log = arena_printf(&arena, "%s/log-%u", site->journal->work, index),
		.filter = syscalls_launch(syscalls, index)};
	struct storm *storm = make_storm(shared);
	struct error e = {0};

	must(machine_start(machines_get(site->machines, index), &start, &e), &e);
	return storm;
}

static void check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

/* Of two machines the device 0 of the second is lost. Not a test itself: a child's. */
static void lose_a_device(bool loopback)
{
	struct site site = {0};
	struct storm *storms[2];
	struct syscalls *syscalls;
	struct error e = {0};
	struct undo_sum undone;
	struct syscall_rule rule = {.calls = pwrite_calls, .error = EIO, .place = 1, .limit = 100};
	const char *lost[2] = {NULL, NULL};
	uint32_t number;

	open_site(&site, loopback);
	syscalls = filtered_open(&arena, &site.guardian, storm_calls);
	lost[0] = arena_printf(&arena, "%s/gpu0", site.configs[1].devices);
	rule.paths = lost;
	number = filtered_rule(syscalls, &rule);
	for (uint32_t i = 0; i < 2; i++)
		storms[i] = start_machine(&site, syscalls, i);
	while (syscalls_counts(syscalls, number).matched < 300 ||
	       sum_storm(storms[0]).started < 300)
		program_pause(1);
	for (int i = 0; i < 2; i++)
		__atomic_store_n(&storms[i]->ends, 1, __ATOMIC_SEQ_CST);
	while (machine_alive(machines_get(site.machines, 0)) ||
	       machine_alive(machines_get(site.machines, 1)))
		program_pause(1);
	check(syscalls_counts(syscalls, number).acted == 100, "acted");
	check(sum_storm(storms[1]).failed == 100, "failed");
	check(sum_storm(storms[0]).failed == 0, "failed elsewhere");
	for (int i = 0; i < 2; i++)
		check(sum_storm(storms[i]).strangers + sum_storm(storms[i]).odd == 0, "strangers");
	/* It can be started again, and dies in the middle. */
	storms[1] = start_machine(&site, syscalls, 1);
	while (sum_storm(storms[1]).started < 100)
		program_pause(1);
	must(machines_close(site.machines, &e), &e);
	syscalls_close(syscalls);
	undo_all(site.journal, &undone);
	check(undone.left == 0 && journal_close(site.journal), "journal");
	guardian_end(&site.guardian);
	printf("machines: %s%s%s\n", machine_isolation_names[machines_isolation(site.machines)],
	       *machines_lost(site.machines) ? ": " : "",
	       *machines_lost(site.machines) ? *machines_lost(site.machines) : "");
}

/* The last has no right at all, not even one in a namespace of its own. */
enum {
	AS_ROOT,
	ON_LOOPBACK,
	AS_NOBODY,
	AS_NOBODY_ON_LOOPBACK,
	WAYS
};

START_TEST(machines_start_under_a_filter)
{
	pid_t pid;
	int status;

	if (_i >= AS_NOBODY && geteuid() != 0) {
		printf("as nobody: skipped, not root here\n");
		return;
	}
	pid = fork();
	if (pid == 0) {
		if (_i >= AS_NOBODY &&
		    (chown(".", NOBODY, NOBODY) || setgroups(0, NULL) ||
		     setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY) ||
		     prctl(PR_SET_DUMPABLE, 1L)))
			abort();
		if (_i >= AS_NOBODY && access(static_path, X_OK)) {
			printf("as nobody: skipped, it cannot see the programs\n");
			_exit(0);
		}
		signal(SIGTERM, SIG_DFL);
		lose_a_device(_i == ON_LOOPBACK || _i == AS_NOBODY_ON_LOOPBACK);
		fflush(stdout);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	tcase_set_timeout(tcase, 600);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "exactly", exactly_these_fail, PROGRAMS);
	add(suite, "toggled", switching_loses_and_adds_none, 2);
	add(suite, "killed", nobody_hurts_when_drsim_is_killed, 1);
	add(suite, "ended", nobody_hurts_when_drsim_ends, 1);
	add(suite, "machines", machines_start_under_a_filter, WAYS);
}

int main(int argc, char **argv)
{
	ssize_t length = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
	struct error e = {0};
	bool sync;

	self_path[length > 0 ? length : 0] = '\0';
	snprintf(static_path, sizeof(static_path), "%.*s/static_storm",
		 (int)(strrchr(self_path, '/') - self_path), self_path);
	if (argc >= 6 && strcmp(argv[1], "--storm") == 0)
		return be_storm(argc, argv);
	if (syscall_probe(&sync, &e)) {
		printf("storm: skipped: %s\n", e.text);
		return 0;
	}
	return test_main("storm", add_cases);
}
