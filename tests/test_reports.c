/* SPDX-License-Identifier: Apache-2.0 */
/* The reports: record.json against the contract, and every file made from it, with hostile names
 * and a full disk. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/report.h"
#include "core/run.h"
#include "reports/html.h"
#include "reports/json.h"
#include "reports/plot.h"
#include "reports/table.h"
#include "reports/text.h"
#include "tests/sample_record.h"
#include "tests/test.h"

#define HOSTILE "<script>\"&'`touch pwned`</title>\\\n%s{x}"

static struct sample sample; /* too large for the stack */

static char folder[64];

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/drsim-reports-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void empty_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char child[512];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(child, sizeof(child), "%.200s/%.200s", path, entry->d_name);
		if (unlink(child) && errno == EISDIR)
			empty_folder(child);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void drop_folder(void)
{
	empty_folder(folder);
}

static const char *in_folder(const char *name)
{
	static char path[2][256];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
	return path[turn];
}

/* The file's text, to free(). */
static char *slurp(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text;
	long size;

	ck_assert_msg(file, "%s: %s", path, strerror(errno));
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	text = malloc((size_t)size + 1);
	ck_assert_uint_eq(fread(text, 1, (size_t)size, file), (size_t)size);
	text[size] = '\0';
	fclose(file);
	return text;
}

static void put_file(const char *name, const char *text)
{
	FILE *file = fopen(in_folder(name), "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

/* Write the sample's record and events into the folder. */
static void write_sample(void)
{
	struct error e = {0};

	ck_assert_msg(report_write_record(&sample.record, in_folder("record.json"), &e) == 0, "%s",
		      e.text);
	ck_assert_msg(sample_events(&sample, in_folder("events.jsonl"), &e) == 0, "%s", e.text);
}

static void report(bool plots)
{
	struct report_input input = {.out_dir = folder, .plots = plots};
	struct error e = {0};

	ck_assert_msg(report_load(folder, &input, &e) == 0, "%s", e.text);
	ck_assert_msg(report_write_all(&input, &e) == 0, "%s", e.text);
	report_free(&input);
}

static cJSON *parse_record(void)
{
	char *text = slurp(in_folder("record.json"));
	cJSON *record = cJSON_ParseWithOpts(text, NULL, 0);

	free(text);
	ck_assert_ptr_nonnull(record);
	return record;
}

/* The same failover on a real host, twenty times as fast. */
static void sample_injected(struct sample *s)
{
	sample_failover(s);
	s->scenario.scale = (struct process_scale){0.05, 1e-5};
	s->record.driver = "process";
	s->record.kind = "injected";
	s->fault.fidelity = FIDELITY_REAL;
	s->fault.timed = true;
	s->fault.before = SAMPLE_FAULT - 2 * NANOS_MS;
	s->fault.after = SAMPLE_FAULT + NANOS_MS;
	s->measured = (struct measured){
		.wire_known = true,
		.ledger_known = true,
		.wire = {.outage_s = 211.9,
			 .client_s = 212.4,
			 .difference_s = 0.5,
			 .allowed_s = 0.6,
			 .agrees = true},
		.ledger = {.written = 864000,
			   .acknowledged = 838512,
			   .failed = 23088,
			   .unknown = 2400,
			   .lost = 28800,
			   .stale = 3,
			   .altered = 2,
			   .acknowledged_twice = 1,
			   .read_back = 864000},
		.isolation = "namespaces",
		.kernel = "Linux 6.12.1",
		.lost = {"cgroups are not writable: node.crash kills by process"},
		.lost_count = 1,
	};
	s->record.measured = &s->measured;
}

typedef void make_sample(struct sample *s);
static make_sample *const samples[] = {sample_failover, sample_campaign, sample_invalid,
				       sample_injected};
static const char *const sample_names[] = {"sample_failover", "sample_campaign", "sample_invalid",
					   "sample_injected"};

/* ---- record.json ---- */

static const cJSON *at(const cJSON *item, const char *path)
{
	while (item && *path) {
		char key[64];
		size_t length = strcspn(path, "/");

		snprintf(key, sizeof(key), "%.*s", (int)length, path);
		item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, key[0] - '0')
					   : cJSON_GetObjectItemCaseSensitive(item, key);
		path += length + (path[length] == '/');
	}
	return item;
}

/* s string, n number, b boolean, o object, a array, 0 null; several letters: any of them. */
static void expect(const cJSON *record, const char *path, const char *types)
{
	const cJSON *item = at(record, path);
	char type;

	ck_assert_msg(item, "%s is missing", path);
	type = cJSON_IsString(item)   ? 's'
	       : cJSON_IsNumber(item) ? 'n'
	       : cJSON_IsBool(item)   ? 'b'
	       : cJSON_IsObject(item) ? 'o'
	       : cJSON_IsArray(item)  ? 'a'
				      : '0';
	ck_assert_msg(strchr(types, type), "%s is '%c', not of '%s'", path, type, types);
}

static const char *const contract[][2] = {
	{"schema", "s"},
	{"drill/id", "s"},
	{"drill/kind", "s"},
	{"drill/name", "s"},
	{"drill/driver", "s"},
	{"drill/seed", "n"},
	{"drill/sham", "b"},
	{"drill/version", "s"},
	{"drill/scenario_sha256", "s"},
	{"drill/started", "s"},
	{"drill/duration_s", "n"},
	{"drill/command", "s"},
	{"drill/host", "s"},
	{"drill/wall_s", "n"},
	{"verdict", "s"},
	{"objectives", "a"},
	{"objectives/0/name", "s"},
	{"objectives/0/limit", "n"},
	{"objectives/0/quantile", "n0"},
	{"objectives/0/achieved", "n0"},
	{"objectives/0/unit", "s"},
	{"objectives/0/met", "b0"},
	{"metrics/incident", "n0"},
	{"metrics/frt_s", "n0"},
	{"metrics/detection_s", "n0"},
	{"metrics/decision_s", "n0"},
	{"metrics/recovery_s", "n0"},
	{"metrics/brt_s", "n0"},
	{"metrics/switch_s", "n0"},
	{"metrics/data_recovery_s", "n0"},
	{"metrics/overlap_s", "n0"},
	{"metrics/readiness_s", "n0"},
	{"metrics/brp/seconds", "n0"},
	{"metrics/brp/bytes", "n"},
	{"metrics/brp/records", "n"},
	{"metrics/brp/worst_seconds", "n0"},
	{"metrics/brp/worst_bytes", "n0"},
	{"metrics/brp/by_class", "o"},
	{"metrics/availability/time", "n0"},
	{"metrics/availability/requests", "n0"},
	{"metrics/bad_s", "n"},
	{"metrics/span_s", "n"},
	{"metrics/unprotected_s", "n"},
	{"incidents", "a"},
	{"faults", "a"},
	{"faults/0/step", "n"},
	{"faults/0/name", "s"},
	{"faults/0/target", "s"},
	{"faults/0/fidelity", "s"},
	{"faults/0/mechanism", "s"},
	{"faults/0/applied", "b"},
	{"faults/0/effective", "b0"},
	{"faults/0/reverted", "b0"},
	{"faults/0/residue", "a"},
	{"faults/0/place", "s"},
	{"findings", "a"},
	{"requests/sent", "n"},
};
static const char *const contract_incident[] = {
	"t_fault_ns",
	"t_detect_ns",
	"t_decide_ns",
	"t_switch_begin_ns",
	"t_switched_ns",
	"t_data_begin_ns",
	"t_data_restored_ns",
	"t_restored_ns",
	"t_verified_ns",
	"t_diagnosed_ns",
	"t_repaired_ns",
	"t_failback_ns",
	"t_normal_ns",
	"t_loss_ns",
	"t_bp_ns",
	"detection_ns",
	"decision_ns",
	"switch_ns",
	"data_recovery_ns",
	"overlap_ns",
	"readiness_ns",
	"brt_ns",
	"frt_ns",
};
static const char *const contract_campaign[] = {
	"frt_s", "detection_s", "decision_s", "switch_s",    "data_recovery_s", "readiness_s",
	"brt_s", "brp_seconds", "brp_bytes",  "brp_records", "availability",
};

START_TEST(record_keeps_the_contract)
{
	cJSON *record;
	char path[128];

	samples[_i](&sample);
	write_sample();
	record = parse_record();
	for (size_t i = 0; i < sizeof(contract) / sizeof(contract[0]); i++)
		expect(record, contract[i][0], contract[i][1]);
	for (size_t i = 0; i < sizeof(contract_incident) / sizeof(contract_incident[0]) && _i < 2;
	     i++) {
		snprintf(path, sizeof(path), "incidents/0/%s", contract_incident[i]);
		expect(record, path, "n0");
	}
	for (size_t i = 0; i < sizeof(contract_campaign) / sizeof(contract_campaign[0]) && _i == 1;
	     i++) {
		static const char *const keys[] = {"mean", "stderr", "min",     "p05",      "p50",
						   "p95",  "p99",    "p99_low", "p99_high", "max"};

		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
			snprintf(path, sizeof(path), "campaign/%s/%s", contract_campaign[i],
				 keys[k]);
			expect(record, path, "n0");
		}
	}
	ck_assert((at(record, "campaign") != NULL) == (_i == 1));
	cJSON_Delete(record);
}
END_TEST

