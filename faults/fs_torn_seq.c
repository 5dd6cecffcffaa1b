/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs.torn_seq: a crash leaves only some of several writes in a row.
 *
 * In the field the kernel writes dirty pages back in the order that suits it: after a crash the
 * third write may be there and the first not, so that a log has a hole, or an index points to what
 * was never written. The effect makes a crash of the node leave of the `occurrence`-th group of
 * `group` operations in a row only those that `persist` names (as LazyFS' torn-seq; Ramos et al.,
 * "When Amnesia Strikes", VLDB 2024).
 */
#include "faults/faults.h"

struct fs_torn_seq {
	int op;
	int64_t occurrence, group;
	const char *persist, *path;
};

static const char *const ops[] = {"write", "truncate", "rename", "remove", "create", NULL};
static const enum file_operation op_files[] = {FILE_WRITE, FILE_TRUNCATE, FILE_RENAME, FILE_REMOVE,
					       FILE_CREATE};

static const struct param params[] = {
	{.name = "op",
	 .type = PARAM_CHOICE,
	 .offset = offsetof(struct fs_torn_seq, op),
	 .preset = "write",
	 .choices = ops,
	 .help = "Operations of this kind."},
	{.name = "occurrence",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct fs_torn_seq, occurrence),
	 .preset = "1",
	 .min = 1,
	 .max = 1000000000,
	 .help = "Which group of them since the fault began."},
	{.name = "group",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct fs_torn_seq, group),
	 .preset = "2",
	 .min = 2,
	 .max = OPERATIONS_PARTS_MAX,
	 .help = "So many in a row are one group."},
	{.name = "persist",
	 .type = PARAM_TEXT,
	 .offset = offsetof(struct fs_torn_seq, persist),
	 .preset = "2",
	 .help = "Which of a group are there after the crash, from 1; none: none is."},
	{.name = "path",
	 .type = PARAM_TEXT,
	 .offset = offsetof(struct fs_torn_seq, path),
	 .preset = "",
	 .help = "Only files whose path in the data folder begins so."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct fs_torn_seq *torn = values;
	struct operations operations = {
		.files = FILE_BIT(op_files[torn->op]),
		.path = torn->path,
		.count = 1,
		.parts = (uint32_t)torn->group,
	};
	struct effect effect = {.kind = EFFECT_FS_TORN_SEQ};

	(void)prng;
	operations.when.first = operations.when.last = (uint64_t)torn->occurrence;
	operations.when.step = 1;
	if (operations_parse_parts(torn->persist, operations.parts, NO_PLACE, &operations.persist,
				   e))
		return -1;
	effect.operations = faults_keep(out, &operations, sizeof(operations));
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_fs_torn_seq = {
	.name = "fs.torn_seq",
	.group = "fs",
	.help = "A crash leaves only some of several writes in a row.",
	.params = params,
	.params_size = sizeof(struct fs_torn_seq),
	.needs = EFFECT_BIT(EFFECT_FS_TORN_SEQ),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
