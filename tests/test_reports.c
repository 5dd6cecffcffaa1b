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
#include <unistd.h>

#include "core/report.h"
#include "reports/json.h"
#include "reports/plot.h"
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
	summary_print(&sample.record, NULL, file, false);
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
	summary_print(&sample.record, NULL, file, false);
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
	ck_assert_ptr_nonnull(
		strstr(text, "3 min 32 s</span>; objective <span class=\"w\">5 min</span>: met."));
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
	summary_print(&sample.record, NULL, file, false);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, "  Wrong answers                1,234   requests"));
	ck_assert_ptr_nonnull(strstr(text, "Not noticed by any detector, nor by the platform."));
	free(text);
	write_sample();
	report(false);
	text = slurp(in_folder("report.html"));
	ck_assert_ptr_nonnull(strstr(text, "1,234 requests while it was open"));
	ck_assert_ptr_nonnull(strstr(text, "no: no detector declared it"));
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

	summary_print(&sample.record, NULL, file, false);
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
		"<h2>Measured on this host</h2>",
		"<td>Outage on the wire</td><td class=\"n\">3 min 31.9 s</td>",
		"they agree; at most 600 ms is allowed",
		"<td>lost</td><td class=\"n\">28,800</td>",
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

START_TEST(made_again_is_equal)
{
	static const char *const names[] = {
		"junit.xml",         "metrics.prom",      "report.html",   "plots/incident.svg",
		"plots/service.svg", "plots/backups.svg", "plots/ecdf.svg"};
	char *first[sizeof(names) / sizeof(names[0])];
	size_t count = plot_available() ? sizeof(names) / sizeof(names[0]) : 3;

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
	summary_print(&sample.record, "runs/x", file, false);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, "runs/x"));
	if (_i == 0)
		ck_assert_ptr_nonnull(strstr(text, "Data recovery     1 min 52.4 s"));
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		ck_assert_msg(_i == 4 || text_columns(line) <= 100, "too wide: %s", line);
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
	add(suite, "summary_fits_a_terminal", summary_fits_a_terminal, 5);
	add(suite, "units_people_read", units_people_read, 1);
}

TEST_MAIN("reports", add_cases)
