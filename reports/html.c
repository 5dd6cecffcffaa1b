/* SPDX-License-Identifier: Apache-2.0 */
/* report.html: one file that needs nothing else; styles and pictures are in it, there are no
 * scripts. */
#include "reports/html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/file.h"
#include "reports/plot.h"
#include "reports/table.h"
#include "reports/text.h"
#include "reports/view.h"

static const char style[] =
	":root{--ink:#22262b;--soft:#5c636d;--line:#dfe3e8;--back:#f6f7f9}"
	"*{box-sizing:border-box}"
	"body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 "
	"system-ui,-apple-system,'Segoe UI',"
	"'Helvetica Neue',Arial,'DejaVu Sans',sans-serif}"
	"main{max-width:1080px;margin:0 auto;padding:32px 40px "
	"40px;background:#fff;border-left:1px solid var(--line);"
	"border-right:1px solid var(--line)}"
	"h1{font-size:25px;line-height:1.3;margin:14px 0 6px;font-weight:650;text-wrap:balance}"
	"h2{font-size:18px;margin:40px 0 10px;font-weight:650}h3{font-size:15px;margin:24px 0 8px}"
	"p{margin:6px 0;max-width:80ch}small,.note{color:var(--soft);font-size:13px}"
	"table{border-collapse:collapse;width:100%;font-size:14px}"
	"th{text-align:left;font-weight:600;color:var(--soft);font-size:12.5px;border-bottom:1.5px "
	"solid #aab0b8;"
	"padding:4px 14px 4px 0;vertical-align:bottom}"
	"td{border-bottom:1px solid var(--line);padding:6px 14px 6px "
	"0;vertical-align:top;overflow-wrap:anywhere}"
	"th:last-child,td:last-child{padding-right:0}"
	".dense{font-size:13px}.dense td,.dense th{padding-right:10px}"
	".dense "
	"td:first-child{white-space:nowrap;overflow-wrap:normal}td.n+td:not(.n),th.n+th:not(.n){"
	"padding-left:26px}"
	".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
	".key,pre{font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans "
	"Mono',monospace;font-size:.92em}"
	".w{white-space:nowrap}.total td{font-weight:600}"
	"td.good,td.bad,td.open{overflow-wrap:normal}td.any{overflow-wrap:anywhere}"
	".good{color:#00674b;font-weight:600}.bad{color:#b03a00;font-weight:600}.open{color:#"
	"7a5600;font-weight:600}"
	".good::before{content:'\\2713\\00a0'}.bad::before{content:'\\2717\\00a0'}.open::before{"
	"content:'\\25CB\\00a0'}"
	".tag{display:inline-block;border-radius:4px;padding:2px "
	"10px;font-size:12.5px;font-weight:700;letter-spacing:.06em;"
	"border:1.5px solid var(--ink);margin-right:8px}"
	".tag.fill{background:var(--ink);color:#fff}.tag.v0{background:#00674b;border-color:#"
	"00674b;color:#fff}"
	".tag.v1{background:#b03a00;border-color:#b03a00;color:#fff}.tag.v2{background:#f2c14b;"
	"border-color:#8a6500}"
	".cards{display:grid;grid-template-columns:repeat(4,1fr);gap:14px;margin:22px 0 0}"
	".card{border:1px solid var(--line);border-radius:8px;padding:12px 14px}"
	".card "
	"b{display:block;font-size:23px;font-weight:650;line-height:1.25;font-variant-numeric:"
	"tabular-nums}"
	".card small{display:block}.card "
	"i{display:block;font-style:normal;color:var(--soft);font-size:12.5px}"
	".sum{display:flex;flex-wrap:wrap;align-items:center;gap:10px;font-size:18px;color:var(--"
	"soft);max-width:none}"
	".term{border:1px solid var(--line);border-radius:8px;padding:6px "
	"12px;color:var(--ink);text-align:center}"
	".term b{display:block;font-size:16px;font-variant-numeric:tabular-nums}"
	".term "
	"i{display:block;font-style:normal;font-size:12px;color:var(--soft)}.whole{background:var(-"
	"-back)}"
	"figure{margin:18px 0 0}figcaption{color:var(--soft);font-size:13px;margin-bottom:4px}"
	"figure svg{width:100%;height:auto;display:block}"
	"dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;margin:8px 0 14px}"
	"dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}.terms{font-size:13.5px}"
	"pre{background:var(--back);border:1px solid var(--line);border-radius:6px;padding:10px "
	"14px;white-space:pre-wrap;"
	"overflow-wrap:anywhere;margin:6px 0}"
	".pair{display:grid;grid-template-columns:1fr 1fr;gap:40px}"
	"footer{margin-top:44px;padding-top:14px;border-top:1px solid "
	"var(--line);color:var(--soft);font-size:13px}"
	"@media(max-width:760px){main{padding:20px}.cards{grid-template-columns:1fr "
	"1fr}.pair{grid-template-columns:1fr;gap:0}}"
	"@media "
	"print{body{background:#fff}main{border:0;padding:0;max-width:none}table,figure,.card{"
	"break-inside:avoid}}";

