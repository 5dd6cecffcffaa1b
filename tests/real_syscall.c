/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of children that run under a filter: which of them are hit, how, and when. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/filtered.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define NOTES_MAX 512
#define END_MS 20000
#define BIG 5000 /* longer than a path may be */

/* What a child tells: the errno of each of its calls, 0 for those that worked. */
static int *notes;
static struct arena arena;
static char folder[PATH_MAX];

static void setup(void)
{
	struct error e = {0};
	bool sync;

	workplace_enter("syscall");
	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	notes = mmap(NULL, NOTES_MAX * sizeof(*notes), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(notes != MAP_FAILED);
	memset(notes, 0xff, NOTES_MAX * sizeof(*notes));
	arena = (struct arena){0};
	ck_assert_msg(syscall_probe(&sync, &e) == 0, "%s", e.text);
}

static void teardown(void)
{
	arena_free(&arena);
	munmap(notes, NOTES_MAX * sizeof(*notes));
	workplace_leave();
}

static void note(int index, long result)
{
	notes[index] = result == -1 ? errno : 0;
}

static void run(const struct syscall_launch *launch, int (*body)(void *), void *self)
{
	ck_assert_int_eq(filtered_wait(filtered_fork(launch, body, self), END_MS), 0);
}

/* ---- paths ---- */

/* @ stands for the folder, % for its last word. */
static const struct spelling {
	const char *text;
	bool hit;
} spellings[] = {
	{"@/gpu0", true},
	{"@//gpu0", true},
	{"@/./gpu0", true},
	{"@/nothing/../gpu0", true},
	{"/../@/gpu0", true},
	{"gpu0", true},
	{"./gpu0", true},
	{"../%/gpu0", true},
	{"gpu0/below", true},
	{"gpu0/", true},
	{"star1", true},
	{"star", true},
	{"gpu00", false},
	{"gpu1", false},
	{"gpu0/../gpu1", false},
	{"sta", false},
	{"@", false},
	{"/", false},
	{".", false},
	{"/gpu0", false},
	{"", false},
};
#define SPELLINGS ((int)(sizeof(spellings) / sizeof(spellings[0])))

static void spell(const char *text, char *ret)
{
	for (; *text; text++) {
		const char *part = *text == '@'   ? folder
				   : *text == '%' ? strrchr(folder, '/') + 1
						  : NULL;

		ret += part ? sprintf(ret, "%s", part) : sprintf(ret, "%c", *text);
	}
	*ret = '\0';
}

/* The same path from the working folder, from a descriptor, and at the very end of what can be
 * read. */
static int open_spellings(void *self)
{
	char path[2 * PATH_MAX];
	int here = open(".", O_PATH | O_DIRECTORY);
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)self;
	if (here < 0 || pages == MAP_FAILED || munmap(pages + 4096, 4096))
		_exit(1);
	for (int i = 0; i < SPELLINGS; i++) {
		char *end;

		spell(spellings[i].text, path);
		end = pages + 4096 - strlen(path) - 1;
		memcpy(end, path, strlen(path) + 1);
		note(3 * i, syscall(SYS_openat, AT_FDCWD, end, O_RDONLY));
		if (chdir("/"))
			_exit(2);
		note(3 * i + 1, syscall(SYS_openat, here, path, O_RDONLY));
		if (fchdir(here))
			_exit(3);
		note(3 * i + 2, syscall(SYS_renameat, here, "other", AT_FDCWD, path));
	}
	memset(path, 'a', BIG);
	path[BIG] = '\0';
	note(3 * SPELLINGS, syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
	note(3 * SPELLINGS + 1, syscall(SYS_openat, AT_FDCWD, NULL, O_RDONLY));
	note(3 * SPELLINGS + 2, syscall(SYS_openat, 99, "gpu0", O_RDONLY));
	munmap(pages, 4096);
	close(here);
	return 0;
}

START_TEST(paths_are_found_however_spelled)
{
	static const char *const calls[] = {"openat", "renameat", NULL};
	char gpu[PATH_MAX + 8], star[PATH_MAX + 8];
	const char *const paths[] = {gpu, star, NULL};
	const struct syscall_rule rule = {.calls = calls,
					  .action = SYSCALL_ERROR,
					  .error = ENOTNAM,
					  .place = SYSCALL_EVERYWHERE,
					  .paths = paths};
	struct syscalls *syscalls = filtered_open(&arena, NULL, calls);

	snprintf(gpu, sizeof(gpu), "%s/gpu0", folder);
	snprintf(star, sizeof(star), "%s/star*", folder);
	filtered_rule(syscalls, &rule);
	run(syscalls_launch(syscalls, 0), open_spellings, NULL);
	for (int i = 0; i < SPELLINGS; i++)
		for (int way = 0; way < 3; way++)
			ck_assert_msg((notes[3 * i + way] == ENOTNAM) == spellings[i].hit,
				      "'%s' %d: %s", spellings[i].text, way,
				      strerror(notes[3 * i + way]));
	ck_assert_int_eq(notes[3 * SPELLINGS], ENAMETOOLONG);
	ck_assert_int_eq(notes[3 * SPELLINGS + 1], EFAULT);
	ck_assert_int_eq(notes[3 * SPELLINGS + 2], EBADF);
	syscalls_close(syscalls);
}
END_TEST

/* ---- descriptors ---- */

enum {
	ON_FILE,
	ON_GONE,
	ON_SOCKET,
	ON_PIPE,
	ON_NULL,
	ON_EVENT,
	ON_MEMORY,
	ON_PROC,
	ON_COUNT
};

static void open_kinds(int fds[ON_COUNT])
{
	int ends[2];

	fds[ON_FILE] = open("file", O_RDWR | O_CREAT, 0600);
	fds[ON_GONE] = open("gone", O_RDWR | O_CREAT, 0600);
	unlink("gone");
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
	fds[ON_SOCKET] = ends[0];
	fds[ON_PIPE] = pipe2(ends, O_NONBLOCK) ? -1 : ends[0];
	fds[ON_NULL] = open("/dev/null", O_RDWR);
	fds[ON_EVENT] = eventfd(0, EFD_NONBLOCK);
	fds[ON_MEMORY] = memfd_create("drsim-test", 0);
	fds[ON_PROC] = open("/proc/self/maps", O_RDONLY);
}

static int read_kinds(void *self)
{
	int fds[ON_COUNT];
	struct stat status;
	char byte;

	(void)self;
	open_kinds(fds);
	for (int i = 0; i < ON_COUNT; i++) {
		note(2 * i, syscall(SYS_read, fds[i], &byte, 1));
		note(2 * i + 1, syscall(SYS_newfstatat, fds[i], "", &status, AT_EMPTY_PATH));
	}
	note(2 * ON_COUNT, syscall(SYS_read, 99, &byte, 1));
	return 0;
}

static const char *const proc_paths[] = {"/proc/", NULL};
static const char *here_paths[] = {NULL, NULL}; /* the folder; filled in setup_kinds() */

static const struct kinds_case {
	uint32_t kinds;
	bool runtime;
	const char *const *paths;
	const char *hit; /* of ON_FILE … ON_PROC */
} kinds_cases[] = {
	{0, false, NULL, "xxx.x..."},
	{SYSCALL_PIPE, false, NULL, "...x...."},
	{SYSCALL_OTHER, false, NULL, ".....xx."},
	{SYSCALL_SOCKET | SYSCALL_DEVICE, false, NULL, "..x.x..."},
	{0, true, NULL, "xxx.x..x"},
	{0, false, proc_paths, ".......x"},
	{0, false, here_paths, "xx......"},
	{SYSCALL_PIPE, false, here_paths, "........"},
	{31, true, NULL, "xxxxxxxx"},
};

START_TEST(descriptors_are_told_apart)
{
	static const char *const calls[] = {"read", "newfstatat", NULL};
	const struct kinds_case *c = &kinds_cases[_i];
	const struct syscall_rule rule = {.calls = calls,
					  .action = SYSCALL_ERROR,
					  .error = ENOTNAM,
					  .place = SYSCALL_EVERYWHERE,
					  .paths = c->paths,
					  .kinds = c->kinds,
					  .runtime = c->runtime};
	struct syscalls *syscalls = filtered_open(&arena, NULL, calls);

	here_paths[0] = folder;
	filtered_rule(syscalls, &rule);
	run(syscalls_launch(syscalls, 0), read_kinds, NULL);
	for (int i = 0; i < 2 * ON_COUNT; i++)
		ck_assert_msg((notes[i] == ENOTNAM) == (c->hit[i / 2] == 'x'), "%d %d: %s", i / 2,
			      i % 2, strerror(notes[i]));
	/* The cheapest rule does not look. */
	ck_assert_int_eq(notes[2 * ON_COUNT], c->kinds == 31 ? ENOTNAM : EBADF);
	syscalls_close(syscalls);
}
END_TEST

static int load_libraries(void *self)
{
	static const char *const names[] = {"libm.so.6", "plugin.so", "libx.so.1.22",
					    "a.sound",   "b.so.txt",  NULL};
	char path[PATH_MAX + 16];

	(void)self;
	for (int i = 0; names[i]; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		note(i, syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
	}
	note(5, syscall(SYS_openat, AT_FDCWD, "/etc/ld.so.cache", O_RDONLY));
	note(6, syscall(SYS_openat, AT_FDCWD, "/sys/kernel", O_RDONLY));
	return 0;
}

START_TEST(libraries_are_spared)
{
	static const char *const calls[] = {"openat", NULL};
	const struct syscall_rule rule = {.calls = calls,
					  .action = SYSCALL_ERROR,
					  .error = ENOTNAM,
					  .place = SYSCALL_EVERYWHERE};
	struct syscalls *syscalls = filtered_open(&arena, NULL, calls);
	static const bool hit[] = {false, false, false, true, true, false, false};

	filtered_rule(syscalls, &rule);
	run(syscalls_launch(syscalls, 0), load_libraries, NULL);
	for (int i = 0; i < 7; i++)
		ck_assert_msg((notes[i] == ENOTNAM) == hit[i], "%d: %s", i, strerror(notes[i]));
	syscalls_close(syscalls);
}
END_TEST

/* ---- arguments ---- */

static int write_offsets(void *self)
{
	int fd = *(const int *)self;

	for (int i = 0; i < 16; i++)
		note(i, syscall(SYS_pwrite64, fd, "abc", (size_t)i % 4, (off_t)i << 33));
	return 0;
}

START_TEST(arguments_are_compared)
{
	static const char *const names[] = {"pwrite64", NULL};
	/* The kernel asks for those of 3 bytes and of 2 at an offset from 8 << 33 on. */
	const struct syscall_compare three = {.argument = 2, .value = 3};
	const struct syscall_compare two[] = {
		{.argument = 2, .value = 0x2, .mask = 0xffffffff},
		{.argument = 3, .op = SYSCALL_GREATER_EQUAL, .value = (uint64_t)8 << 33}};
	const struct syscall_call calls[] = {{"pwrite64", &three, 1}, {"pwrite64", two, 2}};
	const struct syscall_filter_config config = {.calls = calls, .call_count = 2};
	const struct syscall_compare not_last[] = {
		{.argument = 3, .op = SYSCALL_NOT_EQUAL, .value = (uint64_t)15 << 33},
		{.argument = 2, .op = SYSCALL_LESS, .value = 5, .mask = 7}};
	const struct syscall_rule rule = {.calls = names,
					  .action = SYSCALL_ERROR,
					  .error = ENOTNAM,
					  .place = SYSCALL_EVERYWHERE,
					  .compares = not_last,
					  .compare_count = 2};
	int fd = open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	const struct syscall_filter *filter;
	struct syscalls *syscalls;
	struct error e = {0};

	ck_assert_msg(syscall_filter_make(&config, &arena, &filter, &e) == 0, "%s", e.text);
	ck_assert_int_eq(syscalls_open(filter, NULL, &arena, &syscalls, &e), 0);
	filtered_rule(syscalls, &rule);
	run(syscalls_launch(syscalls, 0), write_offsets, &fd);
	/* 3, 7, 11, 15 and 10, 14 are asked about; 15 is not hit. */
	ck_assert_uint_eq(syscalls_sum(syscalls).asked, 6);
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(notes[i] == ENOTNAM,
				 i == 3 || i == 7 || i == 11 || i == 10 || i == 14);
	syscalls_close(syscalls);
	close(fd);
}
END_TEST

/* ---- what is done, and how often ---- */

static int count_parents(void *self)
{
	int count = *(const int *)self;

	for (int i = 0; i < count; i++)
		note(i, syscall(SYS_getppid));
	return 0;
}

static const char *const getppid_calls[] = {"getppid", NULL};

START_TEST(the_right_ones_are_hit)
{
	const struct syscall_rule rules[] = {
		{.calls = getppid_calls,
		 .error = ENOTNAM,
		 .place = 1,
		 .when = {3, 11, 2},
		 .limit = 4},
		{.calls = getppid_calls, .error = EXDEV, .place = 1, .when = {2, 4, 1}},
		{.calls = getppid_calls, .error = EDOM, .place = 2},
	};
	static const int expected[14] = {0, 0, ENOTNAM, EXDEV, ENOTNAM, EXDEV, ENOTNAM, 0, ENOTNAM};
	struct syscalls *syscalls = filtered_open(&arena, NULL, getppid_calls);
	int count = 14;
	uint32_t first = filtered_rule(syscalls, &rules[0]),
		 second = filtered_rule(syscalls, &rules[1]);

	filtered_rule(syscalls, &rules[2]);
	run(syscalls_launch(syscalls, 1), count_parents, &count);
	/* The second rule does not see what the first has. Its second call is number 2, its fourth
	 * number 6. */
	for (int i = 0; i < count; i++)
		ck_assert_msg(notes[i] == (i == 1 ? EXDEV : expected[i]), "%d: %s", i,
			      strerror(notes[i]));
	ck_assert_uint_eq(syscalls_counts(syscalls, first).matched, 14);
	ck_assert_uint_eq(syscalls_counts(syscalls, first).acted, 4);
	ck_assert_uint_eq(syscalls_counts(syscalls, second).matched, 10);
	ck_assert_uint_eq(syscalls_counts(syscalls, second).acted, 3);
	run(syscalls_launch(syscalls, 2), count_parents, &count);
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(notes[i], EDOM);
	/* Counted from the last switching on; what it had stays. */
	syscalls_switch(syscalls, first, false);
	syscalls_switch(syscalls, first, true);
	syscalls_switch(syscalls, first, true);
	run(syscalls_launch(syscalls, 1), count_parents, &count);
	ck_assert_int_eq(notes[2], ENOTNAM);
	ck_assert_uint_eq(syscalls_counts(syscalls, first).acted, 8);
	syscalls_close(syscalls);
}
END_TEST

static int chance_of(uint64_t seed, uint64_t entity, char ret[401])
{
	const struct syscall_rule rule = {.calls = getppid_calls,
					  .error = EXDEV,
					  .place = SYSCALL_EVERYWHERE,
					  .ppm = 250000,
					  .seed = seed,
					  .entity = entity};
	struct syscalls *syscalls = filtered_open(&arena, NULL, getppid_calls);
	int count = 400, hit = 0;

	filtered_rule(syscalls, &rule);
	run(syscalls_launch(syscalls, 0), count_parents, &count);
	for (int i = 0; i < count; i++) {
		ret[i] = notes[i] == EXDEV ? 'x' : '.';
		hit += notes[i] == EXDEV;
	}
	ret[count] = '\0';
	syscalls_close(syscalls);
	return hit;
}

START_TEST(chance_is_seeded)
{
	char one[401], again[401], other[401], another[401];
	int hit = chance_of(7, 1, one);

	/* 100 of 400, five deviations. */
	ck_assert_int_gt(hit, 56);
	ck_assert_int_lt(hit, 144);
	chance_of(7, 1, again);
	chance_of(8, 1, other);
	chance_of(7, 2, another);
	ck_assert_str_eq(one, again);
	ck_assert_str_ne(one, other);
	ck_assert_str_ne(one, another);
}
END_TEST

static int return_value(void *self)
{
	int64_t value = *(const int64_t *)self;

	return syscall(SYS_getppid) == value ? 0 : 1;
}

START_TEST(any_value_is_returned)
{
	static const int64_t values[] = {0, 42, INT64_MAX, INT64_MIN, -4096};
	int64_t value = values[_i];
	const struct syscall_rule rule = {.calls = getppid_calls,
					  .action = SYSCALL_RETVAL,
					  .value = value,
					  .place = SYSCALL_EVERYWHERE};
	struct syscalls *syscalls = filtered_open(&arena, NULL, getppid_calls);

	filtered_rule(syscalls, &rule);
	run(syscalls_launch(syscalls, 0), return_value, &value);
	syscalls_close(syscalls);
}
END_TEST

/* One process of two that run the same. */
static int ask_when_told(void *self)
{
	int *ends = self;
	char byte;

	if (read(ends[0], &byte, 1) != 1)
		return 2;
	return syscall(SYS_getppid) == -1;
}

START_TEST(one_process_is_meant)
{
	struct syscalls *syscalls = filtered_open(&arena, NULL, getppid_calls);
	struct syscall_rule rule = {.calls = getppid_calls, .error = EXDEV};
	int pipes[2][2];
	pid_t pids[2];

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe2(pipes[i], O_CLOEXEC), 0);
		pids[i] = filtered_fork(syscalls_launch(syscalls, 0), ask_when_told, pipes[i]);
	}
	rule.process = pids[1];
	filtered_rule(syscalls, &rule);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(write(pipes[i][1], "x", 1), 1);
		ck_assert_int_eq(filtered_wait(pids[i], END_MS), i);
	}
	syscalls_close(syscalls);
}
END_TEST

