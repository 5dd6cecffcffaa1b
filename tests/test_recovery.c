/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DR controller alone: a host that only writes down what it is asked for, so that every state,
 * every action that fails and every second declaration can be brought about by hand, and then by
 * chance.
 */
#include <stdio.h>
#include <string.h>

#include "core/recovery.h"
#include "tests/test.h"

#define T(s) ((nanos)(s)*NANOS_S)
#define ACTIONS 4096

/* ---- a host that remembers ---- */

struct host {
	struct arena arena;
	struct scenario *scenario;
	struct recovery *r;
	nanos now, marks[MARKS];
	struct action actions[ACTIONS];
	bool open[ACTIONS];
	size_t count;
	unsigned normals, repairs, diagnoses, notes;
	const char *note; /* the latest */
	nanos restored[DATA_CLASSES];
	bool incident; /* one is open: marks count */
};

static action_id host_start(void *self, struct action action)
{
	struct host *h = self;

	ck_assert_uint_lt(h->count, ACTIONS);
	action.id = h->count + 1;
	h->actions[h->count] = action;
	h->open[h->count++] = action.kind != ACTION_PRUNE;
	return action.id;
}

static void host_mark(void *self, uint32_t domain, enum mark mark, nanos at)
{
	struct host *h = self;
	bool first_counts = mark == MARK_FAULT || mark == MARK_DETECT || mark == MARK_DECIDE;

	if (domain != 0 || (first_counts && h->marks[mark] != NANOS_NEVER))
		return;
	if (at != NANOS_NEVER && at > h->now)
		ck_abort_msg("%s lies in the future", mark_names[mark]);
	h->marks[mark] = at;
}

static void host_diagnosed(void *self, uint32_t domain, const struct diagnosis *diagnosis)
{
	struct host *h = self;

	(void)domain;
	h->diagnoses += diagnosis->cause != NULL;
}

static void host_repair(void *self, uint32_t domain)
{
	struct host *h = self;

	(void)domain;
	h->repairs++;
}

static void host_restored(void *self, uint32_t domain, enum data_class data_class, nanos as_of)
{
	struct host *h = self;

	(void)domain;
	h->restored[data_class] = as_of;
}

static void host_normal(void *self, uint32_t domain)
{
	struct host *h = self;

	(void)domain;
	h->normals++;
}

static void host_note(void *self, enum severity severity, const char *text, double seconds)
{
	struct host *h = self;

	(void)severity;
	(void)seconds;
	h->note = text;
	h->notes++;
}

static const char head[] =
	"apiVersion: drsim/v1\nname: controller\nduration: 1d\n"
	"deployment:\n  sites:\n    - {name: p}\n    - {name: q}\n"
	"    - {name: s, standby: {heat: warm}}\n    - {name: z, standby: {heat: cold}}\n"
	"  endpoints:\n    - {name: e, site: p}\n    - {name: f, site: q}\n"
	"  data: {model: {bytes: 1GB}, io: {bytes: 1GB, change: 1MB/s}}\n  store: {site: s}\n"
	"detector: {kind: probe}\n"
	"steps: [{at: 1h, fault: zone.outage, target: p}]\n";

#define BACKUP "backup: {every: 10m, takes: 1m, keep: 3}\n"

/* The controller of the plan, at time 0 with its first backup under way. */
static void open_host(struct host *h, const char *plan)
{
	const struct recovery_host calls = {.self = h,
					    .start = host_start,
					    .mark = host_mark,
					    .diagnosed = host_diagnosed,
					    .repair = host_repair,
					    .restored = host_restored,
					    .normal = host_normal,
					    .note = host_note};
	struct error errors[1] = {{0}};
	size_t count;

	memset(h, 0, sizeof(*h));
	for (int i = 0; i < MARKS; i++)
		h->marks[i] = NANOS_NEVER;
	const char *text = arena_printf(&h->arena, "%s%s", head, plan);
	ck_assert_msg(scenario_parse("plan.yaml", text, strlen(text), NULL, 0, &h->arena,
				     &h->scenario, errors, 1, &count) == 0,
		      "%u:%u: %s", errors[0].place.line, errors[0].place.column, errors[0].text);
	h->r = recovery_new(h->scenario, &calls, &h->arena);
	recovery_reset(h->r, 1, 0);
	recovery_begin(h->r, 0);
}

