/* SPDX-License-Identifier: Apache-2.0 */
/* The scenario's DR plan: backup policies, detectors, recovery; then the checks that plan and
 * deployment fit. */
#include <string.h>

#include "core/scenario_private.h"

#define LONGEST ((double)PARAM_DURATION_MAX)

/* ---- backup ---- */

struct policy_form {
	struct backup_policy policy;
	const struct yaml_node *classes, *command, *restore;
};
#define POLICY(field) offsetof(struct policy_form, field)
static const char *const backup_kinds[] = {"full", "incremental", NULL};
static const struct param policy_rows[] = {
	{"at_start", PARAM_BOOL, POLICY(policy.at_start), "true", 0, 0, NULL,
	 "Take one backup at the start."},
	{"every", PARAM_DURATION, POLICY(policy.every), "", 1, LONGEST, NULL, "Period."},
	{"kind", PARAM_CHOICE, POLICY(policy.kind), "full", 0, 0, backup_kinds,
	 "full, or only what changed."},
	{"classes", PARAM_NODE, POLICY(classes), "", 0, 0, NULL,
	 "Data classes; all that are declared unless given."},
	{"verify", PARAM_BOOL, POLICY(policy.verify), "false", 0, 0, NULL,
	 "Read back after writing; restorable only then."},
	{"keep", PARAM_COUNT, POLICY(policy.keep), "24", 1, 1e6, NULL,
	 "How many backups are kept."},
	{"failure", PARAM_PERCENT, POLICY(policy.failure), "0%", 0, 0, NULL,
	 "Probability that a backup fails at its end."},
	{"takes", PARAM_DURATION, POLICY(policy.takes), "", 0, 0, NULL,
	 "Overrides transfer and verification."},
	{"command", PARAM_NODE, POLICY(command), "", 0, 0, NULL,
	 "Backs up with a tool of yours: a list of words, with ${DATA}, ${STORE}, ${BACKUP} and "
	 "${CLASS}."},
	{"restore", PARAM_NODE, POLICY(restore), "", 0, 0, NULL,
	 "Restores what 'command' wrote: a list of words."},
	PARAMS_END,
};

/* A tool of the user's own: what one command writes only its other half reads. */
static int load_tool(struct loader *loader, const struct policy_form *form,
		     struct backup_policy *policy)
{
	const struct yaml_node *one = form->command ? form->command : form->restore;
	int result = 0;

	if (!one)
		return 0;
	if (!form->command || !form->restore)
		return loader_error(loader, one->key->place,
				    "'command' and 'restore' belong together: what a tool backs "
				    "up, the same tool restores");
	result |= argv_load(form->command, "command", argv_backup_names, &loader->context,
			    &policy->command);
	result |= argv_load(form->restore, "restore", argv_backup_names, &loader->context,
			    &policy->restore);
	return result;
}

static int load_policy(struct loader *loader, const struct yaml_node *node,
		       struct backup_policy *ret)
{
	struct policy_form form = {.policy = {.every = NANOS_NEVER, .takes = NANOS_NEVER}};
	int result = params_load(node, "a backup", policy_rows, &form, &loader->context, NULL);

	form.policy.place = node->place;
	form.policy.classes = loader_declared(loader);
	if (form.classes &&
	    loader_classes(loader, form.classes, "classes", &form.policy.classes, NULL, NULL) < 0)
		result = -1;
	else if (form.classes && form.policy.classes == 0)
		result = loader_error(loader, form.classes->place,
				      "a backup needs at least one data class");
	if (load_tool(loader, &form, &form.policy) < 0)
		result = -1;
	if (result == 0 && !form.policy.at_start && form.policy.every == NANOS_NEVER)
		result = loader_error(loader, node->place,
				      "this backup never runs: give 'every' or 'at_start: true'");
	*ret = form.policy;
	return result;
}

