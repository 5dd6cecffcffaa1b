/* SPDX-License-Identifier: Apache-2.0 */
/* What several commands do with scenarios: find them, load them, say what is wrong with them. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/commands.h"
#include "core/param.h"

#ifndef DRSIM_DATADIR
#define DRSIM_DATADIR "/usr/local/share/drsim"
#endif

/* ---- the shipped ones ---- */

static bool is_folder(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

const char *command_scenarios_folder(void)
{
	if (is_folder("scenarios"))
		return "scenarios";
	return is_folder(DRSIM_DATADIR "/scenarios") ? DRSIM_DATADIR "/scenarios" : NULL;
}

static int is_scenario(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 5 &&
	       strcmp(entry->d_name + length - 5, ".yaml") == 0;
}

const char **command_scenario_names(const char *folder, struct arena *arena)
{
	struct dirent **entries = NULL;
	int count = folder ? scandir(folder, &entries, is_scenario, alphasort) : 0;
	const char **names =
		arena_array(arena, (size_t)(count > 0 ? count : 0) + 1, sizeof(*names));

	for (int i = 0; i < count; i++) {
		names[i] = arena_strndup(arena, entries[i]->d_name, strlen(entries[i]->d_name) - 5);
		free(entries[i]);
	}
	free(entries);
	return names;
}

/* Its path names nothing: the likeliest typing error is in the name of a shipped one. */
static int missing(const char *path, struct arena *arena)
{
	const char *folder = command_scenarios_folder(), *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path, *near;
	size_t length = strlen(base);
	struct error error = {0};

	if (length > 5 && strcmp(base + length - 5, ".yaml") == 0)
		length -= 5;
	near = param_suggest(arena_strndup(arena, base, length),
			     command_scenario_names(folder, arena));
	if (near)
		error_set(&error, ERROR_USAGE, NO_PLACE,
			  "no scenario '%s'; did you mean '%s/%s.yaml'?", path, folder, near);
	else
		error_set(
			&error, ERROR_USAGE, NO_PLACE,
			"no scenario '%s'; 'drsim list scenarios' shows those that come with drsim",
			path);
	error_print(&error);
	return -1;
}

int command_load(const char *path, const struct option_texts *overrides, struct arena *arena,
		 struct scenario **ret_scenario)
{
	struct error *errors = arena_array(arena, COMMAND_ERRORS_MAX, sizeof(*errors));
	size_t count = 0, shown;

	if (access(path, F_OK) && errno == ENOENT)
		return missing(path, arena);
	if (scenario_load(path, overrides->items, overrides->count, arena, ret_scenario, errors,
			  COMMAND_ERRORS_MAX, &count) == 0)
		return 0;
	shown = count < COMMAND_ERRORS_MAX ? count : COMMAND_ERRORS_MAX;
	for (size_t i = 0; i < shown; i++)
		error_print(&errors[i]);
	if (count > shown)
		fprintf(stderr, "%s: %zu more errors\n", path, count - shown);
	return -1;
}

int command_scale(const struct driver_ops *driver, struct arena *arena, struct scenario **scenario)
{
	struct error error = {0};

	if (driver_scale(driver, arena, scenario, &error) == 0)
		return 0;
	error_print(&error);
	return -1;
}

/* ---- drivers and targets by name ---- */

const struct driver_ops *command_driver(const struct command *command, const char *name,
					struct arena *arena)
{
	const struct driver_ops *driver = name ? driver_find(name) : driver_table[0];
	const char **names;
	size_t count = 0;

	if (driver)
		return driver;
	while (driver_table[count])
		count++;
	names = arena_array(arena, count + 1, sizeof(*names));
	for (size_t i = 0; i < count; i++)
		names[i] = driver_table[i]->name;
	command_unknown(command, "driver", name, names);
	return NULL;
}

const char *command_kind_text(enum entity_kind kind, bool many)
{
	static const char *const names[][2] = {
		[ENTITY_NONE] = {"nothing", "nothing"},
		[ENTITY_SITE] = {"site", "sites"},
		[ENTITY_RACK] = {"rack", "racks"},
		[ENTITY_NODE] = {"node", "nodes"},
		[ENTITY_GPU] = {"GPU", "GPUs"},
		[ENTITY_LINK] = {"link", "links"},
		[ENTITY_STORE] = {"store", "stores"},
		[ENTITY_ENDPOINT] = {"endpoint", "endpoints"},
		[ENTITY_REPLICA] = {"replica", "replicas"},
		[ENTITY_JOB] = {"job", "jobs"},
		[ENTITY_DATA] = {"data class", "data classes"},
		[ENTITY_BACKUP] = {"backup", "backups"},
		[ENTITY_STANDBY] = {"standby", "standbys"},
		[ENTITY_RANK] = {"rank", "ranks"},
		[ENTITY_CHECKPOINT] = {"checkpoint", "checkpoints"},
	};

	return names[kind][many];
}

const char *command_select_text(const struct step *step, struct arena *arena)
{
	size_t count = step->target.count;
	const char *kind = command_kind_text(step->target.entities[0].kind, count > 1);

	switch (step->select.kind) {
	case SELECT_ONE:
		if (count > 1)
			return arena_printf(arena, "one of %zu %s", count, kind);
		break;
	case SELECT_COUNT:
		return arena_printf(arena, "%u of %zu %s", step->select.count, count, kind);
	case SELECT_FRACTION:
		return arena_printf(arena, "%g %% of %zu %s", step->select.fraction * 100, count,
				    kind);
	case SELECT_ALL:
		break;
	}
	return arena_printf(arena, "%zu %s", count, kind);
}
