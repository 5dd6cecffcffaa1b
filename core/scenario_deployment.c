/* SPDX-License-Identifier: Apache-2.0 */
/* The scenario's `deployment`: sites with their standby, links, endpoints, gateway, platform, data
 * and store. */
#include <math.h>
#include <string.h>

#include "core/scenario_private.h"

#define LONGEST ((double)PARAM_DURATION_MAX)

struct deployment_form {
	const struct yaml_node *sites, *links, *endpoints, *gateway, *platform, *jobs, *data,
		*store, *services;
};
#define FORM(field) offsetof(struct deployment_form, field)
static const struct param deployment_rows[] = {
	{"sites", PARAM_NODE, FORM(sites), NULL, 0, 0, NULL, "Places with nodes."},
	{"links", PARAM_NODE, FORM(links), "", 0, 0, NULL,
	 "Networks between sites; without any they are unlimited."},
	{"endpoints", PARAM_NODE, FORM(endpoints), "", 0, 0, NULL, "Inference services."},
	{"gateway", PARAM_NODE, FORM(gateway), "", 0, 0, NULL,
	 "Health checks of the routing layer."},
	{"platform", PARAM_NODE, FORM(platform), "", 0, 0, NULL,
	 "What the platform's own scheduler does."},
	{"jobs", PARAM_NODE, FORM(jobs), "", 0, 0, NULL, "Training jobs."},
	{"data", PARAM_NODE, FORM(data), "", 0, 0, NULL, "The three data classes."},
	{"store", PARAM_NODE, FORM(store), "", 0, 0, NULL, "Where backups go."},
	{"services", PARAM_NODE, FORM(services), "", 0, 0, NULL,
	 "Servers of your own, such as Redis: endpoints that a real drill runs by a command."},
	PARAMS_END,
};

struct site_form {
	struct site site;
	const struct yaml_node *standby;
};
#define SITE(field) offsetof(struct site_form, field)
static const struct param site_rows[] = {
	{"name", PARAM_TEXT, SITE(site.name), NULL, 0, 0, NULL, "Name of the site."},
	{"region", PARAM_TEXT, SITE(site.region), "", 0, 0, NULL,
	 "Region; the site's name unless given."},
	{"zone", PARAM_TEXT, SITE(site.zone), "", 0, 0, NULL,
	 "Zone; the site's name unless given."},
	{"nodes", PARAM_COUNT, SITE(site.nodes), "1", 1, SCENARIO_NODES_MAX, NULL, "Nodes."},
	{"racks", PARAM_COUNT, SITE(site.racks), "1", 1, SCENARIO_NODES_MAX, NULL,
	 "Racks the nodes stand in."},
	{"shape", PARAM_TEXT, SITE(site.shape), "cpu", 0, 0, NULL,
	 "Shape of a node, such as gpu.8xh100-sxm."},
	{"gpus", PARAM_COUNT, SITE(site.gpus), "", 0, SCENARIO_GPUS_PER_NODE_MAX, NULL,
	 "GPUs of a node, for shapes drsim does not know."},
	{"nic", PARAM_RATE, SITE(site.nic), "25GB/s", 1, INFINITY, NULL, "Network of a node."},
	{"disk", PARAM_RATE, SITE(site.disk), "6GB/s", 1, INFINITY, NULL, "Disk of a node."},
	{"cpus", PARAM_COUNT, SITE(site.cpus), "224", 1, SCENARIO_CPUS_PER_NODE_MAX, NULL,
	 "CPUs (hardware threads) of a node."},
	{"memory", PARAM_SIZE, SITE(site.memory), "2TB", 1, 1e15, NULL, "Memory of a node."},
	{"standby", PARAM_NODE, SITE(standby), "", 0, 0, NULL, "Makes the site a standby."},
	PARAMS_END,
};