static void close_host(struct host *h)
{
	arena_free(&h->arena);
}

/* The oldest open action of this kind; ACTIONS: none. */
static size_t open_action(const struct host *h, enum action_kind kind)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->open[i] && h->actions[i].kind == kind)
			return i;
	return ACTIONS;
}

static void end_at(struct host *h, size_t i, bool ok, bool corrupt)
{
	struct completion c = {.kind = COMPLETION_ACTION, .at = h->now, .ok = ok};

	ck_assert_uint_lt(i, h->count);
	c.action = h->actions[i];
	c.corrupt = corrupt;
	c.as_of = c.action.backup == BACKUP_REPLICA ? h->now : h->now - T(60);
	h->open[i] = false;
	recovery_completed(h->r, &c, h->now);
}

static void end(struct host *h, enum action_kind kind, bool ok)
{
	size_t i = open_action(h, kind);

	ck_assert_msg(i < ACTIONS, "no %s is under way", action_names[kind]);
	end_at(h, i, ok, false);
}

static bool asked(const struct host *h, enum action_kind kind)
{
	return open_action(h, kind) < ACTIONS;
}

/* Let time pass, with all that the controller wants to do meanwhile. */
static void pass(struct host *h, nanos by)
{
	nanos until = h->now + by;

	while (recovery_deadline(h->r) <= until) {
		nanos before = recovery_deadline(h->r);

		h->now = before > h->now ? before : h->now;
		recovery_tick(h->r, h->now);
		ck_assert_msg(recovery_deadline(h->r) > h->now, "a deadline that is never over");
		if (asked(h, ACTION_BACKUP))
			end(h, ACTION_BACKUP, true);
	}
	h->now = until;
}

static void is_state(const struct host *h, enum recovery_state state)
{
	ck_assert_msg(recovery_state(h->r, 0) == state, "%s, not %s",
		      recovery_state_names[recovery_state(h->r, 0)], recovery_state_names[state]);
}

static size_t asked_for(const struct host *h, enum action_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < h->count; i++)
		count += h->actions[i].kind == kind && h->actions[i].domain == 0;
	return count;
}

/* ---- the way there and back, step by step ---- */

#define PLAN                                                                                       \
	BACKUP "recovery: {decide: 5s, switch: 20s, restore: {classes: [model, io], "              \
	       "before_serving: [io]}}\n"

/* One hour of quiet, then a declaration. */
static void go_deciding(struct host *h, const char *plan)
{
	open_host(h, plan);
	if (asked(h, ACTION_BACKUP))
		end(h, ACTION_BACKUP, true);
	pass(h, T(3605));
	recovery_calm(h->r, 0, h->now, false);
	recovery_declared(h->r, 0, h->now, false);
}

static void go_moving(struct host *h, const char *plan)
{
	go_deciding(h, plan);
	is_state(h, RECOVERY_DECIDING);
	pass(h, T(5));
	is_state(h, RECOVERY_MOVING);
}

static void go_on_standby(struct host *h, const char *plan)
{
	go_moving(h, plan);
	end(h, ACTION_ACTIVATE, true);
	end(h, ACTION_FENCE, true);
	end(h, ACTION_SWITCH, true);
	end(h, ACTION_RESTORE, true); /* io first: it is needed before serving */
	is_state(h, RECOVERY_ON_STANDBY);
	end(h, ACTION_RESTORE, true);
	end(h, ACTION_VERIFY, true);
}

static void mend(struct host *h)
{
	if (asked(h, ACTION_DIAGNOSE))
		end(h, ACTION_DIAGNOSE, true);
	recovery_repaired(h->r, 0, h->now, true);
}

static void go_returning(struct host *h, const char *plan)
{
	go_on_standby(h, plan);
	recovery_cleared(h->r, 0, h->now);
	pass(h, T(60));
	mend(h);
	is_state(h, RECOVERY_RETURNING);
}

