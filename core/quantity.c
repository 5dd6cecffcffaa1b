/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with units: durations and sizes as exact integers, rates and shares as the nearest
 * double. */
#include <assert.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/param.h"

__extension__ typedef unsigned __int128 wide;

enum dimension {
	DIM_NUMBER,
	DIM_DURATION,
	DIM_SIZE,
	DIM_RATE,
	DIM_PER_TIME,
	DIM_PERCENT
};

static const char *const dimension_nouns[] = {"a number", "a duration",  "a size",
					      "a rate",   "a frequency", "a percentage"};
static const char *const dimension_examples[] = {
	"3", "30s, 5m or 2h", "140GB or 1TiB", "10Gbit/s or 500GB/h", "120/s or 3/h", "99.9%"};
/* What a bare number most likely meant. */
static const char *const dimension_suffixes[] = {"", "s", "GB", "GB/s", "/s", "%"};

struct unit {
	const char *name;
	uint64_t factor; /* ns or bytes; bits for the bit units */
};

static const struct unit time_units[] = {
	{"ns", 1},        {"us", 1000},         {"ms", 1000000},
	{"s", NANOS_S},   {"m", NANOS_MINUTE},  {"h", NANOS_HOUR},
	{"d", NANOS_DAY}, {"w", 7 * NANOS_DAY}, {NULL, 0},
};
static const struct unit size_units[] = {
	{"B", 1},
	{"kB", 1000},
	{"KB", 1000},
	{"MB", 1000000},
	{"GB", 1000000000},
	{"TB", 1000000000000},
	{"PB", 1000000000000000},
	{"EB", 1000000000000000000},
	{"KiB", 1ull << 10},
	{"MiB", 1ull << 20},
	{"GiB", 1ull << 30},
	{"TiB", 1ull << 40},
	{"PiB", 1ull << 50},
	{"EiB", 1ull << 60},
	{NULL, 0},
};
static const struct unit bit_units[] = {
	{"bit", 1},           {"kbit", 1000},          {"Mbit", 1000000},
	{"Gbit", 1000000000}, {"Tbit", 1000000000000}, {NULL, 0},
};
/* What people write who know other tools. */
static const struct {
	const char *wrong, *right;
} other_words[] = {
	{"sec", "s"},         {"secs", "s"},        {"second", "s"},    {"seconds", "s"},
	{"S", "s"},           {"min", "m"},         {"mins", "m"},      {"minute", "m"},
	{"M", "m"},           {"minutes", "m"},     {"hour", "h"},      {"hours", "h"},
	{"hr", "h"},          {"H", "h"},           {"day", "d"},       {"days", "d"},
	{"D", "d"},           {"week", "w"},        {"weeks", "w"},     {"msec", "ms"},
	{"usec", "us"},       {"nsec", "ns"},       {"b", "B"},         {"K", "KB"},
	{"k", "kB"},          {"M", "MB"},          {"G", "GB"},        {"T", "TB"},
	{"P", "PB"},          {"kb", "kB"},         {"mb", "MB"},       {"Mb", "MB"},
	{"gb", "GB"},         {"Gb", "GB"},         {"tb", "TB"},       {"Tb", "TB"},
	{"Ki", "KiB"},        {"Mi", "MiB"},        {"Gi", "GiB"},      {"Ti", "TiB"},
	{"kib", "KiB"},       {"mib", "MiB"},       {"gib", "GiB"},     {"tib", "TiB"},
	{"bps", "bit/s"},     {"kbps", "kbit/s"},   {"Mbps", "Mbit/s"}, {"mbps", "Mbit/s"},
	{"Gbps", "Gbit/s"},   {"gbps", "Gbit/s"},   {"Gb/s", "Gbit/s"}, {"Mb/s", "Mbit/s"},
	{"gbit/s", "Gbit/s"}, {"mbit/s", "Mbit/s"}, {"MBps", "MB/s"},   {"GBps", "GB/s"},
	{"rps", "/s"},        {"qps", "/s"},        {"Hz", "/s"},       {"percent", "%"},
	{"pct", "%"},
};

