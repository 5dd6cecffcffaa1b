/* SPDX-License-Identifier: Apache-2.0 */
/* What faults plan, how effects are judged by readings, and that the null driver shows none. */
#include <stdio.h>
#include <string.h>

#include "core/driver.h"
#include "core/errno_names.h"
#include "core/param.h"
#include "core/yaml.h"
#include "drivers/drivers.h"
#include "faults/faults.h"
#include "tests/test.h"

#define GOLDEN "tests/golden/faults.txt"
#define LINE_MAX_ 512
#define ENTITIES_MAX 8
#define FAULTS_MAX 128
#define KINDS ENTITY_KINDS

static const char *const kind_names[KINDS] = {
	"none",    "site", "rack", "node",   "gpu",     "link", "store",      "endpoint",
	"replica", "job",  "data", "backup", "standby", "rank", "checkpoint",
};

/* ---- a deployment of two sites ---- */

static const struct site sites[] = {
	{.name = "primary", .nodes = 4, .racks = 2, .gpus = 8, .nic = 25e9, .disk = 6e9},
	{.name = "backup", .nodes = 4, .racks = 1, .gpus = 8, .standby = {.heat = HEAT_WARM}},
};
static const struct link links[] = {
	{.site = {0, 1}, .rate = 1e9, .latency = 12 * NANOS_MS, .loss = 1e-3}};
static const struct endpoint endpoints[] = {
	{.name = "chat",
	 .site = 0,
	 .replicas = 2,
	 .gpus_per_replica = 8,
	 .model_bytes = 140,
	 .load = {.rate = 120}},
};

static const struct job jobs[] = {
	{.name = "pretrain", .site = 0, .nodes = 4, .step = NANOS_S, .checkpoint.bytes = 600},
};

static struct scenario make_scenario(void)
{
	struct scenario scenario = {.name = "test"};
	struct deployment *deployment = &scenario.deployment;

	deployment->sites = sites;
	deployment->site_count = 2;
	deployment->links = links;
	deployment->link_count = 1;
	deployment->endpoints = endpoints;
	deployment->endpoint_count = 1;
	deployment->jobs = jobs;
	deployment->job_count = 1;
	deployment->data[DATA_MODEL] = (struct data){.declared = true, .bytes = 140};
	deployment->data[DATA_IO] =
		(struct data){.declared = true, .bytes = 20, .change = 1e6, .records = 120};
	deployment->store = (struct store){.declared = true, .site = 1, .read = 8e9, .write = 4e9};
	scenario.policies[0].classes = DATA_BIT(DATA_MODEL) | DATA_BIT(DATA_IO);
	scenario.policy_count = 1;
	return scenario;
}

/* ---- golden cases: `NAME {PARAMS} on ENTITY…`, then the effects ---- */

struct promises {
	effect_mask effects;
	uint32_t targets;
};

struct golden_case {
	const struct fault_ops *fault;
	void *values;
	struct entity entities[ENTITIES_MAX];
	size_t count;
	struct effects effects;
};

/* Fills a parameter struct as the scenario loader does; -1 when the rows refuse a value. */
static int load_params(const struct fault_ops *fault, const char *text, struct arena *arena,
		       void **ret)
{
	struct param_context context = {.arena = arena};
	struct yaml_node *root;
	struct error e = {0};

	context.errors.arena = arena;
	context.errors.file = "golden";
	ck_assert_msg(!yaml_parse("golden", text, strlen(text), arena, &root, &e), "%s", e.text);
	*ret = arena_alloc(arena, fault->params_size + 1);
	return params_load(root, "a step", fault->params, *ret, &context, NULL);
}

static void parse_entities(char *text, struct golden_case *ret)
{
	char *rest = NULL;

	for (char *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
		struct entity *entity = &ret->entities[ret->count];
		char name[16];
		int kind = 0;

		ck_assert_uint_lt(ret->count++, ENTITIES_MAX);
		ck_assert_msg(sscanf(word, "%15[a-z](%u,%d,%u)", name, &entity->site,
				     &entity->index, &entity->part) == 4,
			      "not an entity: %s", word);
		while (kind < (int)KINDS && strcmp(kind_names[kind], name) != 0)
			kind++;
		ck_assert_msg(kind < (int)KINDS, "no entity kind: %s", name);
		entity->kind = (enum entity_kind)kind;
	}
}

static void parse_case(const char *line, struct arena *arena, struct golden_case *ret)
{
	char *text = arena_strdup(arena, line);
	char *params = strchr(text, ' ');
	char *on = strstr(text, " on ");
	struct error e = {0};
	struct prng prng;

	*ret = (struct golden_case){.effects.arena = arena};
	ck_assert_msg(params && on && on > params, "not a case: %s", line);
	*params++ = '\0';
	*on = '\0';
	ret->fault = fault_find(text);
	ck_assert_msg(ret->fault != NULL, "no fault: %s", text);
	ck_assert_int_eq(load_params(ret->fault, params, arena, &ret->values), 0);
	parse_entities(on + 4, ret);
	prng_open(&prng, 1, 0, 0, PRNG_FAULT);
	ck_assert_int_eq(
		ret->fault->plan(ret->values, ret->entities, ret->count, &prng, &ret->effects, &e),
		0);
}

static void print_operations(FILE *out, const struct operations *o)
{
	char when[WHEN_TEXT_MAX], files[OPERATIONS_TEXT_MAX];

	fprintf(out, "    calls %s files %s path %s fd %s when %s count %llu",
		o->calls ? o->calls : "-", operations_print_files(o->files, files),
		o->path ? o->path : "-", fd_kind_names[o->fd], when_text(when, &o->when),
		(unsigned long long)o->count);
	fprintf(out, " error %s value %lld parts %u persist %llx seed %016llx\n",
		o->error ? errno_name(o->error) : "-", (long long)o->value, o->parts,
		(unsigned long long)o->persist, (unsigned long long)o->seed);
}

static void print_impairment(FILE *out, const struct impairment *i)
{
	fprintf(out, "    direction %s match %s correlation %g distribution %s gap %u loss %s",
		direction_names[i->direction], i->match ? i->match : "-", i->correlation,
		delay_distribution_names[i->distribution], i->gap, loss_model_names[i->loss]);
	fprintf(out, " p %g r %g 1-h %g 1-k %g p13 %g p31 %g p32 %g p23 %g p14 %g\n", i->p, i->r,
		i->one_h, i->one_k, i->p13, i->p31, i->p32, i->p23, i->p14);
}

/* From whom this one is cut off, by number. */
static void print_partition(FILE *out, const struct partition *partition, struct entity entity)
{
	size_t i = 0;

	while (i + 1 < partition->count && !entity_equal(partition->entities[i], entity))
		i++;
	fprintf(out, "    shape %s direction %s%s, off from",
		partition_shape_names[partition->shape], direction_names[partition->direction],
		partition->interface ? " interface" : "");
	for (size_t k = 0; k < partition->count; k++)
		if (partition_cuts(partition, i, k))
			fprintf(out, " %zu", k);
	fputc('\n', out);
}

static void print_effects(FILE *out, const struct effects *effects)
{
	for (size_t i = 0; i < effects->count; i++) {
		const struct effect *effect = &effects->items[i];

		fprintf(out, "  %s %s(%u,%d,%u) amount %lld spread %lld fraction %g\n",
			effect_names[effect->kind], kind_names[effect->entity.kind],
			effect->entity.site, effect->entity.index, effect->entity.part,
			(long long)effect->amount, (long long)effect->spread, effect->fraction);
		if (effect->operations)
			print_operations(out, effect->operations);
		if (effect->impairment)
			print_impairment(out, effect->impairment);
		if (effect->partition)
			print_partition(out, effect->partition, effect->entity);
	}
}

/* Calls `each` for every case of the golden file; the text of the file is in *ret_text. */
static void each_case(struct arena *arena, void (*each)(struct golden_case *golden, void *self),
		      void *self, FILE *echo)
{
	FILE *file = fopen(GOLDEN, "r");
	char line[LINE_MAX_];

	ck_assert_msg(file != NULL, "%s cannot be read; run from the repository's root", GOLDEN);
	while (fgets(line, sizeof(line), file)) {
		struct golden_case golden;

		if (line[0] == ' ')
			continue;
		if (echo)
			fputs(line, echo);
		if (line[0] == '#')
			continue;
		parse_case(line, arena, &golden);
		each(&golden, self);
	}
	fclose(file);
}

static void print_case(struct golden_case *golden, void *self)
{
	print_effects(self, &golden->effects);
}

START_TEST(golden_file)
{
	struct arena arena = {0};
	struct error e = {0};
	char *made = NULL, *stored = NULL;
	size_t size = 0, stored_size = 0;
	FILE *out = open_memstream(&made, &size);

	each_case(&arena, print_case, out, out);
	fclose(out);
	ck_assert_int_eq(yaml_read_file(GOLDEN, 1 << 20, &arena, &stored, &stored_size, &e), 0);
	ck_assert_str_eq(made, stored);
	free(made);
	arena_free(&arena);
}
END_TEST

static size_t number_of(const struct fault_ops *fault)
{
	size_t i = 0;

	while (fault_table[i] != fault)
		i++;
	ck_assert_uint_lt(i, FAULTS_MAX);
	return i;
}

/* What a fault plans, it says it needs; what it takes as a target, its mask says. It leaves out
 * none of the things that were selected. */
