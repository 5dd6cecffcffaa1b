/* SPDX-License-Identifier: Apache-2.0 */
/* Signed runs from outside and inside: whatever is changed is found, and others' tools agree. */
/* valgrind: skip */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/prng.h"
#include "reports/bundle.h"
#include "reports/verify.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define FILES_MAX 64
#define TIMEOUT_S 300
#define EDITS 10000
#define BUNDLE_EDITS 10000

extern char **environ;

static struct arena names, arena;

static const char scenario[] =
	"# A GPU is lost and the standby takes over.\n"
	"apiVersion: drsim/v1\n"
	"name: tiny\n"
	"seed: 18446744073709551615\n"
	"duration: 1h\n"
	"objectives: {frt: 10m, brp: {seconds: 30m}, availability: 50%}\n"
	"deployment:\n"
	"  sites:\n"
	"    - {name: primary, region: eu-1, nodes: 4, shape: gpu.8xh100-sxm}\n"
	"    - {name: backup, nodes: 4, shape: gpu.8xh100-sxm, standby: {heat: warm}}\n"
	"  links: [{between: [primary, backup], rate: 100Gbit/s, latency: 12ms}]\n"
	"  endpoints:\n"
	"    - {name: chat, site: primary, replicas: 1, gpus_per_replica: 8,\n"
	"       model: {bytes: 140GB, start: 45s}, load: {rate: 20/s, service_time: 250ms}}\n"
	"  data:\n"
	"    model: {bytes: 140GB, change: 0B/s}\n"
	"    io: {bytes: 20GB, change: 1MB/s, records: 120/s}\n"
	"  store: {site: backup, read: 8GB/s, write: 4GB/s}\n"
	"backup: {every: 10m, classes: [model, io], verify: true}\n"
	"detector: {kind: probe, interval: 10s, timeout: 1s, misses: 3}\n"
	"recovery: {switch: 20s}\n"
	"steps:\n"
	"  - {at: 30m, fault: gpu.lost, target: \"primary/node[0]/gpu[3]\"}\n";

/* ---- a place, programs in it, files of it ---- */

/* Over what is there, and cut behind it: a file that is emptied first is one that some file systems
 * bring to the disk when it is closed. */
static void put(const char *name, const void *bytes, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	ck_assert_int_eq(close(fd), 0);
}

