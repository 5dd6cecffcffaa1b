/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drills from end to end, judged by the timeline alone: marks, phases, losses and books are worked
 * out here a second time, from the lines of events.jsonl in integer nanoseconds, and compared with
 * what the program says of itself. DRILLS_CASE=n runs one random case alone and prints it.
 */
/* valgrind: skip */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "core/campaign.h"
#include "core/report.h"
#include "core/run.h"
#include "tests/audit.h"
#include "tests/test.h"

#define STEPS_SEEN_MAX 64
#define ARGS_MAX 24

extern char **environ;

/* ---- the program, as a person starts it ---- */

struct drill {
	int code;
	const char *folder;
	cJSON *record;
	struct audit audit;
};

static const char *program(void)
{
	const char *path = getenv("DRSIM");

	ck_assert_msg(path != NULL, "DRSIM names the program under test");
	return path;
}

static pid_t start_program(struct bench *b, char *const argv[])
{
	posix_spawn_file_actions_t files;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, bench_path(b, "out.txt"),
					 O_WRONLY | O_CREAT | O_TRUNC, 0666);
	posix_spawn_file_actions_addopen(&files, 2, bench_path(b, "err.txt"),
					 O_WRONLY | O_CREAT | O_TRUNC, 0666);
	ck_assert_int_eq(posix_spawn(&pid, argv[0], &files, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&files);
	return pid;
}

static int exit_code_of(struct bench *b, pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d: %s", WTERMSIG(status),
		      bench_read(b, bench_path(b, "err.txt"), NULL));
	return WEXITSTATUS(status);
}

/* `drsim run PATH --quiet --no-plots --out FOLDER` with more arguments, up to a NULL. */
static char **command_line(struct bench *b, const char *path, const char *const *more,
			   const char **ret_folder)
{
	char **argv = arena_array(&b->arena, ARGS_MAX, sizeof(*argv));
	const char *folder = arena_printf(&b->arena, "%s/run%u", b->folder, b->runs++);
	const char *fixed[] = {program(), "run", path, "--quiet", "--no-plots", "--out", folder};
	size_t count = 0;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		argv[count++] = arena_strdup(&b->arena, fixed[i]);
	for (; more && *more; more++) {
		ck_assert_uint_lt(count + 1, ARGS_MAX);
		argv[count++] = arena_strdup(&b->arena, *more);
	}
	*ret_folder = folder;
	return argv;
}

/* Run a scenario file and hold its record against its events. */
static void run_drill(struct bench *b, const char *path, const char *const *more, struct drill *ret)
{
	char **argv = command_line(b, path, more, &ret->folder);

	ret->code = exit_code_of(b, start_program(b, argv));
	ck_assert_msg(access(ret->folder, F_OK) == 0, "exit %d without a record: %s", ret->code,
		      bench_read(b, bench_path(b, "err.txt"), NULL));
	ret->record = bench_record(b, ret->folder);
	audit_read(b, arena_printf(&b->arena, "%s/events.jsonl", ret->folder), &ret->audit);
	audit_check(&ret->audit);
	audit_compare(&ret->audit, ret->record);
	ck_assert_int_eq(audit_number(ret->record, "exit_code"), ret->code);
}

static void drill_free(struct drill *drill)
{
	cJSON_Delete(drill->record);
	audit_free(&drill->audit);
}

static void run_text(struct bench *b, const char *text, const char *const *more, struct drill *ret)
{
	const char *path = arena_printf(&b->arena, "%s/s%u.yaml", b->folder, b->runs);

	bench_write(path, text);
	run_drill(b, path, more, ret);
}

/* ---- many faults at once: scenarios drawn at random ---- */

/* What was drawn, as far as later choices or expectations depend on it. */
struct draw {
	struct dice dice;
	FILE *out;
	unsigned primaries, standbys, endpoints, nodes, racks, replicas, gpus;
	unsigned classes; /* of the mask model 1, training 2, io 4 */
	bool store, links, backups;
	bool sees_service; /* a detector looks at the endpoint, wherever it is served */
	/* Everything that breaks is noticed, mended, led back: the drill must end as it began. */
	bool mendable;
	bool changing; /* faults pulse or grow, */
	bool can_grow; /* this one can */
};

static void draw_sites(struct draw *d)
{
	struct dice *dice = &d->dice;

	d->primaries = dice_chance(dice, 20) ? 2 : 1;
	d->standbys = dice_chance(dice, 12) ? 0 : dice_chance(dice, 25) ? 2 : 1;
	d->nodes = 1 + dice_below(dice, 4);
	d->racks = 1 + dice_below(dice, d->nodes);
	d->gpus = d->nodes > 3 && dice_chance(dice, 50) ? 1 : 8;
	fprintf(d->out, "deployment:\n  sites:\n");
	for (unsigned i = 0; i < d->primaries; i++)
		fprintf(d->out, "    - {name: p%u, nodes: %u, racks: %u, shape: gpu.%sh100-sxm}\n",
			i, d->nodes, d->racks, d->gpus == 8 ? "8x" : "");
	for (unsigned i = 0; i < d->standbys; i++) {
		fprintf(d->out, "    - {name: s%u, nodes: %u, shape: gpu.8xh100-sxm, ", i,
			d->nodes);
		fprintf(d->out, "standby: {heat: %s, replication_lag: %s",
			PICK(dice, "hot", "warm", "cold"), PICK(dice, "0s", "5s", "2m"));
		if (dice_chance(dice, 20))
			fprintf(d->out, ", replicas: %u", 1 + dice_below(dice, 3));
		fprintf(d->out, "}}\n");
	}
	d->links = dice_chance(dice, 60);
	if (!d->links)
		return;
	fprintf(d->out, "  links:\n");
	for (unsigned i = 0; i < d->primaries + d->standbys; i++)
		for (unsigned k = i + 1; k < d->primaries + d->standbys; k++)
			fprintf(d->out, "    - {between: [%c%u, %c%u], rate: %s}\n",
				i < d->primaries ? 'p' : 's',
				i < d->primaries ? i : i - d->primaries,
				k < d->primaries ? 'p' : 's',
				k < d->primaries ? k : k - d->primaries,
				PICK(dice, "100Gbit/s", "1Gbit/s", "10Gbit/s"));
	if (d->primaries + d->standbys == 1) {
		fprintf(d->out, "    []\n");
		d->links = false;
	}
}

static void draw_endpoints(struct draw *d)
{
	struct dice *dice = &d->dice;

	d->endpoints = d->primaries + dice_chance(dice, 25);
	d->replicas = 1 + dice_below(dice, d->nodes > 1 ? 3 : 2); /* all of them fit on one site */
	fprintf(d->out, "  endpoints:\n");
	for (unsigned i = 0; i < d->endpoints; i++) {
		fprintf(d->out, "    - name: e%u\n      site: p%u\n      replicas: %u\n", i,
			i % d->primaries, d->replicas);
		fprintf(d->out, "      gpus_per_replica: %u\n",
			d->gpus == 1 ? i == 0 : dice_below(dice, 2));
		if (dice_chance(dice, 60))
			fprintf(d->out, "      model: {bytes: 14GB, start: %s}\n",
				PICK(dice, "0s", "45s", "{uniform: {from: 10s, to: 60s}}"));
		if (dice_chance(dice, 70))
			fprintf(d->out,
				"      load: {rate: %u/s, service_time: %s, concurrency: %u, "
				"arrivals: %s, requests: %s}\n",
				1 + dice_below(dice, 20),
				PICK(dice, "100ms", "{lognormal: {median: 200ms, sigma: 0.4}}"),
				12 + dice_below(dice, 60), PICK(dice, "poisson", "constant"),
				PICK(dice, "windows", "windows", "windows", "windows", "windows",
				     "never", "never", "always"));
	}
	if (dice_chance(dice, 40))
		fprintf(d->out, "  gateway: {interval: %s, timeout: %s, misses: %u, retries: %u}\n",
			PICK(dice, "1s", "5s", "30s"), PICK(dice, "500ms", "2s"),
			1 + dice_below(dice, 3), dice_below(dice, 3));
	if (dice_chance(dice, 40))
		fprintf(d->out, "  platform: {restart: %s, reschedule: %s, allocate: %s}\n",
			PICK(dice, "true", "true", "false"), PICK(dice, "345s", "never", "30s"),
			PICK(dice, "0s", "60s"));
}

static void draw_data(struct draw *d)
{
	static const char *const rows[] = {"model: {bytes: 140GB, change: 0B/s}",
					   "training: {bytes: 200GB, change: 50GB/d}",
					   "io: {bytes: 20GB, change: 1MB/s, records: 12/s}"};
	struct dice *dice = &d->dice;
	unsigned sites = d->primaries + d->standbys, store = dice_below(dice, sites);

	d->classes = dice_chance(dice, 10) ? 0 : 1 + dice_below(dice, 7);
	if (d->classes)
		fprintf(d->out, "  data:\n");
	for (unsigned c = 0; c < 3; c++)
		if (d->classes >> c & 1)
			fprintf(d->out, "    %s\n", rows[c]);
	d->store = d->classes && dice_chance(dice, 80);
	if (d->store)
		fprintf(d->out, "  store: {site: %c%u, read: %s, write: 4GB/s}\n",
			store < d->primaries ? 'p' : 's',
			store < d->primaries ? store : store - d->primaries,
			PICK(dice, "8GB/s", "1GB/s", "100MB/s"));
	d->backups = d->classes && dice_chance(dice, 90);
	if (!d->backups)
		return;
	fprintf(d->out,
		"backup: {at_start: %s, every: %s, kind: %s, verify: %s, keep: %u, failure: %s",
		PICK(dice, "true", "true", "false"), PICK(dice, "2m", "10m", "20m"),
		PICK(dice, "full", "incremental"), PICK(dice, "true", "false"),
		1 + dice_below(dice, 24), PICK(dice, "0%", "0%", "30%"));
	if (!d->store || dice_chance(dice, 30))
		fprintf(d->out, ", takes: %s", PICK(dice, "0s", "30s", "3m"));
	fprintf(d->out, "}\n");
}