static void check_promises(struct golden_case *golden, void *self)
{
	struct promises *kept = (struct promises *)self + number_of(golden->fault);

	for (size_t i = 0; i < golden->effects.count; i++) {
		kept->effects |= EFFECT_BIT(golden->effects.items[i].kind);
		ck_assert_double_eq(golden->effects.items[i].fraction, 1);
	}
	/* In a partition there may be who sees all others. */
	if (golden->effects.items[0].partition) {
		ck_assert_uint_gt(golden->effects.count, 0);
	} else {
		ck_assert_uint_ge(golden->effects.count, golden->count);
		ck_assert_uint_eq(golden->effects.count % golden->count, 0);
	}
	for (size_t i = 0; i < golden->count; i++) {
		ck_assert(golden->fault->targets & TARGET_BIT(golden->entities[i].kind));
		kept->targets |= TARGET_BIT(golden->entities[i].kind);
	}
}

START_TEST(every_fault_has_a_case)
{
	struct promises kept[FAULTS_MAX] = {0};
	struct arena arena = {0};

	each_case(&arena, check_promises, kept, NULL);
	for (size_t i = 0; fault_table[i]; i++) {
		ck_assert_msg(kept[i].effects == fault_table[i]->needs,
			      "the golden cases of %s do not show all of its effects",
			      fault_table[i]->name);
		ck_assert_msg(kept[i].targets == fault_table[i]->targets,
			      "the golden cases of %s do not show all of its targets",
			      fault_table[i]->name);
	}
	arena_free(&arena);
}
END_TEST

/* ---- the catalogue ---- */

static const struct {
	const char *name;
	uint32_t targets;
} accepted[] = {
	{"gpu.lost", 1u << ENTITY_GPU},
	{"gpu.fallen_off_bus", 1u << ENTITY_GPU},
	{"gpu.xid", 1u << ENTITY_GPU},
	{"gpu.ecc", 1u << ENTITY_GPU},
	{"gpu.thermal", 1u << ENTITY_GPU},
	{"gpu.nvlink_down", 1u << ENTITY_GPU},
	{"gpu.straggler", 1u << ENTITY_GPU},
	{"gpu.sdc", 1u << ENTITY_GPU},
	{"gpu.hang", 1u << ENTITY_GPU},
	{"net.duplicate", 1u << ENTITY_SITE | 1u << ENTITY_NODE | 1u << ENTITY_LINK},
	{"net.corrupt", 1u << ENTITY_SITE | 1u << ENTITY_NODE | 1u << ENTITY_LINK},
	{"net.reorder", 1u << ENTITY_SITE | 1u << ENTITY_NODE | 1u << ENTITY_LINK},
	{"net.reset_peer", 1u << ENTITY_SITE | 1u << ENTITY_NODE},
	{"net.interface_down", 1u << ENTITY_NODE},
	{"net.mtu", 1u << ENTITY_SITE | 1u << ENTITY_NODE | 1u << ENTITY_LINK},
	{"sys.error", 1u << ENTITY_NODE | 1u << ENTITY_REPLICA | 1u << ENTITY_ENDPOINT |
			      1u << ENTITY_JOB | 1u << ENTITY_RANK},
	{"sys.retval", 1u << ENTITY_NODE | 1u << ENTITY_REPLICA | 1u << ENTITY_ENDPOINT |
			       1u << ENTITY_JOB | 1u << ENTITY_RANK},
	{"sys.delay", 1u << ENTITY_NODE | 1u << ENTITY_REPLICA | 1u << ENTITY_ENDPOINT |
			      1u << ENTITY_JOB | 1u << ENTITY_RANK},
	{"disk.hang", 1u << ENTITY_NODE | 1u << ENTITY_STORE},
	{"nvme.timeout", 1u << ENTITY_NODE},
	{"disk.badblocks", 1u << ENTITY_NODE | 1u << ENTITY_STORE},
	{"disk.inode_fill", 1u << ENTITY_NODE | 1u << ENTITY_STORE},
	{"io.errno", 1u << ENTITY_NODE | 1u << ENTITY_STORE},
	{"io.latency", 1u << ENTITY_NODE | 1u << ENTITY_STORE},
	{"fs.lost_fsync", 1u << ENTITY_NODE},
	{"fs.torn_op", 1u << ENTITY_NODE},
	{"fs.torn_seq", 1u << ENTITY_NODE},
	{"node.crash", 1u << ENTITY_NODE},
	{"node.reboot", 1u << ENTITY_NODE},
	{"node.hang", 1u << ENTITY_NODE},
	{"node.gray", 1u << ENTITY_NODE},
	{"rack.power_loss", 1u << ENTITY_RACK},
	{"psu.loss", 1u << ENTITY_NODE},
	{"zone.outage", 1u << ENTITY_SITE},
	{"region.outage", 1u << ENTITY_SITE},
	{"nic.fail", 1u << ENTITY_NODE},
	{"ib.flap", 1u << ENTITY_NODE},
	{"net.partition", 1u << ENTITY_SITE | 1u << ENTITY_NODE | 1u << ENTITY_LINK},
	{"net.blackhole", 1u << ENTITY_SITE | 1u << ENTITY_NODE},
	{"net.flap", 1u << ENTITY_SITE | 1u << ENTITY_NODE | 1u << ENTITY_LINK},
	{"net.loss", 1u << ENTITY_SITE | 1u << ENTITY_NODE | 1u << ENTITY_LINK},
	{"net.delay", 1u << ENTITY_SITE | 1u << ENTITY_NODE | 1u << ENTITY_LINK},
	{"net.rate", 1u << ENTITY_SITE | 1u << ENTITY_NODE | 1u << ENTITY_LINK},
	{"cpu.burn", 1u << ENTITY_NODE},
	{"mem.fill", 1u << ENTITY_NODE},
	{"cgroup.squeeze", 1u << ENTITY_REPLICA | 1u << ENTITY_ENDPOINT},
	{"proc.oom",
	 1u << ENTITY_REPLICA | 1u << ENTITY_ENDPOINT | 1u << ENTITY_JOB | 1u << ENTITY_RANK},
	{"proc.kill",
	 1u << ENTITY_REPLICA | 1u << ENTITY_ENDPOINT | 1u << ENTITY_JOB | 1u << ENTITY_RANK},
	{"proc.pause",
	 1u << ENTITY_REPLICA | 1u << ENTITY_ENDPOINT | 1u << ENTITY_JOB | 1u << ENTITY_RANK},
	{"proc.crash_loop", 1u << ENTITY_REPLICA | 1u << ENTITY_ENDPOINT},
	{"proc.slow_start", 1u << ENTITY_REPLICA | 1u << ENTITY_ENDPOINT},
	{"disk.fill", 1u << ENTITY_NODE | 1u << ENTITY_STORE},
	{"disk.readonly", 1u << ENTITY_NODE | 1u << ENTITY_STORE},
	{"disk.error", 1u << ENTITY_NODE | 1u << ENTITY_STORE},
	{"disk.throttle", 1u << ENTITY_NODE | 1u << ENTITY_STORE},
	{"data.bitflip", 1u << ENTITY_DATA | 1u << ENTITY_REPLICA},
	{"data.zero", 1u << ENTITY_DATA},
	{"data.misdirect", 1u << ENTITY_DATA},
	{"data.truncate", 1u << ENTITY_DATA},
	{"data.stale", 1u << ENTITY_DATA},
	{"data.encrypt", 1u << ENTITY_DATA},
	{"data.delete", 1u << ENTITY_DATA},
	{"ckpt.corrupt", 1u << ENTITY_CHECKPOINT},
	{"ckpt.missing_shard", 1u << ENTITY_CHECKPOINT},
	{"ckpt.torn_save", 1u << ENTITY_CHECKPOINT},
	{"backup.corrupt", 1u << ENTITY_BACKUP},
	{"backup.missing", 1u << ENTITY_BACKUP},
	{"backup.stale", 1u << ENTITY_BACKUP},
	{"backup.job_fail", 1u << ENTITY_STORE},
	{"restore.interrupt", 1u << ENTITY_STORE},
	{"restore.slow", 1u << ENTITY_STORE},
	{"objstore.unavailable", 1u << ENTITY_STORE},
	{"objstore.throttle", 1u << ENTITY_STORE},
	{"standby.unavailable", 1u << ENTITY_STANDBY},
	{"standby.undersized", 1u << ENTITY_STANDBY},
	{"failover.capacity_insufficient", 1u << ENTITY_STANDBY},
	{"repl.lag", 1u << ENTITY_STANDBY},
	{"repl.split_brain", 1u << ENTITY_STANDBY},
	{"clock.skew", 1u << ENTITY_SITE | 1u << ENTITY_NODE},
	{"lepton.api_unavailable", 1u << ENTITY_SITE},
	{"lepton.replica_unready", 1u << ENTITY_REPLICA | 1u << ENTITY_ENDPOINT},
	{"k8s.pending_pods", 1u << ENTITY_SITE},
	{"dep.slow", 1u << ENTITY_ENDPOINT},
	{"traffic.surge", 1u << ENTITY_ENDPOINT},
	{"deploy.bad_model", 1u << ENTITY_ENDPOINT},
};

START_TEST(targets_are_as_documented)
{
	const struct fault_ops *fault = fault_find(accepted[_i].name);

	ck_assert_ptr_nonnull(fault);
	ck_assert_uint_eq(fault->targets, accepted[_i].targets);
}
END_TEST

