/* SPDX-License-Identifier: Apache-2.0 */
/* The scenario's `steps`: when, which fault with which parameters, on what, for how long. */
#include <string.h>

#include "core/fault.h"
#include "core/scenario_private.h"

#define LONGEST ((double)PARAM_DURATION_MAX)

const char *const phase_names[PHASES] = {"backup", "detect", "switch",  "restore",
					 "verify", "repair", "failback"};

struct step_form {
	const struct yaml_node *at, *after, *duration;
	const char *fault, *target, *select;
	struct strength_form strength;
};
#define STEP(field) offsetof(struct step_form, field)
static const struct param step_rows[] = {
	{"at", PARAM_NODE, STEP(at), "", 0, 0, NULL, "When, counted from the start of the drill."},
	{"after", PARAM_NODE, STEP(after), "", 0, 0, NULL,
	 "When, counted from a phase of the latest incident or backup."},
	{"fault", PARAM_TEXT, STEP(fault), NULL, 0, 0, NULL,
	 "Name of the fault, as in drsim list faults."},
	{"target", PARAM_TEXT, STEP(target), NULL, 0, 0, NULL,
	 "What it hits, such as primary/node[1]/gpu[3]."},
	{"select", PARAM_TEXT, STEP(select), "", 0, 0, NULL,
	 "How many of several targets: one, all, N or N%."},
	{"for", PARAM_NODE, STEP(duration), "", 0, 0, NULL,
	 "A duration, repaired or permanent; repaired unless given."},
	{"probability", PARAM_PERCENT, STEP(strength.probability), "100%", 0, 0, NULL,
	 "Chance that it comes, drawn each time."},
	{"count", PARAM_COUNT, STEP(strength.count), "", 1, UINT32_MAX, NULL,
	 "How often 'every' comes at most."},
	{"seed", PARAM_SEED, STEP(strength.seed), "", 0, 0, NULL,
	 "Draws of this step come from it instead of the drill's seed."},
	{"ramp", PARAM_DURATION, STEP(strength.ramp), "", 1, LONGEST, NULL,
	 "Grows to its full strength over so long, or hits its targets one after another."},
	{"pulse", PARAM_NODE, STEP(strength.pulse), "", 0, 0, NULL,
	 "Applied and taken back in turn while it stands."},
	PARAMS_END,
};
static const char *const step_keys[] = {"at",          "after", "fault", "target", "select", "for",
					"probability", "count", "seed",  "ramp",   "pulse",  NULL};

struct uniform_form {
	nanos from, to;
};
static const struct param uniform_rows[] = {
	{"from", PARAM_DURATION, offsetof(struct uniform_form, from), NULL, 0, 0, NULL,
	 "Earliest."},
	{"to", PARAM_DURATION, offsetof(struct uniform_form, to), NULL, 0, 0, NULL, "Latest."},
	PARAMS_END,
};
struct every_form {
	nanos every, jitter;
};
static const struct param every_rows[] = {
	{"every", PARAM_DURATION, offsetof(struct every_form, every), NULL, 1, LONGEST, NULL,
	 "Period."},
	{"jitter", PARAM_DURATION, offsetof(struct every_form, jitter), "0s", 0, 0, NULL,
	 "Largest random delay of each."},
	PARAMS_END,
};

struct after_form {
	int phase;
	nanos delay;
	double progress;
};
#define AFTER(field) offsetof(struct after_form, field)
static const char *const phases[] = {"backup", "detect", "switch",   "restore",
				     "verify", "repair", "failback", NULL};
static const struct param after_rows[] = {
	{"phase", PARAM_CHOICE, AFTER(phase), NULL, 0, 0, phases, "The phase it is counted from."},
	{"delay", PARAM_DURATION, AFTER(delay), "0s", 0, 0, NULL,
	 "From the beginning of the phase."},
	{"progress", PARAM_PERCENT, AFTER(progress), "0%", 0, 0, NULL,
	 "At this share of the phase, instead of delay."},
	PARAMS_END,
};

const struct scenario_table step_tables[] = {
	{"step", step_rows},   {"uniform_time", uniform_rows}, {"every", every_rows},
	{"after", after_rows}, {"pulse", strength_pulse_rows}, {NULL, NULL},
};

