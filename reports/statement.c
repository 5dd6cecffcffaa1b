/* SPDX-License-Identifier: Apache-2.0 */
/* in-toto statements about a run: written from the record, read back with suspicion. */
#include "reports/statement.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/timeline.h"
#include "reports/artefacts.h"
#include "reports/view.h"

#ifndef DRSIM_VERSION
#define DRSIM_VERSION "unknown"
#endif

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define SEED_DIGITS 20
#define EVENTS_COUNT_MAX 9007199254740992.0 /* 2^53: what a number of JSON holds exactly */

static const char *const predicate_types[STATEMENTS] = {STATEMENT_DRILL, STATEMENT_TEST_RESULT};

/* ---- writing ---- */

static cJSON *must(cJSON *item)
{
	if (item)
		return item;
	fputs("drsim: out of memory\n", stderr);
	exit(3);
}

static void add_text(cJSON *object, const char *key, const char *value)
{
	must(value ? cJSON_AddStringToObject(object, key, value)
		   : cJSON_AddNullToObject(object, key));
}

static void add_raw(cJSON *object, const char *key, const char *text)
{
	must(cJSON_AddRawToObject(object, key, text));
}

static void add_real(cJSON *object, const char *key, double value)
{
	char text[REAL_TEXT_MAX];

	real_text(text, value); /* "null" when it is no number */
	add_raw(object, key, text);
}

static void add_digest(cJSON *object, const uint8_t digest[SHA_SIZE])
{
	char hex[SHA_HEX];

	add_text(must(cJSON_AddObjectToObject(object, "digest")), "sha256", sha_hex(digest, hex));
}

static cJSON *append(cJSON *array)
{
	cJSON *object = must(cJSON_CreateObject());

	cJSON_AddItemToArray(array, object);
	return object;
}

static void add_subjects(cJSON *root, const struct subjects *subjects)
{
	cJSON *array = must(cJSON_AddArrayToObject(root, "subject"));

	for (size_t i = 0; i < subjects->count; i++) {
		cJSON *subject = append(array);

		add_text(subject, "name", subjects->items[i].name);
		add_digest(subject, subjects->items[i].digest);
	}
}

/* A seed has more digits than a number of JSON holds for every reader: it is a text here. */
static const char *seed_text(uint64_t seed, char out[SEED_DIGITS + 1])
{
	snprintf(out, SEED_DIGITS + 1, "%" PRIu64, seed);
	return out;
}

static void add_drill(cJSON *predicate, const struct record *record)
{
	cJSON *drill = must(cJSON_AddObjectToObject(predicate, "drill")), *objectives, *log;
	char text[SEED_DIGITS + 1];

	add_text(drill, "id", record->id);
	add_text(drill, "kind", record->kind);
	add_text(drill, "name", record->scenario->name);
	add_text(drill, "driver", record->driver);
	add_text(drill, "seed", seed_text(record->seed, text));
	must(cJSON_AddBoolToObject(drill, "sham", record->sham));
	add_text(drill, "version", DRSIM_VERSION);
	add_text(drill, "scenario_sha256", record->scenario->sha256);
	add_text(drill, "started", record->started);
	add_text(predicate, "verdict", verdict_names[record->verdict]);
	objectives = must(cJSON_AddArrayToObject(predicate, "objectives"));
	for (size_t i = 0; i < record->objective_count; i++) {
		const struct objective_result *result = &record->objectives[i];
		cJSON *objective = append(objectives);

		add_text(objective, "name", result->name);
		add_real(objective, "limit", result->limit);
		add_real(objective, "quantile", result->quantile);
		add_real(objective, "achieved", result->achieved);
		add_text(objective, "unit", result->unit);
		add_raw(objective, "met",
			result->met == TRISTATE_NULL   ? "null"
			: result->met == TRISTATE_TRUE ? "true"
						       : "false");
	}
	log = must(cJSON_AddObjectToObject(predicate, "log"));
	add_text(log, "format", CHAIN_FORMAT);
	snprintf(text, sizeof(text), "%" PRIu64, record->log_events);
	add_raw(log, "events", text);
	add_text(log, "head", record->log_head);
}