struct standby_form {
	struct standby standby;
	const struct yaml_node *holds;
};
#define STANDBY(field) offsetof(struct standby_form, field)
static const char *const heats[] = {"hot", "warm", "cold", NULL};
static const struct param standby_rows[] = {
	{"heat", PARAM_CHOICE, STANDBY(standby.heat), NULL, 0, 0, heats,
	 "hot: serves at once; warm: models loaded; cold: allocated on demand."},
	{"replicas", PARAM_COUNT, STANDBY(standby.replicas), "0", 0, SCENARIO_REPLICAS_MAX, NULL,
	 "Replicas kept per endpoint; 0: as many as the endpoint has."},
	{"replication_lag", PARAM_DURATION, STANDBY(standby.replication_lag), "0s", 0, 0, NULL,
	 "How old what it holds is; 0s: synchronous."},
	{"holds", PARAM_NODE, STANDBY(holds), "", 0, 0, NULL,
	 "Replicated data classes; hot: all, warm: model, cold: none."},
	PARAMS_END,
};

struct link_form {
	struct link link;
	const struct yaml_node *between;
};
#define LINK(field) offsetof(struct link_form, field)
static const struct param link_rows[] = {
	{"between", PARAM_NODE, LINK(between), NULL, 0, 0, NULL, "The two sites."},
	{"rate", PARAM_RATE, LINK(link.rate), "", 1e-3, INFINITY, NULL,
	 "Bandwidth; unlimited unless given."},
	{"latency", PARAM_DURATION, LINK(link.latency), "0s", 0, 0, NULL, "One-way latency."},
	{"loss", PARAM_PERCENT, LINK(link.loss), "0%", 0, 0, NULL, "Packets lost all the time."},
	PARAMS_END,
};

struct endpoint_form {
	struct endpoint endpoint;
	const char *site, *fallback;
	const struct yaml_node *model, *load;
};
#define ENDPOINT(field) offsetof(struct endpoint_form, field)
static const struct param endpoint_rows[] = {
	{"name", PARAM_TEXT, ENDPOINT(endpoint.name), NULL, 0, 0, NULL, "Name of the endpoint."},
	{"site", PARAM_TEXT, ENDPOINT(site), NULL, 0, 0, NULL, "Where its replicas run."},
	{"replicas", PARAM_COUNT, ENDPOINT(endpoint.replicas), "1", 1, SCENARIO_REPLICAS_MAX, NULL,
	 "Replicas."},
	{"gpus_per_replica", PARAM_COUNT, ENDPOINT(endpoint.gpus_per_replica), "0", 0,
	 SCENARIO_GPUS_PER_NODE_MAX, NULL, "GPUs of one replica."},
	{"model", PARAM_NODE, ENDPOINT(model), "", 0, 0, NULL,
	 "What a replica loads before it serves."},
	{"load", PARAM_NODE, ENDPOINT(load), "", 0, 0, NULL, "The requests."},
	{"fallback", PARAM_TEXT, ENDPOINT(fallback), "", 0, 0, NULL,
	 "Endpoint with the same model that serves while none of its own replicas does."},
	PARAMS_END,
};
static const struct param model_rows[] = {
	{"bytes", PARAM_SIZE, offsetof(struct endpoint, model_bytes), "0B", 0, 0, NULL, "Weights."},
	{"start", PARAM_DIST, offsetof(struct endpoint, model_start), "0s", 0, 0, NULL,
	 "Initialisation after the weights are there."},
	PARAMS_END,
};

struct load_form {
	struct load load;
	int arrivals, requests;
};
#define LOAD(field) offsetof(struct load_form, field)
static const char *const arrivals[] = {"poisson", "constant", NULL};
static const char *const requests[] = {"windows", "always", "never", NULL};
static const struct param load_rows[] = {
	{"rate", PARAM_PER_TIME, LOAD(load.rate), NULL, 0, 0, NULL, "Requests per second."},
	{"service_time", PARAM_DIST, LOAD(load.service_time), "100ms", 0, 0, NULL,
	 "Time one request takes."},
	{"concurrency", PARAM_COUNT, LOAD(load.concurrency), "64", 1, 1e6, NULL,
	 "Requests a replica works on at once."},
	{"timeout", PARAM_DURATION, LOAD(load.timeout), "30s", 1, LONGEST, NULL,
	 "A client gives up after it."},
	{"arrivals", PARAM_CHOICE, LOAD(arrivals), "poisson", 0, 0, arrivals,
	 "How requests arrive."},
	{"requests", PARAM_CHOICE, LOAD(requests), "windows", 0, 0, requests,
	 "When single requests are simulated: around events, always or never."},
	PARAMS_END,
};

