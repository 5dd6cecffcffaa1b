/* SPDX-License-Identifier: Apache-2.0 */
/* What `drsim run` prints at its end: the verdict first, how to repeat it last. */
#include "core/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/yaml.h"
#include "reports/text.h"

#define BAR_COLUMNS 44
#define VALUE_COLUMNS 16
#define NAME_COLUMNS 20
#define LINE_COLUMNS 98
#define LINE_COLUMNS_MIN 60 /* a narrower terminal breaks the lines itself */
#define BEFORE_BAR (NAME_COLUMNS + VALUE_COLUMNS + 3)
#define FAULTS_SHOWN 10
#define CAUSES_SHOWN 12
#define CAUSE_COLUMNS 36
#define FINDINGS_SHOWN 5

enum ink {
	INK_PLAIN,
	INK_BOLD,
	INK_DIM,
	INK_GOOD,
	INK_BAD,
	INK_WARN,
	INK_BLUE
};

struct page {
	FILE *file;
	bool colour;
	int columns;
};

static void ink(const struct page *page, enum ink which)
{
	static const char *const codes[] = {
		[INK_PLAIN] = "\033[0m",   [INK_BOLD] = "\033[1m",   [INK_DIM] = "\033[2m",
		[INK_GOOD] = "\033[1;32m", [INK_BAD] = "\033[1;31m", [INK_WARN] = "\033[1;33m",
		[INK_BLUE] = "\033[34m",
	};

	if (page->colour)
		fputs(codes[which], page->file);
}

/* The text in an ink, filled up with spaces to `columns`; negative: flush right. Controls are shown
 * as '?'. */
static void put(const struct page *page, enum ink which, const char *text, int columns)
{
	int used = (int)words_columns(text);

	if (columns < 0 && used < -columns)
		fprintf(page->file, "%*s", -columns - used, "");
	ink(page, which);
	for (const char *s = text; *s; s++)
		fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, page->file);
	ink(page, INK_PLAIN);
	if (used < columns)
		fprintf(page->file, "%*s", columns - used, "");
}

static void heading(const struct page *page, const char *text)
{
	fputc('\n', page->file);
	put(page, INK_BOLD, text, 0);
	fputc('\n', page->file);
}

