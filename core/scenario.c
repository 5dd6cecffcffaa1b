/* SPDX-License-Identifier: Apache-2.0 */
/* Loading a scenario: text to tree, overrides, then each part in the order of dependence, then the
 * errors in order. */
#include "core/scenario.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/scenario_private.h"

const char *const data_class_names[DATA_CLASSES] = {"model", "training", "io"};

/* The top level as it is written. */
struct root_form {
	const char *api;
	const char *name, *description;
	uint64_t seed;
	nanos duration;
	const struct yaml_node *objectives, *deployment, *backup, *detector, *recovery,
		*steady_state, *steps, *abort;
	const struct yaml_node *process, *prices, *drill, *failures, *lemons;
};

#define ROOT(field) offsetof(struct root_form, field)

static const struct param root_rows[] = {
	{"apiVersion", PARAM_TEXT, ROOT(api), NULL, 0, 0, NULL, "Always drsim/v1."},
	{"name", PARAM_TEXT, ROOT(name), NULL, 0, 0, NULL,
	 "Short name of the drill; it becomes part of the run folder's name."},
	{"description", PARAM_TEXT, ROOT(description), "", 0, 0, NULL,
	 "What breaks and what should happen."},
	{"seed", PARAM_SEED, ROOT(seed), "1", 0, 0, NULL, "Seed of all random numbers."},
	{"duration", PARAM_DURATION, ROOT(duration), NULL, 1, (double)PARAM_DURATION_MAX, NULL,
	 "How long the drill lasts."},
	{"objectives", PARAM_NODE, ROOT(objectives), "", 0, 0, NULL,
	 "What the drill is judged by."},
	{"deployment", PARAM_NODE, ROOT(deployment), NULL, 0, 0, NULL,
	 "What exists: sites, links, endpoints, data."},
	{"backup", PARAM_NODE, ROOT(backup), "", 0, 0, NULL, "Backup policy, or a list of them."},
	{"detector", PARAM_NODE, ROOT(detector), "", 0, 0, NULL, "Detector, or a list of them."},
	{"recovery", PARAM_NODE, ROOT(recovery), "", 0, 0, NULL,
	 "What is done once a fault is declared."},
	{"steady_state", PARAM_NODE, ROOT(steady_state), "", 0, 0, NULL,
	 "When service counts as good."},
	{"steps", PARAM_NODE, ROOT(steps), "", 0, 0, NULL, "What breaks, and when."},
	{"failures", PARAM_NODE, ROOT(failures), "", 0, 0, NULL,
	 "What breaks by chance in a long run: a preset, or a list of rows."},
	{"lemons", PARAM_NODE, ROOT(lemons), "", 0, 0, NULL,
	 "Nodes that fail more often than the others."},
	{"abort", PARAM_NODE, ROOT(abort), "", 0, 0, NULL, "Guards that end the drill early."},
	{"process", PARAM_NODE, ROOT(process), "", 0, 0, NULL,
	 "How the driver process shrinks the scenario."},
	{"prices", PARAM_NODE, ROOT(prices), "", 0, 0, NULL, "Prices for the cost of a plan."},
	{"drill", PARAM_NODE, ROOT(drill), "", 0, 0, NULL,
	 "What a person supplies for the evidence."},
	PARAMS_END,
};

const struct scenario_table scenario_tables[] = {{"scenario", root_rows}, {NULL, NULL}};

/* ---- helpers of all parts ---- */

int loader_list(struct loader *loader, const struct yaml_node *node, const char *what, size_t max)
{
	if (!node)
		return 0;
	if (node->kind != YAML_KIND_LIST)
		return loader_error(
			loader, yaml_is_null(node) && node->key ? node->key->place : node->place,
			"'%s' must be a list, not %s", what, yaml_describe(node));
	if (node->count > max)
		return error_list_add(&loader->context.errors, ERROR_LIMIT, node->place,
				      "'%s' has %zu items; the limit is %zu", what, node->count,
				      max);
	return 0;
}

int loader_name(struct loader *loader, const struct yaml_node *node, const char *what)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t length = node->length;
	char quoted[YAML_QUOTE_MAX];

	if (length > 0 && length <= SCENARIO_NAME_MAX && strchr(letters, node->text[0]) &&
	    strspn(node->text, letters) + strspn(node->text + strspn(node->text, letters), "._-") <=
		    length) {
		size_t i = 0;

		while (i < length &&
		       (strchr(letters, node->text[i]) || strchr("._-", node->text[i])))
			i++;
		if (i == length)
			return 0;
	}
	return loader_error(loader, node->place,
			    "'%s' cannot be %s: use 1 to %d letters, digits, '.', '_' and '-', "
			    "beginning with a letter or digit",
			    yaml_quote(node->text, quoted), what, SCENARIO_NAME_MAX);
}

