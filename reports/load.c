/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a run folder back: record.json and events.jsonl, bounded and checked, errors with file and
 * line. */
#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/report.h"
#include "core/timeline.h"
#include "reports/file.h"
#include "reports/json.h"
#include "reports/view.h"

/* A key that must be there: s string, n number, b boolean, o object, a array; upper case: or null.
 */
struct key {
	const char *path;
	char type;
};

static const struct key record_keys[] = {
	{"schema", 's'},
	{"drill.id", 'S'},
	{"drill.kind", 's'},
	{"drill.name", 's'},
	{"drill.driver", 's'},
	{"drill.seed", 'n'},
	{"drill.sham", 'b'},
	{"drill.version", 's'},
	{"drill.scenario_sha256", 's'},
	{"drill.started", 'S'},
	{"drill.duration_s", 'n'},
	{"verdict", 's'},
	{"objectives", 'a'},
	{"metrics", 'o'},
	{"metrics.incident", 'N'},
	{"metrics.frt_s", 'N'},
	{"metrics.detection_s", 'N'},
	{"metrics.decision_s", 'N'},
	{"metrics.recovery_s", 'N'},
	{"metrics.brt_s", 'N'},
	{"metrics.switch_s", 'N'},
	{"metrics.data_recovery_s", 'N'},
	{"metrics.overlap_s", 'N'},
	{"metrics.readiness_s", 'N'},
	{"metrics.brp", 'o'},
	{"metrics.brp.seconds", 'N'},
	{"metrics.brp.bytes", 'N'},
	{"metrics.brp.records", 'N'},
	{"metrics.brp.by_class", 'o'},
	{"metrics.availability.time", 'N'},
	{"metrics.availability.requests", 'N'},
	{"metrics.bad_s", 'N'},
	{"metrics.span_s", 'N'},
	{"metrics.unprotected_s", 'N'},
	{"incidents", 'a'},
	{"faults", 'a'},
	{"findings", 'a'},
	{NULL, 0},
};
static const struct key objective_keys[] = {
	{"name", 's'}, {"limit", 'n'}, {"quantile", 'N'}, {"achieved", 'N'},
	{"unit", 's'}, {"met", 'B'},   {NULL, 0},
};
static const struct key incident_keys[] = {
	{"path", 's'},        {"faults", 'a'},        {"t_fault_ns", 'N'},
	{"t_detect_ns", 'N'}, {"t_restored_ns", 'N'}, {"frt_ns", 'N'},
	{"brt_ns", 'N'},      {"brp", 'o'},           {NULL, 0},
};
static const struct key fault_keys[] = {
	{"step", 'n'},     {"name", 's'},    {"target", 's'},
	{"fidelity", 's'}, {"applied", 'b'}, {"effective", 'B'},
	{"reverted", 'B'}, {"residue", 'a'}, {NULL, 0},
};
static const struct key repair_keys[] = {
	{"count", 'n'}, {"mean_min", 'N'}, {"median_min", 'N'}, {NULL, 0}};
static const struct key cause_keys[] = {
	{"cause", 's'}, {"count", 'n'}, {"mean_min", 'N'}, {"median_min", 'N'}, {NULL, 0}};
static const struct key repairs_keys[] = {
	{"repairs.all", 'o'}, {"repairs.by_cause", 'a'}, {NULL, 0}};
static const struct key job_keys[] = {
	{"name", 's'},
	{"work_s", 'n'},
	{"wall_s", 'n'},
	{"ettr", 'N'},
	{"goodput", 'N'},
	{"restarts", 'n'},
	{"lost_work_s", 'n'},
	{"interruptions", 'n'},
	{"checkpoints", 'n'},
	{"bad_checkpoints", 'n'},
	{"down_s", 'n'},
	{"complete", 'b'},
	{NULL, 0},
};
static const struct key scale_keys[] = {
	{"drill.scale.time", 'n'}, {"drill.scale.bytes", 'n'}, {NULL, 0}};
