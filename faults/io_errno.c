/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.errno: operations on files fail.
 *
 * In the field a quota is used up for one user, permissions change under a running service, a
 * network file system goes stale, or one directory is damaged: some operations on some files fail
 * with an error of their own while the rest of the disk is well. The effect lets `percent` of the
 * operations that are chosen fail with `error`. The preset is a failing disk.
 */
#include "core/errno_names.h"
#include "faults/files.h"

struct io_errno {
	struct files files;
	const char *error;
	double percent;
};

static const struct param params[] = {
	FILES_ROWS("all"),
	{.name = "error",
	 .type = PARAM_TEXT,
	 .offset = offsetof(struct io_errno, error),
	 .preset = "EIO",
	 .help = "The error that such an operation returns, by name."},
	{.name = "percent",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct io_errno, percent),
	 .preset = "100%",
	 .min = 1e-6,
	 .max = 1,
	 .help = "Share of these operations that fails."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct io_errno *io = values;
	struct operations operations;
	struct effect effect = {.kind = EFFECT_IO_ERROR, .amount = faults_ppm(io->percent)};

	if (files_choose(&io->files, prng, &operations, e) ||
	    errno_parse(io->error, NO_PLACE, &operations.error, e))
		return -1;
	effect.operations = faults_keep(out, &operations, sizeof(operations));
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_io_errno = {
	.name = "io.errno",
	.group = "io",
	.help = "Operations on files fail with an error.",
	.params = params,
	.params_size = sizeof(struct io_errno),
	.needs = EFFECT_BIT(EFFECT_IO_ERROR),
	.targets = TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