static const char *result_text(const struct record *record)
{
	if (record->verdict != VERDICT_PASSED)
		return "FAILED";
	for (size_t i = 0; i < record->objective_count; i++)
		if (record->objectives[i].met == TRISTATE_NULL)
			return "WARNED";
	return "PASSED";
}

static void add_configuration(cJSON *predicate, const struct record *record,
			      const struct subject *scenario)
{
	cJSON *list = must(cJSON_AddArrayToObject(predicate, "configuration"));
	cJSON *resource = append(list), *annotations;
	char text[SEED_DIGITS + 1];

	add_text(resource, "name", "scenario.yaml");
	add_digest(resource, scenario->digest);
	annotations = must(cJSON_AddObjectToObject(resource, "annotations"));
	add_text(annotations, "kind", record->kind);
	add_text(annotations, "driver", record->driver);
	add_text(annotations, "seed", seed_text(record->seed, text));
	add_text(annotations, "version", DRSIM_VERSION);
}

static void add_tests(cJSON *predicate, const char *key, const struct record *record,
		      enum tristate met, struct arena *arena)
{
	cJSON *list = must(cJSON_AddArrayToObject(predicate, key));

	for (size_t i = 0; i < record->objective_count; i++)
		if (record->objectives[i].met == met)
			cJSON_AddItemToArray(list, must(cJSON_CreateString(arena_printf(
							   arena, "%s/%s/%s", record->kind,
							   record->scenario->name,
							   record->objectives[i].name))));
}

const char *statement_write(enum statement_kind kind, const struct subjects *subjects,
			    const struct record *record, struct arena *arena)
{
	cJSON *root = must(cJSON_CreateObject()), *predicate;
	const char *copy;
	char *text;

	add_text(root, "_type", STATEMENT_TYPE);
	add_subjects(root, subjects);
	add_text(root, "predicateType", predicate_types[kind]);
	predicate = must(cJSON_AddObjectToObject(root, "predicate"));
	if (kind == STATEMENT_OF_DRILL) {
		add_drill(predicate, record);
	} else {
		add_text(predicate, "result", result_text(record));
		add_configuration(predicate, record, subject_find(subjects, "scenario.yaml"));
		add_tests(predicate, "passedTests", record, TRISTATE_TRUE, arena);
		add_tests(predicate, "warnedTests", record, TRISTATE_NULL, arena);
		add_tests(predicate, "failedTests", record, TRISTATE_FALSE, arena);
	}
	text = cJSON_PrintUnformatted(root);
	if (!text)
		must(NULL);
	copy = arena_strdup(arena, text);
	cJSON_free(text);
	cJSON_Delete(root);
	return copy;
}

/* ---- reading ---- */

static int refuse(struct error *e, const char *why)
{
	return error_set(e, ERROR_IO, NO_PLACE, "its statement %s", why);
}

static int by_name(const void *name, const void *subject)
{
	return strcmp(name, ((const struct subject *)subject)->name);
}

const struct subject *subject_find(const struct subjects *subjects, const char *name)
{
	if (subjects->count == 0)
		return NULL;
	return bsearch(name, subjects->items, subjects->count, sizeof(subjects->items[0]), by_name);
}

static int read_subject(const cJSON *item, const char *before, struct arena *arena,
			struct subject *ret_subject, struct error *e)
{
	const char *name = view_text(item, "name"), *hex = view_text(item, "digest.sha256");

	if (!name || !artefact_name_ok(name) || strcmp(name, ATTESTATION_FILE) == 0)
		return refuse(e, "names a subject that is no file of a run");
	if (before && strcmp(before, name) >= 0)
		return refuse(e, "has its subjects in another order than that of their names");
	if (!hex || strlen(hex) != SHA_HEX - 1 || !sha_parse(hex, ret_subject->digest))
		return refuse(e, "has a subject without a SHA-256");
	ret_subject->name = arena_strdup(arena, name);
	return 0;
}

static int read_subjects(const cJSON *root, struct arena *arena, struct subjects *ret_subjects,
			 struct error *e)
{
	static const char *const needed[] = {"events.chain", "events.jsonl", "record.json",
					     "scenario.yaml"};
	const cJSON *array = view_get(root, "subject"), *item;
	int count = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
	struct subjects subjects = {0};

