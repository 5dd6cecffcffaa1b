/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a profile: which one a trial is like, and how profile.yaml is read and written. */
#include "core/calibration.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/param.h"
#include "core/prng.h"
#include "core/stats.h"
#include "core/timeline.h"

#define Z95 1.6448536269514722 /* 95 % quantile of the normal distribution */
#define RATIO_MIN 1e-3         /* of a transfer to what the model says of it */
#define RATIO_MAX 1e3
#define TIME_TEXT 32

const char *const residual_names[RESIDUALS] = {
	"detection",        "decision",   "fence", "switch",    "restore_model",
	"restore_training", "restore_io", "start", "readiness", "backup",
};

/* ---- which row a trial takes ---- */

double calibration_spread(size_t n)
{
	double ratio, count = (double)n;

	if (n < 2)
		return 0;
	ratio = stats_t_quantile(count - 1, 0.95) / Z95;
	return sqrt((ratio * ratio * (1 + 1 / count) - (count - 1) / count) / 2);
}

/* Moved by a share of the difference of two others. */
static void move(const struct calibration *c, struct prng *prng, struct calibration_row *row)
{
	uint64_t from = prng_below(prng, c->count), to = prng_below(prng, c->count - 1);
	double share = calibration_spread(c->count);

	to += to >= from;
	for (size_t i = 0; i < RESIDUALS; i++) {
		double moved = (double)c->rows[to].by[i] - (double)c->rows[from].by[i];
		double drawn = (double)row->by[i] + share * moved;

		/* Instants that come of it stay far from the end of what an integer holds. */
		drawn = fmin(fmax(drawn, -(double)PARAM_DURATION_MAX), (double)PARAM_DURATION_MAX);
		row->by[i] = (nanos)llround(drawn);
	}
}

/* What cannot take less than the model's nothing is taken off what is before it. */
static void take_off(struct calibration_row *row, enum residual from, enum residual before)
{
	if (row->by[from] >= 0)
		return;
	row->by[before] += row->by[from];
	row->by[from] = 0;
}

void calibration_draw(const struct calibration *c, uint64_t seed, uint64_t trial,
		      struct calibration_row *ret_row)
{
	struct prng prng;

	memset(ret_row, 0, sizeof(*ret_row));
	if (!c || c->count == 0)
		return;
	prng_open(&prng, seed, trial, 0, PRNG_CALIBRATION);
	*ret_row = c->rows[c->count > 1 ? prng_below(&prng, c->count) : 0];
	if (c->count > 1)
		move(c, &prng, ret_row);
	take_off(ret_row, RESIDUAL_READINESS, RESIDUAL_START);
	take_off(ret_row, RESIDUAL_FENCE, RESIDUAL_SWITCH);
}

void calibration_transfer(double time, nanos modelled, nanos residual, double *ret_factor,
			  nanos *ret_more)
{
	*ret_factor = time;
	*ret_more = residual > 0 ? residual : 0;
	if (residual < 0 && modelled > 0)
		*ret_factor = fmax(0, time + (double)residual / (double)modelled);
}

void calibration_complete(struct calibration *c, struct calibration_row *rows)
{
	for (size_t k = 0; k < RESIDUALS; k++) {
		double sum = 0;

		c->known[k] = 0;
		for (size_t i = 0; i < c->count; i++) {
			if (c->gaps[i * RESIDUALS + k])
				continue;
			sum += (double)rows[i].by[k];
			c->known[k]++;
		}
		for (size_t i = 0; i < c->count; i++)
			if (c->gaps[i * RESIDUALS + k])
				rows[i].by[k] =
					c->known[k] ? (nanos)llround(sum / (double)c->known[k]) : 0;
	}
	c->rows = rows;
}

/* ---- writing ---- */

