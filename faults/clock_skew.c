/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.skew: clocks are wrong.
 *
 * In the field a time server lies, NTP is blocked, or a virtual machine was suspended: a clock is
 * off and the machine trusts it. Within a limit nothing happens but times in logs that do not fit.
 * Beyond it tokens are refused as expired or not yet valid, certificates fail, leases end too
 * early or never, and the newest backup by its date is not the newest one. Kerberos tolerates 5
 * minutes (RFC 4120), which is the preset of `tolerance`. The effect sets the clocks of the target
 * off by `offset`, forwards or backwards; the preset lies beyond that tolerance.
 */
#include "faults/faults.h"

struct clock_skew {
	nanos offset;
	int direction; /* position in direction_words */
	nanos tolerance;
};

static const char *const direction_words[] = {"ahead", "behind", NULL};
static const int direction_signs[] = {1, -1};

static const struct param params[] = {
	{.name = "offset",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct clock_skew, offset),
	 .preset = "10m",
	 .min = 1,
	 .max = (double)PARAM_DURATION_MAX,
	 .help = "By how much the clocks are off."},
	{.name = "direction",
	 .type = PARAM_CHOICE,
	 .offset = offsetof(struct clock_skew, direction),
	 .preset = "ahead",
	 .choices = direction_words,
	 .help = "Whether they go ahead or behind."},
	{.name = "tolerance",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct clock_skew, tolerance),
	 .preset = "5m",
	 .min = 0,
	 .max = (double)PARAM_DURATION_MAX,
	 .help = "What the platform bears without harm."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct clock_skew *skew = values;
	const struct effect effect = {
		.kind = EFFECT_CLOCK_SKEW,
		.amount = skew->offset * direction_signs[skew->direction],
		.spread = skew->tolerance,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_clock_skew = {
	.name = "clock.skew",
	.group = "clock",
	.help = "Clocks are off; beyond a tolerance, tokens and leases fail.",
	.params = params,
	.params_size = sizeof(struct clock_skew),
	.needs = EFFECT_BIT(EFFECT_CLOCK_SKEW),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
