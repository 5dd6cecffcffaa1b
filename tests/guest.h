/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests in an emulated guest with a kernel of a distribution, for what this host's kernel does not
 * have. The test program is the guest's first process too: the host's side packs it, the libraries
 * that it has loaded and the kernel's modules into an initial file system, starts the guest and
 * reads its console; the guest's side runs a suite of its own and switches itself off.
 */
#ifndef TESTS_GUEST_H
#define TESTS_GUEST_H

#include <stdbool.h>

#include "tests/test.h"

struct guest_archive;

struct guest_plan {
	const char *name;
	/* In the order in which they need each other, NULL at the end. Those that ci/deps.sh has
	 * not found are in the kernel itself, or are missing. */
	const char *const *modules;
	int checks; /* that must pass in the guest */
	void (*add_cases)(Suite *suite);
	/* On the host: loads what the program would load at its first use, and packs more. */
	void (*pack)(struct guest_archive *archive);
};

/* The whole of main(), on both sides. */
int guest_main(const struct guest_plan *plan);

/* A case of the guest's suite, in a folder of its own. */
void guest_add(Suite *suite, const char *name, const TTest *test);
void guest_add_loop(Suite *suite, const char *name, const TTest *test, int count);

/* In pack(): a file of the host, at a path without "/" at its beginning. false: it is not there. */
bool guest_put_file(struct guest_archive *archive, const char *path, const char *name);
/* A program with all its libraries. */
bool guest_put_program(struct guest_archive *archive, const char *path, const char *name);

#endif
