/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters that the faults of system calls share: which calls, of what, how often. */
#ifndef FAULTS_CALLS_H
#define FAULTS_CALLS_H

#include "faults/faults.h"

struct calls {
	const char *names, *when, *path;
	double probability;
	uint32_t count;
	int fd;
};

/* Rows for a struct of the fault's own whose first member is a struct calls. */
#define CALLS_ROWS(preset_calls)                                                                   \
	{.name = "calls",                                                                          \
	 .type = PARAM_TEXT,                                                                       \
	 .offset = offsetof(struct calls, names),                                                  \
	 .preset = (preset_calls),                                                                 \
	 .help = "System calls, separated by commas: \"openat,pwrite64\"."},                       \
		{.name = "when",                                                                   \
		 .type = PARAM_TEXT,                                                               \
		 .offset = offsetof(struct calls, when),                                           \
		 .preset = "1+",                                                                   \
		 .help = "Which of them, by number: first..last+step, as in strace."},             \
		{.name = "probability",                                                            \
		 .type = PARAM_PERCENT,                                                            \
		 .offset = offsetof(struct calls, probability),                                    \
		 .preset = "100%",                                                                 \
		 .min = 1e-6,                                                                      \
		 .max = 1,                                                                         \
		 .help = "Chance of each of these to be hit."},                                    \
		{.name = "count",                                                                  \
		 .type = PARAM_COUNT,                                                              \
		 .offset = offsetof(struct calls, count),                                          \
		 .preset = "0",                                                                    \
		 .min = 0,                                                                         \
		 .max = UINT32_MAX,                                                                \
		 .help = "At most so many calls are hit; 0: no limit."},                           \
		{.name = "path",                                                                   \
		 .type = PARAM_TEXT,                                                               \
		 .offset = offsetof(struct calls, path),                                           \
		 .preset = "",                                                                     \
		 .help = "Only this file, or folder and all below; with * a pattern."},            \
	{                                                                                          \
		.name = "fd", .type = PARAM_CHOICE, .offset = offsetof(struct calls, fd),          \
		.preset = "any", .choices = fd_kind_names,                                         \
		.help = "Only calls on descriptors of this kind.",                                 \
	}

#define CALLS_TARGETS                                                                              \
	(TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_REPLICA) | TARGET_BIT(ENTITY_ENDPOINT) |      \
	 TARGET_BIT(ENTITY_JOB) | TARGET_BIT(ENTITY_RANK))

/* Fills what the rows say, with a seed of its own; -1 when a text of them makes no sense. */
int calls_choose(const struct calls *calls, struct prng *prng, struct operations *ret,
		 struct error *e);

#endif