/* ---- when ---- */

int loader_check_end(struct loader *loader, struct place place, nanos at)
{
	char end[QUANTITY_TEXT_MAX];

	if (!loader->duration_ok || at < loader->scenario->duration)
		return 0;
	return loader_error(loader, place,
			    "this is not before the end of the drill, which lasts %s",
			    quantity_print_duration(loader->scenario->duration, end));
}

static int load_uniform(struct loader *loader, const struct yaml_node *node, struct step *step)
{
	struct uniform_form form = {0};

	if (params_load(node, "'uniform'", uniform_rows, &form, &loader->context, NULL) < 0)
		return -1;
	if (form.from > form.to)
		return loader_error(loader, yaml_get(node, "from")->place, "'from' is after 'to'");
	step->when = WHEN_UNIFORM;
	step->at = form.from;
	step->to = form.to;
	return loader_check_end(loader, yaml_get(node, "to")->place,
				form.to > form.from ? form.to - 1 : form.to);
}

static int load_every(struct loader *loader, const struct yaml_node *node, struct step *step)
{
	struct every_form form = {0};

	if (params_load(node, "'at'", every_rows, &form, &loader->context, NULL) < 0)
		return -1;
	if (form.jitter > form.every)
		return loader_error(loader, yaml_get(node, "jitter")->place,
				    "'jitter' is longer than 'every'");
	step->when = WHEN_EVERY;
	step->at = form.every;
	step->to = form.jitter;
	return loader_check_end(loader, yaml_get(node, "every")->place, form.every);
}

/* One draw in each trial. */
static int load_drawn(struct loader *loader, const struct yaml_node *node, struct step *step)
{
	char end[QUANTITY_TEXT_MAX];

	if (dist_load(node, &loader->context, &step->drawn) < 0)
		return -1;
	step->when = WHEN_DRAWN;
	if (!loader->duration_ok ||
	    dist_cdf(&step->drawn, (double)(loader->scenario->duration - 1)) > 0)
		return 0;
	return loader_error(loader, node->first->place,
			    "this never comes before the end of the drill, which lasts %s",
			    quantity_print_duration(loader->scenario->duration, end));
}

static int load_at(struct loader *loader, const struct yaml_node *node, struct step *step)
{
	struct error e = {0};

	step->when = WHEN_AT;
	if (node->kind == YAML_KIND_SCALAR && !yaml_is_null(node)) {
		if (quantity_duration(node->text, node->place, &step->at, &e) < 0)
			return loader_error(loader, e.place, "%s", e.text);
		return loader_check_end(loader, node->place, step->at);
	}
	if (yaml_get(node, "trace"))
		return load_trace(loader, node, step);
	if (yaml_get(node, "every"))
		return load_every(loader, node, step);
	if (node->kind == YAML_KIND_MAP && node->count == 1 && yaml_get(node, "uniform"))
		return load_uniform(loader, yaml_get(node, "uniform"), step);
	if (node->kind == YAML_KIND_MAP && node->count == 1 &&
	    param_suggest(node->first->key->text, dist_names))
		return load_drawn(loader, node, step);
	return loader_error(
		loader, node->place,
		"'at' is a time such as 10m, {every: 1h, jitter: 5m}, {trace: FILE, "
		"format: lanl} or a distribution such as {uniform: {from: 1h, to: 2h}}");
}

static int load_after(struct loader *loader, const struct yaml_node *node, struct step *step)
{
	struct after_form form = {0};

	if (params_load(node, "'after'", after_rows, &form, &loader->context, NULL) < 0)
		return -1;
	step->when = WHEN_AFTER;
	step->after.phase = (enum phase)form.phase;
	step->after.delay = form.delay;
	step->after.progress = form.progress;
	if (yaml_get(node, "delay") && yaml_get(node, "progress"))
		return loader_error(loader, yaml_get(node, "progress")->key->place,
				    "give 'delay' or 'progress', not both");
	if (yaml_get(node, "progress") && form.progress <= 0)
		return loader_error(loader, yaml_get(node, "progress")->place,
				    "'progress' must be more than 0%%");
	if (step->after.phase == PHASE_BACKUP && loader->plan_ok &&
	    loader->scenario->policy_count == 0)
		return loader_error(loader, yaml_get(node, "phase")->place,
				    "there will be no backup: none is declared");
	return 0;
}

