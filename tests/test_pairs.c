/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every fault of the catalogue together with another: pairs drawn at random, the second one mostly
 * while the first is being recovered from. Each drill is audited from its own events. A table says
 * how the incidents ended. PAIRS_COUNT=n draws so many pairs, PAIRS_CASE=n runs one of them alone
 * and prints it.
 */
/* valgrind: skip */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "core/driver.h"
#include "core/fault.h"
#include "tests/audit.h"
#include "tests/test.h"

#define PAIRS 200
#define PAIRS_MAX 1000000
#define SAME_EVERY 10     /* of so many cases one runs twice, for the same bytes */
#define CASE_TIMEOUT 60   /* s; a drill that goes on for so long hangs */
#define LINES_MAX 2000000 /* of one drill's events; more is a loop that gets nowhere */
#define FAULTS_MAX 256
#define FAMILIES_MAX 32

/* ---- what the cases came to; shared with the processes they run in ---- */

struct family {
	char name[24];
	unsigned pairs, paths[PATHS];
};

struct totals {
	struct family families[FAMILIES_MAX];
	size_t family_count;
	unsigned pairs, faults, effective, inside, codes[6];
};

static struct totals *totals;

static struct family *family_of(const struct fault_ops *fault)
{
	size_t i = 0;

	while (i < totals->family_count && strcmp(totals->families[i].name, fault->group) != 0)
		i++;
	ck_assert_uint_lt(i, FAMILIES_MAX);
	if (i == totals->family_count) {
		snprintf(totals->families[i].name, sizeof(totals->families[i].name), "%s",
			 fault->group);
		totals->family_count++;
	}
	return &totals->families[i];
}

/* ---- which faults ---- */

static bool drawable(const struct fault_ops *fault)
{
	return (fault->needs & ~driver_find("sim")->effects) == 0 &&
	       (fault->targets &
		~(1u << ENTITY_JOB | 1u << ENTITY_RANK | 1u << ENTITY_CHECKPOINT)) != 0;
}

static size_t list_faults(const struct fault_ops *ret[FAULTS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; fault_table[i]; i++)
		if (drawable(fault_table[i])) {
			ck_assert_uint_lt(count, FAULTS_MAX);
			ret[count++] = fault_table[i];
		}
	return count;
}

/* ---- one scenario ---- */

struct draw {
	struct dice dice;
	FILE *out;
	unsigned primaries, replicas;
	const struct fault_ops *first, *second;
	bool nodes;  /* all nodes of a site are hit */
	bool inside; /* the second waits for a phase of the recovery from the first */
};

#define NODES 4
#define GPUS 8

static void draw_deployment(struct draw *d)
{
	struct dice *dice = &d->dice;
	const char *store = PICK(dice, "p0", "s0", "s0", "s1");

	d->primaries = dice_chance(dice, 25) ? 2 : 1;
	d->replicas = 1 + dice_below(dice, 3);
	fprintf(d->out, "deployment:\n  sites:\n");
	for (unsigned p = 0; p < d->primaries; p++)
		fprintf(d->out,
			"    - {name: p%u, region: eu-%u, nodes: 4, racks: 2, "
			"shape: gpu.8xh100-sxm}\n",
			p, p + 1);
	fprintf(d->out, "    - {name: s0, region: eu-3, nodes: 4, shape: gpu.8xh100-sxm, ");
	fprintf(d->out, "standby: {heat: %s, replication_lag: %s}}\n",
		PICK(dice, "hot", "warm", "warm", "cold"), PICK(dice, "0s", "5s", "2m"));
	fprintf(d->out, "    - {name: s1, region: eu-3, nodes: 4, shape: gpu.8xh100-sxm, ");
	fprintf(d->out, "standby: {heat: %s}}\n", PICK(dice, "cold", "cold", "warm"));
	fprintf(d->out, "  links:\n");
	for (unsigned p = 0; p < d->primaries; p++)
		for (unsigned s = 0; s < 2; s++)
			fprintf(d->out, "    - {between: [p%u, s%u], rate: %s, latency: 12ms}\n", p,
				s, PICK(dice, "100Gbit/s", "10Gbit/s"));
	assert(d->primaries > 0);
	if (d->primaries == 2)
		fprintf(d->out, "    - {between: [p0, p1], rate: 100Gbit/s, latency: 8ms}\n");
	fprintf(d->out, "    - {between: [s0, s1], rate: 100Gbit/s, latency: 5ms}\n");
	fprintf(d->out, "  endpoints:\n");
	for (unsigned i = 0; i < 2; i++) {
		fprintf(d->out, "    - name: e%u\n      site: p%u\n      replicas: %u\n", i,
			i % d->primaries, d->replicas);
		fprintf(d->out, "      gpus_per_replica: %s\n", PICK(dice, "1", "4"));
		fprintf(d->out, "      model: {bytes: 140GB, start: %s}\n",
			PICK(dice, "0s", "45s", "{uniform: {from: 10s, to: 60s}}"));
		fprintf(d->out, "      load: {rate: %u/s, service_time: %s, concurrency: 8, ",
			1 + dice_below(dice, 20),
			PICK(dice, "100ms", "{lognormal: {median: 200ms, sigma: 0.4}}"));
		fprintf(d->out, "requests: %s}\n",
			PICK(dice, "windows", "windows", "windows", "never", "always"));
		if (i == 1 && d->primaries == 1 && dice_chance(dice, 40))
			fprintf(d->out, "      fallback: e0\n");
	}
	fprintf(d->out, "  gateway: {interval: 5s, timeout: 2s, misses: 2, retries: %u}\n",
		dice_below(dice, 3));
	fprintf(d->out, "  platform: {restart: %s, reschedule: %s}\n",
		PICK(dice, "true", "true", "true", "false"), PICK(dice, "345s", "30s", "never"));
	fprintf(d->out, "  data:\n    model: {bytes: 140GB, change: 0B/s}\n"
			"    training: {bytes: 200GB, change: 50GB/d}\n"
			"    io: {bytes: 20GB, change: 1MB/s, records: 12/s}\n");
	fprintf(d->out, "  store: {site: %s, read: %s, write: 4GB/s}\n", store,
		PICK(dice, "8GB/s", "1GB/s"));
}

