/* SPDX-License-Identifier: Apache-2.0 */
/* Marks, phases, objectives and verdicts: worked by hand, and every rule broken once. */
#include <math.h>
#include <string.h>

#include "core/fault.h"
#include "core/record.h"
#include "core/run.h"
#include "tests/test.h"

#define T(s) ((nanos)(s)*NANOS_S)

static struct incident blank(enum path path)
{
	struct incident incident = {.path = path, .fault = "gpu.lost", .target = "primary"};

	for (size_t i = 0; i < MARKS; i++)
		incident.marks[i] = NANOS_NEVER;
	return incident;
}

/* Fault at 100 s, declared at 126, switched 130 to 150, restored 150 to 210, good at 215. */
static struct incident failover(void)
{
	struct incident incident = blank(PATH_FAILOVER);
	nanos *marks = incident.marks;

	marks[MARK_BP] = T(40);
	marks[MARK_FAULT] = marks[MARK_LOSS] = T(100);
	marks[MARK_DETECT] = T(126);
	marks[MARK_DECIDE] = marks[MARK_SWITCH_BEGIN] = T(130);
	marks[MARK_SWITCHED] = marks[MARK_DATA_BEGIN] = T(150);
	marks[MARK_DATA_RESTORED] = T(210);
	marks[MARK_RESTORED] = T(215);
	marks[MARK_VERIFIED] = T(220);
	marks[MARK_DIAGNOSED] = T(127);
	marks[MARK_REPAIRED] = T(900);
	marks[MARK_FAILBACK] = T(950);
	marks[MARK_NORMAL] = T(1000);
	incident_measure(&incident);
	return incident;
}

START_TEST(failover_sequential)
{
	struct incident incident = failover();

	ck_assert_int_eq(incident.detection, T(26));
	ck_assert_int_eq(incident.decision, T(4));
	ck_assert_int_eq(incident.switching, T(20));
	ck_assert_int_eq(incident.data_recovery, T(60));
	ck_assert_int_eq(incident.brt, T(80));
	ck_assert_int_eq(incident.overlap, 0);
	ck_assert_int_eq(incident.readiness, T(5));
	ck_assert_int_eq(incident.frt, T(115));
	ck_assert_int_eq(incident_check(&incident, NULL), 0);
}
END_TEST

/* The restore runs beside the switch and outlasts it; then with a wait between the two. */
START_TEST(failover_overlap)
{
	struct incident incident = failover();

	incident.marks[MARK_DATA_BEGIN] = T(128);
	incident.marks[MARK_DECIDE] = T(127);
	incident_measure(&incident);
	ck_assert_int_eq(incident.decision, T(2)); /* the restore began first */
	ck_assert_int_eq(incident.brt, T(82));
	ck_assert_int_eq(incident.overlap, T(20));
	ck_assert_int_eq(incident.frt, T(115));
	ck_assert_int_eq(incident_check(&incident, NULL), 0);

	incident = failover();
	incident.marks[MARK_DATA_BEGIN] = T(160);
	incident_measure(&incident);
	ck_assert_int_eq(incident.brt, T(80));
	ck_assert_int_eq(incident.overlap, -T(10));
	ck_assert_int_eq(incident_check(&incident, NULL), 0);
}
END_TEST

/* Nothing had to be restored: the phase is not there, and the identity holds without it. */
START_TEST(failover_without_data)
{
	struct incident incident = failover();

	incident.marks[MARK_DATA_BEGIN] = incident.marks[MARK_DATA_RESTORED] = NANOS_NEVER;
	incident_measure(&incident);
	ck_assert_int_eq(incident.data_recovery, NANOS_NEVER);
	ck_assert_int_eq(incident.overlap, NANOS_NEVER);
	ck_assert_int_eq(incident.brt, T(20));
	ck_assert_int_eq(incident.readiness, T(65));
	ck_assert_int_eq(incident.frt, T(115));
	ck_assert_int_eq(incident_check(&incident, NULL), 0);
}
END_TEST

