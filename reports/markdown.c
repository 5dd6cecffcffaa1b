/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.md: the result in short, for pull requests and the job summaries of CI systems. Texts of a
 * run are escaped so that none becomes markup, a link, a mention of a person or a reference to an
 * issue (CommonMark 0.31, GitHub Flavored Markdown).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/timeline.h"
#include "reports/file.h"
#include "reports/ranked.h"
#include "reports/table.h"
#include "reports/text.h"
#include "reports/view.h"

#define FAULTS_SHOWN 10
#define FINDINGS_SHOWN 10

/* ---- texts ---- */

static bool starts(const unsigned char *s, const char *with)
{
	return strncmp((const char *)s, with, strlen(with)) == 0;
}

/* One character that Markdown or a site that shows it would take for something; false: it would
 * not. What a site looks for in the finished page is broken by a space of no width. */
static bool put_special(FILE *file, const unsigned char *s)
{
	static const char entities[] = "<>&|`", slashes[] = "\\*_[]~$";

	if (*s == '@' || *s == '#')
		fprintf(file, "&#%d;&#8203;", *s);
	else if (strchr(entities, *s) || starts(s, "://"))
		fprintf(file, "&#%d;", *s);
	else if (strchr(slashes, *s))
		fprintf(file, "\\%c", *s);
	else if (starts(s, "www.") || starts(s, "WWW."))
		fprintf(file, "%c&#8203;", *s);
	else
		return false;
	return true;
}

/* As text within a line: line ends are spaces, what is no character is U+FFFD. */
static void put_text(FILE *file, const char *text)
{
	const unsigned char *s = (const unsigned char *)(text ? text : WORDS_NONE);

	while (*s) {
		size_t length = utf8_length(s);

		if (*s == '\n' || *s == '\r' || *s == '\t')
			fputc(' ', file);
		else if (length == 0 || *s < 0x20 || *s == 0x7f)
			fputs("\xef\xbf\xbd", file);
		else if (!put_special(file, s))
			fwrite(s, 1, length, file);
		s += length > 0 ? length : 1;
	}
}

/* A name of the scenario: as code where that needs no escapes, else as text. */
static void put_key(FILE *file, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "._-/[]*:=+,%";

	if (text && *text && strspn(text, plain) == strlen(text))
		fprintf(file, "`%s`", text);
	else
		put_text(file, text);
}

/* A block of code, whatever is in it: its fence is longer than any run of the fence's character. */
static void put_block(FILE *file, const char *text)
{
	size_t longest = 0, run = 0;
	char fence[64];

	for (const char *c = text; *c; c++) {
		run = *c == '~' ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	if (longest + 4 > sizeof(fence)) { /* nobody's command */
		put_text(file, text);
		fputc('\n', file);
		return;
	}
	memset(fence, '~', longest + 3);
	fence[longest + 3] = '\0';
	fprintf(file, "%ssh\n", fence);
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		size_t length = utf8_length(s);

		if (length == 0 || (*s < 0x20 && *s != '\n' && *s != '\t'))
			fputs("\xef\xbf\xbd", file);
		else
			fwrite(s, 1, length, file);
		s += length > 0 ? length : 1;
	}
	fprintf(file, "\n%s\n", fence);
}

static const char *met_word(int met)
{
	return met > 0 ? "met" : met == 0 ? "**missed**" : "not evaluable";
}

/* ---- the parts ---- */

static void put_head(FILE *file, const cJSON *record)
{
	const char *verdict = view_text_or(record, "verdict", "unknown");
	const cJSON *incident = view_headline(record);
	double frt = view_real(record, "metrics.frt_s");
	bool injected = view_is(record, "drill.kind", "injected");
	char text[WORDS_MAX];

	fputs("## ", file);
	for (size_t i = 0; verdict[i]; i++)
		fputc(verdict[i] >= 'a' && verdict[i] <= 'z' ? verdict[i] - 'a' + 'A' : '?', file);
	fputs(": ", file);
	put_text(file, view_text(record, "drill.name"));
	fprintf(file, " (%s%s)\n\n", injected ? "INJECTED" : "SIMULATED",
		view_bool(record, "drill.sham") > 0 ? ", sham" : "");
	if (view_text(record, "reason")) {
		put_text(file, view_text(record, "reason"));
		fputs(". ", file);
	} else if (!incident) {
		fputs("No incident was opened. ", file);
	} else {
		fputs("Incident: ", file);
		put_key(file, view_text_or(incident, "fault", "false alarm"));
		if (view_text(incident, "target")) {
			fputs(" on ", file);
			put_key(file, view_text(incident, "target"));
		}
		if (isnan(frt))
			fputs(", not recovered. ", file);
		else
			fprintf(file, ", recovered in %s. ", words_duration_exact(text, frt));
	}
	fputs(injected
		      ? "Faults were injected into a real system.\n"
		      : "This result comes from a simulation. It is not a test of a real system.\n",
	      file);
}