/* Whatever is asked for from here on works, and nothing else breaks: it must become normal. */
static void go_normal(struct host *h)
{
	for (int i = 0; i < 400; i++) {
		for (size_t k = 0; k < h->count; k++)
			if (h->open[k])
				end_at(h, k, true, false);
		recovery_cleared(h->r, 0, h->now);
		if (recovery_state(h->r, 0) != RECOVERY_NORMAL)
			recovery_repaired(h->r, 0, h->now, true);
		recovery_calm(h->r, 0, h->now, true);
		pass(h, T(10));
	}
	is_state(h, RECOVERY_NORMAL);
}

START_TEST(there_and_back)
{
	struct host *h = calloc(1, sizeof(*h));

	go_returning(h, PLAN);
	ck_assert_uint_eq(h->diagnoses, 1);
	ck_assert_uint_eq(h->repairs, 1);
	ck_assert_uint_eq(recovery_active_site(h->r, 0), 2);
	end(h, ACTION_RETURN, true);
	end(h, ACTION_SWITCH_BACK, true);
	is_state(h, RECOVERY_IN_PLACE);
	ck_assert_uint_eq(recovery_active_site(h->r, 0), 0);
	ck_assert_uint_eq(h->actions[open_action(h, ACTION_STOP)].site, 2);
	ck_assert_uint_eq(h->normals, 0);
	recovery_calm(h->r, 0, h->now, true);
	is_state(h, RECOVERY_NORMAL);
	ck_assert_uint_eq(h->normals, 1);
	static const enum mark order[] = {
		MARK_DETECT,   MARK_DECIDE,    MARK_SWITCH_BEGIN, MARK_SWITCHED, MARK_DATA_RESTORED,
		MARK_VERIFIED, MARK_DIAGNOSED, MARK_REPAIRED,     MARK_FAILBACK, MARK_NORMAL};
	for (size_t i = 1; i < sizeof(order) / sizeof(order[0]); i++)
		ck_assert_msg(h->marks[order[i - 1]] <= h->marks[order[i]], "%s is after %s",
			      mark_names[order[i - 1]], mark_names[order[i]]);
	ck_assert_int_eq(h->marks[MARK_DECIDE] - h->marks[MARK_DETECT], T(5));
	close_host(h);
	free(h);
}
END_TEST

/* The standby's own copy of model, the newest backup of io, in the order of need. */
START_TEST(what_is_restored_from_where)
{
	struct host *h = calloc(1, sizeof(*h));
	const struct action *restore;

	go_moving(h, PLAN);
	end(h, ACTION_FENCE, true);
	ck_assert_msg(!asked(h, ACTION_RESTORE), "sequential: after the switch");
	end(h, ACTION_SWITCH, true);
	restore = &h->actions[open_action(h, ACTION_RESTORE)];
	ck_assert_int_eq(restore->data_class, DATA_IO);
	ck_assert_int_eq(restore->backup, 6); /* of 3600 s; 0 to 5 came before */
	end(h, ACTION_RESTORE, true);
	restore = &h->actions[open_action(h, ACTION_RESTORE)];
	ck_assert_int_eq(restore->data_class, DATA_MODEL);
	ck_assert_int_eq(restore->backup, BACKUP_REPLICA);
	close_host(h);
	free(h);
}
END_TEST

/* ---- each action fails once, and the incident still comes to its end ---- */

#define FENCE(word) "fence: {on_fail: " word "}"
#define WITH(more) BACKUP "recovery: {decide: 5s, " more "}\n"

static const struct {
	const char *plan;
	enum action_kind kind;
	enum recovery_state after;
	bool again; /* the move is tried again by itself */
} failures[] = {
	{WITH(FENCE("stop")), ACTION_FENCE, RECOVERY_IN_PLACE, false},
	{WITH(FENCE("proceed")), ACTION_FENCE, RECOVERY_MOVING, false},
	{WITH(FENCE("stop")), ACTION_ACTIVATE, RECOVERY_IN_PLACE, true},
	{WITH(FENCE("stop")), ACTION_SWITCH, RECOVERY_IN_PLACE, true},
	{WITH(FENCE("stop")), ACTION_RESTORE, RECOVERY_IN_PLACE, true},
	{WITH("restore: {order: parallel}"), ACTION_RESTORE, RECOVERY_IN_PLACE, true},
};