START_TEST(other_paths)
{
	struct incident incident = blank(PATH_IN_PLACE);

	incident.marks[MARK_FAULT] = T(100);
	incident.marks[MARK_DETECT] = T(130);
	incident.marks[MARK_RESTORED] = T(400);
	incident_measure(&incident);
	ck_assert_int_eq(incident.frt, T(300));
	ck_assert_int_eq(incident.detection, T(30));
	ck_assert_int_eq(incident.decision, NANOS_NEVER);
	ck_assert_int_eq(incident.brt, NANOS_NEVER);
	ck_assert_int_eq(incident.readiness, NANOS_NEVER);

	incident.path = PATH_UNRECOVERED;
	incident_measure(&incident);
	ck_assert_int_eq(incident.frt, NANOS_NEVER);
	ck_assert_int_eq(incident.detection, T(30));

	incident = blank(PATH_ABSORBED);
	incident.marks[MARK_FAULT] = T(100);
	incident_measure(&incident);
	ck_assert_int_eq(incident.frt, 0);
	ck_assert_int_eq(incident.detection, NANOS_NEVER);
	ck_assert_int_eq(incident_check(&incident, NULL), 0);
	incident.marks[MARK_RESTORED] = T(102);
	incident_measure(&incident);
	ck_assert_int_eq(incident.frt, T(2));

	incident = failover();
	incident.path = PATH_FALSE_ALARM;
	incident.marks[MARK_FAULT] = NANOS_NEVER;
	incident_measure(&incident);
	ck_assert_int_eq(incident.frt, NANOS_NEVER);
	ck_assert_int_eq(incident.detection, NANOS_NEVER);
	ck_assert_int_eq(incident.brt, T(80));
	ck_assert_int_eq(incident_check(&incident, NULL), 0);
}
END_TEST

/* The case study: FRT 2.5 h and BRT 2.5 h; with a detection of 5 min FRT is 9300 s. */
START_TEST(case_study)
{
	for (nanos detection = 0; detection <= T(300); detection += T(300)) {
		struct incident incident = blank(PATH_FAILOVER);
		nanos *marks = incident.marks;
		nanos fault = NANOS_DAY, begin = fault + detection;

		marks[MARK_BP] = 0;
		marks[MARK_FAULT] = marks[MARK_LOSS] = fault;
		marks[MARK_DETECT] = marks[MARK_DECIDE] = marks[MARK_SWITCH_BEGIN] = begin;
		marks[MARK_SWITCHED] = marks[MARK_DATA_BEGIN] = begin + T(1800);
		marks[MARK_DATA_RESTORED] = marks[MARK_RESTORED] = begin + T(9000);
		incident_measure(&incident);
		ck_assert_int_eq(incident.brt, T(9000));
		ck_assert_int_eq(incident.frt, T(9000) + detection);
		ck_assert_int_eq(incident_check(&incident, NULL), 0);
	}
}
END_TEST

/* Each pair of marks of which the first must not be the later one. */
static const struct {
	enum mark first, second;
} orders[] = {
	{MARK_FAULT, MARK_DETECT},
	{MARK_DETECT, MARK_DECIDE},
	{MARK_DECIDE, MARK_SWITCH_BEGIN},
	{MARK_SWITCH_BEGIN, MARK_SWITCHED},
	{MARK_DATA_BEGIN, MARK_DATA_RESTORED},
	{MARK_DATA_RESTORED, MARK_RESTORED},
	{MARK_SWITCHED, MARK_RESTORED},
	{MARK_DATA_RESTORED, MARK_VERIFIED},
	{MARK_DETECT, MARK_DIAGNOSED},
	{MARK_DIAGNOSED, MARK_REPAIRED},
	{MARK_REPAIRED, MARK_FAILBACK},
	{MARK_FAILBACK, MARK_NORMAL},
	{MARK_RESTORED, MARK_NORMAL},
	{MARK_BP, MARK_LOSS},
};
#define ORDERS ((int)(sizeof(orders) / sizeof(orders[0])))

START_TEST(order_broken)
{
	struct incident incident = failover();
	struct error e = {0};

	incident.marks[orders[_i].second] = incident.marks[orders[_i].first] - 1;
	incident_measure(&incident);
	ck_assert_int_eq(incident_check(&incident, &e), -1);
	ck_assert_msg(strstr(e.text, "is before") || strstr(e.text, "negative"), "%s", e.text);
}
END_TEST

