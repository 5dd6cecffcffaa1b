/* SPDX-License-Identifier: Apache-2.0 */
/* What breaks in a long run: the scenario's `failures` and `lemons`, and steps that replay a log of
 * real failures. */
#include <string.h>

#include "core/failures.h"
#include "core/fault.h"
#include "core/scenario_private.h"
#include "core/trace.h"

#define RATE_MAX 1e6 /* per 1000 node-days: one in 86 s on each node */

struct preset_form {
	int preset;
};
static const struct param preset_rows[] = {
	{"preset", PARAM_CHOICE, offsetof(struct preset_form, preset), NULL, 0, 0,
	 failure_preset_names, "Rates, causes and repair times of a published cluster."},
	PARAMS_END,
};

struct row_form {
	const char *fault, *cause;
	double rate;
	const struct yaml_node *repair;
};
#define ROW(field) offsetof(struct row_form, field)
static const struct param failure_rows[] = {
	{"fault", PARAM_TEXT, ROW(fault), NULL, 0, 0, NULL,
	 "Name of the fault, as in drsim list faults."},
	{"per_1000_node_days", PARAM_NUMBER, ROW(rate), NULL, 0, RATE_MAX, NULL,
	 "How often: on 1000 nodes in a day, on average."},
	{"repair", PARAM_NODE, ROW(repair), "", 0, 0, NULL,
	 "How long a crew works on it; recovery.repair.time unless given."},
	{"cause", PARAM_TEXT, ROW(cause), "", 0, 0, NULL,
	 "Its name in the record; the fault's unless given."},
	PARAMS_END,
};
static const char *const failure_keys[] = {"fault", "per_1000_node_days", "repair", "cause", NULL};

static const struct param lemon_rows[] = {
	{"share", PARAM_PERCENT, offsetof(struct lemons, share), NULL, 0, 0, NULL, "Of the nodes."},
	{"factor", PARAM_NUMBER, offsetof(struct lemons, factor), NULL, 1, 1e6, NULL,
	 "How often such a node fails for once of another."},
	PARAMS_END,
};

struct trace_form {
	const char *file, *cause;
	int format;
	int64_t system;
};
#define TRACE(field) offsetof(struct trace_form, field)
static const struct param trace_rows[] = {
	{"trace", PARAM_TEXT, TRACE(file), NULL, 0, 0, NULL,
	 "File with a log of real failures, relative to the scenario's folder."},
	{"format", PARAM_CHOICE, TRACE(format), NULL, 0, 0, trace_format_names,
	 "What is in the file: lanl (CSV) or infinitehbd (JSON)."},
	{"system", PARAM_INTEGER, TRACE(system), "", 0, 999999999, NULL,
	 "lanl: only the machines of this system."},
	{"cause", PARAM_TEXT, TRACE(cause), "", 0, 0, NULL,
	 "Only what the log gives this cause (lanl) or class (infinitehbd)."},
	PARAMS_END,
};

const struct scenario_table failure_tables[] = {
	{"preset", preset_rows},
	{"failure", failure_rows},
	{"lemons", lemon_rows},
	{"trace", trace_rows},
	{NULL, NULL},
};

/* ---- failures ---- */

/* What a failure of this fault hits. Most machines are nodes; the rest stands in one. */
static enum entity_kind what_it_hits(const struct fault_ops *fault)
{
	static const enum entity_kind order[] = {ENTITY_NODE, ENTITY_GPU, ENTITY_REPLICA,
						 ENTITY_RACK, ENTITY_SITE};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (fault->targets & (1u << order[i]))
			return order[i];
	return ENTITY_NONE;
}

/* The first thing of that kind on a primary site, and how many nodes count. */
static void find_nodes(const struct scenario *s, struct step *step, struct entity *first)
{
	const struct deployment *d = &s->deployment;

	for (uint32_t i = 0; i < d->site_count; i++) {
		const struct site *site = &d->sites[i];
		bool counts = site->standby.heat == HEAT_NONE &&
			      (step->failure.hits != ENTITY_GPU || site->gpus > 0);

		if (counts && step->failure.nodes == 0)
			*first = (struct entity){.kind = step->failure.hits, .site = i};
		step->failure.nodes += counts ? site->nodes : 0;
	}
	if (step->failure.hits == ENTITY_REPLICA) {
		*first = (struct entity){.kind = ENTITY_REPLICA};
		if (d->endpoint_count == 0)
			step->failure.nodes = 0;
	}
}

/* The part of a row that does not come from the text of the scenario. */
static int complete_row(struct loader *loader, struct place place, struct step *step)
{
	struct scenario *s = loader->scenario;
	struct entity *first = arena_alloc(loader->context.arena, sizeof(*first));

	step->place = step->when_place = place;
	step->when = WHEN_FAILURE;
	step->probability = 1;
	step->until = UNTIL_REPAIRED;
	step->failure.row = (uint32_t)s->failure_count;
	step->failure.hits = what_it_hits(step->fault);
	if (step->failure.hits == ENTITY_NONE)
		return loader_error(loader, place,
				    "%s hits neither nodes nor GPUs nor replicas: as a failure of "
				    "a long run it has no place, give it as a step",
				    step->fault->name);
	if (!loader->deployment_ok)
		return -1;
	find_nodes(s, step, first);
	if (step->failure.nodes == 0)
		return loader_error(loader, place, "%s has nothing to hit: no primary site has %s",
				    step->fault->name,
				    step->failure.hits == ENTITY_GPU ? "GPUs" : "replicas");
	step->target = (struct target){.place = place, .entities = first, .count = 1};
	step->target.spec = arena_printf(loader->context.arena, "any of %u nodes",
					 (unsigned)step->failure.nodes);
	step->select = (struct select){.kind = SELECT_ONE};
	return 0;
}

