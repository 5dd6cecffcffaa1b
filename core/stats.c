/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of a campaign: order statistics, moments, distribution functions, censored samples,
 * queues. */
#include "core/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Products such as 0.07 * 100 come out an ulp above the integer they mean; a rank must not jump for
 * that. */
#define STATS_RANK_SLACK 1e-12

static int double_compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

void stats_sort(double *values, size_t n)
{
	if (n > 1)
		qsort(values, n, sizeof(*values), double_compare);
}

size_t stats_quantile_rank(size_t n, double p)
{
	double rank = (double)n * p;

	assert(p > 0 && p < 1);
	rank = ceil(rank - rank * STATS_RANK_SLACK);
	if (n == 0)
		return 0;
	if (rank < 1)
		return 1;
	return rank < (double)n ? (size_t)rank : n;
}

double stats_quantile(const double *sorted, size_t n, double p)
{
	size_t rank = stats_quantile_rank(n, p);

	return rank > 0 ? sorted[rank - 1] : (double)NAN;
}

/* ln of the binomial probability of exactly k. */
static double binomial_log(size_t n, double p, size_t k)
{
	int sign;
	double choose = lgamma_r((double)n + 1, &sign) - lgamma_r((double)k + 1, &sign) -
			lgamma_r((double)(n - k) + 1, &sign);

	return choose + (double)k * log(p) + (double)(n - k) * log1p(-p);
}

/*
 * How many k = 0, 1, … in a row have P(B <= k) <= tail, B ~ binomial(n, p). The sum starts 12
 * deviations below the mean: what lies there is below 1e-30, and a campaign of 1e9 trials costs no
 * more than some 1e5 steps.
 */
static size_t binomial_below(size_t n, double p, double tail)
{
	double mean = (double)n * p;
	double start = mean - 12 * sqrt(mean * (1 - p)) - 50;
	size_t k = start > 0 ? (size_t)start : 0;
	double term = exp(binomial_log(n, p, k));
	double sum = term;

	while (sum <= tail && k < n) {
		term *= (double)(n - k) / (double)(k + 1) * (p / (1 - p));
		sum += term;
		k++;
	}
	return k;
}

struct stats_ranks stats_quantile_interval(size_t n, double p, double alpha)
{
	struct stats_ranks ranks = {0};
	size_t above;

	assert(p > 0 && p < 1);
	assert(alpha > 0 && alpha < 1);
	if (n == 0)
		return ranks;
	ranks.low = binomial_below(n, p, alpha / 2);
	/* Seen from the top the successes are failures: P(B >= high) = P(n − B <= n − high). */
	above = binomial_below(n, 1 - p, alpha / 2);
	ranks.high = above > 0 ? n + 1 - above : 0;
	return ranks;
}

uint64_t stats_trials_without_miss(double miss, double alpha)
{
	double trials;

	assert(miss > 0 && miss < 1);
	assert(alpha > 0 && alpha < 1);
	trials = log(alpha) / log1p(-miss);
	return (uint64_t)ceil(trials - trials * STATS_RANK_SLACK);
}

void stats_moments_add(struct stats_moments *moments, double value)
{
	double delta = value - moments->mean;

	if (moments->n == 0 || value < moments->min)
		moments->min = value;
	if (moments->n == 0 || value > moments->max)
		moments->max = value;
	moments->n++;
	moments->mean += delta / (double)moments->n;
	moments->squares += delta * (value - moments->mean);
}

struct stats_moments stats_moments_of(const double *values, size_t n)
{
	struct stats_moments moments = {0};

	for (size_t i = 0; i < n; i++)
		stats_moments_add(&moments, values[i]);
	return moments;
}

double stats_variance(const struct stats_moments *moments)
{
	return moments->n > 1 ? moments->squares / (double)(moments->n - 1) : (double)NAN;
}

double stats_standard_error(const struct stats_moments *moments)
{
	return sqrt(stats_variance(moments) / (double)moments->n);
}

double stats_t_quantile(double freedom, double p)
{
	double z, z3, z5, z7, z9;

	assert(freedom >= 1);
	assert(p > 0 && p < 1);
	if (freedom == 1)
		return tan(M_PI * (p - 0.5));
	if (freedom == 2)
		return (2 * p - 1) / sqrt(2 * p * (1 - p));
	z = stats_normal_quantile(p);
	z3 = z * z * z;
	z5 = z3 * z * z;
	z7 = z5 * z * z;
	z9 = z7 * z * z;
	return z + (z3 + z) / (4 * freedom) +
	       (5 * z5 + 16 * z3 + 3 * z) / (96 * pow(freedom, 2)) +
	       (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * pow(freedom, 3)) +
	       (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) / (92160 * pow(freedom, 4));
}

/* One step of Lentz's evaluation of a continued fraction: c and d hold the quotients of its
 * numerators and denominators. */
