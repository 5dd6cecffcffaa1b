/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each effect does to the simulated deployment, by hand arithmetic; that it is taken back
 * whole; and what two of a kind do together. The scenario: a replica on node 0 of 4 that serves
 * 256 requests per second, 120 coming; a backup every 10 min that takes no time; 12 ms to the
 * standby, which needs 140 GB / 6 GB/s + 45 s to start; 10 s to detect, 20 s to switch.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/driver.h"
#include "core/fault.h"
#include "tests/audit.h"
#include "tests/test.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SETS_MAX 6
#define EXACT 1e-9
#define START (140.0 / 6 + 45)

static const char scenario_text[] =
	"apiVersion: drsim/v1\n"
	"name: effects\n"
	"seed: 1\n"
	"duration: 2h\n"
	"deployment:\n"
	"  sites:\n"
	"    - {name: primary, region: eu-1, nodes: 4, racks: 2, shape: gpu.8xh100-sxm}\n"
	"    - {name: backup, nodes: 4, shape: gpu.8xh100-sxm, standby: {heat: warm}}\n"
	"  links: [{between: [primary, backup], rate: 100Gbit/s, latency: 12ms}]\n"
	"  endpoints:\n"
	"    - name: chat\n"
	"      site: primary\n"
	"      replicas: 1\n"
	"      gpus_per_replica: 8\n"
	"      model: {bytes: 140GB, start: 45s}\n"
	"      load: {rate: 120/s, service_time: 250ms, requests: never}\n"
	"  data:\n"
	"    model: {bytes: 140GB, change: 0B/s}\n"
	"    io: {bytes: 20GB, change: 1MB/s, records: 120/s}\n"
	"  store: {site: backup, read: 8GB/s, write: 4GB/s}\n"
	"backup: {every: 10m, takes: 0s, classes: [model, io], verify: false}\n"
	"detector: {kind: fixed, delay: 10s}\n"
	"recovery: {switch: 20s, repair: {time: 20m}, restore: {classes: [model, io]}}\n"
	"steps: [{at: 34m, fault: node.crash, target: \"primary/node[0]\"}]\n";

/* ---- one run ---- */

struct drill {
	struct bench bench;
	cJSON *record;
	struct audit *audit;
};

static void drill_run(struct drill *drill, const char *const sets[SETS_MAX])
{
	struct bench *b = &drill->bench;
	struct scenario *scenario;
	struct error errors[4] = {0};
	struct record *record;
	size_t set_count = 0, error_count = 0, size;
	char *events;

	bench_open(b);
	for (; set_count < SETS_MAX && sets[set_count]; set_count++)
		;
	ck_assert_msg(scenario_parse("effects.yaml", scenario_text, strlen(scenario_text), sets,
				     set_count, &b->arena, &scenario, errors, 4, &error_count) == 0,
		      "%s", errors[0].text);
	record = arena_alloc(&b->arena, sizeof(*record));
	bench_run(b, scenario, 1, &events, &size, record);
	drill->record = bench_record(b, b->folder);
	drill->audit = arena_alloc(&b->arena, sizeof(*drill->audit));
	audit_text(b, events, size, drill->audit);
	audit_check(drill->audit);
	audit_compare(drill->audit, drill->record);
	free(events);
}

static void drill_free(struct drill *drill)
{
	cJSON_Delete(drill->record);
	audit_free(drill->audit);
	bench_close(&drill->bench);
}

/* ---- what a row asks for ---- */

/* "level.capacity@1230": a field of the service's level at that second. */
static const cJSON *find_level(const struct drill *drill, const char *path)
{
	const char *at = strchr(path, '@');
	char name[32];
	nanos when = (nanos)strtoll(at + 1, NULL, 10) * NANOS_S;
	const cJSON *found = NULL;

	snprintf(name, sizeof(name), "%.*s", (int)(at - path), path);
	for (int64_t i = 0; i < drill->audit->lines; i++) {
		const cJSON *event = drill->audit->events[i];

		if (audit_is(event, "service.level") && audit_number(event, "t_ns") <= when &&
		    strcmp(audit_word(event, "endpoint"), "chat") == 0)
			found = audit_field(event, name);
	}
	ck_assert_msg(found != NULL, "no level at %s", path);
	return found;
}

/* "incidents[0].brp.seconds" of the record. */
static const cJSON *find(const struct drill *drill, const char *path)
{
	char *words = strdup(path), *rest = words, *word;
	const cJSON *item = drill->record;

	if (strncmp(path, "level.", 6) == 0) {
		free(words);
		return find_level(drill, path + 6);
	}
	while ((word = strsep(&rest, ".[")) != NULL && item) {
		char *end = strchr(word, ']');
		item = end ? cJSON_GetArrayItem(item, (int)strtol(word, NULL, 10))
			   : cJSON_GetObjectItemCaseSensitive(item, word);
	}
	ck_assert_msg(item != NULL, "the record has no %s", path);
	free(words);
	return item;
}

struct row {
	const char *what;
	const char *sets[SETS_MAX];
	const char *path;
	double number;
	const char *text; /* instead of a number; "null" too */
};

static void check_row(const struct row *row)
{
	struct drill drill;

	drill_run(&drill, row->sets);
	const cJSON *item = find(&drill, row->path);
	if (row->text && strcmp(row->text, "null") == 0)
		ck_assert_msg(cJSON_IsNull(item), "%s: %s is %s", row->what, row->path,
			      cJSON_PrintUnformatted(item));
	else if (row->text)
		ck_assert_msg(cJSON_IsString(item) && !strcmp(item->valuestring, row->text),
			      "%s: %s is %s, not %s", row->what, row->path,
			      cJSON_PrintUnformatted(item), row->text);
	else
		ck_assert_msg(cJSON_IsNumber(item) && fabs(item->valuedouble - row->number) <=
							      EXACT * fmax(fabs(row->number), 1),
			      "%s: %s is %s, not %.12g", row->what, row->path,
			      cJSON_PrintUnformatted(item), row->number);
	drill_free(&drill);
}

#define LATE "detector.delay=90m"
#define BAD "metrics.bad_s"
#define BRP "metrics.brp.seconds"
#define DATA "metrics.data_recovery_s"
#define FRT "metrics.frt_s"
#define VERDICT "verdict"
#define OUTSIDE "the fault had no effect"
#define TWO "deployment.endpoints[0].replicas=2"
#define FOUR "deployment.endpoints[0].replicas=4"
#define HOT "deployment.sites[1].standby={heat: hot, replicas: 1, replication_lag: 5s}"
#define STORE_AWAY "deployment.store.site=primary"
#define LIMIT(latency) "steady_state.latency=" latency
#define STEP(at, fault, length) "{at: " at ", fault: " fault ", for: " length "}"
#define CRASH "{at: 34m, fault: node.crash, target: \"primary/node[0]\"}"
#define ONE(fault, length) "steps=[" STEP("20m", fault, length) "]"
/* The same thing twice: from 20 min and from 22 min. */
#define PAIR(first, length, second, other)                                                         \
	"steps=[" STEP("20m", first, length) ", " STEP("22m", second, other) "]"
#define BEFORE(fault) "steps=[" STEP("33m", fault, "1h") ", " CRASH "]"

#define SLOWER(times) "gpu.straggler, target: \"primary/node[0]/gpu[3]\", slowdown: " times
#define WRONG(gpu, rate) "gpu.sdc, target: \"primary/node[0]/gpu[" gpu "]\", rate: " rate
#define KILL(at) "{at: " at ", fault: proc.kill, target: \"endpoint/chat/replica[0]\"}"
#define HANGS "gpu.hang, target: \"primary/node[0]/gpu[3]\""
#define GRAY(more) "node.gray, target: \"primary/node[0]\", " more

