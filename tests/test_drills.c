/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drills from end to end, judged by the timeline alone: marks, phases, losses and books are worked
 * out here a second time, from the lines of events.jsonl in integer nanoseconds, and compared with
 * what the program says of itself. DRILLS_CASE=n runs one random case alone and prints it.
 */
/* valgrind: skip */
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "core/campaign.h"
#include "core/run.h"
#include "tests/test.h"

#define NEVER NANOS_NEVER
#define INCIDENTS_SEEN_MAX 512
#define ENDPOINTS_SEEN_MAX 8
#define STEPS_SEEN_MAX 64
#define ARGS_MAX 24

extern char **environ;

/* ---- a folder of its own for each test ---- */

struct bench {
	struct arena arena;
	char folder[64];
	unsigned runs;
};

static void bench_open(struct bench *b)
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

static void bench_close(struct bench *b)
{
	ck_assert_int_eq(nftw(b->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	arena_free(&b->arena);
}

static const char *bench_path(struct bench *b, const char *name)
{
	return arena_printf(&b->arena, "%s/%s", b->folder, name);
}

static char *read_text(struct bench *b, const char *path, size_t *ret_size)
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

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	ck_assert_msg(file != NULL, "cannot create %s", path);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

/* ---- what the timeline says ---- */

enum { T_FAULT, T_DETECT, T_DECIDE, T_SWITCH_BEGIN, T_SWITCHED, T_DATA_BEGIN, T_DATA_RESTORED,
       T_RESTORED, T_VERIFIED, T_DIAGNOSED, T_REPAIRED, T_FAILBACK, T_NORMAL, T_LOSS, T_BP, TS };

static const char *const names[TS] = {
	"t_fault",      "t_detect",      "t_decide",        "t_switch_begin", "t_switched",
	"t_data_begin", "t_data_restored", "t_restored",    "t_verified",     "t_diagnosed",
	"t_repaired",   "t_failback",    "t_normal",        "t_loss",         "t_bp",
};

struct phases {
	nanos detection, decision, switching, data, overlap, brt, readiness, frt;
};

/* One incident as its events tell it. */
struct history {
	bool closed, alarm, ever_bad;
	char path[16];
	nanos opened, ended, t[TS];
	struct phases phases;
	unsigned faults, bad_at_close;
};

struct audit {
	struct history incidents[INCIDENTS_SEEN_MAX];
	size_t count;
	char endpoints[ENDPOINTS_SEEN_MAX][32]; /* that were bad at some time */
	bool bad[ENDPOINTS_SEEN_MAX];
	size_t endpoint_count;
	unsigned bad_now, injected, effective, reverted, dirty, declared;
	nanos bad_from, bad_sum, first_bad, last_bad, last_t, end;
	nanos good_since;
	int64_t lines;
	char reason[16];
	cJSON **events; /* all lines, parsed */
};

static const cJSON *field(const cJSON *event, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(event, key);

	ck_assert_msg(item != NULL, "no '%s' in %s", key, cJSON_PrintUnformatted(event));
	return item;
}

/* An integer below 2^53 has lost nothing on its way through cJSON. */
static nanos number(const cJSON *event, const char *key)
{
	const cJSON *item = field(event, key);

	if (cJSON_IsNull(item))
		return NEVER;
	ck_assert_msg(cJSON_IsNumber(item) && fabs(item->valuedouble) < 9007199254740992.0 &&
			      item->valuedouble == floor(item->valuedouble),
		      "'%s' is no integer", key);
	return (nanos)item->valuedouble;
}

static const char *word(const cJSON *event, const char *key)
{
	const cJSON *item = field(event, key);

	return cJSON_IsString(item) ? item->valuestring : "";
}

static bool is(const cJSON *event, const char *name)
{
	return strcmp(word(event, "event"), name) == 0;
}

static struct history *incident_of(struct audit *a, const cJSON *event)
{
	nanos index = number(event, "incident");

	ck_assert_msg(index >= 0 && index < (nanos)a->count, "no such incident");
	return &a->incidents[index];
}

static void hear_open(struct audit *a, const cJSON *event, nanos t)
{
	struct history *h = &a->incidents[a->count];

	ck_assert_uint_lt(a->count, INCIDENTS_SEEN_MAX);
	ck_assert_int_eq(number(event, "incident"), (nanos)a->count);
	a->count++;
	*h = (struct history){.opened = t, .alarm = number(event, "step") == NEVER};
	h->faults = !h->alarm;
	h->ever_bad = a->bad_now > 0;
	for (int i = 0; i < TS; i++)
		h->t[i] = NEVER;
}

static void hear_mark(struct audit *a, const cJSON *event, nanos t)
{
	struct history *h = incident_of(a, event);
	nanos at = number(event, "at_ns");
	int i = 0;

	while (i < TS && strcmp(names[i], word(event, "mark")) != 0)
		i++;
	ck_assert_msg(i < TS, "unknown mark '%s'", word(event, "mark"));
	ck_assert_msg(!h->closed, "a mark of a closed incident");
	ck_assert_msg(at == NEVER || at <= t, "%s lies in the future", names[i]);
	if ((i == T_FAULT || i == T_DETECT || i == T_DECIDE) && h->t[i] != NEVER)
		return;
	h->t[i] = at;
}

static void hear_service(struct audit *a, const cJSON *event, nanos t, bool bad)
{
	nanos since = number(event, "since_ns");
	size_t i = 0;

	while (i < a->endpoint_count && strcmp(a->endpoints[i], word(event, "endpoint")) != 0)
		i++;
	if (i == a->endpoint_count) {
		ck_assert_uint_lt(i, ENDPOINTS_SEEN_MAX);
		snprintf(a->endpoints[i], sizeof(a->endpoints[i]), "%s", word(event, "endpoint"));
		a->endpoint_count++;
	}
	ck_assert_msg(since <= t, "service since the future");
	ck_assert_msg(a->bad[i] != bad, "an endpoint is %s twice", bad ? "bad" : "good");
	a->bad[i] = bad;
	if (bad) {
		if (a->first_bad == NEVER)
			a->first_bad = since;
		if (a->bad_now++ == 0)
			a->bad_from = since;
		for (size_t k = 0; k < a->count; k++)
			a->incidents[k].ever_bad |= !a->incidents[k].closed;
		return;
	}
	a->good_since = since > a->good_since ? since : a->good_since;
	if (--a->bad_now == 0)
		a->bad_sum += a->good_since - a->bad_from;
	a->last_bad = a->good_since;
}

static void hear_fault(struct audit *a, const cJSON *event)
{
	if (is(event, "fault.inject"))
		a->injected++;
	else if (is(event, "fault.verdict"))
		a->effective += cJSON_IsTrue(field(event, "effective")) != 0;
	else if (is(event, "fault.revert")) {
		a->reverted += cJSON_IsTrue(field(event, "reverted")) != 0;
		a->dirty += cJSON_IsFalse(field(event, "reverted")) != 0;
		a->dirty += cJSON_GetArraySize(field(event, "residue")) > 0;
	}
}

static void hear(struct audit *a, const cJSON *event)
{
	nanos t = number(event, "t_ns");

	ck_assert_int_eq(number(event, "seq"), a->lines);
	ck_assert_msg(t >= a->last_t, "time goes back at seq %" PRId64, a->lines);
	ck_assert_msg(a->reason[0] == '\0', "an event after run.end");
	a->last_t = t;
	a->lines++;
	hear_fault(a, event);
	if (is(event, "incident.open")) {
		hear_open(a, event, t);
	} else if (is(event, "incident.join")) {
		incident_of(a, event)->faults++;
	} else if (is(event, "mark")) {
		hear_mark(a, event, t);
	} else if (is(event, "service.bad") || is(event, "service.good")) {
		hear_service(a, event, t, is(event, "service.bad"));
	} else if (is(event, "detector.declare")) {
		a->declared++;
	} else if (is(event, "incident.close")) {
		struct history *h = incident_of(a, event);

		ck_assert_msg(!h->closed, "an incident is closed twice");
		h->closed = true;
		h->ended = t;
		h->bad_at_close = a->bad_now;
		snprintf(h->path, sizeof(h->path), "%s", word(event, "path"));
	} else if (is(event, "run.end")) {
		a->end = t;
		snprintf(a->reason, sizeof(a->reason), "%s", word(event, "reason"));
	}
}