static void draw_detector(struct draw *d, unsigned i)
{
	struct dice *dice = &d->dice;
	const char *scope = PICK(dice, "endpoint", "endpoint", "replica", "node", "gpu");

	d->sees_service |= i > 1 || strcmp(scope, "endpoint") == 0;
	switch (i) {
	case 0:
		if (dice_chance(dice, 20)) {
			fprintf(d->out, "  - {kind: probe, misses: 2, loss: 3%%}\n");
			d->mendable = false;
		} else {
			fprintf(d->out,
				"  - {kind: probe, scope: %s, interval: %s, timeout: 1s, "
				"misses: %u}\n",
				scope, PICK(dice, "2s", "10s"), 1 + dice_below(dice, 4));
		}
		break;
	case 1:
		fprintf(d->out, "  - {kind: phi, scope: %s, interval: 1s, threshold: %u}\n", scope,
			4 + dice_below(dice, 8));
		break;
	case 2:
		fprintf(d->out, "  - {kind: poll, interval: 60s, false_fault: %s, blind: %s}\n",
			PICK(dice, "0%", "0%", "5%"), PICK(dice, "false", "false", "true"));
		d->mendable = false; /* it may cry wolf for ever */
		break;
	case 3:
		fprintf(d->out, "  - {kind: fixed, delay: %s}\n",
			PICK(dice, "0s", "30s", "{exponential: {mean: 40s}}"));
		break;
	case 4:
		fprintf(d->out, "  - {kind: canary, every: %s, misses: %u}\n",
			PICK(dice, "10s", "60s"), 1 + dice_below(dice, 2));
		break;
	default:
		fprintf(d->out, "  - {kind: slo, window: %s, success: 95%%, latency: 2s}\n",
			PICK(dice, "1m", "10s", "5m"));
	}
}

static void draw_recovery(struct draw *d)
{
	static const char *const class_names[] = {"model", "training", "io"};
	struct dice *dice = &d->dice;
	bool stays, faulty;
	unsigned wanted = d->classes & (unsigned)dice_roll(dice),
		 first = wanted & (unsigned)dice_roll(dice);

	fprintf(d->out, "detector:\n");
	for (unsigned n = 1 + dice_chance(dice, 30); n > 0; n--)
		draw_detector(d, dice_chance(dice, 40) ? 0 : dice_below(dice, 6));
	fprintf(d->out, "recovery:\n  decide: %s\n  switch: %s\n  verify: %s\n  diagnose: %s\n",
		PICK(dice, "0s", "5s", "{uniform: {from: 0s, to: 2m}}"),
		PICK(dice, "0s", "20s", "3m"), PICK(dice, "0s", "0s", "2m"),
		PICK(dice, "0s", "30s", "10m"));
	if (dice_chance(dice, 15))
		fprintf(d->out, "  fence: none\n");
	else
		fprintf(d->out, "  fence: {timeout: %s, on_fail: %s}\n",
			PICK(dice, "0s", "10s", "2m"), PICK(dice, "stop", "proceed"));
	fprintf(d->out, "  restore: {order: %s", PICK(dice, "sequential", "parallel"));
	if (dice_chance(dice, 60)) {
		fprintf(d->out, ", classes: [");
		for (unsigned c = 3, n = 0; c-- > 0;)
			if (wanted >> c & 1)
				fprintf(d->out, "%s%s", n++ ? ", " : "", class_names[c]);
		fprintf(d->out, "], before_serving: [");
		for (unsigned c = 0, n = 0; c < 3; c++)
			if (first >> c & 1)
				fprintf(d->out, "%s%s", n++ ? ", " : "", class_names[c]);
		fprintf(d->out, "]");
	}
	faulty = dice_chance(dice, 5);
	if (faulty)
		fprintf(d->out, ", into: faulty");
	fprintf(d->out, "}\n  repair: {time: %s, crews: %u}\n",
		PICK(dice, "0s", "2m", "20m", "{lognormal: {median: 10m, sigma: 0.3}}"),
		1 + dice_below(dice, 2));
	stays = dice_chance(dice, 33);
	fprintf(d->out, "  coverage: %s\n  failback: {after: %s, verify: %s}\n",
		PICK(dice, "100%", "100%", "100%", "50%"), stays ? "never" : "repaired",
		PICK(dice, "true", "false"));
	/* Nobody may see that the standby does not serve, and then nobody leaves it. */
	d->mendable &= !stays || (d->sees_service && !faulty);
	if (dice_chance(dice, 8)) {
		fprintf(d->out, "  managed_by: target\n");
		d->mendable = false;
	}
	if (dice_chance(dice, 10))
		fprintf(d->out, "  prefer: in_place\n");
	if (dice_chance(dice, 4)) {
		fprintf(d->out, "  after_restore: stop_standby\n");
		d->mendable &= !stays;
	}
}

static void draw_when(struct draw *d, unsigned i)
{
	struct dice *dice = &d->dice;

	if (i == 0 || dice_chance(dice, 25))
		fprintf(d->out, "  - {at: %us, ", 1200 + dice_below(dice, 2400));
	else if (dice_chance(dice, 15))
		fprintf(d->out, "  - {at: %us, ", 600 + dice_below(dice, 600));
	else if (dice_chance(dice, 50))
		fprintf(d->out, "  - {after: {phase: %s, delay: %s}, ",
			PICK(dice, "detect", "switch", "restore", "verify", "repair", "failback"),
			PICK(dice, "0s", "1s", "30s", "5m"));
	else
		fprintf(d->out, "  - {after: {phase: %s, progress: %s}, ",
			PICK(dice, "detect", "switch", "restore", "verify", "repair", "failback"),
			PICK(dice, "10%", "50%", "100%"));
}

/* A place that a fault of the site group can hit; mostly a primary. */
static const char *draw_site(struct draw *d, char buffer[16])
{
	bool standby = d->standbys > 0 && dice_chance(&d->dice, 35);

	snprintf(buffer, 16, "%c%u", standby ? 's' : 'p',
		 dice_below(&d->dice, standby ? d->standbys : d->primaries));
	return buffer;
}

/* One that takes the service down, as a rule. */
static void draw_outage(struct draw *d)
{
	static const char *const outages[] = {
		"zone.outage, target: p0",
		"net.partition, target: p0",
		"node.crash, target: \"p0/node[*]\", select: all",
		"node.hang, target: \"p0/node[*]\", select: all",
		"gpu.lost, target: \"p0/node[*]/gpu[*]\", select: all",
		"gpu.xid, code: 79, target: \"p0/node[*]/gpu[*]\", select: all",
	};

	unsigned which = dice_below(&d->dice, 6);

	d->can_grow = which >= 2 && d->nodes > 1; /* it has several targets */
	fprintf(d->out, "fault: %s", outages[which]);
}

/* Writes fault and target; true when the platform notices it by itself. */
static bool draw_fault(struct draw *d)
{
	struct dice *dice = &d->dice;
	char site[16];
	const char *at = draw_site(d, site);
	unsigned node = dice_below(dice, d->nodes), gpu = at[0] == 's' ? 8 : d->gpus;

	switch (dice_below(dice, 14)) {
	case 0:
		fprintf(d->out, "fault: gpu.lost, target: \"%s/node[%u]/gpu[%u]\"", at, node,
			dice_below(dice, gpu) & (dice_chance(dice, 70) ? 0u : ~0u));
		return true;
	case 1:
		fprintf(d->out, "fault: gpu.xid, code: %s, target: \"%s/node[%u]/gpu[0]\"",
			PICK(dice, "79", "31", "63", "94", "48"), at, node);
		return true;
	case 2:
		fprintf(d->out, "fault: node.crash, target: \"%s/node[*]\", select: %s", at,
			PICK(dice, "one", "all", "50%"));
		return true;
	case 3:
		fprintf(d->out, "fault: node.hang, target: \"%s/node[%u]\"", at, node);
		return true;
	case 4:
		fprintf(d->out, "fault: rack.power_loss, target: \"%c%c/rack[0]\"", 'p', '0');
		return true;
	case 5:
	case 6:
		fprintf(d->out, "fault: zone.outage, target: %s", at);
		return true;
	case 7:
	case 8:
		if (d->links && dice_chance(dice, 30))
			fprintf(d->out, "fault: net.partition, target: \"link[*]\", select: %s",
				PICK(dice, "one", "all"));
		else if (dice_chance(dice, 30))
			fprintf(d->out, "fault: net.partition, target: \"%s/node[%u]\"", at, node);
		else
			fprintf(d->out, "fault: net.partition, target: %s", at);
		return true;
	case 9:
		d->can_grow = true;
		fprintf(d->out, "fault: net.delay, latency: %s, target: %s",
			PICK(dice, "10ms", "800ms", "5s"), at);
		return false;
	case 10:
		fprintf(d->out, "fault: proc.kill, target: \"endpoint/e0%s\"",
			PICK(dice, "", "/replica[0]"));
		return true;
	case 11:
		if (d->classes)
			fprintf(d->out, "fault: data.bitflip, target: data/%s",
				d->classes & 4   ? "io"
				: d->classes & 1 ? "model"
						 : "training");
		else
			fprintf(d->out, "fault: data.bitflip, target: \"endpoint/e0/replica[0]\"");
		return false;
	case 12:
		if (!d->backups) {
			fprintf(d->out, "fault: node.crash, target: \"p0/node[0]\"");
			return true;
		}
		fprintf(d->out, "fault: backup.corrupt, target: \"backup[%s]\"",
			PICK(dice, "-1", "0", "-2"));
		return false;
	default:
		fprintf(d->out, "fault: %s",
			d->standbys ? "standby.unavailable, target: standby"
				    : "node.crash, target: \"p0/node[0]\"");
		return true;
	}
}

