/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a series as a gate finds them, night by night. */
#include <assert.h>
#include <math.h>

#include "core/change_private.h"

#define BEFORE_MIN 5 /* nights before those that are looked at */

/*
 * How many of the last nights are compared with those before, and the level of the one-sided test.
 * Together they give an unchanged series of 300 nights a chance of 0.7 % of showing a worsening.
 * Most of it goes to the look of 11 nights: it is what finds 10 % in a noise of 5 % by the tenth
 * night after. The short ones find what is large at once, the long ones what is small in the end.
 */
struct look {
	size_t nights;
	double level;
};
static const struct look looks[] = {
	{1, 1e-6}, {2, 1e-6}, {4, 1e-6}, {7, 3e-6}, {11, 3.5e-5}, {20, 2e-6}, {40, 2e-6},
};
#define LOOKS (sizeof(looks) / sizeof(looks[0]))

/* A series that is watched: compares nights [from, at) with [at, to). */
struct watch {
	const void *self;
	struct change (*compare)(const void *self, size_t from, size_t at, size_t to);
	size_t (*date)(const void *self, size_t from, size_t at, size_t to);
	bool (*is_lasting)(const void *self, const struct change *change);
};

/* The change that the last night of [from, to) shows, if any. */
static bool look(const struct watch *watch, size_t from, size_t to, struct change *ret_change)
{
	for (size_t i = 0; i < LOOKS; i++) {
		struct change change;
		size_t at;

		if (to - from < BEFORE_MIN + looks[i].nights)
			return false;
		at = to - looks[i].nights;
		change = watch->compare(watch->self, from, at, to);
		if (change.p >= 2 * looks[i].level || !watch->is_lasting(watch->self, &change))
			continue;
		*ret_change = watch->compare(watch->self, from,
					     watch->date(watch->self, from, at, to), to);
		/* Dated another way it may seem to go the other way: then it is where it was
		 * seen. */
		if ((ret_change->after > ret_change->before) != (change.after > change.before))
			*ret_change = change;
		return true;
	}
	return false;
}

static size_t replay(const struct watch *watch, size_t n, struct arena *arena,
		     struct change **ret_changes)
{
	struct change *changes = NULL, change;
	size_t count = 0, capacity = 0, from = 0;

	for (size_t to = 1; to <= n; to++) {
		if (!look(watch, from, to, &change))
			continue;
		changes = arena_grow(arena, changes, count, &capacity, sizeof(*changes));
		changes[count++] = change;
		from = change.at;
	}
	/* As far as is known now, each reaches up to the next one. */
	for (size_t i = 0; i < count; i++) {
		size_t found = changes[i].found;

		changes[i] = watch->compare(watch->self, changes[i].from, changes[i].at,
					    i + 1 < count ? changes[i + 1].at : n);
		changes[i].found = found;
	}
	*ret_changes = changes;
	return count;
}

/* ---- levels ---- */

static struct change compare_levels(const void *self, size_t from, size_t at, size_t to)
{
	return change_compare(self, from, at, to);
}

static bool is_lasting_level(const void *self, const struct change *change)
{
	return change_is_lasting(self, change);
}

static size_t date_level(const void *self, size_t from, size_t at, size_t to)
{
	(void)at;
	return change_divide(self, from, to);
}

size_t change_watch(const struct change_series *series, struct arena *arena,
		    struct change **ret_changes)
{
	const struct watch watch = {series, compare_levels, date_level, is_lasting_level};

	assert(series->n <= CHANGE_NIGHTS_MAX);
	return replay(&watch, series->n, arena, ret_changes);
}

/* ---- shares ---- */

static size_t failures(const bool *failed, size_t from, size_t to)
{
	size_t count = 0;

	for (size_t i = from; i < to; i++)
		count += failed[i];
	return count;
}

static struct change compare_shares(const void *self, size_t from, size_t at, size_t to)
{
	size_t n = at - from, m = to - at, left = failures(self, from, at),
	       right = failures(self, at, to);
	struct change change = {
		.from = from,
		.at = at,
		.to = to,
		.found = to - 1,
		.before = (double)left / (double)n,
		.after = (double)right / (double)m,
		.low = NAN,
		.high = NAN,
	};

	/* One-sided, towards where it went; doubled like the other one. */
	if (change.after > change.before)
		change.p = 2 * change_fisher(n, m, left + right, right);
	else
		change.p = 2 * change_fisher(m, n, left + right, left);
	return change;
}

/* The first night since `at` that is as the later ones are: of more failures a failure. */
static size_t date_share(const void *self, size_t from, size_t at, size_t to)
{
	const bool *failed = self;
	struct change change = compare_shares(self, from, at, to);
	bool worse = change.after > change.before;

	while (at + 1 < to && failed[at] != worse)
		at++;
	return at;
}

/* Fisher's test of a single night can tell little enough. */
static bool is_lasting_share(const void *self, const struct change *change)
{
	(void)self;
	(void)change;
	return true;
}

size_t change_watch_share(const bool *failed, size_t n, struct arena *arena,
			  struct change **ret_changes)
{
	const struct watch watch = {failed, compare_shares, date_share, is_lasting_share};

	assert(n <= CHANGE_NIGHTS_MAX);
	return replay(&watch, n, arena, ret_changes);
}
