/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Effects with a strength that is weighed against others: while they stand they are looked up here.
 * Of rates and paces the lowest counts, delays add up, shares of independent causes combine as
 * chances do. Few effects stand at a time, so that looking through them all is cheap.
 */
#include <math.h>
#include <stdlib.h>

#include "sim/model/world.h"

#define CONDITIONS                                                                                 \
	(EFFECT_BIT(EFFECT_GPU_SLOW) | EFFECT_BIT(EFFECT_GPU_WRONG) |                              \
	 EFFECT_BIT(EFFECT_SERVE_ERROR) | EFFECT_BIT(EFFECT_SERVE_SLOW) |                          \
	 EFFECT_BIT(EFFECT_PROC_FREEZE) | EFFECT_BIT(EFFECT_PROC_LOOP) |                           \
	 EFFECT_BIT(EFFECT_START_SLOW) | EFFECT_BIT(EFFECT_REPLICA_UNREADY) |                      \
	 EFFECT_BIT(EFFECT_NET_LOSS) | EFFECT_BIT(EFFECT_NET_RATE) |                               \
	 EFFECT_BIT(EFFECT_DISK_RATE) | EFFECT_BIT(EFFECT_RESTORE_RATE) |                          \
	 EFFECT_BIT(EFFECT_STORE_RATE) | EFFECT_BIT(EFFECT_CLOCK_SKEW) |                           \
	 EFFECT_BIT(EFFECT_LOAD_SURGE) | EFFECT_BIT(EFFECT_MODEL_BAD) |                            \
	 EFFECT_BIT(EFFECT_DATA_CUT) | EFFECT_BIT(EFFECT_DATA_OLD) |                               \
	 EFFECT_BIT(EFFECT_CPU_TAKEN) | EFFECT_BIT(EFFECT_CPU_QUOTA) |                             \
	 EFFECT_BIT(EFFECT_MEM_TAKEN) | EFFECT_BIT(EFFECT_DISK_FULL) |                             \
	 EFFECT_BIT(EFFECT_GPU_HANG) | EFFECT_BIT(EFFECT_NET_DUPLICATE) |                          \
	 EFFECT_BIT(EFFECT_NET_CORRUPT) | EFFECT_BIT(EFFECT_NET_REORDER) |                         \
	 EFFECT_BIT(EFFECT_NET_RESET) | EFFECT_BIT(EFFECT_NET_MTU) | EFFECT_BIT(EFFECT_IO_ERROR) | \
	 EFFECT_BIT(EFFECT_IO_LATENCY) | EFFECT_BIT(EFFECT_DISK_BADBLOCKS) |                       \
	 EFFECT_BIT(EFFECT_DISK_INODES) | EFFECT_BIT(EFFECT_FS_UNSYNCED))

bool condition_kind(enum effect_kind kind)
{
	return (CONDITIONS >> kind & 1) != 0;
}

static double share_of(const struct effect *effect)
{
	return (double)effect->amount / EFFECT_PPM;
}

/* ---- GPUs ---- */

static bool on_gpus(const struct world *w, const struct effect *effect, uint32_t node,
		    uint64_t mask)
{
	return nodes_of(w, effect->entity).first == node && (mask >> effect->entity.part & 1);
}

double gpus_pace(const struct world *w, uint32_t node, uint64_t mask)
{
	double pace = 1;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_GPU_SLOW);
		if (effect && on_gpus(w, effect, node, mask))
			pace = fmin(pace, 1 - share_of(effect));
	}
	return pace;
}

double gpus_wrong(const struct world *w, uint32_t node, uint64_t mask)
{
	double right = 1;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_GPU_WRONG);
		if (effect && on_gpus(w, effect, node, mask))
			right *= 1 - share_of(effect);
	}
	return 1 - right;
}

bool gpus_hang(const struct world *w, uint32_t node, uint64_t mask)
{
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_GPU_HANG);
		if (effect && on_gpus(w, effect, node, mask))
			return true;
	}
	return false;
}

/* ---- CPU and memory ---- */