/* ---- time ---- */

static int take_time(void *self)
{
	int64_t begin = program_clock();

	(void)self;
	note(0, syscall(SYS_getppid));
	notes[1] = (int)((program_clock() - begin) / 1000000);
	note(2, syscall(SYS_getppid));
	return 0;
}

static int never_held(void *self)
{
	int count = NOTES_MAX - 10;

	(void)self;
	for (int i = 0; i < count; i++)
		if (syscall(SYS_getppid) == -1)
			return 1;
	return 0;
}

static bool is_held(struct syscalls *syscalls, uint32_t rule, uint32_t count, int ms)
{
	int64_t end = program_clock() + (int64_t)ms * 1000000;

	while (syscalls_counts(syscalls, rule).held != count) {
		if (program_clock() > end)
			return false;
		program_pause(1);
	}
	return true;
}

START_TEST(delays_hold_nobody_else)
{
	const struct syscall_rule rules[] = {
		{.calls = getppid_calls,
		 .action = SYSCALL_DELAY,
		 .delay = 60 * NANOS_MS,
		 .place = 1,
		 .limit = 1},
		{.calls = getppid_calls,
		 .error = EIO,
		 .delay = 30 * NANOS_MS,
		 .place = 2,
		 .limit = 1},
	};
	struct syscalls *syscalls = filtered_open(&arena, NULL, getppid_calls);
	uint32_t delay = filtered_rule(syscalls, &rules[0]),
		 error = filtered_rule(syscalls, &rules[1]);
	pid_t held = filtered_fork(syscalls_launch(syscalls, 1), take_time, NULL);

	ck_assert(is_held(syscalls, delay, 1, END_MS));
	run(syscalls_launch(syscalls, 3), never_held, NULL);
	ck_assert_int_eq(filtered_wait(held, END_MS), 0);
	ck_assert_int_eq(notes[0], 0);
	ck_assert_int_ge(notes[1], 60);
	ck_assert_uint_eq(syscalls_counts(syscalls, delay).acted, 1);
	run(syscalls_launch(syscalls, 2), take_time, NULL);
	ck_assert_int_eq(notes[0], EIO);
	ck_assert_int_ge(notes[1], 30);
	ck_assert_int_eq(notes[2], 0);
	ck_assert_uint_eq(syscalls_counts(syscalls, error).acted, 1);
	syscalls_close(syscalls);
}
END_TEST

