/* SPDX-License-Identifier: Apache-2.0 */
/* What people supplied about the drill, what it does not show, and how to repeat it. */
#include <math.h>
#include <string.h>

#include "core/timeline.h"
#include "reports/html.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

#define DEPTH_MAX 4   /* of lists within lists that are shown */
#define ITEMS_MAX 100 /* of one list */

/* ---- the scenario's drill: block ---- */

/* What drsim itself says of a drill; everything else under "drill" came with the scenario. */
static const char *const own[] = {"id",      "kind",       "name",        "driver",
				  "seed",    "sham",       "version",     "scenario_sha256",
				  "started", "duration_s", "scale",       "command",
				  "host",    "wall_s",     "description", "profile"};

static bool is_own(const char *key)
{
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(own[i], key) == 0)
			return true;
	return false;
}

/* "approved_at" as people read it. */
static void put_key(FILE *page, const char *key)
{
	char text[64];
	size_t i = 0;

	for (; key[i] && i + 1 < sizeof(text); i++)
		text[i] = key[i] == '_' ? ' ' : key[i];
	text[i] = '\0';
	text_escape(page, text);
}

static void put_scalar(FILE *page, const cJSON *item)
{
	char text[REAL_TEXT_MAX];

	if (cJSON_IsString(item)) {
		text_escape(page, item->valuestring);
	} else if (cJSON_IsNumber(item)) {
		real_text(text, item->valuedouble);
		text_escape(page, text);
	} else {
		text_escape(page, cJSON_IsTrue(item)    ? "yes"
				  : cJSON_IsFalse(item) ? "no"
							: WORDS_NONE);
	}
}

/* "id DR-7, version 3", "a, b"; objects of a list are parted by semicolons. */
static void put_supplied(FILE *page, const cJSON *item, int depth)
{
	const cJSON *child;
	int count = 0;

	if (!cJSON_IsObject(item) && !cJSON_IsArray(item)) {
		put_scalar(page, item);
		return;
	}
	if (!item->child || depth == DEPTH_MAX) {
		text_escape(page, item->child ? "\xe2\x80\xa6" : WORDS_NONE);
		return;
	}
	cJSON_ArrayForEach (child, item) {
		if (count++ == ITEMS_MAX) {
			fputs("\xe2\x80\xa6 (see scenario.yaml)", page);
			break;
		}
		if (child->string) {
			put_key(page, child->string);
			fputs(": ", page);
		}
		put_supplied(page, child, depth + 1);
		if (child->next)
			fputs(cJSON_IsArray(item) && child->child ? "; " : ", ", page);
	}
}

void html_drill(FILE *page, const cJSON *record)
{
	const cJSON *item;
	bool any = false;

	cJSON_ArrayForEach (item, view_get(record, "drill")) {
		if (!item->string || is_own(item->string))
			continue;
		if (!any) {
			page_section(page, "drill", "About this drill, as its people say");
			fputs("<dl>", page);
		}
		any = true;
		fputs("<dt>", page);
		put_key(page, item->string);
		fputs("</dt><dd>", page);
		put_supplied(page, item, 0);
		fputs("</dd>\n", page);
	}
	if (!any)
		return;
	fputs("</dl>\n", page);
	page_note(page, "From the scenario\xe2\x80\x99s drill: block. drsim did not check any of "
			"it.");
	page_section_end(page);
}

/* ---- how to repeat it ---- */

static void fact(FILE *page, const char *name, const char *value)
{
	fprintf(page, "<dt>%s</dt><dd class=\"key\">", name);
	text_escape(page, value);
	fputs("</dd>\n", page);
}

void html_repeat(FILE *page, const cJSON *record)
{
	page_section(page, "repeat", "How to repeat this run");
	fputs("<pre>", page);
	text_escape(page, view_text(record, "drill.command"));
	fputs("</pre>\n<dl>", page);
	fact(page, "Seed", view_seed(record));
	fact(page, "drsim version", view_text(record, "drill.version"));
	fact(page, "Scenario SHA-256", view_text(record, "drill.scenario_sha256"));
	if (view_text(record, "drill.profile.sha256"))
		fact(page, "Profile SHA-256", view_text(record, "drill.profile.sha256"));
	fact(page, "Drill id", view_text(record, "drill.id"));
	fact(page, "Started", view_text(record, "drill.started"));
	fact(page, "Host", view_text(record, "drill.host"));
	if (view_text(record, "clock.name"))
		fact(page, "Clock", view_text(record, "clock.name"));
	fputs("</dl>\n", page);
	page_note(page, "On the simulator the same scenario, seed and version give the same "
			"events, byte for byte. The scenario as run is scenario.yaml in the run "
			"folder; every number here can be recomputed from events.jsonl.");
	page_section_end(page);
}

