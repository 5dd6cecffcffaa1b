/* SPDX-License-Identifier: Apache-2.0 */
/* Which drills count, and how a control stands with them. */
#include "reports/evidence.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reports/day.h"
#include "reports/view.h"

static enum standing judge(const struct evidence_drill *drill, int32_t today)
{
	const cJSON *record = drill->record;

	if (!view_is(record, "drill.kind", "injected"))
		return STANDING_SIMULATED;
	if (view_bool(record, "drill.sham") != 0)
		return STANDING_SHAM;
	if (view_is(record, "verdict", "invalid"))
		return STANDING_INVALID;
	if (view_is(record, "verdict", "aborted"))
		return STANDING_ABORTED;
	if (view_is(record, "verdict", "residue"))
		return STANDING_RESIDUE;
	if (!view_is(record, "verdict", "passed") && !view_is(record, "verdict", "failed"))
		return STANDING_UNKNOWN;
	if (!drill->dated)
		return STANDING_UNDATED;
	return drill->day > today ? STANDING_LATER : STANDING_COUNTS;
}

const char *evidence_standing_text(enum standing standing)
{
	switch (standing) {
	case STANDING_COUNTS:
		return "counts as a test";
	case STANDING_SIMULATED:
		return "simulated: no test";
	case STANDING_SHAM:
		return "sham: nothing was injected, no test";
	case STANDING_INVALID:
		return "not evaluable: no test";
	case STANDING_ABORTED:
		return "aborted: no test";
	case STANDING_RESIDUE:
		return "left something behind: no test";
	case STANDING_UNKNOWN:
		return "its verdict is unknown: no test";
	case STANDING_UNDATED:
		return "no date of its start: no test";
	case STANDING_LATER:
		return "after the day of this page: no test yet";
	}
	assert(!"every standing has its text");
	return "";
}

static int compare_texts(const cJSON *a, const cJSON *b, const char *path)
{
	return strcmp(view_text_or(a, path, ""), view_text_or(b, path, ""));
}

static int compare_drills(const void *left, const void *right)
{
	const struct evidence_drill *a = left, *b = right;
	int order;

	if (a->dated != b->dated)
		return a->dated ? -1 : 1;
	if (a->dated && a->day != b->day)
		return a->day < b->day ? -1 : 1;
	order = compare_texts(a->record, b->record, "drill.started");
	if (order == 0)
		order = compare_texts(a->record, b->record, "drill.id");
	return order != 0 ? order : strcmp(a->sha256, b->sha256);
}

void evidence_sort(struct evidence *evidence)
{
	for (size_t i = 0; i < evidence->drill_count; i++) {
		struct evidence_drill *drill = &evidence->drills[i];

		drill->dated = day_parse(view_text(drill->record, "drill.started"), &drill->day);
		drill->standing = judge(drill, evidence->today);
	}
	if (evidence->drill_count > 0)
		qsort(evidence->drills, evidence->drill_count, sizeof(*evidence->drills),
		      compare_drills);
}

static void look(void *self, const cJSON *value)
{
	bool *shows = self;
	bool empty = (cJSON_IsString(value) && value->valuestring[0] == '\0') ||
		     (cJSON_IsObject(value) && !value->child);

	*shows = *shows || !(cJSON_IsNull(value) || empty);
}

bool evidence_signed_off(const cJSON *record, const cJSON *signoff)
{
	int32_t started, at;

	return day_parse(view_text(record, "drill.started"), &started) &&
	       day_parse(view_text(signoff, "at"), &at) && at >= started;
}

bool evidence_shows(const cJSON *record, const char *field)
{
	const cJSON *item;
	bool shows = false;

	if (strcmp(field, "drill.signoff") == 0) {
		cJSON_ArrayForEach (item, view_get(record, field))
			shows = shows || evidence_signed_off(record, item);
		return shows;
	}
	controls_values(record, field, look, &shows);
	return shows;
}

bool evidence_tested(const struct evidence *evidence, const char *field)
{
	for (size_t i = 0; i < evidence->drill_count; i++)
		if (evidence->drills[i].standing == STANDING_COUNTS &&
		    evidence_shows(evidence->drills[i].record, field))
			return true;
	return false;
}

struct control_state evidence_state(const struct evidence *evidence, const struct control *control)
{
	struct control_state state = {0};

	for (size_t i = 0; i < evidence->drill_count; i++) {
		const struct evidence_drill *drill = &evidence->drills[i];

		if (drill->standing != STANDING_COUNTS)
			continue;
		state.counted++;
		state.last = drill->day; /* they are in order */
		if (control->months > 0 &&
		    day_add_months(drill->day, control->months) >= evidence->today)
			state.in_period++;
	}
	if (control->months > 0 && state.counted > 0)
		state.due = day_add_months(state.last, control->months);
	state.overdue = control->months > 0 && state.in_period == 0;
	for (size_t i = 0; i < control->field_count; i++)
		state.shown += evidence_tested(evidence, control->fields[i]);
	return state;
}