static int load_when(struct loader *loader, const struct yaml_node *node,
		     const struct step_form *form, struct step *step)
{
	if (form->at && form->after)
		return loader_error(loader, form->after->key->place,
				    "give 'at' or 'after', not both");
	if (!form->at && !form->after)
		return loader_error(loader, node->place,
				    "a step needs 'at' or 'after', such as at: 10m");
	step->when_place = (form->at ? form->at : form->after)->place;
	return form->at ? load_at(loader, form->at, step) : load_after(loader, form->after, step);
}

static int load_until(struct loader *loader, const struct yaml_node *node, struct step *step)
{
	static const char *const words[] = {"repaired", "permanent", NULL};
	const char *suggestion;

	step->until = step->when == WHEN_TRACE ? UNTIL_ELAPSED : UNTIL_REPAIRED;
	if (node && step->when == WHEN_TRACE)
		return loader_error(loader, node->key->place,
				    "a log says itself how long each outage lasts: leave 'for' "
				    "out");
	if (!node || yaml_is(node, "repaired"))
		return 0;
	if (yaml_is(node, "permanent")) {
		step->until = UNTIL_PERMANENT;
		return 0;
	}
	step->until = UNTIL_ELAPSED;
	if (node->kind != YAML_KIND_SCALAR || (node->text[0] >= '0' && node->text[0] <= '9') ||
	    node->text[0] == '-')
		return dist_load(node, &loader->context, &step->duration);
	suggestion = param_suggest(node->text, words);
	return loader_error(loader, node->place, "'for' is a duration, repaired or permanent%s%s%s",
			    suggestion ? "; did you mean '" : "", suggestion ? suggestion : "",
			    suggestion ? "'?" : "");
}

/* ---- fault and target ---- */

const struct fault_ops *loader_fault(struct loader *loader, const struct yaml_node *node)
{
	const struct fault_ops *fault = fault_find(node->text);
	const char **words, *suggestion;
	size_t count = 0;
	char quoted[YAML_QUOTE_MAX];

	if (fault)
		return fault;
	while (fault_table[count])
		count++;
	words = arena_array(loader->context.arena, count + 1, sizeof(*words));
	for (size_t i = 0; i < count; i++)
		words[i] = fault_table[i]->name;
	suggestion = param_suggest(node->text, words);
	yaml_quote(node->text, quoted);
	if (suggestion)
		loader_error(loader, node->place, "unknown fault '%s'; did you mean '%s'?", quoted,
			     suggestion);
	else
		loader_error(loader, node->place,
			     "unknown fault '%s'; `drsim list faults` shows what there is", quoted);
	return NULL;
}

/* Keys that faults on real systems will understand; a fault's own parameter of that name is no such
 * key. */
static void refuse_later_keys(struct loader *loader, const struct yaml_node *node,
			      const struct fault_ops *fault)
{
	static const char *const later[] = {"when", "revert", "allow"};

	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		if (!fault_has_param(fault, later[i]))
			loader_refuse(loader, node, later[i],
				      arena_printf(loader->context.arena,
						   "'%s' on a step is not part of this version",
						   later[i]));
	}
}

static const char *kind_noun(enum entity_kind kind)
{
	switch (kind) {
	case ENTITY_NONE:
		break;
	case ENTITY_SITE:
		return "a site";
	case ENTITY_RACK:
		return "a rack";
	case ENTITY_NODE:
		return "a node";
	case ENTITY_GPU:
		return "a GPU";
	case ENTITY_LINK:
		return "a link";
	case ENTITY_STORE:
		return "the store";
	case ENTITY_ENDPOINT:
		return "an endpoint";
	case ENTITY_REPLICA:
		return "a replica";
	case ENTITY_JOB:
		return "a job";
	case ENTITY_DATA:
		return "a data class";
	case ENTITY_BACKUP:
		return "a backup";
	case ENTITY_STANDBY:
		return "the standby";
	case ENTITY_RANK:
		return "a rank of a job";
	case ENTITY_CHECKPOINT:
		return "a checkpoint";
	case ENTITY_KINDS:
		break;
	}
	return "nothing";
}