START_TEST(an_action_of_the_move_fails)
{
	struct host *h = calloc(1, sizeof(*h));

	go_moving(h, failures[_i].plan);
	while (!asked(h, failures[_i].kind))
		end(h, asked(h, ACTION_FENCE) ? ACTION_FENCE : ACTION_SWITCH, true);
	end(h, failures[_i].kind, false);
	is_state(h, failures[_i].after);
	if (failures[_i].after == RECOVERY_IN_PLACE) {
		ck_assert_int_eq(h->marks[MARK_SWITCH_BEGIN], NANOS_NEVER);
		ck_assert_int_eq(h->marks[MARK_SWITCHED], NANOS_NEVER);
		ck_assert_int_eq(h->marks[MARK_DATA_BEGIN], NANOS_NEVER);
		pass(h, T(31));
		is_state(h, failures[_i].again ? RECOVERY_MOVING : RECOVERY_IN_PLACE);
	}
	/* The next standby, where the first one failed. */
	if (failures[_i].again)
		ck_assert_uint_eq(h->actions[h->count - 1].kind == ACTION_RESTORE
					  ? h->actions[h->count - 1].to
					  : h->actions[h->count - 2].to,
				  3);
	go_normal(h);
	ck_assert_uint_ge(h->normals, 1);
	ck_assert_uint_eq(recovery_active_site(h->r, 0), 0);
	close_host(h);
	free(h);
}
END_TEST

/* What a move that was given up still has under way ends later, and counts for nothing. */
START_TEST(late_ends_are_ignored)
{
	struct host *h = calloc(1, sizeof(*h));

	go_moving(h, WITH("restore: {order: parallel}"));
	size_t fence = open_action(h, ACTION_FENCE);
	end(h, ACTION_ACTIVATE, false);
	is_state(h, RECOVERY_IN_PLACE);
	size_t count = h->count;
	end_at(h, fence, true, false);
	while (asked(h, ACTION_RESTORE))
		end(h, ACTION_RESTORE, true);
	ck_assert_uint_eq(h->count, count);
	ck_assert_int_eq(h->marks[MARK_DATA_RESTORED], NANOS_NEVER);
	is_state(h, RECOVERY_IN_PLACE);
	close_host(h);
	free(h);
}
END_TEST

/* The verification of the first standby says nothing about the second. */
START_TEST(verification_of_an_earlier_move)
{
	struct host *h = calloc(1, sizeof(*h));

	go_moving(h, PLAN);
	end(h, ACTION_FENCE, true);
	end(h, ACTION_SWITCH, true);
	end(h, ACTION_RESTORE, true);
	end(h, ACTION_RESTORE, true);
	size_t verify = open_action(h, ACTION_VERIFY);
	recovery_calm(h->r, 0, h->now, true); /* the standby serves */
	recovery_calm(h->r, 0, h->now, false);
	recovery_declared(h->r, 0, h->now, false);
	pass(h, T(5));
	is_state(h, RECOVERY_MOVING);
	end_at(h, verify, true, false);
	ck_assert_int_eq(h->marks[MARK_VERIFIED], NANOS_NEVER);
	go_normal(h);
	ck_assert_uint_eq(asked_for(h, ACTION_STOP), 2); /* both standbys */
	close_host(h);
	free(h);
}
END_TEST

/* A class that serving does not need is tried until the store is there again. */
START_TEST(a_late_restore_is_tried_again)
{
	struct host *h = calloc(1, sizeof(*h));

	go_moving(h, PLAN);
	end(h, ACTION_FENCE, true);
	end(h, ACTION_SWITCH, true);
	end(h, ACTION_RESTORE, true);
	is_state(h, RECOVERY_ON_STANDBY);
	for (int i = 0; i < 3; i++) {
		end(h, ACTION_RESTORE, false);
		ck_assert(!asked(h, ACTION_RESTORE) && !asked(h, ACTION_VERIFY));
		pass(h, T(30));
	}
	end(h, ACTION_RESTORE, true);
	ck_assert(asked(h, ACTION_VERIFY));
	go_normal(h);
	close_host(h);
	free(h);
}
END_TEST

