/* SPDX-License-Identifier: Apache-2.0 */
/* libseccomp, loaded once for the whole process. */
#include "drivers/lazy/seccomp.h"

#include <assert.h>
#include <pthread.h>

/* What the dynamic linker gives is the same for the whole process: written once, under the once. */
static pthread_once_t lazy_seccomp_once = PTHREAD_ONCE_INIT;
static struct lazy_seccomp lazy_seccomp_table;
static struct error lazy_seccomp_error;

static void load(void)
{
	static const char *const names[] = {LAZY_SECCOMP(LAZY_NAME)};
	static const struct lazy library = {
		.sonames = {"libseccomp.so.2"},
		.package = "libseccomp2",
		.names = names,
		.count = sizeof(names) / sizeof(names[0]),
	};

	lazy_load(&library, &lazy_seccomp_table, sizeof(lazy_seccomp_table), &lazy_seccomp_error);
}

int lazy_seccomp_open(struct error *e)
{
	pthread_once(&lazy_seccomp_once, load);
	if (lazy_seccomp_error.kind == ERROR_NONE)
		return 0;
	return error_set(e, lazy_seccomp_error.kind, NO_PLACE, "%s", lazy_seccomp_error.text);
}

const struct lazy_seccomp *lazy_seccomp(void)
{
	assert(lazy_seccomp_table.release);
	return &lazy_seccomp_table;
}