/* Without one of the two there is nothing to compare. */
START_TEST(order_open)
{
	struct incident incident = failover();
	static const enum mark needed[] = {MARK_FAULT, MARK_DETECT, MARK_RESTORED};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (orders[_i].second == needed[i])
			return; /* the identity needs these */
	incident.marks[orders[_i].second] = NANOS_NEVER;
	incident_measure(&incident);
	ck_assert_int_eq(incident_check(&incident, NULL), 0);
}
END_TEST

START_TEST(order_skips_what_is_missing)
{
	struct incident incident = failover();
	struct error e = {0};

	incident.marks[MARK_DIAGNOSED] = incident.marks[MARK_REPAIRED] = NANOS_NEVER;
	incident.marks[MARK_FAILBACK] = T(125); /* before t_detect */
	incident_measure(&incident);
	ck_assert_int_eq(incident_check(&incident, &e), -1);
	ck_assert_msg(strstr(e.text, "t_failback") && strstr(e.text, "t_detect"), "%s", e.text);
}
END_TEST

START_TEST(identity_can_fail)
{
	struct incident incident = failover();
	struct error e = {0};

	incident.readiness++;
	ck_assert_int_eq(incident_check(&incident, &e), -1);
	ck_assert_msg(strstr(e.text, "FRT"), "%s", e.text);

	incident = failover();
	incident.brt = NANOS_NEVER;
	ck_assert_int_eq(incident_check(&incident, NULL), -1);

	incident = failover();
	incident.path = PATH_FALSE_ALARM; /* with a fault */
	ck_assert_int_eq(incident_check(&incident, NULL), -1);

	incident = blank(PATH_UNRECOVERED); /* without a fault */
	ck_assert_int_eq(incident_check(&incident, NULL), -1);
}
END_TEST

/* ---- objectives and verdict ---- */

struct drill {
	struct scenario scenario;
	struct step steps[1];
	struct record record;
	struct incident incidents[2];
	struct fault_record faults[1];
	struct campaign campaign;
};

static void objective(struct drill *drill, enum objective_kind kind, double limit)
{
	drill->scenario.objectives[drill->scenario.objective_count++] =
		(struct objective){.kind = kind, .limit = limit, .quantile = 0.95};
}

/* One effective fault, one failover with FRT 115 s and BRT 80 s. */
static void drill_init(struct drill *drill)
{
	*drill = (struct drill){0};
	drill->scenario.steps = drill->steps;
	drill->scenario.step_count = 1;
	drill->incidents[0] = failover();
	drill->faults[0] = (struct fault_record){.name = "gpu.lost",
						 .target = "primary",
						 .applied = true,
						 .effective = TRISTATE_TRUE,
						 .reverted = TRISTATE_TRUE};
	drill->record.scenario = &drill->scenario;
	drill->record.incidents = drill->incidents;
	drill->record.incident_count = 1;
	drill->record.faults = drill->faults;
	drill->record.fault_count = 1;
	drill->record.availability_time = 0.97;
	drill->record.availability_requests = NAN;
	drill->record.longest_bad_s = 115;
	drill->record.brp.by_class[DATA_IO].known = true;
	drill->record.brp.known = true;
	drill->record.brp.seconds = 60;
	drill->record.brp.bytes = 6000;
	drill->record.brp.records = 700;
}

static void expect(struct drill *drill, enum verdict verdict, int exit_code)
{
	record_judge(&drill->record);
	ck_assert_str_eq(verdict_names[drill->record.verdict], verdict_names[verdict]);
	ck_assert_int_eq(drill->record.exit_code, exit_code);
	/* A second judgement of the same record changes nothing. */
	record_judge(&drill->record);
	ck_assert_int_eq(drill->record.verdict, verdict);
}