struct number {
	bool negative;
	uint64_t digits; /* value = digits * 10^exponent */
	int exponent;
	const char *unit; /* what follows, blanks skipped */
	size_t length;    /* of the number itself in the text */
};

/* Exponent of a number in scientific notation; only when digits follow, so that "1EB" stays a size.
 */
static const char *scan_exponent(const char *p, int *exponent)
{
	const char *q = p + 1;
	bool negative = false;
	int value = 0;

	if (*p != 'e' && *p != 'E')
		return p;
	if (*q == '+' || *q == '-')
		negative = *q++ == '-';
	if (*q < '0' || *q > '9')
		return p;
	for (; *q >= '0' && *q <= '9'; q++)
		value = value < 100000 ? value * 10 + (*q - '0') : value;
	*exponent += negative ? -value : value;
	return q;
}

enum scan {
	SCAN_OK,
	SCAN_NONE,
	SCAN_DIGITS
};

static enum scan scan_number(const char *text, struct number *ret)
{
	struct number n = {0};
	const char *p = text;
	bool point = false;
	int zeros = 0; /* held back: trailing zeros need no digits */

	if (*p == '+' || *p == '-')
		n.negative = *p++ == '-';
	if (*p < '0' || *p > '9')
		return SCAN_NONE;
	for (; (*p >= '0' && *p <= '9') || (*p == '.' && !point && p[1] >= '0' && p[1] <= '9');
	     p++) {
		if (*p == '.') {
			point = true;
			continue;
		}
		n.exponent -= point;
		if (*p == '0') {
			zeros += n.digits > 0;
			continue;
		}
		for (; zeros > 0; zeros--) {
			if (n.digits > UINT64_MAX / 10)
				return SCAN_DIGITS;
			n.digits *= 10;
		}
		if (n.digits > UINT64_MAX / 10 || n.digits * 10 > UINT64_MAX - (uint64_t)(*p - '0'))
			return SCAN_DIGITS;
		n.digits = n.digits * 10 + (uint64_t)(*p - '0');
	}
	n.exponent += zeros;
	p = scan_exponent(p, &n.exponent);
	n.length = (size_t)(p - text);
	while (*p == ' ')
		p++;
	n.unit = p;
	*ret = n;
	return SCAN_OK;
}

static const struct unit *find_unit(const struct unit *units, const char *name, size_t length)
{
	for (; units->name; units++)
		if (strlen(units->name) == length && memcmp(units->name, name, length) == 0)
			return units;
	return NULL;
}

/* Which kind of quantity a unit belongs to; false when it is no unit at all. */
static bool dimension_of(const char *unit, enum dimension *ret)
{
	const char *slash = strchr(unit, '/'), *last = slash ? slash + 1 : unit;
	size_t head = slash ? (size_t)(slash - unit) : strlen(unit);
	bool amount = find_unit(size_units, unit, head) || find_unit(bit_units, unit, head);
	bool time = find_unit(time_units, last, strlen(last));

	if (*unit == '\0')
		*ret = DIM_NUMBER;
	else if (strcmp(unit, "%") == 0)
		*ret = DIM_PERCENT;
	else if (slash ? !time || (head > 0 && !amount) : !time && !amount)
		return false;
	else if (slash)
		*ret = head > 0 ? DIM_RATE : DIM_PER_TIME;
	else
		*ret = amount ? DIM_SIZE : DIM_DURATION;
	return true;
}

/* digits * 10^(exponent + shift), correctly rounded whatever the locale says. */
static double scale_double(const struct number *n, int shift)
{
	char text[64];
	locale_t c = newlocale(LC_ALL_MASK, "C",
			       (locale_t)0); /* glibc hands out a constant: this cannot fail */
	double value;

	snprintf(text, sizeof(text), "%s%" PRIu64 "e%d", n->negative ? "-" : "", n->digits,
		 n->exponent + shift);
	value = strtod_l(text, NULL, c);
	freelocale(c);
	return value;
}