int load_backup(struct loader *loader, const struct yaml_node *node)
{
	struct scenario *s = loader->scenario;
	int result = 0;

	if (!node)
		return 0;
	if (node->kind != YAML_KIND_LIST) {
		s->policy_count = 1;
		return load_policy(loader, node, &s->policies[0]);
	}
	if (loader_list(loader, node, "backup", SCENARIO_POLICIES_MAX) < 0)
		return -1;
	for (const struct yaml_node *item = node->first; item; item = item->next)
		result |= load_policy(loader, item, &s->policies[s->policy_count++]);
	return result;
}

/* ---- detectors ---- */

#define DETECT(field) offsetof(struct detector_config, field)

const char *const detector_names[] = {
	[DETECTOR_PROBE] = "probe",       [DETECTOR_PHI] = "phi",
	[DETECTOR_POLL] = "poll",         [DETECTOR_FIXED] = "fixed",
	[DETECTOR_CANARY] = "canary",     [DETECTOR_SLO] = "slo",
	[DETECTOR_WATCHDOG] = "watchdog", NULL,
};
/* In the order of enum detector_scope; who asks for answers sees only what gives some. */
static const char *const scopes[] = {"endpoint", "replica", "job", "node", "gpu", NULL};
static const char *const answer_scopes[] = {"endpoint", "replica", "job", NULL};
static const char *const request_scopes[] = {"endpoint", NULL};
static const char *const job_scopes[] = {"job", NULL}; /* load_detector() knows its number */

#define COMMON_ROWS(scopes)                                                                        \
	{"kind", PARAM_CHOICE, DETECT(kind), NULL, 0, 0, detector_names, "How it detects."},       \
	{                                                                                          \
		"scope", PARAM_CHOICE, DETECT(scope), "endpoint", 0, 0, scopes,                    \
			"What it looks at."                                                        \
	}

static const struct param probe_rows[] = {
	COMMON_ROWS(scopes),
	{"interval", PARAM_DURATION, DETECT(interval), "10s", 1, LONGEST, NULL,
	 "Between two probes."},
	{"timeout", PARAM_DURATION, DETECT(timeout), "1s", 0, 0, NULL,
	 "A probe without an answer is missed after it."},
	{"misses", PARAM_COUNT, DETECT(misses), "3", 1, 1000, NULL,
	 "Missed probes in a row that declare a fault."},
	{"loss", PARAM_PERCENT, DETECT(loss), "0%", 0, 0, NULL, "Probes lost on the way."},
	PARAMS_END,
};
static const struct param phi_rows[] = {
	COMMON_ROWS(scopes),
	{"interval", PARAM_DURATION, DETECT(interval), "1s", 1, LONGEST, NULL,
	 "Between two heartbeats."},
	{"threshold", PARAM_NUMBER, DETECT(threshold), "8", 0.1, 100, NULL,
	 "Suspicion level that declares a fault."},
	{"window", PARAM_COUNT, DETECT(window), "100", 2, 100000, NULL,
	 "Heartbeats the estimate is made from."},
	{"jitter_sigma", PARAM_NUMBER, DETECT(jitter_sigma), "0.1", 0, 10, NULL,
	 "Standard deviation of arrivals as a fraction of the interval."},
	PARAMS_END,
};
static const struct param poll_rows[] = {
	COMMON_ROWS(scopes),
	{"interval", PARAM_DURATION, DETECT(interval), "60s", 1, LONGEST, NULL,
	 "Between two looks at the status."},
	{"timeout", PARAM_DURATION, DETECT(timeout), "1s", 0, 0, NULL,
	 "A status that is not there by then is FAULT."},
	{"misses", PARAM_COUNT, DETECT(misses), "1", 1, 1000, NULL,
	 "Bad looks in a row that declare a fault."},
	{"false_fault", PARAM_PERCENT, DETECT(false_fault), "0%", 0, 0, NULL,
	 "Chance of FAULT at each look whatever the truth is."},
	{"blind", PARAM_BOOL, DETECT(blind), "false", 0, 0, NULL,
	 "The status is that chance alone; the target is not looked at."},
	PARAMS_END,
};
static const struct param fixed_rows[] = {
	COMMON_ROWS(scopes),
	{"delay", PARAM_DIST, DETECT(delay), NULL, 0, 0, NULL,
	 "From the fault to its declaration."},
	PARAMS_END,
};
static const struct param canary_rows[] = {
	COMMON_ROWS(answer_scopes),
	{"every", PARAM_DURATION, DETECT(interval), "60s", 1, LONGEST, NULL,
	 "Between two canary requests."},
	{"timeout", PARAM_DURATION, DETECT(timeout), "1s", 0, 0, NULL,
	 "A request without an answer is missed after it."},
	{"misses", PARAM_COUNT, DETECT(misses), "1", 1, 1000, NULL,
	 "Wrong or missing answers in a row that declare a fault."},
	PARAMS_END,
};
static const struct param slo_rows[] = {
	COMMON_ROWS(request_scopes),
	{"window", PARAM_DURATION, DETECT(slo_window), "1m", 1, LONGEST, NULL,
	 "Window that is judged."},
	{"success", PARAM_PERCENT, DETECT(slo_success), "", 0, 0, NULL,
	 "Below it the window is a violation; as steady_state unless given."},
	{"latency", PARAM_DURATION, DETECT(slo_latency), "", 1, LONGEST, NULL,
	 "A 99th percentile above it is a violation; not looked at unless given."},
	PARAMS_END,
};