/* A drill whose two instruments contradict one another is not evaluable; one alone is. */
START_TEST(the_wire_and_the_client_must_agree)
{
	struct measured measured = {.wire_known = true, .wire = {.agrees = true}};
	struct drill drill;

	drill_init(&drill);
	objective(&drill, OBJECTIVE_FRT, 200);
	drill.record.measured = &measured;
	expect(&drill, VERDICT_PASSED, 0);
	measured.wire.agrees = false;
	ck_assert(!record_evaluable(&drill.record));
	expect(&drill, VERDICT_INVALID, 3);
	ck_assert_ptr_nonnull(strstr(drill.record.abort_reason, "capture"));
	drill_init(&drill);
	objective(&drill, OBJECTIVE_FRT, 200);
	measured.wire_known = false;
	drill.record.measured = &measured;
	ck_assert(record_evaluable(&drill.record));
	expect(&drill, VERDICT_PASSED, 0);
}
END_TEST

static const struct {
	enum objective_kind kind;
	double kept, missed, achieved;
	const char *unit;
} limits[] = {
	{OBJECTIVE_FRT, 115, 114.999999999, 115, "s"},
	{OBJECTIVE_BRT, 80, 79, 80, "s"},
	{OBJECTIVE_BRP_SECONDS, 60, 59, 60, "s"},
	{OBJECTIVE_BRP_BYTES, 6000, 5999, 6000, "bytes"},
	{OBJECTIVE_BRP_RECORDS, 700, 699, 700, "records"},
	{OBJECTIVE_AVAILABILITY, 0.97, 0.9700001, 0.97, "fraction"},
	{OBJECTIVE_MTPD, 115, 100, 115, "s"},
};

START_TEST(objective_limits)
{
	struct drill drill;

	drill_init(&drill);
	objective(&drill, limits[_i].kind, limits[_i].kept);
	expect(&drill, VERDICT_PASSED, 0);
	ck_assert_double_eq(drill.record.objectives[0].achieved, limits[_i].achieved);
	ck_assert_str_eq(drill.record.objectives[0].unit, limits[_i].unit);
	ck_assert(isnan(drill.record.objectives[0].quantile));
	ck_assert_int_eq(drill.record.objectives[0].met, TRISTATE_TRUE);

	drill_init(&drill);
	objective(&drill, limits[_i].kind, limits[_i].missed);
	expect(&drill, VERDICT_FAILED, 1);
	ck_assert_int_eq(drill.record.objectives[0].met, TRISTATE_FALSE);
}
END_TEST

/* Nothing was asked for, and nothing came back: no success. */
START_TEST(nothing_asked)
{
	struct drill drill;

	drill_init(&drill);
	expect(&drill, VERDICT_PASSED, 0);
	drill.incidents[0].path = PATH_UNRECOVERED;
	drill.incidents[0].marks[MARK_RESTORED] = NANOS_NEVER;
	incident_measure(&drill.incidents[0]);
	expect(&drill, VERDICT_FAILED, 1);
	objective(&drill, OBJECTIVE_AVAILABILITY, 0.5); /* asked for, and met */
	expect(&drill, VERDICT_PASSED, 0);

	drill_init(&drill);
	drill.record.campaign = &drill.campaign;
	drill.campaign.trials = 10;
	expect(&drill, VERDICT_PASSED, 0);
	drill.campaign.censored = 1;
	expect(&drill, VERDICT_FAILED, 1);
}
END_TEST

/* ---- findings ---- */

static bool found(const struct record *record, const char *part)
{
	for (size_t i = 0; i < record->finding_count; i++)
		if (strstr(record->findings[i].text, part))
			return true;
	return false;
}

/* Judges the drill, and expects `part` in a finding, and `never` in none. */
static void expect_finding(struct drill *drill, const char *part, const char *never)
{
	struct arena arena = {0};

	record_judge(&drill->record);
	findings_compute(&drill->record, &arena);
	if (!found(&drill->record, part) || found(&drill->record, never)) {
		for (size_t i = 0; i < drill->record.finding_count; i++)
			printf("%s\n", drill->record.findings[i].text);
		ck_abort_msg("'%s' is missing, or '%s' is there", part, never);
	}
	arena_free(&arena);
}