START_TEST(record_nulls_what_was_not_measured)
{
	cJSON *record;

	sample_invalid(&sample);
	write_sample();
	record = parse_record();
	expect(record, "metrics/incident", "0");
	expect(record, "metrics/frt_s", "0");
	expect(record, "metrics/availability/requests", "0");
	expect(record, "metrics/brp/worst_bytes", "0");
	expect(record, "objectives/0/met", "0");
	expect(record, "objectives/0/achieved", "0");
	ck_assert(at(record, "metrics/brp/seconds")->valuedouble == 0);
	cJSON_Delete(record);
}
END_TEST

/* All classes together beside the worst one; null, never 0, where nobody knows. */
START_TEST(losses_are_summed_or_unknown)
{
	cJSON *record;
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	sample_failover(&sample);
	sample.record.brp.by_class[DATA_MODEL].bytes = 1000;
	sample.record.brp.by_class[DATA_MODEL].records = 7;
	write_sample();
	record = parse_record();
	ck_assert(at(record, "metrics/brp/bytes")->valuedouble == 240000000);
	ck_assert(at(record, "metrics/brp/total/bytes")->valuedouble == 240001000);
	ck_assert(at(record, "metrics/brp/total/records")->valuedouble == 28807);
	ck_assert(at(record, "incidents/0/brp/total/bytes")->valuedouble == 240000000);
	ck_assert(at(record, "faults/0/incident")->valuedouble == 0);
	cJSON_Delete(record);

	sample.record.brp = sample.incident.brp = (struct brp){.seconds = 5, .bytes = 5};
	sample.fault.incident = -1;
	ck_assert_int_eq(unlink(in_folder("events.jsonl")), 0);
	write_sample();
	record = parse_record();
	expect(record, "metrics/brp/seconds", "0");
	expect(record, "metrics/brp/bytes", "0");
	expect(record, "metrics/brp/records", "0");
	expect(record, "metrics/brp/total/bytes", "0");
	expect(record, "incidents/0/brp/total/records", "0");
	expect(record, "faults/0/incident", "0");
	cJSON_Delete(record);
	report(false);
	summary_print(&sample.record, NULL, file, false, 0);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, "what was lost is not known"));
	free(text);
	text = slurp(in_folder("metrics.prom"));
	ck_assert_ptr_null(strstr(text, "drsim_lost_bytes{"));
	ck_assert_ptr_null(strstr(text, "drsim_lost_records{"));
	ck_assert_ptr_null(strstr(text, "drsim_recovery_point_age_seconds{"));
	free(text);
	text = slurp(in_folder("report.html"));
	ck_assert_ptr_null(strstr(text, ">0 B<"));
	free(text);
}
END_TEST

START_TEST(nothing_judged_is_said)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	sample_failover(&sample);
	sample.record.objective_count = 0;
	summary_print(&sample.record, NULL, file, false, 0);
	fclose(file);
	ck_assert_ptr_nonnull(
		strstr(text, "PASSED  gpu_loss: no objectives were given: nothing was judged;"));
	free(text);
	write_sample();
	report(false);
	text = slurp(in_folder("report.html"));
	ck_assert_ptr_nonnull(strstr(text, "No objectives were given: nothing was judged."));
	free(text);
}
END_TEST

START_TEST(record_prints_every_digit)
{
	char *text;

	sample_failover(&sample);
	sample.incident.marks[MARK_NORMAL] = 9007199254740993; /* 2^53 + 1: no double */
	sample.record.brp.bytes = 18446744073709551615u;
	write_sample();
	text = slurp(in_folder("record.json"));
	ck_assert_ptr_nonnull(strstr(text, "\"seed\": 18446744073709551615,"));
	ck_assert_ptr_nonnull(strstr(text, "\"t_normal_ns\": 9007199254740993,"));
	ck_assert_ptr_nonnull(strstr(text, "\"bytes\": 18446744073709551615"));
	ck_assert_ptr_nonnull(strstr(text, "\"achieved\": 212.4,"));
	free(text);
}
END_TEST

/* The scenario's drill: block is merged, and cannot take the place of what the run says. */
START_TEST(record_merges_the_drill_block)
{
	cJSON *record;

	sample_failover(&sample);
	write_sample();
	record = parse_record();
	ck_assert_str_eq(at(record, "drill/purpose")->valuestring, "nightly");
	ck_assert_str_eq(at(record, "drill/plan/id")->valuestring, "DR-7");
	ck_assert(at(record, "drill/seed")->valuedouble > 1);
	cJSON_Delete(record);
}
END_TEST

START_TEST(record_varies_by_host_and_clock_only_where_told)
{
	static const char *const varying[] = {"id", "started", "host", "wall_s", "command"};
	cJSON *records[2];

	for (int i = 0; i < 2; i++) {
		sample_failover(&sample);
		if (i == 1) {
			sample.record.id = "other";
			sample.record.started = "2027-01-01T00:00:00+01:00";
			sample.record.host = "elsewhere";
			sample.record.wall_s = 99;
			sample.record.command = "another";
		}
		ck_assert_int_eq(
			report_write_record(&sample.record, in_folder("record.json"), NULL), 0);
		records[i] = parse_record();
		for (size_t k = 0; k < sizeof(varying) / sizeof(varying[0]); k++)
			cJSON_DeleteItemFromObjectCaseSensitive(
				cJSON_GetObjectItemCaseSensitive(records[i], "drill"), varying[k]);
	}
	ck_assert(cJSON_Compare(records[0], records[1], 1));
	cJSON_Delete(records[0]);
	cJSON_Delete(records[1]);
}
END_TEST

START_TEST(ecdf_is_bounded_and_rises)
{
	const cJSON *x, *f;
	cJSON *record;
	double last_x = -INFINITY, last_f = 0;

	sample_campaign(&sample);
	write_sample();
	record = parse_record();
	x = at(record, "campaign/ecdf/frt_s/x");
	f = at(record, "campaign/ecdf/frt_s/f");
	ck_assert_int_eq(cJSON_GetArraySize(x), ECDF_POINTS_MAX);
	ck_assert_int_eq(cJSON_GetArraySize(f), ECDF_POINTS_MAX);
	for (x = x->child, f = f->child; x; x = x->next, f = f->next) {
		ck_assert(x->valuedouble > last_x);
		ck_assert(f->valuedouble > last_f);
		last_x = x->valuedouble;
		last_f = f->valuedouble;
	}
	ck_assert(last_f == 0.993); /* the 7 censored trials are above */
	/* All values of the switch are equal: one step. */
	ck_assert_int_eq(cJSON_GetArraySize(at(record, "campaign/ecdf/brp_seconds/x")),
			 ECDF_POINTS_MAX);
	cJSON_Delete(record);
}
END_TEST

/* The line of drill.version goes: a release must not need new golden files. */
static void cut_version(char *text)
{
	char *line = strstr(text, "\n    \"version\": ");

	ck_assert_ptr_nonnull(line);
	memmove(line, strchr(line + 1, '\n'), strlen(strchr(line + 1, '\n')) + 1);
}