static const struct key environment_keys[] = {
	{"wire", 'O'},
	{"environment.isolation", 'S'},
	{"environment.kernel", 'S'},
	{"environment.lost", 'a'},
	{NULL, 0},
};
static const struct key wire_keys[] = {
	{"outage_s", 'N'},  {"client_s", 'N'}, {"difference_s", 'N'},
	{"allowed_s", 'N'}, {"agrees", 'b'},   {NULL, 0},
};
static const struct key ledger_keys[] = {
	{"written", 'n'}, {"acknowledged", 'n'}, {"failed", 'n'},
	{"unknown", 'n'}, {"lost", 'n'},         {"stale", 'n'},
	{"altered", 'n'}, {"duplicated", 'n'},   {"acknowledged_twice", 'n'},
	{"foreign", 'n'}, {"read_back", 'n'},    {NULL, 0},
};
static const struct key interval_keys[] = {{"before_ns", 'n'}, {"after_ns", 'n'}, {NULL, 0}};
static const struct key finding_keys[] = {{"severity", 's'}, {"text", 's'}, {NULL, 0}};
static const struct key campaign_keys[] = {
	{"campaign.trials", 'n'},
	{"campaign.censored", 'n'},
	{"campaign.frt_s", 'o'},
	{"campaign.brt_s", 'o'},
	{"campaign.brp_seconds", 'o'},
	{"campaign.objective_met_fraction", 'o'},
	{NULL, 0},
};

static bool has_type(const cJSON *item, char type)
{
	if (item && cJSON_IsNull(item))
		return type >= 'A' && type <= 'Z';
	switch (type | 0x20) {
	case 's':
		return cJSON_IsString(item);
	case 'n':
		return cJSON_IsNumber(item);
	case 'b':
		return cJSON_IsBool(item);
	case 'o':
		return cJSON_IsObject(item);
	default:
		return cJSON_IsArray(item);
	}
}

/* `where`: "objectives[0]." or "". */
static int check_keys(const cJSON *object, const struct key *keys, const char *where,
		      const char *place, struct error *e)
{
	for (; keys->path; keys++) {
		const cJSON *item = view_get(object, keys->path);

		if (!item)
			return error_set(e, ERROR_IO, NO_PLACE,
					 "%s: damaged record: '%s%s' is missing", place, where,
					 keys->path);
		if (!has_type(item, keys->type))
			return error_set(e, ERROR_IO, NO_PLACE,
					 "%s: damaged record: '%s%s' has the wrong type", place,
					 where, keys->path);
	}
	return 0;
}

static int check_list(const cJSON *record, const char *name, const struct key *keys,
		      const char *place, struct error *e)
{
	const cJSON *item;
	size_t index = 0;
	char where[64];

	cJSON_ArrayForEach (item, view_get(record, name)) {
		snprintf(where, sizeof(where), "%s[%zu].", name, index++);
		if (check_keys(item, keys, where, place, e))
			return -1;
	}
	return 0;
}

/* What a real drill measured; a simulated one has none of it. */
static int check_measured(const cJSON *record, const char *place, struct error *e)
{
	const cJSON *fault;

	if (view_get(record, "drill.scale") && check_keys(record, scale_keys, "", place, e))
		return -1;
	if (view_get(record, "environment") && check_keys(record, environment_keys, "", place, e))
		return -1;
	if (cJSON_IsObject(view_get(record, "wire")) &&
	    check_keys(view_get(record, "wire"), wire_keys, "wire.", place, e))
		return -1;
	if (view_get(record, "ledger") &&
	    check_keys(view_get(record, "ledger"), ledger_keys, "ledger.", place, e))
		return -1;
	cJSON_ArrayForEach (fault, view_get(record, "faults"))
		if ((view_get(fault, "before_ns") || view_get(fault, "after_ns")) &&
		    check_keys(fault, interval_keys, "faults.", place, e))
			return -1;
	return 0;
}