static void load_row(struct loader *loader, const struct yaml_node *node, struct step *step)
{
	struct row_form form = {0};
	struct dist *repair;

	params_load(node, "a failure", failure_rows, &form, &loader->context, param_any_key);
	if (node->kind != YAML_KIND_MAP || !form.fault)
		return;
	step->fault = loader_fault(loader, yaml_get(node, "fault"));
	if (!step->fault)
		return;
	loader_fault_params(loader, node, "a failure", step->fault, failure_keys, &step->params);
	step->failure.per_1000_node_days = form.rate;
	step->failure.cause = form.cause && *form.cause ? form.cause : step->fault->name;
	if (form.repair) {
		repair = arena_alloc(loader->context.arena, sizeof(*repair));
		dist_load(form.repair, &loader->context, repair);
		step->failure.repair = repair;
	}
	complete_row(loader, node->place, step);
}

/* Text of a table of this program, as YAML; the places of errors are the scenario's. */
static const struct yaml_node *own_text(struct loader *loader, const char *text, struct place place)
{
	struct yaml_node *root = NULL;
	struct error e = {0};

	if (yaml_parse(place.file, text, strlen(text), loader->context.arena, &root, &e) < 0)
		loader_error(loader, place, "%s", e.text);
	return root;
}

static void load_preset_row(struct loader *loader, const struct failure_preset_row *row,
			    double rate, struct place place, struct step *step)
{
	const struct yaml_node *params, *repair;
	struct dist *time;

	step->fault = fault_find(row->fault);
	if (!step->fault) {
		loader_error(loader, place, "the preset needs the fault '%s', which is not there",
			     row->fault);
		return;
	}
	params = own_text(loader, row->params ? row->params : "{}", place);
	if (params)
		loader_fault_params(loader, params, "a failure", step->fault, NULL, &step->params);
	step->failure.per_1000_node_days = rate;
	step->failure.cause = row->cause;
	repair = row->repair ? own_text(loader, row->repair, place) : NULL;
	if (repair) {
		time = arena_alloc(loader->context.arena, sizeof(*time));
		dist_load(repair, &loader->context, time);
		step->failure.repair = time;
	}
	complete_row(loader, place, step);
}

/* Room for so many rows behind the steps. */
static struct step *make_room(struct loader *loader, size_t count)
{
	struct scenario *s = loader->scenario;
	struct step *steps =
		arena_array(loader->context.arena, s->step_count + count + 1, sizeof(*steps));

	if (s->step_count > 0)
		memcpy(steps, s->steps, s->step_count * sizeof(*steps));
	s->steps = steps;
	return steps;
}

static struct step *next_row(struct scenario *s, struct step *steps)
{
	steps[s->step_count].index = (uint32_t)s->step_count;
	return &steps[s->step_count];
}

static void load_preset(struct loader *loader, const struct yaml_node *node)
{
	struct scenario *s = loader->scenario;
	struct preset_form form = {0};
	const struct failure_preset *preset;
	struct step *steps;
	double weight = 0;
	size_t count = 0;

	if (params_load(node, "'failures'", preset_rows, &form, &loader->context, NULL) < 0)
		return;
	preset = &failure_presets[form.preset];
	for (; preset->rows[count].cause; count++)
		weight += preset->rows[count].weight;
	s->lemons = preset->lemons;
	steps = make_room(loader, count);
	for (size_t i = 0; i < count; i++, s->step_count++, s->failure_count++)
		load_preset_row(loader, &preset->rows[i],
				preset->per_1000_node_days * preset->rows[i].weight / weight,
				yaml_get(node, "preset")->place, next_row(s, steps));
}

/* What would take hours, or end at the limit of a run anyway, is refused before it starts. */
static int check_count(struct loader *loader, struct place place)
{
	const struct scenario *s = loader->scenario;
	double days = (double)s->duration / (double)NANOS_DAY, count = 0;

	for (size_t i = s->step_count - s->failure_count; i < s->step_count; i++)
		count += s->steps[i].failure.per_1000_node_days / 1000 * s->steps[i].failure.nodes;
	count *= days;
	if (!loader->duration_ok || !loader->deployment_ok || count <= SCENARIO_FAULTS_MAX)
		return 0;
	return error_list_add(&loader->context.errors, ERROR_LIMIT, place,
			      "about %.0f failures in one run; the limit is %d: let them come less "
			      "often, or shorten 'duration'",
			      count, SCENARIO_FAULTS_MAX);
}

