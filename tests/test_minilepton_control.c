/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the stand-in platform's control plane without any process: placement, restarts, dead
 * nodes, gangs, specs, the state file; and of checkpoints, keys of the store, uploads. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/checkpoint.h"
#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/multipart.h"
#include "sim/minilepton/store_keys.h"
#include "sim/minilepton/subtree.h"
#include "sim/minilepton/trainer.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define FIRST (1 * NANOS_S)
#define MAX (4 * NANOS_S)
#define RESET (60 * NANOS_S)
#define RESCHEDULE (30 * NANOS_S)

/* ---- a fleet without agents ---- */

struct world {
	struct arena arena;
	struct fleet *fleet;
	nanos now;
	/* What runs, by node, as its agent would tell. */
	struct fleet_process processes[8][16];
	size_t counts[8];
	bool dead[8];
	uint64_t gone[8];
};

static void world_open(struct world *w, uint32_t nodes, uint32_t gpus)
{
	*w = (struct world){.now = NANOS_S};
	w->fleet = arena_alloc(&w->arena, sizeof(*w->fleet));
	w->fleet->rules = (struct fleet_rules){.restart = true,
					       .backoff_first = FIRST,
					       .backoff_max = MAX,
					       .backoff_reset = RESET,
					       .reschedule = RESCHEDULE,
					       .allocate = 10 * NANOS_S};
	for (uint32_t n = 0; n < nodes; n++) {
		struct fleet_node node = {.gpus = gpus, .port_base = 1000, .schedulable = true};

		snprintf(node.name, sizeof(node.name), "p/node[%u]", n);
		snprintf(node.group, sizeof(node.group), "p");
		ck_assert_uint_eq(fleet_add_node(w->fleet, &node), n);
	}
}

static struct fleet_process *process_of(struct world *w, uint32_t node, const char *id)
{
	for (size_t i = 0; i < w->counts[node]; i++)
		if (!strcmp(w->processes[node][i].id, id))
			return &w->processes[node][i];
	return NULL;
}

/* Does what a node agent does with orders. */
static void obey(struct world *w, uint32_t node)
{
	struct fleet_order orders[16];
	size_t count = fleet_orders(w->fleet, node, orders, 16);

	for (size_t i = 0; i < count; i++) {
		struct fleet_process *process = process_of(w, node, orders[i].id);

		if (orders[i].kind == ORDER_START && !process) {
			process = &w->processes[node][w->counts[node]++];
			*process = (struct fleet_process){.signal = -1};
			snprintf(process->id, sizeof(process->id), "%s", orders[i].id);
		}
		if (orders[i].kind == ORDER_START) {
			process->running = true;
			process->pid = 100 + (int64_t)i;
			process->starts++;
		} else if (process) {
			process->running = false;
		}
		fleet_done(w->fleet, node, &orders[i], w->now);
	}
}

/* One round of everything, `span` later. */
static void pass(struct world *w, nanos span)
{
	w->now += span;
	fleet_tick(w->fleet, w->now);
	w->fleet->saved = w->fleet->version;
	for (uint32_t n = 0; n < w->fleet->node_count; n++) {
		if (w->dead[n]) {
			fleet_silent(w->fleet, n, w->now);
			continue;
		}
		obey(w, n);
		fleet_report(w->fleet, n, w->gone[n], w->processes[n], w->counts[n], w->now);
	}
	for (uint32_t u = 0; u < w->fleet->unit_count; u++)
		if (w->fleet->units[u].phase == UNIT_RUNNING && !w->dead[w->fleet->units[u].node])
			fleet_ready(w->fleet, u, true, w->now);
	fleet_tick(w->fleet, w->now);
}

static void settle(struct world *w)
{
	for (int i = 0; i < 4; i++)
		pass(w, NANOS_MS);
}

static uint32_t deploy(struct world *w, const char *name, uint32_t replicas, uint32_t gpus)
{
	uint32_t d = fleet_add_deployment(w->fleet, name);

	w->fleet->deployments[d].replicas = replicas;
	w->fleet->deployments[d].gpus = gpus;
	w->fleet->deployments[d].at_once = true;
	return d;
}

static struct unit *unit(struct world *w, const char *id)
{
	uint32_t u = fleet_find_unit(w->fleet, id);

	ck_assert_msg(u != FLEET_NONE, "there is no unit %s", id);
	return &w->fleet->units[u];
}

static void crash(struct world *w, const char *id, int code)
{
	struct unit *one = unit(w, id);
	struct fleet_process *process = process_of(w, one->node, id);

	ck_assert_ptr_nonnull(process);
	process->running = false;
	process->exit_code = code;
	snprintf(process->reason, sizeof(process->reason), "it fell");
}

static enum lepton_reason reason(struct world *w, const char *id)
{
	char message[FLEET_MESSAGE_MAX];
	return fleet_reason(w->fleet, unit(w, id), message);
}

/* ---- placement ---- */

START_TEST(replicas_spread_and_wait_for_room)
{
	struct world w;
	uint32_t d;

	world_open(&w, 2, 8);
	d = deploy(&w, "chat", 3, 4);
	settle(&w);
	ck_assert_uint_eq(unit(&w, "chat-0")->node, 0);
	ck_assert_uint_eq(unit(&w, "chat-1")->node, 1);
	ck_assert_uint_eq(unit(&w, "chat-2")->node, 0);
	ck_assert_uint_eq(unit(&w, "chat-2")->gpu, 4);
	ck_assert_uint_ne(unit(&w, "chat-2")->port, unit(&w, "chat-0")->port);
	ck_assert_int_eq(fleet_deployment_state(w.fleet, d), LEPTON_READY);
	w.fleet->deployments[d].replicas = 5;
	w.fleet->deployments[d].scaling = true;
	settle(&w);
	ck_assert_uint_eq(unit(&w, "chat-3")->node, 1);
	ck_assert_int_eq(reason(&w, "chat-4"), LEPTON_REASON_NO_CAPACITY);
	ck_assert_int_eq(fleet_deployment_state(w.fleet, d), LEPTON_SCALING);
	w.fleet->deployments[d].replicas = 0;
	settle(&w);
	ck_assert_int_eq(fleet_deployment_state(w.fleet, d), LEPTON_STOPPED);
	ck_assert_uint_eq(w.fleet->nodes[0].gpus_used | w.fleet->nodes[1].gpus_used, 0);
	ck_assert_uint_eq(w.fleet->nodes[0].ports[0] | w.fleet->nodes[1].ports[0], 0);
	arena_free(&w.arena);
}
END_TEST