START_TEST(golden_records)
{
	char path[128], *expected, *found;

	samples[_i](&sample);
	write_sample();
	found = slurp(in_folder("record.json"));
	snprintf(path, sizeof(path), "tests/golden/%s/record.json", sample_names[_i]);
	expected = slurp(path);
	cut_version(expected);
	cut_version(found);
	ck_assert_str_eq(found, expected);
	free(expected);
	free(found);
}
END_TEST

/* ---- what is made from it ---- */

static void make_hostile(void)
{
	struct record *record = &sample.record;

	sample_failover(&sample);
	sample.endpoint = sample.scenario.name = sample.fault.name = sample.fault.target = HOSTILE;
	sample.fault.observed = sample.fault.mechanism = sample.incident.diagnosis =
		HOSTILE "\x01\xff";
	sample.incident.fault = sample.incident.target = sample.incident.place =
		sample.incident.action = HOSTILE;
	sample.scenario.description = record->host = record->command = record->id = record->driver =
		HOSTILE;
	sample.fault.residue[0] = HOSTILE;
	sample.fault.residue_count = 1;
	sample.measured = (struct measured){.wire_reason = HOSTILE,
					    .isolation = HOSTILE,
					    .kernel = HOSTILE "\x01\xff",
					    .lost = {HOSTILE},
					    .lost_count = 1};
	record->measured = &sample.measured;
	record->findings[0].text = HOSTILE;
	record->abort_reason = HOSTILE;
	record->verdict = VERDICT_RESIDUE;
}

/* A small XML reader: tags nest, attributes are quoted, & begins a known entity, no < in values. */
static void expect_xml(const char *text)
{
	char stack[16][32];
	int depth = 0;

	text = strstr(text, "?>") + 2;
	while (*text) {
		if (*text == '&') {
			ck_assert(strncmp(text, "&lt;", 4) == 0 || strncmp(text, "&gt;", 4) == 0 ||
				  strncmp(text, "&amp;", 5) == 0 ||
				  strncmp(text, "&quot;", 6) == 0 ||
				  strncmp(text, "&#39;", 5) == 0);
		}
		ck_assert((unsigned char)*text >= 0x20 || *text == '\n' || *text == '\t');
		if (*text++ != '<')
			continue;
		if (*text == '/') {
			size_t length = strcspn(text + 1, ">");

			ck_assert_int_gt(depth, 0);
			depth--;
			ck_assert_uint_eq(length, strlen(stack[depth]));
			ck_assert(strncmp(text + 1, stack[depth], length) == 0);
			continue;
		}
		ck_assert_int_lt(depth, 16);
		snprintf(stack[depth++], 32, "%.*s", (int)strcspn(text, " >"), text);
		text += strcspn(text, " >");
		while (*text == ' ') {
			text += strcspn(text, "=<>");
			ck_assert(strncmp(text, "=\"", 2) == 0);
			text += 2 + strcspn(text + 2, "\"<");
			ck_assert_int_eq(*text++, '"');
		}
		ck_assert_int_eq(*text, '>');
	}
	ck_assert_int_eq(depth, 0);
}

START_TEST(junit_is_well_formed)
{
	char *text;

	make_hostile();
	write_sample();
	report(false);
	text = slurp(in_folder("junit.xml"));
	expect_xml(text);
	ck_assert_ptr_nonnull(
		strstr(text, "tests=\"8\" failures=\"0\" errors=\"2\" skipped=\"0\""));
	ck_assert_ptr_nonnull(strstr(text, "&lt;script&gt;&quot;&amp;&#39;"));
	free(text);
}
END_TEST

START_TEST(junit_tells_what_failed)
{
	static const char *const expected[] = {
		"tests=\"8\" failures=\"0\" errors=\"0\" skipped=\"0\"",
		"tests=\"5\" failures=\"1\" errors=\"0\" skipped=\"0\"",
		"tests=\"8\" failures=\"0\" errors=\"2\" skipped=\"6\"",
	};
	char *text;

	samples[_i](&sample);
	write_sample();
	report(false);
	text = slurp(in_folder("junit.xml"));
	expect_xml(text);
	ck_assert_msg(strstr(text, expected[_i]), "%s", text);
	free(text);
}
END_TEST

/* Each line by the grammar of OpenMetrics 1.0, metadata before samples, # EOF last. */
static void expect_openmetrics(char *text)
{
	static const char pattern[] = "^(# (TYPE [a-z_]+ (gauge|counter|info)|UNIT "
				      "[a-z_]+_(seconds|bytes|records) (seconds|bytes|records)|"
				      "HELP [a-z_]+ [^\\\\]*)|"
				      "[a-z_]+\\{[a-z_]+=\"([^\"\\\\]|\\\\[\\\\\"n])*\"(,[a-z_]+="
				      "\"([^\"\\\\]|\\\\[\\\\\"n])*\")*\\} -?[0-9.e+-]+)$";
	regex_t line_is;
	char *line, *rest = text;

	ck_assert_int_eq(regcomp(&line_is, pattern, REG_EXTENDED | REG_NOSUB), 0);
	ck_assert_str_eq(text + strlen(text) - 7, "\n# EOF\n");
	text[strlen(text) - 7] = '\0';
	while ((line = strsep(&rest, "\n")))
		ck_assert_msg(regexec(&line_is, line, 0, NULL, 0) == 0, "not OpenMetrics: %s",
			      line);
	regfree(&line_is);
}

START_TEST(openmetrics_grammar)
{
	char *text;

	if (_i < 4)
		samples[_i](&sample);
	else
		make_hostile();
	write_sample();
	report(false);
	text = slurp(in_folder("metrics.prom"));
	if (_i == 0) {
		ck_assert_ptr_nonnull(strstr(text, "drsim_fault_recovery_seconds{drill=\"gpu_"
						   "loss\",kind=\"simulated\"} 212.4\n"));
		ck_assert_ptr_nonnull(strstr(text, "drsim_last_drill_timestamp_seconds{drill=\"gpu_"
						   "loss\",kind=\"simulated\"} 1772330400\n"));
	}
	if (_i == 2)
		ck_assert_ptr_null(strstr(text, "drsim_fault_recovery_seconds{"));
	ck_assert(!strstr(text, "drsim_ledger_records{drill=\"gpu_loss\",kind=\"injected\",fate="
				"\"lost\"} 28800\n") == (_i != 3));
	ck_assert(!strstr(text, "drsim_wire_outage_seconds{") == (_i != 3));
	expect_openmetrics(text);
	free(text);
}
END_TEST

START_TEST(html_is_escaped_and_self_contained)
{
	static const char *const never[] = {
		"<script",  "</title>\\", "src=",          "href=\"http",
		"url(http", "@import",    "`touch pwned`<"};
	char *text;

	make_hostile();
	write_sample();
	report(true);
	text = slurp(in_folder("report.html"));
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		ck_assert_msg(!strstr(text, never[i]), "the page holds %s", never[i]);
	ck_assert_ptr_nonnull(strstr(text, "&lt;script&gt;"));
	ck_assert_ptr_nonnull(strstr(text, "SIMULATED"));
	ck_assert_int_ne(access("pwned", F_OK), 0);
	ck_assert_int_ne(access(in_folder("pwned"), F_OK), 0);
	free(text);
}
END_TEST

START_TEST(html_says_what_was_found)
{
	char *text;

	sample_failover(&sample);
	write_sample();
	report(false);
	text = slurp(in_folder("report.html"));
	ck_assert_ptr_nonnull(strstr(text, "Simulated drill: gpu_loss recovered from gpu.lost in"));
	ck_assert_ptr_nonnull(strstr(text, "in <span class=\"w\">3 min 32 s</span>.</h1>"));
	ck_assert_ptr_nonnull(strstr(text, "18446744073709551615"));
	ck_assert_ptr_nonnull(strstr(text, "Pictures were switched off"));
	ck_assert_ptr_nonnull(strstr(text, "not a test of the real system"));
	free(text);
}
END_TEST