static void draw_strength(struct draw *d)
{
	struct dice *dice = &d->dice;

	if (dice_chance(dice, 70))
		fprintf(d->out, ", pulse: {active: %s, dormant: %s}",
			PICK(dice, "1s", "20s", "2m", "10m"), PICK(dice, "3s", "40s", "5m"));
	else if (d->can_grow)
		fprintf(d->out, ", ramp: %s", PICK(dice, "2s", "3m", "20m"));
	else
		fprintf(d->out, ", probability: 50%%");
}

static void draw_steps(struct draw *d)
{
	struct dice *dice = &d->dice;

	fprintf(d->out, "steps:\n");
	for (unsigned i = 0, n = 2 + dice_chance(dice, 50); i < n; i++) {
		draw_when(d, i);
		bool noticed = true;
		d->can_grow = false;

		if (dice_chance(dice, i == 0 ? 65 : 15))
			draw_outage(d);
		else
			noticed = draw_fault(d);
		if (dice_chance(dice, 35)) {
			fprintf(d->out, ", for: %s", PICK(dice, "1s", "45s", "3m", "15m", "40m"));
		} else if (dice_chance(dice, 15)) {
			fprintf(d->out, ", for: permanent");
			d->mendable = false;
		} else {
			d->mendable &= noticed;
		}
		if (d->changing)
			draw_strength(d);
		fprintf(d->out, "}\n");
	}
}

/* The scenario of case number `seed`; *ret_mendable as in struct draw. */
static char *draw_scenario(uint64_t seed, bool changing, bool *ret_mendable)
{
	struct draw d = {.dice = {seed}, .mendable = true, .changing = changing};
	char *text = NULL;
	size_t size;

	dice_roll(&d.dice);
	d.out = open_memstream(&text, &size);
	ck_assert_ptr_nonnull(d.out);
	fprintf(d.out,
		"apiVersion: drsim/v1\nname: case%" PRIu64 "\nseed: %" PRIu64
		"\nduration: 5h\nobjectives: {frt: 10m, brp: {seconds: 20m}, availability: 90%%}\n",
		seed, seed);
	draw_sites(&d);
	draw_endpoints(&d);
	draw_data(&d);
	draw_recovery(&d);
	if (dice_chance(&d.dice, 30))
		fprintf(d.out, "steady_state: {success: %s, latency: %s, window: %s}\n",
			PICK(&d.dice, "99%", "90%", "50%"), PICK(&d.dice, "2s", "1s", "10s"),
			PICK(&d.dice, "30s", "5s"));
	draw_steps(&d);
	ck_assert_int_eq(fclose(d.out), 0);
	*ret_mendable = d.mendable;
	return text;
}

/* ---- running them inside this process ---- */

struct tally {
	unsigned path_names[PATHS], faults, mendable, cases;
	double slowest;
};

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void count_case(struct tally *tally, const struct audit *a, bool mendable, double took)
{
	for (size_t i = 0; i < a->count; i++)
		for (int k = 0; k < PATHS; k++)
			tally->path_names[k] += strcmp(a->incidents[i].path, path_names[k]) == 0;
	tally->faults += a->injected;
	tally->mendable += mendable;
	tally->cases++;
	tally->slowest = took > tally->slowest ? took : tally->slowest;
}

static void run_case(struct bench *b, uint64_t n, bool changing, struct tally *tally)
{
	bool mendable, show = getenv("DRILLS_CASE") != NULL;
	char *text = draw_scenario(n, changing, &mendable), *events;
	struct scenario *scenario;
	struct audit *a = arena_alloc(&b->arena, sizeof(*a));
	struct record *record = arena_alloc(&b->arena, sizeof(*record));
	double started = seconds_now();
	size_t size;

	if (show)
		printf("%s", text);
	fflush(stdout);
	bench_load(&b->arena, text, &scenario);
	bench_run(b, scenario, n, &events, &size, record);
	if (show)
		printf("%s", events);
	fflush(stdout);
	audit_text(b, events, size, a);
	audit_check(a);
	if (!strstr(text, "name: p1,"))
		audit_outages(a, scenario->steady_state.window);
	cJSON *json = bench_record(b, b->folder);
	audit_compare(a, json);
	audit_requests(json);
	cJSON_Delete(json);
	if (record->verdict != VERDICT_INVALID)
		ck_assert_str_eq(a->reason, "complete");
	for (size_t i = 0; mendable && record->verdict != VERDICT_INVALID && i < a->count; i++)
		ck_assert_msg(a->incidents[i].alarm || a->incidents[i].t[T_NORMAL] != NEVER,
			      "incident %zu never came back to normal", i);
	count_case(tally, a, mendable, seconds_now() - started);
	audit_free(a);
	free(events);
	free(text);
}

#ifndef CASES
#define CASES 400
#define CASES_PER_TEST 20
#endif
#ifndef FIRST_CASE
#define FIRST_CASE 0
#endif

static void run_cases(int block, bool changing)
{
	const char *only = getenv("DRILLS_CASE");
	struct tally tally = {0};

	for (int i = 0; i < CASES_PER_TEST; i++) {
		uint64_t n = FIRST_CASE + (uint64_t)(block * CASES_PER_TEST + i);
		struct bench b;

		if (only && strtoull(only, NULL, 10) != n)
			continue;
		fprintf(stderr, "case %" PRIu64 "\n", n);
		bench_open(&b);
		run_case(&b, n, changing, &tally);
		bench_close(&b);
	}
	printf("random faults %3d..: %u cases, %u faults, %u mendable; failover %u, in place %u, "
	       "absorbed %u, false alarm %u, unrecovered %u; slowest %.2f s\n",
	       block * CASES_PER_TEST, tally.cases, tally.faults, tally.mendable,
	       tally.path_names[PATH_FAILOVER], tally.path_names[PATH_IN_PLACE],
	       tally.path_names[PATH_ABSORBED], tally.path_names[PATH_FALSE_ALARM],
	       tally.path_names[PATH_UNRECOVERED], tally.slowest);
	fflush(stdout);
}

START_TEST(random_faults)
{
	run_cases(_i, false);
}
END_TEST

START_TEST(random_pulses)
{
	run_cases(_i, true);
}
END_TEST

/* ---- the shipped scenarios ---- */

/* "Expected: path failover, …, exit 0." in the comment that a scenario opens with. */
static void check_shipped(struct bench *b, const char *name)
{
	const char *path = arena_printf(&b->arena, "scenarios/%s", name);
	const char *text = bench_read(b, path, NULL), *end = strstr(text, "apiVersion");
	const char *code = strstr(text, "exit "), *words = strstr(text, "path ");
	char expected[32] = "";
	struct drill drill;

	ck_assert_msg(end && code && code < end, "%s does not open with 'Expected: … exit N'",
		      name);
	run_drill(b, path, NULL, &drill);
	ck_assert_msg(drill.code == (int)strtol(code + 5, NULL, 10), "%s: exit %d", name,
		      drill.code);
	if (words && words < end && sscanf(words, "path %31[a-z_]", expected) == 1) {
		const cJSON *list = audit_field(drill.record, "incidents");
		const cJSON *headline = cJSON_GetArrayItem(list, audit_headline(&drill.audit));
		ck_assert_str_eq(audit_word(headline, "path"), expected);
	}
	drill_free(&drill);
}

START_TEST(scenarios_do_what_they_say)
{
	DIR *dir = opendir("scenarios");
	const struct dirent *entry;
	size_t count = 0;
	struct bench b;

	bench_open(&b);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');
		if (!dot || strcmp(dot, ".yaml") != 0)
			continue;
		check_shipped(&b, entry->d_name);
		count++;
	}
	closedir(dir);
	ck_assert_uint_ge(count, 23);
	bench_close(&b);
}
END_TEST

