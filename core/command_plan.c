/* SPDX-License-Identifier: Apache-2.0 */
/* drsim plan: what a run would do to what, and by which means; touches nothing. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/commands.h"
#include "core/detector.h"
#include "core/trace.h"
#include "core/words.h"

#define COLUMNS 5
#define NAMED_MAX 2 /* entities of a target that are named one by one */

struct plan_command {
	const char *driver;
	struct option_texts set;
};

/* A plan being printed. */
struct plan {
	const struct scenario *scenario;
	const struct driver_ops *driver;
	struct arena *arena;
};

/* ---- the steps ---- */

static const char *nanos_text(const struct plan *plan, nanos value)
{
	char text[WORDS_MAX];

	return arena_strdup(plan->arena, words_nanos(text, value));
}

static const char *dist_text(const struct plan *plan, const struct dist *dist)
{
	char text[WORDS_MAX];

	return arena_strdup(plan->arena, words_dist(text, dist));
}

static const char *begin_text(const struct plan *plan, const struct step *step)
{
	const char *phase;

	switch (step->when) {
	case WHEN_AT:
		return arena_printf(plan->arena, "at %s", nanos_text(plan, step->at));
	case WHEN_UNIFORM:
		return arena_printf(plan->arena, "between %s and %s", nanos_text(plan, step->at),
				    nanos_text(plan, step->to));
	case WHEN_EVERY:
		if (step->to == 0)
			return arena_printf(plan->arena, "every %s", nanos_text(plan, step->at));
		return arena_printf(plan->arena, "every %s, jitter %s", nanos_text(plan, step->at),
				    nanos_text(plan, step->to));
	case WHEN_DRAWN:
		return arena_printf(plan->arena, "drawn: %s", dist_text(plan, &step->drawn));
	case WHEN_FAILURE:
		return arena_printf(plan->arena, "%.4g per 1000 node-days",
				    step->failure.per_1000_node_days);
	case WHEN_TRACE:
		return arena_printf(plan->arena, "%zu times as in %s", step->trace->count,
				    step->trace->path);
	case WHEN_AFTER:
		break;
	}
	phase = phase_names[step->after.phase];
	if (step->after.progress > 0)
		return arena_printf(plan->arena, "at %g %% of %s", step->after.progress * 100,
				    phase);
	return arena_printf(plan->arena, "%s after %s begins", nanos_text(plan, step->after.delay),
			    phase);
}

static const char *until_text(const struct plan *plan, const struct step *step)
{
	if (step->when == WHEN_TRACE)
		return "as in the log";
	if (step->when == WHEN_FAILURE && step->failure.repair)
		return arena_printf(plan->arena, "until repaired, %s",
				    dist_text(plan, step->failure.repair));
	switch (step->until) {
	case UNTIL_REPAIRED:
		return "until repaired";
	case UNTIL_PERMANENT:
		return "to the end";
	case UNTIL_ELAPSED:
		break;
	}
	return dist_text(plan, &step->duration);
}

/* "one of 32 GPUs: primary/node[0]/gpu[0] ... primary/node[3]/gpu[7]" */
static const char *target_text(const struct plan *plan, const struct step *step)
{
	const struct target *target = &step->target;
	char first[ENTITY_TEXT_MAX], last[ENTITY_TEXT_MAX];

	if (step->when == WHEN_FAILURE)
		return arena_printf(plan->arena, "%s: %s", target->spec, step->failure.cause);
	entity_print(target->entities[0], plan->scenario, first);
	entity_print(target->entities[target->count - 1], plan->scenario, last);
	if (target->count == 1)
		return arena_printf(plan->arena, "%s", first);
	return arena_printf(plan->arena, "%s: %s%s%s", command_select_text(step, plan->arena),
			    first, target->count > NAMED_MAX ? " ... " : ", ", last);
}

