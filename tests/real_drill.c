/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole drills by the driver process, as a user starts them: what the record says against the
 * timeline, the ledger's own file and the capture, and the proof that nothing is left on the host.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/audit.h"
#include "tests/process_drills.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define LINE_MAX_BYTES 512

static struct bench bench;

static const struct drill_plan small = {
	.name = "small",
	.duration = "230s",
	.detect = "misses: 2",
	/* None between the fault and the declaration, however busy the host is. */
	.backup = "at_start: true, every: 60s, kind: incremental",
	.steps = "  - {at: 80s, fault: gpu.lost, target: \"primary/node[0]/gpu[1]\", for: "
		 "repaired}\n",
};

/* ---- the ledger's file, read by the words of its page alone ---- */

struct counted {
	unsigned records, acknowledged, lost, read_back;
	int64_t first_lost, last_lost; /* when they were acknowledged */
};

/* A text without quotes inside, after `at`. */
static char *quoted(char *at, char **ret_end)
{
	char *begin = strchr(at, '"'), *end = begin ? strchr(begin + 1, '"') : NULL;

	ck_assert_ptr_nonnull(end);
	*end = '\0';
	*ret_end = end + 1;
	return begin + 1;
}

/* [SEQ,SITE,CRC,BYTES,OUTCOME,ACKNOWLEDGED_AT,SITE,REPLICA,TIMES,STATE,COPIES] */
static void count_line(char *line, struct counted *ret)
{
	char *at = line;
	int64_t acknowledged = 0;

	quoted(at, &at); /* the CRC */
	const char *outcome = quoted(at, &at);
	bool ok = strcmp(outcome, "ok") == 0;

	if (ok)
		ck_assert_int_eq(sscanf(at, ",%" SCNd64, &acknowledged), 1); /* style: allow */
	ret->records++;
	ret->acknowledged += ok;
	if (!ok || !strchr(at, '"'))
		return;
	const char *state = quoted(at, &at);
	ret->read_back += strcmp(state, "unchecked") != 0;
	if (strcmp(state, "lost") != 0)
		return;
	if (ret->lost++ == 0 || acknowledged < ret->first_lost)
		ret->first_lost = acknowledged;
	if (acknowledged > ret->last_lost)
		ret->last_lost = acknowledged;
}

static void count_ledger(const char *path, struct counted *ret)
{
	FILE *file = fopen(path, "re");
	char line[LINE_MAX_BYTES];

	*ret = (struct counted){0};
	ck_assert_msg(file != NULL, "no %s", path);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	ck_assert_msg(strstr(line, "\"schema\":\"drsim/ledger/v1\"") != NULL, "%s", line);
	while (fgets(line, sizeof(line), file)) {
		ck_assert_ptr_nonnull(strchr(line, '\n'));
		count_line(line, ret);
	}
	fclose(file);
}

/* ---- a record against everything beside it ---- */

static double real_of(const cJSON *object, const char *key)
{
	const cJSON *item = audit_field(object, key);

	ck_assert_msg(cJSON_IsNumber(item), "'%s' is no number", key);
	return item->valuedouble;
}

/* The phases in integer nanoseconds, from the events alone, and what the record says of them. */
static void audit(const char *out, const cJSON *record)
{
	struct audit a;
	char path[256];

	snprintf(path, sizeof(path), "%s/events.jsonl", out);
	audit_read(&bench, path, &a);
	audit_check(&a);
	audit_compare(&a, record);
	audit_requests(record);
	audit_free(&a);
}

static void check_faults(const cJSON *record)
{
	const cJSON *fault;

	cJSON_ArrayForEach (fault, audit_field(record, "faults")) {
		ck_assert(cJSON_IsTrue(audit_field(fault, "effective")));
		ck_assert(cJSON_IsTrue(audit_field(fault, "reverted")));
		ck_assert_int_eq(cJSON_GetArraySize(audit_field(fault, "residue")), 0);
		ck_assert_str_eq(audit_word(fault, "fidelity"), "real");
		ck_assert_int_le(audit_number(fault, "before_ns"), audit_number(fault, "after_ns"));
	}
}

/* The instant of the fault lies between the two that stand around its application. */
static void check_onset(const cJSON *record)
{
	const cJSON *incident = cJSON_GetArrayItem(audit_field(record, "incidents"), 0);
	const cJSON *fault = cJSON_GetArrayItem(audit_field(record, "faults"), 0);
	nanos at = audit_number(incident, "t_fault_ns");

	ck_assert_int_le(audit_number(fault, "before_ns"), at);
	ck_assert_int_ge(audit_number(fault, "after_ns"), at);
}