static void draw_detectors(struct draw *d)
{
	struct dice *dice = &d->dice;

	fprintf(d->out,
		"detector:\n  - {kind: probe, scope: %s, interval: 10s, timeout: 1s, "
		"misses: %u}\n",
		PICK(dice, "endpoint", "endpoint", "replica", "node"), 1 + dice_below(dice, 3));
	if (dice_chance(dice, 70))
		fprintf(d->out, "  - {kind: canary, every: %s, misses: %u}\n",
			PICK(dice, "10s", "60s"), 1 + dice_below(dice, 2));
	if (dice_chance(dice, 70))
		fprintf(d->out, "  - {kind: slo, window: %s, success: 95%%, latency: 2s}\n",
			PICK(dice, "1m", "5m"));
	if (dice_chance(dice, 15))
		fprintf(d->out, "  - {kind: fixed, delay: 30s}\n");
}

static void draw_plan(struct draw *d)
{
	struct dice *dice = &d->dice;

	fprintf(d->out, "backup: {every: %s, kind: %s, verify: %s, keep: %u",
		PICK(dice, "5m", "10m", "20m"), PICK(dice, "full", "incremental"),
		PICK(dice, "true", "false"), 1 + dice_below(dice, 12));
	if (dice_chance(dice, 30))
		fprintf(d->out, ", takes: %s", PICK(dice, "0s", "3m"));
	fprintf(d->out, "}\n");
	draw_detectors(d);
	fprintf(d->out, "recovery:\n  decide: %s\n  switch: %s\n  verify: %s\n  diagnose: %s\n",
		PICK(dice, "0s", "5s"), PICK(dice, "0s", "20s", "3m"), PICK(dice, "0s", "1m"),
		PICK(dice, "0s", "30s"));
	fprintf(d->out, "  fence: {timeout: %s, on_fail: %s}\n", PICK(dice, "0s", "10s"),
		PICK(dice, "stop", "proceed"));
	fprintf(d->out, "  restore: {order: %s, before_serving: %s}\n",
		PICK(dice, "sequential", "parallel"),
		PICK(dice, "[model, io]", "[model]", "[model, training, io]"));
	fprintf(d->out, "  repair: {time: %s, crews: %u}\n", PICK(dice, "2m", "20m", "1h"),
		1 + dice_below(dice, 2));
	fprintf(d->out, "  failback: {after: %s, verify: %s}\n",
		PICK(dice, "repaired", "repaired", "repaired", "never"),
		PICK(dice, "true", "false"));
	if (dice_chance(dice, 25))
		fprintf(d->out, "  prefer: in_place\n");
	fprintf(d->out, "steady_state: {success: %s, latency: 2s, window: %s}\n",
		PICK(dice, "99%", "95%", "60%"), PICK(dice, "30s", "10s"));
}

