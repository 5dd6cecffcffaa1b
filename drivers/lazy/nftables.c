/* SPDX-License-Identifier: Apache-2.0 */
/* libnftables, loaded once for the whole process. */
#include "drivers/lazy/nftables.h"

#include <assert.h>
#include <pthread.h>

/* What the dynamic linker gives is the same for the whole process: written once, under the once. */
static pthread_once_t lazy_nftables_once = PTHREAD_ONCE_INIT;
static struct lazy_nftables lazy_nftables_table;
static struct error lazy_nftables_error;

static void load(void)
{
	static const char *const names[] = {LAZY_NFTABLES(LAZY_NAME)};
	static const struct lazy library = {
		.sonames = {"libnftables.so.1"},
		.package = "libnftables1",
		.names = names,
		.count = sizeof(names) / sizeof(names[0]),
	};

	lazy_load(&library, &lazy_nftables_table, sizeof(lazy_nftables_table),
		  &lazy_nftables_error);
}

int lazy_nftables_open(struct error *e)
{
	pthread_once(&lazy_nftables_once, load);
	if (lazy_nftables_error.kind == ERROR_NONE)
		return 0;
	return error_set(e, lazy_nftables_error.kind, NO_PLACE, "%s", lazy_nftables_error.text);
}

const struct lazy_nftables *lazy_nftables(void)
{
	assert(lazy_nftables_table.ctx_new);
	return &lazy_nftables_table;
}
