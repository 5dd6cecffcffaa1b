/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people say them. */
#include "core/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The number with at most `decimals` digits after the point and no zeros at its end. */
static const char *plain(char out[WORDS_MAX], double value, int decimals)
{
	size_t length = (size_t)snprintf(out, WORDS_MAX, "%.*f", decimals, value);

	if (length >= WORDS_MAX)
		snprintf(out, WORDS_MAX, "%.3g", value);
	else if (decimals > 0) {
		while (length > 0 && out[length - 1] == '0')
			out[--length] = '\0';
		if (length > 0 && out[length - 1] == '.')
			out[--length] = '\0';
	}
	if (strcmp(out, "-0") == 0)
		memmove(out, out + 1, 2);
	return out;
}

static const char *below_minute(char out[WORDS_MAX], double seconds, int decimals)
{
	char number[WORDS_MAX];

	if (seconds == 0 || seconds >= 0.9995)
		snprintf(out, WORDS_MAX, "%.40s s", plain(number, seconds, decimals));
	else if (seconds >= 0.9995e-3)
		snprintf(out, WORDS_MAX, "%.40s ms",
			 plain(number, seconds * 1e3, seconds < 0.01 ? 2 : 0));
	else
		snprintf(out, WORDS_MAX, "%.40s \xc2\xb5s", plain(number, seconds * 1e6, 1));
	return out;
}

/* Two neighbouring units: `size` seconds of the larger, of which the smaller takes `part`. */
static const char *two_units(char out[WORDS_MAX], double seconds, double size, const char *large,
			     double part, int decimals, const char *small)
{
	double scale = decimals > 0 ? 10 : 1;
	double parts =
		round(seconds / part * scale) / scale; /* rounded first: never "1 min 60 s" */
	double whole = floor(parts * part / size + 1e-9);
	double rest = parts - whole * (size / part);
	char number[WORDS_MAX];

	if (rest < 0.5 / scale)
		snprintf(out, WORDS_MAX, "%.0f %s", whole, large);
	else
		snprintf(out, WORDS_MAX, "%.0f %s %.20s %s", whole, large,
			 plain(number, rest, decimals), small);
	return out;
}

/* From an hour on: hours, minutes and seconds, from a day on days, hours and minutes; zeros are
 * left out. */
static void long_units(char out[WORDS_MAX], double seconds)
{
	static const struct {
		double size;
		const char *name;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	double part = seconds < 86399.5 ? 1 : 60, rest = round(seconds / part) * part;
	size_t used = 0;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && used < WORDS_MAX; i++) {
		double whole = floor(rest / units[i].size);

		if (whole > 0)
			used += (size_t)snprintf(out + used, WORDS_MAX - used, "%s%.0f %s",
						 used ? " " : "", whole, units[i].name);
		rest -= whole * units[i].size;
	}
}

static const char *duration(char out[WORDS_MAX], double seconds, int decimals)
{
	char rest[WORDS_MAX];

	if (isnan(seconds))
		snprintf(out, WORDS_MAX, WORDS_NONE);
	else if (isinf(seconds) || fabs(seconds) > 1e12)
		snprintf(out, WORDS_MAX, "without end");
	else if (seconds < 0)
		snprintf(out, WORDS_MAX, "-%.60s", duration(rest, -seconds, decimals));
	else if (seconds < 59.95)
		below_minute(out, seconds, decimals > 0 ? 2 : 1);
	else if (seconds < 3599.5)
		two_units(out, seconds, 60, "min", 1, decimals, "s");
	else if (decimals > 0)
		long_units(out, seconds);
	else if (seconds < 86370)
		two_units(out, seconds, 3600, "h", 60, 0, "min");
	else
		two_units(out, seconds, 86400, "d", 3600, 0, "h");
	return out;
}

const char *words_duration(char out[WORDS_MAX], double seconds)
{
	return duration(out, seconds, 0);
}

const char *words_duration_exact(char out[WORDS_MAX], double seconds)
{
	return duration(out, seconds, 1);
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
		snprintf(out, WORDS_MAX, isnan(bytes) ? WORDS_NONE : "unlimited");
		return out;
	}
	for (; fabs(bytes) >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		bytes /= 1000;
	plain(number, bytes, unit == 0 || fabs(bytes) >= 100 ? 0 : fabs(bytes) >= 10 ? 1 : 2);
	snprintf(out, WORDS_MAX, "%.40s %s", number, units[unit]);
	return out;
}

const char *words_percent(char out[WORDS_MAX], double fraction)
{
	double percent = fraction * 100, gap = 100 - percent;
	int decimals = 2;
	char number[WORDS_MAX];

	if (!isfinite(fraction)) {
		snprintf(out, WORDS_MAX, WORDS_NONE);
		return out;
	}
	/* 99.95 % must not read as 100 %: two digits of the gap are kept. */
	if (gap > 0)
		while (decimals < 6 && gap < 10 * pow(10, -decimals))
			decimals++;
	if (fabs(percent) < 0.1)
		decimals = 5;
	/* Rounded, but never up to 100 %: 99.9999996 % is less. */
	if (gap > 0 && percent > 99.9)
		percent = floor(percent * pow(10, decimals) + 1e-6) / pow(10, decimals);
	snprintf(out, WORDS_MAX, "%.40s %%", plain(number, percent, decimals));
	return out;
}

const char *words_number(char out[WORDS_MAX], double count)
{
	char digits[WORDS_MAX];
	size_t length, used = 0;

	if (!isfinite(count)) {
		snprintf(out, WORDS_MAX, isnan(count) ? WORDS_NONE : "without end");
		return out;
	}
	plain(digits, fabs(count), fabs(count) < 1000 ? 4 : 0);
	length = strcspn(digits, ".e");
	if (count < 0)
		out[used++] = '-';
	for (size_t i = 0; digits[i] && used + 2 < WORDS_MAX; i++) {
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

/* "1:20" of 0.05; whole where it is meant to be. */
static void ratio(char *out, size_t size, double scale)
{
	double times = 1 / scale;
	bool whole = fabs(times - round(times)) < 1e-6 * times;

	snprintf(out, size, whole ? "1:%.0f" : "1:%.4g", times);
}

const char *words_scale(char out[WORDS_MAX], double time_scale, double bytes_scale)
{
	char time[32], bytes[32];

	ratio(time, sizeof(time), time_scale);
	ratio(bytes, sizeof(bytes), bytes_scale);
	snprintf(out, WORDS_MAX, "time scale %s, bytes %s", time, bytes);
	return out;
}

size_t words_columns(const char *text)
{
	size_t columns = 0;

	for (; *text; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}
