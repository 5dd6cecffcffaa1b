/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backup and restore beside restic and borg: 1 GiB of model-like data, 5 % of it changed in runs of
 * 256 KiB, each tool in turn, as the programs that people start. Prints ratios of one run with
 * their spread. DRSIM_PEERS_ROUNDS (default 3), DRSIM_PEERS_BYTES (default 1 GiB).
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/param.h"
#include "tests/model_data.h"
#include "tests/workplace.h"

#define ROUNDS_MAX 15
#define MIB 1048576.0
#define WARM_BYTES ((size_t)5 << 30)

extern char **environ;

enum tool {
	DRSIM,
	RESTIC,
	BORG,
	TOOLS
};
enum phase {
	FULL,
	INCREMENTAL,
	RESTORE,
	PHASES
};

static const char *const tool_names[] = {"drsim", "restic", "borg (lz4)"};
static const char *const phase_names[] = {"full", "incremental", "restore"};

struct bench {
	char program[PATH_MAX], home[PATH_MAX];
	uint64_t bytes, changed;
	size_t rounds;
	bool there[TOOLS];
	double seconds[TOOLS][PHASES][ROUNDS_MAX];
	double stored[TOOLS][2][ROUNDS_MAX]; /* bytes of the repository, added by each backup */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "peers_backup: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Runs a program in `folder`; what it says goes to "log". Its exit code, or -1. */
static int run(const char *folder, const char *const *words)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status, rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "log", O_WRONLY | O_CREAT | O_APPEND, 0644);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	if (folder)
		posix_spawn_file_actions_addchdir_np(&actions, folder);
	rc = posix_spawnp(&pid, words[0], &actions, NULL, (char **)(uintptr_t)words, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (rc || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define RUN(folder, ...) run((folder), (const char *const[]){__VA_ARGS__, NULL})

static void must(int code, const char *what)
{
	if (code == 0)
		return;
	fprintf(stderr, "peers_backup: %s ended with %d\n", what, code);
	exit(1);
}

static double total; /* of nftw(), which has no argument of its own */

static int add_size(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)path;
	(void)at;
	if (type == FTW_F)
		total += (double)status->st_size;
	return 0;
}

static double size_of(const char *folder)
{
	total = 0;
	nftw(folder, add_size, 16, FTW_PHYS);
	return total;
}

/* ---- what each tool is told ---- */

static void init(const struct bench *bench, enum tool tool)
{
	(void)bench;
	switch (tool) {
	case DRSIM:
		return;
	case RESTIC:
		must(RUN(NULL, "restic", "-q", "-r", "restic.repo", "init"), "restic init");
		return;
	case BORG:
		must(RUN(NULL, "borg", "init", "-e", "none", "borg.repo"), "borg init");
		return;
	case TOOLS:
		return;
	}
}

static const char *repository(enum tool tool)
{
	static const char *const names[] = {"drsim.repo", "restic.repo", "borg.repo"};

	return names[tool];
}

static void backup(const struct bench *bench, enum tool tool, bool again)
{
	switch (tool) {
	case DRSIM:
		must(RUN(NULL, bench->program, "backup", "data", "drsim.repo", "--quiet"),
		     "drsim backup");
		return;
	case RESTIC:
		must(RUN(NULL, "restic", "-q", "-r", "restic.repo", "backup", "data"),
		     "restic backup");
		return;
	case BORG:
		must(RUN(NULL, "borg", "create", "-C", "lz4",
			 again ? "borg.repo::again" : "borg.repo::full", "data"),
		     "borg create");
		return;
	case TOOLS:
		return;
	}
}

static void restore(const struct bench *bench, enum tool tool)
{
	switch (tool) {
	case DRSIM:
		must(RUN(NULL, bench->program, "restore", "drsim.repo", "back", "--quiet"),
		     "drsim restore");
		return;
	case RESTIC:
		must(RUN(NULL, "restic", "-q", "-r", "restic.repo", "restore", "latest", "--target",
			 "back"),
		     "restic restore");
		return;
	case BORG:
		must(RUN("back", "borg", "extract", "../borg.repo::again"), "borg extract");
		return;
	case TOOLS:
		return;
	}
}

/* ---- one round ---- */

/* What others left to be written must not be waited for by the next. */
static double timed(const struct bench *bench, enum tool tool, enum phase phase)
{
	double begin;

	sync();
	begin = now();
	if (phase == RESTORE)
		restore(bench, tool);
	else
		backup(bench, tool, phase == INCREMENTAL);
	return now() - begin;
}

static void compare(enum tool tool)
{
	const char *path = tool == DRSIM ? "back/model.bin" : "back/data/model.bin";

	must(RUN(NULL, "cmp", "data/model.bin", path), "comparing what was restored");
}

static void round_of(struct bench *bench, size_t round)
{
	/* Each begins with the same data. */
	if (model_data_write("data/model.bin", bench->bytes, 7))
		die("data/model.bin");
	for (int i = 0; i < TOOLS; i++) {
		enum tool tool = (enum tool)((i + (int)round) % TOOLS);

		workplace_remove(repository(tool));
		if (!bench->there[tool])
			continue;
		init(bench, tool);
		bench->seconds[tool][FULL][round] = timed(bench, tool, FULL);
		bench->stored[tool][0][round] = size_of(repository(tool));
	}
	if (model_data_change("data/model.bin", 50000, 1000 + round, &bench->changed))
		die("data/model.bin");
	for (int i = 0; i < TOOLS; i++) {
		enum tool tool = (enum tool)((i + (int)round) % TOOLS);

		if (!bench->there[tool])
			continue;
		bench->seconds[tool][INCREMENTAL][round] = timed(bench, tool, INCREMENTAL);
		bench->stored[tool][1][round] =
			size_of(repository(tool)) - bench->stored[tool][0][round];
	}
	for (int i = 0; i < TOOLS; i++) {
		enum tool tool = (enum tool)((i + (int)round) % TOOLS);

		if (!bench->there[tool])
			continue;
		workplace_remove("back");
		if (mkdir("back", 0755))
			die("back");
		bench->seconds[tool][RESTORE][round] = timed(bench, tool, RESTORE);
		compare(tool);
	}
}

/* ---- what is printed ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(const double *values, size_t count)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), by_value);
	return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

static void print_phase(const struct bench *bench, enum phase phase)
{
	for (int tool = 0; tool < TOOLS; tool++) {
		double seconds = median(bench->seconds[tool][phase], bench->rounds);

		if (!bench->there[tool])
			continue;
		printf("%-12s %-11s %7.0f MiB/s", phase_names[phase], tool_names[tool],
		       (double)bench->bytes / MIB / seconds);
		if (phase != RESTORE)
			printf("  stored %6.0f MiB",
			       median(bench->stored[tool][phase], bench->rounds) / MIB);
		putchar('\n');
	}
}

/* Ratios of the same round, in which both had the same machine. */
static void print_ratio(const struct bench *bench, enum phase phase, enum tool peer, double goal)
{
	double ratios[ROUNDS_MAX], low, high;

	if (!bench->there[peer])
		return;
	for (size_t i = 0; i < bench->rounds; i++)
		ratios[i] = bench->seconds[peer][phase][i] / bench->seconds[DRSIM][phase][i];
	qsort(ratios, bench->rounds, sizeof(*ratios), by_value);
	low = ratios[0];
	high = ratios[bench->rounds - 1];
	printf("ratio: %s, drsim to %s: %.2f (%.2f to %.2f), wanted %.1f: %s\n", phase_names[phase],
	       tool_names[peer], median(ratios, bench->rounds), low, high, goal,
	       median(ratios, bench->rounds) >= goal ? "reached" : "missed");
}

static void print_all(const struct bench *bench)
{
	double stored = median(bench->stored[DRSIM][1], bench->rounds) / (double)bench->changed;

	for (int phase = 0; phase < PHASES; phase++)
		print_phase(bench, (enum phase)phase);
	print_ratio(bench, FULL, RESTIC, 2);
	print_ratio(bench, FULL, BORG, 1.5);
	print_ratio(bench, INCREMENTAL, RESTIC, 1);
	print_ratio(bench, INCREMENTAL, BORG, 1);
	print_ratio(bench, RESTORE, RESTIC, 1);
	print_ratio(bench, RESTORE, BORG, 1.5);
	printf("ratio: an incremental backup stores %.2f of the %.1f MiB changed, wanted at most "
	       "1.5: %s\n",
	       stored, (double)bench->changed / MIB, stored <= 1.5 ? "reached" : "missed");
}

/* The first touch of a guest's memory is slow; it comes before the measuring. */
static void touch_memory(void)
{
	char *memory = mmap(NULL, WARM_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return;
	for (size_t at = 0; at < WARM_BYTES; at += 4096)
		memory[at] = 1;
	munmap(memory, WARM_BYTES);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	uint64_t value;

	return text && quantity_unsigned(text, NO_PLACE, &value, NULL) == 0 && value > 0
		       ? value
		       : otherwise;
}

static void set_up(struct bench *bench)
{
	const char *program = getenv("DRSIM"), *temporary = getenv("TMPDIR");
	char path[PATH_MAX + 16];

	if (!program || !realpath(program, bench->program))
		die("DRSIM");
	snprintf(bench->home, sizeof(bench->home), "%s/drsim-peers-XXXXXX",
		 temporary ? temporary : "/tmp");
	if (!mkdtemp(bench->home) || chdir(bench->home) || mkdir("data", 0755))
		die(bench->home);
	snprintf(path, sizeof(path), "%s/cache", bench->home);
	setenv("RESTIC_CACHE_DIR", path, 1);
	setenv("RESTIC_PASSWORD", "drill", 1);
	setenv("BORG_BASE_DIR", path, 1);
	setenv("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes", 1);
	setenv("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes", 1);
	bench->bytes = setting("DRSIM_PEERS_BYTES", (uint64_t)1 << 30);
	bench->rounds = setting("DRSIM_PEERS_ROUNDS", 3);
	if (bench->rounds > ROUNDS_MAX)
		bench->rounds = ROUNDS_MAX;
	bench->there[DRSIM] = true;
	bench->there[RESTIC] = RUN(NULL, "restic", "version") == 0;
	bench->there[BORG] = RUN(NULL, "borg", "--version") == 0;
}

int main(void)
{
	static struct bench bench;

	set_up(&bench);
	for (int tool = 0; tool < TOOLS; tool++)
		if (!bench.there[tool])
			printf("skipped: %s is not installed\n", tool_names[tool]);
	printf("%.0f MiB of model-like data, 5 %% changed in runs of 256 KiB; %zu rounds, "
	       "medians\n",
	       (double)bench.bytes / MIB, bench.rounds);
	fflush(stdout);
	touch_memory();
	for (size_t i = 0; i < bench.rounds; i++)
		round_of(&bench, i);
	print_all(&bench);
	if (chdir("/"))
		die("/");
	workplace_remove(bench.home);
	return 0;
}