static void drill_with(struct drill *drill, const struct fault_ops *fault, enum path path)
{
	static uint32_t first[] = {0};

	drill_init(drill);
	drill->steps[0].fault = fault;
	drill->incidents[0].path = path;
	drill->incidents[0].faults = first;
	drill->incidents[0].fault_count = 1;
	if (path != PATH_FAILOVER)
		for (int mark = MARK_SWITCH_BEGIN; mark <= MARK_DATA_RESTORED; mark++)
			drill->incidents[0].marks[mark] = NANOS_NEVER;
}

static void at(struct drill *drill, enum mark mark, int64_t s)
{
	drill->incidents[0].marks[mark] = T(s);
	incident_measure(&drill->incidents[0]);
}

/* What brought the service back took the time; a declaration that nobody waited for did not. */
START_TEST(findings_name_the_way_back)
{
	static const struct fault_ops crash = {.name = "node.crash",
					       .needs = EFFECT_BIT(EFFECT_NODE_CRASH)};
	static const struct fault_ops death = {.name = "proc.kill",
					       .needs = EFFECT_BIT(EFFECT_PROC_EXIT)};
	static const struct fault_ops oom = {.name = "proc.oom",
					     .needs = EFFECT_BIT(EFFECT_PROC_OOM)};
	struct drill drill;

	drill_with(&drill, &crash, PATH_IN_PLACE);
	at(&drill, MARK_REPAIRED, 1326);
	at(&drill, MARK_RESTORED, 1386);
	expect_finding(&drill, "The repair took 20 min", "any other phase");
	at(&drill, MARK_REPAIRED, 130);
	at(&drill, MARK_RESTORED, 135);
	expect_finding(&drill, "Detection took 26 s", "any other phase");

	drill_with(&drill, &crash, PATH_IN_PLACE);
	drill.steps[0].until = UNTIL_ELAPSED;
	at(&drill, MARK_REPAIRED, 127);
	at(&drill, MARK_RESTORED, 128);
	expect_finding(&drill, "Waiting for the fault to end by itself", "Detection took");

	drill_with(&drill, &death, PATH_IN_PLACE);
	at(&drill, MARK_REPAIRED, 127);
	at(&drill, MARK_RESTORED, 128);
	expect_finding(&drill, "The restart took 28 s of the 28 s FRT", "Detection took");

	drill_with(&drill, &oom, PATH_IN_PLACE);
	at(&drill, MARK_REPAIRED, 127);
	at(&drill, MARK_RESTORED, 128);
	expect_finding(&drill, "The restart took 28 s of the 28 s FRT", "Detection took");

	drill_with(&drill, &crash, PATH_ABSORBED);
	at(&drill, MARK_RESTORED, 127);
	expect_finding(&drill, "rescheduling) took 27 s", "Detection took");
}
END_TEST

/* A move that is tried again is no long decision; what was broken then is named. */
START_TEST(findings_name_retries)
{
	static const struct entity standby[] = {{.kind = ENTITY_STANDBY, .site = 1}};
	struct step steps[2] = {{.target = {.count = 0}},
				{.index = 1, .target = {.entities = standby, .count = 1}}};
	struct fault_record faults[2] = {{.name = "gpu.lost",
					  .target = "primary",
					  .applied = true,
					  .effective = TRISTATE_TRUE},
					 {.name = "standby.unavailable",
					  .target = "standby",
					  .step = 1,
					  .incident = 1,
					  .applied = true,
					  .effective = TRISTATE_TRUE}};
	struct drill drill;

	drill_with(&drill, NULL, PATH_FAILOVER);
	expect_finding(&drill, "Data recovery took 1 min", "did not work");
	for (int mark = MARK_SWITCH_BEGIN; mark <= MARK_RESTORED; mark++)
		drill.incidents[0].marks[mark] += T(1200);
	incident_measure(&drill.incidents[0]);
	expect_finding(&drill, "began 20 min after the decision. events.jsonl tells",
		       "The decision to fail over");

	drill.scenario.steps = steps;
	drill.scenario.step_count = 2;
	drill.record.faults = faults;
	drill.record.fault_count = drill.record.incident_count = 2;
	drill.incidents[1] = blank(PATH_ABSORBED);
	drill.incidents[1].fault_count = 0;
	drill.incidents[1].marks[MARK_FAULT] = T(50);
	drill.incidents[1].marks[MARK_REPAIRED] = T(1300);
	expect_finding(&drill, "was broken: standby.unavailable on standby.",
		       "The decision to fail over");
	drill.incidents[1].marks[MARK_REPAIRED] = T(90); /* before the decision */
	expect_finding(&drill, "events.jsonl tells", "was broken");

	drill_with(&drill, NULL, PATH_FAILOVER); /* a decision that was one */
	drill.incidents[0].marks[MARK_DECIDE] = T(700);
	for (int mark = MARK_SWITCH_BEGIN; mark <= MARK_RESTORED; mark++)
		drill.incidents[0].marks[mark] += T(570);
	incident_measure(&drill.incidents[0]);
	expect_finding(&drill, "The decision to fail over took 9 min", "did not work");
}
END_TEST

