/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.encrypt: the live data cannot be read any more.
 *
 * In the field ransomware: an intruder encrypts the data and leaves a note, or a key is lost,
 * which comes to the same. All bytes are there and none has a meaning. The intruder was in before
 * that, so the newest backups may hold his tools or be encrypted too, and he will have looked for
 * the backups he can reach: what counts is the last clean one that he could not. The effect makes
 * the active copy unreadable until it is restored or taken back.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_DATA_SEALED}, entities, count, out, e);
}

const struct fault_ops fault_data_encrypt = {
	.name = "data.encrypt",
	.group = "data",
	.help = "The live data are there but encrypted: nobody can read them.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_DATA_SEALED),
	.targets = TARGET_BIT(ENTITY_DATA),
	.plan = plan,
};
