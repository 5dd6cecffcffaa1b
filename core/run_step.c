/* SPDX-License-Identifier: Apache-2.0 */
/* Steps: when a fault is due, its injection, the proof that it took effect, and the proof that it
 * is undone. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/run_private.h"
#include "core/trace.h"

/* ---- when ---- */

static nanos occurrence_time(struct schedule *schedule, const struct step *step)
{
	nanos jitter = 0;
	switch (step->when) {
	case WHEN_AT:
		return schedule->occurrence == 0 ? step->at : NANOS_NEVER;
	case WHEN_UNIFORM:
		if (schedule->occurrence > 0)
			return NANOS_NEVER;
		return step->at +
		       (nanos)(prng_uniform(&schedule->time) * (double)(step->to - step->at));
	case WHEN_DRAWN:
		return schedule->occurrence == 0 ? dist_sample_nanos(&step->drawn, &schedule->time)
						 : NANOS_NEVER;
	case WHEN_EVERY:
		if (step->count > 0 && schedule->occurrence >= step->count)
			return NANOS_NEVER;
		if (step->to > 0)
			jitter = (nanos)(prng_uniform(&schedule->time) * (double)step->to);
		return (nanos)(schedule->occurrence + 1) * step->at + jitter;
	case WHEN_FAILURE:
		return failure_after(step, schedule->due, &schedule->time);
	case WHEN_TRACE:
		return schedule->occurrence < step->trace->count
			       ? step->trace->records[schedule->occurrence].at
			       : NANOS_NEVER;
	case WHEN_AFTER:
		break;
	}
	return NANOS_NEVER;
}

int steps_new(struct run *run, struct error *e)
{
	const struct scenario *scenario = run->scenario;
	const struct driver_ops *driver = run->options.driver;
	run->schedules =
		arena_array(&run->arena, scenario->step_count + 1, sizeof(*run->schedules));
	run->left_out = arena_array(&run->arena, scenario->step_count + 1, sizeof(*run->left_out));
	for (size_t i = 0; i < scenario->step_count; i++) {
		const struct fault_ops *fault = scenario->steps[i].fault;
		effect_mask lacks = fault->needs & ~driver->effects;
		int kind = 0;
		while (kind < EFFECTS && !(lacks & EFFECT_BIT(kind)))
			kind++;
		if (kind < EFFECTS)
			return error_set(e, ERROR_UNAVAILABLE, scenario->steps[i].place,
					 "the driver '%s' cannot apply '%s': it has no mechanism "
					 "for %s",
					 driver->name, fault->name, effect_names[kind]);
	}
	failures_new(run);
	return 0;
}

/* Streams by the number of a step, or of a row of `failures`, so that one more of the ones shifts
 * none of the others. */
static void open_streams(struct run *run, struct schedule *schedule, const struct step *step)
{
	uint64_t seed = step->seeded ? step->seed : run->options.seed, trial = run->trial_number;
	bool failure = step->when == WHEN_FAILURE;
	uint64_t entity = failure ? step->failure.row : step->index;
	prng_open(&schedule->time, seed, trial, entity, failure ? PRNG_FAILURE : PRNG_STEP_TIME);
	prng_open(&schedule->duration, seed, trial, entity, PRNG_STEP_DURATION);
	prng_open(&schedule->select, seed, trial, entity,
		  failure ? PRNG_FAILURE_TARGET : PRNG_STEP_TARGET);
	prng_open(&schedule->fault, seed, trial, entity, failure ? PRNG_FAILURE_FAULT : PRNG_FAULT);
	prng_open(&schedule->chance, seed, trial, entity, PRNG_STEP_CHANCE);
}

void steps_reset(struct run *run)
{
	const struct scenario *scenario = run->scenario;
	run->skips = run->pulses = 0;
	run->injection_count = run->active_count = run->fault_count = 0;
	run->active_capacity = 0;
	run->active = NULL;
	run->injection_capacity = run->fault_capacity = 0;
	run->injections = NULL;
	run->faults = NULL;
	failures_reset(run);
	for (uint32_t i = 0; i < scenario->step_count; i++) {
		const struct step *step = &scenario->steps[i];
		struct schedule *schedule = &run->schedules[i];
		memset(schedule, 0, sizeof(*schedule));
		open_streams(run, schedule, step);
		schedule->due = occurrence_time(schedule, step);
		schedule->waiting = step->when == WHEN_AFTER;
		run->left_out[i] = step->when == WHEN_DRAWN && schedule->due >= scenario->duration;
	}
}

