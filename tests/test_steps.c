/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a step that every fault understands, run on the simulator and judged by the timeline:
 * chance, drawn times, counts and seeds; pulses and ramps.
 */
/* valgrind: skip */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cjson/cJSON.h>

#include "core/campaign.h"
#include "core/run.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define EVENTS_SEEN_MAX 4096
#define TRIALS 2000
#define S(seconds) ((nanos)(seconds)*NANOS_S)

static const char world[] =
	"apiVersion: drsim/v1\n"
	"name: steps\n"
	"duration: 1h\n"
	"deployment:\n"
	"  sites:\n"
	"    - {name: primary, nodes: 4, shape: gpu.8xh100-sxm, racks: 2}\n"
	"    - {name: backup, nodes: 4, shape: gpu.8xh100-sxm, standby: {heat: warm}}\n"
	"  links: [{between: [primary, backup], rate: 100Gbit/s, latency: 12ms}]\n"
	"  endpoints:\n"
	"    - {name: chat, site: primary, replicas: 4, gpus_per_replica: 8, model: {start: 45s},\n"
	"       load: {rate: 50/s, requests: never}}\n"
	"  data: {io: {bytes: 20GB}}\n"
	"  store: {site: backup}\n"
	"detector: {kind: probe}\n"
	"recovery: {prefer: in_place, repair: {time: 1213s}}\n";

struct drill {
	struct arena arena;
	struct scenario *scenario;
	struct run *run;
	struct timeline timeline;
	struct record record;
	char *text;
	cJSON *events[EVENTS_SEEN_MAX];
	size_t count;
};

static const struct driver_ops *sim(void)
{
	const struct driver_ops *driver = driver_find("sim");

	ck_assert_ptr_nonnull(driver);
	return driver;
}

/* ---- one drill ---- */

static void load(struct drill *d, const char *steps, const char *const *sets, size_t set_count)
{
	const char *text;
	struct error errors[1] = {{0}};
	size_t count;

	*d = (struct drill){.count = 0};
	text = arena_printf(&d->arena, "%ssteps:\n%s", world, steps);
	ck_assert_msg(scenario_parse("s.yaml", text, strlen(text), sets, set_count, &d->arena,
				     &d->scenario, errors, 1, &count) == 0,
		      "%u:%u: %s", errors[0].place.line, errors[0].place.column, errors[0].text);
}

static void read_events(struct drill *d)
{
	char *copy = d->text = workplace_read("events.jsonl"), *rest = NULL;

	copy = arena_strdup(&d->arena, copy);
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		ck_assert_uint_lt(d->count, EVENTS_SEEN_MAX);
		d->events[d->count] = cJSON_Parse(line);
		ck_assert_msg(d->events[d->count] != NULL, "not JSON: %s", line);
		d->count++;
	}
}

static int try_options(struct drill *d, const struct run_options *options, struct error *e)
{
	int result;

	remove("events.jsonl");
	ck_assert_int_eq(timeline_open(&d->timeline, "events.jsonl", e), 0);
	ck_assert_int_eq(run_new(d->scenario, options, &d->run, e), 0);
	d->record = (struct record){.scenario = d->scenario,
				    .headline = -1,
				    .seed = options->seed,
				    .sham = options->sham};
	result = run_trial(d->run, 0, &d->timeline, &d->record, e);
	ck_assert_int_eq(timeline_close(&d->timeline, e), 0);
	read_events(d);
	return result;
}

static void run_options(struct drill *d, const struct run_options *options)
{
	struct error e = {0};

	ck_assert_msg(try_options(d, options, &e) == 0, "%s", e.text);
}

/* The steps on the simulator, with one override (or NULL). */
static void drill(struct drill *d, const char *steps, const char *set)
{
	load(d, steps, &set, set != NULL);
	run_options(d, &(struct run_options){.driver = sim(), .seed = 1});
}

static void done(struct drill *d)
{
	for (size_t i = 0; i < d->count; i++)
		cJSON_Delete(d->events[i]);
	free(d->text);
	run_free(d->run);
	arena_free(&d->arena);
}

/* ---- what its timeline says ---- */

static const cJSON *field(const cJSON *event, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(event, key);

	ck_assert_msg(item != NULL, "no '%s'", key);
	return item;
}

static nanos time_of(const cJSON *event)
{
	return (nanos)field(event, "t_ns")->valuedouble;
}

static const char *word(const cJSON *event, const char *key)
{
	const cJSON *item = field(event, key);

	return cJSON_IsString(item) ? item->valuestring : "";
}

/* The n-th event of this type, from 0; NULL: there are fewer. */
static const cJSON *nth(const struct drill *d, const char *type, size_t n)
{
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(word(d->events[i], "event"), type) == 0 && n-- == 0)
			return d->events[i];
	return NULL;
}

static size_t how_many(const struct drill *d, const char *type)
{
	size_t n = 0;

	while (nth(d, type, n))
		n++;
	return n;
}

static const cJSON *only(const struct drill *d, const char *type)
{
	ck_assert_msg(how_many(d, type) == 1, "%zu of %s", how_many(d, type), type);
	return nth(d, type, 0);
}

static void at_second(const cJSON *event, double second)
{
	ck_assert_ptr_nonnull(event);
	ck_assert_msg(llround((double)time_of(event) / 1e9 * 1000) == llround(second * 1000),
		      "%s at %.3f s, not %.3f s", word(event, "event"),
		      (double)time_of(event) / 1e9, second);
}

/* One fault, which took and is undone. */
static void one_good_fault(const struct drill *d, const char *cause, double second)
{
	const cJSON *revert = only(d, "fault.revert");

	only(d, "fault.inject");
	ck_assert(cJSON_IsTrue(field(only(d, "fault.verdict"), "effective")));
	ck_assert(cJSON_IsTrue(field(revert, "reverted")));
	ck_assert_str_eq(word(revert, "cause"), cause);
	at_second(revert, second);
	ck_assert_uint_eq(d->record.fault_count, 1);
	ck_assert_int_eq(d->record.faults[0].effective, TRISTATE_TRUE);
	ck_assert_int_eq(d->record.faults[0].reverted, TRISTATE_TRUE);
	ck_assert_uint_eq(d->record.faults[0].residue_count, 0);
	ck_assert_int_eq(d->record.verdict, VERDICT_PASSED);
}