/* What their comments work out by hand; seconds, and UNKNOWN where the path has no such phase. */
#define UNKNOWN (-1.0)
static const struct figures {
	const char *name, *path;
	int code;
	double detection, decision, brt, frt, within; /* FRT ends with a request that is drawn */
	double brp_seconds, brp_records;
} figures[] = {
	{"backup_too_old", "failover", 1, 21, 0, 80, 101, 1.5, 34800, 174000},
	{"checkpoint_corruption", "in_place", 0, 120, UNKNOWN, UNKNOWN, 1480, 0, 1080, 0},
	{"cold_standby_too_slow", "failover", 1, 21, 300, 580, 1154.333, 0.1, 600, 120000},
	{"control_plane_down", "failover", 0, 21, 320, 22.5, 363.5, 0.1, 240, 28800},
	{"deploy_bad_model", "failover", 0, 90.271821766, 60, 10, 160.272, 0.1, 5.012, 451},
	{"ecommerce_peak", "failover", 0, 11, 10, 20, 57.667, 0.1, 195, 351000},
	{"failback_under_load", "failover", 0, 21, 0, 22.5, 1910.9, 2, 240, 14400},
	{"finance_fraud", "failover", 0, 5, 5, 15, 25, 0.1, 0, 0},
	{"gray_gpu", "in_place", 0, 20, UNKNOWN, UNKNOWN, 1820, 0.2, 0, 0},
	{"hanging_store", "failover", 1, 21, 0, 284, 305, 0.1, 3900, 195000},
	{"hung_gpu", "in_place", 0, 120, UNKNOWN, UNKNOWN, 1310, 0, 360, 0},
	{"logical_redundancy", "absorbed", 0, UNKNOWN, UNKNOWN, UNKNOWN, 7, 0.1, 0, 0},
	{"medical_diagnosis", "failover", 0, 10.001, 120, 30, 215, 3, 30.008, 90},
	{"ransomware_restore", "failover", 0, 1210865, 1200, 620, 1213033.333, 0.3, 1254000, 48000},
	{"noisy_neighbour", "failover", 0, 21, 0, 22.5, 89.333, 0.1, 240, 14400},
	{"region_outage", "failover", 0, 22, 30, 1520, 1572, 0.1, 660, 19800},
	{"restore_interrupted", "failover", 0, 21, 0, 710, 731, 0.2, 600, 36000},
	{"split_brain", "absorbed", 0, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0, 600, 36000},
	{"standby_full", "failover", 0, 21, 0, 22.5, 569.333, 0.1, 240, 28800},
};
#define FIGURES (int)(sizeof(figures) / sizeof(figures[0]))

static void check_figure(const struct figures *of, const cJSON *metrics, const char *key,
			 double wanted, double within)
{
	const cJSON *item = audit_field(metrics, key);

	if (wanted < 0)
		ck_assert_msg(cJSON_IsNull(item), "%s: %s is known", of->name, key);
	else
		ck_assert_msg(cJSON_IsNumber(item) && fabs(item->valuedouble - wanted) <= within,
			      "%s: %s is %.9f, not %.9f", of->name, key, item->valuedouble, wanted);
}

START_TEST(scenarios_reach_their_figures)
{
	const struct figures *of = &figures[_i];
	struct bench b;
	struct drill drill;

	bench_open(&b);
	run_drill(&b, arena_printf(&b.arena, "scenarios/%s.yaml", of->name), NULL, &drill);
	const cJSON *metrics = audit_field(drill.record, "metrics"),
		    *brp = audit_field(metrics, "brp");
	int headline = audit_headline(&drill.audit);
	ck_assert_int_eq(drill.code, of->code);
	ck_assert_str_eq(drill.audit.incidents[headline].path, of->path);
	check_figure(of, metrics, "detection_s", of->detection, 1e-9);
	check_figure(of, metrics, "decision_s", of->decision, 1e-9);
	check_figure(of, metrics, "brt_s", of->brt, 1e-9);
	check_figure(of, metrics, "frt_s", of->frt, of->within);
	check_figure(of, brp, "seconds", of->brp_seconds, 1e-9);
	check_figure(of, brp, "records", of->brp_records, 0);
	drill_free(&drill);
	bench_close(&b);
}
END_TEST

/* "With --set …" in a comment: the same drill with one thing changed, and the other verdict. */
static const struct changed {
	const char *name, *sets[2];
	int code;
} changes[] = {
	{"cold_standby_too_slow",
	 {"deployment.sites[1].standby.heat=hot", "recovery.decide=0s"},
	 0},
	{"deploy_bad_model", {"detector={kind: probe}", "seed=21"}, 1},
	{"ecommerce_peak", {"deployment.sites[1].standby.replicas=4", "seed=8"}, 1},
	{"ransomware_restore", {"backup[1].keep=14", "seed=31"}, 1},
};
#define CHANGES (int)(sizeof(changes) / sizeof(changes[0]))

START_TEST(scenarios_turn_with_the_plan)
{
	const struct changed *of = &changes[_i];
	const char *const more[] = {"--set", of->sets[0], "--set", of->sets[1], NULL};
	struct bench b;
	struct drill drill;

	bench_open(&b);
	const char *path = arena_printf(&b.arena, "scenarios/%s.yaml", of->name);
	ck_assert_ptr_nonnull(strstr(bench_read(&b, path, NULL), "--set "));
	run_drill(&b, path, more, &drill);
	ck_assert_msg(drill.code == of->code, "%s: exit %d", of->name, drill.code);
	drill_free(&drill);
	bench_close(&b);
}
END_TEST

/* ---- every fault takes and is undone on the simulator, and never takes on the null driver ---- */

#define GPU_LOSS "scenarios/gpu_loss.yaml"

static const char *const steps[] = {
	"{at: 34m, fault: gpu.lost, target: \"primary/node[0]/gpu[3]\"}",
	"{at: 34m, fault: gpu.xid, target: \"primary/node[0]/gpu[3]\", code: 79}",
	"{at: 34m, fault: node.crash, target: \"primary/node[0]\"}",
	"{at: 34m, fault: node.hang, target: \"primary/node[0]\"}",
	"{at: 34m, fault: rack.power_loss, target: \"primary/rack[0]\"}",
	"{at: 34m, fault: zone.outage, target: primary}",
	"{at: 34m, fault: net.partition, target: primary}",
	"{at: 34m, fault: net.delay, target: primary, latency: 3s, for: 5m}",
	"{at: 34m, fault: proc.kill, target: \"endpoint/chat/replica[0]\"}",
	"{at: 34m, fault: data.bitflip, target: data/io, for: 5m}",
	"{at: 34m, fault: backup.corrupt, target: \"backup[-1]\"}",
	"{at: 34m, fault: standby.unavailable, target: standby}",
};
#define STEPS (int)(sizeof(steps) / sizeof(steps[0]))

static const cJSON *only_fault(const struct drill *drill)
{
	const cJSON *faults = audit_field(drill->record, "faults");

	ck_assert_int_eq(cJSON_GetArraySize(faults), 1);
	return cJSON_GetArrayItem(faults, 0);
}

static void run_step(struct bench *b, const char *step, const char *driver, struct drill *ret)
{
	const char *set = arena_printf(&b->arena, "steps=[%s]", step);
	const char *more[] = {"--set", set, "--set", "abort=[]", "--driver", driver, NULL};

	run_drill(b, GPU_LOSS, more, ret);
}

START_TEST(no_fault_takes_on_the_null_driver)
{
	struct bench b;
	struct drill drill;

	bench_open(&b);
	run_step(&b, steps[_i], "null", &drill);
	ck_assert_int_eq(drill.code, 3);
	ck_assert(cJSON_IsFalse(audit_field(only_fault(&drill), "effective")));
	ck_assert_str_eq(audit_word(drill.record, "verdict"), "invalid");
	drill_free(&drill);
	bench_close(&b);
}
END_TEST

START_TEST(every_fault_takes_and_is_undone)
{
	struct bench b;
	struct drill drill;

	bench_open(&b);
	run_step(&b, steps[_i], "sim", &drill);
	ck_assert_msg(drill.code == 0 || drill.code == 1, "exit %d", drill.code);
	ck_assert(cJSON_IsTrue(audit_field(only_fault(&drill), "effective")));
	ck_assert(cJSON_IsTrue(audit_field(only_fault(&drill), "reverted")));
	ck_assert_int_eq(cJSON_GetArraySize(audit_field(only_fault(&drill), "residue")), 0);
	drill_free(&drill);
	bench_close(&b);
}
END_TEST

/* ---- determinism ---- */

static const char *run_for_events(struct bench *b, const char *path, const char *const *more)
{
	struct drill drill;

	run_drill(b, path, more, &drill);
	const char *events = arena_printf(&b->arena, "%s/events.jsonl", drill.folder);
	drill_free(&drill);
	return bench_read(b, events, NULL);
}