/* One of the things of the deployment that the fault can hit, as the target of a step. */
static void draw_target(struct draw *d, const struct fault_ops *fault)
{
	struct dice *dice = &d->dice;
	enum entity_kind kind;
	char site[4];

	do
		kind = (enum entity_kind)dice_below(dice, ENTITY_STANDBY + 1);
	while (!(fault->targets >> kind & 1) || kind == ENTITY_JOB);
	snprintf(site, sizeof(site), "%s",
		 dice_chance(dice, 70) ? "p0" : PICK(dice, "s0", "s1", "p0"));
	switch (kind) {
	case ENTITY_SITE:
		fprintf(d->out, "%s", site);
		break;
	case ENTITY_RACK:
		fprintf(d->out, "\"p0/rack[%u]\"", dice_below(dice, 2));
		break;
	case ENTITY_NODE:
		if (dice_chance(dice, 50)) {
			const char *select = PICK(dice, "one", "50%", "all", "all");

			d->nodes = strcmp(select, "all") == 0;
			fprintf(d->out, "\"%s/node[*]\", select: %s", site, select);
		} else {
			fprintf(d->out, "\"%s/node[%u]\"", site, dice_below(dice, NODES));
		}
		break;
	case ENTITY_GPU:
		if (dice_chance(dice, 30))
			fprintf(d->out, "\"%s/node[*]/gpu[*]\", select: %s", site,
				PICK(dice, "one", "50%", "all", "all"));
		else
			fprintf(d->out, "\"%s/node[%u]/gpu[%u]\"", site,
				dice_below(dice, d->replicas), dice_below(dice, GPUS / 2));
		break;
	case ENTITY_LINK:
		if (dice_chance(dice, 40))
			fprintf(d->out, "\"link[*]\", select: %s", PICK(dice, "one", "all"));
		else
			fprintf(d->out, "\"link[p0-s%u]\"", dice_below(dice, 2));
		break;
	case ENTITY_STORE:
		fprintf(d->out, "store");
		break;
	case ENTITY_ENDPOINT:
		fprintf(d->out, "\"endpoint/e%u\"", dice_below(dice, 2));
		break;
	case ENTITY_REPLICA:
		fprintf(d->out, "\"endpoint/e%u/replica[%u]\"", dice_below(dice, 2),
			dice_below(dice, d->replicas));
		break;
	case ENTITY_DATA:
		fprintf(d->out, "\"data/%s\"", PICK(dice, "model", "training", "io"));
		break;
	case ENTITY_BACKUP:
		fprintf(d->out, "\"backup[%s]\"", PICK(dice, "-1", "-1", "-2", "0"));
		break;
	case ENTITY_STANDBY:
		fprintf(d->out, "standby, select: %s", PICK(dice, "one", "all"));
		break;
	case ENTITY_NONE:
	case ENTITY_JOB:
	case ENTITY_RANK:
	case ENTITY_CHECKPOINT:
	case ENTITY_KINDS:
		ck_abort_msg("%s: no target", fault->name);
	}
}

/* A value in the range of its row; NULL: the preset. */
static const char *draw_value(struct draw *d, const struct param *param)
{
	struct dice *dice = &d->dice;

	switch (param->type) {
	case PARAM_DURATION:
		return PICK(dice, "1s", "10s", "1m", "5m");
	case PARAM_PERCENT:
		return PICK(dice, "1%", "10%", "50%", "99%");
	case PARAM_RATE:
		return PICK(dice, "1MB/s", "100MB/s", "1GB/s");
	case PARAM_CHOICE: {
		unsigned count = 0;

		/* Shapes run through several things, groups and states have words of their own. */
		if (strcmp(param->name, "shape") == 0)
			return d->nodes ? PICK(dice, "halves", "one", "majority", "ring", "bridge")
					: NULL;
		if (strcmp(param->name, "model") == 0)
			return PICK(dice, "random", "gemodel");
		while (param->choices[count])
			count++;
		return param->choices[dice_below(dice, count)];
	}
	case PARAM_INTEGER:
		if (strcmp(param->name, "code") == 0)
			return PICK(dice, "79", "31", "63", "94", "48");
		return NULL;
	case PARAM_NUMBER:
		if (strcmp(param->name, "celsius") == 0)
			return PICK(dice, "90", "95");
		return NULL;
	case PARAM_BOOL:
	case PARAM_SIZE:
	case PARAM_PER_TIME:
	case PARAM_DIST:
	case PARAM_TEXT:
	case PARAM_COUNT:
	case PARAM_SEED:
	case PARAM_NODE:
		break;
	}
	return NULL;
}

/* Values that do not fit any other of the same fault: states are correlated as it is, and no time
 * is below 0. */