/* A replica that goes at a third of its pace: 256 + 0.333333 x 256 (shares are in ppm). */
static const struct row nodes[] = {
	{"straggler", {TWO, LATE, ONE(SLOWER("3"), "5m")}, "level.capacity@1230", 341.333248, NULL},
	{"and then", {TWO, LATE, ONE(SLOWER("3"), "5m")}, "level.capacity@1510", 512, NULL},
	{"750 ms", {TWO, LATE, LIMIT("749ms"), ONE(SLOWER("3"), "5m")}, BAD, 300, NULL},
	{"750 ms are in time", {TWO, LATE, LIMIT("751ms"), ONE(SLOWER("3"), "5m")}, BAD, 0, NULL},
	{"half of the answers",
	 {TWO, LATE, LIMIT("749ms"), ONE(SLOWER("3"), "5m")},
	 "level.success@1230",
	 0.5,
	 NULL},
	{"the slowest counts",
	 {TWO, LATE, PAIR(SLOWER("3"), "10m", SLOWER("4"), "4m")},
	 "level.capacity@1330",
	 320,
	 NULL},
	{"the second ends first",
	 {TWO, LATE, PAIR(SLOWER("3"), "10m", SLOWER("4"), "4m")},
	 "level.capacity@1570",
	 341.333248,
	 NULL},
	{"the first ends first",
	 {TWO, LATE, PAIR(SLOWER("3"), "4m", SLOWER("4"), "10m")},
	 "level.capacity@1450",
	 320,
	 NULL},
	{"both ended",
	 {TWO, LATE, PAIR(SLOWER("3"), "4m", SLOWER("4"), "10m")},
	 "level.capacity@1930",
	 512,
	 NULL},
	{"a GPU hangs, the other replica serves",
	 {TWO, LATE, ONE(HANGS, "5m")},
	 "level.capacity@1230",
	 256,
	 NULL},
	{"half of them wait until it is out of the rotation",
	 {TWO, LATE, ONE(HANGS, "5m")},
	 BAD,
	 7,
	 NULL},
	{"it goes on without a start", {LATE, ONE(HANGS, "5m")}, BAD, 300, NULL},
	{"killing it does not help",
	 {LATE, "steps=[" STEP("20m", HANGS, "5m") ", " KILL("21m") "]"},
	 BAD,
	 300,
	 NULL},
	{"a straggler on a node that is down",
	 {LATE, PAIR("node.crash, target: \"primary/node[0]\"", "10m", SLOWER("3"), "5m")},
	 VERDICT,
	 0,
	 "invalid"},
	{"hot",
	 {TWO, LATE, ONE("gpu.thermal, target: \"primary/node[0]/gpu[0]\"", "5m")},
	 "level.capacity@1230",
	 384,
	 NULL},
	{"too hot", /* it is gone: its process starts again in vain until it is there */
	 {LATE, ONE("gpu.thermal, target: \"primary/node[0]/gpu[0]\", celsius: 95", "5m")},
	 BAD,
	 300 + START,
	 NULL},
	{"wrong results",
	 {TWO, LATE, ONE(WRONG("0", "10%"), "5m")},
	 "level.success@1230",
	 0.95,
	 NULL},
	{"are wrong answers",
	 {TWO, LATE, ONE(WRONG("0", "10%"), "5m")},
	 "requests.wrong",
	 1800,
	 NULL},
	{"of two GPUs",
	 {TWO, LATE, PAIR(WRONG("0", "10%"), "10m", WRONG("1", "20%"), "4m")},
	 "level.success@1330",
	 1 - 0.28 / 2,
	 NULL},
	{"of the first",
	 {TWO, LATE, PAIR(WRONG("0", "10%"), "10m", WRONG("1", "20%"), "4m")},
	 "level.success@1570",
	 0.95,
	 NULL},
	{"of the second",
	 {TWO, LATE, PAIR(WRONG("0", "10%"), "4m", WRONG("1", "20%"), "10m")},
	 "level.success@1450",
	 0.9,
	 NULL},
	{"gray: errors",
	 {TWO, LATE, ONE(GRAY("latency: 0s"), "5m")},
	 "level.success@1230",
	 0.95,
	 NULL},
	{"gray: of 36000",
	 {TWO, LATE, ONE(GRAY("latency: 0s"), "5m")},
	 "requests.failed",
	 1800,
	 NULL},
	{"gray of four",
	 {FOUR, LATE, ONE(GRAY("latency: 0s"), "5m")},
	 "level.success@1230",
	 0.975,
	 NULL},
	{"gray: slow",
	 {TWO, LATE, ONE(GRAY("latency: 2s, error_rate: 0%"), "5m")},
	 "level.success@1230",
	 0.5,
	 NULL},
	{"gray: not too slow",
	 {TWO, LATE, ONE(GRAY("latency: 1750ms, error_rate: 0%"), "5m")},
	 BAD,
	 0,
	 NULL},
	{"gray twice",
	 {TWO, LATE, PAIR(GRAY("latency: 0s"), "10m", GRAY("latency: 0s, error_rate: 20%"), "4m")},
	 "level.success@1330",
	 1 - 0.28 / 2,
	 NULL},
	{"gray, the first ends first",
	 {TWO, LATE, PAIR(GRAY("latency: 0s"), "4m", GRAY("latency: 0s, error_rate: 20%"), "10m")},
	 "level.success@1450",
	 0.9,
	 NULL},
	{"a reboot",
	 {LATE, ONE("node.reboot, target: \"primary/node[0]\", takes: 3m", "repaired")},
	 BAD,
	 180 + START,
	 NULL},
	{"a reboot in good order", /* the other one has its requests at once */
	 {TWO, LATE,
	  ONE("node.reboot, target: \"primary/node[0]\", takes: 3m, mode: graceful", "repaired")},
	 BAD,
	 0,
	 NULL},
	{"a hard one", /* out of the rotation at 1205 s + 2 s; till then half of them wait 2 s */
	 {TWO, LATE, ONE("node.reboot, target: \"primary/node[0]\", takes: 3m", "repaired")},
	 BAD,
	 7,
	 NULL},
	{"a reboot of a node that is down",
	 {LATE, PAIR("node.crash, target: \"primary/node[0]\"", "10m",
		     "node.reboot, target: \"primary/node[0]\"", "repaired")},
	 VERDICT,
	 0,
	 "invalid"},
	{"a GPU goes with an Xid while it is away, and comes back with the later repair",
	 {LATE, "deployment.platform={reschedule: never}",
	  PAIR("gpu.lost, target: \"primary/node[0]/gpu[0]\"", "5m",
	       "gpu.fallen_off_bus, target: \"primary/node[0]/gpu[0]\"", "10m")},
	 BAD,
	 720 + START,
	 NULL},
};

#define BURN(more) "cpu.burn, target: \"primary/node[0]\"" more
#define SQUEEZE(target, cpu) "cgroup.squeeze, target: \"endpoint/chat" target "\", cpu: " cpu
#define FILL(more) "mem.fill, target: \"primary/node[0]\"" more
#define SERVER "deployment.endpoints[0].gpus_per_replica=0"
#define ONE_NODE                                                                                   \
	"deployment.sites[0].nodes=1", "deployment.sites[0].racks=1",                              \
		"deployment.endpoints[0].gpus_per_replica=4"

#define AN_ENDPOINT(name, bytes)                                                                   \
	"{name: " name ", site: primary, gpus_per_replica: 4, model: {bytes: " bytes "}, load: "   \
	"{rate: 12/s, service_time: 250ms, requests: never}}"
#define ENDPOINTS(first, bytes, second, more)                                                      \
	"deployment.sites[0].nodes=1", "deployment.sites[0].racks=1",                              \
		"deployment.endpoints=[" AN_ENDPOINT(first, bytes) ", " AN_ENDPOINT(second,        \
										    more) "]"

/* 62 % of a request is CPU: with half of it left it takes 0.38 + 0.62 / 0.5 of its time. A process
 * needs a tenth of its node's memory. */
static const struct row resources[] = {
	{"half of the CPU",
	 {TWO, LATE, ONE(BURN(""), "5m")},
	 "level.capacity@1230",
	 256 + 256 / 1.62,
	 NULL},
	{"and then", {TWO, LATE, ONE(BURN(""), "5m")}, "level.capacity@1510", 512, NULL},
	{"405 ms", {LATE, LIMIT("404ms"), ONE(BURN(""), "5m")}, BAD, 300, NULL},
	{"405 ms are in time", {LATE, LIMIT("406ms"), ONE(BURN(""), "5m")}, BAD, 0, NULL},
	{"without a GPU", {LATE, SERVER, ONE(BURN(""), "5m")}, "level.capacity@1230", 128, NULL},
	{"a fifth of the CPU",
	 {LATE, ONE(BURN(", load: 20%"), "5m")},
	 "level.capacity@1230",
	 256 / (0.38 + 0.62 / 0.8),
	 NULL},
	{"on half of the CPUs",
	 {LATE, ONE(BURN(", workers: 112, load: 80%"), "5m")},
	 "level.capacity@1230",
	 256 / (0.38 + 0.62 / 0.6),
	 NULL},
	{"on half of fewer CPUs",
	 {LATE, "deployment.sites[0].cpus=32", ONE(BURN(", workers: 16, load: 80%"), "5m")},
	 "level.capacity@1230",
	 256 / (0.38 + 0.62 / 0.6),
	 NULL},
	{"more workers than CPUs",
	 {LATE, ONE(BURN(", workers: 1000, load: 40%"), "5m")},
	 "level.capacity@1230",
	 256 / (0.38 + 0.62 / 0.6),
	 NULL},
	{"two burn",
	 {LATE, PAIR(BURN(", load: 20%"), "10m", BURN(", load: 10%"), "4m")},
	 "level.capacity@1330",
	 256 / (0.38 + 0.62 / 0.7),
	 NULL},
	{"the first burns on",
	 {LATE, PAIR(BURN(", load: 20%"), "10m", BURN(", load: 10%"), "4m")},
	 "level.capacity@1570",
	 256 / (0.38 + 0.62 / 0.8),
	 NULL},
	{"the second burns on",
	 {LATE, PAIR(BURN(", load: 20%"), "4m", BURN(", load: 10%"), "10m")},
	 "level.capacity@1570",
	 256 / (0.38 + 0.62 / 0.9),
	 NULL},
	{"never less than half",
	 {LATE, PAIR(BURN(", load: 40%"), "10m", BURN(", load: 40%"), "4m")},
	 "level.capacity@1330",
	 256 / 1.62,
	 NULL},
	{"there is no more to take",
	 {LATE, PAIR(BURN(", load: 60%"), "10m", BURN(""), "4m")},
	 VERDICT,
	 0,
	 "invalid"},
	{"another node",
	 {LATE, ONE("cpu.burn, target: \"primary/node[1]\"", "5m")},
	 "level.capacity@1230",
	 256,
	 NULL},
	{"a quarter by quota",
	 {TWO, LATE, ONE(SQUEEZE("/replica[0]", "25%"), "5m")},
	 "level.capacity@1230",
	 256 + 256 / 2.86,
	 NULL},
	{"a quarter of all",
	 {TWO, LATE, ONE(SQUEEZE("", "25%"), "5m")},
	 "level.capacity@1230",
	 512 / 2.86,
	 NULL},
	{"by quota without a GPU",
	 {LATE, SERVER, ONE(SQUEEZE("", "50%"), "5m")},
	 "level.capacity@1230",
	 128,
	 NULL},
	{"the tighter one",
	 {LATE, PAIR(SQUEEZE("", "50%"), "10m", SQUEEZE("", "25%"), "4m")},
	 "level.capacity@1330",
	 256 / 2.86,
	 NULL},
	{"a wider one on top changes nothing",
	 {LATE, PAIR(SQUEEZE("", "25%"), "10m", SQUEEZE("", "50%"), "4m")},
	 "level.capacity@1330",
	 256 / 2.86,
	 NULL},
	{"the wider one is left",
	 {LATE, PAIR(SQUEEZE("", "50%"), "10m", SQUEEZE("", "25%"), "4m")},
	 "level.capacity@1570",
	 256 / 1.62,
	 NULL},
	{"less by quota than others leave",
	 {LATE, PAIR(BURN(""), "10m", SQUEEZE("", "25%"), "4m")},
	 "level.capacity@1330",
	 256 / 2.86,
	 NULL},
	{"less is left than by quota",
	 {LATE, PAIR(SQUEEZE("", "80%"), "10m", BURN(""), "4m")},
	 "level.capacity@1330",
	 256 / 1.62,
	 NULL},
	{"of a replica that is throttled the GPU is slow",
	 {LATE, PAIR(SQUEEZE("", "25%"), "10m", SLOWER("4"), "4m")},
	 "level.capacity@1330",
	 256 / 2.86 / 4,
	 NULL},
	{"a quota that tightens", /* in ten steps */
	 {LATE, "steps=[{at: 20m, fault: " SQUEEZE("", "25%") ", ramp: 2m, for: 5m}]"},
	 "level.capacity@1201",
	 256 / (0.38 + 0.62 / 0.925),
	 NULL},
	{"workers that set in",
	 {LATE, "steps=[{at: 20m, fault: " BURN("") ", ramp: 2m, for: 5m}]"},
	 "level.capacity@1201",
	 256 / (0.38 + 0.62 / 0.9),
	 NULL},
	{"bytes that fill up", /* the last step is at 22 min */
	 {LATE, "steps=[{at: 20m, fault: " FILL(", size: 1900GB") ", ramp: 2m, for: 5m}]"},
	 BAD,
	 180 + START,
	 NULL},
	{"hardly any memory", {LATE, ONE(FILL(""), "5m")}, BAD, 300 + START, NULL},
	{"enough memory", {LATE, ONE(FILL(", percent: 90%"), "5m")}, BAD, 0, NULL},
	{"not enough", {LATE, ONE(FILL(", percent: 90.1%"), "5m")}, BAD, 300 + START, NULL},
	{"1.8 TB of 2 TB", {LATE, ONE(FILL(", size: 1800GB"), "5m")}, BAD, 0, NULL},
	{"1.81 TB of 2 TB", {LATE, ONE(FILL(", size: 1810GB"), "5m")}, BAD, 300 + START, NULL},
	{"1.81 TB of 4 TB",
	 {LATE, "deployment.sites[0].memory=4TB", ONE(FILL(", size: 1810GB"), "5m")},
	 BAD,
	 0,
	 NULL},
	{"two that fill it",
	 {LATE, PAIR(FILL(", percent: 50%"), "10m", FILL(", percent: 45%"), "4m")},
	 BAD,
	 240 + START,
	 NULL},
	{"one that had filled it",
	 {LATE, PAIR(FILL(", percent: 50%"), "1m", FILL(", percent: 45%"), "4m")},
	 BAD,
	 0,
	 NULL},
	{"the biggest of two is killed",
	 {TWO, ONE_NODE, LATE, ONE(FILL(""), "5m")},
	 "level.capacity@1210",
	 256,
	 NULL},
	{"the other one serves", {TWO, ONE_NODE, LATE, ONE(FILL(""), "5m")}, BAD, 0, NULL},
	{"what loads is killed first", /* at 1200 s, and then each time that it was loaded */
	 {TWO, ONE_NODE, LATE, "steps=[" KILL("1195s") ", " STEP("20m", FILL(""), "5m") "]"},
	 BAD,
	 0,
	 NULL},
	{"what initialises too",
	 {TWO, ONE_NODE, LATE, "steps=[" KILL("1170s") ", " STEP("20m", FILL(""), "5m") "]"},
	 "level.capacity@1260",
	 256,
	 NULL},
	{"whatever its number", /* is killed while the other one serves */
	 {TWO, ONE_NODE, LATE,
	  "steps=[{at: 1195s, fault: proc.kill, target: \"endpoint/chat/replica[1]\"}, " STEP(
		  "20m", FILL(""), "5m") "]"},
	 BAD,
	 0,
	 NULL},
	{"the bigger model goes",
	 {ENDPOINTS("chat", "140GB", "mail", "200GB"), LATE, ONE(FILL(""), "5m")},
	 "level.capacity@1210",
	 256,
	 NULL},
	{"what loads goes before what is bigger",
	 {ENDPOINTS("mail", "140GB", "chat", "200GB"), LATE,
	  "steps=[{at: 1195s, fault: proc.kill, target: endpoint/mail}, " STEP("20m", FILL(""),
									       "5m") "]"},
	 "level.capacity@1210",
	 256,
	 NULL},
	{"memory of a node that is down",
	 {LATE, PAIR("node.crash, target: \"primary/node[0]\"", "10m", FILL(""), "5m")},
	 VERDICT,
	 0,
	 "invalid"},
	{"killed for want of memory",
	 {LATE, "steps=[{at: 20m, fault: proc.oom, target: \"endpoint/chat/replica[0]\"}]"},
	 BAD,
	 START,
	 NULL},
	{"and over when it is back",
	 {LATE, "steps=[{at: 20m, fault: proc.oom, target: \"endpoint/chat/replica[0]\"}]"},
	 "incidents[0].t_normal_ns",
	 (1200 + START) * 1e9,
	 NULL},
	{"one of two is",
	 {TWO, LATE, "steps=[{at: 20m, fault: proc.oom, target: \"endpoint/chat/replica[0]\"}]"},
	 "level.capacity@1230",
	 256,
	 NULL},
	{"the next time it is killed by somebody",
	 {"steps=[{at: 20m, fault: proc.oom, target: endpoint/chat}, " KILL("70m") "]"},
	 "incidents[1].diagnosis",
	 0,
	 "proc.kill"},
	{"what does not run is not",
	 {LATE, "deployment.platform={restart: false}",
	  "steps=[" KILL("20m") ", " STEP("21m", "proc.oom, target: endpoint/chat",
					  "permanent") "]"},
	 VERDICT,
	 0,
	 "invalid"},
};