START_TEST(nodes_that_take_nothing_get_nothing)
{
	struct world w;
	uint32_t d;

	world_open(&w, 3, 8);
	w.fleet->nodes[0].schedulable = false;
	w.gone[1] = 1 << 3;
	w.dead[2] = true;
	settle(&w);
	d = deploy(&w, "chat", 1, 8);
	settle(&w);
	ck_assert_int_eq(reason(&w, "chat-0"), LEPTON_REASON_NO_CAPACITY);
	w.gone[1] = 0;
	settle(&w);
	ck_assert_uint_eq(unit(&w, "chat-0")->node, 1);
	w.fleet->nodes[0].schedulable = true;
	w.fleet->nodes[1].schedulable = false;
	fleet_evict(w.fleet, 1, w.now);
	ck_assert_int_eq(fleet_deployment_state(w.fleet, d), LEPTON_MIGRATING);
	settle(&w);
	ck_assert_uint_eq(unit(&w, "chat-0")->node, 0);
	ck_assert_int_eq(fleet_deployment_state(w.fleet, d), LEPTON_READY);
	arena_free(&w.arena);
}
END_TEST

START_TEST(later_replicas_wait_for_an_allocation)
{
	struct world w;
	uint32_t d;

	world_open(&w, 1, 8);
	d = deploy(&w, "cold", 0, 4);
	w.fleet->deployments[d].at_once = false;
	settle(&w);
	ck_assert_int_eq(fleet_deployment_state(w.fleet, d), LEPTON_STOPPED);
	w.fleet->deployments[d].replicas = 1;
	settle(&w);
	ck_assert_int_eq(reason(&w, "cold-0"), LEPTON_REASON_QUEUEING);
	pass(&w, 9 * NANOS_S);
	ck_assert_int_eq(unit(&w, "cold-0")->phase, UNIT_HELD);
	pass(&w, NANOS_S);
	settle(&w);
	ck_assert_int_eq(reason(&w, "cold-0"), LEPTON_REASON_READY);
	arena_free(&w.arena);
}
END_TEST

/* ---- restarts ---- */

START_TEST(crashes_restart_at_once_and_then_back_off)
{
	static const nanos waits[] = {0, FIRST, 2 * FIRST, MAX, MAX};
	struct world w;

	world_open(&w, 1, 8);
	deploy(&w, "chat", 1, 8);
	settle(&w);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		struct unit *one = unit(&w, "chat-0");
		nanos fell = w.now + NANOS_MS;

		ck_assert_int_eq(one->phase, UNIT_RUNNING);
		ck_assert_uint_eq(one->starts, i + 1);
		crash(&w, "chat-0", 3);
		pass(&w, NANOS_MS);
		ck_assert_int_eq(one->exit_code, 3);
		if (waits[i] > 0) {
			ck_assert_int_eq(one->phase, UNIT_HELD);
			ck_assert_int_eq(one->due, fell + waits[i]);
			ck_assert_int_eq(reason(&w, "chat-0"), LEPTON_REASON_SYSTEM_ERROR);
			pass(&w, waits[i] - NANOS_MS);
			ck_assert_int_eq(one->phase, UNIT_HELD);
		}
		settle(&w);
	}
	/* Long health forgets the crashes. */
	pass(&w, RESET + NANOS_S);
	crash(&w, "chat-0", 1);
	settle(&w);
	ck_assert_int_eq(unit(&w, "chat-0")->phase, UNIT_RUNNING);
	ck_assert_uint_eq(unit(&w, "chat-0")->termination_count, 6);
	arena_free(&w.arena);
}
END_TEST

START_TEST(without_restart_it_stays_down_until_asked)
{
	struct world w;
	uint32_t d;

	world_open(&w, 1, 8);
	w.fleet->rules.restart = false;
	d = deploy(&w, "chat", 1, 8);
	settle(&w);
	crash(&w, "chat-0", 1);
	pass(&w, NANOS_S);
	pass(&w, 100 * NANOS_S);
	ck_assert_int_eq(unit(&w, "chat-0")->phase, UNIT_OVER);
	ck_assert_int_eq(fleet_deployment_state(w.fleet, d), LEPTON_NOT_READY);
	fleet_restart(w.fleet, d, w.now);
	settle(&w);
	ck_assert_int_eq(fleet_deployment_state(w.fleet, d), LEPTON_READY);
	arena_free(&w.arena);
}
END_TEST

START_TEST(a_mended_gpu_ends_the_back_off)
{
	struct world w;

	world_open(&w, 1, 8);
	deploy(&w, "chat", 1, 8);
	settle(&w);
	for (int i = 0; i < 3; i++) {
		w.gone[0] = 1;
		crash(&w, "chat-0", 1);
		pass(&w, NANOS_MS);
		if (i < 2)
			pass(&w, MAX);
	}
	ck_assert_int_eq(unit(&w, "chat-0")->phase, UNIT_HELD);
	ck_assert_int_gt(unit(&w, "chat-0")->due, w.now + NANOS_S);
	w.gone[0] = 0;
	settle(&w);
	ck_assert_int_eq(unit(&w, "chat-0")->phase, UNIT_RUNNING);
	ck_assert_uint_eq(unit(&w, "chat-0")->crashes, 0);
	arena_free(&w.arena);
}
END_TEST

START_TEST(a_restart_ends_and_starts_all_replicas)
{
	struct world w;
	uint32_t d;

	world_open(&w, 1, 8);
	d = deploy(&w, "chat", 2, 2);
	settle(&w);
	fleet_restart(w.fleet, d, w.now);
	ck_assert_int_eq(fleet_deployment_state(w.fleet, d), LEPTON_RESTARTING);
	ck_assert_int_eq(reason(&w, "chat-0"), LEPTON_REASON_DELETING);
	settle(&w);
	ck_assert_int_eq(fleet_deployment_state(w.fleet, d), LEPTON_READY);
	ck_assert_uint_eq(unit(&w, "chat-0")->starts, 2);
	ck_assert_uint_eq(unit(&w, "chat-1")->starts, 2);
	arena_free(&w.arena);
}
END_TEST