/* A long text from column `indent` on, broken at spaces. */
static void put_wrapped(const struct page *page, const char *text, int indent)
{
	int column = indent;

	while (*text) {
		size_t bytes = strcspn(text, " ");
		char word[256];
		int width;

		snprintf(word, sizeof(word), "%.*s", (int)bytes, text);
		width = (int)words_columns(word);
		if (column > indent && column + 1 + width > page->columns) {
			fprintf(page->file, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', page->file);
			column++;
		}
		put(page, INK_PLAIN, word, 0);
		column += width;
		text += bytes;
		text += strspn(text, " ");
	}
	fputc('\n', page->file);
}

static const struct incident *headline(const struct record *record)
{
	return record->headline < 0 ? NULL : &record->incidents[record->headline];
}

static double seconds(nanos value)
{
	return value == NANOS_NEVER ? NAN : (double)value / 1e9;
}

static void put_verdict(const struct page *page, const struct record *record)
{
	static const char *const words[] = {"PASSED", "FAILED", "INVALID", "RESIDUE", "ABORTED"};
	static const enum ink inks[] = {INK_GOOD, INK_BAD, INK_WARN, INK_BAD, INK_WARN};
	const struct incident *incident = headline(record);
	size_t met = 0, judged = 0;
	char text[WORDS_MAX];

	for (size_t i = 0; i < record->objective_count; i++) {
		judged += record->objectives[i].met != TRISTATE_NULL;
		met += record->objectives[i].met == TRISTATE_TRUE;
	}
	fputc('\n', page->file);
	put(page, inks[record->verdict], words[record->verdict], 0);
	fputs("  ", page->file);
	put(page, INK_BOLD, record->scenario->name, 0);
	if (record->objective_count > 0)
		fprintf(page->file, ": %zu of %zu objectives met", met, record->objective_count);
	else
		fputs(": no objectives were given: nothing was judged", page->file);
	if (record->objective_count > judged)
		fprintf(page->file, ", %zu not evaluable", record->objective_count - judged);
	if (incident && incident->frt != NANOS_NEVER && incident->path == PATH_FAILOVER)
		fprintf(page->file, "; recovered in %s",
			words_duration_exact(text, seconds(incident->frt)));
	else if (incident && incident->path == PATH_UNRECOVERED)
		fputs("; not recovered", page->file);
	fputc('\n', page->file);
	if (record->abort_reason) {
		fputs("  ", page->file);
		put_wrapped(page, record->abort_reason, 2);
	}
	snprintf(text, sizeof(text), "  %s drill%s by driver %.12s, seed ",
		 strcmp(record->kind, "injected") == 0 ? "INJECTED" : "SIMULATED",
		 record->sham ? " (SHAM)" : "", record->driver);
	put(page, INK_DIM, text, 0);
	fprintf(page->file, "%" PRIu64 ", %s", record->seed,
		words_duration_exact(text, seconds(record->duration)));
	fprintf(page->file, " in %s\n", words_duration_exact(text, record->wall_s));
	if (scenario_is_scaled(record->scenario))
		fprintf(page->file, "  %s\n",
			words_scale(text, record->scenario->scale.time_scale,
				    record->scenario->scale.bytes_scale));
	if (record->profile)
		fprintf(page->file, "  calibrated on %zu run%s\n", record->profile_runs,
			record->profile_runs == 1 ? "" : "s");
}

static void put_objectives(const struct page *page, const struct record *record)
{
	char limit[WORDS_MAX], value[WORDS_MAX], name[WORDS_MAX], bound[2 * WORDS_MAX];

	if (record->objective_count == 0)
		return;
	heading(page, "Objectives");
	for (size_t i = 0; i < record->objective_count; i++) {
		const struct objective_result *result = &record->objectives[i];
		bool floor = text_is_floor(result->name);

		if (isfinite(result->quantile))
			snprintf(name, sizeof(name), "%.20s, p%g", result->name,
				 result->quantile * 100);
		else
			snprintf(name, sizeof(name), "%.20s", result->name);
		snprintf(bound, sizeof(bound), "%s %s", floor ? "at least" : "at most",
			 text_value(limit, result->limit, result->unit));
		fputs("  ", page->file);
		put(page, INK_PLAIN, name, NAME_COLUMNS - 2);
		put(page, INK_PLAIN, text_value(value, result->achieved, result->unit),
		    -VALUE_COLUMNS);
		fputs("   ", page->file);
		put(page, INK_DIM, bound, 26);
		if (result->met == TRISTATE_TRUE)
			put(page, INK_GOOD, "met", 0);
		else if (result->met == TRISTATE_FALSE)
			put(page, INK_BAD, "missed", 0);
		else
			put(page, INK_WARN, "not evaluable", 0);
		fputc('\n', page->file);
	}
}

/* One measure with its value and, in proportion to `whole`, a bar from `begin` on (seconds since
 * t_fault). */
static void put_phase(const struct page *page, const char *name, double begin, double length,
		      double whole)
{
	char text[WORDS_MAX];
	int room = page->columns - BEFORE_BAR - 1, bar = room < BAR_COLUMNS ? room : BAR_COLUMNS;
	int from = whole > 0 && isfinite(begin) ? (int)lround(begin / whole * bar) : 0;
	int to = whole > 0 && isfinite(begin + length) ? (int)lround((begin + length) / whole * bar)
						       : from;

	if (isnan(length))
		return;
	put(page, INK_PLAIN, name, NAME_COLUMNS);
	put(page, INK_PLAIN, words_duration_exact(text, length), -VALUE_COLUMNS);
	if (to == from && length > 0)
		to++;
	if (to > from) {
		fprintf(page->file, "   %*s", from, "");
		ink(page, INK_BLUE);
		for (int i = from; i < to; i++)
			fputs("\xe2\x94\x81", page->file);
		ink(page, INK_PLAIN);
	}
	fputc('\n', page->file);
}

static nanos earlier(nanos a, nanos b)
{
	return a < b ? a : b;
}

static void put_phases(const struct page *page, const struct incident *incident)
{
	const nanos *marks = incident->marks;
	double zero = seconds(marks[MARK_FAULT]), whole = seconds(incident->frt);
	double begin = seconds(earlier(marks[MARK_SWITCH_BEGIN], marks[MARK_DATA_BEGIN])) - zero;
	double detection = seconds(incident->detection), readiness = seconds(incident->readiness);

	if (isnan(whole))
		fputs("  FRT                 not recovered\n", page->file);
	put_phase(page, "  FRT", 0, whole, whole);
	put_phase(page, "    Detection", 0, detection, whole);
	put_phase(page, "    Decision", detection, seconds(incident->decision), whole);
	put_phase(page, "    BRT", begin, seconds(incident->brt), whole);
	put_phase(page, "      Switch", seconds(marks[MARK_SWITCH_BEGIN]) - zero,
		  seconds(incident->switching), whole);
	put_phase(page, "      Data recovery", seconds(marks[MARK_DATA_BEGIN]) - zero,
		  seconds(incident->data_recovery), whole);
	put_phase(page, "    Readiness", whole - readiness, readiness, whole);
}

static void put_losses(const struct page *page, const struct brp *brp)
{
	char age[WORDS_MAX], bytes[WORDS_MAX], records[WORDS_MAX];

	put(page, INK_PLAIN, "  BRP", NAME_COLUMNS);
	put(page, INK_PLAIN, words_duration_exact(age, brp->known ? brp->seconds : NAN),
	    -VALUE_COLUMNS);
	if (brp->known)
		fprintf(page->file, "   %s, %s records lost\n",
			words_bytes(bytes, (double)brp->bytes),
			words_number(records, (double)brp->records));
	else
		fputs("   what was lost is not known\n", page->file);
}

/* What the service's success alone does not show. */
static void put_unseen(const struct page *page, const struct incident *incident)
{
	char text[WORDS_MAX];

	if (incident->wrong > 0) {
		put(page, INK_PLAIN, "  Wrong answers", NAME_COLUMNS);
		put(page, INK_BAD, words_number(text, (double)incident->wrong), -VALUE_COLUMNS);
		fputs("   requests, while the incident was open\n", page->file);
	}
	if (incident->undetected)
		fputs("  Not noticed by any detector, nor by the platform.\n", page->file);
}

/* An incident that lasts because new faults keep coming is not about its first fault alone. */
static void put_others(const struct page *page, const struct incident *incident)
{
	char text[WORDS_MAX];

	if (incident->fault_count < 2)
		return;
	put(page, INK_PLAIN, "  Faults in it", NAME_COLUMNS);
	put(page, INK_PLAIN, words_number(text, (double)incident->fault_count), -VALUE_COLUMNS);
	fputs("   the others came before all was as before\n", page->file);
}

static void put_measures(const struct page *page, const struct record *record)
{
	const struct incident *incident = headline(record);
	char a[WORDS_MAX], b[WORDS_MAX], line[4 * WORDS_MAX];

	if (incident) {
		snprintf(line, sizeof(line), "Incident %d of %zu: %.40s on %.60s (%.30s), %s",
			 record->headline + 1, record->incident_count,
			 incident->fault ? incident->fault : "false alarm",
			 incident->target ? incident->target : "no target",
			 incident->place ? incident->place : "no fault",
			 path_names[incident->path]);
		heading(page, line);
		put_phases(page, incident);
		put_others(page, incident);
		put_unseen(page, incident);
	} else {
		heading(page, "No incident");
	}
	put_losses(page, &record->brp);
	if (isfinite(record->worst_seconds)) {
		put(page, INK_PLAIN, "  BRP, worst case", NAME_COLUMNS);
		put(page, INK_PLAIN, words_duration_exact(a, record->worst_seconds),
		    -VALUE_COLUMNS);
		snprintf(line, sizeof(line), "%s by the policy, when every backup succeeds",
			 words_bytes(b, record->worst_bytes));
		fputs("   ", page->file);
		put_wrapped(page, line, BEFORE_BAR);
	}
	put(page, INK_PLAIN, "  Availability", NAME_COLUMNS);
	put(page, INK_PLAIN, words_percent(a, record->availability_time), -VALUE_COLUMNS);
	fprintf(page->file, "   of the time");
	if (isfinite(record->availability_requests))
		fprintf(page->file, "; %s of %s requests",
			words_percent(a, record->availability_requests),
			words_number(b, (double)record->sent));
	fputc('\n', page->file);
}

static void put_faults(const struct page *page, const struct record *record)
{
	size_t shown = record->fault_count < FAULTS_SHOWN ? record->fault_count : FAULTS_SHOWN;

	if (record->fault_count > 0)
		heading(page, "Faults");
	for (size_t i = 0; i < shown; i++) {
		const struct fault_record *fault = &record->faults[i];
		bool effective = fault->effective == TRISTATE_TRUE,
		     residue = fault->residue_count > 0;

		fprintf(page->file, "  %" PRIu32 " ", fault->step);
		put(page, INK_PLAIN, fault->name, 0);
		fputs(" on ", page->file);
		put(page, INK_PLAIN, fault->target, 0);
		fputs("\n    ", page->file);
		if (fault->mechanism) {
			put_wrapped(page, fault->mechanism, 4);
			fputs("    ", page->file);
		}
		put(page,
		    effective      ? INK_GOOD
		    : record->sham ? INK_DIM
				   : INK_BAD,
		    effective                            ? "effective"
		    : fault->effective == TRISTATE_FALSE ? "no effect"
		    : record->sham                       ? "not injected (sham)"
		    : fault->applied                     ? "effect not known"
							 : "not injected",
		    0);
		if (fault->observed && !record->sham) {
			fputs(": ", page->file);
			put(page, INK_PLAIN, fault->observed, 0);
		}
		fputs("; ", page->file);
		put(page, residue || fault->reverted == TRISTATE_FALSE ? INK_BAD : INK_PLAIN,
		    residue || fault->reverted == TRISTATE_FALSE ? "NOT REVERTED"
		    : fault->reverted == TRISTATE_TRUE           ? "reverted"
								 : "revert not due",
		    0);
		fputc('\n', page->file);
		for (size_t k = 0; k < fault->residue_count; k++)
			fprintf(page->file, "      left behind: %s\n", fault->residue[k]);
	}
	if (shown < record->fault_count)
		fprintf(page->file, "  and %zu more in the report\n", record->fault_count - shown);
}

static void put_wire(const struct page *page, const struct measured *measured)
{
	const struct wire_record *wire = &measured->wire;
	char text[WORDS_MAX];

	put(page, INK_PLAIN, "  On the wire", NAME_COLUMNS);
	if (!measured->wire_known) {
		put(page, INK_PLAIN, WORDS_NONE, -VALUE_COLUMNS);
		fputs("   ", page->file);
		put_wrapped(page, measured->wire_reason ? measured->wire_reason : "not captured",
			    NAME_COLUMNS + VALUE_COLUMNS + 3);
		return;
	}
	put(page, INK_PLAIN, words_duration_exact(text, wire->outage_s), -VALUE_COLUMNS);
	fprintf(page->file,
		"   outage; the client says %s: ", words_duration_exact(text, wire->client_s));
	put(page, wire->agrees ? INK_GOOD : INK_BAD,
	    wire->agrees ? "they agree" : "they contradict one another", 0);
	fputc('\n', page->file);
}

static bool wrong_records(const struct ledger_record *ledger)
{
	return ledger->lost + ledger->stale + ledger->altered + ledger->duplicated +
		       ledger->acknowledged_twice + ledger->foreign >
	       0;
}

static void put_ledger(const struct page *page, const struct ledger_record *ledger)
{
	const struct {
		const char *name;
		uint64_t count;
	} wrong[] = {{"lost", ledger->lost},
		     {"stale", ledger->stale},
		     {"altered", ledger->altered},
		     {"duplicated", ledger->duplicated},
		     {"acknowledged twice", ledger->acknowledged_twice},
		     {"foreign", ledger->foreign}};
	char text[WORDS_MAX];
	bool any = false;

	put(page, INK_PLAIN, "  Ledger", NAME_COLUMNS);
	put(page, INK_PLAIN, words_number(text, (double)ledger->acknowledged), -VALUE_COLUMNS);
	fprintf(page->file, "   of %s records acknowledged; ",
		words_number(text, (double)ledger->written));
	fprintf(page->file, "%s read back%s\n", words_number(text, (double)ledger->read_back),
		ledger->read_back < ledger->acknowledged ? ": of the rest nothing is known"
		: wrong_records(ledger)                  ? ""
							 : ": none missing or wrong");
	if (!wrong_records(ledger))
		return;
	fprintf(page->file, "%*s", NAME_COLUMNS + VALUE_COLUMNS + 3, "");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (wrong[i].count == 0)
			continue;
		fputs(any ? ", " : "", page->file);
		put(page, INK_BAD, words_number(text, (double)wrong[i].count), 0);
		fprintf(page->file, " %s", wrong[i].name);
		any = true;
	}
	fputc('\n', page->file);
}