#define PAUSE "proc.pause, target: \"endpoint/chat/replica[0]\""
#define LOOP "proc.crash_loop, target: \"endpoint/chat/replica[0]\", interval: 20s"
#define SLOW_START(delay) "proc.slow_start, target: endpoint/chat, delay: " delay
#define UNREADY(target) "lepton.replica_unready, target: \"endpoint/chat" target "\""
#define AT_ONCE "deployment.endpoints[0].model={bytes: 0B, start: 0s}"

static const struct row processes[] = {
	{"paused", {LATE, ONE(PAUSE, "5m")}, BAD, 300, NULL},
	{"paused, one of two", {TWO, LATE, ONE(PAUSE, "5m")}, BAD, 7, NULL},
	{"all, then one", /* 22 to 24 min both; afterwards the rotation has only the other */
	 {TWO, LATE, PAIR(PAUSE, "10m", "proc.pause, target: endpoint/chat", "2m")},
	 BAD,
	 7 + 120,
	 NULL},
	{"a loop while it loads", {LATE, ONE(LOOP, "5m")}, BAD, 300 + START, NULL},
	{"a loop of what starts at once", /* it waits 10, 20, 40, 80 s and is mended after 50 s */
	 {LATE, AT_ONCE, ONE(LOOP, "5m")},
	 BAD,
	 10 + 20 + 40 + 80 + 50,
	 NULL},
	{"a slow start",
	 {LATE, "steps=[" STEP("20m", SLOW_START("30s"), "10m") ", " KILL("21m") "]"},
	 BAD,
	 30 + START,
	 NULL},
	{"two slow starts",
	 {LATE, "steps=[" STEP("20m", SLOW_START("30s"), "10m") ", " STEP(
			"21m", SLOW_START("50s"), "3m") ", " KILL("22m") "]"},
	 BAD,
	 80 + START,
	 NULL},
	{"one slow start left",
	 {LATE, "steps=[" STEP("20m", SLOW_START("30s"), "10m") ", " STEP(
			"21m", SLOW_START("50s"), "3m") ", " KILL("25m") "]"},
	 BAD,
	 30 + START,
	 NULL},
	{"the other slow start left",
	 {LATE, "steps=[" STEP("20m", SLOW_START("30s"), "3m") ", " STEP(
			"21m", SLOW_START("50s"), "10m") ", " KILL("25m") "]"},
	 BAD,
	 50 + START,
	 NULL},
	{"no slow start left",
	 {LATE, "steps=[" STEP("20m", SLOW_START("30s"), "3m") ", " KILL("25m") "]"},
	 BAD,
	 START,
	 NULL},
	{"unready", {LATE, ONE(UNREADY("/replica[0]"), "5m")}, BAD, 300, NULL},
	{"unready, one of two", {TWO, LATE, ONE(UNREADY("/replica[0]"), "5m")}, BAD, 0, NULL},
	{"unready, the other serves",
	 {TWO, LATE, ONE(UNREADY("/replica[0]"), "5m")},
	 "level.capacity@1230",
	 256,
	 NULL},
	{"unready, one after all",
	 {TWO, LATE, PAIR(UNREADY("/replica[0]"), "10m", UNREADY(""), "4m")},
	 BAD,
	 240,
	 NULL},
	{"unready, all after one",
	 {TWO, LATE, PAIR(UNREADY("/replica[0]"), "4m", UNREADY(""), "10m")},
	 BAD,
	 600,
	 NULL},
	{"no residue when it just starts", /* again, after the reboot */
	 {LATE,
	  "steps=[" STEP("20m", UNREADY("/replica[0]"), "5m") ", " STEP(
		  "21m", "node.reboot, target: \"primary/node[0]\", takes: 210s", "repaired") "]"},
	 BAD,
	 60 + 210 + START,
	 NULL},
	{"another model",
	 {LATE, ONE("deploy.bad_model, target: endpoint/chat", "5m")},
	 "requests.wrong",
	 36000,
	 NULL},
	{"a slow dependency",
	 {LATE, LIMIT("450ms"), ONE("dep.slow, target: endpoint/chat, latency: 200ms", "5m")},
	 BAD,
	 0,
	 NULL},
	{"too slow",
	 {LATE, LIMIT("449ms"), ONE("dep.slow, target: endpoint/chat, latency: 200ms", "5m")},
	 BAD,
	 300,
	 NULL},
	{"two slow dependencies",
	 {LATE, LIMIT("449ms"),
	  PAIR("dep.slow, target: endpoint/chat, latency: 100ms", "10m",
	       "dep.slow, target: endpoint/chat, latency: 100ms", "4m")},
	 BAD,
	 240,
	 NULL},
};

#define LOSS(share) "net.loss, target: primary, percent: " share
#define LINK "\"link[primary-backup]\""
#define FLAP(down, up) "net.flap, target: primary, down: " down ", up: " up
#define DROP(target) "net.blackhole, target: " target

/* With a loss of p a request or its answer is lost with 1 - (1-p)^2, and comes 200 ms later, then
 * 400 ms. */