START_TEST(a_refused_start_is_an_error_of_the_configuration)
{
	struct world w;
	struct fleet_order orders[4];
	uint32_t d;

	world_open(&w, 1, 8);
	settle(&w);
	d = deploy(&w, "chat", 1, 8);
	w.fleet->saved = 0;
	fleet_tick(w.fleet, w.now);
	ck_assert_uint_eq(fleet_orders(w.fleet, 0, orders, 4), 0); /* not on disk yet */
	w.fleet->saved = w.fleet->version;
	ck_assert_uint_eq(fleet_orders(w.fleet, 0, orders, 4), 1);
	fleet_refused(w.fleet, 0, &orders[0], "no such program", w.now);
	ck_assert_int_eq(reason(&w, "chat-0"), LEPTON_REASON_CONFIG_ERROR);
	ck_assert_int_eq(fleet_deployment_state(w.fleet, d), LEPTON_ERROR);
	ck_assert_uint_eq(fleet_orders(w.fleet, 0, orders, 4), 0);
	arena_free(&w.arena);
}
END_TEST

/* ---- dead nodes ---- */

START_TEST(replicas_of_a_dead_node_move_after_a_while)
{
	struct world w;
	struct unit *one;

	world_open(&w, 2, 8);
	deploy(&w, "chat", 1, 8);
	settle(&w);
	one = unit(&w, "chat-0");
	ck_assert_uint_eq(one->node, 0);
	w.dead[0] = true;
	pass(&w, NANOS_MS);
	ck_assert_int_eq(reason(&w, "chat-0"), LEPTON_REASON_READY); /* one miss is not enough */
	pass(&w, NANOS_MS);
	ck_assert_int_eq(reason(&w, "chat-0"), LEPTON_REASON_UNKNOWN);
	pass(&w, RESCHEDULE - 2 * NANOS_MS);
	ck_assert_uint_eq(one->node, 0);
	pass(&w, NANOS_MS);
	settle(&w);
	ck_assert_uint_eq(one->node, 1);
	ck_assert_int_eq(reason(&w, "chat-0"), LEPTON_REASON_READY);
	/* The old process is still there when the node wakes up: it is ended. */
	w.dead[0] = false;
	ck_assert(process_of(&w, 0, "chat-0")->running);
	settle(&w);
	ck_assert(!process_of(&w, 0, "chat-0")->running);
	ck_assert_uint_eq(w.fleet->nodes[0].ghost_count, 0);
	ck_assert(process_of(&w, 1, "chat-0")->running);
	ck_assert_uint_eq(w.fleet->nodes[0].gpus_used, 0);
	arena_free(&w.arena);
}
END_TEST

START_TEST(without_room_it_keeps_its_place)
{
	struct world w;
	struct unit *one;

	world_open(&w, 2, 8);
	deploy(&w, "chat", 2, 8);
	settle(&w);
	one = unit(&w, "chat-0");
	w.dead[0] = true;
	settle(&w);
	pass(&w, 2 * RESCHEDULE);
	ck_assert_uint_eq(one->node, 0);
	ck_assert_uint_eq(w.fleet->nodes[0].gpus_used, 0xff);
	w.dead[0] = false;
	w.counts[0] = 0; /* it was booted again */
	settle(&w);
	ck_assert_int_eq(reason(&w, "chat-0"), LEPTON_REASON_READY);
	ck_assert_uint_eq(one->starts, 2);
	ck_assert_uint_eq(one->crashes, 0);
	arena_free(&w.arena);
}
END_TEST

START_TEST(a_node_that_was_frozen_goes_on)
{
	struct world w;

	world_open(&w, 1, 8);
	w.fleet->rules.reschedule = NANOS_NEVER;
	deploy(&w, "chat", 1, 8);
	settle(&w);
	w.dead[0] = true;
	pass(&w, NANOS_S);
	pass(&w, 1000 * NANOS_S);
	w.dead[0] = false;
	settle(&w);
	ck_assert_int_eq(reason(&w, "chat-0"), LEPTON_REASON_READY);
	ck_assert_uint_eq(unit(&w, "chat-0")->starts, 1);
	arena_free(&w.arena);
}
END_TEST

START_TEST(what_is_deleted_on_a_dead_node_is_gone)
{
	struct world w;
	uint32_t d;

	world_open(&w, 1, 8);
	d = deploy(&w, "chat", 1, 8);
	settle(&w);
	w.dead[0] = true;
	settle(&w);
	w.fleet->deployments[d].deleting = true;
	settle(&w);
	ck_assert_uint_eq(fleet_find_deployment(w.fleet, "chat"), FLEET_NONE);
	ck_assert_uint_eq(w.fleet->nodes[0].ghost_count, 1);
	w.dead[0] = false;
	settle(&w);
	ck_assert(!process_of(&w, 0, "chat-0")->running);
	arena_free(&w.arena);
}
END_TEST

/* ---- gangs ---- */

static uint32_t train(struct world *w, uint32_t ranks, uint32_t spares)
{
	uint32_t j = fleet_add_job(w->fleet, "pre", w->now);
	struct fleet_job *job = &w->fleet->jobs[j];

	snprintf(job->group, sizeof(job->group), "p");
	job->ranks = ranks;
	job->gpus = 8;
	job->spares = spares;
	job->restart = 5 * NANOS_S;
	return j;
}

START_TEST(a_gang_starts_whole_and_moves_to_its_spare)
{
	struct world w;
	uint32_t j;

	world_open(&w, 4, 8);
	settle(&w);
	j = train(&w, 2, 1);
	settle(&w);
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_RUNNING);
	ck_assert_uint_eq(unit(&w, "pre-1")->node, 1);
	ck_assert_uint_eq(w.fleet->nodes[2].reserved, j + 1);
	/* The spare is nobody else's. */
	deploy(&w, "chat", 2, 8);
	settle(&w);
	ck_assert_uint_eq(unit(&w, "chat-0")->node == 3 || unit(&w, "chat-1")->node == 3, 1);
	ck_assert_int_eq(reason(&w, unit(&w, "chat-0")->node == 3 ? "chat-1" : "chat-0"),
			 LEPTON_REASON_NO_CAPACITY);
	/* A GPU of rank 1 is lost; rank 0 sees it and leaves as well. */
	w.gone[1] = 4;
	crash(&w, "pre-1", 1);
	pass(&w, NANOS_MS);
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_RESTARTING);
	crash(&w, "pre-0", 1);
	pass(&w, 4 * NANOS_S);
	ck_assert_int_eq(unit(&w, "pre-0")->phase, UNIT_OVER);
	pass(&w, NANOS_S);
	settle(&w);
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_RUNNING);
	ck_assert_uint_eq(unit(&w, "pre-0")->node, 0);
	ck_assert_uint_eq(unit(&w, "pre-1")->node, 2);
	ck_assert_uint_eq(unit(&w, "pre-1")->starts, 2);
	ck_assert_uint_eq(w.fleet->jobs[j].failures, 1);
	arena_free(&w.arena);
}
END_TEST

