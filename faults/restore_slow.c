/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.slow: restores take longer than planned.
 *
 * In the field many restores share one store after a large outage, objects come back from a cold
 * tier, or the data are decrypted and unpacked by one thread. Backups are as fast as ever, so the
 * monthly report is green; the rate that counts is that of the way back, and who never restored
 * does not know it. The effect leaves `rate` of throughput to restores from the store; the preset
 * is the restore rate of the project's case study (scenarios/case_study.yaml).
 */
#include <math.h>

#include "faults/faults.h"

struct restore_slow {
	double rate;
};

static const struct param params[] = {
	{.name = "rate",
	 .type = PARAM_RATE,
	 .offset = offsetof(struct restore_slow, rate),
	 .preset = "500GB/h",
	 .min = 1,
	 .max = INFINITY,
	 .help = "Throughput that is left to restores."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct restore_slow *slow = values;
	const struct effect effect = {
		.kind = EFFECT_RESTORE_RATE,
		.amount = faults_rate(slow->rate),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_restore_slow = {
	.name = "restore.slow",
	.group = "restore",
	.help = "Restores from the store take longer; backups do not.",
	.params = params,
	.params_size = sizeof(struct restore_slow),
	.needs = EFFECT_BIT(EFFECT_RESTORE_RATE),
	.targets = TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
