/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of every test program: a libcheck suite, its cases, and main(). */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <check.h>
#include <stdlib.h>

/* Add one START_TEST function as a case of its own name. */
static inline void test_add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

/* Add a START_TEST function once per `_i` in [0, count): one case for each row of a table. */
static inline void test_add_loop(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

/* Run what add_cases puts into the suite; the exit status of the program. */
static inline int test_main(const char *name, void (*add_cases)(Suite *suite))
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	/* What tests do is nothing that a user wants to remember. */
	setenv("DRSIM_HISTORY", "none", 1);
	add_cases(suite);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	if (srunner_ntests_run(runner) == 0)
		failed = 1; /* a suite without a test proves nothing */
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The last line of a test program: TEST_MAIN("base", add_cases), add_cases taking the suite. */
#define TEST_MAIN(name, add_cases)                                                                 \
	int main(void)                                                                             \
	{                                                                                          \
		return test_main((name), (add_cases));                                             \
	}

#endif
