/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a drill was, told by its timeline alone: marks, phases, losses and books are worked out a
 * second time, from the lines of events.jsonl in integer nanoseconds, and compared with what the
 * program says of itself. With it a folder for each drill, a drill inside this process, and chance
 * by case number.
 */
#ifndef TESTS_AUDIT_H
#define TESTS_AUDIT_H

#include <stdint.h>

#include <cjson/cJSON.h>

#include "core/record.h"
#include "core/run.h"
#include "core/scenario.h"

#define NEVER NANOS_NEVER
#define INCIDENTS_SEEN_MAX 4096
#define ENDPOINTS_SEEN_MAX 8
#define STEPS_SEEN_MAX 64
#define JOBS_SEEN_MAX 8
#define PATHS 5

/* As ck_assert_msg(), which writes a file for every assertion that holds: there are millions. */
#define must(condition, ...)                                                                       \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg(__VA_ARGS__);                                                 \
	} while (0)

/* ---- a folder of its own for each test; memory until it is closed ---- */

struct bench {
	struct arena arena;
	char folder[64];
	unsigned runs;
};

void bench_open(struct bench *b);
void bench_close(struct bench *b);
const char *bench_path(struct bench *b, const char *name);             /* of a file in the folder */
char *bench_read(struct bench *b, const char *path, size_t *ret_size); /* size: may be NULL */
void bench_write(const char *path, const char *text);
/* record.json of a run folder, for cJSON_Delete(). */
cJSON *bench_record(struct bench *b, const char *folder);

/* ---- drills inside this process ---- */

void bench_load(struct arena *arena, const char *text, struct scenario **ret_scenario);
/*
 * One trial; its events are in *ret_events, for free(), its record in *record and in the bench's
 * record.json. Each incident's marks and identity are checked.
 */
void bench_run(struct bench *b, const struct scenario *scenario, uint64_t seed, char **ret_events,
	       size_t *ret_size, struct record *record);

/* ---- what the timeline says ---- */

enum {
	T_FAULT,
	T_DETECT,
	T_DECIDE,
	T_SWITCH_BEGIN,
	T_SWITCHED,
	T_DATA_BEGIN,
	T_DATA_RESTORED,
	T_RESTORED,
	T_VERIFIED,
	T_DIAGNOSED,
	T_REPAIRED,
	T_FAILBACK,
	T_NORMAL,
	T_LOSS,
	T_BP,
	TS
};

struct phases {
	nanos detection, decision, switching, data, overlap, brt, readiness, frt;
};

/* One incident as its events tell it. */
struct history {
	bool closed, alarm, ever_bad;
	char path[16], target[32];          /* of the fault that opened it */
	nanos opened, joined, ended, t[TS]; /* joined: the last time */
	struct phases phases;
	unsigned faults, bad_at_close;
	unsigned left; /* faults that nobody had taken back when it was closed */
	bool acted;    /* somebody diagnosed or repaired */
	bool damaged;  /* one of these has damaged the live data */
	bool undetected;
	nanos wrong;
	bool restarted; /* a job went on from a checkpoint; the restart that lost the most: */
	nanos lost, stopped, as_of;
};

/* A training job as its events tell it. */
struct job_book {
	char name[48];
	bool down;
	nanos since, progress, lost, down_sum;
	unsigned interruptions, restarts, saves, bad;
};

struct audit {
	struct history incidents[INCIDENTS_SEEN_MAX];
	size_t count;
	char endpoints[ENDPOINTS_SEEN_MAX][32]; /* that were bad at some time */
	bool bad[ENDPOINTS_SEEN_MAX];
	size_t endpoint_count;
	bool took[STEPS_SEEN_MAX];
	unsigned bad_now, injected, effective, reverted, dirty, declared;
	nanos since[ENDPOINTS_SEEN_MAX];
	struct outage {
		nanos from, to;
	} * outages; /* of all endpoints; one place more than there are lines */
	size_t outage_count;
	nanos bad_sum, bad_span, bad_longest, last_t, end;
	int64_t lines, last_action, actions_open;
	char reason[16];
	struct {
		nanos step;
		size_t incident;
		bool undone, damages; /* damages: the live data */
	} broken[INCIDENTS_SEEN_MAX];
	size_t broken_count;
	struct job_book jobs[JOBS_SEEN_MAX];
	size_t job_count;
	cJSON **events; /* all lines, parsed */
};

extern const char *const audit_marks[TS]; /* "t_fault", … */

/* Values of an event or a part of the record; a key that is not there fails the test. */
const cJSON *audit_field(const cJSON *event, const char *key);
nanos audit_number(const cJSON *event, const char *key);                     /* null: NEVER */
const char *audit_word(const cJSON *event, const char *key);                 /* no text: "" */
bool audit_is(const cJSON *event, const char *name);                         /* of that kind? */
const cJSON *audit_under(const cJSON *object, const char *a, const char *b); /* b may be NULL */

/* Read all lines; `text` is taken apart. */
void audit_text(struct bench *b, char *text, size_t size, struct audit *a);
void audit_read(struct bench *b, const char *path, struct audit *a);
void audit_free(struct audit *a);
/* Every incident: its path, the order of its marks, the identity; every fault: undone. */
void audit_check(struct audit *a);
/* The record says what the events say. */
void audit_compare(struct audit *a, const cJSON *record);
/* The largest FRT, unrecovered being longer than any; the first of equals; -1: none. */
int audit_headline(const struct audit *a);
/* With one primary every outage belongs to what was broken there: it is over at t_restored. */
void audit_outages(const struct audit *a, nanos window);
/* Every request that was sent found one end, but for those still on their way. */
void audit_requests(const cJSON *record);

/* ---- chance ---- */

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014): the test's own chance, by case number. */
struct dice {
	uint64_t state;
};

uint64_t dice_roll(struct dice *dice);
unsigned dice_below(struct dice *dice, unsigned n);
bool dice_chance(struct dice *dice, unsigned percent);
#define PICK(dice, ...)                                                                            \
	dice_pick(dice, (const char *const[]){__VA_ARGS__},                                        \
		  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

const char *dice_pick(struct dice *dice, const char *const *words, size_t count);

#endif