START_TEST(corrupt_points_give_way_to_older_ones)
{
	struct host *h = calloc(1, sizeof(*h));

	go_moving(h, PLAN);
	end(h, ACTION_FENCE, true);
	end(h, ACTION_SWITCH, true);
	for (int i = 6; i > 3; i--) { /* keep: 3 */
		ck_assert_int_eq(h->actions[open_action(h, ACTION_RESTORE)].backup, i);
		end_at(h, open_action(h, ACTION_RESTORE), true, true);
	}
	is_state(h, RECOVERY_IN_PLACE);
	ck_assert_msg(strstr(h->note, "no usable recovery point") != NULL, "%s", h->note);
	pass(h, T(120));
	is_state(h, RECOVERY_IN_PLACE); /* a person has to decide */
	go_normal(h);
	close_host(h);
	free(h);
}
END_TEST

/* The primary goes away again: the standby serves on, and the way back is taken up later. */
START_TEST(the_way_back_fails)
{
	enum action_kind kind = _i ? ACTION_SWITCH_BACK : ACTION_RETURN;
	struct host *h = calloc(1, sizeof(*h));

	go_returning(h, PLAN);
	if (_i)
		end(h, ACTION_RETURN, true);
	end(h, kind, false);
	is_state(h, RECOVERY_ON_STANDBY);
	ck_assert_uint_eq(h->actions[open_action(h, ACTION_DIAGNOSE)].site, 0);
	ck_assert_int_eq(h->marks[MARK_REPAIRED], NANOS_NEVER);
	mend(h);
	is_state(h, RECOVERY_ON_STANDBY); /* not at once: it may fail for ever */
	pass(h, T(30));
	is_state(h, RECOVERY_RETURNING);
	go_normal(h);
	ck_assert_int_ge(h->marks[MARK_FAILBACK], h->marks[MARK_REPAIRED]);
	close_host(h);
	free(h);
}
END_TEST

/* ---- a second declaration in every state ---- */

START_TEST(declared_again)
{
	static void (*const go[])(struct host *, const char *) = {open_host, go_deciding, go_moving,
								  go_on_standby, go_returning};
	static const enum recovery_state after[] = {RECOVERY_DECIDING, RECOVERY_DECIDING,
						    RECOVERY_MOVING, RECOVERY_ON_STANDBY,
						    RECOVERY_RETURNING};
	struct host *h = calloc(1, sizeof(*h));

	go[_i](h, PLAN);
	size_t before = asked_for(h, ACTION_FENCE);
	nanos decided = h->marks[MARK_DECIDE];
	for (int i = 0; i < 3; i++)
		recovery_declared(h->r, 0, h->now, false);
	is_state(h, after[_i]);
	ck_assert_uint_eq(asked_for(h, ACTION_FENCE), before);
	ck_assert_int_eq(h->marks[MARK_DECIDE], decided);
	go_normal(h);
	close_host(h);
	free(h);
}
END_TEST

/* One that never serves is given up in the end, and so is one that served and stopped. */
START_TEST(the_standby_fails)
{
	struct host *h = calloc(1, sizeof(*h));

	go_on_standby(h, PLAN);
	if (_i == 0) {
		recovery_declared(h->r, 0, h->now, false);
		is_state(h, RECOVERY_ON_STANDBY); /* it is still coming up */
		pass(h, T(599));
		is_state(h, RECOVERY_ON_STANDBY);
		pass(h, T(6));
	} else {
		recovery_cleared(h->r, 0, h->now);
		recovery_declared(h->r, 0, h->now, false);
		is_state(h, RECOVERY_DECIDING);
		pass(h, T(5));
	}
	is_state(h, RECOVERY_MOVING);
	size_t fence = open_action(h, ACTION_FENCE);
	ck_assert_uint_eq(h->actions[fence].site, 2);
	ck_assert_uint_eq(h->actions[open_action(h, ACTION_ACTIVATE)].site, 3);
	go_normal(h);
	close_host(h);
	free(h);
}
END_TEST

