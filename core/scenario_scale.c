/* SPDX-License-Identifier: Apache-2.0 */
/* The same scenario in another measure of time and data: what a drill on one host plays in minutes
 * and megabytes. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/fault.h"
#include "core/param.h"
#include "core/scenario.h"
#include "core/trace.h"

/* A larger one makes nothing smaller, a smaller one nothing out of anything. */
#define SCALE_MIN 1e-18

/* One scaling on its way. */
struct scaling {
	double time, bytes;
	struct arena *arena;
};

/* Through long double: a factor of 1 gives every integer back. What was not 0 stays so: a period of
 * 0 would never end, and no bytes are something else than few. */
static int64_t times(int64_t value, double factor)
{
	int64_t scaled = (int64_t)llroundl((long double)value * (long double)factor);

	return value > 0 && scaled == 0 ? 1 : scaled;
}

static void scale_time(const struct scaling *scaling, nanos *value)
{
	if (*value != NANOS_NEVER)
		*value = times(*value, scaling->time);
}

static void scale_bytes(const struct scaling *scaling, uint64_t *value)
{
	*value = (uint64_t)times((int64_t)*value, scaling->bytes);
}

/* Bytes a second; an unlimited rate stays one. */
static void scale_rate(const struct scaling *scaling, double *value)
{
	*value *= scaling->bytes / scaling->time;
}

/* Things a second. */
static void scale_frequency(const struct scaling *scaling, double *value)
{
	*value /= scaling->time;
}

static void scale_dist(const struct scaling *scaling, struct dist *dist)
{
	*dist = dist_scale(dist, scaling->time, scaling->arena);
}

static void *copy(const struct scaling *scaling, const void *items, size_t count, size_t size)
{
	void *copied = arena_array(scaling->arena, count, size);

	if (count > 0)
		memcpy(copied, items, count * size);
	return copied;
}

/* ---- what exists ---- */

static void scale_endpoints(const struct scaling *scaling, struct deployment *d)
{
	struct endpoint *endpoints =
		copy(scaling, d->endpoints, d->endpoint_count, sizeof(*endpoints));

	for (size_t i = 0; i < d->endpoint_count; i++) {
		struct load *load = &endpoints[i].load;

		scale_bytes(scaling, &endpoints[i].model_bytes);
		scale_dist(scaling, &endpoints[i].model_start);
		scale_frequency(scaling, &load->rate);
		scale_dist(scaling, &load->service_time);
		scale_time(scaling, &load->timeout);
	}
	d->endpoints = endpoints;
}

static void scale_places(const struct scaling *scaling, struct deployment *d)
{
	struct site *sites = copy(scaling, d->sites, d->site_count, sizeof(*sites));
	struct link *links = copy(scaling, d->links, d->link_count, sizeof(*links));

	for (size_t i = 0; i < d->site_count; i++) {
		scale_rate(scaling, &sites[i].nic);
		scale_rate(scaling, &sites[i].disk);
		scale_bytes(scaling, &sites[i].memory);
		scale_time(scaling, &sites[i].standby.replication_lag);
	}
	for (size_t i = 0; i < d->link_count; i++) {
		scale_rate(scaling, &links[i].rate);
		scale_time(scaling, &links[i].latency);
	}
	d->sites = sites;
	d->links = links;
}

static void scale_jobs(const struct scaling *scaling, struct deployment *d)
{
	struct job *jobs = copy(scaling, d->jobs, d->job_count, sizeof(*jobs));

	for (size_t i = 0; i < d->job_count; i++) {
		scale_time(scaling, &jobs[i].step);
		scale_time(scaling, &jobs[i].checkpoint.every);
		scale_bytes(scaling, &jobs[i].checkpoint.bytes);
		scale_time(scaling, &jobs[i].checkpoint.takes);
		scale_time(scaling, &jobs[i].checkpoint.load);
		scale_dist(scaling, &jobs[i].restart);
		scale_time(scaling, &jobs[i].timeout);
		scale_time(scaling, &jobs[i].work);
	}
	d->jobs = jobs;
}