static const cJSON *objective(const cJSON *record, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, view_get(record, "objectives"))
		if (view_is(item, "name", name))
			return item;
	return NULL;
}

static const char *kind_tag(const cJSON *record)
{
	return view_is(record, "drill.kind", "injected") ? "INJECTED" : "SIMULATED";
}

/* "; objective 5 min: met" for the sentence on top. */
static void put_judgement(FILE *page, const cJSON *item)
{
	char text[WORDS_MAX];
	int met = view_bool(item, "met");

	if (!item)
		return;
	fprintf(page, "; objective <span class=\"w\">%s</span>",
		text_value(text, view_real(item, "limit"), view_text_or(item, "unit", "")));
	if (isfinite(view_real(item, "quantile")))
		fprintf(page, " at p%g of all trials", view_real(item, "quantile") * 100);
	fputs(met > 0 ? ": met" : met == 0 ? ": missed" : ": not evaluable", page);
}

/* " node.crash", with how many there were when it was not the only incident. */
static void put_worst(FILE *page, const cJSON *record, const cJSON *incident, const char *after)
{
	int count = cJSON_GetArraySize(view_get(record, "incidents"));

	fputc(' ', page);
	text_escape(page, view_text(incident, "fault"));
	if (count > 1)
		fprintf(page, ", the worst of %d incidents%s", count, after);
}

static void put_sentence(FILE *page, const cJSON *record)
{
	const cJSON *incident = view_headline(record);
	double frt = view_real(record, "metrics.frt_s");
	bool frt_judged = view_real(objective(record, "frt"), "limit") > 0;
	char text[WORDS_MAX];

	fprintf(page, "<h1>%s drill: ",
		view_is(record, "drill.kind", "injected") ? "Injected" : "Simulated");
	if (view_is(record, "verdict", "invalid") || view_is(record, "verdict", "aborted")) {
		fputs(view_is(record, "verdict", "invalid") ? "nothing was proven; "
							    : "stopped before its end; ",
		      page);
		text_escape(page, view_text_or(record, "reason", "no reason is recorded"));
	} else if (view_get(record, "campaign") &&
		   isfinite(view_real(objective(record, "frt"), "achieved"))) {
		text_escape(page, view_text(record, "drill.name"));
		fprintf(page, " over %s trials, FRT ",
			words_number(text, view_real(record, "campaign.trials")));
		fprintf(page, "<span class=\"w\">%s</span>",
			words_duration(text, view_real(objective(record, "frt"), "achieved")));
	} else if (!incident) {
		fputs("no incident was opened", page);
	} else if (view_is(incident, "path", "false_alarm")) {
		fputs("a false alarm, there was no fault", page);
	} else if (isnan(frt)) {
		text_escape(page, view_text(record, "drill.name"));
		fputs(" did not recover from", page);
		put_worst(page, record, incident, "");
	} else if (view_is(incident, "path", "absorbed") && frt == 0) {
		text_escape(page, view_text(record, "drill.name"));
		fputs(" carried", page);
		put_worst(page, record, incident, ",");
		fputs(" without a bad request", page);
	} else {
		text_escape(page, view_text(record, "drill.name"));
		fputs(" recovered from", page);
		put_worst(page, record, incident, ",");
		fprintf(page, " in <span class=\"w\">%s</span>", words_duration(text, frt));
	}
	if (frt_judged && incident && !view_is(record, "verdict", "invalid") &&
	    !view_is(record, "verdict", "aborted"))
		put_judgement(page, objective(record, "frt"));
	fputs(".</h1>\n", page);
}

