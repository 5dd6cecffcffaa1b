/* SPDX-License-Identifier: Apache-2.0 */
/* What a scenario is judged by and what surrounds it: objectives, steady state, guards, scaling,
 * prices. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/scenario_private.h"

#define LONGEST ((double)PARAM_DURATION_MAX)

/* ---- objectives ---- */

const char *const objective_names[OBJECTIVES] = {
	"frt", "brt", "brp.seconds", "brp.bytes", "brp.records", "availability", "mtpd", "ettr"};

bool objective_is_floor(enum objective_kind kind)
{
	return kind == OBJECTIVE_AVAILABILITY || kind == OBJECTIVE_ETTR;
}

struct objectives_form {
	const struct yaml_node *limit[OBJECTIVES], *brp;
};
#define OBJECTIVE(kind) offsetof(struct objectives_form, limit[kind])
static const struct param objective_rows[] = {
	{"frt", PARAM_NODE, OBJECTIVE(OBJECTIVE_FRT), "", 0, 0, NULL, "Fault recovery time."},
	{"brt", PARAM_NODE, OBJECTIVE(OBJECTIVE_BRT), "", 0, 0, NULL, "Backup recovery time."},
	{"brp", PARAM_NODE, offsetof(struct objectives_form, brp), "", 0, 0, NULL,
	 "Backup recovery point."},
	{"availability", PARAM_NODE, OBJECTIVE(OBJECTIVE_AVAILABILITY), "", 0, 0, NULL,
	 "Share of the time with good service."},
	{"mtpd", PARAM_NODE, OBJECTIVE(OBJECTIVE_MTPD), "", 0, 0, NULL,
	 "Maximum tolerable period of disruption."},
	{"ettr", PARAM_NODE, OBJECTIVE(OBJECTIVE_ETTR), "", 0, 0, NULL,
	 "Effective training time ratio of the job that has the least."},
	PARAMS_END,
};
static const struct param brp_rows[] = {
	{"seconds", PARAM_NODE, OBJECTIVE(OBJECTIVE_BRP_SECONDS), "", 0, 0, NULL,
	 "Age of what is restored."},
	{"bytes", PARAM_NODE, OBJECTIVE(OBJECTIVE_BRP_BYTES), "", 0, 0, NULL, "Bytes lost."},
	{"records", PARAM_NODE, OBJECTIVE(OBJECTIVE_BRP_RECORDS), "", 0, 0, NULL, "Records lost."},
	PARAMS_END,
};

struct limit_form {
	const struct yaml_node *limit, *quantile;
};
static const struct param limit_rows[] = {
	{"limit", PARAM_NODE, offsetof(struct limit_form, limit), NULL, 0, 0, NULL, "The limit."},
	{"quantile", PARAM_NODE, offsetof(struct limit_form, quantile), "", 0, 0, NULL,
	 "With --trials: the quantile that must meet it, p95 unless given."},
	PARAMS_END,
};

/* `p99`, `p99.9` or `99%`, as a fraction strictly between 0 and 1. */
static int load_quantile(struct loader *loader, const struct yaml_node *node, double *ret)
{
	struct error e = {0};
	const char *text = node->text;
	double value;
	char quoted[YAML_QUOTE_MAX];

	if (node->kind != YAML_KIND_SCALAR)
		return loader_error(loader, node->place,
				    "'quantile' must be a single value such as p99, not %s",
				    yaml_describe(node));
	if (*text == 'p')
		text = arena_printf(loader->context.arena, "%s%%", text + 1);
	if (quantity_percent(text, node->place, &value, &e) < 0 || value <= 0 || value >= 1)
		return loader_error(loader, node->place,
				    "'%s' is not a quantile; write it like p99, between p0 and "
				    "p100, both excluded",
				    yaml_quote(node->text, quoted));
	*ret = value;
	return 0;
}

static int load_limit(struct loader *loader, enum objective_kind kind, const struct yaml_node *node,
		      double *ret)
{
	struct error e = {0};
	nanos time = 0;
	uint64_t size = 0;
	int result = 0;

	if (node->kind != YAML_KIND_SCALAR)
		return loader_error(loader, node->place,
				    "the limit of '%s' must be a single value, not %s",
				    objective_names[kind], yaml_describe(node));
	switch (kind) {
	case OBJECTIVE_FRT:
	case OBJECTIVE_BRT:
	case OBJECTIVE_BRP_SECONDS:
	case OBJECTIVE_MTPD:
		result = quantity_duration(node->text, node->place, &time, &e);
		*ret = (double)time / 1e9;
		break;
	case OBJECTIVE_BRP_BYTES:
		result = quantity_size(node->text, node->place, &size, &e);
		*ret = (double)size;
		break;
	case OBJECTIVE_BRP_RECORDS:
		result = quantity_unsigned(node->text, node->place, &size, &e);
		*ret = (double)size;
		break;
	case OBJECTIVE_AVAILABILITY:
	case OBJECTIVE_ETTR:
		result = quantity_percent(node->text, node->place, ret, &e);
		break;
	case OBJECTIVES:
		break;
	}
	return result < 0 ? loader_error(loader, e.place, "%s", e.text) : 0;
}

