/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu.thermal: a GPU gets too hot.
 *
 * In the field a fan fails, a cold plate leaks, or the cooling of the hall does not keep up. Above
 * one limit the hardware slows the clocks down by a factor of 2 or more (NVML, HW Thermal
 * Slowdown): nothing fails, but everything that waits for this GPU gets slow with it, and a job of
 * thousands runs at the pace of the hottest. Above a second limit the GPU switches itself off. The
 * presets of the two limits are what nvidia-smi shows for the A100 and the H100 with 80 GB, and
 * the temperature lies between them.
 *
 * The effect of a temperature from `slowdown_at` on is half the speed, from `shutdown_at` on the
 * loss of the GPU. A lower one changes nothing and is refused.
 */
#include "faults/faults.h"

struct gpu_thermal {
	double celsius;
	double slowdown_at;
	double shutdown_at;
};

static const struct param params[] = {
	{.name = "celsius",
	 .type = PARAM_NUMBER,
	 .offset = offsetof(struct gpu_thermal, celsius),
	 .preset = "90",
	 .min = -50,
	 .max = 200,
	 .help = "How hot it gets, in degrees Celsius."},
	{.name = "slowdown_at",
	 .type = PARAM_NUMBER,
	 .offset = offsetof(struct gpu_thermal, slowdown_at),
	 .preset = "89",
	 .min = 0,
	 .max = 200,
	 .help = "From here on the clocks are halved; nvidia-smi -q shows it."},
	{.name = "shutdown_at",
	 .type = PARAM_NUMBER,
	 .offset = offsetof(struct gpu_thermal, shutdown_at),
	 .preset = "92",
	 .min = 0,
	 .max = 200,
	 .help = "From here on the GPU switches itself off."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct gpu_thermal *thermal = values;
	struct effect effect = {.kind = EFFECT_GPU_GONE};

	(void)prng;
	if (thermal->shutdown_at < thermal->slowdown_at)
		return error_set(
			e, ERROR_SCENARIO, NO_PLACE,
			"a GPU cannot shut down at %g degrees before it slows down at %g degrees",
			thermal->shutdown_at, thermal->slowdown_at);
	if (thermal->celsius < thermal->slowdown_at)
		return error_set(
			e, ERROR_SCENARIO, NO_PLACE,
			"at %g degrees nothing happens to a GPU that slows down at %g degrees",
			thermal->celsius, thermal->slowdown_at);
	if (thermal->celsius < thermal->shutdown_at)
		effect = (struct effect){.kind = EFFECT_GPU_SLOW, .amount = EFFECT_PPM / 2};
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_gpu_thermal = {
	.name = "gpu.thermal",
	.group = "gpu",
	.help = "A GPU gets too hot: it slows down to half, or switches itself off.",
	.params = params,
	.params_size = sizeof(struct gpu_thermal),
	.needs = EFFECT_BIT(EFFECT_GPU_SLOW) | EFFECT_BIT(EFFECT_GPU_GONE),
	.targets = TARGET_BIT(ENTITY_GPU),
	.plan = plan,
};
