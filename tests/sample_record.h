/* SPDX-License-Identifier: Apache-2.0 */
/* Three drills made by hand for the tests of the reports: a failover, a campaign of it, and a drill
 * without effect. */
#ifndef TESTS_SAMPLE_RECORD_H
#define TESTS_SAMPLE_RECORD_H

#include <math.h>
#include <string.h>

#include "core/record.h"
#include "core/timeline.h"

#define SAMPLE_TRIALS 1000

struct sample {
	struct scenario scenario;
	struct step step;
	struct incident incident;
	struct fault_record fault;
	struct campaign campaign;
	double values[MEASURES][SAMPLE_TRIALS];
	const char *endpoint;
	struct measured measured; /* by a real drill */
	struct record record;
};

#define SAMPLE_FAULT (34 * NANOS_MINUTE)

static void sample_scenario(struct sample *s)
{
	static const struct objective objectives[] = {
		{.kind = OBJECTIVE_FRT, .limit = 300},
		{.kind = OBJECTIVE_BRT, .limit = 240},
		{.kind = OBJECTIVE_BRP_SECONDS, .limit = 900},
		{.kind = OBJECTIVE_BRP_BYTES, .limit = 2e9},
		{.kind = OBJECTIVE_BRP_RECORDS, .limit = 80000},
		{.kind = OBJECTIVE_AVAILABILITY, .limit = 0.97},
	};

	s->step = (struct step){
		.place = {.file = "scenarios/gpu_loss.yaml", .line = 34, .column = 5}};
	s->scenario = (struct scenario){
		.path = "scenarios/gpu_loss.yaml",
		.name = "gpu_loss",
		.description = "The GPU under the only replica falls off the bus; the warm standby "
			       "takes over.",
		.seed = 42,
		.duration = 2 * NANOS_HOUR,
		.steps = &s->step,
		.step_count = 1,
		.scale = {1, 1},
		.objective_count = sizeof(objectives) / sizeof(objectives[0]),
		.drill_json = "{\"purpose\":\"nightly\",\"plan\":{\"id\":\"DR-7\",\"version\":3},"
			      "\"seed\":1,"
			      "\"approved_by\":\"<M. & \\\"Co\\\">\"}",
	};
	memcpy(s->scenario.objectives, objectives, sizeof(objectives));
	memcpy(s->scenario.sha256,
	       "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 65);
}

static void sample_incident(struct sample *s)
{
	static uint32_t steps[] = {0};
	struct incident *incident = &s->incident;
	nanos t = SAMPLE_FAULT;

	*incident = (struct incident){
		.path = PATH_FAILOVER,
		.faults = steps,
		.fault_count = 1,
		.fault = "gpu.lost",
		.target = "primary/node[0]/gpu[3]",
		.place = "gpu_loss.yaml:34",
		.diagnosis = "Xid 79: GPU has fallen off the bus",
		.action = "reset the node, return the GPU",
	};
	incident->marks[MARK_FAULT] = incident->marks[MARK_LOSS] = t;
	incident->marks[MARK_BP] = 30 * NANOS_MINUTE;
	incident->marks[MARK_DETECT] = incident->marks[MARK_DECIDE] = t += 26 * NANOS_S;
	incident->marks[MARK_SWITCH_BEGIN] = t;
	incident->marks[MARK_SWITCHED] = incident->marks[MARK_DATA_BEGIN] = t += 20 * NANOS_S;
	incident->marks[MARK_DATA_RESTORED] = t += 112400 * NANOS_MS;
	incident->marks[MARK_RESTORED] = t += 54 * NANOS_S;
	incident->marks[MARK_VERIFIED] = t + 10 * NANOS_S;
	incident->marks[MARK_DIAGNOSED] = SAMPLE_FAULT + 40 * NANOS_S;
	incident->marks[MARK_REPAIRED] = SAMPLE_FAULT + 22 * NANOS_MINUTE;
	incident->marks[MARK_FAILBACK] = SAMPLE_FAULT + 23 * NANOS_MINUTE;
	incident->marks[MARK_NORMAL] = SAMPLE_FAULT + 24 * NANOS_MINUTE;
	incident->detection = 26 * NANOS_S;
	incident->decision = incident->overlap = 0;
	incident->switching = 20 * NANOS_S;
	incident->data_recovery = 112400 * NANOS_MS;
	incident->readiness = 54 * NANOS_S;
	incident->brt = 132400 * NANOS_MS;
	incident->frt = 212400 * NANOS_MS;
	incident->brp.by_class[DATA_IO].known = incident->brp.by_class[DATA_MODEL].known = true;
	incident->brp.known = true;
	incident->brp.by_class[DATA_IO].seconds = incident->brp.seconds = 240;
	incident->brp.by_class[DATA_IO].bytes = incident->brp.bytes = 240000000;
	incident->brp.by_class[DATA_IO].records = incident->brp.records = 28800;
}

static void sample_result(struct record *record, const char *name, const char *unit, double limit,
			  double achieved, enum tristate met)
{
	record->objectives[record->objective_count++] = (struct objective_result){
		.name = name,
		.unit = unit,
		.limit = limit,
		.quantile = record->campaign ? 0.95 : NAN,
		.achieved = achieved,
		.met = met,
	};
}

static void sample_finding(struct record *record, enum severity severity, const char *text,
			   double seconds)
{
	record->findings[record->finding_count++] =
		(struct finding){.severity = severity, .text = text, .seconds = seconds};
}

/* One failover under 120 requests per second: every objective met. */
static void sample_failover(struct sample *s)
{
	struct record *record = &s->record;

	*s = (struct sample){0};
	s->endpoint = "chat";
	sample_scenario(s);
	sample_incident(s);
	s->fault = (struct fault_record){
		.step = 0,
		.name = "gpu.lost",
		.target = "primary/node[0]/gpu[3]",
		.mechanism = "model: GPU gone",
		.observed = "GPUs visible 32 -> 31",
		.fidelity = FIDELITY_SIM,
		.applied = true,
		.effective = TRISTATE_TRUE,
		.reverted = TRISTATE_TRUE,
	};
	*record = (struct record){
		.scenario = &s->scenario,
		.driver = "sim",
		.kind = "simulated",
		.id = "20260301T020000Z-gpu_loss-4711",
		.started = "2026-03-01T02:00:00Z",
		.host = "drill-host",
		.command = "drsim run scenarios/gpu_loss.yaml --seed 42",
		.seed = 18446744073709551615u,
		.duration = 2 * NANOS_HOUR,
		.wall_s = 0.183,
		.incidents = &s->incident,
		.incident_count = 1,
		.brp = s->incident.brp,
		.worst_seconds = 645,
		.worst_bytes = 6.45e8,
		.availability_time = 0.9705,
		.availability_requests = 0.970512,
		.bad_s = 212.4,
		.longest_bad_s = 212.4,
		.span_s = 212.4,
		.unprotected_s = 1440,
		.sent = 864000,
		.good = 838512,
		.late = 2400,
		.failed = 23088,
		.faults = &s->fault,
		.fault_count = 1,
		.verdict = VERDICT_PASSED,
	};
	sample_result(record, "frt", "s", 300, 212.4, TRISTATE_TRUE);
	sample_result(record, "brt", "s", 240, 132.4, TRISTATE_TRUE);
	sample_result(record, "brp.seconds", "s", 900, 240, TRISTATE_TRUE);
	sample_result(record, "brp.bytes", "bytes", 2e9, 2.4e8, TRISTATE_TRUE);
	sample_result(record, "brp.records", "records", 80000, 28800, TRISTATE_TRUE);
	sample_result(record, "availability", "fraction", 0.97, 0.9705, TRISTATE_TRUE);
	sample_finding(record, SEVERITY_MEDIUM,
		       "Availability met its objective with 0.05 points to spare.", NAN);
	sample_finding(record, SEVERITY_LOW,
		       "Data recovery took 53 % of FRT: restore in parallel with the switch.", 20);
}

/* The fault left no trace in the target: nothing was tested. */
static inline void sample_invalid(struct sample *s)
{
	struct record *record = &s->record;

	sample_failover(s);
	record->incident_count = 0;
	record->headline = -1;
	record->brp = (struct brp){.known = true};
	s->fault.incident = -1;
	record->worst_seconds = record->worst_bytes = record->availability_requests = NAN;
	record->availability_time = 1;
	record->sent = record->good = record->late = record->failed = 0;
	record->bad_s = record->longest_bad_s = record->span_s = record->unprotected_s = 0;
	s->fault.effective = TRISTATE_FALSE;
	s->fault.observed = "GPUs visible 32 -> 32";
	record->verdict = VERDICT_INVALID;
	record->abort_reason = "step 0: gpu.lost had no effect on primary/node[0]/gpu[3]";
	record->exit_code = 3;
	for (size_t i = 0; i < record->objective_count; i++) {
		record->objectives[i].achieved = NAN;
		record->objectives[i].met = TRISTATE_NULL;
	}
	record->finding_count = 0;
}

/* 1000 trials; 7 of them never recovered, the tail of FRT misses its objective at p99. */
static inline void sample_campaign(struct sample *s)
{
	struct campaign *campaign = &s->campaign;

	sample_failover(s);
	s->record.campaign = campaign;
	s->record.verdict = VERDICT_FAILED;
	s->record.exit_code = 1;
	campaign->trials = SAMPLE_TRIALS;
	campaign->censored = 7;
	campaign->paths[PATH_FAILOVER] = 993;
	campaign->paths[PATH_UNRECOVERED] = 7;
	for (size_t m = 0; m < MEASURES; m++) {
		struct summary *summary = &campaign->measures[m];
		const double scale[MEASURES] = {210,   26,  0,   20,    112.4, 54,
						132.4, 300, 3e8, 36000, 0.970};
		const double spread[MEASURES] = {0.16, 0.2, 0, 0, 0.1, 0.4, 0.1, 1, 1, 1, 0.002};

		*summary = (struct summary){.name = measure_names[m], .sorted = s->values[m]};
		summary->n = m == MEASURE_AVAILABILITY ? SAMPLE_TRIALS : 993;
		summary->censored = SAMPLE_TRIALS - summary->n;
		for (size_t i = 0; i < summary->n; i++) {
			double u = ((double)i + 0.5) / (double)summary->n;

			s->values[m][i] = scale[m] * (1 + spread[m] * log(u / (1 - u)) / 2.5);
			if (m >= MEASURE_BRP_SECONDS && m <= MEASURE_BRP_RECORDS)
				s->values[m][i] = scale[m] * (0.15 + 2 * u);
			summary->mean += s->values[m][i] / (double)summary->n;
		}
		summary->stderr_ = scale[m] * spread[m] / 40;
		summary->min = s->values[m][0];
		summary->p05 = s->values[m][summary->n * 5 / 100];
		summary->p50 = s->values[m][summary->n / 2];
		summary->p95 = s->values[m][summary->n * 95 / 100];
		summary->p99 = s->values[m][summary->n * 99 / 100];
		summary->p99_low = s->values[m][983 - 8];
		summary->p99_high = m == MEASURE_FRT ? NAN : s->values[m][summary->n - 1];
		summary->max = s->values[m][summary->n - 1];
	}
	s->record.objective_count = 0;
	sample_result(&s->record, "frt", "s", 300, campaign->measures[MEASURE_FRT].p99,
		      TRISTATE_TRUE);
	s->record.objectives[0].quantile = 0.99;
	sample_result(&s->record, "brt", "s", 140, campaign->measures[MEASURE_BRT].p95,
		      TRISTATE_FALSE);
	sample_result(&s->record, "brp.seconds", "s", 900,
		      campaign->measures[MEASURE_BRP_SECONDS].p95, TRISTATE_TRUE);
	s->scenario.objectives[1].limit = 140;
	s->scenario.objective_count = 3;
	campaign->met_fraction[0] = 0.987;
	campaign->met_fraction[1] = 0.81;
	campaign->met_fraction[2] = 1;
}

/* ---- events.jsonl ---- */

static void sample_mark(struct timeline *t, nanos now, const struct incident *incident,
			enum mark mark)
{
	timeline_begin(t, now, "mark");
	timeline_int(t, "incident", 0);
	timeline_text(t, "mark", mark_names[mark]);
	timeline_nanos(t, "at_ns", incident->marks[mark]);
	timeline_end(t);
}

static void sample_level(struct timeline *t, const char *endpoint, nanos now, double success,
			 double latency, double capacity, double backlog)
{
	timeline_begin(t, now, "service.level");
	timeline_text(t, "endpoint", endpoint);
	timeline_real(t, "success", success);
	timeline_real(t, "latency_s", latency);
	timeline_real(t, "rate", 120);
	timeline_real(t, "capacity", capacity);
	timeline_real(t, "backlog", backlog);
	timeline_end(t);
}

static void sample_backup(struct timeline *t, nanos now)
{
	static const char *const classes[] = {"model", "training", "io"};
	nanos every = 10 * NANOS_MINUTE, takes = 45 * NANOS_S, begun = now - now % every;
	int64_t id = begun / every;
	bool ok = id != 1 && id != 4;

	if (now == begun) {
		timeline_begin(t, now, "backup.begin");
		timeline_int(t, "backup", id);
		timeline_int(t, "policy", 0);
		timeline_texts(t, "classes", classes, 3);
		timeline_text(t, "kind", id == 0 ? "full" : "incremental");
		timeline_text(t, "site", "backup");
		timeline_end(t);
	}
	if (now != begun + takes)
		return;
	timeline_begin(t, now, "backup.end");
	timeline_int(t, "backup", id);
	timeline_bool(t, "ok", ok);
	timeline_bool(t, "restorable", ok && id != 2);
	timeline_nanos(t, "as_of_ns", begun);
	timeline_int(t, "bytes", 625000000);
	timeline_text(t, "reason",
		      id == 2 ? "verification: digest of io differs"
		      : ok    ? NULL
			      : "transfer broke off");
	timeline_end(t);
	if (id < 6)
		return;
	timeline_begin(t, now, "backup.prune");
	timeline_int(t, "backup", id - 6);
	timeline_end(t);
}

static void sample_fault_event(struct timeline *t, nanos now, const struct sample *s)
{
	if (now == SAMPLE_FAULT) {
		timeline_begin(t, now, "fault.inject");
		timeline_int(t, "step", 0);
		timeline_text(t, "fault", s->fault.name);
		timeline_text(t, "target", s->fault.target);
		timeline_text(t, "mechanism", s->fault.mechanism);
		timeline_text(t, "fidelity", "sim");
		timeline_text(t, "place", "gpu_loss.yaml:34");
		timeline_end(t);
		timeline_begin(t, now, "fault.verdict");
		timeline_int(t, "step", 0);
		timeline_bool(t, "effective", s->fault.effective == TRISTATE_TRUE);
		timeline_text(t, "observed", s->fault.observed);
		timeline_end(t);
	}
	if (now == SAMPLE_FAULT + 22 * NANOS_MINUTE) {
		timeline_begin(t, now, "fault.revert");
		timeline_int(t, "step", 0);
		timeline_text(t, "cause", "repaired");
		timeline_bool(t, "reverted", true);
		timeline_texts(t, "residue", NULL, 0);
		timeline_end(t);
	}
}

static void sample_service(struct timeline *t, const char *endpoint, nanos now,
			   const struct incident *incident)
{
	nanos ready = incident->marks[MARK_DATA_RESTORED], stable = incident->marks[MARK_RESTORED];
	double noise = (double)(now / NANOS_S * 7919 % 100) / 100;
	bool down = now >= SAMPLE_FAULT && now < ready;

	if (now == SAMPLE_FAULT)
		sample_level(t, endpoint, now, 0, 30, 0, 0);
	if (now == ready)
		sample_level(t, endpoint, now, 0.82, 2.6, 200, 320);
	if (now == incident->marks[MARK_RESTORED])
		sample_level(t, endpoint, now, 1, 0.29, 200, 0);
	if (now == incident->marks[MARK_FAILBACK])
		sample_level(t, endpoint, now, 0.995, 0.4, 160, 0);
	if (now == incident->marks[MARK_NORMAL])
		sample_level(t, endpoint, now, 1, 0.26, 200, 0);
	if (now % NANOS_S || now < SAMPLE_FAULT - NANOS_MINUTE ||
	    now > SAMPLE_FAULT + 6 * NANOS_MINUTE)
		return;
	timeline_begin(t, now, "service.requests");
	timeline_text(t, "endpoint", endpoint);
	timeline_nanos(t, "from_ns", now - NANOS_S);
	timeline_nanos(t, "to_ns", now);
	timeline_int(t, "sent", 110 + (int64_t)(noise * 20));
	timeline_int(
		t, "good",
		down ? 0
		     : (int64_t)((110 + noise * 20) * (ready <= now && now < stable ? 0.82 : 1)));
	timeline_int(t, "wrong", 0);
	timeline_int(t, "late", down ? 0 : (int64_t)(noise * 3));
	timeline_int(t, "failed", down ? 120 : 0);
	timeline_real(t, "p50_s", 0.25 + noise / 20);
	timeline_real(t, "p99_s", down ? 30 : 0.6 + noise / 5);
	timeline_end(t);
}

static void sample_actions(struct timeline *t, nanos now, const struct incident *incident)
{
	if (now == incident->marks[MARK_DATA_BEGIN]) {
		timeline_begin(t, now, "action.begin");
		timeline_int(t, "action", 2);
		timeline_text(t, "kind", "restore");
		timeline_int(t, "incident", 0);
		timeline_text(t, "target", "data/io");
		timeline_text(t, "class", "io");
		timeline_int(t, "backup", 3);
		timeline_end(t);
	}
	for (enum mark mark = 0; mark < MARKS; mark++)
		if (mark != MARK_LOSS && mark != MARK_BP && now == incident->marks[mark])
			sample_mark(t, now, incident, mark);
	if (now == incident->marks[MARK_SWITCHED]) {
		sample_mark(t, now, incident, MARK_LOSS);
		sample_mark(t, now, incident, MARK_BP);
	}
}

/* Write the drill's events to `path`; returns timeline_close()'s result. */
static inline int sample_events(const struct sample *s, const char *path, struct error *e)
{
	struct timeline timeline;
	struct timeline *t = &timeline;

	if (timeline_open(t, path, e))
		return -1;
	timeline_begin(t, 0, "run.start");
	timeline_text(t, "name", s->scenario.name);
	timeline_int(t, "seed", (int64_t)(s->record.seed >> 1));
	timeline_int(t, "trial", 0);
	timeline_text(t, "driver", "sim");
	timeline_text(t, "clock", "virtual");
	timeline_text(t, "kind", "simulated");
	timeline_nanos(t, "duration_ns", s->record.duration);
	timeline_end(t);
	sample_level(t, s->endpoint, 0, 1, 0.26, 200, 0);
	for (nanos now = 0; now <= s->record.duration; now += 100 * NANOS_MS) {
		sample_fault_event(t, now, s);
		sample_backup(t, now);
		if (s->record.incident_count > 0) {
			sample_actions(t, now, &s->incident);
			sample_service(t, s->endpoint, now, &s->incident);
		}
	}
	timeline_begin(t, s->record.duration, "run.end");
	timeline_text(t, "reason", s->record.abort_reason ? "not_effective" : "complete");
	timeline_end(t);
	return timeline_close(t, e);
}

#endif