START_TEST(a_gang_without_nodes_queues)
{
	struct world w;
	uint32_t j;

	world_open(&w, 2, 8);
	settle(&w);
	j = train(&w, 3, 0);
	settle(&w);
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_QUEUEING);
	ck_assert_uint_eq(w.fleet->unit_count, 0);
	w.fleet->jobs[j].ranks = 2;
	settle(&w);
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_RUNNING);
	/* A rank's node dies and there is no spare: it waits until the node is back. */
	w.dead[1] = true;
	settle(&w);
	crash(&w, "pre-0", 1);
	pass(&w, NANOS_MS);
	pass(&w, 5 * NANOS_S);
	settle(&w);
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_QUEUEING);
	w.dead[1] = false;
	w.counts[1] = 0;
	settle(&w);
	settle(&w);
	/* Its restart takes as long as any, from then on. */
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_RESTARTING);
	pass(&w, 5 * NANOS_S);
	settle(&w);
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_RUNNING);
	arena_free(&w.arena);
}
END_TEST

START_TEST(a_job_ends_stops_and_fails)
{
	struct world w;
	uint32_t j;

	world_open(&w, 2, 8);
	settle(&w);
	j = train(&w, 2, 0);
	w.fleet->jobs[j].retries = 1;
	settle(&w);
	w.fleet->jobs[j].stopped = true;
	settle(&w);
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_STOPPED);
	ck_assert_uint_eq(w.fleet->nodes[0].reserved, 0);
	w.fleet->jobs[j].stopped = false;
	settle(&w);
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_RUNNING);
	for (int i = 0; i < 2; i++) {
		crash(&w, "pre-0", 1);
		pass(&w, NANOS_MS);
		pass(&w, 5 * NANOS_S);
		settle(&w);
	}
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_FAILED);
	ck_assert_uint_eq(fleet_find_unit(w.fleet, "pre-1"), FLEET_NONE);
	w.fleet->jobs[j].deleting = true;
	settle(&w);
	ck_assert(!w.fleet->jobs[j].used);
	j = train(&w, 2, 0);
	settle(&w);
	crash(&w, "pre-0", 0);
	crash(&w, "pre-1", 0);
	settle(&w);
	ck_assert_int_eq(w.fleet->jobs[j].state, JOB_COMPLETED);
	ck_assert_uint_eq(w.fleet->nodes[0].gpus_used, 0);
	arena_free(&w.arena);
}
END_TEST

/* ---- specs ---- */

static const char spec_text[] =
	"{\"workspace\":\"drill\",\"nodes\":["
	"{\"name\":\"primary/node[0]\",\"group\":\"primary\",\"agent\":\"127.0.0.1:9000\","
	"\"gpus\":8,\"port_base\":20000,\"devices\":\"/dev/x\"},"
	"{\"name\":\"backup/node[0]\",\"group\":\"backup\",\"agent\":\"127.0.0.1:9001\","
	"\"gpus\":8,\"port_base\":21000}],"
	"\"deployments\":[{\"name\":\"chat-primary\",\"endpoint\":\"chat\",\"group\":\"primary\","
	"\"replicas\":1,\"gpus_per_replica\":2,\"weight\":100,\"start_ns\":5,"
	"\"argv\":[\"replica\",\"--id\",\"{id}\",\"--listen\",\"{address}\",\"--start-ns\","
	"\"{start_ns}\",\"{devices}\",\"{\\\"a\\\":1}\"],\"env\":{\"SITE\":\"{group}\"}},"
	"{\"name\":\"chat-backup\",\"endpoint\":\"chat\",\"group\":\"backup\",\"replicas\":0,"
	"\"gpus_per_replica\":2,\"weight\":0,\"argv\":[\"x\"]}],"
	"\"jobs\":[{\"name\":\"pre\",\"group\":\"backup\",\"ranks\":1,\"gpus_per_rank\":8,"
	"\"restart_ns\":7,\"argv\":[\"t\",\"{rank}/{ranks}\",\"{coordinator}\"]}],"
	"\"log_dir\":\"/tmp/log\",\"reschedule_ns\":null,\"allocate_ns\":9}";

static struct control *control_open(struct control *control)
{
	*control = (struct control){.wall_offset = NANOS_S};
	control->fleet = arena_alloc(&control->arena, sizeof(*control->fleet));
	return control;
}

static void control_close(struct control *control)
{
	control_docs_free(control);
	arena_free(&control->arena);
}

START_TEST(a_spec_becomes_documents_and_commands)
{
	static const char *const argv[] = {
		"replica",     "--id",     "chat-primary-0", "--listen",    "127.0.0.1:20000",
		"--start-ns",  "12",       "--device",       "/dev/x/gpu0", "--device",
		"/dev/x/gpu1", "{\"a\":1}"};
	struct control control;
	struct error e = {0};
	cJSON *body = NULL, *list;
	uint32_t u, d;

	control_open(&control);
	ck_assert_int_eq(control_spec_load(&control, spec_text, strlen(spec_text), 1, &e), 0);
	ck_assert_int_eq(control.fleet->rules.reschedule, NANOS_NEVER);
	ck_assert_int_eq(control.fleet->rules.allocate, 9);
	d = fleet_find_deployment(control.fleet, "chat-primary");
	control.fleet->deployments[d].start_delay = 7;
	fleet_report(control.fleet, 0, 0, NULL, 0, 2);
	fleet_report(control.fleet, 1, 0, NULL, 0, 2);
	fleet_tick(control.fleet, 2);
	u = fleet_find_unit(control.fleet, "chat-primary-0");
	ck_assert_uint_ne(u, FLEET_NONE);
	ck_assert_int_eq(control_command(&control, &control.fleet->units[u], &body, &e), 0);
	list = cJSON_GetObjectItem(body, "argv");
	ck_assert_int_eq(cJSON_GetArraySize(list), (int)(sizeof(argv) / sizeof(argv[0])));
	for (int i = 0; i < cJSON_GetArraySize(list); i++)
		ck_assert_str_eq(cJSON_GetArrayItem(list, i)->valuestring, argv[i]);
	ck_assert_str_eq(cJSON_GetObjectItem(body, "log")->valuestring,
			 "/tmp/log/chat-primary-0.log");
	ck_assert_str_eq(cJSON_GetObjectItem(cJSON_GetObjectItem(body, "env"), "SITE")->valuestring,
			 "primary");
	cJSON_Delete(body);
	u = fleet_find_unit(control.fleet, "pre-0");
	ck_assert_uint_ne(u, FLEET_NONE);
	ck_assert_int_eq(control_command(&control, &control.fleet->units[u], &body, &e), 0);
	list = cJSON_GetObjectItem(body, "argv");
	ck_assert_str_eq(cJSON_GetArrayItem(list, 1)->valuestring, "0/1");
	ck_assert_str_eq(cJSON_GetArrayItem(list, 2)->valuestring, "127.0.0.1:21001");
	cJSON_Delete(body);
	control_close(&control);
}
END_TEST