static const struct row nets[] = {
	{"lost", {LATE, LIMIT("449ms"), ONE(LOSS("1%"), "5m")}, "level.success@1230", 0.9801, NULL},
	{"sent again",
	 {LATE, LIMIT("450ms"), ONE(LOSS("1%"), "5m")},
	 "level.success@1230",
	 1 - 0.0199 * 0.0199,
	 NULL},
	{"sent again twice",
	 {LATE, LIMIT("850ms"), ONE(LOSS("1%"), "5m")},
	 "level.success@1230",
	 1 - 0.0199 * 0.0199 * 0.0199,
	 NULL},
	{"lost twice",
	 {LATE, LIMIT("449ms"), PAIR(LOSS("1%"), "10m", LOSS("2%"), "4m")},
	 "level.success@1330",
	 0.9702 * 0.9702,
	 NULL},
	{"the first is left",
	 {LATE, LIMIT("449ms"), PAIR(LOSS("1%"), "10m", LOSS("2%"), "4m")},
	 "level.success@1570",
	 0.9801,
	 NULL},
	{"the second is left",
	 {LATE, LIMIT("449ms"), PAIR(LOSS("1%"), "4m", LOSS("2%"), "10m")},
	 "level.success@1450",
	 0.9604,
	 NULL},
	{"on the link", /* 1460 B / 24 ms x sqrt(1.5 / 1e-4) */
	 {STORE_AWAY, "deployment.data.io.bytes=1GB",
	  BEFORE("net.loss, target: " LINK ", percent: 0.01%")},
	 DATA,
	 134.218616043 + 0.012,
	 NULL},
	{"bandwidth",
	 {STORE_AWAY, BEFORE("net.rate, target: " LINK ", rate: 1GB/s")},
	 DATA,
	 20.012,
	 NULL},
	{"of a site",
	 {STORE_AWAY, BEFORE("net.rate, target: backup, rate: 1GB/s")},
	 DATA,
	 20.012,
	 NULL},
	{"for half of the bytes", /* from 2100 s: 10 GB in 10 s, the rest at 8 GB/s */
	 {STORE_AWAY, "detector.delay=100s",
	  "steps=[" STEP("33m", "net.rate, target: " LINK ", rate: 1GB/s", "130s") ", " CRASH "]"},
	 DATA,
	 11.262,
	 NULL},
	{"the least of two", /* from 2040 s */
	 {STORE_AWAY, "detector.delay=100s",
	  "steps=[" STEP("32m", "net.rate, target: " LINK ", rate: 1GB/s", "1h") ", " STEP(
		  "33m", "net.rate, target: " LINK ", rate: 500MB/s", "70s") ", " CRASH "]"},
	 DATA,
	 10 + 15 + 0.012, /* 5 GB, 15 GB */
	 NULL},
	{"a flap: three cuts", {LATE, ONE(FLAP("10s", "30s"), "2m")}, BAD, 30, NULL},
	{"a flap that ends in a cut", {LATE, ONE(FLAP("10s", "30s"), "85s")}, BAD, 25, NULL},
	{"a flap that ends in between", {LATE, ONE(FLAP("10s", "30s"), "75s")}, BAD, 20, NULL},
	{"two flaps", /* 1200-10, 1240-50; 1215-20, 1245-50 */
	 {LATE, "steps=[" STEP("20m", FLAP("10s", "30s"),
			       "60s") ", " STEP("1215s", FLAP("5s", "25s"), "50s") "]"},
	 BAD,
	 25,
	 NULL},
	{"two flaps that end in a cut of both", /* 1245 by the first, 1248 by the second */
	 {LATE, "steps=[" STEP("20m", FLAP("10s", "30s"),
			       "45s") ", " STEP("1215s", FLAP("5s", "25s"), "33s") "]"},
	 BAD,
	 10 + 5 + 8,
	 NULL},
	{"dropped", {LATE, ONE(DROP("primary"), "5m")}, BAD, 300, NULL},
	{"dropped at a node", {LATE, ONE(DROP("\"primary/node[0]\""), "5m")}, BAD, 300, NULL},
	{"dropped at both",
	 {LATE, PAIR(DROP("\"primary/node[0]\""), "4m", DROP("primary"), "10m")},
	 BAD,
	 720,
	 NULL},
	{"a network card",
	 {LATE, ONE("nic.fail, target: \"primary/node[0]\"", "5m")},
	 BAD,
	 300,
	 NULL},
};

#define SLOW_LINK STORE_AWAY, "deployment.links[0].rate=16Gbit/s"
#define ON_LINK(fault, more) fault ", target: " LINK ", " more
#define AT_NODE(fault, more) fault ", target: \"primary/node[0]\"" more
#define BOTH_SITES(shape) "net.partition, target: region/eu-1, select: all, shape: " shape
#define NODES(shape) "net.partition, target: \"primary/node[*]\", select: all, shape: " shape
#define SEGMENT_576 ((576 - 40.0) / (1500 - 40))
#define WIDTH_576 ((576 - 40) / (576 + 38.0) / ((1500 - 40) / (1500 + 38.0)))

/* 20 GB over a link of 2 GB/s; what a checksum finds is lost, a copy takes as much as the packet,
 * headers are 40 bytes of each packet and 38 around it. */
static const struct row wires[] = {
	{"damaged",
	 {LATE, LIMIT("449ms"), ONE("net.corrupt, target: primary, percent: 1%", "5m")},
	 "level.success@1230",
	 0.9801,
	 NULL},
	{"damaged or lost",
	 {LATE, LIMIT("449ms"),
	  PAIR(LOSS("1%"), "10m", "net.corrupt, target: primary, percent: 2%", "4m")},
	 "level.success@1330",
	 0.9702 * 0.9702,
	 NULL},
	{"damaged on the link",
	 {STORE_AWAY, "deployment.data.io.bytes=1GB",
	  BEFORE(ON_LINK("net.corrupt", "percent: 0.01%"))},
	 DATA,
	 134.218616043 + 0.012,
	 NULL},
	{"in bursts, as much in the long run", /* 1 % / (1 % + 99 %) of all are in a burst */
	 {LATE, LIMIT("449ms"),
	  ONE("net.loss, target: primary, model: gemodel, p: 1%, r: 99%", "5m")},
	 "level.success@1230",
	 0.9801,
	 NULL},
	{"all twice",
	 {SLOW_LINK, BEFORE(ON_LINK("net.duplicate", "percent: 100%"))},
	 DATA,
	 20.012,
	 NULL},
	{"half of a site's packets twice",
	 {SLOW_LINK, BEFORE("net.duplicate, target: backup, percent: 50%")},
	 DATA,
	 15.012,
	 NULL},
	{"and all of the link's", /* three times as much in all */
	 {SLOW_LINK,
	  "steps=[" STEP("32m", "net.duplicate, target: backup, percent: 50%", "1h") ", " STEP(
		  "33m", ON_LINK("net.duplicate", "percent: 100%"), "1h") ", " CRASH "]"},
	 DATA,
	 30.012,
	 NULL},
	{"they were",
	 {SLOW_LINK, "detector.delay=100s",
	  "steps=[" STEP("32m", ON_LINK("net.duplicate", "percent: 100%"), "1m") ", " CRASH "]"},
	 DATA,
	 10.012,
	 NULL},
	{"weights on their way to a node", /* 400 Gbit/s: the disk of 6 GB/s is slower */
	 {BEFORE("net.duplicate, target: \"backup/node[0]\", percent: 100%")},
	 FRT,
	 10 + START,
	 NULL},
	{"small packets",
	 {SLOW_LINK, BEFORE(ON_LINK("net.mtu", "bytes: 576"))},
	 DATA,
	 10 / WIDTH_576 + 0.012,
	 NULL},
	{"the smaller of two",
	 {SLOW_LINK, "steps=[" STEP("32m", ON_LINK("net.mtu", "bytes: 576"), "1h") ", " STEP(
			     "33m", ON_LINK("net.mtu", "bytes: 1280"), "1h") ", " CRASH "]"},
	 VERDICT,
	 0,
	 "invalid"},
	{"and they are lost",
	 {STORE_AWAY, "deployment.data.io.bytes=1GB", "detector.delay=100s",
	  "steps=[" STEP("32m", ON_LINK("net.mtu", "bytes: 576"), "1h") ", " STEP(
		  "33m", ON_LINK("net.loss", "percent: 0.01%"), "1h") ", " CRASH "]"},
	 DATA,
	 134.218616043 / SEGMENT_576 + 0.012,
	 NULL},
	{"as large as ever",
	 {LATE, ONE("net.mtu, target: primary, bytes: 1500", "5m")},
	 VERDICT,
	 0,
	 "invalid"},
	{"held back", /* three quarters by 10 ms, each way */
	 {LATE, LIMIT("264ms"), ONE("net.reorder, target: primary", "5m")},
	 BAD,
	 300,
	 NULL},
	{"but in time",
	 {LATE, LIMIT("266ms"), ONE("net.reorder, target: primary", "5m")},
	 BAD,
	 0,
	 NULL},
	{"taken for lost", /* a quarter, on a round trip of 2 x (12 + 7.5) ms */
	 {SLOW_LINK, "deployment.data.io.bytes=10MB", BEFORE(ON_LINK("net.reorder", "gap: 0"))},
	 DATA,
	 10e6 / (1460 / 0.039 * 2.449489742783178) + 0.0195,
	 NULL},
	{"overtaken by less than three", /* 2 GB/s bring 1.4 packets in 1 us */
	 {SLOW_LINK, BEFORE(ON_LINK("net.reorder", "delay: 1us"))},
	 DATA,
	 10.01200075,
	 NULL},
	{"reset", {LATE, ONE("net.reset_peer, target: primary", "5m")}, BAD, 300, NULL},
	{"reset at a node, the other serves",
	 {TWO, LATE, ONE(AT_NODE("net.reset_peer", ""), "5m")},
	 "level.capacity@1230",
	 256,
	 NULL},
	{"reset before the answer",
	 {LATE, ONE("net.reset_peer, target: primary, timeout: 249ms", "5m")},
	 BAD,
	 300,
	 NULL},
	{"reset after the answer",
	 {LATE, ONE("net.reset_peer, target: primary, timeout: 250ms", "5m")},
	 BAD,
	 0,
	 NULL},
	{"an interface down", {LATE, ONE(AT_NODE("net.interface_down", ""), "5m")}, BAD, 300, NULL},
	{"cut between nodes that need no other", {LATE, ONE(NODES("ring"), "5m")}, BAD, 0, NULL},
	{"and it is seen", {LATE, ONE(NODES("bridge"), "5m")}, VERDICT, 0, "passed"},
	{"cut between the sites", /* no backup at 30 min; detected and fenced at 44 min */
	 {"deployment.sites[1].region=eu-1", "detector.delay=10m",
	  "steps=[" STEP("25m", BOTH_SITES("halves"), "8m") ", " CRASH "]"},
	 BRP,
	 24 * 60,
	 NULL},
	{"and whole again", /* one at 30 min; detected at 49 min */
	 {"deployment.sites[1].region=eu-1", "detector.delay=15m",
	  "steps=[" STEP("21m", BOTH_SITES("one"), "8m") ", " CRASH "]"},
	 BRP,
	 19 * 60,
	 NULL},
};

#define MISSED(fault)                                                                              \
	{                                                                                          \
		fault, {"steps=[" STEP("25m", fault, "8m") ", " CRASH "]"}, BRP, 840, NULL         \
	}
#define HANG(target) "disk.hang, target: " target
#define LATENCY(more) "io.latency, target: \"primary/node[0]\"" more
#define MIB (1 << 20)
#define KILLED(fault) "steps=[" STEP("20m", fault, "5m") ", " KILL("21m") "]"
/* A crash 2 min after the fault began, which is mended 16 min after the node is. */
#define TORN(fault)                                                                                \
	"steps=[" STEP("20m", fault, "20m") ", " STEP("22m",                                       \
						      "node.crash, target: "                       \
						      "\"primary/node[0]\"",                       \
						      "2m") "]"