START_TEST(cleared_before_anybody_decided)
{
	struct host *h = calloc(1, sizeof(*h));

	go_deciding(h, PLAN);
	recovery_cleared(h->r, 0, h->now);
	is_state(h, RECOVERY_IN_PLACE);
	pass(h, T(60)); /* it is not calm yet, but nobody declares it */
	is_state(h, RECOVERY_IN_PLACE);
	ck_assert_uint_eq(asked_for(h, ACTION_SWITCH), 0);
	recovery_declared(h->r, 0, h->now, false);
	is_state(h, RECOVERY_DECIDING);
	go_normal(h);
	close_host(h);
	free(h);
}
END_TEST

/* ---- plans ---- */

START_TEST(repair_in_place)
{
	struct host *h = calloc(1, sizeof(*h));

	go_deciding(h, WITH("prefer: in_place"));
	pass(h, T(5));
	is_state(h, RECOVERY_IN_PLACE);
	ck_assert_uint_eq(asked_for(h, ACTION_FENCE), 0);
	recovery_calm(h->r, 0, h->now, true);
	mend(h);
	is_state(h, RECOVERY_IN_PLACE); /* still declared */
	recovery_cleared(h->r, 0, h->now);
	is_state(h, RECOVERY_NORMAL);
	close_host(h);
	free(h);
}
END_TEST

START_TEST(the_target_recovers_itself)
{
	struct host *h = calloc(1, sizeof(*h));

	go_deciding(h, BACKUP "recovery: {managed_by: target}\n");
	is_state(h, RECOVERY_IN_PLACE);
	pass(h, T(600));
	ck_assert_uint_eq(asked_for(h, ACTION_DIAGNOSE) + asked_for(h, ACTION_FENCE), 0);
	recovery_cleared(h->r, 0, h->now);
	recovery_calm(h->r, 0, h->now, true);
	is_state(h, RECOVERY_NORMAL);
	close_host(h);
	free(h);
}
END_TEST

/* Without a way back the standby is the place that is normal, and can be left again. */
START_TEST(the_standby_stays)
{
	struct host *h = calloc(1, sizeof(*h));

	go_on_standby(h, WITH("restore: {before_serving: [io]}, failback: {after: never}"));
	recovery_cleared(h->r, 0, h->now);
	mend(h);
	recovery_calm(h->r, 0, h->now, true);
	is_state(h, RECOVERY_NORMAL);
	ck_assert_uint_eq(recovery_active_site(h->r, 0), 2);
	ck_assert_uint_eq(asked_for(h, ACTION_RETURN), 0);
	recovery_calm(h->r, 0, h->now, false);
	recovery_declared(h->r, 0, h->now, false);
	pass(h, T(5));
	ck_assert_uint_eq(h->actions[open_action(h, ACTION_ACTIVATE)].site, 3);
	go_normal(h);
	ck_assert_uint_eq(recovery_active_site(h->r, 0), 3);
	close_host(h);
	free(h);
}
END_TEST

/* The platform sees broken hardware that hurts nobody: mended, and no takeover. */
START_TEST(noticed_by_the_platform)
{
	struct host *h = calloc(1, sizeof(*h));

	open_host(h, PLAN);
	h->now = T(100);
	recovery_noticed(h->r, 0, 0);
	is_state(h, RECOVERY_NORMAL);
	recovery_noticed(h->r, 0, 0);
	ck_assert_uint_eq(asked_for(h, ACTION_DIAGNOSE), 1);
	end(h, ACTION_DIAGNOSE, true);
	ck_assert_uint_eq(h->repairs, 1);
	recovery_repaired(h->r, 0, h->now, true);
	ck_assert_uint_eq(h->normals, 1);
	ck_assert_int_eq(h->marks[MARK_NORMAL], T(100));
	close_host(h);
	free(h);
}
END_TEST