/* In seconds or milliseconds, exact to the nanosecond: "1.25s", "-3.000125ms". */
static const char *time_text(char out[TIME_TEXT], nanos value)
{
	uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
	bool seconds = size >= (uint64_t)NANOS_S;
	uint64_t unit = (uint64_t)(seconds ? NANOS_S : NANOS_MS);
	int length = snprintf(out, TIME_TEXT, "%s%" PRIu64 ".%0*" PRIu64, value < 0 ? "-" : "",
			      size / unit, seconds ? 9 : 6, size % unit);

	while (length > 0 && out[length - 1] == '0')
		length--;
	if (length > 0 && out[length - 1] == '.')
		length--;
	snprintf(out + length, TIME_TEXT - (size_t)length, seconds ? "s" : "ms");
	return out;
}

static void put_time(FILE *out, const char *key, nanos value)
{
	char text[TIME_TEXT];

	fprintf(out, "%s: %s", key, time_text(text, value));
}

static void put_real(FILE *out, const char *key, double value)
{
	char text[REAL_TEXT_MAX];

	real_text(text, value);
	fprintf(out, "%s: %s", key, text);
}

static void put_text(FILE *out, const char *key, const char *value, struct arena *arena)
{
	size_t room = 6 * strlen(value) + 1;
	char *escaped = arena_alloc(arena, room);

	json_escape(escaped, room, value);
	fprintf(out, "%s: \"%s\"", key, escaped);
}

static void put_transfers(FILE *out, const struct calibration *c)
{
	fputs("restore: {", out);
	put_real(out, "time", c->restore_time);
	fputs(", modelled: {", out);
	for (int i = 0; i < DATA_CLASSES; i++) {
		fputs(i > 0 ? ", " : "", out);
		put_time(out, data_class_names[i], c->restore_modelled[i]);
	}
	fputs("}}\nbackup: {", out);
	put_real(out, "time", c->backup_time);
	fputs(", ", out);
	put_time(out, "modelled", c->backup_modelled);
	fputs("}\n", out);
}

static void put_sources(FILE *out, const struct calibration *c, struct arena *arena)
{
	fputs("runs:\n", out);
	for (size_t i = 0; i < c->count; i++) {
		const struct calibration_source *source = &c->sources[i];

		fputs("  - {", out);
		put_text(out, "id", source->id, arena);
		fprintf(out, ", record: %s, ", source->sha256);
		put_time(out, "frt", source->frt);
		fputs(", ", out);
		put_time(out, "modelled", source->modelled);
		fputs(", ", out);
		put_time(out, "missing", source->missing);
		fputs("}\n", out);
	}
}

static void put_residual(FILE *out, const struct calibration *c, size_t which, struct arena *arena)
{
	double *sorted = arena_array(arena, c->count, sizeof(*sorted));
	struct stats_moments moments;
	char text[TIME_TEXT];
	size_t n = 0;

	for (size_t i = 0; i < c->count; i++)
		if (!c->gaps[i * RESIDUALS + which])
			sorted[n++] = (double)c->rows[i].by[which];
	stats_sort(sorted, n);
	moments = stats_moments_of(sorted, n);
	fprintf(out, "  %s: {n: %zu", residual_names[which], n);
	if (n > 0) {
		fprintf(out, ", mean: %s", time_text(text, (nanos)llround(moments.mean)));
		fprintf(out, ", median: %s",
			time_text(text, (nanos)stats_quantile(sorted, n, 0.5)));
	}
	if (n > 1)
		fprintf(out, ", spread: %s",
			time_text(text, (nanos)llround(sqrt(stats_variance(&moments)))));
	fputs(", samples: [", out);
	for (size_t i = 0; i < c->count; i++) {
		bool gap = c->gaps[i * RESIDUALS + which];

		fprintf(out, "%s%s",
			i == 0  ? ""
			: i % 6 ? ", "
				: ",\n    ",
			gap ? "~" : time_text(text, c->rows[i].by[which]));
	}
	fputs("]}\n", out);
}

