/* SPDX-License-Identifier: Apache-2.0 */
/* Machines for a test: made, started, and gone. */
#include "tests/drill_machines.h"

#include <grp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "drivers/host/residue.h"
#include "drivers/host/undo.h"
#include "tests/test.h"

#define NOBODY 65534
#define WAIT (10 * NANOS_S)

static void must(int rc, const struct error *e)
{
	ck_assert_msg(rc == 0, "%s", e->text);
}

void drill_machines_open(struct drill_machines *drill, const char *run, size_t count, bool loopback)
{
	struct arena *arena = &drill->arena;
	struct error e = {0};

	*drill = (struct drill_machines){.site = {.name = "primary"}};
	must(journal_open(run, arena, &drill->journal, &e), &e);
	must(guardian_start(&drill->guardian, drill->journal, &e), &e);
	drill->configs = arena_array(arena, count, sizeof(*drill->configs));
	for (size_t i = 0; i < count; i++)
		drill->configs[i] = (struct machine_config){
			.name = arena_printf(arena, "primary/node[%zu]", i),
			.devices = arena_printf(arena, "%s/m%zu/dev", drill->journal->work, i),
			.device_count = 2,
		};
	drill->config = (struct machines_config){
		.sites = &drill->site,
		.site_count = 1,
		.machines = drill->configs,
		.machine_count = count,
		.loopback_only = loopback,
	};
	must(machines_open(&drill->config, drill->journal, arena, &drill->machines, &e), &e);
}

const char *drill_machines_start(struct drill_machines *drill, size_t index,
				 struct machine_start how)
{
	struct machine *machine = machines_get(drill->machines, index);
	char *address = arena_alloc(&drill->arena, MACHINE_ADDRESS_MAX);
	const char *argv[] = {
		getenv("MINILEPTON"),
		"node",
		"--name",
		drill->configs[index].name,
		"--listen",
		arena_printf(&drill->arena, "%s:0", machine_address(machine)),
		"--devices",
		drill->configs[index].devices,
		"--gpus",
		"2",
		NULL,
	};
	struct error e = {0};

	how.argv = argv;
	how.log = arena_printf(&drill->arena, "%s/log-%zu", drill->journal->work, index);
	must(machine_start(machine, &how, &e), &e);
	must(machine_listening(machine, WAIT, address, &e), &e);
	return address;
}

void drill_machines_close(struct drill_machines *drill)
{
	struct error e = {0};
	struct undo_sum sum;
	const char **residues;
	size_t count;

	must(machines_close(drill->machines, &e), &e);
	undo_all(drill->journal, &sum);
	ck_assert_msg(sum.left == 0, "%s", sum.left ? sum.left_texts[0] : "");
	count = residue_scan(drill->journal, &residues);
	ck_assert_msg(count == 0, "%s", count ? residues[0] : "");
	guardian_end(&drill->guardian);
	ck_assert(journal_close(drill->journal));
	arena_free(&drill->arena);
}

void drill_give_up_root(void)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(".", NOBODY, NOBODY), 0);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setgid(NOBODY), 0);
	ck_assert_int_eq(setuid(NOBODY), 0);
	/* As after an exec: else even our own /proc belongs to root. */
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}
