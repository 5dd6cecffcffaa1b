/* SPDX-License-Identifier: Apache-2.0 */
/* Runs gnuplot without a shell: the script comes from memory, the picture goes through a pipe, a
 * timer ends it. */
#include "reports/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/timeline.h"
#include "reports/file.h"
#include "reports/table.h"

#define QUOTE_CHARACTERS 90

const struct plot *const plot_table[] = {&plot_incident, &plot_service, &plot_backups, &plot_ecdf,
					 NULL};

bool plot_available(void)
{
	const char *at = getenv("PATH");
	char path[REPORT_PATH_MAX];

	while (at && *at) {
		int length = (int)strcspn(at, ":");
		int used = snprintf(path, sizeof(path), "%.*s/gnuplot", length, at);

		if (length > 0 && used < (int)sizeof(path) && access(path, X_OK) == 0)
			return true;
		at += length + (at[length] == ':');
	}
	return false;
}

struct plot_axis plot_axis(double span_s)
{
	if (span_s <= 180)
		return (struct plot_axis){1, "s"};
	if (span_s <= 180 * 60)
		return (struct plot_axis){60, "min"};
	if (span_s <= 72 * 3600)
		return (struct plot_axis){3600, "h"};
	return (struct plot_axis){86400, "d"};
}

void plot_quote(FILE *script, const char *text)
{
	const unsigned char *s = (const unsigned char *)(text ? text : "");

	fputc('\'', script);
	for (int count = 0; *s; count++) {
		size_t length = utf8_length(s);

		if (count == QUOTE_CHARACTERS) {
			fputs("\xe2\x80\xa6", script);
			break;
		}
		/* Backquotes would start a command, and a line end would end the string. */
		if (length == 0 || *s < 0x20 || *s == 0x7f)
			fputc(' ', script);
		else if (*s == '\'' || *s == '`')
			fputs("''", script);
		else
			fwrite(s, 1, length, script);
		s += length > 0 ? length : 1;
	}
	fputc('\'', script);
}

void plot_quotef(FILE *script, const char *format, ...)
{
	char text[256];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	plot_quote(script, text);
}

void plot_vertical(FILE *script, double x, const char *colour)
{
	fprintf(script,
		"set arrow from first %.9g, graph 0 to first %.9g, graph 1 nohead lw 1.2 dt 3 lc "
		"rgb '%s' back\n",
		x, x, colour);
}

void plot_band(FILE *script, double x0, double x1, const char *colour, double density)
{
	fprintf(script,
		"set object rectangle from first %.9g, graph 0 to first %.9g, graph 1 behind fc "
		"rgb '%s' "
		"fs solid %.2g noborder\n",
		x0, x1, colour, density);
}

/* ---- running gnuplot ---- */

/* In the child: only calls that are safe after a fork. Never returns. */
static void become_gnuplot(int script, int output)
{
	char name[] = "gnuplot", plain[] = "-d", input[] = "-";
	char *const arguments[] = {name, plain, input, NULL};
	sigset_t none;
	int silent = open("/dev/null", O_WRONLY | O_CLOEXEC);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGALRM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	if (dup2(script, 0) < 0 || dup2(output, 1) < 0 || (silent >= 0 && dup2(silent, 2) < 0))
		_exit(126);
	alarm(PLOT_TIMEOUT_S); /* outlives exec: a gnuplot that hangs is ended by it */
	execvp(name, arguments);
	_exit(127);
}

/* Is there something to read within the time limit? */
static bool waits(int fd)
{
	struct pollfd wanted = {.fd = fd, .events = POLLIN};
	int rc;

	do
		rc = poll(&wanted, 1, PLOT_TIMEOUT_S * 1000);
	while (rc < 0 && errno == EINTR);
	return rc > 0;
}

/* Everything that comes out of `fd`, to free(); NULL past the limit, out of memory or when it stays
 * silent. */
static char *drain(int fd, size_t *ret_size)
{
	size_t size = 0, capacity = (size_t)1 << 16;
	char *bytes = malloc(capacity);

	while (bytes) {
		ssize_t got = waits(fd) ? read(fd, bytes + size, capacity - size - 1) : -2;

		if (got < 0 && errno == EINTR)
			continue;
		if (got == -2) {
			free(bytes);
			return NULL;
		}
		if (got <= 0)
			break;
		size += (size_t)got;
		if (size + 1 == capacity) {
			char *more = capacity < PLOT_SIZE_MAX ? realloc(bytes, capacity * 2) : NULL;

			if (!more) {
				free(bytes);
				return NULL;
			}
			bytes = more;
			capacity *= 2;
		}
	}
	if (bytes)
		bytes[size] = '\0';
	*ret_size = size;
	return bytes;
}