static const struct param watchdog_rows[] = {
	{"kind", PARAM_CHOICE, DETECT(kind), NULL, 0, 0, detector_names, "How it detects."},
	{"scope", PARAM_CHOICE, DETECT(scope), "job", 0, 0, job_scopes, "What it looks at."},
	{"interval", PARAM_DURATION, DETECT(interval), "30s", 1, LONGEST, NULL,
	 "Between two looks at the step."},
	{"timeout", PARAM_DURATION, DETECT(timeout), "10m", 1, LONGEST, NULL,
	 "A job without progress for so long is declared."},
	PARAMS_END,
};

static const struct param *const detector_rows[] = {
	[DETECTOR_PROBE] = probe_rows,       [DETECTOR_PHI] = phi_rows,
	[DETECTOR_POLL] = poll_rows,         [DETECTOR_FIXED] = fixed_rows,
	[DETECTOR_CANARY] = canary_rows,     [DETECTOR_SLO] = slo_rows,
	[DETECTOR_WATCHDOG] = watchdog_rows,
};
static const char *const detector_whats[] = {
	[DETECTOR_PROBE] = "a probe detector",       [DETECTOR_PHI] = "a phi detector",
	[DETECTOR_POLL] = "a poll detector",         [DETECTOR_FIXED] = "a fixed detector",
	[DETECTOR_CANARY] = "a canary detector",     [DETECTOR_SLO] = "a slo detector",
	[DETECTOR_WATCHDOG] = "a watchdog detector",
};

/* Which table reads this detector; one of a later version is refused by name. */
static int detector_kind(struct loader *loader, const struct yaml_node *node,
			 enum detector_kind *ret)
{
	static const char *const later[] = {"prometheus", "gpud"};
	const struct yaml_node *kind = yaml_get(node, "kind");
	char quoted[YAML_QUOTE_MAX];
	const char *suggestion;

	if (node->kind != YAML_KIND_MAP || !kind)
		return loader_error(loader, node->place,
				    "a detector is a mapping with 'kind', such as {kind: probe}");
	if (kind->kind != YAML_KIND_SCALAR)
		return loader_error(loader, kind->place, "'kind' must be a single value, not %s",
				    yaml_describe(kind));
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (yaml_is(kind, later[i]))
			return loader_error(loader, kind->place,
					    "detectors of kind '%s' are not part of this version",
					    later[i]);
	for (int i = 0; detector_names[i]; i++) {
		if (yaml_is(kind, detector_names[i])) {
			*ret = (enum detector_kind)i;
			return 0;
		}
	}
	suggestion = param_suggest(kind->text, detector_names);
	yaml_quote(kind->text, quoted);
	if (suggestion)
		return loader_error(loader, kind->place,
				    "unknown kind of detector '%s'; did you mean '%s'?", quoted,
				    suggestion);
	return loader_error(
		loader, kind->place,
		"unknown kind of detector '%s'; it can be probe, phi, poll, fixed, canary, slo "
		"or watchdog",
		quoted);
}