/* Something else breaks after the repair: it is not mended any more, nor is the way back over. */
START_TEST(broken_again_after_the_repair)
{
	struct host *h = calloc(1, sizeof(*h));

	go_returning(h, PLAN);
	end(h, ACTION_RETURN, true);
	end(h, ACTION_SWITCH_BACK, true);
	nanos back = h->now;
	ck_assert_int_eq(h->marks[MARK_FAILBACK], back);
	recovery_broken(h->r, 0);
	ck_assert_int_eq(h->marks[MARK_REPAIRED], NANOS_NEVER);
	ck_assert_int_eq(h->marks[MARK_FAILBACK], NANOS_NEVER);
	recovery_calm(h->r, 0, h->now, true);
	is_state(h, RECOVERY_IN_PLACE);
	pass(h, T(50));
	recovery_repaired(h->r, 0, h->now, true);
	is_state(h, RECOVERY_NORMAL);
	ck_assert_int_eq(h->marks[MARK_FAILBACK], back + T(50));
	close_host(h);
	free(h);
}
END_TEST

START_TEST(domains_are_apart)
{
	struct host *h = calloc(1, sizeof(*h));

	open_host(h, PLAN);
	ck_assert_uint_eq(recovery_domains(h->r), 2);
	ck_assert_int_eq(recovery_domain_of(h->r, 1), 1);
	ck_assert_int_eq(recovery_domain_of(h->r, 2), -1);
	ck_assert_uint_eq(recovery_site(h->r, 1), 1);
	end(h, ACTION_BACKUP, true);
	recovery_declared(h->r, 1, h->now, false);
	pass(h, T(5));
	is_state(h, RECOVERY_NORMAL);
	ck_assert_uint_eq(h->actions[open_action(h, ACTION_FENCE)].site, 1);
	end(h, ACTION_FENCE, true);
	end(h, ACTION_SWITCH, true);
	ck_assert_msg(!asked(h, ACTION_RESTORE), "the data belong to the first one");
	ck_assert_int_eq((int)recovery_state(h->r, 1), RECOVERY_ON_STANDBY);
	close_host(h);
	free(h);
}
END_TEST

/* ---- backups ---- */

START_TEST(backups_by_the_clock)
{
	struct host *h = calloc(1, sizeof(*h));

	open_host(h, PLAN);
	ck_assert_uint_eq(asked_for(h, ACTION_BACKUP), 1); /* at the start */
	ck_assert_int_eq(recovery_deadline(h->r), T(600));
	h->now = T(600);
	recovery_tick(h->r, h->now); /* the first one is still running */
	ck_assert_uint_eq(asked_for(h, ACTION_BACKUP), 1);
	ck_assert_msg(strstr(h->note, "still running") != NULL, "%s", h->note);
	end(h, ACTION_BACKUP, true);
	for (int i = 0; i < 3; i++)
		pass(h, T(600));
	ck_assert_uint_eq(asked_for(h, ACTION_BACKUP), 4);
	ck_assert_uint_eq(asked_for(h, ACTION_PRUNE), 1); /* keep: 3 */
	ck_assert_int_eq(recovery_deadline(h->r), T(3000));
	close_host(h);
	free(h);
}
END_TEST

/* ---- by chance ---- */

