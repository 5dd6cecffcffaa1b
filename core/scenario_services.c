/* SPDX-License-Identifier: Apache-2.0 */
/* The scenario's `deployment.services`: servers of the user's own, and the commands that run them.
 */
#include <string.h>

#include "core/scenario_private.h"

#define LONGEST ((double)PARAM_DURATION_MAX)

struct service_form {
	const char *name, *site;
	const struct yaml_node *command, *standby, *ready, *health, *ledger, *load, *data, *env;
};
#define SERVICE(field) offsetof(struct service_form, field)
const struct param service_rows[] = {
	{"name", PARAM_TEXT, SERVICE(name), NULL, 0, 0, NULL,
	 "Name of the service, and of the endpoint that it is."},
	{"site", PARAM_TEXT, SERVICE(site), NULL, 0, 0, NULL, "Where it runs."},
	{"command", PARAM_NODE, SERVICE(command), NULL, 0, 0, NULL,
	 "The server as a list of words, with ${PORT}, ${ADDRESS}, ${DATA}, ${SITE} and ${NODE}."},
	{"standby", PARAM_NODE, SERVICE(standby), "", 0, 0, NULL,
	 "How the standby site starts it; as 'command' unless given."},
	{"ready", PARAM_NODE, SERVICE(ready), "", 0, 0, NULL,
	 "How its start is seen to be over; a connection unless given."},
	{"health", PARAM_NODE, SERVICE(health), "", 0, 0, NULL,
	 "How it is seen to be well; the same look as 'ready' unless given."},
	{"ledger", PARAM_NODE, SERVICE(ledger), "", 0, 0, NULL,
	 "The adapter that writes and reads its records."},
	{"load", PARAM_NODE, SERVICE(load), "", 0, 0, NULL, "The requests."},
	{"data", PARAM_NODE, SERVICE(data), "", 0, 0, NULL,
	 "Data class of what it keeps in ${DATA}; io when that is declared."},
	{"env", PARAM_NODE, SERVICE(env), "", 0, 0, NULL, "Variables of its environment."},
	PARAMS_END,
};

struct command_form {
	const struct yaml_node *command;
};
const struct param service_command_rows[] = {
	{"command", PARAM_NODE, offsetof(struct command_form, command), NULL, 0, 0, NULL,
	 "The program and its arguments as a list of words."},
	PARAMS_END,
};

struct check_form {
	bool tcp;
	const char *http;
	const struct yaml_node *exec;
	nanos interval, timeout;
};
#define LOOK(field) offsetof(struct check_form, field)
#define LOOK_ROWS                                                                                  \
	{"tcp", PARAM_BOOL, LOOK(tcp), "", 0, 0, NULL, "A connection to its port."},               \
		{"exec", PARAM_NODE, LOOK(exec), "", 0, 0, NULL, "A command that exits with 0."},  \
	{                                                                                          \
		"http", PARAM_TEXT, LOOK(http), "", 0, 0, NULL,                                    \
			"GET of this path that answers 200 to 299."                                \
	}
const struct param service_ready_rows[] = {
	LOOK_ROWS,
	{"interval", PARAM_DURATION, LOOK(interval), "200ms", 1, LONGEST, NULL,
	 "Real time between two looks."},
	{"timeout", PARAM_DURATION, LOOK(timeout), "30s", 1, LONGEST, NULL,
	 "Real time after which a start has failed."},
	PARAMS_END,
};
const struct param service_health_rows[] = {
	LOOK_ROWS,
	{"interval", PARAM_DURATION, LOOK(interval), "200ms", 1, LONGEST, NULL,
	 "Real time between two looks."},
	{"timeout", PARAM_DURATION, LOOK(timeout), "1s", 1, LONGEST, NULL,
	 "Real time after which a look has failed."},
	PARAMS_END,
};

static int load_check(struct loader *loader, const struct yaml_node *node, const char *what,
		      const struct param *rows, struct check *ret)
{
	struct check_form form = {0};
	const struct yaml_node *tcp = yaml_get(node, "tcp"), *http = yaml_get(node, "http");
	int result = params_load(node, what, rows, &form, &loader->context, NULL);
	int kinds = (tcp != NULL) + (form.exec != NULL) + (http != NULL);

	*ret = (struct check){.given = true,
			      .kind = form.exec ? CHECK_EXEC
				      : http    ? CHECK_HTTP
						: CHECK_TCP,
			      .path = form.http,
			      .interval = form.interval,
			      .timeout = form.timeout};
	if (result < 0)
		return -1;
	if (kinds > 1)
		return loader_error(loader, node->place,
				    "%s has one of 'tcp', 'exec' and 'http', not several", what);
	if (tcp && !form.tcp)
		return loader_error(loader, tcp->place,
				    "'tcp' can only be true: leave it out, or give 'exec' or "
				    "'http'");
	if (http && form.http[0] != '/')
		return loader_error(loader, http->place,
				    "'http' is the path of a URL and begins with '/'");
	return form.exec ? argv_load(form.exec, "exec", argv_service_names, &loader->context,
				     &ret->exec)
			 : 0;
}

static int load_checks(struct loader *loader, const struct service_form *form,
		       struct service_config *service)
{
	struct check_form presets = {0};
	int result = 0;

	params_preset(service_ready_rows, &presets, &loader->context);
	service->ready = (struct check){.interval = presets.interval, .timeout = presets.timeout};
	if (form->ready)
		result |= load_check(loader, form->ready, "'ready'", service_ready_rows,
				     &service->ready);
	params_preset(service_health_rows, &presets, &loader->context);
	service->health = service->ready;
	service->health.given = false;
	service->health.interval = presets.interval;
	service->health.timeout = presets.timeout;
	if (form->health)
		result |= load_check(loader, form->health, "'health'", service_health_rows,
				     &service->health);
	return result;
}