static void check_losses(const char *out, const cJSON *record)
{
	const cJSON *incident = cJSON_GetArrayItem(audit_field(record, "incidents"), 0);
	const cJSON *ledger = audit_field(record, "ledger");
	const cJSON *brp = audit_under(record, "metrics", "brp");
	struct counted counted;
	char path[256];

	snprintf(path, sizeof(path), "%s/ledger.jsonl", out);
	count_ledger(path, &counted);
	printf("lost: %u records by the file, %.0f by the ledger, %.0f by brp.records\n",
	       counted.lost, real_of(ledger, "lost"), real_of(brp, "records"));
	ck_assert_int_eq((int)counted.records, audit_number(ledger, "written"));
	ck_assert_int_eq((int)counted.acknowledged, audit_number(ledger, "acknowledged"));
	ck_assert_int_eq((int)counted.lost, audit_number(ledger, "lost"));
	ck_assert_int_eq((int)counted.lost, audit_number(brp, "records"));
	ck_assert_uint_gt(counted.lost, 0);
	ck_assert_int_ge(counted.first_lost, audit_number(incident, "t_bp_ns"));
	ck_assert_int_le(counted.last_lost, audit_number(incident, "t_loss_ns"));
	for (int i = 0; i < 4; i++) {
		static const char *const none[] = {"stale", "altered", "acknowledged_twice",
						   "foreign"};
		ck_assert_int_eq(audit_number(ledger, none[i]), 0);
	}
}

static void check_wire(const char *out, const cJSON *record)
{
	const cJSON *wire = audit_field(record, "wire");
	struct stat status;
	char path[256];

	snprintf(path, sizeof(path), "%s/capture.pcap", out);
	if (cJSON_IsNull(wire)) {
		printf("skipped: the wire's own count: %s\n", audit_word(record, "wire_reason"));
		ck_assert_int_gt((int)strlen(audit_word(record, "wire_reason")), 0);
		return;
	}
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_gt(status.st_size, 1000);
	ck_assert(cJSON_IsTrue(audit_field(wire, "agrees")));
	ck_assert(fabs(real_of(wire, "outage_s") - real_of(wire, "client_s")) <=
		  real_of(wire, "allowed_s"));
}

static void check_drill(const char *out)
{
	cJSON *record = drill_record(out);
	const cJSON *incident = cJSON_GetArrayItem(audit_field(record, "incidents"), 0);

	ck_assert_str_eq(audit_word(audit_field(record, "drill"), "kind"), "injected");
	ck_assert_str_eq(audit_word(audit_field(record, "drill"), "driver"), "process");
	ck_assert_int_eq(cJSON_GetArraySize(audit_field(record, "incidents")), 1);
	ck_assert_str_eq(audit_word(incident, "path"), "failover");
	printf("%s: FRT %.2f s = detection %.2f + decision %.2f + BRT %.2f + readiness %.2f\n", out,
	       real_of(incident, "frt_ns") / 1e9, real_of(incident, "detection_ns") / 1e9,
	       real_of(incident, "decision_ns") / 1e9, real_of(incident, "brt_ns") / 1e9,
	       real_of(incident, "readiness_ns") / 1e9);
	check_faults(record);
	check_onset(record);
	audit(out, record);
	check_losses(out, record);
	check_wire(out, record);
	cJSON_Delete(record);
}

static void begin(void)
{
	workplace_enter("real-drill");
	bench_open(&bench);
}

static void end(void)
{
	bench_close(&bench);
	workplace_leave();
}

static char *log_of(const char *out)
{
	char path[256];

	snprintf(path, sizeof(path), "%s.log", out);
	return workplace_read(path);
}

static void nothing_left(pid_t pid)
{
	ck_assert_msg(*drill_left(pid) == '\0', "left: %s", drill_left(pid));
}

/* ---- drills ---- */

/* Two at a time, with one $DRSIM_STATE between them. */
START_TEST(two_drills)
{
	begin();
	drill_write(&small);
	pid_t first = drill_start("small", "one", NULL), second = drill_start("small", "two", NULL);
	int codes[2] = {drill_wait(first, 110), drill_wait(second, 110)};

	ck_assert_msg(codes[0] == 0, "exit %d: %s", codes[0], log_of("one"));
	ck_assert_msg(codes[1] == 0, "exit %d: %s", codes[1], log_of("two"));
	nothing_left(first);
	nothing_left(second);
	check_drill("one");
	check_drill("two");
	end();
}
END_TEST

