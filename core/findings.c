/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings: what a drill showed, and what its plan risks, in sentences that someone on call can act
 * on. Each comes from the record or from the scenario alone, so that the same record always gives
 * the same findings.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/driver.h"
#include "core/run.h"
#include "core/words.h"

#define DOMINANT 0.5 /* a phase that takes this share of FRT or more is worth a change */
#define MINUTES_UNPROTECTED 15
#define OUT_OF_SIGHT 10 /* times what a declaration takes from the first bad look */
#define MISSING_NAMED_MAX 3
#define FALSE_ALARM_HORIZON (30.0 * 86400) /* rarer false alarms are not worth a line */

/* Where findings are written to: the record, and the memory of their texts. */
struct report {
	struct record *record;
	struct arena *arena;
	const struct scenario *scenario;
	const struct incident *headline; /* NULL: none */
};

/* ---- the list ---- */

static bool ranks_before(const struct finding *a, const struct finding *b)
{
	double cost_a = isnan(a->seconds) ? -1 : a->seconds;
	double cost_b = isnan(b->seconds) ? -1 : b->seconds;

	return a->severity != b->severity ? a->severity > b->severity : cost_a > cost_b;
}

static void insert(struct record *record, struct finding finding)
{
	size_t last = record->finding_count;

	for (size_t i = 0; i < record->finding_count; i++) {
		struct finding *known = &record->findings[i];

		if (strcmp(known->text, finding.text) != 0)
			continue;
		if (isnan(known->seconds) || known->seconds < finding.seconds)
			known->seconds = finding.seconds;
		return;
	}
	if (last < FINDINGS_MAX) {
		record->findings[record->finding_count++] = finding;
		return;
	}
	/* Full: the least of all gives way, so that what is left out is never the gravest. */
	last = 0;
	for (size_t i = 1; i < FINDINGS_MAX; i++)
		if (!ranks_before(&record->findings[i], &record->findings[last]))
			last = i;
	if (ranks_before(&finding, &record->findings[last]))
		record->findings[last] = finding;
}

void findings_add(struct record *record, enum severity severity, double seconds, const char *text)
{
	insert(record, (struct finding){.severity = severity, .text = text, .seconds = seconds});
}

/* What an earlier call found may no longer hold: a campaign judges other values than its first
 * trial. */
static void forget_derived(struct record *record)
{
	size_t kept = 0;

	for (size_t i = 0; i < record->finding_count; i++)
		if (!record->findings[i].derived)
			record->findings[kept++] = record->findings[i];
	record->finding_count = kept;
}

/* Gravest first, then the most costly; insertion keeps the order of equal ones. */
static void rank(struct record *record)
{
	for (size_t i = 1; i < record->finding_count; i++) {
		struct finding finding = record->findings[i];
		size_t at = i;

		for (; at > 0 && ranks_before(&finding, &record->findings[at - 1]); at--)
			record->findings[at] = record->findings[at - 1];
		record->findings[at] = finding;
	}
}

