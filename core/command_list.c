/* SPDX-License-Identifier: Apache-2.0 */
/* drsim list: the catalogue of faults, drivers and scenarios. */
#include <math.h>
#include <string.h>

#include "core/commands.h"
#include "core/param.h"
#include "core/yaml.h"

#ifndef DRSIM_DATADIR
#define DRSIM_DATADIR "/usr/local/share/drsim"
#endif

#define FAULTS_MAX 512
#define FAULT_COLUMNS 31
#define DRIVER_COLUMNS 12
#define NAME_COLUMNS 22

/* ---- faults ---- */

static const char *const target_examples[] = {
	[ENTITY_SITE] = "primary",
	[ENTITY_RACK] = "primary/rack[0]",
	[ENTITY_NODE] = "primary/node[0]",
	[ENTITY_GPU] = "primary/node[0]/gpu[0]",
	[ENTITY_LINK] = "link[primary-backup]",
	[ENTITY_STORE] = "store",
	[ENTITY_ENDPOINT] = "endpoint/chat",
	[ENTITY_REPLICA] = "endpoint/chat/replica[0]",
	[ENTITY_JOB] = "job/pretrain",
	[ENTITY_DATA] = "data/io",
	[ENTITY_BACKUP] = "backup[-1]",
	[ENTITY_STANDBY] = "standby",
	[ENTITY_RANK] = "job/pretrain/rank[0]",
	[ENTITY_CHECKPOINT] = "job/pretrain/ckpt[-1]",
};

#define TARGET_KINDS (sizeof(target_examples) / sizeof(target_examples[0]))

static const char *preset_text(const struct param *param)
{
	if (!param->preset)
		return param->choices ? param->choices[0] : param_type_example(param->type);
	return param->preset;
}

static void print_bound(const struct param *param, double value)
{
	char buffer[QUANTITY_TEXT_MAX];

	if (param->type == PARAM_DURATION || param->type == PARAM_DIST)
		fputs(quantity_print_duration((nanos)value, buffer), stdout);
	else if (param->type == PARAM_PERCENT)
		printf("%.15g%%", value * 100);
	else
		printf("%.15g%s", value, param->type == PARAM_RATE ? "B/s" : "");
}

static void print_range(const struct param *param)
{
	fputs(", ", stdout);
	print_bound(param, param->min);
	if (isinf(param->max)) {
		fputs(" or more", stdout);
		return;
	}
	fputs(" to ", stdout);
	print_bound(param, param->max);
}

static void print_param(const struct param *param)
{
	printf("  %-12s %s", param->name, param_type_name(param->type));
	if (param->choices) {
		for (size_t i = 0; param->choices[i]; i++)
			printf("%s%s", i == 0 ? ": " : " | ", param->choices[i]);
	} else if (param->min != 0 || param->max != 0) {
		print_range(param);
	}
	if (!param->preset)
		fputs("; required\n", stdout);
	else
		printf("; default %s\n", *param->preset ? param->preset : "none");
	printf("  %-12s %s\n", "", param->help);
}

static void print_targets(const struct fault_ops *fault)
{
	fputs("\ntargets:\n", stdout);
	for (size_t kind = 0; kind < TARGET_KINDS; kind++) {
		if (!(fault->targets >> kind & 1) || !target_examples[kind])
			continue;
		printf("  %-12s such as %s%s\n", command_kind_text((enum entity_kind)kind, false),
		       target_examples[kind],
		       kind == ENTITY_SITE ? ", or region/NAME for all sites of a region" : "");
	}
}

/* How the driver applies each effect of the fault, or which it cannot; `label` begins the line. */
static void print_way(const struct fault_ops *fault, const struct driver_ops *driver,
		      const char *label, int columns)
{
	effect_mask lacks = fault->needs & ~driver->effects;
	const char *told = "";

	for (size_t kind = 0; kind < EFFECTS; kind++) {
		struct mechanism mechanism;

		if (!(fault->needs & EFFECT_BIT(kind)))
			continue;
		if (lacks & EFFECT_BIT(kind)) {
			printf("  %-*s no: it has no way to apply %s\n", columns, label,
			       effect_names[kind]);
			label = "";
			continue;
		}
		mechanism = driver->mechanism((enum effect_kind)kind);
		if (strcmp(mechanism.text, told) == 0)
			continue;
		printf("  %-*s %s (fidelity %s, privilege %s)\n", columns, label, mechanism.text,
		       fidelity_names[mechanism.fidelity], mechanism.privilege);
		label = "";
		told = mechanism.text;
	}
}

static void print_example(const struct fault_ops *fault)
{
	const char *target = fault->example ? fault->example : "";

	for (size_t kind = 0; kind < TARGET_KINDS && !*target; kind++)
		if ((fault->targets >> kind & 1) && target_examples[kind])
			target = target_examples[kind];
	printf("\nexample:\n  steps:\n    - {at: 10m, fault: %s, target: \"%s\"", fault->name,
	       target);
	for (const struct param *param = fault->params; param && param->name; param++)
		if (*preset_text(param))
			printf(", %s: %s", param->name, preset_text(param));
	fputs("}\n", stdout);
}

static void print_fault(const struct fault_ops *fault)
{
	printf("%s: %s\n", fault->name, fault->help);
	print_targets(fault);
	fputs("\nparameters, beside the keys of every step (at, after, select, for,\n"
	      "probability, count, seed, ramp, pulse):\n",
	      stdout);
	if (!fault->params || !fault->params->name)
		fputs("  none\n", stdout);
	for (const struct param *param = fault->params; param && param->name; param++)
		print_param(param);
	fputs("\ndrivers:\n", stdout);
	for (size_t i = 0; driver_table[i]; i++)
		print_way(fault, driver_table[i], driver_table[i]->name, DRIVER_COLUMNS);
	print_example(fault);
}