int loader_refuse(struct loader *loader, const struct yaml_node *map, const char *key,
		  const char *reason)
{
	const struct yaml_node *value = yaml_get(map, key);

	return value ? loader_error(loader, value->key->place, "%s", reason) : 0;
}

uint32_t loader_declared(const struct loader *loader)
{
	uint32_t mask = 0;

	for (int i = 0; i < DATA_CLASSES; i++)
		if (loader->scenario->deployment.data[i].declared)
			mask |= DATA_BIT(i);
	return mask;
}

enum data_class loader_class(struct loader *loader, const struct yaml_node *item)
{
	const char *words[DATA_CLASSES + 1] = {"model", "training", "io", NULL}, *suggestion;
	char quoted[YAML_QUOTE_MAX];

	if (item->kind != YAML_KIND_SCALAR) {
		loader_error(loader, item->place,
			     "the name of a data class is expected here, not %s",
			     yaml_describe(item));
		return DATA_CLASSES;
	}
	for (int i = 0; i < DATA_CLASSES; i++) {
		if (!yaml_is(item, data_class_names[i]))
			continue;
		if (loader->scenario->deployment.data[i].declared)
			return (enum data_class)i;
		loader_error(loader, item->place,
			     "the data class '%s' is not declared under deployment.data",
			     data_class_names[i]);
		return DATA_CLASSES;
	}
	suggestion = param_suggest(item->text, words);
	loader_error(loader, item->place, "unknown data class '%s'; %s%s%s",
		     yaml_quote(item->text, quoted),
		     suggestion ? "did you mean '" : "there are model, training and io",
		     suggestion ? suggestion : "", suggestion ? "'?" : "");
	return DATA_CLASSES;
}

int loader_classes(struct loader *loader, const struct yaml_node *node, const char *what,
		   uint32_t *ret_mask, enum data_class order[DATA_CLASSES], size_t *ret_count)
{
	uint32_t mask = 0;
	size_t count = 0;
	int result = 0;

	if (loader_list(loader, node, what, DATA_CLASSES) < 0)
		return -1;
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		enum data_class class = loader_class(loader, item);

		if (class == DATA_CLASSES) {
			result = -1;
			continue;
		}
		if (mask & DATA_BIT(class))
			result = loader_error(loader, item->place,
					      "the data class '%s' is named twice", item->text);
		else if (order)
			order[count] = class;
		count += !(mask & DATA_BIT(class));
		mask |= DATA_BIT(class);
	}
	if (result < 0)
		return -1;
	*ret_mask = mask;
	if (ret_count)
		*ret_count = count;
	return 0;
}

/* ---- the whole ---- */

static int load_root(struct loader *loader, const struct yaml_node *root)
{
	struct scenario *s = loader->scenario;
	const struct yaml_node *api = yaml_get(root, "apiVersion");
	struct root_form form = {0};
	char quoted[YAML_QUOTE_MAX];

	if (root->kind == YAML_KIND_MAP && api && api->kind == YAML_KIND_SCALAR &&
	    !yaml_is(api, "drsim/v1"))
		return loader_error(loader, api->place,
				    "unknown apiVersion '%s'; this program reads drsim/v1",
				    yaml_quote(api->text, quoted));
	params_load(root, "the scenario", root_rows, &form, &loader->context, NULL);
	if (root->kind != YAML_KIND_MAP)
		return -1;
	s->name = form.name;
	s->description = form.description;
	s->seed = form.seed;
	s->duration = form.duration;
	loader->duration_ok = form.duration > 0;
	if (form.name)
		loader_name(loader, yaml_get(root, "name"), "a name");
	loader->deployment_ok = form.deployment && load_deployment(loader, form.deployment) == 0;
	load_objectives(loader, form.objectives);
	loader->plan_ok = load_steady_state(loader, form.steady_state) == 0;
	loader->plan_ok &= load_backup(loader, form.backup) == 0;
	loader->plan_ok &= load_detectors(loader, form.detector) == 0;
	loader->plan_ok &= load_recovery(loader, form.recovery) == 0;
	load_guards(loader, form.abort);
	load_extras(loader, form.process, form.prices, form.drill);
	load_steps(loader, form.steps);
	load_failures(loader, form.failures, form.lemons);
	if (loader->deployment_ok && loader->plan_ok)
		check_plan(loader);
	return loader->context.errors.count > 0 ? -1 : 0;
}

static void hash_text(struct scenario *scenario)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int length = 0;
	int done = EVP_Digest(scenario->text, scenario->text_size, digest, &length, EVP_sha256(),
			      NULL);

	assert(done == 1 && length == 32);
	(void)done;
	for (unsigned int i = 0; i < length; i++)
		snprintf(scenario->sha256 + (size_t)2 * i, 3, "%02x", digest[i]);
}