static void scale_deployment(const struct scaling *scaling, struct deployment *d)
{
	scale_places(scaling, d);
	scale_endpoints(scaling, d);
	scale_jobs(scaling, d);
	scale_time(scaling, &d->gateway.interval);
	scale_time(scaling, &d->gateway.timeout);
	scale_time(scaling, &d->platform.reschedule);
	scale_time(scaling, &d->platform.allocate);
	for (int i = 0; i < DATA_CLASSES; i++) {
		scale_bytes(scaling, &d->data[i].bytes);
		scale_rate(scaling, &d->data[i].change);
		scale_frequency(scaling, &d->data[i].records);
	}
	scale_rate(scaling, &d->store.read);
	scale_rate(scaling, &d->store.write);
}

/* ---- the DR plan ---- */

static void scale_plan(const struct scaling *scaling, struct scenario *s)
{
	for (size_t i = 0; i < s->policy_count; i++) {
		scale_time(scaling, &s->policies[i].every);
		scale_time(scaling, &s->policies[i].takes);
	}
	for (size_t i = 0; i < s->detector_count; i++) {
		struct detector_config *detector = &s->detectors[i];

		scale_time(scaling, &detector->interval);
		scale_time(scaling, &detector->timeout);
		scale_dist(scaling, &detector->delay);
		scale_time(scaling, &detector->slo_window);
		scale_time(scaling, &detector->slo_latency);
	}
	scale_dist(scaling, &s->recovery.decide);
	scale_time(scaling, &s->recovery.fence_timeout);
	scale_dist(scaling, &s->recovery.switch_time);
	scale_dist(scaling, &s->recovery.verify_time);
	scale_dist(scaling, &s->recovery.diagnose_time);
	scale_dist(scaling, &s->recovery.repair.time);
	scale_time(scaling, &s->steady_state.latency);
	scale_time(scaling, &s->steady_state.window);
}

static void scale_objective(const struct scaling *scaling, struct objective *objective)
{
	switch (objective->kind) {
	case OBJECTIVE_FRT:
	case OBJECTIVE_BRT:
	case OBJECTIVE_BRP_SECONDS:
	case OBJECTIVE_MTPD:
		objective->limit *= scaling->time;
		break;
	case OBJECTIVE_BRP_BYTES:
		objective->limit *= scaling->bytes;
		break;
	case OBJECTIVE_BRP_RECORDS:
	case OBJECTIVE_AVAILABILITY:
	case OBJECTIVE_ETTR:
	case OBJECTIVES:
		break;
	}
}

static void scale_guard(const struct scaling *scaling, struct guard *guard)
{
	scale_time(scaling, &guard->for_at_least);
	switch (guard->metric) {
	case GUARD_LATENCY_P99:
	case GUARD_DURATION:
		guard->value *= scaling->time;
		break;
	case GUARD_AVAILABILITY:
	case GUARD_ERROR_RATE:
	case GUARD_LOST_RECORDS:
		break;
	}
}

/* ---- what breaks ---- */

static void scale_param(const struct scaling *scaling, const struct param *row, void *field)
{
	switch (row->type) {
	case PARAM_DURATION:
		scale_time(scaling, field);
		break;
	case PARAM_SIZE:
		scale_bytes(scaling, field);
		break;
	case PARAM_RATE:
		scale_rate(scaling, field);
		break;
	case PARAM_PER_TIME:
		scale_frequency(scaling, field);
		break;
	case PARAM_DIST:
		scale_dist(scaling, field);
		break;
	case PARAM_BOOL:
	case PARAM_INTEGER:
	case PARAM_PERCENT:
	case PARAM_NUMBER:
	case PARAM_CHOICE:
	case PARAM_TEXT:
	case PARAM_COUNT:
	case PARAM_SEED:
	case PARAM_NODE:
		break;
	}
}