/* Under which heading a group stands; the groups that follow it in the catalogue do so too. */
static const struct {
	const char *group, *heading;
} families[] = {
	{"gpu", "GPUs"},
	{"node", "nodes, racks, sites"},
	{"nic", "network"},
	{"proc", "processes"},
	{"disk", "disks, live data, checkpoints"},
	{"backup", "backups and restores"},
	{"standby", "standby and failover"},
	{"clock", "clocks, platform, load"},
};

static void print_catalogue(void)
{
	const char *group = "";

	for (size_t i = 0; fault_table[i]; i++) {
		const struct fault_ops *fault = fault_table[i];

		for (size_t j = 0; j < sizeof(families) / sizeof(families[0]); j++)
			if (strcmp(fault->group, group) != 0 &&
			    strcmp(fault->group, families[j].group) == 0)
				printf("%s%s\n", *group ? "\n" : "", families[j].heading);
		group = fault->group;
		printf("  %-*s %s\n", FAULT_COLUMNS, fault->name, fault->help);
	}
}

static int list_faults(const struct invocation *in, const char *name)
{
	const char *names[FAULTS_MAX] = {NULL};
	const struct fault_ops *fault;

	for (size_t i = 0; fault_table[i] && i + 1 < FAULTS_MAX; i++)
		names[i] = fault_table[i]->name;
	if (name) {
		fault = fault_find(name);
		if (!fault)
			return command_unknown(in->command, "fault", name, names);
		print_fault(fault);
		return EXIT_OK;
	}
	print_catalogue();
	puts("\ndrsim list faults NAME tells targets, parameters, drivers and an example.");
	return EXIT_OK;
}

/* ---- drivers ---- */

static void print_driver_whole(const struct driver_ops *driver)
{
	printf("%s (%s): %s\n\nfaults:\n", driver->name, driver->kind, driver->help);
	for (size_t i = 0; fault_table[i]; i++)
		print_way(fault_table[i], driver, fault_table[i]->name, FAULT_COLUMNS);
}

static int list_drivers(const struct invocation *in, const char *name)
{
	const struct driver_ops *driver;

	if (!name) {
		for (size_t i = 0; driver_table[i]; i++)
			printf("%-10s %-10s %s\n", driver_table[i]->name, driver_table[i]->kind,
			       driver_table[i]->help);
		return EXIT_OK;
	}
	driver = command_driver(in->command, name, in->arena);
	if (!driver)
		return EXIT_USAGE;
	print_driver_whole(driver);
	return EXIT_OK;
}

/* ---- scenarios ---- */

/* The scenario's own `description`, however wrong the rest of it is. */
static const char *description(const char *path, struct arena *arena)
{
	static const char none[] = "(no description)";
	struct yaml_node *document = NULL;
	const struct yaml_node *text;
	char *file;
	size_t size;

	if (yaml_read_file(path, YAML_FILE_MAX, arena, &file, &size, NULL) ||
	    yaml_parse(path, file, size, arena, &document, NULL))
		return "(it cannot be read: drsim check tells why)";
	text = yaml_get(document, "description");
	return text && text->kind == YAML_KIND_SCALAR && *text->text ? text->text : none;
}

static int list_scenarios(const struct invocation *in, const char *name)
{
	const char *folder = command_scenarios_folder();
	const char **names = command_scenario_names(folder, in->arena);
	bool found = false;

	if (!folder) {
		puts("no scenarios here: neither ./scenarios nor " DRSIM_DATADIR
		     "/scenarios exists");
		return EXIT_OK;
	}
	for (size_t i = 0; names[i]; i++) {
		const char *path = arena_printf(in->arena, "%s/%s.yaml", folder, names[i]);

		if (name && strcmp(name, names[i]) != 0)
			continue;
		found = true;
		if (name)
			printf("%s\n", path);
		else
			printf("%-*s ", NAME_COLUMNS, names[i]);
		command_print_wrapped(stdout, description(path, in->arena),
				      name ? 0 : NAME_COLUMNS + 1);
	}
	if (name && !found)
		return command_unknown(in->command, "scenario", name, names);
	return EXIT_OK;
}

/* ---- the command ---- */

static int list_main(struct invocation *in)
{
	static const struct {
		const char *name;
		int (*list)(const struct invocation *in, const char *name);
	} lists[] = {
		{"faults", list_faults}, {"drivers", list_drivers}, {"scenarios", list_scenarios}};
	static const char *const names[] = {"faults", "drivers", "scenarios", NULL};
	int code;

	if (command_parse(in, NULL, &code))
		return code;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strcmp(in->words[0], lists[i].name) == 0)
			return lists[i].list(in, in->word_count > 1 ? in->words[1] : NULL);
	return command_unknown(in->command, "list", in->words[0], names);
}

static const struct option options[] = {OPTIONS_END};

const struct command command_list = {
	.name = "list",
	.arguments = "WHAT [NAME]",
	.summary = "catalogue of faults, drivers or scenarios",
	.help = "WHAT is faults, drivers or scenarios. With a NAME it tells everything about that "
		"one: of a "
		"fault its targets, parameters with units, ranges and defaults, how each driver "
		"applies "
		"it, and an example.",
	.options = options,
	.words_min = 1,
	.words_max = 2,
	.main = list_main,
};