static void put_row(FILE *file, const cJSON *objective, const char *name, double value,
		    const char *unit)
{
	double quantile = view_real(objective, "quantile");
	char text[WORDS_MAX];

	if (isfinite(quantile))
		value = view_real(objective, "achieved");
	if (objective && isnan(value) && view_bool(objective, "met") == 0)
		value = INFINITY;
	fputs("| ", file);
	put_text(file, name);
	fprintf(file, " | %s |", text_value(text, value, unit));
	if (!objective) {
		fputs(" | |\n", file);
		return;
	}
	fprintf(file, " %s %s",
		text_is_floor(view_text_or(objective, "name", "")) ? "at least" : "at most",
		text_value(text, view_real(objective, "limit"), unit));
	if (isfinite(quantile))
		fprintf(file, " at p%g", quantile * 100);
	fprintf(file, " | %s |\n", met_word(view_bool(objective, "met")));
}

static const cJSON *find_objective(const cJSON *record, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, view_get(record, "objectives"))
		if (view_is(item, "name", name))
			return item;
	return NULL;
}

static void put_measures(FILE *file, const cJSON *record)
{
	static const struct {
		const char *objective, *name, *path, *unit;
	} rows[] = {
		{"frt", "FRT, fault to good service", "metrics.frt_s", "s"},
		{"brt", "BRT, switch and data recovery", "metrics.brt_s", "s"},
		{"brp.seconds", "BRP, age of the recovery point", "metrics.brp.seconds", "s"},
		{"brp.bytes", "BRP, bytes lost", "metrics.brp.bytes", "bytes"},
		{"brp.records", "BRP, records lost", "metrics.brp.records", "count"},
		{"availability", "Availability", "metrics.availability.time", "fraction"},
	};
	const size_t count = sizeof(rows) / sizeof(rows[0]);
	const cJSON *item;

	fputs("\n| Measure | Achieved | Objective | Result |\n|:---|---:|---:|:---|\n", file);
	for (size_t i = 0; i < count; i++)
		put_row(file, find_objective(record, rows[i].objective), rows[i].name,
			view_real(record, rows[i].path), rows[i].unit);
	cJSON_ArrayForEach (item, view_get(record, "objectives")) {
		size_t i = 0;

		while (i < count && !view_is(item, "name", rows[i].objective))
			i++;
		if (i == count)
			put_row(file, item, view_text_or(item, "name", ""),
				view_real(item, "achieved"), view_text_or(item, "unit", ""));
	}
	if (view_get(record, "campaign")) {
		char text[WORDS_MAX];

		fprintf(file,
			"\nLimits at a quantile are judged over %s trials; all else is trial "
			"0.\n",
			words_number(text, view_real(record, "campaign.trials")));
	}
}

static void put_more(FILE *file, const struct ranked *list, const char *what)
{
	if (list->count < list->total)
		fprintf(file, "\n%zu more %s are in record.json.\n", list->total - list->count,
			what);
}

static void put_faults(FILE *file, const cJSON *record)
{
	struct ranked list;

	ranked_fill(&list, view_get(record, "faults"), FAULTS_SHOWN, ranked_fault);
	if (list.total == 0)
		return;
	fputs("\n### Faults\n\n| Fault | Target | Effect | Taken back |\n|:---|:---|:---|:---|\n",
	      file);
	for (size_t i = 0; i < list.count; i++) {
		const cJSON *fault = list.rows[i].item;
		int effective = view_bool(fault, "effective"),
		    reverted = view_bool(fault, "reverted");
		bool left = reverted == 0 || cJSON_GetArraySize(view_get(fault, "residue")) > 0;

		fputs("| ", file);
		put_key(file, view_text(fault, "name"));
		fputs(" | ", file);
		put_key(file, view_text(fault, "target"));
		fprintf(file, " | %s | %s |\n",
			effective > 0                     ? "yes"
			: effective == 0                  ? "**none**"
			: view_bool(fault, "applied") > 0 ? "not known"
							  : "not injected",
			left           ? "**no**"
			: reverted > 0 ? "yes"
				       : "not due");
	}
	put_more(file, &list, "faults");
}

static void put_findings(FILE *file, const cJSON *record)
{
	struct ranked list;
	char text[WORDS_MAX];

	ranked_fill(&list, view_get(record, "findings"), FINDINGS_SHOWN, ranked_finding);
	if (list.total == 0)
		return;
	fputs("\n### Findings\n\n", file);
	for (size_t i = 0; i < list.count; i++) {
		const cJSON *finding = list.rows[i].item;
		double seconds = view_real(finding, "seconds");

		fputs("- **", file);
		put_text(file, view_text(finding, "severity"));
		fputs("**", file);
		if (isfinite(seconds))
			fprintf(file, ", %s", words_duration_exact(text, seconds));
		fputs(": ", file);
		put_text(file, view_text(finding, "text"));
		fputc('\n', file);
	}
	put_more(file, &list, "findings");
}

static int write_report(const struct report_input *input, struct error *e)
{
	const cJSON *record = input->record;
	struct report_file out;

	if (report_file_begin(&out, input->out_dir, "report.md", e))
		return -1;
	put_head(out.file, record);
	put_measures(out.file, record);
	put_faults(out.file, record);
	put_findings(out.file, record);
	fputs("\n### Repeat it\n\n", out.file);
	put_block(out.file, view_text_or(record, "drill.command", ""));
	fputs("\nThe whole report is `report.html` in the run folder.\n", out.file);
	return report_file_end(&out, 0, e);
}

const struct report_ops report_markdown = {
	.name = "markdown",
	.file = "report.md",
	.help = "the result in short, for pull requests and job summaries",
	.write = write_report,
};
