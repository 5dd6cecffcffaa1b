/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a series, looking back: E-divisive places them, Student's t decides. */
#include "core/change.h"

#include <assert.h>
#include <math.h>

#include "core/change_private.h"
#include "core/stats.h"

#define ALPHA 0.05         /* intervals are 95 % intervals */
#define RESOLUTION 1e-9    /* relative: a nanosecond in a second */
#define WINDOW 50          /* nights of a window; the next one begins half a window further */
#define LOOSE_LEVEL 0.001  /* two-sided, of a candidate */
#define STRICT_LEVEL 5e-5  /* two-sided, of what is told */
#define LASTING_LEVEL 1e-3 /* two-sided, without the most telling night */

bool change_scale(const double *values, size_t n, bool ratios, double *ret_x,
		  double *ret_resolution)
{
	bool logs = ratios && n > 0;
	double largest = 0;

	for (size_t i = 0; i < n; i++) {
		logs = logs && values[i] > 0;
		largest = fmax(largest, fabs(values[i]));
	}
	for (size_t i = 0; i < n; i++)
		ret_x[i] = logs ? log(values[i]) : values[i];
	*ret_resolution = logs ? RESOLUTION : RESOLUTION * largest;
	return logs;
}

/* ---- two stretches ---- */

#define NO_NIGHT ((size_t)-1)

/* One stretch, perhaps without one of its nights. */
struct stretch {
	double n, mean, squares; /* squares: of deviations from the mean; 0 for constant values */
};

static struct stretch measure(const struct change_series *series, size_t from, size_t to,
			      size_t without)
{
	struct stretch stretch = {.n = (double)(to - from)};
	const double *x = series->x;
	double base = x[from], sum = 0;

	for (size_t i = from; i < to; i++)
		if (i != without)
			sum += x[i] - base;
	stretch.n -= without >= from && without < to;
	stretch.mean = base + sum / stretch.n;
	for (size_t i = from; i < to; i++)
		if (i != without)
			stretch.squares += (x[i] - stretch.mean) * (x[i] - stretch.mean);
	return stretch;
}

/* ln of n over k. */
static double choose(size_t n, size_t k)
{
	int sign;

	return lgamma_r((double)n + 1, &sign) - lgamma_r((double)k + 1, &sign) -
	       lgamma_r((double)(n - k) + 1, &sign);
}

double change_fisher(size_t n, size_t m, size_t marked, size_t seen)
{
	double sum = 0, all = choose(n + m, marked);

	for (size_t k = seen; k <= m && k <= marked; k++)
		if (marked - k <= n)
			sum += exp(choose(m, k) + choose(n, marked - k) - all);
	return fmin(sum, 1);
}

/* Is one value that of half of the nights or more? (Boyer and Moore's vote, then a count.) */
static bool find_usual(const struct change_series *series, size_t from, size_t to,
		       double *ret_usual)
{
	double usual = series->x[from];
	size_t votes = 0, count = 0;

	for (size_t i = from; i < to; i++) {
		if (votes == 0)
			usual = series->x[i];
		if (fabs(series->x[i] - usual) <= series->resolution)
			votes++;
		else
			votes--;
	}
	for (size_t i = from; i < to; i++)
		count += fabs(series->x[i] - usual) <= series->resolution;
	*ret_usual = usual;
	return 2 * count >= to - from;
}

/* One value most of the time, and others now and then: whether nights above it, and nights below
 * it, keep to one side more than chance puts them there. */
static double unusual(const struct change_series *series, const struct change *change, double usual)
{
	/* [0]: nights above, which the higher side has more of; [1]: below, the lower side. */
	size_t n = change->at - change->from, m = change->to - change->at, counts[2][2] = {{0}};
	bool higher = change->after > change->before;
	double p[2];

	for (size_t i = change->from; i < change->to; i++) {
		counts[0][i >= change->at] += series->x[i] > usual + series->resolution;
		counts[1][i >= change->at] += series->x[i] < usual - series->resolution;
	}
	for (int i = 0; i < 2; i++) {
		size_t both = counts[i][0] + counts[i][1];

		p[i] = higher == (i == 0) ? change_fisher(n, m, both, counts[i][1])
					  : change_fisher(m, n, both, counts[i][0]);
	}
	return fmin(1, 4 * fmin(p[0], p[1]));
}

