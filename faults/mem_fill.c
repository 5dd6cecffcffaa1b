/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.fill: other work takes the memory of a node.
 *
 * In the field a leak in a side car or an agent, a cache in a file system of memory, or a second
 * job on the same node fills it. As long as enough is left nothing happens; then the kernel's
 * out-of-memory killer ends the biggest process, which is the one that serves or trains, and not
 * the one that leaks. It is started again, needs its memory again and is killed again, until the
 * memory is there. The effect takes `percent` of the node's memory, or `size` of it, and is itself
 * kept from the killer.
 */
#include "faults/faults.h"

struct mem_fill {
	uint64_t size;
	double percent;
};

static const struct param params[] = {
	{.name = "size",
	 .type = PARAM_SIZE,
	 .offset = offsetof(struct mem_fill, size),
	 .preset = "0B",
	 .min = 0,
	 .max = 1e15,
	 .help = "How many bytes are taken; 0B: as many as 'percent' says."},
	{.name = "percent",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct mem_fill, percent),
	 .preset = "95%",
	 .min = 0.01,
	 .max = 1,
	 .help = "Share of the node's memory that is taken, unless 'size' says how much."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct mem_fill *fill = values;
	struct effect effect = {.kind = EFFECT_MEM_TAKEN};

	(void)prng;
	if (fill->size > 0)
		effect.spread = (int64_t)fill->size;
	else
		effect.amount = faults_ppm(fill->percent);
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_mem_fill = {
	.name = "mem.fill",
	.group = "mem",
	.help = "Other work takes memory of a node; too little kills processes.",
	.params = params,
	.params_size = sizeof(struct mem_fill),
	.needs = EFFECT_BIT(EFFECT_MEM_TAKEN),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