/* The effects that this step plans, as a mask: of one entity, which is enough to know the kinds. */
static effect_mask step_effects(const struct plan *plan, const struct step *step)
{
	struct effects effects = {.arena = plan->arena};
	effect_mask mask = 0;
	struct prng prng;

	prng_open(&prng, plan->scenario->seed, 0, step->index, PRNG_FAULT);
	if (step->fault->plan(step->params, step->target.entities, 1, &prng, &effects, NULL))
		return step->fault->needs;
	for (size_t i = 0; i < effects.count; i++)
		mask |= EFFECT_BIT(effects.items[i].kind);
	return mask;
}

static bool print_means(const struct plan *plan, const struct step *step)
{
	const struct driver_ops *driver = plan->driver;
	effect_mask wanted = step_effects(plan, step);
	bool refused = false;

	for (size_t kind = 0; kind < EFFECTS; kind++) {
		struct mechanism mechanism;

		if (!(wanted & EFFECT_BIT(kind)))
			continue;
		if (!(driver->effects & EFFECT_BIT(kind))) {
			printf("      refused: driver %s has no way to apply %s\n", driver->name,
			       effect_names[kind]);
			refused = true;
			continue;
		}
		mechanism = driver->mechanism((enum effect_kind)kind);
		printf("      by: %s; fidelity %s; privilege %s\n", mechanism.text,
		       fidelity_names[mechanism.fidelity], mechanism.privilege);
	}
	return refused;
}

/* "with a chance of 30 %; at most 3 times; draws from seed 7; grows over 10 min" */
static void print_strength(const struct plan *plan, const struct step *step)
{
	const char *before = "      ";
	char text[WORDS_MAX];

	if (step->probability < 1) {
		printf("%swith a chance of %s", before, words_percent(text, step->probability));
		before = "; ";
	}
	if (step->count > 0) {
		printf("%sat most %u time%s", before, step->count, step->count == 1 ? "" : "s");
		before = "; ";
	}
	if (step->seeded) {
		printf("%sdraws from seed %" PRIu64, before, step->seed);
		before = "; ";
	}
	if (step->ramp > 0) {
		printf("%sgrows over %s", before, nanos_text(plan, step->ramp));
		before = "; ";
	}
	if (step->pulse.active > 0) {
		printf("%spulses: %s on, %s off", before, nanos_text(plan, step->pulse.active),
		       nanos_text(plan, step->pulse.dormant));
		before = "; ";
	}
	if (*before == ';')
		fputc('\n', stdout);
}

/* One line of cells, padded to the widths but for the last. */
static void print_row(const char *const cells[COLUMNS], const size_t widths[COLUMNS])
{
	for (size_t i = 0; i + 1 < COLUMNS; i++)
		printf("%-*s  ", (int)widths[i], cells[i]);
	puts(cells[COLUMNS - 1]);
}

/* Returns how many steps the driver would refuse. */
static size_t print_steps(const struct plan *plan)
{
	static const char *const head[COLUMNS] = {"step", "when", "fault", "for", "target"};
	const struct scenario *scenario = plan->scenario;
	const char *(*rows)[COLUMNS] =
		arena_array(plan->arena, scenario->step_count, sizeof(*rows));
	size_t widths[COLUMNS] = {0}, refused = 0;

	for (size_t k = 0; k < COLUMNS; k++)
		widths[k] = strlen(head[k]);
	for (size_t i = 0; i < scenario->step_count; i++) {
		const struct step *step = &scenario->steps[i];

		rows[i][0] = arena_printf(plan->arena, "%u", step->index);
		rows[i][1] = begin_text(plan, step);
		rows[i][2] = step->fault->name;
		rows[i][3] = until_text(plan, step);
		rows[i][4] = target_text(plan, step);
		for (size_t k = 0; k < COLUMNS; k++)
			if (strlen(rows[i][k]) > widths[k])
				widths[k] = strlen(rows[i][k]);
	}
	print_row(head, widths);
	for (size_t i = 0; i < scenario->step_count; i++) {
		print_row(rows[i], widths);
		print_strength(plan, &scenario->steps[i]);
		refused += print_means(plan, &scenario->steps[i]);
	}
	return refused;
}