nanos steps_deadline(const struct run *run)
{
	nanos next = NANOS_NEVER;
	for (size_t i = 0; i < run->scenario->step_count; i++)
		next = run->schedules[i].due < next ? run->schedules[i].due : next;
	for (size_t i = 0; i < run->active_count; i++) {
		const struct injection *injection = &run->injections[run->active[i]];
		next = injection->revert_at < next ? injection->revert_at : next;
		next = injection->change_at < next ? injection->change_at : next;
		next = injection->look_at < next ? injection->look_at : next;
	}
	return next;
}

void steps_phase(struct run *run, enum phase phase, action_id id)
{
	for (size_t i = 0; i < run->scenario->step_count; i++) {
		const struct step *step = &run->scenario->steps[i];
		struct schedule *schedule = &run->schedules[i];
		if (!schedule->waiting || step->after.phase != phase)
			continue;
		nanos delay = step->after.delay;
		if (step->after.progress > 0 && id) {
			/* A share of the first action of the phase that takes any time: the switch,
			 * the first class that is really copied. */
			nanos end = run->options.driver->expected_end(run->driver, id);
			if (end == NANOS_NEVER || end <= run->now)
				continue;
			delay += (nanos)((double)(end - run->now) * step->after.progress);
		}
		schedule->waiting = false;
		schedule->due = run->now + delay;
	}
}

/* ---- injecting ---- */

/* "gpu_loss.yaml:14"; what came by --set has no line of its own. */
const char *run_place(struct run *run, struct place place)
{
	const char *file = place.file ? place.file : "", *name = strrchr(file, '/');

	if (strncmp(file, "--set ", 6) == 0)
		return "--set";
	return arena_printf(&run->trial, "%s:%u", name ? name + 1 : file, place.line);
}

static struct injection *injection_new(struct run *run, const struct step *step)
{
	assert(run->injection_count < INJECTIONS_MAX);
	run->injections = arena_grow(&run->trial, run->injections, run->injection_count,
				     &run->injection_capacity, sizeof(*run->injections));
	run->faults = arena_grow(&run->trial, run->faults, run->fault_count, &run->fault_capacity,
				 sizeof(*run->faults));
	struct injection *injection = &run->injections[run->injection_count++];
	struct fault_record *record = &run->faults[run->fault_count];
	*injection = (struct injection){.step = step,
					.revert_at = NANOS_NEVER,
					.reverted_at = NANOS_NEVER,
					.change_at = NANOS_NEVER,
					.look_at = NANOS_NEVER,
					.incident = -1,
					.record = (uint32_t)run->fault_count++};
	*record = (struct fault_record){.step = step->index,
					.incident = -1,
					.name = step->fault->name,
					.target = step->target.spec,
					.mechanism = "none",
					.effective = TRISTATE_NULL,
					.reverted = TRISTATE_NULL};
	return injection;
}

static int plan(struct run *run, struct injection *injection, struct error *e)
{
	const struct step *step = injection->step;
	struct schedule *schedule = &run->schedules[step->index];
	const struct entity *entities;
	size_t count = occurrence_entities(run, step, schedule, &entities);
	struct effects effects = {.arena = &run->trial};
	if (step->fault->plan(step->params, entities, count, &schedule->fault, &effects, e))
		return -1;
	for (size_t i = 0; i < effects.count; i++) {
		effects.items[i].step = step->index;
		effects.items[i].injection = (uint32_t)(injection - run->injections);
	}
	injection->effects = effects.items;
	injection->effect_count = effects.count;
	injection->undos = arena_array(&run->trial, effects.count + 1, sizeof(*injection->undos));
	injection->before = arena_array(&run->trial, effects.count + 1, sizeof(*injection->before));
	injection->seen = arena_array(&run->trial, effects.count + 1, sizeof(*injection->seen));
	injection->observed = arena_array(&run->trial, OBSERVED_MAX, 1);
	snprintf(injection->observed, OBSERVED_MAX, "no effect was planned");
	struct fault_record *record = &run->faults[injection->record];
	record->cause = occurrence_cause(step, schedule);
	if (count == 1) {
		char text[ENTITY_TEXT_MAX];
		record->target =
			arena_strdup(&run->trial, entity_print(entities[0], run->scenario, text));
	}
	if (effects.count > 0) {
		struct mechanism mechanism = run->options.driver->mechanism(effects.items[0].kind);
		record->mechanism = mechanism.text;
		record->fidelity = mechanism.fidelity;
	}
	return 0;
}