static const struct param gateway_rows[] = {
	{"interval", PARAM_DURATION, offsetof(struct gateway, interval), "5s", 1, LONGEST, NULL,
	 "Between two health checks of a replica."},
	{"timeout", PARAM_DURATION, offsetof(struct gateway, timeout), "2s", 1, LONGEST, NULL,
	 "A check without an answer fails after it."},
	{"misses", PARAM_COUNT, offsetof(struct gateway, misses), "2", 1, 1000, NULL,
	 "Failed checks until a replica gets no more requests."},
	{"retries", PARAM_COUNT, offsetof(struct gateway, retries), "1", 0, 7, NULL,
	 "Other replicas a failed request is tried on."},
	PARAMS_END,
};

struct platform_form {
	struct platform platform;
	const struct yaml_node *reschedule;
};
#define PLATFORM(field) offsetof(struct platform_form, field)
static const struct param platform_rows[] = {
	{"restart", PARAM_BOOL, PLATFORM(platform.restart), "true", 0, 0, NULL,
	 "Containers restart after a crash."},
	{"reschedule", PARAM_NODE, PLATFORM(reschedule), "", 0, 0, NULL,
	 "A dead node's replicas move after it (345s); or never."},
	{"allocate", PARAM_DURATION, PLATFORM(platform.allocate), "60s", 0, 0, NULL,
	 "Until a cold standby has its nodes and image."},
	PARAMS_END,
};

struct data_form {
	const struct yaml_node *class[DATA_CLASSES];
};
static const struct param data_rows[] = {
	{"model", PARAM_NODE, offsetof(struct data_form, class[DATA_MODEL]), "", 0, 0, NULL,
	 "Model weights."},
	{"training", PARAM_NODE, offsetof(struct data_form, class[DATA_TRAINING]), "", 0, 0, NULL,
	 "Training data."},
	{"io", PARAM_NODE, offsetof(struct data_form, class[DATA_IO]), "", 0, 0, NULL,
	 "Inputs and outputs of inference."},
	PARAMS_END,
};
static const struct param class_rows[] = {
	{"bytes", PARAM_SIZE, offsetof(struct data, bytes), "0B", 0, 0, NULL, "Size at the start."},
	{"change", PARAM_RATE, offsetof(struct data, change), "0B/s", 0, 0, NULL,
	 "Acknowledged writes."},
	{"records", PARAM_PER_TIME, offsetof(struct data, records), "0/s", 0, 0, NULL,
	 "Records written."},
	PARAMS_END,
};

struct store_form {
	struct store store;
	const char *site;
};
#define STORE(field) offsetof(struct store_form, field)
static const struct param store_rows[] = {
	{"site", PARAM_TEXT, STORE(site), NULL, 0, 0, NULL, "Where it stands."},
	{"read", PARAM_RATE, STORE(store.read), "", 1e-3, INFINITY, NULL,
	 "Read rate; unlimited unless given."},
	{"write", PARAM_RATE, STORE(store.write), "", 1e-3, INFINITY, NULL,
	 "Write rate; unlimited unless given."},
	PARAMS_END,
};

const struct scenario_table deployment_tables[] = {
	{"deployment", deployment_rows},
	{"site", site_rows},
	{"standby", standby_rows},
	{"link", link_rows},
	{"endpoint", endpoint_rows},
	{"model", model_rows},
	{"load", load_rows},
	{"gateway", gateway_rows},
	{"platform", platform_rows},
	{"data", data_rows},
	{"class", class_rows},
	{"store", store_rows},
	{"job", job_rows},
	{"checkpoint", checkpoint_rows},
	{"service", service_rows},
	{"service_command", service_command_rows},
	{"service_ready", service_ready_rows},
	{"service_health", service_health_rows},
	{NULL, NULL},
};