char *calibration_text(const struct calibration *c, struct arena *arena)
{
	char *text = NULL, *kept;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert(out);
	fputs("# What real drills add to the figures of a scenario: fitted by drsim calibrate, "
	      "read "
	      "by\n# drsim run --profile. Samples are in the order of the runs; a row across them "
	      "belongs together.\n",
	      out);
	if (c->count < 5)
		fprintf(out,
			"# FEW RUNS: with %zu the spread is hardly known; ten or more are "
			"better.\n",
			c->count);
	fputs("apiVersion: drsim/profile/v1\n", out);
	put_text(out, "scenario", c->scenario, arena);
	fputs("\nscale: {", out);
	put_real(out, "time", c->scale.time_scale);
	fputs(", ", out);
	put_real(out, "bytes", c->scale.bytes_scale);
	fputs("}\n", out);
	put_transfers(out, c);
	put_sources(out, c, arena);
	fputs("residuals: # measured less modelled; mean, median and spread are for people\n", out);
	for (size_t i = 0; i < RESIDUALS; i++)
		put_residual(out, c, i, arena);
	fclose(out);
	kept = arena_strdup(arena, text);
	free(text);
	return kept;
}

/* ---- reading ---- */

struct profile_form {
	const char *api, *scenario;
	const struct yaml_node *scale, *restore, *backup, *runs, *residuals;
};

#define PROFILE(field) offsetof(struct profile_form, field)
static const struct param profile_rows[] = {
	{"apiVersion", PARAM_TEXT, PROFILE(api), NULL, 0, 0, NULL, "Always drsim/profile/v1."},
	{"scenario", PARAM_TEXT, PROFILE(scenario), NULL, 0, 0, NULL, "Name of what was drilled."},
	{"scale", PARAM_NODE, PROFILE(scale), NULL, 0, 0, NULL, "Scale of the drills."},
	{"restore", PARAM_NODE, PROFILE(restore), NULL, 0, 0, NULL, "Restores."},
	{"backup", PARAM_NODE, PROFILE(backup), NULL, 0, 0, NULL, "Backups."},
	{"runs", PARAM_NODE, PROFILE(runs), NULL, 0, 0, NULL, "The drills."},
	{"residuals", PARAM_NODE, PROFILE(residuals), NULL, 0, 0, NULL, "Measured less modelled."},
	PARAMS_END,
};

static const struct param scale_rows[] = {
	{"time", PARAM_NUMBER, offsetof(struct process_scale, time_scale), NULL, 1e-9, 1e9, NULL,
	 "Of durations."},
	{"bytes", PARAM_NUMBER, offsetof(struct process_scale, bytes_scale), NULL, 1e-18, 1e18,
	 NULL, "Of sizes."},
	PARAMS_END,
};

static const struct param restore_rows[] = {
	{"time", PARAM_NUMBER, offsetof(struct calibration, restore_time), NULL, RATIO_MIN,
	 RATIO_MAX, NULL, "Times as long as modelled."},
	{"modelled", PARAM_NODE, offsetof(struct calibration, rows), NULL, 0, 0, NULL,
	 "What the model says of each class."},
	PARAMS_END,
};

static const struct param modelled_rows[] = {
	{"model", PARAM_DURATION, 0 * sizeof(nanos), NULL, 0, 0, NULL, "Weights."},
	{"training", PARAM_DURATION, 1 * sizeof(nanos), NULL, 0, 0, NULL, "Training data."},
	{"io", PARAM_DURATION, 2 * sizeof(nanos), NULL, 0, 0, NULL, "Inputs and outputs."},
	PARAMS_END,
};

static const struct param backup_rows[] = {
	{"time", PARAM_NUMBER, offsetof(struct calibration, backup_time), NULL, RATIO_MIN,
	 RATIO_MAX, NULL, "Times as long as modelled."},
	{"modelled", PARAM_DURATION, offsetof(struct calibration, backup_modelled), NULL, 0, 0,
	 NULL, "What the model says of one."},
	PARAMS_END,
};

struct run_form {
	const char *id, *sha256;
	nanos frt, modelled;
	const struct yaml_node *missing;
};

static const struct param run_rows[] = {
	{"id", PARAM_TEXT, offsetof(struct run_form, id), NULL, 0, 0, NULL, "Of the drill."},
	{"record", PARAM_TEXT, offsetof(struct run_form, sha256), NULL, 0, 0, NULL,
	 "SHA-256 of its record.json."},
	{"frt", PARAM_DURATION, offsetof(struct run_form, frt), NULL, 0, 0, NULL, "Measured."},
	{"modelled", PARAM_DURATION, offsetof(struct run_form, modelled), NULL, 0, 0, NULL,
	 "What the simulator says without a profile."},
	{"missing", PARAM_NODE, offsetof(struct run_form, missing), NULL, 0, 0, NULL,
	 "What the corrected simulator leaves open."},
	PARAMS_END,
};