START_TEST(catalogue_is_complete)
{
	for (size_t i = 0; fault_table[i]; i++) {
		const struct fault_ops *fault = fault_table[i];
		size_t group = strlen(fault->group);

		ck_assert_int_eq(strncmp(fault->name, fault->group, group), 0);
		ck_assert_int_eq(fault->name[group], '.');
		ck_assert_int_eq(fault->help[strlen(fault->help) - 1], '.');
		ck_assert(fault->needs != 0);
		ck_assert_uint_ne(fault->targets, 0);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(fault->name, fault_table[j]->name);
		for (const struct param *row = fault->params; row->name; row++) {
			ck_assert_uint_lt(row->offset, fault->params_size);
			ck_assert_ptr_nonnull(row->preset);
			ck_assert_int_eq(row->help[strlen(row->help) - 1], '.');
		}
	}
	ck_assert_ptr_null(fault_find("gpu.los"));
}
END_TEST

static const struct {
	const char *fault, *params;
	int result;
} loads[] = {
	{"gpu.xid", "{code: 0}", -1},
	{"gpu.xid", "{code: 1}", 0},
	{"gpu.xid", "{code: 255}", 0},
	{"gpu.xid", "{code: 256}", -1},
	{"gpu.xid", "{code: -79}", -1},
	{"gpu.xid", "{code: 79s}", -1},
	{"gpu.xid", "{xid: 79}", -1},
	{"gpu.lost", "{code: 79}", -1},
	{"net.delay", "{latency: 0s}", -1},
	{"net.delay", "{latency: 100}", -1},
	{"net.delay", "{latency: 1h, jitter: 0s}", 0},
	{"net.delay", "{latency: 2h}", -1},
	{"proc.kill", "{signal: SIGTERM}", 0},
	{"proc.kill", "{signal: 9}", -1},
	{"proc.kill", "{signal: SIGSTOP}", -1},
	{"data.bitflip", "{count: 0}", -1},
	{"data.bitflip", "{count: 1000000000}", 0},
	{"data.bitflip", "{count: 1000000001}", -1},
	{"backup.corrupt", "{count: 0}", -1},
	{"backup.corrupt", "{count: 3}", 0},
	{"gpu.ecc", "{type: dbl}", -1},
	{"gpu.ecc", "{type: 48}", -1},
	{"gpu.fallen_off_bus", "{code: 79}", -1},
	{"gpu.thermal", "{celsius: 90, slowdown_at: 80, shutdown_at: 100}", 0},
	{"gpu.thermal", "{celsius: 90C}", -1},
	{"gpu.thermal", "{celsius: 201}", -1},
	{"gpu.nvlink_down", "{links: 0}", -1},
	{"gpu.nvlink_down", "{links: 18}", 0},
	{"gpu.nvlink_down", "{links: 19}", -1},
	{"gpu.nvlink_down", "{traffic: 0%}", -1},
	{"gpu.nvlink_down", "{traffic: 0.3}", -1},
	{"gpu.straggler", "{slowdown: 1}", -1},
	{"gpu.straggler", "{slowdown: 3x}", -1},
	{"gpu.straggler", "{slowdown: 1001}", -1},
	{"gpu.sdc", "{rate: 0%}", -1},
	{"gpu.sdc", "{rate: 0.0001%}", 0},
	{"gpu.sdc", "{rate: 101%}", -1},
	{"node.gray", "{latency: 0s}", 0},
	{"node.gray", "{latency: 2}", -1},
	{"node.gray", "{error_rate: 120%}", -1},
	{"node.reboot", "{mode: soft}", -1},
	{"node.reboot", "{takes: 0s}", -1},
	{"psu.loss", "{feed: 1}", -1},
	{"nic.fail", "{rate: 0}", -1},
	{"nic.fail", "{ports: 1}", -1},
	{"ib.flap", "{down: 0s}", -1},
	{"ib.flap", "{up: 0s}", -1},
	{"ib.flap", "{period: 1m}", -1},
	{"net.flap", "{down: 1ms, up: 1ms}", 0},
	{"net.loss", "{percent: 0%}", -1},
	{"net.loss", "{1-h: 50}", -1},
	{"net.loss", "{model: gilbert}", -1},
	{"net.delay", "{distribution: gauss}", -1},
	{"net.partition", "{shape: half}", -1},
	{"net.duplicate", "{percent: 0%}", -1},
	{"net.corrupt", "{direction: in}", -1},
	{"net.reorder", "{gap: -1}", -1},
	{"net.reset_peer", "{timeout: 0}", -1},
	{"net.mtu", "{bytes: 67}", -1},
	{"net.mtu", "{bytes: 68}", 0},
	{"sys.error", "{fd: pipes}", -1},
	{"sys.error", "{probability: 0%}", -1},
	{"sys.retval", "{value: -1}", -1},
	{"nvme.timeout", "{timeout: 0s}", -1},
	{"disk.badblocks", "{share: 0%}", -1},
	{"disk.inode_fill", "{percent: 101%}", -1},
	{"io.errno", "{percent: 0%}", -1},
	{"io.latency", "{time: 0s}", -1},
	{"fs.lost_fsync", "{lies: sometimes}", -1},
	{"fs.torn_op", "{parts: 65}", -1},
	{"fs.torn_seq", "{occurrence: 0}", -1},
	{"net.duplicate", "{correlation: 1%}", -1},
	{"net.loss", "{percent: 10}", -1},
	{"net.rate", "{rate: 0B/s}", -1},
	{"net.rate", "{rate: 1Gbit}", -1},
	{"net.blackhole", "{ports: 80}", -1},
	{"proc.crash_loop", "{interval: 0s}", -1},
	{"proc.slow_start", "{delay: 0s}", -1},
	{"disk.throttle", "{rate: 0B/s}", -1},
	{"data.truncate", "{share: 0%}", -1},
	{"data.stale", "{age: 0s}", -1},
	{"data.stale", "{age: 7301d}", -1},
	{"backup.stale", "{age: 0s}", -1},
	{"restore.interrupt", "{at_percent: 50%}", -1},
	{"restore.slow", "{rate: 0B/s}", -1},
	{"objstore.throttle", "{rate: 85}", -1},
	{"standby.undersized", "{share: 0%}", -1},
	{"repl.lag", "{lag: 0s}", -1},
	{"repl.split_brain", "{share: 0%}", -1},
	{"clock.skew", "{offset: -5m}", -1},
	{"clock.skew", "{offset: 0s}", -1},
	{"clock.skew", "{direction: forwards}", -1},
	{"clock.skew", "{tolerance: 0s}", 0},
	{"dep.slow", "{latency: 0s}", -1},
	{"traffic.surge", "{multiplier: 1}", -1},
	{"traffic.surge", "{multiplier: 200%}", -1},
	{"deploy.bad_model", "{share: 1%}", -1},
	{"disk.fill", "{percent: 0%}", -1},
	{"disk.fill", "{percent: 1%}", 0},
	{"disk.fill", "{percent: 101%}", -1},
	{"cpu.burn", "{workers: -1}", -1},
	{"cpu.burn", "{workers: 65536, load: 1%}", 0},
	{"cpu.burn", "{workers: 65537}", -1},
	{"cpu.burn", "{load: 0%}", -1},
	{"cpu.burn", "{load: 101%}", -1},
	{"mem.fill", "{size: 0B}", 0},
	{"mem.fill", "{size: 100}", -1},
	{"mem.fill", "{percent: 0%}", -1},
	{"mem.fill", "{percent: 101%}", -1},
	{"cgroup.squeeze", "{cpu: 0%}", -1},
	{"cgroup.squeeze", "{cpu: 100%}", -1},
	{"cgroup.squeeze", "{cpu: 99%}", 0},
	{"proc.oom", "{signal: SIGKILL}", -1},
	{"data.zero", "{count: 0}", -1},
	{"data.zero", "{length: 0B}", -1},
	{"data.zero", "{length: 512}", -1},
	{"data.misdirect", "{src: 101%}", -1},
	{"data.misdirect", "{src: 0%, dst: 100%}", 0},
};

START_TEST(params_are_checked)
{
	struct arena arena = {0};
	void *values;
	int result = load_params(fault_find(loads[_i].fault), loads[_i].params, &arena, &values);

	ck_assert_msg(result == loads[_i].result, "%s %s: %d", loads[_i].fault, loads[_i].params,
		      result);
	arena_free(&arena);
}
END_TEST

