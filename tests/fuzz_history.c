/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as history.db. What is read keeps its bounds and can be judged; what is
 * refused has a text. */
#include <assert.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/trend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct history_list *list, struct arena *arena)
{
	const struct trend_options options = {
		.path = "fuzz", .metric = -1, .last = CHANGE_NIGHTS_MAX, .hold = 14, .least = 0.01};
	struct trend trend;
	size_t judged;

	for (size_t i = 0; i < list->count; i++) {
		const struct history_drill *drill = &list->drills[i];

		assert(*drill->id && *drill->name && strlen(drill->name) <= HISTORY_TEXT_MAX);
		assert(isnan(drill->frt_s) || (drill->frt_s >= 0 && isfinite(drill->frt_s)));
		assert(history_is_time(drill->started));
		assert(i == 0 || strcmp(list->drills[i - 1].started, drill->started) <= 0);
	}
	trend_make(list, &options, arena, &trend);
	assert(trend_worse(&trend, &judged) <= 4 * trend.count && judged <= trend.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
	char path[] = "/tmp/drsim-fuzz-history-XXXXXX", beside[64];
	struct history_list list = {0};
	struct arena arena = {0};
	struct error e = {0};
	int file = mkostemp(path, O_CLOEXEC);

	assert(file >= 0);
	if (write(file, data, size) == (ssize_t)size) {
		if (history_read(path, NULL, &arena, &list, &e) == 0)
			check(&list, &arena);
		else
			assert(e.kind != ERROR_NONE && e.text[0]);
	}
	close(file);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(beside, sizeof(beside), "%s%s", path, ends[i]);
		unlink(beside);
	}
	arena_free(&arena);
	return 0;
}
