/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs.torn_seq: a crash leaves only some of several writes in a row.
 *
 * In the field the kernel writes dirty pages back in the order that suits it: after a crash the
 * third write may be there and the first not, so that a log has a hole, or an index points to what
 * was never written. The power fails for the node's programs in the `occurrence`-th sequence of
 * writes to a file without a sync between them: they end, and of the sequence only the writes that
 * `persist` names are on the disk; the last of those brings the crash (as LazyFS' torn-seq; Ramos
 * et al., "When Amnesia Strikes", VLDB 2024).
 */
#include "faults/faults.h"

struct fs_torn_seq {
	int64_t occurrence;
	const char *persist, *path;
};

static const struct param params[] = {
	{.name = "occurrence",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct fs_torn_seq, occurrence),
	 .preset = "1",
	 .min = 1,
	 .max = 1000000000,
	 .help = "Which sequence of them since the fault began."},
	{.name = "persist",
	 .type = PARAM_TEXT,
	 .offset = offsetof(struct fs_torn_seq, persist),
	 .preset = "2",
	 .help = "Which of its writes are there after the crash, from 1."},
	{.name = "path",
	 .type = PARAM_TEXT,
	 .offset = offsetof(struct fs_torn_seq, path),
	 .preset = "",
	 .help = "Only this file or folder, from the data folder on; with * a pattern."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct fs_torn_seq *torn = values;
	struct operations operations = {
		.files = FILE_BIT(FILE_WRITE),
		.path = torn->path,
		.count = 1,
	};
	struct effect effect = {.kind = EFFECT_FS_TORN_SEQ};

	(void)prng;
	operations.when.first = operations.when.last = (uint64_t)torn->occurrence;
	operations.when.step = 1;
	if (operations_parse_parts(torn->persist, OPERATIONS_PARTS_MAX, NO_PLACE,
				   &operations.persist, e))
		return -1;
	if (operations.persist == 0)
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "one write at least is there after the crash, which it brings");
	effect.operations = faults_keep(out, &operations, sizeof(operations));
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_fs_torn_seq = {
	.name = "fs.torn_seq",
	.group = "fs",
	.help = "Programs end between several writes, of which only some are there.",
	.params = params,
	.params_size = sizeof(struct fs_torn_seq),
	.needs = EFFECT_BIT(EFFECT_FS_TORN_SEQ),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
