/* SPDX-License-Identifier: Apache-2.0 */
/* What the marks of a drill add up to: FRT, BRT and their phases, the objectives, the verdict. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>

#include "core/record.h"
#include "core/stats.h"

#define CHAIN_MAX 5 /* marks in one chain of incident_check() */

/* ---- one incident ---- */

static nanos earlier(nanos a, nanos b)
{
	return a < b ? a : b; /* NANOS_NEVER is later than everything */
}

static nanos later(nanos a, nanos b)
{
	if (a == NANOS_NEVER || b == NANOS_NEVER)
		return earlier(a, b);
	return a > b ? a : b;
}

static nanos span(nanos from, nanos to)
{
	return from == NANOS_NEVER || to == NANOS_NEVER ? NANOS_NEVER : to - from;
}

static nanos mark_begin(const struct incident *incident)
{
	return earlier(incident->marks[MARK_SWITCH_BEGIN], incident->marks[MARK_DATA_BEGIN]);
}

static nanos mark_ready(const struct incident *incident)
{
	return later(incident->marks[MARK_SWITCHED], incident->marks[MARK_DATA_RESTORED]);
}

/* A false alarm that led to a move has its phases, but no fault that FRT could count from. */
static bool has_move(const struct incident *incident)
{
	return incident->path == PATH_FAILOVER || incident->path == PATH_FALSE_ALARM;
}

void incident_measure(struct incident *incident)
{
	const nanos *marks = incident->marks;
	nanos begin = mark_begin(incident), ready = mark_ready(incident);

	incident->detection = span(marks[MARK_FAULT], marks[MARK_DETECT]);
	incident->decision = incident->switching = incident->data_recovery = NANOS_NEVER;
	incident->overlap = incident->readiness = incident->brt = incident->frt = NANOS_NEVER;
	if (has_move(incident)) {
		incident->decision = span(marks[MARK_DETECT], begin);
		incident->switching = span(marks[MARK_SWITCH_BEGIN], marks[MARK_SWITCHED]);
		incident->data_recovery = span(marks[MARK_DATA_BEGIN], marks[MARK_DATA_RESTORED]);
		incident->brt = span(begin, ready);
		incident->readiness = span(ready, marks[MARK_RESTORED]);
		if (incident->switching != NANOS_NEVER && incident->data_recovery != NANOS_NEVER)
			incident->overlap =
				incident->switching + incident->data_recovery - incident->brt;
	}
	switch (incident->path) {
	case PATH_FAILOVER:
	case PATH_IN_PLACE:
		incident->frt = span(marks[MARK_FAULT], marks[MARK_RESTORED]);
		break;
	case PATH_ABSORBED: /* no request was bad: nothing had to be restored */
		incident->frt = marks[MARK_RESTORED] == NANOS_NEVER
					? 0
					: span(marks[MARK_FAULT], marks[MARK_RESTORED]);
		break;
	case PATH_FALSE_ALARM:
	case PATH_UNRECOVERED:
		break;
	}
}

/* One instant that a chain compares: a mark, or one of the two that are made of marks. */
struct instant {
	const char *name;
	nanos at;
};

static struct instant of_mark(const struct incident *incident, enum mark mark)
{
	return (struct instant){mark_names[mark], incident->marks[mark]};
}

/* Each instant that was reached is not before the last one that was. */
static int check_chain(const struct instant chain[], size_t count, struct error *e)
{
	const struct instant *last = NULL;

	for (size_t i = 0; i < count; i++) {
		if (chain[i].at == NANOS_NEVER)
			continue;
		if (last && chain[i].at < last->at)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "marks out of order: %s (%" PRId64 " ns) is before "
					 "%s (%" PRId64 " ns)",
					 chain[i].name, chain[i].at, last->name, last->at);
		last = &chain[i];
	}
	return 0;
}