/* Pulses change at these seconds, off first, then on, and so on. */
static void pulses_at(const struct drill *d, const double *seconds, size_t count)
{
	ck_assert_uint_eq(how_many(d, "fault.pulse"), count);
	for (size_t i = 0; i < count; i++) {
		const cJSON *event = nth(d, "fault.pulse", i);

		at_second(event, seconds[i]);
		ck_assert_int_eq(cJSON_IsTrue(field(event, "on")) != 0, i % 2 == 1);
		ck_assert_int_eq(field(event, "step")->valueint, 0);
	}
}

/* ---- pulses ---- */

START_TEST(a_link_pulses_until_its_time_is_over)
{
	static const double changes[] = {630, 720, 750, 840, 870};
	struct drill d;

	drill(&d,
	      "  - {at: 10m, fault: net.partition, target: \"link[primary-backup]\", for: 6m,\n"
	      "     pulse: {active: 30s, dormant: 90s}}\n",
	      NULL);
	pulses_at(&d, changes, 5);
	one_good_fault(&d, "elapsed", 960);
	at_second(only(&d, "incident.open"), 600);
	at_second(only(&d, "incident.close"), 960); /* not while it was dormant */
	done(&d);
}
END_TEST

START_TEST(a_pulse_breaks_the_service_each_time)
{
	static const double changes[] = {720, 900, 1020, 1200, 1320, 1500, 1620, 1800};
	struct drill d;

	drill(&d,
	      "  - {at: 10m, fault: net.partition, target: primary,\n"
	      "     pulse: {active: 2m, dormant: 3m}}\n",
	      NULL);
	pulses_at(&d, changes, 8);
	one_good_fault(&d, "repaired", 621 + 1213); /* detected, and mended so long after */
	ck_assert_uint_eq(how_many(&d, "service.bad"), 5);
	ck_assert_uint_eq(how_many(&d, "service.good"), 5);
	for (size_t i = 0; i < 4; i++) {
		at_second(nth(&d, "service.good", i), changes[2 * i]);
		at_second(nth(&d, "service.bad", i + 1), changes[2 * i + 1]);
	}
	ck_assert_uint_eq(d.record.incident_count, 1);
	ck_assert_int_eq(d.record.incidents[0].path, PATH_IN_PLACE);
	ck_assert_int_eq(d.record.incidents[0].marks[MARK_FAULT], S(600));
	ck_assert_int_eq(d.record.incidents[0].marks[MARK_RESTORED], S(1834));
	done(&d);
}
END_TEST

START_TEST(a_pulse_is_mended_while_it_pauses)
{
	struct drill d;

	drill(&d,
	      "  - {at: 10m, fault: net.partition, target: primary,\n"
	      "     pulse: {active: 2m, dormant: 2h}}\n",
	      NULL);
	ck_assert_uint_eq(how_many(&d, "fault.pulse"), 1);
	one_good_fault(&d, "repaired", 1834);
	/* Good since it pauses, not because anything carried it. */
	ck_assert_int_eq(d.record.incidents[0].path, PATH_IN_PLACE);
	ck_assert_int_eq(d.record.incidents[0].marks[MARK_RESTORED], S(720));
	ck_assert_int_eq(d.record.incidents[0].marks[MARK_REPAIRED], S(1834));
	ck_assert_int_eq(d.record.incidents[0].marks[MARK_NORMAL], S(1834));
	done(&d);
}
END_TEST

/* That service is good again is known half a minute later, when the fault pauses or is over: what
 * counts is whether it was there when service became good. */
START_TEST(what_carried_a_pulse_is_known_later)
{
	static const struct {
		const char *step;
		double since;
		enum path path;
	} later[] = {
		/* The gateway takes the dead node out at 607 s, the node comes back at 625 s. */
		{"  - {at: 10m, fault: node.crash, target: \"primary/node[0]\", for: 10m,\n"
		 "     pulse: {active: 25s, dormant: 2h}}\n",
		 607, PATH_ABSORBED},
		{"  - {at: 10m, fault: net.partition, target: primary, for: 130s,\n"
		 "     pulse: {active: 2m, dormant: 2h}}\n",
		 720, PATH_IN_PLACE},
	};
	struct drill d;

	drill(&d, later[_i].step, "deployment.endpoints[0].load.requests=windows");
	ck_assert_double_eq_tol(field(nth(&d, "service.good", 0), "since_ns")->valuedouble / 1e9,
				later[_i].since, 0.1);
	ck_assert_int_ge(time_of(nth(&d, "service.good", 0)), S(later[_i].since + 30));
	ck_assert_int_eq(d.record.incidents[0].path, later[_i].path);
	done(&d);
}
END_TEST

/* The end comes while it is applied, and while it is taken back. */
START_TEST(a_pulse_is_undone_at_the_end)
{
	static const char *const ends[] = {"duration=20m", "duration=21m"};
	struct drill d;

	drill(&d,
	      "  - {at: 10m, fault: net.partition, target: \"link[primary-backup]\",\n"
	      "     pulse: {active: 1m, dormant: 1m}, for: permanent}\n",
	      ends[_i]);
	ck_assert_uint_eq(how_many(&d, "fault.pulse"), _i == 0 ? 9 : 10);
	one_good_fault(&d, "end", _i == 0 ? 1200 : 1260);
	done(&d);
}
END_TEST

START_TEST(a_pulse_is_never_gone_by_itself)
{
	static const double changes[] = {900, 1200, 1500};
	struct drill d;

	/* The platform restarts the process within a minute, each time. */
	drill(&d,
	      "  - {at: 10m, fault: proc.kill, target: \"endpoint/chat/replica[0]\",\n"
	      "     pulse: {active: 5m, dormant: 5m}}\n",
	      "recovery={managed_by: target}");
	ck_assert_uint_eq(how_many(&d, "fault.pulse"), 9);
	for (size_t i = 0; i < 3; i++)
		at_second(nth(&d, "fault.pulse", i), changes[i]);
	one_good_fault(&d, "end", 3600);
	done(&d);
}
END_TEST