/* Student's t of two stretches whose means differ. */
static double student(struct stretch a, struct stretch b, double *ret_error)
{
	double freedom = a.n + b.n - 2;

	*ret_error = sqrt((a.squares + b.squares) / freedom * (1 / a.n + 1 / b.n));
	return fmin(1, 2 * stats_t_upper(fabs(b.mean - a.mean) / *ret_error, freedom));
}

struct change change_compare(const struct change_series *series, size_t from, size_t at, size_t to)
{
	struct change change = {.from = from, .at = at, .to = to, .found = to - 1, .p = 1};
	struct stretch a, b;
	double nights = (double)(to - from), difference, error, half, usual;

	assert(from < at && at < to && to <= series->n);
	a = measure(series, from, at, NO_NIGHT);
	b = measure(series, at, to, NO_NIGHT);
	change.before = a.mean;
	change.after = b.mean;
	difference = b.mean - a.mean;
	change.low = change.high = difference;
	if (fabs(difference) <= series->resolution)
		return change;
	if (a.squares + b.squares <= nights * series->resolution * series->resolution) {
		change.p =
			series->exact
				? 0
				: fmin(1, 2 * change_fisher(at - from, to - at, to - at, to - at));
		return change;
	}
	change.p = student(a, b, &error);
	half = error * stats_t_quantile(nights - 2, 1 - ALPHA / 2);
	change.low = difference - half;
	change.high = difference + half;
	if (!series->exact && find_usual(series, from, to, &usual))
		change.p = unusual(series, &change, usual);
	return change;
}

bool change_is_lasting(const struct change_series *series, const struct change *change)
{
	bool right = change->to - change->at <= change->at - change->from;
	bool high = right == (change->after > change->before);
	size_t from = right ? change->at : change->from, to = right ? change->to : change->at;
	size_t worst = from;
	struct stretch a, b;
	double error;

	if (series->exact)
		return true;
	if (to - from < 2)
		return false;
	for (size_t i = from; i < to; i++)
		if (high ? series->x[i] > series->x[worst] : series->x[i] < series->x[worst])
			worst = i;
	a = measure(series, change->from, change->at, worst);
	b = measure(series, change->at, change->to, worst);
	if ((b.mean > a.mean) != (change->after > change->before) ||
	    fabs(b.mean - a.mean) <= series->resolution)
		return false;
	if (a.n + b.n < 3 || a.squares + b.squares <= 0)
		return true;
	return student(a, b, &error) < LASTING_LEVEL;
}

/* ---- E-divisive ---- */

/*
 * Q of a split (Matteson and James, equation 6): n m / (n + m) times the energy distance of its
 * sides, from the sums of |x - y| over pairs between the sides and within each.
 */
static double divergence(double n, double m, double between, double left, double right)
{
	double energy = 2 * between / (n * m);

	if (n > 1)
		energy -= 2 * left / (n * (n - 1));
	if (m > 1)
		energy -= 2 * right / (m * (m - 1));
	return n * m / (n + m) * energy;
}

size_t change_divide(const struct change_series *series, size_t from, size_t to)
{
	const double *x = series->x;
	double between = 0, left = 0, right = 0, best = -INFINITY;
	size_t at = from + 1;

	assert(to - from >= 2);
	for (size_t i = from; i < to; i++)
		for (size_t j = i + 1; j < to; j++)
			right += fabs(x[i] - x[j]);
	/* Night i goes over from the right side to the left one. */
	for (size_t i = from; i + 1 < to; i++) {
		double to_left = 0, to_right = 0, q;

		for (size_t j = from; j < i; j++)
			to_left += fabs(x[i] - x[j]);
		for (size_t j = i + 1; j < to; j++)
			to_right += fabs(x[i] - x[j]);
		between += to_right - to_left;
		left += to_left;
		right -= to_right;
		q = divergence((double)(i + 1 - from), (double)(to - i - 1), between, left, right);
		if (q > best) {
			best = q;
			at = i + 1;
		}
	}
	return at;
}