static void put_card(FILE *page, const cJSON *record, const char *name, const char *label,
		     const char *value)
{
	const cJSON *item = objective(record, name);
	int met = view_bool(item, "met");
	bool all = item && isfinite(view_real(item, "quantile"));
	char text[WORDS_MAX];

	/* With trials the objective judges a quantile of all of them, and that is the number beside
	 * it. */
	if (all)
		value = text_value(text, view_real(item, "achieved"),
				   view_text_or(item, "unit", ""));
	fprintf(page, "<div class=\"card\"><i>%s</i><b>%s</b>", label, value);
	if (item) {
		fprintf(page, "<span class=\"%s\">%s</span> <small>%s %s",
			met > 0    ? "good"
			: met == 0 ? "bad"
				   : "open",
			met > 0    ? "met"
			: met == 0 ? "missed"
				   : "not evaluable",
			text_is_floor(name) ? "at least" : "at most",
			text_value(text, view_real(item, "limit"), view_text_or(item, "unit", "")));
		if (all)
			fprintf(page, " at p%g of all trials", view_real(item, "quantile") * 100);
		fputs("</small>", page);
	} else {
		fputs(view_get(record, "campaign") ? "<small>no objective; of trial 0</small>"
						   : "<small>no objective</small>",
		      page);
	}
	fputs("</div>\n", page);
}

static void put_top(FILE *page, const cJSON *record)
{
	bool passed = view_is(record, "verdict", "passed"),
	     failed = view_is(record, "verdict", "failed");
	const char *verdict = view_text_or(record, "verdict", "unknown");
	char text[WORDS_MAX], upper[16] = "";

	for (size_t i = 0; verdict[i] && i + 1 < sizeof(upper); i++)
		upper[i] = (char)(verdict[i] >= 'a' && verdict[i] <= 'z' ? verdict[i] - 'a' + 'A'
									 : verdict[i]);
	fprintf(page, "<header><span class=\"tag fill\">%s</span>", kind_tag(record));
	if (view_bool(record, "drill.sham") > 0)
		fputs("<span class=\"tag\">SHAM</span>", page);
	if (view_real(record, "drill.profile.runs") > 0)
		fprintf(page, "<span class=\"tag\">calibrated on %.0f runs</span>",
			view_real(record, "drill.profile.runs"));
	fprintf(page, "<span class=\"tag v%d\">",
		passed                                            ? 0
		: failed || view_is(record, "verdict", "residue") ? 1
								  : 2);
	text_escape(page, upper);
	fputs("</span>\n", page);
	put_sentence(page, record);
	if (view_text(record, "drill.description")) {
		fputs("<p>", page);
		text_escape(page, view_text(record, "drill.description"));
		fputs("</p>\n", page);
	}
	fputs("<p class=\"note\">", page);
	text_escape(page, view_text(record, "drill.name"));
	fputs(" \xc2\xb7 driver ", page);
	text_escape(page, view_text(record, "drill.driver"));
	fprintf(page, " \xc2\xb7 %s of drill time",
		words_duration_exact(text, view_real(record, "drill.duration_s")));
	if (view_get(record, "drill.scale"))
		fprintf(page, " \xc2\xb7 %s",
			words_scale(text, view_real(record, "drill.scale.time"),
				    view_real(record, "drill.scale.bytes")));
	if (view_text(record, "drill.started")) {
		fputs(" \xc2\xb7 started ", page);
		text_escape(page, view_text(record, "drill.started"));
	}
	fputs("</p>\n<div class=\"cards\">\n", page);
	put_card(page, record, "frt", "FRT \xc2\xb7 fault to good service",
		 words_duration_exact(text, view_real(record, "metrics.frt_s")));
	put_card(page, record, "brt", "BRT \xc2\xb7 switch and data recovery",
		 words_duration_exact(text, view_real(record, "metrics.brt_s")));
	put_card(page, record, "brp.seconds", "BRP \xc2\xb7 age of the recovery point",
		 words_duration_exact(text, view_real(record, "metrics.brp.seconds")));
	put_card(page, record, "availability", "Availability \xc2\xb7 of the drill's time",
		 words_percent(text, view_real(record, "metrics.availability.time")));
	fputs("</div>\n</header>\n", page);
}

/* Does `text` go on with the start of an id or of a reference to one? Returns the length of that
 * start. */