START_TEST(same_seed_same_bytes)
{
	const char *const other[] = {"--seed", "43", NULL};
	struct bench b;

	bench_open(&b);
	const char *first = run_for_events(&b, GPU_LOSS, NULL);
	ck_assert_str_eq(first, run_for_events(&b, GPU_LOSS, NULL));
	ck_assert_str_ne(first, run_for_events(&b, GPU_LOSS, other));
	/* A step added at the end leaves what was before it as it was. */
	const char *text = bench_read(&b, GPU_LOSS, NULL), *rest = strstr(text, "\nabort:");
	const char *path = bench_path(&b, "gpu_loss.yaml");
	ck_assert_ptr_nonnull(rest);
	bench_write(path, arena_printf(&b.arena,
				       "%.*s\n  - {at: 110m, fault: node.crash, target: "
				       "\"primary/node[1]\"}%s",
				       (int)(rest - text), text, rest));
	const char *longer = run_for_events(&b, path, NULL);
	const char *added = strstr(longer, "\"t_ns\":6600000000000,\"event\":\"fault.inject\"");
	ck_assert_ptr_nonnull(added);
	while (added > longer && added[-1] != '\n')
		added--;
	ck_assert_msg(strncmp(first, longer, (size_t)(added - longer)) == 0,
		      "events before the step differ");
	bench_close(&b);
}
END_TEST

/* ---- negative control, guards ---- */

START_TEST(sham_drills)
{
	const char *const silent[] = {"--sham", NULL};
	const char *const fires[] = {
		"--sham", "--set", "detector={kind: poll, interval: 60s, false_fault: 20%}", NULL};
	struct bench b;
	struct drill drill;

	bench_open(&b);
	run_drill(&b, GPU_LOSS, silent, &drill);
	ck_assert_int_eq(drill.code, 0);
	ck_assert(cJSON_IsTrue(audit_under(drill.record, "drill", "sham")));
	ck_assert(cJSON_IsNull(audit_field(only_fault(&drill), "effective")));
	drill_free(&drill);
	run_drill(&b, GPU_LOSS, fires, &drill);
	ck_assert_int_eq(drill.code, 1);
	drill_free(&drill);
	bench_close(&b);
}
END_TEST

START_TEST(a_guard_ends_a_drill)
{
	const char *const more[] = {"--set", "abort=[{when: \"availability < 50%\", for: 10s}]",
				    NULL};
	struct bench b;
	struct drill drill;

	bench_open(&b);
	run_drill(&b, GPU_LOSS, more, &drill);
	ck_assert_int_eq(drill.code, 5);
	ck_assert_str_eq(audit_word(drill.record, "verdict"), "aborted");
	ck_assert(cJSON_IsTrue(audit_field(only_fault(&drill), "reverted")));
	drill_free(&drill);
	bench_close(&b);
}
END_TEST

/* ---- second faults, each with what must come of it ---- */

/* The parts of a scenario that a test changes; the rest is the same for all. */
struct plan {
	const char *sites, *endpoint, *detector, *store, *recovery, *steps;
	unsigned replicas;
};

#define PRIMARY "    - {name: p, nodes: 2, racks: 2, shape: gpu.8xh100-sxm}\n"
#define STANDBY(name, heat)                                                                        \
	"    - {name: " name ", nodes: 2, shape: gpu.8xh100-sxm, standby: {heat: " heat            \
	", replication_lag: 5s}}\n"

static const char *plan_text(struct bench *b, struct plan plan)
{
	return arena_printf(
		&b->arena,
		"apiVersion: drsim/v1\nname: plan\nseed: 9\nduration: 6h\n"
		"objectives: {frt: 10m, brp: {seconds: 20m}, availability: 95%%}\n"
		"deployment:\n  sites:\n%s"
		"  endpoints:\n    - name: chat\n      site: p\n      replicas: %u\n"
		"      gpus_per_replica: 8\n      model: {bytes: 14GB, start: 20s}\n"
		"      load: {rate: 20/s, service_time: 100ms}\n%s"
		"  data:\n    model: {bytes: 14GB, change: 0B/s}\n"
		"    io: {bytes: 20GB, change: 1MB/s, records: 20/s}\n"
		"  store: {site: %s, read: 8GB/s, write: 4GB/s}\n"
		"backup: {every: 10m, kind: incremental, verify: true}\ndetector: %s\n"
		"recovery: {switch: 20s, diagnose: 10s, verify: 30s, repair: {time: 30m}%s}\n"
		"steps:\n%s",
		plan.sites ? plan.sites : PRIMARY STANDBY("s", "warm"),
		plan.replicas ? plan.replicas : 2, plan.endpoint ? plan.endpoint : "",
		plan.store ? plan.store : "s", plan.detector ? plan.detector : "{kind: probe}",
		plan.recovery ? plan.recovery : "", plan.steps);
}

static void run_plan(struct bench *b, struct plan plan, struct drill *ret)
{
	bench_open(b);
	run_text(b, plan_text(b, plan), NULL, ret);
}

static void end_plan(struct bench *b, struct drill *drill)
{
	drill_free(drill);
	bench_close(b);
}

static const struct history *only(const struct drill *drill)
{
	int headline = audit_headline(&drill->audit);

	ck_assert_int_ge(headline, 0);
	return &drill->audit.incidents[headline];
}

static bool has_finding(const struct drill *drill, const char *text)
{
	const cJSON *finding;

	cJSON_ArrayForEach (finding, audit_field(drill->record, "findings"))
		if (strstr(audit_word(finding, "text"), text))
			return true;
	return false;
}

/* The number of events of this type, of which the text `key` says `value` (NULL: any). */
static unsigned count_events(const struct drill *drill, const char *type, const char *key,
			     const char *value)
{
	unsigned count = 0;

	for (int64_t i = 0; i < drill->audit.lines; i++)
		if (audit_is(drill->audit.events[i], type))
			count +=
				!key || strcmp(audit_word(drill->audit.events[i], key), value) == 0;
	return count;
}

#define OUTAGE "  - {at: 34m, fault: zone.outage, target: p"
#define REPAIRED OUTAGE "}\n"
#define PERMANENT OUTAGE ", for: permanent}\n"
#define T(s) ((nanos)(s)*NANOS_S)

/* What a move leaves behind when it was given up: nothing. */
static void no_move(const struct history *h)
{
	static const int of_move[] = {T_SWITCH_BEGIN, T_SWITCHED, T_DATA_BEGIN, T_DATA_RESTORED,
				      T_VERIFIED,     T_LOSS,     T_BP};

	for (size_t i = 0; i < sizeof(of_move) / sizeof(of_move[0]); i++)
		must(h->t[of_move[i]] == NEVER, "%s stands on path %s", audit_marks[of_move[i]],
		     h->path);
}

START_TEST(a_split_brain_is_told)
{
	struct bench b;
	struct drill drill;

	bench_open(&b);
	run_drill(&b, "scenarios/split_brain.yaml", NULL, &drill);
	ck_assert_msg(has_finding(&drill, "beside the primary for 10 min"), "nobody is told");
	ck_assert_msg(has_finding(&drill, "36,000 records"), "how much is not told");
	end_plan(&b, &drill);
}
END_TEST

/* The one that is fallen back on is ready all the time: nothing is to be told of it. */
START_TEST(a_fallback_carries)
{
	struct bench b;
	struct drill drill;

	bench_open(&b);
	run_drill(&b, "scenarios/logical_redundancy.yaml", NULL, &drill);
	ck_assert_uint_eq(count_events(&drill, "endpoint.state", NULL, NULL), 0);
	ck_assert_uint_eq(count_events(&drill, "service.bad", NULL, NULL), 1);
	ck_assert_uint_eq(count_events(&drill, "service.bad", "endpoint", "documents"), 0);
	end_plan(&b, &drill);
}
END_TEST

/* The level of the service at this instant, as it was told last before it was over. */
static const cJSON *level_at(const struct drill *drill, nanos t)
{
	const cJSON *level = NULL;

	for (int64_t i = 0; i < drill->audit.lines; i++)
		if (audit_is(drill->audit.events[i], "service.level") &&
		    audit_number(drill->audit.events[i], "t_ns") <= t)
			level = drill->audit.events[i];
	return level;
}

START_TEST(levels_are_told)
{
	struct bench b;
	struct drill drill;

	bench_open(&b);
	run_drill(&b, "scenarios/failback_under_load.yaml", NULL, &drill);
	/* Minutes after the primary is back what had waited is worked off, the surge goes on. */
	const cJSON *level = level_at(&drill, T(6000));
	ck_assert_double_eq(audit_field(level, "rate")->valuedouble, 120);
	ck_assert_double_eq(audit_field(level, "backlog")->valuedouble, 0);
	ck_assert_double_gt(audit_field(level, "success")->valuedouble, 0.99);
	drill_free(&drill);
	run_drill(&b, "scenarios/ransomware_restore.yaml", NULL, &drill);
	/* Where nobody answers there is no latency. */
	ck_assert(cJSON_IsNull(audit_field(level_at(&drill, T(2550000)), "latency_s")));
	end_plan(&b, &drill);
}
END_TEST

START_TEST(standby_dies_during_restore)
{
	struct bench b;
	struct drill drill;

	run_plan(&b,
		 (struct plan){.steps = REPAIRED
			       "  - {after: {phase: restore, progress: 50%}, fault: zone.outage, "
			       "target: s, for: permanent}\n"},
		 &drill);
	const struct history *h = only(&drill);
	ck_assert_str_eq(h->path, "in_place");
	ck_assert_uint_eq(h->faults, 2);
	no_move(h);
	ck_assert_int_ge(h->t[T_RESTORED], h->t[T_REPAIRED]);
	ck_assert_int_ge(h->phases.frt, T(1800));
	ck_assert_int_eq(audit_number(audit_under(drill.record, "metrics", "brp"), "records"), 0);
	ck_assert_uint_ge(count_events(&drill, "action.end", "reason", "the standby is not usable"),
			  1);
	ck_assert_int_eq(drill.code, 1);
	end_plan(&b, &drill);
}
END_TEST

