/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two YAML documents, as a list of dotted keys. */
#ifndef CORE_DIFFERENCE_H
#define CORE_DIFFERENCE_H

#include "core/yaml.h"

#define DIFFERENCES_MAX 64 /* that are listed; all are counted */

struct difference {
	const char *path;  /* "recovery.restore.order", "steps[0].at" */
	const char *a, *b; /* as it is written, in one line; NULL: not there */
};

struct differences {
	struct difference items[DIFFERENCES_MAX];
	size_t count; /* of all; the first DIFFERENCES_MAX are listed */
};

/* Keys of mappings are compared whatever their order, items of lists by their number. Either may be
 * NULL. Adds to *list; `path` is what stands before: "" at the top. */
void differences_find(const struct yaml_node *a, const struct yaml_node *b, const char *path,
		      struct arena *arena, struct differences *list);

#endif