/* Whether there was a recovery point the record does not know; that nothing came back it does. */
START_TEST(findings_claim_no_more_than_known)
{
	struct drill drill;

	drill_with(&drill, NULL, PATH_UNRECOVERED);
	objective(&drill, OBJECTIVE_BRP_SECONDS, 60);
	drill.scenario.deployment.data[DATA_IO].declared = true;
	incident_measure(&drill.incidents[0]);
	expect_finding(&drill, "the data could not be read by the end of the drill",
		       "no recovery point at all");

	drill_with(&drill, NULL, PATH_FAILOVER);
	objective(&drill, OBJECTIVE_BRP_SECONDS, 60);
	drill.record.brp.seconds = INFINITY;
	expect_finding(&drill, "a data class was not restored", "no recovery point at all");
}
END_TEST

START_TEST(unrecovered_misses)
{
	static const enum objective_kind kinds[] = {OBJECTIVE_FRT, OBJECTIVE_BRT, OBJECTIVE_MTPD};
	struct drill drill;

	drill_init(&drill);
	for (size_t i = 0; i < 3; i++)
		objective(&drill, kinds[i], 1e9);
	drill.incidents[0].path = PATH_UNRECOVERED;
	drill.incidents[0].marks[MARK_RESTORED] = NANOS_NEVER;
	incident_measure(&drill.incidents[0]);
	expect(&drill, VERDICT_FAILED, 1);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(drill.record.objectives[i].met, TRISTATE_FALSE);
		ck_assert(isinf(drill.record.objectives[i].achieved));
	}
}
END_TEST

/* A long repair in place is the headline; the failover beside it still has its BRT judged. */
START_TEST(brt_of_any_failover)
{
	struct drill drill;

	drill_init(&drill);
	objective(&drill, OBJECTIVE_BRT, 60);
	drill.incidents[1] = blank(PATH_IN_PLACE);
	drill.incidents[1].marks[MARK_FAULT] = T(2000);
	drill.incidents[1].marks[MARK_RESTORED] = T(4000);
	incident_measure(&drill.incidents[1]);
	drill.record.incident_count = 2;
	drill.record.headline = 1;
	expect(&drill, VERDICT_FAILED, 1);
	ck_assert_double_eq(drill.record.objectives[0].achieved, 80);
}
END_TEST

START_TEST(no_recovery_point)
{
	struct drill drill;

	drill_init(&drill);
	objective(&drill, OBJECTIVE_BRP_SECONDS, 1e9);
	drill.record.brp.seconds = INFINITY;
	expect(&drill, VERDICT_FAILED, 1);
}
END_TEST

/* What was not measured is null: never met, never missed; and a drill of nothing else proves
 * nothing. */
START_TEST(null_is_not_true)
{
	struct drill drill;

	drill_init(&drill);
	objective(&drill, OBJECTIVE_BRT, 60);
	drill.incidents[0].path = PATH_IN_PLACE;
	incident_measure(&drill.incidents[0]);
	expect(&drill, VERDICT_INVALID, 3);
	ck_assert_int_eq(drill.record.objectives[0].met, TRISTATE_NULL);
	ck_assert(isnan(drill.record.objectives[0].achieved));

	objective(&drill, OBJECTIVE_FRT, 300);
	expect(&drill, VERDICT_PASSED, 0);
	ck_assert_int_eq(drill.record.objectives[0].met, TRISTATE_NULL);
}
END_TEST