/* Each value may be right and all of them together wrong: plan() says so. */
static const struct {
	const char *fault, *params, *text;
} refused[] = {
	{"gpu.thermal", "{celsius: 88.5}",
	 "at 88.5 degrees nothing happens to a GPU that slows down at 89 degrees"},
	{"gpu.thermal", "{celsius: 99, slowdown_at: 95, shutdown_at: 90}",
	 "a GPU cannot shut down at 90 degrees before it slows down at 95 degrees"},
	{"node.gray", "{latency: 0s, error_rate: 0%}",
	 "a gray node needs a latency or an error_rate above 0"},
	{"data.misdirect", "{src: 75%}",
	 "a block that is written where it was read from harms nothing; 'src' and 'dst' must "
	 "differ"},
	{"sys.error", "{error: ENOSPACE}", "there is no error 'ENOSPACE'; did you mean 'ENOSPC'?"},
	{"sys.error", "{calls: \"read,,write\"}",
	 "'read,,write' is no list of system calls; write openat,pwrite64"},
	{"sys.error", "{calls: Read}", "'Read' is no list of system calls; write openat,pwrite64"},
	{"sys.error", "{calls: \"read,write,read\"}", "'read' stands in the list twice"},
	{"sys.delay", "{when: 0}",
	 "'0': the first is 0, but they count from 1; expected FIRST[..LAST][+[STEP]], like 3, 3+, "
	 "3+2, 3..7 or 3..7+2"},
	{"sys.retval", "{path: data}", "'path' of system calls begins with '/', not as 'data'"},
	{"io.errno", "{methods: \"read,fsync\"}",
	 "there is no operation 'fsync' on files; did you mean 'sync'?"},
	{"io.errno", "{methods: \"sync,sync\"}", "'sync' stands in the list twice"},
	{"io.errno", "{error: EWHATEVER}", "there is no error 'EWHATEVER', such as EIO or ENOSPC"},
	{"io.latency", "{time: 1ms, jitter: 2ms}",
	 "'jitter' is longer than 'time': an operation cannot end before it began"},
	{"fs.torn_seq", "{persist: none}",
	 "one write at least is there after the crash, which it brings"},
	{"fs.torn_op", "{parts: 2, persist: 3}", "there is no part 3: they count from 1 to 2"},
	{"fs.torn_seq", "{persist: \"1,1\"}", "part 1 stands in the list twice"},
	{"fs.torn_seq", "{persist: first}", "'first' is no list of parts; write 1,3 or none"},
	{"net.loss", "{model: state, p31: 0%}",
	 "each state needs a way out, and no more than 100% may leave it"},
	{"net.loss", "{model: gemodel, p: 0%}", "with these states none is lost"},
	{"net.loss", "{model: gemodel, correlation: 10%}",
	 "'correlation' goes with model random: states are correlated already"},
	{"net.partition", "{shape: custom, groups: \"a,b\"}",
	 "the shape 'custom' needs 2 things at least, not 1"},
};

