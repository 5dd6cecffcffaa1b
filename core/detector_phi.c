/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phi accrual with normally distributed arrivals (Hayashibara et al., "The phi accrual failure
 * detector", SRDS 2004).
 */
#include "core/detector.h"

#include <assert.h>
#include <math.h>

#define LN_10 2.302585092994045684
#define SQRT_2 1.414213562373095049
#define LN_SQRT_2PI 0.918938533204672742

#define TAIL_FAR 30.0      /* beyond it erfc() nears the smallest doubles: a series takes over */
#define SIGMAS_LOW (-37.0) /* below it phi is less than any double between 0 and 1 can tell */

/* -log10 P(X > z) of a standard normal X. */
static double phi_of_sigmas(double z)
{
	double square = z * z;

	if (z < 0)
		return -log1p(-0.5 * erfc(-z / SQRT_2)) / LN_10;
	if (z < TAIL_FAR)
		return -log10(0.5 * erfc(z / SQRT_2));
	/* Abramowitz and Stegun 26.2.12, two terms: below 1e-8 off at z = 30. */
	return (square / 2 + LN_SQRT_2PI + log(z) - log1p(-1 / square + 3 / (square * square))) /
	       LN_10;
}

double phi_value(double elapsed, double mean, double sigma)
{
	assert(sigma > 0);
	return phi_of_sigmas((elapsed - mean) / sigma);
}

double phi_sigmas(double threshold)
{
	double low = SIGMAS_LOW, high;

	assert(threshold > 0);
	/* P(X > z) <= exp(-z^2 / 2) / 2 bounds the root from above. */
	high = sqrt(2 * LN_10 * threshold) + 1;
	for (;;) {
		double middle = low + (high - low) / 2;

		if (middle <= low || middle >= high)
			return high;
		if (phi_of_sigmas(middle) < threshold)
			low = middle;
		else
			high = middle;
	}
}

/* When phi reaches the threshold, counted from an arrival. */
static nanos patience(const struct detector_target *target, const struct detector_config *config,
		      double sigmas)
{
	uint32_t needed = DETECTOR_PHI_SAMPLES_MIN;
	double n = target->filled;
	double mean = 0; /* beyond the configured interval: small numbers keep their digits */
	double sigma = (double)config->interval * config->jitter_sigma;
	double beyond;

	if (config->window < needed)
		needed = config->window < 2 ? 2 : config->window;
	if (target->filled >= needed) {
		mean = target->sum / n;
		sigma = sqrt(fmax(target->sum_squares - target->sum * mean, 0) / (n - 1));
	}
	beyond = ceil(mean + sigmas * fmax(sigma, 1));
	if (beyond < -(double)config->interval)
		return 0;
	if (beyond > (double)SCENARIO_DURATION_MAX)
		beyond = (double)SCENARIO_DURATION_MAX;
	return config->interval + (nanos)beyond;
}

/* Into the ring. Sums are made anew once a turn, so that rounding does not add up. */
static void add_sample(struct detector_target *target, uint32_t window, double sample)
{
	if (target->filled == window) {
		double oldest = target->intervals[target->next];

		target->sum -= oldest;
		target->sum_squares -= oldest * oldest;
	} else {
		target->filled++;
	}
	target->intervals[target->next] = sample;
	target->sum += sample;
	target->sum_squares += sample * sample;
	if (++target->next < window)
		return;
	target->next = 0;
	target->sum = target->sum_squares = 0;
	for (uint32_t i = 0; i < window; i++) {
		target->sum += target->intervals[i];
		target->sum_squares += target->intervals[i] * target->intervals[i];
	}
}

void detector_phi_reset(struct detector_target *target, const struct detector_config *config,
			double sigmas)
{
	target->filled = target->next = 0;
	target->sum = target->sum_squares = 0;
	target->last_arrival = 0;
	target->arriving = NANOS_NEVER;
	target->deadline = config->interval + patience(target, config, sigmas);
}

void detector_phi_arrive(struct detector_target *target, const struct detector_config *config,
			 double sigmas, nanos at)
{
	if (at < target->last_arrival)
		return;
	/* Time 0 is no arrival, and the gap of an outage says nothing about healthy gaps. */
	if (target->last_arrival > 0 && !target->declared)
		add_sample(target, config->window,
			   (double)(at - target->last_arrival - config->interval));
	target->last_arrival = at;
	target->deadline = at + patience(target, config, sigmas);
}
