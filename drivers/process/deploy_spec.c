/* SPDX-License-Identifier: Apache-2.0 */
/* What the control plane is told to run: nodes, and a deployment for each endpoint and each site
 * that has a part in it, as sim/minilepton/README.md describes the file. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/process/process.h"
#include "drivers/process/services.h"
#include "drivers/process/training.h"

#define LEPTON_BACKOFF_FIRST                                                                       \
	(10 * NANOS_S) /* scenario time, as the platform's containers restart */
#define LEPTON_BACKOFF_MAX (300 * NANOS_S)
#define LEPTON_BACKOFF_RESET (600 * NANOS_S)
#define POLL (50 * NANOS_MS)     /* of every agent by the control plane, */
#define POLL_NODE (6 * NANOS_MS) /* but so long for each: each poll costs the host something */

static void number(cJSON *object, const char *name, double value)
{
	cJSON_AddNumberToObject(object, name, value);
}

static void word(cJSON *argv, const char *text)
{
	cJSON_AddItemToArray(argv, cJSON_CreateString(text));
}

static void option(cJSON *argv, const char *name, const char *value)
{
	word(argv, name);
	word(argv, value);
}

static void add_nodes(struct real *real, cJSON *root)
{
	cJSON *nodes = cJSON_AddArrayToObject(root, "nodes");

	for (size_t i = 0; i < real->node_count; i++) {
		const struct node *node = &real->nodes[i];
		const struct site *site = &real->scenario->deployment.sites[node->site];
		cJSON *item = cJSON_CreateObject();
		cJSON_AddStringToObject(item, "name", node->name);
		cJSON_AddStringToObject(item, "group", site->name);
		cJSON_AddStringToObject(item, "agent", node->agent + strlen("http://"));
		cJSON_AddStringToObject(item, "devices", node->devices);
		number(item, "gpus", site->gpus);
		number(item, "port_base", node->port + 1);
		cJSON_AddItemToArray(nodes, item);
	}
}

/* "MEDIAN,SIGMA" of a lognormal, else the mean: the replica knows these two. */
static const char *service_time(struct real *real, const struct dist *dist)
{
	if (dist->kind == DIST_LOGNORMAL)
		return arena_printf(&real->arena, "%.0f,%.6f", dist->a, dist->b);
	return arena_printf(&real->arena, "%.0f", dist_mean(dist));
}

/* Files that a restore writes when a class is there: the weights are read after that of the model,
 * and nothing is served before those that the plan names. */
static void add_waits(struct real *real, cJSON *argv, uint32_t site)
{
	const struct scenario *scenario = real->scenario;
	const char *folder = copies_site_folder(real->copies, site);

	option(argv, "--after", arena_printf(&real->arena, "%s/ready-model", folder));
	for (int c = 0; c < DATA_CLASSES; c++)
		if (c != DATA_MODEL && scenario->deployment.data[c].declared &&
		    (scenario->recovery.restore.before_serving & DATA_BIT(c)))
			option(argv, "--ready-after",
			       arena_printf(&real->arena, "%s/ready-%s", folder,
					    data_class_names[c]));
}

static void add_argv(struct real *real, cJSON *item, uint32_t endpoint, uint32_t site)
{
	const struct deployment *d = &real->scenario->deployment;
	const struct endpoint *config = &d->endpoints[endpoint];
	struct arena *arena = &real->arena;
	char folder[COPIES_PATH_MAX];
	cJSON *argv = cJSON_AddArrayToObject(item, "argv");

	word(argv, real->program);
	word(argv, "replica");
	option(argv, "--id", "{id}");
	option(argv, "--endpoint", config->name);
	option(argv, "--site", d->sites[site].name);
	option(argv, "--listen", "{address}");
	copies_class_folder(real->copies, site, DATA_MODEL, folder);
	option(argv, "--weights", arena_printf(arena, "%s/%s.weights", folder, config->name));
	add_waits(real, argv, site);
	option(argv, "--fence",
	       arena_printf(arena, "%s/fence", copies_site_folder(real->copies, site)));
	copies_class_folder(real->copies, site, DATA_IO, folder);
	option(argv, "--io-dir", folder);
	option(argv, "--start-ns", "{start_ns}");
	option(argv, "--service-ns", service_time(real, &config->load.service_time));
	option(argv, "--concurrency", arena_printf(arena, "%u", config->load.concurrency));
	option(argv, "--seed", arena_printf(arena, "%llu", (unsigned long long)real->seed));
	word(argv, "{devices}");
}