/* A target that mends itself is calm while the fault pauses: that is not the end of it. */
START_TEST(a_pause_ends_no_incident)
{
	struct drill d;

	drill(&d,
	      "  - {at: 10m, fault: net.partition, target: primary, for: 14m,\n"
	      "     pulse: {active: 2m, dormant: 3m}}\n",
	      "recovery={managed_by: target}");
	one_good_fault(&d, "elapsed", 1440);
	only(&d, "incident.open");
	at_second(only(&d, "incident.close"), 1440);
	ck_assert_int_eq(d.record.incidents[0].path, PATH_IN_PLACE);
	done(&d);
}
END_TEST

/* The service is well all along, only the detector sees the pulses. */
START_TEST(pulses_that_nobody_feels_are_one_incident)
{
	static const char *const sets[] = {"recovery={managed_by: target}",
					   "detector={kind: probe, scope: gpu, interval: 5s}",
					   "deployment.endpoints[0].gpus_per_replica=0"};
	struct drill d;

	load(&d,
	     "  - {at: 10m, fault: gpu.lost, target: \"primary/node[0]/gpu[0]\", for: 30m,\n"
	     "     pulse: {active: 20s, dormant: 5m}}\n",
	     sets, 3);
	run_options(&d, &(struct run_options){.driver = sim(), .seed = 1});
	ck_assert_uint_ge(how_many(&d, "detector.declare"), 5);
	one_good_fault(&d, "elapsed", 2400);
	at_second(only(&d, "incident.open"), 600);
	at_second(only(&d, "incident.close"), 2400);
	done(&d);
}
END_TEST

#define DELAY_AT(when)                                                                             \
	"  - {at: " when ", fault: net.delay, target: primary, latency: 1ms, for: 40m}\n"

/* Of two faults of one incident: which is its onset? */
static const struct {
	const char *steps, *fault;
	nanos at;
} onsets[] = {
	{"  - {at: 10m, fault: zone.outage, target: primary}\n" DELAY_AT("10m"), "zone.outage",
	 S(600)},
	{"  - {at: 10m, fault: traffic.surge, target: endpoint/chat, multiplier: 1000, ramp: 10m,\n"
	 "     for: 40m}\n" DELAY_AT("601s"),
	 "traffic.surge", S(600)},
	{"  - {at: 10m, fault: traffic.surge, target: endpoint/chat, multiplier: 80,\n"
	 "     for: 40m}\n" DELAY_AT("601s"),
	 "traffic.surge", S(600)},
	{DELAY_AT("10m") "  - {at: 20m, fault: data.encrypt, target: data/io}\n", "data.encrypt",
	 S(1200)},
	{DELAY_AT("10m") "  - {at: 20m, fault: zone.outage, target: primary, for: 20m,\n"
			 "     pulse: {active: 30s, dormant: 30s}}\n",
	 "zone.outage", S(1200)},
};

START_TEST(the_onset_is_the_fault_that_does_harm)
{
	struct drill d;

	drill(&d, onsets[_i].steps, NULL);
	ck_assert_uint_eq(d.record.incident_count, 1);
	ck_assert_str_eq(d.record.incidents[0].fault, onsets[_i].fault);
	ck_assert_int_eq(d.record.incidents[0].marks[MARK_FAULT], onsets[_i].at);
	ck_assert_double_gt(d.record.bad_s, 0);
	done(&d);
}
END_TEST

/* Two nodes die one after the other, and the platform moves what ran there: calm in between is not
 * the end of it, calm after the second is. */
START_TEST(calm_counts_when_a_ramp_is_over)
{
	static const char *const sets[] = {
		"recovery={managed_by: target}", "detector={kind: probe, scope: replica}",
		"deployment.platform={reschedule: 30s}", "deployment.endpoints[0].replicas=2"};
	struct drill d;
	nanos closed;

	load(&d,
	     "  - {at: 10m, fault: node.crash, target: \"primary/node[*]\", select: all, ramp: "
	     "6m,\n"
	     "     for: permanent}\n",
	     sets, 4);
	/* Of four nodes two take part: the replicas have somewhere to go. */
	((struct step *)(uintptr_t)d.scenario->steps)[0].target.count = 2;
	run_options(&d, &(struct run_options){.driver = sim(), .seed = 1});
	at_second(nth(&d, "fault.ramp", 1), 960);
	at_second(only(&d, "incident.open"), 600);
	closed = time_of(only(&d, "incident.close"));
	ck_assert_msg(closed > S(960) && closed < S(1200), "%" PRId64, closed);
	ck_assert_int_eq(d.record.verdict, VERDICT_PASSED);
	done(&d);
}
END_TEST

/* A simulator that misbehaves on one call. */
static struct driver_ops bent;
static unsigned calls, bad_call;

static int apply_nothing(void *self, const struct effect *effect, struct undo_record *undo,
			 struct error *e)
{
	if (++calls == bad_call)
		return 0; /* it says yes, and does nothing */
	return sim()->apply(self, effect, undo, e);
}

static int apply_fails(void *self, const struct effect *effect, struct undo_record *undo,
		       struct error *e)
{
	if (++calls == bad_call)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the tool is gone");
	return sim()->apply(self, effect, undo, e);
}

static int revert_nothing(void *self, struct undo_record *undo, struct error *e)
{
	if (++calls == bad_call)
		return 0;
	return sim()->revert(self, undo, e);
}

static void bent_drill(struct drill *d, const char *steps, unsigned which)
{
	calls = 0;
	bad_call = which;
	load(d, steps, NULL, 0);
	run_options(d, &(struct run_options){.driver = &bent, .seed = 1});
}

static const char flapping[] =
	"  - {at: 10m, fault: net.partition, target: \"link[primary-backup]\", for: 10m,\n"
	"     pulse: {active: 1m, dormant: 1m}}\n";

START_TEST(every_pulse_has_to_show)
{
	struct drill d;

	bent = *sim();
	bent.apply = apply_nothing;
	bent_drill(&d, flapping, 3);
	ck_assert_uint_eq(how_many(&d, "fault.verdict"), 2);
	at_second(nth(&d, "fault.verdict", 0), 600);
	ck_assert(cJSON_IsTrue(field(nth(&d, "fault.verdict", 0), "effective")));
	at_second(nth(&d, "fault.verdict", 1), 840);
	ck_assert(cJSON_IsFalse(field(nth(&d, "fault.verdict", 1), "effective")));
	ck_assert_str_eq(word(nth(&d, "fault.verdict", 1), "observed"),
			 "network paths open 1 -> 1");
	ck_assert_int_eq(d.record.faults[0].effective, TRISTATE_FALSE);
	ck_assert_int_eq(d.record.faults[0].reverted, TRISTATE_TRUE);
	ck_assert_int_eq(d.record.verdict, VERDICT_INVALID);
	done(&d);
}
END_TEST