/* What the share of good answers does not show. */
START_TEST(wrong_answers_and_what_nobody_noticed_are_shown)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	sample_failover(&sample);
	sample.incident.wrong = 1234;
	sample.incident.undetected = true;
	summary_print(&sample.record, NULL, file, false, 0);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, "  Wrong answers                1,234   requests"));
	ck_assert_ptr_nonnull(strstr(text, "Not noticed by any detector, nor by the platform."));
	free(text);
	write_sample();
	report(false);
	text = slurp(in_folder("report.html"));
	ck_assert_ptr_nonnull(strstr(text, "1,234 requests</span> while it was open"));
	ck_assert_ptr_nonnull(strstr(text, "no</span>: no detector declared it"));
	free(text);
	text = slurp(in_folder("record.json"));
	ck_assert_ptr_nonnull(strstr(text, "\"wrong\": 1234"));
	ck_assert_ptr_nonnull(strstr(text, "\"undetected\": true"));
	free(text);
}
END_TEST

static char *summary_text(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	summary_print(&sample.record, NULL, file, false, 0);
	fclose(file);
	return text;
}

static void expect_all(const char *text, const char *const *parts)
{
	for (; *parts; parts++)
		ck_assert_msg(strstr(text, *parts), "'%s' is missing", *parts);
}

START_TEST(a_real_drill_says_what_it_measured)
{
	static const char *const summary[] = {
		"INJECTED drill by driver process",
		"  time scale 1:20, bytes 1:100000\n",
		"  On the wire           3 min 31.9 s   outage; the client says 3 min 32.4 s: they "
		"agree\n",
		"  Ledger                     838,512   of 864,000 records acknowledged; 864,000 "
		"read back\n"
		"                                       28,800 lost, 3 stale, 2 altered, 1 "
		"acknowledged twice\n",
		"  Isolation               namespaces   Linux 6.12.1\n",
		"  not here: cgroups are not writable",
		NULL};
	static const char *const page[] = {
		"time scale 1:20, bytes 1:100000",
		">Measured on this host</h2>",
		"Outage on the wire</th><td class=\"n\"><data value=\"211.9\" title=\"211.9 "
		"s\">3 min 31.9 s</data></td>",
		"they agree; at most 600 ms is allowed",
		"lost</th><td class=\"n\"><data value=\"28800\" title=\"28800\">28,800</data></td>",
		"Nothing is left of this drill on the host.",
		"Isolation of the nodes: namespaces; kernel: Linux 6.12.1.",
		"<li>cgroups are not writable",
		"injected within 3 ms",
		"Time and data were shrunk",
		NULL};
	char *text;

	sample_injected(&sample);
	text = summary_text();
	expect_all(text, summary);
	free(text);
	write_sample();
	report(false);
	text = slurp(in_folder("report.html"));
	expect_all(text, page);
	ck_assert_ptr_null(strstr(text, "were not compared with the original"));
	ck_assert_ptr_null(strstr(text, "not seen on the wire"));
	free(text);
	text = slurp(in_folder("junit.xml"));
	ck_assert_ptr_nonnull(
		strstr(text, "kind: injected, time scale 1:20, bytes 1:100000; seed"));
	free(text);
}
END_TEST

/* That no record is missing says nothing when none was read back. */
START_TEST(what_was_not_read_back_is_not_called_whole)
{
	struct arena arena = {0};
	bool found = false;
	char *text;

	sample_injected(&sample);
	sample.measured.ledger_known = true;
	sample.measured.ledger = (struct ledger_record){.written = 297, .acknowledged = 119};
	text = summary_text();
	ck_assert_ptr_null(strstr(text, "none missing"));
	ck_assert_ptr_nonnull(strstr(text, "0 read back: of the rest nothing is known"));
	free(text);
	findings_compute(&sample.record, &arena);
	for (size_t i = 0; i < sample.record.finding_count; i++)
		found = found || strcmp(sample.record.findings[i].text,
					"119 acknowledged records could not be read back: whether "
					"they are lost is not known.") == 0;
	ck_assert(found);
	arena_free(&arena);
}
END_TEST

START_TEST(what_was_not_measured_is_said_too)
{
	static const char *const page[] = {"no right to capture", "not seen on the wire",
					   "were not compared with the original", NULL};
	cJSON *record;
	char *text;

	sample_injected(&sample);
	sample.measured = (struct measured){.wire_reason = "no right to capture",
					    .isolation = "loopback",
					    .kernel = "Linux 6.12.1"};
	text = summary_text();
	ck_assert_ptr_nonnull(strstr(text, "no right to capture"));
	ck_assert_ptr_null(strstr(text, "Ledger"));
	free(text);
	write_sample();
	record = parse_record();
	expect(record, "wire", "0");
	expect(record, "wire_reason", "s");
	ck_assert_ptr_null(at(record, "ledger"));
	cJSON_Delete(record);
	report(false);
	text = slurp(in_folder("report.html"));
	expect_all(text, page);
	free(text);
}
END_TEST

/* A simulated drill has no host to speak of. */
START_TEST(a_simulated_drill_measured_nothing)
{
	static const char *const absent[] = {"wire", "wire_reason", "ledger", "environment"};
	cJSON *record;

	sample_failover(&sample);
	write_sample();
	record = parse_record();
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		ck_assert_ptr_null(at(record, absent[i]));
	ck_assert_ptr_null(at(record, "drill/scale"));
	ck_assert_ptr_null(at(record, "faults/0/before_ns"));
	cJSON_Delete(record);
}
END_TEST

/* ---- the page as a document ---- */

#define IDS_MAX 200
#define DEPTH_MAX 64

/* What was seen of a page while its tags were read. */
struct document {
	char stack[DEPTH_MAX][16], ids[IDS_MAX][48], named[IDS_MAX][48];
	size_t depth, id_count, named_count;
	int heading, count[7]; /* the last level; of h1 … h6 */
	int mains, headers, footers, tables, captions, boxes, pictures;
};

/* The value of an attribute of the tag that begins at `tag`; NULL when it has none. */
static const char *attribute(const char *tag, const char *name, char value[256])
{
	char wanted[64];
	const char *end = strchr(tag, '>'), *at;

	snprintf(wanted, sizeof(wanted), " %s=\"", name);
	at = strstr(tag, wanted);
	if (!at || at > end)
		return NULL;
	at += strlen(wanted);
	snprintf(value, 256, "%.*s", (int)strcspn(at, "\""), at);
	return value;
}

/* Ids are told apart, and what names something by id names what is there. */
static void read_ids(struct document *d, const char *tag)
{
	char value[256], *rest = value, *word;

	if (attribute(tag, "id", value)) {
		ck_assert_uint_lt(d->id_count, IDS_MAX);
		for (size_t i = 0; i < d->id_count; i++)
			ck_assert_str_ne(d->ids[i], value);
		snprintf(d->ids[d->id_count++], 48, "%.47s", value);
	}
	if (!attribute(tag, "aria-labelledby", value))
		return;
	while ((word = strsep(&rest, " "))) {
		ck_assert_uint_lt(d->named_count, IDS_MAX);
		snprintf(d->named[d->named_count++], 48, "%.47s", word);
	}
}

static void read_heading(struct document *d, const char *name)
{
	int level;

	if (name[0] != 'h' || name[1] < '1' || name[1] > '6' || name[2])
		return;
	level = name[1] - '0';
	ck_assert_int_le(level, d->heading + 1); /* none is left out */
	d->heading = level;
	d->count[level]++;
}

static void read_tag(struct document *d, const char *tag, const char *name)
{
	char value[256];

	read_ids(d, tag);
	read_heading(d, name);
	d->mains += strcmp(name, "main") == 0;
	d->headers += strcmp(name, "header") == 0;
	d->footers += strcmp(name, "footer") == 0;
	d->tables += strcmp(name, "table") == 0;
	d->captions += strcmp(name, "caption") == 0;
	if (strcmp(name, "th") == 0)
		ck_assert_ptr_nonnull(attribute(tag, "scope", value));
	if (attribute(tag, "tabindex", value) && strcmp(value, "0") == 0) {
		d->boxes++;
		ck_assert_ptr_nonnull(attribute(tag, "role", value));
		ck_assert_ptr_nonnull(attribute(tag, "aria-label", value));
		ck_assert_uint_gt(strlen(value), 0);
	}
	if (strcmp(name, "svg") == 0) {
		d->pictures++;
		ck_assert_ptr_nonnull(attribute(tag, "role", value));
		ck_assert(attribute(tag, "aria-label", value) ||
			  attribute(tag, "aria-labelledby", value));
	}
	if (strcmp(name, "data") == 0) {
		ck_assert_ptr_nonnull(attribute(tag, "value", value));
		ck_assert_ptr_nonnull(attribute(tag, "title", value));
	}
}