static int check_marks(const struct incident *incident, const enum mark marks[CHAIN_MAX],
		       size_t count, struct error *e)
{
	struct instant chain[CHAIN_MAX];

	assert(count <= CHAIN_MAX);
	for (size_t i = 0; i < count; i++)
		chain[i] = of_mark(incident, marks[i]);
	return check_chain(chain, count, e);
}

static int check_order(const struct incident *incident, struct error *e)
{
	static const struct {
		enum mark marks[CHAIN_MAX];
		size_t count;
	} chains[] = {
		{{MARK_SWITCH_BEGIN, MARK_SWITCHED}, 2},
		{{MARK_DATA_BEGIN, MARK_DATA_RESTORED, MARK_VERIFIED}, 3},
		{{MARK_DETECT, MARK_DIAGNOSED, MARK_REPAIRED, MARK_FAILBACK, MARK_NORMAL}, 5},
		{{MARK_RESTORED, MARK_NORMAL}, 2},
		{{MARK_BP, MARK_LOSS}, 2},
	};
	const struct instant onset[] = {
		of_mark(incident, MARK_FAULT),
		of_mark(incident, MARK_DETECT),
		of_mark(incident, MARK_DECIDE),
		{"t_begin", mark_begin(incident)},
	};
	const struct instant service[] = {
		{"t_ready", mark_ready(incident)},
		of_mark(incident, MARK_RESTORED),
	};

	if (check_chain(onset, 4, e))
		return -1;
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		if (check_marks(incident, chains[i].marks, chains[i].count, e))
			return -1;
	/* Elsewhere the service may be back before a move that was no longer needed. */
	return incident->path == PATH_FAILOVER ? check_chain(service, 2, e) : 0;
}

/* FRT = Detection + Decision + BRT + Readiness: every term known, none negative, exact. */
static int check_identity(const struct incident *incident, struct error *e)
{
	const struct instant terms[] = {
		{"detection", incident->detection},
		{"decision", incident->decision},
		{"BRT", incident->brt},
		{"readiness", incident->readiness},
		{"FRT", incident->frt},
	};
	nanos sum = 0;

	for (size_t i = 0; i < 5; i++) {
		if (terms[i].at == NANOS_NEVER || terms[i].at < 0)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "a failover whose %s is %s", terms[i].name,
					 terms[i].at < 0 ? "negative" : "not known");
		if (i < 4)
			sum += terms[i].at;
	}
	if (sum != incident->frt)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "FRT (%" PRId64 " ns) is not detection + decision + BRT + "
				 "readiness (%" PRId64 " ns)",
				 incident->frt, sum);
	return 0;
}

int incident_check(const struct incident *incident, struct error *e)
{
	bool fault = incident->marks[MARK_FAULT] != NANOS_NEVER;

	if (fault == (incident->path == PATH_FALSE_ALARM))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 fault ? "a false alarm with a fault"
				       : "an incident without t_fault");
	if (check_order(incident, e))
		return -1;
	return incident->path == PATH_FAILOVER ? check_identity(incident, e) : 0;
}

/* ---- one run ---- */

static double seconds(nanos value)
{
	return value == NANOS_NEVER ? NAN : (double)value / 1e9;
}

static bool unrecovered(const struct record *record)
{
	return record->headline >= 0 &&
	       record->incidents[record->headline].path == PATH_UNRECOVERED;
}

/* The longest of any failover: an incident with a longer FRT may have had none. */
static double worst_brt(const struct record *record)
{
	double worst = NAN;

	if (unrecovered(record))
		return INFINITY;
	for (size_t i = 0; i < record->incident_count; i++)
		if (record->incidents[i].path == PATH_FAILOVER)
			worst = fmax(worst, seconds(record->incidents[i].brt));
	return worst;
}

static bool knows_data(const struct brp *brp)
{
	for (size_t i = 0; i < DATA_CLASSES; i++)
		if (brp->by_class[i].known)
			return true;
	return false;
}

/* Without data there are no bytes and no records that could be lost, but the work of a job. */
static bool has_jobs(const struct record *record)
{
	return record->scenario->deployment.job_count > 0;
}