static void add_deployments(struct real *real, cJSON *root)
{
	const struct deployment *d = &real->scenario->deployment;
	cJSON *list = cJSON_AddArrayToObject(root, "deployments");
	char name[256];

	for (uint32_t e = 0; e < d->endpoint_count; e++)
		for (uint32_t s = 0; s < d->site_count; s++) {
			const struct standby *standby = &d->sites[s].standby;
			uint32_t replicas = deploy_replicas(real, e, s);
			cJSON *item;
			if (replicas == 0 || services_config(real, e))
				continue;
			item = cJSON_CreateObject();
			bool runs = standby->heat == HEAT_NONE || standby->heat == HEAT_HOT;
			cJSON_AddStringToObject(item, "name",
						deploy_name(real, e, s, name, sizeof(name)));
			cJSON_AddStringToObject(item, "endpoint",
						deploy_endpoint(real, e, name, sizeof(name)));
			cJSON_AddStringToObject(item, "group", d->sites[s].name);
			number(item, "replicas", runs ? replicas : 0);
			number(item, "gpus_per_replica", d->endpoints[e].gpus_per_replica);
			number(item, "weight", d->endpoints[e].site == s ? 100 : 0);
			number(item, "start_ns",
			       round(dist_quantile(&d->endpoints[e].model_start, 0.5)));
			/* Nodes of a cold site are allocated when they are asked for; all others
			 * are kept. */
			cJSON_AddBoolToObject(item, "reserved", standby->heat != HEAT_COLD);
			add_argv(real, item, e, s);
			cJSON_AddItemToArray(list, item);
		}
}

/* ---- training jobs ---- */

static void amount(struct real *real, cJSON *argv, const char *name, double value)
{
	option(argv, name, arena_printf(&real->arena, "%.0f", value));
}

/* Bytes a second of all ranks; 0: no limit. `takes` is how long it takes, where that is given. */
static double transfer_rate(double bytes, nanos takes, double store)
{
	if (takes == NANOS_NEVER)
		return isfinite(store) && store > 0 ? fmax(store, 1) : 0;
	return takes > 0 ? fmax(bytes * 1e9 / (double)takes, 1) : 0;
}

static void add_training(struct real *real, cJSON *argv, uint32_t index)
{
	const struct deployment *d = &real->scenario->deployment;
	const struct job *job = &d->jobs[index];
	double bytes = fmax((double)job->checkpoint.bytes, (double)job->nodes * JOB_SHARD_MIN);
	nanos every = job->checkpoint.every;

	option(argv, "--ckpt-dir", training_folder(real, index));
	option(argv, "--after", training_start_file(real, index));
	amount(real, argv, "--step-ns", (double)job->step);
	if (job->work != NANOS_NEVER)
		amount(real, argv, "--steps", (double)training_steps(job));
	amount(real, argv, "--ckpt-every-ns", every == NANOS_NEVER ? 0 : (double)every);
	amount(real, argv, "--ckpt-bytes", bytes);
	amount(real, argv, "--async", job->checkpoint.async);
	amount(real, argv, "--keep", job->checkpoint.keep);
	amount(real, argv, "--load-rate",
	       transfer_rate(bytes, job->checkpoint.load, d->store.read));
	amount(real, argv, "--save-rate",
	       transfer_rate(bytes, job->checkpoint.takes, d->store.write));
	amount(real, argv, "--timeout-ns", (double)job->timeout);
	option(argv, "--seed", arena_printf(&real->arena, "%llu", (unsigned long long)real->seed));
}