/* ---- shapes ---- */

static const char *const gpu_models[] = {
	"a10",      "a100-40gb", "a100-80gb", "h100-sxm", "h100-pcie", "h100", "h200",
	"h200-sxm", "b200",      "gb200",     "b300",     "gb300",     "l4",   "l40s",
	"a6000",    "rtx6000",   "t4",        "v100",     NULL,
};

/* GPUs of a node of this shape: `gpu.8xh100-sxm` 8, `gpu.h100-sxm` 1, `cpu.*` 0; -1 when it is
 * unknown. */
static int shape_gpus(const char *shape, const char **ret_model)
{
	const char *model;
	int count = 0;

	*ret_model = "";
	if (strcmp(shape, "cpu") == 0 || (strncmp(shape, "cpu.", 4) == 0 && shape[4] != '\0'))
		return 0;
	if (strncmp(shape, "gpu.", 4) != 0)
		return -1;
	model = shape + 4;
	while (*model >= '0' && *model <= '9' && count < 1000)
		count = count * 10 + (*model++ - '0');
	if (model != shape + 4 && *model == 'x')
		model++;
	else
		count = model == shape + 4 ? 1 : -1;
	*ret_model = model;
	if (count < 1 || count > SCENARIO_GPUS_PER_NODE_MAX)
		return -1;
	for (size_t i = 0; gpu_models[i]; i++)
		if (strcmp(gpu_models[i], model) == 0)
			return count;
	return -1;
}

static int check_shape(struct loader *loader, const struct yaml_node *node, struct site *site)
{
	const struct yaml_node *given = yaml_get(node, "gpus"), *shape = yaml_get(node, "shape");
	const char *model, *suggestion;
	int gpus = shape_gpus(site->shape, &model);
	char quoted[YAML_QUOTE_MAX];

	if (gpus >= 0 && given && (uint32_t)gpus != site->gpus && shape)
		return loader_error(loader, given->place, "'gpus' is %u, but the shape %s has %d",
				    site->gpus, site->shape, gpus);
	if (given)
		return 0;
	if (gpus >= 0) {
		site->gpus = (uint32_t)gpus;
		return 0;
	}
	suggestion = param_suggest(model, gpu_models);
	yaml_quote(site->shape, quoted);
	if (suggestion && strcmp(suggestion, model) != 0)
		return loader_error(loader, shape->place,
				    "unknown shape '%s'; did you mean '%.*s%s'?", quoted,
				    (int)(model - site->shape), site->shape, suggestion);
	return loader_error(loader, shape->place,
			    "unknown shape '%s'; shapes look like gpu.8xh100-sxm or cpu.small; for "
			    "others give 'gpus' too",
			    quoted);
}

/* ---- sites ---- */

int loader_site(struct loader *loader, const struct yaml_node *node)
{
	const struct deployment *d = &loader->scenario->deployment;
	const char **words, *suggestion, *all = "";
	char quoted[YAML_QUOTE_MAX];

	if (node->kind != YAML_KIND_SCALAR)
		return loader_error(loader, node->place,
				    "the name of a site is expected here, not %s",
				    yaml_describe(node));
	for (size_t i = 0; i < d->site_count; i++)
		if (d->sites[i].name && yaml_is(node, d->sites[i].name))
			return (int)i;
	words = arena_array(loader->context.arena, d->site_count + 1, sizeof(*words));
	for (size_t i = 0, n = 0; i < d->site_count; i++)
		if (d->sites[i].name)
			words[n++] = d->sites[i].name;
	suggestion = param_suggest(node->text, words);
	yaml_quote(node->text, quoted);
	if (suggestion)
		return loader_error(loader, node->place, "unknown site '%s'; did you mean '%s'?",
				    quoted, suggestion);
	for (size_t i = 0; words[i] && strlen(all) < 200; i++)
		all = arena_printf(loader->context.arena, "%s%s%s", all, i > 0 ? ", " : "",
				   words[i]);
	return loader_error(loader, node->place, "unknown site '%s'; there %s %s", quoted,
			    words[0] && !words[1] ? "is" : "are", words[0] ? all : "none");
}