static void tell_inject(struct run *run, const struct injection *injection)
{
	const struct fault_record *record = &run->faults[injection->record];
	if (!timeline_on(run->timeline))
		return;
	timeline_begin(run->timeline, run->now, "fault.inject");
	timeline_int(run->timeline, "step", record->step);
	timeline_int(run->timeline, "injection", record - run->faults);
	timeline_text(run->timeline, "fault", record->name);
	timeline_text(run->timeline, "target", record->target);
	if (record->cause)
		timeline_text(run->timeline, "cause", record->cause);
	timeline_text(run->timeline, "mechanism", record->mechanism);
	timeline_text(run->timeline, "fidelity", fidelity_names[record->fidelity]);
	timeline_text(run->timeline, "place", run_place(run, injection->step->place));
	timeline_end(run->timeline);
}

static void tell_verdict(struct run *run, const struct injection *injection)
{
	const struct fault_record *record = &run->faults[injection->record];
	const char *taken = injection->hit > 0 ? injection->undos[0].mechanism : NULL;
	timeline_begin(run->timeline, run->now, "fault.verdict");
	timeline_int(run->timeline, "step", record->step);
	timeline_int(run->timeline, "injection", record - run->faults);
	if (record->effective == TRISTATE_NULL)
		timeline_null(run->timeline, "effective");
	else
		timeline_bool(run->timeline, "effective", record->effective == TRISTATE_TRUE);
	timeline_text(run->timeline, "observed", record->observed);
	if (taken)
		timeline_text(run->timeline, "mechanism", taken);
	timeline_end(run->timeline);
}

void injection_look(struct run *run, struct injection *injection, size_t i)
{
	const struct effect *effect = &injection->effects[i];
	char text[OBSERVED_MAX];
	struct reading after;
	run->options.driver->read(run->driver, effect->entity, EFFECT_BIT(effect->kind), &after);
	bool visible = effect_visible(effect->kind, &injection->before[i], &after, text);
	/* Told is the first effect, or the first of those that were never seen. */
	if ((i == 0 && visible) ||
	    (!injection->seen[i] && (i == 0 || !visible) && !injection->missed))
		memcpy(injection->observed, text, sizeof(text));
	injection->missed |= !visible;
	if (!visible || injection->seen[i])
		return;
	injection->seen[i] = true;
	injection->taken++;
}

int injection_apply(struct run *run, struct injection *injection, size_t i, double share,
		    struct error *e)
{
	const struct driver_ops *driver = run->options.driver;
	struct effect effect = effect_scaled(injection->effects[i], share);
	driver->read(run->driver, effect.entity, EFFECT_BIT(effect.kind), &injection->before[i]);
	injection->undos[i].effect = effect;
	if (driver->apply(run->driver, &effect, &injection->undos[i], e))
		return -1;
	struct fault_record *record = &run->faults[injection->record];
	injection->active = record->applied = true;
	if (i == 0 && injection->undos[i].mechanism)
		record->mechanism = injection->undos[i].mechanism;
	injection->hit = i + 1 > injection->hit ? i + 1 : injection->hit;
	injection_look(run, injection, i);
	return 0;
}

/*
 * By number or by chance: on a real system the first operation, packet or job that is hit may come
 * after the first look, so that the verdict waits for it, at the latest until the fault ends. A
 * model shows it at once.
 */
#define SHOWS_LATER                                                                                \
	(EFFECT_BIT(EFFECT_SYS_ERROR) | EFFECT_BIT(EFFECT_SYS_RETVAL) |                            \
	 EFFECT_BIT(EFFECT_SYS_DELAY) | EFFECT_BIT(EFFECT_IO_ERROR) |                              \
	 EFFECT_BIT(EFFECT_IO_LATENCY) | EFFECT_BIT(EFFECT_NET_LOSS) |                             \
	 EFFECT_BIT(EFFECT_NET_DUPLICATE) | EFFECT_BIT(EFFECT_NET_CORRUPT) |                       \
	 EFFECT_BIT(EFFECT_NET_REORDER) | EFFECT_BIT(EFFECT_NET_RESET) |                           \
	 EFFECT_BIT(EFFECT_FS_TORN_OP) | EFFECT_BIT(EFFECT_FS_TORN_SEQ) |                          \
	 EFFECT_BIT(EFFECT_BACKUP_FAIL))