static bool is_bound(const struct fault_ops *fault, const struct param *param)
{
	if (strcmp(fault->name, "net.loss") == 0)
		return strcmp(param->name, "correlation") == 0;
	return strcmp(fault->name, "io.latency") == 0 && strcmp(param->name, "jitter") == 0;
}

static void draw_fault(struct draw *d, const struct fault_ops *fault)
{
	const char *src = "";

	fprintf(d->out, "fault: %s, target: ", fault->name);
	d->nodes = false;
	draw_target(d, fault);
	for (const struct param *param = fault->params; param->name; param++) {
		const char *value = draw_value(d, param);

		if (!value || !dice_chance(&d->dice, 60))
			continue;
		if (strcmp(param->name, "src") == 0)
			src = value;
		if (strcmp(param->name, "dst") == 0 && strcmp(value, src) == 0)
			continue; /* refused: a block in its own place harms nothing */
		if (is_bound(fault, param))
			continue;
		fprintf(d->out, ", %s: %s", param->name, value);
	}
	if (dice_chance(&d->dice, 35))
		fprintf(d->out, ", for: %s", PICK(&d->dice, "5s", "2m", "15m", "40m"));
	else
		fprintf(d->out, ", for: %s",
			PICK(&d->dice, "repaired", "repaired", "repaired", "permanent"));
	fprintf(d->out, "}\n");
}

static void draw_second_time(struct draw *d)
{
	struct dice *dice = &d->dice;

	d->inside = dice_chance(dice, 60);
	if (!d->inside) {
		fprintf(d->out, "  - {at: %us, ", 900 + dice_below(dice, 3600));
		return;
	}
	fprintf(d->out, "  - {after: {phase: %s, ",
		PICK(dice, "detect", "switch", "restore", "restore", "verify", "repair",
		     "failback"));
	if (dice_chance(dice, 50))
		fprintf(d->out, "delay: %s}, ", PICK(dice, "0s", "1s", "20s", "5m"));
	else
		fprintf(d->out, "progress: %s}, ", PICK(dice, "10%", "50%", "100%"));
}

/* The scenario of case number `n`, for free(). Over the cases every fault is the first one. */
static char *draw_scenario(uint64_t n, struct draw *d)
{
	const struct fault_ops *faults[FAULTS_MAX];
	size_t count = list_faults(faults), size;
	char *text = NULL;

	*d = (struct draw){.dice = {n}};
	dice_roll(&d->dice);
	d->first = faults[n % count];
	d->second = faults[dice_below(&d->dice, (unsigned)count)];
	d->out = open_memstream(&text, &size);
	ck_assert_ptr_nonnull(d->out);
	fprintf(d->out,
		"apiVersion: drsim/v1\nname: pair%" PRIu64 "\nseed: %" PRIu64
		"\nduration: 3h\nobjectives: {frt: 10m, brp: {seconds: 20m}, availability: 90%%}\n",
		n, n);
	draw_deployment(d);
	draw_plan(d);
	fprintf(d->out, "steps:\n  - {at: %us, ", 1200 + dice_below(&d->dice, 1800));
	draw_fault(d, d->first);
	draw_second_time(d);
	draw_fault(d, d->second);
	ck_assert_int_eq(fclose(d->out), 0);
	return text;
}

/* ---- one case ---- */

static void count_case(const struct draw *d, const struct audit *a, const struct record *record)
{
	struct family *family = family_of(d->first);

	family->pairs++;
	for (size_t i = 0; i < a->count; i++)
		for (int k = 0; k < PATHS; k++)
			family->paths[k] += strcmp(a->incidents[i].path, path_names[k]) == 0;
	totals->pairs++;
	totals->inside += d->inside;
	totals->faults += a->injected;
	totals->effective += a->effective;
	totals->codes[record->exit_code]++;
}

/* The same drill once more, from the text on. */
static void check_same(struct bench *b, const char *text, uint64_t n, const char *events,
		       size_t size)
{
	struct record *record = arena_alloc(&b->arena, sizeof(*record));
	struct scenario *scenario;
	char *again;
	size_t again_size;

	bench_load(&b->arena, text, &scenario);
	bench_run(b, scenario, n, &again, &again_size, record);
	ck_assert_uint_eq(again_size, size);
	ck_assert_msg(memcmp(again, events, size) == 0, "the same seed gives other events");
	free(again);
}