START_TEST(standby_dies_after_takeover)
{
	struct bench b;
	struct drill drill;

	run_plan(&b,
		 (struct plan){.steps = REPAIRED
			       "  - {after: {phase: verify, delay: 5m}, fault: zone.outage, "
			       "target: s, for: permanent}\n"},
		 &drill);
	const struct history *h = only(&drill);
	ck_assert_str_eq(h->path, "failover");
	ck_assert_int_ge(h->t[T_RESTORED], h->t[T_REPAIRED]);
	ck_assert_int_ge(h->t[T_RESTORED], h->t[T_FAILBACK]);
	ck_assert_msg(has_finding(&drill, "standby was lost before"), "nobody is told");
	/* What the standby alone had is lost: from the old primary's last write to its own. */
	ck_assert_int_eq(h->t[T_BP], T(2040));
	ck_assert_int_ge(h->t[T_LOSS], h->t[T_SWITCHED] + T(300));
	ck_assert_int_ge(audit_number(audit_under(drill.record, "metrics", "brp"), "records"),
			 300 * 20);
	end_plan(&b, &drill);
}
END_TEST

START_TEST(standby_dies_and_there_is_another)
{
	struct bench b;
	struct drill drill;

	run_plan(&b,
		 (struct plan){.sites = PRIMARY STANDBY("s", "warm") STANDBY("z", "warm"),
			       .store = "z",
			       .steps = REPAIRED "  - {after: {phase: verify, delay: 5m}, fault: "
						 "zone.outage, target: s}\n"},
		 &drill);
	const struct history *h = only(&drill);
	ck_assert_str_eq(h->path, "failover");
	ck_assert_int_lt(h->t[T_RESTORED], h->t[T_REPAIRED]);
	ck_assert_uint_eq(count_events(&drill, "action.begin", "kind", "switch"), 2);
	ck_assert_msg(h->t[T_NORMAL] != NEVER, "it never came back");
	ck_assert_uint_eq(count_events(&drill, "action.end", "kind", "stop"), 2);
	/* Both takeovers went back to 30 min: what each of the two had written since is lost. */
	ck_assert_int_eq(h->t[T_BP], T(1800));
	ck_assert_int_ge(audit_number(audit_under(drill.record, "metrics", "brp"), "records"),
			 (240 + 300) * 20);
	end_plan(&b, &drill);
}
END_TEST

START_TEST(primary_dies_again_during_failback)
{
	struct bench b;
	struct drill drill;

	run_plan(&b,
		 (struct plan){.steps = REPAIRED "  - {after: {phase: failback, delay: 5s}, fault: "
						 "zone.outage, target: p}\n"},
		 &drill);
	const struct history *h = only(&drill);
	ck_assert_str_eq(h->path, "failover");
	ck_assert_uint_eq(h->faults, 2);
	ck_assert_uint_eq(count_events(&drill, "action.end", "reason", "the primary went away"), 1);
	ck_assert_uint_eq(drill.audit.outage_count, 1); /* the client sees nothing of the second */
	ck_assert_int_lt(h->t[T_RESTORED], h->t[T_REPAIRED]);
	ck_assert_int_ge(h->t[T_REPAIRED], T(2040 + 3600));
	ck_assert_msg(h->t[T_NORMAL] != NEVER, "it never came back");
	end_plan(&b, &drill);
}
END_TEST

START_TEST(repaired_primary_fails_over_again)
{
	struct bench b;
	struct drill drill;

	run_plan(&b,
		 (struct plan){.steps = REPAIRED "  - {at: 214m, fault: zone.outage, target: p}\n"},
		 &drill);
	const struct history *h = drill.audit.incidents;
	ck_assert_uint_eq(drill.audit.count, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_str_eq(h[i].path, "failover");
		ck_assert_int_gt(h[i].t[T_NORMAL], h[i].t[T_RESTORED]);
		ck_assert_int_ge(h[i].t[T_FAILBACK], h[i].t[T_REPAIRED]);
	}
	ck_assert_int_eq(h[0].phases.brt, h[1].phases.brt);
	ck_assert_int_eq(h[0].phases.detection, h[1].phases.detection);
	ck_assert_uint_ge(count_events(&drill, "backup.begin", "site", "s"), 4);
	ck_assert_uint_ge(count_events(&drill, "backup.begin", "site", "p"), 20);
	end_plan(&b, &drill);
}
END_TEST

/* Two primaries behind one standby: the first to go back leaves the other one there. */
START_TEST(primaries_share_a_standby)
{
	struct bench b;
	struct drill drill;

	run_plan(&b,
		 (struct plan){.sites = PRIMARY "    - {name: q, nodes: 2, shape: gpu.8xh100-sxm}\n"
						"    - {name: s, nodes: 4, shape: gpu.8xh100-sxm, "
						"standby: {heat: cold}}\n",
			       .endpoint = "    - {name: other, site: q, gpus_per_replica: 8, "
					   "load: {rate: 20/s}}\n",
			       .steps = REPAIRED "  - {at: 35m, fault: zone.outage, target: q}\n"},
		 &drill);
	const struct history *h = drill.audit.incidents;
	ck_assert_uint_eq(drill.audit.count, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_str_eq(h[i].path, "failover");
		ck_assert_int_ge(h[i].t[T_NORMAL], h[i].t[T_FAILBACK]);
	}
	ck_assert_int_lt(h[0].t[T_NORMAL], h[1].t[T_FAILBACK]);
	ck_assert_uint_eq(drill.audit.outage_count, 2);
	end_plan(&b, &drill);
}
END_TEST

/* A fence that was given up must not fall on the primary when it serves again. */
START_TEST(an_old_fence_is_called_off)
{
	struct bench b;
	struct drill drill;

	run_plan(
		&b,
		(struct plan){.store = "p",
			      .recovery = ", fence: {timeout: 2m}, restore: {order: parallel}",
			      .steps = "  - {at: 34m, fault: net.partition, target: p, for: 5m}\n"},
		&drill);
	ck_assert_str_eq(only(&drill)->path, "in_place");
	ck_assert_uint_ge(count_events(&drill, "action.end", "reason", "called off"), 1);
	ck_assert_msg(only(&drill)->t[T_NORMAL] != NEVER, "it never came back");
	ck_assert_uint_eq(drill.audit.outage_count, 1);
	ck_assert_uint_eq(drill.audit.bad_now, 0);
	end_plan(&b, &drill);
}
END_TEST

#define NO_STANDBY "  - {at: 20m, fault: standby.unavailable, target: standby, for: permanent}\n"
#define CORRUPT(which) "  - {at: 33m, fault: backup.corrupt, target: \"backup[" which "]\"}\n"
#define ALL_CORRUPT CORRUPT("0") CORRUPT("1") CORRUPT("2") CORRUPT("3")

/* Nothing to fail over to, or nothing to restore from: the repair decides. */
static const struct {
	const char *steps, *path;
	bool no_point;
} helpless[] = {
	{NO_STANDBY REPAIRED, "in_place", false},
	{NO_STANDBY PERMANENT, "unrecovered", false},
	{ALL_CORRUPT REPAIRED, "in_place", true},
	{ALL_CORRUPT PERMANENT, "unrecovered", true},
};

START_TEST(nothing_to_fall_back_on)
{
	struct bench b;
	struct drill drill;

	run_plan(&b, (struct plan){.steps = helpless[_i].steps}, &drill);
	const struct history *h = only(&drill);
	const cJSON *brp = audit_under(drill.record, "metrics", "brp");
	bool lost = strcmp(h->path, "unrecovered") == 0;

	ck_assert_str_eq(h->path, helpless[_i].path);
	no_move(h);
	ck_assert_int_eq(
		cJSON_IsNull(audit_field(audit_under(drill.record, "metrics", NULL), "frt_s")) != 0,
		lost);
	ck_assert_int_eq(cJSON_IsNull(audit_field(brp, "seconds")) != 0, lost);
	ck_assert_int_eq(has_finding(&drill, "no usable recovery point"), helpless[_i].no_point);
	ck_assert_int_eq(drill.code, 1);
	end_plan(&b, &drill);
}
END_TEST

START_TEST(newest_backup_is_corrupt)
{
	struct bench b;
	struct drill drill;

	run_plan(&b, (struct plan){.steps = CORRUPT("-1") REPAIRED}, &drill);
	const struct history *h = only(&drill);
	ck_assert_str_eq(h->path, "failover");
	ck_assert_int_eq(h->t[T_BP], T(1200)); /* not 1800 */
	ck_assert_int_eq(h->t[T_LOSS], T(2040));
	ck_assert_int_eq(audit_number(audit_under(drill.record, "metrics", "brp"), "records"),
			 840 * 20);
	ck_assert_int_eq(audit_number(audit_under(drill.record, "metrics", "brp"), "bytes"),
			 840000000);
	ck_assert_msg(has_finding(&drill, "corrupt"), "nobody is told");
	end_plan(&b, &drill);
}
END_TEST

