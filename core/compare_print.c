/* SPDX-License-Identifier: Apache-2.0 */
/* A comparison as a table for people, from the document that --json prints. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/compare.h"
#include "core/words.h"

#define NAME_COLUMNS 17
#define VALUE_COLUMNS 20

static const cJSON *get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

static double number(const cJSON *object, const char *key)
{
	const cJSON *item = get(object, key);

	return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static const char *text(const cJSON *object, const char *key)
{
	const char *value = cJSON_GetStringValue(get(object, key));

	return value ? value : "";
}

/* Fills `columns` characters, with at least a blank after it; 0: as it is. What came from a file
 * does not steer the terminal. */
static void put(FILE *out, const char *value, int columns)
{
	int used = (int)words_columns(value);

	for (const char *c = value; *c; c++)
		fputc((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c, out);
	if (columns > 0)
		fprintf(out, "%*s", used < columns ? columns - used : 1, "");
}

/* "frt_s" of a campaign is in seconds, as its name says. */
static const char *unit_of(const cJSON *row)
{
	const char *name = text(row, "name"), *unit = text(row, "unit");

	if (*unit)
		return unit;
	return strstr(name, "bytes")               ? "bytes"
	       : strstr(name, "records")           ? "records"
	       : strcmp(name, "availability") == 0 ? "fraction"
						   : "s";
}

static const char *value(char out[WORDS_MAX], double x, const char *unit)
{
	char positive[WORDS_MAX];

	if (isnan(x)) {
		snprintf(out, WORDS_MAX, WORDS_NONE);
		return out;
	}
	if (x < 0 && strcmp(unit, "fraction") != 0) {
		snprintf(out, WORDS_MAX, "-%.90s", value(positive, -x, unit));
		return out;
	}
	if (strcmp(unit, "s") == 0 && x >= 60)
		return words_duration_exact(out, x);
	if (strcmp(unit, "s") == 0) {
		snprintf(out, WORDS_MAX, x > 0 && x < 1 ? "%.4g ms" : "%.4g s",
			 x > 0 && x < 1 ? 1e3 * x : x);
		return out;
	}
	if (strcmp(unit, "bytes") == 0)
		return words_bytes(out, x);
	if (strcmp(unit, "fraction") == 0) {
		snprintf(out, WORDS_MAX, "%.6g %%", 100 * x);
		return out;
	}
	return words_number(out, x);
}

static void put_value(FILE *out, const cJSON *row, const char *key)
{
	char words[WORDS_MAX];

	put(out, value(words, number(row, key), unit_of(row)), VALUE_COLUMNS);
}

static void heading(FILE *out, const char *name, const char *const *columns)
{
	fputc('\n', out);
	put(out, name, NAME_COLUMNS);
	for (; *columns; columns++)
		put(out, *columns, VALUE_COLUMNS);
	fputc('\n', out);
}

static const char *tristate(const cJSON *item)
{
	return cJSON_IsTrue(item) ? "met" : cJSON_IsFalse(item) ? "missed" : "not measured";
}

static void put_who(FILE *out, const char *label, const cJSON *run)
{
	double runs = number(get(run, "profile"), "runs"), trials = number(run, "trials");

	put(out, label, NAME_COLUMNS);
	put(out, text(run, "folder"), 1);
	put(out, text(run, "name"), 1);
	fputs(text(run, "kind"), out);
	if (trials > 0)
		fprintf(out, ", %.0f trials", trials);
	if (runs > 0)
		fprintf(out, ", calibrated on %.0f runs", runs);
	fprintf(out, ", %s\n", text(run, "verdict"));
}

static void put_scenario(FILE *out, const cJSON *document)
{
	const cJSON *item, *list = get(document, "scenario");
	double count = number(document, "scenario_differences");

	if (!list)
		return;
	if (count == 0) {
		fputs("\nThe scenarios are the same.\n", out);
		return;
	}
	fprintf(out, "\nThe scenarios differ in %.0f key%s\n", count, count == 1 ? "" : "s");
	cJSON_ArrayForEach (item, list) {
		fputs("  ", out);
		put(out, text(item, "path"), 40);
		put(out, cJSON_IsNull(get(item, "a")) ? "not there" : text(item, "a"), 1);
		fputs("-> ", out);
		put(out, cJSON_IsNull(get(item, "b")) ? "not there" : text(item, "b"), 0);
		fputc('\n', out);
	}
}

/* ---- two runs ---- */

static void put_rows(FILE *out, const char *name, const cJSON *list, bool interval)
{
	static const char *const plain[] = {"A", "B", "B - A", NULL};
	static const char *const wide[] = {"A", "B", "B - A", "95 % interval", NULL};
	char low[WORDS_MAX], high[WORDS_MAX], both[2 * WORDS_MAX + 8];
	const cJSON *row;

	if (!list || !list->child)
		return;
	heading(out, name, interval ? wide : plain);
	cJSON_ArrayForEach (row, list) {
		if (isnan(number(row, "a")) && isnan(number(row, "b")))
			continue;
		put(out, text(row, "name"), NAME_COLUMNS);
		put_value(out, row, "a");
		put_value(out, row, "b");
		put_value(out, row, "difference");
		if (interval && !isnan(number(row, "low"))) {
			snprintf(both, sizeof(both), "%s to %s",
				 value(low, number(row, "low"), unit_of(row)),
				 value(high, number(row, "high"), unit_of(row)));
			fputs(both, out);
		}
		fputc('\n', out);
	}
}

static void put_fault(FILE *out, const char *side, const cJSON *fault)
{
	if (!cJSON_IsObject(fault))
		return;
	fprintf(out, "  %s  ", side);
	put(out, text(fault, "name"), 1);
	fputs("on ", out);
	put(out, text(fault, "target"), 0);
	fprintf(out, "%s%s\n",
		cJSON_IsTrue(get(fault, "effective"))    ? ", effective"
		: cJSON_IsFalse(get(fault, "effective")) ? ", without effect"
							 : "",
		cJSON_IsTrue(get(fault, "reverted")) ? ", reverted" : "");
}

static void print_runs(const cJSON *document, FILE *out)
{
	static const char *const columns[] = {"A", "B", "A's limit", "B's limit", NULL};
	const cJSON *row;

	put_who(out, "A", get(document, "a"));
	put_who(out, "B", get(document, "b"));
	if (strcmp(text(document, "path_a"), text(document, "path_b")) != 0)
		fprintf(out, "Paths            %s, %s\n", text(document, "path_a"),
			text(document, "path_b"));
	put_rows(out, "Measures", get(document, "measures"), false);
	put_rows(out, "Means of trials", get(document, "campaign"), true);
	put_rows(out, "Since the fault", get(document, "marks"), false);
	heading(out, "Objectives", columns);
	cJSON_ArrayForEach (row, get(document, "objectives")) {
		put(out, text(row, "name"), NAME_COLUMNS);
		put(out, tristate(get(row, "met_a")), VALUE_COLUMNS);
		put(out, tristate(get(row, "met_b")), VALUE_COLUMNS);
		put_value(out, row, "limit_a");
		put_value(out, row, "limit_b");
		fputc('\n', out);
	}
	fputs("\nFaults\n", out);
	cJSON_ArrayForEach (row, get(document, "faults")) {
		put_fault(out, "A", get(row, "a"));
		put_fault(out, "B", get(row, "b"));
	}
	put_scenario(out, document);
}

/* ---- two scenarios ---- */

static void print_scenarios(const cJSON *document, FILE *out)
{
	const cJSON *a = get(document, "a"), *b = get(document, "b"), *met, *row;

	fprintf(out, "A                %s\nB                %s\n", text(a, "path"),
		text(b, "path"));
	fprintf(out, "%.0f simulated trials each, with the same random numbers\n",
		number(document, "trials"));
	put_rows(out, "Means of pairs", get(document, "measures"), true);
	cJSON_ArrayForEach (row, get(document, "measures"))
		if (number(row, "not_reached_a") > 0 || number(row, "not_reached_b") > 0)
			fprintf(out, "  %s was not reached in %.0f trials of A, %.0f of B\n",
				text(row, "name"), number(row, "not_reached_a"),
				number(row, "not_reached_b"));
	fputs("\nObjectives\n", out);
	cJSON_ArrayForEach (met, get(a, "objective_met")) {
		const cJSON *other = get(get(b, "objective_met"), met->string);

		put(out, met->string, NAME_COLUMNS);
		put(out, tristate(met), VALUE_COLUMNS);
		put(out, other ? tristate(other) : "not there", 0);
		fputc('\n', out);
	}
	put_scenario(out, document);
}

/* ---- a prediction ---- */

static void range(char out[2 * WORDS_MAX + 8], double low, double high, const char *unit)
{
	char a[WORDS_MAX], b[WORDS_MAX];

	snprintf(out, 2 * WORDS_MAX + 8, isnan(low) ? "%s" : "%s to %s", value(a, low, unit),
		 value(b, high, unit));
}

static void put_prediction(FILE *out, const cJSON *row)
{
	double low = INFINITY, high = -INFINITY, ratio = number(row, "ratio");
	const char *unit = unit_of(row);
	char both[2 * WORDS_MAX + 8];
	const cJSON *item;

	if (isnan(number(row, "mean")))
		return;
	cJSON_ArrayForEach (item, get(row, "measured")) {
		low = fmin(low, number(item, "value"));
		high = fmax(high, number(item, "value"));
	}
	put(out, text(row, "name"), NAME_COLUMNS);
	put_value(out, row, "mean");
	range(both, number(row, "low"), number(row, "high"), unit);
	put(out, both, 28);
	if (isfinite(low))
		range(both, low, high, unit);
	put(out, isfinite(low) ? both : WORDS_NONE, 28);
	fprintf(out, "%.0f of %.0f", number(row, "inside"), number(row, "n"));
	if (!isnan(ratio))
		fprintf(out, "   %.3g", ratio);
	fputc('\n', out);
}

static void put_each(FILE *out, const cJSON *row, const cJSON *runs)
{
	const cJSON *item, *run = runs->child;
	char words[WORDS_MAX];

	fputs("\nFRT of each run\n", out);
	cJSON_ArrayForEach (item, get(row, "measured")) {
		double x = number(item, "value");

		fputs("  ", out);
		put(out, value(words, x, "s"), VALUE_COLUMNS);
		put(out,
		    cJSON_IsTrue(get(item, "inside"))     ? "inside"
		    : !cJSON_IsFalse(get(item, "inside")) ? "not measured"
		    : x < number(row, "low")              ? "BELOW"
							  : "ABOVE",
		    14);
		put(out, run ? text(run, "folder") : "", 0);
		fputc('\n', out);
		run = run ? run->next : NULL;
	}
}

static void print_prediction(const cJSON *document, FILE *out)
{
	const cJSON *row, *runs = get(document, "runs"), *rows = get(document, "measures");

	put_who(out, "Prediction", get(document, "prediction"));
	fprintf(out, "Measured         %d run%s\n", cJSON_GetArraySize(runs),
		cJSON_GetArraySize(runs) == 1 ? "" : "s");
	if (cJSON_IsFalse(get(document, "same_scale")))
		fputs("They ran at different scales: their times cannot be compared.\n", out);
	fputc('\n', out);
	put(out, "", NAME_COLUMNS);
	put(out, "predicted mean", VALUE_COLUMNS);
	put(out, "90 % interval", 28);
	put(out, "measured", 28);
	fputs("inside    width / spread\n", out);
	cJSON_ArrayForEach (row, rows)
		put_prediction(out, row);
	put_each(out, rows->child, runs);
	put_scenario(out, document);
}

void compare_print(const cJSON *document, FILE *out)
{
	const char *mode = text(document, "mode");

	if (strcmp(mode, "runs") == 0)
		print_runs(document, out);
	else if (strcmp(mode, "scenarios") == 0)
		print_scenarios(document, out);
	else
		print_prediction(document, out);
}

void compare_print_json(const cJSON *document, FILE *out)
{
	char *all = cJSON_Print(document);

	fprintf(out, "%s\n", all ? all : "{}");
	cJSON_free(all);
}