START_TEST(params_that_cannot_stand_together)
{
	const struct fault_ops *fault = fault_find(refused[_i].fault);
	const struct entity entity = {.kind = ENTITY_NODE};
	struct arena arena = {0};
	struct effects effects = {.arena = &arena};
	struct error e = {0};
	struct prng prng;
	void *values;

	prng_open(&prng, 1, 0, 0, PRNG_FAULT);
	ck_assert_int_eq(load_params(fault, refused[_i].params, &arena, &values), 0);
	ck_assert_int_eq(fault->plan(values, &entity, 1, &prng, &effects, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_SCENARIO);
	ck_assert_str_eq(e.text, refused[_i].text);
	ck_assert_uint_eq(effects.count, 0);
	arena_free(&arena);
}
END_TEST

START_TEST(shapes_need_their_number)
{
	const struct entity nodes[] = {{.kind = ENTITY_NODE}, {.kind = ENTITY_NODE, .index = 1}};
	const struct entity link = {.kind = ENTITY_LINK};
	struct arena arena = {0};
	struct effects effects = {.arena = &arena};
	struct error e = {0}, f = {0}, g = {0};
	void *values;

	ck_assert_int_eq(load_params(&fault_net_partition, "{shape: ring}", &arena, &values), 0);
	ck_assert_int_eq(fault_net_partition.plan(values, nodes, 2, NULL, &effects, &e), -1);
	ck_assert_str_eq(e.text, "the shape 'ring' needs 4 things at least, not 2");
	ck_assert_int_eq(fault_net_partition.plan(values, &link, 1, NULL, &effects, &f), -1);
	ck_assert_str_eq(f.text, "a shape is between sites or nodes, not on a link");
	ck_assert_int_eq(load_params(&fault_net_partition, "{shape: custom, groups: \"0|2\"}",
				     &arena, &values),
			 0);
	ck_assert_int_eq(fault_net_partition.plan(values, nodes, 2, NULL, &effects, &g), -1);
	ck_assert_str_eq(g.text, "'groups' go up to 1: 2 things take part");
	g = (struct error){0};
	ck_assert_int_eq(load_params(&fault_net_partition, "{shape: custom}", &arena, &values), 0);
	ck_assert_int_eq(fault_net_partition.plan(values, nodes, 2, NULL, &effects, &g), -1);
	ck_assert_str_eq(g.text, "shape custom needs 'groups', such as 0,1|2,3");
	g = (struct error){0};
	ck_assert_int_eq(load_params(&fault_net_partition, "{shape: custom, groups: \"a,b\"}",
				     &arena, &values),
			 0);
	ck_assert_int_eq(fault_net_partition.plan(values, nodes, 2, NULL, &effects, &g), -1);
	ck_assert_str_eq(g.text, "'groups' are numbers from 0, such as 0,1|1,2, at most 64 groups");
	arena_free(&arena);
}
END_TEST

/* With its presets alone, every fault does something to everything that it accepts. */
START_TEST(presets_suffice)
{
	struct arena arena = {0};

	for (size_t i = 0; fault_table[i]; i++) {
		for (int kind = 0; kind < KINDS; kind++) {
			const struct entity entity = {.kind = (enum entity_kind)kind};
			struct effects effects = {.arena = &arena};
			struct error e = {0};
			struct prng prng;
			void *values;

			if (!(fault_table[i]->targets & TARGET_BIT(kind)))
				continue;
			prng_open(&prng, 1, 0, 0, PRNG_FAULT);
			ck_assert_int_eq(load_params(fault_table[i], "{}", &arena, &values), 0);
			ck_assert_msg(
				fault_table[i]->plan(values, &entity, 1, &prng, &effects, &e) == 0,
				"%s: %s", fault_table[i]->name, e.text);
			ck_assert_uint_ge(effects.count, 1);
		}
	}
	arena_free(&arena);
}
END_TEST

/* Of a fault with two effects on each target, the second may be the one too many. */
START_TEST(too_many_effects)
{
	static struct entity entities[EFFECTS_PER_FAULT_MAX + 1];
	struct arena arena = {0};
	struct effects effects = {.arena = &arena};
	struct error e = {0};
	void *values;

	ck_assert_int_eq(
		fault_gpu_lost.plan(NULL, entities, EFFECTS_PER_FAULT_MAX + 1, NULL, &effects, &e),
		-1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT);
	ck_assert_int_eq(fault_standby_unavailable.plan(NULL, entities, 1, NULL, &effects, NULL),
			 -1);
	ck_assert_int_eq(
		fault_failover_capacity_insufficient.plan(NULL, entities, 1, NULL, &effects, NULL),
		-1);
	effects.count = 0;
	ck_assert_int_eq(load_params(&fault_node_gray, "{}", &arena, &values), 0);
	ck_assert_int_eq(fault_node_gray.plan(values, entities, EFFECTS_PER_FAULT_MAX + 1, NULL,
					      &effects, NULL),
			 -1);
	effects.count = 0;
	ck_assert_int_eq(fault_node_gray.plan(values, entities, EFFECTS_PER_FAULT_MAX / 2 + 1, NULL,
					      &effects, NULL),
			 -1);
	arena_free(&arena);
}
END_TEST

/* ---- the judge ---- */

static const struct {
	enum effect_kind kind;
	bool visible;
	struct reading before, after;
	const char *text;
} judged[] = {
	{EFFECT_GPU_GONE,
	 true,
	 {.gpus_visible = 32},
	 {.gpus_visible = 31},
	 "GPUs visible 32 -> 31"},
	{EFFECT_GPU_GONE,
	 false,
	 {.gpus_visible = 31},
	 {.gpus_visible = 32},
	 "GPUs visible 31 -> 32"},
	{EFFECT_GPU_XID,
	 true,
	 {0},
	 {.xid_lines = 1, .xid = 79},
	 "Xid lines 0 -> 1, the latest: 79"},
	{EFFECT_GPU_XID,
	 false,
	 {.xid_lines = 1, .xid = 13},
	 {.xid_lines = 1, .xid = 79},
	 "Xid lines 1 -> 1"},
	{EFFECT_POWER_OFF,
	 true,
	 {.nodes_powered = 4},
	 {.nodes_powered = 2},
	 "nodes with power 4 -> 2"},
	{EFFECT_POWER_OFF,
	 false,
	 {.nodes_powered = 4, .nodes_reachable = 4},
	 {.nodes_powered = 4},
	 "nodes with power 4 -> 4"},
	{EFFECT_NODE_CRASH,
	 true,
	 {.nodes_powered = 1, .nodes_reachable = 1},
	 {.nodes_powered = 1},
	 "nodes reachable 1 -> 0, with power 1 -> 1"},
	{EFFECT_NODE_CRASH,
	 false,
	 {.nodes_powered = 1, .nodes_reachable = 1},
	 {0},
	 "nodes reachable 1 -> 0, with power 1 -> 0"},
	{EFFECT_NODE_CRASH,
	 false,
	 {.nodes_reachable = 1, .nodes_responding = 1},
	 {.nodes_reachable = 1},
	 "nodes reachable 1 -> 1, with power 0 -> 0"},
	{EFFECT_NODE_FREEZE,
	 true,
	 {.nodes_reachable = 1, .nodes_responding = 1},
	 {.nodes_reachable = 1},
	 "nodes responding 1 -> 0, reachable 1 -> 1"},
	{EFFECT_NODE_FREEZE,
	 false,
	 {.nodes_reachable = 1, .nodes_responding = 1},
	 {0},
	 "nodes responding 1 -> 0, reachable 1 -> 0"},
	{EFFECT_NET_CUT, true, {.paths_open = 1}, {.paths_open = 0}, "network paths open 1 -> 0"},
	{EFFECT_NET_CUT,
	 false,
	 {.paths_open = 1, .round_trip = 1},
	 {.paths_open = 1, .round_trip = 9},
	 "network paths open 1 -> 1"},
	{EFFECT_NET_DELAY,
	 true,
	 {.round_trip = 24 * NANOS_MS},
	 {.round_trip = 224 * NANOS_MS},
	 "round trip 24 ms -> 224 ms"},
	{EFFECT_NET_DELAY,
	 false,
	 {.round_trip = 24 * NANOS_MS},
	 {.round_trip = NANOS_NEVER},
	 "round trip 24 ms -> none"},
	{EFFECT_NET_DELAY,
	 false,
	 {.round_trip = NANOS_NEVER},
	 {.round_trip = 24 * NANOS_MS},
	 "round trip none -> 24 ms"},
	{EFFECT_PROC_EXIT,
	 true,
	 {.processes = 2, .process_starts = 2},
	 {.processes = 1, .process_starts = 2},
	 "processes 2 -> 1, starts 2 -> 2"},
	{EFFECT_PROC_EXIT,
	 true,
	 {.processes = 2, .process_starts = 2},
	 {.processes = 2, .process_starts = 3},
	 "processes 2 -> 2, starts 2 -> 3"},
	{EFFECT_PROC_EXIT,
	 false,
	 {.processes = 2, .replicas_ready = 2},
	 {.processes = 2},
	 "processes 2 -> 2, starts 0 -> 0"},
	{EFFECT_DATA_FLIP,
	 true,
	 {.copies = 1},
	 {.copies = 1, .digest_mismatches = 1},
	 "digest mismatches 0 -> 1"},
	{EFFECT_DATA_FLIP, false, {.copies = 1}, {.copies = 0}, "digest mismatches 0 -> 0"},
	{EFFECT_BACKUP_FLIP,
	 true,
	 {.copies = 1},
	 {.copies = 1, .digest_mismatches = 1},
	 "digest mismatches 0 -> 1"},
	{EFFECT_BACKUP_FLIP,
	 false,
	 {.digest_mismatches = 1},
	 {.digest_mismatches = 1},
	 "digest mismatches 1 -> 1"},
	{EFFECT_STANDBY_OUT, true, {.usable = true}, {.usable = false}, "standby usable yes -> no"},
	{EFFECT_STANDBY_OUT,
	 false,
	 {.usable = false},
	 {.usable = false},
	 "standby usable no -> no"},
	{EFFECT_STANDBY_OUT,
	 false,
	 {.usable = true},
	 {.usable = true},
	 "standby usable yes -> yes"},
	{EFFECT_GPU_SLOW,
	 true,
	 {.pace_ppm = 1000000},
	 {.pace_ppm = 333333},
	 "pace of the slowest GPU, ppm: 1000000 -> 333333"},
	{EFFECT_GPU_SLOW,
	 false,
	 {.pace_ppm = 333333},
	 {.pace_ppm = 1000000},
	 "pace of the slowest GPU, ppm: 333333 -> 1000000"},
	{EFFECT_GPU_WRONG,
	 true,
	 {.gpus_wrong = 0},
	 {.gpus_wrong = 1},
	 "GPUs that fail their self-test: 0 -> 1"},
	{EFFECT_GPU_WRONG,
	 false,
	 {.gpus_wrong = 1},
	 {.gpus_wrong = 0},
	 "GPUs that fail their self-test: 1 -> 0"},
	{EFFECT_NODE_REBOOT,
	 true,
	 {.nodes_powered = 4, .nodes_reachable = 4},
	 {.nodes_powered = 4, .nodes_reachable = 3},
	 "nodes reachable 4 -> 3, with power 4 -> 4"},
	{EFFECT_NODE_REBOOT,
	 false,
	 {.nodes_powered = 4, .nodes_reachable = 4},
	 {.nodes_powered = 3, .nodes_reachable = 3},
	 "nodes reachable 4 -> 3, with power 4 -> 3"},
	{EFFECT_SERVE_ERROR,
	 true,
	 {.errors_ppm = 0},
	 {.errors_ppm = 100000},
	 "requests that fail, ppm: 0 -> 100000"},
	{EFFECT_SERVE_ERROR,
	 false,
	 {.errors_ppm = 100000},
	 {.errors_ppm = 0},
	 "requests that fail, ppm: 100000 -> 0"},
	{EFFECT_SERVE_SLOW,
	 true,
	 {.service_added = 0},
	 {.service_added = 2 * NANOS_S},
	 "added to each request, ms: 0 -> 2000"},
	{EFFECT_SERVE_SLOW,
	 false,
	 {.service_added = 2 * NANOS_S},
	 {.service_added = 0},
	 "added to each request, ms: 2000 -> 0"},
	{EFFECT_PROC_FREEZE,
	 true,
	 {.processes_stopped = 0},
	 {.processes_stopped = 1},
	 "processes stopped: 0 -> 1"},
	{EFFECT_PROC_FREEZE,
	 false,
	 {.processes_stopped = 1},
	 {.processes_stopped = 0},
	 "processes stopped: 1 -> 0"},
	{EFFECT_PROC_LOOP,
	 true,
	 {.processes = 1, .process_starts = 1},
	 {.processes = 0, .process_starts = 1},
	 "processes 1 -> 0, starts 1 -> 1"},
	{EFFECT_PROC_LOOP,
	 true,
	 {.processes = 1, .process_starts = 1},
	 {.processes = 1, .process_starts = 2},
	 "processes 1 -> 1, starts 1 -> 2"},
	{EFFECT_PROC_LOOP,
	 false,
	 {.processes = 1, .process_starts = 2},
	 {.processes = 1, .process_starts = 2, .replicas_ready = 1},
	 "processes 1 -> 1, starts 2 -> 2"},
	{EFFECT_START_SLOW,
	 true,
	 {.start_added = 0},
	 {.start_added = NANOS_MINUTE},
	 "added to a start, ms: 0 -> 60000"},
	{EFFECT_START_SLOW,
	 false,
	 {.start_added = NANOS_MINUTE},
	 {.start_added = 0},
	 "added to a start, ms: 60000 -> 0"},
	{EFFECT_REPLICA_UNREADY,
	 true,
	 {.processes = 2, .replicas_ready = 2},
	 {.processes = 2, .replicas_ready = 1},
	 "replicas ready 2 -> 1, processes 2 -> 2"},
	{EFFECT_REPLICA_UNREADY,
	 false,
	 {.processes = 2, .replicas_ready = 2},
	 {.processes = 1, .replicas_ready = 1},
	 "replicas ready 2 -> 1, processes 2 -> 1"},
	{EFFECT_REPLICA_UNREADY,
	 false,
	 {.processes = 2, .replicas_ready = 1},
	 {.processes = 2, .replicas_ready = 2},
	 "replicas ready 1 -> 2, processes 2 -> 2"},
	{EFFECT_NET_LOSS,
	 true,
	 {.loss_ppm = 1000},
	 {.loss_ppm = 100000},
	 "packets lost, ppm: 1000 -> 100000"},
	{EFFECT_NET_LOSS,
	 false,
	 {.loss_ppm = 100000},
	 {.loss_ppm = 1000},
	 "packets lost, ppm: 100000 -> 1000"},
	{EFFECT_NET_RATE,
	 true,
	 {.rate = 12.5e9},
	 {.rate = 125e6},
	 "bandwidth, bytes/s: 1.25e+10 -> 125000000"},
	{EFFECT_NET_RATE,
	 false,
	 {.rate = 125e6},
	 {.rate = 12.5e9},
	 "bandwidth, bytes/s: 125000000 -> 1.25e+10"},
	{EFFECT_NET_FLAP, true, {.paths_open = 2}, {.paths_open = 1}, "network paths open 2 -> 1"},
	{EFFECT_NET_FLAP, false, {.paths_open = 1}, {.paths_open = 2}, "network paths open 1 -> 2"},
	{EFFECT_NET_DROP, true, {.ports_open = 1}, {.ports_open = 0}, "service ports open: 1 -> 0"},
	{EFFECT_NET_DROP,
	 false,
	 {.ports_open = 0},
	 {.ports_open = 1},
	 "service ports open: 0 -> 1"},
	{EFFECT_DISK_FULL,
	 true,
	 {.disks_full = 0},
	 {.disks_full = 1},
	 "disks without space: 0 -> 1"},
	{EFFECT_DISK_FULL,
	 false,
	 {.disks_full = 1},
	 {.disks_full = 0},
	 "disks without space: 1 -> 0"},
	{EFFECT_DISK_FULL,
	 true,
	 {.disks_full = 0, .disk_left_ppm = 1000000},
	 {.disks_full = 1, .disk_left_ppm = 0},
	 "disks without space: 0 -> 1"},
	{EFFECT_DISK_FULL,
	 true,
	 {.disk_left_ppm = 1000000},
	 {.disk_left_ppm = 75000},
	 "space left, ppm: 1000000 -> 75000"},
	{EFFECT_DISK_FULL, /* one was full and is no more */
	 false,
	 {.disks_full = 1, .disk_left_ppm = 0},
	 {.disks_full = 0, .disk_left_ppm = 1000000},
	 "disks without space: 1 -> 0"},
	{EFFECT_DISK_FULL, /* nothing is known of the space now */
	 false,
	 {.disk_left_ppm = 1000000},
	 {.disk_left_ppm = 0},
	 "disks without space: 0 -> 0"},
	{EFFECT_DISK_ERROR,
	 true,
	 {.disks_failing = 0},
	 {.disks_failing = 1},
	 "disks that fail: 0 -> 1"},
	{EFFECT_DISK_ERROR,
	 false,
	 {.disks_failing = 1},
	 {.disks_failing = 0},
	 "disks that fail: 1 -> 0"},
	{EFFECT_DISK_RATE,
	 true,
	 {.disk_rate = 6e9},
	 {.disk_rate = 125e6},
	 "disk throughput, bytes/s: 6e+09 -> 125000000"},
	{EFFECT_DISK_RATE,
	 false,
	 {.disk_rate = 125e6},
	 {.disk_rate = 6e9},
	 "disk throughput, bytes/s: 125000000 -> 6e+09"},
	{EFFECT_DISK_READONLY,
	 true,
	 {.disks_readonly = 0},
	 {.disks_readonly = 1},
	 "read-only disks: 0 -> 1"},
	{EFFECT_DISK_READONLY,
	 false,
	 {.disks_readonly = 1},
	 {.disks_readonly = 0},
	 "read-only disks: 1 -> 0"},
	{EFFECT_DATA_CUT,
	 true,
	 {.content_bytes = 20},
	 {.content_bytes = 10},
	 "bytes there 20 -> 10"},
	{EFFECT_DATA_CUT,
	 false,
	 {.content_bytes = 20},
	 {.content_bytes = 21},
	 "bytes there 20 -> 21"},
	{EFFECT_DATA_OLD,
	 true,
	 {.older = 0},
	 {.older = NANOS_HOUR},
	 "older than its label, ms: 0 -> 3600000"},
	{EFFECT_DATA_OLD,
	 false,
	 {.older = NANOS_HOUR},
	 {.older = 0},
	 "older than its label, ms: 3600000 -> 0"},
	{EFFECT_DATA_SEALED,
	 true,
	 {.unreadable = 0},
	 {.unreadable = 1},
	 "contents that cannot be read: 0 -> 1"},
	{EFFECT_DATA_SEALED,
	 false,
	 {.unreadable = 1},
	 {.unreadable = 0},
	 "contents that cannot be read: 1 -> 0"},
	{EFFECT_DATA_GONE,
	 true,
	 {.content_bytes = 20},
	 {.content_bytes = 0},
	 "bytes there 20 -> 0"},
	{EFFECT_DATA_GONE,
	 false,
	 {.content_bytes = 20, .copies = 1},
	 {.content_bytes = 20},
	 "bytes there 20 -> 20"},
	{EFFECT_BACKUP_GONE, true, {.copies = 1}, {.copies = 0}, "copies in the store: 1 -> 0"},
	{EFFECT_BACKUP_GONE, false, {.copies = 0}, {.copies = 1}, "copies in the store: 0 -> 1"},
	{EFFECT_BACKUP_OLD,
	 true,
	 {.older = NANOS_HOUR},
	 {.older = NANOS_DAY},
	 "older than its label, ms: 3600000 -> 86400000"},
	{EFFECT_BACKUP_OLD,
	 false,
	 {.older = NANOS_DAY},
	 {.older = NANOS_HOUR},
	 "older than its label, ms: 86400000 -> 3600000"},
	{EFFECT_BACKUP_FAIL,
	 true,
	 {.backup_jobs_failing = 0},
	 {.backup_jobs_failing = 1},
	 "failing backup jobs: 0 -> 1"},
	{EFFECT_BACKUP_FAIL,
	 false,
	 {.backup_jobs_failing = 1},
	 {.backup_jobs_failing = 0},
	 "failing backup jobs: 1 -> 0"},
	{EFFECT_RESTORE_STOP,
	 true,
	 {.restores_stopped = 1},
	 {.restores_stopped = 2},
	 "restores that broke off: 1 -> 2"},
	{EFFECT_RESTORE_STOP,
	 false,
	 {.restores_stopped = 2},
	 {.restores_stopped = 1},
	 "restores that broke off: 2 -> 1"},
	{EFFECT_RESTORE_RATE,
	 true,
	 {.restore_rate = 8e9},
	 {.restore_rate = 1e6},
	 "throughput of restores, bytes/s: 8e+09 -> 1000000"},
	{EFFECT_RESTORE_RATE,
	 false,
	 {.restore_rate = 1e6},
	 {.restore_rate = 8e9},
	 "throughput of restores, bytes/s: 1000000 -> 8e+09"},
	{EFFECT_RESTORE_RATE,
	 false,
	 {.restore_rate = 8e9, .disk_rate = 4e9},
	 {.restore_rate = 8e9},
	 "throughput of restores, bytes/s: 8e+09 -> 8e+09"},
	{EFFECT_STORE_OUT, true, {.usable = true}, {.usable = false}, "store usable yes -> no"},
	{EFFECT_STORE_OUT, false, {.usable = true}, {.usable = true}, "store usable yes -> yes"},
	{EFFECT_STORE_OUT, false, {.usable = false}, {.usable = false}, "store usable no -> no"},
	{EFFECT_STORE_RATE,
	 true,
	 {.disk_rate = 4e9},
	 {.disk_rate = 85e6},
	 "throughput of the store, bytes/s: 4e+09 -> 85000000"},
	{EFFECT_STORE_RATE,
	 false,
	 {.disk_rate = 85e6},
	 {.disk_rate = 4e9},
	 "throughput of the store, bytes/s: 85000000 -> 4e+09"},
	{EFFECT_STANDBY_SMALL,
	 true,
	 {.nodes_schedulable = 4},
	 {.nodes_schedulable = 2},
	 "nodes that take pods: 4 -> 2"},
	{EFFECT_STANDBY_SMALL,
	 false,
	 {.nodes_schedulable = 2},
	 {.nodes_schedulable = 4},
	 "nodes that take pods: 2 -> 4"},
	{EFFECT_NO_CAPACITY,
	 true,
	 {.sites_full = 0},
	 {.sites_full = 1},
	 "sites without capacity: 0 -> 1"},
	{EFFECT_NO_CAPACITY,
	 false,
	 {.sites_full = 1},
	 {.sites_full = 0},
	 "sites without capacity: 1 -> 0"},
	{EFFECT_REPL_LAG,
	 true,
	 {.replica_lag = 5 * NANOS_S},
	 {.replica_lag = 5 * NANOS_MINUTE},
	 "replication lag, ms: 5000 -> 300000"},
	{EFFECT_REPL_LAG,
	 false,
	 {.replica_lag = 5 * NANOS_MINUTE},
	 {.replica_lag = 5 * NANOS_S},
	 "replication lag, ms: 300000 -> 5000"},
	{EFFECT_SPLIT_BRAIN,
	 true,
	 {.writers = 1},
	 {.writers = 2},
	 "sites that take writes: 1 -> 2"},
	{EFFECT_SPLIT_BRAIN,
	 false,
	 {.writers = 2},
	 {.writers = 1},
	 "sites that take writes: 2 -> 1"},
	{EFFECT_CLOCK_SKEW,
	 true,
	 {.clock_offset = 0},
	 {.clock_offset = 10 * NANOS_MINUTE},
	 "clock offset, ms: 0 -> 600000"},
	{EFFECT_CLOCK_SKEW,
	 false,
	 {.clock_offset = 10 * NANOS_MINUTE},
	 {.clock_offset = 0},
	 "clock offset, ms: 600000 -> 0"},
	{EFFECT_API_OUT,
	 true,
	 {.sites_without_api = 0},
	 {.sites_without_api = 1},
	 "control planes that do not answer: 0 -> 1"},
	{EFFECT_API_OUT,
	 false,
	 {.sites_without_api = 1},
	 {.sites_without_api = 0},
	 "control planes that do not answer: 1 -> 0"},
	{EFFECT_LOAD_SURGE,
	 true,
	 {.request_rate = 120},
	 {.request_rate = 360.5},
	 "requests per second: 120 -> 360.5"},
	{EFFECT_LOAD_SURGE,
	 false,
	 {.request_rate = 360.5},
	 {.request_rate = 120},
	 "requests per second: 360.5 -> 120"},
	{EFFECT_MODEL_BAD,
	 true,
	 {.copies = 2},
	 {.copies = 2, .digest_mismatches = 2},
	 "digest mismatches 0 -> 2"},
	{EFFECT_MODEL_BAD,
	 false,
	 {.digest_mismatches = 2},
	 {.digest_mismatches = 0},
	 "digest mismatches 2 -> 0"},
	{EFFECT_CKPT_FLIP,
	 true,
	 {.copies = 3},
	 {.copies = 3, .digest_mismatches = 1},
	 "digest mismatches 0 -> 1"},
	{EFFECT_CKPT_FLIP, false, {.copies = 3}, {.copies = 2}, "digest mismatches 0 -> 0"},
	{EFFECT_CKPT_SHARD, true, {.shards = 64}, {.shards = 63}, "shards: 64 -> 63"},
	{EFFECT_CKPT_SHARD, false, {.shards = 63}, {.shards = 64}, "shards: 63 -> 64"},
	{EFFECT_CKPT_TORN, true, {.torn = 0}, {.torn = 1}, "saves that broke off: 0 -> 1"},
	{EFFECT_CKPT_TORN, false, {.torn = 1}, {.torn = 0}, "saves that broke off: 1 -> 0"},
	{EFFECT_CPU_TAKEN,
	 true,
	 {.cpu_left_ppm = 1000000},
	 {.cpu_left_ppm = 500000},
	 "CPU left, ppm: 1000000 -> 500000"},
	{EFFECT_CPU_TAKEN,
	 false,
	 {.cpu_left_ppm = 500000, .quota_ppm = 1000000},
	 {.cpu_left_ppm = 500000, .quota_ppm = 250000},
	 "CPU left, ppm: 500000 -> 500000"},
	{EFFECT_CPU_QUOTA,
	 true,
	 {.quota_ppm = 1000000},
	 {.quota_ppm = 250000},
	 "CPU by its quota, ppm: 1000000 -> 250000"},
	{EFFECT_CPU_QUOTA,
	 false,
	 {.cpu_left_ppm = 1000000, .quota_ppm = 1000000},
	 {.cpu_left_ppm = 500000, .quota_ppm = 1000000},
	 "CPU by its quota, ppm: 1000000 -> 1000000"},
	{EFFECT_MEM_TAKEN,
	 true,
	 {.memory_left_ppm = 1000000},
	 {.memory_left_ppm = 50000},
	 "memory left, ppm: 1000000 -> 50000"},
	{EFFECT_MEM_TAKEN,
	 false,
	 {.memory_left_ppm = 50000},
	 {.memory_left_ppm = 1000000, .oom_kills = 1},
	 "memory left, ppm: 50000 -> 1000000"},
	{EFFECT_PROC_OOM,
	 true,
	 {.processes = 1, .process_starts = 1, .oom_kills = 1},
	 {.processes = 1, .process_starts = 2, .oom_kills = 2},
	 "processes that the OOM killer ended: 1 -> 2"},
	{EFFECT_PROC_OOM, /* it ended, but not by the killer */
	 false,
	 {.processes = 1, .process_starts = 1},
	 {.processes = 0, .process_starts = 1},
	 "processes that the OOM killer ended: 0 -> 0"},
	{EFFECT_DATA_ZERO,
	 true,
	 {.copies = 1},
	 {.copies = 1, .digest_mismatches = 3},
	 "digest mismatches 0 -> 3"},
	{EFFECT_DATA_ZERO, false, {.copies = 1}, {.copies = 0}, "digest mismatches 0 -> 0"},
	{EFFECT_DATA_MISDIRECT,
	 true,
	 {.digest_mismatches = 1},
	 {.digest_mismatches = 2},
	 "digest mismatches 1 -> 2"},
	{EFFECT_DATA_MISDIRECT,
	 false,
	 {.content_bytes = 20},
	 {.content_bytes = 10},
	 "digest mismatches 0 -> 0"},
	{EFFECT_SYS_ERROR,
	 true,
	 {.calls_hit = 4},
	 {.calls_hit = 5},
	 "system calls that were hit: 4 -> 5"},
	{EFFECT_SYS_ERROR,
	 false,
	 {.processes = 1},
	 {.processes = 0},
	 "system calls that were hit: 0 -> 0"},
	{EFFECT_SYS_RETVAL, true, {0}, {.calls_hit = 1}, "system calls that were hit: 0 -> 1"},
	{EFFECT_SYS_RETVAL,
	 false,
	 {.calls_hit = 1},
	 {.calls_hit = 1},
	 "system calls that were hit: 1 -> 1"},
	{EFFECT_SYS_DELAY, true, {0}, {.calls_hit = 9}, "system calls that were hit: 0 -> 9"},
	{EFFECT_SYS_DELAY,
	 false,
	 {.calls_hit = 9},
	 {.calls_hit = 9, .service_added = 1},
	 "system calls that were hit: 9 -> 9"},
	{EFFECT_GPU_HANG,
	 true,
	 {.gpus_visible = 8},
	 {.gpus_visible = 8, .gpus_hanging = 1},
	 "GPUs that hang: 0 -> 1"},
	{EFFECT_GPU_HANG,
	 false,
	 {.gpus_visible = 8},
	 {.gpus_visible = 7},
	 "GPUs that hang: 0 -> 0"},
	{EFFECT_NET_DUPLICATE,
	 true,
	 {0},
	 {.duplicated_ppm = 10000},
	 "packets that come twice, ppm: 0 -> 10000"},
	{EFFECT_NET_DUPLICATE,
	 false,
	 {.duplicated_ppm = 10000},
	 {.reordered_ppm = 10000},
	 "packets that come twice, ppm: 10000 -> 0"},
	{EFFECT_NET_CORRUPT, true, {0}, {.corrupted_ppm = 1000}, "packets damaged, ppm: 0 -> 1000"},
	{EFFECT_NET_CORRUPT, false, {0}, {.loss_ppm = 1000}, "packets damaged, ppm: 0 -> 0"},
	{EFFECT_NET_REORDER,
	 true,
	 {0},
	 {.reordered_ppm = 250000},
	 "packets out of order, ppm: 0 -> 250000"},
	{EFFECT_NET_REORDER,
	 false,
	 {.round_trip = 1},
	 {.round_trip = 9},
	 "packets out of order, ppm: 0 -> 0"},
	{EFFECT_NET_RESET, true, {.resets = 2}, {.resets = 3}, "connections reset: 2 -> 3"},
	{EFFECT_NET_RESET,
	 false,
	 {.resets = 2, .ports_open = 1},
	 {.resets = 2},
	 "connections reset: 2 -> 2"},
	{EFFECT_NET_MTU,
	 true,
	 {.mtu = 1500},
	 {.mtu = 1280},
	 "largest packet that passes, bytes 1500 -> 1280"},
	{EFFECT_NET_MTU,
	 false,
	 {.mtu = 1500},
	 {.mtu = 0},
	 "largest packet that passes, bytes 1500 -> 0"},
	{EFFECT_IO_ERROR,
	 true,
	 {0},
	 {.io_failing_ppm = 250000},
	 "operations on files that fail, ppm: 0 -> 250000"},
	{EFFECT_IO_ERROR,
	 false,
	 {.disks = 1},
	 {.disks = 1, .disks_failing = 1},
	 "operations on files that fail, ppm: 0 -> 0"},
	{EFFECT_IO_LATENCY,
	 true,
	 {.io_added = NANOS_MS},
	 {.io_added = 3 * NANOS_MS},
	 "added to an operation on a file, ms: 1 -> 3"},
	{EFFECT_IO_LATENCY,
	 false,
	 {.io_added = NANOS_MS},
	 {.io_added = NANOS_MS, .disk_rate = 1},
	 "added to an operation on a file, ms: 1 -> 1"},
	{EFFECT_DISK_HANG,
	 true,
	 {.disks = 1},
	 {.disks = 1, .disks_hanging = 1},
	 "disks that hang: 0 -> 1"},
	{EFFECT_DISK_HANG,
	 false,
	 {.disks = 1},
	 {.disks = 1, .disks_failing = 1},
	 "disks that hang: 0 -> 0"},
	{EFFECT_DISK_BADBLOCKS,
	 true,
	 {0},
	 {.bad_blocks_ppm = 1000},
	 "blocks that cannot be read, ppm: 0 -> 1000"},
	{EFFECT_DISK_BADBLOCKS,
	 false,
	 {.bad_blocks_ppm = 1000},
	 {.bad_blocks_ppm = 0, .disks_failing = 1},
	 "blocks that cannot be read, ppm: 1000 -> 0"},
	{EFFECT_DISK_INODES,
	 true,
	 {.inodes_left_ppm = EFFECT_PPM},
	 {.inodes_left_ppm = 0},
	 "inodes left, ppm: 1000000 -> 0"},
	{EFFECT_DISK_INODES,
	 false,
	 {.inodes_left_ppm = 40000},
	 {.inodes_left_ppm = 40000, .disks_full = 1},
	 "inodes left, ppm: 40000 -> 40000"},
	{EFFECT_FS_UNSYNCED,
	 true,
	 {.disks = 1},
	 {.disks = 1, .disks_unsynced = 1},
	 "disks that forget in a crash: 0 -> 1"},
	{EFFECT_FS_UNSYNCED,
	 false,
	 {.disks = 1},
	 {.disks = 1, .disks_failing = 1},
	 "disks that forget in a crash: 0 -> 0"},
	{EFFECT_FS_TORN_OP, true, {.writes_torn = 1}, {.writes_torn = 2}, "writes torn: 1 -> 2"},
	{EFFECT_FS_TORN_OP,
	 false,
	 {.processes = 1},
	 {.processes = 0, .disks_unsynced = 1},
	 "writes torn: 0 -> 0"},
	{EFFECT_FS_TORN_SEQ, true, {0}, {.writes_torn = 3}, "writes torn: 0 -> 3"},
	{EFFECT_FS_TORN_SEQ,
	 false,
	 {.writes_torn = 3},
	 {.writes_torn = 3, .disks_full = 1},
	 "writes torn: 3 -> 3"},
};

START_TEST(readings_are_judged)
{
	char text[OBSERVED_MAX];
	bool visible = effect_visible(judged[_i].kind, &judged[_i].before, &judged[_i].after, text);

	ck_assert_str_eq(text, judged[_i].text);
	ck_assert_int_eq(visible, judged[_i].visible);
}
END_TEST

START_TEST(every_effect_is_judged_both_ways)
{
	effect_mask yes = 0, no = 0;

	for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++)
		*(judged[i].visible ? &yes : &no) |= EFFECT_BIT(judged[i].kind);
	ck_assert(yes == EFFECTS_ALL);
	ck_assert(no == EFFECTS_ALL);
}
END_TEST