/* ---- the DR plan in words ---- */

static void write_classes(uint32_t classes, FILE *out)
{
	const char *before = "";

	for (size_t i = 0; i < DATA_CLASSES; i++) {
		if (!(classes & DATA_BIT(i)))
			continue;
		fprintf(out, "%s%s", before, data_class_names[i]);
		before = ", ";
	}
}

static void write_backups(const struct plan *plan, FILE *out)
{
	const struct scenario *scenario = plan->scenario;
	const struct store *store = &scenario->deployment.store;

	if (scenario->policy_count == 0)
		fputs("Backups: none. ", out);
	for (size_t i = 0; i < scenario->policy_count; i++) {
		const struct backup_policy *policy = &scenario->policies[i];
		const char *every =
			policy->every == NANOS_NEVER ? "" : nanos_text(plan, policy->every);

		fprintf(out, "%s backup of ", policy->kind == BACKUP_FULL ? "Full" : "Incremental");
		write_classes(policy->classes, out);
		fprintf(out, "%s%s%s%s%s, %s; %u are kept. ",
			policy->at_start ? " at the start" : "",
			policy->at_start && *every ? " and" : "", *every ? " every " : "", every,
			!policy->at_start && !*every ? " never" : "",
			policy->verify ? "read back afterwards" : "not read back", policy->keep);
	}
	if (scenario->policy_count > 0 && store->declared)
		fprintf(out, "They are stored at %s. ",
			scenario->deployment.sites[store->site].name);
}

/* Data goes from and to a standby or the store; clients do not come over the links of the sites. */
static bool carries_data(const struct deployment *deployment, const struct link *link)
{
	bool carries = false;

	for (int end = 0; end < 2; end++)
		carries |=
			deployment->sites[link->site[end]].standby.heat != HEAT_NONE ||
			(deployment->store.declared && deployment->store.site == link->site[end]);
	return carries;
}

/* What a scenario says of its links and no simulated result depends on. */
static void write_links(const struct plan *plan, FILE *out)
{
	const struct deployment *deployment = &plan->scenario->deployment;
	bool quality = false;

	for (size_t i = 0; i < deployment->link_count; i++) {
		const struct link *link = &deployment->links[i];

		quality |= link->latency > 0 || link->loss > 0;
		if (!carries_data(deployment, link))
			fprintf(out,
				"Link %s-%s carries nothing: its rate, latency and loss do not "
				"matter. ",
				deployment->sites[link->site[0]].name,
				deployment->sites[link->site[1]].name);
	}
	if (quality)
		fputs("Latency and loss of links do not touch the requests of clients: only "
		      "backups, restores and replication go over links. ",
		      out);
}

static const char *const scope_names[] = {
	[SCOPE_ENDPOINT] = "endpoint",
	[SCOPE_REPLICA] = "replica",
	[SCOPE_JOB] = "job",
	[SCOPE_NODE] = "node",
	[SCOPE_GPU] = "GPU",
};

/* From a fault that every look sees to the declaration: k misses, one each interval. */
static void write_range(const struct plan *plan, double low, double high, FILE *out)
{
	fprintf(out, "takes %s to %s", nanos_text(plan, (nanos)llround(low)),
		nanos_text(plan, (nanos)llround(high)));
}