static void put_measured(const struct page *page, const struct record *record)
{
	const struct measured *measured = record->measured;

	if (!measured)
		return;
	heading(page, "Measured on this host");
	put_wire(page, measured);
	if (measured->ledger_known)
		put_ledger(page, &measured->ledger);
	put(page, INK_PLAIN, "  Isolation", NAME_COLUMNS);
	put(page, INK_PLAIN, measured->isolation ? measured->isolation : WORDS_NONE,
	    -VALUE_COLUMNS);
	fputs("   ", page->file);
	put(page, INK_PLAIN, measured->kernel ? measured->kernel : "kernel unknown", 0);
	fputc('\n', page->file);
	for (size_t i = 0; i < measured->lost_count; i++) {
		fputs("  not here: ", page->file);
		put_wrapped(page, measured->lost[i], 12);
	}
}

static void put_jobs(const struct page *page, const struct record *record)
{
	char name[WORDS_MAX], value[WORDS_MAX], more[WORDS_MAX];

	if (record->job_count > 0)
		heading(page, "Training jobs");
	for (size_t i = 0; i < record->job_count; i++) {
		const struct job_record *job = &record->jobs[i];

		snprintf(name, sizeof(name), "  %.64s", job->name);
		put(page, INK_PLAIN, name, NAME_COLUMNS);
		put(page, INK_PLAIN, words_percent(value, job->ettr), -VALUE_COLUMNS);
		fprintf(page->file, "   ETTR: %s of training", words_duration(value, job->work_s));
		fprintf(page->file, " in %s%s\n", words_duration(value, job->wall_s),
			job->complete ? ", complete" : "");
		fprintf(page->file,
			"%*s%" PRIu64 " interruption%s, %" PRIu64 " restart%s, %s done again, "
			"%s without training\n",
			NAME_COLUMNS + VALUE_COLUMNS + 3, "", job->interruptions,
			job->interruptions == 1 ? "" : "s", job->restarts,
			job->restarts == 1 ? "" : "s", words_duration(value, job->lost_work_s),
			words_duration(more, job->down_s));
	}
}

