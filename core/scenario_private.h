/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the scenario loader share; nobody else includes this (but the test of the JSON
 * Schema does). */
#ifndef CORE_SCENARIO_PRIVATE_H
#define CORE_SCENARIO_PRIVATE_H

#include "core/param.h"
#include "core/scenario.h"
#include "core/yaml.h"

#define SCENARIO_NAME_MAX 64                 /* characters of a name */
#define SCENARIO_DRILL_MAX ((size_t)1 << 16) /* bytes of the drill block as JSON */
#define SCENARIO_TARGETS_MAX 4000000         /* things matched by all steps together */

/* One load. Parts are read in the order of their dependence; a check looks only at parts that were
 * read well. */
struct loader {
	struct scenario *scenario;
	struct param_context context;
	bool duration_ok, deployment_ok, plan_ok;
	size_t trace_count; /* steps that replay a log */
};

/* Report one error of the scenario; -1. */
#define loader_error(loader, place, ...)                                                           \
	error_list_add(&(loader)->context.errors, ERROR_SCENARIO, place, __VA_ARGS__)

/* A node that must be a list of at most `max` items; NULL (nothing given) is an empty list. */
int loader_list(struct loader *loader, const struct yaml_node *node, const char *what, size_t max);
/* A name made of letters, digits, '.', '_' and '-' that begins with a letter or digit. */
int loader_name(struct loader *loader, const struct yaml_node *node, const char *what);
/* Refuse a key of a later version with the reason. */
int loader_refuse(struct loader *loader, const struct yaml_node *map, const char *key,
		  const char *reason);
/*
 * A list of data class names, each declared and given once. *ret_mask gets their bits; `order` and
 * `ret_count` (both may be NULL) the order as written.
 */
int loader_classes(struct loader *loader, const struct yaml_node *node, const char *what,
		   uint32_t *ret_mask, enum data_class order[DATA_CLASSES], size_t *ret_count);
/* One class name; DATA_CLASSES with an error when it is none that is declared. */
enum data_class loader_class(struct loader *loader, const struct yaml_node *item);
/* The bits of all declared data classes. */
uint32_t loader_declared(const struct loader *loader);

/* The number of the site that the node names, or -1 with an error that suggests a name. */
int loader_site(struct loader *loader, const struct yaml_node *node);

/* What looks like a credential is an error; `text` NULL: there are no comments to look at. */
int refuse_secrets(struct loader *loader, const struct yaml_node *root, const char *file,
		   const char *text, size_t size);

/* The parts; `node` is the value of the part's key, or NULL when it is not there. 0, or -1 with
 * errors reported. */
int load_deployment(struct loader *loader, const struct yaml_node *node);
int load_jobs(struct loader *loader, const struct yaml_node *node, bool sites_ok);
extern const struct param job_rows[], checkpoint_rows[];
/* Services are endpoints too: those go behind the ones that are there. */
int load_services(struct loader *loader, const struct yaml_node *node);
extern const struct param service_rows[], service_command_rows[], service_ready_rows[],
	service_health_rows[];
/* `load` of an endpoint; NULL: none is given. */
int load_load(struct loader *loader, const struct yaml_node *node, struct load *load);
/* The endpoint's `site`, which must serve. */
int place_endpoint(struct loader *loader, const struct yaml_node *node, struct endpoint *endpoint);
int load_backup(struct loader *loader, const struct yaml_node *node);
int load_detectors(struct loader *loader, const struct yaml_node *node);
int load_recovery(struct loader *loader, const struct yaml_node *node);
int load_objectives(struct loader *loader, const struct yaml_node *node);
int load_steady_state(struct loader *loader, const struct yaml_node *node);
int load_guards(struct loader *loader, const struct yaml_node *node);
int load_extras(struct loader *loader, const struct yaml_node *process,
		const struct yaml_node *prices, const struct yaml_node *drill);
int load_drill(struct loader *loader, const struct yaml_node *node);
extern const struct param drill_rows[], drill_plan_rows[], drill_scope_rows[],
	drill_scenario_rows[], drill_schedule_rows[], drill_participant_rows[],
	drill_environment_rows[], drill_finding_rows[], drill_signoff_rows[];
int load_steps(struct loader *loader, const struct yaml_node *node);
int load_failures(struct loader *loader, const struct yaml_node *failures,
		  const struct yaml_node *lemons);
/* `at: {trace: FILE, …}`; once the target is known, whether it has a place for each machine. */
int load_trace(struct loader *loader, const struct yaml_node *node, struct step *step);
int check_trace(struct loader *loader, const struct yaml_node *step_node, const struct step *step);
/* "'at'" is not before the end of the drill: an error. */
int loader_check_end(struct loader *loader, struct place place, nanos at);
/* The fault of this name, or NULL with an error. */
const struct fault_ops *loader_fault(struct loader *loader, const struct yaml_node *node);
/* Fills *ret_params from the keys of `node` that are the fault's own. */
int loader_fault_params(struct loader *loader, const struct yaml_node *node, const char *what,
			 const struct fault_ops *fault, const char *const *other_keys,
			 void **ret_params);
/* Checks that need the deployment and the plan together. */
void check_plan(struct loader *loader);

/* The keys of every step that load_strength() reads; what they mean is in scenario_strength.c. */
struct strength_form {
	double probability;
	uint32_t count;
	uint64_t seed;
	nanos ramp;
	const struct yaml_node *pulse;
};
extern const struct param strength_pulse_rows[];
bool fault_has_param(const struct fault_ops *fault, const char *name);
/* `rows` without those of these keys that are parameters of the fault itself. */
const struct param *strength_rows(struct loader *loader, const struct param *rows,
				  const struct fault_ops *fault);
/* After when, until and target of the step were read. */
int load_strength(struct loader *loader, const struct yaml_node *node,
		  const struct strength_form *form, struct step *step);

/* Every table of keys under the name of its definition in scenarios/scenario.schema.json; ends with
 * a NULL name. */
struct scenario_table {
	const char *name;
	const struct param *rows;
};
extern const struct scenario_table scenario_tables[], deployment_tables[], plan_tables[],
	goal_tables[], step_tables[], failure_tables[];

#endif