static void write_detector(const struct plan *plan, const struct detector_config *detector,
			   FILE *out)
{
	double interval = (double)detector->interval, timeout = (double)detector->timeout;
	double misses = detector->misses, after;

	fprintf(out, "Detector %s of each %s ", detector_names[detector->kind],
		scope_names[detector->scope]);
	switch (detector->kind) {
	case DETECTOR_PROBE: /* U((k-1)I+T, kI+T) */
		write_range(plan, (misses - 1) * interval + timeout, misses * interval + timeout,
			    out);
		break;
	case DETECTOR_PHI: /* the last heartbeat came up to one interval before the fault */
		after = phi_sigmas(detector->threshold) * detector->jitter_sigma * interval;
		write_range(plan, after, interval + after, out);
		break;
	case DETECTOR_POLL:
		if (detector->blind) {
			fprintf(out,
				"looks at nothing: every %s it says fault with a chance of %g %%. ",
				nanos_text(plan, detector->interval), detector->false_fault * 100);
			return;
		}
		write_range(plan, (misses - 1) * interval, misses * interval, out);
		break;
	case DETECTOR_FIXED:
		fprintf(out, "takes %s", dist_text(plan, &detector->delay));
		break;
	case DETECTOR_CANARY:
		fprintf(out, "compares an answer every %s: takes up to %s",
			nanos_text(plan, detector->interval),
			nanos_text(plan, (nanos)llround(misses * interval + timeout)));
		break;
	case DETECTOR_SLO:
		fprintf(out, "takes up to its window of %s, less for a full outage",
			nanos_text(plan, detector->slo_window));
		break;
	case DETECTOR_WATCHDOG: /* as long without a step, then the next look */
		write_range(plan, timeout, timeout + interval, out);
		break;
	}
	fputs(" from the fault to the declaration. ", out);
}

static void write_failover(const struct plan *plan, FILE *out)
{
	const struct scenario *scenario = plan->scenario;
	const struct recovery_config *recovery = &scenario->recovery;
	bool any = false;

	for (uint32_t i = 0; i < scenario->deployment.site_count; i++) {
		static const char *const heats[] = {"", "hot", "warm", "cold"};
		const struct site *site = &scenario->deployment.sites[i];
		int standby = scenario_standby_of(scenario, i);

		if (site->standby.heat != HEAT_NONE || standby < 0)
			continue;
		any = true;
		fprintf(out, "%s fails over to %s (%s standby). ", site->name,
			scenario->deployment.sites[standby].name,
			heats[scenario->deployment.sites[standby].standby.heat]);
	}
	if (!any)
		fputs("No standby: recovery waits for the repair. ", out);
	if (any && recovery->prefer == PREFER_IN_PLACE)
		fputs("The plan prefers to repair in place. ", out);
	if (any) {
		fprintf(out, "Decision %s, ", dist_text(plan, &recovery->decide));
		if (recovery->fence_enabled)
			fprintf(out, "fencing within %s (then %s), ",
				nanos_text(plan, recovery->fence_timeout),
				recovery->fence_on_fail == FENCE_STOP ? "stop" : "go on");
		else
			fputs("no fencing, ", out);
		fprintf(out, "switch %s; %s restore of ", dist_text(plan, &recovery->switch_time),
			recovery->restore.order == RESTORE_PARALLEL ? "parallel" : "sequential");
		if (recovery->restore.class_count == 0)
			fputs("nothing", out);
		for (size_t i = 0; i < recovery->restore.class_count; i++)
			fprintf(out, "%s%s", i == 0 ? "" : ", ",
				data_class_names[recovery->restore.classes[i]]);
		fputs(recovery->restore.in_faulty ? " into the faulty place. " : ". ", out);
	}
	fprintf(out, "Repair %s, %u crew%s. ", dist_text(plan, &recovery->repair.time),
		recovery->repair.crews, recovery->repair.crews == 1 ? "" : "s");
	if (any)
		fputs(recovery->failback.after == FAILBACK_NEVER ? "No switch back. "
								 : "Switch back when repaired. ",
		      out);
}

