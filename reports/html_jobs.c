/* SPDX-License-Identifier: Apache-2.0 */
/* Training jobs, and how long faults were down, by cause. */
#include <math.h>

#include "reports/html.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

#define JOBS_SHOWN 50
#define CAUSES_SHOWN 50

static double by_ettr(const cJSON *job)
{
	double ettr = view_real(job, "ettr");

	return isnan(ettr) ? -1 : 1 - ettr;
}

static void put_jobs(FILE *page, const cJSON *jobs)
{
	static const struct page_column columns[] = {{"Job", false},        {"ETTR", true},
						     {"Goodput", true},     {"Training", true},
						     {"Interrupted", true}, {"Restarts", true},
						     {"Done again", true},  {"No training", true},
						     {"Checkpoints", true}, {"Bad ones", true}};
	static const char *const values[][2] = {{"ettr", "fraction"},
						{"goodput", "fraction"},
						{"work_s", "s"},
						{"interruptions", "count"},
						{"restarts", "count"},
						{"lost_work_s", "s"},
						{"down_s", "s"},
						{"checkpoints", "count"},
						{"bad_checkpoints", "count"}};
	struct ranked list;

	ranked_fill(&list, jobs, JOBS_SHOWN, by_ettr);
	page_table(page, "Training jobs and what they got out of their time", columns,
		   sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < list.count; i++) {
		page_row(page);
		page_row_head(page, view_text(list.rows[i].item, "name"));
		for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++)
			page_cell_value(page, view_real(list.rows[i].item, values[k][0]),
					values[k][1]);
		page_row_end(page);
	}
	page_table_end(page);
	html_cut(page, &list, "jobs", "those with the lowest ETTR");
	page_note(page, "ETTR, the effective training time ratio, is the training that still "
			"counted at the end over the time for which the job was to run. Goodput "
			"leaves out what was trained on corrupted data.");
}

/* ---- down times ---- */

static double by_count(const cJSON *cause)
{
	return view_real(cause, "count");
}

static void repair_row(FILE *page, const char *cause, const cJSON *repair)
{
	page_row_head(page, cause);
	page_cell_value(page, view_real(repair, "count"), "count");
	page_cell_value(page, view_real(repair, "mean_min") * 60, "s");
	page_cell_value(page, view_real(repair, "median_min") * 60, "s");
	page_row_end(page);
}

static void put_repairs(FILE *page, const cJSON *repairs)
{
	static const struct page_column columns[] = {
		{"Cause", false}, {"Faults", true}, {"Mean", true}, {"Median", true}};
	struct ranked list;

	ranked_fill(&list, view_get(repairs, "by_cause"), CAUSES_SHOWN, by_count);
	page_table(page, "Down time by cause", columns, 4);
	for (size_t i = 0; i < list.count; i++) {
		page_row(page);
		repair_row(page, view_text(list.rows[i].item, "cause"), list.rows[i].item);
	}
	page_row_total(page);
	repair_row(page, "all", view_get(repairs, "all"));
	page_table_end(page);
	html_cut(page, &list, "causes", "the most frequent");
	page_note(page, "From the fault until it was mended, of the faults that ended within the "
			"drill.");
}

void html_jobs(FILE *page, const struct report_input *input)
{
	const cJSON *jobs = view_get(input->record, "jobs"),
		    *repairs = view_get(input->record, "repairs");

	if (!jobs && !repairs)
		return;
	page_section(page, "jobs", jobs ? "Training jobs" : "Down time");
	if (jobs) {
		html_plot(page, input, &plot_jobs,
			  "What the time of each training job went into. The table below has the "
			  "numbers.");
		put_jobs(page, jobs);
	}
	if (repairs)
		put_repairs(page, repairs);
	page_section_end(page);
}
