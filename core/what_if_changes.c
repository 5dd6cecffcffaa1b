/* SPDX-License-Identifier: Apache-2.0 */
/* Which single changes of the plan could have helped: each as the overrides that make it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/param.h"
#include "core/what_if.h"
#include "core/words.h"
#include "core/yaml.h"

#define CANARY_EVERY "60s"

/* What the changes are drawn from. */
struct search {
	const struct record *record;
	const struct scenario *scenario;
	const struct incident *headline;
	const struct yaml_node
		*root; /* the scenario as it ran: a part may be one mapping or a list */
	struct arena *arena;
	struct what_if_change *changes;
	size_t count;
};

/* A change without overrides yet; the last one, past the end, is never counted. */
static struct what_if_change *change(struct search *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static struct what_if_change *change(struct search *s, const char *format, ...)
{
	struct what_if_change *made = &s->changes[s->count];
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	*made = (struct what_if_change){.text = arena_strdup(s->arena, text)};
	return made;
}

static void set(struct search *s, struct what_if_change *made, const char *path, const char *value)
{
	if (made->set_count < WHAT_IF_SETS_MAX)
		made->sets[made->set_count++] = arena_printf(s->arena, "%s=%s", path, value);
}

/* Counts it, unless it changes nothing. */
static void done(struct search *s, const struct what_if_change *made)
{
	if (made->set_count > 0 && s->count + 1 < WHAT_IF_CHANGES_MAX)
		s->count++;
}

static void simple(struct search *s, struct what_if_change *made, const char *path,
		   const char *value)
{
	set(s, made, path, value);
	done(s, made);
}

/* ---- values ---- */

static const struct yaml_node *item(const struct yaml_node *list, size_t index)
{
	const struct yaml_node *node = list && list->kind == YAML_KIND_LIST ? list->first : NULL;

	while (node && index-- > 0)
		node = node->next;
	return node;
}

/* "detector", or "detector[1]" where there is a list of them. */
static const char *path_of(struct search *s, const char *name, size_t index,
			   const struct yaml_node **ret_node)
{
	const struct yaml_node *node = yaml_get(s->root, name);

	if (node && node->kind == YAML_KIND_LIST) {
		*ret_node = item(node, index);
		return arena_printf(s->arena, "%s[%zu]", name, index);
	}
	*ret_node = node;
	return name;
}

static const char *duration_text(struct search *s, nanos value)
{
	char buffer[QUANTITY_TEXT_MAX];

	return arena_strdup(s->arena, quantity_print_duration(value, buffer));
}

/* "10Gbit/s" -> "20Gbit/s": in the words of the scenario, so that the value is exactly twice. NULL:
 * it is written in another way. */
static const char *doubled(struct search *s, const struct yaml_node *node)
{
	size_t length = node && node->text ? strspn(node->text, "0123456789.") : 0;
	double value;

	if (length == 0 || node->text[length] == 'e' || node->text[length] == 'E' ||
	    quantity_number(arena_strndup(s->arena, node->text, length), NO_PLACE, &value, NULL))
		return NULL;
	return arena_printf(s->arena, "%.12g%s", 2 * value, node->text + length);
}

/* Every duration in `node`, a time or a distribution of times, in half. */
static void halve(struct search *s, struct what_if_change *made, const struct yaml_node *node,
		  const char *path)
{
	nanos value;

	if (!node)
		return;
	if (node->kind == YAML_KIND_MAP)
		for (const struct yaml_node *child = node->first; child; child = child->next)
			halve(s, made, child,
			      arena_printf(s->arena, "%s.%s", path, child->key->text));
	else if (node->kind == YAML_KIND_SCALAR && node->style == YAML_STYLE_PLAIN &&
		 quantity_duration(node->text, NO_PLACE, &value, NULL) == 0 && value > 1)
		set(s, made, path, duration_text(s, value / 2));
}

/* ---- the standby ---- */

/* The one that took over; of a service that did not come back, the one that should have. */
static int standby_of(const struct search *s)
{
	if (s->headline->standby >= 0)
		return s->headline->standby;
	for (size_t i = 0; i < s->scenario->deployment.site_count; i++)
		if (s->scenario->deployment.sites[i].standby.heat != HEAT_NONE)
			return (int)i;
	return -1;
}

static void change_standby(struct search *s)
{
	const struct deployment *deployment = &s->scenario->deployment;
	int index = standby_of(s);
	const struct site *site = index < 0 ? NULL : &deployment->sites[index];
	uint32_t want = 0;
	char value[16];

	if (!site || s->headline->path == PATH_ABSORBED)
		return;
	if (site->standby.heat == HEAT_COLD)
		simple(s, change(s, "A warm standby instead of a cold one (site %s)", site->name),
		       arena_printf(s->arena, "deployment.sites[%d].standby.heat", index), "warm");
	if (site->standby.heat == HEAT_WARM)
		simple(s, change(s, "A hot standby instead of a warm one (site %s)", site->name),
		       arena_printf(s->arena, "deployment.sites[%d].standby.heat", index), "hot");
	for (size_t i = 0; i < deployment->endpoint_count; i++)
		want = deployment->endpoints[i].replicas > want ? deployment->endpoints[i].replicas
								: want;
	if (site->standby.replicas == 0 || site->standby.replicas >= want)
		return;
	snprintf(value, sizeof(value), "%u", want);
	simple(s,
	       change(s, "%u replicas kept on standby %s instead of %u", want, site->name,
		      site->standby.replicas),
	       arena_printf(s->arena, "deployment.sites[%d].standby.replicas", index), value);
}

/* ---- the detector ---- */

static void change_misses(struct search *s, const char *path,
			  const struct detector_config *detector)
{
	const char *name = detector_names[detector->kind];
	char value[16];

	if (detector->kind != DETECTOR_PROBE && detector->kind != DETECTOR_POLL &&
	    detector->kind != DETECTOR_CANARY)
		return;
	if (detector->misses > 1) {
		snprintf(value, sizeof(value), "%u", detector->misses - 1);
		simple(s,
		       change(s, "Declaring a fault after %s miss%s of the %s instead of %u", value,
			      detector->misses == 2 ? "" : "es", name, detector->misses),
		       arena_printf(s->arena, "%s.misses", path), value);
	}
	if (detector->timeout > 1)
		simple(s,
		       change(s, "A timeout of %s instead of %s for the %s",
			      duration_text(s, detector->timeout / 2),
			      duration_text(s, detector->timeout), name),
		       arena_printf(s->arena, "%s.timeout", path),
		       duration_text(s, detector->timeout / 2));
}

/* Half the time between two looks. */
static void change_interval(struct search *s, const char *path, const char *key,
			    const struct detector_config *detector, nanos time)
{
	const char *now = duration_text(s, time), *half = duration_text(s, time / 2);
	struct what_if_change *made;

	if (time < 2)
		return;
	if (detector->kind == DETECTOR_SLO)
		made = change(s, "An slo window of %s instead of %s", half, now);
	else if (detector->kind == DETECTOR_PHI)
		made = change(s, "A heartbeat every %s instead of every %s", half, now);
	else
		made = change(s, "A %s every %s instead of every %s",
			      detector_names[detector->kind], half, now);
	simple(s, made, arena_printf(s->arena, "%s.%s", path, key), half);
}

static void change_detector(struct search *s, size_t index)
{
	const struct detector_config *detector = &s->scenario->detectors[index];
	const struct yaml_node *node;
	const char *path = path_of(s, "detector", index, &node);
	struct what_if_change *made;

	switch (detector->kind) {
	case DETECTOR_FIXED:
		made = change(s, "Detection in half the time (detector fixed)");
		halve(s, made, yaml_get(node, "delay"), arena_printf(s->arena, "%s.delay", path));
		done(s, made);
		return;
	case DETECTOR_CANARY:
		change_interval(s, path, "every", detector, detector->interval);
		break;
	case DETECTOR_SLO:
		change_interval(s, path, "window", detector, detector->slo_window);
		break;
	case DETECTOR_PROBE:
	case DETECTOR_PHI:
	case DETECTOR_POLL:
	case DETECTOR_WATCHDOG:
		change_interval(s, path, "interval", detector, detector->interval);
		break;
	}
	change_misses(s, path, detector);
}

static void change_to_canary(struct search *s)
{
	const struct deployment *deployment = &s->scenario->deployment;
	const char *answers = "{kind: canary, scope: replica, every: " CANARY_EVERY "}";
	const char *results = "{kind: canary, scope: job, every: " CANARY_EVERY "}";
	const char *both = arena_printf(s->arena, "[%s, %s]", answers, results);

	if (deployment->job_count > 0)
		answers = deployment->endpoint_count > 0 ? both : results;
	simple(s,
	       change(s, "A canary that compares %s every %s in place of what detects now",
		      answers == results ? "results" : "answers", CANARY_EVERY),
	       "detector", answers);
}

static void change_detectors(struct search *s)
{
	const struct incident *incident = s->headline;

	if (incident->undetected) {
		/* No look at a pulse finds a wrong answer, however often. */
		if (incident->wrong > 0 || incident->silent)
			change_to_canary(s);
		return;
	}
	if (incident->detector >= 0) {
		change_detector(s, (size_t)incident->detector);
		return;
	}
	if (s->scenario->detector_count == 1)
		change_detector(s, 0);
}

/* ---- the move ---- */

static void change_switch(struct search *s)
{
	const struct recovery_config *recovery = &s->scenario->recovery;
	const struct yaml_node *node = yaml_get(s->root, "recovery");
	struct what_if_change *made;
	char text[WORDS_MAX];

	if (!dist_is_zero(&recovery->decide))
		simple(s,
		       change(s, "A failover authorised in advance (decide: 0s instead of %s)",
			      words_dist(text, &recovery->decide)),
		       "recovery.decide", "0s");
	/* An unreachable primary is tried for so long, unless it is fenced at once. */
	if (recovery->fence_enabled && recovery->fence_timeout > 1 &&
	    s->headline->switching != NANOS_NEVER &&
	    s->headline->switching >= recovery->fence_timeout)
		simple(s,
		       change(s, "Giving up to fence the old primary after %s instead of %s",
			      duration_text(s, recovery->fence_timeout / 2),
			      duration_text(s, recovery->fence_timeout)),
		       "recovery.fence.timeout", duration_text(s, recovery->fence_timeout / 2));
	if (dist_is_zero(&recovery->switch_time))
		return;
	made = change(s, "A switch in half the time (now %s)",
		      words_dist(text, &recovery->switch_time));
	halve(s, made, yaml_get(node, "switch"), "recovery.switch");
	done(s, made);
}

static void change_store(struct search *s)
{
	const struct deployment *deployment = &s->scenario->deployment;
	const struct yaml_node *root = yaml_get(s->root, "deployment"), *node;
	int standby = standby_of(s), link = -1;
	const char *value;

	if (!deployment->store.declared)
		return;
	node = yaml_get(yaml_get(root, "store"), "read");
	value = doubled(s, node);
	if (value)
		simple(s, change(s, "A store that reads %s instead of %s", value, node->text),
		       "deployment.store.read", value);
	if (standby >= 0 && (uint32_t)standby != deployment->store.site)
		link = scenario_link_between(s->scenario, deployment->store.site,
					     (uint32_t)standby);
	node = yaml_get(item(yaml_get(root, "links"), link < 0 ? 0 : (size_t)link), "rate");
	value = link < 0 ? NULL : doubled(s, node);
	if (value)
		simple(s,
		       change(s, "A link of %s instead of %s between the store and standby %s",
			      value, node->text, deployment->sites[standby].name),
		       arena_printf(s->arena, "deployment.links[%d].rate", link), value);
}

static void change_restore(struct search *s)
{
	const struct recovery_config *recovery = &s->scenario->recovery;
	uint32_t needed = recovery->restore.before_serving,
		 less = needed & ~DATA_BIT(DATA_TRAINING);
	const char *list = "";

	if (recovery->restore.order == RESTORE_SEQUENTIAL && recovery->restore.class_count > 0)
		simple(s,
		       change(s, "Restoring all classes at once, beside the switch, instead of one "
				 "after the other"),
		       "recovery.restore.order", "parallel");
	if (less == needed || less == 0)
		return;
	for (int c = 0; c < DATA_CLASSES; c++)
		if (less & DATA_BIT(c))
			list = arena_printf(s->arena, "%s%s%s", list, *list ? ", " : "",
					    data_class_names[c]);
	simple(s, change(s, "Serving before the training data are restored"),
	       "recovery.restore.before_serving", arena_printf(s->arena, "[%s]", list));
}

static void change_start(struct search *s)
{
	const struct deployment *deployment = &s->scenario->deployment;
	const struct yaml_node *root = yaml_get(s->root, "deployment");
	struct what_if_change *made = change(s, "Replicas that start in half the time");

	for (size_t i = 0; i < deployment->endpoint_count; i++)
		halve(s, made,
		      yaml_get(yaml_get(item(yaml_get(root, "endpoints"), i), "model"), "start"),
		      arena_printf(s->arena, "deployment.endpoints[%zu].model.start", i));
	done(s, made);
}

/* ---- what carries or mends it where it is ---- */

static void change_gateway(struct search *s)
{
	const struct gateway *gateway = &s->scenario->deployment.gateway;
	char value[16];

	if (gateway->interval > 1)
		simple(s,
		       change(s, "A gateway that checks every %s instead of every %s",
			      duration_text(s, gateway->interval / 2),
			      duration_text(s, gateway->interval)),
		       "deployment.gateway.interval", duration_text(s, gateway->interval / 2));
	if (gateway->misses < 2)
		return;
	snprintf(value, sizeof(value), "%u", gateway->misses - 1);
	simple(s,
	       change(s, "A gateway that takes a replica out after %s failed check%s instead of %u",
		      value, gateway->misses == 2 ? "" : "s", gateway->misses),
	       "deployment.gateway.misses", value);
}

static void change_crews(struct search *s)
{
	uint32_t crews = s->scenario->recovery.repair.crews;
	size_t mended = 0;
	char value[16];

	for (size_t i = 0; i < s->headline->fault_count; i++)
		if (s->headline->faults[i] < s->scenario->step_count)
			mended +=
				s->scenario->steps[s->headline->faults[i]].until == UNTIL_REPAIRED;
	if (mended <= crews)
		return;
	snprintf(value, sizeof(value), "%u", crews + 1);
	simple(s, change(s, "%s repair crews instead of %u", value, crews), "recovery.repair.crews",
	       value);
}

/* ---- training jobs ---- */

static void change_job(struct search *s, size_t index, const struct yaml_node *node)
{
	const struct job *job = &s->scenario->deployment.jobs[index];
	const char *path = arena_printf(s->arena, "deployment.jobs[%zu]", index);
	struct what_if_change *made;

	if (job->checkpoint.every > 1) {
		made = change(s, "Checkpoints of job %s every %s instead of every %s", job->name,
			      duration_text(s, job->checkpoint.every / 2),
			      duration_text(s, job->checkpoint.every));
		made->aim = WHAT_IF_LOSS;
		simple(s, made, arena_printf(s->arena, "%s.checkpoint.every", path),
		       duration_text(s, job->checkpoint.every / 2));
	}
	made = change(s, "A restart of job %s in half the time", job->name);
	halve(s, made, yaml_get(node, "restart"), arena_printf(s->arena, "%s.restart", path));
	done(s, made);
	if (job->timeout > 1)
		simple(s,
		       change(s, "A step of job %s that hangs aborted after %s instead of %s",
			      job->name, duration_text(s, job->timeout / 2),
			      duration_text(s, job->timeout)),
		       arena_printf(s->arena, "%s.timeout", path),
		       duration_text(s, job->timeout / 2));
	simple(s,
	       change(s, "%u spare nodes for job %s instead of %u", job->spares + 1, job->name,
		      job->spares),
	       arena_printf(s->arena, "%s.spares", path),
	       arena_printf(s->arena, "%u", job->spares + 1));
}

static void change_jobs(struct search *s)
{
	const struct yaml_node *jobs = yaml_get(yaml_get(s->root, "deployment"), "jobs");

	for (size_t i = 0; i < s->scenario->deployment.job_count; i++)
		change_job(s, i, item(jobs, i));
}

/* ---- backups ---- */

static bool loses(const struct search *s, const struct backup_policy *policy)
{
	const struct brp *brp = &s->record->brp;

	for (int c = 0; c < DATA_CLASSES; c++)
		if ((policy->classes & DATA_BIT(c)) && brp->by_class[c].known &&
		    (brp->by_class[c].seconds > 0 || brp->by_class[c].bytes > 0))
			return true;
	return false;
}

static void change_backups(struct search *s)
{
	for (size_t i = 0; i < s->scenario->policy_count; i++) {
		const struct backup_policy *policy = &s->scenario->policies[i];
		const struct yaml_node *node;
		const char *path = path_of(s, "backup", i, &node);
		struct what_if_change *made;

		if (policy->every == NANOS_NEVER || policy->every < 2 || !loses(s, policy))
			continue;
		made = change(s, "A backup every %s instead of every %s",
			      duration_text(s, policy->every / 2), duration_text(s, policy->every));
		made->aim = WHAT_IF_LOSS;
		simple(s, made, arena_printf(s->arena, "%s.every", path),
		       duration_text(s, policy->every / 2));
	}
}

size_t what_if_changes(const struct record *record, struct arena *arena,
		       struct what_if_change *changes)
{
	const struct incident *headline = &record->incidents[record->headline];
	const struct scenario *scenario = record->scenario;
	struct search s = {
		.record = record,
		.scenario = scenario,
		.headline = headline,
		.arena = arena,
		.changes = changes,
	};
	struct yaml_node *root = NULL;

	if (yaml_parse(scenario->path, scenario->text, scenario->text_size, arena, &root, NULL))
		return 0;
	s.root = root;
	change_standby(&s);
	change_detectors(&s);
	change_jobs(&s);
	if (headline->path == PATH_FAILOVER || headline->path == PATH_UNRECOVERED) {
		change_switch(&s);
		change_store(&s);
		change_restore(&s);
	} else {
		if (scenario->deployment.job_count > 0) /* restarts read their checkpoint */
			change_store(&s);
		if (scenario->deployment.endpoint_count > 0)
			change_gateway(&s);
	}
	change_start(&s);
	change_crews(&s);
	change_backups(&s);
	return s.count;
}
