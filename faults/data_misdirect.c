/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.misdirect: a block of the live data was written to the wrong place.
 *
 * In the field a disk's firmware, a volume manager or a controller writes a good block to a wrong
 * address: the drive says that all is well, the block's own checksum fits, and what had been there
 * is lost. Only a digest that knows the place finds it. The effect writes the block at `src` over
 * the one at `dst`, both as shares of the content of a data class.
 */
#include "faults/faults.h"

struct data_misdirect {
	double src, dst;
};

static const struct param params[] = {
	{.name = "src",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct data_misdirect, src),
	 .preset = "25%",
	 .min = 0,
	 .max = 1,
	 .help = "Where the block comes from, as a share of the content."},
	{.name = "dst",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct data_misdirect, dst),
	 .preset = "75%",
	 .min = 0,
	 .max = 1,
	 .help = "Where it was written to, as a share of the content."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct data_misdirect *misdirect = values;
	const struct effect effect = {
		.kind = EFFECT_DATA_MISDIRECT,
		.amount = faults_ppm(misdirect->src),
		.spread = faults_ppm(misdirect->dst),
	};

	(void)prng;
	if (effect.amount == effect.spread)
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "a block that is written where it was read from harms nothing; "
				 "'src' and 'dst' must differ");
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_data_misdirect = {
	.name = "data.misdirect",
	.group = "data",
	.help = "A block of live data was written over another one.",
	.params = params,
	.params_size = sizeof(struct data_misdirect),
	.needs = EFFECT_BIT(EFFECT_DATA_MISDIRECT),
	.targets = TARGET_BIT(ENTITY_DATA),
	.plan = plan,
};