static int wrong_unit(const char *text, const struct number *n, enum dimension want,
		      struct place place, struct error *e)
{
	char quoted[YAML_QUOTE_MAX], unit[YAML_QUOTE_MAX];
	enum dimension is;

	yaml_quote(text, quoted);
	if (*n->unit == '\0' && want == DIM_PERCENT && scale_double(n, 0) <= 1)
		return error_set(e, ERROR_SCENARIO, place, "'%s' needs a unit, such as %.15g%%",
				 quoted, scale_double(n, 2));
	if (*n->unit == '\0')
		return error_set(e, ERROR_SCENARIO, place, "'%s' needs a unit, such as %.*s%s",
				 quoted, n->length > 40 ? 1 : (int)n->length,
				 n->length > 40 ? "1" : text, dimension_suffixes[want]);
	if (want == DIM_NUMBER)
		return error_set(e, ERROR_SCENARIO, place,
				 "'%s' must be a plain number without a unit", quoted);
	if (dimension_of(n->unit, &is))
		return error_set(e, ERROR_SCENARIO, place,
				 "'%s' is %s; %s is expected here, such as %s", quoted,
				 dimension_nouns[is], dimension_nouns[want],
				 dimension_examples[want]);
	yaml_quote(n->unit, unit);
	for (size_t i = 0; i < sizeof(other_words) / sizeof(other_words[0]); i++)
		if (strcmp(other_words[i].wrong, n->unit) == 0 && n->length < 40 &&
		    dimension_of(other_words[i].right, &is) && is == want)
			return error_set(e, ERROR_SCENARIO, place,
					 "unknown unit '%s' in '%s'; did you mean '%.*s%s'?", unit,
					 quoted, (int)n->length, text, other_words[i].right);
	return error_set(e, ERROR_SCENARIO, place,
			 "unknown unit '%s' in '%s'; %s is written like %s", unit, quoted,
			 dimension_nouns[want], dimension_examples[want]);
}

/* The number at the start of `text`; what it must not be is said here, its unit is checked by the
 * caller. */
static int read_number(const char *text, enum dimension want, bool may_be_negative,
		       struct place place, struct number *ret, struct error *e)
{
	char quoted[YAML_QUOTE_MAX];

	switch (scan_number(text, ret)) {
	case SCAN_NONE:
		return error_set(e, ERROR_SCENARIO, place, "'%s' is not %s; write it like %s",
				 yaml_quote(text, quoted), dimension_nouns[want],
				 dimension_examples[want]);
	case SCAN_DIGITS:
		return error_set(e, ERROR_SCENARIO, place, "'%s' has more than %d digits",
				 yaml_quote(text, quoted), PARAM_DIGITS_MAX);
	case SCAN_OK:
		break;
	}
	if (ret->negative && !may_be_negative)
		return error_set(e, ERROR_SCENARIO, place, "'%s' is negative; %s is 0 or more",
				 yaml_quote(text, quoted), dimension_nouns[want]);
	return 0;
}

/* digits * 10^exponent * factor, rounded half up; false past `limit`. */
static bool scale_exactly(const struct number *n, uint64_t factor, uint64_t limit, uint64_t *ret)
{
	wide value = (wide)n->digits * factor, power = 1;

	if (value == 0) {
		*ret = 0;
		return true;
	}
	if (n->exponent >= 0) {
		for (int i = 0; i < n->exponent; i++) {
			if (value > limit)
				return false;
			value *= 10;
		}
	} else {
		/* value < 2^64 * 2^60 < 10^38: dividing by more leaves less than half a unit. */
		for (int i = 0; i > n->exponent && i > -38; i--)
			power *= 10;
		value = n->exponent < -38 ? 0
					  : value / power + (value % power >= power - power / 2);
	}
	if (value > limit)
		return false;
	*ret = (uint64_t)value;
	return true;
}