/* An alarm about nothing costs what a takeover costs, and the clients pay. */
START_TEST(false_alarms_cost_service)
{
	struct bench b;
	struct drill drill;
	unsigned alarms = 0;

	run_plan(&b,
		 (struct plan){.detector = "{kind: poll, interval: 60s, false_fault: 3%}",
			       .steps = "  - {at: 355m, fault: gpu.xid, code: 92, target: "
					"\"p/node[1]/gpu[7]\"}\n"},
		 &drill);
	for (size_t i = 0; i < drill.audit.count; i++)
		alarms += drill.audit.incidents[i].alarm &&
			  drill.audit.incidents[i].t[T_SWITCHED] != NEVER;
	ck_assert_uint_ge(alarms, 1);
	ck_assert_int_ge(drill.audit.bad_sum, alarms * T(10));
	ck_assert_int_lt(audit_number(audit_under(drill.record, "metrics", NULL), "incident"),
			 NEVER);
	end_plan(&b, &drill);
}
END_TEST

START_TEST(killed_process_restarts)
{
	static const char killed[] = "  - {at: 2041s, fault: proc.kill, target: "
				     "\"endpoint/chat/replica[0]\"}\n";
	struct bench b;
	struct drill drill;

	run_plan(&b, (struct plan){.replicas = 1, .steps = killed}, &drill);
	ck_assert_str_eq(only(&drill)->path, "in_place");
	/* weights from disk, initialisation, and the first request that is sent after that */
	ck_assert_int_ge(only(&drill)->phases.frt, T(22));
	ck_assert_int_le(only(&drill)->phases.frt, T(23));
	ck_assert_uint_eq(count_events(&drill, "fault.revert", "cause", "restarted"), 1);
	end_plan(&b, &drill);
	run_plan(&b, (struct plan){.replicas = 2, .steps = killed}, &drill);
	ck_assert_str_eq(only(&drill)->path, "absorbed");
	ck_assert_int_eq(only(&drill)->phases.frt, 0);
	end_plan(&b, &drill);
}
END_TEST

START_TEST(delay_is_seen_by_those_who_look_at_latency)
{
	static const char delay[] = "  - {at: 34m, fault: net.delay, latency: 3s, target: p, for: "
				    "20m}\n";
	struct bench b;
	struct drill drill;

	run_plan(&b,
		 (struct plan){.detector = "{kind: slo, window: 30s, latency: 1s}", .steps = delay},
		 &drill);
	ck_assert_str_eq(only(&drill)->path, "failover");
	ck_assert_uint_ge(count_events(&drill, "detector.declare", "kind", "slo"), 1);
	ck_assert_int_lt(only(&drill)->phases.frt, T(600));
	end_plan(&b, &drill);
	/* A patient probe waits for the late answer: nobody does anything, and the clients do. */
	run_plan(&b, (struct plan){.detector = "{kind: probe, timeout: 9s}", .steps = delay},
		 &drill);
	ck_assert_str_eq(only(&drill)->path, "in_place");
	ck_assert_uint_eq(drill.audit.declared, 0);
	ck_assert_int_ge(only(&drill)->phases.frt, T(1200));
	ck_assert_int_gt(audit_number(audit_under(drill.record, "requests", NULL), "late"),
			 20 * 1100);
	end_plan(&b, &drill);
}
END_TEST

START_TEST(wrong_answers_need_a_canary)
{
	static const char flip[] = "  - {at: 2041s, fault: data.bitflip, target: data/io}\n";
	struct bench b;
	struct drill drill;

	run_plan(&b, (struct plan){.detector = "{kind: canary, every: 60s}", .steps = flip},
		 &drill);
	ck_assert_str_eq(only(&drill)->path, "failover");
	ck_assert_uint_eq(count_events(&drill, "detector.declare", "reason", "wrong answer"), 1);
	ck_assert_int_eq(only(&drill)->t[T_BP], T(1800)); /* before the damage */
	ck_assert_int_gt(audit_number(audit_under(drill.record, "requests", NULL), "wrong"), 1000);
	end_plan(&b, &drill);
	run_plan(&b, (struct plan){.steps = flip}, &drill);
	ck_assert_str_eq(only(&drill)->path, "unrecovered");
	ck_assert_uint_eq(drill.audit.declared, 0);
	ck_assert_int_gt(audit_number(audit_under(drill.record, "requests", NULL), "wrong"),
			 19 * 20 * 960);
	ck_assert_int_eq(drill.code, 1);
	end_plan(&b, &drill);
}
END_TEST

/* One replica of many answers wrongly: too few for the service to look bad. */
static const struct {
	const char *step, *path;
	int code;
	nanos wrong; /* at most; at least nine tenths of it; 20 requests/s, one in 200 of them */
	const char *finding;
} silent[] = {
	{"  - {at: 1h, fault: data.bitflip, target: \"endpoint/chat/replica[3]\"}\n", "unrecovered",
	 1, 1800, "Nobody found data.bitflip on endpoint/chat/replica[3]"},
	{"  - {at: 1h, fault: data.bitflip, target: \"endpoint/chat/replica[3]\", for: 1h}\n",
	 "absorbed", 0, 360, "and nobody noticed: it ended by itself"},
	{"  - {at: 1h, fault: data.bitflip, target: data/training}\n", "unrecovered", 1, 0,
	 "the data stayed damaged for 5 h"},
	{"  - {at: 1h, fault: backup.corrupt, target: \"backup[-1]\"}\n", "absorbed", 0, 0,
	 "was not noticed by any detector, nor by the platform: it still lies there"},
	/* What goes on harms nobody, and what did is over. */
	{"  - {at: 1h, fault: gpu.straggler, target: \"p/node[0]/gpu[3]\", for: permanent}\n"
	 "  - {at: 2h, fault: data.delete, target: data/training, for: 15m}\n",
	 "absorbed", 0, 0,
	 "data.delete on data/training was not noticed by any detector, nor by the "
	 "platform: it, or what broke beside it, still lies there"},
};

START_TEST(what_nobody_finds_is_told)
{
	const char *const more[] = {"--set", "deployment.sites[0].nodes=200",
				    "--set", "deployment.sites[1].nodes=200",
				    "--set", "deployment.data.training={bytes: 1GB, change: 1MB/s}",
				    "--set", "objectives={frt: 10m}",
				    NULL};
	struct bench b;
	struct drill drill;

	bench_open(&b);
	run_text(&b, plan_text(&b, (struct plan){.replicas = 200, .steps = silent[_i].step}), more,
		 &drill);
	ck_assert_str_eq(only(&drill)->path, silent[_i].path);
	ck_assert_int_eq(drill.code, silent[_i].code);
	ck_assert(only(&drill)->undetected);
	ck_assert_int_le(only(&drill)->wrong, silent[_i].wrong);
	ck_assert_int_ge(only(&drill)->wrong, silent[_i].wrong * 9 / 10);
	ck_assert_uint_eq(count_events(&drill, "service.bad", NULL, NULL), 0);
	ck_assert_msg(has_finding(&drill, silent[_i].finding), "nobody is told");
	end_plan(&b, &drill);
}
END_TEST

START_TEST(a_canary_finds_what_is_silent)
{
	const char *const more[] = {"--set", "deployment.sites[0].nodes=200", "--set",
				    "deployment.sites[1].nodes=200", NULL};
	struct bench b;
	struct drill drill;

	bench_open(&b);
	run_text(&b,
		 plan_text(&b,
			   (struct plan){.replicas = 200,
					 .detector = "{kind: canary, scope: replica, every: 60s}",
					 .steps = silent[0].step}),
		 more, &drill);
	ck_assert_str_eq(only(&drill)->path, "failover");
	ck_assert(!only(&drill)->undetected);
	ck_assert_int_eq(drill.code, 0);
	ck_assert_int_lt(only(&drill)->wrong, 20);
	end_plan(&b, &drill);
}
END_TEST

/* The defects of the source document's script that the model has, each in words of its own. */
static const char *const defects[] = {
	"its status is random",       "No debounce",
	"there is no recovery point", "The restore runs inside the faulty place",
	"Blind while it switches",    "The standby is stopped right after the restore",
	"There is no switch back",
};

START_TEST(the_naive_monitor_is_seen_through)
{
	struct bench b;
	struct drill drill;

	bench_open(&b);
	run_drill(&b, "scenarios/seed_monitor.yaml", NULL, &drill);
	for (size_t i = 0; i < sizeof(defects) / sizeof(defects[0]); i++)
		ck_assert_msg(has_finding(&drill, defects[i]), "nobody is told: %s", defects[i]);
	end_plan(&b, &drill);
}
END_TEST

/* What was recomputed stands in the record: a report made again needs no simulator. */
START_TEST(savings_survive_a_new_report)
{
	struct bench b;
	struct drill drill;
	const char *page;

	bench_open(&b);
	run_drill(&b, GPU_LOSS, NULL, &drill);
	ck_assert_msg(has_finding(&drill, "--set 'deployment.sites[1].standby.heat=hot')"),
		      "no hot standby");
	page = bench_path(&b, "again");
	char *argv[] = {arena_strdup(&b.arena, program()),    arena_strdup(&b.arena, "report"),
			arena_strdup(&b.arena, drill.folder), arena_strdup(&b.arena, "--out"),
			arena_strdup(&b.arena, page),         NULL};
	ck_assert_int_eq(exit_code_of(&b, start_program(&b, argv)), 0);
	page = bench_read(&b, bench_path(&b, "again/report.html"), NULL);
	ck_assert_ptr_nonnull(strstr(page, "A hot standby instead of a warm one (site backup) "
					   "would have saved 48.3 s"));
	end_plan(&b, &drill);
}
END_TEST

