/* SPDX-License-Identifier: Apache-2.0 */
/*
 * junit.xml for CI systems: a failure is an objective missed, an error a drill that proves nothing
 * (a fault without effect, residue, an abort), skipped is what was not done. The facts stand in the
 * body too: some CI systems drop attributes.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/report.h"
#include "reports/file.h"
#include "reports/table.h"
#include "reports/text.h"
#include "reports/view.h"

#define TIME_MAX 352 /* any double */

enum outcome {
	OUTCOME_PASSED,
	OUTCOME_FAILURE,
	OUTCOME_ERROR,
	OUTCOME_SKIPPED,
	OUTCOMES
};

static void attribute(FILE *file, const char *name, const char *value)
{
	fprintf(file, " %s=\"", name);
	text_escape(file, value);
	fputc('"', file);
}

/* A decimal number without an exponent: the common schemas take no other. */
static void time_text(char out[TIME_MAX], double seconds)
{
	snprintf(out, TIME_MAX, "%.6f", isfinite(seconds) && seconds > 0 ? seconds : 0.0);
}

/* `message` is the reason when it did not pass, `facts` what is repeated in the body. */
static void testcase(FILE *file, const char *drill, const char *name, double seconds,
		     enum outcome outcome, const char *message, const char *facts)
{
	static const char *const tags[OUTCOMES] = {NULL, "failure", "error", "skipped"};
	char number[TIME_MAX], classname[256];

	snprintf(classname, sizeof(classname), "drsim.%.200s", drill);
	time_text(number, seconds);
	fputs("    <testcase", file);
	attribute(file, "name", name);
	attribute(file, "classname", classname);
	fprintf(file, " time=\"%s\">\n", number);
	if (tags[outcome]) {
		fprintf(file, "      <%s", tags[outcome]);
		attribute(file, "message", message);
		fprintf(file, outcome == OUTCOME_SKIPPED ? ">" : " type=\"%s\">", tags[outcome]);
		text_escape(file, facts);
		fprintf(file, "</%s>\n", tags[outcome]);
	}
	fputs("      <system-out>", file);
	text_escape(file, facts);
	fputs("</system-out>\n    </testcase>\n", file);
}

static enum outcome verdict_outcome(const cJSON *record)
{
	/* A missed objective fails its own case; the drill itself was sound. */
	return view_is(record, "verdict", "passed") || view_is(record, "verdict", "failed")
		       ? OUTCOME_PASSED
		       : OUTCOME_ERROR;
}

static void write_verdict(FILE *file, const cJSON *record, size_t counts[OUTCOMES])
{
	const char *reason = view_text(record, "reason");
	enum outcome outcome = verdict_outcome(record);
	bool scaled = view_get(record, "drill.scale") != NULL;
	char facts[1024], scale[WORDS_MAX] = "";

	if (scaled)
		words_scale(scale, view_real(record, "drill.scale.time"),
			    view_real(record, "drill.scale.bytes"));
	snprintf(facts, sizeof(facts),
		 "verdict: %.32s%s%.400s; kind: %.32s%s%s; seed: %s; repeat: %.400s",
		 view_text_or(record, "verdict", ""), reason ? "; reason: " : "",
		 reason ? reason : "", view_text_or(record, "drill.kind", ""), scaled ? ", " : "",
		 scale, view_seed(record), view_text_or(record, "drill.command", ""));
	testcase(file, view_text_or(record, "drill.name", ""), "drill can be evaluated",
		 view_real(record, "drill.duration_s"), outcome,
		 reason ? reason : "the drill proves nothing", facts);
	counts[outcome]++;
}

static void write_objective(FILE *file, const cJSON *record, const cJSON *objective,
			    size_t counts[OUTCOMES])
{
	const char *unit = view_text_or(objective, "unit", ""),
		   *kind = view_text_or(objective, "name", "");
	double achieved = view_real(objective, "achieved"),
	       quantile = view_real(objective, "quantile");
	int met = view_bool(objective, "met");
	bool floor = text_is_floor(kind);
	enum outcome outcome = met > 0    ? OUTCOME_PASSED
			       : met == 0 ? OUTCOME_FAILURE
					  : OUTCOME_SKIPPED;
	char limit[WORDS_MAX], value[WORDS_MAX], at[WORDS_MAX] = "", name[512], facts[1024];
	char raw_value[REAL_TEXT_MAX], raw_limit[REAL_TEXT_MAX];

	if (isfinite(quantile))
		snprintf(at, sizeof(at), " (p%g)", quantile * 100);
	text_value(limit, view_real(objective, "limit"), unit);
	text_value(value, achieved, unit);
	real_text(raw_limit, view_real(objective, "limit"));
	real_text(raw_value, achieved);
	snprintf(name, sizeof(name), "objective %.64s%s %s %s", kind, at,
		 floor ? "at least" : "at most", limit);
	if (isnan(achieved))
		snprintf(facts, sizeof(facts), "%.64s%s: not measured; limit %s", kind, at, limit);
	else
		snprintf(facts, sizeof(facts),
			 "%.64s%s: achieved %s (%s %.16s), limit %s (%s %.16s)", kind, at, value,
			 raw_value, unit, limit, raw_limit, unit);
	testcase(file, view_text_or(record, "drill.name", ""), name,
		 strcmp(unit, "s") == 0 ? achieved : 0, outcome, facts, facts);
	counts[outcome]++;
}