static void *scale_params(const struct scaling *scaling, const struct fault_ops *fault,
			  const void *params)
{
	char *scaled;

	if (fault->params_size == 0 || !fault->params)
		return copy(scaling, params, 1, fault->params_size > 0 ? fault->params_size : 1);
	scaled = copy(scaling, params, 1, fault->params_size);
	for (const struct param *row = fault->params; row->name; row++)
		scale_param(scaling, row, scaled + row->offset);
	return scaled;
}

static const struct trace *scale_trace(const struct scaling *scaling, const struct trace *trace)
{
	struct trace *scaled = copy(scaling, trace, 1, sizeof(*trace));
	struct trace_record *records =
		copy(scaling, trace->records, trace->count, sizeof(*records));

	for (size_t i = 0; i < trace->count; i++) {
		scale_time(scaling, &records[i].at);
		scale_time(scaling, &records[i].down);
	}
	scaled->records = records;
	return scaled;
}

static void scale_step(const struct scaling *scaling, struct step *step)
{
	struct dist *repair;

	step->params = scale_params(scaling, step->fault, step->params);
	scale_time(scaling, &step->at);
	scale_time(scaling, &step->to);
	scale_time(scaling, &step->after.delay);
	scale_dist(scaling, &step->duration);
	scale_dist(scaling, &step->drawn);
	scale_time(scaling, &step->ramp);
	scale_time(scaling, &step->pulse.active);
	scale_time(scaling, &step->pulse.dormant);
	scale_frequency(scaling, &step->failure.per_1000_node_days);
	if (step->failure.repair) {
		repair = copy(scaling, step->failure.repair, 1, sizeof(*repair));
		scale_dist(scaling, repair);
		step->failure.repair = repair;
	}
	if (step->trace)
		step->trace = scale_trace(scaling, step->trace);
}

static void scale_steps(const struct scaling *scaling, struct scenario *s)
{
	struct step *steps = copy(scaling, s->steps, s->step_count, sizeof(*steps));

	for (size_t i = 0; i < s->step_count; i++)
		scale_step(scaling, &steps[i]);
	s->steps = steps;
}

/* ---- the whole ---- */

bool scenario_is_scaled(const struct scenario *scenario)
{
	return fabs(scenario->scale.time_scale - 1) > 0 ||
	       fabs(scenario->scale.bytes_scale - 1) > 0;
}

static bool usable(double factor)
{
	return factor >= SCALE_MIN && factor <= 1;
}

int scenario_scale(const struct scenario *scenario, double time_scale, double bytes_scale,
		   struct arena *arena, struct scenario **ret_scenario, struct error *e)
{
	struct scaling scaling = {time_scale, bytes_scale, arena};
	struct scenario *s;

	if (!usable(time_scale) || !usable(bytes_scale))
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "a scenario cannot be scaled by %g in time and %g in bytes: both "
				 "must be above 0 and at most 1",
				 time_scale, bytes_scale);
	if (scenario_is_scaled(scenario))
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "this scenario was scaled already, by %g in time and %g in bytes",
				 scenario->scale.time_scale, scenario->scale.bytes_scale);
	s = copy(&scaling, scenario, 1, sizeof(*scenario));
	s->scale = (struct process_scale){time_scale, bytes_scale};
	scale_time(&scaling, &s->duration);
	for (size_t i = 0; i < s->objective_count; i++)
		scale_objective(&scaling, &s->objectives[i]);
	for (size_t i = 0; i < s->guard_count; i++)
		scale_guard(&scaling, &s->guards[i]);
	scale_deployment(&scaling, &s->deployment);
	scale_plan(&scaling, s);
	scale_steps(&scaling, s);
	*ret_scenario = s;
	return 0;
}

nanos scenario_time(const struct scenario *scenario, nanos duration)
{
	assert(scenario->scale.time_scale > 0);
	return duration == NANOS_NEVER ? duration : times(duration, scenario->scale.time_scale);
}