/* ---- the same again ---- */

static const char *const of_host[] = {"id", "started", "host", "wall_s", "command"};

/* record.json without what may differ between two runs of the same thing. */
static char *bare_record(cJSON *record)
{
	cJSON *drill = cJSON_GetObjectItemCaseSensitive(record, "drill");

	for (size_t i = 0; i < sizeof(of_host) / sizeof(of_host[0]); i++)
		cJSON_DeleteItemFromObjectCaseSensitive(drill, of_host[i]);
	return cJSON_PrintUnformatted(record);
}

static char *events_text(struct bench *b, const struct drill *drill)
{
	return bench_read(b, arena_printf(&b->arena, "%s/events.jsonl", drill->folder), NULL);
}

static const char *const repeated[] = {"scenarios/network_partition.yaml",
				       "scenarios/seed_monitor.yaml"};

START_TEST(a_run_repeats)
{
	struct bench b;
	struct drill first, second, other;
	char *a, *c;

	bench_open(&b);
	run_drill(&b, repeated[_i], NULL, &first);
	run_drill(&b, repeated[_i], NULL, &second);
	run_drill(&b, repeated[_i], (const char *const[]){"--seed", "1234", NULL}, &other);
	ck_assert_str_eq(events_text(&b, &first), events_text(&b, &second));
	ck_assert_str_ne(strchr(events_text(&b, &first), '\n'),
			 strchr(events_text(&b, &other), '\n'));
	a = bare_record(first.record);
	c = bare_record(second.record);
	ck_assert_str_eq(a, c);
	free(a);
	free(c);
	drill_free(&first);
	drill_free(&second);
	drill_free(&other);
	bench_close(&b);
}
END_TEST

static void same_part(const cJSON *a, const cJSON *c, const char *key)
{
	ck_assert_msg(cJSON_Compare(audit_field(a, key), audit_field(c, key), 1), "'%s' differs",
		      key);
}

START_TEST(trial_0_is_the_single_run)
{
	struct bench b;
	struct drill single, many;

	bench_open(&b);
	run_drill(&b, repeated[_i], NULL, &single);
	run_drill(&b, repeated[_i], (const char *const[]){"--trials", "50", NULL}, &many);
	ck_assert_str_eq(events_text(&b, &single), events_text(&b, &many));
	same_part(single.record, many.record, "incidents");
	same_part(single.record, many.record, "metrics");
	same_part(single.record, many.record, "faults");
	same_part(single.record, many.record, "requests");
	ck_assert_int_eq(audit_number(audit_under(many.record, "campaign", NULL), "trials"), 50);
	drill_free(&single);
	drill_free(&many);
	bench_close(&b);
}
END_TEST

/* ---- ended from outside ---- */

START_TEST(a_signal_ends_a_drill)
{
	static const char lost[] =
		"  - {at: 1d, fault: gpu.lost, target: \"p/node[0]/gpu[0]\", for: "
		"permanent}\n";
	const struct timespec pause = {.tv_nsec = 300 * NANOS_MS};
	struct bench b;
	struct drill drill = {0};

	bench_open(&b);
	const char *path = bench_path(&b, "long.yaml");
	bench_write(path, plan_text(&b, (struct plan){.steps = lost}));
	char **argv = command_line(&b, path,
				   (const char *const[]){"--set", "duration=100d", "--set",
							 "detector.interval=1s", NULL},
				   &drill.folder);
	pid_t pid = start_program(&b, argv);
	nanosleep(&pause, NULL);
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	drill.code = exit_code_of(&b, pid);
	ck_assert_int_eq(drill.code, 5);
	drill.record = bench_record(&b, drill.folder);
	audit_read(&b, arena_printf(&b.arena, "%s/events.jsonl", drill.folder), &drill.audit);
	audit_check(&drill.audit);
	audit_compare(&drill.audit, drill.record);
	ck_assert_str_eq(drill.audit.reason, "signal");
	ck_assert_str_eq(audit_word(drill.record, "verdict"), "aborted");
	ck_assert_uint_eq(drill.audit.reverted, 1);
	ck_assert_int_lt(drill.audit.end, 100 * NANOS_DAY);
	drill_free(&drill);
	bench_close(&b);
}
END_TEST

/* Printed, not judged: it depends on the machine. */
START_TEST(a_day_of_heavy_load)
{
	static const char text[] =
		"apiVersion: drsim/v1\nname: heavy\nseed: 1\nduration: 1d\n"
		"deployment:\n  sites:\n"
		"    - {name: p, nodes: 16, shape: gpu.8xh100-sxm}\n"
		"    - {name: s, nodes: 16, shape: gpu.8xh100-sxm, standby: {heat: hot}}\n"
		"  endpoints:\n    - name: chat\n      site: p\n      replicas: 64\n"
		"      gpus_per_replica: 2\n"
		"      load: {rate: 10000/s, service_time: {lognormal: {median: 250ms, sigma: "
		"0.4}}}\n"
		"  data: {io: {bytes: 20GB, change: 1MB/s, records: 10000/s}}\n"
		"  store: {site: s}\n"
		"backup: {every: 1h}\ndetector: {kind: probe}\nrecovery: {switch: 20s}\n"
		"steps:\n  - {at: 12h, fault: zone.outage, target: p}\n";
	struct bench b;
	struct drill drill;
	struct rusage usage;
	double started = seconds_now();

	bench_open(&b);
	run_text(&b, text, NULL, &drill);
	ck_assert_str_eq(only(&drill)->path, "failover");
	ck_assert_int_eq(getrusage(RUSAGE_CHILDREN, &usage), 0);
	printf("a day of 10,000 requests/s with one failover: %.2f s, %ld MiB at most\n",
	       seconds_now() - started, usage.ru_maxrss / 1024);
	fflush(stdout);
	drill_free(&drill);
	bench_close(&b);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "scenarios_do_what_they_say", scenarios_do_what_they_say);
	test_add_loop(suite, "scenarios_reach_their_figures", scenarios_reach_their_figures,
		      FIGURES);
	test_add_loop(suite, "scenarios_turn_with_the_plan", scenarios_turn_with_the_plan, CHANGES);
	test_add_loop(suite, "no_fault_takes_on_the_null_driver", no_fault_takes_on_the_null_driver,
		      STEPS);
	test_add_loop(suite, "every_fault_takes_and_is_undone", every_fault_takes_and_is_undone,
		      STEPS);
	test_add(suite, "same_seed_same_bytes", same_seed_same_bytes);
	test_add(suite, "sham_drills", sham_drills);
	test_add(suite, "a_guard_ends_a_drill", a_guard_ends_a_drill);
	test_add_loop(suite, "a_run_repeats", a_run_repeats, 2);
	test_add_loop(suite, "trial_0_is_the_single_run", trial_0_is_the_single_run, 2);
	test_add(suite, "a_split_brain_is_told", a_split_brain_is_told);
	test_add(suite, "a_fallback_carries", a_fallback_carries);
	test_add(suite, "levels_are_told", levels_are_told);
	test_add(suite, "standby_dies_during_restore", standby_dies_during_restore);
	test_add(suite, "standby_dies_after_takeover", standby_dies_after_takeover);
	test_add(suite, "standby_dies_and_there_is_another", standby_dies_and_there_is_another);
	test_add(suite, "primary_dies_again_during_failback", primary_dies_again_during_failback);
	test_add(suite, "repaired_primary_fails_over_again", repaired_primary_fails_over_again);
	test_add_loop(suite, "nothing_to_fall_back_on", nothing_to_fall_back_on, 4);
	test_add(suite, "primaries_share_a_standby", primaries_share_a_standby);
	test_add(suite, "an_old_fence_is_called_off", an_old_fence_is_called_off);
	test_add(suite, "newest_backup_is_corrupt", newest_backup_is_corrupt);
	test_add(suite, "false_alarms_cost_service", false_alarms_cost_service);
	test_add(suite, "killed_process_restarts", killed_process_restarts);
	test_add(suite, "delay_is_seen", delay_is_seen_by_those_who_look_at_latency);
	test_add(suite, "wrong_answers_need_a_canary", wrong_answers_need_a_canary);
	test_add_loop(suite, "what_nobody_finds_is_told", what_nobody_finds_is_told,
		      sizeof(silent) / sizeof(silent[0]));
	test_add(suite, "a_canary_finds_what_is_silent", a_canary_finds_what_is_silent);
	test_add(suite, "the_naive_monitor_is_seen_through", the_naive_monitor_is_seen_through);
	test_add(suite, "savings_survive_a_new_report", savings_survive_a_new_report);
	test_add(suite, "a_signal_ends_a_drill", a_signal_ends_a_drill);
	test_add(suite, "a_day_of_heavy_load", a_day_of_heavy_load);
	test_add_loop(suite, "random_faults", random_faults, CASES / CASES_PER_TEST);
	test_add_loop(suite, "random_pulses", random_pulses, CASES / CASES_PER_TEST / 2);
}

TEST_MAIN("drills", add_cases)
