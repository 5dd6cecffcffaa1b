/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs.torn_op: a crash leaves a write half done.
 *
 * In the field a write of 16 KiB is four of the disk's, and the power fails between two of them:
 * the page is neither the old one nor the new one. Databases write pages twice or keep checksums
 * for that; what does neither reads a mixture and takes it for good. The power fails for the node's
 * programs at the `occurrence`-th write since the fault began: they end, and of that write only the
 * parts that `persist` names, of `parts` of equal size, are on the disk (as LazyFS' torn-op; Ramos
 * et al., "When Amnesia Strikes", VLDB 2024).
 */
#include "faults/faults.h"

struct fs_torn_op {
	int64_t occurrence, parts;
	const char *persist, *path;
};

static const struct param params[] = {
	{.name = "occurrence",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct fs_torn_op, occurrence),
	 .preset = "1",
	 .min = 1,
	 .max = 1000000000,
	 .help = "Which write since the fault began."},
	{.name = "parts",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct fs_torn_op, parts),
	 .preset = "2",
	 .min = 2,
	 .max = OPERATIONS_PARTS_MAX,
	 .help = "Into so many parts of equal size it falls."},
	{.name = "persist",
	 .type = PARAM_TEXT,
	 .offset = offsetof(struct fs_torn_op, persist),
	 .preset = "1",
	 .help = "Which parts are there after the crash, from 1; none: none is."},
	{.name = "path",
	 .type = PARAM_TEXT,
	 .offset = offsetof(struct fs_torn_op, path),
	 .preset = "",
	 .help = "Only this file or folder, from the data folder on; with * a pattern."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct fs_torn_op *torn = values;
	struct operations operations = {
		.files = FILE_BIT(FILE_WRITE),
		.path = torn->path,
		.count = 1,
		.parts = (uint32_t)torn->parts,
	};
	struct effect effect = {.kind = EFFECT_FS_TORN_OP};

	(void)prng;
	operations.when.first = operations.when.last = (uint64_t)torn->occurrence;
	operations.when.step = 1;
	if (operations_parse_parts(torn->persist, operations.parts, NO_PLACE, &operations.persist,
				   e))
		return -1;
	effect.operations = faults_keep(out, &operations, sizeof(operations));
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_fs_torn_op = {
	.name = "fs.torn_op",
	.group = "fs",
	.help = "Programs end in the middle of a write, which is half there.",
	.params = params,
	.params_size = sizeof(struct fs_torn_op),
	.needs = EFFECT_BIT(EFFECT_FS_TORN_OP),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
