/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu.nvlink_down: links between the GPUs of a node are down.
 *
 * In the field a connector, a switch chip or a retimer fails. With some of the 18 links of an H100
 * down, traffic goes over the others, and each step of a model that is spread over the GPUs waits
 * longer for its exchange of data; nothing is reported but a counter. With all of them down the
 * driver writes Xid 74, and the job ends. The danger is the quiet case: one GPU of thousands makes
 * all of them wait.
 *
 * The effect of all links is Xid 74. With l of 18 links down, and c the share of a step that is
 * spent on the exchange, the exchange takes 18 / (18 - l) times as long, so that the pace left is
 *
 *     1 / (1 - c + c * 18 / (18 - l))
 *
 * There is no share that holds for all models: the preset is a choice for a drill, and a profiler
 * tells yours.
 */
#include "faults/faults.h"

#define NVLINKS 18 /* of an H100; NVIDIA, "H100 Tensor Core GPU Architecture" */
#define XID_NVLINK 74

struct gpu_nvlink_down {
	uint32_t links;
	double traffic;
};

static const struct param params[] = {
	{.name = "links",
	 .type = PARAM_COUNT,
	 .offset = offsetof(struct gpu_nvlink_down, links),
	 .preset = "9",
	 .min = 1,
	 .max = NVLINKS,
	 .help = "How many of its 18 links are down."},
	{.name = "traffic",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct gpu_nvlink_down, traffic),
	 .preset = "20%",
	 .min = 1e-4,
	 .max = 1,
	 .help = "Share of a step that is exchange with other GPUs."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct gpu_nvlink_down *down = values;
	struct effect effect = {.kind = EFFECT_GPU_XID, .amount = XID_NVLINK};

	(void)prng;
	if (down->links < NVLINKS) {
		double longer = NVLINKS / (double)(NVLINKS - down->links);
		double pace = 1 / (1 - down->traffic + down->traffic * longer);

		effect = (struct effect){.kind = EFFECT_GPU_SLOW, .amount = faults_ppm(1 - pace)};
	}
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_gpu_nvlink_down = {
	.name = "gpu.nvlink_down",
	.group = "gpu",
	.help = "NVLinks of a GPU are down: exchanging data takes it longer.",
	.params = params,
	.params_size = sizeof(struct gpu_nvlink_down),
	.needs = EFFECT_BIT(EFFECT_GPU_XID) | EFFECT_BIT(EFFECT_GPU_SLOW),
	.targets = TARGET_BIT(ENTITY_GPU),
	.plan = plan,
};