START_TEST(what_hangs_is_lifted)
{
	const struct syscall_rule rules[] = {
		{.calls = getppid_calls, .action = SYSCALL_HANG, .place = 1},
		{.calls = getppid_calls, .error = EIO, .delay = NANOS_MINUTE, .place = 2},
		{.calls = getppid_calls,
		 .action = SYSCALL_HANG,
		 .place = 3,
		 .lease = 50 * NANOS_MS},
	};
	struct syscalls *syscalls = filtered_open(&arena, NULL, getppid_calls);
	uint32_t numbers[3];
	pid_t pids[4];

	for (int i = 0; i < 3; i++)
		numbers[i] = filtered_rule(syscalls, &rules[i]);
	for (int i = 0; i < 3; i++)
		pids[i] = filtered_fork(syscalls_launch(syscalls, i < 2 ? 1 : 2), take_time, NULL);
	ck_assert(is_held(syscalls, numbers[0], 2, END_MS));
	ck_assert(is_held(syscalls, numbers[1], 1, END_MS));
	/* A signal that ends a program ends it there too. */
	kill(pids[0], SIGTERM);
	ck_assert_int_eq(filtered_wait(pids[0], END_MS), -1);
	ck_assert(is_held(syscalls, numbers[0], 1, END_MS));
	ck_assert_int_eq(filtered_wait(pids[1], 20), -2);
	syscalls_switch(syscalls, numbers[0], false);
	ck_assert_int_eq(filtered_wait(pids[1], END_MS), 0);
	/* What would have failed has not. */
	syscalls_switch(syscalls, numbers[1], false);
	ck_assert_int_eq(filtered_wait(pids[2], END_MS), 0);
	ck_assert_int_eq(notes[0], 0);
	ck_assert_uint_eq(syscalls_counts(syscalls, numbers[1]).acted, 0);
	/* Nobody renews it. */
	syscalls_switch(syscalls, numbers[2], true);
	pids[3] = filtered_fork(syscalls_launch(syscalls, 3), take_time, NULL);
	ck_assert_int_eq(filtered_wait(pids[3], END_MS), 0);
	ck_assert(!syscalls_counts(syscalls, numbers[2]).on);
	/* Also the supervisor's own end lifts. */
	syscalls_switch(syscalls, numbers[0], true);
	pids[0] = filtered_fork(syscalls_launch(syscalls, 1), never_held, NULL);
	ck_assert(is_held(syscalls, numbers[0], 1, END_MS));
	kill(pids[0], SIGKILL);
	ck_assert_int_eq(filtered_wait(pids[0], END_MS), -1);
	ck_assert(is_held(syscalls, numbers[0], 0, END_MS));
	syscalls_close(syscalls);
}
END_TEST

