/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in the units people use, and texts escaped for XML and HTML. */
#include "reports/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/timeline.h"

/* The number with at most `decimals` digits after the point and no zeros at its end. */
static const char *plain(char out[TEXT_MAX], double value, int decimals)
{
	size_t length = (size_t)snprintf(out, TEXT_MAX, "%.*f", decimals, value);

	if (length >= TEXT_MAX)
		snprintf(out, TEXT_MAX, "%.3g", value);
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

static const char *below_minute(char out[TEXT_MAX], double seconds, int decimals)
{
	char number[TEXT_MAX];

	if (seconds == 0 || seconds >= 0.9995)
		snprintf(out, TEXT_MAX, "%.40s s", plain(number, seconds, decimals));
	else if (seconds >= 0.9995e-3)
		snprintf(out, TEXT_MAX, "%.40s ms",
			 plain(number, seconds * 1e3, seconds < 0.01 ? 2 : 0));
	else
		snprintf(out, TEXT_MAX, "%.40s \xc2\xb5s", plain(number, seconds * 1e6, 1));
	return out;
}

/* Two neighbouring units: `size` seconds of the larger, of which the smaller takes `part`. */
static const char *two_units(char out[TEXT_MAX], double seconds, double size, const char *large,
			     double part, int decimals, const char *small)
{
	double scale = decimals > 0 ? 10 : 1;
	double parts =
		round(seconds / part * scale) / scale; /* rounded first: never "1 min 60 s" */
	double whole = floor(parts * part / size + 1e-9);
	double rest = parts - whole * (size / part);
	char number[TEXT_MAX];

	if (rest < 0.5 / scale)
		snprintf(out, TEXT_MAX, "%.0f %s", whole, large);
	else
		snprintf(out, TEXT_MAX, "%.0f %s %.20s %s", whole, large,
			 plain(number, rest, decimals), small);
	return out;
}

/* From an hour on: hours, minutes and seconds, from a day on days, hours and minutes; zeros are
 * left out. */
static void long_units(char out[TEXT_MAX], double seconds)
{
	static const struct {
		double size;
		const char *name;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	double part = seconds < 86399.5 ? 1 : 60, rest = round(seconds / part) * part;
	size_t used = 0;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && used < TEXT_MAX; i++) {
		double whole = floor(rest / units[i].size);

		if (whole > 0)
			used += (size_t)snprintf(out + used, TEXT_MAX - used, "%s%.0f %s",
						 used ? " " : "", whole, units[i].name);
		rest -= whole * units[i].size;
	}
}

static const char *duration(char out[TEXT_MAX], double seconds, int decimals)
{
	char rest[TEXT_MAX];

	if (isnan(seconds))
		snprintf(out, TEXT_MAX, TEXT_NONE);
	else if (isinf(seconds) || fabs(seconds) > 1e12)
		snprintf(out, TEXT_MAX, "without end");
	else if (seconds < 0)
		snprintf(out, TEXT_MAX, "-%.60s", duration(rest, -seconds, decimals));
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

const char *text_duration(char out[TEXT_MAX], double seconds)
{
	return duration(out, seconds, 1);
}

const char *text_duration_short(char out[TEXT_MAX], double seconds)
{
	return duration(out, seconds, 0);
}

const char *text_bytes(char out[TEXT_MAX], double bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	size_t unit = 0;
	char number[TEXT_MAX];

	if (!isfinite(bytes)) {
		snprintf(out, TEXT_MAX, TEXT_NONE);
		return out;
	}
	for (; fabs(bytes) >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		bytes /= 1000;
	plain(number, bytes, unit == 0 || fabs(bytes) >= 100 ? 0 : fabs(bytes) >= 10 ? 1 : 2);
	snprintf(out, TEXT_MAX, "%.40s %s", number, units[unit]);
	return out;
}

const char *text_count(char out[TEXT_MAX], double count)
{
	char digits[TEXT_MAX];
	size_t length, used = 0;

	if (!isfinite(count)) {
		snprintf(out, TEXT_MAX, TEXT_NONE);
		return out;
	}
	plain(digits, fabs(count), fabs(count) < 1000 && count != floor(count) ? 1 : 0);
	length = strcspn(digits, ".e");
	if (count < 0)
		out[used++] = '-';
	for (size_t i = 0; digits[i] && used + 2 < TEXT_MAX; i++) {
		if (i > 0 && i < length && (length - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
	return out;
}

const char *text_percent(char out[TEXT_MAX], double fraction)
{
	double percent = fraction * 100, gap = 100 - percent;
	int decimals = 2;
	char number[TEXT_MAX];

	if (!isfinite(fraction)) {
		snprintf(out, TEXT_MAX, TEXT_NONE);
		return out;
	}
	/* 99.95 % must not read as 100 %: two digits of the gap are kept. */
	if (gap > 0)
		while (decimals < 6 && gap < 10 * pow(10, -decimals))
			decimals++;
	/* Cut, not rounded, towards the worse side: 99.9999996 % is not 100 %. */
	if (percent < 0.1)
		decimals = 5;
	percent = floor(percent * pow(10, decimals) + 1e-6) / pow(10, decimals);
	snprintf(out, TEXT_MAX, "%.40s %%", plain(number, percent, decimals));
	return out;
}

const char *text_value(char out[TEXT_MAX], double value, const char *unit)
{
	char number[TEXT_MAX];

	if (isnan(value))
		snprintf(out, TEXT_MAX, TEXT_NONE);
	else if (strcmp(unit, "s") == 0)
		text_duration(out, value);
	else if (strcmp(unit, "bytes") == 0 || strcmp(unit, "B") == 0)
		text_bytes(out, value);
	else if (strcmp(unit, "count") == 0)
		text_count(out, value);
	else if (strcmp(unit, "fraction") == 0 || strcmp(unit, "ratio") == 0)
		text_percent(out, value);
	else
		snprintf(out, TEXT_MAX, "%.40s %.20s", text_count(number, value), unit);
	return out;
}

size_t text_columns(const char *text)
{
	size_t columns = 0;

	for (; *text; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}

void text_escape(FILE *file, const char *text)
{
	const unsigned char *s = (const unsigned char *)(text ? text : TEXT_NONE);

	while (*s) {
		size_t length = utf8_length(s);
		/* U+FFFE and U+FFFF are the two of plane 0 that XML forbids besides the controls.
		 */
		bool forbidden = length == 0 ||
				 (*s < 0x20 && *s != '\t' && *s != '\n' && *s != '\r') ||
				 (length == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe);

		if (forbidden)
			fputs("\xef\xbf\xbd", file);
		else if (*s == '<')
			fputs("&lt;", file);
		else if (*s == '>')
			fputs("&gt;", file);
		else if (*s == '&')
			fputs("&amp;", file);
		else if (*s == '"')
			fputs("&quot;", file);
		else if (*s == '\'')
			fputs("&#39;", file);
		else
			fwrite(s, 1, length, file);
		s += length > 0 ? length : 1;
	}
}
