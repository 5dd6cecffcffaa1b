/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.reboot: a node restarts and comes back by itself.
 *
 * In the field an agent carries out REBOOT_SYSTEM after an Xid, an update wants it, a watchdog
 * fires, or a person takes the wrong machine. Hard, nothing is flushed and no connection is
 * closed; graceful, processes get SIGTERM and time to say goodbye. The power stays on. The node is
 * back before the platform has moved its pods, which it does about six minutes after a node went
 * silent unless tuned, so two recoveries may run at once: the restart in place and the failover.
 * The effect takes the node away for `takes`, spread 0 when hard and 1 when graceful; its preset
 * is a choice for a drill, a GPU server with much memory to check takes longer.
 */
#include "faults/faults.h"

struct node_reboot {
	int mode; /* position in mode_words: what spread says */
	nanos takes;
};

static const char *const mode_words[] = {"hard", "graceful", NULL};

static const struct param params[] = {
	{.name = "mode",
	 .type = PARAM_CHOICE,
	 .offset = offsetof(struct node_reboot, mode),
	 .preset = "hard",
	 .choices = mode_words,
	 .help = "Hard: at once; graceful: processes are asked to end first."},
	{.name = "takes",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct node_reboot, takes),
	 .preset = "5m",
	 .min = 1,
	 .max = 86400e9,
	 .help = "Until the node is up again."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct node_reboot *reboot = values;
	const struct effect effect = {
		.kind = EFFECT_NODE_REBOOT,
		.amount = reboot->takes,
		.spread = reboot->mode,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_node_reboot = {
	.name = "node.reboot",
	.group = "node",
	.help = "A node restarts and comes back by itself.",
	.params = params,
	.params_size = sizeof(struct node_reboot),
	.needs = EFFECT_BIT(EFFECT_NODE_REBOOT),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