/* A record is written and synced before each answer; a file is read in pieces of 1 MiB. */
static const struct row disks[] = {
	{"held", {LATE, ONE(HANG("\"primary/node[0]\""), "5m")}, BAD, 300, NULL},
	{"held, the other serves",
	 {TWO, LATE, ONE(HANG("\"primary/node[0]\""), "5m")},
	 BAD,
	 7,
	 NULL},
	{"and goes on",
	 {TWO, LATE, ONE(HANG("\"primary/node[0]\""), "5m")},
	 "level.capacity@1510",
	 512,
	 NULL},
	{"nobody writes on it", {LATE, ONE(HANG("\"primary/node[3]\""), "5m")}, BAD, 0, NULL},
	{"the store: a backup is held", /* that of 30 min, until 33 min */
	 {"steps=[" STEP("25m", HANG("store"), "8m") ", " CRASH "]"},
	 BRP,
	 240,
	 NULL},
	{"for longer", {"steps=[" STEP("25m", HANG("store"), "9m") ", " CRASH "]"}, BRP, 840, NULL},
	{"until it times out",
	 {TWO, LATE, ONE(AT_NODE("nvme.timeout", ", timeout: 1m"), "5m")},
	 "level.capacity@1230",
	 256,
	 NULL},
	{"and fails from then on",
	 {TWO, LATE, ONE(AT_NODE("nvme.timeout", ", timeout: 1m"), "5m")},
	 "level.success@1290",
	 0.5,
	 NULL},
	{"a sync takes 100 ms", {LATE, LIMIT("349ms"), ONE(LATENCY(""), "5m")}, BAD, 300, NULL},
	{"which is in time", {LATE, LIMIT("351ms"), ONE(LATENCY(""), "5m")}, BAD, 0, NULL},
	{"so does a write",
	 {LATE, LIMIT("449ms"), ONE(LATENCY(", methods: all"), "5m")},
	 BAD,
	 300,
	 NULL},
	{"nothing is read",
	 {LATE, LIMIT("251ms"), ONE(LATENCY(", methods: read"), "5m")},
	 BAD,
	 0,
	 NULL},
	{"twice",
	 {LATE, LIMIT("449ms"), PAIR(LATENCY(""), "10m", LATENCY(""), "4m")},
	 BAD,
	 240,
	 NULL},
	{"reads of the store",
	 {BEFORE("io.latency, target: store, methods: read, time: 1ms")},
	 DATA,
	 2.5 + 20e9 / MIB * 0.001,
	 NULL},
	{"reads of a node",
	 {BEFORE("io.latency, target: \"backup/node[0]\", methods: read, time: 1ms")},
	 FRT,
	 10 + START + 140e9 / MIB * 0.001,
	 NULL},
	{"a quarter fails", /* of writes and of syncs */
	 {TWO, LATE, ONE(AT_NODE("io.errno", ", percent: 25%"), "5m")},
	 "level.success@1230",
	 1 - 0.4375 / 2,
	 NULL},
	{"of syncs alone",
	 {TWO, LATE, ONE(AT_NODE("io.errno", ", percent: 25%, methods: sync"), "5m")},
	 "level.success@1230",
	 1 - 0.25 / 2,
	 NULL},
	{"of what is not done",
	 {LATE, ONE(AT_NODE("io.errno", ", methods: rename"), "5m")},
	 BAD,
	 0,
	 NULL},
	{"it cannot be read",
	 {LATE, KILLED(AT_NODE("io.errno", ", methods: read"))},
	 BAD,
	 240 + START,
	 NULL},
	MISSED("io.errno, target: store, methods: write, percent: 1%"),
	{"a store that makes no lists",
	 {"steps=[" STEP("25m", "io.errno, target: store, methods: list", "8m") ", " CRASH "]"},
	 BRP,
	 240,
	 NULL},
	{"bad blocks under the weights",
	 {LATE, KILLED(AT_NODE("disk.badblocks", ""))},
	 BAD,
	 240 + START,
	 NULL},
	{"and what runs, runs", {LATE, ONE(AT_NODE("disk.badblocks", ""), "5m")}, BAD, 0, NULL},
	{"bad blocks under all backups but the last",
	 {"steps=[" STEP("25m", "disk.badblocks, target: store", "1h") ", " CRASH "]"},
	 BRP,
	 240,
	 NULL},
	{"under the last",
	 {"steps=[" STEP("25m", "disk.badblocks, target: store", "1h") ", " STEP(
		 "29m", "objstore.unavailable, target: store", "4m") ", " CRASH "]"},
	 "incidents[0].t_data_restored_ns",
	 0,
	 "null"},
	{"no more",
	 {"steps=[" STEP("25m", "disk.badblocks, target: store", "8m") ", " CRASH "]"},
	 BRP,
	 240,
	 NULL},
	MISSED("disk.inode_fill, target: store"),
	{"a store with a few inodes",
	 {"steps=[" STEP("25m", "disk.inode_fill, target: store, percent: 99%", "8m") ", " CRASH
										      "]"},
	 BRP,
	 240,
	 NULL},
	{"a container has no room",
	 {LATE, KILLED(AT_NODE("disk.inode_fill", ""))},
	 BAD,
	 240 + START,
	 NULL},
	{"one that runs needs none",
	 {LATE, ONE(AT_NODE("disk.inode_fill", ""), "5m")},
	 BAD,
	 0,
	 NULL},
	{"a crash takes nothing that was synced",
	 {LATE, TORN(AT_NODE("fs.lost_fsync", ""))},
	 "requests.wrong",
	 0,
	 NULL},
	{"but from a disk that lies", /* from 24 min and a start to 40 min */
	 {LATE, TORN(AT_NODE("fs.lost_fsync", ", lies: true"))},
	 "requests.wrong",
	 120 * (960 - START),
	 NULL},
	{"a reboot in good order syncs",
	 {LATE, "steps=[" STEP("20m", AT_NODE("fs.lost_fsync", ""), "20m") ", " STEP(
			"22m", AT_NODE("node.reboot", ", mode: graceful"), "repaired") "]"},
	 "requests.wrong",
	 0,
	 NULL},
	{"of another node",
	 {LATE, "steps=[" STEP("20m", "fs.lost_fsync, target: \"primary/node[1]\", lies: true",
			       "20m") ", " STEP("22m", AT_NODE("node.crash", ""), "2m") "]"},
	 "requests.wrong",
	 0,
	 NULL},
	{"a torn record is wrong until it is mended",
	 {LATE, ONE(AT_NODE("fs.torn_op", ""), "20m")},
	 "requests.wrong",
	 120 * (1200 - START),
	 NULL},
	{"and until then all is bad",
	 {LATE, ONE(AT_NODE("fs.torn_op", ""), "20m")},
	 BAD,
	 1200,
	 NULL},
	{"some of several",
	 {LATE, ONE(AT_NODE("fs.torn_seq", ""), "20m")},
	 "requests.wrong",
	 120 * (1200 - START),
	 NULL},
	{"where nothing is written nothing is torn",
	 {LATE, ONE("fs.torn_seq, target: \"primary/node[1]\"", "20m")},
	 VERDICT,
	 0,
	 "invalid"},
	{"a restore brings it back",
	 {"detector.delay=150s",
	  "steps=[" STEP("32m", AT_NODE("fs.lost_fsync", ", lies: true"), "1h") ", " CRASH "]"},
	 BRP,
	 240,
	 NULL},
};

#define BACKUPS(fault, length, second, other)                                                      \
	"steps=[" STEP("32m", fault, length) ", " STEP("33m", second, other) ", " CRASH "]"
#define MISSING(which) "backup.missing, target: \"backup[" which "]\""
#define STALE(age) "backup.stale, target: \"backup[-1]\", age: " age
#define STOP(delay)                                                                                \
	"{after: {phase: restore, delay: " delay "}, fault: restore.interrupt, target: store}"
#define SLOW_WRITE                                                                                 \
	"backup={every: 20m, classes: [model, io], verify: false}", "deployment.store.write="      \
								    "200MB/s"

/* 20 GB at 8 GB/s take 2.5 s. The backup of 30 min is 240 s old at the crash. */
static const struct row stores[] = {
	MISSED("disk.fill, target: store"),
	{"a store with hardly any space takes a backup",
	 {"steps=[" STEP("25m", "disk.fill, target: store, percent: 99%", "8m") ", " CRASH "]"},
	 BRP,
	 240,
	 NULL},
	MISSED("disk.readonly, target: store"),
	MISSED("disk.error, target: store"),
	MISSED("objstore.unavailable, target: store"),
	MISSED("backup.job_fail, target: store"),
	{"half the throughput",
	 {BEFORE("disk.throttle, target: store, rate: 4GB/s")},
	 DATA,
	 5,
	 NULL},
	{"of the store", {BEFORE("objstore.throttle, target: store, rate: 4GB/s")}, DATA, 5, NULL},
	{"of restores", {BEFORE("restore.slow, target: store, rate: 4GB/s")}, DATA, 5, NULL},
	{"and it is back",
	 {BACKUPS("restore.slow, target: store, rate: 4GB/s", "30s",
		  "objstore.throttle, target: store, rate: 2GB/s", "30s")},
	 DATA,
	 2.5,
	 NULL},
	{"the least of three",
	 {"steps=[" STEP("31m", "restore.slow, target: store, rate: 4GB/s", "1h") ", " STEP(
		 "32m", "objstore.throttle, target: store, rate: 2GB/s",
		 "1h") ", " STEP("33m", "disk.throttle, target: store, rate: 1GB/s",
				 "1h") ", " CRASH "]"},
	 DATA,
	 20,
	 NULL},
	{"a node's disk",
	 {BEFORE("disk.throttle, target: \"backup/node[0]\", rate: 3GB/s")},
	 FRT,
	 10 + 140.0 / 3 + 45,
	 NULL},
	{"slow restores leave backups alone", /* the one of 20 min ends at 33 min 20.012 s */
	 {SLOW_WRITE,
	  "steps=[" STEP("20m", "restore.slow, target: store, rate: 1MB/s", "14m") ", " CRASH "]"},
	 BRP,
	 840,
	 NULL},
	{"a slow store does not",
	 {SLOW_WRITE, "steps=[" STEP("20m", "objstore.throttle, target: store, rate: 100MB/s",
				     "14m") ", " CRASH "]"},
	 BRP,
	 2040,
	 NULL},
	{"one is missing", {BEFORE(MISSING("-1"))}, BRP, 840, NULL},
	{"two are missing", {BACKUPS(MISSING("-1"), "1h", MISSING("-2"), "1h")}, BRP, 1440, NULL},
	{"it was missing", {BACKUPS(MISSING("-1"), "30s", MISSING("-2"), "30s")}, BRP, 240, NULL},
	{"the older one was missing",
	 {BACKUPS(MISSING("-1"), "1h", MISSING("-2"), "30s")},
	 BRP,
	 840,
	 NULL},
	{"missing, pruned, taken back", /* no residue: the first one is not there by then */
	 {"backup.keep=2", LATE, ONE(MISSING("0"), "40m")},
	 VERDICT,
	 0,
	 "passed"},
	{"stale", {BEFORE(STALE("5m"))}, BRP, 240 + 300, NULL},
	{"stale twice", {BACKUPS(STALE("5m"), "1h", STALE("10m"), "1h")}, BRP, 240 + 900, NULL},
	{"stale, the second is left",
	 {BACKUPS(STALE("5m"), "90s", STALE("10m"), "1h")},
	 BRP,
	 240 + 600,
	 NULL},
	{"stale, the first is left",
	 {BACKUPS(STALE("5m"), "1h", STALE("10m"), "30s")},
	 BRP,
	 240 + 300,
	 NULL},
	{"broken off half way",
	 {"steps=[" CRASH ", {after: {phase: restore, progress: 50%}, fault: restore.interrupt, "
	  "target: store}]"},
	 DATA,
	 3.75,
	 NULL},
	{"broken off twice",
	 {"steps=[" CRASH ", " STOP("1s") ", " STOP("2s") "]"},
	 DATA,
	 4.5,
	 NULL},
	{"nothing to break off",
	 {"steps=[{at: 20m, fault: restore.interrupt, target: store}]"},
	 VERDICT,
	 0,
	 "invalid"},
};

