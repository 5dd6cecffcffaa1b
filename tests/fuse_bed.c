/* SPDX-License-Identifier: Apache-2.0 */
/* The bed of the tests of the FUSE layer. */
#include "tests/fuse_bed.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "tests/workplace.h"

struct fuse_layer *bed_layer;
struct arena bed_arena;
struct error bed_error;
char bed_data[BED_PATH_MAX];

static struct journal *journal;
static uint64_t digest;

static void must(int rc)
{
	ck_assert_msg(rc == 0, "%s", bed_error.text);
}

/* Own mounts; the folder below is a tmpfs: nothing of it outlives the test. */
static bool own_mounts(void)
{
	const char *why;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bed", bed_data, "tmpfs", 0, "size=256m")) {
		printf("skipped: layers: not root, or no mounts of its own: %s\n", strerror(errno));
		return false;
	}
	if (fuse_layer_probe(&bed_arena, &why))
		return true;
	printf("skipped: layers: %s\n", why);
	return false;
}

void bed_setup(void)
{
	struct fuse_layer_config config = {.name = "bed", .below = bed_data, .seed = 42, .cpu = -1};
	char here[BED_PATH_MAX - 64];

	bed_layer = NULL;
	bed_arena = (struct arena){0};
	bed_error = (struct error){0};
	workplace_enter("layer");
	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	snprintf(bed_data, sizeof(bed_data), "%s/the data", here);
	ck_assert_int_eq(mkdir(bed_data, 0700), 0);
	if (!own_mounts())
		return;
	must(journal_open("bed", &bed_arena, &journal, &bed_error));
	must(fuse_layer_open(&config, &bed_arena, &bed_layer, &bed_error));
	must(fuse_layer_mount(bed_layer, bed_data, journal, &bed_error));
}

void bed_close(void)
{
	if (bed_layer)
		must(fuse_layer_close(bed_layer, &bed_error));
	bed_layer = NULL;
}

void bed_teardown(void)
{
	bool had = bed_layer != NULL;

	bed_close();
	if (had)
		ck_assert_uint_eq(journal_open_count(journal), 1); /* the work folder */
	umount2(bed_data, MNT_DETACH);
	arena_free(&bed_arena);
	workplace_leave();
}

const char *bed_above(const char *name)
{
	static char paths[4][BED_PATH_MAX + 256];
	static size_t at;

	at = (at + 1) % 4;
	snprintf(paths[at], sizeof(paths[at]), "%s/%s", bed_data, name);
	return paths[at];
}

const char *bed_below(const char *name)
{
	static char paths[4][512];
	static size_t at;

	at = (at + 1) % 4;
	snprintf(paths[at], sizeof(paths[at]), "%s/%s", fuse_layer_below(bed_layer), name);
	return paths[at];
}

uint32_t bed_set(const struct fuse_fault *fault)
{
	uint32_t number = 0;

	must(fuse_layer_set(bed_layer, fault, &number, &bed_error));
	return number;
}

void bed_end(uint32_t number)
{
	must(fuse_layer_end(bed_layer, number, &bed_error));
	ck_assert(!fuse_layer_stands(bed_layer, number));
}

struct fuse_counts bed_counts(uint32_t number)
{
	struct fuse_counts counts;

	fuse_layer_counts(bed_layer, number, &counts);
	return counts;
}

struct fuse_loss bed_crash(void)
{
	struct fuse_loss loss;

	must(fuse_layer_crash(bed_layer, &loss, &bed_error));
	return loss;
}

/* ---- files ---- */

static void mix(const void *bytes, size_t size)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < size; i++)
		digest = (digest ^ at[i]) * UINT64_C(0x100000001b3);
}

static int mix_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	static char block[1 << 16];
	uint64_t kept = digest;
	ssize_t got;
	int fd;

	(void)type;
	/* The order of a folder's names is no property of it. */
	digest = UINT64_C(0xcbf29ce484222325);
	if (place->level > 0)
		mix(path + place->base, strlen(path + place->base));
	mix(&status->st_mode, sizeof(status->st_mode));
	if (S_ISREG(status->st_mode)) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
		while ((got = read(fd, block, sizeof(block))) > 0)
			mix(block, (size_t)got);
		ck_assert_int_eq(got, 0);
		close(fd);
	} else if (S_ISLNK(status->st_mode)) {
		got = readlink(path, block, sizeof(block));
		mix(block, got > 0 ? (size_t)got : 0);
	}
	digest = kept + digest * (uint64_t)(place->level + 1);
	return 0;
}

uint64_t bed_digest(const char *folder)
{
	char path[BED_PATH_MAX + 2];

	/* Through a link, which the name of the folder below is. */
	snprintf(path, sizeof(path), "%s/.", folder);
	digest = 0;
	ck_assert_int_eq(nftw(path, mix_one, 16, FTW_PHYS), 0);
	return digest;
}

void bed_write(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

ssize_t bed_read(const char *path, void *bytes, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), kept;
	ssize_t got;

	if (fd < 0)
		return -1;
	got = read(fd, bytes, size);
	kept = errno;
	close(fd);
	errno = kept;
	return got;
}

/* ---- processes ---- */

/* As long as a process that does not run another program has the device open, the connection does
 * not end with the server. */
static void close_devices(void)
{
	for (int fd = 3; fd < 256; fd++) {
		char path[64], name[16] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, name, sizeof(name) - 1) > 0 && strcmp(name, "/dev/fuse") == 0)
			close(fd);
	}
}

pid_t bed_child(int (*run)(void *self), void *self)
{
	pid_t parent = getpid(), pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(99);
	close_devices();
	_exit(run(self));
}

int bed_wait(pid_t pid, int ms)
{
	nanos end = process_now() + ms * NANOS_MS;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (process_now() > end)
			return -1;
		process_pause(NANOS_MS);
	}
	return status;
}

struct run {
	const char *const *argv;
	int output;
};

static int run_it(void *self)
{
	const struct run *run = self;

	dup2(run->output, STDOUT_FILENO);
	dup2(run->output, STDERR_FILENO);
	execvp(run->argv[0], (char *const *)(uintptr_t)run->argv);
	return 127;
}

int bed_run(const char *const *argv, char *said, size_t size)
{
	size_t used = 0;
	int ends[2], status;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = bed_child(run_it, &(struct run){argv, ends[1]});
	close(ends[1]);
	while ((got = read(ends[0], said + used, size - 1 - used)) > 0)
		used += (size_t)got;
	said[used] = '\0';
	close(ends[0]);
	status = bed_wait(pid, 60000);
	ck_assert_int_ne(status, -1);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool bed_has(const char *program)
{
	char said[256];
	const char *argv[] = {program, "--version", NULL};

	if (bed_run(argv, said, sizeof(said)) == 0)
		return true;
	printf("skipped: %s is not installed\n", program);
	return false;
}