/* {command: […]}, for what may have more keys one day. */
static int load_inner(struct loader *loader, const struct yaml_node *node, const char *what,
		      struct argv *ret)
{
	struct command_form form = {0};

	if (!node)
		return 0;
	if (params_load(node, what, service_command_rows, &form, &loader->context, NULL) < 0)
		return -1;
	return argv_load(form.command, "command", argv_service_names, &loader->context, ret);
}

static bool is_variable(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

	return *name && strchr(letters, *name) &&
	       name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
				 "0123456789")] == '\0';
}

static int load_env(struct loader *loader, const struct yaml_node *node,
		    struct service_config *service)
{
	struct argv_value *env;
	char quoted[YAML_QUOTE_MAX];
	int result = 0;

	if (!node)
		return 0;
	if (node->kind != YAML_KIND_MAP)
		return loader_error(loader, node->place,
				    "'env' is a mapping of variables and values, not %s",
				    yaml_describe(node));
	if (node->count > SCENARIO_ENV_MAX)
		return error_list_add(&loader->context.errors, ERROR_LIMIT, node->place,
				      "'env' has %zu variables; the limit is %d", node->count,
				      SCENARIO_ENV_MAX);
	env = arena_array(loader->context.arena, node->count + 1, sizeof(*env));
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		if (!is_variable(item->key->text)) {
			result = loader_error(loader, item->key->place,
					      "'%s' is no name of a variable: letters, digits and "
					      "'_', no digit first",
					      yaml_quote(item->key->text, quoted));
		} else if (item->kind != YAML_KIND_SCALAR) {
			result = loader_error(loader, item->place,
					      "a variable has a single value, not %s",
					      yaml_describe(item));
		} else {
			result |= argv_check(item, argv_service_names, &loader->context);
			env[service->env_count++] =
				(struct argv_value){item->key->text, item->text};
		}
	}
	service->env = env;
	return result;
}

static int load_class(struct loader *loader, const struct yaml_node *node,
		      struct service_config *service)
{
	service->has_data = loader->scenario->deployment.data[DATA_IO].declared;
	service->data = DATA_IO;
	if (!node)
		return 0;
	service->data = loader_class(loader, node);
	service->has_data = service->data != DATA_CLASSES;
	return service->has_data ? 0 : -1;
}

/* An endpoint of one replica without a GPU, whose model is nothing. */
static int add_endpoint(struct loader *loader, const struct yaml_node *node,
			const struct service_form *form, struct endpoint *endpoints)
{
	struct deployment *d = &loader->scenario->deployment;
	struct endpoint *endpoint = &endpoints[d->endpoint_count];
	const struct yaml_node *name = yaml_get(node, "name");
	int result;

	*endpoint = (struct endpoint){.name = form->name, .replicas = 1, .place = node->place};
	result = load_load(loader, form->load, &endpoint->load);
	if (form->name)
		result |= loader_name(loader, name, "the name of a service");
	for (size_t i = 0; i < d->endpoint_count && form->name; i++)
		if (endpoints[i].name && yaml_is(name, endpoints[i].name))
			result = loader_error(loader, name->place,
					      "there is already an endpoint named '%s', in line "
					      "%u: a service is one too",
					      name->text, endpoints[i].place.line);
	if (form->site && place_endpoint(loader, node, endpoint) < 0)
		result = -1;
	d->endpoint_count++;
	return result;
}

static int load_service(struct loader *loader, const struct yaml_node *node,
			struct endpoint *endpoints, struct service_config *service)
{
	struct deployment *d = &loader->scenario->deployment;
	struct service_form form = {0};
	int result = params_load(node, "a service", service_rows, &form, &loader->context, NULL);

	if (node->kind != YAML_KIND_MAP)
		return -1;
	*service = (struct service_config){
		.name = form.name, .endpoint = (uint32_t)d->endpoint_count, .place = node->place};
	result |= add_endpoint(loader, node, &form, endpoints);
	service->site = endpoints[service->endpoint].site;
	if (form.command)
		result |= argv_load(form.command, "command", argv_service_names, &loader->context,
				    &service->command);
	result |= load_inner(loader, form.standby, "'standby'", &service->standby);
	result |= load_inner(loader, form.ledger, "'ledger'", &service->ledger);
	result |= load_checks(loader, &form, service);
	result |= load_class(loader, form.data, service);
	result |= load_env(loader, form.env, service);
	return result;
}

int load_services(struct loader *loader, const struct yaml_node *node)
{
	struct deployment *d = &loader->scenario->deployment;
	struct arena *arena = loader->context.arena;
	struct service_config *services;
	struct endpoint *endpoints;
	int result = 0;

	if (loader_list(loader, node, "services", SCENARIO_SERVICES_MAX) < 0)
		return -1;
	if (!node || node->count == 0)
		return 0;
	endpoints = arena_array(arena, d->endpoint_count + node->count, sizeof(*endpoints));
	if (d->endpoint_count > 0)
		memcpy(endpoints, d->endpoints, d->endpoint_count * sizeof(*endpoints));
	services = arena_array(arena, node->count, sizeof(*services));
	d->endpoints = endpoints;
	d->services = services;
	for (const struct yaml_node *item = node->first; item; item = item->next)
		result |= load_service(loader, item, endpoints, &services[d->service_count++]);
	return result;
}
