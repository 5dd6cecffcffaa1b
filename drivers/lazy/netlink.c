/* SPDX-License-Identifier: Apache-2.0 */
/* libnl-3 and libnl-route-3, loaded once for the whole process. */
#include "drivers/lazy/netlink.h"

#include <assert.h>
#include <pthread.h>

/* What the dynamic linker gives is the same for the whole process: written once, under the once. */
static pthread_once_t lazy_netlink_once = PTHREAD_ONCE_INIT;
static struct lazy_netlink lazy_netlink_table;
static struct error lazy_netlink_error;

static void load(void)
{
	static const char *const names[] = {LAZY_NL(LAZY_NAME) LAZY_NLA(LAZY_NAME)
						    LAZY_RTNL(LAZY_NAME)};
	static const struct lazy library = {
		.sonames = {"libnl-route-3.so.200"}, /* brings libnl-3 along */
		.package = "libnl-route-3-200",
		.names = names,
		.count = sizeof(names) / sizeof(names[0]),
	};

	lazy_load(&library, &lazy_netlink_table, sizeof(lazy_netlink_table), &lazy_netlink_error);
}

int lazy_netlink_open(struct error *e)
{
	pthread_once(&lazy_netlink_once, load);
	if (lazy_netlink_error.kind == ERROR_NONE)
		return 0;
	return error_set(e, lazy_netlink_error.kind, NO_PLACE, "%s", lazy_netlink_error.text);
}

const struct lazy_netlink *lazy_netlink(void)
{
	assert(lazy_netlink_table.nl.socket_alloc);
	return &lazy_netlink_table;
}