/* A standby site may be meant as the site it is or as the standby it plays: take what the fault
 * accepts. */
static void adapt_entity(const struct scenario *s, const struct fault_ops *fault,
			 struct entity *entity)
{
	if (fault->targets & (1u << entity->kind))
		return;
	if (entity->kind == ENTITY_STANDBY && (fault->targets & (1u << ENTITY_SITE)))
		entity->kind = ENTITY_SITE;
	else if (entity->kind == ENTITY_SITE && (fault->targets & (1u << ENTITY_STANDBY)) &&
		 s->deployment.sites[entity->site].standby.heat != HEAT_NONE)
		entity->kind = ENTITY_STANDBY;
}

static void adapt_target(const struct scenario *s, const struct fault_ops *fault,
			 struct target *target)
{
	for (size_t i = 0; i < target->count; i++)
		adapt_entity(s, fault, (struct entity *)&target->entities[i]);
}

static int check_kind(struct loader *loader, const struct fault_ops *fault,
		      const struct target *target)
{
	struct arena *arena = loader->context.arena;
	const char *accepted = "";
	char quoted[YAML_QUOTE_MAX];
	size_t i = 0;

	while (i < target->count && (fault->targets & (1u << target->entities[i].kind)))
		i++;
	if (i == target->count)
		return 0;
	for (int kind = ENTITY_SITE; kind < ENTITY_KINDS; kind++)
		if (fault->targets & (1u << kind))
			accepted = arena_printf(arena, "%s%s%s", accepted, *accepted ? " or " : "",
						kind_noun((enum entity_kind)kind));
	return loader_error(loader, target->place, "'%s' is %s; %s hits %s",
			    yaml_quote(target->spec, quoted), kind_noun(target->entities[i].kind),
			    fault->name, accepted);
}

static int load_select(struct loader *loader, const struct yaml_node *node,
		       const struct target *target, struct select *select)
{
	struct error e = {0};
	uint64_t count;
	char quoted[YAML_QUOTE_MAX];

	*select = (struct select){.kind = SELECT_ALL};
	if (!node && strstr(target->spec, "[*]"))
		return loader_error(loader, target->place,
				    "'%s' matches %zu things: say which with 'select: one', all, a "
				    "number or a percentage",
				    yaml_quote(target->spec, quoted), target->count);
	if (!node || yaml_is(node, "all"))
		return 0;
	if (yaml_is(node, "one")) {
		select->kind = SELECT_ONE;
		return 0;
	}
	if (node->text[0] < '0' || node->text[0] > '9')
		return loader_error(loader, node->place,
				    "'select' is one, all, a number or a percentage, not '%s'",
				    yaml_quote(node->text, quoted));
	if (strchr(node->text, '%')) {
		select->kind = SELECT_FRACTION;
		if (quantity_percent(node->text, node->place, &select->fraction, &e) < 0)
			return loader_error(loader, e.place, "%s", e.text);
		return select->fraction > 0 ? 0
					    : loader_error(loader, node->place,
							   "'select' must be more than 0%%");
	}
	if (quantity_unsigned(node->text, node->place, &count, &e) < 0)
		return loader_error(loader, e.place, "%s", e.text);
	if (count == 0 || count > target->count)
		return loader_error(
			loader, node->place, "'select' is %llu, but the target matches %zu thing%s",
			(unsigned long long)count, target->count, target->count == 1 ? "" : "s");
	select->kind = SELECT_COUNT;
	select->count = (uint32_t)count;
	return 0;
}