/*
 * Share of a request's time that an inference server spends on the CPU, GPU idle: 38 % of it was
 * GPU execution for Llama 3 8B on one H100 (vLLM 0.5.3, "vLLM v0.6.0: 2.7x Throughput Improvement
 * and 5x Latency Reduction", 2024-09-05). Larger models and later servers spend less: a drill looks
 * at the worse case. Without a GPU all of it is CPU.
 */
#define HOST_SHARE 0.62
/* Those who burn CPU are one group; a fair scheduler gives it no more than its half. */
#define CPU_FAIR 0.5
/* What a process that serves or trains needs of its node's memory: weights and checkpoints pass
 * through it on their way (140 GB of 2 TB are 7 %), and buffers stay pinned. */
#define MEMORY_NEEDED 0.1

static const struct site *site_of(const struct world *w, const struct effect *effect)
{
	return &w->scenario->deployment.sites[effect->entity.site];
}

double node_cpu(const struct world *w, uint32_t node)
{
	double left = 1;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_CPU_TAKEN);
		double workers = 1;
		if (!effect || nodes_of(w, effect->entity).first != node)
			continue;
		if (effect->spread)
			workers = fmin((double)effect->spread / site_of(w, effect)->cpus, 1);
		left -= share_of(effect) * workers;
	}
	return fmax(left, CPU_FAIR);
}

double node_memory(const struct world *w, uint32_t node)
{
	double left = 1;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_MEM_TAKEN);
		if (!effect || nodes_of(w, effect->entity).first != node)
			continue;
		left -= effect->spread ? (double)effect->spread / (double)site_of(w, effect)->memory
				       : share_of(effect);
	}
	return fmax(left, 0);
}

bool node_starved(const struct world *w, uint32_t node)
{
	return w->standing_count > 0 && node_memory(w, node) < MEMORY_NEEDED - 1e-9;
}

/* Of a replica with so much of the CPU that it wants; its GPUs are as fast as ever. */
static double host_pace(double left, bool gpus)
{
	double host = gpus ? HOST_SHARE : 1;
	return left < 1 ? 1 / (1 - host + host / left) : 1;
}

/* ---- the network, disks, the store ---- */

double condition_rate(const struct world *w, enum effect_kind kind, struct entity entity)
{
	double rate = INFINITY;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, kind);
		if (effect && entity_equal(effect->entity, entity))
			rate = fmin(rate, (double)effect->amount);
	}
	return rate;
}

double condition_surge(const struct world *w, uint32_t endpoint)
{
	double times = 1;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_LOAD_SURGE);
		if (effect && effect->entity.index == (int32_t)endpoint)
			times += share_of(effect);
	}
	return times;
}

nanos condition_clock(const struct world *w, uint32_t site, uint32_t node, bool *ret_refused)
{
	nanos offset = 0, tolerance = NANOS_NEVER;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_CLOCK_SKEW);
		if (!effect || effect->entity.site != site ||
		    (effect->entity.kind == ENTITY_NODE &&
		     nodes_of(w, effect->entity).first != node))
			continue;
		offset += effect->amount;
		tolerance = effect->spread < tolerance ? effect->spread : tolerance;
	}
	*ret_refused = llabs(offset) > tolerance;
	return offset;
}

/* ---- one replica ---- */

static uint64_t gpus_of(const struct world *w, const struct replica *replica)
{
	uint32_t gpus = w->scenario->deployment.endpoints[replica->endpoint].gpus_per_replica;
	uint64_t ones = gpus >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << gpus) - 1;
	return ones << replica->gpu;
}

/* Chances of independent causes: at least one of them. */
static void combine(double *share, double other)
{
	*share = 1 - (1 - *share) * (1 - other);
}

static void add(const struct effect *effect, struct conditions *ret)
{
	enum effect_kind kind = effect->kind;
	if (kind == EFFECT_SERVE_ERROR)
		combine(&ret->error, share_of(effect));
	if (kind == EFFECT_NET_LOSS || kind == EFFECT_NET_CORRUPT)
		combine(&ret->loss, share_of(effect));
	if (kind == EFFECT_MODEL_BAD)
		ret->wrong = 1;
	if (kind == EFFECT_SERVE_SLOW)
		ret->added += effect->amount;
	if (kind == EFFECT_START_SLOW)
		ret->start_added += effect->amount;
	if (kind == EFFECT_PROC_LOOP && (ret->loops == 0 || effect->amount < ret->loops))
		ret->loops = effect->amount;
	if (kind == EFFECT_CPU_QUOTA)
		ret->squeezed = fmax(ret->squeezed, share_of(effect));
	ret->hangs |= kind == EFFECT_GPU_HANG;
	ret->stopped |= kind == EFFECT_PROC_FREEZE;
	ret->unready |= kind == EFFECT_REPLICA_UNREADY;
}