static void add(const struct report *report, enum severity severity, double seconds,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

static void add(const struct report *report, enum severity severity, double seconds,
		const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	insert(report->record, (struct finding){.severity = severity,
						.text = arena_strdup(report->arena, text),
						.seconds = seconds,
						.derived = true});
}

/* ---- objectives ---- */

static const char *value_text(char out[WORDS_MAX], enum objective_kind kind, double value)
{
	char number[WORDS_MAX];

	switch (kind) {
	case OBJECTIVE_FRT:
	case OBJECTIVE_BRT:
	case OBJECTIVE_BRP_SECONDS:
	case OBJECTIVE_MTPD:
		return words_duration(out, value);
	case OBJECTIVE_BRP_BYTES:
		return words_bytes(out, value);
	case OBJECTIVE_BRP_RECORDS:
		snprintf(out, WORDS_MAX, "%.80s records", words_number(number, value));
		return out;
	case OBJECTIVE_AVAILABILITY:
	case OBJECTIVE_ETTR:
		return words_percent(out, value);
	case OBJECTIVES:
		break;
	}
	return words_number(out, value);
}

static bool in_seconds(enum objective_kind kind)
{
	return kind == OBJECTIVE_FRT || kind == OBJECTIVE_BRT || kind == OBJECTIVE_BRP_SECONDS ||
	       kind == OBJECTIVE_MTPD;
}

/* Why a value has no bound. Whether a usable backup stood in the store the record does not know. */
static const char *unbounded_text(const struct report *report, enum objective_kind kind)
{
	bool data = kind == OBJECTIVE_BRP_SECONDS || kind == OBJECTIVE_BRP_BYTES ||
		    kind == OBJECTIVE_BRP_RECORDS;
	bool back = report->headline && report->headline->path != PATH_UNRECOVERED;

	if (report->headline && report->headline->silent && !report->record->campaign)
		return data ? "nobody found what was wrong, and what it damaged is not known"
			    : "nobody found what was wrong by the end of the drill";
	if (!data)
		return "the service was not back by the end of the drill";
	if (report->record->campaign)
		return "by the end of the drill the data could not be read, or a class of it was "
		       "not restored";
	return back ? "a data class was not restored by the end of the drill"
		    : "the data could not be read by the end of the drill";
}

static void objective_missed(const struct report *report, const struct objective *objective,
			     const struct objective_result *result)
{
	const struct campaign *campaign = report->record->campaign;
	double excess = in_seconds(objective->kind) && isfinite(result->achieved)
				? result->achieved - objective->limit
				: NAN;
	char achieved[WORDS_MAX], limit[WORDS_MAX], over[WORDS_MAX], among[WORDS_MAX] = "";

	value_text(limit, objective->kind, objective->limit);
	if (campaign)
		snprintf(among, sizeof(among), " (p%g of %" PRIu64 " trials)",
			 objective->quantile * 100, campaign->trials);
	if (isinf(result->achieved)) {
		add(report, SEVERITY_HIGH, NAN, "Objective %s missed%s: %s; the limit is %s.",
		    result->name, among, unbounded_text(report, objective->kind), limit);
		return;
	}
	value_text(achieved, objective->kind, result->achieved);
	if (isnan(excess))
		add(report, SEVERITY_HIGH, NAN, "Objective %s missed%s: %s, the limit is %s.",
		    result->name, among, achieved, limit);
	else
		add(report, SEVERITY_HIGH, excess,
		    "Objective %s missed%s: %s, the limit is %s, which is %s too long.",
		    result->name, among, achieved, limit, words_duration(over, excess));
}

static void objective_shown(const struct report *report, const struct objective_result *result,
			    double met_fraction)
{
	uint64_t trials = report->record->campaign->trials;
	char share[WORDS_MAX], count[WORDS_MAX];

	words_number(count, (double)trials);
	if (met_fraction == 1)
		add(report, SEVERITY_INFO, NAN,
		    "No trial of %s missed objective %s: with 95 %% confidence fewer than %s of "
		    "such drills would.",
		    count, result->name, words_percent(share, 1 - pow(0.05, 1 / (double)trials)));
	else if (met_fraction < 1)
		add(report, SEVERITY_LOW, NAN, "%s of %s trials missed objective %s.",
		    words_percent(share, 1 - met_fraction), count, result->name);
}

static void find_objectives(const struct report *report)
{
	const struct record *record = report->record;

	for (size_t i = 0; i < record->objective_count; i++) {
		const struct objective_result *result = &record->objectives[i];

		if (result->met == TRISTATE_FALSE)
			objective_missed(report, &report->scenario->objectives[i], result);
		else if (isnan(result->achieved) && !record->sham)
			add(report, SEVERITY_MEDIUM, NAN,
			    "Objective %s could not be measured: this drill did not exercise it.",
			    result->name);
		if (record->campaign && !record->sham)
			objective_shown(report, result, record->campaign->met_fraction[i]);
	}
}

/* ---- faults and what they showed ---- */

static void find_fault(const struct report *report, const struct fault_record *fault)
{
	if (fault->residue_count > 0 || fault->reverted == TRISTATE_FALSE)
		add(report, SEVERITY_HIGH, NAN,
		    "Step %u: %s on %s could not be taken back (%s). Clean up by hand before the "
		    "next drill.",
		    fault->step, fault->name, fault->target,
		    fault->residue_count > 0 ? fault->residue[0] : "no reason known");
	if (report->record->sham)
		return;
	if (fault->effective == TRISTATE_FALSE)
		add(report, SEVERITY_HIGH, NAN,
		    "Step %u: %s on %s had no effect (%s): what followed is no recovery from it.",
		    fault->step, fault->name, fault->target,
		    fault->observed ? fault->observed : "nothing changed");
}

/* A step whose phase or time never came broke nothing, and proved nothing. */
static void find_not_injected(const struct report *report)
{
	const struct record *record = report->record;

	for (size_t i = 0; i < report->scenario->step_count; i++) {
		const struct step *step = &report->scenario->steps[i];
		bool applied = false;

		for (size_t k = 0; k < record->fault_count && !applied; k++)
			applied =
				record->faults[k].step == step->index && record->faults[k].applied;
		if (!applied && record->left_out && record->left_out[i] > 0) {
			if (!record->campaign &&
			    !record->sham) /* some trials without it are what is asked for */
				add(report, SEVERITY_INFO, NAN,
				    "Step %u, %s, was not injected: chance left it out of this "
				    "drill.",
				    step->index, step->fault->name);
			continue;
		}
		if (!applied && !record->sham && step->fault && step->when != WHEN_FAILURE)
			add(report, SEVERITY_MEDIUM, NAN,
			    "Step %u, %s, was never injected: its moment did not come in this "
			    "drill.",
			    step->index, step->fault->name);
	}
}

static void find_alarms(const struct report *report)
{
	const struct record *record = report->record;
	double lost = 0;
	size_t alarms = 0;
	char text[WORDS_MAX];

	for (size_t i = 0; i < record->incident_count; i++) {
		const struct incident *incident = &record->incidents[i];
		const nanos *marks = incident->marks;

		if (incident->path != PATH_FALSE_ALARM)
			continue;
		alarms++;
		if (marks[MARK_DETECT] != NANOS_NEVER && marks[MARK_RESTORED] != NANOS_NEVER)
			lost += (double)(marks[MARK_RESTORED] - marks[MARK_DETECT]) / 1e9;
	}
	if (record->sham && alarms == 0 && record->incident_count == 0)
		add(report, SEVERITY_INFO, NAN,
		    "Negative control: nothing was broken, and no detector declared anything.");
	if (alarms == 0)
		return;
	words_duration(text, lost);
	if (record->sham)
		add(report, SEVERITY_HIGH, lost,
		    "Negative control: nothing was broken, and yet a detector declared a fault "
		    "%zu times; %s until service was good again.",
		    alarms, text);
	else
		add(report, SEVERITY_HIGH, lost,
		    "False alarms: %zu declarations without a fault; from these to good service "
		    "passed %s in all. Each risks a failover that nobody needed.",
		    alarms, text);
}

/* What an incident counts as wrong: answers, and steps of training on wrong results. */
static const char *wrong_text(const struct report *report)
{
	const struct deployment *deployment = &report->scenario->deployment;

	if (deployment->job_count == 0)
		return "requests were answered wrongly";
	return deployment->endpoint_count == 0
		       ? "training steps were computed wrongly"
		       : "requests were answered, or training steps computed, wrongly";
}

/* The service looked good to the end, and was not. */
static void find_silent(const struct report *report, const struct incident *incident, double open)
{
	char text[WORDS_MAX], wrong[WORDS_MAX];

	words_duration(text, open);
	if (incident->wrong > 0)
		add(report, SEVERITY_HIGH, open,
		    "Nobody found %s on %s: %s %s in %s, to the end of "
		    "the drill. A canary compares answers with what they should be.",
		    incident->fault, incident->target, words_number(wrong, (double)incident->wrong),
		    wrong_text(report), text);
	else
		add(report, SEVERITY_HIGH, open,
		    "Nobody found %s on %s: the data stayed damaged for %s, to the end of the "
		    "drill, and backups made since then hold the damage. Compare digests.",
		    incident->fault, incident->target, text);
}

/* It ended by itself, or still lies there. */
static void find_unnoticed(const struct report *report, const struct incident *incident)
{
	nanos end = incident->marks[MARK_REPAIRED] != NANOS_NEVER ? incident->marks[MARK_REPAIRED]
								  : incident->marks[MARK_NORMAL];
	/* Of several faults the one that is named may be over. */
	const char *left = incident->fault_count == 1 ? "it" : "it, or what broke beside it,";
	char text[WORDS_MAX];

	if (incident->wrong > 0)
		add(report, SEVERITY_HIGH, NAN,
		    "%s %s while %s was on %s, and nobody noticed: it "
		    "ended by itself. A canary compares answers with what they should be.",
		    words_number(text, (double)incident->wrong), wrong_text(report),
		    incident->fault, incident->target);
	else if (incident->frt > 0)
		add(report, SEVERITY_MEDIUM, (double)incident->frt / 1e9,
		    "The service was not back from %s on %s for %s, and neither a detector nor the "
		    "platform noticed it.",
		    incident->fault, incident->target, words_nanos(text, incident->frt));
	else
		add(report, end == NANOS_NEVER ? SEVERITY_LOW : SEVERITY_INFO, NAN,
		    "%s on %s was not noticed by any detector, nor by the platform%s%s%s.",
		    incident->fault, incident->target, end == NANOS_NEVER ? ": " : "",
		    end == NANOS_NEVER ? left : "",
		    end == NANOS_NEVER ? " still lies there for the next fault to meet" : "");
}

static void find_unrecovered(const struct report *report, const struct incident *incident)
{
	nanos open = report->record->duration - incident->marks[MARK_FAULT];
	char text[WORDS_MAX];

	if (incident->undetected && (incident->wrong > 0 || incident->silent)) {
		find_silent(report, incident, (double)open / 1e9);
		return;
	}
	words_nanos(text, open);
	if (incident->marks[MARK_DETECT] == NANOS_NEVER)
		add(report, SEVERITY_HIGH, (double)open / 1e9,
		    "%s on %s was never declared by a detector: the service stayed bad for %s, to "
		    "the end of the drill. Add a detector that sees this fault.",
		    incident->fault, incident->target, text);
	else
		add(report, SEVERITY_HIGH, (double)open / 1e9,
		    "The service did not come back from %s on %s within the drill: %s and not "
		    "over.",
		    incident->fault, incident->target, text);
}

static void find_incident(const struct report *report, const struct incident *incident)
{
	const nanos *marks = incident->marks;
	char text[WORDS_MAX];

	if (incident->path == PATH_FALSE_ALARM)
		return;
	if (incident->path == PATH_UNRECOVERED) {
		find_unrecovered(report, incident);
		return;
	}
	if (incident->undetected)
		find_unnoticed(report, incident);
	else if (incident->path == PATH_ABSORBED && marks[MARK_DETECT] == NANOS_NEVER)
		add(report, SEVERITY_INFO, NAN,
		    "Redundancy carried %s on %s, and no detector declared it.", incident->fault,
		    incident->target);
	if (incident->relapses > 0)
		add(report, SEVERITY_MEDIUM, (double)incident->relapsed / 1e9,
		    "After it had come back from %s on %s and been good for a whole window, the "
		    "service was bad %u more time%s, %s in all. That is no part of FRT; "
		    "availability counts it.",
		    incident->fault, incident->target, incident->relapses,
		    incident->relapses == 1 ? "" : "s", words_nanos(text, incident->relapsed));
	if (marks[MARK_NORMAL] == NANOS_NEVER && !report->record->abort_reason)
		add(report, SEVERITY_MEDIUM, NAN,
		    "After %s on %s redundancy was not back to normal by the end of the drill.",
		    incident->fault, incident->target);
	if (incident->diagnosis && strcmp(incident->diagnosis, incident->fault) != 0 &&
	    incident->fault_count == 1)
		add(report, SEVERITY_INFO, NAN,
		    "%s was diagnosed as '%s': the symptoms that are collected do not tell it "
		    "apart.",
		    incident->fault, incident->diagnosis);
}

static void find_unprotected(const struct report *report)
{
	double seconds = report->record->unprotected_s;
	double scale = report->record->scenario->scale.time_scale;
	char text[WORDS_MAX];

	if (!(seconds > 0) || report->record->sham)
		return;
	add(report, seconds >= 60.0 * MINUTES_UNPROTECTED * scale ? SEVERITY_MEDIUM : SEVERITY_LOW,
	    seconds,
	    "Unprotected for %s, from the fault until redundancy was back: a second fault in that "
	    "time would have met less than the plan counts on.",
	    words_duration(text, seconds));
}

/* ---- what FRT was made of ---- */

/* A part of FRT that may have been the longest. */
struct share {
	const char *name, *advice; /* advice NULL: another finding tells it */
	nanos time;
};

/* Tells of the longest of `shares`, unless none took time; `among` ends its sentence. */
static void find_longest(const struct report *report, const struct share *shares, size_t count,
			 const char *among)
{
	const struct share *longest = &shares[0];
	char part[WORDS_MAX], whole[WORDS_MAX], text[WORDS_MAX];
	double frt = (double)report->headline->frt / 1e9, time;

	for (size_t i = 1; i < count; i++)
		if (shares[i].time > longest->time)
			longest = &shares[i];
	if (longest->time <= 0 || !longest->advice)
		return;
	time = (double)longest->time / 1e9;
	add(report, time / frt >= DOMINANT ? SEVERITY_LOW : SEVERITY_INFO, time,
	    "%s took %s of the %s FRT (%s)%s. %s", longest->name, words_duration(part, time),
	    words_duration(whole, frt), words_percent(text, round(time / frt * 1000) / 1000), among,
	    longest->advice);
}

static nanos known(nanos time)
{
	return time == NANOS_NEVER ? 0 : time;
}

/* From the decision to the move that counts: what was tried in between did not work or did not
 * last. */
static nanos retried(const struct incident *incident)
{
	const nanos *marks = incident->marks;
	nanos begin = marks[MARK_SWITCH_BEGIN] < marks[MARK_DATA_BEGIN] ? marks[MARK_SWITCH_BEGIN]
									: marks[MARK_DATA_BEGIN];

	if (incident->path != PATH_FAILOVER || marks[MARK_DECIDE] == NANOS_NEVER ||
	    begin == NANOS_NEVER || begin < marks[MARK_DECIDE])
		return 0;
	return begin - marks[MARK_DECIDE];
}

static bool looks_around(const struct detector_config *detector)
{
	return detector->kind == DETECTOR_PROBE || detector->kind == DETECTOR_POLL;
}

/* Far later than any look takes: there was nothing to see for the detectors until then. */
static bool out_of_sight(nanos looking, nanos detection)
{
	return looking > 0 && detection / OUT_OF_SIGHT > looking;
}

static const char *detection_advice(const struct report *report, nanos detection)
{
	const struct scenario *scenario = report->scenario;

	for (size_t i = 0; i < scenario->detector_count; i++) {
		const struct detector_config *detector = &scenario->detectors[i];

		if (!looks_around(detector) ||
		    !out_of_sight(detector->interval * detector->misses, detection))
			return "Look more often, or with fewer misses before a declaration.";
	}
	return "It did nothing that the detectors look for until then. Look at the data and the "
	       "answers themselves: read backups back, add a canary.";
}

static void find_phase(const struct report *report, const struct incident *incident)
{
	nanos waited = retried(incident);
	const struct share phases[] = {
		{"Detection", detection_advice(report, known(incident->detection)),
		 known(incident->detection)},
		{"The decision to fail over", "Let the plan authorise this case in advance.",
		 known(incident->decision) - waited},
		{"Trying again", NULL, waited}, /* find_retries() tells it */
		{"The switch", "Keep the standby warmer, or shorten fencing and routing.",
		 known(incident->switching)},
		{"Data recovery",
		 "Need less before serving, replicate it to the standby, or read it faster.",
		 known(incident->data_recovery)},
		{"Getting ready after switch and restore",
		 "Keep replicas running on the standby, and capacity to work off the backlog.",
		 known(incident->readiness)},
	};

	find_longest(report, phases, sizeof(phases) / sizeof(phases[0]),
		     ", more than any other phase");
}

/* The step of the only fault of an incident; NULL with several. */
static const struct step *only_step(const struct report *report, const struct incident *incident)
{
	if (incident->fault_count != 1 || incident->faults[0] >= report->scenario->step_count)
		return NULL;
	return &report->scenario->steps[incident->faults[0]];
}

/* Repaired where it was: found first, then mended, then started. */
static void find_repair(const struct report *report, const struct incident *incident)
{
	const nanos *marks = incident->marks;
	bool seen = marks[MARK_DETECT] != NANOS_NEVER && marks[MARK_DETECT] <= marks[MARK_REPAIRED];
	nanos from = seen ? marks[MARK_DETECT] : marks[MARK_FAULT];
	const struct share parts[] = {
		{"Detection", detection_advice(report, from - marks[MARK_FAULT]),
		 from - marks[MARK_FAULT]},
		{"The repair", "A standby, or a spare in place, would not have to wait for it.",
		 marks[MARK_REPAIRED] - from},
		{"Getting ready after the repair",
		 "Start replicas faster, with smaller or nearer weights.",
		 marks[MARK_RESTORED] - marks[MARK_REPAIRED]},
	};

	find_longest(report, parts, sizeof(parts) / sizeof(parts[0]), ", more than any other part");
}

/* Without a move there are no phases: what brought the service back took the time. */
static void find_way_back(const struct report *report, const struct incident *incident)
{
	const struct step *step = only_step(report, incident);
	nanos repaired = incident->marks[MARK_REPAIRED];
	struct share way = {"Coming back without a move",
			    "A move to a place that works would not have to wait for it.",
			    incident->frt};

	if (incident->lost_work > 0) {
		way.name = "The restart of the job, with the steps since its checkpoint done "
			   "again,";
		way.advice = "Save more often, keep spare nodes, start faster.";
	}
	if (incident->path == PATH_ABSORBED) {
		way.name = "Taking the load over by what was left (gateway, restart or "
			   "rescheduling)";
		way.advice =
			"Take what is dead out of the routing sooner, and keep a spare for it.";
	} else if (step && step->until == UNTIL_ELAPSED) {
		way.name = "Waiting for the fault to end by itself, with the start after it,";
	} else if (step && step->fault &&
		   (step->fault->needs == EFFECT_BIT(EFFECT_PROC_EXIT) ||
		    step->fault->needs == EFFECT_BIT(EFFECT_PROC_OOM))) {
		way.name = "The restart";
		way.advice = "A second replica would carry the load meanwhile.";
	} else if (step && repaired != NANOS_NEVER && repaired <= incident->marks[MARK_RESTORED]) {
		find_repair(report, incident);
		return;
	}
	find_longest(report, &way, 1, "");
}

static void find_dominant(const struct report *report)
{
	const struct incident *incident = report->headline;

	if (!incident || incident->frt == NANOS_NEVER || incident->frt <= 0)
		return;
	if (incident->path == PATH_FAILOVER)
		find_phase(report, incident);
	else
		find_way_back(report, incident);
}

/* ---- moves that did not work ---- */

/* Does a move to a standby need it: the standby itself, the store with its backups, a link? */
static bool move_needs(const struct scenario *scenario, const struct step *step)
{
	const struct entity *entity = step->target.count > 0 ? &step->target.entities[0] : NULL;

	if (!entity)
		return false;
	switch (entity->kind) {
	case ENTITY_STANDBY:
	case ENTITY_STORE:
	case ENTITY_BACKUP:
	case ENTITY_LINK:
		return true;
	case ENTITY_CHECKPOINT:
	case ENTITY_RANK:
	case ENTITY_KINDS:
		return false;
	case ENTITY_SITE:
	case ENTITY_RACK:
	case ENTITY_NODE:
	case ENTITY_GPU:
		return scenario->deployment.sites[entity->site].standby.heat != HEAT_NONE ||
		       (scenario->deployment.store.declared &&
			scenario->deployment.store.site == entity->site);
	case ENTITY_NONE:
	case ENTITY_ENDPOINT:
	case ENTITY_REPLICA:
	case ENTITY_JOB:
	case ENTITY_DATA:
		break;
	}
	return false;
}

/* Was the other incident open at some time between the decision and the move? */
static bool open_meanwhile(const struct incident *incident, const struct incident *other)
{
	nanos from = incident->marks[MARK_DECIDE], to = from + retried(incident);

	return other->marks[MARK_FAULT] != NANOS_NEVER && other->marks[MARK_FAULT] <= to &&
	       other->marks[MARK_REPAIRED] > from; /* NANOS_NEVER: not mended */
}

/* "standby.unavailable on standby": what such a move needs and was broken; "" when the record does
 * not know. */
static const char *missing_then(const struct report *report, const struct incident *incident)
{
	const struct record *record = report->record;
	const char *list = "";
	size_t named = 0;

	for (size_t i = 0; i < record->fault_count && named < MISSING_NAMED_MAX; i++) {
		const struct fault_record *fault = &record->faults[i];
		const struct incident *other =
			fault->incident < 0 || (size_t)fault->incident >= record->incident_count
				? NULL
				: &record->incidents[fault->incident];

		if (!other || !fault->applied || fault->step >= report->scenario->step_count ||
		    !move_needs(report->scenario, &report->scenario->steps[fault->step]) ||
		    (other != incident && !open_meanwhile(incident, other)))
			continue;
		list = arena_printf(report->arena, "%s%s%s on %s", list, *list ? ", " : "",
				    fault->name, fault->target);
		named++;
	}
	return list;
}

static void find_retries(const struct report *report, const struct incident *incident)
{
	double waited = (double)retried(incident) / 1e9;
	const char *missing;
	char text[WORDS_MAX];

	if (!(waited > 0))
		return;
	missing = missing_then(report, incident);
	add(report, SEVERITY_MEDIUM, waited,
	    "The first move after %s on %s did not work or did not last: the one that counts began "
	    "%s after the decision. %s%s.",
	    incident->fault, incident->target, words_duration(text, waited),
	    *missing ? "What such a move needs and was broken: "
		     : "events.jsonl tells which action failed",
	    missing);
}

/* ---- detectors ---- */

static void find_blind(const struct report *report, const struct detector_config *detector)
{
	double p = detector->false_fault;
	double every = p > 0 ? (double)detector->interval / 1e9 / p : NAN;
	char percent[WORDS_MAX], text[WORDS_MAX];

	if (!(p > 0)) {
		add(report, SEVERITY_HIGH, NAN,
		    "The poll does not look at its target and never says fault: no fault can be "
		    "detected. Let it read the real status.");
		return;
	}
	add(report, SEVERITY_HIGH, every,
	    "The poll does not look at its target: its status is random, FAULT with a chance of "
	    "%s whatever is true. It finds a real fault only by luck, and raises a false alarm "
	    "every %s on average. Let it read the real status.",
	    words_percent(percent, p), words_duration(text, every));
}

/* Mean time to k misses in a row when each look misses with probability p. */
static double false_alarm_every(const struct detector_config *detector, double p)
{
	double all = pow(p, (double)detector->misses);

	return (1 - all) / (all * (1 - p)) * (double)detector->interval / 1e9;
}

static void find_false_alarms(const struct report *report, const struct detector_config *detector)
{
	double p = detector->kind == DETECTOR_POLL    ? detector->false_fault
		   : detector->kind == DETECTOR_PROBE ? detector->loss
						      : 0;
	double every = p > 0 && p < 1 ? false_alarm_every(detector, p) : INFINITY;
	char percent[WORDS_MAX], text[WORDS_MAX];

	if (every > FALSE_ALARM_HORIZON * report->record->scenario->scale.time_scale)
		return;
	add(report, SEVERITY_MEDIUM, every,
	    "With %s of its looks failing by themselves and %u misses for a declaration, the %s "
	    "detector raises a false alarm about every %s for each target. Ask for more misses.",
	    words_percent(percent, p), detector->misses, detector_names[detector->kind],
	    words_duration(text, every));
}

/* Looking seldom sets a floor under FRT, whatever else gets faster. */
static void find_interval(const struct report *report, const struct detector_config *detector)
{
	const struct incident *incident = report->headline;
	double blind = (double)detector->interval / 1e9 * detector->misses;
	char text[WORDS_MAX], interval[WORDS_MAX], detection[WORDS_MAX];

	if (!incident || incident->frt == NANOS_NEVER || incident->detection == NANOS_NEVER ||
	    report->scenario->detector_count != 1 || incident->detection > incident->frt ||
	    (double)incident->detection < DOMINANT * (double)incident->frt ||
	    out_of_sight(detector->interval * detector->misses, incident->detection))
		return;
	add(report, SEVERITY_MEDIUM, blind,
	    "The %s detector looks every %s and needs %u of them: up to %s pass before it can "
	    "declare, of %s detection in this drill.",
	    detector_names[detector->kind], words_nanos(interval, detector->interval),
	    detector->misses, words_duration(text, blind),
	    words_nanos(detection, incident->detection));
}

static void find_detector(const struct report *report, const struct detector_config *detector)
{
	if (detector->kind == DETECTOR_POLL && detector->blind)
		find_blind(report, detector);
	else
		find_false_alarms(report, detector);
	if (!looks_around(detector))
		return;
	if (detector->misses == 1)
		add(report, SEVERITY_MEDIUM, NAN,
		    "No debounce: the %s detector declares a fault after a single bad look. Two or "
		    "three in a row would tell a lost answer from a lost service.",
		    detector_names[detector->kind]);
	if (!detector->blind)
		find_interval(report, detector);
}

/*
 * One loop that polls, acts and polls again: declarations that come during a move are not acted on,
 * and nothing else than the next poll would tell.
 */
static void find_busy(const struct report *report)
{
	const struct scenario *scenario = report->scenario;
	const struct dist *time = &scenario->recovery.switch_time;
	bool standby = false;
	nanos wait = 0;
	char text[WORDS_MAX], after[WORDS_MAX];

	for (size_t i = 0; i < scenario->detector_count; i++) {
		if (scenario->detectors[i].kind != DETECTOR_POLL)
			return;
		if (scenario->detectors[i].interval > wait)
			wait = scenario->detectors[i].interval;
	}
	for (size_t i = 0; i < scenario->deployment.site_count; i++)
		standby |= scenario->deployment.sites[i].standby.heat != HEAT_NONE;
	if (wait == 0 || !standby || dist_is_zero(time))
		return;
	add(report, SEVERITY_MEDIUM, dist_mean(time) / 1e9 + (double)wait / 1e9,
	    "Blind while it switches (%s): a poll is the only detector, and nothing acts on it "
	    "meanwhile. What breaks in that time waits for a poll after it, up to %s more. Watch "
	    "the standby too.",
	    words_dist(text, time), words_nanos(after, wait));
}

/* ---- backups ---- */

static bool runs(const struct backup_policy *policy)
{
	return policy->at_start || policy->every != NANOS_NEVER;
}

static uint32_t covered(const struct scenario *scenario)
{
	uint32_t classes = 0;

	for (size_t i = 0; i < scenario->policy_count; i++)
		if (runs(&scenario->policies[i]))
			classes |= scenario->policies[i].classes;
	return classes;
}

static uint32_t replicated(const struct scenario *scenario)
{
	uint32_t classes = 0;

	for (size_t i = 0; i < scenario->deployment.site_count; i++)
		if (scenario->deployment.sites[i].standby.heat != HEAT_NONE)
			classes |= scenario->deployment.sites[i].standby.holds;
	return classes;
}

static void find_uncovered(const struct report *report)
{
	const struct scenario *scenario = report->scenario;
	uint32_t backed = covered(scenario), copied = replicated(scenario);

	for (size_t i = 0; i < DATA_CLASSES; i++) {
		if (!scenario->deployment.data[i].declared || (backed & DATA_BIT(i)))
			continue;
		if (copied & DATA_BIT(i))
			add(report, SEVERITY_MEDIUM, NAN,
			    "No backup of the %s data: the standby's replica is the only other "
			    "copy, and it copies damage too.",
			    data_class_names[i]);
		else
			add(report, SEVERITY_HIGH, NAN,
			    "No backup of the %s data is ever made: there is no recovery point, "
			    "and what the primary loses is lost.",
			    data_class_names[i]);
	}
}

static void find_unverified(const struct report *report)
{
	const struct scenario *scenario = report->scenario;
	const struct store *store = &scenario->deployment.store;

	for (size_t i = 0; i < scenario->policy_count; i++)
		if (runs(&scenario->policies[i]) && !scenario->policies[i].verify) {
			add(report, SEVERITY_MEDIUM, NAN,
			    "Backups are never read back (verify: false): a damaged one is found "
			    "when it is needed.");
			break;
		}
	if (scenario->policy_count > 0 && store->declared &&
	    scenario->deployment.sites[store->site].standby.heat == HEAT_NONE &&
	    scenario->deployment.site_count > 1)
		add(report, SEVERITY_MEDIUM, NAN,
		    "The backup store stands at the primary site %s: what takes the site takes its "
		    "backups too.",
		    scenario->deployment.sites[store->site].name);
}

/* Older at the fault than the policy allows: newer points were there and could not be used. */
static void find_old_point(const struct report *report, const struct incident *incident)
{
	nanos fault = incident->marks[MARK_FAULT], bp = incident->marks[MARK_BP];
	double worst = report->record->worst_seconds, age;
	char text[WORDS_MAX], actual[WORDS_MAX];

	if (fault == NANOS_NEVER || bp == NANOS_NEVER || !isfinite(worst) || incident->of_work)
		return;
	age = (double)(fault - bp) / 1e9;
	if (age > worst)
		add(report, SEVERITY_HIGH, age - worst,
		    "The recovery point was %s old when %s came, and the policy allows %s: newer "
		    "points were missing or could not be used.",
		    words_duration(actual, age), incident->fault, words_duration(text, worst));
}

/* The policy's worst case against the objective, however lucky this drill was. */
static void find_worst_case(const struct report *report)
{
	const struct record *record = report->record;
	double worst = record->worst_seconds;
	bool moved = false;
	char text[WORDS_MAX], limit[WORDS_MAX];

	for (size_t i = 0; i < record->incident_count; i++)
		moved = moved || record->incidents[i].path == PATH_FAILOVER;
	for (size_t i = 0; i < report->scenario->objective_count; i++) {
		const struct objective *objective = &report->scenario->objectives[i];
		bool bytes = objective->kind == OBJECTIVE_BRP_BYTES;
		double value = bytes ? record->worst_bytes : worst;

		if ((!bytes && objective->kind != OBJECTIVE_BRP_SECONDS) || !isfinite(value) ||
		    !(value > objective->limit))
			continue;
		add(report, moved ? SEVERITY_MEDIUM : SEVERITY_LOW,
		    bytes ? NAN : value - objective->limit,
		    "The backup policy allows a loss of up to %s, the objective %s only %s: a "
		    "fault just before a backup is restorable misses it. Back up more often.",
		    value_text(text, objective->kind, value), objective_names[objective->kind],
		    value_text(limit, objective->kind, objective->limit));
	}
}

/* ---- the recovery plan ---- */

static void find_fencing(const struct report *report)
{
	if (!report->scenario->recovery.fence_enabled)
		add(report, SEVERITY_MEDIUM, NAN,
		    "The old primary is not fenced (fence: none): a primary that is cut off but "
		    "alive goes on accepting writes that nobody will see.");
}

static bool has_split(const struct report *report, const struct incident *incident)
{
	for (size_t i = 0; i < report->record->fault_count; i++) {
		const struct fault_record *fault = &report->record->faults[i];

		if (fault->incident == (int)(incident - report->record->incidents) &&
		    strcmp(fault->name, "repl.split_brain") == 0)
			return true;
	}
	return false;
}

/* Writes that the old copy took after the traffic had moved away from it; without a move, those
 * that the standby took by itself. */
static void find_split_brain(const struct report *report, const struct incident *incident)
{
	nanos loss = incident->marks[MARK_LOSS], switched = incident->marks[MARK_SWITCHED];
	nanos point = incident->marks[MARK_BP];
	char text[WORDS_MAX], count[WORDS_MAX];

	if (loss == NANOS_NEVER || incident->of_work)
		return;
	words_number(count, (double)incident->brp.records);
	if (incident->path != PATH_FAILOVER && has_split(report, incident) && loss > point)
		add(report, SEVERITY_HIGH, (double)(loss - point) / 1e9,
		    "Split brain: the standby took writes beside the primary for %s. Those writes, "
		    "%s records, are lost. Fence by a quorum that both sides can ask.",
		    words_nanos(text, loss - point), count);
	if (incident->path != PATH_FAILOVER || loss <= switched)
		return;
	add(report, SEVERITY_HIGH, (double)(loss - switched) / 1e9,
	    "Split brain: the old primary was not fenced and took writes for %s after the traffic "
	    "had moved. Those writes are lost.",
	    words_nanos(text, loss - switched));
}

static void find_standby_size(const struct report *report, const struct site *site)
{
	const struct deployment *deployment = &report->scenario->deployment;
	uint64_t have = (uint64_t)site->nodes * site->gpus, want = 0;

	for (size_t i = 0; i < deployment->endpoint_count; i++) {
		const struct endpoint *endpoint = &deployment->endpoints[i];

		want += (uint64_t)endpoint->replicas * endpoint->gpus_per_replica;
		if (site->standby.replicas > 0 && site->standby.replicas < endpoint->replicas)
			add(report, SEVERITY_LOW, NAN,
			    "Standby %s keeps %u of the %u replicas of %s: the others must be "
			    "started before it carries the whole load.",
			    site->name, site->standby.replicas, endpoint->replicas, endpoint->name);
	}
	/* A standby that carried the load of this drill all the same is a risk, no more. */
	if (want > have)
		add(report,
		    report->headline && report->headline->path == PATH_FAILOVER ? SEVERITY_MEDIUM
										: SEVERITY_HIGH,
		    NAN,
		    "Standby %s is smaller than the primary: it has %" PRIu64
		    " GPUs, all replicas of the endpoints need %" PRIu64 ".",
		    site->name, have, want);
}

static void find_recovery(const struct report *report)
{
	const struct scenario *scenario = report->scenario;
	const struct recovery_config *recovery = &scenario->recovery;
	bool standby = false;

	for (size_t i = 0; i < scenario->deployment.site_count; i++) {
		const struct site *site = &scenario->deployment.sites[i];

		if (site->standby.heat == HEAT_NONE)
			continue;
		standby = true;
		find_standby_size(report, site);
	}
	if (!standby && scenario->deployment.endpoint_count > 0) {
		add(report, SEVERITY_MEDIUM, NAN,
		    "There is no standby site: every fault that redundancy cannot carry waits for "
		    "the repair.");
		return;
	}
	if (recovery->restore.in_faulty)
		add(report, SEVERITY_HIGH, NAN,
		    "The restore runs inside the faulty place (restore into: faulty): what broke "
		    "it can break the restore. Restore to the standby.");
	if (recovery->stop_standby_after_restore)
		add(report, SEVERITY_HIGH, NAN,
		    "The standby is stopped right after the restore (after_restore: stop_standby): "
		    "there is nothing left to serve from, or to fall back on.");
	if (recovery->failback.after == FAILBACK_NEVER)
		add(report, SEVERITY_MEDIUM, NAN,
		    "There is no switch back (failback: {after: never}): after one failover the "
		    "service has "
		    "no standby until someone moves it by hand.");
	find_fencing(report);
}

/* ---- all trials ---- */

static void find_campaign(const struct report *report)
{
	const struct campaign *campaign = report->record->campaign;
	const struct summary *frt = &campaign->measures[MEASURE_FRT];
	char count[WORDS_MAX];

	words_number(count, (double)campaign->trials);
	if (campaign->censored > 0)
		add(report, SEVERITY_HIGH, NAN,
		    "%" PRIu64 " of %s trials did not recover within the drill; they count as "
		    "without end.",
		    campaign->censored, count);
	if (campaign->invalid > 0)
		add(report, SEVERITY_HIGH, NAN,
		    "%" PRIu64 " of %s trials were not evaluable (a fault without effect) and are "
		    "in no number.",
		    campaign->invalid, count);
	if (campaign->aborted > 0)
		add(report, SEVERITY_HIGH, NAN, "A guard aborted %" PRIu64 " of %s trials.",
		    campaign->aborted, count);
	if (campaign->fired > 0)
		add(report, SEVERITY_HIGH, NAN,
		    "Negative control: in %" PRIu64 " of %s trials a detector declared a fault "
		    "although nothing was broken.",
		    campaign->fired, count);
	if (frt->n > 0 && isnan(frt->p99_high))
		add(report, SEVERITY_INFO, NAN,
		    "%s trials are too few for an upper bound of the p99 of FRT.", count);
}

/* ---- what a real drill could not look at ---- */

/* What became of a record that was not read back nobody knows: that none is missing says nothing.
 */
static void find_unread(const struct report *report)
{
	const struct measured *measured = report->record->measured;
	char count[WORDS_MAX];

	if (!measured || !measured->ledger_known ||
	    measured->ledger.read_back >= measured->ledger.acknowledged)
		return;
	words_number(count,
		     (double)(measured->ledger.acknowledged - measured->ledger.read_back));
	add(report, SEVERITY_HIGH, NAN,
	    "%s acknowledged records could not be read back: whether they are lost is not known.",
	    count);
}

/* ---- what a model does not run ---- */

static void find_not_run(const struct report *report)
{
	const struct scenario *scenario = report->scenario;
	const char *kind = report->record->kind;

	if (!kind || strcmp(kind, "simulated") != 0)
		return;
	for (size_t i = 0; i < scenario->deployment.service_count; i++)
		add(report, SEVERITY_INFO, NAN,
		    "Service %s was not started: the model plays it as an endpoint of one replica. "
		    "A real drill runs its command.",
		    scenario->deployment.services[i].name);
	for (size_t i = 0; i < scenario->policy_count; i++)
		if (scenario->policies[i].command.count > 0)
			add(report, SEVERITY_INFO, NAN,
			    "The backup tool %s was not run: the model plays its backups. A real "
			    "drill runs it.",
			    scenario->policies[i].command.words[0]);
}

void findings_compute(struct record *record, struct arena *arena)
{
	const struct report report = {
		.record = record,
		.arena = arena,
		.scenario = record->scenario,
		.headline = record->headline < 0 ? NULL : &record->incidents[record->headline],
	};

	forget_derived(record);
	find_objectives(&report);
	for (size_t i = 0; i < record->fault_count; i++)
		find_fault(&report, &record->faults[i]);
	for (size_t i = 0; i < record->incident_count; i++) {
		find_incident(&report, &record->incidents[i]);
		find_split_brain(&report, &record->incidents[i]);
		find_old_point(&report, &record->incidents[i]);
		find_retries(&report, &record->incidents[i]);
	}
	find_not_injected(&report);
	find_alarms(&report);
	find_unprotected(&report);
	find_dominant(&report);
	for (size_t i = 0; i < record->scenario->detector_count; i++)
		find_detector(&report, &record->scenario->detectors[i]);
	/* A plan of the target's own is not in the scenario. */
	if (record->scenario->recovery.managed_by == MANAGED_BY_DRSIM) {
		find_busy(&report);
		find_uncovered(&report);
		find_unverified(&report);
		find_recovery(&report);
	}
	find_worst_case(&report);
	find_unread(&report);
	find_not_run(&report);
	if (record->campaign)
		find_campaign(&report);
	rank(record);
}