#define HURT(fault, class) ONE(fault ", target: data/" class, "5m")
#define NODES_FULL(share) "disk.fill, target: \"primary/node[*]\", select: all, percent: " share
#define CUT(share) "data.truncate, target: data/io, share: " share

static const struct row contents[] = {
	{"a half is missing", {LATE, HURT("data.truncate", "io")}, "level.success@1230", 0.5, NULL},
	{"a part of the rest",
	 {LATE, PAIR(CUT("50%"), "10m", CUT("20%"), "4m")},
	 "level.success@1330",
	 0.4,
	 NULL},
	{"the first is left",
	 {LATE, PAIR(CUT("50%"), "10m", CUT("20%"), "4m")},
	 "level.success@1570",
	 0.5,
	 NULL},
	{"the second is left",
	 {LATE, PAIR(CUT("50%"), "4m", CUT("20%"), "10m")},
	 "level.success@1450",
	 0.8,
	 NULL},
	{"both are back", {LATE, PAIR(CUT("50%"), "4m", CUT("20%"), "10m")}, BAD, 720, NULL},
	{"encrypted", {LATE, HURT("data.encrypt", "io")}, "requests.failed", 36000, NULL},
	{"deleted", {LATE, HURT("data.delete", "io")}, "requests.failed", 36000, NULL},
	{"of an earlier time", {LATE, HURT("data.stale", "io")}, "requests.wrong", 36000, NULL},
	{"flipped", {LATE, HURT("data.bitflip", "io")}, "requests.wrong", 36000, NULL},
	{"zeros", {LATE, HURT("data.zero", "io")}, "requests.wrong", 36000, NULL},
	{"misdirected", {LATE, HURT("data.misdirect", "io")}, "requests.wrong", 36000, NULL},
	{"zeros: what that cost is not known", {LATE, HURT("data.zero", "io")}, BRP, 0, "null"},
	{"misdirected: nor is it here", {LATE, HURT("data.misdirect", "io")}, BRP, 0, "null"},
	{"zeros and misdirected",
	 {LATE, PAIR("data.zero, target: data/io, count: 3", "10m",
		     "data.misdirect, target: data/io", "4m")},
	 BAD,
	 600,
	 NULL},
	{"misdirected and zeros",
	 {LATE, PAIR("data.misdirect, target: data/io", "4m",
		     "data.zero, target: data/io, count: 3", "10m")},
	 BAD,
	 720,
	 NULL},
	{"weights in memory are whole", {LATE, HURT("data.delete", "model")}, BAD, 0, NULL},
	{"but cannot be loaded again", /* they are back at 25 min, and it starts at the next try */
	 {LATE,
	  "steps=[" STEP("20m", "data.delete, target: data/model", "5m") ", " KILL("1495s") "]"},
	 BAD,
	 10 + START,
	 NULL},
	{"nobody serves training data",
	 {LATE, "deployment.data.training={bytes: 1TB, change: 0B/s}",
	  HURT("data.delete", "training")},
	 BAD,
	 0,
	 NULL},
	{"a full disk of its node",
	 {LATE, ONE("disk.fill, target: \"primary/node[0]\"", "5m")},
	 BAD,
	 300,
	 NULL},
	{"a disk with hardly any space",
	 {LATE, ONE("disk.fill, target: \"primary/node[0]\", percent: 99%", "5m")},
	 BAD,
	 0,
	 NULL},
	{"one that fills up", /* in ten steps of 13 1/3 s, the last at 22 min */
	 {LATE,
	  "steps=[{at: 20m, fault: disk.fill, target: \"primary/node[0]\", ramp: 2m, for: 5m}]"},
	 BAD,
	 180,
	 NULL},
	{"it takes no pods: nowhere to move to until 30 min", /* looks at 1545 s + 30 s each */
	 {LATE, "steps=[" STEP("19m", NODES_FULL("90.1%"), "11m") ", " STEP(
			"20m", "node.crash, target: \"primary/node[0]\"", "1h") "]"},
	 BAD,
	 345 + 9 * 30 + START,
	 NULL},
	{"with a tenth left it takes them",
	 {LATE, "steps=[" STEP("19m", NODES_FULL("90%"), "11m") ", " STEP(
			"20m", "node.crash, target: \"primary/node[0]\"", "1h") "]"},
	 BAD,
	 345 + START,
	 NULL},
	{"a read-only one",
	 {LATE, ONE("disk.readonly, target: \"primary/node[0]\"", "5m")},
	 BAD,
	 300,
	 NULL},
	{"a failing one",
	 {LATE, ONE("disk.error, target: \"primary/node[0]\"", "5m")},
	 BAD,
	 300,
	 NULL},
	{"one that is full and fails",
	 {LATE, PAIR("disk.fill, target: \"primary/node[0]\"", "5m",
		     "disk.error, target: \"primary/node[0]\"", "5m")},
	 BAD,
	 420,
	 NULL},
	{"an old fault has no hold on what the return replaced", /* from 3261 s on, 113 s long */
	 {"detector={kind: probe, interval: 10s, misses: 3, timeout: 1s}",
	  "deployment.links[0].rate=10MB/s",
	  "steps=[" CRASH ", " STEP("55m", "data.bitflip, target: data/io", "40m") ", " STEP(
		  "83m", "data.bitflip, target: data/io", "20m") "]"},
	 BAD,
	 21 + START + 1200,
	 NULL},
};

#define SMALL(share) "standby.undersized, target: standby, share: " share
#define OUTAGE "{at: 34m, fault: zone.outage, target: primary, for: permanent}"
#define LAG(lag) "repl.lag, target: standby, lag: " lag
#define LAGS(first, length, second, other)                                                         \
	HOT, "steps=[" STEP("32m", LAG(first), length) ", " STEP("2010s", LAG(second),             \
								 other) ", " CRASH "]"
#define SPLIT "repl.split_brain, target: standby, share: 25%"
#define SKEW(target, offset) "clock.skew, target: " target ", offset: " offset

static const struct row sites[] = {
	{"half a standby",
	 {FOUR, "steps=[" STEP("30m", SMALL("50%"), "15m") ", " OUTAGE "]"},
	 "level.capacity@2400",
	 512,
	 NULL},
	{"and then the rest", /* 45 min, then loading */
	 {FOUR, "steps=[" STEP("30m", SMALL("50%"), "15m") ", " OUTAGE "]"},
	 "level.capacity@2800",
	 1024,
	 NULL},
	{"a quarter of one is one node of four",
	 {FOUR, "steps=[" STEP("30m", SMALL("25%"), "15m") ", " OUTAGE "]"},
	 "level.capacity@2400",
	 768,
	 NULL},
	{"a quarter and then half",
	 {FOUR, "steps=[" STEP("30m", SMALL("25%"), "15m") ", " STEP("31m", SMALL("50%"),
								     "1h") ", " OUTAGE "]"},
	 "level.capacity@2800",
	 512,
	 NULL},
	{"half of one that serves", /* it has two of four left, and 120/s are served */
	 {FOUR, "steps=[" OUTAGE ", " STEP("50m", SMALL("50%"), "10m") "]"},
	 "level.capacity@3060",
	 512,
	 NULL},
	{"no capacity until 43 min", /* the scheduler looks every 30 s from 2050 s: at 2590 s */
	 {"steps=[" STEP("33m", "failover.capacity_insufficient, target: standby", "10m") ", " CRASH
											  "]"},
	 FRT,
	 550 + START,
	 NULL},
	{"no capacity before",
	 {"steps=[" STEP("33m", "failover.capacity_insufficient, target: standby", "30s") ", " CRASH
											  "]"},
	 FRT,
	 10 + START,
	 NULL},
	{"no capacity at home until 29 min", /* it would move at 1545 s; the look at 1755 s */
	 {LATE, "steps=[" STEP("19m", "k8s.pending_pods, target: primary", "10m") ", " STEP(
			"20m", "node.crash, target: \"primary/node[0]\"", "1h") "]"},
	 BAD,
	 555 + START,
	 NULL},
	{"no API until 43 min", /* tried every 30 s from 2050 s: at 2590 s */
	 {"steps=[" STEP("33m", "lepton.api_unavailable, target: backup", "10m") ", " CRASH "]"},
	 FRT,
	 550 + START,
	 NULL},
	{"nor is the traffic switched",
	 {"steps=[" STEP("33m", "lepton.api_unavailable, target: backup", "10m") ", " CRASH "]"},
	 "metrics.decision_s", /* of the move that came through */
	 540,
	 NULL},
	{"no API, nothing moves at home", /* 345 s later it would; the look at 1755 s */
	 {LATE, "steps=[" STEP("19m", "lepton.api_unavailable, target: primary", "10m") ", " STEP(
			"20m", "node.crash, target: \"primary/node[0]\"", "1h") "]"},
	 BAD,
	 555 + START,
	 NULL},
	{"a lag", {HOT, BEFORE(LAG("30s"))}, BRP, 35.012, NULL},
	{"what has arrived stays", {HOT, BEFORE(LAG("10m"))}, BRP, 65.012, NULL},
	{"two lags", {LAGS("10s", "1h", "20s", "1h")}, BRP, 35.012, NULL},
	{"the second is over", {LAGS("10s", "1h", "20s", "20s")}, BRP, 15.012, NULL},
	{"the first is over", {LAGS("10s", "100s", "20s", "1h")}, BRP, 25.012, NULL},
	{"both are over", {LAGS("10s", "100s", "20s", "20s")}, BRP, 5.012, NULL},
	{"split brain: a quarter of 36000",
	 {LATE, ONE(SPLIT, "5m")},
	 "metrics.brp.records",
	 9000,
	 NULL},
	{"split brain: a quarter of 300 MB",
	 {LATE, ONE(SPLIT, "5m")},
	 "metrics.brp.bytes",
	 75e6,
	 NULL},
	{"split brain while nobody wrote: no residue when somebody does again",
	 {LATE, "steps=[" STEP("20m", "node.crash, target: \"primary/node[0]\"",
			       "2m") ", " STEP("1210s", SPLIT, "10m") "]"},
	 VERDICT,
	 0,
	 "passed"},
	{"a clock within the tolerance", {LATE, ONE(SKEW("primary", "5m"), "5m")}, BAD, 0, NULL},
	{"beyond it", {LATE, ONE(SKEW("primary", "300001ms"), "5m")}, BAD, 300, NULL},
	{"of a node", {LATE, ONE(SKEW("\"primary/node[0]\"", "6m"), "5m")}, BAD, 300, NULL},
	{"of another node", {LATE, ONE(SKEW("\"primary/node[1]\"", "6m"), "5m")}, BAD, 0, NULL},
	{"off twice",
	 {LATE, PAIR(SKEW("primary", "3m"), "5m", SKEW("primary", "3m"), "6m")},
	 BAD,
	 180,
	 NULL},
};

