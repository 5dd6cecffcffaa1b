/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.latency: operations on files take longer.
 *
 * In the field a disk that retries, a volume that is being rebuilt, a noisy neighbour on shared
 * storage: throughput may look well while each operation takes ten times as long. What writes and
 * syncs before it answers, as a database does, gets slower with each sync; what reads in large
 * pieces hardly notices. The effect adds `time` to each operation that is chosen, give or take
 * `jitter`. The preset is a disk whose cache does not help.
 */
#include "faults/files.h"

struct io_latency {
	struct files files;
	nanos time, jitter;
};

static const struct param params[] = {
	FILES_ROWS("sync"),
	{.name = "time",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct io_latency, time),
	 .preset = "100ms",
	 .min = 1,
	 .max = 3600e9,
	 .help = "What is added to such an operation."},
	{.name = "jitter",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct io_latency, jitter),
	 .preset = "0s",
	 .min = 0,
	 .max = 3600e9,
	 .help = "It is between time - jitter and time + jitter, evenly."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct io_latency *io = values;
	struct operations operations;
	struct effect effect = {
		.kind = EFFECT_IO_LATENCY,
		.amount = io->time,
		.spread = io->jitter,
	};

	if (io->jitter > io->time)
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "'jitter' is longer than 'time': an operation cannot end before "
				 "it began");
	if (files_choose(&io->files, prng, &operations, e))
		return -1;
	effect.operations = faults_keep(out, &operations, sizeof(operations));
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_io_latency = {
	.name = "io.latency",
	.group = "io",
	.help = "Operations on files take longer.",
	.params = params,
	.params_size = sizeof(struct io_latency),
	.needs = EFFECT_BIT(EFFECT_IO_LATENCY),
	.targets = TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