#define LOOK_AGAIN (250 * NANOS_MS)

void injection_expect_later(struct run *run, struct injection *injection)
{
	if (strcmp(run->options.driver->kind, "injected") != 0)
		return;
	for (size_t i = 0; i < injection->effect_count; i++)
		injection->late |= (SHOWS_LATER >> injection->effects[i].kind & 1) != 0;
	if (injection->late)
		injection->look_at = run->now + LOOK_AGAIN;
}

static void look_again(struct run *run, struct injection *injection)
{
	injection->missed = false;
	for (size_t i = 0; i < injection->hit; i++)
		if (!injection->seen[i] && injection->undos[i].applied)
			injection_look(run, injection, i);
	injection->look_at = run->now + LOOK_AGAIN;
	injection_settle(run, injection);
}

void injection_last_look(struct run *run, struct injection *injection)
{
	if (injection->late)
		look_again(run, injection);
	injection->late = false;
	injection->look_at = NANOS_NEVER;
}

/* Effective: all effects took that were applied. */
void injection_settle(struct run *run, struct injection *injection)
{
	struct fault_record *record = &run->faults[injection->record];
	bool all = injection->hit > 0 && injection->taken == injection->hit;
	bool over = injection->change_at == NANOS_NEVER, grown = injection->levels > 0 && over;
	enum tristate effective = all ? TRISTATE_TRUE : TRISTATE_FALSE;
	bool known = record->effective == effective;
	if (all) {
		injection->late = false;
		injection->look_at = NANOS_NEVER;
	}
	if (injection->hidden || record->effective == TRISTATE_FALSE || (known && !grown) ||
	    (!all && ((injection->whole && !over) || injection->late)))
		return;
	record->effective = effective;
	record->observed =
		injection->hit > 1
			? arena_printf(&run->trial, "%zu of %zu effects seen; %s", injection->taken,
				       injection->hit, injection->observed)
			: arena_strdup(&run->trial, injection->observed);
	if (known)
		return;
	injection->hidden = !all && failure_hidden(run, injection);
	if (injection->hidden) {
		record->effective = TRISTATE_NULL;
		record->observed =
			arena_printf(&run->trial, "broken already: %s", record->observed);
	}
	tell_verdict(run, injection);
	if (all || injection->hidden)
		injection->incident = incident_fault(run, injection);
	else
		run->any_invalid = true;
}

void injection_failed(struct run *run, struct injection *injection, struct error *e)
{
	struct fault_record *record = &run->faults[injection->record];
	injection->change_at = injection->look_at = NANOS_NEVER;
	injection->late = false;
	record->effective = TRISTATE_FALSE;
	record->observed = e ? arena_strdup(&run->trial, e->text) : "could not be applied";
	if (e)
		*e = (struct error){.kind = ERROR_NONE};
	tell_verdict(run, injection);
	run->any_invalid = true;
}

static void leave_out(struct run *run, const struct step *step, const char *why)
{
	run->left_out[step->index]++;
	run->skips++;
	timeline_begin(run->timeline, run->now, "fault.skip");
	timeline_int(run->timeline, "step", step->index);
	timeline_text(run->timeline, "fault", step->fault->name);
	timeline_text(run->timeline, "why", why);
	timeline_end(run->timeline);
}

static int inject(struct run *run, const struct step *step, struct error *e)
{
	struct injection *injection = injection_new(run, step);
	struct fault_record *record = &run->faults[injection->record];
	if (plan(run, injection, e))
		return -1;
	if (failure_of_broken(run, injection)) {
		run->injection_count--;
		run->fault_count--;
		leave_out(run, step, "broken already");
		return 0;
	}
	run_tick(run);
	tell_inject(run, injection);
	if (run->options.sham) {
		record->observed = "sham: nothing was injected";
		tell_verdict(run, injection);
		return 0;
	}
	bool real = strcmp(run->options.driver->kind, "injected") == 0;
	/* Not applied is not evaluable, and what was applied before the failure is undone at the
	 * end. */
	if (strength_start(run, injection, e))
		injection_failed(run, injection, e);
	else
		injection_expect_later(run, injection);
	if (real && injection->active) {
		nanos after = run->clock.ops->now(run->clock.self);
		record->timed = true;
		record->before = run->now;
		record->after = after > run->now ? after : run->now;
	}
	if (injection->active) {
		run->active = arena_grow(&run->trial, run->active, run->active_count,
					 &run->active_capacity, sizeof(*run->active));
		run->active[run->active_count++] = (uint32_t)(injection - run->injections);
	}
	const struct trace_record *outage = occurrence_record(step, &run->schedules[step->index]);
	if (outage && outage->down != NANOS_NEVER)
		injection->revert_at = run->now + outage->down;
	else if (!outage && step->until == UNTIL_ELAPSED)
		injection->revert_at =
			run->now +
			dist_sample_nanos(&step->duration, &run->schedules[step->index].duration);
	injection_settle(run, injection);
	return 0;
}

