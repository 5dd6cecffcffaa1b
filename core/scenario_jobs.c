/* SPDX-License-Identifier: Apache-2.0 */
/* Training jobs: the scenario's `deployment.jobs`, with their checkpoints. */
#include <math.h>
#include <string.h>

#include "core/scenario_private.h"

#define LONGEST ((double)PARAM_DURATION_MAX)

struct job_form {
	struct job job;
	const char *site;
	struct dist step;
	const struct yaml_node *checkpoint;
};
#define JOB(field) offsetof(struct job_form, field)
const struct param job_rows[] = {
	{"name", PARAM_TEXT, JOB(job.name), NULL, 0, 0, NULL, "Name of the job."},
	{"site", PARAM_TEXT, JOB(site), NULL, 0, 0, NULL, "Where it runs."},
	{"nodes", PARAM_COUNT, JOB(job.nodes), "1", 1, SCENARIO_NODES_MAX, NULL,
	 "Nodes, with all their GPUs; one rank on each."},
	{"step", PARAM_DIST, JOB(step), "5s", 0, 0, NULL,
	 "One step at full pace; of a distribution the mean."},
	{"checkpoint", PARAM_NODE, JOB(checkpoint), "", 0, 0, NULL, "When and how it saves."},
	{"restart", PARAM_DIST, JOB(job.restart), "5m", 0, 0, NULL,
	 "From scheduling until it reads its checkpoint."},
	{"spares", PARAM_COUNT, JOB(job.spares), "0", 0, SCENARIO_NODES_MAX, NULL,
	 "Nodes kept free for it, which replace lost ones at once."},
	{"timeout", PARAM_DURATION, JOB(job.timeout), "10m", 1, LONGEST, NULL,
	 "A step that hangs is aborted after it."},
	{"work", PARAM_DURATION, JOB(job.work), "", 1, LONGEST, NULL,
	 "It is complete after so much training; never unless given."},
	PARAMS_END,
};
#define SAVE(field) offsetof(struct job, checkpoint.field)
const struct param checkpoint_rows[] = {
	{"every", PARAM_DURATION, SAVE(every), "10m", 1, LONGEST, NULL, "Between two saves."},
	{"bytes", PARAM_SIZE, SAVE(bytes), "0B", 0, 0, NULL, "What one save writes to the store."},
	{"async", PARAM_BOOL, SAVE(async), "true", 0, 0, NULL,
	 "Training goes on while it is written."},
	{"keep", PARAM_COUNT, SAVE(keep), "3", 1, 1e6, NULL, "The newest so many are kept."},
	{"takes", PARAM_DURATION, SAVE(takes), "", 0, 0, NULL, "Overrides the transfer."},
	{"load", PARAM_DURATION, SAVE(load), "", 0, 0, NULL,
	 "Overrides how long reading one takes; 0s where 'takes' is given."},
	PARAMS_END,
};

/* A job takes whole nodes, and its spares are nobody else's. */
static int check_room(struct loader *loader, const struct yaml_node *node, const struct job *job)
{
	const struct deployment *d = &loader->scenario->deployment;
	const struct site *site = &d->sites[job->site];
	uint64_t taken = (uint64_t)job->nodes + job->spares, replicas = 0;

	for (size_t i = 0; i < d->job_count; i++)
		if (d->jobs[i].site == job->site)
			taken += (uint64_t)d->jobs[i].nodes + d->jobs[i].spares;
	for (size_t i = 0; i < d->endpoint_count; i++)
		if (d->endpoints[i].site == job->site)
			replicas += (uint64_t)d->endpoints[i].replicas *
				    d->endpoints[i].gpus_per_replica;
	if (taken > site->nodes)
		return loader_error(loader, node->place,
				    "jobs and their spares take %llu nodes, but site '%s' has %u",
				    (unsigned long long)taken, site->name, site->nodes);
	if (replicas > (site->nodes - taken) * site->gpus)
		return loader_error(loader, node->place,
				    "jobs take %llu nodes of site '%s', and what is left has not "
				    "the %llu GPUs that its endpoints need",
				    (unsigned long long)taken, site->name,
				    (unsigned long long)replicas);
	return 0;
}

