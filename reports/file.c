/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a file of the run folder under a temporary name and renames it when every byte is on the
 * disk. */
#include "reports/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int report_path(char out[REPORT_PATH_MAX], const char *dir, const char *name, struct error *e)
{
	int length = snprintf(out, REPORT_PATH_MAX, "%s%s%s", dir ? dir : "", dir ? "/" : "", name);

	if (length < 0 || length >= REPORT_PATH_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "the path of %s is too long", name);
	return 0;
}

int report_file_begin(struct report_file *out, const char *dir, const char *name, struct error *e)
{
	int fd, length, reason;

	*out = (struct report_file){0};
	if (report_path(out->path, dir, name, e))
		return -1;
	length = snprintf(out->temporary, sizeof(out->temporary), "%s.tmp-%ld", out->path,
			  (long)getpid());
	if (length < 0 || (size_t)length >= sizeof(out->temporary))
		return error_set(e, ERROR_LIMIT, NO_PLACE, "the path of %s is too long", name);
	fd = open(out->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot write %s: %s", out->path,
				 strerror(errno));
	out->file = fdopen(fd, "w");
	if (!out->file) {
		reason = errno;
		close(fd);
		unlink(out->temporary);
		return error_set(e, ERROR_IO, NO_PLACE, "cannot write %s: %s", out->path,
				 strerror(reason));
	}
	return 0;
}

int report_file_end(struct report_file *out, int rc, struct error *e)
{
	int reason = 0;

	assert(out->file);
	errno = 0;
	if (ferror(out->file) || fflush(out->file) || fsync(fileno(out->file)))
		reason = errno ? errno : EIO;
	if (fclose(out->file) && reason == 0)
		reason = errno;
	out->file = NULL;
	if (rc == 0 && reason == 0 && rename(out->temporary, out->path))
		reason = errno;
	if (rc == 0 && reason == 0)
		return 0;
	unlink(out->temporary);
	if (rc == 0)
		rc = error_set(e, ERROR_IO, NO_PLACE, "cannot write %s: %s", out->path,
			       strerror(reason));
	return rc;
}