static bool knows_any_class(const struct record *record)
{
	for (size_t i = 0; i < DATA_CLASSES; i++)
		if (record->scenario->deployment.data[i].declared)
			return true;
	return false;
}

void record_measures(const struct record *record, double ret_values[MEASURES])
{
	const struct incident *incident =
		record->headline < 0 ? NULL : &record->incidents[record->headline];

	for (size_t i = 0; i < MEASURES; i++)
		ret_values[i] = NAN;
	ret_values[MEASURE_AVAILABILITY] = record->availability_time;
	ret_values[MEASURE_BRT] = worst_brt(record);
	if (unrecovered(record)) { /* nothing can be read: no limit is kept to */
		ret_values[MEASURE_BRP_BYTES] = ret_values[MEASURE_BRP_RECORDS] =
			knows_any_class(record) ? INFINITY : NAN;
		ret_values[MEASURE_BRP_SECONDS] =
			knows_any_class(record) || has_jobs(record) ? INFINITY : NAN;
	}
	/* Where nothing happened nothing was tested: a loss of 0 would say more than is known. */
	else if (record->incident_count > 0 && record->brp.known && knows_data(&record->brp)) {
		ret_values[MEASURE_BRP_SECONDS] = record->brp.seconds;
		ret_values[MEASURE_BRP_BYTES] = (double)record->brp.bytes;
		ret_values[MEASURE_BRP_RECORDS] = (double)record->brp.records;
	} else if (record->incident_count > 0 && record->brp.known && has_jobs(record))
		ret_values[MEASURE_BRP_SECONDS] = record->brp.seconds;
	if (!incident)
		return;
	ret_values[MEASURE_FRT] = unrecovered(record) ? INFINITY : seconds(incident->frt);
	ret_values[MEASURE_DETECTION] = seconds(incident->detection);
	ret_values[MEASURE_DECISION] = seconds(incident->decision);
	ret_values[MEASURE_SWITCH] = seconds(incident->switching);
	ret_values[MEASURE_DATA_RECOVERY] = seconds(incident->data_recovery);
	ret_values[MEASURE_READINESS] = seconds(incident->readiness);
}

double record_disruption(const struct record *record)
{
	if (record->incident_count == 0)
		return NAN;
	return unrecovered(record) ? INFINITY : record->longest_bad_s;
}

double record_ettr(const struct record *record)
{
	double least = NAN;

	for (size_t i = 0; i < record->job_count; i++)
		least = fmin(least, record->jobs[i].ettr); /* fmin ignores NAN */
	return least;
}

/* Where an objective's value comes from; MEASURES: the longest outage or the ETTR of jobs, which
 * record.json does not sum up over trials. */
static const enum campaign_measure objective_measures[OBJECTIVES] = {
	[OBJECTIVE_FRT] = MEASURE_FRT,
	[OBJECTIVE_BRT] = MEASURE_BRT,
	[OBJECTIVE_BRP_SECONDS] = MEASURE_BRP_SECONDS,
	[OBJECTIVE_BRP_BYTES] = MEASURE_BRP_BYTES,
	[OBJECTIVE_BRP_RECORDS] = MEASURE_BRP_RECORDS,
	[OBJECTIVE_AVAILABILITY] = MEASURE_AVAILABILITY,
	[OBJECTIVE_MTPD] = MEASURES,
	[OBJECTIVE_ETTR] = MEASURES,
};

static const char *const objective_units[OBJECTIVES] = {
	[OBJECTIVE_FRT] = "s",
	[OBJECTIVE_BRT] = "s",
	[OBJECTIVE_BRP_SECONDS] = "s",
	[OBJECTIVE_BRP_BYTES] = "bytes",
	[OBJECTIVE_BRP_RECORDS] = "records",
	[OBJECTIVE_AVAILABILITY] = "fraction",
	[OBJECTIVE_MTPD] = "s",
	[OBJECTIVE_ETTR] = "fraction",
};