/* The tree with its overrides applied; the text as run is the file's own bytes when there are none.
 */
static int read_tree(const char *path, const char *text, size_t size, const char *const *overrides,
		     size_t override_count, struct loader *loader, struct yaml_node **ret_root,
		     struct error *e)
{
	struct arena *arena = loader->context.arena;
	char *emitted;

	if (yaml_parse(path, text, size, arena, ret_root, e) < 0)
		return -1;
	for (size_t i = 0; i < override_count; i++)
		if (yaml_override(*ret_root, overrides[i], arena, e) < 0)
			return -1;
	loader->scenario->text = text;
	loader->scenario->text_size = size;
	if (override_count > 0) {
		if (yaml_emit(*ret_root, arena, &emitted, &loader->scenario->text_size, e) < 0)
			return -1;
		loader->scenario->text = emitted;
	}
	return 0;
}

static int parse(const char *path, const char *folder, const char *text, size_t size,
		 const char *const *overrides, size_t override_count, struct arena *arena,
		 struct scenario **ret_scenario, struct error *errors, size_t errors_max,
		 size_t *ret_error_count)
{
	struct scenario *scenario = arena_alloc(arena, sizeof(*scenario));
	struct loader loader = {.scenario = scenario,
				.context = {.arena = arena,
					    .folder = folder,
					    .errors = {.arena = arena, .file = path}}};
	struct error_list *list = &loader.context.errors;
	struct yaml_node *root = NULL;
	struct error e = {0};

	scenario->path = path;
	scenario->scale = (struct process_scale){1, 1};
	if (read_tree(path, text, size, overrides, override_count, &loader, &root, &e) < 0)
		error_list_add(list, e.kind, e.place, "%s", e.text);
	else if (refuse_secrets(&loader, root, path, override_count > 0 ? NULL : text, size) == 0)
		load_root(&loader, root);
	*ret_error_count = list->count < errors_max ? list->count : errors_max;
	if (*ret_error_count > 0)
		memcpy(errors, list->items, *ret_error_count * sizeof(*errors));
	if (list->count > 0)
		return -1;
	hash_text(scenario);
	*ret_scenario = scenario;
	return 0;
}

int scenario_parse(const char *path, const char *text, size_t size, const char *const *overrides,
		   size_t override_count, struct arena *arena, struct scenario **ret_scenario,
		   struct error *errors, size_t errors_max, size_t *ret_error_count)
{
	char *copy = arena_alloc(arena, size + 1);

	if (size > 0)
		memcpy(copy, text, size);
	return parse(arena_strdup(arena, path), NULL, copy, size, overrides, override_count, arena,
		     ret_scenario, errors, errors_max, ret_error_count);
}

static const char *folder_of(const char *path, struct arena *arena)
{
	const char *slash = strrchr(path, '/');

	return !slash          ? "."
	       : slash == path ? "/"
			       : arena_strndup(arena, path, (size_t)(slash - path));
}

int scenario_variant(const struct scenario *base, const char *const *overrides,
		     size_t override_count, struct arena *arena, struct scenario **ret_scenario,
		     struct error *e)
{
	size_t count;

	return parse(base->path, folder_of(base->path, arena), base->text, base->text_size,
		     overrides, override_count, arena, ret_scenario, e, 1, &count);
}

int scenario_load(const char *path, const char *const *overrides, size_t override_count,
		  struct arena *arena, struct scenario **ret_scenario, struct error *errors,
		  size_t errors_max, size_t *ret_error_count)
{
	const char *name = arena_strdup(arena, path);
	struct error e = {0};
	size_t size;
	char *text;

	if (yaml_read_file(name, YAML_FILE_MAX, arena, &text, &size, &e) < 0) {
		*ret_error_count = errors_max > 0;
		if (errors_max > 0)
			errors[0] = e;
		return -1;
	}
	return parse(name, folder_of(path, arena), text, size, overrides, override_count, arena,
		     ret_scenario, errors, errors_max, ret_error_count);
}

int scenario_standby_of(const struct scenario *scenario, uint32_t site)
{
	const struct deployment *d = &scenario->deployment;

	/* From the one after it round to the one before it: a standby declared first is a standby
	 * too. */
	for (size_t i = 1; i < d->site_count; i++) {
		size_t other = (site + i) % d->site_count;

		if (d->sites[other].standby.heat != HEAT_NONE)
			return (int)other;
	}
	return -1;
}

int scenario_link_between(const struct scenario *scenario, uint32_t a, uint32_t b)
{
	const struct deployment *d = &scenario->deployment;

	for (size_t i = 0; i < d->link_count; i++)
		if ((d->links[i].site[0] == a && d->links[i].site[1] == b) ||
		    (d->links[i].site[0] == b && d->links[i].site[1] == a))
			return (int)i;
	return -1;
}