/* ---- the calls of the start itself ---- */

static int fail_marked(void *self)
{
	char *const argv[] = {(char *)(uintptr_t) "/bin/true", NULL};
	char byte;
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	struct msghdr message = {0};

	(void)self;
	note(0, read(fd, &byte, 1));
	note(1, write(fd, "x", 1));
	note(2, sendmsg(fd, &message, 0));
	note(3, execve(argv[0], argv, argv + 1));
	note(4, close(fd));
	return 0;
}

START_TEST(a_start_is_never_hit)
{
	static const char *const calls[] = {"read", "write", "sendmsg", "execve", "close", NULL};
	const struct syscall_rule rule = {.calls = calls,
					  .error = ENOTNAM,
					  .place = SYSCALL_EVERYWHERE,
					  .kinds = 31,
					  .runtime = true,
					  .limit = 5};
	const char *const argv[] = {"/bin/true", NULL};
	struct syscalls *syscalls = filtered_open(&arena, NULL, calls);
	uint32_t number = filtered_rule(syscalls, &rule);

	run(syscalls_launch(syscalls, 0), fail_marked, NULL);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(notes[i], ENOTNAM);
	ck_assert_uint_eq(syscalls_counts(syscalls, number).acted, 5);
	ck_assert_int_eq(
		filtered_wait(filtered_start(syscalls_launch(syscalls, 0), argv, -1, false),
			      END_MS),
		0);
	/* Those of no program are forgotten. */
	for (int i = 0; i < 1000 && syscalls_sum(syscalls).listeners > 0; i++)
		program_pause(5);
	ck_assert_uint_eq(syscalls_sum(syscalls).listeners, 0);
	syscalls_close(syscalls);
}
END_TEST

