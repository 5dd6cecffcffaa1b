/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for a test that runs the program. */
#include "tests/workplace.h"

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)8 << 20)

char workplace_program[PATH_MAX], workplace_root[PATH_MAX];
static char folder[PATH_MAX];

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	return remove(path);
}

void workplace_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void workplace_enter(const char *name)
{
	const char *drsim = getenv("DRSIM"), *temporary = getenv("TMPDIR");
	char state[PATH_MAX + 16];

	ck_assert_msg(drsim != NULL, "DRSIM must name the program under test");
	ck_assert_ptr_nonnull(realpath(drsim, workplace_program));
	ck_assert_ptr_nonnull(getcwd(workplace_root, sizeof(workplace_root)));
	snprintf(folder, sizeof(folder), "%s/drsim-%s-XXXXXX", temporary ? temporary : "/tmp",
		 name);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	/* No test looks at, or undoes, what real runs have left on this host. */
	snprintf(state, sizeof(state), "%s/.state", folder);
	ck_assert_int_eq(setenv("DRSIM_STATE", state, 1), 0);
}

void workplace_leave(void)
{
	ck_assert_int_eq(chdir(workplace_root), 0);
	workplace_remove(folder);
}

char *workplace_read(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = calloc(1, TEXT_MAX);

	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_lt(fread(text, 1, TEXT_MAX - 1, file), TEXT_MAX - 1);
	fclose(file);
	return text;
}