static int load_standby(struct loader *loader, const struct yaml_node *node, struct site *site)
{
	static const uint32_t holds[] = {
		[HEAT_HOT] = DATA_BIT(DATA_MODEL) | DATA_BIT(DATA_TRAINING) | DATA_BIT(DATA_IO),
		[HEAT_WARM] = DATA_BIT(DATA_MODEL),
		[HEAT_COLD] = 0,
	};
	struct standby_form form = {0};
	int result;

	if (!node)
		return 0;
	result = params_load(node, "a standby", standby_rows, &form, &loader->context, NULL);
	/* The words begin with hot, the enum with "not a standby". */
	form.standby.heat = (enum heat)((int)form.standby.heat + 1);
	form.standby.holds = holds[form.standby.heat];
	form.standby.place = node->place;
	if (form.holds &&
	    loader_classes(loader, form.holds, "holds", &form.standby.holds, NULL, NULL) < 0)
		result = -1;
	site->standby = form.standby;
	return result;
}

static int check_site_name(struct loader *loader, const struct yaml_node *name,
			   const struct site *sites, size_t count)
{
	static const char *const reserved[] = {"store", "standby", "region", "endpoint",
					       "job",   "data",    NULL};

	if (loader_name(loader, name, "the name of a site") < 0)
		return -1;
	for (size_t i = 0; reserved[i]; i++)
		if (yaml_is(name, reserved[i]))
			return loader_error(loader, name->place,
					    "a site cannot be named '%s': targets use that word",
					    reserved[i]);
	for (size_t i = 0; i < count; i++)
		if (sites[i].name && yaml_is(name, sites[i].name))
			return loader_error(loader, name->place,
					    "there is already a site named '%s', in line %u",
					    name->text, sites[i].place.line);
	return 0;
}

static int load_site(struct loader *loader, const struct yaml_node *node, struct site *sites,
		     size_t count)
{
	struct site_form form = {0};
	struct site *site = &sites[count];
	const struct yaml_node *racks = yaml_get(node, "racks");
	int result;

	result = params_load(node, "a site", site_rows, &form, &loader->context, NULL);
	form.site.place = node->place;
	*site = form.site;
	if (node->kind != YAML_KIND_MAP)
		return -1;
	if (load_standby(loader, form.standby, site) < 0)
		result = -1;
	if (result == 0 && check_shape(loader, node, site) < 0)
		result = -1;
	if (site->name && check_site_name(loader, yaml_get(node, "name"), sites, count) < 0)
		result = -1;
	if (result == 0 && site->racks > site->nodes)
		result = loader_error(loader, racks->place,
				      "%u racks for %u node%s: a rack needs at least one node",
				      site->racks, site->nodes, site->nodes == 1 ? "" : "s");
	site->region = site->region ? site->region : site->name;
	site->zone = site->zone ? site->zone : site->name;
	return result;
}

static int load_sites(struct loader *loader, const struct yaml_node *node)
{
	struct deployment *d = &loader->scenario->deployment;
	struct site *sites;
	uint64_t nodes = 0;
	size_t serving = 0;
	int result = 0;

	if (loader_list(loader, node, "sites", SCENARIO_SITES_MAX) < 0)
		return -1;
	if (!node || node->count == 0)
		return node ? loader_error(loader, node->place, "at least one site is needed") : -1;
	sites = arena_array(loader->context.arena, node->count, sizeof(*sites));
	d->sites = sites;
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		if (load_site(loader, item, sites, d->site_count) < 0)
			result = -1;
		nodes += sites[d->site_count].nodes;
		serving += sites[d->site_count].standby.heat == HEAT_NONE;
		d->site_count++;
		if (nodes > SCENARIO_NODES_MAX &&
		    nodes - sites[d->site_count - 1].nodes <= SCENARIO_NODES_MAX)
			result = error_list_add(&loader->context.errors, ERROR_LIMIT, item->place,
						"more than %d nodes over all sites",
						SCENARIO_NODES_MAX);
	}
	if (serving == 0)
		result = loader_error(loader, node->place,
				      "every site is a standby; one must serve");
	return result;
}