/* Nothing is left of any fault; a drill that could not be judged says so, and that is all. */
static void check_ends(const struct record *record, const cJSON *json)
{
	const cJSON *fault;

	ck_assert_msg(record->exit_code == 0 || record->exit_code == 1 || record->exit_code == 3,
		      "exit code %d", record->exit_code);
	cJSON_ArrayForEach (fault, audit_field(json, "faults")) {
		ck_assert_msg(!cJSON_IsTrue(audit_field(fault, "applied")) ||
				      cJSON_IsTrue(audit_field(fault, "reverted")),
			      "%s was not taken back", audit_word(fault, "name"));
	}
}

static void run_case(struct bench *b, uint64_t n)
{
	bool show = getenv("PAIRS_CASE") != NULL;
	struct draw d;
	char *text = draw_scenario(n, &d), *events;
	struct scenario *scenario;
	struct audit *a = arena_alloc(&b->arena, sizeof(*a));
	struct record *record = arena_alloc(&b->arena, sizeof(*record));
	size_t size;

	if (show)
		printf("%s", text);
	fflush(stdout);
	bench_load(&b->arena, text, &scenario);
	bench_run(b, scenario, n, &events, &size, record);
	if (show)
		printf("%s", events);
	fflush(stdout);
	if (n % SAME_EVERY == 0)
		check_same(b, text, n, events, size);
	audit_text(b, events, size, a);
	ck_assert_int_lt(a->lines, LINES_MAX);
	audit_check(a);
	if (d.primaries == 1)
		audit_outages(a, scenario->steady_state.window);
	cJSON *json = bench_record(b, b->folder);
	check_ends(record, json);
	audit_compare(a, json);
	audit_requests(json);
	cJSON_Delete(json);
	ck_assert_str_eq(a->reason, record->exit_code == 3 ? "not_effective" : "complete");
	count_case(&d, a, record);
	audit_free(a);
	free(events);
	free(text);
}

static int first_case(void)
{
	const char *only = getenv("PAIRS_CASE");

	return only ? (int)strtol(only, NULL, 10) : 0;
}

static int end_case(void)
{
	const char *count = getenv("PAIRS_COUNT");
	long end = count ? strtol(count, NULL, 10) : PAIRS;

	if (getenv("PAIRS_CASE"))
		return first_case() + 1;
	return (int)(end > 0 && end <= PAIRS_MAX ? end : PAIRS);
}

START_TEST(pair)
{
	struct bench b;

	printf("case %d\n", _i);
	fflush(stdout);
	bench_open(&b);
	run_case(&b, (uint64_t)_i);
	bench_close(&b);
}
END_TEST

/* ---- the table ---- */

static void print_row(const char *name, const unsigned paths[PATHS], unsigned pairs)
{
	unsigned sum = 0;

	printf("%-12s %6u", name, pairs);
	for (int k = 0; k < PATHS; k++) {
		printf(" %11u", paths[k]);
		sum += paths[k];
	}
	printf(" %10u\n", sum);
}

static void print_table(void)
{
	const struct fault_ops *faults[FAULTS_MAX];
	unsigned sums[PATHS] = {0}, left_out = 0;

	for (size_t i = 0; fault_table[i]; i++)
		if (!drawable(fault_table[i])) {
			printf("left out, these scenarios have nothing for it: %s\n",
			       fault_table[i]->name);
			left_out++;
		}
	printf("%zu faults drawn from, %u left out; %u pairs, %u with the second fault inside "
	       "a recovery; %u faults injected, %u took effect; exit 0: %u, 1: %u, 3: %u\n",
	       list_faults(faults), left_out, totals->pairs, totals->inside, totals->faults,
	       totals->effective, totals->codes[0], totals->codes[1], totals->codes[3]);
	printf("%-12s %6s", "first fault", "pairs");
	for (int k = 0; k < PATHS; k++)
		printf(" %11s", path_names[k]);
	printf(" %10s\n", "incidents");
	for (size_t i = 0; i < totals->family_count; i++) {
		const struct family *family = &totals->families[i];

		print_row(family->name, family->paths, family->pairs);
		for (int k = 0; k < PATHS; k++)
			sums[k] += family->paths[k];
	}
	print_row("all", sums, totals->pairs);
	fflush(stdout);
}

static void share_totals(void)
{
	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ck_assert_ptr_ne(totals, MAP_FAILED);
}

static void add_cases(Suite *suite)
{
	TCase *tcase = tcase_create("pairs of faults");

	tcase_add_unchecked_fixture(tcase, share_totals, print_table);
	tcase_set_timeout(tcase, CASE_TIMEOUT);
	tcase_add_loop_test(tcase, pair, first_case(), end_case());
	suite_add_tcase(suite, tcase);
}

TEST_MAIN("pairs", add_cases)
