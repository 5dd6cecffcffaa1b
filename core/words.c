/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people say them. */
#include "core/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* At most `decimals` digits after the point, no zeros at the end. */
static const char *plain(char out[WORDS_MAX], double value, int decimals)
{
	snprintf(out, WORDS_MAX, "%.*f", decimals, value);
	if (!strchr(out, '.'))
		return out;
	for (size_t length = strlen(out); out[length - 1] == '0' || out[length - 1] == '.';) {
		bool point = out[length - 1] == '.';

		out[--length] = '\0';
		if (point)
			break;
	}
	return out;
}

static const char *below_minute(char out[WORDS_MAX], double seconds)
{
	char number[WORDS_MAX];

	if (seconds == 0 || seconds >= 0.9995)
		snprintf(out, WORDS_MAX, "%.40s s", plain(number, seconds, 2));
	else if (seconds >= 0.9995e-3)
		snprintf(out, WORDS_MAX, "%.40s ms", plain(number, seconds * 1e3, 2));
	else
		snprintf(out, WORDS_MAX, "%.40s us", plain(number, seconds * 1e6, 2));
	return out;
}

const char *words_duration(char out[WORDS_MAX], double seconds)
{
	static const struct {
		double size;
		const char *name;
		double part; /* the next smaller unit */
		const char *part_name;
	} units[] = {
		{86400, "d", 3600, "h"},
		{3600, "h", 60, "min"},
		{60, "min", 1, "s"},
	};
	char rest[WORDS_MAX];

	if (isnan(seconds))
		snprintf(out, WORDS_MAX, "not known");
	else if (isinf(seconds) || fabs(seconds) > 1e12)
		snprintf(out, WORDS_MAX, "without end");
	else if (seconds < 0)
		snprintf(out, WORDS_MAX, "-%.80s", words_duration(rest, -seconds));
	else if (seconds < 59.995)
		below_minute(out, seconds);
	else {
		for (size_t i = 0; i < 3; i++) {
			/* Rounded before it is divided: never "1 min 60 s". */
			double parts = round(seconds / units[i].part);
			double per = units[i].size / units[i].part;
			double whole = floor(parts / per), left = parts - whole * per;

			if (whole < 1)
				continue;
			if (left > 0)
				snprintf(out, WORDS_MAX, "%.0f %s %.0f %s", whole, units[i].name,
					 left, units[i].part_name);
			else
				snprintf(out, WORDS_MAX, "%.0f %s", whole, units[i].name);
			break;
		}
	}
	return out;
}

const char *words_nanos(char out[WORDS_MAX], nanos value)
{
	if (value == NANOS_NEVER)
		snprintf(out, WORDS_MAX, "never");
	else
		words_duration(out, (double)value / 1e9);
	return out;
}

const char *words_bytes(char out[WORDS_MAX], double bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	size_t unit = 0;
	char number[WORDS_MAX];

	if (!isfinite(bytes)) {
		snprintf(out, WORDS_MAX, isnan(bytes) ? "not known" : "unlimited");
		return out;
	}
	for (; fabs(bytes) >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		bytes /= 1000;
	snprintf(out, WORDS_MAX, "%.40s %s", plain(number, bytes, unit == 0 ? 0 : 2), units[unit]);
	return out;
}

const char *words_percent(char out[WORDS_MAX], double fraction)
{
	double gap = fabs(1 - fraction) * 100;
	int decimals = 1;
	char number[WORDS_MAX];

	if (!isfinite(fraction)) {
		snprintf(out, WORDS_MAX, "not known");
		return out;
	}
	/* Two digits of the gap: 99.95 % must not read as 100 %. */
	while (gap > 0 && decimals < 6 && gap * pow(10, decimals) < 10)
		decimals++;
	snprintf(out, WORDS_MAX, "%.40s %%", plain(number, fraction * 100, decimals));
	return out;
}

const char *words_number(char out[WORDS_MAX], double value)
{
	char digits[WORDS_MAX];
	size_t length, used = 0;

	if (!isfinite(value)) {
		snprintf(out, WORDS_MAX, isnan(value) ? "not known" : "without end");
		return out;
	}
	if (fabs(value) >= 1e15) {
		snprintf(out, WORDS_MAX, "%.3g", value);
		return out;
	}
	plain(digits, fabs(value), fabs(value) < 1000 ? 4 : 0);
	length = strcspn(digits, ".");
	if (value < 0)
		out[used++] = '-';
	for (size_t i = 0; digits[i]; i++) {
		if (i > 0 && i < length && (length - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
	return out;
}

const char *words_dist(char out[WORDS_MAX], const struct dist *dist)
{
	char a[WORDS_MAX], b[WORDS_MAX];

	words_duration(a, dist->a / 1e9);
	switch (dist->kind) {
	case DIST_CONSTANT:
		words_nanos(out, dist->exact);
		break;
	case DIST_UNIFORM:
		snprintf(out, WORDS_MAX, "uniform %.30s to %.30s", a,
			 words_duration(b, dist->b / 1e9));
		break;
	case DIST_EXPONENTIAL:
		snprintf(out, WORDS_MAX, "exponential, mean %.30s", a);
		break;
	case DIST_LOGNORMAL:
		snprintf(out, WORDS_MAX, "lognormal, median %.30s, sigma %.30s", a,
			 words_number(b, dist->b));
		break;
	case DIST_WEIBULL:
		snprintf(out, WORDS_MAX, "Weibull, scale %.30s, shape %.30s", a,
			 words_number(b, dist->b));
		break;
	case DIST_NORMAL:
		snprintf(out, WORDS_MAX, "normal, mean %.30s, sigma %.30s", a,
			 words_duration(b, dist->b / 1e9));
		break;
	case DIST_PARETO:
		snprintf(out, WORDS_MAX, "Pareto, at least %.30s, alpha %.30s", a,
			 words_number(b, dist->b));
		break;
	case DIST_EMPIRICAL:
		snprintf(out, WORDS_MAX, "one of %zu measured values, mean %.30s", dist->count,
			 words_duration(a, dist_mean(dist) / 1e9));
		break;
	}
	return out;
}