/* ---- the list ---- */

struct list {
	struct arena *arena;
	size_t *at, count, capacity; /* ascending, each once */
};

static void insert(struct list *list, size_t at)
{
	size_t place = list->count;

	while (place > 0 && list->at[place - 1] >= at)
		place--;
	if (place < list->count && list->at[place] == at)
		return;
	list->at =
		arena_grow(list->arena, list->at, list->count, &list->capacity, sizeof(*list->at));
	for (size_t i = list->count; i > place; i--)
		list->at[i] = list->at[i - 1];
	list->at[place] = at;
	list->count++;
}

/* Splits [from, to) and then its parts, as long as the sides are unlike. Each turn splits one
 * stretch; the stretches still to do lie on a stack. */
static void divide_all(const struct change_series *series, size_t from, size_t to,
		       struct list *list)
{
	struct list open = {.arena = list->arena};

	insert(&open, from);
	while (open.count > 0) {
		size_t start = open.at[open.count - 1], at;

		if (to - start < 2) {
			to = start;
			open.count--;
			continue;
		}
		at = change_divide(series, start, to);
		if (change_compare(series, start, at, to).p < LOOSE_LEVEL) {
			insert(list, at);
			insert(&open, at);
		} else {
			to = start;
			open.count--;
		}
	}
}

static struct change compare_at(const struct change_series *series, const struct list *list,
				size_t i)
{
	return change_compare(series, i > 0 ? list->at[i - 1] : 0, list->at[i],
			      i + 1 < list->count ? list->at[i + 1] : series->n);
}

/* Takes the weakest away until all that are left are significant against their neighbours. */
static void merge(const struct change_series *series, struct list *list)
{
	while (list->count > 0) {
		size_t weakest = 0;
		double p = -1;

		for (size_t i = 0; i < list->count; i++) {
			struct change change = compare_at(series, list, i);
			double own = change_is_lasting(series, &change) ? change.p : 1;

			if (own > p) {
				p = own;
				weakest = i;
			}
		}
		if (p < STRICT_LEVEL)
			return;
		list->count--;
		for (size_t i = weakest; i < list->count; i++)
			list->at[i] = list->at[i + 1];
	}
}

size_t change_points(const struct change_series *series, struct arena *arena,
		     struct change **ret_changes)
{
	struct list list = {.arena = arena};

	assert(series->n <= CHANGE_NIGHTS_MAX);
	divide_all(series, 0, series->n, &list);
	for (size_t from = 0; from + WINDOW / 2 < series->n; from += WINDOW / 2)
		divide_all(series, from, from + WINDOW < series->n ? from + WINDOW : series->n,
			   &list);
	merge(series, &list);
	*ret_changes = arena_array(arena, list.count + 1, sizeof(**ret_changes));
	for (size_t i = 0; i < list.count; i++)
		(*ret_changes)[i] = compare_at(series, &list, i);
	return list.count;
}

/* ---- control chart ---- */

#define LIMITS 2.66 /* 3 / d2, d2 = 1.128 for ranges of two */

struct change_chart change_chart(const struct change_series *series)
{
	struct change_chart chart = {0};
	double slack = series->resolution;

	assert(series->n >= 2);
	chart.mean = measure(series, 0, series->n, NO_NIGHT).mean;
	for (size_t i = 1; i < series->n; i++)
		chart.range += fabs(series->x[i] - series->x[i - 1]) / (double)(series->n - 1);
	chart.low = chart.mean - LIMITS * chart.range;
	chart.high = chart.mean + LIMITS * chart.range;
	for (size_t i = 0; i < series->n; i++)
		chart.outside +=
			series->x[i] > chart.high + slack || series->x[i] < chart.low - slack;
	return chart;
}