static void write_objectives(const struct plan *plan, FILE *out)
{
	const struct scenario *scenario = plan->scenario;
	char text[WORDS_MAX];

	fputs(scenario->objective_count == 0 ? "No objectives." : "Objectives: ", out);
	for (size_t i = 0; i < scenario->objective_count; i++) {
		const struct objective *objective = &scenario->objectives[i];
		const char *name = objective_names[objective->kind];

		switch (objective->kind) {
		case OBJECTIVE_FRT:
		case OBJECTIVE_BRT:
		case OBJECTIVE_BRP_SECONDS:
		case OBJECTIVE_MTPD:
			words_duration(text, objective->limit);
			break;
		case OBJECTIVE_BRP_BYTES:
			words_bytes(text, objective->limit);
			break;
		case OBJECTIVE_BRP_RECORDS:
			words_number(text, objective->limit);
			break;
		case OBJECTIVE_AVAILABILITY:
		case OBJECTIVE_ETTR:
			words_percent(text, objective->limit);
			break;
		case OBJECTIVES:
			break;
		}
		fprintf(out, "%s%s %s %s", i == 0 ? "" : ", ", name,
			objective_is_floor(objective->kind) ? "at least" : "at most", text);
	}
	if (scenario->objective_count > 0)
		fputc('.', out);
}

static void write_jobs(const struct plan *plan, FILE *out)
{
	const struct deployment *deployment = &plan->scenario->deployment;
	char text[WORDS_MAX];

	for (size_t i = 0; i < deployment->job_count; i++) {
		const struct job *job = &deployment->jobs[i];

		fprintf(out, "Job %s trains on %u node%s of %s, with %u spare%s. ", job->name,
			job->nodes, job->nodes == 1 ? "" : "s", deployment->sites[job->site].name,
			job->spares, job->spares == 1 ? "" : "s");
		fprintf(out, "Checkpoint every %s", nanos_text(plan, job->checkpoint.every));
		if (job->checkpoint.takes != NANOS_NEVER)
			fprintf(out, ", which takes %s", nanos_text(plan, job->checkpoint.takes));
		else if (job->checkpoint.bytes > 0)
			fprintf(out, ", %s", words_bytes(text, (double)job->checkpoint.bytes));
		fprintf(out, "; training %s meanwhile; %u kept. ",
			job->checkpoint.async ? "goes on" : "stands still", job->checkpoint.keep);
		fprintf(out, "Restart %s, ", dist_text(plan, &job->restart));
		fprintf(out, "a step that hangs is aborted after %s. ",
			nanos_text(plan, job->timeout));
	}
}

static void write_words(const struct argv *argv, FILE *out)
{
	for (size_t i = 0; i < argv->count; i++)
		fprintf(out, "%s%s", i == 0 ? "" : " ", argv->words[i]);
}

/* What a real drill runs of the user's own; a model runs nothing. */
static void write_commands(const struct plan *plan, FILE *out)
{
	const struct deployment *deployment = &plan->scenario->deployment;
	bool real = strcmp(plan->driver->kind, "injected") == 0;

	for (size_t i = 0; i < deployment->service_count; i++) {
		const struct service_config *service = &deployment->services[i];

		fprintf(out, "Service %s of %s ", service->name,
			deployment->sites[service->site].name);
		fputs(real ? "is started by: " : "is an endpoint of the model; not started is: ",
		      out);
		write_words(&service->command, out);
		fputs(". ", out);
	}
	for (size_t i = 0; i < plan->scenario->policy_count; i++) {
		const struct backup_policy *policy = &plan->scenario->policies[i];

		if (policy->command.count == 0)
			continue;
		fputs(real ? "Backups are made by: " : "Backups are the model's own; not run is: ",
		      out);
		write_words(&policy->command, out);
		fputs(", and restored by: ", out);
		write_words(&policy->restore, out);
		fputs(". ", out);
	}
}

static void write_lemons(const struct plan *plan, FILE *out)
{
	const struct lemons *lemons = &plan->scenario->lemons;
	char text[WORDS_MAX];

	if (lemons->share > 0 && lemons->factor > 1)
		fprintf(out, "%s of the nodes, drawn in each trial, fail %g times as often. ",
			words_percent(text, lemons->share), lemons->factor);
}

