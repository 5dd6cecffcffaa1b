/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a step that every fault understands: whether it comes, how often, and how strong it
 * is over time. */
#include <string.h>

#include "core/fault.h"
#include "core/scenario_private.h"

#define LONGEST ((double)PARAM_DURATION_MAX)

struct pulse_form {
	nanos active, dormant;
};
const struct param strength_pulse_rows[] = {
	{"active", PARAM_DURATION, offsetof(struct pulse_form, active), NULL, 1, LONGEST, NULL,
	 "Applied for so long."},
	{"dormant", PARAM_DURATION, offsetof(struct pulse_form, dormant), NULL, 1, LONGEST, NULL,
	 "Then taken back for so long."},
	PARAMS_END,
};

static const char *const strength_keys[] = {"probability", "count", "seed", "ramp", "pulse", NULL};

static bool is_strength_key(const char *name)
{
	for (size_t i = 0; strength_keys[i]; i++)
		if (strcmp(strength_keys[i], name) == 0)
			return true;
	return false;
}

bool fault_has_param(const struct fault_ops *fault, const char *name)
{
	for (const struct param *row = fault ? fault->params : NULL; row && row->name; row++)
		if (strcmp(row->name, name) == 0)
			return true;
	return false;
}

const struct param *strength_rows(struct loader *loader, const struct param *rows,
				  const struct fault_ops *fault)
{
	struct param *kept;
	size_t count = 0;
	bool all = true;

	for (size_t i = 0; strength_keys[i]; i++)
		all = all && !fault_has_param(fault, strength_keys[i]);
	if (all)
		return rows;
	while (rows[count].name)
		count++;
	kept = arena_array(loader->context.arena, count + 1, sizeof(*kept));
	count = 0;
	for (; rows->name; rows++)
		if (!is_strength_key(rows->name) || !fault_has_param(fault, rows->name))
			kept[count++] = *rows;
	return kept;
}

static int load_pulse(struct loader *loader, const struct yaml_node *node, struct step *step)
{
	struct pulse_form form = {0};
	nanos stands = loader->scenario->duration;

	if (params_load(node, "'pulse'", strength_pulse_rows, &form, &loader->context, NULL) < 0)
		return -1;
	if (step->until == UNTIL_ELAPSED && step->duration.kind == DIST_CONSTANT &&
	    step->duration.exact < stands)
		stands = step->duration.exact;
	if (loader->duration_ok && stands / (form.active + form.dormant) > SCENARIO_PULSES_MAX)
		return error_list_add(&loader->context.errors, ERROR_LIMIT, node->place,
				      "these are more than %d pulses; let them be longer, or give "
				      "'for' a shorter time",
				      SCENARIO_PULSES_MAX);
	step->pulse.active = form.active;
	step->pulse.dormant = form.dormant;
	return 0;
}

/* How many of the targets are hit, as far as it matters here: one, or more. */
static bool hits_one(const struct step *step)
{
	const struct target *target = &step->target;

	switch (step->select.kind) {
	case SELECT_ALL:
		return target->count == 1;
	case SELECT_ONE:
		return true;
	case SELECT_COUNT:
		return step->select.count == 1;
	case SELECT_FRACTION:
		return step->select.fraction * (double)target->count < 1.5;
	}
	return false;
}

/* What is known before the fault plans anything: none of what it may do has a strength. */
static int check_ramp(struct loader *loader, const struct step *step)
{
	if (!step->fault || step->target.count == 0 || !hits_one(step))
		return 0;
	for (int kind = 0; kind < EFFECTS; kind++)
		if ((step->fault->needs & EFFECT_BIT(kind)) &&
		    effect_has_strength((enum effect_kind)kind))
			return 0;
	return loader_error(loader, step->ramp_place,
			    "'ramp' needs a fault that has a strength, or several targets: %s on "
			    "one target is there or not",
			    step->fault->name);
}

int load_strength(struct loader *loader, const struct yaml_node *node,
		  const struct strength_form *form, struct step *step)
{
	int result = 0;

	step->probability = form->probability;
	step->count = form->count;
	step->ramp = form->ramp;
	step->seeded = yaml_get(node, "seed") && !fault_has_param(step->fault, "seed");
	step->seed = form->seed;
	if (form->count > 0 && !yaml_get(yaml_get(node, "at"), "every"))
		result = loader_error(loader, yaml_get(node, "count")->key->place,
				      "'count' needs 'at: {every: 1h}': this step comes once");
	if (form->ramp > 0 && form->pulse)
		return loader_error(loader, form->pulse->key->place,
				    "give 'ramp' or 'pulse', not both");
	if (form->ramp > 0) {
		step->ramp_place = yaml_get(node, "ramp")->key->place;
		result |= check_ramp(loader, step);
	}
	return form->pulse ? load_pulse(loader, form->pulse, step) : result;
}
