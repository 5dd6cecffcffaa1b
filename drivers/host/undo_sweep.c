/* SPDX-License-Identifier: Apache-2.0 */
/* Journals of the dead: whether there are any, and their end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "drivers/host/residue.h"
#include "drivers/host/undo.h"

#define GUARDIAN_WAIT_MS 15000 /* for a guardian that is at work */

/*
 * Takes over a journal whose owner is dead. *ret_journal NULL: its owner lives, or it is finished
 * by now.
 */
static int take_over(const char *path, struct arena *arena, struct journal **ret_journal,
		     struct error *e)
{
	struct journal *journal;

	*ret_journal = NULL;
	if (journal_load(path, -1, arena, &journal, e))
		return -1;
	if (!journal || journal_owner_lives(journal))
		return 0;
	/* Its guardian may have it; or its owner, where we cannot see that process. */
	return journal_load(path, GUARDIAN_WAIT_MS, arena, ret_journal, e);
}

/* Was nothing ever done under this journal? The crash came while its first line was written. */
static bool never_began(const struct journal *journal)
{
	return journal->count == 0 && journal->damaged == 0;
}

int undo_require_clean(struct arena *arena, struct error *e)
{
	for (const char **path = journal_list(arena); *path; path++) {
		struct journal *journal;
		size_t count;

		if (take_over(*path, arena, &journal, e))
			return -1;
		if (!journal)
			continue;
		count = journal_open_count(journal);
		if (journal_close(journal))
			continue;
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "this host is dirty: run %.100s was killed and left %zu things to "
				 "undo; run `drsim revert` first",
				 journal->run, count);
	}
	return 0;
}

static void tell(const struct journal *journal, const struct undo_sum *sum, struct undo_sweep *ret)
{
	const char **texts;
	size_t count = residue_scan(journal, &texts);

	for (size_t i = 0; i < sum->undone; i++)
		printf("%s\n", sum->undone_texts[i]);
	for (size_t i = 0; i < sum->left; i++)
		fprintf(stderr, "drsim: error: %s\n", sum->left_texts[i]);
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "drsim: error: left of run %s: %s\n", journal->run, texts[i]);
	if (journal->damaged > 0)
		fprintf(stderr,
			"drsim: error: %s is damaged, %s: what stood there cannot be undone; look "
			"at what the run %s changed, then remove this file and its folder by "
			"hand\n",
			journal->path, journal->damage, journal->run);
	ret->undone += sum->undone;
	ret->left += sum->left + count + journal->damaged;
}

static void sweep_one(const char *path, struct arena *arena, struct undo_sweep *ret)
{
	struct error error = {0};
	struct journal *journal;
	struct undo_sum sum;

	if (take_over(path, arena, &journal, &error)) {
		error_print(&error);
		ret->left++;
		return;
	}
	if (!journal)
		return;
	if (!never_began(journal)) {
		printf("run %s, whose process is dead:\n", journal->run);
		ret->runs++;
	}
	undo_all(journal, &sum);
	tell(journal, &sum, ret);
	if (!journal_close(journal))
		fprintf(stderr, "drsim: the rest stays in %s\n", path);
}

void undo_sweep(struct arena *arena, struct undo_sweep *ret)
{
	*ret = (struct undo_sweep){0};
	for (const char **path = journal_list(arena); *path; path++)
		sweep_one(*path, arena, ret);
}
