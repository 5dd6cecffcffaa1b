/* SPDX-License-Identifier: Apache-2.0 */
/* libsqlite3, loaded once for the whole process. */
#include "reports/sqlite.h"

#include <assert.h>
#include <pthread.h>

#define VERSION_MIN 3037000 /* the first that has STRICT tables */

/* What the dynamic linker gives is the same for the whole process: written once, under the once. */
static pthread_once_t lazy_sqlite_once = PTHREAD_ONCE_INIT;
static struct lazy_sqlite lazy_sqlite_table;
static struct error lazy_sqlite_error;

static void load(void)
{
	static const char *const names[] = {LAZY_SQLITE(LAZY_NAME)};
	static const struct lazy library = {
		.sonames = {"libsqlite3.so.0"},
		.package = "libsqlite3-0",
		.names = names,
		.count = sizeof(names) / sizeof(names[0]),
	};

	if (lazy_load(&library, &lazy_sqlite_table, sizeof(lazy_sqlite_table), &lazy_sqlite_error))
		return;
	if (lazy_sqlite_table.libversion_number() < VERSION_MIN)
		error_set(&lazy_sqlite_error, ERROR_UNAVAILABLE, NO_PLACE,
			  "libsqlite3 is too old: %s, and 3.37 is needed",
			  lazy_sqlite_table.libversion());
}

int lazy_sqlite_open(struct error *e)
{
	pthread_once(&lazy_sqlite_once, load);
	if (lazy_sqlite_error.kind == ERROR_NONE)
		return 0;
	return error_set(e, lazy_sqlite_error.kind, NO_PLACE, "%s", lazy_sqlite_error.text);
}

const struct lazy_sqlite *lazy_sqlite(void)
{
	assert(lazy_sqlite_table.open_v2 && lazy_sqlite_error.kind == ERROR_NONE);
	return &lazy_sqlite_table;
}