static int set_up_uring(void *self)
{
	(void)self;
	note(0, syscall(SYS_io_uring_setup, 0, NULL));
	return 0;
}

START_TEST(io_uring_can_be_denied)
{
	const struct syscall_call call = {.name = "getppid"};
	const struct syscall_filter_config config = {
		.calls = &call, .call_count = 1, .no_io_uring = _i == 1};
	const struct syscall_filter *filter;
	struct syscalls *syscalls;
	struct error e = {0};

	ck_assert_int_eq(syscall_filter_make(&config, &arena, &filter, &e), 0);
	ck_assert_int_eq(syscalls_open(filter, NULL, &arena, &syscalls, &e), 0);
	run(syscalls_launch(syscalls, 0), set_up_uring, NULL);
	if (_i == 1)
		ck_assert_int_eq(notes[0], ENOSYS);
	else if (notes[0] == ENOSYS || notes[0] == EPERM)
		printf("io_uring: skipped, this kernel has none for us\n");
	else
		ck_assert_int_eq(notes[0], EFAULT);
	ck_assert_uint_eq(syscalls_sum(syscalls).asked, 0);
	syscalls_close(syscalls);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	struct error e = {0};
	bool sync;

	if (syscall_probe(&sync, &e)) {
		printf("syscall: skipped: %s\n", e.text);
		exit(0);
	}
	add(suite, "paths", paths_are_found_however_spelled, 1);
	add(suite, "kinds", descriptors_are_told_apart,
	    sizeof(kinds_cases) / sizeof(kinds_cases[0]));
	add(suite, "libraries", libraries_are_spared, 1);
	add(suite, "arguments", arguments_are_compared, 1);
	add(suite, "which", the_right_ones_are_hit, 1);
	add(suite, "chance", chance_is_seeded, 1);
	add(suite, "retval", any_value_is_returned, 5);
	add(suite, "process", one_process_is_meant, 1);
	add(suite, "delay", delays_hold_nobody_else, 1);
	add(suite, "hang", what_hangs_is_lifted, 1);
	add(suite, "start", a_start_is_never_hit, 1);
	add(suite, "io_uring", io_uring_can_be_denied, 2);
}

TEST_MAIN("syscall", add_cases)