static void close_tag(struct document *d, const char *name)
{
	ck_assert_uint_gt(d->depth, 0);
	d->depth--;
	ck_assert_str_eq(d->stack[d->depth], name);
}

/* Tags nest, and what a screen reader needs is there. */
static void expect_document(const char *text, struct document *d)
{
	*d = (struct document){0};
	for (text = strstr(text, "<html"); (text = strchr(text, '<')); text++) {
		bool closing = text[1] == '/';
		const char *end = strchr(text, '>');
		char name[16];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(text + 1 + closing, " />"),
			 text + 1 + closing);
		ck_assert_ptr_nonnull(end);
		if (closing) {
			close_tag(d, name);
			continue;
		}
		read_tag(d, text, name);
		if (end[-1] == '/' || strcmp(name, "meta") == 0 || strcmp(name, "br") == 0 ||
		    strcmp(name, "wbr") == 0)
			continue;
		ck_assert_uint_lt(d->depth, DEPTH_MAX);
		snprintf(d->stack[d->depth++], 16, "%s", name);
	}
	ck_assert_uint_eq(d->depth, 0);
	for (size_t i = 0; i < d->named_count; i++) {
		size_t k = 0;

		while (k < d->id_count && strcmp(d->ids[k], d->named[i]) != 0)
			k++;
		ck_assert_msg(k < d->id_count, "no id %s", d->named[i]);
	}
}

START_TEST(html_is_a_document_for_everyone)
{
	struct document d;
	char *text;

	if (_i < 4)
		samples[_i](&sample);
	else
		make_hostile();
	write_sample();
	report(false);
	text = slurp(in_folder("report.html"));
	expect_document(text, &d);
	ck_assert_int_eq(d.mains, 1);
	ck_assert_int_eq(d.headers, 1);
	ck_assert_int_eq(d.footers, 1);
	ck_assert_int_eq(d.count[1], 1);
	ck_assert_int_ge(d.count[2], 10);
	ck_assert_int_ge(d.tables, 4);
	ck_assert_int_eq(d.tables, d.captions);
	ck_assert_int_ge(d.boxes, d.tables);
	ck_assert_ptr_nonnull(strstr(text, "prefers-color-scheme:dark"));
	ck_assert_ptr_nonnull(strstr(text, "@media print"));
	ck_assert_ptr_nonnull(strstr(text, "<html lang=\"en\">"));
	free(text);
}
END_TEST

START_TEST(the_first_screen_tells_it_all)
{
	static const char *const expected[] = {
		"<span class=\"tag kind\">SIMULATED</span>",
		"<span class=\"tag is-good\">PASSED</span>",
		"<strong>What broke:</strong> <span class=\"key\">gpu.lost</span> on <span "
		"class=\"key\">primary/<wbr>node[0]/<wbr>gpu[3]</span>, 34 min into the drill; "
		"found after "
		"26 s; the backup took over.",
		"<strong>What was lost:</strong> <data value=\"240000000\" title=\"240000000 "
		"bytes\">240 MB</data> of io (<data value=\"28800\" title=\"28800 "
		"records\">28,800</data>\xc2\xa0records), acknowledged up to 4 min before",
		"<span class=\"big\"><data value=\"212.4\" title=\"212.4 s\">3 min 32.4 s</data>",
		"aria-label=\"70.8 % of the limit\"",
		"aria-label=\"98.33 % of the loss that is allowed\"",
		"at least <data value=\"0.97\" title=\"0.97\">97 %</data>; 98.3 % of the allowed "
		"loss used",
		NULL};
	char *text, *end;

	sample_failover(&sample);
	write_sample();
	report(false);
	text = slurp(in_folder("report.html"));
	end = strstr(text, "</header>");
	ck_assert_ptr_nonnull(end);
	*end = '\0';
	expect_all(text, expected);
	free(text);
}
END_TEST

START_TEST(what_did_not_end_is_never_a_number)
{
	char *text;

	sample_failover(&sample);
	sample.incident.path = PATH_UNRECOVERED;
	sample.incident.marks[MARK_RESTORED] = sample.incident.marks[MARK_VERIFIED] = NANOS_NEVER;
	sample.incident.frt = sample.incident.readiness = NANOS_NEVER;
	sample.record.objectives[0].achieved = INFINITY;
	sample.record.objectives[0].met = TRISTATE_FALSE;
	sample.record.verdict = VERDICT_FAILED;
	write_sample();
	report(false);
	text = slurp(in_folder("report.html"));
	ck_assert_ptr_nonnull(strstr(text, "<span class=\"big\">not recovered</span>"));
	ck_assert_ptr_nonnull(strstr(text, "not recovered in 1 h 26 min"));
	ck_assert_ptr_nonnull(strstr(text, "<td class=\"n\" colspan=\"2\">not reached</td>"));
	ck_assert_ptr_nonnull(strstr(text, "FAILED"));
	ck_assert_ptr_null(strstr(text, "nan"));
	ck_assert_ptr_null(strstr(text, "=\"inf"));
	free(text);
	text = slurp(in_folder("report.md"));
	ck_assert_ptr_nonnull(strstr(text, "| not recovered | at most 5 min | **missed** |"));
	free(text);
}
END_TEST

/* ---- the picture of an incident ---- */

#define LABELS_MAX 20
#define LABEL_WIDTH 7.0 /* px of a character at the most, on average */

/* A mark of the picture: its label stands right of x, its line ends at the label's height. */
struct label {
	double x, y, right;
};

static size_t read_labels(const char *text, struct label labels[LABELS_MAX])
{
	static const char start[] = "class=\"mark-name\">";
	size_t count = 0;

	for (const char *at = text; (at = strstr(at, start)); at++) {
		struct label *label = &labels[count++];
		const char *tag = at;
		char shown[128];

		ck_assert_uint_lt(count, LABELS_MAX);
		while (*tag != '<')
			tag--;
		ck_assert_int_eq(sscanf(tag, "<text x=\"%lf\" y=\"%lf\"", &label->x, &label->y), 2);
		snprintf(shown, sizeof(shown), "%.*s", (int)strcspn(at + sizeof(start) - 1, "<"),
			 at + sizeof(start) - 1);
		label->right = label->x + LABEL_WIDTH * (double)words_columns(shown);
	}
	return count;
}

static void expect_apart(const struct label *labels, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ck_assert(labels[i].x >= 0 && labels[i].right <= 960);
		for (size_t k = 0; k < count; k++) {
			if (i == k)
				continue;
			/* Not on one another, and no line through a label: it ends at its own. */
			ck_assert_msg(labels[i].y != labels[k].y ||
					      labels[i].x >= labels[k].right ||
					      labels[k].x >= labels[i].right,
				      "labels %zu and %zu overlap", i, k);
			ck_assert_msg(labels[i].y <= labels[k].y ||
					      labels[i].x - 5 <= labels[k].x ||
					      labels[i].x - 5 >= labels[k].right,
				      "the line of %zu crosses label %zu", i, k);
		}
	}
}