bool condition_damages(const struct world *w, const struct token *token, enum effect_kind kind,
		       enum data_class c)
{
	return token->effect.kind == kind && token->effect.entity.index == (int32_t)c &&
	       token->copy == w->sites[world_data_site(w)].damage[c].copy;
}

/* A connection that is reset before its answer is there. */
static double reset_early(const struct world *w, const struct replica *replica,
			  const struct effect *effect)
{
	const struct load *load = &w->scenario->deployment.endpoints[replica->endpoint].load;
	if (effect->kind != EFFECT_NET_RESET || effect->amount == 0 || load->rate <= 0)
		return 0;
	return 1 - dist_cdf(&load->service_time, (double)effect->amount);
}

static bool keeps_log(const struct world *w, const struct replica *replica)
{
	return world_domain(w, replica->endpoint) == DOMAIN_OF_DATA &&
	       w->scenario->deployment.data[DATA_IO].declared;
}

/* A record is written and synced before the request is answered. */
#define LOG_WRITE (FILE_BIT(FILE_WRITE) | FILE_BIT(FILE_SYNC))

/* Where the input and output log cannot be written or read, no request is answered. */
static double log_lost(const struct world *w, const struct replica *replica)
{
	const struct node *node = &w->nodes[replica->node];
	const struct site_state *site = &w->sites[replica->site];
	double lost = 0;
	if (!keeps_log(w, replica))
		return 0;
	if (node->disk_full || node->disk_failing || node->disk_readonly ||
	    site->damage[DATA_IO].sealed || site->damage[DATA_IO].gone)
		return 1;
	if (w->standing_count > 0)
		lost = disk_errors(w, node_entity(w, replica->node), LOG_WRITE);
	if (!site->damage[DATA_IO].cut)
		return lost;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct token *token = &w->tokens[w->standing[k]];
		if (condition_damages(w, token, EFFECT_DATA_CUT, DATA_IO))
			combine(&lost, share_of(&token->effect));
	}
	return lost;
}

void conditions_of(const struct world *w, const struct replica *replica, struct conditions *ret)
{
	bool refused;
	*ret = (struct conditions){.pace = 1};
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct token *token = &w->tokens[w->standing[k]];
		/* What a start waits for, a new one waits for wherever it is. */
		bool start = token->effect.kind == EFFECT_START_SLOW;
		if (!replica_is_of(w, replica, token->effect.entity,
				   start ? replica->site : token->site))
			continue;
		add(&token->effect, ret);
		combine(&ret->error, reset_early(w, replica, &token->effect));
	}
	if (replica->node == NODE_NONE)
		return;
	combine(&ret->error, log_lost(w, replica));
	ret->hangs |= keeps_log(w, replica) && w->nodes[replica->node].disk_hanging > 0;
	if (w->standing_count == 0)
		return;
	ret->pace = gpus_pace(w, replica->node, gpus_of(w, replica)) *
		    host_pace(fmin(node_cpu(w, replica->node), 1 - ret->squeezed),
			      gpus_of(w, replica) != 0);
	if (keeps_log(w, replica))
		ret->added += disk_added(w, node_entity(w, replica->node), LOG_WRITE);
	combine(&ret->wrong, gpus_wrong(w, replica->node, gpus_of(w, replica)));
	condition_clock(w, replica->site, replica->node, &refused);
	if (refused)
		ret->error = 1; /* its tokens and certificates are refused */
}

bool conditions_well(const struct conditions *now)
{
	return now->pace == 1 && now->wrong == 0 && now->error == 0 && now->loss == 0 &&
	       now->added == 0 && !now->stopped && !now->unready && !now->hangs;
}