START_TEST(routes_hold_weights_and_addresses)
{
	struct control control;
	struct error e = {0};
	cJSON *json, *endpoint, *deployment;

	control_open(&control);
	ck_assert_int_eq(control_spec_load(&control, spec_text, strlen(spec_text), 1, &e), 0);
	fleet_report(control.fleet, 0, 0, NULL, 0, 2);
	fleet_silent(control.fleet, 1, 2);
	fleet_tick(control.fleet, 2);
	json = control_routes_json(&control);
	endpoint = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "endpoints"), 0);
	ck_assert_str_eq(cJSON_GetObjectItem(endpoint, "name")->valuestring, "chat");
	deployment = cJSON_GetArrayItem(cJSON_GetObjectItem(endpoint, "deployments"), 0);
	ck_assert_str_eq(cJSON_GetObjectItem(deployment, "name")->valuestring, "chat-primary");
	ck_assert_int_eq(cJSON_GetObjectItem(deployment, "weight")->valueint, 100);
	ck_assert_str_eq(cJSON_GetObjectItem(
				 cJSON_GetArrayItem(cJSON_GetObjectItem(deployment, "replicas"), 0),
				 "address")
				 ->valuestring,
			 "127.0.0.1:20000");
	deployment = cJSON_GetArrayItem(cJSON_GetObjectItem(endpoint, "deployments"), 1);
	ck_assert_int_eq(cJSON_GetObjectItem(deployment, "weight")->valueint, 0);
	cJSON_Delete(json);
	control_close(&control);
}
END_TEST

struct bad_spec {
	const char *from, *to, *told;
};
static const struct bad_spec bad_specs[] = {
	{"\"workspace\":\"drill\",", "", "'workspace' is missing or no text"},
	{"\"gpus\":8", "\"gpus\":65", "'gpus' is an integer of 0 to 64"},
	{"127.0.0.1:9000", "nowhere", "'nowhere' is no ADDRESS:PORT"},
	{"backup/node[0]", "primary/node[0]", "two nodes are named 'primary/node[0]'"},
	{"chat-backup", "chat-primary", "the name 'chat-primary' is taken"},
	{"\"argv\":[\"x\"]", "\"argv\":[]", "container.command is a list of words"},
	{"\"argv\":[\"x\"]", "\"argv\":[1]", "container.command is a list of words"},
	{"\"name\":\"pre\"", "\"name\":\"Pre\"",
	 "a name is a letter, then a-z, 0-9 and '-', at most 63: 'Pre'"},
	{"\"ranks\":1", "\"ranks\":0", "a job has ranks, and one node group"},
	{"\"allocate_ns\":9", "\"allocate_ns\":-9",
	 "'allocate_ns' is an integer of 0 to 8640000000000000"},
	{"\"weight\":100", "\"weight\":1.5", "'weight' is an integer of 0 to 1000000"},
	{"{\"SITE\":\"{group}\"}", "{\"SITE\":1}", "env is an object of texts"},
};

START_TEST(bad_specs_are_refused)
{
	const struct bad_spec *row = &bad_specs[_i];
	const char *at = strstr(spec_text, row->from);
	char text[sizeof(spec_text) + 200];
	struct control control;
	struct error e = {0};

	ck_assert_ptr_nonnull(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - spec_text), spec_text, row->to,
		 at + strlen(row->from));
	control_open(&control);
	ck_assert_int_eq(control_spec_load(&control, text, strlen(text), 1, &e), -1);
	ck_assert_str_eq(e.text, row->told);
	control_close(&control);
}
END_TEST

START_TEST(shapes_say_their_gpus)
{
	static const struct {
		const char *shape;
		int gpus; /* -1: refused */
	} shapes[] = {
		{"cpu.small", 0},    {"gpu.a10", 1},  {"gpu.8xh100-sxm", 8}, {"gpu.2xa100-80gb", 2},
		{"gpu.h100-sxm", 1}, {"gpu.0xa", -1}, {"gpu.65xa", -1},      {"tpu.v5", -1},
		{"gpu.", -1},        {"", -1},        {"cpu.", -1},          {"gp", -1}};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct error e = {0};
		uint32_t gpus = 99;
		int rc = control_shape_gpus(shapes[i].shape, &gpus, &e);

		ck_assert_msg((rc == 0) == (shapes[i].gpus >= 0), "%s", shapes[i].shape);
		if (rc == 0)
			ck_assert_uint_eq(gpus, (uint32_t)shapes[i].gpus);
	}
}
END_TEST