static int check_record(const cJSON *record, const char *place, struct error *e)
{
	if (!view_is(record, "schema", "drsim/record/v1"))
		return error_set(e, ERROR_IO, NO_PLACE,
				 "%s: not a record of schema 'drsim/record/v1'", place);
	if (check_keys(record, record_keys, "", place, e))
		return -1;
	if (check_list(record, "objectives", objective_keys, place, e) ||
	    check_list(record, "incidents", incident_keys, place, e) ||
	    check_list(record, "faults", fault_keys, place, e) ||
	    check_list(record, "findings", finding_keys, place, e))
		return -1;
	if (view_get(record, "jobs") && check_list(record, "jobs", job_keys, place, e))
		return -1;
	if (view_get(record, "repairs") &&
	    (check_keys(record, repairs_keys, "", place, e) ||
	     check_keys(view_get(record, "repairs.all"), repair_keys, "repairs.all.", place, e) ||
	     check_list(record, "repairs.by_cause", cause_keys, place, e)))
		return -1;
	if (check_measured(record, place, e))
		return -1;
	if (!cJSON_IsNull(view_get(record, "metrics.incident")) && !view_headline(record))
		return error_set(e, ERROR_IO, NO_PLACE,
				 "%s: damaged record: 'metrics.incident' names no incident", place);
	if (view_get(record, "campaign"))
		return check_keys(record, campaign_keys, "", place, e);
	return 0;
}

/* Whole file, 0-terminated, to free(). */
static int read_file(const char *path, char **ret_text, size_t *ret_size, struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = -1;
	struct stat status;
	char *text = NULL;
	size_t size = 0;

	if (fd < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s", path,
				 strerror(errno));
	if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: not a regular file", path);
		goto out;
	}
	text = malloc(REPORT_FILE_LIMIT < (size_t)status.st_size ? 1 : (size_t)status.st_size + 2);
	if (!text || (size_t)status.st_size > REPORT_FILE_LIMIT) {
		error_set(e, ERROR_LIMIT, NO_PLACE,
			  "%s is larger than the %zu MiB that are read back", path,
			  REPORT_FILE_LIMIT >> 20);
		goto out;
	}
	while (size < (size_t)status.st_size) {
		ssize_t got = read(fd, text + size, (size_t)status.st_size - size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s", path,
				  got < 0 ? strerror(errno) : "it got shorter while it was read");
			goto out;
		}
		size += (size_t)got;
	}
	text[size] = '\0';
	*ret_text = text;
	*ret_size = size;
	text = NULL;
	rc = 0;
out:
	free(text);
	close(fd);
	return rc;
}

static uint32_t line_of(const char *text, const char *at)
{
	uint32_t line = 1;

	/* read_file() has filled it, which the analyser loses track of. */
	for (; text < at; text++) /* NOLINTNEXTLINE(clang-analyzer-core.*) */
		line += *text == '\n';
	return line;
}

/*
 * A seed has up to 64 bits, which a parsed number does not hold: its digits are taken from the
 * text, the first "seed" after "drill", which is how the writer lays it out; the parsed number is
 * what remains when that is not so.
 */
static void keep_seed(cJSON *record, const char *text)
{
	cJSON *drill = cJSON_GetObjectItemCaseSensitive(record, "drill"), *raw;
	const char *at = strstr(text, "\"drill\"");
	char digits[REAL_TEXT_MAX];
	size_t length = 0;

	at = at ? strstr(at, "\"seed\":") : NULL;
	if (at) {
		at += strlen("\"seed\":");
		at += strspn(at, " \t");
		length = strspn(at, "0123456789");
	}
	if (length > 0 && length <= 20)
		snprintf(digits, sizeof(digits), "%.*s", (int)length, at);
	else
		real_text(digits, view_real(record, "drill.seed"));
	raw = cJSON_CreateRaw(digits);
	if (raw && !cJSON_ReplaceItemInObjectCaseSensitive(drill, "seed", raw))
		cJSON_Delete(raw);
}

