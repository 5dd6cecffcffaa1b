/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the run folder: whole under their name, or not there at all. */
#ifndef REPORTS_FILE_H
#define REPORTS_FILE_H

#include <stdio.h>

#include "core/error.h"

#define REPORT_PATH_MAX 4096

/* One file being written. It lives under `temporary` until report_file_end() gives it its name. */
struct report_file {
	FILE *file;
	char path[REPORT_PATH_MAX], temporary[REPORT_PATH_MAX];
};

/* Join dir and name into out[REPORT_PATH_MAX]. Returns 0, or -1 with ERROR_LIMIT when the path is
 * too long. */
int report_path(char out[REPORT_PATH_MAX], const char *dir, const char *name, struct error *e);
/* Start writing dir/name; without a dir `name` is the whole path. Fails with ERROR_IO. */
int report_file_begin(struct report_file *out, const char *dir, const char *name, struct error *e);
/*
 * Flush, fsync, rename to the final name. With rc != 0 (the caller's own failure), or when any byte
 * was not written, the temporary file is removed and nothing appears under the name. Returns rc, or
 * -1 with ERROR_IO.
 */
int report_file_end(struct report_file *out, int rc, struct error *e);

#endif