struct residual_form {
	uint32_t n;
	const struct yaml_node *mean, *median, *spread, *samples;
};

static const struct param residual_rows[] = {
	{"n", PARAM_COUNT, offsetof(struct residual_form, n), NULL, 0, CALIBRATION_RUNS_MAX, NULL,
	 "Runs that have it."},
	{"mean", PARAM_NODE, offsetof(struct residual_form, mean), "", 0, 0, NULL, "For people."},
	{"median", PARAM_NODE, offsetof(struct residual_form, median), "", 0, 0, NULL,
	 "For people."},
	{"spread", PARAM_NODE, offsetof(struct residual_form, spread), "", 0, 0, NULL,
	 "Standard deviation, for people."},
	{"samples", PARAM_NODE, offsetof(struct residual_form, samples), NULL, 0, 0, NULL,
	 "Of each run; ~ where it has none."},
	PARAMS_END,
};

/* A profile on its way in. */
struct reader {
	struct param_context context;
	struct calibration *calibration;
	struct calibration_row *rows;
	bool *gaps;
};

static int refuse(struct reader *r, const struct yaml_node *node, const char *what)
{
	return error_list_add(&r->context.errors, ERROR_SCENARIO, node->place, "%s", what);
}

/* A duration that may be below 0. */
static int read_signed(struct reader *r, const struct yaml_node *node, nanos *ret)
{
	struct error e = {0};
	bool minus;

	if (node->kind != YAML_KIND_SCALAR)
		return refuse(r, node, "a duration such as 12.5ms or -3ms is expected here");
	minus = node->text[0] == '-';
	if (quantity_duration(node->text + minus, node->place, ret, &e))
		return error_list_add(&r->context.errors, e.kind, e.place, "%s", e.text);
	*ret = minus ? -*ret : *ret;
	return 0;
}

static int read_maps(struct reader *r, const struct profile_form *form)
{
	struct calibration *c = r->calibration;
	struct calibration restore = {0};
	nanos modelled[DATA_CLASSES] = {0};

	if (params_load(form->scale, "'scale'", scale_rows, &c->scale, &r->context, NULL) ||
	    params_load(form->backup, "'backup'", backup_rows, c, &r->context, NULL) ||
	    params_load(form->restore, "'restore'", restore_rows, &restore, &r->context, NULL))
		return -1;
	c->restore_time = restore.restore_time;
	if (params_load(yaml_get(form->restore, "modelled"), "'modelled'", modelled_rows, modelled,
			&r->context, NULL))
		return -1;
	memcpy(c->restore_modelled, modelled, sizeof(modelled));
	return 0;
}

static int read_sources(struct reader *r, const struct yaml_node *list)
{
	struct calibration *c = r->calibration;
	struct calibration_source *sources;
	size_t i = 0;

	if (list->kind != YAML_KIND_LIST || list->count == 0)
		return refuse(r, list, "a list of at least one run is expected here");
	if (list->count > CALIBRATION_RUNS_MAX)
		return refuse(r, list, "a profile has 1000 runs at most");
	sources = arena_array(r->context.arena, list->count, sizeof(*sources));
	for (const struct yaml_node *node = list->first; node; node = node->next, i++) {
		struct run_form form = {0};

		if (params_load(node, "a run", run_rows, &form, &r->context, NULL) ||
		    read_signed(r, form.missing, &sources[i].missing))
			return -1;
		sources[i].id = form.id;
		sources[i].sha256 = form.sha256;
		sources[i].frt = form.frt;
		sources[i].modelled = form.modelled;
	}
	c->sources = sources;
	c->count = list->count;
	return 0;
}