	if (count == 0 || count > ARTEFACTS_MAX)
		return refuse(e, "has no subjects, or more than a run has files");
	subjects.items = arena_array(arena, (size_t)count, sizeof(subjects.items[0]));
	cJSON_ArrayForEach (item, array) {
		const char *before =
			subjects.count > 0 ? subjects.items[subjects.count - 1].name : NULL;

		if (read_subject(item, before, arena, &subjects.items[subjects.count], e))
			return -1;
		subjects.count++;
	}
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!subject_find(&subjects, needed[i]))
			return error_set(e, ERROR_IO, NO_PLACE,
					 "its statement does not have %s as a subject", needed[i]);
	*ret_subjects = subjects;
	return 0;
}

static bool read_seed(const char *text, uint64_t *ret_seed)
{
	uint64_t seed = 0;
	size_t length = text ? strlen(text) : 0;

	if (length == 0 || length > SEED_DIGITS || (length > 1 && *text == '0'))
		return false;
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9' || seed > (UINT64_MAX - digit) / 10)
			return false;
		seed = seed * 10 + digit;
	}
	*ret_seed = seed;
	return true;
}

static const char *take_text(const cJSON *root, const char *path, struct arena *arena)
{
	const char *text = view_text(root, path);

	return text ? arena_strdup(arena, text) : NULL;
}

static int read_drill(const cJSON *root, struct arena *arena, struct statement *ret,
		      struct error *e)
{
	const char *seed = view_text(root, "predicate.drill.seed"),
		   *scenario = view_text(root, "predicate.drill.scenario_sha256"),
		   *head = view_text(root, "predicate.log.head");
	double events = view_real(root, "predicate.log.events");
	const struct subject *file = subject_find(&ret->subjects, "scenario.yaml");

	ret->id = take_text(root, "predicate.drill.id", arena);
	ret->kind = take_text(root, "predicate.drill.kind", arena);
	ret->name = take_text(root, "predicate.drill.name", arena);
	ret->version = take_text(root, "predicate.drill.version", arena);
	ret->verdict = take_text(root, "predicate.verdict", arena);
	if (!ret->id || !artefact_name_ok(ret->id) || strchr(ret->id, '/') || !ret->kind ||
	    !ret->name || !ret->version || !ret->verdict || !read_seed(seed, &ret->seed))
		return refuse(e, "does not say what was run and what came of it");
	if (!scenario || strlen(scenario) != SHA_HEX - 1 || !sha_parse(scenario, ret->scenario) ||
	    memcmp(ret->scenario, file->digest, SHA_SIZE) != 0)
		return refuse(e, "is of another scenario than scenario.yaml");
	if (!view_is(root, "predicate.log.format", CHAIN_FORMAT) || !head ||
	    strlen(head) != SHA_HEX - 1 || !sha_parse(head, ret->head.last) || !(events >= 0) ||
	    events > EVENTS_COUNT_MAX || floor(events) != events)
		return refuse(e, "does not say how the events end");
	ret->head.events = (uint64_t)events;
	chain_origin(ret->scenario, ret->seed, ret->version, ret->head.origin);
	return 0;
}

int statement_read(enum statement_kind kind, const char *payload, size_t size, struct arena *arena,
		   struct statement *ret_statement, struct error *e)
{
	cJSON *root = cJSON_ParseWithLength(payload, size);
	struct statement statement = {0};
	int rc;

	if (!root)
		return refuse(e, "is not JSON");
	if (!view_is(root, "_type", STATEMENT_TYPE) ||
	    !view_is(root, "predicateType", predicate_types[kind]))
		rc = error_set(e, ERROR_IO, NO_PLACE, "its statement is not of type %s",
			       predicate_types[kind]);
	else
		rc = read_subjects(root, arena, &statement.subjects, e);
	if (rc == 0 && kind == STATEMENT_OF_DRILL)
		rc = read_drill(root, arena, &statement, e);
	else if (rc == 0 && !view_text(root, "predicate.result"))
		rc = refuse(e, "has no result");
	cJSON_Delete(root);
	if (rc == 0)
		*ret_statement = statement;
	return rc;
}