START_TEST(patches_merge_as_the_standard_says)
{
	/* RFC 7396, appendix A. */
	static const char *const rows[][3] = {
		{"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
		{"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
		{"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
		{"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
		{"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
		{"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
		{"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
		 "{\"a\":{\"b\":\"d\"}}"},
		{"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
		{"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
		{"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
		{"{\"a\":\"x\"}", "{\"a\":{\"b\":null,\"c\":2}}", "{\"a\":{\"c\":2}}"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cJSON *target = cJSON_Parse(rows[i][0]), *patch = cJSON_Parse(rows[i][1]);
		char *text;

		control_merge_patch(target, patch);
		text = cJSON_PrintUnformatted(target);
		ck_assert_str_eq(text, rows[i][2]);
		cJSON_free(text);
		cJSON_Delete(target);
		cJSON_Delete(patch);
	}
}
END_TEST

/* ---- the state file ---- */

START_TEST(a_state_goes_on_where_it_was)
{
	struct control first, second;
	struct fleet_process process = {
		.id = "chat-primary-0", .running = true, .starts = 1, .pid = 7};
	struct fleet_order orders[4];
	struct error e = {0};
	char *text, *again;
	const struct unit *one;

	control_open(&first);
	ck_assert_int_eq(control_spec_load(&first, spec_text, strlen(spec_text), 1, &e), 0);
	fleet_report(first.fleet, 0, 0, NULL, 0, 2);
	fleet_tick(first.fleet, 2);
	ck_assert_uint_eq(first.fleet->units[0].node, FLEET_NONE); /* not all were asked */
	fleet_silent(first.fleet, 1, 2);
	fleet_tick(first.fleet, 2);
	first.fleet->saved = first.fleet->version;
	ck_assert_uint_eq(fleet_orders(first.fleet, 0, orders, 4), 1);
	fleet_done(first.fleet, 0, &orders[0], 3);
	fleet_report(first.fleet, 0, 0, &process, 1, 4);
	fleet_ready(first.fleet, 0, true, 5);
	first.fleet->deployments[0].start_delay = 99;
	first.fleet->nodes[1].schedulable = false;
	text = control_state_print(&first, 6);

	control_open(&second);
	ck_assert_int_eq(control_spec_load_nodes(&second, spec_text, strlen(spec_text), &e), 0);
	ck_assert_int_eq(control_state_load(&second, text, strlen(text), 10, &e), 0);
	ck_assert_int_eq(second.fleet->deployments[0].start_delay, 99);
	ck_assert(!second.fleet->nodes[1].schedulable);
	ck_assert_uint_eq(second.fleet->nodes[0].gpus_used, 3);
	ck_assert_uint_eq(fleet_orders(second.fleet, 0, orders, 4), 0);
	/* The replica still runs: it is not started again. */
	fleet_report(second.fleet, 0, 0, &process, 1, 11);
	fleet_tick(second.fleet, 11);
	fleet_ready(second.fleet, 0, true, 12);
	one = &second.fleet->units[0];
	ck_assert_int_eq(one->phase, UNIT_RUNNING);
	ck_assert_uint_eq(one->starts, 1);
	ck_assert_int_eq(fleet_deployment_state(second.fleet, 0), LEPTON_READY);
	/* What is written again is the same but for what has no meaning any more. */
	again = control_state_print(&first, 13);
	ck_assert_str_eq(text, again);
	cJSON_free(again);
	cJSON_free(text);
	control_close(&first);
	control_close(&second);
}
END_TEST

START_TEST(a_broken_state_is_refused)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{\"epoch\":1}",
		"{\"epoch\":1,\"deployments\":[],\"jobs\":[],\"ingress\":[],\"nodes\":[],"
		"\"units\":[{\"kind\":0}]}",
		"{\"epoch\":1,\"deployments\":[],\"jobs\":[],\"ingress\":[],\"nodes\":[],\"units\":"
		"["
		"{\"kind\":0,\"owner\":3,\"ordinal\":0,\"phase\":4,\"after\":0,\"gpu\":0,\"gpus\":"
		"0,"
		"\"port\":0,\"starts\":1,\"seen_starts\":0,\"crashes\":0,\"exit_code\":0}]}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct control control;
		struct error e = {0};

		control_open(&control);
		ck_assert_int_eq(
			control_spec_load_nodes(&control, spec_text, strlen(spec_text), &e), 0);
		ck_assert_int_eq(control_state_load(&control, texts[i], strlen(texts[i]), 1, &e),
				 -1);
		ck_assert_int_eq(e.kind, ERROR_USAGE);
		control_close(&control);
	}
}
END_TEST

/* ---- checkpoints ---- */

#define RANKS 2
#define SHARD ((uint64_t)200001)

static void save_step(uint64_t step, const uint64_t state[CHECKPOINT_WORDS], struct rate *rate)
{
	struct checkpoint_shard shards[RANKS];
	struct checkpoint_manifest manifest = {
		.job = "pre", .step = step, .progress = 5, .ranks = RANKS, .shards = shards};
	struct error e = {0};

	for (uint32_t r = 0; r < RANKS; r++)
		ck_assert_int_eq(
			checkpoint_shard_write("ckpt", step, r, state, SHARD, rate, &shards[r], &e),
			0);
	ck_assert_int_eq(checkpoint_write("ckpt", &manifest, &e), 0);
}

static int load_shard(uint64_t step, uint32_t rank, uint64_t state[CHECKPOINT_WORDS],
		      struct rate *rate, struct error *e)
{
	struct checkpoint_manifest manifest;
	struct arena arena = {0};
	int rc = checkpoint_read("ckpt", step, &arena, &manifest, e) ||
		 checkpoint_shard_read("ckpt", &manifest, rank, rate, state, e);

	arena_free(&arena);
	return rc ? -1 : 0;
}

/* `damage` is done to one byte of the shard of rank 1, then undone. */
static void damaged(const char *path, off_t at, struct rate *rate)
{
	uint64_t state[CHECKPOINT_WORDS];
	struct error e = {0};
	unsigned char byte, flipped;
	int fd = open(path, O_RDWR);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	flipped = byte ^ 0x10;
	ck_assert_int_eq(pwrite(fd, &flipped, 1, at), 1);
	ck_assert_int_eq(load_shard(10, 1, state, rate, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "is not what was written"));
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

START_TEST(a_damaged_shard_is_found)
{
	static const char path[] = "ckpt/ckpt-000000000010/shard-00001.bin";
	uint64_t state[CHECKPOINT_WORDS], read[CHECKPOINT_WORDS];
	struct error e = {0};
	struct rate rate;

	workplace_enter("checkpoint");
	rate_open(&rate, 0);
	ck_assert_int_eq(mkdir("ckpt", 0755), 0);
	trainer_begin(state, 1, 0);
	save_step(10, state, &rate);
	ck_assert_int_eq(load_shard(10, 1, read, &rate, &e), 0);
	ck_assert_mem_eq(state, read, sizeof(state));
	for (off_t at = 0; at < (off_t)SHARD; at += 9973)
		damaged(path, at, &rate);
	damaged(path, (off_t)SHARD - 1, &rate);
	ck_assert_int_eq(truncate(path, (off_t)SHARD - 1), 0);
	ck_assert_int_eq(load_shard(10, 1, read, &rate, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "has 200000 bytes instead of 200001"));
	ck_assert_int_eq(unlink(path), 0);
	e = (struct error){0};
	ck_assert_int_eq(load_shard(10, 1, read, &rate, &e), -1);
	rate_close(&rate);
	workplace_leave();
}
END_TEST

START_TEST(old_and_abandoned_checkpoints_go)
{
	uint64_t state[CHECKPOINT_WORDS] = {0}, *steps;
	struct arena arena = {0};
	struct error e = {0};
	struct rate rate;
	size_t count;

	workplace_enter("prune");
	rate_open(&rate, 0);
	ck_assert_int_eq(mkdir("ckpt", 0755), 0);
	for (uint64_t step = 10; step <= 60; step += 10)
		save_step(step, state, &rate);
	ck_assert_int_eq(unlink("ckpt/ckpt-000000000030/manifest.json"), 0); /* unfinished */
	/* 60 is of a run that was given up when training went back. */
	ck_assert_int_eq(checkpoint_prune("ckpt", 3, 50, &e), 0);
	ck_assert_int_eq(checkpoint_list("ckpt", &arena, &steps, &count, &e), 0);
	ck_assert_uint_eq(count, 3);
	ck_assert_uint_eq(steps[0], 50);
	ck_assert_uint_eq(steps[1], 40);
	ck_assert_uint_eq(steps[2], 20);
	ck_assert_int_eq(access("ckpt/ckpt-000000000030", F_OK), -1);
	arena_free(&arena);
	rate_close(&rate);
	workplace_leave();
}
END_TEST

START_TEST(manifests_are_read_as_they_were_written)
{
	struct checkpoint_shard shards[2] = {{.bytes = 104, .digest = {1, 2, 255}},
					     {.bytes = 1 << 30}};
	struct checkpoint_manifest manifest = {
		.job = "pre", .step = 42, .progress = 77, .ranks = 2, .shards = shards};
	struct checkpoint_manifest read;
	struct arena arena = {0};
	struct error e = {0};
	char *text = checkpoint_print(&manifest);

	ck_assert_int_eq(checkpoint_parse(text, strlen(text), &arena, &read, &e), 0);
	ck_assert_str_eq(read.job, "pre");
	ck_assert_uint_eq(read.step, 42);
	ck_assert_int_eq(read.progress, 77);
	ck_assert_uint_eq(read.ranks, 2);
	ck_assert_mem_eq(read.shards[0].digest, shards[0].digest, CHECKPOINT_DIGEST);
	ck_assert_uint_eq(read.shards[1].bytes, 1 << 30);
	for (size_t size = 0; size < strlen(text); size += 7)
		ck_assert_int_eq(checkpoint_parse(text, size, &arena, &read, &e), -1);
	cJSON_free(text);
	arena_free(&arena);
}
END_TEST

/* A gang of three, in one process. */
static uint64_t sum_after(uint64_t states[3][CHECKPOINT_WORDS], uint64_t from, uint64_t steps)
{
	uint64_t sum = 0;

	for (uint64_t step = from; step < from + steps; step++) {
		sum = 0;
		for (int r = 0; r < 3; r++)
			sum += trainer_part(states[r], step);
		for (int r = 0; r < 3; r++)
			trainer_step(states[r], step, sum);
	}
	return sum;
}

START_TEST(a_wrong_resume_shows_in_the_sums)
{
	uint64_t whole[3][CHECKPOINT_WORDS], part[3][CHECKPOINT_WORDS], saved[3][CHECKPOINT_WORDS];
	uint64_t end;

	for (uint32_t r = 0; r < 3; r++) {
		trainer_begin(whole[r], 9, r);
		trainer_begin(part[r], 9, r);
	}
	end = sum_after(whole, 0, 40);
	sum_after(part, 0, 25);
	memcpy(saved, part, sizeof(saved));
	ck_assert_uint_eq(sum_after(part, 25, 15), end);
	memcpy(part, saved, sizeof(saved));
	ck_assert_uint_ne(sum_after(part, 24, 16), end); /* of another step */
	memcpy(part, saved, sizeof(saved));
	part[1][5] ^= 1;
	ck_assert_uint_ne(sum_after(part, 25, 15), end); /* one bit of one rank */
}
END_TEST

/* ---- the store's names, ranges, uploads ---- */

START_TEST(keys_stay_in_their_folder)
{
	static const char *const good[] = {"a", "a/b.c", "packs/00_-.x", ".hidden", "...", "a..b"};
	static const char *const bad[] = {"",    "/a",  "a/",  "a//b",     "..", "a/../b",
					  "./a", "a b", "a/.", "\xc3\xa4", "a\n"};
	char deep[2 * SUBTREE_DEPTH_MAX + 4] = "";

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(store_key_good(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!store_key_good(bad[i]), "%s", bad[i]);
	for (size_t i = 0; i <= SUBTREE_DEPTH_MAX; i++)
		memcpy(deep + 2 * i, "a/", 2);
	deep[2 * SUBTREE_DEPTH_MAX + 1] = '\0';
	ck_assert(!store_key_good(deep));
	deep[2 * SUBTREE_DEPTH_MAX - 1] = '\0';
	ck_assert(store_key_good(deep));
}
END_TEST

START_TEST(lists_are_sorted_and_paged)
{
	static const char *const keys[] = {"a-b", "a.c", "a/b", "a/c/d", "b"};
	struct arena arena = {0};
	struct store_keys all = {.arena = &arena}, some = {.arena = &arena};
	struct error e = {0};
	int dir;

	workplace_enter("keys");
	dir = subtree_open(".");
	ck_assert_int_ge(dir, 0);
	for (size_t i = 5; i-- > 0;)
		ck_assert_int_eq(subtree_write(dir, keys[i], "12345", i), 0);
	ck_assert_int_eq(subtree_write(dir, ".up-1", "x", 1), 0);
	ck_assert_int_eq(store_keys_read(&all, dir, "", "", ".up-", &e), 0);
	ck_assert_uint_eq(all.count, 5);
	for (size_t i = 0; i < 5; i++) {
		ck_assert_str_eq(all.items[i].key, keys[i]);
		ck_assert_uint_eq(all.items[i].bytes, i);
	}
	ck_assert_int_eq(store_keys_read(&some, dir, "a/", "a/b", ".up-", &e), 0);
	ck_assert_uint_eq(some.count, 1);
	ck_assert_str_eq(some.items[0].key, "a/c/d");
	ck_assert_int_eq(store_keys_sweep(dir, ".up-", &e), 0);
	ck_assert_int_eq(access(".up-1", F_OK), -1);
	ck_assert_int_eq(access("b", F_OK), 0);
	/* Nothing leads out. */
	ck_assert_int_eq(symlink("/etc", "link"), 0);
	ck_assert_int_eq(subtree_open_at(dir, "link/passwd", O_RDONLY, 0), -1);
	ck_assert_int_eq(subtree_open_at(dir, "../keys", O_RDONLY, 0), -1);
	ck_assert_int_eq(subtree_write(dir, "link/x", "x", 1), -1);
	ck_assert_int_eq(subtree_remove(dir, "a", false), -1);
	ck_assert_int_eq(subtree_remove(dir, "a", true), 0);
	ck_assert_int_eq(access("a", F_OK), -1);
	close(dir);
	arena_free(&arena);
	workplace_leave();
}
END_TEST

START_TEST(ranges_are_of_the_object)
{
	static const struct {
		const char *text;
		uint64_t size, from, count; /* count 0: refused */
	} rows[] = {
		{"bytes=0-9", 100, 0, 10},
		{"bytes=90-", 100, 90, 10},
		{"bytes=-5", 100, 95, 5},
		{"bytes=50-500", 100, 50, 50},
		{"bytes=-500", 100, 0, 100},
		{"bytes=100-", 100, 0, 0},
		{"bytes=5-4", 100, 0, 0},
		{"bytes=-0", 100, 0, 0},
		{"bytes=0-", 0, 0, 0},
		{"bytes=a-b", 100, 0, 0},
		{"bytes=", 100, 0, 0},
		{"lines=1-2", 100, 0, 0},
		{"b", 100, 0, 0},
		{"bytes=-", 100, 0, 0},
		{"bytes=1-2-3", 100, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t from = 0, count = 0;
		int rc = store_range(rows[i].text, rows[i].size, &from, &count);

		ck_assert_msg((rc == 0) == (rows[i].count > 0), "%s", rows[i].text);
		ck_assert_uint_eq(from, rows[i].from);
		ck_assert_uint_eq(count, rows[i].count);
	}
}
END_TEST

START_TEST(uploads_are_found_in_their_parts)
{
	static const char type[] = "multipart/form-data; boundary=XX";
	static const struct {
		const char *body, *data;
	} rows[] = {
		{"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
		 "hello\r\nworld\r\n--XX--\r\n",
		 "hello\r\nworld"},
		{"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--XX\r\n"
		 "Content-Disposition: form-data; name=\"file\"\r\n\r\n2\r\n--XX--",
		 "2"},
		{"--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\r\n--XX--", ""},
		{"--XX\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n1\r\n--XX--", NULL},
		{"--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nno end", NULL},
		{"--XX\r\nno blank line", NULL},
		{"--YY\r\n\r\n", NULL},
		{"--XX", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *data = NULL;
		size_t size = 0;
		int rc = multipart_find(type, rows[i].body, strlen(rows[i].body), "file", &data,
					&size);

		ck_assert_msg((rc == 0) == (rows[i].data != NULL), "row %zu", i);
		if (!rows[i].data)
			continue;
		ck_assert_uint_eq(size, strlen(rows[i].data));
		ck_assert_mem_eq(data, rows[i].data, size);
	}
	ck_assert_int_eq(
		multipart_find("text/plain", "x", 1, "file", &(const char *){NULL}, &(size_t){0}),
		-1);
	ck_assert_int_eq(multipart_find(NULL, "x", 1, "file", &(const char *){NULL}, &(size_t){0}),
			 -1);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "spread", replicas_spread_and_wait_for_room);
	test_add(suite, "fit", nodes_that_take_nothing_get_nothing);
	test_add(suite, "allocation", later_replicas_wait_for_an_allocation);
	test_add(suite, "backoff", crashes_restart_at_once_and_then_back_off);
	test_add(suite, "no_restart", without_restart_it_stays_down_until_asked);
	test_add(suite, "mended", a_mended_gpu_ends_the_back_off);
	test_add(suite, "restart", a_restart_ends_and_starts_all_replicas);
	test_add(suite, "refused", a_refused_start_is_an_error_of_the_configuration);
	test_add(suite, "move", replicas_of_a_dead_node_move_after_a_while);
	test_add(suite, "no_room", without_room_it_keeps_its_place);
	test_add(suite, "frozen", a_node_that_was_frozen_goes_on);
	test_add(suite, "deleted", what_is_deleted_on_a_dead_node_is_gone);
	test_add(suite, "gang", a_gang_starts_whole_and_moves_to_its_spare);
	test_add(suite, "gang_queue", a_gang_without_nodes_queues);
	test_add(suite, "job", a_job_ends_stops_and_fails);
	test_add(suite, "spec", a_spec_becomes_documents_and_commands);
	test_add(suite, "routes", routes_hold_weights_and_addresses);
	test_add_loop(suite, "bad_spec", bad_specs_are_refused,
		      (int)(sizeof(bad_specs) / sizeof(bad_specs[0])));
	test_add(suite, "shapes", shapes_say_their_gpus);
	test_add(suite, "patch", patches_merge_as_the_standard_says);
	test_add(suite, "state", a_state_goes_on_where_it_was);
	test_add(suite, "bad_state", a_broken_state_is_refused);
	test_add(suite, "shard", a_damaged_shard_is_found);
	test_add(suite, "prune", old_and_abandoned_checkpoints_go);
	test_add(suite, "manifest", manifests_are_read_as_they_were_written);
	test_add(suite, "sums", a_wrong_resume_shows_in_the_sums);
	test_add(suite, "keys", keys_stay_in_their_folder);
	test_add(suite, "list", lists_are_sorted_and_paged);
	test_add(suite, "range", ranges_are_of_the_object);
	test_add(suite, "multipart", uploads_are_found_in_their_parts);
}

TEST_MAIN("minilepton_control", add_cases)
