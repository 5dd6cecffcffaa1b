/* SPDX-License-Identifier: Apache-2.0 */
/* libfuse3, loaded once for the whole process. */
#include "drivers/lazy/fuse.h"

#include <assert.h>
#include <pthread.h>

/* With 3.17 the library's interface to programs got another number. */
#if FUSE_MAJOR_VERSION == 3 && FUSE_MINOR_VERSION < 17
#define LIBRARY "libfuse3.so.3"
#define PACKAGE "libfuse3-3"
#else
#define LIBRARY "libfuse3.so.4"
#define PACKAGE "libfuse3-4"
#endif

/* What the dynamic linker gives is the same for the whole process: written once, under the once. */
static pthread_once_t lazy_fuse_once = PTHREAD_ONCE_INIT;
static struct lazy_fuse lazy_fuse_table;
static struct error lazy_fuse_error;

static void load(void)
{
	static const char *const names[] = {LAZY_FUSE(LAZY_NAME)};
	static const struct lazy library = {
		.sonames = {LIBRARY},
		.package = PACKAGE,
		.names = names,
		.count = sizeof(names) / sizeof(names[0]),
	};

	lazy_load(&library, &lazy_fuse_table, sizeof(lazy_fuse_table), &lazy_fuse_error);
}

int lazy_fuse_open(struct error *e)
{
	pthread_once(&lazy_fuse_once, load);
	if (lazy_fuse_error.kind == ERROR_NONE)
		return 0;
	return error_set(e, lazy_fuse_error.kind, NO_PLACE, "%s", lazy_fuse_error.text);
}

const struct lazy_fuse *lazy_fuse(void)
{
	assert(lazy_fuse_table.reply_err);
	return &lazy_fuse_table;
}
