/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of operations as a scenario writes them. */
#include "core/operations.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/param.h"

const char *const fd_kind_names[] = {"any", "file", "socket", "pipe", "device", NULL};
const char *const file_operation_names[] = {"open",     "read",   "write",  "sync",
					    "truncate", "rename", "remove", "create",
					    "list",     "status", NULL};

/* The next name of a comma-separated list; false at its end. */
struct names {
	const char *at;
	char word[OPERATIONS_NAME_MAX + 1];
	bool too_long, done;
};

static bool next_name(struct names *names)
{
	size_t length;

	if (names->done)
		return false;
	length = strcspn(names->at, ",");
	names->too_long = length > OPERATIONS_NAME_MAX;
	if (!names->too_long) {
		memcpy(names->word, names->at, length);
		names->word[length] = '\0';
	}
	names->done = names->at[length] == '\0';
	names->at += length + 1;
	return true;
}

static int refuse(const char *text, struct place place, const char *what, struct error *e)
{
	char quoted[YAML_QUOTE_MAX];

	return error_set(e, ERROR_SCENARIO, place, "'%s' is no list of %s",
			 yaml_quote(text, quoted), what);
}

static bool is_call(const char *word)
{
	return *word != '\0' &&
	       strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(word);
}

/* Does `word` stand in the list before `end`? */
static bool stands_before(const char *text, const char *end, const char *word)
{
	struct names names = {.at = text};

	while (next_name(&names) && names.at <= end)
		if (strcmp(names.word, word) == 0)
			return true;
	return false;
}

int operations_check_calls(const char *text, struct place place, struct error *e)
{
	static const char form[] = "system calls; write openat,pwrite64";
	struct names names = {.at = text};

	for (size_t count = 1; next_name(&names); count++) {
		const char *begin;

		if (names.too_long || !is_call(names.word))
			return refuse(text, place, form, e);
		if (count > OPERATIONS_NAMES_MAX)
			return error_set(e, ERROR_LIMIT, place,
					 "more than %d system calls in a list",
					 OPERATIONS_NAMES_MAX);
		begin = names.at - strlen(names.word) - 1;
		if (stands_before(text, begin, names.word))
			return error_set(e, ERROR_SCENARIO, place, "'%s' stands in the list twice",
					 names.word);
	}
	return 0;
}

int operations_parse_files(const char *text, struct place place, uint32_t *ret_files,
			   struct error *e)
{
	struct names names = {.at = text};
	uint32_t files = 0;

	if (strcmp(text, "all") == 0) {
		*ret_files = FILE_ALL;
		return 0;
	}
	while (next_name(&names)) {
		int operation = 0;

		if (names.too_long)
			return refuse(text, place, "operations on files; write read,write", e);
		while (operation < FILE_OPERATIONS &&
		       strcmp(file_operation_names[operation], names.word) != 0)
			operation++;
		if (operation == FILE_OPERATIONS) {
			const char *near = param_suggest(names.word, file_operation_names);
			char quoted[YAML_QUOTE_MAX];

			return error_set(e, ERROR_SCENARIO, place,
					 "there is no operation '%s' on files%s%s%s",
					 yaml_quote(names.word, quoted),
					 near ? "; did you mean '" : "",
					 near ? near
					      : "; there are open, read, write, sync, truncate, "
						"rename, remove, create, list, status, or all",
					 near ? "'?" : "");
		}
		if (files & FILE_BIT(operation))
			return error_set(e, ERROR_SCENARIO, place, "'%s' stands in the list twice",
					 names.word);
		files |= FILE_BIT(operation);
	}
	*ret_files = files;
	return 0;
}

int operations_parse_parts(const char *text, uint32_t parts, struct place place,
			   uint64_t *ret_persist, struct error *e)
{
	struct names names = {.at = text};
	uint64_t persist = 0;

	assert(parts > 0 && parts <= OPERATIONS_PARTS_MAX);
	if (strcmp(text, "none") == 0) {
		*ret_persist = 0;
		return 0;
	}
	while (next_name(&names)) {
		uint64_t part, bit;

		if (names.too_long || quantity_unsigned(names.word, place, &part, NULL) < 0)
			return refuse(text, place, "parts; write 1,3 or none", e);
		if (part < 1 || part > parts)
			return error_set(e, ERROR_SCENARIO, place,
					 "there is no part %llu: they count from 1 to %u",
					 (unsigned long long)part, parts);
		bit = (uint64_t)1 << (part - 1);
		if (persist & bit)
			return error_set(e, ERROR_SCENARIO, place,
					 "part %llu stands in the list twice",
					 (unsigned long long)part);
		persist |= bit;
	}
	*ret_persist = persist;
	return 0;
}

const char *operations_print_files(uint32_t files, char buffer[OPERATIONS_TEXT_MAX])
{
	size_t used = 0;

	snprintf(buffer, OPERATIONS_TEXT_MAX, "%s", files == FILE_ALL ? "all" : "none");
	for (int i = 0; i < FILE_OPERATIONS && files != FILE_ALL; i++) {
		if (!(files & FILE_BIT(i)))
			continue;
		used += (size_t)snprintf(buffer + used, OPERATIONS_TEXT_MAX - used, "%s%s",
					 used ? "," : "", file_operation_names[i]);
		assert(used < OPERATIONS_TEXT_MAX);
	}
	return buffer;
}