#define SURGE(times) "traffic.surge, target: endpoint/chat, multiplier: " times
#define BOTH                                                                                       \
	"deployment.endpoints=[{name: chat, site: primary, gpus_per_replica: 8, load: {rate: "     \
	"120/s, service_time: 250ms, requests: never}}, {name: mail, site: primary, "              \
	"gpus_per_replica: 8, fallback: chat, load: {rate: 40/s, service_time: 250ms, requests: "  \
	"never}}]"
#define MAIL_UNREADY "lepton.replica_unready, target: endpoint/mail"

/* 360/s come, 256/s go, for a minute: 104/s pile up, then 136/s are worked off. Bad are waits of
 * more than 2 s - 250 ms: 448 requests. */
static const struct row loads[] = {
	{"waiting", {LATE, ONE(SURGE("3"), "1m")}, "level.backlog@1260", 6240, NULL},
	{"bad", {LATE, ONE(SURGE("3"), "1m")}, BAD, 60 - 448.0 / 104 + (6240 - 448) / 136.0, NULL},
	{"within the capacity", {LATE, ONE(SURGE("2.1"), "1m")}, BAD, 0, NULL},
	{"two surges",
	 {LATE, PAIR(SURGE("1.5"), "10m", SURGE("1.2"), "4m")},
	 "level.rate@1330",
	 204,
	 NULL},
	{"the first is left",
	 {LATE, PAIR(SURGE("1.5"), "10m", SURGE("1.2"), "4m")},
	 "level.rate@1570",
	 180,
	 NULL},
	{"the second is left",
	 {LATE, PAIR(SURGE("1.5"), "4m", SURGE("1.2"), "10m")},
	 "level.rate@1450",
	 144,
	 NULL},
	{"none is left",
	 {LATE, PAIR(SURGE("1.5"), "4m", SURGE("1.2"), "10m")},
	 "level.rate@1930",
	 120,
	 NULL},
	{"a fallback shares by the rates", /* 256 x 120 / 160 */
	 {LATE, BOTH, ONE(MAIL_UNREADY, "5m")},
	 "level.capacity@1230",
	 192,
	 NULL},
	{"and nothing is bad", {LATE, BOTH, ONE(MAIL_UNREADY, "5m")}, BAD, 0, NULL},
	{"until it is back",
	 {LATE, BOTH, ONE(MAIL_UNREADY, "5m")},
	 "level.capacity@1510",
	 256,
	 NULL},
	{"more of the one", /* 256 x 120 / (120 + 80) */
	 {LATE, BOTH,
	  PAIR(MAIL_UNREADY, "10m", "traffic.surge, target: endpoint/mail, multiplier: 2", "4m")},
	 "level.capacity@1330",
	 153.6,
	 NULL},
	{"nobody falls back on the fallback of the other",
	 {LATE, BOTH, ONE(UNREADY(""), "5m")},
	 BAD,
	 300,
	 NULL},
};

/* ---- every fault is taken back whole: the same one finds everything as the first one did ---- */

#define KINDS (ENTITY_STANDBY + 1)

static const char *const targets[KINDS] = {
	[ENTITY_SITE] = "primary",
	[ENTITY_RACK] = "\"primary/rack[0]\"",
	[ENTITY_NODE] = "\"primary/node[0]\"",
	[ENTITY_GPU] = "\"primary/node[0]/gpu[0]\"",
	[ENTITY_LINK] = LINK,
	[ENTITY_STORE] = "store",
	[ENTITY_ENDPOINT] = "endpoint/chat",
	[ENTITY_REPLICA] = "\"endpoint/chat/replica[0]\"",
	[ENTITY_DATA] = "data/io",
	[ENTITY_BACKUP] = "\"backup[-1]\"",
	[ENTITY_STANDBY] = "standby",
};

/* Starts, kills, log lines, resets, torn writes, restores that broke off: counted for ever. */
#define COUNTED                                                                                    \
	(EFFECT_BIT(EFFECT_PROC_EXIT) | EFFECT_BIT(EFFECT_PROC_LOOP) |                             \
	 EFFECT_BIT(EFFECT_GPU_XID) | EFFECT_BIT(EFFECT_RESTORE_STOP) |                            \
	 EFFECT_BIT(EFFECT_PROC_OOM) | EFFECT_BIT(EFFECT_NET_RESET) |                              \
	 EFFECT_BIT(EFFECT_FS_TORN_OP) | EFFECT_BIT(EFFECT_FS_TORN_SEQ))

static const char *step_of(struct arena *arena, const char *at, const struct fault_ops *fault,
			   int kind, const char *length)
{
	return arena_printf(arena, "{at: %s, fault: %s, target: %s, for: %s}", at, fault->name,
			    targets[kind], length);
}

static const char *observed(const struct drill *drill, int i)
{
	const cJSON *faults = audit_field(drill->record, "faults");

	ck_assert_int_gt(cJSON_GetArraySize(faults), i);
	return audit_word(cJSON_GetArrayItem(faults, i), "observed");
}

/* The service is as it was: 256 requests per second could be served, 120 come, all are good. */
static void check_whole(const struct drill *drill, const char *name)
{
	ck_assert_msg(find(drill, "level.capacity@7000")->valuedouble == 256, "%s: capacity", name);
	ck_assert_msg(find(drill, "level.success@7000")->valuedouble == 1, "%s: success", name);
	ck_assert_msg(find(drill, "level.backlog@7000")->valuedouble == 0, "%s: backlog", name);
	ck_assert_msg(find(drill, "level.rate@7000")->valuedouble == 120, "%s: rate", name);
}

/* `steps`, the last of which finds what the one before found, but where `first` is the last. False:
 * one of them had no effect. */
static bool check_steps(const struct fault_ops *fault, const char *steps, int first, int last)
{
	const char *sets[SETS_MAX] = {LATE, "deployment.platform={reschedule: never}", steps};
	struct drill drill;

	drill_run(&drill, sets);
	bool effective = strcmp(audit_word(drill.record, "verdict"), "invalid") != 0;
	if (effective) {
		if (!(fault->needs & COUNTED))
			ck_assert_msg(!strcmp(observed(&drill, first), observed(&drill, last)),
				      "%s: '%s', then '%s'", fault->name, observed(&drill, first),
				      observed(&drill, last));
		check_whole(&drill, fault->name);
	}
	drill_free(&drill);
	return effective;
}

static bool kind_fits(const struct fault_ops *fault, int kind)
{
	return targets[kind] && (fault->targets >> kind & 1) &&
	       !(fault->needs & ~driver_find("sim")->effects) &&
	       !(fault->needs & EFFECT_BIT(EFFECT_RESTORE_STOP));
}

static int fault_count(void)
{
	int count = 0;

	while (fault_table[count])
		count++;
	return count;
}

START_TEST(taken_back)
{
	const struct fault_ops *fault = fault_table[_i];
	struct arena arena = {0};

	for (int kind = 0; kind < KINDS; kind++) {
		if (!kind_fits(fault, kind))
			continue;
		const char *steps = arena_printf(&arena, "steps=[%s, %s]",
						 step_of(&arena, "20m", fault, kind, "5m"),
						 step_of(&arena, "80m", fault, kind, "5m"));

		ck_assert_msg(check_steps(fault, steps, 0, 1), "%s had no effect", fault->name);
	}
	arena_free(&arena);
}
END_TEST

/* Two at a time, ending in either order; where the second one shows, they add up. */
START_TEST(taken_back_twice)
{
	static const char *const lengths[][2] = {{"10m", "4m"}, {"4m", "10m"}, {"6m", "4m"}};
	const struct fault_ops *fault = fault_table[_i];
	struct arena arena = {0};

	for (int i = 0; i < KINDS * COUNT(lengths); i++) {
		int kind = i / COUNT(lengths);
		const char *const *length = lengths[i % COUNT(lengths)];

		if (!kind_fits(fault, kind))
			continue;
		const char *steps = arena_printf(&arena, "steps=[%s, %s, %s]",
						 step_of(&arena, "20m", fault, kind, length[0]),
						 step_of(&arena, "22m", fault, kind, length[1]),
						 step_of(&arena, "80m", fault, kind, "5m"));
		check_steps(fault, steps, 0, 2);
	}
	arena_free(&arena);
}
END_TEST

/* The node goes down before it and comes back after it, during it, or comes back during it. */
START_TEST(taken_back_beside)
{
	static const char *const crashes[][2] = {
		{"1190s", "10m"}, {"21m", "2m"}, {"1190s", "2m"}, {"21m", "10m"}};
	const struct fault_ops *fault = fault_table[_i];
	struct arena arena = {0};

	for (int i = 0; i < KINDS * COUNT(crashes); i++) {
		int kind = i / COUNT(crashes);
		const char *const *crash = crashes[i % COUNT(crashes)];

		if (!kind_fits(fault, kind))
			continue;
		const char *steps = arena_printf(
			&arena,
			"steps=[%s, {at: %s, fault: node.crash, target: \"primary/node[0]\", "
			"for: %s}, {at: 80m, fault: node.hang, target: \"primary/node[0]\", for: "
			"1m}]",
			step_of(&arena, "20m", fault, kind, "5m"), crash[0], crash[1]);
		check_steps(fault, steps, 2, 2);
	}
	arena_free(&arena);
}
END_TEST

/* ---- single requests against the fluid ---- */

#define SINGLE "deployment.endpoints[0].load.requests=always"
#define AS_IS "deployment.endpoints[0].replicas=1"
#define LONG "20m" /* 144000 requests come */

#define UNIFORM "deployment.endpoints[0].load.service_time={uniform: {from: 100ms, to: 400ms}}"

/*
 * Arrivals are Poisson, so that what a share p of them meets is Poisson too: n p +- sqrt(n p).
 * Where replicas differ in how long they take, the fluid still spreads requests evenly; single
 * ones go to the less busy of two. So these replicas are alike, or take equally long.
 */
