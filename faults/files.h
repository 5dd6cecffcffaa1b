/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters that the faults of operations on files share: which operations, on what. */
#ifndef FAULTS_FILES_H
#define FAULTS_FILES_H

#include "faults/faults.h"

struct files {
	const char *methods, *when, *path;
	uint32_t count;
};

/* Rows for a struct of the fault's own whose first member is a struct files. */
#define FILES_ROWS(preset_methods)                                                                 \
	{.name = "methods",                                                                        \
	 .type = PARAM_TEXT,                                                                       \
	 .offset = offsetof(struct files, methods),                                                \
	 .preset = (preset_methods),                                                               \
	 .help = "Operations, separated by commas: \"read,write,sync\"; or all."},                 \
		{.name = "when",                                                                   \
		 .type = PARAM_TEXT,                                                               \
		 .offset = offsetof(struct files, when),                                           \
		 .preset = "1+",                                                                   \
		 .help = "Which of them, by number: first..last+step, as in strace."},             \
		{.name = "count",                                                                  \
		 .type = PARAM_COUNT,                                                              \
		 .offset = offsetof(struct files, count),                                          \
		 .preset = "0",                                                                    \
		 .min = 0,                                                                         \
		 .max = UINT32_MAX,                                                                \
		 .help = "At most so many operations are hit; 0: no limit."},                      \
	{                                                                                          \
		.name = "path", .type = PARAM_TEXT, .offset = offsetof(struct files, path),        \
		.preset = "",                                                                      \
		.help = "Only this file or folder, from the data folder on; with * a pattern."     \
	}

/* Fills what the rows say, with a seed of its own; -1 when a text of them makes no sense. */
int files_choose(const struct files *files, struct prng *prng, struct operations *ret,
		 struct error *e);

#endif