START_TEST(no_incident)
{
	struct drill drill;

	drill_init(&drill);
	drill.record.incident_count = 0;
	drill.record.headline = -1;
	for (size_t i = 0; i < OBJECTIVES; i++)
		objective(&drill, (enum objective_kind)i, 1e9);
	drill.scenario.objectives[OBJECTIVE_AVAILABILITY].limit = 0.9;
	record_judge(&drill.record);
	for (size_t i = 0; i < OBJECTIVES; i++)
		ck_assert_int_eq(drill.record.objectives[i].met,
				 i == OBJECTIVE_AVAILABILITY ? TRISTATE_TRUE : TRISTATE_NULL);
}
END_TEST

START_TEST(not_evaluable)
{
	struct drill drill;

	drill_init(&drill);
	objective(&drill, OBJECTIVE_FRT, 300);
	drill.faults[0].effective = TRISTATE_FALSE;
	expect(&drill, VERDICT_INVALID, 3);
	ck_assert(!record_evaluable(&drill.record));

	drill_init(&drill); /* no fault was injected at all */
	objective(&drill, OBJECTIVE_AVAILABILITY, 0.9);
	drill.record.fault_count = 0;
	drill.record.incident_count = 0;
	drill.record.headline = -1;
	expect(&drill, VERDICT_INVALID, 3);

	drill.scenario.step_count = 0; /* unless the scenario has none */
	expect(&drill, VERDICT_PASSED, 0);

	drill_init(&drill); /* the controller contradicts itself */
	objective(&drill, OBJECTIVE_FRT, 300);
	drill.incidents[0].marks[MARK_NORMAL] = T(1);
	expect(&drill, VERDICT_INVALID, 3);
	ck_assert_ptr_nonnull(drill.record.abort_reason);
}
END_TEST

/* The worst wins: residue, aborted, invalid, failed. */
START_TEST(worst_wins)
{
	struct drill drill;

	drill_init(&drill);
	objective(&drill, OBJECTIVE_FRT, 1);
	expect(&drill, VERDICT_FAILED, 1);
	drill.faults[0].effective = TRISTATE_FALSE;
	expect(&drill, VERDICT_INVALID, 3);
	drill.record.verdict = VERDICT_ABORTED;
	drill.record.abort_reason = "a guard";
	expect(&drill, VERDICT_ABORTED, 5);
	drill.faults[0].reverted = TRISTATE_FALSE;
	expect(&drill, VERDICT_RESIDUE, 4);

	drill_init(&drill);
	objective(&drill, OBJECTIVE_FRT, 300);
	drill.faults[0].reverted = TRISTATE_NULL; /* permanent: not due */
	expect(&drill, VERDICT_PASSED, 0);
	drill.faults[0].residue[0] = "a rule";
	drill.faults[0].residue_count = 1;
	expect(&drill, VERDICT_RESIDUE, 4);

	drill_init(&drill); /* what the run loop says stays */
	objective(&drill, OBJECTIVE_FRT, 300);
	drill.record.verdict = VERDICT_INVALID;
	drill.record.abort_reason = "the injector is gone";
	expect(&drill, VERDICT_INVALID, 3);
}
END_TEST

START_TEST(sham)
{
	struct drill drill;

	drill_init(&drill);
	objective(&drill, OBJECTIVE_AVAILABILITY, 0.999);
	drill.record.sham = true;
	drill.faults[0].applied = false;
	drill.faults[0].effective = TRISTATE_NULL;
	drill.record.incident_count = 0;
	drill.record.headline = -1;
	expect(&drill, VERDICT_PASSED, 0);
	ck_assert_int_eq(drill.record.objectives[0].met, TRISTATE_NULL);

	drill.incidents[0] = blank(PATH_FALSE_ALARM);
	drill.incidents[0].marks[MARK_DETECT] = T(5);
	drill.record.incident_count = 1;
	expect(&drill, VERDICT_FAILED, 1);
}
END_TEST

