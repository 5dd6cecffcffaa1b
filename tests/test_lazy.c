/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries that are loaded at the first use: what is told of one that is missing or too old. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "drivers/lazy/curl.h"
#include "drivers/lazy/fuse.h"
#include "drivers/lazy/netlink.h"
#include "drivers/lazy/nftables.h"
#include "drivers/lazy/pcap.h"
#include "tests/test.h"

#define THREADS 8

/* Two functions of the C library's mathematics stand for any. */
static const char *const names[] = {"cos", "hypot"};

struct table {
	double (*cos)(double x);
	double (*hypot)(double x, double y);
};

START_TEST(fills_a_table)
{
	const struct lazy lazy = {
		.sonames = {"libm.so.6"}, .package = "libc6", .names = names, .count = 2};
	struct error error = {.kind = ERROR_NONE};
	struct table table;

	ck_assert_int_eq(lazy_load(&lazy, &table, sizeof(table), &error), 0);
	ck_assert_int_eq(error.kind, ERROR_NONE);
	ck_assert_double_eq(table.cos(0), 1);
	ck_assert_double_eq(table.hypot(3, 4), 5);
}
END_TEST

START_TEST(takes_the_other_name)
{
	const struct lazy lazy = {.sonames = {"libdrsim-nothing.so.7", "libm.so.6"},
				  .package = "libc6",
				  .names = names,
				  .count = 2};
	struct error error = {.kind = ERROR_NONE};
	struct table table;

	ck_assert_int_eq(lazy_load(&lazy, &table, sizeof(table), &error), 0);
	ck_assert_int_eq(error.kind, ERROR_NONE);
	ck_assert_double_eq(table.hypot(3, 4), 5);
}
END_TEST

START_TEST(tells_what_is_missing)
{
	const struct lazy lazy = {.sonames = {"libdrsim-nothing.so.7", "libdrsim-nothing.so.8"},
				  .package = "libnothing7",
				  .names = names,
				  .count = 2};
	struct error error = {.kind = ERROR_NONE};
	struct table table = {.cos = cos};

	ck_assert_int_eq(lazy_load(&lazy, &table, sizeof(table), &error), -1);
	ck_assert_int_eq(error.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(error.text, "libdrsim-nothing.so.7"));
	ck_assert_ptr_nonnull(strstr(error.text, "the package libnothing7"));
	ck_assert(!table.cos && !table.hypot);
}
END_TEST

START_TEST(tells_what_is_too_old)
{
	static const char *const newer[] = {"cos", "drsim_cos_of_tomorrow"};
	const struct lazy lazy = {
		.sonames = {"libm.so.6"}, .package = "libc6", .names = newer, .count = 2};
	struct error error = {.kind = ERROR_NONE};
	struct table table;

	ck_assert_int_eq(lazy_load(&lazy, &table, sizeof(table), &error), -1);
	ck_assert_int_eq(error.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(error.text, "libm.so.6"));
	ck_assert_ptr_nonnull(strstr(error.text, "drsim_cos_of_tomorrow()"));
	ck_assert(!table.cos && !table.hypot);
}
END_TEST

static void *open_all(void *self)
{
	struct error *e = self;

	if (lazy_curl_open(e) || lazy_pcap_open(e) || lazy_netlink_open(e) || lazy_fuse_open(e) ||
	    lazy_nftables_open(e))
		return NULL;
	curl_easy_cleanup(curl_easy_init());
	nl_socket_free(nl_socket_alloc());
	return (void *)pcap_statustostr(PCAP_ERROR_BREAK);
}

/* Threads that come at once all find the same libraries, with every function that is called. */
START_TEST(opens_once)
{
	struct error errors[THREADS] = {{.kind = ERROR_NONE}};
	pthread_t threads[THREADS];
	void *first = NULL;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, open_all, &errors[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		void *text;

		ck_assert_int_eq(pthread_join(threads[i], &text), 0);
		ck_assert_msg(text != NULL, "%s", errors[i].text);
		first = i == 0 ? text : first;
		ck_assert_ptr_eq(text, first);
	}
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "table", fills_a_table);
	test_add(suite, "other name", takes_the_other_name);
	test_add(suite, "missing", tells_what_is_missing);
	test_add(suite, "too old", tells_what_is_too_old);
	test_add(suite, "threads", opens_once);
}

TEST_MAIN("lazy", add_cases)