/*
 * The value that at least the share q of all trials kept to; censored trials kept to none. Of
 * availability more is better, so its share is counted from the top.
 */
static double of_campaign(const struct campaign *campaign, enum objective_kind kind, double q)
{
	enum campaign_measure measure = objective_measures[kind];
	const struct summary *other =
		kind == OBJECTIVE_ETTR ? &campaign->ettr : &campaign->disruption;
	const struct summary *summary = measure == MEASURES ? other : &campaign->measures[measure];
	size_t total = summary->n + summary->censored, rank;

	if (total == 0)
		return NAN;
	rank = stats_quantile_rank(total, q);
	if (objective_is_floor(kind))
		return summary->sorted[total - rank];
	return rank > summary->n ? INFINITY : summary->sorted[rank - 1];
}

static enum tristate is_met(const struct objective *objective, double achieved)
{
	if (isnan(achieved))
		return TRISTATE_NULL;
	if (objective_is_floor(objective->kind))
		return achieved >= objective->limit ? TRISTATE_TRUE : TRISTATE_FALSE;
	return achieved <= objective->limit ? TRISTATE_TRUE : TRISTATE_FALSE;
}

static void judge_objectives(struct record *record)
{
	const struct scenario *scenario = record->scenario;
	double measures[MEASURES];

	record_measures(record, measures);
	record->objective_count = scenario->objective_count;
	for (size_t i = 0; i < scenario->objective_count; i++) {
		const struct objective *objective = &scenario->objectives[i];
		struct objective_result *result = &record->objectives[i];
		enum campaign_measure measure = objective_measures[objective->kind];

		*result = (struct objective_result){
			.name = objective_names[objective->kind],
			.unit = objective_units[objective->kind],
			.limit = objective->limit,
			.quantile = record->campaign ? objective->quantile : NAN,
		};
		if (record->campaign)
			result->achieved =
				of_campaign(record->campaign, objective->kind, objective->quantile);
		else if (measure == MEASURES)
			result->achieved = objective->kind == OBJECTIVE_ETTR
						   ? record_ettr(record)
						   : record_disruption(record);
		else
			result->achieved = measures[measure];
		/* Nothing broke in a sham run: no objective was put to the test. */
		result->met = record->sham ? TRISTATE_NULL : is_met(objective, result->achieved);
	}
}

/* ---- the verdict: the worst wins ---- */

static enum verdict worse(enum verdict a, enum verdict b)
{
	static const int rank[] = {
		[VERDICT_PASSED] = 0,  [VERDICT_FAILED] = 1,  [VERDICT_INVALID] = 2,
		[VERDICT_ABORTED] = 3, [VERDICT_RESIDUE] = 4,
	};

	return rank[a] >= rank[b] ? a : b;
}

/* Chance left out what was to break: that is one of the ways such a drill goes. */
static bool left_out(const struct record *record)
{
	for (size_t i = 0; record->left_out && i < record->scenario->step_count; i++)
		if (record->left_out[i] > 0)
			return record->fault_count == 0;
	return false;
}

static enum verdict of_faults(const struct record *record)
{
	enum verdict verdict = VERDICT_PASSED;
	/* Failures come by chance: that none came is a result. */
	bool any = record->sham || record->scenario->step_count == 0 ||
		   record->scenario->failure_count > 0 || left_out(record);

	if (record->measured && record->measured->residue_count > 0)
		verdict = worse(verdict, VERDICT_RESIDUE);
	for (size_t i = 0; i < record->fault_count; i++) {
		const struct fault_record *fault = &record->faults[i];

		any = any || fault->applied;
		if (fault->residue_count > 0 || fault->reverted == TRISTATE_FALSE)
			verdict = worse(verdict, VERDICT_RESIDUE);
		if (!record->sham && fault->effective == TRISTATE_FALSE)
			verdict = worse(verdict, VERDICT_INVALID);
	}
	/* A drill in which nothing was broken proves nothing. */
	return any ? verdict : worse(verdict, VERDICT_INVALID);
}