static void put_repairs(const struct page *page, const struct record *record)
{
	char line[2 * WORDS_MAX], mean[WORDS_MAX], median[WORDS_MAX], quoted[YAML_QUOTE_MAX];
	size_t shown = record->repair_count < CAUSES_SHOWN ? record->repair_count : CAUSES_SHOWN;

	if (!record->repairs)
		return;
	heading(page, "Down time by cause");
	put(page, INK_DIM, "", CAUSE_COLUMNS);
	put(page, INK_DIM, "faults", -VALUE_COLUMNS);
	put(page, INK_DIM, "mean", -VALUE_COLUMNS);
	put(page, INK_DIM, "median", -VALUE_COLUMNS);
	fputc('\n', page->file);
	for (size_t i = 0; i < shown; i++) {
		const struct repair_summary *repair = &record->repairs[i];

		snprintf(line, sizeof(line), "  %s", yaml_quote(repair->cause, quoted));
		put(page, INK_PLAIN, line, CAUSE_COLUMNS);
		put(page, INK_PLAIN, words_number(line, (double)repair->count), -VALUE_COLUMNS);
		put(page, INK_PLAIN, words_duration(mean, repair->mean * 60), -VALUE_COLUMNS);
		put(page, INK_PLAIN, words_duration(median, repair->median * 60), -VALUE_COLUMNS);
		fputc('\n', page->file);
	}
	if (shown < record->repair_count)
		fprintf(page->file, "  and %zu more causes in the report\n",
			record->repair_count - shown);
}

