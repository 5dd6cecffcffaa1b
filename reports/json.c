/* SPDX-License-Identifier: Apache-2.0 */
/* record.json from a record in memory. */
#include "reports/json.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/report.h"
#include "reports/file.h"
#include "reports/json_add.h"
#include "reports/json_evidence.h"

#ifndef DRSIM_VERSION
#define DRSIM_VERSION "unknown"
#endif

#define LINE_COLUMNS 100

/* ---- the blocks, in the contract's order ---- */

static void add_drill(cJSON *root, const struct record *record)
{
	const struct scenario *scenario = record->scenario;
	cJSON *drill = add_object(root, "drill");
	cJSON *block = scenario->drill_json ? cJSON_Parse(scenario->drill_json) : NULL, *scale;

	add_text(drill, "id", record->id);
	add_text(drill, "kind", record->kind);
	add_text(drill, "name", scenario->name);
	add_text(drill, "driver", record->driver);
	add_count(drill, "seed", record->seed);
	must(cJSON_AddBoolToObject(drill, "sham", record->sham));
	add_text(drill, "version", DRSIM_VERSION);
	add_text(drill, "scenario_sha256", scenario->sha256);
	add_text(drill, "started", record->started);
	add_seconds(drill, "duration_s", record->duration);
	if (scenario_is_scaled(scenario)) {
		scale = add_object(drill, "scale");
		add_real(scale, "time", scenario->scale.time_scale);
		add_real(scale, "bytes", scenario->scale.bytes_scale);
	}
	add_text(drill, "command", record->command);
	add_text(drill, "host", record->host);
	add_real(drill, "wall_s", record->wall_s);
	add_text(drill, "description", scenario->description);
	if (record->profile) {
		cJSON *profile = add_object(drill, "profile");

		add_text(profile, "sha256", record->profile);
		add_count(profile, "runs", record->profile_runs);
	}
	/* What a person supplied for the evidence. The names above win. */
	while (block && block->child) {
		cJSON *item = cJSON_DetachItemViaPointer(block, block->child);

		if (item->string && !cJSON_GetObjectItemCaseSensitive(drill, item->string))
			cJSON_AddItemToObject(drill, item->string, item);
		else
			cJSON_Delete(item);
	}
	cJSON_Delete(block);
	json_environment(drill, record);
}

static void add_objectives(cJSON *root, const struct record *record)
{
	cJSON *objectives = must(cJSON_AddArrayToObject(root, "objectives"));

	for (size_t i = 0; i < record->objective_count; i++) {
		const struct objective_result *result = &record->objectives[i];
		cJSON *objective = append_object(objectives);

		add_text(objective, "name", result->name);
		add_real(objective, "limit", result->limit);
		add_real(objective, "quantile", result->quantile);
		add_real(objective, "achieved", result->achieved);
		add_text(objective, "unit", result->unit);
		add_tristate(objective, "met", result->met);
	}
}