static int load_objective(struct loader *loader, enum objective_kind kind,
			  const struct yaml_node *node)
{
	struct scenario *s = loader->scenario;
	struct objective objective = {.kind = kind, .quantile = 0.95, .place = node->place};
	struct limit_form form = {.limit = node};

	if (yaml_is_null(node))
		return loader_error(loader, node->key->place, "'%s' has no value", node->key->text);
	if (node->kind == YAML_KIND_MAP &&
	    params_load(node, "an objective", limit_rows, &form, &loader->context, NULL) < 0)
		return -1;
	if (load_limit(loader, kind, form.limit, &objective.limit) < 0)
		return -1;
	objective.quantile_given = form.quantile != NULL;
	if (form.quantile && load_quantile(loader, form.quantile, &objective.quantile) < 0)
		return -1;
	s->objectives[s->objective_count++] = objective;
	return 0;
}

int load_objectives(struct loader *loader, const struct yaml_node *node)
{
	struct objectives_form form = {0}, brp = {0};
	int result;

	if (!node)
		return 0;
	result = params_load(node, "'objectives'", objective_rows, &form, &loader->context, NULL);
	if (form.brp)
		result |= params_load(form.brp, "'brp'", brp_rows, &brp, &loader->context, NULL);
	for (int i = 0; i < OBJECTIVES; i++) {
		const struct yaml_node *limit = form.limit[i] ? form.limit[i] : brp.limit[i];

		if (limit)
			result |= load_objective(loader, (enum objective_kind)i, limit);
	}
	return result;
}

/* ---- steady state ---- */

static const struct param steady_rows[] = {
	{"success", PARAM_PERCENT, offsetof(struct steady_state, success), "99%", 0.0001, 1, NULL,
	 "Share of good requests that good service has."},
	{"latency", PARAM_DURATION, offsetof(struct steady_state, latency), "2s", 1, LONGEST, NULL,
	 "A slower request is not good."},
	{"window", PARAM_DURATION, offsetof(struct steady_state, window), "30s", 1, LONGEST, NULL,
	 "Good service lasts at least this long."},
	PARAMS_END,
};

int load_steady_state(struct loader *loader, const struct yaml_node *node)
{
	struct steady_state *steady = &loader->scenario->steady_state;

	if (node)
		return params_load(node, "'steady_state'", steady_rows, steady, &loader->context,
				   NULL);
	params_preset(steady_rows, steady, &loader->context);
	return 0;
}

/* ---- guards ---- */

struct guard_form {
	struct guard guard;
};
static const struct param guard_rows[] = {
	{"when", PARAM_TEXT, offsetof(struct guard_form, guard.text), NULL, 0, 0, NULL,
	 "METRIC OP VALUE, such as availability < 50%."},
	{"for", PARAM_DURATION, offsetof(struct guard_form, guard.for_at_least), "0s", 0, 0, NULL,
	 "How long it must hold."},
	PARAMS_END,
};
static const char *const guard_metrics[] = {"availability", "error_rate", "latency_p99",
					    "lost_records", "duration",   NULL};
static const char *const guard_ops[] = {"<", "<=", ">", ">=", NULL};

static int index_of(const char *word, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return -1;
}

static int guard_value(struct loader *loader, struct place place, const char *text,
		       struct guard *guard)
{
	struct error e = {0};
	nanos time = 0;
	uint64_t count = 0;
	int result = -1;

	switch (guard->metric) {
	case GUARD_AVAILABILITY:
	case GUARD_ERROR_RATE:
		result = quantity_percent(text, place, &guard->value, &e);
		break;
	case GUARD_LATENCY_P99:
	case GUARD_DURATION:
		result = quantity_duration(text, place, &time, &e);
		guard->value = (double)time;
		break;
	case GUARD_LOST_RECORDS:
		result = quantity_unsigned(text, place, &count, &e);
		guard->value = (double)count;
		break;
	}
	return result < 0 ? loader_error(loader, place, "%s", e.text) : 0;
}