static void add_jobs(struct real *real, cJSON *root)
{
	const struct deployment *d = &real->scenario->deployment;
	cJSON *list = cJSON_AddArrayToObject(root, "jobs");
	char name[256];

	for (uint32_t j = 0; j < d->job_count; j++) {
		const struct job *job = &d->jobs[j];
		cJSON *item = cJSON_CreateObject(), *argv;
		cJSON_AddStringToObject(item, "name", training_name(real, j, name, sizeof(name)));
		cJSON_AddStringToObject(item, "group", d->sites[job->site].name);
		number(item, "ranks", job->nodes);
		number(item, "gpus_per_rank", d->sites[job->site].gpus);
		number(item, "spares", job->spares);
		number(item, "restart_ns", round(dist_quantile(&job->restart, 0.5)));
		argv = cJSON_AddArrayToObject(item, "argv");
		word(argv, real->program);
		word(argv, "trainer");
		option(argv, "--job", "{job}");
		option(argv, "--rank", "{rank}");
		option(argv, "--ranks", "{ranks}");
		option(argv, "--listen", "{address}");
		option(argv, "--coordinator", "{coordinator}");
		add_training(real, argv, j);
		word(argv, "{devices}");
		cJSON_AddItemToArray(list, item);
	}
}

static void add_rules(struct real *real, cJSON *root)
{
	const struct scenario *scenario = real->scenario;
	const struct platform *platform = &scenario->deployment.platform;
	const struct gateway *gateway = &scenario->deployment.gateway;
	cJSON *object;
	double timeout = 0;

	cJSON_AddStringToObject(root, "workspace", "drill");
	cJSON_AddStringToObject(root, "log_dir", real->log);
	cJSON_AddBoolToObject(root, "restart", platform->restart);
	number(root, "backoff_first_ns", (double)scenario_time(scenario, LEPTON_BACKOFF_FIRST));
	number(root, "backoff_max_ns", (double)scenario_time(scenario, LEPTON_BACKOFF_MAX));
	number(root, "backoff_reset_ns", (double)scenario_time(scenario, LEPTON_BACKOFF_RESET));
	if (platform->reschedule == NANOS_NEVER)
		cJSON_AddNullToObject(root, "reschedule_ns");
	else
		number(root, "reschedule_ns", (double)platform->reschedule);
	number(root, "allocate_ns", (double)platform->allocate);
	nanos poll = (nanos)real->node_count * POLL_NODE;
	poll = poll > POLL ? poll : POLL;
	number(root, "poll_ns", (double)poll);
	number(root, "poll_timeout_ns", (double)(4 * poll));
	object = cJSON_AddObjectToObject(root, "gateway");
	number(object, "interval_ns", (double)gateway->interval);
	number(object, "timeout_ns", (double)gateway->timeout);
	number(object, "misses", gateway->misses);
	number(object, "retries", gateway->retries);
	for (size_t e = 0; e < scenario->deployment.endpoint_count; e++)
		timeout = fmax(timeout, (double)scenario->deployment.endpoints[e].load.timeout);
	number(object, "request_timeout_ns", timeout);
	number(object, "concurrency", 4096);
}

int deploy_spec(struct real *real, const char *path, struct error *e)
{
	cJSON *root = cJSON_CreateObject();
	char *text;

	add_rules(real, root);
	add_nodes(real, root);
	add_deployments(real, root);
	add_jobs(real, root);
	text = cJSON_Print(root);
	assert(text);
	FILE *file = fopen(path, "we");
	bool good = file && fputs(text, file) >= 0;
	if (file)
		good = fclose(file) == 0 && good;
	free(text);
	cJSON_Delete(root);
	return good ? 0
		    : error_set(e, ERROR_IO, NO_PLACE, "cannot write %s: %s", path,
				strerror(errno));
}