/* A scope that the loader knows, but that this kind of detector cannot look at. */
static int check_scope(struct loader *loader, const struct yaml_node *scope,
		       enum detector_kind kind)
{
	bool narrow = yaml_is(scope, "node") || yaml_is(scope, "gpu");

	if (yaml_is(scope, "job") && loader->scenario->deployment.job_count == 0)
		return loader_error(loader, scope->place,
				    "scope 'job' needs a job: there is none under deployment.jobs");
	if (kind == DETECTOR_WATCHDOG && !yaml_is(scope, "job"))
		return loader_error(loader, scope->place,
				    "a watchdog looks at jobs: it watches the progress of their "
				    "steps");
	if (kind == DETECTOR_SLO && (narrow || yaml_is(scope, "replica") || yaml_is(scope, "job")))
		return loader_error(loader, scope->place,
				    "a slo detector looks at endpoints: it judges the requests of "
				    "clients, and a %s has none of its own",
				    scope->text);
	if (kind == DETECTOR_CANARY && narrow)
		return loader_error(loader, scope->place,
				    "a canary detector looks at endpoints or replicas: it compares "
				    "answers, and a %s gives none",
				    scope->text);
	return 0;
}

static int load_detector(struct loader *loader, const struct yaml_node *node,
			 struct detector_config *config)
{
	const struct yaml_node *scope = yaml_get(node, "scope");
	enum detector_kind kind = DETECTOR_PROBE;

	*config = (struct detector_config){
		.place = node->place,
		.misses = 1,
		.slo_success = loader->scenario->steady_state.success,
		.slo_latency = NANOS_NEVER,
	};
	if (detector_kind(loader, node, &kind) < 0)
		return -1;
	if (scope && check_scope(loader, scope, kind) < 0)
		return -1;
	if (kind == DETECTOR_WATCHDOG && loader->scenario->deployment.job_count == 0)
		return loader_error(loader, node->place,
				    "a watchdog needs a job: there is none under deployment.jobs");
	int result = params_load(node, detector_whats[kind], detector_rows[kind], config,
				 &loader->context, NULL);
	if (kind == DETECTOR_WATCHDOG)
		config->scope = SCOPE_JOB;
	return result;
}

int load_detectors(struct loader *loader, const struct yaml_node *node)
{
	struct scenario *s = loader->scenario;
	int result = 0;

	if (!node)
		return 0;
	if (node->kind != YAML_KIND_LIST) {
		s->detector_count = 1;
		return load_detector(loader, node, &s->detectors[0]);
	}
	if (loader_list(loader, node, "detector", SCENARIO_DETECTORS_MAX) < 0)
		return -1;
	for (const struct yaml_node *item = node->first; item; item = item->next)
		result |= load_detector(loader, item, &s->detectors[s->detector_count++]);
	return result;
}

/* ---- recovery ---- */

struct recovery_form {
	struct recovery_config config;
	int after_restore;
	const struct yaml_node *fence, *restore, *repair, *failback;
};
#define RECOVER(field) offsetof(struct recovery_form, field)
static const char *const managers[] = {"drsim", "target", NULL};
static const char *const preferences[] = {"failover", "in_place", NULL};
static const char *const after_restores[] = {"keep_standby", "stop_standby", NULL};
static const struct param recovery_rows[] = {
	{"managed_by", PARAM_CHOICE, RECOVER(config.managed_by), "drsim", 0, 0, managers,
	 "Who recovers: drsim's controller or the target itself."},
	{"prefer", PARAM_CHOICE, RECOVER(config.prefer), "", 0, 0, preferences,
	 "Fail over, or repair in place; failover when there is a standby."},
	{"decide", PARAM_DIST, RECOVER(config.decide), "0s", 0, 0, NULL,
	 "From declaration to decision."},
	{"fence", PARAM_NODE, RECOVER(fence), "", 0, 0, NULL,
	 "How the old primary is fenced; or none."},
	{"switch", PARAM_DIST, RECOVER(config.switch_time), "0s", 0, 0, NULL,
	 "Routing traffic to the standby."},
	{"restore", PARAM_NODE, RECOVER(restore), "", 0, 0, NULL, "What is restored, and how."},
	{"verify", PARAM_DIST, RECOVER(config.verify_time), "0s", 0, 0, NULL,
	 "Integrity check and reconciliation after the restore."},
	{"diagnose", PARAM_DIST, RECOVER(config.diagnose_time), "0s", 0, 0, NULL,
	 "Finding the cause."},
	{"repair", PARAM_NODE, RECOVER(repair), "", 0, 0, NULL,
	 "How long repairs take and how many crews there are."},
	{"coverage", PARAM_PERCENT, RECOVER(config.coverage), "100%", 0, 0, NULL,
	 "Probability that the takeover works."},
	{"failback", PARAM_NODE, RECOVER(failback), "", 0, 0, NULL, "When traffic goes back."},
	{"after_restore", PARAM_CHOICE, RECOVER(after_restore), "keep_standby", 0, 0,
	 after_restores, "Whether the standby is stopped once data is restored."},
	PARAMS_END,
};