static void add_loss(cJSON *object, bool known, uint64_t bytes, uint64_t records)
{
	if (known) {
		add_count(object, "bytes", bytes);
		add_count(object, "records", records);
	} else {
		must(cJSON_AddNullToObject(object, "bytes"));
		must(cJSON_AddNullToObject(object, "records"));
	}
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* All classes together; the headline is the worst one alone. */
static void add_total(cJSON *object, const struct brp *brp)
{
	uint64_t bytes = 0, records = 0;

	for (size_t i = 0; i < DATA_CLASSES; i++) {
		if (!brp->by_class[i].known)
			continue;
		bytes = plus(bytes, brp->by_class[i].bytes);
		records = plus(records, brp->by_class[i].records);
	}
	add_loss(add_object(object, "total"), brp->known, bytes, records);
}

/* `policy`: the record whose worst case of the policy belongs here too, or NULL. */
static void add_brp(cJSON *parent, const struct brp *brp, const struct record *policy)
{
	cJSON *object = add_object(parent, "brp"), *classes;

	add_real(object, "seconds", brp->known ? brp->seconds : NAN);
	add_loss(object, brp->known, brp->bytes, brp->records);
	add_total(object, brp);
	if (policy) {
		add_real(object, "worst_seconds", policy->worst_seconds);
		add_real(object, "worst_bytes", policy->worst_bytes);
	}
	classes = add_object(object, "by_class");
	for (size_t i = 0; i < DATA_CLASSES; i++) {
		cJSON *one;

		if (!brp->by_class[i].known)
			continue;
		one = add_object(classes, data_class_names[i]);
		add_real(one, "seconds", brp->by_class[i].seconds);
		add_count(one, "bytes", brp->by_class[i].bytes);
		add_count(one, "records", brp->by_class[i].records);
	}
}

static nanos recovery(const struct incident *incident)
{
	if (incident->frt == NANOS_NEVER || incident->detection == NANOS_NEVER)
		return NANOS_NEVER;
	return incident->frt - incident->detection;
}

/* Without an incident the phases are null; availability and BRP stand all the same, they were
 * measured. */
static void add_metrics(cJSON *root, const struct record *record)
{
	static const struct incident none = {
		.detection = NANOS_NEVER,
		.decision = NANOS_NEVER,
		.switching = NANOS_NEVER,
		.data_recovery = NANOS_NEVER,
		.overlap = NANOS_NEVER,
		.readiness = NANOS_NEVER,
		.brt = NANOS_NEVER,
		.frt = NANOS_NEVER,
	};
	const struct incident *incident =
		record->headline < 0 ? &none : &record->incidents[record->headline];
	cJSON *metrics = add_object(root, "metrics"), *availability;

	assert(record->headline < 0 || (size_t)record->headline < record->incident_count);
	if (record->headline < 0)
		must(cJSON_AddNullToObject(metrics, "incident"));
	else
		add_integer(metrics, "incident", record->headline);
	add_seconds(metrics, "frt_s", incident->frt);
	add_seconds(metrics, "detection_s", incident->detection);
	add_seconds(metrics, "decision_s", incident->decision);
	add_seconds(metrics, "recovery_s", recovery(incident));
	add_seconds(metrics, "brt_s", incident->brt);
	add_seconds(metrics, "switch_s", incident->switching);
	add_seconds(metrics, "data_recovery_s", incident->data_recovery);
	add_seconds(metrics, "overlap_s", incident->overlap);
	add_seconds(metrics, "readiness_s", incident->readiness);
	add_brp(metrics, &record->brp, record);
	availability = add_object(metrics, "availability");
	add_real(availability, "time", record->availability_time);
	add_real(availability, "requests", record->availability_requests);
	add_real(metrics, "bad_s", record->bad_s);
	add_real(metrics, "longest_bad_s", record->longest_bad_s);
	add_real(metrics, "span_s", record->span_s);
	add_real(metrics, "unprotected_s", record->unprotected_s);
}

static void add_incident(cJSON *incidents, const struct incident *incident)
{
	cJSON *object = append_object(incidents), *faults;
	char key[32];

	add_text(object, "path", path_names[incident->path]);
	faults = must(cJSON_AddArrayToObject(object, "faults"));
	for (size_t i = 0; i < incident->fault_count; i++)
		cJSON_AddItemToArray(faults, real(incident->faults[i]));
	add_text(object, "fault", incident->fault);
	add_text(object, "target", incident->target);
	add_text(object, "place", incident->place);
	for (size_t i = 0; i < MARKS; i++) {
		snprintf(key, sizeof(key), "%s_ns", mark_names[i]);
		add_nanos(object, key, incident->marks[i]);
	}
	add_text(object, "diagnosis", incident->diagnosis);
	add_text(object, "action", incident->action);
	add_count(object, "wrong", incident->wrong);
	must(cJSON_AddBoolToObject(object, "undetected", incident->undetected));
	add_count(object, "relapses", incident->relapses);
	add_nanos(object, "relapsed_ns", incident->relapsed);
	add_nanos(object, "detection_ns", incident->detection);
	add_nanos(object, "decision_ns", incident->decision);
	add_nanos(object, "switch_ns", incident->switching);
	add_nanos(object, "data_recovery_ns", incident->data_recovery);
	add_nanos(object, "overlap_ns", incident->overlap);
	add_nanos(object, "readiness_ns", incident->readiness);
	add_nanos(object, "brt_ns", incident->brt);
	add_nanos(object, "frt_ns", incident->frt);
	add_brp(object, &incident->brp, NULL);
}

/* "gpu_loss.yaml:14" of the step, as in the incidents; null when the step has no place. */
static void add_place(cJSON *fault, const struct scenario *scenario, uint32_t step)
{
	const struct place *place =
		step < scenario->step_count ? &scenario->steps[step].place : NULL;
	const char *file = place ? place->file : NULL, *slash = file ? strrchr(file, '/') : NULL;
	char text[512];

	if (!file || place->line == 0) {
		must(cJSON_AddNullToObject(fault, "place"));
		return;
	}
	snprintf(text, sizeof(text), "%.480s:%" PRIu32, slash ? slash + 1 : file, place->line);
	add_text(fault, "place", text);
}

static void add_faults(cJSON *root, const struct record *record)
{
	cJSON *faults = must(cJSON_AddArrayToObject(root, "faults"));

	for (size_t i = 0; i < record->fault_count; i++) {
		const struct fault_record *fault = &record->faults[i];
		cJSON *object = append_object(faults), *residue;

		add_count(object, "step", fault->step);
		add_text(object, "name", fault->name);
		add_text(object, "target", fault->target);
		if (fault->cause)
			add_text(object, "cause", fault->cause);
		add_place(object, record->scenario, fault->step);
		if (fault->incident < 0)
			must(cJSON_AddNullToObject(object, "incident"));
		else
			add_integer(object, "incident", fault->incident);
		add_text(object, "fidelity", fidelity_names[fault->fidelity]);
		add_text(object, "mechanism", fault->mechanism);
		must(cJSON_AddBoolToObject(object, "applied", fault->applied));
		add_tristate(object, "effective", fault->effective);
		add_text(object, "observed", fault->observed);
		add_tristate(object, "reverted", fault->reverted);
		residue = must(cJSON_AddArrayToObject(object, "residue"));
		assert(fault->residue_count <= RESIDUE_MAX);
		for (size_t k = 0; k < fault->residue_count; k++)
			cJSON_AddItemToArray(residue, must(cJSON_CreateString(fault->residue[k])));
		if (fault->timed) {
			add_nanos(object, "before_ns", fault->before);
			add_nanos(object, "after_ns", fault->after);
		}
	}
}

static void add_repair(cJSON *object, const struct repair_summary *repair)
{
	add_count(object, "count", repair->count);
	add_real(object, "mean_min", repair->mean);
	add_real(object, "median_min", repair->median);
}

static void add_repairs(cJSON *root, const struct record *record)
{
	cJSON *repairs = add_object(root, "repairs"), *causes;

	assert(record->repair_count > 0);
	add_repair(add_object(repairs, "all"), &record->repairs[0]);
	causes = must(cJSON_AddArrayToObject(repairs, "by_cause"));
	for (size_t i = 1; i < record->repair_count; i++) {
		cJSON *object = append_object(causes);

		add_text(object, "cause", record->repairs[i].cause);
		add_repair(object, &record->repairs[i]);
	}
}

static void add_jobs(cJSON *root, const struct record *record)
{
	cJSON *jobs = must(cJSON_AddArrayToObject(root, "jobs"));

	for (size_t i = 0; i < record->job_count; i++) {
		const struct job_record *job = &record->jobs[i];
		cJSON *object = append_object(jobs);

		add_text(object, "name", job->name);
		must(cJSON_AddBoolToObject(object, "complete", job->complete));
		add_real(object, "work_s", job->work_s);
		add_real(object, "wall_s", job->wall_s);
		add_real(object, "ettr", job->ettr);
		add_real(object, "goodput", job->goodput);
		add_count(object, "interruptions", job->interruptions);
		add_count(object, "restarts", job->restarts);
		add_real(object, "lost_work_s", job->lost_work_s);
		add_count(object, "checkpoints", job->checkpoints);
		add_count(object, "bad_checkpoints", job->bad_checkpoints);
		add_real(object, "down_s", job->down_s);
		add_real(object, "wrong_work_s", job->wrong_work_s);
	}
}

static void add_wire(cJSON *root, const struct measured *measured)
{
	const struct wire_record *wire = &measured->wire;
	cJSON *object;

	if (!measured->wire_known) {
		must(cJSON_AddNullToObject(root, "wire"));
		add_text(root, "wire_reason", measured->wire_reason);
		return;
	}
	object = add_object(root, "wire");
	add_real(object, "outage_s", wire->outage_s);
	add_real(object, "client_s", wire->client_s);
	add_real(object, "difference_s", wire->difference_s);
	add_real(object, "allowed_s", wire->allowed_s);
	must(cJSON_AddBoolToObject(object, "agrees", wire->agrees));
}

static void add_ledger(cJSON *root, const struct ledger_record *ledger)
{
	cJSON *object = add_object(root, "ledger");

	add_count(object, "written", ledger->written);
	add_count(object, "acknowledged", ledger->acknowledged);
	add_count(object, "failed", ledger->failed);
	add_count(object, "unknown", ledger->unknown);
	add_count(object, "lost", ledger->lost);
	add_count(object, "stale", ledger->stale);
	add_count(object, "altered", ledger->altered);
	add_count(object, "duplicated", ledger->duplicated);
	add_count(object, "acknowledged_twice", ledger->acknowledged_twice);
	add_count(object, "foreign", ledger->foreign);
	add_count(object, "read_back", ledger->read_back);
}

static void add_measured(cJSON *root, const struct measured *measured)
{
	cJSON *object, *lost, *residue;

	add_wire(root, measured);
	if (measured->ledger_known)
		add_ledger(root, &measured->ledger);
	object = add_object(root, "environment");
	add_text(object, "isolation", measured->isolation);
	add_text(object, "kernel", measured->kernel);
	lost = must(cJSON_AddArrayToObject(object, "lost"));
	assert(measured->lost_count <= ENVIRONMENT_LOST_MAX);
	for (size_t i = 0; i < measured->lost_count; i++)
		cJSON_AddItemToArray(lost, must(cJSON_CreateString(measured->lost[i])));
	residue = must(cJSON_AddArrayToObject(object, "residue"));
	assert(measured->residue_count <= RESIDUE_MAX);
	for (size_t i = 0; i < measured->residue_count; i++)
		cJSON_AddItemToArray(residue, must(cJSON_CreateString(measured->residue[i])));
}

static void add_findings(cJSON *root, const struct record *record)
{
	cJSON *findings = must(cJSON_AddArrayToObject(root, "findings"));

	assert(record->finding_count <= FINDINGS_MAX);
	for (size_t i = 0; i < record->finding_count; i++) {
		const struct finding *finding = &record->findings[i];
		cJSON *object = append_object(findings);
		char id[32];

		/* Of this drill: together with drill.id it is one of a kind. */
		snprintf(id, sizeof(id), "F%zu", i + 1);
		add_text(object, "id", id);
		add_text(object, "severity", severity_names[finding->severity]);
		add_text(object, "text", finding->text);
		add_real(object, "seconds", finding->seconds);
	}
}

static void add_summary(cJSON *campaign, const struct summary *summary)
{
	cJSON *object = add_object(campaign, summary->name);
	bool any = summary->n > 0;

	add_count(object, "n", summary->n);
	add_count(object, "censored", summary->censored);
	add_real(object, "mean", any ? summary->mean : NAN);
	add_real(object, "stderr", any ? summary->stderr_ : NAN);
	add_real(object, "min", any ? summary->min : NAN);
	add_real(object, "p05", any ? summary->p05 : NAN);
	add_real(object, "p50", any ? summary->p50 : NAN);
	add_real(object, "p95", any ? summary->p95 : NAN);
	add_real(object, "p99", any ? summary->p99 : NAN);
	add_real(object, "p99_low", any ? summary->p99_low : NAN);
	add_real(object, "p99_high", any ? summary->p99_high : NAN);
	add_real(object, "max", any ? summary->max : NAN);
}

/*
 * At most ECDF_POINTS_MAX of the sorted values, the first and the last among them, each with the
 * share of trials at or below it. Censored trials count in the share's denominator: they are above
 * every value.
 */
static void add_ecdf(cJSON *ecdf, const struct summary *summary)
{
	cJSON *object, *values, *shares;
	uint64_t points = summary->n < ECDF_POINTS_MAX ? summary->n : ECDF_POINTS_MAX;
	double total = (double)(summary->n + summary->censored);

	if (points == 0 || !summary->sorted)
		return;
	object = add_object(ecdf, summary->name);
	add_count(object, "n", summary->n + summary->censored);
	values = must(cJSON_AddArrayToObject(object, "x"));
	shares = must(cJSON_AddArrayToObject(object, "f"));
	for (uint64_t i = 0, next = 0; i < points; i++) {
		uint64_t rank = points == 1 ? 0 : i * (summary->n - 1) / (points - 1);

		/* Of equal values the last one counts, once: the share is that of values at or
		 * below. */
		if (rank < next)
			continue;
		while (rank + 1 < summary->n && summary->sorted[rank + 1] == summary->sorted[rank])
			rank++;
		next = rank + 1;
		cJSON_AddItemToArray(values, real(summary->sorted[rank]));
		cJSON_AddItemToArray(shares, real((double)(rank + 1) / total));
	}
}

static void add_campaign(cJSON *root, const struct record *record)
{
	static const enum campaign_measure drawn[] = {
		MEASURE_FRT,       MEASURE_BRT,         MEASURE_BRP_SECONDS,
		MEASURE_BRP_BYTES, MEASURE_BRP_RECORDS,
	};
	const struct campaign *campaign = record->campaign;
	cJSON *object = add_object(root, "campaign"), *child;

	add_count(object, "trials", campaign->trials);
	add_count(object, "censored", campaign->censored);
	add_count(object, "invalid", campaign->invalid);
	for (size_t i = 0; i < MEASURES; i++) {
		struct summary summary = campaign->measures[i];

		summary.name = measure_names[i];
		add_summary(object, &summary);
	}
	child = add_object(object, "objective_met_fraction");
	for (size_t i = 0; i < record->scenario->objective_count; i++)
		add_real(child, objective_names[record->scenario->objectives[i].kind],
			 campaign->met_fraction[i]);
	child = add_object(object, "paths");
	for (size_t i = 0; i < sizeof(campaign->paths) / sizeof(campaign->paths[0]); i++)
		add_count(child, path_names[i], campaign->paths[i]);
	child = add_object(object, "ecdf");
	for (size_t i = 0; i < sizeof(drawn) / sizeof(drawn[0]); i++) {
		struct summary summary = campaign->measures[drawn[i]];

		summary.name = measure_names[drawn[i]];
		add_ecdf(child, &summary);
	}
}

static void add_log_head(cJSON *root, const struct record *record)
{
	cJSON *head = add_object(root, "log_head");

	add_count(head, "events", record->log_events);
	add_text(head, "sha256", record->log_head);
}

static cJSON *build(const struct record *record)
{
	cJSON *root = must(cJSON_CreateObject()), *requests, *incidents;

	add_text(root, "schema", "drsim/record/v1");
	add_drill(root, record);
	add_text(root, "verdict", verdict_names[record->verdict]);
	add_text(root, "reason", record->abort_reason);
	add_integer(root, "exit_code", record->exit_code);
	add_objectives(root, record);
	add_metrics(root, record);
	requests = add_object(root, "requests");
	add_count(requests, "sent", record->sent);
	add_count(requests, "good", record->good);
	add_count(requests, "wrong", record->wrong);
	add_count(requests, "late", record->late);
	add_count(requests, "failed", record->failed);
	incidents = must(cJSON_AddArrayToObject(root, "incidents"));
	for (size_t i = 0; i < record->incident_count; i++)
		add_incident(incidents, &record->incidents[i]);
	add_faults(root, record);
	if (record->job_count > 0)
		add_jobs(root, record);
	if (record->repairs)
		add_repairs(root, record);
	if (record->measured)
		add_measured(root, record->measured);
	json_evidence(root, record);
	add_findings(root, record);
	if (record->campaign)
		add_campaign(root, record);
	if (record->log_head)
		add_log_head(root, record);
	return root;
}

/* ---- the text: what fits on a line stands on one, the rest is indented by two ---- */

static size_t print_string(FILE *file, const char *text)
{
	size_t room = 6 * strlen(text) + 1, length;
	char *escaped = malloc(room);

	if (!escaped)
		must(NULL);
	length = json_escape(escaped, room, text);
	assert(length != SIZE_MAX);
	if (file)
		fprintf(file, "\"%s\"", escaped);
	free(escaped);
	return length + 2;
}

static size_t print_scalar(FILE *file, const cJSON *item)
{
	char text[REAL_TEXT_MAX];
	const char *word = "null";

	if (cJSON_IsString(item))
		return print_string(file, item->valuestring);
	if (cJSON_IsRaw(item))
		word = item->valuestring;
	else if (cJSON_IsNumber(item) && real_text(text, item->valuedouble))
		word = text;
	else if (cJSON_IsBool(item))
		word = cJSON_IsTrue(item) ? "true" : "false";
	if (file)
		fputs(word, file);
	return strlen(word);
}

/* The item on one line; without a file only its length, which stops growing soon after
 * LINE_COLUMNS. */
static size_t print_line(FILE *file, const cJSON *item)
{
	bool object = cJSON_IsObject(item);
	size_t length = 2;

	if (!object && !cJSON_IsArray(item))
		return print_scalar(file, item);
	if (file)
		fputc(object ? '{' : '[', file);
	for (const cJSON *child = item->child; child; child = child->next) {
		if (object)
			length += print_string(file, child->string) + 2;
		if (file && object)
			fputs(": ", file);
		length += print_line(file, child);
		length += child->next ? 2 : 0;
		if (file && child->next)
			fputs(", ", file);
		if (!file && length > LINE_COLUMNS)
			return length;
	}
	if (file)
		fputc(object ? '}' : ']', file);
	return length;
}

static void print_item(FILE *file, const cJSON *item, int depth, size_t column)
{
	bool object = cJSON_IsObject(item), nested = object;
	size_t at = 0;

	if ((!object && !cJSON_IsArray(item)) || column + print_line(NULL, item) < LINE_COLUMNS) {
		print_line(file, item);
		return;
	}
	for (const cJSON *child = item->child; child; child = child->next)
		nested = nested || child->child;
	fputs(object ? "{" : "[", file);
	for (const cJSON *child = item->child; child; child = child->next) {
		size_t start = (size_t)(depth + 1) * 2;

		/* Numbers of a long array fill the line; all else has a line each. */
		if (nested || at == 0 || at + 2 + print_line(NULL, child) >= LINE_COLUMNS) {
			fprintf(file, "\n%*s", (int)start, "");
			at = start;
		} else {
			fputc(' ', file);
			at++;
		}
		if (object) {
			at += print_string(file, child->string) + 2;
			fputs(": ", file);
		}
		print_item(file, child, depth + 1, at + 1);
		at += print_line(NULL, child) + 1;
		if (child->next)
			fputc(',', file);
	}
	fprintf(file, "\n%*s%s", depth * 2, "", object ? "}" : "]");
}

int report_write_record(const struct record *record, const char *path, struct error *e)
{
	struct report_file out;
	cJSON *root;

	if (report_file_begin(&out, NULL, path, e))
		return -1;
	root = build(record);
	print_item(out.file, root, 0, 0);
	fputc('\n', out.file);
	cJSON_Delete(root);
	return report_file_end(&out, 0, e);
}
