/* SPDX-License-Identifier: Apache-2.0 */
/* drsim calibrate: what real drills add to the model's own figures, as a profile. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/calibrate.h"
#include "core/commands.h"
#include "core/stats.h"
#include "core/words.h"

#define FEW 5 /* runs below which hardly anything is known of the spread */

struct calibrate_command {
	const char *out;
	bool allow_simulated, quiet;
};

/* The profile appears whole or not at all. */
static int write_profile(const char *path, const char *text, struct arena *arena, struct error *e)
{
	const char *temporary = arena_printf(arena, "%s.tmp-%ld", path, (long)getpid());
	FILE *file = fopen(temporary, "wxe");
	bool written;

	if (!file)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot write %s: %s", temporary,
				 strerror(errno));
	written = fputs(text, file) >= 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
	written = fclose(file) == 0 && written;
	if (written && rename(temporary, path) == 0)
		return 0;
	error_set(e, ERROR_IO, NO_PLACE, "cannot write %s: %s", path, strerror(errno));
	unlink(temporary);
	return -1;
}

static double mean_took(const struct observation *list, size_t count, size_t which)
{
	struct stats_moments moments = {0};

	for (size_t i = 0; i < count; i++)
		if (list[i].took[which] != NANOS_NEVER)
			stats_moments_add(&moments, (double)list[i].took[which] / 1e9);
	return moments.n > 0 ? moments.mean : (double)NAN;
}

static const char *duration(char out[WORDS_MAX], double seconds)
{
	if (isnan(seconds))
		snprintf(out, WORDS_MAX, "-");
	else
		snprintf(out, WORDS_MAX, fabs(seconds) < 1 ? "%.4g ms" : "%.6g s",
			 fabs(seconds) < 1 ? 1e3 * seconds : seconds);
	return out;
}

static void print_quantity(const struct calibrate_result *result, size_t which)
{
	const struct calibration *c = result->calibration;
	struct stats_moments moments = {0};
	char a[WORDS_MAX], b[WORDS_MAX], added[WORDS_MAX], spread[WORDS_MAX];

	for (size_t i = 0; i < c->count; i++)
		if (!c->gaps[i * RESIDUALS + which])
			stats_moments_add(&moments, (double)c->rows[i].by[which] / 1e9);
	if (moments.n == 0)
		return;
	printf("  %-17s %4" PRIu64 " %14s %14s %14s %14s\n", residual_names[which], moments.n,
	       duration(a, mean_took(result->measured, c->count, which)),
	       duration(b, mean_took(result->modelled, c->count, which)),
	       duration(added, moments.mean), duration(spread, sqrt(stats_variance(&moments))));
}

static void print_rate(const char *what, const struct observation *list, size_t count, bool backups,
		       double time)
{
	struct stats_moments moments = {0};
	char text[WORDS_MAX];

	for (size_t i = 0; i < count; i++) {
		double rate = backups ? list[i].backup_rate : list[i].restore_rate;

		if (isfinite(rate))
			stats_moments_add(&moments, rate);
	}
	if (moments.n > 0)
		printf("  %-17s %4" PRIu64 " runs at %s/s on average, %.6g times as long a byte as "
		       "modelled\n",
		       what, moments.n, words_bytes(text, moments.mean), time);
}

static void print_result(const struct calibrate_result *result, const char *out)
{
	const struct calibration *c = result->calibration;

	printf("%s: %zu runs of %s", out, c->count, c->scenario);
	if (c->scale.time_scale != 1 || c->scale.bytes_scale != 1)
		printf(" at time_scale %g, bytes_scale %g", c->scale.time_scale,
		       c->scale.bytes_scale);
	printf("\n  %-17s %4s %14s %14s %14s %14s\n", "", "n", "measured", "modelled", "added",
	       "spread");
	for (size_t i = 0; i < RESIDUALS; i++)
		print_quantity(result, i);
	print_rate("restore rate", result->measured, c->count, false, c->restore_time);
	print_rate("backup rate", result->measured, c->count, true, c->backup_time);
	if (c->count == 1)
		puts("  one run says nothing about the spread: predictions will have none");
	else if (c->count < FEW)
		printf("  few runs: with %zu the spread is hardly known; ten or more are better\n",
		       c->count);
	for (size_t i = 0; i < c->count; i++)
		if (llabs(c->sources[i].missing) > c->sources[i].frt / 20)
			printf("  %s: %.3g s of its FRT have no place in the model\n",
			       c->sources[i].id, (double)c->sources[i].missing / 1e9);
}

static int calibrate_main(struct invocation *in)
{
	struct calibrate_command command = {0};
	struct calibrate_result result = {0};
	struct error error = {0};
	struct stat status;
	int code;

	if (command_parse(in, &command, &code))
		return code;
	if (!command.out)
		return command_usage(in->command, "say where the profile is to go: --out FILE");
	for (size_t i = 0; i < in->word_count; i++)
		if (stat(arena_printf(in->arena, "%s/record.json", in->words[i]), &status))
			return command_usage(in->command,
					     "'%s' is no run folder: %s/record.json: %s",
					     in->words[i], in->words[i], strerror(errno));
	if (calibrate(in->words, in->word_count, command.allow_simulated, in->arena, &result,
		      &error) ||
	    write_profile(command.out, calibration_text(result.calibration, in->arena), in->arena,
			  &error)) {
		error_print(&error);
		return EXIT_NOT_EVALUABLE;
	}
	if (!command.quiet)
		print_result(&result, command.out);
	return EXIT_OK;
}

static const struct option options[] = {
	{.name = "out",
	 .letter = 'o',
	 .value = "FILE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct calibrate_command, out),
	 .help = "Where the profile goes; a file that is there is replaced."},
	{.name = "allow-simulated",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct calibrate_command, allow_simulated),
	 .help = "Take runs of the simulator too, as a rehearsal."},
	{.name = "quiet",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct calibrate_command, quiet),
	 .help = "Print nothing when all went well."},
	OPTIONS_END,
};

const struct command command_calibrate = {
	.name = "calibrate",
	.arguments = "RUN_DIR...",
	.summary = "fit a profile of what real drills add to the model",
	.help = "Reads the run folders of real drills of one plan at one scale, runs the simulator "
		"beside each, and writes what reality added as a profile, which drsim run "
		"--profile takes. The order of the folders does not matter. Exit code 0, 2 for a "
		"usage error, 3 when a run is damaged, not evaluable, or does not belong to the "
		"others.",
	.options = options,
	.words_min = 1,
	.words_max = CALIBRATION_RUNS_MAX,
	.main = calibrate_main,
};