int quantity_duration(const char *text, struct place place, nanos *ret, struct error *e)
{
	const struct unit *unit;
	struct number n = {.unit = ""};
	uint64_t value;
	char quoted[YAML_QUOTE_MAX];

	if (read_number(text, DIM_DURATION, false, place, &n, e) < 0)
		return -1;
	unit = find_unit(time_units, n.unit, strlen(n.unit));
	if (!unit)
		return wrong_unit(text, &n, DIM_DURATION, place, e);
	if (!scale_exactly(&n, unit->factor, (uint64_t)PARAM_DURATION_MAX, &value))
		return error_set(e, ERROR_SCENARIO, place, "'%s' is more than twenty years (7300d)",
				 yaml_quote(text, quoted));
	*ret = (nanos)value;
	return 0;
}

int quantity_size(const char *text, struct place place, uint64_t *ret, struct error *e)
{
	const struct unit *unit;
	struct number n = {.unit = ""};
	char quoted[YAML_QUOTE_MAX];

	if (read_number(text, DIM_SIZE, false, place, &n, e) < 0)
		return -1;
	unit = find_unit(size_units, n.unit, strlen(n.unit));
	if (!unit && find_unit(bit_units, n.unit, strlen(n.unit)))
		return error_set(e, ERROR_SCENARIO, place,
				 "'%s' counts bits; a size is written in bytes, such as 140GB",
				 yaml_quote(text, quoted));
	if (!unit)
		return wrong_unit(text, &n, DIM_SIZE, place, e);
	if (!scale_exactly(&n, unit->factor, PARAM_SIZE_MAX, ret))
		return error_set(e, ERROR_SCENARIO, place, "'%s' is more than 1EiB",
				 yaml_quote(text, quoted));
	return 0;
}

/* The power of ten of a factor of ten, or 0. */
static int power_of_ten(uint64_t factor)
{
	int power = 0;

	for (; factor >= 10 && factor % 10 == 0; factor /= 10)
		power++;
	return factor == 1 ? power : 0;
}

/* So much in one unit of time, as so much a second; both quotients are whole numbers. */
static double per_second(double value, const struct unit *time)
{
	uint64_t seconds = time->factor / (uint64_t)NANOS_S;
	uint64_t parts = (uint64_t)NANOS_S / time->factor;

	return seconds > 0 ? value / (double)seconds : value * (double)parts;
}

int quantity_rate(const char *text, struct place place, double *ret, struct error *e)
{
	const struct unit *size, *bits, *time;
	struct number n = {.unit = ""};
	const char *slash;
	double value;
	int power;
	char quoted[YAML_QUOTE_MAX];

	if (read_number(text, DIM_RATE, false, place, &n, e) < 0)
		return -1;
	slash = strchr(n.unit, '/');
	if (!slash)
		return wrong_unit(text, &n, DIM_RATE, place, e);
	size = find_unit(size_units, n.unit, (size_t)(slash - n.unit));
	bits = find_unit(bit_units, n.unit, (size_t)(slash - n.unit));
	time = find_unit(time_units, slash + 1, strlen(slash + 1));
	if ((!size && !bits) || !time)
		return wrong_unit(text, &n, DIM_RATE, place, e);
	/* Tens go into the decimal and binary factors are exact: one rounding there, one in the
	 * division by time. */
	power = power_of_ten((size ? size : bits)->factor);
	value = scale_double(&n, power) *
		(power == 0 ? (double)(size ? size : bits)->factor : 1.0) / (bits ? 8.0 : 1.0);
	value = per_second(value, time);
	if (!(value <= (double)PARAM_SIZE_MAX))
		return error_set(e, ERROR_SCENARIO, place, "'%s' is more than 1EiB/s",
				 yaml_quote(text, quoted));
	*ret = value;
	return 0;
}

