/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers by purpose, from Random123's Philox4x64-10.
 * Integers and uniforms are the same bits on every machine. A normal draw goes through libm's log,
 * whose last bit may differ between versions of libm.
 */
#include "core/prng.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include <Random123/philox.h>

__extension__ typedef unsigned __int128 uint128;

void prng_open(struct prng *prng, uint64_t seed, uint64_t trial, uint64_t entity,
	       enum prng_purpose purpose)
{
	memset(prng, 0, sizeof(*prng));
	prng->key[0] = seed;
	prng->key[1] = trial;
	prng->counter[0] = entity;
	prng->counter[1] = (uint64_t)purpose;
}

static void refill(struct prng *prng)
{
	philox4x64_ctr_t counter;
	philox4x64_key_t key;

	memcpy(counter.v, prng->counter, sizeof(prng->counter));
	memcpy(key.v, prng->key, sizeof(prng->key));
	counter = philox4x64_R(10, counter, key);
	memcpy(prng->buffer, counter.v, sizeof(prng->buffer));
	prng->counter[2]++;
	prng->left = 4;
}

uint64_t prng_u64(struct prng *prng)
{
	if (prng->left == 0)
		refill(prng);
	return prng->buffer[4 - prng->left--];
}

double prng_uniform(struct prng *prng)
{
	/*
	 * Odd multiples of 2^-53. Both ends stay open and every value is exact: 53 random bits plus
	 * a half would round up to 1 at the top.
	 */
	return (double)((prng_u64(prng) >> 12) * 2 + 1) * 0x1p-53;
}

/* Multiply and reject: Lemire, "Fast random integer generation in an interval", ACM TOMACS 29(1),
 * 2019, algorithm 5. */
uint64_t prng_below(struct prng *prng, uint64_t n)
{
	uint128 product;
	uint64_t threshold;

	assert(n > 0);
	product = (uint128)prng_u64(prng) * n;
	if ((uint64_t)product < n) {
		threshold = (0 - n) % n;
		while ((uint64_t)product < threshold)
			product = (uint128)prng_u64(prng) * n;
	}
	return (uint64_t)(product >> 64);
}

/* The polar method (Marsaglia and Bray, SIAM Review 6, 1964): two draws at a time, the second is
 * kept for the next call. */
double prng_normal(struct prng *prng)
{
	double x, y, square, factor;

	if (prng->have_normal) {
		prng->have_normal = 0;
		return prng->normal;
	}
	do {
		x = 2 * prng_uniform(prng) - 1;
		y = 2 * prng_uniform(prng) - 1;
		square = x * x + y * y;
	} while (square >= 1 || square == 0);
	factor = sqrt(-2 * log(square) / square);
	prng->normal = y * factor;
	prng->have_normal = 1;
	return x * factor;
}
