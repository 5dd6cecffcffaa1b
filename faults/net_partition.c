/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.partition: the network around the target is cut.
 *
 * In the field a fibre is dug up, a router loses its routes, or a firewall rule goes wrong: packets
 * are dropped in both directions without an answer, while everything on the far side goes on
 * running. A primary cut off like this still believes that it is the primary, and what it
 * acknowledges inside the cut is lost at the takeover (two primaries, "split brain", when nobody
 * fences it). The effect closes all paths of the target, both ways.
 *
 * With a `shape` the network does not end at the target but runs through what was selected: who
 * takes part is cut off from some of the others and reached from everywhere else, clients and
 * gateway included. The shapes are those that quorums are broken with (Jepsen's nemesis): `halves`,
 * `one` alone, the smallest `majority` against the rest, a `ring` in which each sees a majority and
 * no two the same one, halves with a `bridge` between them, or `custom` groups, of which a thing
 * can be in several. A `direction` drops packets one way only, as an asymmetric route or a firewall
 * does; to a connection that is as bad as both.
 */
#include "faults/faults.h"

#define GROUPS_MAX 64

struct net_partition {
	int shape, direction;
	const char *groups;
};

static const struct param params[] = {
	{.name = "shape",
	 .type = PARAM_CHOICE,
	 .offset = offsetof(struct net_partition, shape),
	 .preset = "all",
	 .choices = partition_shape_names,
	 .help = "Who is cut off from whom; all: each target from everything."},
	{.name = "direction",
	 .type = PARAM_CHOICE,
	 .offset = offsetof(struct net_partition, direction),
	 .preset = "both",
	 .choices = direction_names,
	 .help = "Packets to the target are dropped, from it, or both."},
	{.name = "groups",
	 .type = PARAM_TEXT,
	 .offset = offsetof(struct net_partition, groups),
	 .preset = "",
	 .help = "custom: who sees each other, by number: \"0,1|1,2\"."},
	PARAMS_END,
};

/* So many take part at least, for the shape to cut anything. */
static const size_t least[] = {
	[PARTITION_ALL] = 1,      [PARTITION_HALVES] = 2, [PARTITION_ONE] = 2,
	[PARTITION_MAJORITY] = 3, [PARTITION_RING] = 4,   [PARTITION_BRIDGE] = 3,
	[PARTITION_CUSTOM] = 2,
};

/* "0,1|1,2": the bits of the groups that each thing is in. */
static int read_groups(const char *text, uint64_t *groups, size_t count, struct error *e)
{
	unsigned group = 0;

	for (const char *at = text; *at; group += *at++ == '|') {
		size_t number = 0, digits = strspn(at, "0123456789");

		for (size_t i = 0; i < digits && number < count; i++)
			number = number * 10 + (size_t)(at[i] - '0');
		at += digits;
		if (digits == 0 || group == GROUPS_MAX || (*at && !strchr(",|", *at)))
			return error_set(e, ERROR_SCENARIO, NO_PLACE,
					 "'groups' are numbers from 0, such as 0,1|1,2, at most %d "
					 "groups",
					 GROUPS_MAX);
		if (number >= count)
			return error_set(e, ERROR_SCENARIO, NO_PLACE,
					 "'groups' go up to %zu: %zu things take part", count - 1,
					 count);
		groups[number] |= (uint64_t)1 << group;
		if (!*at)
			break;
	}
	return 0;
}

static int check_shape(const struct net_partition *net, const struct entity *entities, size_t count,
		       struct error *e)
{
	if (net->shape == PARTITION_ALL)
		return 0;
	if (entities[0].kind == ENTITY_LINK)
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "a shape is between sites or nodes, not on a link");
	if (count < least[net->shape])
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "the shape '%s' needs %zu things at least, not %zu",
				 partition_shape_names[net->shape], least[net->shape], count);
	return 0;
}

/* A bridge sees all others. */
static bool sees_less(const struct partition *partition, size_t i)
{
	for (size_t k = 0; k < partition->count; k++)
		if (partition_cuts(partition, i, k))
			return true;
	return false;
}

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct net_partition *net = values;
	struct effect effect = {.kind = EFFECT_NET_CUT};
	struct partition partition = {
		.shape = (enum partition_shape)net->shape,
		.direction = (enum direction)net->direction,
		.count = count,
	};
	uint64_t *groups;

	if (check_shape(net, entities, count, e))
		return -1;
	if (net->shape == PARTITION_ONE)
		partition.one = prng_below(prng, count);
	if (net->shape == PARTITION_CUSTOM) {
		groups = arena_array(out->arena, count, sizeof(*groups));
		if (!net->groups)
			return error_set(e, ERROR_SCENARIO, NO_PLACE,
					 "shape custom needs 'groups', such as 0,1|2,3");
		if (read_groups(net->groups, groups, count, e))
			return -1;
		partition.groups = groups;
	}
	if (net->shape != PARTITION_ALL || net->direction != DIRECTION_BOTH) {
		partition.entities = faults_keep(out, entities, count * sizeof(*entities));
		effect.partition = faults_keep(out, &partition, sizeof(partition));
	}
	for (size_t i = 0; i < count; i++) {
		if (effect.partition && partition.shape != PARTITION_ALL &&
		    !sees_less(&partition, i))
			continue;
		if (faults_each(effect, &entities[i], 1, out, e))
			return -1;
	}
	return 0;
}

const struct fault_ops fault_net_partition = {
	.name = "net.partition",
	.group = "net",
	.help = "The network around the target is cut; inside, all goes on running.",
	.params = params,
	.params_size = sizeof(struct net_partition),
	.needs = EFFECT_BIT(EFFECT_NET_CUT),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_LINK),
	.plan = plan,
};