static void write_fault(FILE *file, const cJSON *record, const cJSON *fault,
			size_t counts[OUTCOMES])
{
	bool sham = view_bool(record, "drill.sham") > 0;
	int effective = view_bool(fault, "effective"), reverted = view_bool(fault, "reverted");
	int residue = cJSON_GetArraySize(view_get(fault, "residue"));
	const char *message = "";
	enum outcome outcome = OUTCOME_PASSED;
	char name[512], facts[1024];

	if (effective == 0 || reverted == 0 || residue > 0)
		outcome = OUTCOME_ERROR;
	else if (effective < 0)
		outcome = OUTCOME_SKIPPED;
	if (view_bool(fault, "applied") == 0)
		outcome = reverted == 0 || residue > 0 ? OUTCOME_ERROR : OUTCOME_SKIPPED;
	if (outcome == OUTCOME_ERROR)
		message = reverted == 0 || residue > 0 ? "the fault could not be reverted"
						       : "the fault had no effect";
	else if (outcome == OUTCOME_SKIPPED)
		message = sham ? "sham drill: nothing was injected" : "the fault was not injected";
	snprintf(name, sizeof(name), "fault %.0f %.64s on %.256s", view_real(fault, "step"),
		 view_text_or(fault, "name", ""), view_text_or(fault, "target", ""));
	snprintf(facts, sizeof(facts),
		 "mechanism: %.200s; fidelity: %.32s; observed: %.400s; reverted: %s; residue: %d",
		 view_text_or(fault, "mechanism", "none"), view_text_or(fault, "fidelity", ""),
		 view_text_or(fault, "observed", "nothing"),
		 reverted > 0    ? "yes"
		 : reverted == 0 ? "no"
				 : "not due",
		 residue);
	testcase(file, view_text_or(record, "drill.name", ""), name, 0, outcome, message, facts);
	counts[outcome]++;
}

static void write_cases(FILE *file, const cJSON *record, size_t counts[OUTCOMES])
{
	const cJSON *item;

	write_verdict(file, record, counts);
	cJSON_ArrayForEach (item, view_get(record, "objectives"))
		write_objective(file, record, item, counts);
	cJSON_ArrayForEach (item, view_get(record, "faults"))
		write_fault(file, record, item, counts);
}

/* The counts stand in the first tags, so the cases are written to memory first. */
static int write_report(const struct report_input *input, struct error *e)
{
	size_t counts[OUTCOMES] = {0}, size = 0, tests = 0;
	char *cases = NULL, text[256 + TIME_MAX], number[TIME_MAX];
	FILE *memory = open_memstream(&cases, &size);
	struct report_file out;

	if (!memory)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	write_cases(memory, input->record, counts);
	if (fclose(memory) || report_file_begin(&out, input->out_dir, "junit.xml", e)) {
		free(cases);
		return error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	}
	for (size_t i = 0; i < OUTCOMES; i++)
		tests += counts[i];
	time_text(number, view_real(input->record, "drill.duration_s"));
	snprintf(text, sizeof(text), " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\"", tests,
		 counts[OUTCOME_FAILURE], counts[OUTCOME_ERROR]);
	/* Of all suites together the common schemas know no count of what was skipped. */
	fprintf(out.file,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites name=\"drsim\"%s time=\"%s\">\n  <testsuite",
		text, number);
	attribute(out.file, "name", view_text_or(input->record, "drill.name", ""));
	if (view_text(input->record, "drill.started"))
		attribute(out.file, "timestamp", view_text(input->record, "drill.started"));
	fprintf(out.file, "%s skipped=\"%zu\" time=\"%s\">\n", text, counts[OUTCOME_SKIPPED],
		number);
	fwrite(cases, 1, size, out.file);
	fputs("  </testsuite>\n</testsuites>\n", out.file);
	free(cases);
	return report_file_end(&out, 0, e);
}

const struct report_ops report_junit = {
	.name = "junit",
	.file = "junit.xml",
	.help = "objectives and faults as test cases, for CI systems",
	.write = write_report,
};