static int load_target(struct loader *loader, const struct yaml_node *node,
		       const struct step_form *form, struct step *step, size_t *total)
{
	const struct yaml_node *spec = yaml_get(node, "target");
	struct error e = {0};

	if (!form->target || !loader->deployment_ok)
		return -1;
	if (target_resolve(form->target, spec->place, loader->scenario, loader->context.arena,
			   &step->target, &e) < 0)
		return error_list_add(&loader->context.errors, e.kind, e.place, "%s", e.text);
	*total += step->target.count;
	if (*total > SCENARIO_TARGETS_MAX)
		return error_list_add(&loader->context.errors, ERROR_LIMIT, spec->place,
				      "the targets of all steps match more than %d things",
				      SCENARIO_TARGETS_MAX);
	if (step->fault) {
		adapt_target(loader->scenario, step->fault, &step->target);
		if (check_kind(loader, step->fault, &step->target) < 0)
			return -1;
	}
	if (step->when == WHEN_TRACE)
		return check_trace(loader, node, step);
	return load_select(loader, form->select ? yaml_get(node, "select") : NULL, &step->target,
			   &step->select);
}

/* ---- steps ---- */

/* What a fault refuses of its parameters together, its plan() says: asked before time 0, of the
 * first of as many entities as it will hit, with random numbers that count for nothing. */
#define TRIED_MAX 4096
static void try_plan(struct loader *loader, const struct yaml_node *node, const struct step *step)
{
	struct arena scratch = {0};
	struct effects effects = {.arena = &scratch};
	struct error e = {0};
	struct prng prng;
	size_t count =
		step->when == WHEN_TRACE ? 1 : target_select_max(&step->target, &step->select);

	count = count < TRIED_MAX ? count : TRIED_MAX;
	prng_open(&prng, 0, 0, step->index, PRNG_FAULT);
	if (step->fault->plan(step->params, step->target.entities, count, &prng, &effects, &e))
		loader_error(loader, yaml_get(node, "fault")->place, "%s: %s", step->fault->name,
			     e.text);
	arena_free(&scratch);
}

int loader_fault_params(struct loader *loader, const struct yaml_node *node, const char *what,
			const struct fault_ops *fault, const char *const *other_keys,
			void **ret_params)
{
	static const struct param none[] = {PARAMS_END};
	struct arena *arena = loader->context.arena;

	*ret_params = arena_alloc(arena, fault->params_size > 0 ? fault->params_size : 1);
	return params_load(node, arena_printf(arena, "%s with %s", what, fault->name),
			   fault->params ? fault->params : none, *ret_params, &loader->context,
			   other_keys);
}

static void load_step(struct loader *loader, const struct yaml_node *node, struct step *step,
		      size_t *total)
{
	bool whole = false;
	struct step_form form = {.strength.probability = 1};
	const struct yaml_node *name = yaml_get(node, "fault");
	const struct fault_ops *known = name && name->text ? fault_find(name->text) : NULL;

	params_load(node, "a step", strength_rows(loader, step_rows, known), &form,
		    &loader->context, param_any_key);
	if (node->kind != YAML_KIND_MAP)
		return;
	step->place = node->place;
	if (form.fault)
		step->fault = loader_fault(loader, yaml_get(node, "fault"));
	refuse_later_keys(loader, node, step->fault);
	if (step->fault)
		whole = loader_fault_params(loader, node, "a step", step->fault, step_keys,
					    &step->params) == 0;
	load_when(loader, node, &form, step);
	load_until(loader, form.duration, step);
	if (load_target(loader, node, &form, step, total) == 0 && whole)
		try_plan(loader, node, step);
	load_strength(loader, node, &form.strength, step);
}

int load_steps(struct loader *loader, const struct yaml_node *node)
{
	struct scenario *s = loader->scenario;
	struct step *steps;
	size_t total = 0;

	if (loader_list(loader, node, "steps", SCENARIO_STEPS_MAX) < 0)
		return -1;
	if (!node || node->count == 0)
		return 0;
	steps = arena_array(loader->context.arena, node->count, sizeof(*steps));
	for (const struct yaml_node *item = node->first; item && total <= SCENARIO_TARGETS_MAX;
	     item = item->next) {
		steps[s->step_count].index = (uint32_t)s->step_count;
		load_step(loader, item, &steps[s->step_count], &total);
		s->step_count++;
	}
	s->steps = steps;
	return 0;
}
