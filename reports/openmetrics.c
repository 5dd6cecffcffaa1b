/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.prom, OpenMetrics 1.0 text: what a monitoring system keeps of each drill. No run ids as
 * labels, they would make a new time series every night. What was not measured has no sample.
 */
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/record.h"
#include "core/report.h"
#include "reports/file.h"
#include "reports/table.h"
#include "reports/view.h"

static void family(FILE *file, const char *name, const char *type, const char *unit,
		   const char *help)
{
	fprintf(file, "# TYPE %s %s\n", name, type);
	if (unit)
		fprintf(file, "# UNIT %s %s\n", name, unit);
	fprintf(file, "# HELP %s %s\n", name, help);
}

/* ABNF escaped-string: backslash, quote and newline have escapes, every other character stands for
 * itself. */
static void label(FILE *file, const char *name, const char *value)
{
	fprintf(file, "%s=\"", name);
	while (*value) {
		size_t length = utf8_length((const unsigned char *)value);

		if (length == 0)
			fputs("\xef\xbf\xbd", file);
		else if (*value == '\\' || *value == '"')
			fprintf(file, "\\%c", *value);
		else if (*value == '\n')
			fputs("\\n", file);
		else
			fwrite(value, 1, length, file);
		value += length > 0 ? length : 1;
	}
	fputc('"', file);
}

/* One sample; `extra` is a further label, or NULL. */
static void sample(FILE *file, const cJSON *record, const char *name, const char *extra,
		   const char *extra_value, double value)
{
	char number[REAL_TEXT_MAX];

	if (!isfinite(value))
		return;
	real_text(number, value);
	fprintf(file, "%s{", name);
	label(file, "drill", view_text_or(record, "drill.name", ""));
	fputc(',', file);
	label(file, "kind", view_text_or(record, "drill.kind", ""));
	if (extra) {
		fputc(',', file);
		label(file, extra, extra_value);
	}
	fprintf(file, "} %s\n", number);
}

static void write_measures(FILE *file, const cJSON *record)
{
	static const struct {
		const char *name, *unit, *path, *help;
	} gauges[] = {
		{"drsim_fault_recovery_seconds", "seconds", "metrics.frt_s",
		 "FRT of the drill's worst incident: from the fault to stable good service."},
		{"drsim_backup_recovery_seconds", "seconds", "metrics.brt_s",
		 "BRT: switch to the backup system and data recovery."},
		{"drsim_recovery_point_age_seconds", "seconds", "metrics.brp.seconds",
		 "BRP: age of the restored recovery point at the loss, worst data class."},
		{"drsim_lost_bytes", "bytes", "metrics.brp.bytes",
		 "Acknowledged writes lost, worst data class."},
		{"drsim_lost_records", "records", "metrics.brp.records",
		 "Acknowledged records lost, worst data class."},
	};
	static const struct {
		const char *phase, *path;
	} phases[] = {
		{"detection", "metrics.detection_s"}, {"decision", "metrics.decision_s"},
		{"switch", "metrics.switch_s"},       {"data_recovery", "metrics.data_recovery_s"},
		{"readiness", "metrics.readiness_s"},
	};

	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
		family(file, gauges[i].name, "gauge", gauges[i].unit, gauges[i].help);
		sample(file, record, gauges[i].name, NULL, NULL, view_real(record, gauges[i].path));
	}
	family(file, "drsim_phase_duration_seconds", "gauge", "seconds",
	       "Duration of each phase of the worst incident.");
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
		sample(file, record, "drsim_phase_duration_seconds", "phase", phases[i].phase,
		       view_real(record, phases[i].path));
}

/* Of a real drill alone. */
static void write_measured(FILE *file, const cJSON *record)
{
	static const char *const fates[] = {
		"written", "acknowledged", "failed",     "unknown",   "lost",
		"stale",   "altered",      "duplicated", "read_back", "acknowledged_twice",
		"foreign",
	};
	const cJSON *ledger = view_get(record, "ledger");

	if (!isnan(view_real(record, "wire.outage_s"))) {
		family(file, "drsim_wire_outage_seconds", "gauge", "seconds",
		       "Outage of the client in the capture of its link.");
		sample(file, record, "drsim_wire_outage_seconds", NULL, NULL,
		       view_real(record, "wire.outage_s"));
	}
	if (!ledger)
		return;
	family(file, "drsim_ledger_records", "gauge", "records",
	       "What became of the records that the client wrote.");
	for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
		sample(file, record, "drsim_ledger_records", "fate", fates[i],
		       view_real(ledger, fates[i]));
}

