/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvme.timeout: an NVMe disk does not answer, and its commands time out.
 *
 * In the field the controller of a disk stops: `nvme nvme0: I/O 12 QID 3 timeout, aborting`, then a
 * reset, and when that does not help `Disabling device after reset failure`, and every operation
 * returns EIO. Until then they hang. The effect holds all reads and writes of the node's disk for
 * `timeout` and lets them fail from then on. The preset is Linux's nvme_core.io_timeout of 30 s.
 */
#include "faults/faults.h"

struct nvme_timeout {
	nanos timeout;
};

static const struct param params[] = {
	{.name = "timeout",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct nvme_timeout, timeout),
	 .preset = "30s",
	 .min = 1,
	 .max = 86400e9,
	 .help = "After so long an operation fails."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct nvme_timeout *nvme = values;
	const struct effect effect = {.kind = EFFECT_DISK_HANG, .amount = nvme->timeout};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_nvme_timeout = {
	.name = "nvme.timeout",
	.group = "nvme",
	.help = "An NVMe disk hangs until its commands time out, then fails.",
	.params = params,
	.params_size = sizeof(struct nvme_timeout),
	.needs = EFFECT_BIT(EFFECT_DISK_HANG),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