static const char *const on_fails[] = {"stop", "proceed", NULL};
static const struct param fence_rows[] = {
	{"timeout", PARAM_DURATION, offsetof(struct recovery_config, fence_timeout), "10s", 0, 0,
	 NULL, "How long an unreachable primary is tried."},
	{"on_fail", PARAM_CHOICE, offsetof(struct recovery_config, fence_on_fail), "stop", 0, 0,
	 on_fails, "What happens when it cannot be fenced."},
	PARAMS_END,
};

struct restore_form {
	int order, into;
	const struct yaml_node *classes, *before_serving;
};
#define RESTORE(field) offsetof(struct restore_form, field)
static const char *const orders[] = {"sequential", "parallel", NULL};
static const char *const intos[] = {"standby", "faulty", NULL};
static const struct param restore_rows[] = {
	{"order", PARAM_CHOICE, RESTORE(order), "sequential", 0, 0, orders,
	 "One after the other after the switch, or all with it."},
	{"classes", PARAM_NODE, RESTORE(classes), "", 0, 0, NULL,
	 "Data classes in order; all that a backup covers unless given."},
	{"before_serving", PARAM_NODE, RESTORE(before_serving), "", 0, 0, NULL,
	 "Classes needed before service starts; all of classes unless given."},
	{"into", PARAM_CHOICE, RESTORE(into), "standby", 0, 0, intos, "Where it is restored to."},
	PARAMS_END,
};

static const struct param repair_rows[] = {
	{"time", PARAM_DIST, offsetof(struct recovery_config, repair.time), "20m", 0, 0, NULL,
	 "How long a repair takes."},
	{"crews", PARAM_COUNT, offsetof(struct recovery_config, repair.crews), "1", 1, 100000, NULL,
	 "Repairs that go on at once."},
	PARAMS_END,
};

static const char *const failbacks[] = {"repaired", "never", NULL};
static const struct param failback_rows[] = {
	{"after", PARAM_CHOICE, offsetof(struct recovery_config, failback.after), "repaired", 0, 0,
	 failbacks, "When traffic goes back to the primary."},
	{"verify", PARAM_BOOL, offsetof(struct recovery_config, failback.verify), "true", 0, 0,
	 NULL, "The primary must answer well before."},
	PARAMS_END,
};

const struct scenario_table plan_tables[] = {
	{"backup", policy_rows},
	{"probe", probe_rows},
	{"phi", phi_rows},
	{"poll", poll_rows},
	{"fixed", fixed_rows},
	{"canary", canary_rows},
	{"slo", slo_rows},
	{"recovery", recovery_rows},
	{"fence", fence_rows},
	{"restore", restore_rows},
	{"repair", repair_rows},
	{"failback", failback_rows},
	{NULL, NULL},
};

/* Presets, then the mapping when there is one. */
static int load_part(struct loader *loader, const struct yaml_node *node, const char *what,
		     const struct param *rows, void *out)
{
	if (node)
		return params_load(node, what, rows, out, &loader->context, NULL);
	params_preset(rows, out, &loader->context);
	return 0;
}

