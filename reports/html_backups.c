/* SPDX-License-Identifier: Apache-2.0 */
/* The backups, the point that was restored from, and what lay between it and the loss. */
#include <math.h>

#include "reports/html.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

static void brp_row(FILE *page, const char *name, const cJSON *brp)
{
	page_row_head(page, name);
	page_cell_value(page, view_real(brp, "seconds"), "s");
	page_cell_value(page, view_real(brp, "bytes"), "bytes");
	page_cell_value(page, view_real(brp, "records"), "count");
	page_row_end(page);
}

static void put_brp(FILE *page, const cJSON *brp)
{
	static const struct page_column columns[] = {
		{"Data class", false}, {"Age", true}, {"Bytes lost", true}, {"Records lost", true}};
	const cJSON *class;

	page_table(page, "Backup recovery point (BRP)", columns, 4);
	cJSON_ArrayForEach (class, view_get(brp, "by_class")) {
		page_row(page);
		brp_row(page, class->string, class);
	}
	page_row_total(page);
	brp_row(page, "worst class", brp);
	if (isfinite(view_real(brp, "worst_seconds"))) {
		page_row(page);
		page_row_head(page, "worst case of the policy, when every backup succeeds");
		page_cell_value(page, view_real(brp, "worst_seconds"), "s");
		page_cell_value(page, view_real(brp, "worst_bytes"), "bytes");
		page_cell_value(page, NAN, "count");
		page_row_end(page);
	}
	page_table_end(page);
	page_note(page, "Age: from the recovery point that was restored to the last acknowledged "
			"write. Lost: acknowledged writes in between that cannot be read after "
			"recovery.");
}

/* The window between the point and the loss, in words. */
static void put_window(FILE *page, const cJSON *incident)
{
	double point = view_seconds(incident, "t_bp_ns"),
	       loss = view_seconds(incident, "t_loss_ns");

	if (isnan(point) || isnan(loss))
		return;
	fputs("<p>Loss window of the worst incident: the point that was restored from is as of ",
	      page);
	page_value(page, point, "s");
	fputs(" of the drill; what only the lost copy had ends at ", page);
	page_value(page, loss, "s");
	fputs("; in between lie ", page);
	page_value(page, loss - point, "s");
	fputs(".</p>\n", page);
}

/* Where the data came from, and whether it was looked at. Records of older versions do not tell. */
static void put_source(FILE *page, const cJSON *record)
{
	const cJSON *backup = view_get(record, "backup"),
		    *integrity = view_get(record, "integrity");
	double number = view_real(backup, "id"), sampled = view_real(integrity, "sampled");
	int verified = view_bool(backup, "verified");
	char text[WORDS_MAX];

	if (view_text(backup, "source")) {
		fputs("<p>Served from after the failover: ", page);
		text_escape(page, view_is(backup, "source", "replica")
					  ? "the standby\xe2\x80\x99s replica"
					  : "backup");
		if (isfinite(number))
			fprintf(page, " %s", words_number(text, number));
		fprintf(page, "; %s.</p>\n",
			verified > 0    ? "verified"
			: verified == 0 ? "found damaged when it was verified"
					: "not verified");
	}
	if (!(sampled > 0))
		return;
	fprintf(page, "<p>Contents compared: %s of ", words_number(text, sampled));
	fprintf(page, "%s records, ", words_number(text, view_real(integrity, "total")));
	fprintf(page, "%s did not match (", words_number(text, view_real(integrity, "mismatch")));
	text_escape(page, view_text(integrity, "method"));
	fputs(").</p>\n", page);
}

/* ---- what became of the backups ---- */

struct fates {
	double begun, restorable, bad, failed, pruned, refused;
};

static struct fates count_fates(const cJSON *events)
{
	struct fates sum = {0};
	const cJSON *event;

	cJSON_ArrayForEach (event, events) {
		const char *type = view_text_or(event, "event", "");

		/* Most events of a long run are none of these: one look tells. */
		if (type[0] == 'b') {
			sum.begun += view_is(event, "event", "backup.begin");
			sum.pruned += view_is(event, "event", "backup.prune");
		} else if (type[0] == 'a') {
			sum.refused += view_is(event, "event", "action.end") &&
				       view_is(event, "kind", "restore") &&
				       view_is(event, "reason", "the digest does not match");
		}
		if (type[0] != 'b' || !view_is(event, "event", "backup.end"))
			continue;
		sum.failed += view_bool(event, "ok") == 0;
		sum.bad += view_bool(event, "ok") != 0 && view_bool(event, "restorable") == 0;
		sum.restorable +=
			view_bool(event, "ok") != 0 && view_bool(event, "restorable") != 0;
	}
	return sum;
}

static void count_row(FILE *page, const char *name, double count, double whole)
{
	page_row_head(page, name);
	page_cell_value(page, count, "count");
	page_cell_value(page, whole > 0 ? count / whole : NAN, "fraction");
	page_row_end(page);
}

static void put_fates(FILE *page, const struct fates *sum)
{
	static const struct page_column columns[] = {
		{"Backups", false}, {"Count", true}, {"Share", true}};
	const struct {
		const char *name;
		double count, whole;
		bool shown;
	} rows[] = {
		{"finished, and listed as restorable", sum->restorable, sum->begun, true},
		{"found corrupt by a restore of a class", sum->refused, NAN, sum->refused > 0},
		{"finished, not restorable", sum->bad, sum->begun, true},
		{"failed", sum->failed, sum->begun, true},
		{"did not finish", sum->begun - sum->restorable - sum->bad - sum->failed,
		 sum->begun, true},
		{"begun", sum->begun, sum->begun, true},
		{"pruned later", sum->pruned, sum->begun, true},
	};

	page_table(page, "What became of the backups", columns, 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].shown)
			continue;
		page_row(page);
		count_row(page, rows[i].name, rows[i].count, rows[i].whole);
	}
	page_table_end(page);
}

void html_backups(FILE *page, const struct report_input *input)
{
	const cJSON *record = input->record, *brp = view_get(record, "metrics.brp");
	struct fates sum = count_fates(input->events);
	char text[512], age[WORDS_MAX], begun[WORDS_MAX], good[WORDS_MAX];

	snprintf(text, sizeof(text),
		 "The recovery points over the time of the drill, and the window of what was lost. "
		 "%.80s backups were begun, %.80s finished and listed as restorable; the worst "
		 "recovery point was %.80s old.",
		 words_number(begun, sum.begun), words_number(good, sum.restorable),
		 words_duration(age, view_real(brp, "seconds")));
	page_section(page, "backups", "Backups, and what was lost");
	html_plot(page, input, &plot_backups, text);
	put_window(page, view_headline(record));
	put_source(page, record);
	put_brp(page, brp);
	if (sum.begun > 0)
		put_fates(page, &sum);
	else
		fputs("<p>No backup was made during the drill.</p>\n", page);
	page_section_end(page);
}