static int read_residual(struct reader *r, const struct yaml_node *node, size_t which)
{
	struct residual_form form = {0};
	const struct calibration *c = r->calibration;
	const struct yaml_node *sample;
	size_t i = 0, known = 0;

	if (params_load(node, "a residual", residual_rows, &form, &r->context, NULL))
		return -1;
	if (form.samples->kind != YAML_KIND_LIST || form.samples->count != c->count)
		return refuse(r, form.samples, "one sample a run is expected here");
	for (sample = form.samples->first; sample; sample = sample->next, i++) {
		r->gaps[i * RESIDUALS + which] = yaml_is_null(sample);
		known += !yaml_is_null(sample);
		if (!yaml_is_null(sample) && read_signed(r, sample, &r->rows[i].by[which]))
			return -1;
	}
	if (form.n != (uint32_t)known)
		return refuse(r, yaml_get(node, "n"), "'n' is not the number of the samples");
	return 0;
}

static int read_residuals(struct reader *r, const struct yaml_node *map)
{
	struct calibration *c = r->calibration;
	struct param rows[RESIDUALS + 1] = {0};
	struct {
		const struct yaml_node *node;
	} nodes[RESIDUALS] = {{0}};

	for (size_t i = 0; i < RESIDUALS; i++)
		rows[i] = (struct param){.name = residual_names[i],
					 .type = PARAM_NODE,
					 .offset = i * sizeof(nodes[0])};
	if (params_load(map, "'residuals'", rows, nodes, &r->context, NULL))
		return -1;
	r->rows = arena_array(r->context.arena, c->count, sizeof(*r->rows));
	r->gaps = arena_array(r->context.arena, c->count * RESIDUALS, sizeof(*r->gaps));
	for (size_t i = 0; i < RESIDUALS; i++)
		if (read_residual(r, nodes[i].node, i))
			return -1;
	c->gaps = r->gaps;
	calibration_complete(c, r->rows);
	return 0;
}

static int read_profile(struct reader *r, const struct yaml_node *root)
{
	struct profile_form form = {0};
	const struct yaml_node *api = yaml_get(root, "apiVersion");

	if (api && !yaml_is(api, "drsim/profile/v1"))
		return refuse(r, api, "this program reads profiles of apiVersion drsim/profile/v1");
	if (params_load(root, "a profile", profile_rows, &form, &r->context, NULL))
		return -1;
	r->calibration->scenario = form.scenario;
	if (read_maps(r, &form) || read_sources(r, form.runs))
		return -1;
	return read_residuals(r, form.residuals);
}

void calibration_sha256(const void *bytes, size_t size, char ret_hex[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int length = 0;
	int done = EVP_Digest(bytes, size, digest, &length, EVP_sha256(), NULL);

	assert(done == 1 && length == 32);
	(void)done;
	for (unsigned int i = 0; i < length; i++)
		snprintf(ret_hex + (size_t)2 * i, 3, "%02x", digest[i]);
}

int calibration_parse(const char *path, const char *text, size_t size, struct arena *arena,
		      struct calibration **ret_calibration, struct error *e)
{
	const char *name = arena_strdup(arena, path);
	struct reader r = {
		.context = {.arena = arena, .errors = {.arena = arena, .file = name}},
		.calibration = arena_alloc(arena, sizeof(*r.calibration)),
	};
	struct yaml_node *root = NULL;
	char *hex = arena_alloc(arena, 65);

	if (yaml_parse(name, text, size, arena, &root, e))
		return -1;
	if (read_profile(&r, root)) {
		const struct error *first = &r.context.errors.items[0];

		assert(r.context.errors.count > 0);
		return error_set(e, first->kind, first->place, "%s", first->text);
	}
	calibration_sha256(text, size, hex);
	r.calibration->sha256 = hex;
	*ret_calibration = r.calibration;
	return 0;
}

int calibration_load(const char *path, struct arena *arena, struct calibration **ret_calibration,
		     struct error *e)
{
	char *text;
	size_t size;

	if (yaml_read_file(path, CALIBRATION_FILE_MAX, arena, &text, &size, e))
		return -1;
	return calibration_parse(path, text, size, arena, ret_calibration, e);
}
