/* SPDX-License-Identifier: Apache-2.0 */
/* Planting tokens and looking for them. */
#include "tests/planted.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const tokens[PLANTED] = {
	"planted-0-5f1d7c", "planted-1-a86e02", "planted-2-94bb31", "planted-3-c07f5d",
	"planted-4-3e9a64", "planted-5-d12b88", "planted-6-77c0f9", "planted-7-0ad4e6",
};

static const char *const variables[PLANTED] = {
	"AWS_SECRET_ACCESS_KEY", "DRSIM_STORE_TOKEN", "PGPASSWORD",    "API_TOKEN",
	"HTTP_AUTHORIZATION",    "LEPTON_API_KEY",    "PLAIN_SETTING", "DRSIM_SIGNING_KEY",
};

static size_t files;

const char *planted_token(size_t number)
{
	ck_assert_uint_lt(number, PLANTED);
	return tokens[number];
}

void planted_environment(void)
{
	for (size_t i = 0; i < PLANTED; i++)
		setenv(variables[i], tokens[i], 1);
}

void planted_nowhere_in(const char *where, const char *text)
{
	for (size_t i = 0; i < PLANTED; i++)
		ck_assert_msg(strstr(text, tokens[i]) == NULL, "%s holds the token of %s", where,
			      variables[i]);
}

static int look(const char *path, const struct stat *status, int type, struct FTW *at)
{
	FILE *file;
	char *bytes;
	size_t size;

	(void)at;
	planted_nowhere_in(path, path);
	if (type != FTW_F)
		return 0;
	size = (size_t)status->st_size;
	file = fopen(path, "re");
	bytes = malloc(size + 1);
	ck_assert(file && bytes);
	ck_assert_uint_eq(fread(bytes, 1, size, file), size);
	fclose(file);
	for (size_t i = 0; i < PLANTED; i++)
		ck_assert_msg(memmem(bytes, size, tokens[i], strlen(tokens[i])) == NULL,
			      "%s holds the token of %s", path, variables[i]);
	free(bytes);
	files++;
	return 0;
}

size_t planted_nowhere_below(const char *folder)
{
	files = 0;
	ck_assert_int_eq(nftw(folder, look, 16, FTW_PHYS), 0);
	return files;
}