/* Chance says whether this occurrence comes. */
static bool comes(struct run *run, const struct step *step)
{
	struct prng *chance = &run->schedules[step->index].chance;
	if (step->probability >= 1 || prng_uniform(chance) < step->probability)
		return true;
	leave_out(run, step, "probability");
	return false;
}

int steps_due(struct run *run, struct error *e)
{
	if (strength_due(run, e))
		return -1;
	for (size_t i = 0; i < run->active_count; i++)
		if (run->injections[run->active[i]].look_at <= run->now)
			look_again(run, &run->injections[run->active[i]]);
	for (size_t i = 0; i < run->scenario->step_count; i++) {
		struct schedule *schedule = &run->schedules[i];
		while (schedule->due <= run->now) {
			const struct step *step = &run->scenario->steps[i];
			if (run->injection_count >= INJECTIONS_MAX)
				return error_set(e, ERROR_LIMIT, step->place,
						 "more than %d injections in one run",
						 INJECTIONS_MAX);
			if (run->skips >= SKIPS_MAX)
				return error_set(e, ERROR_LIMIT, step->place,
						 "chance left out more than %d occurrences of "
						 "steps in one run",
						 SKIPS_MAX);
			schedule->occurrence++;
			schedule->due = occurrence_time(schedule, step);
			if (comes(run, step) && inject(run, step, e))
				return -1;
		}
	}
	return 0;
}

/* ---- undoing ---- */

/*
 * Kinds whose reading says nothing of what is left. Moments, not states: a killed process is not
 * un-killed, a log line not unwritten; a process that exits again and again is seen by its starts,
 * which stay counted. Names that mean something else by then: `backup[-1]` is another backup,
 * `backup[0]` may be pruned. Figures that others move: who takes writes, where traffic went; a
 * process that just starts is not ready either; space that is left is taken by all who write.
 * Counters: connections that were reset, calls that were hit, writes that were torn.
 */
#define UNREADABLE                                                                                 \
	(EFFECT_BIT(EFFECT_PROC_EXIT) | EFFECT_BIT(EFFECT_GPU_XID) |                               \
	 EFFECT_BIT(EFFECT_PROC_LOOP) | EFFECT_BIT(EFFECT_RESTORE_STOP) |                          \
	 EFFECT_BIT(EFFECT_BACKUP_FLIP) | EFFECT_BIT(EFFECT_BACKUP_GONE) |                         \
	 EFFECT_BIT(EFFECT_BACKUP_OLD) | EFFECT_BIT(EFFECT_SPLIT_BRAIN) |                          \
	 EFFECT_BIT(EFFECT_REPLICA_UNREADY) | EFFECT_BIT(EFFECT_CKPT_FLIP) |                       \
	 EFFECT_BIT(EFFECT_CKPT_SHARD) | EFFECT_BIT(EFFECT_CKPT_TORN) |                            \
	 EFFECT_BIT(EFFECT_PROC_OOM) | EFFECT_BIT(EFFECT_DISK_FULL) |                              \
	 EFFECT_BIT(EFFECT_DISK_INODES) | EFFECT_BIT(EFFECT_NET_RESET) |                           \
	 EFFECT_BIT(EFFECT_SYS_ERROR) | EFFECT_BIT(EFFECT_SYS_RETVAL) |                            \
	 EFFECT_BIT(EFFECT_SYS_DELAY) | EFFECT_BIT(EFFECT_FS_TORN_OP) |                            \
	 EFFECT_BIT(EFFECT_FS_TORN_SEQ))

/* The driver says that nothing is left, and, where no other fault is about, the reading is as it
 * was before. */
