/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for gradients: each step mixes every rank's state with the sum over all ranks, so that
 * one wrong bit of one rank, or a resume from a wrong step, shows in all later sums. */
#include "core/prng.h"
#include "sim/minilepton/trainer.h"

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

void trainer_begin(uint64_t state[CHECKPOINT_WORDS], uint64_t seed, uint32_t rank)
{
	struct prng prng;

	prng_open(&prng, seed, 0, rank, PRNG_JOB);
	for (int i = 0; i < CHECKPOINT_WORDS; i++)
		state[i] = prng_u64(&prng);
}

uint64_t trainer_part(const uint64_t state[CHECKPOINT_WORDS], uint64_t step)
{
	uint64_t part = step;

	for (int i = 0; i < CHECKPOINT_WORDS; i++)
		part = mix(part + state[i]);
	return part;
}

void trainer_step(uint64_t state[CHECKPOINT_WORDS], uint64_t step, uint64_t sum)
{
	for (int i = 0; i < CHECKPOINT_WORDS; i++)
		state[i] = mix(state[i] + sum + step * (uint64_t)(i + 1));
}
