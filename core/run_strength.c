/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults whose strength changes while they stand: a pulse is applied and taken back in turn, a ramp
 * grows. Either is one injection with one record and one incident, however often it changes, and
 * takes no memory for a change.
 */
#include <assert.h>

#include "core/run_private.h"

#define RAMP_LEVELS 10 /* of a fault that has a strength */

static int apply_all(struct run *run, struct injection *injection, struct error *e)
{
	injection->taken = 0;
	injection->missed = false;
	for (size_t i = 0; i < injection->effect_count; i++) {
		injection->seen[i] = false;
		if (injection->undos[i].applied)
			continue; /* could not be taken back: it is there, and is no new effect */
		if (injection_apply(run, injection, i, 1, e))
			return -1;
	}
	return 0;
}

/* ---- ramps ---- */

/* The effects on the entity of effect `first` end before the one returned. */
static size_t end_of_entity(const struct injection *injection, size_t first)
{
	size_t end = first + 1;
	while (end < injection->effect_count &&
	       entity_equal(injection->effects[end].entity, injection->effects[first].entity))
		end++;
	return end;
}

/* A fault of which every effect has a strength grows as a whole; any other hits its entities one by
 * one. */
static int plan_ramp(struct injection *injection, struct error *e)
{
	const struct step *step = injection->step;
	injection->whole = true;
	injection->levels = 0;
	for (size_t i = 0; i < injection->effect_count; i++)
		injection->whole &= effect_has_strength(injection->effects[i].kind);
	for (size_t i = 0; i < injection->effect_count; i = end_of_entity(injection, i))
		injection->levels++;
	if (injection->whole)
		injection->levels = RAMP_LEVELS;
	if (injection->levels > 1)
		return 0;
	return error_set(e, ERROR_SCENARIO, step->ramp_place,
			 "'ramp' needs a fault that has a strength, or several targets: %s on one "
			 "target is there or not",
			 step->fault->name);
}

static int raise_level(struct run *run, struct injection *injection, double share, struct error *e)
{
	injection->missed = false;
	for (size_t i = 0; i < injection->effect_count; i++) {
		struct undo_record *undo = &injection->undos[i];
		struct effect effect = effect_scaled(injection->effects[i], share);
		if (injection->level == 1) {
			if (injection_apply(run, injection, i, share, e))
				return -1;
			continue;
		}
		if (run->options.driver->adjust(run->driver, &effect, undo, e))
			return -1;
		undo->effect = effect;
		/* What was seen of a level stays seen; at full strength it is told once more. */
		if (!injection->seen[i] || share >= 1)
			injection_look(run, injection, i);
	}
	return 0;
}

/* The first step is at the beginning, the last one when the time of the ramp is over. */
static nanos step_time(const struct injection *injection, uint32_t step)
{
	nanos ramp = injection->step->ramp, last = (nanos)injection->levels - 1;
	assert(last > 0);
	return injection->began + ramp / last * step + ramp % last * step / last;
}

static int grow(struct run *run, struct injection *injection, struct error *e)
{
	double share = (double)++injection->level / injection->levels;
	bool last = injection->level == injection->levels;
	injection->change_at = last ? NANOS_NEVER : step_time(injection, injection->level);
	timeline_begin(run->timeline, run->now, "fault.ramp");
	timeline_int(run->timeline, "step", injection->step->index);
	timeline_int(run->timeline, "injection", injection->record);
	timeline_real(run->timeline, "share", share);
	timeline_end(run->timeline);
	if (injection->whole)
		return raise_level(run, injection, share, e);
	size_t end = end_of_entity(injection, injection->hit);
	for (size_t i = injection->hit; i < end; i++)
		if (injection_apply(run, injection, i, 1, e))
			return -1;
	return 0;
}

/* ---- pulses ---- */

static int pulse(struct run *run, struct injection *injection, struct error *e)
{
	const struct step *step = injection->step;
	bool on = injection->dormant;
	injection->dormant = !on;
	injection->change_at = run->now + (on ? step->pulse.active : step->pulse.dormant);
	injection->reverted_at = on ? NANOS_NEVER : run->now;
	timeline_begin(run->timeline, run->now, "fault.pulse");
	timeline_int(run->timeline, "step", step->index);
	timeline_int(run->timeline, "injection", injection->record);
	timeline_bool(run->timeline, "on", on);
	timeline_end(run->timeline);
	if (on) {
		if (apply_all(run, injection, e))
			return -1;
		injection_expect_later(run, injection);
		return 0;
	}
	injection_last_look(run, injection);
	injection_take_back(run, injection);
	return 0;
}

/* ---- both ---- */

int strength_start(struct run *run, struct injection *injection, struct error *e)
{
	const struct step *step = injection->step;
	injection->began = run->now;
	if (step->ramp > 0 && injection->effect_count > 0)
		return plan_ramp(injection, e) ? -1 : grow(run, injection, e);
	if (step->pulse.active > 0)
		injection->change_at = run->now + step->pulse.active;
	return apply_all(run, injection, e);
}

int strength_due(struct run *run, struct error *e)
{
	for (size_t i = 0; i < run->active_count; i++) {
		struct injection *injection = &run->injections[run->active[i]];
		while (injection->change_at <= run->now) {
			bool pulses = injection->step->pulse.active > 0;
			if (pulses && injection->dormant && ++run->pulses > SCENARIO_PULSES_MAX)
				return error_set(e, ERROR_LIMIT, injection->step->place,
						 "more than %d pulses in one run",
						 SCENARIO_PULSES_MAX);
			if (pulses ? pulse(run, injection, e) : grow(run, injection, e))
				injection_failed(run, injection, e);
			else
				injection_settle(run, injection);
		}
	}
	return 0;
}
