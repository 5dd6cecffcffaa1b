/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, loaded once for the whole process. */
#include "drivers/lazy/curl.h"

#include <assert.h>
#include <pthread.h>

/* What the dynamic linker gives is the same for the whole process: written once, under the once. */
static pthread_once_t lazy_curl_once = PTHREAD_ONCE_INIT;
static struct lazy_curl lazy_curl_table;
static struct error lazy_curl_error;

static void load(void)
{
	static const char *const names[] = {LAZY_CURL(LAZY_NAME)};
	static const struct lazy library = {
		.sonames = {"libcurl.so.4"},
		.package = "libcurl4",
		.names = names,
		.count = sizeof(names) / sizeof(names[0]),
	};
	CURLcode code;

	if (lazy_load(&library, &lazy_curl_table, sizeof(lazy_curl_table), &lazy_curl_error))
		return;
	code = lazy_curl_table.global_init(CURL_GLOBAL_DEFAULT);
	if (code != CURLE_OK)
		error_set(&lazy_curl_error, ERROR_UNAVAILABLE, NO_PLACE,
			  "libcurl does not start: %s", lazy_curl_table.easy_strerror(code));
}

int lazy_curl_open(struct error *e)
{
	pthread_once(&lazy_curl_once, load);
	if (lazy_curl_error.kind == ERROR_NONE)
		return 0;
	return error_set(e, lazy_curl_error.kind, NO_PLACE, "%s", lazy_curl_error.text);
}

const struct lazy_curl *lazy_curl(void)
{
	assert(lazy_curl_table.global_init && lazy_curl_error.kind == ERROR_NONE);
	return &lazy_curl_table;
}
