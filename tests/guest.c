/* SPDX-License-Identifier: Apache-2.0 */
/* Tests in an emulated guest: both sides of it. */
#include "tests/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/program.h"
#include "tests/workplace.h"

#define EMULATOR "qemu-system-x86_64"
#define GUEST_MEMORY "384"
#define GUEST_MS 240000
#define LINE_MAX_BYTES 1024
#define NAMES_MAX 256

static const struct guest_plan *plan;

/* ---- in the guest: its suite ---- */

static void enter(void)
{
	workplace_enter("guest");
}

void guest_add_loop(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, enter, workplace_leave);
	tcase_add_loop_test(tcase, test, 0, count);
	tcase_set_timeout(tcase, GUEST_MS / 1000.0 + 20);
	suite_add_tcase(suite, tcase);
}

void guest_add(Suite *suite, const char *name, const TTest *test)
{
	guest_add_loop(suite, name, test, 1);
}

/* ---- in the guest: its first process ---- */

static void load_module(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/modules/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		printf("module %s: %s\n", name, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static int be_guest(void)
{
	int rc;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("tmp", "/tmp", "tmpfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (const char *const *module = plan->modules; *module; module++)
		load_module(*module);
	setenv("DRSIM", access("/drsim", X_OK) == 0 ? "/drsim" : "/init", 1);
	setenv("CK_VERBOSITY", "normal", 1);
	rc = test_main(plan->name, plan->add_cases);
	printf("guest ends: %d\n", rc);
	fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT); /* the emulator was told not to */
	return rc;
}

/* ---- on the host: the initial file system, as the kernel's "newc" archive ---- */

struct guest_archive {
	FILE *out;
	unsigned number;
	size_t bytes;
	char *names[NAMES_MAX]; /* of files, each packed once */
	size_t name_count;
};

static void pad(struct guest_archive *archive)
{
	for (; archive->bytes % 4; archive->bytes++)
		fputc(0, archive->out);
}

static void put_entry(struct guest_archive *archive, const char *name, unsigned mode,
		      const void *data, size_t size, unsigned major, unsigned minor)
{
	int length =
		fprintf(archive->out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			++archive->number, mode, 0U, 0U, 1U, 0U, (unsigned)size, 0U, 0U, major,
			minor, (unsigned)strlen(name) + 1, 0U);

	ck_assert_int_eq(length, 110);
	fwrite(name, 1, strlen(name) + 1, archive->out);
	archive->bytes += (size_t)length + strlen(name) + 1;
	pad(archive);
	if (size)
		fwrite(data, 1, size, archive->out);
	archive->bytes += size;
	pad(archive);
}

/* The folders above it, each time: the kernel takes a second one as it is. */
static void put_folders(struct guest_archive *archive, const char *name)
{
	char path[PATH_MAX];

	for (const char *at = strchr(name, '/'); at; at = strchr(at + 1, '/')) {
		snprintf(path, sizeof(path), "%.*s", (int)(at - name), name);
		put_entry(archive, path, S_IFDIR | 0755, NULL, 0, 0, 0);
	}
}

/* Was it packed already? Then not again. */
static bool is_packed(struct guest_archive *archive, const char *name)
{
	for (size_t i = 0; i < archive->name_count; i++)
		if (strcmp(archive->names[i], name) == 0)
			return true;
	ck_assert_uint_lt(archive->name_count, NAMES_MAX);
	archive->names[archive->name_count++] = strdup(name);
	return false;
}

bool guest_put_file(struct guest_archive *archive, const char *path, const char *name)
{
	FILE *in = fopen(path, "rbe");
	struct stat status;
	void *data;
	bool whole;

	if (!in || fstat(fileno(in), &status)) {
		if (in)
			fclose(in);
		return false;
	}
	data = malloc((size_t)status.st_size);
	whole = data && fread(data, 1, (size_t)status.st_size, in) == (size_t)status.st_size;
	fclose(in);
	if (whole && !is_packed(archive, name)) {
		put_folders(archive, name);
		put_entry(archive, name, S_IFREG | 0755, data, (size_t)status.st_size, 0, 0);
	}
	free(data);
	return whole;
}

/* All that this program has loaded, at the path where it found it. */
static int put_library(struct dl_phdr_info *info, size_t size, void *self)
{
	(void)size;
	if (info->dlpi_name[0] == '/')
		ck_assert(guest_put_file(self, info->dlpi_name, info->dlpi_name + 1));
	return 0;
}

/* The dynamic linker's own list: "\tlibz.so.1 => /lib/libz.so.1 (0x…)", or the path at once. */
static void put_libraries(struct guest_archive *archive, FILE *list)
{
	char line[PATH_MAX + 64];

	while (fgets(line, sizeof(line), list)) {
		char *path = strchr(line, '/'), *end = path ? strstr(path, " (") : NULL;

		if (!end)
			continue;
		*end = '\0';
		ck_assert_msg(guest_put_file(archive, path, path + 1), "%s", path);
	}
}

bool guest_put_program(struct guest_archive *archive, const char *path, const char *name)
{
	char own[PATH_MAX], *const argv[] = {own, NULL};
	char trace[] = "LD_TRACE_LOADED_OBJECTS=1", *const environment[] = {trace, NULL};
	int ends[2], status = 0;
	FILE *list;
	pid_t pid;

	if (!guest_put_file(archive, path, name))
		return false;
	snprintf(own, sizeof(own), "%s", path);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execve(path, argv, environment);
		_exit(127);
	}
	close(ends[1]);
	list = fdopen(ends[0], "r");
	ck_assert_ptr_nonnull(list);
	put_libraries(archive, list);
	fclose(list);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void put_all(struct guest_archive *archive, const char *folder)
{
	static const char *const folders[] = {"proc", "sys", "tmp", "dev"};
	char from[PATH_MAX + 64], name[64];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		put_entry(archive, folders[i], S_IFDIR | 0755, NULL, 0, 0, 0);
	put_entry(archive, "dev/console", S_IFCHR | 0600, NULL, 0, 5, 1);
	put_entry(archive, "dev/null", S_IFCHR | 0666, NULL, 0, 1, 3);
	plan->pack(archive);
	ck_assert(guest_put_file(archive, "/proc/self/exe", "init"));
	dl_iterate_phdr(put_library, archive);
	for (const char *const *module = plan->modules; *module; module++) {
		snprintf(from, sizeof(from), "%s/%s.ko", folder, *module);
		snprintf(name, sizeof(name), "modules/%s.ko", *module);
		if (!guest_put_file(archive, from, name))
			printf("guest: no module %s\n", *module);
	}
	put_entry(archive, "TRAILER!!!", 0, NULL, 0, 0, 0);
	for (size_t i = 0; i < archive->name_count; i++)
		free(archive->names[i]);
}

/* ---- on the host: the guest ---- */

static int start_guest(const char *kernel, pid_t *ret_pid)
{
	static const char line[] = "console=ttyS0 quiet panic=-1 rdinit=/init";
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	*ret_pid = fork();
	if (*ret_pid == 0) {
		/* Its time counts its instructions: a busy host makes it longer, not later. */
		const char *const argv[] = {
			EMULATOR,     "-accel", "tcg",     "-icount",    "shift=2,sleep=off",
			"-cpu",       "qemu64", "-m",      GUEST_MEMORY, "-nographic",
			"-no-reboot", "-net",   "none",    "-kernel",    kernel,
			"-initrd",    "initrd", "-append", line,         NULL};
		int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

		dup2(nothing, STDIN_FILENO);
		dup2(ends[1], STDOUT_FILENO);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(ends[1]);
	return ends[0];
}

struct guest {
	char line[LINE_MAX_BYTES];
	size_t length;
	bool passed, ended;
};

static void take_line(struct guest *guest)
{
	char passed[64];

	guest->line[guest->length] = '\0';
	guest->length = 0;
	if (*guest->line)
		printf("guest: %s\n", guest->line);
	fflush(stdout); /* what a test that fails has written is lost else */
	snprintf(passed, sizeof(passed), "100%%: Checks: %d, Failures: 0, Errors: 0", plan->checks);
	if (strstr(guest->line, passed))
		guest->passed = true;
	if (strcmp(guest->line, "guest ends: 0") == 0)
		guest->ended = true;
}

static void take_bytes(struct guest *guest, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n' || guest->length == sizeof(guest->line) - 1)
			take_line(guest);
		else if (bytes[i] >= ' ')
			guest->line[guest->length++] = bytes[i];
	}
}

/* Until it has switched itself off, or for GUEST_MS. */
static void watch_guest(struct guest *guest, int fd)
{
	struct pollfd row = {.fd = fd, .events = POLLIN};
	int64_t begin = program_clock();
	char bytes[4096];

	while (program_clock() - begin < GUEST_MS * NANOS_MS) {
		ssize_t got;

		if (poll(&row, 1, 1000) == 0)
			continue;
		got = read(fd, bytes, sizeof(bytes));
		if (got <= 0)
			break;
		take_bytes(guest, bytes, (size_t)got);
	}
	take_line(guest);
	printf("guest: ran for %.1f s\n", (double)(program_clock() - begin) / (double)NANOS_S);
}

/* Where ci/deps.sh --guest has put the kernel: beside the folder of this build. */
static bool find_kernel(char kernel[PATH_MAX], char folder[PATH_MAX])
{
	const char *build = getenv("DRSIM_BUILD");

	snprintf(folder, PATH_MAX, "%s/../guest", build ? build : "build/release");
	if (!realpath(folder, kernel))
		return false;
	snprintf(folder, PATH_MAX, "%s", kernel);
	strncat(kernel, "/vmlinuz", PATH_MAX - strlen(kernel) - 1);
	return access(kernel, R_OK) == 0;
}

static bool has_emulator(void)
{
	char path[PATH_MAX];

	for (const char *at = getenv("PATH"); at && *at; at += strcspn(at, ":")) {
		at += *at == ':';
		snprintf(path, sizeof(path), "%.*s/%s", (int)strcspn(at, ":"), at, EMULATOR);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

START_TEST(in_guest)
{
	char kernel[PATH_MAX], folder[PATH_MAX];
	struct guest guest = {.length = 0};
	struct guest_archive archive = {.number = 0};
	int status = 0, fd;
	pid_t pid;

	if (!has_emulator() || !find_kernel(kernel, folder)) {
		printf("skipped: guest: no %s (ci/deps.sh --guest brings both)\n",
		       has_emulator() ? "kernel for it" : EMULATOR);
		return;
	}
	workplace_enter("guest");
	archive.out = fopen("initrd", "wbe");
	ck_assert_ptr_nonnull(archive.out);
	put_all(&archive, folder);
	ck_assert_int_eq(fclose(archive.out), 0);
	printf("guest: %s, initial file system of %.1f MB\n", kernel, (double)archive.bytes / 1e6);
	fd = start_guest(kernel, &pid);
	watch_guest(&guest, fd);
	kill(pid, SIGKILL); /* nothing when it has ended; nobody else has waited for it */
	waitpid(pid, &status, 0);
	close(fd);
	workplace_leave();
	ck_assert(guest.passed && guest.ended);
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *tcase = tcase_create(plan->name);

	tcase_add_test(tcase, in_guest);
	tcase_set_timeout(tcase, GUEST_MS / 1000.0 + 30);
	suite_add_tcase(suite, tcase);
}

int guest_main(const struct guest_plan *own)
{
	plan = own;
	return getpid() == 1 ? be_guest() : test_main(plan->name, add_cases);
}