/* ---- the null driver ---- */

struct null_run {
	const struct driver_ops *ops;
	void *self;
	size_t effects;
};

static void check_invisible(struct golden_case *golden, void *self)
{
	struct null_run *run = self;

	for (size_t i = 0; i < golden->effects.count; i++) {
		const struct effect *effect = &golden->effects.items[i];
		struct reading before, after;
		struct undo_record undo = {0};
		char text[OBSERVED_MAX];
		struct error e = {0};

		ck_assert(run->ops->effects & EFFECT_BIT(effect->kind));
		run->ops->read(run->self, effect->entity, EFFECTS_ALL, &before);
		ck_assert_int_eq(run->ops->apply(run->self, effect, &undo, &e), 0);
		ck_assert(undo.applied);
		run->ops->read(run->self, effect->entity, EFFECTS_ALL, &after);
		ck_assert_msg(!effect_visible(effect->kind, &before, &after, text), "%s", text);
		ck_assert_int_eq(run->ops->revert(run->self, &undo, &e), 0);
		ck_assert_int_eq(run->ops->revert(run->self, &undo, &e), 0);
		ck_assert(!undo.applied);
		ck_assert(!run->ops->present(run->self, &undo));
		run->effects++;
	}
}

START_TEST(null_shows_no_effect)
{
	struct scenario scenario = make_scenario();
	struct null_run run = {.ops = &driver_null};
	struct arena arena = {0};
	struct error e = {0};

	ck_assert_int_eq(run.ops->open(&run.self, &scenario, 1, 0, NULL, &e), 0);
	each_case(&arena, check_invisible, &run, NULL);
	ck_assert_uint_gt(run.effects, 0);
	run.ops->close(run.self);
	arena_free(&arena);
}
END_TEST