/* ---- links, endpoints, the rest ---- */

static int load_link(struct loader *loader, const struct yaml_node *node, struct link *links)
{
	struct deployment *d = &loader->scenario->deployment;
	struct link_form form = {.link = {.rate = INFINITY}};
	int result = params_load(node, "a link", link_rows, &form, &loader->context, NULL);
	int a, b, earlier;

	form.link.place = node->place;
	if (!form.between)
		return -1;
	if (form.between->kind != YAML_KIND_LIST || form.between->count != 2)
		return loader_error(
			loader, form.between->place,
			"'between' takes the names of two sites, as in [primary, backup]");
	a = loader_site(loader, form.between->first);
	b = loader_site(loader, form.between->last);
	if (a < 0 || b < 0)
		return -1;
	if (a == b)
		return loader_error(loader, form.between->last->place,
				    "a link is between two different sites");
	earlier = scenario_link_between(loader->scenario, (uint32_t)a, (uint32_t)b);
	if (earlier >= 0)
		return loader_error(loader, form.between->place,
				    "there is already a link between '%s' and '%s', in line %u",
				    d->sites[a].name, d->sites[b].name,
				    d->links[earlier].place.line);
	form.link.site[0] = (uint32_t)a;
	form.link.site[1] = (uint32_t)b;
	links[d->link_count++] = form.link;
	return result;
}

static int load_links(struct loader *loader, const struct yaml_node *node)
{
	struct deployment *d = &loader->scenario->deployment;
	struct link *links;
	int result = 0;

	if (loader_list(loader, node, "links", SCENARIO_LINKS_MAX) < 0)
		return -1;
	if (!node || node->count == 0)
		return 0;
	links = arena_array(loader->context.arena, node->count, sizeof(*links));
	d->links = links;
	for (const struct yaml_node *item = node->first; item; item = item->next)
		if (load_link(loader, item, links) < 0)
			result = -1;
	return result;
}

int load_load(struct loader *loader, const struct yaml_node *node, struct load *load)
{
	struct load_form form = {0};
	int result = 0;

	if (node)
		result = params_load(node, "a load", load_rows, &form, &loader->context, NULL);
	else
		params_preset(load_rows, &form, &loader->context);
	*load = form.load;
	load->poisson = form.arrivals == 0;
	load->requests = (enum requests_mode)form.requests;
	return result;
}

/* Does the endpoint fit on its site? Replicas do not span nodes. */
static int check_room(struct loader *loader, const struct yaml_node *node,
		      const struct endpoint *endpoint, uint64_t *used)
{
	const struct site *site = &loader->scenario->deployment.sites[endpoint->site];
	const struct yaml_node *per_replica = yaml_get(node, "gpus_per_replica"),
			       *replicas = yaml_get(node, "replicas");
	uint64_t needed = (uint64_t)endpoint->replicas * endpoint->gpus_per_replica;
	uint64_t total = (uint64_t)site->nodes * site->gpus, places;

	if (endpoint->gpus_per_replica == 0)
		return 0;
	if (endpoint->gpus_per_replica > site->gpus)
		return loader_error(loader, per_replica->place,
				    "a replica needs %u GPUs, but a node of site '%s' has %u",
				    endpoint->gpus_per_replica, site->name, site->gpus);
	places = (uint64_t)site->nodes * (site->gpus / endpoint->gpus_per_replica);
	used[endpoint->site] += needed;
	if (endpoint->replicas > places)
		return loader_error(
			loader, (replicas ? replicas : node)->place,
			"%u replicas with %u GPUs each do not fit: site '%s' has room for %llu",
			endpoint->replicas, endpoint->gpus_per_replica, site->name,
			(unsigned long long)places);
	if (used[endpoint->site] > total)
		return loader_error(loader, (replicas ? replicas : node)->place,
				    "the endpoints of site '%s' need %llu GPUs, but it has %llu",
				    site->name, (unsigned long long)used[endpoint->site],
				    (unsigned long long)total);
	return 0;
}