static double lentz(double term, double *c, double *d)
{
	static const double tiny = 1e-300;

	*d = 1 + term * *d;
	*d = 1 / (fabs(*d) < tiny ? tiny : *d);
	*c = 1 + term / *c;
	*c = fabs(*c) < tiny ? tiny : *c;
	return *c * *d;
}

#define BETA_TERMS_MAX 1000

/* I_x(a, b); y is 1 - x, exact where x is near 1. Converges fast for x < (a + 1) / (a + b + 2). */
static double beta_share(double a, double b, double x, double y)
{
	int sign;
	double front = exp(a * log(x) + b * log(y) + lgamma_r(a + b, &sign) - lgamma_r(a, &sign) -
			   lgamma_r(b, &sign)) /
		       a;
	double c = 1, d = 0, fraction = lentz(-(a + b) * x / (a + 1), &c, &d);

	/* 1 + d1 / (1 + d2 / ...): d1 is done. */
	for (int m = 1; m < BETA_TERMS_MAX; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), step;
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));

		fraction *= lentz(even, &c, &d);
		step = lentz(odd, &c, &d);
		fraction *= step;
		if (fabs(step - 1) < 1e-15)
			break;
	}
	return front / fraction;
}

double stats_t_upper(double t, double freedom)
{
	double square = t * t, x = freedom / (freedom + square), y = square / (freedom + square);
	double a = freedom / 2, b = 0.5, share;

	assert(freedom >= 1);
	if (!(t > 0))
		return t < 0 ? 1 - stats_t_upper(-t, freedom) : 0.5;
	if (isinf(square))
		return 0;
	share = x < (a + 1) / (a + b + 2) ? beta_share(a, b, x, y) : 1 - beta_share(b, a, y, x);
	return share / 2;
}

struct stats_paired stats_paired_of(const double *a, const double *b, size_t n, double alpha)
{
	struct stats_moments before = {0}, saved = {0};
	struct stats_paired paired = {.before = NAN, .mean = NAN, .low = NAN, .high = NAN};

	for (size_t i = 0; i < n; i++) {
		if (!isfinite(a[i]) || !isfinite(b[i]))
			continue;
		stats_moments_add(&before, a[i]);
		stats_moments_add(&saved, a[i] - b[i]);
	}
	paired.n = saved.n;
	if (saved.n > 0) {
		paired.before = before.mean;
		paired.mean = saved.mean;
	}
	if (saved.n > 1) {
		double half = stats_standard_error(&saved) *
			      stats_t_quantile((double)(saved.n - 1), 1 - alpha / 2);

		paired.low = saved.mean - half;
		paired.high = saved.mean + half;
	}
	return paired;
}

double stats_ecdf(const double *sorted, size_t n, double x)
{
	size_t low = 0, high = n;

	/* How many are <= x: all below `low` are, none from `high` on is. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sorted[middle] <= x)
			low = middle + 1;
		else
			high = middle;
	}
	return n > 0 ? (double)low / (double)n : (double)NAN;
}

double stats_dkw_half_width(size_t n, double alpha)
{
	assert(alpha > 0 && alpha < 1);
	return n > 0 ? sqrt(log(2 / alpha) / (2 * (double)n)) : (double)NAN;
}

size_t stats_ecdf_points(const double *sorted, size_t n, double alpha,
			 struct stats_ecdf_point *ret_points)
{
	double half = stats_dkw_half_width(n, alpha);
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		double p = (double)(i + 1) / (double)n;

		if (i + 1 < n && sorted[i + 1] <= sorted[i])
			continue; /* the step of equal values has the height of the last of them */
		ret_points[count++] = (struct stats_ecdf_point){.x = sorted[i],
								.p = p,
								.low = fmax(p - half, 0),
								.high = fmin(p + half, 1)};
	}
	return count;
}

static int sample_compare(const void *left, const void *right)
{
	const struct stats_sample *a = left, *b = right;

	if (a->value < b->value || a->value > b->value)
		return a->value > b->value ? 1 : -1;
	return (int)a->censored - (int)b->censored;
}

void stats_samples_sort(struct stats_sample *samples, size_t n)
{
	if (n > 1)
		qsort(samples, n, sizeof(*samples), sample_compare);
}

/*
 * One walk for curve and quantile. Between two censored samples the factors (r−1)/r · (r−2)/(r−1) ·
 * … shorten to one fraction, so the product is multiplied up only where a sample was censored, and
 * is exact where none was.
 */
struct survival {
	const struct stats_sample *sorted;
	size_t n, at; /* next sample */
	size_t risk;  /* samples at risk when `base` was taken */
	double base;  /* survival after the last censored sample */
};

static struct survival survival_start(const struct stats_sample *sorted, size_t n)
{
	return (struct survival){.sorted = sorted, .n = n, .risk = n, .base = 1};
}