static int place_job(struct loader *loader, const struct yaml_node *node, struct job *job)
{
	const struct yaml_node *where = yaml_get(node, "site");
	const struct deployment *d = &loader->scenario->deployment;
	int site = loader_site(loader, where);

	if (site < 0)
		return -1;
	job->site = (uint32_t)site;
	if (d->sites[site].standby.heat != HEAT_NONE)
		return loader_error(loader, where->place,
				    "site '%s' is a standby: a job runs on a serving site",
				    d->sites[site].name);
	return check_room(loader, node, job);
}

static int load_checkpoint(struct loader *loader, const struct yaml_node *node, struct job *job)
{
	const struct deployment *d = &loader->scenario->deployment;
	int link, result;

	job->checkpoint.takes = job->checkpoint.load = NANOS_NEVER;
	if (!node) { /* of 0 bytes: they need no store */
		params_preset(checkpoint_rows, job, &loader->context);
		return 0;
	}
	result = params_load(node, "a checkpoint", checkpoint_rows, job, &loader->context, NULL);
	if (job->checkpoint.takes != NANOS_NEVER && job->checkpoint.load == NANOS_NEVER)
		job->checkpoint.load = 0;
	if (result < 0 || job->checkpoint.bytes == 0 || job->checkpoint.takes != NANOS_NEVER)
		return result;
	if (!d->store.declared)
		return loader_error(loader, node->place,
				    "a checkpoint needs somewhere to go: declare deployment.store, "
				    "or give 'takes'");
	link = scenario_link_between(loader->scenario, job->site, d->store.site);
	if (job->site != d->store.site && d->link_count > 0 && link < 0)
		return loader_error(loader, node->place,
				    "there is no link between '%s' and '%s', which the checkpoints "
				    "need",
				    d->sites[job->site].name, d->sites[d->store.site].name);
	return 0;
}

static int load_job(struct loader *loader, const struct yaml_node *node, struct job *jobs,
		    bool sites_ok)
{
	struct deployment *d = &loader->scenario->deployment;
	struct job_form form = {.job.work = NANOS_NEVER};
	struct job *job = &jobs[d->job_count];
	const struct yaml_node *name = yaml_get(node, "name"), *step = yaml_get(node, "step");
	int result = params_load(node, "a job", job_rows, &form, &loader->context, NULL);

	*job = form.job;
	job->place = node->place;
	if (node->kind != YAML_KIND_MAP)
		return -1;
	job->step = form.step.kind == DIST_CONSTANT ? form.step.exact
						    : (nanos)llround(dist_mean(&form.step));
	if (result == 0 && job->step < 1)
		result = loader_error(loader, step->place, "a step takes longer than nothing");
	if (job->name)
		result |= loader_name(loader, name, "the name of a job");
	for (size_t i = 0; i < d->job_count && job->name; i++)
		if (jobs[i].name && yaml_is(name, jobs[i].name))
			result = loader_error(loader, name->place,
					      "there is already a job named '%s', in line %u",
					      name->text, jobs[i].place.line);
	if (form.site && sites_ok && place_job(loader, node, job) < 0)
		result = -1;
	result |= load_checkpoint(loader, form.checkpoint, job);
	return result;
}

int load_jobs(struct loader *loader, const struct yaml_node *node, bool sites_ok)
{
	struct deployment *d = &loader->scenario->deployment;
	struct job *jobs;
	int result = 0;

	if (loader_list(loader, node, "jobs", SCENARIO_JOBS_MAX) < 0)
		return -1;
	if (!node || node->count == 0)
		return 0;
	jobs = arena_array(loader->context.arena, node->count, sizeof(*jobs));
	d->jobs = jobs;
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		if (load_job(loader, item, jobs, sites_ok) < 0)
			result = -1;
		d->job_count++;
	}
	return result;
}