static bool proven_undone(struct run *run, const struct injection *injection, size_t i)
{
	const struct driver_ops *driver = run->options.driver;
	struct reading after;
	char text[OBSERVED_MAX];
	if (driver->present(run->driver, &injection->undos[i]))
		return false;
	if ((UNREADABLE >> injection->effects[i].kind & 1) || run->active_count > 1)
		return true;
	driver->read(run->driver, injection->effects[i].entity,
		     EFFECT_BIT(injection->effects[i].kind), &after);
	return !effect_visible(injection->effects[i].kind, &injection->before[i], &after, text);
}

/* Order is kept: what is undone together is undone in the order of injection. */
static void remove_active(struct run *run, uint32_t index)
{
	size_t i = 0;
	while (run->active[i] != index)
		i++;
	memmove(&run->active[i], &run->active[i + 1],
		(--run->active_count - i) * sizeof(*run->active));
}

/* Once for each thing, however often it was tried. */
static void add_residue(struct run *run, const struct injection *injection, size_t i)
{
	struct fault_record *record = &run->faults[injection->record];
	const struct effect *effect = &injection->effects[i];
	char entity[ENTITY_TEXT_MAX], text[ENTITY_TEXT_MAX + 64];
	snprintf(text, sizeof(text), "%s at %s", effect_names[effect->kind],
		 entity_print(effect->entity, run->scenario, entity));
	for (size_t k = 0; k < record->residue_count; k++)
		if (strcmp(record->residue[k], text) == 0)
			return;
	if (record->residue_count < RESIDUE_MAX)
		record->residue[record->residue_count++] = arena_strdup(&run->trial, text);
}

void injection_take_back(struct run *run, struct injection *injection)
{
	struct error error = {.kind = ERROR_NONE};
	for (size_t i = injection->effect_count; i-- > 0;) {
		if (!injection->undos[i].applied)
			continue;
		bool ok =
			run->options.driver->revert(run->driver, &injection->undos[i], &error) == 0;
		if (ok && proven_undone(run, injection, i))
			injection->undos[i].applied = false;
		else
			add_residue(run, injection, i);
	}
}

void injection_revert(struct run *run, struct injection *injection, const char *cause)
{
	struct fault_record *record = &run->faults[injection->record];
	if (!injection->active)
		return;
	injection->change_at = NANOS_NEVER;
	injection_last_look(run, injection);
	injection_settle(run, injection); /* a ramp that ends before it shows had no effect */
	injection_take_back(run, injection);
	losses_of_split(run, injection);
	bool undone = record->residue_count == 0;
	injection->active = false;
	if (!injection->dormant)
		injection->reverted_at = run->now;
	injection->dormant = false;
	remove_active(run, (uint32_t)(injection - run->injections));
	record->reverted = undone ? TRISTATE_TRUE : TRISTATE_FALSE;
	timeline_begin(run->timeline, run->now, "fault.revert");
	timeline_int(run->timeline, "step", record->step);
	timeline_int(run->timeline, "injection", record - run->faults);
	timeline_text(run->timeline, "cause", cause);
	timeline_bool(run->timeline, "reverted", undone);
	timeline_texts(run->timeline, "residue", record->residue, record->residue_count);
	timeline_end(run->timeline);
}

bool injection_present(const struct run *run, const struct injection *injection)
{
	for (size_t i = 0; i < injection->effect_count; i++)
		if (injection->undos[i].applied &&
		    run->options.driver->present(run->driver, &injection->undos[i]))
			return true;
	return false;
}

static bool gone_by_itself(const struct run *run, const struct injection *injection)
{
	/* While a pulse or a ramp goes on there is more to come, whatever is there now. */
	return injection->step->until == UNTIL_REPAIRED && injection->change_at == NANOS_NEVER &&
	       !injection_present(run, injection);
}

void steps_revert_due(struct run *run)
{
	for (size_t i = 0; i < run->active_count;) {
		struct injection *injection = &run->injections[run->active[i]];
		if (injection->revert_at <= run->now) {
			injection_revert(run, injection, "elapsed");
		} else if (gone_by_itself(run, injection)) {
			injection_revert(run, injection, "restarted");
			incident_restarted(run, injection);
		} else {
			i++;
			continue;
		}
		incident_ended_faults(run, injection->incident);
	}
}

void steps_unwind(struct run *run)
{
	for (size_t i = run->injection_count; i-- > 0;)
		injection_revert(run, &run->injections[i], "end");
}