/* Step to the next event time; false when there is none left. */
static bool survival_next(struct survival *s, struct stats_survival_point *ret_point)
{
	while (s->at < s->n) {
		const struct stats_sample *sample = &s->sorted[s->at];
		size_t left;

		if (sample->censored) {
			s->base *= (double)(s->n - s->at) / (double)s->risk;
			s->at++;
			s->risk = s->n - s->at;
			continue;
		}
		s->at++;
		if (s->at < s->n && !s->sorted[s->at].censored &&
		    s->sorted[s->at].value <= sample->value)
			continue;
		left = s->n - s->at;
		*ret_point = (struct stats_survival_point){
			.x = sample->value, .survival = s->base * ((double)left / (double)s->risk)};
		return true;
	}
	return false;
}

size_t stats_kaplan_meier(const struct stats_sample *sorted, size_t n,
			  struct stats_survival_point *ret_points)
{
	struct survival s = survival_start(sorted, n);
	struct stats_survival_point point;
	size_t count = 0;

	while (survival_next(&s, &point))
		ret_points[count++] = point;
	return count;
}

double stats_kaplan_meier_quantile(const struct stats_sample *sorted, size_t n, double p)
{
	struct survival s = survival_start(sorted, n);
	struct stats_survival_point point;

	assert(p > 0 && p < 1);
	while (survival_next(&s, &point)) {
		if (point.survival <= 1 - p + p * STATS_RANK_SLACK)
			return point.x;
	}
	return NAN;
}

double stats_erlang_c(uint32_t servers, double load)
{
	double blocked = 1;

	assert(servers > 0);
	if (load <= 0)
		return 0;
	if (load >= servers)
		return 1;
	for (uint32_t k = 1; k <= servers; k++)
		blocked = load * blocked / (k + load * blocked);
	return servers * blocked / (servers - load * (1 - blocked));
}

double stats_normal_cdf(double z)
{
	return erfc(-z * 0.70710678118654752440) / 2;
}

/* a[0] + a[1] x + … + a[7] x^7 */
static double polynomial(const double a[8], double x)
{
	double sum = a[7];

	for (int i = 6; i >= 0; i--)
		sum = sum * x + a[i];
	return sum;
}

/* Numerator and denominator for |p − 1/2| <= 0.425, and for r = sqrt(−ln min(p, 1−p)) up to 5 and
 * above. */
double stats_normal_quantile(double p)
{
	static const double a[8] = {3.3871328727963666080e0, 1.3314166789178437745e2,
				    1.9715909503065514427e3, 1.3731693765509461125e4,
				    4.5921953931549871457e4, 6.7265770927008700853e4,
				    3.3430575583588128105e4, 2.5090809287301226727e3};
	static const double b[8] = {1.0,
				    4.2313330701600911252e1,
				    6.8718700749205790830e2,
				    5.3941960214247511077e3,
				    2.1213794301586595867e4,
				    3.9307895800092710610e4,
				    2.8729085735721942674e4,
				    5.2264952788528545610e3};
	static const double c[8] = {1.42343711074968357734e0,  4.63033784615654529590e0,
				    5.76949722146069140550e0,  3.64784832476320460504e0,
				    1.27045825245236838258e0,  2.41780725177450611770e-1,
				    2.27238449892691845833e-2, 7.74545014278341407640e-4};
	static const double d[8] = {1.0,
				    2.05319162663775882187e0,
				    1.67638483018380384940e0,
				    6.89767334985100004550e-1,
				    1.48103976427480074590e-1,
				    1.51986665636164571966e-2,
				    5.47593808499534494600e-4,
				    1.05075007164441684324e-9};
	static const double e[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,
				    1.78482653991729133580e0,  2.96560571828504891230e-1,
				    2.65321895265761230930e-2, 1.24266094738807843860e-3,
				    2.71155556874348757815e-5, 2.01033439929228813265e-7};
	static const double f[8] = {1.0,
				    5.99832206555887937690e-1,
				    1.36929880922735805310e-1,
				    1.48753612908506148525e-2,
				    7.86869131145613259100e-4,
				    1.84631831751005468180e-5,
				    1.42151175831644588870e-7,
				    2.04426310338993978564e-15};
	double q = p - 0.5, r, z;

	assert(p > 0 && p < 1);
	if (fabs(q) <= 0.425) {
		r = 0.180625 - q * q;
		return q * polynomial(a, r) / polynomial(b, r);
	}
	r = sqrt(-log(q < 0 ? p : 1 - p));
	if (r <= 5)
		z = polynomial(c, r - 1.6) / polynomial(d, r - 1.6);
	else
		z = polynomial(e, r - 5) / polynomial(f, r - 5);
	return q < 0 ? -z : z;
}