/* Runs a shell command and keeps its output in .out; its exit code. $DRSIM is the program. */
static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *format, ...)
{
	char line[2048], *argv[] = {(char[]){"sh"}, (char[]){"-c"}, line, NULL};
	posix_spawn_file_actions_t actions;
	va_list list;
	int status;
	pid_t pid;

	va_start(list, format);
	ck_assert_int_lt(vsnprintf(line, sizeof(line), format, list), (int)sizeof(line));
	va_end(list);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, ".out", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	ck_assert_int_eq(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The same, checked: exit code, and what the output says (NULL: nothing in particular). */
#define expect(code, part, ...)                                                                    \
	do {                                                                                       \
		int was = shell(__VA_ARGS__);                                                      \
		char *said = workplace_read(".out");                                               \
		const char *wanted = (part);                                                       \
                                                                                                   \
		ck_assert_msg(was == (code), "exit %d, not %d: %s", was, (code), said);            \
		ck_assert_msg(!wanted || strstr(said, wanted), "no '%s' in: %s", wanted, said);    \
		free(said);                                                                        \
	} while (0)

static void setup(void)
{
	workplace_enter("verify");
	ck_assert_int_eq(setenv("DRSIM", workplace_program, 1), 0);
	put("tiny.yaml", scenario, sizeof(scenario) - 1);
	expect(0, "drsim.key", "\"$DRSIM\" keygen --out keys");
}

static void teardown(void)
{
	arena_free(&names);
	arena_free(&arena);
	names = arena = (struct arena){0};
	workplace_leave();
}

static void sign_run(const char *options)
{
	expect(0, "Signed with key", "\"$DRSIM\" run tiny.yaml --sign keys/drsim.key --out run %s",
	       options);
}

static struct public_key load_key(void)
{
	struct public_key key;
	struct error e = {0};

	ck_assert_msg(public_key_load("keys/drsim.pub", &key, &e) == 0, "%s", e.text);
	return key;
}

/* A file of the run, as it was signed. */
struct file {
	const char *name, *path;
	char *bytes;
	size_t size;
};

static size_t load_files(struct file files[FILES_MAX])
{
	struct artefacts all;
	struct error e = {0};
	size_t count = 0;
	int fd;

	ck_assert_int_eq(artefacts_open("run", &fd, &e), 0);
	ck_assert_msg(artefacts_list(fd, &names, &all, &e) == 0, "%s", e.text);
	close(fd);
	for (size_t i = 0; i < all.count; i++) {
		struct file *file = &files[count];

		if (all.items[i].kind == ARTEFACT_FOLDER)
			continue;
		ck_assert_uint_lt(count++, FILES_MAX);
		file->name = all.items[i].name;
		file->path = arena_printf(&names, "run/%s", file->name);
		file->bytes = workplace_read(file->path);
		file->size = (size_t)all.items[i].size;
		ck_assert_uint_gt(file->size, 1);
	}
	return count;
}

static void free_files(struct file *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(files[i].bytes);
}

static const struct file *find_file(const struct file *files, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	ck_abort_msg("no %s in the run", name);
	return NULL;
}

static const struct verified *look(const struct public_key *key)
{
	static struct verified verified;
	struct error e = {0};

	arena_reset(&arena);
	ck_assert_msg(verify_folder("run", key, &arena, &verified, &e) == 0, "%s", e.text);
	return &verified;
}

/* What is found is one thing, and it is this. */
static void found(const struct verified *verified, const char *artefact, uint64_t line,
		  const char *what)
{
	const struct verify_finding *finding = &verified->findings[0];

	ck_assert_msg(verified->count == 1, "%zu findings, not one about %s", verified->count,
		      artefact);
	ck_assert_str_eq(finding->artefact, artefact);
	ck_assert_msg(finding->line == line, "%s:%ju, not line %ju", artefact,
		      (uintmax_t)finding->line, (uintmax_t)line);
	ck_assert_msg(strstr(finding->what, what) != NULL, "%s: '%s', not '%s'", artefact,
		      finding->what, what);
}

/* ---- edits of single bytes ---- */

enum edit {
	EDIT_BYTE,
	EDIT_DELETE,
	EDIT_INSERT,
	EDIT_SWAP,
	EDIT_KINDS
};

/* Into `out`, which has room for one more; false: it would change nothing. */
static bool edit_bytes(enum edit kind, const char *bytes, size_t size, struct prng *prng, char *out,
		       size_t *ret_size)
{
	size_t at = (size_t)prng_below(prng, size + (kind == EDIT_INSERT ? 1 : 0)),
	       other = (size_t)prng_below(prng, size);
	char value = (char)prng_below(prng, 256);

	memcpy(out, bytes, size);
	*ret_size = size;
	switch (kind) {
	case EDIT_BYTE:
		out[at] = value;
		break;
	case EDIT_DELETE:
		memmove(out + at, bytes + at + 1, size - at - 1);
		(*ret_size)--;
		break;
	case EDIT_INSERT:
		out[at] = value;
		memcpy(out + at + 1, bytes + at, size - at);
		(*ret_size)++;
		break;
	case EDIT_SWAP:
		out[at] = bytes[other];
		out[other] = bytes[at];
		break;
	case EDIT_KINDS:
		break;
	}
	return *ret_size != size || memcmp(out, bytes, size) != 0;
}

/* The line in which two texts begin to differ. */
static uint64_t first_difference(const char *a, size_t a_size, const char *b, size_t b_size)
{
	uint64_t line = 1;

	for (size_t i = 0; i < a_size && i < b_size && a[i] == b[i]; i++)
		line += a[i] == '\n';
	return line;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void edit_file(const struct file *file, enum edit kind, struct prng *prng,
		      const struct public_key *key)
{
	char *out = malloc(file->size + 1);
	const struct verified *verified;
	uint64_t line = 0;
	size_t size;

	ck_assert_ptr_nonnull(out);
	while (!edit_bytes(kind, file->bytes, file->size, prng, out, &size))
		;
	put(file->path, out, size);
	verified = look(key);
	ck_assert_msg(verified->count == 1, "edit %d of %s: %zu findings", (int)kind, file->name,
		      verified->count);
	ck_assert_str_eq(verified->findings[0].artefact, file->name);
	if (strncmp(file->name, "events.", 7) == 0)
		line = first_difference(file->bytes, file->size, out, size);
	if (strcmp(file->name, ATTESTATION_FILE) != 0)
		ck_assert_msg(verified->findings[0].line == line,
			      "edit %d of %s: line %ju, not %ju", (int)kind, file->name,
			      (uintmax_t)verified->findings[0].line, (uintmax_t)line);
	put(file->path, file->bytes, file->size);
	free(out);
}

START_TEST(random_edits)
{
	struct file files[FILES_MAX];
	struct public_key key;
	struct prng prng;
	size_t count, bytes = 0, per_kind[EDIT_KINDS] = {0};
	double begin;

	sign_run("");
	key = load_key();
	count = load_files(files);
	for (size_t i = 0; i < count; i++)
		bytes += files[i].size;
	ck_assert_uint_eq(look(&key)->count, 0);
	prng_open(&prng, 1, 0, 0, 0);
	begin = seconds();
	for (int i = 0; i < EDITS; i++) {
		enum edit kind = (enum edit)(i % EDIT_KINDS);

		edit_file(&files[prng_below(&prng, count)], kind, &prng, &key);
		per_kind[kind]++;
	}
	/* Whole again, it holds again. */
	ck_assert_uint_eq(look(&key)->count, 0);
	printf("%d edits of %zu files, %zu bytes: %zu changed, %zu deleted, %zu inserted, %zu "
	       "swapped; all found, in %.1f s\n",
	       EDITS, count, bytes, per_kind[EDIT_BYTE], per_kind[EDIT_DELETE],
	       per_kind[EDIT_INSERT], per_kind[EDIT_SWAP], seconds() - begin);
	free_files(files, count);
	public_key_close(&key);
}
END_TEST

START_TEST(random_edits_of_a_bundle)
{
	struct verified verified;
	struct public_key key;
	struct error e = {0};
	struct bundle_size size;
	struct stat status;
	struct prng prng;
	double begin;
	char *bytes, *out;
	FILE *file;

	sign_run("");
	key = load_key();
	ck_assert_msg(bundle_write("run", "run.tar.lz4", &names, &size, &e) == 0, "%s", e.text);
	ck_assert_int_eq(stat("run.tar.lz4", &status), 0);
	ck_assert_int_eq((long long)size.packed, (long long)status.st_size);
	bytes = malloc((size_t)status.st_size);
	out = malloc((size_t)status.st_size + 1);
	file = fopen("run.tar.lz4", "re");
	ck_assert_uint_eq(fread(bytes, 1, (size_t)status.st_size, file), (size_t)status.st_size);
	fclose(file);
	ck_assert_int_eq(verify_bundle("run.tar.lz4", &key, &arena, &verified, &e), 0);
	ck_assert_uint_eq(verified.count, 0);
	prng_open(&prng, 2, 0, 0, 0);
	begin = seconds();
	for (int i = 0; i < BUNDLE_EDITS; i++) {
		size_t changed;

		/* The first ones at the front, where the header of the frame is. */
		while (!edit_bytes((enum edit)(i % EDIT_KINDS), bytes,
				   i < BUNDLE_EDITS / 3 ? 40 : (size_t)status.st_size, &prng, out,
				   &changed))
			;
		if (i < BUNDLE_EDITS / 3) {
			memcpy(out + changed, bytes + 40, (size_t)status.st_size - 40);
			changed += (size_t)status.st_size - 40;
		}
		put("edited", out, changed);
		arena_reset(&arena);
		ck_assert_int_eq(verify_bundle("edited", &key, &arena, &verified, &e), 0);
		ck_assert_msg(verified.count > 0, "edit %d is not found", i);
	}
	printf("%d edits of a bundle of %zu bytes: all found, in %.1f s\n", BUNDLE_EDITS,
	       (size_t)status.st_size, seconds() - begin);
	free(bytes);
	free(out);
	public_key_close(&key);
}
END_TEST

/* ---- what more than a byte can do ---- */

START_TEST(files_come_and_go)
{
	struct file files[FILES_MAX];
	struct public_key key;
	size_t count;

	sign_run("");
	key = load_key();
	count = load_files(files);
	for (size_t i = 0; i < count; i++) {
		const char *path = files[i].path;

		ck_assert_int_eq(rename(path, "away"), 0);
		found(look(&key), files[i].name, 0, "missing");
		/* The same content behind a link, and in a folder of its name. */
		ck_assert_int_eq(symlink("../away", path), 0);
		ck_assert_uint_gt(look(&key)->count, 0);
		ck_assert_str_eq(look(&key)->findings[0].artefact, files[i].name);
		ck_assert_int_eq(unlink(path), 0);
		ck_assert_int_eq(mkdir(path, 0777), 0);
		ck_assert_uint_gt(look(&key)->count, 0);
		ck_assert_int_eq(rmdir(path), 0);
		ck_assert_int_eq(mkfifo(path, 0666), 0);
		ck_assert_uint_gt(look(&key)->count, 0);
		ck_assert_int_eq(unlink(path), 0);
		put(path, "", 0);
		ck_assert_str_eq(look(&key)->findings[0].artefact, files[i].name);
		ck_assert_int_eq(rename("away", path), 0);
		ck_assert_uint_eq(look(&key)->count, 0);
	}
	put("run/.hidden", "", 0);
	found(look(&key), ".hidden", 0, "added");
	ck_assert_int_eq(rename("run/.hidden", "run/plots/zz.svg"), 0);
	found(look(&key), "plots/zz.svg", 0, "added");
	ck_assert_int_eq(rename("run/plots/zz.svg", "run/a\nb\x1b[31m"), 0);
	found(look(&key), "a\nb\x1b[31m", 0, "added");
	expect(1, "  a?b?[31m: added", "\"$DRSIM\" verify run --key keys/drsim.pub");
	ck_assert_int_eq(unlink("run/a\nb\x1b[31m"), 0);
	ck_assert_int_eq(mkdir("run/empty", 0777), 0);
	found(look(&key), "empty", 0, "added");
	ck_assert_int_eq(mkdir("run/empty/er", 0777), 0);
	ck_assert_uint_eq(look(&key)->count, 2);
	ck_assert_int_eq(rmdir("run/empty/er"), 0);
	ck_assert_int_eq(rmdir("run/empty"), 0);
	ck_assert_int_eq(symlink("plots", "run/more"), 0);
	found(look(&key), "more", 0, "is a link");
	ck_assert_int_eq(unlink("run/more"), 0);
	/* A folder of files that is elsewhere. */
	ck_assert_int_eq(rename("run/plots", "plots"), 0);
	ck_assert_int_eq(symlink("../plots", "run/plots"), 0);
	ck_assert_uint_gt(look(&key)->count, 1);
	ck_assert_int_eq(unlink("run/plots"), 0);
	ck_assert_int_eq(rename("plots", "run/plots"), 0);
	ck_assert_uint_eq(look(&key)->count, 0);
	free_files(files, count);
	public_key_close(&key);
}
END_TEST

/* The text of events.jsonl with its lines in another order: `from` to `to` (from 0) are left out,
 * and come again after `after` lines of the rest, unless that is negative. */
static void reorder(const struct file *events, size_t from, size_t to, long after)
{
	const char *at = events->bytes, *begin = at, *end = at;
	FILE *out = fopen(events->path, "we");
	long written = 0;

	for (size_t line = 0; *at; line++, at = strchr(at, '\n') + 1) {
		begin = line == from ? at : begin;
		end = line == to ? at : end;
	}
	if (end <= begin)
		end = at;
	for (at = events->bytes; *at; at = strchr(at, '\n') + 1) {
		if (written == after)
			fwrite(begin, 1, (size_t)(end - begin), out);
		if (at >= begin && at < end)
			continue;
		fwrite(at, 1, (size_t)(strchr(at, '\n') + 1 - at), out);
		written++;
	}
	ck_assert_int_eq(fclose(out), 0);
}

START_TEST(lines_of_events)
{
	struct file files[FILES_MAX];
	const struct file *events;
	struct public_key key;
	size_t count, lines = 0;

	sign_run("--no-plots");
	key = load_key();
	count = load_files(files);
	events = find_file(files, count, "events.jsonl");
	for (const char *c = events->bytes; *c; c++)
		lines += *c == '\n';
	ck_assert_uint_gt(lines, 20);
	ck_assert_uint_eq(look(&key)->events, lines);
	reorder(events, 4, 5, -1);
	found(look(&key), "events.jsonl", 5, "1 event that should be here is missing");
	reorder(events, 4, 14, -1);
	found(look(&key), "events.jsonl", 5, "10 events that should be here are missing");
	reorder(events, 4, 5, 5);
	found(look(&key), "events.jsonl", 5, "moved");
	reorder(events, 0, 1, 1);
	found(look(&key), "events.jsonl", 1, "moved");
	reorder(events, lines - 3, lines, -1);
	found(look(&key), "events.jsonl", lines - 2, "3 events that should be here are missing");
	reorder(events, 0, lines, -1);
	found(look(&key), "events.jsonl", 1, "missing");
	/* Both files cut to the same length: the signed count tells. */
	expect(0, NULL, "head -n 20 run/events.chain >c && mv c run/events.chain");
	put(events->path, events->bytes, events->size);
	expect(0, NULL, "head -n 20 run/events.jsonl >c && mv c run/events.jsonl");
	ck_assert_uint_eq(look(&key)->count, 2);
	free_files(files, count);
	public_key_close(&key);
}
END_TEST

/* The attestation's two lines in other arrangements, and with those of another run or key. */
static const struct {
	const char *make;
	uint64_t line;
	const char *what;
} arrangements[] = {
	{"sed -n 1p $A", 2, "cut off"},
	{"sed -n 2p $A", 1, "not of type"},
	{"tac $A", 1, "not of type"},
	{"cat $A; echo", 3, "two statements"},
	{"cat $A $A", 3, "two statements"},
	{"printf %s \"$(cat $A)\"", 2, "cut off"},
	{"true", 1, "cut off"},
	{"sed 's/,\"payloadType/, \"payloadType/' $A", 1, "no DSSE envelope"},
	{"sed 's/$/\\r/' $A", 1, "no DSSE envelope"},
	{"sed '2s/\"sig\":\"./\"sig\":\"~/' $A", 2, "no DSSE envelope"},
	{"sed -n 1p $A; sed -n 2p $B", 2, "of another run"},
	{"sed -n 1p $B; sed -n 2p $A", 2, "of another run"},
	{"cat $C", 1, "signed with another key"},
	/* The other key's signatures under this one's name. */
	{"id() { head -n 1 $1 | sed 's/.*keyid\":\"//;s/\".*//'; }; sed \"s/$(id $C)/$(id $A)/\" "
	 "$C",
	 1, "the signature does not fit"},
};

START_TEST(attestations)
{
	struct public_key key;

	sign_run("--no-plots");
	key = load_key();
	expect(0, NULL, "\"$DRSIM\" run tiny.yaml --no-plots --sign keys/drsim.key --out other");
	expect(0, NULL, "\"$DRSIM\" keygen --out more");
	expect(0, NULL, "\"$DRSIM\" run tiny.yaml --no-plots --sign more/drsim.key --out third");
	expect(0, NULL,
	       "A=run/attestation.intoto.jsonl B=other/attestation.intoto.jsonl "
	       "C=third/attestation.intoto.jsonl; (%s) >new; cmp -s new $A && exit 9; cp new $A",
	       arrangements[_i].make);
	found(look(&key), ATTESTATION_FILE, arrangements[_i].line, arrangements[_i].what);
	/* Another run's whole attestation is genuine, but not of these files. */
	expect(0, NULL, "cp other/attestation.intoto.jsonl run");
	ck_assert_uint_gt(look(&key)->count, 0);
	for (size_t i = 0; i < look(&key)->count; i++)
		ck_assert_str_ne(look(&key)->findings[i].artefact, ATTESTATION_FILE);
	public_key_close(&key);
}
END_TEST

/* ---- the commands ---- */

START_TEST(signs_whatever_comes)
{
	static const struct {
		const char *options;
		int code;
		const char *verdict;
	} drills[] = {
		{"", 0, "passed"},
		{"--set objectives.frt=1s", 1, "failed"},
		{"--driver null", 3, "invalid"},
		{"--set 'abort=[{when: \"duration > 20m\"}]'", 5, "aborted"},
		{"--sham", 0, "passed"},
		{"--trials 50", 0, "passed"},
		{"--json", 0, "passed"},
		{"--set objectives={}", 0, "passed"},
	};

	expect(drills[_i].code, NULL,
	       "\"$DRSIM\" run tiny.yaml --no-plots --sign keys/drsim.key --out run %s",
	       drills[_i].options);
	expect(0, drills[_i].verdict, "\"$DRSIM\" verify run --key keys/drsim.pub");
	expect(0, "SIMULATED drill of tiny, seed 18446744073709551615",
	       "\"$DRSIM\" verify run/ --key keys/drsim.pub");
	expect(0, NULL, "test -z \"$(\"$DRSIM\" verify run --quiet --key keys/drsim.pub)\"");
	expect(2, "is signed", "\"$DRSIM\" report run");
	/* Pages made elsewhere are not part of it. */
	expect(0, NULL, "\"$DRSIM\" report run --no-plots --out pages");
	expect(1, "attestation.intoto.jsonl: missing",
	       "\"$DRSIM\" verify pages --key keys/drsim.pub");
}
END_TEST

START_TEST(same_run_same_chain)
{
	sign_run("--no-plots");
	expect(0, NULL, "\"$DRSIM\" run tiny.yaml --no-plots --sign keys/drsim.key --out again");
	expect(0, NULL, "cmp run/events.chain again/events.chain");
	expect(0, NULL,
	       "\"$DRSIM\" run tiny.yaml --no-plots --sign keys/drsim.key --out other "
	       "--seed 7");
	expect(1, NULL, "cmp run/events.chain other/events.chain");
	/* The chain is what its definition says, by other tools. */
	expect(0, NULL,
	       "{ printf 'drsim-log-v1\\n'; openssl dgst -sha256 -binary run/scenario.yaml; printf "
	       "'\\377\\377\\377\\377\\377\\377\\377\\377'; \"$DRSIM\" --version | cut -c 7- | tr "
	       "-d "
	       "'\\n'; } >h0; { openssl dgst -sha256 -binary h0; head -n 1 run/events.jsonl; } | "
	       "sha256sum | cut -c -64 >h1; head -n 1 run/events.chain | cmp - h1");
}
END_TEST

START_TEST(keys_are_checked_first)
{
	static const char run[] = "\"$DRSIM\" run tiny.yaml --out run --sign";

	expect(2, "cannot read the key nothing", "%s nothing", run);
	expect(2, "is a public key", "%s keys/drsim.pub", run);
	expect(2, "is no private key", "%s tiny.yaml", run);
	expect(2, "is a folder", "%s keys", run);
	expect(2, "others may read", "chmod 644 keys/drsim.key; %s keys/drsim.key", run);
	expect(2, "is encrypted",
	       "openssl genpkey -algorithm ed25519 -aes256 -pass pass:x -out "
	       "enc 2>/dev/null; %s enc",
	       run);
	expect(2, "is no Ed25519 key", "openssl genpkey -algorithm ed448 -out ed448 && %s ed448",
	       run);
	expect(2, "--sign needs a value", "%s", run);
	expect(2, NULL, "test ! -e run || exit 0; exit 2");
	expect(2, "needs --key PUB", "\"$DRSIM\" verify keys");
	expect(2, "is a private key", "\"$DRSIM\" verify keys --key keys/drsim.key");
	expect(2, "no run folder or bundle", "\"$DRSIM\" verify nothing --key keys/drsim.pub");
	expect(2, "needs RUN_DIR|BUNDLE", "\"$DRSIM\" verify --key keys/drsim.pub");
	expect(1, "attestation.intoto.jsonl: missing",
	       "\"$DRSIM\" verify keys --key keys/drsim.pub");
	expect(1, "does not begin like a bundle",
	       "\"$DRSIM\" verify tiny.yaml --key keys/drsim.pub");
	expect(2, "exists already: a key is never replaced", "\"$DRSIM\" keygen --out keys");
	expect(2, "needs --out DIR", "\"$DRSIM\" keygen");
	expect(3, "cannot make the folder", "\"$DRSIM\" keygen --out a/b/c");
	/* From a pipe: it has no mode that others could use. */
	expect(0, "Signed with key",
	       "chmod 600 keys/drsim.key; cat keys/drsim.key | \"$DRSIM\" run tiny.yaml "
	       "--no-plots --out run --sign /dev/stdin");
	expect(0, "holds", "\"$DRSIM\" verify run --key keys/drsim.pub");
}
END_TEST

/* Nothing of the key is where others look, neither its bytes nor as text: outputs, the run. */
START_TEST(key_stays_secret)
{
	struct file files[FILES_MAX];
	size_t count;
	char *raw;

	expect(0, NULL,
	       "(\"$DRSIM\" keygen --out more; \"$DRSIM\" run tiny.yaml --no-plots --out run "
	       "--sign "
	       "more/drsim.key; \"$DRSIM\" verify run --key more/drsim.pub; \"$DRSIM\" verify run "
	       "--key more/drsim.key; \"$DRSIM\" run tiny.yaml --sign more/drsim.pub; \"$DRSIM\" "
	       "keygen --out more) >said 2>&1; test -s said");
	expect(0, NULL,
	       "openssl pkey -in more/drsim.key -outform DER | tail -c 32 >raw; { od -An -v -tx1 "
	       "raw | tr -d ' \\n'; echo; openssl base64 -A -in raw | cut -c -40; sed -n 2p "
	       "more/drsim.key | cut -c 24-; } >patterns; test $(wc -l <patterns) = 3");
	/* The search finds them where they are, and only there. */
	expect(0, NULL,
	       "test \"$(grep -rlFf patterns said run more | tr '\\n' ' ')\" = 'more/drsim.key '");
	raw = workplace_read("raw");
	count = load_files(files);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(!memmem(files[i].bytes, files[i].size, raw, 32), "%s", files[i].name);
	free_files(files, count);
	free(raw);
}
END_TEST

/* ---- others' tools ---- */

START_TEST(openssl_agrees)
{
	char path[PATH_MAX + 16], *readme, *begin, *end;

	sign_run("");
	/* The keys are those of everybody. */
	expect(0, NULL, "openssl pkey -in keys/drsim.key -pubout | cmp - keys/drsim.pub");
	expect(0, NULL, "test \"$(stat -c %%a keys/drsim.key)\" = 600");
	expect(0, NULL,
	       "openssl pkey -pubin -in keys/drsim.pub -outform DER | sha256sum | cut -c -64 >id; "
	       "grep -q \"\\\"keyid\\\":\\\"$(cat id)\\\"\" run/attestation.intoto.jsonl");
	/* The README's own lines, as they stand there. */
	snprintf(path, sizeof(path), "%s/README.md", workplace_root);
	readme = workplace_read(path);
	begin = strstr(readme, "### Without drsim");
	ck_assert_ptr_nonnull(begin);
	begin = strstr(begin, "```sh\n") + strlen("```sh\n");
	end = strstr(begin, "```");
	ck_assert_ptr_nonnull(end);
	put("check.sh", begin, (size_t)(end - begin));
	free(readme);
	expect(0, "Signature Verified Successfully",
	       "RUN=$PWD/run PUB=$PWD/keys/drsim.pub; mkdir empty && cd empty && set -e && . "
	       "../check.sh");
	expect(0, "record.json: OK",
	       "cd empty && RUN=../run PUB=../keys/drsim.pub && . ../check.sh");
	expect(0, NULL, "test $(wc -l <empty/sums) = $(find run -type f | grep -vc attestation)");
	expect(1, "record.json: FAILED",
	       "echo >>run/record.json; cd empty && RUN=../run PUB=../keys/drsim.pub && . "
	       "../check.sh");
	/* And the second statement too. */
	expect(0, "Signature Verified Successfully",
	       "sed -i 1d run/attestation.intoto.jsonl; cd empty; sed -n 1,5p ../check.sh >five; "
	       "RUN=../run PUB=../keys/drsim.pub; . ./five");
	expect(1, "Signature Verification Failure",
	       "printf x >>empty/signed; cd empty; openssl pkeyutl -verify -pubin -inkey "
	       "../keys/drsim.pub -rawin -in signed -sigfile sig");
}
END_TEST

START_TEST(openssl_makes_keys)
{
	expect(0, NULL,
	       "(umask 077; openssl genpkey -algorithm ed25519 -out own.key) && openssl pkey -in "
	       "own.key -pubout -out own.pub");
	expect(0, "Signed with key",
	       "\"$DRSIM\" run tiny.yaml --no-plots --sign own.key --out run");
	expect(0, "holds", "\"$DRSIM\" verify run --key own.pub");
	expect(1, "is signed with another key", "\"$DRSIM\" verify run --key keys/drsim.pub");
	expect(1, "is signed with another key",
	       "\"$DRSIM\" bundle run -o b && \"$DRSIM\" verify b --key keys/drsim.pub");
}
END_TEST

START_TEST(bundles)
{
	sign_run("--png");
	expect(0, "run.tar.lz4: ", "\"$DRSIM\" bundle run/");
	expect(0, "holds", "\"$DRSIM\" verify run.tar.lz4 --key keys/drsim.pub");
	expect(2, "exists already", "\"$DRSIM\" bundle run");
	expect(2, "lies in the run folder", "\"$DRSIM\" bundle run -o run/plots/../b.tar.lz4");
	expect(2, "no run folder 'nothing'", "\"$DRSIM\" bundle nothing");
	expect(3, "record.json", "\"$DRSIM\" bundle keys");
	expect(3, "cannot write", "\"$DRSIM\" bundle run -o no/where");
	expect(2, "is empty", "\"$DRSIM\" bundle run -o ''");
	/* The same again is the same, wherever the folder is. */
	expect(0, NULL,
	       "mkdir far; cp -r run far/away; touch far/away/record.json; \"$DRSIM\" "
	       "bundle far/away -o again && cmp again run.tar.lz4");
	/* lz4 and tar read it, and what they unpack holds. */
	expect(0, NULL,
	       "lz4 -t run.tar.lz4 && mkdir x && lz4 -dc run.tar.lz4 | tar -xC x && diff "
	       "-r x/* run");
	expect(0, "holds", "\"$DRSIM\" verify x/* --key keys/drsim.pub");
	expect(0, NULL,
	       "test \"$(ls x)\" = \"$(sed -n 's/.*\"id\": \"\\([^\"]*\\)\".*/\\1/p' "
	       "run/record.json | head -n 1)\"");
	/* A link is not followed into a bundle. */
	expect(2, "is a link", "ln -s /etc/passwd run/passwd; \"$DRSIM\" bundle run -o b");
	expect(2, NULL, "test ! -e b || exit 0; exit 2");
	/* Packed again by somebody else it is no bundle, cut or lengthened neither. */
	expect(1, "does not begin like a bundle",
	       "lz4 -dc run.tar.lz4 | lz4 -c >b; \"$DRSIM\" verify b --key keys/drsim.pub");
	expect(1, "it is cut off",
	       "head -c 3000 run.tar.lz4 >c; \"$DRSIM\" verify c --key "
	       "keys/drsim.pub");
	expect(1, "something stands behind its end",
	       "cat run.tar.lz4 run.tar.lz4 >d; \"$DRSIM\" verify d --key keys/drsim.pub");
	/* A frame that is whole says nothing about the run in it. */
	expect(1, "  junit.xml: changed",
	       "rm run/passwd; echo >>run/junit.xml; rm run/metrics.prom; \"$DRSIM\" bundle run "
	       "-o e; \"$DRSIM\" verify e --key keys/drsim.pub");
	expect(1, "  metrics.prom: missing", "\"$DRSIM\" verify e --key keys/drsim.pub");
	/* An unsigned run can be packed; nothing in it can be believed. */
	expect(0, NULL,
	       "\"$DRSIM\" run tiny.yaml --no-plots --out plain && \"$DRSIM\" bundle plain");
	expect(1, "missing: the run is not signed",
	       "\"$DRSIM\" verify plain.tar.lz4 --key keys/drsim.pub");
}
END_TEST

/* A killed run that was to be signed leaves what revert knows. */
START_TEST(rests_are_swept)
{
	expect(0, NULL,
	       "mkdir run.tmp-999999 && cd run.tmp-999999 && touch record.json events.chain "
	       "attestation.intoto.jsonl.tmp-999999 capture.pcap ledger.jsonl ledger-b.jsonl");
	expect(0, "removed", "\"$DRSIM\" revert run");
	expect(0, NULL, "mkdir run.tmp-999999 && touch run.tmp-999999/ledger-.jsonl");
	expect(0, "left alone", "\"$DRSIM\" revert run");
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "random edits", random_edits, 1);
	add(suite, "random edits of a bundle", random_edits_of_a_bundle, 1);
	add(suite, "files come and go", files_come_and_go, 1);
	add(suite, "lines of events", lines_of_events, 1);
	add(suite, "attestations", attestations,
	    (int)(sizeof(arrangements) / sizeof(arrangements[0])));
	add(suite, "signs whatever comes", signs_whatever_comes, 7);
	add(suite, "same run, same chain", same_run_same_chain, 1);
	add(suite, "keys are checked first", keys_are_checked_first, 1);
	add(suite, "key stays secret", key_stays_secret, 1);
	add(suite, "openssl agrees", openssl_agrees, 1);
	add(suite, "openssl makes keys", openssl_makes_keys, 1);
	add(suite, "bundles", bundles, 1);
	add(suite, "rests are swept", rests_are_swept, 1);
}

TEST_MAIN("verify", add_cases)