static const struct {
	const char *what, *more, *fault, *latency, *count;
	double share;
} singles[] = {
	{"gray", AS_IS, GRAY("latency: 0s, error_rate: 30%"), LIMIT("2s"), "requests.failed", 0.3},
	{"gray, slow", UNIFORM, GRAY("latency: 100ms, error_rate: 0%"), LIMIT("400ms"),
	 "requests.late", 1 / 3.0},
	{"gray, both", UNIFORM, GRAY("latency: 100ms, error_rate: 30%"), LIMIT("400ms"),
	 "requests.late", 0.7 / 3},
	{"straggler", UNIFORM, SLOWER("1.5"), LIMIT("450ms"), "requests.late", 1 / 3.0},
	{"wrong results", TWO, WRONG("0", "20%"), LIMIT("2s"), "requests.wrong", 0.1},
	{"loss", TWO, LOSS("1%"), LIMIT("449ms"), "requests.late", 0.0199},
	{"loss twice in a row", TWO, LOSS("10%"), LIMIT("450ms"), "requests.late", 0.19 * 0.19},
	{"missing data", TWO, CUT("20%"), LIMIT("2s"), "requests.failed", 0.2},
};

START_TEST(single_requests)
{
	const char *sets[SETS_MAX] = {LATE, SINGLE, singles[_i].more, singles[_i].latency, NULL};
	double expected = 144000 * singles[_i].share;
	struct arena arena = {0};
	struct drill drill;

	sets[4] = arena_printf(&arena, "steps=[{at: 20m, fault: %s, for: " LONG "}]",
			       singles[_i].fault);
	drill_run(&drill, sets);
	double count = find(&drill, singles[_i].count)->valuedouble;
	ck_assert_msg(fabs(count - expected) <= 3 * sqrt(expected), "%s: %.0f, not %.0f +- %.0f",
		      singles[_i].what, count, expected, 3 * sqrt(expected));
	drill_free(&drill);
	arena_free(&arena);
}
END_TEST

/*
 * Two replicas, one of them gray. Two draws are the same one half of the time, and then it gets the
 * request whatever it does: its share is 1/4 to 3/4, less than half where it is slow, more where it
 * fails at once.
 */
static const struct {
	const char *fault, *count;
	double least, most;
} routes[] = {
	{GRAY("latency: 500ms, error_rate: 0%"), "requests.late", 0.25, 0.5},
	{GRAY("latency: 0s, error_rate: 100%"), "requests.failed", 0.5, 0.75},
};

START_TEST(single_routes)
{
	const char *sets[SETS_MAX] = {TWO, LATE, SINGLE};
	struct arena arena = {0};
	struct drill drill;

	sets[3] = LIMIT("700ms");
	sets[4] = arena_printf(&arena, "steps=[{at: 20m, fault: %s, for: %s}]", routes[_i].fault,
			       LONG);
	drill_run(&drill, sets);
	double share = find(&drill, routes[_i].count)->valuedouble / 144000;
	ck_assert_msg(share > routes[_i].least && share < routes[_i].most, "its share is %g",
		      share);
	drill_free(&drill);
	arena_free(&arena);
}
END_TEST

/*
 * A surge: what is bad lasts from the 448th waiting request until there are so few again. The queue
 * of a minute has a standard deviation of sqrt((360 + 256) 60) by arrivals alone (ends of constant
 * work are even), and 136/s are worked off.
 */
START_TEST(single_surge)
{
	static const char *const sets[SETS_MAX] = {LATE, SINGLE, ONE(SURGE("3"), "1m")};
	double expected = 60 - 448.0 / 104 + (6240 - 448) / 136.0;
	double error = sqrt((360 + 120) * 60.0) / 136 + sqrt(360 * 4.3) / 104;
	struct drill drill;

	drill_run(&drill, sets);
	double bad = find(&drill, BAD)->valuedouble;
	ck_assert_msg(fabs(bad - expected) <= 3 * error, "bad for %g s, not %g +- %g", bad,
		      expected, 3 * error);
	drill_free(&drill);
}
END_TEST

/* ---- who sees a gray node ---- */

static const struct {
	const char *what, *detector, *more;
	bool seen;
} lookers[] = {
	{"its probe", "{kind: probe, scope: node, interval: 10s, timeout: 1s, misses: 3}",
	 "error_rate: 100%", false},
	{"a probe of the service", /* three in a row meet it when all of its replicas are there */
	 "{kind: probe, scope: endpoint, interval: 10s, timeout: 1s, misses: 3}",
	 "error_rate: 100%", true},
	{"a canary", "{kind: canary, every: 10s, misses: 3}", "error_rate: 100%", true},
	{"a slow answer", "{kind: canary, every: 10s, misses: 3, timeout: 1s}",
	 "latency: 2s, error_rate: 0%", true},
	{"an slo", "{kind: slo, window: 1m, success: 95%, latency: 2s}",
	 "latency: 0s, error_rate: 10%", true},
	{"an slo that is met", "{kind: slo, window: 1m, success: 85%, latency: 2s}",
	 "latency: 0s, error_rate: 10%", false},
};

START_TEST(gray_seen)
{
	const char *sets[SETS_MAX] = {NULL};
	struct arena arena = {0};
	struct drill drill;

	sets[0] = arena_printf(&arena, "detector=%s", lookers[_i].detector);
	sets[1] = arena_printf(&arena,
			       "steps=[{at: 20m, fault: node.gray, target: "
			       "\"primary/node[0]\", %s, for: 10m}]",
			       lookers[_i].more);
	drill_run(&drill, sets);
	ck_assert_msg((drill.audit->declared > 0) == lookers[_i].seen, "%s: %u declarations",
		      lookers[_i].what, drill.audit->declared);
	drill_free(&drill);
	arena_free(&arena);
}
END_TEST

/* ---- what is found to be the cause ---- */

static const struct {
	const char *fault, *cause;
} causes[] = {
	{SLOWER("3"), "gpu.straggler"},
	{WRONG("0", "10%"), "gpu.sdc"},
	{"gpu.fallen_off_bus, target: \"primary/node[0]/gpu[0]\"", "gpu.xid"},
	{GRAY("latency: 0s"), "node.gray"},
	{GRAY("error_rate: 0%"), "node.gray"},
	{"node.reboot, target: \"primary/node[0]\"", "node.crash"},
	{"nic.fail, target: \"primary/node[0]\"", "node.crash"},
	{PAUSE, "proc.pause"},
	{LOOP, "proc.kill"},
	{UNREADY(""), "proc.kill"},
	{LOSS("1%"), "net.loss"},
	{DROP("primary"), "net.blackhole"},
	{FLAP("1m", "1s"), "net.partition"},
	{"disk.fill, target: \"primary/node[0]\"", "disk.fill"},
	{"disk.readonly, target: \"primary/node[0]\"", "disk.readonly"},
	{"disk.error, target: \"primary/node[0]\"", "disk.error"},
	{CUT("50%"), "data.delete"},
	{"data.delete, target: data/io", "data.delete"},
	{"data.encrypt, target: data/io", "data.encrypt"},
	{"data.stale, target: data/io", "data.bitflip"},
	{"deploy.bad_model, target: endpoint/chat", "data.bitflip"},
	{"data.zero, target: data/io", "data.bitflip"},
	{"data.misdirect, target: data/io", "data.bitflip"},
	{BURN(""), "cpu.burn"},
	{SQUEEZE("", "25%"), "cgroup.squeeze"},
	{FILL(""), "mem.fill"},
	{FILL(", percent: 50%"), "none found"},
	{"proc.oom, target: endpoint/chat", "proc.oom"},
	{SKEW("primary", "6m"), "clock.skew"},
	{HANGS, "gpu.hang"},
	{HANG("\"primary/node[0]\""), "disk.hang"},
	{AT_NODE("nvme.timeout", ", timeout: 1s"), "disk.error"},
	{AT_NODE("io.errno", ""), "io.errno"},
	{AT_NODE("disk.badblocks", ""), "disk.badblocks"},
	{AT_NODE("io.latency", ""), "io.latency"},
	{AT_NODE("net.corrupt", ""), "net.corrupt"},
	{NODES("halves"), "net.partition"},
	{AT_NODE("net.interface_down", ""), "node.crash"},
	{SKEW("primary", "4m"), "none found"},
};

START_TEST(cause)
{
	const char *sets[SETS_MAX] = {NULL};
	struct arena arena = {0};
	struct drill drill;

	sets[0] = arena_printf(&arena, "steps=[{at: 20m, fault: %s, for: 5m}]", causes[_i].fault);
	drill_run(&drill, sets);
	const cJSON *found = find(&drill, "incidents[0].diagnosis");
	ck_assert_msg(cJSON_IsString(found) && !strcmp(found->valuestring, causes[_i].cause),
		      "%s: %s", causes[_i].fault, cJSON_PrintUnformatted(found));
	drill_free(&drill);
	arena_free(&arena);
}
END_TEST

#define CASES(name, rows)                                                                          \
	START_TEST(name)                                                                           \
	{                                                                                          \
		check_row(&(rows)[_i]);                                                            \
	}                                                                                          \
	END_TEST

CASES(node_row, nodes)
CASES(resource_row, resources)
CASES(process_row, processes)
CASES(net_row, nets)
CASES(wire_row, wires)
CASES(disk_row, disks)
CASES(store_row, stores)
CASES(content_row, contents)
CASES(site_row, sites)
CASES(load_row, loads)

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "nodes and GPUs", node_row, COUNT(nodes));
	test_add_loop(suite, "CPU and memory", resource_row, COUNT(resources));
	test_add_loop(suite, "processes", process_row, COUNT(processes));
	test_add_loop(suite, "the network", net_row, COUNT(nets));
	test_add_loop(suite, "packets", wire_row, COUNT(wires));
	test_add_loop(suite, "operations on disks", disk_row, COUNT(disks));
	test_add_loop(suite, "disks, the store, backups", store_row, COUNT(stores));
	test_add_loop(suite, "content", content_row, COUNT(contents));
	test_add_loop(suite, "sites and the platform", site_row, COUNT(sites));
	test_add_loop(suite, "load", load_row, COUNT(loads));
	test_add_loop(suite, "taken back", taken_back, fault_count());
	test_add_loop(suite, "two taken back", taken_back_twice, fault_count());
	test_add_loop(suite, "taken back beside a crash", taken_back_beside, fault_count());
	test_add_loop(suite, "single requests", single_requests, COUNT(singles));
	test_add_loop(suite, "the less busy of two", single_routes, COUNT(routes));
	test_add(suite, "a surge of single requests", single_surge);
	test_add_loop(suite, "causes", cause, COUNT(causes));
	test_add_loop(suite, "who sees a gray node", gray_seen, COUNT(lookers));
}

TEST_MAIN("effects", add_cases)