/* The file that ships, with less load and sooner over: everything else is as it is run for real. */
START_TEST(shipped_gpu_loss)
{
	char path[PATH_MAX + 64];
	const char *const words[] = {"--set", "duration=20m",
				     "--set", "steps[0].at=8m",
				     "--set", "backup.every=3m",
				     "--set", "deployment.endpoints[0].load.rate=2/s",
				     "--set", "deployment.data.io.records=2/s",
				     "--set", "recovery.repair.time=3m",
				     "--set", "objectives.availability=50%",
				     NULL};

	begin();
	snprintf(path, sizeof(path), "%s/scenarios/gpu_loss.yaml", workplace_root);
	pid_t pid = drill_start(path, "shipped", words);
	int code = drill_wait(pid, 110);

	ck_assert_msg(code == 0, "exit %d: %s", code, log_of("shipped"));
	nothing_left(pid);
	check_drill("shipped");
	end();
}
END_TEST

START_TEST(sham)
{
	const char *const words[] = {"--sham", "--set", "duration=150s", NULL};
	cJSON *record;

	begin();
	drill_write(&small);
	pid_t pid = drill_start("small", "sham", words);
	int code = drill_wait(pid, 60);

	ck_assert_msg(code == 0, "exit %d: %s", code, log_of("sham"));
	nothing_left(pid);
	record = drill_record("sham");
	ck_assert(cJSON_IsTrue(audit_under(record, "drill", "sham")));
	ck_assert_int_eq(cJSON_GetArraySize(audit_field(record, "incidents")), 0);
	const cJSON *fault = cJSON_GetArrayItem(audit_field(record, "faults"), 0);
	ck_assert(!fault || cJSON_IsFalse(audit_field(fault, "applied")));
	ck_assert_int_eq(audit_number(audit_field(record, "ledger"), "lost"), 0);
	ck_assert_int_eq(audit_number(audit_field(record, "requests"), "good"),
			 audit_number(audit_field(record, "ledger"), "acknowledged"));
	cJSON_Delete(record);
	end();
}
END_TEST

/* ---- faults that find nothing to hit ---- */

static const struct drill_plan nulls[] = {
	{.name = "no_process",
	 .duration = "60s",
	 .detect = "misses: 1000",
	 .steps = "  - {at: 10s, fault: node.crash, target: \"primary/node[0]\", for: 40s}\n"
		  "  - {at: 11s, fault: proc.kill, target: \"endpoint/chat\"}\n"},
	{.name = "no_restore",
	 .duration = "40s",
	 .detect = "misses: 1000",
	 .steps = "  - {at: 10s, fault: restore.interrupt, target: store}\n"},
	{.name = "no_backup",
	 .duration = "40s",
	 .detect = "misses: 1000",
	 .backup = "at_start: false, every: 1h",
	 .steps = "  - {at: 10s, fault: backup.corrupt, target: \"backup[-1]\"}\n"},
	{.name = "no_change",
	 .duration = "40s",
	 .detect = "misses: 1000",
	 .steps = "  - {at: 10s, fault: data.stale, target: data/model, age: 5s}\n"},
};

START_TEST(without_effect)
{
	const struct drill_plan *plan = &nulls[_i];
	const cJSON *fault, *last = NULL;

	begin();
	drill_write(plan);
	pid_t pid = drill_start(plan->name, plan->name, NULL);
	int code = drill_wait(pid, 60);

	ck_assert_msg(code == 3, "exit %d: %s", code, log_of(plan->name));
	nothing_left(pid);
	cJSON *record = drill_record(plan->name);
	cJSON_ArrayForEach (fault, audit_field(record, "faults"))
		last = fault;
	ck_assert(cJSON_IsFalse(audit_field(last, "effective")));
	printf("%s: %s\n", audit_word(last, "name"), audit_word(last, "observed"));
	cJSON_Delete(record);
	end();
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "two_drills", two_drills);
	test_add(suite, "shipped_gpu_loss", shipped_gpu_loss);
	test_add(suite, "sham", sham);
	test_add_loop(suite, "without_effect", without_effect,
		      (int)(sizeof(nulls) / sizeof(nulls[0])));
}

TEST_MAIN("real_drill", add_cases)