static int load_restore(struct loader *loader, const struct yaml_node *node,
			struct recovery_config *config)
{
	const struct scenario *s = loader->scenario;
	struct restore_form form = {0};
	uint32_t mask = 0, covered = 0;
	int result = load_part(loader, node, "a restore", restore_rows, &form);

	for (size_t i = 0; i < s->policy_count; i++)
		covered |= s->policies[i].classes;
	for (int i = 0; i < DATA_CLASSES; i++)
		if (covered & DATA_BIT(i))
			config->restore.classes[config->restore.class_count++] = (enum data_class)i;
	mask = covered;
	config->restore.order = (enum restore_order)form.order;
	config->restore.in_faulty = form.into == 1;
	config->restore.place = node ? node->place : config->place;
	if (form.classes &&
	    loader_classes(loader, form.classes, "classes", &mask, config->restore.classes,
			   &config->restore.class_count) < 0)
		return -1;
	config->restore.before_serving = mask;
	if (!form.before_serving)
		return result;
	if (loader_classes(loader, form.before_serving, "before_serving",
			   &config->restore.before_serving, NULL, NULL) < 0)
		return -1;
	for (const struct yaml_node *item = form.before_serving->first; item; item = item->next)
		for (int i = 0; i < DATA_CLASSES; i++)
			if (yaml_is(item, data_class_names[i]) && !(mask & DATA_BIT(i)))
				result = loader_error(loader, item->place,
						      "'%s' is needed before serving but is not "
						      "among the classes restored",
						      item->text);
	return result;
}

static int load_fence(struct loader *loader, const struct yaml_node *node,
		      struct recovery_config *config)
{
	char quoted[YAML_QUOTE_MAX];

	config->fence_enabled = !(node && yaml_is(node, "none"));
	if (node && node->kind == YAML_KIND_SCALAR && config->fence_enabled && !yaml_is_null(node))
		return loader_error(loader, node->place, "'fence' is a mapping or none, not '%s'",
				    yaml_quote(node->text, quoted));
	return load_part(loader, config->fence_enabled ? node : NULL, "a fence", fence_rows,
			 config);
}

static bool any_standby(const struct deployment *d)
{
	for (size_t i = 0; i < d->site_count; i++)
		if (d->sites[i].standby.heat != HEAT_NONE)
			return true;
	return false;
}

int load_recovery(struct loader *loader, const struct yaml_node *node)
{
	struct recovery_form form = {0};
	struct recovery_config *config = &loader->scenario->recovery;
	bool standby = any_standby(&loader->scenario->deployment);
	const struct yaml_node *prefer = node ? yaml_get(node, "prefer") : NULL;
	int result;

	form.config.prefer = standby ? PREFER_FAILOVER : PREFER_IN_PLACE;
	result = load_part(loader, node, "'recovery'", recovery_rows, &form);
	*config = form.config;
	config->place = node ? node->place : (struct place){loader->scenario->path, 0, 0};
	config->stop_standby_after_restore = form.after_restore == 1;
	if (prefer && config->prefer == PREFER_FAILOVER && !standby && loader->deployment_ok)
		result = loader_error(loader, prefer->place,
				      "there is nothing to fail over to: no site has 'standby'");
	result |= load_fence(loader, form.fence, config);
	result |= load_restore(loader, form.restore, config);
	result |= load_part(loader, form.repair, "a repair", repair_rows, config);
	result |= load_part(loader, form.failback, "a failback", failback_rows, config);
	return result;
}

/* ---- plan and deployment together ---- */

/* Two sites that exchange data need a link, once links are declared at all. */
static void need_link(struct loader *loader, uint32_t a, uint32_t b, struct place place,
		      const char *why)
{
	const struct deployment *d = &loader->scenario->deployment;

	if (a == b || d->link_count == 0 || scenario_link_between(loader->scenario, a, b) >= 0)
		return;
	loader_error(loader, place, "there is no link between '%s' and '%s', which %s needs",
		     d->sites[a].name, d->sites[b].name, why);
}