static uint64_t roll(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* One of the open actions, none more likely than the other; ACTIONS: none. */
static size_t any_open(const struct host *h, uint64_t *dice)
{
	size_t open = 0, pick;

	for (size_t i = 0; i < h->count; i++)
		open += h->open[i];
	if (open == 0)
		return ACTIONS;
	pick = (size_t)(roll(dice) % open);
	for (size_t i = 0; i < h->count; i++)
		if (h->open[i] && pick-- == 0)
			return i;
	return ACTIONS;
}

static void one_thing_happens(struct host *h, uint64_t *dice)
{
	uint64_t what = roll(dice) % 16;
	size_t i = any_open(h, dice);
	bool ok = roll(dice) % 4 != 0, corrupt = ok && roll(dice) % 6 == 0;

	if (what < 7 && i < ACTIONS)
		end_at(h, i, ok, corrupt && h->actions[i].kind == ACTION_RESTORE);
	else if (what == 7)
		recovery_declared(h->r, 0, h->now, roll(dice) % 3 == 0);
	else if (what == 8)
		recovery_cleared(h->r, 0, h->now);
	else if (what == 9)
		recovery_calm(h->r, 0, h->now, roll(dice) % 2);
	else if (what == 10)
		recovery_noticed(h->r, 0, recovery_active_site(h->r, 0));
	else if (what == 11)
		recovery_broken(h->r, 0);
	else if (what == 12)
		recovery_repaired(h->r, 0, h->now, roll(dice) % 2);
	else
		pass(h, (nanos)(roll(dice) % 60) * NANOS_S);
}

/* What may never be asked for, whatever came before. */
static void check_asked(const struct host *h, size_t from)
{
	for (size_t i = from; i < h->count; i++) {
		const struct action *a = &h->actions[i];
		bool there = a->kind == ACTION_SWITCH || a->kind == ACTION_ACTIVATE;

		if (there && a->to < 2)
			ck_abort_msg("%s to a primary", action_names[a->kind]);
		if ((a->kind == ACTION_RETURN || a->kind == ACTION_SWITCH_BACK) && a->to != 0)
			ck_abort_msg("%s to site %u", action_names[a->kind], a->to);
		if (a->kind == ACTION_STOP && a->site < 2)
			ck_abort_msg("a primary is stopped");
		if (a->kind == ACTION_SWITCH && a->site == a->to)
			ck_abort_msg("a switch to where the traffic is");
	}
}

static const char *const plans[] = {
	PLAN,
	WITH("restore: {order: parallel}, fence: {on_fail: proceed}"),
	WITH("fence: none, failback: {after: never}, restore: {before_serving: []}"),
	WITH("coverage: 50%, restore: {classes: [io], before_serving: [io]}"),
	WITH("prefer: in_place"),
	WITH("after_restore: stop_standby"),
	"recovery: {decide: 5s}\n",
};
#define PLANS (int)(sizeof(plans) / sizeof(plans[0]))
#define WALKS 200

/* A walk through whatever can happen, and after it everything works: it must come back. */
START_TEST(random_walks)
{
	struct host *h = calloc(1, sizeof(*h));

	for (uint64_t walk = 0; walk < WALKS; walk++) {
		uint64_t dice = walk * PLANS + (uint64_t)_i;

		open_host(h, plans[_i]);
		for (int i = 0; i < 300 && h->count < ACTIONS / 2; i++) {
			size_t before = h->count;

			one_thing_happens(h, &dice);
			check_asked(h, before);
		}
		go_normal(h);
		for (size_t i = 0; i < h->count; i++)
			if (h->open[i] && h->actions[i].kind != ACTION_BACKUP)
				ck_abort_msg("%s was asked for and goes on in peace",
					     action_names[h->actions[i].kind]);
		close_host(h);
	}
	free(h);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "there and back", there_and_back);
	test_add(suite, "restored from where", what_is_restored_from_where);
	test_add_loop(suite, "an action fails", an_action_of_the_move_fails,
		      (int)(sizeof(failures) / sizeof(failures[0])));
	test_add(suite, "late ends", late_ends_are_ignored);
	test_add(suite, "late verification", verification_of_an_earlier_move);
	test_add(suite, "late restore", a_late_restore_is_tried_again);
	test_add(suite, "corrupt points", corrupt_points_give_way_to_older_ones);
	test_add_loop(suite, "the way back fails", the_way_back_fails, 2);
	test_add_loop(suite, "declared again", declared_again, 5);
	test_add_loop(suite, "the standby fails", the_standby_fails, 2);
	test_add(suite, "cleared", cleared_before_anybody_decided);
	test_add(suite, "in place", repair_in_place);
	test_add(suite, "managed by target", the_target_recovers_itself);
	test_add(suite, "the standby stays", the_standby_stays);
	test_add(suite, "noticed", noticed_by_the_platform);
	test_add(suite, "broken again", broken_again_after_the_repair);
	test_add(suite, "domains", domains_are_apart);
	test_add(suite, "backups", backups_by_the_clock);
	test_add_loop(suite, "random walks", random_walks, PLANS);
}

TEST_MAIN("recovery", add_cases)
