/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks of record.json that are there for the evidence. */
#include "reports/json_evidence.h"

#include <string.h>

#include "reports/json_add.h"

#define TIMELINE_MAX (MARKS + 2) /* the marks of one incident, the start and the end */

static bool injected(const struct record *record)
{
	return strcmp(record->kind, "injected") == 0;
}

static const struct incident *headline(const struct record *record)
{
	return record->headline < 0 ? NULL : &record->incidents[record->headline];
}

static void add_null(cJSON *object, const char *key)
{
	must(cJSON_AddNullToObject(object, key));
}

static void add_bool(cJSON *object, const char *key, bool value)
{
	must(cJSON_AddBoolToObject(object, key, value));
}

/* ---- where it ran ---- */

static bool is_standby(const struct site *site)
{
	return site->standby.heat != HEAT_NONE;
}

/* The names of the sites that serve, or of those that stand by; null when there is none. */
static cJSON *sites(const struct scenario *scenario, bool standby)
{
	cJSON *list = must(cJSON_CreateArray());

	for (size_t i = 0; i < scenario->deployment.site_count; i++) {
		const struct site *site = &scenario->deployment.sites[i];

		if (is_standby(site) == standby)
			cJSON_AddItemToArray(list, must(cJSON_CreateString(site->name)));
	}
	if (cJSON_GetArraySize(list) > 0)
		return list;
	cJSON_Delete(list);
	return must(cJSON_CreateNull());
}

void json_environment(cJSON *drill, const struct record *record)
{
	static const char *const order[] = {"primary", "dr_site", "segregated", "versions"};
	cJSON *given = cJSON_DetachItemFromObjectCaseSensitive(drill, "environment");
	cJSON *environment = add_object(drill, "environment");

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(given, order[i]);

		/* Which sites there are is known. Whether they are segregated is not. */
		if (!item)
			item = i < 2 ? sites(record->scenario, i == 1) : must(cJSON_CreateNull());
		cJSON_AddItemToObject(environment, order[i], item);
	}
	cJSON_Delete(given);
}

/* ---- what came back ---- */

/* Acknowledged writes that were read back after the recovery and compared, each by its checksum. */
static void add_integrity(cJSON *root, const struct record *record)
{
	const struct measured *measured = record->measured;
	const struct ledger_record *ledger = measured ? &measured->ledger : NULL;
	cJSON *integrity = add_object(root, "integrity");

	if (!measured || !measured->ledger_known || ledger->read_back == 0) {
		add_null(integrity, "method");
		add_null(integrity, "sampled");
		add_null(integrity, "total");
		add_null(integrity, "mismatch");
		return;
	}
	add_text(integrity, "method",
		 "ledger of sequenced, checksummed writes, read back through the service");
	add_count(integrity, "sampled", ledger->read_back);
	add_count(integrity, "total", ledger->written);
	add_count(integrity, "mismatch", ledger->stale + ledger->altered + ledger->foreign);
}

/* Is class `c` a better choice than `best` to speak for the whole restore: the oldest point that
 * matters, which is where t_bp comes from? */
static bool speaks_for(const struct record *record, int c, int best)
{
	const struct data *data = record->scenario->deployment.data;
	const struct restored *restored = headline(record)->restored;
	bool changes = data[c].change > 0 || data[c].records > 0;

	if (best < 0)
		return true;
	if (changes != (data[best].change > 0 || data[best].records > 0))
		return changes;
	return restored[c].as_of < restored[best].as_of;
}

/* One restore: from which backup, or (null) from the standby's own replica. */
static void add_restored(cJSON *object, const struct restored *restored)
{
	bool backup = restored && restored->known && restored->backup >= 0;

	if (backup)
		add_integer(object, "id", restored->backup);
	else
		add_null(object, "id");
	add_text(object, "source",
		 !restored || !restored->known ? NULL
		 : backup                      ? "backup"
					       : "replica");
	add_nanos(object, "consistent_as_of_ns",
		  restored && restored->known ? restored->as_of : NANOS_NEVER);
	if (backup)
		add_bool(object, "verified", restored->verified);
	else
		add_null(object, "verified");
}

static void add_backup(cJSON *root, const struct record *record)
{
	const struct incident *incident = headline(record);
	cJSON *backup = add_object(root, "backup"), *classes;
	int best = -1;

	if (incident && incident->path != PATH_FAILOVER)
		incident =
			NULL; /* nothing was moved: what a given up move restored is not in use */
	for (int c = 0; incident && c < DATA_CLASSES; c++)
		if (incident->restored[c].known && speaks_for(record, c, best))
			best = c;
	add_restored(backup, best < 0 ? NULL : &incident->restored[best]);
	classes = add_object(backup, "by_class");
	for (int c = 0; incident && c < DATA_CLASSES; c++)
		if (incident->restored[c].known)
			add_restored(add_object(classes, data_class_names[c]),
				     &incident->restored[c]);
}

