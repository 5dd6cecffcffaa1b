/* SPDX-License-Identifier: Apache-2.0 */
/* Drills judged by their timeline alone. */
#include "tests/audit.h"

#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <check.h>

#include "core/report.h"

/* ---- a folder of its own for each test ---- */

void bench_open(struct bench *b)
{
	*b = (struct bench){.folder = "/tmp/drsim-drills-XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(b->folder));
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

void bench_close(struct bench *b)
{
	ck_assert_int_eq(nftw(b->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	arena_free(&b->arena);
}

const char *bench_path(struct bench *b, const char *name)
{
	return arena_printf(&b->arena, "%s/%s", b->folder, name);
}

char *bench_read(struct bench *b, const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "re");
	struct stat status;
	char *text;

	ck_assert_msg(file != NULL, "cannot open %s", path);
	ck_assert_int_eq(fstat(fileno(file), &status), 0);
	text = arena_alloc(&b->arena, (size_t)status.st_size + 1);
	ck_assert_uint_eq(fread(text, 1, (size_t)status.st_size, file), (size_t)status.st_size);
	fclose(file);
	if (ret_size)
		*ret_size = (size_t)status.st_size;
	return text;
}

void bench_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	ck_assert_msg(file != NULL, "cannot create %s", path);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

/* ---- what the timeline says ---- */

const char *const audit_marks[TS] = {
	"t_fault",      "t_detect",        "t_decide",   "t_switch_begin", "t_switched",
	"t_data_begin", "t_data_restored", "t_restored", "t_verified",     "t_diagnosed",
	"t_repaired",   "t_failback",      "t_normal",   "t_loss",         "t_bp",
};

const cJSON *audit_field(const cJSON *event, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(event, key);

	must(item != NULL, "no '%s' in %s", key, cJSON_PrintUnformatted(event));
	return item;
}

/* An integer below 2^53 has lost nothing on its way through cJSON. */
nanos audit_number(const cJSON *event, const char *key)
{
	const cJSON *item = audit_field(event, key);

	if (cJSON_IsNull(item))
		return NEVER;
	must(cJSON_IsNumber(item) && fabs(item->valuedouble) < 9007199254740992.0 &&
		     item->valuedouble == floor(item->valuedouble),
	     "'%s' is no integer", key);
	return (nanos)item->valuedouble;
}

const char *audit_word(const cJSON *event, const char *key)
{
	const cJSON *item = audit_field(event, key);

	return cJSON_IsString(item) ? item->valuestring : "";
}

bool audit_is(const cJSON *event, const char *name)
{
	return strcmp(audit_word(event, "event"), name) == 0;
}

static struct history *incident_of(struct audit *a, const cJSON *event)
{
	nanos index = audit_number(event, "incident");

	must(index >= 0 && index < (nanos)a->count, "no such incident");
	return &a->incidents[index];
}

static void hear_open(struct audit *a, const cJSON *event, nanos t)
{
	struct history *h = &a->incidents[a->count];

	must(a->count < INCIDENTS_SEEN_MAX, "more than %d", INCIDENTS_SEEN_MAX);
	ck_assert_int_eq(audit_number(event, "incident"), (nanos)a->count);
	a->count++;
	*h = (struct history){.opened = t, .alarm = audit_number(event, "step") == NEVER};
	h->faults = !h->alarm;
	snprintf(h->target, sizeof(h->target), "%s", audit_word(event, "target"));
	h->ever_bad = a->bad_now > 0;
	for (int i = 0; i < TS; i++)
		h->t[i] = NEVER;
}

/* Opened or joined by a fault. */
static void hear_broken(struct audit *a, const cJSON *event)
{
	struct history *h = incident_of(a, event);

	if (audit_number(event, "step") == NEVER)
		return;
	must(a->broken_count < INCIDENTS_SEEN_MAX, "more than %d", INCIDENTS_SEEN_MAX);
	a->broken[a->broken_count].step = audit_number(event, "step");
	a->broken[a->broken_count].undone = false;
	a->broken[a->broken_count].damages = strncmp(audit_word(event, "fault"), "data.", 5) == 0 &&
					     strncmp(audit_word(event, "target"), "data/", 5) == 0;
	a->broken[a->broken_count++].incident = (size_t)(h - a->incidents);
}

static void hear_undone(struct audit *a, const cJSON *event)
{
	for (size_t i = 0; i < a->broken_count; i++)
		if (a->broken[i].step == audit_number(event, "step") && !a->broken[i].undone) {
			a->broken[i].undone = true;
			return;
		}
}

static void hear_close(struct audit *a, const cJSON *event, nanos t)
{
	struct history *h = incident_of(a, event);

	must(!h->closed, "an incident is closed twice");
	h->closed = true;
	h->ended = t;
	h->bad_at_close = a->bad_now;
	h->wrong = audit_number(event, "wrong");
	h->undetected = cJSON_IsTrue(audit_field(event, "undetected")) != 0;
	for (size_t i = 0; i < a->broken_count; i++) {
		if (a->broken[i].incident != (size_t)(h - a->incidents) || a->broken[i].undone)
			continue;
		h->left++;
		h->damaged |= a->broken[i].damages; /* what was taken back harms nobody now */
	}
	snprintf(h->path, sizeof(h->path), "%s", audit_word(event, "path"));
}

static void hear_mark(struct audit *a, const cJSON *event, nanos t)
{
	struct history *h = incident_of(a, event);
	nanos at = audit_number(event, "at_ns");
	int i = 0;

	while (i < TS && strcmp(audit_marks[i], audit_word(event, "mark")) != 0)
		i++;
	must(i < TS, "unknown mark '%s'", audit_word(event, "mark"));
	must(!h->closed, "a mark of a closed incident");
	must(at == NEVER || at <= t, "%s lies in the future", audit_marks[i]);
	if ((i == T_DETECT || i == T_DECIDE) && h->t[i] != NEVER)
		return;
	if (i == T_FAULT && h->t[i] != NEVER)
		must(at == t && at == h->joined && !h->ever_bad && h->t[T_DETECT] == NEVER,
		     "t_fault moves although harm was done");
	h->t[i] = at;
}

/* What lies in the store breaks no job and no service. */
static bool in_store(const struct history *h)
{
	return strstr(h->target, "/ckpt[") || strstr(h->target, "backup[") ||
	       strcmp(h->target, "store") == 0;
}

static void hear_service(struct audit *a, const cJSON *event, nanos t, bool bad)
{
	nanos since = audit_number(event, "since_ns");
	size_t i = 0;

	while (i < a->endpoint_count && strcmp(a->endpoints[i], audit_word(event, "endpoint")) != 0)
		i++;
	if (i == a->endpoint_count) {
		must(i < ENDPOINTS_SEEN_MAX, "more than %d", ENDPOINTS_SEEN_MAX);
		snprintf(a->endpoints[i], sizeof(a->endpoints[i]), "%s",
			 audit_word(event, "endpoint"));
		a->endpoint_count++;
	}
	must(since <= t, "service since the future");
	must(a->bad[i] != bad, "an endpoint is %s twice", bad ? "bad" : "good");
	a->bad[i] = bad;
	if (!bad) {
		a->bad_now--;
		a->outages[a->outage_count++] = (struct outage){a->since[i], since};
		return;
	}
	a->bad_now++;
	a->since[i] = since;
	for (size_t k = 0; k < a->count; k++)
		a->incidents[k].ever_bad |=
			!a->incidents[k].closed && !in_store(&a->incidents[k]);
}

static struct job_book *book_of(struct audit *a, const cJSON *event)
{
	const char *name = audit_word(event, "job");
	size_t i = 0;

	while (i < a->job_count && strcmp(a->jobs[i].name, name) != 0)
		i++;
	if (i == a->job_count) {
		must(i < JOBS_SEEN_MAX, "more than %d", JOBS_SEEN_MAX);
		snprintf(a->jobs[a->job_count++].name, sizeof(a->jobs[0].name), "%s", name);
	}
	return &a->jobs[i];
}

/* The incident of the job's site. */
static void hear_loss(struct audit *a, const cJSON *event, nanos lost)
{
	for (size_t k = 0; k < a->count; k++) {
		struct history *h = &a->incidents[k];

		if (h->closed || in_store(h))
			continue;
		if (!h->restarted || lost > h->lost) {
			h->lost = lost;
			h->stopped = audit_number(event, "stopped_ns");
			h->as_of = audit_number(event, "as_of_ns");
		}
		h->restarted = true;
	}
}

static void hear_restore(struct audit *a, struct job_book *book, const cJSON *event)
{
	nanos lost = book->progress - audit_number(event, "progress_ns");

	must(book->down, "a checkpoint is read by a job that runs");
	if (!cJSON_IsTrue(audit_field(event, "ok"))) {
		book->bad++;
		return;
	}
	ck_assert_int_eq(audit_number(event, "lost_ns"), lost);
	book->restarts++;
	book->lost += lost;
	hear_loss(a, event, lost);
}

/* Books of a job: down from the first failure until it runs again; its saves are counted from 0. */
static void hear_job(struct audit *a, const cJSON *event, nanos t)
{
	struct job_book *book = book_of(a, event);

	if (audit_is(event, "job.restore")) {
		hear_restore(a, book, event);
	} else if (audit_is(event, "job.checkpoint")) {
		must(audit_number(event, "begin_ns") <= t, "a save ends before it begins");
		if (cJSON_IsTrue(audit_field(event, "ok")))
			ck_assert_int_eq(audit_number(event, "checkpoint"), book->saves++);
	} else if (strcmp(audit_word(event, "state"), "Failed") == 0) {
		book->interruptions++;
		if (book->down)
			return;
		book->down = true;
		book->since = t;
		book->progress = audit_number(event, "progress_ns");
	} else if (book->down && strcmp(audit_word(event, "state"), "Running") == 0) {
		book->down = false;
		book->down_sum += t - book->since;
	}
}

/* A later pulse may have no effect: then the fault had none. */
static void hear_verdict(struct audit *a, const cJSON *event)
{
	nanos step = audit_number(event, "step");

	must(step < STEPS_SEEN_MAX, "more than %d", STEPS_SEEN_MAX);
	if (cJSON_IsTrue(audit_field(event, "effective"))) {
		a->effective++;
		a->took[step] = true;
	} else if (a->took[step]) {
		a->effective--;
	}
}

static void hear_fault(struct audit *a, const cJSON *event)
{
	if (audit_is(event, "fault.inject"))
		a->injected++;
	else if (audit_is(event, "fault.verdict"))
		hear_verdict(a, event);
	else if (audit_is(event, "fault.revert")) {
		a->reverted += cJSON_IsTrue(audit_field(event, "reverted")) != 0;
		a->dirty += cJSON_IsFalse(audit_field(event, "reverted")) != 0;
		a->dirty += cJSON_GetArraySize(audit_field(event, "residue")) > 0;
	}
}

/* Actions end once, after they began; ids count up. */
static void hear_action(struct audit *a, const cJSON *event)
{
	nanos id = audit_number(event, "action");

	if (audit_is(event, "action.begin")) {
		must(id > a->last_action, "action %" PRId64 " begins twice", id);
		a->last_action = id;
		a->actions_open++;
		if (audit_number(event, "incident") != NEVER)
			incident_of(a, event)->acted = true;
		return;
	}
	must(id <= a->last_action, "action %" PRId64 " ends and never began", id);
	must(a->actions_open-- > 0, "more actions end than began");
}

static void hear(struct audit *a, const cJSON *event)
{
	nanos t = audit_number(event, "t_ns");

	must(audit_number(event, "seq") == a->lines, "seq is not %" PRId64, a->lines);
	must(t >= a->last_t, "time goes back at seq %" PRId64, a->lines);
	must(a->reason[0] == '\0', "an event after run.end");
	a->last_t = t;
	a->lines++;
	hear_fault(a, event);
	if (audit_is(event, "action.begin") || audit_is(event, "action.end"))
		hear_action(a, event);
	if (audit_is(event, "fault.revert"))
		hear_undone(a, event);
	if (audit_is(event, "incident.open")) {
		hear_open(a, event, t);
		hear_broken(a, event);
	} else if (audit_is(event, "incident.join")) {
		incident_of(a, event)->faults++;
		incident_of(a, event)->joined = t;
		hear_broken(a, event);
	} else if (audit_is(event, "mark")) {
		hear_mark(a, event, t);
	} else if (audit_is(event, "service.bad") || audit_is(event, "service.good")) {
		hear_service(a, event, t, audit_is(event, "service.bad"));
	} else if (strncmp(audit_word(event, "event"), "job.", 4) == 0) {
		hear_job(a, event, t);
	} else if (audit_is(event, "detector.declare")) {
		a->declared++;
	} else if (audit_is(event, "incident.close")) {
		hear_close(a, event, t);
	} else if (audit_is(event, "run.end")) {
		a->end = t;
		snprintf(a->reason, sizeof(a->reason), "%s", audit_word(event, "reason"));
	}
}

/* Every instant at which any endpoint was bad, once; a good one is heard of late, so that outages
 * that look as one in the order of the lines may be two. */
static void add_up_outages(struct audit *a)
{
	nanos first = NEVER, last = 0, began = 0;

	for (size_t i = 0; i < a->endpoint_count; i++)
		if (a->bad[i])
			a->outages[a->outage_count++] = (struct outage){a->since[i], a->end};
	for (size_t i = 1; i < a->outage_count; i++) /* insertion: they are nearly in order */
		for (size_t k = i; k > 0 && a->outages[k].from < a->outages[k - 1].from; k--) {
			struct outage swap = a->outages[k];

			a->outages[k] = a->outages[k - 1];
			a->outages[k - 1] = swap;
		}
	for (size_t i = 0; i < a->outage_count; i++) {
		nanos from = a->outages[i].from, to = a->outages[i].to;

		first = from < first ? from : first;
		began = i == 0 || from > last ? from : began;
		from = i > 0 && from < last ? last : from;
		a->bad_sum += to > from ? to - from : 0;
		last = to > last ? to : last;
		a->bad_longest = last - began > a->bad_longest ? last - began : a->bad_longest;
	}
	a->bad_span = first == NEVER ? 0 : last - first;
}

/* `text` is taken apart. */
void audit_text(struct bench *b, char *text, size_t size, struct audit *a)
{
	size_t lines = 0, i = 0;
	char *rest = NULL;

	memset(a, 0, sizeof(*a));
	for (size_t k = 0; k < size; k++)
		lines += text[k] == '\n';
	must(size > 0 && text[size - 1] == '\n', "the last line is cut off");
	a->events = arena_array(&b->arena, lines + 1, sizeof(*a->events));
	a->outages = arena_array(&b->arena, lines + ENDPOINTS_SEEN_MAX, sizeof(*a->outages));
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		a->events[i] = cJSON_Parse(line);
		must(a->events[i] != NULL, "not JSON: %s", line);
		hear(a, a->events[i++]);
	}
	ck_assert_str_ne(a->reason, "");
	add_up_outages(a);
}

void audit_read(struct bench *b, const char *path, struct audit *a)
{
	size_t size;
	char *text = bench_read(b, path, &size);

	audit_text(b, text, size, a);
}

void audit_free(struct audit *a)
{
	for (int64_t i = 0; i < a->lines; i++)
		cJSON_Delete(a->events[i]);
	a->lines = 0;
}

/* ---- phases, worked out here from the definitions ---- */

static nanos minus(nanos to, nanos from)
{
	return to == NEVER || from == NEVER ? NEVER : to - from;
}

static nanos begin_of(const struct history *h)
{
	return h->t[T_SWITCH_BEGIN] < h->t[T_DATA_BEGIN] ? h->t[T_SWITCH_BEGIN]
							 : h->t[T_DATA_BEGIN];
}

static nanos ready_of(const struct history *h)
{
	nanos a = h->t[T_SWITCHED], b = h->t[T_DATA_RESTORED];

	if (a == NEVER || b == NEVER)
		return a == NEVER ? b : a;
	return a > b ? a : b;
}

static void work_out(struct history *h)
{
	struct phases *p = &h->phases;
	bool moved = strcmp(h->path, "failover") == 0, alarm = strcmp(h->path, "false_alarm") == 0;

	p->detection = minus(h->t[T_DETECT], h->t[T_FAULT]);
	p->decision = p->switching = p->data = p->overlap = p->brt = p->readiness = NEVER;
	p->frt = NEVER;
	if (moved || alarm) {
		p->decision = minus(begin_of(h), h->t[T_DETECT]);
		p->switching = minus(h->t[T_SWITCHED], h->t[T_SWITCH_BEGIN]);
		p->data = minus(h->t[T_DATA_RESTORED], h->t[T_DATA_BEGIN]);
		p->brt = minus(ready_of(h), begin_of(h));
		p->readiness = minus(h->t[T_RESTORED], ready_of(h));
		if (p->switching != NEVER && p->data != NEVER)
			p->overlap = p->switching + p->data - p->brt;
	}
	if (!alarm && strcmp(h->path, "unrecovered") != 0)
		p->frt = minus(h->t[T_RESTORED], h->t[T_FAULT]);
	if (strcmp(h->path, "absorbed") == 0 && p->frt == NEVER)
		p->frt = 0;
}

static void in_order(const struct history *h, const int order[], int count)
{
	int last = -1;

	for (int i = 0; i < count; i++) {
		if (h->t[order[i]] == NEVER)
			continue;
		if (last >= 0)
			must(h->t[last] <= h->t[order[i]],
			     "%s (%" PRId64 ") is after %s (%" PRId64 "), path %s",
			     audit_marks[last], h->t[last], audit_marks[order[i]], h->t[order[i]],
			     h->path);
		last = order[i];
	}
}

static void check_order(const struct history *h)
{
	static const int onset[] = {T_FAULT, T_DETECT, T_DECIDE};
	static const int to_switch[] = {T_DECIDE, T_SWITCH_BEGIN, T_SWITCHED};
	static const int to_data[] = {T_DECIDE, T_DATA_BEGIN, T_DATA_RESTORED, T_VERIFIED};
	static const int mend[] = {T_DETECT, T_DIAGNOSED, T_REPAIRED, T_FAILBACK, T_NORMAL};
	static const int back[] = {T_RESTORED, T_NORMAL};
	static const int loss[] = {T_BP, T_LOSS};

	in_order(h, onset, 3);
	in_order(h, to_switch, 3);
	in_order(h, to_data, 4);
	in_order(h, mend, 5);
	in_order(h, back, 2);
	in_order(h, loss, 2);
}

static void check_failover(const struct history *h)
{
	static const int needed[] = {T_FAULT,    T_DETECT,     T_DECIDE,        T_SWITCH_BEGIN,
				     T_SWITCHED, T_DATA_BEGIN, T_DATA_RESTORED, T_RESTORED};
	const struct phases *p = &h->phases;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		must(h->t[needed[i]] != NEVER, "a failover without %s", audit_marks[needed[i]]);
	ck_assert_int_ge(p->detection, 0);
	ck_assert_int_ge(p->decision, 0);
	ck_assert_int_ge(p->brt, 0);
	must(p->readiness >= 0, "t_restored is before t_ready");
	ck_assert_int_eq(p->detection + p->decision + p->brt + p->readiness, p->frt);
	ck_assert_int_eq(p->switching + p->data - p->overlap, p->brt);
}

/* What nobody finds and still does harm is no success, however good the service looked. */
static void check_unseen(const struct history *h)
{
	bool harms = h->damaged || (h->left > 0 && h->wrong > 0);
	bool unrecovered = strcmp(h->path, "unrecovered") == 0;

	if (h->undetected) {
		must(!h->alarm, "a false alarm that nobody raised");
		must(h->t[T_DETECT] == NEVER, "undetected, with t_detect");
		must(h->t[T_DIAGNOSED] == NEVER, "undetected, with t_diagnosed");
		must(!h->acted, "undetected, and yet somebody acted");
		must(unrecovered || !harms, "path %s, while a fault nobody found goes on", h->path);
	}
	if (unrecovered)
		must(h->bad_at_close > 0 || (h->undetected && harms),
		     "unrecovered, but nothing is bad and nothing is hidden");
}

static void check_incident(struct history *h)
{
	int known = 0;

	must(h->closed, "an incident was never closed");
	for (int i = 0; i < PATHS; i++)
		known += strcmp(h->path, path_names[i]) == 0;
	must(known == 1, "path '%s'", h->path);
	ck_assert_int_eq(h->alarm, strcmp(h->path, "false_alarm") == 0);
	ck_assert_int_eq(h->alarm, h->t[T_FAULT] == NEVER);
	ck_assert_int_eq(h->alarm, h->faults == 0);
	if (!h->alarm)
		ck_assert_int_ge(h->t[T_FAULT], h->opened);
	work_out(h);
	check_order(h);
	check_unseen(h);
	if (strcmp(h->path, "failover") == 0)
		check_failover(h);
	else if (strcmp(h->path, "unrecovered") == 0)
		must(h->t[T_RESTORED] == NEVER, "unrecovered, with t_restored");
	else if (!h->alarm)
		must(h->t[T_RESTORED] != NEVER, "%s without t_restored", h->path);
	if (strcmp(h->path, "absorbed") == 0 && !h->ever_bad)
		ck_assert_int_eq(h->phases.frt, 0);
	if (strcmp(h->path, "in_place") == 0)
		must(h->ever_bad, "in place, but nothing was ever bad");
}

void audit_check(struct audit *a)
{
	for (size_t i = 0; i < a->count; i++)
		check_incident(&a->incidents[i]);
	ck_assert_uint_eq(a->dirty, 0);
	must(a->effective <= a->reverted, "%u faults took effect, %u were reverted", a->effective,
	     a->reverted);
}

/* ---- the record against that ---- */

const cJSON *audit_under(const cJSON *object, const char *a, const char *b)
{
	const cJSON *item = audit_field(object, a);

	return b ? audit_field(item, b) : item;
}

static void same_seconds(const cJSON *item, nanos value)
{
	if (value == NEVER)
		ck_assert_msg(cJSON_IsNull(item), "%s is not null", item->string);
	else
		ck_assert_msg(cJSON_IsNumber(item) && llround(item->valuedouble * 1e9) == value,
			      "%s: %.9f s, not %" PRId64 " ns", item->string, item->valuedouble,
			      value);
}

static void compare_incident(const struct history *h, const cJSON *json)
{
	static const char *const keys[] = {"detection_ns",     "decision_ns", "switch_ns",
					   "data_recovery_ns", "overlap_ns",  "readiness_ns",
					   "brt_ns",           "frt_ns"};
	const struct phases *p = &h->phases;
	const nanos values[] = {p->detection, p->decision,  p->switching, p->data,
				p->overlap,   p->readiness, p->brt,       p->frt};
	char key[32];

	ck_assert_str_eq(audit_word(json, "path"), h->path);
	for (int i = 0; i < TS; i++) {
		snprintf(key, sizeof(key), "%s_ns", audit_marks[i]);
		ck_assert_msg(audit_number(json, key) == h->t[i], "%s differs from the events",
			      key);
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		ck_assert_msg(audit_number(json, keys[i]) == values[i],
			      "%s: %" PRId64 ", not %" PRId64, keys[i], audit_number(json, keys[i]),
			      values[i]);
	ck_assert_int_eq(cJSON_GetArraySize(audit_field(json, "faults")), (int)h->faults);
	ck_assert_int_eq(audit_number(json, "wrong"), h->wrong);
	ck_assert_int_eq(cJSON_IsTrue(audit_field(json, "undetected")), h->undetected);
}

/* The largest FRT, unrecovered being longer than any; the first of equals. */
int audit_headline(const struct audit *a)
{
	int best = -1;

	for (size_t i = 0; i < a->count; i++)
		if (!a->incidents[i].alarm &&
		    (best < 0 || a->incidents[i].phases.frt > a->incidents[best].phases.frt))
			best = (int)i;
	return best;
}

static void compare_metrics(const struct audit *a, const cJSON *metrics)
{
	int headline = audit_headline(a);
	nanos open = 0, covered = 0;

	if (headline < 0) {
		ck_assert(cJSON_IsNull(audit_field(metrics, "incident")));
		ck_assert(cJSON_IsNull(audit_field(metrics, "frt_s")));
	} else {
		const struct phases *p = &a->incidents[headline].phases;

		ck_assert_int_eq(audit_number(metrics, "incident"), headline);
		same_seconds(audit_field(metrics, "frt_s"), p->frt);
		same_seconds(audit_field(metrics, "detection_s"), p->detection);
		same_seconds(audit_field(metrics, "decision_s"), p->decision);
		same_seconds(audit_field(metrics, "brt_s"), p->brt);
		same_seconds(audit_field(metrics, "switch_s"), p->switching);
		same_seconds(audit_field(metrics, "data_recovery_s"), p->data);
		same_seconds(audit_field(metrics, "overlap_s"), p->overlap);
		same_seconds(audit_field(metrics, "readiness_s"), p->readiness);
	}
	for (size_t i = 0; i < a->count; i++) {
		const struct history *h = &a->incidents[i];
		nanos from = h->opened > covered ? h->opened : covered;
		nanos to = h->t[T_NORMAL] == NEVER ? h->ended : h->t[T_NORMAL];

		if (h->alarm || to <= from)
			continue;
		open += to - from;
		covered = to;
	}
	same_seconds(audit_field(metrics, "unprotected_s"), open);
	same_seconds(audit_field(metrics, "bad_s"), a->bad_sum);
	same_seconds(audit_field(metrics, "longest_bad_s"), a->bad_longest);
	same_seconds(audit_field(metrics, "span_s"), a->bad_span);
	ck_assert(fabs(audit_under(metrics, "availability", "time")->valuedouble -
		       (1 - (double)a->bad_sum / (double)a->end)) < 1e-12);
}

/* BRP in seconds is t_loss - t_bp to the nanosecond, unless nothing at all could be restored. */
static void compare_loss(const struct history *h, const cJSON *json)
{
	const cJSON *brp = audit_field(json, "brp"), *seconds = audit_field(brp, "seconds");

	if (strcmp(h->path, "unrecovered") == 0 || h->t[T_BP] == NEVER || cJSON_IsNull(seconds))
		return;
	if (h->restarted && strcmp(h->path, "in_place") == 0) {
		ck_assert_int_eq(h->t[T_LOSS], h->stopped);
		ck_assert_int_eq(h->t[T_BP], h->as_of);
		same_seconds(seconds, h->lost); /* of progress, which stands still in a hang */
		return;
	}
	same_seconds(seconds, h->t[T_LOSS] - h->t[T_BP]);
}

static void compare_jobs(const struct audit *a, const cJSON *record)
{
	const cJSON *jobs = cJSON_GetObjectItemCaseSensitive(record, "jobs");

	ck_assert_int_eq(jobs ? cJSON_GetArraySize(jobs) : 0, (int)a->job_count);
	for (size_t i = 0; i < a->job_count; i++) {
		const struct job_book *book = &a->jobs[i];
		const cJSON *json = cJSON_GetArrayItem(jobs, (int)i);
		nanos down = book->down_sum + (book->down ? a->end - book->since : 0);

		ck_assert_str_eq(book->name + strlen("job/"), audit_word(json, "name"));
		ck_assert_int_eq(audit_number(json, "interruptions"), book->interruptions);
		ck_assert_int_eq(audit_number(json, "restarts"), book->restarts);
		ck_assert_int_eq(audit_number(json, "checkpoints"), book->saves);
		ck_assert_int_eq(audit_number(json, "bad_checkpoints"), book->bad);
		same_seconds(audit_field(json, "lost_work_s"), book->lost);
		same_seconds(audit_field(json, "down_s"), down);
		ck_assert(fabs(audit_field(json, "ettr")->valuedouble -
			       audit_field(json, "work_s")->valuedouble /
				       audit_field(json, "wall_s")->valuedouble) < 1e-12);
	}
}

void audit_compare(struct audit *a, const cJSON *record)
{
	const cJSON *incidents = audit_field(record, "incidents"), *fault;
	unsigned effective = 0, reverted = 0, applied = 0;

	ck_assert_int_eq(cJSON_GetArraySize(incidents), (int)a->count);
	for (size_t i = 0; i < a->count; i++) {
		const cJSON *json = cJSON_GetArrayItem(incidents, (int)i);

		compare_incident(&a->incidents[i], json);
		compare_loss(&a->incidents[i], json);
	}
	compare_metrics(a, audit_field(record, "metrics"));
	compare_jobs(a, record);
	cJSON_ArrayForEach (fault, audit_field(record, "faults")) {
		effective += cJSON_IsTrue(audit_field(fault, "effective")) != 0;
		applied += cJSON_IsTrue(audit_field(fault, "applied")) != 0;
		reverted += cJSON_IsTrue(audit_field(fault, "reverted")) != 0;
		ck_assert_int_eq(cJSON_GetArraySize(audit_field(fault, "residue")), 0);
	}
	ck_assert_uint_eq(effective, a->effective);
	ck_assert_uint_eq(reverted, a->reverted);
	ck_assert_uint_eq(applied, reverted);
	same_seconds(audit_under(record, "drill", "duration_s"), a->end);
}

cJSON *bench_record(struct bench *b, const char *folder)
{
	cJSON *record =
		cJSON_Parse(bench_read(b, arena_printf(&b->arena, "%s/record.json", folder), NULL));

	ck_assert_msg(record != NULL, "record.json is not JSON");
	return record;
}

/* ---- chance ---- */

uint64_t dice_roll(struct dice *dice)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

unsigned dice_below(struct dice *dice, unsigned n)
{
	return (unsigned)(dice_roll(dice) % n);
}

bool dice_chance(struct dice *dice, unsigned percent)
{
	return dice_below(dice, 100) < percent;
}

const char *dice_pick(struct dice *dice, const char *const *words, size_t count)
{
	return words[dice_below(dice, (unsigned)count)];
}

/* ---- running them inside this process ---- */

void bench_load(struct arena *arena, const char *text, struct scenario **ret)
{
	struct error errors[4] = {0};
	size_t count = 0;

	ck_assert_msg(scenario_parse("case.yaml", text, strlen(text), NULL, 0, arena, ret, errors,
				     4, &count) == 0,
		      "%u:%u: %s\n%s", errors[0].place.line, errors[0].place.column, errors[0].text,
		      text);
}

/* One trial; events and record end up in memory. */
void bench_run(struct bench *b, const struct scenario *scenario, uint64_t seed, char **ret_events,
	       size_t *ret_size, struct record *record)
{
	struct run_options options = {.driver = driver_find("sim"), .seed = seed};
	struct timeline *timeline = arena_alloc(&b->arena, sizeof(*timeline));
	struct error e = {0};
	struct run *run;

	ck_assert_msg(run_new(scenario, &options, &run, &e) == 0, "%s", e.text);
	timeline->file = open_memstream(ret_events, ret_size);
	ck_assert_ptr_nonnull(timeline->file);
	*record = (struct record){.scenario = scenario,
				  .driver = "sim",
				  .kind = "simulated",
				  .id = "test",
				  .started = "2000-01-01T00:00:00Z",
				  .seed = seed,
				  .headline = -1};
	ck_assert_msg(run_trial(run, 0, timeline, record, &e) == 0, "%s", e.text);
	ck_assert_int_eq(fclose(timeline->file), 0);
	remove(bench_path(b, "record.json"));
	ck_assert_int_eq(report_write_record(record, bench_path(b, "record.json"), &e), 0);
	for (size_t i = 0; i < record->incident_count; i++)
		ck_assert_msg(incident_check(&record->incidents[i], &e) == 0, "%s", e.text);
	run_free(run);
}

/* A disturbance after the recovery: the service was good for a whole window, and no fault came
 * since. */
static bool is_later(const struct outage *outage, const struct history *h, nanos window)
{
	nanos restored = h->t[T_RESTORED];

	return outage->from - restored >= window &&
	       (h->joined <= restored || h->joined > outage->from);
}

/* With one primary every outage belongs to what was broken there: it is over at t_restored. */
void audit_outages(const struct audit *a, nanos window)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct history *h = &a->incidents[i];

		if (h->alarm || h->t[T_RESTORED] == NEVER || !strchr("ped", h->target[0]))
			continue;
		for (size_t k = 0; k < a->outage_count; k++)
			must(a->outages[k].from >= h->ended || a->outages[k].to <= h->opened ||
				     a->outages[k].to <= h->t[T_RESTORED] ||
				     is_later(&a->outages[k], h, window),
			     "incident %zu, path %s: bad until %" PRId64 ", t_restored %" PRId64, i,
			     h->path, a->outages[k].to, h->t[T_RESTORED]);
	}
}

/* Every request that was sent found one end, but for those still on their way. */
void audit_requests(const cJSON *record)
{
	const cJSON *requests = audit_field(record, "requests");
	static const char *const ends[] = {"good", "wrong", "late", "failed"};
	nanos sent = audit_number(requests, "sent"), ended = 0;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		ended += audit_number(requests, ends[i]);
	must(ended <= sent + 4 && ended >= sent - 2000,
	     "%" PRId64 " requests sent, %" PRId64 " ended", sent, ended);
}