/* A real system on which the calls of a fault come only now and then. */
static nanos first_call, last_call;
static unsigned looks;

static void read_calls(void *self, struct entity entity, effect_mask about, struct reading *ret)
{
	struct clock clock = sim()->clock(self);
	nanos now = clock.ops->now(clock.self);

	sim()->read(self, entity, about, ret);
	looks++;
	ret->calls_hit = now < first_call ? 0 : now < last_call ? 1 : 2;
}

static const char one_call[] =
	"  - {at: 10m, fault: sys.error, target: \"endpoint/chat\", when: 100, for: 10m}\n";

static void real_drill(struct drill *d, const char *steps, nanos first, nanos last)
{
	bent = *sim();
	bent.kind = "injected";
	bent.effects = EFFECTS_ALL;
	bent.read = read_calls;
	first_call = first;
	last_call = last;
	looks = 0;
	bent_drill(d, steps, 0);
}

START_TEST(a_call_may_be_hit_later)
{
	struct drill d;

	real_drill(&d, one_call, S(660), NANOS_NEVER);
	ck_assert_uint_eq(how_many(&d, "fault.verdict"), 1);
	at_second(only(&d, "fault.verdict"), 660);
	ck_assert_str_eq(word(only(&d, "fault.verdict"), "observed"),
			 "system calls that were hit: 0 -> 1");
	at_second(only(&d, "incident.open"), 660);
	ck_assert_uint_lt(looks, 60 * 4 + 10); /* and then no more */
	ck_assert_int_eq(d.record.verdict, VERDICT_PASSED);
	done(&d);
}
END_TEST

START_TEST(a_call_that_is_never_hit_is_no_fault)
{
	struct drill d;

	real_drill(&d, one_call, NANOS_NEVER, NANOS_NEVER);
	at_second(only(&d, "fault.verdict"), 1200);
	ck_assert(cJSON_IsFalse(field(only(&d, "fault.verdict"), "effective")));
	ck_assert_uint_eq(how_many(&d, "incident.open"), 0);
	ck_assert_int_eq(d.record.faults[0].reverted, TRISTATE_TRUE);
	ck_assert_int_eq(d.record.verdict, VERDICT_INVALID);
	done(&d);
}
END_TEST

/* The second one shows as late as the first; a third, which does not, is judged at its end. */
START_TEST(a_pulse_of_calls_may_show_later)
{
	static const char steps[] =
		"  - {at: 10m, fault: sys.error, target: \"endpoint/chat\", for: 5m,\n"
		"     pulse: {active: 1m, dormant: 1m}}\n";
	struct drill d;

	real_drill(&d, steps, S(630), S(750));
	ck_assert_uint_eq(how_many(&d, "fault.verdict"), 2);
	at_second(nth(&d, "fault.verdict", 0), 630);
	ck_assert(cJSON_IsTrue(field(nth(&d, "fault.verdict", 0), "effective")));
	at_second(nth(&d, "fault.verdict", 1), 900);
	ck_assert(cJSON_IsFalse(field(nth(&d, "fault.verdict", 1), "effective")));
	done(&d);
}
END_TEST

START_TEST(a_pulse_that_cannot_be_applied_says_why)
{
	struct drill d;

	bent = *sim();
	bent.apply = apply_fails;
	bent_drill(&d, flapping, 2);
	at_second(nth(&d, "fault.verdict", 1), 720);
	ck_assert_str_eq(d.record.faults[0].observed, "the tool is gone");
	ck_assert_uint_eq(how_many(&d, "fault.pulse"), 2); /* and no more */
	ck_assert_int_eq(d.record.faults[0].reverted, TRISTATE_TRUE);
	ck_assert_int_eq(d.record.verdict, VERDICT_INVALID);
	done(&d);
}
END_TEST

START_TEST(a_pulse_that_stays_is_residue)
{
	struct drill d;

	bent = *sim();
	bent.revert = revert_nothing;
	bent_drill(&d, flapping, 2);
	ck_assert_int_eq(d.record.faults[0].reverted, TRISTATE_FALSE);
	ck_assert_uint_eq(d.record.faults[0].residue_count, 1);
	ck_assert_str_eq(d.record.faults[0].residue[0], "net.cut at link[primary-backup]");
	ck_assert_int_eq(d.record.verdict, VERDICT_RESIDUE);
	done(&d);
}
END_TEST

/* A drill of an hour of pulses; by how many KiB the most that this process ever took has grown. */
static long pulses_grow(struct drill *d, const char *pulse)
{
	struct rusage before, after;
	struct error e = {0};

	load(d,
	     "  - {at: 1s, fault: net.partition, target: \"link[primary-backup]\",\n"
	     "     pulse: {active: 1s, dormant: 1s}, for: permanent}\n",
	     &pulse, 1);
	ck_assert_int_eq(timeline_open(&d->timeline, NULL, &e), 0);
	ck_assert_int_eq(run_new(d->scenario, &(struct run_options){.driver = sim()}, &d->run, &e),
			 0);
	getrusage(RUSAGE_SELF, &before);
	d->record = (struct record){.scenario = d->scenario, .headline = -1};
	ck_assert_int_eq(run_trial(d->run, 0, &d->timeline, &d->record, &e), 0);
	getrusage(RUSAGE_SELF, &after);
	ck_assert_int_eq(d->record.faults[0].reverted, TRISTATE_TRUE);
	return after.ru_maxrss - before.ru_maxrss;
}

/* The smallest record that a pulse could leave is what an arena or malloc() gives for one byte: 16
 * bytes, 5.5 MiB for all of them. A drill with few pulses goes first and keeps its memory, so that
 * what any drill takes is not counted; half of the records is more than the rest of it. */