/* The picture that gnuplot makes of the script, to free(); NULL when it cannot be had. */
static char *run_gnuplot(const char *script, size_t script_size, size_t *ret_size, bool *ret_killed)
{
	int memory = memfd_create("plot", MFD_CLOEXEC), ends[2] = {-1, -1}, status = -1;
	char *picture = NULL;
	pid_t child = -1;

	if (memory < 0 || write(memory, script, script_size) != (ssize_t)script_size ||
	    lseek(memory, 0, SEEK_SET) || pipe2(ends, O_CLOEXEC))
		goto out;
	child = fork();
	if (child == 0)
		become_gnuplot(memory, ends[1]);
	close(ends[1]);
	ends[1] = -1;
	if (child < 0)
		goto out;
	setpgid(child, child); /* here and there, whoever comes first */
	picture = drain(ends[0], ret_size);
	/* No picture: gnuplot hangs or talks without end, and with it whatever it started. */
	if (!picture)
		kill(-child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	*ret_killed = WIFSIGNALED(status);
	if (status != 0 || (picture && *ret_size == 0)) {
		free(picture);
		picture = NULL;
	}
out:
	if (memory >= 0)
		close(memory);
	if (ends[0] >= 0)
		close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	return picture;
}

/* Cut out `from` … `to`, both included, once. */
static void cut(char *text, const char *from, const char *to)
{
	char *start = strstr(text, from), *end = start ? strstr(start, to) : NULL;

	if (end)
		memmove(start, end + strlen(to), strlen(end + strlen(to)) + 1);
}

static void preamble(FILE *script, const struct plot *plot, bool png)
{
	if (png)
		fprintf(script,
			"set terminal pngcairo noenhanced size %d,%d font 'Sans,10' background rgb "
			"'#ffffff'\n",
			plot->width, plot->height);
	else
		fprintf(script,
			"set terminal svg noenhanced size %d,%d dynamic name '%s' font "
			"'Helvetica,13' "
			"background rgb '#ffffff'\n",
			plot->width, plot->height, plot->name);
	fputs("set encoding utf8\nset decimalsign '.'\nset border 3 lw 1 lc rgb '" PLOT_GREY "'\n"
	      "set tics nomirror out scale 0.6 textcolor rgb '" PLOT_INK "'\n"
	      "set grid xtics ytics lt 1 lw 0.6 lc rgb '#E3E6EA'\nset key textcolor rgb '" PLOT_INK
	      "'\n",
	      script);
}

/*
 * Draw one plot into out_dir/plots. Without a picture there is no file, and the page says so.
 * *killed is set when gnuplot had to be ended; then nothing more is tried, so that a hanging one
 * costs its time limit once.
 */
static int draw(const struct plot *plot, const struct report_input *input, bool png, bool *killed,
		struct error *e)
{
	char *text = NULL, *picture, name[64];
	size_t size = 0;
	FILE *script = open_memstream(&text, &size);
	struct report_file out;
	bool any;
	int rc = 0;

	if (!script)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	preamble(script, plot, png);
	any = plot->draw(script, input);
	if (fclose(script))
		any = false;
	picture = any ? run_gnuplot(text, size, &size, killed) : NULL;
	free(text);
	if (!picture)
		return 0;
	snprintf(name, sizeof(name), "plots/%s.%s", plot->name, png ? "png" : "svg");
	if (!png) {
		/* Which gnuplot drew it must not change the bytes more than it has to. */
		cut(picture, "<desc>Produced by GNUPLOT", "</desc>\n");
		size = strlen(picture);
	}
	rc = report_file_begin(&out, input->out_dir, name, e);
	if (rc == 0) {
		fwrite(picture, 1, size, out.file);
		rc = report_file_end(&out, 0, e);
	}
	free(picture);
	return rc;
}

static int write_report(const struct report_input *input, struct error *e)
{
	char path[REPORT_PATH_MAX];
	bool killed = false;

	if (!input->plots || !plot_available())
		return 0;
	if (report_path(path, input->out_dir, "plots", e))
		return -1;
	if (mkdir(path, 0777) && errno != EEXIST)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot create %s: %s", path,
				 strerror(errno));
	for (size_t i = 0; plot_table[i] && !killed; i++) {
		if (draw(plot_table[i], input, false, &killed, e))
			return -1;
		if (input->png && !killed && draw(plot_table[i], input, true, &killed, e))
			return -1;
	}
	return 0;
}

const struct report_ops report_plots = {
	.name = "plots",
	.file = "plots",
	.help = "incident, service, backups and, with trials, distributions as pictures (needs "
		"gnuplot)",
	.write = write_report,
};
