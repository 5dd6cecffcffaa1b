/* SPDX-License-Identifier: Apache-2.0 */
/* A backup tool of the user's in place of drsim's own engine: its commands run as children, one for
 * each data class, and what they say goes into a log. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/process/child.h"
#include "drivers/process/process.h"

#define TOOL_TIMEOUT (600 * NANOS_S) /* real time, of one command */

static int run_tool(struct worker *worker, const struct argv *argv, int32_t backup, uint32_t site,
		    enum data_class data_class, struct error *e)
{
	struct real *real = worker->real;
	char folder[COPIES_PATH_MAX];
	struct arena arena = {0};
	const char *store = arena_printf(&arena, "%s%s/tool", machine_root(real->store_machine),
					 real->store_disk);
	const struct argv_value values[] = {
		{"DATA", copies_class_folder(real->copies, site, data_class, folder)},
		{"STORE", store},
		{"BACKUP", arena_printf(&arena, "backup-%d", (int)backup)},
		{"CLASS", data_class_names[data_class]},
		{NULL, NULL},
	};
	int rc = -1;

	if (mkdir(store, 0755) && errno != EEXIST)
		error_set(e, ERROR_IO, NO_PLACE, "cannot make %s: %s", store, strerror(errno));
	else
		rc = child_run((const char *const *)argv_expand(argv, values, &arena), real->run,
			       arena_printf(&arena, "%s/tool.log", real->log), TOOL_TIMEOUT,
			       &worker->cancel, e);
	arena_free(&arena);
	return rc;
}

const char *action_tool_backup(struct worker *worker, const struct backup_policy *policy,
			       uint64_t *ret_bytes)
{
	struct error error = {.kind = ERROR_NONE};

	for (int c = 0; c < DATA_CLASSES; c++) {
		uint32_t site = worker->action.site;
		if (!(policy->classes & DATA_BIT(c)))
			continue;
		*ret_bytes += copies_bytes(worker->real->copies, site, (enum data_class)c);
		if (run_tool(worker, &policy->command, worker->action.backup, site,
			     (enum data_class)c, &error))
			return real_keep_text(worker->real, error.text);
	}
	return NULL;
}

int action_tool_restore(struct worker *worker, const struct backup_policy *policy, struct error *e)
{
	const struct action *action = &worker->action;

	return run_tool(worker, &policy->restore, action->backup, action->to, action->data_class,
			e);
}