START_TEST(pulses_take_no_memory)
{
	const long pulses = 360000, least = 16;
	struct drill few, many;

	pulses_grow(&few, "steps[0].pulse={active: 5s, dormant: 5s}");
	ck_assert_int_lt(pulses_grow(&many, "steps[0].pulse={active: 5ms, dormant: 5ms}"),
			 pulses * least / 1024 / 2);
	done(&few);
	done(&many);
}
END_TEST

START_TEST(too_many_pulses_are_an_error)
{
	static const char steps[] =
		"  - {at: 1s, fault: net.partition, target: \"link[primary-backup]\",\n"
		"     pulse: {active: 3ms, dormant: 3ms}, for: permanent}\n"
		"  - {at: 1s, fault: net.delay, target: \"link[primary-backup]\",\n"
		"     pulse: {active: 3ms, dormant: 3ms}, for: permanent}\n";
	struct drill d;
	struct error e = {0};

	load(&d, steps, NULL, 0);
	ck_assert_int_eq(timeline_open(&d.timeline, NULL, &e), 0);
	ck_assert_int_eq(run_new(d.scenario, &(struct run_options){.driver = sim()}, &d.run, &e),
			 0);
	d.record = (struct record){.scenario = d.scenario, .headline = -1};
	ck_assert_int_eq(run_trial(d.run, 0, &d.timeline, &d.record, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT);
	ck_assert_str_eq(e.text, "more than 1000000 pulses in one run");
	ck_assert_uint_ge(e.place.line, 17);
	done(&d);
}
END_TEST

/* ---- ramps ---- */

/* Two ways of 200 ms each are added to a request of 100 ms, by tenths. */
START_TEST(a_delay_grows_in_ten_levels)
{
	struct drill d;

	drill(&d,
	      "  - {at: 10m, fault: net.delay, target: primary, latency: 200ms, ramp: 9m,\n"
	      "     for: 20m}\n",
	      NULL);
	one_good_fault(&d, "elapsed", 1800);
	ck_assert_str_eq(word(nth(&d, "fault.verdict", 0), "observed"), "round trip 1 ms -> 41 ms");
	ck_assert_str_eq(d.record.faults[0].observed, "round trip 1 ms -> 401 ms");
	ck_assert_int_eq(d.record.incidents[0].marks[MARK_FAULT], S(600));
	ck_assert_uint_eq(how_many(&d, "fault.ramp"), 10);
	ck_assert_uint_eq(how_many(&d, "service.level"), 12); /* never away in between */
	for (size_t i = 0; i < 10; i++) {
		const cJSON *level = nth(&d, "service.level", i + 1);
		double share = (double)(i + 1) / 10;

		at_second(nth(&d, "fault.ramp", i), 600 + 60 * (double)i);
		ck_assert_double_eq_tol(field(nth(&d, "fault.ramp", i), "share")->valuedouble,
					share, 1e-12);
		at_second(level, 600 + 60 * (double)i);
		ck_assert_double_eq_tol(field(level, "latency_s")->valuedouble, 0.1 + 0.4 * share,
					1e-9);
	}
	at_second(nth(&d, "service.level", 11), 1800);
	ck_assert_double_eq_tol(field(nth(&d, "service.level", 11), "latency_s")->valuedouble, 0.1,
				1e-9);
	done(&d);
}
END_TEST

/* A process that died of something else is not started by a step of a ramp. */
START_TEST(a_ramp_mends_nothing)
{
	struct drill d;
	const char *sets[] = {"deployment.platform={restart: false}"};

	load(&d,
	     "  - {at: 5m, fault: proc.kill, target: \"endpoint/chat/replica[0]\", for: "
	     "permanent}\n"
	     "  - {at: 10m, fault: net.delay, target: primary, ramp: 9m, for: permanent}\n",
	     sets, 1);
	run_options(&d, &(struct run_options){.driver = sim(), .seed = 1});
	ck_assert_uint_eq(how_many(&d, "fault.ramp"), 10);
	for (size_t i = 0; i < how_many(&d, "replica.state"); i++) {
		const cJSON *event = nth(&d, "replica.state", i);

		ck_assert_msg(time_of(event) <= S(300) || time_of(event) == S(3600),
			      "%s at %" PRId64, word(event, "why"), time_of(event));
	}
	ck_assert_uint_ge(how_many(&d, "replica.state"), 1);
	done(&d);
}
END_TEST

START_TEST(a_ramp_shows_when_it_is_strong_enough)
{
	struct drill d;

	/* A tenth of 4 ns is nothing, two tenths are 1 ns. */
	drill(&d,
	      "  - {at: 10m, fault: net.delay, target: primary, latency: 4ns, ramp: 9m,\n"
	      "     for: 20m}\n",
	      NULL);
	one_good_fault(&d, "elapsed", 1800);
	at_second(nth(&d, "fault.verdict", 0), 660);
	at_second(nth(&d, "incident.open", 0), 660);
	done(&d);
}
END_TEST

START_TEST(a_ramp_that_never_shows_is_no_fault)
{
	struct drill d;

	drill(&d,
	      "  - {at: 10m, fault: net.delay, target: primary, latency: 1ns, ramp: 9m,\n"
	      "     for: 3m}\n",
	      NULL);
	at_second(only(&d, "fault.verdict"), 780);
	ck_assert(cJSON_IsFalse(field(only(&d, "fault.verdict"), "effective")));
	ck_assert_int_eq(d.record.faults[0].reverted, TRISTATE_TRUE);
	ck_assert_uint_eq(d.record.incident_count, 0);
	ck_assert_int_eq(d.record.verdict, VERDICT_INVALID);
	done(&d);
}
END_TEST

static void lost_at(const struct drill *d, const double *seconds, size_t count)
{
	size_t seen = 0;

	for (size_t i = 0; i < how_many(d, "replica.state"); i++)
		if (strcmp(word(nth(d, "replica.state", i), "why"), "node lost") == 0) {
			ck_assert_uint_lt(seen, count);
			at_second(nth(d, "replica.state", i), seconds[seen++]);
		}
	ck_assert_uint_eq(seen, count);
}

START_TEST(nodes_fail_one_after_another)
{
	static const double lost[] = {600, 720, 840};
	static const double shares[] = {1.0 / 3, 2.0 / 3, 1};
	struct drill d;

	drill(&d,
	      "  - {at: 10m, fault: node.crash, target: \"primary/node[*]\", select: 3, ramp: 4m,\n"
	      "     for: 10m}\n",
	      NULL);
	one_good_fault(&d, "elapsed", 1200);
	lost_at(&d, lost, 3);
	ck_assert_uint_eq(how_many(&d, "fault.ramp"), 3);
	for (size_t i = 0; i < 3; i++) {
		at_second(nth(&d, "fault.ramp", i), lost[i]);
		ck_assert_double_eq_tol(field(nth(&d, "fault.ramp", i), "share")->valuedouble,
					shares[i], 1e-12);
	}
	ck_assert_msg(strncmp(d.record.faults[0].observed, "3 of 3 effects seen; ", 21) == 0, "%s",
		      d.record.faults[0].observed);
	ck_assert_uint_eq(d.record.incident_count, 1);
	done(&d);
}
END_TEST

START_TEST(a_ramp_may_end_before_all_are_hit)
{
	static const double lost[] = {600, 720};
	struct drill d;

	drill(&d,
	      "  - {at: 10m, fault: node.crash, target: \"primary/node[*]\", select: 3, ramp: 4m,\n"
	      "     for: 3m}\n",
	      NULL);
	one_good_fault(&d, "elapsed", 780);
	lost_at(&d, lost, 2);
	done(&d);
}
END_TEST

/* Processes of which the first runs again before the second is hit: the ramp goes on. */
START_TEST(a_ramp_is_not_gone_by_itself)
{
	struct drill d;

	drill(&d,
	      "  - {at: 10m, fault: proc.kill, target: \"endpoint/chat/replica[*]\", select: all,\n"
	      "     ramp: 9m}\n",
	      NULL);
	ck_assert_uint_eq(how_many(&d, "fault.ramp"), 4);
	one_good_fault(&d, "restarted", 1140 + 45);
	done(&d);
}
END_TEST

/* Whatever the targets are, it hits one of them: only the plan shows it. */
static int plan_first(const void *params, const struct entity *entities, size_t count,
		      struct prng *prng, struct effects *out, struct error *e)
{
	(void)params;
	(void)count;
	(void)prng;
	return effects_add(
		out,
		(struct effect){.kind = EFFECT_NODE_CRASH, .entity = entities[0], .fraction = 1},
		e);
}

START_TEST(a_ramp_on_one_thing_is_refused_when_it_is_known)
{
	struct drill d;
	struct fault_ops first = *fault_find("node.crash");

	first.plan = plan_first;
	load(&d,
	     "  - {at: 10m, fault: node.crash, target: \"primary/node[*]\", select: 2, ramp: 4m}\n",
	     NULL, 0);
	((struct step *)(uintptr_t)d.scenario->steps)[0].fault = &first;
	run_options(&d, &(struct run_options){.driver = sim(), .seed = 1});
	ck_assert_uint_eq(how_many(&d, "fault.ramp"), 0);
	ck_assert_str_eq(d.record.faults[0].observed,
			 "'ramp' needs a fault that has a strength, or several targets: node.crash "
			 "on one target is there or not");
	ck_assert(!d.record.faults[0].applied);
	ck_assert_int_eq(d.record.verdict, VERDICT_INVALID);
	done(&d);
}
END_TEST

START_TEST(sham_changes_nothing)
{
	struct drill d;

	load(&d,
	     "  - {at: 10m, fault: net.delay, target: primary, ramp: 9m}\n"
	     "  - {at: 20m, fault: net.partition, target: primary, pulse: {active: 1m, dormant: "
	     "1m}}\n",
	     NULL, 0);
	run_options(&d, &(struct run_options){.driver = sim(), .seed = 1, .sham = true});
	ck_assert_uint_eq(how_many(&d, "fault.inject"), 2);
	ck_assert_uint_eq(how_many(&d, "fault.ramp") + how_many(&d, "fault.pulse"), 0);
	ck_assert_uint_eq(how_many(&d, "service.level"), 1);
	ck_assert_int_eq(d.record.verdict, VERDICT_PASSED);
	done(&d);
}
END_TEST

START_TEST(strength_is_scaled)
{
	struct effect full = {
		.kind = EFFECT_NET_DELAY, .amount = 1000, .spread = 10, .fraction = 1};
	struct effect part = effect_scaled(full, 0.3);

	ck_assert(effect_has_strength(EFFECT_NET_DELAY));
	ck_assert(!effect_has_strength(EFFECT_NET_CUT));
	ck_assert_int_eq(part.amount, 300);
	ck_assert_int_eq(part.spread, 3);
	ck_assert(part.fraction >= 1 && part.fraction <= 1);
	part = effect_scaled(full, 1);
	ck_assert(part.amount == 1000 && part.spread == 10);
	full.kind = EFFECT_GPU_XID; /* an amount that is no strength: a code */
	ck_assert_int_eq(effect_scaled(full, 0.3).amount, 1000);
}
END_TEST

/* ---- chance ---- */

struct trials {
	struct drill d;
	uint64_t with_fault;
};

static void campaign(struct trials *t, const char *steps, uint64_t seed)
{
	struct run_options options = {.driver = sim(), .seed = seed, .threads = 1};
	struct error e = {0};
	const struct campaign *campaign;

	load(&t->d, steps, NULL, 0);
	run_options(&t->d, &options);
	ck_assert_msg(
		campaign_run(t->d.scenario, &options, TRIALS, &t->d.record, &t->d.arena, &e) == 0,
		"%s", e.text);
	campaign = t->d.record.campaign;
	t->with_fault = 0;
	for (size_t i = 0; i < sizeof(campaign->paths) / sizeof(campaign->paths[0]); i++)
		t->with_fault += campaign->paths[i];
	ck_assert_uint_eq(campaign->invalid, 0);
	ck_assert_int_eq(t->d.record.verdict, VERDICT_PASSED);
}

static void within_three_errors(uint64_t hits, double p)
{
	double sigma = sqrt(p * (1 - p) * TRIALS);

	ck_assert_msg(fabs((double)hits - p * TRIALS) < 3 * sigma, "%" PRIu64 " of %d, p %g", hits,
		      TRIALS, p);
}

static const char chancy[] =
	"  - {at: 10m, fault: net.partition, target: primary, probability: 30%, for: 1m}\n";

START_TEST(probability_is_kept_over_trials)
{
	struct trials one, again, other;

	campaign(&one, chancy, 5);
	within_three_errors(one.with_fault, 0.3);
	campaign(&again, chancy, 5);
	campaign(&other, chancy, 6);
	ck_assert_uint_eq(one.with_fault, again.with_fault);
	ck_assert_str_eq(one.d.text, again.d.text);
	ck_assert_mem_eq(one.d.record.campaign->measures[MEASURE_AVAILABILITY].sorted,
			 again.d.record.campaign->measures[MEASURE_AVAILABILITY].sorted,
			 TRIALS * sizeof(double));
	ck_assert_uint_ne(one.with_fault, other.with_fault);
	done(&one.d);
	done(&again.d);
	done(&other.d);
}
END_TEST

START_TEST(a_drawn_time_may_be_after_the_end)
{
	struct trials t;

	campaign(&t,
		 "  - {at: {exponential: {mean: 1h}}, fault: net.partition, target: primary, for: "
		 "1ms}\n",
		 5);
	within_three_errors(t.with_fault, 1 - exp(-1));
	ck_assert_uint_eq(how_many(&t.d, "fault.skip"), 0);
	done(&t.d);
}
END_TEST

/* What chance leaves out is told; nothing is injected, and nothing is held against the drill. */
START_TEST(what_is_left_out_is_no_failure)
{
	static const struct {
		const char *step;
		size_t skips;
	} left_out[] = {
		{"  - {at: 10m, fault: net.partition, target: primary, probability: 0%}\n", 1},
		{"  - {at: {every: 10m}, fault: net.partition, target: primary, probability: 0%}\n",
		 5},
		{"  - {at: {exponential: {mean: 3650d}}, fault: net.partition, target: primary}\n",
		 0},
	};
	static const char *const objectives[] = {NULL, "objectives={frt: 5m}"};
	struct drill d;

	for (size_t k = 0; k < 2; k++) {
		bool told = false;

		drill(&d, left_out[_i].step, objectives[k]);
		ck_assert_uint_eq(how_many(&d, "fault.skip"), left_out[_i].skips);
		ck_assert_uint_eq(how_many(&d, "fault.inject"), 0);
		ck_assert_uint_eq(d.record.fault_count + d.record.incident_count, 0);
		ck_assert_int_eq(d.record.verdict, VERDICT_PASSED);
		ck_assert_int_eq(d.record.exit_code, 0);
		ck_assert(record_evaluable(&d.record));
		for (size_t i = 0; i < d.record.finding_count; i++) {
			told |= strstr(d.record.findings[i].text, "chance left it out") != NULL;
			ck_assert_ptr_null(strstr(d.record.findings[i].text, "never injected"));
		}
		ck_assert_msg(told, "nobody is told");
		if (left_out[_i].skips > 0) {
			at_second(nth(&d, "fault.skip", 0), 600);
			ck_assert_str_eq(word(nth(&d, "fault.skip", 0), "why"), "probability");
			ck_assert_str_eq(word(nth(&d, "fault.skip", 0), "fault"), "net.partition");
		}
		done(&d);
	}
}
END_TEST

START_TEST(a_phase_that_never_comes_is_still_a_failure)
{
	struct drill d;

	drill(&d,
	      "  - {after: {phase: failback}, fault: net.partition, target: primary,\n"
	      "     probability: 50%}\n",
	      NULL);
	ck_assert_int_eq(d.record.verdict, VERDICT_INVALID);
	done(&d);
}
END_TEST

/* Another step's chance, or one that always says yes, shifts no draw. */
START_TEST(chance_has_a_stream_of_its_own)
{
#define TWO_STEPS(one, two)                                                                        \
	"  - {at: 1m, fault: net.delay, target: primary, for: 1m" one "}\n"                        \
	"  - {at: {every: 10m, jitter: 5m}, fault: node.crash, for: {uniform: {from: 1s, to: "     \
	"9s}},"                                                                                    \
	" target: \"primary/node[*]\", select: one" two "}\n"
	static const char *const steps[] = {
		TWO_STEPS("", ""), TWO_STEPS(", probability: 100%", ", probability: 99.9999%")};
	struct drill a, b;

	drill(&a, steps[0], NULL);
	drill(&b, steps[1], NULL);
	ck_assert_uint_eq(how_many(&b, "fault.inject"), 6);
	ck_assert_str_eq(a.text, b.text);
	done(&a);
	done(&b);
#undef TWO_STEPS
}
END_TEST

START_TEST(occurrences_are_counted)
{
	struct drill d;

	drill(&d, "  - {at: {every: 10m}, count: 3, fault: net.delay, target: primary, for: 1m}\n",
	      NULL);
	ck_assert_uint_eq(how_many(&d, "fault.inject"), 3);
	for (size_t i = 0; i < 3; i++)
		at_second(nth(&d, "fault.inject", i), 600 * (double)(i + 1));
	done(&d);
	/* Those that chance leaves out count too. */
	drill(&d,
	      "  - {at: {every: 1m}, count: 40, fault: net.delay, target: primary, for: 1s,\n"
	      "     probability: 50%}\n",
	      NULL);
	ck_assert_uint_eq(how_many(&d, "fault.inject") + how_many(&d, "fault.skip"), 40);
	ck_assert_uint_ge(how_many(&d, "fault.inject"), 10);
	ck_assert_uint_ge(how_many(&d, "fault.skip"), 10);
	done(&d);
}
END_TEST

static void drill_with_seed(struct drill *d, const char *steps, uint64_t seed)
{
	load(d, steps, NULL, 0);
	run_options(d, &(struct run_options){.driver = sim(), .seed = seed});
}

/* Instant, target, length and chance of the first fault. */
static bool same_fault(const struct drill *a, const struct drill *b)
{
	const cJSON *x = nth(a, "fault.inject", 0), *y = nth(b, "fault.inject", 0);

	if (how_many(a, "fault.skip") != how_many(b, "fault.skip") || !x || !y)
		return false;
	return time_of(x) == time_of(y) && strcmp(word(x, "target"), word(y, "target")) == 0 &&
	       time_of(nth(a, "fault.revert", 0)) == time_of(nth(b, "fault.revert", 0));
}

START_TEST(a_seed_of_its_own_stays)
{
#define RANDOM_STEP(more)                                                                          \
	"  - {at: {every: 5m, jitter: 4m}, count: 6, fault: node.crash, select: one,\n"            \
	"     target: \"primary/node[*]\", for: {uniform: {from: 1s, to: 9s}},\n"                  \
	"     probability: 60%" more "}\n"
	struct drill a, b, c, e;

	drill_with_seed(&a, RANDOM_STEP(", seed: 7"), 1);
	drill_with_seed(&b, RANDOM_STEP(", seed: 7"), 2);
	ck_assert(same_fault(&a, &b));
	drill_with_seed(&c, RANDOM_STEP(""), 1);
	ck_assert(!same_fault(&a, &c));
	drill_with_seed(&e, RANDOM_STEP(""), 7);
	ck_assert(same_fault(&a, &e));
	done(&a);
	done(&b);
	done(&c);
	done(&e);
#undef RANDOM_STEP
}
END_TEST

/* ---- what `drsim plan` says ---- */

/* A guard sees what a split brain loses while it goes on: 60 of 120 records a second go to the
 * standby, more than 1000 of them before the probe at 10 min 20 s. */
START_TEST(a_guard_sees_a_split_brain)
{
	static const char *const sets[] = {
		"deployment.data.io={bytes: 20GB, records: 120/s}",
		"abort=[{when: 'lost_records > 1000', for: 1m}]",
	};
	struct drill d;

	load(&d, "  - {at: 10m, fault: repl.split_brain, target: standby, share: 50%}\n", sets, 2);
	run_options(&d, &(struct run_options){.driver = sim(), .seed = 1});
	ck_assert_int_eq(d.record.verdict, VERDICT_ABORTED);
	ck_assert_int_eq(d.record.duration, S(680));
	done(&d);
}
END_TEST

START_TEST(plan_says_it)
{
	static const char *const lines[] = {
		"with a chance of 30 %; at most 3 times; draws from seed 7",
		"grows over 10 min",
		"pulses: 30 s on, 1 min 30 s off",
		"drawn: exponential, mean 30 min",
	};
	FILE *file = fopen("s.yaml", "we");
	char command[PATH_MAX + 64], *text;

	ck_assert_ptr_nonnull(file);
	fprintf(file, "%ssteps:\n%s", world,
		"  - {at: {every: 1m}, probability: 30%, count: 3, seed: 7, fault: net.delay, "
		"target: primary, for: 1s}\n"
		"  - {at: 1m, ramp: 10m, fault: net.delay, target: primary}\n"
		"  - {at: {exponential: {mean: 30m}}, pulse: {active: 30s, dormant: 90s}, "
		"fault: net.partition, target: primary}\n");
	ck_assert_int_eq(fclose(file), 0);
	snprintf(command, sizeof(command), "'%s' plan s.yaml >plan.txt", workplace_program);
	ck_assert_int_eq(system(command), 0);
	text = workplace_read("plan.txt");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ck_assert_msg(strstr(text, lines[i]) != NULL, "no '%s' in\n%s", lines[i], text);
	free(text);
}
END_TEST

static void enter(void)
{
	workplace_enter("steps");
}

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, enter, workplace_leave);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "pulse: link", a_link_pulses_until_its_time_is_over, 1);
	add(suite, "pulse: service", a_pulse_breaks_the_service_each_time, 1);
	add(suite, "pulse: mended", a_pulse_is_mended_while_it_pauses, 1);
	add(suite, "pulse: carried", what_carried_a_pulse_is_known_later, 2);
	add(suite, "pulse: end", a_pulse_is_undone_at_the_end, 2);
	add(suite, "pulse: not gone", a_pulse_is_never_gone_by_itself, 1);
	add(suite, "pulse: target", a_pause_ends_no_incident, 1);
	add(suite, "pulse: not felt", pulses_that_nobody_feels_are_one_incident, 1);
	add(suite, "onset", the_onset_is_the_fault_that_does_harm,
	    sizeof(onsets) / sizeof(onsets[0]));
	add(suite, "ramp: calm", calm_counts_when_a_ramp_is_over, 1);
	add(suite, "pulse: shows", every_pulse_has_to_show, 1);
	add(suite, "late", a_call_may_be_hit_later, 1);
	add(suite, "late: never", a_call_that_is_never_hit_is_no_fault, 1);
	add(suite, "late: pulse", a_pulse_of_calls_may_show_later, 1);
	add(suite, "pulse: fails", a_pulse_that_cannot_be_applied_says_why, 1);
	add(suite, "pulse: residue", a_pulse_that_stays_is_residue, 1);
	add(suite, "pulse: memory", pulses_take_no_memory, 1);
	add(suite, "pulse: too many", too_many_pulses_are_an_error, 1);
	add(suite, "ramp: levels", a_delay_grows_in_ten_levels, 1);
	add(suite, "ramp: mends nothing", a_ramp_mends_nothing, 1);
	add(suite, "ramp: shows later", a_ramp_shows_when_it_is_strong_enough, 1);
	add(suite, "ramp: never shows", a_ramp_that_never_shows_is_no_fault, 1);
	add(suite, "ramp: nodes", nodes_fail_one_after_another, 1);
	add(suite, "ramp: cut short", a_ramp_may_end_before_all_are_hit, 1);
	add(suite, "ramp: not gone", a_ramp_is_not_gone_by_itself, 1);
	add(suite, "ramp: one thing", a_ramp_on_one_thing_is_refused_when_it_is_known, 1);
	add(suite, "sham", sham_changes_nothing, 1);
	add(suite, "strength", strength_is_scaled, 1);
	add(suite, "chance: trials", probability_is_kept_over_trials, 1);
	add(suite, "chance: drawn", a_drawn_time_may_be_after_the_end, 1);
	add(suite, "chance: left out", what_is_left_out_is_no_failure, 3);
	add(suite, "chance: no phase", a_phase_that_never_comes_is_still_a_failure, 1);
	add(suite, "chance: stream", chance_has_a_stream_of_its_own, 1);
	add(suite, "count", occurrences_are_counted, 1);
	add(suite, "seed", a_seed_of_its_own_stays, 1);
	add(suite, "guard: split brain", a_guard_sees_a_split_brain, 1);
	add(suite, "plan", plan_says_it, 1);
}

TEST_MAIN("steps", add_cases)