static int load_record(const char *path, cJSON **ret_record, struct error *e)
{
	const char *end = NULL;
	char place[REPORT_PATH_MAX + 16], *text = NULL;
	size_t size = 0;
	cJSON *record;

	if (read_file(path, &text, &size, e))
		return -1;
	assert(text);
	record = cJSON_ParseWithLengthOpts(text, size + 1, &end, 1);
	snprintf(place, sizeof(place), "%s", path);
	if (!record || strlen(text) != size) {
		snprintf(place, sizeof(place), "%s:%" PRIu32, path,
			 line_of(text, record ? text + strlen(text)
				       : end  ? end
					      : text));
		error_set(e, ERROR_IO, NO_PLACE, "%s: damaged record: not JSON from here on",
			  place);
		goto fail;
	}
	if (check_record(record, place, e))
		goto fail;
	keep_seed(record, text);
	free(text);
	*ret_record = record;
	return 0;
fail:
	cJSON_Delete(record);
	free(text);
	return -1;
}

/* One line without its end; `last` is the time of the line before. */
static int check_event(const cJSON *event, double seq, double *last, const char *place,
		       struct error *e)
{
	double t = view_real(event, "t_ns");

	if (!cJSON_IsObject(event))
		return error_set(e, ERROR_IO, NO_PLACE, "%s: damaged event: not a JSON object",
				 place);
	if (!view_text(event, "event"))
		return error_set(e, ERROR_IO, NO_PLACE, "%s: damaged event: 'event' is missing",
				 place);
	if (!(view_real(event, "seq") == seq))
		return error_set(e, ERROR_IO, NO_PLACE, "%s: damaged events: 'seq' should be %.0f",
				 place, seq);
	if (!(t >= *last))
		return error_set(e, ERROR_IO, NO_PLACE,
				 "%s: damaged events: 't_ns' goes back or is missing", place);
	*last = t;
	return 0;
}

static int load_events(const char *path, cJSON **ret_events, struct error *e)
{
	char place[REPORT_PATH_MAX + 16], *text = NULL, *line, *stop;
	cJSON *events, *event;
	double last = 0;
	size_t size = 0, count = 0;

	if (read_file(path, &text, &size, e))
		return -1;
	assert(text);
	events = cJSON_CreateArray();
	for (line = text; events && line < text + size; line = stop + 1) {
		snprintf(place, sizeof(place), "%s:%zu", path, count + 1);
		stop = memchr(line, '\n', (size_t)(text + size - line));
		if (!stop) {
			error_set(e, ERROR_IO, NO_PLACE,
				  "%s: damaged events: the last line is cut off", place);
			goto fail;
		}
		*stop = '\0';
		event = memchr(line, 0, (size_t)(stop - line)) ? NULL
							       : cJSON_ParseWithOpts(line, NULL, 1);
		if (check_event(event, (double)count++, &last, place, e)) {
			cJSON_Delete(event);
			goto fail;
		}
		cJSON_AddItemToArray(events, event);
	}
	if (!events) {
		error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
		goto fail;
	}
	free(text);
	*ret_events = events;
	return 0;
fail:
	cJSON_Delete(events);
	free(text);
	return -1;
}

int report_load_record(const char *run_dir, cJSON **ret_record, struct error *e)
{
	char path[REPORT_PATH_MAX];

	return report_path(path, run_dir, "record.json", e) || load_record(path, ret_record, e)
		       ? -1
		       : 0;
}

int report_load(const char *run_dir, struct report_input *ret_input, struct error *e)
{
	cJSON *record = NULL, *events = NULL;
	char path[REPORT_PATH_MAX];

	if (report_path(path, run_dir, "record.json", e) || load_record(path, &record, e))
		return -1;
	if (report_path(path, run_dir, "events.jsonl", e) || load_events(path, &events, e)) {
		cJSON_Delete(record);
		return -1;
	}
	ret_input->run_dir = run_dir;
	ret_input->record = record;
	ret_input->events = events;
	return 0;
}

void report_free(struct report_input *input)
{
	/* report_load() made them; the rest of the program only reads them, hence the const. */
	cJSON_Delete((cJSON *)(uintptr_t)input->record);
	cJSON_Delete((cJSON *)(uintptr_t)input->events);
	input->record = input->events = NULL;
}