static int parse_guard(struct loader *loader, const struct yaml_node *node, struct guard *guard)
{
	struct arena *arena = loader->context.arena;
	const char *p = node->text, *word, *op, *suggestion;
	size_t length = strcspn(p, " <>=!"), op_length;
	int metric, which;
	char quoted[YAML_QUOTE_MAX];

	if (strncmp(p, "promql(", 7) == 0)
		return loader_error(loader, node->place,
				    "guards with promql(...) are not part of this version");
	word = arena_strndup(arena, p, length);
	metric = index_of(word, guard_metrics);
	p += length + strspn(p + length, " ");
	op_length = strspn(p, "<>=!");
	op = arena_strndup(arena, p, op_length);
	which = index_of(op, guard_ops);
	p += op_length + strspn(p + op_length, " ");
	if (metric < 0) {
		suggestion = param_suggest(word, guard_metrics);
		yaml_quote(word, quoted);
		if (suggestion)
			return loader_error(loader, node->place,
					    "unknown metric '%s'; did you mean '%s'?", quoted,
					    suggestion);
		return loader_error(loader, node->place,
				    "unknown metric '%s'; a guard looks at availability, "
				    "error_rate, latency_p99, "
				    "lost_records or duration",
				    quoted);
	}
	if (which < 0 || *p == '\0')
		return loader_error(
			loader, node->place,
			"'%s' is not a guard; write METRIC OP VALUE with OP one of <, <=, > and >=",
			yaml_quote(node->text, quoted));
	guard->metric = (enum guard_metric)metric;
	guard->op = (enum guard_op)which;
	return guard_value(loader, node->place, p, guard);
}

int load_guards(struct loader *loader, const struct yaml_node *node)
{
	struct scenario *s = loader->scenario;
	int result = 0;

	if (loader_list(loader, node, "abort", SCENARIO_GUARDS_MAX) < 0)
		return -1;
	for (const struct yaml_node *item = node ? node->first : NULL; item; item = item->next) {
		struct guard_form form = {0};

		result |= params_load(item, "a guard", guard_rows, &form, &loader->context, NULL);
		form.guard.place = item->place;
		if (form.guard.text)
			result |= parse_guard(loader, yaml_get(item, "when"), &form.guard);
		s->guards[s->guard_count++] = form.guard;
	}
	return result;
}

/* ---- process, prices ---- */

#define DISK_MIN 1048576.0       /* 1 MiB */
#define DISK_MAX 1099511627776.0 /* 1 TiB */
const char *const isolation_names[] = {"auto", "namespaces", "loopback", NULL};
const char *const kernel_log_names[] = {"own", "host", NULL};
static const struct param process_rows[] = {
	{"time_scale", PARAM_NUMBER, offsetof(struct process_config, time_scale), "0.05", 1e-6, 1,
	 NULL, "Seconds of real time per second of the scenario."},
	{"bytes_scale", PARAM_NUMBER, offsetof(struct process_config, bytes_scale), "1e-5", 1e-15,
	 1, NULL, "Real bytes per byte of the scenario."},
	{"disk", PARAM_SIZE, offsetof(struct process_config, disk), "64MiB", DISK_MIN, DISK_MAX,
	 NULL, "Real size of the disk that each node has."},
	{"isolation", PARAM_CHOICE, offsetof(struct process_config, isolation), "auto", 0, 0,
	 isolation_names,
	 "Namespaces of its own for each node, loopback ports, or what the host allows."},
	{"kernel_log", PARAM_CHOICE, offsetof(struct process_config, kernel_log), "own", 0, 0,
	 kernel_log_names,
	 "Where gpu.xid writes: a log of the drill's own, or the host's, whose monitoring sees "
	 "it."},
	PARAMS_END,
};
static const struct param price_rows[] = {
	{"gpu_hour", PARAM_NUMBER, offsetof(struct prices, gpu_hour), "0", 0, 1e9, NULL,
	 "Price of one GPU for an hour."},
	{"tb_month", PARAM_NUMBER, offsetof(struct prices, tb_month), "0", 0, 1e9, NULL,
	 "Price of one TB stored for a month."},
	PARAMS_END,
};

const struct scenario_table goal_tables[] = {
	{"objectives", objective_rows}, {"brp", brp_rows},     {"limit", limit_rows},
	{"steady_state", steady_rows},  {"guard", guard_rows}, {"process", process_rows},
	{"prices", price_rows},
	{"drill", drill_rows},
	{"drill_plan", drill_plan_rows},
	{"drill_scope", drill_scope_rows},
	{"drill_scenario", drill_scenario_rows},
	{"drill_schedule", drill_schedule_rows},
	{"drill_participant", drill_participant_rows},
	{"drill_environment", drill_environment_rows},
	{"drill_finding", drill_finding_rows},
	{"drill_signoff", drill_signoff_rows},
	{NULL, NULL},
};

int load_extras(struct loader *loader, const struct yaml_node *process,
		const struct yaml_node *prices, const struct yaml_node *drill)
{
	struct scenario *s = loader->scenario;
	int result = 0;

	if (process)
		result |= params_load(process, "'process'", process_rows, &s->process,
				      &loader->context, NULL);
	else
		params_preset(process_rows, &s->process, &loader->context);
	if (prices)
		result |= params_load(prices, "'prices'", price_rows, &s->prices, &loader->context,
				      NULL);
	s->prices.given = prices != NULL;
	if (drill)
		result |= load_drill(loader, drill);
	return result;
}