START_TEST(null_reads_the_deployment)
{
	const struct driver_ops *ops = &driver_null;
	struct scenario scenario = make_scenario();
	struct reading reading;
	void *self;

	ck_assert_int_eq(ops->open(&self, &scenario, 1, 0, NULL, NULL), 0);
	ops->read(self, (struct entity){.kind = ENTITY_SITE}, EFFECTS_ALL, &reading);
	ck_assert_uint_eq(reading.nodes, 4);
	ck_assert_uint_eq(reading.nodes_responding, 4);
	ck_assert_uint_eq(reading.gpus_visible, 32);
	ck_assert_uint_eq(reading.replicas_ready, 2);
	ck_assert_uint_eq(reading.paths_open, 1);
	ck_assert_int_eq(reading.round_trip, 24 * NANOS_MS);
	ck_assert_uint_eq(reading.copies, 2);
	ops->read(self, (struct entity){.kind = ENTITY_RACK, .index = 1}, EFFECTS_ALL, &reading);
	ck_assert_uint_eq(reading.nodes_powered, 2);
	ops->read(self, (struct entity){.kind = ENTITY_GPU, .index = 1, .part = 3}, EFFECTS_ALL,
		  &reading);
	ck_assert_uint_eq(reading.gpus_visible, 1);
	ops->read(self, (struct entity){.kind = ENTITY_STANDBY, .site = 1}, EFFECTS_ALL, &reading);
	ck_assert(reading.usable);
	ck_assert_uint_eq(reading.nodes_schedulable, 4);
	ck_assert_uint_eq(reading.writers, 1);
	ops->read(self, (struct entity){.kind = ENTITY_NODE, .index = 1}, EFFECTS_ALL, &reading);
	ck_assert_uint_eq(reading.pace_ppm, EFFECT_PPM);
	ck_assert_uint_eq(reading.cpu_left_ppm, EFFECT_PPM);
	ck_assert_uint_eq(reading.memory_left_ppm, EFFECT_PPM);
	ck_assert_uint_eq(reading.disk_left_ppm, EFFECT_PPM);
	ck_assert_uint_eq(reading.ports_open, 1);
	ck_assert_double_eq(reading.rate, 25e9);
	ck_assert_double_eq(reading.disk_rate, 6e9);
	ops->read(self, (struct entity){.kind = ENTITY_LINK}, EFFECTS_ALL, &reading);
	ck_assert_double_eq(reading.rate, 1e9);
	ck_assert_uint_eq(reading.loss_ppm, 1000);
	ops->read(self, (struct entity){.kind = ENTITY_ENDPOINT}, EFFECTS_ALL, &reading);
	ck_assert_double_eq(reading.request_rate, 120);
	ck_assert_uint_eq(reading.content_bytes, 280);
	ops->read(self, (struct entity){.kind = ENTITY_REPLICA}, EFFECTS_ALL, &reading);
	ck_assert_double_eq(reading.request_rate, 60);
	ck_assert_uint_eq(reading.quota_ppm, EFFECT_PPM);
	ops->read(self, (struct entity){.kind = ENTITY_DATA, .index = DATA_IO}, EFFECTS_ALL,
		  &reading);
	ck_assert_uint_eq(reading.content_bytes, 20);
	ops->read(self, (struct entity){.kind = ENTITY_STORE}, EFFECTS_ALL, &reading);
	ck_assert_double_eq(reading.disk_rate, 4e9);
	ck_assert_double_eq(reading.restore_rate, 8e9);
	ops->close(self);
}
END_TEST