/* A replica that takes more than its link carries falls behind for ever: no lag would be true. */
static void check_replication(struct loader *loader, uint32_t site, uint32_t standby)
{
	const struct scenario *s = loader->scenario;
	int link = scenario_link_between(s, site, standby);
	double change = 0;

	for (int c = 0; c < DATA_CLASSES; c++)
		if (s->deployment.sites[standby].standby.holds & DATA_BIT(c))
			change += s->deployment.data[c].change;
	if (link >= 0 && change > s->deployment.links[link].rate)
		loader_error(loader, s->deployment.sites[standby].standby.place,
			     "the replicas of '%s' take %.3g MB/s of changes, and its link carries "
			     "%.3g MB/s; hold fewer classes, or give the link more",
			     s->deployment.sites[standby].name, change / 1e6,
			     s->deployment.links[link].rate / 1e6);
}

static void check_site_links(struct loader *loader, uint32_t site, bool transfers)
{
	const struct scenario *s = loader->scenario;
	const struct deployment *d = &s->deployment;
	int standby = scenario_standby_of(s, site);

	if (d->store.declared && transfers)
		need_link(loader, site, d->store.site, d->store.place, "the backup");
	if (standby < 0)
		return;
	if (d->sites[standby].standby.holds != 0) {
		need_link(loader, site, (uint32_t)standby, d->sites[standby].standby.place,
			  "replication");
		check_replication(loader, site, (uint32_t)standby);
	}
	if (d->store.declared && transfers && s->recovery.restore.class_count > 0 &&
	    !s->recovery.restore.in_faulty)
		need_link(loader, (uint32_t)standby, d->store.site, d->store.place, "the restore");
}

/* What would never come to an end is refused before it begins. */
static void check_counts(struct loader *loader)
{
	const struct scenario *s = loader->scenario;
	int64_t backups = 0;

	for (size_t i = 0; i < s->policy_count; i++) {
		const struct backup_policy *policy = &s->policies[i];

		backups += 1 + (policy->every == NANOS_NEVER ? 0 : s->duration / policy->every);
		if (backups >= SCENARIO_BACKUPS_MAX) {
			loader_error(loader, policy->place,
				     "more than %d backups in one run; back up less often, or "
				     "shorten 'duration'",
				     SCENARIO_BACKUPS_MAX);
			break;
		}
	}
	for (size_t i = 0; i < s->detector_count; i++) {
		nanos interval = s->detectors[i].interval;

		if (interval > 0 && s->duration / interval > SCENARIO_LOOKS_MAX)
			loader_error(loader, s->detectors[i].place,
				     "more than %d looks in one run; look less often, or shorten "
				     "'duration'",
				     SCENARIO_LOOKS_MAX);
	}
}

void check_plan(struct loader *loader)
{
	const struct scenario *s = loader->scenario;
	const struct deployment *d = &s->deployment;
	bool transfers = false, checked[SCENARIO_SITES_MAX] = {false};

	check_counts(loader);
	for (size_t i = 0; i < s->policy_count; i++) {
		const struct backup_policy *policy = &s->policies[i];

		if (policy->classes == 0)
			loader_error(loader, policy->place,
				     "there is nothing to back up: no data class is declared under "
				     "deployment.data");
		else if (policy->takes == NANOS_NEVER && !d->store.declared)
			loader_error(loader, policy->place,
				     "a backup needs somewhere to go: declare deployment.store, or "
				     "give 'takes'");
		transfers |= policy->takes == NANOS_NEVER;
	}
	for (size_t i = 0; i < d->endpoint_count; i++) {
		if (!checked[d->endpoints[i].site])
			check_site_links(loader, d->endpoints[i].site, transfers);
		checked[d->endpoints[i].site] = true;
	}
	/* Without endpoints the data lives on the first site that serves. */
	for (uint32_t i = 0; d->endpoint_count == 0 && i < d->site_count; i++) {
		if (d->sites[i].standby.heat == HEAT_NONE) {
			check_site_links(loader, i, transfers);
			break;
		}
	}
}