static size_t id_start(const char *text)
{
	static const char *const starts[] = {" id='", " id=\"", "href='#", "href=\"#", "url(#"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (strncmp(text, starts[i], strlen(starts[i])) == 0)
			return strlen(starts[i]);
	return 0;
}

/* The svg element of a picture; its ids get the plot's name in front, they must be unique in the
 * page. */
static void put_svg(FILE *page, const char *svg, const char *name)
{
	const char *at = strstr(svg, "<svg");

	while (at && *at) {
		size_t start = id_start(at);

		fwrite(at, 1, start > 0 ? start : 1, page);
		if (start > 0)
			fprintf(page, "%s-", name);
		at += start > 0 ? start : 1;
	}
}

/* The file as text, to free(); NULL when it is not there. */
static char *read_plot(const char *dir, const char *name)
{
	char path[REPORT_PATH_MAX], file_name[64], *text = NULL;
	size_t capacity = 1 << 16, size = 0;
	FILE *file;

	snprintf(file_name, sizeof(file_name), "plots/%s.svg", name);
	if (report_path(path, dir, file_name, NULL))
		return NULL;
	file = fopen(path, "re");
	if (!file)
		return NULL;
	for (;;) {
		char *more = capacity <= PLOT_SIZE_MAX ? realloc(text, capacity) : NULL;

		if (!more) {
			free(text);
			text = NULL;
			break;
		}
		text = more;
		size += fread(text + size, 1, capacity - size - 1, file);
		text[size] = '\0';
		if (size + 1 < capacity)
			break;
		capacity *= 2;
	}
	fclose(file);
	return text;
}

/* Returns whether the picture is in the page. */
static bool put_plot(FILE *page, const struct report_input *input, const struct plot *plot)
{
	char *svg = input->plots ? read_plot(input->out_dir, plot->name) : NULL;
	bool whole = svg && strstr(svg, "</svg>");

	if (whole) {
		fprintf(page, "<figure><figcaption>%s</figcaption>\n", plot->title);
		put_svg(page, svg, plot->name);
		fputs("</figure>\n", page);
	}
	free(svg);
	return whole;
}

static void put_body(FILE *page, const struct report_input *input)
{
	const cJSON *record = input->record;
	bool any;

	html_objectives(page, record);
	if (view_get(record, "campaign"))
		html_campaign(page, record);
	any = put_plot(page, input, &plot_ecdf);
	html_identity(page, record);
	any = put_plot(page, input, &plot_incident) || any;
	any = put_plot(page, input, &plot_service) || any;
	html_incidents(page, record);
	html_brp(page, record);
	any = put_plot(page, input, &plot_backups) || any;
	if (!any)
		fprintf(page, "<p class=\"note\">%s</p>\n",
			!input->plots ? "Pictures were switched off for this report."
			: plot_available()
				? "There is nothing to draw, or gnuplot could not draw it."
				: "gnuplot was not found: this page has no pictures. Install "
				  "gnuplot and run "
				  "\xe2\x80\x9c"
				  "drsim report\xe2\x80\x9d again.");
	html_measured(page, record);
	html_jobs(page, record);
	html_repairs(page, record);
	html_faults(page, record);
	html_operations(page, input);
	html_findings(page, record);
	html_not_shown(page, record);
	html_repeat(page, record);
	html_terms(page);
}

static int write_report(const struct report_input *input, struct error *e)
{
	struct report_file out;
	FILE *page;

	if (report_file_begin(&out, input->out_dir, "report.html", e))
		return -1;
	page = out.file;
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'\">\n<title>",
	      page);
	text_escape(page, view_text(input->record, "drill.name"));
	fprintf(page, " (%s) \xc2\xb7 drsim</title>\n<style>%s</style></head>\n<body><main>\n",
		kind_tag(input->record), style);
	put_top(page, input->record);
	put_body(page, input);
	fprintf(page, "<footer><span class=\"tag fill\">%s</span> %s drsim ",
		kind_tag(input->record),
		view_is(input->record, "drill.kind", "injected")
			? "Faults were injected into a real system."
			: "This result comes from a simulation. It is not a test of a real "
			  "system.");
	text_escape(page, view_text(input->record, "drill.version"));
	fputs("</footer>\n</main></body></html>\n", page);
	return report_file_end(&out, 0, e);
}

const struct report_ops report_html = {
	.name = "html",
	.file = "report.html",
	.help = "one self-contained page for people",
	.write = write_report,
};