/* ---- a campaign ---- */

static struct summary summary_of(const double *sorted, uint64_t n, uint64_t censored)
{
	return (struct summary){.n = n, .censored = censored, .sorted = sorted};
}

/* The objective is the quantile; censored trials are above every value, bad availability below. */
START_TEST(campaign_quantile)
{
	struct drill drill;
	double frt[100], availability[100];

	for (int i = 0; i < 100; i++) {
		frt[i] = i + 1;
		availability[i] = 0.90 + i / 1000.0;
	}
	drill_init(&drill);
	objective(&drill, OBJECTIVE_FRT, 95);
	objective(&drill, OBJECTIVE_AVAILABILITY, 0.905);
	drill.record.campaign = &drill.campaign;
	drill.campaign.trials = 100;
	drill.campaign.measures[MEASURE_FRT] = summary_of(frt, 100, 0);
	drill.campaign.measures[MEASURE_AVAILABILITY] = summary_of(availability, 100, 0);
	expect(&drill, VERDICT_PASSED, 0);
	ck_assert_double_eq(drill.record.objectives[0].achieved, 95);
	ck_assert_double_eq(drill.record.objectives[0].quantile, 0.95);
	/* 95 of 100 trials are at this availability or above it. */
	ck_assert_double_eq(drill.record.objectives[1].achieved, availability[5]);

	drill.campaign.measures[MEASURE_FRT] = summary_of(frt, 95, 5);
	expect(&drill, VERDICT_PASSED, 0);
	drill.campaign.measures[MEASURE_FRT] = summary_of(frt, 94, 6);
	expect(&drill, VERDICT_FAILED, 1);
	ck_assert(isinf(drill.record.objectives[0].achieved));
}
END_TEST

START_TEST(campaign_counts)
{
	struct drill drill;

	drill_init(&drill);
	drill.record.campaign = &drill.campaign;
	expect(&drill, VERDICT_PASSED, 0);
	drill.campaign.fired = 1;
	expect(&drill, VERDICT_FAILED, 1);
	drill.campaign.invalid = 1;
	expect(&drill, VERDICT_INVALID, 3);
	drill.campaign.aborted = 1;
	expect(&drill, VERDICT_ABORTED, 5);
	drill.campaign.residue = 1;
	expect(&drill, VERDICT_RESIDUE, 4);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "failover", failover_sequential);
	test_add(suite, "failover, overlap", failover_overlap);
	test_add(suite, "failover without data", failover_without_data);
	test_add(suite, "other paths", other_paths);
	test_add(suite, "case study", case_study);
	test_add_loop(suite, "order broken", order_broken, ORDERS);
	test_add_loop(suite, "order open", order_open, ORDERS);
	test_add(suite, "order over gaps", order_skips_what_is_missing);
	test_add(suite, "identity", identity_can_fail);
	test_add_loop(suite, "objectives", objective_limits,
		      (int)(sizeof(limits) / sizeof(limits[0])));
	test_add(suite, "unrecovered", unrecovered_misses);
	test_add(suite, "nothing asked", nothing_asked);
	test_add(suite, "findings: the way back", findings_name_the_way_back);
	test_add(suite, "findings: retries", findings_name_retries);
	test_add(suite, "findings: no more than known", findings_claim_no_more_than_known);
	test_add(suite, "brt of any failover", brt_of_any_failover);
	test_add(suite, "no recovery point", no_recovery_point);
	test_add(suite, "null", null_is_not_true);
	test_add(suite, "no incident", no_incident);
	test_add(suite, "not evaluable", not_evaluable);
	test_add(suite, "worst wins", worst_wins);
	test_add(suite, "sham", sham);
	test_add(suite, "campaign quantile", campaign_quantile);
	test_add(suite, "the_wire_and_the_client_must_agree", the_wire_and_the_client_must_agree);
	test_add(suite, "campaign counts", campaign_counts);
}

TEST_MAIN("metrics", add_cases)
