/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, loaded once for the whole process. */
#include "drivers/lazy/curl.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>

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

/* A long, a pointer or a curl_off_t: passed on as the word that each of them is. */
_Static_assert(sizeof(long) == sizeof(void *) && sizeof(curl_off_t) == sizeof(void *),
	       "options are passed on as pointers");

CURLcode lazy_curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	va_list list;
	void *value;

	va_start(list, option);
	value = va_arg(list, void *);
	va_end(list);
	return lazy_curl()->easy_setopt(easy, option, value);
}

CURLcode lazy_curl_easy_getinfo(CURL *easy, CURLINFO info, ...)
{
	va_list list;
	void *ret_value;

	va_start(list, info);
	ret_value = va_arg(list, void *);
	va_end(list);
	return lazy_curl()->easy_getinfo(easy, info, ret_value);
}