int quantity_per_time(const char *text, struct place place, double *ret, struct error *e)
{
	const struct unit *time;
	struct number n = {.unit = ""};
	double value;
	char quoted[YAML_QUOTE_MAX];

	if (read_number(text, DIM_PER_TIME, false, place, &n, e) < 0)
		return -1;
	time = n.unit[0] == '/' ? find_unit(time_units, n.unit + 1, strlen(n.unit + 1)) : NULL;
	if (!time)
		return wrong_unit(text, &n, DIM_PER_TIME, place, e);
	value = scale_double(&n, 0);
	value = per_second(value, time);
	if (!(value <= 1e12))
		return error_set(e, ERROR_SCENARIO, place, "'%s' is more than 1e12/s",
				 yaml_quote(text, quoted));
	*ret = value;
	return 0;
}

int quantity_percent(const char *text, struct place place, double *ret, struct error *e)
{
	struct number n = {.unit = ""};
	double value;
	char quoted[YAML_QUOTE_MAX];

	if (read_number(text, DIM_PERCENT, false, place, &n, e) < 0)
		return -1;
	if (strcmp(n.unit, "%") != 0)
		return wrong_unit(text, &n, DIM_PERCENT, place, e);
	value = scale_double(&n, -2);
	if (!(value <= 1.0))
		return error_set(e, ERROR_SCENARIO, place, "'%s' is more than 100%%",
				 yaml_quote(text, quoted));
	*ret = value;
	return 0;
}

int quantity_number(const char *text, struct place place, double *ret, struct error *e)
{
	struct number n = {.unit = ""};
	double value;
	char quoted[YAML_QUOTE_MAX];

	if (read_number(text, DIM_NUMBER, true, place, &n, e) < 0)
		return -1;
	if (*n.unit != '\0')
		return wrong_unit(text, &n, DIM_NUMBER, place, e);
	value = scale_double(&n, 0);
	if (!isfinite(value))
		return error_set(e, ERROR_SCENARIO, place, "'%s' is too large for a number",
				 yaml_quote(text, quoted));
	*ret = value;
	return 0;
}

/* The magnitude of an integer; decimals that come out whole (1e3, 2.0) are integers too. */
static int read_integer(const char *text, bool may_be_negative, uint64_t limit, struct place place,
			struct number *n, uint64_t *ret, struct error *e)
{
	char quoted[YAML_QUOTE_MAX];

	if (read_number(text, DIM_NUMBER, may_be_negative, place, n, e) < 0)
		return -1;
	if (*n->unit != '\0')
		return wrong_unit(text, n, DIM_NUMBER, place, e);
	if (n->digits != 0 && n->exponent < 0)
		return error_set(e, ERROR_SCENARIO, place, "'%s' must be a whole number",
				 yaml_quote(text, quoted));
	if (!scale_exactly(n, 1, limit, ret))
		return error_set(e, ERROR_SCENARIO, place, "'%s' is too large for a whole number",
				 yaml_quote(text, quoted));
	return 0;
}

int quantity_integer(const char *text, struct place place, int64_t *ret, struct error *e)
{
	struct number n = {.unit = ""};
	uint64_t value = 0;

	if (read_integer(text, true, INT64_MAX, place, &n, &value, e) < 0)
		return -1;
	*ret = n.negative ? -(int64_t)value : (int64_t)value;
	return 0;
}

int quantity_unsigned(const char *text, struct place place, uint64_t *ret, struct error *e)
{
	struct number n = {.unit = ""};

	return read_integer(text, false, UINT64_MAX, place, &n, ret, e);
}

const char *quantity_print_duration(nanos value, char buffer[QUANTITY_TEXT_MAX])
{
	/* Weeks are read but not written: nobody says "2w" for a fortnight's drill. */
	static const size_t order[] = {6, 5, 4, 3, 2, 1, 0};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		const struct unit *unit = &time_units[order[i]];

		if (value != 0 && value % (nanos)unit->factor != 0)
			continue;
		snprintf(buffer, QUANTITY_TEXT_MAX, "%" PRId64 "%s",
			 value == 0 ? 0 : value / (nanos)unit->factor,
			 value == 0 ? "s" : unit->name);
		return buffer;
	}
	assert(!"every duration is a multiple of a nanosecond");
	return buffer;
}