int place_endpoint(struct loader *loader, const struct yaml_node *node, struct endpoint *endpoint)
{
	const struct yaml_node *where = yaml_get(node, "site");
	const struct deployment *d = &loader->scenario->deployment;
	int site = loader_site(loader, where);

	if (site < 0)
		return -1;
	endpoint->site = (uint32_t)site;
	if (d->sites[site].standby.heat != HEAT_NONE)
		return loader_error(loader, where->place,
				    "site '%s' is a standby: an endpoint runs on a serving site "
				    "and is taken over from there",
				    d->sites[site].name);
	return 0;
}

static int load_endpoint(struct loader *loader, const struct yaml_node *node,
			 struct endpoint *endpoints, uint64_t *used, bool sites_ok)
{
	struct deployment *d = &loader->scenario->deployment;
	struct endpoint_form form = {0};
	struct endpoint *endpoint = &endpoints[d->endpoint_count];
	const struct yaml_node *name = yaml_get(node, "name");
	int result = params_load(node, "an endpoint", endpoint_rows, &form, &loader->context, NULL);

	*endpoint = form.endpoint;
	endpoint->place = node->place;
	if (form.model)
		result |= params_load(form.model, "a model", model_rows, endpoint, &loader->context,
				      NULL);
	else
		params_preset(model_rows, endpoint, &loader->context);
	result |= load_load(loader, form.load, &endpoint->load);
	if (endpoint->name)
		result |= loader_name(loader, name, "the name of an endpoint");
	for (size_t i = 0; i < d->endpoint_count && endpoint->name; i++)
		if (endpoints[i].name && yaml_is(name, endpoints[i].name))
			result = loader_error(loader, name->place,
					      "there is already an endpoint named '%s', in line %u",
					      name->text, endpoints[i].place.line);
	if (form.site && place_endpoint(loader, node, endpoint) < 0)
		result = -1;
	if (result == 0 && sites_ok && check_room(loader, node, endpoint, used) < 0)
		result = -1;
	return result;
}

/* Known only when all endpoints are. One that falls back itself is no fallback: a request is sent
 * on once. */
static int find_fallback(struct loader *loader, const struct yaml_node *node,
			 struct endpoint *endpoints, size_t index)
{
	const struct yaml_node *named = yaml_get(node, "fallback");
	size_t count = loader->scenario->deployment.endpoint_count;
	const char **words = arena_array(loader->context.arena, count + 1, sizeof(*words));
	char quoted[YAML_QUOTE_MAX];
	const char *suggestion;
	size_t kept = 0;

	if (!named || named->kind != YAML_KIND_SCALAR)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (i == index || !endpoints[i].name)
			continue;
		words[kept++] = endpoints[i].name;
		if (yaml_is(named, endpoints[i].name))
			endpoints[index].fallback = (uint32_t)i + 1;
	}
	if (endpoints[index].fallback)
		return 0;
	suggestion = param_suggest(named->text, words);
	return loader_error(loader, named->place, "no other endpoint is named '%s'%s%s%s",
			    yaml_quote(named->text, quoted), suggestion ? "; did you mean '" : "",
			    suggestion ? suggestion : "", suggestion ? "'?" : "");
}

static int load_endpoints(struct loader *loader, const struct yaml_node *node, bool sites_ok)
{
	struct deployment *d = &loader->scenario->deployment;
	struct endpoint *endpoints;
	uint64_t *used, replicas = 0;
	int result = 0;

	if (loader_list(loader, node, "endpoints", SCENARIO_ENDPOINTS_MAX) < 0)
		return -1;
	if (!node || node->count == 0)
		return 0;
	endpoints = arena_array(loader->context.arena, node->count, sizeof(*endpoints));
	used = arena_array(loader->context.arena, d->site_count + 1, sizeof(*used));
	d->endpoints = endpoints;
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		if (load_endpoint(loader, item, endpoints, used, sites_ok) < 0)
			result = -1;
		replicas += endpoints[d->endpoint_count].replicas;
		d->endpoint_count++;
	}
	size_t index = 0;
	for (const struct yaml_node *item = node->first; item; item = item->next)
		result |= find_fallback(loader, item, endpoints, index++);
	if (replicas > SCENARIO_REPLICAS_MAX)
		result = error_list_add(&loader->context.errors, ERROR_LIMIT, node->place,
					"more than %d replicas over all endpoints",
					SCENARIO_REPLICAS_MAX);
	return result;
}