START_TEST(null_keeps_time)
{
	const struct driver_ops *ops = &driver_null;
	struct scenario scenario = make_scenario();
	struct clock clock;
	struct completion ended[2];
	uint64_t bytes, records;
	void *self;

	ck_assert_int_eq(ops->open(&self, &scenario, 1, 0, NULL, NULL), 0);
	clock = ops->clock(self);
	ck_assert_int_eq(clock.ops->wait_until(clock.self, 5 * NANOS_S, NULL), 0);
	ck_assert_int_eq(clock.ops->now(clock.self), 5 * NANOS_S);
	for (int kind = 0; kind < ACTION_KINDS; kind++) {
		struct action action = {.kind = (enum action_kind)kind, .id = 7};

		ck_assert_ptr_nonnull(action_names[kind]);
		ck_assert_int_eq(ops->start(self, &action, NULL), 0);
		/* What ended is handed over before time goes on. */
		ck_assert_int_eq(clock.ops->wait_until(clock.self, 9 * NANOS_S, NULL), 0);
		ck_assert_int_eq(clock.ops->now(clock.self), 5 * NANOS_S);
		ck_assert_uint_eq(ops->poll(self, ended, 2), 1);
		ck_assert(ended[0].ok && !ended[0].wrong && !ended[0].corrupt);
		ck_assert_int_eq(ended[0].at, 5 * NANOS_S);
		ck_assert_uint_eq(ended[0].action.id, 7);
		if (kind == ACTION_BACKUP)
			ck_assert_uint_eq(ended[0].bytes, 160);
		if (kind == ACTION_DIAGNOSE)
			ck_assert_uint_eq(ended[0].site_reading.gpus_visible, 32);
		ck_assert_uint_eq(ops->poll(self, ended, 2), 0);
	}
	ops->ledger(self, 0, DATA_IO, NANOS_S, 3 * NANOS_S, &bytes, &records);
	ck_assert_uint_eq(bytes, 2000000);
	ck_assert_uint_eq(records, 240);
	ops->ledger(self, 1, DATA_IO, NANOS_S, 3 * NANOS_S, &bytes, &records);
	ck_assert_uint_eq(bytes + records, 0);
	ck_assert_int_eq(ops->reopen(self, 1, 1, NULL, NULL), 0);
	ck_assert_int_eq(clock.ops->now(clock.self), 0);
	ops->close(self);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "golden file", golden_file);
	test_add(suite, "every fault has a case", every_fault_has_a_case);
	test_add_loop(suite, "targets", targets_are_as_documented,
		      sizeof(accepted) / sizeof(accepted[0]));
	test_add(suite, "catalogue", catalogue_is_complete);
	test_add_loop(suite, "params", params_are_checked, sizeof(loads) / sizeof(loads[0]));
	test_add_loop(suite, "params together", params_that_cannot_stand_together,
		      sizeof(refused) / sizeof(refused[0]));
	test_add(suite, "shapes", shapes_need_their_number);
	test_add(suite, "presets", presets_suffice);
	test_add(suite, "too many effects", too_many_effects);
	test_add_loop(suite, "judge", readings_are_judged, sizeof(judged) / sizeof(judged[0]));
	test_add(suite, "judge both ways", every_effect_is_judged_both_ways);
	test_add(suite, "null: no effect", null_shows_no_effect);
	test_add(suite, "null: readings", null_reads_the_deployment);
	test_add(suite, "null: time", null_keeps_time);
}

TEST_MAIN("faults", add_cases)