/* `count` digits at *text as a number, and the character after them; -1 when it is not that. */
static int digits(const char **text, int count, const char *after)
{
	int value = 0;

	for (; count > 0; count--, (*text)++) {
		if (**text < '0' || **text > '9')
			return -1;
		value = value * 10 + (**text - '0');
	}
	if (*after && (!**text || !strchr(after, **text)))
		return -1;
	*text += *after != '\0';
	return value;
}

/* "2026-03-01T02:00:00.5Z" or with an offset "+01:00" as whole seconds since 1970; NAN when it is
 * not that (RFC 3339). */
static double rfc3339(const char *text)
{
	static const char *const after[] = {"-", "-", "Tt ", ":", ":", ""};
	int fields[6], offset = 0, year, month, hour, minute;
	int64_t days;

	for (int i = 0; i < 6; i++) {
		fields[i] = text ? digits(&text, i == 0 ? 4 : 2, after[i]) : -1;
		if (fields[i] < 0)
			return NAN;
	}
	if (fields[1] < 1 || fields[1] > 12)
		return NAN;
	if (*text == '.')
		text += 1 + strspn(text + 1, "0123456789");
	if (*text == '+' || *text == '-') {
		int sign = *text++ == '-' ? -1 : 1;

		hour = digits(&text, 2, ":");
		minute = hour < 0 ? -1 : digits(&text, 2, "");
		if (minute < 0)
			return NAN;
		offset = sign * (hour * 60 + minute) * 60;
	}
	year = fields[0];
	month = fields[1];
	/* Days since 1970 of a Gregorian date whose year begins in March, so that the leap day
	 * comes last. */
	year -= month <= 2;
	days = (year % 400) * 365 + (year % 400) / 4 - (year % 400) / 100;
	days += (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + fields[2] - 1;
	days += (int64_t)(year / 400) * 146097 - 719468;
	return (double)(days * 86400 + fields[3] * 3600 + fields[4] * 60 + fields[5] - offset);
}

static int write_report(const struct report_input *input, struct error *e)
{
	const cJSON *record = input->record, *objective;
	struct report_file out;

	if (report_file_begin(&out, input->out_dir, "metrics.prom", e))
		return -1;
	write_measures(out.file, record);
	write_measured(out.file, record);
	family(out.file, "drsim_objective_met", "gauge", NULL,
	       "1 where the objective was met, 0 where it was missed.");
	cJSON_ArrayForEach (objective, view_get(record, "objectives")) {
		int met = view_bool(objective, "met");

		sample(out.file, record, "drsim_objective_met", "objective",
		       view_text_or(objective, "name", ""), met < 0 ? NAN : met);
	}
	family(out.file, "drsim_drills", "counter", NULL, "Drills in this file by result.");
	sample(out.file, record, "drsim_drills_total", "result",
	       view_text_or(record, "verdict", ""), 1);
	family(out.file, "drsim_last_drill_timestamp_seconds", "gauge", "seconds",
	       "Start of the drill, Unix time.");
	sample(out.file, record, "drsim_last_drill_timestamp_seconds", NULL, NULL,
	       rfc3339(view_text(record, "drill.started")));
	family(out.file, "drsim_drill", "info", NULL,
	       "What ran. A simulated drill is not a test of the real system.");
	fputs("drsim_drill_info{", out.file);
	label(out.file, "drill", view_text_or(record, "drill.name", ""));
	fputc(',', out.file);
	label(out.file, "kind", view_text_or(record, "drill.kind", ""));
	fputc(',', out.file);
	label(out.file, "driver", view_text_or(record, "drill.driver", ""));
	fputc(',', out.file);
	label(out.file, "version", view_text_or(record, "drill.version", ""));
	fputs("} 1\n# EOF\n", out.file);
	return report_file_end(&out, 0, e);
}

const struct report_ops report_openmetrics = {
	.name = "openmetrics",
	.file = "metrics.prom",
	.help = "the measures for Prometheus and other monitoring systems",
	.write = write_report,
};
