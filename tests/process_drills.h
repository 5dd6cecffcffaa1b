/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real drills in tests: a small deployment as a scenario file, drsim as a child process, and the
 * proof, without any code of the program, that nothing of it is left on this host.
 */
#ifndef TESTS_PROCESS_DRILLS_H
#define TESTS_PROCESS_DRILLS_H

#include <stdbool.h>
#include <sys/types.h>

#include <cjson/cJSON.h>

/* Every drill has two sites with two nodes of two GPUs, one endpoint, 20 requests a second. */
struct drill_plan {
	const char *name, *duration; /* scenario time: ten times the real one */
	const char *detect;          /* "misses: 2": of a probe each 500 ms of real time */
	const char *backup;          /* policy, without the braces; NULL: every 3 s of real time */
	const char *steps;           /* lines "  - {…}", each with its newline; NULL: none */
};

/* Writes NAME.yaml into the working folder. */
void drill_write(const struct drill_plan *plan);

/* Starts `drsim run NAME.yaml --driver process --out OUT WORDS…`; what it says goes to OUT.log.
 * `words` ends with NULL; NULL: none. */
pid_t drill_start(const char *scenario, const char *out, const char *const *words);
/* Starts drsim with these words. */
pid_t drill_command(const char *log, const char *const *words);
/* Exit code; 128 + the signal's number when one ended it. Fails the test after `seconds`. */
int drill_wait(pid_t pid, int seconds);
int drill_run(const char *scenario, const char *out, const char *const *words);
/* OUT/record.json, for cJSON_Delete(). */
cJSON *drill_record(const char *out);

/*
 * What is left of the drills that ran with our $DRSIM_STATE: processes with it in their
 * environment, mounts below it, cgroups of the run that this process owned (0: not looked at), work
 * folders and journals. Empty text: nothing. Static memory.
 */
const char *drill_left(pid_t run);
/* The same, waiting up to `seconds` for it to be empty. */
const char *drill_left_after(pid_t run, int seconds);
/* The work folder of the drill of this process; false: there is none. */
bool drill_folder(pid_t run, char *path, size_t room);
/* Processes with our $DRSIM_STATE in their environment, but this one; returns how many of `max`. */
size_t drill_processes(pid_t *pids, size_t max);

#endif