static void put_findings(const struct page *page, const struct record *record)
{
	size_t shown = 0;

	if (record->finding_count > 0)
		heading(page, "Findings");
	for (int severity = SEVERITY_HIGH; severity >= SEVERITY_INFO; severity--)
		for (size_t i = 0; i < record->finding_count && shown < FINDINGS_SHOWN; i++) {
			if ((int)record->findings[i].severity != severity)
				continue;
			fputs("  ", page->file);
			put(page,
			    severity == SEVERITY_HIGH     ? INK_BAD
			    : severity == SEVERITY_MEDIUM ? INK_WARN
							  : INK_DIM,
			    severity_names[severity], 8);
			put_wrapped(page, record->findings[i].text, 10);
			shown++;
		}
	if (shown < record->finding_count)
		fprintf(page->file, "  and %zu more in the report\n",
			record->finding_count - shown);
}

static void put_campaign(const struct page *page, const struct record *record)
{
	static const enum campaign_measure shown[] = {MEASURE_FRT, MEASURE_BRT, MEASURE_BRP_SECONDS,
						      MEASURE_AVAILABILITY};
	static const char *const names[] = {"  FRT", "  BRT", "  BRP", "  Availability"};
	const struct campaign *campaign = record->campaign;
	char line[2 * WORDS_MAX], text[WORDS_MAX];

	if (!campaign)
		return;
	snprintf(line, sizeof(line),
		 "All %" PRIu64 " trials (%" PRIu64 " not recovered, %" PRIu64 " without effect)",
		 campaign->trials, campaign->censored, campaign->invalid);
	heading(page, line);
	put(page, INK_DIM, "", NAME_COLUMNS);
	for (int i = 0; i < 4; i++)
		put(page, INK_DIM,
		    i == 0   ? "mean"
		    : i == 1 ? "p50"
		    : i == 2 ? "p95"
			     : "p99",
		    -VALUE_COLUMNS);
	fputc('\n', page->file);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		const struct summary *summary = &campaign->measures[shown[i]];
		const double values[] = {summary->mean, summary->p50, summary->p95, summary->p99};

		put(page, INK_PLAIN, names[i], NAME_COLUMNS);
		for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++)
			put(page, INK_PLAIN,
			    text_value(text, summary->n ? values[k] : NAN,
				       shown[i] == MEASURE_AVAILABILITY ? "fraction" : "s"),
			    -VALUE_COLUMNS);
		fputc('\n', page->file);
	}
	fputs("  What follows is trial 0.\n", page->file);
}

void summary_print(const struct record *record, const char *folder, FILE *out, bool colour,
		   int columns)
{
	int fitting = columns == 0 || columns > LINE_COLUMNS ? LINE_COLUMNS : columns;
	const struct page page = {
		out, colour, fitting < LINE_COLUMNS_MIN ? LINE_COLUMNS_MIN : fitting};

	put_verdict(&page, record);
	put_objectives(&page, record);
	put_campaign(&page, record);
	put_measures(&page, record);
	put_measured(&page, record);
	put_jobs(&page, record);
	put_repairs(&page, record);
	put_faults(&page, record);
	put_findings(&page, record);
	fputc('\n', out);
	if (folder) {
		put(&page, INK_DIM, "  Run folder", NAME_COLUMNS);
		put(&page, INK_PLAIN, folder, 0);
		fputc('\n', out);
	}
	if (record->command) {
		put(&page, INK_DIM, "  Repeat with", NAME_COLUMNS);
		put(&page, INK_PLAIN, record->command, 0);
		fputc('\n', out);
	}
	fputc('\n', out);
}