int load_failures(struct loader *loader, const struct yaml_node *failures,
		  const struct yaml_node *lemons)
{
	struct scenario *s = loader->scenario;
	struct step *steps;

	s->lemons = (struct lemons){.share = 0, .factor = 1};
	if (lemons && !failures)
		return loader_error(
			loader, lemons->key->place,
			"'lemons' need 'failures': they say which nodes have more of them");
	if (!failures)
		return 0;
	if (failures->kind == YAML_KIND_MAP) {
		load_preset(loader, failures);
	} else if (failures->kind != YAML_KIND_LIST) {
		return loader_error(loader, failures->place,
				    "'failures' is a preset such as {preset: rsc-1} or a list of "
				    "rows, not %s",
				    yaml_describe(failures));
	} else {
		if (loader_list(loader, failures, "failures", SCENARIO_FAILURES_MAX) < 0)
			return -1;
		steps = make_room(loader, failures->count);
		for (const struct yaml_node *item = failures->first; item; item = item->next) {
			load_row(loader, item, next_row(s, steps));
			s->step_count++;
			s->failure_count++;
		}
	}
	check_count(loader, failures->place);
	return lemons ? params_load(lemons, "'lemons'", lemon_rows, &s->lemons, &loader->context,
				    NULL)
		      : 0;
}

/* ---- logs of real failures ---- */

static int no_record(struct loader *loader, const struct yaml_node *node,
		     const struct trace_form *form, const struct trace *trace)
{
	const struct yaml_node *at = yaml_get(node, trace->machines == 0 ? "system" : "cause");
	const char *list = "", *suggestion;
	char quoted[YAML_QUOTE_MAX];

	if (!at)
		return loader_error(loader, node->place, "there is no failure in '%s'",
				    yaml_quote(form->file, quoted));
	if (trace->machines == 0)
		return loader_error(loader, at->place, "the log has no system %lld",
				    (long long)form->system);
	for (size_t i = 0; i < trace->cause_count && strlen(list) < 200; i++)
		list = arena_printf(loader->context.arena, "%s%s'%s'", list, i > 0 ? ", " : "",
				    yaml_quote(trace->causes[i], quoted));
	suggestion = param_suggest(form->cause, trace->causes);
	yaml_quote(form->cause, quoted);
	if (suggestion)
		return loader_error(loader, at->place,
				    "the log names no cause '%s'; did you mean '%s'?", quoted,
				    suggestion);
	return loader_error(loader, at->place, "the log names no cause '%s'; it names %s", quoted,
			    list);
}

int load_trace(struct loader *loader, const struct yaml_node *node, struct step *step)
{
	struct trace_form form = {.system = -1};
	struct trace_filter filter;
	struct trace *trace;
	struct error e = {0};
	const struct yaml_node *file = yaml_get(node, "trace");
	const char *path;
	char *text, quoted[YAML_QUOTE_MAX];
	size_t size;

	step->when = WHEN_TRACE;
	if (params_load(node, "'at'", trace_rows, &form, &loader->context, NULL) < 0)
		return -1;
	filter.system = form.system;
	filter.cause = form.cause && *form.cause ? form.cause : NULL;
	if (form.system >= 0 && form.format != TRACE_LANL)
		return loader_error(loader, yaml_get(node, "system")->key->place,
				    "only a log of the format lanl has systems");
	if (loader->trace_count++ == SCENARIO_TRACES_MAX)
		return error_list_add(&loader->context.errors, ERROR_LIMIT, file->place,
				      "more than %d steps replay a log", SCENARIO_TRACES_MAX);
	path = param_file(&loader->context, file);
	if (!path)
		return -1;
	if (yaml_read_file(path, TRACE_FILE_MAX, loader->context.arena, &text, &size, &e) < 0)
		return error_list_add(&loader->context.errors, e.kind, file->place, "'%s': %s",
				      yaml_quote(path, quoted), e.text);
	if (trace_parse(path, text, size, (enum trace_format)form.format, &filter,
			loader->context.arena, &trace, &e) < 0)
		return error_list_add(&loader->context.errors, e.kind, e.place, "%s", e.text);
	if (trace->count == 0)
		return no_record(loader, node, &form, trace);
	step->trace = trace;
	return loader_check_end(loader, node->place, trace->records[0].at);
}

int check_trace(struct loader *loader, const struct yaml_node *node, const struct step *step)
{
	const struct yaml_node *select = yaml_get(node, "select");
	const struct trace *trace = step->trace;
	char quoted[YAML_QUOTE_MAX];

	if (select)
		return loader_error(loader, select->key->place,
				    "a log says itself which machine broke: leave 'select' out");
	for (size_t i = 0; trace && i < trace->count; i++)
		if (trace->records[i].machine >= step->target.count)
			return loader_error(
				loader, step->when_place,
				"the log has %u machines, '%s' matches %zu thing%s: there is none "
				"for the one at %s:%u",
				(unsigned)trace->machines, yaml_quote(step->target.spec, quoted),
				step->target.count, step->target.count == 1 ? "" : "s", trace->path,
				(unsigned)trace->records[i].line);
	return 0;
}