/* ---- and back ---- */

/* So long the backup system served alone: until the traffic went back, the next thing broke, or the
 * drill ended. */
static nanos sustained(const struct record *record, const struct incident *incident)
{
	nanos from = incident->marks[MARK_RESTORED], to = incident->marks[MARK_FAILBACK];

	if (from == NANOS_NEVER)
		return NANOS_NEVER;
	if (to == NANOS_NEVER)
		to = record->duration;
	for (size_t i = 0; i < record->incident_count; i++) {
		const struct incident *other = &record->incidents[i];

		if (other != incident && other->path != PATH_FALSE_ALARM && other->opened >= from &&
		    other->opened < to)
			to = other->opened;
	}
	return to > from ? to - from : 0;
}

static void add_failback(cJSON *root, const struct record *record)
{
	const struct incident *incident = headline(record);
	bool moved = incident && incident->path == PATH_FAILOVER;
	nanos back = moved ? incident->marks[MARK_FAILBACK] : NANOS_NEVER;
	nanos repaired = moved ? incident->marks[MARK_REPAIRED] : NANOS_NEVER;
	bool timed = back != NANOS_NEVER && repaired != NANOS_NEVER && back >= repaired;
	cJSON *failback = add_object(root, "failback");

	if (moved)
		add_bool(failback, "done", back != NANOS_NEVER);
	else
		add_null(failback, "done");
	add_seconds(failback, "duration_s", timed ? back - repaired : NANOS_NEVER);
	add_seconds(failback, "sustained_s", moved ? sustained(record, incident) : NANOS_NEVER);
}

/* ---- in order of time ---- */

static const char *const mark_texts[MARKS] = {
	[MARK_FAULT] = "the fault takes effect",
	[MARK_DETECT] = "a detector declares it",
	[MARK_DECIDE] = "the failover is decided",
	[MARK_SWITCH_BEGIN] = "the switch begins",
	[MARK_SWITCHED] = "traffic goes to the backup system, the old primary is fenced",
	[MARK_DATA_BEGIN] = "the restore of the data begins",
	[MARK_DATA_RESTORED] = "the data that serving needs are restored",
	[MARK_RESTORED] = "service is good again",
	[MARK_VERIFIED] = "what was restored is verified",
	[MARK_DIAGNOSED] = "the cause is named",
	[MARK_REPAIRED] = "what broke is repaired",
	[MARK_FAILBACK] = "traffic is back on the primary",
	[MARK_NORMAL] = "redundancy, backlog and latency are as before",
};

struct entry {
	nanos at;
	const char *mark, *text; /* mark NULL: the start and the end */
};

/* After what has the same time: the order of the marks is that of the recovery. */
static void put_entry(struct entry list[TIMELINE_MAX], size_t *count, struct entry entry)
{
	size_t at = (*count)++;

	for (; at > 0 && list[at - 1].at > entry.at; at--)
		list[at] = list[at - 1];
	list[at] = entry;
}

/* Of the headline incident: all of them are in `incidents`. */
static void add_timeline(cJSON *root, const struct record *record)
{
	const struct incident *incident = headline(record);
	cJSON *timeline = must(cJSON_AddArrayToObject(root, "timeline"));
	struct entry list[TIMELINE_MAX];
	size_t count = 0;
	char key[32];

	put_entry(list, &count, (struct entry){0, NULL, "the drill begins"});
	for (int i = 0; incident && i < MARKS; i++)
		if (mark_texts[i] && incident->marks[i] != NANOS_NEVER)
			put_entry(list, &count,
				  (struct entry){incident->marks[i], mark_names[i], mark_texts[i]});
	put_entry(list, &count, (struct entry){record->duration, NULL, "the drill ends"});
	for (size_t i = 0; i < count; i++) {
		cJSON *object = append_object(timeline);

		add_nanos(object, "t_ns", list[i].at);
		if (list[i].mark) {
			snprintf(key, sizeof(key), "%s_ns", list[i].mark);
			add_text(object, "mark", key);
		} else {
			add_null(object, "mark");
		}
		add_text(object, "text", list[i].text);
	}
}

/* What the times of a real drill are worth against other clocks. Virtual time has no date. */
static void add_clock(cJSON *root, const struct record *record)
{
	const struct clock_state *state = injected(record) ? record->clock : NULL;
	cJSON *clock = add_object(root, "clock");

	add_text(clock, "name", injected(record) ? "monotonic" : "virtual");
	add_text(clock, "anchor", injected(record) ? record->started : NULL);
	if (state)
		add_bool(clock, "synchronised", state->synchronised);
	else
		add_null(clock, "synchronised");
	add_real(clock, "max_error_s", state ? state->max_error_s : NAN);
}

void json_evidence(cJSON *root, const struct record *record)
{
	add_integrity(root, record);
	add_backup(root, record);
	add_failback(root, record);
	add_timeline(root, record);
	add_clock(root, record);
}