/* A record with one incident whose marks lie anywhere, some of them nowhere. */
static cJSON *any_incident(uint64_t *state, double span)
{
	cJSON *record = cJSON_CreateObject(), *incident = cJSON_CreateObject();
	cJSON *incidents = cJSON_AddArrayToObject(record, "incidents");
	char key[32];

	cJSON_AddItemToArray(incidents, incident);
	cJSON_AddNumberToObject(cJSON_AddObjectToObject(record, "metrics"), "incident", 0);
	cJSON_AddNumberToObject(cJSON_AddObjectToObject(record, "drill"), "duration_s", span);
	cJSON_AddNumberToObject(incident, "frt_ns", span * 1e9 / 7);
	for (size_t i = 0; i < MARKS; i++) {
		double share;

		*state = *state * 6364136223846793005u + 1442695040888963407u;
		share = (double)(*state >> 40) / (1 << 24);
		snprintf(key, sizeof(key), "%s_ns", mark_names[i]);
		if (i == MARK_FAULT)
			cJSON_AddNumberToObject(incident, key, span * 1e9 / 3);
		else if (share < 0.9) /* a few at the same instant */
			cJSON_AddNumberToObject(incident, key,
						floor(share * 12) / 12 * span * 1e9 *
							(share < 0.5 ? 1 : share));
	}
	return record;
}

START_TEST(labels_of_the_incident_never_overlap)
{
	struct label labels[LABELS_MAX];
	uint64_t state = 7;
	size_t seen = 0;

	for (int i = 0; i < 2000; i++) {
		cJSON *record = any_incident(&state, pow(10, i % 9 - 1));
		char *text = NULL;
		size_t size = 0, count;
		FILE *page = open_memstream(&text, &size);

		html_gantt(page, record);
		fclose(page);
		count = read_labels(text, labels);
		expect_apart(labels, count);
		seen += count;
		free(text);
		cJSON_Delete(record);
	}
	ck_assert_uint_gt(seen, 20000);
}
END_TEST

/* Every mark of the record is in the picture and in the table, with its raw value on hover. */
START_TEST(every_mark_is_drawn_and_listed)
{
	struct label labels[LABELS_MAX];
	char *text, raw[64];

	sample_failover(&sample);
	write_sample();
	report(false);
	text = slurp(in_folder("report.html"));
	ck_assert_uint_eq(read_labels(text, labels), MARKS);
	for (size_t i = 0; i < MARKS; i++) {
		snprintf(raw, sizeof(raw), "<th scope=\"row\">%s</th>", mark_names[i]);
		ck_assert_msg(strstr(text, raw), "%s", raw);
		snprintf(raw, sizeof(raw), ">%.9f s after the fault</title>",
			 (double)(sample.incident.marks[i] - SAMPLE_FAULT) / 1e9);
		ck_assert_msg(strstr(text, raw), "%s", raw);
	}
	ck_assert_ptr_nonnull(strstr(text, "FRT objective 5 min"));
	ck_assert_ptr_nonnull(strstr(text, "<strong>FRT</strong> <data value=\"212.4\""));
	free(text);
}
END_TEST

/* ---- long lists ---- */

#define MANY 20000