static int load_platform(struct loader *loader, const struct yaml_node *node)
{
	struct platform_form form = {.platform = {.reschedule = 345 * NANOS_S}};
	struct error e = {0};
	int result = 0;

	if (node)
		result = params_load(node, "a platform", platform_rows, &form, &loader->context,
				     NULL);
	else
		params_preset(platform_rows, &form, &loader->context);
	if (form.reschedule && yaml_is(form.reschedule, "never"))
		form.platform.reschedule = NANOS_NEVER;
	else if (form.reschedule && form.reschedule->kind != YAML_KIND_SCALAR)
		result = loader_error(loader, form.reschedule->place,
				      "'reschedule' is a duration or never, not %s",
				      yaml_describe(form.reschedule));
	else if (form.reschedule && quantity_duration(form.reschedule->text, form.reschedule->place,
						      &form.platform.reschedule, &e) < 0)
		result = loader_error(loader, e.place, "%s", e.text);
	loader->scenario->deployment.platform = form.platform;
	return result;
}

static int load_gateway(struct loader *loader, const struct yaml_node *node)
{
	struct gateway *gateway = &loader->scenario->deployment.gateway;

	if (node)
		return params_load(node, "a gateway", gateway_rows, gateway, &loader->context,
				   NULL);
	params_preset(gateway_rows, gateway, &loader->context);
	return 0;
}

static int load_data(struct loader *loader, const struct yaml_node *node)
{
	struct data_form form = {0};
	int result;

	if (!node)
		return 0;
	result = params_load(node, "data", data_rows, &form, &loader->context, NULL);
	for (int i = 0; i < DATA_CLASSES; i++) {
		struct data *data = &loader->scenario->deployment.data[i];

		if (!form.class[i])
			continue;
		result |= params_load(form.class[i], "a data class", class_rows, data,
				      &loader->context, NULL);
		data->declared = true;
		data->place = form.class[i]->place;
	}
	return result;
}

static int load_store(struct loader *loader, const struct yaml_node *node)
{
	struct store_form form = {.store = {.read = INFINITY, .write = INFINITY}};
	struct store *store = &loader->scenario->deployment.store;
	int result, site;

	*store = form.store;
	if (!node)
		return 0;
	result = params_load(node, "a store", store_rows, &form, &loader->context, NULL);
	*store = form.store;
	store->declared = true;
	store->place = node->place;
	if (!form.site)
		return -1;
	site = loader_site(loader, yaml_get(node, "site"));
	store->site = site < 0 ? 0 : (uint32_t)site;
	return site < 0 ? -1 : result;
}

int load_deployment(struct loader *loader, const struct yaml_node *node)
{
	struct deployment_form form = {0};
	int result =
		params_load(node, "'deployment'", deployment_rows, &form, &loader->context, NULL);
	int sites;

	if (node->kind != YAML_KIND_MAP)
		return -1;
	/* Data first: a standby names classes. Then sites: everything else names sites. */
	result |= load_data(loader, form.data);
	sites = load_sites(loader, form.sites);
	result |= sites;
	if (loader->scenario->deployment.site_count == 0)
		return -1;
	result |= load_links(loader, form.links);
	result |= load_endpoints(loader, form.endpoints, sites == 0);
	result |= load_services(loader, form.services);
	result |= load_gateway(loader, form.gateway);
	result |= load_platform(loader, form.platform);
	result |= load_store(loader, form.store);
	result |= load_jobs(loader, form.jobs, sites == 0);
	return result;
}