static bool marks_hold(const struct record *record)
{
	for (size_t i = 0; i < record->incident_count; i++)
		if (incident_check(&record->incidents[i], NULL))
			return false;
	return true;
}

/* Two instruments that contradict one another prove nothing; one alone still counts. */
static bool wire_agrees(const struct record *record)
{
	const struct measured *measured = record->measured;

	return !measured || !measured->wire_known || measured->wire.agrees;
}

bool record_evaluable(const struct record *record)
{
	enum verdict verdict = of_faults(record);

	if (record->verdict == VERDICT_INVALID && record->abort_reason)
		return false;
	return verdict != VERDICT_INVALID && marks_hold(record) && wire_agrees(record);
}

/* Without objectives nothing is missed, but a service that stayed down is no success either. */
static enum verdict of_nothing_asked(const struct record *record)
{
	bool down = unrecovered(record) || (record->campaign && record->campaign->censored > 0);

	return down && !record->sham ? VERDICT_FAILED : VERDICT_PASSED;
}

/* In no trial either anything broke. */
static bool nothing_came(const struct record *record)
{
	const struct campaign *campaign = record->campaign;
	uint64_t incidents = 0;

	for (size_t i = 0; campaign && i < sizeof(campaign->paths) / sizeof(campaign->paths[0]);
	     i++)
		incidents += campaign->paths[i];
	return left_out(record) && incidents == 0;
}

static enum verdict of_objectives(const struct record *record)
{
	bool measured = record->sham || nothing_came(record);

	if (record->objective_count == 0)
		return of_nothing_asked(record);
	for (size_t i = 0; i < record->objective_count; i++) {
		if (record->objectives[i].met == TRISTATE_FALSE)
			return VERDICT_FAILED;
		measured = measured || record->objectives[i].met == TRISTATE_TRUE;
	}
	return measured ? VERDICT_PASSED : VERDICT_INVALID;
}

static enum verdict of_trials(const struct campaign *campaign)
{
	if (campaign->residue > 0)
		return VERDICT_RESIDUE;
	if (campaign->aborted > 0)
		return VERDICT_ABORTED;
	if (campaign->invalid > 0)
		return VERDICT_INVALID;
	return campaign->fired > 0 ? VERDICT_FAILED : VERDICT_PASSED;
}

void record_judge(struct record *record)
{
	static const int exit_codes[] = {
		[VERDICT_PASSED] = 0,  [VERDICT_FAILED] = 1,  [VERDICT_INVALID] = 3,
		[VERDICT_ABORTED] = 5, [VERDICT_RESIDUE] = 4,
	};
	enum verdict verdict = VERDICT_PASSED;

	if (record->verdict == VERDICT_ABORTED || record->verdict == VERDICT_RESIDUE ||
	    (record->verdict == VERDICT_INVALID && record->abort_reason))
		verdict = record->verdict;
	judge_objectives(record);
	if (!marks_hold(record)) {
		verdict = worse(verdict, VERDICT_INVALID);
		if (!record->abort_reason)
			record->abort_reason = "the marks of an incident contradict one another";
	}
	if (!wire_agrees(record)) {
		verdict = worse(verdict, VERDICT_INVALID);
		if (!record->abort_reason)
			record->abort_reason = "the capture of the client's link contradicts the "
					       "client's own account of the outage";
	}
	/* Without a fault whatever opened an incident is the detector's doing. */
	if (record->sham && record->incident_count > 0)
		verdict = worse(verdict, VERDICT_FAILED);
	verdict = worse(verdict, of_faults(record));
	if (record->campaign)
		verdict = worse(verdict, of_trials(record->campaign));
	verdict = worse(verdict, of_objectives(record));
	record->verdict = verdict;
	record->exit_code = exit_codes[verdict];
}