static int print_paragraph(const struct plan *plan)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -1;
	if (plan->scenario->recovery.managed_by == MANAGED_BY_TARGET) {
		fputs("The target brings its own recovery (managed_by: target); drsim only injects "
		      "and measures. On a simulated driver nobody mends what breaks until "
		      "repaired, but for processes, which the platform restarts. ",
		      out);
	} else {
		write_backups(plan, out);
		for (size_t i = 0; i < plan->scenario->detector_count; i++)
			write_detector(plan, &plan->scenario->detectors[i], out);
		write_failover(plan, out);
	}
	write_jobs(plan, out);
	write_commands(plan, out);
	if (strcmp(plan->driver->kind, "simulated") == 0)
		write_links(plan, out);
	write_lemons(plan, out);
	write_objectives(plan, out);
	if (fclose(out) == 0)
		command_print_wrapped(stdout, text, 0);
	free(text);
	return 0;
}

/* "time scale 1:20, bytes 1:100000; times and sizes below are those of the drill" */
static void print_scale(const struct scenario *scenario)
{
	char text[WORDS_MAX];

	if (scenario_is_scaled(scenario))
		printf("%s; times and sizes below are those of the drill\n",
		       words_scale(text, scenario->scale.time_scale, scenario->scale.bytes_scale));
	fputc('\n', stdout);
}

static void print_plan(const struct plan *plan)
{
	const struct scenario *scenario = plan->scenario;
	size_t refused = 0;

	printf("%s: %s on driver %s (%s), seed %" PRIu64 "\n", scenario->name,
	       nanos_text(plan, scenario->duration), plan->driver->name, plan->driver->kind,
	       scenario->seed);
	print_scale(scenario);
	if (scenario->step_count == 0)
		puts("No faults are injected.");
	else
		refused = print_steps(plan);
	for (size_t i = 0; i < scenario->detector_count; i++)
		if (!(plan->driver->detectors >> scenario->detectors[i].kind & 1)) {
			printf("refused: driver %s cannot serve detector %s\n", plan->driver->name,
			       detector_names[scenario->detectors[i].kind]);
			refused++;
		}
	fputc('\n', stdout);
	if (print_paragraph(plan))
		puts("(not enough memory to describe the DR plan)");
	if (refused > 0)
		printf("\n%zu refused: drsim run would not start on driver %s.\n", refused,
		       plan->driver->name);
}

static int plan_main(struct invocation *in)
{
	struct plan_command command = {0};
	struct plan plan = {.arena = in->arena};
	struct scenario *scenario;
	int code;

	if (command_parse(in, &command, &code))
		return code;
	plan.driver = command_driver(in->command, command.driver, in->arena);
	if (!plan.driver)
		return EXIT_USAGE;
	if (command_load(in->words[0], &command.set, in->arena, &scenario))
		return EXIT_USAGE;
	if (command_scale(plan.driver, in->arena, &scenario))
		return EXIT_USAGE;
	plan.scenario = scenario;
	print_plan(&plan);
	return EXIT_OK;
}

static const struct option options[] = {
	{.name = "driver",
	 .value = "NAME",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct plan_command, driver),
	 .help = "The driver to plan for (drsim list drivers); default sim."},
	{.name = "set",
	 .value = "PATH=VALUE",
	 .kind = OPTION_TEXTS,
	 .offset = offsetof(struct plan_command, set),
	 .help = "Change the scenario before it is checked, as drsim run does."},
	OPTIONS_END,
};

const struct command command_plan = {
	.name = "plan",
	.arguments = "SCENARIO",
	.summary = "what a run would do to what; touches nothing",
	.help = "Shows each step with its time, fault, target, duration, mechanism and privilege, "
		"what the "
		"driver would refuse and why, and the DR plan that is being tested. Touches "
		"nothing.",
	.options = options,
	.words_min = 1,
	.words_max = 1,
	.main = plan_main,
};