START_TEST(a_long_run_is_cut_worst_first)
{
	static struct incident incidents[MANY];
	static struct fault_record faults[MANY];
	struct report_input input = {.out_dir = folder};
	struct error e = {0};
	struct timespec begin, end;
	struct stat status;
	char *text;

	sample_failover(&sample);
	for (size_t i = 0; i < MANY; i++) {
		incidents[i] = sample.incident;
		incidents[i].frt = (nanos)(i * 7919 % MANY) * NANOS_S;
		faults[i] = sample.fault;
	}
	faults[MANY - 1].effective = TRISTATE_FALSE;
	faults[MANY - 1].target = "the one without effect";
	sample.record.incidents = incidents;
	sample.record.faults = faults;
	sample.record.incident_count = sample.record.fault_count = MANY;
	write_sample();
	ck_assert_int_eq(report_load(folder, &input, &e), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	ck_assert_int_eq(report_html.write(&input, &e), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	report_free(&input);
	ck_assert_int_eq(stat(in_folder("report.html"), &status), 0);
	printf("a page of %d incidents: %.0f ms, %.0f kB\n", MANY,
	       (double)(end.tv_sec - begin.tv_sec) * 1e3 +
		       (double)(end.tv_nsec - begin.tv_nsec) / 1e6,
	       (double)status.st_size / 1e3);
	ck_assert_int_lt(end.tv_sec - begin.tv_sec, 2);
	ck_assert_int_lt(status.st_size, 5000000);
	text = slurp(in_folder("report.html"));
	ck_assert_ptr_nonnull(
		strstr(text, "These are 50 of 20,000 incidents, those with the longest FRT. All of "
			     "them are in record.json, with every event in events.jsonl."));
	ck_assert_ptr_nonnull(strstr(text, "These are 50 of 20,000 faults"));
	ck_assert_ptr_nonnull(strstr(text, "the one without effect"));
	ck_assert_ptr_nonnull(strstr(text, "<data value=\"19999\" title=\"19999 s\">"));
	ck_assert_ptr_null(strstr(text, "<data value=\"19949\" title=\"19949 s\">"));
	free(text);
}
END_TEST

/* ---- what people supplied, and what is left ---- */

START_TEST(the_drill_block_is_shown)
{
	static const char *const expected[] = {
		"<dt>purpose</dt><dd>nightly</dd>", "<dt>plan</dt><dd>id: DR-7, version: 3</dd>",
		"<dt>approved by</dt><dd>&lt;M. &amp; &quot;Co&quot;&gt;</dd>",
		"<dt>participants</dt><dd>role: auditor, independent: yes; role: on call</dd>",
		NULL};
	char *text;

	sample_failover(&sample);
	sample.scenario.drill_json =
		"{\"purpose\":\"nightly\",\"plan\":{\"id\":\"DR-7\",\"version\":3},"
		"\"approved_by\":\"<M. & \\\"Co\\\">\",\"participants\":[{\"role\":\"auditor\","
		"\"independent\":true},{\"role\":\"on call\"}]}";
	write_sample();
	report(false);
	text = slurp(in_folder("report.html"));
	expect_all(text, expected);
	ck_assert_ptr_null(strstr(text, "<dt>scenario sha256</dt>"));
	ck_assert_ptr_null(strstr(text, "No people took part"));
	free(text);
}
END_TEST

START_TEST(what_is_left_is_named)
{
	cJSON *record;
	char *text;

	sample_injected(&sample);
	sample.measured.residue[0] = "process 4711 (minilepton)";
	sample.measured.residue_count = 1;
	sample.fault.reverted = TRISTATE_FALSE;
	sample.record.verdict = VERDICT_RESIDUE;
	write_sample();
	record = parse_record();
	ck_assert_str_eq(at(record, "environment/residue/0")->valuestring,
			 "process 4711 (minilepton)");
	cJSON_Delete(record);
	report(false);
	text = slurp(in_folder("report.html"));
	ck_assert_ptr_nonnull(strstr(text, "left behind</span>: process 4711 (minilepton)</li>"));
	ck_assert_ptr_nonnull(strstr(text, "Faults taken back: 0. Not taken back: 1."));
	ck_assert_ptr_null(strstr(text, "Nothing is left of this drill"));
	free(text);
}
END_TEST

/* ---- report.md ---- */

START_TEST(markdown_says_it_in_short)
{
	static const char *const expected[] = {
		"## PASSED: gpu\\_loss (SIMULATED)\n",
		"Incident: `gpu.lost` on `primary/node[0]/gpu[3]`, recovered in 3 min 32.4 s. This "
		"result comes from a simulation. It is not a test of a real system.\n",
		"| FRT, fault to good service | 3 min 32.4 s | at most 5 min | met |\n",
		"| BRP, records lost | 28,800 | at most 80,000 | met |\n",
		"| Availability | 97.05 % | at least 97 % | met |\n",
		"| `gpu.lost` | `primary/node[0]/gpu[3]` | yes | yes |\n",
		"- **low**, 20 s: Data recovery took 53 % of FRT",
		"~~~sh\ndrsim run scenarios/gpu_loss.yaml --seed 42\n~~~\n",
		NULL};
	char *text;

	sample_failover(&sample);
	write_sample();
	report(false);
	text = slurp(in_folder("report.md"));
	expect_all(text, expected);
	ck_assert_uint_lt(strlen(text), 4000);
	free(text);
}
END_TEST

#define INJECTION                                                                                  \
	"a|b](http://evil.example) ![x](y) <img src=x> `c` @owner #7 **b** www.evil.example\n# "   \
	"H\n~~~\n"

/* Names and texts of a run stay text: no markup, no link, no mention, no more cells or lines. */
START_TEST(markdown_cannot_be_injected)
{
	static const char *const never[] = {"<img", "b](",   "x](", "`c`",  "**b**", "@owner",
					    "#7",   "\n# H", "://", "www.", "![",    NULL};
	char *text, *line, *rest, *code;
	int rows = 0;

	sample_failover(&sample);
	sample.scenario.name = sample.fault.name = sample.fault.target = sample.incident.fault =
		sample.incident.target = INJECTION;
	sample.record.findings[0].text = sample.record.abort_reason = INJECTION;
	sample.record.command = "drsim run '~~~\n~~~~\n# H'";
	write_sample();
	report(false);
	text = slurp(in_folder("report.md"));
	code = strstr(text, "\n~~~~~~~sh\ndrsim run '~~~\n~~~~\n# H'\n~~~~~~~\n");
	ck_assert_ptr_nonnull(code);
	*code = '\0';
	for (size_t i = 0; never[i]; i++)
		ck_assert_msg(!strstr(text, never[i]), "%s: %s", never[i], text);
	for (rest = text; (line = strsep(&rest, "\n"));) {
		int pipes = 0;

		if (line[0] != '|')
			continue;
		for (const char *c = line; *c; c++)
			pipes += *c == '|';
		ck_assert_int_eq(pipes, 5);
		rows++;
	}
	ck_assert_int_eq(rows, 11);
	free(text);
}
END_TEST

START_TEST(made_again_is_equal)
{
	static const char *const names[] = {
		"junit.xml",          "metrics.prom",      "report.html",       "report.md",
		"plots/incident.svg", "plots/service.svg", "plots/backups.svg", "plots/ecdf.svg"};
	char *first[sizeof(names) / sizeof(names[0])];
	size_t count = plot_available() ? sizeof(names) / sizeof(names[0]) : 4;

	sample_campaign(&sample);
	write_sample();
	report(true);
	for (size_t i = 0; i < count; i++)
		first[i] = slurp(in_folder(names[i]));
	report(true);
	for (size_t i = 0; i < count; i++) {
		char *again = slurp(in_folder(names[i]));

		ck_assert_str_eq(first[i], again);
		free(again);
		free(first[i]);
	}
}
END_TEST

START_TEST(works_without_gnuplot)
{
	const char *search = getenv("PATH");
	char *text, *path = strdup(search ? search : "");

	sample_failover(&sample);
	write_sample();
	setenv("PATH", "", 1);
	ck_assert(!plot_available());
	report(true);
	setenv("PATH", path, 1);
	free(path);
	text = slurp(in_folder("report.html"));
	ck_assert_ptr_nonnull(strstr(text, "gnuplot was not found"));
	ck_assert_int_ne(access(in_folder("plots/incident.svg"), F_OK), 0);
	free(text);
}
END_TEST

/* A gnuplot that fails, says nothing, or never stops talking costs the pictures and nothing else.
 */
START_TEST(works_with_a_broken_gnuplot)
{
	static const char *const scripts[] = {"#!/bin/sh\nexit 3\n", "#!/bin/sh\nexit 0\n",
					      "#!/bin/sh\nexec cat /dev/zero\n"};
	const char *search = getenv("PATH");
	char *text, *path = strdup(search ? search : ""), fake[512];

	sample_failover(&sample);
	write_sample();
	put_file("gnuplot", scripts[_i]);
	ck_assert_int_eq(chmod(in_folder("gnuplot"), 0755), 0);
	snprintf(fake, sizeof(fake), "%s:%s", folder, path);
	setenv("PATH", fake, 1);
	report(true);
	setenv("PATH", path, 1);
	free(path);
	text = slurp(in_folder("report.html"));
	ck_assert_ptr_nonnull(strstr(text, "could not draw"));
	free(text);
}
END_TEST

/* Files that may not grow past `_i` KiB stand for a full disk. */
START_TEST(full_disk_leaves_no_half_file)
{
	struct report_input input = {.out_dir = folder, .plots = false};
	struct rlimit before, small;
	struct error e = {0};
	struct dirent *entry;
	DIR *dir;

	sample_failover(&sample);
	write_sample();
	ck_assert_int_eq(report_load(folder, &input, &e), 0);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){.rlim_cur = (rlim_t)_i * 1024, .rlim_max = before.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(report_write_all(&input, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_IO);
	e = (struct error){0};
	if (_i < 4)
		ck_assert_int_eq(report_write_record(&sample.record, in_folder("second.json"), &e),
				 -1);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	report_free(&input);
	dir = opendir(folder);
	while ((entry = readdir(dir)))
		ck_assert_msg(!strstr(entry->d_name, ".tmp") &&
				      strcmp(entry->d_name, "report.html") != 0 &&
				      strcmp(entry->d_name, "second.json") != 0,
			      "%s was left", entry->d_name);
	closedir(dir);
}
END_TEST

/* ---- reading back ---- */

static const struct {
	const char *file, *text, *told;
} damaged[] = {
	{"record.json", "", "record.json:1: damaged record"},
	{"record.json", "{\n\"schema\":\n oops}", "record.json:3: damaged record: not JSON"},
	{"record.json", "{\"schema\":\"drsim/record/v9\"}", "not a record of schema"},
	{"record.json", "{\"schema\":\"drsim/record/v1\"}", "'drill.id' is missing"},
	{"record.json", "{\"schema\":\"drsim/record/v1\",\"drill\":{\"id\":3}}",
	 "'drill.id' has the wrong type"},
	{"events.jsonl", "{\"seq\":0,\"t_ns\":0,\"event\":\"a\"}\n{\"seq\":1,\"t_ns\"",
	 "events.jsonl:2: damaged events: the last line"},
	{"events.jsonl", "{\"seq\":0,\"t_ns\":0,\"event\":\"a\"}\nrubbish\n",
	 "events.jsonl:2: damaged event: not a JSON object"},
	{"events.jsonl", "{\"seq\":0,\"t_ns\":0,\"event\":\"a\"} {}\n",
	 "events.jsonl:1: damaged event"},
	{"events.jsonl",
	 "{\"seq\":0,\"t_ns\":5,\"event\":\"a\"}\n{\"seq\":2,\"t_ns\":5,\"event\":\"a\"}\n",
	 "events.jsonl:2: damaged events: 'seq' should be 1"},
	{"events.jsonl",
	 "{\"seq\":0,\"t_ns\":5,\"event\":\"a\"}\n{\"seq\":1,\"t_ns\":4,\"event\":\"a\"}\n",
	 "events.jsonl:2: damaged events: 't_ns' goes back"},
	{"events.jsonl", "{\"seq\":0,\"t_ns\":5}\n",
	 "events.jsonl:1: damaged event: 'event' is missing"},
	{"events.jsonl", "\n", "events.jsonl:1: damaged event"},
};

START_TEST(damaged_folder_is_refused)
{
	struct report_input input = {.out_dir = folder};
	struct error e = {0};

	sample_failover(&sample);
	write_sample();
	put_file(damaged[_i].file, damaged[_i].text);
	ck_assert_int_eq(report_load(folder, &input, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_IO);
	ck_assert_msg(strstr(e.text, damaged[_i].told), "'%s' lacks '%s'", e.text,
		      damaged[_i].told);
}
END_TEST

/* Whatever single byte of record.json is lost, loading either refuses it or the reports are still
 * made. */
/* What a real drill measured is read back as carefully as the rest. */
static const struct {
	const char *part, *instead, *told;
} twisted[] = {
	{"\"time\": 0.05", "\"time\": \"x\"", "'drill.scale.time' has the wrong type"},
	{"\"before_ns\"", "\"before\"", "'faults.before_ns' is missing"},
	{"\"wire\"", "\"wired\"", "'wire' is missing"},
	{"\"agrees\": true", "\"agrees\": 1", "'wire.agrees' has the wrong type"},
	{"\"read_back\"", "\"read\"", "'ledger.read_back' is missing"},
	{"\"lost\": [", "\"host\": [", "'environment.lost' is missing"},
};

START_TEST(a_twisted_measure_is_refused)
{
	struct report_input input = {.out_dir = folder};
	const char *part = twisted[_i].part;
	struct error e = {0};
	char *text, *at, *copy;
	size_t size;

	sample_injected(&sample);
	write_sample();
	text = slurp(in_folder("record.json"));
	at = strstr(text, part);
	ck_assert_ptr_nonnull(at);
	size = strlen(text) + strlen(twisted[_i].instead) + 1;
	copy = malloc(size);
	ck_assert_ptr_nonnull(copy);
	snprintf(copy, size, "%.*s%s%s", (int)(at - text), text, twisted[_i].instead,
		 at + strlen(part));
	put_file("record.json", copy);
	ck_assert_int_eq(report_load(folder, &input, &e), -1);
	ck_assert_msg(strstr(e.text, twisted[_i].told), "%s", e.text);
	free(copy);
	free(text);
}
END_TEST

START_TEST(survives_any_cut)
{
	struct report_input input = {.out_dir = folder};
	struct error e = {0};
	size_t length;
	char *text;

	sample_injected(&sample);
	write_sample();
	text = slurp(in_folder("record.json"));
	length = strlen(text);
	for (size_t i = 0; i < length; i += 29) {
		char *copy = strdup(text);

		memmove(copy + i, copy + i + 1, strlen(copy + i));
		put_file("record.json", copy);
		free(copy);
		e = (struct error){0};
		if (report_load(folder, &input, &e) == 0) {
			ck_assert_int_eq(report_write_all(&input, &e), 0);
			report_free(&input);
		} else {
			ck_assert_int_ne(e.text[0], 0);
		}
	}
	free(text);
}
END_TEST

START_TEST(too_large_is_refused)
{
	struct report_input input = {.out_dir = folder};
	struct error e = {0};

	sample_failover(&sample);
	write_sample();
	ck_assert_int_eq(truncate(in_folder("events.jsonl"), (off_t)REPORT_FILE_LIMIT + 1), 0);
	ck_assert_int_eq(report_load(folder, &input, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT);
	ck_assert_int_eq(unlink(in_folder("events.jsonl")), 0);
	ck_assert_int_eq(mkfifo(in_folder("events.jsonl"), 0600), 0);
	e = (struct error){0};
	ck_assert_int_eq(report_load(folder, &input, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "not a regular file"));
}
END_TEST

/* ---- for people ---- */

START_TEST(summary_fits_a_terminal)
{
	char *text = NULL, *line, *rest;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	if (_i < 4)
		samples[_i](&sample);
	else
		make_hostile();
	summary_print(&sample.record, "runs/x", file, false, 0);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, "runs/x"));
	if (_i == 0)
		ck_assert_ptr_nonnull(strstr(text, "Data recovery     1 min 52.4 s"));
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		ck_assert_msg(_i == 4 || words_columns(line) <= 100, "too wide: %s", line);
		for (const char *s = line; *s; s++)
			ck_assert_uint_ge((unsigned char)*s, 0x20);
	}
	free(text);
}
END_TEST

START_TEST(units_people_read)
{
	static const struct {
		double value;
		const char *unit, *text;
	} cases[] = {
		{0, "s", "0 s"},
		{212.4, "s", "3 min 32.4 s"},
		{9000, "s", "2 h 30 min"},
		{9300, "s", "2 h 35 min"},
		{86400, "s", "1 d"},
		{45e-3, "s", "45 ms"},
		{2.5e-3, "s", "2.5 ms"},
		{12e-6, "s", "12 \xc2\xb5s"},
		{59.99, "s", "1 min"},
		{119.99, "s", "2 min"},
		{3599.9, "s", "1 h"},
		{88200, "s", "1 d 30 min"},
		{3723, "s", "1 h 2 min 3 s"},
		{5400.4, "s", "1 h 30 min"},
		{86399.9, "s", "1 d"},
		{INFINITY, "s", "not recovered"},
		{NAN, "s", WORDS_NONE},
		{1e12, "bytes", "1 TB"},
		{999, "B", "999 B"},
		{999999, "bytes", "1 MB"},
		{1234567, "bytes", "1.23 MB"},
		{28800, "records", "28,800 records"},
		{0.97, "fraction", "97 %"},
		{0.999995, "fraction", "99.9995 %"},
		{1, "fraction", "100 %"},
		{0.99999999, "fraction", "99.999999 %"},
		{0, "fraction", "0 %"},
		{1234567, "count", "1,234,567"},
	};
	char text[WORDS_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_str_eq(text_value(text, cases[i].value, cases[i].unit), cases[i].text);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, make_folder, drop_folder);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	TCase *full = tcase_create("full_disk_leaves_no_half_file");

	add(suite, "record_keeps_the_contract", record_keeps_the_contract, 4);
	add(suite, "record_nulls_what_was_not_measured", record_nulls_what_was_not_measured, 1);
	add(suite, "record_prints_every_digit", record_prints_every_digit, 1);
	add(suite, "losses_are_summed_or_unknown", losses_are_summed_or_unknown, 1);
	add(suite, "nothing_judged_is_said", nothing_judged_is_said, 1);
	add(suite, "record_merges_the_drill_block", record_merges_the_drill_block, 1);
	add(suite, "record_varies_where_told", record_varies_by_host_and_clock_only_where_told, 1);
	add(suite, "ecdf_is_bounded_and_rises", ecdf_is_bounded_and_rises, 1);
	add(suite, "golden_records", golden_records, 4);
	add(suite, "junit_is_well_formed", junit_is_well_formed, 1);
	add(suite, "junit_tells_what_failed", junit_tells_what_failed, 3);
	add(suite, "openmetrics_grammar", openmetrics_grammar, 5);
	add(suite, "html_is_escaped_and_self_contained", html_is_escaped_and_self_contained, 1);
	add(suite, "html_says_what_was_found", html_says_what_was_found, 1);
	add(suite, "html for everyone", html_is_a_document_for_everyone, 5);
	add(suite, "first screen", the_first_screen_tells_it_all, 1);
	add(suite, "never a number", what_did_not_end_is_never_a_number, 1);
	add(suite, "labels", labels_of_the_incident_never_overlap, 1);
	add(suite, "every mark", every_mark_is_drawn_and_listed, 1);
	add(suite, "a long run", a_long_run_is_cut_worst_first, 1);
	add(suite, "the drill block", the_drill_block_is_shown, 1);
	add(suite, "what is left", what_is_left_is_named, 1);
	add(suite, "markdown", markdown_says_it_in_short, 1);
	add(suite, "markdown injection", markdown_cannot_be_injected, 1);
	add(suite, "wrong answers", wrong_answers_and_what_nobody_noticed_are_shown, 1);
	add(suite, "a real drill", a_real_drill_says_what_it_measured, 1);
	add(suite, "not measured", what_was_not_measured_is_said_too, 1);
	add(suite, "simulated", a_simulated_drill_measured_nothing, 1);
	add(suite, "made_again_is_equal", made_again_is_equal, 1);
	add(suite, "works_without_gnuplot", works_without_gnuplot, 1);
	add(suite, "works_with_a_broken_gnuplot", works_with_a_broken_gnuplot, 3);
	tcase_add_checked_fixture(full, make_folder, drop_folder);
	tcase_add_loop_test(full, full_disk_leaves_no_half_file, 1, 2);
	tcase_add_loop_test(full, full_disk_leaves_no_half_file, 6, 7);
	suite_add_tcase(suite, full);
	add(suite, "damaged_folder_is_refused", damaged_folder_is_refused,
	    sizeof(damaged) / sizeof(damaged[0]));
	add(suite, "twisted", a_twisted_measure_is_refused, sizeof(twisted) / sizeof(twisted[0]));
	add(suite, "survives_any_cut", survives_any_cut, 1);
	add(suite, "too_large_is_refused", too_large_is_refused, 1);
	add(suite, "what_was_not_read_back_is_not_called_whole",
	    what_was_not_read_back_is_not_called_whole, 1);
	add(suite, "summary_fits_a_terminal", summary_fits_a_terminal, 5);
	add(suite, "units_people_read", units_people_read, 1);
}

TEST_MAIN("reports", add_cases)
