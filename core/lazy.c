/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a library by its name and finds its functions. */
#include "core/lazy.h"

#include <assert.h>
#include <dlfcn.h>
#include <string.h>

_Static_assert(sizeof(void *) == sizeof(void (*)(void)), "POSIX wants them alike for dlsym()");

/* The handle is never closed: the functions must stay where they are. */
static void *load(const struct lazy *lazy, const char **ret_soname, struct error *e)
{
	const char *why = NULL;

	for (size_t i = 0; i < LAZY_SONAMES_MAX && lazy->sonames[i]; i++) {
		void *library = dlopen(lazy->sonames[i], RTLD_LAZY | RTLD_LOCAL);

		*ret_soname = lazy->sonames[i];
		if (library)
			return library;
		why = dlerror();
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			  "a library is missing: %s (Debian has it in the package %s)",
			  why ? why : *ret_soname, lazy->package);
	}
	return NULL;
}

int lazy_load(const struct lazy *lazy, void *table, size_t size, struct error *e)
{
	struct error error = {.kind = ERROR_NONE};
	const char *soname = NULL;
	void *library = load(lazy, &soname, &error);

	assert(size == lazy->count * sizeof(void *));
	memset(table, 0, size);
	if (!library)
		return error_set(e, error.kind, NO_PLACE, "%s", error.text);
	for (size_t i = 0; i < lazy->count; i++) {
		void *function = dlsym(library, lazy->names[i]);

		if (!function) {
			memset(table, 0, size);
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "the library %s is too old: it has no %s() (Debian has it "
					 "in the package %s)",
					 soname, lazy->names[i], lazy->package);
		}
		/* C has no cast from a pointer to data to one to a function. */
		memcpy((char *)table + i * sizeof(function), &function, sizeof(function));
	}
	return 0;
}