/* ---- what it does not show ---- */

static void put_unless(FILE *page, bool shown, const char *text)
{
	if (!shown)
		fprintf(page, "<li>%s</li>\n", text);
}

static void put_unjudged(FILE *page, const cJSON *record)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, view_get(record, "objectives")) {
		if (view_bool(item, "met") >= 0)
			continue;
		fputs("<li>Objective <span class=\"key\">", page);
		text_escape(page, view_text(item, "name"));
		fputs("</span> was not evaluable: it is neither met nor missed.</li>\n", page);
	}
	put_unless(page, cJSON_GetArraySize(view_get(record, "objectives")) > 0,
		   "The scenario states no objective, so nothing was judged.");
}

void html_not_shown(FILE *page, const cJSON *record)
{
	bool real = view_get(record, "environment") != NULL;

	page_section(page, "not-shown", "What this does not show");
	fputs("<ul>\n", page);
	put_unless(page, view_is(record, "drill.kind", "injected"),
		   "Nothing real was touched: a simulated result shows what the model of the "
		   "deployment does, and is not a test of the real system.");
	if (view_real(record, "drill.profile.runs") > 0)
		fprintf(page,
			"<li>The model was corrected by what %.0f measured drills took longer: "
			"what those did not meet is not in it.</li>\n",
			view_real(record, "drill.profile.runs"));
	put_unless(page, view_bool(record, "drill.sham") <= 0,
		   "This was a sham drill: no fault was injected, it checks that the detector "
		   "stays silent.");
	put_unjudged(page, record);
	put_unless(page, view_get(record, "campaign"),
		   real ? "One run is one sample: how the measures vary needs more runs."
			: "One run is one sample: how the measures vary needs <span "
			  "class=\"key\">--trials</span>.");
	put_unless(page, view_real(record, "requests.sent") > 0,
		   "Requests were not modelled, availability by requests is unknown.");
	put_unless(page, !view_get(record, "drill.scale"),
		   "Time and data were shrunk: what does not shrink with them, such as the start "
		   "of a process or the reach of a disk\xe2\x80\x99s cache, weighs more or less "
		   "here than in the deployment that is meant.");
	put_unless(page, !real || cJSON_IsObject(view_get(record, "wire")),
		   "The outage was not seen on the wire: it is the client\xe2\x80\x99s account "
		   "alone.");
	put_unless(page,
		   view_real(record, "integrity.sampled") > 0 ||
			   view_real(record, "ledger.read_back") > 0,
		   "The contents of restored data were not compared with the original by an "
		   "independent check.");
	put_unless(page, view_get(record, "drill.participants"),
		   "No people took part: decisions are times in the scenario, not an exercise of "
		   "the staff.");
	put_unless(page, false,
		   "Only the faults listed above were tried; nothing is said about any other.");
	fputs("</ul>\n", page);
	page_section_end(page);
}

/* ---- the words ---- */

void html_terms(FILE *page)
{
	static const char *const terms[][2] = {
		{"FRT", "fault recovery time: from the fault to stable good service; what auditors "
			"call the achieved RTO (RTA)"},
		{"BRT", "backup recovery time: from the first failover action until the backup "
			"system has traffic and data"},
		{"BRP", "backup recovery point: age of the data restored from, and the "
			"acknowledged writes lost; the achieved RPO (RPA)"},
		{"Detection", "from the fault to the detector\xe2\x80\x99s declaration"},
		{"Decision", "from the declaration to the first failover action"},
		{"Switch", "routing traffic to the backup and fencing the old primary"},
		{"Data recovery", "restoring data until it is usable"},
		{"Readiness",
		 "from a ready backup system to the first good request of a stable window"},
		{"Availability", "share of the drill\xe2\x80\x99s time with good service; by "
				 "requests: share of requests answered well"},
		{"failover", "the backup took over"},
		{"in_place", "repaired or started again where it was"},
		{"absorbed", "redundancy carried it"},
		{"unrecovered", "not over at the end of the drill"},
		{"fidelity", "how real the fault was: sim (in the model), detector (only what the "
			     "detector sees), api (through the platform\xe2\x80\x99s interface), "
			     "real"},
	};

	page_section(page, "terms", "Terms");
	fputs("<dl>", page);
	for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++)
		fprintf(page, "<dt>%s</dt><dd>%s</dd>\n", terms[i][0], terms[i][1]);
	fputs("</dl>\n", page);
	page_section_end(page);
}
